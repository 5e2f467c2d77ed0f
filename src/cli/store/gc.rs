//! `airlift store gc`

use crate::cli::clock;
use crate::cli::error::{CliError, DONE};
use crate::cli::human;
use crate::cli::output::{Form, Output};
use crate::store::cache::{FreePlan, Keeping, RootName, StoreFolder};
use std::path::PathBuf;

/// Free what no root keeps
///
/// A root is what one job needed when it last ended well. What a run that is at work has reserved stays, whatever roots say.
#[derive(clap::Args)]
pub struct Arguments {
    /// Folder of the store
    #[arg(value_name = "STORE")]
    store: PathBuf,
    /// Keep only this root, and let go of those that are not named; repeatable
    #[arg(long, value_name = "ROOT", value_parser = RootName::parse, conflicts_with = "drop")]
    keep: Vec<RootName>,
    /// Let go of this root, and keep the others; repeatable
    #[arg(long, value_name = "ROOT", value_parser = RootName::parse)]
    drop: Vec<RootName>,
    /// Free only what was put longer ago than this: 90m, 24h, 7d. A run that was killed finds what it had fetched
    #[arg(long, value_name = "TIME", default_value = "24h", value_parser = human::parse_seconds)]
    older_than: u64,
    /// Free nothing; say what would go
    #[arg(long)]
    dry_run: bool,
    /// Form of the result
    #[arg(short, long, value_name = "FORM", default_value = "table")]
    output: Form,
}

/// Frees.
pub fn run(arguments: Arguments, output: &Output) -> Result<u8, CliError> {
    let store = StoreFolder::open(&arguments.store)?;
    let since = clock::seconds().saturating_sub(i64::try_from(arguments.older_than).unwrap_or(i64::MAX));
    let only = (!arguments.keep.is_empty()).then(|| arguments.keep.into_iter().collect());
    let freeing = store.plan_to_free(&Keeping { only, without: arguments.drop.into_iter().collect(), since })?;
    let plan = match arguments.dry_run {
        true => freeing.plan,
        false => freeing.run().map_err(|error| CliError::file(&arguments.store, &error))?,
    };
    match arguments.output {
        Form::Json => output.json(&plan),
        Form::Table => table(&plan, arguments.dry_run, output),
    }
    Ok(DONE)
}

fn table(plan: &FreePlan, dry_run: bool, output: &Output) {
    for root in &plan.roots {
        output.result(format!("root {root} goes"));
    }
    let verb = if dry_run { "would free" } else { "freed" };
    let blobs = human::count(plan.blobs.len() as u64, "blob");
    output.result(format!("{verb} {} in {blobs}", human::bytes(plan.bytes)));
    for (n, why) in [(plan.young, "put too short a time ago"), (plan.reserved, "reserved by a run at work")] {
        if n > 0 {
            output.result(format!("kept {}: {why}", human::count(n, "blob")));
        }
    }
}
