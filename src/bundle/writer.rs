//! Writes a bundle to files: blobs in any order and from many threads, each straight into its final place.
//!
//! Killed at any moment, the same plan goes on where it was. Nothing has a final name before the whole set is
//! complete and synced.

use super::arrange;
use super::assembly::{self, Assembled, Sink};
use super::disk;
use super::fetch::{self, Broken, Progress};
use super::frame::{self, RAW_HEAD, RawFrame};
use super::journal::{DoneBlob, Journal, Known};
use super::layout::{self, Place, Span};
use super::plan::{BundlePlan, Stored, What};
use super::region_b::RegionB;
use super::rescan;
use super::trailer::SLOT;
use super::volume_files::{Names, SYNC_EVERY, VolumeFiles};
use super::volume_set::VolumeSet;
use super::volumes::{VolumeMark, volume_marks};
use super::write_error::{FillError, WriteError};
use crate::model::{Descriptor, Digest};
use std::collections::{BTreeMap, BTreeSet};
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// What an earlier run left that is used again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Resumed {
    /// Blobs that are complete.
    pub blobs: u64,
    /// Bytes of payload that need not be fetched again.
    pub bytes: u64,
    /// The whole set stands there already, complete and under its final names.
    pub complete: bool,
}

/// One blob that is to be filled.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pending {
    /// Ordinal in the inventory.
    pub ordinal: u32,
    /// What it is.
    pub descriptor: Descriptor,
    /// Offset at which its source starts; the bytes before are there.
    pub from: u64,
    /// Whether it has its turn only in the order of the list, one at a time.
    pub ordered: bool,
}

/// A bundle that was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Written {
    /// Volumes in order; empty for a stream.
    pub volumes: Vec<PathBuf>,
    /// The same as they name themselves; those of a stream have no path.
    pub marks: Vec<VolumeMark>,
    /// Bytes of all of them.
    pub bytes: u64,
    /// What is inside.
    pub bundle_id: Digest,
    /// Which physical cut.
    pub set_id: [u8; 32],
}

/// How far a blob of region A is.
pub(super) enum State {
    /// Waits, with what it has.
    Open(Box<Progress>),
    /// Somebody fills it.
    Taken,
    /// It is complete.
    Done(Vec<[u8; 32]>),
}

/// Writes one bundle.
pub struct BundleWriter {
    plan: BundlePlan,
    files: VolumeFiles,
    journal: Mutex<Journal>,
    /// By entry.
    blobs: Mutex<BTreeMap<usize, State>>,
    region_b: Mutex<RegionB>,
    unnoted: Mutex<Vec<DoneBlob>>,
    written: AtomicU64,
    complete: Option<Vec<PathBuf>>,
}

impl Written {
    /// Returns the volumes as a set.
    pub fn set(&self) -> VolumeSet {
        VolumeSet { bundle: self.bundle_id.clone(), set_id: self.set_id, volumes: self.marks.clone() }
    }
}

impl BundleWriter {
    /// Opens a bundle for writing at `out`: creates its files, or takes up those of an earlier run.
    ///
    /// A finished bundle of the same name is refused, unless it is this very set; then nothing is pending.
    pub fn open(plan: BundlePlan, out: &Path) -> Result<(Self, Resumed), WriteError> {
        let files = VolumeFiles::new(Names::new(&plan, out));
        let (journal, known) = Journal::open(&files.names.journal(), plan.set_id())?;
        let mut writer = Self {
            region_b: Mutex::new(RegionB::new(&plan)),
            plan,
            files,
            journal: Mutex::new(journal),
            blobs: Mutex::default(),
            unnoted: Mutex::default(),
            written: AtomicU64::new(0),
            complete: None,
        };
        if let Err(error) = writer.take_up(known) {
            lock(&writer.journal).give_up();
            return Err(error);
        }
        let resumed = writer.resumed();
        Ok((writer, resumed))
    }

    fn take_up(&mut self, known: Known) -> Result<(), WriteError> {
        self.complete = rescan::complete(&self.plan, &self.files)?;
        if self.complete.is_some() {
            return Ok(());
        }
        let set_id = self.plan.set_id();
        self.files.make_way(set_id, self.plan.arranged.cursor.number(), known.forgotten)?;
        self.room()?;
        let standing = self.standing();
        lock(&self.journal).claim(set_id)?;
        self.reserve()?;
        *lock(&self.blobs) = rescan::blobs(&self.plan, &self.files, known.done, &standing)?;
        lock(&self.region_b).resume(&self.plan, &self.files)
    }

    /// Returns the volumes that an earlier run left in their full length. What the journal says of others is void: a file
    /// may have been lost with what was not durable, or removed by a person.
    fn standing(&self) -> BTreeSet<u32> {
        let whole = |(number, _, length): &(u32, &Span, u64)| {
            let header = VolumeFiles::header_at(&self.files.path(*number));
            self.files.length(*number) >= *length && header.is_some_and(|h| h.set_id == self.plan.set_id())
        };
        self.lengths().filter(whole).map(|(number, ..)| number).collect()
    }

