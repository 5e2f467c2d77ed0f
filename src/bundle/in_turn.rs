//! Writes a bundle volume by volume, each onto the medium that has room for it (FORMAT.md, "Names and publication").
//!
//! One volume is open at a time and grows from its first byte to its last: no file system has to keep holes, and media
//! may be taken away as soon as their volumes have their names. The journal on the machine that packs knows where each
//! volume ended, so a run that was ended goes on with the volume that was under way.

use super::assembly::{self, Assembled, Ended, Next, Sink, Start};
use super::disk;
use super::journal::{DoneVolume, Journal};
use super::layout::{self, Place};
use super::media::MediaFolders;
use super::payload::{OpenAt, Payload};
use super::plan::BundlePlan;
use super::volume_check;
use super::volume_files::{Names, VolumeFiles};
use super::volumes::VolumeMark;
use super::write_error::{Lack, WriteError};
use super::writer::Written;
use crate::model::medium::{MediumUse, WantedVolume};
use crate::model::{Descriptor, Digester};
use std::fs::File;
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};

/// Bytes that are gathered before they are written.
const GATHER: usize = 1 << 20;
/// Bytes after which what was written is made durable: a slow medium does not fall behind by all the memory there is.
const SYNC_EVERY: u64 = 256 << 20;

/// Where payload comes from, and who hears of bytes that pass.
pub struct Sources<'a, 'b> {
    /// Opens a blob at an offset.
    pub open: &'a mut OpenAt<'a, 'b>,
    /// Is told of bytes as they pass.
    pub moved: &'a dyn Fn(u64),
}

/// Where volumes go.
pub struct Target<'a> {
    /// Name of the volumes; the journal stands beside it.
    pub out: &'a Path,
    /// Folders of the media.
    pub media: MediaFolders,
    /// Whether each volume is read again from its medium before the next one is begun.
    pub read_back: bool,
}

/// Volumes that an earlier run finished, and the whole of what was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WrittenInTurn {
    /// The bundle.
    pub written: Written,
    /// Volumes that were there from an earlier run.
    pub resumed: u32,
}

/// Writes the volumes that are not finished yet, in order.
///
/// The envelope is in the first volume, so the bundle is signed before its payload is seen.
pub fn write_in_turn(
    plan: &BundlePlan,
    envelope: Option<&[u8]>,
    sources: Sources<'_, '_>,
    target: Target<'_>,
) -> Result<WrittenInTurn, WriteError> {
    let names = Names::new(plan, target.out);
    let (mut journal, known) = Journal::open(&names.journal(), plan.set_id())?;
    if let Some(written) = complete(plan, &names, &target.media.folders).filter(|_| known.volumes.is_empty()) {
        journal.give_up();
        return Ok(WrittenInTurn { resumed: written.marks.len() as u32, written });
    }
    journal.claim(plan.set_id())?;
    let resumed = known.volumes.len() as u32;
    let mut opened = |want: &Descriptor, from: u64| (sources.open)(want, from);
    let opened: &mut OpenAt<'_, '_> = &mut opened;
    let payload = Payload::new(plan, opened, sources.moved)?;
    let finished = known.volumes;
    let Target { media, read_back, .. } = target;
    let mut turn =
        Turn { plan, payload, names, journal, finished, media, at: 0, refused: Vec::new(), now: None, read_back };
    if turn.finished.last().is_none_or(|last| last.next.is_some()) {
        turn.run(envelope)?;
    }
    turn.journal.remove()?;
    disk::sync_folder(&turn.names.folder()).map_err(|e| WriteError::disk("sync", &turn.names.folder(), e))?;
    let marks: Vec<VolumeMark> = turn.finished.iter().map(DoneVolume::mark).collect();
    Ok(WrittenInTurn { written: written(plan, marks), resumed })
}

fn written(plan: &BundlePlan, marks: Vec<VolumeMark>) -> Written {
    let bytes = marks.iter().map(|mark| mark.bytes).sum();
    let volumes = marks.iter().map(|mark| mark.path.clone()).collect();
    Written { volumes, marks, bytes, bundle_id: plan.bundle_id().clone(), set_id: plan.set_id() }
}

