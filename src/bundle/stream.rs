//! Writes a bundle to a stream: all volumes in order, from one source after the other.
//!
//! The bytes are those that files would get, but for the slot: a stream has to be signed before its content is seen.

use super::assembly::{self, Sink};
use super::layout::Place;
use super::payload::Payload;
use super::plan::BundlePlan;
use super::write_error::WriteError;
use super::writer::Written;
use crate::model::Descriptor;
use std::io::{self, Read, Write};
use std::path::PathBuf;

/// Opens the source of one blob.
type Open<'a> = dyn FnMut(&Descriptor) -> Result<Box<dyn Read + Send + 'a>, io::Error> + 'a;

/// Writes the whole bundle to `out`, asking `open` for each payload blob when its turn comes.
///
/// A source that gives other bytes than promised ends the stream before the end mark, so that no reader accepts it.
pub fn write_stream(
    plan: BundlePlan,
    envelope: Option<&[u8]>,
    out: &mut dyn Write,
    open: &mut Open<'_>,
    moved: &dyn Fn(u64),
) -> Result<Written, WriteError> {
    let mut from_the_start = |want: &Descriptor, _: u64| open(want);
    let payload = Payload::new(&plan, &mut from_the_start, moved)?;
    let assembled = assembly::assemble(&plan, envelope, &mut Stream { payload, out })?;
    out.flush().map_err(WriteError::Output)?;
    let bytes = assembled.lengths.iter().sum();
    let marks = assembled.marks(|_| PathBuf::new());
    Ok(Written { volumes: Vec::new(), marks, bytes, bundle_id: plan.bundle_id().clone(), set_id: plan.set_id() })
}

struct Stream<'a, 'b> {
    payload: Payload<'a, 'b>,
    out: &'a mut dyn Write,
}

impl Sink for Stream<'_, '_> {
    fn put(&mut self, _: Place, bytes: &[u8]) -> Result<(), WriteError> {
        self.out.write_all(bytes).map_err(WriteError::Output)
    }

    fn chunk(&mut self, index: usize, number: u32, content: u64) -> Result<(u64, [u8; 32]), WriteError> {
        self.payload.chunk(index, number, content)
    }

    fn put_chunk(&mut self, _: Place) -> Result<(), WriteError> {
        self.out.write_all(self.payload.bytes()).map_err(WriteError::Output)
    }
}
