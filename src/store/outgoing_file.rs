//! A file that gets its name only when it is whole: written beside it as `NAME.partial`, synced, renamed.
//!
//! One run at a time writes it; a run that was killed leaves a `.partial` that the next one begins anew.

use std::ffi::OsString;
use std::fs::{self, File, TryLockError};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// Why a file was not written.
#[derive(Debug, thiserror::Error)]
pub enum OutgoingError {
    /// Another run writes it.
    #[error("{0} is being written by another run")]
    Busy(PathBuf),
    /// Something has the name already.
    #[error("{0} exists and is not replaced")]
    Exists(PathBuf),
    /// There is not enough room.
    #[error("{path} needs {needed} bytes, and {available} are free there")]
    Full {
        /// Which.
        path: PathBuf,
        /// Bytes that it will have.
        needed: u64,
        /// Bytes that this user may still write there.
        available: u64,
    },
    /// The file system failed.
    #[error("{path} cannot be written")]
    Disk {
        /// Which.
        path: PathBuf,
        /// Cause.
        #[source]
        source: io::Error,
    },
}

/// File in the making; goes away unless it is published.
pub struct OutgoingFile {
    path: PathBuf,
    partial: PathBuf,
    file: File,
    published: bool,
}

impl OutgoingFile {
    /// Begins the file that will be called `path` and have `length` bytes. Nothing may have that name yet.
    pub fn create(path: &Path, length: u64) -> Result<Self, OutgoingError> {
        let partial = partial(path);
        if fs::symlink_metadata(path).is_ok() {
            return Err(OutgoingError::Exists(path.to_owned()));
        }
        let disk = |source| OutgoingError::Disk { path: partial.clone(), source };
        loop {
            let open = File::options().read(true).write(true).create(true).truncate(false).open(&partial);
            let file = open.map_err(disk)?;
            match file.try_lock() {
                Ok(()) => {}
                Err(TryLockError::WouldBlock) => return Err(OutgoingError::Busy(path.to_owned())),
                Err(TryLockError::Error(error)) => return Err(disk(error)),
            }
            // Between opening and locking, the other run may have given this very file its final name.
            if same(&file, &partial).map_err(disk)? {
                file.set_len(0).map_err(disk)?;
                let begun = Self { path: path.to_owned(), partial, file, published: false };
                begun.check_room(length)?;
                return Ok(begun);
            }
        }
    }

    fn check_room(&self, needed: u64) -> Result<(), OutgoingError> {
        let found = rustix::fs::fstatvfs(&self.file)
            .map_err(|error| OutgoingError::Disk { path: self.partial.clone(), source: error.into() })?;
        let available = found.f_bavail.saturating_mul(found.f_frsize);
        if needed <= available {
            return Ok(());
        }
        Err(OutgoingError::Full { path: self.path.clone(), needed, available })
    }

    /// Syncs the file and gives it its name, durably.
    pub fn publish(mut self) -> Result<(), OutgoingError> {
        let path = self.path.clone();
        let disk = |source| OutgoingError::Disk { path: path.clone(), source };
        self.file.sync_all().map_err(disk)?;
        rename_new(&self.partial, &path).map_err(|error| match error.kind() {
            io::ErrorKind::AlreadyExists => OutgoingError::Exists(path.clone()),
            _ => disk(error),
        })?;
        self.published = true;
        File::open(folder(&path)).and_then(|folder| folder.sync_all()).map_err(disk)
    }
}

impl Write for OutgoingFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.file.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

impl Drop for OutgoingFile {
    fn drop(&mut self) {
        if !self.published {
            // What is left after all is begun anew by the next run.
            drop(fs::remove_file(&self.partial));
        }
    }
}

/// Returns whether `path` is a regular file of `length` bytes that ends with `tail`.
pub fn ends_with(path: &Path, length: u64, tail: &[u8]) -> io::Result<bool> {
    let known = match fs::symlink_metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
        other => other?,
    };
    if !known.is_file() || known.len() != length || length < tail.len() as u64 {
        return Ok(false);
    }
    let mut file = File::open(path)?;
    file.seek(SeekFrom::Start(length - tail.len() as u64))?;
    let mut found = Vec::new();
    file.take(tail.len() as u64).read_to_end(&mut found)?;
    Ok(found == tail)
}

