//! Media that are changed while a run goes on: which volume is wanted, and the port that gets it.

use super::{Digest, Fault};
use std::path::PathBuf;

/// What a medium is wanted for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MediumUse {
    /// A volume is to be written to it.
    Write,
    /// A volume is to be read from it.
    Read,
}

/// The volume for which another medium is wanted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WantedVolume {
    /// What for.
    pub purpose: MediumUse,
    /// Number from 1.
    pub number: u32,
    /// Volumes of the set, where that is known.
    pub total: Option<u32>,
    /// Bundle, where that is known.
    pub bundle: Option<Digest>,
    /// Bytes that it needs at most, or that it has; where that is known.
    pub bytes: Option<u64>,
    /// Name of its file, where it is to be written.
    pub file: Option<String>,
    /// Folders in which media appear.
    pub folders: Vec<PathBuf>,
}

impl WantedVolume {
    /// Returns what a person calls the volume: `volume 3 of 7 of bundle 9f2c41d0a7b3`.
    pub fn shown(&self) -> String {
        let total = self.total.map(|total| format!(" of {total}")).unwrap_or_default();
        let bundle = self.bundle.as_ref().map(|bundle| format!(" of bundle {}", bundle.short())).unwrap_or_default();
        format!("volume {}{total}{bundle}", self.number)
    }
}

/// Gets another medium into one of the folders: by asking a person, or by running a command.
pub trait ChangeMedium: Send {
    /// Returns when there may be another medium; `why` says why what is there will not do.
    ///
    /// Fails where nobody brings one; the run then ends in a state from which it goes on later.
    fn change(&mut self, wanted: &WantedVolume, why: &str) -> Result<(), Fault>;
}
