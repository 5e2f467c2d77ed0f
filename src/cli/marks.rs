//! Shows each signature over a bundle: who, what was found of it, when by their own word, and the report they name.

use super::human;
use super::output::Output;
use crate::document::countersignature::{Mark, MarkRole};
use crate::model::Verdict;
use crate::model::fault::printable;

/// Shows a table; nothing where there are no signatures.
pub fn show(marks: &[Mark], output: &Output) {
    if marks.is_empty() {
        return;
    }
    let mut rows = vec![["SIGNED AS", "WHO", "JUDGED", "TIME (CLAIMED)", "REPORT"].map(str::to_owned).to_vec()];
    rows.extend(marks.iter().map(row));
    output.result(human::table(&rows).trim_end());
}

fn row(mark: &Mark) -> Vec<String> {
    let role = match mark.role {
        MarkRole::Author => "author",
        MarkRole::Countersigner => "countersigner",
    };
    let verdict = match mark.verdict {
        Verdict::Good => "good".to_owned(),
        Verdict::Unknown => format!("unknown: {}", mark.reason),
        Verdict::Bad => format!("BAD: {}", mark.reason),
    };
    let key = mark.key.strip_prefix("sha256:").map_or(mark.key.as_str(), |hex| hex.get(..12).unwrap_or(hex));
    let who = mark.name.as_ref().map_or(format!("key {key}"), |name| format!("{name}, key {key}"));
    let says = mark.says.as_deref();
    let time = says.map(|says| printable(&says.claimed_time)).unwrap_or_default();
    let report = says.and_then(|says| says.report.as_ref()).map(|report| {
        let name = report.name.as_deref().unwrap_or("by digest");
        format!("{} {}", printable(name), report.digest.short())
    });
    vec![role.to_owned(), printable(&who), verdict, time, report.unwrap_or_default()]
}
