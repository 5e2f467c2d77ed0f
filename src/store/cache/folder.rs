//! The folder of a store: opened, made, its blobs found.

use super::dir::{Dir, Standing};
use super::reading::content_of;
use crate::document::{Envelope, PaperError, read_json, write_json};
use crate::model::{Algorithm, Content, Digest, Fault};
use crate::store::kernel_lock::{Hold, lock};
use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

const KIND: &str = "Store";
const LAYOUT: &[u8] = br#"{"imageLayoutVersion":"1.0.0"}"#;
const INDEX: &[u8] = br#"{"schemaVersion":2,"mediaType":"application/vnd.oci.image.index.v1+json","manifests":[]}"#;
/// Largest opening of a store that is read, in bytes.
const OPENING_BYTES: u64 = 4 << 10;
/// All algorithms, in the order of their folders.
const ALGORITHMS: [Algorithm; 2] = [Algorithm::Sha256, Algorithm::Sha512];

/// Why a folder cannot be used as a store.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// Nothing is there.
    #[error("{0} holds no store")]
    Absent(PathBuf),
    /// Something stands there that is no store.
    #[error("{0} is no store: {1}")]
    Foreign(PathBuf, String),
    /// What opens it, or a paper in it, cannot be read, or is of a later version.
    #[error(transparent)]
    Paper(#[from] PaperError),
    /// The file system failed.
    #[error("cannot use the store {0}")]
    Disk(PathBuf, #[source] io::Error),
}

/// A blob that stands in a store.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct StoredBlob {
    /// Digest that it is named by.
    pub digest: Digest,
    /// Size of the file in bytes.
    pub size: u64,
    /// When it was put, in seconds since 1970.
    pub put: i64,
}

/// An open store.
pub struct StoreFolder {
    root: PathBuf,
    blobs: [Dir; 2],
    own: Dir,
    pub(super) roots: Dir,
    pub(super) runs: Dir,
    pub(super) incoming: Dir,
    pub(super) aside: Dir,
}

impl StoreFolder {
    /// Opens the store at `root`, or makes one where nothing is there yet.
    pub fn open_or_make(root: &Path) -> Result<Self, StoreError> {
        let disk = |error| StoreError::Disk(root.to_owned(), error);
        std::fs::create_dir_all(root).map_err(disk)?;
        let dir = Dir::open(root).map_err(disk)?;
        // Whoever makes a store makes this folder first; so what has other things only is somebody else's.
        let foreign = dir.names().map_err(disk)?.iter().any(|name| name != "lost+found");
        if foreign && dir.standing("airlift").is_err() {
            return Err(StoreError::Foreign(root.to_owned(), "it holds other things already".to_owned()));
        }
        make(&dir).map_err(disk)?;
        Self::open(root)
    }

    /// Opens the store that stands at `root`.
    pub fn open(root: &Path) -> Result<Self, StoreError> {
        let disk = |error| StoreError::Disk(root.to_owned(), error);
        let dir = Dir::open(root).map_err(|error| match error.kind() {
            io::ErrorKind::NotFound => StoreError::Absent(root.to_owned()),
            _ => disk(error),
        })?;
        let part = |dir: &Dir, name: &str| {
            dir.below(name).map_err(|error| StoreError::Foreign(root.to_owned(), format!("{name}: {error}")))
        };
        let own = match dir.standing("airlift") {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Err(StoreError::Absent(root.to_owned())),
            _ => part(&dir, "airlift")?,
        };
        check_opening(&own)?;
        let blobs = part(&dir, "blobs")?;
        Ok(Self {
            root: root.to_owned(),
            blobs: [part(&blobs, ALGORITHMS[0].name())?, part(&blobs, ALGORITHMS[1].name())?],
            roots: part(&own, "roots")?,
            runs: part(&own, "runs")?,
            incoming: part(&own, "incoming")?,
            aside: part(&own, "aside")?,
            own,
        })
    }

    /// Returns where the store is.
    pub fn path(&self) -> &Path {
        &self.root
    }

    pub(super) const fn own(&self) -> &Dir {
        &self.own
    }

    /// Makes the names of blobs durable.
    pub(super) fn sync_blobs(&self) -> io::Result<()> {
        self.blobs.iter().try_for_each(Dir::sync)
    }

    pub(super) fn blobs(&self, algorithm: Algorithm) -> &Dir {
        match algorithm {
            Algorithm::Sha256 => &self.blobs[0],
            Algorithm::Sha512 => &self.blobs[1],
        }
    }

