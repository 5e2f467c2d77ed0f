//! Fetching a trusted root by TUF (The Update Framework, version 1): what a mirror gives is believed only under keys
//! that descend from a root that the caller brought along. The door of the TUF crate.
//!
//! The order is the framework's: every root up to the newest, each signed under the one before and under itself; then
//! timestamp, snapshot and targets, each within its time and none older than what was seen before; then the target by
//! length and digest. The mirror is a [`FileTree`]: it may be hostile, slow or out of date, but not believed.

use super::time::{self, Timestamp};
use crate::model::fault::printable;
use crate::model::port::FileTree;
use crate::model::{Fault, FaultKind, json};
use sigstore_tuf::transport::FetchFuture;
use sigstore_tuf::{Error, MetadataStore, Repository, Root, Updater, UpdaterConfig};
use std::collections::BTreeMap;
use std::pin::pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, Waker};

/// Name of the target that holds a Sigstore instance's root.
pub const TRUSTED_ROOT: &str = "trusted_root.json";
/// Largest target that is fetched, in bytes.
const TARGET_BYTES: u64 = crate::model::limits::SIGNATURE_BUNDLE_BYTES;

/// Metadata that was verified in earlier runs, by name. It is verified again, and sets the oldest that is taken.
pub type TufState = BTreeMap<String, Vec<u8>>;

/// What is fetched.
#[derive(Debug, Clone)]
pub struct TufRequest {
    /// TUF root from which trust starts; any version of it from which the newest descends.
    pub initial_root: Vec<u8>,
    /// What earlier runs left.
    pub state: TufState,
    /// Name of the target.
    pub target: String,
    /// Time of the fetch, in seconds since 1970.
    pub now: i64,
}

/// What was fetched.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TufFetched {
    /// The target, verified.
    pub bytes: Vec<u8>,
    /// Versions of the metadata under which it was taken.
    pub versions: TufVersions,
    /// What the next run should be given.
    pub state: TufState,
}

/// Versions of TUF metadata, and when the first of them expires.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TufVersions {
    /// Version of the root.
    pub root: u64,
    /// Version of the timestamp.
    pub timestamp: u64,
    /// Version of the snapshot.
    pub snapshot: u64,
    /// Version of the targets.
    pub targets: u64,
    /// When the first of the four expires, RFC 3339.
    pub expires: String,
}

/// Why nothing was fetched.
#[derive(Debug, thiserror::Error)]
pub enum TufError {
    /// The root that was brought along is none.
    #[error("the initial TUF root cannot be used: {0}")]
    Initial(String),
    /// The mirror cannot be asked, or gives something that no mirror may give.
    #[error("{0}")]
    Mirror(Box<Fault>),
    /// A file of the mirror is not there.
    #[error("{place} has no {what}")]
    Absent {
        /// Mirror.
        place: String,
        /// Which file or target.
        what: String,
    },
    /// Metadata has expired, by the clock of this machine.
    #[error("the {role} metadata of {place} expired at {expires}; it is {now} here")]
    Expired {
        /// Mirror.
        place: String,
        /// Which metadata.
        role: String,
        /// End, RFC 3339.
        expires: String,
        /// This machine's clock, RFC 3339.
        now: String,
    },
    /// Metadata older than what was seen before.
    #[error("{place} offers version {found} of {role}, but version {known} was seen before")]
    WentBack {
        /// Mirror.
        place: String,
        /// Which metadata.
        role: String,
        /// Version seen before.
        known: u64,
        /// Version offered.
        found: u64,
    },
    /// A signature is missing or wrong, or what is signed does not fit together.
    #[error("{place}: {why}")]
    Refused {
        /// Mirror.
        place: String,
        /// Reason in words.
        why: String,
    },
}

impl TufError {
    /// Returns what a person can do; empty where nothing is known.
    pub const fn hint(&self) -> &'static str {
        match self {
            Self::Initial(_) => {
                "take the TUF root from the instance's operator: any version is good from which the newest descends"
            }
            Self::Expired { .. } => {
                "is the clock of this machine right? If it is, the mirror is out of date or shows an old state on purpose: ask another mirror"
            }
            Self::WentBack { .. } => {
                "the mirror shows an older state than before: ask another mirror; only where the operator says that he started anew, remove the folder of the state"
            }
            Self::Refused { .. } => {
                "what the mirror gives is not signed by whom the initial root names: nothing was written"
            }
            Self::Absent { .. } => "is this the address of a TUF repository? Its metadata stands directly below it",
            Self::Mirror(_) => "",
        }
    }
}

