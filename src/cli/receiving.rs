//! Arguments that name a destination, and how an arrival is reported.

use super::connect::Connecting;
use super::environment::Environment;
use super::error::{CliError, DESTINATION, PARTLY};
use super::human;
use super::output::{Form, Output};
use crate::document::receipt::{Arrival, Outcome, Receipt};
use crate::flow::{DeliveryPlan, Imported, Mode, Prefix, check_publishable, publish_signed};
use crate::model::port::Destination;
use crate::registry::Remote;
use crate::store::{LayoutFolder, OpenError};
use crate::trust::{RECEIPT_STATEMENT, SigningKey};
use std::path::{Path, PathBuf};

/// Where a delivery goes, and what is written about it.
#[derive(clap::Args)]
pub struct Receiving {
    /// Destination: `HOST[:PORT][/PREFIX]` of a registry, or `oci:FOLDER` for an OCI layout
    #[arg(long, value_name = "DESTINATION")]
    to: String,
    /// Create projects that do not exist (Harbor)
    #[arg(long)]
    create_projects: bool,
    /// Print the plan and write nothing
    #[arg(long)]
    dry_run: bool,
    /// Write the receipt to this file; with --sign-key its signature stands beside it, with .sig behind the name
    #[arg(long, value_name = "FILE")]
    receipt: Option<PathBuf>,
}

/// An opened destination.
pub enum Place {
    /// A registry.
    Registry(Box<Remote>, Prefix),
    /// A folder.
    Folder {
        /// The layout in it.
        layout: Box<LayoutFolder>,
        /// Host and prefix of its names.
        prefix: Prefix,
        /// Stands in for a folder that does not exist yet in a dry run, and goes away with this.
        _stand_in: Option<tempfile::TempDir>,
    },
}

impl Place {
    /// Returns the port.
    pub fn destination(&self) -> &dyn Destination {
        match self {
            Self::Registry(remote, _) => &**remote,
            Self::Folder { layout, .. } => &**layout,
        }
    }

    /// Returns the host and the prefix.
    pub const fn prefix(&self) -> &Prefix {
        match self {
            Self::Registry(_, prefix) | Self::Folder { prefix, .. } => prefix,
        }
    }
}

impl Receiving {
    /// Opens the destination. A receipt that could not be written is an error before anything is sent.
    pub fn place(&self, connecting: &Connecting, environment: &Environment) -> Result<Place, CliError> {
        if let Some(path) = self.receipt.as_deref().filter(|_| !self.dry_run) {
            check_publishable(path)?;
        }
        open_place(&self.to, self.dry_run, connecting, environment)
    }

    /// Returns how the delivery is meant.
    pub const fn mode(&self) -> Mode {
        Mode { create_projects: self.create_projects, dry_run: self.dry_run }
    }
}

/// Opens the destination `to`; in a dry run a folder that is not there is not made.
pub fn open_place(
    to: &str,
    dry_run: bool,
    connecting: &Connecting,
    environment: &Environment,
) -> Result<Place, CliError> {
    if let Some(folder) = to.strip_prefix("oci:").map(Path::new) {
        let prefix = Prefix::parse("layout")?;
        let stand_in = (dry_run && !folder.exists()).then(tempfile::tempdir).transpose();
        let stand_in = stand_in.map_err(|error| CliError::file(Path::new("the temporary folder"), &error))?;
        let path = stand_in.as_ref().map_or(folder, tempfile::TempDir::path);
        let layout = open_folder(path)?;
        let layout = Box::new(if stand_in.is_some() { layout.measuring(folder) } else { layout });
        return Ok(Place::Folder { layout, prefix, _stand_in: stand_in });
    }
    if to.starts_with("oci-archive:") || to.starts_with("docker-archive:") {
        let what = format!("{to}: an archive is written at one stroke, not filled like a registry");
        return Err(CliError::usage(what).with_hint(format!("airlift unpack BUNDLE --to {to}")));
    }
    let prefix = Prefix::parse(to).map_err(|error| {
        CliError::from(error).with_hint("a registry is named HOST[:PORT][/PREFIX], a folder oci:FOLDER")
    })?;
    Ok(Place::Registry(Box::new(connecting.remote(environment)?), prefix))
}

