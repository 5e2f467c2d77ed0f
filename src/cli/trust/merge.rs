//! `airlift trust merge`

use super::super::error::{CliError, DONE};
use super::super::output::Output;
use super::read_root;
use crate::flow::{FlowError, publish};
use crate::trust::merge_roots;
use std::path::PathBuf;

/// Write several trusted roots as one, where they do not contradict each other
///
/// A rule that names the merged root accepts any of the instances in it; name them apart in the policy where that is not meant.
#[derive(clap::Args)]
pub struct Arguments {
    /// Trusted roots, two at least
    #[arg(value_name = "FILE", required = true, num_args = 2..)]
    files: Vec<PathBuf>,
    /// File to write
    #[arg(short, long, value_name = "FILE")]
    output: PathBuf,
}

/// Merges.
pub fn run(arguments: Arguments, output: &Output) -> Result<u8, CliError> {
    let roots = arguments.files.iter().map(|file| read_root(file)).collect::<Result<Vec<_>, _>>()?;
    let merged = merge_roots(&roots).map_err(FlowError::from)?;
    publish(&arguments.output, &merged.bytes)?;
    output.result(format!("{}\n{}", arguments.output.display(), merged.digest()));
    Ok(DONE)
}
