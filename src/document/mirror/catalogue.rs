//! `catalogue` of an entry of `blueprints`: where Blueprints stand; and `graph`: by which edges they need each other.
//!
//! ```yaml
//! blueprints:
//!   - catalogue: ./openova                             # a folder, or one file of Blueprint objects
//!     artifact: "ghcr.io/openova-io/{chart}:{version}"
//!     all: listed
//!     include: [ "bp-*" ]                              # of all: only names that fit
//!     exclude: [ bp-velero ]                           # of all: not these, unless another one needs them
//!   - catalogue: ./openova-1.4.tar.gz                  # an archive of a checkout
//!     artifact: "ghcr.io/openova-io/{chart}:{version}"
//!     roots: [ bp-harbor ]
//!   - catalogue: { git: "https://gitea.example/openova.git", ref: v1.4, path: platform }
//!     artifact: "ghcr.io/openova-io/{chart}:{version}"
//!     roots: [ bp-harbor ]
//!     graph: both                                      # depends (of Blueprints), kit (dependsOn of releases), or both
//!   - catalogue: "oci://ghcr.io/openova-io/bp-*"       # published charts: the registry says which versions there are
//!     roots: [ { blueprint: bp-harbor, version: ^1.2 } ]
//! ```

use crate::document::form::Clerk;
use crate::document::yaml::Node;
use crate::model::{ImageRef, Repository};
use std::fmt;

/// Fields of a catalogue that is in a Git repository.
pub(super) const GIT: &[&str] = &["git", "ref", "path"];

/// Where Blueprints stand.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CatalogueAt {
    /// Folder, file of objects, or archive, as typed.
    Path(String),
    /// Git repository.
    Git(GitSource),
    /// Repositories of published charts, one for each Blueprint.
    Registry(RegistrySource),
}

/// Where charts of Blueprints are published: `HOST/PATH`, below which each has a repository of its name.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct RegistrySource(String);

impl RegistrySource {
    /// Reads `oci://HOST/PATH/bp-*` or `oci://HOST/PATH`; fails with the reason in words.
    pub fn parse(text: &str) -> Result<Self, String> {
        let place = text.strip_prefix("oci://").unwrap_or(text).trim_end_matches('/');
        let prefix = place.strip_suffix("/bp-*").unwrap_or(place);
        let sample = format!("{prefix}/bp-x");
        let host = prefix.split('/').next().unwrap_or_default();
        let named = sample.parse::<ImageRef>().ok().filter(|image| image.repository.host() == host);
        match named {
            Some(image) if image.tag.is_none() && image.digest.is_none() => Ok(Self(prefix.to_owned())),
            _ => Err("published charts are named oci://HOST/PATH/bp-*".to_owned()),
        }
    }

    /// Returns the repository of the Blueprint whose name in the common form is `name`.
    pub fn repository(&self, name: &str) -> Option<Repository> {
        format!("{}/{name}", self.0).parse::<ImageRef>().ok().map(|image| image.repository)
    }

    /// Returns the reference of a Blueprint's chart, with `{chart}` and `{version}`.
    pub fn artifact(&self) -> String {
        format!("{}/{{chart}}:{{version}}", self.0)
    }

    /// Returns whether the repository that a `Chart.yaml` declares is this place.
    pub fn is_at(&self, declared: &str) -> bool {
        declared.strip_prefix("oci://").unwrap_or(declared).trim_end_matches('/') == self.0
    }
}

impl fmt::Display for RegistrySource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "oci://{}/bp-*", self.0)
    }
}

/// Place in a Git repository.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct GitSource {
    /// Address: `https://…`, `ssh://…`, `file://…` or `user@host:path`.
    pub url: String,
    /// Branch, tag or commit; absent: what the repository calls its head.
    pub reference: Option<String>,
    /// Folder in the repository.
    pub path: Option<String>,
}

/// By which edges Blueprints need each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Graph {
    /// `depends` of Blueprints: what one of them needs on a platform that runs.
    Depends,
    /// `dependsOn` of the releases of the mirror file's kits: what a new cluster needs.
    Kit,
    /// The union of both.
    Both,
}

impl Graph {
    /// Returns the word for it.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Depends => "depends",
            Self::Kit => "kit",
            Self::Both => "both",
        }
    }
}

