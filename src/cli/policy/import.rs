//! `airlift policy import`

use crate::cli::error::{CliError, DONE};
use crate::cli::human;
use crate::cli::judging::text;
use crate::cli::output::Output;
use crate::document::policy::import::{ImportKind, Imported};
use crate::flow::publish;
use std::path::PathBuf;

/// Turn a policy of another tool into one of airlift's, never a weaker one
///
/// Reads sigstore's ClusterImagePolicy, Kyverno's verifyImages, containers' policy.json and Notation's trustpolicy.json. What has no
/// equivalent is listed with its place, and what it is about is denied.
#[derive(clap::Args)]
pub struct Arguments {
    /// Policy of another tool
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// What it is [default: what it looks like]
    #[arg(long, value_name = "KIND", value_parser = kind)]
    from: Option<ImportKind>,
    /// Write the policy to this file [default: standard output]
    #[arg(short, long, value_name = "POLICY.YAML")]
    output: Option<PathBuf>,
}

fn kind(text: &str) -> Result<ImportKind, String> {
    let known = ImportKind::ALL.iter().find(|(name, _)| *name == text).map(|(_, kind)| *kind);
    let names: Vec<&str> = ImportKind::ALL.iter().map(|(name, _)| *name).collect();
    known.ok_or_else(|| format!("expected one of: {}", names.join(", ")))
}

/// Imports.
pub fn run(arguments: &Arguments, output: &Output) -> Result<u8, CliError> {
    let name = arguments.file.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    let imported = Imported::read(&text(&arguments.file)?, &name, arguments.from)?;
    for note in &imported.notes {
        output.note(format!("{}:{}: {}", arguments.file.display(), note.line, note.what));
    }
    let written = imported.to_text();
    match &arguments.output {
        Some(path) => publish(path, written.as_bytes())?,
        None => output.result(written.trim_end()),
    }
    let rules = human::count(imported.policy.rules.len() as u64, "rule");
    let notes = human::count(imported.notes.len() as u64, "remark");
    output.note(format!("{rules} made from {}, {notes}; look at every line before you use it", imported.kind.name()));
    Ok(DONE)
}
