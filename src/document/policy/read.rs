//! Reads the form of a policy: which fields there are, what each may say, and that every name leads somewhere.

mod attestation;
mod signers;

use super::{
    Demand, EmbeddedRoot, Exemption, KeySource, Mode, Policy, Rule, SignedReference, TrustRootSource, TrustStoreSource,
};
use super::{bundle, notation};
use crate::document::form::{Clerk, Form};
use crate::document::pattern::Pattern;
use crate::document::yaml::{Node, Value};
use crate::model::Digest;
use std::collections::{BTreeMap, BTreeSet};

pub(super) const FIELDS: &[&str] = &[
    "apiVersion",
    "kind",
    "mode",
    "maxRootAge",
    "trustRoots",
    "trustStores",
    "keys",
    "authorities",
    "bundle",
    "rules",
];
pub(super) const ROOT: &[&str] = &["file", "sha256", "fetched", "embedded"];
pub(super) const KEY: &[&str] = &["file", "pem"];
pub(super) const RULE: &[&str] =
    &["match", "mode", "signatures", "signedReference", "maxAge", "attestations", "exempt", "deny"];
pub(super) const EXEMPTION: &[&str] = &["reason", "until"];
pub(super) const MODES: &[(&str, Mode)] = &[("enforce", Mode::Enforce), ("audit", Mode::Audit)];
#[cfg(test)]
pub(super) use attestation::{ATTESTATION, CONSTRAINT, PROVENANCE, VULNERABILITIES};
#[cfg(test)]
pub(super) use signers::{CONSENT, KEY_SIGNER, KEYLESS};

const REFERENCES: &[(&str, SignedReference)] =
    &[("any", SignedReference::Any), ("repository", SignedReference::Repository), ("exact", SignedReference::Exact)];
const EMBEDDED: &[(&str, EmbeddedRoot)] =
    &[("public-good", EmbeddedRoot::PublicGood), ("github", EmbeddedRoot::Github)];

/// What the rules may name, and the clerk who notes mistakes.
struct Desk<'a> {
    clerk: &'a Clerk<'a>,
    keys: BTreeSet<&'a str>,
    roots: BTreeSet<&'a str>,
    stores: BTreeMap<String, TrustStoreSource>,
    /// Names of authorities; empty while authorities themselves are read, for none of them names another.
    authorities: BTreeSet<&'a str>,
}

/// Reads the fields of the paper.
pub(super) fn policy(clerk: &Clerk<'_>, node: &Node) -> Policy {
    let Some(form) = clerk.form(node, FIELDS) else { return Policy::default() };
    let names = |field: &str| -> BTreeSet<&str> {
        form.get(field).into_iter().flat_map(Node::entries).map(|entry| entry.key.as_str()).collect()
    };
    let (keys, roots) = (names("keys"), names("trustRoots"));
    let stores = trust_stores(clerk, form.get("trustStores"));
    let desk = Desk { clerk, keys, roots, stores, authorities: BTreeSet::new() };
    let authorities = named(clerk, form.get("authorities"), |node| desk.consent(node));
    let desk = Desk { authorities: names("authorities"), ..desk };
    let mut seen = BTreeSet::new();
    let rules = form.need("rules");
    Policy {
        place: clerk.place().to_owned(),
        mode: form.get("mode").and_then(|node| clerk.word(node, MODES)).unwrap_or_default(),
        max_root_age: form.get("maxRootAge").and_then(|node| clerk.parsed(node)),
        trust_roots: named(clerk, form.get("trustRoots"), |node| trust_root(clerk, node)),
        trust_stores: desk.stores.clone(),
        keys: named(clerk, form.get("keys"), |node| key(clerk, node)),
        authorities,
        bundle: form.get("bundle").and_then(|node| bundle::read(clerk, node)),
        rules: clerk.list(rules, |node| rule(&desk, node, &mut seen)),
        text: String::new(),
    }
}

/// Reads a mapping from names to things.
fn named<T>(clerk: &Clerk<'_>, node: Option<&Node>, read: impl Fn(&Node) -> Option<T>) -> BTreeMap<String, T> {
    let Some(node) = node else { return BTreeMap::new() };
    if !matches!(node.value, Value::Map(_)) {
        clerk.note(node, format!("expected a mapping from names, found {}", node.kind()));
    }
    node.entries().iter().filter_map(|entry| Some((entry.key.clone(), read(&entry.value)?))).collect()
}

fn trust_root(clerk: &Clerk<'_>, node: &Node) -> Option<TrustRootSource> {
    let form = clerk.form(node, ROOT)?;
    let sha256 = form.get("sha256").and_then(|node| digest(clerk, node));
    let fetched = form.get("fetched").and_then(|node| clerk.parsed(node));
    match (form.text("file"), form.get("embedded")) {
        (Some(file), None) => Some(TrustRootSource::File { file, sha256, fetched }),
        (None, Some(embedded)) => {
            if form.get("sha256").is_some() || form.get("fetched").is_some() {
                clerk.note(node, "sha256 and fetched belong to a file, not to an embedded root");
            }
            clerk.word(embedded, EMBEDDED).map(TrustRootSource::Embedded)
        }
        _ => {
            clerk.note(node, "a trust root is either a file or embedded");
            None
        }
    }
}

