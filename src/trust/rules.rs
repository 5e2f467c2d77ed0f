//! Rules of a policy, ready: which one is about a reference, and what it demands.

use super::signers::{Material, Ready, TrustError};
use crate::document::pattern::Pattern;
use crate::document::policy::{AcceptedSigner, Demand, Exemption, Policy, Rule, SignedBy};
use crate::model::ImageRef;

/// A rule, ready.
pub(super) struct ReadyRule {
    patterns: Vec<Pattern>,
    /// Name of the rule for a person, without the pattern.
    name: String,
    /// Whether the name says the pattern already.
    by_flag: bool,
    pub demand: ReadyDemand,
}

/// What a rule demands, ready.
pub(super) enum ReadyDemand {
    Evidence(Wants),
    Exempt(Exemption),
    Deny,
}

/// Evidence that a rule wants. Signers stand once in `signers`; the rest names them by index.
pub(super) struct Wants {
    pub signers: Vec<Ready>,
    /// Any of these must have signed; empty where no signature is wanted.
    pub signatures: Vec<usize>,
    pub attestations: Vec<WantedAttestation>,
}

/// An attestation that a rule wants.
pub(super) struct WantedAttestation {
    pub predicate_type: String,
    /// Any of these must have signed.
    pub by: Vec<usize>,
}

/// Makes the rules of `policy` ready.
pub(super) fn ready(policy: &Policy, material: &Material) -> Result<Vec<ReadyRule>, TrustError> {
    let ready = |(at, rule): (usize, &Rule)| {
        let demand = match &rule.demand {
            Demand::Evidence { signatures, attestations } => {
                let mut builder =
                    Builder { place: &policy.place, rule: at + 1, material, known: Vec::new(), ready: Vec::new() };
                let signatures = builder.indexes(signatures)?;
                let mut wanted = Vec::new();
                for attestation in attestations {
                    let by = match &attestation.signed_by {
                        SignedBy::Same => signatures.clone(),
                        SignedBy::Signers(signers) => builder.indexes(signers)?,
                    };
                    wanted.push(WantedAttestation { predicate_type: attestation.predicate_type.clone(), by });
                }
                ReadyDemand::Evidence(Wants { signers: builder.ready, signatures, attestations: wanted })
            }
            Demand::Exempt(exemption) => ReadyDemand::Exempt(exemption.clone()),
            Demand::Deny => ReadyDemand::Deny,
        };
        let by_flag = !rule.origin.is_empty();
        let name = if by_flag { rule.origin.clone() } else { format!("{} rule {}", policy.place, at + 1) };
        Ok(ReadyRule { patterns: rule.patterns.clone(), name, by_flag, demand })
    };
    policy.rules.iter().enumerate().map(ready).collect()
}

struct Builder<'a> {
    place: &'a str,
    rule: usize,
    material: &'a Material,
    known: Vec<&'a AcceptedSigner>,
    ready: Vec<Ready>,
}

impl<'a> Builder<'a> {
    fn indexes(&mut self, signers: &'a [AcceptedSigner]) -> Result<Vec<usize>, TrustError> {
        let mut indexes = Vec::new();
        for signer in signers {
            let at = match self.known.iter().position(|known| *known == signer) {
                Some(at) => at,
                None => {
                    self.ready.push(self.material.ready(self.place, self.rule, signer)?);
                    self.known.push(signer);
                    self.known.len() - 1
                }
            };
            if !indexes.contains(&at) {
                indexes.push(at);
            }
        }
        Ok(indexes)
    }
}

/// Returns the rule about `name`, with its name for a person: the most specific pattern decides, then the order.
pub(super) fn select<'a>(rules: &'a [ReadyRule], name: &ImageRef) -> Option<(&'a ReadyRule, String)> {
    let mut best: Option<(usize, &ReadyRule, &Pattern)> = None;
    for rule in rules {
        for pattern in rule.patterns.iter().filter(|pattern| pattern.matches(name)) {
            if best.is_none_or(|(specificity, ..)| pattern.specificity() > specificity) {
                best = Some((pattern.specificity(), rule, pattern));
            }
        }
    }
    best.map(|(_, rule, pattern)| {
        (rule, if rule.by_flag { rule.name.clone() } else { format!("{} ({pattern})", rule.name) })
    })
}
