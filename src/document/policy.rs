//! The policy file (`policy.yaml`, `kind: Policy`): which evidence an artifact needs before it is carried.
//!
//! A person writes it, one on each side of the gap. Each rule has patterns and one demand: evidence
//! (`signatures`, `attestations`), an exemption with a reason and an end (`exempt`), or `deny`. For an artifact
//! the rule with the most specific matching pattern decides, the earlier one where two are alike; what no rule
//! matches is refused. Patterns are about the source reference of the lock, never about the place at the
//! destination, so one policy works on both sides. A policy never says in which form a signature is stored.
//! Signers of the Notary Project and their trust stores are in `notation.rs` beside this file.
//!
//! ```yaml
//! apiVersion: airlift/v1alpha1
//! kind: Policy
//! trustRoots: {public-good: {file: trusted_root.json, sha256: <64 hex>}}
//! keys: {release: {file: release.pub}}
//! rules:
//!   - match: ["registry.example/team/**"]
//!     signatures:
//!       - key: release
//!       - keyless:
//!           trustRoot: public-good
//!           issuer: https://token.actions.githubusercontent.com
//!           identity: https://github.com/team/app/.github/workflows/release.yaml@refs/heads/main
//!           claims: {sourceRepository: https://github.com/team/app}
//!           log: promise
//!     attestations: [{predicateType: https://spdx.dev/Document, signedBy: same}]
//!   - match: ["docker.io/library/busybox:1.*"]
//!     exempt: {reason: not signed by its makers, until: 2027-01-31}
//! ```

mod distinguished_name;
mod flags;
mod form;
mod notation;

pub use distinguished_name::{DistinguishedName, NameError};
pub use flags::{Flags, KeylessFlags};
pub use notation::{
    Action, CertificateSource, Identities, Level, NotationSigner, StoreKind, StoreName, TrustStoreSource, Validation,
    VerifyTimestamp,
};

use super::pattern::Pattern;
use super::{API_VERSION, Envelope, PaperError, yaml};
use crate::model::Digest;
use form::{WrittenKeySigner, WrittenKeyless, WrittenRoot, WrittenRule};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Kind of the paper.
pub const KIND: &str = "Policy";

/// Policy: `kind: Policy`.
#[derive(Debug, Clone)]
pub struct Policy {
    /// Name for a person: the file, or the flags.
    pub place: String,
    /// Sigstore roots by the name that rules use.
    pub trust_roots: BTreeMap<String, TrustRootSource>,
    /// Trust stores of the Notary Project by the name that rules use.
    pub trust_stores: BTreeMap<String, TrustStoreSource>,
    /// Public keys by the name that rules use.
    pub keys: BTreeMap<String, KeySource>,
    /// Rules, in written order.
    pub rules: Vec<Rule>,
    /// The file, verbatim; empty where flags made the policy.
    text: String,
}

/// What a policy does with a miss. There is one mode: what is not accepted is not carried.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Mode {
    #[default]
    Enforce,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Written {
    api_version: String,
    kind: String,
    #[serde(default)]
    mode: Mode,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    trust_roots: BTreeMap<String, TrustRootSource>,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    trust_stores: BTreeMap<String, TrustStoreSource>,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    keys: BTreeMap<String, KeySource>,
    rules: Vec<Rule>,
}

impl Policy {
    /// Reads a policy from the text of the file that a person calls `place`.
    pub fn parse(text: &str, place: &str) -> Result<Self, PaperError> {
        yaml::parse::<Envelope>(text, place)?.expect(place, KIND)?;
        let written: Written = yaml::parse(text, place)?;
        let policy = Self {
            place: place.to_owned(),
            trust_roots: written.trust_roots,
            trust_stores: written.trust_stores,
            keys: written.keys,
            rules: written.rules,
            text: text.to_owned(),
        };
        form::check(&policy)?;
        Ok(policy)
    }

    /// Returns the file as it was read, or flags in the form of a file.
    pub fn to_text(&self) -> String {
        if !self.text.is_empty() {
            return self.text.clone();
        }
        yaml::write(&Written {
            api_version: API_VERSION.to_owned(),
            kind: KIND.to_owned(),
            mode: Mode::Enforce,
            trust_roots: self.trust_roots.clone(),
            trust_stores: self.trust_stores.clone(),
            keys: self.keys.clone(),
            rules: self.rules.clone(),
        })
    }

