//! `certs.d/HOST/hosts.toml` for containerd (its documentation, "Registry Configuration"): nodes look in the mirror, manifests stay.
//!
//! containerd keeps the path of a name and changes the host, or the root in front of the path (`override_path`). So a mapping
//! is expressed where it puts parts in front of the source's path and nothing else. The mirror stands as `server`, not beside
//! it: behind a gap there is no upstream to fall back to, and falling back would only wait.

use super::{Emitted, Move, Written, by_host, prefix, quoted};
use crate::model::Repository;
use std::collections::{BTreeMap, BTreeSet};

/// Returns the files for nodes that reach the mirror over TLS, or without where `plain_http` says so.
pub fn emit(moves: &[Move], plain_http: bool) -> Emitted {
    let mut emitted = Emitted::default();
    for (host, repositories) in by_host(moves) {
        let roots = roots(host, &repositories, &mut emitted.notes);
        if !roots.is_empty() {
            emitted.files.push(Written {
                path: format!("certs.d/{}/hosts.toml", folder(host)),
                text: text(host, &roots, plain_http),
            });
        }
    }
    emitted
}

/// Returns the folder of a host: a port stands between underscores, which every system allows.
fn folder(host: &str) -> String {
    match host.rsplit_once(':') {
        Some((name, port)) if !port.is_empty() && port.bytes().all(|b| b.is_ascii_digit()) => format!("{name}_{port}_"),
        _ => host.to_owned(),
    }
}

/// Returns mirror hosts with the parts in front of paths there, most used first.
fn roots(
    host: &str,
    repositories: &BTreeMap<&Repository, &Repository>,
    notes: &mut Vec<String>,
) -> Vec<(String, String)> {
    let mut used: BTreeMap<(String, String), usize> = BTreeMap::new();
    let mut changed = Vec::new();
    for (source, to) in repositories {
        match prefix(source, to) {
            Some(front) => *used.entry((to.host().to_owned(), front.to_owned())).or_default() += 1,
            None => changed.push(format!("{source} is {to}")),
        }
    }
    if !changed.is_empty() {
        notes.push(format!(
            "containerd cannot change the path of a name; of {host} these need rewritten references: {}",
            changed.join(", ")
        ));
    }
    let mut roots: Vec<((String, String), usize)> = used.into_iter().collect();
    roots.sort_by(|(a, n), (b, m)| m.cmp(n).then_with(|| a.cmp(b)));
    let roots: Vec<(String, String)> = roots.into_iter().map(|(root, _)| root).collect();
    ambiguous(host, repositories, &roots, notes);
    roots
}

/// Tells of names that stand under two roots: the first root that has the name answers.
fn ambiguous(
    host: &str,
    repositories: &BTreeMap<&Repository, &Repository>,
    roots: &[(String, String)],
    notes: &mut Vec<String>,
) {
    let all: BTreeSet<String> = repositories.values().map(ToString::to_string).collect();
    for (source, to) in repositories {
        let places = roots.iter().map(|(mirror, front)| match front.as_str() {
            "" => format!("{mirror}/{}", source.path()),
            front => format!("{mirror}/{front}/{}", source.path()),
        });
        let first = places.into_iter().find(|place| all.contains(place));
        if first.as_ref().is_some_and(|first| *first != to.to_string()) {
            let first = first.unwrap_or_default();
            notes.push(format!(
                "{source} of {host} would be answered by {first} instead of {to}; rewrite its references"
            ));
        }
    }
}

fn text(host: &str, roots: &[(String, String)], plain_http: bool) -> String {
    let scheme = if plain_http { "http" } else { "https" };
    let fields = |(mirror, front): &(String, String)| match front.as_str() {
        "" => (format!("{scheme}://{mirror}"), ""),
        front => (format!("{scheme}://{mirror}/v2/{front}"), "override_path = true\n"),
    };
    let mut text = format!("# Where nodes find what is named {host}/…\n");
    let Some((last, others)) = roots.split_last() else { return text };
    let (url, path) = fields(last);
    text += &format!("server = {}\ncapabilities = [\"pull\", \"resolve\"]\n{path}", quoted(&url));
    for root in others {
        let (url, path) = fields(root);
        text += &format!("\n[host.{}]\ncapabilities = [\"pull\", \"resolve\"]\n{path}", quoted(&url));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::super::tests::moves;
    use super::*;

    fn files(lines: &str) -> (Vec<(String, String)>, Vec<String>) {
        let emitted = emit(&moves(lines), false);
        (emitted.files.into_iter().map(|file| (file.path, file.text)).collect(), emitted.notes)
    }

    #[test]
    fn the_same_path_needs_a_host_and_parts_in_front_a_root() {
        let (files, notes) = files(
            "docker.io/library/nginx:1 harbor.example/library/nginx\n\
             quay.io/a/b:1 harbor.example/mirror/a/b\nquay.io/c/d:1 harbor.example/mirror/c/d\n",
        );
        assert_eq!(
            files,
            [
                (
                    "certs.d/docker.io/hosts.toml".to_owned(),
                    "# Where nodes find what is named docker.io/…\nserver = \"https://harbor.example\"\n\
                     capabilities = [\"pull\", \"resolve\"]\n"
                        .to_owned()
                ),
                (
                    "certs.d/quay.io/hosts.toml".to_owned(),
                    "# Where nodes find what is named quay.io/…\nserver = \"https://harbor.example/v2/mirror\"\n\
                     capabilities = [\"pull\", \"resolve\"]\noverride_path = true\n"
                        .to_owned()
                ),
            ]
        );
        assert!(notes.is_empty());
    }

    #[test]
    fn several_roots_are_tried_in_order_and_a_port_is_written_for_every_system() {
        let (files, notes) = files(
            "h.example:5000/a/b:1 m.example/p/a/b\nh.example:5000/a/c:1 m.example/p/a/c\nh.example:5000/d:1 m.example/q/d\n",
        );
        assert_eq!(files[0].0, "certs.d/h.example_5000_/hosts.toml");
        assert!(
            files[0].1.contains("server = \"https://m.example/v2/q\"")
                && files[0].1.contains("[host.\"https://m.example/v2/p\"]"),
            "{}",
            files[0].1
        );
        assert!(notes.is_empty());
    }

    #[test]
    fn what_cannot_be_expressed_is_told() {
        let (files, notes) = files("ghcr.io/org/a:1 m.example/org/other\n");
        assert!(files.is_empty());
        assert!(notes[0].contains("ghcr.io/org/a is m.example/org/other"), "{notes:?}");
    }

    #[test]
    fn a_name_that_another_root_answers_is_told() {
        let (_, notes) = files(
            "h.example/a:1 m.example/p/a\nh.example/b:1 m.example/q/b\nh.example/c:1 m.example/q/c\nh.example/q/a:1 m.example/x\nh.example/p/b:1 m.example/y\nh.example/z/a:1 m.example/q/a\n",
        );
        assert!(
            notes.iter().any(|note| note.contains("h.example/a of h.example would be answered by m.example/q/a")),
            "{notes:?}"
        );
    }
}
