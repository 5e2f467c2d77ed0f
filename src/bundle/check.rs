//! Checks every byte of a bundle and lists all that is wrong with it.
//!
//! Files are walked for their structure while threads hash the blobs at the places that the walk found. Where the walk
//! cannot go on, the volumes that are left are checked one by one against their own tables ([`super::alone`]).

use super::alone;
use super::blob_check::{BlobCheck, Ledger};
use super::compress::Unpacker;
use super::countersign::{self, Countersignature};
use super::feed::{Feed, Input};
use super::frames::Framed;
use super::inventory::InventoryRecord;
use super::plan::Papers;
use super::read_error::ReadError;
use super::reader::{BundleReader, Summary, summed_up};
use super::volume_walk::VolumeEnd;
use super::volumes::{self, Survey};
use super::walk::{Step, Walk};
use crate::model::{Digest, Finding};
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Mutex, PoisonError};
use std::thread;

/// Frames that wait between reading and hashing of a stream.
const WAITING_FRAMES: usize = 4;
/// Blobs that wait between walking and hashing of files.
const WAITING_BLOBS: usize = 256;

/// What a check found.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Checked {
    /// All that is wrong, in the order of the bytes; empty for a bundle that is whole.
    pub findings: Vec<Finding>,
    /// Statement, where it could be read and is the one that the volumes name.
    pub statement: Option<Vec<u8>>,
    /// Envelope, where there is one.
    pub envelope: Option<Vec<u8>>,
    /// Countersignatures that are whole and about this bundle.
    pub countersignatures: Vec<Countersignature>,
    /// Papers, where they match the statement.
    pub papers: Option<Papers>,
    /// All blobs, where papers could be read.
    pub inventory: Vec<InventoryRecord>,
    /// Digest of the statement.
    pub bundle_id: Option<Digest>,
    /// What was read in all, where the end was reached.
    pub summary: Option<Summary>,
}

/// Sees how many bytes were checked, from any thread.
type Moved<'a> = &'a (dyn Fn(u64) + Sync);

/// Checks a bundle with `threads` threads; `moved` is told of bytes that were checked.
///
/// Of a volume that comes without the rest of its set, all is checked that it holds, and the rest is named missing.
/// Whether the statement is authentic is the caller's to judge.
pub fn check(input: Input, threads: usize, moved: Moved<'_>) -> Checked {
    let ledger = Ledger::default();
    let mut checked = Checked::default();
    let threads = threads.max(1);
    match input {
        Input::Stream(stream) => match countersign::from_stream(stream) {
            Ok((found, stream)) => {
                checked.countersignatures = found;
                let run = Run { ledger: &ledger, moved, threads, files: &BTreeMap::new() };
                run.whole(Feed::stream(stream), &mut checked);
            }
            Err(error) => ledger.find(&error),
        },
        Input::Files(files) => {
            let Survey { volumes, countersignatures, problems } = volumes::survey(&files);
            checked.countersignatures = countersignatures;
            problems.iter().for_each(|problem| ledger.find(problem));
            let run = Run { ledger: &ledger, moved, threads, files: &volumes };
            let together: Vec<PathBuf> =
                (1..).zip(&volumes).take_while(|(n, (number, _))| n == *number).map(|(_, (_, p))| p.clone()).collect();
            let stopped = match together.len() {
                0 => 1,
                n => run.whole(Feed::files(together), &mut checked).unwrap_or(n as u32 + 1),
            };
            let rest: Vec<&PathBuf> = volumes.range(stopped..).map(|(_, path)| path).collect();
            run.alone(&rest, &checked);
        }
    }
    checked.findings = ledger.into_findings();
    checked
}

struct Run<'a> {
    ledger: &'a Ledger,
    moved: Moved<'a>,
    threads: usize,
    files: &'a BTreeMap<u32, PathBuf>,
}

/// Frames of one blob that are to be hashed in order.
struct Job {
    ordinal: u32,
    frames: Vec<Framed>,
    whole: bool,
}

