//! `airlift trust accept`

use super::super::clock;
use super::super::environment::Environment;
use super::super::error::{CliError, DONE};
use super::super::judging::text;
use super::super::output::{Form, Output};
use super::super::signing::Signing;
use super::{name_of, read_root, words};
use crate::document::root_record::RootOrigin;
use crate::flow::{AcceptRequest, CarriedRecord, accept_root};
use crate::trust::PublicKey;
use std::path::PathBuf;

/// Put a trusted root in the place of the one in use, under the next number; older ones never come back
#[derive(clap::Args)]
pub struct Arguments {
    /// Trusted root that was looked at
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// File that it becomes: what the policy names
    #[arg(long, value_name = "FILE")]
    into: PathBuf,
    /// Name of the instance [default: that of the file that it becomes]
    #[arg(long, value_name = "NAME")]
    name: Option<String>,
    /// Record that came with it; its number has to be higher than the accepted one's
    #[arg(long, value_name = "FILE")]
    record: Option<PathBuf>,
    /// Public key (PEM) that must have signed that record; repeatable, any of them is enough
    #[arg(long, value_name = "PUB", requires = "record")]
    signed_by: Vec<PathBuf>,
    /// Take it although keys are gone, or ended ones in force again
    #[arg(long)]
    allow_losses: bool,
    #[command(flatten)]
    signing: Signing,
    /// Form of the result
    #[arg(short, long, value_name = "FORM", default_value = "table")]
    output: Form,
}

/// Accepts.
pub fn run(arguments: Arguments, environment: &Environment, output: &Output) -> Result<u8, CliError> {
    let read = |path: &PathBuf| {
        PublicKey::from_pem(text(path)?.as_bytes())
            .map_err(|error| CliError::usage(format!("{}: {error}", path.display())))
    };
    let signers = arguments.signed_by.iter().map(read).collect::<Result<Vec<_>, _>>()?;
    let key = arguments.signing.only_key(environment)?;
    let now = clock::now();
    let accepted = accept_root(&AcceptRequest {
        name: &arguments.name.unwrap_or_else(|| name_of(&arguments.into)),
        root: &read_root(&arguments.file)?,
        origin: RootOrigin::File,
        into: &arguments.into,
        carried: arguments.record.as_deref().map(|file| CarriedRecord { file, signers: &signers }),
        allow_losses: arguments.allow_losses,
        key: key.as_ref(),
        now: (clock::seconds(), &now),
    })?;
    match arguments.output {
        Form::Json => output.json(&accepted),
        Form::Table => output.result(words::accepted(&accepted)),
    }
    Ok(DONE)
}
