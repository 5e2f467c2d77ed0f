//! Adds parity to a finished bundle, and makes lost and damaged volumes again from it.

use super::context::Context;
use super::error::FlowError;
use crate::bundle::{
    self, Condition, Damage, Input, ParityAmount, ParityError, ParityRequest, Repaired, TooMuch, Watch, check,
    look_for_damage,
};
use crate::model::Event;
use crate::model::event::Stage;
use serde::Serialize;
use std::path::{Path, PathBuf};

/// What is repaired.
pub struct RepairRequest<'a> {
    /// Volumes that are there, of data and parity; others beside them are taken in.
    pub files: &'a [PathBuf],
    /// Folder for what is made again; beside what is there if `None`.
    pub into: Option<&'a Path>,
    /// Whether only to look.
    pub dry_run: bool,
}

/// What was found, and what was made of it.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct RepairReport {
    /// Whether all volumes are whole now; in a dry run, whether a repair would make them so.
    pub whole: bool,
    /// State of every volume before the repair, parity volumes last.
    pub volumes: Vec<Condition>,
    /// First places at which more is damaged than can be made again.
    pub lacks: Vec<TooMuch>,
    /// Number of all such stripes.
    pub lacking: u64,
    /// What was made again, and what not.
    #[serde(flatten)]
    pub repaired: Repaired,
    /// Parity volumes that state another set than most do, or of which nothing can be read.
    pub useless: Vec<PathBuf>,
    /// Named files that are of another bundle, or nothing of any.
    pub foreign: Vec<PathBuf>,
}

/// Looks for damage and makes again what can be made again.
pub fn repair(request: &RepairRequest<'_>, context: &Context<'_>) -> Result<RepairReport, FlowError> {
    if let Some(folder) = request.into.filter(|_| !request.dry_run) {
        std::fs::create_dir_all(folder).map_err(|error| FlowError::file(folder, "cannot be made", error))?;
    }
    let into = request.into.filter(|folder| folder.is_dir());
    let bytes = Damage::bytes(request.files, into).map_err(interrupted)?;
    context.tell(Event::Started { stage: Stage::Repair, items: request.files.len() as u64, bytes });
    let moved = |bytes| context.tell(Event::Moved { stage: Stage::Repair, bytes });
    let stopped = || context.go_on().is_err();
    let watch = Watch { threads: context.threads, moved: &moved, stopped: &stopped };
    let damage = look_for_damage(request.files, into, watch).map_err(interrupted)?;
    let repaired = match request.dry_run {
        true => Repaired::default(),
        false => bundle::repair(&damage, request.into, watch).map_err(interrupted)?,
    };
    context.tell(Event::Finished { stage: Stage::Repair });
    Ok(RepairReport {
        whole: damage.lacking() == 0,
        volumes: damage.conditions(),
        lacks: damage.lacks().to_vec(),
        lacking: damage.lacking(),
        repaired,
        useless: damage.useless().to_vec(),
        foreign: damage.foreign().to_vec(),
    })
}

/// Adds parity to volumes that were finished some time ago: they are checked first, because parity keeps what it finds.
pub fn add_parity(
    volumes: &[PathBuf],
    amount: (ParityAmount, Option<&Path>),
    context: &Context<'_>,
) -> Result<Vec<PathBuf>, FlowError> {
    let moved = |bytes| context.tell(Event::Moved { stage: Stage::Verify, bytes });
    context.tell(Event::Started { stage: Stage::Verify, items: volumes.len() as u64, bytes: sum(volumes) });
    let checked = check(Input::Files(volumes.to_vec()), context.threads, &moved);
    context.tell(Event::Finished { stage: Stage::Verify });
    let wrong = checked.findings.into_iter().find(|found| found.severity == crate::model::evidence::Severity::Error);
    if let Some(finding) = wrong {
        return Err(FlowError::Content { item: finding.place, why: finding.what });
    }
    make_parity(volumes, amount, context)
}

/// Adds parity to volumes that were just written, or just verified.
pub fn make_parity(
    volumes: &[PathBuf],
    (amount, folder): (ParityAmount, Option<&Path>),
    context: &Context<'_>,
) -> Result<Vec<PathBuf>, FlowError> {
    context.tell(Event::Started { stage: Stage::Parity, items: volumes.len() as u64, bytes: sum(volumes) });
    let moved = |bytes| context.tell(Event::Moved { stage: Stage::Parity, bytes });
    let stopped = || context.go_on().is_err();
    let watch = Watch { threads: context.threads, moved: &moved, stopped: &stopped };
    let made = bundle::add_parity(ParityRequest { volumes, amount, folder }, watch).map_err(interrupted)?;
    context.tell(Event::Finished { stage: Stage::Parity });
    Ok(made)
}

fn sum(files: &[PathBuf]) -> u64 {
    files.iter().filter_map(|file| std::fs::metadata(file).ok()).map(|meta| meta.len()).sum()
}

fn interrupted(error: ParityError) -> FlowError {
    match error {
        ParityError::Stopped => FlowError::Interrupted,
        other => other.into(),
    }
}
