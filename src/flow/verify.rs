//! Checks a bundle offline: every byte, the author's signature, and every artifact under a policy.

use super::context::Context;
use super::error::{FlowError, Refusal};
use super::import::Medium;
use super::judge_again::judge_again;
use super::notices::notices;
use super::opened::{DeltaFacts, Opened, authenticate, open};
use super::unknowable::{clock_doubts, not_known};
use super::volume_list::{Checksums, Heard};
use crate::bundle::{Checked, Input, Protection, VolumeSet, check, parity_at_hand, volume_marks};
use crate::document::countersignature::Mark;
use crate::document::evidence::BundleEvidence;
use crate::model::event::Stage;
use crate::model::evidence::{FindingClass, Severity};
use crate::model::spoken::Spoken;
use crate::model::{Digest, Event, Finding};
use crate::trust::{Approval, Authors, Judge};
use serde::Serialize;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};

/// What is checked.
pub struct Request<'a> {
    /// Volumes, or a stream.
    pub from: Medium,
    /// Whose signature is accepted.
    pub authors: &'a Authors,
    /// Policy of whoever checks; `None` leaves it at bytes and the author's signature.
    pub judge: Option<&'a Judge>,
    /// Checksums of volumes, or of all of them, that somebody was told.
    pub told: &'a [Spoken],
}

/// Outcome of a verification.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Verified {
    /// What the bundle is, where its head could be read.
    pub bundle: Option<Digest>,
    /// Who signed, or why it would be accepted without.
    pub authenticity: Option<String>,
    /// Digest of the author's envelope, where there is one.
    pub signature: Option<Digest>,
    /// Keys of authors that count, sorted.
    pub accepted: Vec<Digest>,
    /// Each signature over the bundle by itself.
    pub signatures: Vec<Mark>,
    /// Artifacts that it carries.
    pub artifacts: usize,
    /// Bytes that were read and checked.
    pub bytes: u64,
    /// Volumes that were checked.
    pub volumes: usize,
    /// How much damage would be survived, where there are parity volumes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub parity: Option<Protection>,
    /// What the checksums that were told are those of.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub heard: Vec<Heard>,
    /// What it leaves out, where it is a delta.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub delta: Option<DeltaFacts>,
    /// Evidence found, where a policy was given.
    pub evidence: Option<BundleEvidence>,
    /// Everything that is wrong, worst first, and what is worth knowing.
    pub findings: Vec<Finding>,
    /// What this verdict cannot say, where artifacts were judged: there is no network to ask.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub not_known: Vec<String>,
}

impl Verified {
    /// Returns whether nothing is wrong.
    pub fn holds(&self) -> bool {
        self.errors() == 0
    }

    /// Returns how many findings are errors.
    pub fn errors(&self) -> u64 {
        self.findings.iter().filter(|finding| finding.severity == Severity::Error).count() as u64
    }
}

/// Verifies a bundle and lists everything that is wrong with it.
pub fn verify(request: Request<'_>, context: &Context<'_>) -> Result<Verified, FlowError> {
    match request.from {
        Medium::Files(files) => {
            context.tell(Event::Started { stage: Stage::Verify, items: files.len() as u64, bytes: bytes(&files) });
            let seen = AtomicU64::new(0);
            let moved = |bytes| {
                seen.fetch_add(bytes, Ordering::Relaxed);
                context.tell(Event::Moved { stage: Stage::Verify, bytes });
            };
            let checked = check(Input::Files(files.clone()), context.threads, &moved);
            context.tell(Event::Finished { stage: Stage::Verify });
            let head = checked.papers.as_ref().map(|_| open(Input::Files(files.clone()), &Authors::anyone()));
            let volumes = files.len().saturating_sub(checked.countersignatures.len() + checked.parity_files);
            let seen = Seen { bytes: seen.into_inner(), volumes };
            let (heard, strange) = compare(&checked, &files, request.told);
            let mut verified = report(checked, head, seen, request.authors, request.judge);
            verified.heard = heard;
            verified.findings.extend(strange);
            verified.findings.sort_by(|a, b| b.severity.cmp(&a.severity).then_with(|| a.cmp(b)));
            advise_repair(&mut verified.findings, &files);
            Ok(verified)
        }
        Medium::Stream(_) if !request.told.is_empty() => {
            Err(FlowError::Usage("the volumes of a stream are not looked at one by one; name their files".to_owned()))
        }
        Medium::Stream(stream) => pass(Input::Stream(stream), request.authors, request.judge, context),
    }
}

/// Compares what was told with what the volumes state of themselves; that it is true was checked.
fn compare(checked: &Checked, files: &[PathBuf], told: &[Spoken]) -> (Vec<Heard>, Vec<Finding>) {
    let Some(bundle) = checked.bundle_id.clone().filter(|_| !told.is_empty()) else { return Default::default() };
    let volumes = volume_marks(files);
    let checksums = match &checked.summary {
        Some(summary) => Checksums::of_set(&VolumeSet { bundle, set_id: summary.set_id, volumes }),
        None => Checksums::of_volumes(&volumes, &bundle),
    };
    checksums.compare(told)
}

fn bytes(files: &[PathBuf]) -> u64 {
    files.iter().filter_map(|file| std::fs::metadata(file).ok()).map(|meta| meta.len()).sum()
}

