//! Images in Kubernetes YAML: what containers run for certain, what other objects, arguments and configurations
//! name, and what is in there that this program does not follow.
//!
//! Every mapping anywhere with a list of containers counts, so nested objects and pod templates inside of custom
//! objects are found. Fields that say `image` count where their text says enough by itself; texts that can hardly be
//! anything else count too, wherever they stand. What is less certain waits for a decision. Definitions of custom
//! objects are schemas: nothing in them runs.

mod inside;
mod judge;
mod known;
mod policies;

pub use known::Choice;

use super::files::{FileError, Named};
use super::operators::Table;
use super::parts;
use super::sighting::{Certainty, How, Need, Sighting, Spot};
use crate::document::lock::Role;
use crate::document::yaml::{self, Entry, Node, Reading, Value};
use crate::model::Finding;
use crate::model::evidence::FindingClass;
use crate::model::fault::printable;

/// Why a file of Kubernetes YAML cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum KubeError {
    /// It cannot be read or does not parse.
    #[error(transparent)]
    File(#[from] FileError),
    /// An image is no reference.
    #[error("{place}: {text:?} is no image reference: {why}; probably {meaning}")]
    Image {
        /// File, line and key path.
        place: String,
        /// Text as found.
        text: String,
        /// Reason in words.
        why: String,
        /// What may have gone wrong.
        meaning: &'static str,
    },
    /// An image has a placeholder that nobody filled in.
    #[error("{place}: {text:?} has the placeholder {found} that nothing fills in here")]
    Placeholder {
        /// File, line and key path.
        place: String,
        /// Text as found.
        text: String,
        /// Placeholder.
        found: String,
    },
    /// A kustomization brings something from outside of what is read.
    #[error(
        "{place}:{line}: {field} of this kustomization lead to {path:?}, which is not read here; name this folder under \
         kustomize instead"
    )]
    LeadsOut {
        /// File.
        place: String,
        /// Line.
        line: usize,
        /// Field of the kustomization.
        field: String,
        /// Where it leads.
        path: String,
    },
}

/// What a file holds.
#[derive(Debug, Default)]
pub struct Scan {
    /// What is or may be an image, in the order of the file.
    pub sightings: Vec<Sighting>,
    /// What a person should know.
    pub findings: Vec<Finding>,
    /// What operators choose by themselves.
    pub choices: Vec<Choice>,
    /// What stands in the way.
    pub errors: Vec<KubeError>,
    /// Whether a definition of a custom object is in it: what brings one brings a controller.
    pub defines: bool,
}

/// How a text is looked through.
#[derive(Clone, Copy)]
pub struct Looking<'a> {
    /// What a person calls it.
    pub place: &'a str,
    /// Whether it was made from a template, so that its lines mean nothing to a person.
    pub rendered: bool,
    /// Says why a text is to be left out, where it is.
    pub ignored: &'a dyn Fn(&str) -> Option<String>,
    /// Fields of custom objects that name images.
    pub fields: &'a Table,
}

/// Objects that lead to charts or images which this program does not follow: group, kind, what stays out.
const NOT_FOLLOWED: [(&str, &str, &str); 9] = [
    ("helm.toolkit.fluxcd.io", "HelmRelease", "its chart and images are NOT included"),
    ("source.toolkit.fluxcd.io", "HelmRepository", "no chart of it is included"),
    ("source.toolkit.fluxcd.io", "HelmChart", "the chart and its images are NOT included"),
    ("source.toolkit.fluxcd.io", "OCIRepository", "the artifact is NOT included"),
    ("helm.cattle.io", "HelmChart", "the chart and its images are NOT included"),
    ("argoproj.io", "Application", "what it installs is NOT included"),
    ("argoproj.io", "ApplicationSet", "what it installs is NOT included"),
    ("kustomize.toolkit.fluxcd.io", "Kustomization", "its folder is NOT read, unless it is named here too"),
    ("kustomize.config.k8s.io", "HelmChartInflationGenerator", "the chart and its images are NOT included"),
];

/// Looks through one file.
pub fn read(file: &Named, looking: &Looking<'_>) -> Scan {
    match file.read_text() {
        Ok(text) => parse(&text, looking),
        Err(error) => Scan { errors: vec![error.into()], ..Scan::default() },
    }
}

/// Looks through one document.
pub fn look(node: &Node, looking: &Looking<'_>) -> Scan {
    let mut scan = Scan::default();
    Walk::new(looking, &mut scan).top(node);
    scan
}

/// Looks through a text. An error in one document ends it: what follows cannot be told apart.
pub fn parse(text: &str, looking: &Looking<'_>) -> Scan {
    let mut scan = Scan::default();
    let separated = yaml::with_separators(text);
    // What a template gives is read as Kubernetes tools read it; what a person wrote can be put right.
    let reading = if looking.rendered { Reading::Lenient } else { Reading::Strict };
    let documents = match yaml::documents_as(reading, &separated, looking.place) {
        Ok(documents) => documents,
        Err(error) => {
            scan.errors.push(FileError::from(error).into());
            return scan;
        }
    };
    for document in documents {
        match document {
            Ok(node) => Walk::new(looking, &mut scan).top(&node),
            Err(error) => {
                scan.errors.push(FileError::from(error).into());
                if text.contains("{{") && !looking.rendered {
                    let what = "this looks like a Helm template, which is no YAML before it is rendered";
                    let hint = "name the chart under charts, which is rendered";
                    scan.findings.push(Finding::error(FindingClass::Config, looking.place, what).with_hint(hint));
                }
            }
        }
    }
    scan
}

