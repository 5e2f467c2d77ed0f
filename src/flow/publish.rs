//! Gives a paper its name at one stroke: written beside, synced, renamed, folder synced.

use super::error::FlowError;
use std::fs::File;
use std::io::Write;
use std::path::Path;

/// Fails where [`publish`] would fail for the sake of the folder; asked before work whose paper must not get lost.
pub fn check_publishable(path: &Path) -> Result<(), FlowError> {
    let probe = tempfile::Builder::new().prefix(".airlift-").tempfile_in(folder(path));
    probe.map(drop).map_err(|error| FlowError::file(path, "cannot be written", error))
}

fn folder(path: &Path) -> &Path {
    path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// Writes `bytes` to `path`; whoever looks sees the old paper or the new one, never a half.
pub fn publish(path: &Path, bytes: &[u8]) -> Result<(), FlowError> {
    let folder = folder(path);
    let written = || {
        let mut part = tempfile::Builder::new().prefix(".airlift-").tempfile_in(folder)?;
        part.write_all(bytes)?;
        part.as_file().sync_all()?;
        part.persist(path).map_err(|error| error.error)?;
        File::open(folder)?.sync_all()
    };
    written().map_err(|error| FlowError::file(path, "cannot be written", error))
}
