//! Plans what a destination lacks: artifacts, blobs, documents, in the order in which they will be sent.
//! A plan is data: it can be printed (`--dry-run`), compared in a test, and says beforehand what will move.

use super::context::Context;
use super::error::{FlowError, ItemFault};
use super::pool;
use super::shipment::Shipment;
use crate::document::evidence::Attached;
use crate::document::lock::Target;
use crate::model::event::Stage;
use crate::model::evidence::FindingClass;
use crate::model::port::Destination;
use crate::model::reference::{ReferenceError, check_host};
use crate::model::{Descriptor, Digest, Event, Finding, Reference, Repository, Tag};
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};

/// Where a delivery goes: a host and a prefix that stands before every repository.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Prefix {
    host: String,
    path: String,
}

impl Prefix {
    /// Parses `HOST[:PORT][/PREFIX]`.
    pub fn parse(text: &str) -> Result<Self, ReferenceError> {
        let (host, path) = text.split_once('/').unwrap_or((text, ""));
        let path = path.trim_end_matches('/');
        check_host(host).map_err(|(at, why)| ReferenceError { input: text.to_owned(), at, why: why.to_owned() })?;
        if !path.is_empty() {
            Repository::new(host, path)?;
        }
        Ok(Self { host: host.to_owned(), path: path.to_owned() })
    }

    /// Returns the host with its port.
    pub fn host(&self) -> &str {
        &self.host
    }

    /// Returns the parts in front of every repository; empty where there are none.
    pub fn path(&self) -> &str {
        &self.path
    }

    /// Returns the repository that `target` becomes here.
    pub fn repository(&self, target: &Target) -> Result<Repository, ReferenceError> {
        let path = if self.path.is_empty() {
            target.repository.clone()
        } else {
            format!("{}/{}", self.path, target.repository)
        };
        Repository::new(&self.host, &path)
    }
}

impl std::fmt::Display for Prefix {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.host)?;
        if self.path.is_empty() { Ok(()) } else { write!(f, "/{}", self.path) }
    }
}

/// What will be done, artifact by artifact and blob by blob.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct DeliveryPlan {
    /// One entry for each artifact of the lock, in its order.
    pub artifacts: Vec<ArtifactPlan>,
    /// Blobs that must move or be mounted, in the order of need.
    pub blobs: Vec<BlobPlan>,
    /// What a person should know before the first byte.
    pub findings: Vec<Finding>,
}

/// What will be done for one artifact.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ArtifactPlan {
    /// Reference at the destination.
    pub destination: String,
    /// Its repository.
    #[serde(skip)]
    pub repository: Repository,
    /// Whether all of it is there already.
    pub present: bool,
    /// Whether it waits for blobs that come with another bundle: those that are here are sent, and nothing is shown of it.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub waits: bool,
    /// Documents to send, in order: children, what is attached, the artifact itself. Empty when present.
    pub documents: Vec<DocumentStep>,
}

/// One document to send.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct DocumentStep {
    /// Which.
    pub digest: Digest,
    /// Tag that it gets.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tag: Option<Tag>,
}

/// One blob with the repositories that lack it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct BlobPlan {
    /// Which.
    pub descriptor: Descriptor,
    /// Repositories of this destination that need it and do not have it; never empty.
    #[serde(serialize_with = "paths")]
    pub missing_in: Vec<Repository>,
    /// A repository of this destination that has it.
    #[serde(serialize_with = "path")]
    pub present_in: Option<Repository>,
    /// Whether its bytes came with the documents: a small blob, which is sent to each repository and never mounted.
    pub at_hand: bool,
}

impl BlobPlan {
    /// Returns the bytes that are sent of it.
    pub const fn bytes(&self) -> u64 {
        match (self.at_hand, &self.present_in) {
            (true, _) => self.descriptor.size * self.missing_in.len() as u64,
            (false, None) => self.descriptor.size,
            (false, Some(_)) => 0,
        }
    }
}

fn paths<S: serde::Serializer>(list: &[Repository], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_seq(list.iter().map(Repository::path))
}

fn path<S: serde::Serializer>(one: &Option<Repository>, serializer: S) -> Result<S::Ok, S::Error> {
    one.as_ref().map(Repository::path).serialize(serializer)
}

impl DeliveryPlan {
    /// Returns the bytes that must be sent: blobs that no repository of the destination has, and small ones.
    ///
    /// A destination that cannot mount gets more: a blob once for each repository.
    pub fn bytes_to_send(&self) -> u64 {
        self.blobs.iter().map(BlobPlan::bytes).sum()
    }

