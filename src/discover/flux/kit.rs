//! Reads a folder and sorts its objects: releases, what they refer to, and everything else.

use super::follow::Following;
use super::substitute::Substitution;
use super::{FluxError, ObjectName, Release, chart, values};
use crate::discover::files::{self, Named};
use crate::discover::kustomize::{self, Built, HelmChart, is_kustomization};
use crate::document::mirror::FluxSource;
use crate::document::yaml::Node;
use crate::model::Finding;
use crate::model::evidence::FindingClass;
use crate::model::fault::printable;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

const HELM: &str = "helm.toolkit.fluxcd.io/";
const SOURCE: &str = "source.toolkit.fluxcd.io/";

/// What a folder holds.
#[derive(Debug, Default)]
pub struct Kit {
    /// Releases, in the order of the files.
    pub releases: Vec<Release>,
    /// Objects that run or name something by themselves.
    pub objects: Vec<Built>,
    /// Charts that its kustomizations inflate.
    pub charts: Vec<HelmChart>,
    /// Releases that the cluster has beside the folder.
    pub elsewhere: Vec<ObjectName>,
    /// What a person should know.
    pub findings: Vec<Finding>,
    /// What stands in the way.
    pub errors: Vec<FluxError>,
}

/// Objects by group, kind and names.
pub(super) type Known<'b> = BTreeMap<(&'b str, ObjectName), &'b Built>;

/// Reads what `said` names; relative paths in it are meant from `base`.
pub fn read(said: &FluxSource, base: &Path) -> Kit {
    let mut kit = Kit::default();
    let folder = Named::new(base, &said.path);
    let mut objects = folder_objects(&folder, &mut kit);
    let mut beside = stand_ins(said, base, &mut kit);
    let mut substitution = Substitution::new(&said.substitute);
    objects.iter_mut().chain(&mut beside).for_each(|built| substitution.object(built));
    kit.placeholders(&substitution, said, &folder);
    let objects = Following::new(said, base, &folder, &beside).all(objects, &mut kit);
    if kit.errors.is_empty() {
        kit.sort(objects, &beside);
    }
    kit
}

/// Returns the objects that count: those of the kustomization, or all where there is none.
fn folder_objects(folder: &Named, kit: &mut Kit) -> Vec<Built> {
    if is_kustomization(folder).is_some() {
        let built = kustomize::build(folder);
        kit.findings.extend(built.findings);
        kit.errors.extend(built.errors.into_iter().map(FluxError::from));
        kit.charts = built.charts;
        return built.objects;
    }
    // Flux writes a kustomization of its own that lists every file, where a folder has none.
    let found = match folder.path.is_dir() {
        true => files::find(Path::new(""), &folder.path.to_string_lossy(), &[".yaml", ".yml"]).map(|files| {
            let shown =
                |file: Named| file.path.strip_prefix(&folder.path).map(|rest| folder.join(&rest.to_string_lossy()));
            files.into_iter().filter_map(|file| shown(file).ok()).collect()
        }),
        false => Ok(vec![folder.clone()]),
    };
    read_all(found.map_err(FluxError::from), kit)
}

fn stand_ins(said: &FluxSource, base: &Path, kit: &mut Kit) -> Vec<Built> {
    let files = said.objects.iter().map(|path| Named::new(base, path)).collect();
    read_all(Ok(files), kit)
}

fn read_all(files: Result<Vec<Named>, FluxError>, kit: &mut Kit) -> Vec<Built> {
    let mut objects = Vec::new();
    match files {
        Ok(files) => {
            for file in files {
                match kustomize::objects(&file) {
                    Ok(found) => objects.extend(found),
                    Err(error) => kit.errors.push(error.into()),
                }
            }
        }
        Err(error) => kit.errors.push(error),
    }
    objects
}

impl Kit {
    /// Tells which placeholders have no value, and which values no placeholder takes.
    fn placeholders(&mut self, substitution: &Substitution<'_>, said: &FluxSource, folder: &Named) {
        self.still_open(substitution, &folder.shown, "give values under substitute where they decide what runs");
        let open: Vec<&str> = substitution.open.iter().map(String::as_str).collect();
        for name in said.substitute.keys().filter(|name| !substitution.used.contains(*name)) {
            let what = format!("no placeholder takes the value of {name}{}", super::near(name, &open));
            self.findings.push(Finding::warning(FindingClass::Config, &folder.shown, what));
        }
    }

    /// Tells which placeholders have no value.
    pub(super) fn still_open(&mut self, substitution: &Substitution<'_>, place: &str, hint: &str) {
        let open: Vec<&str> = substitution.open.iter().map(String::as_str).collect();
        if !open.is_empty() {
            let what = format!("no value is given for {}: the text stays as it is", open.join(", "));
            self.findings.push(Finding::warning(FindingClass::Config, place, what).with_hint(hint));
        }
    }

