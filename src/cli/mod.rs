//! Floor 5: the commands. One file each: arguments, one call of a flow, rendering.
//!
//! The only room that speaks to people. Below it nothing prints, and nothing reads the environment or the clock.

mod authoring;
mod basing;
mod clock;
mod cluster;
mod connect;
mod environment;
mod error;
mod human;
mod judging;
mod lacking;
mod left_out;
mod listing;
mod loading;
mod marks;
mod measured;
mod media;
mod media_sizes;
mod narrowing;
mod output;
mod policy_files;
mod progress;
mod prompt;
mod receiving;
mod rendering;
mod reporting;
mod rooting;
mod signing;
mod sourcing;
mod storing;
mod volumes;
mod wanting;

mod audit;
mod countersign;
mod demo;
mod diff;
mod estimate;
mod generate;
mod import;
mod inspect;
mod keygen;
mod lock;
mod pack;
mod parity;
mod policy;
mod receipt;
mod repair;
mod resolve;
mod seed;
mod serve;
mod store;
mod sync;
mod trust;
mod unpack;
mod verify;
mod why;

pub use environment::Environment;

use clap::{Parser, Subcommand};
use output::Output;
use std::ffi::OsString;
use std::process::ExitCode;

/// Carries container images, Helm charts and OpenOva Blueprints across an air gap, verified on both sides.
#[derive(Parser)]
#[command(name = "airlift", version, about, propagate_version = true, max_term_width = 110)]
struct Airlift {
    #[command(subcommand)]
    command: Command,
    #[command(flatten)]
    general: General,
}

/// Options of every command.
#[derive(clap::Args, Clone)]
struct General {
    /// Show no progress bars, even on a terminal
    #[arg(long, global = true)]
    no_progress: bool,
    /// Say less: only results and errors
    #[arg(short, long, global = true)]
    quiet: bool,
    /// Say more: every artifact and blob
    #[arg(short, long, global = true, conflicts_with = "quiet")]
    verbose: bool,
    /// Form of what is said while the work goes on
    #[arg(long, global = true, value_name = "FORM", default_value = "text")]
    log_format: LogFormat,
}

/// Form of messages on the way.
#[derive(Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum LogFormat {
    /// Lines for people.
    Text,
    /// One JSON object a line.
    Json,
}

#[derive(Subcommand)]
enum Command {
    Resolve(resolve::Arguments),
    Why(why::Arguments),
    Audit(audit::Arguments),
    Estimate(estimate::Arguments),
    Pack(pack::Arguments),
    Inspect(inspect::Arguments),
    Verify(verify::Arguments),
    Countersign(countersign::Arguments),
    Parity(parity::Arguments),
    Repair(repair::Arguments),
    Import(import::Arguments),
    Sync(sync::Arguments),
    Receipt(receipt::Arguments),
    Lock(lock::Arguments),
    Diff(diff::Arguments),
    Generate(generate::Arguments),
    Serve(serve::Arguments),
    Store(store::Arguments),
    Seed(seed::Arguments),
    Unpack(unpack::Arguments),
    Keygen(keygen::Arguments),
    Trust(trust::Arguments),
    Policy(policy::Arguments),
    Demo(demo::Arguments),
}

/// Returns how many processors there are to work with.
fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, std::num::NonZero::get)
}

/// Runs the command line `arguments` and returns the exit number, as `error` lists them.
pub fn run(arguments: impl IntoIterator<Item = OsString>, environment: Environment) -> ExitCode {
    let airlift = match Airlift::try_parse_from(arguments) {
        Ok(airlift) => airlift,
        Err(error) => {
            // Nothing is left to say if standard error is gone as well.
            drop(error.print());
            return ExitCode::from(if error.use_stderr() { error::USAGE } else { error::DONE });
        }
    };
    let output = Output::new(&airlift.general, &environment);
    let result = match airlift.command {
        Command::Resolve(arguments) => resolve::run(arguments, &environment, &output),
        Command::Why(arguments) => why::run(arguments, &output),
        Command::Audit(arguments) => audit::run(arguments, &environment, &output),
        Command::Estimate(arguments) => estimate::run(arguments, &environment, &output),
        Command::Pack(arguments) => pack::run(arguments, &environment, &output),
        Command::Inspect(arguments) => inspect::run(arguments, &environment, &output),
        Command::Verify(arguments) => verify::run(arguments, &environment, &output),
        Command::Countersign(arguments) => countersign::run(arguments, &environment, &output),
        Command::Parity(arguments) => parity::run(arguments, &environment, &output),
        Command::Repair(arguments) => repair::run(arguments, &environment, &output),
        Command::Import(arguments) => import::run(arguments, &environment, &output),
        Command::Sync(arguments) => sync::run(arguments, &environment, &output),
        Command::Policy(arguments) => policy::run(arguments, &environment, &output),
        Command::Receipt(arguments) => receipt::run(arguments, &output),
        Command::Lock(arguments) => lock::run(arguments, &environment, &output),
        Command::Diff(arguments) => diff::run(arguments, &environment, &output),
        Command::Generate(arguments) => generate::run(arguments, &output),
        Command::Serve(arguments) => serve::run(arguments, &environment, &output),
        Command::Store(arguments) => store::run(arguments, &environment, &output),
        Command::Seed(arguments) => seed::run(arguments, &environment, &output),
        Command::Unpack(arguments) => unpack::run(arguments, &environment, &output),
        Command::Keygen(arguments) => keygen::run(arguments, &environment, &output),
        Command::Trust(arguments) => trust::run(arguments, &environment, &output),
        Command::Demo(arguments) => demo::run(arguments, &environment, &output),
    };
    let result = result.and_then(|code| output.closed().map(|()| code));
    match result {
        Ok(code) => ExitCode::from(code),
        Err(error) => ExitCode::from(output.fail(&error)),
    }
}
