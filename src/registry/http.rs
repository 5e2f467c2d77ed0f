//! One HTTP exchange, and nothing above it. The door of the HTTP crate.
//!
//! Redirects are not followed here, credentials are attached only where the caller says so, proxies and
//! certificates come from [`Settings`] alone. HTTP/1.1 with a pool: many streams over one HTTP/2 connection
//! stall on limits that servers do not announce, and gain nothing for bodies of megabytes.

use super::counters::{Kind, Tally};
use super::guard::{self, GuardError};
use super::proxy::Routes;
use super::retry::Trouble;
use super::settings::{Settings, Timeouts};
use bytes::Bytes;
use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use reqwest::header::{AUTHORIZATION, HeaderMap, HeaderValue};
use secrecy::{ExposeSecret, SecretString};
use std::collections::HashMap;
use std::error::Error;
use std::io;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::time::Instant;
use url::Url;

/// Rate that a server is granted for putting a finished upload in its place, in bytes a second.
///
/// Object stores copy the whole blob before the answer comes.
const SETTLING_RATE: u64 = 16 << 20;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verb {
    Get,
    Head,
    Post,
    Put,
    Patch,
    Delete,
}

/// Body of a request.
pub(super) enum Payload {
    Nothing,
    Bytes(Bytes),
    /// Exactly `length` bytes; an error in the stream breaks the request off.
    Stream {
        length: u64,
        pieces: mpsc::Receiver<io::Result<Bytes>>,
    },
}

/// How the other side is trusted; one pool of connections for each.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Manner {
    /// Certificates are not checked.
    pub(super) insecure: bool,
    /// Our certificate is shown where asked for.
    pub(super) identity: bool,
    /// Loopback may be reached.
    pub(super) loopback: bool,
    /// There is no TLS, so a machine without any certificate authorities will do.
    pub(super) plain: bool,
}

/// One request.
pub(super) struct Ask {
    pub(super) kind: Kind,
    pub(super) verb: Verb,
    pub(super) url: Url,
    pub(super) headers: Vec<(&'static str, String)>,
    pub(super) authorization: Option<SecretString>,
    pub(super) payload: Payload,
    pub(super) manner: Manner,
}

/// Why an exchange did not come to an answer.
#[derive(Debug, thiserror::Error)]
pub(super) enum SendError {
    /// The settings cannot be used.
    #[error("{0}")]
    Setup(String),
    /// The address is guarded.
    #[error("{0}")]
    Guarded(#[from] GuardError),
    /// The name did not resolve.
    #[error("dns: {0}")]
    Name(String),
    /// TLS was not agreed on.
    #[error("tls: {0}")]
    Tls(String),
    /// The other side answered without TLS.
    #[error("it does not speak TLS: what came is most likely plain HTTP")]
    Plain,
    /// The proxy refused or is not there.
    #[error("proxy: {0}")]
    Proxy(String),
    /// No connection.
    #[error("{0}")]
    Connect(String),
    /// Nothing happened for this long.
    #[error("{what} for {after:?}")]
    Silent {
        /// What did not happen.
        what: &'static str,
        /// How long.
        after: Duration,
    },
    /// The connection broke.
    #[error("{0}")]
    Broken(String),
}

impl SendError {
    /// Returns what another try is worth; `None` where it is worth nothing.
    pub(super) fn trouble(&self) -> Option<Trouble> {
        match self {
            Self::Setup(_) | Self::Guarded(_) | Self::Tls(_) | Self::Plain => None,
            Self::Name(_) => Some(Trouble::Name),
            Self::Proxy(why) if why.contains("authorization") => None,
            Self::Proxy(_) | Self::Connect(_) | Self::Silent { .. } | Self::Broken(_) => Some(Trouble::Network),
        }
    }
}

/// Sends requests.
pub(super) struct Http {
    clients: Mutex<HashMap<Manner, reqwest::Client>>,
    routes: Routes,
    authorities: Vec<reqwest::Certificate>,
    identity: Option<reqwest::Identity>,
    per_host: usize,
    user_agent: String,
    timeouts: Timeouts,
    pub(super) tally: Arc<Tally>,
}

impl Http {
    pub(super) fn new(settings: &Settings) -> Result<Self, SendError> {
        let setup = |what: &str, e: reqwest::Error| SendError::Setup(format!("{what}: {}", root_cause(&e)));
        let mut authorities = Vec::new();
        for (number, file) in settings.ca_files.iter().enumerate() {
            let found = reqwest::Certificate::from_pem_bundle(file)
                .map_err(|e| setup(&format!("CA file {} does not parse", number + 1), e))?;
            if found.is_empty() {
                return Err(SendError::Setup(format!("CA file {} holds no PEM certificate", number + 1)));
            }
            authorities.extend(found);
        }
        let identity = settings.client_certificate.as_ref().map(|pem| reqwest::Identity::from_pem(pem.expose_secret()));
        let identity = identity.transpose().map_err(|e| setup("the client certificate does not parse", e))?;
        Ok(Self {
            clients: Mutex::default(),
            routes: Routes::new(&settings.proxies).map_err(|why| SendError::Setup(why.to_owned()))?,
            authorities,
            identity,
            per_host: settings.per_host,
            user_agent: settings.user_agent.clone(),
            timeouts: settings.timeouts,
            tally: Arc::default(),
        })
    }

