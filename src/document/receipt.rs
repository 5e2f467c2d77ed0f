//! The receipt: what arrived where, by digest; what was skipped and why.
//!
//! Canonical JSON. Written by `import` and `sync`, also when a run ends half done; `complete` says which.

use super::countersignature::Mark;
use super::evidence::ExemptionUsed;
use super::{Envelope, PaperError};
use crate::model::{Digest, Evidence, Finding, ImageRef};
use serde::{Deserialize, Serialize};

/// Kind of the paper.
pub const KIND: &str = "Receipt";

/// Receipt: `kind: Receipt`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Receipt {
    /// Opening.
    #[serde(flatten)]
    pub envelope: Envelope,
    /// Program and version.
    pub tool: String,
    /// Bundle that was imported; absent for a `sync`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bundle: Option<Digest>,
    /// Who signed the bundle, or why it was accepted without.
    pub authenticity: String,
    /// Each signature over the bundle by itself.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub signatures: Vec<Mark>,
    /// Host and prefix, or folder, that was filled.
    pub destination: String,
    /// What the destination said it is.
    pub product: String,
    /// Start, RFC 3339.
    pub started: String,
    /// End, RFC 3339.
    pub finished: String,
    /// Whether every artifact is there now.
    pub complete: bool,
    /// One entry for each artifact of the lock, in its order.
    pub artifacts: Vec<Arrival>,
    /// What moved.
    pub moved: Moved,
    /// What a person should know.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub findings: Vec<Finding>,
}

/// What became of one artifact.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Arrival {
    /// Source as the lock names it.
    pub source: ImageRef,
    /// Digest of the artifact.
    pub digest: Digest,
    /// Reference at the destination.
    pub destination: String,
    /// What became of it.
    pub outcome: Outcome,
    /// Rule by which it was accepted.
    pub rule: String,
    /// Exemption by which it was accepted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exemption: Option<ExemptionUsed>,
    /// Refusal that the mode `audit` of the policy turned into a warning.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub would_refuse: Option<String>,
    /// Documents that arrived with it: signatures, SBOMs, attestations.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub attached: Vec<Digest>,
    /// Evidence found.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub evidence: Vec<Evidence>,
    /// Blobs that are there because it is, with those of what arrived with it, in the order of need. By them a receipt is a
    /// base without asking anybody what its artifacts consist of.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub blobs: Vec<Digest>,
}

/// What became of an artifact.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", tag = "result")]
pub enum Outcome {
    /// It was written by this run.
    Imported,
    /// It was there already, to the digest.
    AlreadyThere,
    /// Blobs of it were written; the rest comes with the delta that this bundle completes.
    Waiting,
    /// It is not there.
    Failed {
        /// Reason in words.
        why: String,
    },
}

impl Outcome {
    /// Returns whether the artifact is there, whole.
    pub const fn is_there(&self) -> bool {
        matches!(self, Self::Imported | Self::AlreadyThere)
    }
}

/// What moved.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Moved {
    /// Blobs sent.
    pub blobs_sent: u64,
    /// Their bytes.
    pub bytes_sent: u64,
    /// Blobs that were there already.
    pub blobs_present: u64,
    /// Blobs that appeared without moving bytes.
    pub blobs_mounted: u64,
    /// Documents written.
    pub documents_sent: u64,
}

impl Receipt {
    /// Reads a receipt from the file that a person calls `place`.
    pub fn read(bytes: &[u8], place: &str) -> Result<Self, PaperError> {
        super::read_json(bytes, place, KIND)
    }

    /// Returns the receipt as canonical JSON with a newline at its end.
    pub fn to_bytes(&self) -> Vec<u8> {
        super::write_json(self)
    }
}
