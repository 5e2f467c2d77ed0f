//! Attestors of Kyverno: keys, keyless identities and certificates, and how many of several must have signed.

use super::Workshop;
use super::duty::{any_of, wildcard};
use super::image_policy::signer;
use crate::document::policy::{
    AcceptedSigner, Claim, Consent, NotationSigner, Policy, SctDemand, TextMatch, TrustStoreSource,
};
use crate::document::yaml::Node;
use serde_json::json;

const KEYS: &[&str] = &["publicKeys", "signatureAlgorithm", "rekor", "ctlog"];
const KEYLESS: &[&str] =
    &["issuer", "issuerRegExp", "subject", "subjectRegExp", "rekor", "ctlog", "roots", "additionalExtensions"];
const PUBLIC_LOG: &str = "https://rekor.sigstore.dev";

/// Reads one attestor: all of its entries, or as many as `count` says.
pub(super) fn attestor(
    workshop: &Workshop<'_>,
    node: &Node,
    notary: bool,
    made: &mut Policy,
) -> Result<Consent, String> {
    if workshop.others(node, &["count", "entries"], "it may ask for more than can be said here") {
        return Err("an attestor with fields that are not known".to_owned());
    }
    let mut entries = Vec::new();
    for item in node.get("entries").into_iter().flat_map(Node::items) {
        entries.extend(entry(workshop, item, notary, made)?);
    }
    let count = match node.get("count").and_then(Node::text) {
        None => entries.len(),
        Some(text) => {
            text.parse::<usize>().ok().filter(|count| *count > 0).ok_or("a count that is no number from 1 on")?
        }
    };
    match (count, entries.len()) {
        (_, 0) => Err("an attestor without entries".to_owned()),
        (count, entries) if count > entries => Err(format!("a count of {count} of {entries} entries")),
        (1, _) => any_of(entries).ok_or_else(|| "an attestor without entries".to_owned()),
        (count, all) if count == all => Ok(Consent::AllOf(entries)),
        // A threshold asks for different signers, which is stricter than a count of entries.
        (count, _) if entries.iter().all(|entry| matches!(entry, Consent::Signer(_))) => {
            Ok(Consent::Threshold(count, entries))
        }
        _ => Err("a count over groups of attestors".to_owned()),
    }
}

/// Reads one entry; several keys in one text are entries of their own.
fn entry(workshop: &Workshop<'_>, node: &Node, notary: bool, made: &mut Policy) -> Result<Vec<Consent>, String> {
    if let Some(annotations) = node.get("annotations") {
        workshop.note(annotations, "annotations of a signature are not compared here");
        return Err("an attestor that wants annotations".to_owned());
    }
    if let Some(place) = node.get("repository") {
        workshop.note(place, "signatures are looked for beside the artifact only, not in another repository");
    }
    match (node.get("keys"), node.get("keyless"), node.get("certificates"), node.get("attestor")) {
        (Some(keys), None, None, None) if !notary => keyed(workshop, keys),
        (None, Some(keyless), None, None) if !notary => keyless_of(workshop, keyless).map(|signer| vec![signer]),
        (None, None, Some(certificates), None) if notary => notation(certificates, made).map(|signer| vec![signer]),
        (None, None, None, Some(nested)) => attestor(workshop, nested, notary, made).map(|nested| vec![nested]),
        _ => Err("an attestor of a kind that is not taken over".to_owned()),
    }
}

fn keyed(workshop: &Workshop<'_>, node: &Node) -> Result<Vec<Consent>, String> {
    if workshop.others(node, KEYS, "its key is in another place than the file") {
        return Err("a key that is not in the file".to_owned());
    }
    if node.get("signatureAlgorithm").and_then(Node::text).is_some_and(|text| text != "sha256") {
        return Err("a key with another algorithm than sha256".to_owned());
    }
    let text = node.get("publicKeys").and_then(Node::text).unwrap_or_default();
    let root = log_root(workshop, node)?;
    let read = workshop.pem_keys("key", text, root.as_deref());
    read.ok_or_else(|| "publicKeys that are no PEM of public keys".to_owned())
}

/// Names the root of the log that must know a signature; `None` where none must. Kyverno asks the public log unless told otherwise.
fn log_root(workshop: &Workshop<'_>, node: &Node) -> Result<Option<String>, String> {
    let Some(rekor) = node.get("rekor") else { return Ok(Some(workshop.public_root())) };
    if rekor.get("ignoreTlog").and_then(Node::text) == Some("true") {
        return Ok(None);
    }
    if workshop.others(rekor, &["url", "ignoreTlog"], "describe the log by a trusted root") {
        return Err("a log with a key of its own".to_owned());
    }
    match rekor.get("url").and_then(Node::text) {
        None | Some(PUBLIC_LOG) => Ok(Some(workshop.public_root())),
        Some(url) => Ok(Some(workshop.root_to_be_made(rekor, "kyverno-log", &format!("the log {url}")))),
    }
}

