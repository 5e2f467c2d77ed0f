//! `airlift policy`: explains, tests, lints and imports policies. One file for each of its commands.

mod check;
mod show;

use super::environment::Environment;
use super::error::CliError;
use super::output::Output;
use clap::Subcommand;

/// Explain, test, lint and import policies
#[derive(clap::Args)]
pub struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    Check(Box<check::Arguments>),
}

/// Runs one of the commands.
pub fn run(arguments: Arguments, environment: &Environment, output: &Output) -> Result<u8, CliError> {
    match arguments.command {
        Command::Check(arguments) => check::run(*arguments, environment, output),
    }
}
