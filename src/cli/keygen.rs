//! `airlift keygen`

use super::environment::Environment;
use super::error::{CliError, DONE};
use super::output::Output;
use crate::trust::SigningKey;
use std::fs::OpenOptions;
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

/// Make a key pair that signs bundles
///
/// Writes PREFIX.key (private, readable by you alone) and PREFIX.pub (public, for the far side).
#[derive(clap::Args)]
pub struct Arguments {
    /// Path prefix of the two files; existing files are not replaced
    #[arg(short, long, visible_alias = "output-key-prefix", value_name = "PREFIX", default_value = "airlift")]
    output: PathBuf,
}

/// Generates.
pub fn run(arguments: Arguments, _: &Environment, output: &Output) -> Result<u8, CliError> {
    let (private, public) = write_pair(&arguments.output)?;
    output.result(format!("private key {}\npublic key  {}", private.display(), public.display()));
    Ok(DONE)
}

/// Makes a key pair under the path prefix `prefix`, and returns both paths.
pub fn write_pair(prefix: &Path) -> Result<(PathBuf, PathBuf), CliError> {
    let key = SigningKey::generate()
        .map_err(|error| CliError { code: super::error::INTERNAL, ..CliError::usage(error.to_string()) })?;
    let named = |ending: &str| PathBuf::from(format!("{}.{ending}", prefix.display()));
    let (private, public) = (named("key"), named("pub"));
    if public.exists() {
        return Err(CliError::usage(format!("{} exists and is not replaced", public.display())));
    }
    create(&private, key.to_pkcs8_pem().as_bytes(), 0o600)?;
    create(&public, key.public().to_pem().as_bytes(), 0o644)?;
    Ok((private, public))
}

fn create(path: &Path, bytes: &[u8], mode: u32) -> Result<(), CliError> {
    let made = || {
        let mut file = OpenOptions::new().write(true).create_new(true).mode(mode).open(path)?;
        file.write_all(bytes)?;
        file.sync_all()
    };
    made().map_err(|error| CliError::file(path, &error))
}
