//! What Blueprints need, all the way down: each once, dependencies before dependents.
//!
//! Depth-first in the order of `depends`, which gives a stable order. A catalogue offers one version of each
//! Blueprint; it is taken when every range of every requirer holds, for the version in the Blueprint's manifest
//! and for its chart's. Everything that stands in the way is reported, each with the chain that asked for it.

use super::blueprint::{Blueprint, BlueprintError, Catalogue, Dependency, canonical};
use super::select::VersionRange;
use std::collections::{BTreeMap, BTreeSet};

/// Why a Blueprint's needs cannot be met.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ClosureError {
    /// The catalogue does not have it.
    #[error("{name} is not in the catalogue {catalogue}; wanted by {}", arrows(.chain))]
    Missing {
        /// Name in the common form.
        name: String,
        /// Catalogue as the person called it.
        catalogue: String,
        /// Who wants it, from the mirror file down.
        chain: Vec<String>,
    },
    /// The catalogue has it, but it cannot be read.
    #[error("{name} cannot be used: {why}; wanted by {}", arrows(.chain))]
    Broken {
        /// Name in the common form.
        name: String,
        /// Reasons.
        why: String,
        /// Who wants it, from the mirror file down.
        chain: Vec<String>,
    },
    /// The version that is there is not in the range.
    #[error("{name} {range} is wanted, {what} {version} is there ({place}); wanted by {}", arrows(.chain))]
    Unsatisfied {
        /// Name in the common form.
        name: String,
        /// Range as written.
        range: String,
        /// `version` or `chart version`.
        what: &'static str,
        /// Version at hand.
        version: String,
        /// File that states the version.
        place: String,
        /// Who wants it, from the mirror file down.
        chain: Vec<String>,
    },
    /// It needs itself.
    #[error("Blueprints need each other in a circle: {}", arrows(.0))]
    Cycle(Vec<String>),
}

fn arrows(links: &[String]) -> String {
    links.join(" → ")
}

/// Why a Blueprint is in the closure: one path from the mirror file down, and what was said on the last step.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Need {
    /// Path.
    pub why: Vec<String>,
    /// `when: …`, `alias: …`.
    pub notes: Vec<String>,
    /// Versions that will do; absent: any.
    pub range: Option<VersionRange>,
}

/// Dependency that was left out because of its condition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LeftOut {
    /// Who has the dependency.
    pub by: String,
    /// What was left out.
    pub name: String,
    /// Condition as written.
    pub when: String,
}

/// Follows dependencies through a catalogue.
pub struct Closure<'c> {
    catalogue: &'c Catalogue,
    place: &'c str,
    exclude_conditional: bool,
    order: Vec<&'c Blueprint>,
    needs: BTreeMap<&'c str, Vec<Need>>,
    entered: BTreeSet<&'c str>,
    errors: Vec<ClosureError>,
    left_out: Vec<LeftOut>,
}

/// What a finished closure holds.
pub struct Closed<'c> {
    /// Blueprints, dependencies before dependents, each with every path that leads to it.
    pub order: Vec<(&'c Blueprint, Vec<Need>)>,
    /// What stands in the way.
    pub errors: Vec<ClosureError>,
    /// What was left out because of a condition.
    pub left_out: Vec<LeftOut>,
}

/// Blueprint whose dependencies are being followed.
struct Frame<'c> {
    blueprint: &'c Blueprint,
    why: Vec<String>,
    next: usize,
}

impl<'c> Closure<'c> {
    /// Begins with an empty closure over the catalogue that a person calls `place`.
    pub const fn new(catalogue: &'c Catalogue, place: &'c str, exclude_conditional: bool) -> Self {
        Self {
            catalogue,
            place,
            exclude_conditional,
            order: Vec::new(),
            needs: BTreeMap::new(),
            entered: BTreeSet::new(),
            errors: Vec::new(),
            left_out: Vec::new(),
        }
    }

    /// Adds the Blueprint `name`, which the entry `origin` of the mirror file wants in `range`, and all it needs.
    pub fn add(&mut self, name: &str, range: Option<&VersionRange>, origin: &str) {
        let name = canonical(name);
        let label = labelled(&name, range);
        let mut stack: Vec<Frame<'c>> = Vec::new();
        let root = Need { why: vec![origin.to_owned(), label], notes: Vec::new(), range: range.cloned() };
        stack.extend(self.enter(&name, range, root, &stack));
        // A stack of our own: a chain of Blueprints may be longer than the program's stack is deep.
        while let Some(frame) = stack.last_mut() {
            let blueprint = frame.blueprint;
            let Some(dependency) = blueprint.depends.get(frame.next) else {
                self.order.push(blueprint);
                stack.pop();
                continue;
            };
            frame.next += 1;
            if let Some(need) = self.need(blueprint, dependency, &frame.why) {
                let entered = self.enter(&dependency.name, dependency.range.as_ref(), need, &stack);
                stack.extend(entered);
            }
        }
    }

