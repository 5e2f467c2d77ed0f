//! Folders of Flux objects, such as a bootstrap kit: which charts are installed, from where, with which values, in
//! which order.
//!
//! The folder's kustomization decides which files count. Placeholders are filled in as Flux fills them. A release
//! leads to its chart through the repository that it names; its values come from itself and from ConfigMaps and
//! Secrets that are in the files. What is not in the files, and could change what runs, is an error: the same
//! objects can be handed in as stand-ins. A release that is suspended counts, because it may be resumed.

mod chart;
mod follow;
mod kit;
mod order;
mod substitute;
mod values;

pub use kit::{Kit, read};
pub use order::{Ordered, ordered};

use super::ValueLayer;
use super::chart::ChartPlace;
use super::files::FileError;
use super::kustomize::KustomizeError;
use super::select::SelectError;
use std::fmt;

/// Namespace and name of an object.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct ObjectName {
    /// Namespace.
    pub namespace: String,
    /// Name.
    pub name: String,
}

impl fmt::Display for ObjectName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.namespace, self.name)
    }
}

/// A HelmRelease.
#[derive(Debug, Clone)]
pub struct Release {
    /// Its names.
    pub id: ObjectName,
    /// File and line.
    pub place: String,
    /// Chart.
    pub chart: ChartPlace,
    /// Layers of values, lowest first.
    pub layers: Vec<ValueLayer>,
    /// Name that Helm gives the release.
    pub release: String,
    /// Namespace that it is installed into.
    pub namespace: String,
    /// Releases that come before it, with the lines that say so.
    pub depends: Vec<(ObjectName, usize)>,
    /// What a reader of the lock should know.
    pub notes: Vec<String>,
}

/// Why a folder of Flux objects cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum FluxError {
    /// Its kustomization, or a file of it.
    #[error(transparent)]
    Kustomize(#[from] KustomizeError),
    /// A file or folder cannot be read.
    #[error(transparent)]
    File(#[from] FileError),
    /// A field is missing or of the wrong form.
    #[error("{place}: {why}")]
    Field {
        /// File, line, object and key path.
        place: String,
        /// Reason in words.
        why: String,
    },
    /// A placeholder that decides what is fetched has no value.
    #[error("{place}: {text:?} has the placeholder {found}, which has no value; give it one under substitute")]
    Placeholder {
        /// File, line, object and key path.
        place: String,
        /// Text as written.
        text: String,
        /// Placeholder.
        found: String,
    },
    /// A version is none that is understood.
    #[error("{place}: {source}")]
    Version {
        /// File, line, object and key path.
        place: String,
        /// Text and reason.
        source: SelectError,
    },
    /// An object that decides what runs is not there.
    #[error("{place}: {what} is not in the folder; {advice}")]
    Absent {
        /// File, line, object and key path.
        place: String,
        /// Kind and names.
        what: String,
        /// What to do.
        advice: &'static str,
    },
    /// Something that could change what runs is not done here.
    #[error("{place}: {what} is not supported, and could change what runs; {advice}")]
    Unsupported {
        /// File, line, object and key path.
        place: String,
        /// Feature.
        what: &'static str,
        /// What to do.
        advice: &'static str,
    },
    /// A release that is waited for is not there.
    #[error("{place}: {by} depends on {on}, which is not in this folder{near}")]
    NoDependency {
        /// File and line.
        place: String,
        /// Who depends.
        by: ObjectName,
        /// On what.
        on: ObjectName,
        /// Hint at a near name, or nothing.
        near: String,
    },
    /// Releases wait for each other.
    #[error("releases or Kustomizations wait for each other in a circle: {}", .0.join(" → "))]
    Circle(Vec<String>),
    /// A release stands twice.
    #[error("HelmRelease {id} stands twice: {first} and {second}")]
    Twice {
        /// Its names.
        id: ObjectName,
        /// Where first.
        first: String,
        /// Where again.
        second: String,
    },
    /// A release that the mirror file names is not there.
    #[error("{place}: no HelmRelease of {folder} is called {name:?}{near}")]
    NoRelease {
        /// Entry of the mirror file.
        place: String,
        /// Folder as the person called it.
        folder: String,
        /// Name as typed.
        name: String,
        /// Hint at a near name, or nothing.
        near: String,
    },
}

/// Says which name may be meant.
fn near(name: &str, known: &[&str]) -> String {
    match crate::document::yaml::nearest(name, known) {
        Some(near) => format!("; did you mean {near}?"),
        None => String::new(),
    }
}
