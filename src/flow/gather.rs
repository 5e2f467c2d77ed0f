//! Collects the documents of a lock from their sources: manifests and indexes, everything that refers to
//! them, cosign's tags; judges what was found. Level by level, so nothing is asked for twice.

use super::attachments::Discovery;
use super::error::{FlowError, ItemFault, Refusal};
use super::notices::notices;
use super::pool;
use super::shipment::{Shipment, judged_subject};
use super::subset;
use crate::document::evidence::{ArtifactEvidence, Attached, BundleEvidence};
use crate::document::lock::{Lock, LockedArtifact};
use crate::model::event::Stage;
use crate::model::evidence::FindingClass;
use crate::model::port::{ManifestBytes, Source};
use crate::model::{
    Content, Descriptor, Digest, Event, EventSink, Fault, FaultKind, Finding, ImageDocument, Reference, Repository,
    limits,
};
use crate::trust::{Candidate, Judge, Judgement, wants_layers};
use std::collections::{BTreeMap, BTreeSet};
use std::io::Read;

/// What was collected.
pub struct Gathered {
    /// Documents and small blobs, put together.
    pub shipment: Shipment,
    /// Where each blob can be fetched.
    pub origin: BTreeMap<Digest, Repository>,
    /// Documents and layers that were looked at to judge.
    pub judged_by: BTreeSet<Digest>,
    /// What a person should know.
    pub warnings: Vec<Finding>,
}

/// Blobs up to this size are fetched while gathering: image configurations, signature payloads.
const SMALL: u64 = 1 << 20;

/// Collects and judges everything that `lock` names. Refuses as a whole when the policy refuses anything.
pub fn gather(
    lock: Lock,
    source: &dyn Source,
    judge: &Judge,
    threads: usize,
    events: &dyn EventSink,
) -> Result<Gathered, FlowError> {
    events.take(Event::Started { stage: Stage::Judge, items: lock.artifacts.len() as u64, bytes: 0 });
    let mut collector = Collector::new(source, threads);
    collector.collect(&lock)?;
    let evidence = collector.judge(&lock, judge, events)?;
    let Collector { bytes, mut origin, mut warnings, discovery, .. } = collector;
    warnings.push(discovery.note());
    warnings.extend(notices(&lock, &evidence));
    let judged_by = bytes.keys().cloned().collect();
    let mut shipment = Shipment::new(lock, evidence, bytes)?;
    let place = place_blobs(&shipment, &mut origin);
    fetch_small(&mut shipment, source, &place, threads)?;
    events.take(Event::Finished { stage: Stage::Judge });
    Ok(Gathered { shipment, origin, judged_by, warnings })
}

/// Collects documents, each once, and keeps what it found.
pub(super) struct Collector<'a> {
    pub(super) source: &'a dyn Source,
    pub(super) threads: usize,
    bytes: BTreeMap<Digest, Vec<u8>>,
    pub(super) parsed: BTreeMap<Digest, ImageDocument>,
    origin: BTreeMap<Digest, Repository>,
    /// What refers to a subject in a repository.
    pub(super) attached: BTreeMap<(Repository, Digest), Vec<Attached>>,
    /// Subjects that are judged.
    pub(super) judged: BTreeSet<Place>,
    /// What looking for evidence cost.
    pub(super) discovery: Discovery,
    pub(super) warnings: Vec<Finding>,
}

pub(super) type Place = (Repository, Digest);

impl<'a> Collector<'a> {
    pub(super) fn new(source: &'a dyn Source, threads: usize) -> Self {
        Self {
            source,
            threads,
            bytes: BTreeMap::new(),
            parsed: BTreeMap::new(),
            origin: BTreeMap::new(),
            attached: BTreeMap::new(),
            judged: BTreeSet::new(),
            discovery: Discovery::default(),
            warnings: Vec::new(),
        }
    }

    /// Fetches everything that a judge of `lock` looks at.
    pub(super) fn collect(&mut self, lock: &Lock) -> Result<(), FlowError> {
        self.trees(lock)?;
        self.attachments(lock)?;
        self.fetch_signed_layers(lock)
    }