    /// Returns how many artifacts are not all there.
    pub fn missing(&self) -> usize {
        self.artifacts.iter().filter(|artifact| !artifact.present).count()
    }
}

/// Asks `to` what it has of `shipment`, and plans the rest. Writes nothing.
pub fn plan(
    shipment: &Shipment,
    prefix: &Prefix,
    to: &dyn Destination,
    context: &Context<'_>,
) -> Result<DeliveryPlan, FlowError> {
    plan_asking(shipment, prefix, to, context, &BTreeSet::new())
}

/// As [`plan`], but of the blobs in `doubted` each is asked for by itself: an artifact is not taken to be there because its
/// document is.
pub fn plan_asking(
    shipment: &Shipment,
    prefix: &Prefix,
    to: &dyn Destination,
    context: &Context<'_>,
    doubted: &BTreeSet<Digest>,
) -> Result<DeliveryPlan, FlowError> {
    let items = shipment.lock.artifacts.len();
    context.tell(Event::Started { stage: Stage::Compare, items: items as u64, bytes: 0 });
    let repositories = repositories(shipment, prefix)?;
    let numbered: Vec<usize> = (0..items).collect();
    let states = pool::each(&numbered, context.threads, |at| {
        context.go_on()?;
        let (present, notes) = state(shipment, *at, &repositories[*at], to)?;
        let holds = present && holds_all(shipment, *at, (&repositories[*at], doubted), to)?;
        Ok::<_, FlowError>((holds, notes))
    })?;
    let mut findings = Vec::new();
    let mut artifacts = Vec::new();
    for (at, (present, notes)) in states.into_iter().enumerate() {
        findings.extend(notes);
        let repository = repositories[at].clone();
        let documents = if present { Vec::new() } else { documents(shipment, at) };
        artifacts.push(ArtifactPlan {
            destination: name(shipment, at, &repository),
            repository,
            present,
            waits: false,
            documents,
        });
    }
    let blobs = blobs(shipment, &artifacts, to, context)?;
    context.tell(Event::Finished { stage: Stage::Compare });
    Ok(DeliveryPlan { artifacts, blobs, findings })
}

fn repositories(shipment: &Shipment, prefix: &Prefix) -> Result<Vec<Repository>, FlowError> {
    let mut owners: BTreeMap<(Repository, Tag), &Digest> = BTreeMap::new();
    let mut repositories = Vec::new();
    for artifact in &shipment.lock.artifacts {
        let repository = prefix
            .repository(&artifact.destination)
            .map_err(|error| FlowError::Usage(format!("{}: {error}", artifact.source)))?;
        if let Some(tag) = &artifact.destination.tag {
            let owner = owners.entry((repository.clone(), tag.clone())).or_insert(&artifact.digest);
            if **owner != artifact.digest {
                return Err(FlowError::Usage(format!(
                    "{repository}:{tag} is the destination of both {owner} and {}",
                    artifact.digest
                )));
            }
        }
        repositories.push(repository);
    }
    Ok(repositories)
}

fn name(shipment: &Shipment, at: usize, repository: &Repository) -> String {
    match shipment.artifact(at) {
        Some((locked, _)) => match &locked.destination.tag {
            Some(tag) => format!("{repository}:{tag}"),
            None => format!("{repository}@{}", locked.digest),
        },
        None => repository.to_string(),
    }
}

/// Returns whether the artifact with all that is attached to it is there, and what should be known of its tags.
fn state(
    shipment: &Shipment,
    at: usize,
    repository: &Repository,
    to: &dyn Destination,
) -> Result<(bool, Vec<Finding>), FlowError> {
    let Some((locked, evidence)) = shipment.artifact(at) else { return Ok((true, Vec::new())) };
    let mut findings = Vec::new();
    let top = (locked.digest.clone(), locked.destination.tag.clone());
    let attached = carried(shipment, &evidence.attached).map(|a| (a.digest.clone(), a.tag.clone()));
    let mut present = true;
    for (digest, tag) in std::iter::once(top).chain(attached) {
        let reference = tag.clone().map_or_else(|| Reference::Digest(digest.clone()), Reference::Tag);
        let there = to
            .head(repository, &reference)
            .map_err(|fault| FlowError::Destination(ItemFault { item: format!("{repository}:{reference}"), fault }))?;
        match there {
            Some(found) if found.digest == digest => {}
            Some(found) => {
                present = false;
                let what = format!("moves from {} to {}", found.digest, digest);
                findings.push(Finding::warning(FindingClass::Destination, format!("{repository}:{reference}"), what));
            }
            None => present = false,
        }
        if !present {
            break;
        }
    }
    Ok((present, findings))
}

