//! Takes one compression off an archive: gzip or zstd, never a second one. Door of both crates for archives.
//!
//! A compressed tar cannot be read at any place, so it is unpacked once into a file without a name, and its headers
//! are read on the way: what is no archive ends before it fills a disk, and so does what grows beyond measure.

use super::joined::{Joined, Stretch};
use super::tar_index::Tape;
use crate::model::{Fault, FaultKind, limits};
use flate2::bufread::MultiGzDecoder;
use std::cell::Cell;
use std::fs::File;
use std::io::{self, BufReader, BufWriter, Read, Write};
use std::path::Path;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// How an archive is compressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Packing {
    Plain,
    Gzip,
    Zstd,
}

/// Bytes passed on at a time.
const PIECE: usize = 128 << 10;

impl Packing {
    /// Tells it from the first bytes.
    pub(super) fn of(first: &[u8]) -> Self {
        match first {
            [0x1f, 0x8b, ..] => Self::Gzip,
            [0x28, 0xb5, 0x2f, 0xfd, ..] => Self::Zstd,
            // A frame that readers skip may stand first.
            [low, 0x2a, 0x4d, 0x18, ..] if low & 0xf0 == 0x50 => Self::Zstd,
            _ => Self::Plain,
        }
    }
}

impl Tape for Stretch {
    fn pass(&mut self, count: u64) -> io::Result<u64> {
        Ok(self.leave_out(count))
    }
}

/// A compressed archive on its way into a temporary file.
pub(super) struct Spooling<'a> {
    from: Box<dyn Read + 'a>,
    taken: Rc<Cell<u64>>,
    to: BufWriter<File>,
    written: u64,
    stop: &'a AtomicBool,
    place: &'a str,
    folder: &'a Path,
}

impl<'a> Spooling<'a> {
    /// Begins to unpack `bytes`, which a person calls `place`, into a file without a name in `folder`.
    pub(super) fn begin(
        (bytes, packing): (&'a Arc<Joined>, Packing),
        place: &'a str,
        folder: &'a Path,
        stop: &'a AtomicBool,
    ) -> Result<Self, Fault> {
        let fail = |error| Fault::local(folder.display().to_string(), "a temporary file cannot be made", error);
        let to = BufWriter::with_capacity(PIECE, tempfile::tempfile_in(folder).map_err(fail)?);
        let taken = Rc::new(Cell::new(0));
        let counted = Counted { inner: Stretch::whole(bytes), taken: Rc::clone(&taken) };
        let counted = BufReader::with_capacity(PIECE, counted);
        let from: Box<dyn Read> = match packing {
            Packing::Plain => Box::new(counted),
            Packing::Gzip => Box::new(MultiGzDecoder::new(counted)),
            Packing::Zstd => Box::new(zstd_decoder(counted).map_err(|error| broken(place, &error))?),
        };
        Ok(Self { from, taken, to, written: 0, stop, place, folder })
    }

    /// Returns what was unpacked, after all of it was read.
    pub(super) fn finish(self) -> Result<Joined, Fault> {
        let folder = self.folder.display().to_string();
        let fail = |error| Fault::local(folder.clone(), "the temporary file cannot be written", error);
        let file = self.to.into_inner().map_err(|error| fail(error.into_error()))?;
        Ok(Joined::unnamed(file, self.written, format!("temporary file in {folder}")))
    }

    fn check(&self) -> Result<(), Fault> {
        if self.stop.load(Ordering::Relaxed) {
            return Err(Fault::new(FaultKind::Interrupted, self.place, "stopped on request"));
        }
        let most = self.taken.get().saturating_mul(limits::ARCHIVE_RATIO).saturating_add(limits::ARCHIVE_SLACK_BYTES);
        if self.written > most {
            let what = format!("{} bytes of it become more than {} when they are unpacked", self.taken.get(), self.written);
            return Err(Fault::new(FaultKind::TooLarge, self.place, what));
        }
        Ok(())
    }
}

/// Frames one after another; a window above the limit and a dictionary are errors.
fn zstd_decoder<'a>(from: BufReader<impl Read + 'a>) -> io::Result<zstd::stream::read::Decoder<'a, BufReader<impl Read + 'a>>> {
    let mut decoder = zstd::stream::read::Decoder::with_buffer(from)?;
    decoder.window_log_max(limits::ARCHIVE_WINDOW_LOG)?;
    Ok(decoder)
}

fn broken(place: &str, error: &io::Error) -> Fault {
    Fault::new(FaultKind::Malformed, place, format!("it cannot be unpacked: {error}"))
}

impl Read for Spooling<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = match self.from.read(buffer) {
            Ok(read) => read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => return Err(error),
            // A fault of the disk comes through the decoder as it is; everything else is the decoder's own.
            Err(error) => {
                let own = error.get_ref().is_none_or(|inner| !inner.is::<Fault>());
                return Err(if own { broken(self.place, &error).into_io() } else { error });
            }
        };
        let fail = |error| {
            let hint = "name a folder with more room: --spool FOLDER";
            Fault::local(self.folder.display().to_string(), "the temporary file cannot be written", error).with_hint(hint)
        };
        self.to.write_all(&buffer[..read]).map_err(|error| fail(error).into_io())?;
        self.written += read as u64;
        self.check().map_err(Fault::into_io)?;
        Ok(read)
    }
}

impl Tape for Spooling<'_> {
    fn pass(&mut self, count: u64) -> io::Result<u64> {
        let mut buffer = vec![0; usize::try_from(count).unwrap_or(PIECE).min(PIECE)];
        let mut left = count;
        while left > 0 {
            let room = usize::try_from(left).unwrap_or(PIECE).min(PIECE);
            match self.read(&mut buffer[..room]) {
                Ok(0) => break,
                Ok(read) => left -= read as u64,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(count - left)
    }
}

/// Counts what is taken.
struct Counted<R> {
    inner: R,
    taken: Rc<Cell<u64>>,
}

impl<R: Read> Read for Counted<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.inner.read(buffer)?;
        self.taken.set(self.taken.get() + read as u64);
        Ok(read)
    }
}
