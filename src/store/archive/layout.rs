//! OCI image layouts, in a folder or in a tar, as many tools write them (OCI image specification, "Image Layout").
//!
//! hauler and Zarf keep their images in a layout with annotations of their own, and so does a recent `docker save`; all
//! of them are read here. `index.json` is the list: what it does not name is found only from what it names.

use super::contents::{Contents, Held, Listed, digest_of_path};
use super::form::Form;
use super::name::Name;
use super::table::{Entry, FileTable};
use crate::model::{Descriptor, Digest, Fault, FaultKind, Tag, json, limits};
use serde::Deserialize;
use std::collections::BTreeMap;

const REF_NAME: &str = "org.opencontainers.image.ref.name";
const BASE_NAME: &str = "org.opencontainers.image.base.name";
const CONTAINERD_NAME: &str = "io.containerd.image.name";
const CONTAINERD_ORIGIN: &str = "containerd.io/distribution.source.";
/// What an entry of hauler is, beside its name; the second is what it was called before.
const HAULER_KINDS: [&str; 2] = ["dev.hauler/", "dev.cosignproject.cosign/"];
const HAULER_SUBJECT: &str = "hauler.dev/subject-digest";
/// Longest `oci-layout` file, in bytes.
const LAYOUT_BYTES: u64 = 4 << 10;

#[derive(Deserialize)]
struct IndexFile {
    manifests: Option<Vec<Descriptor>>,
}

/// Reads the layout at `root` of `table`.
pub(super) fn read(table: &FileTable, root: &str, form: Form, label: &str) -> Result<Contents, Fault> {
    check_version(table, root)?;
    let mut contents = Contents::new(form, label, table);
    blobs(table, root, &mut contents)?;
    let entries = index(table, root)?;
    let hauler = entries.iter().any(|entry| kind(entry).is_some());
    match (form, hauler) {
        (Form::Hauler, false) if !entries.is_empty() => {
            return Err(table.malformed("nothing in its index.json is marked as hauler marks it"));
        }
        (Form::Oci | Form::OciArchive, true) => contents.form = Form::Hauler,
        _ => {}
    }
    let named: BTreeMap<String, Digest> = entries.iter().filter_map(image_of_hauler).collect();
    for entry in entries {
        let name = match hauler_evidence(&entry, &named) {
            Some(name) => name,
            None => name(&entry, form),
        };
        let stated = Some((entry.media_type.clone(), entry.size));
        contents.listed.push(Listed { name, digest: entry.digest, stated, offered: true });
    }
    Ok(contents)
}

fn check_version(table: &FileTable, root: &str) -> Result<(), Fault> {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Version {
        image_layout_version: String,
    }
    let bytes = table.small(&format!("{root}oci-layout"), LAYOUT_BYTES)?;
    let bytes = bytes.ok_or_else(|| table.malformed("it has no oci-layout, and so it is no OCI image layout"))?;
    let found: Version = json::parse(&bytes).map_err(|error| table.malformed(format!("oci-layout: {error}")))?;
    match found.image_layout_version.as_str() {
        "1.0.0" => Ok(()),
        other => Err(table.malformed(format!("oci-layout: its version is {other:?}, this program reads \"1.0.0\""))),
    }
}

/// Takes up every blob. A link, a pipe or a device among them is refused, whatever it may lead to.
fn blobs(table: &FileTable, root: &str, contents: &mut Contents) -> Result<(), Fault> {
    let folder = format!("{root}blobs");
    table.file(&folder)?;
    for (name, entry) in table.below(&format!("{folder}/")) {
        let Entry::File(place) = entry else { return Err(table.refuse(&format!("{folder}/{name}"), entry)) };
        // What has another name is none of the layout's: what a file system or an editor left behind.
        let digest = name.split_once('/').and_then(|(algorithm, hex)| digest_of_path(algorithm, hex));
        if let Some(digest) = digest {
            contents.hold(digest, Held::There(place.clone()))?;
        }
    }
    Ok(())
}

