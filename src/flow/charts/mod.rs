//! Charts are looked into: each is chosen, pinned, read by its digest and rendered, and what it runs is wanted too.
//!
//! A chart comes behind the images that it runs, so that whoever sees it arrive can use it. Whatever cannot be had or
//! does not render is listed before the run fails: a list of images that may be too short is never returned.

mod known;
mod read;
mod render;
mod repositories;

use super::context::Context;
use super::error::{ChartFault, FlowError, ItemFault};
use super::pool;
use super::resolve::{Wishes, resolve};
use super::update::Update;
use crate::chart::{Chart, HelmProgram, OwnRenderer, Renderer};
use crate::discover::operators::Table;
use crate::discover::{ChartOrigin, ChartPlace, ChartWant, Discovering, Found, PlatformRule, TagSelection, Want};
use crate::document::lock::{Lock, LockedArtifact, Role, Target};
use crate::document::rendered::RenderedWith;
use crate::model::evidence::{FindingClass, Severity};
use crate::model::port::Source;
use crate::model::{Finding, ImageRef, Repository};
use read::{Archive, Unread};
use render::{Job, Looked};
use repositories::{Exact, Repositories};
use std::collections::BTreeMap;
use std::path::PathBuf;

/// Who renders charts.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum RendererChoice {
    /// This program itself.
    #[default]
    Own,
    /// The `helm` program at a path.
    Helm(PathBuf),
}

/// How charts are looked into.
#[derive(Debug, Clone, Default)]
pub struct ChartReading {
    /// Who renders.
    pub renderer: RendererChoice,
    /// Whether what waits for a decision is left out with a warning.
    pub leave_undecided: bool,
}

/// What pins are made from, beside what is wanted.
pub struct Pinning<'a> {
    /// Where an artifact goes.
    pub destination: &'a (dyn Fn(&ImageRef) -> Target + Sync),
    /// Lock of an earlier run.
    pub earlier: Option<&'a Lock>,
    /// What of it moves.
    pub update: &'a Update,
}

/// What became of the charts.
#[derive(Default)]
pub struct ChartPins {
    /// Charts that are pinned already.
    pub pinned: Vec<LockedArtifact>,
    rendered: BTreeMap<ImageRef, Vec<RenderedWith>>,
}

impl ChartPins {
    /// Notes in a lock how its charts were rendered.
    pub fn record(&self, lock: &mut Lock) {
        for artifact in &mut lock.artifacts {
            artifact.rendered = self.rendered.get(&artifact.source).cloned().unwrap_or_default();
        }
    }
}

/// One chart of one wish.
struct Item {
    /// Place of the wish among what was found.
    at: usize,
    exact: Exact,
    found: Found,
    want: ChartWant,
}

/// What one chart gave.
struct Read {
    name: String,
    version: String,
    looked: Looked,
    record: RenderedWith,
}

/// Looks into every chart that was found, and puts what it runs in front of it.
pub fn look_into(
    discovering: &mut Discovering<'_>,
    pinning: &Pinning<'_>,
    reading: &ChartReading,
    source: &dyn Source,
    context: &Context<'_>,
) -> Result<ChartPins, FlowError> {
    let repositories = Repositories::new(source);
    let items = choose(discovering.found(), &repositories, source, context)?;
    if items.is_empty() {
        return Ok(ChartPins::default());
    }
    let pinned = pin(&items, pinning, source, context)?;
    let fields = discovering.fields().clone();
    let reader = Reader { source, repositories: &repositories, pinned: &pinned, fields: &fields, context };
    let read = reader.all(&items, reading)?;
    let mut pins = ChartPins { pinned: pinned.into_values().collect(), rendered: BTreeMap::new() };
    let mut in_place: BTreeMap<usize, Vec<Found>> = BTreeMap::new();
    for (item, read) in items.iter().zip(read) {
        let mut carried = carried(item);
        let place = in_place.entry(item.at).or_default();
        if let Some(read) = read {
            tell(discovering, item, &read, carried.as_mut());
            let origin = ChartOrigin { at: item.at, name: read.name, shown: shown(&item.exact, &read.version) };
            place.extend(discovering.chart_seen(&origin, read.looked.sightings, read.looked.errors));
            if let Exact::Artifact(name) | Exact::File { source: name, .. } = &item.exact {
                pins.rendered.entry(with_tag(name)).or_default().push(read.record);
            }
        }
        place.extend(carried);
    }
    discovering.put_in_place(in_place);
    Ok(pins)
}

