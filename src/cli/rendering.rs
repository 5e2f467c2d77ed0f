//! Arguments that say how charts are looked into, for every command that reads a mirror file.

use super::environment::Environment;
use super::error::CliError;
use crate::flow::{ChartReading, RendererChoice};
use std::path::{Path, PathBuf};

/// How charts are rendered.
#[derive(clap::Args)]
pub struct Rendering {
    /// Who renders charts: the `helm` program (AIRLIFT_HELM, else the one in PATH), this program itself, or helm where it is there
    #[arg(long, value_name = "RENDERER", default_value = "auto")]
    renderer: Who,
    /// Leave out what may be an image and waits for a decision, with a warning, instead of failing
    #[arg(long)]
    leave_undecided: bool,
}

#[derive(Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Who {
    /// Helm where it is there, else this program.
    Auto,
    /// The `helm` program.
    Helm,
    /// This program.
    Own,
}

impl Rendering {
    /// Returns what was asked for.
    pub fn reading(&self, environment: &Environment) -> Result<ChartReading, CliError> {
        let helm = helm(environment);
        let renderer = match (self.renderer, helm) {
            (Who::Own, _) | (Who::Auto, None) => RendererChoice::Own,
            (Who::Helm | Who::Auto, Some(path)) => RendererChoice::Helm(path),
            (Who::Helm, None) => {
                return Err(CliError::usage("there is no helm program in PATH")
                    .with_hint("name it with AIRLIFT_HELM, or use --renderer own"));
            }
        };
        Ok(ChartReading { renderer, leave_undecided: self.leave_undecided })
    }
}

/// Returns the program that is named, or the first of that name in the search path.
fn helm(environment: &Environment) -> Option<PathBuf> {
    if let Some(named) = environment.get("AIRLIFT_HELM") {
        return Some(PathBuf::from(named));
    }
    let folders = environment.get("PATH")?.split(':').filter(|folder| !folder.is_empty());
    folders.map(|folder| Path::new(folder).join("helm")).find(|path| path.is_file())
}
