//! What a mirror file says about charts: where they are, and how the cluster will use them.
//!
//! ```yaml
//! charts:
//!   - ghcr.io/example/charts/press:2.0.1                   # the forms of images and artifacts
//!   - { repo: "https://charts.example.org", chart: press, version: ^2, values: [press.yaml] }
//!   - { repo: "oci://ghcr.io/example/charts", chart: kiosk, version: "1.x" }
//!   - path: ./charts/kiosk                                 # a folder or archive: only what it runs is carried
//!     set: { web: { enabled: true } }
//!     valueSets: [ { name: east, values: [east.yaml] }, { name: west, set: { region: west } } ]
//!     release: kiosk
//!     namespace: shop
//!   - { ref: "ghcr.io/example/charts/press:1.0.0", images: false }     # the chart alone
//! rendering: { kubernetes: v1.34.1, apiVersions: [monitoring.coreos.com/v1], tests: false, deleteHooks: true }
//! decisions:
//!   - { accept: "ghcr.io/example/runner:1.0", chart: kiosk }
//!   - { accept: "ghcr.io/example/rules:5", as: artifact }
//!   - { reject: "ubuntu-99.04", reason: name of a VM image }
//! ```

use super::made;
use super::read::{ARTIFACT, fields, reference};
use super::{Source, Wish};
use crate::document::form::{Clerk, Form};
use crate::document::lock::Role;
use crate::document::yaml::Node;
use crate::document::yaml_value::to_json;
use crate::model::ImageRef;
use serde_json::Value;

const USE: [&str; 8] = ["values", "set", "valueSets", "release", "namespace", "kubernetes", "apiVersions", "images"];
pub(super) const CHART: &[&str] = &[
    "ref",
    "repository",
    "tags",
    "semver",
    "newest",
    "list",
    "repo",
    "chart",
    "version",
    "path",
    USE[0],
    USE[1],
    USE[2],
    USE[3],
    USE[4],
    USE[5],
    USE[6],
    USE[7],
];
pub(super) const CHART_FILE: &[&str] =
    &["file", "sha256", "name", USE[0], USE[1], USE[2], USE[3], USE[4], USE[5], USE[6], USE[7]];
pub(super) const BLUEPRINT_USE: &[&str] =
    &["blueprint", USE[0], USE[1], USE[2], USE[3], USE[4], USE[5], USE[6], USE[7]];
pub(super) const VALUE_SET: &[&str] = &["name", "values", "set"];
pub(super) const RENDERING: &[&str] = &["kubernetes", "apiVersions", "tests", "deleteHooks"];
pub(super) const DECISION: &[&str] = &["accept", "reject", "reason", "chart", "as"];

/// One entry of `charts`.
#[derive(Debug, Clone, PartialEq)]
pub struct ChartSource {
    /// Line of the mirror file.
    pub line: usize,
    /// Which charts.
    pub wish: ChartWish,
    /// How the cluster uses them.
    pub usage: ChartUse,
}

/// Which charts an entry wants.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ChartWish {
    /// Artifacts in registries, in the forms of other entries.
    Artifact(Wish),
    /// The highest version in a Helm repository that fits.
    Repository {
        /// Address: `https://…`, `http://…` or `oci://…`; without a slash at its end.
        repository: String,
        /// Name of the chart.
        chart: String,
        /// Version or range, as typed.
        version: Option<String>,
    },
    /// Folder or archive, as typed.
    Path(String),
}

/// How a cluster uses a chart. What is not said has its value from `rendering`, or none.
#[derive(Debug, Clone, PartialEq)]
pub struct ChartUse {
    /// Layers of values under those of all sets, lowest first.
    pub layers: Vec<Layer>,
    /// Sets of values, where the chart is used in more than one way.
    pub sets: Vec<ValueSetSource>,
    /// Name of the release.
    pub release: Option<String>,
    /// Namespace.
    pub namespace: Option<String>,
    /// Version of Kubernetes.
    pub kubernetes: Option<String>,
    /// Further API versions.
    pub api_versions: Vec<String>,
    /// Whether the chart is looked into.
    pub images: bool,
}

