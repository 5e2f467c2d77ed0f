//! What a judge tells of its trusted roots: which texts a bundle may carry on, and how old they are at least.

use super::Judge;
use super::root_keys::anchors;
use super::time;
use crate::document::evidence::CarriedRoot;
use crate::model::Digest;
use serde::Serialize;

/// A root that a judge judges by.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct RootAge {
    /// Name in the policy.
    pub name: String,
    /// Digest of the file.
    pub sha256: Digest,
    /// The newest start of a window in it, RFC 3339: it is at least as young as this.
    pub newest_start: String,
}

impl Judge {
    /// Returns the trusted roots that the policy names as files, sorted by name: what a bundle carries as a proposal.
    pub fn file_roots(&self) -> Vec<CarriedRoot> {
        let carried = |root: &std::sync::Arc<super::roots::Root>| {
            let text = root.text.clone()?;
            Some(CarriedRoot { name: root.used.name.clone(), sha256: root.used.sha256.clone(), text })
        };
        self.roots.iter().filter_map(carried).collect()
    }

    /// Returns all trusted roots of the policy, sorted by name.
    pub fn root_ages(&self) -> Vec<RootAge> {
        let age = |root: &std::sync::Arc<super::roots::Root>| RootAge {
            name: root.used.name.clone(),
            sha256: root.used.sha256.clone(),
            newest_start: anchors(&root.trusted, self.now).into_iter().map(|a| a.from).max().unwrap_or_default(),
        };
        self.roots.iter().map(age).collect()
    }

    /// Returns the time at which it judges, RFC 3339.
    pub fn clock(&self) -> String {
        time::rfc3339(self.now)
    }
}
