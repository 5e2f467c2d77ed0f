//! The first 257 bytes of a volume (FORMAT.md, "Volume header"): which set, which number, how it was cut.

use super::fields::{Fields, FieldsMut};
use super::frame::PROLOGUE;
use crate::model::Digest;

/// Bytes of prologue, skippable header and volume header.
pub(super) const LENGTH: usize = 257;
/// Version of the format that is written.
pub(super) const VERSION: (u16, u16) = (1, 0);
/// Incompatible feature: blobs that the inventory lists may be left out (a delta).
pub(super) const DELTA: u64 = 1;
/// Incompatible features that this program reads.
pub(super) const INCOMPAT_KNOWN: u64 = DELTA;

const SKIPPABLE: [u8; 8] = [0x5A, 0x2A, 0x4D, 0x18, 240, 0, 0, 0];
const MAGIC: &[u8; 8] = b"AIRLIFT\0";
const BODY: usize = 17;

/// What a volume is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum VolumeKind {
    /// It holds frames of the bundle.
    Data = 1,
    /// It holds parity over the data volumes.
    Parity = 2,
}

/// Volume header.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct VolumeHeader {
    /// SHA-256 of the statement: what is inside.
    pub bundle_id: [u8; 32],
    /// Which physical cut of it.
    pub set_id: [u8; 32],
    /// Number from 1.
    pub number: u32,
    /// Volumes of the set; 0 where that was not known when this was written.
    pub total: u32,
    /// Bytes of this file; 0 where that was not known.
    pub file_length: u64,
    /// Largest size of this volume in bytes, as asked for; 0 for no limit.
    pub volume_limit: u64,
    /// How many sizes make the list by which the set was cut, the last of which repeats; 0 where all volumes have one size.
    pub sizes: u32,
    /// Bytes of all volumes before this one.
    pub stream_offset: u64,
    /// Bytes of the tar stream before this volume.
    pub plain_offset: u64,
    /// Data frames in all volumes before this one.
    pub first_item: u64,
    /// Bytes of content in one frame at most.
    pub chunk_size: u32,
    /// SHA-256 of the document that states the bases of a delta; zeros in a whole bundle.
    pub base_id: [u8; 32],
    /// Encoder of packed frames.
    pub encoder: [u8; 24],
}

/// Why the first bytes of a file are no volume header that can be used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum HeaderFlaw {
    /// No volume starts here.
    Foreign,
    /// It is a volume, but bytes of the header changed.
    Damaged,
    /// It is an intact parity volume.
    Parity,
    /// It is intact and made by a later program: what that has and this has not.
    Later(String),
}

impl VolumeHeader {
    /// Returns whether blobs may be left out.
    pub(super) fn is_delta(&self) -> bool {
        self.base_id != [0; 32]
    }

    /// Returns the incompatible features that whoever reads this must know.
    pub(super) fn features(&self) -> u64 {
        if self.is_delta() { DELTA } else { 0 }
    }

    /// Returns the bytes that open the volume.
    pub(super) fn bytes(&self) -> [u8; LENGTH] {
        self.bytes_as(VolumeKind::Data)
    }

    /// Returns the bytes that open a volume of this kind.
    pub(super) fn bytes_as(&self, kind: VolumeKind) -> [u8; LENGTH] {
        let mut bytes = [0; LENGTH];
        bytes[..9].copy_from_slice(&PROLOGUE);
        bytes[9..BODY].copy_from_slice(&SKIPPABLE);
        let mut body = FieldsMut(&mut bytes[BODY..]);
        body.put(0, MAGIC);
        body.put(8, &VERSION.0.to_le_bytes());
        body.put(10, &VERSION.1.to_le_bytes());
        body.put_u32(12, kind as u32);
        body.put_u64(16, self.features());
        body.put(32, &self.bundle_id);
        body.put(64, &self.set_id);
        body.put_u32(96, self.number);
        body.put_u32(100, self.total);
        body.put_u64(104, self.file_length);
        body.put_u64(112, self.volume_limit);
        body.put_u64(120, self.stream_offset);
        body.put_u64(128, self.plain_offset);
        body.put_u64(136, self.first_item);
        body.put_u32(144, self.chunk_size);
        body.put_u32(148, self.sizes);
        body.put(152, &self.base_id);
        body.put(184, &self.encoder);
        let digest = Digest::of(&bytes[..BODY + 208]);
        bytes[BODY + 208..].copy_from_slice(digest.value());
        bytes
    }

    /// Reads the header from the first bytes of a data volume.
    pub(super) fn parse(bytes: &[u8; LENGTH]) -> Result<Self, HeaderFlaw> {
        match Self::parse_any(bytes)? {
            (VolumeKind::Data, header) => Ok(header),
            (VolumeKind::Parity, _) => Err(HeaderFlaw::Parity),
        }
    }

