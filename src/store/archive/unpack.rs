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
            let what =
                format!("{} bytes of it become more than {} when they are unpacked", self.taken.get(), self.written);
            return Err(Fault::new(FaultKind::TooLarge, self.place, what));
        }
        Ok(())
    }
}

/// Frames one after another; a window above the limit and a dictionary are errors.
fn zstd_decoder<'a>(
    from: BufReader<impl Read + 'a>,
) -> io::Result<zstd::stream::read::Decoder<'a, BufReader<impl Read + 'a>>> {
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
            Fault::local(self.folder.display().to_string(), "the temporary file cannot be written", error)
                .with_hint(hint)
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

#[cfg(test)]
mod tests {
    use super::super::tar_index::{Room, index};
    use super::*;
    use crate::testkit::archives::{Tar, header};
    use crate::testkit::image::noise;

    fn gzip(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    }

    fn zstd(bytes: &[u8]) -> Vec<u8> {
        zstd::stream::encode_all(bytes, 1).unwrap()
    }

    fn unpacked(bytes: &[u8]) -> Result<(Vec<u8>, usize), Fault> {
        unpacked_unless(bytes, &AtomicBool::new(false))
    }

    fn unpacked_unless(bytes: &[u8], stop: &AtomicBool) -> Result<(Vec<u8>, usize), Fault> {
        let folder = tempfile::tempdir().unwrap();
        let joined = Arc::new(Joined::memory(bytes));
        let mut spooling = Spooling::begin((&joined, Packing::of(bytes)), "x.tar", folder.path(), stop)?;
        let items = index(&mut spooling, "x.tar", Room::default())?;
        let out = Arc::new(spooling.finish()?);
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0, "the temporary file has no name");
        let mut whole = Vec::new();
        Stretch::whole(&out).read_to_end(&mut whole).unwrap();
        Ok((whole, items.len()))
    }

    #[test]
    fn one_compression_is_taken_off_and_no_second_one() {
        let tar = Tar::new().file("a", &noise(1, 300_000)).file("b", b"x").finish();
        for packed in [gzip(&tar), zstd(&tar), tar.clone()] {
            assert_eq!(unpacked(&packed).unwrap(), (tar.clone(), 2));
        }
        for twice in [gzip(&zstd(&tar)), zstd(&gzip(&tar)), zstd(&zstd(&tar))] {
            assert!(unpacked(&twice).unwrap_err().what.contains("it is no tar"));
        }
        // Frames and members follow each other, empty ones and such that readers skip among them.
        let (front, back) = tar.split_at(1000);
        let skipped =
            [&[0x50, 0x2a, 0x4d, 0x18, 3, 0, 0, 0, 1, 2, 3][..], &zstd(front), &zstd(b""), &zstd(back)].concat();
        assert_eq!(unpacked(&skipped).unwrap().0, tar);
        let mut members = gzip(front);
        for _ in 0..2000 {
            members.extend(gzip(b""));
        }
        members.extend(gzip(back));
        assert_eq!(unpacked(&members).unwrap().0, tar);
    }

    #[test]
    fn what_is_cut_flipped_or_continued_is_refused() {
        let tar = Tar::new().file("a", &noise(1, 3000)).finish();
        for packed in [gzip(&tar), zstd(&tar)] {
            for length in (1..packed.len()).step_by(97) {
                assert!(unpacked(&packed[..length]).is_err(), "{length} of {}", packed.len());
            }
            let fault = unpacked(&[&packed[..], b"garbage!"].concat()).unwrap_err();
            assert!(fault.kind == FaultKind::Malformed, "{fault}");
        }
        let mut flipped = gzip(&tar);
        let last = flipped.len() - 6;
        flipped[last] ^= 1;
        assert!(unpacked(&flipped).unwrap_err().what.contains("cannot be unpacked"));
        let mut encoder = zstd::stream::write::Encoder::with_dictionary(Vec::new(), 1, &zstd_dictionary()).unwrap();
        encoder.write_all(&tar).unwrap();
        assert!(unpacked(&encoder.finish().unwrap()).unwrap_err().what.contains("cannot be unpacked"));
    }

    fn zstd_dictionary() -> Vec<u8> {
        let samples: Vec<Vec<u8>> = (0..200_u64).map(|seed| crate::testkit::image::text(seed % 7, 400)).collect();
        zstd::dict::from_samples(&samples, 4000).unwrap()
    }

    #[test]
    fn a_window_is_as_large_as_the_limit_and_no_larger() {
        let tar = Tar::new().file("a", &noise(1, 3000)).finish();
        let with = |log: u32| {
            let mut encoder = zstd::stream::write::Encoder::new(Vec::new(), 1).unwrap();
            encoder.window_log(log).unwrap();
            encoder.long_distance_matching(true).unwrap();
            encoder.write_all(&tar).unwrap();
            encoder.finish().unwrap()
        };
        assert!(unpacked(&with(limits::ARCHIVE_WINDOW_LOG)).is_ok());
        assert!(unpacked(&with(limits::ARCHIVE_WINDOW_LOG + 1)).unwrap_err().what.contains("cannot be unpacked"));
    }

    #[test]
    fn what_grows_beyond_measure_ends_before_it_fills_a_disk() {
        // Zeros are the end of a tar and no content.
        assert!(unpacked(&zstd(&vec![0; 4 << 20])).unwrap().0.len() == 4 << 20);
        let bomb = |bytes: u64| {
            let mut encoder = zstd::stream::write::Encoder::new(Vec::new(), 1).unwrap();
            encoder.write_all(&header(b'0', b"a", bytes)).unwrap();
            for _ in 0..(bytes + 1024) >> 20 {
                encoder.write_all(&vec![0; 1 << 20]).unwrap();
            }
            encoder.write_all(&[0; 1024]).unwrap();
            encoder.finish().unwrap()
        };
        let slack = limits::ARCHIVE_SLACK_BYTES;
        let packed = bomb(slack - (1 << 20));
        assert!(unpacked(&packed).is_ok());
        let packed = bomb((slack + limits::ARCHIVE_RATIO * packed.len() as u64 * 2).next_multiple_of(1 << 20));
        let fault = unpacked(&packed).unwrap_err();
        assert!(fault.kind == FaultKind::TooLarge && fault.what.contains("when they are unpacked"), "{fault}");
    }

    #[test]
    fn a_run_that_was_asked_to_stop_stops() {
        let tar = gzip(&Tar::new().file("a", &noise(1, 3000)).finish());
        let fault = unpacked_unless(&tar, &AtomicBool::new(true)).unwrap_err();
        assert_eq!(fault.kind, FaultKind::Interrupted);
    }

    #[test]
    fn a_folder_that_cannot_be_written_is_named() {
        let joined = Arc::new(Joined::memory(b""));
        let stop = AtomicBool::new(false);
        let fault = Spooling::begin((&joined, Packing::Gzip), "x", Path::new("/nowhere/at/all"), &stop).err().unwrap();
        assert!(fault.to_string().contains("/nowhere/at/all"), "{fault}");
    }
}
