//! `airlift verify`

use super::authoring::Authoring;
use super::clock;
use super::environment::Environment;
use super::error::{CliError, findings_code};
use super::judging::Judging;
use super::media::ReadingMedia;
use super::output::{Form, Output};
use super::volumes::{checked_alone, heard, verify_alone};
use super::{human, left_out, marks};
use crate::document::countersignature::PolicyReference;
use crate::flow::{Context, Verified, VerifyRequest, verify};
use crate::model::spoken::Spoken;
use serde::Serialize;
use std::path::PathBuf;

/// Check a bundle offline: every byte, its author's signature, and every artifact under a policy
///
/// Lists everything that is wrong, then exits with the number of the worst: 40 for damage, 30 for signatures. One file that
/// is a volume of several is checked by itself, as soon as it arrives: of a set, nothing may be missing, so name its folder.
#[derive(clap::Args)]
pub struct Arguments {
    /// Volumes, folders or globs of volumes; `-` for standard input
    #[arg(value_name = "BUNDLE", required = true)]
    bundle: Vec<PathBuf>,
    #[command(flatten)]
    media: ReadingMedia,
    /// Check each of these volumes by itself; that others are missing is no error
    #[arg(long, conflicts_with = "change_medium")]
    volume: bool,
    /// Checksum that the other side read aloud, of a volume or of all of them; repeatable
    #[arg(long = "checksum", value_name = "CHECKSUM")]
    told: Vec<Spoken>,
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

/// What is kept of a verification: by what, under which policy and when, and what came of it.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Record<'a> {
    result: &'static str,
    checked_at: String,
    tool: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    policy: Option<&'a PolicyReference>,
    #[serde(flatten)]
    verified: &'a Verified,
}

/// Verifies.
pub fn run(arguments: Arguments, environment: &Environment, output: &Output) -> Result<u8, CliError> {
    let judge = arguments.judging.named_judge()?;
    let authors = arguments.authoring.authors(&arguments.judging)?;
    let progress = output.progress();
    let threads = arguments.concurrency.unwrap_or_else(super::cores);
    let context = Context { events: &progress, threads, stop: &environment.stop };
    let alone = if arguments.media.is_in_turn() { None } else { checked_alone(&arguments.bundle, arguments.volume)? };
    if let Some(files) = alone {
        if judge.is_some() {
            output.note(
                "warning: a policy judges artifacts, and these are in all volumes; it is not applied to volumes alone",
            );
        }
        return Ok(verify_alone(files, (&authors, &arguments.told), arguments.output, &context, output));
    }
    let request = VerifyRequest {
        from: arguments.media.medium(&arguments.bundle, output)?,
        authors: &authors,
        judge: judge.as_ref().map(|(_, judge)| judge),
        told: &arguments.told,
    };
    let verified = verify(request, &context)?;
    match arguments.output {
        Form::Json => output.json(&Record {
            result: if verified.holds() { "good" } else { "not good" },
            checked_at: clock::now(),
            tool: concat!("airlift ", env!("CARGO_PKG_VERSION")),
            policy: judge.as_ref().map(|(policy, _)| policy),
            verified: &verified,
        }),
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
    marks::show(&verified.signatures, output);
    heard(&verified.heard, output);
    left_out::show(verified.delta.as_ref(), output);
    let artifacts = human::count(verified.artifacts as u64, "artifact");
    let volumes = human::count(verified.volumes as u64, "volume");
    let bytes = human::bytes(verified.bytes);
    if let Some(parity) = &verified.parity {
        output.result(human::protection(parity));
    }
    if verified.holds() {
        let audited = verified.evidence.iter().flat_map(|evidence| &evidence.artifacts);
        let audited = audited.filter(|artifact| artifact.would_refuse.is_some()).count();
        let policy = match (judged, audited) {
            (true, 0) => "; every artifact is accepted by the policy".to_owned(),
            (true, n) => format!("; the policy REFUSES {n} of them, which only its mode audit lets pass"),
            (false, _) => "; no policy was given, artifacts were not judged".to_owned(),
        };
        output.result(format!("good: {artifacts}, {bytes} in {volumes}{policy}"));
        if !verified.not_known.is_empty() {
            output.result(format!("not known without a network:\n  {}", verified.not_known.join("\n  ")));
        }
    } else {
        let wrong = human::count(verified.errors(), "error");
        output.result(format!("NOT good: {wrong}; {bytes} in {volumes} were read"));
    }
}
