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
            Shape::Whole => asked || tag.is_none(),
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
    let what = format!("is asked for as {asked}, and what is carried of it is {top}: nothing will be found by the digest");
    let hint = "pack it with all its platforms, or name it by its tag alone";
    Some(Finding::warning(FindingClass::Config, artifact.source.to_string(), what).with_hint(hint))
}
