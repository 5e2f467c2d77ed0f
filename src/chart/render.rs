//! What is asked of a renderer, and what comes out.

use super::load::Chart;
use serde_json::Value;
use std::fmt;
use std::str::FromStr;

/// Version of Kubernetes that a chart is rendered for, as Helm shows it to a chart: numbers only, so
/// `v1.31.4+k3s1` is 1.31.4.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct KubernetesVersion(Vec<u64>);

impl KubernetesVersion {
    /// Returns the first number.
    pub fn major(&self) -> u64 {
        self.0.first().copied().unwrap_or_default()
    }

    /// Returns the second number.
    pub fn minor(&self) -> u64 {
        self.0.get(1).copied().unwrap_or_default()
    }
}

impl FromStr for KubernetesVersion {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || format!("{text:?} is no version of Kubernetes, expected one like 1.31.4");
        let numbers = text.trim().strip_prefix('v').unwrap_or(text.trim());
        let end = numbers.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(numbers.len());
        let numbers = numbers[..end].split('.').map(|part| part.parse().map_err(|_| wrong()));
        let numbers = numbers.collect::<Result<Vec<u64>, _>>()?;
        if (2..=4).contains(&numbers.len()) { Ok(Self(numbers)) } else { Err(wrong()) }
    }
}

impl fmt::Display for KubernetesVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let numbers: Vec<String> = self.0.iter().map(u64::to_string).collect();
        f.write_str(&numbers.join("."))
    }
}

/// What a chart is rendered with.
#[derive(Debug, Clone)]
pub struct Request<'a> {
    /// Name of the release.
    pub release: &'a str,
    /// Namespace of the release.
    pub namespace: &'a str,
    /// Sets of values, each an object; later ones lie over earlier ones, and a null removes a value of the chart.
    pub values: &'a [Value],
    /// Version of Kubernetes.
    pub kubernetes: KubernetesVersion,
    /// Versions of interfaces that the cluster has beyond those that Helm knows, such as
    /// `monitoring.coreos.com/v1` or `monitoring.coreos.com/v1/ServiceMonitor`.
    pub api_versions: &'a [String],
    /// Whether an upgrade is rendered instead of a first installation.
    pub is_upgrade: bool,
}

/// One template, rendered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RenderedFile {
    /// Where it comes from: `press/charts/db/templates/x.yaml`.
    pub template: String,
    /// YAML documents, as the template wrote them.
    pub text: String,
}

/// What a chart installs: templates and `crds/` of every chart that counts, hooks and tests among them. Notes for
/// people, partials and templates that gave nothing are left out.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Rendered {
    /// In the order of the paths.
    pub files: Vec<RenderedFile>,
}

/// Turns a chart into what it installs.
pub trait Renderer {
    /// Renders `chart` as `request` says, with no network. The same input gives the same output, but for what a
    /// program outside makes up at random.
    fn render(&self, chart: &Chart, request: &Request<'_>) -> Result<Rendered, RenderError>;

    /// Says who renders, with a version, for the record.
    fn name(&self) -> String;

    /// Returns whether values are checked against all that the `values.schema.json` of a chart may say.
    fn checks_values(&self) -> bool {
        false
    }
}

/// Why a chart does not render.
#[derive(Debug, thiserror::Error)]
pub enum RenderError {
    /// The chart itself refuses: `required` or `fail`. It usually lacks a value.
    #[error("chart {chart} refuses at {template}:{line}: {words}")]
    Refused {
        /// Name of the chart that was rendered.
        chart: String,
        /// Template that refuses.
        template: String,
        /// Line from 1.
        line: usize,
        /// The chart's own words.
        words: String,
    },
    /// A template cannot be read or evaluated.
    #[error("chart {chart} does not render, {template}:{line}: {why}")]
    Template {
        /// Name of the chart that was rendered.
        chart: String,
        /// Template with the mistake.
        template: String,
        /// Line from 1.
        line: usize,
        /// Reason in words.
        why: String,
    },
    /// The values do not go with the chart.
    #[error("chart {chart}: {why}")]
    Values {
        /// Name of the chart.
        chart: String,
        /// Reason in words.
        why: String,
    },
    /// The chart is not for this version of Kubernetes.
    #[error("chart {chart} is for Kubernetes {wanted}, not for {found}")]
    Kubernetes {
        /// Name of the chart.
        chart: String,
        /// Range that it asks for.
        wanted: String,
        /// Version that it was rendered for.
        found: String,
    },
    /// A dependency that is switched on is not under `charts/`.
    #[error("chart {chart} needs {missing}, which is not under its charts/")]
    Missing {
        /// Name of the chart.
        chart: String,
        /// Names and versions.
        missing: String,
    },
    /// It costs more than a chart may.
    #[error("chart {chart} does not end within the limits, {template}:{line}: {why}")]
    Limit {
        /// Name of the chart.
        chart: String,
        /// Template that was evaluated.
        template: String,
        /// Line from 1.
        line: usize,
        /// Which limit.
        why: String,
    },
    /// The `helm` program failed.
    #[error("{program} does not render chart {chart}: {words}")]
    Program {
        /// Program with its version.
        program: String,
        /// Name of the chart.
        chart: String,
        /// What the program said.
        words: String,
    },
    /// The `helm` program cannot be run, or its scratch folder not be written.
    #[error("cannot {what}: {cause}")]
    Local {
        /// What was tried.
        what: String,
        /// What the system said.
        cause: std::io::Error,
    },
}

/// Refuses a chart that lacks a dependency that is switched on, or that is for another Kubernetes.
pub(super) fn check(chart: &Chart, request: &Request<'_>) -> Result<(), RenderError> {
    let name = || chart.metadata.name.clone();
    let missing = chart.missing_dependencies_with(request.values);
    if !missing.is_empty() {
        let missing: Vec<String> = missing.iter().map(|d| format!("{} {}", d.name, d.version)).collect();
        return Err(RenderError::Missing { chart: name(), missing: missing.join(", ") });
    }
    let (wanted, found) = (&chart.metadata.kube_version, format!("v{}", request.kubernetes));
    if !wanted.is_empty() && !super::version::in_range(wanted, &found) {
        return Err(RenderError::Kubernetes { chart: name(), wanted: wanted.clone(), found });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_version_of_kubernetes_loses_what_a_distribution_adds() {
        for (typed, shown) in [("v1.31.4+k3s1", "1.31.4"), ("1.31", "1.31"), ("1.29.0-gke.1", "1.29.0")] {
            assert_eq!(typed.parse::<KubernetesVersion>().unwrap().to_string(), shown);
        }
        for wrong in ["", "1", "one.two", "1..2", "v"] {
            assert!(wrong.parse::<KubernetesVersion>().is_err(), "{wrong:?}");
        }
    }
}
