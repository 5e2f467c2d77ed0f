//! Decides what a delta leaves out: blobs that every site has by the word of its bases.
//!
//! What a far side needs to judge always travels: manifests, indexes, signatures, attestations. Every other blob that all
//! sites have is left out, and of an artifact that they have whole nothing is left but that.

use super::base_papers::{Base, Holds, Places, Site};
use super::context::Context;
use super::error::{FlowError, ItemFault};
use super::gather::Collector;
use super::making::Making;
use super::plan_delivery::{Prefix, plan_asking};
use super::pool;
use super::shipment::Shipment;
use crate::document::base::{BaseKind, BasePaper, BaseSite, BundleBase, Elsewhere};
use crate::document::lock::{Lock, LockedArtifact};
use crate::document::request::{Request, RequestedFor};
use crate::model::evidence::FindingClass;
use crate::model::port::{Destination, Source};
use crate::model::{Digest, FaultKind, Finding, ImageDocument};
use std::collections::{BTreeMap, BTreeSet};

/// Repositories that are named for one blob: one is enough, and a few more outlive a deletion.
const NAMED: usize = 4;

/// What a bundle may leave out.
pub enum Leaving<'a> {
    /// Nothing: it is whole.
    Nothing,
    /// What all sites of these bases have; the port asks those that are registries.
    Known(&'a [Base], &'a dyn Destination),
    /// Everything that a request does not ask for; with the digest of its bytes.
    Unrequested(&'a Request, Digest),
}

/// What is left out, and what the bundle says about it.
pub(super) struct LeftOut {
    pub paper: BundleBase,
    pub blobs: BTreeSet<Digest>,
    pub findings: Vec<Finding>,
}

/// Returns the part of `lock` that is packed: all of it, or the artifacts that a request is about.
pub(super) fn narrowed(lock: Lock, leaving: &Leaving<'_>) -> Result<Lock, FlowError> {
    let Leaving::Unrequested(request, _) = leaving else { return Ok(lock) };
    let is_asked_for = |artifact: &LockedArtifact| {
        let same = |one: &&RequestedFor| (&artifact.digest, &artifact.destination) == (&one.digest, &one.destination);
        request.artifacts.iter().find(same)
    };
    let (mut kept, mut found) = (Vec::new(), BTreeSet::new());
    for artifact in lock.artifacts {
        if let Some(one) = is_asked_for(&artifact) {
            found.insert((&one.digest, &one.destination));
            kept.push(artifact);
        }
    }
    match request.artifacts.iter().find(|one| !found.contains(&(&one.digest, &one.destination))) {
        None => Ok(Lock::new(kept)),
        Some(absent) => Err(FlowError::Usage(format!(
            "the request is about {} for {}, which is not wanted here: give the lock of the delta with --lock",
            absent.source.at(&absent.digest),
            absent.destination
        ))),
    }
}

/// Decides what is left out of `shipment`. `judged_by` travels in any case.
pub(super) fn leave_out(
    leaving: &Leaving<'_>,
    (shipment, judged_by): (&Shipment, &BTreeSet<Digest>),
    source: &dyn Source,
    context: &Context<'_>,
) -> Result<Option<LeftOut>, FlowError> {
    let needed = needed(shipment, judged_by);
    match leaving {
        Leaving::Nothing => Ok(None),
        Leaving::Unrequested(request, digest) => unrequested(request, digest, shipment, needed).map(Some),
        Leaving::Known(bases, asked) => {
            let mut findings = Vec::new();
            let mut sites: Vec<KnownSite<'_>> = Vec::new();
            for base in *bases {
                let places = match &base.holds {
                    Holds::Blobs(places) => places.clone(),
                    Holds::Lock(lock) => of_lock(lock, shipment, source, context, &mut findings)?,
                    Holds::Registry(prefix) => of_registry(prefix, shipment, *asked, context)?,
                };
                join(&mut sites, base, places);
            }
            Ok(Some(LeftOut { findings, ..known(&sites, &needed) }))
        }
    }
}

/// Blobs that may be left out, in the order of need, with the repositories that need them.
type Needed = Vec<(Digest, BTreeSet<String>)>;

fn needed(shipment: &Shipment, judged_by: &BTreeSet<Digest>) -> Needed {
    let mut order: BTreeMap<Digest, usize> = BTreeMap::new();
    let mut needed = Needed::new();
    for (at, artifact) in shipment.lock.artifacts.iter().enumerate() {
        let blobs = shipment.blobs_of_artifact(at).into_iter().map(|blob| blob.descriptor.digest);
        for digest in blobs.filter(|digest| !judged_by.contains(digest)) {
            let place = *order.entry(digest.clone()).or_insert_with(|| {
                needed.push((digest, BTreeSet::new()));
                needed.len() - 1
            });
            needed[place].1.insert(artifact.destination.repository.clone());
        }
    }
    needed
}

struct KnownSite<'a> {
    site: &'a Site,
    papers: Vec<BasePaper>,
    places: Places,
}

