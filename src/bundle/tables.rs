//! Tables of volume files: read from the end of a file, checked against the volume's own digest.

use super::frames::damaged;
use super::header::{LENGTH as HEADER, VolumeHeader};
use super::read_error::{ReadError, Spot, refused};
use super::trailer::{FOOTER, Footer, RECORD, Record, SKIP_HEAD, SKIPPABLE_MAX, TRAILER};
use std::fs::File;
use std::io::ErrorKind;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

/// A volume file with its table.
pub(super) struct Volume {
    /// Where it is.
    pub path: PathBuf,
    /// Its header.
    pub header: VolumeHeader,
    /// Its frames but for glue, in order, none over another, all before [`Self::end`].
    pub records: Vec<Record>,
    /// Where the trailer starts.
    pub end: u64,
    /// Digest that the volume states of itself: of its header, its table and its footer.
    pub digest: [u8; 32],
}

impl Volume {
    /// Opens a volume and reads its table.
    ///
    /// Nothing here is signed: it says where to look, and what is found there is checked.
    pub(super) fn open(path: &Path) -> Result<Self, ReadError> {
        let place = path.display().to_string();
        let fail = |source| ReadError::Io { place: place.clone(), offset: 0, source };
        let file = File::open(path).map_err(fail)?;
        let length = file.metadata().map_err(fail)?.len();
        let (mut head, mut last) = ([0; HEADER], [0; FOOTER]);
        let least = (HEADER + SKIP_HEAD + FOOTER) as u64;
        let spot = |offset, length| Spot { volume: 0, file: place.clone(), offset, length, hit: None };
        if length < least {
            return Err(damaged(spot(0, length), "the volume ends early"));
        }
        file.read_exact_at(&mut head, 0).map_err(fail)?;
        let header = VolumeHeader::parse(&head).map_err(|flaw| refused(flaw, place.clone(), 0))?;
        let spot = |offset, length| Spot { volume: header.number, ..spot(offset, length) };
        file.read_exact_at(&mut last, length - FOOTER as u64).map_err(fail)?;
        let at = spot(length - FOOTER as u64, FOOTER as u64);
        let footer = Footer::parse(&last).filter(|footer| footer.file_length == length);
        let footer = footer.ok_or_else(|| damaged(at.clone(), "the footer of the volume is damaged, or cut off"))?;
        let table_at =
            (length - FOOTER as u64).checked_sub(footer.table_length).filter(|at| *at >= least - FOOTER as u64);
        let Some(table_at) = table_at.filter(|_| footer.table_length <= SKIPPABLE_MAX) else {
            return Err(damaged(at, "the footer states a table that does not fit"));
        };
        let mut table = vec![0; SKIP_HEAD + footer.table_length as usize];
        let end = table_at - SKIP_HEAD as u64;
        file.read_exact_at(&mut table, end).map_err(fail)?;
        let (skip, table) = table.split_at(SKIP_HEAD);
        let stated = (footer.table_length as u32).saturating_add(FOOTER as u32).to_le_bytes();
        let whole = skip == [TRAILER, stated].concat() && footer.expected(&head, table) == footer.digest;
        if !whole || (footer.number, footer.set_id) != (header.number, header.set_id) {
            let what = "header, table and footer do not match the digest of the volume";
            return Err(damaged(spot(end, length - end), what));
        }
        let records =
            records(table, end).ok_or_else(|| damaged(spot(end, length - end), "the table is not in order"))?;
        Ok(Self { path: path.to_owned(), header, records, end, digest: footer.digest })
    }

    /// Returns a range of this volume.
    pub(super) fn spot(&self, offset: u64, length: u64) -> Spot {
        Spot { volume: self.header.number, file: self.path.display().to_string(), offset, length, hit: None }
    }

    /// Fills `bytes` from `offset`. The file is opened each time: a set may have more volumes than a process files.
    pub(super) fn read(&self, offset: u64, bytes: &mut [u8]) -> Result<(), ReadError> {
        let read = File::open(&self.path).and_then(|file| file.read_exact_at(bytes, offset));
        match read {
            Err(error) if error.kind() == ErrorKind::UnexpectedEof => {
                Err(damaged(self.spot(offset, bytes.len() as u64), "the volume ends early"))
            }
            other => other.map_err(|source| ReadError::Io { place: self.path.display().to_string(), offset, source }),
        }
    }
}

/// Returns the records of a table whose frames lie between header and `end` without touching each other.
fn records(table: &[u8], end: u64) -> Option<Vec<Record>> {
    let mut records = Vec::with_capacity(table.len() / RECORD);
    let mut from = HEADER as u64;
    let mut chunks = table.chunks_exact(RECORD);
    for bytes in &mut chunks {
        let record = Record::parse(bytes.try_into().ok()?)?;
        if record.offset < from || record.end() > end {
            return None;
        }
        from = record.end();
        records.push(record);
    }
    chunks.remainder().is_empty().then_some(records)
}
