//! Arguments that name private keys, and where their passwords come from: a file, the environment, the terminal.

use super::environment::Environment;
use super::error::CliError;
use super::judging::text;
use super::prompt;
use crate::trust::keyfile::KeyFileError;
use crate::trust::{KeyError, SigningKey};
use secrecy::{ExposeSecret as _, SecretString};
use std::path::{Path, PathBuf};

/// Private keys that sign what is written.
#[derive(clap::Args)]
pub struct Signing {
    /// Private key (PEM) that signs: of `airlift keygen` or of cosign; repeatable, each person once. The password of an
    /// encrypted one is read from --sign-key-password-file, AIRLIFT_KEY_PASSWORD, COSIGN_PASSWORD or the terminal
    #[arg(long = "sign-key", value_name = "KEY")]
    sign_keys: Vec<PathBuf>,
    /// File whose first line is the password of an encrypted --sign-key
    #[arg(long, value_name = "FILE", requires = "sign_keys")]
    sign_key_password_file: Option<PathBuf>,
}

impl Signing {
    /// Returns the key of what one person signs, where one was named.
    pub fn only_key(&self, environment: &Environment) -> Result<Option<SigningKey>, CliError> {
        let mut keys = self.keys(environment)?;
        match keys.len() {
            0 | 1 => Ok(keys.pop()),
            _ => Err(CliError::usage("one person signs this: name one --sign-key")),
        }
    }

    /// Returns the keys, open; none where none was named.
    pub fn keys(&self, environment: &Environment) -> Result<Vec<SigningKey>, CliError> {
        let password = given_password(self.sign_key_password_file.as_deref(), environment)?;
        self.sign_keys.iter().map(|path| signing_key(path, password.as_ref())).collect()
    }
}

/// Returns the password that a file or the environment gives.
pub fn given_password(file: Option<&Path>, environment: &Environment) -> Result<Option<SecretString>, CliError> {
    if let Some(file) = file {
        let text = text(file)?;
        let line = text.lines().next().unwrap_or_default();
        if line.is_empty() {
            return Err(CliError::usage(format!("{} holds no password in its first line", file.display())));
        }
        return Ok(Some(line.to_owned().into()));
    }
    let variable = environment.get("AIRLIFT_KEY_PASSWORD").or_else(|| environment.get("COSIGN_PASSWORD"));
    Ok(variable.map(|password| password.to_owned().into()))
}

/// Reads a private key; its password is asked for on the terminal where it needs one and none is given.
pub fn signing_key(path: &Path, password: Option<&SecretString>) -> Result<SigningKey, CliError> {
    let fail = |error: KeyError| CliError::usage(format!("{}: {error}", path.display()));
    let text: SecretString = text(path)?.into();
    let read = |password: Option<&SecretString>| {
        SigningKey::from_pem(text.expose_secret().as_bytes(), password.map(|p| p.expose_secret().as_bytes()))
    };
    match read(password) {
        Err(KeyError::File(KeyFileError::NoPassword)) => {
            let question = format!("password of {}", path.display());
            let asked =
                prompt::password(&question).map_err(|error| CliError::file(Path::new("the terminal"), &error))?;
            let asked = asked.map(SecretString::from);
            read(asked.as_ref()).map_err(|error| {
                fail(error)
                    .with_hint("give it with --sign-key-password-file, in AIRLIFT_KEY_PASSWORD, or on a terminal")
            })
        }
        other => other.map_err(fail),
    }
}
