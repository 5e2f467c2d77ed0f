//! `verifyImages` of Kyverno: every rule that matches must be satisfied, and all attestors of it.

use super::Workshop;
use super::duty::{Duty, all_of};
use super::image_policy::NAMES;
use super::kyverno_attestors::attestor;
use super::together::{Obligation, hosted, rules};
use crate::document::PaperError;
use crate::document::policy::{AttestationDemand, Consent, Mode, Policy, PredicateTypes, SignedBy};
use crate::document::yaml::Node;

const RULE: &[&str] = &[
    "imageReferences",
    "skipImageReferences",
    "attestors",
    "attestations",
    "type",
    "failureAction",
    "mutateDigest",
    "verifyDigest",
    "required",
    "useCache",
    "repository",
];
const ATTESTATION: &[&str] = &["name", "type", "predicateType", "attestors"];

/// Reads the policies.
pub(super) fn read(workshop: &Workshop<'_>, documents: &[Node]) -> Result<Policy, PaperError> {
    let mut obligations = Vec::new();
    let mut made = Policy::default();
    for document in documents {
        let spec = document.get("spec").ok_or_else(|| workshop.error(document, "the field \"spec\" is missing"))?;
        let mode = spec.get("validationFailureAction").map_or(Mode::Enforce, action);
        for rule in spec.get("rules").into_iter().flat_map(Node::items) {
            let Some(images) = rule.get("verifyImages") else {
                workshop.note(rule, "a rule without verifyImages is about no image; left out");
                continue;
            };
            workshop.others(rule, &["name", "verifyImages"], "the rule is about all artifacts of its patterns");
            for node in images.items() {
                obligations.push(obligation(workshop, node, mode, &mut made)?);
            }
        }
    }
    made.rules = rules(workshop, obligations)?;
    Ok(made)
}

fn action(node: &Node) -> Mode {
    if node.text().is_some_and(|text| text.eq_ignore_ascii_case("audit")) { Mode::Audit } else { Mode::Enforce }
}

fn obligation<'n>(
    workshop: &Workshop<'_>,
    node: &'n Node,
    mode: Mode,
    made: &mut Policy,
) -> Result<Obligation<'n>, PaperError> {
    let mode = node.get("failureAction").map_or(mode, action);
    let mut patterns = Vec::new();
    let references = node.get("imageReferences");
    for reference in references.into_iter().flat_map(Node::items).chain(references.filter(|node| node.text().is_some()))
    {
        patterns.extend(reference_patterns(workshop, reference)?);
    }
    if patterns.is_empty() {
        return Err(
            workshop.error(node, "verifyImages without imageReferences: another rule would decide in its stead")
        );
    }
    if let Some(skip) = node.get("skipImageReferences") {
        workshop.note(skip, "skipImageReferences is left out: what it names is judged as well");
    }
    for name in ["mutateDigest", "verifyDigest", "required", "useCache"] {
        if let Some(field) = node.get(name) {
            workshop
                .note(field, format!("{name} has no meaning here: artifacts are pinned by digest and always judged"));
        }
    }
    if let Some(place) = node.get("repository") {
        workshop.note(place, "signatures are looked for beside the artifact only, not in another repository");
    }
    let duty = duty(workshop, node, made).unwrap_or_else(|what| workshop.deny(node, what));
    Ok(Obligation { node, patterns, duty, mode })
}

/// In a reference of Kyverno `*` stands for any characters, slashes and the tag too.
fn reference_patterns(workshop: &Workshop<'_>, node: &Node) -> Result<Vec<String>, PaperError> {
    let text = node.text().unwrap_or_default();
    if text == "*" {
        return Ok(vec!["**".to_owned()]);
    }
    let error = || {
        let why = format!("{text:?} has wildcards that no pattern here has; another rule would decide in its stead");
        workshop.error(node, why)
    };
    let text = hosted(text.strip_suffix(":*").unwrap_or(text));
    let Some(stem) = text.strip_suffix('*') else {
        return if text.contains(['*', '?', '@']) { Err(error()) } else { Ok(vec![text]) };
    };
    if stem.contains(['*', '?', '@']) {
        return Err(error());
    }
    match stem.rsplit_once('/') {
        Some((_, "")) => Ok(vec![format!("{stem}**")]),
        Some((_, name)) if !name.contains(':') => Ok(vec![format!("{stem}*"), format!("{stem}*/**")]),
        _ => Err(error()),
    }
}

fn duty(workshop: &Workshop<'_>, node: &Node, made: &mut Policy) -> Result<Duty, String> {
    if workshop.others(node, RULE, "it may ask for more than can be said here") {
        return Err("verifyImages with fields that are not known".to_owned());
    }
    let notary = match node.get("type").and_then(Node::text) {
        None | Some("Cosign" | "SigstoreBundle") => false,
        Some("Notary") => true,
        Some(other) => return Err(format!("verifyImages of the type {other:?}")),
    };
    let signatures = attestors(workshop, node, notary, made)?;
    let mut attestations = Vec::new();
    for attestation in node.get("attestations").into_iter().flat_map(Node::items) {
        attestations.push(attested(workshop, attestation, (notary, signatures.as_ref()), made)?);
    }
    if signatures.is_none() && attestations.is_empty() {
        return Err("verifyImages that asks for nothing that can be taken over".to_owned());
    }
    Ok(Duty::Evidence(signatures, attestations))
}

/// Reads a list of attestors, all of which must have signed.
fn attestors(workshop: &Workshop<'_>, node: &Node, notary: bool, made: &mut Policy) -> Result<Option<Consent>, String> {
    let list = node.get("attestors").into_iter().flat_map(Node::items);
    let read: Result<Vec<Consent>, String> = list.map(|node| attestor(workshop, node, notary, made)).collect();
    read.map(all_of)
}

fn attested(
    workshop: &Workshop<'_>,
    node: &Node,
    (notary, signatures): (bool, Option<&Consent>),
    made: &mut Policy,
) -> Result<AttestationDemand, String> {
    if notary {
        return Err("attestations that are signed by Notation".to_owned());
    }
    if workshop.others(node, ATTESTATION, "write constraints (where) by hand") {
        return Err("attestations with conditions".to_owned());
    }
    let text = node.get("type").or_else(|| node.get("predicateType")).and_then(Node::text);
    let text = text.ok_or("an attestation without a type")?;
    let uri = NAMES.iter().find(|(name, _)| *name == text).map_or(text, |(_, uri)| *uri);
    let by = match attestors(workshop, node, notary, made)? {
        Some(by) => by,
        None => signatures.cloned().ok_or("an attestation that names nobody who signed it")?,
    };
    Ok(AttestationDemand {
        signed_by: SignedBy::Signers(by),
        ..AttestationDemand::of(PredicateTypes::One(uri.to_owned()))
    })
}
