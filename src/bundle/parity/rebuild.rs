//! Makes lost and damaged volumes again. What is made gets a name only after it passed the checks of a volume that
//! never broke; what it replaces is kept under another name.

use super::Watch;
use super::code::Decoder;
use super::damage::{Condition, Damage};
use super::error::ParityError;
use super::make::{Making, open_partial, threads};
use super::naming::{Naming, another, partial, set_aside};
use super::scheme::{BLOCK, STRIPES, WIDTH};
use super::segment::{Hashes, hash};
use super::stripes::{Stripes, in_threads};
use super::volume::{Files, identify};
use crate::bundle::alone;
use crate::bundle::blob_check::Ledger;
use crate::bundle::disk;
use crate::bundle::header::VolumeKind;
use crate::bundle::read_error::ReadError;
use crate::bundle::tables::Volume;
use crate::bundle::write_error::WriteError;
use serde::Serialize;
use std::collections::BTreeMap;
use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

/// A volume that was made again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Rebuilt {
    /// Number from 1.
    pub number: u32,
    /// Whether it is a parity volume.
    pub parity: bool,
    /// Its file.
    pub file: PathBuf,
    /// What had that name before and is kept.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kept: Option<PathBuf>,
}

/// What a repair came to.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Repaired {
    /// Volumes that were made again.
    pub rebuilt: Vec<Rebuilt>,
    /// Data volumes of which too much is damaged.
    pub hopeless: Vec<u32>,
    /// Parity volumes that cannot be made again before all data volumes are whole.
    pub postponed: Vec<u32>,
}

/// Makes again what can be made again: beside what is there, or in the folder `into`.
///
/// Without `into`, a damaged file keeps its bytes under another name, with `.damaged` at its end.
pub fn repair(damage: &Damage, into: Option<&Path>, watch: Watch<'_>) -> Result<Repaired, ParityError> {
    let conditions = damage.conditions();
    let plan = Plan::new(damage, &conditions, into)?;
    plan.room()?;
    let mut repaired = Repaired { hopeless: plan.hopeless(), ..Repaired::default() };
    plan.make_data(watch)?;
    for (volume, name) in &plan.data {
        let kept = make_way(name)?;
        let partial = partial(name);
        disk::rename_new(&partial, name).map_err(|error| WriteError::disk("rename", &partial, error))?;
        sync_folder(name)?;
        repaired.rebuilt.push(Rebuilt { number: *volume as u32 + 1, parity: false, file: name.clone(), kept });
    }
    if repaired.hopeless.is_empty() {
        repaired.rebuilt.extend(plan.make_parity(watch)?);
    } else {
        repaired.postponed = plan.parity.keys().copied().collect();
    }
    Ok(repaired)
}

/// What is made again, and where it goes.
struct Plan<'a> {
    damage: &'a Damage,
    /// Best file of each data volume.
    best: Vec<Option<PathBuf>>,
    /// Data volumes by index, with their names.
    data: BTreeMap<usize, PathBuf>,
    /// Parity volumes by number, with their names.
    parity: BTreeMap<u32, PathBuf>,
}

impl<'a> Plan<'a> {
    fn new(damage: &'a Damage, conditions: &[Condition], into: Option<&Path>) -> Result<Self, ParityError> {
        let mut naming = naming(damage, conditions)?;
        if let Some(folder) = into {
            folder.clone_into(&mut naming.folder);
        }
        let of = damage.sources.scheme.parity;
        let broken = |parity: bool| conditions.iter().filter(move |one| one.parity == parity && !one.whole);
        let data = broken(false).filter(|one| !damage.hopeless[one.number as usize - 1]);
        let data = data.map(|one| (one.number as usize - 1, name_for(one, naming.data(one.number), into)));
        let parity = broken(true).map(|one| (one.number, name_for(one, naming.parity(one.number, of), into)));
        let best = conditions.iter().filter(|one| !one.parity).map(|one| one.file.clone());
        Ok(Self { data: data.collect(), parity: parity.collect(), best: best.collect(), damage })
    }

    fn hopeless(&self) -> Vec<u32> {
        (1..).zip(&self.damage.hopeless).filter(|(_, hopeless)| **hopeless).map(|(number, _)| number).collect()
    }