fn trust_stores(clerk: &Clerk<'_>, node: Option<&Node>) -> BTreeMap<String, TrustStoreSource> {
    for entry in node.into_iter().flat_map(Node::entries) {
        if let Err(why) = notation::check_name(&entry.key) {
            clerk.note(&entry.value, why);
        }
    }
    named(clerk, node, |node| clerk.typed(node))
}

fn digest(clerk: &Clerk<'_>, node: &Node) -> Option<Digest> {
    let hex = clerk.text(node)?;
    let prefixed = if hex.contains(':') { hex } else { format!("sha256:{hex}") };
    prefixed.parse().map_err(|error: crate::model::digest::DigestError| clerk.note(node, error.to_string())).ok()
}

fn key(clerk: &Clerk<'_>, node: &Node) -> Option<KeySource> {
    let form = clerk.form(node, KEY)?;
    match (form.text("file"), form.text("pem")) {
        (Some(file), None) => Some(KeySource::File(file)),
        (None, Some(pem)) => Some(KeySource::Pem(pem)),
        _ => {
            clerk.note(node, "a key is either a file or a pem");
            None
        }
    }
}

fn rule(desk: &Desk<'_>, node: &Node, seen: &mut BTreeSet<String>) -> Option<Rule> {
    let clerk = desk.clerk;
    let form = clerk.form(node, RULE)?;
    let patterns = patterns(clerk, &form, node, seen);
    let mode = form.get("mode").and_then(|node| clerk.word(node, MODES));
    let signed_reference =
        form.get("signedReference").and_then(|node| clerk.word(node, REFERENCES)).unwrap_or_default();
    for name in ["signedReference", "maxAge"] {
        if let Some(node) = form.get(name).filter(|_| form.get("signatures").is_none()) {
            let attested = name == "maxAge" && form.get("attestations").is_some();
            if !attested {
                clerk.note(node, format!("{name} is about signatures, and the rule wants none"));
            }
        }
    }
    let demand = demand(desk, &form, node)?;
    Some(Rule { patterns, demand, mode, signed_reference, line: node.line, origin: String::new() })
}

fn patterns(clerk: &Clerk<'_>, form: &Form<'_>, node: &Node, seen: &mut BTreeSet<String>) -> Vec<Pattern> {
    let listed = form.need("match");
    let mut patterns = Vec::new();
    let items = |list: &'_ Node| if list.text().is_some() { vec![list.clone()] } else { list.items().to_vec() };
    for item in &listed.map(items).unwrap_or_default() {
        if let Some(text) = item.text()
            && !seen.insert(text.to_owned())
        {
            clerk.note(item, format!("the pattern {text} stands in the policy twice"));
        }
        patterns.extend(clerk.parsed::<Pattern>(item));
    }
    if patterns.is_empty() && clerk.is_content() {
        clerk.note(node, "a rule needs at least one pattern in match");
    }
    patterns
}

fn demand(desk: &Desk<'_>, form: &Form<'_>, node: &Node) -> Option<Demand> {
    let clerk = desk.clerk;
    let evidence = form.get("signatures").is_some() || form.get("attestations").is_some();
    match (evidence, form.get("exempt"), form.get("deny")) {
        (true, None, None) => Some(demanded(desk, form)),
        (false, Some(exempt), None) => exemption(clerk, exempt).map(Demand::Exempt),
        (false, None, Some(deny)) => denial(clerk, deny),
        _ => {
            clerk.note(node, "a rule has one of: signatures and attestations, exempt, deny");
            None
        }
    }
}

fn demanded(desk: &Desk<'_>, form: &Form<'_>) -> Demand {
    let signatures = form.get("signatures").and_then(|node| desk.consent(node));
    let signed = form.get("signatures").is_some();
    Demand::Evidence {
        signatures,
        max_age: form.get("maxAge").and_then(|node| desk.clerk.parsed(node)),
        attestations: desk.clerk.list(form.get("attestations"), |node| desk.attestation(node, signed)),
    }
}

fn exemption(clerk: &Clerk<'_>, node: &Node) -> Option<Exemption> {
    let form = clerk.form(node, EXEMPTION)?;
    let reason = form.need("reason").and_then(|node| {
        let reason = clerk.text(node)?;
        if reason.trim().is_empty() {
            clerk.note(node, "an exemption needs a reason");
        }
        Some(reason)
    });
    let until = form.need("until").and_then(|node| clerk.parsed(node));
    Some(Exemption { reason: reason?, until: until? })
}

fn denial(clerk: &Clerk<'_>, node: &Node) -> Option<Demand> {
    match clerk.text(node)?.as_str() {
        "false" => {
            clerk.note(node, "deny: false says nothing; leave it out");
            None
        }
        "true" => Some(Demand::Deny(String::new())),
        reason => Some(Demand::Deny(reason.to_owned())),
    }
}
