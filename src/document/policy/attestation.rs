//! Attestations that must be there, and what their predicates must say.
//!
//! A constraint names a field of the predicate and one test; there is no scripting. Only verified statements are
//! looked at.

use super::{Age, Consent, Instant, Regexp, TextMatch};
use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

/// An attestation that must be there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AttestationDemand {
    /// What it is.
    pub types: PredicateTypes,
    /// Who must have signed it.
    pub signed_by: SignedBy,
    /// How long ago it may have been signed; the rule's `maxAge` where nothing is said.
    pub max_age: Option<Age>,
    /// What its predicate must say, all of it.
    pub constraints: Vec<Constraint>,
    /// What a SLSA provenance must say.
    pub provenance: Option<Provenance>,
    /// What a vulnerability report may say.
    pub vulnerabilities: Option<Vulnerabilities>,
}

impl AttestationDemand {
    /// Makes a demand of `types` without constraints, signed as the rule's signatures.
    pub const fn of(types: PredicateTypes) -> Self {
        Self {
            types,
            signed_by: SignedBy::Same,
            max_age: None,
            constraints: Vec::new(),
            provenance: None,
            vulnerabilities: None,
        }
    }

    /// Returns whether the predicate itself is looked at.
    pub fn is_constrained(&self) -> bool {
        !self.constraints.is_empty() || self.provenance.is_some() || self.vulnerabilities.is_some()
    }
}

/// Who must have signed an attestation.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum SignedBy {
    /// Any of the signers that the rule's `signatures` name.
    #[default]
    Same,
    /// These.
    Signers(Consent),
}

/// Predicate types of one purpose. The statement's type is compared as a whole.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PredicateTypes {
    /// `predicateType`: this one.
    One(String),
    /// `type`: the types that are known for a purpose.
    Known(&'static str),
}

/// Purposes, with the types that are in use for each.
const KNOWN: [(&str, &[&str]); 5] = [
    ("slsa", &["https://slsa.dev/provenance/v1", "https://slsa.dev/provenance/v0.2"]),
    ("spdx", &["https://spdx.dev/Document"]),
    ("cyclonedx", &["https://cyclonedx.org/bom"]),
    (
        "vulnerabilities",
        &[
            "https://cosign.sigstore.dev/attestation/vuln/v1",
            "https://in-toto.io/attestation/vulns/v0.1",
            "https://in-toto.io/attestation/vulns/v0.2",
        ],
    ),
    ("openvex", &["https://openvex.dev/ns", "https://openvex.dev/ns/v0.2.0"]),
];

impl PredicateTypes {
    /// Names of the known purposes.
    pub fn names() -> Vec<&'static str> {
        KNOWN.iter().map(|(name, _)| *name).collect()
    }

    /// Returns the types of the purpose `name`.
    pub fn known(name: &str) -> Option<Self> {
        KNOWN.iter().find(|(known, _)| *known == name).map(|(known, _)| Self::Known(known))
    }

    /// Returns whether a statement of the type `found` is one of these.
    pub fn contains(&self, found: &str) -> bool {
        match self {
            Self::One(wanted) => wanted == found,
            Self::Known(name) => KNOWN.iter().any(|(known, types)| known == name && types.contains(&found)),
        }
    }

    /// Returns whether all of these are of the purpose `name`.
    pub fn is_of(&self, name: &str) -> bool {
        match self {
            Self::One(wanted) => KNOWN.iter().any(|(known, types)| *known == name && types.contains(&wanted.as_str())),
            Self::Known(known) => *known == name,
        }
    }
}

impl fmt::Display for PredicateTypes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::One(wanted) => f.write_str(wanted),
            Self::Known(name) => f.write_str(name),
        }
    }
}

/// A field of a predicate, and what it must be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Constraint {
    /// Which field.
    pub field: FieldPath,
    /// What is asked of it.
    pub test: Test,
}

/// What is asked of a field. Where a path leads to several values, each of them must pass; where it leads to none,
/// everything but `exists: false` and `maxCount` fails.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Test {
    /// A text, number or truth value that is equal to one of these.
    OneOf(Vec<serde_json::Value>),
    /// A text that an expression meets as a whole.
    Pattern(Regexp),
    /// Whether there is a value other than null.
    Exists(bool),
    /// A point in time before this one.
    Before(Instant),
    /// A point in time after this one.
    After(Instant),
    /// A point in time that lies at most so far back, and not in the future.
    MaxAge(Age),
    /// At most so many values; items of a list at the end of the path count one by one.
    MaxCount(usize),
}

/// Path to a field: `buildDefinition.externalParameters["x.y"]`, `materials[0].uri`, `packages[*].name`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FieldPath {
    text: String,
    steps: Vec<Step>,
}

/// One step of a path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// Field of an object.
    Name(String),
    /// Item of a list, from 0.
    At(usize),
    /// Every item of a list.
    Each,
}

impl FieldPath {
    /// Returns the steps.
    pub fn steps(&self) -> &[Step] {
        &self.steps
    }
}