fn index(table: &FileTable, root: &str) -> Result<Vec<Descriptor>, Fault> {
    // A haul made for containerd lists images only in index.json, and everything in a file of its own.
    for name in ["hauler-index.json", "index.json"] {
        let name = format!("{root}{name}");
        if let Some(bytes) = table.small(&name, limits::PAPER_BYTES)? {
            let index: IndexFile = json::parse(&bytes).map_err(|error| table.malformed(format!("{name}: {error}")))?;
            return Ok(index.manifests.unwrap_or_default());
        }
    }
    Err(table.malformed("it has no index.json, and so it is no OCI image layout"))
}

/// Returns the name of an entry: the whole one where a tool wrote one.
fn name(entry: &Descriptor, form: Form) -> Name {
    let text = |key: &str| entry.annotations.get(key).map(String::as_str);
    let whole = text(CONTAINERD_NAME).map(Name::whole).filter(|name| *name != Name::Nothing);
    let annotated = || text(REF_NAME).map(Name::annotated).filter(|name| *name != Name::Nothing);
    // In a package of Zarf that crane wrote, this is the image itself; elsewhere it is what the image was built on.
    let zarf =
        || text(BASE_NAME).filter(|_| form == Form::Zarf).map(Name::annotated).filter(|name| *name != Name::Nothing);
    whole.or_else(|| origin(entry)).or_else(annotated).or_else(zarf).unwrap_or(Name::Nothing)
}

/// Returns the repository that containerd noted, where no name was given: an image that was pulled by digest.
fn origin(entry: &Descriptor) -> Option<Name> {
    if entry.annotations.contains_key(CONTAINERD_NAME) {
        return None;
    }
    let (host, path) =
        entry.annotations.iter().find_map(|(key, path)| Some((key.strip_prefix(CONTAINERD_ORIGIN)?, path)))?;
    let tag = entry.annotations.get(REF_NAME).and_then(|tag| tag.parse::<Tag>().ok());
    let first = path.split(',').next().unwrap_or_default();
    let name = Name::whole(&format!("{host}/{first}"));
    (name != Name::Nothing).then(|| name.with_tag(tag))
}

fn kind(entry: &Descriptor) -> Option<&str> {
    let kind = entry.annotations.get("kind")?;
    HAULER_KINDS.into_iter().find_map(|prefix| kind.strip_prefix(prefix))
}

fn image_of_hauler(entry: &Descriptor) -> Option<(String, Digest)> {
    let image = matches!(kind(entry)?, "image" | "imageIndex");
    image.then(|| Some((entry.annotations.get(REF_NAME)?.clone(), entry.digest.clone()))).flatten()
}

/// Returns the name of evidence in a haul. hauler gives it the name of its image, and says beside it what it is; here it
/// gets the tag that cosign gave it. A referrer says by itself what it is about, and needs no name.
fn hauler_evidence(entry: &Descriptor, images: &BTreeMap<String, Digest>) -> Option<Name> {
    let (kind, subject) =
        kind(entry)?.split_once('/').map_or_else(|| (kind(entry), None), |(kind, hex)| (Some(kind), Some(hex)));
    let ending = match kind? {
        "sigs" => "sig",
        "atts" => "att",
        "sboms" => "sbom",
        "referrers" => return Some(Name::Nothing),
        _ => return None,
    };
    let stated = entry.annotations.get(HAULER_SUBJECT).and_then(|text| text.parse::<Digest>().ok());
    let by_kind = || subject.and_then(|hex| digest_of_path("sha256", hex));
    let by_name = || images.get(entry.annotations.get(REF_NAME)?).cloned();
    let about = stated.or_else(by_kind).or_else(by_name)?;
    let tag = format!("{}-{}.{ending}", about.algorithm().name(), about.hex()).parse().ok()?;
    Some(name(entry, Form::Hauler).with_tag(Some(tag)))
}

