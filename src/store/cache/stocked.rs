//! A source with a store before it: what the store has is not asked for again, and what comes is put into it on its way.
//!
//! By digest only. Tags, what refers to what, and whether something is still at its source are asked as ever; so is
//! everything where the store fails. Content passes through to whoever asked for it while it is written.

use super::documents::type_of;
use super::folder::StoreFolder;
use super::incoming::{Ended, Incoming};
use super::reading::{Watched, content_of};
use super::root::RootName;
use super::run::StoreRun;
use crate::model::port::{BlobSource, FileSource, ImageSource, ManifestBytes, OpenFile, Source};
use crate::model::{
    Content, Descriptor, Digest, Event, EventSink, Fault, FileUrl, ImageDocument, MediaType, Reference, Repository,
    Tag, limits,
};
use std::collections::BTreeSet;
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::os::unix::fs::MetadataExt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Blobs up to this size are checked before their first byte is handed out: the second reading comes from memory. Of larger
/// ones the last piece is held back until all of it matched.
const CHECKED_FIRST: u64 = 32 << 20;

/// What a store was good for in a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct StockedTally {
    /// Blobs and documents that were taken from it.
    pub taken: u64,
    /// Their bytes.
    pub taken_bytes: u64,
    /// Blobs and documents that were put into it.
    pub put: u64,
    /// Their bytes.
    pub put_bytes: u64,
    /// Bad ones that were found in it.
    pub bad: u64,
}

/// A source, and a store before it where there is one.
pub struct Stocked<'a> {
    inner: &'a dyn Source,
    stock: Option<Arc<Stock>>,
}

struct Stock {
    folder: Arc<StoreFolder>,
    /// Nothing where the store cannot be written.
    run: Option<StoreRun>,
    events: Arc<dyn EventSink>,
    check_all_first: bool,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    tally: StockedTally,
    /// Digests whose copy is bad.
    bad: BTreeSet<Digest>,
    /// Set once the store could not be written: it is only read from then on.
    closed: bool,
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
        let folder = Arc::new(folder);
        let begun = StoreRun::begin(&folder, process);
        let failed = begun.as_ref().err().map(ToString::to_string);
        let state = Mutex::default();
        let stock = Stock { folder, run: begun.ok(), events, check_all_first, state };
        if let Some(why) = failed {
            stock.close(&why);
        }
        Self { inner, stock: Some(Arc::new(stock)) }
    }

    /// Writes down as `name` what this run asked for, so that it stays, and returns what the store was good for. Nothing
    /// where there is no store.
    pub fn keep(&self, name: &RootName) -> Option<StockedTally> {
        let stock = self.stock.as_ref()?;
        if let Some(Err(fault)) = stock.run.as_ref().map(|run| run.keep(name)) {
            let cause = fault.source.map(|cause| cause.to_string()).unwrap_or_default();
            stock.close(&cause);
        }
        Some(stock.state().tally)
    }
}

impl Stock {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn warn(&self, item: String, message: String) {
        self.events.take(Event::Warned { item, message });
    }

    /// Writes nothing more, and says so once.
    fn close(&self, why: &str) {
        if !std::mem::replace(&mut self.state().closed, true) {
            let place = self.folder.path().display().to_string();
            self.warn(place, format!("the store cannot be written: {why}; the run goes on, and only reads from it"));
        }
    }

    fn writer(&self) -> Option<&StoreRun> {
        self.run.as_ref().filter(|_| !self.state().closed)
    }

