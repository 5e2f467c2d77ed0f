//! `policy.json` of containers/image: the scope that says most decides, and all requirements of a scope hold.

use super::Workshop;
use super::duty::{Duty, all_of, any_of, key};
use crate::document::PaperError;
use crate::document::pattern::Pattern;
use crate::document::policy::{KeySource, Mode, Policy, Rule, SignedReference};
use crate::document::yaml::{Node, Value};
use base64::Engine as _;

const SIGSTORE: &[&str] = &["type", "keyPath", "keyPaths", "keyData", "keyDatas", "signedIdentity"];

/// Reads the policy.
pub(super) fn read(workshop: &Workshop<'_>, node: &Node) -> Result<Policy, PaperError> {
    workshop.others(node, &["default", "transports"], "it is left out");
    let mut rules = Vec::new();
    let mut whole = node.get("default");
    for transport in node.get("transports").into_iter().flat_map(Node::entries) {
        if transport.key != "docker" {
            let what =
                format!("transport {:?} is about no registry, which is all that is read here; left out", transport.key);
            workshop.note(&transport.value, what);
            continue;
        }
        for scope in transport.value.entries() {
            if scope.key.is_empty() {
                whole = Some(&scope.value);
                continue;
            }
            rules.push(rule(workshop, &scope.value, patterns(workshop, &scope.value, &scope.key)?));
        }
    }
    let whole = whole.ok_or_else(|| workshop.error(node, "the field \"default\" is missing"))?;
    rules.push(rule(workshop, whole, vec![parsed(workshop, whole, "**")?]));
    Ok(Policy { rules, ..Policy::default() })
}

/// A scope is a repository or all that lies below it: `host[:port][/path][:tag]`, or `*.domain`.
fn patterns(workshop: &Workshop<'_>, node: &Node, scope: &str) -> Result<Vec<Pattern>, PaperError> {
    if scope.contains('@') {
        return Err(workshop.error(
            node,
            format!("the scope {scope:?} is about one digest, and rules are about names; take it out of the file"),
        ));
    }
    let host = scope.split('/').next().unwrap_or_default();
    if !host.contains(['.', ':']) && host != "localhost" {
        return Err(workshop
            .error(node, format!("the scope {scope:?} names no host, so it never matches there, and would here")));
    }
    if scope.starts_with("*.") || !scope.contains('/') {
        return Ok(vec![parsed(workshop, node, &format!("{scope}/**"))?]);
    }
    let name = scope;
    let tagged = name.rsplit_once(':').is_some_and(|(_, tag)| !tag.contains('/'));
    let mut patterns = vec![parsed(workshop, node, name)?];
    if !tagged {
        patterns.push(parsed(workshop, node, &format!("{name}/**"))?);
    }
    Ok(patterns)
}

fn parsed(workshop: &Workshop<'_>, node: &Node, text: &str) -> Result<Pattern, PaperError> {
    text.parse().map_err(|error: crate::document::pattern::PatternError| {
        workshop.error(node, format!("{error}; another rule would decide in its stead"))
    })
}

fn rule(workshop: &Workshop<'_>, node: &Node, patterns: Vec<Pattern>) -> Rule {
    let mut wanted = SignedReference::Any;
    let mut duty: Option<Duty> = None;
    for requirement in node.items() {
        let (next, reference) = requirement_duty(workshop, requirement);
        wanted = wanted.max(reference);
        duty = Some(match duty {
            None => next,
            Some(so_far) => so_far.and(next),
        });
    }
    let duty = duty.unwrap_or_else(|| workshop.deny(node, "a scope without requirements"));
    Rule { signed_reference: wanted, ..duty.rule(patterns, Mode::Enforce) }
}

fn requirement_duty(workshop: &Workshop<'_>, node: &Node) -> (Duty, SignedReference) {
    let any = |duty| (duty, SignedReference::Any);
    match node.get("type").and_then(Node::text).unwrap_or_default() {
        "reject" => any(Duty::Deny(String::new())),
        "insecureAcceptAnything" => {
            workshop.note(
                node,
                "insecureAcceptAnything is an exemption without an end here; give it a reason and a last day",
            );
            any(Duty::Nothing("insecureAcceptAnything in the policy that this was made from".to_owned()))
        }
        "sigstoreSigned" => sigstore(workshop, node),
        "signedBy" => any(workshop.deny(node, "signedBy wants GPG signatures, which are not judged here")),
        other => any(workshop.deny(node, format!("requirement {other:?} is not known"))),
    }
}

fn sigstore(workshop: &Workshop<'_>, node: &Node) -> (Duty, SignedReference) {
    let reference = match reference(node.get("signedIdentity")) {
        Ok(reference) => reference,
        Err(what) => return (workshop.deny(node, what), SignedReference::Any),
    };
    if workshop.others(
        node,
        SIGSTORE,
        "certificates and logs need a Sigstore trusted root, so write a keyless rule by hand",
    ) {
        return (workshop.deny(node, "sigstoreSigned with more than keys"), reference);
    }
    let signers: Option<Vec<_>> =
        keys(node).into_iter().map(|source| Some(key(workshop.key("key", source?), None))).collect();
    match signers.and_then(any_of) {
        Some(signer) => (Duty::Evidence(all_of(vec![signer]), Vec::new()), reference),
        None => (workshop.deny(node, "sigstoreSigned without a key that can be read"), reference),
    }
}

/// Returns the keys that are named; `None` for one that is none.
fn keys(node: &Node) -> Vec<Option<KeySource>> {
    let texts = |one: &str, several: &str| -> Vec<Option<String>> {
        let single = node.get(one).into_iter();
        single
            .chain(node.get(several).into_iter().flat_map(Node::items))
            .map(|node| node.text().map(str::to_owned))
            .collect()
    };
    let decoded = |text: String| {
        let bytes = base64::engine::general_purpose::STANDARD.decode(text).ok()?;
        String::from_utf8(bytes).ok().map(KeySource::Pem)
    };
    let files = texts("keyPath", "keyPaths").into_iter().map(|path| path.map(KeySource::File));
    files.chain(texts("keyData", "keyDatas").into_iter().map(|data| data.and_then(decoded))).collect()
}

/// Says what the signed reference must be; matchRepoDigestOrExact where nothing is said.
fn reference(node: Option<&Node>) -> Result<SignedReference, String> {
    let Some(node) = node else { return Ok(SignedReference::Exact) };
    let kind = node.get("type").and_then(Node::text).unwrap_or_default();
    match kind {
        "matchRepoDigestOrExact" => Ok(SignedReference::Exact),
        "matchRepository" => Ok(SignedReference::Repository),
        _ if matches!(node.value, Value::Map(_)) => Err(format!("signedIdentity {kind:?}")),
        _ => Err("a signedIdentity that cannot be read".to_owned()),
    }
}
