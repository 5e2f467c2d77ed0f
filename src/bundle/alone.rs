//! Checks one volume by itself: its table against its frames, and everything between them.
//!
//! Needs no other volume. What it cannot tell is whether blobs are what the inventory promises.

use super::access;
use super::blob_check::Ledger;
use super::compress::Unpacker;
use super::frame;
use super::frames::{Framed, damaged};
use super::header::LENGTH as HEADER;
use super::inventory::InventoryRecord;
use super::read_error::ReadError;
use super::tables::Volume;
use super::tarhead;
use super::trailer::{Kind, Record, SLOT, Tail};
use std::collections::BTreeMap;
use std::fs::File;
use std::io::ErrorKind;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

/// Reads frames at the places that a walk found.
pub(super) struct Places<'a> {
    files: &'a BTreeMap<u32, PathBuf>,
    open: Option<(u32, File)>,
    spare: Vec<u8>,
}

impl<'a> Places<'a> {
    /// Starts with the volumes by number.
    pub(super) fn new(files: &'a BTreeMap<u32, PathBuf>) -> Self {
        Self { files, open: None, spare: Vec::new() }
    }

    /// Reads the bytes of a frame whose place is known.
    pub(super) fn load(&mut self, framed: &mut Framed) -> Result<(), ReadError> {
        let spot = &framed.spot;
        let fail = |source| ReadError::Io { place: spot.file.clone(), offset: spot.offset, source };
        let open = self.open.take().filter(|(volume, _)| *volume == spot.volume);
        let file = match (open, self.files.get(&spot.volume)) {
            (Some((_, file)), _) => file,
            (None, Some(path)) => File::open(path).map_err(fail)?,
            (None, None) => return Err(damaged(spot.clone(), "the volume is gone")),
        };
        framed.bytes = std::mem::take(&mut self.spare);
        framed.bytes.resize(spot.length as usize, 0);
        match file.read_exact_at(&mut framed.bytes, spot.offset) {
            Err(error) if error.kind() == ErrorKind::UnexpectedEof => {
                return Err(damaged(spot.clone(), "the volume ends early"));
            }
            other => other.map_err(fail)?,
        }
        self.open = Some((spot.volume, file));
        Ok(())
    }

    /// Takes back memory.
    pub(super) fn recycle(&mut self, bytes: Vec<u8>) {
        self.spare = bytes;
    }
}

/// Checks the volume at `path`. Blobs are named by the inventory and the number of entries before them, if known.
pub(super) fn check(path: &Path, known: (&[InventoryRecord], u64), ledger: &Ledger, moved: &(dyn Fn(u64) + Sync)) {
    let volume = match Volume::open(path) {
        Ok(volume) => volume,
        Err(error) => return ledger.find(&error),
    };
    let Some(mut unpacker) = ledger.unpacker() else { return };
    let mut from = HEADER as u64;
    for record in &volume.records {
        between(&volume, from, record.offset, ledger);
        if let Err(error) = listed(&volume, record, &mut unpacker) {
            ledger.find(&named(error, record, known));
        }
        from = record.end();
        moved(u64::from(record.length));
    }
    between(&volume, from, volume.end, ledger);
}

fn named(error: ReadError, record: &Record, (inventory, head): (&[InventoryRecord], u64)) -> ReadError {
    let ReadError::Damaged { mut spot, what } = error else { return error };
    let ordinal = record.entry.checked_sub(head).and_then(|ordinal| usize::try_from(ordinal).ok());
    spot.hit = match ordinal.and_then(|ordinal| inventory.get(ordinal)) {
        Some(blob) => Some(blob.digest.to_string()),
        None => Some(format!("entry {}", record.entry)),
    };
    ReadError::Damaged { spot, what }
}

/// Checks a frame that the table lists.
fn listed(volume: &Volume, record: &Record, unpacker: &mut Unpacker) -> Result<(), ReadError> {
    if record.kind == Kind::Tail {
        return tail(volume, record);
    }
    let framed = access::frame_at(volume, record)?;
    let checked = framed.check(unpacker, |_| {});
    let (digest, _) = checked.map_err(|flaw| damaged(framed.spot.clone(), flaw.to_string()))?;
    let stated = if record.kind == Kind::Slot { digest } else { record.digest };
    if digest == stated { Ok(()) } else { Err(damaged(framed.spot, "the frame is not the one that the table names")) }
}

fn tail(volume: &Volume, record: &Record) -> Result<(), ReadError> {
    let spot = volume.spot(record.offset, u64::from(record.length));
    if u64::from(record.length) != super::trailer::tail_length(volume.header.number) {
        return Err(damaged(spot, "the tail has not the length that belongs here"));
    }
    let mut bytes = vec![0; record.length as usize];
    volume.read(record.offset, &mut bytes)?;
    let slot = bytes.len() - SLOT;
    let whole = Tail::record(&bytes, record.entry, record.offset) == *record;
    if whole && bytes[slot..].iter().all(|byte| *byte == 0) {
        return Ok(());
    }
    Err(damaged(spot, "the tail is not the one that the table names"))
}

/// Checks glue between two frames, or at the ends of a volume: any number of openings, each as it is written.
fn between(volume: &Volume, from: u64, to: u64, ledger: &Ledger) {
    let spot = volume.spot(from, to - from);
    let mut bytes = vec![0; (to - from) as usize];
    if let Err(error) = volume.read(from, &mut bytes) {
        return ledger.find(&error);
    }
    let mut at = 0;
    while at < bytes.len() {
        let frame = frame::glue_length(&bytes[at..])
            .and_then(|length| frame::unglue(&bytes[at..at + length]).map(|c| (length, c)));
        match frame {
            Some((length, content)) if is_opening(&content) => at += length,
            _ => return ledger.find(&damaged(spot, "padding or a tar header is not as it was written")),
        }
    }
}

/// Returns whether glue is the opening of some entry behind some other, or the ending.
fn is_opening(content: &[u8]) -> bool {
    // The padding alone tells how the entry before ended; its name and size do not matter.
    (0..512).any(|padding| {
        let before = (512 - padding) % 512;
        let header = content.len().checked_sub(padding as usize);
        match header {
            Some(512 | 1536) => tarhead::read(content, before).is_some(),
            Some(1024) => content == tarhead::ending(before),
            _ => false,
        }
    })
}
