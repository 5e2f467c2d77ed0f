//! The store behind a run: what it has, what it takes, and what is said when it fails. Whatever happens to it, the run goes on.

use super::documents::type_of;
use super::folder::StoreFolder;
use super::incoming::{Ended, Incoming};
use super::reading::{Watched, content_of};
use super::root::RootName;
use super::run::StoreRun;
use super::tee::Tee;
use crate::model::port::ManifestBytes;
use crate::model::{Content, Descriptor, Digest, Event, EventSink, ImageDocument, MediaType, limits};
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

/// A store in use.
pub(super) struct Stock {
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

impl Stock {
    /// Begins a run on the store in `folder`. One that cannot be written is read, and `events` says so.
    pub fn new(folder: StoreFolder, events: Arc<dyn EventSink>, (process, check_all_first): (u32, bool)) -> Self {
        let folder = Arc::new(folder);
        let begun = StoreRun::begin(&folder, process);
        let failed = begun.as_ref().err().map(ToString::to_string);
        let stock = Self { folder, run: begun.ok(), events, check_all_first, state: Mutex::default() };
        if let Some(why) = failed {
            stock.close(&why);
        }
        stock
    }

    /// Writes down as `name` what was asked for, and returns what the store was good for.
    pub fn keep(&self, name: &RootName) -> StockedTally {
        if let Some(Err(fault)) = self.run.as_ref().map(|run| run.keep(name)) {
            let cause = fault.source.map(|cause| cause.to_string()).unwrap_or_default();
            self.close(&cause);
        }
        self.state().tally
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn warn(&self, item: String, message: String) {
        self.events.take(Event::Warned { item, message });
    }

    /// Writes nothing more, and says so once.
    pub fn close(&self, why: &str) {
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
    pub fn open(
        self: &Arc<Self>,
        digest: &Digest,
        size: Option<u64>,
        from: u64,
    ) -> Option<(u64, Box<dyn Read + Send>)> {
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
    pub fn tee(
        self: &Arc<Self>,
        content: Box<dyn Read + Send>,
        digest: &Digest,
        size: Option<u64>,
    ) -> Box<dyn Read + Send> {
        match self.writer().map(|run| run.take(digest)) {
            Some(Ok(incoming)) => Box::new(Tee::new(content, Arc::clone(self), size, incoming)),
            Some(Err(error)) => {
                self.close(&error.to_string());
                content
            }
            None => content,
        }
    }

    pub fn ended(&self, incoming: Incoming) {
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
    pub fn document(self: &Arc<Self>, digest: &Digest) -> Option<ManifestBytes> {
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
    pub fn keep_document(self: &Arc<Self>, document: &ManifestBytes) {
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
    pub fn reserve_below(&self, document: &ManifestBytes) {
        let media_type: &MediaType = &document.descriptor.media_type;
        if let Ok(parsed) = ImageDocument::parse(&document.bytes, media_type) {
            self.reserve(parsed.children().into_iter().map(|child| (&child.digest, Some(child.size))));
        }
    }
}
