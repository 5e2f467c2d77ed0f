//! Files below a folder: a mirror that came on a disk.

use crate::model::fault::{Fault, FaultKind};
use crate::model::port::FileTree;
use std::fs::File;
use std::io::{ErrorKind, Read};
use std::path::{Path, PathBuf};

/// A folder.
pub struct FolderFiles {
    folder: PathBuf,
}

impl FolderFiles {
    /// Takes `folder`; nothing is read yet.
    pub fn new(folder: impl Into<PathBuf>) -> Self {
        Self { folder: folder.into() }
    }
}

impl FileTree for FolderFiles {
    fn place(&self) -> String {
        self.folder.display().to_string()
    }

    fn file(&self, path: &str, limit: u64) -> Result<Option<Vec<u8>>, Fault> {
        let plain = |part: &str| !matches!(part, "" | "." | "..") && !part.contains(['\\', '\0']);
        if !path.split('/').all(plain) {
            return Err(Fault::new(FaultKind::Malformed, self.place(), format!("{path:?} is no path below it")));
        }
        let path = self.folder.join(Path::new(path));
        let place = || path.display().to_string();
        let fail = |error| Fault::local(place(), "cannot be read", error);
        let file = match File::open(&path) {
            Ok(file) => file,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(fail(error)),
        };
        let mut bytes = Vec::new();
        file.take(limit + 1).read_to_end(&mut bytes).map_err(fail)?;
        if bytes.len() as u64 > limit {
            return Err(Fault::new(FaultKind::TooLarge, place(), format!("it has more than {limit} bytes")));
        }
        Ok(Some(bytes))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_below_the_folder_is_read_and_only_up_to_the_limit() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir(folder.path().join("targets")).unwrap();
        std::fs::write(folder.path().join("targets/a"), b"abc").unwrap();
        let files = FolderFiles::new(folder.path());
        assert_eq!(files.file("targets/a", 3).unwrap(), Some(b"abc".to_vec()));
        assert_eq!(files.file("targets/a", 2).unwrap_err().kind, FaultKind::TooLarge);
        assert_eq!(files.file("targets/b", 3).unwrap(), None);
        for path in ["../a", "targets/../../a", "/etc/passwd", "", "a\\b", "targets//a", "./a"] {
            assert_eq!(files.file(path, 3).unwrap_err().kind, FaultKind::Malformed, "{path}");
        }
    }
}
