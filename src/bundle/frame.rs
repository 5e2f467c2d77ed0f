//! Frames as this container writes them (FORMAT.md, "Data frames"), byte for byte. Door of the frame hashes.
//!
//! Every frame is a zstd frame (RFC 8878) with its content size. There is one encoding of each content but for
//! compressed blocks; a reader compares what it finds with what these functions build.

use std::fmt;
use xxhash_rust::xxh64::Xxh64;

/// Bytes of a zstd block at most, and of a raw block always but for the last.
pub(super) const BLOCK: usize = 128 << 10;
/// Magic number that opens a data frame.
pub(super) const MAGIC: [u8; 4] = 0xFD2F_B528_u32.to_le_bytes();
/// Empty frame before the volume header: what programs recognise zstd by.
pub(super) const PROLOGUE: [u8; 9] = [0x28, 0xB5, 0x2F, 0xFD, 0x20, 0, 1, 0, 0];
/// Bytes of a raw frame before its first block.
pub(super) const RAW_HEAD: usize = 14;
/// Bytes of magic number and frame descriptor, which tell what follows.
pub(super) const OPENING: usize = 5;
/// Bytes of content from which on a frame is hashed beside its content; below, a thread costs more than it saves.
const ASIDE: usize = 1 << 20;
/// Bytes of the checksum at the end of raw and packed frames.
pub(super) const CHECKSUM: usize = 4;

/// Descriptor byte of raw frames: content size in 8 bytes, checksum, a window.
const RAW: u8 = 0xC4;
/// Window descriptor of raw frames: 128 KiB. A smaller window would forbid blocks of that size.
const RAW_WINDOW: u8 = 0x38;
/// Descriptor byte of glue frames: content size in 2 bytes, one segment, no checksum.
const GLUE: u8 = 0x60;
/// Shortest run of equal bytes that glue writes as one block.
const RUN: usize = 8;

/// How the content of a data frame is coded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Coding {
    /// Raw blocks: payload as it is.
    Raw,
    /// Blocks by libzstd.
    Packed,
    /// Raw and run-length blocks written here: padding and tar headers.
    Glue,
}

/// Header of a data frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Head {
    /// How the content is coded.
    pub coding: Coding,
    /// Bytes of content.
    pub content: u64,
    /// Bytes of the header itself, magic number included.
    pub length: usize,
}

/// What is wrong inside a frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Flaw {
    /// The header of this block is not the one that belongs there.
    Block(usize),
    /// The content does not match the checksum of the frame.
    Checksum,
    /// The blocks do not decode to the stated number of bytes.
    Content,
}

impl fmt::Display for Flaw {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Block(number) => write!(f, "the header of block {number} is not the one that belongs there"),
            Self::Checksum => f.write_str("the content does not match the checksum of its frame"),
            Self::Content => f.write_str("the blocks do not decode to the stated content"),
        }
    }
}

/// Kind of a zstd block.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum BlockKind {
    /// Bytes as they are.
    Raw,
    /// One byte, repeated.
    Run,
    /// Compressed by libzstd.
    Packed,
}

/// Header of a zstd block.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct BlockHead {
    /// Kind.
    pub kind: BlockKind,
    /// Bytes of content for raw and run blocks, of code for packed ones.
    pub size: usize,
    /// Whether the frame ends after this block.
    pub last: bool,
}

impl BlockHead {
    /// Reads a block header; `None` for the reserved kind.
    pub(super) fn parse(bytes: [u8; 3]) -> Option<Self> {
        let word = u32::from_le_bytes([bytes[0], bytes[1], bytes[2], 0]);
        let kind = match word >> 1 & 3 {
            0 => BlockKind::Raw,
            1 => BlockKind::Run,
            2 => BlockKind::Packed,
            _ => return None,
        };
        Some(Self { kind, size: (word >> 3) as usize, last: word & 1 == 1 })
    }

    /// Returns the bytes of the header.
    pub(super) const fn bytes(self) -> [u8; 3] {
        let kind = match self.kind {
            BlockKind::Raw => 0,
            BlockKind::Run => 1,
            BlockKind::Packed => 2,
        };
        let word = ((self.size as u32) << 3 | kind << 1 | self.last as u32).to_le_bytes();
        [word[0], word[1], word[2]]
    }

    /// Returns the bytes that follow the header.
    pub(super) const fn body(self) -> usize {
        if matches!(self.kind, BlockKind::Run) { 1 } else { self.size }
    }
}

/// Returns how many header bytes follow the frame descriptor, `None` where we never write such a descriptor.
pub(super) const fn rest_of_head(descriptor: u8) -> Option<usize> {
    match descriptor {
        RAW => Some(9),
        GLUE | 0x64 => Some(2),
        0x24 => Some(1),
        0xA4 => Some(4),
        _ => None,
    }
}

