//! Collects the documents of a lock from their sources: manifests and indexes, everything that refers to
//! them, cosign's tags; judges what was found. Level by level, so nothing is asked for twice.

use super::error::{FlowError, ItemFault, Refusal};
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
    Tag, limits,
};
use crate::trust::{Candidate, Judge, Judgement, legacy_tags, wants_layers};
use std::collections::{BTreeMap, BTreeSet};
use std::io::Read;

/// What was collected.
pub struct Gathered {
    /// Documents and small blobs, put together.
    pub shipment: Shipment,
    /// Where each blob can be fetched.
    pub origin: BTreeMap<Digest, Repository>,
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
    collector.trees(&lock)?;
    collector.attachments(&lock)?;
    let evidence = collector.judge(&lock, judge, events)?;
    let Collector { bytes, mut origin, warnings, .. } = collector;
    let mut shipment = Shipment::new(lock, evidence, bytes)?;
    let place = place_blobs(&shipment, &mut origin);
    fetch_small(&mut shipment, source, &place, threads)?;
    events.take(Event::Finished { stage: Stage::Judge });
    Ok(Gathered { shipment, origin, warnings })
}

struct Collector<'a> {
    source: &'a dyn Source,
    threads: usize,
    bytes: BTreeMap<Digest, Vec<u8>>,
    parsed: BTreeMap<Digest, ImageDocument>,
    origin: BTreeMap<Digest, Repository>,
    /// What refers to a subject in a repository.
    attached: BTreeMap<(Repository, Digest), Vec<Attached>>,
    warnings: Vec<Finding>,
}

type Place = (Repository, Digest);

impl<'a> Collector<'a> {
    fn new(source: &'a dyn Source, threads: usize) -> Self {
        Self {
            source,
            threads,
            bytes: BTreeMap::new(),
            parsed: BTreeMap::new(),
            origin: BTreeMap::new(),
            attached: BTreeMap::new(),
            warnings: Vec::new(),
        }
    }

