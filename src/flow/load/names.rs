//! Names under which a cluster asks for an artifact: those that a pull of its source would have left.

use super::plan::{Choice, Shape};
use crate::document::lock::LockedArtifact;
use crate::flow::error::FlowError;
use crate::model::evidence::FindingClass;
use crate::model::{Digest, Finding, ImageRef, Repository};

/// Names of one artifact, and what should be known of them.
pub struct Named {
    /// Names, each once.
    pub names: Vec<String>,
    /// A name that somebody asks for and that cannot be given.
    pub finding: Option<Finding>,
}

/// Returns the names of `artifact`, whose top at its new place is `top`.
///
/// A name with a tag where there is one, and one with the digest: a pod that names both is looked up by the digest.
pub fn names(artifact: &LockedArtifact, top: &Digest, choice: &Choice, shape: Shape) -> Result<Named, FlowError> {
    let mut names: Vec<String> = Vec::new();
    let source = &artifact.source;
    let mapped = choice.mapped.as_ref().map(|prefix| prefix.repository(&artifact.destination)).transpose();
    let mapped = mapped.map_err(|error| FlowError::Usage(format!("{source}: {error}")))?;
    let tags = [(Some(&source.repository), source.implied_tag()), (mapped.as_ref(), artifact.destination.tag.clone())];
    for (repository, tag) in &tags {
        if let (Some(repository), Some(tag)) = (repository, tag) {
            add(&mut names, format!("{repository}:{tag}"));
        }
    }
    let by_digest = |repository: &Repository| format!("{repository}@{top}");
    let asked = asked_by_digest(source);
    for (repository, tag) in &tags {
        let wanted = match shape {
            Shape::Node => true,
            // k3s imports names without a tag and then complains of them.
            Shape::Whole | Shape::Folder => asked || tag.is_none(),
            // A name with a digest is none that Docker takes for an image that it loads.
            Shape::Docker => false,
        };
        names.extend(repository.filter(|_| wanted).map(by_digest).filter(|name| !names.contains(name)));
    }
    Ok(Named { names, finding: not_given(artifact, top) })
}

fn add(names: &mut Vec<String>, name: String) {
    if !names.contains(&name) {
        names.push(name);
    }
}

fn asked_by_digest(source: &ImageRef) -> bool {
    source.digest.is_some()
}

/// States that pods which name the artifact by the digest that somebody typed will not find it.
fn not_given(artifact: &LockedArtifact, top: &Digest) -> Option<Finding> {
    let asked = artifact.source.digest.as_ref().filter(|asked| *asked != top)?;
    let what =
        format!("is asked for as {asked}, and what is carried of it is {top}: nothing will be found by the digest");
    let hint = "pack it with all its platforms, or name it by its tag alone";
    Some(Finding::warning(FindingClass::Config, artifact.source.to_string(), what).with_hint(hint))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::document::lock::{Role, Target};
    use crate::flow::plan_delivery::Prefix;
    use crate::model::MediaType;

    fn artifact(source: &str, repository: &str, tag: Option<&str>) -> LockedArtifact {
        LockedArtifact {
            source: source.parse().unwrap(),
            role: Role::Image,
            media_type: MediaType::OCI_INDEX.into(),
            digest: Digest::of(b"x"),
            size: 1,
            subset: None,
            made: None,
            rendered: Vec::new(),
            destination: Target { repository: repository.to_owned(), tag: tag.map(|tag| tag.parse().unwrap()) },
            why: Vec::new(),
            notes: Vec::new(),
            beside: None,
        }
    }

    fn mapped() -> Choice {
        Choice { mapped: Some(Prefix::parse("harbor.example/m").unwrap()), ..Choice::default() }
    }

    #[test]
    fn names_are_those_that_a_pull_would_leave_and_each_stands_once() {
        let (digest, plain) = (Digest::of(b"x"), Choice::default());
        let by_digest = format!("docker.io/library/nginx@{digest}");
        let named = |source: &str, choice: &Choice, shape| {
            names(&artifact(source, "library/nginx", Some("1")), &digest, choice, shape).unwrap().names
        };
        assert_eq!(named("nginx:1", &plain, Shape::Node), ["docker.io/library/nginx:1", &by_digest]);
        assert_eq!(named("nginx:1", &plain, Shape::Folder), ["docker.io/library/nginx:1"]);
        assert_eq!(named("nginx:1", &plain, Shape::Whole), ["docker.io/library/nginx:1"]);
        assert_eq!(named("nginx", &plain, Shape::Docker), ["docker.io/library/nginx:latest"]);
        let pinned = format!("nginx:1@{digest}");
        assert_eq!(named(&pinned, &plain, Shape::Whole), ["docker.io/library/nginx:1", &by_digest]);
        assert_eq!(named(&pinned, &plain, Shape::Docker), ["docker.io/library/nginx:1"]);
        assert_eq!(named(&format!("nginx@{digest}"), &plain, Shape::Whole), std::slice::from_ref(&by_digest));
        let there = format!("harbor.example/m/library/nginx@{digest}");
        let all = ["docker.io/library/nginx:1", "harbor.example/m/library/nginx:1", &by_digest, &there];
        assert_eq!(named("nginx:1", &mapped(), Shape::Node), all);
    }

    #[test]
    fn a_digest_that_is_not_carried_names_nothing_and_that_is_said() {
        let asked = format!("h.example/a:1@{}", Digest::of(b"the whole index"));
        let artifact = artifact(&asked, "a", Some("1"));
        let found = names(&artifact, &artifact.digest, &Choice::default(), Shape::Node).unwrap();
        assert!(
            found.names.iter().all(|name| !name.contains(&Digest::of(b"the whole index").hex())),
            "{:?}",
            found.names
        );
        assert!(found.finding.unwrap().what.contains("nothing will be found by the digest"));
    }

    #[test]
    fn a_destination_that_leads_elsewhere_is_refused() {
        for repository in ["../../etc", "a/../b", "-rf", "a b", "", "A", "a\n--namespace=x"] {
            let hostile = artifact("h.example/a:1", repository, Some("1"));
            let error = names(&hostile, &hostile.digest, &mapped(), Shape::Node).err();
            assert!(matches!(error, Some(FlowError::Usage(_))), "{repository:?}");
        }
    }
}
