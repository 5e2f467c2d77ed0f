//! A segment: one frame of a parity volume, with the whole scheme, the hashes of all blocks of its stripes, and the
//! parity blocks of this volume. Each can be used without the rest of its file.

use super::scheme::{BLOCK, COVERED, Covered, DIGEST, FIXED, HASH, Numbers, Scheme, SchemeFlaw};
use crate::bundle::fields::{Fields, FieldsMut};
use crate::bundle::frame;
use crate::model::limits;

/// Magic number of the skippable frame.
const SKIPPABLE: [u8; 4] = [0x5D, 0x2A, 0x4D, 0x18];
const MAGIC: &[u8; 8] = b"AIRLPAR\0";

/// Head of a segment: all of it but the parity blocks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct SegmentHead {
    /// Number of the parity volume, from 1.
    pub number: u32,
    /// Number of the segment, from 0.
    pub segment: u64,
    /// The whole parity set.
    pub scheme: Scheme,
    /// Hashes of the blocks, shard by shard.
    pub list: Vec<u8>,
    /// BLAKE3 of everything before it in the frame.
    pub digest: [u8; 32],
}

/// Why bytes are no head of a segment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum SegmentFlaw {
    /// They are something else, or changed.
    Damaged,
    /// They state more than is read: what, how many, and the limit.
    Limit(&'static str, u64, u64),
}

impl From<SchemeFlaw> for SegmentFlaw {
    fn from(flaw: SchemeFlaw) -> Self {
        match flaw {
            SchemeFlaw::Nonsense => Self::Damaged,
            SchemeFlaw::Limit(what, found, limit) => Self::Limit(what, found, limit),
        }
    }
}

/// Returns the hash of a block, as lists have it.
pub(super) fn hash(block: &[u8]) -> [u8; HASH as usize] {
    let mut short = [0; HASH as usize];
    short.copy_from_slice(&frame::digest(block)[..HASH as usize]);
    short
}

/// Returns the bytes of a segment's frame before its parity blocks, and their digest.
pub(super) fn head_bytes(scheme: &Scheme, number: u32, segment: u64, list: &[u8]) -> (Vec<u8>, [u8; 32]) {
    let mut bytes = vec![0; FIXED];
    let mut fields = FieldsMut(&mut bytes);
    fields.put(0, &SKIPPABLE);
    fields.put_u32(4, (scheme.frame_length(segment) - 8) as u32);
    fields.put(8, MAGIC);
    fields.put(16, &scheme.set_id);
    fields.put_u32(48, number);
    fields.put_u32(52, scheme.parity);
    fields.put_u32(56, scheme.data() as u32);
    fields.put_u32(60, scheme.volumes.len() as u32);
    fields.put_u64(64, scheme.piece);
    fields.put_u32(72, BLOCK as u32);
    fields.put_u32(76, scheme.digits);
    fields.put_u32(80, segment as u32);
    fields.put_u32(84, scheme.segments() as u32);
    for volume in &scheme.volumes {
        bytes.extend(volume.length.to_le_bytes());
        bytes.extend(volume.digest);
    }
    bytes.extend_from_slice(list);
    let digest = frame::digest(&bytes);
    bytes.extend(digest);
    (bytes, digest)
}

impl SegmentHead {
    /// Reads a head through `read`, which fills what it is given or fails; sizes are checked before memory is taken.
    pub(super) fn read<E>(read: &mut dyn FnMut(&mut [u8]) -> Result<(), E>) -> Result<Result<Self, SegmentFlaw>, E> {
        let mut bytes = vec![0; FIXED];
        read(&mut bytes)?;
        let fields = Fields(&bytes);
        let (number, segment) = (fields.u32(48), u64::from(fields.u32(80)));
        let volumes = u64::from(fields.u32(60));
        if bytes[..4] != SKIPPABLE || fields.array::<8>(8) != *MAGIC || fields.u32(72) != BLOCK as u32 {
            return Ok(Err(SegmentFlaw::Damaged));
        }
        if volumes > limits::PARITY_SHARDS {
            return Ok(Err(SegmentFlaw::Limit("volumes under parity", volumes, limits::PARITY_SHARDS)));
        }
        bytes.resize(FIXED + COVERED * volumes as usize, 0);
        read(&mut bytes[FIXED..])?;
        let covered = bytes[FIXED..].chunks_exact(COVERED).map(Fields);
        let covered = covered.map(|one| Covered { length: one.u64(0), digest: one.array(8) }).collect();
        let fields = Fields(&bytes);
        let (set_id, piece, parity, digits) = (fields.array(16), fields.u64(64), fields.u32(52), fields.u32(76));
        let scheme = match Scheme::new(Numbers { set_id, piece, parity, digits }, covered) {
            Ok(scheme) if segment < scheme.segments() && (1..=parity).contains(&number) => scheme,
            Ok(_) => return Ok(Err(SegmentFlaw::Damaged)),
            Err(flaw) => return Ok(Err(flaw.into())),
        };
        let mut rest = vec![0; (scheme.head_length(segment) as usize) - bytes.len()];
        read(&mut rest)?;
        let (list, digest) = rest.split_at(rest.len() - DIGEST as usize);
        bytes.extend_from_slice(&rest);
        let (again, expected) = head_bytes(&scheme, number, segment, list);
        if again != bytes || digest != expected {
            return Ok(Err(SegmentFlaw::Damaged));
        }
        Ok(Ok(Self { number, segment, list: list.to_vec(), scheme, digest: expected }))
    }
}

