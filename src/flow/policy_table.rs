//! Tests a policy by a table of cases, offline: what it decides over each, compared with what it should.

use super::context::Context;
use super::error::FlowError;
use super::opened::open;
use super::policy_check::{Checked, CheckedArtifact, check_bundle, check_policy, judge_nothing};
use super::wanted::{Pins, Wanted, look_up};
use crate::bundle::{Input, find_volumes};
use crate::discover::PlatformRule;
use crate::document::policy_table::{Case, Expected, Material, PolicyTable};
use crate::model::FaultKind;
use crate::store::LayoutFolder;
use crate::trust::{Authors, Judge};
use serde::Serialize;
use std::path::Path;

/// What came of one case.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct CaseOutcome {
    /// Its name.
    pub name: String,
    /// Its line in the table.
    pub line: usize,
    /// Whether the policy did what the case expects.
    pub holds: bool,
    /// What differs, where it did not.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub why: String,
    /// What the policy decided; `None` where the artifact is not in the material of the case.
    pub decision: Option<CheckedArtifact>,
}

/// Runs every case of `table`; paths in it are below `base`.
pub fn test_policy(
    table: &PolicyTable,
    judge: &Judge,
    base: &Path,
    context: &Context<'_>,
) -> Result<Vec<CaseOutcome>, FlowError> {
    let outcome = |case: &Case| {
        let decision = decided(case, judge, base, context)?;
        let absent = || format!("{} is not in the material of the case", case.reference);
        let why = decision.as_ref().map_or_else(absent, |decision| differs(case, decision));
        Ok(CaseOutcome { name: case.name.clone(), line: case.line, holds: why.is_empty(), why, decision })
    };
    table.cases.iter().map(outcome).collect()
}

/// Decides a case; `None` where the artifact is not in its material.
fn decided(
    case: &Case,
    judge: &Judge,
    base: &Path,
    context: &Context<'_>,
) -> Result<Option<CheckedArtifact>, FlowError> {
    let checked = match &case.material {
        Material::Nothing(digest) => return Ok(Some(judge_nothing(&case.reference, digest.as_ref(), judge))),
        Material::Layout(folder) => match in_a_layout(case, &base.join(folder), judge, context) {
            Err(FlowError::Source(faults)) if faults.iter().all(|one| one.fault.kind == FaultKind::Missing) => {
                return Ok(None);
            }
            found => found?,
        },
        Material::Bundle(bundle) => {
            let volumes = find_volumes(&[base.join(bundle)])?;
            let opened = open(Input::Files(volumes), &Authors::anyone())?;
            check_bundle(&opened.shipment, judge)
        }
    };
    Ok(checked.artifacts.into_iter().find(|artifact| artifact.source == case.reference))
}

fn in_a_layout(case: &Case, folder: &Path, judge: &Judge, context: &Context<'_>) -> Result<Checked, FlowError> {
    // A folder that is not there would be made, and hold nothing.
    std::fs::metadata(folder).map_err(|error| FlowError::file(folder, "is not there", error))?;
    let layout = LayoutFolder::open(folder).map_err(|error| FlowError::Usage(error.to_string()))?;
    let wanted = Wanted::References(vec![case.reference.clone()], PlatformRule::All);
    let found = look_up(&wanted, Pins::default(), &layout, context)?;
    check_policy(&found.resolved.lock, &layout, judge, context)
}

/// Says what is not as the case expects; empty where all is.
fn differs(case: &Case, decision: &CheckedArtifact) -> String {
    let word = |accepted| if accepted { "accepted" } else { "refused" };
    if decision.accepted != case.accept {
        return format!("it is {} ({}), expected {}", word(decision.accepted), decision.reason, word(case.accept));
    }
    let wrong = |what: &str, expected: &Option<Expected>, found: &str| {
        let expected = expected.as_ref().filter(|expected| !expected.holds(found))?;
        Some(format!("the {what} is {found:?}, expected {:?}", expected.as_str()))
    };
    let reason = wrong("reason", &case.reason, &decision.reason);
    reason.or_else(|| wrong("rule", &case.rule, &decision.rule)).unwrap_or_default()
}
