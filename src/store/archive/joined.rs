//! Bytes of one file, or of the parts that a file was cut into, read at any place.

use crate::model::Fault;
use rustix::fs::{Mode, OFlags};
use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Opens a regular file without waiting for anybody; what is none (a pipe, a device, and unless `follow` is set a
/// link) is refused.
pub(super) fn open_regular(path: &Path, follow: bool) -> io::Result<File> {
    let mut flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NONBLOCK;
    if !follow {
        flags |= OFlags::NOFOLLOW;
    }
    let file = File::from(rustix::fs::open(path, flags, Mode::empty())?);
    if file.metadata()?.is_file() { Ok(file) } else { Err(io::Error::other("it is no regular file")) }
}

#[derive(Debug)]
enum Part {
    File(File),
    Memory(Arc<[u8]>),
}

/// Files whose bytes follow each other.
#[derive(Debug)]
pub(super) struct Joined {
    /// Each with the place of its first byte.
    parts: Vec<(Part, u64)>,
    length: u64,
    place: String,
}

impl Joined {
    /// Opens the files at `paths`, in that order.
    pub(super) fn open(paths: &[PathBuf]) -> Result<Self, Fault> {
        let mut joined = Self { parts: Vec::with_capacity(paths.len()), length: 0, place: String::new() };
        joined.place = paths.first().map(|path| path.display().to_string()).unwrap_or_default();
        for path in paths {
            let fail = |error| Fault::local(path.display().to_string(), "cannot be read", error);
            let file = open_regular(path, true).map_err(fail)?;
            let length = file.metadata().map_err(fail)?.len();
            joined.parts.push((Part::File(file), joined.length));
            joined.length += length;
        }
        Ok(joined)
    }

    /// Takes a file that has no name, `length` bytes long.
    pub(super) fn unnamed(file: File, length: u64, place: String) -> Self {
        Self { parts: vec![(Part::File(file), 0)], length, place }
    }

    /// Takes bytes that are in memory.
    pub(super) fn memory(bytes: &[u8]) -> Self {
        Self { parts: vec![(Part::Memory(bytes.into()), 0)], length: bytes.len() as u64, place: String::new() }
    }

    /// Returns how many bytes there are.
    pub(super) const fn length(&self) -> u64 {
        self.length
    }

    fn read_at(&self, buffer: &mut [u8], at: u64) -> io::Result<usize> {
        let next = self.parts.partition_point(|(_, start)| *start <= at);
        let Some((part, start)) = next.checked_sub(1).and_then(|found| self.parts.get(found)) else { return Ok(0) };
        let end = self.parts.get(next).map_or(self.length, |(_, start)| *start);
        let room = usize::try_from(end.saturating_sub(at)).unwrap_or(usize::MAX).min(buffer.len());
        let fail = |error| Fault::local(self.place.clone(), "cannot be read", error).into_io();
        match part {
            Part::File(file) => file.read_at(&mut buffer[..room], at - start).map_err(fail),
            Part::Memory(bytes) => {
                let from = usize::try_from(at - start).unwrap_or(usize::MAX).min(bytes.len());
                let read = room.min(bytes.len() - from);
                buffer[..read].copy_from_slice(&bytes[from..from + read]);
                Ok(read)
            }
        }
    }
}

/// Some of the bytes, read one after another.
#[derive(Debug, Clone)]
pub(super) struct Stretch {
    bytes: Arc<Joined>,
    at: u64,
    end: u64,
}

impl Stretch {
    /// Reads `bytes` from `at` on, up to `end`.
    pub(super) fn new(bytes: Arc<Joined>, at: u64, end: u64) -> Self {
        Self { bytes, at, end }
    }

    /// Reads all of `bytes`.
    pub(super) fn whole(bytes: &Arc<Joined>) -> Self {
        Self { bytes: Arc::clone(bytes), at: 0, end: bytes.length }
    }

    /// Leaves out up to `count` bytes, and returns how many there were.
    pub(super) fn leave_out(&mut self, count: u64) -> u64 {
        let there = count.min(self.end.saturating_sub(self.at));
        self.at += there;
        there
    }
}

impl Read for Stretch {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let room = usize::try_from(self.end.saturating_sub(self.at)).unwrap_or(usize::MAX).min(buffer.len());
        if room == 0 {
            return Ok(0);
        }
        let read = self.bytes.read_at(&mut buffer[..room], self.at)?;
        self.at += read as u64;
        Ok(read)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_read_like_the_file_that_they_were_cut_from() {
        let folder = tempfile::tempdir().unwrap();
        let mut paths = Vec::new();
        for (at, piece) in ["the", "", " whole ", "text"].iter().enumerate() {
            paths.push(folder.path().join(format!("{at}")));
            std::fs::write(&paths[at], piece).unwrap();
        }
        let joined = Arc::new(Joined::open(&paths).unwrap());
        let mut text = String::new();
        Stretch::whole(&joined).read_to_string(&mut text).unwrap();
        assert_eq!((text.as_str(), joined.length()), ("the whole text", 14));
        for from in 0..14 {
            for to in from..=14 {
                let mut piece = String::new();
                Stretch::new(Arc::clone(&joined), from, to).read_to_string(&mut piece).unwrap();
                assert_eq!(piece, text[from as usize..to as usize]);
            }
        }
        assert_eq!(Stretch::whole(&joined).leave_out(20), 14);
    }

    #[test]
    fn only_regular_files_are_opened_and_nothing_waits() {
        let folder = tempfile::tempdir().unwrap();
        let (file, link, pipe) = (folder.path().join("f"), folder.path().join("l"), folder.path().join("p"));
        std::fs::write(&file, "x").unwrap();
        std::os::unix::fs::symlink(&file, &link).unwrap();
        rustix::fs::mknodat(rustix::fs::CWD, &pipe, rustix::fs::FileType::Fifo, Mode::RWXU, 0).unwrap();
        assert!(open_regular(&file, false).is_ok() && open_regular(&link, true).is_ok());
        assert!(open_regular(&link, false).is_err());
        assert!(open_regular(&pipe, true).is_err() && open_regular(folder.path(), true).is_err());
    }
}
