//! Random access to the blobs of a bundle in files, by the tables of its volumes. Nothing is unpacked to disk.
//!
//! Tables are not signed. They say where to look; every chunk is checked against its frame and its table, and a
//! blob that is read from its first byte is checked against the inventory before its last chunk is handed out.

use super::compress::{self, Unpacker};
use super::feed::Input;
use super::frame::{self, Coding, Head};
use super::frames::{Framed, damaged};
use super::inventory::InventoryRecord;
use super::plan::Papers;
use super::read_error::ReadError;
use super::reader::BundleReader;
use super::tables::Volume;
use super::trailer::{Kind, Record};
use super::volumes;
use crate::model::{Digest, Digester, Fault, FaultKind};
use std::collections::HashMap;
use std::io::{self, Read};
use std::path::PathBuf;
use std::sync::Arc;

/// A bundle in files that is open for reading anywhere.
pub struct OpenBundle {
    shared: Arc<Shared>,
    statement: Vec<u8>,
    envelope: Option<Vec<u8>>,
    bundle_id: Digest,
    papers: Papers,
    ordinals: HashMap<Digest, u32>,
}

struct Shared {
    volumes: Vec<Volume>,
    inventory: Vec<InventoryRecord>,
    /// Frames of blobs with the index of their volume, by ordinal and chunk.
    frames: Vec<(u32, Record)>,
    /// Where the frames of each ordinal start.
    firsts: Vec<usize>,
    chunk_size: u64,
}

impl OpenBundle {
    /// Opens the volumes of one bundle and reads its head and tables.
    ///
    /// Nothing is known to be authentic until the caller has judged [`Self::statement`].
    pub fn open(files: &[PathBuf]) -> Result<Self, ReadError> {
        let mut reader = BundleReader::open(Input::Files(files.to_vec()))?;
        let papers = reader.papers()?;
        let survey = volumes::survey(files);
        let volumes: Result<Vec<Volume>, ReadError> = survey.volumes.values().map(|path| Volume::open(path)).collect();
        let volumes = volumes?;
        let inventory = reader.inventory().to_vec();
        let head = papers.entries();
        let chunk_size = volumes.first().map_or(1, |volume| u64::from(volume.header.chunk_size)).max(1);
        let (frames, firsts) = frames(&volumes, &inventory, head, chunk_size)?;
        Ok(Self {
            statement: reader.statement().to_vec(),
            envelope: reader.envelope().map(<[u8]>::to_vec),
            bundle_id: reader.bundle_id().clone(),
            papers,
            ordinals: (0..)
                .zip(&inventory)
                .filter(|(_, record)| !record.omitted)
                .map(|(ordinal, record)| (record.digest.clone(), ordinal))
                .collect(),
            shared: Arc::new(Shared { volumes, inventory, frames, firsts, chunk_size }),
        })
    }

    /// Returns the bytes of `airlift/head.json`: what is signed.
    pub fn statement(&self) -> &[u8] {
        &self.statement
    }

    /// Returns the envelope over the statement, where there is one.
    pub fn envelope(&self) -> Option<&[u8]> {
        self.envelope.as_deref()
    }

    /// Returns the digest of the statement.
    pub fn bundle_id(&self) -> &Digest {
        &self.bundle_id
    }

    /// Returns the papers, checked against the statement.
    pub fn papers(&self) -> &Papers {
        &self.papers
    }

    /// Returns all blobs in the order of the inventory, those that are left out too.
    pub fn inventory(&self) -> &[InventoryRecord] {
        &self.shared.inventory
    }

    /// Returns where a blob comes in the stream, compared with others; `None` where the bundle does not hold it.
    ///
    /// What is stored as it is comes before what is packed, each in the order of the inventory.
    pub fn place(&self, digest: &Digest) -> Option<(bool, u32)> {
        let ordinal = *self.ordinals.get(digest)?;
        let (first, end) = (self.shared.firsts[ordinal as usize], self.shared.firsts[ordinal as usize + 1]);
        let frame = self.shared.frames[first..end].first();
        Some((frame.is_some_and(|(_, record)| !matches!(record.kind, Kind::Raw | Kind::Slot)), ordinal))
    }

    /// Opens a blob at offset `from`; `None` where the bundle does not hold it.
    ///
    /// A failure while reading is a [`Fault`] inside the I/O error.
    pub fn blob(&self, digest: &Digest, from: u64) -> Result<Option<Box<dyn Read + Send>>, ReadError> {
        let Some(ordinal) = self.ordinals.get(digest) else { return Ok(None) };
        let unpacker =
            Unpacker::new().map_err(|source| ReadError::Io { place: "the decoder".to_owned(), offset: 0, source })?;
        let first = self.shared.firsts[*ordinal as usize];
        let skipped = from / self.shared.chunk_size;
        let reader = BlobReader {
            digester: (from == 0).then(|| Digester::new(digest.algorithm())),
            next: first.saturating_add(usize::try_from(skipped).unwrap_or(usize::MAX)),
            end: self.shared.firsts[*ordinal as usize + 1],
            skip: (from % self.shared.chunk_size) as usize,
            shared: Arc::clone(&self.shared),
            ordinal: *ordinal,
            content: Vec::new(),
            at: 0,
            unpacker,
        };
        Ok(Some(Box::new(reader)))
    }
}

