//! The storage of CNCF Distribution, in a folder or in the archives of oc-mirror (version 2): blobs by digest, and
//! repositories whose tags and revisions are small files with a digest in them.

use super::contents::{Contents, Held, Listed, digest_of_path};
use super::form::Form;
use super::name::Name;
use super::table::{Entry, FileTable, read_small};
use crate::model::{Digest, Fault, Repository, Tag};

/// Longest file that holds a digest, in bytes.
const LINK_BYTES: u64 = 256;

/// Reads the storage at `root` of `table`.
pub(super) fn read(table: &FileTable, root: &str, form: Form, label: &str) -> Result<Contents, Fault> {
    let mut contents = Contents::new(form, label, table);
    // An archive carries all tags, and of the blobs only those that no earlier archive carried.
    contents.partial = form == Form::OcMirror;
    let blobs = format!("{root}blobs/");
    for (name, entry) in table.below(&blobs) {
        if let Some(digest) = blob(name) {
            let Entry::File(place) = entry else { return Err(table.refuse(&format!("{blobs}{name}"), entry)) };
            contents.hold(digest, Held::There(place.clone()))?;
        }
    }
    let repositories = format!("{root}repositories/");
    for (name, entry) in table.below(&repositories) {
        let Some((path, link)) = link(name) else { continue };
        let Entry::File(place) = entry else { return Err(table.refuse(&format!("{repositories}{name}"), entry)) };
        if Repository::new("localhost", path).is_err() {
            return Err(table.malformed(format!("{path:?} is no name of a repository")));
        }
        let (tag, digest) = match link {
            Link::Revision(digest) => (None, digest),
            Link::Tag(tag) => {
                let bytes = read_small(place, LINK_BYTES)?;
                let text = String::from_utf8_lossy(&bytes);
                let bad = |error| table.malformed(format!("{repositories}{name}: {error}"));
                (Some(tag), text.trim_end().parse().map_err(|error: crate::model::digest::DigestError| bad(error.to_string()))?)
            }
        };
        let offered = tag.is_some();
        contents.listed.push(Listed { name: Name::Path(path.to_owned(), tag), digest, stated: None, offered });
    }
    Ok(contents)
}

/// Reads `ALGORITHM/TWO-DIGITS/HEX/data`.
fn blob(name: &str) -> Option<Digest> {
    let parts: Vec<&str> = name.split('/').collect();
    let [algorithm, first, hex, "data"] = parts[..] else { return None };
    hex.starts_with(first).then(|| digest_of_path(algorithm, hex)).flatten()
}

enum Link {
    Revision(Digest),
    Tag(Tag),
}

/// Reads `PATH/_manifests/revisions/ALGORITHM/HEX/link` and `PATH/_manifests/tags/TAG/current/link`.
fn link(name: &str) -> Option<(&str, Link)> {
    let (path, rest) = name.split_once("/_manifests/")?;
    let parts: Vec<&str> = rest.split('/').collect();
    match parts[..] {
        ["revisions", algorithm, hex, "link"] => Some((path, Link::Revision(digest_of_path(algorithm, hex)?))),
        ["tags", tag, "current", "link"] => Some((path, Link::Tag(tag.parse().ok()?))),
        _ => None,
    }
}
