//! A run that uses a store: what it reserves is not freed while it lives, and it leaves nothing when it dies.
//!
//! A run is a file under a kernel lock. Whoever finds such a file without its lock knows that the run is dead, whatever
//! machine or container it had which number in.

use super::folder::StoreFolder;
use super::incoming::Incoming;
use super::root::{RootName, StoreRoot};
use super::sweep::sweep;
use crate::model::{Digest, Fault};
use crate::store::kernel_lock::{Hold, lock};
use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Write};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Names that are tried for a run.
const NAMES: u32 = 10_000;

/// A run at work on a store.
pub struct StoreRun {
    folder: Arc<StoreFolder>,
    name: String,
    drafts: AtomicU64,
    reserved: Mutex<Reserved>,
}

struct Reserved {
    /// Held under its kernel lock, and appended to.
    file: File,
    /// What was asked for, with its size where that is known.
    digests: BTreeMap<Digest, Option<u64>>,
}

impl StoreRun {
    /// Begins a run, and sweeps what dead ones left. `process` is the number of this one, to name the run by.
    pub fn begin(folder: &Arc<StoreFolder>, process: u32) -> io::Result<Self> {
        if let Some(_alone) = folder.hold(Hold::AloneNow)? {
            sweep(folder)?;
        }
        let _shared = folder.hold(Hold::Shared)?;
        for n in 0..NAMES {
            let name = format!("{process}-{n}");
            match folder.runs.create(&name, 0o600) {
                Ok(file) => {
                    lock(&file, Hold::AloneNow)?;
                    let reserved = Mutex::new(Reserved { file, digests: BTreeMap::new() });
                    return Ok(Self { folder: Arc::clone(folder), name, drafts: AtomicU64::new(0), reserved });
                }
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                Err(error) => return Err(error),
            }
        }
        Err(io::Error::new(io::ErrorKind::AlreadyExists, "no name is left for a run"))
    }

    fn reserved(&self) -> MutexGuard<'_, Reserved> {
        self.reserved.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Keeps content from being freed while this run lives, and notes that this job needs it.
    pub fn reserve<'d>(&self, digests: impl IntoIterator<Item = (&'d Digest, Option<u64>)>) -> io::Result<()> {
        let mut reserved = self.reserved();
        let mut lines = String::new();
        for (digest, size) in digests {
            let known = reserved.digests.entry(digest.clone()).or_insert_with(|| {
                lines.push_str(&format!("{digest}\n"));
                None
            });
            *known = known.or(size);
        }
        if lines.is_empty() {
            return Ok(());
        }
        // Whoever frees holds the lock alone: it sees these lines, or is done before they stand there.
        let _shared = self.folder.hold(Hold::Shared)?;
        reserved.file.write_all(lines.as_bytes())
    }

    /// Begins to take content.
    pub(super) fn take(&self, digest: &Digest) -> io::Result<Incoming> {
        Incoming::begin(&self.folder, self.draft(), digest)
    }

    /// Returns a name that nobody else uses.
    fn draft(&self) -> String {
        format!("{}.{}.partial", self.name, self.drafts.fetch_add(1, Ordering::Relaxed))
    }

    /// Writes down under `name` what this run asked for, as far as it stands in the store: it stays until the root goes.
    pub fn keep(&self, name: &RootName) -> Result<StoreRoot, Fault> {
        let fail = |error| self.folder.fault(error);
        let digests: Vec<Digest> = self.reserved().digests.keys().cloned().collect();
        let mut blobs = Vec::new();
        for digest in digests {
            if let Some(found) = self.folder.standing(&digest).map_err(fail)?.filter(|found| found.regular) {
                blobs.push((digest, found.size));
            }
        }
        self.folder.sync_blobs().map_err(fail)?;
        let root = StoreRoot::new(name.clone(), blobs);
        let _shared = self.folder.hold(Hold::Shared).map_err(fail)?;
        self.folder.roots.publish(&self.draft(), &name.file(), &root.to_bytes()).map_err(fail)?;
        Ok(root)
    }
}

impl Drop for StoreRun {
    fn drop(&mut self) {
        // The lock goes with the file; one that stays is swept by the next run.
        drop(self.folder.runs.remove(&self.name));
    }
}