/// Returns the set where all of its volumes stand finished in the folders.
fn complete(plan: &BundlePlan, names: &Names, folders: &[PathBuf]) -> Option<Written> {
    let mut marks = Vec::new();
    loop {
        let number = marks.len() as u32 + 1;
        let own = |folder: &PathBuf| {
            let path = folder.join(names.last(number).file_name()?);
            let name = volume_check::volume_name(&path).ok()?;
            let own = name.set_id == plan.set_id() && name.number == number;
            let mark = volume_check::mark(&path, number).filter(|mark| own && mark.digest.is_some())?;
            Some((mark, name.total))
        };
        let (mark, total) = folders.iter().find_map(own)?;
        marks.push(mark);
        if total == Some(number) {
            return Some(written(plan, marks));
        }
    }
}

/// Volume that is being written.
struct Growing {
    number: u32,
    file: File,
    partial: PathBuf,
    last: PathBuf,
    length: u64,
    synced: u64,
    waiting: Vec<u8>,
}

struct Turn<'a, 'b> {
    plan: &'a BundlePlan,
    payload: Payload<'a, 'b>,
    names: Names,
    journal: Journal,
    finished: Vec<DoneVolume>,
    media: MediaFolders,
    /// Folder that takes volumes now.
    at: usize,
    /// Why folders before it do not take the volume that is next.
    refused: Vec<String>,
    now: Option<Growing>,
    read_back: bool,
}

impl Turn<'_, '_> {
    /// Writes all that is left; a volume whose medium turned out to be full is begun again on the next one.
    fn run(&mut self, envelope: Option<&[u8]>) -> Result<Assembled, WriteError> {
        let plan = self.plan;
        loop {
            let start = self.start()?;
            let result = assembly::assemble_from(plan, envelope, start, self);
            let Err(error) = result else { return result };
            let Some(growing) = self.now.take() else { return Err(self.rewound(error)?) };
            drop(growing.file);
            // What stays is overwritten by the next run, and nobody takes it for a volume.
            let _ = std::fs::remove_file(&growing.partial);
            match error {
                WriteError::Full { ref folder, lack, .. }
                    if lack != Lack::FileSize && *folder == disk::folder(&growing.partial) =>
                {
                    self.refused.push(error.to_string());
                    self.at += 1;
                }
                WriteError::Disk { path, what, source } if path == growing.partial => {
                    let finished = self.finished.len() as u32;
                    return Err(WriteError::Medium { number: growing.number, what, path, finished, source });
                }
                other => return Err(self.rewound(other)?),
            }
        }
    }

    /// Returns where the volume that is not finished starts, and readies the payload for it.
    fn start(&mut self) -> Result<Start, WriteError> {
        let Some(last) = self.finished.last() else {
            self.payload.resume(None);
            return Ok(Start::default());
        };
        let seen = match (&last.next, last.next.as_ref().and_then(|next| self.plan.entries.get(next.entry))) {
            (Some(next), Some(_)) if next.frame > 1 && self.plan.is_payload(next.entry) => {
                let algorithm = self.plan.wanted(next.entry).digest.algorithm();
                let seen = Digester::from_state(algorithm, &last.state);
                Some(seen.ok_or_else(|| self.journal.unusable("the state of a digest in it is damaged"))?)
            }
            _ => None,
        };
        self.payload.resume(seen);
        let digests = self.finished.iter().map(|volume| volume.digest).collect();
        let lengths = self.finished.iter().map(|volume| volume.length).collect();
        let nexts = self.finished.iter().map(|volume| volume.next.clone()).collect::<Option<Vec<Next>>>();
        let nexts = nexts.ok_or_else(|| self.journal.unusable("all volumes are finished by what it says"))?;
        Ok(Start { nexts, digests, lengths })
    }