impl Default for ChartUse {
    fn default() -> Self {
        Self {
            layers: Vec::new(),
            sets: Vec::new(),
            release: None,
            namespace: None,
            kubernetes: None,
            api_versions: Vec::new(),
            images: true,
        }
    }
}

/// Values: a file, or what stands in the mirror file.
#[derive(Debug, Clone, PartialEq)]
pub enum Layer {
    /// File, as typed.
    File(String),
    /// Mapping.
    Set {
        /// Line of the mirror file.
        line: usize,
        /// The values.
        values: Value,
    },
}

/// One way in which a chart is used.
#[derive(Debug, Clone, PartialEq)]
pub struct ValueSetSource {
    /// Name, for people.
    pub name: String,
    /// Layers, lowest first.
    pub layers: Vec<Layer>,
}

/// How the cluster uses the chart of a Blueprint: one entry of `blueprints[].values`.
#[derive(Debug, Clone, PartialEq)]
pub struct BlueprintUse {
    /// Line of the mirror file.
    pub line: usize,
    /// Name, with or without `bp-`.
    pub blueprint: String,
    /// How.
    pub usage: ChartUse,
}

/// What holds for all charts that do not say it themselves.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rendering {
    /// Version of Kubernetes.
    pub kubernetes: Option<String>,
    /// API versions of the cluster beyond the built-in ones.
    pub api_versions: Vec<String>,
    /// Whether images of chart tests are wanted.
    pub tests: bool,
    /// Whether images that run when a release is removed are wanted.
    pub delete_hooks: bool,
}

impl Default for Rendering {
    fn default() -> Self {
        Self { kubernetes: None, api_versions: Vec::new(), tests: false, delete_hooks: true }
    }
}

/// What a person decided about something that may be an image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Decision {
    /// Line of the mirror file.
    pub line: usize,
    /// A name as it was found or normalised, or a pattern of `host/path`.
    pub about: String,
    /// Chart that it is limited to, with or without `bp-`.
    pub chart: Option<String>,
    /// The decision.
    pub answer: Answer,
}

/// Whether something that may be an image is wanted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// It is, in this role.
    Accept(Role),
    /// It is not, for this reason.
    Reject(String),
}

/// Reads one entry of `charts`.
pub(super) fn chart(clerk: &Clerk<'_>, node: &Node) -> Option<ChartSource> {
    if node.text().is_some() {
        let wish = ChartWish::Artifact(Wish::Reference(reference(clerk, node)?));
        return Some(ChartSource { line: node.line, wish, usage: ChartUse::default() });
    }
    if made::is_file(node) {
        let form = clerk.form(node, CHART_FILE)?;
        let usage = usage(clerk, &form);
        let Source { wish, .. } = made::chart_fields(clerk, node, &form)?;
        return Some(ChartSource { line: node.line, wish: ChartWish::Artifact(wish), usage });
    }
    let form = clerk.form(node, CHART)?;
    let usage = usage(clerk, &form);
    let wish = match (form.get("repo"), form.get("path")) {
        (None, None) => {
            if form.get("chart").or_else(|| form.get("version")).is_some() {
                clerk.note(node, "chart and version belong to a repo; ref, repository, list, repo or path is expected");
                return None;
            }
            let Source { wish, .. } = fields(clerk, node, &form)?;
            ChartWish::Artifact(wish)
        }
        (repo, path) => elsewhere(clerk, node, &form, (repo, path))?,
    };
    Some(ChartSource { line: node.line, wish, usage })
}

/// Reads the forms that are not those of other artifacts.
fn elsewhere(
    clerk: &Clerk<'_>,
    node: &Node,
    form: &Form<'_>,
    which: (Option<&Node>, Option<&Node>),
) -> Option<ChartWish> {
    let others = ARTIFACT.iter().find_map(|name| form.get(name));
    match (which, others) {
        ((Some(repo), None), None) => {
            let repository = address(clerk, repo);
            let (chart, version) = (form.need_text("chart"), form.text("version"));
            let chart = chart.filter(|name| is_name(clerk, node, name));
            Some(ChartWish::Repository { repository: repository?, chart: chart?, version })
        }
        ((None, Some(path)), None) if form.get("chart").is_none() && form.get("version").is_none() => {
            Some(ChartWish::Path(clerk.text(path)?))
        }
        _ => {
            clerk
                .note(node, "exactly one of ref, repository, list, path and repo (with chart and version) is expected");
            None
        }
    }
}

