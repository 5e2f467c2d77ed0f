//! `airlift trust show`

use super::super::clock;
use super::super::error::{CliError, DONE};
use super::super::output::{Form, Output};
use super::{Known, read_root, words};
use crate::document::root_record::{RootOrigin, RootRecord};
use crate::flow::{FlowError, read_paper, record_path};
use crate::trust::{RootText, RootView};
use serde::Serialize;
use std::path::{Path, PathBuf};

/// Show the keys and authorities of a trusted root, with their windows
#[derive(clap::Args)]
pub struct Arguments {
    /// Trusted root
    #[arg(value_name = "FILE", required_unless_present = "embedded")]
    file: Option<PathBuf>,
    /// Show the snapshot of this instance that is inside this program
    #[arg(long, value_name = "NAME", conflicts_with = "file")]
    embedded: Option<Known>,
    /// Form of the result
    #[arg(short, long, value_name = "FORM", default_value = "table")]
    output: Form,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Shown {
    #[serde(flatten)]
    view: RootView,
    #[serde(skip_serializing_if = "Option::is_none")]
    record: Option<RootRecord>,
}

/// Shows.
pub fn run(arguments: Arguments, output: &Output) -> Result<u8, CliError> {
    let root = match (&arguments.file, arguments.embedded) {
        (_, Some(known)) => RootText::embedded(known.instance()),
        (Some(file), None) => read_root(file)?,
        (None, None) => return Err(CliError::usage("name a trusted root, or give --embedded")),
    };
    let view = RootView::read(&root, clock::seconds()).map_err(FlowError::from)?;
    let record = arguments.file.as_deref().map(record).transpose()?.flatten();
    let shown = Shown { view, record };
    match arguments.output {
        Form::Json => output.json(&shown),
        Form::Table => table(&shown, output),
    }
    Ok(DONE)
}

/// Returns the record beside a root, where there is one.
pub fn record(file: &Path) -> Result<Option<RootRecord>, CliError> {
    let path = record_path(file);
    if !path.exists() {
        return Ok(None);
    }
    Ok(Some(RootRecord::read(&read_paper(&path)?, &path.display().to_string())?))
}

fn table(shown: &Shown, output: &Output) {
    let Shown { view, record } = shown;
    output.result(format!("{}\n{}\nnewest start {}", view.name, view.sha256, view.newest_start));
    if let Some(record) = record {
        output.result(format!("number {} of {:?}, accepted at {}", record.sequence, record.name, record.accepted));
        if record.sha256 != view.sha256 {
            output.note(format!("warning: the record is about {}, not about this file", record.sha256));
        }
        if let RootOrigin::Tuf { mirror, root, timestamp, snapshot, targets, expires } = &record.origin {
            let versions = format!("root {root}, timestamp {timestamp}, snapshot {snapshot}, targets {targets}");
            output
                .result(format!("from {mirror} under TUF versions {versions}; the first of them expires at {expires}"));
        }
    }
    output.result(words::anchors(&view.anchors));
}
