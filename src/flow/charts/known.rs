//! What a chart's files say without being rendered: lists of its authors, values and templates that nothing runs, and
//! what its templates ask about the cluster.

use crate::chart::Chart;
use crate::discover::sighting::{Certainty, Sighting};
use crate::discover::{ValueLayer, declared, unused};
use crate::model::{Repository, limits};
use std::collections::BTreeSet;

/// What a chart asks about the cluster.
#[derive(Debug, Default)]
pub struct Known {
    /// Whether a template asks for the version of Kubernetes.
    pub asks_for_kubernetes: bool,
    /// Whether a template asks if this is an upgrade.
    pub asks_for_upgrades: bool,
    /// API versions that templates ask for by name.
    pub api_versions: BTreeSet<String>,
}

impl Known {
    /// Looks through the templates of a chart and of the charts below it.
    pub fn of(chart: &Chart) -> Self {
        let mut known = Self::default();
        known.take(chart, 0);
        known
    }

    fn take(&mut self, chart: &Chart, depth: usize) {
        for text in
            chart.files().filter(|(path, _)| path.starts_with("templates/")).filter_map(|(_, bytes)| text(bytes))
        {
            self.asks_for_kubernetes |= text.contains("KubeVersion");
            self.asks_for_upgrades |= text.contains("IsUpgrade");
            self.api_versions.extend(asked(text));
        }
        if depth < limits::CHART_NESTING {
            chart.dependencies.iter().for_each(|below| self.take(below, depth + 1));
        }
    }

    /// Returns what the chart's files name beyond `seen`, which the `templates` that gave something led to.
    pub fn beyond<'l>(
        &self,
        chart: &Chart,
        layers: impl Iterator<Item = &'l ValueLayer>,
        (seen, templates): (&[Sighting], &BTreeSet<String>),
    ) -> Vec<Sighting> {
        let places = |seen: &[Sighting]| -> BTreeSet<Repository> {
            seen.iter().filter_map(|seen| Some(seen.reference.as_ref()?.repository.clone())).collect()
        };
        let mut named: Vec<Sighting> =
            layers.flat_map(|layer| unused::in_values(&layer.values, &layer.place)).collect();
        let mut listed = Vec::new();
        let mut files = Files { templates, named: &mut named, listed: &mut listed };
        files.take(chart, (&chart.metadata.name, true), 0);
        let (running, off) = (places(seen), places(&named));
        let fresh = |seen: &Sighting| seen.reference.as_ref().is_some_and(|own| !running.contains(&own.repository));
        for sighting in
            listed.iter_mut().filter(|seen| seen.reference.as_ref().is_some_and(|own| off.contains(&own.repository)))
        {
            sighting.certainty = Certainty::Out;
            "it is listed, and belongs to a part that is switched off".clone_into(&mut sighting.remark);
        }
        named.into_iter().chain(listed).filter(fresh).collect()
    }
}

/// Goes through the files of a chart and of those below it.
struct Files<'a> {
    templates: &'a BTreeSet<String>,
    named: &'a mut Vec<Sighting>,
    listed: &'a mut Vec<Sighting>,
}

impl Files<'_> {
    /// `path` is where the chart stands in the one that was rendered; `counts` is whether all around it is switched on.
    fn take(&mut self, chart: &Chart, (path, counts): (&str, bool), depth: usize) {
        self.named.extend(unused::in_values(chart.values(), &format!("{path}/values.yaml")));
        for (name, bytes) in chart.files() {
            let Some(text) = text(bytes) else { continue };
            if name.starts_with("templates/") {
                self.named.extend(unused::in_template(text, &format!("{path}/{name}")));
            } else if counts && declared::is_list(name) {
                self.listed.extend(declared::list(text, &format!("{path}/{name}")));
            }
        }
        if counts {
            let annotations = chart.metadata.annotations.iter().map(|(key, text)| (key.as_str(), text.as_str()));
            self.listed.extend(declared::annotations(annotations, &format!("{path}/Chart.yaml")));
        }
        if depth >= limits::CHART_NESTING {
            return;
        }
        for below in &chart.dependencies {
            let aliases = chart.metadata.dependencies.iter().filter(|d| d.name == below.metadata.name);
            let mut names: Vec<&str> = aliases.map(crate::chart::Dependency::key).collect();
            names.push(&below.metadata.name);
            let on = names.iter().map(|name| format!("{path}/charts/{name}")).find(|path| self.gave(path));
            let name = on.clone().unwrap_or_else(|| format!("{path}/charts/{}", below.metadata.name));
            self.take(below, (&name, counts && on.is_some()), depth + 1);
        }
    }

    /// Returns whether a chart at `path` gave something.
    fn gave(&self, path: &str) -> bool {
        let inside = format!("{path}/");
        self.templates.range(inside.clone()..).next().is_some_and(|template| template.starts_with(&inside))
    }
}

fn text(bytes: &[u8]) -> Option<&str> {
    std::str::from_utf8(bytes).ok()
}

/// Returns the API versions that a template asks for: the text behind `APIVersions.Has`.
fn asked(template: &str) -> Vec<String> {
    let parts = template.split("APIVersions.Has").skip(1);
    let name = |rest: &str| {
        let rest = rest.trim_start_matches([' ', '(']);
        let rest = rest.strip_prefix(['"', '`'])?;
        let name = rest.split(['"', '`']).next()?;
        let good =
            name.contains('/') && name.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'/' | b'-'));
        good.then(|| name.to_owned())
    };
    parts.filter_map(name).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn api_versions_that_templates_ask_for_are_found() {
        let text = "{{ if .Capabilities.APIVersions.Has \"a.example/v1\" }}{{ if (.Capabilities.APIVersions.Has (`b/v1/Kind`)) }}\
                    {{ .Capabilities.APIVersions.Has $x }}{{ .Capabilities.APIVersions.Has \"v1\" }}";
        assert_eq!(asked(text), ["a.example/v1", "b/v1/Kind"]);
    }
}
