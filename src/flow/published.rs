//! Brings catalogues of published charts here: lists versions, and reads what each chart that is taken needs.

use super::charts::{Archive, Unread, read_chart};
use super::context::Context;
use super::error::{FlowError, ItemFault};
use super::pool;
use super::wanted::Pins;
use crate::chart::Chart;
use crate::discover::blueprint::canonical;
use crate::discover::published::{Archived, Choosing, Step};
use crate::discover::select::{Version, VersionRange};
use crate::discover::{Brought, ChartPlace, Fetched, flux};
use crate::document::mirror::{BlueprintSource, CatalogueAt, MirrorManifest, RegistrySource};
use crate::model::port::Source;
use crate::model::{Digest, Fault, FaultKind, ImageRef, Tag};
use std::path::Path;

/// Whom to ask, and in which run.
type Asking<'a> = (&'a dyn Source, &'a Context<'a>);

/// Finds out what the catalogues in registries have of what the mirror file at `place` wants. What cannot be had is
/// listed for all of them before it fails.
pub fn bring(
    mirror: &MirrorManifest,
    (place, base): (&str, &Path),
    into: &mut Fetched,
    pins: &Pins,
    asking: Asking<'_>,
) -> Result<(), FlowError> {
    let mut faults = Vec::new();
    for (at, entry) in mirror.blueprints.iter().enumerate() {
        let CatalogueAt::Registry(registry) = &entry.catalogue else { continue };
        let roots = roots(entry, &format!("{place}: blueprints[{at}]"), pins);
        let choosing = Choosing::new(registry, roots, entry.exclude_conditional);
        let mut choosing = choosing.installing(installed(mirror, base, registry));
        choose(&mut choosing, registry, pins, asking)?;
        let (published, failed) = choosing.finish();
        faults.extend(failed.into_iter().map(|(item, fault)| ItemFault { item, fault }));
        into.insert(at, Brought::Published(published));
    }
    if faults.is_empty() { Ok(()) } else { Err(FlowError::Source(faults)) }
}

/// Returns the versions of charts of `registry` that the kits of the mirror file install, by name.
fn installed(mirror: &MirrorManifest, base: &Path, registry: &RegistrySource) -> Vec<(String, Version)> {
    let releases = mirror.flux.iter().flat_map(|source| flux::read(source, base).releases);
    let version = |release: flux::Release| {
        let ChartPlace::Artifact(chart) = release.chart else { return None };
        let name = chart.repository.path().rsplit('/').next()?.to_owned();
        let ours = registry.repository(&name).is_some_and(|at| at == chart.repository);
        let version = chart.tag.filter(|_| ours)?.as_str().replacen('_', "+", 1).parse().ok()?;
        Some((name, version))
    };
    releases.filter_map(version).collect()
}

/// Returns what an entry wants for itself. A range that is none is reported where all of the mirror file is.
fn roots(entry: &BlueprintSource, origin: &str, pins: &Pins) -> Vec<(String, Option<VersionRange>, String)> {
    let named = entry.roots.iter().map(|root| (canonical(&root.blueprint), root));
    let kept = named.filter(|(name, _)| pins.narrowing.would_keep(name));
    kept.filter_map(|(name, root)| {
        let range = root.version.as_deref().map(str::parse).transpose().ok()?;
        Some((name, range, origin.to_owned()))
    })
    .collect()
}

fn choose(
    choosing: &mut Choosing<'_>,
    registry: &RegistrySource,
    pins: &Pins,
    (source, context): Asking<'_>,
) -> Result<(), FlowError> {
    loop {
        context.go_on()?;
        match choosing.next() {
            Step::Done => return Ok(()),
            Step::Versions(names) => {
                let lists = pool::all(&names, context.threads, |name| {
                    let at = registry.repository(name).ok_or_else(|| unnamed(name))?;
                    source.tags(&at).map_err(|fault| unlisted(name, fault))
                });
                for (name, tags) in names.iter().zip(lists) {
                    choosing.learn_tags(name, tags);
                }
            }
            Step::Charts(charts) => {
                let read = pool::all(&charts, context.threads, |(name, version)| {
                    archived(registry, name, version, pins, source)
                });
                for ((name, version), chart) in charts.iter().zip(read) {
                    choosing.learn_chart(name, version, chart);
                }
            }
        }
    }
}