    /// Fetches the document trees of all artifacts.
    fn trees(&mut self, lock: &Lock) -> Result<(), FlowError> {
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
    fn descend(&mut self, mut wanted: Vec<(Repository, Descriptor)>) -> Result<(), FlowError> {
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
    fn level(&mut self, wanted: Vec<(Repository, Descriptor)>) -> Result<Vec<(Repository, Descriptor)>, FlowError> {
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
    fn take_up(
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

    /// Finds what refers to the documents gathered so far, and what refers to that, to the limit of depth.
    fn attachments(&mut self, lock: &Lock) -> Result<(), FlowError> {
        let mut frontier = self.first_frontier(lock);
        let tags = self.tags_of(&frontier)?;
        for _ in 0..limits::REFERRER_DEPTH {
            frontier.retain(|place| !self.attached.contains_key(place));
            if frontier.is_empty() {
                return Ok(());
            }
            frontier = self.attach(&frontier, &tags)?;
        }
        match frontier.into_iter().find(|place| !self.attached.contains_key(place)) {
            None => Ok(()),
            Some((at, digest)) => Err(FlowError::Content {
                item: format!("{at}@{digest}"),
                why: format!("referrers of referrers are more than {} deep", limits::REFERRER_DEPTH),
            }),
        }
    }

    /// Returns every document of every tree with its repository, and the whole indexes behind subsets.
    fn first_frontier(&self, lock: &Lock) -> Vec<Place> {
        let mut places = BTreeSet::new();
        for artifact in &lock.artifacts {
            let at = &artifact.source.repository;
            if let Some(rule) = &artifact.subset {
                places.insert((at.clone(), rule.original.clone()));
            }
            let mut open = vec![artifact.digest.clone()];
            while let Some(digest) = open.pop() {
                let Some(document) = self.parsed.get(&digest) else { continue };
                if places.insert((at.clone(), digest)) {
                    open.extend(document.children().into_iter().map(|child| child.digest.clone()));
                }
            }
        }
        places.into_iter().collect()
    }

    /// Lists the tags of each repository once; `None` where a registry does not list them.
    fn tags_of(&self, places: &[Place]) -> Result<BTreeMap<Repository, Option<BTreeSet<Tag>>>, FlowError> {
        let repositories: Vec<Repository> =
            places.iter().map(|(at, _)| at.clone()).collect::<BTreeSet<_>>().into_iter().collect();
        let source = self.source;
        let lists = pool::all(&repositories, self.threads, |at| match source.tags(at) {
            Ok(tags) => Ok(Some(tags.into_iter().collect())),
            // Pulling may be allowed where listing is not; then each tag is asked for by name.
            Err(fault) if matches!(fault.kind, FaultKind::Unauthorized | FaultKind::Missing | FaultKind::Refused) => {
                Ok(None)
            }
            Err(fault) => Err(ItemFault { item: format!("tags of {at}"), fault }),
        });
        Ok(repositories.into_iter().zip(keep_or_list(lists)?).collect())
    }

    /// Collects what refers to each place, and returns the new places.
    fn attach(
        &mut self,
        frontier: &[Place],
        tags: &BTreeMap<Repository, Option<BTreeSet<Tag>>>,
    ) -> Result<Vec<Place>, FlowError> {
        let source = self.source;
        let found = pool::all(frontier, self.threads, |(at, subject)| {
            let fail = |fault| ItemFault { item: format!("what refers to {at}@{subject}"), fault };
            let referrers = source.referrers(at, subject).map_err(fail)?;
            let tagged = tagged(source, at, subject, tags.get(at).and_then(Option::as_ref)).map_err(fail)?;
            Ok((referrers, tagged))
        });
        let mut next = Vec::new();
        for ((at, subject), (referrers, tagged)) in frontier.iter().zip(keep_or_list(found)?) {
            let mut attached = self.referring(at, subject, &referrers)?;
            for (tag, document) in tagged {
                attached.push(self.tagged(at, subject, tag, document)?);
            }
            next.extend(attached.iter().map(|a| (at.clone(), a.digest.clone())));
            self.attached.insert((at.clone(), subject.clone()), attached);
        }
        Ok(next)
    }

    fn referring(
        &mut self,
        at: &Repository,
        subject: &Digest,
        referrers: &[Descriptor],
    ) -> Result<Vec<Attached>, FlowError> {
        if referrers.len() > limits::REFERRERS_PER_SUBJECT {
            return Err(FlowError::Content {
                item: format!("{at}@{subject}"),
                why: format!("{} referrers, the limit is {}", referrers.len(), limits::REFERRERS_PER_SUBJECT),
            });
        }
        let wanted = referrers.iter().map(|d| (at.clone(), d.bare())).collect();
        let below = self.level(wanted)?;
        self.descend(below)?;
        let mut attached = Vec::new();
        for referrer in referrers {
            let Some(document) = self.parsed.get(&referrer.digest) else { continue };
            if document.subject().is_none_or(|about| about.digest != *subject) {
                let item = format!("{at}@{}", referrer.digest);
                let what = format!("is listed as a referrer of {subject}, but is about something else; left out");
                self.warnings.push(Finding::warning(FindingClass::Source, item, what));
                continue;
            }
            attached.push(Attached {
                subject: subject.clone(),
                media_type: referrer.media_type.clone(),
                digest: referrer.digest.clone(),
                size: referrer.size,
                artifact_type: document.artifact_type().cloned(),
                tag: None,
            });
        }
        Ok(attached)
    }

    fn tagged(
        &mut self,
        at: &Repository,
        subject: &Digest,
        tag: Tag,
        document: ManifestBytes,
    ) -> Result<Attached, FlowError> {
        let descriptor = document.descriptor.clone();
        if !self.parsed.contains_key(&descriptor.digest) {
            let below = self.take_up(at, &descriptor, document)?;
            self.descend(below)?;
        }
        Ok(Attached {
            subject: subject.clone(),
            artifact_type: self.parsed.get(&descriptor.digest).and_then(|d| d.artifact_type().cloned()),
            media_type: descriptor.media_type,
            digest: descriptor.digest,
            size: descriptor.size,
            tag: Some(tag),
        })
    }

    /// Judges each artifact by what is attached to it; lists all refusals before it fails.
    fn judge(&mut self, lock: &Lock, judge: &Judge, events: &dyn EventSink) -> Result<BundleEvidence, FlowError> {
        self.fetch_signed_layers(lock)?;
        let mut entries = Vec::new();
        let mut refused = Vec::new();
        for artifact in &lock.artifacts {
            let (subject, judgement) = self.judge_one(artifact, judge);
            if !judgement.accepted {
                refused.push(refusal(artifact, &judgement));
            }
            let outcome = if judgement.accepted { "accepted" } else { "refused" };
            let item = artifact.source.to_string();
            events.take(Event::Done { stage: Stage::Judge, item, outcome: format!("{outcome}: {}", judgement.reason) });
            entries.push(ArtifactEvidence {
                subject,
                rule: judgement.rule,
                exemption: judgement.exemption,
                would_refuse: judgement.would_refuse,
                attached: self.closure(&artifact.source.repository, &artifact.digest),
                judged: judgement.evidence,
            });
        }
        if refused.is_empty() { Ok(BundleEvidence::new(entries)) } else { Err(FlowError::Refused(refused)) }
    }

    fn judge_one(&self, artifact: &LockedArtifact, judge: &Judge) -> (Digest, Judgement) {
        let subject = judged_subject(artifact);
        let place = (artifact.source.repository.clone(), subject.digest.clone());
        let none = Vec::new();
        let candidates: Vec<Candidate> = self
            .attached
            .get(&place)
            .unwrap_or(&none)
            .iter()
            .filter_map(|a| candidate(a, &self.bytes, &self.parsed))
            .collect();
        (subject.digest.clone(), judge.judge(&artifact.source, &subject, &candidates))
    }

    /// Fetches the layers of signatures and attestations of the judged subjects.
    fn fetch_signed_layers(&mut self, lock: &Lock) -> Result<(), FlowError> {
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

/// Fetches the documents under cosign's tags of `subject`; only those that exist, where the tags are known.
fn tagged(
    source: &dyn Source,
    at: &Repository,
    subject: &Digest,
    tags: Option<&BTreeSet<Tag>>,
) -> Result<Vec<(Tag, ManifestBytes)>, Fault> {
    let mut found = Vec::new();
    for (tag, _) in legacy_tags(subject) {
        if tags.is_some_and(|tags| !tags.contains(&tag)) {
            continue;
        }
        match source.manifest(at, &Reference::Tag(tag.clone())) {
            Ok(document) => found.push((tag, document)),
            Err(fault) if fault.kind == FaultKind::Missing => {}
            Err(fault) => return Err(fault),
        }
    }
    Ok(found)
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

fn keep_or_list<T>(results: Vec<Result<T, ItemFault>>) -> Result<Vec<T>, FlowError> {
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
