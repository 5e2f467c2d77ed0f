//! Floor 3: files in, names of artifacts with their origins out. Nothing here asks the network.
//!
//! [`discover`] reads what a mirror file names (lists, catalogues of Blueprints, Kubernetes YAML) and says which
//! artifacts are wanted, each with the path that leads to it. What cannot be used is an error that lists all of
//! it; what a person should know or decide is a finding. Names become digests elsewhere.

pub mod blueprint;
pub mod chart;
pub mod closure;
mod decisions;
pub mod declared;
pub mod files;
pub mod flux;
mod gather;
pub mod helm_index;
pub mod kube;
pub mod kustomize;
pub mod list;
pub mod looks;
pub mod mapping;
mod narrowing;
pub mod operators;
pub mod parts;
pub mod published;
pub mod rules;
pub mod select;
pub mod sighting;
pub mod tags;
pub mod unused;

pub use crate::document::mirror::PlatformRule;
pub use chart::{ChartPlace, ChartWant, RenderSetting, ValueLayer, ValueSet};
pub use gather::{Brought, ChartOrigin, Discovering, Fetched, Seen, begin, begin_with, discover};
pub use mapping::{Mapping, collisions, destination};
pub use narrowing::Narrowing;
pub use select::Pattern;
pub use tags::{TagSelection, is_moving};

use crate::document::lock::Role;
use crate::document::made::MadeWish;
use crate::model::evidence::{FindingClass, Severity};
use crate::model::{Finding, ImageRef, Repository};
use std::fmt;

/// What the files say.
#[derive(Debug, Default)]
pub struct Discovery {
    /// What is wanted, in the order of the mirror file's sources; Blueprints after what they depend on. The same
    /// artifact may come up several times, each time with its own reason.
    pub found: Vec<Found>,
    /// What a person should know.
    pub findings: Vec<Finding>,
    /// What may be an image, and is wanted only when a person says so: nothing may go on before they did.
    pub undecided: Vec<Seen>,
    /// What was seen and is none, or runs only elsewhere.
    pub ruled_out: Vec<Seen>,
}

/// Something that is wanted.
#[derive(Debug, Clone)]
pub struct Found {
    /// What.
    pub want: Want,
    /// What it is to the platform.
    pub role: Role,
    /// Why: the path from the mirror file down.
    pub why: Vec<String>,
    /// What a reader of the lock should know.
    pub notes: Vec<String>,
    /// What is kept of an index.
    pub platforms: PlatformRule,
    /// How sure it is and when it runs, where a file showed it; absent for what somebody named.
    pub seen: Option<(sighting::Certainty, sighting::Need)>,
}

/// What is wanted: one artifact, or those tags of a repository that a selection takes.
#[derive(Debug, Clone)]
pub enum Want {
    /// One artifact.
    Reference(ImageRef),
    /// Tags of a repository, once they are known.
    Tags {
        /// Where.
        repository: Repository,
        /// Which.
        selection: TagSelection,
    },
    /// A chart that is looked into: what it runs is wanted, and the chart itself where it can be carried.
    Chart(Box<ChartWant>),
    /// An artifact that is made out of a file.
    Made {
        /// Its name: host, repository and tag.
        source: ImageRef,
        /// What it is made of.
        made: MadeWish,
    },
}

/// Why files do not say what is wanted: everything that stands in the way.
#[derive(Debug, thiserror::Error)]
pub struct DiscoverError {
    /// At least one.
    pub problems: Vec<Problem>,
    /// What a person should know beside it.
    pub findings: Vec<Finding>,
}

