//! The form of a `kustomization.yaml`: what is followed, what is passed over, what is refused.

use super::chart::{self, HelmChart};
use super::generate::{self, Generator};
use super::images::{self, ImageChange};
use super::target::{self, Target};
use super::{BUILD_ELSEWHERE, KustomizeError};
use crate::discover::files::Named;
use crate::document::form::{Clerk, Form};
use crate::document::yaml::{Node, Value};
use crate::document::{PaperError, yaml};

/// Fields that are followed.
const FOLLOWED: &[&str] = &[
    "resources",
    "bases",
    "components",
    "patches",
    "patchesStrategicMerge",
    "patchesJson6902",
    "images",
    "namespace",
    "configMapGenerator",
    "secretGenerator",
    "helmCharts",
    "helmChartInflationGenerator",
    "helmGlobals",
];
/// Fields that change no image: labels, numbers, prefixes of names, checks.
const HARMLESS: &[&str] = &[
    "apiVersion",
    "kind",
    "metadata",
    "commonLabels",
    "labels",
    "commonAnnotations",
    "namePrefix",
    "nameSuffix",
    "generatorOptions",
    "crds",
    "replicas",
    "buildMetadata",
    "sortOptions",
    "validators",
    "vars",
];
/// Fields that may change images and are not done here.
const REFUSED: &[&str] = &["generators", "transformers", "configurations", "openapi", "replacements", "inventory"];
const PATCH: &[&str] = &["path", "patch", "target", "options"];

/// A text with the line where it stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Line {
    pub(super) text: String,
    pub(super) line: usize,
}

/// A patch, before its file is read.
#[derive(Debug, Clone)]
pub(super) struct PatchWish {
    /// Field of the kustomization, for people.
    pub(super) field: String,
    pub(super) source: PatchSource,
    pub(super) target: Option<Target>,
}

#[derive(Debug, Clone)]
pub(super) enum PatchSource {
    File(Line),
    Inline(String),
}

/// What a `kustomization.yaml` says.
#[derive(Debug, Default)]
pub(super) struct Kustomization {
    pub(super) component: bool,
    pub(super) resources: Vec<Line>,
    pub(super) components: Vec<Line>,
    pub(super) patches: Vec<PatchWish>,
    pub(super) images: Vec<ImageChange>,
    pub(super) namespace: Option<String>,
    pub(super) config_maps: Vec<Generator>,
    pub(super) secrets: Vec<Generator>,
    pub(super) charts: Vec<HelmChart>,
}

/// Reads the file. What is refused is noted in `errors`, all of it.
pub(super) fn read(file: &Named, errors: &mut Vec<KustomizeError>) -> Option<Kustomization> {
    let text = match file.read_text() {
        Ok(text) => text,
        Err(error) => {
            errors.push(error.into());
            return None;
        }
    };
    match parse(&text, file, errors) {
        Ok(found) => Some(found),
        Err(error) => {
            errors.push(error.into());
            None
        }
    }
}

pub(super) fn parse(text: &str, file: &Named, errors: &mut Vec<KustomizeError>) -> Result<Kustomization, PaperError> {
    let node = yaml::document(text, &file.shown)?;
    let clerk = Clerk::new(&file.shown).reading(text);
    if node.value == Value::Null {
        return Ok(Kustomization::default());
    }
    check_opening(&clerk, &node);
    let known: Vec<&str> = [FOLLOWED, HARMLESS, REFUSED].concat();
    let found = clerk.form(&node, &known).map(|form| fields(&clerk, &form, file));
    for field in REFUSED.iter().filter_map(|name| entry(&node, name)) {
        let place = format!("{}:{}", file.shown, field.line);
        let what = format!("{} of a kustomization", field.key);
        errors.push(KustomizeError::Unsupported { place, what, advice: BUILD_ELSEWHERE });
    }
    clerk.finish(found.unwrap_or_default())
}