    /// Fails where the disk has no room for what is known to be missing.
    fn room(&self) -> Result<(), WriteError> {
        let needed = self.missing();
        let folder = self.files.names.folder();
        let largest = disk::largest_file(&folder);
        if let Some((number, _, size)) = self.lengths().find(|(_, _, length)| *length > largest) {
            return Err(WriteError::FileTooLarge { path: self.files.names.last(number), size, largest });
        }
        let available = disk::available(&folder).map_err(|e| WriteError::disk("ask for room in", &folder, e))?;
        if needed > available { Err(WriteError::no_room(&folder, needed, available)) } else { Ok(()) }
    }

    /// Returns the bytes that will be written at least and that the disk does not keep yet.
    fn missing(&self) -> u64 {
        let known: u64 = self.lengths().map(|(_, _, length)| length).sum();
        let least = self.plan.bounds().map_or(known, |bounds| bounds.bytes.least);
        let kept: u64 =
            (1..=self.plan.most_volumes()).map(|number| self.files.kept(number)).take_while(|n| *n > 0).sum();
        // Where a file lies apart from the others, it may hold more than its share.
        let short = self.lengths().map(|(number, _, length)| length.saturating_sub(self.files.kept(number))).sum();
        least.saturating_sub(kept).max(short)
    }

    /// Creates the files of all volumes that are known, with room for all of their bytes.
    fn reserve(&self) -> Result<(), WriteError> {
        for (number, span, length) in self.lengths() {
            self.files.reserve(number, length)?;
            self.files.write(Place { volume: number, offset: 0 }, &self.plan.header(number, span).bytes())?;
        }
        Ok(())
    }

    /// Returns the known volumes with the bytes that are known of them.
    fn lengths(&self) -> impl Iterator<Item = (u32, &Span, u64)> {
        let total = self.plan.volumes();
        (1..).zip(self.plan.arranged.cursor.volumes()).map(move |(number, span)| {
            (number, span, total.map_or(span.end, |total| layout::file_length(span, number, total)))
        })
    }

    fn resumed(&self) -> Resumed {
        let entries = &self.plan.entries;
        if self.complete.is_some() {
            let payload = entries.iter().filter(|e| matches!(e.stored, Stored::Raw | Stored::Packed) && e.size > 0);
            return Resumed { blobs: payload.count() as u64, bytes: self.plan.payload_bytes(), complete: true };
        }
        let (mut bytes, mut blobs) = lock(&self.region_b).done(&self.plan);
        for (index, state) in lock(&self.blobs).iter() {
            match state {
                State::Done(frames) if frames.is_empty() => {}
                State::Done(_) => {
                    bytes += entries[*index].size;
                    blobs += 1;
                }
                State::Open(progress) => bytes += progress.digester.size(),
                State::Taken => {}
            }
        }
        Resumed { blobs, bytes, complete: false }
    }

    /// Returns the plan.
    pub fn plan(&self) -> &BundlePlan {
        &self.plan
    }

    /// Returns what is to be filled: first what goes in any order, then the ordered ones.
    pub fn pending(&self) -> Vec<Pending> {
        if self.complete.is_some() {
            return Vec::new();
        }
        let open = lock(&self.blobs);
        let mut pending: Vec<Pending> = open
            .iter()
            .filter_map(|(index, state)| match state {
                State::Open(progress) => Some(self.pending_at(*index, progress.digester.size(), false)),
                State::Taken | State::Done(_) => None,
            })
            .flatten()
            .collect();
        let region_b = lock(&self.region_b);
        if let Some((next, kept)) = region_b.next(&self.plan) {
            let ordered = (next..self.plan.entries.len())
                .filter_map(|index| self.pending_at(index, if index == next { kept } else { 0 }, true));
            pending.extend(ordered);
        }
        pending
    }

    fn pending_at(&self, index: usize, from: u64, ordered: bool) -> Option<Pending> {
        let What::Blob(ordinal) = self.plan.entries.get(index)?.what else { return None };
        Some(Pending { ordinal, descriptor: self.plan.descriptor(ordinal), from, ordered })
    }

