//! `airlift receipt`

use super::clock;
use super::error::{CliError, DONE};
use super::human;
use super::judging::public_keys;
use super::output::{Form, Output};
use crate::flow::{AcceptedReceipt, ReceiptDemand, accept_receipt, is_time};
use crate::model::Digest;
use serde::Serialize;
use std::path::PathBuf;

/// Check a signed receipt
#[derive(clap::Args)]
pub struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(clap::Subcommand)]
enum Command {
    Verify(Verify),
}

/// Check who signed a receipt, and what it is about
///
/// The signature stands beside the receipt, in a file of the same name with .sig behind it.
#[derive(clap::Args)]
struct Verify {
    /// Receipt
    #[arg(value_name = "RECEIPT")]
    receipt: PathBuf,
    /// Public key (PEM), one of which must have signed it; repeatable
    #[arg(long = "key", value_name = "PUB", required = true)]
    keys: Vec<PathBuf>,
    /// Destination that it must be about, as the import named it
    #[arg(long, value_name = "DESTINATION")]
    destination: Option<String>,
    /// Bundle that it must be about
    #[arg(long, value_name = "DIGEST")]
    bundle: Option<Digest>,
    /// Refuse one that ended before this time (2027-01-31T12:00:00Z): the end of the newest one that is known
    #[arg(long, value_name = "TIME")]
    not_before: Option<String>,
    /// Form of the result
    #[arg(short, long, value_name = "FORM", default_value = "table")]
    output: Form,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Checked<'a> {
    receipt: &'a PathBuf,
    keys: &'a [Digest],
    bundle: Option<&'a Digest>,
    destination: &'a str,
    finished: &'a str,
    complete: bool,
    artifacts: usize,
    arrived: usize,
}

/// Checks.
pub fn run(arguments: Arguments, output: &Output) -> Result<u8, CliError> {
    let Command::Verify(verify) = arguments.command;
    if let Some(time) = verify.not_before.as_deref().filter(|time| !is_time(time)) {
        return Err(CliError::usage(format!("{time:?} is no time; 2027-01-31T12:00:00Z is one")));
    }
    let keys = public_keys(&verify.keys)?;
    let demand = ReceiptDemand {
        keys: &keys,
        destination: verify.destination.as_deref(),
        bundle: verify.bundle.as_ref(),
        not_before: verify.not_before.as_deref(),
        now: &clock::now(),
    };
    let accepted = accept_receipt(&verify.receipt, &demand)?;
    show(&verify, &accepted, output);
    Ok(DONE)
}

fn show(verify: &Verify, AcceptedReceipt { receipt, keys }: &AcceptedReceipt, output: &Output) {
    let arrived = receipt.artifacts.iter().filter(|a| a.outcome.is_there()).count();
    let artifacts = receipt.artifacts.len();
    match verify.output {
        Form::Json => output.json(&Checked {
            receipt: &verify.receipt,
            keys,
            bundle: receipt.bundle.as_ref(),
            destination: &receipt.destination,
            finished: &receipt.finished,
            complete: receipt.complete,
            artifacts,
            arrived,
        }),
        Form::Table => {
            let keys: Vec<String> = keys.iter().map(Digest::short).collect();
            output.result(format!("good: signed by key {}", keys.join(" and ")));
            let bundle = receipt.bundle.as_ref().map_or("no bundle".to_owned(), ToString::to_string);
            output.result(format!("{} from {bundle}, ended {} (claimed)", receipt.destination, receipt.finished));
            let whole = if receipt.complete { "complete" } else { "NOT complete" };
            output.result(format!("{whole}: {arrived} of {}", human::count(artifacts as u64, "artifact")));
        }
    }
}
