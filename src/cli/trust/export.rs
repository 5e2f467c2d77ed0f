//! `airlift trust export`

use super::super::authoring::Authoring;
use super::super::error::{CliError, DONE};
use super::super::judging::{Judging, medium};
use super::super::output::Output;
use super::Known;
use crate::bundle::Input;
use crate::flow::{Medium, carried_root, open_bundle, publish};
use crate::trust::RootText;
use std::path::PathBuf;

/// Write a trusted root that a bundle carries, or a snapshot inside this program, to a file
///
/// What a bundle carries is a proposal of its author: compare it with the root in use (`airlift trust diff`) and let a
/// person accept it (`airlift trust accept`). No bundle is ever judged by a root of its own.
#[derive(clap::Args)]
pub struct Arguments {
    /// Volumes, folders or globs of volumes; `-` for standard input
    #[arg(value_name = "BUNDLE", required_unless_present = "embedded")]
    bundle: Vec<PathBuf>,
    /// Take the snapshot of this instance that is inside this program
    #[arg(long, value_name = "NAME", conflicts_with = "bundle")]
    embedded: Option<Known>,
    /// Which root, where the bundle carries several
    #[arg(long, value_name = "NAME", conflicts_with = "embedded")]
    name: Option<String>,
    #[command(flatten)]
    judging: Judging,
    #[command(flatten)]
    authoring: Authoring,
    /// File to write
    #[arg(short, long, value_name = "FILE")]
    output: PathBuf,
}

/// Exports.
pub fn run(arguments: Arguments, output: &Output) -> Result<u8, CliError> {
    let root = match arguments.embedded {
        Some(known) => RootText::embedded(known.instance()),
        None => {
            let input = match medium(&arguments.bundle)? {
                Medium::Files(files) => Input::Files(files),
                Medium::Stream(stream) => Input::Stream(stream),
            };
            let opened = open_bundle(input, &arguments.authoring.authors(&arguments.judging)?)?;
            output.note(&opened.authenticity);
            carried_root(&opened, arguments.name.as_deref())?
        }
    };
    publish(&arguments.output, &root.bytes)?;
    output.result(format!("{} ({})\n{}", arguments.output.display(), root.name, root.digest()));
    if arguments.embedded.is_none() {
        output.note(
            "this is a proposal of the bundle's author: look at `airlift trust diff`, then `airlift trust accept`",
        );
    }
    Ok(DONE)
}
