//! Places of frames: one after the other, a new volume where the next one would pass the limit.
//!
//! Frames are never cut, so a volume may end up to one frame early. Room for trailer and tail is kept in each
//! volume, because any of them may turn out to be the last.

use super::header::LENGTH as HEADER;
use super::sizes::VolumeSizes;
use super::trailer::{self, SKIPPABLE_MAX};
use crate::model::{Digester, limits};

/// Where a frame stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Place {
    /// Number of the volume, from 1.
    pub volume: u32,
    /// Offset in its file.
    pub offset: u64,
}

/// Frame as the layout sees it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Shape {
    /// Code in the layout digest: a table's kind, or 0 for glue.
    pub code: u8,
    /// Bytes of the frame.
    pub length: u64,
    /// Bytes of its content.
    pub content: u64,
}

/// One volume of a layout.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Span {
    /// Bytes of all volumes before.
    pub stream_offset: u64,
    /// Bytes of the tar stream before.
    pub plain_offset: u64,
    /// Data frames before.
    pub first_item: u64,
    /// Where the next frame goes; at last where the data ends.
    pub end: u64,
    /// Records in the table so far, without the tail's.
    pub records: u64,
}

/// Why frames cannot be placed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LayoutError {
    /// One frame with what surrounds it does not fit into a volume.
    #[error("a volume of {limit} bytes is too small: volume {number} must have at least {needed}")]
    VolumeTooSmall {
        /// Number of the volume.
        number: u32,
        /// Size asked for.
        limit: u64,
        /// Smallest size that would do here.
        needed: u64,
    },
    /// There would be more volumes than the format allows.
    #[error("more than {} volumes would be needed; ask for larger ones", limits::VOLUMES)]
    TooManyVolumes,
    /// The table of one volume would be too long.
    #[error("one volume would hold too many frames; ask for volumes of a smaller size")]
    TooManyFrames,
    /// Sizes do not fit 63 bits.
    #[error("the bundle would have more than 2^63 bytes")]
    TooLarge,
}

/// Places frames one after the other.
#[derive(Clone)]
pub(super) struct Cursor {
    sizes: Option<VolumeSizes>,
    volumes: Vec<Span>,
    plain: u64,
    items: u64,
}

impl Cursor {
    /// Starts at the first frame of volume 1.
    pub(super) fn new(sizes: Option<VolumeSizes>) -> Self {
        let first = Span { stream_offset: 0, plain_offset: 0, first_item: 0, end: HEADER as u64, records: 0 };
        Self { sizes, volumes: vec![first], plain: 0, items: 0 }
    }

    /// Starts at the first frame of the last of `volumes`; those before it are ended.
    pub(super) fn behind(sizes: Option<VolumeSizes>, volumes: Vec<Span>) -> Self {
        let (plain, items) = volumes.last().map_or((0, 0), |span| (span.plain_offset, span.first_item));
        if volumes.is_empty() { Self::new(sizes) } else { Self { sizes, volumes, plain, items } }
    }

    /// Places the next frame.
    pub(super) fn place(&mut self, shape: Shape) -> Result<Place, LayoutError> {
        let listed = u64::from(shape.code != 0);
        if self.needed(shape.length, listed)? > self.limit() {
            // A volume that is empty and cannot take the frame is never left so: none stands without frames.
            if self.current().end > HEADER as u64 {
                self.next_volume()?;
            }
            let (number, limit, needed) = (self.number(), self.limit(), self.needed(shape.length, listed)?);
            if needed > limit {
                let small = LayoutError::VolumeTooSmall { number, limit, needed };
                return Err(if self.sizes.is_some() { small } else { LayoutError::TooLarge });
            }
        }
        self.plain = self.plain.checked_add(shape.content).ok_or(LayoutError::TooLarge)?;
        self.items += 1;
        let volume = self.number();
        let span = self.current();
        let place = Place { volume, offset: span.end };
        span.end = span.end.checked_add(shape.length).ok_or(LayoutError::TooLarge)?;
        span.records += listed;
        if trailer::trailer_length(span.records + 1) > SKIPPABLE_MAX {
            return Err(LayoutError::TooManyFrames);
        }
        Ok(place)
    }

