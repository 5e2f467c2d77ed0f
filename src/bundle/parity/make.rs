//! Makes parity volumes in one pass over finished data volumes, with memory for one stripe in each thread.
//!
//! A parity volume gets its name when all of it is written and synced. Killed and begun again, the same volumes come
//! out; those that have their name already are kept.

use super::amount::ParityAmount;
use super::code::Encoder;
use super::error::ParityError;
use super::naming::{Naming, partial};
use super::pass::trailer_bytes;
use super::scheme::{Covered, Numbers, Scheme, SchemeFlaw};
use super::segment::{hash, head_bytes, place};
use super::stripes::{Stripes, in_threads};
use super::volume::Files;
use super::{Watch, check_file};
use crate::bundle::disk;
use crate::bundle::frames::damaged;
use crate::bundle::header::{LENGTH as HEADER, VolumeHeader, VolumeKind};
use crate::bundle::read_error::{ReadError, SetName, Spot};
use crate::bundle::tables::Volume;
use crate::bundle::volumes;
use crate::bundle::write_error::WriteError;
use std::fs::{File, OpenOptions};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

/// Memory for stripes that threads share; where a stripe is large, fewer threads work.
const MEMORY: u64 = 48 << 20;

/// What parity is made over.
pub struct ParityRequest<'a> {
    /// All data volumes of one bundle; other files among them are passed over.
    pub volumes: &'a [PathBuf],
    /// How much.
    pub amount: ParityAmount,
    /// Folder of the parity volumes; that of the data volumes if `None`.
    pub folder: Option<&'a Path>,
}

/// Adds parity volumes to a whole set; those that are there already are kept. Returns all of them in order.
///
/// The set is taken as it is: whoever does not know that it is good checks it first.
pub fn add_parity(request: ParityRequest<'_>, watch: Watch<'_>) -> Result<Vec<PathBuf>, ParityError> {
    let survey = volumes::survey(request.volumes);
    if let Some(problem) = survey.problems.into_iter().next() {
        return Err(problem.into());
    }
    let sources: Vec<PathBuf> = survey.volumes.into_values().collect();
    let opened = sources.iter().map(|path| Volume::open(path)).collect::<Result<Vec<Volume>, ReadError>>()?;
    let Some(first) = opened.first() else { return Err(ReadError::NoVolumes { place: "nothing".to_owned() }.into()) };
    let numbered = (1..).zip(sources.iter().map(PathBuf::as_path));
    let mut naming = Naming::of_volumes(numbered).ok_or(ReadError::NoVolumes { place: "nothing".to_owned() })?;
    if let Some(folder) = request.folder {
        folder.clone_into(&mut naming.folder);
    }
    let scheme = scheme(&opened, request.amount, naming.digits)?;
    let making = Making { scheme: &scheme, header: &first.header, sources: &sources };
    let names: Vec<PathBuf> = (1..=scheme.parity).map(|number| naming.parity(number, scheme.parity)).collect();
    let mut wanted = Vec::new();
    for (number, name) in (1..).zip(&names) {
        if !making.is_there(number, name)? {
            wanted.push((number, name.clone()));
        }
    }
    let made = making.make(&wanted, watch)?;
    made.iter().try_for_each(Target::publish)?;
    disk::sync_folder(&naming.folder).map_err(|error| WriteError::disk("sync", &naming.folder, error))?;
    Ok(names)
}

fn scheme(opened: &[Volume], amount: ParityAmount, digits: u32) -> Result<Scheme, ParityError> {
    let length = |volume: &Volume| volume.end + 8 + (volume.records.len() * 64 + 96) as u64;
    let covered: Vec<Covered> =
        opened.iter().map(|volume| Covered { length: length(volume), digest: volume.digest }).collect();
    let cut = amount.cut(&covered.iter().map(|one| one.length).collect::<Vec<u64>>());
    let set_id = opened.first().map_or([0; 32], |volume| volume.header.set_id);
    let numbers = Numbers { set_id, piece: cut.piece, parity: cut.parity, digits };
    Scheme::new(numbers, covered).map_err(|flaw| match flaw {
        SchemeFlaw::Limit(what, found, limit) => ParityError::TooMany { what, found, limit },
        SchemeFlaw::Nonsense => ParityError::TooMany { what: "bytes in one volume", found: u64::MAX, limit: 1 << 53 },
    })
}

/// A parity set that is made over sources which are whole.
pub(super) struct Making<'a> {
    /// What is made.
    pub scheme: &'a Scheme,
    /// Header of any data volume.
    pub header: &'a VolumeHeader,
    /// All data volumes in order.
    pub sources: &'a [PathBuf],
}

