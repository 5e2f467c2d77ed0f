//! `registries.yaml` for k3s and RKE2 (their documentation, "Private Registry Configuration"): mirrors with rewrites, so that any
//! mapping can be expressed and manifests stay.
//!
//! Rewrites are expressions over the path of a name, in no stated order; so those written here never fit the same path.

use super::{Emitted, Move, Written, by_host, prefix, quoted};
use crate::model::Repository;
use std::collections::{BTreeMap, BTreeSet};

/// Returns the file for nodes that reach the mirror over TLS, or without where `plain_http` says so.
pub fn emit(moves: &[Move], plain_http: bool) -> Emitted {
    let scheme = if plain_http { "http" } else { "https" };
    let mut text =
        "# Goes to /etc/rancher/k3s/registries.yaml (RKE2: /etc/rancher/rke2/registries.yaml) on every node.\n\
                    # Accounts and certificate authorities belong under configs:, and are not written here.\n\
                    mirrors:\n"
            .to_owned();
    let hosts = by_host(moves);
    for (host, repositories) in &hosts {
        let endpoints: BTreeSet<&str> = repositories.values().map(|to| to.host()).collect();
        text += &format!("  {}:\n    endpoint:\n", quoted(host));
        for endpoint in endpoints {
            text += &format!("      - {}\n", quoted(&format!("{scheme}://{endpoint}")));
        }
        let rewrites = rewrites(repositories);
        if !rewrites.is_empty() {
            text += "    rewrite:\n";
        }
        for (expression, path) in rewrites {
            text += &format!("      {}: {}\n", quoted(&expression), quoted(&path));
        }
    }
    let note =
        "start nodes with --disable-default-registry-endpoint, or a name that the mirror lacks waits for the upstream"
            .to_owned();
    match hosts.is_empty() {
        true => Emitted::default(),
        false => Emitted { files: vec![Written { path: "registries.yaml".to_owned(), text }], notes: vec![note] },
    }
}

/// Returns expressions with what they become: one for a whole host where that is enough, else one for each path that changes.
fn rewrites(repositories: &BTreeMap<&Repository, &Repository>) -> Vec<(String, String)> {
    let fronts: BTreeSet<Option<&str>> = repositories.iter().map(|(source, to)| prefix(source, to)).collect();
    if let [Some(front)] = fronts.iter().copied().collect::<Vec<_>>()[..] {
        return match front {
            "" => Vec::new(),
            front => vec![("^(.*)$".to_owned(), format!("{front}/$1"))],
        };
    }
    let changed = repositories.iter().filter(|(source, to)| source.path() != to.path());
    changed.map(|(source, to)| (format!("^{}$", source.path().replace('.', "\\.")), to.path().to_owned())).collect()
}

#[cfg(test)]
mod tests {
    use super::super::tests::moves;
    use super::*;

    fn body(lines: &str) -> String {
        let emitted = emit(&moves(lines), false);
        emitted.files[0].text.split_once("mirrors:\n").unwrap().1.to_owned()
    }

    #[test]
    fn a_host_is_rewritten_as_a_whole_where_that_is_enough() {
        assert_eq!(
            body(
                "docker.io/library/nginx:1 m.example/library/nginx\nquay.io/a/b:1 m.example/p/a/b\nquay.io/c:1 m.example/p/c\n"
            ),
            "  \"docker.io\":\n    endpoint:\n      - \"https://m.example\"\n  \"quay.io\":\n    endpoint:\n      \
             - \"https://m.example\"\n    rewrite:\n      \"^(.*)$\": \"p/$1\"\n"
        );
    }

    #[test]
    fn paths_that_change_differently_are_rewritten_one_by_one() {
        assert_eq!(
            body("h.example/a/x.y:1 m.example/b/x.y\nh.example/c:1 m.example/c\n"),
            "  \"h.example\":\n    endpoint:\n      - \"https://m.example\"\n    rewrite:\n      \"^a/x\\\\.y$\": \"b/x.y\"\n"
        );
    }

    #[test]
    fn it_is_yaml_and_holds_no_account() {
        let emitted = emit(&moves("h.example/a:1 m.example:5000/p/b\n"), true);
        let node = crate::document::yaml::document(&emitted.files[0].text, "registries.yaml").unwrap();
        let mirror = node.at(&["mirrors", "h.example"]).unwrap();
        assert_eq!(mirror.get("endpoint").unwrap().items()[0].text(), Some("http://m.example:5000"));
        assert_eq!(mirror.at(&["rewrite", "^a$"]).unwrap().text(), Some("p/b"));
        assert!(node.get("configs").is_none());
    }
}
