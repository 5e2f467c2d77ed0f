//! Files by their names, wherever they lie: in a tar, in a folder, or in a temporary copy.

use super::joined::{Joined, Stretch, open_regular};
use super::tar_index::Item;
use crate::model::{Fault, FaultKind};
use std::collections::BTreeMap;
use std::io::{self, Read, Seek, SeekFrom};
use std::path::Path;
use std::sync::Arc;

/// Where the bytes of a file are.
#[derive(Debug, Clone)]
pub(super) enum Place {
    /// Within a tar.
    Piece {
        /// Bytes of the tar.
        of: Arc<Joined>,
        /// Place of its first byte.
        at: u64,
        /// Bytes.
        size: u64,
    },
    /// A file of its own.
    File {
        /// Where.
        path: Arc<Path>,
        /// Bytes, when it was looked at.
        size: u64,
    },
}

impl Place {
    /// Returns how many bytes there are.
    pub(super) const fn size(&self) -> u64 {
        match self {
            Self::Piece { size, .. } | Self::File { size, .. } => *size,
        }
    }

    /// Opens the bytes from `from` on.
    pub(super) fn open(&self, from: u64) -> io::Result<Box<dyn Read + Send>> {
        match self {
            Self::Piece { of, at, size } => {
                let first = at.saturating_add(from.min(*size));
                Ok(Box::new(Stretch::new(Arc::clone(of), first, at.saturating_add(*size))))
            }
            Self::File { path, .. } => {
                let fail = |error| Fault::local(path.display().to_string(), "cannot be read", error).into_io();
                let mut file = open_regular(path, false).map_err(fail)?;
                file.seek(SeekFrom::Start(from)).map_err(fail)?;
                Ok(Box::new(file))
            }
        }
    }
}

/// What stands under a name.
#[derive(Debug, Clone)]
pub(super) enum Entry {
    /// A file.
    File(Place),
    /// A link to this name of the table, from a tar.
    Link(String),
    /// Something that is never read: a link, a pipe or a device in a folder.
    Unread(&'static str),
}

/// Files of one archive or folder.
#[derive(Debug)]
pub(super) struct FileTable {
    entries: BTreeMap<String, Entry>,
    place: String,
}

impl FileTable {
    /// Takes entries of what a person calls `place`.
    pub(super) fn new(entries: BTreeMap<String, Entry>, place: impl Into<String>) -> Self {
        Self { entries, place: place.into() }
    }

    /// Takes the items of a tar, whose bytes are `of`.
    pub(super) fn of_tar(items: BTreeMap<String, Item>, of: &Arc<Joined>, place: impl Into<String>) -> Self {
        let entry = |item| match item {
            Item::File { at, size } => Entry::File(Place::Piece { of: Arc::clone(of), at, size }),
            Item::Link(target) => Entry::Link(target),
        };
        Self::new(items.into_iter().map(|(name, item)| (name, entry(item))).collect(), place)
    }

    /// Takes up the files of another archive of the same set; no name may stand in both.
    pub(super) fn join(&mut self, other: Self) -> Result<(), Fault> {
        for (name, entry) in other.entries {
            if self.entries.contains_key(&name) {
                return Err(Fault::new(
                    FaultKind::Malformed,
                    other.place,
                    format!("{name:?} is in an earlier one too"),
                ));
            }
            self.entries.insert(name, entry);
        }
        Ok(())
    }

    /// Returns where it was found, for a person.
    pub(super) fn place(&self) -> &str {
        &self.place
    }

    /// Returns whether anything stands under `name`.
    pub(super) fn has(&self, name: &str) -> bool {
        self.entries.contains_key(name)
    }

    /// Returns everything below `folder`, which ends with `/`, by the rest of its name.
    pub(super) fn below<'a>(&'a self, folder: &'a str) -> impl Iterator<Item = (&'a str, &'a Entry)> {
        let all = self.entries.range::<str, _>((std::ops::Bound::Included(folder), std::ops::Bound::Unbounded));
        all.map_while(move |(name, entry)| Some((name.strip_prefix(folder)?, entry)))
    }

    /// Returns the folder, empty or with `/` at its end, in which `marker` stands: the top, or the only folder that has it.
    pub(super) fn root(&self, marker: &str) -> Option<String> {
        if self.has(marker) {
            return Some(String::new());
        }
        let ends = format!("/{marker}");
        let mut found = self.entries.keys().filter_map(|name| name.strip_suffix(ends.as_str()));
        let first = found.find(|folder| !folder.contains('/'))?.to_owned();
        let other = found.any(|folder| !folder.contains('/'));
        (!other).then(|| format!("{first}/"))
    }