    /// Makes the policy that flags stand for; what no flag covers is refused.
    pub fn from_flags(flags: &Flags) -> Result<Self, PaperError> {
        flags::policy(flags)
    }
}

/// Where a Sigstore root comes from: `{file: trusted_root.json, sha256: <64 hex>}` or `{embedded: public-good}`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "WrittenRoot", into = "WrittenRoot")]
pub enum TrustRootSource {
    /// A `trusted_root.json`.
    File {
        /// Path as written; whoever loads it says what it is relative to.
        file: String,
        /// What the file must be, to the byte.
        sha256: Option<Digest>,
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
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "WrittenRule", into = "WrittenRule")]
pub struct Rule {
    /// Patterns, any of which is enough.
    pub patterns: Vec<Pattern>,
    /// What is demanded.
    pub demand: Demand,
    /// Flag that made the rule; empty where it stands in a file.
    pub origin: String,
}

/// What a rule demands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Demand {
    /// One signature by any of the signers, and every attestation. One of the lists may be empty.
    Evidence {
        /// Signers, any of which is enough.
        signatures: Vec<AcceptedSigner>,
        /// Attestations, all of which are needed.
        attestations: Vec<AttestationDemand>,
    },
    /// Nothing, for a reason and a time.
    Exempt(Exemption),
    /// Never carried.
    Deny,
}

/// Why and until when an artifact needs no evidence.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Exemption {
    /// Reason, for who reads the receipt.
    pub reason: String,
    /// Last day on which it holds, UTC: `2027-01-31`, or `never` for no end.
    pub until: Until,
}

/// End of an exemption.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum Until {
    /// Last day on which it holds: year, month, day.
    Day(u16, u8, u8),
    /// No end.
    Never,
}

/// Who may have signed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum AcceptedSigner {
    /// The holder of a key.
    Key(KeySigner),
    /// The holder of a short-lived certificate of a Sigstore instance.
    Keyless(KeylessSigner),
    /// The holder of a certificate that a trust store of the Notary Project vouches for.
    Notation(NotationSigner),
}

/// Signature by a key: `key: NAME`, or `key: {name: NAME, log: promise, trustRoot: ROOT}`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "WrittenKeySigner", into = "WrittenKeySigner")]
pub struct KeySigner {
    /// Name in `keys`.
    pub name: String,
    /// What the transparency log must show; `none` where nothing is said.
    pub log: LogDemand,
    /// Root that names the log; needed where `log` is not `none`.
    pub trust_root: Option<String>,
}

/// Signature under a short-lived certificate.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "WrittenKeyless", into = "WrittenKeyless")]
pub struct KeylessSigner {
    /// Root by which it is judged: one, never the union of several.
    pub trust_root: String,
    /// Who vouched for the identity.
    pub issuer: TextMatch,
    /// The certificate's subject alternative name.
    pub identity: TextMatch,
    /// Further claims of the certificate; a claim that it lacks is a refusal.
    pub claims: BTreeMap<Claim, String>,
    /// What the transparency log must show; `promise` where nothing is said.
    pub log: LogDemand,
    /// Whether the certificate must have been logged; `required` where nothing is said.
    pub sct: SctDemand,
}

/// Text that must be met: exactly, or by a regular expression that is about the whole of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TextMatch {
    /// Equal, to the byte.
    Exact(String),
    /// `^…$`, without look-around and back references.
    Regexp(String),
}

/// What the transparency log must show.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LogDemand {
    /// Nothing. A keyless signature then needs a timestamp of a trusted authority.
    None,
    /// That the log promised to take the entry; all that cosign's older form carries.
    Promise,
    /// That the entry is in the log.
    Proof,
}

/// Whether a certificate must have been logged.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum SctDemand {
    /// It must carry the timestamp of a trusted certificate log.
    Required,
    /// For private instances that have no such log.
    None,
}

