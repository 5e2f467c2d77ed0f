//! `airlift keygen`

use super::environment::Environment;
use super::error::{CliError, DONE};
use super::output::Output;
use super::prompt;
use super::signing::given_password;
use crate::trust::{KeyError, SigningKey};
use secrecy::{ExposeSecret as _, SecretString};
use std::fs::OpenOptions;
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

/// Make a key pair that signs bundles, countersignatures, receipts and locks
///
/// Writes PREFIX.key (private, readable by you alone) and PREFIX.pub (public, for the far side). Where a password is
/// given, by a file, in AIRLIFT_KEY_PASSWORD or COSIGN_PASSWORD, or on the terminal with --encrypt, the private key is
/// encrypted in cosign's form, and cosign can use it too.
#[derive(clap::Args)]
pub struct Arguments {
    /// Path prefix of the two files; existing files are not replaced
    #[arg(short, long, visible_alias = "output-key-prefix", value_name = "PREFIX", default_value = "airlift")]
    output: PathBuf,
    /// File whose first line is the password
    #[arg(long, value_name = "FILE")]
    password_file: Option<PathBuf>,
    /// Ask for a password on the terminal where none is given
    #[arg(long)]
    encrypt: bool,
}

/// Generates.
pub fn run(arguments: Arguments, environment: &Environment, output: &Output) -> Result<u8, CliError> {
    let mut password = given_password(arguments.password_file.as_deref(), environment)?;
    if password.is_none() && arguments.encrypt {
        password = Some(ask_twice()?);
    }
    let (private, public) = write_pair(&arguments.output, password.as_ref())?;
    let form = if password.is_some() { "encrypted" } else { "not encrypted" };
    output.result(format!("private key {} ({form})\npublic key  {}", private.display(), public.display()));
    Ok(DONE)
}

fn ask_twice() -> Result<SecretString, CliError> {
    let ask = |question| {
        let asked = prompt::password(question).map_err(|error| CliError::file(Path::new("the terminal"), &error))?;
        asked.ok_or_else(|| {
            CliError::usage("no terminal is there to ask for a password on").with_hint("--password-file gives one")
        })
    };
    let (first, second) = (ask("password of the new key")?, ask("the same once more")?);
    if first.is_empty() || first != second {
        return Err(CliError::usage("the two passwords differ, or are empty; no key was made"));
    }
    Ok(first.into())
}

/// Makes a key pair under the path prefix `prefix`, and returns both paths.
pub fn write_pair(prefix: &Path, password: Option<&SecretString>) -> Result<(PathBuf, PathBuf), CliError> {
    let broken = |error: KeyError| CliError { code: super::error::INTERNAL, ..CliError::usage(error.to_string()) };
    let key = SigningKey::generate().map_err(broken)?;
    let named = |ending: &str| PathBuf::from(format!("{}.{ending}", prefix.display()));
    let (private, public) = (named("key"), named("pub"));
    if public.exists() {
        return Err(CliError::usage(format!("{} exists and is not replaced", public.display())));
    }
    let text: SecretString = match password {
        Some(password) => key.to_encrypted_pem(password.expose_secret().as_bytes()).map_err(broken)?.into(),
        None => key.to_pkcs8_pem().into(),
    };
    create(&private, text.expose_secret().as_bytes(), 0o600)?;
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
