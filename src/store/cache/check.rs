//! Looks at a store: its structure, a slice of its blobs, or all of them.

use super::folder::{StoreFolder, StoredBlob};
use crate::model::{Content, Digest};
use serde::{Serialize, Serializer};
use std::collections::BTreeMap;
use std::fmt;
use std::io;
use std::str::FromStr;

/// One of several equal parts of a store, told by digest: the parts of several runs make up the whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Slice {
    part: u64,
    of: u64,
}

impl Slice {
    /// Everything.
    pub const ALL: Self = Self { part: 0, of: 1 };

    /// Returns whether a blob belongs to it.
    pub fn holds(self, digest: &Digest) -> bool {
        let first = digest.value().iter().take(8).fold(0_u64, |n, byte| n << 8 | u64::from(*byte));
        first % self.of == self.part
    }
}

impl FromStr for Slice {
    type Err = String;

    /// Reads `n/t`: part n, from 1, of t.
    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || format!("{text:?} is no part of a whole: expected n/t, with n from 1 to t");
        let (part, of) = text.split_once('/').ok_or_else(wrong)?;
        match (part.parse::<u64>(), of.parse::<u64>()) {
            (Ok(part), Ok(of)) if part >= 1 && part <= of => Ok(Self { part: part - 1, of }),
            _ => Err(wrong()),
        }
    }
}

/// A blob that is not what its name says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct BadBlob {
    /// Digest that it is named by.
    pub digest: Digest,
    /// Size that a root states.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expected_size: Option<u64>,
    /// What was found.
    #[serde(serialize_with = "as_text")]
    pub found: Found,
}

/// What was found under a blob's name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Found {
    /// Other content.
    Other(Content),
    /// A file of another size; it was not read.
    Size(u64),
    /// No regular file.
    NoFile,
    /// A file that cannot be read.
    Unreadable(String),
}

impl fmt::Display for Found {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Other(content) => write!(f, "{content}"),
            Self::Size(size) => write!(f, "{size} bytes"),
            Self::NoFile => f.write_str("not a regular file"),
            Self::Unreadable(why) => write!(f, "it cannot be read: {why}"),
        }
    }
}

fn as_text<S: Serializer>(found: &Found, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(found)
}

impl StoreFolder {
    /// Looks at the name and the size of a blob; `expected` is the size that roots state.
    pub fn look_at(&self, blob: &StoredBlob, expected: &BTreeMap<Digest, u64>) -> Option<BadBlob> {
        let expected_size = expected.get(&blob.digest).copied();
        let bad = |found| Some(BadBlob { digest: blob.digest.clone(), expected_size, found });
        match self.standing(&blob.digest) {
            Ok(None) => None, // freed meanwhile
            Ok(Some(standing)) if !standing.regular => bad(Found::NoFile),
            Ok(Some(standing)) if expected_size.is_some_and(|size| size != standing.size) => {
                bad(Found::Size(standing.size))
            }
            Ok(Some(_)) => None,
            Err(error) => bad(Found::Unreadable(error.to_string())),
        }
    }

    /// Reads a blob and compares it with its name.
    pub fn read_through(&self, blob: &StoredBlob, expected: &BTreeMap<Digest, u64>) -> Option<BadBlob> {
        let expected_size = expected.get(&blob.digest).copied();
        let bad = |found| Some(BadBlob { digest: blob.digest.clone(), expected_size, found });
        match self.content(&blob.digest) {
            Ok(None) => None,
            Ok(Some(content)) if content.digest == blob.digest => None,
            Ok(Some(content)) => bad(Found::Other(content)),
            Err(error) if error.kind() == io::ErrorKind::InvalidData => bad(Found::NoFile),
            Err(error) => bad(Found::Unreadable(error.to_string())),
        }
    }

    /// Returns where the last check that ran out of time stopped.
    pub fn checked_up_to(&self) -> Option<Digest> {
        use std::io::Read;
        let mut text = String::new();
        self.own().file("checked").ok()?.take(200).read_to_string(&mut text).ok()?;
        text.trim().parse().ok()
    }

    /// Notes where a check stopped, for the next one; `None` where it came to the end.
    pub fn note_checked(&self, up_to: Option<&Digest>) -> io::Result<()> {
        match up_to {
            Some(digest) => self.own().publish("checked.partial", "checked", format!("{digest}\n").as_bytes()),
            None => match self.own().remove("checked") {
                Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
                _ => Ok(()),
            },
        }
    }
}