    /// Forgets volumes that hold the beginning of a blob that turned out not to be what was promised.
    fn rewound(&mut self, error: WriteError) -> Result<WriteError, WriteError> {
        let (WriteError::Mismatch { want, .. } | WriteError::Long { want }) = &error else { return Ok(error) };
        let Some(entry) = self.plan.entry_with(&want.digest) else { return Ok(error) };
        let holds = |volume: &DoneVolume| {
            volume.next.as_ref().is_some_and(|next| next.entry > entry || (next.entry == entry && next.frame > 1))
        };
        let Some(first) = self.finished.iter().position(holds) else { return Ok(error) };
        let (from, to) = (first as u32 + 1, self.finished.len() as u32);
        self.journal.forget_volumes(from)?;
        Ok(WriteError::Rewrite { from, to, source: Box::new(error) })
    }

    /// Opens the next volume on the first medium that has room for it.
    fn begin(&mut self, number: u32) -> Result<(), WriteError> {
        let wanted = self.wanted(number);
        let name = self.names.last(number).file_name().map(PathBuf::from).unwrap_or_default();
        loop {
            while let Some(folder) = self.media.folders.get(self.at) {
                let last = folder.join(&name);
                match self.unfit(folder, &last, &wanted) {
                    None if self.open(number, &last)? => return Ok(()),
                    None => {}
                    Some(why) => self.refused.push(why),
                }
                self.at += 1;
            }
            let why = std::mem::take(&mut self.refused).join("; ");
            // It may take hours until somebody comes; no server keeps a connection open that long.
            self.payload.pause();
            if let Err(why) = self.media.change(wanted.clone(), &why) {
                let (finished, needed) = (self.finished.len() as u32, wanted.bytes.unwrap_or(0));
                return Err(WriteError::NoMedium { volume: wanted.shown(), needed, finished, why });
            }
            self.at = 0;
        }
    }

    fn wanted(&self, number: u32) -> WantedVolume {
        let file = self.names.last(number).file_name().map(|name| name.to_string_lossy().into_owned());
        WantedVolume {
            purpose: MediumUse::Write,
            number,
            total: self.plan.volumes(),
            bundle: Some(self.plan.bundle_id().clone()),
            bytes: Some(self.needed(number)),
            file,
            folders: Vec::new(),
        }
    }

    /// Returns the bytes that a volume takes at most.
    fn needed(&self, number: u32) -> u64 {
        let spans = self.plan.arranged.cursor.volumes();
        match (self.plan.volumes(), spans.get(number as usize - 1)) {
            (Some(total), Some(span)) => layout::file_length(span, number, total),
            _ => {
                let from = self.finished.last().and_then(|volume| volume.next.as_ref()).map_or(0, |next| next.entry);
                let limit = self.plan.options.volume_size.as_ref().map_or(u64::MAX, |sizes| sizes.of(number));
                self.plan.most_bytes(from, number).min(limit)
            }
        }
    }

    /// Returns why a folder cannot take a volume.
    fn unfit(&self, folder: &Path, path: &Path, wanted: &WantedVolume) -> Option<String> {
        let shown = folder.display();
        if !folder.is_dir() {
            return Some(format!("{shown} is not there"));
        }
        let header = VolumeFiles::header_at(path);
        let own = header.is_some_and(|header| (header.set_id, header.number) == (self.plan.set_id(), wanted.number));
        if path.exists() && !own {
            return Some(format!("{} exists and is not this volume", path.display()));
        }
        let needed = wanted.bytes.unwrap_or(0);
        match disk::available(folder) {
            Err(error) => Some(format!("{shown} cannot be asked for its room: {error}")),
            Ok(available) if available < needed => {
                Some(format!("{shown} has room for {available} bytes, and {needed} are needed"))
            }
            Ok(_) => None,
        }
    }

    /// Begins a volume; `false` where its medium cannot be written.
    fn open(&mut self, number: u32, last: &Path) -> Result<bool, WriteError> {
        let mut partial = last.as_os_str().to_owned();
        partial.push(".partial");
        let partial = PathBuf::from(partial);
        let file = match File::options().read(true).write(true).create(true).truncate(true).open(&partial) {
            Ok(file) => file,
            Err(error) if matches!(error.kind(), ErrorKind::PermissionDenied | ErrorKind::ReadOnlyFilesystem) => {
                self.refused.push(format!("{} cannot be written: {error}", partial.display()));
                return Ok(false);
            }
            Err(error) => return Err(WriteError::disk("create", &partial, error)),
        };
        self.refused.clear();
        self.now =
            Some(Growing { number, file, partial, last: last.to_owned(), length: 0, synced: 0, waiting: Vec::new() });
        Ok(true)
    }

