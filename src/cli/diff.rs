//! `airlift diff`

use super::basing::is_json;
use super::connect::Connecting;
use super::environment::Environment;
use super::error::{CliError, DONE, PARTLY};
use super::human;
use super::judging::medium;
use super::output::{Form, Output};
use crate::bundle::Input;
use crate::document::lock::{self, Lock};
use crate::document::receipt::{self, Receipt};
use crate::document::{Envelope, PaperError};
use crate::flow::{Authors, Context, Difference, Holding, Medium, Prefix, compare, open_bundle, read_paper};
use crate::model::json;
use std::path::{Path, PathBuf};

/// Show what differs between two locks, bundles, receipts or places: added, removed, changed, and the bytes that it costs
///
/// A bundle is not verified here; `airlift verify` does. A place (`oci://HOST/PREFIX`) is asked for what the other side, a
/// lock or a bundle, would put there; what else stands there is not looked for.
#[derive(clap::Args)]
pub struct Arguments {
    /// What was: a lock, a receipt, a bundle (a volume or the folder of its volumes), or oci://HOST[/PREFIX]
    #[arg(value_name = "OLD")]
    old: String,
    /// What is
    #[arg(value_name = "NEW")]
    new: String,
    /// Form of the result
    #[arg(short, long, value_name = "FORM", default_value = "table")]
    output: Form,
    /// End with 10 where they differ
    #[arg(long)]
    exit_code: bool,
    #[command(flatten)]
    connecting: Connecting,
}

/// Compares.
pub fn run(arguments: Arguments, environment: &Environment, output: &Output) -> Result<u8, CliError> {
    let prefix = |text: &str| text.strip_prefix("oci://").map(Prefix::parse).transpose();
    let (old, new) = match (prefix(&arguments.old)?, prefix(&arguments.new)?) {
        (None, None) => (holding(&arguments.old)?, holding(&arguments.new)?),
        (Some(place), None) => {
            let new = holding(&arguments.new)?;
            (standing(&new, &place, &arguments.connecting, environment, output)?, new)
        }
        (None, Some(place)) => {
            let old = holding(&arguments.old)?;
            let new = standing(&old, &place, &arguments.connecting, environment, output)?;
            (old, new)
        }
        (Some(_), Some(_)) => {
            return Err(CliError::usage("two places cannot be compared: neither says what to look for")
                .with_hint("compare each with the lock that was imported"));
        }
    };
    let difference = compare(&old, &new);
    match arguments.output {
        Form::Json => output.json(&difference),
        Form::Table => show(&difference, output),
    }
    match arguments.exit_code && !difference.is_none() {
        true => Err(CliError { code: PARTLY, ..CliError::usage("they differ") }),
        false => Ok(DONE),
    }
}

fn standing(
    other: &Holding,
    place: &Prefix,
    connecting: &Connecting,
    environment: &Environment,
    output: &Output,
) -> Result<Holding, CliError> {
    let remote = connecting.remote(environment)?;
    let progress = output.progress();
    let context = Context { events: &progress, threads: connecting.concurrency(), stop: &environment.stop };
    Ok(Holding::of_place(other, place, &remote, &context)?)
}

/// Reads what a path names: a paper where it begins as JSON does, else a bundle.
fn holding(name: &str) -> Result<Holding, CliError> {
    let path = Path::new(name);
    if !is_json(path) {
        let input = match medium(&[PathBuf::from(name)])? {
            Medium::Files(files) => Input::Files(files),
            Medium::Stream(stream) => Input::Stream(stream),
        };
        return Ok(Holding::of_bundle(&open_bundle(input, &Authors::anyone())?));
    }
    let bytes = read_paper(path)?;
    let kind = json::parse::<Envelope>(&bytes).map(|envelope| envelope.kind).unwrap_or_default();
    match kind.as_str() {
        receipt::KIND => Ok(Holding::of_receipt(&Receipt::read(&bytes, name)?)),
        lock::KIND => Ok(Holding::of_lock(&Lock::read(&bytes, name)?)),
        _ => Err(PaperError::Kind { place: name.to_owned(), found: kind, expected: "Lock or Receipt" }.into()),
    }
}

fn show(difference: &Difference, output: &Output) {
    let size = |bytes: Option<u64>| bytes.map(human::bytes).unwrap_or_default();
    let mut rows = Vec::new();
    for one in &difference.added {
        rows.push(vec!["added".to_owned(), one.source.clone(), one.digest.short(), size(one.bytes)]);
    }
    for one in &difference.changed {
        let digests = format!("{} → {}", one.old.short(), one.new.short());
        rows.push(vec!["changed".to_owned(), one.source.clone(), digests, size(one.bytes)]);
    }
    for one in &difference.removed {
        rows.push(vec!["removed".to_owned(), one.source.clone(), one.digest.short(), size(one.bytes)]);
    }
    if !rows.is_empty() {
        output.result(human::table(&rows).trim_end());
    }
    let new =
        difference.new_bytes.map(|bytes| format!("; {} of blobs are new", human::bytes(bytes))).unwrap_or_default();
    output.result(format!(
        "{} added, {} changed, {} removed, {} unchanged{new}",
        difference.added.len(),
        difference.changed.len(),
        difference.removed.len(),
        difference.unchanged
    ));
}
