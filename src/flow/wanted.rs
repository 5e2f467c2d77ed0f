//! From what a person named (references, a mirror file, a lock) to a lock.

use super::catalogues::bring;
use super::charts::{ChartPins, ChartReading, Pinning, look_into};
use super::context::Context;
use super::error::FlowError;
use super::resolve::{Resolved, Wishes, resolve};
use super::running::wanted_by;
use super::signed_paper::read_signed;
use super::update::Update;
use crate::discover::{Discovery, Found, Mapping, Narrowing, PlatformRule, Seen, Want, begin_with};
use crate::document::lock::{Lock, Role, Target};
use crate::document::mirror::MirrorManifest;
use crate::model::evidence::FindingClass;
use crate::model::port::Source;
use crate::model::running::RunningImage;
use crate::model::{Finding, ImageRef, limits};
use crate::store::archive::Offer;
use crate::trust::{LOCK_STATEMENT, PublicKey};
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
    /// A lock that one of these keys must have signed.
    SignedLock(PathBuf, Vec<PublicKey>),
    /// What a cluster runs.
    Running(Vec<RunningImage>, String),
    /// What files of another tool offer, all under one platform rule.
    Offered(Vec<Offer>, PlatformRule),
}

/// A lock with what was noticed while it was made.
pub struct Lookup {
    /// The lock, and which pins moved.
    pub resolved: Resolved,
    /// What a person should know.
    pub findings: Vec<Finding>,
}

/// What a lock is made with, beside what is wanted.
#[derive(Default)]
pub struct Pins {
    /// Lock of an earlier run.
    pub earlier: Option<Lock>,
    /// What of it moves.
    pub update: Update,
    /// How charts are looked into.
    pub charts: ChartReading,
    /// What is taken of a mirror file's Blueprints and releases.
    pub narrowing: Narrowing,
}

/// Makes or reads the lock of what is wanted.
pub fn look_up(wanted: &Wanted, pins: Pins, source: &dyn Source, context: &Context<'_>) -> Result<Lookup, FlowError> {
    match wanted {
        Wanted::Lock(path) => {
            let lock = Lock::read(&read_paper(path)?, &path.display().to_string())?;
            Ok(Lookup { resolved: Resolved { lock, moved: Vec::new() }, findings: Vec::new() })
        }
        Wanted::SignedLock(path, keys) => {
            let (bytes, _) = read_signed(path, LOCK_STATEMENT, keys)?;
            let lock = Lock::read(&bytes, &path.display().to_string())?;
            Ok(Lookup { resolved: Resolved { lock, moved: Vec::new() }, findings: Vec::new() })
        }
        Wanted::Running(running, cluster) => {
            let wanted = wanted_by(running, cluster)?;
            let (earlier, update) = (pins.earlier, pins.update);
            let pinned = Vec::new();
            let wishes = Wishes { found: wanted.found, destination: &same_name, earlier, update, pinned };
            Ok(Lookup { resolved: resolve(wishes, source, context)?, findings: wanted.findings })
        }
        Wanted::References(images, platforms) => {
            named(images.iter().map(|image| typed(image, platforms)).collect(), pins, source, context)
        }
        Wanted::Offered(offers, platforms) => {
            named(offers.iter().map(|offer| offered(offer, platforms)).collect(), pins, source, context)
        }
        Wanted::Mirror(path) => mirrored(path, pins, source, context),
    }
}

/// Pins what was named one by one, under the names that its source has.
fn named(found: Vec<Found>, pins: Pins, source: &dyn Source, context: &Context<'_>) -> Result<Lookup, FlowError> {
    let update = pins.update.clone();
    let (earlier, pinned) = (pins.earlier, Vec::new());
    let wishes = Wishes { found, destination: &same_name, earlier, update: pins.update, pinned };
    let resolved = resolve(wishes, source, context)?;
    update.check(&resolved.lock.artifacts)?;
    Ok(Lookup { resolved, findings: Vec::new() })
}

