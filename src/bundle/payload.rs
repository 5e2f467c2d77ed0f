//! Payload for those who write a bundle in the order of its bytes: chunk by chunk from one source after the other.

use super::crew::Crew;
use super::fetch::{self, Broken};
use super::frame::{self, RawFrame};
use super::plan::{BundlePlan, Stored};
use super::write_error::WriteError;
use crate::model::{Descriptor, Digester};
use std::collections::VecDeque;
use std::io::{self, Read};

/// Opens the source of one blob at an offset.
pub(super) type OpenAt<'a, 'b> = dyn FnMut(&Descriptor, u64) -> Result<Box<dyn Read + Send + 'b>, io::Error> + 'a;

/// Reads payload, one frame at a time.
pub(super) struct Payload<'a, 'b> {
    plan: &'a BundlePlan,
    open: &'a mut OpenAt<'a, 'b>,
    moved: &'a dyn Fn(u64),
    crew: Crew,
    frame: RawFrame,
    /// Packed frame that is ready; empty where `frame` is.
    packed: Vec<u8>,
    /// Memory of a chunk that is done with.
    spare: Vec<u8>,
    /// Have seen what came before each of the chunks that are being packed.
    befores: VecDeque<Digester>,
    blob: Option<Blob<'b>>,
    /// Has seen what came before the chunk that is ready.
    before: Option<Digester>,
}

struct Blob<'b> {
    /// `None` where it has to be opened behind what was seen.
    source: Option<Box<dyn Read + Send + 'b>>,
    digester: Digester,
}

impl<'b> Blob<'b> {
    /// Returns the source, opened behind what was seen where it is not open, and what has seen it.
    fn opened(
        &mut self,
        open: &mut OpenAt<'_, 'b>,
        want: &Descriptor,
    ) -> Result<(&mut Box<dyn Read + Send + 'b>, &mut Digester), Broken> {
        if self.source.is_none() {
            self.source = Some(open(want, self.digester.size()).map_err(Broken::Failed)?);
        }
        Ok((self.source.as_mut().ok_or(Broken::Ended)?, &mut self.digester))
    }
}

impl<'a, 'b> Payload<'a, 'b> {
    /// Starts before the first blob.
    pub(super) fn new(
        plan: &'a BundlePlan,
        open: &'a mut OpenAt<'a, 'b>,
        moved: &'a dyn Fn(u64),
    ) -> Result<Self, WriteError> {
        let crew = Crew::new(plan.options.level, plan.options.chunk_size).map_err(WriteError::Encoder)?;
        let (frame, packed, spare, befores) = (RawFrame::default(), Vec::new(), Vec::new(), VecDeque::new());
        Ok(Self { plan, open, moved, crew, frame, packed, spare, befores, blob: None, before: None })
    }

    /// Makes ready chunk `number` of entry `index`, of `content` bytes: length and digest of its frame.
    ///
    /// With the last chunk the blob is judged, before any of that chunk is handed out.
    pub(super) fn chunk(&mut self, index: usize, number: u32, content: u64) -> Result<(u64, [u8; 32]), WriteError> {
        let want = self.plan.wanted(index);
        if number == 0 {
            self.blob = Some(Blob { source: None, digester: Digester::new(want.digest.algorithm()) });
        }
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
        self.crew.clear();
        self.befores.clear();
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
        self.packed.clear();
        if matches!(self.plan.entries[index].stored, Stored::Packed) {
            return self.read_ahead(want);
        }
        let blob = self.blob.as_mut().ok_or(Broken::Ended)?;
        self.before = Some(blob.digester.clone());
        let (source, digester) = blob.opened(self.open, want)?;
        fetch::raw_chunk(&mut self.frame, content, source, |block| digester.update(block), self.moved)?;
        let (bytes, digest) = self.frame.seal();
        Ok((bytes.len() as u64, digest))
    }

    /// Reads as many chunks of a blob as may be packed at once, and makes the next frame ready.
    fn read_ahead(&mut self, want: &Descriptor) -> Result<(u64, [u8; 32]), Broken> {
        let blob = self.blob.as_mut().ok_or(Broken::Ended)?;
        while blob.digester.size() < want.size && self.crew.has_room() {
            let content = u64::from(self.plan.options.chunk_size).min(want.size - blob.digester.size());
            let mut buffer = std::mem::take(&mut self.spare);
            buffer.resize(content as usize, 0);
            self.befores.push_back(blob.digester.clone());
            let (source, digester) = blob.opened(self.open, want)?;
            fetch::plain_chunk(&mut buffer, source, self.moved)?;
            digester.update(&buffer);
            self.crew.give(buffer).map_err(Broken::Failed)?;
        }
        let packed = self.crew.take().ok_or(Broken::Ended)?.map_err(Broken::Failed)?;
        (self.packed, self.spare, self.before) = (packed.frame, packed.content, self.befores.pop_front());
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
