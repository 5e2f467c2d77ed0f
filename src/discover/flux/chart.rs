//! From a release to its chart: through the repository that it names.

use super::kit::{Known, ReleaseNode};
use super::{FluxError, ObjectName};
use crate::discover::chart::ChartPlace;
use crate::discover::looks;
use crate::discover::select::{Version, VersionRange};
use crate::document::yaml::Node;
use crate::model::evidence::FindingClass;
use crate::model::{Finding, ImageRef, Repository};

const STAND_IN: &str = "name the file that it stands in under objects of this entry";
const BY_PATH: &str = "name the chart's folder under charts, and this release under exclude";

/// Chart and version, as a release or a HelmChart object says it, and where.
struct Wanted<'n> {
    chart: &'n Node,
    version: Option<&'n Node>,
    source: &'n Node,
}

/// Finds the chart of a release.
pub(super) fn find(
    release: &ReleaseNode<'_>,
    known: &Known<'_>,
    findings: &mut Vec<Finding>,
) -> Result<ChartPlace, FluxError> {
    if let Some(reference) = release.spec(&["chartRef"]) {
        return referred(release, reference, known, findings);
    }
    let Some(spec) = release.spec(&["chart", "spec"]) else {
        let why = "neither spec.chart.spec nor spec.chartRef says which chart it is".to_owned();
        return Err(FluxError::Field { place: release.at(release.built.node.line, "spec"), why });
    };
    from_spec(release, spec, "spec.chart.spec", known, findings)
}

fn from_spec(
    release: &ReleaseNode<'_>,
    spec: &Node,
    path: &str,
    known: &Known<'_>,
    findings: &mut Vec<Finding>,
) -> Result<ChartPlace, FluxError> {
    let need = |key: &str| {
        let why = || FluxError::Field { place: release.at(spec.line, path), why: format!("{key} is missing") };
        spec.get(key).ok_or_else(why)
    };
    let wanted = Wanted { chart: need("chart")?, version: spec.get("version"), source: need("sourceRef")? };
    if let Some(files) = spec.get("valuesFiles") {
        let what = "valuesFiles of a chart";
        return Err(unsupported(release.at(files.line, path), what, BY_PATH));
    }
    let name = release.named(wanted.source).ok_or_else(|| FluxError::Field {
        place: release.at(wanted.source.line, &format!("{path}.sourceRef")),
        why: "name is missing".to_owned(),
    })?;
    match wanted.source.get("kind").and_then(Node::text) {
        Some("HelmRepository") => from_repository(release, &wanted, &name, known, findings),
        Some("GitRepository" | "Bucket") => {
            let what = "a chart from a GitRepository or Bucket";
            Err(unsupported(release.at(wanted.source.line, &format!("{path}.sourceRef")), what, BY_PATH))
        }
        kind => {
            let why = format!("kind {:?} is none of HelmRepository, GitRepository, Bucket", kind.unwrap_or_default());
            Err(FluxError::Field { place: release.at(wanted.source.line, &format!("{path}.sourceRef")), why })
        }
    }
}

fn unsupported(place: String, what: &'static str, advice: &'static str) -> FluxError {
    FluxError::Unsupported { place, what, advice }
}

/// Follows `chartRef`.
fn referred(
    release: &ReleaseNode<'_>,
    reference: &Node,
    known: &Known<'_>,
    findings: &mut Vec<Finding>,
) -> Result<ChartPlace, FluxError> {
    let place = release.at(reference.line, "spec.chartRef");
    let kind = reference.get("kind").and_then(Node::text).unwrap_or_default();
    let Some(name) = release.named(reference) else {
        return Err(FluxError::Field { place, why: "name is missing".to_owned() });
    };
    let object = match kind {
        "OCIRepository" | "HelmChart" => source(kind, &name, known, &place)?,
        _ => {
            let why = format!("kind {kind:?} is none of OCIRepository, HelmChart");
            return Err(FluxError::Field { place, why });
        }
    };
    match (kind, object.get("spec")) {
        ("OCIRepository", Some(spec)) => from_artifact(release, spec, &name),
        (_, Some(spec)) => from_spec(release, spec, "spec of its HelmChart", known, findings),
        (_, None) => Err(FluxError::Field { place, why: format!("{kind} {name} has no spec") }),
    }
}

fn source<'b>(kind: &str, name: &ObjectName, known: &Known<'b>, place: &str) -> Result<&'b Node, FluxError> {
    let found = known.iter().find(|((other, id), _)| *other == kind && id == name);
    let absent = || {
        let same_kind: Vec<String> = known.keys().filter(|(k, _)| *k == kind).map(|(_, id)| id.to_string()).collect();
        let same_kind: Vec<&str> = same_kind.iter().map(String::as_str).collect();
        let what = format!("{kind} {name}{}", super::near(&name.to_string(), &same_kind));
        FluxError::Absent { place: place.to_owned(), what, advice: STAND_IN }
    };
    found.map(|(_, built)| &built.node).ok_or_else(absent)
}

/// Returns a text that decides what is fetched; a placeholder in it must have a value.
fn decided<'n>(release: &ReleaseNode<'_>, node: &'n Node, path: &str) -> Result<&'n str, FluxError> {
    let place = || release.at(node.line, path);
    let Some(text) = node.text().filter(|text| !text.is_empty()) else {
        return Err(FluxError::Field { place: place(), why: format!("expected a text, found {}", node.kind()) });
    };
    match looks::placeholder(text) {
        Some(found) => {
            let found = found.to_owned();
            Err(FluxError::Placeholder { place: place(), text: text.to_owned(), found })
        }
        None => Ok(text),
    }
}

