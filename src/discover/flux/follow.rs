//! Flux Kustomizations: objects that make a cluster read another folder.
//!
//! Each is followed into the folder that its source stands for, with what it does on the way: components, patches,
//! images, a namespace, placeholders filled in. What comes out may hold further ones. They are read in the order of
//! `dependsOn`, each once. A source of which nobody said what it stands for is an error: what it brings would be missing.

use super::kit::{Kit, group_kind, name_of};
use super::substitute::Substitution;
use super::{FluxError, ObjectName, near};
use crate::discover::files::{FileError, Named};
use crate::discover::kustomize::{Built, build_for_flux};
use crate::discover::note;
use crate::document::mirror::{FluxSource, SourceFolder};
use crate::document::yaml::Node;
use crate::model::fault::printable;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Component, Path, PathBuf};

const GROUP: &str = "kustomize.toolkit.fluxcd.io/";
/// Kustomizations that one entry leads to.
const MOST: usize = 1000;
const SAY_FOLDER: &str = "say what it stands for: sources: [{ name: …, path: FOLDER }] of this entry, or ignore: REASON in the \
                          place of the path";
const STAND_IN: &str = "its values may decide what runs: put it into a file (a ConfigMap, or a Secret with stringData) and name \
                        that under objects of this entry";

/// Returns whether an object is a Flux Kustomization.
pub(super) fn is_kustomization_of_flux(node: &Node) -> bool {
    group_kind(node).is_some_and(|(api, kind)| api.starts_with(GROUP) && kind == "Kustomization")
}

/// A Kustomization that was met.
struct Met {
    id: ObjectName,
    /// File and line.
    place: String,
    built: Built,
    depends: Vec<(ObjectName, usize)>,
}

/// What is followed, and what that led to.
pub(super) struct Following<'m> {
    said: &'m FluxSource,
    base: &'m Path,
    beside: &'m [Built],
    waiting: Vec<Met>,
    done: BTreeSet<ObjectName>,
    /// Folders that were read, with the source's own path.
    read: BTreeSet<(PathBuf, ObjectName)>,
    objects: Vec<Built>,
    root: Option<PathBuf>,
}

impl<'m> Following<'m> {
    /// Begins with the objects of the folder that the entry names, placeholders filled in.
    pub(super) fn new(said: &'m FluxSource, base: &'m Path, folder: &Named, beside: &'m [Built]) -> Self {
        let root = folder.path.canonicalize().ok();
        let (waiting, done, read, objects) = (Vec::new(), BTreeSet::new(), BTreeSet::new(), Vec::new());
        Self { said, base, beside, waiting, done, read, objects, root }
    }

    /// Follows everything that `objects` lead to; returns them with all that was found.
    pub(super) fn all(mut self, objects: Vec<Built>, kit: &mut Kit) -> Vec<Built> {
        self.take(objects, kit);
        while let Some(at) = self.next() {
            if self.done.len() >= MOST {
                let why = format!("more than {MOST} Kustomizations come out of this folder");
                kit.errors.push(FluxError::Field { place: self.waiting[at].place.clone(), why });
                break;
            }
            let met = self.waiting.remove(at);
            self.done.insert(met.id.clone());
            self.check_dependencies(&met, kit);
            match self.follow(&met, kit) {
                Ok(objects) => self.take(objects, kit),
                Err(error) => kit.errors.push(error),
            }
        }
        self.objects
    }

    /// Takes up objects, Kustomizations among them wait for their turn.
    fn take(&mut self, objects: Vec<Built>, kit: &mut Kit) {
        for built in objects {
            if !is_kustomization_of_flux(&built.node) {
                self.objects.push(built);
                continue;
            }
            let (id, place) = (name_of(&built.node), format!("{}:{}", built.file, built.node.line));
            if self.done.contains(&id) || self.waiting.iter().any(|met| met.id == id) {
                continue;
            }
            let depends = depends(&built, &id, kit);
            self.waiting.push(Met { id, place, built, depends });
        }
    }

    /// Returns the first for which everything is read that it waits for; else the first that waits for nothing that is
    /// known to come; in a circle, the first.
    fn next(&self) -> Option<usize> {
        let ready = |met: &Met| met.depends.iter().all(|(on, _)| self.done.contains(on));
        let waits = |met: &Met| met.depends.iter().any(|(on, _)| self.waiting.iter().any(|other| other.id == *on));
        let free = self.waiting.iter().position(|met| !waits(met));
        self.waiting.iter().position(ready).or(free).or((!self.waiting.is_empty()).then_some(0))
    }

