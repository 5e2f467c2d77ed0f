//! `airlift sync`

use super::clock;
use super::connect::Connecting;
use super::environment::Environment;
use super::error::{CliError, DONE};
use super::judging::Judging;
use super::narrowing::Narrowed;
use super::output::{Form, Output};
use super::receiving::{Receiving, report};
use super::rendering::Rendering;
use super::signing::Signing;
use super::sourcing::Sourcing;
use super::storing::Storing;
use super::wanting::Wanting;
use crate::flow::{Context, Pins, Remembering, SyncRequest, Wanted, sync, take_guard};
use std::path::PathBuf;
use std::sync::Arc;

/// Mirror from registries, or from files of another tool, to a registry, with no bundle between
///
/// Fit for a scheduler: with --lock-file a run that overlaps another ends at once with exit 10; a run with nothing new writes nothing.
#[derive(clap::Args)]
pub struct Arguments {
    #[command(flatten)]
    wanting: Wanting,
    #[command(flatten)]
    sourcing: Sourcing,
    #[command(flatten)]
    receiving: Receiving,
    #[command(flatten)]
    signing: Signing,
    #[command(flatten)]
    judging: Judging,
    #[command(flatten)]
    narrowed: Narrowed,
    #[command(flatten)]
    rendering: Rendering,
    #[command(flatten)]
    storing: Storing,
    #[command(flatten)]
    connecting: Connecting,
    /// File that keeps two runs of one job apart
    #[arg(long, value_name = "FILE")]
    lock_file: Option<PathBuf>,
    /// Form of the result
    #[arg(short, long, value_name = "FORM", default_value = "table")]
    output: Form,
}

/// Mirrors.
pub fn run(arguments: Arguments, environment: &Environment, output: &Output) -> Result<u8, CliError> {
    let who = || format!("process {} since {}", std::process::id(), clock::now());
    let _guard = arguments.lock_file.as_deref().map(|path| take_guard(path, &who())).transpose()?;
    let (_, judge) = arguments.judging.judge()?;
    let keys = arguments.signing.keys(environment)?;
    let place = arguments.receiving.place(&arguments.connecting, environment)?;
    let progress = Arc::new(output.progress());
    let context = Context { events: &*progress, threads: arguments.connecting.concurrency(), stop: &environment.stop };
    let opening = || arguments.connecting.remote(environment);
    let supply = arguments.sourcing.supply(opening, (None, environment), &context, output)?;
    let wanted = supply.wanted(&arguments.wanting)?;
    let stocked = arguments.storing.over(supply.source(), environment, progress.clone(), false)?;
    let source = Remembering::new(&stocked);
    let (charts, narrowing) =
        (arguments.rendering.reading(environment)?, arguments.narrowed.meant(matches!(wanted, Wanted::Mirror(_)))?);
    let pins = Pins { charts, narrowing, ..Pins::default() };
    let lock = supply.pin((&wanted, pins), &source, &context, output)?;
    let request =
        SyncRequest { lock, judge: &judge, prefix: place.prefix(), mode: arguments.receiving.mode(), now: &clock::now };
    let synced = sync(request, &source, place.destination(), &context)?;
    if synced.failure.is_none() && synced.receipt.is_some() {
        arguments.storing.keep(&stocked, &arguments.wanting.job("sync"), output);
    }
    report(synced, (&arguments.receiving, &keys), arguments.output, output)?;
    Ok(DONE)
}
