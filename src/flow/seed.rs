//! From a bundle to a node that has no registry: into its containerd, or into the folder from which k3s imports.

use super::context::Context;
use super::error::FlowError;
use super::load::{Archive, Choice, LeftOut, LoadError, LoadItem, Shape, Supply, choose};
use super::loading::{Accepted, LoadFrom, accept, check_whole};
use super::shipment::Shipment;
use super::unpack::{failed, is_there, refused, started};
use crate::model::event::Stage;
use crate::model::evidence::FindingClass;
use crate::model::{Digest, Event, Fault, FaultKind, Finding, ImageRef, Platform};
use crate::node::{Ctr, NodeError};
use crate::store::OutgoingFile;
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};
use std::io::Write;
use std::path::{Path, PathBuf};

/// Bytes after which an import ends and the next begins, so that a run that was killed goes on near where it was.
const LOT: u64 = 4 << 30;

/// What is seeded, and where to.
pub struct Request<'a> {
    /// Bundle, and who must have vouched for it.
    pub from: LoadFrom<'a>,
    /// What of it. Its platform is that of the node.
    pub choice: &'a Choice,
    /// Where to.
    pub node: Node<'a>,
    /// Plan only.
    pub dry_run: bool,
}

/// Where a node takes images from.
#[derive(Clone, Copy)]
pub enum Node<'a> {
    /// Its containerd.
    Containerd(&'a Ctr),
    /// The folder whose archives k3s and RKE2 import.
    Folder(&'a Path),
}

/// What became of one image.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum SeedOutcome {
    /// It would be sent.
    Planned,
    /// It was sent by this run.
    Seeded,
    /// It was there, and is kept from now on.
    Pinned,
    /// It was there already.
    AlreadyThere,
}

/// One image on the node.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct SeededImage {
    /// Image as the lock names it.
    pub source: ImageRef,
    /// What its names stand for.
    pub digest: Digest,
    /// Names on the node.
    pub names: Vec<String>,
    /// Bytes under its names.
    pub bytes: u64,
    /// What became of it.
    pub outcome: SeedOutcome,
}

/// What came of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Seeded {
    /// Which bundle.
    pub bundle: Digest,
    /// Who signed it, or why it was accepted without.
    pub authenticity: String,
    /// Where it went: `containerd 1.7.24, namespace k8s.io`, or the file.
    pub place: String,
    /// Platform of the node.
    #[serde(serialize_with = "as_text")]
    pub platform: Option<Platform>,
    /// Images, in the order of the lock.
    pub images: Vec<SeededImage>,
    /// What of the bundle is not there.
    pub left_out: Vec<LeftOut>,
    /// Bytes handed over by this run.
    pub bytes_sent: u64,
    /// What a person should know.
    pub findings: Vec<Finding>,
}

fn as_text<S: serde::Serializer>(platform: &Option<Platform>, serializer: S) -> Result<S::Ok, S::Error> {
    platform.as_ref().map(ToString::to_string).serialize(serializer)
}

/// Seeds. What an image's name stands for is whole whenever the name can be seen; a second run sends nothing.
pub fn seed(request: Request<'_>, context: &Context<'_>) -> Result<Seeded, FlowError> {
    let Accepted { shipment, supply, authenticity, bundle_id, omitted, mut findings } = accept(request.from)?;
    let shape = match request.node {
        Node::Containerd(_) => Shape::Node,
        Node::Folder(_) => Shape::Folder,
    };
    let plan = choose(&shipment, request.choice, shape)?;
    findings.extend(plan.findings);
    let mut job = Job { shipment, supply, omitted, items: plan.items, findings, dry_run: request.dry_run, context };
    let Done { place, outcomes, bytes_sent } = match request.node {
        Node::Containerd(ctr) => job.fill_containerd(ctr, request.choice.platform.as_ref())?,
        Node::Folder(folder) => job.fill_folder(folder)?,
    };
    let image = |(item, outcome): (LoadItem, SeedOutcome)| {
        let LoadItem { source, digest, names, bytes, .. } = item;
        SeededImage { source, digest, names, bytes, outcome }
    };
    Ok(Seeded {
        bundle: bundle_id,
        authenticity,
        place,
        platform: request.choice.platform.clone(),
        images: job.items.into_iter().zip(outcomes).map(image).collect(),
        left_out: plan.left_out,
        bytes_sent,
        findings: job.findings,
    })
}

struct Job<'a> {
    shipment: Shipment,
    supply: Supply,
    omitted: BTreeSet<Digest>,
    items: Vec<LoadItem>,
    findings: Vec<Finding>,
    dry_run: bool,
    context: &'a Context<'a>,
}

struct Done {
    place: String,
    outcomes: Vec<SeedOutcome>,
    bytes_sent: u64,
}

