//! From a lock to a bundle: gather and judge, plan the layout, fetch payload straight into its place, seal.

use super::context::Context;
use super::error::{FlowError, ItemFault};
use super::gather::Gathered;
use super::leave_out::{Leaving, LeftOut, leave_out, narrowed};
use super::making::Making;
use super::repair::{add_parity, make_parity};
use super::shipment::Shipment;
use super::{gather, pool};
use crate::bundle::{
    Body, BundlePlan, BundleWriter, Class, FillError, Item, Options, Papers, ParityAmount, Pending, Written,
    write_stream,
};
use crate::document::lock::Lock;
use crate::model::event::Stage;
use crate::model::port::Source;
use crate::model::{Descriptor, Digest, Event, Fault, FaultKind, Finding, MediaType, Repository};
use crate::trust::{BUNDLE_STATEMENT, Judge, SigningKey, seal_by};
use std::collections::{BTreeMap, BTreeSet};
use std::io::Write;
use std::path::{Path, PathBuf};

/// What a bundle is made from.
pub struct Request<'a> {
    /// What is wanted.
    pub lock: Lock,
    /// Policy under which it is judged, as text; it travels with the bundle.
    pub policy: String,
    /// Judge made from that policy.
    pub judge: &'a Judge,
    /// Keys that sign the bundle; none for a bundle that is not signed.
    pub keys: &'a [SigningKey],
    /// What is left out.
    pub leaving: Leaving<'a>,
    /// Physical layout.
    pub options: Options,
    /// Parity that is added when the volumes are whole.
    pub parity: Option<ParityAmount>,
}

/// What was packed.
pub struct Packed {
    /// Volumes and identities.
    pub written: Written,
    /// Parity volumes, in order.
    pub parity: Vec<PathBuf>,
    /// Artifacts in it.
    pub artifacts: usize,
    /// Bytes of payload in it.
    pub payload: u64,
    /// Blobs that were left out, and their bytes, where it is a delta.
    pub omitted: Option<(u64, u64)>,
    /// Bytes that an earlier, interrupted run had written already.
    pub resumed: u64,
    /// What a person should know.
    pub warnings: Vec<Finding>,
}

/// Times that a blob is fetched from the start after it did not match.
const TRIES: usize = 2;

/// Packs into volumes under the path prefix `out`.
pub fn pack(request: Request<'_>, source: &dyn Source, out: &Path, context: &Context<'_>) -> Result<Packed, FlowError> {
    let making = Making::new(source, &request.lock);
    let source: &dyn Source = &making;
    let amount = request.parity;
    let prepared = prepare(request, source, context)?;
    let envelope = prepared.seal()?;
    let (artifacts, payload, warnings) = (prepared.artifacts, prepared.plan.payload_bytes(), prepared.warnings);
    let omitted = prepared.plan.is_delta().then(|| prepared.plan.omitted());
    drop(prepared.shipment); // the plan holds what is written of it
    if let Some(folder) = out.parent().filter(|folder| !folder.as_os_str().is_empty()) {
        std::fs::create_dir_all(folder).map_err(|error| FlowError::file(folder, "cannot be made", error))?;
    }
    let (writer, resumed) = BundleWriter::open(prepared.plan, out)?;
    let mut pending = writer.pending();
    let bytes = pending.iter().map(|p| p.descriptor.size - p.from).sum();
    context.tell(Event::Started { stage: Stage::Pack, items: pending.len() as u64, bytes });
    // What must stand in order is written by one worker after the rest; large blobs first, so that no worker is left with one at the end.
    let ordered = pending.iter().position(|p| p.ordered).map_or(Vec::new(), |_| {
        let (ordered, free): (Vec<Pending>, Vec<Pending>) = pending.drain(..).partition(|p| p.ordered);
        pending = free;
        ordered
    });
    pending.sort_by_key(|p| (std::cmp::Reverse(p.descriptor.size - p.from), p.ordinal));
    let fill = |p: &Pending| fill(&writer, p, source, &prepared.origin, context);
    context.or_stopped(pool::each(&pending, context.threads, fill))?;
    context.or_stopped(pool::each(&ordered, 1, fill))?;
    let written = writer.finish(envelope.as_deref())?;
    context.tell(Event::Finished { stage: Stage::Pack });
    let parity = match amount {
        Some(amount) if resumed.complete => add_parity(&written.volumes, (amount, None), context)?,
        Some(amount) => make_parity(&written.volumes, (amount, None), context)?,
        None => Vec::new(),
    };
    Ok(Packed { written, parity, artifacts, payload, omitted, resumed: resumed.bytes, warnings })
}

