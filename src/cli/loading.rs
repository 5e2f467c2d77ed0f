//! Arguments that say which bundle is loaded from and what of it, for `seed` and `unpack`.

use super::authoring::Authoring;
use super::error::CliError;
use super::human;
use super::judging::{Judging, medium};
use super::output::Output;
use crate::document::pattern::Pattern;
use crate::flow::{Choice, LeftOut, LoadFrom, Medium, Reason};
use crate::model::Platform;
use crate::trust::{Authors, Judge};
use std::path::PathBuf;

/// Bundle, whose word counts, and what is chosen.
#[derive(clap::Args)]
pub struct Loading {
    /// Volumes, folders or globs of volumes; `-` for standard input
    #[arg(value_name = "BUNDLE", required = true)]
    bundle: Vec<PathBuf>,
    /// Take only artifacts whose source matches this pattern (`host/path/**`); repeatable
    #[arg(long, value_name = "PATTERN")]
    include: Vec<String>,
    /// Leave out artifacts whose source matches this pattern; repeatable
    #[arg(long, value_name = "PATTERN")]
    exclude: Vec<String>,
    /// Leave out images that are for other platforms only, instead of failing
    #[arg(long)]
    skip_other_platforms: bool,
    #[command(flatten)]
    authoring: Authoring,
    #[command(flatten)]
    judging: Judging,
}

/// Whose word counts.
pub struct Trusted {
    authors: Authors,
    judge: Option<Judge>,
}

impl Loading {
    /// Reads keys and policy.
    pub fn trusted(&self) -> Result<Trusted, CliError> {
        Ok(Trusted { authors: self.authoring.authors(&self.judging)?, judge: self.judging.judge_if_asked()? })
    }

    /// Opens the bundle's files, or standard input.
    pub fn from<'t>(&self, trusted: &'t Trusted) -> Result<LoadFrom<'t>, CliError> {
        let medium: Medium = medium(&self.bundle)?;
        Ok(LoadFrom { medium, authors: &trusted.authors, judge: trusted.judge.as_ref() })
    }

    /// Returns what is chosen, for `platform` where one is said.
    pub fn choice(&self, platform: Option<Platform>) -> Result<Choice, CliError> {
        Ok(Choice {
            include: patterns(&self.include)?,
            exclude: patterns(&self.exclude)?,
            platform,
            skip_other_platforms: self.skip_other_platforms,
            ..Choice::default()
        })
    }
}

fn patterns(texts: &[String]) -> Result<Vec<Pattern>, CliError> {
    let one = |text: &String| text.parse::<Pattern>().map_err(|error| CliError::usage(error.to_string()));
    texts.iter().map(one).collect()
}

/// Parses `os/architecture[/variant]`.
pub fn platform(text: &str) -> Result<Platform, String> {
    Platform::parse(text).ok_or_else(|| format!("{text:?} is no platform; linux/amd64 and linux/arm/v7 are some"))
}

/// Returns the platform of containers on this machine.
pub fn own_platform() -> Platform {
    let (architecture, variant) = match std::env::consts::ARCH {
        "x86_64" => ("amd64", None),
        "aarch64" => ("arm64", None),
        "x86" => ("386", None),
        "arm" => ("arm", Some("v7")),
        "powerpc64" => ("ppc64le", None),
        other => (other, None),
    };
    let (architecture, variant) = (architecture.to_owned(), variant.map(str::to_owned));
    Platform { os: "linux".to_owned(), architecture, variant, ..Platform::default() }
}

/// Says what is not loaded: each artifact that is, for what it is, none; those that nobody asked for by their number.
pub fn show_left_out(left_out: &[LeftOut], output: &Output) {
    let rows: Vec<Vec<String>> = left_out
        .iter()
        .filter(|left| left.reason != Reason::NotChosen)
        .map(|left| vec!["left out".to_owned(), left.source.to_string(), left.why.clone()])
        .collect();
    if !rows.is_empty() {
        output.result(human::table(&rows).trim_end());
    }
    match left_out.len() - rows.len() {
        0 => {}
        n => output.result(format!("{} not asked for", human::count(n as u64, "artifact"))),
    }
}
