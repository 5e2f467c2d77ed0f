//! The written form of a policy where it differs from the meant one, and what a policy may not say.

use super::notation;
use super::{
    AcceptedSigner, AttestationDemand, Claim, Demand, EmbeddedRoot, Exemption, KeySigner, KeylessSigner, LogDemand,
    Policy, Rule, SctDemand, SignedBy, TextMatch, TrustRootSource, Until,
};
use crate::document::PaperError;
use crate::document::pattern::Pattern;
use crate::model::Digest;
use serde::de::{self, Deserialize, Deserializer, MapAccess, SeqAccess, Visitor, value};
use serde::{Serialize, Serializer};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

#[derive(serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct WrittenRoot {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    file: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    sha256: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    embedded: Option<EmbeddedRoot>,
}

impl TryFrom<WrittenRoot> for TrustRootSource {
    type Error = String;

    fn try_from(written: WrittenRoot) -> Result<Self, String> {
        let digest = |hex: String| {
            let prefixed = if hex.contains(':') { hex } else { format!("sha256:{hex}") };
            prefixed.parse::<Digest>().map_err(|e| e.to_string())
        };
        match (written.file, written.embedded) {
            (Some(file), None) => Ok(Self::File { file, sha256: written.sha256.map(digest).transpose()? }),
            (None, Some(embedded)) if written.sha256.is_none() => Ok(Self::Embedded(embedded)),
            (None, Some(_)) => Err("sha256 belongs to a file, not to an embedded root".to_owned()),
            _ => Err("a trust root is either a file or embedded".to_owned()),
        }
    }
}

impl From<TrustRootSource> for WrittenRoot {
    fn from(source: TrustRootSource) -> Self {
        match source {
            TrustRootSource::File { file, sha256 } => {
                Self { file: Some(file), sha256: sha256.map(|d| d.hex()), embedded: None }
            }
            TrustRootSource::Embedded(root) => Self { file: None, sha256: None, embedded: Some(root) },
        }
    }
}

#[derive(serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct WrittenRule {
    #[serde(rename = "match")]
    patterns: Vec<Pattern>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    signatures: Vec<AcceptedSigner>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    attestations: Vec<AttestationDemand>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    exempt: Option<Exemption>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    deny: Option<bool>,
}

impl TryFrom<WrittenRule> for Rule {
    type Error = String;

    fn try_from(written: WrittenRule) -> Result<Self, String> {
        if written.patterns.is_empty() {
            return Err("a rule needs at least one pattern in match".to_owned());
        }
        let evidence = !written.signatures.is_empty() || !written.attestations.is_empty();
        let demand = match (evidence, written.exempt, written.deny) {
            (_, _, Some(false)) => return Err("deny: false says nothing; leave it out".to_owned()),
            (true, None, None) => {
                Demand::Evidence { signatures: written.signatures, attestations: written.attestations }
            }
            (false, Some(exemption), None) => Demand::Exempt(exemption),
            (false, None, Some(true)) => Demand::Deny,
            _ => return Err("a rule has one of: signatures and attestations, exempt, deny".to_owned()),
        };
        Ok(Self { patterns: written.patterns, demand, origin: String::new() })
    }
}

impl From<Rule> for WrittenRule {
    fn from(rule: Rule) -> Self {
        let mut written = Self {
            patterns: rule.patterns,
            signatures: Vec::new(),
            attestations: Vec::new(),
            exempt: None,
            deny: None,
        };
        match rule.demand {
            Demand::Evidence { signatures, attestations } => {
                written.signatures = signatures;
                written.attestations = attestations;
            }
            Demand::Exempt(exemption) => written.exempt = Some(exemption),
            Demand::Deny => written.deny = Some(true),
        }
        written
    }
}

impl TryFrom<String> for Until {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        if text == "never" {
            return Ok(Self::Never);
        }
        let day = || {
            let shaped = text.len() == 10
                && text.bytes().enumerate().all(|(at, b)| match at {
                    4 | 7 => b == b'-',
                    _ => b.is_ascii_digit(),
                });
            if !shaped {
                return None;
            }
            let (year, month, day) = (text[..4].parse().ok()?, text[5..7].parse().ok()?, text[8..].parse().ok()?);
            (year >= 1970 && (1..=12).contains(&month) && (1..=days(year, month)).contains(&day))
                .then_some(Self::Day(year, month, day))
        };
        day().ok_or_else(|| format!("{text:?} is no day; expected one like 2027-01-31, or never"))
    }
}

