//! The folder that a registry keeps: blobs under their digest, and who links to them.
//!
//! ```text
//! blobs/<algorithm>/<hex>                               content, once for all repositories
//! repositories/<name>/_blobs/<algorithm>/<hex>          "this repository has the blob": its size
//! repositories/<name>/_manifests/<algorithm>/<hex>      "… has the document": its size and media type
//! repositories/<name>/_tags/<tag>                       the digest that the tag names
//! repositories/<name>/_referrers/<subject>/<referrer>   descriptor of a document about the subject
//! uploads/<run>/                                        unfinished content of one run, swept when the run is gone
//! ```
//!
//! Every file is written elsewhere and renamed, so a name always stands for whole content, and two runs on one
//! folder are harmless. Nothing is flushed to the disk by force: a link states the size, and content of another
//! size (a power loss) counts as absent. No part of a repository name begins with an underscore, so links and
//! nested repositories cannot collide. The content of deleted blobs stays in `blobs/`.

use super::names::Name;
use crate::model::digest::hex;
use crate::model::{Algorithm, Content, Digest, Digester};
use std::fs::{self, File, TryLockError};
use std::hash::{BuildHasher, Hasher, RandomState};
use std::io::{self, ErrorKind, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};
use tempfile::{NamedTempFile, TempDir};

const COPY_BYTES: usize = 256 << 10;
const LOCK: &str = "lock";

/// A registry's folder, open.
#[derive(Debug)]
pub(crate) struct Folder {
    root: PathBuf,
    run: TempDir,
    /// Held while the run lives; the system lets go of it when the process ends, however it ends.
    _lock: File,
    changes: Mutex<()>,
}

/// Content that arrives: in a file without a name in the registry, hashed as it comes.
pub(crate) struct Part {
    file: NamedTempFile,
    digester: Option<(Algorithm, Digester)>,
    size: u64,
}

impl Part {
    /// Takes the next bytes. They are hashed under `expected`, which is fixed by the first call.
    pub(crate) fn append(&mut self, bytes: &[u8], expected: Algorithm) -> io::Result<()> {
        let (_, digester) = self.digester.get_or_insert_with(|| (expected, Digester::new(expected)));
        self.file.write_all(bytes)?;
        digester.update(bytes);
        self.size += bytes.len() as u64;
        Ok(())
    }

    /// Returns the number of bytes taken.
    pub(crate) const fn size(&self) -> u64 {
        self.size
    }

    /// Returns what the bytes turned out to be under `algorithm`. Reads them again where they were hashed under another.
    fn content(&mut self, algorithm: Algorithm) -> io::Result<Content> {
        match self.digester.take() {
            Some((known, digester)) if known == algorithm => Ok(digester.finish()),
            _ => hash(self.file.reopen()?, algorithm),
        }
    }
}

fn hash(mut file: File, algorithm: Algorithm) -> io::Result<Content> {
    let mut digester = Digester::new(algorithm);
    let mut buffer = vec![0; COPY_BYTES];
    loop {
        match file.read(&mut buffer)? {
            0 => return Ok(digester.finish()),
            n => digester.update(&buffer[..n]),
        }
    }
}

impl Folder {
    /// Opens or makes the folder, and sweeps what runs left behind that did not end in order.
    pub(crate) fn open(root: &Path) -> io::Result<Self> {
        for part in ["blobs/sha256", "blobs/sha512", "repositories", "uploads"] {
            fs::create_dir_all(root.join(part))?;
        }
        let uploads = root.join("uploads");
        // Runs begin one after another, so none is swept between making its folder and locking it.
        let beginning = File::create(uploads.join(LOCK))?;
        beginning.lock()?;
        let run = tempfile::Builder::new().prefix("run-").tempdir_in(&uploads)?;
        let lock = File::create(run.path().join(LOCK))?;
        lock.lock()?;
        sweep(&uploads, run.path());
        Ok(Self { root: root.to_owned(), run, _lock: lock, changes: Mutex::new(()) })
    }

    /// Returns the guard under which documents, tags and links change together.
    pub(super) fn changing(&self) -> MutexGuard<'_, ()> {
        // The guard protects no value, so a panic elsewhere leaves nothing half changed in memory.
        self.changes.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Begins content.
    pub(crate) fn begin(&self) -> io::Result<Part> {
        Ok(Part { file: NamedTempFile::new_in(self.run.path())?, digester: None, size: 0 })
    }

