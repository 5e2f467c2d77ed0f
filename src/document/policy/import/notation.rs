//! `trustpolicy.json` of the Notary Project: its statements are rules, and its words are those of our signers.

use super::Workshop;
use super::duty::Duty;
use crate::document::PaperError;
use crate::document::pattern::{Pattern, PatternError};
use crate::document::policy::{AcceptedSigner, Consent, Mode, NotationSigner, Policy, Rule, TrustStoreSource};
use crate::document::yaml::Node;
use serde_json::{Value, json};
use std::collections::BTreeMap;

const STATEMENT: &[&str] = &["name", "registryScopes", "signatureVerification", "trustStores", "trustedIdentities"];
const VERIFICATION: &[&str] = &["level", "override", "verifyTimestamp"];

type Stores = BTreeMap<String, TrustStoreSource>;

/// Reads the policy.
pub(super) fn read(workshop: &Workshop<'_>, node: &Node) -> Result<Policy, PaperError> {
    match node.get("version").and_then(Node::text) {
        Some("1.0") => {}
        other => return Err(workshop.error(node, format!("version {other:?}, expected \"1.0\""))),
    }
    workshop.others(node, &["version", "trustPolicies"], "it is left out");
    let mut trust_stores = Stores::new();
    let mut rules = Vec::new();
    for statement in node.get("trustPolicies").into_iter().flat_map(Node::items) {
        rules.push(rule(workshop, statement, &mut trust_stores)?);
    }
    workshop.note(node, "registry scopes are about the source reference here, on both sides of the gap");
    Ok(Policy { rules, trust_stores, ..Policy::default() })
}

fn rule(workshop: &Workshop<'_>, node: &Node, stores: &mut Stores) -> Result<Rule, PaperError> {
    let mut patterns = Vec::new();
    for scope in node.get("registryScopes").into_iter().flat_map(Node::items) {
        let text = match scope.text().unwrap_or_default() {
            "*" => "**",
            text if text.contains(['*', '@']) => {
                return Err(workshop.error(scope, format!("the scope {text:?} is no repository")));
            }
            text => text,
        };
        let error = |error: PatternError| workshop.error(scope, error.to_string());
        patterns.push(text.parse::<Pattern>().map_err(error)?);
    }
    if patterns.is_empty() {
        return Err(workshop.error(node, "the statement has no registryScopes"));
    }
    let unknown = workshop.others(node, STATEMENT, "it may ask for more than can be said here");
    let duty = if unknown {
        workshop.deny(node, "a statement with fields that are not known")
    } else {
        duty(workshop, node, stores)
    };
    Ok(duty.rule(patterns, Mode::Enforce))
}

fn duty(workshop: &Workshop<'_>, node: &Node, stores: &mut Stores) -> Duty {
    let Some(verification) = node.get("signatureVerification") else {
        return workshop.deny(node, "a statement without signatureVerification");
    };
    if workshop.others(verification, VERIFICATION, "it may ask for more than can be said here") {
        return workshop.deny(verification, "a signatureVerification with fields that are not known");
    }
    let level = verification.get("level").and_then(Node::text).unwrap_or_default();
    if level == "skip" {
        workshop.note(verification, "level skip is an exemption without an end here; give it a reason and a last day");
        return Duty::Nothing("level skip in the policy that this was made from".to_owned());
    }
    let mut names = Vec::new();
    for store in node.get("trustStores").into_iter().flat_map(Node::items) {
        match named(store.text().unwrap_or_default(), stores) {
            Some(name) => names.push(name),
            None => return workshop.deny(store, "a trust store that has no such name here"),
        }
    }
    let mut form = json!({"trustStores": names, "level": level});
    for (field, value) in [
        ("identities", node.get("trustedIdentities")),
        ("override", verification.get("override")),
        ("verifyTimestamp", verification.get("verifyTimestamp")),
    ] {
        if let Some(value) = value {
            form[field] = value.to_json();
        }
    }
    match serde_json::from_value::<NotationSigner>(form) {
        Ok(signer) => Duty::Evidence(Some(Consent::Signer(AcceptedSigner::Notation(signer))), Vec::new()),
        Err(error) => workshop.deny(node, error.to_string()),
    }
}

/// Takes a store into the policy under its own name, or under one with its kind where another kind has that name.
fn named(text: &str, stores: &mut Stores) -> Option<String> {
    let (kind, name) = text.split_once(':')?;
    let source = |kind: &str, name: &str| -> Option<TrustStoreSource> {
        let form: Value = json!({"type": kind, "folder": format!("truststore/x509/{kind}/{name}")});
        serde_json::from_value(form).ok()
    };
    let wanted = source(kind, name)?;
    let free = match stores.get(name) {
        Some(other) if *other != wanted => format!("{name}.{kind}"),
        _ => name.to_owned(),
    };
    stores.insert(free.clone(), wanted);
    Some(format!("{kind}:{free}"))
}
