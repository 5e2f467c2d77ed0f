//! Archives of `docker save` in its old form, which skopeo, podman and crane write as well: `manifest.json`, image
//! configurations, and layers as tars.
//!
//! The manifest that a registry gave is not in it, so one is made: the same archive gives the same manifest, and the
//! digest of the configuration (Docker's image id) is the one that the registry knows. A layer as a plain tar has the
//! digest that the configuration states; a compressed one that of its bytes.

use super::contents::{Contents, Held, Listed};
use super::form::Form;
use super::name::Name;
use super::table::{FileTable, Place};
use super::unpack::Packing;
use crate::model::{Content, Descriptor, Digest, Digester, Fault, FaultKind, MediaType, json, limits};
use serde::{Deserialize, Serialize};
use std::io::{self, Read};

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct SavedImage {
    config: String,
    repo_tags: Option<Vec<String>>,
    layers: Option<Vec<String>>,
}

#[derive(Deserialize)]
struct Configuration {
    rootfs: RootFs,
}

#[derive(Deserialize)]
struct RootFs {
    diff_ids: Option<Vec<Digest>>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct MadeManifest<'a> {
    schema_version: u8,
    media_type: &'static str,
    config: &'a Descriptor,
    layers: &'a [Descriptor],
}

/// Reads every image that `manifest.json` lists.
pub(super) fn read(table: &FileTable, label: &str) -> Result<Contents, Fault> {
    let mut contents = Contents::new(Form::DockerArchive, label, table);
    let bytes = table.small("manifest.json", limits::PAPER_BYTES)?;
    let bytes = bytes.ok_or_else(|| table.malformed("it has no manifest.json, and so docker save did not write it"))?;
    let images: Vec<SavedImage> =
        json::parse(&bytes).map_err(|error| table.malformed(format!("manifest.json: {error}")))?;
    for image in &images {
        let digest = one(table, image, &mut contents)?;
        let tags = image.repo_tags.as_deref().unwrap_or_default();
        let mut names: Vec<Name> = tags.iter().map(|tag| Name::whole(tag)).collect();
        if names.is_empty() {
            names.push(Name::Nothing);
        }
        for name in names {
            contents.listed.push(Listed { name, digest: digest.clone(), stated: None, offered: true });
        }
    }
    contents.note(
        "docker save keeps no manifest and no signature: the digests of these images are not those of their registry; the \
         image ids are",
    );
    Ok(contents)
}

/// Makes the manifest of one image, and returns its digest.
fn one(table: &FileTable, image: &SavedImage, contents: &mut Contents) -> Result<Digest, Fault> {
    let config = configuration(table, &image.config)?;
    let parsed: Configuration =
        json::parse(&config).map_err(|error| table.malformed(format!("{:?}: {error}", image.config)))?;
    let layers = image.layers.as_deref().unwrap_or_default();
    let states = parsed.rootfs.diff_ids.unwrap_or_default();
    if layers.len() != states.len() || layers.len() > limits::LAYERS {
        let what = format!("{:?} has {} layers, its configuration {}", image.config, layers.len(), states.len());
        return Err(table.malformed(what));
    }
    let mut descriptors = Vec::with_capacity(layers.len());
    for (name, state) in layers.iter().zip(states) {
        let (descriptor, place) = layer(table, name, state)?;
        contents.hold(descriptor.digest.clone(), Held::There(place.clone()))?;
        descriptors.push(descriptor);
    }
    let config_descriptor = Descriptor::of(MediaType::OCI_CONFIG, &config);
    contents.make(config)?;
    contents.make(json::canonical(&MadeManifest {
        schema_version: 2,
        media_type: MediaType::OCI_MANIFEST,
        config: &config_descriptor,
        layers: &descriptors,
    }))
}

/// Reads a configuration, whose name says its digest in the archives of most tools.
fn configuration(table: &FileTable, name: &str) -> Result<Vec<u8>, Fault> {
    let bytes = table.small(name, limits::MANIFEST_BYTES)?;
    let bytes = bytes.ok_or_else(|| table.malformed(format!("manifest.json names {name:?}, which is not in it")))?;
    let found = Digest::of(&bytes);
    match stated(name, ".json") {
        Some(stated) if stated != found => {
            let what = format!("the configuration {name:?} should be {stated} and is {found}");
            Err(Fault::new(FaultKind::Damaged, table.place(), what))
        }
        _ => Ok(bytes),
    }
}

