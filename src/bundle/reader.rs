//! Reads a bundle forward, once, with no copy of it: the head first, then blob by blob.
//!
//! Nothing is handed on before it was checked: documents come whole, and the last piece of a payload blob comes only
//! after all of the blob matched its digest.

use super::compress::Unpacker;
use super::countersign::{self, Countersignature};
use super::feed::{Feed, Input};
use super::frames::{Framed, damaged};
use super::head::{self, Head};
use super::inventory::{Class, InventoryRecord};
use super::plan::Papers;
use super::read_error::{ReadError, Spot};
use super::volume_walk::VolumeEnd;
use super::volumes;
use super::walk::{Step, Walk};
use crate::model::{Content, Digest, Digester};
use std::io;

/// One blob of a bundle, when its turn comes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Digest of the content.
    pub digest: Digest,
    /// Its size in bytes.
    pub size: u64,
    /// What it is for.
    pub class: Class,
    /// The content, checked, where it is a document; otherwise [`BundleReader::chunk`] gives it piece by piece.
    pub document: Option<Vec<u8>>,
}

/// What was read in all.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Summary {
    /// Number of volumes.
    pub volumes: u32,
    /// Bytes of all volumes.
    pub bytes: u64,
    /// Number of blobs; those that a delta leaves out do not count.
    pub blobs: u64,
    /// Bytes of all of them.
    pub content: u64,
    /// Which physical cut was read.
    pub set_id: [u8; 32],
}

/// Reads a bundle.
pub struct BundleReader {
    walk: Walk,
    unpacker: Unpacker,
    head: Head,
    papers: Option<Papers>,
    countersignatures: Vec<Countersignature>,
    /// Digests of the frames of this volume.
    digests: Vec<[u8; 32]>,
    blob: Option<OpenBlob>,
    summary: Option<Summary>,
}

/// Sums up a walk that has come to its end.
pub(super) fn summed_up(walk: &Walk) -> Summary {
    Summary {
        volumes: walk.volumes.header.number,
        bytes: walk.volumes.bytes(),
        blobs: walk.inventory.iter().filter(|record| !record.omitted).count() as u64,
        content: super::inventory::carried(&walk.inventory),
        set_id: walk.volumes.header.set_id,
    }
}

/// Blob whose pieces are being read.
struct OpenBlob {
    ordinal: u32,
    digester: Digester,
    from: Spot,
}

impl BundleReader {
    /// Opens a bundle and reads its head up to the envelope.
    ///
    /// Of files, all headers are read first: volumes that are missing, foreign or doubled are an error before
    /// anything else is. Nothing is known to be authentic until the caller has judged [`Self::statement`].
    pub fn open(input: Input) -> Result<Self, ReadError> {
        let (feed, found) = match input {
            Input::Stream(stream) => {
                let (found, stream) = countersign::from_stream(stream)?;
                (Feed::stream(stream), found)
            }
            Input::Files(files) => {
                let survey = volumes::survey(&files);
                if let Some(problem) = survey.problems.into_iter().next() {
                    return Err(problem);
                }
                (Feed::files(survey.volumes.into_values().collect()), survey.countersignatures)
            }
        };
        Self::start(feed, found)
    }

    /// Reads the head from a feed up to the envelope; `countersignatures` must be about the bundle that is found.
    pub(super) fn start(feed: Feed, countersignatures: Vec<Countersignature>) -> Result<Self, ReadError> {
        let unpacker = Unpacker::new().map_err(broken_decoder)?;
        let mut reader = Self {
            walk: Walk::start(feed)?,
            unpacker,
            head: Head::default(),
            papers: None,
            countersignatures,
            digests: Vec::new(),
            blob: None,
            summary: None,
        };
        let problems = countersign::belong(&reader.countersignatures, &reader.walk.volumes.header.bundle_id);
        if let Some(problem) = problems.into_iter().next() {
            return Err(problem);
        }
        for number in 0..4 {
            reader.head_document(number)?;
        }
        let spot = reader.walk.spot();
        reader.head.open(&reader.walk.volumes, spot)?;
        Ok(reader)
    }

    /// Gives up reading: the walk at the place that was reached, and the digests of this volume's frames so far.
    pub(super) fn into_parts(self) -> (Walk, Vec<[u8; 32]>) {
        (self.walk, self.digests)
    }

    /// Returns the bytes of `airlift/head.json`: what is signed.
    pub fn statement(&self) -> &[u8] {
        self.head.document(head::STATEMENT)
    }

    /// Returns the envelope over the statement, where there is one.
    pub fn envelope(&self) -> Option<&[u8]> {
        self.head.envelope()
    }

    /// Returns the countersignatures that came with the volumes. They are whole and about this bundle; by whom they
    /// are is the caller's to judge.
    pub fn countersignatures(&self) -> &[Countersignature] {
        &self.countersignatures
    }

    /// Returns the digest of the statement.
    pub fn bundle_id(&self) -> &Digest {
        self.head.bundle_id()
    }

    /// Returns which physical cut is read.
    pub fn set_id(&self) -> [u8; 32] {
        self.walk.volumes.header.set_id
    }

    /// Returns the number of volumes; `None` where the first volume was written before that was known.
    pub fn volumes(&self) -> Option<u32> {
        Some(self.walk.volumes.header.total).filter(|total| *total > 0)
    }

    /// Reads the papers and the inventory, and checks them against the statement.
    ///
    /// To be called when the caller has accepted the signature; what is read here is parsed nowhere else before.
    pub fn papers(&mut self) -> Result<Papers, ReadError> {
        if let Some(papers) = &self.papers {
            return Ok(papers.clone());
        }
        while !self.head.is_complete() {
            self.next_head_document()?;
        }
        let spot = self.walk.spot();
        let (papers, inventory) = self.head.papers(spot.clone())?;
        if !self.walk.expect(inventory) {
            return Err(damaged(spot, "the inventory lists a blob twice"));
        }
        self.papers = Some(papers.clone());
        Ok(papers)
    }