    /// What is waited for must be known by now: read, waiting in a circle, or beside the folder.
    fn check_dependencies(&self, met: &Met, kit: &mut Kit) {
        let beside = |on: &ObjectName| {
            self.beside.iter().any(|built| is_kustomization_of_flux(&built.node) && name_of(&built.node) == *on)
        };
        let names: Vec<String> = self.done.iter().map(ToString::to_string).collect();
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        for (on, line) in &met.depends {
            if *on == met.id {
                kit.errors.push(FluxError::Circle(vec![met.id.to_string(), on.to_string()]));
            } else if self.waiting.iter().any(|other| other.id == *on) {
                kit.errors.push(FluxError::Circle(vec![met.id.to_string(), on.to_string(), met.id.to_string()]));
            } else if !self.done.contains(on) && !beside(on) {
                let place = format!("{}:{line}", met.built.file);
                let (by, near) = (met.id.clone(), near(&on.to_string(), &names));
                kit.errors.push(FluxError::NoDependency { place, by, on: on.clone(), near });
            }
        }
    }

    fn follow(&mut self, met: &Met, kit: &mut Kit) -> Result<Vec<Built>, FluxError> {
        let Some((folder, source)) = self.folder(met, kit)? else { return Ok(Vec::new()) };
        let path = folder.path.canonicalize().map_err(|cause| {
            let place = format!("{} ({})", folder.shown, met.shown("spec.path"));
            FluxError::File(FileError::Read { place, cause })
        })?;
        // The folder that the mirror file names is often the one that the cluster's own Kustomization reads.
        if self.root.as_ref() == Some(&path) || !self.read.insert((path, source)) {
            return Ok(Vec::new());
        }
        let what = format!("Kustomization {} leads to {}, which is read too", met.id, folder.shown);
        kit.findings.push(note(&met.place, what));
        let Some(spec) = met.built.node.get("spec") else { return Ok(Vec::new()) };
        if let Some(sealed) = spec.get("decryption") {
            let what = "what is encrypted in its folder is not read";
            kit.findings.push(note(met.at(sealed.line, "spec.decryption"), what));
        }
        let built = build_for_flux(&folder, spec, &met.place);
        kit.findings.extend(built.findings);
        kit.errors.extend(built.errors.into_iter().map(FluxError::from));
        kit.charts.extend(built.charts);
        let mut objects = built.objects;
        objects.retain(|built| !sealed(built, kit));
        self.fill_in(met, spec, &mut objects, kit);
        Ok(objects)
    }

    /// Returns the folder that a Kustomization reads and its source; nothing where the mirror file leaves it out.
    fn folder(&self, met: &Met, kit: &mut Kit) -> Result<Option<(Named, ObjectName)>, FluxError> {
        let text = |path: &[&str]| met.built.node.get("spec").and_then(|spec| spec.at(path)).and_then(Node::text);
        let missing = |field: &str| FluxError::Field { place: met.shown(field), why: "it is missing".to_owned() };
        let kind = text(&["sourceRef", "kind"]).ok_or_else(|| missing("spec.sourceRef.kind"))?;
        let name = text(&["sourceRef", "name"]).ok_or_else(|| missing("spec.sourceRef.name"))?;
        let namespace = text(&["sourceRef", "namespace"]).unwrap_or(&met.id.namespace);
        let id = ObjectName { namespace: namespace.to_owned(), name: name.to_owned() };
        let is = |source: &&SourceFolder| {
            source.kind == kind && source.name == name && source.namespace.as_deref().is_none_or(|own| own == namespace)
        };
        let source = match self.said.sources.iter().find(is).map(|source| &source.stands_for) {
            Some(Ok(folder)) => Named::new(self.base, folder),
            Some(Err(reason)) => {
                kit.findings.push(note(&met.place, format!("Kustomization {} is left out: {reason}", met.id)));
                return Ok(None);
            }
            None => {
                let (place, what) = (met.shown("spec.sourceRef"), format!("what {} {id} brings", printable(kind)));
                return Err(FluxError::Absent { place, what, advice: SAY_FOLDER });
            }
        };
        let path = text(&["path"]).unwrap_or(".");
        let mut folder = source;
        for part in Path::new(path).components() {
            match part {
                Component::Normal(part) => folder = folder.join(&part.to_string_lossy()),
                Component::CurDir | Component::RootDir => {}
                Component::ParentDir | Component::Prefix(_) => {
                    let why = format!("{path:?} leads out of its source");
                    return Err(FluxError::Field { place: met.shown("spec.path"), why });
                }
            }
        }
        Ok(Some((folder, id)))
    }

