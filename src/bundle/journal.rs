//! The journal beside the volumes: which blobs are durable (FORMAT.md, "Journal").
//!
//! It saves time and decides nothing: without it every blob is hashed again, with it only the unfinished ones. A
//! record names only what was synced before it. The kernel's lock on the file keeps two runs apart.

use super::disk;
use super::fields::Fields;
use super::frame;
use super::write_error::WriteError;
use std::fs::{File, OpenOptions};
use std::io::{Read, Write};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

const MAGIC: &[u8; 8] = b"AIRLJRN1";
const HEAD: usize = 12;
const PLAN: u8 = 1;
const DONE: u8 = 2;

/// A blob that is durable, with the digests of its frames.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct DoneBlob {
    /// Ordinal in the inventory.
    pub ordinal: u32,
    /// BLAKE3 of each frame, in order.
    pub frames: Vec<[u8; 32]>,
}

/// What a journal said.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Known {
    /// Blobs of this set that are durable.
    pub done: Vec<DoneBlob>,
    /// Another set that the journal was kept for until now.
    pub forgotten: Option<[u8; 32]>,
}

/// Journal of one set, locked.
pub(super) struct Journal {
    path: PathBuf,
    file: File,
    is_new: bool,
    is_ours: bool,
    /// Bytes of whole records of this set.
    whole: u64,
}

impl Journal {
    /// Opens and locks the journal at `path` and reads what it says of this set; nothing is written yet.
    pub(super) fn open(path: &Path, set_id: [u8; 32]) -> Result<(Self, Known), WriteError> {
        let mut file = locked(path)?;
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes).map_err(|error| WriteError::disk("read the journal", path, error))?;
        let (done, whole) = replay(&bytes, set_id);
        let known = match &done {
            Some(done) => Known { done: done.clone(), forgotten: None },
            None => Known { done: Vec::new(), forgotten: other_set(&bytes) },
        };
        let (path, is_new, is_ours) = (path.to_owned(), bytes.is_empty(), done.is_some());
        Ok((Self { path, file, is_new, is_ours, whole: whole as u64 }, known))
    }

    /// Makes the journal that of this set: what it says of another one, and a torn end, are cut off.
    pub(super) fn claim(&mut self, set_id: [u8; 32]) -> Result<(), WriteError> {
        let cut = self.file.set_len(self.whole);
        cut.map_err(|error| WriteError::disk("write the journal", &self.path, error))?;
        self.is_new = false;
        if self.is_ours { Ok(()) } else { self.append(&[record(PLAN, &[MAGIC, &set_id[..]].concat())]) }
    }

    /// Leaves no file behind where there was none.
    pub(super) fn give_up(&self) {
        if self.is_new {
            // An empty journal that stays says nothing and harms nobody.
            let _ = std::fs::remove_file(&self.path);
        }
    }

    /// Notes that blobs are durable; their bytes were synced before.
    pub(super) fn note(&mut self, done: &[DoneBlob]) -> Result<(), WriteError> {
        let bytes = |blob: &DoneBlob| {
            let mut body = blob.ordinal.to_le_bytes().to_vec();
            blob.frames.iter().for_each(|digest| body.extend(digest));
            record(DONE, &body)
        };
        if done.is_empty() { Ok(()) } else { self.append(&done.iter().map(bytes).collect::<Vec<_>>()) }
    }

    /// Removes the journal of a set that is complete; the lock holds on until this is dropped.
    pub(super) fn remove(&self) -> Result<(), WriteError> {
        std::fs::remove_file(&self.path).map_err(|e| WriteError::disk("remove", &self.path, e))
    }

    fn append(&mut self, records: &[Vec<u8>]) -> Result<(), WriteError> {
        let written = self.file.write_all(&records.concat()).and_then(|()| self.file.sync_data());
        written.map_err(|e| WriteError::disk("write the journal", &self.path, e))
    }
}

/// Opens the file and locks it; a file that was removed while we waited for nobody is opened again.
fn locked(path: &Path) -> Result<File, WriteError> {
    let fail = |error| WriteError::disk("open the journal", path, error);
    loop {
        let mut options = OpenOptions::new();
        let file = options.read(true).append(true).create(true).open(path).map_err(fail)?;
        if !disk::lock(&file).map_err(fail)? {
            return Err(WriteError::Busy(path.to_owned()));
        }
        let ours = file.metadata().map_err(fail)?;
        match std::fs::metadata(path) {
            Ok(named) if (named.dev(), named.ino()) == (ours.dev(), ours.ino()) => return Ok(file),
            _ => {}
        }
    }
}

