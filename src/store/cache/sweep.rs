//! What dead runs left: files of runs without their kernel lock, and content that never got a name.

use super::folder::StoreFolder;
use crate::model::Digest;
use crate::store::kernel_lock::{Hold, lock};
use std::collections::BTreeSet;
use std::io::{self, Read};

/// Removes what dead runs left. The caller holds the store's lock alone, so no run is being begun.
pub(super) fn sweep(folder: &StoreFolder) -> io::Result<()> {
    let alive = live_runs(folder)?;
    for dir in [&folder.incoming, &folder.roots] {
        for name in dir.names()?.into_iter().filter(|name| name.ends_with(".partial")) {
            if !alive.iter().any(|(run, _)| name.starts_with(&format!("{run}."))) {
                gone(dir.remove(&name))?;
            }
        }
    }
    // Last: while a run's name stands there, no other run takes it.
    for name in folder.runs.names()? {
        if !alive.iter().any(|(run, _)| *run == name) {
            gone(folder.runs.remove(&name))?;
        }
    }
    Ok(())
}

/// Returns the runs that live, with what each has reserved. The caller holds the store's lock alone.
pub(super) fn live_runs(folder: &StoreFolder) -> io::Result<Vec<(String, BTreeSet<Digest>)>> {
    let mut alive = Vec::new();
    for name in folder.runs.names()? {
        let Ok(mut file) = folder.runs.file(&name) else { continue };
        if lock(&file, Hold::AloneNow)? {
            continue;
        }
        let mut text = String::new();
        file.read_to_string(&mut text)?;
        alive.push((name, text.lines().filter_map(|line| line.parse().ok()).collect()));
    }
    Ok(alive)
}

/// What somebody else removed first is removed.
fn gone(removed: io::Result<()>) -> io::Result<()> {
    match removed {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        other => other,
    }
}