impl Making<'_> {
    /// Returns whether this very parity volume has its name already. Anything else of that name is refused.
    fn is_there(&self, number: u32, name: &Path) -> Result<bool, ParityError> {
        if !name.exists() {
            return Ok(false);
        }
        let set = SetName { bundle: self.header.bundle_id, set: self.scheme.set_id };
        let exists = |why| ParityError::Exists { path: name.to_owned(), why };
        match check_file(name, set, &|_| {}) {
            (Some(passed), flaws) if flaws.is_empty() => {
                let same = passed.number == number && passed.scheme == *self.scheme;
                if same { Ok(true) } else { Err(exists("it is a parity volume of another amount")) }
            }
            _ => Err(exists("it is no intact parity volume of this bundle")),
        }
    }

    /// Makes the parity volumes of these numbers, whole and synced, each beside the name that it will get.
    pub(super) fn make(&self, wanted: &[(u32, PathBuf)], watch: Watch<'_>) -> Result<Vec<Target>, ParityError> {
        let Some((_, first)) = wanted.first() else { return Ok(Vec::new()) };
        self.room(&disk::folder(first), wanted)?;
        let targets = wanted.iter().map(|(number, name)| Target::open(*number, name));
        let mut targets = targets.collect::<Result<Vec<Target>, ParityError>>()?;
        for target in &targets {
            target.reserve(self.scheme.file_length())?;
            target.write(0, &self.header_of(target.number))?;
        }
        for segment in 0..self.scheme.segments() {
            self.segment(segment, &mut targets, watch)?;
        }
        for target in &targets {
            let header = self.header_of(target.number);
            let end = trailer_bytes(self.scheme, target.number, &header, &target.digests);
            target.write(self.scheme.file_length() - end.len() as u64, &end)?;
            target.sync()?;
        }
        Ok(targets)
    }

    fn room(&self, folder: &Path, wanted: &[(u32, PathBuf)]) -> Result<(), ParityError> {
        let needed = self.scheme.file_length().saturating_mul(wanted.len() as u64);
        let kept: u64 = wanted.iter().map(|(_, name)| disk::kept(&partial(name))).sum();
        let available = disk::available(folder).map_err(|e| WriteError::disk("ask for room in", folder, e))?;
        let needed = needed.saturating_sub(kept);
        if needed > available {
            return Err(WriteError::no_room(folder, needed, available).into());
        }
        Ok(())
    }

    fn header_of(&self, number: u32) -> [u8; HEADER] {
        let (total, file_length) = (self.scheme.parity, self.scheme.file_length());
        let start = VolumeHeader { stream_offset: 0, plain_offset: 0, first_item: 0, ..self.header.clone() };
        VolumeHeader { number, total, file_length, ..start }.bytes_as(VolumeKind::Parity)
    }

    /// Makes one segment of all targets: threads take stripe after stripe.
    fn segment(&self, segment: u64, targets: &mut [Target], watch: Watch<'_>) -> Result<(), ParityError> {
        let scheme = self.scheme;
        let starts = scheme.list_starts(segment);
        let stripes = scheme.stripes_of(segment);
        let work = Segment {
            making: self,
            number: segment,
            blocks_at: scheme.blocks_at(segment),
            list: Mutex::new(vec![0; starts.last().copied().unwrap_or(0)]),
            starts,
            stripes: Stripes::new(stripes.clone()),
            files: Files::default(),
            targets,
        };
        let threads = threads(scheme, watch.threads).min((stripes.end - stripes.start) as usize);
        in_threads(threads, || work.run(watch))?;
        let list = work.list.into_inner().unwrap_or_else(PoisonError::into_inner);
        for target in targets {
            let (head, digest) = head_bytes(scheme, target.number, segment, &list);
            target.write(scheme.frame_offset(segment), &head)?;
            target.digests.push(digest);
        }
        Ok(())
    }
}

/// Returns how many threads may hold a stripe at one time.
pub(super) fn threads(scheme: &Scheme, asked: usize) -> usize {
    let stripe = (scheme.all() as u64 + 2) * super::scheme::BLOCK.min(scheme.piece);
    asked.min((MEMORY / stripe) as usize).max(1)
}

/// One segment while it is made.
struct Segment<'a> {
    making: &'a Making<'a>,
    number: u64,
    blocks_at: u64,
    list: Mutex<Vec<u8>>,
    starts: Vec<usize>,
    stripes: Stripes,
    files: Files,
    targets: &'a [Target],
}

