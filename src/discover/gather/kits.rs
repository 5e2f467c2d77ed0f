//! Releases of Flux folders: each is a chart with its values.

use super::{Cause, Gather};
use crate::discover::flux::{self, Ordered};
use crate::discover::{ChartWant, Problem, RenderSetting, ValueSet};
use crate::document::lock::Role;
use crate::document::mirror::FluxSource;

impl Gather<'_> {
    /// Follows the releases of a folder, and looks through everything else in it.
    pub(super) fn flux(&mut self, source: &FluxSource, origin: &str) {
        let kit = flux::read(source, self.base);
        self.out.findings.extend(kit.findings.iter().cloned());
        let order = flux::ordered(&kit, source, origin);
        let whole = kit.errors.is_empty();
        match order {
            Ok(order) if whole => {
                order.into_iter().for_each(|ordered| self.release(ordered, origin));
            }
            Ok(_) => {}
            Err(errors) => self.problems.extend(errors.into_iter().map(Problem::from)),
        }
        self.problems.extend(kit.errors.into_iter().map(Problem::from));
        if whole {
            kit.objects.iter().for_each(|object| self.object(object, origin));
            kit.charts.into_iter().for_each(|chart| self.inflated(chart, origin));
        }
    }

    /// Wants the chart of a release once for each path that leads to it.
    fn release(&mut self, ordered: Ordered<'_>, origin: &str) {
        let release = ordered.release;
        let sets = match &release.layers[..] {
            [] => Vec::new(),
            layers => vec![ValueSet { name: release.id.to_string(), layers: layers.to_vec() }],
        };
        let name =
            release.chart.repository().map(|repository| repository.path().rsplit('/').next().unwrap_or_default());
        let role = if name.is_some_and(|name| name.starts_with("bp-")) { Role::Blueprint } else { Role::Chart };
        for path in ordered.paths {
            let why = [format!("{origin} (graph: kit)")].into_iter().chain(path).collect();
            let want = ChartWant {
                place: release.chart.clone(),
                sets: sets.clone(),
                release: Some(release.release.clone()),
                namespace: release.namespace.clone(),
                setting: RenderSetting::default(),
            };
            self.chart(want, Cause { notes: release.notes.clone(), ..Cause::new(role, why) });
        }
    }
}
