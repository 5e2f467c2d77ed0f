//! `airlift trust fetch`

use super::super::clock;
use super::super::connect::Connecting;
use super::super::environment::Environment;
use super::super::error::{CliError, DONE};
use super::super::output::{Form, Output};
use super::super::signing::Signing;
use super::{Known, name_of, words};
use crate::flow::{FetchRequest, fetch_root, read_paper};
use crate::model::port::FileTree;
use crate::store::FolderFiles;
use crate::trust::TRUSTED_ROOT;
use std::path::PathBuf;
use std::sync::Arc;

/// Fetch a trusted root from a TUF mirror, verify it, and accept it
#[derive(clap::Args)]
pub struct Arguments {
    /// Mirror: an address, or a folder
    #[arg(long, value_name = "ADDRESS|FOLDER", required_unless_present = "instance")]
    mirror: Option<String>,
    /// Well-known instance; its mirror is asked where none is named
    #[arg(long, value_name = "NAME")]
    instance: Option<Known>,
    /// TUF root from which trust starts, from the instance's operator; any version from which the newest descends
    #[arg(long, value_name = "ROOT.JSON")]
    root: PathBuf,
    /// File that the trusted root becomes; its record stands beside it
    #[arg(long, value_name = "FILE", default_value = "trusted_root.json")]
    into: PathBuf,
    /// Name of the instance, as policies call it [default: that of --instance, or of the file]
    #[arg(long, value_name = "NAME")]
    name: Option<String>,
    /// Name of the file in the repository
    #[arg(long, value_name = "NAME", default_value = TRUSTED_ROOT)]
    target: String,
    /// What earlier runs verified: no mirror may show less [default: the file with .tuf behind it]
    #[arg(long, value_name = "FILE")]
    state: Option<PathBuf>,
    /// Take the root although keys are gone, or ended ones in force again
    #[arg(long)]
    allow_losses: bool,
    #[command(flatten)]
    signing: Signing,
    #[command(flatten)]
    connecting: Connecting,
    /// Form of the result
    #[arg(short, long, value_name = "FORM", default_value = "table")]
    output: Form,
}

/// Fetches.
pub fn run(arguments: Arguments, environment: &Environment, output: &Output) -> Result<u8, CliError> {
    let key = arguments.signing.only_key(environment)?;
    let named = || arguments.instance.map_or_else(|| name_of(&arguments.into), |i| i.instance().name().to_owned());
    let name = arguments.name.clone().unwrap_or_else(named);
    let beside = || PathBuf::from(format!("{}.tuf", arguments.into.display()));
    let now = clock::now();
    let request = FetchRequest {
        initial_root: read_paper(&arguments.root)?,
        state: &arguments.state.clone().unwrap_or_else(beside),
        target: &arguments.target,
        name: &name,
        into: &arguments.into,
        allow_losses: arguments.allow_losses,
        key: key.as_ref(),
        now: (clock::seconds(), &now),
    };
    let accepted = fetch_root(request, source(&arguments, environment)?)?;
    match arguments.output {
        Form::Json => output.json(&accepted),
        Form::Table => output.result(words::accepted(&accepted)),
    }
    Ok(DONE)
}

fn source(arguments: &Arguments, environment: &Environment) -> Result<Arc<dyn FileTree>, CliError> {
    let mirror = match (&arguments.mirror, arguments.instance) {
        (Some(mirror), _) => mirror.as_str(),
        (None, Some(known)) => known.instance().mirror(),
        (None, None) => return Err(CliError::usage("name a --mirror or an --instance")),
    };
    if !mirror.contains("://") {
        return Ok(Arc::new(FolderFiles::new(mirror)));
    }
    let remote = arguments.connecting.remote(environment)?;
    let files = remote.files(mirror).map_err(|fault| {
        let hint = fault.hint.clone();
        let error = CliError::usage(fault.to_string());
        if hint.is_empty() { error } else { error.with_hint(hint) }
    })?;
    Ok(Arc::new(files))
}
