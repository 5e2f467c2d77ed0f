//! `airlift lock`: what is done with locks beside resolving.

mod check;
pub mod destinations;
mod merge;

use super::environment::Environment;
use super::error::CliError;
use super::output::Output;
use crate::document::lock::Lock;
use crate::flow::{read_paper, refuse_collisions};
use clap::Subcommand;
use std::path::Path;

/// Look at locks: what moved since, where things go, several in one
#[derive(clap::Args)]
pub struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    Check(check::Arguments),
    Merge(merge::Arguments),
    Destinations(destinations::Arguments),
}

/// Runs one of them.
pub fn run(arguments: Arguments, environment: &Environment, output: &Output) -> Result<u8, CliError> {
    match arguments.command {
        Command::Check(arguments) => check::run(arguments, environment, output),
        Command::Merge(arguments) => merge::run(arguments, output),
        Command::Destinations(arguments) => destinations::run(arguments, output),
    }
}

/// Reads a lock; one in which two artifacts have the same destination is refused, as an import would do it.
pub fn read(path: &Path) -> Result<Lock, CliError> {
    let place = path.display().to_string();
    let lock = Lock::read(&read_paper(path)?, &place)?;
    refuse_collisions(&lock.artifacts, &place)?;
    Ok(lock)
}
