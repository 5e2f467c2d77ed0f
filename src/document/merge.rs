//! Several locks in one: every artifact once, with all reasons why it is there; contradictions are refused, all at once.

use super::lock::{Lock, LockedArtifact, Role};
use crate::model::ImageRef;
use std::collections::{BTreeMap, BTreeSet};

/// What two locks say that cannot both be.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Conflict {
    /// One source is pinned to two artifacts.
    #[error("{source_name} is {} in {} and {} in {}", .digests[0], .files[0], .digests[1], .files[1])]
    Pins {
        /// Source.
        source_name: String,
        /// Digests.
        digests: [String; 2],
        /// Locks.
        files: [String; 2],
    },
    /// One source goes to two places.
    #[error("{source_name} goes to {} in {} and to {} in {}", .targets[0], .files[0], .targets[1], .files[1])]
    Places {
        /// Source.
        source_name: String,
        /// Places.
        targets: [String; 2],
        /// Locks.
        files: [String; 2],
    },
    /// Two artifacts go to one place.
    #[error("{target} would be both {} of {} and {} of {}", .sources[0], .files[0], .sources[1], .files[1])]
    Meeting {
        /// Place.
        target: String,
        /// Sources.
        sources: [String; 2],
        /// Locks.
        files: [String; 2],
    },
}

/// Why locks cannot be merged: every conflict.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the locks contradict each other{}", .0.iter().map(|conflict| format!("\n  {conflict}")).collect::<String>())]
pub struct MergeError(pub Vec<Conflict>);

/// Merges `locks`, each with the name of its file. The order is that of the first lock, then what the next ones add.
pub fn merge(locks: &[(String, Lock)]) -> Result<Lock, MergeError> {
    let mut merged = Merged::default();
    for (file, lock) in locks {
        for artifact in &lock.artifacts {
            merged.add(file, artifact);
        }
    }
    merged.meetings();
    match merged.conflicts.is_empty() {
        true => Ok(Lock::new(merged.artifacts.into_iter().map(|(_, artifact)| artifact).collect())),
        false => Err(MergeError(merged.conflicts)),
    }
}

#[derive(Default)]
struct Merged<'l> {
    artifacts: Vec<(&'l str, LockedArtifact)>,
    places: BTreeMap<ImageRef, usize>,
    conflicts: Vec<Conflict>,
}

impl<'l> Merged<'l> {
    fn add(&mut self, file: &'l str, artifact: &LockedArtifact) {
        let Some(&at) = self.places.get(&artifact.source) else {
            self.places.insert(artifact.source.clone(), self.artifacts.len());
            self.artifacts.push((file, artifact.clone()));
            return;
        };
        let (first, known) = &mut self.artifacts[at];
        let files = [(*first).to_owned(), file.to_owned()];
        let source_name = artifact.source.to_string();
        if known.digest != artifact.digest {
            let digests = [&known.digest, &artifact.digest].map(|digest| digest.short());
            self.conflicts.push(Conflict::Pins { source_name, digests, files });
        } else if known.destination != artifact.destination {
            let targets = [&known.destination, &artifact.destination].map(ToString::to_string);
            self.conflicts.push(Conflict::Places { source_name, targets, files });
        } else {
            join(known, artifact);
        }
    }

    /// Finds artifacts that would share a place. Names of places that differ in case only are one name to some stores.
    fn meetings(&mut self) {
        let mut owners: BTreeMap<(String, String), usize> = BTreeMap::new();
        for (at, (file, artifact)) in self.artifacts.iter().enumerate() {
            let Some(tag) = &artifact.destination.tag else { continue };
            let place = (artifact.destination.repository.to_ascii_lowercase(), tag.to_string());
            let owner = *owners.entry(place).or_insert(at);
            let (owner_file, owned) = &self.artifacts[owner];
            if owned.digest != artifact.digest {
                let sources = [owned.source.to_string(), artifact.source.to_string()];
                let files = [(*owner_file).to_owned(), (*file).to_owned()];
                let target = artifact.destination.to_string();
                self.conflicts.push(Conflict::Meeting { target, sources, files });
            }
        }
    }
}

