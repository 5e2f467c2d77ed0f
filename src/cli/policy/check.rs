//! `airlift policy check`

use super::show::show;
use crate::bundle::Input;
use crate::cli::connect::Connecting;
use crate::cli::environment::Environment;
use crate::cli::error::{CliError, DONE, REFUSED};
use crate::cli::human;
use crate::cli::judging::{Judging, medium};
use crate::cli::output::{Form, Output};
use crate::cli::wanting::Wanting;
use crate::flow::{Authors, Checked, Context, Medium, Update, check_bundle, check_policy, look_up, open_bundle};
use crate::registry::Remote;
use crate::trust::Judge;
use std::path::PathBuf;

/// Explain step by step what a policy decides, and why
///
/// For each artifact: which rules are about it and which one decides, every piece of evidence that was found and where, how
/// each signer of the rule judged it, what is met and what is missing. Nothing is packed. Exits with 30 where one is refused.
#[derive(clap::Args)]
pub struct Arguments {
    #[command(flatten)]
    wanting: Wanting,
    /// Look at what this bundle carries instead, offline: a volume, folder or glob of volumes; repeatable. Its own signature is
    /// not checked here
    #[arg(long, value_name = "BUNDLE", conflicts_with_all = ["references", "file", "lock", "platforms"])]
    bundle: Vec<PathBuf>,
    #[command(flatten)]
    judging: Judging,
    #[command(flatten)]
    connecting: Connecting,
    /// Form of the result
    #[arg(short, long, value_name = "FORM", default_value = "table")]
    output: Form,
}

/// Explains.
pub fn run(arguments: Arguments, environment: &Environment, output: &Output) -> Result<u8, CliError> {
    let (_, judge) = arguments.judging.judge()?;
    let checked = if arguments.bundle.is_empty() {
        at_the_source(&arguments, &judge, environment, output)?
    } else {
        in_a_bundle(&arguments.bundle, &judge)?
    };
    match arguments.output {
        Form::Json => output.json(&checked),
        Form::Table => show(&checked, output),
    }
    let refused = checked.artifacts.iter().filter(|artifact| !artifact.accepted).count();
    if refused == 0 {
        return Ok(DONE);
    }
    let message =
        format!("the policy refuses {refused} of {}", human::count(checked.artifacts.len() as u64, "artifact"));
    Err(CliError { code: REFUSED, ..CliError::usage(message) })
}

fn at_the_source(
    arguments: &Arguments,
    judge: &Judge,
    environment: &Environment,
    output: &Output,
) -> Result<Checked, CliError> {
    let wanted = arguments.wanting.meant()?;
    let source: Remote = arguments.connecting.remote(environment)?;
    let progress = output.progress();
    let threads = arguments.connecting.concurrency();
    let context = Context { events: &progress, threads, stop: &environment.stop };
    let found = look_up(&wanted, None, Update::Nothing, &source, &context)?;
    output.findings(&found.findings);
    Ok(check_policy(&found.resolved.lock, &source, judge, &context)?)
}

fn in_a_bundle(bundle: &[PathBuf], judge: &Judge) -> Result<Checked, CliError> {
    let input = match medium(bundle)? {
        Medium::Files(files) => Input::Files(files),
        Medium::Stream(stream) => Input::Stream(stream),
    };
    let opened = open_bundle(input, &Authors::anyone())?;
    Ok(check_bundle(&opened.shipment, judge))
}
