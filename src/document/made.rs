//! Artifacts that airlift makes itself, out of one file each: what a lock says of them, and the documents that follow.
//!
//! A file becomes an OCI artifact with one layer and the empty configuration (OCI image specification 1.1,
//! "Guidelines for Artifact Usage"); a chart archive becomes what `helm push` writes of it. Neither holds a clock
//! time, so the same file under the same name is the same artifact wherever it is made.

use super::chart_yaml::ChartYaml;
use crate::model::port::ManifestBytes;
use crate::model::{Content, Descriptor, Digest, FileUrl, MediaType};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Type of artifact where a mirror file names none.
pub const FILE_TYPE: &str = "application/vnd.airlift.file.v1";
/// Type of the layer where a mirror file names none.
pub const FILE_LAYER: &str = "application/octet-stream";
/// Configuration of an artifact that has none.
pub const EMPTY: &[u8] = b"{}";

/// What a file becomes.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase", tag = "form")]
pub enum MadeForm {
    /// A Helm chart, as `helm push` writes it.
    Chart,
    /// An artifact with the file as its only layer.
    #[serde(rename_all = "camelCase")]
    File {
        /// Type of the artifact.
        artifact_type: MediaType,
        /// Type of the layer.
        layer_type: MediaType,
    },
}

/// What shall be made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MadeWish {
    /// What the file becomes.
    pub form: MadeForm,
    /// Where the file is.
    pub url: FileUrl,
    /// Digest of the file, where it is known beforehand.
    pub digest: Option<Digest>,
}

/// What was made: enough to make it again.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Made {
    /// What the file becomes.
    #[serde(flatten)]
    pub form: MadeForm,
    /// Where the file is.
    pub url: FileUrl,
    /// Digest of the file.
    pub digest: Digest,
    /// Size of the file in bytes.
    pub size: u64,
}

/// The documents of an artifact that is made; its only layer is the file itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MadeDocuments {
    /// Image manifest.
    pub manifest: ManifestBytes,
    /// Configuration.
    pub config: Vec<u8>,
    /// What the configuration is.
    pub config_descriptor: Descriptor,
    /// What the file is.
    pub layer: Descriptor,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Document<'a> {
    schema_version: u8,
    media_type: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    artifact_type: Option<&'a MediaType>,
    config: &'a Descriptor,
    layers: [&'a Descriptor; 1],
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    annotations: BTreeMap<String, String>,
}

impl Made {
    /// Returns whether this is what `wish` asks for.
    pub fn fulfils(&self, wish: &MadeWish) -> bool {
        self.form == wish.form
            && self.url == wish.url
            && wish.digest.as_ref().is_none_or(|digest| *digest == self.digest)
    }

    /// Returns the documents of a file's artifact; `None` where it is a chart, whose documents its `Chart.yaml` decides.
    pub fn file_documents(&self) -> Option<MadeDocuments> {
        let MadeForm::File { artifact_type, layer_type } = &self.form else { return None };
        let mut layer = self.layer(layer_type.clone());
        layer.annotations.insert("org.opencontainers.image.title".to_owned(), self.url.file_name().to_owned());
        let config = Descriptor::of(MediaType::OCI_EMPTY, EMPTY);
        Some(documents(Some(artifact_type), (config, EMPTY.to_vec()), layer, BTreeMap::new()))
    }

    /// Returns the documents of a chart's artifact.
    pub fn chart_documents(&self, chart: &ChartYaml) -> MadeDocuments {
        let config = chart.config();
        let descriptor = Descriptor::of(MediaType::HELM_CONFIG, &config);
        let layer = self.layer(MediaType::HELM_CHART.into());
        documents(None, (descriptor, config), layer, chart.oci_annotations())
    }

    /// Returns what the file is.
    fn layer(&self, media_type: MediaType) -> Descriptor {
        Descriptor::new(media_type, Content { digest: self.digest.clone(), size: self.size })
    }
}

fn documents(
    artifact_type: Option<&MediaType>,
    (config_descriptor, config): (Descriptor, Vec<u8>),
    layer: Descriptor,
    annotations: BTreeMap<String, String>,
) -> MadeDocuments {
    let bytes = crate::model::json::canonical(&Document {
        schema_version: 2,
        media_type: MediaType::OCI_MANIFEST,
        artifact_type,
        config: &config_descriptor,
        layers: [&layer],
        annotations,
    });
    let manifest = ManifestBytes { descriptor: Descriptor::of(MediaType::OCI_MANIFEST, &bytes), bytes };
    MadeDocuments { manifest, config, config_descriptor, layer }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::ImageDocument;

    fn made(form: MadeForm) -> Made {
        let url = "https://get.example/tool/v1.2.3/tool.tar.gz".parse().unwrap();
        Made { form, url, digest: Digest::of(b"tool"), size: 4 }
    }

    fn file() -> Made {
        made(MadeForm::File { artifact_type: FILE_TYPE.into(), layer_type: FILE_LAYER.into() })
    }

    #[test]
    fn a_file_becomes_an_artifact_with_one_layer_and_an_empty_configuration() {
        let documents = file().file_documents().unwrap();
        let text = String::from_utf8(documents.manifest.bytes.clone()).unwrap();
        assert_eq!(
            text,
            format!(
                r#"{{"schemaVersion":2,"mediaType":"application/vnd.oci.image.manifest.v1+json","artifactType":"{FILE_TYPE}","config":{{"mediaType":"application/vnd.oci.empty.v1+json","digest":"{}","size":2}},"layers":[{{"mediaType":"{FILE_LAYER}","digest":"{}","size":4,"annotations":{{"org.opencontainers.image.title":"tool.tar.gz"}}}}]}}"#,
                Digest::of(b"{}"),
                Digest::of(b"tool")
            )
        );
        let parsed = ImageDocument::parse(&documents.manifest.bytes, &MediaType::OCI_MANIFEST.into()).unwrap();
        assert_eq!(parsed.artifact_type().unwrap().as_str(), FILE_TYPE);
    }

    #[test]
    fn a_chart_becomes_what_helm_pushes() {
        let chart = ChartYaml::read("apiVersion: v2\nname: press\nversion: 2.0.1\n", "x").unwrap();
        let documents = made(MadeForm::Chart).chart_documents(&chart);
        let parsed = ImageDocument::parse(&documents.manifest.bytes, &MediaType::OCI_MANIFEST.into()).unwrap();
        assert_eq!(parsed.artifact_type().unwrap().as_str(), MediaType::HELM_CONFIG);
        assert_eq!(parsed.children()[1], &documents.layer);
        assert_eq!(documents.config, br#"{"name":"press","version":"2.0.1","apiVersion":"v2"}"#);
        assert!(made(MadeForm::Chart).file_documents().is_none());
    }

    #[test]
    fn what_a_lock_says_reads_back_and_tells_another_wish_from_its_own() {
        for form in [MadeForm::Chart, file().form] {
            let text = serde_json::to_string(&made(form.clone())).unwrap();
            assert_eq!(serde_json::from_str::<Made>(&text).unwrap(), made(form));
        }
        let wish = |digest| MadeWish { form: MadeForm::Chart, url: file().url, digest };
        assert!(made(MadeForm::Chart).fulfils(&wish(None)) && !file().fulfils(&wish(None)));
        assert!(!made(MadeForm::Chart).fulfils(&wish(Some(Digest::of(b"other")))));
    }
}