/// What a mirror file wants, with nothing but its charts pinned.
pub struct Listing {
    /// What is wanted, by name, with every path that leads to it.
    pub wanted: Vec<Found>,
    /// What waits for a decision.
    pub undecided: Vec<Seen>,
    /// What was ruled out.
    pub ruled_out: Vec<Seen>,
    /// What a person should know.
    pub findings: Vec<Finding>,
}

/// Says what the mirror file at `path` wants and why; of registries only charts are asked for.
pub fn list(path: &Path, pins: &Pins, source: &dyn Source, context: &Context<'_>) -> Result<Listing, FlowError> {
    let mirror = MirrorManifest::read(&read_paper(path)?, &path.display().to_string())?;
    let (discovery, _) = discovered(&mirror, path, pins, source, context)?;
    let Discovery { found, findings, undecided, ruled_out } = discovery;
    let wanted = found.into_iter().map(|found| without_folder(found, path)).collect();
    Ok(Listing { wanted, undecided, ruled_out, findings })
}

/// Goes through a mirror file and looks into its charts.
fn discovered(
    mirror: &MirrorManifest,
    path: &Path,
    pins: &Pins,
    source: &dyn Source,
    context: &Context<'_>,
) -> Result<(Discovery, ChartPins), FlowError> {
    let place = path.display().to_string();
    let base = path.parent().unwrap_or(Path::new("."));
    let catalogues = bring(mirror, base)?;
    let mut discovering = begin_with(mirror, &place, base, catalogues.fetched.clone(), pins.narrowing.clone())?;
    discovering.check()?;
    let mapping = mapping(mirror, &place)?;
    let destination = |image: &ImageRef| mapping.destination(image);
    let pinning = Pinning { destination: &destination, earlier: pins.earlier.as_ref(), update: &pins.update };
    let charts = look_into(&mut discovering, &pinning, &pins.charts, source, context)?;
    Ok((discovering.finish()?, charts))
}

fn mapping(mirror: &MirrorManifest, place: &str) -> Result<Mapping, FlowError> {
    Mapping::new(mirror).map_err(|(line, error)| FlowError::Usage(format!("{place}:{line}: {error}")))
}

fn mirrored(path: &Path, pins: Pins, source: &dyn Source, context: &Context<'_>) -> Result<Lookup, FlowError> {
    let place = path.display().to_string();
    let mirror = MirrorManifest::read(&read_paper(path)?, &place)?;
    let (mut discovery, charts) = discovered(&mirror, path, &pins, source, context)?;
    match pins.charts.leave_undecided {
        true => discovery.findings.extend(discovery.undecided.iter().map(left_out)),
        false if !discovery.undecided.is_empty() => return Err(FlowError::Undecided(discovery.undecided)),
        false => {}
    }
    let mapping = mapping(&mirror, &place)?;
    let destination = |image: &ImageRef| mapping.destination(image);
    let found = discovery.found.into_iter().map(|found| without_folder(found, path)).collect();
    let (earlier, update, pinned) = (pins.earlier, pins.update.clone(), charts.pinned.clone());
    let wishes = Wishes { found, destination: &destination, earlier, update, pinned };
    let mut resolved = resolve(wishes, source, context)?;
    pins.update.check(&resolved.lock.artifacts)?;
    charts.record(&mut resolved.lock);
    Ok(Lookup { resolved, findings: discovery.findings })
}

fn left_out(seen: &Seen) -> Finding {
    let what = format!("{:?} may be an image and is left out: {}", seen.sighting.text, seen.sighting.remark);
    let hint = "decide it in the mirror file: decisions";
    Finding::warning(FindingClass::Config, seen.sighting.spot.to_string(), what).with_hint(hint)
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

fn offered(offer: &Offer, platforms: &PlatformRule) -> Found {
    let why = format!("everything in {}", offer.label);
    Found { why: vec![why], ..typed(&offer.name, platforms) }
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
