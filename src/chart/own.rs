//! The own renderer: what templates see of a chart, and the order in which they run. Follows Helm's engine.

use super::coalesce::{Nulls, coalesce};
use super::enabled::settle;
use super::functions::find;
use super::load::Chart;
use super::metadata::{ChartKind, Metadata};
use super::render::{RenderError, Rendered, RenderedFile, Renderer, Request, check};
use super::schema;
use super::template::{Engine, Fail, List, ListKind, TableKind, Trouble, Value, parse};
use super::values::together;
use std::collections::BTreeMap;
use std::rc::Rc;
use std::thread;

/// The instant that templates take for now: the start of 2024, always.
const NOW: i64 = 1_704_067_200;
/// Version of Helm that charts are told; some ask for at least 3.x.
const HELM: &str = "v3.22.0";
/// Stack of the thread that renders; templates within templates use it up to their limit.
const STACK: usize = 128 << 20;

/// Versions of interfaces that Helm takes for known, whatever version of Kubernetes is asked for.
const KNOWN: &str = "v1 admissionregistration.k8s.io/v1 admissionregistration.k8s.io/v1alpha1 \
    admissionregistration.k8s.io/v1beta1 internal.apiserver.k8s.io/v1alpha1 apps/v1 apps/v1beta1 apps/v1beta2 \
    authentication.k8s.io/v1 authentication.k8s.io/v1alpha1 authentication.k8s.io/v1beta1 authorization.k8s.io/v1 \
    authorization.k8s.io/v1beta1 autoscaling/v1 autoscaling/v2 batch/v1 batch/v1beta1 certificates.k8s.io/v1 \
    certificates.k8s.io/v1beta1 certificates.k8s.io/v1alpha1 coordination.k8s.io/v1alpha2 coordination.k8s.io/v1beta1 \
    coordination.k8s.io/v1 discovery.k8s.io/v1 discovery.k8s.io/v1beta1 events.k8s.io/v1 events.k8s.io/v1beta1 \
    extensions/v1beta1 flowcontrol.apiserver.k8s.io/v1 flowcontrol.apiserver.k8s.io/v1beta1 \
    flowcontrol.apiserver.k8s.io/v1beta2 flowcontrol.apiserver.k8s.io/v1beta3 lifecycle.k8s.io/v1alpha1 \
    networking.k8s.io/v1 networking.k8s.io/v1beta1 node.k8s.io/v1 node.k8s.io/v1alpha1 node.k8s.io/v1beta1 policy/v1 \
    policy/v1beta1 rbac.authorization.k8s.io/v1 rbac.authorization.k8s.io/v1beta1 rbac.authorization.k8s.io/v1alpha1 \
    resource.k8s.io/v1 resource.k8s.io/v1beta2 resource.k8s.io/v1beta1 resource.k8s.io/v1alpha3 \
    scheduling.k8s.io/v1alpha3 scheduling.k8s.io/v1beta1 scheduling.k8s.io/v1 storage.k8s.io/v1beta1 storage.k8s.io/v1 \
    storage.k8s.io/v1alpha1 storagemigration.k8s.io/v1 storagemigration.k8s.io/v1beta1 apiextensions.k8s.io/v1beta1 \
    apiextensions.k8s.io/v1";

/// Renders charts without any program. What is made up (passwords, certificates) is the same in every run, `now` is the
/// start of 2024; `docs/adr/0011` has the differences from Helm.
#[derive(Debug, Clone, Copy, Default)]
pub struct OwnRenderer;

impl Renderer for OwnRenderer {
    fn render(&self, chart: &Chart, request: &Request<'_>) -> Result<Rendered, RenderError> {
        check(chart, request)?;
        let cause = |cause| RenderError::Local { what: "start a thread to render in".to_owned(), cause };
        thread::scope(|scope| {
            let work = thread::Builder::new().stack_size(STACK).spawn_scoped(scope, || render(chart, request));
            match work.map_err(cause)?.join() {
                Ok(rendered) => rendered,
                Err(panic) => std::panic::resume_unwind(panic),
            }
        })
    }

    fn name(&self) -> String {
        format!("airlift {}", env!("CARGO_PKG_VERSION"))
    }
}

fn render(chart: &Chart, request: &Request<'_>) -> Result<Rendered, RenderError> {
    let name = chart.metadata.name.as_str();
    let wrong = |why| RenderError::Values { chart: name.to_owned(), why };
    let given = together(request.values);
    let chart = &settle(chart, &given).map_err(wrong)?;
    let values = coalesce(chart, &given, Nulls::Remove).map_err(wrong)?;
    schema::check(chart, &values).map_err(wrong)?;
    let mut templates = BTreeMap::new();
    let mut files = Vec::new();
    let top = Top { release: release(request), capabilities: capabilities(request) };
    let values = as_values(&Value::from_json(&serde_json::Value::Object(values)));
    top.collect(chart, Within { path: name.to_owned(), is_root: true, values }, &mut templates, &mut files);
    let rendered = run(&templates).map_err(|fail| told(name, fail))?;
    files.extend(rendered.into_iter().filter(|file| !file.text.trim().is_empty()));
    files.sort_by(|a, b| a.template.cmp(&b.template));
    Ok(Rendered { files })
}