    /// Fills one blob from `source`, which starts at `pending.from`; `moved` is told of bytes as they pass.
    ///
    /// The blob is done only when all of it matched its digest. Threads may fill different blobs at once, but of the
    /// ordered ones only one.
    pub fn fill(&self, pending: &Pending, source: &mut dyn Read, moved: &dyn Fn(u64)) -> Result<(), FillError> {
        let index = self.plan.entry_of(pending.ordinal);
        let turn = || FillError::Turn { want: Box::new(pending.descriptor.clone()), from: pending.from };
        let index = index.ok_or_else(turn)?;
        if matches!(self.plan.entries[index].stored, Stored::Packed) {
            let mut region_b = self.region_b.try_lock().map_err(|_| turn())?;
            if region_b.next(&self.plan) != Some((index, pending.from)) {
                return Err(turn());
            }
            let filled = region_b.fill(&self.plan, &self.files, source, moved);
            return filled.map_err(|error| self.short(error));
        }
        let progress = self.take(index, pending.from).ok_or_else(turn)?;
        let mut filling = Filling { writer: self, index, progress, keep: true };
        let result = filling.run(source, moved);
        let Filling { progress, keep, .. } = filling;
        match result {
            Ok(()) => self.done(index, pending.ordinal, progress.frames),
            Err(error) => {
                self.put_back(index, keep.then_some(progress))?;
                Err(self.short(error))
            }
        }
    }

    /// Says how much room is lacking, where that is why.
    fn short(&self, error: FillError) -> FillError {
        match error {
            FillError::Write(error) => FillError::Write(error.with_needed(self.missing())),
            other => other,
        }
    }

    fn take(&self, index: usize, from: u64) -> Option<Progress> {
        let mut blobs = lock(&self.blobs);
        let state = blobs.get_mut(&index)?;
        match std::mem::replace(state, State::Taken) {
            State::Open(progress) if progress.digester.size() == from => Some(*progress),
            other => {
                *state = other;
                None
            }
        }
    }

    fn put_back(&self, index: usize, kept: Option<Progress>) -> Result<(), WriteError> {
        let progress = kept.unwrap_or_else(|| Progress::new(&self.plan.wanted(index)));
        let reset = progress.frames.is_empty();
        lock(&self.blobs).insert(index, State::Open(Box::new(progress)));
        // Nothing on the disk may look like a good beginning of a blob that was not.
        match self.place(index, 0).filter(|_| reset) {
            Some(at) => self.files.write(at, &[0; RAW_HEAD]),
            None => Ok(()),
        }
    }

    fn done(&self, index: usize, ordinal: u32, frames: Vec<[u8; 32]>) -> Result<(), FillError> {
        lock(&self.unnoted).push(DoneBlob { ordinal, frames: frames.clone() });
        lock(&self.blobs).insert(index, State::Done(frames));
        let size = self.plan.entries[index].size;
        if self.written.fetch_add(size, Ordering::Relaxed) + size >= SYNC_EVERY {
            self.written.store(0, Ordering::Relaxed);
            self.checkpoint()?;
        }
        Ok(())
    }

    /// Makes durable what is done so far and notes it.
    fn checkpoint(&self) -> Result<(), WriteError> {
        let mut journal = lock(&self.journal);
        let done = std::mem::take(&mut *lock(&self.unnoted));
        self.files.sync().and_then(|()| journal.note(&done))
    }

    fn place(&self, index: usize, chunk: u32) -> Option<Place> {
        self.plan.arranged.chunk(index, chunk, frame::raw_length(u64::from(self.plan.options.chunk_size)))
    }

    /// Completes the bundle and gives its files their final names.
    pub fn finish(self, envelope: Option<&[u8]>) -> Result<Written, WriteError> {
        let (bundle_id, set_id) = (self.plan.bundle_id().clone(), self.plan.set_id());
        if let Some(volumes) = self.complete.clone() {
            let bytes = volumes.iter().map(|path| std::fs::metadata(path).map_or(0, |found| found.len())).sum();
            self.end_journal()?;
            if envelope.is_some() && self.is_unsigned()? {
                let path = self.files.names.last(1);
                let why = "it is complete and not signed; delete it or take another name".to_owned();
                return Err(WriteError::Exists { path, why });
            }
            let marks = volume_marks(&volumes);
            return Ok(Written { volumes, marks, bytes, bundle_id, set_id });
        }
        let blobs = self.pending().len() + usize::from(lock(&self.blobs).values().any(|s| matches!(s, State::Taken)));
        if blobs > 0 {
            return Err(WriteError::Incomplete { blobs });
        }
        let assembled = self.assemble(envelope)?;
        let volumes = self.files.publish(assembled.volumes)?;
        self.end_journal()?;
        let marks = assembled.marks(|number| self.files.names.last(number));
        Ok(Written { volumes, marks, bytes: assembled.lengths.iter().sum(), bundle_id, set_id })
    }

    /// Returns whether the slot of the set that stands there is empty.
    fn is_unsigned(&self) -> Result<bool, WriteError> {
        let slot = self.plan.entries.iter().position(|entry| matches!(entry.stored, Stored::Slot));
        let Some(at) = slot.and_then(|index| self.place(index, 0)) else { return Ok(false) };
        let mut bytes = frame::raw(&[0; SLOT]);
        let empty = bytes.clone();
        Ok(self.files.read(at, &mut bytes)? && bytes == empty)
    }