/// Returns the digest that the name of a file says: `HEX`, `sha256:HEX`, `blobs/sha256/HEX`, with an ending or without.
fn stated(name: &str, ending: &str) -> Option<Digest> {
    let last = name.rsplit('/').next().unwrap_or_default();
    let hex = last.strip_suffix(ending).unwrap_or(last);
    format!("sha256:{}", hex.strip_prefix("sha256:").unwrap_or(hex)).parse().ok()
}

/// Says what a layer is. Bytes that should match a digest are checked where they are written down.
fn layer<'a>(table: &'a FileTable, name: &str, state: Digest) -> Result<(Descriptor, &'a Place), Fault> {
    let place = table.linked_file(name)?;
    let place = place.ok_or_else(|| table.malformed(format!("manifest.json names {name:?}, which is not in it")))?;
    let fail = |error| Fault::from_io(error, table.place(), &format!("{name:?} cannot be read"));
    let mut first = [0; 4];
    let read = place.open(0).and_then(|content| read_up_to(content, &mut first)).map_err(fail)?;
    let (media_type, digest) = match Packing::of(&first[..read]) {
        Packing::Plain => (MediaType::OCI_LAYER_TAR, state),
        Packing::Gzip => (MediaType::OCI_LAYER_GZIP, packed(place, name, ".tar.gz").map_err(fail)?),
        Packing::Zstd => (MediaType::OCI_LAYER_ZSTD, packed(place, name, ".tar.zst").map_err(fail)?),
    };
    Ok((Descriptor::new(media_type, Content { digest, size: place.size() }), place))
}

/// Returns the digest of a compressed layer: what its name says, else what its bytes are.
fn packed(place: &Place, name: &str, ending: &str) -> io::Result<Digest> {
    if let Some(digest) = stated(name, ending) {
        return Ok(digest);
    }
    let mut digester = Digester::default();
    let mut content = place.open(0)?;
    let mut buffer = vec![0; 128 << 10];
    loop {
        match content.read(&mut buffer)? {
            0 => return Ok(digester.finish().digest),
            read => digester.update(&buffer[..read]),
        }
    }
}

fn read_up_to(mut content: impl Read, buffer: &mut [u8]) -> io::Result<usize> {
    let mut filled = 0;
    while filled < buffer.len() {
        match content.read(&mut buffer[filled..])? {
            0 => break,
            read => filled += read,
        }
    }
    Ok(filled)
}

#[cfg(test)]
mod tests {
    use super::super::fuzzing::archive;
    use super::super::trove::Trove;
    use super::*;
    use crate::model::port::{BlobSource, ImageSource};
    use crate::model::{ImageDocument, Reference, Repository};
    use crate::testkit::archives::{Files, Saved, Tar, docker_save, tar};

    fn gzip(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        io::Write::write_all(&mut encoder, bytes).unwrap();
        encoder.finish().unwrap()
    }

    fn at() -> Repository {
        Repository::new("docker.io", "library/app").unwrap()
    }

    fn manifest(trove: &Trove, tag: &str) -> (Digest, Vec<Descriptor>) {
        let document = trove.manifest(&at(), &Reference::Tag(tag.parse().unwrap())).unwrap();
        let parsed = ImageDocument::parse(&document.bytes, &document.descriptor.media_type).unwrap();
        (document.descriptor.digest, parsed.children().into_iter().cloned().collect())
    }

    fn content(trove: &Trove, want: &Descriptor) -> Vec<u8> {
        let mut bytes = Vec::new();
        trove.open(&at(), want, 0).unwrap().read_to_end(&mut bytes).unwrap();
        bytes
    }

    fn refused(files: &Files) -> Fault {
        archive(&tar(files), "").expect_err("it is refused")
    }

    #[test]
    fn the_manifest_is_made_of_the_configuration_and_its_plain_layers() {
        let saved = || Saved::plain(&["app:1", "ghcr.io/a/b:2"], &[b"first layer", b"second"]);
        let files = docker_save(&[saved()]);
        let trove = archive(&tar(&files), "").unwrap();
        let names: Vec<String> = trove.offers().iter().map(|offer| offer.name.to_string()).collect();
        assert_eq!(names, ["docker.io/library/app:1", "ghcr.io/a/b:2"]);
        let (digest, children) = manifest(&trove, "1");
        assert_eq!(children[0].digest, Digest::of(&saved().configuration()), "the image id is kept");
        assert_eq!(children[1].media_type.as_str(), MediaType::OCI_LAYER_TAR);
        assert_eq!(content(&trove, &children[2]), b"second");
        assert_eq!(manifest(&archive(&tar(&files), "").unwrap(), "1").0, digest, "the same archive, the same manifest");
        assert!(trove.findings()[0].what.contains("are not those of their registry"));
    }

