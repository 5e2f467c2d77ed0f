//! Turns any error into message, cause, hint and exit number. The numbers are part of the contract.

use crate::bundle::{Lack, ParityError, ReadClass, ReadError, WriteError};
use crate::document::PaperError;
use crate::flow::{AUTHORS_HINT, Failed, FlowError, ItemFault};
use crate::model::evidence::{FindingClass, Severity};
use crate::model::reference::ReferenceError;
use crate::model::{Fault, FaultKind, Finding};
use crate::serve::ServeError;
use crate::store::cache::StoreError;
use crate::trust::TufError;

/// All was done.
pub const DONE: u8 = 0;
/// The program itself is wrong, or the machine under it.
pub const INTERNAL: u8 = 1;
/// The command line or a file that a person wrote cannot be used.
pub const USAGE: u8 = 2;
/// Part of the work was done; the same command goes on.
pub const PARTLY: u8 = 10;
/// A source cannot be reached, or lacks what was asked for.
pub const SOURCE: u8 = 20;
/// A signature is missing or wrong, or the policy refuses.
pub const REFUSED: u8 = 30;
/// Content is damaged or incomplete.
pub const DAMAGED: u8 = 40;
/// The destination refuses, or went away.
pub const DESTINATION: u8 = 50;

/// Error of a command: a message, its causes, what to do, and the exit number.
#[derive(Debug)]
pub struct CliError {
    /// What happened, as programs get it.
    pub message: String,
    /// The same for people, with the lines of a file that a person wrote; empty where there are none.
    pub picture: String,
    /// Causes, nearest first.
    pub causes: Vec<String>,
    /// What the reader can do.
    pub hints: Vec<String>,
    /// What was noticed before it failed.
    pub findings: Vec<Finding>,
    /// Exit number.
    pub code: u8,
}

impl CliError {
    /// States that the command line cannot be meant.
    pub fn usage(message: impl Into<String>) -> Self {
        let (picture, causes, hints, findings) = (String::new(), Vec::new(), Vec::new(), Vec::new());
        Self { message: message.into(), picture, causes, hints, findings, code: USAGE }
    }

    /// States that a file that a person named cannot be read or written.
    pub fn file(path: &std::path::Path, error: &std::io::Error) -> Self {
        Self { causes: vec![error.to_string()], ..Self::usage(format!("{} cannot be used", path.display())) }
    }

    /// Adds advice.
    #[must_use]
    pub fn with_hint(mut self, hint: impl Into<String>) -> Self {
        self.hints.push(hint.into());
        self
    }
}

impl From<ReferenceError> for CliError {
    fn from(error: ReferenceError) -> Self {
        Self::usage(error.to_string())
    }
}

impl From<StoreError> for CliError {
    fn from(error: StoreError) -> Self {
        FlowError::from(error).into()
    }
}

impl From<PaperError> for CliError {
    fn from(error: PaperError) -> Self {
        FlowError::from(error).into()
    }
}

impl From<FlowError> for CliError {
    fn from(error: FlowError) -> Self {
        let mut causes = Vec::new();
        let mut cause = std::error::Error::source(&error);
        while let Some(inner) = cause {
            causes.push(inner.to_string());
            cause = inner.source();
        }
        for item in faults(&error) {
            let mut cause = std::error::Error::source(&item.fault);
            while let Some(inner) = cause {
                causes.push(inner.to_string());
                cause = inner.source();
            }
        }
        causes.dedup();
        let picture = format!("{error:#}");
        let (hints, code) = (hints(&error), code(&error));
        Self { message: error.to_string(), picture, causes, hints, findings: Vec::new(), code }
    }
}

impl From<Failed> for CliError {
    fn from(Failed { error, findings }: Failed) -> Self {
        Self { findings, ..error.into() }
    }
}

impl From<ServeError> for CliError {
    fn from(error: ServeError) -> Self {
        let causes = std::error::Error::source(&error).map(ToString::to_string).into_iter().collect();
        Self { causes, ..Self::usage(error.to_string()) }
    }
}

fn faults(error: &FlowError) -> &[ItemFault] {
    match error {
        FlowError::Source(items) => items,
        FlowError::Destination(item) => std::slice::from_ref(item),
        _ => &[],
    }
}