/// Chooses the charts that are meant. All that cannot be chosen are listed.
fn choose(
    found: &[Found],
    repositories: &Repositories<'_>,
    source: &dyn Source,
    context: &Context<'_>,
) -> Result<Vec<Item>, FlowError> {
    let wishes: Vec<(usize, &Found, &ChartWant)> = found
        .iter()
        .enumerate()
        .filter_map(|(at, found)| match &found.want {
            Want::Chart(want) => Some((at, found, &**want)),
            _ => None,
        })
        .collect();
    let chosen = pool::all(&wishes, context.threads, |(_, found, want)| {
        context.go_on()?;
        if let ChartPlace::Tags { repository, selection } = &want.place {
            return tagged(found, repository, selection, (source, context));
        }
        let item = || format!("{} (wanted by {})", want.place, found.why.join(" → "));
        let exact = repositories.exact(&want.place).map_err(|fault| FlowError::source(item(), fault))?;
        Ok(exact.into_iter().collect())
    });
    let mut items = Vec::new();
    let mut faults = Vec::new();
    for ((at, found, want), chosen) in wishes.into_iter().zip(chosen) {
        match chosen {
            Ok(exact) => items.extend(exact.into_iter().map(|exact| {
                let (found, want) = (found.clone(), want.clone());
                Item { at, exact, found, want }
            })),
            Err(FlowError::Source(items)) => faults.extend(items),
            Err(other) => return Err(other),
        }
    }
    if faults.is_empty() { Ok(items) } else { Err(FlowError::Source(faults)) }
}

/// Returns the charts among the tags of a repository that a selection takes.
fn tagged(
    found: &Found,
    repository: &Repository,
    selection: &TagSelection,
    (source, context): (&dyn Source, &Context<'_>),
) -> Result<Vec<Exact>, FlowError> {
    let want = Want::Tags { repository: repository.clone(), selection: selection.clone() };
    let wish = [Found { want, ..found.clone() }];
    let chosen = super::choose::choose(&wish, source, context)?;
    let named = |tag| Exact::Artifact(ImageRef { repository: repository.clone(), tag: Some(tag), digest: None });
    Ok(chosen.into_iter().filter_map(|(_, tag)| tag.map(named)).collect())
}

/// Returns the wish for the chart itself, where it is carried.
fn carried(item: &Item) -> Option<Found> {
    let want = match &item.exact {
        Exact::Artifact(reference) => Want::Reference(reference.clone()),
        Exact::File { source, made } => Want::Made { source: source.clone(), made: made.clone() },
        Exact::Path(_) => return None,
    };
    Some(Found { want, platforms: PlatformRule::All, ..item.found.clone() })
}

/// Pins the charts, each once.
fn pin(
    items: &[Item],
    pinning: &Pinning<'_>,
    source: &dyn Source,
    context: &Context<'_>,
) -> Result<BTreeMap<ImageRef, LockedArtifact>, FlowError> {
    let wishes = Wishes {
        found: items.iter().filter_map(carried).collect(),
        destination: pinning.destination,
        earlier: pinning.earlier.cloned(),
        update: pinning.update.clone(),
        pinned: Vec::new(),
    };
    let resolved = resolve(wishes, source, context)?;
    Ok(resolved.lock.artifacts.into_iter().map(|artifact| (artifact.source.clone(), artifact)).collect())
}

/// Reads and renders.
struct Reader<'a> {
    source: &'a dyn Source,
    repositories: &'a Repositories<'a>,
    pinned: &'a BTreeMap<ImageRef, LockedArtifact>,
    fields: &'a Table,
    context: &'a Context<'a>,
}

impl Reader<'_> {
    /// Reads every chart once for each way in which it is used; nothing for those that are only carried, and for
    /// repetitions.
    fn all(&self, items: &[Item], reading: &ChartReading) -> Result<Vec<Option<Read>>, FlowError> {
        let mut seen = Vec::new();
        let wanted: Vec<Option<&Item>> = items
            .iter()
            .map(|item| {
                let key = (&item.exact, format!("{:?}", usage(&item.want)));
                let fresh = item.want.images && !seen.contains(&key);
                seen.push(key);
                fresh.then_some(item)
            })
            .collect();
        if wanted.iter().all(Option::is_none) {
            return Ok(items.iter().map(|_| None).collect());
        }
        let renderer = renderer(&reading.renderer)?;
        let read = pool::all(&wanted, self.context.threads, |item| match item {
            Some(item) => self.one(item, &*renderer).map(Some),
            None => Ok(None),
        });
        told(read)
    }

    fn one(&self, item: &Item, renderer: &(dyn Renderer + Sync)) -> Result<Read, FlowError> {
        self.context.go_on()?;
        let unread = |why| match why {
            Unread::Fault(fault) => FlowError::source(wanted(item), fault),
            Unread::Chart(why) => refused(item, why, String::new()),
        };
        let mut chart = self.chart(item).map_err(unread)?;
        let mut fetched = Vec::new();
        let own: [&[_]; 1] = [&[]];
        let sets: Vec<&[_]> = item.want.sets.iter().map(|set| &set.layers[..]).collect();
        for layers in if sets.is_empty() { &own[..] } else { &sets[..] } {
            let values: Vec<serde_json::Value> = layers.iter().map(|layer| layer.values.clone()).collect();
            let more = read::complete(&mut chart, &values, self.repositories, self.source);
            fetched.extend(more.map_err(unread)?);
        }
        let job = Job { chart: &chart, want: &item.want, fields: self.fields, renderer };
        let looked = job.look().map_err(|why| refused(item, why, supplies(item, &chart)))?;
        let record = job.record(fetched);
        Ok(Read { name: chart.metadata.name.clone(), version: chart.metadata.version.clone(), looked, record })
    }

    fn chart(&self, item: &Item) -> Result<Chart, Unread> {
        let lost = || Unread::Chart("it was not pinned".to_owned());
        let archive = match &item.exact {
            Exact::Artifact(name) => {
                let pin = self.pinned.get(&with_tag(name)).ok_or_else(lost)?;
                Archive::Artifact { source: name, digest: &pin.digest }
            }
            Exact::File { source, made } => {
                let pin = self.pinned.get(source).and_then(|pin| pin.made.as_ref()).ok_or_else(lost)?;
                Archive::File { url: &made.url, digest: Some(&pin.digest) }
            }
            Exact::Path(named) => Archive::Path { shown: &named.shown, path: &named.path },
        };
        read::chart(&archive, self.source)
    }
}

