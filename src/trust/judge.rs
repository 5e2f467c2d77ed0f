//! The judge: whether an artifact may be carried, by which rule, and what was found beside it.

use super::attempt::Signature;
use super::outcome::{Meaning, Proof, Refusal};
use super::pieces::{self, Candidate, Piece};
use super::roots::Root;
use super::rules::{self, ReadyDemand, ReadyRule, Wants};
use super::signers::{Material, TrustError};
use super::time;
use crate::document::policy::{Exemption, Policy};
use crate::model::{Descriptor, Digest, Evidence, ImageRef, Verdict};
use std::io;
use std::sync::Arc;

/// Judges artifacts under one policy, at one time.
pub struct Judge {
    rules: Vec<ReadyRule>,
    place: String,
    pub(super) now: i64,
    pub(super) roots: Vec<Arc<Root>>,
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
    /// Reason and last day of the exemption by which it was accepted.
    pub exemption: Option<(String, String)>,
}

/// One piece, judged under every signer of a rule.
struct Judged {
    record: Evidence,
    /// Signers, by index, under whom it holds.
    proofs: Vec<(usize, Proof)>,
    /// The closest of the refusals, where it holds under nobody.
    refusal: Option<Refusal>,
}

impl Judge {
    /// Makes `policy` ready: `load` reads keys and roots by the paths in it, `now` is in seconds since 1970.
    ///
    /// `now` decides about exemptions and signatures from the future. The verifying library also compares log
    /// times with the clock of the machine.
    pub fn new(
        policy: &Policy,
        load: &mut dyn FnMut(&str) -> io::Result<Vec<u8>>,
        now: i64,
    ) -> Result<Self, TrustError> {
        // Without one, everything up to the first verification would seem to work.
        if sigstore_crypto::try_default_provider().is_none() {
            return Err(TrustError::NoProvider);
        }
        let material = Material::load(policy, load)?;
        let roots = material.roots();
        Ok(Self { rules: rules::ready(policy, &material)?, place: policy.place.clone(), now, roots })
    }

    /// Judges the artifact called `name` at its source, whose bytes have the digest in `subject`, by what was
    /// found beside it.
    ///
    /// The name decides only which rule is about it. Evidence that cannot be judged never counts for the
    /// artifact; whether it counts against it is for the rule's own demands to decide.
    pub fn judge(&self, name: &ImageRef, subject: &Descriptor, candidates: &[Candidate]) -> Judgement {
        let pieces = pieces::collect(&subject.digest, candidates);
        let Some((rule, words)) = rules::select(&self.rules, name) else {
            let reason = format!("no rule of {} is about it, and what no rule is about is refused", self.place);
            let hint = "name it in a rule of the policy, or give --key or --allow-unsigned PATTERN";
            return Judgement::refused(
                String::from("none"),
                reason,
                hint,
                unjudged(pieces, "no rule is about the artifact"),
            );
        };
        match &rule.demand {
            ReadyDemand::Deny => {
                let evidence = unjudged(pieces, "the rule denies the artifact");
                Judgement::refused(words, "the rule denies it", "", evidence)
            }
            ReadyDemand::Exempt(exemption) => self.exempted(exemption, words, pieces),
            ReadyDemand::Evidence(wants) => {
                let judged = pieces.into_iter().map(|piece| self.judged(piece, &subject.digest, wants)).collect();
                decide(wants, words, judged)
            }
        }
    }

    fn exempted(&self, exemption: &Exemption, rule: String, pieces: Vec<Piece<'_>>) -> Judgement {
        let evidence = unjudged(pieces, "the rule asks for no signature");
        if time::over(exemption.until, self.now) {
            let reason = format!("the exemption ({}) ended on {}", exemption.reason, exemption.until);
            return Judgement::refused(rule, reason, "extend it in the policy, or have the artifact signed", evidence);
        }
        Judgement {
            accepted: true,
            rule,
            reason: exemption.reason.clone(),
            hint: String::new(),
            evidence,
            exemption: Some((exemption.reason.clone(), exemption.until.to_string())),
        }
    }

    fn judged(&self, piece: Piece<'_>, subject: &Digest, wants: &Wants) -> Judged {
        let Piece { record, material } = piece;
        let Some(layer) = material else { return Judged { record, proofs: Vec::new(), refusal: None } };
        let mut judged = Judged { record, proofs: Vec::new(), refusal: None };
        match Signature::read(&layer) {
            Err(refusal) => judged.refusal = Some(refusal),
            Ok(signature) => {
                for (at, signer) in wants.signers.iter().enumerate() {
                    match signature.attempt(subject, signer, self.now) {
                        Ok(proof) => judged.proofs.push((at, proof)),
                        Err(refusal) => judged.keep_closest(refusal),
                    }
                }
            }
        }
        judged.write_down();
        judged
    }
}

