//! Goes through the sources of a mirror file and gathers what they lead to.

mod blueprints;
mod charts;
mod kits;
mod settle;

pub use settle::{ChartOrigin, Seen};

use super::decisions::Decisions;
use super::files::{self, Named};
use super::kube::Looking;
use super::mapping::Mapping;
use super::narrowing::Narrowing;
use super::operators::Table;
use super::published::Published;
use super::rules::Rules;
use super::select::SelectError;
use super::sighting::{Certainty, Need};
use super::tags::TagSelection;
use super::{ChartPlace, DiscoverError, Discovery, Found, PlatformRule, Problem, Want, kube, list, note};
use crate::document::lock::Role;
use crate::document::made::MadeWish;
use crate::document::mirror::{MirrorManifest, Source, Wish};
use crate::model::evidence::FindingClass;
use crate::model::{Finding, ImageRef, Reference, Repository};
use std::collections::BTreeMap;
use std::path::Path;

/// Endings of files with Kubernetes objects.
const KUBERNETES: [&str; 3] = [".yaml", ".yml", ".json"];

/// Says what `mirror` wants, which a person calls `place`; relative paths in it are meant from `base`.
///
/// Reads files and asks nobody. The order is that of the sources: images, charts, artifacts, blueprints,
/// kubernetes, extraImages; within one, that of the mirror file and of file names. Charts are wanted as they are
/// named; who can read them uses [`begin`] and says what is in them.
pub fn discover(mirror: &MirrorManifest, place: &str, base: &Path) -> Result<Discovery, DiscoverError> {
    begin(mirror, place, base)?.finish()
}

/// Goes through the sources of `mirror` as [`discover`] does, and waits to hear what its charts run.
pub fn begin<'m>(mirror: &'m MirrorManifest, place: &'m str, base: &'m Path) -> Result<Discovering<'m>, DiscoverError> {
    begin_with(mirror, place, base, Fetched::new(), Narrowing::default())
}

/// Catalogues that were brought here from elsewhere, by the number of their entry in `blueprints`.
pub type Fetched = BTreeMap<usize, Brought>;

/// A catalogue that was brought here.
#[derive(Debug)]
pub enum Brought {
    /// Its files, in a folder.
    Folder(Named),
    /// What a registry has of it.
    Published(Published),
}

impl Brought {
    /// Returns what a person calls it.
    pub fn shown(&self) -> &str {
        match self {
            Self::Folder(folder) => &folder.shown,
            Self::Published(published) => &published.shown,
        }
    }
}

/// Begins as [`begin`] does, with catalogues that are not where the mirror file says, and with less of its Blueprints.
pub fn begin_with<'m>(
    mirror: &'m MirrorManifest,
    place: &'m str,
    base: &'m Path,
    fetched: Fetched,
    narrowing: Narrowing,
) -> Result<Discovering<'m>, DiscoverError> {
    let alone = |source| DiscoverError {
        problems: vec![Problem::Rule { place: place.to_owned(), source }],
        findings: Vec::new(),
    };
    let (rules, decisions) = (Rules::new(mirror).map_err(alone)?, Decisions::new(mirror).map_err(alone)?);
    let (fields, unusable) = match Table::with(&mirror.image_fields) {
        Ok(fields) => (fields, None),
        Err(source) => (Table::default(), Some(Problem::Fields { place: place.to_owned(), source })),
    };
    let (out, problems, seen) = (Discovery::default(), Vec::from_iter(unusable), Vec::new());
    let mut gather = Discovering {
        mirror,
        place,
        base,
        rules,
        decisions,
        fields,
        fetched,
        narrowing,
        line: 0,
        whole: true,
        out,
        problems,
        seen,
    };
    if let Err((line, source)) = Mapping::new(mirror) {
        gather.select(line, source);
    }
    gather.sources();
    gather.fits_nothing();
    Ok(gather)
}

/// Why something is wanted, and how.
#[derive(Clone)]
struct Cause<'s> {
    role: Role,
    why: Vec<String>,
    notes: Vec<String>,
    platforms: Option<&'s PlatformRule>,
    seen: Option<(Certainty, Need)>,
}

