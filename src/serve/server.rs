//! The server: starts and stops.
//!
//! It owns a thread with a runtime of its own, so that callers stay synchronous.

use super::around::{Around, observe};
use super::auth::{Auth, Gate};
use super::counters::{Counters, Exchange};
use super::faults::{Faults, Script};
use super::folder::Folder;
use super::line::{Lines, Scissors};
use super::route::answer;
use super::shelf::Shelf;
use super::stock::Stock;
use super::tls::Identity;
use super::uploads::Uploads;
use axum::Router;
use axum::middleware::from_fn_with_state;
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;
use tokio::sync::oneshot;

/// Time that work on the disk gets to end when the server stops.
const LAST_WORK: Duration = Duration::from_secs(5);

/// What a registry has.
#[derive(Debug, Clone)]
pub enum Content {
    /// A folder that it keeps. Made where it does not exist.
    Folder(PathBuf),
    /// Somebody else's bytes, which can only be read.
    Shelf(Arc<Shelf>),
}

/// What a registry is to be like.
#[derive(Debug, Clone)]
pub struct Options {
    /// What it has.
    pub content: Content,
    /// Where it listens; port 0 takes a free one.
    pub listen: SocketAddr,
    /// Its certificate; without one it speaks plain HTTP.
    pub tls: Option<Identity>,
    /// Whom it lets in.
    pub auth: Auth,
    /// Whether everything that would change it is refused.
    pub read_only: bool,
    /// What goes wrong from the start.
    pub faults: Faults,
    /// Largest manifest or index that it takes, in bytes.
    pub manifest_limit: u64,
    /// Whether it knows the referrers API; else it answers 404 there, so that clients use the tag schema.
    pub referrers_api: bool,
}

impl Options {
    /// A registry in `root` on a free port of the loopback: open to all, writable, with every part of the protocol.
    pub fn new(root: impl Into<PathBuf>) -> Self {
        Self {
            content: Content::Folder(root.into()),
            listen: SocketAddr::from(([127, 0, 0, 1], 0)),
            tls: None,
            auth: Auth::None,
            read_only: false,
            faults: Faults::none(),
            manifest_limit: 4 << 20,
            referrers_api: true,
        }
    }

    /// A registry over `shelf` on a free port of the loopback: open to all, read only.
    pub fn show(shelf: Shelf) -> Self {
        Self { content: Content::Shelf(Arc::new(shelf)), read_only: true, ..Self::new("") }
    }
}

/// Why a registry did not start.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// Its folder cannot be made, read or written.
    #[error("cannot keep a registry in {root}")]
    Folder {
        /// The folder.
        root: PathBuf,
        /// Cause.
        source: io::Error,
    },
    /// The address cannot be listened at.
    #[error("cannot listen at {address}")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// Cause.
        source: io::Error,
    },
    /// The system gives no threads or no polling.
    #[error("cannot start the server's threads")]
    Threads {
        /// Cause.
        source: io::Error,
    },
}

/// What the handlers share.
pub(crate) struct Registry {
    pub(crate) stock: Stock,
    pub(crate) uploads: Uploads,
    pub(super) gate: Gate,
    pub(super) manifest_limit: u64,
    pub(super) referrers_api: bool,
    /// Most entries of one page of tags or referrers.
    pub(super) page: AtomicUsize,
    pub(super) read_only: bool,
}

/// Starts registries.
#[derive(Debug)]
pub struct EmbeddedRegistry;

impl EmbeddedRegistry {
    /// Starts a registry. When this returns, it answers.
    pub fn start(options: Options) -> Result<Running, ServeError> {
        Self::start_with(options, |router, _| router)
    }

