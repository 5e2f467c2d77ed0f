//! A folder in the form of an OCI image layout, behind the ports of a source and a destination.
//!
//! A repository and tag stand in `index.json` as the annotation `org.opencontainers.image.ref.name`
//! with the text `path:tag`, which is how other tools find them. Documents with a subject stand there
//! without a name, so that their referrers can be found again.

use super::kernel_lock::{Hold, lock};
use super::put::{PutError, put};
use crate::model::port::{
    BlobSink, BlobSource, DiskState, FileSource, ImageSink, ImageSource, ManifestBytes, OpenFile, PlaceState,
    ProjectState, Projects,
};
use crate::model::{
    Content, Descriptor, Digest, Fault, FaultKind, FileUrl, ImageDocument, MediaType, Reference, Repository, Tag, json,
    limits,
};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

const REF_NAME: &str = "org.opencontainers.image.ref.name";
const LAYOUT: &[u8] = br#"{"imageLayoutVersion":"1.0.0"}"#;

/// Why a folder cannot be used as a layout.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// Another run fills it.
    #[error("{0} is being filled by another run")]
    Busy(PathBuf),
    /// Something stands there that is no layout.
    #[error("{0} is no OCI layout: {1}")]
    Foreign(PathBuf, String),
    /// The file system failed.
    #[error("cannot use {0}")]
    Disk(PathBuf, #[source] io::Error),
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct IndexFile {
    schema_version: u8,
    #[serde(default)]
    media_type: Option<MediaType>,
    #[serde(default)]
    manifests: Vec<Descriptor>,
}

/// OCI image layout that this run fills and reads.
pub struct LayoutFolder {
    root: PathBuf,
    /// Folder whose file system is asked for room.
    measured: PathBuf,
    index: Mutex<Vec<Descriptor>>,
    // Held for its kernel lock, which dies with the process.
    _guard: File,
}

impl LayoutFolder {
    /// Opens the layout at `root`, or makes an empty one, and keeps other runs out of it.
    pub fn open(root: &Path) -> Result<Self, OpenError> {
        let disk = |error| OpenError::Disk(root.to_owned(), error);
        fs::create_dir_all(root).map_err(disk)?;
        let guard = guarded(root, Hold::AloneNow)?;
        let empty = fs::read_dir(root).map_err(disk)?.next().is_none();
        refuse_links(root)?;
        for algorithm in ["sha256", "sha512"] {
            fs::create_dir_all(root.join("blobs").join(algorithm)).map_err(disk)?;
        }
        let layout = root.join("oci-layout");
        let index = root.join("index.json");
        if !layout.exists() {
            let ours = empty || !index.exists();
            if !ours {
                return Err(OpenError::Foreign(root.to_owned(), "oci-layout is missing".to_owned()));
            }
            publish(root, "oci-layout", LAYOUT).map_err(disk)?;
        }
        check_version(root)?;
        let manifests = if index.exists() { read_index(root)? } else { Vec::new() };
        sweep(root).map_err(disk)?;
        Ok(Self { root: root.to_owned(), measured: root.to_owned(), index: Mutex::new(manifests), _guard: guard })
    }

    /// Opens a finished layout for reading only: nothing is written, swept or made, so the medium may be read-only.
    ///
    /// Several may read at once; a run that fills the folder meanwhile is kept out, and keeps readers out.
    pub fn open_for_reading(root: &Path) -> Result<Self, OpenError> {
        let guard = guarded(root, Hold::SharedNow)?;
        if !root.join("oci-layout").exists() {
            return Err(OpenError::Foreign(root.to_owned(), "oci-layout is missing".to_owned()));
        }
        refuse_links(root)?;
        check_version(root)?;
        let index = Mutex::new(read_index(root)?);
        Ok(Self { root: root.to_owned(), measured: root.to_owned(), index, _guard: guard })
    }

    /// Answers questions about room for `folder` instead: for a stand-in of a layout that is not made yet.
    #[must_use]
    pub fn measuring(self, folder: &Path) -> Self {
        let there = folder.ancestors().find(|above| above.is_dir() && !above.as_os_str().is_empty());
        Self { measured: there.unwrap_or(Path::new(".")).to_owned(), ..self }
    }

    /// Returns the entries of `index.json` with the name that each has there.
    pub fn entries(&self) -> Vec<(Option<String>, Descriptor)> {
        let index = self.index.lock().unwrap_or_else(PoisonError::into_inner);
        index.iter().map(|entry| (entry.annotations.get(REF_NAME).cloned(), entry.bare())).collect()
    }

    fn blob_path(&self, digest: &Digest) -> PathBuf {
        self.blobs(digest).join(digest.hex())
    }

    fn blobs(&self, digest: &Digest) -> PathBuf {
        self.root.join("blobs").join(digest.algorithm().name())
    }

    fn fault(&self, kind: FaultKind, what: impl Into<String>) -> Fault {
        Fault::new(kind, self.root.display().to_string(), what)
    }

    /// States that `want` could not be written; a disk that takes no more is told with its room.
    fn unwritten(&self, want: &Descriptor, source: io::Error) -> Fault {
        let place = self.root.display().to_string();
        let fault = Fault::local(place, format!("cannot write {want}"), source);
        if fault.kind != FaultKind::Full {
            return fault;
        }
        let what =
            format!("takes no more: {want} is to be written, {} bytes are available", free(&self.root).unwrap_or(0));
        Fault { what, ..fault }.with_hint("make room there, or remove other files; what is whole stays")
    }

    fn read_document(&self, media_type: &MediaType, digest: &Digest) -> Result<ManifestBytes, Fault> {
        let path = self.blob_path(digest);
        let place = path.display().to_string();
        let file = open_regular(&path).map_err(|error| match error.kind() {
            io::ErrorKind::NotFound => self.fault(FaultKind::Missing, format!("{digest} is not there")),
            _ => Fault::local(&place, "cannot be read", error),
        })?;
        let mut bytes = Vec::new();
        file.take(limits::MANIFEST_BYTES + 1)
            .read_to_end(&mut bytes)
            .map_err(|error| Fault::local(&place, "cannot be read", error))?;
        let descriptor = Descriptor::new(
            media_type.clone(),
            Content { digest: Digest::of_with(digest.algorithm(), &bytes), size: bytes.len() as u64 },
        );
        if descriptor.digest != *digest {
            return Err(Fault::new(FaultKind::Damaged, place, format!("the bytes are {}", descriptor.digest)));
        }
        Ok(ManifestBytes { descriptor, bytes })
    }

    fn find(&self, at: &Repository, reference: &Reference) -> Option<Descriptor> {
        let index = self.index.lock().unwrap_or_else(PoisonError::into_inner);
        let named = |entry: &&Descriptor| match reference {
            Reference::Tag(tag) => {
                entry.annotations.get(REF_NAME).is_some_and(|name| *name == format!("{}:{tag}", at.path()))
            }
            Reference::Digest(digest) => entry.digest == *digest,
        };
        index.iter().find(named).map(Descriptor::bare)
    }

    /// Puts `entry` into the index in place of the one of the same name, and writes the index down.
    fn enlist(&self, entry: Descriptor) -> Result<(), Fault> {
        let mut index = self.index.lock().unwrap_or_else(PoisonError::into_inner);
        let name = entry.annotations.get(REF_NAME).cloned();
        let same = |other: &Descriptor| match &name {
            Some(name) => other.annotations.get(REF_NAME) == Some(name),
            None => other.digest == entry.digest && !other.annotations.contains_key(REF_NAME),
        };
        let mut next: Vec<Descriptor> = index.iter().filter(|other| !same(other)).cloned().collect();
        next.push(entry);
        next.sort_by(|a, b| (a.annotations.get(REF_NAME), &a.digest).cmp(&(b.annotations.get(REF_NAME), &b.digest)));
        let file = IndexFile { schema_version: 2, media_type: Some(MediaType::OCI_INDEX.into()), manifests: next };
        self.sync_folders()?;
        publish(&self.root, "index.json", &json::canonical(&file)).map_err(|error| {
            Fault::local(self.root.join("index.json").display().to_string(), "cannot be written", error)
        })?;
        *index = file.manifests;
        Ok(())
    }

    fn sync_folders(&self) -> Result<(), Fault> {
        for algorithm in ["sha256", "sha512"] {
            let path = self.root.join("blobs").join(algorithm);
            File::open(&path)
                .and_then(|folder| folder.sync_all())
                .map_err(|error| Fault::local(path.display().to_string(), "cannot be synced", error))?;
        }
        Ok(())
    }
}

/// Opens a folder and takes its lock.
fn guarded(root: &Path, hold: Hold) -> Result<File, OpenError> {
    let disk = |error| OpenError::Disk(root.to_owned(), error);
    let guard = File::open(root).map_err(disk)?;
    if lock(&guard, hold).map_err(disk)? { Ok(guard) } else { Err(OpenError::Busy(root.to_owned())) }
}

/// Refuses a layout whose folders of blobs are links: what they lead to is no part of it.
fn refuse_links(root: &Path) -> Result<(), OpenError> {
    for name in ["blobs", "blobs/sha256", "blobs/sha512"] {
        if fs::symlink_metadata(root.join(name)).is_ok_and(|found| !found.is_dir()) {
            return Err(OpenError::Foreign(root.to_owned(), format!("{name} is not a folder of it")));
        }
    }
    Ok(())
}

/// Returns the bytes that the file system of `folder` offers to this user.
fn free(folder: &Path) -> io::Result<u64> {
    let found = rustix::fs::statvfs(folder)?;
    Ok(found.f_bavail.saturating_mul(found.f_frsize))
}

/// Refuses a layout of another version: what it means is not known.
fn check_version(root: &Path) -> Result<(), OpenError> {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct VersionFile {
        image_layout_version: String,
    }
    const BYTES: u64 = 4 << 10;
    let path = root.join("oci-layout");
    let foreign = |why: String| OpenError::Foreign(root.to_owned(), format!("oci-layout: {why}"));
    let file = open_regular(&path).map_err(|error| OpenError::Disk(path.clone(), error))?;
    let mut bytes = Vec::new();
    file.take(BYTES).read_to_end(&mut bytes).map_err(|error| OpenError::Disk(path, error))?;
    let found: VersionFile = json::parse(&bytes).map_err(|error| foreign(error.to_string()))?;
    if found.image_layout_version == "1.0.0" {
        return Ok(());
    }
    Err(foreign(format!("its version is {:?}, this program reads \"1.0.0\"", found.image_layout_version)))
}

fn read_index(root: &Path) -> Result<Vec<Descriptor>, OpenError> {
    let path = root.join("index.json");
    let foreign = |why: String| OpenError::Foreign(root.to_owned(), format!("index.json: {why}"));
    let file = open_regular(&path).map_err(|error| OpenError::Disk(path.clone(), error))?;
    let mut bytes = Vec::new();
    file.take(limits::PAPER_BYTES + 1).read_to_end(&mut bytes).map_err(|error| OpenError::Disk(path, error))?;
    if bytes.len() as u64 > limits::PAPER_BYTES {
        return Err(foreign("it is above the limit".to_owned()));
    }
    let index: IndexFile = json::parse(&bytes).map_err(|error| foreign(error.to_string()))?;
    Ok(index.manifests)
}

/// Opens a regular file; what is none (a link out of the folder, a pipe, a device) is refused.
fn open_regular(path: &Path) -> io::Result<File> {
    let meta = fs::symlink_metadata(path)?;
    if !meta.is_file() {
        return Err(io::Error::other("not a regular file"));
    }
    File::open(path)
}

/// Removes what a killed run left behind: files that never got a name.
fn sweep(root: &Path) -> io::Result<()> {
    for folder in [root.to_owned(), root.join("blobs/sha256"), root.join("blobs/sha512")] {
        for entry in fs::read_dir(folder)? {
            let entry = entry?;
            if entry.file_name().to_string_lossy().starts_with(".incoming-") {
                fs::remove_file(entry.path())?;
            }
        }
    }
    Ok(())
}

/// Gives `bytes` the name `name` in `folder` at one stroke, durably.
fn publish(folder: &Path, name: &str, bytes: &[u8]) -> io::Result<()> {
    let mut part = tempfile::Builder::new().prefix(".incoming-").tempfile_in(folder)?;
    part.write_all(bytes)?;
    part.as_file().sync_all()?;
    part.persist(folder.join(name)).map_err(|error| error.error)?;
    File::open(folder)?.sync_all()
}

impl BlobSource for LayoutFolder {
    fn open(&self, _: &Repository, want: &Descriptor, from: u64) -> Result<Box<dyn Read + Send>, Fault> {
        let path = self.blob_path(&want.digest);
        let place = path.display().to_string();
        let mut file = open_regular(&path).map_err(|error| match error.kind() {
            io::ErrorKind::NotFound => self.fault(FaultKind::Missing, format!("{} is not there", want.digest)),
            _ => Fault::local(&place, "cannot be read", error),
        })?;
        file.seek(SeekFrom::Start(from)).map_err(|error| Fault::local(&place, "cannot be read", error))?;
        Ok(Box::new(file))
    }
}

impl FileSource for LayoutFolder {
    fn file(&self, url: &FileUrl, _: Option<u64>, _: u64) -> Result<OpenFile, Fault> {
        Err(self.fault(FaultKind::Missing, format!("a layout holds no files by their address, and so not {url}")))
    }
}

impl ImageSource for LayoutFolder {
    fn head(&self, at: &Repository, reference: &Reference) -> Result<Option<Descriptor>, Fault> {
        if let Some(found) = self.find(at, reference) {
            return Ok(Some(found));
        }
        let Reference::Digest(digest) = reference else { return Ok(None) };
        match fs::symlink_metadata(self.blob_path(digest)) {
            Ok(meta) => {
                let content = Content { digest: digest.clone(), size: meta.len() };
                Ok(Some(Descriptor::new(MediaType::OCI_MANIFEST, content)))
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(Fault::local(self.root.display().to_string(), "cannot be read", error)),
        }
    }

    fn manifest(&self, at: &Repository, reference: &Reference) -> Result<ManifestBytes, Fault> {
        let found = self
            .head(at, reference)?
            .ok_or_else(|| self.fault(FaultKind::Missing, format!("{}:{reference} is not there", at.path())))?;
        let document = self.read_document(&found.media_type, &found.digest)?;
        // A child of an index is in no list, so its type is the one that it states itself.
        let own = own_media_type(&document.bytes).unwrap_or(found.media_type);
        Ok(ManifestBytes { descriptor: Descriptor { media_type: own, ..document.descriptor }, bytes: document.bytes })
    }

    fn tags(&self, at: &Repository) -> Result<Vec<Tag>, Fault> {
        let index = self.index.lock().unwrap_or_else(PoisonError::into_inner);
        let prefix = format!("{}:", at.path());
        let names =
            index.iter().filter_map(|entry| entry.annotations.get(REF_NAME)?.strip_prefix(&prefix)?.parse().ok());
        let mut tags: Vec<Tag> = names.collect();
        tags.sort();
        Ok(tags)
    }

    fn referrers(&self, _: &Repository, subject: &Digest) -> Result<Vec<Descriptor>, Fault> {
        let index = self.index.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let mut found = BTreeMap::new();
        for entry in index.iter().filter(|entry| entry.media_type.is_document()) {
            let document = self.read_document(&entry.media_type, &entry.digest)?;
            let parsed = ImageDocument::parse(&document.bytes, &entry.media_type)
                .map_err(|error| self.fault(FaultKind::Malformed, format!("{}: {error}", entry.digest)))?;
            if parsed.subject().is_some_and(|about| about.digest == *subject) {
                let artifact_type = parsed.artifact_type().cloned();
                let annotations = parsed.annotations().clone();
                found.insert(entry.digest.clone(), Descriptor { artifact_type, annotations, ..entry.bare() });
            }
        }
        Ok(found.into_values().collect())
    }
}

fn own_media_type(bytes: &[u8]) -> Option<MediaType> {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Own {
        media_type: Option<MediaType>,
    }
    serde_json::from_slice::<Own>(bytes).ok()?.media_type
}

impl BlobSink for LayoutFolder {
    fn has(&self, _: &Repository, want: &Descriptor) -> Result<bool, Fault> {
        match fs::symlink_metadata(self.blob_path(&want.digest)) {
            // A file gets its name only after its bytes matched, so the size is enough to tell it from a foreign one.
            Ok(meta) => Ok(meta.is_file() && meta.len() == want.size),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
            Err(error) => Err(Fault::local(self.root.display().to_string(), "cannot be read", error)),
        }
    }

    fn put(&self, _: &Repository, want: &Descriptor, content: &mut (dyn Read + Send)) -> Result<(), Fault> {
        put(&self.blobs(&want.digest), want, content).map_err(|error| match error {
            PutError::Mismatch { .. } => self.fault(FaultKind::Damaged, error.to_string()),
            PutError::Source { want, source } => {
                Fault::from_io(source, &self.root.display().to_string(), &format!("the source of {want} failed"))
            }
            PutError::Disk { want, source } => self.unwritten(&want, source),
        })
    }

    fn mount(&self, at: &Repository, want: &Descriptor, _: &Repository) -> Result<bool, Fault> {
        self.has(at, want)
    }
}

impl ImageSink for LayoutFolder {
    fn put_manifest(&self, at: &Repository, document: &ManifestBytes, tag: Option<&Tag>) -> Result<(), Fault> {
        let parsed = ImageDocument::parse(&document.bytes, &document.descriptor.media_type)
            .map_err(|error| self.fault(FaultKind::Malformed, format!("{}: {error}", document.descriptor.digest)))?;
        for child in parsed.children() {
            if !child.media_type.is_non_distributable() && !self.has(at, child)? {
                let what = format!("{} needs {child}, which is not there", document.descriptor.digest);
                return Err(self.fault(FaultKind::Missing, what));
            }
        }
        self.put(at, &document.descriptor, &mut &document.bytes[..])?;
        let mut entry = document.descriptor.bare();
        match tag {
            Some(tag) => entry.annotations.insert(REF_NAME.to_owned(), format!("{}:{tag}", at.path())),
            None if parsed.subject().is_some() => None,
            None => return Ok(()),
        };
        entry.artifact_type = parsed.artifact_type().filter(|_| parsed.subject().is_some()).cloned();
        self.enlist(entry)
    }
}

impl Projects for LayoutFolder {
    fn place(&self, _: &str) -> Result<PlaceState, Fault> {
        let disk = free(&self.measured)
            .map_err(|error| Fault::local(self.measured.display().to_string(), "cannot be asked for room", error))?;
        Ok(PlaceState {
            product: "OCI layout".to_owned(),
            read_only: false,
            manifest_limit: limits::MANIFEST_BYTES,
            notes: Vec::new(),
            disk: Some(DiskState { folder: self.measured.display().to_string(), available: disk }),
        })
    }

    fn project(&self, _: &Repository) -> Result<Option<ProjectState>, Fault> {
        Ok(Some(ProjectState { quota: None, used: 0, proxy: false, notes: Vec::new() }))
    }

    fn create(&self, _: &Repository) -> Result<(), Fault> {
        Ok(())
    }

    fn may_push(&self, _: &Repository) -> Result<(), Fault> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at() -> Repository {
        Repository::new("layout", "a/b").unwrap()
    }

    fn image(folder: &LayoutFolder) -> ManifestBytes {
        let config = Descriptor::of(MediaType::OCI_CONFIG, b"{}");
        folder.put(&at(), &config, &mut &b"{}"[..]).unwrap();
        let bytes = format!(
            r#"{{"schemaVersion":2,"mediaType":"{}","config":{},"layers":[]}}"#,
            MediaType::OCI_MANIFEST,
            serde_json::to_string(&config).unwrap()
        )
        .into_bytes();
        ManifestBytes { descriptor: Descriptor::of(MediaType::OCI_MANIFEST, &bytes), bytes }
    }

    #[test]
    fn what_was_put_is_found_by_tag_and_by_digest_after_opening_again() {
        let place = tempfile::tempdir().unwrap();
        let tag: Tag = "1.0".parse().unwrap();
        let document = {
            let folder = LayoutFolder::open(place.path()).unwrap();
            let document = image(&folder);
            folder.put_manifest(&at(), &document, Some(&tag)).unwrap();
            document
        };
        let folder = LayoutFolder::open(place.path()).unwrap();
        let digest = document.descriptor.digest.clone();
        assert_eq!(folder.manifest(&at(), &Reference::Tag(tag.clone())).unwrap(), document);
        assert_eq!(folder.manifest(&at(), &Reference::Digest(digest)).unwrap(), document);
        assert_eq!(folder.tags(&at()).unwrap(), [tag]);
    }

    #[test]
    fn a_document_whose_content_is_missing_is_refused_and_not_listed() {
        let place = tempfile::tempdir().unwrap();
        let folder = LayoutFolder::open(place.path()).unwrap();
        let config = Descriptor::of(MediaType::OCI_CONFIG, b"absent");
        let text = format!(r#"{{"schemaVersion":2,"config":{},"layers":[]}}"#, serde_json::to_string(&config).unwrap());
        let document =
            ManifestBytes { descriptor: Descriptor::of(MediaType::OCI_MANIFEST, text.as_bytes()), bytes: text.into() };
        let error = folder.put_manifest(&at(), &document, Some(&"1".parse().unwrap())).unwrap_err();
        assert_eq!(error.kind, FaultKind::Missing);
        assert!(folder.tags(&at()).unwrap().is_empty());
    }

    #[test]
    fn a_second_run_is_kept_out() {
        let place = tempfile::tempdir().unwrap();
        let _first = LayoutFolder::open(place.path()).unwrap();
        assert!(matches!(LayoutFolder::open(place.path()), Err(OpenError::Busy(_))));
    }

    #[test]
    fn a_link_in_place_of_a_blob_is_not_followed() {
        let place = tempfile::tempdir().unwrap();
        let outside = tempfile::NamedTempFile::new().unwrap();
        let folder = LayoutFolder::open(place.path()).unwrap();
        let want = Descriptor::of("a/b", b"");
        std::os::unix::fs::symlink(outside.path(), folder.blob_path(&want.digest)).unwrap();
        assert!(folder.open(&at(), &want, 0).is_err());
        assert!(!folder.has(&at(), &want).unwrap());
    }
}