/// Returns the exit number of an error.
pub fn code(error: &FlowError) -> u8 {
    match error {
        FlowError::Paper(_) | FlowError::Discover(_) | FlowError::Usage(_) | FlowError::Plan(_) => USAGE,
        FlowError::Charts(_) | FlowError::Undecided(_) => USAGE,
        FlowError::Trust(_) | FlowError::Seal(_) => USAGE,
        FlowError::File { source, .. } => file_code(source),
        FlowError::Root(_) | FlowError::Merge(_) | FlowError::Store(_) => USAGE,
        FlowError::NotAccepted { .. } => REFUSED,
        FlowError::Tuf(error) => tuf_code(error),
        FlowError::Source(items) => items.iter().map(|item| fault_code(&item.fault, SOURCE)).max().unwrap_or(SOURCE),
        FlowError::Destination(item) => fault_code(&item.fault, DESTINATION),
        FlowError::Content { .. } | FlowError::Incomplete { .. } | FlowError::NotThere(_) => DAMAGED,
        FlowError::Refused(_) | FlowError::Unauthentic(_) | FlowError::UnacceptedPaper { .. } => REFUSED,
        FlowError::Write(error) => write_code(error),
        FlowError::Read(error) => read_code(error),
        FlowError::Parity(error) => parity_code(error),
        FlowError::Preflight(_) => DESTINATION,
        FlowError::Busy(_) | FlowError::Interrupted => PARTLY,
    }
}

fn tuf_code(error: &TufError) -> u8 {
    match error {
        TufError::Initial(_) => USAGE,
        TufError::Mirror(fault) => fault_code(fault, SOURCE),
        TufError::Absent { .. } => SOURCE,
        TufError::Expired { .. } | TufError::WentBack { .. } | TufError::Refused { .. } => REFUSED,
    }
}

fn fault_code(fault: &Fault, side: u8) -> u8 {
    match fault.kind {
        FaultKind::Damaged | FaultKind::Malformed | FaultKind::TooLarge => DAMAGED,
        FaultKind::Busy | FaultKind::Interrupted => PARTLY,
        _ => side,
    }
}

fn write_code(error: &WriteError) -> u8 {
    match error {
        WriteError::Busy(_) | WriteError::Full { .. } | WriteError::Incomplete { .. } | WriteError::Output(_) => PARTLY,
        WriteError::FileTooLarge { .. } | WriteError::NoMedium { .. } | WriteError::Medium { .. } => PARTLY,
        WriteError::ReadBack { .. } | WriteError::Rewrite { .. } => DAMAGED,
        WriteError::Exists { .. } | WriteError::Layout(_) | WriteError::Envelope(_) => USAGE,
        WriteError::Mismatch { .. } | WriteError::Long { .. } => DAMAGED,
        WriteError::Source { .. } => SOURCE,
        WriteError::Disk { source, .. } if wrong_place(source) => USAGE,
        WriteError::Disk { .. } | WriteError::Encoder(_) => INTERNAL,
    }
}

fn parity_code(error: &ParityError) -> u8 {
    match error {
        ParityError::Read(error) => read_code(error),
        ParityError::Write(error) => write_code(error),
        ParityError::Absent { .. } | ParityError::Refuted { .. } => DAMAGED,
        ParityError::TooMany { .. } | ParityError::Exists { .. } => USAGE,
        ParityError::Stopped => PARTLY,
        ParityError::Code(_) => INTERNAL,
    }
}

/// Returns the number for a file that could not be read or written: it is the disk's fault, or that of its name.
fn file_code(error: &std::io::Error) -> u8 {
    match error.kind() {
        kind if is_full(kind) => PARTLY,
        _ if wrong_place(error) => USAGE,
        _ if error.raw_os_error() == Some(EIO) => INTERNAL,
        _ => USAGE,
    }
}

/// Number of the error by which a disk says that it cannot read or write.
const EIO: i32 = 5;

fn is_full(kind: std::io::ErrorKind) -> bool {
    use std::io::ErrorKind::{FileTooLarge, QuotaExceeded, StorageFull};
    matches!(kind, StorageFull | QuotaExceeded | FileTooLarge)
}

/// Returns whether a place was named that is not there or may not be written.
fn wrong_place(error: &std::io::Error) -> bool {
    use std::io::ErrorKind::{IsADirectory, NotADirectory, NotFound, PermissionDenied, ReadOnlyFilesystem};
    matches!(error.kind(), NotFound | NotADirectory | IsADirectory | PermissionDenied | ReadOnlyFilesystem)
}

fn read_code(error: &ReadError) -> u8 {
    if let ReadError::Io { source, .. } = error
        && let Some(fault) = source.get_ref().and_then(|inner| inner.downcast_ref::<Fault>())
    {
        return fault_code(fault, USAGE);
    }
    let absent = match error {
        ReadError::NoVolumes { .. } => true,
        // A medium that cannot be read has lost content; only a name that leads nowhere is the fault of a person.
        ReadError::Io { source, .. } => wrong_place(source),
        _ => error.class() == ReadClass::Io,
    };
    if absent { USAGE } else { DAMAGED }
}

