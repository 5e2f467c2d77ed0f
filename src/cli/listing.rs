//! What a mirror file wants, shown before anything is pinned.

use super::error::{CliError, DONE};
use super::output::{Form, Output};
use crate::discover::sighting::{Certainty, Need};
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
    #[serde(skip_serializing_if = "Option::is_none")]
    certainty: Option<Certainty>,
    #[serde(skip_serializing_if = "Option::is_none")]
    need: Option<Need>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Document<'a> {
    /// Whether every chart could be looked into.
    complete: bool,
    wanted: Vec<Line>,
    undecided: &'a [Seen],
    ruled_out: &'a [Seen],
}

/// Shows it; fails where something waits for a decision.
pub fn show(listing: Listing, form: Form, output: &Output) -> Result<u8, CliError> {
    output.findings(&listing.findings);
    let wanted = lines(&listing.wanted);
    match form {
        Form::Json => {
            let complete = listing.failed.is_none();
            output.json(&Document { complete, wanted, undecided: &listing.undecided, ruled_out: &listing.ruled_out });
        }
        Form::Table => {
            let width = wanted.iter().map(|line| line.name.chars().count()).max().unwrap_or(0).min(80);
            let marks: Vec<String> = wanted.iter().map(mark).collect();
            let column = marks.iter().map(String::len).max().unwrap_or(0);
            for (line, mark) in wanted.iter().zip(marks) {
                let why = line.why.first().and_then(|path| path.last()).map_or("", String::as_str);
                output.result(format!("{:width$}  {mark:column$}  {why}", line.name));
            }
        }
    }
    if let Some(failed) = listing.failed {
        return Err(failed.into());
    }
    if listing.undecided.is_empty() { Ok(DONE) } else { Err(FlowError::Undecided(listing.undecided).into()) }
}

/// Keeps the least of two marks; where one reason has none, there is none.
fn surest<T: Ord>(first: bool, known: Option<T>, more: Option<T>) -> Option<T> {
    if first { more } else { known.zip(more).map(|(known, more)| known.min(more)) }
}

/// Says what an artifact is, how sure that is, and when it runs, in as few words as will do.
fn mark(line: &Line) -> String {
    let role = match line.role {
        Role::Image => "image",
        Role::Chart => "chart",
        Role::Blueprint => "blueprint",
        Role::Artifact => "artifact",
    };
    let sure = match line.certainty {
        Some(Certainty::Probable) => Some("probable"),
        _ => None,
    };
    let when = match line.need {
        Some(Need::Hook) => Some("hook"),
        Some(Need::ByController) => Some("by controller"),
        Some(Need::DeleteHook) => Some("on removal"),
        Some(Need::Test) => Some("test"),
        Some(Need::Runtime) | None => None,
    };
    let words: Vec<&str> = [Some(role), sure, when].into_iter().flatten().collect();
    words.join(", ")
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
            let (why, notes) = (Vec::new(), Vec::new());
            lines.push(Line { name, role: found.role, why, notes, certainty: None, need: None });
            lines.len() - 1
        });
        let line = &mut lines[at];
        line.why.push(found.why.clone());
        // The surest and the soonest of all reasons counts; what somebody named needs no mark.
        let first = line.why.len() == 1;
        line.certainty = surest(first, line.certainty, found.seen.map(|(certainty, _)| certainty));
        line.need = surest(first, line.need, found.seen.map(|(_, need)| need));
        line.notes.extend(found.notes.iter().filter(|note| !line.notes.contains(note)).cloned().collect::<Vec<_>>());
    }
    lines
}
