//! Reads frames from a feed: whole, of bounded length, and only in the form that is expected at that place.

use super::compress;
use super::feed::Feed;
use super::frame::{self, BlockHead, CHECKSUM, Coding, Flaw, Head, OPENING};
use super::read_error::{ReadError, Spot};

/// Longest glue frame: padding, a pax group and a header, were nothing of it a run.
const GLUE_MAX: usize = 4096;

/// What may stand at a place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Expect {
    /// Glue.
    Glue,
    /// A chunk of this many bytes, in this coding where it is settled.
    Chunk(u64, Option<Coding>),
}

/// Where a frame goes.
#[derive(Default)]
pub(super) struct Memory {
    /// Memory that is used again.
    pub spare: Vec<u8>,
    /// Whether bodies of raw frames are passed over where that is possible.
    pub pass: bool,
}

/// A whole data frame as it was read. Its content is not checked yet.
#[derive(Debug)]
pub(super) struct Framed {
    /// How the content is coded.
    pub coding: Coding,
    /// Bytes of content.
    pub content: usize,
    /// The frame.
    pub bytes: Vec<u8>,
    /// Volume and offset.
    pub spot: Spot,
    /// Number of its record in the table of its volume.
    pub record: usize,
}

/// Reads the rest of the frame that starts with `opening`, into the memory that is given.
///
/// The body of a raw frame may be passed over; the frame then has no bytes but its header.
pub(super) fn read(
    feed: &mut Feed,
    start: Spot,
    opening: [u8; OPENING],
    expect: Expect,
    mut memory: Memory,
) -> Result<Framed, ReadError> {
    let bad = |length: u64, what: &str| damaged(Spot { length, ..start.clone() }, what);
    let rest = frame::rest_of_head(opening[4]).ok_or_else(|| bad(5, "no frame of a bundle starts here"))?;
    let mut head = [0; frame::RAW_HEAD];
    let length = OPENING + rest;
    head[..OPENING].copy_from_slice(&opening);
    more(feed, &start, &mut head[OPENING..length])?;
    let parsed = Head::parse(&head[..length]).ok_or_else(|| bad(length as u64, "the frame header is damaged"))?;
    let fits = match expect {
        Expect::Glue => parsed.coding == Coding::Glue,
        Expect::Chunk(content, coding) => {
            parsed.coding != Coding::Glue && parsed.content == content && coding.is_none_or(|c| c == parsed.coding)
        }
    };
    if !fits {
        return Err(bad(length as u64, "another frame is expected here"));
    }
    let spare = &mut memory.spare;
    spare.clear();
    spare.extend_from_slice(&head[..length]);
    let mut whole = 0;
    match parsed.coding {
        Coding::Raw => {
            whole = frame::raw_length(parsed.content);
            if !memory.pass || !feed.skip(whole - length as u64)? {
                spare.resize(whole as usize, 0);
                more(feed, &start, &mut spare[length..])?;
            }
        }
        Coding::Glue => blocks(feed, &start, spare, GLUE_MAX)?,
        Coding::Packed => {
            blocks(feed, &start, spare, compress::bound(parsed.content) as usize)?;
            let end = spare.len();
            spare.resize(end + CHECKSUM, 0);
            more(feed, &start, &mut spare[end..])?;
        }
    }
    let spot = Spot { length: whole.max(spare.len() as u64), ..start };
    let (coding, content) = (parsed.coding, parsed.content as usize);
    Ok(Framed { coding, content, bytes: memory.spare, spot, record: 0 })
}

/// Reads blocks up to the last one.
fn blocks(feed: &mut Feed, start: &Spot, into: &mut Vec<u8>, limit: usize) -> Result<(), ReadError> {
    loop {
        let at = into.len();
        let bad = |what: &str| damaged(Spot { length: at as u64 + 3, ..start.clone() }, what);
        into.resize(at + 3, 0);
        more(feed, start, &mut into[at..])?;
        let head = BlockHead::parse([into[at], into[at + 1], into[at + 2]]);
        let head = head.ok_or_else(|| bad("a block header is damaged"))?;
        if at + 3 + head.body() > limit {
            return Err(bad("the frame is longer than its content can make it"));
        }
        into.resize(at + 3 + head.body(), 0);
        more(feed, start, &mut into[at + 3..])?;
        if head.last {
            return Ok(());
        }
    }
}

/// Fills `bytes`; an end before is damage of what started at `start`.
pub(super) fn more(feed: &mut Feed, start: &Spot, bytes: &mut [u8]) -> Result<(), ReadError> {
    if feed.read(bytes)? {
        return Ok(());
    }
    let length = (feed.offset() + bytes.len() as u64).saturating_sub(start.offset);
    Err(damaged(Spot { length, ..start.clone() }, "the volume ends early"))
}

/// States damage at a place.
pub(super) fn damaged(spot: Spot, what: impl Into<String>) -> ReadError {
    ReadError::Damaged { spot: Box::new(spot), what: what.into() }
}

impl Framed {
    /// Checks the frame, hands its content to `each`, and returns its digest with the content of a packed frame.
    pub(super) fn check(
        &self,
        unpacker: &mut compress::Unpacker,
        mut each: impl FnMut(&[u8]),
    ) -> Result<([u8; 32], Option<Vec<u8>>), Flaw> {
        match self.coding {
            Coding::Raw => Ok((frame::check_raw(&self.bytes, self.content, each)?, None)),
            Coding::Packed => {
                let content = unpacker.unpack(&self.bytes, self.content)?;
                each(&content);
                Ok((frame::digest(&self.bytes), Some(content)))
            }
            Coding::Glue => Err(Flaw::Content),
        }
    }
}