/// Reads what a Flux Kustomization does to its folder; the fields are those of a kustomization.
pub(super) fn overlay(spec: &Node, file: &Named) -> Result<Kustomization, PaperError> {
    const DONE: [&str; 5] = ["images", "patches", "components", "patchesStrategicMerge", "patchesJson6902"];
    let own = spec.entries().iter().filter(|entry| DONE.contains(&entry.key.as_str())).cloned();
    let namespace = spec.entries().iter().filter(|entry| entry.key == "targetNamespace").cloned();
    let namespace = namespace.map(|entry| yaml::Entry { key: "namespace".to_owned(), ..entry });
    let node = Node { value: Value::Map(own.chain(namespace).collect()), ..spec.clone() };
    let clerk = Clerk::new(&file.shown);
    let found = clerk.form(&node, FOLLOWED).map(|form| fields(&clerk, &form, file));
    clerk.finish(found.unwrap_or_default())
}

/// Returns a field that says something.
fn entry<'n>(node: &'n Node, name: &str) -> Option<&'n yaml::Entry> {
    let empty = |value: &Node| {
        matches!(&value.value, Value::Null) || matches!(&value.value, Value::List(items) if items.is_empty())
    };
    node.entries().iter().find(|entry| entry.key == name && !empty(&entry.value))
}

fn check_opening(clerk: &Clerk<'_>, node: &Node) {
    match node.get("kind") {
        Some(kind) if !matches!(kind.text(), Some("Kustomization" | "Component")) => {
            let text = kind.text().unwrap_or("(no text)");
            clerk.note(kind, format!("kind {text:?} is neither Kustomization nor Component"));
        }
        _ => {}
    }
    if let Some(version) = node.get("apiVersion")
        && !version.text().is_some_and(|text| text.starts_with("kustomize.config.k8s.io/v1"))
    {
        let text = version.text().unwrap_or("(no text)");
        clerk.note(version, format!("apiVersion {text:?} is none that kustomizations have"));
    }
}

fn fields(clerk: &Clerk<'_>, form: &Form<'_>, file: &Named) -> Kustomization {
    let lines = |name: &str| clerk.list(form.get(name), |node| Some(Line { text: clerk.text(node)?, line: node.line }));
    let generators = |name: &str| clerk.list(form.get(name), |node| generate::read(clerk, node));
    let mut resources = lines("resources");
    resources.extend(lines("bases"));
    let home = form.get("helmGlobals").and_then(|node| node.get("chartHome")).and_then(Node::text).unwrap_or("charts");
    let charts = ["helmCharts", "helmChartInflationGenerator"].into_iter();
    let charts = charts.flat_map(|name| clerk.list(form.get(name), |node| chart::read(clerk, node, file, home)));
    Kustomization {
        component: form.get("kind").and_then(Node::text) == Some("Component"),
        resources,
        components: lines("components"),
        patches: patches(clerk, form),
        images: clerk.list(form.get("images"), |node| images::read(clerk, node)),
        namespace: form.text("namespace"),
        config_maps: generators("configMapGenerator"),
        secrets: generators("secretGenerator"),
        charts: charts.collect(),
    }
}

fn patches(clerk: &Clerk<'_>, form: &Form<'_>) -> Vec<PatchWish> {
    let mut found = Vec::new();
    for (at, item) in form.get("patchesStrategicMerge").map(Node::items).unwrap_or_default().iter().enumerate() {
        let field = format!("patchesStrategicMerge[{at}]");
        let Some(text) = clerk.text(item) else { continue };
        // A patch may stand here itself, or the name of its file.
        let source = match text.contains('\n') || text.contains(": ") {
            true => PatchSource::Inline(text),
            false => PatchSource::File(Line { text, line: item.line }),
        };
        found.push(PatchWish { field, source, target: None });
    }
    for name in ["patches", "patchesJson6902"] {
        let mut at = 0;
        found.extend(clerk.list(form.get(name), |node| {
            let field = format!("{name}[{at}]");
            at += 1;
            patch(clerk, node, field)
        }));
    }
    found
}

fn patch(clerk: &Clerk<'_>, node: &Node, field: String) -> Option<PatchWish> {
    let form = clerk.form(node, PATCH)?;
    let target = match form.get("target") {
        Some(node) => Some(target::read(clerk, node)?),
        None => None,
    };
    let source = match (form.text("path"), form.text("patch")) {
        (Some(text), None) => PatchSource::File(Line { text, line: node.line }),
        (None, Some(text)) => PatchSource::Inline(text),
        _ => {
            clerk.note(node, format!("{field}: exactly one of path and patch is expected"));
            return None;
        }
    };
    Some(PatchWish { field, source, target })
}
