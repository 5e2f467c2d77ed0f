//! Blueprints of a catalogue: what each is called, which version it has, what it depends on, which chart it is.
//!
//! Two API versions live side by side and differ by more than their names; both are read, a third is refused.
//! Names are brought to one form: `bp-` in front. The chart's own file decides name and version of the
//! artifact. A Blueprint that cannot be read stays in the catalogue as broken, so that only who wants it fails.

use super::files::{self, FileError, Named};
use super::select::{Version, VersionRange};
use crate::document::PaperError;
use crate::document::form::Clerk;
use crate::document::yaml::{self, Node, Value};
use crate::model::Finding;
use crate::model::evidence::FindingClass;
use crate::model::fault::printable;
use std::collections::BTreeMap;

/// API versions that are read.
const API_VERSIONS: [&str; 2] = ["catalyst.openova.io/v1alpha1", "catalyst.openova.io/v1"];
/// Group of the API versions.
const GROUP: &str = "catalyst.openova.io/";

/// Why a Blueprint cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum BlueprintError {
    /// A file cannot be read.
    #[error(transparent)]
    File(#[from] FileError),
    /// Its file says something that cannot be meant.
    #[error(transparent)]
    Paper(#[from] PaperError),
    /// Two files give the same name.
    #[error("{name} stands in {count} files: {files}", count = .files.len(), files = .files.join(", "))]
    Twice {
        /// Name in the common form.
        name: String,
        /// Files.
        files: Vec<String>,
    },
    /// No chart belongs to it.
    #[error("{file}: {name} has no chart: there is no {looked}, and spec.manifests.chart names none")]
    NoChart {
        /// File of the Blueprint.
        file: String,
        /// Name in the common form.
        name: String,
        /// File that was looked for.
        looked: String,
    },
    /// No published version will do for all who want it.
    #[error("no version of {at} {}", unfit(.wanted, .there))]
    NoVersion {
        /// Repository.
        at: String,
        /// Every range with the path that leads to it.
        wanted: Vec<(String, String)>,
        /// Versions that are there, in words.
        there: String,
    },
    /// What is published under a name is something else.
    #[error("{place} {why}")]
    Published {
        /// Reference.
        place: String,
        /// Reason in words.
        why: String,
    },
}

impl BlueprintError {
    /// Returns whether the error itself names all paths that lead to it.
    pub const fn names_every_path(&self) -> bool {
        matches!(self, Self::NoVersion { .. })
    }
}

fn unfit(wanted: &[(String, String)], there: &str) -> String {
    match wanted {
        [(range, _)] => format!("fits {range}; {there}"),
        several => {
            let lines: Vec<String> =
                several.iter().map(|(range, path)| format!("{range} (wanted by {path})")).collect();
            format!("fits all of {}; {there}", lines.join(" and "))
        }
    }
}

/// Dependency of a Blueprint.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Dependency {
    /// Name in the common form.
    pub name: String,
    /// Versions that will do; absent: any.
    pub range: Option<VersionRange>,
    /// Label, kept for people.
    pub alias: Option<String>,
    /// Condition as written; never evaluated.
    pub when: Option<String>,
}

/// Chart of a Blueprint: what is in the registry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BlueprintChart {
    /// Name, which the artifact follows.
    pub name: String,
    /// Version, which the artifact follows.
    pub version: Version,
    /// File or field that says so.
    pub place: String,
}

/// A Blueprint of the catalogue.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Blueprint {
    /// Name in the common form.
    pub name: String,
    /// Version that its manifest states.
    pub version: Version,
    /// File that it stands in.
    pub file: String,
    /// Chart.
    pub chart: BlueprintChart,
    /// Whether it is offered to everybody; absent means no.
    pub listed: bool,
    /// What it depends on, in the order of the file.
    pub depends: Vec<Dependency>,
    /// Registry that the manifest names, where it names one.
    pub registry: Option<String>,
    /// What a person should know about it.
    pub findings: Vec<Finding>,
}

/// Blueprints by name; broken ones with their reasons.
pub type Catalogue = BTreeMap<String, Result<Blueprint, Vec<BlueprintError>>>;

/// A Blueprint, or why it cannot be used.
pub(super) type Reading = Result<Blueprint, BlueprintError>;

/// Brings a name to the form in which Blueprints refer to each other.
pub fn canonical(name: &str) -> String {
    if name.starts_with("bp-") { name.to_owned() } else { format!("bp-{name}") }
}

