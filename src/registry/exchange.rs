//! One call of the protocol: credentials attached, redirects followed, failures repeated within bounds.
//!
//! Everything above this file sees final answers only: a status that no further try would change.

use super::auth::{Door, Shown};
use super::counters::Kind;
use super::gate::{Gate, Permit};
use super::guard::{self, GuardError, Origin};
use super::http::{Answer, Ask, Http, Manner, Payload, SendError, Verb};
use super::refusal::Refusal;
use super::retry::{self, Bounds, Decision, Trouble};
use super::settings::Settings;
use super::wire;
use crate::model::digest::Digest;
use crate::model::fault::{Fault, FaultKind};
use crate::model::limits;
use bytes::Bytes;
use secrecy::SecretString;
use std::collections::HashMap;
use std::hash::{BuildHasher, Hasher};
use std::sync::atomic::{AtomicBool, AtomicU64};
use std::sync::{Arc, Mutex, PoisonError};
use tokio::time::Instant;
use url::Url;

/// One host that references name.
pub(super) struct Host {
    /// As typed: `docker.io`.
    pub(super) name: String,
    /// Root of its registry: `https://registry-1.docker.io/`.
    pub(super) base: Url,
    /// For everything but the bodies of blobs.
    pub(super) calls: Gate,
    /// For blobs that are being read. A gate of its own, so that copying within one host cannot lock up.
    pub(super) downloads: Gate,
    pub(super) door: Door,
    /// Largest piece of an upload that went through, learnt from a 413; 0 while nothing is known.
    pub(super) piece: AtomicU64,
    /// Upload that a refused mount left open, by repository path.
    pub(super) left_open: Mutex<HashMap<String, Url>>,
    /// Whether it was found to have no referrers API.
    pub(super) without_referrers: AtomicBool,
    pub(super) harbor: tokio::sync::OnceCell<Option<super::harbor::Instance>>,
    /// Whether nothing of ours is shown to it: a server of files, which is no registry.
    pub(super) stranger: bool,
}

impl Host {
    fn new(name: &str, base: Url, per_host: usize, stranger: bool) -> Self {
        Self {
            name: name.to_owned(),
            base,
            calls: Gate::new(per_host),
            downloads: Gate::new(per_host),
            door: Door::default(),
            piece: AtomicU64::new(0),
            left_open: Mutex::default(),
            without_referrers: AtomicBool::new(false),
            harbor: tokio::sync::OnceCell::new(),
            stranger,
        }
    }
}

/// What a call needs to be allowed to do: the scope of a token.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Scope {
    /// Repository paths with their actions.
    pub(super) parts: Vec<(String, &'static str)>,
}

impl Scope {
    pub(super) fn pull(path: &str) -> Self {
        Self { parts: vec![(path.to_owned(), "pull")] }
    }

    pub(super) fn push(path: &str) -> Self {
        Self { parts: vec![(path.to_owned(), "pull,push")] }
    }

    /// Push to `path`, with what a mount takes out of `from`.
    pub(super) fn mount(path: &str, from: &str) -> Self {
        Self { parts: vec![(path.to_owned(), "pull,push"), (from.to_owned(), "pull")] }
    }

    /// Returns the repository whose credentials count.
    pub(super) fn path(&self) -> &str {
        self.parts.first().map_or("", |(path, _)| path)
    }
}

/// One call. Built by [`Call::new`] and refined field by field.
#[derive(Clone)]
pub(super) struct Call {
    pub(super) kind: Kind,
    pub(super) verb: Verb,
    pub(super) url: Url,
    pub(super) scope: Scope,
    pub(super) headers: Vec<(&'static str, String)>,
    pub(super) body: Option<Bytes>,
    /// What did not happen if it fails: a fragment for people.
    pub(super) what: &'static str,
    /// Whether redirects are followed.
    pub(super) follow: bool,
    /// Whether it may be sent again after a failure.
    pub(super) repeat: bool,
    /// Whether a 401 is a plain answer, and no reason to look at the credentials again.
    pub(super) tentative: bool,
    /// Whether it takes its turn among downloads.
    pub(super) download: bool,
    /// Whether it goes to the REST interface, which takes user and password or nothing, never a token.
    pub(super) rest: bool,
}

impl Call {
    pub(super) fn new(kind: Kind, verb: Verb, url: Url, scope: Scope, what: &'static str) -> Self {
        let safe = matches!(verb, Verb::Get | Verb::Head);
        Self {
            kind,
            verb,
            url,
            scope,
            headers: Vec::new(),
            body: None,
            what,
            follow: safe,
            repeat: true,
            tentative: false,
            download: false,
            rest: false,
        }
    }

