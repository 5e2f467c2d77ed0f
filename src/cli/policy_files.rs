//! Files beside a policy, as the judge asks for them.

use crate::flow::read_paper;
use crate::trust::PolicyFiles;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// Files that a policy names, looked up beside it.
pub struct Beside {
    base: PathBuf,
}

impl Beside {
    /// Looks files up in `base`; in the current folder where there is none.
    pub fn new(base: Option<&Path>) -> Self {
        Self { base: base.map(Path::to_owned).unwrap_or_default() }
    }
}

impl PolicyFiles for Beside {
    fn read(&mut self, path: &str) -> io::Result<Vec<u8>> {
        read_paper(&self.base.join(path)).map_err(|error| io::Error::other(error.to_string()))
    }

    fn list(&mut self, folder: &str) -> io::Result<Vec<String>> {
        let path = self.base.join(folder);
        if fs::symlink_metadata(&path)?.is_symlink() {
            return Err(io::Error::other("it is a symbolic link, and a trust store is a plain folder"));
        }
        let mut names = Vec::new();
        for entry in fs::read_dir(&path)? {
            let entry = entry?;
            let name = entry.file_name();
            let what = if entry.file_type()?.is_file() { name.to_str() } else { None };
            let plain = what.map(|name| format!("{}/{name}", folder.trim_end_matches('/')));
            names.push(plain.ok_or_else(|| {
                let found = entry.path().display().to_string();
                io::Error::other(format!("{found} is no plain file; a trust store holds certificates and nothing else"))
            })?);
        }
        names.sort();
        Ok(names)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_lists_plain_files_in_order_and_refuses_the_rest() {
        let place = tempfile::tempdir().unwrap();
        let store = place.path().join("x509/ca/acme");
        fs::create_dir_all(&store).unwrap();
        for name in ["b.crt", "a.pem"] {
            fs::write(store.join(name), name).unwrap();
        }
        let mut files = Beside::new(Some(place.path()));
        assert_eq!(files.list("x509/ca/acme/").unwrap(), ["x509/ca/acme/a.pem", "x509/ca/acme/b.crt"]);
        assert_eq!(files.read("x509/ca/acme/a.pem").unwrap(), b"a.pem");
        assert!(files.list("x509/ca/other").is_err());
        std::os::unix::fs::symlink(&store, place.path().join("link")).unwrap();
        assert!(files.list("link").unwrap_err().to_string().contains("symbolic link"));
        std::os::unix::fs::symlink(store.join("a.pem"), store.join("c.pem")).unwrap();
        assert!(files.list("x509/ca/acme").unwrap_err().to_string().contains("c.pem is no plain file"));
        fs::remove_file(store.join("c.pem")).unwrap();
        fs::create_dir(store.join("deeper")).unwrap();
        assert!(files.list("x509/ca/acme").unwrap_err().to_string().contains("deeper is no plain file"));
    }
}
