//! Files that the mirror file names: found, read within limits, and called what the person called them.
//!
//! Names that begin with a dot are left out of folders, as version control and editors keep theirs there.
//! Links to folders are followed once.

use super::select::{Pattern, SelectError};
use crate::document::PaperError;
use crate::document::yaml;
use crate::model::fault::printable;
use crate::model::limits;
use std::collections::BTreeSet;
use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};

/// Files that one entry of a mirror file may lead to.
const FILES: usize = 100_000;
/// Folders within folders.
const DEPTH: usize = 64;

/// Why a file or folder cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum FileError {
    /// Nothing is there, or it cannot be read.
    #[error("cannot read {place}: {cause}")]
    Read {
        /// Path as the person called it.
        place: String,
        /// What the system said.
        cause: std::io::Error,
    },
    /// Larger than a paper may be, or no text.
    #[error(transparent)]
    Paper(#[from] PaperError),
    /// A pattern of paths is none.
    #[error(transparent)]
    Pattern(#[from] SelectError),
    /// A folder or pattern leads to no file.
    #[error("{place} leads to no file that ends in {endings}")]
    Nothing {
        /// Path as the person called it.
        place: String,
        /// Endings that count.
        endings: String,
    },
    /// A folder holds more than is reasonable.
    #[error("{place} has more than {FILES} files or folders nested deeper than {DEPTH}")]
    TooMany {
        /// Path as the person called it.
        place: String,
    },
}

/// File to read, and what the person calls it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Named {
    /// What the person calls it.
    pub shown: String,
    /// Where it is.
    pub path: PathBuf,
}

impl Named {
    /// Takes a path as typed; a relative one is meant from `base`.
    pub fn new(base: &Path, typed: &str) -> Self {
        let shown = typed.strip_prefix("./").unwrap_or(typed).trim_end_matches('/');
        let shown = if shown.is_empty() { typed } else { shown };
        Self { shown: shown.to_owned(), path: base.join(typed) }
    }

    /// Returns what is below this folder under `name`.
    pub fn join(&self, name: &str) -> Self {
        let safe = if name.contains(char::is_control) { printable(name) } else { name.to_owned() };
        let shown = if self.shown == "." { safe } else { format!("{}/{safe}", self.shown) };
        Self { shown, path: self.path.join(name) }
    }

    /// Returns the folder around this file.
    pub fn parent(&self) -> Self {
        let shown = self.shown.rsplit_once('/').map_or(".", |(folder, _)| folder);
        Self { shown: shown.to_owned(), path: self.path.parent().unwrap_or(&self.path).to_owned() }
    }

    /// Reads the file; one byte past the limit is read to tell that it is too long.
    pub fn read(&self) -> Result<Vec<u8>, FileError> {
        let failed = |cause| FileError::Read { place: self.shown.clone(), cause };
        let mut bytes = Vec::new();
        let file = fs::File::open(&self.path).map_err(failed)?;
        file.take(limits::PAPER_BYTES + 1).read_to_end(&mut bytes).map_err(failed)?;
        Ok(bytes)
    }

    /// Reads the file as text.
    pub fn read_text(&self) -> Result<String, FileError> {
        Ok(yaml::decode(&self.read()?, &self.shown)?.to_owned())
    }
}

/// Returns the files that `typed` leads to: the file itself, or what is in the folder or fits the pattern and
/// has one of `endings`. In the order of their names.
pub fn find(base: &Path, typed: &str, endings: &[&str]) -> Result<Vec<Named>, FileError> {
    let named = Named::new(base, typed);
    let found = if typed.contains(['*', '?', '[', '{']) {
        let pattern: Pattern = named.shown.parse()?;
        let fixed: Vec<&str> = typed.split('/').take_while(|part| !part.contains(['*', '?', '[', '{'])).collect();
        let root = if fixed.is_empty() { ".".to_owned() } else { fixed.join("/") };
        let root = Named::new(base, if root.is_empty() { "/" } else { &root });
        let mut files = walk(&root)?;
        files.retain(|file| pattern.fits(&file.shown));
        files
    } else if named.path.is_dir() {
        walk(&named)?
    } else {
        return Ok(vec![named]);
    };
    let ends = |file: &Named| endings.iter().any(|ending| file.shown.ends_with(ending));
    let found: Vec<Named> = found.into_iter().filter(ends).collect();
    if found.is_empty() {
        return Err(FileError::Nothing { place: typed.to_owned(), endings: endings.join(", ") });
    }
    Ok(found)
}

