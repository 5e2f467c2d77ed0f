//! `airlift inspect`

use super::authoring::Authoring;
use super::environment::Environment;
use super::error::{CliError, DONE};
use super::human;
use super::judging::medium;
use super::output::{Form, Output};
use crate::bundle::{Protection, VolumeMark};
use crate::document::countersignature::Mark;
use crate::document::evidence::ArtifactEvidence;
use crate::document::lock::LockedArtifact;
use crate::flow::{
    DeltaFacts, Inspected, bill_of_lading, check_publishable, checksum, inspect, publish, set_checksum, volume_list,
};
use crate::model::digest::hex;
use crate::model::spoken::Spoken;
use crate::model::{Digest, Verdict};
use serde::Serialize;
use std::collections::BTreeSet;
use std::path::PathBuf;

/// Show what a bundle holds, from its head alone
///
/// Nothing is verified here but the signatures, and those only where keys are given; `airlift verify` reads every byte.
#[derive(clap::Args)]
pub struct Arguments {
    /// Volumes and countersignatures, folders or globs of them; `-` for standard input
    #[arg(value_name = "BUNDLE", required = true)]
    bundle: Vec<PathBuf>,
    /// Write the bill of lading to this file too: one HTML page that loads nothing from elsewhere
    #[arg(long, value_name = "FILE")]
    html: Option<PathBuf>,
    /// Show the list of volumes alone: to be printed, to label media, and to read its checksums over the phone
    #[arg(long)]
    volumes: bool,
    #[command(flatten)]
    authoring: Authoring,
    /// Form of the result
    #[arg(short, long, value_name = "FORM", default_value = "table")]
    output: Form,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Contents<'a> {
    bundle: &'a Digest,
    signed: bool,
    authenticity: String,
    signatures: &'a [Mark],
    set: String,
    set_checksum: Option<Spoken>,
    volumes: Vec<VolumeLine>,
    #[serde(skip_serializing_if = "Option::is_none")]
    parity: Option<&'a Protection>,
    blobs: usize,
    bytes: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    delta: Option<DeltaFacts>,
    artifacts: Vec<Line<'a>>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct VolumeLine {
    number: u32,
    file: PathBuf,
    bytes: u64,
    checksum: String,
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
    arguments.html.as_deref().map_or(Ok(()), check_publishable)?;
    let inspected = inspect(medium(&arguments.bundle)?, &arguments.authoring.flagged_authors()?)?;
    if let Some(path) = &arguments.html {
        publish(path, bill_of_lading(&inspected).as_bytes())?;
    }
    if arguments.volumes && inspected.volumes.volumes.is_empty() {
        return Err(CliError::usage("the volumes of a stream are not looked at; name their files for --volumes"));
    }
    let contents = contents(&inspected);
    match arguments.output {
        Form::Json => output.json(&contents),
        Form::Table if arguments.volumes => output.result(volume_list(&inspected.volumes).trim_end()),
        Form::Table => show(&contents, output),
    }
    Ok(DONE)
}

fn contents(inspected: &Inspected) -> Contents<'_> {
    let line = |volume: &VolumeMark| {
        let VolumeMark { number, path, bytes, .. } = volume;
        VolumeLine { number: *number, file: path.clone(), bytes: *bytes, checksum: checksum(volume) }
    };
    let opened = &inspected.opened;
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
        authenticity: inspected.authenticity(),
        signatures: &inspected.approval.marks,
        set: hex(&inspected.volumes.set_id),
        set_checksum: set_checksum(&inspected.volumes).filter(|_| !inspected.volumes.volumes.is_empty()),
        volumes: inspected.volumes.volumes.iter().map(line).collect(),
        parity: inspected.parity.as_ref(),
        blobs: inventory.len(),
        bytes: inventory.iter().map(|record| record.size).sum(),
        delta: opened.delta(),
        artifacts: lines.collect(),
    }
}

fn show(contents: &Contents<'_>, output: &Output) {
    output.result(format!("bundle {}", contents.bundle));
    output.result(&contents.authenticity);
    super::marks::show(contents.signatures, output);
    super::left_out::show(contents.delta.as_ref(), output);
    for volume in &contents.volumes {
        output.result(format!("  {}  {}  {}", volume.checksum, volume.file.display(), human::bytes(volume.bytes)));
    }
    contents.parity.iter().for_each(|parity| output.result(human::protection(parity)));
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
        match &line.evidence.would_refuse {
            Some(_) => format!("REFUSED, let pass by mode audit: {}", line.evidence.rule),
            None => line.evidence.rule.clone(),
        },
    ]
}
