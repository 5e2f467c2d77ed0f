//! What the bytes of an open file are, and bytes that are watched on their way out.

use crate::model::{Algorithm, Checked, Content, Descriptor, Digest, Digester, Fault, FaultKind, MediaType};
use std::fs::File;
use std::io::{self, Read};

/// Bytes hashed at a time.
const PIECE: usize = 128 << 10;

/// Reads `file` to its end and returns what it holds.
pub(super) fn content_of(file: &mut File, algorithm: Algorithm) -> io::Result<Content> {
    let mut digester = Digester::new(algorithm);
    let mut buffer = vec![0; PIECE];
    loop {
        match file.read(&mut buffer) {
            Ok(0) => return Ok(digester.finish()),
            Ok(n) => digester.update(&buffer[..n]),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}

/// A large blob of the store on its way out: its last piece is held back unless all of it matches.
///
/// Where it does not, or cannot be read, `spoiled` is told once, and the reader gets a fault of the kind
/// [`FaultKind::Damaged`]: whoever opens the blob anew gets it from where it came from.
pub(super) struct Watched<F: FnMut(&io::Error)> {
    checked: Checked<File>,
    digest: Digest,
    spoiled: Option<F>,
}

impl<F: FnMut(&io::Error)> Watched<F> {
    pub fn new(file: File, content: &Content, spoiled: F) -> Self {
        let want = Descriptor::new(MediaType::new("application/octet-stream"), content.clone());
        Self { checked: Checked::new(file, &want), digest: content.digest.clone(), spoiled: Some(spoiled) }
    }
}

impl<F: FnMut(&io::Error)> Read for Watched<F> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let error = match self.checked.read(buffer) {
            Err(error) if error.kind() != io::ErrorKind::Interrupted => error,
            other => return other,
        };
        if let Some(mut spoiled) = self.spoiled.take() {
            spoiled(&error);
        }
        let what = format!("the store's copy is bad: {error}");
        Err(Fault::new(FaultKind::Damaged, self.digest.to_string(), what).into_io())
    }
}
