//! Puts a bundle together in the order of its bytes: headers, documents, glue, frames, trailers, tail.
//!
//! Files and streams are written by this one walk. Only where payload comes from differs ([`Sink`]).

use super::arrange::{self, glue_shape};
use super::frame;
use super::header::LENGTH as HEADER;
use super::inventory;
use super::layout::{self, Cursor, Place, Shape, Span};
use super::plan::{BundlePlan, Stored};
use super::tarhead;
use super::trailer::{self, Footer, Kind, LAST, Record, SLOT, Tail, WITH_TAIL};
use super::volumes::VolumeMark;
use super::write_error::WriteError;
use crate::model::json;
use std::path::PathBuf;

/// Takes the bytes of a bundle and knows its payload.
pub(super) trait Sink {
    /// Takes bytes that belong at a place.
    fn put(&mut self, at: Place, bytes: &[u8]) -> Result<(), WriteError>;
    /// Makes ready chunk `number` of payload entry `index`, of `content` bytes: length and digest of its frame.
    fn chunk(&mut self, index: usize, number: u32, content: u64) -> Result<(u64, [u8; 32]), WriteError>;
    /// Puts the frame that was made ready at its place, where it does not stand there yet.
    fn put_chunk(&mut self, at: Place) -> Result<(), WriteError>;
    /// Is told that a volume has all of its bytes.
    fn ended(&mut self, _: Ended) -> Result<(), WriteError> {
        Ok(())
    }
}

/// A volume that has all of its bytes.
pub(super) struct Ended {
    /// Its number.
    pub number: u32,
    /// Its bytes.
    pub length: u64,
    /// Its digest.
    pub digest: [u8; 32],
    /// What the next volume starts with; `None` behind the last one.
    pub next: Option<Next>,
}

/// What a volume starts with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Next {
    /// Entry of the frame; the number of all entries for the ending.
    pub entry: usize,
    /// 0 for the glue before the entry, else the number of the chunk and one.
    pub frame: u32,
    /// Place of the volume in the set.
    pub span: Span,
}

/// Where to start: behind volumes that have all of their bytes.
#[derive(Default)]
pub(super) struct Start {
    /// What follows each of them.
    pub nexts: Vec<Next>,
    /// Their digests.
    pub digests: Vec<[u8; 32]>,
    /// Their bytes.
    pub lengths: Vec<u64>,
}

/// Returns the content of the slot: the envelope filled up with blanks, or zeros without one.
pub(super) fn slot(envelope: Option<&[u8]>) -> Result<[u8; SLOT], WriteError> {
    let Some(envelope) = envelope.map(<[u8]>::trim_ascii_end) else { return Ok([0; SLOT]) };
    if envelope.len() >= SLOT {
        return Err(WriteError::Envelope(format!("it has {} bytes, {} fit", envelope.len(), SLOT - 1)));
    }
    json::check(envelope).map_err(|error| WriteError::Envelope(error.to_string()))?;
    let mut slot = [b' '; SLOT];
    slot[..envelope.len()].copy_from_slice(envelope);
    slot[SLOT - 1] = b'\n';
    Ok(slot)
}

/// What was put together.
pub(super) struct Assembled {
    /// Number of volumes.
    pub volumes: u32,
    /// Bytes of each of them.
    pub lengths: Vec<u64>,
    /// Digest of each of them.
    pub digests: Vec<[u8; 32]>,
}

impl Assembled {
    /// Returns the volumes as they name themselves; `path` gives where each of them is.
    pub(super) fn marks(&self, path: impl Fn(u32) -> PathBuf) -> Vec<VolumeMark> {
        let mark = |(number, (bytes, digest)): (u32, (&u64, &[u8; 32]))| VolumeMark {
            number,
            path: path(number),
            bytes: *bytes,
            digest: Some(*digest),
        };
        (1..).zip(self.lengths.iter().zip(&self.digests)).map(mark).collect()
    }
}

/// Writes the whole bundle of `plan` into `sink`.
pub(super) fn assemble(
    plan: &BundlePlan,
    envelope: Option<&[u8]>,
    sink: &mut dyn Sink,
) -> Result<Assembled, WriteError> {
    assemble_from(plan, envelope, Start::default(), sink)
}

/// Writes the volumes of `plan` that are not there yet into `sink`.
pub(super) fn assemble_from(
    plan: &BundlePlan,
    envelope: Option<&[u8]>,
    start: Start,
    sink: &mut dyn Sink,
) -> Result<Assembled, WriteError> {
    let slot = slot(envelope)?;
    let Start { nexts, digests, lengths } = start;
    let (entry, frame) = nexts.last().map_or((0, 0), |next| (next.entry, next.frame));
    let sizes = plan.options.volume_size.clone();
    let mut spans = Cursor::new(sizes.clone()).volumes().to_vec();
    spans.extend(nexts.into_iter().map(|next| next.span));
    let mut assembly = Assembly {
        plan,
        sink,
        cursor: Cursor::behind(sizes, spans),
        header: [0; HEADER],
        table: Vec::new(),
        at: (entry, frame),
        digests,
        lengths,
    };
    assembly.begin_volume(assembly.cursor.number())?;
    for index in entry..plan.entries.len() {
        let first = if index == entry { frame } else { 0 };
        if first == 0 {
            let opened = &plan.entries[index];
            let opening = tarhead::opening(plan.size_before(index), &plan.name(opened), opened.size);
            assembly.glue(index, &opening)?;
        }
        assembly.content(index, first.saturating_sub(1), &slot)?;
    }
    let all = plan.entries.len();
    assembly.glue(all, &tarhead::ending(plan.size_before(all)))?;
    assembly.end()
}

