//! A folder by its handle: names are looked up in it without following links. Door of rustix.
//!
//! Whoever replaces a folder or a file of the store by a link, a pipe or a device reaches nothing outside of it.

use rustix::fs::{AtFlags, CWD, FileType, Mode, OFlags};
use rustix::io::Errno;
use std::fs::File;
use std::io::{self, Write};
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

/// An open folder.
pub(super) struct Dir {
    handle: OwnedFd,
    path: PathBuf,
}

/// What stands under a name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Standing {
    /// Whether it is a regular file.
    pub regular: bool,
    /// Size in bytes.
    pub size: u64,
    /// Time of the last change, in seconds since 1970.
    pub changed: i64,
    /// Number that the file system gave to it.
    pub inode: u64,
}

const FOLDER: OFlags = OFlags::DIRECTORY.union(OFlags::RDONLY).union(OFlags::CLOEXEC);
/// A pipe must not hold whoever opens it.
const FILE: OFlags = OFlags::NOFOLLOW.union(OFlags::NONBLOCK).union(OFlags::CLOEXEC);

impl Dir {
    /// Opens the folder at `path`, which may be a link: a person named it.
    pub fn open(path: &Path) -> io::Result<Self> {
        let handle = rustix::fs::openat(CWD, path, FOLDER, Mode::empty())?;
        Ok(Self { handle, path: path.to_owned() })
    }

    /// Opens a folder in this one; a link is refused.
    pub fn below(&self, name: &str) -> io::Result<Self> {
        let handle = rustix::fs::openat(&self.handle, name, FOLDER.union(OFlags::NOFOLLOW), Mode::empty());
        Ok(Self { handle: handle.map_err(no_link)?, path: self.path.join(name) })
    }

    /// Opens a folder in this one, and makes it where it is not there.
    pub fn made_below(&self, name: &str) -> io::Result<Self> {
        match rustix::fs::mkdirat(&self.handle, name, Mode::from_raw_mode(0o777)) {
            Ok(()) | Err(Errno::EXIST) => self.below(name),
            Err(error) => Err(error.into()),
        }
    }

    /// Returns where the folder is, for a person.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Opens the regular file `name` for reading; anything else is refused, `NotFound` where there is nothing.
    pub fn file(&self, name: &str) -> io::Result<File> {
        let handle = rustix::fs::openat(&self.handle, name, FILE.union(OFlags::RDONLY), Mode::empty());
        let file = File::from(handle.map_err(no_link)?);
        if file.metadata()?.is_file() { Ok(file) } else { Err(no_file()) }
    }

    /// Makes the file `name`, which nobody may have made before.
    pub fn create(&self, name: &str, mode: u32) -> io::Result<File> {
        let flags = FILE.union(OFlags::CREATE).union(OFlags::EXCL).union(OFlags::RDWR);
        Ok(File::from(rustix::fs::openat(&self.handle, name, flags, Mode::from_raw_mode(mode))?))
    }

    /// Returns what stands under `name`, without following a link.
    pub fn standing(&self, name: &str) -> io::Result<Standing> {
        let found = rustix::fs::statat(&self.handle, name, AtFlags::SYMLINK_NOFOLLOW)?;
        Ok(Standing {
            regular: FileType::from_raw_mode(found.st_mode) == FileType::RegularFile,
            size: u64::try_from(found.st_size).unwrap_or_default(),
            changed: found.st_mtime,
            inode: found.st_ino,
        })
    }

    /// Gives what is called `name` here another name elsewhere, at one stroke.
    pub fn rename(&self, name: &str, to: &Self, new: &str) -> io::Result<()> {
        Ok(rustix::fs::renameat(&self.handle, name, &to.handle, new)?)
    }

    /// Takes the name of a file away.
    pub fn remove(&self, name: &str) -> io::Result<()> {
        Ok(rustix::fs::unlinkat(&self.handle, name, AtFlags::empty())?)
    }

    /// Returns all names, sorted. A name that is no text is shown with its odd bytes replaced.
    pub fn names(&self) -> io::Result<Vec<String>> {
        let mut names = Vec::new();
        for entry in rustix::fs::Dir::read_from(&self.handle)? {
            let name = entry?.file_name().to_string_lossy().into_owned();
            if name != "." && name != ".." {
                names.push(name);
            }
        }
        names.sort();
        Ok(names)
    }

    /// Makes names that were given or taken away durable.
    pub fn sync(&self) -> io::Result<()> {
        Ok(rustix::fs::fsync(&self.handle)?)
    }

    /// Gives `bytes` the name `name`, durably and at one stroke; `draft` is its name until then, and the caller's alone.
    pub fn publish(&self, draft: &str, name: &str, bytes: &[u8]) -> io::Result<()> {
        drop(self.remove(draft)); // of somebody who was killed
        let written = || {
            let mut file = self.create(draft, 0o666)?;
            file.write_all(bytes)?;
            file.sync_all()?;
            self.rename(draft, self, name)?;
            self.sync()
        };
        written().inspect_err(|_| drop(self.remove(draft)))
    }

    /// Opens the file `name` to hold a kernel lock on it; makes it where it is not there and may be made.
    pub fn lock_file(&self, name: &str) -> io::Result<File> {
        let create = FILE.union(OFlags::CREATE).union(OFlags::RDWR);
        match rustix::fs::openat(&self.handle, name, create, Mode::from_raw_mode(0o666)) {
            Ok(handle) => Ok(File::from(handle)),
            // Who may only read can hold a lock too.
            Err(Errno::ROFS | Errno::ACCESS | Errno::PERM) => self.file(name),
            Err(error) => Err(no_link(error)),
        }
    }
}

fn no_file() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, "not a regular file")
}

/// Says of a link what it is: the file system only says that there are too many.
fn no_link(error: Errno) -> io::Error {
    match error {
        Errno::LOOP => io::Error::new(io::ErrorKind::InvalidData, "a link, which is not followed"),
        Errno::NXIO => no_file(),
        other => other.into(),
    }
}
