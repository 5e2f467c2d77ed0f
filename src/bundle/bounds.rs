//! What a planned bundle will measure, before payload is fetched.
//!
//! A closed layout is known to the byte. In an open one the packed frames of region B are made while payload comes, and
//! nobody knows how well it compresses; so its size is told as a range that is never left, and not as a guess.

use super::arrange::{self, glue_shape};
use super::compress;
use super::frame;
use super::layout::{self, Cursor, LayoutError, Shape};
use super::parity::ParityAmount;
use super::plan::{BundlePlan, Stored};
use super::tarhead;
use super::volume_files::{Names, VolumeFiles};
use crate::model::limits;
use std::path::Path;

/// Least and most of something; both are the same where it is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Range {
    /// It is not less.
    pub least: u64,
    /// It is not more.
    pub most: u64,
}

impl Range {
    /// Returns whether it is known.
    pub const fn is_exact(self) -> bool {
        self.least == self.most
    }
}

/// What a bundle measures.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bounds {
    /// Bytes of all volumes together.
    pub bytes: Range,
    /// Number of volumes.
    pub volumes: Range,
}

/// Bytes of content in one block of a frame at most (RFC 8878, "Block_Maximum_Size").
const BLOCK: u64 = 128 << 10;
/// Smallest block: its header, and the byte that it repeats.
const BLOCK_LEAST: u64 = 4;
/// Checksum at the end of a frame.
const CHECKSUM: u64 = 4;

impl BundlePlan {
    /// Returns the number of blobs and documents that the inventory lists.
    pub fn objects(&self) -> usize {
        self.inventory.len()
    }

    /// Returns what the bundle will measure.
    pub fn bounds(&self) -> Result<Bounds, LayoutError> {
        let (least, fewest) = self.measured(shortest)?;
        let (most, greatest) = match self.measured(compress::bound) {
            // It may still fit, so this is no error yet: the largest set that the format allows is the bound.
            Err(LayoutError::TooManyVolumes | LayoutError::VolumeTooSmall { .. }) => {
                let all = u64::from(limits::VOLUMES);
                let bytes = self.options.volume_size.as_ref().map_or(u64::MAX, |sizes| sizes.sum(limits::VOLUMES));
                (bytes, all)
            }
            other => other?,
        };
        Ok(Bounds { bytes: Range { least, most }, volumes: Range { least: fewest, most: greatest } })
    }

    /// Returns number and bytes of the parity volumes that `amount` gives; `None` in an open layout, where nobody knows how
    /// long its volumes become.
    pub fn parity(&self, amount: ParityAmount) -> Option<(u64, u64)> {
        let total = self.volumes()?;
        let spans = (1..).zip(self.arranged.cursor.volumes());
        let lengths: Vec<u64> = spans.map(|(number, span)| layout::file_length(span, number, total)).collect();
        amount.measured(&lengths)
    }

    /// Returns bytes and volumes, were each packed frame as long as `length` says of its content.
    fn measured(&self, length: impl Fn(u64) -> u64) -> Result<(u64, u64), LayoutError> {
        let mut cursor = self.arranged.cursor.clone();
        let first = self.entries.iter().position(|entry| matches!(entry.stored, Stored::Packed));
        if let Some(first) = first {
            let mut before = first.checked_sub(1).map_or(0, |index| self.entries[index].size);
            for entry in &self.entries[first..] {
                cursor.place(glue_shape(&tarhead::opening(before, &self.name(entry), entry.size)))?;
                for content in arrange::chunks(entry.size, self.options.chunk_size) {
                    cursor.place(Shape { code: 3, length: length(content), content })?;
                }
                before = entry.size;
            }
            cursor.place(glue_shape(&tarhead::ending(before)))?;
        }
        Ok((total(&cursor), u64::from(cursor.number())))
    }

