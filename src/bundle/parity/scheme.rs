//! The arithmetic of a parity set: which bytes of which volume are which block, and where parity volumes keep what.
//!
//! Everything follows from the lengths of the data volumes, the length of a shard and the number of parity volumes.
//! A scheme that was read is checked before anything is made of its size.

use crate::bundle::header::LENGTH as HEADER;
use crate::bundle::trailer::{self, SKIPPABLE_MAX};
use crate::model::limits;

/// Bytes of a block.
pub(super) const BLOCK: u64 = 64 << 10;
/// Stripes of one segment: what one frame of a parity volume holds.
pub(super) const STRIPES: u64 = 256;
/// Bytes of one hash in a list.
pub(super) const HASH: u64 = 16;
/// Bytes of a frame before its list of volumes: skippable header and fixed fields.
pub(super) const FIXED: usize = 8 + 80;
/// Bytes of one volume in that list.
pub(super) const COVERED: usize = 40;
/// Bytes of the digest behind the list of hashes.
pub(super) const DIGEST: u64 = 32;
/// Shards are cut at multiples of this.
pub(super) const WIDTH: u64 = 64;

/// A data volume that is covered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Covered {
    /// Its bytes.
    pub length: u64,
    /// Its volume digest.
    pub digest: [u8; 32],
}

/// Bytes of a data volume that are one shard.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Shard {
    /// Index of the volume, from 0.
    pub volume: usize,
    /// Where it starts in the volume.
    pub offset: u64,
    /// Its bytes.
    pub length: u64,
}

/// Why a scheme is none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum SchemeFlaw {
    /// Numbers that do not belong together.
    Nonsense,
    /// More of something than is read: what, how many, and the limit.
    Limit(&'static str, u64, u64),
}

/// A parity set.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Scheme {
    /// The cut that it belongs to.
    pub set_id: [u8; 32],
    /// All data volumes.
    pub volumes: Vec<Covered>,
    /// Bytes of a shard; all parity shards have it, data shards have it or less.
    pub piece: u64,
    /// Number of parity volumes.
    pub parity: u32,
    /// Digits of the number in the names of data volumes; 0 where there is none.
    pub digits: u32,
    shards: Vec<Shard>,
}

/// Numbers that a scheme is made from.
pub(super) struct Numbers {
    pub set_id: [u8; 32],
    pub piece: u64,
    pub parity: u32,
    pub digits: u32,
}

impl Scheme {
    /// Returns the scheme of these numbers, within the limits.
    pub(super) fn new(numbers: Numbers, volumes: Vec<Covered>) -> Result<Self, SchemeFlaw> {
        let Numbers { set_id, piece, parity, digits } = numbers;
        if piece == 0 || !piece.is_multiple_of(WIDTH) || piece > 1 << 53 || parity == 0 || volumes.is_empty() {
            return Err(SchemeFlaw::Nonsense);
        }
        if parity > limits::PARITY_VOLUMES {
            return Err(SchemeFlaw::Limit("parity volumes", parity.into(), limits::PARITY_VOLUMES.into()));
        }
        let data: u64 = volumes.iter().map(|one| one.length.div_ceil(piece)).fold(0, u64::saturating_add);
        if data > limits::PARITY_SHARDS {
            return Err(SchemeFlaw::Limit("shards of data", data, limits::PARITY_SHARDS));
        }
        let mut shards = Vec::with_capacity(data as usize);
        for (volume, one) in volumes.iter().enumerate() {
            if one.length == 0 || one.length > 1 << 53 {
                return Err(SchemeFlaw::Nonsense);
            }
            let starts = (0..one.length.div_ceil(piece)).map(|n| n * piece);
            shards.extend(starts.map(|offset| Shard { volume, offset, length: piece.min(one.length - offset) }));
        }
        let scheme = Self { set_id, volumes, piece, parity, digits, shards };
        let blocks = scheme.blocks();
        if blocks > limits::PARITY_BLOCKS {
            return Err(SchemeFlaw::Limit("blocks", blocks, limits::PARITY_BLOCKS));
        }
        Ok(scheme)
    }

    /// Returns the data shards in order.
    pub(super) fn shards(&self) -> &[Shard] {
        &self.shards
    }

    /// Returns the number of data shards.
    pub(super) fn data(&self) -> usize {
        self.shards.len()
    }

    /// Returns the number of all shards.
    pub(super) fn all(&self) -> usize {
        self.shards.len() + self.parity as usize
    }

