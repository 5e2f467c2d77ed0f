//! Why a verb ended without doing its work: one variant for each thing that its caller treats differently.

use crate::bundle::{PlanError, ReadError, WriteError};
use crate::discover::{DiscoverError, Seen};
use crate::document::PaperError;
use crate::document::request::Request;
use crate::model::{Digest, Fault, Finding};
use crate::trust::{MergeError, RootError, SealError, TrustError, TufError};
use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;

/// An artifact that the policy did not accept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// Artifact as the lock names it, with its digest.
    pub item: String,
    /// Rule that decided.
    pub rule: String,
    /// Reason in words.
    pub reason: String,
    /// What the person who reads it can do.
    pub hint: String,
}

/// A fault with the thing that it happened to.
#[derive(Debug)]
pub struct ItemFault {
    /// Artifact, blob or file.
    pub item: String,
    /// What happened.
    pub fault: Fault,
}

impl fmt::Display for ItemFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.item, self.fault)
    }
}

/// A chart that cannot be read or does not render.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChartFault {
    /// Chart, with the path that leads to it.
    pub chart: String,
    /// Reason, with the chart's own words.
    pub why: String,
    /// What the person who reads it can do.
    pub hint: String,
}

/// Why a verb ended.
#[derive(Debug, thiserror::Error)]
pub enum FlowError {
    /// A paper that a person or a machine wrote cannot be used.
    #[error(transparent)]
    Paper(#[from] PaperError),
    /// What the mirror file names could not be discovered.
    #[error(transparent)]
    Discover(#[from] DiscoverError),
    /// A file could not be read or written.
    #[error("{}: {what}", path.display())]
    File {
        /// Which.
        path: PathBuf,
        /// What was tried.
        what: &'static str,
        /// Cause.
        #[source]
        source: std::io::Error,
    },
    /// One or more things could not be had from their sources.
    #[error("{}", list(.0))]
    Source(Vec<ItemFault>),
    /// Content contradicts itself or what points to it.
    #[error("{item}: {why}")]
    Content {
        /// Artifact or document.
        item: String,
        /// Reason in words.
        why: String,
    },
    /// Charts that cannot be read or do not render.
    #[error("{}", charts(.0))]
    Charts(Vec<ChartFault>),
    /// What may be images waits for decisions.
    #[error("{}", undecided(.0))]
    Undecided(Vec<Seen>),
    /// What was asked for cannot be meant.
    #[error("{0}")]
    Usage(String),
    /// The policy did not accept these.
    #[error("{}", refusals(.0))]
    Refused(Vec<Refusal>),
    /// The bundle's own signature is missing or is none that is accepted.
    #[error("{0}")]
    Unauthentic(String),
    /// A signed paper is not accepted.
    #[error("{path} is not accepted: {why}")]
    UnacceptedPaper {
        /// Which.
        path: String,
        /// Reason in words.
        why: String,
    },
    /// A signature could not be made or checked.
    #[error(transparent)]
    Seal(#[from] SealError),
    /// The policy or its keys cannot be used.
    #[error(transparent)]
    Trust(#[from] TrustError),
    /// A trusted root cannot be used.
    #[error(transparent)]
    Root(#[from] RootError),
    /// Trusted roots cannot be merged.
    #[error(transparent)]
    Merge(#[from] MergeError),
    /// A trusted root could not be fetched.
    #[error(transparent)]
    Tuf(#[from] TufError),
    /// A trusted root was not accepted in place of the one that is.
    #[error("{why}")]
    NotAccepted {
        /// Reason in words.
        why: String,
        /// What the person who reads it can do.
        hint: &'static str,
    },
    /// The bundle could not be planned.
    #[error(transparent)]
    Plan(#[from] PlanError),
    /// The bundle could not be written.
    #[error(transparent)]
    Write(#[from] WriteError),
    /// The bundle could not be read.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// The bundle lacks something that its lock needs.
    #[error("{what} needs {digest}, which is not in the bundle")]
    Incomplete {
        /// Who needs it.
        what: String,
        /// What is missing.
        digest: Digest,
    },
    /// The destination lacks what a delta leaves out.
    #[error("{}", not_there(.0))]
    NotThere(Box<Request>),
    /// The preflight found what would make the run fail.
    #[error("{}", findings(.0))]
    Preflight(Vec<Finding>),
    /// The destination refused or went away.
    #[error("{0}")]
    Destination(ItemFault),
    /// Another run holds the place.
    #[error("{0}")]
    Busy(String),
    /// The run was asked to stop.
    #[error("stopped on request; nothing is half visible, the same command goes on where it was")]
    Interrupted,
}

fn list(items: &[ItemFault]) -> String {
    match items {
        [one] => one.to_string(),
        many => {
            let lines: Vec<String> = many.iter().map(|item| format!("\n  {item}")).collect();
            format!("{} things could not be had:{}", many.len(), lines.concat())
        }
    }
}

fn charts(items: &[ChartFault]) -> String {
    let lines: Vec<String> = items.iter().map(|item| format!("{}: {}", item.chart, item.why)).collect();
    match &lines[..] {
        [one] => one.clone(),
        many => format!("{} charts do not say what they run:\n  {}", many.len(), many.join("\n  ")),
    }
}

/// Lists what waits, each text once with its first place, and the lines that decide it.
fn undecided(seen: &[Seen]) -> String {
    let mut groups: BTreeMap<(&str, Option<&str>), Vec<&Seen>> = BTreeMap::new();
    for one in seen {
        groups.entry((&one.sighting.text, one.chart.as_deref())).or_default().push(one);
    }
    let (mut lines, mut block) = (String::new(), String::new());
    for ((text, chart), group) in &groups {
        let Some(first) = group.first() else { continue };
        let more = match group.len() {
            1 => String::new(),
            2 => " and one more place".to_owned(),
            n => format!(" and {} more places", n - 1),
        };
        lines.push_str(&format!("\n  {text:?}: {}\n      {}{more}", first.sighting.remark, first.sighting.spot));
        let chart = chart.map(|name| format!(", chart: {name}")).unwrap_or_default();
        match first.sighting.reference {
            Some(_) => block.push_str(&format!("\n  - {{ accept: {text:?}{chart} }}")),
            None => block.push_str(&format!("\n  - {{ reject: {text:?}{chart}, reason: \"…\" }}")),
        }
    }
    let count = groups.len();
    let noun = if count == 1 { "text may be an image and waits" } else { "texts may be images and wait" };
    format!(
        "{count} {noun} for a decision in the mirror file:{lines}\naccept what runs, and make the others: {{ reject: \
         \"…\", reason: \"…\" }}\ndecisions:{block}"
    )
}

fn refusals(items: &[Refusal]) -> String {
    let lines: Vec<String> =
        items.iter().map(|r| format!("\n  {}: {} (decided by {})", r.item, r.reason, r.rule)).collect();
    format!(
        "the policy refuses {} {}:{}",
        items.len(),
        if items.len() == 1 { "artifact" } else { "artifacts" },
        lines.concat()
    )
}

/// Lines that are shown of a list that is in the request file as well.
const SHOWN: usize = 40;

fn not_there(request: &Request) -> String {
    let blobs = request.blobs();
    let (count, bytes) = (blobs.len(), blobs.values().sum::<u64>());
    let (noun, verb) = if count == 1 { ("blob", "is") } else { ("blobs", "are") };
    let all = request.artifacts.iter().flat_map(|artifact| artifact.blobs.iter().map(move |blob| (artifact, blob)));
    let lines: Vec<String> = all
        .map(|(artifact, blob)| {
            let name = artifact.source.at(&artifact.digest);
            format!("\n  {} ({} bytes) for {name}", blob.digest, blob.size)
        })
        .collect();
    let more = match lines.len().saturating_sub(SHOWN) {
        0 => String::new(),
        n => format!("\n  and {n} more"),
    };
    format!(
        "{count} {noun} ({bytes} bytes) that this delta leaves out {verb} not at {}; nothing was sent:{}{more}",
        request.destination,
        lines[..lines.len().min(SHOWN)].concat()
    )
}

fn findings(items: &[Finding]) -> String {
    let lines: Vec<String> = items.iter().map(|f| format!("\n  {}: {}", f.place, f.what)).collect();
    format!("the destination is not ready; nothing was sent:{}", lines.concat())
}

impl FlowError {
    /// States that one thing could not be had from its source.
    pub fn source(item: impl Into<String>, fault: Fault) -> Self {
        Self::Source(vec![ItemFault { item: item.into(), fault }])
    }

    /// States that the destination failed at one thing.
    pub fn destination(item: impl Into<String>, fault: Fault) -> Self {
        Self::Destination(ItemFault { item: item.into(), fault })
    }

    /// States that a file could not be used.
    pub fn file(path: impl Into<PathBuf>, what: &'static str, source: std::io::Error) -> Self {
        Self::File { path: path.into(), what, source }
    }
}