    /// Returns the volumes so far.
    pub(super) fn volumes(&self) -> &[Span] {
        &self.volumes
    }

    /// Returns the number of the volume that is being filled.
    pub(super) fn number(&self) -> u32 {
        self.volumes.len() as u32
    }

    /// Returns the largest size of the volume that is being filled.
    fn limit(&self) -> u64 {
        self.sizes.as_ref().map_or(u64::MAX >> 1, |sizes| sizes.of(self.number()))
    }

    fn current(&mut self) -> &mut Span {
        let last = self.volumes.len() - 1;
        &mut self.volumes[last]
    }

    /// Returns the bytes of the current volume, were it the last and ended behind one more frame.
    fn needed(&mut self, length: u64, listed: u64) -> Result<u64, LayoutError> {
        let number = self.number();
        let span = self.current();
        let around = trailer::trailer_length(span.records + listed + 1) + trailer::tail_length(number);
        span.end.checked_add(length).and_then(|n| n.checked_add(around)).ok_or(LayoutError::TooLarge)
    }

    fn next_volume(&mut self) -> Result<(), LayoutError> {
        if self.number() >= limits::VOLUMES || self.sizes.is_none() {
            return Err(if self.sizes.is_none() { LayoutError::TooLarge } else { LayoutError::TooManyVolumes });
        }
        let (plain_offset, first_item) = (self.plain, self.items);
        let span = self.current();
        let stream_offset = span.stream_offset + span.end + trailer::trailer_length(span.records);
        self.volumes.push(Span { stream_offset, plain_offset, first_item, end: HEADER as u64, records: 0 });
        Ok(())
    }
}

/// Returns the bytes of volume `number` of `total`.
pub(super) fn file_length(span: &Span, number: u32, total: u32) -> u64 {
    if number == total {
        span.end + trailer::tail_length(number) + trailer::trailer_length(span.records + 1)
    } else {
        span.end + trailer::trailer_length(span.records)
    }
}

/// Gathers the layout digest: kind, volume, offset and length of every frame.
#[derive(Default)]
pub(super) struct LayoutDigest(Digester);

impl LayoutDigest {
    /// Takes in one frame.
    pub(super) fn add(&mut self, shape: Shape, at: Place) {
        let mut bytes = [0; 24];
        let mut fields = super::fields::FieldsMut(&mut bytes);
        fields.put_u32(0, u32::from(shape.code));
        fields.put_u32(4, at.volume);
        fields.put_u64(8, at.offset);
        fields.put_u64(16, shape.length);
        self.0.update(&bytes);
    }

    /// Returns the digest.
    pub(super) fn finish(self) -> [u8; 32] {
        trailer::value(self.0)
    }
}

/// What makes the identity of a physical cut, beside the content.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Cut {
    /// What is inside.
    pub bundle_id: [u8; 32],
    /// Bytes of content in a frame at most.
    pub chunk_size: u32,
    /// Largest size of each volume; the last one repeats. One 0 for no limit.
    pub limits: VolumeSizes,
    /// Incompatible features.
    pub features: u64,
    /// Encoder of packed frames.
    pub encoder: [u8; 24],
}

