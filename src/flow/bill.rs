//! Looks at the head of a bundle without refusing it, and makes the bill of lading of what stands there.

use super::error::FlowError;
use super::import::Medium;
use super::opened::{DeltaFacts, Opened, authenticate, open};
use super::volume_list::spoken;
use crate::bundle::{Input, Protection, VolumeMark, VolumeSet, parity_at_hand, volume_marks};
use crate::document::countersignature::PolicyReference;
use crate::emit::lading::{Consignment, Lading, VolumeLine, page};
use crate::model::Digest;
use crate::trust::{Approval, Authors};

/// A bundle that was looked at.
pub struct Inspected {
    /// Its head.
    pub opened: Opened,
    /// Judgement of its signatures, where keys were given to judge them by; it refuses nothing here.
    pub approval: Approval,
    /// Whether there was anything to judge signatures by.
    pub judged: bool,
    /// Volumes, in order; none for a stream.
    pub volumes: VolumeSet,
    /// How much damage would be survived, where parity volumes are at hand.
    pub parity: Option<Protection>,
}

/// Reads the head of a bundle and judges its signatures; whatever comes of that, the content is shown.
pub fn inspect(from: Medium, authors: &Authors) -> Result<Inspected, FlowError> {
    let (input, files) = match from {
        Medium::Files(files) => (Input::Files(files.clone()), files),
        Medium::Stream(stream) => (Input::Stream(stream), Vec::new()),
    };
    let opened = open(input, &Authors::anyone())?;
    let reader = &opened.reader;
    let approval = authenticate(reader.statement(), reader.envelope(), reader.countersignatures(), authors);
    let (bundle, set_id) = (opened.bundle_id.clone(), reader.set_id());
    let volumes = VolumeSet { bundle, set_id, volumes: volume_marks(&files) };
    let parity = parity_at_hand(&files);
    Ok(Inspected { opened, approval, judged: authors.knows_somebody(), volumes, parity })
}

impl Inspected {
    /// Says who signed, or why that is not accepted, or that nothing was given to judge it by.
    pub fn authenticity(&self) -> String {
        let signed = self.opened.reader.envelope().is_some();
        match (&self.approval.decision, self.judged, signed) {
            (Ok(words), true, _) => words.clone(),
            (Err(why), true, _) => format!("not accepted: {why}"),
            (_, false, true) => "signed, but not checked by whom: no key was given".to_owned(),
            (_, false, false) => "not signed".to_owned(),
        }
    }
}

/// Writes the page.
pub fn bill_of_lading(inspected: &Inspected) -> String {
    let Opened { shipment, papers, bundle_id, reader, .. } = &inspected.opened;
    let artifacts = shipment.lock.artifacts.iter().zip(&shipment.evidence.artifacts).enumerate();
    let consignment = |(at, (locked, evidence))| {
        let bytes = shipment.blobs_of_artifact(at).iter().map(|blob| blob.descriptor.size).sum();
        Consignment { locked, evidence, bytes }
    };
    let policy = papers.policy.as_ref();
    let policy =
        policy.map(|text| PolicyReference { name: "the author's policy".to_owned(), digest: Digest::of(text) });
    let inventory = reader.inventory();
    page(&Lading {
        bundle: bundle_id,
        authenticity: &inspected.authenticity(),
        authentic: inspected.judged && inspected.approval.decision.is_ok(),
        signatures: &inspected.approval.marks,
        volumes: inspected.volumes.volumes.iter().map(line).collect(),
        blobs: inventory.len() as u64,
        bytes: inventory.iter().map(|record| record.size).sum(),
        delta: inspected.opened.delta().map(|delta| said(&delta)),
        policy: policy.as_ref(),
        artifacts: artifacts.map(consignment).collect(),
        tool: concat!("airlift ", env!("CARGO_PKG_VERSION")),
    })
}

/// Says what a delta leaves out, and by whose word.
fn said(delta: &DeltaFacts) -> String {
    let sites: Vec<&str> = delta.sites.iter().map(|site| site.name.as_str()).collect();
    let what = format!(
        "{} blobs, {} bytes are left out and must be at the destination",
        delta.omitted_blobs, delta.omitted_bytes
    );
    match &delta.supplements {
        Some(bundle) => format!("completes bundle {bundle} at {}; {what}", sites.join(", ")),
        None => format!("packed for {}; {what}", sites.join(", ")),
    }
}

/// Returns the checksum of a volume in the form to be read aloud.
pub fn checksum(volume: &VolumeMark) -> String {
    spoken(volume).map_or("not readable".to_owned(), |checksum| checksum.to_string())
}

fn line(volume: &VolumeMark) -> VolumeLine {
    let file = volume.path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    VolumeLine { number: volume.number, file, bytes: volume.bytes, checksum: checksum(volume) }
}
