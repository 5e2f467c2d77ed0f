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
    let zarf = || text(BASE_NAME).filter(|_| form == Form::Zarf).map(Name::annotated).filter(|name| *name != Name::Nothing);
    whole.or_else(|| origin(entry)).or_else(annotated).or_else(zarf).unwrap_or(Name::Nothing)
}

/// Returns the repository that containerd noted, where no name was given: an image that was pulled by digest.
fn origin(entry: &Descriptor) -> Option<Name> {
    if entry.annotations.contains_key(CONTAINERD_NAME) {
        return None;
    }
    let (host, path) = entry.annotations.iter().find_map(|(key, path)| Some((key.strip_prefix(CONTAINERD_ORIGIN)?, path)))?;
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
    let (kind, subject) = kind(entry)?.split_once('/').map_or_else(|| (kind(entry), None), |(kind, hex)| (Some(kind), Some(hex)));
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