    /// Returns the bytes of a shard: data shards first, then parity shards.
    pub(super) fn length(&self, shard: usize) -> u64 {
        self.shards.get(shard).map_or(self.piece, |shard| shard.length)
    }

    /// Returns the number of all blocks.
    fn blocks(&self) -> u64 {
        (0..self.all()).map(|shard| self.length(shard).div_ceil(BLOCK)).fold(0, u64::saturating_add)
    }

    /// Returns the number of stripes.
    pub(super) fn stripes(&self) -> u64 {
        self.piece.div_ceil(BLOCK)
    }

    /// Returns the number of segments.
    pub(super) fn segments(&self) -> u64 {
        self.stripes().div_ceil(STRIPES)
    }

    /// Returns the stripes of a segment.
    pub(super) fn stripes_of(&self, segment: u64) -> std::ops::Range<u64> {
        segment * STRIPES..self.stripes().min((segment + 1) * STRIPES)
    }

    /// Returns the bytes of a parity block of a stripe; data blocks are filled up to it with zeros.
    pub(super) fn width(&self, stripe: u64) -> usize {
        (self.piece - stripe * BLOCK).min(BLOCK) as usize
    }

    /// Returns the bytes that a shard has in a stripe; 0 where it ended before.
    pub(super) fn part(&self, shard: usize, stripe: u64) -> usize {
        self.length(shard).saturating_sub(stripe * BLOCK).min(BLOCK) as usize
    }

    /// Returns the number of blocks of a shard in the segments before `segment`.
    fn blocks_before(&self, shard: usize, segment: u64) -> u64 {
        self.length(shard).div_ceil(BLOCK).min(segment.saturating_mul(STRIPES))
    }

    /// Returns for each shard where its hashes start in the list of a segment, and at last the length of the list.
    pub(super) fn list_starts(&self, segment: u64) -> Vec<usize> {
        let mut at = 0;
        let mut starts = vec![0];
        for shard in 0..self.all() {
            at += HASH * (self.blocks_before(shard, segment + 1) - self.blocks_before(shard, segment));
            starts.push(at as usize);
        }
        starts
    }

    /// Returns the bytes of a frame before its parity blocks.
    pub(super) fn head_length(&self, segment: u64) -> u64 {
        let list = self.list_starts(segment).last().copied().unwrap_or(0);
        (FIXED + COVERED * self.volumes.len() + list) as u64 + DIGEST
    }

    /// Returns the bytes of a frame.
    pub(super) fn frame_length(&self, segment: u64) -> u64 {
        self.head_length(segment) + self.piece.min((segment + 1) * STRIPES * BLOCK) - segment * STRIPES * BLOCK
    }

    /// Returns where the frame of a segment starts in a parity volume; for the number of segments, where they end.
    pub(super) fn frame_offset(&self, segment: u64) -> u64 {
        let hashes: u64 = (0..self.all()).map(|shard| self.blocks_before(shard, segment)).sum();
        let fixed = (FIXED + COVERED * self.volumes.len()) as u64 + DIGEST;
        HEADER as u64 + segment * fixed + HASH * hashes + self.piece.min(segment * STRIPES * BLOCK)
    }

    /// Returns where the parity blocks of a segment start in a parity volume.
    pub(super) fn blocks_at(&self, segment: u64) -> u64 {
        self.frame_offset(segment) + self.head_length(segment)
    }

    /// Returns the bytes of a parity volume.
    pub(super) fn file_length(&self) -> u64 {
        self.frame_offset(self.segments()) + trailer::trailer_length(self.segments())
    }
}

/// Returns the bytes by which a parity volume may be longer than the longest of `volumes` data volumes of `size` bytes.
pub(super) fn overhead(volumes: u64, parity: u64, size: u64) -> u64 {
    let stripes = size.div_ceil(BLOCK) + 1;
    let segments = stripes.div_ceil(STRIPES) + 1;
    let fixed = (FIXED as u64 + DIGEST + trailer::RECORD as u64).saturating_add(volumes.saturating_mul(COVERED as u64));
    let hashes = volumes.saturating_add(parity).saturating_mul(stripes).saturating_mul(HASH);
    segments.saturating_mul(fixed).saturating_add(hashes).saturating_add(HEADER as u64 + 104 + WIDTH)
}

