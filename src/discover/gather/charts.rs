//! Charts of a mirror file: where each is, and how the cluster uses it.

use super::super::chart::{ChartPlace, ChartWant, RenderSetting, ValueLayer, ValueSet};
use super::super::files::Named;
use super::super::tags::TagSelection;
use super::super::{Found, PlatformRule, Problem, Want, note};
use super::{Cause, Discovering};
use crate::document::lock::Role;
use crate::document::mirror::{ChartSource, ChartUse, ChartWish, Layer, ValueSetSource, Wish};
use crate::document::yaml::{self, Reading};
use crate::document::yaml_value::to_json;
use crate::model::ImageRef;
use serde_json::{Map, Value};

/// Namespace of a release that nobody named one for.
const NAMESPACE: &str = "default";

impl Discovering<'_> {
    /// Wants the charts of one entry.
    pub(super) fn chart_source(&mut self, source: &ChartSource, origin: String) {
        let cause = Cause::new(Role::Chart, vec![origin]);
        for (place, line) in self.places(source) {
            let Some(chart) = self.chart_want(place, &source.usage) else { return };
            let mut cause = cause.clone();
            cause.why.extend(line);
            self.chart(chart, cause);
        }
    }

    /// Returns where the charts of an entry are, each with the line of a list that names it.
    fn places(&mut self, source: &ChartSource) -> Vec<(ChartPlace, Option<String>)> {
        let alone = |place| vec![(place, None)];
        let artifact = |reference| ChartPlace::Artifact(reference);
        match &source.wish {
            ChartWish::Path(path) => alone(ChartPlace::Path(Named::new(self.base, path))),
            ChartWish::Artifact(Wish::Reference(reference)) => alone(artifact(reference.clone())),
            ChartWish::Artifact(Wish::List(path)) => {
                self.listed(path).into_iter().map(|(reference, line)| (artifact(reference), Some(line))).collect()
            }
            ChartWish::Artifact(Wish::Made { source, made }) => {
                alone(ChartPlace::File { source: source.clone(), made: made.clone() })
            }
            ChartWish::Artifact(Wish::Tags { repository, tags }) => {
                let name = |tag: &crate::model::Tag| ImageRef {
                    repository: repository.clone(),
                    tag: Some(tag.clone()),
                    digest: None,
                };
                let mut places: Vec<_> = tags.names.iter().map(|tag| (artifact(name(tag)), None)).collect();
                match TagSelection::new(tags) {
                    Ok(selection) if selection.is_empty() => {}
                    Ok(selection) => {
                        places.push((ChartPlace::Tags { repository: repository.clone(), selection }, None));
                    }
                    Err(error) => self.select(source.line, error),
                }
                places
            }
            ChartWish::Repository { repository, chart, version } => {
                let place = self.in_repository(repository, chart, version.clone());
                place.map_or_else(Vec::new, alone)
            }
        }
    }

    fn in_repository(&mut self, repository: &str, chart: &str, version: Option<String>) -> Option<ChartPlace> {
        let Some(host) = repository.strip_prefix("oci://") else {
            return Some(ChartPlace::Http { repository: repository.to_owned(), name: chart.to_owned(), version });
        };
        let text = format!("{host}/{chart}");
        match text.parse::<ImageRef>() {
            Ok(reference) => Some(ChartPlace::Oci { repository: reference.repository, version }),
            Err(error) => {
                let (place, name) = (self.place.to_owned(), chart.to_owned());
                self.problems.push(Problem::Artifact { place, name, why: error.to_string(), text });
                None
            }
        }
    }

    /// Adds one chart, unless a rule leaves it out.
    pub(super) fn chart(&mut self, mut chart: ChartWant, mut cause: Cause<'_>) {
        if let ChartPlace::Artifact(reference) | ChartPlace::File { source: reference, .. } = &chart.place
            && let Some(reason) = self.rules.ignored_text(&reference.to_string())
        {
            let place = cause.why.pop().unwrap_or_default();
            self.out.findings.push(note(place, format!("{reference} is ignored: {reason}")));
            return;
        }
        if let Some(repository) = chart.place.repository().cloned() {
            if let Some(reason) = self.rules.ignored_repository(&repository) {
                let place = cause.why.remove(0);
                self.out.findings.push(note(place, format!("{repository} is ignored: {reason}")));
                return;
            }
            let Some(now) = self.substituted(&repository, &mut cause) else { return };
            chart.place.move_to(now);
        }
        let Cause { role, why, notes, seen, .. } = cause;
        let platforms = PlatformRule::All;
        self.out.found.push(Found { want: Want::Chart(Box::new(chart)), role, why, notes, platforms, seen });
    }

    /// Says how the chart at `place` is used; nothing where a file of values cannot be read.
    pub(super) fn chart_want(&mut self, place: ChartPlace, usage: &ChartUse) -> Option<ChartWant> {
        let base = self.layers(&usage.layers)?;
        let sets = match &usage.sets[..] {
            [] if base.is_empty() => Vec::new(),
            [] => vec![ValueSet { name: String::new(), layers: base }],
            sets => sets.iter().map(|set| self.value_set(&base, set)).collect::<Option<_>>()?,
        };
        let rendering = &self.mirror.rendering;
        let mut api_versions = rendering.api_versions.clone();
        api_versions.extend(usage.api_versions.iter().cloned());
        api_versions.sort();
        api_versions.dedup();
        let kubernetes = usage.kubernetes.clone().or_else(|| rendering.kubernetes.clone());
        Some(ChartWant {
            place,
            sets,
            release: usage.release.clone(),
            namespace: usage.namespace.clone().unwrap_or_else(|| NAMESPACE.to_owned()),
            setting: RenderSetting { kubernetes, api_versions },
            images: usage.images,
        })
    }

    fn value_set(&mut self, base: &[ValueLayer], set: &ValueSetSource) -> Option<ValueSet> {
        let mut layers = base.to_vec();
        layers.extend(self.layers(&set.layers)?);
        Some(ValueSet { name: set.name.clone(), layers })
    }

    fn layers(&mut self, layers: &[Layer]) -> Option<Vec<ValueLayer>> {
        let read: Vec<Option<ValueLayer>> = layers.iter().map(|layer| self.layer(layer)).collect();
        read.into_iter().collect()
    }

    fn layer(&mut self, layer: &Layer) -> Option<ValueLayer> {
        let path = match layer {
            Layer::Set { line, values } => {
                return Some(ValueLayer { place: format!("{}:{line}: set", self.place), values: values.clone() });
            }
            Layer::File(path) => path,
        };
        match values(&Named::new(self.base, path)) {
            Ok(layer) => Some(layer),
            Err(problem) => {
                match *problem {
                    Problem::File(error) => self.unreadable(error),
                    other => self.problems.push(other),
                }
                None
            }
        }
    }
}

/// Reads a file of values.
fn values(file: &Named) -> Result<ValueLayer, Box<Problem>> {
    let text = file.read_text().map_err(|error| Box::new(error.into()))?;
    let paper = |error| Box::new(Problem::from(super::super::files::FileError::from(error)));
    let document = yaml::documents_as(Reading::Lenient, &text, &file.shown).map_err(paper)?.next();
    let node = document.transpose().map_err(paper)?;
    let place = file.shown.clone();
    match node.as_ref().map(to_json) {
        Some(values @ Value::Object(_)) => Ok(ValueLayer { place, values }),
        None | Some(Value::Null) => Ok(ValueLayer { place, values: Value::Object(Map::new()) }),
        Some(_) => {
            let found = node.as_ref().map_or("nothing", yaml::Node::kind);
            Err(Box::new(Problem::Values { place, found }))
        }
    }
}
