//! Where a registry's content lies: in a folder of its own, or on a shelf that is only read.

use super::errors::Refusal;
use super::folder::Folder;
use super::names::Name;
use super::shelf::Shelf;
use crate::model::{Descriptor, Digest, Reference, Tag};
use std::io::{self, Read, Seek, SeekFrom};
use std::sync::Arc;

/// What a registry has.
#[derive(Debug, Clone)]
pub(crate) enum Stock {
    /// A folder that it keeps.
    Folder(Arc<Folder>),
    /// Somebody else's bytes, under the names of a host where a request says so.
    Shelf(Arc<Shelf>, Option<String>),
}

impl Stock {
    /// Returns the same under the names of `host`, which containerd states as `ns`. A folder knows no hosts.
    pub(super) fn under(&self, host: Option<&str>) -> Self {
        match self {
            Self::Folder(folder) => Self::Folder(Arc::clone(folder)),
            Self::Shelf(shelf, _) => Self::Shelf(Arc::clone(shelf), host.map(str::to_owned)),
        }
    }

    /// Returns the folder, for what changes it.
    pub(crate) fn folder(&self) -> Result<Arc<Folder>, Refusal> {
        match self {
            Self::Folder(folder) => Ok(Arc::clone(folder)),
            Self::Shelf(..) => Err(Refusal::unsupported("this registry can only be read")),
        }
    }

    /// Returns type, digest and size of what `reference` names in `name`.
    pub(super) fn document(&self, name: &Name, reference: &Reference) -> io::Result<Option<Descriptor>> {
        match self {
            Self::Folder(folder) => folder.document(name, reference),
            Self::Shelf(shelf, host) => Ok(shelf.document(host.as_deref(), name, reference)),
        }
    }

    /// Returns the bytes of a document whose presence was asked before, checked.
    pub(super) fn document_bytes(&self, descriptor: &Descriptor) -> io::Result<Vec<u8>> {
        match self {
            Self::Folder(folder) => folder.document_bytes(descriptor),
            Self::Shelf(shelf, _) => {
                let mut bytes = Vec::new();
                let open = shelf.open(&descriptor.digest, descriptor.size, 0)?;
                open.take(descriptor.size.saturating_add(1)).read_to_end(&mut bytes)?;
                match descriptor.names_bytes(&bytes) {
                    true => Ok(bytes),
                    false => Err(io::Error::other("a stored document is damaged")),
                }
            }
        }
    }

    /// Returns the size of a blob of `name`; `None` where it does not have it.
    pub(super) fn blob(&self, name: &Name, digest: &Digest) -> io::Result<Option<u64>> {
        match self {
            Self::Folder(folder) => folder.blob(name, digest),
            Self::Shelf(shelf, host) => Ok(shelf.blob(host.as_deref(), name, digest)),
        }
    }

    /// Opens a blob of `size` bytes from offset `from` on.
    pub(super) fn open(&self, digest: &Digest, size: u64, from: u64) -> io::Result<Box<dyn Read + Send>> {
        match self {
            Self::Folder(folder) => {
                let mut file = folder.open_content(digest)?;
                if from > 0 {
                    file.seek(SeekFrom::Start(from))?;
                }
                Ok(Box::new(file))
            }
            Self::Shelf(shelf, _) => shelf.open(digest, size, from),
        }
    }

    /// Returns all tags of `name`, sorted; `None` where there is no such repository.
    pub(super) fn tags(&self, name: &Name) -> io::Result<Option<Vec<Tag>>> {
        match self {
            Self::Folder(folder) => folder.tags(name),
            Self::Shelf(shelf, host) => Ok(shelf.tags(host.as_deref(), name)),
        }
    }

    /// Returns what refers to `subject` in `name`, sorted by digest.
    pub(super) fn referrers(&self, name: &Name, subject: &Digest) -> io::Result<Vec<Descriptor>> {
        match self {
            Self::Folder(folder) => folder.referrers(name, subject),
            Self::Shelf(shelf, host) => Ok(shelf.referrers(host.as_deref(), name, subject)),
        }
    }

    /// Returns the names of all repositories, sorted.
    pub(super) fn repositories(&self) -> io::Result<Vec<Name>> {
        match self {
            Self::Folder(folder) => folder.repositories(),
            Self::Shelf(shelf, _) => Ok(shelf.repositories()),
        }
    }
}
