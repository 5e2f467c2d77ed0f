//! How the world moved away from a lock: tags that name something else now, artifacts that are gone, signatures that came
//! or went, a mirror file that wants other things. At most two requests for each artifact that did not move.

use super::beside::{TagLists, beside, is_absence, tag_lists};
use super::context::Context;
use super::error::FlowError;
use super::making::Making;
use super::pool;
use super::shipment::judged_subject;
use crate::document::lock::{Lock, LockedArtifact};
use crate::document::made::Made;
use crate::model::event::Stage;
use crate::model::port::Source;
use crate::model::{Event, Fault, ImageRef, Reference};
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};

/// What moved.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum DriftKind {
    /// A signature, attestation or SBOM that the lock notes is no longer beside the artifact.
    EvidenceLost,
    /// The pinned artifact is not at its source any more.
    Gone,
    /// The source did not answer, so nothing is known.
    Unreachable,
    /// The file that an artifact is made of has another size now.
    FileChanged,
    /// The tag names another artifact now; the pinned one is still there.
    TagMoved,
    /// Something refers to the artifact that the lock does not note.
    EvidenceNew,
    /// The mirror file wants it, the lock does not have it.
    NotPinned,
    /// The lock has it, the mirror file does not want it.
    NotWanted,
    /// The mirror file sends it elsewhere, or keeps other platforms of it.
    OtherRules,
}

/// One thing that moved.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Drift {
    /// What happened.
    pub kind: DriftKind,
    /// Artifact as the lock or the mirror file names it.
    pub source: String,
    /// What was and what is, in words.
    pub what: String,
}

impl Drift {
    fn new(kind: DriftKind, source: &ImageRef, what: impl Into<String>) -> Self {
        Self { kind, source: source.to_string(), what: what.into() }
    }
}

/// What came of a look.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Drifted {
    /// Artifacts of the lock.
    pub artifacts: usize,
    /// Artifacts whose signatures cannot be compared, because the lock does not note them.
    pub without_evidence: usize,
    /// What moved, in the order of the lock; what the mirror file says last.
    pub drift: Vec<Drift>,
}

/// Looks at the source of every artifact of `lock`.
pub fn look(lock: &Lock, source: &dyn Source, context: &Context<'_>) -> Result<Drifted, FlowError> {
    let making = Making::new(source, lock);
    let noted =
        Lock { artifacts: lock.artifacts.iter().filter(|a| a.beside.is_some()).cloned().collect(), ..lock.clone() };
    let tags = tag_lists(&noted, &making, context)?;
    context.tell(Event::Started { stage: Stage::Resolve, items: lock.artifacts.len() as u64, bytes: 0 });
    let found = pool::all(&lock.artifacts, context.threads, |artifact| {
        context.go_on()?;
        let drift = match &artifact.made {
            Some(made) => file_drift(artifact, made, source),
            None => artifact_drift(artifact, &tags, &making),
        };
        let outcome = if drift.is_empty() { "unchanged" } else { "changed" };
        context.tell(Event::Done {
            stage: Stage::Resolve,
            item: artifact.source.to_string(),
            outcome: outcome.to_owned(),
        });
        Ok::<_, FlowError>(drift)
    });
    let mut drift = Vec::new();
    for found in found {
        drift.extend(found?);
    }
    context.tell(Event::Finished { stage: Stage::Resolve });
    let watched = |artifact: &&LockedArtifact| artifact.beside.is_none() && artifact.made.is_none();
    let without_evidence = lock.artifacts.iter().filter(watched).count();
    Ok(Drifted { artifacts: lock.artifacts.len(), without_evidence, drift })
}

/// Compares `lock` with one that was resolved from the mirror file anew, keeping its pins.
pub fn against(lock: &Lock, wanted: &Lock) -> Vec<Drift> {
    let by_source = |lock: &Lock| -> BTreeMap<ImageRef, LockedArtifact> {
        lock.artifacts.iter().map(|artifact| (artifact.source.clone(), artifact.clone())).collect()
    };
    let (has, wants) = (by_source(lock), by_source(wanted));
    let mut drift = Vec::new();
    for artifact in &wanted.artifacts {
        let why = || artifact.why.first().map(|path| path.join(" → ")).unwrap_or_default();
        match has.get(&artifact.source) {
            None => drift.push(Drift::new(DriftKind::NotPinned, &artifact.source, format!("wanted by {}", why()))),
            Some(own) if own.destination != artifact.destination => {
                let what = format!("goes to {}, the lock has {}", artifact.destination, own.destination);
                drift.push(Drift::new(DriftKind::OtherRules, &artifact.source, what));
            }
            Some(own) if own.digest != artifact.digest => {
                let what = format!("becomes {}, the lock has {}", artifact.digest.short(), own.digest.short());
                drift.push(Drift::new(DriftKind::OtherRules, &artifact.source, what));
            }
            Some(_) => {}
        }
    }
    let surplus = lock.artifacts.iter().filter(|artifact| !wants.contains_key(&artifact.source));
    drift.extend(surplus.map(|a| Drift::new(DriftKind::NotWanted, &a.source, "the mirror file does not lead to it")));
    drift
}