/// Packs into a stream: the same bytes as an unsplit file, signed before the payload is seen.
pub fn pack_stream(
    request: Request<'_>,
    source: &dyn Source,
    out: &mut dyn Write,
    context: &Context<'_>,
) -> Result<Packed, FlowError> {
    let making = Making::new(source, &request.lock);
    let source: &dyn Source = &making;
    let prepared = prepare(request, source, context)?;
    let envelope = prepared.seal()?;
    let (artifacts, payload, warnings) = (prepared.artifacts, prepared.plan.payload_bytes(), prepared.warnings);
    let omitted = prepared.plan.is_delta().then(|| prepared.plan.omitted());
    drop(prepared.shipment);
    context.tell(Event::Started { stage: Stage::Pack, items: 0, bytes: payload });
    let origin = &prepared.origin;
    let mut open = |want: &Descriptor| {
        open_at(source, origin, want, 0).map(|content| context.stoppable(content)).map_err(Fault::into_io)
    };
    let moved = |bytes| context.tell(Event::Moved { stage: Stage::Pack, bytes });
    let written = write_stream(prepared.plan, envelope.as_deref(), out, &mut open, &moved);
    let written = context.or_stopped(written.map_err(FlowError::from))?;
    context.tell(Event::Finished { stage: Stage::Pack });
    Ok(Packed { written, parity: Vec::new(), artifacts, payload, omitted, resumed: 0, warnings })
}

/// A pack of which nothing is carried out yet.
pub(super) struct Prepared<'a> {
    pub(super) plan: BundlePlan,
    /// Everything that is not payload.
    pub(super) shipment: Shipment,
    pub(super) origin: BTreeMap<Digest, Repository>,
    keys: &'a [SigningKey],
    pub(super) artifacts: usize,
    pub(super) warnings: Vec<Finding>,
}

impl Prepared<'_> {
    /// Signs the statement; `None` where nobody signs.
    pub(super) fn seal(&self) -> Result<Option<Vec<u8>>, FlowError> {
        if self.keys.is_empty() {
            return Ok(None);
        }
        let keys: Vec<&SigningKey> = self.keys.iter().collect();
        Ok(Some(seal_by(BUNDLE_STATEMENT, self.plan.statement(), &keys)?))
    }
}

/// Collects and judges everything but payload, and plans the bundle.
pub(super) fn prepare<'a>(
    request: Request<'a>,
    source: &dyn Source,
    context: &Context<'_>,
) -> Result<Prepared<'a>, FlowError> {
    let lock = narrowed(request.lock, &request.leaving)?;
    let gathered = gather::gather(lock, source, request.judge, context.threads.max(8), context.events)?;
    context.go_on()?;
    let Gathered { mut shipment, origin, judged_by, mut warnings } = gathered;
    let left = leave_out(&request.leaving, (&shipment, &judged_by), source, context)?;
    warnings.extend(left.iter().flat_map(|left| left.findings.clone()));
    shipment.evidence.trust_roots = request.judge.file_roots();
    let papers = Papers {
        index: index(&shipment),
        lock: shipment.lock.to_bytes(),
        policy: Some(request.policy.into_bytes()),
        evidence: shipment.evidence.to_bytes(),
        base: left.as_ref().map(|left| left.paper.to_bytes()),
    };
    let artifacts = shipment.lock.artifacts.len();
    let items = items(&shipment, left.as_ref());
    let content =
        items.iter().filter(|item| !matches!(item.body, Body::Omitted)).map(|item| item.descriptor.size).sum();
    let data = |size| request.parity.map_or(size, |parity| parity.data_limit(size, content));
    let volume_size = request.options.volume_size.map(|sizes| sizes.each(data));
    let options = Options { volume_size, ..request.options };
    let plan = BundlePlan::new(papers, items, options)?;
    Ok(Prepared { plan, shipment, origin, keys: request.keys, artifacts, warnings })
}

