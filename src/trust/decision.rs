//! The decision of a rule over what was found: what is met, what is missing, and what speaks against what is there.

use super::consent::{Answer, Ask, Holders};
use super::explain::DemandStep;
use super::judged::{self, Judged};
use super::rules::Wants;
use crate::document::evidence::ExemptionUsed;

/// Outcome of a rule, before its mode is looked at.
pub(super) struct Decision {
    pub accepted: bool,
    pub reason: String,
    pub hint: String,
    pub exemption: Option<ExemptionUsed>,
    /// Every demand of the rule, and whether it is met.
    pub steps: Vec<DemandStep>,
}

impl Decision {
    pub(super) fn accept(reason: impl Into<String>) -> Self {
        Self { accepted: true, ..Self::refuse(reason) }
    }

    pub(super) fn refuse(reason: impl Into<String>) -> Self {
        Self { accepted: false, reason: reason.into(), hint: String::new(), exemption: None, steps: Vec::new() }
    }

    #[must_use]
    pub(super) fn hint(mut self, hint: &str) -> Self {
        hint.clone_into(&mut self.hint);
        self
    }
}

/// Decides whether what was found is what the rule wants. Every demand is looked at, also after one is not met.
pub(super) fn decide(wants: &Wants, judged: &[Judged]) -> Decision {
    let mut steps = Vec::new();
    if let Some(ask) = &wants.signatures {
        steps.push(step(wants, ask, "signature".to_owned(), &judged::signing(judged)));
    }
    for (number, wanted) in wants.attestations.iter().enumerate() {
        let what = format!("attestation of type {}", wanted.demand.types);
        steps.push(step(wants, &wanted.by, what, &judged::attesting(judged, number)));
    }
    let decision = match steps.iter().find(|step| !step.met) {
        Some(missing) => why_missing(missing, judged),
        None => Decision::accept(steps.iter().map(|step| step.why.as_str()).collect::<Vec<_>>().join("; ")),
    };
    Decision { steps, ..decision }
}

fn step(wants: &Wants, ask: &Ask, what: String, holders: &Holders) -> DemandStep {
    let name = |at| wants.name(at);
    let by = ask.words(&name);
    match ask.answer(holders, &name) {
        Answer::Met(words) => DemandStep { what, by, met: true, why: words.join("; ") },
        Answer::Lacking(why) => DemandStep { what, by, met: false, why },
    }
}

/// Says what is missing, and what was found instead: the closest first, at most three reasons.
fn why_missing(missing: &DemandStep, judged: &[Judged]) -> Decision {
    let DemandStep { what, by, .. } = missing;
    if judged.is_empty() {
        return Decision::refuse(format!("nothing was found beside it; the rule wants a {what} by {by}"))
            .hint("sign it, or add a rule that exempts it with a reason and a last day");
    }
    let mut found: Vec<&Judged> = judged.iter().collect();
    found.sort_by_key(|piece| std::cmp::Reverse(piece.refusal.as_ref().map(|refusal| refusal.closeness)));
    let hint = found.iter().find_map(|piece| piece.refusal.as_ref().map(|refusal| refusal.hint)).unwrap_or_default();
    let mut reasons: Vec<&str> = Vec::new();
    for piece in &found {
        let reason = piece.record.reason.as_str();
        if reasons.len() < 3 && !reasons.contains(&reason) {
            reasons.push(reason);
        }
    }
    let count = if judged.len() == 1 { "found".to_owned() } else { format!("found {}", judged.len()) };
    let counted = if missing.why.contains(" of ") && missing.why.contains("different signers") {
        format!("; {}", missing.why)
    } else {
        String::new()
    };
    Decision::refuse(format!("no {what} that the rule wants (by {by}){counted}; {count}: {}", reasons.join("; ")))
        .hint(hint)
}
