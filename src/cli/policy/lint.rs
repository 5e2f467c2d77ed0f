//! `airlift policy lint`

use crate::cli::clock;
use crate::cli::error::{CliError, DONE};
use crate::cli::human;
use crate::cli::judging::{make_judge, read_policy};
use crate::cli::output::{Form, Output};
use crate::document::lock::Lock;
use crate::flow::{lint_policy, read_paper};
use crate::model::Finding;
use crate::model::evidence::{FindingClass, Severity};
use std::path::PathBuf;

/// Look for what a policy probably does not mean
///
/// Rules that never decide, thresholds that cannot be met, exemptions that end, expressions that match too much, names that nothing
/// uses; with a lock also patterns that match nothing in it. Exits with 2 where something can never work.
#[derive(clap::Args)]
pub struct Arguments {
    /// Policy file
    #[arg(value_name = "POLICY.YAML", default_value = "policy.yaml")]
    policy: PathBuf,
    /// Lock that the patterns are compared with
    #[arg(long, value_name = "AIRLIFT.LOCK")]
    lock: Option<PathBuf>,
    /// Do not read the keys and roots that the policy names
    #[arg(long)]
    no_files: bool,
    /// Form of the result
    #[arg(short, long, value_name = "FORM", default_value = "table")]
    output: Form,
}

/// Lints.
pub fn run(arguments: &Arguments, output: &Output) -> Result<u8, CliError> {
    let policy = read_policy(&arguments.policy)?;
    let read = |path: &PathBuf| Ok::<Lock, CliError>(Lock::read(&read_paper(path)?, &path.display().to_string())?);
    let lock = arguments.lock.as_ref().map(read).transpose()?;
    let mut findings = lint_policy(&policy, lock.as_ref(), clock::seconds());
    if !arguments.no_files
        && let Err(error) = make_judge(&policy, arguments.policy.parent())
    {
        findings.insert(0, Finding::error(FindingClass::Config, &policy.place, error.message));
    }
    match arguments.output {
        Form::Json => output.json(&findings),
        Form::Table => show(&findings, output),
    }
    let errors = findings.iter().filter(|finding| finding.severity == Severity::Error).count() as u64;
    if errors == 0 {
        return Ok(DONE);
    }
    Err(CliError::usage(format!("{} in it that can never work", human::count(errors, "thing"))))
}

fn show(findings: &[Finding], output: &Output) {
    for finding in findings {
        let word = match finding.severity {
            Severity::Note => "note",
            Severity::Warning => "warning",
            Severity::Error => "ERROR",
        };
        output.result(format!("{word:<8} {}: {}", finding.place, finding.what));
        if !finding.hint.is_empty() {
            output.result(format!("         {}", finding.hint));
        }
    }
    let of = |severity| findings.iter().filter(|finding| finding.severity == severity).count() as u64;
    let errors = human::count(of(Severity::Error), "error");
    output.result(format!(
        "{errors}, {}, {}",
        human::count(of(Severity::Warning), "warning"),
        human::count(of(Severity::Note), "note")
    ));
}
