//! What is carried although nothing vouches for it: exemptions, and refusals that a policy only watches. Said in
//! every run, and in every receipt.

use crate::document::evidence::{BundleEvidence, ExemptionUsed};
use crate::document::lock::Lock;
use crate::model::Finding;
use crate::model::evidence::{FindingClass, Severity};

/// Returns one finding for each artifact of `lock` that `evidence` shows to be carried by an exemption or by the mode `audit`.
pub fn notices(lock: &Lock, evidence: &BundleEvidence) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (artifact, found) in lock.artifacts.iter().zip(&evidence.artifacts) {
        let place = artifact.source.at(&artifact.digest).to_string();
        if let Some(ExemptionUsed { reason, until }) = &found.exemption {
            let end = if until == "never" { "without an end".to_owned() } else { format!("until {until}") };
            let what = format!("carried without evidence by an exemption {end}: {reason} ({})", found.rule);
            let finding = Finding { severity: Severity::Note, ..Finding::error(FindingClass::Policy, &place, what) };
            findings.push(finding);
        }
        if let Some(refusal) = &found.would_refuse {
            let what = format!("carried, but the policy would refuse it (mode audit, {}): {refusal}", found.rule);
            let hint = "mode: enforce in the policy refuses it";
            findings.push(Finding::warning(FindingClass::Policy, &place, what).with_hint(hint));
        }
    }
    findings
}
