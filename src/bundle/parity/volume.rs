//! Files of parity volumes: known by header or footer, whatever they are called, and read at any place.

use super::scheme::Scheme;
use super::segment::SegmentHead;
use crate::bundle::header::{LENGTH as HEADER, VolumeHeader, VolumeKind};
use crate::bundle::read_error::SetName;
use crate::bundle::trailer::{FOOTER, Footer, PARITY, RECORD};
use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, ErrorKind};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

/// Files that are kept open at one time; more are opened again when they are needed.
const OPEN_FILES: usize = 400;
/// Records of a table that are tried where a head cannot be read.
const TRIED: usize = 64;

/// What a file says that it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Identity {
    /// What it is for.
    pub kind: VolumeKind,
    /// The cut that it belongs to.
    pub set_id: [u8; 32],
    /// Number from 1.
    pub number: u32,
}

/// Returns what a file says that it is, in its header or, where that is damaged, in its footer.
pub(super) fn identify(path: &Path) -> Option<Identity> {
    let file = File::open(path).ok().filter(|file| file.metadata().is_ok_and(|meta| meta.is_file()))?;
    let mut head = [0; HEADER];
    let header = file.read_exact_at(&mut head, 0).ok().and_then(|()| VolumeHeader::parse_any(&head).ok());
    if let Some((kind, header)) = header {
        return Some(Identity { kind, set_id: header.set_id, number: header.number });
    }
    let footer = footer(&file)?;
    let kind = if footer.flags == PARITY { VolumeKind::Parity } else { VolumeKind::Data };
    Some(Identity { kind, set_id: footer.set_id, number: footer.number })
}

/// Returns the footer of a file.
fn footer(file: &File) -> Option<Footer> {
    let at = file.metadata().ok()?.len().checked_sub(FOOTER as u64)?;
    let mut bytes = [0; FOOTER];
    file.read_exact_at(&mut bytes, at).ok()?;
    Footer::parse_any(&bytes)
}

/// Returns whether a file is a parity volume, and of which bundle and cut where its header is intact.
pub(in crate::bundle) fn is_parity(path: &Path) -> Option<Option<SetName>> {
    identify(path).filter(|found| found.kind == VolumeKind::Parity)?;
    let mut head = [0; HEADER];
    let header = File::open(path).and_then(|file| file.read_exact_at(&mut head, 0)).ok();
    let header = header.and_then(|()| VolumeHeader::parse_any(&head).ok());
    Some(header.map(|(_, header)| SetName { bundle: header.bundle_id, set: header.set_id }))
}

/// Files that are read at any place by many threads; only some are open at one time.
#[derive(Debug, Default)]
pub(super) struct Files {
    open: Mutex<BTreeMap<PathBuf, Arc<File>>>,
}

impl Files {
    /// Fills `bytes` from `offset`; `false` where the file ends before.
    pub(super) fn read(&self, path: &Path, offset: u64, bytes: &mut [u8]) -> io::Result<bool> {
        match self.file(path)?.read_exact_at(bytes, offset) {
            Ok(()) => Ok(true),
            Err(error) if error.kind() == ErrorKind::UnexpectedEof => Ok(false),
            Err(error) => Err(error),
        }
    }

    fn file(&self, path: &Path) -> io::Result<Arc<File>> {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(file) = open.get(path) {
            return Ok(Arc::clone(file));
        }
        let file = Arc::new(File::open(path)?);
        crate::bundle::disk::will_be_read_in_order(&file);
        if open.len() >= OPEN_FILES {
            open.pop_first();
        }
        open.insert(path.to_owned(), Arc::clone(&file));
        Ok(file)
    }
}

/// A parity volume of which at least one segment can be read.
#[derive(Debug)]
pub(super) struct ParityFile {
    /// Where it is.
    pub path: PathBuf,
    /// Number from 1.
    pub number: u32,
    /// The parity set.
    pub scheme: Scheme,
}

impl ParityFile {
    /// Opens a parity volume by the first segment of it that can be read; `known` tells where others may stand.
    pub(super) fn open(path: &Path, known: Option<&Scheme>) -> Option<Self> {
        let file = File::open(path).ok()?;
        let from_scheme =
            |scheme: &Scheme| (0..scheme.segments()).map(|s| scheme.frame_offset(s)).collect::<Vec<u64>>();
        let mut offsets: Vec<u64> = vec![HEADER as u64];
        offsets.extend(listed(&file).unwrap_or_default());
        offsets.extend(known.map(from_scheme).unwrap_or_default());
        let head = offsets.into_iter().find_map(|offset| head_at(&file, offset))?;
        Some(Self { path: path.to_owned(), number: head.number, scheme: head.scheme })
    }

    /// Returns whether every byte of the file is as it was written.
    pub(super) fn is_whole(&self) -> bool {
        let set = is_parity(&self.path).flatten();
        set.is_some_and(
            |set| matches!(super::check_file(&self.path, set, &|_| {}), (Some(_), flaws) if flaws.is_empty()),
        )
    }

    /// Reads the head of a segment, where it is whole and belongs here.
    pub(super) fn head(&self, segment: u64) -> Option<SegmentHead> {
        let head = head_at(&File::open(&self.path).ok()?, self.scheme.frame_offset(segment))?;
        let belongs = (head.number, head.segment) == (self.number, segment) && head.scheme == self.scheme;
        belongs.then_some(head)
    }
}

/// Returns the places of frames that the table of a parity volume lists.
fn listed(file: &File) -> Option<Vec<u64>> {
    let footer = footer(file)?;
    let length = file.metadata().ok()?.len();
    let table = length.checked_sub(FOOTER as u64)?.checked_sub(footer.table_length)?;
    let count = (footer.table_length as usize / RECORD).min(TRIED);
    let mut bytes = vec![0; count * RECORD];
    file.read_exact_at(&mut bytes, table).ok()?;
    Some(bytes.chunks_exact(RECORD).map(|record| crate::bundle::fields::Fields(record).u64(16)).collect())
}

fn head_at(file: &File, mut offset: u64) -> Option<SegmentHead> {
    let mut read = |bytes: &mut [u8]| {
        file.read_exact_at(bytes, offset)?;
        offset = offset.saturating_add(bytes.len() as u64);
        Ok::<_, io::Error>(())
    };
    SegmentHead::read(&mut read).ok()?.ok()
}