impl Cause<'_> {
    fn new(role: Role, why: Vec<String>) -> Self {
        Self { role, why, notes: Vec::new(), platforms: None, seen: None }
    }
}

/// A mirror file whose sources were gone through, before it is known what its charts run.
pub struct Discovering<'m> {
    mirror: &'m MirrorManifest,
    place: &'m str,
    base: &'m Path,
    rules: Rules<'m>,
    decisions: Decisions<'m>,
    fields: Table,
    fetched: Fetched,
    narrowing: Narrowing,
    /// Line of the entry of the mirror file that is gone through.
    line: usize,
    /// Whether every chart could be looked into.
    whole: bool,
    out: Discovery,
    problems: Vec<Problem>,
    /// What is not wanted without a decision.
    seen: Vec<Seen>,
}

impl Discovering<'_> {
    fn sources(&mut self) {
        let (mirror, place) = (self.mirror, self.place);
        for (at, source) in mirror.images.iter().enumerate() {
            self.line = source.line;
            self.source(source, Role::Image, format!("{place}: images[{at}]"));
        }
        for (at, source) in mirror.charts.iter().enumerate() {
            self.line = source.line;
            self.chart_source(source, format!("{place}: charts[{at}]"));
        }
        for (at, source) in mirror.artifacts.iter().enumerate() {
            self.line = source.line;
            self.source(source, Role::Artifact, format!("{place}: artifacts[{at}]"));
        }
        let kits = self.kits();
        for (at, source) in mirror.blueprints.iter().enumerate() {
            self.line = source.line;
            self.blueprints(at, source, &kits);
        }
        for (at, source) in mirror.kubernetes.iter().enumerate() {
            self.line = source.line;
            self.kubernetes(&source.path, &format!("{place}: kubernetes[{at}]"));
        }
        for (at, source) in mirror.kustomize.iter().enumerate() {
            self.line = source.line;
            self.kustomize(&source.path, &format!("{place}: kustomize[{at}]"));
        }
        kits.into_iter().for_each(|kit| self.flux(kit));
        for (at, extra) in mirror.extra_images.iter().enumerate() {
            let mut why = vec![format!("{place}: extraImages[{at}]")];
            why.extend(extra.needed_by.iter().map(|by| format!("needed by {by}")));
            self.reference(extra.reference.clone(), Cause::new(Role::Image, why));
        }
    }

    /// Reports patterns of the command line that fit nothing; where something could not be read, nobody knows.
    fn fits_nothing(&mut self) {
        if self.problems.is_empty() {
            let place = || self.place.to_owned();
            let problem =
                |(flag, text): (_, &str)| Problem::FitsNothing { flag, pattern: text.to_owned(), place: place() };
            self.problems = self.narrowing.unmet().map(problem).collect();
        }
    }

    /// Says how many of an entry's own wishes the command line leaves out.
    fn narrowed(&mut self, place: &str) {
        let out = self.narrowing.take_left_out();
        if out > 0 {
            let what = format!("{out} are left out by --include and --exclude, unless others need them");
            self.out.findings.push(note(place, what));
        }
    }

    /// What the command line excludes must not come in through something else.
    fn excluded(&mut self, name: &str, chain: &[String]) {
        if let Some(pattern) = self.narrowing.excludes(name).map(str::to_owned) {
            let (name, chain) = (name.to_owned(), chain.join(" → "));
            self.problems.push(Problem::Excluded { pattern, name, chain });
        }
    }

    /// Reports a file that the entry at hand names.
    fn unreadable(&mut self, source: files::FileError) {
        let problem = match source {
            // A mistake in a file has a place of its own.
            files::FileError::Paper(error) => files::FileError::Paper(error).into(),
            source => Problem::Named { place: self.place.to_owned(), line: self.line, source },
        };
        self.problems.push(problem);
    }

    fn select(&mut self, line: usize, source: SelectError) {
        self.problems.push(Problem::Select { place: self.place.to_owned(), line, source });
    }

    fn source(&mut self, source: &Source, role: Role, origin: String) {
        let cause = Cause { platforms: source.platforms.as_ref(), ..Cause::new(role, vec![origin]) };
        match &source.wish {
            Wish::Reference(reference) => self.reference(reference.clone(), cause),
            Wish::Tags { repository, tags } => {
                for name in &tags.names {
                    let reference = ImageRef { repository: repository.clone(), tag: Some(name.clone()), digest: None };
                    self.reference(reference, cause.clone());
                }
                match TagSelection::new(tags) {
                    Ok(selection) if !selection.is_empty() => self.tags(repository, selection, cause),
                    Ok(_) => {}
                    Err(error) => self.select(source.line, error),
                }
            }
            Wish::Made { source, made } => self.made(source, made, cause),
            Wish::List(path) => {
                for (reference, line) in self.listed(path) {
                    let mut cause = cause.clone();
                    cause.why.push(line);
                    self.reference(reference, cause);
                }
            }
        }
    }

    /// Reads a list of references; returns each with its place.
    fn listed(&mut self, path: &str) -> Vec<(ImageRef, String)> {
        let file = Named::new(self.base, path);
        let listed = match list::read(&file) {
            Ok(listed) => listed,
            Err(error) => {
                match error {
                    list::ListError::File(error) => self.unreadable(error),
                    other => self.problems.push(other.into()),
                }
                return Vec::new();
            }
        };
        for (entry, again) in listed.iter().filter_map(|entry| Some((entry, entry.again.first()?))) {
            let what = format!("{} stands in line {} already", entry.reference, entry.line);
            self.out.findings.push(note(format!("{}:{again}", file.shown), what));
        }
        let place = |line: usize| format!("{}:{line}", file.shown);
        listed.into_iter().map(|entry| (entry.reference, place(entry.line))).collect()
    }

    fn tags(&mut self, repository: &Repository, selection: TagSelection, mut cause: Cause<'_>) {
        cause.why.push(format!("{repository} {selection}"));
        if let Some(reason) = self.rules.ignored_repository(repository) {
            let place = cause.why.remove(0);
            self.out.findings.push(note(place, format!("{repository} is ignored: {reason}")));
            return;
        }
        let out: Vec<_> = self.rules.ignored_tags(repository);
        let told =
            out.iter().map(|(tag, reason)| note(&cause.why[0], format!("{repository}:{tag} is ignored: {reason}")));
        self.out.findings.extend(told);
        let selection = selection.without(out.into_iter().map(|(tag, _)| tag));
        let Some(repository) = self.substituted(repository, &mut cause) else { return };
        let platforms = self.platforms(&repository, &cause);
        let Cause { role, why, notes, seen, .. } = cause;
        self.out.found.push(Found { want: Want::Tags { repository, selection }, role, why, notes, platforms, seen });
    }

    /// Adds one artifact that is made, unless a rule leaves it out. Its address decides where it comes from, so its name
    /// is not replaced.
    fn made(&mut self, source: &ImageRef, made: &MadeWish, mut cause: Cause<'_>) {
        if let Some(reason) = self.rules.ignored_text(&source.to_string()) {
            let what = format!("{source} is ignored: {reason}");
            return self.out.findings.push(note(&cause.why[0], what));
        }
        cause.why.push(format!("made of {}", made.url));
        let want = Want::Made { source: source.clone(), made: made.clone() };
        let Cause { role, why, notes, seen, .. } = cause;
        self.out.found.push(Found { want, role, why, notes, platforms: PlatformRule::All, seen });
    }

    /// Adds one artifact, unless a rule leaves it out.
    fn reference(&mut self, reference: ImageRef, mut cause: Cause<'_>) {
        if let Some(reason) = self.rules.ignored_text(&reference.to_string()) {
            let place = cause.why.pop().unwrap_or_default();
            self.out.findings.push(note(place, format!("{reference} is ignored: {reason}")));
            return;
        }
        let Some(repository) = self.substituted(&reference.repository, &mut cause) else { return };
        // Tags that move are marked where tags are pinned; that there was none is known only here.
        if let (Reference::Tag(tag), None) = (reference.reference(), &reference.tag) {
            cause.notes.push(format!("no tag given: {tag}, a moving tag"));
        }
        let platforms = self.platforms(&repository, &cause);
        let Cause { role, why, notes, seen, .. } = cause;
        let want = Want::Reference(ImageRef { repository, ..reference });
        self.out.found.push(Found { want, role, why, notes, platforms, seen });
    }

    /// Returns the repository, or what replaces it; nothing where the new name is none.
    fn substituted(&mut self, repository: &Repository, cause: &mut Cause<'_>) -> Option<Repository> {
        match self.rules.substitute(repository) {
            Ok(None) => Some(repository.clone()),
            Ok(Some(other)) => {
                cause.notes.push(format!("replaces {repository}"));
                Some(other)
            }
            Err(source) => {
                self.problems.push(Problem::Rule { place: self.place.to_owned(), source });
                None
            }
        }
    }

    /// Platforms are a matter of images; everything else is kept as it is.
    fn platforms(&self, repository: &Repository, cause: &Cause<'_>) -> PlatformRule {
        match (cause.role, cause.platforms) {
            (Role::Image, Some(own)) => own.clone(),
            (Role::Image, None) => self.rules.platforms(repository),
            _ => PlatformRule::All,
        }
    }

    fn kubernetes(&mut self, path: &str, origin: &str) {
        let files = match files::find(self.base, path, &KUBERNETES) {
            Ok(files) => files,
            Err(error) => return self.unreadable(error),
        };
        for file in files {
            let ignored = |text: &str| self.rules.ignored_text(text).map(str::to_owned);
            let looking = Looking { place: &file.shown, rendered: false, ignored: &ignored, fields: &self.fields };
            let scan = kube::read(&file, &looking);
            self.scanned(scan, origin);
        }
    }

    fn scanned(&mut self, scan: kube::Scan, origin: &str) {
        self.out.findings.extend(scan.findings);
        for error in scan.errors {
            match error {
                kube::KubeError::File(error) => self.unreadable(error),
                other => self.problems.push(other.into()),
            }
        }
        for sighting in scan.sightings {
            self.sighted(sighting, None, &[origin.to_owned()]);
        }
        for choice in scan.choices {
            if !self.names_images_for(&choice.object) {
                self.out.findings.push(choice.finding);
            }
        }
    }

    /// Nobody can know which images an operator chooses; who names some for its object says that these do.
    fn names_images_for(&self, object: &str) -> bool {
        self.mirror.extra_images.iter().any(|extra| extra.needed_by.as_deref() == Some(object))
    }

    /// Ends the search: says what is wanted, what waits for a decision, and which rules met nothing.
    pub fn finish(mut self) -> Result<Discovery, DiscoverError> {
        self.one_version_each();
        self.undecided();
        let rules = self.rules.unused().into_iter().map(|line| (line, false));
        let unused: Vec<(usize, bool)> = rules.chain(self.decisions.unused()).collect();
        for (line, overruled) in unused.into_iter().filter(|_| self.whole) {
            let place = format!("{}:{line}", self.place);
            let finding = match overruled {
                false => Finding::warning(FindingClass::Config, place, "nothing met this rule"),
                true => Finding::warning(
                    FindingClass::Config,
                    place,
                    "this decision is about what certainly runs; it stays",
                )
                .with_hint("ignore leaves out whatever it names"),
            };
            self.out.findings.push(finding);
        }
        match self.problems.is_empty() {
            true => Ok(self.out),
            false => Err(DiscoverError { problems: self.problems, findings: self.out.findings }),
        }
    }

    /// A lock holds one version of a Blueprint, also where two catalogues offer it.
    fn one_version_each(&mut self) {
        let mut seen: BTreeMap<&Repository, &ImageRef> = BTreeMap::new();
        let mut two = Vec::new();
        for reference in self.out.found.iter().filter(|found| found.role == Role::Blueprint).filter_map(one) {
            let first = *seen.entry(&reference.repository).or_insert(reference);
            if first != reference {
                let versions = [first.to_string(), reference.to_string()];
                two.push((reference.repository.to_string(), versions));
            }
        }
        two.dedup();
        self.problems.extend(two.into_iter().map(|(name, versions)| Problem::TwoVersions { name, versions }));
    }
}

fn one(found: &Found) -> Option<&ImageRef> {
    match &found.want {
        Want::Reference(reference) => Some(reference),
        Want::Chart(chart) => match &chart.place {
            ChartPlace::Artifact(reference) => Some(reference),
            _ => None,
        },
        Want::Tags { .. } | Want::Made { .. } => None,
    }
}