/// Adds what another lock says of the same artifact.
fn join(known: &mut LockedArtifact, other: &LockedArtifact) {
    let new = |known: &[Vec<String>]| other.why.iter().filter(|why| !known.contains(why)).cloned().collect::<Vec<_>>();
    let why = new(&known.why);
    known.why.extend(why);
    let notes: Vec<String> = other.notes.iter().filter(|note| !known.notes.contains(note)).cloned().collect();
    known.notes.extend(notes);
    if known.role == Role::Image {
        known.role = other.role;
    }
    known.beside = match (known.beside.take(), &other.beside) {
        (Some(own), Some(other)) => {
            Some(own.into_iter().chain(other.iter().cloned()).collect::<BTreeSet<_>>().into_iter().collect())
        }
        _ => None,
    };
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::document::lock::Target;
    use crate::model::{Digest, MediaType};

    fn artifact(source: &str, content: &str, place: &str, why: &str) -> LockedArtifact {
        LockedArtifact {
            source: source.parse().unwrap(),
            role: Role::Image,
            media_type: MediaType::OCI_INDEX.into(),
            digest: Digest::of(content.as_bytes()),
            size: 1,
            subset: None,
            made: None,
            rendered: Vec::new(),
            destination: Target { repository: place.into(), tag: Some("1".parse().unwrap()) },
            why: vec![vec![why.into()]],
            notes: vec![],
            beside: None,
        }
    }

    fn merged(locks: &[(&str, Vec<LockedArtifact>)]) -> Result<Lock, String> {
        let locks: Vec<(String, Lock)> =
            locks.iter().map(|(file, artifacts)| ((*file).to_owned(), Lock::new(artifacts.clone()))).collect();
        merge(&locks).map_err(|error| error.to_string())
    }

    #[test]
    fn what_both_have_is_there_once_with_both_reasons() {
        let [one, again, two] = [("h.example/a:1", "x"), ("h.example/a:1", "y"), ("h.example/b:1", "y")]
            .map(|(source, why)| artifact(source, source, &source[10..11], why));
        let lock = merged(&[("a.lock", vec![one.clone()]), ("b.lock", vec![two.clone(), again])]).unwrap();
        assert_eq!(lock.artifacts.len(), 2);
        assert_eq!(lock.artifacts[0].why, [["x"], ["y"]]);
        assert_eq!(lock.artifacts[1], two);
        assert_eq!(merged(&[("a.lock", vec![one.clone()]), ("a.lock", vec![one.clone()])]).unwrap().artifacts, [one]);
    }

    #[test]
    fn contradictions_are_told_all_at_once_with_their_files() {
        let error = merged(&[
            (
                "a.lock",
                vec![
                    artifact("h.example/a:1", "x", "a", "w"),
                    artifact("h.example/b:1", "x", "b", "w"),
                    artifact("h.example/c:1", "x", "c", "w"),
                ],
            ),
            (
                "b.lock",
                vec![
                    artifact("h.example/a:1", "y", "a", "w"),
                    artifact("h.example/b:1", "x", "other", "w"),
                    artifact("q.example/c:1", "z", "C", "w"),
                ],
            ),
        ])
        .unwrap_err();
        for said in [
            format!(
                "h.example/a:1 is {} in a.lock and {} in b.lock",
                Digest::of(b"x").short(),
                Digest::of(b"y").short()
            ),
            "h.example/b:1 goes to b:1 in a.lock and to other:1 in b.lock".to_owned(),
            "C:1 would be both h.example/c:1 of a.lock and q.example/c:1 of b.lock".to_owned(),
        ] {
            assert!(error.contains(&said), "{said} is not in {error}");
        }
    }
}
