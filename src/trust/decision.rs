//! The decision of a rule over what was found: what is met, what is missing, and what speaks against what is there.

use super::consent::{Answer, Ask, Holders};
use super::explain::DemandStep;
use super::judged::{self, Judged};
use super::outcome::Refusal;
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
    let mut asked: Vec<(&Ask, DemandStep)> = Vec::new();
    if let Some(ask) = &wants.signatures {
        asked.push((ask, step(wants, ask, "signature".to_owned(), &judged::signing(judged))));
    }
    for (number, wanted) in wants.attestations.iter().enumerate() {
        let what = format!("attestation of type {}", wanted.demand.types);
        asked.push((&wanted.by, step(wants, &wanted.by, what, &judged::attesting(judged, number))));
    }
    let decision = match asked.iter().find(|(_, step)| !step.met) {
        Some((ask, missing)) => why_missing(ask, missing, judged),
        None => Decision::accept(asked.iter().map(|(_, step)| step.why.as_str()).collect::<Vec<_>>().join("; ")),
    };
    Decision { steps: asked.into_iter().map(|(_, step)| step).collect(), ..decision }
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
fn why_missing(ask: &Ask, missing: &DemandStep, judged: &[Judged]) -> Decision {
    let DemandStep { what, by, .. } = missing;
    if judged.is_empty() {
        return Decision::refuse(format!("nothing was found beside it; the rule wants a {what} by {by}"))
            .hint("sign it, or add a rule that exempts it with a reason and a last day");
    }
    let signers = ask.signers();
    // A piece may hold under a signer that this demand does not ask; why it does not count here is what matters.
    let mut found: Vec<(Option<&Refusal>, &Judged)> =
        judged.iter().map(|piece| (piece.closest(|at| signers.contains(&at)), piece)).collect();
    found.sort_by_key(|(refusal, _)| std::cmp::Reverse(refusal.map(|refusal| refusal.closeness)));
    let hint = found.iter().find_map(|(refusal, _)| refusal.map(|refusal| refusal.hint)).unwrap_or_default();
    let mut reasons: Vec<&str> = Vec::new();
    for (refusal, piece) in &found {
        let reason = refusal.map_or(piece.record.reason.as_str(), |refusal| refusal.reason.as_str());
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
