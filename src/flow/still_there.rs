//! Asks a destination, before the first write, whether it still has what a delta leaves out.
//!
//! A base says what was there once. Whatever is gone since (garbage collection, a repository that was deleted, a delta that
//! was never imported) is listed in full, with a request by which a supplementary bundle can be packed.

use super::context::Context;
use super::error::{FlowError, ItemFault};
use super::opened::Opened;
use super::plan_delivery::{BlobPlan, DeliveryPlan, Prefix};
use super::pool;
use crate::document::base::BundleBase;
use crate::document::lock::Target;
use crate::document::request::{Request, RequestedBlob, RequestedFor};
use crate::model::evidence::{FindingClass, Severity};
use crate::model::port::Destination;
use crate::model::{Digest, FaultKind, Finding, Repository};
use std::collections::{BTreeMap, BTreeSet};

/// Completes `plan` for a delta: blobs that are left out come from wherever the destination has them.
///
/// Fails with a list where some are nowhere. A bundle by request does not fail: its artifacts wait for the delta that it
/// completes. Of a whole bundle nothing is asked.
pub fn settle(
    plan: &mut DeliveryPlan,
    opened: &Opened,
    prefix: &Prefix,
    to: &dyn Destination,
    context: &Context<'_>,
) -> Result<(), FlowError> {
    let Some(base) = &opened.base else { return Ok(()) };
    look_elsewhere(plan, opened, (base, prefix), to, context)?;
    let lacking: BTreeSet<Digest> =
        plan.blobs.iter().filter(|blob| is_lacking(blob, opened)).map(|blob| blob.descriptor.digest.clone()).collect();
    if base.supplements.is_none() && !lacking.is_empty() {
        return Err(FlowError::NotThere(Box::new(request(opened, prefix, &lacking))));
    }
    wait(plan, opened, &lacking);
    plan.findings.extend(other_site(base, prefix));
    Ok(())
}

/// A blob that is neither here nor anywhere at the destination.
fn is_lacking(blob: &BlobPlan, opened: &Opened) -> bool {
    blob.present_in.is_none() && opened.omitted.contains(&blob.descriptor.digest)
}

/// Looks for what is lacking in the repositories that the bases name beside those of the lock.
fn look_elsewhere(
    plan: &mut DeliveryPlan,
    opened: &Opened,
    (base, prefix): (&BundleBase, &Prefix),
    to: &dyn Destination,
    context: &Context<'_>,
) -> Result<(), FlowError> {
    let named: BTreeMap<&Digest, &[String]> =
        base.elsewhere.iter().map(|one| (&one.digest, one.repositories.as_slice())).collect();
    let lacking: Vec<usize> = (0..plan.blobs.len()).filter(|at| is_lacking(&plan.blobs[*at], opened)).collect();
    let found = pool::each(&lacking, context.threads, |at| {
        context.go_on()?;
        let want = &plan.blobs[*at].descriptor;
        for path in named.get(&want.digest).copied().unwrap_or_default() {
            let target = Target { repository: path.clone(), tag: None };
            let Ok(place) = prefix.repository(&target) else { continue };
            match to.has(&place, want) {
                Ok(true) => return Ok(Some(place)),
                Ok(false) => {}
                // From where it may not be read it cannot be mounted either.
                Err(fault)
                    if matches!(fault.kind, FaultKind::Unauthorized | FaultKind::Refused | FaultKind::Missing) => {}
                Err(fault) => {
                    let item = format!("{} in {place}", want.digest);
                    return Err(FlowError::Destination(ItemFault { item, fault }));
                }
            }
        }
        Ok(None::<Repository>)
    })?;
    for (at, place) in lacking.into_iter().zip(found) {
        plan.blobs[at].present_in = place;
    }
    Ok(())
}

fn request(opened: &Opened, prefix: &Prefix, lacking: &BTreeSet<Digest>) -> Request {
    let mut artifacts = Vec::new();
    for (at, artifact) in opened.shipment.lock.artifacts.iter().enumerate() {
        let needed = opened.shipment.blobs_of_artifact(at).into_iter().map(|blob| blob.descriptor);
        let blobs: Vec<RequestedBlob> = needed
            .filter(|blob| lacking.contains(&blob.digest))
            .map(|blob| RequestedBlob { digest: blob.digest, size: blob.size })
            .collect();
        if !blobs.is_empty() {
            let (source, digest) = (artifact.source.clone(), artifact.digest.clone());
            artifacts.push(RequestedFor { source, digest, destination: artifact.destination.clone(), blobs });
        }
    }
    Request::new(opened.bundle_id.clone(), prefix.to_string(), artifacts)
}

/// Lets the artifacts wait that lack something which comes with the delta itself.
fn wait(plan: &mut DeliveryPlan, opened: &Opened, lacking: &BTreeSet<Digest>) {
    if lacking.is_empty() {
        return;
    }
    for (at, artifact) in plan.artifacts.iter_mut().enumerate() {
        let needed = opened.shipment.blobs_of_artifact(at);
        artifact.waits = needed.iter().any(|blob| lacking.contains(&blob.descriptor.digest));
    }
    plan.blobs.retain(|blob| !lacking.contains(&blob.descriptor.digest));
    let count = plan.artifacts.iter().filter(|artifact| artifact.waits).count();
    let delta = opened.base.as_ref().and_then(|base| base.supplements.as_ref()).map(Digest::short).unwrap_or_default();
    let what = format!(
        "{count} artifacts wait for bundle {delta}: import it now, before garbage collection takes what nothing refers to"
    );
    let finding = Finding::warning(FindingClass::Destination, "supplementary bundle", what);
    plan.findings.push(Finding { severity: Severity::Note, ..finding });
}

/// Tells that a delta was packed for other places, where all that it leaves out is here all the same.
fn other_site(base: &BundleBase, prefix: &Prefix) -> Option<Finding> {
    let here = prefix.to_string();
    let places: BTreeSet<&str> = base.papers().filter_map(|paper| paper.destination.as_deref()).collect();
    if places.is_empty() || places.contains(here.as_str()) {
        return None;
    }
    let places: Vec<&str> = places.into_iter().collect();
    let what = format!("this delta was packed for {}; all that it leaves out is here all the same", places.join(", "));
    let finding = Finding::warning(FindingClass::Destination, here, what);
    Some(Finding { severity: Severity::Note, ..finding })
}
