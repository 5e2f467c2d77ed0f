//! Shows to a person how a policy decided.

use crate::cli::human;
use crate::cli::output::Output;
use crate::flow::{Checked, CheckedArtifact, FoundEvidence};
use crate::model::Verdict;
use crate::model::evidence::EvidenceKind;

/// Shows every decision with its steps, and the sum at the end.
pub fn show(checked: &Checked, output: &Output) {
    for artifact in &checked.artifacts {
        for line in lines(artifact) {
            output.result(line);
        }
        output.result("");
    }
    if let Some(discovery) = &checked.discovery {
        output.note(discovery.note().what);
    }
    let accepted = checked.artifacts.iter().filter(|artifact| artifact.accepted).count();
    output.result(format!("{accepted} of {} accepted", human::count(checked.artifacts.len() as u64, "artifact")));
}

fn lines(artifact: &CheckedArtifact) -> Vec<String> {
    let word = match (artifact.accepted, &artifact.would_refuse) {
        (true, None) => "accepted",
        (true, Some(_)) => "accepted only because of mode: audit",
        (false, _) => "REFUSED",
    };
    let mut lines = vec![format!("{}: {word}", artifact.source), format!("  digest    {}", artifact.digest)];
    lines.extend(under("rule", &rules(artifact)));
    lines.extend(under("evidence", &evidence(artifact)));
    lines.extend(under("demands", &demands(artifact)));
    let mut result = vec![match &artifact.exemption {
        Some(exemption) => format!("exempt until {}: {}", exemption.until, exemption.reason),
        None => artifact.reason.clone(),
    }];
    if !artifact.hint.is_empty() {
        result.push(format!("hint: {}", artifact.hint));
    }
    lines.extend(under("result", &result));
    lines
}

/// Puts a heading before the first of `lines`, and blanks before the others.
fn under(heading: &str, lines: &[String]) -> Vec<String> {
    let head = |at| if at == 0 { heading } else { "" };
    lines.iter().enumerate().map(|(at, line)| format!("  {:<9} {line}", head(at)).trim_end().to_owned()).collect()
}

fn rules(artifact: &CheckedArtifact) -> Vec<String> {
    match artifact.rules.as_slice() {
        [] => vec!["none is about it".to_owned()],
        [only] => vec![format!("{}, the only one about it", only.rule)],
        [first, others @ ..] => {
            let why = if first.specificity > others[0].specificity {
                "its pattern says most"
            } else {
                "it stands first among patterns that say as much"
            };
            let also = others.iter().map(|rule| format!("also about it, and not asked: {}", rule.rule));
            std::iter::once(format!("{}: {why}", first.rule)).chain(also).collect()
        }
    }
}

fn evidence(artifact: &CheckedArtifact) -> Vec<String> {
    if artifact.evidence.is_empty() {
        return vec!["nothing was found beside it".to_owned()];
    }
    artifact.evidence.iter().enumerate().flat_map(|(at, found)| piece(at + 1, found)).collect()
}

fn piece(number: usize, found: &FoundEvidence) -> Vec<String> {
    let record = &found.record;
    let place = match &record.tag {
        Some(tag) => format!("tag {tag}"),
        None => format!("referrer {}", record.source.short()),
    };
    let kind = kind(record.kind);
    let kind = record.predicate_type.as_ref().map_or_else(|| kind.to_owned(), |of| format!("{kind} of type {of}"));
    let verdict = match record.verdict {
        Verdict::Good => "good",
        Verdict::Unknown => "UNKNOWN",
        Verdict::Bad => "BAD",
    };
    let mut lines = vec![format!("{number}. {kind}, {place}: {verdict}")];
    if found.attempts.is_empty() {
        lines.push(format!("   {}", record.reason));
    }
    for attempt in &found.attempts {
        let (mark, reason) = (if attempt.holds { "holds" } else { "no" }, &attempt.reason);
        lines.push(format!("   as {}: {mark}, {reason}", attempt.signer));
    }
    if !record.not_checked.is_empty() {
        lines.push(format!("   not checked: {}", record.not_checked.join(", ")));
    }
    lines
}

const fn kind(kind: EvidenceKind) -> &'static str {
    match kind {
        EvidenceKind::CosignSignature => "cosign signature",
        EvidenceKind::CosignAttestation => "cosign attestation",
        EvidenceKind::SigstoreBundle => "Sigstore bundle",
        EvidenceKind::Notation => "Notation signature",
        EvidenceKind::Sbom => "SBOM",
        EvidenceKind::Other => "document",
    }
}

fn demands(artifact: &CheckedArtifact) -> Vec<String> {
    let line = |step: &crate::trust::DemandStep| {
        let (mark, what, by, why) = (if step.met { "met:" } else { "MISSING:" }, &step.what, &step.by, &step.why);
        format!("{mark} {what} by {by}: {why}")
    };
    artifact.demands.iter().map(line).collect()
}