/// One thing that stands in the way.
#[derive(Debug, thiserror::Error)]
pub enum Problem {
    /// A file or folder that an entry of the mirror file names.
    #[error("{place}:{line}: {source}")]
    Named {
        /// Mirror file.
        place: String,
        /// Its line.
        line: usize,
        /// File and reason.
        source: files::FileError,
    },
    /// A file or folder.
    #[error(transparent)]
    File(#[from] files::FileError),
    /// A list of references.
    #[error(transparent)]
    List(#[from] list::ListError),
    /// A version range or pattern in the mirror file.
    #[error("{place}:{line}: {source}")]
    Select {
        /// Mirror file.
        place: String,
        /// Its line.
        line: usize,
        /// Reason.
        source: select::SelectError,
    },
    /// A rule of the mirror file.
    #[error("{place}: {source}")]
    Rule {
        /// Mirror file.
        place: String,
        /// Reason.
        source: rules::RuleError,
    },
    /// Edges of a kit are to be followed, and there is none.
    #[error("{place}:{line}: graph: {graph} follows the edges of a kit, and the mirror file has no entry under flux")]
    NoKit {
        /// Mirror file.
        place: String,
        /// Its line.
        line: usize,
        /// Word of the graph.
        graph: &'static str,
    },
    /// A Blueprint is in no kit.
    #[error("{place}: no release of a kit installs {name}")]
    NotInKit {
        /// Entry of the mirror file.
        place: String,
        /// Name in the common form.
        name: String,
    },
    /// The command line excludes what something that is kept needs.
    #[error("--exclude {pattern} leaves out {name}, which is needed: {chain}")]
    Excluded {
        /// Pattern as typed.
        pattern: String,
        /// Blueprint or release.
        name: String,
        /// Path from the mirror file down.
        chain: String,
    },
    /// A pattern of the command line fits nothing.
    #[error("{flag} {pattern}: {place} {}", if *.flag == "--include" {
        "wants no Blueprint or release of such a name for itself"
    } else {
        "has no Blueprint or release of such a name in its sources"
    })]
    FitsNothing {
        /// `--include` or `--exclude`.
        flag: &'static str,
        /// Pattern as typed.
        pattern: String,
        /// Mirror file.
        place: String,
    },
    /// A kit installs a version that is out of a range.
    #[error("{name}: {place} installs version {version}, and {range} is wanted by {wanted_by}")]
    Contradiction {
        /// Name in the common form.
        name: String,
        /// Range.
        range: String,
        /// Path from the mirror file down.
        wanted_by: String,
        /// Version of the kit.
        version: String,
        /// Where the kit says so.
        place: String,
    },
    /// A catalogue in a Git repository was not brought here.
    #[error("{place}: the catalogue {url} is not here")]
    NotFetched {
        /// Mirror file and line.
        place: String,
        /// Address.
        url: String,
    },
    /// A folder of Flux objects.
    #[error(transparent)]
    Flux(#[from] flux::FluxError),
    /// A Kustomize folder.
    #[error(transparent)]
    Kustomize(#[from] kustomize::KustomizeError),
    /// An addition to the known fields.
    #[error("{place}:{line}: imageFields: {source}", line = .source.line)]
    Fields {
        /// Mirror file.
        place: String,
        /// Line and reason.
        source: operators::TableError,
    },
    /// What Blueprints need.
    #[error(transparent)]
    Closure(#[from] closure::ClosureError),
    /// Kubernetes YAML.
    #[error(transparent)]
    Kube(#[from] kube::KubeError),
    /// What a chart renders to.
    #[error("{chart}: {source}")]
    Chart {
        /// Chart, as it is wanted.
        chart: String,
        /// Reason.
        source: kube::KubeError,
    },
    /// Values of a chart are no mapping.
    #[error("{place}: values are a mapping, found {found}")]
    Values {
        /// File.
        place: String,
        /// What stands there.
        found: &'static str,
    },
    /// Name and version of a chart make no reference.
    #[error("{place}: the artifact of {name} would be {text:?}: {why}")]
    Artifact {
        /// File that states the chart.
        place: String,
        /// Blueprint.
        name: String,
        /// Text.
        text: String,
        /// Reason.
        why: String,
    },
    /// One Blueprint in two versions.
    #[error("{name} is wanted in two versions, {} and {}", .versions[0], .versions[1])]
    TwoVersions {
        /// Repository of the Blueprint.
        name: String,
        /// References.
        versions: [String; 2],
    },
}

impl fmt::Display for DiscoverError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let one = |problem: &Problem| if f.alternate() { format!("{problem:#}") } else { problem.to_string() };
        match &self.problems[..] {
            [problem] => f.write_str(&one(problem)),
            several => {
                let lines: String = several.iter().map(|p| format!("\n  {}", one(p).replace('\n', "\n  "))).collect();
                write!(f, "{} things stand in the way:{lines}", several.len())
            }
        }
    }
}

/// States something worth knowing.
fn note(place: impl Into<String>, what: impl Into<String>) -> Finding {
    Finding { severity: Severity::Note, ..Finding::warning(FindingClass::Config, place, what) }
}
