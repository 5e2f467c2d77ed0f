//! Remembers documents that were read by digest or tag, and archives of charts, so that two steps of one run ask for each
//! once.

use crate::model::port::{BlobSource, FileSource, ImageSource, ManifestBytes, OpenFile, Source};
use crate::model::{Descriptor, Digest, Fault, FileUrl, MediaType, Reference, Repository, Tag};
use std::collections::BTreeMap;
use std::io::{Cursor, Read};
use std::sync::{Arc, Mutex, PoisonError};

/// Bytes of documents that are remembered at most.
const ROOM: usize = 16 << 20;
/// Bytes of archives of charts that are remembered at most.
const CHARTS: u64 = 32 << 20;
/// Largest archive that is remembered, in bytes.
const CHART: u64 = 1 << 20;

/// A source that hands out a document or a chart a second time without asking again.
pub struct Remembering<'a> {
    inner: &'a dyn Source,
    known: Mutex<Known>,
}

#[derive(Default)]
struct Known {
    documents: BTreeMap<(Repository, Digest), ManifestBytes>,
    bytes: usize,
    charts: BTreeMap<Digest, Arc<[u8]>>,
    chart_bytes: u64,
}

impl<'a> Remembering<'a> {
    /// Wraps `inner`.
    pub fn new(inner: &'a dyn Source) -> Self {
        Self { inner, known: Mutex::new(Known::default()) }
    }

    fn recall(&self, at: &Repository, digest: &Digest) -> Option<ManifestBytes> {
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        known.documents.get(&(at.clone(), digest.clone())).cloned()
    }

    fn keep(&self, at: &Repository, document: &ManifestBytes) {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if known.bytes + document.bytes.len() <= ROOM {
            known.bytes += document.bytes.len();
            known.documents.insert((at.clone(), document.descriptor.digest.clone()), document.clone());
        }
    }
}

impl BlobSource for Remembering<'_> {
    fn open(&self, at: &Repository, want: &Descriptor, from: u64) -> Result<Box<dyn Read + Send>, Fault> {
        if want.media_type.as_str() != MediaType::HELM_CHART || want.size > CHART || from > 0 {
            return self.inner.open(at, want, from);
        }
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner).charts.get(&want.digest).cloned();
        if let Some(known) = known {
            return Ok(Box::new(Cursor::new(known)));
        }
        let mut bytes = Vec::new();
        let read = self.inner.open(at, want, 0)?.take(want.size + 1).read_to_end(&mut bytes);
        read.map_err(|error| Fault::from_io(error, &format!("{at}@{}", want.digest), "ended early"))?;
        let bytes: Arc<[u8]> = bytes.into();
        // Wrong bytes are for the reader to refuse, and nothing to remember.
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if want.names_bytes(&bytes) && known.chart_bytes + want.size <= CHARTS {
            known.chart_bytes += want.size;
            known.charts.insert(want.digest.clone(), Arc::clone(&bytes));
        }
        Ok(Box::new(Cursor::new(bytes)))
    }
}

impl FileSource for Remembering<'_> {
    fn file(&self, url: &FileUrl, size: Option<u64>, from: u64) -> Result<OpenFile, Fault> {
        self.inner.file(url, size, from)
    }

    fn pinned(&self, url: &FileUrl, digest: &Digest, size: Option<u64>, from: u64) -> Result<OpenFile, Fault> {
        self.inner.pinned(url, digest, size, from)
    }
}

impl ImageSource for Remembering<'_> {
    fn head(&self, at: &Repository, reference: &Reference) -> Result<Option<Descriptor>, Fault> {
        self.inner.head(at, reference)
    }

    fn manifest(&self, at: &Repository, reference: &Reference) -> Result<ManifestBytes, Fault> {
        if let Reference::Digest(digest) = reference
            && let Some(document) = self.recall(at, digest)
        {
            return Ok(document);
        }
        let document = self.inner.manifest(at, reference)?;
        self.keep(at, &document);
        Ok(document)
    }

    fn tags(&self, at: &Repository) -> Result<Vec<Tag>, Fault> {
        self.inner.tags(at)
    }

    fn referrers(&self, at: &Repository, subject: &Digest) -> Result<Vec<Descriptor>, Fault> {
        self.inner.referrers(at, subject)
    }
}
