//! Finds everything that can help a repair: all copies of all volumes of one set, whatever they are called and
//! wherever they are, whole or not.

use super::error::ParityError;
use super::scheme::{BLOCK, Scheme};
use super::segment::{Hashes, SegmentHead, hash};
use super::volume::{Files, Identity, ParityFile, identify};
use crate::bundle::disk;
use crate::bundle::header::VolumeKind;
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

/// Blocks of a file without header and footer that are compared before it is passed over.
const COMPARED: u64 = 64;

/// What there is of one set.
#[derive(Debug)]
pub(super) struct Sources {
    /// The parity set, as most of its volumes state it.
    pub scheme: Scheme,
    /// Parity volumes that agree on it, by number; one copy of each.
    pub parity: BTreeMap<u32, ParityFile>,
    /// Files that are some copy of a data volume, by its index.
    pub copies: Vec<Vec<PathBuf>>,
    /// Parity volumes that state another set, or of which nothing can be read.
    pub useless: Vec<PathBuf>,
    /// Files of other bundles, and files that are nothing of a bundle.
    pub foreign: Vec<PathBuf>,
}

/// Gathers what belongs to the set of the named files: from them, from the folders that they are in, and from `also`.
pub(super) fn gather(named: &[PathBuf], also: Option<&Path>) -> Result<Sources, ParityError> {
    let folders = named.iter().map(|path| disk::folder(path)).chain(also.map(Path::to_owned));
    let folders: BTreeSet<PathBuf> = folders.collect();
    let known: Vec<(PathBuf, Option<Identity>)> =
        distinct(named, &folders).into_iter().map(|path| (path.clone(), identify(&path))).collect();
    let place = || folders.iter().map(|folder| folder.display().to_string()).collect::<Vec<_>>().join(", ");
    let set = set_of(named, &known).ok_or_else(|| ParityError::Absent { place: place() })?;
    let of_set = |kind: VolumeKind| {
        let belongs = move |found: &Identity| found.kind == kind && found.set_id == set;
        known.iter().filter_map(move |(path, found)| found.filter(belongs).map(|found| (path, found.number)))
    };
    let candidates: Vec<&PathBuf> = of_set(VolumeKind::Parity).map(|(path, _)| path).collect();
    let (scheme, opened) = agreed(&candidates, set).ok_or_else(|| ParityError::Absent { place: place() })?;
    let useful: BTreeSet<PathBuf> = opened.iter().map(|file| file.path.clone()).collect();
    let mut parity = BTreeMap::new();
    for file in opened {
        // Of two copies the whole one counts.
        let worse = parity.get(&file.number).is_some_and(|other: &ParityFile| other.is_whole() || !file.is_whole());
        if !worse {
            parity.insert(file.number, file);
        }
    }
    let mut sources = Sources {
        copies: vec![Vec::new(); scheme.volumes.len()],
        useless: candidates.into_iter().filter(|path| !useful.contains(*path)).cloned().collect(),
        foreign: Vec::new(),
        scheme,
        parity,
    };
    for (path, number) in of_set(VolumeKind::Data) {
        match sources.copies.get_mut((number as usize).wrapping_sub(1)) {
            Some(copies) => copies.push(path.clone()),
            None => sources.foreign.push(path.clone()),
        }
    }
    for (path, found) in &known {
        match found {
            None => sources.stranger(path),
            Some(found) if found.set_id != set && named.contains(path) => sources.foreign.push(path.clone()),
            Some(_) => {}
        }
    }
    Ok(sources)
}

/// Returns the named files and those beside them, sorted; a file that can be reached in two ways counts once, as named.
fn distinct(named: &[PathBuf], folders: &BTreeSet<PathBuf>) -> BTreeSet<PathBuf> {
    let mut seen = BTreeSet::new();
    let beside = folders.iter().flat_map(|folder| siblings(folder));
    let all = named.iter().cloned().chain(beside);
    all.filter(|path| disk::inode(path).is_none_or(|inode| seen.insert(inode))).collect()
}

/// Returns the files of a folder that may be volumes, those that an earlier repair put aside among them.
fn siblings(folder: &Path) -> Vec<PathBuf> {
    let may_be = |path: &PathBuf| {
        let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        (name.ends_with(".airlift") || name.contains(".airlift.damaged")) && path.is_file()
    };
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    entries.map(|entry| entry.path()).filter(may_be).collect()
}

