//! Blueprints of which only published charts are at hand: which version of each is taken, and what it needs.
//!
//! A registry has many versions of each, so what is needed depends on what is taken: [`Choosing`] goes from the roots
//! down, takes the highest version that every range allows, asks for what it does not know yet, and goes again until
//! nothing changes. It asks nobody itself; who can, answers [`Step`] after [`Step`]. What comes out is a catalogue with
//! one version of each, to which the rules of every other catalogue apply.
//!
//! What a chart needs stands in the `blueprint.yaml` of its archive. Without one, dependencies of its `Chart.yaml` that
//! are Blueprints of the same place count; one that is packed into the archive comes with it and is no need.

use super::blueprint::{Blueprint, BlueprintChart, BlueprintError, Catalogue, Dependency, canonical, packed};
use super::closure::{labelled, step};
use super::select::{Version, VersionRange};
use crate::document::mirror::RegistrySource;
use crate::model::evidence::FindingClass;
use crate::model::{Fault, Finding, Tag};
use std::collections::{BTreeMap, BTreeSet, VecDeque};

/// Rounds of choosing beyond one for each known chart, after which versions that make each other change are an error.
const ROUNDS: usize = 64;
/// Versions that an error names.
const NAMED: usize = 8;

/// What is to be found out next.
#[derive(Debug, PartialEq, Eq)]
pub enum Step {
    /// Which versions of these Blueprints there are.
    Versions(Vec<String>),
    /// What these versions of Blueprints need.
    Charts(Vec<(String, Version)>),
    /// Nothing.
    Done,
}

/// What the archive of a published chart says.
#[derive(Debug, Clone, Default)]
pub struct Archived {
    /// Its `blueprint.yaml`, where there is one.
    pub blueprint: Option<String>,
    /// Name in `Chart.yaml`.
    pub name: String,
    /// Version in `Chart.yaml`.
    pub version: String,
    /// Dependencies in `Chart.yaml` that are not packed into the archive: name, range, repository.
    pub dependencies: Vec<[String; 3]>,
}

/// A catalogue of what is published.
#[derive(Debug, Default)]
pub struct Published {
    /// What a person calls it.
    pub shown: String,
    /// One version of each Blueprint that is needed.
    pub catalogue: Catalogue,
    /// What a person should know.
    pub findings: Vec<Finding>,
}

/// A need: the range, where one is given, and the path that leads to it.
type Needs = BTreeMap<String, Vec<(Option<VersionRange>, Vec<String>)>>;

/// A version, or why none is taken.
enum Choice {
    Version(Version),
    Unknown,
    None(BlueprintError),
}

/// Chooses versions.
pub struct Choosing<'m> {
    place: &'m RegistrySource,
    roots: Vec<(String, Option<VersionRange>, String)>,
    exclude_conditional: bool,
    /// Versions that the kits of the mirror file install.
    installed: BTreeMap<String, Version>,
    versions: BTreeMap<String, Result<Vec<Version>, Fault>>,
    charts: BTreeMap<(String, Version), Result<Result<Blueprint, BlueprintError>, Fault>>,
    /// Charts without a `blueprint.yaml`.
    bare: BTreeSet<(String, Version)>,
}

impl<'m> Choosing<'m> {
    /// Begins with the Blueprints that are wanted for themselves: name, range and the entry that wants it.
    pub fn new(
        place: &'m RegistrySource,
        roots: Vec<(String, Option<VersionRange>, String)>,
        exclude_conditional: bool,
    ) -> Self {
        let (versions, charts, bare) = (BTreeMap::new(), BTreeMap::new(), BTreeSet::new());
        Self { place, roots, exclude_conditional, installed: BTreeMap::new(), versions, charts, bare }
    }

    /// Takes the versions that kits install: they count, since a cluster gets them; ranges are checked all the same.
    #[must_use]
    pub fn installing(mut self, releases: impl IntoIterator<Item = (String, Version)>) -> Self {
        self.installed.extend(releases);
        self
    }

