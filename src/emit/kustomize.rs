//! A Kustomize component with an images transformer: `components: [FOLDER]` in a kustomization rewrites its images.
//!
//! The transformer compares names as manifests write them, so images of docker.io stand there in every spelling.

use super::{Emitted, Move, Written, quoted};
use crate::document::lock::Role;
use crate::model::Repository;
use std::collections::BTreeMap;

/// Returns the component. Tags and digests stay as manifests have them; only names change.
pub fn emit(moves: &[Move]) -> Emitted {
    let images = moves.iter().filter(|one| one.role == Role::Image && one.file.is_none());
    let names: BTreeMap<String, &Repository> =
        images.flat_map(|one| spellings(&one.source.repository).into_iter().map(move |name| (name, &one.to))).collect();
    if names.is_empty() {
        return Emitted { notes: vec!["there is no image in the lock".to_owned()], ..Emitted::default() };
    }
    let mut text = "apiVersion: kustomize.config.k8s.io/v1alpha1\nkind: Component\nimages:\n".to_owned();
    for (name, to) in names {
        text += &format!("  - name: {}\n    newName: {}\n", quoted(&name), quoted(&to.to_string()));
    }
    let notes = vec![
        "a Component is listed under components: of a kustomization; fields that Kustomize does not know as \
                      images need its configurations"
            .to_owned(),
    ];
    Emitted { files: vec![Written { path: "kustomization.yaml".to_owned(), text }], notes }
}

/// Returns the ways in which manifests write a name.
fn spellings(repository: &Repository) -> Vec<String> {
    let mut names = vec![repository.to_string()];
    if repository.host() == "docker.io" {
        let short = repository.path().strip_prefix("library/").filter(|rest| !rest.contains('/'));
        names.push(repository.path().to_owned());
        names.extend(short.into_iter().flat_map(|short| [short.to_owned(), format!("docker.io/{short}")]));
    }
    names
}

#[cfg(test)]
mod tests {
    use super::super::tests::moves;
    use super::*;

    #[test]
    fn every_spelling_of_an_image_is_renamed_and_charts_are_left() {
        let emitted = emit(&moves(
            "nginx:1 m.example/library/nginx\ndocker.io/org/x:1 m.example/org/x\nh.example/a:1 m.example/p/a\nh.example/charts/b:1 m.example/charts/b\n",
        ));
        let node = crate::document::yaml::document(&emitted.files[0].text, "x").unwrap();
        let name = |item: &crate::document::yaml::Node| {
            let of = |key| item.get(key).unwrap().text().unwrap().to_owned();
            format!("{} {}", of("name"), of("newName"))
        };
        let names: Vec<String> = node.get("images").unwrap().items().iter().map(name).collect();
        assert_eq!(
            names,
            [
                "docker.io/library/nginx m.example/library/nginx",
                "docker.io/nginx m.example/library/nginx",
                "docker.io/org/x m.example/org/x",
                "h.example/a m.example/p/a",
                "library/nginx m.example/library/nginx",
                "nginx m.example/library/nginx",
                "org/x m.example/org/x",
            ]
        );
    }
}
