//! A source with a store before it: what the store has is not asked for again, and what comes is put into it on its way.
//!
//! By digest only. Tags, what refers to what, and whether something is still at its source are asked as ever; so is
//! everything where the store fails. Content passes through to whoever asked for it while it is written.

use super::folder::StoreFolder;
use super::root::RootName;
use super::stock::{Stock, StockedTally};
use crate::model::port::{BlobSource, FileSource, ImageSource, ManifestBytes, OpenFile, Source};
use crate::model::{Descriptor, Digest, EventSink, Fault, FileUrl, Reference, Repository, Tag};
use std::io::Read;
use std::sync::Arc;

/// A source, and a store before it where there is one.
pub struct Stocked<'a> {
    inner: &'a dyn Source,
    stock: Option<Arc<Stock>>,
}

impl<'a> Stocked<'a> {
    /// Returns `inner` as it is.
    pub const fn without(inner: &'a dyn Source) -> Self {
        Self { inner, stock: None }
    }

    /// Puts the store in `folder` before `inner`. `process` is the number of this process, to name the run by.
    ///
    /// With `check_all_first` every blob is checked before its first byte is handed out, however large: for content that
    /// nobody can take back. A store that cannot be written is read, and `events` says so.
    pub fn over(
        inner: &'a dyn Source,
        folder: StoreFolder,
        events: Arc<dyn EventSink>,
        (process, check_all_first): (u32, bool),
    ) -> Self {
        let stock = Stock::new(folder, events, (process, check_all_first));
        Self { inner, stock: Some(Arc::new(stock)) }
    }

    /// Writes down as `name` what this run asked for, so that it stays, and returns what the store was good for. Nothing
    /// where there is no store.
    pub fn keep(&self, name: &RootName) -> Option<StockedTally> {
        let stock = self.stock.as_ref()?;
        Some(stock.keep(name))
    }
}

impl BlobSource for Stocked<'_> {
    fn open(&self, at: &Repository, want: &Descriptor, from: u64) -> Result<Box<dyn Read + Send>, Fault> {
        let Some(stock) = &self.stock else { return self.inner.open(at, want, from) };
        if let Some((_, content)) = stock.open(&want.digest, Some(want.size), from) {
            return Ok(content);
        }
        let content = self.inner.open(at, want, from)?;
        // The rest of a blob is none: it is put the next time that all of it is fetched.
        if from > 0 { Ok(content) } else { Ok(stock.tee(content, &want.digest, Some(want.size))) }
    }
}

impl FileSource for Stocked<'_> {
    fn file(&self, url: &FileUrl, size: Option<u64>, from: u64) -> Result<OpenFile, Fault> {
        self.inner.file(url, size, from)
    }

    fn pinned(&self, url: &FileUrl, digest: &Digest, size: Option<u64>, from: u64) -> Result<OpenFile, Fault> {
        let Some(stock) = &self.stock else { return self.inner.pinned(url, digest, size, from) };
        if let Some((size, content)) = stock.open(digest, size, from) {
            return Ok(OpenFile { size: Some(size), content });
        }
        let OpenFile { size, content } = self.inner.pinned(url, digest, size, from)?;
        Ok(OpenFile { size, content: if from > 0 { content } else { stock.tee(content, digest, size) } })
    }
}

impl ImageSource for Stocked<'_> {
    fn head(&self, at: &Repository, reference: &Reference) -> Result<Option<Descriptor>, Fault> {
        self.inner.head(at, reference)
    }

    fn manifest(&self, at: &Repository, reference: &Reference) -> Result<ManifestBytes, Fault> {
        let Some(stock) = &self.stock else { return self.inner.manifest(at, reference) };
        let stored = match reference {
            Reference::Digest(digest) => stock.document(digest),
            Reference::Tag(_) => None,
        };
        let document = match stored {
            Some(document) => document,
            None => {
                let document = self.inner.manifest(at, reference)?;
                stock.keep_document(&document);
                document
            }
        };
        stock.reserve_below(&document);
        Ok(document)
    }

    fn tags(&self, at: &Repository) -> Result<Vec<Tag>, Fault> {
        self.inner.tags(at)
    }

    fn referrers(&self, at: &Repository, subject: &Digest) -> Result<Vec<Descriptor>, Fault> {
        self.inner.referrers(at, subject)
    }
}