/// A frame and a trailer never pass the longest skippable frame, whatever the limits allow.
const _: () = {
    let shards = limits::PARITY_SHARDS + limits::PARITY_VOLUMES as u64;
    let frame = FIXED as u64 + DIGEST + COVERED as u64 * limits::PARITY_SHARDS + (HASH * shards + BLOCK) * STRIPES;
    assert!(frame <= SKIPPABLE_MAX);
    assert!(trailer::trailer_length(limits::PARITY_BLOCKS / STRIPES + 1) <= SKIPPABLE_MAX);
};

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use proptest::prelude::*;

    pub(in crate::bundle::parity) fn scheme(lengths: &[u64], piece: u64, parity: u32) -> Result<Scheme, SchemeFlaw> {
        let volumes = lengths.iter().map(|length| Covered { length: *length, digest: [7; 32] }).collect();
        Scheme::new(Numbers { set_id: [9; 32], piece, parity, digits: 3 }, volumes)
    }

    #[test]
    fn numbers_that_do_not_belong_together_are_refused() {
        for (lengths, piece, parity) in [
            (&[1000][..], 0, 1),
            (&[1000], 63, 1),
            (&[1000], 64, 0),
            (&[], 64, 1),
            (&[0], 64, 1),
            (&[1000], 1 << 54, 1),
        ] {
            assert_eq!(scheme(lengths, piece, parity), Err(SchemeFlaw::Nonsense), "{lengths:?} {piece} {parity}");
        }
    }

    #[test]
    fn sizes_end_at_their_limits() {
        let shards = limits::PARITY_SHARDS;
        assert!(scheme(&[64 * shards], 64, 1).is_ok());
        let found = scheme(&[64 * shards + 1], 64, 1);
        assert_eq!(found, Err(SchemeFlaw::Limit("shards of data", shards + 1, shards)));
        assert!(scheme(&[1000], 64, limits::PARITY_VOLUMES).is_ok());
        let found = scheme(&[1000], 64, limits::PARITY_VOLUMES + 1);
        assert!(matches!(found, Err(SchemeFlaw::Limit("parity volumes", ..))), "{found:?}");
        // One data shard and one parity shard of half the blocks each.
        let most = limits::PARITY_BLOCKS / 2 * BLOCK;
        assert!(scheme(&[most], most, 1).is_ok());
        let found = scheme(&[most], most + BLOCK, 1);
        assert!(matches!(found, Err(SchemeFlaw::Limit("blocks", ..))), "{found:?}");
        assert!(matches!(scheme(&[u64::MAX; 3], 64, 1), Err(SchemeFlaw::Limit("shards of data", ..))));
    }

    proptest! {
        #[test]
        fn every_byte_of_a_parity_volume_has_one_owner(
            lengths in proptest::collection::vec(1u64..90_000_000, 1..6),
            pieces in 1u64..40,
            parity in 1u32..5,
        ) {
            let longest = lengths.iter().max().unwrap();
            let piece = longest.div_ceil(pieces).next_multiple_of(WIDTH);
            let scheme = scheme(&lengths, piece, parity).unwrap();
            prop_assert_eq!(scheme.shards().iter().map(|s| s.length).sum::<u64>(), lengths.iter().sum::<u64>());
            let mut at = HEADER as u64;
            for segment in 0..scheme.segments() {
                prop_assert_eq!(scheme.frame_offset(segment), at);
                prop_assert_eq!(scheme.blocks_at(segment), at + scheme.head_length(segment));
                let mut block = scheme.blocks_at(segment);
                for stripe in scheme.stripes_of(segment) {
                    prop_assert_eq!(scheme.blocks_at(segment) + stripe % STRIPES * BLOCK, block);
                    block += scheme.width(stripe) as u64;
                    for shard in 0..scheme.all() {
                        prop_assert!(scheme.part(shard, stripe) <= scheme.width(stripe));
                    }
                }
                at += scheme.frame_length(segment);
                prop_assert_eq!(block, at);
                let starts = scheme.list_starts(segment);
                for shard in 0..scheme.all() {
                    let parts = scheme.stripes_of(segment).filter(|s| scheme.part(shard, *s) > 0).count();
                    prop_assert_eq!(starts[shard + 1] - starts[shard], parts * HASH as usize);
                }
            }
            prop_assert_eq!(scheme.frame_offset(scheme.segments()), at);
            for shard in 0..scheme.all() {
                let parts: u64 = (0..scheme.stripes()).map(|stripe| scheme.part(shard, stripe) as u64).sum();
                prop_assert_eq!(parts, scheme.length(shard));
            }
            let most = overhead(scheme.volumes.len() as u64, parity.into(), *longest);
            if pieces == 1 {
                prop_assert!(scheme.file_length() <= longest + most);
            }
        }
    }
}
