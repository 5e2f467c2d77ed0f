//! What travels: the artifacts of a lock with all documents at hand, whether they were gathered from
//! registries or read from the head of a bundle. Everything that packs or delivers starts from here.

use super::error::FlowError;
use crate::bundle::Class;
use crate::document::evidence::{ArtifactEvidence, BundleEvidence};
use crate::document::lock::{Lock, LockedArtifact};
use crate::model::port::ManifestBytes;
use crate::model::{Content, Descriptor, Digest, ImageDocument, MediaType, limits};
use std::collections::{BTreeMap, BTreeSet};

/// Artifacts with their documents. Every document that a lock or its evidence leads to is here, parsed and checked.
pub struct Shipment {
    /// What is wanted, in the order of the lock.
    pub lock: Lock,
    /// What was found beside each artifact, in the same order.
    pub evidence: BundleEvidence,
    documents: BTreeMap<Digest, Document>,
    /// Blobs at hand: configurations, signature payloads.
    small: BTreeMap<Digest, Vec<u8>>,
}

struct Document {
    media_type: MediaType,
    bytes: Vec<u8>,
    parsed: ImageDocument,
}

/// A blob that an artifact needs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NeededBlob {
    /// Which.
    pub descriptor: Descriptor,
    /// What it is for.
    pub class: Class,
}

impl Shipment {
    /// Puts together what `lock` and `evidence` name from `bytes`: documents and small blobs by digest, verified.
    ///
    /// Fails where evidence is about something else than the lock, or a document is missing, does not parse, or contradicts what points to it.
    pub fn new(lock: Lock, evidence: BundleEvidence, bytes: BTreeMap<Digest, Vec<u8>>) -> Result<Self, FlowError> {
        if lock.artifacts.len() != evidence.artifacts.len() {
            return Err(FlowError::Content {
                item: "airlift/evidence.json".to_owned(),
                why: format!("{} entries for {} artifacts", evidence.artifacts.len(), lock.artifacts.len()),
            });
        }
        for (locked, found) in lock.artifacts.iter().zip(&evidence.artifacts) {
            let judged = judged_subject(locked).digest;
            if found.subject != judged {
                let why = format!("is about {} where the lock has {judged}", found.subject);
                return Err(FlowError::Content { item: "airlift/evidence.json".to_owned(), why });
            }
        }
        let mut shipment = Self { lock, evidence, documents: BTreeMap::new(), small: bytes };
        for at in 0..shipment.lock.artifacts.len() {
            for root in shipment.roots(at) {
                shipment.take_up(&root, 0)?;
            }
        }
        shipment.check_sizes()?;
        Ok(shipment)
    }

    /// Returns the artifact at `at` with its evidence.
    pub fn artifact(&self, at: usize) -> Option<(&LockedArtifact, &ArtifactEvidence)> {
        Some((self.lock.artifacts.get(at)?, self.evidence.artifacts.get(at)?))
    }

    /// Returns the descriptors at the top of artifact `at`: the artifact first, then what is attached to it.
    fn roots(&self, at: usize) -> Vec<Descriptor> {
        let Some((locked, evidence)) = self.artifact(at) else { return Vec::new() };
        let attached = evidence.attached.iter().map(|a| descriptor(&a.media_type, &a.digest, a.size));
        std::iter::once(root(locked)).chain(attached).collect()
    }

    /// Moves the document `want` and all documents below it from the plain bytes to the parsed ones.
    fn take_up(&mut self, want: &Descriptor, depth: usize) -> Result<(), FlowError> {
        if let Some(known) = self.documents.get(&want.digest) {
            return agree(want, &known.media_type, known.bytes.len());
        }
        let contradiction = |why: String| FlowError::Content { item: want.digest.to_string(), why };
        if depth >= limits::INDEX_DEPTH {
            return Err(contradiction(format!("indexes lie within each other more than {} deep", limits::INDEX_DEPTH)));
        }
        let bytes = self
            .small
            .remove(&want.digest)
            .ok_or_else(|| FlowError::Incomplete { what: "the lock".to_owned(), digest: want.digest.clone() })?;
        agree(want, &want.media_type, bytes.len())?;
        let parsed =
            ImageDocument::parse(&bytes, &want.media_type).map_err(|error| contradiction(error.to_string()))?;
        let below: Vec<Descriptor> = match &parsed {
            ImageDocument::Index(index) => index.manifests.clone(),
            ImageDocument::Image(_) => Vec::new(),
        };
        let document = Document { media_type: want.media_type.clone(), bytes, parsed };
        self.documents.insert(want.digest.clone(), document);
        below.iter().filter(|child| child.media_type.is_document()).try_for_each(|child| self.take_up(child, depth + 1))
    }

