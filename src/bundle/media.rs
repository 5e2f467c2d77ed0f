//! Folders in which media appear, and whoever changes those media.

use crate::model::medium::{ChangeMedium, WantedVolume};
use std::path::PathBuf;

/// Folders of media, in the order in which they are used.
pub struct MediaFolders {
    /// Mount points, or plain folders.
    pub folders: Vec<PathBuf>,
    /// Gets other media into them; without it, what is there is all there is.
    pub change: Option<Box<dyn ChangeMedium>>,
}

impl MediaFolders {
    /// Asks for another medium; says why there is none where nobody brings one.
    pub(super) fn change(&mut self, mut wanted: WantedVolume, why: &str) -> Result<(), String> {
        wanted.folders.clone_from(&self.folders);
        match &mut self.change {
            Some(change) => change.change(&wanted, why).map_err(|fault| format!("{why}; {}", fault.what)),
            None => Err(why.to_owned()),
        }
    }
}
