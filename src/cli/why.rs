//! `airlift why`

use super::error::{CliError, DONE, SOURCE};
use super::output::Output;
use crate::document::lock::{Lock, LockedArtifact};
use crate::flow::read_paper;
use crate::model::ImageRef;
use std::path::PathBuf;

/// Say why an artifact is in a lock
#[derive(clap::Args)]
pub struct Arguments {
    /// Reference, or a part of one
    #[arg(value_name = "REF")]
    reference: String,
    /// Lock that is asked
    #[arg(long, value_name = "AIRLIFT.LOCK", default_value = "airlift.lock")]
    lock: PathBuf,
}

/// Explains.
pub fn run(arguments: Arguments, output: &Output) -> Result<u8, CliError> {
    let place = arguments.lock.display().to_string();
    let lock = Lock::read(&read_paper(&arguments.lock)?, &place)?;
    let normal = arguments.reference.parse::<ImageRef>().ok();
    let exact: Vec<&LockedArtifact> = lock.artifacts.iter().filter(|a| Some(&a.source) == normal.as_ref()).collect();
    let within = |a: &&LockedArtifact| {
        a.source.to_string().contains(&arguments.reference) || a.digest.to_string().contains(&arguments.reference)
    };
    let found = if exact.is_empty() { lock.artifacts.iter().filter(within).collect() } else { exact };
    if found.is_empty() {
        let message = format!("{} is not in {place}", arguments.reference);
        return Err(CliError { code: SOURCE, ..CliError::usage(message) });
    }
    for artifact in found {
        explain(artifact, output);
    }
    Ok(DONE)
}

fn explain(artifact: &LockedArtifact, output: &Output) {
    output.result(format!("{}\n  {}", artifact.source, artifact.digest));
    for path in &artifact.why {
        for (depth, step) in path.iter().enumerate() {
            let lead = if depth == 0 { "  because of ".to_owned() } else { format!("  {}└ ", "  ".repeat(depth)) };
            output.result(format!("{lead}{step}"));
        }
    }
    for note in &artifact.notes {
        output.result(format!("  note: {note}"));
    }
}