/// Object around the place that is looked at.
#[derive(Debug, Clone)]
struct Object {
    version: String,
    group: String,
    kind: String,
    name: String,
    /// When what its containers name runs.
    need: Need,
}

impl Object {
    const fn none() -> Self {
        Self {
            version: String::new(),
            group: String::new(),
            kind: String::new(),
            name: String::new(),
            need: Need::Runtime,
        }
    }

    /// Reads what `node` is; `outer` is around it.
    fn of(node: &Node, outer: &Self) -> Option<Self> {
        let version = node.get("apiVersion")?.text()?;
        let kind = printable(node.get("kind")?.text()?);
        let group = version.split_once('/').map_or("", |(group, _)| group).to_owned();
        let named = |key| node.at(&["metadata", key]).and_then(Node::text);
        let name = printable(named("name").or_else(|| named("generateName")).unwrap_or("(no name)"));
        let hooks = node.at(&["metadata", "annotations", "helm.sh/hook"]).and_then(Node::text);
        let nested = !outer.kind.is_empty() && !outer.kind.ends_with("List");
        let native = matches!(group.as_str(), "" | "apps" | "batch");
        let need = match hooks.and_then(Need::of_hooks) {
            Some(need) => need,
            None if nested => outer.need.max(Need::ByController),
            None if native => Need::Runtime,
            None => Need::ByController,
        };
        Some(Self { version: version.to_owned(), group, kind, name, need })
    }

    fn is(&self, group: &str, kind: &str) -> bool {
        self.group == group && self.kind == kind
    }

    /// Returns whether Kubernetes itself knows the kind, so that its images are images and nothing else.
    fn is_native(&self) -> bool {
        matches!(self.group.as_str(), "" | "apps" | "batch")
    }

    fn shown(&self) -> String {
        if self.kind.is_empty() { String::new() } else { format!("{}/{}", self.kind, self.name) }
    }
}

enum Step<'n> {
    Key(&'n str),
    Item(usize),
}

struct Walk<'a, 'n> {
    looking: &'a Looking<'a>,
    scan: &'a mut Scan,
    object: Object,
    path: Vec<Step<'n>>,
    /// How what is found at this place is found.
    how: How,
    /// Where documents stand in a text: what shows the way to it.
    outer: Option<(Option<usize>, String)>,
    /// Nodes that are settled, because the table knows what they name.
    settled: Vec<&'n Node>,
}

impl<'a, 'n> Walk<'a, 'n> {
    fn new(looking: &'a Looking<'a>, scan: &'a mut Scan) -> Self {
        Self {
            looking,
            scan,
            object: Object::none(),
            path: Vec::new(),
            how: How::Field,
            outer: None,
            settled: Vec::new(),
        }
    }

    fn top(mut self, node: &'n Node) {
        let file = self.looking.place.rsplit('/').next().unwrap_or_default();
        let kustomization = matches!(file, "kustomization.yaml" | "kustomization.yml" | "Kustomization");
        match (&node.value, Object::of(node, &self.object)) {
            (Value::Null, _) => {}
            (_, Some(_)) => self.walk(node),
            (_, None) if kustomization => self.kustomization(node),
            (_, None) => {
                let what = "this is no Kubernetes object: apiVersion and kind are missing; no image is taken from it";
                self.find(node, what.to_owned(), "");
            }
        }
    }

    fn walk(&mut self, node: &'n Node) {
        match &node.value {
            Value::Null => {}
            Value::Text { text, .. } => self.text(node, text),
            Value::List(items) => {
                for (at, item) in items.iter().enumerate() {
                    self.within(Step::Item(at), |walk| walk.walk(item));
                }
            }
            Value::Map(entries) => match Object::of(node, &self.object) {
                Some(object) => {
                    let outer = std::mem::replace(&mut self.object, object);
                    self.object(node);
                    self.object = outer;
                }
                None => self.entries(entries),
            },
        }
    }

    fn within(&mut self, step: Step<'n>, look: impl FnOnce(&mut Self)) {
        self.path.push(step);
        look(self);
        self.path.pop();
    }