fn partial(path: &Path) -> PathBuf {
    let mut name = path.file_name().map(OsString::from).unwrap_or_default();
    name.push(".partial");
    path.with_file_name(name)
}

fn folder(path: &Path) -> &Path {
    path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

fn same(file: &File, path: &Path) -> io::Result<bool> {
    let own = file.metadata()?;
    match fs::symlink_metadata(path) {
        Ok(there) if !there.is_file() => Err(io::Error::other("not a regular file")),
        Ok(there) => Ok((there.dev(), there.ino()) == (own.dev(), own.ino())),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error),
    }
}

fn rename_new(from: &Path, to: &Path) -> io::Result<()> {
    use rustix::fs::{CWD, RenameFlags, renameat_with};
    use rustix::io::Errno;
    match renameat_with(CWD, from, CWD, to, RenameFlags::NOREPLACE) {
        Ok(()) => Ok(()),
        Err(Errno::INVAL | Errno::NOSYS | Errno::OPNOTSUPP) if !to.try_exists()? => fs::rename(from, to),
        Err(error) => Err(error.into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(folder: &Path) -> Vec<String> {
        let mut names: Vec<String> =
            fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }

    #[test]
    fn a_file_has_its_name_only_when_it_is_whole() {
        let place = tempfile::tempdir().unwrap();
        let path = place.path().join("a.tar");
        let mut file = OutgoingFile::create(&path, 5).unwrap();
        file.write_all(b"right").unwrap();
        assert_eq!(names(place.path()), ["a.tar.partial"]);
        file.publish().unwrap();
        assert_eq!(names(place.path()), ["a.tar"]);
        assert!(ends_with(&path, 5, b"ight").unwrap());
        assert!(!ends_with(&path, 6, b"ight").unwrap() && !ends_with(&path, 5, b"left").unwrap());
        assert!(!ends_with(&place.path().join("b"), 0, b"").unwrap());
    }

    #[test]
    fn what_is_not_published_goes_away_and_what_a_killed_run_left_is_begun_anew() {
        let place = tempfile::tempdir().unwrap();
        let path = place.path().join("a.tar");
        fs::write(place.path().join("a.tar.partial"), "much that a killed run wrote").unwrap();
        drop(OutgoingFile::create(&path, 5).unwrap());
        assert!(names(place.path()).is_empty());
        fs::write(place.path().join("a.tar.partial"), "much that a killed run wrote").unwrap();
        let mut file = OutgoingFile::create(&path, 5).unwrap();
        file.write_all(b"new").unwrap();
        file.publish().unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"new");
    }

    #[test]
    fn nothing_is_replaced_and_two_runs_exclude_each_other() {
        let place = tempfile::tempdir().unwrap();
        let path = place.path().join("a.tar");
        let first = OutgoingFile::create(&path, 5).unwrap();
        assert!(matches!(OutgoingFile::create(&path, 5), Err(OutgoingError::Busy(_))));
        fs::write(&path, "somebody else's").unwrap();
        assert!(matches!(first.publish(), Err(OutgoingError::Exists(_))));
        assert!(matches!(OutgoingFile::create(&path, 5), Err(OutgoingError::Exists(_))));
        assert_eq!(fs::read(&path).unwrap(), b"somebody else's");
        assert_eq!(names(place.path()), ["a.tar"]);
    }

    #[test]
    fn too_little_room_is_said_before_the_first_byte_and_leaves_nothing() {
        let place = tempfile::tempdir().unwrap();
        let error = OutgoingFile::create(&place.path().join("a.tar"), u64::MAX).err().unwrap();
        assert!(matches!(error, OutgoingError::Full { needed: u64::MAX, .. }), "{error:?}");
        assert!(names(place.path()).is_empty());
    }

    #[test]
    fn a_link_in_the_place_of_the_partial_file_is_not_followed() {
        let place = tempfile::tempdir().unwrap();
        let other = place.path().join("other");
        fs::write(&other, "precious").unwrap();
        std::os::unix::fs::symlink(&other, place.path().join("a.tar.partial")).unwrap();
        assert!(matches!(OutgoingFile::create(&place.path().join("a.tar"), 5), Err(OutgoingError::Disk { .. })));
        assert_eq!(fs::read(&other).unwrap(), b"precious");
    }
}
