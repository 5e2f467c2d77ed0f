//! The server: starts, routes, counts, misbehaves on demand, and stops.
//!
//! It owns a thread with a runtime of its own, so that callers stay synchronous.

use super::auth::{Auth, Gate};
use super::counters::{Counters, Exchange};
use super::errors::Refusal;
use super::faults::{Act, Faults, Script, set_header};
use super::folder::Folder;
use super::line::{Lines, Scissors};
use super::names::{Name, PathError, Target, parse};
use super::outgoing::count_and_spoil;
use super::uploads::Uploads;
use super::{blobs, listing, manifests, uploads};
use axum::Router;
use axum::body::Body;
use axum::extract::{ConnectInfo, Query, Request, State};
use axum::http::{HeaderName, HeaderValue, Method, StatusCode, Uri};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use futures_util::StreamExt;
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;
use tokio::sync::oneshot;

/// Time that work on the disk gets to end when the server stops.
const LAST_WORK: Duration = Duration::from_secs(5);
/// Most of a request body that is read although the request is refused, so that the client reads the refusal.
const DRAINED_BYTES: u64 = 8 << 20;

/// What a registry is to be like.
#[derive(Debug, Clone)]
pub struct Options {
    /// Folder that it keeps. Made where it does not exist.
    pub root: PathBuf,
    /// Where it listens; port 0 takes a free one.
    pub listen: SocketAddr,
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
            root: root.into(),
            listen: SocketAddr::from(([127, 0, 0, 1], 0)),
            auth: Auth::None,
            read_only: false,
            faults: Faults::none(),
            manifest_limit: 4 << 20,
            referrers_api: true,
        }
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
    pub(crate) folder: Arc<Folder>,
    pub(crate) uploads: Uploads,
    pub(super) gate: Gate,
    pub(super) manifest_limit: u64,
    pub(super) referrers_api: bool,
    /// Most entries of one page of tags or referrers.
    pub(super) page: AtomicUsize,
    read_only: bool,
}

/// What is around the handlers: counters and faults.
struct Around {
    script: Mutex<Arc<Script>>,
    counters: Mutex<Counters>,
    bytes_in: Arc<AtomicU64>,
    bytes_out: Arc<AtomicU64>,
    recording: AtomicBool,
    exchanges: Mutex<Vec<Exchange>>,
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
        let folder = Folder::open(&options.root);
        let folder = folder.map_err(|source| ServeError::Folder { root: options.root.clone(), source })?;
        let refused = |source| ServeError::Listen { address: options.listen, source };
        let listener = TcpListener::bind(options.listen).map_err(refused)?;
        listener.set_nonblocking(true).map_err(refused)?;
        let address = listener.local_addr().map_err(refused)?;
        let registry = Arc::new(Registry {
            folder: Arc::new(folder),
            uploads: Uploads::default(),
            gate: Gate::new(options.auth),
            manifest_limit: options.manifest_limit,
            referrers_api: options.referrers_api,
            page: AtomicUsize::new(usize::MAX),
            read_only: options.read_only,
        });
        let around = Arc::new(Around::new(&options.faults));
        let inner = Router::new().fallback(answer).with_state(Arc::clone(&registry));
        let router = wrap(inner, &registry).layer(from_fn_with_state(Arc::clone(&around), observe));
        let (stop, stopped) = oneshot::channel();
        let thread = run(listener, router, stopped).map_err(|source| ServeError::Threads { source })?;
        Ok(Running { address, registry, around, stop: Some(stop), thread: Some(thread) })
    }
}

/// Serves on a thread of its own until `stopped` is told, or its other end is dropped.
fn run(listener: TcpListener, router: Router, stopped: oneshot::Receiver<()>) -> io::Result<JoinHandle<()>> {
    let workers = std::thread::available_parallelism().map_or(2, |n| n.get().clamp(2, 8));
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(workers)
        .thread_name("registry")
        .enable_all()
        .build()?;
    let listener = {
        let _inside = runtime.enter();
        Lines(tokio::net::TcpListener::from_std(listener)?)
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

impl Around {
    fn new(faults: &Faults) -> Self {
        Self {
            script: Mutex::new(Arc::new(Script::new(faults))),
            counters: Mutex::default(),
            bytes_in: Arc::default(),
            bytes_out: Arc::default(),
            recording: AtomicBool::new(false),
            exchanges: Mutex::default(),
        }
    }
}

/// Takes a lock whose value no panic leaves half changed.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Counts a request even where its connection is cut and its future dropped before an answer.
struct Visit<'a> {
    around: &'a Around,
    method: Method,
    path: String,
    target: Option<Target>,
    mount: bool,
    status: u16,
}

impl Drop for Visit<'_> {
    fn drop(&mut self) {
        lock(&self.around.counters).answered(self.status, &self.method, self.target.as_ref(), self.mount);
        if self.around.recording.load(Ordering::Relaxed) {
            let (method, path) = (self.method.to_string(), std::mem::take(&mut self.path));
            lock(&self.around.exchanges).push(Exchange { method, path, status: self.status });
        }
    }
}