/// A template with what it sees.
struct Prepared {
    text: String,
    scope: Value,
    folder: String,
}

/// What every chart of a release sees.
struct Top {
    release: Value,
    capabilities: Value,
}

/// Where a chart stands.
struct Within {
    path: String,
    is_root: bool,
    values: Value,
}

impl Top {
    /// Collects the templates of a chart and of those below it; returns what the templates of this chart see.
    fn collect(
        &self,
        chart: &Chart,
        within: Within,
        into: &mut BTreeMap<String, Prepared>,
        crds: &mut Vec<RenderedFile>,
    ) -> Value {
        let mut below = BTreeMap::new();
        for part in &chart.dependencies {
            let name = part.metadata.name.as_str();
            let values = match &within.values {
                Value::Map(table) => Value::lookup(table, name),
                _ => Value::Nil,
            };
            let within =
                Within { path: format!("{}/charts/{name}", within.path), is_root: false, values: as_values(&values) };
            below.insert(Rc::from(name), self.collect(part, within, into, crds));
        }
        let files = chart.free_files().map(|(path, content)| (Rc::from(path), Value::Bytes(content.into())));
        let scope = Value::map(BTreeMap::from([
            ("Chart".into(), chart_record(&chart.metadata, within.is_root)),
            ("Files".into(), Value::table(files.collect(), TableKind::Files)),
            ("Release".into(), self.release.clone()),
            ("Capabilities".into(), self.capabilities.clone()),
            ("Values".into(), within.values),
            ("Subcharts".into(), Value::map(below)),
        ]));
        for (path, content) in chart.templates() {
            let name = path.rsplit('/').next().unwrap_or(path);
            if chart.is_library() && !name.starts_with('_') {
                continue;
            }
            let text = String::from_utf8_lossy(content).into_owned();
            let folder = format!("{}/templates", within.path);
            into.insert(format!("{}/{path}", within.path), Prepared { text, scope: scope.clone(), folder });
        }
        let crd = |(path, content): (&str, &[u8])| RenderedFile {
            template: format!("{}/{path}", within.path),
            text: String::from_utf8_lossy(content).into_owned(),
        };
        crds.extend(chart.crds().map(crd));
        scope
    }
}

/// Parses and runs the templates, deepest ones first, as Helm does: so names of charts above win.
fn run(templates: &BTreeMap<String, Prepared>) -> Result<Vec<RenderedFile>, Fail> {
    let mut engine = Engine::new(NOW);
    let mut order: Vec<&String> = templates.keys().collect();
    order.sort_by_key(|path| (path.matches('/').count(), path.as_str()));
    order.reverse();
    for path in &order {
        let file: Rc<str> = path.as_str().into();
        let failed = |line, why| Fail { template: file.clone(), line, trouble: Trouble::Wrong(why) };
        let parsed = parse(&templates[*path].text, &find).map_err(|(line, why)| failed(line, why))?;
        engine.scope.add(&file, parsed);
    }
    let mut files = Vec::new();
    for path in order {
        let name = path.rsplit('/').next().unwrap_or(path);
        if name.starts_with('_') {
            continue;
        }
        let text = run_one(&mut engine, path, &templates[path])?;
        if name != "NOTES.txt" {
            files.push(RenderedFile { template: path.clone(), text });
        }
    }
    Ok(files)
}

fn run_one(engine: &mut Engine, path: &str, prepared: &Prepared) -> Result<String, Fail> {
    let about = [("Name", path), ("BasePath", prepared.folder.as_str())];
    let about = about.map(|(key, value)| (Rc::from(key), Value::text(value)));
    if let Value::Map(table) = &prepared.scope {
        table.entries.borrow_mut().insert("Template".into(), Value::map(about.into()));
    }
    engine.running = path.into();
    let text = engine.call(path, &prepared.scope).map_err(|trouble| match trouble {
        Trouble::Inside(fail) => *fail,
        trouble => Fail { template: path.into(), line: 1, trouble },
    })?;
    // As Helm cuts a file into documents, blanks at its end are not part of a literal text.
    let text = text.replace("<no value>", "");
    Ok(format!("{}\n", text.trim_end()))
}

