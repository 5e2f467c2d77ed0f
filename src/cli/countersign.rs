//! `airlift countersign`

use super::authoring::Authoring;
use super::clock;
use super::environment::Environment;
use super::error::{CliError, DONE, findings_code};
use super::human;
use super::judging::{Judging, medium};
use super::output::{Form, Output};
use super::reporting::Reporting;
use super::signing::Signing;
use crate::document::countersignature::CountersignatureStatement;
use crate::flow::{Context, CountersignRequest, countersign};
use serde::Serialize;
use std::path::PathBuf;

/// Verify a bundle, then add a signature to it in a file beside its volumes
///
/// For a transfer zone that passes the bundle on, and for a second person who signs what somebody else packed. No byte
/// of the bundle is written. Whoever reads the bundle names that file too; a glob or a folder does.
#[derive(clap::Args)]
pub struct Arguments {
    /// Volumes, folders or globs of volumes; `-` for standard input
    #[arg(value_name = "BUNDLE", required = true)]
    bundle: Vec<PathBuf>,
    #[command(flatten)]
    signing: Signing,
    #[command(flatten)]
    reporting: Reporting,
    /// Words that are signed: who this is, under which ticket, …
    #[arg(long, value_name = "TEXT")]
    statement: Option<String>,
    /// File or folder to write to, for media that cannot be written [default: beside the first volume]
    #[arg(long, value_name = "PATH")]
    output_file: Option<PathBuf>,
    #[command(flatten)]
    judging: Judging,
    #[command(flatten)]
    authoring: Authoring,
    /// Form of the result
    #[arg(short, long, value_name = "FORM", default_value = "table")]
    output: Form,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Outcome<'a> {
    file: &'a PathBuf,
    countersignature: &'a CountersignatureStatement,
}

/// Countersigns.
pub fn run(arguments: Arguments, environment: &Environment, output: &Output) -> Result<u8, CliError> {
    let keys = arguments.signing.keys(environment)?;
    if keys.is_empty() {
        return Err(CliError::usage("nobody signs").with_hint("name a private key with --sign-key"));
    }
    let judge = arguments.judging.named_judge()?;
    let authors = arguments.authoring.authors(&arguments.judging)?;
    let progress = output.progress();
    let context = Context { events: &progress, threads: super::cores(), stop: &environment.stop };
    let request = CountersignRequest {
        from: medium(&arguments.bundle)?,
        authors,
        policy: judge.as_ref().map(|(policy, judge)| (judge, policy.clone())),
        keys: &keys,
        report: arguments.reporting.report()?,
        words: arguments.statement,
        output: arguments.output_file,
        now: clock::now(),
    };
    let done = countersign(request, &context)?;
    output.findings(&done.verified.findings);
    let Some((file, statement)) = &done.written else {
        let wrong = human::count(done.verified.errors(), "error");
        output.result(format!("NOT good: {wrong}; nothing was signed"));
        return Ok(findings_code(&done.verified.findings));
    };
    match arguments.output {
        Form::Json => output.json(&Outcome { file, countersignature: statement }),
        Form::Table => {
            output.result(format!("bundle {}", statement.bundle));
            output.result(&statement.checked.authenticity);
            output.result(format!("countersigned in {}", file.display()));
        }
    }
    Ok(DONE)
}
