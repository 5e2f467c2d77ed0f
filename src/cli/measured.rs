//! Shows what a run would come to: sizes, room and times, for people and for programs.

use super::error::{CliError, DESTINATION, DONE};
use super::human;
use super::output::{Form, Output};
use crate::bundle::Range;
use crate::flow::{Estimate, Room, shortage};
use serde_json::{Value, json};

/// Shows an estimate; fails as the run itself would where there is no room.
pub fn measured(estimate: &Estimate, rate: Option<u64>, form: Form, output: &Output) -> Result<u8, CliError> {
    output.findings(&estimate.findings);
    match form {
        Form::Json => output.json(&document(estimate, rate)),
        Form::Table => output.result(human::table(&rows(estimate, rate)).trim_end()),
    }
    if let Some(doubt) = estimate.room.as_ref().map(shortage).transpose()?.flatten() {
        output.note(format!("warning: {doubt}"));
    }
    let problems = estimate.landing.as_ref().map_or(&[][..], |landing| &landing.problems);
    output.findings(problems);
    Ok(if problems.is_empty() { DONE } else { DESTINATION })
}

fn rows(estimate: &Estimate, rate: Option<u64>) -> Vec<Vec<String>> {
    let bytes = estimate.bundle.bytes;
    let mut rows = vec![
        vec!["artifacts".to_owned(), estimate.artifacts.to_string()],
        vec!["objects".to_owned(), estimate.objects.to_string()],
        vec!["to fetch".to_owned(), size(Range { least: estimate.payload, most: estimate.payload })],
        vec!["bundle".to_owned(), size(bytes)],
        vec!["volumes".to_owned(), span(estimate.bundle.volumes, |n| n.to_string())],
    ];
    if let Some((volumes, bytes)) = estimate.parity {
        rows.push(vec!["parity".to_owned(), format!("{} in {}", human::bytes(bytes), human::count(volumes, "volume"))]);
    }
    if let Some(Room { folder, available, .. }) = &estimate.room {
        rows.push(vec!["room".to_owned(), format!("{} in {}", human::bytes(*available), folder.display())]);
    }
    if let Some(landing) = &estimate.landing {
        let (n, bytes) = (human::count(landing.artifacts as u64, "artifact"), human::bytes(landing.bytes));
        rows.push(vec!["to send".to_owned(), format!("{bytes} for {n} to {}", landing.destination)]);
    }
    for (what, bytes) in times(estimate).into_iter().filter(|_| rate.is_some()) {
        let time = |n: u64| human::seconds(n.div_ceil(rate.unwrap_or(1)));
        rows.push(vec![format!("time to {what}"), span(bytes, time)]);
    }
    rows
}

/// Returns what takes time, with its bytes.
fn times(estimate: &Estimate) -> Vec<(&'static str, Range)> {
    let exactly = |bytes| Range { least: bytes, most: bytes };
    let send = estimate.landing.as_ref().map(|landing| ("send", exactly(landing.bytes)));
    let beside = estimate.parity.map_or(0, |(_, bytes)| bytes);
    let Range { least, most } = estimate.bundle.bytes;
    let carry = Range { least: least + beside, most: most.saturating_add(beside) };
    [("fetch", exactly(estimate.payload)), ("carry", carry)].into_iter().chain(send).collect()
}

fn size(range: Range) -> String {
    let text = span(range, human::bytes);
    if range.is_exact() && range.least >= 1024 { format!("{text} ({} bytes)", range.least) } else { text }
}

fn span(range: Range, show: impl Fn(u64) -> String) -> String {
    if range.is_exact() { show(range.least) } else { format!("{} to {}", show(range.least), show(range.most)) }
}

fn document(estimate: &Estimate, rate: Option<u64>) -> Value {
    let range = |range: Range| json!({ "least": range.least, "most": range.most });
    let mut document = json!({
        "artifacts": estimate.artifacts, "objects": estimate.objects, "payloadBytes": estimate.payload,
        "bundleBytes": range(estimate.bundle.bytes), "volumes": range(estimate.bundle.volumes),
    });
    if let Some((volumes, bytes)) = estimate.parity {
        document["parity"] = json!({ "volumes": volumes, "bytes": bytes });
    }
    if let Some(Room { folder, needed, most, available }) = &estimate.room {
        document["room"] = json!({ "folder": folder, "neededBytes": range(Range { least: *needed, most: *most }), "availableBytes": available });
    }
    if let Some(landing) = &estimate.landing {
        document["import"] = json!({
            "destination": landing.destination, "artifacts": landing.artifacts, "bytesToSend": landing.bytes, "problems": landing.problems,
        });
    }
    if let Some(rate) = rate {
        let seconds = |bytes: Range| json!({ "least": bytes.least.div_ceil(rate), "most": bytes.most.div_ceil(rate) });
        let times = times(estimate).into_iter().map(|(what, bytes)| (what.to_owned(), seconds(bytes)));
        document["seconds"] = Value::Object(times.collect());
    }
    document
}