/// Reads the catalogue in `folder`: every `blueprint.yaml` below it, or the one file of Blueprints that it is.
pub fn read(folder: &Named) -> Result<(Catalogue, Vec<Finding>), FileError> {
    let files = if folder.path.is_dir() {
        let mut files = files::walk(folder)?;
        files.retain(|file| matches!(file.shown.rsplit('/').next(), Some("blueprint.yaml" | "blueprint.yml")));
        files
    } else {
        vec![folder.clone()]
    };
    if files.is_empty() {
        return Err(FileError::Nothing { place: folder.shown.clone(), endings: "blueprint.yaml".to_owned() });
    }
    let mut found: BTreeMap<String, Vec<(String, Reading)>> = BTreeMap::new();
    let mut findings = Vec::new();
    for file in &files {
        let blueprints = read_file(file);
        if blueprints.is_empty() {
            findings.push(warning(&file.shown, "no document in this file is a Blueprint"));
        }
        for (name, blueprint) in blueprints {
            found.entry(name).or_default().push((file.shown.clone(), blueprint));
        }
    }
    Ok((found.into_iter().map(|(name, found)| (name.clone(), only(name, found))).collect(), findings))
}

/// Takes the one Blueprint of a name; two are an error that lists both files.
fn only(name: String, mut found: Vec<(String, Reading)>) -> Result<Blueprint, Vec<BlueprintError>> {
    if found.len() == 1 {
        return found.remove(0).1.map_err(|error| vec![error]);
    }
    let files = found.iter().map(|(file, _)| file.clone()).collect();
    let mut errors = vec![BlueprintError::Twice { name, files }];
    errors.extend(found.into_iter().filter_map(|(_, blueprint)| blueprint.err()));
    Err(errors)
}

/// Reads the Blueprints of a file. A file that does not parse counts as the Blueprint that its folder is called.
fn read_file(file: &Named) -> Vec<(String, Reading)> {
    let folder = file.parent();
    let fallback = canonical(folder.shown.rsplit('/').next().unwrap_or_default());
    let text = match file.read_text() {
        Ok(text) => text,
        Err(error) => return vec![(fallback, Err(error.into()))],
    };
    let documents = match yaml::documents(&text, &file.shown) {
        Ok(documents) => documents,
        Err(error) => return vec![(fallback, Err(error.into()))],
    };
    let mut found = Vec::new();
    for document in documents {
        match document {
            Err(error) => found.push((fallback.clone(), Err(error.into()))),
            Ok(node) => {
                for node in listed(&node).filter(|node| node.get("kind").and_then(Node::text) == Some("Blueprint")) {
                    let name = node.at(&["metadata", "name"]).and_then(Node::text).map(printable);
                    let name = name.map_or(fallback.clone(), |name| canonical(&name));
                    let own = |spec: Option<&Node>, version: &Version, findings: &mut Vec<Finding>| {
                        chart(spec, (&name, version), file, findings)
                    };
                    found.push((name.clone(), blueprint(node, name.clone(), (&file.shown, &text), own)));
                }
            }
        }
    }
    found
}

/// Returns the objects of a list, as `kubectl get -o yaml` writes one; or the object itself.
fn listed(node: &Node) -> impl Iterator<Item = &Node> {
    let list = node.get("kind").and_then(Node::text).is_some_and(|kind| kind.ends_with("List"));
    let items = node.get("items").filter(|_| list).map(Node::items);
    items.unwrap_or(std::slice::from_ref(node)).iter()
}

/// Reads the Blueprint `published` as its chart, out of the text of the `blueprint.yaml` that stands in the chart.
pub(super) fn packed(text: &str, place: &str, name: &str, published: &BlueprintChart) -> Reading {
    let mut found = Vec::new();
    for document in yaml::documents(text, place)? {
        let document = document?;
        let blueprints = listed(&document).filter(|node| node.get("kind").and_then(Node::text) == Some("Blueprint"));
        for node in blueprints {
            let own = |_: Option<&Node>, version: &Version, findings: &mut Vec<Finding>| {
                findings.extend(differing(name, published, version, place));
                Ok(published.clone())
            };
            found.push(blueprint(node, name.to_owned(), (place, text), own)?);
            let said = node.at(&["metadata", "name"]).and_then(Node::text).map(canonical).unwrap_or_default();
            if said != name {
                let why = format!("is published as {name} and says that it is {}", printable(&said));
                return Err(BlueprintError::Published { place: place.to_owned(), why });
            }
        }
    }
    match found.len() {
        1 => Ok(found.remove(0)),
        count => {
            let why = format!("holds {count} Blueprints; a chart is one");
            Err(BlueprintError::Published { place: place.to_owned(), why })
        }
    }
}

