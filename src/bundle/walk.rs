//! Walks a bundle forward, frame by frame: what stands where it must, nothing else, and all of it.
//!
//! The walk checks structure: headers, order, names, sizes, lengths, and at the end of each volume its table but for
//! the digests. Whoever asks for the steps checks content and compares digests, on any thread.

use super::feed::Feed;
use super::frame::{self, Coding, MAGIC, OPENING};
use super::frames::{self, Expect, Framed, Memory, damaged};
use super::inventory::{self, InventoryRecord};
use super::layout::{LayoutDigest, Place, Shape};
use super::plan::{HEAD, blob_name};
use super::read_error::{ReadError, Spot};
use super::sequence::{Region, Sequence};
use super::tarhead;
use super::trailer::{Kind, Record, SLOT, TAIL, TRAILER};
use super::volume_walk::{VolumeEnd, Volumes};
use crate::model::{Digest, limits};
use std::collections::HashMap;

/// What a bundle holds at the place that was reached.
pub(super) enum Step {
    /// A document of the head begins; its number in [`HEAD`], its size.
    Head(usize, u64),
    /// A blob begins; its ordinal, and whether it is a document.
    Blob(u32, bool),
    /// A frame of what began last; the flag says that it is the last one.
    Frame(Framed, bool),
    /// A volume ended.
    Volume(VolumeEnd),
    /// The bundle ended, complete.
    End,
}

/// Entry that is being read.
#[derive(Clone, Copy)]
pub(super) struct Current {
    pub(super) head: Option<usize>,
    pub(super) ordinal: u32,
    pub(super) size: u64,
    pub(super) taken: u64,
    pub(super) chunk: u32,
    pub(super) kind: Option<Kind>,
    pub(super) coding: Option<Coding>,
}

/// A walk through one bundle.
pub(super) struct Walk {
    pub(super) feed: Feed,
    pub(super) volumes: Volumes,
    pub(super) inventory: Vec<InventoryRecord>,
    /// Ordinals of the blobs that must come.
    pub(super) ordinals: HashMap<Digest, u32>,
    seen: u64,
    sequence: Sequence,
    layout: LayoutDigest,
    pub(super) current: Option<Current>,
    /// Documents of the head so far.
    pub(super) heads: u64,
    next_head: usize,
    /// Size of the entry before.
    pub(super) before: u64,
    pub(super) ended: bool,
    stash: Option<Framed>,
    memory: Memory,
}

impl Walk {
    /// Starts with the header of the first volume.
    pub(super) fn start(mut feed: Feed) -> Result<Self, ReadError> {
        let volumes = Volumes::start(&mut feed)?;
        Ok(Self {
            feed,
            sequence: Sequence::new(volumes.header.chunk_size),
            volumes,
            inventory: Vec::new(),
            ordinals: HashMap::new(),
            seen: 0,
            layout: LayoutDigest::default(),
            current: None,
            heads: 0,
            next_head: 0,
            before: 0,
            ended: false,
            stash: None,
            memory: Memory::default(),
        })
    }

    /// Tells the walk which blobs to expect, once that is known for sure. `false` where one stands twice.
    pub(super) fn expect(&mut self, inventory: Vec<InventoryRecord>) -> bool {
        let mut ordinals: HashMap<Digest, u32> =
            (0..).zip(&inventory).map(|(ordinal, record)| (record.digest.clone(), ordinal)).collect();
        let once = ordinals.len() == inventory.len();
        ordinals.retain(|_, ordinal| !inventory[*ordinal as usize].omitted);
        self.ordinals = ordinals;
        self.volumes.expect_content(inventory::carried(&inventory));
        self.inventory = inventory;
        once
    }

    /// Passes over the bodies of raw frames from now on, where the input is files.
    pub(super) fn pass_bodies(&mut self) {
        self.memory.pass = true;
    }

    /// Takes back memory of a frame that is done with.
    pub(super) fn recycle(&mut self, bytes: Vec<u8>) {
        self.memory.spare = bytes;
    }

    /// Returns the next step.
    pub(super) fn step(&mut self) -> Result<Step, ReadError> {
        if let Some(framed) = self.stash.take() {
            return Ok(self.frame_step(framed));
        }
        loop {
            let start = self.spot();
            let mut magic = [0; 4];
            frames::more(&mut self.feed, &start, &mut magic)?;
            match magic {
                TRAILER => {
                    let entries = self.ended.then(|| self.heads + self.inventory.len() as u64);
                    let end = self.volumes.end(&mut self.feed, start, entries)?;
                    return Ok(Step::Volume(end));
                }
                TAIL if self.ended => self.volumes.tail(&mut self.feed, start)?,
                MAGIC if !self.ended => {
                    if let Some(step) = self.data(start, magic)? {
                        return Ok(step);
                    }
                }
                _ => return Err(damaged(Spot { length: 4, ..start }, self.awaited())),
            }
        }
    }

