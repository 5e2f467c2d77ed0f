//! The judge: whether an artifact may be carried, by which rule, and what was found beside it.

use super::attempt::Signature;
use super::decision::{self, Decision};
use super::explain::{Attempted, Explanation, RuleAbout};
use super::judged::{Judged, PieceUnder};
use super::pieces::{self, Candidate, Piece};
use super::policy_files::PolicyFiles;
use super::rules::{self, Match, ReadyDemand, ReadyRule, Wants};
use super::signers::{Material, TrustError};
use super::time;
use crate::document::evidence::ExemptionUsed;
use crate::document::policy::{Exemption, Mode, Policy, TrustRootSource};
use crate::model::{Descriptor, Evidence, ImageRef};
use std::collections::BTreeMap;

/// Judges artifacts under one policy, at one time.
pub struct Judge {
    rules: Vec<ReadyRule>,
    place: String,
    mode: Mode,
    /// Roots that are older than the policy takes, by name, with the reason.
    stale: BTreeMap<String, String>,
    now: i64,
}

/// What was decided about an artifact, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Judgement {
    /// Whether it may be carried.
    pub accepted: bool,
    /// Rule that decided: `policy.yaml rule 2 (ghcr.io/x/**)`, or the flag.
    pub rule: String,
    /// Why, as a lower-case fragment.
    pub reason: String,
    /// What a person can do; empty where nothing better than the obvious is known.
    pub hint: String,
    /// All that was found, in the order of the candidates, each judged by itself.
    pub evidence: Vec<Evidence>,
    /// Exemption by which it was accepted.
    pub exemption: Option<ExemptionUsed>,
    /// Refusal that the mode `audit` turned into a warning.
    pub would_refuse: Option<String>,
}

impl Judge {
    /// Makes `policy` ready: `load` reads keys, roots and trust stores by the paths in it, `now` is in seconds since 1970.
    ///
    /// `now` decides about exemptions, ages and signatures from the future. The verifying library also compares log
    /// times with the clock of the machine.
    pub fn new(policy: &Policy, load: &mut dyn PolicyFiles, now: i64) -> Result<Self, TrustError> {
        // Without one, everything up to the first verification would seem to work.
        if sigstore_crypto::try_default_provider().is_none() {
            return Err(TrustError::NoProvider);
        }
        let material = Material::load(policy, load)?;
        Ok(Self {
            rules: rules::ready(policy, &material)?,
            place: policy.place.clone(),
            mode: policy.mode,
            stale: stale(policy, now),
            now,
        })
    }

    /// Judges the artifact called `name` at its source, whose bytes have the digest in `subject`, by what was
    /// found beside it.
    ///
    /// The name decides only which rule is about it. Evidence that cannot be judged never counts for the
    /// artifact; whether it counts against it is for the rule's own demands to decide.
    pub fn judge(&self, name: &ImageRef, subject: &Descriptor, candidates: &[Candidate]) -> Judgement {
        self.explain(name, subject, candidates).judgement
    }

    /// Judges as [`Judge::judge`] does, and keeps every step.
    pub fn explain(&self, name: &ImageRef, subject: &Descriptor, candidates: &[Candidate]) -> Explanation {
        let pieces = pieces::collect(&subject.digest, candidates);
        let about = rules::about(&self.rules, name);
        let rules: Vec<RuleAbout> = about.iter().map(RuleAbout::of).collect();
        let Some(Match { rule, .. }) = about.first() else {
            let reason = format!("no rule of {} is about it, and what no rule is about is refused", self.place);
            let decision = Decision::refuse(reason)
                .hint("name it in a rule of the policy, or give --key or --allow-unsigned PATTERN");
            let judged = unjudged(pieces, "no rule is about the artifact");
            return self.made(rules, (String::from("none"), self.mode), decision, judged);
        };
        let words = about[0].words();
        let (decision, judged) = match &rule.demand {
            ReadyDemand::Deny(reason) => {
                let reason = if reason.is_empty() { String::new() } else { format!(": {reason}") };
                (
                    Decision::refuse(format!("the rule denies it{reason}")),
                    unjudged(pieces, "the rule denies the artifact"),
                )
            }
            ReadyDemand::Exempt(exemption) => {
                (self.exempted(exemption), unjudged(pieces, "the rule asks for no signature"))
            }
            ReadyDemand::Evidence(wants) => {
                let judged: Vec<Judged> =
                    pieces.into_iter().map(|piece| self.judged(piece, (name, subject), wants)).collect();
                (decision::decide(wants, &judged), judged)
            }
        };
        self.made(rules, (words, rule.mode), decision, judged)
    }

