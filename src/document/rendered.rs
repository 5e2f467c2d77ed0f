//! How a chart was rendered when a lock was made: what else could change the images that it runs.

use crate::model::Digest;
use serde::{Deserialize, Serialize};

/// What a chart was rendered with.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RenderedWith {
    /// Who rendered, with a version.
    pub renderer: String,
    /// Version of Kubernetes; absent where nothing in the chart depends on it and none was named.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kubernetes: Option<String>,
    /// API versions beyond the built-in ones.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub api_versions: Vec<String>,
    /// Name of the release.
    pub release: String,
    /// Namespace of the release.
    pub namespace: String,
    /// Sets of values; one without a name where the chart is used in one way.
    pub values: Vec<ValuesDigest>,
    /// Dependencies that were not in the archive, with the versions that were fetched.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub fetched: Vec<String>,
}

/// One set of values.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ValuesDigest {
    /// Name; empty where there is one set only.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub name: String,
    /// Digest of the layers above the chart's own values, as canonical JSON.
    pub digest: Digest,
}
