//! Checks blobs frame by frame, and keeps what a check has found so far.

use super::compress::Unpacker;
use super::frames::{Framed, damaged};
use super::inventory::InventoryRecord;
use super::read_error::{ReadError, Spot};
use super::volume_walk::VolumeEnd;
use crate::model::{Content, Digester, Finding};
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Findings and digests of frames, from any thread.
#[derive(Default)]
pub(super) struct Ledger {
    findings: Mutex<Vec<(u32, u64, Finding)>>,
    /// By volume and record; none for a frame that is damaged.
    digests: Mutex<BTreeMap<u32, Vec<Option<[u8; 32]>>>>,
    /// Blobs that were judged, good or bad.
    judged: AtomicU64,
}

impl Ledger {
    /// Notes an error as a finding.
    pub(super) fn find(&self, error: &ReadError) {
        let (volume, offset) = match error {
            ReadError::Damaged { spot, .. } => (spot.volume, spot.offset),
            _ => (0, 0),
        };
        lock(&self.findings).push((volume, offset, error.finding()));
    }

    /// Notes why a walk ended early. Missing volumes of files are listed already.
    pub(super) fn find_walk(&self, error: &ReadError, from_files: bool) {
        if !(from_files && matches!(error, ReadError::Missing { .. })) {
            self.find(error);
        }
    }

    /// Returns an unpacker, or notes that there is none.
    pub(super) fn unpacker(&self) -> Option<Unpacker> {
        let made = Unpacker::new();
        made.map_err(|source| self.find(&ReadError::Io { place: "the decoder".to_owned(), offset: 0, source })).ok()
    }

    /// Notes where not all blobs were judged: nothing may pass because a thread did not do its work.
    pub(super) fn expect(&self, blobs: u64) {
        let judged = self.judged.load(Ordering::Relaxed);
        if judged != blobs {
            self.find(&damaged(Spot::default(), format!("{judged} of {blobs} blobs were checked")));
        }
    }

    /// Notes the digests of the first frames of a volume.
    pub(super) fn begin(&self, volume: u32, digests: &[[u8; 32]]) {
        for (record, digest) in digests.iter().enumerate() {
            self.note(volume, record, Some(*digest));
        }
    }

    fn note(&self, volume: u32, record: usize, digest: Option<[u8; 32]>) {
        let mut all = lock(&self.digests);
        let of_volume = all.entry(volume).or_default();
        if of_volume.len() <= record {
            of_volume.resize(record + 1, None);
        }
        of_volume[record] = digest;
    }

    /// Compares a table with the digests of the frames that it lists.
    pub(super) fn compare(&self, end: &VolumeEnd) {
        let mut found = lock(&self.digests).remove(&end.number).unwrap_or_default();
        found.resize(end.stated.len(), None);
        let digests: Vec<[u8; 32]> =
            found.iter().zip(&end.stated).map(|(found, stated)| found.unwrap_or(*stated)).collect();
        let tail = end.seen.last().filter(|_| end.last).map(|record| record.digest);
        let digests = match tail {
            Some(tail) => [&digests[..digests.len() - 1], &[tail]].concat(),
            None => digests,
        };
        if let Err(error) = end.compare(&digests) {
            self.find(&error);
        }
    }

    /// Returns all findings in the order of the bytes, each once.
    pub(super) fn into_findings(self) -> Vec<Finding> {
        let mut all = self.findings.into_inner().unwrap_or_else(PoisonError::into_inner);
        all.sort();
        all.dedup();
        all.into_iter().map(|(_, _, finding)| finding).collect()
    }
}

/// One blob on its way through a check.
pub(super) struct BlobCheck {
    digester: Digester,
    from: Option<Spot>,
    damaged: bool,
}

impl BlobCheck {
    /// Starts a blob.
    pub(super) fn new(record: &InventoryRecord) -> Self {
        Self { digester: Digester::new(record.digest.algorithm()), from: None, damaged: false }
    }

    /// Takes its next frame.
    pub(super) fn frame(&mut self, framed: &Framed, unpacker: &mut Unpacker, ledger: &Ledger) {
        self.from.get_or_insert_with(|| framed.spot.clone());
        match framed.check(unpacker, |block| self.digester.update(block)) {
            Ok((digest, _)) => ledger.note(framed.spot.volume, framed.record, Some(digest)),
            Err(flaw) => self.lost(framed, &damaged(framed.spot.clone(), flaw.to_string()), ledger),
        }
    }

    /// Notes that its next frame cannot be had.
    pub(super) fn lost(&mut self, framed: &Framed, error: &ReadError, ledger: &Ledger) {
        self.damaged = true;
        ledger.note(framed.spot.volume, framed.record, None);
        ledger.find(error);
    }

    /// Ends the blob: it must be what the inventory promises, unless damage to it was found already.
    pub(super) fn end(self, record: &InventoryRecord, ledger: &Ledger) {
        ledger.judged.fetch_add(1, Ordering::Relaxed);
        let found = self.digester.finish();
        if !self.damaged && found != (Content { digest: record.digest.clone(), size: record.size }) {
            ledger.find(&damaged(self.from.unwrap_or_default(), format!("the content is {found}")));
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
