//! Takes the bytes of one blob from a source, chunk by chunk, and knows what they are so far.

use super::frame::RawFrame;
use super::write_error::FillError;
use crate::model::{Descriptor, Digester};
use std::io::{self, ErrorKind, Read};

/// How far a blob has got: whole chunks only, so it can go on after a break.
#[derive(Clone)]
pub(super) struct Progress {
    /// Has seen all chunks so far.
    pub digester: Digester,
    /// Digests of the frames so far.
    pub frames: Vec<[u8; 32]>,
}

impl Progress {
    /// Starts with nothing.
    pub(super) fn new(want: &Descriptor) -> Self {
        Self { digester: Digester::new(want.digest.algorithm()), frames: Vec::new() }
    }
}

/// Why a chunk did not come whole.
pub(super) enum Broken {
    /// The source ended.
    Ended,
    /// The source failed.
    Failed(io::Error),
}

impl Broken {
    /// Returns the error for the blob `want`, of which `seen` bytes were there and `kept` can be kept.
    pub(super) fn into_error(self, want: Descriptor, seen: u64, kept: u64) -> FillError {
        match self {
            Self::Ended => FillError::Short { want: Box::new(want), got: seen },
            Self::Failed(source) => FillError::Source { want: Box::new(want), kept, source },
        }
    }
}

/// Reads the next `content` bytes into a raw frame, straight to their places.
pub(super) fn raw_chunk(
    frame: &mut RawFrame,
    content: u64,
    source: &mut dyn Read,
    mut each: impl FnMut(&[u8]),
    moved: &dyn Fn(u64),
) -> Result<(), Broken> {
    frame.begin(content as usize);
    while !frame.is_full() {
        let n = read(source, frame.gap()).map_err(Broken::Failed)?;
        if n == 0 {
            return Err(Broken::Ended);
        }
        frame.filled(n, &mut each);
        moved(n as u64);
    }
    Ok(())
}

/// Reads until `buffer` is full.
pub(super) fn plain_chunk(buffer: &mut [u8], source: &mut dyn Read, moved: &dyn Fn(u64)) -> Result<(), Broken> {
    let mut at = 0;
    while at < buffer.len() {
        let n = read(source, &mut buffer[at..]).map_err(Broken::Failed)?;
        if n == 0 {
            return Err(Broken::Ended);
        }
        at += n;
        moved(n as u64);
    }
    Ok(())
}

/// Returns whether the source has come to its end.
pub(super) fn has_ended(source: &mut dyn Read) -> io::Result<bool> {
    Ok(read(source, &mut [0])? == 0)
}

fn read(source: &mut dyn Read, buffer: &mut [u8]) -> io::Result<usize> {
    loop {
        match source.read(buffer) {
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            other => return other,
        }
    }
}
