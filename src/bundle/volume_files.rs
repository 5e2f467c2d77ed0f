//! The files of a bundle while it is written: their names, a bounded number of open ones, and their publication.
//!
//! A file has the ending `.partial` until the whole set is complete and synced. Volume 1 gets its final name last,
//! so a set whose volume 1 has its name is whole.

use super::disk;
use super::header::{LENGTH as HEADER, VolumeHeader};
use super::layout::Place;
use super::plan::BundlePlan;
use super::write_error::WriteError;
use crate::model::limits;
use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;
use std::fs::{File, OpenOptions};
use std::io::{self, ErrorKind};
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

/// Files that are kept open at one time; more are opened again when they are needed.
const OPEN_FILES: usize = 128;

/// Names of a bundle's files.
#[derive(Debug, Clone)]
pub(super) struct Names {
    stem: PathBuf,
    /// Digits of the number; `None` for one file without number.
    digits: Option<usize>,
}

impl Names {
    /// Returns the names of `plan` written to `out`; an ending `.airlift` of `out` is not doubled.
    pub(super) fn new(plan: &BundlePlan, out: &Path) -> Self {
        let mut stem =
            if out.extension().is_some_and(|e| e == "airlift") { out.with_extension("") } else { out.to_owned() };
        // Nobody shall take a delta for a whole bundle, not even by its name.
        if plan.is_delta() && stem.extension().is_none_or(|e| e != "delta") {
            stem.as_mut_os_string().push(".delta");
        }
        let digits = plan.options.volume_size.as_ref().map(|_| plan.most_volumes().to_string().len().max(3));
        Self { stem, digits }
    }

    /// Returns the final name of volume `number`.
    pub(super) fn last(&self, number: u32) -> PathBuf {
        match self.digits {
            Some(digits) => self.with(&format!(".{number:0digits$}.airlift")),
            None => self.with(".airlift"),
        }
    }

    /// Returns the name of volume `number` while it is written.
    pub(super) fn partial(&self, number: u32) -> PathBuf {
        let mut name = OsString::from(self.last(number));
        name.push(".partial");
        name.into()
    }

    /// Returns the name of the journal.
    pub(super) fn journal(&self) -> PathBuf {
        self.with(".airlift.journal")
    }

    /// Returns the folder of all of them.
    pub(super) fn folder(&self) -> PathBuf {
        disk::folder(&self.stem)
    }

    fn with(&self, ending: &str) -> PathBuf {
        let mut name = OsString::from(&self.stem);
        name.push(ending);
        name.into()
    }
}

#[derive(Default)]
struct Open {
    files: BTreeMap<u32, Arc<File>>,
    unsynced: BTreeSet<u32>,
}

/// Bytes after which what was written is made durable, so that a power cut costs no more than that.
pub(super) const SYNC_EVERY: u64 = 256 << 20;

/// Files of one bundle.
pub(super) struct VolumeFiles {
    pub(super) names: Names,
    open: Mutex<Open>,
    /// Bytes written since the last sync.
    loose: AtomicU64,
    /// Whether a sync failed. The disk may have lost any bytes that were not durable then, so nothing more is claimed.
    spoiled: AtomicBool,
}

impl VolumeFiles {
    /// Returns the files that bear `names`; nothing is touched yet.
    pub(super) fn new(names: Names) -> Self {
        Self { names, open: Mutex::default(), loose: AtomicU64::new(0), spoiled: AtomicBool::new(false) }
    }

    /// Returns where volume `number` is now: its final name where it has got it, otherwise the other one.
    pub(super) fn path(&self, number: u32) -> PathBuf {
        let last = self.names.last(number);
        if last.exists() { last } else { self.names.partial(number) }
    }

    /// Returns the header of a file, `None` where there is no file or no header in it.
    pub(super) fn header_at(path: &Path) -> Option<VolumeHeader> {
        let mut bytes = [0; HEADER];
        File::open(path).and_then(|file| file.read_exact_at(&mut bytes, 0)).ok()?;
        VolumeHeader::parse(&bytes).ok()
    }

