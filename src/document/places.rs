//! Where artifacts of a lock stand at a destination, and what Harbor says of such names (`src/pkg/project/manager.go` there):
//! a project of runs of lower-case letters and digits with single separators, and a repository behind it.

use super::lock::{Lock, LockedArtifact};
use crate::model::evidence::FindingClass;
use crate::model::{Digest, Finding};
use serde::Serialize;

/// One artifact with its place.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Place {
    /// Name at the source.
    pub source: String,
    /// What it is.
    pub digest: Digest,
    /// First part of the path: in Harbor, the project.
    pub project: String,
    /// The rest of the path; empty where there is none.
    pub repository: String,
    /// Tag; absent where the artifact is pinned by digest only.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tag: Option<String>,
    /// What it was before, where its pin moves in the run that shows this.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub was: Option<Digest>,
}

/// Returns the places of all artifacts of `lock` below `prefix`, which may be empty, in the order of the lock.
pub fn places(lock: &Lock, prefix: &str) -> Vec<Place> {
    let place = |artifact: &LockedArtifact| {
        let path = match prefix {
            "" => artifact.destination.repository.clone(),
            prefix => format!("{prefix}/{}", artifact.destination.repository),
        };
        let (project, repository) = path.split_once('/').unwrap_or((&path, ""));
        Place {
            source: artifact.source.to_string(),
            digest: artifact.digest.clone(),
            project: project.to_owned(),
            repository: repository.to_owned(),
            tag: artifact.destination.tag.as_ref().map(ToString::to_string),
            was: None,
        }
    };
    lock.artifacts.iter().map(place).collect()
}

/// Returns what Harbor would not take among `places`; other registries may.
pub fn refused_by_harbor(places: &[Place]) -> Vec<Finding> {
    let finding = |place: &Place| {
        let what = if place.repository.is_empty() {
            format!("{} would stand where a project is; Harbor wants PROJECT/REPOSITORY", place.project)
        } else if is_project(&place.project) {
            return None;
        } else {
            format!("{:?} is no name of a project in Harbor: single . _ or - between letters and digits", place.project)
        };
        let hint = "give a destination rule with a project, or import to HOST/PROJECT";
        Some(Finding::warning(FindingClass::Destination, &place.source, what).with_hint(hint))
    };
    places.iter().filter_map(finding).collect()
}

/// Returns whether Harbor takes `name` for a project.
pub fn is_project(name: &str) -> bool {
    let alnum = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
    (1..=255).contains(&name.len()) && name.split(['.', '_', '-']).all(|run| !run.is_empty() && run.chars().all(alnum))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn projects_have_single_separators_between_letters_and_digits() {
        for name in ["a", "openova-io", "a.b_c-1", &"a".repeat(255)] {
            assert!(is_project(name), "{name}");
        }
        for name in ["", "a__b", "a--b", "-a", "a.", "A", "a/b", &"a".repeat(256)] {
            assert!(!is_project(name), "{name}");
        }
    }

    #[test]
    fn a_place_without_a_repository_and_a_wrong_project_are_told() {
        let place = |project: &str, repository: &str| Place {
            source: "h.example/x:1".into(),
            digest: Digest::of(b"x"),
            project: project.into(),
            repository: repository.into(),
            tag: None,
            was: None,
        };
        let told = refused_by_harbor(&[place("tool.bin", ""), place("a__b", "c"), place("a", "b")]);
        assert_eq!(told.len(), 2);
        assert!(told[0].what.contains("PROJECT/REPOSITORY") && told[1].what.contains("\"a__b\""));
    }
}