/// Checks what a package of Zarf says about its list of images: the checksum in `checksums.txt`, where it has one.
pub(super) fn check_zarf(table: &FileTable, root: &str) -> Result<(), Fault> {
    let Some(sums) = table.small(&format!("{root}checksums.txt"), limits::PAPER_BYTES)? else { return Ok(()) };
    let Some(index) = table.small(&format!("{root}images/index.json"), limits::PAPER_BYTES)? else { return Ok(()) };
    let sums = String::from_utf8_lossy(&sums);
    let stated = sums.lines().find_map(|line| line.trim_end().strip_suffix(" images/index.json"));
    let found = Digest::of(&index).hex();
    match stated {
        Some(stated) if stated.trim() != found => {
            let what = format!("checksums.txt says {stated:?} of images/index.json, and it is {found}");
            Err(Fault::new(FaultKind::Damaged, table.place(), what))
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::super::fuzzing::archive;
    use super::super::trove::Trove;
    use crate::model::port::ImageSource;
    use crate::model::{Digest, Fault, FaultKind, Repository};
    use crate::testkit::archives::{Files, Tar, called, layout, tar, zarf};
    use crate::testkit::image::{Sample, SampleImage};
    use serde_json::{Value, json};

    fn image(seed: u64) -> Sample {
        SampleImage::new(seed).layer(500).build()
    }

    fn read(files: &Files) -> Result<Trove, Fault> {
        archive(&tar(files), "h.example/p")
    }

    fn names(files: &Files) -> Vec<String> {
        read(files).unwrap().offers().iter().map(|offer| offer.name.to_string()).collect()
    }

    fn with(change: impl FnOnce(&mut Files)) -> Fault {
        let mut files = layout(&[(called("ghcr.io/a/b:1"), &image(1))]);
        change(&mut files);
        read(&files).expect_err("it is refused")
    }

    #[test]
    fn each_tool_says_the_name_in_its_own_way() {
        let digest = image(1).digest().clone();
        let cases: Vec<(Value, String)> = vec![
            (called("ghcr.io/a/b:1"), "ghcr.io/a/b:1".to_owned()),
            (called("a/b:1"), "h.example/p/a/b:1".to_owned()),
            (called("1.0"), "h.example/p:1.0".to_owned()),
            (json!({}), format!("h.example/p@{digest}")),
            (called("Not A Name!"), format!("h.example/p@{digest}")),
            (called(&format!("ghcr.io/a/b@{digest}")), format!("ghcr.io/a/b@{digest}")),
            (called(&format!("ghcr.io/a/b:1@{digest}")), "ghcr.io/a/b:1".to_owned()),
            (
                json!({ "io.containerd.image.name": "index.docker.io/library/b:1", "org.opencontainers.image.ref.name": "1" }),
                "docker.io/library/b:1".to_owned(),
            ),
            (json!({ "containerd.io/distribution.source.quay.io": "a/b,c/d" }), format!("quay.io/a/b@{digest}")),
            (json!({ "org.opencontainers.image.base.name": "ghcr.io/the/base:1" }), format!("h.example/p@{digest}")),
            // Pulled by digest and tagged with it: the tag says nothing more.
            (called(&format!("ghcr.io/a/b:sha256-{}", digest.hex())), format!("ghcr.io/a/b@{digest}")),
        ];
        for (annotations, name) in cases {
            assert_eq!(names(&layout(&[(annotations.clone(), &image(1))])), [name], "{annotations}");
        }
        let zarfs = zarf(&layout(&[(json!({ "org.opencontainers.image.base.name": "ghcr.io/a/b:1" }), &image(1))]));
        assert_eq!(names(&zarfs), ["ghcr.io/a/b:1"]);
    }

    /// A signature as it stands in a haul: under the name of its image.
    fn haul(kind: &str, more: Value) -> Vec<String> {
        let (image, signature) = (image(1), image(2));
        let entry = |kind: &str, more: &Value| {
            let mut entry = json!({
                "kind": kind, "io.containerd.image.name": "ghcr.io/a/b:1", "org.opencontainers.image.ref.name": "a/b:1",
            });
            for (key, value) in more.as_object().unwrap() {
                entry[key] = value.clone();
            }
            entry
        };
        let files = layout(&[(entry("dev.hauler/image", &json!({})), &image), (entry(kind, &more), &signature)]);
        let trove = read(&files).unwrap();
        assert_eq!(trove.offers().len(), 1, "a signature is no artifact");
        let tags = trove.tags(&Repository::new("ghcr.io", "a/b").unwrap()).unwrap();
        tags.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn evidence_in_a_haul_gets_the_tag_that_cosign_gave_it() {
        let about = image(1).digest().clone();
        let other = Digest::of(b"a child");
        for prefix in ["dev.hauler", "dev.cosignproject.cosign"] {
            for (kind, ending) in [("sigs", "sig"), ("atts", "att"), ("sboms", "sbom")] {
                let kind = format!("{prefix}/{kind}");
                assert_eq!(haul(&kind, json!({})), ["1".to_owned(), format!("sha256-{}.{ending}", about.hex())]);
                let stated = json!({ "hauler.dev/subject-digest": other.to_string() });
                assert_eq!(haul(&kind, stated), ["1".to_owned(), format!("sha256-{}.{ending}", other.hex())]);
                let child = format!("{kind}/{}", other.hex());
                assert_eq!(haul(&child, json!({})), ["1".to_owned(), format!("sha256-{}.{ending}", other.hex())]);
            }
        }
    }

    #[test]
    fn a_haul_for_containerd_is_read_by_its_whole_list() {
        let (one, two) = (image(1), image(2));
        let mut files = layout(&[(called("ghcr.io/a/one:1"), &one), (called("ghcr.io/a/two:1"), &two)]);
        let whole = files["index.json"].clone();
        files.insert("index.json".to_owned(), layout(&[(called("ghcr.io/a/one:1"), &one)])["index.json"].clone());
        assert_eq!(names(&files).len(), 1);
        files.insert("hauler-index.json".to_owned(), whole);
        assert_eq!(names(&files).len(), 2);
    }

    #[test]
    fn a_layout_of_another_version_or_without_its_list_is_refused() {
        for (text, why) in [
            (r#"{"imageLayoutVersion":"9.9.9"}"#, "its version is \"9.9.9\""),
            ("no json", "oci-layout: line 1"),
            ("{}", "imageLayoutVersion"),
        ] {
            let fault = with(|files| _ = files.insert("oci-layout".to_owned(), text.as_bytes().to_vec()));
            assert!(fault.what.contains(why), "{fault}");
        }
        let large = with(|files| _ = files.insert("oci-layout".to_owned(), vec![b' '; 5000]));
        assert_eq!(large.kind, FaultKind::TooLarge);
        assert!(with(|files| _ = files.remove("index.json")).what.contains("no index.json"));
        for text in [r#"{"manifests":[{"mediaType":1}]}"#, r#"{"manifests":[],"manifests":[]}"#, "[]"] {
            let fault = with(|files| _ = files.insert("index.json".to_owned(), text.as_bytes().to_vec()));
            assert!(fault.kind == FaultKind::Malformed && fault.what.contains("index.json"), "{text}: {fault}");
        }
        let mut empty = layout(&[]);
        empty.insert("index.json".to_owned(), br#"{"schemaVersion":2,"manifests":null}"#.to_vec());
        assert!(names(&empty).is_empty());
    }

    #[test]
    fn links_in_the_place_of_content_are_refused() {
        let files = layout(&[(called("ghcr.io/a/b:1"), &image(1))]);
        let add = |tar: Tar, name: &str| tar.file(name, &files[name]);
        let blobs: Vec<&String> = files.keys().filter(|name| name.starts_with("blobs/")).collect();
        for linked in files.keys() {
            let rest = files.keys().filter(|name| *name != linked).fold(Tar::new(), |tar, name| add(tar, name));
            for tar in [rest.clone().soft_link(linked, "other"), rest.clone().hard_link(linked, blobs[0])] {
                let fault = archive(&tar.file("other", &files[linked]).finish(), "").expect_err(linked);
                assert!(fault.what.contains("links are not followed"), "{linked}: {fault}");
            }
        }
        let rest = [&"index.json".to_owned(), &"oci-layout".to_owned()]
            .into_iter()
            .fold(Tar::new(), |tar, name| add(tar, name));
        let fault = archive(&rest.soft_link("blobs", "other").finish(), "").err().unwrap();
        assert!(fault.what.contains("links are not followed"), "{fault}");
    }

    #[test]
    fn a_list_of_images_that_does_not_match_its_checksum_is_refused() {
        let mut files = zarf(&layout(&[(called("ghcr.io/a/b:1"), &image(1))]));
        assert_eq!(names(&files).len(), 1);
        let changed = layout(&[(called("ghcr.io/a/c:1"), &image(1))])["index.json"].clone();
        files.insert("images/index.json".to_owned(), changed);
        assert_eq!(read(&files).err().unwrap().kind, FaultKind::Damaged);
        files.remove("checksums.txt");
        assert_eq!(names(&files), ["ghcr.io/a/c:1"]);
    }
}
