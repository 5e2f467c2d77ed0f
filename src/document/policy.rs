//! The policy file (`policy.yaml`, `kind: Policy`): which evidence an artifact needs before it is carried.
//!
//! A person writes it, one on each side of the gap. Each rule has patterns and one demand: evidence
//! (`signatures`, `attestations`), an exemption with a reason and an end (`exempt`), or `deny`. For an artifact
//! the rule with the most specific matching pattern decides, the earlier one where two are alike; what no rule
//! matches is refused. Patterns are about the source reference of the lock, never about the place at the
//! destination, so one policy works on both sides. A policy never says in which form a signature is stored.
//! Signers of the Notary Project and their trust stores are in `notation.rs` beside this file.
//! The whole language, with examples, stands in `docs/policy.md`; `policy.schema.json` is its JSON Schema.
//!
//! ```yaml
//! apiVersion: airlift/v1alpha1
//! kind: Policy
//! maxRootAge: 180d
//! trustRoots: {public-good: {file: trusted_root.json, sha256: <64 hex>, fetched: 2026-11-20}}
//! keys: {release: {file: release.pub}, security: {file: security.pub}}
//! authorities:
//!   team:
//!     keyless:
//!       trustRoot: public-good
//!       issuer: https://token.actions.githubusercontent.com
//!       identity: https://github.com/team/app/.github/workflows/release.yaml@refs/heads/main
//!       claims: {sourceRepository: https://github.com/team/app}
//!       log: promise
//! rules:
//!   - match: ["registry.example/team/**"]
//!     signatures: {threshold: 2, of: [{key: release}, {key: security}, {authority: team}]}
//!     maxAge: 365d
//!     attestations:
//!       - {type: spdx, signedBy: same}
//!       - {type: vulnerabilities, signedBy: {authority: team}, vulnerabilities: {maxSeverity: high, maxReportAge: 7d}}
//!   - match: ["docker.io/library/busybox:1.*"]
//!     exempt: {reason: not signed by its makers, until: 2027-01-31}
//! ```

mod attestation;
mod bundle;
mod day;
mod distinguished_name;
mod flags;
pub mod import;
mod notation;
mod read;
mod regexp;
mod signers;
mod write;

pub use attestation::{
    AttestationDemand, Constraint, FieldPath, PredicateTypes, Provenance, Scale, SignedBy, Step, Test, Vulnerabilities,
};
pub use bundle::{BundleDemand, PersonKey, ReportDemand, Unsigned};
pub use day::{Age, Instant, Until};
pub use distinguished_name::{DistinguishedName, NameError};
pub use flags::{Flags, KeylessFlags};
pub use notation::{
    Action, CertificateSource, Identities, Level, NotationSigner, StoreKind, StoreName, TrustStoreSource, Validation,
    VerifyTimestamp,
};
pub use regexp::{Regexp, TextMatch};
pub use signers::{AcceptedSigner, Claim, Consent, KeySigner, KeylessSigner, LogDemand, SctDemand};

use super::form::Clerk;
use super::pattern::Pattern;
use super::{Envelope, PaperError, yaml};
use crate::model::Digest;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Kind of the paper.
pub const KIND: &str = "Policy";

/// JSON Schema of the paper.
pub const SCHEMA: &str = include_str!("policy/policy.schema.json");

/// Policy: `kind: Policy`.
#[derive(Debug, Clone, Default)]
pub struct Policy {
    /// Name for a person: the file, or the flags.
    pub place: String,
    /// What happens to an artifact that it refuses.
    pub mode: Mode,
    /// How long ago a trust root may have been fetched.
    pub max_root_age: Option<Age>,
    /// Sigstore roots by the name that rules use.
    pub trust_roots: BTreeMap<String, TrustRootSource>,
    /// Trust stores of the Notary Project by the name that rules use.
    pub trust_stores: BTreeMap<String, TrustStoreSource>,
    /// Public keys by the name that rules use.
    pub keys: BTreeMap<String, KeySource>,
    /// Signatures that a bundle itself needs, where the policy speaks of them.
    pub bundle: Option<BundleDemand>,
    /// Signers, or groups of them, by the name that rules use. None of them names another.
    pub authorities: BTreeMap<String, Consent>,
    /// Rules, in written order.
    pub rules: Vec<Rule>,
    /// The file, verbatim; empty where flags or an import made the policy.
    text: String,
}