    fn client(&self, manner: Manner) -> Result<reqwest::Client, SendError> {
        let mut clients = self.clients.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(client) = clients.get(&manner) {
            return Ok(client.clone());
        }
        let client = self.build(manner)?;
        clients.insert(manner, client.clone());
        Ok(client)
    }

    fn build(&self, manner: Manner) -> Result<reqwest::Client, SendError> {
        let routes = self.routes.clone();
        let mut builder = reqwest::Client::builder()
            .no_proxy()
            .proxy(reqwest::Proxy::custom(move |url| routes.of(url)))
            .redirect(reqwest::redirect::Policy::none())
            .retry(reqwest::retry::never())
            .referer(false)
            .http1_only()
            .connect_timeout(self.timeouts.connect)
            .pool_max_idle_per_host(self.per_host.saturating_mul(2).max(2))
            .pool_idle_timeout(Duration::from_secs(30))
            .user_agent(&self.user_agent)
            .dns_resolver(Arc::new(Resolver { loopback: manner.loopback }));
        builder = match manner.plain {
            true => builder.tls_certs_only([]),
            false => builder.tls_certs_merge(self.authorities.iter().cloned()),
        };
        if manner.insecure {
            builder = builder.tls_danger_accept_invalid_certs(true);
        }
        if let Some(identity) = self.identity.as_ref().filter(|_| manner.identity) {
            builder = builder.identity(identity.clone());
        }
        builder.build().map_err(|e| SendError::Setup(format!("the HTTP client was not set up: {}", root_cause(&e))))
    }

    /// Sends one request and waits for the head of its answer.
    pub(super) async fn send(&self, ask: Ask) -> Result<Answer, SendError> {
        guard::check_literal(&ask.url, ask.manner.loopback)?;
        let client = self.client(ask.manner)?;
        self.tally.asked(ask.kind);
        let proxied = self.routes.of(&ask.url).is_some();
        let mut request = client.request(method(ask.verb), ask.url.clone()).headers(headers(&ask)?);
        let pulse = Arc::new(Pulse::default());
        let settling = match ask.payload {
            Payload::Nothing => 0,
            Payload::Bytes(bytes) => {
                self.tally.sent(bytes.len());
                let length = bytes.len() as u64;
                // Stated even for nothing: some proxies answer 411 to a PUT without it.
                request = request.header("content-length", length).body(bytes);
                length
            }
            Payload::Stream { length, pieces } => {
                let body = outgoing(pieces, pulse.clone(), self.tally.clone());
                request = request.header("content-length", length).body(reqwest::Body::wrap_stream(body));
                length
            }
        };
        let limit = self.timeouts.first_byte + Duration::from_secs(settling / SETTLING_RATE);
        let silent = SendError::Silent { what: "no answer", after: limit };
        let response = tokio::select! {
            response = request.send() => response.map_err(|e| classify(&e, proxied))?,
            () = pulse.silence(limit) => return Err(silent),
        };
        Ok(Answer { response, tally: self.tally.clone(), idle: self.timeouts.idle, url: ask.url })
    }
}

/// Since when it has been the network's turn; while a source of a body is awaited it is nobody's fault.
struct Pulse(Mutex<Option<Instant>>);

impl Default for Pulse {
    fn default() -> Self {
        Self(Mutex::new(Some(Instant::now())))
    }
}

impl Pulse {
    fn set(&self, since: Option<Instant>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = since;
    }

