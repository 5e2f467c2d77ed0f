//! Entries of `artifacts` and `charts` that airlift makes itself, out of a file that it fetches:
//!
//! ```yaml
//! artifacts:
//!   - file: https://get.example/tool/v1.2.3/tool-linux-amd64.tar.gz
//!     sha256: 9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08
//!     type: application/vnd.example.tool      # artifactType; there is a default
//!     layerType: application/gzip             # type of the layer; there is a default
//!     name: get.example/tool/linux:v1.2.3     # name in lock, mapping and policy; else derived from the address
//! charts:
//!   - { file: "https://charts.example/press-2.0.1.tgz", sha256: 9f86…0a08 }
//! ```
//!
//! A derived name is the host, the folders of the address in the grammar of repositories, and the file's name; its tag
//! is the version that stands in the address, or the first twelve digits of the digest. A chart's name and tag are those
//! in its file name, and its `Chart.yaml` must say the same.

use super::{Source, Wish};
use crate::document::form::{Clerk, Form};
use crate::document::made::{FILE_LAYER, FILE_TYPE, MadeForm, MadeWish};
use crate::document::yaml::Node;
use crate::model::{Digest, FileUrl, ImageRef, MediaType};

pub(super) const FILE: &[&str] = &["file", "sha256", "type", "layerType", "name"];

/// Returns whether an entry is about a file.
pub(super) fn is_file(node: &Node) -> bool {
    node.get("file").is_some()
}

/// Reads a file that becomes an artifact.
pub(super) fn file(clerk: &Clerk<'_>, node: &Node) -> Option<Source> {
    let form = clerk.form(node, FILE)?;
    let kind = |name, default: &str| form.get(name).map_or(Some(default.into()), |node| media_type(clerk, node));
    let (artifact_type, layer_type) = (kind("type", FILE_TYPE), kind("layerType", FILE_LAYER));
    let (url, digest) = content(clerk, &form)?;
    let named = name(clerk, node, &form, || derived_file(&url, &digest));
    let form = MadeForm::File { artifact_type: artifact_type?, layer_type: layer_type? };
    Some(entry(node, named?, MadeWish { form, url, digest: Some(digest) }))
}

/// Reads a chart archive that becomes a chart in a registry; the form may have other fields too.
pub(super) fn chart_fields(clerk: &Clerk<'_>, node: &Node, form: &Form<'_>) -> Option<Source> {
    let (url, digest) = content(clerk, form)?;
    let named = name(clerk, node, form, || derived_chart(&url));
    Some(entry(node, named?, MadeWish { form: MadeForm::Chart, url, digest: Some(digest) }))
}

fn entry(node: &Node, source: ImageRef, made: MadeWish) -> Source {
    Source { line: node.line, wish: Wish::Made { source, made }, platforms: None }
}

fn content(clerk: &Clerk<'_>, form: &Form<'_>) -> Option<(FileUrl, Digest)> {
    let url = form.need("file").and_then(|node| clerk.parsed(node));
    let digest = form.need("sha256").and_then(|node| {
        let text = clerk.text(node)?;
        let hex = text.strip_prefix("sha256:").unwrap_or(&text).to_ascii_lowercase();
        let digest = format!("sha256:{hex}").parse();
        digest.map_err(|_| clerk.note(node, format!("{text:?} is no SHA-256: 64 hexadecimal digits are expected"))).ok()
    });
    Some((url?, digest?))
}

fn media_type(clerk: &Clerk<'_>, node: &Node) -> Option<MediaType> {
    let text = clerk.text(node)?;
    let part = |part: &str| {
        let first = part.starts_with(|c: char| c.is_ascii_alphanumeric());
        first && part.bytes().all(|b| b.is_ascii_alphanumeric() || b"!#$&-^_.+".contains(&b)) && part.len() <= 127
    };
    match text.split_once('/') {
        Some((one, two)) if part(one) && part(two) => Some(MediaType::new(&text)),
        _ => {
            clerk.note(node, format!("{text:?} is no media type; application/vnd.example.thing is one"));
            None
        }
    }
}

