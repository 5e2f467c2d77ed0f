//! What two papers, bundles or places hold, compared: what came, what went, what is another artifact under the same name.

use super::context::Context;
use super::error::FlowError;
use super::opened::Opened;
use super::plan_delivery::Prefix;
use super::pool;
use crate::document::lock::{Lock, Target};
use crate::document::receipt::Receipt;
use crate::model::port::ImageSource;
use crate::model::{Digest, Reference};
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};

/// One artifact that something holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Held {
    /// Source, or where the artifact stands where no source is known.
    pub source: String,
    /// What it is.
    pub digest: Digest,
    /// Where it goes, where that is known apart from a host.
    pub target: Option<Target>,
    /// Its blobs with their sizes, where they are known.
    pub blobs: Option<BTreeMap<Digest, u64>>,
}

/// What something holds, in its order.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Holding {
    /// Artifacts.
    pub artifacts: Vec<Held>,
}

impl Holding {
    /// Returns what a lock names.
    pub fn of_lock(lock: &Lock) -> Self {
        let held = lock.artifacts.iter().map(|artifact| Held {
            source: artifact.source.to_string(),
            digest: artifact.digest.clone(),
            target: Some(artifact.destination.clone()),
            blobs: None,
        });
        Self { artifacts: held.collect() }
    }

    /// Returns what arrived by a receipt; what failed is not there.
    pub fn of_receipt(receipt: &Receipt) -> Self {
        let there = receipt.artifacts.iter().filter(|arrival| arrival.outcome.is_there());
        let held = there.map(|arrival| Held {
            source: arrival.source.to_string(),
            digest: arrival.digest.clone(),
            target: None,
            blobs: None,
        });
        Self { artifacts: held.collect() }
    }

    /// Returns what a bundle carries.
    pub fn of_bundle(opened: &Opened) -> Self {
        let mut holding = Self::of_lock(&opened.shipment.lock);
        for (at, held) in holding.artifacts.iter_mut().enumerate() {
            let blobs = opened.shipment.blobs_of_artifact(at).into_iter();
            held.blobs = Some(blobs.map(|blob| (blob.descriptor.digest, blob.descriptor.size)).collect());
        }
        holding
    }

    /// Returns what stands in a registry, under `prefix`, of everything that `other` would put there.
    ///
    /// One request for each artifact. What else stands there is not looked for: many registries list nothing.
    pub fn of_place(
        other: &Self,
        prefix: &Prefix,
        place: &dyn ImageSource,
        context: &Context<'_>,
    ) -> Result<Self, FlowError> {
        let found = pool::all(&other.artifacts, context.threads, |held| {
            context.go_on()?;
            let target = held.target.as_ref().ok_or_else(|| {
                FlowError::Usage(
                    "a place is compared with a lock or a bundle; a receipt names places of its own".to_owned(),
                )
            })?;
            let at = prefix.repository(target).map_err(|error| FlowError::Usage(error.to_string()))?;
            let reference = target.tag.clone().map_or(Reference::Digest(held.digest.clone()), Reference::Tag);
            let stands = place.head(&at, &reference);
            stands.map_err(|fault| FlowError::destination(format!("{at} {reference}"), fault))
        });
        let mut holding = Self::default();
        for (held, stands) in other.artifacts.iter().zip(found) {
            if let Some(stands) = stands? {
                holding.artifacts.push(Held { digest: stands.digest, blobs: None, ..held.clone() });
            }
        }
        Ok(holding)
    }
}

/// One artifact that only one side has.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct OneSided {
    /// Source.
    pub source: String,
    /// What it is.
    pub digest: Digest,
    /// Bytes of its blobs, where they are known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bytes: Option<u64>,
}

/// One artifact that is another one under the same name.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Changed {
    /// Source.
    pub source: String,
    /// What it was.
    pub old: Digest,
    /// What it is.
    pub new: Digest,
    /// Bytes of its blobs now, where they are known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bytes: Option<u64>,
}

/// What is different.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Difference {
    /// What only the second has, in its order.
    pub added: Vec<OneSided>,
    /// What only the first has, in its order.
    pub removed: Vec<OneSided>,
    /// What is another artifact, in the order of the second.
    pub changed: Vec<Changed>,
    /// Artifacts that both have.
    pub unchanged: usize,
    /// Bytes of blobs that the second has and the first, as far as is known, has not. Absent where the second is no bundle.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub new_bytes: Option<u64>,
}

impl Difference {
    /// Returns whether both hold the same.
    pub const fn is_none(&self) -> bool {
        self.added.is_empty() && self.removed.is_empty() && self.changed.is_empty()
    }
}

