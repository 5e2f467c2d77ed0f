//! Images in Kubernetes YAML: what containers run for certain, what other objects seem to name, and what is in
//! there that this program does not follow.
//!
//! Every mapping anywhere with a list of containers counts, so nested objects and pod templates inside of custom
//! objects are found. Fields called `image` of other objects count where their text says enough by itself; what
//! is less certain is reported and left out. Definitions of custom objects are schemas: nothing in them runs.

use super::files::{FileError, Named};
use super::looks;
use super::operators::Table;
use crate::document::lock::Role;
use crate::document::yaml::{self, Entry, Node, Value};
use crate::model::evidence::FindingClass;
use crate::model::fault::printable;
use crate::model::{Finding, ImageRef};

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
}

/// An image that was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hit {
    /// The image.
    pub reference: ImageRef,
    /// Image, or package.
    pub role: Role,
    /// File, line, object and key path.
    pub place: String,
}

/// Something that may be an image, and is not taken for one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Doubt {
    /// What it would be.
    pub reference: Option<ImageRef>,
    /// What is said about it.
    pub finding: Finding,
}

/// What a file holds.
#[derive(Debug, Default)]
pub struct Scan {
    /// Images, in the order of the file.
    pub hits: Vec<Hit>,
    /// What may be images.
    pub doubts: Vec<Doubt>,
    /// What a person should know.
    pub findings: Vec<Finding>,
    /// What stands in the way.
    pub errors: Vec<KubeError>,
}

const DECIDE: &str = "if it is an image, add it to extraImages; if not, add it to ignore with a reason";

const OUTSIDE: &str = "belongs to a resource outside of the cluster and is not taken for an image";

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

/// How objects are looked through.
#[derive(Clone, Copy)]
pub struct Looking<'a> {
    /// Says why a text is to be left out, where it is.
    pub ignored: &'a dyn Fn(&str) -> Option<String>,
    /// Fields of custom objects that name images.
    pub fields: &'a Table,
}

/// Looks through one file.
pub fn read(file: &Named, looking: Looking<'_>) -> Scan {
    match file.read_text() {
        Ok(text) => parse_with(&text, &file.shown, looking),
        Err(error) => Scan { errors: vec![error.into()], ..Scan::default() },
    }
}

/// Looks through the text of a file that a person calls `place`, with the fields that are known. `ignored` says
/// why a text is to be left out, where it is.
pub fn parse(text: &str, place: &str, ignored: &dyn Fn(&str) -> Option<String>) -> Scan {
    parse_with(text, place, Looking { ignored, fields: Table::builtin() })
}

/// Looks through one document that stands in the file that a person calls `place`.
pub fn look(node: &Node, place: &str, looking: Looking<'_>) -> Scan {
    let mut scan = Scan::default();
    Walk::new(place, looking, &mut scan).top(node);
    scan
}

/// Looks through the text of a file that a person calls `place`.
pub fn parse_with(text: &str, place: &str, looking: Looking<'_>) -> Scan {
    let mut scan = Scan::default();
    let separated = yaml::with_separators(text);
    let documents = match yaml::documents(&separated, place) {
        Ok(documents) => documents,
        Err(error) => {
            scan.errors.push(FileError::from(error).into());
            return scan;
        }
    };
    for document in documents {
        match document {
            Ok(node) => Walk::new(place, looking, &mut scan).top(&node),
            Err(error) => {
                scan.errors.push(FileError::from(error).into());
                if text.contains("{{") {
                    let what = "this looks like a Helm template, which is no YAML before it is rendered";
                    let hint = "write what `helm template` prints into a file and name that";
                    scan.findings.push(Finding::error(FindingClass::Config, place, what).with_hint(hint));
                }
            }
        }
    }
    scan
}

/// Object around the place that is looked at.
#[derive(Debug, Clone, Default)]
struct Object {
    version: String,
    group: String,
    kind: String,
    name: String,
}

impl Object {
    fn of(node: &Node) -> Option<Self> {
        let version = node.get("apiVersion")?.text()?;
        let kind = node.get("kind")?.text()?.to_owned();
        let group = version.split_once('/').map_or("", |(group, _)| group).to_owned();
        let named = |key| node.at(&["metadata", key]).and_then(Node::text);
        let name = printable(named("name").or_else(|| named("generateName")).unwrap_or("(no name)"));
        Some(Self { version: version.to_owned(), group, kind: printable(&kind), name })
    }

