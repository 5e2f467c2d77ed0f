//! Rules of a policy, ready: which one is about a reference, and what it demands.

use super::consent::Ask;
use super::signers::{Material, Ready, TrustError};
use crate::document::pattern::Pattern;
use crate::document::policy::{
    AcceptedSigner, Age, AttestationDemand, Consent, Demand, Exemption, Mode, Policy, Rule, SignedBy, SignedReference,
};
use crate::model::ImageRef;
use std::collections::BTreeMap;

/// A rule, ready.
pub(super) struct ReadyRule {
    patterns: Vec<Pattern>,
    /// Name of the rule for a person, without the pattern.
    name: String,
    /// Whether the name says the pattern already.
    by_flag: bool,
    pub mode: Mode,
    pub demand: ReadyDemand,
}

/// What a rule demands, ready.
pub(super) enum ReadyDemand {
    Evidence(Wants),
    Exempt(Exemption),
    Deny(String),
}

/// Evidence that a rule wants. Signers stand once in `signers`; the rest names them by index.
pub(super) struct Wants {
    pub signers: Vec<Ready>,
    /// Whose signatures; `None` where no signature is wanted.
    pub signatures: Option<Ask>,
    /// What signatures must say of the artifact's name.
    pub signed_reference: SignedReference,
    /// How long ago signatures may have been made.
    pub max_age: Option<Age>,
    pub attestations: Vec<WantedAttestation>,
}

/// An attestation that a rule wants.
pub(super) struct WantedAttestation {
    pub demand: AttestationDemand,
    /// Who must have signed.
    pub by: Ask,
    pub max_age: Option<Age>,
}

impl Wants {
    /// Names a signer for a person.
    pub(super) fn name(&self, at: usize) -> String {
        self.signers.get(at).map(Ready::words).unwrap_or_default()
    }
}

/// Makes the rules of `policy` ready.
pub(super) fn ready(policy: &Policy, material: &Material) -> Result<Vec<ReadyRule>, TrustError> {
    let ready = |(at, rule): (usize, &Rule)| {
        let demand = match &rule.demand {
            Demand::Evidence { signatures, max_age, attestations } => {
                let mut builder = Builder::new(policy, at + 1, material);
                let signatures = signatures.as_ref().map(|consent| builder.ask(consent)).transpose()?;
                let mut wanted = Vec::new();
                for demand in attestations {
                    let by = match (&demand.signed_by, &signatures) {
                        (SignedBy::Signers(consent), _) => builder.ask(consent)?,
                        // One signer of those that the signatures name attests; they need not all do.
                        (SignedBy::Same, Some(ask)) => Ask::Any(ask.signers().into_iter().map(Ask::Signer).collect()),
                        (SignedBy::Same, None) => Ask::Any(Vec::new()),
                    };
                    wanted.push(WantedAttestation { demand: demand.clone(), by, max_age: demand.max_age.or(*max_age) });
                }
                ReadyDemand::Evidence(Wants {
                    signers: builder.ready,
                    signatures,
                    signed_reference: rule.signed_reference,
                    max_age: *max_age,
                    attestations: wanted,
                })
            }
            Demand::Exempt(exemption) => ReadyDemand::Exempt(exemption.clone()),
            Demand::Deny(reason) => ReadyDemand::Deny(reason.clone()),
        };
        let by_flag = !rule.origin.is_empty();
        let name = if by_flag { rule.origin.clone() } else { format!("{} rule {}", policy.place, at + 1) };
        let mode = rule.mode.unwrap_or(policy.mode);
        Ok(ReadyRule { patterns: rule.patterns.clone(), name, by_flag, mode, demand })
    };
    policy.rules.iter().enumerate().map(ready).collect()
}

struct Builder<'a> {
    place: &'a str,
    authorities: &'a BTreeMap<String, Consent>,
    rule: usize,
    material: &'a Material,
    known: Vec<&'a AcceptedSigner>,
    ready: Vec<Ready>,
}

impl<'a> Builder<'a> {
    fn new(policy: &'a Policy, rule: usize, material: &'a Material) -> Self {
        let (place, authorities) = (policy.place.as_str(), &policy.authorities);
        Self { place, authorities, rule, material, known: Vec::new(), ready: Vec::new() }
    }

    fn ask(&mut self, consent: &'a Consent) -> Result<Ask, TrustError> {
        Ok(match consent {
            Consent::Signer(signer) => Ask::Signer(self.index(signer)?),
            Consent::Authority(name) => {
                let authorities = self.authorities;
                let consent = authorities.get(name).ok_or_else(|| TrustError::Missing {
                    place: self.place.to_owned(),
                    rule: self.rule,
                    name: name.clone(),
                })?;
                Ask::Named(name.clone(), Box::new(self.ask(consent)?))
            }
            Consent::AnyOf(of) => Ask::Any(self.asks(of)?),
            Consent::AllOf(of) => Ask::All(self.asks(of)?),
            Consent::Threshold(need, of) => Ask::Threshold(*need, self.asks(of)?),
        })
    }

    fn asks(&mut self, of: &'a [Consent]) -> Result<Vec<Ask>, TrustError> {
        of.iter().map(|consent| self.ask(consent)).collect()
    }

    fn index(&mut self, signer: &'a AcceptedSigner) -> Result<usize, TrustError> {
        if let Some(at) = self.known.iter().position(|known| *known == signer) {
            return Ok(at);
        }
        self.ready.push(self.material.ready(self.place, self.rule, signer)?);
        self.known.push(signer);
        Ok(self.known.len() - 1)
    }
}

/// A rule that is about a reference, by one of its patterns.
pub(super) struct Match<'a> {
    pub at: usize,
    pub rule: &'a ReadyRule,
    pub pattern: &'a Pattern,
}

impl Match<'_> {
    /// Names the rule for a person, with the pattern by which it is about the artifact.
    pub(super) fn words(&self) -> String {
        if self.rule.by_flag { self.rule.name.clone() } else { format!("{} ({})", self.rule.name, self.pattern) }
    }
}

/// Returns the rules about `name`, the one that decides first: the most specific pattern, then the order.
pub(super) fn about<'a>(rules: &'a [ReadyRule], name: &ImageRef) -> Vec<Match<'a>> {
    let best = |(at, rule): (usize, &'a ReadyRule)| {
        let patterns = rule.patterns.iter().filter(|pattern| pattern.matches(name));
        // Of patterns that are alike the first is named.
        let pattern =
            patterns.reduce(|best, next| if next.specificity() > best.specificity() { next } else { best })?;
        Some(Match { at, rule, pattern })
    };
    let mut found: Vec<Match<'a>> = rules.iter().enumerate().filter_map(best).collect();
    found.sort_by_key(|found| (std::cmp::Reverse(found.pattern.specificity()), found.at));
    found
}