    #[must_use]
    pub(super) fn with(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.headers.push((name, value.into()));
        self
    }

    fn payload(&self) -> Payload {
        match &self.body {
            Some(bytes) => Payload::Bytes(bytes.clone()),
            None if matches!(self.verb, Verb::Post | Verb::Put) => Payload::Bytes(Bytes::new()),
            None => Payload::Nothing,
        }
    }
}

/// A final answer, with the right to its connection.
pub(super) struct Reply {
    pub(super) answer: Answer,
    /// Whether it came from another origin than was asked.
    pub(super) foreign: bool,
    pub(super) echoes: Vec<SecretString>,
    _permit: Option<Permit>,
}

impl Reply {
    /// Checks that the registry stored what we sent. A digest of another algorithm says nothing about it.
    pub(super) fn agrees(&self, digest: &Digest) -> Result<(), Fault> {
        let stated = self.header("docker-content-digest").and_then(|text| text.parse::<Digest>().ok());
        match stated.filter(|stated| stated.algorithm() == digest.algorithm() && stated != digest) {
            None => Ok(()),
            Some(other) => {
                let what = format!("{digest} was sent, the registry stored {other}");
                Err(Fault::new(FaultKind::Damaged, guard::place(self.answer.url()), what))
            }
        }
    }

    pub(super) fn status(&self) -> u16 {
        self.answer.status()
    }

    pub(super) fn header(&self, name: &str) -> Option<&str> {
        self.answer.header(name)
    }

    /// Returns whether the status is one of success.
    pub(super) fn good(&self) -> bool {
        (200..300).contains(&self.status())
    }

    /// Reads the body and says what was meant.
    pub(super) async fn refusal(mut self) -> Refusal {
        // A body that does not come leaves the status, which is the better half of it.
        let mut body = self.answer.read(limits::ERROR_BODY_BYTES as u64).await.unwrap_or_default();
        body.truncate(limits::ERROR_BODY_BYTES);
        let mut refusal = Refusal::read(self.status(), guard::place(self.answer.url()), &body, &self.echoes);
        let mut challenges = self.answer.headers("www-authenticate").peekable();
        refusal.empty_challenge = challenges.peek().is_some() && challenges.all(|c| c.trim().is_empty());
        if let Some(id) = self.header("x-request-id").filter(|_| self.status() >= 500) {
            let id: String = id.chars().filter(|c| c.is_ascii_graphic()).take(64).collect();
            refusal.words = format!("{} (request {id})", refusal.words).trim_start().to_owned();
        }
        refusal
    }
}

/// Why an attempt did not come to an answer.
pub(super) struct Failure {
    pub(super) fault: Box<Fault>,
    /// What another try is worth; `None` where it changes nothing.
    pub(super) trouble: Option<Trouble>,
}

impl Failure {
    /// Another try changes nothing.
    pub(super) fn last(fault: Fault) -> Self {
        Self { fault: Box::new(fault), trouble: None }
    }

    /// Another try may help.
    pub(super) fn again(fault: Fault, trouble: Trouble) -> Self {
        Self { fault: Box::new(fault), trouble: Some(trouble) }
    }
}

/// The client's inside, without its runtime.
pub(super) struct Core {
    pub(super) http: Http,
    pub(super) settings: Settings,
    hosts: Mutex<HashMap<String, Arc<Host>>>,
}

impl Core {
    pub(super) fn new(settings: Settings) -> Result<Self, SendError> {
        Ok(Self { http: Http::new(&settings)?, settings, hosts: Mutex::default() })
    }

    /// Returns what is known of a host.
    pub(super) fn host(&self, name: &str) -> Result<Arc<Host>, Fault> {
        let mut hosts = self.hosts.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(host) = hosts.get(name) {
            return Ok(host.clone());
        }
        let base = wire::base(name, &self.settings.plain_http)
            .ok_or_else(|| Fault::new(FaultKind::Malformed, name, "this is no host of a registry"))?;
        let host = Arc::new(Host::new(name, base, self.settings.per_host, false));
        hosts.insert(name.to_owned(), host.clone());
        Ok(host)
    }