/// Reads the name that is given, or derives one.
fn name(
    clerk: &Clerk<'_>,
    node: &Node,
    form: &Form<'_>,
    derived: impl FnOnce() -> Option<ImageRef>,
) -> Option<ImageRef> {
    let Some(given) = form.get("name") else {
        let name = derived();
        if name.is_none() {
            clerk.note(node, "no name can be derived from the address; give one: name: host/path:tag");
        }
        return name;
    };
    let name: ImageRef = clerk.parsed(given)?;
    if name.tag.is_none() || name.digest.is_some() {
        clerk.note(given, "a name has a tag and no digest: host/path:tag");
        return None;
    }
    Some(name)
}

/// Returns `host/folders/file:version`; folders that are a version count as the version.
pub fn derived_file(url: &FileUrl, digest: &Digest) -> Option<ImageRef> {
    let mut parts: Vec<&str> = url.path().split('/').collect();
    let name = parts.pop()?;
    let version = parts.iter().rfind(|part| is_version(part)).map(|part| part.replace('+', "_"));
    let tag = version.unwrap_or_else(|| digest.hex().chars().take(12).collect());
    parts.retain(|part| !is_version(part));
    joined(url, &parts, name, &tag)
}

/// Returns `host/folders/name:version` of a chart archive that is called `name-version.tgz`.
pub fn derived_chart(url: &FileUrl) -> Option<ImageRef> {
    let mut parts: Vec<&str> = url.path().split('/').collect();
    let file = parts.pop()?;
    let stem = file.strip_suffix(".tgz").or_else(|| file.strip_suffix(".tar.gz"))?.replace("%2B", "+");
    let (name, version) = stem.match_indices('-').find_map(|(at, _)| {
        let (name, version) = (&stem[..at], &stem[at + 1..]);
        (is_version(version) && version.split('.').count() >= 3).then_some((name, version))
    })?;
    parts.retain(|part| !is_version(part));
    joined(url, &parts, name, &version.replace('+', "_"))
}

fn joined(url: &FileUrl, folders: &[&str], name: &str, tag: &str) -> Option<ImageRef> {
    let parts = folders.iter().chain(std::iter::once(&name)).map(|part| lawful(part));
    let path: Vec<String> = parts.filter(|part| !part.is_empty()).collect();
    let name: ImageRef = format!("{}/{}:{tag}", url.host(), path.join("/")).parse().ok()?;
    // A host without a dot or a port would be read as a part of docker.io.
    (name.repository.host() == url.host()).then_some(name)
}

/// Returns whether a text begins with two numbers, as versions do: `1.2`, `v1.2.3-rc1`.
fn is_version(text: &str) -> bool {
    let mut numbers = text.strip_prefix('v').unwrap_or(text).splitn(3, '.');
    let whole =
        |part: Option<&str>| part.is_some_and(|part| !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit()));
    whole(numbers.next()) && whole(numbers.next().map(|part| part.split(['-', '+']).next().unwrap_or_default()))
}