impl Head {
    /// Reads a frame header of ours, `None` where it is not exactly one that we would write.
    pub(super) fn parse(bytes: &[u8]) -> Option<Self> {
        let head = |coding, content| Self { coding, content, length: bytes.len() };
        let number = |at: usize| {
            let mut wide = [0; 8];
            wide.get_mut(..bytes.len() - at)?.copy_from_slice(&bytes[at..]);
            Some(u64::from_le_bytes(wide))
        };
        let found = match *bytes.get(4)? {
            RAW => head(Coding::Raw, number(6)?),
            GLUE => head(Coding::Glue, number(5)? + 256),
            0x24 | 0xA4 => head(Coding::Packed, number(5)?),
            0x64 => head(Coding::Packed, number(5)? + 256),
            _ => return None,
        };
        (found.bytes() == bytes).then_some(found)
    }

    /// Returns the header as we write it.
    fn bytes(self) -> Vec<u8> {
        match self.coding {
            Coding::Raw => raw_head(self.content).to_vec(),
            Coding::Packed => packed_head(self.content),
            Coding::Glue => glue_head(self.content),
        }
    }
}

/// Returns the header of a raw frame of `content` bytes.
pub(super) fn raw_head(content: u64) -> [u8; RAW_HEAD] {
    let mut head = [0; RAW_HEAD];
    head[..4].copy_from_slice(&MAGIC);
    head[4] = RAW;
    head[5] = RAW_WINDOW;
    head[6..].copy_from_slice(&content.to_le_bytes());
    head
}

/// Returns the header of a packed frame of `content` bytes: what libzstd writes for one segment with checksum.
pub(super) fn packed_head(content: u64) -> Vec<u8> {
    let mut head = MAGIC.to_vec();
    let wide = content.to_le_bytes();
    match content {
        0..256 => head.extend([0x24, wide[0]]),
        256..65_792 => {
            head.push(0x64);
            head.extend(&(content - 256).to_le_bytes()[..2]);
        }
        _ => {
            head.push(0xA4);
            head.extend(&wide[..4]);
        }
    }
    head
}

fn glue_head(content: u64) -> Vec<u8> {
    let mut head = MAGIC.to_vec();
    head.push(GLUE);
    head.extend(&content.saturating_sub(256).to_le_bytes()[..2]);
    head
}

/// Returns the length of a raw frame of `content` bytes.
pub(super) const fn raw_length(content: u64) -> u64 {
    content + 3 * content.div_ceil(BLOCK as u64) + (RAW_HEAD + CHECKSUM) as u64
}

/// Returns the header of block `number` of a raw frame of `content` bytes.
fn raw_block(content: usize, number: usize) -> BlockHead {
    let start = number * BLOCK;
    let size = BLOCK.min(content.saturating_sub(start));
    BlockHead { kind: BlockKind::Raw, size, last: start + size >= content }
}

/// Returns `content` as one glue frame: runs of eight and more equal bytes as run blocks, the rest raw.
///
/// `content` has at least 256 and at most 65 791 bytes; padding with a tar header has 512 to 2 559.
pub(super) fn glue(content: &[u8]) -> Vec<u8> {
    let mut frame = glue_head(content.len() as u64);
    let mut plain = 0;
    let mut at = 0;
    while at < content.len() {
        let run = content[at..].iter().take_while(|byte| **byte == content[at]).count();
        if run >= RUN {
            push_raw(&mut frame, &content[plain..at], false);
            let head = BlockHead { kind: BlockKind::Run, size: run, last: at + run == content.len() };
            frame.extend(head.bytes());
            frame.push(content[at]);
            plain = at + run;
        }
        at += run;
    }
    push_raw(&mut frame, &content[plain..], true);
    frame
}

fn push_raw(frame: &mut Vec<u8>, bytes: &[u8], last: bool) {
    if !bytes.is_empty() {
        frame.extend(BlockHead { kind: BlockKind::Raw, size: bytes.len(), last }.bytes());
        frame.extend(bytes);
    }
}

/// Returns the content of a glue frame, `None` where it is not exactly the frame that we would write for it.
pub(super) fn unglue(frame: &[u8]) -> Option<Vec<u8>> {
    let head = Head::parse(frame.get(..OPENING + 2)?)?;
    let mut content = Vec::with_capacity(usize::try_from(head.content).ok()?);
    let mut at = head.length;
    loop {
        let block = BlockHead::parse(frame.get(at..at + 3)?.try_into().ok()?)?;
        let body = frame.get(at + 3..at + 3 + block.body())?;
        if content.len() + block.size > content.capacity() {
            return None;
        }
        match block.kind {
            BlockKind::Raw => content.extend(body),
            BlockKind::Run => content.resize(content.len() + block.size, body[0]),
            BlockKind::Packed => return None,
        }
        at += 3 + block.body();
        if block.last {
            break;
        }
    }
    (content.len() >= 256 && glue(&content) == frame).then_some(content)
}

