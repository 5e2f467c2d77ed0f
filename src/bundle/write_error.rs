//! Why a bundle is not written. Whatever the reason, nothing stands under a final name that is not complete.

use super::layout::LayoutError;
use crate::model::{Content, Descriptor, Fault, FaultKind};
use std::io;
use std::path::{Path, PathBuf};

/// What a disk lacks that takes no more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lack {
    /// Room, as was found before the first byte.
    RoomBeforehand,
    /// Room, as was found while writing.
    Room,
    /// Names for more files.
    Files,
    /// What a quota leaves to this user.
    Quota,
    /// Files of that size: the file system has a largest one.
    FileSize,
}

/// Why a bundle could not be opened for writing or finished.
#[derive(Debug, thiserror::Error)]
pub enum WriteError {
    /// Another run writes the same bundle.
    #[error("another run holds {}", .0.display())]
    Busy(PathBuf),
    /// A finished bundle of other content, or cut in another way, has the name.
    #[error("{} exists: {why}; nothing was changed", .path.display())]
    Exists {
        /// Volume that is in the way.
        path: PathBuf,
        /// How it differs.
        why: String,
    },
    /// The disk has no room.
    #[error("{}", no_room(folder, *needed, *available, *lack))]
    Full {
        /// Folder of the bundle.
        folder: PathBuf,
        /// Bytes that are still to be written; 0 where that is not known.
        needed: u64,
        /// Bytes that the file system offers.
        available: u64,
        /// What it lacks.
        lack: Lack,
    },
    /// A file would be larger than the file system or this session allows.
    #[error("{} takes no more: {size} bytes would be needed, and files there may have {largest}", .path.display())]
    FileTooLarge {
        /// Volume that would be too large.
        path: PathBuf,
        /// Bytes that it would have, as far as that is known.
        size: u64,
        /// Bytes that it may have.
        largest: u64,
    },
    /// No medium takes the next volume, and nobody brings another one.
    #[error("no medium takes {volume}, which needs {needed} bytes: {why}; {}", finished_volumes(*finished))]
    NoMedium {
        /// Which volume.
        volume: String,
        /// Bytes that it needs at most.
        needed: u64,
        /// Volumes that are finished.
        finished: u32,
        /// Why none of the media will do.
        why: String,
    },
    /// A medium failed while a volume was written to it, or was taken away.
    #[error("cannot {what} {}: volume {number} is not finished; {}", .path.display(), finished_volumes(*finished))]
    Medium {
        /// Volume that was being written.
        number: u32,
        /// What was tried.
        what: &'static str,
        /// On which file.
        path: PathBuf,
        /// Volumes that are finished.
        finished: u32,
        /// Cause.
        source: io::Error,
    },
    /// A medium holds other bytes than were written to it.
    #[error("{} was read again and is not what was written: {what}", .path.display())]
    ReadBack {
        /// Volume; it was removed.
        path: PathBuf,
        /// What is wrong with it.
        what: String,
    },
    /// Volumes that are finished hold the beginning of a blob that turned out not to be what was promised.
    #[error(
        "volumes {from} to {to} hold the beginning of a blob that is not what was promised, and must be written again"
    )]
    Rewrite {
        /// First of them.
        from: u32,
        /// Last of them.
        to: u32,
        /// What is wrong with the blob.
        source: Box<WriteError>,
    },
    /// The file system failed.
    #[error("cannot {what} {}", .path.display())]
    Disk {
        /// What was tried.
        what: &'static str,
        /// On which file or folder.
        path: PathBuf,
        /// Cause.
        source: io::Error,
    },
    /// Blobs are not filled yet.
    #[error("{blobs} blobs are not filled yet")]
    Incomplete {
        /// How many.
        blobs: usize,
    },
    /// The envelope does not fit its slot, or is no JSON document.
    #[error("the signature envelope cannot be kept: {0}")]
    Envelope(String),
    /// Region B needs more or larger volumes than the format allows.
    #[error(transparent)]
    Layout(#[from] LayoutError),
    /// A source gave other bytes than promised, while a stream was written.
    #[error("expected {want}, received {got}")]
    Mismatch {
        /// What was promised.
        want: Box<Descriptor>,
        /// What came.
        got: Content,
    },
    /// A source gave more bytes than promised, while a stream was written.
    #[error("the source of {want} gave more bytes than promised")]
    Long {
        /// What was promised.
        want: Box<Descriptor>,
    },
    /// A source failed, while a stream was written.
    #[error("the source of {want} failed")]
    Source {
        /// What was asked for.
        want: Box<Descriptor>,
        /// Cause; may hold a [`Fault`].
        source: io::Error,
    },
    /// The output stream failed.
    #[error("{}", output(.0))]
    Output(#[source] io::Error),
    /// Compression failed.
    #[error("cannot compress")]
    Encoder(#[source] io::Error),
}

/// Why a blob is not filled. It is not done, and never visible as done.
#[derive(Debug, thiserror::Error)]
pub enum FillError {
    /// The source gave other bytes; nothing of them is kept.
    #[error("expected {want}, received {got}")]
    Mismatch {
        /// What was promised.
        want: Box<Descriptor>,
        /// What came.
        got: Content,
    },
    /// The source ended early without an error; nothing of it is kept.
    #[error("expected {want}, the source ended after {got} bytes")]
    Short {
        /// What was promised.
        want: Box<Descriptor>,
        /// Bytes of the blob that were there.
        got: u64,
    },
    /// The source gave more bytes; nothing of them is kept.
    #[error("expected {want}, the source gave more bytes")]
    Long {
        /// What was promised.
        want: Box<Descriptor>,
    },
    /// The source failed.
    #[error("the source of {want} failed after {kept} bytes that are kept")]
    Source {
        /// What was asked for.
        want: Box<Descriptor>,
        /// Bytes that are kept; the next try starts there.
        kept: u64,
        /// Cause; may hold a [`Fault`].
        source: io::Error,
    },
    /// Somebody else fills it, it is done, it goes on at another offset, or another one is next in order.
    #[error("{want} cannot be filled from byte {from} now")]
    Turn {
        /// What was to be filled.
        want: Box<Descriptor>,
        /// From which offset.
        from: u64,
    },
    /// The bundle could not be written.
    #[error(transparent)]
    Write(#[from] WriteError),
}

fn finished_volumes(finished: u32) -> String {
    match finished {
        0 => "no volume is finished".to_owned(),
        1 => "volume 1 is finished and stays".to_owned(),
        n => format!("volumes 1 to {n} are finished and stay"),
    }
}

fn no_room(folder: &Path, needed: u64, available: u64, lack: Lack) -> String {
    let folder = folder.display();
    let why = match lack {
        Lack::RoomBeforehand => {
            return format!("{folder} has no room: {needed} bytes are needed, {available} are available");
        }
        Lack::Room => "the disk is full",
        Lack::Files => "the disk has room, but no names for more files are left on it (inodes)",
        Lack::Quota => "the quota of this user there is used up",
        Lack::FileSize => "a file has the largest size that is allowed there",
    };
    let rest = if needed == 0 { String::new() } else { format!("{needed} bytes are still needed, ") };
    format!("{folder} takes no more: {why}; {rest}{available} are available")
}

fn output(error: &io::Error) -> &'static str {
    match error.kind() {
        io::ErrorKind::BrokenPipe => "the reader of the bundle went away before it had all of it",
        io::ErrorKind::StorageFull => "the output takes no more",
        _ => "cannot write the output",
    }
}

impl WriteError {
    /// States that a folder has less room than is needed, before anything is written.
    pub fn no_room(folder: &Path, needed: u64, available: u64) -> Self {
        Self::Full { folder: folder.to_owned(), needed, available, lack: Lack::RoomBeforehand }
    }

    /// States that `what` could not be done with `path`; a disk that takes no more is told apart.
    pub(super) fn disk(what: &'static str, path: &Path, source: io::Error) -> Self {
        let folder = if path.is_dir() { path.to_owned() } else { super::disk::folder(path) };
        let (available, files) = super::disk::left(&folder).unwrap_or((0, 1));
        let lack = match source.kind() {
            io::ErrorKind::StorageFull if files == 0 && available > 0 => Lack::Files,
            io::ErrorKind::StorageFull => Lack::Room,
            io::ErrorKind::QuotaExceeded => Lack::Quota,
            io::ErrorKind::FileTooLarge => Lack::FileSize,
            _ => return Self::Disk { what, path: path.to_owned(), source },
        };
        Self::Full { folder, needed: 0, available, lack }
    }

    /// Adds how many bytes are still to be written, where a disk takes no more.
    #[must_use]
    pub(super) fn with_needed(self, bytes: u64) -> Self {
        match self {
            Self::Full { folder, needed: 0, available, lack } => Self::Full { folder, needed: bytes, available, lack },
            other => other,
        }
    }

    /// Returns how a caller treats the error.
    pub fn kind(&self) -> FaultKind {
        match self {
            Self::Busy(_) => FaultKind::Busy,
            Self::Exists { .. } => FaultKind::Refused,
            Self::Full { .. } | Self::FileTooLarge { .. } | Self::NoMedium { .. } => FaultKind::Full,
            Self::Mismatch { .. } | Self::Long { .. } | Self::ReadBack { .. } | Self::Rewrite { .. } => {
                FaultKind::Damaged
            }
            Self::Layout(_) | Self::Envelope(_) => FaultKind::TooLarge,
            Self::Source { source, .. } => kind_of(source),
            Self::Incomplete { .. } | Self::Medium { .. } | Self::Disk { .. } | Self::Output(_) | Self::Encoder(_) => {
                FaultKind::Local
            }
        }
    }
}

impl FillError {
    /// Returns how a caller treats the error.
    pub fn kind(&self) -> FaultKind {
        match self {
            Self::Mismatch { .. } | Self::Short { .. } | Self::Long { .. } => FaultKind::Damaged,
            Self::Source { source, .. } => kind_of(source),
            Self::Turn { .. } => FaultKind::Busy,
            Self::Write(error) => error.kind(),
        }
    }
}

fn kind_of(error: &io::Error) -> FaultKind {
    error.get_ref().and_then(|inner| inner.downcast_ref::<Fault>()).map_or(FaultKind::Local, |fault| fault.kind)
}