    /// Removes what another set left under the partial names of this one, and everything of the set `forgotten`.
    ///
    /// A final name that another set has is refused instead.
    pub(super) fn make_way(&self, set_id: [u8; 32], total: u32, forgotten: Option<[u8; 32]>) -> Result<(), WriteError> {
        for number in 1..=limits::VOLUMES {
            let (partial, last) = (self.names.partial(number), self.names.last(number));
            if last.exists() && Self::header_at(&last).is_none_or(|header| header.set_id != set_id) {
                return Err(WriteError::Exists { path: last, why: "it is no volume of this set".to_owned() });
            }
            if Self::header_at(&partial).is_some_and(|header| header.set_id != set_id) {
                remove(&partial)?;
            }
            let no_more = number >= total && !partial.exists() && !last.exists();
            if no_more || self.names.digits.is_none() {
                break;
            }
        }
        match forgotten {
            Some(other) => self.remove_partials_of(other),
            None => Ok(()),
        }
    }

    fn remove_partials_of(&self, set_id: [u8; 32]) -> Result<(), WriteError> {
        let folder = self.names.folder();
        let fail = |error| WriteError::disk("list", &folder, error);
        for entry in std::fs::read_dir(&folder).map_err(fail)? {
            let path = entry.map_err(fail)?.path();
            let is_partial = path.extension().is_some_and(|e| e == "partial");
            if is_partial && Self::header_at(&path).is_some_and(|header| header.set_id == set_id) {
                remove(&path)?;
            }
        }
        Ok(())
    }

    /// Makes volume `number` `length` bytes long, or longer where it is, with room kept for them.
    pub(super) fn reserve(&self, number: u32, length: u64) -> Result<(), WriteError> {
        let file = self.file(number, true)?;
        disk::reserve(&file, length).map_err(|e| WriteError::disk("reserve", &self.path(number), e))
    }

    /// Returns the bytes that the disk already keeps for volume `number`.
    pub(super) fn kept(&self, number: u32) -> u64 {
        std::fs::metadata(self.path(number)).map_or(0, |found| found.blocks().saturating_mul(512))
    }

    /// Writes bytes to their place.
    pub(super) fn write(&self, at: Place, bytes: &[u8]) -> Result<(), WriteError> {
        let file = self.file(at.volume, true)?;
        self.lock().unsynced.insert(at.volume);
        disk::allowed(at.offset.saturating_add(bytes.len() as u64))
            .and_then(|()| file.write_all_at(bytes, at.offset))
            .map_err(|e| WriteError::disk("write", &self.path(at.volume), e))?;
        let length = bytes.len() as u64;
        if self.loose.fetch_add(length, Ordering::Relaxed) + length >= SYNC_EVERY { self.sync() } else { Ok(()) }
    }

    /// Reads bytes from a place; `false` where the file is shorter or not there.
    pub(super) fn read(&self, at: Place, bytes: &mut [u8]) -> Result<bool, WriteError> {
        let path = self.path(at.volume);
        if !path.exists() {
            return Ok(false);
        }
        match self.file(at.volume, false)?.read_exact_at(bytes, at.offset) {
            Ok(()) => Ok(true),
            Err(error) if error.kind() == ErrorKind::UnexpectedEof => Ok(false),
            Err(error) => Err(WriteError::disk("read", &path, error)),
        }
    }

    /// Returns the length of a volume's file; 0 where it is not there.
    pub(super) fn length(&self, number: u32) -> u64 {
        std::fs::metadata(self.path(number)).map_or(0, |found| found.len())
    }

    /// Sets the exact length of a volume's file.
    pub(super) fn set_length(&self, number: u32, length: u64) -> Result<(), WriteError> {
        let file = self.file(number, true)?;
        self.lock().unsynced.insert(number);
        file.set_len(length).map_err(|e| WriteError::disk("set the length of", &self.path(number), e))
    }

    /// Makes everything written so far durable.
    pub(super) fn sync(&self) -> Result<(), WriteError> {
        self.loose.store(0, Ordering::Relaxed);
        let numbers = std::mem::take(&mut self.lock().unsynced);
        numbers.into_iter().try_for_each(|number| self.sync_one(number, File::sync_data))
    }

