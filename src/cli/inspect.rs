//! `airlift inspect`

use super::environment::Environment;
use super::error::{CliError, DONE};
use super::human;
use super::judging::medium;
use super::output::{Form, Output};
use crate::bundle::Input;
use crate::document::evidence::ArtifactEvidence;
use crate::document::lock::LockedArtifact;
use crate::flow::{Medium, Opened, open_bundle};
use crate::model::{Digest, Verdict};
use crate::trust::Authors;
use serde::Serialize;
use std::collections::BTreeSet;
use std::path::PathBuf;

/// Show what a bundle holds, from its head alone
///
/// Nothing is verified here but what the head says of itself; `airlift verify` does.
#[derive(clap::Args)]
pub struct Arguments {
    /// Volumes, folders or globs of volumes; `-` for standard input
    #[arg(value_name = "BUNDLE", required = true)]
    bundle: Vec<PathBuf>,
    /// Form of the result
    #[arg(short, long, value_name = "FORM", default_value = "table")]
    output: Form,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Contents<'a> {
    bundle: &'a Digest,
    signed: bool,
    volumes: Vec<VolumeLine>,
    blobs: usize,
    bytes: u64,
    artifacts: Vec<Line<'a>>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct VolumeLine {
    file: PathBuf,
    bytes: u64,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Line<'a> {
    #[serde(flatten)]
    locked: &'a LockedArtifact,
    bytes: u64,
    evidence: &'a ArtifactEvidence,
}

/// Inspects.
pub fn run(arguments: Arguments, _: &Environment, output: &Output) -> Result<u8, CliError> {
    let (input, files) = match medium(&arguments.bundle)? {
        Medium::Files(files) => (Input::Files(files.clone()), files),
        Medium::Stream(stream) => (Input::Stream(stream), Vec::new()),
    };
    let opened = open_bundle(input, &Authors::anyone())?;
    let contents = contents(&opened, files);
    match arguments.output {
        Form::Json => output.json(&contents),
        Form::Table => show(&contents, output),
    }
    Ok(DONE)
}

fn contents(opened: &Opened, files: Vec<PathBuf>) -> Contents<'_> {
    let volume = |file: PathBuf| VolumeLine { bytes: std::fs::metadata(&file).map_or(0, |meta| meta.len()), file };
    let shipment = &opened.shipment;
    let lines =
        shipment.lock.artifacts.iter().zip(&shipment.evidence.artifacts).enumerate().map(|(at, (locked, evidence))| {
            Line {
                locked,
                bytes: shipment.blobs_of_artifact(at).iter().map(|blob| blob.descriptor.size).sum(),
                evidence,
            }
        });
    let inventory = opened.reader.inventory();
    Contents {
        bundle: &opened.bundle_id,
        signed: opened.reader.envelope().is_some(),
        volumes: files.into_iter().map(volume).collect(),
        blobs: inventory.len(),
        bytes: inventory.iter().map(|record| record.size).sum(),
        artifacts: lines.collect(),
    }
}

fn show(contents: &Contents<'_>, output: &Output) {
    output.result(format!("bundle {}", contents.bundle));
    output.result(if contents.signed { "signed; `airlift verify --bundle-key` checks by whom" } else { "not signed" });
    for volume in &contents.volumes {
        output.result(format!("  {}  {}", volume.file.display(), human::bytes(volume.bytes)));
    }
    let mut rows = vec![["ARTIFACT", "DIGEST", "SIZE", "EVIDENCE", "ACCEPTED BY"].map(str::to_owned).to_vec()];
    rows.extend(contents.artifacts.iter().map(row));
    output.result(human::table(&rows).trim_end());
    let artifacts = human::count(contents.artifacts.len() as u64, "artifact");
    let blobs = human::count(contents.blobs as u64, "blob");
    output.result(format!("{artifacts}, {blobs}, {}", human::bytes(contents.bytes)));
}

fn row(line: &Line<'_>) -> Vec<String> {
    let good = line.evidence.judged.iter().filter(|e| e.verdict == Verdict::Good).count();
    let attached: BTreeSet<&Digest> = line.evidence.attached.iter().map(|a| &a.digest).collect();
    let evidence = match (attached.len(), good) {
        (0, _) => "none".to_owned(),
        (n, good) => format!("{n} carried, {good} good"),
    };
    vec![
        line.locked.source.to_string(),
        line.locked.digest.short(),
        human::bytes(line.bytes),
        evidence,
        line.evidence.rule.clone(),
    ]
}