    fn is(&self, group: &str, kind: &str) -> bool {
        self.group == group && self.kind == kind
    }

    fn shown(&self) -> String {
        format!("{}/{}", self.kind, self.name)
    }
}

enum Step<'n> {
    Key(&'n str),
    Item(usize),
}

struct Walk<'a, 'n> {
    place: &'a str,
    ignored: &'a dyn Fn(&str) -> Option<String>,
    fields: &'a Table,
    scan: &'a mut Scan,
    object: Object,
    path: Vec<Step<'n>>,
    /// Nodes that are settled, because the table knows what they name.
    settled: Vec<&'n Node>,
}

impl<'a, 'n> Walk<'a, 'n> {
    fn new(place: &'a str, looking: Looking<'a>, scan: &'a mut Scan) -> Self {
        let Looking { ignored, fields } = looking;
        Self { place, ignored, fields, scan, object: Object::default(), path: Vec::new(), settled: Vec::new() }
    }

    fn top(mut self, node: &'n Node) {
        let file = self.place.rsplit('/').next().unwrap_or_default();
        let kustomization = matches!(file, "kustomization.yaml" | "kustomization.yml" | "Kustomization");
        match (&node.value, Object::of(node)) {
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
            Value::Map(entries) => match Object::of(node) {
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
            return;
        }
        let before = (self.scan.hits.len(), self.settled.len());
        let chosen = self.known_fields(node);
        let known = self.settled.len() > before.1;
        let followed = NOT_FOLLOWED.iter().find(|(group, kind, _)| object.is(group, kind) && !known);
        // Without a spec it is a reference to such an object.
        if let Some((.., out)) = followed.filter(|_| node.get("spec").is_some()) {
            let what = format!("{} is not resolved by this version: {out}", object.shown());
            self.find(node, what, "name what it installs under blueprints, charts and images");
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
                _ => self.entry(entry),
            }
        }
        if let Some(chosen) = chosen
            && self.scan.hits.len() == before.0
        {
            self.scan.doubts.push(Doubt { reference: None, finding: chosen });
        }
    }

    /// Takes what the table knows about the object, and returns what its operator chooses by itself.
    fn known_fields(&mut self, node: &'n Node) -> Option<Finding> {
        let told = self.fields.look(&self.object.version, &self.object.kind, node);
        for named in told.named {
            let place = format!("{}:{} {} {}", self.place, named.node.line, self.object.shown(), named.path);
            self.settled.push(named.node);
            if named.text.contains("://") {
                let what = format!("{} is fetched from {}, which is NOT included", named.path, printable(&named.text));
                self.scan.findings.push(Finding::warning(FindingClass::Config, place, what));
            } else if let Some(reference) = self.reference_at(&place, &named.text) {
                self.scan.hits.push(Hit { reference, role: named.role, place });
            }
        }
        let place = format!("{}:{} {}", self.place, node.line, self.object.shown());
        let shown = self.object.shown();
        let instead = match told.instead.is_empty() {
            true => String::new(),
            false => format!("set {}, or ", told.instead.join(", ")),
        };
        let hint = format!("{instead}name the images under extraImages with for: {shown}");
        let said = |chosen| format!("its operator chooses {chosen}: NOT included");
        told.chosen.map(|chosen| Finding::warning(FindingClass::Config, place, said(chosen)).with_hint(hint))
    }

    fn is_settled(&self, node: &Node) -> bool {
        self.settled.iter().any(|known| std::ptr::eq(*known, node))
    }

    /// A package is an artifact; what it installs is known only to its own documents.
    fn package(&mut self, node: &'n Node) {
        let Some(text) = node.text() else { return };
        self.path.extend([Step::Key("spec"), Step::Key("package")]);
        if let Some(reference) = self.reference(node, text) {
            let place = self.at(node);
            self.scan.hits.push(Hit { reference, role: Role::Artifact, place });
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
            if matters {
                let what =
                    format!("{} of a kustomization may change what runs; this version does not apply it", entry.key);
                self.find(&entry.value, what, "name a file with the output of `kustomize build` instead");
            }
        }
    }