/// Returns the set that most of the named files belong to, among those that have parity.
fn set_of(named: &[PathBuf], known: &[(PathBuf, Option<Identity>)]) -> Option<[u8; 32]> {
    let parity = |found: &&Identity| found.kind == VolumeKind::Parity;
    let with_parity: BTreeSet<[u8; 32]> =
        known.iter().filter_map(|(_, found)| found.as_ref()).filter(parity).map(|found| found.set_id).collect();
    let mut counts: BTreeMap<[u8; 32], usize> = BTreeMap::new();
    let ours = known.iter().filter(|(path, _)| named.contains(path)).filter_map(|(_, found)| found.as_ref());
    ours.filter(|found| with_parity.contains(&found.set_id))
        .for_each(|found| *counts.entry(found.set_id).or_default() += 1);
    let by_count = counts.into_iter().max_by_key(|(_, count)| *count).map(|(set, _)| set);
    let nameless = known.iter().filter(|(path, _)| named.contains(path)).all(|(_, found)| found.is_none());
    // A file that says nothing of itself belongs to the one set that is beside it.
    by_count.or_else(|| with_parity.first().filter(|_| nameless && with_parity.len() == 1).copied())
}

/// Opens parity volumes and returns the scheme that most of them state, with those that do.
fn agreed(paths: &[&PathBuf], set: [u8; 32]) -> Option<(Scheme, Vec<ParityFile>)> {
    let mut opened: Vec<Option<ParityFile>> = paths.iter().map(|path| ParityFile::open(path, None)).collect();
    let mut votes: Vec<(Scheme, usize)> = Vec::new();
    for file in opened.iter().flatten().filter(|file| file.scheme.set_id == set) {
        match votes.iter_mut().find(|(scheme, _)| *scheme == file.scheme) {
            Some((_, count)) => *count += 1,
            None => votes.push((file.scheme.clone(), 1)),
        }
    }
    // Of equals the first counts.
    let scheme = votes.into_iter().rev().max_by_key(|(_, count)| *count)?.0;
    for (file, path) in opened.iter_mut().zip(paths) {
        if file.is_none() {
            *file = ParityFile::open(path, Some(&scheme));
        }
    }
    let agreeing = opened.into_iter().flatten().filter(|file| file.scheme == scheme).collect();
    Some((scheme, agreeing))
}

impl Sources {
    /// Takes in a file without header and footer as a copy of the volume that its blocks are from.
    fn stranger(&mut self, path: &Path) {
        match self.volume_of(path) {
            Some(volume) => self.copies[volume].push(path.to_owned()),
            None => self.foreign.push(path.to_owned()),
        }
    }

    fn volume_of(&self, path: &Path) -> Option<usize> {
        let head = self.head(0)?;
        let hashes = Hashes::new(&self.scheme, 0, &head.list);
        let files = Files::default();
        let fits = |shard: usize, stripe: u64| {
            let mut block = vec![0; self.scheme.part(shard, stripe)];
            let at = self.scheme.shards()[shard];
            let read = files.read(path, at.offset + stripe * BLOCK, &mut block);
            matches!(read, Ok(true)) && hashes.of(shard, stripe) == Some(&hash(&block)[..])
        };
        let blocks = |shard: usize| self.scheme.length(shard).div_ceil(BLOCK).min(COMPARED);
        let found = (0..self.scheme.data()).find(|shard| (0..blocks(*shard)).any(|stripe| fits(*shard, stripe)))?;
        Some(self.scheme.shards()[found].volume)
    }

    /// Returns the head of a segment as most parity volumes have it; `None` where none is whole.
    pub(super) fn head(&self, segment: u64) -> Option<SegmentHead> {
        let heads: Vec<SegmentHead> = self.parity.values().filter_map(|file| file.head(segment)).collect();
        let votes = |head: &SegmentHead| heads.iter().filter(|other| other.list == head.list).count();
        let best = (0..heads.len()).rev().max_by_key(|index| votes(&heads[*index]))?;
        heads.into_iter().nth(best)
    }
}