/// Claims of a Fulcio certificate, by the number of their extension under 1.3.6.1.4.1.57264.1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Claim {
    /// `.9`: the workflow that signed.
    BuildSigner,
    /// `.10`: its commit.
    BuildSignerDigest,
    /// `.11`: `github-hosted` or `self-hosted`.
    RunnerEnvironment,
    /// `.12`: the repository, as a URL.
    SourceRepository,
    /// `.13`: the commit.
    SourceCommit,
    /// `.14`: the branch or tag.
    SourceRef,
    /// `.15`: the repository's number; it survives renames.
    SourceRepositoryId,
    /// `.16`: the owner, as a URL.
    SourceOwner,
    /// `.17`: the owner's number; it survives renames.
    SourceOwnerId,
    /// `.18`: the top-level workflow.
    BuildConfig,
    /// `.19`: its commit.
    BuildConfigDigest,
    /// `.20`: what started the build: `push`, `pull_request`, ….
    Trigger,
    /// `.21`: the run, as a URL.
    Run,
    /// `.22`: visibility of the repository when it was signed.
    Visibility,
    /// `.23`: the deployment environment.
    DeploymentEnvironment,
    /// `.24`: the subject of the identity token.
    TokenSubject,
    /// `.2`: what started the workflow; the older form.
    WorkflowTrigger,
    /// `.3`: the commit; the older form.
    WorkflowSha,
    /// `.4`: name of the workflow; the older form.
    WorkflowName,
    /// `.5`: `owner/repository`; the older form.
    WorkflowRepository,
    /// `.6`: the branch or tag; the older form.
    WorkflowRef,
}

/// An attestation that must be there.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct AttestationDemand {
    /// Predicate type, compared as a whole.
    pub predicate_type: String,
    /// Who may have signed it: `same` as the rule's signatures, or a list.
    #[serde(default)]
    pub signed_by: SignedBy,
}

/// Who may have signed an attestation.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum SignedBy {
    /// Any of the signers that the rule's `signatures` name.
    #[default]
    Same,
    /// Any of these.
    Signers(Vec<AcceptedSigner>),
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = r#"
apiVersion: airlift/v1alpha1
kind: Policy
trustRoots:
  public-good: {file: trusted_root.json, sha256: "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"}
  github: {embedded: github}
keys:
  release: {file: release.pub}
rules:
  - match: ["registry.example/team/**", "registry.example/other:1.*"]
    signatures:
      - key: release
      - key: {name: release, log: promise, trustRoot: public-good}
      - keyless:
          trustRoot: public-good
          issuer: https://issuer.example
          identityRegexp: ^https://code\.example/team/.*$
          claims: {sourceRepositoryId: "42"}
          log: proof
    attestations:
      - {predicateType: https://spdx.dev/Document, signedBy: same}
      - predicateType: https://slsa.dev/provenance/v1
        signedBy:
          - key: release
  - match: ["docker.io/library/busybox"]
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
        let Demand::Evidence { signatures, attestations } = &policy.rules[0].demand else { panic!() };
        assert_eq!(signatures.len(), 3);
        assert_eq!(
            signatures[0],
            AcceptedSigner::Key(KeySigner { name: "release".into(), log: LogDemand::None, trust_root: None })
        );
        let AcceptedSigner::Keyless(keyless) = &signatures[2] else { panic!() };
        assert_eq!(keyless.identity, TextMatch::Regexp(r"^https://code\.example/team/.*$".into()));
        assert_eq!(keyless.claims[&Claim::SourceRepositoryId], "42");
        assert_eq!(attestations[0].signed_by, SignedBy::Same);
        assert!(matches!(&attestations[1].signed_by, SignedBy::Signers(list) if list.len() == 1));
        let exemption = Exemption { reason: "base image".into(), until: Until::Day(2027, 1, 31) };
        assert_eq!(policy.rules[1].demand, Demand::Exempt(exemption));
        assert_eq!(policy.rules[2].demand, Demand::Deny);
    }

    #[test]
    fn what_cannot_be_meant_is_refused_in_words() {
        for (from, to, words) in [
            ("airlift/v1alpha1", "airlift/v9", "airlift/v9"),
            ("kind: Policy", "kind: Mirror", "Mirror"),
            ("kind: Policy", "kind: Policy\nmode: warn", "warn"),
            ("rules:", "extra: 1\nrules:", "extra"),
            ("log: proof", "logs: proof", "logs"),
            ("log: proof", "log: maybe", "maybe"),
            ("^https", "https", "begin it with ^ and end it with $"),
            ("identityRegexp:", "subject: x\n          identityRegexp:", "subject"),
            ("issuer: https://issuer.example\n          ", "", "needs issuer or issuerRegexp"),
            ("sourceRepositoryId", "repositoryId", "repositoryId"),
            ("- key: release\n      - key:", "- key: releases\n      - key:", "\"releases\" is not in keys"),
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