    /// Names finished content and links it to `name`, if it is `want`; else drops it and returns what it was.
    pub(crate) fn keep(&self, name: &Name, mut part: Part, want: &Digest) -> io::Result<Result<Content, Content>> {
        let content = part.content(want.algorithm())?;
        if content.digest != *want {
            return Ok(Err(content));
        }
        let home = self.content_path(want);
        if size_of(&home)? != Some(content.size) {
            part.file.persist(&home).map_err(|e| e.error)?;
        }
        self.link(name, want, content.size)?;
        Ok(Ok(content))
    }

    /// Writes bytes that fit into memory under their digest, which the caller has computed.
    pub(super) fn keep_bytes(&self, digest: &Digest, bytes: &[u8]) -> io::Result<()> {
        let home = self.content_path(digest);
        if size_of(&home)? == Some(bytes.len() as u64) { Ok(()) } else { self.write(&home, bytes) }
    }

    /// Returns the size of a blob of `name`; `None` where it does not have it.
    pub(crate) fn blob(&self, name: &Name, digest: &Digest) -> io::Result<Option<u64>> {
        let Some(stated) = read(&self.blob_link(name, digest))? else { return Ok(None) };
        let stated = stated.trim().parse::<u64>().ok();
        let actual = size_of(&self.content_path(digest))?;
        Ok(stated.filter(|_| stated == actual))
    }

    /// Opens content whose presence was asked before.
    pub(crate) fn open_content(&self, digest: &Digest) -> io::Result<File> {
        File::open(self.content_path(digest))
    }

    /// Makes a blob of `from` appear in `to`; `false` where `from` does not have it.
    ///
    /// Without `from` any content will do that is what the digest says, which is read to know.
    pub(crate) fn mount(&self, from: Option<&Name>, to: &Name, digest: &Digest) -> io::Result<bool> {
        let size = match from {
            Some(from) => self.blob(from, digest)?,
            None => match self.open_content(digest) {
                Ok(file) => Some(hash(file, digest.algorithm())?).filter(|c| c.digest == *digest).map(|c| c.size),
                Err(e) if e.kind() == ErrorKind::NotFound => None,
                Err(e) => return Err(e),
            },
        };
        match size {
            Some(size) => self.link(to, digest, size).map(|()| true),
            None => Ok(false),
        }
    }

    /// Forgets that `name` has the blob; `false` where it did not have it.
    pub(crate) fn delete_blob(&self, name: &Name, digest: &Digest) -> io::Result<bool> {
        let _changing = self.changing();
        remove(&self.blob_link(name, digest))
    }

    fn link(&self, name: &Name, digest: &Digest, size: u64) -> io::Result<()> {
        self.write(&self.blob_link(name, digest), size.to_string().as_bytes())
    }

    /// Writes a small file whole: elsewhere first, then renamed.
    pub(super) fn write(&self, path: &Path, bytes: &[u8]) -> io::Result<()> {
        let mut part = NamedTempFile::new_in(self.run.path())?;
        part.write_all(bytes)?;
        match part.persist(path) {
            Ok(_) => Ok(()),
            Err(e) if e.error.kind() == ErrorKind::NotFound => {
                fs::create_dir_all(path.parent().unwrap_or(&self.root))?;
                e.file.persist(path).map(drop).map_err(|e| e.error)
            }
            Err(e) => Err(e.error),
        }
    }

    fn content_path(&self, digest: &Digest) -> PathBuf {
        self.root.join("blobs").join(digest.algorithm().name()).join(digest.hex())
    }

    fn blob_link(&self, name: &Name, digest: &Digest) -> PathBuf {
        self.place(name).join("_blobs").join(digest.algorithm().name()).join(digest.hex())
    }

    /// Returns where the links of `name` are.
    pub(super) fn place(&self, name: &Name) -> PathBuf {
        self.repositories_path().join(name.as_str())
    }

    /// Returns where all repositories are.
    pub(super) fn repositories_path(&self) -> PathBuf {
        self.root.join("repositories")
    }
}

