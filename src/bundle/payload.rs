//! Payload for those who write a bundle in the order of its bytes: chunk by chunk from one source after the other.

use super::compress::Packer;
use super::fetch::{self, Broken};
use super::frame::{self, RawFrame};
use super::plan::{BundlePlan, Stored};
use super::write_error::WriteError;
use crate::model::{Descriptor, Digester};
use std::io::{self, Read};

/// Opens the source of one blob at an offset.
pub(super) type OpenAt<'a, 'b> = dyn FnMut(&Descriptor, u64) -> Result<Box<dyn Read + Send + 'b>, io::Error> + 'a;

/// Reads payload, one frame at a time.
pub(super) struct Payload<'a, 'b> {
    plan: &'a BundlePlan,
    open: &'a mut OpenAt<'a, 'b>,
    moved: &'a dyn Fn(u64),
    packer: Packer,
    frame: RawFrame,
    /// Packed frame that is ready; empty where `frame` is.
    packed: Vec<u8>,
    buffer: Vec<u8>,
    blob: Option<Blob<'b>>,
    /// Has seen what came before the chunk that is ready.
    before: Option<Digester>,
}

struct Blob<'b> {
    /// `None` where it has to be opened behind what was seen.
    source: Option<Box<dyn Read + Send + 'b>>,
    digester: Digester,
}

impl<'a, 'b> Payload<'a, 'b> {
    /// Starts before the first blob.
    pub(super) fn new(
        plan: &'a BundlePlan,
        open: &'a mut OpenAt<'a, 'b>,
        moved: &'a dyn Fn(u64),
    ) -> Result<Self, WriteError> {
        let packer = Packer::new(plan.options.level, plan.options.chunk_size).map_err(WriteError::Encoder)?;
        let (frame, packed, buffer) = (RawFrame::default(), Vec::new(), Vec::new());
        Ok(Self { plan, open, moved, packer, frame, packed, buffer, blob: None, before: None })
    }

    /// Makes ready chunk `number` of entry `index`, of `content` bytes: length and digest of its frame.
    ///
    /// With the last chunk the blob is judged, before any of that chunk is handed out.
    pub(super) fn chunk(&mut self, index: usize, number: u32, content: u64) -> Result<(u64, [u8; 32]), WriteError> {
        let want = self.plan.wanted(index);
        if number == 0 {
            self.blob = Some(Blob { source: None, digester: Digester::new(want.digest.algorithm()) });
        }
        self.before = self.blob.as_ref().map(|blob| blob.digester.clone());
        let ready = self.read(index, &want, content).map_err(|broken| self.broken(broken, &want))?;
        if u64::from(number) * u64::from(self.plan.options.chunk_size) + content == want.size {
            self.judge(want)?;
        }
        Ok(ready)
    }

    /// Returns the frame that is ready.
    pub(super) fn bytes(&self) -> &[u8] {
        if self.packed.is_empty() { self.frame.bytes() } else { &self.packed }
    }

    /// Returns what has seen the blob up to the chunk that is ready.
    pub(super) fn before(&self) -> Option<&Digester> {
        self.before.as_ref()
    }

    /// Goes on inside a blob, behind what `seen` has seen.
    pub(super) fn resume(&mut self, seen: Option<Digester>) {
        self.blob = seen.map(|digester| Blob { source: None, digester });
    }

    /// Lets go of the source: it is opened again, behind what was read, when more is wanted.
    pub(super) fn pause(&mut self) {
        if let Some(blob) = &mut self.blob {
            blob.source = None;
        }
    }

    /// Reads a chunk and makes its frame ready.
    fn read(&mut self, index: usize, want: &Descriptor, content: u64) -> Result<(u64, [u8; 32]), Broken> {
        let Some(Blob { source, digester }) = &mut self.blob else { return Err(Broken::Ended) };
        let source = match source {
            Some(source) => source,
            None => source.insert((self.open)(want, digester.size()).map_err(Broken::Failed)?),
        };
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

    /// Checks a blob of which all chunks are ready.
    fn judge(&mut self, want: Descriptor) -> Result<(), WriteError> {
        let Some(Blob { source, digester }) = self.blob.take() else { return Ok(()) };
        let got = digester.finish();
        if source.is_some_and(|mut source| matches!(fetch::has_ended(&mut source), Ok(false))) {
            return Err(WriteError::Long { want: Box::new(want) });
        }
        if want.names(&got) { Ok(()) } else { Err(WriteError::Mismatch { want: Box::new(want), got }) }
    }

    fn broken(&mut self, broken: Broken, want: &Descriptor) -> WriteError {
        let want = Box::new(want.clone());
        match broken {
            Broken::Failed(source) => WriteError::Source { want, source },
            Broken::Ended => {
                let digester = self.blob.take().map_or_else(Digester::default, |blob| blob.digester);
                WriteError::Mismatch { want, got: digester.finish() }
            }
        }
    }
}
