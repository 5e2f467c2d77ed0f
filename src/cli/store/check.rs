//! `airlift store check`

use crate::cli::environment::Environment;
use crate::cli::error::{CliError, DAMAGED, DONE, PARTLY};
use crate::cli::human;
use crate::cli::output::{Form, Output};
use crate::flow::{CheckStoreRequest, CheckedStore, Context, check_store};
use crate::store::cache::{Slice, StoreFolder};
use std::path::PathBuf;
use std::time::{Duration, Instant};

/// Check a store: names and sizes, or also the bytes of a part of it, or of all
///
/// Exit: 0 all that was looked at is good, or was set aside with --repair; 40 something is bad. A check that ran out of time
/// is no failure; the next one with --max-duration goes on where it stopped.
#[derive(clap::Args)]
pub struct Arguments {
    /// Folder of the store
    #[arg(value_name = "STORE")]
    store: PathBuf,
    /// Read every blob, too
    #[arg(long, conflicts_with = "sample")]
    all: bool,
    /// Read one part of several, by digest: 1/10, 2/10, … make up the whole
    #[arg(long, value_name = "N/T")]
    sample: Option<Slice>,
    /// Read as much as this time allows: 10m, 2h
    #[arg(long, value_name = "TIME", value_parser = human::parse_seconds)]
    max_duration: Option<u64>,
    /// Set bad blobs aside, so that the next run fetches them again
    #[arg(long)]
    repair: bool,
    /// Form of the result
    #[arg(short, long, value_name = "FORM", default_value = "table")]
    output: Form,
}

/// Checks.
pub fn run(arguments: Arguments, environment: &Environment, output: &Output) -> Result<u8, CliError> {
    let store = StoreFolder::open(&arguments.store)?;
    let end = arguments.max_duration.map(|seconds| Instant::now() + Duration::from_secs(seconds));
    let in_time = || end.is_none_or(|end| Instant::now() < end);
    let request = CheckStoreRequest {
        slice: arguments.sample.or((arguments.all || end.is_some()).then_some(Slice::ALL)),
        go_on_where_it_stopped: end.is_some(),
        in_time: &in_time,
        set_aside: arguments.repair,
    };
    let progress = output.progress();
    let context = Context { events: &progress, threads: crate::cli::cores(), stop: &environment.stop };
    let checked = check_store(&store, &request, &context)?;
    match arguments.output {
        Form::Json => output.json(&checked),
        Form::Table => table(&checked, output),
    }
    if environment.stop.load(std::sync::atomic::Ordering::Relaxed) {
        return Ok(PARTLY);
    }
    match checked.bad.iter().filter(|bad| !bad.set_aside).count() as u64 {
        0 => Ok(DONE),
        n => {
            let what = format!("the store holds {} that are not what their names say", human::count(n, "blob"));
            let hint = "--repair sets them aside, and the next run fetches them again";
            Err(CliError { code: DAMAGED, ..CliError::usage(what).with_hint(hint) })
        }
    }
}

fn table(checked: &CheckedStore, output: &Output) {
    for bad in &checked.bad {
        let size = bad.blob.expected_size.map(|size| format!(" ({size} bytes)")).unwrap_or_default();
        let aside = if bad.set_aside { "; set aside, the next run fetches it again" } else { "" };
        output.result(format!("bad: expected {}{size}, found {}{aside}", bad.blob.digest, bad.blob.found));
    }
    for missing in &checked.missing {
        output.result(format!("missing: {} of {}; the next run fetches it again", missing.digest, missing.root));
    }
    for stray in &checked.strays {
        output.result(format!("not ours: {}", stray.display()));
    }
    let verdict = if checked.bad.iter().any(|bad| !bad.set_aside) { "NOT good" } else { "good" };
    let blobs = human::count(checked.blobs, "blob");
    let read = format!("{} of them read ({})", checked.read, human::bytes(checked.read_bytes));
    output.result(format!("{verdict}: {blobs} ({}), {read}", human::bytes(checked.bytes)));
    if checked.stopped {
        output.note("note: not all was read in time; the next check with --max-duration goes on there");
    }
}
