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
use super::resolve::{Wishes, pin_known};
use super::update::Update;
use crate::chart::{Chart, HelmProgram, OwnRenderer, Renderer};
use crate::discover::operators::Table;
use crate::discover::{ChartOrigin, ChartPlace, ChartWant, Discovering, Found, PlatformRule, TagSelection, Want};
use crate::document::lock::{Lock, LockedArtifact, Role, Target};
use crate::document::rendered::RenderedWith;
use crate::model::evidence::{FindingClass, Severity};
use crate::model::port::Source;
use crate::model::{Finding, ImageRef, Repository};
pub use read::{Archive, Unread, chart as read_chart};
use render::{Advice, Job, Looked, Renderers};
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
    /// This program, and the `helm` program at a path as its referee: where they disagree, the chart is refused.
    Both(PathBuf),
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
    /// Why some charts could not be looked into; what they run is not among what was found.
    pub failed: Vec<FlowError>,
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
///
/// What stands in the way of some of them is in the result: nobody may take a list for whole then.
pub fn look_into(
    discovering: &mut Discovering<'_>,
    pinning: &Pinning<'_>,
    reading: &ChartReading,
    source: &dyn Source,
    context: &Context<'_>,
) -> Result<ChartPins, FlowError> {
    let repositories = Repositories::new(source);
    let mut lacking = Lacking::default();
    let items = choose(discovering.found(), (&repositories, source, context), &mut lacking)?;
    let pinned = pin(&items, pinning, (source, context), &mut lacking)?;
    let fields = discovering.fields().clone();
    let reader = Reader { source, repositories: &repositories, pinned: &pinned, fields: &fields, context };
    let read = reader.all(&items, reading, &mut lacking)?;
    let mut pins =
        ChartPins { pinned: pinned.into_values().collect(), failed: lacking.errors(), ..ChartPins::default() };
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

/// What stands in the way, gathered until everything was tried.
#[derive(Default)]
struct Lacking {
    faults: Vec<ItemFault>,
    charts: Vec<ChartFault>,
}

impl Lacking {
    /// Takes what was made, or notes why it was not; what ends the whole run is handed on.
    fn take<T>(&mut self, result: Result<T, FlowError>) -> Result<Option<T>, FlowError> {
        match result {
            Ok(value) => return Ok(Some(value)),
            Err(FlowError::Source(items)) => self.faults.extend(items),
            Err(FlowError::Charts(items)) => self.charts.extend(items),
            Err(other) => return Err(other),
        }
        Ok(None)
    }

    fn errors(self) -> Vec<FlowError> {
        let sources = (!self.faults.is_empty()).then_some(FlowError::Source(self.faults));
        sources.into_iter().chain((!self.charts.is_empty()).then_some(FlowError::Charts(self.charts))).collect()
    }
}

/// Whom charts are asked of.
type Asking<'a> = (&'a Repositories<'a>, &'a dyn Source, &'a Context<'a>);

