//! `airlift generate`

use super::error::{CliError, DONE};
use super::output::Output;
use crate::emit::{Emitted, containerd, flux, k3s, kustomize, references};
use crate::flow::{Prefix, moves, publish};
use clap::Subcommand;
use std::fs;
use std::path::{Path, PathBuf};

/// Write what makes a cluster find in the mirror what it asks for upstream
///
/// Either nodes look in the mirror and manifests stay (containerd, k3s), or references are rewritten (references, kustomize,
/// flux). Nothing that is written holds an account.
#[derive(clap::Args)]
pub struct Arguments {
    /// Lock that was imported
    #[arg(long, value_name = "AIRLIFT.LOCK", default_value = "airlift.lock", global = true)]
    lock: PathBuf,
    /// Destination, as the import named it
    #[arg(long, value_name = "HOST[/PREFIX]")]
    to: String,
    /// Folder that is filled; without it everything is printed
    #[arg(long, value_name = "DIR", global = true)]
    dir: Option<PathBuf>,
    /// The mirror is reached without TLS
    #[arg(long, global = true)]
    plain_http: bool,
    #[command(subcommand)]
    kind: Kind,
}

#[derive(Subcommand)]
enum Kind {
    /// certs.d/HOST/hosts.toml for every source host
    Containerd,
    /// registries.yaml of k3s and RKE2: mirrors with rewrites
    K3s,
    /// Table from old to new references, as JSON and YAML
    References,
    /// Kustomize component that renames images
    Kustomize,
    /// Flux sources (OCIRepository, HelmRepository) that point to the mirror
    Flux {
        /// Namespace of the sources
        #[arg(long, value_name = "NAMESPACE", default_value = "flux-system")]
        namespace: String,
    },
}

/// Writes.
pub fn run(arguments: Arguments, output: &Output) -> Result<u8, CliError> {
    let lock = super::lock::read(&arguments.lock)?;
    let moves = moves(&lock, &Prefix::parse(&arguments.to)?)?;
    let plain_http = arguments.plain_http;
    let emitted = match arguments.kind {
        Kind::Containerd => containerd::emit(&moves, plain_http),
        Kind::K3s => k3s::emit(&moves, plain_http),
        Kind::References => references::emit(&moves),
        Kind::Kustomize => kustomize::emit(&moves),
        Kind::Flux { namespace } => flux::emit(&moves, &flux::Options { namespace, plain_http }),
    };
    for note in &emitted.notes {
        output.note(format!("note: {note}"));
    }
    match &arguments.dir {
        Some(folder) => write(&emitted, folder, output)?,
        None => print(&emitted, output),
    }
    Ok(DONE)
}

fn write(emitted: &Emitted, folder: &Path, output: &Output) -> Result<(), CliError> {
    for file in &emitted.files {
        let path = folder.join(&file.path);
        if let Some(parent) = path.parent() {
            fs::create_dir_all(parent).map_err(|error| CliError::file(parent, &error))?;
        }
        publish(&path, file.text.as_bytes())?;
        output.result(path.display());
    }
    Ok(())
}

/// Prints one file as it is, and of several each behind its name.
fn print(emitted: &Emitted, output: &Output) {
    for file in &emitted.files {
        if emitted.files.len() > 1 {
            output.result(format!("# {}", file.path));
        }
        output.result(file.text.trim_end());
    }
}
