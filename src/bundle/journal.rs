//! The journal beside the volumes: which blobs are durable (FORMAT.md, "Journal").
//!
//! It saves time and decides nothing: without it every blob is hashed again, with it only the unfinished ones. A
//! record names only what was synced before it. The kernel's lock on the file keeps two runs apart.

use super::assembly::Next;
use super::disk;
use super::fields::{Fields, FieldsMut};
use super::frame;
use super::header::LENGTH as HEADER;
use super::layout::Span;
use super::volumes::VolumeMark;
use super::write_error::WriteError;
use std::ffi::OsStr;
use std::fs::{File, OpenOptions};
use std::io::{Read, Write};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

const MAGIC: &[u8; 8] = b"AIRLJRN1";
const HEAD: usize = 12;
const PLAN: u8 = 1;
const DONE: u8 = 2;
const VOLUME: u8 = 3;
/// Bytes of the fixed fields of a volume's record.
const VOLUME_FIXED: usize = 4 + 8 + 32 + 8 + 4 + 8 + 8 + 8 + 2;

/// A blob that is durable, with the digests of its frames.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct DoneBlob {
    /// Ordinal in the inventory.
    pub ordinal: u32,
    /// BLAKE3 of each frame, in order.
    pub frames: Vec<[u8; 32]>,
}

/// A volume that is durable on a medium, and what the next one starts with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct DoneVolume {
    /// Number from 1.
    pub number: u32,
    /// Bytes of its file.
    pub length: u64,
    /// Its digest.
    pub digest: [u8; 32],
    /// Where it was written; the medium may be elsewhere by now.
    pub path: PathBuf,
    /// What follows; `None` behind the last volume.
    pub next: Option<Next>,
    /// State of the digest of a blob that goes on in the next volume; otherwise empty.
    pub state: Vec<u8>,
}

/// What a journal said.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Known {
    /// Blobs of this set that are durable.
    pub done: Vec<DoneBlob>,
    /// Volumes of this set that are durable, from the first on.
    pub volumes: Vec<DoneVolume>,
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
    /// Where the records of volumes begin.
    volumes: Vec<u64>,
}

/// What the whole records of a set say.
#[derive(Default)]
struct Replayed {
    done: Vec<DoneBlob>,
    volumes: Vec<DoneVolume>,
    /// Where the records of volumes begin.
    starts: Vec<u64>,
}

impl Journal {
    /// Opens and locks the journal at `path` and reads what it says of this set; nothing is written yet.
    pub(super) fn open(path: &Path, set_id: [u8; 32]) -> Result<(Self, Known), WriteError> {
        let mut file = locked(path)?;
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes).map_err(|error| WriteError::disk("read the journal", path, error))?;
        let (found, whole) = replay(&bytes, set_id);
        let (path, is_new, is_ours) = (path.to_owned(), bytes.is_empty(), found.is_some());
        let forgotten = if is_ours { None } else { other_set(&bytes) };
        let Replayed { done, volumes, starts } = found.unwrap_or_default();
        let journal = Self { path, file, is_new, is_ours, whole: whole as u64, volumes: starts };
        Ok((journal, Known { done, volumes, forgotten }))
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

    /// Notes that a volume is durable under its name, on its medium.
    pub(super) fn note_volume(&mut self, done: &DoneVolume) -> Result<(), WriteError> {
        let start = self.file.metadata().map_err(|e| WriteError::disk("read the journal", &self.path, e))?.len();
        self.append(&[record(VOLUME, &done.bytes())])?;
        self.volumes.push(start);
        Ok(())
    }

    /// Forgets the volumes from `number` on: they have to be written again.
    pub(super) fn forget_volumes(&mut self, number: u32) -> Result<(), WriteError> {
        let Some(start) = self.volumes.get(number.saturating_sub(1) as usize).copied() else { return Ok(()) };
        self.volumes.truncate(number.saturating_sub(1) as usize);
        let cut = self.file.set_len(start).and_then(|()| self.file.sync_data());
        cut.map_err(|e| WriteError::disk("write the journal", &self.path, e))
    }

