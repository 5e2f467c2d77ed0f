//! Files of a folder by their names. Links are noted and never followed; pipes and devices are never opened.

use super::table::{Entry, FileTable, Place};
use super::tar_index::Room;
use crate::model::{Fault, FaultKind, limits};
use std::collections::BTreeMap;
use std::fs::{self, FileType};
use std::os::unix::fs::FileTypeExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Folders within folders.
const DEPTH: usize = 64;

/// Lists what is below `folder`. A name that is no text is left out: nothing that is looked for has one.
pub(super) fn walk(folder: &Path, room: Room) -> Result<FileTable, Fault> {
    let place = folder.display().to_string();
    let mut walk = Walk { room, entries: BTreeMap::new(), place: &place };
    walk.list(folder, "", 0)?;
    Ok(FileTable::new(walk.entries, place.clone()))
}

struct Walk<'a> {
    room: Room,
    entries: BTreeMap<String, Entry>,
    place: &'a str,
}

impl Walk<'_> {
    fn list(&mut self, folder: &Path, prefix: &str, depth: usize) -> Result<(), Fault> {
        let fail = |error| Fault::local(folder.display().to_string(), "cannot be read", error);
        if depth > DEPTH {
            let what = format!("its folders lie more than {DEPTH} deep");
            return Err(Fault::new(FaultKind::TooLarge, self.place, what));
        }
        let mut folders: Vec<(PathBuf, String)> = Vec::new();
        for entry in fs::read_dir(folder).map_err(fail)? {
            let entry = entry.map_err(fail)?;
            let Ok(name) = entry.file_name().into_string() else { continue };
            let name = format!("{prefix}{name}");
            if name.len() > limits::ARCHIVE_NAME_BYTES {
                continue;
            }
            self.room.take(&name).map_err(|flaw| flaw.at(self.place))?;
            let kind = entry.file_type().map_err(fail)?;
            if kind.is_dir() {
                folders.push((entry.path(), format!("{name}/")));
                continue;
            }
            let found = match kind.is_file() {
                true => {
                    let size = entry.metadata().map_err(fail)?.len();
                    Entry::File(Place::File { path: Arc::from(entry.path()), size })
                }
                false => Entry::Unread(what_it_is(kind)),
            };
            self.entries.insert(name, found);
        }
        folders.into_iter().try_for_each(|(path, prefix)| self.list(&path, &prefix, depth + 1))
    }
}

fn what_it_is(kind: FileType) -> &'static str {
    match kind {
        kind if kind.is_symlink() => "a link, and links are not followed here",
        kind if kind.is_fifo() => "a pipe",
        kind if kind.is_socket() => "a socket",
        _ => "a device",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::archive::table::read_small;

    #[test]
    fn links_and_pipes_are_noted_and_not_opened() {
        let folder = tempfile::tempdir().unwrap();
        let outside = tempfile::tempdir().unwrap();
        std::fs::write(outside.path().join("secret"), "x").unwrap();
        fs::create_dir(folder.path().join("a")).unwrap();
        fs::write(folder.path().join("a/file"), "abc").unwrap();
        std::os::unix::fs::symlink(outside.path(), folder.path().join("out")).unwrap();
        let pipe = folder.path().join("pipe");
        rustix::fs::mknodat(rustix::fs::CWD, &pipe, rustix::fs::FileType::Fifo, rustix::fs::Mode::RWXU, 0).unwrap();
        let table = walk(folder.path(), Room::default()).unwrap();
        assert_eq!(read_small(table.file("a/file").unwrap().unwrap(), 3).unwrap(), b"abc");
        assert_eq!(read_small(table.file("a/file").unwrap().unwrap(), 2).unwrap_err().kind, FaultKind::TooLarge);
        assert!(table.file("out").unwrap_err().what.contains("is a link"));
        assert!(table.file("out/secret").unwrap().is_none());
        assert!(table.file("pipe").unwrap_err().what.contains("is a pipe"));
    }

    #[test]
    fn files_are_counted() {
        let folder = tempfile::tempdir().unwrap();
        for name in ["a", "b"] {
            fs::write(folder.path().join(name), "").unwrap();
        }
        assert!(walk(folder.path(), Room { entries: 2, names: 2 }).is_ok());
        assert_eq!(walk(folder.path(), Room { entries: 1, names: 2 }).unwrap_err().kind, FaultKind::TooLarge);
        assert_eq!(walk(folder.path(), Room { entries: 2, names: 1 }).unwrap_err().kind, FaultKind::TooLarge);
    }
}
