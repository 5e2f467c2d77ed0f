//! Image documents: what a manifest or an index points to, read strictly, carried verbatim.
//!
//! Follows the OCI image specification ("Image Manifest", "Image Index") and Docker's schema 2.
//! A document that could be read as both, or whose own media type contradicts what it was
//! announced as, is refused (CVE-2021-41190).

use super::descriptor::{Descriptor, MediaType};
use super::{json, limits};
use serde::Deserialize;
use serde::de::IgnoredAny;
use std::collections::BTreeMap;

/// Why a document is no image manifest or index that we carry.
#[derive(Debug, thiserror::Error)]
pub enum ImageError {
    /// Not strict JSON, or a field of the wrong form.
    #[error("{media_type} does not parse: {source}")]
    Json {
        /// Type it was announced as.
        media_type: MediaType,
        /// Place and reason.
        source: json::JsonError,
    },
    /// Announced as a type that is no document of images.
    #[error("{0} is no image manifest or index")]
    MediaType(MediaType),
    /// Docker schema 1.
    #[error("{0} is Docker's schema 1, which was retired; push the image again with a current tool")]
    Schema1(MediaType),
    /// The document says one thing, its announcement another.
    #[error("announced as {announced}, but says of itself {own}")]
    Contradiction {
        /// Type in the header or descriptor.
        announced: MediaType,
        /// Type inside the document.
        own: MediaType,
    },
    /// Fields of a manifest and of an index in one document.
    #[error("ambiguous: {0:?} does not belong into {1}")]
    Ambiguous(String, MediaType),
    /// `schemaVersion` is not 2.
    #[error("schemaVersion is {0}, expected 2")]
    SchemaVersion(u64),
    /// More than the limit.
    #[error("{count} {what}, the limit is {limit}")]
    TooMany {
        /// What is counted.
        what: &'static str,
        /// How many.
        count: usize,
        /// How many are allowed.
        limit: usize,
    },
    /// One digest with two sizes.
    #[error("{0} is named with two sizes")]
    TwoSizes(super::Digest),
}

/// OCI image manifest or Docker schema 2 manifest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ImageManifest {
    /// Type of this document.
    pub media_type: MediaType,
    /// Type of artifact, where it is not a plain image.
    pub artifact_type: Option<MediaType>,
    /// Configuration.
    pub config: Descriptor,
    /// Layers, lowest first.
    pub layers: Vec<Descriptor>,
    /// What this document is about, where it is a referrer.
    pub subject: Option<Descriptor>,
    /// What was said about the image.
    pub annotations: BTreeMap<String, String>,
}

/// OCI image index or Docker manifest list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ImageIndex {
    /// Type of this document.
    pub media_type: MediaType,
    /// Type of artifact.
    pub artifact_type: Option<MediaType>,
    /// Children: manifests or further indexes.
    pub manifests: Vec<Descriptor>,
    /// What this document is about, where it is a referrer.
    pub subject: Option<Descriptor>,
    /// What was said about the index.
    pub annotations: BTreeMap<String, String>,
}

