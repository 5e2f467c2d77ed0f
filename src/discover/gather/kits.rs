//! Flux folders, whose releases are charts with values, and Kustomize folders.

use super::blueprints::NamedKit;
use super::{Cause, Discovering};
use crate::discover::files::Named;
use crate::discover::flux::{self, FluxError, Ordered};
use crate::discover::kube::{self, Looking};
use crate::discover::kustomize::{self, Built, HelmChart, KustomizeError};
use crate::discover::{Problem, ValueSet};
use crate::document::lock::Role;
use crate::document::mirror::{ChartUse, FluxSource};

impl<'m> Discovering<'m> {
    /// Reads the kits of the mirror file.
    pub(super) fn kits(&self) -> Vec<NamedKit<'m>> {
        let kit = |(at, source): (usize, &'m FluxSource)| NamedKit {
            source,
            origin: format!("{}: flux[{at}]", self.place),
            kit: flux::read(source, self.base),
        };
        self.mirror.flux.iter().enumerate().map(kit).collect()
    }

    /// Follows the releases of a kit, and looks through everything else in it.
    pub(super) fn flux(&mut self, named: NamedKit<'_>) {
        let NamedKit { source, origin, kit } = named;
        self.line = source.line;
        self.out.findings.extend(kit.findings.iter().cloned());
        let order = flux::ordered(&kit, source, &origin, &mut self.narrowing);
        self.narrowed(&origin);
        let whole = kit.errors.is_empty();
        match order {
            Ok(order) if whole => {
                let origin = format!("{origin} (graph: kit)");
                order.iter().for_each(|ordered| self.release(ordered, &origin));
            }
            Ok(_) => {}
            Err(errors) => self.problems.extend(errors.into_iter().map(Problem::from)),
        }
        for error in kit.errors {
            match error {
                FluxError::File(error) | FluxError::Kustomize(KustomizeError::File(error)) => self.unreadable(error),
                other => self.problems.push(other.into()),
            }
        }
        if whole {
            kit.objects.iter().for_each(|object| self.object(object, &origin));
            kit.charts.into_iter().for_each(|chart| self.inflated(chart, &origin));
        }
    }

    /// Wants the chart of a release once for each path that leads to it.
    pub(super) fn release(&mut self, ordered: &Ordered<'_>, origin: &str) {
        let release = ordered.release;
        let (name, namespace) = (release.release.clone(), release.namespace.clone());
        let usage = ChartUse { release: Some(name), namespace: Some(namespace), ..ChartUse::default() };
        let Some(mut want) = self.chart_want(release.chart.clone(), &usage) else { return };
        if !release.layers.is_empty() {
            want.sets = vec![ValueSet { name: release.id.to_string(), layers: release.layers.clone() }];
        }
        let chart = release.chart.repository().map(|at| at.path().rsplit('/').next().unwrap_or_default());
        let path = ordered.paths.first().into_iter().flatten().cloned();
        self.excluded(&release.id.name, &[origin.to_owned()].into_iter().chain(path).collect::<Vec<_>>());
        let role = if chart.is_some_and(|name| name.starts_with("bp-")) { Role::Blueprint } else { Role::Chart };
        for path in &ordered.paths {
            let why = [origin.to_owned()].into_iter().chain(path.iter().cloned()).collect();
            self.chart(want.clone(), Cause { notes: release.notes.clone(), ..Cause::new(role, why) });
        }
    }

    /// Builds a folder as Kustomize would, and looks through what comes out.
    pub(super) fn kustomize(&mut self, path: &str, origin: &str) {
        let built = kustomize::build(&Named::new(self.base, path));
        self.out.findings.extend(built.findings);
        let whole = built.errors.is_empty();
        for error in built.errors {
            match error {
                KustomizeError::File(error) => self.unreadable(error),
                other => self.problems.push(other.into()),
            }
        }
        // Half a folder gives errors of its own, which would hide the ones that matter.
        if whole {
            built.objects.iter().for_each(|object| self.object(object, origin));
            built.charts.into_iter().for_each(|chart| self.inflated(chart, origin));
        }
    }

    fn object(&mut self, object: &Built, origin: &str) {
        let ignored = |text: &str| self.rules.ignored_text(text).map(str::to_owned);
        let looking = Looking { place: &object.file, rendered: false, ignored: &ignored, fields: &self.fields };
        let scan = kube::look(&object.node, &looking);
        self.scanned(scan, origin);
    }

    /// Wants a chart that a kustomization inflates.
    fn inflated(&mut self, chart: HelmChart, origin: &str) {
        let why = vec![origin.to_owned(), format!("{} helmCharts", chart.place)];
        let usage = ChartUse {
            release: chart.release,
            namespace: chart.namespace,
            kubernetes: chart.kubernetes,
            api_versions: chart.api_versions,
            ..ChartUse::default()
        };
        let Some(mut want) = self.chart_want(chart.at, &usage) else { return };
        if !chart.layers.is_empty() {
            want.sets = vec![ValueSet { name: String::new(), layers: chart.layers }];
        }
        self.chart(want, Cause::new(Role::Chart, why));
    }
}
