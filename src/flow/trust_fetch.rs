//! Fetches a trusted root from a TUF mirror and accepts it.

use super::error::FlowError;
use super::publish::publish;
use super::trust_accept::{AcceptRequest, Accepted, accept};
use super::wanted::read_paper;
use crate::document::root_record::RootOrigin;
use crate::document::tuf_state::TufStatePaper;
use crate::model::port::FileTree;
use crate::trust::{RootText, TufRequest, TufState, fetch_by_tuf};
use std::io::ErrorKind;
use std::path::Path;
use std::sync::Arc;

/// What is fetched, and where it goes.
pub struct FetchRequest<'a> {
    /// TUF root from which trust starts.
    pub initial_root: Vec<u8>,
    /// Where earlier fetches left what they verified.
    pub state: &'a Path,
    /// Name of the target.
    pub target: &'a str,
    /// Name of the instance, as policies call it.
    pub name: &'a str,
    /// File that the root becomes.
    pub into: &'a Path,
    /// Take it although keys are gone, or ended ones in force again.
    pub allow_losses: bool,
    /// Key that signs the record.
    pub key: Option<&'a crate::trust::SigningKey>,
    /// Now, in seconds since 1970 and as RFC 3339.
    pub now: (i64, &'a str),
}

/// Fetches. What was verified is remembered before anything else, so that no later mirror may show less.
pub fn fetch(request: FetchRequest<'_>, source: Arc<dyn FileTree>) -> Result<Accepted, FlowError> {
    let state = read_state(request.state)?;
    let mirror = source.place();
    let FetchRequest { initial_root, target, now, .. } = request;
    let asked = TufRequest { initial_root, state, target: target.to_owned(), now: now.0 };
    let fetched = fetch_by_tuf(asked, source)?;
    publish(request.state, &TufStatePaper::new(fetched.state).to_bytes())?;
    let versions = fetched.versions;
    let origin = RootOrigin::Tuf {
        mirror,
        root: versions.root,
        timestamp: versions.timestamp,
        snapshot: versions.snapshot,
        targets: versions.targets,
        expires: versions.expires,
    };
    let root = RootText { name: request.name.to_owned(), bytes: fetched.bytes };
    accept(&AcceptRequest {
        name: request.name,
        root: &root,
        origin,
        into: request.into,
        carried: None,
        allow_losses: request.allow_losses,
        key: request.key,
        now,
    })
}

fn read_state(path: &Path) -> Result<TufState, FlowError> {
    match read_paper(path) {
        Ok(bytes) => Ok(TufStatePaper::read(&bytes, &path.display().to_string())?.into_files()),
        Err(FlowError::File { source, .. }) if source.kind() == ErrorKind::NotFound => Ok(TufState::new()),
        Err(error) => Err(error),
    }
}
