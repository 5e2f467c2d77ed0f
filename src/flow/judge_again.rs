//! Judges what a bundle carries under another policy than its author's: in a transfer zone, or inside the enclave.

use super::error::FlowError;
use super::gather::refusal;
use super::shipment::{Shipment, judged_subject};
use crate::document::evidence::{ArtifactEvidence, Attached, BundleEvidence};
use crate::model::Digest;
use crate::trust::{Candidate, Judge};

/// Judges every artifact anew; lists all refusals before it fails. Copies nothing from the author's verdicts.
pub fn judge_again(shipment: &Shipment, judge: &Judge) -> Result<BundleEvidence, FlowError> {
    let mut entries = Vec::new();
    let mut refused = Vec::new();
    for (artifact, carried) in shipment.lock.artifacts.iter().zip(&shipment.evidence.artifacts) {
        let subject = judged_subject(artifact);
        let candidates = carried_candidates(shipment, carried, &subject.digest);
        let judgement = judge.judge(&artifact.source, &subject, &candidates);
        if !judgement.accepted {
            refused.push(refusal(artifact, &judgement));
        }
        entries.push(ArtifactEvidence {
            subject: subject.digest,
            rule: judgement.rule,
            exemption: judgement.exemption,
            would_refuse: judgement.would_refuse,
            attached: carried.attached.clone(),
            judged: judgement.evidence,
        });
    }
    if refused.is_empty() { Ok(BundleEvidence::new(entries)) } else { Err(FlowError::Refused(refused)) }
}

/// Returns what a bundle carries about `subject`, in the form that a judge takes.
pub fn carried_candidates(shipment: &Shipment, carried: &ArtifactEvidence, subject: &Digest) -> Vec<Candidate> {
    carried.attached.iter().filter(|a| a.subject == *subject).filter_map(|a| candidate(shipment, a)).collect()
}

fn candidate(shipment: &Shipment, attached: &Attached) -> Option<Candidate> {
    let document = shipment.verbatim(&attached.digest)?;
    let parsed = shipment.document(&attached.digest)?;
    let layers = parsed.children().into_iter().filter_map(|l| Some((l.clone(), shipment.small(&l.digest)?.to_vec())));
    Some(Candidate { tag: attached.tag.clone(), document, layers: layers.collect() })
}
