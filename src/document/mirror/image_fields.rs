//! `imageFields`: fields of custom objects that name images, beyond those that the program knows.
//!
//! ```yaml
//! imageFields:
//!   - { group: press.example, kind: Kiosk, path: "spec.stands[*].picture" }
//!   - { apiVersion: press.example/v1, kind: Press, at: spec.plate, repositoryPath: name, tagPath: edition }
//!   - { group: press.example, kind: Rules, path: spec.bundle, role: artifact, strip: "oci://" }
//! ```

use crate::document::form::Clerk;
use crate::document::yaml::Node;

/// Fields of an entry.
pub(super) const IMAGE_FIELD: &[&str] = &[
    "apiVersion",
    "group",
    "kind",
    "path",
    "at",
    "registryPath",
    "repositoryPath",
    "tagPath",
    "digestPath",
    "role",
    "strip",
];

/// One entry of `imageFields`. Exactly one of `path` and `repository_path` is given; paths are as typed.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ImageField {
    /// Line of the mirror file.
    pub line: usize,
    /// Group of the objects; empty for Kubernetes' own.
    pub group: String,
    /// Version of the group; absent: any.
    pub version: Option<String>,
    /// Kind of the objects.
    pub kind: String,
    /// Path of a whole reference.
    pub path: Option<String>,
    /// Where the parts are looked for; absent: in the object.
    pub at: Option<String>,
    /// Path of the registry, below `at`.
    pub registry_path: Option<String>,
    /// Path of the repository, below `at`.
    pub repository_path: Option<String>,
    /// Path of the tag, below `at`.
    pub tag_path: Option<String>,
    /// Path of the digest, below `at`.
    pub digest_path: Option<String>,
    /// Whether it names an artifact that is no container image.
    pub artifact: bool,
    /// Text in front of the reference that is taken off.
    pub strip: Option<String>,
}

/// Reads one entry.
pub(super) fn read(clerk: &Clerk<'_>, node: &Node) -> Option<ImageField> {
    let form = clerk.form(node, IMAGE_FIELD)?;
    let (group, version) = match (form.text("group"), form.text("apiVersion")) {
        (Some(group), None) => (group, None),
        (None, Some(api)) => match api.split_once('/') {
            Some((group, version)) => (group.to_owned(), Some(version.to_owned())),
            None => (String::new(), Some(api)),
        },
        _ => {
            clerk.note(node, "exactly one of group and apiVersion is expected");
            return None;
        }
    };
    let parts = ["at", "registryPath", "tagPath", "digestPath"].into_iter().find(|name| form.get(name).is_some());
    match (form.get("path"), form.get("repositoryPath"), parts) {
        (Some(_), None, None) | (None, Some(_), _) => {}
        (Some(_), None, Some(part)) => clerk.note(node, format!("{part} belongs to repositoryPath, not to path")),
        _ => clerk.note(node, "exactly one of path and repositoryPath is expected"),
    }
    let role = form.get("role").map(|node| clerk.word(node, &[("image", false), ("artifact", true)]));
    Some(ImageField {
        line: node.line,
        group,
        version,
        kind: form.need_text("kind")?,
        path: form.text("path"),
        at: form.text("at"),
        registry_path: form.text("registryPath"),
        repository_path: form.text("repositoryPath"),
        tag_path: form.text("tagPath"),
        digest_path: form.text("digestPath"),
        artifact: role.unwrap_or(Some(false))?,
        strip: form.text("strip"),
    })
}
