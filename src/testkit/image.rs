//! Images from a seed: small, valid, the same bytes every time.
//!
//! ```
//! use airlift::testkit::image::{Sample, SampleImage};
//!
//! let amd64 = SampleImage::new(1).layer(1000).shared_layer(7, 500).build();
//! let arm64 = SampleImage::new(2).platform("linux/arm64").shared_layer(7, 500).build();
//! let index = Sample::index(&[amd64.clone(), arm64]);
//! let sbom = Sample::referrer(&index, "application/spdx+json", b"{}");
//! assert_eq!(index.documents().len(), 3);
//! assert_eq!(sbom.subject().unwrap().digest, index.descriptor().digest);
//! ```

use crate::model::Reference;
use crate::model::port::{Destination, ManifestBytes};
use crate::model::{Descriptor, Digest, Fault, ImageDocument, MediaType, Platform, Repository, Tag};
use crate::serve::{Document, Folder, Name};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::Path;

/// Returns `len` bytes that do not compress, decided by `seed` (SplitMix64).
pub fn noise(seed: u64, len: usize) -> Vec<u8> {
    let mut state = seed;
    let mut out = Vec::with_capacity(len + 8);
    while out.len() < len {
        state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = state;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        out.extend_from_slice(&(z ^ (z >> 31)).to_le_bytes());
    }
    out.truncate(len);
    out
}

/// Returns `len` bytes that compress about eight to one, decided by `seed`.
pub fn text(seed: u64, len: usize) -> Vec<u8> {
    let mut out = Vec::with_capacity(len + 64);
    let mut line = 0_u64;
    while out.len() < len {
        let word = noise(seed ^ line, 4);
        out.extend_from_slice(format!("line {line:08} of the sample {seed}: {word:02x?}\n").as_bytes());
        line += 1;
    }
    out.truncate(len);
    out
}

/// A blob with its descriptor.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SampleBlob {
    /// What points to it.
    pub descriptor: Descriptor,
    /// Its bytes.
    pub bytes: Vec<u8>,
}

impl SampleBlob {
    /// Makes a blob of `bytes`.
    pub fn new(media_type: &str, bytes: Vec<u8>) -> Self {
        Self { descriptor: Descriptor::of(media_type, &bytes), bytes }
    }
}

/// An image in the making.
#[derive(Debug, Clone)]
pub struct SampleImage {
    seed: u64,
    platform: Platform,
    docker: bool,
    artifact_type: Option<String>,
    config: Option<SampleBlob>,
    layers: Vec<SampleBlob>,
    annotations: BTreeMap<String, String>,
    subject: Option<Descriptor>,
}

impl SampleImage {
    /// Begins an image for `linux/amd64` without layers. Another seed makes another image.
    pub fn new(seed: u64) -> Self {
        Self {
            seed,
            platform: Platform::parse("linux/amd64").unwrap(),
            docker: false,
            artifact_type: None,
            config: None,
            layers: Vec::new(),
            annotations: BTreeMap::new(),
            subject: None,
        }
    }

    /// Adds a layer of `len` bytes of its own.
    #[must_use]
    pub fn layer(self, len: usize) -> Self {
        let seed = self.seed.wrapping_mul(1_000_003).wrapping_add(self.layers.len() as u64 + 1);
        self.shared_layer(seed, len)
    }

    /// Adds a layer that every image has that names the same `seed` and `len`.
    #[must_use]
    pub fn shared_layer(self, seed: u64, len: usize) -> Self {
        let media_type =
            if self.docker { "application/vnd.docker.image.rootfs.diff.tar.gzip" } else { MediaType::OCI_LAYER_GZIP };
        self.blob(media_type, noise(seed, len))
    }

    /// Adds a layer of `len` bytes that is not compressed but could be.
    #[must_use]
    pub fn plain_layer(self, seed: u64, len: usize) -> Self {
        self.blob(MediaType::OCI_LAYER_TAR, text(seed, len))
    }

    /// Adds a layer of the given type and content.
    #[must_use]
    pub fn blob(mut self, media_type: &str, bytes: Vec<u8>) -> Self {
        self.layers.push(SampleBlob::new(media_type, bytes));
        self
    }

    /// Adds a layer with a descriptor that says more: the annotations of a signature.
    #[must_use]
    pub fn signed_blob(mut self, descriptor: Descriptor, bytes: Vec<u8>) -> Self {
        self.layers.push(SampleBlob { descriptor, bytes });
        self
    }

    /// Sets the platform: `os/architecture[/variant]`.
    #[must_use]
    pub fn platform(mut self, platform: &str) -> Self {
        self.platform = Platform::parse(platform).unwrap();
        self
    }

    /// Makes it a Docker schema 2 image. Call it before layers are added.
    #[must_use]
    pub fn docker(mut self) -> Self {
        self.docker = true;
        self
    }

