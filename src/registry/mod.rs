//! Floor 3: the client of the OCI distribution protocol, and of Harbor.
//!
//! One [`Remote`] serves many hosts and implements all ports of [`crate::model::port`]. It knows nothing of stores,
//! bundles or trust; it reads no environment, no file and no home folder: everything comes in [`Settings`].
//!
//! | file | what it knows |
//! |---|---|
//! | `http` | one exchange: TLS, proxy, time limits; the door of the HTTP crate |
//! | `guard` `proxy` | which addresses may be reached, and how |
//! | `credentials` `challenge` `auth` | what is shown to whom |
//! | `retry` `gate` | how often, how many at a time; pure decisions |
//! | `exchange` | one call: the five above put together |
//! | `wire` `refusal` | paths and headers; what a server means when it refuses |
//! | `blobs` `download` `upload` `images` `referrers` | the protocol; files by their address |
//! | `harbor` | Harbor's REST interface for a preflight |
//! | `fuzzing` | a hidden door to the parsers, for the fuzz targets |
//!
//! The inside is asynchronous, the face is not: calls block the calling thread, and must not be made from within an
//! asynchronous runtime.

mod auth;
mod blobs;
mod challenge;
mod counters;
pub mod credentials;
mod download;
mod exchange;
#[doc(hidden)]
pub mod fuzzing;
mod gate;
mod guard;
mod harbor;
mod http;
mod images;
mod proxy;
mod referrers;
mod refusal;
mod retry;
mod settings;
mod upload;
mod wire;

pub use counters::{Counters, Kind};
pub use credentials::{Credential, CredentialError, Credentials, HelperOutput, Runner};
pub use proxy::Proxies;
pub use settings::{PlainHttp, Settings, Timeouts};

use crate::model::descriptor::Descriptor;
use crate::model::digest::Digest;
use crate::model::fault::{Fault, FaultKind};
use crate::model::file_url::FileUrl;
use crate::model::port::{
    BlobSink, BlobSource, FileSource, ImageSink, ImageSource, ManifestBytes, OpenFile, PlaceState, ProjectState,
    Projects,
};
use crate::model::reference::{Reference, Repository, Tag};
use exchange::Core;
use std::io::Read;
use std::sync::{Arc, Mutex};
use tokio::runtime::Runtime;
use tokio::task::JoinHandle;

/// Threads that move bytes between sockets and callers.
const WORKERS: usize = 2;

/// Registries, as many as references name. Shared by reference between threads.
///
/// At most [`Settings::per_host`] calls run, and as many blobs are open, for one host at one time; further ones wait.
pub struct Remote {
    shared: Arc<Shared>,
}

impl Remote {
    /// Makes a client. Fails where certificates, proxies or the runtime cannot be set up.
    pub fn new(settings: Settings) -> Result<Self, Fault> {
        let setup = |what: String| Fault::new(FaultKind::Local, "settings of the registry client", what);
        let core = Core::new(settings).map_err(|e| setup(e.to_string()))?;
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(WORKERS).enable_all().build();
        let runtime = runtime.map_err(|e| setup("threads for the network did not start".to_owned()).because(e))?;
        Ok(Self { shared: Arc::new(Shared { core: Arc::new(core), runtime: Some(runtime), linking: Mutex::new(()) }) })
    }

    /// Returns what went over the wire so far.
    pub fn counters(&self) -> Counters {
        self.shared.core.http.tally.read()
    }
}

/// What all handles of one [`Remote`] share, open downloads included.
struct Shared {
    core: Arc<Core>,
    /// Taken only when the last handle goes.
    runtime: Option<Runtime>,
    /// One change of a fallback tag at a time.
    linking: Mutex<()>,
}

impl Shared {
    /// Waits for `future` on the calling thread.
    #[expect(clippy::expect_used, reason = "the runtime is taken by Drop alone")]
    fn block_on<T>(&self, future: impl Future<Output = T>) -> T {
        self.runtime.as_ref().expect("the runtime stands until the last handle goes").block_on(future)
    }

    /// Waits before the `tries`-th repetition of something that settles by itself.
    fn wait(&self, tries: u32) {
        let wait = self.core.settings.timeouts.backoff.saturating_mul(2u32.saturating_pow(tries.min(6)));
        self.block_on(async { tokio::time::sleep(wait).await });
    }

    /// Starts `future` beside the calling thread.
    #[expect(clippy::expect_used, reason = "the runtime is taken by Drop alone")]
    fn spawn<T: Send + 'static>(&self, future: impl Future<Output = T> + Send + 'static) -> JoinHandle<T> {
        self.runtime.as_ref().expect("the runtime stands until the last handle goes").spawn(future)
    }
}

impl Drop for Shared {
    fn drop(&mut self) {
        // A resolver that hangs must not hold the caller.
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

impl BlobSource for Remote {
    fn open(&self, at: &Repository, want: &Descriptor, from: u64) -> Result<Box<dyn Read + Send>, Fault> {
        self.shared.open(at, want, from).map(|download| Box::new(download) as Box<dyn Read + Send>)
    }
}

impl FileSource for Remote {
    fn file(&self, url: &FileUrl, size: Option<u64>, from: u64) -> Result<OpenFile, Fault> {
        self.shared.open_file(url, size, from)
    }
}

impl ImageSource for Remote {
    fn head(&self, at: &Repository, reference: &Reference) -> Result<Option<Descriptor>, Fault> {
        self.shared.head(at, reference)
    }

    fn manifest(&self, at: &Repository, reference: &Reference) -> Result<ManifestBytes, Fault> {
        self.shared.manifest(at, reference)
    }

    fn tags(&self, at: &Repository) -> Result<Vec<Tag>, Fault> {
        self.shared.tags(at)
    }

    fn referrers(&self, at: &Repository, subject: &Digest) -> Result<Vec<Descriptor>, Fault> {
        self.shared.referrers(at, subject)
    }
}

impl BlobSink for Remote {
    fn has(&self, at: &Repository, want: &Descriptor) -> Result<bool, Fault> {
        self.shared.has(at, want)
    }

    fn put(&self, at: &Repository, want: &Descriptor, content: &mut (dyn Read + Send)) -> Result<(), Fault> {
        self.shared.put(at, want, content, upload::Checks::Here)
    }

    fn put_checked(&self, at: &Repository, want: &Descriptor, content: &mut (dyn Read + Send)) -> Result<(), Fault> {
        self.shared.put(at, want, content, upload::Checks::Giver)
    }

    fn mount(&self, at: &Repository, want: &Descriptor, from: &Repository) -> Result<bool, Fault> {
        self.shared.mount(at, want, from)
    }
}

impl ImageSink for Remote {
    fn put_manifest(&self, at: &Repository, document: &ManifestBytes, tag: Option<&Tag>) -> Result<(), Fault> {
        self.shared.put_manifest(at, document, tag)
    }
}

impl Projects for Remote {
    fn place(&self, host: &str) -> Result<PlaceState, Fault> {
        self.shared.place(host)
    }

    fn project(&self, at: &Repository) -> Result<Option<ProjectState>, Fault> {
        self.shared.project(at)
    }

    fn create(&self, at: &Repository) -> Result<(), Fault> {
        self.shared.create(at)
    }

    fn may_push(&self, at: &Repository) -> Result<(), Fault> {
        self.shared.may_push(at)
    }
}
