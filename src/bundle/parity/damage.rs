//! Looks which blocks of a set are bad and whether parity can make them again. Nothing is written.

use super::Watch;
use super::bits::Bits;
use super::error::ParityError;
use super::pass::trailer_bytes;
use super::scheme::{BLOCK, STRIPES};
use super::segment::{Hashes, hash, head_bytes};
use super::sources::{Sources, gather};
use super::stripes::{Stripes, in_threads};
use super::volume::Files;
use crate::bundle::header::{LENGTH as HEADER, VolumeHeader, VolumeKind};
use serde::Serialize;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

/// Stripes that are named one by one where parity is not enough.
const NAMED: usize = 16;

/// State of one volume of a set.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Condition {
    /// Number from 1.
    pub number: u32,
    /// Whether it is a parity volume.
    pub parity: bool,
    /// The best file of it; `None` where there is none.
    pub file: Option<PathBuf>,
    /// Its blocks of 64 KiB, those at its end counted as one.
    pub blocks: u64,
    /// Blocks that no file of it has; all of them where there is no file.
    pub damaged: u64,
    /// Whether that file is whole.
    pub whole: bool,
}

/// A place at which more is damaged than parity can make again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct TooMuch {
    /// First stripe.
    pub stripe: u64,
    /// Stripes from there with the same damage.
    pub stripes: u64,
    /// Damaged blocks in each of them.
    pub damaged: u32,
    /// Blocks of these that parity can make again.
    pub repairable: u32,
    /// Numbers of the data volumes that are hit.
    pub volumes: Vec<u32>,
}

/// What is damaged in a set.
#[derive(Debug)]
pub struct Damage {
    pub(super) sources: Sources,
    /// Bad blocks of each shard.
    pub(super) bad: Vec<Bits>,
    /// By data volume, then by copy.
    copies: Vec<Vec<Copy>>,
    /// By parity volume, from number 1: whether everything but its blocks is as it was written.
    ends: Vec<bool>,
    lacks: Vec<TooMuch>,
    lacking: u64,
    /// By data volume, from index 0: whether it cannot be made again.
    pub(super) hopeless: Vec<bool>,
}

#[derive(Debug)]
struct Copy {
    path: PathBuf,
    right_length: bool,
    bad: AtomicU64,
}

/// Looks for damage in the bundle that the named volumes belong to; others beside them and in `also` are taken in.
pub fn look_for_damage(named: &[PathBuf], also: Option<&Path>, watch: Watch<'_>) -> Result<Damage, ParityError> {
    let sources = gather(named, also)?;
    let scheme = &sources.scheme;
    let copies = sources.copies.iter().zip(&scheme.volumes);
    let copies = copies.map(|(paths, volume)| paths.iter().map(|path| Copy::new(path, volume.length)).collect());
    let mut damage = Damage {
        bad: (0..scheme.all()).map(|shard| Bits::new(scheme.length(shard).div_ceil(BLOCK))).collect(),
        copies: copies.collect(),
        ends: Vec::new(),
        lacks: Vec::new(),
        lacking: 0,
        hopeless: vec![false; scheme.volumes.len()],
        sources,
    };
    let mut heads = Heads::new(&damage.sources);
    for segment in 0..damage.sources.scheme.segments() {
        damage.look(segment, &mut heads, watch)?;
    }
    let ends = (1..=damage.sources.scheme.parity).map(|number| heads.is_whole(number)).collect();
    damage.ends = ends;
    damage.weigh();
    Ok(damage)
}

impl Copy {
    fn new(path: &Path, length: u64) -> Self {
        let right_length = fs::metadata(path).is_ok_and(|meta| meta.len() == length);
        Self { path: path.to_owned(), right_length, bad: AtomicU64::new(0) }
    }

    fn is_whole(&self) -> bool {
        self.right_length && self.bad.load(Ordering::Relaxed) == 0
    }
}

/// Follows the heads of all parity volumes through the segments.
struct Heads<'a> {
    sources: &'a Sources,
    good: Vec<bool>,
    digests: Vec<Vec<[u8; 32]>>,
}

impl<'a> Heads<'a> {
    fn new(sources: &'a Sources) -> Self {
        let count = sources.scheme.parity as usize;
        Self { sources, good: vec![true; count], digests: vec![Vec::new(); count] }
    }

