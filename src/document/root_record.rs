//! The record of a trusted root: which file was accepted under a name, as which number, from where.
//!
//! Canonical JSON beside the root (`NAME.json` → `NAME.json.record`). Each root that is accepted gets the next number; one that was replaced
//! never comes back, and neither does a number. So whoever puts an old root back has to remove the record as well, and
//! whoever carries a record with a root to another place carries the order with it.

use super::{Envelope, PaperError};
use crate::model::Digest;
use serde::{Deserialize, Serialize};

/// Kind of the paper.
pub const KIND: &str = "TrustRootRecord";

/// Record of a root: `kind: TrustRootRecord`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RootRecord {
    /// Opening.
    #[serde(flatten)]
    pub envelope: Envelope,
    /// Name of the instance, as policies call it.
    pub name: String,
    /// Number from 1; it only rises.
    pub sequence: u64,
    /// The file, to the byte.
    pub sha256: Digest,
    /// When it was accepted, RFC 3339, by the clock of the machine.
    pub accepted: String,
    /// Where it came from.
    pub origin: RootOrigin,
    /// What was accepted before, oldest first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub history: Vec<PastRoot>,
}

/// Where a root came from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", tag = "kind")]
pub enum RootOrigin {
    /// A file that a person had.
    File,
    /// A mirror, verified by TUF.
    #[serde(rename_all = "camelCase")]
    Tuf {
        /// Address or folder.
        mirror: String,
        /// Version of the TUF root.
        root: u64,
        /// Version of the timestamp.
        timestamp: u64,
        /// Version of the snapshot.
        snapshot: u64,
        /// Version of the targets.
        targets: u64,
        /// When the first of them expires, RFC 3339.
        expires: String,
    },
}

/// A root that was accepted and replaced.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PastRoot {
    /// Its number.
    pub sequence: u64,
    /// The file.
    pub sha256: Digest,
    /// When it was accepted.
    pub accepted: String,
}

/// Why a root cannot follow the one that is accepted.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum GoesBack {
    /// It was accepted before, and replaced.
    #[error("this root was accepted as number {was} and has been replaced since; number {now} counts")]
    Replaced {
        /// Number that it had.
        was: u64,
        /// Number that counts.
        now: u64,
    },
    /// The number that it was given elsewhere is not higher.
    #[error("this root comes with the number {found}, but number {now} is accepted already")]
    Number {
        /// Number that it comes with.
        found: u64,
        /// Number that counts.
        now: u64,
    },
    /// The metadata it came under is older than that of the accepted one.
    #[error("this root comes under version {found} of the TUF root, the accepted one came under version {now}")]
    TufRoot {
        /// Version that it comes under.
        found: u64,
        /// Version of the accepted one.
        now: u64,
    },
    /// It is of another name.
    #[error("the accepted root is called {now:?}, this one {found:?}")]
    Name {
        /// Name that it comes with.
        found: String,
        /// Name that counts.
        now: String,
    },
}

/// A root that is to be accepted.
#[derive(Debug, Clone)]
pub struct NewRoot {
    /// Name of the instance.
    pub name: String,
    /// The file.
    pub sha256: Digest,
    /// Now, RFC 3339.
    pub accepted: String,
    /// Where it comes from.
    pub origin: RootOrigin,
    /// Number that it was given elsewhere.
    pub sequence: Option<u64>,
}

