//! Checks volumes one by one as they arrive, without the rest of their set.

use super::context::Context;
use super::opened::authenticate;
use super::verify::AUTHORS_HINT;
use super::volume_list::{Checksums, Heard, spoken};
use crate::bundle::{CheckedVolume, check_volume};
use crate::model::digest::hex;
use crate::model::event::Stage;
use crate::model::evidence::{FindingClass, Severity};
use crate::model::spoken::Spoken;
use crate::model::{Digest, Event, Finding};
use crate::trust::Authors;
use serde::Serialize;
use std::path::PathBuf;

/// What is checked.
pub struct Request<'a> {
    /// Files, each a volume.
    pub files: Vec<PathBuf>,
    /// Whose signature is accepted; without any, signatures are not judged here.
    pub authors: &'a Authors,
    /// Checksums that somebody was told.
    pub told: &'a [Spoken],
}

/// Outcome for one volume.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct VerifiedVolume {
    /// File.
    pub file: PathBuf,
    /// Whether every byte is as it was written, and nothing else is wrong.
    pub intact: bool,
    /// Number from 1, where the header could be read.
    pub number: Option<u32>,
    /// Volumes of the set, where this volume says so.
    pub total: Option<u32>,
    /// Bundle that it says it belongs to.
    pub bundle: Option<Digest>,
    /// Cut that it says it belongs to, in hex.
    pub set: Option<String>,
    /// Bytes of the file.
    pub bytes: u64,
    /// Checksum to be read aloud, where the table is intact.
    pub checksum: Option<Spoken>,
    /// Who signed the bundle, where this volume can tell and somebody is accepted.
    pub authenticity: Option<String>,
    /// What this volume alone cannot tell.
    pub not_told: Vec<String>,
    /// Everything that is wrong.
    pub findings: Vec<Finding>,
}

/// Outcome for all of them.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct VerifiedVolumes {
    /// Each volume, in the order of the files.
    pub volumes: Vec<VerifiedVolume>,
    /// What the checksums that were told are those of.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub heard: Vec<Heard>,
    /// What is wrong with those.
    pub findings: Vec<Finding>,
}

impl VerifiedVolumes {
    /// Returns everything that is wrong.
    pub fn all_findings(&self) -> Vec<Finding> {
        self.volumes.iter().flat_map(|volume| &volume.findings).chain(&self.findings).cloned().collect()
    }
}

/// Checks each file alone.
pub fn verify_volumes(request: Request<'_>, context: &Context<'_>) -> VerifiedVolumes {
    let bytes = request.files.iter().filter_map(|file| std::fs::metadata(file).ok()).map(|meta| meta.len()).sum();
    context.tell(Event::Started { stage: Stage::Verify, items: request.files.len() as u64, bytes });
    let moved = |bytes| context.tell(Event::Moved { stage: Stage::Verify, bytes });
    let checked: Vec<CheckedVolume> = request.files.iter().map(|file| check_volume(file, &moved)).collect();
    context.tell(Event::Finished { stage: Stage::Verify });
    let mut known = Checksums { known: Vec::new() };
    for one in &checked {
        if let (Some(name), Some(mark)) = (&one.name, &one.mark) {
            known.known.extend(Checksums::of_volumes(std::slice::from_ref(mark), &name.bundle).known);
        }
    }
    let (heard, findings) = known.compare(request.told);
    let volumes = checked.into_iter().map(|one| verdict(one, request.authors)).collect();
    VerifiedVolumes { volumes, heard, findings }
}

fn verdict(checked: CheckedVolume, authors: &Authors) -> VerifiedVolume {
    let CheckedVolume { path, name, mark, head, mut findings } = checked;
    let mut not_told = Vec::new();
    let mut authenticity = None;
    match (&head, authors.knows_somebody()) {
        (Some((statement, envelope)), true) => {
            match authenticate(statement, envelope.as_deref(), &[], authors).decision {
                Ok(words) => authenticity = Some(words),
                Err(why) => {
                    let finding = Finding::error(FindingClass::Policy, "signature of the bundle", why);
                    findings.push(finding.with_hint(AUTHORS_HINT));
                }
            }
        }
        (Some(_), false) => not_told.push("who signed the bundle: no key was given with --bundle-key".to_owned()),
        (None, _) => not_told.push("who signed the bundle: the signature is at the start of volume 1".to_owned()),
    }
    not_told.push("whether blobs that go over the end of a volume are whole: that takes all volumes".to_owned());
    not_told.extend(others(name.as_ref().map(|name| (name.number, name.total))));
    VerifiedVolume {
        intact: findings.iter().all(|finding| finding.severity != Severity::Error),
        number: name.as_ref().map(|name| name.number),
        total: name.as_ref().and_then(|name| name.total),
        set: name.as_ref().map(|name| hex(&name.set_id)),
        bundle: name.map(|name| name.bundle),
        bytes: mark.as_ref().map_or(0, |mark| mark.bytes),
        checksum: mark.as_ref().and_then(spoken),
        file: path,
        authenticity,
        not_told,
        findings,
    }
}

/// Says which volumes of the set were not looked at.
fn others(name: Option<(u32, Option<u32>)>) -> Option<String> {
    let list = match name? {
        (_, Some(1)) => return None,
        (2, Some(2)) => "volume 1".to_owned(),
        (1, Some(2)) => "volume 2".to_owned(),
        (number, Some(total)) => format!("the {} others of {total} volumes than {number}", total.saturating_sub(1)),
        (number, None) => format!("any other volume than {number}, and how many there are"),
    };
    Some(format!("{list}: only this one was looked at"))
}
