//! `airlift trust`: roots of trust, and a client for the Sigstore conformance suite.

mod accept;
mod conformance;
mod diff;
mod export;
mod fetch;
mod merge;
mod pin;
mod show;
mod words;

use super::environment::Environment;
use super::error::CliError;
use super::output::Output;
use crate::flow::read_paper;
use crate::trust::{Instance, RootText};
use clap::Subcommand;
use std::path::Path;

/// Look after trusted roots: whose logs, authorities and keys count, and when they did
#[derive(clap::Args)]
pub struct Arguments {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Subcommand)]
enum Verb {
    Fetch(fetch::Arguments),
    Show(show::Arguments),
    Diff(diff::Arguments),
    Accept(accept::Arguments),
    Pin(pin::Arguments),
    Merge(merge::Arguments),
    Export(export::Arguments),
    Conformance(conformance::Arguments),
}

/// Instances whose root is inside this program, as they are named on the command line.
#[derive(Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Known {
    /// Sigstore's public instance.
    PublicGood,
    /// Its rehearsal stage.
    Staging,
    /// GitHub's instance for private repositories.
    Github,
}

impl Known {
    const fn instance(self) -> Instance {
        match self {
            Self::PublicGood => Instance::PublicGood,
            Self::Staging => Instance::Staging,
            Self::Github => Instance::Github,
        }
    }
}

/// Runs one verb.
pub fn run(arguments: Arguments, environment: &Environment, output: &Output) -> Result<u8, CliError> {
    match arguments.verb {
        Verb::Fetch(arguments) => fetch::run(arguments, environment, output),
        Verb::Show(arguments) => show::run(arguments, output),
        Verb::Diff(arguments) => diff::run(arguments, output),
        Verb::Accept(arguments) => accept::run(arguments, environment, output),
        Verb::Pin(arguments) => pin::run(arguments, output),
        Verb::Merge(arguments) => merge::run(arguments, output),
        Verb::Export(arguments) => export::run(arguments, output),
        Verb::Conformance(arguments) => conformance::run(arguments, output),
    }
}

/// Reads the root at `path`; it is called by that path.
fn read_root(path: &Path) -> Result<RootText, CliError> {
    Ok(RootText { name: path.display().to_string(), bytes: read_paper(path)? })
}

/// Returns the name that a root gets where none was given: the file's, without its ending.
fn name_of(path: &Path) -> String {
    path.file_stem().map(|stem| stem.to_string_lossy().into_owned()).unwrap_or_default()
}