    /// Puts a decision into its final form: in the mode `audit` a refusal becomes a warning, unless something is damaged.
    fn made(
        &self,
        rules: Vec<RuleAbout>,
        (rule, mode): (String, Mode),
        decision: Decision,
        judged: Vec<Judged>,
    ) -> Explanation {
        let damaged = judged.iter().any(|piece| piece.damaged);
        let audited = !decision.accepted && mode == Mode::Audit && !damaged;
        let attempts = judged.iter().map(|piece| piece.attempts.clone()).collect();
        let would_refuse = audited.then(|| decision.reason.clone());
        let judgement = Judgement {
            accepted: decision.accepted || audited,
            rule,
            reason: decision.reason,
            hint: decision.hint,
            evidence: judged.into_iter().map(|piece| piece.record).collect(),
            exemption: decision.exemption,
            would_refuse,
        };
        Explanation { judgement, rules, attempts, demands: decision.steps }
    }

    fn exempted(&self, exemption: &Exemption) -> Decision {
        let Exemption { reason, until } = exemption;
        if time::over(*until, self.now) {
            return Decision::refuse(format!("the exemption ({reason}) ended on {until}"))
                .hint("extend it in the policy, or have the artifact signed");
        }
        let used = ExemptionUsed { reason: reason.clone(), until: until.to_string() };
        Decision { exemption: Some(used), ..Decision::accept(reason.clone()) }
    }

    /// Judges one piece under every signer of a rule.
    fn judged(&self, piece: Piece<'_>, (name, subject): (&ImageRef, &Descriptor), wants: &Wants) -> Judged {
        let Piece { record, material, damaged } = piece;
        let mut judged = Judged::of(record, damaged);
        let Some(layer) = material else { return judged };
        match Signature::read(&layer) {
            Err(refusal) => judged.refuse_all(wants, &refusal),
            Ok(signature) => {
                let piece = PieceUnder { signature: &signature, name, wants, stale: &self.stale, now: self.now };
                for (at, signer) in wants.signers.iter().enumerate() {
                    judged.take(&piece, at, signature.attempt(subject, signer, self.now));
                }
            }
        }
        judged.write_down();
        judged
    }
}

fn unjudged(pieces: Vec<Piece<'_>>, why: &str) -> Vec<Judged> {
    let judged = |piece: Piece<'_>| {
        let mut record = piece.record;
        if piece.material.is_some() {
            record.reason = format!("not judged: {why}");
        }
        Judged::of(record, piece.damaged)
    };
    pieces.into_iter().map(judged).collect()
}

/// Returns the roots that were fetched too long ago, or of which nobody knows when they were.
fn stale(policy: &Policy, now: i64) -> BTreeMap<String, String> {
    let Some(most) = policy.max_root_age else { return BTreeMap::new() };
    let why = |source: &TrustRootSource| match source {
        TrustRootSource::File { fetched: Some(at), .. } if time::fresh(at.second(), most.seconds(), now) => None,
        TrustRootSource::File { fetched: Some(at), .. } => {
            Some(format!("fetched on {at}, {} ago; the policy takes at most {most}", time::ago(at.second(), now)))
        }
        TrustRootSource::File { fetched: None, .. } => {
            Some(format!("of unknown age (no fetched in the policy); the policy takes at most {most}"))
        }
        TrustRootSource::Embedded(_) => {
            Some(format!("the snapshot inside this program, of unknown age; the policy takes at most {most}"))
        }
    };
    policy.trust_roots.iter().filter_map(|(name, source)| Some((name.clone(), why(source)?))).collect()
}

impl Attempted {
    pub(super) fn new(signer: String, holds: bool, reason: String) -> Self {
        Self { signer, holds, reason }
    }
}
