//! Descriptors: the currency. Whatever fetches, stores or checks bytes takes one.
//!
//! Follows the OCI image specification, "OCI Content Descriptors".

use super::digest::{Content, Digest};
use super::limits;
use serde::{Deserialize, Deserializer, Serialize};
use std::collections::BTreeMap;
use std::fmt;

/// Media type as a registry states it, without parameters.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct MediaType(String);

macro_rules! media_types {
    ($($(#[$doc:meta])* $name:ident = $text:literal;)*) => {
        impl MediaType {
            $($(#[$doc])* pub const $name: &'static str = $text;)*
        }
    };
}

media_types! {
    /// OCI image manifest.
    OCI_MANIFEST = "application/vnd.oci.image.manifest.v1+json";
    /// OCI image index.
    OCI_INDEX = "application/vnd.oci.image.index.v1+json";
    /// OCI image configuration.
    OCI_CONFIG = "application/vnd.oci.image.config.v1+json";
    /// The two bytes `{}`.
    OCI_EMPTY = "application/vnd.oci.empty.v1+json";
    /// OCI image layer, tar with gzip.
    OCI_LAYER_GZIP = "application/vnd.oci.image.layer.v1.tar+gzip";
    /// OCI image layer, tar with zstd.
    OCI_LAYER_ZSTD = "application/vnd.oci.image.layer.v1.tar+zstd";
    /// OCI image layer, plain tar.
    OCI_LAYER_TAR = "application/vnd.oci.image.layer.v1.tar";
    /// Docker image manifest, schema 2.
    DOCKER_MANIFEST = "application/vnd.docker.distribution.manifest.v2+json";
    /// Docker manifest list.
    DOCKER_LIST = "application/vnd.docker.distribution.manifest.list.v2+json";
    /// Docker image configuration.
    DOCKER_CONFIG = "application/vnd.docker.container.image.v1+json";
    /// Docker schema 1, signed; refused.
    DOCKER_SCHEMA1_SIGNED = "application/vnd.docker.distribution.manifest.v1+prettyjws";
    /// Docker schema 1; refused.
    DOCKER_SCHEMA1 = "application/vnd.docker.distribution.manifest.v1+json";
    /// Helm chart configuration.
    HELM_CONFIG = "application/vnd.cncf.helm.config.v1+json";
    /// Helm chart archive.
    HELM_CHART = "application/vnd.cncf.helm.chart.content.v1.tar+gzip";
    /// Sigstore bundle, version 0.3.
    SIGSTORE_BUNDLE = "application/vnd.dev.sigstore.bundle.v0.3+json";
    /// Cosign's simple signing payload.
    COSIGN_SIMPLE_SIGNING = "application/vnd.dev.cosign.simplesigning.v1+json";
    /// DSSE envelope.
    DSSE_ENVELOPE = "application/vnd.dsse.envelope.v1+json";
    /// Notary Project signature.
    NOTATION_SIGNATURE = "application/vnd.cncf.notary.signature";
}

impl MediaType {
    /// Takes a media type as stated, dropping parameters behind a semicolon and blanks around it.
    pub fn new(text: &str) -> Self {
        let bare = text.split(';').next().unwrap_or_default();
        Self(bare.trim().to_owned())
    }

    /// Returns the text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Returns whether this is an image manifest, OCI or Docker schema 2.
    pub fn is_image_manifest(&self) -> bool {
        matches!(self.as_str(), Self::OCI_MANIFEST | Self::DOCKER_MANIFEST)
    }

    /// Returns whether this is an index, OCI or Docker.
    pub fn is_index(&self) -> bool {
        matches!(self.as_str(), Self::OCI_INDEX | Self::DOCKER_LIST)
    }

    /// Returns whether a registry keeps this under `manifests/`, not under `blobs/`.
    pub fn is_document(&self) -> bool {
        self.is_image_manifest() || self.is_index()
    }

    /// Returns whether the specification calls this layer non-distributable, or Docker calls it foreign.
    pub fn is_non_distributable(&self) -> bool {
        self.0.contains("nondistributable") || self.0.contains("layer.foreign.") || self.0.contains("rootfs.foreign.")
    }

    /// Returns whether content of this type gains nothing from another compression.
    ///
    /// Decided by the suffix, as the specification's layer types do it; unknown types count as
    /// compressed, because storing is always right and compressing twice only costs.
    pub fn is_compressed(&self) -> bool {
        let text = self.as_str();
        let plain = text.ends_with(".tar")
            || text.ends_with("+json")
            || text.ends_with("/json")
            || text.starts_with("text/")
            || text.ends_with("+yaml")
            || text.ends_with("+xml");
        !plain
    }
}

impl fmt::Display for MediaType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl From<&str> for MediaType {
    fn from(text: &str) -> Self {
        Self::new(text)
    }
}

/// Platform that an image is for (OCI image index, property `platform`).
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, Default)]
pub struct Platform {
    /// Architecture as Go names it: `amd64`, `arm64`, …
    pub architecture: String,
    /// Operating system as Go names it: `linux`, `windows`, …
    pub os: String,
    /// Version of the operating system.
    #[serde(rename = "os.version", default, skip_serializing_if = "Option::is_none")]
    pub os_version: Option<String>,
    /// Features that the operating system must have.
    #[serde(rename = "os.features", default, skip_serializing_if = "Vec::is_empty")]
    pub os_features: Vec<String>,
    /// Variant of the processor: `v7`, `v8`, …
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub variant: Option<String>,
}

impl Platform {
    /// Parses `os/architecture[/variant]`.
    pub fn parse(text: &str) -> Option<Self> {
        let mut parts = text.split('/');
        let (os, architecture) = (parts.next()?, parts.next()?);
        let variant = parts.next();
        let good = |part: &str| {
            !part.is_empty() && part.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'.' || b == b'-')
        };
        if parts.next().is_some() || !good(os) || !good(architecture) || variant.is_some_and(|v| !good(v)) {
            return None;
        }
        Some(Self {
            architecture: architecture.to_owned(),
            os: os.to_owned(),
            variant: variant.map(str::to_owned),
            ..Self::default()
        })
    }

    /// Returns whether an image for `self` serves who asked for `wanted`.
    ///
    /// A variant counts only where the wish names one; `arm64` means `arm64/v8`.
    pub fn serves(&self, wanted: &Self) -> bool {
        let variant = |p: &Self| match (p.architecture.as_str(), p.variant.as_deref()) {
            ("arm64", None | Some("v8")) => Some("v8".to_owned()),
            (_, other) => other.map(str::to_owned),
        };
        self.os == wanted.os
            && self.architecture == wanted.architecture
            && (wanted.variant.is_none() || variant(self) == variant(wanted))
            && (wanted.os_version.is_none() || self.os_version == wanted.os_version)
    }

    /// Returns whether this is `unknown/unknown`, the mark of an attestation inside an index.
    pub fn is_unknown(&self) -> bool {
        self.os == "unknown" && self.architecture == "unknown"
    }
}

impl fmt::Display for Platform {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.os, self.architecture)?;
        match &self.variant {
            Some(variant) => write!(f, "/{variant}"),
            None => Ok(()),
        }
    }
}

