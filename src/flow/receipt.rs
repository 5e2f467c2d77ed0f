//! Writes down what arrived.

use super::plan_delivery::DeliveryPlan;
use super::shipment::Shipment;
use crate::document::Envelope;
use crate::document::countersignature::Mark;
use crate::document::evidence::BundleEvidence;
use crate::document::receipt::{Arrival, KIND, Moved, Outcome, Receipt};
use crate::model::{Digest, Finding};

/// What a receipt says beside its artifacts.
pub struct Frame {
    /// Bundle that was imported.
    pub bundle: Option<Digest>,
    /// Who signed it, or why it was accepted without.
    pub authenticity: String,
    /// Each signature over the bundle by itself.
    pub signatures: Vec<Mark>,
    /// Host and prefix.
    pub destination: String,
    /// What the destination is.
    pub product: String,
    /// Start, RFC 3339.
    pub started: String,
    /// End, RFC 3339.
    pub finished: String,
    /// What a person should know.
    pub findings: Vec<Finding>,
    /// What moved.
    pub moved: Moved,
}

/// Makes the receipt of a delivery.
pub fn receipt(
    frame: Frame,
    shipment: &Shipment,
    evidence: &BundleEvidence,
    plan: &DeliveryPlan,
    outcomes: Vec<Outcome>,
) -> Receipt {
    let complete = outcomes.iter().all(Outcome::is_there);
    let artifacts = shipment.lock.artifacts.iter().zip(&evidence.artifacts).zip(&plan.artifacts).zip(outcomes);
    let arrival = |(at, (((locked, found), planned), outcome)): (usize, (_, Outcome))| {
        let blobs = if outcome.is_there() { shipment.blobs_of_artifact(at) } else { Vec::new() };
        let blobs = blobs.into_iter().map(|blob| blob.descriptor.digest).collect();
        Arrival { blobs, ..arrival(locked, found, planned, outcome) }
    };
    Receipt {
        envelope: Envelope::new(KIND),
        tool: format!("airlift {}", env!("CARGO_PKG_VERSION")),
        bundle: frame.bundle,
        authenticity: frame.authenticity,
        signatures: frame.signatures,
        destination: frame.destination,
        product: frame.product,
        started: frame.started,
        finished: frame.finished,
        complete,
        artifacts: artifacts.enumerate().map(arrival).collect(),
        moved: frame.moved,
        findings: frame.findings,
    }
}

fn arrival(
    locked: &crate::document::lock::LockedArtifact,
    found: &crate::document::evidence::ArtifactEvidence,
    planned: &super::plan_delivery::ArtifactPlan,
    outcome: Outcome,
) -> Arrival {
    Arrival {
        source: locked.source.clone(),
        digest: locked.digest.clone(),
        destination: planned.destination.clone(),
        outcome,
        rule: found.rule.clone(),
        exemption: found.exemption.clone(),
        would_refuse: found.would_refuse.clone(),
        attached: found.attached.iter().map(|attached| attached.digest.clone()).collect(),
        evidence: found.judged.clone(),
        blobs: Vec::new(),
    }
}
