//! Floor 3: catalogues that are no folder yet: a commit of a Git repository, an archive of a checkout.
//!
//! Only the files that a catalogue is made of are taken out, into a folder that goes away with the [`Checkout`]. Nothing
//! of what was fetched is run, and no link of it is followed. The program `git` does the fetching; who has none names a
//! folder or an archive.

mod archive;
mod git;

pub use archive::{is_archive, unpack};
pub use git::fetch;

use crate::model::{Fault, FaultKind, limits};
use std::path::{Component, Path};
use tempfile::TempDir;

/// Names of the files that a catalogue is made of.
const WANTED: [&str; 3] = ["blueprint.yaml", "blueprint.yml", "Chart.yaml"];

/// A catalogue that was brought here. Its files go away with it.
#[derive(Debug)]
pub struct Checkout {
    folder: TempDir,
    /// What a person calls it: the address with the commit, or the archive.
    pub shown: String,
}

impl Checkout {
    fn new(shown: String) -> Result<Self, Fault> {
        let folder = tempfile::Builder::new().prefix("airlift-catalogue").tempdir();
        let folder = folder.map_err(|error| Fault::local(&shown, "no folder can be made for it", error))?;
        Ok(Self { folder, shown })
    }

    /// Returns the folder of its files.
    pub fn path(&self) -> &Path {
        self.folder.path()
    }

    /// Writes one file of it. A path that leads elsewhere is refused.
    fn put(&self, name: &str, bytes: &[u8]) -> Result<(), Fault> {
        let path = Path::new(name);
        let plain = path.components().all(|part| matches!(part, Component::Normal(_)));
        if !plain || name.contains(['\\', '\0']) {
            let what = format!("the path {:?} in it leads elsewhere", crate::model::fault::printable(name));
            return Err(Fault::new(FaultKind::Malformed, &self.shown, what));
        }
        let target = self.folder.path().join(path);
        let write = || {
            std::fs::create_dir_all(target.parent().unwrap_or(self.folder.path()))?;
            std::fs::write(&target, bytes)
        };
        write().map_err(|error| Fault::local(&self.shown, format!("{name} cannot be written"), error))
    }
}

/// Returns whether a catalogue is made of files that are called like this.
fn is_wanted(name: &str) -> bool {
    WANTED.contains(&name.rsplit('/').next().unwrap_or_default())
}

/// Counts files and bytes, and fails above the limits.
#[derive(Default)]
struct Room {
    files: usize,
    bytes: u64,
}

impl Room {
    fn take(&mut self, shown: &str, size: u64) -> Result<(), Fault> {
        self.files += 1;
        self.bytes += size;
        if self.files > limits::CATALOGUE_FILES || self.bytes > limits::PAPER_BYTES {
            let (files, bytes) = (limits::CATALOGUE_FILES, limits::PAPER_BYTES);
            let what = format!("its catalogue is larger than {files} files or {bytes} bytes");
            return Err(Fault::new(FaultKind::TooLarge, shown, what));
        }
        Ok(())
    }
}