    /// Fails where a disk has no room for what is to be made.
    fn room(&self) -> Result<(), ParityError> {
        let scheme = &self.damage.sources.scheme;
        let data = self.data.iter().map(|(volume, name)| (name, scheme.volumes[*volume].length));
        let parity = self.parity.values().map(|name| (name, scheme.file_length()));
        let mut needed: BTreeMap<PathBuf, u64> = BTreeMap::new();
        for (name, length) in data.chain(parity) {
            let kept = disk::kept(&partial(name));
            *needed.entry(disk::folder(name)).or_default() += length.saturating_sub(kept);
        }
        for (folder, needed) in needed {
            let available =
                disk::available(&folder).map_err(|error| WriteError::disk("ask for room in", &folder, error))?;
            if needed > available {
                return Err(WriteError::no_room(&folder, needed, available).into());
            }
        }
        Ok(())
    }

    /// Writes all data volumes that are to be made, under partial names, and checks them.
    fn make_data(&self, watch: Watch<'_>) -> Result<(), ParityError> {
        if self.data.is_empty() {
            return Ok(());
        }
        let scheme = &self.damage.sources.scheme;
        let mut targets = BTreeMap::new();
        for (volume, name) in &self.data {
            let (path, file) = open_partial(name)?;
            let length = scheme.volumes[*volume].length;
            let reserved = file.set_len(length).and_then(|()| disk::reserve(&file, length));
            reserved.map_err(|error| WriteError::disk("keep room for", &path, error))?;
            targets.insert(*volume, (path, file));
        }
        for segment in 0..scheme.segments() {
            self.segment(segment, &targets, watch)?;
        }
        for (volume, (path, file)) in &targets {
            if let Err(error) = self.judge(*volume, path) {
                // Ours alone, and worth nothing.
                drop(std::fs::remove_file(path));
                return Err(error);
            }
            file.sync_all().map_err(|error| WriteError::disk("sync", path, error))?;
        }
        Ok(())
    }

    fn segment(
        &self,
        segment: u64,
        targets: &BTreeMap<usize, (PathBuf, File)>,
        watch: Watch<'_>,
    ) -> Result<(), ParityError> {
        let scheme = &self.damage.sources.scheme;
        let head = self.damage.sources.head(segment);
        let stripes = scheme.stripes_of(segment);
        let work = Work {
            plan: self,
            hashes: head.as_ref().map(|head| Hashes::new(scheme, segment, &head.list)),
            blocks_at: scheme.blocks_at(segment),
            stripes: Stripes::new(stripes.clone()),
            files: Files::default(),
            targets,
        };
        let threads = threads(scheme, watch.threads).min((stripes.end - stripes.start) as usize);
        in_threads(threads, || work.run(watch))
    }

    /// Checks a volume that was made as one that never broke: its own digest, its table, every frame.
    fn judge(&self, volume: usize, path: &Path) -> Result<(), ParityError> {
        let number = volume as u32 + 1;
        let refuted = |why: String| ParityError::Refuted { number, why };
        let opened = Volume::open(path).map_err(|error| refuted(error.to_string()))?;
        let scheme = &self.damage.sources.scheme;
        let right = (opened.header.number, opened.header.set_id) == (number, scheme.set_id);
        if !right || opened.digest != scheme.volumes[volume].digest {
            return Err(refuted("its digest is not the one that the parity volumes state".to_owned()));
        }
        let ledger = Ledger::default();
        alone::check(path, (&[], 0), &ledger, &|_| {});
        match ledger.into_findings().into_iter().next() {
            Some(finding) => Err(refuted(format!("{}: {}", finding.place, finding.what))),
            None => Ok(()),
        }
    }

