//! Builds a Kustomize folder as far as images go: which objects come out, and what their containers run.
//!
//! Followed: resources and bases on this machine, components, generated ConfigMaps, patches of both kinds, the
//! images transformer, the namespace. A chart that the folder inflates becomes a wish for the chart. What cannot
//! change an image (labels, replicas, prefixes of names) is passed over. Everything else that could is an error:
//! a folder is built, or it is refused; it is never read in part.

mod build;
mod chart;
mod form;
#[doc(hidden)]
pub mod fuzzing;
mod generate;
mod images;
mod jsonpatch;
mod merge;
mod target;
mod tree;

pub use build::{build, build_for_flux, is_kustomization, objects};
pub use chart::HelmChart;

use super::files::{FileError, Named};
use crate::document::PaperError;
use crate::document::yaml::Node;
use crate::model::Finding;

/// An object, and the file that it stands in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Built {
    /// File, as the person called it.
    pub file: String,
    /// The object, after everything that was done to it.
    pub node: Node,
}

/// What a folder builds to.
#[derive(Debug, Default)]
pub struct Build {
    /// Objects, in the order of the files.
    pub objects: Vec<Built>,
    /// Charts that the folder inflates.
    pub charts: Vec<HelmChart>,
    /// What a person should know.
    pub findings: Vec<Finding>,
    /// What stands in the way; where there is something, the rest is not whole.
    pub errors: Vec<KustomizeError>,
}

/// Why a folder cannot be built.
#[derive(Debug, thiserror::Error)]
pub enum KustomizeError {
    /// A file or folder cannot be read.
    #[error(transparent)]
    File(#[from] FileError),
    /// A file does not parse, or has a field that is unknown or of the wrong form.
    #[error(transparent)]
    Paper(#[from] PaperError),
    /// Something that could change what runs is not done here.
    #[error("{place}: {what} is not supported, and could change what runs; {advice}")]
    Unsupported {
        /// File and line.
        place: String,
        /// Field or feature.
        what: String,
        /// What to do.
        advice: &'static str,
    },
    /// A base that is not on this machine.
    #[error("{place}: {text:?} is not on this machine, and nothing is fetched here; check it out and name its folder")]
    Remote {
        /// File and line.
        place: String,
        /// Address as written.
        text: String,
    },
    /// A patch cannot be applied.
    #[error("{place}: {why}")]
    Patch {
        /// File and field of the patch.
        place: String,
        /// Reason in words.
        why: String,
    },
    /// Folders lead to each other in a circle.
    #[error("folders lead to each other in a circle: {}", .0.join(" → "))]
    Circle(Vec<String>),
}

/// Returns the file that a kustomization in `folder` names; a path from the root of the machine is none of its own.
fn beside(folder: &Named, path: &str) -> Result<Named, FileError> {
    let named = folder.join(path.strip_prefix("./").unwrap_or(path));
    match path.starts_with('/') {
        true => {
            let cause = std::io::Error::other("a path that begins with / leads out of every folder");
            Err(FileError::Read { place: path.to_owned(), cause })
        }
        false => Ok(named),
    }
}

const BUILD_ELSEWHERE: &str = "name a file with the output of `kustomize build` under kubernetes instead";