    /// Says what has to be found out next.
    pub fn next(&self) -> Step {
        let (needs, _) = self.settled();
        let (mut versions, mut charts) = (Vec::new(), Vec::new());
        for (name, needs) in needs {
            match self.choice(&name, &needs) {
                Choice::Unknown if !self.versions.contains_key(&name) => versions.push(name),
                Choice::Version(version) if !self.charts.contains_key(&(name.clone(), version.clone())) => {
                    charts.push((name, version));
                }
                _ => {}
            }
        }
        match (versions.is_empty(), charts.is_empty()) {
            (false, _) => Step::Versions(versions),
            (true, false) => Step::Charts(charts),
            (true, true) => Step::Done,
        }
    }

    /// Learns the tags of a Blueprint's repository; those that are no versions do not count.
    pub fn learn_tags(&mut self, name: &str, tags: Result<Vec<Tag>, Fault>) {
        let versions = tags.map(|tags| {
            // A tag cannot hold the + of a version.
            let version = |tag: &Tag| tag.as_str().replacen('_', "+", 1).parse::<Version>().ok();
            let mut versions: Vec<Version> = tags.iter().filter_map(version).collect();
            versions.sort_by(|a, b| b.cmp(a));
            versions
        });
        self.versions.insert(name.to_owned(), versions);
    }

    /// Learns what the chart of a version says.
    pub fn learn_chart(&mut self, name: &str, version: &Version, chart: Result<Archived, Fault>) {
        let key = (name.to_owned(), version.clone());
        let read = chart.map(|archived| {
            if archived.blueprint.is_none() {
                self.bare.insert(key.clone());
            }
            self.read(name, version, &archived)
        });
        self.charts.insert(key, read);
    }

    fn read(&self, name: &str, version: &Version, archived: &Archived) -> Result<Blueprint, BlueprintError> {
        let place = self.reference(name, version);
        let published = |why: String| BlueprintError::Published { place: place.clone(), why };
        if archived.name != name {
            return Err(published(format!("holds the chart {}", archived.name)));
        }
        if archived.version.parse::<Version>().is_ok_and(|own| !own.is_same(version)) {
            return Err(published(format!("holds version {} of its chart, which is not the tag", archived.version)));
        }
        let chart = BlueprintChart { name: name.to_owned(), version: version.clone(), place: place.clone() };
        if let Some(text) = &archived.blueprint {
            return packed(text, &format!("{place} blueprint.yaml"), name, &chart);
        }
        let ours = |[name, _, repository]: &&[String; 3]| {
            name.starts_with("bp-") && (repository.is_empty() || self.place.is_at(repository))
        };
        let need = |[name, range, _]: &[String; 3]| {
            let wrong = |error| published(format!("needs {name}, but Chart.yaml: {error}"));
            let range = Some(range.as_str()).filter(|range| !range.is_empty()).map(str::parse).transpose();
            Ok(Dependency { name: canonical(name), range: range.map_err(wrong)?, alias: None, when: None })
        };
        let depends = archived.dependencies.iter().filter(ours).map(need).collect::<Result<_, BlueprintError>>()?;
        let (name, version, file) = (name.to_owned(), version.clone(), place.clone());
        Ok(Blueprint { name, version, file, chart, listed: true, depends, registry: None, findings: Vec::new() })
    }

    fn reference(&self, name: &str, version: &Version) -> String {
        let repository = self.place.repository(name).map(|at| at.to_string()).unwrap_or_default();
        format!("{repository}:{}", version.as_str().replace('+', "_"))
    }

    /// Ends with what was taken, and with what could not be had, each with the path that asked for it.
    pub fn finish(mut self) -> (Published, Vec<(String, Fault)>) {
        let (needs, settled) = self.settled();
        let mut published = Published { shown: self.place.to_string(), ..Published::default() };
        let (mut faults, mut bare) = (Vec::new(), Vec::new());
        for (name, needs) in &needs {
            let path = needs.first().map(|(_, path)| path.join(" → ")).unwrap_or_default();
            let item = format!("{name} (wanted by {path})");
            let choice = if settled { self.choice(name, needs) } else { Choice::None(self.unsettled(name, needs)) };
            let found = match choice {
                Choice::None(error) => Err(vec![error]),
                Choice::Unknown => {
                    if let Some(Err(fault)) = self.versions.remove(name) {
                        faults.push((item, fault));
                    }
                    continue;
                }
                Choice::Version(version) => {
                    let key = (name.clone(), version);
                    if self.bare.contains(&key) {
                        bare.push(name.as_str());
                    }
                    match self.charts.remove(&key) {
                        Some(Ok(read)) => read.map_err(|error| vec![error]),
                        Some(Err(fault)) => {
                            faults.push((item, fault));
                            continue;
                        }
                        None => continue,
                    }
                }
            };
            published.catalogue.insert(name.clone(), found);
        }
        published.findings.extend(without_manifest(&published.shown, &bare));
        (published, faults)
    }

