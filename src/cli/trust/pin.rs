//! `airlift trust pin`

use super::super::clock;
use super::super::error::{CliError, DONE};
use super::super::output::Output;
use super::{name_of, read_root};
use crate::document::policy::TrustRootSource;
use crate::document::yaml;
use crate::flow::{FlowError, read_recorded};
use crate::trust::RootView;
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
    let source = TrustRootSource::File { file, sha256: Some(root.digest()) };
    let name = arguments.name.unwrap_or_else(|| name_of(&arguments.file));
    let fragment = BTreeMap::from([("trustRoots", BTreeMap::from([(name, source)]))]);
    output.result(yaml::write(&fragment).trim_end());
    Ok(DONE)
}
