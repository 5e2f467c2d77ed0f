//! Gives a paper its name at one stroke: written beside, synced, renamed, folder synced.
//!
//! What is written beside has a name that nobody can guess and is locked while its writer lives. A writer that was killed
//! leaves a file without a lock behind; the next one that writes the same paper removes it.

use super::error::FlowError;
use std::ffi::OsString;
use std::fs::File;
use std::io::{self, ErrorKind, Write};
use std::path::Path;

/// Tries to publish, where another run took our file for one that was left behind, just before it was locked.
const TRIES: usize = 3;

/// Fails where [`publish`] would fail for the sake of the folder; asked before work whose paper must not get lost.
pub fn check_publishable(path: &Path) -> Result<(), FlowError> {
    let probe = || {
        sweep(path)?;
        begin(path).map(drop)
    };
    probe().map_err(|error| FlowError::file(path, "cannot be written", error))
}

/// Writes `bytes` to `path`; whoever looks sees the old paper or the new one, never a half.
pub fn publish(path: &Path, bytes: &[u8]) -> Result<(), FlowError> {
    let fail = |error| FlowError::file(path, "cannot be written", error);
    sweep(path).map_err(fail)?;
    for round in 1..=TRIES {
        match write(path, bytes) {
            Err(error) if error.kind() == ErrorKind::NotFound && round < TRIES => {}
            other => return other.map_err(fail),
        }
    }
    Ok(())
}

fn write(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut part = begin(path)?;
    part.write_all(bytes)?;
    part.as_file().sync_all()?;
    part.persist(path).map_err(|error| error.error)?;
    File::open(folder(path))?.sync_all()
}

/// Makes the file that will become the paper, and locks it.
fn begin(path: &Path) -> io::Result<tempfile::NamedTempFile> {
    let part = tempfile::Builder::new().prefix(&prefix(path)).tempfile_in(folder(path))?;
    // A file system without locks keeps what a killed run left, and nothing else is lost.
    drop(part.as_file().try_lock());
    Ok(part)
}

/// Removes what writers of the same paper left that are dead.
fn sweep(path: &Path) -> io::Result<()> {
    let prefix = prefix(path);
    for entry in std::fs::read_dir(folder(path))? {
        let entry = entry?;
        let ours = entry.file_name().as_encoded_bytes().starts_with(prefix.as_encoded_bytes());
        if ours && entry.file_type()?.is_file() && is_dead(&entry.path()) {
            drop(std::fs::remove_file(entry.path()));
        }
    }
    Ok(())
}

fn is_dead(path: &Path) -> bool {
    File::open(path).is_ok_and(|file| file.try_lock().is_ok())
}

fn prefix(path: &Path) -> OsString {
    let mut prefix = OsString::from(".airlift-");
    prefix.push(path.file_name().unwrap_or_default());
    prefix.push("-");
    prefix
}

fn folder(path: &Path) -> &Path {
    path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(folder: &Path) -> Vec<String> {
        let mut names: Vec<String> =
            std::fs::read_dir(folder).unwrap().map(|e| e.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }

    #[test]
    fn what_a_killed_writer_left_is_removed_and_what_a_live_one_holds_is_not() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("r.json");
        std::fs::write(folder.path().join(".airlift-r.json-dead"), "{").unwrap();
        std::fs::write(folder.path().join(".airlift-other.json-dead"), "{").unwrap();
        let alive = begin(&path).unwrap();
        publish(&path, b"{}").unwrap();
        let held = alive.path().file_name().unwrap().to_str().unwrap().to_owned();
        assert_eq!(names(folder.path()), [".airlift-other.json-dead".to_owned(), held, "r.json".to_owned()]);
        drop(alive);
        check_publishable(&path).unwrap();
        assert_eq!(names(folder.path()), [".airlift-other.json-dead", "r.json"]);
        assert_eq!(std::fs::read(&path).unwrap(), b"{}");
    }

    #[test]
    fn a_folder_that_is_not_there_is_told_beforehand() {
        let folder = tempfile::tempdir().unwrap();
        assert!(check_publishable(&folder.path().join("absent/r.json")).is_err());
    }
}
