//! Lays out what is loaded as one OCI image layout in a tar, and writes it: documents first, payload as the bundle has
//! it, the index last. The bytes are decided by the plan and the content alone.
//!
//! Every name stands in `index.json` in both spellings that readers look for: `org.opencontainers.image.ref.name`
//! (skopeo, podman, oras) and, for what containers can be made of, `io.containerd.image.name` (containerd, Docker).
//! Where every item is one image, `manifest.json` names them a second time, as `docker save` does.

use super::plan::LoadItem;
use super::supply::Supply;
use crate::flow::context::Context;
use crate::flow::error::FlowError;
use crate::flow::shipment::Shipment;
use crate::model::event::Stage;
use crate::model::{Descriptor, Digest, Event, Fault, FaultKind, ImageDocument, MediaType, json};
use crate::store::{ArchiveError, ArchiveWriter, closing, entry_length};
use serde::Serialize;
use std::collections::BTreeSet;
use std::io::{self, Read, Write};

const REF_NAME: &str = "org.opencontainers.image.ref.name";
const IMAGE_NAME: &str = "io.containerd.image.name";
const LAYOUT_FILE: &str = "oci-layout";
const LAYOUT: &[u8] = br#"{"imageLayoutVersion":"1.0.0"}"#;
const DOCKER_FILE: &str = "manifest.json";
const INDEX_FILE: &str = "index.json";

/// Why an archive was not written to its end.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// What goes into it cannot be had, or the run was asked to stop.
    #[error(transparent)]
    Supply(#[from] FlowError),
    /// Whoever takes it does not take it.
    #[error("{0}")]
    Output(String, #[source] io::Error),
}

/// An archive before it is written.
pub struct Archive<'s> {
    shipment: &'s Shipment,
    /// Documents and small blobs, in the order of need.
    head: Vec<(Digest, u64)>,
    /// Payload, in the order of the bundle.
    payload: Vec<Digest>,
    payload_bytes: u64,
    length: u64,
    docker: Option<Vec<u8>>,
    index: Vec<u8>,
}

impl<'s> Archive<'s> {
    /// Lays out an archive of `items`; with `docker`, `manifest.json` is in it where that can be.
    pub fn new(shipment: &'s Shipment, items: &[&LoadItem], supply: &Supply, docker: bool) -> Self {
        let (mut seen, mut head, mut payload) = (BTreeSet::new(), Vec::new(), Vec::new());
        for item in items {
            let size = |digest: &Digest| shipment.verbatim(digest).map_or(0, |document| document.descriptor.size);
            let documents = item.documents.iter().map(|digest| (digest, size(digest)));
            let blobs = item.blobs.iter().map(|blob| (&blob.digest, blob.size));
            for (digest, size) in documents.chain(blobs).filter(|(digest, _)| seen.insert((*digest).clone())) {
                let at_hand = shipment.document(digest).is_some() || shipment.small(digest).is_some();
                if at_hand { &mut head } else { &mut payload }.push((digest.clone(), size));
            }
        }
        let docker = docker.then(|| docker_list(shipment, items)).flatten();
        let index = index(items);
        let entries = head.iter().chain(&payload).map(|(digest, size)| entry_length(&file(digest), *size));
        let lists = docker.as_ref().map_or(0, |bytes| entry_length(DOCKER_FILE, bytes.len() as u64));
        let length = entry_length(LAYOUT_FILE, LAYOUT.len() as u64) + entries.sum::<u64>() + lists;
        let length = length + closing(INDEX_FILE, &index).len() as u64;
        let payload_bytes = payload.iter().map(|(_, size)| size).sum();
        let mut payload: Vec<Digest> = payload.into_iter().map(|(digest, _)| digest).collect();
        supply.sort(&mut payload);
        Self { shipment, head, payload, payload_bytes, length, docker, index }
    }

    /// Returns a digest that equals that of another archive only where both hold the same under the same names.
    pub fn id(&self) -> Digest {
        let mut all = self.index.clone();
        all.extend(self.docker.iter().flatten());
        for (digest, _) in &self.head {
            all.extend(digest.to_string().as_bytes());
        }
        Digest::of(&all)
    }

    /// Returns how many bytes the archive has.
    pub const fn length(&self) -> u64 {
        self.length
    }

    /// Returns how many of its bytes are payload.
    pub const fn payload_bytes(&self) -> u64 {
        self.payload_bytes
    }

