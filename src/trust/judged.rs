//! One piece of evidence under a rule: under which signers it holds, which demands it satisfies, what speaks against it.

use super::attempt::Signature;
use super::consent::{Holders, Holding, person};
use super::explain::Attempted;
use super::outcome::{Meaning, Proof, Refusal};
use super::rules::{WantedAttestation, Wants};
use super::{predicate, time};
use crate::document::policy::{Age, SignedReference};
use crate::model::{Evidence, ImageRef, Verdict};
use std::collections::BTreeMap;

/// A piece with what was found about it.
pub(super) struct Judged {
    pub record: Evidence,
    /// Whether its bytes are not what its manifest says.
    pub damaged: bool,
    /// How it was judged under each signer of the rule, in their order.
    pub attempts: Vec<Attempted>,
    /// Signers, by index, under whom it holds.
    proofs: Vec<(usize, Proof)>,
    /// Attestations of the rule, by index, that it satisfies, each under a signer.
    satisfies: Vec<(usize, usize)>,
    /// The closest of the refusals, where it holds under nobody.
    pub refusal: Option<Refusal>,
}

/// What a piece is judged with.
pub(super) struct PieceUnder<'a> {
    pub signature: &'a Signature<'a>,
    /// The artifact at its source.
    pub name: &'a ImageRef,
    pub wants: &'a Wants,
    /// Roots that are too old, with the reason.
    pub stale: &'a BTreeMap<String, String>,
    pub now: i64,
}

impl Judged {
    /// Begins with a record that is not judged yet.
    pub(super) const fn of(record: Evidence, damaged: bool) -> Self {
        Self { record, damaged, attempts: Vec::new(), proofs: Vec::new(), satisfies: Vec::new(), refusal: None }
    }

    /// Notes that the piece cannot be read, whoever should have signed it.
    pub(super) fn refuse_all(&mut self, wants: &Wants, refusal: &Refusal) {
        for at in 0..wants.signers.len() {
            self.attempts.push(Attempted::new(wants.name(at), false, refusal.reason.clone()));
        }
        self.refusal = Some(refusal.clone());
    }

    /// Notes what judging under signer `at` gave.
    pub(super) fn take(&mut self, piece: &PieceUnder<'_>, at: usize, attempt: Result<Proof, Refusal>) {
        let held =
            attempt.and_then(|proof| piece.root_is_fresh(proof)).and_then(|proof| self.demanded(piece, at, proof));
        let name = piece.wants.name(at);
        match held {
            Ok(proof) => {
                self.attempts.push(Attempted::new(name, true, proof.words()));
                self.proofs.push((at, proof));
            }
            Err(refusal) => {
                self.attempts.push(Attempted::new(name, false, refusal.reason.clone()));
                if self.refusal.as_ref().is_none_or(|kept| refusal.closeness > kept.closeness) {
                    self.refusal = Some(refusal);
                }
            }
        }
    }

    /// Compares a proof with what the rule demands beyond the signer.
    fn demanded(&mut self, piece: &PieceUnder<'_>, at: usize, proof: Proof) -> Result<Proof, Refusal> {
        let kind = match &proof.meaning {
            Meaning::Signature => {
                let proof = piece.signed_here(proof)?;
                return match piece.wants.signatures.as_ref().and(piece.wants.max_age) {
                    Some(age) => fresh(proof, age, piece.now),
                    None => Ok(proof),
                };
            }
            Meaning::Attestation(kind) => kind.clone(),
        };
        let wanted: Vec<(usize, &WantedAttestation)> = piece
            .wants
            .attestations
            .iter()
            .enumerate()
            .filter(|(_, wanted)| wanted.demand.types.contains(&kind) && wanted.by.signers().contains(&at))
            .collect();
        let mut objection = None;
        let mut satisfied = wanted.is_empty();
        for (number, wanted) in wanted {
            match satisfies(piece, wanted, proof.clone()) {
                Ok(_) => {
                    self.satisfies.push((number, at));
                    satisfied = true;
                }
                Err(refusal) => objection = objection.or(Some(refusal)),
            }
        }
        match objection.filter(|_| !satisfied) {
            Some(refusal) => Err(refusal),
            None => Ok(proof),
        }
    }