/// Reads one object; `own` finds its chart.
fn blueprint(
    node: &Node,
    name: String,
    (place, text): (&str, &str),
    own: impl FnOnce(Option<&Node>, &Version, &mut Vec<Finding>) -> Result<BlueprintChart, BlueprintError>,
) -> Reading {
    let clerk = Clerk::new(place).reading(text);
    check_opening(&clerk, node);
    let spec = node.get("spec");
    let field = |path: &[&str]| spec.and_then(|spec| spec.at(path));
    let version = match field(&["version"]) {
        Some(version) => version_of(&clerk, version, "spec.version"),
        None => {
            clerk.note(node, "spec.version is missing");
            None
        }
    };
    let depends = field(&["depends"]).map_or_else(Vec::new, |depends| dependencies(&clerk, depends));
    check_supported(&clerk, spec);
    let listed = field(&["visibility"]).and_then(Node::text) == Some("listed");
    let (version, depends) = clerk.finish((version, depends))?;
    let Some(version) = version else {
        return Err(PaperError::Meaning { place: place.to_owned(), why: "spec.version is missing".to_owned() }.into());
    };
    let mut findings = Vec::new();
    let chart = own(spec, &version, &mut findings)?;
    let registry = field(&["source", "url"]).and_then(Node::text).map(str::to_owned);
    Ok(Blueprint { name, version, file: place.to_owned(), chart, listed, depends, registry, findings })
}

/// Says that a chart and its Blueprint state different versions.
fn differing(name: &str, chart: &BlueprintChart, version: &Version, place: &str) -> Option<Finding> {
    let text = format!("{name}: the chart has version {}, its Blueprint says {version}", chart.version);
    let hint = format!("the chart's version is the tag in the registry: {}", chart.version);
    (chart.version != *version).then(|| warning(place, text).with_hint(hint))
}

fn check_opening(clerk: &Clerk<'_>, node: &Node) {
    match node.get("apiVersion") {
        Some(found) if !API_VERSIONS.contains(&found.text().unwrap_or_default()) => {
            let text = found.text().unwrap_or_default();
            let known = API_VERSIONS.join(" and ");
            let why = if text.starts_with(GROUP) { "is a later form" } else { "is none that Blueprints have" };
            clerk.note(found, format!("apiVersion {text:?} {why}; this program reads {known}"));
        }
        Some(_) => {}
        None => clerk.note(node, "apiVersion is missing"),
    }
    match node.at(&["metadata", "name"]) {
        Some(name) => name_of(clerk, name, "metadata.name").map_or((), drop),
        None => clerk.note(node, "metadata.name is missing"),
    }
}

/// Reads the name of a Blueprint and brings it to the common form.
fn name_of(clerk: &Clerk<'_>, node: &Node, field: &str) -> Option<String> {
    let text = clerk.text(node)?;
    if text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || matches!(b, b'-' | b'.')) {
        return Some(canonical(&text));
    }
    clerk.note(node, format!("{field}: {text:?} is no name: expected lower-case letters, digits, dashes and dots"));
    None
}

/// Reads a version or a range, where YAML readers leave its spelling alone.
fn spelled<'n>(clerk: &Clerk<'_>, node: &'n Node, field: &str) -> Option<&'n str> {
    match node.text() {
        Some(text) if node.is_number() => {
            clerk.note(
                node,
                format!("{field}: {text} is a number in YAML, so 1.10 and 1.1 are the same; put it in quotes"),
            );
            None
        }
        Some(text) => Some(text),
        None => {
            clerk.note(node, format!("{field}: expected a text, found {}", node.kind()));
            None
        }
    }
}

fn version_of(clerk: &Clerk<'_>, node: &Node, field: &str) -> Option<Version> {
    let text = spelled(clerk, node, field)?;
    text.parse().map_err(|error| clerk.note(node, format!("{field}: {error}"))).ok()
}

fn dependencies(clerk: &Clerk<'_>, node: &Node) -> Vec<Dependency> {
    let mut at = 0;
    clerk.list(Some(node), |item| {
        let field = format!("spec.depends[{at}]");
        at += 1;
        dependency(clerk, item, &field)
    })
}