    fn object(&mut self, node: &'n Node) {
        let object = self.object.clone();
        // Schemas of custom objects are full of fields called image and run none.
        if matches!(object.kind.as_str(), "CustomResourceDefinition" | "CompositeResourceDefinition") {
            self.scan.defines = true;
            return;
        }
        let before = (self.scan.sightings.len(), self.settled.len());
        let choice = self.known_fields(node);
        let known = self.settled.len() > before.1;
        let followed = NOT_FOLLOWED.iter().find(|(group, kind, _)| object.is(group, kind) && !known);
        // Without a spec it is a reference to such an object.
        if let Some((.., out)) = followed.filter(|_| node.get("spec").is_some()) {
            let what = format!("{} is not resolved by this version: {out}", object.shown());
            self.find(
                node,
                what,
                "name its folder under flux, or what it installs under blueprints, charts and images",
            );
        }
        if object.group.starts_with("kustomize.") {
            return self.kustomization(node);
        }
        if object.kind == "HelmRelease" || object.is("helm.cattle.io", "HelmChart") {
            return;
        }
        let package = node.at(&["spec", "package"]).filter(|_| object.group == "pkg.crossplane.io");
        if let Some(package) = package {
            self.package(package);
        }
        for entry in node.entries() {
            match entry.key.as_str() {
                "apiVersion" | "kind" | "status" => {}
                "metadata" => self.within(Step::Key("metadata"), |walk| walk.annotations(&entry.value)),
                "data" | "stringData" if object.is("", "ConfigMap") || object.is("", "Secret") => {
                    self.within(Step::Key(&entry.key), |walk| walk.data(&entry.value));
                }
                "spec" if self.is_policy() => self.within(Step::Key("spec"), |walk| walk.policy(&entry.value)),
                _ => self.entry(entry),
            }
        }
        // Containers that the object states say as much as a field would.
        self.scan.choices.extend(choice.filter(|_| self.scan.sightings.len() == before.0));
    }

    /// A package is an artifact; what it installs is known only to its own documents.
    fn package(&mut self, node: &'n Node) {
        let Some(text) = node.text() else { return };
        self.path.extend([Step::Key("spec"), Step::Key("package")]);
        if let Some(reference) = self.reference(node, text) {
            self.sight(node, text, Some(reference), Certainty::Certain, "");
            if let Some(last) = self.scan.sightings.last_mut() {
                (last.role, last.need) = (Role::Artifact, Need::ByController);
            }
            let what = format!("{} is a package: the images that it brings are NOT included", self.object.shown());
            self.find(node, what, "name them under extraImages");
        }
        self.path.truncate(self.path.len() - 2);
    }

    /// What changes images or brings more of them is not applied; silence would pass for "nothing to do".
    fn kustomization(&mut self, node: &'n Node) {
        let spec = node.get("spec").unwrap_or(node);
        for entry in spec.entries() {
            let matters = match entry.key.as_str() {
                "images" | "helmCharts" | "helmChartInflationGenerator" | "components" => true,
                "patches" | "patchesStrategicMerge" | "patchesJson6902" => mentions_image(&entry.value),
                _ => false,
            };
            let leads = ["resources", "bases", "components", "crds", "generators", "transformers"];
            if leads.contains(&entry.key.as_str()) {
                self.leads_out(entry);
            }
            if matters {
                let what =
                    format!("{} of a kustomization may change what runs; this version does not apply it", entry.key);
                self.find(&entry.value, what, "name this folder under kustomize, which applies it");
            }
        }
    }

    /// What a kustomization brings from elsewhere is not read here, and nothing else would say so.
    fn leads_out(&mut self, entry: &'n Entry) {
        for item in entry.value.items() {
            let Some(path) = item.text() else { continue };
            if path.split('/').any(|part| part == "..") || path.starts_with('/') || path.contains("://") {
                let (place, line) = (self.looking.place.to_owned(), item.line);
                self.scan.errors.push(KubeError::LeadsOut {
                    place,
                    line,
                    field: entry.key.clone(),
                    path: path.to_owned(),
                });
            }
        }
    }

    /// Annotations may name an image that a controller adds.
    fn annotations(&mut self, metadata: &'n Node) {
        let Some(annotations) = metadata.get("annotations") else { return };
        let applied = "kubectl.kubernetes.io/last-applied-configuration";
        for entry in annotations.entries().iter().filter(|entry| entry.key != applied) {
            let Some(text) = entry.value.text() else { continue };
            let steps = Step::Key("annotations");
            self.within(steps, |walk| {
                walk.within(Step::Key(&entry.key), |walk| {
                    walk.as_(How::Annotation, |walk| walk.text(&entry.value, text))
                })
            });
        }
    }

    /// Does something while findings are of another kind.
    fn as_(&mut self, how: How, look: impl FnOnce(&mut Self)) {
        let before = std::mem::replace(&mut self.how, how);
        look(self);
        self.how = before;
    }

    fn entries(&mut self, entries: &'n [Entry]) {
        let joined = self.joined(entries);
        for (at, entry) in entries.iter().enumerate() {
            match (entry.key.as_str(), &entry.value.value) {
                ("metadata", Value::Map(_)) => {
                    self.within(Step::Key("metadata"), |walk| walk.annotations(&entry.value));
                }
                ("image", Value::Text { .. }) if !self.is_settled(&entry.value) => self.sibling_tag(entry, entries),
                _ if joined.contains(&at) => {}
                _ => self.entry(entry),
            }
        }
    }

