//! Charts whose images are wanted: where each is, and how the cluster will use it.
//!
//! What a chart runs depends on the values it is installed with, so a wish for a chart carries them, and what
//! else its templates may ask for. Nothing is read from the chart here; who reads it renders it once for every
//! set of values and wants the images of all of them.

use super::TagSelection;
use super::files::Named;
use crate::document::made::MadeWish;
use crate::model::{ImageRef, Repository};
use serde_json::Value;
use std::fmt;

/// A chart that is looked into, and carried where it is an artifact or one can be made of it.
#[derive(Debug, Clone)]
pub struct ChartWant {
    /// Where it is.
    pub place: ChartPlace,
    /// Value sets; the images of all of them are wanted. None means one set: the chart's own values.
    pub sets: Vec<ValueSet>,
    /// Name of the release; absent: the chart's name.
    pub release: Option<String>,
    /// Namespace of the release.
    pub namespace: String,
    /// What templates may ask about the cluster.
    pub setting: RenderSetting,
    /// Whether it is looked into; otherwise the chart alone is wanted.
    pub images: bool,
}

/// Where a chart is.
#[derive(Debug, Clone)]
pub enum ChartPlace {
    /// An artifact in a registry, by tag or digest.
    Artifact(ImageRef),
    /// All tags of a repository that a selection takes, each a chart.
    Tags {
        /// Where.
        repository: Repository,
        /// Which.
        selection: TagSelection,
    },
    /// The highest version in a registry that a range holds.
    Oci {
        /// Where, the chart's name included.
        repository: Repository,
        /// Version or range as typed; absent: the highest that is no pre-release.
        version: Option<String>,
    },
    /// The highest version in a Helm repository that a range holds. What is carried is the artifact that
    /// `helm push` would write.
    Http {
        /// Address of the folder with `index.yaml`, without a slash at its end.
        repository: String,
        /// Name of the chart.
        name: String,
        /// Version or range as typed; absent: the highest that is no pre-release.
        version: Option<String>,
    },
    /// An archive by its address, which becomes an artifact.
    File {
        /// Name of the artifact: host, repository and tag.
        source: ImageRef,
        /// What it is made of.
        made: MadeWish,
    },
    /// Folder or archive on this machine: its images are wanted, the chart itself is not carried.
    Path(Named),
}

/// Values that a chart is rendered with once. The last layer wins, mapping by mapping; `null` removes a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ValueSet {
    /// Name, for people: the overlay, cluster or release that uses it. Empty where there is only one.
    pub name: String,
    /// Layers above the chart's own values, lowest first.
    pub layers: Vec<ValueLayer>,
}

/// One file of values, or values that stand in a paper.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ValueLayer {
    /// Where they come from: a file, or a file with the key path.
    pub place: String,
    /// The values: a mapping.
    pub values: Value,
}

/// What templates may ask about the cluster.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct RenderSetting {
    /// Version of Kubernetes. Absent: it is not known, and a chart whose images depend on it is an error.
    pub kubernetes: Option<String>,
    /// API versions beyond the built-in ones, as `group/version` or `group/version/Kind`.
    pub api_versions: Vec<String>,
}

impl ChartWant {
    /// Wants the chart at `place` with its own values, in the namespace `default`.
    pub fn plain(place: ChartPlace) -> Self {
        let namespace = "default".to_owned();
        let setting = RenderSetting::default();
        Self { place, sets: Vec::new(), release: None, namespace, setting, images: true }
    }
}

impl ChartPlace {
    /// Puts another repository in the place of the chart's own, where it is in a registry.
    pub(super) fn move_to(&mut self, to: Repository) {
        match self {
            Self::Artifact(ImageRef { repository, .. })
            | Self::Tags { repository, .. }
            | Self::Oci { repository, .. } => *repository = to,
            Self::Http { .. } | Self::File { .. } | Self::Path(_) => {}
        }
    }

    /// Returns the repository of the chart, where it is in a registry.
    pub const fn repository(&self) -> Option<&Repository> {
        match self {
            Self::Artifact(reference) => Some(&reference.repository),
            Self::Tags { repository, .. } | Self::Oci { repository, .. } => Some(repository),
            Self::Http { .. } | Self::File { .. } | Self::Path(_) => None,
        }
    }
}

impl fmt::Display for ChartPlace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let range = |version: &Option<String>| version.as_ref().map(|text| format!(" {text}")).unwrap_or_default();
        match self {
            Self::Artifact(reference) => write!(f, "{reference}"),
            Self::Tags { repository, selection } => write!(f, "{repository} {selection}"),
            Self::Oci { repository, version } => write!(f, "{repository}{}", range(version)),
            Self::Http { repository, name, version } => write!(f, "{repository}/{name}{}", range(version)),
            Self::File { made, .. } => write!(f, "{}", made.url),
            Self::Path(named) => f.write_str(&named.shown),
        }
    }
}
