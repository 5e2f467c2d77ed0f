//! Arguments that name files of other tools in the place of registries, and the source made from them.

use super::environment::Environment;
use super::error::CliError;
use super::human;
use super::output::Output;
use super::wanting::Wanting;
use crate::discover::PlatformRule;
use crate::document::lock::Lock;
use crate::flow::{Context, Pins, Wanted, check_whole, everything, look_up, open_trove, survey_sources};
use crate::model::port::Source;
use crate::registry::Remote;
use crate::store::archive::{Naming, SourceName, Trove};
use std::path::{Path, PathBuf};

/// Where content comes from, where it does not come from registries.
#[derive(clap::Args)]
pub struct Sourcing {
    /// Take content from a file or folder that another tool wrote, and nothing from registries; repeatable. FORM is oci,
    /// oci-archive, docker-archive, hauler, zarf, oc-mirror, imgpkg or distribution; without it the form is recognised.
    /// Without references, mirror file and lock everything in it is taken
    #[arg(long, value_name = "[FORM:]PATH")]
    from: Vec<String>,
    /// Name for what has none with a host in these files: HOST[/PATH] stands in front of each path, or is the name of what has
    /// only a tag; PATH=HOST[/PATH] takes the place of the beginning of a path; repeatable
    #[arg(long = "name", value_name = "[PATH=]HOST[/PATH]", requires = "from")]
    names: Vec<String>,
    /// Folder for the temporary file of a compressed archive [default: beside what is written, else $TMPDIR or /var/tmp]
    #[arg(long, value_name = "FOLDER", requires = "from")]
    spool: Option<PathBuf>,
}

/// Where content comes from.
pub enum Supply {
    /// Registries.
    Registries(Box<Remote>),
    /// Files of other tools.
    Files(Box<Trove>),
}

impl Sourcing {
    /// Opens the files that were named; `registries` makes the client where none were. Tells beforehand what is unpacked to
    /// where: beside `out` where something is written there.
    pub fn supply(
        &self,
        registries: impl FnOnce() -> Result<Remote, CliError>,
        (out, environment): (Option<&Path>, &Environment),
        context: &Context<'_>,
        output: &Output,
    ) -> Result<Supply, CliError> {
        if self.from.is_empty() {
            return Ok(Supply::Registries(Box::new(registries()?)));
        }
        let naming = Naming::parse(&self.names).map_err(|error| CliError::usage(error.to_string()))?;
        let names: Vec<SourceName> = self.from.iter().map(|text| SourceName::parse(text)).collect();
        let sources = survey_sources(&names)?;
        let spool = self.spool(out, environment);
        for source in sources.iter().filter(|source| source.to_unpack() > 0) {
            output.note(format!(
                "{} is compressed: it is unpacked into a temporary file in {}, which needs more than {} until this has ended",
                source.name(),
                spool.display(),
                human::bytes(source.to_unpack())
            ));
        }
        let trove = open_trove(sources, &naming, &spool, context)?;
        for found in trove.sources() {
            let artifacts = human::count(found.artifacts as u64, "artifact");
            output.note(format!("{} is {}, with {artifacts}", found.label, found.form));
        }
        output.findings(trove.findings());
        Ok(Supply::Files(Box::new(trove)))
    }

    fn spool(&self, out: Option<&Path>, environment: &Environment) -> PathBuf {
        // The folder of what is written may have to be made yet; the one above it is on the same disk.
        let beside = |out: &Path| {
            let folders = out
                .ancestors()
                .skip(1)
                .map(|folder| if folder.as_os_str().is_empty() { Path::new(".") } else { folder });
            folders.filter(|folder| folder.is_dir()).map(Path::to_owned).next()
        };
        let large = || PathBuf::from(environment.get("TMPDIR").unwrap_or("/var/tmp"));
        self.spool.clone().or_else(|| out.and_then(beside)).unwrap_or_else(large)
    }
}

impl Supply {
    /// Returns the port.
    pub fn source(&self) -> &dyn Source {
        match self {
            Self::Registries(remote) => &**remote,
            Self::Files(trove) => &**trove,
        }
    }

    /// Returns what is wanted: what was named, or everything where files were named and nothing else.
    pub fn wanted(&self, wanting: &Wanting) -> Result<Wanted, CliError> {
        match self {
            Self::Files(_) if wanting.is_silent() => self.everything(wanting.rule()?),
            _ => wanting.meant(),
        }
    }

    /// Returns everything that files offer.
    pub fn everything(&self, platforms: PlatformRule) -> Result<Wanted, CliError> {
        match self {
            Self::Files(trove) => Ok(everything(trove, platforms)?),
            Self::Registries(_) => Err(CliError::usage("nothing is wanted")),
        }
    }

    /// Pins what is wanted, shows what a person should know of it, and checks that files hold all of it.
    pub fn pin(
        &self,
        (wanted, pins): (&Wanted, Pins),
        source: &dyn Source,
        context: &Context<'_>,
        output: &Output,
    ) -> Result<Lock, CliError> {
        let lookup = look_up(wanted, pins, source, context)?;
        output.findings(&lookup.findings);
        self.check(&lookup.resolved.lock)?;
        Ok(lookup.resolved.lock)
    }

    /// Checks that files hold everything that `lock` names.
    pub fn check(&self, lock: &Lock) -> Result<(), CliError> {
        match self {
            Self::Files(trove) => Ok(check_whole(lock, trove)?),
            Self::Registries(_) => Ok(()),
        }
    }
}
