//! Which releases are wanted, each behind what it depends on.

use super::{FluxError, Kit, ObjectName, Release};
use crate::discover::narrowing::Narrowing;
use crate::discover::select::Pattern;
use crate::document::mirror::FluxSource;
use std::collections::{BTreeMap, BTreeSet};

/// A release with every path that leads to it.
#[derive(Debug, Clone)]
pub struct Ordered<'k> {
    /// The release.
    pub release: &'k Release,
    /// Paths from the folder down; each step names a release.
    pub paths: Vec<Vec<String>>,
}

/// What follows from a kit and what is wanted of it.
struct Order<'k> {
    by_name: BTreeMap<&'k ObjectName, &'k Release>,
    elsewhere: BTreeSet<&'k ObjectName>,
    order: Vec<&'k ObjectName>,
    paths: BTreeMap<&'k ObjectName, Vec<Vec<String>>>,
    entered: BTreeSet<&'k ObjectName>,
    errors: Vec<FluxError>,
}

struct Frame<'k> {
    release: &'k Release,
    path: Vec<String>,
    next: usize,
}

/// Returns the releases that the entry `place` of the mirror file wants, dependencies before dependents.
///
/// Every dependency of every release is checked, also of those that are not wanted. Patterns choose among names.
pub fn ordered<'k>(
    kit: &'k Kit,
    said: &FluxSource,
    place: &str,
    narrowing: &mut Narrowing,
) -> Result<Vec<Ordered<'k>>, Vec<FluxError>> {
    let mut order = Order {
        by_name: kit.releases.iter().map(|release| (&release.id, release)).collect(),
        elsewhere: kit.elsewhere.iter().collect(),
        order: Vec::new(),
        paths: BTreeMap::new(),
        entered: BTreeSet::new(),
        errors: Vec::new(),
    };
    order.check(kit);
    let mut roots = order.roots(kit, said, place);
    kit.releases.iter().for_each(|release| narrowing.hear(&release.id.name));
    roots.retain(|release| narrowing.keeps(&release.id.name));
    for root in roots {
        order.add(root);
    }
    if !order.errors.is_empty() {
        return Err(order.errors);
    }
    let Order { by_name, mut paths, order, .. } = order;
    let ready =
        |id: &ObjectName| Some(Ordered { release: by_name.get(id)?, paths: paths.remove(id).unwrap_or_default() });
    Ok(order.into_iter().filter_map(ready).collect())
}

impl<'k> Order<'k> {
    /// Every release that is waited for must be there.
    fn check(&mut self, kit: &'k Kit) {
        let names: Vec<String> = self.by_name.keys().map(ToString::to_string).collect();
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        for release in &kit.releases {
            for (on, line) in &release.depends {
                if self.by_name.contains_key(on) || self.elsewhere.contains(on) {
                    continue;
                }
                let file = release.place.rsplit_once(':').map_or(&*release.place, |(file, _)| file);
                let (by, on) = (release.id.clone(), on.clone());
                let near = super::near(&on.to_string(), &names);
                self.errors.push(FluxError::NoDependency { place: format!("{file}:{line}"), by, on, near });
            }
        }
    }

    fn roots(&mut self, kit: &'k Kit, said: &FluxSource, place: &str) -> Vec<&'k Release> {
        let mut patterns = |texts: &[String]| -> Vec<Pattern> {
            let read = texts.iter().map(|text| text.parse::<Pattern>());
            let wrong = |source| FluxError::Version { place: place.to_owned(), source };
            read.filter_map(|read| read.map_err(|error| self.errors.push(wrong(error))).ok()).collect()
        };
        let (include, exclude) = (patterns(&said.include), patterns(&said.exclude));
        let mut roots: Vec<&'k Release> = Vec::new();
        for name in &said.releases {
            let is = |release: &&Release| release.id.name == *name || release.id.to_string() == *name;
            let found: Vec<&Release> = kit.releases.iter().filter(is).collect();
            if found.is_empty() {
                let names: Vec<&str> = kit.releases.iter().map(|release| release.id.name.as_str()).collect();
                let near = super::near(name, &names);
                let (place, folder) = (place.to_owned(), said.path.clone());
                self.errors.push(FluxError::NoRelease { place, folder, name: name.clone(), near });
            }
            roots.extend(found);
        }
        if said.releases.is_empty() {
            roots = kit.releases.iter().collect();
        }
        let fits =
            |patterns: &[Pattern], release: &Release| patterns.iter().any(|pattern| pattern.names(&release.id.name));
        roots.retain(|release| (include.is_empty() || fits(&include, release)) && !fits(&exclude, release));
        roots
    }

    /// Adds a release and what it depends on, depth first in the order of `dependsOn`.
    fn add(&mut self, root: &'k Release) {
        let mut stack = Vec::new();
        let step = vec![format!("{} HelmRelease {}", root.place, root.id)];
        stack.extend(self.enter(root, step, &stack));
        while let Some(frame) = stack.last_mut() {
            let release = frame.release;
            let Some((on, _)) = release.depends.get(frame.next) else {
                self.order.push(&release.id);
                stack.pop();
                continue;
            };
            frame.next += 1;
            let Some(next) = self.by_name.get(on).copied() else { continue };
            let step = format!("{} HelmRelease {} (dependsOn of {})", next.place, next.id, release.id);
            let path = frame.path.iter().cloned().chain([step]).collect();
            let entered = self.enter(next, path, &stack);
            stack.extend(entered);
        }
    }

    fn enter(&mut self, release: &'k Release, path: Vec<String>, stack: &[Frame<'k>]) -> Option<Frame<'k>> {
        if let Some(from) = stack.iter().position(|frame| frame.release.id == release.id) {
            let circle = stack[from..].iter().map(|frame| frame.release.id.to_string());
            self.errors.push(FluxError::Circle(circle.chain([release.id.to_string()]).collect()));
            return None;
        }
        self.paths.entry(&release.id).or_default().push(path.clone());
        self.entered.insert(&release.id).then_some(Frame { release, path, next: 0 })
    }
}
