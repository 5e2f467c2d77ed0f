//! What to do when a destination lacks what a delta leaves out: a request is written that goes back to where it was packed.

use super::error::CliError;
use crate::document::request::Request;
use crate::flow::{FlowError, Mode, publish};
use std::path::PathBuf;

/// Where a request is written.
#[derive(clap::Args)]
pub struct Lacking {
    /// Where to write what the destination lacks of what a delta leaves out, for `pack --request`
    /// [default: request-BUNDLE.json in the current folder, and none in a dry run]
    #[arg(long, value_name = "FILE")]
    request_file: Option<PathBuf>,
}

impl Lacking {
    /// Turns a failure into an error for people; writes the request where the destination lacks something.
    pub fn asked_for(&self, error: FlowError, mode: Mode) -> CliError {
        let FlowError::NotThere(request) = error else { return error.into() };
        let path = match (&self.request_file, mode.dry_run) {
            (Some(path), _) => Some(path.clone()),
            (None, true) => None,
            (None, false) => Some(PathBuf::from(format!("request-{}.json", &request.bundle.hex()[..12]))),
        };
        let hint = match path.map(|path| (publish(&path, &request.to_bytes()), path)) {
            None => "name a --request-file to have it written down what to ask for".to_owned(),
            Some((Ok(()), path)) => advice(&request, &path),
            Some((Err(error), path)) => {
                format!(
                    "the request could not be written ({error}): name another place than {} with --request-file",
                    path.display()
                )
            }
        };
        CliError::from(FlowError::NotThere(request)).with_hint(hint)
    }
}

fn advice(request: &Request, path: &std::path::Path) -> String {
    format!(
        "take {} to where bundle {} was packed, run `airlift pack --request` with it and the same lock, import what that \
         gives, then import this bundle again; or import the bundle that is missing between, where one is",
        path.display(),
        request.bundle.short()
    )
}
