//! Documents in the folder: manifests and indexes, their tags, and what refers to what.

use super::folder::{Folder, absent_is_none, read, remove};
use super::names::Name;
use crate::model::{Content, Descriptor, Digest, ImageDocument, MediaType, Reference, Tag};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// A document to be kept: checked, with its digest computed.
#[derive(Debug)]
pub(crate) struct Document {
    /// Bytes, verbatim.
    pub(crate) bytes: Vec<u8>,
    /// Type, digest and size of the bytes.
    pub(crate) descriptor: Descriptor,
    /// What the bytes say.
    pub(crate) parsed: ImageDocument,
}

impl Document {
    /// Returns the descriptor that the referrers API shows: with artifact type and annotations.
    fn as_referrer(&self) -> Descriptor {
        let mut shown = self.descriptor.clone();
        shown.artifact_type = self.parsed.artifact_type().cloned();
        shown.annotations = self.parsed.annotations().clone();
        shown
    }
}

impl Folder {
    /// Returns type, digest and size of what `reference` names in `name`.
    pub(crate) fn document(&self, name: &Name, reference: &Reference) -> io::Result<Option<Descriptor>> {
        let digest = match reference {
            Reference::Digest(digest) => digest.clone(),
            Reference::Tag(tag) => match self.tag(name, tag)? {
                Some(digest) => digest,
                None => return Ok(None),
            },
        };
        let link = read(&self.document_link(name, &digest))?;
        Ok(link.as_deref().and_then(|text| parse_link(text, digest)))
    }

    /// Returns the bytes of a document whose presence was asked before.
    pub(crate) fn document_bytes(&self, descriptor: &Descriptor) -> io::Result<Vec<u8>> {
        let mut bytes = Vec::new();
        io::Read::read_to_end(&mut self.open_content(&descriptor.digest)?, &mut bytes)?;
        if descriptor.names_bytes(&bytes) { Ok(bytes) } else { Err(io::Error::other("a stored document is damaged")) }
    }

    /// Returns which of the things that `document` needs are not in `name`: blobs of an image, children of an index.
    pub(crate) fn missing(&self, name: &Name, document: &ImageDocument) -> io::Result<Vec<Digest>> {
        let mut missing = Vec::new();
        for child in document.children() {
            let there = match document {
                ImageDocument::Image(_) if child.media_type.is_non_distributable() => true,
                ImageDocument::Image(_) => self.blob(name, &child.digest)?.is_some(),
                ImageDocument::Index(_) => self.document(name, &Reference::Digest(child.digest.clone()))?.is_some(),
            };
            if !there && !missing.contains(&child.digest) {
                missing.push(child.digest.clone());
            }
        }
        Ok(missing)
    }

    /// Keeps a document and moves `tags` to it, if all that it needs is there; else returns what is missing.
    pub(crate) fn keep_document(&self, name: &Name, document: &Document, tags: &[Tag]) -> io::Result<Vec<Digest>> {
        let _changing = self.changing();
        let missing = self.missing(name, &document.parsed)?;
        if !missing.is_empty() {
            return Ok(missing);
        }
        let descriptor = &document.descriptor;
        self.keep_bytes(&descriptor.digest, &document.bytes)?;
        // The link comes after everything that it makes visible, the tag after the link.
        if let Some(subject) = document.parsed.subject() {
            let entry = self.referrer_path(name, &subject.digest, &descriptor.digest);
            self.write(&entry, &crate::model::json::canonical(&document.as_referrer()))?;
        }
        let link = format!("{} {}", descriptor.size, descriptor.media_type);
        self.write(&self.document_link(name, &descriptor.digest), link.as_bytes())?;
        for tag in tags {
            self.write(&self.tag_path(name, tag), descriptor.digest.to_string().as_bytes())?;
        }
        Ok(Vec::new())
    }

    /// Forgets a tag; `false` where it was not there.
    pub(crate) fn delete_tag(&self, name: &Name, tag: &Tag) -> io::Result<bool> {
        let _changing = self.changing();
        remove(&self.tag_path(name, tag))
    }