fn dependency(clerk: &Clerk<'_>, node: &Node, field: &str) -> Option<Dependency> {
    if node.text().is_some() {
        return Some(Dependency { name: name_of(clerk, node, field)?, range: None, alias: None, when: None });
    }
    let Some(name) = node.get("blueprint") else {
        clerk.note(node, format!("{field}: expected a name or a mapping with blueprint, found {}", node.kind()));
        return None;
    };
    let name = name_of(clerk, name, &format!("{field}.blueprint"))?;
    let range = match node.get("version") {
        None => None,
        Some(version) => {
            let field = format!("{field}.version");
            let text = spelled(clerk, version, &field)?;
            Some(text.parse().map_err(|error| clerk.note(version, format!("{field}: {error}"))).ok()?)
        }
    };
    let text = |key| node.get(key).and_then(Node::text).map(printable);
    let when = match node.get("when").map(|node| &node.value) {
        Some(Value::Text { text, .. }) => Some(printable(text)),
        Some(_) => Some("(a condition that is no text)".to_owned()),
        None => None,
    };
    Some(Dependency { name, range, alias: text("alias"), when })
}

/// Refuses forms of delivery that are documented but are no chart.
fn check_supported(clerk: &Clerk<'_>, spec: Option<&Node>) {
    let Some(manifests) = spec.and_then(|spec| spec.get("manifests")) else { return };
    for key in ["kustomize", "raw"] {
        if let Some(found) = manifests.get(key) {
            clerk.note(found, format!("spec.manifests.{key} is not supported: only charts are"));
        }
    }
    if let Some(kind) = manifests.at(&["source", "kind"])
        && !matches!(kind.text(), Some("HelmChart" | "Chart" | "Helm" | "HelmRepository" | "OCIRepository"))
    {
        let text = kind.text().unwrap_or("(no text)");
        clerk.note(kind, format!("spec.manifests.source.kind {text:?} is not supported: only charts are"));
    }
}

/// Finds the chart: its folder decides; else the name that the manifest gives, with the manifest's version.
fn chart(
    spec: Option<&Node>,
    (name, version): (&str, &Version),
    file: &Named,
    findings: &mut Vec<Finding>,
) -> Result<BlueprintChart, BlueprintError> {
    let given = spec.and_then(|spec| spec.at(&["manifests", "chart"])).and_then(Node::text);
    // Manifests of a checkout give a folder, objects of a cluster a name.
    let path = given.filter(|text| text.starts_with(['.', '/'])).unwrap_or("./chart");
    let chart_file = chart_file(file, path)?;
    if chart_file.path.is_file() {
        let chart = read_chart(&chart_file)?;
        findings.extend(differing(name, &chart, version, &file.shown));
        return Ok(chart);
    }
    let source = |key: &str| spec.and_then(|spec| spec.at(&["source", key])).and_then(Node::text);
    let chart = given.filter(|text| !text.starts_with(['.', '/'])).or_else(|| source("chart"));
    let Some(chart) = chart else {
        let looked = chart_file.shown;
        return Err(BlueprintError::NoChart { file: file.shown.clone(), name: name.to_owned(), looked });
    };
    if let Some(other) = source("version").filter(|other| *other != version.as_str()) {
        let text = format!("{name}: spec.source.version is {other}, spec.version is {version}");
        findings.push(warning(&file.shown, text).with_hint(format!("{version} is what installs")));
    }
    Ok(BlueprintChart { name: chart.to_owned(), version: version.clone(), place: file.shown.clone() })
}

/// Returns the chart's file below the Blueprint's folder; a path that leads out of it is refused.
fn chart_file(file: &Named, path: &str) -> Result<Named, BlueprintError> {
    let mut folder = file.parent();
    for part in path.split('/').filter(|part| !matches!(*part, "" | ".")) {
        if part == ".." {
            let why = format!("spec.manifests.chart {path:?} leads out of the Blueprint's folder");
            return Err(PaperError::Meaning { place: file.shown.clone(), why }.into());
        }
        folder = folder.join(part);
    }
    Ok(folder.join("Chart.yaml"))
}

fn read_chart(file: &Named) -> Result<BlueprintChart, BlueprintError> {
    let text = file.read_text()?;
    let node = yaml::document(&text, &file.shown)?;
    let clerk = Clerk::new(&file.shown).reading(&text);
    let name = node.get("name").and_then(|name| clerk.text(name));
    let version = node.get("version").and_then(|version| version_of(&clerk, version, "version"));
    let (name, version) = clerk.finish((name, version))?;
    match (name, version) {
        (Some(name), Some(version)) => Ok(BlueprintChart { name, version, place: file.shown.clone() }),
        _ => {
            let why = "a chart needs a name and a version".to_owned();
            Err(PaperError::Meaning { place: file.shown.clone(), why }.into())
        }
    }
}

fn warning(place: &str, what: impl Into<String>) -> Finding {
    Finding::warning(FindingClass::Config, place, what)
}