    fn growing(&mut self) -> Result<&mut Growing, WriteError> {
        self.now.as_mut().ok_or(WriteError::Incomplete { blobs: 0 })
    }
}

impl Growing {
    fn take(&mut self, bytes: &[u8]) -> Result<(), WriteError> {
        self.waiting.extend_from_slice(bytes);
        if self.waiting.len() < GATHER { Ok(()) } else { self.flush() }
    }

    fn flush(&mut self) -> Result<(), WriteError> {
        let end = self.length + self.waiting.len() as u64;
        let written = disk::allowed(end).and_then(|()| self.file.write_all(&self.waiting));
        written.map_err(|source| WriteError::disk("write", &self.partial, source))?;
        self.length = end;
        self.waiting.clear();
        if self.length - self.synced < SYNC_EVERY {
            return Ok(());
        }
        self.synced = self.length;
        self.file.sync_data().map_err(|source| WriteError::disk("sync", &self.partial, source))
    }

    /// Makes the volume durable and gives it its name.
    fn publish(&mut self) -> Result<(), WriteError> {
        self.flush()?;
        self.file.sync_all().map_err(|source| WriteError::disk("sync", &self.partial, source))?;
        // What has the name already is this very volume, of a run that ended before it could be noted.
        let named = match self.last.exists() {
            true => std::fs::rename(&self.partial, &self.last),
            false => disk::rename_new(&self.partial, &self.last),
        };
        named.map_err(|source| WriteError::disk("rename", &self.partial, source))?;
        let synced = disk::sync_folder(&disk::folder(&self.last));
        synced.map_err(|source| WriteError::disk("sync", &self.partial, source))
    }

    /// Reads the volume again from its medium, past what memory keeps of it.
    fn read_back(&self) -> Result<(), WriteError> {
        disk::forget_pages(&self.file).map_err(|source| WriteError::disk("read again", &self.partial, source))?;
        let found = volume_check::check_volume(&self.last, &|_| {}).findings;
        let Some(first) = found.first() else { return Ok(()) };
        let what = format!("{}: {}", first.place, first.what);
        // It is no volume, so it must not be called like one.
        let _ = std::fs::remove_file(&self.last);
        Err(WriteError::ReadBack { path: self.last.clone(), what })
    }
}

impl Sink for Turn<'_, '_> {
    fn put(&mut self, at: Place, bytes: &[u8]) -> Result<(), WriteError> {
        if at.offset == 0 {
            self.begin(at.volume)?;
        }
        self.growing()?.take(bytes)
    }

    fn chunk(&mut self, index: usize, number: u32, content: u64) -> Result<(u64, [u8; 32]), WriteError> {
        self.payload.chunk(index, number, content)
    }

    fn put_chunk(&mut self, _: Place) -> Result<(), WriteError> {
        let growing = self.now.as_mut().ok_or(WriteError::Incomplete { blobs: 0 })?;
        growing.take(self.payload.bytes())
    }

    fn ended(&mut self, ended: Ended) -> Result<(), WriteError> {
        let read_back = self.read_back;
        let growing = self.growing()?;
        growing.publish()?;
        if read_back {
            growing.read_back()?;
        }
        let path = growing.last.clone();
        let inside = ended.next.as_ref().is_some_and(|next| next.frame > 1 && self.plan.is_payload(next.entry));
        let state = self.payload.before().filter(|_| inside).map(Digester::state).unwrap_or_default();
        let Ended { number, length, digest, next } = ended;
        let done = DoneVolume { number, length, digest, path, next, state };
        self.journal.note_volume(&done)?;
        self.finished.push(done);
        self.now = None;
        Ok(())
    }
}