    /// Makes it an artifact of this type, with the empty configuration.
    #[must_use]
    pub fn artifact(mut self, artifact_type: &str) -> Self {
        self.artifact_type = Some(artifact_type.to_owned());
        self.config(MediaType::OCI_EMPTY, b"{}".to_vec())
    }

    /// Makes it a Helm chart: `name` and `version` in its configuration, `archive` as its only layer.
    #[must_use]
    pub fn chart(self, name: &str, version: &str, archive: Vec<u8>) -> Self {
        let config = json!({ "apiVersion": "v2", "name": name, "version": version });
        self.config(MediaType::HELM_CONFIG, config.to_string().into_bytes()).blob(MediaType::HELM_CHART, archive)
    }

    /// Sets the configuration.
    #[must_use]
    pub fn config(mut self, media_type: &str, bytes: Vec<u8>) -> Self {
        self.config = Some(SampleBlob::new(media_type, bytes));
        self
    }

    /// Adds an annotation.
    #[must_use]
    pub fn annotation(mut self, key: &str, value: &str) -> Self {
        self.annotations.insert(key.to_owned(), value.to_owned());
        self
    }

    /// Makes it refer to `subject`.
    #[must_use]
    pub fn about(mut self, subject: &Descriptor) -> Self {
        self.subject = Some(subject.bare());
        self
    }

    /// Makes the image.
    pub fn build(self) -> Sample {
        let config = self.config.clone().unwrap_or_else(|| self.image_config());
        let media_type = if self.docker { MediaType::DOCKER_MANIFEST } else { MediaType::OCI_MANIFEST };
        let layers: Vec<&Descriptor> = self.layers.iter().map(|layer| &layer.descriptor).collect();
        let mut document = json!({
            "schemaVersion": 2, "mediaType": media_type, "config": config.descriptor, "layers": layers,
        });
        set(&mut document, "artifactType", self.artifact_type.map(Value::from));
        set(&mut document, "subject", self.subject.map(|subject| json!(subject)));
        set(&mut document, "annotations", (!self.annotations.is_empty()).then(|| json!(self.annotations)));
        let mut root = document_of(media_type, &document);
        root.descriptor.platform = is_image_config(&config).then_some(self.platform);
        Sample { documents: vec![root], blobs: std::iter::once(config).chain(self.layers).collect() }
    }

    fn image_config(&self) -> SampleBlob {
        let diffs: Vec<String> = self.layers.iter().map(|layer| layer.descriptor.digest.to_string()).collect();
        let config = json!({
            "architecture": self.platform.architecture, "os": self.platform.os, "variant": self.platform.variant,
            "config": { "Labels": { "seed": self.seed.to_string() } },
            "rootfs": { "type": "layers", "diff_ids": diffs },
        });
        let media_type = if self.docker { MediaType::DOCKER_CONFIG } else { MediaType::OCI_CONFIG };
        SampleBlob::new(media_type, config.to_string().into_bytes())
    }
}

/// An artifact with everything below it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sample {
    /// Children first, the root last.
    documents: Vec<ManifestBytes>,
    blobs: Vec<SampleBlob>,
}

impl Sample {
    /// Puts an index over `children`.
    pub fn index(children: &[Self]) -> Self {
        Self::index_with(children, json!({}))
    }

    /// Puts an index over `children`, with more fields: `{"annotations": {…}}`, `{"subject": {…}}`.
    pub fn index_with(children: &[Self], more: Value) -> Self {
        let roots: Vec<&Descriptor> = children.iter().map(Self::descriptor).collect();
        let mut document = json!({ "schemaVersion": 2, "mediaType": MediaType::OCI_INDEX, "manifests": roots });
        for (key, value) in more.as_object().unwrap() {
            set(&mut document, key, Some(value.clone()));
        }
        let mut documents: Vec<ManifestBytes> = children.iter().flat_map(|child| child.documents.clone()).collect();
        documents.push(document_of(MediaType::OCI_INDEX, &document));
        Self { documents, blobs: children.iter().flat_map(|child| child.blobs.clone()).collect() }
    }

    /// Makes an artifact of `artifact_type` that holds `content` and refers to `subject`: an SBOM, for example.
    pub fn referrer(subject: &Self, artifact_type: &str, content: &[u8]) -> Self {
        let image = SampleImage::new(0).artifact(artifact_type).blob(artifact_type, content.to_vec());
        image.about(subject.descriptor()).build()
    }

    /// Returns what points to the root.
    pub fn descriptor(&self) -> &Descriptor {
        &self.root().descriptor
    }

    /// Returns the digest of the root.
    pub fn digest(&self) -> &Digest {
        &self.descriptor().digest
    }

    /// Returns the root.
    pub fn root(&self) -> &ManifestBytes {
        self.documents.last().unwrap()
    }

