//! `airlift policy test`

use crate::cli::clock;
use crate::cli::environment::Environment;
use crate::cli::error::{CliError, DONE, REFUSED};
use crate::cli::human;
use crate::cli::judging::{make_judge_at, read_policy, text};
use crate::cli::output::{Form, Output};
use crate::document::policy_table::PolicyTable;
use crate::flow::{CaseOutcome, Context, test_policy};
use std::path::{Path, PathBuf};

/// Run a table of cases against a policy, offline
///
/// A case names an artifact, what there is to judge (nothing, an OCI layout, a bundle) and what the policy must say. Exits with 30
/// where it says something else.
#[derive(clap::Args)]
pub struct Arguments {
    /// Table of cases (kind: PolicyTest)
    #[arg(value_name = "TABLE.YAML")]
    table: PathBuf,
    /// Policy that is tested [default: the one that the table names]
    #[arg(long, value_name = "POLICY.YAML")]
    policy: Option<PathBuf>,
    /// Form of the result
    #[arg(short, long, value_name = "FORM", default_value = "table")]
    output: Form,
}

/// Tests.
pub fn run(arguments: &Arguments, environment: &Environment, output: &Output) -> Result<u8, CliError> {
    let table = PolicyTable::read(&text(&arguments.table)?, &arguments.table.display().to_string())?;
    let base = arguments.table.parent().unwrap_or(Path::new("."));
    let named = table.policy.as_ref().map(|policy| base.join(policy));
    let path = arguments.policy.clone().or(named).ok_or_else(|| {
        CliError::usage("no policy to test").with_hint("name it in the table (policy: policy.yaml), or with --policy")
    })?;
    let now = table.at.as_ref().map_or_else(clock::seconds, crate::document::policy::Instant::second);
    let judge = make_judge_at(&read_policy(&path)?, path.parent(), now)?;
    let progress = output.progress();
    let context = Context { events: &progress, threads: 2, stop: &environment.stop };
    let outcomes = test_policy(&table, &judge, base, &context)?;
    match arguments.output {
        Form::Json => output.json(&outcomes),
        Form::Table => show(&outcomes, output),
    }
    let missed = outcomes.iter().filter(|outcome| !outcome.holds).count();
    if missed == 0 {
        return Ok(DONE);
    }
    let message = format!("the policy misses {missed} of {}", human::count(outcomes.len() as u64, "case"));
    Err(CliError { code: REFUSED, ..CliError::usage(message) })
}

fn show(outcomes: &[CaseOutcome], output: &Output) {
    for outcome in outcomes {
        let (mark, CaseOutcome { name, line, why, .. }) = (if outcome.holds { "ok    " } else { "MISSED" }, outcome);
        output.result(format!("{mark}  {name}{}", if outcome.holds { "" } else { ":" }));
        if !outcome.holds {
            output.result(format!("        line {line}: {why}"));
            if let Some(decision) = &outcome.decision {
                output.result(format!("        decided by {}", decision.rule));
            }
        }
    }
    let held = outcomes.iter().filter(|outcome| outcome.holds).count();
    output.result(format!("{held} of {} hold", human::count(outcomes.len() as u64, "case")));
}