    /// Puts what was found into the record. What holds under one signer is not spoiled by the others.
    pub(super) fn write_down(&mut self) {
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
}

/// Returns what signatures of the subject hold, by signer.
pub(super) fn signing(judged: &[Judged]) -> Holders {
    let mut holders = Holders::new();
    for (at, proof) in judged.iter().flat_map(|piece| &piece.proofs) {
        if proof.meaning == Meaning::Signature {
            hold(&mut holders, *at, proof);
        }
    }
    holders
}

/// Returns what attestations satisfy the demand at `number`, by signer.
pub(super) fn attesting(judged: &[Judged], number: usize) -> Holders {
    let mut holders = Holders::new();
    for piece in judged {
        for (at, proof) in piece.proofs.iter().filter(|(at, _)| piece.satisfies.contains(&(number, *at))) {
            hold(&mut holders, *at, proof);
        }
    }
    holders
}

fn hold(holders: &mut Holders, at: usize, proof: &Proof) {
    holders.entry(at).or_default().push(Holding { by: person(&proof.signer), words: proof.words() });
}

impl PieceUnder<'_> {
    /// Compares the name under which it was signed with that of the source, where the rule asks for it.
    fn signed_here(&self, proof: Proof) -> Result<Proof, Refusal> {
        let wanted = match (self.wants.signed_reference, &self.name.tag) {
            (SignedReference::Any, _) => return Ok(proof),
            (SignedReference::Exact, Some(tag)) => format!("{}:{tag}", self.name.repository),
            (SignedReference::Exact, None) | (SignedReference::Repository, _) => self.name.repository.to_string(),
        };
        let Some(found) = self.signature.reference() else {
            let reason =
                format!("signed by {}, which says no name, and the rule wants one signed as {wanted}", proof.by());
            return Err(Refusal::signer(reason, proof));
        };
        let same = match found.parse::<ImageRef>() {
            Ok(named) if self.wants.signed_reference == SignedReference::Repository => {
                named.repository.to_string() == wanted
            }
            Ok(named) => named.to_string() == wanted,
            Err(_) => false,
        };
        if same {
            return Ok(proof);
        }
        let found = crate::model::fault::printable(&found);
        let reason = format!("signed by {} as {found}, and the rule wants one signed as {wanted}", proof.by());
        Err(Refusal::signer(reason, proof))
    }

    fn root_is_fresh(&self, proof: Proof) -> Result<Proof, Refusal> {
        let Some(root) = &proof.root else { return Ok(proof) };
        match self.stale.get(&root.name) {
            None => Ok(proof),
            Some(why) => {
                let reason = format!("the trust root {:?} is {why}", root.name);
                let hint = "fetch the current trusted root, pin it again and write the day into the policy";
                Err(Refusal { verdict: Verdict::Unknown, ..Refusal::signer(reason, proof) }.hint(hint))
            }
        }
    }
}

fn satisfies(piece: &PieceUnder<'_>, wanted: &WantedAttestation, proof: Proof) -> Result<Proof, Refusal> {
    let proof = match wanted.max_age {
        Some(age) => fresh(proof, age, piece.now)?,
        None => proof,
    };
    if !wanted.demand.is_constrained() {
        return Ok(proof);
    }
    let compared = piece
        .signature
        .predicate()
        .and_then(|predicate| predicate::check(&wanted.demand, &predicate, piece.now).map_err(Refusal::bad));
    compared.map(|()| proof.clone()).map_err(|refusal| {
        let reason = format!("{} ({}), but {}", proof.what(), proof.by(), refusal.reason);
        Refusal { verdict: refusal.verdict, ..Refusal::signer(reason, proof) }
    })
}

/// Checks how long ago a signature was made. Only a time that a log or a timestamp authority vouches for counts.
fn fresh(proof: Proof, age: Age, now: i64) -> Result<Proof, Refusal> {
    let Some(at) = proof.times.iter().map(|time| time.second).min() else {
        let reason = format!(
            "{} by {}, but no log and no timestamp authority says when, and the rule takes at most {age}",
            proof.what(),
            proof.by()
        );
        return Err(Refusal::signer(reason, proof)
            .hint("have it logged or stamped when it is signed, and let the rule's signer name the trust root"));
    };
    if time::fresh(at, age.seconds(), now) {
        return Ok(proof);
    }
    let (when, ago) = (time::rfc3339(at), time::ago(at, now));
    let reason = format!("{} by {} at {when}, {ago} ago, but the rule takes at most {age}", proof.what(), proof.by());
    Err(Refusal::signer(reason, proof).hint("have it signed again, or extend maxAge"))
}

fn describe(record: &mut Evidence, proof: &Proof) {
    record.signer = Some(proof.signer.clone());
    record.certificate = proof.certificate.clone();
    record.log = Some(proof.log.name().to_owned());
    record.log_entry = proof.entry.clone();
    record.trust_root = proof.root.clone();
    record.time_source = proof.time_source.clone();
    record.times = proof.times.iter().map(|time| time.recorded()).collect();
    record.not_checked = proof.not_checked.iter().map(|name| (*name).to_owned()).collect();
    if let Meaning::Attestation(kind) = &proof.meaning {
        record.predicate_type = Some(kind.clone());
    }
}