    /// Ends when it has been the network's turn for `limit` without a pause.
    async fn silence(&self, limit: Duration) {
        loop {
            let since = *self.0.lock().unwrap_or_else(PoisonError::into_inner);
            let until = since.unwrap_or_else(Instant::now) + limit;
            if since.is_some() && until <= Instant::now() {
                return;
            }
            tokio::time::sleep_until(until).await;
        }
    }
}

fn outgoing(
    mut pieces: mpsc::Receiver<io::Result<Bytes>>,
    pulse: Arc<Pulse>,
    tally: Arc<Tally>,
) -> impl futures_util::Stream<Item = io::Result<Bytes>> {
    futures_util::stream::poll_fn(move |context| {
        pulse.set(None);
        let polled = pieces.poll_recv(context);
        if let std::task::Poll::Ready(piece) = &polled {
            pulse.set(Some(Instant::now()));
            if let Some(Ok(bytes)) = piece {
                tally.sent(bytes.len());
            }
        }
        polled
    })
}

fn method(verb: Verb) -> reqwest::Method {
    match verb {
        Verb::Get => reqwest::Method::GET,
        Verb::Head => reqwest::Method::HEAD,
        Verb::Post => reqwest::Method::POST,
        Verb::Put => reqwest::Method::PUT,
        Verb::Patch => reqwest::Method::PATCH,
        Verb::Delete => reqwest::Method::DELETE,
    }
}

fn headers(ask: &Ask) -> Result<HeaderMap, SendError> {
    let mut headers = HeaderMap::new();
    for (name, value) in &ask.headers {
        let value = HeaderValue::from_str(value);
        headers.insert(*name, value.map_err(|_| SendError::Setup(format!("{name} holds a control character")))?);
    }
    if let Some(secret) = &ask.authorization {
        let value = HeaderValue::from_str(secret.expose_secret());
        let mut value = value.map_err(|_| SendError::Setup("the credentials hold a control character".to_owned()))?;
        value.set_sensitive(true);
        headers.insert(AUTHORIZATION, value);
    }
    Ok(headers)
}

/// Resolves names and leaves out guarded addresses, so no name leads to one.
struct Resolver {
    loopback: bool,
}

impl Resolve for Resolver {
    fn resolve(&self, name: Name) -> Resolving {
        let loopback = self.loopback;
        Box::pin(async move {
            let found = tokio::net::lookup_host((name.as_str(), 0)).await?.collect();
            let open = guard::open_addresses(name.as_str(), found, loopback)?;
            if open.is_empty() {
                return Err("the name has no address".into());
            }
            Ok(Box::new(open.into_iter()) as Addrs)
        })
    }
}

/// Answer to a request; its body comes piece by piece.
pub(super) struct Answer {
    response: reqwest::Response,
    tally: Arc<Tally>,
    idle: Duration,
    url: Url,
}

impl Answer {
    pub(super) fn status(&self) -> u16 {
        self.response.status().as_u16()
    }

    /// Returns what was asked: redirects are followed by asking anew.
    pub(super) fn url(&self) -> &Url {
        &self.url
    }

    /// Returns the only value of a header; none where it stands there twice with different values.
    pub(super) fn header(&self, name: &str) -> Option<&str> {
        let mut all = self.headers(name);
        let first = all.next()?;
        all.all(|other| other == first).then_some(first)
    }

    pub(super) fn headers<'a>(&'a self, name: &str) -> impl Iterator<Item = &'a str> {
        self.response.headers().get_all(name).into_iter().filter_map(|v| std::str::from_utf8(v.as_bytes()).ok())
    }

    /// Returns the next piece of the body, `None` behind the last one.
    pub(super) async fn piece(&mut self) -> Result<Option<Bytes>, SendError> {
        let silent = |_| SendError::Silent { what: "no further byte", after: self.idle };
        let piece = tokio::time::timeout(self.idle, self.response.chunk()).await.map_err(silent)?;
        let piece = piece.map_err(|e| classify(&e, false))?;
        if let Some(bytes) = &piece {
            self.tally.received(bytes.len());
        }
        Ok(piece)
    }

    /// Reads the body up to `cap` bytes and one more, by which a caller sees that it is longer.
    pub(super) async fn read(&mut self, cap: u64) -> Result<Vec<u8>, SendError> {
        let mut body = Vec::new();
        while let Some(piece) = self.piece().await? {
            let room = (cap + 1).saturating_sub(body.len() as u64);
            let take = usize::try_from(room).unwrap_or(usize::MAX).min(piece.len());
            body.extend_from_slice(&piece[..take]);
            if body.len() as u64 > cap {
                break;
            }
        }
        Ok(body)
    }
}

fn root_cause(error: &dyn Error) -> String {
    let mut last = error;
    while let Some(source) = last.source() {
        last = source;
    }
    last.to_string()
}

/// Returns whether something in the chain of causes satisfies `test`.
fn chain_has(error: &(dyn Error + 'static), test: impl Fn(&(dyn Error + 'static)) -> bool) -> bool {
    let mut next = Some(error);
    while let Some(error) = next {
        if test(error) {
            return true;
        }
        next = error.source();
    }
    false
}

fn guarded(error: &(dyn Error + 'static)) -> Option<GuardError> {
    let mut next = Some(error);
    while let Some(error) = next {
        if let Some(found) = error.downcast_ref::<GuardError>() {
            return Some(found.clone());
        }
        next = error.source();
    }
    None
}

fn classify(error: &reqwest::Error, proxied: bool) -> SendError {
    let why = root_cause(error);
    if let Some(found) = guarded(error) {
        return SendError::Guarded(found);
    }
    let connecting = error.is_connect();
    if connecting && (why.contains("tunnel") || why.contains("proxy")) {
        return SendError::Proxy(why);
    }
    // The first byte of an HTTP answer is no type of a TLS record.
    if connecting && why.contains("InvalidContentType") {
        return SendError::Plain;
    }
    // The TLS crate reports through an I/O error whose kind says that what came could not be used.
    let unusable = |e: &(dyn Error + 'static)| {
        e.downcast_ref::<io::Error>().is_some_and(|e| e.kind() == io::ErrorKind::InvalidData)
    };
    if connecting && (why.contains("certificate") || chain_has(error, unusable)) {
        return SendError::Tls(why);
    }
    if error.is_dns() {
        return SendError::Name(why);
    }
    match (connecting, proxied) {
        (true, true) => SendError::Proxy(why),
        (true, false) => SendError::Connect(why),
        _ => SendError::Broken(why),
    }
}