/// Returns whether a repository has every blob of an artifact that is in doubt.
fn holds_all(
    shipment: &Shipment,
    at: usize,
    (repository, doubted): (&Repository, &BTreeSet<Digest>),
    to: &dyn Destination,
) -> Result<bool, FlowError> {
    if doubted.is_empty() {
        return Ok(true);
    }
    let blobs = shipment.blobs_of_artifact(at).into_iter().map(|blob| blob.descriptor);
    for want in blobs.filter(|blob| doubted.contains(&blob.digest)) {
        let fail = |fault| FlowError::destination(format!("{} in {repository}", want.digest), fault);
        if !to.has(repository, &want).map_err(fail)? {
            return Ok(false);
        }
    }
    Ok(true)
}

/// Returns the attached documents that are at hand, which are all but those about an index that was cut down.
fn carried<'a>(shipment: &'a Shipment, attached: &'a [Attached]) -> impl Iterator<Item = &'a Attached> {
    attached.iter().filter(|a| shipment.document(&a.digest).is_some())
}

/// Returns the documents of an artifact in the order in which a destination must get them.
fn documents(shipment: &Shipment, at: usize) -> Vec<DocumentStep> {
    let Some((locked, evidence)) = shipment.artifact(at) else { return Vec::new() };
    let mut steps: Vec<DocumentStep> = Vec::new();
    let mut untagged = BTreeSet::new();
    let mut tree = shipment.tree(&locked.digest);
    tree.pop();
    for digest in tree {
        if untagged.insert(digest.clone()) {
            steps.push(DocumentStep { digest, tag: None });
        }
    }
    for attached in carried(shipment, &evidence.attached) {
        let mut tree = shipment.tree(&attached.digest);
        tree.pop();
        for digest in tree {
            if untagged.insert(digest.clone()) {
                steps.push(DocumentStep { digest, tag: None });
            }
        }
        steps.push(DocumentStep { digest: attached.digest.clone(), tag: attached.tag.clone() });
    }
    steps.push(DocumentStep { digest: locked.digest.clone(), tag: locked.destination.tag.clone() });
    steps
}

/// Asks for every blob of every missing artifact in its repository, each pair once.
fn blobs(
    shipment: &Shipment,
    artifacts: &[ArtifactPlan],
    to: &dyn Destination,
    context: &Context<'_>,
) -> Result<Vec<BlobPlan>, FlowError> {
    let mut order: Vec<Descriptor> = Vec::new();
    let mut needed: BTreeMap<Digest, Vec<Repository>> = BTreeMap::new();
    for (at, artifact) in artifacts.iter().enumerate().filter(|(_, artifact)| !artifact.present) {
        for blob in shipment.blobs_of_artifact(at) {
            let places = needed.entry(blob.descriptor.digest.clone()).or_insert_with(|| {
                order.push(blob.descriptor.clone());
                Vec::new()
            });
            if !places.contains(&artifact.repository) {
                places.push(artifact.repository.clone());
            }
        }
    }
    let pairs: Vec<(&Descriptor, &Repository)> =
        order.iter().flat_map(|d| needed[&d.digest].iter().map(move |place| (d, place))).collect();
    let there = pool::each(&pairs, context.threads, |(want, place)| {
        context.go_on()?;
        to.has(place, want)
            .map_err(|fault| FlowError::Destination(ItemFault { item: format!("{} in {place}", want.digest), fault }))
    })?;
    let mut answers = pairs.iter().zip(there).map(|((_, place), has)| ((*place).clone(), has));
    let mut plans = Vec::new();
    for descriptor in &order {
        let (mut missing_in, mut present_in) = (Vec::new(), None);
        for (place, has) in answers.by_ref().take(needed[&descriptor.digest].len()) {
            if has { present_in = present_in.or(Some(place)) } else { missing_in.push(place) }
        }
        if !missing_in.is_empty() {
            let at_hand = shipment.small(&descriptor.digest).is_some();
            plans.push(BlobPlan { descriptor: descriptor.clone(), missing_in, present_in, at_hand });
        }
    }
    Ok(plans)
}
