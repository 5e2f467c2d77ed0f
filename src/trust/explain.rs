//! How a decision came about, step by step: for the person who asks why.

use super::judge::Judgement;
use super::rules::Match;
use serde::Serialize;

/// A judgement with its steps.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Explanation {
    /// What was decided.
    pub judgement: Judgement,
    /// Rules that are about the artifact, the one that decides first.
    pub rules: Vec<RuleAbout>,
    /// How each piece of evidence was judged under each signer of the rule, in the order of the judgement's evidence.
    pub attempts: Vec<Vec<Attempted>>,
    /// Demands of the rule, in its order: first the signatures, then the attestations.
    pub demands: Vec<DemandStep>,
}

/// A rule that is about an artifact.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct RuleAbout {
    /// Name of the rule, with the pattern.
    pub rule: String,
    /// The pattern by which it is about the artifact.
    pub pattern: String,
    /// Characters of the pattern that are no wildcard: the most specific pattern decides, then the order.
    pub specificity: usize,
}

/// One piece of evidence under one signer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Attempted {
    /// The signer, as the rule wants it.
    pub signer: String,
    /// Whether it holds as one of this signer, and as the rule wants it.
    pub holds: bool,
    /// What was verified, or why it does not count.
    pub reason: String,
}

/// One demand of a rule.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct DemandStep {
    /// What: a signature, or an attestation of a type.
    pub what: String,
    /// By whom.
    pub by: String,
    /// Whether it is met.
    pub met: bool,
    /// What meets it, or what is lacking.
    pub why: String,
}

impl RuleAbout {
    pub(super) fn of(found: &Match<'_>) -> Self {
        Self { rule: found.words(), pattern: found.pattern.to_string(), specificity: found.pattern.specificity() }
    }
}