/// Reads the address of a Helm repository. A password has no place in it.
fn address(clerk: &Clerk<'_>, node: &Node) -> Option<String> {
    let text = clerk.text(node)?;
    let rest = ["https://", "http://", "oci://"].iter().find_map(|scheme| text.strip_prefix(scheme));
    let host = rest.and_then(|rest| rest.split('/').next()).filter(|host| !host.is_empty());
    let why = match host {
        None => "the address of a Helm repository begins with https:// or oci://",
        Some(host) if host.contains('@') => "credentials belong into the auth file, not into an address",
        Some(_) => return Some(text.trim_end_matches('/').to_owned()),
    };
    clerk.note(node, why);
    None
}

fn is_name(clerk: &Clerk<'_>, node: &Node, name: &str) -> bool {
    let good = name.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.'))
        && name.starts_with(|c: char| c.is_ascii_alphanumeric());
    if !good {
        clerk.note(node, format!("chart: {name:?} is no name of a chart"));
    }
    good
}

/// Reads how a chart is used.
fn usage(clerk: &Clerk<'_>, form: &Form<'_>) -> ChartUse {
    let sets = clerk.list(form.get("valueSets"), |node| {
        let form = clerk.form(node, VALUE_SET)?;
        Some(ValueSetSource { name: form.need_text("name")?, layers: layers(clerk, &form) })
    });
    let truth = |name| form.get(name).and_then(|node| truth(clerk, node));
    ChartUse {
        layers: layers(clerk, form),
        sets,
        release: form.text("release"),
        namespace: form.text("namespace"),
        kubernetes: form.get("kubernetes").and_then(|node| kubernetes(clerk, node)),
        api_versions: clerk.texts(form.get("apiVersions")),
        images: truth("images").unwrap_or(true),
    }
}

pub(super) fn truth(clerk: &Clerk<'_>, node: &Node) -> Option<bool> {
    clerk.word(node, &[("true", true), ("false", false)])
}

/// Files stand below what the mirror file says itself.
fn layers(clerk: &Clerk<'_>, form: &Form<'_>) -> Vec<Layer> {
    let mut layers: Vec<Layer> = clerk.texts(form.get("values")).into_iter().map(Layer::File).collect();
    if let Some(node) = form.get("set") {
        match to_json(node) {
            values @ Value::Object(_) => layers.push(Layer::Set { line: node.line, values }),
            _ => clerk.note(node, format!("set: expected a mapping of values, found {}", node.kind())),
        }
    }
    layers
}

/// Reads a version of Kubernetes: `1.34`, `v1.34.1`, `v1.34.1+k3s1`.
fn kubernetes(clerk: &Clerk<'_>, node: &Node) -> Option<String> {
    let text = clerk.text(node)?;
    let bare = text.strip_prefix('v').unwrap_or(&text);
    let number = bare.split(['+', '-']).next().unwrap_or_default();
    let parts: Vec<&str> = number.split('.').collect();
    let digits = |part: &&str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit());
    if node.is_number() {
        clerk.note(
            node,
            format!("kubernetes: {text} is a number in YAML, so 1.30 and 1.3 are the same; put it in quotes"),
        );
        return None;
    }
    if !(2..=3).contains(&parts.len()) || !parts.iter().all(digits) {
        clerk.note(node, format!("kubernetes: {text:?} is no version of Kubernetes: expected one as v1.34.1"));
        return None;
    }
    let patch = if parts.len() == 2 { ".0" } else { "" };
    let (number, rest) = bare.split_at(number.len());
    Some(format!("v{number}{patch}{rest}"))
}