fn open_folder(path: &Path) -> Result<LayoutFolder, CliError> {
    LayoutFolder::open(path).map_err(|error| {
        let code = if matches!(error, OpenError::Busy(_)) { PARTLY } else { DESTINATION };
        let causes = std::error::Error::source(&error).map(ToString::to_string).into_iter().collect();
        CliError { causes, code, ..CliError::usage(error.to_string()) }
    })
}

/// Shows what came of a delivery, writes the receipt, and fails where the run failed.
pub fn report(
    imported: Imported,
    (receiving, keys): (&Receiving, &[SigningKey]),
    form: Form,
    output: &Output,
) -> Result<(), CliError> {
    output.findings(&imported.findings);
    let Some(receipt) = &imported.receipt else {
        match form {
            Form::Json => output.json(&imported.plan),
            Form::Table => show_plan(&imported.plan, output),
        }
        return Ok(());
    };
    let publish = |path: &PathBuf| publish_signed(path, &receipt.to_bytes(), RECEIPT_STATEMENT, keys);
    let written = receiving.receipt.as_ref().map_or(Ok(()), publish);
    match form {
        Form::Json => output.json(receipt),
        Form::Table => show(receipt, output),
    }
    match imported.failure {
        Some(failure) => {
            Err(CliError::from(failure).with_hint("run the same command again: what has arrived is not sent again"))
        }
        None => Ok(written?),
    }
}

fn show_plan(plan: &DeliveryPlan, output: &Output) {
    let state = |present| if present { "already there" } else { "to import" };
    let rows: Vec<Vec<String>> = plan
        .artifacts
        .iter()
        .map(|artifact| vec![state(artifact.present).to_owned(), artifact.destination.clone()])
        .collect();
    output.result(human::table(&rows).trim_end());
    let artifacts = human::count(plan.missing() as u64, "artifact");
    let blobs = plan.blobs.iter().filter(|blob| blob.present_in.is_none()).count();
    let bytes = human::bytes(plan.bytes_to_send());
    output.result(format!("would import {artifacts}: {bytes} in {}", human::count(blobs as u64, "blob")));
}

fn show(receipt: &Receipt, output: &Output) {
    let rows: Vec<Vec<String>> = receipt.artifacts.iter().map(row).collect();
    output.result(human::table(&rows).trim_end());
    let moved = &receipt.moved;
    output.result(format!(
        "sent {} in {}, mounted {}, {} written",
        human::bytes(moved.bytes_sent),
        human::count(moved.blobs_sent, "blob"),
        moved.blobs_mounted,
        human::count(moved.documents_sent, "document"),
    ));
    let arrived = receipt.artifacts.iter().filter(|a| a.outcome.is_there()).count() as u64;
    let whole = if receipt.complete { "complete" } else { "NOT complete" };
    let total = human::count(receipt.artifacts.len() as u64, "artifact");
    output.result(format!("{whole}: {arrived} of {total} at {} ({})", receipt.destination, receipt.product));
    output.result(&receipt.authenticity);
}

fn row(arrival: &Arrival) -> Vec<String> {
    let word = match &arrival.outcome {
        Outcome::Imported => "imported",
        Outcome::AlreadyThere => "already there",
        Outcome::Waiting => "waits",
        Outcome::Failed { .. } => "FAILED",
    };
    let with = match arrival.attached.len() {
        0 => String::new(),
        n => format!("with {}", human::count(n as u64, "attachment")),
    };
    vec![word.to_owned(), arrival.destination.clone(), arrival.digest.short(), with]
}
