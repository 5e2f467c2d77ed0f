//! Explains how a policy decides, over registries or over a bundle: nothing is packed, and nothing is refused.

use super::attachments::Discovery;
use super::context::Context;
use super::error::FlowError;
use super::gather::Collector;
use super::judge_again::carried_candidates;
use super::shipment::{Shipment, judged_subject};
use crate::document::evidence::ExemptionUsed;
use crate::document::lock::{Lock, LockedArtifact};
use crate::model::event::Stage;
use crate::model::port::Source;
use crate::model::{Content, Descriptor, Digest, Event, Evidence, ImageRef, MediaType};
use crate::trust::{Attempted, Candidate, DemandStep, Explanation, Judge, RuleAbout};
use serde::Serialize;

/// Decisions over all artifacts of a lock or a bundle.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Checked {
    /// One for each artifact, in the order of the lock.
    pub artifacts: Vec<CheckedArtifact>,
    /// What looking for evidence cost; absent for a bundle, which is asked nothing.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub discovery: Option<Discovery>,
}

/// The decision over one artifact, with every step that led to it.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct CheckedArtifact {
    /// Source as the lock names it; it decides which rule is asked.
    pub source: ImageRef,
    /// Digest that was judged.
    pub digest: Digest,
    /// Whether it may be carried.
    pub accepted: bool,
    /// Rule that decided.
    pub rule: String,
    /// Why.
    pub reason: String,
    /// What a person can do.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub hint: String,
    /// Exemption by which it is accepted.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub exemption: Option<ExemptionUsed>,
    /// Refusal that the mode `audit` turned into a warning.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub would_refuse: Option<String>,
    /// Rules that are about it, the one that decides first.
    pub rules: Vec<RuleAbout>,
    /// Everything that was found beside it.
    pub evidence: Vec<FoundEvidence>,
    /// What the rule demands, and whether it is met.
    pub demands: Vec<DemandStep>,
}

/// A piece of evidence, with how each signer of the rule judged it.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct FoundEvidence {
    /// The record as it would stand in a bundle.
    #[serde(flatten)]
    pub record: Evidence,
    /// Judgement under each signer; empty where there was nothing to judge.
    pub attempts: Vec<Attempted>,
}

/// Explains the decision over every artifact of `lock`, whose evidence is looked for at `source`.
pub fn check_policy(
    lock: &Lock,
    source: &dyn Source,
    judge: &Judge,
    context: &Context<'_>,
) -> Result<Checked, FlowError> {
    context.tell(Event::Started { stage: Stage::Judge, items: lock.artifacts.len() as u64, bytes: 0 });
    let mut collector = Collector::new(source, context.threads.max(8));
    collector.collect(lock)?;
    context.tell(Event::Finished { stage: Stage::Judge });
    let explained = |artifact| explained(artifact, &collector.candidates(artifact), judge);
    let artifacts = lock.artifacts.iter().map(explained).collect();
    Ok(Checked { artifacts, discovery: Some(collector.discovery) })
}

/// Explains the decision over every artifact that a bundle carries, offline, by what it carries.
pub fn check_bundle(shipment: &Shipment, judge: &Judge) -> Checked {
    let carried = shipment.lock.artifacts.iter().zip(&shipment.evidence.artifacts);
    let explained = |(artifact, carried)| {
        let candidates = carried_candidates(shipment, carried, &judged_subject(artifact).digest);
        explained(artifact, &candidates, judge)
    };
    Checked { artifacts: carried.map(explained).collect(), discovery: None }
}

fn explained(artifact: &LockedArtifact, candidates: &[Candidate], judge: &Judge) -> CheckedArtifact {
    told(&artifact.source, judged_subject(artifact), candidates, judge)
}

fn told(name: &ImageRef, subject: Descriptor, candidates: &[Candidate], judge: &Judge) -> CheckedArtifact {
    let Explanation { judgement, rules, attempts, demands } = judge.explain(name, &subject, candidates);
    let evidence = judgement.evidence.into_iter().zip(attempts);
    CheckedArtifact {
        source: name.clone(),
        digest: subject.digest,
        accepted: judgement.accepted,
        rule: judgement.rule,
        reason: judgement.reason,
        hint: judgement.hint,
        exemption: judgement.exemption,
        would_refuse: judgement.would_refuse,
        rules,
        evidence: evidence.map(|(record, attempts)| FoundEvidence { record, attempts }).collect(),
        demands,
    }
}

/// Explains the decision over an artifact of which nothing is known but its name, and perhaps its digest.
pub fn judge_nothing(name: &ImageRef, digest: Option<&Digest>, judge: &Judge) -> CheckedArtifact {
    let digest = digest.or(name.digest.as_ref()).cloned().unwrap_or_else(|| Digest::of(b""));
    let subject = Descriptor::new(MediaType::new(MediaType::OCI_MANIFEST), Content { digest, size: 0 });
    told(name, subject, &[], judge)
}