    /// Refuses a digest that two documents name with two sizes.
    fn check_sizes(&self) -> Result<(), FlowError> {
        let mut sizes: BTreeMap<&Digest, u64> = BTreeMap::new();
        for (holder, document) in &self.documents {
            for child in document.parsed.children() {
                let known = *sizes.entry(&child.digest).or_insert(child.size);
                if known != child.size {
                    let why =
                        format!("names {} with {} bytes, another document with {known}", child.digest, child.size);
                    return Err(FlowError::Content { item: holder.to_string(), why });
                }
            }
        }
        Ok(())
    }

    /// Returns the parsed document under `digest`.
    pub fn document(&self, digest: &Digest) -> Option<&ImageDocument> {
        self.documents.get(digest).map(|document| &document.parsed)
    }

    /// Returns the document under `digest`, verbatim, as a port takes it.
    pub fn verbatim(&self, digest: &Digest) -> Option<ManifestBytes> {
        let document = self.documents.get(digest)?;
        let content = Content { digest: digest.clone(), size: document.bytes.len() as u64 };
        Some(ManifestBytes {
            descriptor: Descriptor::new(document.media_type.clone(), content),
            bytes: document.bytes.clone(),
        })
    }

    /// Returns the bytes of a blob that is at hand.
    pub fn small(&self, digest: &Digest) -> Option<&[u8]> {
        self.small.get(digest).map(Vec::as_slice)
    }

    /// Adds the bytes of a blob; the caller has verified them.
    pub fn keep_small(&mut self, digest: Digest, bytes: Vec<u8>) {
        self.small.insert(digest, bytes);
    }

    /// Returns the documents of the tree below `root`, what is pointed to first, `root` last, each once.
    pub fn tree(&self, root: &Digest) -> Vec<Digest> {
        let mut order = Vec::new();
        self.visit(root, &mut BTreeSet::new(), &mut order);
        order
    }

    fn visit(&self, digest: &Digest, seen: &mut BTreeSet<Digest>, order: &mut Vec<Digest>) {
        let Some(document) = self.documents.get(digest) else { return };
        if !seen.insert(digest.clone()) {
            return;
        }
        for child in document.parsed.children() {
            self.visit(&child.digest, seen, order);
        }
        order.push(digest.clone());
    }

    /// Returns the blobs that the documents below `root` need, in the order of need, each once.
    ///
    /// Non-distributable layers are left out: they are never carried.
    pub fn blobs(&self, root: &Digest, evidence: bool) -> Vec<NeededBlob> {
        let mut seen = BTreeSet::new();
        let mut blobs = Vec::new();
        for digest in self.tree(root) {
            let Some(document) = self.documents.get(&digest) else { continue };
            for (at, child) in document.parsed.children().into_iter().enumerate() {
                let carried = !self.documents.contains_key(&child.digest) && !child.media_type.is_non_distributable();
                if carried && seen.insert(child.digest.clone()) {
                    let class = match (&document.parsed, evidence) {
                        (_, true) => Class::Evidence,
                        (ImageDocument::Image(_), false) if at == 0 => Class::Config,
                        _ => Class::Payload,
                    };
                    blobs.push(NeededBlob { descriptor: child.bare(), class });
                }
            }
        }
        blobs
    }

    /// Returns all blobs of artifact `at` with those of what is attached to it, each once.
    pub fn blobs_of_artifact(&self, at: usize) -> Vec<NeededBlob> {
        let mut seen = BTreeSet::new();
        let trees = self.roots(at).into_iter().enumerate();
        let all = trees.flat_map(|(place, root)| self.blobs(&root.digest, place > 0));
        all.filter(|blob| seen.insert(blob.descriptor.digest.clone())).collect()
    }
}

/// Returns what a signature must be about: the artifact, or the whole index that it was cut from.
pub fn judged_subject(artifact: &LockedArtifact) -> Descriptor {
    match &artifact.subset {
        None => root(artifact),
        Some(rule) => Descriptor::new(rule.original_type.clone(), Content { digest: rule.original.clone(), size: 0 }),
    }
}

fn root(locked: &LockedArtifact) -> Descriptor {
    descriptor(&locked.media_type, &locked.digest, locked.size)
}

fn descriptor(media_type: &MediaType, digest: &Digest, size: u64) -> Descriptor {
    Descriptor::new(media_type.clone(), Content { digest: digest.clone(), size })
}

fn agree(want: &Descriptor, media_type: &MediaType, size: usize) -> Result<(), FlowError> {
    if want.size == size as u64 && want.media_type == *media_type {
        return Ok(());
    }
    let why = format!("named as {} with {} bytes, but it is {media_type} with {size}", want.media_type, want.size);
    Err(FlowError::Content { item: want.digest.to_string(), why })
}
