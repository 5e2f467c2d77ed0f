//! Floor 3: papers in, text out. One generator, one file: the bill of lading ([`lading`]), and from a lock what makes a
//! cluster find in the mirror what it asks for upstream.
//!
//! Two ways lead there. Either nodes are told to look elsewhere ([`containerd`], [`k3s`]) and manifests stay as they are, or
//! references are rewritten ([`references`], [`kustomize`], [`flux`]). A generator says what its form cannot express; it never
//! writes half of it silently. It opens no file, asks nobody, and knows no secret: accounts belong to the nodes and to pull
//! secrets.

pub mod containerd;
pub mod flux;
pub mod k3s;
pub mod kustomize;
pub mod lading;
mod markup;
pub mod references;
pub mod volume_list;

use crate::document::lock::Role;
use crate::model::{Digest, FileUrl, ImageRef, Repository, Tag};
use std::collections::BTreeMap;

/// One artifact with the name that it has at a destination.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Move {
    /// Name at the source.
    pub source: ImageRef,
    /// What it is to the platform.
    pub role: Role,
    /// What it is.
    pub digest: Digest,
    /// Repository at the destination.
    pub to: Repository,
    /// Tag at the destination.
    pub tag: Option<Tag>,
    /// File that it was made of. Nobody pulls such an artifact from a registry of its host.
    pub file: Option<FileUrl>,
}

impl Move {
    /// Returns the reference at the destination: by tag and digest.
    pub fn reference(&self) -> ImageRef {
        ImageRef { repository: self.to.clone(), tag: self.tag.clone(), digest: Some(self.digest.clone()) }
    }
}

/// One file that a generator writes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Written {
    /// Path below the folder that is filled.
    pub path: String,
    /// Its text, with a newline at its end.
    pub text: String,
}

/// What a generator made.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Emitted {
    /// Files, sorted by path.
    pub files: Vec<Written>,
    /// What the form cannot express, and what a person should know.
    pub notes: Vec<String>,
}

/// Repositories of one source host that a cluster pulls, each once, with where it goes.
fn by_host(moves: &[Move]) -> BTreeMap<&str, BTreeMap<&Repository, &Repository>> {
    let mut hosts: BTreeMap<&str, BTreeMap<&Repository, &Repository>> = BTreeMap::new();
    for one in moves.iter().filter(|one| one.file.is_none()) {
        hosts.entry(one.source.repository.host()).or_default().insert(&one.source.repository, &one.to);
    }
    hosts
}

/// Returns what stands in front of the source's path at the destination: `""` where nothing does, `None` where the path changed.
fn prefix<'m>(source: &Repository, to: &'m Repository) -> Option<&'m str> {
    let rest = to.path().strip_suffix(source.path())?;
    if rest.is_empty() { Some("") } else { rest.strip_suffix('/') }
}

/// Returns `text` as a quoted text of YAML, JSON or TOML, which agree on it for what names are made of.
fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Returns moves of `SOURCE DESTINATION`, one a line; the destination has a tag where the source has one.
    pub fn moves(lines: &str) -> Vec<Move> {
        let one = |line: &str| {
            let (source, to) = line.trim().split_once(' ').unwrap();
            let (source, to): (ImageRef, ImageRef) = (source.parse().unwrap(), to.parse().unwrap());
            let role = if source.repository.path().contains("charts/") { Role::Chart } else { Role::Image };
            Move {
                digest: Digest::of(line.as_bytes()),
                tag: source.tag.clone(),
                to: to.repository,
                role,
                source,
                file: None,
            }
        };
        lines.lines().filter(|line| !line.trim().is_empty()).map(one).collect()
    }

    #[test]
    fn a_prefix_is_whole_parts_in_front_of_the_same_path() {
        let of = |source: &str, to: &str| {
            let [one] = &moves(&format!("{source} {to}"))[..] else { panic!() };
            prefix(&one.source.repository, &one.to).map(str::to_owned)
        };
        assert_eq!(of("h.example/a/b", "m.example/a/b").as_deref(), Some(""));
        assert_eq!(of("h.example/a/b", "m.example/p/q/a/b").as_deref(), Some("p/q"));
        assert_eq!(of("h.example/a/b", "m.example/pa/b"), None);
        assert_eq!(of("h.example/a/b", "m.example/p/b"), None);
    }
}
