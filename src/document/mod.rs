//! Floor 2: the papers, each with its text in the module that reads and writes it.
//!
//! A person writes the mirror file and the policy, as YAML; the tool writes the lock, the evidence of a
//! bundle and the receipt, as canonical JSON. Every paper opens with `apiVersion` and `kind`. A paper of a
//! later version is refused, never guessed at. This room may name `model` only; it opens no file.

pub mod base;
pub mod chart_yaml;
pub mod countersignature;
pub mod date;
pub mod evidence;
pub mod form;
pub mod lock;
pub mod made;
pub mod merge;
pub mod mirror;
pub mod pattern;
pub mod places;
pub mod policy;
pub mod policy_table;
pub mod quote;
pub mod receipt;
pub mod rendered;
pub mod request;
pub mod root_record;
pub mod tuf_state;
pub mod yaml;
pub mod yaml_value;

use crate::model::json::{self, JsonError};
use quote::Reason;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use std::fmt::{self, Display};

/// Version that this program writes and reads.
pub const API_VERSION: &str = "airlift/v1alpha1";

/// Why a paper cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum PaperError {
    /// It does not parse, or a field is unknown or of the wrong form.
    #[error(fmt = syntax)]
    Syntax {
        /// File as named by the person.
        place: String,
        /// Line from 1.
        line: usize,
        /// Column from 1.
        column: usize,
        /// Reason in words, and the line it stands in, which the alternate form (`{:#}`) shows.
        why: Reason,
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
    #[error(fmt = several)]
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

fn syntax(place: &str, line: &usize, column: &usize, why: &Reason, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    write!(f, "{place}:{line}:{column}: ")?;
    why.fmt(f)
}

fn several(count: &usize, first: &[PaperError], f: &mut fmt::Formatter<'_>) -> fmt::Result {
    write!(f, "{count} mistakes")?;
    for error in first {
        let text = if f.alternate() { format!("{error:#}") } else { error.to_string() };
        write!(f, "\n  {}", text.replace('\n', "\n  "))?;
    }
    match count - first.len() {
        0 => Ok(()),
        more => write!(f, "\n  and {more} more"),
    }
}

impl PaperError {
    fn json(place: &str, bytes: &[u8], error: JsonError) -> Self {
        let (line, column, why) = (error.line, error.column, error.why.into());
        Self::Syntax { place: place.to_owned(), line, column, why }.quoting(&String::from_utf8_lossy(bytes))
    }

    /// Adds the lines of `text`, the paper that this is about.
    #[must_use]
    pub fn quoting(self, text: &str) -> Self {
        match self {
            Self::Syntax { place, line, column, why } => {
                Self::Syntax { place, line, column, why: why.quoting(text, line, column) }
            }
            Self::Several { count, first } => {
                Self::Several { count, first: first.into_iter().map(|error| error.quoting(text)).collect() }
            }
            other => other,
        }
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
    json::check(bytes).map_err(|e| PaperError::json(place, bytes, e))?;
    let opening: Envelope = serde_json::from_slice(bytes).map_err(|e| PaperError::json(place, bytes, e.into()))?;
    opening.expect(place, kind)?;
    serde_json::from_slice(bytes).map_err(|e| PaperError::json(place, bytes, e.into()))
}

/// Writes a paper as canonical JSON with a newline at its end.
pub fn write_json<T: Serialize>(paper: &T) -> Vec<u8> {
    let mut bytes = json::canonical(paper);
    bytes.push(b'\n');
    bytes
}