    /// Compares the heads of a segment with the one that was agreed on.
    fn compare(&mut self, segment: u64, list: &[u8]) {
        for (index, number) in (0..).zip(1..=self.sources.scheme.parity) {
            let (_, expected) = head_bytes(&self.sources.scheme, number, segment, list);
            let found = self.sources.parity.get(&number).and_then(|file| file.head(segment));
            self.good[index] &= found.is_some_and(|head| head.digest == expected);
            self.digests[index].push(expected);
        }
    }

    /// Returns whether all of a parity volume but its blocks is as it was written.
    fn is_whole(&self, number: u32) -> bool {
        let (scheme, index) = (&self.sources.scheme, number as usize - 1);
        let Some(file) = self.sources.parity.get(&number).filter(|_| self.good[index]) else { return false };
        let mut header = [0; HEADER];
        let files = Files::default();
        let read = |offset: u64, bytes: &mut [u8]| matches!(files.read(&file.path, offset, bytes), Ok(true));
        let kind = read(0, &mut header).then(|| VolumeHeader::parse_any(&header).ok()).flatten();
        let expected = trailer_bytes(scheme, number, &header, &self.digests[index]);
        let mut end = vec![0; expected.len()];
        let length = scheme.file_length();
        kind.is_some_and(|(kind, found)| kind == VolumeKind::Parity && found.number == number)
            && fs::metadata(&file.path).is_ok_and(|meta| meta.len() == length)
            && read(length - end.len() as u64, &mut end)
            && end == expected
    }
}

impl Damage {
    /// Reads all blocks of a segment and notes which are bad.
    fn look(&self, segment: u64, heads: &mut Heads<'_>, watch: Watch<'_>) -> Result<(), ParityError> {
        let scheme = &self.sources.scheme;
        let head = self.sources.head(segment);
        match &head {
            Some(head) => heads.compare(segment, &head.list),
            None => heads.good.fill(false),
        }
        let look = Look {
            damage: self,
            hashes: head.as_ref().map(|head| Hashes::new(scheme, segment, &head.list)),
            blocks_at: scheme.blocks_at(segment),
            stripes: Stripes::new(scheme.stripes_of(segment)),
            files: Files::default(),
        };
        in_threads(watch.threads, || look.run(watch))
    }

    /// Tells from the bad blocks what cannot be made again.
    fn weigh(&mut self) {
        let scheme = &self.sources.scheme;
        for stripe in 0..scheme.stripes() {
            let bad = |shard: &usize| self.bad[*shard].has(stripe);
            let data: Vec<usize> = (0..scheme.data()).filter(bad).collect();
            let parity = (scheme.data()..scheme.all()).filter(bad).count();
            let repairable = scheme.parity - parity as u32;
            if data.len() as u32 <= repairable {
                continue;
            }
            self.lacking += 1;
            let mut volumes: Vec<u32> = data.iter().map(|shard| scheme.shards()[*shard].volume as u32 + 1).collect();
            volumes.dedup();
            volumes.iter().for_each(|number| self.hopeless[*number as usize - 1] = true);
            let lack = TooMuch { stripe, stripes: 1, damaged: data.len() as u32, repairable, volumes };
            let full = self.lacks.len() >= NAMED;
            match self.lacks.last_mut().filter(|last| lack.goes_on(last)) {
                Some(last) => last.stripes += 1,
                None if full => {}
                None => self.lacks.push(lack),
            }
        }
    }

    /// Returns the state of all volumes, parity volumes last.
    pub fn conditions(&self) -> Vec<Condition> {
        let scheme = &self.sources.scheme;
        let data = (0..scheme.volumes.len()).map(|volume| self.data(volume));
        let parity = (1..=scheme.parity).map(|number| self.parity(number));
        data.chain(parity).collect()
    }

    fn data(&self, volume: usize) -> Condition {
        let shards = || self.sources.scheme.shards().iter().enumerate().filter(move |(_, one)| one.volume == volume);
        let blocks = shards().map(|(_, one)| one.length.div_ceil(BLOCK)).sum();
        let damaged = shards().map(|(shard, _)| self.bad[shard].count()).sum();
        let best = self.best(volume);
        let whole = best.is_some_and(Copy::is_whole);
        let file = best.map(|copy| copy.path.clone());
        Condition { number: volume as u32 + 1, parity: false, file, blocks, damaged, whole }
    }

