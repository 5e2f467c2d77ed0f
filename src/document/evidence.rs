//! The evidence of a bundle (`airlift/evidence.json`): what refers to each artifact, and how it was judged.
//!
//! Canonical JSON, in the order of the lock. Written by `pack`; the far side reads from it what was carried
//! with each artifact, and judges again by itself.

use super::{Envelope, PaperError};
use crate::model::{Digest, Evidence, MediaType, Tag};
use serde::{Deserialize, Serialize};

/// Kind of the paper.
pub const KIND: &str = "BundleEvidence";

/// Evidence of a bundle: `kind: BundleEvidence`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct BundleEvidence {
    /// Opening.
    #[serde(flatten)]
    pub envelope: Envelope,
    /// One entry for each artifact of the lock, in its order.
    pub artifacts: Vec<ArtifactEvidence>,
    /// Trusted roots by which the author judged, where the policy names them as files. A proposal: whoever verifies
    /// decides by a root of his own.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub trust_roots: Vec<CarriedRoot>,
}

/// A trusted root as its author used it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct CarriedRoot {
    /// Name in the author's policy.
    pub name: String,
    /// Digest of the text.
    pub sha256: Digest,
    /// The file, verbatim.
    pub text: String,
}

/// What was found beside one artifact.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ArtifactEvidence {
    /// Digest that was judged: that of the lock, or of the whole index where the lock holds a subset.
    pub subject: Digest,
    /// Rule by which it was accepted, in words that name the policy file's rule or the flag.
    pub rule: String,
    /// Exemption by which it was accepted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exemption: Option<ExemptionUsed>,
    /// Refusal that the mode `audit` of the policy turned into a warning.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub would_refuse: Option<String>,
    /// Documents carried with it: referrers and cosign's tags; what others refer to first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub attached: Vec<Attached>,
    /// What was judged.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub judged: Vec<Evidence>,
}

/// Exemption by which an artifact was accepted without evidence.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ExemptionUsed {
    /// Reason that the policy gives.
    pub reason: String,
    /// Last day on which it holds, or `never`.
    pub until: String,
}

/// One document that is carried because it refers to an artifact.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Attached {
    /// What it is about.
    pub subject: Digest,
    /// Type of the document.
    pub media_type: MediaType,
    /// Its digest.
    pub digest: Digest,
    /// Its size in bytes.
    pub size: u64,
    /// Type of artifact that it states.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub artifact_type: Option<MediaType>,
    /// Tag under which it lives (`sha256-….sig`), where it was found by a tag.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tag: Option<Tag>,
}

impl BundleEvidence {
    /// Makes the paper of `artifacts`.
    pub fn new(artifacts: Vec<ArtifactEvidence>) -> Self {
        Self { envelope: Envelope::new(KIND), artifacts, trust_roots: Vec::new() }
    }

    /// Reads the paper from the bytes at `place`.
    pub fn read(bytes: &[u8], place: &str) -> Result<Self, PaperError> {
        super::read_json(bytes, place, KIND)
    }

    /// Returns the paper as canonical JSON with a newline at its end.
    pub fn to_bytes(&self) -> Vec<u8> {
        super::write_json(self)
    }
}