/// What points to bytes: their type, digest and size, and what was said about them.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Descriptor {
    /// Type of the content.
    pub media_type: MediaType,
    /// Digest of the content.
    pub digest: Digest,
    /// Size of the content in bytes.
    #[serde(deserialize_with = "size")]
    pub size: u64,
    /// Places outside the registry that hold the content. Never fetched from.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub urls: Vec<String>,
    /// What was said about the content.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub annotations: BTreeMap<String, String>,
    /// Platform, in an index.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub platform: Option<Platform>,
    /// Type of artifact, where the content is a manifest.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub artifact_type: Option<MediaType>,
    /// Content itself in base64. Never used without a check against digest and size.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub data: Option<String>,
}

fn size<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u64, D::Error> {
    let size = u64::deserialize(deserializer)?;
    if size > limits::DESCRIPTOR_SIZE {
        return Err(serde::de::Error::custom(format_args!("size {size} is above 2^53 - 1")));
    }
    Ok(size)
}

impl Descriptor {
    /// Points to `content` as `media_type`.
    pub fn new(media_type: impl Into<MediaType>, content: Content) -> Self {
        Self {
            media_type: media_type.into(),
            digest: content.digest,
            size: content.size,
            urls: Vec::new(),
            annotations: BTreeMap::new(),
            platform: None,
            artifact_type: None,
            data: None,
        }
    }

    /// Points to `bytes` as `media_type`, under SHA-256.
    pub fn of(media_type: impl Into<MediaType>, bytes: &[u8]) -> Self {
        Self::new(media_type, Content { digest: Digest::of(bytes), size: bytes.len() as u64 })
    }

    /// Returns whether `content` is exactly what this descriptor promises.
    pub fn names(&self, content: &Content) -> bool {
        self.digest == content.digest && self.size == content.size
    }

    /// Returns whether `bytes` are exactly what this descriptor promises.
    pub fn names_bytes(&self, bytes: &[u8]) -> bool {
        self.size == bytes.len() as u64 && self.digest == Digest::of_with(self.digest.algorithm(), bytes)
    }

    /// Returns type, digest and size without what was said about them.
    pub fn bare(&self) -> Self {
        Self::new(self.media_type.clone(), Content { digest: self.digest.clone(), size: self.size })
    }
}

impl From<MediaType> for String {
    fn from(media_type: MediaType) -> Self {
        media_type.0
    }
}

impl fmt::Display for Descriptor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({} bytes)", self.digest, self.size)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(size: &str) -> Result<Descriptor, serde_json::Error> {
        let digest = Digest::of(b"");
        serde_json::from_str(&format!(r#"{{"mediaType":"a/b","digest":"{digest}","size":{size}}}"#))
    }

    #[test]
    fn a_size_is_an_integer_up_to_the_limit() {
        assert_eq!(parse("9007199254740991").unwrap().size, limits::DESCRIPTOR_SIZE);
        for size in ["9007199254740992", "-1", "1e3", "12.0", "\"123\"", "null", "9223372036854775808"] {
            assert!(parse(size).is_err(), "{size}");
        }
    }

    #[test]
    fn arm64_means_v8_and_a_wish_without_variant_takes_any() {
        let platform = |text| Platform::parse(text).unwrap();
        assert!(platform("linux/arm64/v8").serves(&platform("linux/arm64")));
        assert!(platform("linux/arm64").serves(&platform("linux/arm64/v8")));
        assert!(platform("linux/arm/v6").serves(&platform("linux/arm")));
        assert!(!platform("linux/arm/v6").serves(&platform("linux/arm/v7")));
        assert!(Platform::parse("linux").is_none() && Platform::parse("a/b/c/d").is_none());
    }
}
