//! Arguments that take less of a mirror file's Blueprints and releases, for every command that reads one.

use super::error::CliError;
use crate::discover::Narrowing;

/// What is taken of a mirror file.
#[derive(clap::Args)]
pub struct Narrowed {
    /// Of all Blueprints and Flux releases that the mirror file wants for themselves (also as roots), take only those that fit,
    /// with what they need; a pattern such as `harbor` or `bp-h*`, repeatable. Its other sources stay as they are
    #[arg(long, value_name = "PATTERN")]
    include: Vec<String>,
    /// Leave out the Blueprints and Flux releases that fit; an error where something that is kept needs one. Repeatable
    #[arg(long, value_name = "PATTERN")]
    exclude: Vec<String>,
}

impl Narrowed {
    /// Returns what was asked for, where a mirror file is read.
    pub fn meant(&self, mirror: bool) -> Result<Narrowing, CliError> {
        let given = !self.include.is_empty() || !self.exclude.is_empty();
        if given && !mirror {
            return Err(CliError::usage("--include and --exclude take less of a mirror file, and none is named")
                .with_hint("name it with --file"));
        }
        Narrowing::new(&self.include, &self.exclude).map_err(|error| CliError::usage(error.to_string()))
    }
}