    fn sort(&mut self, objects: Vec<Built>, beside: &[Built]) {
        // What is in the folder comes before a stand-in of the same name.
        let known: Known<'_> =
            beside.iter().chain(&objects).filter_map(|built| Some((key(&built.node)?, built))).collect();
        self.elsewhere =
            beside.iter().filter(|built| is_release(&built.node)).map(|built| name_of(&built.node)).collect();
        let mut firsts: BTreeMap<ObjectName, String> = BTreeMap::new();
        for built in objects.iter().filter(|built| is_release(&built.node)) {
            let (id, place) = (name_of(&built.node), format!("{}:{}", built.file, built.node.line));
            if let Some(first) = firsts.insert(id.clone(), place.clone()) {
                self.errors.push(FluxError::Twice { id, first, second: place });
                continue;
            }
            match release(built, id, place, &known, &mut self.findings) {
                Ok(release) => self.releases.push(release),
                Err(errors) => self.errors.extend(errors),
            }
        }
        drop(known);
        // An OCIRepository is an artifact of its own, unless a release takes its chart from it.
        let charts: BTreeSet<ObjectName> = objects.iter().filter_map(chart_reference).collect();
        let taken = |node: &Node| key(node).is_some_and(|(kind, id)| kind == "OCIRepository" && charts.contains(&id));
        let own = |built: &Built| !is_followed(&built.node) && !taken(&built.node);
        self.objects = objects.into_iter().filter(own).collect();
    }
}

/// Reads one release, and lists everything that is wrong with it.
fn release(
    built: &Built,
    id: ObjectName,
    place: String,
    known: &Known<'_>,
    findings: &mut Vec<Finding>,
) -> Result<Release, Vec<FluxError>> {
    let release = ReleaseNode { built, id: &id };
    let text = |key: &str| release.spec(&[key]).and_then(Node::text).map(str::to_owned);
    let (chart, layers) = (chart::find(&release, known, findings), values::layers(&release, known, findings));
    let mut errors = chart::refused(&release);
    let suspended = release.spec(&["suspend"]).and_then(Node::text) == Some("true");
    let target = text("targetNamespace");
    let name = text("releaseName").unwrap_or_else(|| match &target {
        Some(target) => format!("{target}-{}", id.name),
        None => id.name.clone(),
    });
    let (depends, namespace) = (release.depends(&mut errors), target.unwrap_or_else(|| id.namespace.clone()));
    let notes = suspended.then(|| "suspended: Flux installs it when it is resumed".to_owned()).into_iter().collect();
    match (chart, layers) {
        (Ok(chart), Ok(layers)) if errors.is_empty() => {
            Ok(Release { id: id.clone(), place, chart, layers, release: name, namespace, depends, notes })
        }
        (chart, layers) => {
            errors.extend(chart.err());
            errors.extend(layers.err().into_iter().flatten());
            Err(errors)
        }
    }
}

/// A release as it stands in its file.
pub(super) struct ReleaseNode<'b> {
    pub(super) built: &'b Built,
    pub(super) id: &'b ObjectName,
}

impl<'b> ReleaseNode<'b> {
    /// Returns a field below `spec`.
    pub(super) fn spec(&self, path: &[&str]) -> Option<&'b Node> {
        self.built.node.get("spec")?.at(path)
    }

    /// Names a place in the file for an error.
    pub(super) fn at(&self, line: usize, path: &str) -> String {
        format!("{}:{line} HelmRelease/{} {path}", self.built.file, printable(&self.id.to_string()))
    }

    /// Returns the object that a reference names, in the release's own namespace unless it says another.
    pub(super) fn named(&self, reference: &Node) -> Option<ObjectName> {
        let text = |key| reference.get(key).and_then(Node::text);
        let namespace = text("namespace").unwrap_or(&self.id.namespace).to_owned();
        Some(ObjectName { namespace, name: text("name")?.to_owned() })
    }

    fn depends(&self, errors: &mut Vec<FluxError>) -> Vec<(ObjectName, usize)> {
        let mut depends = Vec::new();
        for (at, item) in self.spec(&["dependsOn"]).map(Node::items).unwrap_or_default().iter().enumerate() {
            match self.named(item) {
                Some(name) => depends.push((name, item.line)),
                None => {
                    let place = self.at(item.line, &format!("spec.dependsOn[{at}]"));
                    errors.push(FluxError::Field { place, why: "name is missing".to_owned() });
                }
            }
        }
        depends
    }
}

pub(super) fn group_kind(node: &Node) -> Option<(&str, &str)> {
    Some((node.get("apiVersion")?.text()?, node.get("kind")?.text()?))
}

fn is_release(node: &Node) -> bool {
    group_kind(node).is_some_and(|(api, kind)| api.starts_with(HELM) && kind == "HelmRelease")
}

/// Returns whether the object is only read on behalf of a release.
fn is_followed(node: &Node) -> bool {
    let helm = |kind| matches!(kind, "HelmRepository" | "HelmChart");
    is_release(node) || group_kind(node).is_some_and(|(api, kind)| api.starts_with(SOURCE) && helm(kind))
}

/// Returns kind and names of an object to which releases refer.
fn key(node: &Node) -> Option<(&str, ObjectName)> {
    let (api, kind) = group_kind(node)?;
    let referred = api.starts_with(SOURCE) || (api == "v1" && matches!(kind, "ConfigMap" | "Secret"));
    referred.then(|| (kind, name_of(node)))
}

/// Returns the OCIRepository that a release takes its chart from.
fn chart_reference(built: &Built) -> Option<ObjectName> {
    let id = name_of(&built.node);
    let reference = built.node.at(&["spec", "chartRef"]).filter(|_| is_release(&built.node))?;
    ReleaseNode { built, id: &id }.named(reference)
}

pub(super) fn name_of(node: &Node) -> ObjectName {
    let meta = |key| node.at(&["metadata", key]).and_then(Node::text);
    ObjectName {
        namespace: meta("namespace").unwrap_or("default").to_owned(),
        name: meta("name").unwrap_or("(no name)").to_owned(),
    }
}