    /// Fetches the document trees of all artifacts.
    pub(super) fn trees(&mut self, lock: &Lock) -> Result<(), FlowError> {
        let (rewritten, whole): (Vec<&LockedArtifact>, Vec<&LockedArtifact>) =
            lock.artifacts.iter().partition(|a| subset::is_rewritten(a));
        let wanted = whole.iter().map(|a| (a.source.repository.clone(), root(a))).collect();
        let mut below = self.level(wanted)?;
        for artifact in rewritten {
            below.extend(self.rewritten(artifact)?);
        }
        self.descend(below)
    }

    /// Fetches level after level until no index is left.
    pub(super) fn descend(&mut self, mut wanted: Vec<(Repository, Descriptor)>) -> Result<(), FlowError> {
        for _ in 0..limits::INDEX_DEPTH {
            if wanted.is_empty() {
                return Ok(());
            }
            wanted = self.level(wanted)?;
        }
        // What still stands here lies too deep; putting the shipment together names it.
        Ok(())
    }

    /// Fetches documents, each once, and returns the documents that they point to.
    pub(super) fn level(
        &mut self,
        wanted: Vec<(Repository, Descriptor)>,
    ) -> Result<Vec<(Repository, Descriptor)>, FlowError> {
        let mut seen = BTreeSet::new();
        let new: Vec<(Repository, Descriptor)> = wanted
            .into_iter()
            .filter(|(_, want)| !self.parsed.contains_key(&want.digest) && seen.insert(want.digest.clone()))
            .collect();
        let source = self.source;
        let results = pool::all(&new, self.threads, |(at, want)| {
            source
                .manifest(at, &Reference::Digest(want.digest.clone()))
                .map_err(|fault| ItemFault { item: format!("{at}@{}", want.digest), fault })
        });
        let documents = keep_or_list(results)?;
        let mut below = Vec::new();
        for ((at, want), document) in new.iter().zip(documents) {
            below.extend(self.take_up(at, want, document)?);
        }
        Ok(below)
    }

    /// Keeps one document after it agreed with what pointed to it.
    pub(super) fn take_up(
        &mut self,
        at: &Repository,
        want: &Descriptor,
        document: ManifestBytes,
    ) -> Result<Vec<(Repository, Descriptor)>, FlowError> {
        let item = format!("{at}@{}", want.digest);
        let broken = |why: String| FlowError::Content { item: item.clone(), why };
        if document.descriptor.media_type != want.media_type || document.descriptor.size != want.size {
            return Err(broken(format!(
                "announced as {} with {} bytes, but the registry gives {} with {}",
                want.media_type, want.size, document.descriptor.media_type, document.descriptor.size
            )));
        }
        let parsed =
            ImageDocument::parse(&document.bytes, &want.media_type).map_err(|error| broken(error.to_string()))?;
        let below = match &parsed {
            ImageDocument::Index(index) => index.manifests.clone(),
            ImageDocument::Image(_) => Vec::new(),
        };
        self.warn_of_layers_left_out(&item, &parsed);
        self.origin.insert(want.digest.clone(), at.clone());
        self.bytes.insert(want.digest.clone(), document.bytes);
        self.parsed.insert(want.digest.clone(), parsed);
        Ok(below.into_iter().filter(|d| d.media_type.is_document()).map(|d| (at.clone(), d.bare())).collect())
    }

    fn warn_of_layers_left_out(&mut self, item: &str, parsed: &ImageDocument) {
        let foreign = parsed.children().into_iter().filter(|c| c.media_type.is_non_distributable()).count();
        if foreign > 0 {
            let what = format!("{foreign} non-distributable layers are not carried");
            self.warnings.push(Finding::warning(FindingClass::Source, item, what));
        }
    }

    /// Makes the cut-down index of `artifact` from the whole one at the source.
    fn rewritten(&mut self, artifact: &LockedArtifact) -> Result<Vec<(Repository, Descriptor)>, FlowError> {
        let Some(rule) = &artifact.subset else { return Ok(Vec::new()) };
        let at = &artifact.source.repository;
        let whole = self
            .source
            .manifest(at, &Reference::Digest(rule.original.clone()))
            .map_err(|fault| FlowError::source(format!("{at}@{}", rule.original), fault))?;
        let document = subset::rewrite(&whole, &rule.platforms)?;
        if document.descriptor.digest != artifact.digest {
            return Err(FlowError::Content {
                item: artifact.source.to_string(),
                why: format!(
                    "the index cut to its platforms is {}, the lock has {}",
                    document.descriptor.digest, artifact.digest
                ),
            });
        }
        self.take_up(at, &root(artifact), document)
    }

