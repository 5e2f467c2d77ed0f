//! Accepts a trusted root in place of an earlier one: a person's act, with a number that only rises.
//!
//! Beside the root stand its record (`ROOT.record`) and, where it was signed, the record's seal (`ROOT.record.sig`). The record
//! is written before the root: a run that dies between the two leaves a root that does not match its record, which nobody judges
//! by, and the same command goes on.

use super::error::FlowError;
use super::publish::publish;
use super::wanted::read_paper;
use crate::document::root_record::{NewRoot, RootOrigin, RootRecord};
use crate::trust::{PublicKey, ROOT_RECORD, RootChange, RootText, RootView, SigningKey, seal, unseal};
use serde::Serialize;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

/// What is accepted, and on what conditions.
pub struct AcceptRequest<'a> {
    /// Name of the instance, as policies call it.
    pub name: &'a str,
    /// The root.
    pub root: &'a RootText,
    /// Where it comes from.
    pub origin: RootOrigin,
    /// File that it becomes.
    pub into: &'a Path,
    /// Record that came with it, its seal, and whose seal is wanted.
    pub carried: Option<CarriedRecord<'a>>,
    /// Take it although keys are gone, or ended ones in force again.
    pub allow_losses: bool,
    /// Key that signs the record.
    pub key: Option<&'a SigningKey>,
    /// Now, in seconds since 1970 and as RFC 3339.
    pub now: (i64, &'a str),
}

/// A record that came with a root.
pub struct CarriedRecord<'a> {
    /// Its file.
    pub file: &'a Path,
    /// Keys, any of which must have sealed it; none where its number is taken on trust.
    pub signers: &'a [PublicKey],
}

/// What was accepted.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Accepted {
    /// The file.
    pub file: PathBuf,
    /// Its record.
    pub record: RootRecord,
    /// What differs from the root before; absent for the first one.
    pub change: Option<RootChange>,
}

/// Accepts a root.
pub fn accept(request: &AcceptRequest<'_>) -> Result<Accepted, FlowError> {
    let (now, now_text) = request.now;
    RootView::read(request.root, now)?;
    let place = in_place(request)?;
    let sequence = request.carried.as_ref().map(|carried| carried.sequence(request.root)).transpose()?;
    let change = place.root.as_ref().map(|old| RootChange::between(old, request.root, now)).transpose()?;
    if let Some(change) = change.as_ref().filter(|change| change.has_losses() && !request.allow_losses) {
        return Err(losses(change));
    }
    let new = NewRoot {
        name: request.name.to_owned(),
        sha256: request.root.digest(),
        accepted: now_text.to_owned(),
        origin: request.origin.clone(),
        sequence,
    };
    let record = RootRecord::after(place.record.as_ref(), new)
        .map_err(|error| FlowError::NotAccepted { why: error.to_string(), hint: BACK })?;
    write(request, &record)?;
    Ok(Accepted { file: request.into.to_owned(), record, change })
}

const BACK: &str = "nothing was written; an older root makes newer signatures unverifiable and ended keys count again";
const SWAPPED: &str = "somebody changed the root or its record by hand: find out who, then put the accepted file back";

/// Returns the path of the record of the root `file`.
pub fn record_path(file: &Path) -> PathBuf {
    PathBuf::from(format!("{}.record", file.display()))
}

fn seal_path(record: &Path) -> PathBuf {
    PathBuf::from(format!("{}.sig", record.display()))
}

/// Reads a file, `None` where it is not there.
fn present(path: &Path) -> Result<Option<Vec<u8>>, FlowError> {
    match read_paper(path) {
        Err(FlowError::File { source, .. }) if source.kind() == ErrorKind::NotFound => Ok(None),
        other => other.map(Some),
    }
}

/// What stands in the place of the root.
struct Place {
    record: Option<RootRecord>,
    /// The root itself, where it is what the record says, or where nobody recorded it yet.
    root: Option<RootText>,
}

