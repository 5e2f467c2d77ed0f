//! From a lock and a destination to the names that artifacts have there.

use super::error::FlowError;
use super::plan_delivery::Prefix;
use crate::document::lock::Lock;
use crate::emit::Move;

/// Returns every artifact of `lock` with its name below `prefix`, in the order of the lock.
pub fn moves(lock: &Lock, prefix: &Prefix) -> Result<Vec<Move>, FlowError> {
    let one = |artifact: &crate::document::lock::LockedArtifact| {
        let to = prefix.repository(&artifact.destination).map_err(|error| FlowError::Usage(error.to_string()))?;
        Ok(Move {
            source: artifact.source.clone(),
            role: artifact.role,
            digest: artifact.digest.clone(),
            to,
            tag: artifact.destination.tag.clone(),
            file: artifact.made.as_ref().map(|made| made.url.clone()),
        })
    };
    lock.artifacts.iter().map(one).collect()
}