/// Steps of one path.
const STEPS: usize = 32;

impl FromStr for FieldPath {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong =
            || format!("{text:?} is no path to a field; expected one like builder.id, items[0] or items[*].name");
        let mut steps = Vec::new();
        let mut rest = text;
        while !rest.is_empty() || steps.is_empty() {
            if steps.len() == STEPS {
                return Err(format!("the path has more than {STEPS} steps"));
            }
            let (step, after) = step(rest, steps.is_empty()).ok_or_else(wrong)?;
            steps.push(step);
            rest = after;
        }
        Ok(Self { text: text.to_owned(), steps })
    }
}

fn step(text: &str, first: bool) -> Option<(Step, &str)> {
    if let Some(inner) = text.strip_prefix("[\"") {
        let (name, rest) = inner.split_once("\"]")?;
        return (!name.is_empty()).then(|| (Step::Name(name.to_owned()), rest));
    }
    if let Some(inner) = text.strip_prefix('[') {
        let (index, rest) = inner.split_once(']')?;
        if index == "*" {
            return Some((Step::Each, rest));
        }
        let digits = !index.is_empty() && index.bytes().all(|b| b.is_ascii_digit());
        return Some((Step::At(digits.then(|| index.parse().ok())??), rest));
    }
    let text = if first { text } else { text.strip_prefix('.')? };
    let end = text.find(['.', '[']).unwrap_or(text.len());
    let (name, rest) = text.split_at(end);
    let plain = !name.is_empty() && !name.contains(|c: char| c.is_whitespace() || matches!(c, ']' | '"' | '*'));
    plain.then(|| (Step::Name(name.to_owned()), rest))
}

impl fmt::Display for FieldPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl Serialize for FieldPath {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.text)
    }
}

/// What a SLSA provenance must say, whichever version it is.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Provenance {
    /// Who built: `runDetails.builder.id`, or `builder.id` of version 0.2.
    pub builder: Option<TextMatch>,
    /// How: `buildDefinition.buildType`, or `buildType`.
    pub build_type: Option<TextMatch>,
    /// From what: the source among `buildDefinition.externalParameters`, or `invocation.configSource.uri`.
    pub source: Option<TextMatch>,
}

/// What a vulnerability report may say.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Vulnerabilities {
    /// The worst severity that is let through; a severity that nobody knows counts as the worst.
    pub max_severity: Option<Scale>,
    /// How old the scan may be by the report's own, signed word.
    pub max_report_age: Option<Age>,
    /// Vulnerabilities that do not count, by their names.
    pub except: Vec<String>,
}

/// Severity of a vulnerability.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Scale {
    /// None at all is let through.
    None,
    /// Negligible counts as low.
    Low,
    /// Medium, or moderate.
    Medium,
    /// High, or important.
    High,
    /// Critical.
    Critical,
}

impl Scale {
    /// Every severity with its name.
    pub const ALL: [(&'static str, Self); 5] = [
        ("none", Self::None),
        ("low", Self::Low),
        ("medium", Self::Medium),
        ("high", Self::High),
        ("critical", Self::Critical),
    ];
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn paths_are_read_step_by_step() {
        let steps = |text: &str| text.parse::<FieldPath>().map(|path| path.steps().to_vec());
        let name = |text: &str| Step::Name(text.to_owned());
        assert_eq!(steps("builder.id"), Ok(vec![name("builder"), name("id")]));
        assert_eq!(steps("[*].a"), Ok(vec![Step::Each, name("a")]));
        assert_eq!(steps(r#"a[0]["x.y"][*].z"#), Ok(vec![name("a"), Step::At(0), name("x.y"), Step::Each, name("z")]));
        for text in ["", ".", "a.", ".a", "a..b", "a[", "a[]", "a[-1]", "a[x]", "a b", "a[*", "a[\"\"]", "a]", "a*"] {
            assert!(steps(text).is_err(), "{text}");
        }
        assert!(steps(&vec!["a"; STEPS].join(".")).is_ok());
        assert!(steps(&vec!["a"; STEPS + 1].join(".")).unwrap_err().contains("more than 32"));
    }

    #[test]
    fn a_purpose_stands_for_its_types_and_for_no_other() {
        let slsa = PredicateTypes::known("slsa").unwrap();
        assert!(slsa.contains("https://slsa.dev/provenance/v1") && slsa.contains("https://slsa.dev/provenance/v0.2"));
        assert!(!slsa.contains("https://slsa.dev/provenance/v1.1") && !slsa.contains("slsa"));
        assert!(PredicateTypes::One("https://slsa.dev/provenance/v1".into()).is_of("slsa"));
        assert!(!PredicateTypes::One("https://spdx.dev/Document".into()).is_of("slsa"));
        assert!(PredicateTypes::known("sbom").is_none());
    }

    proptest! {
        #[test]
        fn any_text_is_a_path_or_none_without_a_panic(text in "\\PC{0,60}") {
            if let Ok(path) = text.parse::<FieldPath>() {
                prop_assert_eq!(path.to_string(), text);
            }
        }
    }
}
