//! Two artifacts of a lock that would have one name at a destination: whoever pulls that name gets only one of them.

use super::error::FlowError;
use crate::document::lock::{LockedArtifact, Target};
use crate::model::Tag;
use std::collections::BTreeMap;

/// Refuses two artifacts with one destination; `place` is the lock as a person calls it, or empty.
pub fn refuse_collisions(artifacts: &[LockedArtifact], place: &str) -> Result<(), FlowError> {
    // Names of places that differ in case only are one name to some stores.
    let name = |target: &Target| (target.repository.to_ascii_lowercase(), target.tag.clone());
    let mut owners: BTreeMap<(String, Option<Tag>), &LockedArtifact> = BTreeMap::new();
    let mut collisions = Vec::new();
    for artifact in artifacts.iter().filter(|artifact| artifact.destination.tag.is_some()) {
        let owner = owners.entry(name(&artifact.destination)).or_insert(artifact);
        if owner.digest != artifact.digest {
            let (one, other) = (shown(owner, artifact), shown(artifact, owner));
            collisions.push(format!("\n  {}: {one} and {other}", artifact.destination));
        }
    }
    if collisions.is_empty() {
        return Ok(());
    }
    let place = if place.is_empty() { String::new() } else { format!("{place}: ") };
    Err(FlowError::Usage(format!("{place}several artifacts have the same destination:{}", collisions.concat())))
}

/// Names an artifact; with its digest where another has the same name.
fn shown(artifact: &LockedArtifact, other: &LockedArtifact) -> String {
    match artifact.source == other.source {
        true => artifact.source.at(&artifact.digest).to_string(),
        false => artifact.source.to_string(),
    }
}