    /// Returns the bytes that unfinished volumes of this very set hold already at `out`; reads their headers only.
    pub fn kept_at(&self, out: &Path) -> u64 {
        let files = VolumeFiles::new(Names::new(self, out));
        let ours = |number: &u32| {
            let header = VolumeFiles::header_at(&files.path(*number));
            header.is_some_and(|header| header.set_id == self.set_id())
        };
        (1..=limits::VOLUMES).take_while(ours).map(|number| files.kept(number)).sum()
    }
}

/// Returns the shortest frame that could hold so much content.
fn shortest(content: u64) -> u64 {
    frame::packed_head(content).len() as u64 + content.div_ceil(BLOCK) * BLOCK_LEAST + CHECKSUM
}

fn total(cursor: &Cursor) -> u64 {
    let number = cursor.number();
    let last = cursor.volumes().last();
    last.map_or(0, |span| span.stream_offset.saturating_add(layout::file_length(span, number, number)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bundle::compress::Packer;
    use crate::bundle::{Body, Class, Item, Options, Papers};
    use crate::model::Descriptor;
    use proptest::prelude::*;

    fn plan(blobs: &[(&str, u64)], volume_size: Option<u64>) -> BundlePlan {
        let papers =
            Papers { index: b"{}".to_vec(), lock: b"{}".to_vec(), policy: None, evidence: b"{}".to_vec(), base: None };
        let item = |(n, (media_type, size)): (usize, &(&str, u64))| {
            let mut descriptor = Descriptor::of(*media_type, format!("blob {n}").as_bytes());
            descriptor.size = *size;
            Item { descriptor, class: Class::Payload, body: Body::Payload }
        };
        let items = blobs.iter().enumerate().map(item).collect();
        BundlePlan::new(
            papers,
            items,
            Options { volume_size: volume_size.map(Into::into), chunk_size: 64 << 10, level: 3 },
        )
        .unwrap()
    }

    const GZIP: &str = "application/vnd.oci.image.layer.v1.tar+gzip";
    const TAR: &str = "application/vnd.oci.image.layer.v1.tar";

    #[test]
    fn a_closed_layout_is_known_to_the_byte() {
        for volume_size in [None, Some(200_000)] {
            let plan = plan(&[(GZIP, 500_000), (GZIP, 70_000)], volume_size);
            let bounds = plan.bounds().unwrap();
            assert!(bounds.bytes.is_exact() && bounds.volumes.is_exact());
            assert_eq!(Some(bounds.bytes.least), plan.size());
            assert_eq!(Some(bounds.volumes.least), plan.volumes().map(u64::from));
        }
    }

    #[test]
    fn an_open_layout_is_a_range_from_all_zeros_to_noise() {
        let plan = plan(&[(GZIP, 500_000), (TAR, 10 << 20)], Some(1 << 20));
        let bounds = plan.bounds().unwrap();
        assert!(bounds.bytes.least < 600_000 && bounds.bytes.most > 11_000_000, "{bounds:?}");
        assert!(bounds.bytes.most < 11_400_000, "{bounds:?}");
        assert_eq!((bounds.volumes.least, bounds.volumes.most), (1, 12), "{bounds:?}");
    }

    #[test]
    fn more_volumes_than_the_format_has_are_bounded_by_their_number() {
        let plan = plan(&[(TAR, u64::from(limits::VOLUMES) * 200_000)], Some(150_000));
        let bounds = plan.bounds();
        assert!(bounds.is_ok_and(|bounds| bounds.volumes.most == u64::from(limits::VOLUMES)));
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(24))]
        #[test]
        fn no_frame_is_shorter_than_the_shortest(size in 1usize..300_000, byte in any::<u8>(), noise in any::<bool>()) {
            let content: Vec<u8> = if noise {
                (0..size).map(|n| (n as u32).wrapping_mul(2_654_435_761).to_le_bytes()[3] ^ byte).collect()
            } else {
                vec![byte; size]
            };
            let frame = Packer::new(9, 1 << 20).unwrap().pack(&content).unwrap();
            prop_assert!(frame.len() as u64 >= shortest(size as u64));
            prop_assert!(frame.len() as u64 <= compress::bound(size as u64));
        }
    }
}
