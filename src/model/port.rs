//! Ports: what the verbs need from the outside, one noun a role. Adapters live in `store`, `registry`
//! and `testkit`; wrappers (count, fail, retry) implement the port that they wrap.
//!
//! All ports are synchronous; an adapter that speaks to a network keeps its async part to itself.
//! All take the whole [`Repository`], host included, so one adapter may serve many hosts.

use super::descriptor::Descriptor;
use super::digest::Digest;
use super::fault::Fault;
use super::file_url::FileUrl;
use super::reference::{Reference, Repository, Tag};
use std::io::Read;

/// Bytes of an image manifest or index exactly as they were read, with what they turned out to be.
///
/// The descriptor's digest and size were computed from `bytes`; its media type is what the source announced.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ManifestBytes {
    /// Type as announced; digest and size as computed.
    pub descriptor: Descriptor,
    /// The document, verbatim.
    pub bytes: Vec<u8>,
}

/// Gives blobs.
pub trait BlobSource: Send + Sync {
    /// Opens the bytes of `want` from offset `from` on.
    ///
    /// The reader goes on by itself after a break where the source allows it. It may give more or other
    /// bytes than promised: whoever writes them down checks them. A failure while reading is a [`Fault`]
    /// inside the I/O error ([`Fault::from_io`] takes it out).
    fn open(&self, at: &Repository, want: &Descriptor, from: u64) -> Result<Box<dyn Read + Send>, Fault>;
}

/// Gives image documents and says what refers to them.
pub trait ImageSource: Send + Sync {
    /// Returns what `reference` stands for now, without its bytes; `None` where it is not there.
    fn head(&self, at: &Repository, reference: &Reference) -> Result<Option<Descriptor>, Fault>;
    /// Returns the document. By digest, the bytes are checked against it; a wrong document is [`super::FaultKind::Damaged`].
    fn manifest(&self, at: &Repository, reference: &Reference) -> Result<ManifestBytes, Fault>;
    /// Returns all tags, sorted.
    fn tags(&self, at: &Repository) -> Result<Vec<Tag>, Fault>;
    /// Returns what refers to `subject`, by the referrers API or the tag schema, sorted by digest.
    ///
    /// An empty list means that there are none. A list that cannot be had is an error.
    fn referrers(&self, at: &Repository, subject: &Digest) -> Result<Vec<Descriptor>, Fault>;
}

/// A file on its way.
pub struct OpenFile {
    /// Its whole size in bytes, where the other side states it. Only a word: who writes the bytes down counts them.
    pub size: Option<u64>,
    /// Its bytes from the offset that was asked for.
    pub content: Box<dyn Read + Send>,
}

/// Gives files by their address. Nothing of ours is shown to the other side: no credentials, no certificate.
pub trait FileSource: Send + Sync {
    /// Opens the file at `url` from offset `from` on; `size` is its whole size where that is known.
    ///
    /// As with blobs, the reader goes on by itself after a break, and whoever writes its bytes down checks them. Where no
    /// size is known it may give any number of bytes: the reader bounds it.
    fn file(&self, url: &FileUrl, size: Option<u64>, from: u64) -> Result<OpenFile, Fault>;
}

/// Takes blobs.
pub trait BlobSink: Send + Sync {
    /// Returns whether exactly this blob is already there.
    fn has(&self, at: &Repository, want: &Descriptor) -> Result<bool, Fault>;
    /// Takes the bytes of `want`; leaves nothing under its name unless they match it in full.
    fn put(&self, at: &Repository, want: &Descriptor, content: &mut (dyn Read + Send)) -> Result<(), Fault>;
    /// Takes bytes that their giver checks by itself: it fails before the last piece where they do not match `want`.
    /// So they need not be hashed once more on their way out; the other side checks what it stores all the same.
    fn put_checked(&self, at: &Repository, want: &Descriptor, content: &mut (dyn Read + Send)) -> Result<(), Fault> {
        self.put(at, want, content)
    }
    /// Makes a blob that is in `from` appear in `at` without moving bytes; `false` where that is not possible.
    fn mount(&self, at: &Repository, want: &Descriptor, from: &Repository) -> Result<bool, Fault>;
}

/// Takes image documents.
pub trait ImageSink: Send + Sync {
    /// Stores the document under its digest and, where given, under a tag.
    ///
    /// Everything it points to must be there already. The tag is moved if it names something else.
    fn put_manifest(&self, at: &Repository, document: &ManifestBytes, tag: Option<&Tag>) -> Result<(), Fault>;
}

/// What a destination is and what state it is in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlaceState {
    /// Product with its version, where it says so: `Harbor 2.14.3`, `OCI registry`, `OCI layout`.
    pub product: String,
    /// Whether it refuses all writes at the moment.
    pub read_only: bool,
    /// Largest document it takes, in bytes.
    pub manifest_limit: u64,
    /// Warnings worth showing before a run: an address that differs from the one it believes to have, ….
    pub notes: Vec<String>,
    /// The disk under it, where that is one of this machine.
    pub disk: Option<DiskState>,
}

/// Room on a disk.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DiskState {
    /// Folder that is filled.
    pub folder: String,
    /// Bytes that its file system offers.
    pub available: u64,
}

/// One project of a destination: in Harbor the first part of a path; elsewhere there is one that has no limits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProjectState {
    /// Bytes that may be stored, `None` for no limit or where it cannot be read.
    pub quota: Option<u64>,
    /// Bytes stored.
    pub used: u64,
    /// Whether it is a proxy cache, into which nothing can be pushed.
    pub proxy: bool,
    /// Warnings worth showing before a run: a pull gate without severity, content trust, ….
    pub notes: Vec<String>,
}

/// Answers the questions of a preflight and creates projects.
pub trait Projects: Send + Sync {
    /// Returns what the place is; fails where it cannot be reached or refuses the credentials.
    fn place(&self, host: &str) -> Result<PlaceState, Fault>;
    /// Returns the state of the project of `at`; `None` where it does not exist.
    fn project(&self, at: &Repository) -> Result<Option<ProjectState>, Fault>;
    /// Creates the project of `at`, private.
    fn create(&self, at: &Repository) -> Result<(), Fault>;
    /// Fails with the server's words where the credentials may not push to `at`. Leaves nothing behind.
    fn may_push(&self, at: &Repository) -> Result<(), Fault>;
}

/// Gives whole small files by their path below one place: a mirror of trusted metadata.
pub trait FileTree: Send + Sync {
    /// Names the place for a person: an address without credentials, or a folder.
    fn place(&self) -> String;
    /// Returns the file at `path`, parts of which are separated by `/`; `None` where the other side says that it is
    /// not there. More than `limit` bytes are [`super::FaultKind::TooLarge`].
    fn file(&self, path: &str, limit: u64) -> Result<Option<Vec<u8>>, Fault>;
}

/// A place that can be read.
pub trait Source: BlobSource + ImageSource + FileSource {}
impl<T: BlobSource + ImageSource + FileSource + ?Sized> Source for T {}

/// A place that can be filled: it can also be asked what it has.
pub trait Destination: BlobSource + ImageSource + BlobSink + ImageSink + Projects {}
impl<T: BlobSource + ImageSource + BlobSink + ImageSink + Projects + ?Sized> Destination for T {}