/// Reads where a catalogue stands.
pub(super) fn read(clerk: &Clerk<'_>, node: &Node) -> Option<CatalogueAt> {
    if node.text().is_some() {
        let text = clerk.text(node)?;
        if text.starts_with("oci://") {
            let registry = RegistrySource::parse(&text).map_err(|why| clerk.note(node, why)).ok()?;
            return Some(CatalogueAt::Registry(registry));
        }
        if text.contains("://") || text.starts_with("git@") {
            clerk.note(
                node,
                "a path is expected; an address of a Git repository is written { git: ADDRESS, ref: NAME }",
            );
            return None;
        }
        return Some(CatalogueAt::Path(text));
    }
    let form = clerk.form(node, GIT)?;
    let url = form.need("git").and_then(|node| checked(clerk, node, check_url));
    let reference = form.get("ref").map(|node| checked(clerk, node, check_reference));
    let path = form.get("path").map(|node| checked(clerk, node, check_path));
    Some(CatalogueAt::Git(GitSource { url: url?, reference: reference.flatten(), path: path.flatten() }))
}

/// Reads the word for a graph.
pub(super) fn graph(clerk: &Clerk<'_>, node: &Node) -> Option<Graph> {
    clerk.word(node, &[("depends", Graph::Depends), ("kit", Graph::Kit), ("both", Graph::Both)])
}

fn checked(clerk: &Clerk<'_>, node: &Node, check: impl Fn(&str) -> Result<(), &'static str>) -> Option<String> {
    let text = clerk.text(node)?;
    check(&text).map_err(|why| clerk.note(node, why)).ok().map(|()| text)
}

/// Addresses go to the `git` program: what it could take for an option or for a command is refused.
fn check_url(text: &str) -> Result<(), &'static str> {
    let known = ["https://", "http://", "ssh://", "file://"].iter().any(|scheme| text.starts_with(scheme));
    let short = text.split_once('@').is_some_and(|(user, rest)| {
        !user.is_empty()
            && user.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
            && rest.contains(':')
            && !rest.starts_with('-')
    });
    let host = text.split_once("://").map_or("x", |(_, rest)| rest);
    if text.contains(char::is_whitespace)
        || text.contains(char::is_control)
        || !(known || short)
        || host.starts_with('-')
    {
        return Err("an address that begins with https://, http://, ssh:// or file://, or user@host:path, is expected");
    }
    let login = host.split('/').next().unwrap_or_default();
    if text.starts_with("http") && login.contains('@') {
        return Err("a login does not belong into an address; git's own credential helpers keep it");
    }
    Ok(())
}

fn check_reference(text: &str) -> Result<(), &'static str> {
    let good = text.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-' | b'/' | b'+'));
    if !good || text.starts_with(['-', '/', '.']) || text.contains("..") {
        return Err("the name of a branch, a tag or a commit is expected");
    }
    Ok(())
}

fn check_path(text: &str) -> Result<(), &'static str> {
    if text.starts_with('/') || text.split('/').any(|part| part == "..") {
        return Err("a folder inside of the repository is expected");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::document::yaml;

    fn good(text: &str) -> bool {
        let node = yaml::document(text, "m").unwrap();
        let clerk = Clerk::new("m");
        let found = read(&clerk, &node);
        clerk.finish(()).is_ok() && found.is_some()
    }

    #[test]
    fn addresses_that_git_could_misread_are_refused() {
        for text in [
            "./openova",
            "{git: 'https://h.example/x.git'}",
            "{git: 'git@h.example:x/y.git', ref: release/1.4, path: platform}",
            "{git: 'file:///srv/x', ref: 0123abc}",
            "{git: 'ssh://git@h.example:2222/x'}",
            "'oci://h.example:5000/press/bp-*'",
            "oci://h.example",
        ] {
            assert!(good(text), "{text}");
        }
        for text in [
            "https://h.example/x.git",
            "git@h.example:x",
            "{git: '--upload-pack=x'}",
            "{git: 'ext::sh -c x'}",
            "{git: 'ssh://-oProxyCommand=x/y'}",
            "{git: 'https://me:pw@h.example/x'}",
            "{git: 'https://h.example/x', ref: --x}",
            "{git: 'https://h.example/x', ref: a..b}",
            "{git: 'https://h.example/x', path: ../y}",
            "{ref: x}",
            "{git: 'https://h.example/x', branch: y}",
            "'oci://h.example/press/*'",
            "oci://press/charts",
            "oci://h.example/press:1",
            "oci://",
        ] {
            assert!(!good(text), "{text}");
        }
    }
}