/// Looks at a file: whether it is there, and of the same size. Its bytes are compared when it is packed.
fn file_drift(artifact: &LockedArtifact, made: &Made, source: &dyn Source) -> Vec<Drift> {
    match source.file(&made.url, None, 0) {
        Ok(file) if file.size.is_some_and(|size| size != made.size) => {
            let what = format!("{} has {} bytes, the lock has {}", made.url, file.size.unwrap_or_default(), made.size);
            vec![Drift::new(DriftKind::FileChanged, &artifact.source, what)]
        }
        Ok(_) => Vec::new(),
        Err(fault) => vec![failed(artifact, &fault)],
    }
}

fn artifact_drift(artifact: &LockedArtifact, tags: &TagLists, source: &dyn Source) -> Vec<Drift> {
    let mut drift = match name_drift(artifact, source) {
        Ok(found) => found,
        Err(fault) => return vec![failed(artifact, &fault)],
    };
    if let Some(noted) = &artifact.beside
        && !drift.iter().any(|found| found.kind == DriftKind::Gone)
    {
        match beside(artifact, tags, source) {
            Ok(found) => drift.extend(evidence_drift(artifact, noted, &found)),
            Err(fault) => drift.push(failed(artifact, &fault)),
        }
    }
    drift
}

fn failed(artifact: &LockedArtifact, fault: &Fault) -> Drift {
    let kind = if is_absence(fault) { DriftKind::Gone } else { DriftKind::Unreachable };
    Drift::new(kind, &artifact.source, fault.to_string())
}

/// Looks at what the artifact's name stands for, and where that is something else, whether the pinned one is there still.
fn name_drift(artifact: &LockedArtifact, source: &dyn Source) -> Result<Vec<Drift>, Fault> {
    let (at, pinned) = (&artifact.source.repository, judged_subject(artifact).digest);
    let named = artifact.source.tag.clone().filter(|_| artifact.source.digest.is_none()).map(Reference::Tag);
    let by_digest = Reference::Digest(pinned.clone());
    let now = source.head(at, named.as_ref().unwrap_or(&by_digest))?;
    if now.as_ref().is_some_and(|now| now.digest == pinned) {
        return Ok(Vec::new());
    }
    let still = named.is_some() && source.head(at, &by_digest)?.is_some();
    let was = pinned.short();
    Ok(vec![match (now, still) {
        (Some(now), true) => {
            let what = format!("names {} now, the lock has {was}", now.digest.short());
            Drift::new(DriftKind::TagMoved, &artifact.source, what)
        }
        (Some(now), false) => {
            let what = format!("names {} now, and {was} of the lock is gone", now.digest.short());
            Drift::new(DriftKind::Gone, &artifact.source, what)
        }
        (None, true) => {
            let what = format!("the tag is gone, {was} of the lock is still there");
            Drift::new(DriftKind::TagMoved, &artifact.source, what)
        }
        (None, false) => Drift::new(DriftKind::Gone, &artifact.source, format!("{was} of the lock is gone")),
    }])
}

fn evidence_drift(artifact: &LockedArtifact, noted: &[String], found: &[String]) -> Vec<Drift> {
    let (was, is): (BTreeSet<&String>, BTreeSet<&String>) = (noted.iter().collect(), found.iter().collect());
    let listed = |names: Vec<&&String>| names.iter().map(|name| short(name)).collect::<Vec<_>>().join(", ");
    let (lost, new): (Vec<_>, Vec<_>) = (was.difference(&is).collect(), is.difference(&was).collect());
    let mut drift = Vec::new();
    if !lost.is_empty() {
        drift.push(Drift::new(DriftKind::EvidenceLost, &artifact.source, format!("no longer there: {}", listed(lost))));
    }
    if !new.is_empty() {
        drift.push(Drift::new(DriftKind::EvidenceNew, &artifact.source, format!("new: {}", listed(new))));
    }
    drift
}

/// Returns a digest in its short form, and a tag of cosign with the digest in it shortened.
fn short(name: &str) -> String {
    let bare = name
        .strip_prefix("sha256:")
        .or_else(|| name.strip_prefix("sha512:"))
        .map(|hex| hex[..hex.len().min(12)].to_owned());
    bare.unwrap_or_else(|| match (name.split_once('-'), name.rsplit_once('.')) {
        (Some((algorithm, hex)), Some((_, end))) if hex.len() > 12 => format!("{algorithm}-{}….{end}", &hex[..12]),
        _ => name.to_owned(),
    })
}
