//! Content on its way into the store: it has no name until its bytes matched and were synced.

use super::folder::StoreFolder;
use crate::model::{Digest, Digester};
use std::fs::File;
use std::io::{self, Write};
use std::sync::Arc;

/// What became of content that came to its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ended {
    /// It stands in the store.
    Kept,
    /// It is not what was promised, and is gone.
    Wrong,
}

/// Content that is being written. Dropped before its end, it leaves nothing.
pub(super) struct Incoming {
    folder: Arc<StoreFolder>,
    name: String,
    file: File,
    digest: Digest,
    digester: Option<Digester>,
    written: u64,
}

impl Incoming {
    /// Begins under the name `name`, which nobody else uses.
    pub fn begin(folder: &Arc<StoreFolder>, name: String, digest: &Digest) -> io::Result<Self> {
        // Read-only for all: what stands in a store is never changed.
        let file = folder.incoming.create(&name, 0o444)?;
        let digester = Some(Digester::new(digest.algorithm()));
        Ok(Self { folder: Arc::clone(folder), name, file, digest: digest.clone(), digester, written: 0 })
    }

    /// Returns the number of bytes that came.
    pub const fn written(&self) -> u64 {
        self.written
    }

    /// Returns what it is promised to be.
    pub const fn digest(&self) -> &Digest {
        &self.digest
    }

    /// Takes the next bytes.
    pub fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        if let Some(digester) = &mut self.digester {
            digester.update(bytes);
        }
        self.written += bytes.len() as u64;
        self.file.write_all(bytes)
    }

    /// Ends, and gives the content its name if it is what was promised. The folder is synced by whoever lists it in a root.
    pub fn finish(mut self) -> io::Result<Ended> {
        let Some(digester) = self.digester.take() else { return Ok(Ended::Wrong) };
        if digester.finish().digest != self.digest {
            return Ok(Ended::Wrong);
        }
        self.file.sync_all()?;
        let blobs = self.folder.blobs(self.digest.algorithm());
        self.folder.incoming.rename(&self.name, blobs, &self.digest.hex())?;
        self.name.clear();
        Ok(Ended::Kept)
    }
}

impl Drop for Incoming {
    fn drop(&mut self) {
        if !self.name.is_empty() {
            // What cannot be removed now is swept by a later run.
            drop(self.folder.incoming.remove(&self.name));
        }
    }
}