    /// Goes from the roots down until the needs do not change any more; says whether they settled.
    fn settled(&self) -> (Needs, bool) {
        let mut needs = Needs::new();
        for _ in 0..ROUNDS + self.charts.len() {
            let again = self.walk(&needs);
            if again == needs {
                return (needs, true);
            }
            needs = again;
        }
        (needs, false)
    }

    /// Returns the needs that follow from the versions that `before` leads to.
    fn walk(&self, before: &Needs) -> Needs {
        let mut needs = Needs::new();
        let mut open: VecDeque<(String, Vec<String>)> = VecDeque::new();
        for (name, range, origin) in &self.roots {
            let path = vec![origin.clone(), labelled(name, range.as_ref())];
            needs.entry(name.clone()).or_default().push((range.clone(), path.clone()));
            open.push_back((name.clone(), path));
        }
        let mut entered = BTreeSet::new();
        while let Some((name, path)) = open.pop_front() {
            if !entered.insert(name.clone()) {
                continue;
            }
            let Some(blueprint) = before.get(&name).and_then(|needs| self.taken(&name, needs)) else { continue };
            for dependency in &blueprint.depends {
                if self.exclude_conditional && dependency.when.is_some() {
                    continue;
                }
                let path: Vec<String> = path.iter().cloned().chain([step(blueprint, dependency)]).collect();
                needs.entry(dependency.name.clone()).or_default().push((dependency.range.clone(), path.clone()));
                open.push_back((dependency.name.clone(), path));
            }
        }
        needs
    }

    /// Returns the Blueprint that is taken, where it is known and can be read.
    fn taken(&self, name: &str, needs: &[(Option<VersionRange>, Vec<String>)]) -> Option<&Blueprint> {
        let Choice::Version(version) = self.choice(name, needs) else { return None };
        self.charts.get(&(name.to_owned(), version))?.as_ref().ok()?.as_ref().ok()
    }

    /// Takes the version that a need states in full, that a kit installs, or the highest that all needs allow.
    fn choice(&self, name: &str, needs: &[(Option<VersionRange>, Vec<String>)]) -> Choice {
        let holds = |version: &Version| match needs.iter().filter_map(|(range, _)| range.as_ref()).collect::<Vec<_>>() {
            ranges if ranges.is_empty() => !version.is_pre_release(),
            ranges => ranges.iter().all(|range| range.holds(version)),
        };
        let exact = needs.iter().find_map(|(range, _)| range.as_ref().and_then(VersionRange::exact));
        if let Some(exact) = exact {
            return if holds(&exact) { Choice::Version(exact) } else { Choice::None(self.unfit(name, needs)) };
        }
        if let Some(installed) = self.installed.get(name) {
            return Choice::Version(installed.clone());
        }
        match self.versions.get(name) {
            Some(Ok(versions)) => match versions.iter().find(|version| holds(version)) {
                Some(version) => Choice::Version(version.clone()),
                None => Choice::None(self.unfit(name, needs)),
            },
            _ => Choice::Unknown,
        }
    }

    fn unfit(&self, name: &str, needs: &[(Option<VersionRange>, Vec<String>)]) -> BlueprintError {
        let at = self.place.repository(name).map(|at| at.to_string()).unwrap_or_default();
        let mut wanted: Vec<(String, String)> = Vec::new();
        for (range, path) in needs {
            let range = range.as_ref().map_or_else(|| "any version".to_owned(), ToString::to_string);
            if needs.len() == 1 || range != "any version" {
                wanted.push((range, path.join(" → ")));
            }
        }
        let there = match self.versions.get(name) {
            Some(Ok(versions)) => offer(versions),
            _ => "two versions are stated in full".to_owned(),
        };
        BlueprintError::NoVersion { at, wanted, there }
    }