    /// Returns what is known of a server of files, whose root is `base`. It is never the same as a registry of that name.
    pub(super) fn file_host(&self, name: &str, base: Url) -> Arc<Host> {
        let mut hosts = self.hosts.lock().unwrap_or_else(PoisonError::into_inner);
        // No host of a registry has a scheme in its name.
        let known = hosts.entry(base.to_string());
        known.or_insert_with(|| Arc::new(Host::new(name, base, self.settings.per_host, true))).clone()
    }

    fn bounds(&self) -> Bounds {
        let timeouts = &self.settings.timeouts;
        Bounds { retries: self.settings.retries, backoff: timeouts.backoff, patience: timeouts.patience }
    }

    /// Makes a call until there is a final answer or no more tries.
    pub(super) async fn call(&self, host: &Host, call: &Call) -> Result<Reply, Fault> {
        self.insist(host, call.repeat, async || self.attempt(host, call).await).await
    }

    /// Repeats `attempt` as far as its failures are worth it.
    pub(super) async fn insist<T>(
        &self,
        host: &Host,
        repeat: bool,
        attempt: impl AsyncFn() -> Result<T, Failure>,
    ) -> Result<T, Fault> {
        let mut tries = 0;
        loop {
            let (fault, trouble) = match attempt().await {
                Ok(done) => return Ok(done),
                Err(Failure { fault, trouble: None }) => return Err(*fault),
                Err(Failure { fault, trouble: Some(trouble) }) => (*fault, trouble),
            };
            tries += 1;
            self.heed(host, trouble);
            match retry::decide(trouble, tries, chance(), &self.bounds()) {
                Decision::Wait(wait) if repeat => tokio::time::sleep(wait).await,
                Decision::TooLong(asked) => {
                    return Err(fault.with_hint(format!("the server asks to come back in {} s", asked.as_secs())));
                }
                _ if tries > 1 => return Err(Fault { what: format!("{}; tried {tries} times", fault.what), ..fault }),
                _ => return Err(fault),
            }
            self.http.tally.repeated();
        }
    }

    /// Lets all calls to a host feel what one of them was told.
    pub(super) fn heed(&self, host: &Host, trouble: Trouble) {
        let now = Instant::now();
        if let Trouble::Status(429 | 503, Some(wait)) = trouble {
            let wait = wait.min(self.settings.timeouts.patience);
            host.calls.pause(now + wait);
            host.downloads.pause(now + wait);
        }
        if matches!(trouble, Trouble::Status(429, _)) {
            host.calls.shrink(now);
            host.downloads.shrink(now);
        }
    }

    /// Makes a call once: authorised, redirects followed, a refused token renewed once.
    pub(super) async fn attempt(&self, host: &Host, call: &Call) -> Result<Reply, Failure> {
        let gate = if call.download { &host.downloads } else { &host.calls };
        let permit = gate.enter(self.settings.timeouts.idle).await;
        let shown = match (host.stranger, call.rest) {
            (true, _) => None,
            (_, true) => self.account(host, &call.scope).await?,
            (_, false) => self.authorization(host, &call.scope).await?,
        };
        let mut reply = self.follow(host, call, shown.as_ref()).await?;
        if reply.status() == 401 && !reply.foreign && !call.tentative && !host.stranger {
            let renewed = self.challenged(host, &call.scope, &reply.answer, shown.as_ref()).await?;
            if let Some(renewed) = renewed {
                reply = self.follow(host, call, Some(&renewed)).await?;
            }
        }
        let reply = self.final_or_again(reply, call.what).await?;
        gate.went_well();
        Ok(Reply { _permit: Some(permit), ..reply })
    }

    /// Sends one request with a body that cannot be sent twice.
    pub(super) async fn attempt_once(
        self: Arc<Self>,
        host: Arc<Host>,
        call: Call,
        payload: Payload,
    ) -> Result<Reply, Failure> {
        let permit = host.calls.enter(self.settings.timeouts.idle).await;
        let shown = self.authorization(&host, &call.scope).await?;
        let url = call.url.clone();
        let reply = self.hop(&host, &call, url, shown.as_ref(), payload).await?;
        let reply = self.final_or_again(reply, call.what).await?;
        Ok(Reply { _permit: Some(permit), ..reply })
    }