/// Puts a failure into words.
fn told(chart: &str, fail: Fail) -> RenderError {
    let (chart, template, line) = (chart.to_owned(), fail.template.to_string(), fail.line);
    match fail.trouble {
        Trouble::Refused(words) => RenderError::Refused { chart, template, line, words },
        Trouble::Limit(why) => RenderError::Limit { chart, template, line, why },
        Trouble::Wrong(why) => RenderError::Template { chart, template, line, why },
        Trouble::Inside(inner) => told(&chart, *inner),
    }
}

/// Returns the values of a chart: a dictionary that also has the methods of Helm's.
fn as_values(value: &Value) -> Value {
    match value {
        Value::Map(_) => value.clone(),
        _ => Value::table(BTreeMap::new(), TableKind::Values),
    }
}

fn release(request: &Request<'_>) -> Value {
    Value::map(BTreeMap::from([
        ("Name".into(), Value::text(request.release)),
        ("Namespace".into(), Value::text(request.namespace)),
        ("IsUpgrade".into(), request.is_upgrade.into()),
        ("IsInstall".into(), (!request.is_upgrade).into()),
        ("Revision".into(), Value::Int(1)),
        ("Service".into(), Value::text("Helm")),
    ]))
}

fn capabilities(request: &Request<'_>) -> Value {
    let kubernetes = &request.kubernetes;
    let text = |text: String| Value::from(text);
    let version = vec![
        ("Version", "Version", text(format!("v{kubernetes}"))),
        ("Major", "Major", text(kubernetes.major().to_string())),
        ("Minor", "Minor", text(kubernetes.minor().to_string())),
    ];
    let helm = vec![
        ("Version", "version", Value::text(HELM)),
        ("GitCommit", "git_commit", Value::text("")),
        ("GitTreeState", "git_tree_state", Value::text("")),
        ("GoVersion", "go_version", Value::text("go1.26")),
    ];
    let known = KNOWN.split_whitespace().chain(request.api_versions.iter().map(String::as_str));
    let known = List { items: known.map(Value::text).collect(), kind: ListKind::Versions };
    Value::record(
        "*chartutil.Capabilities",
        vec![
            ("KubeVersion", "KubeVersion", Value::record("chartutil.KubeVersion", version)),
            ("APIVersions", "APIVersions", Value::List(Rc::new(known))),
            ("HelmVersion", "HelmVersion", Value::record("version.BuildInfo", helm)),
        ],
    )
}

fn chart_record(about: &Metadata, is_root: bool) -> Value {
    let text = |text: &str| Value::text(text);
    let maintainer = |person: &BTreeMap<String, String>| {
        let field = |key: &str| Value::text(person.get(key).map_or("", String::as_str));
        let fields =
            vec![("Name", "name", field("name")), ("Email", "email", field("email")), ("URL", "url", field("url"))];
        Value::record("*chart.Maintainer", fields)
    };
    let annotations = about.annotations.iter().map(|(key, value)| (Rc::from(key.as_str()), Value::text(value)));
    let dependencies = about.dependencies.iter().map(|dependency| {
        Value::record(
            "*chart.Dependency",
            vec![
                ("Name", "name", text(&dependency.name)),
                ("Version", "version", text(&dependency.version)),
                ("Repository", "repository", text(&dependency.repository)),
                ("Condition", "condition", text(&dependency.condition)),
                ("Tags", "tags", Value::texts(&dependency.tags)),
                ("Enabled", "enabled", true.into()),
                ("Alias", "alias", text(&dependency.alias)),
            ],
        )
    });
    let kind = if about.kind == ChartKind::Library { "library" } else { "application" };
    Value::record(
        "struct { chart.Metadata; IsRoot bool }",
        vec![
            ("Name", "name", text(&about.name)),
            ("Home", "home", text(&about.home)),
            ("Sources", "sources", Value::texts(&about.sources)),
            ("Version", "version", text(&about.version)),
            ("Description", "description", text(&about.description)),
            ("Keywords", "keywords", Value::texts(&about.keywords)),
            ("Maintainers", "maintainers", Value::list(about.maintainers.iter().map(maintainer).collect())),
            ("Icon", "icon", text(&about.icon)),
            ("APIVersion", "apiVersion", text(&about.api_version)),
            ("AppVersion", "appVersion", text(&about.app_version)),
            ("Deprecated", "deprecated", about.deprecated.into()),
            ("Annotations", "annotations", Value::table(annotations.collect(), TableKind::Texts)),
            ("KubeVersion", "kubeVersion", text(&about.kube_version)),
            ("Dependencies", "dependencies", Value::list(dependencies.collect())),
            ("Type", "type", text(kind)),
            ("IsRoot", "IsRoot", is_root.into()),
        ],
    )
}
