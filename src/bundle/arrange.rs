//! Arranges the frames of a plan: the place of everything that is known beforehand.

use super::frame;
use super::layout::{Cursor, LayoutDigest, LayoutError, Place, Shape};
use super::plan::{BundlePlan, PlannedEntry, Stored};
use super::sequence::Region;
use super::sizes::VolumeSizes;
use super::tarhead;
use super::trailer::Kind;

/// Frames of one entry that stand one behind the other in one volume.
#[derive(Debug, Clone, Copy)]
struct Run {
    chunk: u32,
    at: Place,
}

/// Places of a plan.
pub(super) struct Arranged {
    /// Behind the last frame that has a place.
    pub cursor: Cursor,
    /// Layout digest; `None` where frames will be placed later (an open layout).
    pub digest: Option<[u8; 32]>,
    /// Kind of each entry's frames.
    pub kinds: Vec<Kind>,
    runs: Vec<Run>,
    first_runs: Vec<u32>,
}

impl Arranged {
    /// Returns places for nothing.
    pub(super) fn empty(sizes: Option<VolumeSizes>) -> Self {
        let (runs, first_runs, kinds) = (Vec::new(), Vec::new(), Vec::new());
        Self { cursor: Cursor::new(sizes), digest: None, runs, first_runs, kinds }
    }

    /// Returns where chunk `chunk` of entry `index` stands, whose whole chunks have frames of `stride` bytes.
    pub(super) fn chunk(&self, index: usize, chunk: u32, stride: u64) -> Option<Place> {
        let first = *self.first_runs.get(index)? as usize;
        let end = self.first_runs.get(index + 1).map_or(self.runs.len(), |next| *next as usize);
        let runs = &self.runs[first..end];
        let run = &runs[runs.partition_point(|run| run.chunk <= chunk).checked_sub(1)?];
        let offset = run.at.offset + u64::from(chunk - run.chunk) * stride;
        Some(Place { volume: run.at.volume, offset })
    }
}

/// Returns the lengths of the chunks of `size` bytes.
pub(super) fn chunks(size: u64, chunk_size: u32) -> impl Iterator<Item = u64> {
    let chunk = u64::from(chunk_size);
    (0..size.div_ceil(chunk)).map(move |number| chunk.min(size - number * chunk))
}

/// Places everything that is known: all of a closed layout, all but region B of an open one.
pub(super) fn arrange(plan: &BundlePlan, regions: &[Option<Region>]) -> Result<Arranged, LayoutError> {
    let mut out = Arranged::empty(plan.options.volume_size.clone());
    out.kinds = plan.entries.iter().zip(regions).map(|(entry, region)| kind(entry, *region)).collect();
    let mut digest = LayoutDigest::default();
    let mut before = 0;
    for (index, entry) in plan.entries.iter().enumerate() {
        if matches!(entry.stored, Stored::Packed) {
            return Ok(out);
        }
        let opening = tarhead::opening(before, &plan.name(entry), entry.size);
        put(&mut out.cursor, &mut digest, glue_shape(&opening))?;
        out.first_runs.push(out.runs.len() as u32);
        place_frames(plan, index, &mut out, &mut digest)?;
        before = entry.size;
    }
    put(&mut out.cursor, &mut digest, glue_shape(&tarhead::ending(before)))?;
    out.digest = Some(digest.finish());
    Ok(out)
}

/// Returns the shape of the glue frame of `content`.
pub(super) fn glue_shape(content: &[u8]) -> Shape {
    Shape { code: 0, length: frame::glue(content).len() as u64, content: content.len() as u64 }
}

fn put(cursor: &mut Cursor, digest: &mut LayoutDigest, shape: Shape) -> Result<Place, LayoutError> {
    let place = cursor.place(shape)?;
    digest.add(shape, place);
    Ok(place)
}

fn place_frames(
    plan: &BundlePlan,
    index: usize,
    out: &mut Arranged,
    digest: &mut LayoutDigest,
) -> Result<(), LayoutError> {
    let entry = &plan.entries[index];
    let code = out.kinds[index] as u8;
    let mut end = None;
    for (number, content) in chunks(entry.size, plan.options.chunk_size).enumerate() {
        let length = match &entry.stored {
            Stored::Frames(frames) => frames[number].len() as u64,
            _ => frame::raw_length(content),
        };
        let at = put(&mut out.cursor, digest, Shape { code, length, content })?;
        // Raw chunks have equal frames, so one run covers all that follow each other; documents get one run each.
        if end != Some(at) || matches!(entry.stored, Stored::Frames(_)) {
            out.runs.push(Run { chunk: number as u32, at });
        }
        end = Some(Place { offset: at.offset + length, ..at });
    }
    Ok(())
}

fn kind(entry: &PlannedEntry, region: Option<Region>) -> Kind {
    match (&entry.stored, region) {
        (Stored::Slot, _) => Kind::Slot,
        (Stored::Raw, _) => Kind::Raw,
        (_, None | Some(Region::Documents)) => Kind::Document,
        (_, Some(_)) => Kind::Packed,
    }
}
