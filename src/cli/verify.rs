//! `airlift verify`

use super::environment::Environment;
use super::error::{CliError, findings_code};
use super::human;
use super::judging::{Authoring, Judging, medium};
use super::output::{Form, Output};
use crate::flow::{Context, Verified, VerifyRequest, verify};
use std::path::PathBuf;

/// Check a bundle offline: every byte, its author's signature, and every artifact under a policy
///
/// Lists everything that is wrong, then exits with the number of the worst: 40 for damage, 30 for signatures.
#[derive(clap::Args)]
pub struct Arguments {
    /// Volumes, folders or globs of volumes; `-` for standard input
    #[arg(value_name = "BUNDLE", required = true)]
    bundle: Vec<PathBuf>,
    #[command(flatten)]
    judging: Judging,
    #[command(flatten)]
    authoring: Authoring,
    /// Form of the result
    #[arg(short, long, value_name = "FORM", default_value = "table")]
    output: Form,
    /// Processors used
    #[arg(short = 'j', long, value_name = "N")]
    concurrency: Option<usize>,
}

/// Verifies.
pub fn run(arguments: Arguments, environment: &Environment, output: &Output) -> Result<u8, CliError> {
    let judge = arguments.judging.judge_if_asked()?;
    let authors = arguments.authoring.authors()?;
    let progress = output.progress();
    let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let threads = arguments.concurrency.unwrap_or(cores);
    let context = Context { events: &progress, threads, stop: &environment.stop };
    let request = VerifyRequest { from: medium(&arguments.bundle)?, authors: &authors, judge: judge.as_ref() };
    let verified = verify(request, &context)?;
    match arguments.output {
        Form::Json => output.json(&verified),
        Form::Table => show(&verified, judge.is_some(), output),
    }
    Ok(findings_code(&verified.findings))
}

fn show(verified: &Verified, judged: bool, output: &Output) {
    output.findings(&verified.findings);
    if let Some(bundle) = &verified.bundle {
        output.result(format!("bundle {bundle}"));
    }
    if let Some(words) = &verified.authenticity {
        output.result(words);
    }
    let artifacts = human::count(verified.artifacts as u64, "artifact");
    let volumes = human::count(verified.volumes as u64, "volume");
    let bytes = human::bytes(verified.bytes);
    if verified.holds() {
        let policy = if judged {
            "; every artifact is accepted by the policy"
        } else {
            "; no policy was given, artifacts were not judged"
        };
        output.result(format!("good: {artifacts}, {bytes} in {volumes}{policy}"));
        if !verified.not_known.is_empty() {
            output.result(format!("not known without a network:\n  {}", verified.not_known.join("\n  ")));
        }
    } else {
        let wrong = human::count(verified.findings.len() as u64, "finding");
        output.result(format!("NOT good: {wrong}; {bytes} in {volumes} were read"));
    }
}
