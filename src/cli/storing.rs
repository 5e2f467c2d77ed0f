//! Arguments of every command that may keep content between runs.

use super::environment::Environment;
use super::error::CliError;
use super::human;
use super::output::Output;
use crate::model::EventSink;
use crate::model::port::Source;
use crate::store::cache::{RootName, Stocked, StoreFolder};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// A store.
#[derive(clap::Args)]
pub struct Storing {
    /// Keep content in this folder between runs, and take from it what it has; several runs may share it [default: the
    /// variable AIRLIFT_STORE, or no store]
    #[arg(long, value_name = "FOLDER")]
    store: Option<PathBuf>,
    /// Name under which the store keeps what this job needs [default: made of the command and of what is named]
    #[arg(long, value_name = "NAME", value_parser = RootName::parse)]
    store_root: Option<RootName>,
}

/// How a job is called.
pub struct Job {
    /// Command.
    pub verb: &'static str,
    /// What a person calls it.
    pub called: String,
    /// What tells it from others that are called the same.
    pub tells_apart: Vec<u8>,
}

impl Job {
    /// Returns a job about a file; its whole path tells it from others of that name.
    pub fn about(verb: &'static str, file: &Path) -> Self {
        let called = file.file_stem().map(|stem| stem.to_string_lossy().into_owned()).unwrap_or_default();
        let whole = std::path::absolute(file).unwrap_or_else(|_| file.to_owned());
        Self { verb, called, tells_apart: whole.into_os_string().into_encoded_bytes() }
    }
}

impl Storing {
    /// Puts the store that was named before `source`. With `check_all_first` content is handed out only when all of it was
    /// read and matched, for output that cannot be taken back.
    pub fn over<'a>(
        &self,
        source: &'a dyn Source,
        environment: &Environment,
        events: Arc<dyn EventSink>,
        check_all_first: bool,
    ) -> Result<Stocked<'a>, CliError> {
        let named = self.store.clone().or_else(|| environment.get("AIRLIFT_STORE").map(PathBuf::from));
        let Some(path) = named else { return Ok(Stocked::without(source)) };
        let folder = StoreFolder::open_or_make(&path)?;
        Ok(Stocked::over(source, folder, events, (std::process::id(), check_all_first)))
    }

    /// Notes in the store what the job needs, and says what it was good for.
    pub fn keep(&self, stocked: &Stocked<'_>, job: &Job, output: &Output) {
        let own = || RootName::of_job(job.verb, &job.called, &job.tells_apart);
        let name = self.store_root.clone().unwrap_or_else(own);
        let Some(tally) = stocked.keep(&name) else { return };
        let counted = |n: u64, size: u64| format!("{} ({})", human::count(n, "blob"), human::bytes(size));
        output.note(format!(
            "store: {} taken from it, {} put into it, kept as {name}",
            counted(tally.taken, tally.taken_bytes),
            counted(tally.put, tally.put_bytes)
        ));
    }
}