    /// States that the journal cannot be gone by.
    pub(super) fn unusable(&self, why: &str) -> WriteError {
        let source = std::io::Error::new(std::io::ErrorKind::InvalidData, why.to_owned());
        WriteError::Disk { what: "go on by the journal", path: self.path.clone(), source }
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

impl DoneVolume {
    /// Returns the volume as it names itself.
    pub(super) fn mark(&self) -> VolumeMark {
        VolumeMark { number: self.number, path: self.path.clone(), bytes: self.length, digest: Some(self.digest) }
    }

    fn bytes(&self) -> Vec<u8> {
        let path = self.path.as_os_str().as_bytes();
        let mut fixed = [0; VOLUME_FIXED];
        let mut fields = FieldsMut(&mut fixed);
        fields.put_u32(0, self.number);
        fields.put_u64(4, self.length);
        fields.put(12, &self.digest);
        if let Some(Next { entry, frame, span }) = &self.next {
            fields.put_u64(44, *entry as u64);
            fields.put_u32(52, *frame);
            fields.put_u64(56, span.stream_offset);
            fields.put_u64(64, span.plain_offset);
            fields.put_u64(72, span.first_item);
        }
        fields.put(80, &(path.len() as u16).to_le_bytes());
        [&fixed[..], path, &self.state].concat()
    }

    fn parse(body: &[u8]) -> Option<Self> {
        let fields = Fields(body.get(..VOLUME_FIXED)?);
        let (path, state) = body[VOLUME_FIXED..].split_at_checked(usize::from(fields.u16(80)))?;
        let (stream_offset, plain_offset, first_item) = (fields.u64(56), fields.u64(64), fields.u64(72));
        let span = Span { stream_offset, plain_offset, first_item, end: HEADER as u64, records: 0 };
        // No volume starts at the first byte of a set but the first one, which follows none.
        let next = (stream_offset > 0).then_some(Next { entry: fields.u64(44) as usize, frame: fields.u32(52), span });
        Some(Self {
            number: fields.u32(0),
            length: fields.u64(4),
            digest: fields.array(12),
            path: PathBuf::from(OsStr::from_bytes(path)),
            next,
            state: state.to_vec(),
        })
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
fn replay(bytes: &[u8], set_id: [u8; 32]) -> (Option<Replayed>, usize) {
    let mut at = 0;
    let mut found: Option<Replayed> = None;
    while let Some((kind, body)) = next(&bytes[at..]) {
        match (kind, &mut found) {
            (PLAN, None) if body.get(..8) == Some(MAGIC) && body[8..] == set_id => found = Some(Replayed::default()),
            (DONE, Some(found)) if body.len() % 32 == 4 => {
                let frames = body[4..].chunks_exact(32).map(|digest| Fields(digest).array(0)).collect();
                found.done.push(DoneBlob { ordinal: Fields(body).u32(0), frames });
            }
            (VOLUME, Some(found)) => {
                let follows = |volume: &DoneVolume| volume.number as usize == found.volumes.len() + 1;
                let Some(volume) = DoneVolume::parse(body).filter(follows) else { break };
                found.volumes.push(volume);
                found.starts.push(at as u64);
            }
            _ => break,
        }
        at += HEAD + 1 + body.len();
    }
    (found, at)
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
        assert_eq!(known, Known { forgotten: Some([1; 32]), ..Known::default() });
        assert_eq!(open(&path, [2; 32]).1, Known::default());
    }

    fn volume(number: u32, state: Vec<u8>) -> DoneVolume {
        let span = Span { stream_offset: 900, plain_offset: 800, first_item: 7, end: HEADER as u64, records: 0 };
        let next = (number < 3).then_some(Next { entry: 12, frame: 3, span });
        let path = PathBuf::from(format!("/media/{number}/b"));
        DoneVolume { number, length: 300, digest: [number as u8; 32], path, next, state }
    }

    #[test]
    fn finished_volumes_are_known_again_up_to_the_one_that_is_forgotten() {
        let folder = temp();
        let path = folder.path().join("j");
        let (mut journal, _) = open(&path, [1; 32]);
        journal.note(&[blob(3, 2)]).unwrap();
        let volumes = [volume(1, vec![5; 50]), volume(2, Vec::new()), volume(3, Vec::new())];
        volumes.iter().for_each(|volume| journal.note_volume(volume).unwrap());
        drop(journal);
        let (mut journal, known) = open(&path, [1; 32]);
        assert_eq!((known.volumes.as_slice(), known.done.len()), (&volumes[..], 1));
        journal.forget_volumes(2).unwrap();
        journal.note_volume(&volume(2, vec![1])).unwrap();
        drop(journal);
        assert_eq!(open(&path, [1; 32]).1.volumes, [volume(1, vec![5; 50]), volume(2, vec![1])]);
    }

    proptest! {
        #[test]
        fn foreign_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = replay(&bytes, [0; 32]);
        }
    }
}