    /// Fills in placeholders where the Kustomization says so; without it, Flux leaves them as they are.
    fn fill_in(&self, met: &Met, spec: &Node, objects: &mut [Built], kit: &mut Kit) {
        let Some(post) = spec.get("postBuild") else { return };
        let mut values = BTreeMap::new();
        for (at, item) in post.get("substituteFrom").map(Node::items).unwrap_or_default().iter().enumerate() {
            let place = met.at(item.line, &format!("spec.postBuild.substituteFrom[{at}]"));
            match self.variables(met, item, &place) {
                Ok(found) => values.extend(found),
                Err(FluxError::Absent { place, what, .. })
                    if item.get("optional").and_then(Node::text) == Some("true") =>
                {
                    kit.findings.push(note(place, format!("{what} is optional and not in the folder")));
                }
                Err(error) => kit.errors.push(error),
            }
        }
        values.extend(texts(post.get("substitute")));
        let mut substitution = Substitution::new(&values);
        objects.iter_mut().for_each(|built| substitution.object(built));
        kit.still_open(&substitution, &met.place, "give values in postBuild where they decide what runs");
    }

    fn variables(&self, met: &Met, item: &Node, place: &str) -> Result<BTreeMap<String, String>, FluxError> {
        let text = |key: &str| item.get(key).and_then(Node::text);
        let wrong = |why: &str| FluxError::Field { place: place.to_owned(), why: why.to_owned() };
        let kind = text("kind").filter(|kind| matches!(*kind, "ConfigMap" | "Secret"));
        let kind = kind.ok_or_else(|| wrong("kind is none of ConfigMap, Secret"))?;
        let name = text("name").ok_or_else(|| wrong("name is missing"))?.to_owned();
        let id = ObjectName { namespace: met.id.namespace.clone(), name };
        let is = |built: &&Built| group_kind(&built.node) == Some(("v1", kind)) && name_of(&built.node) == id;
        let built = self.objects.iter().chain(self.beside).find(is);
        let field = if kind == "Secret" { "stringData" } else { "data" };
        let sealed =
            |built: &Built| kind == "Secret" && built.node.get(field).is_none() && built.node.get("data").is_some();
        match built.filter(|built| !sealed(built)) {
            Some(built) => Ok(texts(built.node.get(field))),
            None => {
                let (place, what) = (place.to_owned(), format!("{kind} {id}"));
                Err(FluxError::Absent { place, what, advice: STAND_IN })
            }
        }
    }
}

impl Met {
    fn at(&self, line: usize, path: &str) -> String {
        format!("{}:{line} Kustomization/{} {path}", self.built.file, printable(&self.id.to_string()))
    }

    fn shown(&self, path: &str) -> String {
        self.at(self.built.node.line, path)
    }
}

fn depends(built: &Built, id: &ObjectName, kit: &mut Kit) -> Vec<(ObjectName, usize)> {
    let items = built.node.at(&["spec", "dependsOn"]).map(Node::items).unwrap_or_default();
    let mut found = Vec::new();
    for item in items {
        let text = |key: &str| item.get(key).and_then(Node::text);
        match text("name") {
            Some(name) => {
                let namespace = text("namespace").unwrap_or(&id.namespace).to_owned();
                found.push((ObjectName { namespace, name: name.to_owned() }, item.line));
            }
            None => {
                let place = format!("{}:{} Kustomization/{id} spec.dependsOn", built.file, item.line);
                kit.errors.push(FluxError::Field { place, why: "name is missing".to_owned() });
            }
        }
    }
    found
}

/// Returns whether an object is encrypted, and tells of one that is.
fn sealed(built: &Built, kit: &mut Kit) -> bool {
    let sealed = built.node.get("sops").is_some();
    if sealed {
        let place = format!("{}:{}", built.file, built.node.line);
        kit.findings.push(note(place, "this object is encrypted and not read"));
    }
    sealed
}

/// Returns the texts of a mapping.
fn texts(node: Option<&Node>) -> BTreeMap<String, String> {
    let entries = node.map(Node::entries).unwrap_or_default().iter();
    entries.filter_map(|entry| Some((entry.key.clone(), entry.value.text()?.to_owned()))).collect()
}