    /// Makes parity volumes again from data volumes, which are all whole now.
    fn make_parity(&self, watch: Watch<'_>) -> Result<Vec<Rebuilt>, ParityError> {
        let now = (0..self.best.len()).map(|volume| self.data.get(&volume).or(self.best[volume].as_ref()));
        let sources: Vec<PathBuf> = now.flatten().cloned().collect();
        let wanted: Vec<(u32, PathBuf)> = self.parity.iter().map(|(number, name)| (*number, name.clone())).collect();
        let Some(first) = sources.first().filter(|_| !wanted.is_empty()) else { return Ok(Vec::new()) };
        let header = Volume::open(first)?.header;
        let making = Making { scheme: &self.damage.sources.scheme, header: &header, sources: &sources };
        let mut rebuilt = Vec::new();
        for target in making.make(&wanted, watch)? {
            let kept = make_way(&target.name)?;
            target.publish()?;
            sync_folder(&target.name)?;
            rebuilt.push(Rebuilt { number: target.number, parity: true, file: target.name.clone(), kept });
        }
        Ok(rebuilt)
    }
}

/// Returns the names of the set, learnt from what is there.
fn naming(damage: &Damage, conditions: &[Condition]) -> Result<Naming, ParityError> {
    let files = || conditions.iter().filter_map(|one| one.file.as_ref().map(|file| (one, file.as_path())));
    let data = Naming::of_volumes(files().filter(|(one, _)| !one.parity).map(|(one, file)| (one.number, file)));
    let digits = damage.sources.scheme.digits;
    let mut parity = files().filter(|(one, _)| one.parity);
    let parity = parity.find_map(|(one, file)| Naming::of_parity(one.number, file, digits));
    // What the parity volumes say of the digits is better than a guess from a file that has another name.
    data.map(|naming| naming.with_digits(digits))
        .or(parity)
        .ok_or_else(|| ReadError::NoVolumes { place: "the set".to_owned() }.into())
}

/// Returns where a volume goes that is made again: in the place of its damaged file, or under the name that belongs to
/// it. A name that another volume has is left to that.
fn name_for(one: &Condition, usual: PathBuf, into: Option<&Path>) -> PathBuf {
    let own = one.file.as_ref().filter(|own| own.extension().is_some_and(|e| e == "airlift"));
    if let (Some(own), None) = (own, into) {
        return own.clone();
    }
    let name = match (own.and_then(|own| own.file_name()), into) {
        (Some(file), Some(folder)) => folder.join(file),
        _ => usual,
    };
    let taken = identify(&name)
        .is_some_and(|found| found.number != one.number || (found.kind == VolumeKind::Parity) != one.parity);
    if taken { another(&name) } else { name }
}

/// Moves what has a name out of the way of what takes its place, and returns where it is.
fn make_way(name: &Path) -> Result<Option<PathBuf>, ParityError> {
    if !name.exists() {
        return Ok(None);
    }
    let kept = set_aside(name);
    disk::rename_new(name, &kept).map_err(|error| WriteError::disk("rename", name, error))?;
    Ok(Some(kept))
}

fn sync_folder(name: &Path) -> Result<(), ParityError> {
    let folder = disk::folder(name);
    disk::sync_folder(&folder).map_err(|error| WriteError::disk("sync", &folder, error).into())
}

/// One segment while volumes are made from it.
struct Work<'a> {
    plan: &'a Plan<'a>,
    hashes: Option<Hashes<'a>>,
    blocks_at: u64,
    stripes: Stripes,
    files: Files,
    targets: &'a BTreeMap<usize, (PathBuf, File)>,
}