fn keyless_of(workshop: &Workshop<'_>, node: &Node) -> Result<Consent, String> {
    if workshop.others(node, KEYLESS, "it may ask for more than can be said here") {
        return Err("a keyless attestor with fields that are not known".to_owned());
    }
    let log = log_root(workshop, node)?.ok_or("a keyless attestor without a log")?;
    let root = match node.get("roots") {
        Some(roots) => workshop.root_to_be_made(roots, "kyverno-roots", "certificate authorities of its own"),
        None => log,
    };
    let text = |exact: &str, regexp: &str, read: fn(&str) -> TextMatch| match (
        node.get(exact).and_then(Node::text),
        node.get(regexp).and_then(Node::text),
    ) {
        (Some(text), None) => Ok(read(text)),
        (None, Some(text)) => {
            super::duty::search(text).ok_or_else(|| format!("{regexp} {text:?} does not compile here"))
        }
        (None, None) => Err(format!("a keyless attestor without {exact}")),
        (Some(_), Some(_)) => Err(format!("a keyless attestor with both {exact} and {regexp}")),
    };
    let issuer = text("issuer", "issuerRegExp", |text| TextMatch::Exact(text.to_owned()))?;
    let subject = text("subject", "subjectRegExp", wildcard)?;
    let sct = match node.at(&["ctlog", "ignoreSCT"]).and_then(Node::text) {
        Some("true") => SctDemand::None,
        _ => SctDemand::Required,
    };
    with_claims(signer(&root, issuer, subject, sct), node)
}

/// Extensions of a certificate by the names that Kyverno has for them; numbers are the same everywhere.
const EXTENSIONS: [(&str, Claim); 10] = [
    ("githubWorkflowTrigger", Claim::WorkflowTrigger),
    ("githubWorkflowSha", Claim::WorkflowSha),
    ("githubWorkflowName", Claim::WorkflowName),
    ("githubWorkflowRepository", Claim::WorkflowRepository),
    ("githubWorkflowRef", Claim::WorkflowRef),
    ("1.3.6.1.4.1.57264.1.2", Claim::WorkflowTrigger),
    ("1.3.6.1.4.1.57264.1.3", Claim::WorkflowSha),
    ("1.3.6.1.4.1.57264.1.4", Claim::WorkflowName),
    ("1.3.6.1.4.1.57264.1.5", Claim::WorkflowRepository),
    ("1.3.6.1.4.1.57264.1.6", Claim::WorkflowRef),
];

fn with_claims(signer: Consent, node: &Node) -> Result<Consent, String> {
    let Consent::Signer(AcceptedSigner::Keyless(mut keyless)) = signer else { return Ok(signer) };
    for entry in node.get("additionalExtensions").into_iter().flat_map(Node::entries) {
        let known = EXTENSIONS.iter().find(|(name, _)| *name == entry.key);
        let (_, claim) = known.ok_or_else(|| format!("the extension {:?} of a certificate", entry.key))?;
        let value = entry.value.text().ok_or("an extension that is no text")?;
        if value.contains(['*', '?']) {
            return Err(format!("the extension {:?} with wildcards", entry.key));
        }
        keyless.claims.insert(*claim, value.to_owned());
    }
    Ok(Consent::Signer(AcceptedSigner::Keyless(keyless)))
}

/// A certificate of Kyverno's type Notary is a trust store whose holders all count.
fn notation(node: &Node, made: &mut Policy) -> Result<Consent, String> {
    let pem = node.get("cert").and_then(Node::text).filter(|_| node.entries().len() == 1);
    let pem = pem.ok_or("certificates with more than cert")?;
    let read = |form| serde_json::from_value::<TrustStoreSource>(form).map_err(|error| error.to_string());
    let store = read(json!({"type": "ca", "pem": pem}))?;
    let known = made.trust_stores.iter().find(|(_, known)| **known == store).map(|(name, _)| name.clone());
    let name = known.unwrap_or_else(|| format!("kyverno-{}", made.trust_stores.len() + 1));
    made.trust_stores.insert(name.clone(), store);
    let form = json!({"trustStores": [format!("ca:{name}")], "identities": ["*"]});
    let signer: NotationSigner = serde_json::from_value(form).map_err(|error| error.to_string())?;
    Ok(Consent::Signer(AcceptedSigner::Notation(signer)))
}