    /// Takes the lock of the store; it is given back when the file is closed.
    pub(super) fn hold(&self, how: Hold) -> io::Result<Option<File>> {
        let file = self.own.lock_file("lock")?;
        Ok(lock(&file, how)?.then_some(file))
    }

    /// Returns what stands under the name of a blob; nothing where there is nothing.
    pub(super) fn standing(&self, digest: &Digest) -> io::Result<Option<Standing>> {
        match self.blobs(digest.algorithm()).standing(&digest.hex()) {
            Ok(found) => Ok(Some(found)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Opens the file under the name of a blob, which is not checked yet; nothing where it is not there.
    pub(super) fn file(&self, digest: &Digest) -> io::Result<Option<File>> {
        match self.blobs(digest.algorithm()).file(&digest.hex()) {
            Ok(file) => Ok(Some(file)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Lists all blobs in the order of their digests. Names that no blob has are left out; see [`StoreFolder::strays`].
    pub fn list(&self) -> Result<Vec<StoredBlob>, Fault> {
        let mut found = Vec::new();
        for algorithm in ALGORITHMS {
            let dir = self.blobs(algorithm);
            for name in dir.names().map_err(|error| self.fault(error))? {
                let Ok(digest) = format!("{}:{name}", algorithm.name()).parse() else { continue };
                // Whoever frees meanwhile may be faster.
                let Ok(standing) = dir.standing(&name) else { continue };
                found.push(StoredBlob { digest, size: standing.size, put: standing.changed });
            }
        }
        Ok(found)
    }

    /// Lists what stands among the blobs under a name that no blob has.
    pub fn strays(&self) -> Result<Vec<PathBuf>, Fault> {
        let mut found = Vec::new();
        for algorithm in ALGORITHMS {
            let dir = self.blobs(algorithm);
            let names = dir.names().map_err(|error| self.fault(error))?.into_iter();
            let odd = names.filter(|name| format!("{}:{name}", algorithm.name()).parse::<Digest>().is_err());
            found.extend(odd.map(|name| dir.path().join(name)));
        }
        Ok(found)
    }

    /// Reads a whole blob and returns what its bytes are; nothing where it is not there.
    pub fn content(&self, digest: &Digest) -> io::Result<Option<Content>> {
        self.file(digest)?.map(|mut file| content_of(&mut file, digest.algorithm())).transpose()
    }

    /// Takes the name of a blob from what is not that blob, so that it is fetched again. What was found is kept under
    /// `airlift/aside` until content is freed.
    pub fn set_aside(&self, digest: &Digest) -> io::Result<()> {
        let (algorithm, hex) = (digest.algorithm(), digest.hex());
        let mut name = format!("{}-{hex}", algorithm.name());
        // A folder and a file do not take each other's name.
        while self.aside.standing(&name).is_ok_and(|found| !found.regular) {
            name.push('+');
        }
        match self.blobs(algorithm).rename(&hex, &self.aside, &name) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            other => other,
        }
    }

    pub(super) fn fault(&self, error: io::Error) -> Fault {
        Fault::local(self.root.display().to_string(), "the store cannot be used", error)
    }
}

/// Makes what an empty store has, where it is not there yet. The opening comes last: what has none is no store.
fn make(dir: &Dir) -> io::Result<()> {
    let own = dir.made_below("airlift")?;
    if own.standing("store.json").is_ok() {
        return Ok(());
    }
    // Several may begin at once.
    let guard = own.lock_file("lock")?;
    lock(&guard, Hold::Alone)?;
    let blobs = dir.made_below("blobs")?;
    for algorithm in ALGORITHMS {
        blobs.made_below(algorithm.name())?;
    }
    for name in ["roots", "runs", "incoming", "aside"] {
        own.made_below(name)?;
    }
    dir.publish("oci-layout.partial", "oci-layout", LAYOUT)?;
    dir.publish("index.json.partial", "index.json", INDEX)?;
    blobs.sync()?;
    own.publish("store.json.partial", "store.json", &write_json(&Envelope::new(KIND)))
}

/// Refuses a store of a later version: what it means is not known.
fn check_opening(own: &Dir) -> Result<(), StoreError> {
    let place = own.path().join("store.json").display().to_string();
    let failed = |error| StoreError::Foreign(own.path().to_owned(), format!("store.json: {error}"));
    let file = own.file("store.json").map_err(failed)?;
    let mut bytes = Vec::new();
    file.take(OPENING_BYTES).read_to_end(&mut bytes).map_err(failed)?;
    let _: Envelope = read_json(&bytes, &place, KIND)?;
    Ok(())
}
