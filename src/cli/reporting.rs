//! Arguments that name the report of a scan: a file, or its digest and where it is kept.

use super::error::CliError;
use crate::document::countersignature::ReportReference;
use crate::flow::read_paper;
use crate::model::{Digest, MediaType, limits};
use std::path::{Path, PathBuf};

/// The report of a scan.
#[derive(clap::Args)]
pub struct Reporting {
    /// Report of a scan; its name, size and digest are signed
    #[arg(long, value_name = "FILE")]
    report: Option<PathBuf>,
    /// Carry the bytes of --report too, for reports of at most 4 MiB
    #[arg(long, requires = "report")]
    carry_report: bool,
    /// Digest of a report that is kept elsewhere (sha256:…)
    #[arg(long, value_name = "DIGEST", conflicts_with = "report")]
    report_digest: Option<Digest>,
    /// Where the report is kept
    #[arg(long, value_name = "URI")]
    report_uri: Option<String>,
    /// Media type of the report [default: by the ending of its name]
    #[arg(long, value_name = "TYPE")]
    report_type: Option<String>,
}

impl Reporting {
    /// Returns what was named, with the bytes that are carried.
    pub fn report(&self) -> Result<Option<(ReportReference, Vec<u8>)>, CliError> {
        let uri = self.report_uri.clone();
        match (&self.report, &self.report_digest) {
            (Some(path), _) => {
                let bytes = read_paper(path)?;
                let name = path.file_name().map(|name| name.to_string_lossy().into_owned());
                let reference = ReportReference {
                    media_type: self.media_type(path),
                    digest: Digest::of(&bytes),
                    size: Some(bytes.len() as u64),
                    name,
                    uri,
                    carried: self.carry_report,
                };
                let carried = if self.carry_report { fitting(path, bytes)? } else { Vec::new() };
                Ok(Some((reference, carried)))
            }
            (None, Some(digest)) => {
                let media_type = self.media_type(Path::new(uri.as_deref().unwrap_or_default()));
                let reference =
                    ReportReference { name: None, media_type, digest: digest.clone(), size: None, uri, carried: false };
                Ok(Some((reference, Vec::new())))
            }
            (None, None) if self.report_uri.is_some() || self.report_type.is_some() => {
                Err(CliError::usage("a report is named by --report or --report-digest"))
            }
            (None, None) => Ok(None),
        }
    }

    fn media_type(&self, path: &Path) -> MediaType {
        let ending = path.extension().and_then(|ending| ending.to_str()).unwrap_or_default();
        let guessed = match ending {
            "json" => "application/json",
            "sarif" => "application/sarif+json",
            "xml" => "application/xml",
            "html" => "text/html",
            "txt" => "text/plain",
            "pdf" => "application/pdf",
            _ => "application/octet-stream",
        };
        self.report_type.as_deref().unwrap_or(guessed).into()
    }
}

fn fitting(path: &Path, bytes: Vec<u8>) -> Result<Vec<u8>, CliError> {
    let (size, limit) = (bytes.len() as u64, limits::COUNTERSIGNED_REPORT_BYTES);
    if size > 0 && size <= limit {
        return Ok(bytes);
    }
    let what = format!("{} has {size} bytes; carried are reports of 1 to {limit} bytes", path.display());
    Err(CliError::usage(what).with_hint("leave out --carry-report: its digest is signed all the same"))
}
