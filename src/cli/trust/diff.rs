//! `airlift trust diff`

use super::super::clock;
use super::super::error::{CliError, DONE};
use super::super::output::{Form, Output};
use super::{read_root, words};
use crate::flow::FlowError;
use crate::trust::RootChange;
use std::path::PathBuf;

/// Show what a trusted root has added, ended and lost against another
#[derive(clap::Args)]
pub struct Arguments {
    /// Trusted root that is in use
    #[arg(value_name = "OLD")]
    old: PathBuf,
    /// Trusted root that is to follow it
    #[arg(value_name = "NEW")]
    new: PathBuf,
    /// Form of the result
    #[arg(short, long, value_name = "FORM", default_value = "table")]
    output: Form,
}

/// Compares.
pub fn run(arguments: Arguments, output: &Output) -> Result<u8, CliError> {
    let (old, new) = (read_root(&arguments.old)?, read_root(&arguments.new)?);
    let change = RootChange::between(&old, &new, clock::seconds()).map_err(FlowError::from)?;
    match arguments.output {
        Form::Json => output.json(&change),
        Form::Table => output.result(words::change(&change)),
    }
    if change.has_losses() {
        output.note(
            "the new root lost something: an honest one keeps every key and only ends some; is it older, or of another instance?",
        );
    }
    Ok(DONE)
}
