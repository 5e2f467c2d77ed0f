//! `airlift store show`

use crate::cli::error::{CliError, DONE};
use crate::cli::human;
use crate::cli::output::{Form, Output};
use crate::store::cache::{StoreFolder, StoreShown};
use std::path::PathBuf;

/// Say what a store holds, and which job keeps how much of it
#[derive(clap::Args)]
pub struct Arguments {
    /// Folder of the store
    #[arg(value_name = "STORE")]
    store: PathBuf,
    /// Form of the result
    #[arg(short, long, value_name = "FORM", default_value = "table")]
    output: Form,
}

/// Shows.
pub fn run(arguments: Arguments, output: &Output) -> Result<u8, CliError> {
    let shown = StoreFolder::open(&arguments.store)?.show()?;
    match arguments.output {
        Form::Json => output.json(&shown),
        Form::Table => table(&shown, output),
    }
    Ok(DONE)
}

fn table(shown: &StoreShown, output: &Output) {
    let rows: Vec<Vec<String>> = shown
        .roots
        .iter()
        .map(|root| {
            let alone = format!("{} of them alone", human::bytes(root.alone));
            vec![root.name.to_string(), human::count(root.blobs, "blob"), human::bytes(root.bytes), alone]
        })
        .collect();
    if !rows.is_empty() {
        output.result(human::table(&rows).trim_end());
    }
    let counted = |n: u64, size: u64| format!("{}, {}", human::count(n, "blob"), human::bytes(size));
    output.result(format!("holds {}", counted(shown.blobs, shown.bytes)));
    if shown.unrooted > 0 {
        output.result(format!("kept by no root: {}", counted(shown.unrooted, shown.unrooted_bytes)));
    }
    if let Some(runs) = shown.runs.filter(|runs| *runs > 0) {
        output.result(format!("in use by {}", human::count(runs, "run")));
    }
    if shown.aside > 0 {
        output.result(format!("set aside as bad: {}", human::count(shown.aside, "file")));
    }
}
