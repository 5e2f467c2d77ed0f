//! Region B while it is written to files: payload that is packed here, one blob after the other at the end.
//!
//! The length of a packed frame is known only when it is made, so places are given in order. What stands on the disk
//! says where it ends: resuming reads it again, frame by frame, and needs no journal.

use super::arrange::{self, glue_shape};
use super::compress::{self, Unpacker};
use super::crew::{Crew, Packed};
use super::fetch::{self, Progress};
use super::frame::{self, Coding, Head};
use super::header::LENGTH as HEADER;
use super::layout::{Cursor, LayoutError, Place, Shape};
use super::plan::{BundlePlan, Stored};
use super::tarhead;
use super::volume_files::VolumeFiles;
use super::write_error::{FillError, WriteError};
use crate::model::Descriptor;
use std::io::Read;

/// A frame that stands in its place.
#[derive(Clone, Copy)]
pub(super) struct PackedFrame {
    /// Its length.
    pub length: u64,
    /// Its digest.
    pub digest: [u8; 32],
}

/// What is written of region B.
pub(super) struct RegionB {
    cursor: Cursor,
    /// First entry of the region.
    first: usize,
    /// Entry that is written next.
    next: usize,
    /// Frames of all entries of the region, in order.
    frames: Vec<Vec<PackedFrame>>,
    current: Option<Unfinished>,
    /// Packs; made when it is needed.
    crew: Option<Crew>,
}

#[derive(Clone)]
struct Unfinished {
    progress: Progress,
    /// Behind the frames so far.
    cursor: Cursor,
    frames: Vec<PackedFrame>,
    /// Highest volume that has its header.
    headed: u32,
}

impl RegionB {
    /// Starts behind what the plan has placed.
    pub(super) fn new(plan: &BundlePlan) -> Self {
        let first = plan.entries.iter().position(|e| matches!(e.stored, Stored::Packed)).unwrap_or(plan.entries.len());
        let cursor = plan.arranged.cursor.clone();
        Self { cursor, first, next: first, frames: Vec::new(), current: None, crew: None }
    }

    /// Returns the entry that is written next and how many bytes of it are there.
    pub(super) fn next(&self, plan: &BundlePlan) -> Option<(usize, u64)> {
        let kept = self.current.as_ref().map_or(0, |current| current.progress.digester.size());
        (self.next < plan.entries.len()).then_some((self.next, kept))
    }

    /// Returns a frame of entry `index`.
    pub(super) fn frame(&self, index: usize, number: u32) -> Option<PackedFrame> {
        self.frames.get(index.checked_sub(self.first)?)?.get(number as usize).copied()
    }

    /// Returns bytes and blobs that are there.
    pub(super) fn done(&self, plan: &BundlePlan) -> (u64, u64) {
        let whole: u64 = plan.entries[self.first..self.next].iter().map(|entry| entry.size).sum();
        (whole + self.next(plan).map_or(0, |(_, kept)| kept), self.frames.len() as u64)
    }

    /// Reads what an earlier run wrote.
    pub(super) fn resume(&mut self, plan: &BundlePlan, files: &VolumeFiles) -> Result<(), WriteError> {
        let mut unpacker = Unpacker::new().map_err(WriteError::Encoder)?;
        while self.next < plan.entries.len() {
            let want = plan.wanted(self.next);
            let mut unfinished = self.begin(plan, &want)?;
            let entry = &plan.entries[self.next];
            for content in arrange::chunks(entry.size, plan.options.chunk_size) {
                let Some((bytes, cursor)) = find_frame(plan, files, &unfinished.cursor, content)? else { break };
                let Ok(plain) = unpacker.unpack(&bytes, content as usize) else { break };
                unfinished.progress.digester.update(&plain);
                unfinished.cursor = cursor;
                let digest = frame::digest(&bytes);
                unfinished.frames.push(PackedFrame { length: bytes.len() as u64, digest });
            }
            if unfinished.progress.digester.size() < entry.size {
                self.current = Some(unfinished);
                return Ok(());
            }
            if !want.names(&unfinished.progress.digester.clone().finish()) {
                return Ok(());
            }
            self.accept(unfinished);
        }
        Ok(())
    }

    /// Takes the next blob from its source and writes it down.
    pub(super) fn fill(
        &mut self,
        plan: &BundlePlan,
        files: &VolumeFiles,
        source: &mut dyn Read,
        moved: &dyn Fn(u64),
    ) -> Result<(), FillError> {
        let want = plan.wanted(self.next);
        let mut at = match self.current.take() {
            Some(unfinished) => unfinished,
            None => self.begin(plan, &want).map_err(WriteError::from)?,
        };
        let mut crew = match self.crew.take() {
            Some(crew) => crew,
            None => Crew::new(plan.options.level, plan.options.chunk_size).map_err(WriteError::Encoder)?,
        };
        let written = pack_chunks((plan, files), &want, &mut at, &mut crew, (source, moved));
        crew.clear();
        self.crew = Some(crew);
        match written {
            Ok(()) => self.judge(want, at, source),
            Err(error) => {
                let keep = matches!(error, FillError::Source { .. } | FillError::Write(_));
                self.current = keep.then_some(at);
                Err(error)
            }
        }
    }

