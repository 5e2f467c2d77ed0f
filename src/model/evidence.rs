//! Evidence: what was found beside an artifact and how it was judged; and findings of checks.

use super::descriptor::MediaType;
use super::digest::Digest;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Judgement of one piece of evidence. Unknown is not good.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Verdict {
    /// It was checked and holds.
    Good,
    /// It could not be judged: a kind, format or key that nobody here knows.
    Unknown,
    /// It was checked and does not hold.
    Bad,
}

/// Kinds of evidence.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum EvidenceKind {
    /// Signature by cosign, simple signing form.
    CosignSignature,
    /// Attestation by cosign, DSSE form under a tag.
    CosignAttestation,
    /// Sigstore bundle: a signature or an attestation.
    SigstoreBundle,
    /// Signature of the Notary Project.
    Notation,
    /// SBOM that is attached without a signature.
    Sbom,
    /// Anything else that refers to the artifact.
    Other,
}

/// Who made a signature.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", tag = "kind")]
pub enum Signer {
    /// A public key, by the SHA-256 of its DER form.
    Key {
        /// Name or path of the key in the policy.
        name: String,
        /// SHA-256 of the SubjectPublicKeyInfo.
        sha256: Digest,
    },
    /// A short-lived certificate.
    Certificate {
        /// Identity: the certificate's subject alternative name.
        identity: String,
        /// Issuer that vouched for the identity.
        issuer: String,
        /// Further claims that the policy asked for, as the certificate makes them.
        #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
        claims: BTreeMap<String, String>,
    },
    /// A certificate that an authority of a trust store issued (Notary Project).
    #[serde(rename = "x509")]
    X509 {
        /// Holder, as the certificate names them.
        subject: String,
        /// Authority that issued it.
        issuer: String,
        /// SHA-256 of the certificate.
        sha256: Digest,
        /// Signing scheme: `notary.x509` or `notary.x509.signingAuthority`.
        scheme: String,
    },
}

/// A verified certificate, as far as somebody may want to look it up later.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct CertificateFacts {
    /// SHA-256 of its DER form.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sha256: Option<Digest>,
    /// Start of its validity, RFC 3339.
    pub not_before: String,
    /// End of its validity, RFC 3339.
    pub not_after: String,
    /// Everything that it claims of the build that it was issued to, by the names of the policy language.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub claims: BTreeMap<String, String>,
}

/// A verified time of a signature.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct VerifiedTime {
    /// RFC 3339.
    pub at: String,
    /// Who vouches for it.
    pub by: TimeSource,
}

/// Who vouches for a time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum TimeSource {
    /// A transparency log, in its signed entry timestamp.
    Log,
    /// A timestamp authority (RFC 3161).
    TimestampAuthority,
    /// A signing service that is trusted for the time too (Notary Project).
    SigningAuthority,
}

/// Root of trust by which a signature was judged.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RootUsed {
    /// Name in the policy; a trust store with its type: `ca:acme`.
    pub name: String,
    /// SHA-256 of the file; of a trust store, of the certificate that vouches for the signer.
    pub sha256: Digest,
}

/// Entry of a transparency log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct LogEntry {
    /// The log, by the SHA-256 of its public key in hex.
    pub log: String,
    /// Index in the log.
    pub index: u64,
}

/// One piece of evidence, as found and judged. The same record stands in bundles and receipts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Evidence {
    /// What it is about.
    pub subject: Digest,
    /// What it is.
    pub kind: EvidenceKind,
    /// Manifest that carries it.
    pub source: Digest,
    /// Layer of that manifest that holds it, where its content was judged.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub layer: Option<Digest>,
    /// Tag that led to it, where it was found by a tag.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tag: Option<String>,
    /// Type that it states.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub artifact_type: Option<MediaType>,
    /// Judgement.
    pub verdict: Verdict,
    /// Reason in words.
    pub reason: String,
    /// Who signed, where that was verified.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub signer: Option<Signer>,
    /// Certificate under which it was signed, where there was one and it was verified.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub certificate: Option<CertificateFacts>,
    /// How the transparency log was checked: `proof`, `promise` or `none`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub log: Option<String>,
    /// Entry that was checked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub log_entry: Option<LogEntry>,
    /// Root by which it was judged, where one was needed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trust_root: Option<RootUsed>,
    /// Verified times, the earliest first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub times: Vec<VerifiedTime>,
    /// Who vouches for the times, where it is not the log: `timestamp by …` or `signing authority`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub time_source: Option<String>,
    /// Predicate type of a verified attestation.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub predicate_type: Option<String>,
    /// What an offline verifier did not check.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub not_checked: Vec<String>,
}

/// How much a finding matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// Worth knowing.
    Note,
    /// Worth a decision.
    Warning,
    /// The thing checked does not hold.
    Error,
}

/// Classes of findings; each has one exit number, in `cli/error.rs`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum FindingClass {
    /// A paper, flag or setting.
    Config,
    /// Bytes, digests, structure.
    Integrity,
    /// A volume that is missing, foreign or cannot be read.
    Media,
    /// A signature or policy.
    Policy,
    /// The destination.
    Destination,
    /// The source.
    Source,
}

/// What a check found: data, not an error. A check lists all of them.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Finding {
    /// How much it matters.
    pub severity: Severity,
    /// Class.
    pub class: FindingClass,
    /// Where: a volume with an offset, an artifact, a project.
    pub place: String,
    /// What, as a lower-case fragment.
    pub what: String,
    /// What the person who reads it can do.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub hint: String,
}

impl Finding {
    /// States an error of `class` at `place`.
    pub fn error(class: FindingClass, place: impl Into<String>, what: impl Into<String>) -> Self {
        Self { severity: Severity::Error, class, place: place.into(), what: what.into(), hint: String::new() }
    }

    /// States a warning of `class` at `place`.
    pub fn warning(class: FindingClass, place: impl Into<String>, what: impl Into<String>) -> Self {
        Self { severity: Severity::Warning, ..Self::error(class, place, what) }
    }

    /// Adds advice.
    #[must_use]
    pub fn with_hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = hint.into();
        self
    }
}