/// Reads one entry of `blueprints[].values`.
pub(super) fn blueprint_use(clerk: &Clerk<'_>, node: &Node) -> Option<BlueprintUse> {
    let form = clerk.form(node, BLUEPRINT_USE)?;
    let usage = usage(clerk, &form);
    Some(BlueprintUse { line: node.line, blueprint: form.need_text("blueprint")?, usage })
}

/// Reads `rendering`.
pub(super) fn rendering(clerk: &Clerk<'_>, node: &Node) -> Option<Rendering> {
    let form = clerk.form(node, RENDERING)?;
    let truth = |name| form.get(name).and_then(|node| truth(clerk, node));
    Some(Rendering {
        kubernetes: form.get("kubernetes").and_then(|node| kubernetes(clerk, node)),
        api_versions: clerk.texts(form.get("apiVersions")),
        tests: truth("tests").unwrap_or(false),
        delete_hooks: truth("deleteHooks").unwrap_or(true),
    })
}

/// Reads one entry of `decisions`.
pub(super) fn decision(clerk: &Clerk<'_>, node: &Node) -> Option<Decision> {
    let form = clerk.form(node, DECISION)?;
    let role = form.get("as").map(|node| clerk.word(node, &[("image", Role::Image), ("artifact", Role::Artifact)]));
    let (about, answer) = match (form.text("accept"), form.text("reject"), role) {
        (Some(about), None, None) => (about, Answer::Accept(Role::Image)),
        (Some(about), None, Some(role)) => (about, Answer::Accept(role?)),
        (None, Some(about), None) => (about, Answer::Reject(form.need_text("reason")?)),
        (None, Some(_), Some(_)) => {
            clerk.note(node, "as belongs to accept");
            return None;
        }
        _ => {
            clerk.note(node, "exactly one of accept and reject is expected");
            return None;
        }
    };
    let decision = Decision { line: node.line, about, chart: form.text("chart"), answer };
    if let (Answer::Accept(_), false, Err(error)) =
        (&decision.answer, decision.is_pattern(), decision.about.parse::<ImageRef>())
    {
        clerk.note(form.get("accept").unwrap_or(node), format!("what is accepted has to be a reference: {error}"));
    }
    Some(decision)
}

impl Decision {
    /// Returns the name without a pattern, where it is a reference.
    pub fn reference(&self) -> Option<ImageRef> {
        if self.is_pattern() { None } else { self.about.parse().ok() }
    }

