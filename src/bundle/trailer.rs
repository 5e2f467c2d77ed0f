//! What ends a volume (FORMAT.md, "Trailer" and "Tail"): the table of its frames, the footer, and in the last
//! volume the tail, which names all volumes.

use super::fields::{Fields, FieldsMut};
use super::header::LENGTH as HEADER;
use crate::model::{Digest, Digester};

/// Bytes of a skippable frame's own header.
pub(super) const SKIP_HEAD: usize = 8;
/// Magic number of the skippable frame that holds table and footer.
pub(super) const TRAILER: [u8; 4] = [0x5B, 0x2A, 0x4D, 0x18];
/// Magic number of the skippable frame that holds the tail.
pub(super) const TAIL: [u8; 4] = [0x5C, 0x2A, 0x4D, 0x18];
/// Bytes of one record.
pub(super) const RECORD: usize = 64;
/// Bytes of the footer.
pub(super) const FOOTER: usize = 96;
/// Bytes of a slot for an envelope.
pub(super) const SLOT: usize = 4096;
/// Longest skippable frame: above it some readers loop or refuse.
pub(super) const SKIPPABLE_MAX: u64 = 256 << 20;
/// Flag of the last data volume.
pub(super) const LAST: u32 = 1;
/// Flag of a volume with a tail.
pub(super) const WITH_TAIL: u32 = 2;
/// Flag of a parity volume.
pub(super) const PARITY: u32 = 4;

const FOOTER_MAGIC: &[u8; 8] = b"AIRLVOL\0";
const TAIL_MAGIC: &[u8; 8] = b"AIRLTAIL";
const TAIL_FIXED: usize = 8 + 32 + 32 + 8 + 8;

/// Kinds of frames in a table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// Document or part of one, packed.
    Document = 1,
    /// Chunk of payload as it is.
    Raw = 2,
    /// Chunk of payload, packed.
    Packed = 3,
    /// Room for the envelope.
    Slot = 4,
    /// Tail.
    Tail = 5,
}

/// Kind of the frames in the table of a parity volume, which has no others.
pub(super) const PARITY_FRAME: u8 = 6;

/// One frame in a table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Record {
    /// Kind.
    pub kind: Kind,
    /// Number of the chunk inside its entry, from 0.
    pub chunk: u32,
    /// Number of the entry.
    pub entry: u64,
    /// Place in the file.
    pub offset: u64,
    /// Bytes of the frame.
    pub length: u32,
    /// Bytes of its content.
    pub content: u32,
    /// BLAKE3 of the frame; zero for the slot; for the tail without its slot.
    pub digest: [u8; 32],
}

impl Record {
    /// Returns the record's bytes.
    pub(super) fn bytes(&self) -> [u8; RECORD] {
        let mut bytes = [0; RECORD];
        let mut fields = FieldsMut(&mut bytes);
        fields.put(0, &[self.kind as u8]);
        fields.put_u32(4, self.chunk);
        fields.put_u64(8, self.entry);
        fields.put_u64(16, self.offset);
        fields.put_u32(24, self.length);
        fields.put_u32(28, self.content);
        fields.put(32, &self.digest);
        bytes
    }

    /// Reads a record; `None` where no writer writes it so.
    pub(super) fn parse(bytes: &[u8; RECORD]) -> Option<Self> {
        let fields = Fields(bytes);
        let kind = match bytes[0] {
            1 => Kind::Document,
            2 => Kind::Raw,
            3 => Kind::Packed,
            4 => Kind::Slot,
            5 => Kind::Tail,
            _ => return None,
        };
        let record = Self {
            kind,
            chunk: fields.u32(4),
            entry: fields.u64(8),
            offset: fields.u64(16),
            length: fields.u32(24),
            content: fields.u32(28),
            digest: fields.array(32),
        };
        (record.bytes() == *bytes).then_some(record)
    }

    /// Returns where the frame ends.
    pub(super) fn end(&self) -> u64 {
        self.offset.saturating_add(u64::from(self.length))
    }
}

/// Footer: always the last 96 bytes of a volume.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Footer {
    /// SHA-256 of header, table and the rest of the footer.
    pub digest: [u8; 32],
    /// Which physical cut.
    pub set_id: [u8; 32],
    /// Number of the volume.
    pub number: u32,
    /// [`LAST`], [`WITH_TAIL`]; or [`PARITY`].
    pub flags: u32,
    /// Bytes of the table.
    pub table_length: u64,
    /// Bytes of the file.
    pub file_length: u64,
}

impl Footer {
    /// Returns the footer with its digest over header, table and itself.
    pub(super) fn sealed(mut self, header: &[u8; HEADER], table: &[u8]) -> Self {
        self.digest = self.expected(header, table);
        self
    }