    /// Starts a registry whose handlers `wrap` has put something in front of.
    pub(crate) fn start_with(
        options: Options,
        wrap: impl FnOnce(Router, &Arc<Registry>) -> Router,
    ) -> Result<Running, ServeError> {
        let stock = match options.content {
            Content::Shelf(shelf) => Stock::Shelf(shelf, None),
            Content::Folder(root) => match Folder::open(&root) {
                Ok(folder) => Stock::Folder(Arc::new(folder)),
                Err(source) => return Err(ServeError::Folder { root, source }),
            },
        };
        let refused = |source| ServeError::Listen { address: options.listen, source };
        let listener = TcpListener::bind(options.listen).map_err(refused)?;
        listener.set_nonblocking(true).map_err(refused)?;
        let address = listener.local_addr().map_err(refused)?;
        let registry = Arc::new(Registry {
            stock,
            uploads: Uploads::default(),
            gate: Gate::new(options.auth, if options.tls.is_some() { "https" } else { "http" }),
            manifest_limit: options.manifest_limit,
            referrers_api: options.referrers_api,
            page: AtomicUsize::new(usize::MAX),
            read_only: options.read_only,
        });
        let around = Arc::new(Around::new(&options.faults));
        let inner = Router::new().fallback(answer).with_state(Arc::clone(&registry));
        let router = wrap(inner, &registry).layer(from_fn_with_state(Arc::clone(&around), observe));
        let (stop, stopped) = oneshot::channel();
        let thread = run(listener, options.tls, router, stopped).map_err(|source| ServeError::Threads { source })?;
        Ok(Running { address, registry, around, stop: Some(stop), thread: Some(thread) })
    }
}

/// Serves on a thread of its own until `stopped` is told, or its other end is dropped.
fn run(
    listener: TcpListener,
    tls: Option<Identity>,
    router: Router,
    stopped: oneshot::Receiver<()>,
) -> io::Result<JoinHandle<()>> {
    let workers = std::thread::available_parallelism().map_or(2, |n| n.get().clamp(2, 8));
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(workers)
        .thread_name("registry")
        .enable_all()
        .build()?;
    let listener = {
        let _inside = runtime.enter();
        Lines::new(tokio::net::TcpListener::from_std(listener)?, tls)
    };
    std::thread::Builder::new().name("registry".to_owned()).spawn(move || {
        let service = router.into_make_service_with_connect_info::<Scissors>();
        runtime.block_on(async move {
            let serving = async { axum::serve(listener, service).await };
            tokio::select! {
                // The server ends by itself only with an error of the listener, and then there is nobody to tell.
                _ = serving => {}
                _ = stopped => {}
            }
        });
        runtime.shutdown_timeout(LAST_WORK);
    })
}

/// A registry that runs. It stops when this is dropped; what it stored stays in its folder.
pub struct Running {
    address: SocketAddr,
    registry: Arc<Registry>,
    around: Arc<Around>,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl std::fmt::Debug for Running {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Running({})", self.address)
    }
}

impl Running {
    /// Returns where it listens.
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// Returns the host as it stands in a reference: `127.0.0.1:41234`.
    pub fn host(&self) -> String {
        self.address.to_string()
    }

    /// Returns what it was asked so far.
    pub fn counters(&self) -> Counters {
        let mut counters = lock(&self.around.counters).clone();
        counters.bytes_in = self.around.bytes_in.load(Ordering::Relaxed);
        counters.bytes_out = self.around.bytes_out.load(Ordering::Relaxed);
        counters
    }

    /// Lets other things go wrong from now on; every rule counts from the beginning.
    pub fn set_faults(&self, faults: &Faults) {
        *lock(&self.around.script) = Arc::new(Script::new(faults));
    }

    /// Returns how often each rule of the present faults acted.
    pub fn faults_fired(&self) -> Vec<u64> {
        lock(&self.around.script).fired()
    }

    /// Keeps every request with its answer from now on, for [`Running::exchanges`]. Costs memory for each.
    pub fn record(&self) {
        self.around.recording.store(true, Ordering::Relaxed);
    }

    /// Returns the requests since [`Running::record`], in the order of their answers.
    pub fn exchanges(&self) -> Vec<Exchange> {
        lock(&self.around.exchanges).clone()
    }

    /// Gives at most `entries` tags or referrers in one answer, and a `Link` to the rest.
    pub fn set_page(&self, entries: usize) {
        self.registry.page.store(entries.max(1), Ordering::Relaxed);
    }

    /// Makes every bearer token worthless that was given out so far.
    pub fn revoke_tokens(&self) {
        self.registry.gate.revoke();
    }

    /// Stops. Answers under way break off.
    pub fn stop(self) {
        drop(self);
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            // A server thread that panicked has stopped, too.
            let _ = thread.join();
        }
    }
}

/// Takes a lock whose value no panic leaves half changed.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