/// Reads what the chart of a version says: of the content that an earlier lock pins, where its pin stays.
fn archived(
    registry: &RegistrySource,
    name: &str,
    version: &Version,
    pins: &Pins,
    source: &dyn Source,
) -> Result<Archived, Fault> {
    let repository = registry.repository(name).ok_or_else(|| unnamed(name))?;
    let tag = version.as_str().replacen('+', "_", 1).parse();
    let tag = tag.map_err(|error| Fault::new(FaultKind::Malformed, repository.to_string(), format!("{error}")))?;
    let chart = ImageRef { repository, tag: Some(tag), digest: None };
    let digest = match pinned(pins, &chart) {
        Some(digest) => digest.clone(),
        None => document(&chart, source)?,
    };
    let read = read_chart(&Archive::Artifact { source: &chart, digest: &digest }, source);
    match read {
        Ok(read) => Ok(said(&read)),
        Err(Unread::Fault(fault)) => Err(fault),
        Err(Unread::Chart(why)) => Err(Fault::new(FaultKind::Malformed, chart.to_string(), why)),
    }
}

fn pinned<'p>(pins: &'p Pins, chart: &ImageRef) -> Option<&'p Digest> {
    let mut artifacts = pins.earlier.iter().flat_map(|lock| &lock.artifacts);
    let known = artifacts.find(|artifact| artifact.source == *chart)?;
    (!pins.update.moves(chart, &known.why)).then_some(&known.digest)
}

/// Returns the digest of a chart's document; where it is not there, says what is.
fn document(chart: &ImageRef, source: &dyn Source) -> Result<Digest, Fault> {
    let found = source.manifest(&chart.repository, &chart.reference());
    found.map(|document| document.descriptor.digest).map_err(|fault| match (fault.kind, &chart.tag) {
        (FaultKind::Missing, Some(tag)) => {
            let there = source.tags(&chart.repository).unwrap_or_default();
            let names: Vec<&str> = there.iter().map(Tag::as_str).rev().take(8).collect();
            let there = if names.is_empty() {
                "no other version is listed".to_owned()
            } else {
                format!("there are {}", names.join(", "))
            };
            Fault { what: format!("version {tag} is not published; {there}"), ..fault }
        }
        _ => fault,
    })
}

fn said(chart: &Chart) -> Archived {
    let text = |name| chart.file(name).map(|bytes| String::from_utf8_lossy(bytes).into_owned());
    let packed = |name: &str| chart.dependencies.iter().any(|below| below.metadata.name == name);
    let missing = chart.metadata.dependencies.iter().filter(|dependency| !packed(&dependency.name));
    Archived {
        blueprint: text("blueprint.yaml").or_else(|| text("blueprint.yml")),
        name: chart.metadata.name.clone(),
        version: chart.metadata.version.clone(),
        dependencies: missing.map(|d| [d.name.clone(), d.version.clone(), d.repository.clone()]).collect(),
    }
}

/// Adds what can be done where a registry gives charts but no list of them.
fn unlisted(name: &str, fault: Fault) -> Fault {
    match fault.kind {
        FaultKind::Unauthorized | FaultKind::Refused | FaultKind::Missing => {
            let more = if fault.hint.is_empty() { String::new() } else { format!("{}; or ", fault.hint) };
            let hint = format!(
                "{more}state the version in full, then nothing is listed: roots: [{{ blueprint: {name}, version: X.Y.Z }}]"
            );
            fault.with_hint(hint)
        }
        _ => fault,
    }
}

fn unnamed(name: &str) -> Fault {
    Fault::new(FaultKind::Malformed, name, "it is no part of a repository's name")
}
