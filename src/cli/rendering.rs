//! Arguments that say how charts are looked into, for every command that reads a mirror file.

use super::environment::Environment;
use super::error::CliError;
use crate::flow::{ChartReading, RendererChoice};

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
        let helm = environment.program("AIRLIFT_HELM", "helm");
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

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;
    use std::sync::Arc;
    use std::sync::atomic::AtomicBool;

    fn chosen(renderer: Who, variables: &[(&str, &str)]) -> Result<RendererChoice, CliError> {
        let pairs = variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        let stop = Arc::new(AtomicBool::new(false));
        let environment = Environment { variables: pairs.collect::<BTreeMap<_, _>>(), terminal: false, stop };
        let rendering = Rendering { renderer, leave_undecided: false };
        rendering.reading(&environment).map(|reading| reading.renderer)
    }

    #[test]
    fn helm_is_taken_where_it_is_there_unless_it_is_told_otherwise() {
        let folder = tempfile::tempdir().unwrap();
        let program = folder.path().join("helm");
        std::fs::write(&program, "").unwrap();
        let path = format!("/none::{}", folder.path().display());
        let here = [("PATH", path.as_str())];
        assert_eq!(chosen(Who::Auto, &here).unwrap(), RendererChoice::Helm(program));
        assert_eq!(chosen(Who::Own, &here).unwrap(), RendererChoice::Own);
        assert_eq!(chosen(Who::Auto, &[("PATH", "/none")]).unwrap(), RendererChoice::Own);
        let named = [("PATH", path.as_str()), ("AIRLIFT_HELM", "/opt/helm")];
        assert_eq!(chosen(Who::Helm, &named).unwrap(), RendererChoice::Helm("/opt/helm".into()));
        let error = chosen(Who::Helm, &[]).unwrap_err();
        assert!(error.hints[0].contains("AIRLIFT_HELM"), "{error:?}");
    }
}
