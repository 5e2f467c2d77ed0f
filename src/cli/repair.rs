//! `airlift repair`

use super::environment::Environment;
use super::error::{CliError, DAMAGED, DONE};
use super::human;
use super::output::{Form, Output};
use crate::bundle::{Condition, TooMuch, find_volumes};
use crate::flow::{Context, FlowError, RepairReport, RepairRequest, repair};
use std::path::PathBuf;

/// Make lost and damaged volumes again from parity volumes
///
/// Volumes are known by what is in them: files may be renamed, and in several folders. What is made again must pass the
/// checks of a volume that never broke before it gets its name. A damaged file is never overwritten: it keeps its bytes
/// under its name with .damaged behind it, or stays where it is with -o. Killed and run again, it begins anew.
#[derive(clap::Args)]
pub struct Arguments {
    /// Volumes, folders or globs of volumes; others of the same bundle beside them are found
    #[arg(value_name = "BUNDLE", required = true)]
    bundle: Vec<PathBuf>,
    /// Folder for what is made again, for media that cannot be written [default: beside what is there]
    #[arg(short, long, value_name = "FOLDER")]
    output: Option<PathBuf>,
    /// Only say what is damaged, and whether it could be made again
    #[arg(long)]
    dry_run: bool,
    /// Form of the result
    #[arg(long, value_name = "FORM", default_value = "table")]
    format: Form,
    /// Processors used
    #[arg(short = 'j', long, value_name = "N")]
    concurrency: Option<usize>,
}

/// Repairs.
pub fn run(arguments: Arguments, environment: &Environment, output: &Output) -> Result<u8, CliError> {
    let files = find_volumes(&arguments.bundle).map_err(FlowError::from)?;
    let progress = output.progress();
    let threads = arguments.concurrency.unwrap_or_else(super::cores);
    let context = Context { events: &progress, threads, stop: &environment.stop };
    let request = RepairRequest { files: &files, into: arguments.output.as_deref(), dry_run: arguments.dry_run };
    let report = repair(&request, &context)?;
    match arguments.format {
        Form::Json => output.json(&report),
        Form::Table => show(&report, arguments.dry_run, output),
    }
    if !report.whole {
        output.note("error: too much is damaged to make all volumes again");
        output.note(" hint: carry one of the damaged volumes again; what is good in the others is used");
    }
    Ok(if report.whole { DONE } else { DAMAGED })
}

fn show(report: &RepairReport, dry_run: bool, output: &Output) {
    for file in &report.useless {
        output.note(format!("warning: {}: no parity volume of this bundle that can be used", file.display()));
    }
    for file in &report.foreign {
        output.note(format!("warning: {}: belongs to another bundle, or to none; left alone", file.display()));
    }
    report.volumes.iter().filter(|one| !one.whole).for_each(|one| output.result(state(one)));
    for made in &report.repaired.rebuilt {
        output.result(format!("{} was made again: {}", name(made.parity, made.number), made.file.display()));
        if let Some(kept) = &made.kept {
            output.result(format!("   the damaged file is kept: {}", kept.display()));
        }
    }
    report.lacks.iter().for_each(|lack| output.result(too_much(lack)));
    let postponed = &report.repaired.postponed;
    if !postponed.is_empty() {
        output.result("parity volumes are made again when all data volumes are whole");
    }
    let broken = report.volumes.iter().filter(|one| !one.whole).count() as u64;
    output.result(match (report.whole, broken) {
        (true, 0) => format!("whole: {}", human::count(report.volumes.len() as u64, "volume")),
        (true, n) if dry_run => format!("can be repaired: {}", human::count(n, "volume")),
        (true, n) => format!("repaired: {}", human::count(n, "volume")),
        (false, _) => format!("too much is damaged in {}", human::count(report.lacking, "stripe")),
    });
}

fn name(parity: bool, number: u32) -> String {
    format!("{} {number}", if parity { "parity volume" } else { "volume" })
}

fn state(one: &Condition) -> String {
    let name = name(one.parity, one.number);
    match &one.file {
        None => format!("{name} is lost"),
        Some(file) if one.damaged == 0 => {
            format!("{name} ({}) has not the form that it was written in", file.display())
        }
        Some(file) => {
            let blocks = human::count(one.blocks, "block");
            format!("{name} ({}) is damaged in {} of {blocks} of 64 KiB", file.display(), one.damaged)
        }
    }
}

fn too_much(lack: &TooMuch) -> String {
    let stripes = match lack.stripes {
        1 => format!("stripe {}", lack.stripe),
        n => format!("stripes {}-{}", lack.stripe, lack.stripe + n - 1),
    };
    let volumes: Vec<String> = lack.volumes.iter().map(ToString::to_string).collect();
    let more = lack.damaged - lack.repairable;
    let noun = human::count(lack.damaged.into(), "block");
    let of = if volumes.len() == 1 { "volume" } else { "volumes" };
    format!(
        "{stripes}: {noun} damaged, {} can be made again: {more} too many (in {of} {})",
        lack.repairable,
        volumes.join(", ")
    )
}