impl Cut {
    /// Returns the set id; an open layout has no digest, which counts as zeros.
    pub(super) fn set_id(&self, layout: Option<[u8; 32]>) -> [u8; 32] {
        let mut digester = Digester::default();
        digester.update(b"airlift-set-1\0");
        digester.update(&self.bundle_id);
        digester.update(&self.chunk_size.to_le_bytes());
        self.limits.list().iter().for_each(|limit| digester.update(&limit.to_le_bytes()));
        digester.update(&self.features.to_le_bytes());
        digester.update(&self.encoder);
        digester.update(&layout.unwrap_or_default());
        trailer::value(digester)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SMALL: Shape = Shape { code: 2, length: 1000, content: 900 };

    #[test]
    fn a_volume_is_filled_to_the_last_byte_but_never_over() {
        let full = HEADER as u64 + 3 * 1000 + trailer::trailer_length(4) + trailer::tail_length(1);
        for (limit, first) in [(full, 3), (full - 1, 2), (full + 7, 3)] {
            let mut cursor = Cursor::new(Some(limit.into()));
            let places: Vec<Place> = (0..4).map(|_| cursor.place(SMALL).unwrap()).collect();
            assert_eq!(places.iter().filter(|place| place.volume == 1).count(), first, "{limit}");
            assert_eq!(places[first], Place { volume: 2, offset: 257 });
            let spans = cursor.volumes();
            assert_eq!(spans[1].stream_offset, file_length(&spans[0], 1, 2));
            assert_eq!((spans[1].plain_offset, spans[1].first_item), (900 * first as u64, first as u64));
        }
    }

    #[test]
    fn a_limit_below_one_frame_names_what_is_needed() {
        let error = Cursor::new(Some(5000.into())).place(SMALL).unwrap_err();
        let LayoutError::VolumeTooSmall { needed, .. } = error else { panic!("{error}") };
        assert!(Cursor::new(Some(needed.into())).place(SMALL).is_ok());
    }

    #[test]
    fn unequal_volumes_are_each_filled_to_their_own_size() {
        let room = |frames: u64, number| {
            HEADER as u64 + frames * 1000 + trailer::trailer_length(frames + 1) + trailer::tail_length(number)
        };
        let sizes = VolumeSizes::new(&[room(2, 1) + 7, room(5, 2), room(1, 3) + 999]).unwrap();
        let mut cursor = Cursor::new(Some(sizes));
        let volumes: Vec<u32> = (0..10).map(|_| cursor.place(SMALL).unwrap().volume).collect();
        assert_eq!(volumes, [1, 1, 2, 2, 2, 2, 2, 3, 4, 5]);
    }

    #[test]
    fn a_volume_among_larger_ones_that_cannot_hold_a_frame_is_named_and_never_left_empty() {
        for (sizes, at) in [(&[5000, 90_000][..], 1), (&[90_000, 5000, 90_000], 2)] {
            let mut cursor = Cursor::new(VolumeSizes::new(sizes));
            let error = (0..200).find_map(|_| cursor.place(SMALL).err()).unwrap();
            let LayoutError::VolumeTooSmall { number, limit, needed } = error else { panic!("{error}") };
            assert_eq!((number, limit, needed > 5000), (at, 5000, true), "{sizes:?}");
        }
    }

    #[test]
    fn volumes_end_at_the_limit() {
        let mut cursor = Cursor::new(Some((10 << 20).into()));
        let alone = Shape { code: 2, length: 6 << 20, content: 6 << 20 };
        for number in 1..=limits::VOLUMES {
            assert_eq!(cursor.place(alone).unwrap().volume, number);
        }
        assert_eq!(cursor.place(alone), Err(LayoutError::TooManyVolumes));
    }

    #[test]
    fn sums_that_overflow_are_refused() {
        let mut cursor = Cursor::new(None);
        let huge = Shape { code: 2, length: u64::MAX >> 1, content: u64::MAX >> 1 };
        assert_eq!(cursor.place(huge), Err(LayoutError::TooLarge));
    }

    #[test]
    fn the_set_id_depends_on_every_part() {
        let cut = Cut { bundle_id: [1; 32], chunk_size: 2, limits: 3.into(), features: 0, encoder: [4; 24] };
        let mut ids = vec![
            cut.set_id(None),
            cut.set_id(Some([5; 32])),
            Cut { bundle_id: [9; 32], ..cut.clone() }.set_id(None),
            Cut { chunk_size: 9, ..cut.clone() }.set_id(None),
            Cut { limits: 9.into(), ..cut.clone() }.set_id(None),
            Cut { limits: VolumeSizes::new(&[3, 9]).unwrap(), ..cut.clone() }.set_id(None),
            Cut { limits: VolumeSizes::new(&[9, 3]).unwrap(), ..cut.clone() }.set_id(None),
            Cut { features: 9, ..cut.clone() }.set_id(None),
            Cut { encoder: [9; 24], ..cut }.set_id(None),
        ];
        ids.sort_unstable();
        ids.dedup();
        assert_eq!(ids.len(), 9);
    }
}
