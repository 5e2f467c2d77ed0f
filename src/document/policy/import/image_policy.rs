//! `ClusterImagePolicy` of sigstore's policy-controller: every policy that matches must be satisfied, by any of its
//! authorities.

use super::Workshop;
use super::duty::{Duty, any_of, search};
use super::together::{Obligation, hosted, rules};
use crate::document::PaperError;
use crate::document::policy::{
    AcceptedSigner, AttestationDemand, Consent, KeylessSigner, LogDemand, Mode, Policy, PredicateTypes, Regexp,
    SctDemand, SignedBy, TextMatch,
};
use crate::document::yaml::Node;
use std::collections::BTreeMap;

const PUBLIC: [&str; 4] = [
    "https://fulcio.sigstore.dev",
    "https://fulcio.sigstore.dev/",
    "https://rekor.sigstore.dev",
    "https://rekor.sigstore.dev/",
];

/// Reads the policies.
pub(super) fn read(workshop: &Workshop<'_>, documents: &[Node]) -> Result<Policy, PaperError> {
    let mut obligations = Vec::new();
    for document in documents {
        let spec = document.get("spec").ok_or_else(|| workshop.error(document, "the field \"spec\" is missing"))?;
        let name = document.at(&["metadata", "name"]).and_then(Node::text).unwrap_or("policy");
        let mode = match spec.get("mode").and_then(Node::text) {
            Some("warn") => Mode::Audit,
            _ => Mode::Enforce,
        };
        let mut patterns = Vec::new();
        for image in spec.get("images").into_iter().flat_map(Node::items) {
            let glob = image.get("glob").and_then(Node::text);
            let glob = glob.ok_or_else(|| {
                workshop.error(image, "an image without a glob: another rule would decide in its stead")
            })?;
            patterns.push(hosted(glob));
        }
        if let Some(matched) = spec.get("match") {
            workshop.note(
                matched,
                "\"match\" is about resources of a cluster; the rule is about all artifacts of its patterns",
            );
        }
        obligations.push(Obligation { node: document, patterns, duty: duty(workshop, spec, name), mode });
    }
    Ok(Policy { rules: rules(workshop, obligations)?, ..Policy::default() })
}

/// What an authority takes: a signature, or one attestation of each type.
struct Authority {
    signer: Consent,
    attestations: Vec<PredicateTypes>,
}

fn duty(workshop: &Workshop<'_>, spec: &Node, name: &str) -> Duty {
    if let Some(policy) = spec.get("policy") {
        return workshop.deny(policy, "a policy in CUE or Rego over all authorities");
    }
    if workshop.others(spec, &["images", "authorities", "mode", "match"], "it may ask for more than can be said here") {
        return workshop.deny(spec, "a policy with fields that are not known");
    }
    let mut authorities = Vec::new();
    for node in spec.get("authorities").into_iter().flat_map(Node::items) {
        match node.at(&["static", "action"]).and_then(Node::text) {
            Some("pass") => {
                workshop
                    .note(node, "a static pass is an exemption without an end here; give it a reason and a last day");
                return Duty::Nothing("a static pass in the policy that this was made from".to_owned());
            }
            Some(_) => continue,
            None => {}
        }
        match authority(workshop, node, name) {
            Ok(authority) => authorities.push(authority),
            // Any authority is enough, so one that cannot be taken over only makes the rule stricter.
            Err(what) => workshop.note(node, format!("authority left out: {what}")),
        }
    }
    together(workshop, spec, authorities)
}

fn together(workshop: &Workshop<'_>, spec: &Node, authorities: Vec<Authority>) -> Duty {
    let types: Vec<PredicateTypes> = authorities.first().map(|first| first.attestations.clone()).unwrap_or_default();
    if authorities.iter().any(|authority| authority.attestations != types) || (types.len() > 1 && authorities.len() > 1)
    {
        return workshop.deny(spec, "authorities that want different attestations");
    }
    let signers: Vec<Consent> = authorities.into_iter().map(|authority| authority.signer).collect();
    match any_of(signers) {
        None => workshop.deny(spec, "no authority of it can be taken over"),
        // Where an authority wants attestations, it is they that are verified, and no signature beside them.
        Some(signer) if !types.is_empty() => {
            let demand = |types| AttestationDemand {
                signed_by: SignedBy::Signers(signer.clone()),
                ..AttestationDemand::of(types)
            };
            Duty::Evidence(None, types.into_iter().map(demand).collect())
        }
        Some(signer) => Duty::Evidence(Some(signer), Vec::new()),
    }
}

fn authority(workshop: &Workshop<'_>, node: &Node, policy: &str) -> Result<Authority, String> {
    let known = ["name", "key", "keyless", "attestations", "ctlog", "source", "signatureFormat"];
    if workshop.others(node, &known, "its authority is left out") {
        return Err("it has fields that are not known".to_owned());
    }
    if let Some(source) = node.get("source") {
        workshop.note(source, "signatures are looked for beside the artifact only, not in another repository");
    }
    let name = node.get("name").and_then(Node::text).unwrap_or(policy);
    let signer = match (node.get("key"), node.get("keyless")) {
        (Some(key), None) => keyed(workshop, key, name, node.get("ctlog"))?,
        (None, Some(keyless)) => keyless_of(workshop, keyless, name, node.get("ctlog"))?,
        _ => return Err("it is neither a key nor keyless".to_owned()),
    };
    let mut attestations = Vec::new();
    for attestation in node.get("attestations").into_iter().flat_map(Node::items) {
        if attestation.get("policy").is_some() {
            return Err("it compares attestations by CUE or Rego; write constraints (where) by hand".to_owned());
        }
        attestations.push(predicate(attestation)?);
    }
    Ok(Authority { signer, attestations })
}