    /// Returns the volume digest that belongs to header, table and this footer.
    pub(super) fn expected(&self, header: &[u8; HEADER], table: &[u8]) -> [u8; 32] {
        let mut digester = Digester::default();
        digester.update(&header[17..]);
        digester.update(table);
        digester.update(&self.bytes()[32..]);
        value(digester)
    }

    /// Returns the footer's bytes.
    pub(super) fn bytes(&self) -> [u8; FOOTER] {
        let mut bytes = [0; FOOTER];
        let mut fields = FieldsMut(&mut bytes);
        fields.put(0, &self.digest);
        fields.put(32, &self.set_id);
        fields.put_u32(64, self.number);
        fields.put_u32(68, self.flags);
        fields.put_u64(72, self.table_length);
        fields.put_u64(80, self.file_length);
        fields.put(88, FOOTER_MAGIC);
        bytes
    }

    /// Reads the footer of a data volume; `None` without its magic or with flags that no writer writes.
    pub(super) fn parse(bytes: &[u8; FOOTER]) -> Option<Self> {
        Self::parse_any(bytes).filter(|footer| footer.flags != PARITY)
    }

    /// Reads the footer of any volume; as [`Self::parse`].
    pub(super) fn parse_any(bytes: &[u8; FOOTER]) -> Option<Self> {
        let fields = Fields(bytes);
        let footer = Self {
            digest: fields.array(0),
            set_id: fields.array(32),
            number: fields.u32(64),
            flags: fields.u32(68),
            table_length: fields.u64(72),
            file_length: fields.u64(80),
        };
        let known = matches!(footer.flags, 0 | PARITY) || footer.flags == LAST | WITH_TAIL;
        (known && footer.bytes() == *bytes).then_some(footer)
    }

    /// Returns whether this is the last data volume.
    pub(super) const fn is_last(&self) -> bool {
        self.flags & LAST != 0
    }
}

/// What the tail says; it stands before the trailer of the last volume.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Tail {
    /// What is inside.
    pub bundle_id: [u8; 32],
    /// Which physical cut.
    pub set_id: [u8; 32],
    /// Number of volumes.
    pub total: u32,
    /// Bytes of all blobs.
    pub content: u64,
    /// Volume digests of all volumes but the last.
    pub volumes: Vec<[u8; 32]>,
    /// SHA-256 of the last volume's table without the tail's own record.
    pub table: [u8; 32],
}

/// Returns the bytes of a tail frame in volume `number`.
pub(super) const fn tail_length(number: u32) -> u64 {
    (SKIP_HEAD + TAIL_FIXED + 32 + SLOT) as u64 + 32 * (number.saturating_sub(1) as u64)
}

/// Returns the bytes of a trailer with `records` records.
pub(super) const fn trailer_length(records: u64) -> u64 {
    (SKIP_HEAD + FOOTER) as u64 + RECORD as u64 * records
}

/// Returns a skippable frame around `body`, whose parts are given one after the other.
pub(super) fn skippable(magic: [u8; 4], body: &[&[u8]]) -> Vec<u8> {
    let length: usize = body.iter().map(|part| part.len()).sum();
    let mut frame = magic.to_vec();
    frame.extend((length as u32).to_le_bytes());
    body.iter().for_each(|part| frame.extend_from_slice(part));
    frame
}

impl Tail {
    /// Returns the whole skippable frame, with an empty slot for a second envelope.
    pub(super) fn frame(&self) -> Vec<u8> {
        let mut body = TAIL_MAGIC.to_vec();
        body.extend(self.bundle_id);
        body.extend(self.set_id);
        body.extend(u64::from(self.total).to_le_bytes());
        body.extend(self.content.to_le_bytes());
        self.volumes.iter().for_each(|digest| body.extend(digest));
        body.extend(self.table);
        body.resize(body.len() + SLOT, 0);
        skippable(TAIL, &[&body])
    }

    /// Returns the record of the frame that stands at `offset`, as the entry after the last one.
    pub(super) fn record(frame: &[u8], entry: u64, offset: u64) -> Record {
        Record {
            kind: Kind::Tail,
            chunk: 0,
            entry,
            offset,
            length: frame.len() as u32,
            content: 0,
            digest: super::frame::digest(&frame[..frame.len().saturating_sub(SLOT)]),
        }
    }
}

/// Returns the SHA-256 of what a digester has seen.
pub(super) fn value(digester: Digester) -> [u8; 32] {
    sha256(&digester.finish().digest)
}

/// Returns the SHA-256 of `bytes`.
pub(super) fn sha256_of(bytes: &[u8]) -> [u8; 32] {
    sha256(&Digest::of(bytes))
}

fn sha256(digest: &Digest) -> [u8; 32] {
    match digest {
        Digest::Sha256(value) => *value,
        Digest::Sha512(_) => [0; 32],
    }
}
