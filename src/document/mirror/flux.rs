//! `flux`: folders of Flux objects, such as a bootstrap kit; and `kustomize`: folders that Kustomize would build.
//!
//! ```yaml
//! flux:
//!   - ./clusters/site/apps                  # everything that the folder's kustomization.yaml lists
//!   - path: ./clusters/_template/bootstrap-kit
//!     substitute: { SOVEREIGN_FQDN: sov.example.org }   # fills ${SOVEREIGN_FQDN}
//!     objects: [ ./stand-ins.yaml ]         # what the cluster has beside the folder: ConfigMaps, Secrets, repositories
//!     releases: [ bp-harbor ]               # only these, and what their dependsOn leads to
//!     include: [ "bp-*" ]                   # only releases whose name fits, and what they depend on
//!     exclude: [ bp-velero ]                # not these, unless another one depends on them
//!     sources:                              # what sourceRef of a Flux Kustomization stands for
//!       - { name: flux-system, path: . }    # a GitRepository, unless kind says otherwise
//!       - { kind: OCIRepository, name: apps, ignore: it has a mirror file of its own }
//! kustomize: [ ./overlays/site ]
//! ```

use crate::document::form::Clerk;
use crate::document::yaml::{Node, Value};
use std::collections::BTreeMap;

/// Fields of an entry.
pub(super) const FLUX: &[&str] = &["path", "substitute", "objects", "releases", "include", "exclude", "sources"];
/// Fields of a source.
pub(super) const SOURCE: &[&str] = &["kind", "name", "namespace", "path", "ignore"];

/// One entry of `flux`.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct FluxSource {
    /// Line of the mirror file.
    pub line: usize,
    /// Folder or file, as typed.
    pub path: String,
    /// Values of placeholders.
    pub substitute: BTreeMap<String, String>,
    /// Files of objects that the cluster has beside the folder.
    pub objects: Vec<String>,
    /// Releases that are wanted with what they depend on; none: all.
    pub releases: Vec<String>,
    /// Patterns of release names, one of which must fit; none: all.
    pub include: Vec<String>,
    /// Patterns of release names that are not wanted for themselves.
    pub exclude: Vec<String>,
    /// What the sources of Flux Kustomizations stand for.
    pub sources: Vec<SourceFolder>,
}

/// What a source of Flux stands for here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SourceFolder {
    /// `GitRepository`, `OCIRepository` or `Bucket`.
    pub kind: String,
    /// Its name.
    pub name: String,
    /// Its namespace; absent: any.
    pub namespace: Option<String>,
    /// Folder with its content, as typed; or why nothing of it is wanted.
    pub stands_for: Result<String, String>,
}

/// Reads one entry.
pub(super) fn read(clerk: &Clerk<'_>, node: &Node) -> Option<FluxSource> {
    if node.text().is_some() {
        return Some(FluxSource { line: node.line, path: clerk.text(node)?, ..FluxSource::default() });
    }
    let form = clerk.form(node, FLUX)?;
    if let (Some(_), Some(field)) = (form.get("releases"), form.get("include").or_else(|| form.get("exclude"))) {
        clerk
            .note(field, "include and exclude choose among all releases; releases names those that are wanted already");
    }
    Some(FluxSource {
        line: node.line,
        path: form.need_text("path")?,
        substitute: form.get("substitute").map(|node| variables(clerk, node)).unwrap_or_default(),
        objects: clerk.texts(form.get("objects")),
        releases: clerk.texts(form.get("releases")),
        include: clerk.texts(form.get("include")),
        exclude: clerk.texts(form.get("exclude")),
        sources: clerk.list(form.get("sources"), |node| source(clerk, node)),
    })
}

fn source(clerk: &Clerk<'_>, node: &Node) -> Option<SourceFolder> {
    let form = clerk.form(node, SOURCE)?;
    const KINDS: [(&str, &str); 3] =
        [("GitRepository", "GitRepository"), ("OCIRepository", "OCIRepository"), ("Bucket", "Bucket")];
    let kind = form.get("kind").map_or(Some("GitRepository"), |node| clerk.word(node, &KINDS))?;
    let stands_for = match (form.text("path"), form.text("ignore")) {
        (Some(path), None) => Ok(path),
        (None, Some(reason)) => Err(reason),
        _ => {
            clerk.note(node, "exactly one of path and ignore is expected: its folder here, or why it is left out");
            return None;
        }
    };
    let (name, namespace) = (form.need_text("name")?, form.text("namespace"));
    Some(SourceFolder { kind: kind.to_owned(), name, namespace, stands_for })
}

/// Reads a mapping of names to texts; numbers and truth values keep their spelling, and nothing is the empty text.
fn variables(clerk: &Clerk<'_>, node: &Node) -> BTreeMap<String, String> {
    if !matches!(node.value, Value::Map(_)) {
        clerk.note(node, format!("expected a mapping of names to texts, found {}", node.kind()));
    }
    let mut found = BTreeMap::new();
    for entry in node.entries() {
        let name = &entry.key;
        let begins = name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_');
        if !begins || !name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_') {
            clerk.note(&entry.value, format!("{name:?} is no name of a variable: letters, digits and _ make one"));
        }
        match (entry.value.text(), entry.value.kind()) {
            (Some(text), _) => drop(found.insert(name.clone(), text.to_owned())),
            (None, "nothing") => drop(found.insert(name.clone(), String::new())),
            (None, kind) => clerk.note(&entry.value, format!("{name}: expected a text, found {kind}")),
        }
    }
    found
}
