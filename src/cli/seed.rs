//! `airlift seed`

use super::environment::Environment;
use super::error::{CliError, DONE};
use super::human;
use super::loading::{Loading, own_platform, platform, show_left_out};
use super::output::{Form, Output};
use crate::flow::{Context, FlowError, Node, Prefix, SeedOutcome, SeedRequest, Seeded, seed};
use crate::model::Platform;
use crate::node::{Ctr, NodeError, check_namespace};
use std::path::PathBuf;

/// Folder from which k3s imports; that of RKE2 is `/var/lib/rancher/rke2/agent/images`.
const K3S: &str = "/var/lib/rancher/k3s/agent/images";

/// Put the images of a bundle onto this node, for a cluster that has no registry yet
///
/// Only what this node's platform needs, under the names by which pods ask for it. Nothing can be seen before it is
/// verified and whole, and a second run sends nothing.
#[derive(clap::Args)]
pub struct Arguments {
    #[command(flatten)]
    loading: Loading,
    #[command(flatten)]
    place: Place,
    /// Platform of the node
    #[arg(long, value_name = "OS/ARCH[/VARIANT]", value_parser = platform)]
    platform: Option<Platform>,
    /// Name the images as an import to this place would, beside the names of their sources
    #[arg(long, value_name = "HOST[:PORT][/PREFIX]")]
    mapped: Option<String>,
    /// Print what would be sent and send nothing
    #[arg(long)]
    dry_run: bool,
    /// Form of the result
    #[arg(short, long, value_name = "FORM", default_value = "table")]
    output: Form,
}

#[derive(clap::Args)]
struct Place {
    /// Into containerd, by its `ctr` program (AIRLIFT_CTR, else the one in PATH); the namespace is the kubelet's
    #[arg(long, value_name = "NAMESPACE", num_args = 0..=1, require_equals = true, default_missing_value = "k8s.io",
          required_unless_present = "k3s", conflicts_with = "k3s")]
    containerd: Option<String>,
    /// containerd's socket [default: that of ctr]; of k3s it is /run/k3s/containerd/containerd.sock
    #[arg(long, value_name = "SOCKET", conflicts_with = "k3s")]
    address: Option<PathBuf>,
    /// Into the folder from which k3s and RKE2 import images
    #[arg(long)]
    k3s: bool,
    /// That folder
    #[arg(long, value_name = "FOLDER", default_value = K3S, conflicts_with = "containerd")]
    images_folder: PathBuf,
}

/// Seeds.
pub fn run(arguments: Arguments, environment: &Environment, output: &Output) -> Result<u8, CliError> {
    let mut choice = arguments.loading.choice(Some(arguments.platform.clone().unwrap_or_else(own_platform)))?;
    choice.mapped = arguments.mapped.as_deref().map(Prefix::parse).transpose()?;
    let trusted = arguments.loading.trusted()?;
    let ctr = arguments.place.ctr(environment)?;
    let node = ctr.as_ref().map_or(Node::Folder(&arguments.place.images_folder), Node::Containerd);
    let progress = output.progress();
    let context = Context { events: &progress, threads: 1, stop: &environment.stop };
    let from = arguments.loading.from(&trusted)?;
    let request = SeedRequest { from, choice: &choice, node, dry_run: arguments.dry_run };
    let seeded = seed(request, &context).map_err(with_hint)?;
    output.findings(&seeded.findings);
    match arguments.output {
        Form::Json => output.json(&seeded),
        Form::Table => show(&seeded, output),
    }
    Ok(DONE)
}

impl Place {
    fn ctr(&self, environment: &Environment) -> Result<Option<Ctr>, CliError> {
        let Some(namespace) = &self.containerd else { return Ok(None) };
        if !check_namespace(namespace) {
            return Err(CliError::usage(format!(
                "{namespace:?} is no namespace of containerd; k8s.io is the kubelet's"
            )));
        }
        let program = environment.program("AIRLIFT_CTR", "ctr").ok_or_else(|| {
            CliError::usage("there is no ctr program in PATH").with_hint(
                "it comes with containerd: install that, or name the program with AIRLIFT_CTR (k3s has it as k3s ctr)",
            )
        })?;
        let connected = Ctr::connect(&program, self.address.as_deref(), namespace);
        connected.map(Some).map_err(|error| unreachable(&error))
    }
}

/// Says what to do where the runtime does not answer at all.
fn unreachable(error: &NodeError) -> CliError {
    let cause = std::error::Error::source(error).map(ToString::to_string);
    let hint = match error {
        NodeError::Program { .. } => "AIRLIFT_CTR names the ctr program of containerd",
        _ => "does containerd run, is --address its socket, and may this user use it?",
    };
    let code = if matches!(error, NodeError::Program { .. }) { super::error::USAGE } else { super::error::DESTINATION };
    CliError { causes: cause.into_iter().collect(), code, ..CliError::usage(error.to_string()) }.with_hint(hint)
}

fn with_hint(error: FlowError) -> CliError {
    let again = matches!(error, FlowError::Destination(_) | FlowError::Interrupted);
    let error = CliError::from(error);
    if again {
        error.with_hint("run the same command again: what is whole on the node is not sent again")
    } else {
        error
    }
}

fn show(seeded: &Seeded, output: &Output) {
    let mut rows: Vec<Vec<String>> = Vec::new();
    for image in &seeded.images {
        let word = match image.outcome {
            SeedOutcome::Planned => "to seed",
            SeedOutcome::Seeded => "seeded",
            SeedOutcome::Pinned => "pinned",
            SeedOutcome::AlreadyThere => "already there",
        };
        let names = image.names.iter().filter(|name| !name.contains('@') || image.names.len() == 1);
        for (at, name) in names.enumerate() {
            let bytes = if at == 0 { human::bytes(image.bytes) } else { String::new() };
            rows.push(vec![word.to_owned(), name.clone(), image.digest.short(), bytes]);
        }
    }
    output.result(human::table(&rows).trim_end());
    show_left_out(&seeded.left_out, output);
    let platform = seeded.platform.as_ref().map(ToString::to_string).unwrap_or_default();
    let images = human::count(seeded.images.len() as u64, "image");
    output.result(format!("{images} for {platform} at {}; sent {}", seeded.place, human::bytes(seeded.bytes_sent)));
}