    /// Returns the file at `name`. A link in its place is not followed.
    pub(super) fn file(&self, name: &str) -> Result<Option<&Place>, Fault> {
        match self.entries.get(name) {
            None => Ok(None),
            Some(Entry::File(place)) => Ok(Some(place)),
            Some(entry) => Err(self.refuse(name, entry)),
        }
    }

    /// Returns the file at `name`, or the one that a link there stands for. Only one link is followed, within the table.
    pub(super) fn linked_file(&self, name: &str) -> Result<Option<&Place>, Fault> {
        match self.entries.get(name) {
            Some(Entry::Link(target)) => match self.entries.get(target) {
                Some(Entry::File(place)) => Ok(Some(place)),
                Some(_) => Err(self.malformed(format!("{name:?} is a link to a link"))),
                None => Err(self.malformed(format!("{name:?} is a link to {target:?}, which is not in it"))),
            },
            _ => self.file(name),
        }
    }

    /// Reads the whole file at `name`, which has at most `limit` bytes.
    pub(super) fn small(&self, name: &str, limit: u64) -> Result<Option<Vec<u8>>, Fault> {
        let Some(place) = self.file(name)? else { return Ok(None) };
        read_small(place, limit).map_err(|fault| self.named(name, fault)).map(Some)
    }

    /// Refuses what is no file.
    pub(super) fn refuse(&self, name: &str, entry: &Entry) -> Fault {
        let what = match entry {
            Entry::File(_) => "a file",
            Entry::Link(_) => "a link, and links are not followed here",
            Entry::Unread(what) => what,
        };
        self.malformed(format!("{name:?} is {what}"))
    }

    /// States that it is not of the form that was expected.
    pub(super) fn malformed(&self, what: impl Into<String>) -> Fault {
        Fault::new(FaultKind::Malformed, self.place.clone(), what)
    }

    fn named(&self, name: &str, fault: Fault) -> Fault {
        Fault { place: self.place.clone(), what: format!("{name:?}: {}", fault.what), ..fault }
    }
}

/// Reads all bytes at `place`, of which there are at most `limit`.
pub(super) fn read_small(place: &Place, limit: u64) -> Result<Vec<u8>, Fault> {
    let size = place.size();
    if size > limit {
        return Err(Fault::new(FaultKind::TooLarge, "", format!("it has {size} bytes, the limit is {limit}")));
    }
    let mut bytes = Vec::with_capacity(usize::try_from(size).unwrap_or_default());
    let opened = place.open(0).and_then(|content| content.take(size + 1).read_to_end(&mut bytes));
    opened.map_err(|error| Fault::from_io(error, "", "cannot be read"))?;
    if bytes.len() as u64 == size {
        return Ok(bytes);
    }
    Err(Fault::new(FaultKind::Damaged, "", format!("it has {} bytes and had {size} before", bytes.len())))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table(names: &[&str]) -> FileTable {
        let of = Arc::new(Joined::memory(b""));
        let items = names.iter().map(|name| match name.split_once('>') {
            Some((name, target)) => (name.to_owned(), Item::Link(target.to_owned())),
            None => ((*name).to_owned(), Item::File { at: 0, size: 0 }),
        });
        FileTable::of_tar(items.collect(), &of, "x.tar")
    }

    #[test]
    fn the_root_is_the_top_or_the_only_folder_with_the_marker() {
        assert_eq!(table(&["oci-layout", "a/oci-layout"]).root("oci-layout").unwrap(), "");
        assert_eq!(table(&["a/oci-layout", "a/b/oci-layout"]).root("oci-layout").unwrap(), "a/");
        assert_eq!(table(&["a/oci-layout", "b/oci-layout"]).root("oci-layout"), None);
        assert_eq!(table(&["a/b/oci-layout", "xoci-layout"]).root("oci-layout"), None);
    }

    #[test]
    fn one_link_is_followed_where_it_is_asked_for_and_none_elsewhere() {
        let table = table(&["file", "soft>file", "twice>soft", "dangling>nothing"]);
        assert!(table.linked_file("soft").unwrap().is_some() && table.linked_file("file").unwrap().is_some());
        assert!(table.linked_file("absent").unwrap().is_none());
        assert!(table.linked_file("twice").unwrap_err().what.contains("link to a link"));
        assert!(table.linked_file("dangling").unwrap_err().what.contains("not in it"));
        assert!(table.file("soft").unwrap_err().what.contains("not followed"));
    }

    #[test]
    fn names_below_a_folder_are_those_and_no_neighbours() {
        let table = table(&["a", "a.b", "a/x", "a/y/z", "a0", "b"]);
        assert_eq!(table.below("a/").map(|(name, _)| name).collect::<Vec<_>>(), ["x", "y/z"]);
    }
}
