//! `airlift lock destinations`

use crate::cli::error::{CliError, DONE};
use crate::cli::human;
use crate::cli::output::{Form, Output};
use crate::document::lock::Lock;
use crate::document::places::{Place, places, refused_by_harbor};
use crate::flow::Prefix;
use crate::model::{Digest, ImageRef};
use std::path::PathBuf;

/// Show where every artifact of a lock goes: project, repository and tag
#[derive(clap::Args)]
pub struct Arguments {
    /// Lock that is looked at
    #[arg(long, value_name = "AIRLIFT.LOCK", default_value = "airlift.lock")]
    lock: PathBuf,
    /// Destination, as an import would name it
    #[arg(long, value_name = "HOST[/PREFIX]")]
    to: Option<String>,
    /// Form of the result
    #[arg(short, long, value_name = "FORM", default_value = "table")]
    output: Form,
}

/// Shows.
pub fn run(arguments: Arguments, output: &Output) -> Result<u8, CliError> {
    let lock = super::read(&arguments.lock)?;
    let prefix = arguments.to.as_deref().map(Prefix::parse).transpose()?;
    show(&lock, prefix.as_ref().map_or("", Prefix::path), arguments.output, output);
    Ok(DONE)
}

/// Prints the places of a lock that is not written, with the digests that pins moved away from.
pub fn show_moved(lock: &Lock, moved: &[(ImageRef, Digest, Digest)], form: Form, output: &Output) {
    let mut places = places(lock, "");
    for (artifact, place) in lock.artifacts.iter().zip(&mut places) {
        let old = moved.iter().find(|(source, ..)| *source == artifact.source);
        place.was = old.map(|(_, old, _)| old.clone());
    }
    print(places, form, output);
}

/// Prints the places below `prefix`, and what Harbor would say of them.
fn show(lock: &Lock, prefix: &str, form: Form, output: &Output) {
    print(places(lock, prefix), form, output);
}

fn print(places: Vec<Place>, form: Form, output: &Output) {
    output.findings(&refused_by_harbor(&places));
    match form {
        Form::Json => output.json(&places),
        Form::Table => {
            let mut rows = vec![["SOURCE", "PROJECT", "REPOSITORY", "TAG"].map(str::to_owned).to_vec()];
            rows.extend(places.into_iter().map(row));
            output.result(human::table(&rows).trim_end());
        }
    }
}

fn row(place: Place) -> Vec<String> {
    let or = |text: String, instead: &str| if text.is_empty() { instead.to_owned() } else { text };
    vec![place.source, place.project, or(place.repository, "-"), place.tag.unwrap_or_else(|| place.digest.short())]
}