/// Counts requests and answers, and lets go wrong what is due.
async fn observe(
    State(around): State<Arc<Around>>,
    ConnectInfo(scissors): ConnectInfo<Scissors>,
    request: Request,
    next: Next,
) -> Response {
    let path = request.uri().path_and_query().map_or("", |p| p.as_str()).to_owned();
    let method = request.method().clone();
    let target = parse(request.uri().path()).ok();
    let mount = query_of(request.uri()).iter().any(|(key, _)| key == "mount");
    lock(&around.counters).arrived(&method, target.as_ref(), mount);
    let script = Arc::clone(&lock(&around.script));
    let act = script.due(method.as_str(), &path);
    let mut visit = Visit { around: &around, method: method.clone(), path, target, mount, status: 0 };
    let request = count_body(request, &around, act.as_ref(), &scissors);
    let (response, act) = respond(request, next, act, &scissors).await;
    visit.status = response.status().as_u16();
    drop(visit);
    count_and_spoil(response, &method, act, scissors, Arc::clone(&around.bytes_out))
}

/// Gets an answer, from the handlers or from the fault. Returns the fault where it is about the answer's body.
async fn respond(request: Request, next: Next, act: Option<Act>, scissors: &Scissors) -> (Response, Option<Act>) {
    match act {
        Some(Act::Answer(answer)) => {
            drain(request).await;
            (answer.into_response(), None)
        }
        Some(Act::AnswerAfterwards(answer)) => {
            next.run(request).await;
            (answer.into_response(), None)
        }
        Some(Act::Stall(time)) => {
            tokio::time::sleep(time).await;
            (next.run(request).await, None)
        }
        Some(Act::Hang) => std::future::pending().await,
        Some(Act::DropConnection) => {
            scissors.close();
            std::future::pending().await
        }
        Some(Act::Header(name, value)) => {
            let mut response = next.run(request).await;
            set_header(&mut response, &name, value.as_deref());
            (response, None)
        }
        act => (next.run(request).await, act),
    }
}

/// Counts the request's body, and resets the connection in its middle where that is due.
fn count_body(request: Request, around: &Around, act: Option<&Act>, scissors: &Scissors) -> Request {
    let (parts, body) = request.into_parts();
    let counter = Arc::clone(&around.bytes_in);
    let scissors = scissors.clone();
    let mut left = match act {
        Some(Act::ResetUpload(after)) => Some(*after),
        _ => None,
    };
    let pieces = body.into_data_stream().map(move |piece| {
        let mut piece: Bytes = piece.map_err(io::Error::other)?;
        if let Some(room) = &mut left {
            if *room == 0 {
                scissors.reset();
                return Err(io::ErrorKind::ConnectionReset.into());
            }
            piece.truncate(usize::try_from(*room).unwrap_or(usize::MAX));
            *room -= piece.len() as u64;
        }
        counter.fetch_add(piece.len() as u64, Ordering::Relaxed);
        Ok::<_, io::Error>(piece)
    });
    Request::from_parts(parts, Body::from_stream(pieces))
}

/// Reads what is left of a refused request, within bounds: a client that is cut off while it sends cannot read why.
pub(crate) async fn drain(request: Request) {
    let waits = request.headers().contains_key(axum::http::header::EXPECT);
    let mut body = request.into_body().into_data_stream();
    let mut left = if waits { 0 } else { DRAINED_BYTES };
    while left > 0 {
        match body.next().await {
            Some(Ok(piece)) => left = left.saturating_sub(piece.len() as u64),
            Some(Err(_)) | None => return,
        }
    }
}

/// A request, taken apart.
pub(crate) struct Asked {
    pub(crate) registry: Arc<Registry>,
    pub(crate) query: Vec<(String, String)>,
    pub(crate) request: Request,
}

impl Asked {
    /// Returns the first value of a key of the query.
    pub(crate) fn value(&self, key: &str) -> Option<&str> {
        self.query.iter().find(|(k, _)| k == key).map(|(_, value)| value.as_str())
    }

    /// Returns a header, where it is text.
    pub(crate) fn header(&self, name: HeaderName) -> Option<&str> {
        self.request.headers().get(name)?.to_str().ok()
    }
}