    /// Judges each artifact by what is attached to it; lists all refusals before it fails.
    fn judge(&self, lock: &Lock, judge: &Judge, events: &dyn EventSink) -> Result<BundleEvidence, FlowError> {
        let mut entries = Vec::new();
        let mut refused = Vec::new();
        for artifact in &lock.artifacts {
            let subject = judged_subject(artifact);
            let judgement = judge.judge(&artifact.source, &subject, &self.candidates(artifact));
            if !judgement.accepted {
                refused.push(refusal(artifact, &judgement));
            }
            let outcome = match (judgement.accepted, &judgement.would_refuse) {
                (true, None) => "accepted",
                (true, Some(_)) => "taken although the policy would refuse it",
                (false, _) => "refused",
            };
            let item = artifact.source.to_string();
            events.take(Event::Done { stage: Stage::Judge, item, outcome: format!("{outcome}: {}", judgement.reason) });
            entries.push(ArtifactEvidence {
                subject: subject.digest,
                rule: judgement.rule,
                exemption: judgement.exemption,
                would_refuse: judgement.would_refuse,
                attached: self.closure(&artifact.source.repository, &artifact.digest),
                judged: judgement.evidence,
            });
        }
        if refused.is_empty() { Ok(BundleEvidence::new(entries)) } else { Err(FlowError::Refused(refused)) }
    }

    /// Returns what was found beside the judged subject of `artifact`.
    pub(super) fn candidates(&self, artifact: &LockedArtifact) -> Vec<Candidate> {
        let place = (artifact.source.repository.clone(), judged_subject(artifact).digest);
        let attached = self.attached.get(&place).into_iter().flatten();
        attached.filter_map(|a| candidate(a, &self.bytes, &self.parsed)).collect()
    }

    /// Fetches the layers of signatures and attestations of the judged subjects.
    pub(super) fn fetch_signed_layers(&mut self, lock: &Lock) -> Result<(), FlowError> {
        let mut wanted = BTreeMap::new();
        for artifact in &lock.artifacts {
            let at = &artifact.source.repository;
            let place = (at.clone(), judged_subject(artifact).digest);
            for attached in self.attached.get(&place).into_iter().flatten() {
                let Some(document) = self.parsed.get(&attached.digest).filter(|d| wants_layers(d)) else { continue };
                for layer in document.children() {
                    if !self.bytes.contains_key(&layer.digest) && layer.size <= limits::ATTESTATION_BYTES {
                        wanted.insert(layer.digest.clone(), (at.clone(), layer.bare()));
                    }
                }
            }
        }
        let wanted: Vec<(Repository, Descriptor)> = wanted.into_values().collect();
        let source = self.source;
        let blobs = keep_or_list(pool::all(&wanted, self.threads, |(at, want)| read_small(source, at, want)))?;
        for ((_, want), bytes) in wanted.into_iter().zip(blobs) {
            self.bytes.insert(want.digest, bytes);
        }
        Ok(())
    }

    /// Returns what refers to the tree of `root` in `at`, and what refers to that; what others refer to first.
    fn closure(&self, at: &Repository, root: &Digest) -> Vec<Attached> {
        let mut order = Vec::new();
        let mut seen = BTreeSet::new();
        let mut open = vec![root.clone()];
        while let Some(digest) = open.pop() {
            if !seen.insert(digest.clone()) {
                continue;
            }
            if let Some(document) = self.parsed.get(&digest) {
                open.extend(document.children().into_iter().map(|child| child.digest.clone()));
            }
            for attached in self.attached.get(&(at.clone(), digest)).into_iter().flatten() {
                order.push(attached.clone());
                open.push(attached.digest.clone());
            }
        }
        let mut named = BTreeSet::new();
        order.retain(|a| named.insert((a.digest.clone(), a.tag.clone())));
        order
    }
}

