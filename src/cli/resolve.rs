//! `airlift resolve`

use super::connect::Connecting;
use super::environment::Environment;
use super::error::{CliError, DONE};
use super::human;
use super::output::{Form, Output};
use super::rendering::Rendering;
use crate::document::lock::Lock;
use crate::flow::{Context, FlowError, Pins, Remembering, Update, Wanted, look_up, publish, read_paper};
use std::path::PathBuf;

/// Find out what a mirror file stands for, and pin it by digest in a lock
///
/// An existing lock is kept and only completed, unless --update moves its pins.
#[derive(clap::Args)]
pub struct Arguments {
    /// Mirror file
    #[arg(short, long, value_name = "MIRROR.YAML")]
    file: PathBuf,
    /// Lock that is written
    #[arg(long, value_name = "AIRLIFT.LOCK", default_value = "airlift.lock")]
    lock: PathBuf,
    /// Move all pins, or only those whose source has this text in it; repeatable
    #[arg(long, value_name = "NAME", num_args = 0..=1, default_missing_value = "")]
    update: Vec<String>,
    /// Form of the result
    #[arg(short, long, value_name = "FORM", default_value = "table")]
    output: Form,
    #[command(flatten)]
    rendering: Rendering,
    #[command(flatten)]
    connecting: Connecting,
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
    let remote = arguments.connecting.remote(environment)?;
    let progress = output.progress();
    let context = Context { events: &progress, threads: arguments.connecting.concurrency(), stop: &environment.stop };
    let source = Remembering::new(&remote);
    let pins = Pins { earlier, update, charts: arguments.rendering.reading(environment)? };
    let lookup = look_up(&Wanted::Mirror(arguments.file), pins, &source, &context);
    if let (Err(FlowError::Undecided(seen)), Form::Json) = (&lookup, arguments.output) {
        output.json(&serde_json::json!({ "undecided": seen }));
    }
    let lookup = lookup?;
    let lock = &lookup.resolved.lock;
    publish(&arguments.lock, &lock.to_bytes())?;
    output.findings(&lookup.findings);
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
