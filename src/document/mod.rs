//! Floor 2: the papers, each with its text in the module that reads and writes it.
//!
//! A person writes the mirror file and the policy, as YAML; the tool writes the lock, the evidence of a
//! bundle and the receipt, as canonical JSON. Every paper opens with `apiVersion` and `kind`. A paper of a
//! later version is refused, never guessed at. This room may name `model` only; it opens no file.

pub mod chart_yaml;
pub mod evidence;
pub mod form;
pub mod lock;
pub mod made;
pub mod mirror;
pub mod pattern;
pub mod policy;
pub mod receipt;
pub mod rendered;
pub mod yaml;
pub mod yaml_value;

use crate::model::json::{self, JsonError};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

/// Version that this program writes and reads.
pub const API_VERSION: &str = "airlift/v1alpha1";

/// Why a paper cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum PaperError {
    /// It does not parse, or a field is unknown or of the wrong form.
    #[error("{place}:{line}:{column}: {why}")]
    Syntax {
        /// File as named by the person.
        place: String,
        /// Line from 1.
        line: usize,
        /// Column from 1.
        column: usize,
        /// Reason in words.
        why: String,
    },
    /// It is another paper than the one asked for.
    #[error("{place} is a {found:?}, expected {expected:?}")]
    Kind {
        /// File as named by the person.
        place: String,
        /// Kind that stands in it.
        found: String,
        /// Kind that was asked for.
        expected: &'static str,
    },
    /// Its version is none that this program reads.
    #[error("{place} has apiVersion {found:?}, this program reads {API_VERSION:?}")]
    Version {
        /// File as named by the person.
        place: String,
        /// Version that stands in it.
        found: String,
    },
    /// It parses, but what it says cannot be meant.
    #[error("{place}: {why}")]
    Meaning {
        /// File, and the field where that is known.
        place: String,
        /// Reason in words.
        why: String,
    },
    /// More than one thing is wrong with it.
    #[error("{}", several(*.count, .first))]
    Several {
        /// How many things.
        count: usize,
        /// The first of them, in the order of the file.
        first: Vec<PaperError>,
    },
    /// It is longer than the limit.
    #[error("{place} has {size} bytes, the limit is {limit}")]
    TooLarge {
        /// File as named by the person.
        place: String,
        /// Its size in bytes.
        size: u64,
        /// Limit in bytes.
        limit: u64,
    },
}

fn several(count: usize, first: &[PaperError]) -> String {
    let mut text = format!("{count} mistakes");
    for error in first {
        text.push_str(&format!("\n  {error}"));
    }
    if count > first.len() {
        text.push_str(&format!("\n  and {} more", count - first.len()));
    }
    text
}

impl PaperError {
    fn json(place: &str, error: JsonError) -> Self {
        Self::Syntax { place: place.to_owned(), line: error.line, column: error.column, why: error.why }
    }
}

/// Opening of every paper.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Envelope {
    /// Version of the form.
    pub api_version: String,
    /// Which paper.
    pub kind: String,
}

impl Envelope {
    /// Returns the opening of a paper of `kind` as this program writes it.
    pub fn new(kind: &str) -> Self {
        Self { api_version: API_VERSION.to_owned(), kind: kind.to_owned() }
    }

    /// Checks that this opens a paper of `kind` that this program reads.
    pub fn expect(&self, place: &str, kind: &'static str) -> Result<(), PaperError> {
        if self.kind != kind {
            return Err(PaperError::Kind { place: place.to_owned(), found: self.kind.clone(), expected: kind });
        }
        if self.api_version != API_VERSION {
            return Err(PaperError::Version { place: place.to_owned(), found: self.api_version.clone() });
        }
        Ok(())
    }
}

/// Reads a paper that a machine wrote. The opening is judged first, so a later version gives its own error.
pub fn read_json<T: DeserializeOwned>(bytes: &[u8], place: &str, kind: &'static str) -> Result<T, PaperError> {
    json::check(bytes).map_err(|e| PaperError::json(place, e))?;
    let opening: Envelope = serde_json::from_slice(bytes).map_err(|e| PaperError::json(place, e.into()))?;
    opening.expect(place, kind)?;
    serde_json::from_slice(bytes).map_err(|e| PaperError::json(place, e.into()))
}

/// Writes a paper as canonical JSON with a newline at its end.
pub fn write_json<T: Serialize>(paper: &T) -> Vec<u8> {
    let mut bytes = json::canonical(paper);
    bytes.push(b'\n');
    bytes
}
