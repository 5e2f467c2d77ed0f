//! A bundle with its head read: authenticity decided first, then the papers and documents, no payload yet.

use super::error::FlowError;
use super::shipment::Shipment;
use crate::bundle::{BundleReader, Class, Countersignature, Entry, Input, Papers};
use crate::document::PaperError;
use crate::document::base::{BaseSite, BundleBase};
use crate::document::countersignature::Mark;
use crate::document::evidence::BundleEvidence;
use crate::document::lock::Lock;
use crate::model::Digest;
use crate::trust::{Approval, Authors, BundleSeals, Countersigned};
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};

/// A bundle whose head was read and whose author was accepted.
pub struct Opened {
    /// Stands before the first payload, or at the end where there is none.
    pub reader: BundleReader,
    /// The first payload entry, already announced by the reader.
    pub first: Option<Entry>,
    /// What the bundle carries.
    pub shipment: Shipment,
    /// Papers as they stand in the bundle.
    pub papers: Papers,
    /// Bases, where it is a delta.
    pub base: Option<BundleBase>,
    /// Blobs that it leaves out.
    pub omitted: BTreeSet<Digest>,
    /// Who signed, or why it was accepted without.
    pub authenticity: String,
    /// Each signature over the bundle by itself.
    pub signatures: Vec<Mark>,
    /// Keys of authors that count, sorted.
    pub accepted: Vec<Digest>,
    /// What the bundle is.
    pub bundle_id: Digest,
}

/// What a delta leaves out, and by whose word.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct DeltaFacts {
    /// Delta that this one completes, where it was packed by a request.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub supplements: Option<Digest>,
    /// Sites, each with its bases.
    pub sites: Vec<BaseSite>,
    /// Blobs that are left out.
    pub omitted_blobs: u64,
    /// Their bytes.
    pub omitted_bytes: u64,
}

impl Opened {
    /// Returns the blobs that a destination is asked for one by one, whatever manifests it has: all of a delta, which must not
    /// rest on anything that is not there, and those of a supplement, which is there to repair.
    pub fn doubted(&self) -> BTreeSet<Digest> {
        let all = self.reader.inventory().iter().filter(|record| record.class != Class::Manifest);
        all.filter(|_| self.base.is_some()).map(|record| record.digest.clone()).collect()
    }

    /// Returns what this bundle leaves out; `None` where it is no delta.
    pub fn delta(&self) -> Option<DeltaFacts> {
        let base = self.base.as_ref()?;
        let omitted = self.reader.inventory().iter().filter(|record| record.omitted);
        Some(DeltaFacts {
            supplements: base.supplements.clone(),
            sites: base.sites.clone(),
            omitted_blobs: self.omitted.len() as u64,
            omitted_bytes: omitted.map(|record| record.size).sum(),
        })
    }
}

/// Opens a bundle: nothing but the statement is believed before its signature is accepted.
pub fn open(input: Input, authors: &Authors) -> Result<Opened, FlowError> {
    let mut reader = BundleReader::open(input)?;
    let approval = authenticate(reader.statement(), reader.envelope(), reader.countersignatures(), authors);
    let authenticity = approval.decision.map_err(FlowError::Unauthentic)?;
    let bundle_id = reader.bundle_id().clone();
    let papers = reader.papers()?;
    let lock = Lock::read(&papers.lock, "airlift/lock.json").map_err(unreadable)?;
    let evidence = BundleEvidence::read(&papers.evidence, "airlift/evidence.json").map_err(unreadable)?;
    let base = papers.base.as_deref().map(|bytes| BundleBase::read(bytes, "airlift/base.json")).transpose();
    let base = base.map_err(unreadable)?;
    let omitted = reader.inventory().iter().filter(|record| record.omitted).map(|record| record.digest.clone());
    let omitted: BTreeSet<Digest> = omitted.collect();
    let mut bytes = BTreeMap::new();
    let mut first = None;
    while let Some(mut entry) = reader.next()? {
        match entry.document.take() {
            Some(document) => drop(bytes.insert(entry.digest, document)),
            None => {
                first = Some(entry);
                break;
            }
        }
    }
    let shipment = Shipment::new(lock, evidence, bytes)?;
    complete(&shipment, &reader)?;
    Ok(Opened {
        reader,
        first,
        shipment,
        papers,
        base,
        omitted,
        authenticity,
        signatures: approval.marks,
        accepted: approval.accepted,
        bundle_id,
    })
}

/// A paper inside a bundle is content: nobody mistyped it.
fn unreadable(error: PaperError) -> FlowError {
    FlowError::Content { item: "in the bundle".to_owned(), why: error.to_string() }
}

/// Decides from the signatures over the statement of a bundle whether its authors are accepted.
pub fn authenticate(
    statement: &[u8],
    envelope: Option<&[u8]>,
    countersignatures: &[Countersignature],
    authors: &Authors,
) -> Approval {
    let countersignatures: Vec<Countersigned<'_>> = countersignatures.iter().map(parts).collect();
    authors.judge(&BundleSeals { statement, envelope, countersignatures: &countersignatures })
}

fn parts(one: &Countersignature) -> Countersigned<'_> {
    let Countersignature { place, statement, envelope, report, .. } = one;
    Countersigned { place, statement, envelope, report: report.as_ref() }
}

/// Checks before any payload is read that every blob that an artifact needs is in the inventory.
fn complete(shipment: &Shipment, reader: &BundleReader) -> Result<(), FlowError> {
    let inventory: BTreeMap<&Digest, u64> =
        reader.inventory().iter().map(|record| (&record.digest, record.size)).collect();
    for (at, artifact) in shipment.lock.artifacts.iter().enumerate() {
        for blob in shipment.blobs_of_artifact(at) {
            if inventory.get(&blob.descriptor.digest) != Some(&blob.descriptor.size) {
                let what = artifact.source.to_string();
                return Err(FlowError::Incomplete { what, digest: blob.descriptor.digest });
            }
        }
    }
    Ok(())
}
