//! `airlift policy`: explains, tests, lints and imports policies. One file for each of its commands.

mod check;
mod import;
mod lint;
mod show;
mod table;

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
    Test(table::Arguments),
    Lint(lint::Arguments),
    Import(import::Arguments),
}

/// Runs one of the commands.
pub fn run(arguments: Arguments, environment: &Environment, output: &Output) -> Result<u8, CliError> {
    match arguments.command {
        Command::Check(arguments) => check::run(*arguments, environment, output),
        Command::Test(arguments) => table::run(&arguments, environment, output),
        Command::Lint(arguments) => lint::run(&arguments, output),
        Command::Import(arguments) => import::run(&arguments, output),
    }
}