/// What was read.
struct Seen {
    bytes: u64,
    volumes: usize,
}

fn report(
    checked: Checked,
    head: Option<Result<Opened, FlowError>>,
    seen: Seen,
    authors: &Authors,
    judge: Option<&Judge>,
) -> Verified {
    let mut verified = Verified {
        bundle: checked.bundle_id.clone(),
        authenticity: None,
        signature: checked.envelope.as_deref().map(Digest::of),
        accepted: Vec::new(),
        signatures: Vec::new(),
        artifacts: 0,
        bytes: seen.bytes,
        volumes: seen.volumes,
        parity: checked.parity,
        heard: Vec::new(),
        delta: None,
        evidence: None,
        findings: checked.findings,
        not_known: Vec::new(),
    };
    if let Some(statement) = &checked.statement {
        let approval = authenticate(statement, checked.envelope.as_deref(), &checked.countersignatures, authors);
        author(&mut verified, approval);
    }
    match head {
        Some(Ok(opened)) => {
            verified.artifacts = opened.shipment.lock.artifacts.len();
            verified.delta = opened.delta();
            policy(&mut verified, &opened, judge);
        }
        Some(Err(error)) if verified.holds() => verified.findings.push(content(&error)),
        Some(Err(_)) | None => {}
    }
    verified
}

/// What a person can do who sees a bundle refused for its signatures.
pub const AUTHORS_HINT: &str = "the keys of authors are given with --bundle-key, or in the section bundle of a policy; \
     --allow-unsigned-bundle takes a bundle without them; a countersignature is a file that is named beside the volumes";

fn author(verified: &mut Verified, approval: Approval) {
    (verified.accepted, verified.signatures) = (approval.accepted, approval.marks);
    match approval.decision {
        Ok(words) => verified.authenticity = Some(words),
        Err(why) => {
            let finding = Finding::error(FindingClass::Policy, "signature of the bundle", why);
            verified.findings.push(finding.with_hint(AUTHORS_HINT));
        }
    }
}

fn policy(verified: &mut Verified, opened: &Opened, judge: Option<&Judge>) {
    let Some(judge) = judge else { return };
    verified.not_known = not_known(judge);
    verified.findings.extend(clock_doubts(judge, &opened.shipment.evidence));
    match judge_again(&opened.shipment, judge) {
        Ok(evidence) => {
            verified.findings.extend(notices(&opened.shipment.lock, &evidence));
            verified.evidence = Some(evidence);
        }
        Err(FlowError::Refused(refusals)) => verified.findings.extend(refusals.into_iter().map(refused)),
        Err(error) => verified.findings.push(content(&error)),
    }
}

fn refused(refusal: Refusal) -> Finding {
    let what = format!("{} (decided by {})", refusal.reason, refusal.rule);
    Finding::error(FindingClass::Policy, refusal.item, what).with_hint(refusal.hint)
}

fn content(error: &FlowError) -> Finding {
    Finding::error(FindingClass::Integrity, "content of the bundle", error.to_string())
}

/// What a person can do whose bundle is damaged where parity volumes are at hand.
pub const REPAIR_HINT: &str =
    "parity volumes are at hand: `airlift repair` with the same volumes makes lost and damaged ones again";

/// Says at findings of damage that it can be repaired, where parity volumes are at hand.
fn advise_repair(findings: &mut [Finding], files: &[std::path::PathBuf]) {
    let is_damage = |finding: &&mut Finding| {
        finding.severity == Severity::Error && matches!(finding.class, FindingClass::Integrity | FindingClass::Media)
    };
    let mut damage = findings.iter_mut().filter(is_damage).peekable();
    if damage.peek().is_some() && parity_at_hand(files).is_some() {
        damage.for_each(|finding| REPAIR_HINT.clone_into(&mut finding.hint));
    }
}

/// Verifies a stream in one pass; what comes after a damage cannot be placed, so the first one ends it.
fn pass(input: Input, authors: &Authors, judge: Option<&Judge>, context: &Context<'_>) -> Result<Verified, FlowError> {
    context.tell(Event::Started { stage: Stage::Verify, items: 0, bytes: 0 });
    let mut opened = open(input, authors)?;
    let mut verified = Verified {
        bundle: Some(opened.bundle_id.clone()),
        authenticity: Some(opened.authenticity.clone()),
        signature: opened.reader.envelope().map(Digest::of),
        accepted: opened.accepted.clone(),
        signatures: opened.signatures.clone(),
        artifacts: opened.shipment.lock.artifacts.len(),
        bytes: 0,
        volumes: 0,
        parity: None,
        heard: Vec::new(),
        delta: opened.delta(),
        evidence: None,
        findings: Vec::new(),
        not_known: Vec::new(),
    };
    policy(&mut verified, &opened, judge);
    let mut next = opened.first.take();
    while next.is_some() {
        context.go_on()?;
        while let Some(piece) = opened.reader.chunk()? {
            context.tell(Event::Moved { stage: Stage::Verify, bytes: piece.len() as u64 });
        }
        next = opened.reader.next()?;
    }
    let summary = opened.reader.finish()?;
    (verified.bytes, verified.volumes) = (summary.bytes, summary.volumes as usize);
    context.tell(Event::Finished { stage: Stage::Verify });
    Ok(verified)
}
