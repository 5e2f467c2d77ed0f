//! `--trusted-root`: the root of whoever verifies, in the place of the one that a policy file names.

use super::error::CliError;
use crate::document::policy::{Policy, TrustRootSource};
use std::path::{Path, PathBuf};

/// Replaces roots of `policy` by what `[NAME=]FILE` says; without a name it is about the policy's only root.
pub fn replace_roots(policy: &mut Policy, given: &[String]) -> Result<(), CliError> {
    for text in given {
        let named = text.split_once('=').filter(|(name, _)| policy.trust_roots.contains_key(*name));
        let (name, file) = match named {
            Some((name, file)) => (name.to_owned(), file),
            None => (only(policy)?, text.as_str()),
        };
        let path = std::path::absolute(file).map_err(|error| CliError::file(Path::new(file), &error))?;
        let source = TrustRootSource::File { file: path.display().to_string(), sha256: None, fetched: None };
        policy.trust_roots.insert(name, source);
    }
    Ok(())
}

fn only(policy: &Policy) -> Result<String, CliError> {
    let names: Vec<&str> = policy.trust_roots.keys().map(String::as_str).collect();
    match names.as_slice() {
        [one] => Ok((*one).to_owned()),
        [] => Err(CliError::usage("the policy names no trusted root that --trusted-root could replace")),
        several => {
            let names = several.join(", ");
            Err(CliError::usage(format!("the policy names the trusted roots {names}: say which, as NAME=FILE")))
        }
    }
}

/// Returns the one root that flags may be given, without a name.
pub fn single_root(given: &[String]) -> Result<Option<PathBuf>, CliError> {
    match given {
        [] => Ok(None),
        [one] => Ok(Some(PathBuf::from(one))),
        _ => Err(CliError::usage("several --trusted-root are for a policy that names several")),
    }
}