    fn reserve<'d>(&self, digests: impl IntoIterator<Item = (&'d Digest, Option<u64>)>) {
        if let Some(Err(error)) = self.writer().map(|run| run.reserve(digests)) {
            self.close(&error.to_string());
        }
    }

    /// Sets aside what is not the blob that it is named by, unless somebody put the right one there meanwhile.
    fn spoiled(&self, digest: &Digest, inode: Option<u64>, why: &str) {
        let mut state = self.state();
        state.tally.bad += 1;
        state.bad.insert(digest.clone());
        drop(state);
        let same = self.folder.standing(digest).is_ok_and(|now| now.map(|now| now.inode) == inode || inode.is_none());
        let done = match same.then(|| self.folder.set_aside(digest)) {
            Some(Err(error)) => format!("it cannot be set aside ({error}), and is fetched"),
            _ => "it is set aside, and fetched again".to_owned(),
        };
        self.warn(digest.to_string(), format!("the store's copy is bad: {why}; {done}"));
    }

    /// Opens what the store has under a digest; nothing where it has nothing that is good.
    fn open(self: &Arc<Self>, digest: &Digest, size: Option<u64>, from: u64) -> Option<(u64, Box<dyn Read + Send>)> {
        self.reserve([(digest, size)]);
        if self.state().bad.contains(digest) {
            return None;
        }
        let file = match self.folder.file(digest) {
            Ok(file) => file?,
            Err(error) => {
                self.spoiled(digest, None, &error.to_string());
                return None;
            }
        };
        let known = file.metadata().ok()?;
        let first = self.check_all_first || known.len() <= CHECKED_FIRST || from > 0;
        let content = if first || size != Some(known.len()) {
            self.checked(file, digest, size, from)?
        } else {
            self.watched(file, Content { digest: digest.clone(), size: known.len() }, known.ino())
        };
        let mut state = self.state();
        state.tally.taken += 1;
        state.tally.taken_bytes += known.len().saturating_sub(from);
        Some((known.len(), content))
    }

    /// Reads all of a file, and gives it out if it is the blob.
    fn checked(&self, mut file: File, digest: &Digest, size: Option<u64>, from: u64) -> Option<Box<dyn Read + Send>> {
        let inode = file.metadata().ok().map(|known| known.ino());
        let found = content_of(&mut file, digest.algorithm()).and_then(|found| {
            file.seek(SeekFrom::Start(from))?;
            Ok(found)
        });
        match found {
            // Another size than was asked for is a lie of whoever asked: the source says more about it.
            Ok(found) if found.digest == *digest => {
                size.is_none_or(|size| size == found.size).then(|| Box::new(file) as Box<dyn Read + Send>)
            }
            Ok(found) => {
                self.spoiled(digest, inode, &format!("its bytes are {found}"));
                None
            }
            Err(error) => {
                self.spoiled(digest, inode, &error.to_string());
                None
            }
        }
    }

    fn watched(self: &Arc<Self>, file: File, content: Content, inode: u64) -> Box<dyn Read + Send> {
        let (stock, digest) = (Arc::clone(self), content.digest.clone());
        let spoiled = move |error: &io::Error| stock.spoiled(&digest, Some(inode), &error.to_string());
        Box::new(Watched::new(file, &content, spoiled))
    }

    /// Returns `content` in a form that also goes into the store.
    fn tee(
        self: &Arc<Self>,
        content: Box<dyn Read + Send>,
        digest: &Digest,
        size: Option<u64>,
    ) -> Box<dyn Read + Send> {
        match self.writer().map(|run| run.take(digest)) {
            Some(Ok(incoming)) => Box::new(Tee { content, stock: Arc::clone(self), size, incoming: Some(incoming) }),
            Some(Err(error)) => {
                self.close(&error.to_string());
                content
            }
            None => content,
        }
    }

    fn ended(&self, incoming: Incoming) {
        let (size, digest) = (incoming.written(), incoming.digest().clone());
        match incoming.finish() {
            Ok(Ended::Kept) => {
                let mut state = self.state();
                state.bad.remove(&digest);
                state.tally.put += 1;
                state.tally.put_bytes += size;
            }
            // Whoever asked for it finds out as well, and says so.
            Ok(Ended::Wrong) => {}
            Err(error) => self.close(&error.to_string()),
        }
    }

    /// Returns a document that the store has.
    fn document(self: &Arc<Self>, digest: &Digest) -> Option<ManifestBytes> {
        let size = self.folder.standing(digest).ok()??.size;
        if size > limits::MANIFEST_BYTES {
            return None;
        }
        let mut bytes = Vec::new();
        let (_, content) = self.open(digest, Some(size), 0)?;
        content.take(limits::MANIFEST_BYTES).read_to_end(&mut bytes).ok()?;
        let descriptor = Descriptor::new(type_of(&bytes)?, Content { digest: digest.clone(), size });
        (Digest::of_with(digest.algorithm(), &bytes) == *digest).then_some(ManifestBytes { descriptor, bytes })
    }

    /// Puts a document into the store.
    fn keep_document(self: &Arc<Self>, document: &ManifestBytes) {
        let Descriptor { digest, size, .. } = &document.descriptor;
        self.reserve([(digest, Some(*size))]);
        let there = self.folder.standing(digest).is_ok_and(|standing| standing.is_some());
        if there || type_of(&document.bytes).as_ref() != Some(&document.descriptor.media_type) {
            return;
        }
        let bytes = Box::new(io::Cursor::new(document.bytes.clone()));
        // Through the tee and to nobody else.
        drop(io::copy(&mut self.tee(bytes, digest, Some(*size)), &mut io::sink()));
    }

    /// Reserves what a document needs: it is asked for next, or stays where it is because the other side has it.
    fn reserve_below(&self, document: &ManifestBytes) {
        let media_type: &MediaType = &document.descriptor.media_type;
        if let Ok(parsed) = ImageDocument::parse(&document.bytes, media_type) {
            self.reserve(parsed.children().into_iter().map(|child| (&child.digest, Some(child.size))));
        }
    }
}

/// Content on its way to whoever asked for it, and into the store.
struct Tee {
    content: Box<dyn Read + Send>,
    stock: Arc<Stock>,
    size: Option<u64>,
    incoming: Option<Incoming>,
}

impl Read for Tee {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let n = match self.content.read(buffer) {
            Err(error) if error.kind() != io::ErrorKind::Interrupted => {
                self.incoming = None;
                return Err(error);
            }
            other => other?,
        };
        let written = self.incoming.as_mut().map(|incoming| incoming.write(&buffer[..n]));
        if let Some(Err(error)) = written {
            self.incoming = None;
            self.stock.close(&error.to_string());
        }
        let whole =
            |incoming: &mut Incoming| self.size.map_or(n == 0 && !buffer.is_empty(), |size| incoming.written() >= size);
        if let Some(incoming) = self.incoming.take_if(whole) {
            self.stock.ended(incoming);
        }
        Ok(n)
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