/// What happens to an artifact that a policy or a rule refuses.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Mode {
    /// It is not carried.
    #[default]
    Enforce,
    /// It is carried with a warning, and the refusal stands in every record. Damage is refused all the same.
    Audit,
}

impl Policy {
    /// Reads a policy from the text of the file that a person calls `place`. All mistakes are named, with their places.
    pub fn parse(text: &str, place: &str) -> Result<Self, PaperError> {
        let node = yaml::document(text, place)?;
        let opening = |key| node.get(key).and_then(yaml::Node::text).unwrap_or_default().to_owned();
        Envelope { api_version: opening("apiVersion"), kind: opening("kind") }.expect(place, KIND)?;
        let clerk = Clerk::new(place);
        let read = read::policy(&clerk, &node);
        Ok(Self { text: text.to_owned(), ..clerk.finish(read)? })
    }

    /// Returns the file as it was read, or what was made otherwise in the form of a file.
    pub fn to_text(&self) -> String {
        if self.text.is_empty() { write::text(self) } else { self.text.clone() }
    }

    /// Makes the policy that flags stand for; what no flag covers is refused.
    pub fn from_flags(flags: &Flags) -> Result<Self, PaperError> {
        flags::policy(flags)
    }
}

/// Where a Sigstore root comes from: `{file: trusted_root.json, sha256: <64 hex>}` or `{embedded: public-good}`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TrustRootSource {
    /// A `trusted_root.json`.
    File {
        /// Path as written; whoever loads it says what it is relative to.
        file: String,
        /// What the file must be, to the byte.
        sha256: Option<Digest>,
        /// Day on which it was fetched from its instance, as the policy's author says.
        fetched: Option<Instant>,
    },
    /// The snapshot inside this program.
    Embedded(EmbeddedRoot),
}

/// Snapshots of well-known roots inside this program. They age with its version.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum EmbeddedRoot {
    /// Sigstore's public instance.
    PublicGood,
    /// GitHub's instance for private repositories.
    Github,
}

/// Where a public key comes from: `{file: cosign.pub}` or `{pem: …}`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum KeySource {
    /// A PEM file.
    File(String),
    /// The PEM text itself.
    Pem(String),
}

/// One rule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rule {
    /// Patterns, any of which is enough.
    pub patterns: Vec<Pattern>,
    /// What is demanded.
    pub demand: Demand,
    /// What happens to an artifact that it refuses; the policy's own mode where nothing is said.
    pub mode: Option<Mode>,
    /// What signatures must say of the name under which the artifact was signed.
    pub signed_reference: SignedReference,
    /// Line of the policy file; 0 where it stands in none.
    pub line: usize,
    /// Flag that made the rule; empty where it stands in a file.
    pub origin: String,
}

/// What a signature must say of the name under which the artifact was signed. Only cosign's older form says one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum SignedReference {
    /// Nothing: the digest alone binds a signature to an artifact, wherever it was signed.
    #[default]
    Any,
    /// The repository of the source.
    Repository,
    /// The repository of the source, and its tag where the source has one.
    Exact,
}

/// What a rule demands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Demand {
    /// Signatures, and every attestation. One of them may be missing.
    Evidence {
        /// Whose signatures.
        signatures: Option<Consent>,
        /// How long ago they may have been made; holds for attestations too that say nothing else.
        max_age: Option<Age>,
        /// Attestations, all of which are needed.
        attestations: Vec<AttestationDemand>,
    },
    /// Nothing, for a reason and a time.
    Exempt(Exemption),
    /// Never carried; the reason, where one is given.
    Deny(String),
}

/// Why and until when an artifact needs no evidence.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Exemption {
    /// Reason, for who reads the receipt.
    pub reason: String,
    /// Last day on which it holds, UTC: `2027-01-31`, or `never` for no end.
    pub until: Until,
}