/// Chooses the charts that are meant, each place once however many want it.
fn choose(
    found: &[Found],
    (repositories, source, context): Asking<'_>,
    lacking: &mut Lacking,
) -> Result<Vec<Item>, FlowError> {
    let mut wishes: Vec<(usize, &Found, &ChartWant)> = Vec::new();
    let mut places: BTreeMap<String, Vec<(usize, &Found, &ChartWant)>> = BTreeMap::new();
    for (at, found) in found.iter().enumerate() {
        if let Want::Chart(want) = &found.want {
            let same = places.entry(format!("{:?}", want.place)).or_default();
            if same.is_empty() {
                wishes.push((at, found, want));
            }
            same.push((at, found, want));
        }
    }
    let chosen = pool::all(&wishes, context.threads, |(_, found, want)| {
        context.go_on()?;
        if let ChartPlace::Tags { repository, selection } = &want.place {
            return tagged(found, repository, selection, (source, context));
        }
        let exact = repositories.exact(&want.place).map_err(|fault| {
            let all = places.get(&format!("{:?}", want.place)).into_iter().flatten();
            let why: Vec<String> = all.map(|(_, found, _)| found.why.join(" → ")).collect();
            FlowError::source(format!("{} (wanted by {})", want.place, why.join("; ")), fault)
        })?;
        Ok(exact.into_iter().collect())
    });
    let mut items = Vec::new();
    for ((_, _, first), chosen) in wishes.iter().zip(chosen) {
        let Some(exact) = lacking.take(chosen)? else { continue };
        let all = places.get(&format!("{:?}", first.place)).into_iter().flatten();
        for (at, found, want) in all {
            items.extend(exact.iter().cloned().map(|exact| {
                let (found, want) = ((*found).clone(), (*want).clone());
                Item { at: *at, exact, found, want }
            }));
        }
    }
    items.sort_by_key(|item| item.at);
    Ok(items)
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
    (source, context): (&dyn Source, &Context<'_>),
    lacking: &mut Lacking,
) -> Result<BTreeMap<ImageRef, LockedArtifact>, FlowError> {
    let wishes = Wishes {
        found: items.iter().filter_map(carried).collect(),
        destination: pinning.destination,
        earlier: pinning.earlier.cloned(),
        update: pinning.update.clone(),
        pinned: Vec::new(),
    };
    if wishes.found.is_empty() {
        return Ok(BTreeMap::new());
    }
    let (artifacts, faults) = pin_known(wishes, source, context)?;
    lacking.faults.extend(faults);
    Ok(artifacts.into_iter().map(|artifact| (artifact.source.clone(), artifact)).collect())
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
    /// Reads every chart once for each way in which it is used; nothing for those that are only carried, that could not
    /// be pinned, and for repetitions.
    fn all(
        &self,
        items: &[Item],
        reading: &ChartReading,
        lacking: &mut Lacking,
    ) -> Result<Vec<Option<Read>>, FlowError> {
        let mut seen = Vec::new();
        let wanted: Vec<Option<&Item>> = items
            .iter()
            .map(|item| {
                let key = (&item.exact, format!("{:?}", usage(&item.want)));
                let fresh = item.want.images && self.is_at_hand(item) && !seen.contains(&key);
                seen.push(key);
                fresh.then_some(item)
            })
            .collect();
        if wanted.iter().all(Option::is_none) {
            return Ok(items.iter().map(|_| None).collect());
        }
        let (renderer, referee) = renderers(&reading.renderer)?;
        let renderers = Renderers { renderer: &*renderer, referee: referee.as_deref() };
        let read = pool::all(&wanted, self.context.threads, |item| match item {
            Some(item) => self.one(item, renderers).map(Some),
            None => Ok(None),
        });
        let taken = read.into_iter().map(|read| Ok(lacking.take(read)?.flatten()));
        taken.collect()
    }

    fn is_at_hand(&self, item: &Item) -> bool {
        match &item.exact {
            Exact::Artifact(name) => self.pinned.contains_key(&with_tag(name)),
            Exact::File { source, .. } => self.pinned.contains_key(source),
            Exact::Path(_) => true,
        }
    }

    fn one(&self, item: &Item, renderers: Renderers<'_>) -> Result<Read, FlowError> {
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
        let job = Job { chart: &chart, want: &item.want, fields: self.fields, renderers };
        let looked = job.look().map_err(|error| refused(item, error.why, helps(error.advice, item, &chart)))?;
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

/// Somebody who renders, and may be asked by several threads.
type Boxed = Box<dyn Renderer + Sync>;

/// Makes the renderer that was chosen, and its referee.
fn renderers(choice: &RendererChoice) -> Result<(Boxed, Option<Boxed>), FlowError> {
    let helm = |path: &PathBuf| -> Result<Boxed, FlowError> {
        let program = HelmProgram::at(path).map_err(|error| FlowError::Usage(error.to_string()))?;
        Ok(Box::new(program))
    };
    match choice {
        RendererChoice::Own => Ok((Box::new(OwnRenderer), None)),
        RendererChoice::Helm(path) => Ok((helm(path)?, None)),
        RendererChoice::Both(path) => Ok((Box::new(OwnRenderer), Some(helm(path)?))),
    }
}

fn refused(item: &Item, why: String, hint: String) -> FlowError {
    FlowError::Charts(vec![ChartFault { chart: wanted(item), why, hint }])
}

fn wanted(item: &Item) -> String {
    format!("{} (wanted by {})", shown(&item.exact, ""), item.found.why.join(" → "))
}

/// Says what helps where a chart does not render.
fn helps(advice: Advice, item: &Item, chart: &Chart) -> String {
    match advice {
        Advice::Values => supplies(item, chart),
        Advice::Kubernetes => "name the version of your cluster: rendering: { kubernetes: vX.Y.Z }".to_owned(),
        Advice::Nothing => String::new(),
    }
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