/// Adds what a base knows to what its site is known to have.
fn join<'a>(sites: &mut Vec<KnownSite<'a>>, base: &'a Base, places: Places) {
    let (site, paper) = (&base.site, base.paper.clone());
    match sites.iter_mut().find(|known| known.site == site) {
        None => sites.push(KnownSite { site, papers: vec![paper], places }),
        Some(known) => {
            known.papers.push(paper);
            for (digest, repositories) in places {
                known.places.entry(digest).or_default().extend(repositories);
            }
        }
    }
}

fn known(sites: &[KnownSite<'_>], needed: &Needed) -> LeftOut {
    let mut blobs = BTreeSet::new();
    let mut elsewhere = Vec::new();
    for (digest, repositories) in needed {
        let there: Option<Vec<&BTreeSet<String>>> = sites.iter().map(|site| site.places.get(digest)).collect();
        let Some(there) = there else { continue };
        blobs.insert(digest.clone());
        // Where an import looks by itself needs no word.
        let others = there.iter().filter(|places| places.is_disjoint(repositories)).flat_map(|p| p.iter().take(NAMED));
        let others: BTreeSet<&String> = others.collect();
        if !others.is_empty() {
            let repositories = others.into_iter().cloned().collect();
            elsewhere.push(Elsewhere { digest: digest.clone(), repositories });
        }
    }
    let named = |known: &KnownSite<'_>| {
        let (Site::Named(name) | Site::Alone(_, name)) = known.site;
        BaseSite { name: name.clone(), papers: known.papers.clone() }
    };
    let paper = BundleBase::new(None, sites.iter().map(named).collect(), elsewhere);
    LeftOut { paper, blobs, findings: Vec::new() }
}

fn unrequested(request: &Request, digest: &Digest, shipment: &Shipment, needed: Needed) -> Result<LeftOut, FlowError> {
    let wanted = request.blobs();
    let sizes: BTreeMap<Digest, u64> = (0..shipment.lock.artifacts.len())
        .flat_map(|at| shipment.blobs_of_artifact(at))
        .map(|blob| (blob.descriptor.digest, blob.descriptor.size))
        .collect();
    if let Some((missing, size)) = wanted.iter().find(|(digest, size)| sizes.get(**digest) != Some(*size)) {
        let why = format!("asks for {missing} of {size} bytes, which none of its artifacts needs");
        return Err(FlowError::Content { item: "the request".to_owned(), why });
    }
    let blobs = needed.into_iter().map(|(digest, _)| digest).filter(|digest| !wanted.contains_key(digest)).collect();
    let paper = BasePaper {
        kind: BaseKind::Request,
        digest: Some(digest.clone()),
        bundle: Some(request.bundle.clone()),
        destination: Some(request.destination.clone()),
        finished: None,
        keys: Vec::new(),
    };
    let site = BaseSite { name: request.destination.clone(), papers: vec![paper] };
    let paper = BundleBase::new(Some(request.bundle.clone()), vec![site], Vec::new());
    Ok(LeftOut { paper, blobs, findings: Vec::new() })
}

/// Finds out what the artifacts of a lock consist of: from what was gathered, else from where they come from.
///
/// What a source no longer has is told, and nothing is left out because of it. What is attached to an artifact is not in
/// a lock, so nothing of that is taken to be there.
fn of_lock(
    lock: &Lock,
    shipment: &Shipment,
    source: &dyn Source,
    context: &Context<'_>,
    findings: &mut Vec<Finding>,
) -> Result<Places, FlowError> {
    let making = Making::new(source, lock);
    let closures = pool::each(&lock.artifacts, context.threads.max(8), |artifact| {
        context.go_on()?;
        let known = shipment.document(&artifact.digest).is_some();
        if known { Ok(Ok(below(shipment, &artifact.digest))) } else { fetched(artifact, &making) }
    })?;
    let mut places = Places::new();
    for (artifact, closure) in lock.artifacts.iter().zip(closures) {
        match closure {
            Ok(blobs) => {
                for blob in blobs {
                    places.entry(blob).or_default().insert(artifact.destination.repository.clone());
                }
            }
            Err(gone) => {
                let what = "its source no longer has it, so what it consists of is not left out because of it";
                let item = artifact.source.at(&artifact.digest).to_string();
                findings.push(Finding::warning(FindingClass::Source, item, format!("{what}: {gone}")));
            }
        }
    }
    Ok(places)
}

fn below(shipment: &Shipment, root: &Digest) -> Vec<Digest> {
    shipment.blobs(root, false).into_iter().map(|blob| blob.descriptor.digest).collect()
}