/// Returns the exit number of a list of findings: that of the worst.
pub fn findings_code(findings: &[Finding]) -> u8 {
    let errors = findings.iter().filter(|finding| finding.severity == Severity::Error);
    let number = |finding: &Finding| match finding.class {
        FindingClass::Config => USAGE,
        FindingClass::Integrity | FindingClass::Media => DAMAGED,
        FindingClass::Policy => REFUSED,
        FindingClass::Destination => DESTINATION,
        FindingClass::Source => SOURCE,
    };
    let numbers: Vec<u8> = errors.map(number).collect();
    let worst = [DAMAGED, REFUSED, DESTINATION, SOURCE, USAGE];
    worst.into_iter().find(|number| numbers.contains(number)).unwrap_or(DONE)
}

fn parity_hint(error: &ParityError) -> &'static str {
    match error {
        ParityError::Absent { .. } => "name the folder of the parity volumes too; they are called NAME.p01.airlift, …",
        ParityError::TooMany { .. } => "take larger volumes",
        ParityError::Exists { .. } => "take it away, or ask for the amount of parity that is there",
        ParityError::Refuted { .. } => "do not trust these parity volumes; carry the volume again",
        ParityError::Write(WriteError::Disk { .. } | WriteError::Full { .. }) => {
            "name a folder that may be written and has room, with -o"
        }
        _ => "",
    }
}

fn write_hints(error: &WriteError) -> Vec<String> {
    let hint = match error {
        WriteError::FileTooLarge { .. } => {
            "ask for smaller volumes with --volume-size: fat32 fits every FAT disk; ulimit -f shows the limit of this session"
        }
        WriteError::NoMedium { .. } => {
            "run the same command again with another medium: name its folder with --media; volumes that are finished are not needed any more"
        }
        WriteError::Medium { .. } => {
            "put a sound medium in and run the same command again: it goes on with this volume"
        }
        WriteError::ReadBack { .. } => {
            "take another medium and run the same command again: it goes on with this volume"
        }
        WriteError::Rewrite { .. } => {
            "run the same command again: it goes on with the first of these volumes; throw the old ones away"
        }
        _ => return Vec::new(),
    };
    vec![hint.to_owned()]
}

/// Says what to do where a disk takes no more.
const fn room_hint(lack: Lack) -> &'static str {
    match lack {
        Lack::RoomBeforehand | Lack::Room => {
            "make room, or name another disk, and run the same command again; what is written is kept"
        }
        Lack::Files => "remove files there, however small, and run the same command again; what is written is kept",
        Lack::Quota => "have the quota raised, or remove files of this user, and run the same command again",
        Lack::FileSize => "ask for smaller volumes with --volume-size; FAT32 takes files below 4GiB, so 4000MiB do",
    }
}

fn hints(error: &FlowError) -> Vec<String> {
    let mut hints: Vec<String> = match error {
        FlowError::Refused(refusals) => refusals.iter().map(|refusal| refusal.hint.clone()).collect(),
        FlowError::Charts(charts) => charts.iter().map(|chart| chart.hint.clone()).collect(),
        FlowError::Preflight(findings) => findings.iter().map(|finding| finding.hint.clone()).collect(),
        FlowError::Unauthentic(_) => vec![AUTHORS_HINT.to_owned()],
        FlowError::Read(error) | FlowError::Parity(ParityError::Read(error)) => vec![error.finding().hint],
        FlowError::Parity(error) => vec![parity_hint(error).to_owned()],
        FlowError::NotAccepted { hint, .. } => vec![(*hint).to_owned()],
        FlowError::Tuf(TufError::Mirror(fault)) => vec![fault.hint.clone()],
        FlowError::Tuf(error) => vec![error.hint().to_owned()],
        FlowError::Write(WriteError::Disk { source, .. }) if wrong_place(source) => {
            vec![
                "name a place that is there and may be written, with -o, or --output-file of a countersignature"
                    .to_owned(),
            ]
        }
        FlowError::Write(WriteError::Full { lack, .. }) => vec![room_hint(*lack).to_owned()],
        FlowError::Write(WriteError::Disk { source, .. }) if source.raw_os_error() == Some(EIO) => vec![
            "the disk fails: what it lost is fetched again by the same command; better on another disk, with -o"
                .to_owned(),
        ],
        FlowError::Write(WriteError::Output(_)) => {
            vec!["see why the reader ended; a bundle through a pipe begins anew with the same command".to_owned()]
        }
        FlowError::File { source, .. } if is_full(source.kind()) => vec![room_hint(Lack::Room).to_owned()],
        FlowError::Write(error) => write_hints(error),
        FlowError::Busy(_) => vec!["wait until the other run has ended, then run the same command again".to_owned()],
        _ => faults(error).iter().map(|item| item.fault.hint.clone()).collect(),
    };
    hints.retain(|hint| !hint.is_empty());
    let mut seen = std::collections::BTreeSet::new();
    hints.retain(|hint| seen.insert(hint.clone()));
    hints
}
