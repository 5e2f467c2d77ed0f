//! Files as other tools write them: tars with every field at hand, layouts, archives of docker save, hauls, packages,
//! mirrors. Written from the documented forms; nothing of those tools is in them.

use super::image::Sample;
use crate::model::{Digest, ImageDocument};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::io;
use std::path::Path;

/// Files by name, with `/` between parts.
pub type Files = BTreeMap<String, Vec<u8>>;

/// A tar in the making. Nothing is checked: what is asked for is written.
#[derive(Debug, Clone, Default)]
pub struct Tar(Vec<u8>);

impl Tar {
    /// Begins an empty one.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a file.
    #[must_use]
    pub fn file(self, name: &str, content: &[u8]) -> Self {
        self.entry(b'0', name.as_bytes(), content)
    }

    /// Adds a folder.
    #[must_use]
    pub fn folder(self, name: &str) -> Self {
        self.entry(b'5', name.as_bytes(), b"")
    }

    /// Adds a soft link.
    #[must_use]
    pub fn soft_link(self, name: &str, target: &str) -> Self {
        self.link(b'2', name, target)
    }

    /// Adds a hard link.
    #[must_use]
    pub fn hard_link(self, name: &str, target: &str) -> Self {
        self.link(b'1', name, target)
    }

    /// Adds an extended header (pax) for the next entry.
    #[must_use]
    pub fn pax(self, records: &[(&str, &str)]) -> Self {
        let text: String = records.iter().map(|(key, value)| record(key, value)).collect();
        self.entry(b'x', b"pax", text.as_bytes())
    }

    /// Adds an entry of any type with its content.
    #[must_use]
    pub fn entry(self, kind: u8, name: &[u8], content: &[u8]) -> Self {
        let size = content.len() as u64;
        self.header(&header(kind, name, size)).content(content)
    }

    /// Adds a header that was changed, with a checksum that is right.
    #[must_use]
    pub fn changed(self, kind: u8, name: &str, size: u64, change: impl FnOnce(&mut [u8; 512])) -> Self {
        let mut block = header(kind, name.as_bytes(), size);
        change(&mut block);
        self.header(&sealed(block))
    }

    /// Adds a block as it is.
    #[must_use]
    pub fn header(mut self, block: &[u8; 512]) -> Self {
        self.0.extend_from_slice(block);
        self
    }

    /// Adds bytes, and zeros to the end of their block.
    #[must_use]
    pub fn content(mut self, content: &[u8]) -> Self {
        self.0.extend_from_slice(content);
        self.0.resize(self.0.len().next_multiple_of(512), 0);
        self
    }

    /// Returns it without the mark of its end.
    pub fn cut(self) -> Vec<u8> {
        self.0
    }

    /// Returns it.
    pub fn finish(mut self) -> Vec<u8> {
        self.0.resize(self.0.len() + 1024, 0);
        self.0
    }

    fn link(self, kind: u8, name: &str, target: &str) -> Self {
        self.changed(kind, name, 0, |block| block[157..157 + target.len()].copy_from_slice(target.as_bytes()))
    }
}

/// Returns a record of an extended header.
pub fn record(key: &str, value: &str) -> String {
    let bare = key.len() + value.len() + 3;
    let length = (bare + 1..).find(|length| length.to_string().len() + bare == *length).unwrap();
    format!("{length} {key}={value}\n")
}

/// Returns a header of the form `ustar` with its checksum.
pub fn header(kind: u8, name: &[u8], size: u64) -> [u8; 512] {
    let mut block = [0; 512];
    block[..name.len()].copy_from_slice(name);
    block[100..108].copy_from_slice(b"0000644\0");
    block[124..136].copy_from_slice(format!("{size:011o}\0").as_bytes());
    block[156] = kind;
    block[257..265].copy_from_slice(b"ustar\x0000");
    sealed(block)
}

