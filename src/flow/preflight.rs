//! The checklist before the first byte: is the destination there, does it take what is planned, is there room.

use super::error::{FlowError, ItemFault};
use super::plan_delivery::DeliveryPlan;
use super::shipment::Shipment;
use crate::model::evidence::{FindingClass, Severity};
use crate::model::port::{Destination, DiskState, PlaceState, ProjectState};
use crate::model::{Digest, FaultKind, Finding, ImageDocument, Repository};
use std::collections::{BTreeMap, BTreeSet};

/// What a preflight found.
pub struct Preflight {
    /// What the destination is.
    pub place: PlaceState,
    /// What a person should know; no errors among it.
    pub findings: Vec<Finding>,
}

/// Checks the destination against the plan, and creates projects where that was asked for.
///
/// All problems are listed before it fails. A dry run creates nothing.
pub fn check(
    shipment: &Shipment,
    plan: &DeliveryPlan,
    to: &dyn Destination,
    place: PlaceState,
    mode: Mode,
) -> Result<Preflight, FlowError> {
    let mut findings = plan.findings.clone();
    findings.extend(place.notes.iter().map(|note| Finding::warning(FindingClass::Destination, &place.product, note)));
    if plan.missing() > 0 {
        if place.read_only {
            let what = "refuses all writes at the moment (read-only mode)";
            findings.push(Finding::error(FindingClass::Destination, &place.product, what));
        }
        findings.extend(oversized(shipment, plan, &place));
        findings.extend(place.disk.iter().filter_map(|disk| crowded(shipment, plan, disk)));
        findings.extend(doubled(shipment, plan));
        for (project, need) in needs(shipment, plan) {
            findings.extend(project_findings(&project, &need, to, mode)?);
        }
    }
    let (errors, notes): (Vec<Finding>, Vec<Finding>) =
        findings.into_iter().partition(|finding| finding.severity == Severity::Error);
    if errors.is_empty() { Ok(Preflight { place, findings: notes }) } else { Err(FlowError::Preflight(errors)) }
}

/// How a delivery is meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Mode {
    /// Create projects that do not exist; else they are an error.
    pub create_projects: bool,
    /// Plan only; nothing is written.
    pub dry_run: bool,
}

struct Need {
    repositories: BTreeSet<Repository>,
    bytes: u64,
}

/// Sums what each project must take: each blob and each document once a project.
fn needs(shipment: &Shipment, plan: &DeliveryPlan) -> BTreeMap<String, Need> {
    let mut needs: BTreeMap<String, Need> = BTreeMap::new();
    let mut counted = BTreeSet::new();
    for artifact in plan.artifacts.iter().filter(|artifact| !artifact.present) {
        let project = artifact.repository.project();
        let need = needs.entry(project.to_owned()).or_insert_with(|| Need { repositories: BTreeSet::new(), bytes: 0 });
        need.repositories.insert(artifact.repository.clone());
        for step in artifact.documents.iter().filter(|step| counted.insert((project, &step.digest))) {
            need.bytes += shipment.verbatim(&step.digest).map_or(0, |document| document.descriptor.size);
        }
    }
    for blob in &plan.blobs {
        let held = blob.present_in.as_ref().map(Repository::project);
        let projects: BTreeSet<&str> = blob.missing_in.iter().map(Repository::project).collect();
        for project in projects.into_iter().filter(|project| Some(*project) != held) {
            if let Some(need) = needs.get_mut(project) {
                need.bytes += blob.descriptor.size;
            }
        }
    }
    needs
}

/// Bytes in which disks are handed out.
const BLOCK: u64 = 4096;

/// Fails where a disk has no room for what would be written: each blob and each document once.
fn crowded(shipment: &Shipment, plan: &DeliveryPlan, disk: &DiskState) -> Option<Finding> {
    let steps = plan.artifacts.iter().flat_map(|artifact| &artifact.documents);
    let documents: BTreeSet<&Digest> = steps.map(|step| &step.digest).collect();
    let sizes = documents.into_iter().filter_map(|digest| Some(shipment.verbatim(digest)?.descriptor.size));
    let blobs = plan.blobs.iter().filter(|blob| blob.present_in.is_none()).map(|blob| blob.descriptor.size);
    let needed: u64 = blobs.chain(sizes).map(|size| size.div_ceil(BLOCK) * BLOCK).sum();
    let what = format!("has no room: {needed} bytes are needed, {} are available", disk.available);
    let finding = || Finding::error(FindingClass::Destination, &disk.folder, what);
    (needed > disk.available).then(|| finding().with_hint("make room there, or name a folder on another disk"))
}