/// What a render of a chart depends on.
fn usage(want: &ChartWant) -> impl std::fmt::Debug + '_ {
    (&want.sets, &want.release, &want.namespace, &want.setting)
}

/// A lock names the tag that a reference without one means.
fn with_tag(name: &ImageRef) -> ImageRef {
    match name.reference() {
        crate::model::Reference::Tag(tag) => ImageRef { tag: Some(tag), ..name.clone() },
        crate::model::Reference::Digest(_) => name.clone(),
    }
}

/// Makes the renderer that was chosen.
fn renderer(choice: &RendererChoice) -> Result<Box<dyn Renderer + Sync>, FlowError> {
    match choice {
        RendererChoice::Own => Ok(Box::new(OwnRenderer)),
        RendererChoice::Helm(path) => {
            let program = HelmProgram::at(path).map_err(|error| FlowError::Usage(error.to_string()))?;
            Ok(Box::new(program))
        }
    }
}

/// Returns what was read, or everything that stands in the way.
fn told(read: Vec<Result<Option<Read>, FlowError>>) -> Result<Vec<Option<Read>>, FlowError> {
    let (mut good, mut faults, mut charts): (Vec<_>, Vec<ItemFault>, Vec<ChartFault>) = Default::default();
    for read in read {
        match read {
            Ok(read) => good.push(read),
            Err(FlowError::Source(items)) => faults.extend(items),
            Err(FlowError::Charts(items)) => charts.extend(items),
            Err(other) => return Err(other),
        }
    }
    match (faults.is_empty(), charts.is_empty()) {
        (true, true) => Ok(good),
        (false, _) => Err(FlowError::Source(faults)),
        (true, false) => Err(FlowError::Charts(charts)),
    }
}

fn refused(item: &Item, why: String, hint: String) -> FlowError {
    FlowError::Charts(vec![ChartFault { chart: wanted(item), why, hint }])
}

fn wanted(item: &Item) -> String {
    format!("{} (wanted by {})", shown(&item.exact, ""), item.found.why.join(" → "))
}

/// Says where values for a chart are written.
fn supplies(item: &Item, chart: &Chart) -> String {
    let key = match item.found.role {
        Role::Blueprint => {
            format!("blueprints[].values: [{{ blueprint: {}, values: [FILE], set: {{…}} }}]", chart.metadata.name)
        }
        _ => "values: [FILE] or set: {…} of the chart's entry".to_owned(),
    };
    format!("where a value is missing, the mirror file supplies it: {key}")
}

fn shown(exact: &Exact, version: &str) -> String {
    match exact {
        Exact::Artifact(reference) | Exact::File { source: reference, .. } => reference.to_string(),
        Exact::Path(named) if version.is_empty() => named.shown.clone(),
        Exact::Path(named) => format!("{} {version}", named.shown),
    }
}

/// Tells what the render showed beside images.
fn tell(discovering: &mut Discovering<'_>, item: &Item, read: &Read, carried: Option<&mut Found>) {
    discovering.tell(read.looked.findings.iter().cloned());
    let open = |object: &str| !discovering.is_completed(&read.name) && !discovering.is_completed(object);
    let choices: Vec<Finding> =
        read.looked.choices.iter().filter(|choice| open(&choice.object)).map(|choice| choice.finding.clone()).collect();
    discovering.tell(choices);
    let place = shown(&item.exact, &read.version);
    if !read.record.fetched.is_empty() && carried.is_some() {
        let what =
            format!("its archive lacks {}: who installs it as it is lacks them too", read.record.fetched.join(", "));
        discovering.tell([Finding::warning(FindingClass::Config, &place, what)]);
    }
    if read.looked.incomplete && !discovering.is_completed(&read.name) {
        let what = "it brings a controller; images that only the controller's program knows are not included";
        let hint = format!("name them under extraImages, with for: {}", read.name);
        let note = Finding::warning(FindingClass::Config, &place, what).with_hint(hint);
        discovering.tell([Finding { severity: Severity::Note, ..note }]);
        if let Some(carried) = carried {
            carried.notes.push("images that only its controller knows are not included".to_owned());
        }
    }
}