/// One of the two documents.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(clippy::large_enum_variant, reason = "nearly all are images; a box would cost each of them")]
pub enum ImageDocument {
    /// A single image or artifact.
    Image(ImageManifest),
    /// Several.
    Index(ImageIndex),
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Probe {
    schema_version: Option<u64>,
    media_type: Option<MediaType>,
    manifests: Option<IgnoredAny>,
    layers: Option<IgnoredAny>,
    config: Option<IgnoredAny>,
    fs_layers: Option<IgnoredAny>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ManifestFields {
    artifact_type: Option<MediaType>,
    config: Descriptor,
    #[serde(default)]
    layers: Vec<Descriptor>,
    subject: Option<Descriptor>,
    #[serde(default)]
    annotations: Option<BTreeMap<String, String>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct IndexFields {
    artifact_type: Option<MediaType>,
    manifests: Vec<Descriptor>,
    subject: Option<Descriptor>,
    #[serde(default)]
    annotations: Option<BTreeMap<String, String>>,
}

const KNOWN_KEYS: [&str; 8] =
    ["schemaVersion", "mediaType", "artifactType", "config", "layers", "manifests", "subject", "annotations"];

impl ImageDocument {
    /// Reads a document that was announced as `announced` by a header or a descriptor.
    pub fn parse(bytes: &[u8], announced: &MediaType) -> Result<Self, ImageError> {
        let broken = |source: json::JsonError| ImageError::Json { media_type: announced.clone(), source };
        match announced.as_str() {
            MediaType::DOCKER_SCHEMA1 | MediaType::DOCKER_SCHEMA1_SIGNED => {
                return Err(ImageError::Schema1(announced.clone()));
            }
            _ if !announced.is_document() => return Err(ImageError::MediaType(announced.clone())),
            _ => {}
        }
        json::check(bytes).map_err(broken)?;
        check_spelling(bytes, announced).map_err(broken)?;
        let probe: Probe = serde_json::from_slice(bytes).map_err(|e| broken(e.into()))?;
        probe.agree(announced)?;
        let document = if announced.is_index() {
            let fields: IndexFields = serde_json::from_slice(bytes).map_err(|e| broken(e.into()))?;
            Self::Index(ImageIndex {
                media_type: announced.clone(),
                artifact_type: fields.artifact_type,
                manifests: fields.manifests,
                subject: fields.subject,
                annotations: fields.annotations.unwrap_or_default(),
            })
        } else {
            let fields: ManifestFields = serde_json::from_slice(bytes).map_err(|e| broken(e.into()))?;
            Self::Image(ImageManifest {
                media_type: announced.clone(),
                artifact_type: fields.artifact_type,
                config: fields.config,
                layers: fields.layers,
                subject: fields.subject,
                annotations: fields.annotations.unwrap_or_default(),
            })
        };
        document.within_limits()?;
        Ok(document)
    }

    /// Returns what must be there before this document: configuration and layers, or the children of an index.
    pub fn children(&self) -> Vec<&Descriptor> {
        match self {
            Self::Image(image) => std::iter::once(&image.config).chain(&image.layers).collect(),
            Self::Index(index) => index.manifests.iter().collect(),
        }
    }

    /// Returns what this document is about, where it is a referrer.
    pub const fn subject(&self) -> Option<&Descriptor> {
        match self {
            Self::Image(image) => image.subject.as_ref(),
            Self::Index(index) => index.subject.as_ref(),
        }
    }

    /// Returns what was said about the artifact.
    pub const fn annotations(&self) -> &BTreeMap<String, String> {
        match self {
            Self::Image(image) => &image.annotations,
            Self::Index(index) => &index.annotations,
        }
    }

    /// Returns the type that the referrers API shows: `artifactType`, else the configuration's type.
    pub fn artifact_type(&self) -> Option<&MediaType> {
        match self {
            Self::Image(image) => Some(image.artifact_type.as_ref().unwrap_or(&image.config.media_type)),
            Self::Index(index) => index.artifact_type.as_ref(),
        }
    }

    fn within_limits(&self) -> Result<(), ImageError> {
        let (what, count, limit) = match self {
            Self::Image(image) => ("layers", image.layers.len(), limits::LAYERS),
            Self::Index(index) => ("children", index.manifests.len(), limits::INDEX_CHILDREN),
        };
        if count > limit {
            return Err(ImageError::TooMany { what, count, limit });
        }
        let mut sizes = BTreeMap::new();
        for child in self.children() {
            if *sizes.entry(&child.digest).or_insert(child.size) != child.size {
                return Err(ImageError::TwoSizes(child.digest.clone()));
            }
        }
        Ok(())
    }
}

impl Probe {
    fn agree(&self, announced: &MediaType) -> Result<(), ImageError> {
        if self.fs_layers.is_some() || self.schema_version == Some(1) {
            return Err(ImageError::Schema1(announced.clone()));
        }
        if let Some(version) = self.schema_version.filter(|v| *v != 2) {
            return Err(ImageError::SchemaVersion(version));
        }
        if let Some(own) = self.media_type.as_ref().filter(|own| *own != announced) {
            return Err(ImageError::Contradiction { announced: announced.clone(), own: own.clone() });
        }
        let foreign = if announced.is_index() {
            [("layers", self.layers.is_some()), ("config", self.config.is_some())]
        } else {
            [("manifests", self.manifests.is_some()), ("manifests", false)]
        };
        match foreign.into_iter().find(|(_, there)| *there) {
            Some((key, _)) => Err(ImageError::Ambiguous(key.to_owned(), announced.clone())),
            None => Ok(()),
        }
    }
}

/// Refuses keys that differ from a known one only in case: some readers take them for the known one.
fn check_spelling(bytes: &[u8], announced: &MediaType) -> Result<(), json::JsonError> {
    let keys: BTreeMap<String, IgnoredAny> = serde_json::from_slice(bytes)?;
    for key in keys.keys() {
        let twin = KNOWN_KEYS.iter().find(|known| key.eq_ignore_ascii_case(known) && key != *known);
        if let Some(known) = twin {
            let why = format!("{key:?} in {announced} is a misspelt {known:?}");
            return Err(json::JsonError { line: 1, column: 1, why });
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::super::Digest;
    use super::*;

    fn descriptor(media_type: &str, bytes: &[u8]) -> String {
        serde_json::to_string(&Descriptor::of(media_type, bytes)).unwrap()
    }

    fn manifest(extra: &str) -> String {
        format!(
            r#"{{"schemaVersion":2,"config":{},"layers":[{}]{extra}}}"#,
            descriptor(MediaType::OCI_CONFIG, b"{}"),
            descriptor(MediaType::OCI_LAYER_GZIP, b"layer"),
        )
    }

    fn read(text: &str, announced: &str) -> Result<ImageDocument, ImageError> {
        ImageDocument::parse(text.as_bytes(), &MediaType::new(announced))
    }

    #[test]
    fn a_manifest_points_to_its_config_and_layers() {
        let document = read(&manifest(""), MediaType::OCI_MANIFEST).unwrap();
        assert_eq!(document.children().len(), 2);
        assert_eq!(document.artifact_type().unwrap().as_str(), MediaType::OCI_CONFIG);
    }

    #[test]
    fn a_document_that_two_readers_read_differently_is_refused() {
        let own = r#","mediaType":"application/vnd.oci.image.index.v1+json""#;
        assert!(matches!(read(&manifest(own), MediaType::OCI_MANIFEST), Err(ImageError::Contradiction { .. })));
        assert!(matches!(
            read(&manifest(r#","manifests":[]"#), MediaType::OCI_MANIFEST),
            Err(ImageError::Ambiguous(..))
        ));
        assert!(matches!(read(&manifest(r#","manifests":[]"#), MediaType::OCI_INDEX), Err(ImageError::Ambiguous(..))));
        assert!(matches!(read(&manifest(r#","Layers":[]"#), MediaType::OCI_MANIFEST), Err(ImageError::Json { .. })));
        assert!(matches!(read(&manifest(r#","layers":[]"#), MediaType::OCI_MANIFEST), Err(ImageError::Json { .. })));
        assert!(matches!(read(&manifest(r#","fsLayers":[]"#), MediaType::OCI_MANIFEST), Err(ImageError::Schema1(_))));
        assert!(matches!(read("{}", "text/html"), Err(ImageError::MediaType(_))));
        assert!(matches!(read("{}", MediaType::DOCKER_SCHEMA1_SIGNED), Err(ImageError::Schema1(_))));
    }

    #[test]
    fn counts_are_bounded_at_the_limit() {
        let layer = descriptor(MediaType::OCI_LAYER_GZIP, b"x");
        let with = |n: usize| {
            let config = descriptor(MediaType::OCI_CONFIG, b"{}");
            format!(r#"{{"schemaVersion":2,"config":{config},"layers":[{}]}}"#, vec![layer.as_str(); n].join(","))
        };
        assert!(read(&with(limits::LAYERS), MediaType::OCI_MANIFEST).is_ok());
        assert!(matches!(read(&with(limits::LAYERS + 1), MediaType::OCI_MANIFEST), Err(ImageError::TooMany { .. })));
        let child = descriptor(MediaType::OCI_MANIFEST, b"x");
        let with = |n: usize| format!(r#"{{"schemaVersion":2,"manifests":[{}]}}"#, vec![child.as_str(); n].join(","));
        assert!(read(&with(limits::INDEX_CHILDREN), MediaType::OCI_INDEX).is_ok());
        assert!(matches!(
            read(&with(limits::INDEX_CHILDREN + 1), MediaType::OCI_INDEX),
            Err(ImageError::TooMany { .. })
        ));
    }

    #[test]
    fn one_digest_with_two_sizes_is_refused() {
        let digest = Digest::of(b"x");
        let one =
            |size| format!(r#"{{"mediaType":"{}","digest":"{digest}","size":{size}}}"#, MediaType::OCI_LAYER_GZIP);
        let text = format!(r#"{{"config":{},"layers":[{}]}}"#, one(1), one(2));
        assert!(matches!(read(&text, MediaType::OCI_MANIFEST), Err(ImageError::TwoSizes(_))));
    }
}