fn days(year: u16, month: u8) -> u8 {
    let leap = year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400));
    match month {
        2 if leap => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

impl From<Until> for String {
    fn from(until: Until) -> Self {
        until.to_string()
    }
}

impl fmt::Display for Until {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Day(year, month, day) => write!(f, "{year:04}-{month:02}-{day:02}"),
            Self::Never => f.write_str("never"),
        }
    }
}

#[derive(serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct KeySignerFields {
    name: String,
    #[serde(default = "no_log")]
    log: LogDemand,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    trust_root: Option<String>,
}

const fn no_log() -> LogDemand {
    LogDemand::None
}

/// A name alone, or a map.
pub(super) struct WrittenKeySigner(KeySignerFields);

impl<'de> Deserialize<'de> for WrittenKeySigner {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct NameOrMap;

        impl<'de> Visitor<'de> for NameOrMap {
            type Value = KeySignerFields;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("the name of a key, or a map with name, log and trustRoot")
            }

            fn visit_str<E: de::Error>(self, name: &str) -> Result<Self::Value, E> {
                Ok(KeySignerFields { name: name.to_owned(), log: LogDemand::None, trust_root: None })
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Self::Value, A::Error> {
                KeySignerFields::deserialize(value::MapAccessDeserializer::new(map))
            }
        }

        deserializer.deserialize_any(NameOrMap).map(Self)
    }
}

impl Serialize for WrittenKeySigner {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if self.0.log == LogDemand::None && self.0.trust_root.is_none() {
            return serializer.serialize_str(&self.0.name);
        }
        self.0.serialize(serializer)
    }
}

impl From<WrittenKeySigner> for KeySigner {
    fn from(WrittenKeySigner(fields): WrittenKeySigner) -> Self {
        Self { name: fields.name, log: fields.log, trust_root: fields.trust_root }
    }
}

impl From<KeySigner> for WrittenKeySigner {
    fn from(signer: KeySigner) -> Self {
        Self(KeySignerFields { name: signer.name, log: signer.log, trust_root: signer.trust_root })
    }
}

#[derive(serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct WrittenKeyless {
    trust_root: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    issuer: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    issuer_regexp: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    identity: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    identity_regexp: Option<String>,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    claims: BTreeMap<Claim, String>,
    #[serde(default = "promise")]
    log: LogDemand,
    #[serde(default = "required")]
    sct: SctDemand,
}

const fn promise() -> LogDemand {
    LogDemand::Promise
}

const fn required() -> SctDemand {
    SctDemand::Required
}

impl TryFrom<WrittenKeyless> for KeylessSigner {
    type Error = String;

    fn try_from(written: WrittenKeyless) -> Result<Self, String> {
        Ok(Self {
            trust_root: written.trust_root,
            issuer: text_match("issuer", written.issuer, written.issuer_regexp)?,
            identity: text_match("identity", written.identity, written.identity_regexp)?,
            claims: written.claims,
            log: written.log,
            sct: written.sct,
        })
    }
}

fn text_match(field: &str, exact: Option<String>, regexp: Option<String>) -> Result<TextMatch, String> {
    match (exact, regexp) {
        (Some(exact), None) if exact.is_empty() => Err(format!("{field} is empty")),
        (Some(exact), None) => Ok(TextMatch::Exact(exact)),
        (None, Some(regexp)) if regexp.starts_with('^') && regexp.ends_with('$') => Ok(TextMatch::Regexp(regexp)),
        (None, Some(_)) => {
            Err(format!("{field}Regexp must be about the whole text: begin it with ^ and end it with $"))
        }
        (Some(_), Some(_)) => Err(format!("give {field} or {field}Regexp, not both")),
        (None, None) => Err(format!("a keyless signer needs {field} or {field}Regexp")),
    }
}

