//! A bundle that was opened to load something from it: author and policy as for an import, before any payload.

use super::error::FlowError;
use super::import::Medium;
use super::judge_again::judge_again;
use super::load::Supply;
use super::notices::notices;
use super::opened::{Opened, open};
use super::shipment::Shipment;
use super::unknowable::clock_doubts;
use crate::bundle::Input;
use crate::model::{Digest, Finding};
use crate::trust::{Authors, Judge};

/// Where something is loaded from, and who must have vouched for it.
pub struct LoadFrom<'a> {
    /// Volumes, or a stream.
    pub medium: Medium,
    /// Whose signature is accepted.
    pub authors: &'a Authors,
    /// The policy of this side; `None` leaves it at the author's signature and the author's policy.
    pub judge: Option<&'a Judge>,
}

/// An accepted bundle.
pub struct Accepted {
    /// What it carries.
    pub shipment: Shipment,
    /// Its payload.
    pub supply: Supply,
    /// Who signed, or why it was accepted without.
    pub authenticity: String,
    /// Which bundle.
    pub bundle_id: Digest,
    /// What a person should know.
    pub findings: Vec<Finding>,
}

/// Opens a bundle and accepts it, or fails.
pub fn accept(from: LoadFrom<'_>) -> Result<Accepted, FlowError> {
    let (input, files) = match from.medium {
        Medium::Files(files) => (Input::Files(files.clone()), Some(files)),
        Medium::Stream(stream) => (Input::Stream(stream), None),
    };
    let Opened { reader, first, shipment, authenticity, bundle_id, .. } = open(input, from.authors)?;
    let evidence = match from.judge {
        Some(judge) => judge_again(&shipment, judge)?,
        None => shipment.evidence.clone(),
    };
    let mut findings = notices(&shipment.lock, &evidence);
    findings.extend(from.judge.iter().flat_map(|judge| clock_doubts(judge, &shipment.evidence)));
    let supply = Supply::new(files.as_deref(), (reader, first), &bundle_id)?;
    Ok(Accepted { shipment, supply, authenticity, bundle_id, findings })
}