struct Assembly<'a> {
    plan: &'a BundlePlan,
    sink: &'a mut dyn Sink,
    cursor: Cursor,
    header: [u8; HEADER],
    table: Vec<u8>,
    /// Entry and frame that are placed, as [`Next`] counts them.
    at: (usize, u32),
    digests: Vec<[u8; 32]>,
    lengths: Vec<u64>,
}

impl Assembly<'_> {
    fn begin_volume(&mut self, number: u32) -> Result<(), WriteError> {
        let spans = if self.plan.is_closed() { self.plan.arranged.cursor.volumes() } else { self.cursor.volumes() };
        self.header = self.plan.header(number, &spans[number as usize - 1]).bytes();
        self.table.clear();
        self.sink.put(Place { volume: number, offset: 0 }, &self.header)
    }

    /// Places the next frame, ending one volume and beginning the next where it has to stand there.
    fn place(&mut self, shape: Shape) -> Result<Place, WriteError> {
        let before = self.cursor.number();
        let at = self.cursor.place(shape)?;
        if at.volume != before {
            let spans = self.cursor.volumes();
            let empty = Span { end: HEADER as u64, records: 0, ..spans[spans.len() - 1].clone() };
            let next = Next { entry: self.at.0, frame: self.at.1, span: empty };
            self.end_volume(before, Some(next))?;
            self.begin_volume(at.volume)?;
        }
        Ok(at)
    }

    fn glue(&mut self, index: usize, content: &[u8]) -> Result<(), WriteError> {
        self.at = (index, 0);
        let at = self.place(glue_shape(content))?;
        self.sink.put(at, &frame::glue(content))
    }

    fn content(&mut self, index: usize, first: u32, slot: &[u8]) -> Result<(), WriteError> {
        let plan = self.plan;
        let entry = &plan.entries[index];
        let kind = plan.arranged.kinds[index];
        let chunks = arrange::chunks(entry.size, plan.options.chunk_size).enumerate();
        for (number, content) in chunks.skip(first as usize) {
            let chunk = number as u32;
            self.at = (index, chunk + 1);
            let ready = match &entry.stored {
                Stored::Frames(frames) => Some(frames[number].to_vec()),
                Stored::Slot => Some(frame::raw(slot)),
                Stored::Raw | Stored::Packed => None,
            };
            let (length, digest) = match &ready {
                Some(bytes) if kind == Kind::Slot => (bytes.len() as u64, [0; 32]),
                Some(bytes) => (bytes.len() as u64, frame::digest(bytes)),
                None => self.sink.chunk(index, chunk, content)?,
            };
            let at = self.place(Shape { code: kind as u8, length, content })?;
            match &ready {
                Some(bytes) => self.sink.put(at, bytes)?,
                None => self.sink.put_chunk(at)?,
            }
            let (length, content) = (length as u32, content as u32);
            let record = Record { kind, chunk, entry: plan.number(index), offset: at.offset, length, content, digest };
            self.table.extend(record.bytes());
        }
        Ok(())
    }

    fn end_volume(&mut self, number: u32, next: Option<Next>) -> Result<(), WriteError> {
        let last = next.is_none();
        let span = &self.cursor.volumes()[number as usize - 1];
        let file_length = layout::file_length(span, number, if last { number } else { number + 1 });
        let flags = if last { LAST | WITH_TAIL } else { 0 };
        let (set_id, table_length) = (self.plan.set_id(), self.table.len() as u64);
        let footer = Footer { digest: [0; 32], set_id, number, flags, table_length, file_length };
        let footer = footer.sealed(&self.header, &self.table);
        let frame = trailer::skippable(trailer::TRAILER, &[&self.table, &footer.bytes()]);
        self.digests.push(footer.digest);
        self.lengths.push(file_length);
        self.sink.put(Place { volume: number, offset: file_length - frame.len() as u64 }, &frame)?;
        self.sink.ended(Ended { number, length: file_length, digest: footer.digest, next })
    }

    /// Writes tail and trailer of the last volume.
    fn end(mut self) -> Result<Assembled, WriteError> {
        let number = self.cursor.number();
        let tail = Tail {
            bundle_id: self.plan.cut.bundle_id,
            set_id: self.plan.set_id(),
            total: number,
            content: inventory::carried(&self.plan.inventory),
            volumes: self.digests.clone(),
            table: trailer::sha256_of(&self.table),
        };
        let frame = tail.frame();
        let offset = self.cursor.volumes()[number as usize - 1].end;
        self.sink.put(Place { volume: number, offset }, &frame)?;
        let entry = self.plan.head + self.plan.inventory.len() as u64;
        self.table.extend(Tail::record(&frame, entry, offset).bytes());
        self.end_volume(number, None)?;
        Ok(Assembled { volumes: number, lengths: self.lengths, digests: self.digests })
    }
}