/// What a node has.
struct Stock {
    images: BTreeMap<String, Digest>,
    pinned: BTreeSet<String>,
    content: BTreeSet<Digest>,
}

impl Stock {
    fn of(ctr: &Ctr) -> Result<Self, FlowError> {
        let fail = |error| refusal(ctr, error);
        let images = ctr.images().map_err(fail)?;
        Ok(Self { images, pinned: ctr.pinned().map_err(fail)?, content: ctr.content().map_err(fail)? })
    }

    /// Returns whether every name stands for the image and everything under it is there.
    fn holds(&self, item: &LoadItem) -> bool {
        let named = item.names.iter().all(|name| self.images.get(name) == Some(&item.digest));
        let blobs = item.blobs.iter().map(|blob| &blob.digest);
        named && item.documents.iter().chain(blobs).all(|digest| self.content.contains(digest))
    }

    fn keeps(&self, item: &LoadItem) -> bool {
        item.names.iter().all(|name| self.pinned.contains(name))
    }

    fn outcome(&self, item: &LoadItem) -> SeedOutcome {
        match (self.holds(item), self.keeps(item)) {
            (false, _) => SeedOutcome::Seeded,
            (true, false) => SeedOutcome::Pinned,
            (true, true) => SeedOutcome::AlreadyThere,
        }
    }
}

impl Job<'_> {
    fn fill_containerd(&mut self, ctr: &Ctr, platform: Option<&Platform>) -> Result<Done, FlowError> {
        let stock = Stock::of(ctr)?;
        self.findings.extend(self.items.iter().flat_map(|item| moves(&stock, item)));
        let mut outcomes: Vec<SeedOutcome> = self.items.iter().map(|item| stock.outcome(item)).collect();
        check_whole(self.items.iter().filter(|item| !stock.holds(item)), &self.omitted)?;
        let mut bytes_sent = 0;
        let place = format!("{}, namespace {}", ctr.product(), ctr.namespace());
        if self.dry_run {
            let planned = |outcome| if outcome == SeedOutcome::Seeded { SeedOutcome::Planned } else { outcome };
            outcomes = outcomes.into_iter().map(planned).collect();
            return Ok(Done { place, outcomes, bytes_sent });
        }
        let platform = platform.ok_or_else(|| FlowError::Usage("the platform of the node is not known".to_owned()))?;
        let missing = outcomes.iter().enumerate().filter(|(_, outcome)| **outcome == SeedOutcome::Seeded);
        let missing: Vec<(usize, u64)> = missing.map(|(at, _)| (at, self.items[at].bytes)).collect();
        // A stream is read once, so it makes one import.
        for lot in lots(&missing, if self.supply.again() { LOT } else { u64::MAX }) {
            bytes_sent += self.send(ctr, platform, &lot)?;
            self.check(ctr, &lot)?;
        }
        self.supply.drain()?;
        self.pin(ctr, &stock)?;
        Ok(Done { place, outcomes, bytes_sent })
    }

    fn send(&mut self, ctr: &Ctr, platform: &Platform, lot: &[usize]) -> Result<u64, FlowError> {
        let items: Vec<&LoadItem> = lot.iter().map(|at| &self.items[*at]).collect();
        let archive = Archive::new(&self.shipment, &items, &self.supply, false);
        let (supply, context) = (&mut self.supply, self.context);
        context.tell(started(&items, &archive));
        let write = |input: &mut dyn Write| archive.write(supply, input, context).map(drop);
        let fed = ctr.import(platform, write).map_err(|error| refusal(ctr, error))?;
        match (fed.written, fed.ended) {
            (Ok(()), Ok(())) => {}
            (Err(LoadError::Supply(error)), _) => return Err(error),
            // Where it does not take its input to the end, it says itself why.
            (_, Err(error)) => return Err(refusal(ctr, error)),
            (Err(LoadError::Output(what, source)), Ok(())) => {
                return Err(FlowError::destination(ctr.product(), Fault::local("ctr images import", what, source)));
            }
        }
        context.tell(Event::Finished { stage: Stage::Import });
        Ok(archive.length())
    }

    /// Looks whether everything arrived: what a runtime says of an import is not taken for it.
    fn check(&self, ctr: &Ctr, lot: &[usize]) -> Result<(), FlowError> {
        let stock = Stock::of(ctr)?;
        for item in lot.iter().map(|at| &self.items[*at]) {
            if !stock.holds(item) {
                let what = "it says that the import is done, and the image is not whole there";
                let fault = Fault::new(FaultKind::Damaged, ctr.product(), what);
                return Err(FlowError::destination(item.source.to_string(), fault));
            }
            let outcome = "seeded".to_owned();
            self.context.tell(Event::Done { stage: Stage::Import, item: item.source.to_string(), outcome });
        }
        Ok(())
    }

    fn pin(&self, ctr: &Ctr, stock: &Stock) -> Result<(), FlowError> {
        let names = self.items.iter().flat_map(|item| &item.names);
        for name in names.filter(|name| !stock.pinned.contains(*name)) {
            self.context.go_on()?;
            ctr.pin(name).map_err(|error| refusal(ctr, error))?;
        }
        Ok(())
    }

    fn fill_folder(&mut self, folder: &Path) -> Result<Done, FlowError> {
        check_whole(self.items.iter(), &self.omitted)?;
        let items: Vec<&LoadItem> = self.items.iter().collect();
        let archive = Archive::new(&self.shipment, &items, &self.supply, true);
        let path = folder.join(format!("airlift-{}.tar", &archive.id().hex()[..16]));
        let outcome = match () {
            () if is_there(&path, &archive)? => SeedOutcome::AlreadyThere,
            () if self.dry_run => SeedOutcome::Planned,
            () => SeedOutcome::Seeded,
        };
        let mut bytes_sent = 0;
        if outcome == SeedOutcome::Seeded {
            self.context.tell(started(&items, &archive));
            std::fs::create_dir_all(folder).map_err(|error| FlowError::file(folder, "cannot be made", error))?;
            let file = OutgoingFile::create(&path, archive.length()).map_err(refused)?;
            let written = archive.write(&mut self.supply, file, self.context);
            written.map_err(|error| failed(&path, error))?.publish().map_err(refused)?;
            self.context.tell(Event::Finished { stage: Stage::Import });
            bytes_sent = archive.length();
        }
        if outcome == SeedOutcome::AlreadyThere {
            self.supply.drain()?;
        }
        self.findings.extend(others(folder, &path));
        let outcomes = vec![outcome; self.items.len()];
        Ok(Done { place: path.display().to_string(), outcomes, bytes_sent })
    }
}