    fn unsettled(&self, name: &str, needs: &[(Option<VersionRange>, Vec<String>)]) -> BlueprintError {
        let place = self.place.repository(name).map(|at| at.to_string()).unwrap_or_default();
        let paths: Vec<String> = needs.iter().map(|(_, path)| path.join(" → ")).collect();
        let why = format!(
            "has no version that stays: versions of Blueprints make each other change; state one in full under roots \
             ({})",
            paths.join("; ")
        );
        BlueprintError::Published { place, why }
    }
}

fn offer(versions: &[Version]) -> String {
    let names: Vec<&str> = versions.iter().take(NAMED).map(Version::as_str).collect();
    match versions.len() {
        0 => "there is no version at all".to_owned(),
        count if count <= NAMED => format!("there are {}", names.join(", ")),
        count => format!("there are {count} versions, among them {}", names.join(", ")),
    }
}

/// Says of which charts the needs are known from `Chart.yaml` only.
fn without_manifest(place: &str, bare: &[&str]) -> Option<Finding> {
    let few: Vec<&str> = bare.iter().copied().take(NAMED).collect();
    let more = if bare.len() > NAMED { ", …" } else { "" };
    let what = format!(
        "{} of the published charts have no blueprint.yaml ({}{more}): what they need of other Blueprints is known from \
         their Chart.yaml only",
        bare.len(),
        few.join(", ")
    );
    let hint = "name what else they need under roots, or use a checkout as the catalogue";
    (!bare.is_empty()).then(|| Finding::warning(FindingClass::Config, place, what).with_hint(hint))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::FaultKind;
    use proptest::prelude::*;

    type Shelf<'s> = &'s [(&'s str, &'s str, &'s str)];

    fn manifest(name: &str, version: &str, depends: &str) -> String {
        format!(
            "apiVersion: catalyst.openova.io/v1\nkind: Blueprint\nmetadata: {{name: {name}}}\nspec:\n  version: {version}\n  \
             depends: [{depends}]\n"
        )
    }

    /// Answers from a shelf of name, version and `depends`; returns what was asked for, too.
    fn choose(shelf: Shelf<'_>, roots: &[(&str, &str)]) -> (Published, Vec<(String, Fault)>, Vec<String>) {
        let place = RegistrySource::parse("oci://h.example/press").unwrap();
        let range = |text: &str| (!text.is_empty()).then(|| text.parse().unwrap());
        let roots = roots.iter().map(|(name, text)| ((*name).to_owned(), range(text), "m: blueprints[0]".to_owned()));
        let mut choosing = Choosing::new(&place, roots.collect(), false);
        let mut asked = Vec::new();
        loop {
            match choosing.next() {
                Step::Done => break,
                Step::Versions(names) => {
                    for name in names {
                        let tags: Vec<Tag> =
                            shelf.iter().filter(|row| row.0 == name).map(|row| row.1.parse().unwrap()).collect();
                        let gone = || Fault::new(FaultKind::Missing, "h.example", "not there");
                        choosing.learn_tags(&name, if tags.is_empty() { Err(gone()) } else { Ok(tags) });
                        asked.push(name);
                    }
                }
                Step::Charts(charts) => {
                    for (name, version) in charts {
                        let row = shelf.iter().find(|row| row.0 == name && row.1 == version.as_str()).unwrap();
                        let blueprint = Some(manifest(&name, version.as_str(), row.2));
                        let (name, version) = (name.as_str(), &version);
                        let said = Archived {
                            blueprint,
                            name: name.into(),
                            version: version.to_string(),
                            ..Archived::default()
                        };
                        choosing.learn_chart(name, version, Ok(said));
                        asked.push(format!("{name} {version}"));
                    }
                }
            }
        }
        let (published, faults) = choosing.finish();
        (published, faults, asked)
    }

    fn taken(published: &Published) -> Vec<String> {
        let all = published.catalogue.iter();
        all.map(|(name, found)| match found {
            Ok(blueprint) => format!("{name} {}", blueprint.chart.version),
            Err(errors) => errors[0].to_string(),
        })
        .collect()
    }

    #[test]
    fn the_highest_version_that_every_range_allows_is_taken() {
        let shelf: Shelf<'_> = &[
            ("bp-kiosk", "1.0.0", "{blueprint: ink, version: ^1}"),
            ("bp-kiosk", "1.2.0", "{blueprint: ink, version: ^1.1}, press"),
            ("bp-kiosk", "2.0.0-rc.1", "gone"),
            ("bp-press", "3.0.0", "{blueprint: ink, version: '>=1 <1.5'}"),
            ("bp-ink", "1.1.0", ""),
            ("bp-ink", "1.4.2", ""),
            ("bp-ink", "1.6.0", ""),
            ("bp-ink", "2.0.0", ""),
        ];
        let (published, faults, asked) = choose(shelf, &[("bp-kiosk", "")]);
        assert_eq!(taken(&published), ["bp-ink 1.4.2", "bp-kiosk 1.2.0", "bp-press 3.0.0"]);
        assert!(faults.is_empty());
        assert!(asked.contains(&"bp-ink 1.6.0".to_owned()), "it fitted before press was known: {asked:?}");
    }

    #[test]
    fn a_version_in_full_needs_no_list_and_its_own_needs_count() {
        let shelf: Shelf<'_> = &[("bp-kiosk", "1.0.0", "ink"), ("bp-ink", "1.0.0", "")];
        let (published, _, asked) = choose(shelf, &[("bp-kiosk", "1.0.0"), ("bp-ink", "1.0.0")]);
        assert_eq!(taken(&published), ["bp-ink 1.0.0", "bp-kiosk 1.0.0"]);
        assert!(!asked.iter().any(|asked| !asked.contains(' ')), "{asked:?}");
    }

    #[test]
    fn a_conflict_names_both_paths_and_the_versions_that_exist() {
        let shelf: Shelf<'_> = &[
            ("bp-kiosk", "1.0.0", "{blueprint: ink, version: ^1}"),
            ("bp-press", "1.0.0", "{blueprint: ink, version: ^2}"),
            ("bp-ink", "1.0.0", ""),
            ("bp-ink", "2.0.0", ""),
        ];
        let (published, ..) = choose(shelf, &[("bp-kiosk", ""), ("bp-press", "")]);
        assert_eq!(
            taken(&published)[0],
            "no version of h.example/press/bp-ink fits all of ^1 (wanted by m: blueprints[0] → bp-kiosk → bp-ink ^1 (needed \
             by bp-kiosk 1.0.0)) and ^2 (wanted by m: blueprints[0] → bp-press → bp-ink ^2 (needed by bp-press 1.0.0)); \
             there are 2.0.0, 1.0.0"
        );
        let (published, ..) = choose(shelf, &[("bp-ink", "^3")]);
        assert_eq!(taken(&published), ["no version of h.example/press/bp-ink fits ^3; there are 2.0.0, 1.0.0"]);
        let (published, ..) = choose(shelf, &[("bp-ink", "1.0.0"), ("bp-ink", "2.0.0")]);
        assert!(taken(&published)[0].contains("1.0.0 (wanted by") && taken(&published)[0].contains("stated in full"));
    }

    #[test]
    fn what_is_not_published_is_a_fault_with_its_path() {
        let shelf: Shelf<'_> = &[("bp-kiosk", "1.0.0", "{blueprint: ink, version: ^1}")];
        let (published, faults, _) = choose(shelf, &[("bp-kiosk", "")]);
        assert_eq!(taken(&published), ["bp-kiosk 1.0.0"]);
        assert_eq!(
            faults[0].0,
            "bp-ink (wanted by m: blueprints[0] → bp-kiosk → bp-ink ^1 (needed by bp-kiosk 1.0.0))"
        );
    }

    #[test]
    fn versions_that_make_each_other_change_are_an_error() {
        // The newest kiosk takes ink below 2, which takes kiosk below 2; that one needs nothing, so the newest fits again.
        let shelf: Shelf<'_> = &[
            ("bp-kiosk", "2.0.0", "{blueprint: ink, version: ^1}"),
            ("bp-kiosk", "1.0.0", ""),
            ("bp-ink", "2.0.0", ""),
            ("bp-ink", "1.0.0", "{blueprint: kiosk, version: ^1}"),
        ];
        let (published, ..) = choose(shelf, &[("bp-kiosk", ""), ("bp-ink", "")]);
        assert!(taken(&published)[0].contains("make each other change"), "{:?}", taken(&published));
    }

    #[test]
    fn a_chart_must_be_what_its_repository_and_tag_say() {
        let place = RegistrySource::parse("oci://h.example/press").unwrap();
        let choosing = Choosing::new(&place, Vec::new(), false);
        let read = |name: &str, version: &str, blueprint: Option<String>| {
            let dependencies = vec![
                ["bp-ink".into(), "^1".into(), "oci://h.example/press/".into()],
                ["bp-far".into(), "^1".into(), "oci://other.example/press".into()],
                ["db".into(), "1.0.0".into(), "https://charts.example".into()],
            ];
            let archived = Archived { blueprint, name: name.into(), version: version.into(), dependencies };
            choosing.read("bp-kiosk", &"1.0.0".parse().unwrap(), &archived)
        };
        let depends = |read: Result<Blueprint, BlueprintError>| {
            read.unwrap().depends.into_iter().map(|dependency| dependency.name).collect::<Vec<_>>()
        };
        assert_eq!(depends(read("bp-kiosk", "1.0.0", None)), ["bp-ink"], "dependencies of the same place");
        assert_eq!(depends(read("bp-kiosk", "v1.0.0", Some(manifest("kiosk", "1.0.0", "bp-press")))), ["bp-press"]);
        let older = read("bp-kiosk", "1.0.0", Some(manifest("kiosk", "0.9.0", ""))).unwrap();
        assert!(older.findings[0].what.contains("the chart has version 1.0.0, its Blueprint says 0.9.0"));
        for (name, version, blueprint, said) in [
            ("kiosk", "1.0.0", None, "h.example/press/bp-kiosk:1.0.0 holds the chart kiosk"),
            ("bp-kiosk", "1.1.0", None, "holds version 1.1.0 of its chart, which is not the tag"),
            ("bp-kiosk", "1.0.0", Some(manifest("ink", "1.0.0", "")), "says that it is bp-ink"),
            ("bp-kiosk", "1.0.0", Some("kind: Other\n".to_owned()), "holds 0 Blueprints"),
        ] {
            let error = read(name, version, blueprint).unwrap_err().to_string();
            assert!(error.contains(said), "{error}");
        }
    }

    proptest! {
        #[test]
        fn choosing_always_ends(rows in prop::collection::vec((0..4usize, 1..4u8, prop::collection::vec((0..4usize, 0..4u8), 0..3)), 1..12)) {
            let names = ["bp-a", "bp-b", "bp-c", "bp-d"];
            let said = |needs: &[(usize, u8)]| needs.iter().map(|(name, major)| match major {
                0 => names[*name].to_owned(),
                major => format!("{{blueprint: {}, version: ^{major}}}", names[*name]),
            }).collect::<Vec<_>>().join(", ");
            let mut shelf: Vec<(&str, String, String)> =
                rows.iter().map(|(name, major, needs)| (names[*name], format!("{major}.0.0"), said(needs))).collect();
            shelf.sort();
            shelf.dedup_by(|a, b| (a.0, &a.1) == (b.0, &b.1));
            let shelf: Vec<(&str, &str, &str)> = shelf.iter().map(|row| (row.0, row.1.as_str(), row.2.as_str())).collect();
            let (published, faults, asked) = choose(&shelf, &[("bp-a", "")]);
            prop_assert!(published.catalogue.contains_key("bp-a") || !faults.is_empty());
            prop_assert!(asked.len() <= names.len() + shelf.len(), "each thing is asked for once");
        }
    }
}
