//! `airlift trust pin`

use super::super::clock;
use super::super::error::{CliError, DONE};
use super::super::output::Output;
use super::{name_of, read_root, show};
use crate::document::root_record::RootOrigin;
use crate::document::yaml;
use crate::flow::{FlowError, read_recorded};
use crate::trust::RootView;
use serde::Serialize;
use std::collections::BTreeMap;
use std::path::PathBuf;

/// Print the lines of a policy that pin a trusted root to the byte
#[derive(clap::Args)]
pub struct Arguments {
    /// Trusted root; the policy looks for it beside itself
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// Name by which rules call it [default: the file's]
    #[arg(long, value_name = "NAME")]
    name: Option<String>,
}

/// Pins.
pub fn run(arguments: Arguments, output: &Output) -> Result<u8, CliError> {
    let root = read_root(&arguments.file)?;
    read_recorded(&arguments.file)?;
    RootView::read(&root, clock::seconds()).map_err(FlowError::from)?;
    let file = arguments.file.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    // A root that came from its instance is at least as young as the day on which it was fetched.
    let fetched = show::record(&arguments.file)?.filter(|record| record.origin != RootOrigin::File);
    let source = Source {
        file,
        sha256: root.digest().hex(),
        fetched: fetched.and_then(|record| record.accepted.get(..10).map(str::to_owned)),
    };
    let name = arguments.name.unwrap_or_else(|| name_of(&arguments.file));
    let fragment = BTreeMap::from([("trustRoots", BTreeMap::from([(name, source)]))]);
    output.result(yaml::write(&fragment).trim_end());
    Ok(DONE)
}

/// A root as a policy names it.
#[derive(Serialize)]
struct Source {
    file: String,
    sha256: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    fetched: Option<String>,
}
