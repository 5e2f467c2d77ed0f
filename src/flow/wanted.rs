//! From what a person named (references, a mirror file, a lock) to a lock.

use super::context::Context;
use super::error::FlowError;
use super::resolve::{Resolved, Update, Wishes, resolve};
use super::running::wanted_by;
use crate::discover::{Found, Mapping, PlatformRule, Want, discover};
use crate::document::lock::{Lock, Role, Target};
use crate::document::mirror::MirrorManifest;
use crate::model::port::Source;
use crate::model::running::RunningImage;
use crate::model::{Finding, ImageRef, limits};
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

/// What a person named.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Wanted {
    /// References on the command line, all under one platform rule.
    References(Vec<ImageRef>, PlatformRule),
    /// A mirror file.
    Mirror(PathBuf),
    /// A lock, taken as it is.
    Lock(PathBuf),
    /// What a cluster runs.
    Running(Vec<RunningImage>, String),
}

/// A lock with what was noticed while it was made.
pub struct Lookup {
    /// The lock, and which pins moved.
    pub resolved: Resolved,
    /// What a person should know.
    pub findings: Vec<Finding>,
}

/// Makes or reads the lock of what is wanted.
pub fn look_up(
    wanted: &Wanted,
    earlier: Option<Lock>,
    update: Update,
    source: &dyn Source,
    context: &Context<'_>,
) -> Result<Lookup, FlowError> {
    match wanted {
        Wanted::Lock(path) => {
            let lock = Lock::read(&read_paper(path)?, &path.display().to_string())?;
            Ok(Lookup { resolved: Resolved { lock, moved: Vec::new() }, findings: Vec::new() })
        }
        Wanted::Running(running, cluster) => {
            let wanted = wanted_by(running, cluster)?;
            let wishes = Wishes { found: wanted.found, destination: &same_name, earlier, update };
            Ok(Lookup { resolved: resolve(wishes, source, context)?, findings: wanted.findings })
        }
        Wanted::References(images, platforms) => {
            let found = images.iter().map(|image| typed(image, platforms)).collect();
            let wishes = Wishes { found, destination: &same_name, earlier, update };
            Ok(Lookup { resolved: resolve(wishes, source, context)?, findings: Vec::new() })
        }
        Wanted::Mirror(path) => {
            let place = path.display().to_string();
            let mirror = MirrorManifest::read(&read_paper(path)?, &place)?;
            let base = path.parent().unwrap_or(Path::new("."));
            let discovery = discover(&mirror, &place, base)?;
            let mapping =
                Mapping::new(&mirror).map_err(|(line, error)| FlowError::Usage(format!("{place}:{line}: {error}")))?;
            let destination = |image: &ImageRef| mapping.destination(image);
            let found = discovery.found.into_iter().map(|found| without_folder(found, path)).collect();
            let wishes = Wishes { found, destination: &destination, earlier, update };
            Ok(Lookup { resolved: resolve(wishes, source, context)?, findings: discovery.findings })
        }
    }
}

/// Names the mirror file without its folder: a lock says the same wherever it was made.
fn without_folder(mut found: Found, path: &Path) -> Found {
    let place = path.display().to_string();
    let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    if let Some(first) = found.why.first_mut()
        && let Some(rest) = first.strip_prefix(&place)
    {
        *first = format!("{name}{rest}");
    }
    found
}

fn typed(image: &ImageRef, platforms: &PlatformRule) -> Found {
    Found {
        want: Want::Reference(image.clone()),
        role: Role::Image,
        why: vec!["named on the command line".to_owned()],
        notes: Vec::new(),
        platforms: platforms.clone(),
    }
}

/// Returns the source's own repository and tag as the place at a destination.
fn same_name(image: &ImageRef) -> Target {
    let tag = match image.reference() {
        crate::model::Reference::Tag(tag) => Some(tag),
        crate::model::Reference::Digest(_) => image.tag.clone(),
    };
    Target { repository: image.repository.path().to_owned(), tag }
}

/// Reads a paper up to the limit of its size.
pub fn read_paper(path: &Path) -> Result<Vec<u8>, FlowError> {
    let fail = |source| FlowError::file(path, "cannot be read", source);
    let mut bytes = Vec::new();
    File::open(path).map_err(fail)?.take(limits::PAPER_BYTES + 1).read_to_end(&mut bytes).map_err(fail)?;
    if bytes.len() as u64 > limits::PAPER_BYTES {
        return Err(FlowError::Usage(format!("{} has more than {} bytes", path.display(), limits::PAPER_BYTES)));
    }
    Ok(bytes)
}
