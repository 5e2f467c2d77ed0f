//! Arguments that say whose signatures over a bundle itself count.

use super::clock;
use super::error::CliError;
use super::judging::{Judging, text};
use super::policy_files::Beside;
use crate::document::policy::{BundleDemand, KeySource, PersonKey, Policy, ReportDemand, Unsigned, Until};
use crate::flow::FlowError;
use crate::trust::{Authors, PolicyFiles};
use std::path::{Path, PathBuf};

/// Whose signature over a bundle is accepted.
#[derive(clap::Args)]
pub struct Authoring {
    /// Public key (PEM) of an author whose bundles are accepted; repeatable
    #[arg(long = "bundle-key", value_name = "PUB")]
    bundle_keys: Vec<PathBuf>,
    /// How many of the --bundle-key must have signed
    #[arg(long, value_name = "N", default_value_t = 1, requires = "bundle_keys")]
    bundle_threshold: usize,
    /// Public key (PEM) of somebody who must have countersigned the bundle; repeatable, all of them must have
    #[arg(long = "countersigner", value_name = "PUB")]
    countersigners: Vec<PathBuf>,
    /// Take a bundle that has no acceptable signature of its author
    #[arg(long)]
    allow_unsigned_bundle: bool,
}

impl Authoring {
    /// Returns the accepted authors: those of the flags, or those of the policy's section `bundle`.
    pub fn authors(&self, judging: &Judging) -> Result<Authors, CliError> {
        let policy = judging.policy_file()?.filter(|(policy, _)| policy.bundle.is_some());
        let flagged = !self.bundle_keys.is_empty() || !self.countersigners.is_empty();
        let authors = match policy {
            Some((policy, _)) if flagged => {
                let place = &policy.place;
                let what = format!("{place} says in its section bundle whose signatures count, and so do flags");
                let hint = "leave out --bundle-key and --countersigner, or the section";
                return Err(CliError::usage(what).with_hint(hint));
            }
            Some((Policy { bundle: Some(demand), place, .. }, base)) => {
                ready(&demand, &place, &mut Beside::new(Some(&base)))?
            }
            _ => self.flags()?,
        };
        Ok(self.allowing(authors))
    }

    /// Returns the authors that the flags name, for a command that has no policy.
    pub fn flagged_authors(&self) -> Result<Authors, CliError> {
        Ok(self.allowing(self.flags()?))
    }

    fn allowing(&self, authors: Authors) -> Authors {
        if self.allow_unsigned_bundle { authors.allowing_unsigned("--allow-unsigned-bundle") } else { authors }
    }

    fn flags(&self) -> Result<Authors, CliError> {
        let (keys, threshold) = (self.bundle_keys.len(), self.bundle_threshold);
        if keys > 0 && !(1..=keys).contains(&threshold) {
            return Err(CliError::usage(format!(
                "--bundle-threshold {threshold} can never be met by {keys} --bundle-key"
            )));
        }
        let demand = demand(persons(&self.bundle_keys)?, persons(&self.countersigners)?, threshold);
        ready(&demand, "the flags", &mut |name: &str| Err(std::io::Error::other(name.to_owned())))
    }
}

/// Returns authors, each with a key of their own, of whom `threshold` must have signed.
pub fn authors_of(keys: &[PathBuf], threshold: usize) -> Result<Authors, CliError> {
    let demand = demand(persons(keys)?, Vec::new(), threshold);
    ready(&demand, "the flags", &mut |name: &str| Err(std::io::Error::other(name.to_owned())))
}

const fn demand(keys: Vec<PersonKey>, countersigners: Vec<PersonKey>, threshold: usize) -> BundleDemand {
    BundleDemand { keys, threshold, countersigners, unsigned: Unsigned::Refuse }
}

/// Makes a person of each key; a flag gives no name but that of its file.
fn persons(paths: &[PathBuf]) -> Result<Vec<PersonKey>, CliError> {
    let person = |path: &PathBuf| {
        let key = KeySource::Pem(text(path)?);
        Ok(PersonKey { name: name(path), key, not_after: Until::Never, report: ReportDemand::Optional })
    };
    paths.iter().map(person).collect()
}

fn name(path: &Path) -> String {
    crate::model::fault::printable(&path.display().to_string())
}

fn ready(demand: &BundleDemand, origin: &str, load: &mut dyn PolicyFiles) -> Result<Authors, CliError> {
    Authors::new(demand, origin, load, clock::seconds()).map_err(|error| FlowError::from(error).into())
}