    /// Returns all documents, children first.
    pub fn documents(&self) -> &[ManifestBytes] {
        &self.documents
    }

    /// Returns the blobs of all documents. One that several documents share is in it once.
    pub fn blobs(&self) -> Vec<&SampleBlob> {
        let mut seen = BTreeSet::new();
        self.blobs.iter().filter(|blob| seen.insert(&blob.descriptor.digest)).collect()
    }

    /// Returns what the root is about.
    pub fn subject(&self) -> Option<Descriptor> {
        self.parsed(self.root()).subject().cloned()
    }

    /// Returns the bytes of documents and blobs, shared blobs once.
    pub fn size(&self) -> u64 {
        let documents: u64 = self.documents.iter().map(|document| document.descriptor.size).sum();
        documents + self.blobs().iter().map(|blob| blob.descriptor.size).sum::<u64>()
    }

    /// Sends everything to `at`, blobs before documents, children before their index, the tag with the root.
    pub fn push(&self, to: &dyn Destination, at: &Repository, tag: Option<&Tag>) -> Result<(), Fault> {
        for blob in self.blobs() {
            if !to.has(at, &blob.descriptor)? {
                to.put(at, &blob.descriptor, &mut blob.bytes.as_slice())?;
            }
        }
        let root = self.root().descriptor.digest.clone();
        for document in &self.documents {
            let tag = tag.filter(|_| document.descriptor.digest == root);
            to.put_manifest(at, document, tag)?;
        }
        Ok(())
    }

    /// Writes everything straight into the folder of an embedded registry, as repository `name`.
    ///
    /// The registry may be running.
    pub fn write(&self, root: &Path, name: &str, tag: Option<&str>) -> io::Result<()> {
        let folder = Folder::open(root)?;
        let name = Name::parse(name).unwrap();
        for blob in self.blobs() {
            let digest = &blob.descriptor.digest;
            let mut part = folder.begin()?;
            part.append(&blob.bytes, digest.algorithm())?;
            folder.keep(&name, part, digest)?.unwrap();
        }
        for document in &self.documents {
            let is_root = document.descriptor.digest == *self.digest();
            let tags: Vec<Tag> = tag.filter(|_| is_root).iter().map(|tag| tag.parse().unwrap()).collect();
            let descriptor = document.descriptor.bare();
            let parsed = self.parsed(document);
            let whole = Document { bytes: document.bytes.clone(), descriptor, parsed };
            let missing = folder.keep_document(&name, &whole, &tags)?;
            assert!(missing.is_empty(), "{missing:?}");
        }
        Ok(())
    }

    /// Returns the reference to the root by digest.
    pub fn reference(&self) -> Reference {
        Reference::Digest(self.digest().clone())
    }

    fn parsed(&self, document: &ManifestBytes) -> ImageDocument {
        ImageDocument::parse(&document.bytes, &document.descriptor.media_type).unwrap()
    }
}

fn is_image_config(config: &SampleBlob) -> bool {
    matches!(config.descriptor.media_type.as_str(), MediaType::OCI_CONFIG | MediaType::DOCKER_CONFIG)
}

fn document_of(media_type: &str, document: &Value) -> ManifestBytes {
    let bytes = serde_json::to_vec(document).unwrap();
    ManifestBytes { descriptor: Descriptor::of(media_type, &bytes), bytes }
}

fn set(document: &mut Value, key: &str, value: Option<Value>) {
    if let Some(value) = value {
        document[key] = value;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_seed_gives_the_same_bytes_and_another_gives_others() {
        let image = |seed| SampleImage::new(seed).layer(100).build();
        assert_eq!(image(1), image(1));
        assert_ne!(image(1).digest(), image(2).digest());
        assert_eq!(noise(1, 13).len(), 13);
        assert_eq!(text(1, 113).len(), 113);
    }

    #[test]
    fn what_is_built_parses_as_what_it_is() {
        let docker = SampleImage::new(1).docker().layer(10).build();
        assert_eq!(docker.descriptor().media_type.as_str(), MediaType::DOCKER_MANIFEST);
        let index = Sample::index(&[docker, SampleImage::new(2).platform("linux/arm64/v8").layer(10).build()]);
        let ImageDocument::Index(parsed) = index.parsed(index.root()) else { panic!("an index") };
        assert_eq!(parsed.manifests[1].platform.as_ref().unwrap().to_string(), "linux/arm64/v8");
        let chart = SampleImage::new(3).chart("a", "1.0.0", vec![1]).build();
        assert_eq!(chart.blobs().len(), 2);
    }

    #[test]
    fn a_shared_layer_is_one_blob() {
        let one = SampleImage::new(1).shared_layer(9, 100).build();
        let two = SampleImage::new(2).shared_layer(9, 100).build();
        assert_eq!(Sample::index(&[one, two]).blobs().len(), 3);
    }
}
