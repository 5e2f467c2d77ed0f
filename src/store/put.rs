//! Puts one blob into the layout: bytes get a name only after they matched it.

use crate::model::{Content, Descriptor, Digester};
use std::io::{self, Read, Write};
use std::path::Path;

/// Why a blob was refused. Whatever the reason, nothing is left under its name.
#[derive(Debug, thiserror::Error)]
pub enum PutError {
    /// The bytes are not those that were promised.
    #[error("expected {want}, received {got}")]
    Mismatch {
        /// What was promised.
        want: Descriptor,
        /// What came.
        got: Content,
    },
    /// The bytes could not be had.
    #[error("the source of {want} failed")]
    Source {
        /// What was promised.
        want: Descriptor,
        /// Cause.
        source: io::Error,
    },
    /// The bytes could not be written.
    #[error("cannot write {want}")]
    Disk {
        /// What was promised.
        want: Descriptor,
        /// Cause.
        source: io::Error,
    },
}

/// Bytes hashed and written at a time: small enough to stay in the processor's cache between the two.
const PIECE: usize = 128 * 1024;

/// Copies `source` into the folder `blobs`, and names it if it is exactly what `want` promises.
///
/// The file is synced before it is named; the folder is left to the caller, once for many blobs.
pub fn put(blobs: &Path, want: &Descriptor, source: &mut (dyn Read + Send)) -> Result<(), PutError> {
    let disk = |source| PutError::Disk { want: want.clone(), source };
    let mut part = tempfile::Builder::new().prefix(".incoming-").tempfile_in(blobs).map_err(disk)?;
    let mut digester = Digester::new(want.digest.algorithm());
    let mut buffer = vec![0; PIECE];
    // One byte past the promised size is enough to catch a source that is too long.
    let mut source = source.take(want.size.saturating_add(1));
    loop {
        let read = source.read(&mut buffer);
        let n = match read {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            other => other.map_err(|source| PutError::Source { want: want.clone(), source })?,
        };
        let Some(piece) = buffer.get(..n).filter(|piece| !piece.is_empty()) else { break };
        digester.update(piece);
        part.write_all(piece).map_err(disk)?;
    }
    let got = digester.finish();
    if !want.names(&got) {
        return Err(PutError::Mismatch { want: want.clone(), got });
    }
    part.as_file().sync_all().map_err(disk)?;
    part.persist(blobs.join(want.digest.hex())).map_err(|error| disk(error.error))?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(folder: &Path) -> Vec<String> {
        std::fs::read_dir(folder).unwrap().map(|e| e.unwrap().file_name().into_string().unwrap()).collect()
    }

    #[test]
    fn a_blob_is_named_after_its_bytes_matched() {
        let folder = tempfile::tempdir().unwrap();
        let want = Descriptor::of("a/b", b"hello");
        put(folder.path(), &want, &mut &b"hello"[..]).unwrap();
        assert_eq!(names(folder.path()), [want.digest.hex()]);
    }

    #[test]
    fn a_source_that_is_short_long_or_wrong_leaves_no_blob() {
        let folder = tempfile::tempdir().unwrap();
        let want = Descriptor::of("a/b", b"hello");
        for bytes in [&b"hell"[..], b"hello!", b"hallo", b""] {
            let error = put(folder.path(), &want, &mut &*bytes).unwrap_err();
            assert!(matches!(error, PutError::Mismatch { .. }));
        }
        assert!(names(folder.path()).is_empty());
    }

    #[test]
    fn a_source_that_fails_leaves_no_blob() {
        struct Broken;
        impl Read for Broken {
            fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
                Err(io::Error::other("gone"))
            }
        }
        let folder = tempfile::tempdir().unwrap();
        let want = Descriptor::of("a/b", b"hello");
        let error = put(folder.path(), &want, &mut Broken).unwrap_err();
        assert!(matches!(error, PutError::Source { .. }));
        assert!(names(folder.path()).is_empty());
    }
}
