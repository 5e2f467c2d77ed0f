//! From what runs in a cluster to what is wanted of registries.

use super::error::FlowError;
use crate::discover::{Found, PlatformRule, Want};
use crate::document::lock::Role;
use crate::model::evidence::{FindingClass, Severity};
use crate::model::running::{RunningDigest, RunningImage, RunningPlace};
use crate::model::{Finding, ImageRef, Repository, Tag};
use std::collections::BTreeMap;

/// What a cluster runs, as wishes.
#[derive(Debug, Default)]
pub struct WantedByCluster {
    /// Wishes, sorted by name.
    pub found: Vec<Found>,
    /// What a person should know.
    pub findings: Vec<Finding>,
}

/// Wants what runs in the cluster that a person calls `context`: each image by the digest that the nodes state.
///
/// An image whose name is none is an error where it runs, and told where it never started. Where one tag runs with two
/// contents, the one that more containers run keeps the tag.
pub fn wanted_by(running: &[RunningImage], context: &str) -> Result<WantedByCluster, FlowError> {
    let mut wanted = WantedByCluster::default();
    let mut nameless = Vec::new();
    let keepers = keepers(running);
    for image in running {
        match (image.reference(), &image.digest) {
            (Some(reference), _) => wanted.found.extend(wishes(image, reference, context, &keepers)),
            (None, RunningDigest::Unknown) => {
                let what = format!("{:?} is no image reference and never started; it is not included", image.image);
                let place = image.places.first().map(shown).unwrap_or_default();
                let finding = Finding::warning(FindingClass::Source, place, what);
                wanted.findings.push(Finding { severity: Severity::Note, ..finding });
            }
            (None, _) => nameless.push(image),
        }
    }
    if nameless.is_empty() { Ok(wanted) } else { Err(FlowError::Usage(told(&nameless))) }
}

fn told(nameless: &[&RunningImage]) -> String {
    let line = |image: &&RunningImage| {
        let place = image.places.first().map(shown).unwrap_or_default();
        format!("\n  {:?} in {place}", image.image)
    };
    let lines: String = nameless.iter().map(line).collect();
    format!("some images run under no name that a registry knows; give them one, or leave their namespaces out:{lines}")
}

/// Which content keeps each tag.
type Keepers = BTreeMap<(Repository, Tag), (usize, RunningDigest)>;

fn keepers(running: &[RunningImage]) -> Keepers {
    let mut keepers = Keepers::new();
    for image in running {
        let Some(ImageRef { repository, tag: Some(tag), .. }) = image.reference() else { continue };
        let count = image.places.len() + image.more;
        let keeper = keepers.entry((repository, tag)).or_insert_with(|| (count, image.digest.clone()));
        let known = |digest: &RunningDigest| matches!(digest, RunningDigest::Document(_));
        if (known(&image.digest), count) > (known(&keeper.1), keeper.0) {
            *keeper = (count, image.digest.clone());
        }
    }
    keepers
}

fn wishes(image: &RunningImage, stated: ImageRef, context: &str, keepers: &Keepers) -> Vec<Found> {
    let mut notes = Vec::new();
    let mut reference = stated.clone();
    match &image.digest {
        RunningDigest::Document(digest) => reference.digest = Some(digest.clone()),
        RunningDigest::Configuration(id) => {
            notes.push(format!(
                "the node states only the image's own id, {id}: pinned by its name, which may have moved"
            ));
        }
        RunningDigest::Unknown => {
            notes.push("the node states no digest: pinned by its name, which may have moved".to_owned())
        }
    }
    if let Some(tag) = &stated.tag
        && reference.digest.is_some()
        && keepers.get(&(stated.repository.clone(), tag.clone())).is_some_and(|(_, keeper)| *keeper != image.digest)
    {
        notes.push(format!("runs under the tag {tag}, which is other content elsewhere in the cluster"));
        reference.tag = None;
    }
    let mut places = image.places.iter().map(shown).collect::<Vec<_>>();
    if let (Some(last), true) = (places.last_mut(), image.more > 0) {
        last.push_str(&format!(" and {} more", image.more));
    }
    let found = |place: String| Found {
        want: Want::Reference(reference.clone()),
        role: Role::Image,
        why: vec![format!("runs in the cluster of {context}"), place],
        notes: notes.clone(),
        platforms: PlatformRule::All,
        seen: None,
    };
    places.into_iter().map(found).collect()
}

/// Names a place for people.
pub fn shown(place: &RunningPlace) -> String {
    format!("{}/{} {}", place.namespace, place.workload, place.container)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Digest;

    fn place(name: &str) -> RunningPlace {
        RunningPlace {
            namespace: "shop".into(),
            workload: format!("Deployment/{name}"),
            container: "container web".into(),
        }
    }

    fn image(text: &str, digest: RunningDigest, count: usize) -> RunningImage {
        let places = (0..count).map(|n| place(&n.to_string())).collect();
        RunningImage { image: text.to_owned(), digest, places, more: 0 }
    }

    fn document(bytes: &[u8]) -> RunningDigest {
        RunningDigest::Document(Digest::of(bytes))
    }

    fn names(running: &[RunningImage]) -> Vec<String> {
        let wanted = wanted_by(running, "site").unwrap();
        let name = |found: &Found| match &found.want {
            Want::Reference(reference) => reference.to_string(),
            other => panic!("{other:?}"),
        };
        let mut names: Vec<String> = wanted.found.iter().map(name).collect();
        names.dedup();
        names
    }

    #[test]
    fn what_runs_is_wanted_by_its_digest() {
        let (one, sum) = (document(b"1"), Digest::of(b"1"));
        assert_eq!(names(&[image("kiosk:1", one, 2)]), [format!("docker.io/library/kiosk:1@{sum}")]);
        let found = wanted_by(&[image("kiosk:1", RunningDigest::Configuration(sum), 1)], "site").unwrap().found;
        assert!(found[0].notes[0].contains("pinned by its name"), "{found:?}");
        assert_eq!(found[0].why, ["runs in the cluster of site", "shop/Deployment/0 container web"]);
    }

    #[test]
    fn a_tag_with_two_contents_stays_with_the_one_that_more_run() {
        let running = [image("kiosk:1", document(b"1"), 1), image("kiosk:1", document(b"2"), 3)];
        let (one, two) = (Digest::of(b"1"), Digest::of(b"2"));
        let wanted = [format!("docker.io/library/kiosk@{one}"), format!("docker.io/library/kiosk:1@{two}")];
        assert_eq!(names(&running), wanted);
        let by_name = [image("kiosk:1", RunningDigest::Unknown, 9), image("kiosk:1", document(b"2"), 1)];
        assert_eq!(
            names(&by_name),
            ["docker.io/library/kiosk:1".to_owned(), format!("docker.io/library/kiosk:1@{two}")]
        );
    }

    #[test]
    fn names_that_are_none_are_told_or_refused() {
        let never = wanted_by(&[image("NO", RunningDigest::Unknown, 1)], "site").unwrap();
        assert!(never.found.is_empty() && never.findings[0].what.contains("never started"));
        let error = wanted_by(&[image("sha256:x", document(b"1"), 1)], "site").unwrap_err().to_string();
        assert!(error.contains("\"sha256:x\" in shop/Deployment/0"), "{error}");
    }
}
