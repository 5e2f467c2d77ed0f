//! `airlift trust`: roots of trust, and a client for the Sigstore conformance suite.

mod conformance;

use super::environment::Environment;
use super::error::CliError;
use super::output::Output;
use clap::Subcommand;

/// Look after trusted roots: whose logs, authorities and keys count, and when they did
#[derive(clap::Args)]
pub struct Arguments {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Subcommand)]
enum Verb {
    Conformance(conformance::Arguments),
}

/// Runs one verb.
pub fn run(arguments: Arguments, environment: &Environment, output: &Output) -> Result<u8, CliError> {
    let _ = environment;
    match arguments.verb {
        Verb::Conformance(arguments) => conformance::run(arguments, output),
    }
}
