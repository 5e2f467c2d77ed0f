//! Writes a bundle to a stream: all volumes in order, from one source after the other.
//!
//! The bytes are those that files would get, but for the slot: a stream has to be signed before its content is seen.

use super::assembly::{self, Sink};
use super::compress::Packer;
use super::fetch::{self, Broken};
use super::frame::{self, RawFrame};
use super::layout::Place;
use super::plan::{BundlePlan, Stored};
use super::write_error::WriteError;
use super::writer::Written;
use crate::model::{Content, Descriptor, Digester};
use std::io::{self, Read, Write};
use std::path::PathBuf;

/// Opens the source of one blob.
type Open<'a> = dyn FnMut(&Descriptor) -> Result<Box<dyn Read + Send>, io::Error> + 'a;

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
    let packer = Packer::new(plan.options.level, plan.options.chunk_size).map_err(WriteError::Encoder)?;
    let (frame, packed, buffer) = (RawFrame::default(), Vec::new(), Vec::new());
    let mut sink = Stream { plan: &plan, out, open, moved, packer, frame, packed, buffer, blob: None };
    let assembled = assembly::assemble(&plan, envelope, &mut sink)?;
    out.flush().map_err(WriteError::Output)?;
    let bytes = assembled.lengths.iter().sum();
    let marks = assembled.marks(|_| PathBuf::new());
    Ok(Written { volumes: Vec::new(), marks, bytes, bundle_id: plan.bundle_id().clone(), set_id: plan.set_id() })
}

struct Stream<'a, 'b> {
    plan: &'a BundlePlan,
    out: &'a mut dyn Write,
    open: &'a mut Open<'b>,
    moved: &'a dyn Fn(u64),
    packer: Packer,
    frame: RawFrame,
    /// Packed frame that is ready; empty where `frame` is.
    packed: Vec<u8>,
    buffer: Vec<u8>,
    blob: Option<(Box<dyn Read + Send>, Digester)>,
}

impl Stream<'_, '_> {
    /// Reads a chunk and makes its frame ready.
    fn read(&mut self, index: usize, content: u64) -> Result<(u64, [u8; 32]), Broken> {
        let Some((source, digester)) = &mut self.blob else { return Err(Broken::Ended) };
        self.packed.clear();
        if matches!(self.plan.entries[index].stored, Stored::Raw) {
            fetch::raw_chunk(&mut self.frame, content, source, |block| digester.update(block), self.moved)?;
            let (bytes, digest) = self.frame.seal();
            return Ok((bytes.len() as u64, digest));
        }
        self.buffer.resize(content as usize, 0);
        fetch::plain_chunk(&mut self.buffer, source, self.moved)?;
        digester.update(&self.buffer);
        self.packed = self.packer.pack(&self.buffer).map_err(Broken::Failed)?;
        Ok((self.packed.len() as u64, frame::digest(&self.packed)))
    }

    /// Checks a blob of which all chunks are ready, before the last of them is written.
    fn judge(&mut self, want: Descriptor) -> Result<(), WriteError> {
        let Some((mut source, digester)) = self.blob.take() else { return Ok(()) };
        let got = digester.finish();
        if matches!(fetch::has_ended(&mut source), Ok(false)) {
            return Err(WriteError::Long { want: Box::new(want) });
        }
        if want.names(&got) { Ok(()) } else { Err(WriteError::Mismatch { want: Box::new(want), got }) }
    }

    fn broken(&mut self, broken: Broken, want: Descriptor) -> WriteError {
        match broken {
            Broken::Failed(source) => WriteError::Source { want: Box::new(want), source },
            Broken::Ended => {
                let digester = self.blob.take().map_or_else(Digester::default, |(_, digester)| digester);
                let seen = digester.finish();
                let got = Content { size: seen.size, ..seen };
                WriteError::Mismatch { want: Box::new(want), got }
            }
        }
    }
}

impl Sink for Stream<'_, '_> {
    fn put(&mut self, _: Place, bytes: &[u8]) -> Result<(), WriteError> {
        self.out.write_all(bytes).map_err(WriteError::Output)
    }

    fn chunk(&mut self, index: usize, number: u32, content: u64) -> Result<(u64, [u8; 32]), WriteError> {
        let want = self.plan.wanted(index);
        if number == 0 {
            let source = (self.open)(&want);
            let source = source.map_err(|source| WriteError::Source { want: Box::new(want.clone()), source })?;
            self.blob = Some((source, Digester::new(want.digest.algorithm())));
        }
        let ready = self.read(index, content).map_err(|broken| self.broken(broken, want.clone()))?;
        let chunk = u64::from(self.plan.options.chunk_size);
        if u64::from(number) * chunk + content == want.size {
            self.judge(want)?;
        }
        Ok(ready)
    }

    fn put_chunk(&mut self, _: Place) -> Result<(), WriteError> {
        let bytes = if self.packed.is_empty() { self.frame.bytes() } else { &self.packed };
        self.out.write_all(bytes).map_err(WriteError::Output)
    }
}
