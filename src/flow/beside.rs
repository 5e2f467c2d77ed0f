//! What stands beside an artifact at its source: documents that refer to it, and cosign's tags. Noted in a lock, so that a
//! later look can say which signature is new and which was lost.

use super::context::Context;
use super::error::{FlowError, ItemFault};
use super::pool;
use super::shipment::judged_subject;
use crate::document::lock::{Lock, LockedArtifact};
use crate::model::port::{ImageSource, Source};
use crate::model::{Fault, FaultKind, Reference, Repository, Tag};
use crate::trust::legacy_tags;
use std::collections::{BTreeMap, BTreeSet};

/// Tags of repositories; `None` where a registry does not list them.
pub type TagLists = BTreeMap<Repository, Option<BTreeSet<Tag>>>;

/// Lists the tags of every repository of `lock` once.
pub fn tag_lists(lock: &Lock, source: &dyn Source, context: &Context<'_>) -> Result<TagLists, FlowError> {
    let repositories: BTreeSet<&Repository> = lock.artifacts.iter().map(|a| &a.source.repository).collect();
    let repositories: Vec<&Repository> = repositories.into_iter().collect();
    let lists = pool::all(&repositories, context.threads, |at| match source.tags(at) {
        Ok(tags) => Ok(Some(tags.into_iter().collect())),
        // Pulling may be allowed where listing is not; then each tag is asked for by name.
        Err(_) => Ok::<_, FlowError>(None),
    });
    repositories.into_iter().zip(lists).map(|(at, list)| Ok((at.clone(), list?))).collect()
}

/// Returns what stands beside `artifact`, sorted: digests of what refers to it, and cosign's tags that are there.
pub fn beside(artifact: &LockedArtifact, tags: &TagLists, source: &dyn ImageSource) -> Result<Vec<String>, Fault> {
    let (at, subject) = (&artifact.source.repository, judged_subject(artifact).digest);
    let mut found: BTreeSet<String> =
        source.referrers(at, &subject)?.into_iter().map(|referrer| referrer.digest.to_string()).collect();
    for (tag, _) in legacy_tags(&subject) {
        let there = match tags.get(at) {
            Some(Some(list)) => list.contains(&tag),
            _ => source.head(at, &Reference::Tag(tag.clone()))?.is_some(),
        };
        if there {
            found.insert(tag.to_string());
        }
    }
    Ok(found.into_iter().collect())
}

/// Notes in every artifact of `lock` what stands beside it now.
pub fn note_beside(lock: &mut Lock, source: &dyn Source, context: &Context<'_>) -> Result<(), FlowError> {
    let making = super::making::Making::new(source, lock);
    let tags = tag_lists(lock, &making, context)?;
    let found = pool::all(&lock.artifacts, context.threads, |artifact| {
        context.go_on()?;
        beside(artifact, &tags, &making).map_err(|fault| FlowError::source(artifact.source.to_string(), fault))
    });
    let mut faults: Vec<ItemFault> = Vec::new();
    let mut noted = Vec::new();
    for found in found {
        match found {
            Ok(found) => noted.push(found),
            Err(FlowError::Source(items)) => faults.extend(items),
            Err(other) => return Err(other),
        }
    }
    if !faults.is_empty() {
        return Err(FlowError::Source(faults));
    }
    for (artifact, found) in lock.artifacts.iter_mut().zip(noted) {
        artifact.beside = Some(found);
    }
    Ok(())
}

/// Returns whether a fault says that the thing is not there, rather than that nobody knows.
pub fn is_absence(fault: &Fault) -> bool {
    fault.kind == FaultKind::Missing
}