/// Cuts items, each with its bytes, into lots of at most `limit` bytes; one item is never cut.
fn lots(items: &[(usize, u64)], limit: u64) -> Vec<Vec<usize>> {
    let (mut lots, mut room): (Vec<Vec<usize>>, u64) = (Vec::new(), 0);
    for (at, bytes) in items {
        match lots.last_mut().filter(|_| *bytes <= room) {
            Some(lot) => lot.push(*at),
            None => {
                lots.push(vec![*at]);
                room = limit;
            }
        }
        room = room.saturating_sub(*bytes);
    }
    lots
}

/// Says which names stand for something else until now.
fn moves(stock: &Stock, item: &LoadItem) -> Vec<Finding> {
    let other = |name: &&String| stock.images.get(*name).is_some_and(|digest| *digest != item.digest);
    let moved = |name: &String| {
        let what = format!("moves from {} to {}", stock.images[name], item.digest);
        Finding::warning(FindingClass::Destination, name, what)
    };
    item.names.iter().filter(other).map(moved).collect()
}

/// Says which archives of earlier runs lie in the folder: k3s imports them all.
fn others(folder: &Path, own: &Path) -> Vec<Finding> {
    let Ok(entries) = std::fs::read_dir(folder) else { return Vec::new() };
    let ours = |path: &PathBuf| {
        let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        path != own && name.starts_with("airlift-") && name.ends_with(".tar")
    };
    let mut paths: Vec<PathBuf> = entries.filter_map(|entry| Some(entry.ok()?.path())).filter(ours).collect();
    paths.sort();
    let one = |path: PathBuf| {
        let what = "was put there by another run; its images are imported at every start as well";
        let hint = "remove it when nothing needs its images any more";
        Finding::warning(FindingClass::Destination, path.display().to_string(), what).with_hint(hint)
    };
    paths.into_iter().map(one).collect()
}

fn refusal(ctr: &Ctr, error: NodeError) -> FlowError {
    match error {
        NodeError::Program { .. } => FlowError::Usage(error.to_string()),
        _ => {
            let mut fault = Fault::new(FaultKind::Refused, ctr.product(), error.to_string());
            fault.source = None;
            FlowError::destination(format!("namespace {}", ctr.namespace()), fault)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lot_ends_before_its_limit_and_an_item_is_never_cut() {
        let cut = |sizes: &[u64], limit| lots(&sizes.iter().copied().enumerate().collect::<Vec<_>>(), limit);
        assert_eq!(cut(&[4, 5, 1, 1], 10), [vec![0, 1, 2], vec![3]]);
        assert_eq!(cut(&[4, 6, 0], 10), [vec![0, 1, 2]]);
        assert_eq!(cut(&[50, 1, 50, 50], 10), [vec![0], vec![1], vec![2], vec![3]]);
        assert_eq!(cut(&[u64::MAX, u64::MAX, 7], u64::MAX), [vec![0], vec![1], vec![2]]);
        assert_eq!(cut(&[3, 4, 5], u64::MAX), [vec![0, 1, 2]]);
        assert!(cut(&[], 10).is_empty());
    }
}