/// Fetches the documents of one artifact and returns its blobs, or why its source does not have it any more.
fn fetched(artifact: &LockedArtifact, source: &dyn Source) -> Result<Result<Vec<Digest>, ItemFault>, FlowError> {
    let mut collector = Collector::new(source, 1);
    match collector.trees(&Lock::new(vec![artifact.clone()])) {
        Ok(()) => {}
        Err(FlowError::Source(mut items)) if items.iter().all(|item| item.fault.kind == FaultKind::Missing) => {
            return items.pop().map_or_else(|| Ok(Ok(Vec::new())), |gone| Ok(Err(gone)));
        }
        Err(error) => return Err(error),
    }
    let images = collector.parsed.values().filter(|document| matches!(document, ImageDocument::Image(_)));
    let blobs = images.flat_map(ImageDocument::children).filter(|child| !child.media_type.is_non_distributable());
    Ok(Ok(blobs.map(|child| child.digest.clone()).collect()))
}

/// Asks a registry for everything that an import would put there.
fn of_registry(
    prefix: &Prefix,
    shipment: &Shipment,
    asked: &dyn Destination,
    context: &Context<'_>,
) -> Result<Places, FlowError> {
    let all: BTreeSet<Digest> = (0..shipment.lock.artifacts.len())
        .flat_map(|at| shipment.blobs_of_artifact(at))
        .map(|blob| blob.descriptor.digest)
        .collect();
    let plan = plan_asking(shipment, prefix, asked, context, &all)?;
    let missing: BTreeMap<&Digest, BTreeSet<&str>> = plan
        .blobs
        .iter()
        .map(|blob| (&blob.descriptor.digest, blob.missing_in.iter().map(|place| place.path()).collect()))
        .collect();
    let mut places = Places::new();
    for (at, (artifact, planned)) in shipment.lock.artifacts.iter().zip(&plan.artifacts).enumerate() {
        for blob in shipment.blobs_of_artifact(at) {
            let digest = blob.descriptor.digest;
            if !missing.get(&digest).is_some_and(|lacking| lacking.contains(planned.repository.path())) {
                places.entry(digest).or_default().insert(artifact.destination.repository.clone());
            }
        }
    }
    Ok(places)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn digest(name: &str) -> Digest {
        Digest::of(name.as_bytes())
    }

    fn base(site: Site) -> Base {
        let kind = BaseKind::Receipt;
        let paper = BasePaper { kind, digest: None, bundle: None, destination: None, finished: None, keys: Vec::new() };
        Base { site, paper, holds: Holds::Blobs(Places::new()) }
    }

    fn places(blobs: &[(&str, &str)]) -> Places {
        let mut places = Places::new();
        for (blob, repository) in blobs {
            places.entry(digest(blob)).or_default().insert((*repository).to_owned());
        }
        places
    }

    /// What is left out of what `a` needs, where `bases` are of `sites`.
    fn left(bases: &[(Site, Places)], needed: &[&str]) -> LeftOut {
        let bases: Vec<(Base, Places)> = bases.iter().map(|(site, p)| (base(site.clone()), p.clone())).collect();
        let mut sites = Vec::new();
        for (base, places) in &bases {
            join(&mut sites, base, places.clone());
        }
        let needed: Needed = needed.iter().map(|name| (digest(name), BTreeSet::from(["a".to_owned()]))).collect();
        known(&sites, &needed)
    }

    #[test]
    fn papers_of_one_site_join_and_sites_must_all_have_it() {
        let (north, south) = (Site::Named("north".into()), Site::Named("south".into()));
        let (one, two) = (places(&[("x", "a")]), places(&[("y", "a")]));
        let joined = left(&[(north.clone(), one.clone()), (north.clone(), two.clone())], &["x", "y", "z"]);
        assert_eq!(joined.blobs, BTreeSet::from([digest("x"), digest("y")]));
        assert_eq!((joined.paper.sites.len(), joined.paper.sites[0].papers.len()), (1, 2));
        let both = places(&[("x", "a"), ("y", "a")]);
        let apart = left(&[(north.clone(), both), (south, two.clone())], &["x", "y", "z"]);
        assert_eq!(apart.blobs, BTreeSet::from([digest("y")]));
        let alone = left(&[(Site::Alone(0, "p".into()), one), (Site::Alone(1, "p".into()), two)], &["x", "y"]);
        assert!(alone.blobs.is_empty(), "two papers of one name are not of one site because of it");
    }

    #[test]
    fn a_place_that_no_import_would_look_at_is_named_and_no_other() {
        let (north, south) = (Site::Named("north".into()), Site::Named("south".into()));
        let at_north = places(&[("x", "old"), ("y", "a"), ("y", "old"), ("w", "old")]);
        let at_south = places(&[("x", "older"), ("y", "old")]);
        let found = left(&[(north, at_north), (south, at_south)], &["x", "y", "w"]).paper.elsewhere;
        let named: Vec<(Digest, Vec<String>)> = found.into_iter().map(|e| (e.digest, e.repositories)).collect();
        let expected =
            vec![(digest("x"), vec!["old".to_owned(), "older".to_owned()]), (digest("y"), vec!["old".to_owned()])];
        assert_eq!(named, expected);
    }
}