/// The hashes of one segment by shard and stripe.
pub(super) struct Hashes<'a> {
    list: &'a [u8],
    starts: Vec<usize>,
    segment: u64,
}

impl<'a> Hashes<'a> {
    /// Takes a list that belongs to `segment` of `scheme`.
    pub(super) fn new(scheme: &Scheme, segment: u64, list: &'a [u8]) -> Self {
        Self { list, starts: scheme.list_starts(segment), segment }
    }

    /// Returns the hash of a block; `None` where the shard has none in that stripe.
    pub(super) fn of(&self, shard: usize, stripe: u64) -> Option<&'a [u8]> {
        let at = place(&self.starts, self.segment, (shard, stripe))?;
        self.list.get(at..at + HASH as usize)
    }
}

/// Returns where the hash of a block stands in the list of its segment.
pub(super) fn place(starts: &[usize], segment: u64, (shard, stripe): (usize, u64)) -> Option<usize> {
    let within = stripe.checked_sub(segment * super::scheme::STRIPES)?;
    let at = starts.get(shard)? + (within * HASH) as usize;
    (at < *starts.get(shard + 1)?).then_some(at)
}

#[cfg(test)]
mod tests {
    use super::super::scheme::tests::scheme;
    use super::*;

    fn read(bytes: &[u8]) -> Option<SegmentHead> {
        let mut rest = bytes;
        let mut read = |into: &mut [u8]| {
            let (now, later) = rest.split_at_checked(into.len()).ok_or(())?;
            into.copy_from_slice(now);
            rest = later;
            Ok(())
        };
        SegmentHead::read::<()>(&mut read).ok()?.ok()
    }

    fn head() -> (Scheme, Vec<u8>) {
        let scheme = scheme(&[200_000, 70_000], 200_000, 2).unwrap();
        let list = vec![5; scheme.list_starts(0).last().copied().unwrap()];
        let bytes = head_bytes(&scheme, 2, 0, &list).0;
        (scheme, bytes)
    }

    #[test]
    fn a_head_is_read_as_it_was_written() {
        let (scheme, bytes) = head();
        assert_eq!(bytes.len() as u64, scheme.head_length(0));
        let found = read(&bytes).unwrap();
        assert_eq!((found.number, found.segment, &found.scheme), (2, 0, &scheme));
        let hashes = Hashes::new(&scheme, 0, &found.list);
        assert_eq!(hashes.of(1, 1), Some(&[5; 16][..]));
        assert_eq!(hashes.of(1, 2), None);
    }

    #[test]
    fn every_flipped_bit_and_every_shorter_head_is_refused() {
        let (_, good) = head();
        for bit in 0..good.len() * 8 {
            let mut bad = good.clone();
            bad[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(read(&bad), None, "bit {bit}");
        }
        (0..good.len()).for_each(|n| assert_eq!(read(&good[..n]), None, "{n} bytes"));
    }

    #[test]
    fn a_head_that_states_too_much_is_refused_before_memory_is_taken() {
        let (_, good) = head();
        for (at, value) in [(48, 3), (52, 257), (60, 1001), (60, u32::MAX), (56, 7), (80, 1), (84, 9), (72, 4096)] {
            let mut bad = good.clone();
            bad[at..at + 4].copy_from_slice(&u32::to_le_bytes(value));
            assert_eq!(read(&bad), None, "field {at}");
        }
        let mut huge = good;
        huge[64..72].copy_from_slice(&(1u64 << 52).to_le_bytes());
        huge[88..96].copy_from_slice(&(1u64 << 52).to_le_bytes());
        let mut rest = &huge[..];
        let mut read = |into: &mut [u8]| {
            assert!(into.len() < 1 << 20, "{} bytes of memory", into.len());
            let (now, later) = rest.split_at_checked(into.len()).ok_or(())?;
            into.copy_from_slice(now);
            rest = later;
            Ok(())
        };
        let found = SegmentHead::read::<()>(&mut read);
        assert!(matches!(found, Ok(Err(SegmentFlaw::Limit("blocks", ..)))), "{found:?}");
    }
}