/// Reads what is in the place of the root. A root that nobody recorded is compared with, and its follower gets the first number.
fn in_place(request: &AcceptRequest<'_>) -> Result<Place, FlowError> {
    let path = record_path(request.into);
    let root = present(request.into)?.map(|bytes| RootText { name: request.into.display().to_string(), bytes });
    let Some(bytes) = present(&path)? else { return Ok(Place { record: None, root }) };
    let record = RootRecord::read(&bytes, &path.display().to_string())?;
    match root {
        // What a run that died between record and root left.
        Some(root) if root.digest() != record.sha256 && record.sha256 == request.root.digest() => {
            Ok(Place { record: Some(record), root: None })
        }
        Some(root) if root.digest() != record.sha256 => {
            let (found, accepted) = (root.digest(), &record.sha256);
            let why =
                format!("{} is {found}, but its record says that {accepted} was accepted", request.into.display());
            Err(FlowError::NotAccepted { why, hint: SWAPPED })
        }
        root => Ok(Place { record: Some(record), root }),
    }
}

fn losses(change: &RootChange) -> FlowError {
    let names = |list: &[crate::trust::Anchor]| {
        list.iter().map(|anchor| format!("{} {}", anchor.kind.words(), anchor.name)).collect::<Vec<_>>().join(", ")
    };
    let mut parts = Vec::new();
    if !change.removed.is_empty() {
        parts.push(format!("it lacks what the accepted root has: {}", names(&change.removed)));
    }
    if !change.reopened.is_empty() {
        parts.push(format!("what had ended is in force again: {}", names(&change.reopened)));
    }
    let hint = "an honest new root keeps every key and only ends some; is it older, or of another instance? --allow-losses takes it all the same";
    FlowError::NotAccepted { why: format!("the root is not accepted: {}", parts.join("; ")), hint }
}

impl CarriedRecord<'_> {
    /// Returns the number that the record gives to `root`.
    fn sequence(&self, root: &RootText) -> Result<u64, FlowError> {
        let bytes = read_paper(self.file)?;
        let refused = |why: String| FlowError::NotAccepted {
            why: format!("{}: {why}", self.file.display()),
            hint: "take root, record and seal from one hand",
        };
        if !self.signers.is_empty() {
            let envelope =
                present(&seal_path(self.file))?.ok_or_else(|| refused("the record is not signed".to_owned()))?;
            unseal(ROOT_RECORD, &bytes, &envelope, self.signers).map_err(|error| refused(error.to_string()))?;
        }
        let record = RootRecord::read(&bytes, &self.file.display().to_string())?;
        if record.sha256 != root.digest() {
            return Err(refused(format!("the record is about {}, the root is {}", record.sha256, root.digest())));
        }
        Ok(record.sequence)
    }
}

fn write(request: &AcceptRequest<'_>, record: &RootRecord) -> Result<(), FlowError> {
    let path = record_path(request.into);
    let bytes = record.to_bytes();
    if let Some(key) = request.key {
        publish(&seal_path(&path), &seal(ROOT_RECORD, &bytes, key)?)?;
    }
    publish(&path, &bytes)?;
    publish(request.into, &request.root.bytes)
}

/// Reads a file that a policy names; where a record stands beside it, it must be the file that was accepted.
pub fn read_recorded(path: &Path) -> Result<Vec<u8>, FlowError> {
    let bytes = read_paper(path)?;
    let beside = record_path(path);
    if let Some(record) = present(&beside)? {
        let record = RootRecord::read(&record, &beside.display().to_string())?;
        let found = crate::model::Digest::of(&bytes);
        if found != record.sha256 {
            let (number, accepted) = (record.sequence, &record.sha256);
            let why = format!("{} is {found}, but {accepted} was accepted as number {number}", path.display());
            return Err(FlowError::NotAccepted { why, hint: SWAPPED });
        }
    }
    Ok(bytes)
}