/// Frames with the index of their volume, and where those of each blob start.
type Frames = (Vec<(u32, Record)>, Vec<usize>);

/// Returns the frames of all blobs by ordinal and chunk, and where those of each start.
fn frames(volumes: &[Volume], inventory: &[InventoryRecord], head: u64, chunk_size: u64) -> Result<Frames, ReadError> {
    let mut frames = Vec::new();
    for (index, volume) in (0..).zip(volumes) {
        let of_blobs = volume.records.iter().filter(|record| record.entry >= head && record.kind != Kind::Tail);
        frames.extend(of_blobs.map(|record| (index, *record)));
    }
    frames.sort_by_key(|(_, record)| (record.entry, record.chunk));
    let mut firsts: Vec<usize> = vec![0];
    for (ordinal, blob) in (0..).zip(inventory) {
        let first = firsts[firsts.len() - 1];
        let chunks = if blob.omitted { 0 } else { blob.size.div_ceil(chunk_size) };
        let count = usize::try_from(chunks).unwrap_or(usize::MAX);
        let own = frames.get(first..first.saturating_add(count)).unwrap_or_default();
        let right = own.len() == count
            && (0..).zip(own).all(|(number, (_, record))| {
                let content = chunk_size.min(blob.size - u64::from(number) * chunk_size);
                (record.entry, record.chunk) == (head + ordinal, number) && u64::from(record.content) == content
            });
        if !right {
            let spot = volumes.first().map_or_else(Default::default, |volume| volume.spot(volume.end, 0));
            return Err(damaged(spot, format!("the tables do not list the frames of {} once each", blob.digest)));
        }
        firsts.push(first + count);
    }
    Ok((frames, firsts))
}

struct BlobReader {
    shared: Arc<Shared>,
    ordinal: u32,
    next: usize,
    end: usize,
    /// Bytes of the next chunk that come before the offset asked for.
    skip: usize,
    content: Vec<u8>,
    at: usize,
    digester: Option<Digester>,
    unpacker: Unpacker,
}

impl BlobReader {
    /// Reads and checks the next chunk.
    fn advance(&mut self) -> Result<(), ReadError> {
        let shared = Arc::clone(&self.shared);
        let (index, record) = &shared.frames[self.next];
        let volume = &shared.volumes[*index as usize];
        let framed = frame_at(volume, record)?;
        let digester = &mut self.digester;
        let mut each = |block: &[u8]| {
            if let Some(digester) = digester {
                digester.update(block);
            }
        };
        let (digest, unpacked) = framed
            .check(&mut self.unpacker, &mut each)
            .map_err(|flaw| damaged(framed.spot.clone(), flaw.to_string()))?;
        if digest != record.digest {
            return Err(damaged(framed.spot, "the frame is not the one that the table of its volume names"));
        }
        self.next += 1;
        let blob = &shared.inventory[self.ordinal as usize];
        let is_last = self.next == self.end;
        if let Some(digester) = self.digester.take_if(|_| is_last) {
            let found = digester.finish();
            if (found.digest != blob.digest) || found.size != blob.size {
                return Err(damaged(framed.spot, format!("the content of {} is {found}", blob.digest)));
            }
        }
        self.content = unpacked.unwrap_or_else(|| frame::raw_content(framed.bytes, framed.content));
        self.at = std::mem::take(&mut self.skip);
        Ok(())
    }
}

/// Reads the frame that a record names, if one of that form stands there.
pub(super) fn frame_at(volume: &Volume, record: &Record) -> Result<Framed, ReadError> {
    let spot = volume.spot(record.offset, u64::from(record.length));
    let content = u64::from(record.content);
    let raw = matches!(record.kind, Kind::Raw | Kind::Slot);
    let longest = if raw { frame::raw_length(content) } else { compress::bound(content) };
    if u64::from(record.length) > longest || content > u64::from(volume.header.chunk_size) {
        return Err(damaged(spot, "the table states a frame that is too long"));
    }
    let mut bytes = vec![0; record.length as usize];
    volume.read(record.offset, &mut bytes)?;
    let (expected, coding) = match raw {
        true => (frame::raw_head(content).to_vec(), Coding::Raw),
        false => (frame::packed_head(content), Coding::Packed),
    };
    let whole = raw || frame::packed_length(&bytes) == Some(bytes.len());
    let head = bytes.get(..expected.len()).and_then(Head::parse);
    if !whole || head.is_none_or(|head| (head.coding, head.content) != (coding, content)) {
        return Err(damaged(spot, "the frame that the table names does not stand there"));
    }
    Ok(Framed { coding, content: record.content as usize, bytes, spot, record: 0 })
}

impl Read for BlobReader {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while self.at >= self.content.len() {
            if self.next >= self.end || buffer.is_empty() {
                return Ok(0);
            }
            self.advance().map_err(|error| {
                let kind = if matches!(error, ReadError::Io { .. }) { FaultKind::Local } else { FaultKind::Damaged };
                let digest = self.shared.inventory[self.ordinal as usize].digest.to_string();
                Fault::new(kind, digest, error.to_string()).because(error).into_io()
            })?;
        }
        let n = buffer.len().min(self.content.len() - self.at);
        buffer[..n].copy_from_slice(&self.content[self.at..self.at + n]);
        self.at += n;
        Ok(n)
    }
}
