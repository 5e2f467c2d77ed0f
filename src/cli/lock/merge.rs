//! `airlift lock merge`

use crate::cli::error::CliError;
use crate::cli::error::DONE;
use crate::cli::human;
use crate::cli::output::Output;
use crate::document::merge::merge;
use crate::flow::publish;
use std::path::PathBuf;

/// Put several locks into one; what contradicts is refused, all of it at once
#[derive(clap::Args)]
pub struct Arguments {
    /// Locks, in the order in which their artifacts shall stand
    #[arg(value_name = "LOCK", required = true, num_args = 2..)]
    locks: Vec<PathBuf>,
    /// Lock that is written
    #[arg(short, long, value_name = "LOCK")]
    output: PathBuf,
}

/// Merges.
pub fn run(arguments: Arguments, output: &Output) -> Result<u8, CliError> {
    let mut locks = Vec::new();
    for path in &arguments.locks {
        locks.push((path.display().to_string(), super::read(path)?));
    }
    let hint = "resolve the one again with --update, or give one of them another destination rule";
    let merged = merge(&locks).map_err(|error| CliError::usage(error.to_string()).with_hint(hint))?;
    publish(&arguments.output, &merged.to_bytes())?;
    let artifacts = human::count(merged.artifacts.len() as u64, "artifact");
    output.result(format!("{artifacts} of {} locks in {}", locks.len(), arguments.output.display()));
    Ok(DONE)
}