    pub(super) async fn final_or_again(&self, reply: Reply, what: &str) -> Result<Reply, Failure> {
        let expired = reply.foreign && matches!(reply.status(), 400 | 401 | 403);
        let passing = matches!(reply.status(), 408 | 425 | 429 | 500 | 502 | 503 | 504);
        if !expired && !passing {
            return Ok(reply);
        }
        let after = reply.header("retry-after").and_then(|v| retry::retry_after(v, reply.header("date")));
        let trouble = if expired { Trouble::Expired } else { Trouble::Status(reply.status(), after) };
        Err(Failure::again(reply.refusal().await.fault(what), trouble))
    }

    /// Sends, and goes where redirects lead, within the rules of [`guard`].
    pub(super) async fn follow(&self, host: &Host, call: &Call, shown: Option<&Shown>) -> Result<Reply, Failure> {
        let mut url = call.url.clone();
        for _ in 0..=limits::REDIRECTS {
            let reply = self.hop(host, call, url.clone(), shown, call.payload()).await?;
            let redirect = matches!(reply.status(), 301 | 302 | 303 | 307 | 308);
            let Some(target) = reply.header("location").filter(|_| redirect && call.follow) else { return Ok(reply) };
            let refuse = |why: GuardError| {
                let fault =
                    Fault::new(FaultKind::Refused, guard::place(&url), format!("a redirect was not followed: {why}"));
                Failure::last(fault)
            };
            let next =
                url.join(target).map_err(|_| refuse(GuardError::Syntax(crate::model::fault::printable(target))))?;
            guard::may_follow(&url, &next).map_err(refuse)?;
            url = next;
        }
        let what = format!("{}: more than {} redirects", call.what, limits::REDIRECTS);
        Err(Failure::last(Fault::new(FaultKind::Unavailable, guard::place(&call.url), what)))
    }

    /// Sends one request; credentials and our certificate only to the host's own origin.
    async fn hop(
        &self,
        host: &Host,
        call: &Call,
        url: Url,
        shown: Option<&Shown>,
        payload: Payload,
    ) -> Result<Reply, Failure> {
        let own = Origin::of(&url) == Origin::of(&host.base);
        let shown = shown.filter(|_| own);
        let mut headers = call.headers.clone();
        headers.push(("accept-encoding", "identity".to_owned()));
        let ask = Ask {
            kind: call.kind,
            verb: call.verb,
            manner: self.manner(host, &url),
            url,
            headers,
            authorization: shown.map(|s| s.header.clone()),
            payload,
        };
        let place = guard::place(&ask.url);
        let answer = self.http.send(ask).await.map_err(|e| failed(e, &place, call.what))?;
        let echoes = shown.map(|s| s.echoes.clone()).unwrap_or_default();
        Ok(Reply { answer, foreign: !own, echoes, _permit: None })
    }

    /// Returns how the host of `url` is trusted.
    pub(super) fn manner(&self, host: &Host, url: &Url) -> Manner {
        let own = Origin::of(url) == Origin::of(&host.base);
        let bare = url.host_str().unwrap_or_default();
        let with_port = url.port_or_known_default().map(|port| format!("{bare}:{port}")).unwrap_or_default();
        let listed = |name: &str| self.settings.insecure_tls.contains(name);
        Manner {
            insecure: (own && listed(&host.name)) || listed(&with_port) || (url.port().is_none() && listed(bare)),
            identity: own && !host.stranger,
            plain: url.scheme() == "http",
            loopback: own || host.base.host_str().is_some_and(guard::is_loopback_name),
        }
    }
}

/// Says what a failed exchange means.
pub(super) fn failed(error: SendError, place: &str, what: &str) -> Failure {
    let trouble = error.trouble();
    let kind = match &error {
        SendError::Guarded(_) => FaultKind::Refused,
        _ => FaultKind::Unavailable,
    };
    let hint = match &error {
        SendError::Tls(_) => "hand in the authority's certificate with --ca-file, or look at the clock".to_owned(),
        SendError::Plain => {
            let host = place.split_once("://").map_or(place, |(_, rest)| rest).split('/').next().unwrap_or_default();
            format!("where that is meant, say so: --plain-http={host}, or --plain-http for all hosts of the run")
        }
        _ => String::new(),
    };
    let fault = Fault::new(kind, place, format!("{what}: {error}")).with_hint(hint);
    Failure { fault: Box::new(fault), trouble }
}

/// Returns a number that nobody foresees, for spreading waits. Seeded by the system through the hasher of maps.
fn chance() -> u64 {
    std::collections::hash_map::RandomState::new().build_hasher().finish()
}