    /// Accepts a blob whose chunks are all there, if they are right and the source has no more.
    fn judge(&mut self, want: Descriptor, at: Unfinished, source: &mut dyn Read) -> Result<(), FillError> {
        let got = at.progress.digester.clone().finish();
        // A source that fails behind the last byte has given all of it: the digest decides.
        if matches!(fetch::has_ended(source), Ok(false)) {
            return Err(FillError::Long { want: Box::new(want) });
        }
        if !want.names(&got) {
            return Err(FillError::Mismatch { want: Box::new(want), got });
        }
        self.accept(at);
        Ok(())
    }

    fn begin(&self, plan: &BundlePlan, want: &Descriptor) -> Result<Unfinished, LayoutError> {
        let mut cursor = self.cursor.clone();
        let before = self.next.checked_sub(1).map_or(0, |index| plan.entries[index].size);
        let name = plan.name(&plan.entries[self.next]);
        cursor.place(glue_shape(&tarhead::opening(before, &name, want.size)))?;
        let headed = self.cursor.number();
        Ok(Unfinished { progress: Progress::new(want), cursor, frames: Vec::new(), headed })
    }

    fn accept(&mut self, whole: Unfinished) {
        self.cursor = whole.cursor;
        self.frames.push(whole.frames);
        self.next += 1;
    }
}

/// Reads, packs and writes the chunks of a blob that are not there yet.
fn pack_chunks(
    (plan, files): (&BundlePlan, &VolumeFiles),
    want: &Descriptor,
    at: &mut Unfinished,
    crew: &mut Crew,
    (source, moved): (&mut dyn Read, &dyn Fn(u64)),
) -> Result<(), FillError> {
    let mut spare = Vec::new();
    let done = at.frames.len();
    let mut seen = at.progress.digester.size();
    for content in arrange::chunks(want.size, plan.options.chunk_size).skip(done) {
        if !crew.has_room() {
            spare = write_next((plan, files), at, crew)?.unwrap_or_default();
        }
        let mut buffer = std::mem::take(&mut spare);
        buffer.resize(content as usize, 0);
        if let Err(broken) = fetch::plain_chunk(&mut buffer, source, moved) {
            // What came whole is worth keeping.
            while write_next((plan, files), at, crew)?.is_some() {}
            return Err(broken.into_error(want.clone(), seen, at.progress.digester.size()));
        }
        seen += content;
        if content == want.size {
            let frame = crew.pack(&buffer).map_err(WriteError::Encoder)?;
            write_chunk((plan, files), at, &Packed { content: buffer, frame })?;
        } else {
            crew.give(buffer).map_err(WriteError::Encoder)?;
        }
    }
    while write_next((plan, files), at, crew)?.is_some() {}
    Ok(())
}

/// Writes the next chunk that is packed; returns the memory of its content, nothing where none is under way.
fn write_next(
    bundle: (&BundlePlan, &VolumeFiles),
    at: &mut Unfinished,
    crew: &mut Crew,
) -> Result<Option<Vec<u8>>, WriteError> {
    let Some(packed) = crew.take() else { return Ok(None) };
    let packed = packed.map_err(WriteError::Encoder)?;
    write_chunk(bundle, at, &packed)?;
    Ok(Some(packed.content))
}

fn write_chunk(
    (plan, files): (&BundlePlan, &VolumeFiles),
    at: &mut Unfinished,
    Packed { content, frame: bytes }: &Packed,
) -> Result<(), WriteError> {
    let mut cursor = at.cursor.clone();
    let place = cursor.place(shape(bytes.len(), content.len() as u64))?;
    // A later run tells by the header whose volume this is, even if this one never ends.
    if let Some(span) = cursor.volumes().last().filter(|_| place.volume > at.headed) {
        files.write(Place { offset: 0, ..place }, &plan.header(place.volume, span).bytes())?;
        at.headed = place.volume;
    }
    files.write(place, bytes)?;
    at.progress.digester.update(content);
    at.cursor = cursor;
    at.frames.push(PackedFrame { length: bytes.len() as u64, digest: frame::digest(bytes) });
    Ok(())
}

fn shape(length: usize, content: u64) -> Shape {
    // The kind does not matter here: an open layout has no layout digest, and every kind but glue is listed.
    Shape { code: 3, length: length as u64, content }
}

/// Returns the frame that stands where the next one of `content` bytes would stand, with the cursor behind it.
fn find_frame(
    plan: &BundlePlan,
    files: &VolumeFiles,
    cursor: &Cursor,
    content: u64,
) -> Result<Option<(Vec<u8>, Cursor)>, WriteError> {
    let here = cursor.volumes().last().map_or(0, |span| span.end);
    let number = cursor.number();
    let mut places = vec![Place { volume: number, offset: here }];
    if plan.options.volume_size.is_some() {
        places.push(Place { volume: number + 1, offset: HEADER as u64 });
    }
    for place in places {
        let room = files.length(place.volume).saturating_sub(place.offset).min(compress::bound(content));
        let mut bytes = vec![0; room as usize];
        if room == 0 || !files.read(place, &mut bytes)? {
            continue;
        }
        let head = frame::packed_head(content);
        let parsed = bytes.get(..head.len()).and_then(Head::parse);
        let right = parsed.is_some_and(|head| head.coding == Coding::Packed && head.content == content);
        let Some(length) = frame::packed_length(&bytes).filter(|_| right) else { continue };
        bytes.truncate(length);
        let mut behind = cursor.clone();
        if behind.place(shape(length, content))? == place {
            return Ok(Some((bytes, behind)));
        }
    }
    Ok(None)
}
