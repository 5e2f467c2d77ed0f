//! A bundle with its head read: authenticity decided first, then the papers and documents, no payload yet.

use super::error::FlowError;
use super::shipment::Shipment;
use crate::bundle::{BundleReader, Entry, Input, Papers};
use crate::document::PaperError;
use crate::document::evidence::BundleEvidence;
use crate::document::lock::Lock;
use crate::model::Digest;
use crate::trust::{BUNDLE_STATEMENT, PublicKey, unseal};
use std::collections::BTreeMap;

/// Whose signature over a bundle is accepted.
pub struct Authors {
    /// Keys, any of which is enough.
    pub keys: Vec<PublicKey>,
    /// Whether a bundle without an acceptable signature is taken all the same.
    pub allow_unsigned: bool,
}

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
    /// Who signed, or why it was accepted without.
    pub authenticity: String,
    /// What the bundle is.
    pub bundle_id: Digest,
}

/// Opens a bundle: nothing but the statement is believed before its signature is accepted.
pub fn open(input: Input, authors: &Authors) -> Result<Opened, FlowError> {
    let mut reader = BundleReader::open(input)?;
    let authenticity = authenticate(reader.statement(), reader.envelope(), authors)?;
    let bundle_id = reader.bundle_id().clone();
    let papers = reader.papers()?;
    let lock = Lock::read(&papers.lock, "airlift/lock.json").map_err(unreadable)?;
    let evidence = BundleEvidence::read(&papers.evidence, "airlift/evidence.json").map_err(unreadable)?;
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
    Ok(Opened { reader, first, shipment, papers, authenticity, bundle_id })
}

/// A paper inside a bundle is content: nobody mistyped it.
fn unreadable(error: PaperError) -> FlowError {
    FlowError::Content { item: "in the bundle".to_owned(), why: error.to_string() }
}

/// Decides whether the statement of a bundle is by an accepted author, and says by whom.
pub fn authenticate(statement: &[u8], envelope: Option<&[u8]>, authors: &Authors) -> Result<String, FlowError> {
    let refused = |why: String| {
        if authors.allow_unsigned {
            Ok(format!("not authentic, accepted by --allow-unsigned-bundle: {why}"))
        } else {
            Err(FlowError::Unauthentic(why))
        }
    };
    let Some(envelope) = envelope else { return refused("the bundle is not signed".to_owned()) };
    if authors.keys.is_empty() {
        return refused("the bundle is signed, but no key was given to check it with".to_owned());
    }
    match unseal(BUNDLE_STATEMENT, statement, envelope, &authors.keys) {
        Ok(sealed) => {
            let keys: Vec<String> = sealed.keys.iter().map(Digest::short).collect();
            Ok(format!("signed by key {}", keys.join(" and ")))
        }
        Err(error) => refused(format!("the bundle's signature is not accepted: {error}")),
    }
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
