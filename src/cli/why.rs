//! `airlift why`

use super::error::{CliError, DONE};
use super::output::Output;
use crate::document::lock::{Lock, LockedArtifact};
use crate::document::yaml::nearest;
use crate::flow::read_paper;
use crate::model::ImageRef;
use std::path::PathBuf;

/// Names that a hint lists.
const NAMED: usize = 4;

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
        return Err(unknown(&arguments.reference, &lock, &place));
    }
    for artifact in found {
        explain(artifact, output);
    }
    Ok(DONE)
}

/// Says that nothing is called so, and what may be meant.
fn unknown(reference: &str, lock: &Lock, place: &str) -> CliError {
    let message = CliError::usage(format!("{reference} is not in {place}"));
    let names: Vec<String> = lock.artifacts.iter().map(|artifact| artifact.source.to_string()).collect();
    let near = near(reference, &names);
    match near.is_empty() {
        true => message.with_hint("`airlift lock destinations` lists what is in it"),
        false => message.with_hint(format!("did you mean {}?", near.join(" or "))),
    }
}

/// Returns the names that are nearest to what was typed: as a whole, or in the last part of their path.
fn near<'n>(typed: &str, names: &'n [String]) -> Vec<&'n str> {
    let normal = typed.parse::<ImageRef>().map_or_else(|_| typed.to_owned(), |image| image.to_string());
    let whole: Vec<&str> = names.iter().map(String::as_str).collect();
    let lasts: Vec<&str> = whole.iter().map(|name| last(name)).collect();
    let (by_whole, by_last) = (nearest(&normal, &whole), nearest(last(typed), &lasts));
    let fits = |name: &&str| by_whole == Some(*name) || by_last == Some(last(name));
    whole.iter().copied().filter(fits).take(NAMED).collect()
}

/// Returns the last part of a reference's path.
fn last(text: &str) -> &str {
    text.rsplit('/').next().unwrap_or(text).split([':', '@']).next().unwrap_or(text)
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