    /// Ends with what was gathered.
    pub fn close(mut self) -> Closed<'c> {
        let mut needs = self.needs;
        let order = self.order.drain(..).map(|b| (b, needs.remove(b.name.as_str()).unwrap_or_default())).collect();
        Closed { order, errors: self.errors, left_out: self.left_out }
    }

    fn need(&mut self, by: &Blueprint, dependency: &Dependency, why: &[String]) -> Option<Need> {
        if let (Some(when), true) = (&dependency.when, self.exclude_conditional) {
            self.left_out.push(LeftOut { by: by.name.clone(), name: dependency.name.clone(), when: when.clone() });
            return None;
        }
        let step = step(by, dependency);
        let when = dependency.when.iter().map(|when| format!("optional, when: {when}"));
        let alias = dependency.alias.iter().map(|alias| format!("alias: {alias}"));
        let (why, notes) = (why.iter().cloned().chain([step]).collect(), when.chain(alias).collect());
        Some(Need { why, notes, range: dependency.range.clone() })
    }

    /// Notes a need; returns the frame to follow when the Blueprint comes up for the first time.
    fn enter(
        &mut self,
        name: &str,
        range: Option<&VersionRange>,
        need: Need,
        stack: &[Frame<'c>],
    ) -> Option<Frame<'c>> {
        let chain = || need.why.clone();
        let blueprint = match self.catalogue.get(name) {
            None => {
                let (name, catalogue) = (name.to_owned(), self.place.to_owned());
                self.errors.push(ClosureError::Missing { name, catalogue, chain: chain() });
                return None;
            }
            Some(Err(errors)) => {
                let why = errors.iter().map(BlueprintError::to_string).collect::<Vec<_>>().join("; ");
                // What names every path by itself is said once.
                let whole = errors.iter().any(BlueprintError::names_every_path);
                let known =
                    |error: &ClosureError| matches!(error, ClosureError::Broken { name: known, .. } if known == name);
                if !(whole && self.errors.iter().any(known)) {
                    self.errors.push(ClosureError::Broken { name: name.to_owned(), why, chain: chain() });
                }
                return None;
            }
            Some(Ok(blueprint)) => blueprint,
        };
        if let Some(from) = stack.iter().position(|frame| frame.blueprint.name == name) {
            let circle = stack[from..].iter().map(|frame| frame.blueprint.name.clone());
            self.errors.push(ClosureError::Cycle(circle.chain([name.to_owned()]).collect()));
            return None;
        }
        self.check(blueprint, range, &need);
        let why = need.why.clone();
        self.needs.entry(&blueprint.name).or_default().push(need);
        self.entered.insert(&blueprint.name).then_some(Frame { blueprint, why, next: 0 })
    }

    /// The range must hold for both versions: one decides what installs, the other what is in the registry.
    fn check(&mut self, blueprint: &Blueprint, range: Option<&VersionRange>, need: &Need) {
        let Some(range) = range else { return };
        let both = [
            ("version", &blueprint.version, &blueprint.file),
            ("chart version", &blueprint.chart.version, &blueprint.chart.place),
        ];
        let distinct = if blueprint.version == blueprint.chart.version { 1 } else { 2 };
        for (what, version, place) in both.into_iter().take(distinct).filter(|(_, v, _)| !range.holds(v)) {
            self.errors.push(ClosureError::Unsatisfied {
                name: blueprint.name.clone(),
                range: range.to_string(),
                what,
                version: version.to_string(),
                place: place.clone(),
                chain: need.why.clone(),
            });
        }
    }
}

/// Names the step from a Blueprint to one that it needs.
pub(super) fn step(by: &Blueprint, dependency: &Dependency) -> String {
    let label = labelled(&dependency.name, dependency.range.as_ref());
    format!("{label} (needed by {} {})", by.name, by.chart.version)
}

/// Names a Blueprint with the range in which it is wanted.
pub(super) fn labelled(name: &str, range: Option<&VersionRange>) -> String {
    range.map_or_else(|| name.to_owned(), |range| format!("{name} {range}"))
}
