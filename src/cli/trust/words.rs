//! Roots and their differences as tables for people.

use super::super::human;
use crate::flow::Accepted;
use crate::trust::{Anchor, RootChange, Standing};

/// Returns one row of cells for a key or authority.
fn row(anchor: &Anchor) -> Vec<String> {
    let day = |time: &str| time.get(..10).unwrap_or("-").to_owned();
    let standing = match anchor.standing {
        Standing::NotYet => "not yet",
        Standing::InForce => "in force",
        Standing::Ended => "ended",
    };
    vec![
        anchor.kind.words().to_owned(),
        standing.to_owned(),
        day(&anchor.from),
        day(&anchor.until),
        anchor.algorithm.clone(),
        anchor.id.get(..12).unwrap_or_default().to_owned(),
        anchor.name.clone(),
    ]
}

/// Returns a table of keys and authorities, under a heading.
pub fn anchors(list: &[Anchor]) -> String {
    let heading = ["WHAT", "NOW", "FROM", "UNTIL", "ALGORITHM", "ID", "NAME"].map(str::to_owned).to_vec();
    let rows: Vec<Vec<String>> = std::iter::once(heading).chain(list.iter().map(row)).collect();
    human::table(&rows).trim_end().to_owned()
}

/// Returns what differs, one line for each key or authority.
pub fn change(change: &RootChange) -> String {
    if change.is_empty() {
        return "no difference".to_owned();
    }
    let lists = [
        ("added", &change.added),
        ("ended", &change.ended),
        ("changed", &change.changed),
        ("REMOVED", &change.removed),
        ("IN FORCE AGAIN", &change.reopened),
    ];
    let rows = lists.iter().flat_map(|(what, list)| {
        list.iter().map(|anchor| std::iter::once((*what).to_owned()).chain(row(anchor)).collect())
    });
    human::table(&rows.collect::<Vec<Vec<String>>>()).trim_end().to_owned()
}

/// Returns what was accepted, and what to do with it.
pub fn accepted(accepted: &Accepted) -> String {
    let record = &accepted.record;
    let file = accepted.file.display();
    let differs = match &accepted.change {
        Some(differs) => format!("{}\n", change(differs)),
        None => String::new(),
    };
    format!(
        "{differs}{file} is number {} of {:?}, accepted at {}\n{}",
        record.sequence, record.name, record.accepted, record.sha256
    )
}