fn sealed(mut block: [u8; 512]) -> [u8; 512] {
    block[148..156].fill(b' ');
    let sum: u32 = block.iter().map(|b| u32::from(*b)).sum();
    block[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
    block
}

/// Returns a tar of `files`; a name that is too long for a header gets an extended one.
pub fn tar(files: &Files) -> Vec<u8> {
    let add = |tar: Tar, (name, content): (&String, &Vec<u8>)| match name.len() > 100 {
        true => tar.pax(&[("path", name)]).file("long", content),
        false => tar.file(name, content),
    };
    files.iter().fold(Tar::new(), add).finish()
}

/// Writes `files` below `folder`.
pub fn write(files: &Files, folder: &Path) -> io::Result<()> {
    for (name, content) in files {
        let path = folder.join(name);
        std::fs::create_dir_all(path.parent().unwrap())?;
        std::fs::write(path, content)?;
    }
    Ok(())
}

/// Returns an OCI layout with these entries: annotations and content of each.
pub fn layout(entries: &[(Value, &Sample)]) -> Files {
    let mut files = Files::new();
    let mut manifests = Vec::new();
    for (annotations, sample) in entries {
        put_blobs(sample, "blobs", &mut files);
        let mut entry = json!(sample.descriptor().bare());
        if annotations.as_object().is_some_and(|annotations| !annotations.is_empty()) {
            entry["annotations"] = annotations.clone();
        }
        manifests.push(entry);
    }
    files.insert("oci-layout".to_owned(), br#"{"imageLayoutVersion":"1.0.0"}"#.to_vec());
    files.insert(
        "index.json".to_owned(),
        json!({ "schemaVersion": 2, "manifests": manifests }).to_string().into_bytes(),
    );
    files
}

/// Returns the annotations of an entry that is called `name`.
pub fn called(name: &str) -> Value {
    json!({ "org.opencontainers.image.ref.name": name })
}

fn put_blobs(sample: &Sample, folder: &str, files: &mut Files) {
    for (digest, bytes) in contents(sample) {
        files.insert(format!("{folder}/{}/{}", digest.algorithm().name(), digest.hex()), bytes);
    }
}

/// Returns documents and blobs by digest.
fn contents(sample: &Sample) -> BTreeMap<Digest, Vec<u8>> {
    let documents = sample.documents().iter().map(|d| (d.descriptor.digest.clone(), d.bytes.clone()));
    documents.chain(sample.blobs().iter().map(|b| (b.descriptor.digest.clone(), b.bytes.clone()))).collect()
}

/// An image as docker save writes it: names, and layers as they lie in the archive.
pub struct Saved {
    /// Names, as `RepoTags` has them.
    pub tags: Vec<String>,
    /// Name and content of each layer.
    pub layers: Vec<(String, Vec<u8>)>,
    /// States of each layer, as the configuration has them.
    pub states: Vec<Digest>,
}

impl Saved {
    /// Makes an image of plain tars.
    pub fn plain(tags: &[&str], layers: &[&[u8]]) -> Self {
        let states: Vec<Digest> = layers.iter().map(|layer| Digest::of(layer)).collect();
        let layers =
            layers.iter().zip(&states).map(|(bytes, state)| (format!("{}/layer.tar", state.hex()), bytes.to_vec()));
        Self { tags: tags.iter().map(|tag| (*tag).to_owned()).collect(), layers: layers.collect(), states }
    }

    /// Returns the configuration.
    pub fn configuration(&self) -> Vec<u8> {
        let config = json!({
            "architecture": "amd64", "os": "linux", "config": {}, "rootfs": { "type": "layers", "diff_ids": self.states },
        });
        config.to_string().into_bytes()
    }
}

/// Returns an archive of docker save in its old form.
pub fn docker_save(images: &[Saved]) -> Files {
    let mut files = Files::new();
    let mut list = Vec::new();
    for image in images {
        let config = image.configuration();
        let name = format!("{}.json", Digest::of(&config).hex());
        let layers: Vec<&String> = image.layers.iter().map(|(name, _)| name).collect();
        list.push(json!({ "Config": name, "RepoTags": image.tags, "Layers": layers }));
        files.insert(name, config);
        files.extend(image.layers.iter().cloned());
    }
    files.insert("manifest.json".to_owned(), Value::from(list).to_string().into_bytes());
    files
}

/// Returns the storage of a registry with these repositories: path, tag and content of each.
pub fn distribution(images: &[(&str, &str, &Sample)]) -> Files {
    let mut files = Files::new();
    let root = "docker/registry/v2";
    for (path, tag, sample) in images {
        for (digest, bytes) in contents(sample) {
            let hex = digest.hex();
            files.insert(format!("{root}/blobs/sha256/{}/{hex}/data", &hex[..2]), bytes);
        }
        let manifests = format!("{root}/repositories/{path}/_manifests");
        let link = |digest: &Digest| digest.to_string().into_bytes();
        for document in sample.documents() {
            let digest = &document.descriptor.digest;
            files.insert(format!("{manifests}/revisions/sha256/{}/link", digest.hex()), link(digest));
        }
        files.insert(format!("{manifests}/tags/{tag}/current/link"), link(sample.digest()));
    }
    files
}

/// Returns a package of Zarf around a layout of its images.
pub fn zarf(images: &Files) -> Files {
    let mut files: Files = images.iter().map(|(name, bytes)| (format!("images/{name}"), bytes.clone())).collect();
    let sums: String = files.iter().map(|(name, bytes)| format!("{} {name}\n", Digest::of(bytes).hex())).collect();
    files.insert("checksums.txt".to_owned(), sums.into_bytes());
    files.insert("zarf.yaml".to_owned(), b"kind: ZarfPackageConfig\nmetadata:\n  name: press\n".to_vec());
    files
}

/// Returns a tar of imgpkg with these images: where it was found, the name by which it was asked for, its tag, content.
pub fn imgpkg(images: &[(&str, &str, &str, &Sample)]) -> Files {
    let mut files = Files::new();
    let mut list = Vec::new();
    for (place, asked, tag, sample) in images {
        let root = sample.documents().len() - 1;
        let mut described = described(sample, root);
        described["Refs"] = json!([format!("{place}@{}", sample.digest())]);
        described["Tag"] = json!(tag);
        described["OrigRef"] = json!(asked);
        let index = sample.descriptor().media_type.is_index();
        list.push(match index {
            true => json!({ "ImageIndex": described, "Image": null }),
            false => json!({ "ImageIndex": null, "Image": described }),
        });
        for blob in sample.blobs() {
            files.insert(format!("sha256-{}.tar.gz", blob.descriptor.digest.hex()), blob.bytes.clone());
        }
    }
    files.insert("manifest.json".to_owned(), Value::from(list).to_string().into_bytes());
    files
}

fn described(sample: &Sample, at: usize) -> Value {
    let document = &sample.documents()[at];
    let text = String::from_utf8_lossy(&document.bytes);
    let raw = json!({ "MediaType": document.descriptor.media_type, "Digest": document.descriptor.digest, "Raw": text });
    let position = |digest: &Digest| sample.documents().iter().position(|d| d.descriptor.digest == *digest).unwrap();
    match ImageDocument::parse(&document.bytes, &document.descriptor.media_type).unwrap() {
        ImageDocument::Index(index) => {
            let images: Vec<Value> =
                index.manifests.iter().map(|child| described(sample, position(&child.digest))).collect();
            let mut described = raw;
            described["Images"] = json!(images);
            described["Indexes"] = Value::Null;
            described["Refs"] = json!(["h.example/x"]);
            described
        }
        ImageDocument::Image(image) => {
            let config = sample.blobs().into_iter().find(|blob| blob.descriptor.digest == image.config.digest).unwrap();
            json!({
                "Refs": ["h.example/x"], "Labels": null, "Layers": [], "Manifest": raw,
                "Config": { "Digest": image.config.digest, "Raw": String::from_utf8_lossy(&config.bytes) },
            })
        }
    }
}