impl Run<'_> {
    /// Checks what can be read forward; returns the volume at which that ended early.
    fn whole(&self, feed: Feed, checked: &mut Checked) -> Option<u32> {
        let reader = match self.head(feed, checked) {
            Ok(reader) => reader,
            Err(error) => {
                self.ledger.find_walk(&error, !self.files.is_empty());
                return Some(1);
            }
        };
        let (mut walk, digests) = reader.into_parts();
        (self.moved)(walk.feed.offset());
        self.ledger.begin(walk.volumes.header.number, &digests);
        let mut ends = Vec::new();
        let result = if self.files.is_empty() {
            self.hash_stream(&mut walk, &checked.inventory, &mut ends)
        } else {
            self.hash_files(&mut walk, &checked.inventory, &mut ends)
        };
        ends.iter().for_each(|end| self.ledger.compare(end));
        match result {
            Ok(()) => {
                let summary = summed_up(&walk);
                self.ledger.expect(summary.blobs);
                checked.summary = Some(summary);
                None
            }
            Err(error) => {
                let missing = matches!(error, ReadError::Missing { .. }) && !self.files.is_empty();
                self.ledger.find_walk(&error, !self.files.is_empty());
                Some(walk.volumes.header.number + u32::from(missing))
            }
        }
    }

    fn head(&self, feed: Feed, checked: &mut Checked) -> Result<BundleReader, ReadError> {
        let mut reader = BundleReader::start(feed, std::mem::take(&mut checked.countersignatures))?;
        checked.countersignatures = reader.countersignatures().to_vec();
        checked.statement = Some(reader.statement().to_vec());
        checked.envelope = reader.envelope().map(<[u8]>::to_vec);
        checked.bundle_id = Some(reader.bundle_id().clone());
        checked.papers = Some(reader.papers()?);
        checked.inventory = reader.inventory().to_vec();
        Ok(reader)
    }

    /// Reads here and hashes in one other thread.
    fn hash_stream(
        &self,
        walk: &mut Walk,
        inventory: &[InventoryRecord],
        ends: &mut Vec<VolumeEnd>,
    ) -> Result<(), ReadError> {
        let (send, receive) = sync_channel::<(u32, Framed, bool)>(WAITING_FRAMES);
        thread::scope(|scope| {
            scope.spawn(move || {
                let Some(mut unpacker) = self.ledger.unpacker() else { return };
                let mut blob: Option<(u32, BlobCheck)> = None;
                while let Ok((ordinal, framed, last)) = receive.recv() {
                    let record = &inventory[ordinal as usize];
                    let open = blob.take().filter(|(open, _)| *open == ordinal);
                    let mut check = open.map_or_else(|| BlobCheck::new(record), |(_, check)| check);
                    check.frame(&framed, &mut unpacker, self.ledger);
                    (self.moved)(framed.spot.length);
                    if last {
                        check.end(record, self.ledger);
                    } else {
                        blob = Some((ordinal, check));
                    }
                }
            });
            let result = self.steps(walk, ends, |ordinal, framed, last| {
                let _ = send.send((ordinal, framed, last));
            });
            drop(send);
            result
        })
    }

    /// Walks here, passing over payload, and hashes in `threads` threads that read by themselves.
    fn hash_files(
        &self,
        walk: &mut Walk,
        inventory: &[InventoryRecord],
        ends: &mut Vec<VolumeEnd>,
    ) -> Result<(), ReadError> {
        walk.pass_bodies();
        let (send, receive): (SyncSender<Job>, Receiver<Job>) = sync_channel(WAITING_BLOBS);
        let receive = Mutex::new(receive);
        let take = || receive.lock().unwrap_or_else(PoisonError::into_inner).recv().ok();
        thread::scope(|scope| {
            for _ in 0..self.threads {
                scope.spawn(|| {
                    let Some(mut unpacker) = self.ledger.unpacker() else { return };
                    let mut reader = alone::Places::new(self.files);
                    while let Some(job) = take() {
                        self.job(job, inventory, &mut reader, &mut unpacker);
                    }
                });
            }
            let mut open: Option<Job> = None;
            let result = self.steps(walk, ends, |ordinal, mut framed, last| {
                framed.bytes = Vec::new();
                let mut job = open.take().unwrap_or(Job { ordinal, frames: Vec::new(), whole: false });
                job.frames.push(framed);
                job.whole = last;
                if last {
                    let _ = send.send(job);
                } else {
                    open = Some(job);
                }
            });
            // What an early end has cut off is still checked frame by frame.
            open.into_iter().for_each(|job| drop(send.send(job)));
            drop(send);
            result
        })
    }

    fn job(&self, job: Job, inventory: &[InventoryRecord], places: &mut alone::Places<'_>, unpacker: &mut Unpacker) {
        let record = &inventory[job.ordinal as usize];
        let mut check = BlobCheck::new(record);
        for mut framed in job.frames {
            match places.load(&mut framed) {
                Ok(()) => check.frame(&framed, unpacker, self.ledger),
                Err(error) => check.lost(&framed, &error, self.ledger),
            }
            (self.moved)(framed.spot.length);
            places.recycle(framed.bytes);
        }
        if job.whole {
            check.end(record, self.ledger);
        }
    }

    /// Takes all steps up to the end, handing each frame of a blob to `each`.
    fn steps(
        &self,
        walk: &mut Walk,
        ends: &mut Vec<VolumeEnd>,
        mut each: impl FnMut(u32, Framed, bool),
    ) -> Result<(), ReadError> {
        let mut ordinal = 0;
        loop {
            match walk.step()? {
                Step::Blob(next, _) => {
                    ordinal = next;
                    let record = &walk.inventory[ordinal as usize];
                    if record.size == 0 {
                        BlobCheck::new(record).end(record, self.ledger);
                    }
                }
                Step::Frame(framed, last) => each(ordinal, framed, last),
                Step::Volume(end) => {
                    (self.moved)(end.spot.length);
                    let last = end.last;
                    ends.push(end);
                    if walk.next_volume(last)?.is_some() {
                        return Ok(());
                    }
                }
                Step::Head(..) | Step::End => return Ok(()),
            }
        }
    }

    /// Checks volumes one by one, each against its own table.
    fn alone(&self, volumes: &[&PathBuf], checked: &Checked) {
        let next = std::sync::atomic::AtomicUsize::new(0);
        let head = checked.papers.as_ref().map_or(0, Papers::entries);
        let work = || {
            while let Some(path) = volumes.get(next.fetch_add(1, std::sync::atomic::Ordering::Relaxed)) {
                alone::check(path, (&checked.inventory, head), self.ledger, self.moved);
            }
        };
        thread::scope(|scope| {
            (1..self.threads.min(volumes.len())).for_each(|_| drop(scope.spawn(work)));
            work();
        });
    }
}