/// Returns the digest that volume tables hold of a frame's bytes.
///
/// Always of the whole frame at once: block by block, the hash would lose its stride at every block header.
pub(super) fn digest(frame: &[u8]) -> [u8; 32] {
    blake3::hash(frame).into()
}

/// Returns the 64-bit checksum of some bytes, as the journal uses it too.
pub(super) fn checksum(bytes: &[u8]) -> u64 {
    xxhash_rust::xxh64::xxh64(bytes, 0)
}

/// Returns the length of the packed frame that `bytes` start with, `None` where it does not end inside them.
pub(super) fn packed_length(bytes: &[u8]) -> Option<usize> {
    let end = glue_length(bytes)? + CHECKSUM;
    (end <= bytes.len()).then_some(end)
}

/// Returns the length of the frame without checksum that `bytes` start with, `None` where it does not end inside.
pub(super) fn glue_length(bytes: &[u8]) -> Option<usize> {
    let mut at = OPENING + rest_of_head(*bytes.get(4)?)?;
    loop {
        let block = BlockHead::parse(bytes.get(at..at + 3)?.try_into().ok()?)?;
        at += 3 + block.body();
        if block.last {
            return (at <= bytes.len()).then_some(at);
        }
    }
}

/// Returns `content`, at most a few kilobytes, as one raw frame.
pub(super) fn raw(content: &[u8]) -> Vec<u8> {
    let mut frame = RawFrame::default();
    frame.begin(content.len());
    let mut rest = content;
    while !rest.is_empty() {
        let gap = frame.gap();
        let n = gap.len().min(rest.len());
        gap[..n].copy_from_slice(&rest[..n]);
        frame.filled(n, |_| {});
        rest = &rest[n..];
    }
    frame.seal();
    frame.bytes
}

/// One raw frame while it is built: content goes straight to its final place, and is hashed block by block.
#[derive(Default)]
pub(super) struct RawFrame {
    bytes: Vec<u8>,
    content: usize,
    taken: usize,
    checksum: Option<Xxh64>,
}

impl RawFrame {
    /// Starts a frame of `content` bytes; buffers of the frame before are used again.
    pub(super) fn begin(&mut self, content: usize) {
        self.content = content;
        self.taken = 0;
        self.checksum = Some(Xxh64::new(0));
        self.bytes.resize(raw_length(content as u64) as usize, 0);
        self.bytes[..RAW_HEAD].copy_from_slice(&raw_head(content as u64));
        for number in 0..content.div_ceil(BLOCK) {
            let at = RAW_HEAD + number * (BLOCK + 3);
            self.bytes[at..at + 3].copy_from_slice(&raw_block(content, number).bytes());
        }
    }

    /// Returns the room that is left in the current block; empty when all content is there.
    pub(super) fn gap(&mut self) -> &mut [u8] {
        let block = self.taken / BLOCK;
        let end = self.content.min((block + 1) * BLOCK);
        let at = place(self.taken);
        &mut self.bytes[at..at + (end - self.taken)]
    }

    /// Takes note that `n` bytes were put into the gap; hands each block that is full to `each`.
    pub(super) fn filled(&mut self, n: usize, each: impl FnOnce(&[u8])) {
        self.taken += n;
        if n == 0 || (!self.taken.is_multiple_of(BLOCK) && self.taken < self.content) {
            return;
        }
        let first = (self.taken - 1) / BLOCK * BLOCK;
        let (start, end) = (place(first), place(first) + self.taken - first);
        let block = &self.bytes[start..end];
        if let Some(checksum) = &mut self.checksum {
            checksum.update(block);
        }
        each(block);
    }

    /// Returns the bytes of content that are there.
    pub(super) fn taken(&self) -> u64 {
        self.taken as u64
    }

    /// Returns whether all content is there.
    pub(super) fn is_full(&self) -> bool {
        self.taken == self.content
    }

    /// Returns the frame.
    pub(super) fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Writes the checksum and returns the frame with its digest.
    pub(super) fn seal(&mut self) -> (&[u8], [u8; 32]) {
        let end = self.bytes.len() - CHECKSUM;
        let sum = self.checksum.take().map_or(0, |sum| sum.digest());
        self.bytes[end..].copy_from_slice(&sum.to_le_bytes()[..4]);
        (&self.bytes, digest(&self.bytes))
    }
}

/// Returns where content byte `at` stands inside its raw frame.
pub(super) const fn place(at: usize) -> usize {
    RAW_HEAD + 3 * (at / BLOCK + 1) + at
}

