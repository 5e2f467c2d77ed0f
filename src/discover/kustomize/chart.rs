//! Charts that a kustomization inflates: `helmCharts`.

use super::beside;
use crate::discover::files::{FileError, Named};
use crate::discover::{ChartPlace, ValueLayer};
use crate::document::form::{Clerk, Form};
use crate::document::yaml::{self, Node};
use crate::document::yaml_value::to_json;
use crate::model::Repository;

/// Fields of an entry. Those that change no image are passed over.
const CHART: &[&str] = &[
    "name",
    "version",
    "repo",
    "releaseName",
    "namespace",
    "nameTemplate",
    "valuesFile",
    "additionalValuesFiles",
    "valuesInline",
    "valuesMerge",
    "includeCRDs",
    "skipHooks",
    "skipTests",
    "apiVersions",
    "kubeVersion",
    "debug",
    "devel",
];

/// One entry of `helmCharts`.
#[derive(Debug, Clone)]
pub struct HelmChart {
    /// File and line.
    pub place: String,
    /// Where the chart is.
    pub at: ChartPlace,
    /// Layers of values, lowest first.
    pub layers: Vec<ValueLayer>,
    /// Name of the release.
    pub release: Option<String>,
    /// Namespace of the release.
    pub namespace: Option<String>,
    /// Version of Kubernetes.
    pub kubernetes: Option<String>,
    /// Further API versions.
    pub api_versions: Vec<String>,
}

/// Reads one entry of the kustomization `file`, whose charts lie below `home`.
pub(super) fn read(clerk: &Clerk<'_>, node: &Node, file: &Named, home: &str) -> Option<HelmChart> {
    let form = clerk.form(node, CHART)?;
    let name = form.need_text("name")?;
    let place = format!("{}:{}", file.shown, node.line);
    Some(HelmChart {
        at: whence(clerk, &form, &file.parent().join(home).join(&name), &name)?,
        layers: layers(clerk, &form, file, &place)?,
        place,
        release: form.text("releaseName"),
        namespace: form.text("namespace"),
        kubernetes: form.text("kubeVersion"),
        api_versions: clerk.texts(form.get("apiVersions")),
    })
}

/// Says where the chart is; a folder beside the kustomization comes before a repository, as Kustomize has it.
fn whence(clerk: &Clerk<'_>, form: &Form<'_>, local: &Named, name: &str) -> Option<ChartPlace> {
    let version = form.text("version");
    let Some(repo) = form.get("repo").filter(|_| !local.path.is_dir()) else {
        if !local.path.is_dir() {
            clerk.note(form.need("name")?, format!("the chart {name} has no repo, and there is no {}", local.shown));
        }
        return Some(ChartPlace::Path(local.clone()));
    };
    let text = clerk.text(repo)?;
    let address = text.trim_end_matches('/');
    match address.strip_prefix("oci://") {
        Some(place) => {
            let (host, path) =
                place.split_once('/').map_or((place, name.to_owned()), |(h, p)| (h, format!("{p}/{name}")));
            let repository = Repository::new(host, &path).map_err(|error| clerk.note(repo, error.to_string())).ok()?;
            Some(ChartPlace::Oci { repository, version })
        }
        None => Some(ChartPlace::Http { repository: address.to_owned(), name: name.to_owned(), version }),
    }
}

/// Reads a file of values beside the kustomization `file`.
fn values(file: &Named, path: &str) -> Result<ValueLayer, FileError> {
    let named = beside(&file.parent(), path)?;
    let node = yaml::document(&named.read_text()?, &named.shown)?;
    Ok(ValueLayer { place: named.shown, values: to_json(&node) })
}

/// Reads the layers of values, lowest first.
fn layers(clerk: &Clerk<'_>, form: &Form<'_>, file: &Named, place: &str) -> Option<Vec<ValueLayer>> {
    let mut files: Vec<String> = form.text("valuesFile").into_iter().collect();
    files.extend(clerk.texts(form.get("additionalValuesFiles")));
    let mut from_files = Vec::new();
    for path in files {
        match values(file, &path) {
            Ok(layer) => from_files.push(layer),
            Err(error) => {
                clerk.note(form.need("name")?, error.to_string());
                return None;
            }
        }
    }
    let inline = form.get("valuesInline");
    let inline = inline.map(|node| ValueLayer { place: format!("{place} valuesInline"), values: to_json(node) });
    let order = form.get("valuesMerge").map_or(Some("override"), |node| {
        clerk.word(node, &[("override", "override"), ("replace", "replace"), ("merge", "merge")])
    });
    Some(match (order?, inline) {
        ("replace", Some(inline)) => vec![inline],
        ("merge", Some(inline)) => [inline].into_iter().chain(from_files).collect(),
        (_, inline) => from_files.into_iter().chain(inline).collect(),
    })
}