    fn entry(&mut self, entry: &'n Entry) {
        let (key, node) = (entry.key.as_str(), &entry.value);
        if self.is_settled(node) {
            return;
        }
        self.within(Step::Key(key), |walk| match (key, &node.value) {
            ("containers" | "initContainers" | "ephemeralContainers", Value::List(items)) => walk.containers(items),
            ("volumes", Value::List(items)) => walk.volumes(items),
            ("args" | "command", Value::List(items)) => walk.arguments(items),
            ("env", Value::List(items)) => walk.environment(items),
            ("storageUri" | "modelUri", Value::Text { text, .. }) => {
                walk.fetched(node, text);
                walk.text(node, text);
            }
            (_, Value::Map(entries)) if parts::is_image_key(key) => walk.parts(node, entries),
            (_, Value::Text { text, .. }) if parts::is_image_key(key) => walk.field(node, text),
            _ => walk.walk(node),
        });
    }

    fn containers(&mut self, items: &'n [Node]) {
        for (at, item) in items.iter().enumerate() {
            self.within(Step::Item(at), |walk| {
                for entry in item.entries() {
                    let empty = (entry.value.value == Value::Null).then_some("");
                    match (entry.key.as_str(), entry.value.text().or(empty)) {
                        ("image", Some(text)) => {
                            walk.within(Step::Key("image"), |walk| walk.certain(&entry.value, text))
                        }
                        _ => walk.entry(entry),
                    }
                }
                if item.entries().is_empty() {
                    walk.walk(item);
                }
            });
        }
    }

    /// An image volume names its image by `reference`.
    fn volumes(&mut self, items: &'n [Node]) {
        for (at, item) in items.iter().enumerate() {
            self.within(Step::Item(at), |walk| {
                for entry in item.entries() {
                    match entry.value.get("reference").map(|node| (node, node.text())) {
                        Some((node, Some(text))) if entry.key == "image" => {
                            walk.path.extend([Step::Key("image"), Step::Key("reference")]);
                            walk.certain(node, text);
                            walk.path.truncate(walk.path.len() - 2);
                        }
                        _ => walk.entry(entry),
                    }
                }
            });
        }
    }

    fn find(&mut self, node: &Node, what: String, hint: &str) {
        let place = match self.line(node) {
            Some(line) => format!("{}:{line}", self.looking.place),
            None => self.looking.place.to_owned(),
        };
        self.scan.findings.push(Finding::warning(FindingClass::Config, place, what).with_hint(hint));
    }

    /// Returns the line that a person finds `node` in, where there is one.
    fn line(&self, node: &Node) -> Option<usize> {
        match &self.outer {
            Some((line, _)) => *line,
            None => (!self.looking.rendered).then_some(node.line),
        }
    }

    /// Fields below `forProvider` describe something outside of the cluster, such as a virtual machine; only an
    /// object that is nested there runs here.
    fn is_outside(&self) -> bool {
        let inner = self.path.iter().rev().take_while(|step| !matches!(step, Step::Key("manifest")));
        inner.into_iter().any(|step| matches!(step, Step::Key("forProvider" | "initProvider")))
    }

    fn shown_path(&self) -> String {
        let mut text = self.outer.as_ref().map(|(_, path)| path.clone()).unwrap_or_default();
        for step in &self.path {
            match step {
                Step::Key(key) if text.is_empty() => text.push_str(&printable(key)),
                Step::Key(key) => text.push_str(&format!(".{}", printable(key))),
                Step::Item(at) => text.push_str(&format!("[{at}]")),
            }
        }
        text
    }

    fn spot(&self, node: &Node) -> Spot {
        let (file, object) = (self.looking.place.to_owned(), self.object.shown());
        Spot { file, line: self.line(node), object, path: self.shown_path() }
    }
}

