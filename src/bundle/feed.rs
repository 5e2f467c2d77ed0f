//! Bytes of volumes one after the other, from files or a stream, strictly forward.

use super::read_error::{ReadError, Spot};
use std::collections::VecDeque;
use std::fs::File;
use std::io::{self, BufRead, BufReader, ErrorKind, Read};
use std::path::PathBuf;

/// Bytes that are read ahead for small pieces; larger pieces go past the buffer.
const AHEAD: usize = 64 << 10;

/// Where the bytes of a bundle come from.
pub enum Input {
    /// Volume files, in any order.
    Files(Vec<PathBuf>),
    /// All volumes, one behind the other.
    Stream(Box<dyn Read + Send>),
}

/// Times that a read is repeated that the medium refused: worn media give a sector at the second or third time.
const TRIES: usize = 3;
/// Number of the error by which a medium says that it cannot be read.
const EIO: i32 = 5;

/// Reads once more after an interruption, and a few times where the medium failed.
fn patiently<T>(mut read: impl FnMut() -> io::Result<T>) -> io::Result<T> {
    let mut tries = 1;
    loop {
        match read() {
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) if error.raw_os_error() == Some(EIO) && tries < TRIES => tries += 1,
            other => return other,
        }
    }
}

enum Now {
    Nothing(io::Empty),
    File(BufReader<File>),
    Stream(BufReader<Box<dyn Read + Send>>),
}

impl Now {
    fn reader(&mut self) -> &mut dyn BufRead {
        match self {
            Self::Nothing(nothing) => nothing,
            Self::File(file) => file,
            Self::Stream(stream) => stream,
        }
    }
}

/// The bytes of a bundle, volume by volume.
pub(super) struct Feed {
    waiting: VecDeque<PathBuf>,
    from_files: bool,
    now: Now,
    name: String,
    offset: u64,
}

impl Feed {
    /// Starts before the first of `files`, which are in order.
    pub(super) fn files(files: Vec<PathBuf>) -> Self {
        Self {
            waiting: files.into(),
            from_files: true,
            now: Now::Nothing(io::empty()),
            name: "nothing".to_owned(),
            offset: 0,
        }
    }

    /// Starts at the first byte of a stream.
    pub(super) fn stream(stream: Box<dyn Read + Send>) -> Self {
        let now = Now::Stream(BufReader::with_capacity(AHEAD, stream));
        Self { waiting: VecDeque::new(), from_files: false, now, name: "stream".to_owned(), offset: 0 }
    }

    /// Goes on to the next volume; `false` where there is none.
    ///
    /// A file that has more bytes than its volume is refused.
    pub(super) fn next_volume(&mut self) -> Result<bool, ReadError> {
        let more = !self.is_at_end()?;
        if !self.from_files {
            self.offset = 0;
            return Ok(more);
        }
        if more {
            let spot = self.spot(0, self.offset, 1);
            let what = "the file goes on behind the end of its volume".to_owned();
            return Err(ReadError::Damaged { spot: Box::new(spot), what });
        }
        let Some(path) = self.waiting.pop_front() else { return Ok(false) };
        self.name = path.display().to_string();
        self.offset = 0;
        let file = File::open(&path).map_err(|source| self.failed(source))?;
        self.now = Now::File(BufReader::with_capacity(AHEAD, file));
        Ok(true)
    }

    fn is_at_end(&mut self) -> Result<bool, ReadError> {
        let reader = self.now.reader();
        patiently(|| reader.fill_buf().map(<[u8]>::is_empty)).map_err(|error| self.failed(error))
    }

    /// Goes past bytes without reading them; only a file can. `false` where they have to be read.
    pub(super) fn skip(&mut self, length: u64) -> Result<bool, ReadError> {
        let (Now::File(file), Ok(distance)) = (&mut self.now, i64::try_from(length)) else { return Ok(false) };
        file.seek_relative(distance).map_err(|error| self.failed(error))?;
        self.offset += length;
        Ok(true)
    }

    /// Fills `bytes`; `false` where the input ends before.
    pub(super) fn read(&mut self, bytes: &mut [u8]) -> Result<bool, ReadError> {
        let reader = self.now.reader();
        let mut at = 0;
        while at < bytes.len() {
            match patiently(|| reader.read(&mut bytes[at..])) {
                Ok(0) => return Ok(false),
                Ok(n) => at += n,
                Err(error) => {
                    self.offset += at as u64;
                    return Err(self.failed(error));
                }
            }
        }
        self.offset += at as u64;
        Ok(true)
    }

    /// Returns the name of what is read.
    pub(super) fn name(&self) -> &str {
        &self.name
    }

    /// Returns the offset in the volume.
    pub(super) fn offset(&self) -> u64 {
        self.offset
    }

    /// Returns a range of this volume.
    pub(super) fn spot(&self, volume: u32, offset: u64, length: u64) -> Spot {
        Spot { volume, file: self.name.clone(), offset, length, hit: None }
    }

    fn failed(&self, source: io::Error) -> ReadError {
        ReadError::Io { place: self.name.clone(), offset: self.offset, source }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Fails so many times before each byte.
    struct Worn {
        bytes: &'static [u8],
        failures: usize,
        left: usize,
    }

    impl Read for Worn {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            if self.left > 0 {
                self.left -= 1;
                return Err(io::Error::from_raw_os_error(EIO));
            }
            self.left = self.failures;
            let n = self.bytes.len().min(1);
            buffer[..n].copy_from_slice(&self.bytes[..n]);
            self.bytes = &self.bytes[n..];
            Ok(n)
        }
    }

    #[test]
    fn a_medium_that_reads_at_the_third_time_is_read_and_one_that_never_does_is_named_with_its_offset() {
        let worn = |failures, left| Feed::stream(Box::new(Worn { bytes: b"volume", failures, left }));
        let mut bytes = [0; 6];
        assert!(worn(2, 0).read(&mut bytes).unwrap());
        assert_eq!(&bytes, b"volume");
        let mut bad = worn(3, 0);
        let error = bad.read(&mut bytes).unwrap_err();
        assert!(matches!(error, ReadError::Io { offset: 1, .. }), "{error:?}");
    }
}
