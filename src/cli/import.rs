//! `airlift import`

use super::authoring::Authoring;
use super::clock;
use super::connect::Connecting;
use super::environment::Environment;
use super::error::{CliError, DAMAGED, DONE};
use super::judging::Judging;
use super::lacking::Lacking;
use super::media::ReadingMedia;
use super::output::{Form, Output};
use super::receiving::{Receiving, report};
use super::signing::Signing;
use crate::bundle::parity_at_hand;
use crate::flow::{Context, ImportRequest, REPAIR_HINT, import};
use std::path::PathBuf;

/// Import a bundle into Harbor, any OCI registry, or an OCI layout folder
///
/// Reads the medium once, keeps no copy of it, and shows nothing at the destination before it is verified.
#[derive(clap::Args)]
pub struct Arguments {
    /// Volumes, folders or globs of volumes; `-` for standard input
    #[arg(value_name = "BUNDLE", required = true)]
    bundle: Vec<PathBuf>,
    #[command(flatten)]
    media: ReadingMedia,
    #[command(flatten)]
    receiving: Receiving,
    #[command(flatten)]
    lacking: Lacking,
    #[command(flatten)]
    signing: Signing,
    #[command(flatten)]
    authoring: Authoring,
    #[command(flatten)]
    judging: Judging,
    #[command(flatten)]
    connecting: Connecting,
    /// Form of the result
    #[arg(short, long, value_name = "FORM", default_value = "table")]
    output: Form,
}

/// Imports.
pub fn run(arguments: Arguments, environment: &Environment, output: &Output) -> Result<u8, CliError> {
    let authors = arguments.authoring.authors(&arguments.judging)?;
    let judge = arguments.judging.judge_if_asked()?;
    let keys = arguments.signing.keys(environment)?;
    let place = arguments.receiving.place(&arguments.connecting, environment)?;
    let progress = output.progress();
    let context = Context { events: &progress, threads: arguments.connecting.concurrency(), stop: &environment.stop };
    let from = arguments.media.medium(&arguments.bundle, output)?;
    let files = from.files().to_vec();
    let request = ImportRequest {
        from,
        authors: &authors,
        judge: judge.as_ref(),
        prefix: place.prefix(),
        mode: arguments.receiving.mode(),
        now: &clock::now,
    };
    let imported = import(request, place.destination(), &context)
        .map_err(|error| arguments.lacking.asked_for(error, arguments.receiving.mode()));
    let reported = imported.and_then(|done| report(done, (&arguments.receiving, &keys), arguments.output, output));
    reported.map(|()| DONE).map_err(|error| advised(error, &files))
}

/// Adds that damage can be repaired, where parity volumes are at hand.
fn advised(error: CliError, files: &[PathBuf]) -> CliError {
    let repairable = error.code == DAMAGED && !files.is_empty() && parity_at_hand(files).is_some();
    if repairable { error.with_hint(REPAIR_HINT) } else { error }
}
