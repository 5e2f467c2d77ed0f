//! Compares what runs in a cluster with what a lock names.

use super::running::shown;
use crate::document::lock::{Lock, LockedArtifact, Role};
use crate::model::running::{RunningDigest, RunningImage};
use crate::model::{Digest, ImageRef};
use serde::Serialize;
use std::collections::BTreeSet;

/// What an audit found. Every list is sorted by name.
#[derive(Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Audit {
    /// Images that run and are in the lock with the same content.
    pub matched: usize,
    /// Images that run and that the lock does not name.
    pub missing: Vec<AuditedImage>,
    /// Images that the lock names, with other content than what runs.
    pub differing: Vec<DifferingImage>,
    /// Images that the lock names, and of which the nodes do not say what content they are.
    pub unknown: Vec<AuditedImage>,
    /// Images in the lock that run nowhere.
    pub unused: Vec<String>,
}

/// An image that runs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct AuditedImage {
    /// As the pods state it.
    pub image: String,
    /// Digest that the nodes state, where they state one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub digest: Option<Digest>,
    /// Where it runs; the first places.
    pub places: Vec<String>,
}

/// An image that runs with other content than the lock has.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct DifferingImage {
    /// What runs.
    #[serde(flatten)]
    pub running: AuditedImage,
    /// What the lock names.
    pub locked: String,
    /// Its digest.
    pub locked_digest: Digest,
}

impl Audit {
    /// Returns whether everything that runs is in the lock as it runs.
    pub fn is_covered(&self) -> bool {
        self.missing.is_empty() && self.differing.is_empty()
    }
}

/// Compares. An image is known by its digest, or by its name at the source or at the destination: what runs behind the
/// gap has the name of the registry there.
pub fn audit(running: &[RunningImage], lock: &Lock) -> Audit {
    let mut audit = Audit::default();
    let mut seen: BTreeSet<usize> = BTreeSet::new();
    for image in running {
        let by_digest = positions(lock, |artifact| has_digest(artifact, &image.digest));
        let reference = image.reference();
        let by_name =
            positions(lock, |artifact| reference.as_ref().is_some_and(|running| same_name(artifact, running)));
        seen.extend(by_digest.iter().chain(&by_name));
        match (&image.digest, by_name.first()) {
            _ if !by_digest.is_empty() => audit.matched += 1,
            (_, None) => audit.missing.push(audited(image)),
            (RunningDigest::Document(_), Some(at)) => {
                let artifact = &lock.artifacts[*at];
                let (running, locked) = (audited(image), artifact.source.to_string());
                audit.differing.push(DifferingImage { running, locked, locked_digest: artifact.digest.clone() });
            }
            (_, Some(_)) => audit.unknown.push(audited(image)),
        }
    }
    let unused = |(at, artifact): &(usize, &LockedArtifact)| artifact.role == Role::Image && !seen.contains(at);
    audit.unused = lock.artifacts.iter().enumerate().filter(unused).map(|(_, a)| a.source.to_string()).collect();
    audit.unused.sort();
    audit
}

fn positions(lock: &Lock, is: impl Fn(&LockedArtifact) -> bool) -> Vec<usize> {
    lock.artifacts.iter().enumerate().filter(|(_, artifact)| is(artifact)).map(|(at, _)| at).collect()
}

fn has_digest(artifact: &LockedArtifact, digest: &RunningDigest) -> bool {
    let RunningDigest::Document(digest) = digest else { return false };
    artifact.digest == *digest || artifact.subset.as_ref().is_some_and(|subset| subset.original == *digest)
}

/// Returns whether what runs is the artifact by its name and tag.
fn same_name(artifact: &LockedArtifact, running: &ImageRef) -> bool {
    let path = running.repository.path();
    let there = &artifact.destination.repository;
    let at_destination = path == there || path.strip_suffix(there.as_str()).is_some_and(|front| front.ends_with('/'));
    let tag = running.implied_tag();
    let same_source = running.repository == artifact.source.repository && tag == artifact.source.implied_tag();
    same_source || (at_destination && tag == artifact.destination.tag)
}

fn audited(image: &RunningImage) -> AuditedImage {
    let mut places: Vec<String> = image.places.iter().map(shown).collect();
    if image.more > 0 {
        places.push(format!("and {} more", image.more));
    }
    let digest = match &image.digest {
        RunningDigest::Document(digest) => Some(digest.clone()),
        RunningDigest::Configuration(_) | RunningDigest::Unknown => None,
    };
    AuditedImage { image: image.image.clone(), digest, places }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::MediaType;
    use crate::model::running::RunningPlace;

    fn artifact(source: &str, there: &str, bytes: &[u8]) -> LockedArtifact {
        let tag = source.parse::<ImageRef>().unwrap().tag;
        let value = serde_json::json!({
            "source": source, "role": "image", "mediaType": MediaType::OCI_MANIFEST, "digest": Digest::of(bytes), "size": 1,
            "destination": { "repository": there, "tag": tag }, "why": [],
        });
        serde_json::from_value(value).unwrap()
    }

    fn runs(text: &str, digest: RunningDigest) -> RunningImage {
        let place =
            RunningPlace { namespace: "shop".into(), workload: "Job/j".into(), container: "container c".into() };
        RunningImage { image: text.to_owned(), digest, places: vec![place], more: 2 }
    }

    #[test]
    fn what_runs_is_found_by_digest_and_by_either_name() {
        let lock = Lock::new(vec![
            artifact("quay.io/a/web:1", "proxy/a/web", b"web"),
            artifact("quay.io/a/db:1", "proxy/a/db", b"db"),
            artifact("quay.io/a/job:1", "proxy/a/job", b"job"),
            artifact("quay.io/a/rest:1", "proxy/a/rest", b"rest"),
        ]);
        let document = |bytes: &[u8]| RunningDigest::Document(Digest::of(bytes));
        let found = audit(
            &[
                runs("any.example/other:9", document(b"web")),
                runs("harbor.example/proxy/a/db:1", document(b"other")),
                runs("quay.io/a/job:1", RunningDigest::Unknown),
                runs("quay.io/a/new:1", document(b"new")),
                runs("quay.io/a/web:2", RunningDigest::Unknown),
            ],
            &lock,
        );
        assert_eq!(found.matched, 1);
        assert_eq!((found.differing[0].locked.as_str(), found.differing.len()), ("quay.io/a/db:1", 1));
        let names = |images: &[AuditedImage]| images.iter().map(|i| i.image.clone()).collect::<Vec<_>>();
        assert_eq!(names(&found.missing), ["quay.io/a/new:1", "quay.io/a/web:2"]);
        assert_eq!(names(&found.unknown), ["quay.io/a/job:1"]);
        assert_eq!(found.unused, ["quay.io/a/rest:1"]);
        assert_eq!(found.missing[0].places, ["shop/Job/j container c", "and 2 more"]);
        assert!(!found.is_covered());
    }

    #[test]
    fn a_destination_is_a_name_of_whole_parts() {
        let lock = Lock::new(vec![artifact("quay.io/a/web:1", "a/web", b"web")]);
        let found = audit(&[runs("h.example/xa/web:1", RunningDigest::Unknown)], &lock);
        assert_eq!((found.missing.len(), found.unused.len()), (1, 1));
    }
}
