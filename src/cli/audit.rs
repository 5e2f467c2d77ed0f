//! `airlift audit`

use super::cluster::Reaching;
use super::environment::Environment;
use super::error::{CliError, DAMAGED, DONE};
use super::human;
use super::output::{Form, Output};
use crate::document::lock::Lock;
use crate::flow::{Audit, AuditedImage, FlowError, audit, read_paper};
use crate::model::running::RunningImages;
use std::path::PathBuf;

/// Compare what runs in a cluster with what a lock names
///
/// Reads the list of pods and nothing else. Ends with 0 when everything that runs is in the lock with the same content,
/// with 40 when something is missing or differs. What the lock names and nothing runs is told, and no failure.
#[derive(clap::Args)]
#[command(
    after_help = "A pod of a job that ended counts while the cluster keeps it. What runs only at times (scheduled jobs, hooks, \
                        workloads scaled to nothing) is not seen by an audit: a lock comes from sources, not from a cluster."
)]
pub struct Arguments {
    #[command(flatten)]
    reaching: Reaching,
    /// Lock to compare with
    #[arg(long, value_name = "AIRLIFT.LOCK", default_value = "airlift.lock")]
    lock: PathBuf,
    /// Form of the result
    #[arg(short, long, value_name = "FORM", default_value = "table")]
    output: Form,
}

/// Audits.
pub fn run(arguments: Arguments, environment: &Environment, output: &Output) -> Result<u8, CliError> {
    if !arguments.reaching.is_given() {
        return Err(CliError::usage("no cluster is named").with_hint("name it: --from-kubeconfig [FILE]"));
    }
    let lock = Lock::read(&read_paper(&arguments.lock)?, &arguments.lock.display().to_string())?;
    let reached = arguments.reaching.reach(environment)?;
    let running = reached.cluster.running();
    let running = running.map_err(|fault| FlowError::source(format!("cluster of {}", reached.context), fault))?;
    let found = audit(&running, &lock);
    match arguments.output {
        Form::Json => {
            output.json(&found);
            if !found.is_covered() {
                output.note(format!("error: {} does not cover what runs", arguments.lock.display()));
            }
        }
        Form::Table => tell(&found, running.len(), &arguments.lock.display().to_string(), output),
    }
    Ok(if found.is_covered() { DONE } else { DAMAGED })
}

fn tell(found: &Audit, running: usize, lock: &str, output: &Output) {
    images(&format!("run and are not in {lock}"), &found.missing, output);
    if !found.differing.is_empty() {
        output.result(format!(
            "{} run with other content than {lock} has:",
            human::count(found.differing.len() as u64, "image")
        ));
        for image in &found.differing {
            let runs = image.running.digest.as_ref().map(|digest| digest.short()).unwrap_or_default();
            output.result(format!("  {}  runs {runs}, locked {}", image.running.image, image.locked_digest.short()));
            output.result(format!("      {}", image.running.places.join("; ")));
        }
    }
    images("are in the lock, and the nodes do not say which content runs", &found.unknown, output);
    if !found.unused.is_empty() {
        output.result(format!("{} in {lock} run nowhere now:", human::count(found.unused.len() as u64, "image")));
        found.unused.iter().for_each(|image| output.result(format!("  {image}")));
    }
    let verdict = if found.is_covered() { "everything that runs is in the lock" } else { "NOT good" };
    output.result(format!("{verdict}: {} of {running} running images match", found.matched));
}

fn images(what: &str, images: &[AuditedImage], output: &Output) {
    if images.is_empty() {
        return;
    }
    output.result(format!("{} {what}:", human::count(images.len() as u64, "image")));
    for image in images {
        let digest = image.digest.as_ref().map(|digest| format!("  {}", digest.short())).unwrap_or_default();
        output.result(format!("  {}{digest}", image.image));
        output.result(format!("      {}", image.places.join("; ")));
    }
}