    /// Returns the bytes with which it ends.
    pub fn tail(&self) -> Vec<u8> {
        closing(INDEX_FILE, &self.index)
    }

    /// Writes it to `output`, which it gives back.
    pub fn write<W: Write>(&self, supply: &mut Supply, output: W, context: &Context<'_>) -> Result<W, LoadError> {
        let mut writer = ArchiveWriter::new(output);
        writer.bytes(LAYOUT_FILE, LAYOUT)?;
        for (digest, _) in &self.head {
            let document = self.shipment.verbatim(digest);
            let bytes = document.as_ref().map(|document| &document.bytes[..]).or_else(|| self.shipment.small(digest));
            writer.bytes(&file(digest), bytes.unwrap_or_default())?;
        }
        let mut take = |digest: &Digest, size: u64, content: &mut dyn Read| -> Result<(), LoadError> {
            Ok(writer.entry(&file(digest), size, &mut Told { content, context })?)
        };
        supply.pour(&self.payload, &mut take)?;
        context.go_on()?;
        if let Some(list) = &self.docker {
            writer.bytes(DOCKER_FILE, list)?;
        }
        Ok(writer.close(INDEX_FILE, &self.index)?)
    }
}

impl From<ArchiveError> for LoadError {
    fn from(error: ArchiveError) -> Self {
        let what = error.to_string();
        match error {
            ArchiveError::Output { source, .. } => Self::Output(what, source),
            ArchiveError::Content { name, source } => {
                let fault = Fault::from_io(source, "the bundle", "ended early");
                Self::Supply(match fault.kind {
                    FaultKind::Interrupted => FlowError::Interrupted,
                    _ => FlowError::source(name, fault),
                })
            }
        }
    }
}

fn file(digest: &Digest) -> String {
    format!("blobs/{}/{}", digest.algorithm().name(), digest.hex())
}

fn index(items: &[&LoadItem]) -> Vec<u8> {
    #[derive(Serialize)]
    #[serde(rename_all = "camelCase")]
    struct Index {
        schema_version: u8,
        media_type: &'static str,
        manifests: Vec<Descriptor>,
    }
    let mut manifests: Vec<Descriptor> = Vec::new();
    let mut seen = BTreeSet::new();
    let mut list = |top: &Descriptor, name: Option<&str>, runnable: bool| {
        let mut entry = top.bare();
        entry.annotations.extend(name.map(|name| (REF_NAME.to_owned(), name.to_owned())));
        entry.annotations.extend(name.filter(|_| runnable).map(|name| (IMAGE_NAME.to_owned(), name.to_owned())));
        if seen.insert(entry.clone()) {
            manifests.push(entry);
        }
    };
    for item in items {
        item.names.iter().for_each(|name| list(&item.top, Some(name), item.runnable));
        if item.names.is_empty() {
            list(&item.top, None, false);
        }
        item.attached.iter().for_each(|(top, name)| list(top, name.as_deref(), false));
    }
    json::canonical(&Index { schema_version: 2, media_type: MediaType::OCI_INDEX, manifests })
}

/// Returns the list by which Docker finds images; nothing where an item is not one image.
fn docker_list(shipment: &Shipment, items: &[&LoadItem]) -> Option<Vec<u8>> {
    #[derive(Serialize)]
    #[serde(rename_all = "PascalCase")]
    struct Entry {
        config: String,
        repo_tags: Vec<String>,
        layers: Vec<String>,
    }
    let entry = |item: &&LoadItem| {
        let ImageDocument::Image(image) = shipment.document(item.image.as_ref()?)? else { return None };
        Some(Entry {
            config: file(&image.config.digest),
            repo_tags: item.names.iter().filter(|name| !name.contains('@')).cloned().collect(),
            layers: image.layers.iter().map(|layer| file(&layer.digest)).collect(),
        })
    };
    let entries: Option<Vec<Entry>> = items.iter().map(entry).collect();
    Some(json::canonical(&entries?))
}

/// Tells of the bytes that pass, and ends where the run was asked to stop.
struct Told<'a> {
    content: &'a mut dyn Read,
    context: &'a Context<'a>,
}

impl Read for Told<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.context.go_on().is_err() {
            return Err(Fault::new(FaultKind::Interrupted, "the run", "was asked to stop").into_io());
        }
        let n = self.content.read(buffer)?;
        self.context.tell(Event::Moved { stage: Stage::Import, bytes: n as u64 });
        Ok(n)
    }
}