/// Fetches a target from `source` and verifies it.
pub fn fetch_by_tuf(request: TufRequest, source: Arc<dyn FileTree>) -> Result<TufFetched, TufError> {
    let now = Timestamp::from_second(request.now).unwrap_or(Timestamp::MAX);
    let initial = |why: String| TufError::Initial(printable(&why));
    json::check(&request.initial_root).map_err(|error| initial(error.to_string()))?;
    let (mirror, state) = (Mirror::of(source), State::default());
    *state.lock() = request.state;
    let updater = Updater::new(mirror.clone(), &request.initial_root).map_err(|error| initial(told(&error)))?;
    let mut config = UpdaterConfig::default();
    config.target_max_length = TARGET_BYTES;
    let mut updater = updater.with_config(config).with_store(state.clone());
    let fetched = async {
        updater.refresh(now).await?;
        let bytes = updater.get_target(&request.target, now).await?;
        Ok((bytes, updater))
    };
    let (bytes, updater) = at_once(fetched).map_err(|error| mirror.refused(error, request.now))?;
    let versions = versions(&updater);
    let state = std::mem::take(&mut *state.lock());
    Ok(TufFetched { bytes, versions, state })
}

fn versions(updater: &Updater) -> TufVersions {
    let trusted = updater.trusted();
    let root: &Root = trusted.root();
    let (timestamp, snapshot, targets) = (trusted.timestamp(), trusted.snapshot(), trusted.targets_role("targets"));
    let ends = [timestamp.map(|t| t.expires), snapshot.map(|s| s.expires), targets.map(|t| t.expires)];
    let first = ends.into_iter().flatten().fold(root.expires, std::cmp::min);
    TufVersions {
        root: root.version,
        timestamp: timestamp.map_or(0, |t| t.version),
        snapshot: snapshot.map_or(0, |s| s.version),
        targets: targets.map_or(0, |t| t.version),
        expires: time::rfc3339(first.as_second()),
    }
}

/// Runs a future that never waits: the source answers before it returns.
fn at_once<T>(future: impl Future<Output = Result<T, Error>>) -> Result<T, Error> {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(done) => done,
        Poll::Pending => Err(Error::transport("the source of metadata did not answer at once")),
    }
}

/// The mirror as the crate asks for it. What went wrong there is kept as it was told.
#[derive(Clone)]
struct Mirror {
    source: Arc<dyn FileTree>,
    fault: Arc<Mutex<Option<Fault>>>,
}

impl Mirror {
    fn of(source: Arc<dyn FileTree>) -> Self {
        Self { source, fault: Arc::default() }
    }

    fn read(&self, path: &str, limit: u64, strict: bool) -> Result<Option<Vec<u8>>, Error> {
        let fail = |fault: Fault| {
            let words = fault.to_string();
            *self.fault.lock().unwrap_or_else(PoisonError::into_inner) = Some(fault);
            Err(Error::transport(words))
        };
        match self.source.file(path, limit) {
            // Metadata is signed in the form that a parser gives it, so no text may have two readings.
            Ok(Some(bytes)) if strict => match json::check(&bytes) {
                Ok(()) => Ok(Some(bytes)),
                Err(error) => fail(Fault::new(FaultKind::Malformed, path, format!("it does not parse: {error}"))),
            },
            Ok(found) => Ok(found),
            Err(fault) => fail(fault),
        }
    }

    fn refused(&self, error: Error, now: i64) -> TufError {
        if let Some(fault) = self.fault.lock().unwrap_or_else(PoisonError::into_inner).take() {
            return TufError::Mirror(Box::new(fault));
        }
        let place = self.source.place();
        match error {
            Error::Expired { role, expires } => {
                let (expires, now) = (time::rfc3339(expires.as_second()), time::rfc3339(now));
                TufError::Expired { place, role: printable(&role), expires, now }
            }
            Error::Rollback { role, trusted, new } => {
                TufError::WentBack { place, role: printable(&role), known: trusted, found: new }
            }
            Error::TargetNotFound(target) => {
                TufError::Absent { place, what: format!("target {:?}", printable(&target)) }
            }
            Error::Transport { message, .. } if message.ends_with(" not found") => {
                TufError::Absent { place, what: printable(message.trim_end_matches(" not found")) }
            }
            other => TufError::Refused { place, why: printable(&told(&other)) },
        }
    }
}

/// Returns an error with its causes, none of which it repeats itself.
fn told(error: &Error) -> String {
    let mut words = error.to_string();
    let mut cause = std::error::Error::source(error);
    while let Some(inner) = cause {
        words.push_str(&format!(": {inner}"));
        cause = inner.source();
    }
    words
}

impl Repository for Mirror {
    fn fetch_metadata<'a>(&'a self, name: &'a str, max_length: u64) -> FetchFuture<'a> {
        Box::pin(std::future::ready(self.read(name, max_length, true)))
    }

    fn fetch_target<'a>(&'a self, path: &'a str, max_length: u64) -> FetchFuture<'a> {
        Box::pin(std::future::ready(self.read(&format!("targets/{path}"), max_length, false)))
    }
}

/// What earlier runs verified, and what this one does.
#[derive(Clone, Default)]
struct State(Arc<Mutex<TufState>>);

impl State {
    fn lock(&self) -> std::sync::MutexGuard<'_, TufState> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl MetadataStore for State {
    fn load(&self, name: &str) -> Result<Option<Vec<u8>>, Error> {
        Ok(self.lock().get(name).cloned())
    }

    fn store(&self, name: &str, bytes: &[u8]) -> Result<(), Error> {
        self.lock().insert(name.to_owned(), bytes.to_vec());
        Ok(())
    }
}