/// Returns every file below a folder, in the order of the names.
pub fn walk(folder: &Named) -> Result<Vec<Named>, FileError> {
    let mut files = Vec::new();
    let mut seen = BTreeSet::new();
    visit(folder, 0, &mut seen, &mut files)?;
    files.sort();
    Ok(files)
}

/// Returns what is in a folder, in the order of the names.
pub fn children(folder: &Named) -> Result<Vec<Named>, FileError> {
    let failed = |cause| FileError::Read { place: folder.shown.clone(), cause };
    let mut children = Vec::new();
    for entry in fs::read_dir(&folder.path).map_err(failed)? {
        let name = entry.map_err(failed)?.file_name();
        let name = name.to_string_lossy();
        if !name.starts_with('.') {
            children.push(folder.join(&name));
        }
    }
    children.sort();
    Ok(children)
}

fn visit(folder: &Named, depth: usize, seen: &mut BTreeSet<PathBuf>, into: &mut Vec<Named>) -> Result<(), FileError> {
    let failed = |cause| FileError::Read { place: folder.shown.clone(), cause };
    if depth > DEPTH || into.len() > FILES {
        return Err(FileError::TooMany { place: folder.shown.clone() });
    }
    if !seen.insert(fs::canonicalize(&folder.path).map_err(failed)?) {
        return Ok(());
    }
    for child in children(folder)? {
        let about = fs::metadata(&child.path).map_err(|cause| FileError::Read { place: child.shown.clone(), cause })?;
        if about.is_dir() {
            visit(&child, depth + 1, seen, into)?;
        } else if about.is_file() {
            into.push(child);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn world() -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        for name in ["a/b.yaml", "a/c/d.yml", "a/c/e.txt", "a/.git/x.yaml", "f.json"] {
            let path = folder.path().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, "x: 1\n").unwrap();
        }
        folder
    }

    fn shown(base: &Path, typed: &str) -> Vec<String> {
        find(base, typed, &[".yaml", ".yml", ".json"]).unwrap().into_iter().map(|file| file.shown).collect()
    }

    #[test]
    fn folders_and_patterns_lead_to_files_in_the_order_of_their_names() {
        let world = world();
        assert_eq!(shown(world.path(), "a"), ["a/b.yaml", "a/c/d.yml"]);
        assert_eq!(shown(world.path(), "./a/"), ["a/b.yaml", "a/c/d.yml"]);
        assert_eq!(shown(world.path(), "."), ["a/b.yaml", "a/c/d.yml", "f.json"]);
        assert_eq!(shown(world.path(), "**/*.yml"), ["a/c/d.yml"]);
        assert_eq!(shown(world.path(), "./a/*.yaml"), ["a/b.yaml"]);
        let absolute = format!("{}/a/**", world.path().display());
        assert_eq!(shown(world.path(), &absolute).len(), 2);
    }

    #[test]
    fn what_leads_nowhere_is_an_error_that_names_it() {
        let world = world();
        let nothing = find(world.path(), "a/*.md", &[".md"]).unwrap_err().to_string();
        assert!(nothing.contains("a/*.md"), "{nothing}");
        let missing = find(world.path(), "nope.yaml", &[".yaml"]).unwrap();
        assert!(missing[0].read().unwrap_err().to_string().contains("nope.yaml"));
    }

    #[cfg(unix)]
    #[test]
    fn a_link_to_a_folder_above_does_not_go_round() {
        let world = world();
        std::os::unix::fs::symlink(world.path(), world.path().join("a/up")).unwrap();
        assert_eq!(shown(world.path(), "a"), ["a/b.yaml", "a/c/d.yml", "a/up/f.json"]);
    }
}
