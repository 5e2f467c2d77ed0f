//! Arguments that name what is wanted: references, a mirror file, or a lock.

use super::error::CliError;
use super::judging::public_keys;
use crate::discover::PlatformRule;
use crate::document::lock::SubsetDigest;
use crate::flow::Wanted;
use crate::model::{ImageRef, Platform};
use std::path::PathBuf;

/// What is wanted.
#[derive(clap::Args)]
pub struct Wanting {
    /// References of images or other artifacts: `HOST/REPOSITORY[:TAG][@DIGEST]`
    #[arg(value_name = "REF", conflicts_with_all = ["file", "lock"])]
    references: Vec<String>,
    /// Mirror file that says what is wanted
    #[arg(short, long, value_name = "MIRROR.YAML", conflicts_with = "lock")]
    file: Option<PathBuf>,
    /// Lock that pins what is wanted
    #[arg(long, value_name = "AIRLIFT.LOCK")]
    lock: Option<PathBuf>,
    /// Public key (PEM), one of which must have signed the lock (`resolve --sign-key`); repeatable
    #[arg(long = "lock-key", value_name = "PUB", requires = "lock")]
    lock_keys: Vec<PathBuf>,
    /// Keep only this platform of an index (os/arch[/variant]); repeatable. One platform: its image takes the place of the
    /// index. Several: a new index is written, which has a digest of its own. A mirror file says it in its own words
    #[arg(long = "platform", value_name = "OS/ARCH", conflicts_with_all = ["file", "lock"])]
    platforms: Vec<String>,
}

impl Wanting {
    /// Returns what was named.
    pub fn meant(&self) -> Result<Wanted, CliError> {
        match (&self.file, &self.lock, &self.references[..]) {
            (Some(path), _, _) => Ok(Wanted::Mirror(path.clone())),
            (_, Some(path), _) if self.lock_keys.is_empty() => Ok(Wanted::Lock(path.clone())),
            (_, Some(path), _) => Ok(Wanted::SignedLock(path.clone(), public_keys(&self.lock_keys)?)),
            (None, None, []) => Err(CliError::usage("nothing is wanted")
                .with_hint("name references, or a mirror file with -f, or a lock with --lock")),
            (None, None, references) => {
                let images: Result<Vec<ImageRef>, _> = references.iter().map(|text| text.parse()).collect();
                Ok(Wanted::References(images?, self.rule()?))
            }
        }
    }

    /// Returns whether nothing was named.
    pub const fn is_silent(&self) -> bool {
        self.file.is_none() && self.lock.is_none() && self.references.is_empty()
    }

    /// Returns the rule that holds for what is not in a mirror file or a lock.
    pub fn rule(&self) -> Result<PlatformRule, CliError> {
        let parse = |text: &String| {
            Platform::parse(text).ok_or_else(|| {
                CliError::usage(format!("{text:?} is no platform; linux/amd64 and linux/arm/v7 are some"))
            })
        };
        let platforms: Vec<Platform> = self.platforms.iter().map(parse).collect::<Result<_, _>>()?;
        Ok(match platforms.len() {
            0 => PlatformRule::All,
            1 => PlatformRule::Only { platforms, digest: SubsetDigest::Single },
            _ => PlatformRule::Only { platforms, digest: SubsetDigest::Rewrite },
        })
    }
}
