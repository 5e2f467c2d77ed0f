//! What parity there is for a bundle, and how much damage it would survive.

use super::pass::Passed;
use super::scheme::{BLOCK, Scheme};
use super::volume::ParityFile;
use crate::bundle::disk;
use crate::bundle::header::VolumeKind;
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::PathBuf;

/// How much damage a bundle would survive.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Protection {
    /// Parity volumes that were made.
    pub made: u32,
    /// Those of them that are there and can be used.
    pub usable: u32,
    /// Data volumes of the bundle.
    pub volumes: u32,
    /// Pieces that the data volumes are cut into; their number where each is one.
    pub pieces: u32,
    /// Bytes of one piece.
    pub piece: u64,
    /// Bytes in one stretch that may be damaged wherever they are.
    pub stretch: u64,
}

impl Protection {
    fn of(scheme: &Scheme, usable: usize) -> Self {
        let usable = (usable as u32).min(scheme.parity);
        let stretch = u64::from(usable.saturating_sub(1)) * scheme.piece
            + if usable > 0 { scheme.piece.saturating_sub(BLOCK) } else { 0 };
        let (volumes, pieces) = (scheme.volumes.len() as u32, scheme.data() as u32);
        Self { made: scheme.parity, usable, volumes, pieces, piece: scheme.piece, stretch }
    }

    /// Returns whether whole volumes may be lost: each of them is one piece.
    pub const fn covers_volumes(&self) -> bool {
        self.volumes > 1 && self.volumes == self.pieces
    }
}

/// Returns what the parity volumes of one set come to; the set is the one that most of them state.
pub(in crate::bundle) fn protection(passed: Vec<Passed>) -> Option<Protection> {
    of_schemes(&passed.into_iter().map(|one| (one.number, one.scheme)).collect())
}

fn of_schemes(schemes: &BTreeMap<u32, Scheme>) -> Option<Protection> {
    let votes = |scheme: &&Scheme| schemes.values().filter(|other| other == scheme).count();
    let best = schemes.values().rev().max_by_key(votes)?;
    Some(Protection::of(best, votes(&best)))
}

/// Returns how many data volumes parity volumes say that there are. Nothing is decided by this but a list.
pub(in crate::bundle) fn stated_total(paths: &[PathBuf]) -> Option<u32> {
    paths.iter().find_map(|path| ParityFile::open(path, None)).map(|file| file.scheme.volumes.len() as u32)
}

/// Returns what parity is among the named files and beside them, for the bundle of the first of them that says of
/// which it is. Only the starts of parity volumes are read.
pub fn parity_at_hand(named: &[PathBuf]) -> Option<Protection> {
    let set = named.iter().find_map(|path| super::volume::identify(path))?.set_id;
    let folders: BTreeSet<PathBuf> = named.iter().map(|path| disk::folder(path)).collect();
    let beside = folders.iter().flat_map(|folder| fs::read_dir(folder).into_iter().flatten().flatten());
    let beside = beside.map(|entry| entry.path()).filter(|path| path.extension().is_some_and(|e| e == "airlift"));
    let all: BTreeSet<PathBuf> = named.iter().cloned().chain(beside).collect();
    let ours = |path: &PathBuf| {
        super::volume::identify(path).is_some_and(|found| found.kind == VolumeKind::Parity && found.set_id == set)
    };
    let opened = all.iter().filter(|path| ours(path)).filter_map(|path| ParityFile::open(path, None));
    of_schemes(&opened.map(|file| (file.number, file.scheme)).collect())
}