/// Names of predicate types that cosign has.
pub(super) const NAMES: [(&str, &str); 8] = [
    ("slsaprovenance", "https://slsa.dev/provenance/v0.2"),
    ("slsaprovenance02", "https://slsa.dev/provenance/v0.2"),
    ("slsaprovenance1", "https://slsa.dev/provenance/v1"),
    ("spdx", "https://spdx.dev/Document"),
    ("spdxjson", "https://spdx.dev/Document"),
    ("cyclonedx", "https://cyclonedx.org/bom"),
    ("vuln", "https://cosign.sigstore.dev/attestation/vuln/v1"),
    ("openvex", "https://openvex.dev/ns"),
];

fn predicate(node: &Node) -> Result<PredicateTypes, String> {
    let text = node.get("predicateType").and_then(Node::text).ok_or("an attestation without a predicateType")?;
    let known = NAMES.iter().find(|(name, _)| *name == text).map(|(_, uri)| *uri);
    match known {
        Some(uri) => Ok(PredicateTypes::One(uri.to_owned())),
        None if text.contains("://") => Ok(PredicateTypes::One(text.to_owned())),
        None => Err(format!("the predicateType {text:?} is not known")),
    }
}

fn keyed(workshop: &Workshop<'_>, node: &Node, name: &str, ctlog: Option<&Node>) -> Result<Consent, String> {
    if workshop.others(node, &["data", "hashAlgorithm"], "its authority is left out") {
        return Err("its key is not in the file".to_owned());
    }
    if node.get("hashAlgorithm").and_then(Node::text).is_some_and(|text| text != "sha256") {
        return Err("it hashes by another algorithm than sha256".to_owned());
    }
    let text = node.get("data").and_then(Node::text).ok_or("its key is not in the file")?;
    if ctlog.is_none() {
        workshop.note(node, "a key without ctlog: no log is asked, as there; log: promise with a trustRoot asks one");
    }
    let root = ctlog.map(|ctlog| log_root(workshop, ctlog, name));
    let signers = workshop.pem_keys(name, text, root.as_deref()).ok_or("its key is no PEM of a public key")?;
    any_of(signers).ok_or_else(|| "it has no key".to_owned())
}

/// Names the root by which a log is judged.
fn log_root(workshop: &Workshop<'_>, node: &Node, name: &str) -> String {
    let url = node.get("url").and_then(Node::text);
    match node.get("trustRootRef").and_then(Node::text) {
        None if url.is_none_or(|url| PUBLIC.contains(&url)) => workshop.public_root(),
        Some(reference) => workshop.root_to_be_made(node, reference, &format!("trustRootRef {reference:?}")),
        None => workshop.root_to_be_made(node, name, &format!("the log {}", url.unwrap_or_default())),
    }
}

fn keyless_of(workshop: &Workshop<'_>, node: &Node, name: &str, ctlog: Option<&Node>) -> Result<Consent, String> {
    let known = ["url", "identities", "ca-cert", "trustRootRef", "insecureIgnoreSCT"];
    if workshop.others(node, &known, "its authority is left out") {
        return Err("it has fields that are not known".to_owned());
    }
    let url = node.get("url").and_then(Node::text);
    let trust_root = match node.get("trustRootRef").and_then(Node::text) {
        Some(reference) => workshop.root_to_be_made(node, reference, &format!("trustRootRef {reference:?}")),
        None if node.get("ca-cert").is_some() || url.is_some_and(|url| !PUBLIC.contains(&url)) => {
            workshop.root_to_be_made(node, name, "an instance of its own")
        }
        None => ctlog.map_or_else(|| workshop.public_root(), |ctlog| log_root(workshop, ctlog, name)),
    };
    let sct = match node.get("insecureIgnoreSCT").and_then(Node::text) {
        Some("true") => SctDemand::None,
        _ => SctDemand::Required,
    };
    let mut signers = Vec::new();
    for identity in node.get("identities").into_iter().flat_map(Node::items) {
        let issuer = text(identity, "issuer", "issuerRegExp")?;
        let subject = text(identity, "subject", "subjectRegExp")?;
        signers.push(signer(&trust_root, issuer, subject, sct));
    }
    any_of(signers).ok_or_else(|| "it names no identities".to_owned())
}

/// Makes a keyless signer without claims, whose log promises at least.
pub(super) fn signer(trust_root: &str, issuer: TextMatch, identity: TextMatch, sct: SctDemand) -> Consent {
    Consent::Signer(AcceptedSigner::Keyless(KeylessSigner {
        trust_root: trust_root.to_owned(),
        issuer,
        identity,
        claims: BTreeMap::new(),
        log: LogDemand::Promise,
        sct,
    }))
}

fn text(node: &Node, exact: &str, regexp: &str) -> Result<TextMatch, String> {
    match (node.get(exact).and_then(Node::text), node.get(regexp).and_then(Node::text)) {
        (Some(text), None) => Ok(TextMatch::Exact(text.to_owned())),
        (None, Some(text)) => search(text).ok_or_else(|| format!("{regexp} {text:?} does not compile here")),
        (None, None) => Regexp::new("^.*$").map(TextMatch::Regexp),
        (Some(_), Some(_)) => Err(format!("it has both {exact} and {regexp}")),
    }
}