    /// Reads the header from the first bytes of a volume, and its kind.
    pub(super) fn parse_any(bytes: &[u8; LENGTH]) -> Result<(VolumeKind, Self), HeaderFlaw> {
        let body = Fields(&bytes[BODY..]);
        let opens = bytes[..9] == PROLOGUE && bytes[9..BODY] == SKIPPABLE;
        if !opens && body.array::<8>(0) != *MAGIC {
            return Err(HeaderFlaw::Foreign);
        }
        if Digest::of(&bytes[..BODY + 208]).value() != &bytes[BODY + 208..] {
            return Err(HeaderFlaw::Damaged);
        }
        let version = (body.u16(8), body.u16(10));
        let features = body.u64(16) & !INCOMPAT_KNOWN;
        let kind = match body.u32(12) {
            1 => Some(VolumeKind::Data),
            2 => Some(VolumeKind::Parity),
            _ => None,
        };
        let Some(kind) = kind.filter(|_| version.0 <= VERSION.0 && features == 0) else {
            return Err(HeaderFlaw::Later(later(version, features, body.u32(12))));
        };
        let header = Self {
            bundle_id: body.array(32),
            set_id: body.array(64),
            number: body.u32(96),
            total: body.u32(100),
            file_length: body.u64(104),
            volume_limit: body.u64(112),
            stream_offset: body.u64(120),
            plain_offset: body.u64(128),
            first_item: body.u64(136),
            chunk_size: body.u32(144),
            sizes: body.u32(148),
            base_id: body.array(152),
            encoder: body.array(184),
        };
        // A later minor version may set compatible bits; anything else is not what any writer writes.
        let mut again = header.bytes_as(kind);
        again[BODY + 10..BODY + 12].copy_from_slice(&bytes[BODY + 10..BODY + 12]);
        again[BODY + 24..BODY + 32].copy_from_slice(&bytes[BODY + 24..BODY + 32]);
        // A list of one size is not written as a list.
        if again[..BODY + 208] == bytes[..BODY + 208] && header.sizes != 1 {
            Ok((kind, header))
        } else {
            Err(HeaderFlaw::Damaged)
        }
    }
}

fn later(version: (u16, u16), features: u64, kind: u32) -> String {
    let (major, minor) = VERSION;
    if version.0 > major {
        return format!(
            "needs a program that reads format {}.{}; this one reads {major}.{minor}",
            version.0, version.1
        );
    }
    if kind > VolumeKind::Parity as u32 || kind == 0 {
        return format!("is a volume of kind {kind}, which this program (format {major}.{minor}) does not read");
    }
    format!(
        "needs a program that reads format {}.{} or later with features {features:#x}; this one reads {major}.{minor}",
        version.0, version.1
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn header() -> VolumeHeader {
        VolumeHeader {
            bundle_id: [1; 32],
            set_id: [2; 32],
            number: 3,
            total: 4,
            file_length: 5,
            volume_limit: 6,
            sizes: 2,
            stream_offset: 7,
            plain_offset: 8,
            first_item: 9,
            chunk_size: 4 << 20,
            base_id: [0; 32],
            encoder: *b"zstd 1.5.7 l3\0\0\0\0\0\0\0\0\0\0\0",
        }
    }

    fn patched(at: usize, bytes: &[u8]) -> [u8; LENGTH] {
        let mut all = header().bytes();
        all[BODY + at..BODY + at + bytes.len()].copy_from_slice(bytes);
        let digest = Digest::of(&all[..BODY + 208]);
        all[BODY + 208..].copy_from_slice(digest.value());
        all
    }

    #[test]
    fn every_flipped_bit_is_refused() {
        let good = header().bytes();
        assert_eq!(VolumeHeader::parse(&good), Ok(header()));
        for bit in 0..LENGTH * 8 {
            let mut bad = good;
            bad[bit / 8] ^= 1 << (bit % 8);
            assert!(VolumeHeader::parse(&bad).is_err(), "bit {bit}");
        }
    }

    #[test]
    fn a_later_version_says_what_it_needs() {
        let found = VolumeHeader::parse(&patched(8, &2u16.to_le_bytes()));
        assert!(matches!(&found, Err(HeaderFlaw::Later(why)) if why.contains("format 2.0")), "{found:?}");
        let found = VolumeHeader::parse(&patched(16, &2u64.to_le_bytes()));
        assert!(matches!(&found, Err(HeaderFlaw::Later(why)) if why.contains("0x2")), "{found:?}");
        let found = VolumeHeader::parse(&patched(12, &3u32.to_le_bytes()));
        assert!(matches!(&found, Err(HeaderFlaw::Later(why)) if why.contains("kind 3")), "{found:?}");
    }

    #[test]
    fn a_parity_volume_is_no_data_volume() {
        let bytes = header().bytes_as(VolumeKind::Parity);
        assert_eq!(VolumeHeader::parse(&bytes), Err(HeaderFlaw::Parity));
        assert_eq!(VolumeHeader::parse_any(&bytes), Ok((VolumeKind::Parity, header())));
        assert_eq!(VolumeHeader::parse_any(&header().bytes()), Ok((VolumeKind::Data, header())));
    }

    #[test]
    fn compatible_bits_and_later_minors_are_read() {
        assert_eq!(VolumeHeader::parse(&patched(24, &[0xff; 8])), Ok(header()));
        assert_eq!(VolumeHeader::parse(&patched(10, &7u16.to_le_bytes())), Ok(header()));
        assert_eq!(VolumeHeader::parse(&patched(148, &[1])), Err(HeaderFlaw::Damaged));
        assert_eq!(VolumeHeader::parse(&patched(152, &[1])), Err(HeaderFlaw::Damaged));
    }

    #[test]
    fn a_delta_has_its_feature_and_a_base_or_neither() {
        let delta = VolumeHeader { base_id: [8; 32], ..header() };
        assert_eq!(delta.bytes()[BODY + 16..BODY + 24], 1u64.to_le_bytes(), "older programs refuse it by this");
        assert_eq!(VolumeHeader::parse(&delta.bytes()), Ok(delta));
        assert_eq!(VolumeHeader::parse(&patched(16, &[1])), Err(HeaderFlaw::Damaged), "a feature without a base");
        assert_eq!(VolumeHeader::parse(&patched(152, &[1])), Err(HeaderFlaw::Damaged), "a base without the feature");
    }

    #[test]
    fn other_files_are_foreign() {
        assert_eq!(VolumeHeader::parse(&[0; LENGTH]), Err(HeaderFlaw::Foreign));
    }
}