    fn parity(&self, number: u32) -> Condition {
        let shard = self.sources.scheme.data() + number as usize - 1;
        let blocks = self.sources.scheme.stripes();
        let damaged = self.bad[shard].count();
        let whole = damaged == 0 && self.ends.get(number as usize - 1).is_some_and(|whole| *whole);
        let file = self.sources.parity.get(&number).map(|file| file.path.clone());
        Condition { number, parity: true, file, blocks, damaged, whole }
    }

    /// Returns the copy of a volume that has the fewest bad blocks; the first of equals.
    fn best(&self, volume: usize) -> Option<&Copy> {
        self.copies[volume].iter().min_by_key(|copy| (copy.bad.load(Ordering::Relaxed), !copy.right_length))
    }

    /// Returns the bytes of all files that a look reads.
    pub fn bytes(named: &[PathBuf], also: Option<&Path>) -> Result<u64, ParityError> {
        let sources = gather(named, also)?;
        let files = sources.copies.iter().flatten().chain(sources.parity.values().map(|file| &file.path));
        Ok(files.filter_map(|path| fs::metadata(path).ok()).map(|meta| meta.len()).sum())
    }

    /// Returns whether nothing is to be made again.
    pub fn is_whole(&self) -> bool {
        self.conditions().iter().all(|condition| condition.whole)
    }

    /// Returns where more is damaged than can be made again, the first places of them.
    pub fn lacks(&self) -> &[TooMuch] {
        &self.lacks
    }

    /// Returns the number of all stripes in which more is damaged than can be made again.
    pub const fn lacking(&self) -> u64 {
        self.lacking
    }

    /// Returns parity volumes that state another set than most do, or of which nothing can be read.
    pub fn useless(&self) -> &[PathBuf] {
        &self.sources.useless
    }

    /// Returns named files that are of another bundle, or nothing of any.
    pub fn foreign(&self) -> &[PathBuf] {
        &self.sources.foreign
    }
}

impl TooMuch {
    /// Returns whether this is the same damage as `before`, in the next stripe.
    fn goes_on(&self, before: &Self) -> bool {
        let alike = Self { stripe: before.stripe, stripes: before.stripes, ..self.clone() };
        alike == *before && before.stripe + before.stripes == self.stripe
    }
}

/// One segment while its blocks are read.
struct Look<'a> {
    damage: &'a Damage,
    /// `None` where no parity volume has a whole list: then only what is not there counts as bad.
    hashes: Option<Hashes<'a>>,
    blocks_at: u64,
    stripes: Stripes,
    files: Files,
}

impl Look<'_> {
    fn run(&self, watch: Watch<'_>) -> Result<(), ParityError> {
        let mut block = Vec::new();
        self.stripes.each(watch, |stripe| {
            self.stripe(stripe, &mut block, watch);
            Ok(())
        })
    }

    fn stripe(&self, stripe: u64, block: &mut Vec<u8>, watch: Watch<'_>) {
        let (scheme, bad) = (&self.damage.sources.scheme, &self.damage.bad);
        for (shard, at) in scheme.shards().iter().enumerate() {
            block.resize(scheme.part(shard, stripe), 0);
            if block.is_empty() {
                continue;
            }
            let mut found = false;
            for copy in &self.damage.copies[at.volume] {
                let good = self.is_good(&copy.path, at.offset + stripe * BLOCK, (shard, stripe), block);
                found |= good;
                copy.bad.fetch_add(u64::from(!good), Ordering::Relaxed);
                (watch.moved)(block.len() as u64);
            }
            if !found {
                bad[shard].set(stripe);
            }
        }
        block.resize(scheme.width(stripe), 0);
        for number in 1..=scheme.parity {
            let shard = scheme.data() + number as usize - 1;
            let at = self.blocks_at + stripe % STRIPES * BLOCK;
            let good = self.hashes.is_some()
                && self.damage.sources.parity.get(&number).is_some_and(|file| {
                    (watch.moved)(block.len() as u64);
                    self.is_good(&file.path, at, (shard, stripe), block)
                });
            if !good {
                bad[shard].set(stripe);
            }
        }
    }

    fn is_good(&self, path: &Path, offset: u64, (shard, stripe): (usize, u64), block: &mut [u8]) -> bool {
        // A sector that cannot be read is a bad block like any other.
        let read = matches!(self.files.read(path, offset, block), Ok(true));
        read && self.hashes.as_ref().is_none_or(|hashes| hashes.of(shard, stripe) == Some(&hash(block)[..]))
    }
}
