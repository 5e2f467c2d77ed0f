//! `airlift parity`

use super::environment::Environment;
use super::error::{CliError, DONE};
use super::output::Output;
use crate::bundle::{ParityAmount, find_volumes};
use crate::flow::{Context, FlowError, add_parity, make_parity};
use std::path::PathBuf;

/// Add parity volumes to a finished bundle
///
/// The bundle is checked first, unless --unchecked is given. `airlift pack --parity` does the same as its last step.
#[derive(clap::Args)]
pub struct Arguments {
    /// Volumes, folders or globs of volumes
    #[arg(value_name = "BUNDLE", required = true)]
    bundle: Vec<PathBuf>,
    /// How much: a number of parity volumes, or a share of the bundle such as 5%
    #[arg(long, value_name = "N|SHARE")]
    parity: ParityAmount,
    /// Take the volumes as they are, just after a verification: parity keeps what it finds
    #[arg(long)]
    unchecked: bool,
    /// Folder of the parity volumes [default: that of the volumes]
    #[arg(short, long, value_name = "FOLDER")]
    output: Option<PathBuf>,
    /// Processors used
    #[arg(short = 'j', long, value_name = "N")]
    concurrency: Option<usize>,
}

/// Adds parity.
pub fn run(arguments: Arguments, environment: &Environment, output: &Output) -> Result<u8, CliError> {
    let files = find_volumes(&arguments.bundle).map_err(FlowError::from)?;
    let progress = output.progress();
    let threads = arguments.concurrency.unwrap_or_else(super::cores);
    let context = Context { events: &progress, threads, stop: &environment.stop };
    let make = if arguments.unchecked { make_parity } else { add_parity };
    let made = make(&files, (arguments.parity, arguments.output.as_deref()), &context)?;
    made.iter().for_each(|path| output.result(path.display()));
    Ok(DONE)
}