    /// Goes on to the next volume, or to the end of the bundle.
    pub(super) fn next_volume(&mut self, last: bool) -> Result<Option<Step>, ReadError> {
        if !last {
            self.volumes.next(&mut self.feed)?;
            return Ok(None);
        }
        self.volumes.nothing_behind(&mut self.feed)?;
        let layout = std::mem::take(&mut self.layout).finish();
        if !self.volumes.is_this_cut(layout) {
            let spot = self.spot();
            return Err(damaged(spot, "the volumes do not add up to the cut that their headers name"));
        }
        Ok(Some(Step::End))
    }

    /// Returns the place that was reached.
    pub(super) fn spot(&self) -> Spot {
        let mut spot = self.feed.spot(self.volumes.header.number, self.feed.offset(), 0);
        spot.hit = self.current.map(|current| self.name(&current));
        spot
    }

    /// Returns what an entry is called.
    pub(super) fn name(&self, current: &Current) -> String {
        match current.head {
            Some(number) => HEAD[number].to_owned(),
            None => self.inventory[current.ordinal as usize].digest.to_string(),
        }
    }

    fn awaited(&self) -> &'static str {
        match (self.ended, self.current) {
            (true, _) => "only the end of the bundle may follow here",
            (false, Some(_)) => "the next frame of an entry is expected here",
            (false, None) => "the next entry is expected here",
        }
    }

    fn data(&mut self, start: Spot, magic: [u8; 4]) -> Result<Option<Step>, ReadError> {
        let mut opening = [0; OPENING];
        opening[..4].copy_from_slice(&magic);
        frames::more(&mut self.feed, &start, &mut opening[4..])?;
        let expect = self.expected();
        let memory = Memory { spare: std::mem::take(&mut self.memory.spare), pass: self.memory.pass };
        let framed = frames::read(&mut self.feed, start, opening, expect, memory)?;
        if expect == Expect::Glue { self.opening(framed) } else { self.chunk(framed).map(Some) }
    }

    fn expected(&self) -> Expect {
        match &self.current {
            None => Expect::Glue,
            Some(current) => {
                let chunk = u64::from(self.volumes.header.chunk_size).min(current.size - current.taken);
                Expect::Chunk(chunk, current.coding)
            }
        }
    }

    /// Takes glue: the opening of the next entry, or the ending.
    fn opening(&mut self, framed: Framed) -> Result<Option<Step>, ReadError> {
        let Some(content) = frame::unglue(&framed.bytes) else {
            return Err(damaged(framed.spot, "the padding or tar header is not as it was written"));
        };
        self.count_glue(&framed.spot, content.len() as u64);
        self.memory.spare = framed.bytes;
        if self.next_head == HEAD.len() && content == tarhead::ending(self.before) {
            let missing = self.ordinals.len() as u64 - self.seen;
            self.ended = missing == 0;
            let what = format!("the content ends here, and {missing} blobs of the inventory did not come");
            return if self.ended { Ok(None) } else { Err(damaged(framed.spot, what)) };
        }
        let entry = tarhead::read(&content, self.before).and_then(|(name, size)| self.entry(&name, size));
        let Some(current) = entry else {
            return Err(damaged(framed.spot, "the tar header is not that of an entry that may follow here"));
        };
        self.begin(current, framed.spot)
    }

    /// Counts a glue frame in all that is counted.
    pub(super) fn count_glue(&mut self, spot: &Spot, content: u64) {
        let shape = Shape { code: 0, length: spot.length, content };
        self.layout.add(shape, Place { volume: self.volumes.header.number, offset: spot.offset });
        self.volumes.count(content);
    }

    /// Returns the entry that may open with this name and size.
    fn entry(&self, name: &str, size: u64) -> Option<Current> {
        let new = |head, ordinal, coding, kind| Current { head, ordinal, size, taken: 0, chunk: 0, kind, coding };
        if self.next_head == HEAD.len() {
            let (algorithm, hex) = name.strip_prefix("blobs/")?.split_once('/')?;
            let digest: Digest = format!("{algorithm}:{hex}").parse().ok()?;
            let ordinal = *self.ordinals.get(&digest)?;
            let right = self.inventory[ordinal as usize].size == size && blob_name(&digest) == name;
            return right.then(|| new(None, ordinal, None, None));
        }
        let number = HEAD.iter().position(|head| *head == name)?;
        // The policy may be left out; the bases are there where the volumes say that this is a delta, and nowhere else.
        let behind_evidence = if self.volumes.header.is_delta() { 7 } else { 8 };
        let may_follow = match self.next_head {
            5 => number == 5 || number == 6,
            7 => number == behind_evidence,
            next => number == next,
        };
        let (coding, kind) = if number == 3 { (Coding::Raw, Kind::Slot) } else { (Coding::Packed, Kind::Document) };
        (may_follow && head_fits(number, size)).then(|| new(Some(number), 0, Some(coding), Some(kind)))
    }

    /// Begins an entry; a blob is announced when its first frame has told its region.
    pub(super) fn begin(&mut self, current: Current, spot: Spot) -> Result<Option<Step>, ReadError> {
        self.before = current.size;
        self.current = (current.size > 0).then_some(current);
        if let Some(number) = current.head {
            self.next_head = number + 1;
            self.heads += 1;
            return Ok(Some(Step::Head(number, current.size)));
        }
        if current.size > 0 {
            return Ok(None);
        }
        self.admit(current.ordinal, false)
            .map_or_else(|| Err(out_of_order(spot)), |_| Ok(Some(Step::Blob(current.ordinal, false))))
    }

    pub(super) fn admit(&mut self, ordinal: u32, packed: bool) -> Option<Region> {
        let record = &self.inventory[ordinal as usize];
        let region = self.sequence.admit(u64::from(ordinal), record.class, record.size, packed)?;
        self.seen += 1;
        Some(region)
    }

    fn chunk(&mut self, mut framed: Framed) -> Result<Step, ReadError> {
        let Some(mut current) = self.current else { return Err(damaged(framed.spot, "no entry is open here")) };
        framed.spot.hit = Some(self.name(&current));
        let announce = current.kind.is_none();
        if announce {
            let packed = framed.coding == Coding::Packed;
            let region = self.admit(current.ordinal, packed).ok_or_else(|| out_of_order(framed.spot.clone()))?;
            current.kind = Some(match region {
                Region::Documents => Kind::Document,
                Region::Raw => Kind::Raw,
                Region::Packed => Kind::Packed,
            });
            current.coding = Some(framed.coding);
            self.current = Some(current);
        }
        let document = current.kind == Some(Kind::Document);
        if announce {
            self.stash = Some(framed);
            return Ok(Step::Blob(current.ordinal, document));
        }
        Ok(self.frame_step(framed))
    }

    fn frame_step(&mut self, mut framed: Framed) -> Step {
        let (record, last) = self.count_chunk(&framed.spot, framed.content as u64);
        framed.record = record;
        Step::Frame(framed, last)
    }

    /// Counts a content frame in all that is counted: number of its record, and whether it ends its entry.
    pub(super) fn count_chunk(&mut self, spot: &Spot, content: u64) -> (usize, bool) {
        let Some(current) = &mut self.current else { return (0, true) };
        let kind = current.kind.unwrap_or(Kind::Raw);
        let entry = match current.head {
            Some(_) => self.heads - 1,
            None => self.heads + u64::from(current.ordinal),
        };
        let record = Record {
            kind,
            chunk: current.chunk,
            entry,
            offset: spot.offset,
            length: spot.length as u32,
            content: content as u32,
            digest: [0; 32],
        };
        current.taken += content;
        current.chunk += 1;
        let last = current.taken == current.size;
        if last {
            self.current = None;
        }
        let shape = Shape { code: kind as u8, length: spot.length, content };
        self.layout.add(shape, Place { volume: self.volumes.header.number, offset: spot.offset });
        self.volumes.count(content);
        (self.volumes.gather(record), last)
    }
}

/// Returns whether a document of the head, by its number in [`HEAD`], may have this size.
const fn head_fits(number: usize, size: u64) -> bool {
    match number {
        2 => size <= limits::HEAD_BYTES && size > 0,
        3 => size == SLOT as u64,
        _ => size <= limits::HEAD_DOCUMENT_BYTES,
    }
}

fn out_of_order(spot: Spot) -> ReadError {
    damaged(spot, "the blob does not stand in its order")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn documents_of_the_head_end_at_their_limits() {
        let number = |name: &str| HEAD.iter().position(|head| *head == name).unwrap();
        for (name, limit) in [
            ("airlift/head.json", limits::HEAD_BYTES),
            ("airlift/lock.json", limits::HEAD_DOCUMENT_BYTES),
            ("airlift/evidence.json", limits::HEAD_DOCUMENT_BYTES),
            ("airlift/head.sig", SLOT as u64),
        ] {
            assert!(head_fits(number(name), limit), "{name}");
            assert!(!head_fits(number(name), limit + 1), "{name}");
        }
        assert!(!head_fits(number("airlift/head.json"), 0));
    }
}