impl RootRecord {
    /// Makes the record of `new`, which follows `earlier`. The root that is accepted already keeps its record.
    pub fn after(earlier: Option<&Self>, new: NewRoot) -> Result<Self, GoesBack> {
        let Some(earlier) = earlier else {
            return Ok(Self::of(new.sequence.unwrap_or(1), Vec::new(), new));
        };
        if earlier.name != new.name {
            return Err(GoesBack::Name { found: new.name, now: earlier.name.clone() });
        }
        if let (RootOrigin::Tuf { root: now, .. }, RootOrigin::Tuf { root: found, .. }) = (&earlier.origin, &new.origin)
            && found < now
        {
            return Err(GoesBack::TufRoot { found: *found, now: *now });
        }
        let now = earlier.sequence;
        if earlier.sha256 == new.sha256 {
            // Metadata is renewed more often than roots: the record says under which it was seen last.
            let origin = if new.origin == RootOrigin::File { earlier.origin.clone() } else { new.origin };
            return Ok(Self { origin, sequence: now.max(new.sequence.unwrap_or(now)), ..earlier.clone() });
        }
        if let Some(past) = earlier.history.iter().find(|past| past.sha256 == new.sha256) {
            return Err(GoesBack::Replaced { was: past.sequence, now });
        }
        match new.sequence {
            Some(found) if found <= now => return Err(GoesBack::Number { found, now }),
            _ => {}
        }
        let (sha256, accepted) = (earlier.sha256.clone(), earlier.accepted.clone());
        let mut history = earlier.history.clone();
        history.push(PastRoot { sequence: now, sha256, accepted });
        Ok(Self::of(new.sequence.unwrap_or(now.saturating_add(1)), history, new))
    }

    fn of(sequence: u64, history: Vec<PastRoot>, new: NewRoot) -> Self {
        let NewRoot { name, sha256, accepted, origin, .. } = new;
        Self { envelope: Envelope::new(KIND), name, sequence, sha256, accepted, origin, history }
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

#[cfg(test)]
mod tests {
    use super::*;

    fn new(content: &[u8], sequence: Option<u64>) -> NewRoot {
        NewRoot {
            name: "corporate".into(),
            sha256: Digest::of(content),
            accepted: "2026-11-25T00:00:00Z".into(),
            origin: RootOrigin::File,
            sequence,
        }
    }

    fn tuf(content: &[u8], root: u64) -> NewRoot {
        let origin = RootOrigin::Tuf {
            mirror: "https://m.example".into(),
            root,
            timestamp: 1,
            snapshot: 1,
            targets: 1,
            expires: "2027-01-01T00:00:00Z".into(),
        };
        NewRoot { origin, ..new(content, None) }
    }

    #[test]
    fn numbers_rise_and_nothing_comes_back() {
        let first = RootRecord::after(None, new(b"1", None)).unwrap();
        let second = RootRecord::after(Some(&first), new(b"2", None)).unwrap();
        assert_eq!((first.sequence, second.sequence, second.history.len()), (1, 2, 1));
        let back = RootRecord::after(Some(&second), new(b"1", None)).unwrap_err();
        assert_eq!(back, GoesBack::Replaced { was: 1, now: 2 });
        assert_eq!(RootRecord::after(Some(&second), new(b"2", None)).unwrap(), second);
        assert_eq!(RootRecord::after(Some(&second), new(b"3", Some(9))).unwrap().sequence, 9);
        let low = RootRecord::after(Some(&second), new(b"3", Some(2))).unwrap_err();
        assert_eq!(low, GoesBack::Number { found: 2, now: 2 });
        let other = RootRecord::after(Some(&second), NewRoot { name: "x".into(), ..new(b"3", None) }).unwrap_err();
        assert!(other.to_string().contains("\"corporate\""));
    }

    #[test]
    fn the_metadata_of_a_mirror_does_not_go_back_either() {
        let first = RootRecord::after(None, tuf(b"1", 7)).unwrap();
        assert_eq!(RootRecord::after(Some(&first), tuf(b"2", 6)).unwrap_err(), GoesBack::TufRoot { found: 6, now: 7 });
        assert_eq!(RootRecord::after(Some(&first), tuf(b"1", 8)).unwrap().sequence, 1);
        assert!(matches!(
            RootRecord::after(Some(&first), new(b"1", None)).unwrap().origin,
            RootOrigin::Tuf { root: 7, .. }
        ));
    }

    #[test]
    fn a_record_reads_back_to_the_byte() {
        let record = RootRecord::after(Some(&RootRecord::after(None, tuf(b"1", 7)).unwrap()), tuf(b"2", 8)).unwrap();
        let bytes = record.to_bytes();
        let read = RootRecord::read(&bytes, "r").unwrap();
        assert_eq!((&read, read.to_bytes()), (&record, bytes.clone()));
        let later = String::from_utf8(bytes).unwrap().replace("v1alpha1", "v9");
        assert!(RootRecord::read(later.as_bytes(), "r").unwrap_err().to_string().contains("airlift/v9"));
    }
}
