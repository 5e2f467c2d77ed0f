//! What a registry shows that can only be read: an index in memory over bytes that lie elsewhere.
//!
//! Whoever puts things on the shelf says which repository has which tags, documents and blobs; the bytes come from
//! a [`BlobSource`] when they are asked for. The index costs some hundred bytes for each document and blob.
//!
//! A shelf has one view under the names that things have there, and one for each host that they came from: containerd
//! adds `?ns=HOST` to what it asks a mirror, and then means the name at that host.

use super::names::Name;
use crate::model::port::BlobSource;
use crate::model::{Content, Descriptor, Digest, Fault, ImageDocument, MediaType, Reference, Repository, Tag};
use std::collections::BTreeMap;
use std::io::{self, Read};
use std::sync::Arc;

/// A name that cannot be that of a repository.
#[derive(Debug, thiserror::Error)]
#[error("{0:?} is no name of a repository")]
pub struct NameError(String);

/// Two artifacts that would have the same name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{repository}:{tag} names {first} and {second}")]
pub struct TagConflict {
    /// Repository.
    pub repository: String,
    /// Tag.
    pub tag: Tag,
    /// What it names.
    pub first: Digest,
    /// What it should name as well.
    pub second: Digest,
}

/// Repositories under the names of one host, or under the shelf's own.
type View = BTreeMap<Name, Shelved>;

/// Where something is put: a repository of a host that it came from, or one of the shelf's own.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Spot {
    /// Host; `None` for the shelf's own names.
    pub host: Option<String>,
    /// Repository, without a host.
    pub repository: String,
}

/// What one repository has.
#[derive(Debug, Default)]
struct Shelved {
    tags: BTreeMap<Tag, Digest>,
    documents: BTreeMap<Digest, Descriptor>,
    blobs: BTreeMap<Digest, Descriptor>,
    /// By subject: descriptors as the referrers API shows them.
    referrers: BTreeMap<Digest, BTreeMap<Digest, Descriptor>>,
}

/// Repositories with what is in them, over bytes that lie elsewhere.
pub struct Shelf {
    own: View,
    hosts: BTreeMap<String, View>,
    bytes: Arc<dyn BlobSource>,
    /// Bytes need a place to be asked for; which one makes no difference here.
    place: Repository,
}

impl std::fmt::Debug for Shelf {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Shelf({} repositories)", self.own.len())
    }
}

impl Shelf {
    /// An empty shelf over `bytes`, which are asked for at `place`.
    pub fn new(bytes: Arc<dyn BlobSource>, place: Repository) -> Self {
        Self { own: View::new(), hosts: BTreeMap::new(), bytes, place }
    }

    fn at(&mut self, spot: &Spot) -> Result<&mut Shelved, NameError> {
        let name = Name::parse(&spot.repository).ok_or_else(|| NameError(spot.repository.clone()))?;
        let view = match &spot.host {
            Some(host) => self.hosts.entry(host.clone()).or_default(),
            None => &mut self.own,
        };
        Ok(view.entry(name).or_default())
    }

    /// Returns what `name` has in the view of `host`. A host that nothing came from means the shelf's own names.
    fn find(&self, host: Option<&str>, name: &Name) -> Option<&Shelved> {
        host.and_then(|host| self.hosts.get(host)).unwrap_or(&self.own).get(name)
    }

    /// Puts a document there. What it points to is put there by itself.
    pub fn put_document(
        &mut self,
        spot: &Spot,
        descriptor: &Descriptor,
        parsed: &ImageDocument,
    ) -> Result<(), NameError> {
        let shelved = self.at(spot)?;
        let bare = descriptor.bare();
        if let Some(subject) = parsed.subject() {
            let mut shown = bare.clone();
            shown.artifact_type = parsed.artifact_type().cloned();
            shown.annotations = parsed.annotations().clone();
            shelved.referrers.entry(subject.digest.clone()).or_default().insert(bare.digest.clone(), shown);
        }
        shelved.documents.insert(bare.digest.clone(), bare);
        Ok(())
    }

    /// Puts a blob there.
    pub fn put_blob(&mut self, spot: &Spot, blob: &Descriptor) -> Result<(), NameError> {
        self.at(spot)?.blobs.insert(blob.digest.clone(), blob.bare());
        Ok(())
    }

    /// Gives a document a tag. A tag that names something else already stays as it is.
    pub fn tag(&mut self, spot: &Spot, tag: &Tag, digest: &Digest) -> Result<Option<TagConflict>, NameError> {
        let named = self.at(spot)?.tags.entry(tag.clone()).or_insert_with(|| digest.clone());
        if named == digest {
            return Ok(None);
        }
        let (first, second) = (named.clone(), digest.clone());
        Ok(Some(TagConflict { repository: spot.repository.clone(), tag: tag.clone(), first, second }))
    }

    /// Returns type, digest and size of what `reference` names in `name` of a view.
    pub(super) fn document(&self, host: Option<&str>, name: &Name, reference: &Reference) -> Option<Descriptor> {
        let shelved = self.find(host, name)?;
        let digest = match reference {
            Reference::Digest(digest) => digest,
            Reference::Tag(tag) => shelved.tags.get(tag)?,
        };
        shelved.documents.get(digest).cloned()
    }

    /// Returns the size of a blob of `name`. A document is a blob as well: some clients ask for it so.
    pub(super) fn blob(&self, host: Option<&str>, name: &Name, digest: &Digest) -> Option<u64> {
        let shelved = self.find(host, name)?;
        shelved.blobs.get(digest).or_else(|| shelved.documents.get(digest)).map(|found| found.size)
    }

    /// Opens bytes whose presence was asked before, from an offset on.
    pub(super) fn open(&self, digest: &Digest, size: u64, from: u64) -> io::Result<Box<dyn Read + Send>> {
        let content = Content { digest: digest.clone(), size };
        let want = Descriptor::new(MediaType::new("application/octet-stream"), content);
        self.bytes.open(&self.place, &want, from).map_err(Fault::into_io)
    }

    /// Returns all tags of `name`, sorted; `None` where there is no such repository.
    pub(super) fn tags(&self, host: Option<&str>, name: &Name) -> Option<Vec<Tag>> {
        Some(self.find(host, name)?.tags.keys().cloned().collect())
    }

    /// Returns what refers to `subject` in `name`, sorted by digest.
    pub(super) fn referrers(&self, host: Option<&str>, name: &Name, subject: &Digest) -> Vec<Descriptor> {
        let found = self.find(host, name).and_then(|shelved| shelved.referrers.get(subject));
        found.map(|referrers| referrers.values().cloned().collect()).unwrap_or_default()
    }

    /// Returns the shelf's own names of all repositories, sorted.
    pub(super) fn repositories(&self) -> Vec<Name> {
        self.own.keys().cloned().collect()
    }

    /// Returns how many repositories there are under the shelf's own names.
    pub fn len(&self) -> usize {
        self.own.len()
    }

    /// Returns whether there are none.
    pub fn is_empty(&self) -> bool {
        self.own.is_empty()
    }
}