impl From<KeylessSigner> for WrittenKeyless {
    fn from(signer: KeylessSigner) -> Self {
        let split = |text| match text {
            TextMatch::Exact(text) => (Some(text), None),
            TextMatch::Regexp(text) => (None, Some(text)),
        };
        let (issuer, issuer_regexp) = split(signer.issuer);
        let (identity, identity_regexp) = split(signer.identity);
        Self {
            trust_root: signer.trust_root,
            issuer,
            issuer_regexp,
            identity,
            identity_regexp,
            claims: signer.claims,
            log: signer.log,
            sct: signer.sct,
        }
    }
}

impl<'de> Deserialize<'de> for SignedBy {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct SameOrList;

        impl<'de> Visitor<'de> for SameOrList {
            type Value = SignedBy;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("the word same, or a list of signers")
            }

            fn visit_str<E: de::Error>(self, word: &str) -> Result<SignedBy, E> {
                if word == "same" {
                    Ok(SignedBy::Same)
                } else {
                    Err(E::invalid_value(de::Unexpected::Str(word), &self))
                }
            }

            fn visit_seq<A: SeqAccess<'de>>(self, seq: A) -> Result<SignedBy, A::Error> {
                Vec::deserialize(value::SeqAccessDeserializer::new(seq)).map(SignedBy::Signers)
            }
        }

        deserializer.deserialize_any(SameOrList)
    }
}

impl Serialize for SignedBy {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Same => serializer.serialize_str("same"),
            Self::Signers(signers) => signers.serialize(serializer),
        }
    }
}

/// Refuses what parses but cannot be meant.
pub(super) fn check(policy: &Policy) -> Result<(), PaperError> {
    let stores = |why| PaperError::Meaning { place: format!("{}: trustStores", policy.place), why };
    notation::check_names(policy).map_err(stores)?;
    let mut seen = BTreeSet::new();
    for (at, rule) in policy.rules.iter().enumerate() {
        let meaning = |why| PaperError::Meaning { place: format!("{}: rules[{at}]", policy.place), why };
        for pattern in &rule.patterns {
            if !seen.insert(pattern.as_str()) {
                return Err(meaning(format!("the pattern {pattern} stands in the policy twice")));
            }
        }
        check_demand(policy, &rule.demand).map_err(meaning)?;
    }
    Ok(())
}

fn check_demand(policy: &Policy, demand: &Demand) -> Result<(), String> {
    match demand {
        Demand::Evidence { signatures, attestations } => {
            for attestation in attestations {
                check_attestation(policy, attestation, signatures.is_empty())?;
            }
            signatures.iter().try_for_each(|signer| check_signer(policy, signer))
        }
        Demand::Exempt(exemption) if exemption.reason.trim().is_empty() => {
            Err("an exemption needs a reason".to_owned())
        }
        Demand::Exempt(_) | Demand::Deny => Ok(()),
    }
}

fn check_attestation(policy: &Policy, demand: &AttestationDemand, unsigned: bool) -> Result<(), String> {
    if demand.predicate_type.is_empty() {
        return Err("predicateType is empty".to_owned());
    }
    match &demand.signed_by {
        SignedBy::Same if unsigned => Err("signedBy: same needs signatures in the same rule".to_owned()),
        SignedBy::Signers(signers) if signers.is_empty() => Err("signedBy names nobody".to_owned()),
        SignedBy::Same => Ok(()),
        SignedBy::Signers(signers) => signers.iter().try_for_each(|signer| check_signer(policy, signer)),
    }
}

fn check_signer(policy: &Policy, signer: &AcceptedSigner) -> Result<(), String> {
    let root = match signer {
        AcceptedSigner::Key(key) if !policy.keys.contains_key(&key.name) => {
            return Err(format!("the key {:?} is not in keys", key.name));
        }
        AcceptedSigner::Key(key) if key.log != LogDemand::None && key.trust_root.is_none() => {
            return Err(format!("the log of key {:?} can only be checked with a trustRoot", key.name));
        }
        AcceptedSigner::Key(key) => key.trust_root.as_ref(),
        AcceptedSigner::Keyless(keyless) => Some(&keyless.trust_root),
        AcceptedSigner::Notation(notation) => return notation::check(policy, notation),
    };
    match root.filter(|root| !policy.trust_roots.contains_key(*root)) {
        Some(root) => Err(format!("the trust root {root:?} is not in trustRoots")),
        None => Ok(()),
    }
}
