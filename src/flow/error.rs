//! Why a verb ended without doing its work: one variant for each thing that its caller treats differently.

use crate::bundle::{ParityError, PlanError, ReadError, WriteError};
use crate::discover::{DiscoverError, Seen};
use crate::document::PaperError;
use crate::document::request::Request;
use crate::model::{Digest, Fault, FaultKind, Finding};
use crate::store::cache::StoreError;
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
    /// A store of content between runs cannot be used.
    #[error(transparent)]
    Store(#[from] StoreError),
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
    /// Parity could not be made, or a bundle not repaired.
    #[error(transparent)]
    Parity(#[from] ParityError),
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
    let lines = unreachable_together(items);
    match &lines[..] {
        [one] => one.clone(),
        many => format!(
            "{} things could not be had:{}",
            items.len(),
            many.iter().map(|line| format!("\n  {line}")).collect::<String>()
        ),
    }
}

/// Things of one host that does not answer that a line names.
const NAMED: usize = 8;

/// How a host fails: its name, what happened, its words.
type Way = (String, String, String);

/// Returns a line for each fault, and one for all that is wanted from a host that fails in one way.
fn unreachable_together(items: &[ItemFault]) -> Vec<String> {
    let key = |item: &ItemFault| -> Option<Way> {
        let down = item.fault.kind == FaultKind::Unavailable;
        down.then(|| (host(&item.fault.place).to_owned(), item.fault.what.clone(), item.fault.words.clone()))
    };
    let mut groups: Vec<(Option<Way>, Vec<&ItemFault>)> = Vec::new();
    for item in items {
        let key = key(item);
        match groups.iter_mut().find(|(known, _)| key.is_some() && *known == key) {
            Some((_, group)) => group.push(item),
            None => groups.push((key, vec![item])),
        }
    }
    groups.into_iter().map(|(key, group)| together(key.as_ref(), &group)).collect()
}

fn together(key: Option<&Way>, group: &[&ItemFault]) -> String {
    let (Some((host, what, words)), true) = (key, group.len() > 1) else {
        return group.iter().map(ToString::to_string).collect();
    };
    let mut names: Vec<&str> = Vec::new();
    for item in group {
        let name = item.item.split(" (wanted by ").next().unwrap_or(&item.item);
        if !names.contains(&name) {
            names.push(name);
        }
    }
    let more = if names.len() > NAMED { format!(" and {} more", names.len() - NAMED) } else { String::new() };
    let words = if words.is_empty() { String::new() } else { format!("; it said: {words}") };
    let names: Vec<&str> = names.into_iter().take(NAMED).collect();
    format!("{host}: {what}{words}; wanted from it: {}{more}", names.join(", "))
}

/// Returns the host of a place that is an address.
fn host(place: &str) -> &str {
    let behind = place.split_once("://").map_or(place, |(_, rest)| rest);
    behind.split('/').next().unwrap_or(behind)
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::document::lock::Target;
    use crate::document::request::{RequestedBlob, RequestedFor};

    #[test]
    fn what_is_not_there_is_counted_once_and_listed_up_to_a_screen() {
        let blobs =
            |n: u64| (0..n).map(|at| RequestedBlob { digest: Digest::of(&at.to_le_bytes()), size: 10 }).collect();
        let artifact = |n: u64| RequestedFor {
            source: "h.example/a:1".parse().unwrap(),
            digest: Digest::of(b"a"),
            destination: Target { repository: "a".to_owned(), tag: None },
            blobs: blobs(n),
        };
        let text = |artifacts| {
            FlowError::NotThere(Box::new(Request::new(Digest::of(b"d"), "site.example".to_owned(), artifacts)))
                .to_string()
        };
        let one = text(vec![artifact(1)]);
        assert!(
            one.starts_with("1 blob (10 bytes) that this delta leaves out is not at site.example; nothing was sent:")
        );
        assert!(one.ends_with(&format!("(10 bytes) for h.example/a:1@{}", Digest::of(b"a"))), "{one}");
        let many = text(vec![artifact(30), artifact(25)]);
        assert!(many.starts_with("30 blobs (300 bytes) that this delta leaves out are not at"), "{many}");
        assert_eq!(many.lines().count(), 1 + SHOWN + 1);
        assert!(many.ends_with("and 15 more"), "{many}");
    }

    fn fault(item: &str, place: &str, what: &str) -> ItemFault {
        ItemFault { item: item.into(), fault: Fault::new(FaultKind::Unavailable, place, what) }
    }

    #[test]
    fn a_host_that_does_not_answer_is_one_line_with_what_is_wanted_from_it() {
        let many: Vec<ItemFault> = (0..10)
            .map(|n| fault(&format!("h.example/c{n} (wanted by m → x)"), "https://h.example/v2/c", "refused"))
            .collect();
        let text = FlowError::Source(many).to_string();
        assert!(text.starts_with("h.example: refused; wanted from it: h.example/c0, h.example/c1,"), "{text}");
        assert!(text.ends_with("h.example/c7 and 2 more") && !text.contains("wanted by"), "{text}");
        let two = vec![
            fault("a (wanted by m)", "https://h.example/a", "refused"),
            fault("b", "https://o.example/b", "refused"),
        ];
        let text = FlowError::Source(two).to_string();
        assert!(
            text.starts_with("2 things could not be had:")
                && text.contains("a (wanted by m): https://h.example/a: refused")
        );
    }
}