    /// Syncs one volume. Where that fails its bytes are given up: a later sync would succeed and prove nothing.
    fn sync_one(&self, number: u32, sync: fn(&File) -> io::Result<()>) -> Result<(), WriteError> {
        let synced = self.file(number, true).and_then(|file| {
            let path = self.path(number);
            sync(&file).map_err(|error| WriteError::disk("sync", &path, error))
        });
        if synced.is_err() {
            self.spoiled.store(true, Ordering::Relaxed);
            // What it has under its final name was durable before; a partial file is written anew by the next run.
            drop(std::fs::remove_file(self.names.partial(number)));
        }
        synced
    }

    /// Returns whether a sync failed.
    pub(super) fn is_spoiled(&self) -> bool {
        self.spoiled.load(Ordering::Relaxed)
    }

    /// Gives all volumes their final names, volume 1 last, and removes partial files behind the last volume.
    pub(super) fn publish(&self, total: u32) -> Result<Vec<PathBuf>, WriteError> {
        (1..=total).try_for_each(|number| self.sync_one(number, File::sync_all))?;
        if self.names.digits.is_some() {
            self.remove_beyond(total)?;
        }
        (2..=total).try_for_each(|number| self.name(number))?;
        self.sync_folder()?;
        self.name(1)?;
        self.sync_folder()?;
        Ok((1..=total).map(|number| self.names.last(number)).collect())
    }

    fn name(&self, number: u32) -> Result<(), WriteError> {
        let (partial, last) = (self.names.partial(number), self.names.last(number));
        if last.exists() {
            return Ok(());
        }
        disk::rename_new(&partial, &last).map_err(|e| WriteError::disk("rename", &partial, e))
    }

    fn remove_beyond(&self, total: u32) -> Result<(), WriteError> {
        for number in total + 1.. {
            let partial = self.names.partial(number);
            match std::fs::remove_file(&partial) {
                Ok(()) => {}
                Err(error) if error.kind() == ErrorKind::NotFound => break,
                Err(error) => return Err(WriteError::disk("remove", &partial, error)),
            }
        }
        Ok(())
    }

    /// Makes new names durable.
    pub(super) fn sync_folder(&self) -> Result<(), WriteError> {
        let folder = self.names.folder();
        disk::sync_folder(&folder).map_err(|e| WriteError::disk("sync", &folder, e))
    }

    fn file(&self, number: u32, create: bool) -> Result<Arc<File>, WriteError> {
        let mut open = self.lock();
        if let Some(file) = open.files.get(&number) {
            return Ok(Arc::clone(file));
        }
        let path = self.path(number);
        let file = open_file(&path, create).map_err(|e| WriteError::disk("open", &path, e))?;
        if open.files.len() >= OPEN_FILES {
            open.files.pop_first();
        }
        let file = Arc::new(file);
        open.files.insert(number, Arc::clone(&file));
        Ok(file)
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Open> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn remove(path: &Path) -> Result<(), WriteError> {
    std::fs::remove_file(path).map_err(|e| WriteError::disk("remove", path, e))
}

fn open_file(path: &Path, create: bool) -> io::Result<File> {
    OpenOptions::new().read(true).write(true).create(create).truncate(false).open(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn files(folder: &Path) -> VolumeFiles {
        VolumeFiles::new(Names { stem: folder.join("b"), digits: None })
    }

    #[test]
    fn a_partial_volume_whose_sync_failed_is_given_up_and_nothing_is_claimed_any_more() {
        let folder = tempfile::tempdir().unwrap();
        let files = files(folder.path());
        // It takes every byte and cannot be synced.
        std::os::unix::fs::symlink("/dev/null", files.names.partial(1)).unwrap();
        files.write(Place { volume: 1, offset: 0 }, b"volume").unwrap();
        assert!(!files.is_spoiled());
        let error = files.sync().unwrap_err().to_string();
        assert!(error.starts_with("cannot sync"), "{error}");
        assert!(files.is_spoiled());
        assert!(files.names.partial(1).symlink_metadata().is_err());
    }

    #[test]
    fn what_is_written_is_made_durable_from_time_to_time() {
        let folder = tempfile::tempdir().unwrap();
        let files = files(folder.path());
        std::os::unix::fs::symlink("/dev/null", files.names.partial(1)).unwrap();
        files.loose.store(SYNC_EVERY - 6, Ordering::Relaxed);
        assert!(files.write(Place { volume: 1, offset: 0 }, b"byte").is_ok());
        assert!(files.write(Place { volume: 1, offset: 4 }, b"byte").is_err());
    }
}
