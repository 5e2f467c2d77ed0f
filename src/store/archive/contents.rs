//! What a reader of a form finds: blobs by digest, and documents under the names that the form gives them.

use super::form::Form;
use super::name::Name;
use super::table::{FileTable, Place, read_small};
use crate::model::evidence::FindingClass;
use crate::model::{Algorithm, Digest, Fault, FaultKind, Finding, MediaType, limits};
use std::collections::BTreeMap;
use std::io::{self, Read};
use std::sync::Arc;

/// Bytes that a source holds, unchecked unless they were made here.
#[derive(Debug, Clone)]
pub(super) enum Held {
    /// Where they lie.
    There(Place),
    /// Made of what lies there.
    Made(Arc<[u8]>),
}

impl Held {
    /// Returns how many bytes there are.
    pub(super) fn size(&self) -> u64 {
        match self {
            Self::There(place) => place.size(),
            Self::Made(bytes) => bytes.len() as u64,
        }
    }

    /// Opens the bytes from `from` on.
    pub(super) fn open(&self, from: u64) -> io::Result<Box<dyn Read + Send>> {
        match self {
            Self::There(place) => place.open(from),
            Self::Made(bytes) => {
                let mut content = io::Cursor::new(Arc::clone(bytes));
                content.set_position(from);
                Ok(Box::new(content))
            }
        }
    }

    /// Reads a document whole.
    pub(super) fn document(&self) -> Result<Vec<u8>, Fault> {
        match self {
            Self::There(place) => read_small(place, limits::MANIFEST_BYTES),
            Self::Made(bytes) => Ok(bytes.to_vec()),
        }
    }
}

/// A document that a source lists.
#[derive(Debug, Clone)]
pub(super) struct Listed {
    /// What it is called.
    pub(super) name: Name,
    /// Which it is.
    pub(super) digest: Digest,
    /// Its type and size, where the list says them.
    pub(super) stated: Option<(MediaType, u64)>,
    /// Whether it is one of the things that the source is for. Evidence is found to be such by what it is about.
    pub(super) offered: bool,
}

/// What was found in one source.
#[derive(Debug)]
pub(super) struct Contents {
    pub(super) form: Form,
    /// What a lock calls the source.
    pub(super) label: String,
    /// What a person calls it.
    pub(super) place: String,
    pub(super) blobs: BTreeMap<Digest, Held>,
    pub(super) listed: Vec<Listed>,
    /// Whether documents may be listed that are elsewhere: in an archive of an earlier run.
    pub(super) partial: bool,
    pub(super) findings: Vec<Finding>,
}

impl Contents {
    /// Begins with nothing.
    pub(super) fn new(form: Form, label: &str, table: &FileTable) -> Self {
        Self {
            form,
            label: label.to_owned(),
            place: table.place().to_owned(),
            blobs: BTreeMap::new(),
            listed: Vec::new(),
            partial: false,
            findings: Vec::new(),
        }
    }

    /// Takes up bytes that should be `digest`. Two of one digest and different sizes cannot both be.
    pub(super) fn hold(&mut self, digest: Digest, held: Held) -> Result<(), Fault> {
        if let Some(known) = self.blobs.get(&digest).filter(|known| known.size() != held.size()) {
            let what = format!("{digest} is in it with {} and with {} bytes", known.size(), held.size());
            return Err(Fault::new(FaultKind::Damaged, self.place.clone(), what));
        }
        self.blobs.entry(digest).or_insert(held);
        Ok(())
    }

    /// Takes up bytes that were made here, and returns their digest.
    pub(super) fn make(&mut self, bytes: Vec<u8>) -> Result<Digest, Fault> {
        let digest = Digest::of(&bytes);
        self.hold(digest.clone(), Held::Made(bytes.into()))?;
        Ok(digest)
    }

    /// Notes something that a person should know.
    pub(super) fn note(&mut self, what: impl Into<String>) {
        self.findings.push(Finding::warning(FindingClass::Source, self.place.clone(), what));
    }
}

/// Reads `ALGORITHM/HEX` or `ALGORITHM:HEX`; `None` where it is no digest that is known.
pub(super) fn digest_of_path(algorithm: &str, hex: &str) -> Option<Digest> {
    let known = [Algorithm::Sha256, Algorithm::Sha512].into_iter().any(|known| known.name() == algorithm);
    known.then(|| format!("{algorithm}:{hex}").parse().ok()).flatten()
}

/// Returns the type of a document that does not stand with it: its own word, else what its fields make it.
pub(super) fn type_of(document: &[u8]) -> Option<MediaType> {
    #[derive(serde::Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Probe {
        media_type: Option<MediaType>,
        manifests: Option<serde::de::IgnoredAny>,
        config: Option<serde::de::IgnoredAny>,
    }
    let probe: Probe = serde_json::from_slice(document).ok()?;
    match (probe.media_type, probe.manifests, probe.config) {
        (Some(own), ..) => Some(own),
        (None, Some(_), None) => Some(MediaType::OCI_INDEX.into()),
        (None, None, Some(_)) => Some(MediaType::OCI_MANIFEST.into()),
        _ => None,
    }
}
