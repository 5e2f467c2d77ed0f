//! Blueprints with what they need: by their own edges, by those of a kit, or by both.

use super::{Brought, Cause, Discovering};
use crate::discover::blueprint::{self, Blueprint, Catalogue, canonical};
use crate::discover::chart::ChartPlace;
use crate::discover::closure::{Closed, Closure, ClosureError, Need};
use crate::discover::files::Named;
use crate::discover::flux::{self, Kit, Release};
use crate::discover::narrowing::Narrowing;
use crate::discover::published::Published;
use crate::discover::select::{Pattern, Version, VersionRange};
use crate::discover::{Problem, note};
use crate::document::lock::Role;
use crate::document::mirror::{All, BlueprintSource, CatalogueAt, ChartUse, FluxSource, Graph};
use crate::model::evidence::FindingClass;
use crate::model::{Finding, ImageRef};

/// A kit with the entry that names it.
pub(super) struct NamedKit<'m> {
    pub(super) source: &'m FluxSource,
    pub(super) origin: String,
    pub(super) kit: Kit,
}

/// An entry of `blueprints`, and what it is called.
struct Entry<'e> {
    source: &'e BlueprintSource,
    origin: &'e str,
    kits: &'e [NamedKit<'e>],
}

impl Discovering<'_> {
    /// Wants the Blueprints of the entry at `at`.
    pub(super) fn blueprints(&mut self, at: usize, source: &BlueprintSource, kits: &[NamedKit<'_>]) {
        let origin = format!("{}: blueprints[{at}]", self.place);
        let graph = source.graph.map(|graph| format!("graph: {}", graph.word()));
        let from = self.fetched.get(&at).map(|brought| format!("catalogue {}", brought.shown()));
        let named = match [graph, from].into_iter().flatten().collect::<Vec<_>>() {
            said if said.is_empty() => origin.clone(),
            said => format!("{origin} ({})", said.join(", ")),
        };
        let entry = Entry { source, origin: &named, kits };
        self.check_graph(&entry, &origin);
        let Some((shown, catalogue)) = self.catalogue(at, source) else { return };
        let wanted = self.wanted(&catalogue, &entry);
        if source.graph != Some(Graph::Kit) {
            let mut closure = Closure::new(&catalogue, &shown, source.exclude_conditional);
            for (name, range) in &wanted {
                closure.add(name, range.as_ref(), entry.origin);
            }
            let closed = closure.close();
            self.broken(&catalogue, &closed);
            self.closed(closed, &entry);
        }
        if matches!(source.graph, Some(Graph::Kit | Graph::Both)) {
            wanted.iter().for_each(|(name, range)| self.in_kits(name, range.as_ref(), &entry));
        }
    }

    /// A kit beside Blueprints makes two graphs, and it is a person's choice which one is followed.
    fn check_graph(&mut self, entry: &Entry<'_>, origin: &str) {
        match (entry.source.graph, entry.kits.is_empty()) {
            (None, false) => {
                let what = "Blueprints are followed by depends; the kit beside them has other edges";
                let hint = "say graph: depends, or graph: both where a new cluster is to be built";
                self.out.findings.push(note(origin, what).with_hint(hint));
            }
            (Some(Graph::Kit | Graph::Both), true) => {
                let (place, word) = (self.place.to_owned(), entry.source.graph.map_or("", Graph::word));
                self.problems.push(Problem::NoKit { place, line: entry.source.line, graph: word });
            }
            _ => {}
        }
    }

    /// Returns the catalogue of the entry at `at`, with what a person calls it.
    fn catalogue(&mut self, at: usize, source: &BlueprintSource) -> Option<(String, Catalogue)> {
        let url = match (self.fetched.remove(&at), &source.catalogue) {
            (Some(Brought::Published(Published { shown, catalogue, findings })), _) => {
                self.out.findings.extend(findings);
                return Some((shown, catalogue));
            }
            (Some(Brought::Folder(folder)), _) => return self.in_folder(folder),
            (None, CatalogueAt::Path(path)) => return self.in_folder(Named::new(self.base, path)),
            (None, CatalogueAt::Git(git)) => git.url.clone(),
            (None, CatalogueAt::Registry(registry)) => registry.to_string(),
        };
        self.problems.push(Problem::NotFetched { place: format!("{}:{}", self.place, source.line), url });
        None
    }

    fn in_folder(&mut self, folder: Named) -> Option<(String, Catalogue)> {
        match blueprint::read(&folder) {
            Ok((catalogue, findings)) => {
                self.out.findings.extend(findings);
                Some((folder.shown, catalogue))
            }
            Err(error) => {
                self.unreadable(error);
                None
            }
        }
    }

    /// Returns the Blueprints that the entry wants for themselves.
    fn wanted(&mut self, catalogue: &Catalogue, entry: &Entry<'_>) -> Vec<(String, Option<VersionRange>)> {
        let mut wanted = Vec::new();
        for root in &entry.source.roots {
            match root.version.as_deref().map(str::parse::<VersionRange>).transpose() {
                Ok(range) => wanted.push((root.blueprint.clone(), range)),
                Err(error) => self.select(root.line, error),
            }
        }
        let all = self.whole(catalogue, entry);
        wanted.extend(all.into_iter().map(|name| (name, None)));
        catalogue.keys().for_each(|name| self.narrowing.hear(name));
        wanted.retain(|(name, _)| self.narrowing.keeps(&canonical(name)));
        self.narrowed(entry.origin);
        wanted
    }

    /// Returns the Blueprints that a whole catalogue means, and says how many it leaves out.
    fn whole(&mut self, catalogue: &Catalogue, entry: &Entry<'_>) -> Vec<String> {
        let source = entry.source;
        let (include, exclude) = (self.patterns(&source.include, source), self.patterns(&source.exclude, source));
        let listed = |found: &Result<Blueprint, _>| found.as_ref().map_or(true, |blueprint| blueprint.listed);
        let offered = |found: &Result<Blueprint, _>| match source.all {
            All::None => false,
            All::Listed => listed(found),
            All::Every => true,
        };
        let names: Vec<&String> = catalogue.iter().filter(|(_, found)| offered(found)).map(|(name, _)| name).collect();
        if source.all == All::Listed && names.len() < catalogue.len() {
            let out = catalogue.len() - names.len();
            let what = format!("{out} Blueprints are not listed and come in only where others need them");
            self.out.findings.push(note(entry.origin, what));
        }
        let fits = |patterns: &[Pattern], name: &str| patterns.iter().any(|pattern| pattern.names(name));
        let chosen = |name: &&String| (include.is_empty() || fits(&include, name)) && !fits(&exclude, name);
        let (kept, out): (Vec<&String>, Vec<&String>) = names.into_iter().partition(chosen);
        if !out.is_empty() {
            let what = format!("{} Blueprints are left out by include and exclude, unless others need them", out.len());
            self.out.findings.push(note(entry.origin, what));
        }
        kept.into_iter().cloned().collect()
    }

    fn patterns(&mut self, texts: &[String], source: &BlueprintSource) -> Vec<Pattern> {
        let mut patterns = Vec::new();
        for text in texts {
            match text.parse() {
                Ok(pattern) => patterns.push(pattern),
                Err(error) => self.select(source.line, error),
            }
        }
        patterns
    }

    /// Wants a Blueprint and what the releases of the kits say that it waits for.
    fn in_kits(&mut self, name: &str, range: Option<&VersionRange>, entry: &Entry<'_>) {
        let name = canonical(name);
        let mut found = false;
        for kit in entry.kits {
            let releases =
                kit.kit.releases.iter().filter(|release| chart_name(release).is_some_and(|c| canonical(c) == name));
            for release in releases {
                found = true;
                self.check_range(&name, range, release, entry);
                let said = FluxSource {
                    releases: vec![release.id.to_string()],
                    path: kit.source.path.clone(),
                    ..FluxSource::default()
                };
                // The entry of the kit itself reports what is wrong with it.
                if let Ok(order) = flux::ordered(&kit.kit, &said, entry.origin, &mut Narrowing::default()) {
                    order.iter().for_each(|ordered| self.release(ordered, entry.origin));
                }
            }
        }
        if !found {
            self.problems.push(Problem::NotInKit { place: entry.origin.to_owned(), name });
        }
    }

    fn check_range(&mut self, name: &str, range: Option<&VersionRange>, release: &Release, entry: &Entry<'_>) {
        let (Some(range), Some(version)) = (range, exact(release)) else { return };
        if !range.holds(&version) {
            self.problems.push(Problem::Contradiction {
                name: name.to_owned(),
                range: range.to_string(),
                wanted_by: entry.origin.to_owned(),
                version: version.to_string(),
                place: format!("{} HelmRelease {}", release.place, release.id),
            });
        }
    }

    /// Reports broken Blueprints that nobody wants; those that somebody wants are errors already.
    fn broken(&mut self, catalogue: &Catalogue, closed: &Closed<'_>) {
        for (name, errors) in catalogue.iter().filter_map(|(name, found)| Some((name, found.as_ref().err()?))) {
            let is =
                |error: &ClosureError| matches!(error, ClosureError::Broken { name: wanted, .. } if wanted == name);
            if closed.errors.iter().any(is) {
                continue;
            }
            for error in errors {
                let what = format!("{error}; no Blueprint that is wanted needs it");
                self.out.findings.push(Finding::warning(FindingClass::Config, name, what));
            }
        }
    }

    fn closed(&mut self, closed: Closed<'_>, entry: &Entry<'_>) {
        self.problems.extend(closed.errors.into_iter().map(Problem::from));
        for left in closed.left_out {
            let what = format!("{} is left out: conditional: exclude, when: {}", left.name, left.when);
            self.out.findings.push(note(left.by, what));
        }
        for (blueprint, needs) in closed.order {
            self.excluded(&blueprint.name, needs.first().map_or(&[], |need| &need.why));
            self.out.findings.extend(blueprint.findings.iter().cloned());
            match artifact(blueprint, &entry.source.artifact) {
                Ok(reference) => self.needed(blueprint, &needs, reference, entry),
                Err(problem) => self.problems.push(*problem),
            }
        }
    }

    fn needed(&mut self, blueprint: &Blueprint, needs: &[Need], reference: ImageRef, entry: &Entry<'_>) {
        self.check_registry(blueprint, &reference);
        let place = ChartPlace::Artifact(self.of_the_kit(blueprint, needs, reference, entry));
        let usage = entry.source.uses.iter().find(|usage| canonical(&usage.blueprint) == blueprint.name);
        let usage = usage.map_or_else(ChartUse::default, |usage| usage.usage.clone());
        let Some(mut chart) = self.chart_want(place, &usage) else { return };
        chart.images &= entry.source.images;
        for need in needs {
            let cause = Cause { notes: need.notes.clone(), ..Cause::new(Role::Blueprint, need.why.clone()) };
            self.chart(chart.clone(), cause);
        }
    }

    /// A kit says which version a cluster gets, so its version counts; it must be in every range.
    fn of_the_kit(&mut self, blueprint: &Blueprint, needs: &[Need], own: ImageRef, entry: &Entry<'_>) -> ImageRef {
        let releases = entry.kits.iter().flat_map(|kit| &kit.kit.releases);
        let same = releases.filter_map(|release| match &release.chart {
            ChartPlace::Artifact(reference) if reference.repository == own.repository => Some((release, reference)),
            _ => None,
        });
        let Some((release, theirs)) = same.into_iter().next().filter(|(_, theirs)| **theirs != own) else { return own };
        let place = format!("{} HelmRelease {}", release.place, release.id);
        let version = exact(release);
        for need in needs {
            if let (Some(range), Some(version)) = (&need.range, &version)
                && !range.holds(version)
            {
                self.problems.push(Problem::Contradiction {
                    name: blueprint.name.clone(),
                    range: range.to_string(),
                    wanted_by: need.why.join(" → "),
                    version: version.to_string(),
                    place: place.clone(),
                });
            }
        }
        let (name, chart) = (&blueprint.name, &blueprint.chart);
        let what = format!(
            "{name}: {place} installs {theirs}, {} has version {}; the kit's counts",
            chart.place, chart.version
        );
        self.out.findings.push(Finding::warning(FindingClass::Config, entry.origin, what));
        theirs.clone()
    }

    /// A manifest may name a registry of its own; the mirror file decides, and a difference is told.
    fn check_registry(&mut self, blueprint: &Blueprint, reference: &ImageRef) {
        let Some(url) = &blueprint.registry else { return };
        let own = url.strip_prefix("oci://").unwrap_or(url).trim_end_matches('/');
        if !reference.repository.to_string().starts_with(own) {
            let what = format!("{}: spec.source.url is {url:?}, the mirror file leads to {reference}", blueprint.name);
            self.out.findings.push(Finding::warning(FindingClass::Config, &blueprint.file, what));
        }
    }
}

/// Returns the name of the chart that a release installs.
fn chart_name(release: &Release) -> Option<&str> {
    match &release.chart {
        ChartPlace::Http { name, .. } => Some(name),
        place => place.repository().map(|at| at.path().rsplit('/').next().unwrap_or_default()),
    }
}

/// Returns the version of a release, where it states one.
fn exact(release: &Release) -> Option<Version> {
    let ChartPlace::Artifact(reference) = &release.chart else { return None };
    reference.tag.as_ref()?.as_str().replacen('_', "+", 1).parse().ok()
}

/// Fills the template with the chart's name and version; `+` cannot stand in a tag and becomes `_`.
fn artifact(blueprint: &Blueprint, template: &str) -> Result<ImageRef, Box<Problem>> {
    let chart = &blueprint.chart;
    let version = chart.version.as_str().replace('+', "_");
    let text = template.replace("{chart}", &chart.name).replace("{version}", &version);
    let text = text.strip_prefix("oci://").unwrap_or(&text).to_owned();
    text.parse::<ImageRef>().map_err(|error| {
        let (place, name) = (chart.place.clone(), blueprint.name.clone());
        Box::new(Problem::Artifact { place, name, why: error.to_string(), text })
    })
}