/// Returns a part of a path in the grammar of repositories: lower case, single separators, none at the ends.
fn lawful(part: &str) -> String {
    let mut out = String::new();
    for c in part.chars().map(|c| c.to_ascii_lowercase()) {
        if c.is_ascii_lowercase() || c.is_ascii_digit() {
            out.push(c);
        } else if !out.is_empty() && !out.ends_with(['.', '_', '-']) {
            out.push(if matches!(c, '.' | '_') { c } else { '-' });
        }
    }
    out.trim_end_matches(['.', '_', '-']).to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::document::mirror::{ChartWish, MirrorManifest};
    use proptest::prelude::*;

    const SHA: &str = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08";

    fn read(body: &str) -> Result<MirrorManifest, String> {
        let text = format!("apiVersion: airlift/v1alpha1\nkind: Mirror\n{}\n", body.replace("SHA", SHA));
        MirrorManifest::read(text.as_bytes(), "m.yaml").map_err(|e| e.to_string())
    }

    fn file_name(url: &str) -> String {
        let name = derived_file(&url.parse().unwrap(), &format!("sha256:{SHA}").parse().unwrap());
        name.map(|name| name.to_string()).unwrap_or_default()
    }

    #[test]
    fn a_file_is_named_after_its_address_and_its_version() {
        for (url, name) in [
            ("https://get.example/tool/v1.2.3/Tool_Linux.tar.gz", "get.example/tool/tool_linux.tar.gz:v1.2.3"),
            ("https://get.example/tool/1.2/x", "get.example/tool/x:1.2"),
            ("https://get.example/a%20b/--x--.bin", "get.example/a-20b/x-bin:9f86d081884c"),
            ("http://127.0.0.1:8080/model.gguf", "127.0.0.1:8080/model.gguf:9f86d081884c"),
            ("https://host/x", ""),
        ] {
            assert_eq!(file_name(url), name, "{url}");
        }
    }

    #[test]
    fn a_chart_is_named_after_its_archive() {
        let name = |url: &str| derived_chart(&url.parse().unwrap()).map(|name| name.to_string()).unwrap_or_default();
        assert_eq!(name("https://charts.example/press-2.0.1.tgz"), "charts.example/press:2.0.1");
        assert_eq!(name("https://h.example/c/ink-well-v1.0.0-rc.1+b.tgz"), "h.example/c/ink-well:v1.0.0-rc.1_b");
        assert_eq!(
            name("https://github.com/o/r/releases/download/x-2.0.1/x-2.0.1.tgz"),
            "github.com/o/r/releases/download/x-2.0.1/x:2.0.1"
        );
        assert_eq!(
            (name("https://h.example/press.tgz"), name("https://h.example/press-1.0.0.zip")),
            (String::new(), String::new())
        );
    }

    #[test]
    fn files_are_read_with_their_defaults() {
        let mirror = read("artifacts:\n- {file: 'https://h.example/x', sha256: SHA}\n- {file: 'https://h.example/y', sha256: 'sha256:SHA', type: a/b, layerType: c/d, name: 'r.example/z:1'}\ncharts:\n- {file: 'https://h.example/p-1.0.0.tgz', sha256: SHA}").unwrap();
        let wishes: Vec<(&ImageRef, &MadeWish)> = mirror
            .artifacts
            .iter()
            .map(|source| &source.wish)
            .chain(mirror.charts.iter().filter_map(|source| match &source.wish {
                ChartWish::Artifact(wish) => Some(wish),
                _ => None,
            }))
            .filter_map(|wish| match wish {
                Wish::Made { source, made } => Some((source, made)),
                _ => None,
            })
            .collect();
        assert_eq!(wishes.len(), 3);
        let kinds =
            |artifact: &str, layer: &str| MadeForm::File { artifact_type: artifact.into(), layer_type: layer.into() };
        assert_eq!((&wishes[0].1.form, &wishes[1].1.form), (&kinds(FILE_TYPE, FILE_LAYER), &kinds("a/b", "c/d")));
        assert_eq!(wishes[1].0.to_string(), "r.example/z:1");
        assert_eq!((&wishes[2].1.form, wishes[2].0.to_string().as_str()), (&MadeForm::Chart, "h.example/p:1.0.0"));
    }

    #[test]
    fn what_cannot_be_meant_is_refused() {
        for (body, said) in [
            ("artifacts: [{file: 'https://h.example/x'}]", "the field \"sha256\" is missing"),
            ("artifacts: [{file: 'https://h.example/x', sha256: abc}]", "no SHA-256"),
            ("artifacts: [{file: 'ftp://h.example/x', sha256: SHA}]", "neither https:// nor http://"),
            ("artifacts: [{file: 'https://h.example/x', sha256: SHA, type: x}]", "no media type"),
            ("artifacts: [{file: 'https://h.example/x', sha256: SHA, name: 'a.example/b'}]", "a name has a tag"),
            ("artifacts: [{file: 'https://h/x', sha256: SHA}]", "give one: name"),
            ("artifacts: [{file: 'https://h.example/x', sha256: SHA, tags: 1}]", "unknown field \"tags\""),
            ("charts: [{file: 'https://h.example/x.tgz', sha256: SHA}]", "give one: name"),
            ("charts: [{file: 'https://h.example/x-1.0.0.tgz', sha256: SHA, type: a/b}]", "unknown field \"type\""),
            ("images: [{file: 'https://h.example/x', sha256: SHA}]", "unknown field \"file\""),
        ] {
            let error = read(body).expect_err(body);
            assert!(error.contains(said), "{body}: {error}");
        }
    }

    proptest! {
        #[test]
        fn a_derived_name_is_a_reference_or_none(path in "[A-Za-z0-9._%/+-]{1,60}") {
            if let Ok(url) = format!("https://h.example/{path}").parse::<FileUrl>() {
                let digest = Digest::of(b"x");
                for name in [derived_file(&url, &digest), derived_chart(&url)].into_iter().flatten() {
                    prop_assert!(name.tag.is_some() && name.repository.host() == "h.example");
                }
            }
        }
    }
}
