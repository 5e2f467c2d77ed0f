//! What a mirror file wants, shown before anything is pinned.

use super::error::{CliError, DONE};
use super::output::{Form, Output};
use crate::discover::{Found, Seen, Want};
use crate::document::lock::Role;
use crate::flow::{FlowError, Listing};
use serde::Serialize;
use std::collections::BTreeMap;

/// One artifact with every reason for it.
#[derive(Serialize)]
struct Line {
    name: String,
    role: Role,
    why: Vec<Vec<String>>,
    notes: Vec<String>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Document<'a> {
    wanted: Vec<Line>,
    undecided: &'a [Seen],
    ruled_out: &'a [Seen],
}

/// Shows it; fails where something waits for a decision.
pub fn show(listing: &Listing, form: Form, output: &Output) -> Result<u8, CliError> {
    output.findings(&listing.findings);
    let wanted = lines(&listing.wanted);
    match form {
        Form::Json => {
            output.json(&Document { wanted, undecided: &listing.undecided, ruled_out: &listing.ruled_out });
        }
        Form::Table => {
            let width = wanted.iter().map(|line| line.name.chars().count()).max().unwrap_or(0).min(80);
            for line in &wanted {
                let why = line.why.first().and_then(|path| path.last()).map_or("", String::as_str);
                output.result(format!("{:width$}  {why}", line.name));
            }
        }
    }
    if listing.undecided.is_empty() { Ok(DONE) } else { Err(FlowError::Undecided(listing.undecided.clone()).into()) }
}

/// Puts the reasons for one artifact together; in the order in which they were found.
fn lines(wanted: &[Found]) -> Vec<Line> {
    let mut lines: Vec<Line> = Vec::new();
    let mut places: BTreeMap<String, usize> = BTreeMap::new();
    for found in wanted {
        let name = match &found.want {
            Want::Reference(reference) | Want::Made { source: reference, .. } => reference.to_string(),
            Want::Tags { repository, selection } => format!("{repository} {selection}"),
            Want::Chart(chart) => chart.place.to_string(),
        };
        let at = *places.entry(name.clone()).or_insert_with(|| {
            lines.push(Line { name, role: found.role, why: Vec::new(), notes: Vec::new() });
            lines.len() - 1
        });
        let line = &mut lines[at];
        line.why.push(found.why.clone());
        line.notes.extend(found.notes.iter().filter(|note| !line.notes.contains(note)).cloned().collect::<Vec<_>>());
    }
    lines
}