/// Fetches one blob into its place; once more from the start where the bytes did not match.
fn fill(
    writer: &BundleWriter,
    pending: &Pending,
    source: &dyn Source,
    origin: &BTreeMap<Digest, Repository>,
    context: &Context<'_>,
) -> Result<(), FlowError> {
    let moved = |bytes| context.tell(Event::Moved { stage: Stage::Pack, bytes });
    let mut pending = pending.clone();
    let (mut tries, mut spoiled) = (1, false);
    loop {
        context.go_on()?;
        let item = || format!("{}@{}", place(origin, &pending.descriptor), pending.descriptor.digest);
        let content = open_at(source, origin, &pending.descriptor, pending.from)
            .map_err(|fault| FlowError::Source(vec![ItemFault { item: item(), fault }]))?;
        let mut content = context.stoppable(content);
        match writer.fill(&pending, &mut *content, &moved) {
            Ok(()) => break,
            Err(FillError::Mismatch { .. } | FillError::Short { .. } | FillError::Long { .. }) if tries < TRIES => {
                tries += 1;
                pending.from = 0;
            }
            Err(FillError::Source { source, kept, .. }) => {
                let fault = Fault::from_io(source, &item(), "ended early");
                // A copy that turned out to be bad before its end; what is kept of it is judged with the rest of another.
                if fault.kind != FaultKind::Damaged || std::mem::replace(&mut spoiled, true) {
                    return Err(FlowError::Source(vec![ItemFault { item: item(), fault }]));
                }
                pending.from = kept;
            }
            Err(error) => return Err(damaged_or_disk(item(), error)),
        }
    }
    let item = pending.descriptor.digest.short();
    context.tell(Event::Done { stage: Stage::Pack, item, outcome: "packed".to_owned() });
    Ok(())
}

fn damaged_or_disk(item: String, error: FillError) -> FlowError {
    match error {
        FillError::Write(error) => FlowError::Write(error),
        other => FlowError::Content { item, why: other.to_string() },
    }
}

fn place(origin: &BTreeMap<Digest, Repository>, want: &Descriptor) -> String {
    origin.get(&want.digest).map(ToString::to_string).unwrap_or_default()
}

/// Opens a blob at an offset, where it comes from.
pub(super) fn open_at(
    source: &dyn Source,
    origin: &BTreeMap<Digest, Repository>,
    want: &Descriptor,
    from: u64,
) -> Result<Box<dyn std::io::Read + Send>, Fault> {
    let at = origin
        .get(&want.digest)
        .ok_or_else(|| Fault::new(FaultKind::Missing, want.digest.to_string(), "no source is known for it"))?;
    source.open(at, want, from)
}

/// Lists everything that the bundle carries, in lock order, what is pointed to first, each digest once.
fn items(shipment: &Shipment, left: Option<&LeftOut>) -> Vec<Item> {
    let is_left_out = |digest: &Digest| left.is_some_and(|left| left.blobs.contains(digest));
    let mut seen = BTreeSet::new();
    let mut items = Vec::new();
    for (at, artifact) in shipment.lock.artifacts.iter().enumerate() {
        let attached = shipment.evidence.artifacts[at].attached.iter().map(|a| (&a.digest, Class::Evidence));
        let roots = std::iter::once((&artifact.digest, Class::Manifest)).chain(attached);
        for (root, class) in roots {
            for document in shipment.tree(root).iter().filter_map(|digest| shipment.verbatim(digest)) {
                if seen.insert(document.descriptor.digest.clone()) {
                    items.push(Item { descriptor: document.descriptor, class, body: Body::Document(document.bytes) });
                }
            }
        }
        for blob in shipment.blobs_of_artifact(at) {
            if seen.insert(blob.descriptor.digest.clone()) {
                let body = match shipment.small(&blob.descriptor.digest) {
                    _ if is_left_out(&blob.descriptor.digest) => Body::Omitted,
                    Some(bytes) => Body::Document(bytes.to_vec()),
                    None => Body::Payload,
                };
                items.push(Item { descriptor: blob.descriptor, class: blob.class, body });
            }
        }
    }
    items
}

/// Returns the layout's `index.json`: every artifact and every attached document, named as at its source.
fn index(shipment: &Shipment) -> Vec<u8> {
    #[derive(serde::Serialize)]
    #[serde(rename_all = "camelCase")]
    struct Index {
        schema_version: u8,
        media_type: &'static str,
        manifests: Vec<Descriptor>,
    }
    const REF_NAME: &str = "org.opencontainers.image.ref.name";
    let mut manifests: Vec<Descriptor> = Vec::new();
    let mut seen = BTreeSet::new();
    let mut list = |digest: &Digest, name: Option<String>| {
        let Some(document) = shipment.verbatim(digest) else { return };
        let mut entry = document.descriptor;
        entry.annotations.extend(name.map(|name| (REF_NAME.to_owned(), name)));
        if seen.insert(entry.clone()) {
            manifests.push(entry);
        }
    };
    for (artifact, evidence) in shipment.lock.artifacts.iter().zip(&shipment.evidence.artifacts) {
        list(&artifact.digest, Some(artifact.source.to_string()));
        for attached in &evidence.attached {
            let name = attached.tag.as_ref().map(|tag| format!("{}:{tag}", artifact.source.repository));
            list(&attached.digest, name);
        }
    }
    crate::model::json::canonical(&Index { schema_version: 2, media_type: MediaType::OCI_INDEX, manifests })
}