    /// Returns all blobs in the order of the inventory, those that are left out too; empty before [`Self::papers`].
    pub fn inventory(&self) -> &[InventoryRecord] {
        &self.walk.inventory
    }

    /// Returns the next blob, `None` behind the last one. What is left of the blob before is read and checked.
    #[expect(clippy::should_implement_trait, reason = "an iterator cannot say that reading failed for good")]
    pub fn next(&mut self) -> Result<Option<Entry>, ReadError> {
        self.papers()?;
        while self.chunk()?.is_some() {}
        if self.summary.is_some() {
            return Ok(None);
        }
        let (ordinal, is_document) = match self.step()? {
            Step::Blob(ordinal, is_document) => (ordinal, is_document),
            Step::End => {
                self.summary = Some(summed_up(&self.walk));
                return Ok(None);
            }
            _ => return Err(damaged(self.walk.spot(), "a blob is expected here")),
        };
        let InventoryRecord { digest, size, class, .. } = self.walk.inventory[ordinal as usize].clone();
        let digester = Digester::new(digest.algorithm());
        self.blob = Some(OpenBlob { ordinal, digester, from: self.walk.spot() });
        let document = if is_document { Some(self.whole(size)?) } else { None };
        if size == 0 {
            self.accept()?;
        }
        Ok(Some(Entry { digest, size, class, document }))
    }

    /// Returns the next piece of the current blob, `None` behind its last one or where it was a document.
    pub fn chunk(&mut self) -> Result<Option<Vec<u8>>, ReadError> {
        if self.blob.is_none() {
            return Ok(None);
        }
        let Step::Frame(framed, last) = self.step()? else {
            return Err(damaged(self.walk.spot(), "a frame of the blob is expected here"));
        };
        let content = self.content(framed)?;
        if last {
            self.accept()?;
        }
        Ok(Some(content))
    }

    /// Reads and checks what is left, to the last byte of the last volume.
    pub fn finish(mut self) -> Result<Summary, ReadError> {
        loop {
            if let Some(summary) = self.summary {
                return Ok(summary);
            }
            self.next()?;
        }
    }

    /// Returns the next step inside the content; borders of volumes are checked on the way.
    fn step(&mut self) -> Result<Step, ReadError> {
        loop {
            match self.walk.step()? {
                Step::Volume(end) => {
                    if let Some(step) = self.end_volume(&end)? {
                        return Ok(step);
                    }
                }
                step => return Ok(step),
            }
        }
    }

    fn end_volume(&mut self, end: &VolumeEnd) -> Result<Option<Step>, ReadError> {
        let mut digests = std::mem::take(&mut self.digests);
        if end.last {
            digests.extend(end.seen.last().map(|tail| tail.digest));
        }
        end.compare(&digests)?;
        self.walk.next_volume(end.last)
    }

    /// Checks a frame and returns its content.
    fn content(&mut self, framed: Framed) -> Result<Vec<u8>, ReadError> {
        let digester = self.blob.as_mut().map(|blob| &mut blob.digester);
        let checked = match digester {
            Some(digester) => framed.check(&mut self.unpacker, |block| digester.update(block)),
            None => framed.check(&mut self.unpacker, |_| {}),
        };
        let (digest, unpacked) = checked.map_err(|flaw| damaged(framed.spot.clone(), flaw.to_string()))?;
        self.digests.push(if self.head.is_slot_next() { [0; 32] } else { digest });
        match unpacked {
            Some(content) => {
                self.walk.recycle(framed.bytes);
                Ok(content)
            }
            None => Ok(super::frame::raw_content(framed.bytes, framed.content)),
        }
    }

    /// Returns all content of the entry that began last.
    fn whole(&mut self, size: u64) -> Result<Vec<u8>, ReadError> {
        let mut bytes = Vec::new();
        while (bytes.len() as u64) < size {
            let Step::Frame(framed, last) = self.step()? else {
                return Err(damaged(self.walk.spot(), "a frame of the document is expected here"));
            };
            bytes.extend(self.content(framed)?);
            if last && self.blob.is_some() {
                self.accept()?;
            }
        }
        Ok(bytes)
    }

    /// Ends the current blob, if it is what the inventory promises.
    fn accept(&mut self) -> Result<(), ReadError> {
        let Some(blob) = self.blob.take() else { return Ok(()) };
        let record = &self.walk.inventory[blob.ordinal as usize];
        let found = blob.digester.finish();
        if found == (Content { digest: record.digest.clone(), size: record.size }) {
            return Ok(());
        }
        let length = self.walk.feed.offset().saturating_sub(blob.from.offset);
        let spot = Spot { length, hit: Some(record.digest.to_string()), ..blob.from };
        Err(damaged(spot, format!("the content is {found}")))
    }

    fn head_document(&mut self, number: usize) -> Result<(), ReadError> {
        match self.next_head_document()? {
            found if found == number => Ok(()),
            _ => Err(damaged(self.walk.spot(), "the documents of the head stand in the wrong order")),
        }
    }

    fn next_head_document(&mut self) -> Result<usize, ReadError> {
        let Step::Head(number, size) = self.step()? else {
            return Err(damaged(self.walk.spot(), "a document of the head is expected here"));
        };
        self.head.may_have(number, size, self.walk.spot())?;
        self.head.begin(number);
        let bytes = self.whole(size)?;
        self.head.keep(number, bytes);
        Ok(number)
    }
}

fn broken_decoder(source: io::Error) -> ReadError {
    ReadError::Io { place: "the decoder".to_owned(), offset: 0, source }
}