fn oversized(shipment: &Shipment, plan: &DeliveryPlan, place: &PlaceState) -> Vec<Finding> {
    let steps = plan.artifacts.iter().flat_map(|artifact| artifact.documents.iter().map(move |step| (artifact, step)));
    let large = steps.filter_map(|(artifact, step)| {
        let size = shipment.verbatim(&step.digest)?.descriptor.size;
        let what = format!(
            "its document {} has {size} bytes; {} takes at most {}",
            step.digest, place.product, place.manifest_limit
        );
        (size > place.manifest_limit).then(|| Finding::error(FindingClass::Destination, &artifact.destination, what))
    });
    large.collect()
}

/// Warns of indexes that list a child more than once: legal, but Harbor has room for one row only, and takes it back.
fn doubled(shipment: &Shipment, plan: &DeliveryPlan) -> Vec<Finding> {
    let mut findings = Vec::new();
    for artifact in plan.artifacts.iter().filter(|artifact| !artifact.present) {
        let trees = artifact.documents.iter().map(|step| (&step.digest, shipment.document(&step.digest)));
        for (digest, document) in trees {
            let Some(ImageDocument::Index(index)) = document else { continue };
            let mut seen = BTreeSet::new();
            let Some(twice) = index.manifests.iter().find(|child| !seen.insert(&child.digest)) else { continue };
            let what = format!("its index {digest} lists {} more than once, which Harbor refuses", twice.digest);
            let hint =
                "pack it for one platform with --platform, or with platforms in the mirror file; its digest changes";
            findings.push(Finding::warning(FindingClass::Destination, &artifact.destination, what).with_hint(hint));
        }
    }
    findings
}

fn project_findings(name: &str, need: &Need, to: &dyn Destination, mode: Mode) -> Result<Vec<Finding>, FlowError> {
    let Some(first) = need.repositories.first() else { return Ok(Vec::new()) };
    let fail = |fault| FlowError::Destination(ItemFault { item: format!("project {name}"), fault });
    let state = to.project(first).map_err(fail)?;
    let mut findings = Vec::new();
    match (state, mode.create_projects, mode.dry_run) {
        (Some(state), _, _) => findings.extend(room(name, need.bytes, &state)),
        (None, true, false) => to.create(first).map_err(fail)?,
        (None, true, true) => {
            findings.push(Finding::warning(FindingClass::Destination, format!("project {name}"), "would be created"));
            return Ok(findings);
        }
        (None, false, _) => {
            let missing = Finding::error(FindingClass::Destination, format!("project {name}"), "does not exist");
            return Ok(vec![missing.with_hint("create it, or pass --create-projects")]);
        }
    }
    if mode.dry_run {
        // Some registries can only be asked by beginning an upload, and a dry run writes nothing.
        return Ok(findings);
    }
    match to.may_push(first) {
        Ok(()) => Ok(findings),
        Err(fault) if matches!(fault.kind, FaultKind::Unauthorized | FaultKind::Refused) => {
            findings.push(
                Finding::error(FindingClass::Destination, first.to_string(), fault.to_string()).with_hint(fault.hint),
            );
            Ok(findings)
        }
        Err(fault) => Err(fail(fault)),
    }
}

fn room(name: &str, bytes: u64, state: &ProjectState) -> Vec<Finding> {
    let place = format!("project {name}");
    let mut findings: Vec<Finding> =
        state.notes.iter().map(|note| Finding::warning(FindingClass::Destination, &place, note)).collect();
    if state.proxy {
        findings.push(Finding::error(
            FindingClass::Destination,
            &place,
            "is a proxy cache, into which nothing can be pushed",
        ));
    }
    if let Some(quota) = state.quota.filter(|quota| state.used.saturating_add(bytes) > *quota) {
        let what = format!(
            "quota {quota} bytes, used {}, needed {bytes}: {} bytes too few",
            state.used,
            state.used + bytes - quota
        );
        findings.push(Finding::error(FindingClass::Destination, &place, what));
    }
    findings
}
