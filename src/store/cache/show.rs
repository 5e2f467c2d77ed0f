//! What a store holds, in numbers.

use super::folder::{StoreError, StoreFolder};
use super::root::RootName;
use super::sweep::live_runs;
use crate::model::Digest;
use crate::store::kernel_lock::Hold;
use serde::Serialize;
use std::collections::BTreeMap;

/// One root in numbers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct RootShown {
    /// Its name.
    pub name: RootName,
    /// Blobs that it keeps.
    pub blobs: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Bytes of what it alone keeps: what freeing would give back if it went.
    pub alone: u64,
}

/// A store in numbers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct StoreShown {
    /// Blobs.
    pub blobs: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Roots, sorted by name.
    pub roots: Vec<RootShown>,
    /// Blobs that no root keeps.
    pub unrooted: u64,
    /// Their bytes.
    pub unrooted_bytes: u64,
    /// Runs at work; unknown where somebody frees at the moment.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub runs: Option<u64>,
    /// Files that were set aside as bad.
    pub aside: u64,
}

impl StoreFolder {
    /// Counts.
    pub fn show(&self) -> Result<StoreShown, StoreError> {
        let disk = |error| StoreError::Disk(self.path().to_owned(), error);
        let blobs = self.list().map_err(|fault| disk(fault.into_io()))?;
        let roots = self.roots()?;
        let mut holders: BTreeMap<&Digest, u64> = BTreeMap::new();
        for blob in roots.iter().flat_map(|root| &root.blobs) {
            *holders.entry(&blob.digest).or_default() += 1;
        }
        let shown = roots.iter().map(|root| RootShown {
            name: root.name.clone(),
            blobs: root.blobs.len() as u64,
            bytes: root.blobs.iter().map(|blob| blob.size).sum(),
            alone: root.blobs.iter().filter(|blob| holders.get(&blob.digest) == Some(&1)).map(|blob| blob.size).sum(),
        });
        let unrooted: Vec<u64> =
            blobs.iter().filter(|blob| !holders.contains_key(&blob.digest)).map(|blob| blob.size).collect();
        let alone = self.hold(Hold::AloneNow).map_err(disk)?;
        let runs = alone.map(|_alone| live_runs(self)).transpose().map_err(disk)?;
        Ok(StoreShown {
            blobs: blobs.len() as u64,
            bytes: blobs.iter().map(|blob| blob.size).sum(),
            roots: shown.collect(),
            unrooted: unrooted.len() as u64,
            unrooted_bytes: unrooted.iter().sum(),
            runs: runs.map(|runs| runs.len() as u64),
            aside: self.aside.names().map_err(disk)?.len() as u64,
        })
    }
}
