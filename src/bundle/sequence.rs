//! Order of the blobs in a bundle (FORMAT.md, "Order"): documents, then payload as it is, then payload packed here.
//!
//! Writer and reader ask the same rule, so what one writes the other expects.

use super::inventory::Class;
use crate::model::limits;

/// Regions of the stream, in their order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Region {
    /// Documents: manifests, then evidence, configs and small payload that was at hand.
    Documents,
    /// Payload as it is.
    Raw,
    /// Payload packed here.
    Packed,
}

/// Follows the order of blobs.
#[derive(Debug, Clone)]
pub(super) struct Sequence {
    chunk_size: u64,
    last: (Region, u8, Option<u64>),
}

impl Sequence {
    /// Starts before the first blob of a bundle with chunks of `chunk_size` bytes.
    pub(super) fn new(chunk_size: u32) -> Self {
        Self { chunk_size: u64::from(chunk_size), last: (Region::Documents, 0, None) }
    }

    /// Admits the next blob and tells its region; `None` where it must not stand here.
    ///
    /// `packed` says whether its frames are packed; a blob without bytes has no frames and counts as raw.
    pub(super) fn admit(&mut self, ordinal: u64, class: Class, size: u64, packed: bool) -> Option<Region> {
        let document = (Region::Documents, rank(class), Some(ordinal));
        let found = match (packed && size > 0, class) {
            (true, _) if self.last < document && self.fits_document(class, size) => document,
            (_, Class::Manifest) if size > 0 => return None,
            (true, _) => (Region::Packed, 0, Some(ordinal)),
            (false, _) => (Region::Raw, 0, Some(ordinal)),
        };
        if self.last >= found {
            return None;
        }
        self.last = found;
        Some(found.0)
    }

    fn fits_document(&self, class: Class, size: u64) -> bool {
        size <= if class == Class::Payload { self.chunk_size } else { limits::HEAD_DOCUMENT_BYTES }
    }
}

/// Returns the place of a class among the documents.
pub(super) const fn rank(class: Class) -> u8 {
    match class {
        Class::Manifest => 0,
        Class::Evidence => 1,
        Class::Config => 2,
        Class::Payload => 3,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn regions(blobs: &[(u64, Class, u64, bool)]) -> Option<Vec<Region>> {
        let mut sequence = Sequence::new(100);
        blobs.iter().map(|(ordinal, class, size, packed)| sequence.admit(*ordinal, *class, *size, *packed)).collect()
    }

    #[test]
    fn regions_and_ordinals_ascend() {
        use Class::{Config, Evidence, Manifest, Payload};
        use Region::{Documents, Packed, Raw};
        let good = [
            (1, Manifest, 5, true),
            (4, Manifest, 5, true),
            (0, Evidence, 500, true),
            (2, Config, 5, true),
            (3, Payload, 9, false),
            (5, Payload, 0, true),
            (6, Payload, 9, true),
            (7, Evidence, 9, true),
        ];
        let expected = vec![Documents, Documents, Documents, Documents, Raw, Raw, Packed, Packed];
        assert_eq!(regions(&good), Some(expected));
        for bad in [
            [(4, Manifest, 5, true), (1, Manifest, 5, true)],
            [(1, Config, 5, true), (0, Manifest, 5, true)],
            [(1, Payload, 5, false), (2, Manifest, 5, true)],
            [(3, Payload, 5, false), (2, Payload, 5, false)],
            [(3, Payload, 500, true), (2, Payload, 500, true)],
            [(2, Payload, 500, true), (3, Payload, 5, false)],
            [(2, Payload, 5, false), (2, Payload, 5, false)],
            [(0, Payload, 5, false), (1, Manifest, 5, false)],
        ] {
            assert_eq!(regions(&bad), None, "{bad:?}");
        }
    }

    #[test]
    fn payload_above_a_chunk_is_no_document() {
        assert_eq!(regions(&[(0, Class::Payload, 100, true)]), Some(vec![Region::Documents]));
        assert_eq!(regions(&[(0, Class::Payload, 101, true)]), Some(vec![Region::Packed]));
        assert_eq!(regions(&[(0, Class::Config, limits::HEAD_DOCUMENT_BYTES + 1, true)]), Some(vec![Region::Packed]));
        assert_eq!(regions(&[(0, Class::Manifest, limits::HEAD_DOCUMENT_BYTES + 1, true)]), None);
    }
}