    #[test]
    fn layers_that_are_compressed_or_linked_are_taken_as_they_lie() {
        let (plain, packed) = (b"a layer".to_vec(), gzip(b"another layer"));
        let states = vec![Digest::of(&plain), Digest::of(b"another layer"), Digest::of(&plain), Digest::of(b"third")];
        let hex = Digest::of(&packed).hex();
        let names =
            ["a/layer.tar".to_owned(), format!("{hex}.tar.gz"), "b/layer.tar".to_owned(), "c/layer.tar".to_owned()];
        let layers = names.iter().cloned().zip([plain.clone(), packed.clone(), plain, gzip(b"third")]).collect();
        let saved = Saved { tags: vec!["app:1".to_owned()], layers, states };
        let files = docker_save(&[saved]);
        let linked = files.iter().filter(|(name, _)| *name != "b/layer.tar");
        let tar = linked
            .fold(Tar::new(), |tar, (name, bytes)| tar.file(name, bytes))
            .soft_link("b/layer.tar", "../a/layer.tar");
        let trove = archive(&tar.finish(), "").unwrap();
        let (_, children) = manifest(&trove, "1");
        let types: Vec<&str> = children[1..].iter().map(|layer| layer.media_type.as_str()).collect();
        assert_eq!(
            types,
            [MediaType::OCI_LAYER_TAR, MediaType::OCI_LAYER_GZIP, MediaType::OCI_LAYER_TAR, MediaType::OCI_LAYER_GZIP]
        );
        for (layer, bytes) in children[1..].iter().zip([&b"a layer"[..], &packed, b"a layer", &gzip(b"third")]) {
            assert_eq!(content(&trove, layer), bytes);
            assert!(layer.names_bytes(bytes));
        }
    }

    #[test]
    fn what_does_not_fit_together_is_refused() {
        let files = || docker_save(&[Saved::plain(&["app:1"], &[b"layer"])]);
        let config = files().keys().find(|name| name.ends_with(".json") && *name != "manifest.json").unwrap().clone();
        let mut changed = files();
        changed.get_mut(&config).unwrap().push(b' ');
        let fault = refused(&changed);
        assert!(fault.kind == FaultKind::Damaged && fault.what.contains("should be"), "{fault}");
        let without = |ending: &str| files().into_iter().filter(|(name, _)| !name.ends_with(ending)).collect();
        assert!(refused(&without("layer.tar")).what.contains("is not in it"));
        assert!(refused(&without(&config)).what.contains("is not in it"));
        let mut saved = Saved::plain(&["app:1"], &[b"layer"]);
        saved.states.push(Digest::of(b"x"));
        assert!(refused(&docker_save(&[saved])).what.contains("has 1 layers, its configuration 2"));
        for text in ["{}", "[1]", r#"[{"Config":1}]"#, r#"[{"Config":"a","Config":"b"}]"#, "", r#"[{"Config":"../x"}]"#]
        {
            let mut files = files();
            files.insert("manifest.json".to_owned(), text.as_bytes().to_vec());
            assert!(archive(&tar(&files), "").is_err(), "{text}");
        }
        let same = Saved::plain(&["app:1"], &[b"layer", b"longer layer"]);
        let lie = Saved { states: vec![same.states[0].clone(); 2], ..same };
        assert!(refused(&docker_save(&[lie])).what.contains("is in it with"));
    }

    #[test]
    fn the_name_of_a_file_says_a_digest_or_none() {
        let hex = Digest::of(b"x").hex();
        for name in [format!("{hex}.json"), format!("sha256:{hex}"), format!("blobs/sha256/{hex}"), hex.clone()] {
            assert_eq!(stated(&name, ".json"), Some(Digest::of(b"x")), "{name}");
        }
        for name in ["config.json", "abc/layer.tar", "", "sha256:", "é"] {
            assert_eq!(stated(name, ".json"), None);
        }
    }
}