    /// Annotations may name an image that a controller adds; nothing is certain about them.
    fn annotations(&mut self, metadata: &'n Node) {
        let Some(annotations) = metadata.get("annotations") else { return };
        let applied = "kubectl.kubernetes.io/last-applied-configuration";
        for entry in annotations.entries().iter().filter(|entry| entry.key != applied) {
            let steps = Step::Key("annotations");
            self.within(steps, |walk| walk.within(Step::Key(&entry.key), |walk| walk.walk(&entry.value)));
        }
    }

    fn entries(&mut self, entries: &'n [Entry]) {
        for entry in entries {
            match (entry.key.as_str(), &entry.value.value) {
                ("metadata", Value::Map(_)) => {
                    self.within(Step::Key("metadata"), |walk| walk.annotations(&entry.value));
                }
                ("image", Value::Text { .. }) => self.sibling_tag(entry, entries),
                _ => self.entry(entry),
            }
        }
    }

    fn entry(&mut self, entry: &'n Entry) {
        let (key, node) = (entry.key.as_str(), &entry.value);
        self.within(Step::Key(key), |walk| match (key, &node.value) {
            ("containers" | "initContainers" | "ephemeralContainers", Value::List(items)) => walk.containers(items),
            ("volumes", Value::List(items)) => walk.volumes(items),
            ("image", Value::Map(entries)) => walk.parts(node, entries),
            ("image" | "imageName", Value::Text { text, .. }) => walk.field(node, text),
            (key, Value::Text { text, .. }) if key.ends_with("Image") => walk.field(node, text),
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

    /// Something that a container runs.
    fn certain(&mut self, node: &Node, text: &str) {
        if self.is_settled(node) {
            return;
        }
        if self.is_outside() {
            self.doubt(node, text, OUTSIDE);
        } else if text.is_empty() {
            self.find(node, format!("{} is empty: something fills it in later", self.shown_path()), DECIDE);
        } else if looks::is_pattern(text) && !is_native(&self.object) {
            self.doubt(node, text, "is a pattern, not an image");
        } else if let Some(reference) = self.reference(node, text) {
            self.hit(node, reference);
        }
    }

    /// A field of an object of which nothing is known.
    fn field(&mut self, node: &Node, text: &str) {
        if self.is_settled(node) {
            return;
        }
        if self.is_outside() {
            return self.doubt(
                node,
                text,
                "belongs to a resource outside of the cluster and is not taken for an image",
            );
        }
        if looks::is_pattern(text) || text.is_empty() {
            self.doubt(node, text, "says no image");
        } else if looks::placeholder(text).is_some() || looks::broken(text) || looks::complete(text).is_some() {
            self.certain(node, text);
        } else {
            self.doubt(node, text, "has neither host nor tag and is not taken for an image");
        }
    }

    /// `image` and `tag` as neighbours.
    fn sibling_tag(&mut self, entry: &'n Entry, entries: &'n [Entry]) {
        let text = entry.value.text().unwrap_or_default();
        let tag = entries.iter().find(|other| other.key == "tag").and_then(|other| other.value.text());
        let bare = text.parse::<ImageRef>().is_ok_and(|r| r.tag.is_none() && r.digest.is_none());
        match tag.filter(|tag| bare && !tag.is_empty()) {
            Some(tag) => self.within(Step::Key("image"), |walk| walk.field(&entry.value, &format!("{text}:{tag}"))),
            None => self.entry(entry),
        }
    }

    /// An image in parts: registry, repository or name, tag, digest or version.
    fn parts(&mut self, node: &'n Node, entries: &'n [Entry]) {
        let part = |key: &str| node.get(key).and_then(Node::text).filter(|text| !text.is_empty());
        let Some(repository) = part("repository").or_else(|| part("name")) else { return self.entries(entries) };
        if ["repository", "name"].into_iter().filter_map(|key| node.get(key)).any(|part| self.is_settled(part)) {
            return;
        }
        let version = part("version").filter(|text| text.starts_with("sha256:"));
        let (tag, digest) = (part("tag"), part("digest").or(version));
        let mut text = match part("registry") {
            Some(registry) => format!("{}/{repository}", registry.trim_end_matches('/')),
            None => repository.to_owned(),
        };
        text.extend(tag.iter().flat_map(|tag| [":", tag]));
        text.extend(digest.iter().flat_map(|digest| ["@", digest]));
        if tag.is_some() || digest.is_some() {
            self.field(node, &text);
        } else {
            self.doubt(node, &text, "has no tag; only the program that reads this field knows which one it takes");
        }
    }

    /// Text of any field: reported where it can hardly be anything but an image.
    fn text(&mut self, node: &Node, text: &str) {
        if self.object.kind == "Secret" || self.is_settled(node) {
            return;
        }
        for reference in looks::inside(text) {
            let known = self.scan.hits.iter().any(|hit| hit.reference == reference);
            if !known && (self.ignored)(&reference.to_string()).is_none() {
                let what = format!("{} names {reference}, which is not included", self.shown_path());
                let finding = Finding::warning(FindingClass::Config, self.at(node), what).with_hint(DECIDE);
                self.scan.doubts.push(Doubt { reference: Some(reference), finding });
            }
        }
    }

    /// Parses a text that must be an image; notes why it is none.
    fn reference(&mut self, node: &Node, text: &str) -> Option<ImageRef> {
        self.reference_at(&self.at(node), text)
    }

    fn reference_at(&mut self, place: &str, text: &str) -> Option<ImageRef> {
        let place = place.to_owned();
        if let Some(reason) = (self.ignored)(text) {
            self.scan.findings.push(super::note(place, format!("{text:?} is ignored: {reason}")));
            return None;
        }
        if let Some(found) = looks::placeholder(text) {
            let (text, found) = (text.to_owned(), found.to_owned());
            self.scan.errors.push(KubeError::Placeholder { place, text, found });
            return None;
        }
        match text.parse() {
            Ok(reference) => Some(reference),
            Err(error) => {
                let meaning = looks::probable_meaning(text);
                self.scan.errors.push(KubeError::Image { place, text: error.input, why: error.why, meaning });
                None
            }
        }
    }

    fn hit(&mut self, node: &Node, reference: ImageRef) {
        let place = self.at(node);
        if looks::doubled_host(&reference) {
            let what = format!("{reference} repeats its host: a registry was joined twice, and nothing may be there");
            self.scan.findings.push(Finding::warning(FindingClass::Config, &place, what));
        }
        self.scan.hits.push(Hit { reference, role: Role::Image, place });
    }

    fn doubt(&mut self, node: &Node, text: &str, why: &str) {
        match (self.ignored)(text) {
            Some(reason) => self.note_ignored(node, text, &reason),
            None => {
                let what = format!("{text:?} {why}");
                let finding = Finding::warning(FindingClass::Config, self.at(node), what).with_hint(DECIDE);
                self.scan.doubts.push(Doubt { reference: text.parse().ok(), finding });
            }
        }
    }

    fn note_ignored(&mut self, node: &Node, text: &str, reason: &str) {
        let finding = super::note(self.at(node), format!("{text:?} is ignored: {reason}"));
        self.scan.findings.push(finding);
    }

    fn find(&mut self, node: &Node, what: String, hint: &str) {
        let place = format!("{}:{}", self.place, node.line);
        self.scan.findings.push(Finding::warning(FindingClass::Config, place, what).with_hint(hint));
    }

    /// Fields below `forProvider` describe something outside of the cluster, such as a virtual machine; only an
    /// object that is nested there runs here.
    fn is_outside(&self) -> bool {
        let inner = self.path.iter().rev().take_while(|step| !matches!(step, Step::Key("manifest")));
        inner.into_iter().any(|step| matches!(step, Step::Key("forProvider" | "initProvider")))
    }

    fn shown_path(&self) -> String {
        let mut text = String::new();
        for step in &self.path {
            match step {
                Step::Key(key) if text.is_empty() => text.push_str(&printable(key)),
                Step::Key(key) => text.push_str(&format!(".{}", printable(key))),
                Step::Item(at) => text.push_str(&format!("[{at}]")),
            }
        }
        text
    }

    fn at(&self, node: &Node) -> String {
        format!("{}:{} {} {}", self.place, node.line, self.object.shown(), self.shown_path())
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

/// Returns whether Kubernetes itself knows the kind, so that its images are images and nothing else.
fn is_native(object: &Object) -> bool {
    matches!(object.group.as_str(), "" | "apps" | "batch")
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn scan(text: &str) -> Scan {
        parse(text, "x.yaml", &|text| (text == "ignored-1").then(|| "because".to_owned()))
    }

    fn hits(text: &str) -> Vec<String> {
        let scan = scan(text);
        assert!(scan.errors.is_empty(), "{:?}", scan.errors);
        scan.hits.iter().map(|hit| hit.reference.to_string()).collect()
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
        let places: Vec<&str> = scan.hits.iter().map(|hit| hit.place.as_str()).collect();
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
    fn what_is_not_certain_is_reported_and_left_out() {
        for spec in [
            "forProvider: {image: ubuntu-99.04}",
            "forProvider: {image: 'h.example/x:1'}",
            "forProvider: {template: {containers: [{image: 'h.example/x:1'}]}}",
            "image: 'https://h.example/logo.png'",
            "image: /logo.png",
            "image: Ubuntu 99 LTS",
            "image: ubuntu-99.04",
            "image: ''",
            "image: {repository: org/x}",
            "image: 'ghcr.io/org/*'",
            "args: [--solver-image=h.example/x:1]",
            "env: [{name: HELPER, value: 'h.example/x:1'}]",
        ] {
            let scan = scan(&custom(spec));
            assert!(scan.hits.is_empty() && scan.errors.is_empty(), "{spec}");
            assert_eq!(scan.doubts.len(), 1, "{spec}");
            assert!(scan.doubts[0].finding.place.starts_with("x.yaml:5 Thing/t spec."), "{spec}");
        }
        let config =
            "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: c}\ndata:\n  c.json: '{\"image\": \"org/x:1\"}'\n";
        let scan = scan(config);
        assert_eq!(scan.doubts[0].reference.as_ref().unwrap().to_string(), "docker.io/org/x:1");
    }

    #[test]
    fn secrets_annotations_and_states_are_not_taken_for_images() {
        for text in [
            "apiVersion: v1\nkind: Secret\nmetadata: {name: s}\nstringData: {a: 'h.example/x:1'}\n",
            "apiVersion: v1\nkind: Node\nmetadata: {name: n}\nstatus: {images: [{names: ['h.example/x:1']}]}\n",
            "apiVersion: v1\nkind: Service\nmetadata: {name: s, labels: {image: 'x:1'}}\n",
        ] {
            let scan = scan(text);
            assert!(scan.hits.is_empty() && scan.doubts.is_empty() && scan.findings.is_empty(), "{text}");
        }
        let proxy = "apiVersion: v1\nkind: Service\nmetadata: {name: s, annotations: {proxy/image: 'h.example/x:1'}}\n";
        assert_eq!(scan(proxy).doubts.len(), 1);
        let applied = proxy.replace("proxy/image", "kubectl.kubernetes.io/last-applied-configuration");
        assert!(scan(&applied).doubts.is_empty());
    }

    #[test]
    fn nothing_is_taken_from_definitions_of_custom_objects() {
        for kind in ["CustomResourceDefinition", "CompositeResourceDefinition"] {
            let text = format!(
                "apiVersion: apiextensions.k8s.io/v1\nkind: {kind}\nmetadata: {{name: d}}\nspec:\n  image: a/b:1\n  \
                 containers: [{{image: 'c:1'}}]\n"
            );
            let scan = scan(&text);
            assert!(scan.hits.is_empty() && scan.doubts.is_empty() && scan.errors.is_empty());
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
        assert_eq!(scan.hits.len(), 1);
        assert!(scan.findings[0].what.contains("repeats its host"));
    }

    #[test]
    fn an_ignored_text_is_reported_with_its_reason() {
        for text in [pod("ignored-1"), custom("image: ignored-1")] {
            let scan = scan(&text);
            assert!(scan.hits.is_empty() && scan.doubts.is_empty() && scan.errors.is_empty());
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
            assert!(scan.hits.is_empty() && scan.errors.is_empty(), "{text}");
            assert!(scan.findings.iter().any(|finding| finding.what.contains(said)), "{text} {:?}", scan.findings);
        }
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
            (scan.hits[0].role, scan.hits[0].place.as_str()),
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
            parse(&pod("'{{ .Values.image }}'"), "x", &|_| None).errors[0],
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
