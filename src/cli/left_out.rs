//! Shows what a delta leaves out, and by whose word.

use super::human;
use super::output::Output;
use crate::document::base::BasePaper;
use crate::flow::DeltaFacts;
use crate::model::Digest;

/// Shows the facts of a delta, where it is one.
pub fn show(delta: Option<&DeltaFacts>, output: &Output) {
    let Some(delta) = delta else { return };
    match &delta.supplements {
        Some(bundle) => output.result(format!("a supplement: it completes bundle {bundle}")),
        None => output.result("a delta"),
    }
    for site in &delta.sites {
        output.result(format!("  for {}", site.name));
        site.papers.iter().for_each(|paper| output.result(format!("    by {}", line(paper))));
    }
    output.result(format!(
        "left out: {}, {}; only the destination can say whether they are there, and import asks it for each",
        human::count(delta.omitted_blobs, "blob"),
        human::bytes(delta.omitted_bytes)
    ));
}

fn line(paper: &BasePaper) -> String {
    let mut words = vec![format!("a {}", paper.kind.name())];
    words.extend(paper.destination.as_ref().map(|place| format!("of {place}")));
    words.extend(paper.bundle.as_ref().map(|bundle| format!("about bundle {}", bundle.short())));
    words.extend(paper.finished.as_ref().map(|time| format!("ended {time} (claimed)")));
    words.extend(paper.digest.as_ref().map(|digest| format!("({})", digest.short())));
    if !paper.keys.is_empty() {
        let keys: Vec<String> = paper.keys.iter().map(Digest::short).collect();
        words.push(format!("signed by key {}", keys.join(" and ")));
    }
    words.join(" ")
}