impl Segment<'_> {
    fn run(&self, watch: Watch<'_>) -> Result<(), ParityError> {
        let scheme = self.making.scheme;
        let mut encoder = Encoder::new(scheme.data(), scheme.parity as usize, super::scheme::WIDTH as usize)?;
        let mut block = Vec::new();
        self.stripes.each(watch, |stripe| self.stripe(stripe, &mut encoder, &mut block, watch))
    }

    fn stripe(
        &self,
        stripe: u64,
        encoder: &mut Encoder,
        block: &mut Vec<u8>,
        watch: Watch<'_>,
    ) -> Result<(), ParityError> {
        let scheme = self.making.scheme;
        let mut hashes = Vec::with_capacity(scheme.all());
        encoder.begin(scheme.width(stripe))?;
        block.resize(scheme.width(stripe), 0);
        for shard in 0..scheme.data() {
            let part = scheme.part(shard, stripe);
            self.read(shard, stripe, &mut block[..part])?;
            block[part..].fill(0);
            hashes.push(hash(&block[..part]));
            encoder.add(block)?;
            (watch.moved)(part as u64);
        }
        let at = self.blocks_at + stripe % super::scheme::STRIPES * super::scheme::BLOCK;
        encoder.encode::<ParityError>(|number, made| {
            hashes.push(hash(made));
            let target = self.targets.iter().find(|target| target.number as usize == number + 1);
            target.map_or(Ok(()), |target| target.write(at, made))
        })?;
        self.note(stripe, &hashes);
        Ok(())
    }

    fn read(&self, shard: usize, stripe: u64, block: &mut [u8]) -> Result<(), ParityError> {
        let at = self.making.scheme.shards()[shard];
        let path = &self.making.sources[at.volume];
        let offset = at.offset + stripe * super::scheme::BLOCK;
        let place = path.display().to_string();
        let fail = |source| ReadError::Io { place: place.clone(), offset, source };
        if block.is_empty() || self.files.read(path, offset, block).map_err(fail)? {
            return Ok(());
        }
        let spot = Spot { volume: at.volume as u32 + 1, file: place, offset, length: block.len() as u64, hit: None };
        Err(damaged(spot, "the volume ends early").into())
    }

    fn note(&self, stripe: u64, hashes: &[[u8; 16]]) {
        let mut list = self.list.lock().unwrap_or_else(PoisonError::into_inner);
        for (shard, hash) in hashes.iter().enumerate() {
            if let Some(at) = place(&self.starts, self.number, (shard, stripe)) {
                list[at..at + hash.len()].copy_from_slice(hash);
            }
        }
    }
}

/// A parity volume while it is written.
pub(super) struct Target {
    /// Number from 1.
    pub number: u32,
    /// The name that it will get.
    pub name: PathBuf,
    partial: PathBuf,
    file: File,
    digests: Vec<[u8; 32]>,
}

impl Target {
    fn open(number: u32, name: &Path) -> Result<Self, ParityError> {
        let (partial, file) = open_partial(name)?;
        Ok(Self { number, name: name.to_owned(), partial, file, digests: Vec::new() })
    }

    fn reserve(&self, length: u64) -> Result<(), ParityError> {
        let reserved = self.file.set_len(length).and_then(|()| disk::reserve(&self.file, length));
        reserved.map_err(|error| WriteError::disk("keep room for", &self.partial, error).into())
    }

    fn write(&self, at: u64, bytes: &[u8]) -> Result<(), ParityError> {
        self.file.write_all_at(bytes, at).map_err(|error| WriteError::disk("write", &self.partial, error).into())
    }

    fn sync(&self) -> Result<(), ParityError> {
        self.file.sync_all().map_err(|error| WriteError::disk("sync", &self.partial, error).into())
    }

    /// Gives the file its name, which nothing has.
    pub(super) fn publish(&self) -> Result<(), ParityError> {
        disk::rename_new(&self.partial, &self.name)
            .map_err(|error| WriteError::disk("rename", &self.partial, error).into())
    }
}

/// Opens the file that gets `name` when it is whole, and keeps other runs away from it.
pub(super) fn open_partial(name: &Path) -> Result<(PathBuf, File), ParityError> {
    let path = partial(name);
    let open = OpenOptions::new().read(true).write(true).create(true).truncate(false).open(&path);
    let file = open.map_err(|error| WriteError::disk("open", &path, error))?;
    match disk::lock(&file) {
        // A run that just ended has given the file its last name: what is locked then is no longer the partial one.
        Ok(true) if disk::is_named(&file, &path) => Ok((path, file)),
        Ok(_) => Err(WriteError::Busy(path).into()),
        Err(error) => Err(WriteError::disk("lock", &path, error).into()),
    }
}

#[cfg(test)]
mod tests {
    use super::super::scheme::{BLOCK, tests::scheme};
    use super::*;

    #[test]
    fn stripes_of_all_threads_together_stay_within_their_memory() {
        for (shards, parity) in [(1, 1), (20, 2), (100, 5), (250, 10), (700, 100), (1000, 256)] {
            let scheme = scheme(&vec![1 << 20; shards], 1 << 20, parity).unwrap();
            for asked in [1, 2, 8, 64] {
                let threads = threads(&scheme, asked) as u64;
                let held = threads * (shards as u64 + u64::from(parity) + 2) * BLOCK;
                assert!(threads == 1 || held <= MEMORY, "{shards}+{parity}: {threads} threads hold {held} bytes");
                assert!(threads >= 1 && threads <= asked as u64);
            }
        }
    }
}