    fn assemble(&self, envelope: Option<&[u8]>) -> Result<Assembled, WriteError> {
        let blobs = lock(&self.blobs);
        let region_b = lock(&self.region_b);
        let mut sink = Files { writer: self, blobs: &blobs, region_b: &region_b, waiting: None };
        let assembled = assembly::assemble(&self.plan, envelope, &mut sink)?;
        sink.flush()?;
        for (number, length) in (1..).zip(&assembled.lengths) {
            self.files.set_length(number, *length)?;
        }
        if self.files.is_spoiled() {
            let source = std::io::Error::other("an earlier sync failed");
            return Err(WriteError::disk("sync", &self.files.names.folder(), source));
        }
        Ok(assembled)
    }

    fn end_journal(&self) -> Result<(), WriteError> {
        lock(&self.unnoted).clear();
        lock(&self.journal).remove()?;
        self.files.sync_folder()
    }
}

impl Drop for BundleWriter {
    /// Notes what is done, so that the next run need not hash it again. Losing this costs time only.
    fn drop(&mut self) {
        if self.complete.is_none() && !self.files.is_spoiled() && !lock(&self.unnoted).is_empty() {
            let _ = self.checkpoint();
        }
    }
}

/// One blob on its way into the bundle.
struct Filling<'a> {
    writer: &'a BundleWriter,
    index: usize,
    progress: Progress,
    /// Whether the chunks so far are worth keeping.
    keep: bool,
}

impl Filling<'_> {
    fn run(&mut self, source: &mut dyn Read, moved: &dyn Fn(u64)) -> Result<(), FillError> {
        let plan = &self.writer.plan;
        let want = plan.wanted(self.index);
        let mut frame = RawFrame::default();
        let done = self.progress.frames.len();
        for (number, content) in (0..).zip(arrange::chunks(want.size, plan.options.chunk_size)).skip(done) {
            let mut digester = self.progress.digester.clone();
            let kept = digester.size();
            let came = fetch::raw_chunk(&mut frame, content, source, |block| digester.update(block), moved);
            if let Err(broken) = came {
                self.keep = matches!(broken, Broken::Failed(_));
                return Err(broken.into_error(want, kept + frame.taken(), kept));
            }
            let (bytes, digest) = frame.seal();
            if let Some(at) = self.writer.place(self.index, number) {
                self.writer.files.write(at, bytes)?;
            }
            self.progress.digester = digester;
            self.progress.frames.push(digest);
        }
        self.keep = false;
        let got = self.progress.digester.clone().finish();
        // A source that fails behind the last byte has given all of it: the digest decides.
        if matches!(fetch::has_ended(source), Ok(false)) {
            return Err(FillError::Long { want: Box::new(want) });
        }
        if want.names(&got) { Ok(()) } else { Err(FillError::Mismatch { want: Box::new(want), got }) }
    }
}

/// Most bytes that are gathered before they are written.
const GATHER: usize = 1 << 20;

/// Writes all but payload, which stands in its place already.
struct Files<'a> {
    writer: &'a BundleWriter,
    blobs: &'a BTreeMap<usize, State>,
    region_b: &'a RegionB,
    waiting: Option<(Place, Vec<u8>)>,
}

impl Files<'_> {
    fn flush(&mut self) -> Result<(), WriteError> {
        match self.waiting.take() {
            Some((at, bytes)) => self.writer.files.write(at, &bytes),
            None => Ok(()),
        }
    }
}

impl Sink for Files<'_> {
    fn put(&mut self, at: Place, bytes: &[u8]) -> Result<(), WriteError> {
        match &mut self.waiting {
            Some((start, waiting))
                if start.volume == at.volume
                    && start.offset + waiting.len() as u64 == at.offset
                    && waiting.len() + bytes.len() <= GATHER =>
            {
                waiting.extend_from_slice(bytes);
                Ok(())
            }
            _ => {
                self.flush()?;
                self.waiting = Some((at, bytes.to_vec()));
                Ok(())
            }
        }
    }

    fn chunk(&mut self, index: usize, number: u32, content: u64) -> Result<(u64, [u8; 32]), WriteError> {
        let missing = WriteError::Incomplete { blobs: 1 };
        if let Some(frame) = self.region_b.frame(index, number) {
            return Ok((frame.length, frame.digest));
        }
        match self.blobs.get(&index) {
            Some(State::Done(frames)) => {
                let digest = frames.get(number as usize).ok_or(missing)?;
                Ok((frame::raw_length(content), *digest))
            }
            _ => Err(missing),
        }
    }

    fn put_chunk(&mut self, _: Place) -> Result<(), WriteError> {
        Ok(())
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