/// Puts one attached document into the form that a judge takes.
pub fn candidate(
    attached: &Attached,
    bytes: &BTreeMap<Digest, Vec<u8>>,
    parsed: &BTreeMap<Digest, ImageDocument>,
) -> Option<Candidate> {
    let document = parsed.get(&attached.digest)?;
    let layers = document.children().into_iter().filter_map(|l| Some((l.clone(), bytes.get(&l.digest)?.clone())));
    let content = Content { digest: attached.digest.clone(), size: attached.size };
    Some(Candidate {
        tag: attached.tag.clone(),
        document: ManifestBytes {
            descriptor: Descriptor::new(attached.media_type.clone(), content),
            bytes: bytes.get(&attached.digest)?.clone(),
        },
        layers: layers.collect(),
    })
}

/// Returns how a refused artifact is reported.
pub fn refusal(artifact: &LockedArtifact, judgement: &Judgement) -> Refusal {
    Refusal {
        item: artifact.source.at(&artifact.digest).to_string(),
        rule: judgement.rule.clone(),
        reason: judgement.reason.clone(),
        hint: judgement.hint.clone(),
    }
}

fn root(artifact: &LockedArtifact) -> Descriptor {
    Descriptor::new(artifact.media_type.clone(), Content { digest: artifact.digest.clone(), size: artifact.size })
}

/// Reads a small blob into memory and checks it.
fn read_small(source: &dyn Source, at: &Repository, want: &Descriptor) -> Result<Vec<u8>, ItemFault> {
    let item = || format!("{at}@{}", want.digest);
    let fail = |fault| ItemFault { item: item(), fault };
    let mut bytes = Vec::with_capacity(usize::try_from(want.size).unwrap_or_default());
    let reader = source.open(at, want, 0).map_err(fail)?;
    reader
        .take(want.size + 1)
        .read_to_end(&mut bytes)
        .map_err(|error| fail(Fault::from_io(error, &item(), "ended early")))?;
    if want.names_bytes(&bytes) {
        return Ok(bytes);
    }
    let what = format!(
        "expected {want}, received {} ({} bytes)",
        Digest::of_with(want.digest.algorithm(), &bytes),
        bytes.len()
    );
    Err(fail(Fault::new(FaultKind::Damaged, item(), what)))
}

pub(super) fn keep_or_list<T>(results: Vec<Result<T, ItemFault>>) -> Result<Vec<T>, FlowError> {
    let mut good = Vec::with_capacity(results.len());
    let mut bad = Vec::new();
    for result in results {
        match result {
            Ok(value) => good.push(value),
            Err(fault) => bad.push(fault),
        }
    }
    if bad.is_empty() { Ok(good) } else { Err(FlowError::Source(bad)) }
}

/// Notes for each blob the repository of the artifact that first needs it.
fn place_blobs(shipment: &Shipment, origin: &mut BTreeMap<Digest, Repository>) -> Vec<(Repository, Descriptor)> {
    let mut small = Vec::new();
    for (at, artifact) in shipment.lock.artifacts.iter().enumerate() {
        for blob in shipment.blobs_of_artifact(at) {
            let descriptor = blob.descriptor;
            if origin.contains_key(&descriptor.digest) {
                continue;
            }
            origin.insert(descriptor.digest.clone(), artifact.source.repository.clone());
            let document = matches!(blob.class, crate::bundle::Class::Config | crate::bundle::Class::Evidence);
            if document && descriptor.size <= SMALL && shipment.small(&descriptor.digest).is_none() {
                small.push((artifact.source.repository.clone(), descriptor));
            }
        }
    }
    small
}

fn fetch_small(
    shipment: &mut Shipment,
    source: &dyn Source,
    wanted: &[(Repository, Descriptor)],
    threads: usize,
) -> Result<(), FlowError> {
    let blobs = keep_or_list(pool::all(wanted, threads, |(at, want)| read_small(source, at, want)))?;
    for ((_, want), bytes) in wanted.iter().zip(blobs) {
        shipment.keep_small(want.digest.clone(), bytes);
    }
    Ok(())
}