pub(super) fn mentions_image(node: &Node) -> bool {
    match &node.value {
        Value::Null => false,
        Value::Text { text, .. } => text.contains("image"),
        Value::List(items) => items.iter().any(mentions_image),
        Value::Map(entries) => entries.iter().any(|entry| entry.key == "image" || mentions_image(&entry.value)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn looking(rendered: bool) -> Looking<'static> {
        Looking {
            place: "x.yaml",
            rendered,
            ignored: &|text| (text == "ignored-1").then(|| "because".to_owned()),
            fields: Table::builtin(),
        }
    }

    fn scan(text: &str) -> Scan {
        parse(text, &looking(false))
    }

    fn all(scan: &Scan, certainty: Certainty) -> Vec<String> {
        let fitting = scan.sightings.iter().filter(|seen| seen.certainty == certainty);
        fitting.map(|seen| seen.reference.as_ref().map_or_else(|| seen.text.clone(), ToString::to_string)).collect()
    }

    fn hits(text: &str) -> Vec<String> {
        let scan = scan(text);
        assert!(scan.errors.is_empty(), "{:?}", scan.errors);
        all(&scan, Certainty::Certain)
    }

    fn custom(spec: &str) -> String {
        format!("apiVersion: x.example/v1\nkind: Thing\nmetadata: {{name: t}}\nspec:\n  {spec}\n")
    }

    fn pod(image: &str) -> String {
        format!("apiVersion: v1\nkind: Pod\nmetadata: {{name: p}}\nspec:\n  containers:\n  - image: {image}\n")
    }

    #[test]
    fn every_kind_of_workload_gives_its_containers() {
        let spec = "{initContainers: [{image: 'a:1'}], containers: [{image: 'b:1'}, {image: 'c:1'}], \
                    ephemeralContainers: [{image: 'd:1'}], volumes: [{name: v, image: {reference: 'e:1', pullPolicy: Always}}]}";
        let template = format!("{{template: {{metadata: {{labels: {{image: 'no:1'}}}}, spec: {spec}}}}}");
        for (kind, version, body) in [
            ("Pod", "v1", spec.to_owned()),
            ("Deployment", "apps/v1", template.clone()),
            ("StatefulSet", "apps/v1", template.clone()),
            ("DaemonSet", "apps/v1", template.clone()),
            ("ReplicaSet", "apps/v1", template.clone()),
            ("ReplicationController", "v1", template.clone()),
            ("Job", "batch/v1", template.clone()),
            ("CronJob", "batch/v1", format!("{{jobTemplate: {{spec: {template}}}}}")),
        ] {
            let text = format!("apiVersion: {version}\nkind: {kind}\nmetadata: {{name: w}}\nspec: {body}\n");
            let mut found = hits(&text);
            found.sort();
            let wanted = ["a", "b", "c", "d", "e"].map(|name| format!("docker.io/library/{name}:1"));
            assert_eq!(found, wanted, "{kind}");
        }
        let text =
            format!("apiVersion: v1\nkind: PodTemplate\nmetadata: {{name: w}}\n{}\n", &template[1..template.len() - 1]);
        assert_eq!(hits(&text).len(), 5);
    }

    #[test]
    fn lists_and_documents_are_walked_and_places_are_exact() {
        let text = format!(
            "---\n# nothing\n---\n{}---# next\napiVersion: v1\nkind: List\nitems:\n- {}",
            pod("a:1\t"),
            pod("b:1").replace('\n', "\n  ")
        );
        let scan = scan(&text);
        let places: Vec<String> = scan.sightings.iter().map(|seen| seen.spot.to_string()).collect();
        assert_eq!(
            places,
            ["x.yaml:9 Pod/p spec.containers[0].image", "x.yaml:19 Pod/p items[0].spec.containers[0].image"]
        );
    }

    #[test]
    fn nested_objects_and_pod_templates_of_custom_objects_are_found() {
        let job =
            "{apiVersion: batch/v1, kind: Job, spec: {template: {spec: {containers: [{image: 'org/tool:1.31'}]}}}}";
        let text = custom(&format!("resources: [{{base: {{spec: {{forProvider: {{manifest: {job}}}}}}}}}]"));
        assert_eq!(hits(&text), ["docker.io/org/tool:1.31"]);
        assert_eq!(
            hits(&custom("predictor: {podSpec: {containers: [{name: x, image: bare}]}}")),
            ["docker.io/library/bare"]
        );
    }

    #[test]
    fn fields_of_custom_objects_count_where_they_say_enough() {
        for (spec, wanted) in [
            ("image: org/kiosk:1.2", "docker.io/org/kiosk:1.2"),
            ("imageName: ghcr.io/org/pg:16.3", "ghcr.io/org/pg:16.3"),
            ("solverImage: quay.io/org/solver:1", "quay.io/org/solver:1"),
            ("image: {registry: quay.io/, repository: org/x, tag: \"1.10\"}", "quay.io/org/x:1.10"),
            ("image: {registry: '', repository: org/x, tag: 1.10}", "docker.io/org/x:1.10"),
            ("image: {repository: h.example/x, version: 'sha256:SUM'}", "h.example/x@sha256:SUM"),
            ("image: {name: h.example/x, tag: a, digest: 'sha256:SUM'}", "h.example/x:a@sha256:SUM"),
            ("{image: h.example/repo, tag: v3}", "h.example/repo:v3"),
            ("runtimes: [{container: {image: 'h.example/r:1'}}]", "h.example/r:1"),
        ] {
            let sum = "0".repeat(64);
            assert_eq!(hits(&custom(&spec.replace("SUM", &sum))), [wanted.replace("SUM", &sum)], "{spec}");
        }
    }

    #[test]
    fn what_is_not_certain_waits_for_a_decision_or_is_ruled_out() {
        use Certainty::{Certain, Out, Probable, Uncertain};
        for (spec, certainty) in [
            ("forProvider: {image: ubuntu-99.04}", Out),
            ("forProvider: {image: 'h.example/x:1'}", Uncertain),
            ("forProvider: {template: {containers: [{image: 'h.example/x:1'}]}}", Uncertain),
            ("image: 'https://h.example/logo.png'", Out),
            ("image: /logo.png", Out),
            ("image: logo.png", Out),
            ("image: Ubuntu 99 LTS", Out),
            ("image: ubuntu-99.04", Uncertain),
            ("image: {repository: org/x}", Uncertain),
            ("image: {repository: org/x, tag: '1', suffix: -slim}", Uncertain),
            ("image: 'ghcr.io/org/*'", Out),
            ("args: [--solver-image=h.example/x:1]", Certain),
            ("args: [--solver-image, 'h.example/x:1']", Certain),
            ("args: [--image=org/x]", Uncertain),
            ("args: [--helper=h.example/x:1]", Probable),
            ("args: [--x-image-repository=h.example/x, --x-image-tag=1]", Certain),
            ("command: [sh, -c, 'run --image=org/x:1 && sleep 1']", Probable),
            ("env: [{name: HELPER, value: 'h.example/x:1'}]", Probable),
            ("env: [{name: HELPER_IMAGE, value: 'org/x:1'}]", Certain),
            ("env: [{name: A_REPOSITORY, value: 'h.example/x'}, {name: A_TAG, value: '1'}]", Certain),
            ("source: 'h.example/x:1'", Uncertain),
            ("source: 'oci://h.example/x:1'", Uncertain),
            ("part: {repository: 'h.example/x', tag: '1'}", Probable),
        ] {
            let scan = scan(&custom(spec));
            assert!(scan.errors.is_empty(), "{spec}");
            let found: Vec<Certainty> = scan.sightings.iter().map(|seen| seen.certainty).collect();
            assert_eq!(found, [certainty], "{spec}");
            assert!(scan.sightings[0].spot.to_string().starts_with("x.yaml:5 Thing/t spec."), "{spec}");
        }
        for spec in ["image: ''", "image: ~", "imagePullPolicy: Always", "args: ['--image-pull-policy=Always', -v=4]"] {
            assert!(scan(&custom(spec)).sightings.is_empty(), "{spec}");
        }
    }

    fn config(data: &str) -> Scan {
        scan(&format!("apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: c}}\ndata:\n{data}"))
    }

    #[test]
    fn configurations_are_read_as_what_they_are() {
        use Certainty::{Certain, Probable, Uncertain};
        for (data, certainty, names) in [
            (r#"  c: '{"image": "org/x:1"}'"#, Certain, vec!["docker.io/org/x:1"]),
            (r#"  c: '{"a": {"image": "org/x", "defaultImageVersion": "2"}}'"#, Certain, vec!["docker.io/org/x:2"]),
            (r#"  c: '{"image": "org/x"}'"#, Uncertain, vec!["docker.io/org/x"]),
            ("  scan.repository: h.example/org/s\n  scan.tag: '1'\n", Certain, vec!["h.example/org/s:1"]),
            ("  node.collector.imageRef: org/n:1\n", Certain, vec!["docker.io/org/n:1"]),
            ("  policies.ref: h.example/p:1\n", Probable, vec!["h.example/p:1"]),
            ("  c.yaml: |\n    install: {refs: ['h.example/p/c:0.6']}\n", Probable, vec!["h.example/p/c:0.6"]),
            ("  pod.yaml: |\n    spec: {containers: [{image: busybox}]}\n", Certain, vec!["docker.io/library/busybox"]),
            (
                "  c.tpl: |\n    {{ if .x }}\n    image: h.example/p/c:0.6\n    {{ end }}\n",
                Probable,
                vec!["h.example/p/c:0.6"],
            ),
            ("  c.toml: |\n    [runner]\n    image = \"org/c:1\"\n", Uncertain, vec!["docker.io/org/c:1"]),
        ] {
            let scan = config(data);
            assert!(scan.errors.is_empty(), "{data}: {:?}", scan.errors);
            assert_eq!(all(&scan, certainty), names, "{data}");
            assert_eq!(scan.sightings.len(), 1, "{data}");
        }
        for data in [
            "  _example: |\n    image: org/x:latest\n",
            "  c.tpl: |\n    image: {{ .hub }}/x:{{ .tag }}\n",
            "  text: |\n    see the image: it is nice\n",
            "  url: http://h.example/x:1\n",
        ] {
            assert!(config(data).sightings.is_empty(), "{data}");
        }
    }

    #[test]
    fn the_way_into_a_text_is_shown() {
        let scan = config("  c: |\n    a: [{image: 'org/x:1'}]\n");
        assert_eq!(scan.sightings[0].spot.to_string(), "x.yaml:6 ConfigMap/c data.c.<text>.a[0].image");
        assert_eq!((scan.sightings[0].how, scan.sightings[0].need), (How::Configuration, Need::ByController));
        let rendered = parse(&pod("a:1"), &looking(true));
        assert_eq!(rendered.sightings[0].spot.to_string(), "x.yaml Pod/p spec.containers[0].image");
    }

    #[test]
    fn annotations_say_when_a_container_runs() {
        for (hook, need) in [("test", Need::Test), ("pre-install", Need::Hook), ("post-delete", Need::DeleteHook)] {
            let text = pod("a:1").replace("{name: p}", &format!("{{name: p, annotations: {{helm.sh/hook: {hook}}}}}"));
            assert_eq!(scan(&text).sightings[0].need, need);
        }
        assert_eq!(scan(&pod("a:1")).sightings[0].need, Need::Runtime);
        let nested = custom(&format!("x: {{{}}}", "apiVersion: v1, kind: Pod, spec: {containers: [{image: 'a:1'}]}"));
        assert_eq!(scan(&nested).sightings[0].need, Need::ByController);
    }

    #[test]
    fn what_a_template_gives_is_read_as_kubernetes_tools_read_it() {
        let twice =
            "apiVersion: v1\nkind: Pod\nmetadata: {name: p}\nspec:\n  a: 1\n  a: 2\n  containers: [{image: 'x:1'}]\n";
        assert_eq!(scan(twice).errors.len(), 1);
        let lenient = parse(twice, &looking(true));
        assert_eq!((lenient.errors.len(), lenient.sightings.len()), (0, 1));
    }

    #[test]
    fn secrets_annotations_and_states_are_looked_at_with_care() {
        for text in [
            "apiVersion: v1\nkind: Node\nmetadata: {name: n}\nstatus: {images: [{names: ['h.example/x:1']}]}\n",
            "apiVersion: v1\nkind: Service\nmetadata: {name: s, labels: {image: 'x:1'}}\n",
            "apiVersion: v1\nkind: Secret\nmetadata: {name: s}\ndata: {a: 'aHR0cHM6Ly94L3k6MQ==', b: '!'}\n",
        ] {
            let scan = scan(text);
            assert!(scan.sightings.is_empty() && scan.findings.is_empty(), "{text}");
        }
        for text in [
            "apiVersion: v1\nkind: Secret\nmetadata: {name: s}\nstringData: {a: 'h.example/x:1'}\n",
            "apiVersion: v1\nkind: Secret\nmetadata: {name: s}\ndata: {a: 'aC5leGFtcGxlL3g6MQ=='}\n",
        ] {
            assert_eq!(all(&scan(text), Certainty::Probable), ["h.example/x:1"], "{text}");
        }
        let proxy = "apiVersion: v1\nkind: Service\nmetadata: {name: s, annotations: {proxy/image: 'h.example/x:1'}}\n";
        assert_eq!(all(&scan(proxy), Certainty::Uncertain), ["h.example/x:1"]);
        let applied = proxy.replace("proxy/image", "kubectl.kubernetes.io/last-applied-configuration");
        assert!(scan(&applied).sightings.is_empty());
    }

    #[test]
    fn nothing_is_taken_from_definitions_of_custom_objects() {
        for kind in ["CustomResourceDefinition", "CompositeResourceDefinition"] {
            let text = format!(
                "apiVersion: apiextensions.k8s.io/v1\nkind: {kind}\nmetadata: {{name: d}}\nspec:\n  image: a/b:1\n  \
                 containers: [{{image: 'c:1'}}]\n"
            );
            let scan = scan(&text);
            assert!(scan.sightings.is_empty() && scan.errors.is_empty());
        }
    }

    #[test]
    fn broken_references_are_errors_with_place_and_probable_meaning() {
        let all = format!(
            "{}---\n{}---\n{}",
            pod("press//kiosk:1.2"),
            custom("image: press//kiosk:1.2"),
            pod("${REGISTRY}/x:1")
        );
        let errors: Vec<String> = scan(&all).errors.iter().map(ToString::to_string).collect();
        assert_eq!(errors.len(), 3, "{errors:?}");
        assert!(
            errors[0].starts_with("x.yaml:6 Pod/p spec.containers[0].image: \"press//kiosk:1.2\""),
            "{}",
            errors[0]
        );
        assert!(errors[0].contains("probably a registry that ends in / was joined"), "{}", errors[0]);
        assert!(errors[2].contains("${REGISTRY}"), "{}", errors[2]);
    }

    #[test]
    fn a_doubled_host_is_a_warning() {
        let scan = scan(&pod("registry.example.org/registry.example.org/kiosk:1"));
        assert_eq!(scan.sightings.len(), 1);
        assert!(scan.findings[0].what.contains("repeats its host"));
    }

    #[test]
    fn an_ignored_text_is_reported_with_its_reason() {
        for text in [pod("ignored-1"), custom("image: ignored-1")] {
            let scan = scan(&text);
            assert!(scan.sightings.is_empty() && scan.errors.is_empty());
            assert!(scan.findings[0].what.contains("because"));
        }
    }

    #[test]
    fn what_is_not_followed_is_said_aloud() {
        for (text, said) in [
            (
                "apiVersion: helm.toolkit.fluxcd.io/v2\nkind: HelmRelease\nmetadata: {name: r}\nspec: {values: {image: 'x/y:1'}}\n",
                "NOT included",
            ),
            (
                "apiVersion: source.toolkit.fluxcd.io/v1\nkind: HelmRepository\nmetadata: {name: r}\nspec: {}\n",
                "not resolved",
            ),
            (
                "apiVersion: kustomize.config.k8s.io/v1beta1\nkind: Kustomization\nimages: [{name: x, newTag: y}]\n",
                "does not apply it",
            ),
            (
                "apiVersion: kustomize.toolkit.fluxcd.io/v1\nkind: Kustomization\nmetadata: {name: k}\nspec: {images: [{name: x, newTag: y}]}\n",
                "not resolved",
            ),
            ("replicaCount: 1\nimage: {repository: x, tag: y}\n", "no Kubernetes object"),
        ] {
            let scan = scan(text);
            assert!(scan.sightings.is_empty() && scan.errors.is_empty(), "{text}");
            assert!(scan.findings.iter().any(|finding| finding.what.contains(said)), "{text} {:?}", scan.findings);
        }
    }

    #[test]
    fn a_kustomization_that_brings_things_from_elsewhere_is_no_silence() {
        for (text, said) in [
            ("resources: [a.yaml, ../base]", Some("../base")),
            ("bases: ['https://code.example/x']", Some("https://code.example/x")),
            ("components: [/etc/x]", Some("/etc/x")),
            ("resources: [a.yaml, sub/dir, a..b.yaml]", None),
        ] {
            let scan = scan(&format!("apiVersion: kustomize.config.k8s.io/v1beta1\nkind: Kustomization\n{text}\n"));
            let errors: Vec<String> = scan.errors.iter().map(ToString::to_string).collect();
            assert_eq!(errors.len(), usize::from(said.is_some()), "{text}: {errors:?}");
            assert!(
                said.is_none_or(|said| errors[0].contains(said) && errors[0].contains("under kustomize")),
                "{errors:?}"
            );
        }
    }

    #[test]
    fn lists_and_assignments_on_one_line_are_looked_into() {
        let texts = |text: &str| -> Vec<String> {
            let found = scan(text).sightings;
            found.iter().filter_map(|one| Some(one.reference.as_ref()?.to_string())).collect()
        };
        let env = |name: &str, value: &str| {
            let pod = "apiVersion: v1\nkind: Pod\nmetadata: {name: p}\nspec:\n  containers:\n  - name: c\n    image: quay.io/t/c:1\n";
            format!("{pod}    env: [{{name: {name}, value: '{value}'}}]\n")
        };
        for (name, value) in [
            ("X", r#"{"a":[{"image":"quay.io/t/a:1"},{"image":"quay.io/t/b:1"}]}"#),
            ("X", "quay.io/t/a:1,quay.io/t/b:1"),
            ("X", "quay.io/t/a:1 quay.io/t/b:1"),
            ("X", "x=quay.io/t/a:1;y=quay.io/t/b:1"),
            ("RELATED_IMAGES", "quay.io/t/a:1,quay.io/t/b:1"),
        ] {
            let found = texts(&env(name, value));
            for wanted in ["quay.io/t/a:1", "quay.io/t/b:1", "quay.io/t/c:1"] {
                assert!(found.iter().any(|one| one == wanted), "{value}: {found:?}");
            }
        }
        let data =
            |value: &str| format!("apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: c}}\ndata: {{ini: '{value}'}}\n");
        for value in
            ["image=quay.io/t/a:1", "image = quay.io/t/a:1", "use quay.io/t/a:1 please", "export X=quay.io/t/a:1"]
        {
            assert!(texts(&data(value)).contains(&"quay.io/t/a:1".to_owned()), "{value}");
        }
        assert!(texts(&data("a plain text, of words; and 3 numbers")).is_empty());
    }

    #[test]
    fn patches_count_where_they_speak_of_images() {
        let patch = |text: &str| {
            format!(
                "apiVersion: kustomize.config.k8s.io/v1beta1\nkind: Kustomization\npatches: [{{patch: '{text}'}}]\n"
            )
        };
        assert_eq!(scan(&patch("spec: {image: x}")).findings.len(), 1);
        assert!(scan(&patch("spec: {replicas: 2}")).findings.is_empty());
    }

    #[test]
    fn a_reference_to_a_release_is_no_release() {
        let reference = "ref: {apiVersion: helm.toolkit.fluxcd.io/v2, kind: HelmRelease, name: x}";
        assert!(scan(&custom(reference)).findings.is_empty());
    }

    #[test]
    fn an_image_at_the_deepest_nesting_is_found() {
        let deep = format!("{}containers: [{{image: 'x:1'}}]{}", "a: {".repeat(120), "}".repeat(120));
        assert_eq!(hits(&custom(&deep)).len(), 1);
    }

    #[test]
    fn a_package_is_an_artifact_whose_images_are_not_known() {
        let scan = scan(
            "apiVersion: pkg.crossplane.io/v1\nkind: Provider\nmetadata: {name: p}\nspec:\n  package: x.example/org/p:v1\n",
        );
        assert_eq!(
            (scan.sightings[0].role, scan.sightings[0].spot.to_string().as_str()),
            (Role::Artifact, "x.yaml:5 Provider/p spec.package")
        );
        assert!(scan.findings[0].what.contains("NOT included"));
    }

    #[test]
    fn a_template_that_is_not_rendered_is_called_one() {
        let scan = scan("{{- if .Values.x }}\napiVersion: v1\n{{- end }}\n");
        assert_eq!(scan.errors.len(), 1);
        assert!(scan.findings[0].what.contains("Helm template"));
        assert!(matches!(
            super::parse(&pod("'{{ .Values.image }}'"), &looking(false)).errors[0],
            KubeError::Placeholder { .. }
        ));
    }

    proptest! {
        #[test]
        fn any_text_is_looked_through_without_a_panic(text in "[-{}\\[\\]:,a-c image/\\n#&*'\"]{0,80}") {
            let _ = scan(&text);
            let _ = scan(&custom(&text));
        }
    }
}
