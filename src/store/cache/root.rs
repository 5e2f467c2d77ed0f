//! Roots: what one job keeps in a store, so that it is not freed.
//!
//! ```json
//! {"apiVersion":"airlift/v1alpha1","kind":"StoreRoot","name":"pack.mirror-1f0c9a2b","blobs":[{"digest":"sha256:…","size":123}]}
//! ```
//!
//! The blobs are sorted by digest. A root is replaced as a whole.

use super::folder::{StoreError, StoreFolder};
use crate::document::{Envelope, read_json, write_json};
use crate::model::{Digest, limits};
use serde::{Deserialize, Serialize};
use std::fmt;
use std::io::{self, Read};

const KIND: &str = "StoreRoot";
const ENDING: &str = ".json";

/// Name of a root: letters, digits, `.`, `_` and `-`, not `.` first; at most 100.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct RootName(String);

impl RootName {
    /// Takes a name as it was typed.
    pub fn parse(text: &str) -> Result<Self, String> {
        let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
        if text.is_empty() || text.len() > 100 || text.starts_with('.') || !text.chars().all(plain) {
            return Err(format!("{text:?} is no name of a root: letters, digits, '.', '_' and '-', at most 100"));
        }
        Ok(Self(text.to_owned()))
    }

    /// Makes a name of `verb`, of what a person calls the job, and of what tells it from others called the same.
    pub fn of_job(verb: &str, called: &str, tells_apart: &[u8]) -> Self {
        let plain = |c: char| if c.is_ascii_alphanumeric() || matches!(c, '_' | '-') { c } else { '-' };
        let called: String = called.chars().map(plain).take(60).collect();
        let digest = Digest::of(tells_apart).short();
        Self(format!("{verb}.{called}-{}", digest.get(..8).unwrap_or_default()))
    }

    /// Returns the name of the file.
    pub(super) fn file(&self) -> String {
        format!("{}{ENDING}", self.0)
    }

    /// Returns the name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for RootName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl TryFrom<String> for RootName {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        Self::parse(&text)
    }
}

impl From<RootName> for String {
    fn from(name: RootName) -> Self {
        name.0
    }
}

/// One blob that a root keeps.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeptBlob {
    /// Its digest.
    pub digest: Digest,
    /// Its size in bytes.
    pub size: u64,
}

/// What one job keeps.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StoreRoot {
    #[serde(flatten)]
    envelope: Envelope,
    /// Name of the job.
    pub name: RootName,
    /// What it keeps, sorted by digest.
    pub blobs: Vec<KeptBlob>,
}

impl StoreRoot {
    /// Makes a root of sorted blobs.
    pub(super) fn new(name: RootName, blobs: Vec<(Digest, u64)>) -> Self {
        let blobs = blobs.into_iter().map(|(digest, size)| KeptBlob { digest, size }).collect();
        Self { envelope: Envelope::new(KIND), name, blobs }
    }

    pub(super) fn to_bytes(&self) -> Vec<u8> {
        write_json(self)
    }
}

impl StoreFolder {
    /// Reads all roots, sorted by name. One that cannot be read is an error: what it keeps is not known.
    pub fn roots(&self) -> Result<Vec<StoreRoot>, StoreError> {
        let disk = |error| StoreError::Disk(self.path().to_owned(), error);
        let mut roots = Vec::new();
        for name in self.roots.names().map_err(disk)? {
            if !name.ends_with(ENDING) {
                continue; // a draft of a run that is at work
            }
            let place = self.roots.path().join(&name);
            let failed = |error: io::Error| StoreError::Foreign(place.clone(), error.to_string());
            let mut bytes = Vec::new();
            let file = self.roots.file(&name).map_err(failed)?;
            file.take(limits::PAPER_BYTES).read_to_end(&mut bytes).map_err(failed)?;
            let root: StoreRoot = read_json(&bytes, &place.display().to_string(), KIND)?;
            if root.name.file() != name {
                return Err(StoreError::Foreign(place, format!("it is the root {}", root.name)));
            }
            roots.push(root);
        }
        Ok(roots)
    }
}
