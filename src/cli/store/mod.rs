//! `airlift store`: looks after what is kept between runs.

mod check;
mod gc;
mod show;

use super::environment::Environment;
use super::error::CliError;
use super::output::Output;
use clap::Subcommand;

/// Look after a store: what it holds, whether it is intact, what can go
///
/// A store keeps content between runs of `pack`, `sync` and `resolve` (--store, or the variable AIRLIFT_STORE). It is a help
/// and never needed: whatever it lacks is fetched.
#[derive(clap::Args)]
pub struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    Show(show::Arguments),
    Check(check::Arguments),
    Gc(gc::Arguments),
}

/// Runs one of them.
pub fn run(arguments: Arguments, environment: &Environment, output: &Output) -> Result<u8, CliError> {
    match arguments.command {
        Command::Show(arguments) => show::run(arguments, output),
        Command::Check(arguments) => check::run(arguments, environment, output),
        Command::Gc(arguments) => gc::run(arguments, output),
    }
}
