//! Frees what no root keeps: first a plan, then the plan carried out under the same lock.

use super::folder::{StoreError, StoreFolder, StoredBlob};
use super::root::RootName;
use super::sweep::{live_runs, sweep};
use crate::model::Digest;
use crate::store::kernel_lock::Hold;
use serde::Serialize;
use std::collections::BTreeSet;
use std::fs::File;
use std::io;

/// What stays.
#[derive(Debug, Clone, Default)]
pub struct Keeping {
    /// Only these roots; all where nothing is named.
    pub only: Option<BTreeSet<RootName>>,
    /// Not these roots.
    pub without: BTreeSet<RootName>,
    /// Whatever was put since then, in seconds since 1970: a run that was killed may go on with it.
    pub since: i64,
}

/// What is freed.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct FreePlan {
    /// Roots that go.
    pub roots: Vec<RootName>,
    /// Blobs that go, sorted.
    pub blobs: Vec<Digest>,
    /// Their bytes.
    pub bytes: u64,
    /// What was set aside as bad, and goes too.
    pub aside: Vec<String>,
    /// Blobs that no root keeps and that stay because a live run has reserved them.
    pub reserved: u64,
    /// Blobs that no root keeps and that stay because they are young.
    pub young: u64,
}

/// A plan, with the lock under which it was made.
pub struct Freeing<'a> {
    folder: &'a StoreFolder,
    /// What is freed.
    pub plan: FreePlan,
    _alone: Option<File>,
}

impl StoreFolder {
    /// Plans what is freed. While the plan is held no run begins, and none reserves anything.
    ///
    /// Fails where a root that is to stay does not exist, and where a root cannot be read.
    pub fn plan_to_free(&self, keeping: &Keeping) -> Result<Freeing<'_>, StoreError> {
        let disk = |error| StoreError::Disk(self.path().to_owned(), error);
        let alone = self.hold(Hold::Alone).map_err(disk)?;
        let reserved: BTreeSet<Digest> =
            live_runs(self).map_err(disk)?.into_iter().flat_map(|(_, digests)| digests).collect();
        let mut plan = FreePlan::default();
        let mut kept = BTreeSet::new();
        let roots = self.roots()?;
        let named = keeping.only.iter().flatten().chain(&keeping.without);
        if let Some(absent) = named.into_iter().find(|name| !roots.iter().any(|root| root.name == **name)) {
            return Err(StoreError::Foreign(self.path().to_owned(), format!("it has no root {absent}")));
        }
        for root in roots {
            let stays = keeping.only.as_ref().is_none_or(|only| only.contains(&root.name));
            if stays && !keeping.without.contains(&root.name) {
                kept.extend(root.blobs.into_iter().map(|blob| blob.digest));
            } else {
                plan.roots.push(root.name);
            }
        }
        let blobs = self.list().map_err(|fault| disk(fault.into_io()))?;
        for StoredBlob { digest, size, put } in blobs.into_iter().filter(|blob| !kept.contains(&blob.digest)) {
            if reserved.contains(&digest) {
                plan.reserved += 1;
            } else if put >= keeping.since {
                plan.young += 1;
            } else {
                plan.bytes += size;
                plan.blobs.push(digest);
            }
        }
        plan.aside = self.aside.names().map_err(disk)?;
        Ok(Freeing { folder: self, plan, _alone: alone })
    }
}

impl Freeing<'_> {
    /// Carries the plan out: roots first, so that none is left that names what is gone.
    pub fn run(self) -> io::Result<FreePlan> {
        sweep(self.folder)?;
        for root in &self.plan.roots {
            self.folder.roots.remove(&root.file())?;
        }
        self.folder.roots.sync()?;
        for digest in &self.plan.blobs {
            self.folder.blobs(digest.algorithm()).remove(&digest.hex())?;
        }
        self.folder.sync_blobs()?;
        for name in &self.plan.aside {
            // A folder that somebody put there is not ours to empty.
            drop(self.folder.aside.remove(name));
        }
        Ok(self.plan)
    }
}
