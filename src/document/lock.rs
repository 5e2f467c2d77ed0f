//! The lock: every artifact that is wanted, pinned by digest, with the reason why it is there.
//!
//! JSON in one form, each field on a line of its own, so that a change of one pin is a change of few lines: people keep locks
//! under version control. It holds no clock time and nothing of the machine, so the same input and the same
//! registry give the same bytes. Artifacts stand in the order in which the mirror file leads to them,
//! dependencies before dependents, each once; payload of a bundle follows this order.

use super::made::Made;
use super::rendered::RenderedWith;
use super::{Envelope, PaperError};
use crate::model::{Digest, ImageRef, MediaType, Platform, Tag};
use serde::{Deserialize, Serialize};
use std::fmt;

/// Kind of the paper.
pub const KIND: &str = "Lock";

/// Lock: `kind: Lock`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Lock {
    /// Opening.
    #[serde(flatten)]
    pub envelope: Envelope,
    /// Every artifact, each source reference once.
    pub artifacts: Vec<LockedArtifact>,
}

/// What an artifact is to the platform.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// A container image.
    Image,
    /// A Helm chart.
    Chart,
    /// A Blueprint, published as a chart.
    Blueprint,
    /// Anything else in a registry.
    Artifact,
}

/// One pinned artifact.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct LockedArtifact {
    /// Where it comes from: host, repository, and the tag by which it was found, where it was found by a tag.
    pub source: ImageRef,
    /// What it is to the platform.
    pub role: Role,
    /// Type of the document that `digest` names.
    pub media_type: MediaType,
    /// Digest of the document that arrives at the destination.
    pub digest: Digest,
    /// Size of that document in bytes.
    pub size: u64,
    /// Present where an index was cut down to some platforms.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subset: Option<Subset>,
    /// Present where airlift makes the artifact itself, out of a file that it fetches.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub made: Option<Made>,
    /// Of a chart that was looked into, for each way in which it is used: what its images depend on.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub rendered: Vec<RenderedWith>,
    /// Where it goes, relative to the host and prefix that an import names.
    pub destination: Target,
    /// Why it is here: one or more paths, each from the mirror file down to the artifact.
    pub why: Vec<Vec<String>>,
    /// What a reader should know: `moving tag`, `when: …`, `replaces docker.io/…`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<String>,
    /// What stood beside it when that was looked up: digests of what refers to it and cosign's tags, sorted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub beside: Option<Vec<String>>,
}

/// What became of an index that was not kept whole.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Subset {
    /// Platforms kept.
    pub platforms: Vec<Platform>,
    /// What happened to the digest.
    pub digest: SubsetDigest,
    /// Digest of the whole index at the source, which signatures are about.
    pub original: Digest,
    /// Type of the whole index at the source.
    pub original_type: MediaType,
}

/// What happens to the digest of an index that is cut down.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum SubsetDigest {
    /// The artifact becomes the manifest of the one platform; its bytes stay verbatim.
    Single,
    /// A new index is written that lists the platforms kept; it has a digest of its own.
    Rewrite,
}

/// Place at a destination.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Target {
    /// Path behind the host and prefix.
    pub repository: String,
    /// Tag; absent where the artifact is pinned by digest only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tag: Option<Tag>,
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.tag {
            Some(tag) => write!(f, "{}:{tag}", self.repository),
            None => f.write_str(&self.repository),
        }
    }
}

impl Lock {
    /// Makes a lock of `artifacts`.
    pub fn new(artifacts: Vec<LockedArtifact>) -> Self {
        Self { envelope: Envelope::new(KIND), artifacts }
    }

    /// Reads a lock from the file that a person calls `place`.
    pub fn read(bytes: &[u8], place: &str) -> Result<Self, PaperError> {
        super::read_json(bytes, place, KIND)
    }

    /// Returns the lock as JSON in its one form: fields in the order of this module, one a line, a newline at its end.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = crate::model::json::readable(self);
        bytes.push(b'\n');
        bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lock() -> Lock {
        Lock::new(vec![LockedArtifact {
            source: "h.example/a/b:1".parse().unwrap(),
            role: Role::Image,
            media_type: MediaType::OCI_INDEX.into(),
            digest: Digest::of(b"x"),
            size: 1,
            subset: None,
            made: None,
            rendered: Vec::new(),
            destination: Target { repository: "a/b".into(), tag: Some("1".parse().unwrap()) },
            why: vec![vec!["mirror.yaml: images[0]".into()]],
            notes: vec![],
            beside: None,
        }])
    }

    #[test]
    fn a_lock_reads_back_as_it_was_written() {
        let bytes = lock().to_bytes();
        assert_eq!(Lock::read(&bytes, "x.lock").unwrap(), lock());
        assert_eq!(Lock::read(&bytes, "x.lock").unwrap().to_bytes(), bytes);
    }

    #[test]
    fn a_pin_that_moves_changes_one_line() {
        let mut moved = lock();
        moved.artifacts[0].digest = Digest::of(b"y");
        let (before, after) = (lock().to_bytes(), moved.to_bytes());
        let lines =
            |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap().lines().map(str::to_owned).collect::<Vec<_>>();
        let changed = lines(&before).into_iter().zip(lines(&after)).filter(|(a, b)| a != b).count();
        assert_eq!((changed, lines(&before).len()), (1, lines(&after).len()));
    }

    #[test]
    fn a_later_version_and_another_kind_give_their_own_errors() {
        let text = String::from_utf8(lock().to_bytes()).unwrap();
        let later = text.replace("airlift/v1alpha1", "airlift/v7");
        assert!(matches!(Lock::read(later.as_bytes(), "x"), Err(PaperError::Version { .. })));
        let other = text.replace("\"Lock\"", "\"Receipt\"");
        assert!(matches!(Lock::read(other.as_bytes(), "x"), Err(PaperError::Kind { .. })));
    }
}
