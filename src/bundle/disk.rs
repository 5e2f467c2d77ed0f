//! What the standard library does not offer of a file system. Door of rustix.

use rustix::fs::{self, Advice, CWD, FallocateFlags, FlockOperation, RenameFlags};
use rustix::io::Errno;
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};

/// Locks a file for this process until it is closed; `false` where somebody else holds it.
pub(super) fn lock(file: &File) -> io::Result<bool> {
    match fs::flock(file, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => Ok(true),
        Err(error) if error == Errno::WOULDBLOCK => Ok(false),
        Err(error) => Err(error.into()),
    }
}

/// Makes a file at least `length` bytes long and asks the file system to keep room for them.
///
/// Where it cannot keep room, the file is only made long: a full disk then shows while writing.
pub(super) fn reserve(file: &File, length: u64) -> io::Result<()> {
    allowed(length)?;
    if file.metadata()?.len() < length {
        file.set_len(length)?;
    }
    // A signal may end the call before it is done; it is asked for again, as the standard library does with writes.
    match rustix::io::retry_on_intr(|| fs::fallocate(file, FallocateFlags::empty(), 0, length)) {
        Err(error) if !matches!(error, Errno::OPNOTSUPP | Errno::NOSYS | Errno::INVAL) => Err(error.into()),
        _ => Ok(()),
    }
}

/// Tells the kernel that a file will be read from its start to its end, so that it reads ahead far.
pub(super) fn will_be_read_in_order(file: &File) {
    // Advice only: where it is not taken, reading is slower and nothing else.
    let _ = fs::fadvise(file, 0, None, Advice::Sequential);
}

/// Returns the bytes that the file system of `folder` offers to this user.
pub(super) fn available(folder: &Path) -> io::Result<u64> {
    Ok(left(folder)?.0)
}

/// Returns the bytes and the new files that the file system of `folder` offers to this user.
pub(super) fn left(folder: &Path) -> io::Result<(u64, u64)> {
    let found = fs::statvfs(folder)?;
    // Some file systems count no files; they say so with zeros everywhere.
    let files = if found.f_files == 0 { u64::MAX } else { found.f_favail };
    Ok((found.f_bavail.saturating_mul(found.f_frsize), files))
}

/// Returns the bytes that the file system offers to this user where a bundle is written with the path prefix `out`.
pub fn free_at(out: &Path) -> io::Result<u64> {
    available(&nearest_folder(&folder(out)))
}

/// Returns `folder`, or the nearest folder above it that is there.
pub fn nearest_folder(folder: &Path) -> PathBuf {
    let there = folder.ancestors().find(|above| above.is_dir());
    there.filter(|above| !above.as_os_str().is_empty()).map_or_else(|| PathBuf::from("."), Path::to_path_buf)
}

/// Returns the bytes that the disk keeps for a file; 0 where there is none.
pub(super) fn kept(path: &Path) -> u64 {
    use std::os::unix::fs::MetadataExt;
    std::fs::metadata(path).map_or(0, |found| found.blocks().saturating_mul(512))
}

/// Returns which file `path` names, by device and number.
pub(super) fn inode(path: &Path) -> Option<(u64, u64)> {
    use std::os::unix::fs::MetadataExt;
    std::fs::metadata(path).ok().map(|found| (found.dev(), found.ino()))
}

/// Returns whether `path` names the very file that is open.
pub(super) fn is_named(file: &File, path: &Path) -> bool {
    use std::os::unix::fs::MetadataExt;
    file.metadata().is_ok_and(|open| inode(path) == Some((open.dev(), open.ino())))
}

/// Largest file of FAT32 and its older kin, which have 4 bytes for a size.
const FAT_LARGEST: u64 = (1 << 32) - 1;
/// What `statfs` calls them (statfs(2), `MSDOS_SUPER_MAGIC`).
const FAT: fs::FsWord = 0x4d44;

/// Fails where a file may not have `length` bytes by the limit of this session (`ulimit -f`).
///
/// The kernel would end the program with a signal for it, without a word to whoever reads.
pub(super) fn allowed(length: u64) -> io::Result<()> {
    match rustix::process::getrlimit(rustix::process::Resource::Fsize).current {
        Some(limit) if length > limit => Err(io::Error::from(io::ErrorKind::FileTooLarge)),
        _ => Ok(()),
    }
}

/// Returns the bytes that a file in `folder` may have, as far as is known.
pub(super) fn largest_file(folder: &Path) -> u64 {
    let session = rustix::process::getrlimit(rustix::process::Resource::Fsize).current.unwrap_or(u64::MAX);
    let fat = fs::statfs(folder).is_ok_and(|found| found.f_type == FAT);
    if fat { session.min(FAT_LARGEST) } else { session }
}

/// Drops what memory keeps of a file that is synced, so that it is read from its medium again.
pub(super) fn forget_pages(file: &File) -> io::Result<()> {
    Ok(fs::fadvise(file, 0, None, fs::Advice::DontNeed)?)
}

/// Makes renames and new names in `folder` durable.
pub(super) fn sync_folder(folder: &Path) -> io::Result<()> {
    File::open(folder)?.sync_all()
}

/// Gives a file its final name, which nothing has yet.
pub(super) fn rename_new(from: &Path, to: &Path) -> io::Result<()> {
    match fs::renameat_with(CWD, from, CWD, to, RenameFlags::NOREPLACE) {
        Ok(()) => Ok(()),
        Err(Errno::INVAL | Errno::NOSYS | Errno::OPNOTSUPP) if !to.try_exists()? => std::fs::rename(from, to),
        Err(error) => Err(error.into()),
    }
}

/// Returns the folder of a path; the current one for a bare name.
pub(super) fn folder(path: &Path) -> PathBuf {
    match path.parent() {
        Some(parent) if parent.as_os_str().is_empty() => PathBuf::from("."),
        Some(parent) => parent.to_owned(),
        None => PathBuf::from("."),
    }
}