/// Removes what other runs left, where nobody holds their lock any more.
fn sweep(uploads: &Path, own: &Path) {
    let Ok(entries) = fs::read_dir(uploads) else { return };
    for path in entries.flatten().map(|entry| entry.path()).filter(|path| path != own && path.is_dir()) {
        let lock = File::open(path.join(LOCK));
        let held = lock.is_ok_and(|lock| matches!(lock.try_lock(), Err(TryLockError::WouldBlock)));
        if !held {
            // What cannot be swept now is swept by a later run.
            let _ = fs::remove_dir_all(path);
        }
    }
}

/// Returns the text of a small file; `None` where it is not there.
pub(super) fn read(path: &Path) -> io::Result<Option<String>> {
    absent_is_none(fs::read_to_string(path))
}

/// Removes a file; `false` where it was not there.
pub(super) fn remove(path: &Path) -> io::Result<bool> {
    absent_is_none(fs::remove_file(path)).map(|done| done.is_some())
}

/// Returns the size of a file; `None` where it is not there.
pub(super) fn size_of(path: &Path) -> io::Result<Option<u64>> {
    absent_is_none(fs::metadata(path)).map(|found| found.map(|m| m.len()))
}

/// Turns "not there" into `None`. A part of the path that is no folder means the same.
pub(super) fn absent_is_none<T>(result: io::Result<T>) -> io::Result<Option<T>> {
    match result {
        Ok(value) => Ok(Some(value)),
        Err(e) if matches!(e.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => Ok(None),
        Err(e) => Err(e),
    }
}

/// Returns 32 hex digits that nobody can guess: the keyed hash of nothing, under fresh keys of the system.
pub(crate) fn unguessable() -> String {
    let word = || RandomState::new().build_hasher().finish().to_be_bytes();
    hex(&[word(), word()].concat())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(text: &str) -> Name {
        Name::parse(text).unwrap()
    }

    fn put(folder: &Folder, at: &str, bytes: &[u8], want: &Digest) -> Result<Content, Content> {
        let mut part = folder.begin().unwrap();
        part.append(bytes, Algorithm::Sha256).unwrap();
        folder.keep(&name(at), part, want).unwrap()
    }

    #[test]
    fn content_gets_its_name_only_after_it_matched() {
        let root = tempfile::tempdir().unwrap();
        let folder = Folder::open(root.path()).unwrap();
        let digest = Digest::of(b"right");
        assert!(put(&folder, "a", b"wrong", &digest).is_err());
        assert_eq!(folder.blob(&name("a"), &digest).unwrap(), None);
        assert!(folder.open_content(&digest).is_err());
        assert!(put(&folder, "a", b"right", &digest).is_ok());
        assert_eq!(folder.blob(&name("a"), &digest).unwrap(), Some(5));
        assert_eq!(folder.blob(&name("b"), &digest).unwrap(), None, "another repository");
        let long = Digest::of_with(Algorithm::Sha512, b"right");
        assert!(put(&folder, "a", b"right", &long).is_ok(), "hashed again under the other algorithm");
    }

    #[test]
    fn content_of_another_size_than_its_link_counts_as_absent_and_heals() {
        let root = tempfile::tempdir().unwrap();
        let folder = Folder::open(root.path()).unwrap();
        let digest = Digest::of(b"right");
        put(&folder, "a", b"right", &digest).unwrap();
        fs::write(folder.content_path(&digest), b"ri").unwrap();
        assert_eq!(folder.blob(&name("a"), &digest).unwrap(), None);
        assert!(!folder.mount(None, &name("b"), &digest).unwrap());
        put(&folder, "a", b"right", &digest).unwrap();
        assert_eq!(folder.blob(&name("a"), &digest).unwrap(), Some(5));
    }

    #[test]
    fn a_second_run_sweeps_what_a_dead_one_left_and_spares_a_living_one() {
        let root = tempfile::tempdir().unwrap();
        let dead = root.path().join("uploads/run-dead");
        fs::create_dir_all(&dead).unwrap();
        fs::write(dead.join(LOCK), b"").unwrap();
        fs::write(dead.join("rest"), b"x").unwrap();
        let first = Folder::open(root.path()).unwrap();
        assert!(!dead.exists());
        let part = first.begin().unwrap();
        let _second = Folder::open(root.path()).unwrap();
        assert!(part.file.path().exists());
    }

    #[test]
    fn unguessable_words_differ() {
        assert_ne!(unguessable(), unguessable());
        assert_eq!(unguessable().len(), 32);
    }
}