/// Checks a whole raw frame of `content` bytes, whose header is known to be right, handing its blocks to `each`.
///
/// Returns the digest of the frame. That of a large one is made beside the rest: the hash of a blob has to take its
/// bytes in order, so one blob alone would leave all processors but one idle.
pub(super) fn check_raw(frame: &[u8], content: usize, each: impl FnMut(&[u8])) -> Result<[u8; 32], Flaw> {
    if frame.len() as u64 != raw_length(content as u64) {
        return Err(Flaw::Content);
    }
    if content < ASIDE {
        check_blocks(frame, content, each)?;
        return Ok(digest(frame));
    }
    std::thread::scope(|scope| {
        let aside = std::thread::Builder::new().spawn_scoped(scope, || digest(frame));
        check_blocks(frame, content, each)?;
        // Without a thread, or with one that ended badly, it is made here.
        Ok(aside.ok().and_then(|aside| aside.join().ok()).unwrap_or_else(|| digest(frame)))
    })
}

/// Checks the block headers of a raw frame, and its checksum.
fn check_blocks(frame: &[u8], content: usize, mut each: impl FnMut(&[u8])) -> Result<(), Flaw> {
    let mut checksum = Xxh64::new(0);
    let mut end = RAW_HEAD;
    for number in 0..content.div_ceil(BLOCK) {
        let head = raw_block(content, number);
        let at = place(number * BLOCK);
        if frame[at - 3..at] != head.bytes() {
            return Err(Flaw::Block(number));
        }
        end = at + head.size;
        checksum.update(&frame[at..end]);
        each(&frame[at..end]);
    }
    if frame[end..] == checksum.digest().to_le_bytes()[..4] { Ok(()) } else { Err(Flaw::Checksum) }
}

/// Returns the content of a raw frame that was checked, in the same memory.
pub(super) fn raw_content(mut frame: Vec<u8>, content: usize) -> Vec<u8> {
    for number in 0..content.div_ceil(BLOCK) {
        let at = place(number * BLOCK);
        let size = raw_block(content, number).size;
        frame.copy_within(at..at + size, number * BLOCK);
    }
    frame.truncate(content);
    frame
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn raw_frames_have_the_length_that_the_formula_gives() {
        for n in [1, 131_071, 131_072, 131_073, 262_144, 300_000, ASIDE - 1, ASIDE] {
            let content = vec![7; n];
            let frame = raw(&content);
            assert_eq!(frame.len() as u64, raw_length(n as u64));
            let mut seen = Vec::new();
            let found = check_raw(&frame, n, |block| seen.extend_from_slice(block)).unwrap();
            assert_eq!((found, &seen), (digest(&frame), &content));
            assert_eq!(zstd::decode_all(&frame[..]).unwrap(), content);
            assert_eq!(frame[place(n - 1)], 7);
            assert_eq!(raw_content(frame, n), content);
        }
    }

    #[test]
    fn blocks_are_handed_on_whole_however_the_bytes_arrive() {
        let mut frame = RawFrame::default();
        frame.begin(BLOCK + 10);
        let mut blocks = Vec::new();
        while !frame.is_full() {
            let n = frame.gap().len().min(1000);
            frame.gap()[..n].fill(9);
            frame.filled(n, |block| blocks.push(block.len()));
        }
        let (bytes, found) = frame.seal();
        assert_eq!((blocks, found), (vec![BLOCK, 10], digest(bytes)));
        assert_eq!(bytes, raw(&vec![9; BLOCK + 10]));
    }

    #[test]
    fn every_flipped_bit_of_a_raw_frame_is_seen() {
        let frame = raw(b"some payload");
        for bit in 0..frame.len() * 8 {
            let mut bad = frame.clone();
            bad[bit / 8] ^= 1 << (bit % 8);
            let head = Head::parse(&bad[..RAW_HEAD]);
            let good = Some(Head { coding: Coding::Raw, content: 12, length: RAW_HEAD });
            assert!(head != good || check_raw(&bad, 12, |_| {}).is_err(), "bit {bit}");
        }
    }

    proptest! {
        #[test]
        fn glue_is_valid_zstd_and_has_one_encoding(runs in proptest::collection::vec((0u8..4, 1usize..40), 30..60)) {
            let content: Vec<u8> = runs.iter().flat_map(|(byte, n)| std::iter::repeat_n(*byte, *n)).collect();
            prop_assume!(content.len() >= 256);
            let frame = glue(&content);
            prop_assert_eq!(zstd::decode_all(&frame[..]).unwrap(), content.clone());
            prop_assert_eq!(unglue(&frame), Some(content));
        }

        #[test]
        fn foreign_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..80)) {
            let _ = unglue(&bytes);
            let _ = Head::parse(&bytes);
            let mut framed = glue_head(600);
            framed.extend(&bytes);
            let _ = unglue(&framed);
            let _ = check_raw(&bytes, bytes.len(), |_| {});
        }
    }
}