impl Judged {
    fn keep_closest(&mut self, refusal: Refusal) {
        if self.refusal.as_ref().is_none_or(|kept| refusal.closeness > kept.closeness) {
            self.refusal = Some(refusal);
        }
    }

    /// Puts what was found into the record. What holds under one signer is not spoiled by the others.
    fn write_down(&mut self) {
        if let Some((_, proof)) = self.proofs.first() {
            self.refusal = None;
            self.record.verdict = Verdict::Good;
            self.record.reason = proof.words();
            describe(&mut self.record, proof);
        } else if let Some(refusal) = &self.refusal {
            self.record.verdict = refusal.verdict;
            self.record.reason = refusal.reason.clone();
            if let Some(proof) = &refusal.proof {
                describe(&mut self.record, proof);
            }
        }
    }

    fn signs(&self, by: &[usize]) -> Option<&Proof> {
        self.proof(by, |meaning| *meaning == Meaning::Signature)
    }

    fn attests(&self, kind: &str, by: &[usize]) -> Option<&Proof> {
        self.proof(by, |meaning| matches!(meaning, Meaning::Attestation(found) if found == kind))
    }

    fn proof(&self, by: &[usize], says: impl Fn(&Meaning) -> bool) -> Option<&Proof> {
        self.proofs.iter().find(|(at, proof)| by.contains(at) && says(&proof.meaning)).map(|(_, proof)| proof)
    }
}

fn describe(record: &mut Evidence, proof: &Proof) {
    record.signer = Some(proof.signer.clone());
    record.log = Some(proof.log.name().to_owned());
    record.log_entry = proof.entry.clone();
    record.trust_root = proof.root.clone();
    record.times = proof.times.iter().map(|time| time::rfc3339(*time)).collect();
    record.not_checked = proof.not_checked.iter().map(|name| (*name).to_owned()).collect();
    if let Meaning::Attestation(kind) = &proof.meaning {
        record.predicate_type = Some(kind.clone());
    }
}

fn decide(wants: &Wants, rule: String, judged: Vec<Judged>) -> Judgement {
    let mut reasons = Vec::new();
    let mut missing = None;
    if !wants.signatures.is_empty() {
        match judged.iter().find_map(|piece| piece.signs(&wants.signatures)) {
            Some(proof) => reasons.push(proof.words()),
            None => missing = Some("signature".to_owned()),
        }
    }
    for attestation in &wants.attestations {
        let kind = &attestation.predicate_type;
        match judged.iter().find_map(|piece| piece.attests(kind, &attestation.by)) {
            Some(proof) => reasons.push(proof.words()),
            None => missing = missing.or_else(|| Some(format!("attestation of type {kind}"))),
        }
    }
    if let Some(missing) = missing {
        let (reason, hint) = why_missing(&missing, wants, &judged);
        return Judgement::refused(rule, reason, hint, records(judged));
    }
    let (reason, evidence) = (reasons.join("; "), records(judged));
    Judgement { accepted: true, rule, reason, hint: String::new(), evidence, exemption: None }
}

/// Says what is missing, and what was found instead: the closest first, at most three reasons.
fn why_missing(missing: &str, wants: &Wants, judged: &[Judged]) -> (String, &'static str) {
    let signers: Vec<String> = wants.signers.iter().map(super::signers::Ready::words).collect();
    let by = signers.join(" or ");
    if judged.is_empty() {
        let hint = "sign it, or add a rule that exempts it with a reason and a last day";
        return (format!("nothing was found beside it; the rule wants a {missing} by {by}"), hint);
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
    (format!("no {missing} that the rule wants (by {by}); {count}: {}", reasons.join("; ")), hint)
}

fn records(judged: Vec<Judged>) -> Vec<Evidence> {
    judged.into_iter().map(|piece| piece.record).collect()
}

fn unjudged(pieces: Vec<Piece<'_>>, why: &str) -> Vec<Evidence> {
    let record = |piece: Piece<'_>| {
        let mut record = piece.record;
        if piece.material.is_some() {
            record.reason = format!("not judged: {why}");
        }
        record
    };
    pieces.into_iter().map(record).collect()
}

impl Judgement {
    fn refused(rule: String, reason: impl Into<String>, hint: &str, evidence: Vec<Evidence>) -> Self {
        Self { accepted: false, rule, reason: reason.into(), hint: hint.to_owned(), evidence, exemption: None }
    }
}