impl Work<'_> {
    fn run(&self, watch: Watch<'_>) -> Result<(), ParityError> {
        let scheme = &self.plan.damage.sources.scheme;
        let mut decoder = None;
        let mut block = Vec::new();
        self.stripes.each(watch, |stripe| {
            let bad = |shard: usize| self.plan.damage.bad[shard].has(stripe);
            let wanted = |shard: &usize| self.targets.contains_key(&scheme.shards()[*shard].volume);
            self.copy(stripe, &mut block, watch)?;
            if !(0..scheme.data()).filter(wanted).any(bad) {
                return Ok(());
            }
            let decoder = match &mut decoder {
                Some(decoder) => decoder,
                none => none.insert(Decoder::new(scheme.data(), scheme.parity as usize, WIDTH as usize)?),
            };
            self.decode(stripe, decoder, &mut block)
        })
    }

    /// Copies the good blocks of the volumes that are made.
    fn copy(&self, stripe: u64, block: &mut Vec<u8>, watch: Watch<'_>) -> Result<(), ParityError> {
        let scheme = &self.plan.damage.sources.scheme;
        for (shard, at) in scheme.shards().iter().enumerate() {
            block.resize(scheme.part(shard, stripe), 0);
            let bad = self.plan.damage.bad[shard].has(stripe);
            if block.is_empty() || bad || !self.targets.contains_key(&at.volume) {
                continue;
            }
            self.read(shard, stripe, block)?;
            self.write(shard, stripe, block)?;
            (watch.moved)(block.len() as u64);
        }
        Ok(())
    }

    /// Makes the bad blocks of a stripe again and puts those into their places that are asked for.
    fn decode(&self, stripe: u64, decoder: &mut Decoder, block: &mut Vec<u8>) -> Result<(), ParityError> {
        let scheme = &self.plan.damage.sources.scheme;
        let bad = |shard: usize| self.plan.damage.bad[shard].has(stripe);
        decoder.begin(scheme.width(stripe))?;
        for shard in (0..scheme.data()).filter(|shard| !bad(*shard)) {
            let part = scheme.part(shard, stripe);
            block.resize(scheme.width(stripe), 0);
            self.read(shard, stripe, &mut block[..part])?;
            block[part..].fill(0);
            decoder.add_data(shard, block)?;
        }
        let at = self.blocks_at + stripe % STRIPES * BLOCK;
        for (number, file) in &self.plan.damage.sources.parity {
            let shard = scheme.data() + *number as usize - 1;
            if !bad(shard) {
                block.resize(scheme.width(stripe), 0);
                self.good(&file.path, at, (shard, stripe), block).ok_or_else(|| changed(&file.path))?;
                decoder.add_parity(*number as usize - 1, block)?;
            }
        }
        decoder.decode::<ParityError>(|shard, made| {
            let made = &made[..scheme.part(shard, stripe)];
            let volume = scheme.shards()[shard].volume;
            if !bad(shard) || !self.targets.contains_key(&volume) {
                return Ok(());
            }
            let known = self.hashes.as_ref().and_then(|hashes| hashes.of(shard, stripe));
            if known.is_some_and(|known| known != hash(made)) {
                let why = format!("block {stripe} does not come out as the parity volumes state it");
                return Err(ParityError::Refuted { number: volume as u32 + 1, why });
            }
            self.write(shard, stripe, made)
        })
    }

    /// Reads a good data block from the first file that has it so.
    fn read(&self, shard: usize, stripe: u64, block: &mut [u8]) -> Result<(), ParityError> {
        let at = self.plan.damage.sources.scheme.shards()[shard];
        if block.is_empty() {
            return Ok(());
        }
        let copies = &self.plan.damage.sources.copies[at.volume];
        let offset = at.offset + stripe * BLOCK;
        let found = copies.iter().find_map(|path| self.good(path, offset, (shard, stripe), block));
        found.ok_or_else(|| changed(copies.first().map_or(Path::new(""), PathBuf::as_path)))
    }

    /// Reads a block; `None` where it cannot be read or is not the one that is known.
    fn good(&self, path: &Path, offset: u64, (shard, stripe): (usize, u64), block: &mut [u8]) -> Option<()> {
        let read = matches!(self.files.read(path, offset, block), Ok(true));
        let known = self.hashes.as_ref().map(|hashes| hashes.of(shard, stripe));
        (read && known.is_none_or(|known| known == Some(&hash(block)[..]))).then_some(())
    }

    fn write(&self, shard: usize, stripe: u64, block: &[u8]) -> Result<(), ParityError> {
        let at = self.plan.damage.sources.scheme.shards()[shard];
        let Some((path, file)) = self.targets.get(&at.volume) else { return Ok(()) };
        let written = file.write_all_at(block, at.offset + stripe * BLOCK);
        written.map_err(|error| WriteError::disk("write", path, error).into())
    }
}

/// States that a file is not what it was a moment ago.
fn changed(path: &Path) -> ParityError {
    let source = std::io::Error::other("a block that was good before cannot be read any more");
    ReadError::Io { place: path.display().to_string(), offset: 0, source }.into()
}