fn record(kind: u8, body: &[u8]) -> Vec<u8> {
    let mut bytes = (body.len() as u32 + 1).to_le_bytes().to_vec();
    let content = [&[kind], body].concat();
    bytes.extend(frame::checksum(&content).to_le_bytes());
    bytes.extend(content);
    bytes
}

/// Returns what the records say and how many bytes of them are whole; `None` where they are of another set.
fn replay(bytes: &[u8], set_id: [u8; 32]) -> (Option<Vec<DoneBlob>>, usize) {
    let mut at = 0;
    let mut done: Option<Vec<DoneBlob>> = None;
    while let Some((kind, body)) = next(&bytes[at..]) {
        match (kind, &mut done) {
            (PLAN, None) if body.get(..8) == Some(MAGIC) && body[8..] == set_id => done = Some(Vec::new()),
            (DONE, Some(done)) if body.len() % 32 == 4 => {
                let frames = body[4..].chunks_exact(32).map(|digest| Fields(digest).array(0)).collect();
                done.push(DoneBlob { ordinal: Fields(body).u32(0), frames });
            }
            _ => break,
        }
        at += HEAD + 1 + body.len();
    }
    (done, at)
}

/// Returns the set that a journal was kept for.
fn other_set(bytes: &[u8]) -> Option<[u8; 32]> {
    let (kind, body) = next(bytes)?;
    let named = kind == PLAN && body.len() == MAGIC.len() + 32 && body.starts_with(MAGIC);
    named.then(|| Fields(body).array(MAGIC.len()))
}

fn next(bytes: &[u8]) -> Option<(u8, &[u8])> {
    let head = Fields(bytes.get(..HEAD)?);
    let content = bytes.get(HEAD..HEAD.checked_add(head.u32(0) as usize)?)?;
    let (kind, body) = content.split_first()?;
    (frame::checksum(content) == head.u64(4)).then_some((*kind, body))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn blob(ordinal: u32, frames: u8) -> DoneBlob {
        DoneBlob { ordinal, frames: (0..frames).map(|n| [n; 32]).collect() }
    }

    fn open(path: &Path, set_id: [u8; 32]) -> (Journal, Known) {
        let (mut journal, known) = Journal::open(path, set_id).unwrap();
        journal.claim(set_id).unwrap();
        (journal, known)
    }

    fn temp() -> tempfile::TempDir {
        tempfile::tempdir().unwrap()
    }

    #[test]
    fn what_was_noted_is_known_again() {
        let folder = temp();
        let path = folder.path().join("j");
        let (mut journal, known) = open(&path, [1; 32]);
        assert_eq!(known, Known::default());
        journal.note(&[blob(3, 2), blob(9, 0)]).unwrap();
        journal.note(&[blob(4, 1)]).unwrap();
        drop(journal);
        let (_, known) = open(&path, [1; 32]);
        assert_eq!(known.done, [blob(3, 2), blob(9, 0), blob(4, 1)]);
    }

    #[test]
    fn a_second_run_is_told_that_the_first_one_holds_it() {
        let folder = temp();
        let path = folder.path().join("j");
        let (journal, _) = open(&path, [1; 32]);
        assert!(matches!(Journal::open(&path, [1; 32]), Err(WriteError::Busy(held)) if held == path));
        drop(journal);
        assert!(Journal::open(&path, [1; 32]).is_ok());
    }

    #[test]
    fn a_cut_journal_keeps_its_whole_records_and_goes_on_behind_them() {
        let folder = temp();
        let path = folder.path().join("j");
        let (mut journal, _) = open(&path, [1; 32]);
        journal.note(&[blob(3, 2), blob(4, 2)]).unwrap();
        drop(journal);
        let whole = std::fs::read(&path).unwrap();
        for cut in 0..whole.len() {
            std::fs::write(&path, &whole[..cut]).unwrap();
            let (mut journal, known) = open(&path, [1; 32]);
            let before = known.done;
            journal.note(&[blob(7, 1)]).unwrap();
            drop(journal);
            let after = open(&path, [1; 32]).1.done;
            assert_eq!(after, [before, vec![blob(7, 1)]].concat(), "cut at {cut}");
        }
    }

    #[test]
    fn a_journal_of_another_set_is_forgotten() {
        let folder = temp();
        let path = folder.path().join("j");
        let (mut journal, _) = open(&path, [1; 32]);
        journal.note(&[blob(3, 2)]).unwrap();
        drop(journal);
        let known = open(&path, [2; 32]).1;
        assert_eq!(known, Known { done: Vec::new(), forgotten: Some([1; 32]) });
        assert_eq!(open(&path, [2; 32]).1, Known::default());
    }

    proptest! {
        #[test]
        fn foreign_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = replay(&bytes, [0; 32]);
        }
    }
}
