//! Where the program speaks: results on standard output, everything else on standard error.

use super::environment::Environment;
use super::error::{CliError, PARTLY};
use super::progress::Progress;
use super::{General, LogFormat};
use crate::model::Finding;
use crate::model::evidence::Severity;
use std::fmt::Display;
use std::io::{self, ErrorKind, Write};
use std::sync::{Mutex, PoisonError};

const LOST: &str = "the work is done, but its result could not be written to standard output";

/// Form of a result.
#[derive(Clone, Copy, PartialEq, Eq, clap::ValueEnum, Default)]
pub enum Form {
    /// For people.
    #[default]
    Table,
    /// For programs: one JSON document.
    Json,
}

/// The program's voice.
pub struct Output {
    quiet: bool,
    verbose: bool,
    json_log: bool,
    bars: bool,
    /// Why a result could not be written, the first time.
    lost: Mutex<Option<io::Error>>,
}

impl Output {
    pub(super) fn new(general: &General, environment: &Environment) -> Self {
        let json_log = general.log_format == LogFormat::Json;
        Self {
            quiet: general.quiet,
            verbose: general.verbose,
            json_log,
            bars: environment.terminal && !general.no_progress && !general.quiet && !json_log,
            lost: Mutex::new(None),
        }
    }

    /// Returns a listener that shows progress in the way that was asked for.
    pub fn progress(&self) -> Progress {
        Progress::new(self.bars, self.json_log, self.quiet, self.verbose)
    }

    /// Prints a result.
    pub fn result(&self, text: impl Display) {
        if let Err(error) = writeln!(io::stdout().lock(), "{text}") {
            self.lost.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(error);
        }
    }

    /// Fails where a result was lost: on a full disk it is not there although the work is done.
    ///
    /// A reader that closed the pipe has what it wanted; the work itself is judged by the exit number.
    pub fn closed(&self) -> Result<(), CliError> {
        let flushed = io::stdout().lock().flush().err();
        let lost = self.lost.lock().unwrap_or_else(PoisonError::into_inner).take().or(flushed);
        match lost.filter(|error| error.kind() != ErrorKind::BrokenPipe) {
            Some(error) => Err(CliError { causes: vec![error.to_string()], code: PARTLY, ..CliError::usage(LOST) }),
            None => Ok(()),
        }
    }

    /// Prints a value as JSON with line breaks.
    pub fn json(&self, value: &impl serde::Serialize) {
        self.result(serde_json::to_string_pretty(value).unwrap_or_default());
    }

    /// Says something beside the result.
    pub fn note(&self, text: impl Display) {
        if self.quiet {
            return;
        }
        if self.json_log {
            let line = serde_json::json!({ "event": "note", "message": text.to_string() });
            drop(writeln!(std::io::stderr().lock(), "{line}"));
        } else {
            drop(writeln!(std::io::stderr().lock(), "{text}"));
        }
    }

    /// Shows findings, with their advice.
    pub fn findings(&self, findings: &[Finding]) {
        for finding in findings {
            let word = match finding.severity {
                Severity::Note => "note",
                Severity::Warning => "warning",
                Severity::Error => "error",
            };
            self.note(format!("{word}: {}: {}", finding.place, finding.what));
            if !finding.hint.is_empty() {
                self.note(format!("   hint: {}", finding.hint));
            }
        }
    }

    /// Shows an error and returns its exit number.
    pub fn fail(&self, error: &CliError) -> u8 {
        let mut stderr = std::io::stderr().lock();
        if self.json_log {
            let line = serde_json::json!({
                "event": "failed", "message": error.message, "causes": error.causes, "hints": error.hints, "exit": error.code,
            });
            drop(writeln!(stderr, "{line}"));
            return error.code;
        }
        let shown = if error.picture.is_empty() { &error.message } else { &error.picture };
        drop(writeln!(stderr, "error: {shown}"));
        for cause in &error.causes {
            drop(writeln!(stderr, "cause: {cause}"));
        }
        for hint in &error.hints {
            drop(writeln!(stderr, " hint: {hint}"));
        }
        error.code
    }
}
