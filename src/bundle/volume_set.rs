//! The volumes of one cut as a whole: what each states of itself, and one digest over all of them.

use super::trailer;
use super::volumes::VolumeMark;
use crate::model::{Digest, Digester};

/// All volumes of one cut, as they name themselves.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VolumeSet {
    /// What is inside.
    pub bundle: Digest,
    /// Which physical cut.
    pub set_id: [u8; 32],
    /// Volumes in order.
    pub volumes: Vec<VolumeMark>,
}

impl VolumeSet {
    /// Returns the digest of the set (FORMAT.md, "Identities"); `None` where the digest of a volume is not known.
    pub fn digest(&self) -> Option<[u8; 32]> {
        let mut digester = Digester::default();
        digester.update(b"airlift-volumes-1\0");
        digester.update(&self.set_id);
        for volume in &self.volumes {
            digester.update(&volume.digest?);
        }
        Some(trailer::value(digester))
    }
}
