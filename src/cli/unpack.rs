//! `airlift unpack`

use super::environment::Environment;
use super::error::{CliError, DONE};
use super::human;
use super::loading::{Loading, own_platform, platform, show_left_out};
use super::output::{Form, Output};
use crate::flow::{ArchiveOutcome, Context, Shape, UnpackRequest, Unpacked, unpack};
use crate::model::Platform;
use std::path::{Path, PathBuf};

/// Write a bundle as one archive that other tools read
///
/// `oci-archive:FILE` holds everything as it stands in the bundle, signatures included: for skopeo, podman, oras, ctr.
/// `docker-archive:FILE` holds images of one platform: for `docker load` and podman. The file gets its name only when
/// all of it is verified; equal bundles give equal files.
#[derive(clap::Args)]
pub struct Arguments {
    #[command(flatten)]
    loading: Loading,
    /// File to write: `oci-archive:FILE` or `docker-archive:FILE`
    #[arg(long, value_name = "ARCHIVE")]
    to: String,
    /// Platform of the images [default: every platform in an OCI archive, this machine's in a Docker archive]
    #[arg(long, value_name = "OS/ARCH[/VARIANT]", value_parser = platform)]
    platform: Option<Platform>,
    /// Leave out charts and other artifacts, and what is attached to images
    #[arg(long)]
    images_only: bool,
    /// Print what would be written and write nothing
    #[arg(long)]
    dry_run: bool,
    /// Form of the result
    #[arg(short, long, value_name = "FORM", default_value = "table")]
    output: Form,
}

/// Unpacks.
pub fn run(arguments: Arguments, environment: &Environment, output: &Output) -> Result<u8, CliError> {
    let (shape, file) = target(&arguments.to)?;
    let own = (shape == Shape::Docker).then(own_platform);
    let mut choice = arguments.loading.choice(arguments.platform.clone().or(own))?;
    choice.images_only = arguments.images_only;
    let trusted = arguments.loading.trusted()?;
    let progress = output.progress();
    let context = Context { events: &progress, threads: 1, stop: &environment.stop };
    let from = arguments.loading.from(&trusted)?;
    let request = UnpackRequest { from, file: &file, shape, choice: &choice, dry_run: arguments.dry_run };
    let unpacked = unpack(request, &context)?;
    output.findings(&unpacked.findings);
    output.findings(&unpacked.plan.findings);
    match arguments.output {
        Form::Json => output.json(&serde_json::json!({
            "bundle": unpacked.bundle, "authenticity": unpacked.authenticity, "file": file,
            "outcome": unpacked.outcome, "bytes": unpacked.bytes,
            "items": unpacked.plan.items, "leftOut": unpacked.plan.left_out,
        })),
        Form::Table => show(&unpacked, &file, output),
    }
    Ok(DONE)
}

fn target(text: &str) -> Result<(Shape, PathBuf), CliError> {
    let (shape, file) = match text.split_once(':') {
        Some(("oci-archive", file)) => (Shape::Whole, file),
        Some(("docker-archive", file)) => (Shape::Docker, file),
        _ => {
            let hint = "oci-archive:FILE, docker-archive:FILE; a layout in a folder is an import: --to oci:FOLDER";
            return Err(CliError::usage(format!("{text:?} is no archive to write")).with_hint(hint));
        }
    };
    if Path::new(file).file_name().is_none() {
        return Err(CliError::usage(format!("{text:?} names no file")));
    }
    Ok((shape, PathBuf::from(file)))
}

fn show(unpacked: &Unpacked, file: &Path, output: &Output) {
    let word = match unpacked.outcome {
        ArchiveOutcome::Planned => "to write",
        ArchiveOutcome::Written => "written",
        ArchiveOutcome::AlreadyThere => "already there",
    };
    let row = |item: &crate::flow::LoadItem| {
        let name = item.names.first().cloned().unwrap_or_else(|| item.source.to_string());
        vec![word.to_owned(), name, item.digest.short(), human::bytes(item.bytes)]
    };
    let rows: Vec<Vec<String>> = unpacked.plan.items.iter().map(row).collect();
    output.result(human::table(&rows).trim_end());
    show_left_out(&unpacked.plan.left_out, output);
    let count = human::count(rows.len() as u64, "artifact");
    output.result(format!("{word}: {count} in {} ({})", file.display(), human::bytes(unpacked.bytes)));
}