/// Returns the pairs of a query; nothing where it does not parse.
pub(crate) fn query_of(uri: &Uri) -> Vec<(String, String)> {
    Query::try_from_uri(uri).map(|Query(pairs)| pairs).unwrap_or_default()
}

/// Answers a request.
async fn answer(State(registry): State<Arc<Registry>>, request: Request) -> Response {
    let asked = Asked { registry, query: query_of(request.uri()), request };
    let mut response = match admitted(&asked) {
        Ok(target) => route(target, asked).await.unwrap_or_else(IntoResponse::into_response),
        Err(refusal) => {
            drain(asked.request).await;
            refusal.into_response()
        }
    };
    let headers = response.headers_mut();
    headers.insert("docker-distribution-api-version", HeaderValue::from_static("registry/2.0"));
    response
}

/// Returns what the request is about, if it may be asked.
fn admitted(asked: &Asked) -> Result<Target, Refusal> {
    let method = asked.request.method();
    let target = parse(asked.request.uri().path()).map_err(|e| refuse_path(method, &e))?;
    let from = asked.value("from").filter(|_| asked.value("mount").is_some()).and_then(Name::parse);
    asked.registry.gate.admit(method, asked.request.headers(), &target, from.as_ref())?;
    if asked.registry.read_only && !matches!(*method, Method::GET | Method::HEAD) {
        return Err(Refusal::unsupported("this registry can only be read"));
    }
    Ok(target)
}

fn refuse_path(method: &Method, error: &PathError) -> Refusal {
    let reads = matches!(*method, Method::GET | Method::HEAD | Method::DELETE);
    match error {
        PathError::Route => Refusal::new(StatusCode::NOT_FOUND, "UNSUPPORTED", error.to_string()),
        PathError::Name(_) => Refusal::new(StatusCode::BAD_REQUEST, "NAME_INVALID", error.to_string()),
        PathError::Digest(why) => Refusal::digest_invalid(why),
        // A document under such a name cannot be there.
        PathError::Reference(reference) if reads => Refusal::manifest_unknown(reference),
        PathError::Reference(_) => Refusal::new(StatusCode::BAD_REQUEST, "TAG_INVALID", error.to_string()),
    }
}

async fn route(target: Target, asked: Asked) -> Result<Response, Refusal> {
    let method = asked.request.method().clone();
    match (target, method) {
        (Target::Base, Method::GET | Method::HEAD) => {
            Ok(listing::answer(&serde_json::json!({}), "application/json", None))
        }
        (Target::Token, Method::GET) => {
            let token = asked.registry.gate.token(asked.request.headers(), &asked.query)?;
            Ok(listing::answer(&token, "application/json", None))
        }
        (Target::Catalog, Method::GET | Method::HEAD) => listing::catalog(asked).await,
        (Target::Tags(name), Method::GET | Method::HEAD) => listing::tags(asked, name).await,
        (Target::Referrers(name, subject), Method::GET | Method::HEAD) => {
            listing::referrers(asked, name, subject).await
        }
        (Target::Blob(name, digest), Method::GET | Method::HEAD) => blobs::get(asked, name, digest).await,
        (Target::Blob(name, digest), Method::DELETE) => blobs::delete(asked, name, digest).await,
        (Target::Manifest(name, reference), Method::GET | Method::HEAD) => manifests::get(asked, name, reference).await,
        (Target::Manifest(name, reference), Method::PUT) => manifests::put(asked, name, reference).await,
        (Target::Manifest(name, reference), Method::DELETE) => manifests::delete(asked, name, reference).await,
        (Target::Uploads(name), Method::POST) => uploads::begin(asked, name).await,
        (Target::Upload(name, id), Method::GET | Method::HEAD) => uploads::state(&asked.registry, &name, &id).await,
        (Target::Upload(name, id), Method::PATCH) => uploads::append(asked, name, id).await,
        (Target::Upload(name, id), Method::PUT) => uploads::finish(asked, name, id).await,
        (Target::Upload(name, id), Method::DELETE) => uploads::cancel(&asked.registry, &name, &id),
        (_, method) => Err(Refusal::unsupported(format!("{method} is not supported here"))),
    }
}

/// Does work on the disk without holding up other requests.
pub(super) async fn on_disk<T: Send + 'static>(
    work: impl FnOnce() -> io::Result<T> + Send + 'static,
) -> Result<T, Refusal> {
    let done = tokio::task::spawn_blocking(work).await;
    Ok(done.map_err(io::Error::other).and_then(|result| result)?)
}
