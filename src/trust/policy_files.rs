//! Files that a policy names, read through a port: this room opens none itself.

use std::io;

/// Reads what a policy names, by the path in it.
pub trait PolicyFiles {
    /// Returns the content of a file.
    fn read(&mut self, path: &str) -> io::Result<Vec<u8>>;

    /// Returns the paths of all files in a folder, in order of their names. What is no plain file (a folder, a symbolic
    /// link) is an error: nobody can tell later whom it stood for.
    fn list(&mut self, folder: &str) -> io::Result<Vec<String>>;
}

/// A function that reads files; it knows no folders.
impl<F: FnMut(&str) -> io::Result<Vec<u8>>> PolicyFiles for F {
    fn read(&mut self, path: &str) -> io::Result<Vec<u8>> {
        self(path)
    }

    fn list(&mut self, _: &str) -> io::Result<Vec<String>> {
        Err(io::Error::new(io::ErrorKind::Unsupported, "folders are not read here; name the files"))
    }
}
