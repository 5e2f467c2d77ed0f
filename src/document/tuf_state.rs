//! What earlier fetches by TUF verified: metadata by name, verbatim. It is verified again before it counts, and sets the oldest
//! metadata that a mirror may show. Losing it loses that floor and nothing else.

use super::{Envelope, PaperError};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Kind of the paper.
pub const KIND: &str = "TufState";

/// State of a TUF client: `kind: TufState`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct TufStatePaper {
    /// Opening.
    #[serde(flatten)]
    pub envelope: Envelope,
    /// Text of each file of metadata, by its name.
    pub files: BTreeMap<String, String>,
}

impl TufStatePaper {
    /// Makes the paper of `files`. What is no text is left out: metadata is always text.
    pub fn new(files: BTreeMap<String, Vec<u8>>) -> Self {
        let text = |(name, bytes)| Some((name, String::from_utf8(bytes).ok()?));
        Self { envelope: Envelope::new(KIND), files: files.into_iter().filter_map(text).collect() }
    }

    /// Returns the files.
    pub fn into_files(self) -> BTreeMap<String, Vec<u8>> {
        self.files.into_iter().map(|(name, text)| (name, text.into_bytes())).collect()
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