    /// Forgets a document, its tags, and that it refers to something; `false` where it was not there.
    pub(crate) fn delete_document(&self, name: &Name, digest: &Digest) -> io::Result<bool> {
        let _changing = self.changing();
        let Some(descriptor) = self.document(name, &Reference::Digest(digest.clone()))? else { return Ok(false) };
        for tag in self.tags(name)?.unwrap_or_default() {
            if self.tag(name, &tag)?.as_ref() == Some(digest) {
                remove(&self.tag_path(name, &tag))?;
            }
        }
        remove(&self.document_link(name, digest))?;
        let bytes = self.document_bytes(&descriptor)?;
        if let Some(subject) =
            ImageDocument::parse(&bytes, &descriptor.media_type).ok().and_then(|d| d.subject().cloned())
        {
            remove(&self.referrer_path(name, &subject.digest, digest))?;
        }
        Ok(true)
    }

    /// Returns what a tag names.
    pub(crate) fn tag(&self, name: &Name, tag: &Tag) -> io::Result<Option<Digest>> {
        Ok(read(&self.tag_path(name, tag))?.and_then(|text| text.trim().parse().ok()))
    }

    /// Returns all tags of `name`, sorted by bytes; `None` where there is no such repository.
    pub(crate) fn tags(&self, name: &Name) -> io::Result<Option<Vec<Tag>>> {
        let place = self.place(name);
        if !is_repository(&place) {
            return Ok(None);
        }
        let mut tags: Vec<Tag> = list(&place.join("_tags"))?.iter().filter_map(|file| file.parse().ok()).collect();
        tags.sort();
        Ok(Some(tags))
    }

    /// Returns what refers to `subject` in `name`, sorted by digest.
    pub(crate) fn referrers(&self, name: &Name, subject: &Digest) -> io::Result<Vec<Descriptor>> {
        let folder = self.referrers_path(name, subject);
        let mut found = Vec::new();
        for file in list(&folder)? {
            let Some(text) = read(&folder.join(file))? else { continue };
            let Ok(descriptor) = serde_json::from_str::<Descriptor>(&text) else { continue };
            // An entry is written before its document is visible, so a run that was killed may leave one alone.
            if self.document(name, &Reference::Digest(descriptor.digest.clone()))?.is_some() {
                found.push(descriptor);
            }
        }
        found.sort_by(|a, b| a.digest.cmp(&b.digest));
        Ok(found)
    }

    /// Returns the names of all repositories, sorted.
    pub(crate) fn repositories(&self) -> io::Result<Vec<Name>> {
        let mut found = Vec::new();
        let mut open = vec![String::new()];
        while let Some(prefix) = open.pop() {
            for part in list(&self.repositories_path().join(&prefix))? {
                let text = if prefix.is_empty() { part } else { format!("{prefix}/{part}") };
                let Some(name) = Name::parse(&text) else { continue };
                if is_repository(&self.place(&name)) {
                    found.push(name);
                }
                open.push(text);
            }
        }
        found.sort();
        Ok(found)
    }

    fn document_link(&self, name: &Name, digest: &Digest) -> PathBuf {
        self.place(name).join("_manifests").join(digest.algorithm().name()).join(digest.hex())
    }

    fn tag_path(&self, name: &Name, tag: &Tag) -> PathBuf {
        self.place(name).join("_tags").join(tag.as_str())
    }

    fn referrers_path(&self, name: &Name, subject: &Digest) -> PathBuf {
        self.place(name).join("_referrers").join(subject.to_string().replace(':', "-"))
    }

    fn referrer_path(&self, name: &Name, subject: &Digest, referrer: &Digest) -> PathBuf {
        self.referrers_path(name, subject).join(referrer.to_string().replace(':', "-"))
    }
}

fn is_repository(place: &Path) -> bool {
    ["_manifests", "_blobs"].iter().any(|part| place.join(part).is_dir())
}

fn parse_link(text: &str, digest: Digest) -> Option<Descriptor> {
    let (size, media_type) = text.trim().split_once(' ')?;
    Some(Descriptor::new(MediaType::new(media_type), Content { digest, size: size.parse().ok()? }))
}

/// Returns the names of the entries of a folder; nothing where it is not there.
fn list(folder: &Path) -> io::Result<Vec<String>> {
    let Some(entries) = absent_is_none(fs::read_dir(folder))? else { return Ok(Vec::new()) };
    let mut names = Vec::new();
    for entry in entries {
        names.extend(entry?.file_name().into_string());
    }
    Ok(names)
}
