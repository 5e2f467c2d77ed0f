//! What an earlier run left on the disk: a finished set, whole blobs, beginnings of blobs.
//!
//! Whole blobs that the journal names are taken as they are. All else is hashed again, on all cores; a hole reads as
//! zeros and ends the search at once.

use super::arrange;
use super::fetch::Progress;
use super::frame::{self, RAW_HEAD};
use super::header::LENGTH as HEADER;
use super::journal::DoneBlob;
use super::layout::Place;
use super::plan::{BundlePlan, Stored, What};
use super::trailer::{FOOTER, Footer, SKIPPABLE_MAX};
use super::volume_files::VolumeFiles;
use super::write_error::WriteError;
use super::writer::State;
use crate::model::limits;
use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::thread;

/// Returns the volumes of this set where it is complete under its final names.
///
/// Anything else that has the name of volume 1 is refused: a good set is never overwritten.
pub(super) fn complete(plan: &BundlePlan, files: &VolumeFiles) -> Result<Option<Vec<PathBuf>>, WriteError> {
    let mut volumes = Vec::new();
    for number in 1..=limits::VOLUMES {
        let path = files.names.last(number);
        if number == 1 && !path.exists() {
            return Ok(None);
        }
        let exists = |why: &str| WriteError::Exists { path: path.clone(), why: why.to_owned() };
        let header = VolumeFiles::header_at(&path).ok_or_else(|| exists("it is no intact volume"))?;
        if header.set_id != plan.set_id() {
            return Err(exists("it is a volume of another bundle, or cut in another way"));
        }
        let footer = intact(&path).map_err(|source| WriteError::disk("read", &path, source))?;
        let footer = footer.filter(|footer| footer.number == number && footer.set_id == plan.set_id());
        let footer = footer.ok_or_else(|| exists("it is a damaged volume of this bundle"))?;
        volumes.push(path);
        if footer.is_last() {
            return Ok(Some(volumes));
        }
    }
    Ok(None)
}

/// Returns the footer of a volume whose header, table and length are as it says.
fn intact(path: &Path) -> io::Result<Option<Footer>> {
    let file = File::open(path)?;
    let length = file.metadata()?.len();
    let (mut header, mut last) = ([0; HEADER], [0; FOOTER]);
    let Some(at) = length.checked_sub(FOOTER as u64) else { return Ok(None) };
    file.read_exact_at(&mut header, 0)?;
    file.read_exact_at(&mut last, at)?;
    let Some(footer) = Footer::parse(&last).filter(|f| f.file_length == length && f.table_length <= SKIPPABLE_MAX)
    else {
        return Ok(None);
    };
    let Some(start) = at.checked_sub(footer.table_length) else { return Ok(None) };
    let mut table = vec![0; footer.table_length as usize];
    file.read_exact_at(&mut table, start)?;
    Ok((footer.expected(&header, &table) == footer.digest).then_some(footer))
}

/// Returns the state of every blob of region A. What was noted counts for the volumes in `standing` only.
pub(super) fn blobs(
    plan: &BundlePlan,
    files: &VolumeFiles,
    noted: Vec<DoneBlob>,
    standing: &BTreeSet<u32>,
) -> Result<BTreeMap<usize, State>, WriteError> {
    let mut states = BTreeMap::new();
    let stride = frame::raw_length(u64::from(plan.options.chunk_size));
    for blob in noted {
        let index = plan.entry_of(blob.ordinal);
        let whole = |index: &usize| {
            let entry = &plan.entries[*index];
            let count = entry.size.div_ceil(u64::from(plan.options.chunk_size));
            let stands =
                |chunk| plan.arranged.chunk(*index, chunk, stride).is_some_and(|at| standing.contains(&at.volume));
            matches!(entry.stored, Stored::Raw)
                && count == blob.frames.len() as u64
                && (0..blob.frames.len() as u32).all(stands)
        };
        if let Some(index) = index.filter(whole) {
            states.insert(index, State::Done(blob.frames));
        }
    }
    let is_raw = |index: &usize| {
        let entry = &plan.entries[*index];
        matches!((&entry.stored, entry.what), (Stored::Raw, What::Blob(_))) && !states.contains_key(index)
    };
    let rest: Vec<usize> = (0..plan.entries.len()).filter(is_raw).collect();
    let found = Mutex::new(Vec::new());
    let next = AtomicUsize::new(0);
    let work = || {
        let mut buffer = Vec::new();
        while let Some(index) = rest.get(next.fetch_add(1, Ordering::Relaxed)) {
            let state = blob(plan, files, *index, &mut buffer);
            found.lock().unwrap_or_else(PoisonError::into_inner).push((*index, state));
        }
    };
    let threads = thread::available_parallelism().map_or(1, |n| n.get()).min(rest.len().max(1));
    thread::scope(|scope| {
        (1..threads).for_each(|_| drop(scope.spawn(work)));
        work();
    });
    for (index, state) in found.into_inner().unwrap_or_else(PoisonError::into_inner) {
        states.insert(index, state?);
    }
    Ok(states)
}

fn blob(plan: &BundlePlan, files: &VolumeFiles, index: usize, buffer: &mut Vec<u8>) -> Result<State, WriteError> {
    let want = plan.wanted(index);
    let mut progress = Progress::new(&want);
    let stride = frame::raw_length(u64::from(plan.options.chunk_size));
    for (number, content) in (0..).zip(arrange::chunks(want.size, plan.options.chunk_size)) {
        let place = plan.arranged.chunk(index, number, stride);
        let Some(digest) = (match place {
            Some(at) => chunk(files, at, content, buffer, &mut progress)?,
            None => None,
        }) else {
            break;
        };
        progress.frames.push(digest);
    }
    if progress.digester.size() < want.size {
        return Ok(State::Open(Box::new(progress)));
    }
    // All chunks are whole: either it is the blob, or none of it is worth keeping.
    if want.names(&progress.digester.clone().finish()) {
        return Ok(State::Done(progress.frames));
    }
    Ok(State::Open(Box::new(Progress::new(&want))))
}

/// Takes in the chunk at a place, if a whole frame stands there.
fn chunk(
    files: &VolumeFiles,
    at: Place,
    content: u64,
    buffer: &mut Vec<u8>,
    progress: &mut Progress,
) -> Result<Option<[u8; 32]>, WriteError> {
    let mut head = [0; RAW_HEAD];
    if !files.read(at, &mut head)? || head != frame::raw_head(content) {
        return Ok(None);
    }
    buffer.resize(frame::raw_length(content) as usize, 0);
    if !files.read(at, buffer)? {
        return Ok(None);
    }
    let mut digester = progress.digester.clone();
    let Ok(digest) = frame::check_raw(buffer, content as usize, |block| digester.update(block)) else {
        return Ok(None);
    };
    progress.digester = digester;
    Ok(Some(digest))
}
