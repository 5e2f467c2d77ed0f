//! From a bundle to one archive that other tools read: an OCI archive of everything, or a Docker archive of images.

use super::context::Context;
use super::error::FlowError;
use super::load::{Archive, Choice, LoadError, LoadItem, LoadPlan, Shape, choose};
use super::loading::{Accepted, LoadFrom, accept};
use crate::model::event::Stage;
use crate::model::{Digest, Event, Fault, FaultKind, Finding};
use crate::store::{OutgoingError, OutgoingFile, ends_with};
use serde::Serialize;
use std::path::Path;

/// What is unpacked, and where to.
pub struct Request<'a> {
    /// Bundle, and who must have vouched for it.
    pub from: LoadFrom<'a>,
    /// File that is written.
    pub file: &'a Path,
    /// For whom: everything as it stands, or Docker.
    pub shape: Shape,
    /// What of the bundle.
    pub choice: &'a Choice,
    /// Plan only.
    pub dry_run: bool,
}

/// What became of an archive.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum ArchiveOutcome {
    /// It would be written.
    Planned,
    /// It was written by this run.
    Written,
    /// It stood there already, to the last byte of its index.
    AlreadyThere,
}

/// What came of it.
pub struct Unpacked {
    /// What is in the archive, and what is not.
    pub plan: LoadPlan,
    /// What a person should know.
    pub findings: Vec<Finding>,
    /// Bytes of the archive.
    pub bytes: u64,
    /// What became of it.
    pub outcome: ArchiveOutcome,
    /// Who signed the bundle, or why it was accepted without.
    pub authenticity: String,
    /// Which bundle.
    pub bundle: Digest,
}

/// Unpacks. The file has its name only when all of it is verified and synced; nothing is replaced.
pub fn unpack(request: Request<'_>, context: &Context<'_>) -> Result<Unpacked, FlowError> {
    let Accepted { shipment, mut supply, authenticity, bundle_id, findings } = accept(request.from)?;
    let plan = choose(&shipment, request.choice, request.shape)?;
    let items: Vec<&LoadItem> = plan.items.iter().collect();
    let archive = Archive::new(&shipment, &items, &supply, request.shape == Shape::Docker);
    let bytes = archive.length();
    let outcome = match () {
        () if is_there(request.file, &archive)? => {
            supply.drain()?;
            ArchiveOutcome::AlreadyThere
        }
        () if request.dry_run => ArchiveOutcome::Planned,
        () => {
            context.tell(started(&items, &archive));
            let file = OutgoingFile::create(request.file, bytes).map_err(refused)?;
            let file = archive.write(&mut supply, file, context).map_err(|error| failed(request.file, error))?;
            file.publish().map_err(refused)?;
            context.tell(Event::Finished { stage: Stage::Import });
            ArchiveOutcome::Written
        }
    };
    Ok(Unpacked { findings, bytes, outcome, authenticity, bundle: bundle_id, plan })
}

/// Says that an archive begins to be written.
pub(super) fn started(items: &[&LoadItem], archive: &Archive<'_>) -> Event {
    Event::Started { stage: Stage::Import, items: items.len() as u64, bytes: archive.payload_bytes() }
}

/// Returns whether the file that would be written is there already.
pub(super) fn is_there(file: &Path, archive: &Archive<'_>) -> Result<bool, FlowError> {
    ends_with(file, archive.length(), &archive.tail()).map_err(|error| FlowError::file(file, "cannot be read", error))
}

/// Says what writing `file` failed of.
pub(super) fn failed(file: &Path, error: LoadError) -> FlowError {
    match error {
        LoadError::Supply(error) => error,
        LoadError::Output(what, source) => {
            let place = file.display().to_string();
            FlowError::destination(place.clone(), Fault::local(place, what, source))
        }
    }
}

/// Says why a file could not be begun or published.
pub(super) fn refused(error: OutgoingError) -> FlowError {
    let what = error.to_string();
    match error {
        OutgoingError::Busy(_) => FlowError::Busy(what),
        OutgoingError::Exists(_) => FlowError::Usage(format!("{what}; name another file, or take it away")),
        OutgoingError::Full { path, .. } => {
            let place = path.display().to_string();
            FlowError::destination(place.clone(), Fault::new(FaultKind::Full, place, what))
        }
        OutgoingError::Disk { path, source } => FlowError::file(path, "cannot be written", source),
    }
}
