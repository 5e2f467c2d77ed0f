//! Checks a store: its names and sizes always, the bytes of a slice where that is asked for.

use super::context::Context;
use super::error::FlowError;
use super::pool;
use crate::model::event::Stage;
use crate::model::{Digest, Event};
use crate::store::cache::{BadBlob, RootName, Slice, StoreFolder, StoredBlob};
use serde::Serialize;
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};

/// What is looked at.
pub struct Request<'a> {
    /// Which blobs are read; `None` for names and sizes only.
    pub slice: Option<Slice>,
    /// Whether reading begins where an earlier check ran out of time, and notes where it does so itself.
    pub go_on_where_it_stopped: bool,
    /// Says whether there is time for one more blob.
    pub in_time: &'a (dyn Fn() -> bool + Sync),
    /// Whether what is bad is set aside.
    pub set_aside: bool,
}

/// A bad blob, and what became of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct FoundBad {
    /// The blob.
    #[serde(flatten)]
    pub blob: BadBlob,
    /// Whether it was set aside.
    pub set_aside: bool,
}

/// A blob that a root keeps and that is not there: no damage, it is fetched again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct MissingBlob {
    /// Root that keeps it.
    pub root: RootName,
    /// The blob.
    pub digest: Digest,
}

/// What a check found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct CheckedStore {
    /// Blobs that stand in the store.
    pub blobs: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Blobs that were read.
    pub read: u64,
    /// Their bytes.
    pub read_bytes: u64,
    /// What is bad, by digest.
    pub bad: Vec<FoundBad>,
    /// What is missing.
    pub missing: Vec<MissingBlob>,
    /// Files that no store has there.
    pub strays: Vec<PathBuf>,
    /// Whether the time was over before the end.
    pub stopped: bool,
}

/// Checks.
pub fn check(store: &StoreFolder, request: &Request<'_>, context: &Context<'_>) -> Result<CheckedStore, FlowError> {
    let fail = |fault| FlowError::source(store.path().display().to_string(), fault);
    let blobs = store.list().map_err(fail)?;
    let roots = store.roots()?;
    let expected: BTreeMap<Digest, u64> =
        roots.iter().flat_map(|root| &root.blobs).map(|blob| (blob.digest.clone(), blob.size)).collect();
    let there = |digest: &Digest| blobs.binary_search_by(|blob| blob.digest.cmp(digest)).is_ok();
    let kept = roots.iter().flat_map(|root| root.blobs.iter().map(move |blob| (root, blob)));
    let missing = kept
        .filter(|(_, blob)| !there(&blob.digest))
        .map(|(root, blob)| MissingBlob { root: root.name.clone(), digest: blob.digest.clone() })
        .collect();
    let read = read(store, &in_order(store, &blobs, request), &expected, request, context)?;
    let looked = blobs.iter().filter_map(|blob| store.look_at(blob, &expected));
    let mut bad: BTreeMap<Digest, BadBlob> = looked.map(|bad| (bad.digest.clone(), bad)).collect();
    bad.extend(read.bad.into_iter().map(|bad| (bad.digest.clone(), bad)));
    let aside =
        |blob: BadBlob| FoundBad { set_aside: request.set_aside && store.set_aside(&blob.digest).is_ok(), blob };
    Ok(CheckedStore {
        blobs: blobs.len() as u64,
        bytes: blobs.iter().map(|blob| blob.size).sum(),
        read: read.blobs,
        read_bytes: read.bytes,
        bad: bad.into_values().map(aside).collect(),
        missing,
        strays: store.strays().map_err(fail)?,
        stopped: read.stopped,
    })
}

/// Returns what is read, in the order in which it is.
fn in_order<'b>(store: &StoreFolder, blobs: &'b [StoredBlob], request: &Request<'_>) -> Vec<&'b StoredBlob> {
    let Some(slice) = request.slice else { return Vec::new() };
    let mut chosen: Vec<&StoredBlob> = blobs.iter().filter(|blob| slice.holds(&blob.digest)).collect();
    if let Some(up_to) = store.checked_up_to().filter(|_| request.go_on_where_it_stopped) {
        let next = chosen.partition_point(|blob| blob.digest <= up_to);
        chosen.rotate_left(next);
    }
    chosen
}

struct ReadThrough {
    blobs: u64,
    bytes: u64,
    bad: Vec<BadBlob>,
    stopped: bool,
}

fn read(
    store: &StoreFolder,
    chosen: &[&StoredBlob],
    expected: &BTreeMap<Digest, u64>,
    request: &Request<'_>,
    context: &Context<'_>,
) -> Result<ReadThrough, FlowError> {
    let bytes = chosen.iter().map(|blob| blob.size).sum();
    context.tell(Event::Started { stage: Stage::Verify, items: chosen.len() as u64, bytes });
    let moved = AtomicU64::new(0);
    let results = pool::all(chosen, context.threads, |blob| {
        if !(request.in_time)() || context.go_on().is_err() {
            return None;
        }
        let bad = store.read_through(blob, expected);
        moved.fetch_add(blob.size, Ordering::Relaxed);
        context.tell(Event::Moved { stage: Stage::Verify, bytes: blob.size });
        Some(bad)
    });
    context.tell(Event::Finished { stage: Stage::Verify });
    let done = results.iter().take_while(|result| result.is_some()).count();
    let stopped = done < chosen.len();
    if request.go_on_where_it_stopped {
        let up_to = done.checked_sub(1).and_then(|last| chosen.get(last)).filter(|_| stopped);
        let unchanged = stopped && up_to.is_none();
        let noted = if unchanged { Ok(()) } else { store.note_checked(up_to.map(|blob| &blob.digest)) };
        noted.map_err(|error| FlowError::file(store.path(), "cannot be written", error))?;
    }
    let blobs = results.iter().filter(|result| result.is_some()).count() as u64;
    let bad = results.into_iter().flatten().flatten().collect();
    Ok(ReadThrough { blobs, bytes: moved.into_inner(), bad, stopped })
}