fn from_repository(
    release: &ReleaseNode<'_>,
    wanted: &Wanted<'_>,
    name: &ObjectName,
    known: &Known<'_>,
    findings: &mut Vec<Finding>,
) -> Result<ChartPlace, FluxError> {
    let object = source("HelmRepository", name, known, &release.at(wanted.source.line, "spec.chart.spec.sourceRef"))?;
    let chart = decided(release, wanted.chart, "spec.chart.spec.chart")?;
    let version = version(release, wanted.version, findings)?;
    let Some(url) = object.at(&["spec", "url"]) else {
        let why = format!("HelmRepository {name} has no spec.url");
        return Err(FluxError::Field { place: release.at(wanted.source.line, "spec.chart.spec.sourceRef"), why });
    };
    let url = decided(release, url, &format!("(HelmRepository/{name} spec.url)"))?.trim_end_matches('/');
    let Some(place) = url.strip_prefix("oci://") else {
        let version = version.map(|version| version.text);
        return Ok(ChartPlace::Http { repository: url.to_owned(), name: chart.to_owned(), version });
    };
    artifact(&format!("{place}/{chart}"), version)
        .map_err(|why| FluxError::Field { place: release.at(wanted.chart.line, "spec.chart.spec.chart"), why })
}

/// Version as written, and whether it is one version.
struct Said {
    text: String,
    exact: bool,
}

fn version(
    release: &ReleaseNode<'_>,
    node: Option<&Node>,
    findings: &mut Vec<Finding>,
) -> Result<Option<Said>, FluxError> {
    let path = "spec.chart.spec.version";
    let Some(node) = node else {
        findings.push(moving(&release.at(release.built.node.line, path), "no version is given"));
        return Ok(None);
    };
    let (text, place) = (decided(release, node, path)?, release.at(node.line, path));
    if node.is_number() {
        let why = format!("{text} is a number in YAML, so 1.10 and 1.1 are the same; put it in quotes");
        return Err(FluxError::Field { place, why });
    }
    let exact = text.parse::<Version>().is_ok();
    if !exact {
        text.parse::<VersionRange>().map_err(|source| FluxError::Version { place: place.clone(), source })?;
        findings.push(moving(&place, &format!("{text:?} is a range of versions")));
    }
    Ok(Some(Said { text: text.to_owned(), exact }))
}

fn moving(place: &str, what: &str) -> Finding {
    let what =
        format!("{what}: the highest that fits now goes into the lock, and the cluster may take a higher one later");
    Finding::warning(FindingClass::Config, place, what).with_hint("state one version")
}

/// Names the chart in a registry.
fn artifact(path: &str, version: Option<Said>) -> Result<ChartPlace, String> {
    let (host, rest) = path.split_once('/').unwrap_or((path, ""));
    let repository = Repository::new(host, rest).map_err(|error| error.to_string())?;
    match version {
        Some(Said { text, exact: true }) => {
            let tag = text.replace('+', "_").parse().map_err(|error| format!("{error}"))?;
            Ok(ChartPlace::Artifact(ImageRef { repository, tag: Some(tag), digest: None }))
        }
        other => Ok(ChartPlace::Oci { repository, version: other.map(|said| said.text) }),
    }
}

/// Reads an OCIRepository: digest before range before tag, as Flux has it.
fn from_artifact(release: &ReleaseNode<'_>, spec: &Node, name: &ObjectName) -> Result<ChartPlace, FluxError> {
    let place = || release.at(spec.line, &format!("(OCIRepository/{name})"));
    let field = |path: &[&str]| match spec.at(path) {
        Some(node) => decided(release, node, &format!("(OCIRepository/{name} spec.{})", path.join("."))).map(Some),
        None => Ok(None),
    };
    let wrong = |why: String| FluxError::Field { place: place(), why };
    let url = field(&["url"])?.ok_or_else(|| wrong("spec.url is missing".to_owned()))?;
    let bare =
        url.strip_prefix("oci://").ok_or_else(|| wrong(format!("spec.url {url:?} does not begin with oci://")))?;
    let (digest, range, tag) = (field(&["ref", "digest"])?, field(&["ref", "semver"])?, field(&["ref", "tag"])?);
    if field(&["ref", "semverFilter"])?.is_some() {
        return Err(unsupported(place(), "semverFilter of an OCIRepository", "name the chart by its tag"));
    }
    if let (None, Some(range)) = (digest, range) {
        range.parse::<VersionRange>().map_err(|source| FluxError::Version { place: place(), source })?;
        return artifact(bare, Some(Said { text: range.to_owned(), exact: false })).map_err(wrong);
    }
    let text = match (digest, tag) {
        (Some(digest), _) => format!("{bare}@{digest}"),
        (None, Some(tag)) => format!("{bare}:{tag}"),
        (None, None) => format!("{bare}:latest"),
    };
    text.parse().map(ChartPlace::Artifact).map_err(|error| wrong(format!("{error}")))
}

/// Lists what a release says that would change what it runs, and is not done here.
pub(super) fn refused(release: &ReleaseNode<'_>) -> Vec<FluxError> {
    let mut errors = Vec::new();
    for (at, renderer) in release.spec(&["postRenderers"]).map(Node::items).unwrap_or_default().iter().enumerate() {
        let Some(kustomize) = renderer.get("kustomize") else { continue };
        for field in kustomize.entries().iter().filter(|field| changes_images(&field.key, &field.value)) {
            let place = release.at(field.line, &format!("spec.postRenderers[{at}].kustomize.{}", field.key));
            let advice =
                "set the image by the chart's values, or name it under extraImages and this release under exclude";
            errors.push(unsupported(place, "a change of the rendered chart", advice));
        }
    }
    errors
}

fn changes_images(field: &str, value: &Node) -> bool {
    match field {
        "images" => !value.items().is_empty(),
        _ => crate::discover::kube::mentions_image(value),
    }
}
