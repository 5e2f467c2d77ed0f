//! `airlift lock check`

use crate::cli::connect::Connecting;
use crate::cli::environment::Environment;
use crate::cli::error::{CliError, DONE, PARTLY, REFUSED, SOURCE};
use crate::cli::human;
use crate::cli::output::{Form, Output};
use crate::cli::rendering::Rendering;
use crate::document::lock::Lock;
use crate::flow::{Context, DriftKind, Drifted, Pins, Remembering, Wanted, drift_against, look_for_drift, look_up};
use std::path::PathBuf;

/// Say what moved since a lock was written: tags, artifacts that are gone, signatures that came or went
///
/// Writes nothing. Exit: 0 nothing moved; 10 the lock is behind (a tag moved, something new refers to an artifact, the mirror
/// file wants other things); 20 an artifact is gone, or its source does not answer; 30 a signature that the lock notes is
/// lost. The worst counts, in the order 30, 20, 10.
#[derive(clap::Args)]
pub struct Arguments {
    /// Lock that is looked at
    #[arg(long, value_name = "AIRLIFT.LOCK", default_value = "airlift.lock")]
    lock: PathBuf,
    /// Mirror file that the lock must still match
    #[arg(short, long, value_name = "MIRROR.YAML")]
    file: Option<PathBuf>,
    /// Form of the result
    #[arg(short, long, value_name = "FORM", default_value = "table")]
    output: Form,
    #[command(flatten)]
    rendering: Rendering,
    #[command(flatten)]
    connecting: Connecting,
}

/// Looks.
pub fn run(arguments: Arguments, environment: &Environment, output: &Output) -> Result<u8, CliError> {
    let lock = super::read(&arguments.lock)?;
    let remote = arguments.connecting.remote(environment)?;
    let source = Remembering::new(&remote);
    let progress = output.progress();
    let context = Context { events: &progress, threads: arguments.connecting.concurrency(), stop: &environment.stop };
    let mut drifted = look_for_drift(&lock, &source, &context)?;
    if let Some(file) = arguments.file {
        let charts = arguments.rendering.reading(environment)?;
        let pins = Pins { earlier: Some(lock.clone()), charts, ..Pins::default() };
        let lookup = look_up(&Wanted::Mirror(file), pins, &source, &context)?;
        drifted.drift.extend(drift_against(&lock, &lookup.resolved.lock));
    }
    match arguments.output {
        Form::Json => output.json(&drifted),
        Form::Table => show(&drifted, &lock, output),
    }
    verdict(&drifted)
}

fn verdict(drifted: &Drifted) -> Result<u8, CliError> {
    let (message, hint) = match code(drifted) {
        DONE => return Ok(DONE),
        REFUSED => ("a signature that the lock notes is lost", "ask the publisher before anything is packed from it"),
        SOURCE => {
            ("what the lock pins cannot be had any more, or nobody knows", "pack before it is gone, or pin another one")
        }
        _ => ("the lock is behind", "`airlift resolve` completes it, with --update it moves the pins"),
    };
    Err(CliError { code: code(drifted), ..CliError::usage(message).with_hint(hint) })
}

fn show(drifted: &Drifted, lock: &Lock, output: &Output) {
    let artifacts = human::count(lock.artifacts.len() as u64, "artifact");
    if drifted.without_evidence > 0 {
        output.note(format!(
            "note: signatures of {} are not compared; `airlift resolve --evidence` notes them in the lock",
            human::count(drifted.without_evidence as u64, "artifact")
        ));
    }
    if drifted.drift.is_empty() {
        return output.result(format!("nothing moved: {artifacts} as in the lock"));
    }
    let rows: Vec<Vec<String>> = drifted
        .drift
        .iter()
        .map(|drift| vec![word(drift.kind).to_owned(), drift.source.clone(), drift.what.clone()])
        .collect();
    output.result(human::table(&rows).trim_end());
    output.result(format!("{} in {artifacts}", human::count(drifted.drift.len() as u64, "difference")));
}

const fn word(kind: DriftKind) -> &'static str {
    match kind {
        DriftKind::EvidenceLost => "evidence lost",
        DriftKind::Gone => "gone",
        DriftKind::Unreachable => "unreachable",
        DriftKind::FileChanged => "file changed",
        DriftKind::TagMoved => "tag moved",
        DriftKind::EvidenceNew => "evidence new",
        DriftKind::NotPinned => "not pinned",
        DriftKind::NotWanted => "not wanted",
        DriftKind::OtherRules => "other rules",
    }
}

fn code(drifted: &Drifted) -> u8 {
    let one = |kind: DriftKind| match kind {
        DriftKind::EvidenceLost => REFUSED,
        DriftKind::Gone | DriftKind::Unreachable | DriftKind::FileChanged => SOURCE,
        DriftKind::TagMoved
        | DriftKind::EvidenceNew
        | DriftKind::NotPinned
        | DriftKind::NotWanted
        | DriftKind::OtherRules => PARTLY,
    };
    drifted.drift.iter().map(|drift| one(drift.kind)).max().unwrap_or(DONE)
}