/// Compares what two hold.
pub fn compare(first: &Holding, second: &Holding) -> Difference {
    let index = |holding: &Holding| -> BTreeMap<String, Digest> {
        holding.artifacts.iter().map(|held| (held.source.clone(), held.digest.clone())).collect()
    };
    let (before, after) = (index(first), index(second));
    let mut difference =
        Difference { added: Vec::new(), removed: Vec::new(), changed: Vec::new(), unchanged: 0, new_bytes: None };
    let mut moving = Vec::new();
    for held in &second.artifacts {
        match before.get(&held.source) {
            Some(old) if *old == held.digest => difference.unchanged += 1,
            Some(old) => {
                moving.push(held);
                let (source, old, new) = (held.source.clone(), old.clone(), held.digest.clone());
                difference.changed.push(Changed { source, old, new, bytes: bytes(held) });
            }
            None => {
                moving.push(held);
                difference.added.push(one_sided(held));
            }
        }
    }
    let gone = first.artifacts.iter().filter(|held| !after.contains_key(&held.source));
    difference.removed = gone.map(one_sided).collect();
    difference.new_bytes = new_bytes(first, second, &before, &moving);
    difference
}

fn one_sided(held: &Held) -> OneSided {
    OneSided { source: held.source.clone(), digest: held.digest.clone(), bytes: bytes(held) }
}

fn bytes(held: &Held) -> Option<u64> {
    held.blobs.as_ref().map(|blobs| blobs.values().sum())
}

/// Counts each blob of what moves once, unless the first side has it: in a bundle of its own, or below an artifact that stayed.
fn new_bytes(first: &Holding, second: &Holding, before: &BTreeMap<String, Digest>, moving: &[&Held]) -> Option<u64> {
    if second.artifacts.iter().any(|held| held.blobs.is_none()) {
        return None;
    }
    let stayed = second.artifacts.iter().filter(|held| before.get(&held.source) == Some(&held.digest));
    let known: BTreeSet<&Digest> =
        first.artifacts.iter().chain(stayed).filter_map(|held| held.blobs.as_ref()).flat_map(BTreeMap::keys).collect();
    let new: BTreeMap<&Digest, u64> = moving
        .iter()
        .filter_map(|held| held.blobs.as_ref())
        .flatten()
        .filter(|(digest, _)| !known.contains(digest))
        .map(|(digest, size)| (digest, *size))
        .collect();
    Some(new.values().sum())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn held(source: &str, content: &str, blobs: Option<&[(&str, u64)]>) -> Held {
        let blobs = blobs.map(|blobs| blobs.iter().map(|(name, size)| (Digest::of(name.as_bytes()), *size)).collect());
        Held { source: source.to_owned(), digest: Digest::of(content.as_bytes()), target: None, blobs }
    }

    fn holding(artifacts: Vec<Held>) -> Holding {
        Holding { artifacts }
    }

    #[test]
    fn what_came_went_and_changed_is_told_apart() {
        let first = holding(vec![held("a", "1", None), held("b", "1", None), held("c", "1", None)]);
        let second = holding(vec![held("d", "1", None), held("a", "1", None), held("b", "2", None)]);
        let difference = compare(&first, &second);
        let names = |list: &[OneSided]| list.iter().map(|one| one.source.clone()).collect::<Vec<_>>();
        assert_eq!(
            (names(&difference.added), names(&difference.removed)),
            (vec!["d".to_owned()], vec!["c".to_owned()])
        );
        assert_eq!((difference.changed[0].source.as_str(), difference.unchanged), ("b", 1));
        assert_eq!(difference.new_bytes, None);
        assert!(compare(&first, &first).is_none() && !difference.is_none());
    }

    #[test]
    fn bytes_are_those_that_the_first_side_lacks_each_once() {
        let second = holding(vec![
            held("a", "1", Some(&[("base", 100), ("a", 1)])),
            held("b", "2", Some(&[("base", 100), ("b", 10), ("new", 1000)])),
            held("c", "1", Some(&[("new", 1000), ("c", 7)])),
        ]);
        let by_lock = holding(vec![held("a", "1", None), held("b", "1", None)]);
        assert_eq!(compare(&by_lock, &second).new_bytes, Some(1017), "the base is below what stayed");
        let by_bundle =
            holding(vec![held("a", "1", Some(&[("base", 100), ("a", 1)])), held("b", "1", Some(&[("b", 10)]))]);
        assert_eq!(compare(&by_bundle, &second).new_bytes, Some(1007));
        assert_eq!(compare(&second, &second).new_bytes, Some(0));
    }
}
