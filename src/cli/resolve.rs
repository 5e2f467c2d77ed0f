//! `airlift resolve`

use super::cluster::Reaching;
use super::connect::Connecting;
use super::environment::Environment;
use super::error::{CliError, DONE};
use super::human;
use super::listing;
use super::lock::destinations;
use super::output::{Form, Output};
use super::rendering::Rendering;
use super::signing::Signing;
use super::sourcing::{Sourcing, Supply};
use crate::discover::{Narrowing, PlatformRule};
use crate::document::lock::Lock;
use crate::flow::{
    Context, FlowError, Pins, Remembering, Update, Wanted, list, look_up, note_beside, publish_signed, read_paper,
};
use crate::model::running::RunningImages;
use crate::trust::LOCK_STATEMENT;
use std::path::PathBuf;

/// Find out what a mirror file stands for, and pin it by digest in a lock
///
/// The lock holds exactly what this run wants; what an existing lock pins of that stays pinned so, unless --update moves
/// it. With --include or --exclude it holds less: give it a name of its own with --lock to keep the whole one.
#[derive(clap::Args)]
pub struct Arguments {
    /// Mirror file
    #[arg(short, long, value_name = "MIRROR.YAML", required_unless_present_any = ["from_kubeconfig", "from"])]
    file: Option<PathBuf>,
    /// Of all Blueprints and Flux releases that the mirror file wants for themselves (also as roots), take only those that fit,
    /// with what they need; a pattern such as `harbor` or `bp-h*`, repeatable. Its other sources stay as they are
    #[arg(long, value_name = "PATTERN", requires = "file")]
    include: Vec<String>,
    /// Leave out the Blueprints and Flux releases that fit; an error where something that is kept needs one. Repeatable
    #[arg(long, value_name = "PATTERN", requires = "file")]
    exclude: Vec<String>,
    #[command(flatten)]
    reaching: Reaching,
    #[command(flatten)]
    sourcing: Sourcing,
    /// Lock that is written; with --sign-key its signature stands beside it, with .sig behind the name
    #[arg(long, value_name = "AIRLIFT.LOCK", default_value = "airlift.lock")]
    lock: PathBuf,
    /// Move all pins, or only those called so and what came in because of them: a part of a source, a pattern, a chart, a
    /// Blueprint; repeatable
    #[arg(long, value_name = "NAME", num_args = 0..=1, default_missing_value = "")]
    update: Vec<String>,
    /// Note in the lock what refers to each artifact (signatures, attestations, SBOMs), for `airlift lock check`
    #[arg(long)]
    evidence: bool,
    /// Write nothing; show where everything would go
    #[arg(long)]
    dry_run: bool,
    /// Form of the result
    #[arg(short, long, value_name = "FORM", default_value = "table")]
    output: Form,
    /// Say what is wanted and why, and write nothing: of registries only charts are asked for
    #[arg(long)]
    list: bool,
    #[command(flatten)]
    rendering: Rendering,
    #[command(flatten)]
    signing: Signing,
    #[command(flatten)]
    connecting: Connecting,
}

/// Returns what was named: a mirror file, what a cluster runs, or everything in files.
fn wanted(arguments: &Arguments, supply: &Supply, environment: &Environment) -> Result<Wanted, CliError> {
    match &arguments.file {
        Some(_) if arguments.reaching.is_given() => {
            let hint = "make one lock of each, and merge them";
            Err(CliError::usage("a mirror file and a cluster do not make one lock").with_hint(hint))
        }
        Some(file) => Ok(Wanted::Mirror(file.clone())),
        None if !arguments.reaching.is_given() => supply.everything(PlatformRule::All),
        None => {
            let reached = arguments.reaching.reach(environment)?;
            let running = reached.cluster.running();
            let running =
                running.map_err(|fault| FlowError::source(format!("cluster of {}", reached.context), fault))?;
            Ok(Wanted::Running(running, reached.context))
        }
    }
}

/// Resolves.
pub fn run(arguments: Arguments, environment: &Environment, output: &Output) -> Result<u8, CliError> {
    let earlier = match arguments.lock.exists() {
        true => Some(Lock::read(&read_paper(&arguments.lock)?, &arguments.lock.display().to_string())?),
        false => None,
    };
    let update = match &arguments.update[..] {
        [] => Update::Nothing,
        names if names.iter().any(String::is_empty) => Update::Everything,
        names => Update::Named(names.to_vec()),
    };
    let keys = arguments.signing.keys(environment)?;
    let progress = output.progress();
    let context = Context { events: &progress, threads: arguments.connecting.concurrency(), stop: &environment.stop };
    let opening = || arguments.connecting.remote(environment);
    let supply = arguments.sourcing.supply(opening, (Some(&arguments.lock), environment), &context, output)?;
    let source = Remembering::new(supply.source());
    let narrowing = Narrowing::new(&arguments.include, &arguments.exclude);
    let narrowing = narrowing.map_err(|error| CliError::usage(error.to_string()))?;
    let pins = Pins { earlier, update, charts: arguments.rendering.reading(environment)?, narrowing };
    if let (true, Some(file)) = (arguments.list, &arguments.file) {
        return listing::show(&list(file, &pins, &source, &context)?, arguments.output, output);
    }
    let wanted = wanted(&arguments, &supply, environment)?;
    let lookup = look_up(&wanted, pins, &source, &context);
    if let (Err(FlowError::Undecided(seen)), Form::Json) = (&lookup, arguments.output) {
        output.json(&serde_json::json!({ "undecided": seen }));
    }
    let mut lookup = lookup?;
    if arguments.evidence {
        note_beside(&mut lookup.resolved.lock, &source, &context)?;
    }
    let lock = &lookup.resolved.lock;
    output.findings(&lookup.findings);
    if lock.artifacts.is_empty() {
        output.note("warning: no artifact came out of it; `airlift resolve --list` shows what was looked at");
    }
    if arguments.dry_run {
        destinations::show(lock, "", arguments.output, output);
        return Ok(DONE);
    }
    publish_signed(&arguments.lock, &lock.to_bytes(), LOCK_STATEMENT, &keys)?;
    match arguments.output {
        Form::Json => output.json(lock),
        Form::Table => {
            for (source, old, new) in &lookup.resolved.moved {
                output.result(format!("moved {source}: {} → {}", old.short(), new.short()));
            }
            let artifacts = human::count(lock.artifacts.len() as u64, "artifact");
            output.result(format!("pinned {artifacts} in {}", arguments.lock.display()));
        }
    }
    Ok(DONE)
}