impl Rule {
    /// Makes a rule that stands in no file.
    pub const fn new(patterns: Vec<Pattern>, demand: Demand) -> Self {
        Self { patterns, demand, mode: None, signed_reference: SignedReference::Any, line: 0, origin: String::new() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = r#"
apiVersion: airlift/v1alpha1
kind: Policy
mode: enforce
maxRootAge: 180d
trustRoots:
  public-good:
    file: trusted_root.json
    sha256: "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
    fetched: 2026-11-20
  github: {embedded: github}
keys:
  release: {file: release.pub}
authorities:
  team:
    keyless:
      trustRoot: public-good
      issuer: https://issuer.example
      identityRegexp: ^https://code\.example/team/.*$
      claims: {sourceRepositoryId: "42"}
      log: proof
rules:
  - match: ["registry.example/team/**", "registry.example/other:1.*"]
    maxAge: 90d
    signatures:
      threshold: 2
      of:
        - key: release
        - anyOf:
            - key: {name: release, log: promise, trustRoot: public-good}
            - authority: team
        - authority: team
    attestations:
      - {predicateType: https://spdx.dev/Document, signedBy: same}
      - predicateType: https://slsa.dev/provenance/v1
        signedBy:
          - key: release
        where:
          - {field: buildDefinition.buildType, equals: x}
          - {field: "resolvedDependencies[*].uri", pattern: ^https://.*$}
      - {type: vulnerabilities, maxAge: 7d, vulnerabilities: {maxSeverity: high, maxReportAge: 3d, except: [CVE-1]}}
  - match: docker.io/library/busybox
    mode: audit
    exempt: {reason: base image, until: 2027-01-31}
  - match: ["**"]
    deny: true
"#;

    fn refused(from: &str, to: &str) -> String {
        let text = TEXT.replacen(from, to, 1);
        assert_ne!(text, TEXT, "{from:?} does not stand in the example");
        Policy::parse(&text, "policy.yaml").unwrap_err().to_string()
    }

    #[test]
    fn a_policy_is_read_in_full_and_kept_verbatim() {
        let policy = Policy::parse(TEXT, "policy.yaml").unwrap();
        assert_eq!(policy.to_text(), TEXT);
        let Demand::Evidence { signatures, attestations, max_age } = &policy.rules[0].demand else { panic!() };
        assert_eq!(*max_age, Some(Age::days(90)));
        let Some(Consent::Threshold(2, of)) = signatures else { panic!("{signatures:?}") };
        let [Consent::Signer(key), Consent::AnyOf(any), Consent::Authority(team)] = of.as_slice() else { panic!() };
        assert_eq!(
            *key,
            AcceptedSigner::Key(KeySigner { name: "release".into(), log: LogDemand::None, trust_root: None })
        );
        assert_eq!((any.len(), team.as_str()), (2, "team"));
        let Consent::Signer(AcceptedSigner::Keyless(keyless)) = &policy.authorities["team"] else { panic!() };
        assert_eq!(keyless.identity, TextMatch::Regexp(Regexp::new(r"^https://code\.example/team/.*$").unwrap()));
        assert_eq!(keyless.claims[&Claim::SourceRepositoryId], "42");
        assert_eq!(attestations[0].signed_by, SignedBy::Same);
        assert!(matches!(&attestations[1].signed_by, SignedBy::Signers(Consent::Signer(_))));
        assert_eq!(attestations[1].constraints.len(), 2);
        assert_eq!(attestations[2].vulnerabilities.as_ref().unwrap().max_severity, Some(Scale::High));
        let exemption = Exemption { reason: "base image".into(), until: Until::Day(2027, 1, 31) };
        assert_eq!(policy.rules[1].demand, Demand::Exempt(exemption));
        assert_eq!(policy.rules[2].demand, Demand::Deny(String::new()));
        assert_eq!((policy.mode, policy.rules[1].mode, policy.rules[2].line), (Mode::Enforce, Some(Mode::Audit), 45));
    }

    #[test]
    fn the_schema_knows_the_same_fields() {
        use super::read::*;
        let schema: serde_json::Value = serde_json::from_str(SCHEMA).unwrap();
        let fields = |node: &serde_json::Value| {
            assert_eq!(node["additionalProperties"], false);
            node["properties"].as_object().unwrap().keys().cloned().collect::<std::collections::BTreeSet<_>>()
        };
        let known = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
        assert_eq!(fields(&schema), known(FIELDS));
        for (name, names) in [
            ("trustRoot", ROOT),
            ("key", KEY),
            ("signers", CONSENT),
            ("keySigner", KEY_SIGNER),
            ("keyless", KEYLESS),
            ("rule", RULE),
            ("exemption", EXEMPTION),
            ("attestation", ATTESTATION),
            ("constraint", CONSTRAINT),
            ("provenance", PROVENANCE),
            ("vulnerabilities", VULNERABILITIES),
            ("bundle", bundle::BUNDLE),
            ("author", bundle::AUTHOR),
            ("countersigner", bundle::COUNTERSIGNER),
        ] {
            assert_eq!(fields(&schema["$defs"][name]), known(names), "{name}");
        }
        let types = schema["$defs"]["attestation"]["properties"]["type"]["enum"].as_array().unwrap();
        assert_eq!(types.iter().map(|name| name.as_str().unwrap()).collect::<Vec<_>>(), PredicateTypes::names());
    }

    #[test]
    fn a_threshold_counts_no_authority_of_which_several_are_needed() {
        let text = TEXT.replacen("  team:\n", "  team:\n    allOf:\n    - key: release\n  other:\n", 1);
        let error = Policy::parse(&text, "policy.yaml").unwrap_err().to_string();
        assert!(error.contains("policy.yaml:35:11: a threshold counts signers"), "{error}");
    }

    #[test]
    fn all_mistakes_are_named_in_the_order_of_the_file() {
        let text = TEXT
            .replace("log: proof", "log: maybe")
            .replace("authority: team", "authority: teams")
            .replace("equals: x", "equal: x");
        let error = Policy::parse(&text, "policy.yaml").unwrap_err().to_string();
        let places: Vec<&str> = error.lines().skip(1).map(|line| line.trim().split(": ").next().unwrap()).collect();
        let lines: Vec<usize> = places.iter().map(|place| place.split(':').nth(1).unwrap().parse().unwrap()).collect();
        assert!(error.starts_with("5 mistakes") && lines.is_sorted(), "{error}");
        assert!(error.contains("did you mean \"equals\""), "{error}");
    }

    #[test]
    fn groups_and_constraints_end_at_their_limits() {
        use crate::model::limits;
        let policy = |signatures: &str, constraints: usize| {
            let constraint = "{field: a, equals: b}, ".repeat(constraints);
            let text = format!(
                "apiVersion: airlift/v1alpha1\nkind: Policy\nkeys: {{k: {{file: k}}}}\nrules:\n  - match: [\"**\"]\n    signatures: {signatures}\n    attestations: [{{type: spdx, where: [{constraint}]}}]\n"
            );
            Policy::parse(&text, "p").map(|_| ()).map_err(|error| error.to_string())
        };
        let deep = |depth: usize| format!("{}{{key: k}}{}", "{allOf: [".repeat(depth), "]}".repeat(depth));
        assert_eq!(policy(&deep(limits::CONSENT_DEPTH), 1), Ok(()));
        assert!(policy(&deep(limits::CONSENT_DEPTH + 1), 1).unwrap_err().contains("more than 4 deep"));
        let many = |count: usize| format!("[{}]", "{key: k}, ".repeat(count));
        assert_eq!(policy(&many(limits::SIGNERS_PER_RULE), limits::CONSTRAINTS), Ok(()));
        assert!(policy(&many(limits::SIGNERS_PER_RULE + 1), 1).unwrap_err().contains("65 signers, the limit is 64"));
        assert!(policy("[{key: k}]", limits::CONSTRAINTS + 1).unwrap_err().contains("65 constraints"));
    }

    #[test]
    fn a_policy_that_is_written_reads_back_the_same() {
        let policy = Policy::parse(TEXT, "policy.yaml").unwrap();
        let written = Policy { text: String::new(), ..policy.clone() }.to_text();
        let read = Policy::parse(&written, "policy.yaml").unwrap_or_else(|e| panic!("{e}\n{written}"));
        assert_eq!(read.trust_roots, policy.trust_roots);
        assert_eq!((&read.authorities, read.max_root_age), (&policy.authorities, policy.max_root_age));
        let told = |policy: &Policy| -> Vec<_> {
            policy.rules.iter().map(|rule| (rule.patterns.clone(), rule.demand.clone(), rule.mode)).collect()
        };
        assert_eq!(told(&read), told(&policy));
    }

    #[test]
    fn what_cannot_be_meant_is_refused_in_words() {
        for (from, to, words) in [
            ("airlift/v1alpha1", "airlift/v9", "airlift/v9"),
            ("kind: Policy", "kind: Mirror", "Mirror"),
            ("mode: enforce", "mode: warn", "warn"),
            ("rules:", "extra: 1\nrules:", "extra"),
            ("maxAge: 90d", "maxAge: 90", "no span of time"),
            ("threshold: 2", "threshold: 0", "from 1 on"),
            ("threshold: 2", "anyOf: []", "expected one of"),
            ("authority: team", "authority: teams", "not in authorities"),
            ("        - anyOf:", "        - allOf:", "a threshold counts signers"),
            ("equals: x", "equals: x, exists: true", "exactly one test"),
            ("field: buildDefinition.buildType", "field: a..b", "no path"),
            ("type: vulnerabilities", "type: spdx", "is about attestations of type vulnerabilities"),
            ("type: vulnerabilities", "type: sbom", "none of: slsa"),
            ("maxSeverity: high", "maxSeverity: worst", "worst"),
            ("pattern: ^https", "pattern: https", "begin it with ^"),
            ("log: proof", "logs: proof", "logs"),
            ("log: proof", "log: maybe", "maybe"),
            ("^https", "https", "begin it with ^ and end it with $"),
            ("identityRegexp:", "subject: x\n      identityRegexp:", "subject"),
            ("issuer: https://issuer.example\n      ", "", "needs issuer or issuerRegexp"),
            ("sourceRepositoryId", "repositoryId", "repositoryId"),
            ("- key: release\n        - any", "- key: releases\n        - any", "\"releases\" is not in keys"),
            (", trustRoot: public-good}", "}", "only be checked with a trustRoot"),
            ("trustRoot: public-good\n", "trustRoot: public\n", "\"public\" is not in trustRoots"),
            ("deny: true", "deny: false", "says nothing"),
            ("deny: true", "deny: true\n    exempt: {reason: x, until: never}", "a rule has one of"),
            ("deny: true", "exempt: {reason: ' ', until: never}", "needs a reason"),
            ("until: 2027-01-31", "until: 2027-02-29", "is no day"),
            (", until: 2027-01-31", "", "until"),
            ("[\"**\"]", "[\"registry.example/team/**\"]", "stands in the policy twice"),
            ("[\"**\"]", "[\"a?\"]", "no pattern"),
            ("[\"**\"]", "[]", "at least one pattern"),
            ("{embedded: github}", "{embedded: github, file: x}", "either a file or embedded"),
            ("e3b0", "E3b0", "lower-case hex"),
            ("signedBy: same", "signedBy: anybody", "anybody"),
            ("kind: Policy", "kind: Policy\nkind: Policy", "kind"),
        ] {
            let error = refused(from, to);
            assert!(error.contains(words), "{to:?} gives {error:?}, expected {words:?}");
            assert!(error.starts_with("policy.yaml"), "{error}");
        }
    }

    #[test]
    fn flags_become_a_policy_that_reads_back_as_a_file() {
        let flags = Flags {
            keys: vec![("cosign.pub".into(), "-----BEGIN PUBLIC KEY-----\nAA==\n-----END PUBLIC KEY-----\n".into())],
            keyless: Some(KeylessFlags {
                identity_regexp: Some("team".into()),
                issuer: Some("https://issuer.example".into()),
                ..KeylessFlags::default()
            }),
            allow_unsigned: vec!["docker.io/library/*".into()],
        };
        let policy = Policy::from_flags(&flags).unwrap();
        assert_eq!(policy.rules[0].origin, "--allow-unsigned docker.io/library/*");
        assert_eq!(policy.rules[1].origin, "--key cosign.pub, --certificate-identity");
        let read =
            Policy::parse(&policy.to_text(), "policy.yaml").unwrap_or_else(|e| panic!("{e}\n{}", policy.to_text()));
        assert_eq!(read.keys, policy.keys);
        assert_eq!(read.trust_roots, policy.trust_roots);
        let demands = |policy: &Policy| policy.rules.iter().map(|rule| rule.demand.clone()).collect::<Vec<_>>();
        assert_eq!(demands(&read), demands(&policy));
    }

    #[test]
    fn flags_that_say_half_are_refused() {
        let keyless = |keyless| Policy::from_flags(&Flags { keyless: Some(keyless), ..Flags::default() });
        let identity = KeylessFlags { identity: Some("x".into()), ..KeylessFlags::default() };
        assert!(keyless(identity.clone()).unwrap_err().to_string().contains("--certificate-oidc-issuer"));
        let both = KeylessFlags { identity_regexp: Some("x".into()), issuer: Some("y".into()), ..identity };
        assert!(keyless(both).unwrap_err().to_string().contains("not both"));
        let pattern = Flags { allow_unsigned: vec!["a?".into()], ..Flags::default() };
        assert!(Policy::from_flags(&pattern).is_err());
        assert!(Policy::from_flags(&Flags::default()).unwrap().rules.is_empty());
    }
}
