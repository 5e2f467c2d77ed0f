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
                (
                    Some(tag),
                    text.trim_end()
                        .parse()
                        .map_err(|error: crate::model::digest::DigestError| bad(error.to_string()))?,
                )
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

#[cfg(test)]
mod tests {
    use super::super::fuzzing::archive;
    use super::super::trove::Trove;
    use super::*;
    use crate::model::port::ImageSource;
    use crate::model::{FaultKind, Reference};
    use crate::testkit::archives::{Files, distribution, tar};
    use crate::testkit::image::{Sample, SampleImage};

    fn image(seed: u64) -> Sample {
        SampleImage::new(seed).layer(500).build()
    }

    fn read(files: &Files) -> Result<Trove, Fault> {
        archive(&tar(files), "registry.example")
    }

    #[test]
    fn tags_and_revisions_of_each_repository_are_found() {
        let index = Sample::index(&[image(1), image(2)]);
        let mut files = distribution(&[("team/app", "1", &index), ("team/deep/er", "2", &image(3))]);
        let stale = distribution(&[("team/app", "gone", &image(4))]);
        files.extend(stale.into_iter().filter(|(name, _)| !name.contains("/tags/")));
        let trove = read(&files).unwrap();
        let names: Vec<String> = trove.offers().iter().map(|offer| offer.name.to_string()).collect();
        assert_eq!(names, ["registry.example/team/app:1", "registry.example/team/deep/er:2"]);
        assert!(trove.findings()[0].what.contains("1 documents without a tag"), "{:?}", trove.findings());
        let at = Repository::new("registry.example", "team/app").unwrap();
        for digest in [index.digest(), image(2).digest(), image(4).digest()] {
            assert!(trove.manifest(&at, &Reference::Digest(digest.clone())).is_ok());
        }
    }

    #[test]
    fn what_an_earlier_archive_carried_is_said_and_not_invented() {
        let (old, new) = (image(1), image(2));
        let mut files = distribution(&[("team/old", "1", &old), ("team/new", "1", &new)]);
        for digest in
            old.documents().iter().map(|d| &d.descriptor.digest).chain(old.blobs().iter().map(|b| &b.descriptor.digest))
        {
            files.retain(|name, _| !name.ends_with(&format!("{}/data", digest.hex())));
        }
        let trove = read(&files).unwrap();
        let names: Vec<String> = trove.offers().iter().map(|offer| offer.name.to_string()).collect();
        assert_eq!(names, ["registry.example/team/new:1"]);
        assert!(trove.findings()[0].what.contains("earlier archive") && trove.findings()[0].hint.contains("--since"));
        let at = Repository::new("registry.example", "team/old").unwrap();
        assert_eq!(trove.manifest(&at, &Reference::Tag("1".parse().unwrap())).unwrap_err().kind, FaultKind::Missing);
        assert_eq!(trove.head(&at, &Reference::Tag("1".parse().unwrap())).unwrap(), None);
    }

    #[test]
    fn a_link_that_is_no_digest_and_a_path_that_is_no_repository_are_refused() {
        let change = |name: &str, bytes: &[u8]| {
            let mut files = distribution(&[("team/app", "1", &image(1))]);
            files.insert(format!("docker/registry/v2/repositories/{name}"), bytes.to_vec());
            read(&files).err().unwrap().to_string()
        };
        assert!(change("team/app/_manifests/tags/2/current/link", b"../../x").contains("is no digest"));
        assert!(change("team/app/_manifests/tags/2/current/link", &[b'x'; 300]).contains("the limit is"));
        assert!(change("Team/app/_manifests/tags/2/current/link", b"sha256:").contains("is no name of a repository"));
        assert!(blob("sha256/ab/cd/data").is_none() && blob("sha256/../x/data").is_none());
        let hex = Digest::of(b"").hex();
        assert!(blob(&format!("sha256/{}/{hex}/data", &hex[..2])).is_some());
        assert!(blob(&format!("sha256/00/{hex}/data")).is_none());
    }
}