    /// Returns whether it is about a pattern.
    pub fn is_pattern(&self) -> bool {
        // A placeholder that nothing filled in is a text as it was found.
        let placeholder = ["${", "{{", "$("].iter().any(|open| self.about.contains(open));
        !placeholder && self.about.contains(['*', '?', '[', '{'])
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::document::mirror::MirrorManifest;
    use serde_json::json;

    fn read(body: &str) -> Result<MirrorManifest, String> {
        let text = format!("apiVersion: airlift/v1alpha1\nkind: Mirror\n{body}\n");
        MirrorManifest::read(text.as_bytes(), "m.yaml").map_err(|e| e.to_string())
    }

    fn good(body: &str) -> MirrorManifest {
        read(body).unwrap_or_else(|e| panic!("{e}"))
    }

    #[test]
    fn the_example_in_the_documentation_of_this_file_is_read() {
        let source = include_str!("charts.rs");
        let lines = source.lines().skip_while(|l| *l != "//! ```yaml").skip(1).take_while(|l| *l != "//! ```");
        let body: String = lines.map(|l| format!("{}\n", l.trim_start_matches("//! "))).collect();
        let mirror = good(&body);
        assert_eq!((mirror.charts.len(), mirror.decisions.len()), (5, 3));
        let press = &mirror.charts[1];
        let wish = ChartWish::Repository {
            repository: "https://charts.example.org".into(),
            chart: "press".into(),
            version: Some("^2".into()),
        };
        assert_eq!((&press.wish, &press.usage.layers[..]), (&wish, &[Layer::File("press.yaml".into())][..]));
        let kiosk = &mirror.charts[3];
        assert_eq!(kiosk.wish, ChartWish::Path("./charts/kiosk".into()));
        let Layer::Set { values, .. } = &kiosk.usage.layers[0] else { panic!() };
        assert_eq!(*values, json!({"web": {"enabled": true}}));
        assert_eq!(kiosk.usage.sets.iter().map(|set| set.name.as_str()).collect::<Vec<_>>(), ["east", "west"]);
        assert!(!mirror.charts[4].usage.images && kiosk.usage.images);
        assert_eq!(mirror.rendering.kubernetes.as_deref(), Some("v1.34.1"));
        assert_eq!(mirror.decisions[1].answer, Answer::Accept(Role::Artifact));
        assert_eq!(mirror.decisions[2].answer, Answer::Reject("name of a VM image".into()));
    }

    #[test]
    fn what_cannot_be_meant_is_refused_with_its_place() {
        for (body, said) in [
            ("charts: [{path: x, ref: y}]", "exactly one of ref, repository, list, path and repo"),
            ("charts: [{path: x, version: 1.0.0}]", "exactly one of"),
            ("charts: [{ref: x, version: 1.0.0}]", "chart and version belong to a repo"),
            ("charts: [{repo: 'https://h.example'}]", "the field \"chart\" is missing"),
            ("charts: [{repo: h.example, chart: x}]", "begins with https:// or oci://"),
            ("charts: [{repo: 'https://u:p@h.example', chart: x}]", "credentials belong into the auth file"),
            ("charts: [{repo: 'https://h.example', chart: ../x}]", "is no name of a chart"),
            ("charts: [{path: x, set: [a]}]", "set: expected a mapping of values, found a list"),
            ("charts: [{path: x, images: maybe}]", "\"maybe\" is none of: true, false"),
            ("charts: [{path: x, valueSets: [{values: y}]}]", "the field \"name\" is missing"),
            ("charts: [{path: x, valeus: y}]", "did you mean \"values\"?"),
            ("charts: [{path: x}]\nrendering: {kubernetes: 1.30}", "is a number in YAML"),
            ("charts: [{path: x}]\nrendering: {kubernetes: latest}", "is no version of Kubernetes"),
            ("charts: [{path: x}]\ndecisions: [{accept: y, reject: z}]", "exactly one of accept and reject"),
            ("charts: [{path: x}]\ndecisions: [{reject: z}]", "the field \"reason\" is missing"),
            ("charts: [{path: x}]\ndecisions: [{reject: z, reason: r, as: image}]", "as belongs to accept"),
            ("charts: [{path: x}]\ndecisions: [{accept: z, as: chart}]", "none of: image, artifact"),
            (
                "blueprints: [{catalogue: c, artifact: 'h.example/{chart}:{version}', roots: [a], values: [{set: {a: 1}}]}]",
                "the field \"blueprint\" is missing",
            ),
        ] {
            let error = read(body).expect_err(body);
            assert!(error.contains(said) && error.contains("m.yaml:"), "{body}: {error}");
        }
    }

    #[test]
    fn versions_of_kubernetes_are_brought_to_one_form() {
        for (typed, form) in [("v1.34.1", "v1.34.1"), ("'1.30'", "v1.30.0"), ("v1.31.4+k3s1", "v1.31.4+k3s1")] {
            let mirror = good(&format!("charts: [{{path: x}}]\nrendering: {{kubernetes: {typed}}}"));
            assert_eq!(mirror.rendering.kubernetes.as_deref(), Some(form));
        }
    }

    #[test]
    fn addresses_lose_their_last_slash_and_decisions_know_patterns() {
        let mirror = good(
            "charts: [{repo: 'oci://h.example/c/', chart: x}]\ndecisions: [{accept: 'h.example/**'}, {accept: 'x:1'}]",
        );
        assert!(
            matches!(&mirror.charts[0].wish, ChartWish::Repository { repository, .. } if repository == "oci://h.example/c")
        );
        assert!(mirror.decisions[0].is_pattern() && mirror.decisions[0].reference().is_none());
        assert_eq!(mirror.decisions[1].reference().unwrap().to_string(), "docker.io/library/x:1");
    }
}
