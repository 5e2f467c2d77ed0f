//! Goes through folders and files and puts the objects together.

use super::form::{self, Kustomization, Line, PatchSource, PatchWish};
use super::merge::{deletes, is_native, merge};
use super::target::Identity;
use super::tree::{get_mut, map_at, set, text_at};
use super::{BUILD_ELSEWHERE, Build, Built, KustomizeError, beside, jsonpatch};
use crate::discover::files::{self, Named};
use crate::document::yaml::{self, Node, Value};
use crate::model::Finding;
use crate::model::evidence::FindingClass;
use std::collections::BTreeSet;
use std::path::PathBuf;

/// Names that a kustomization has.
const NAMES: [&str; 3] = ["kustomization.yaml", "kustomization.yml", "Kustomization"];
/// Folders that lead to folders.
const DEPTH: usize = 64;
/// Objects that one build may hold.
const OBJECTS: usize = 200_000;

/// Returns the kustomization of a folder, where it has one.
pub fn is_kustomization(folder: &Named) -> Option<Named> {
    NAMES.into_iter().map(|name| folder.join(name)).find(|file| file.path.is_file())
}

/// Builds the folder. A folder without a kustomization is an error.
pub fn build(folder: &Named) -> Build {
    let mut builder = Builder::default();
    let objects = builder.folder(folder, Vec::new());
    builder.out.objects = objects;
    if builder.out.errors.is_empty() {
        builder.left_out(folder);
    }
    builder.out
}

/// Builds the folder as a Flux Kustomization does, whose `spec` stands in the file called `place`: what the folder's own
/// kustomization makes, or all of its files where it has none, with the images, patches, components and namespace of the
/// spec.
pub fn build_for_flux(folder: &Named, spec: &Node, place: &str) -> Build {
    let mut builder = Builder::default();
    let objects = builder.of_flux(folder);
    // What the spec names is meant from the folder.
    let file = Named { shown: place.to_owned(), path: folder.path.join(NAMES[0]) };
    builder.open.push((PathBuf::new(), folder.shown.clone()));
    let objects = match form::overlay(spec, &file) {
        Ok(said) => builder.kustomization(&said, &file, objects),
        Err(error) => {
            builder.out.errors.push(error.into());
            objects
        }
    };
    builder.out.objects = objects;
    builder.out
}

#[derive(Default)]
struct Builder {
    out: Build,
    /// Folders that are being built, outermost first.
    open: Vec<(PathBuf, String)>,
    /// Files that took part.
    used: BTreeSet<PathBuf>,
}

impl Builder {
    /// Builds a folder onto `objects`: none for a base, those of the folder around it for a component.
    fn folder(&mut self, folder: &Named, objects: Vec<Built>) -> Vec<Built> {
        let path = folder.path.canonicalize().unwrap_or_else(|_| folder.path.clone());
        if self.open.len() >= DEPTH || self.open.iter().any(|(open, _)| *open == path) {
            let circle = self.open.iter().map(|(_, shown)| shown.clone()).chain([folder.shown.clone()]);
            self.out.errors.push(KustomizeError::Circle(circle.collect()));
            return objects;
        }
        let files: Vec<Named> = NAMES.into_iter().map(|name| folder.join(name)).filter(|f| f.path.is_file()).collect();
        let [file] = &files[..] else {
            let why = match files.len() {
                0 => "there is no kustomization.yaml in it".to_owned(),
                _ => "several files in it are a kustomization".to_owned(),
            };
            self.out.errors.push(KustomizeError::Patch { place: folder.shown.clone(), why });
            return objects;
        };
        self.open.push((path, folder.shown.clone()));
        self.note_used(file);
        let objects = match form::read(file, &mut self.out.errors) {
            Some(kustomization) => self.kustomization(&kustomization, file, objects),
            None => objects,
        };
        self.open.pop();
        objects
    }

    /// Returns the objects of a folder for which Flux writes the kustomization, unless it has one.
    fn of_flux(&mut self, folder: &Named) -> Vec<Built> {
        if is_kustomization(folder).is_some() {
            return self.folder(folder, Vec::new());
        }
        let children = match files::children(folder) {
            Ok(children) if self.open.len() < DEPTH => children,
            Ok(_) => Vec::new(),
            Err(error) => {
                self.out.errors.push(error.into());
                return Vec::new();
            }
        };
        let mut objects = Vec::new();
        for child in children {
            if child.path.is_dir() {
                self.open.push((PathBuf::new(), child.shown.clone()));
                objects.extend(self.of_flux(&child));
                self.open.pop();
            } else if child.shown.ends_with(".yaml") || child.shown.ends_with(".yml") {
                objects.extend(self.file(&child));
            }
        }
        objects
    }

    fn kustomization(&mut self, said: &Kustomization, file: &Named, mut objects: Vec<Built>) -> Vec<Built> {
        if said.component && self.open.len() == 1 {
            let (what, advice) = ("a component on its own".to_owned(), "name the folder that uses it");
            let place = file.shown.clone();
            self.out.errors.push(KustomizeError::Unsupported { place, what, advice });
        }
        for resource in &said.resources {
            let more = self.resource(resource, file);
            objects.extend(more);
        }
        for (kind, generators) in
            [(("ConfigMap", "data"), &said.config_maps), (("Secret", "stringData"), &said.secrets)]
        {
            for generator in generators {
                let made = generator.make(kind, file, &mut objects);
                self.out.errors.extend(made.err());
            }
        }
        for component in &said.components {
            if let Some(folder) = self.local(component, file) {
                objects = self.folder(&folder, objects);
            }
        }
        for patch in &said.patches {
            self.patch(patch, file, &mut objects);
        }
        if let Some(namespace) = &said.namespace {
            objects.iter_mut().for_each(|built| set_namespace(&mut built.node, namespace));
        }
        self.images(said, file, &mut objects);
        self.charts(said, file);
        objects
    }

    /// Changes names and tags of images; one that changes nothing is told, because it was meant to.
    fn images(&mut self, said: &Kustomization, file: &Named, objects: &mut [Built]) {
        for change in &said.images {
            let count: usize = objects.iter_mut().map(|built| change.apply(&mut built.node)).sum();
            if count == 0 {
                let what = "no container has an image of this name; the change does nothing";
                let place = format!("{}:{}", file.shown, change.line);
                self.out.findings.push(Finding::warning(FindingClass::Config, place, what));
            }
        }
    }

    /// A chart is rendered elsewhere, after everything here is done; what would change its output cannot be done.
    fn charts(&mut self, said: &Kustomization, file: &Named) {
        self.out.charts.extend(said.charts.iter().cloned());
        let changes = [("images", said.images.is_empty()), ("patches", said.patches.is_empty())];
        if let Some((field, _)) = changes.into_iter().find(|(_, empty)| !empty && !self.out.charts.is_empty()) {
            let what = format!("{field} beside helmCharts");
            let place = file.shown.clone();
            self.out.errors.push(KustomizeError::Unsupported { place, what, advice: BUILD_ELSEWHERE });
        }
    }

    /// Returns the file or folder that a line leads to; an address is refused.
    fn local(&mut self, line: &Line, file: &Named) -> Option<Named> {
        let named = match beside(&file.parent(), &line.text) {
            Ok(named) if named.path.exists() => return Some(named),
            Ok(named) => named,
            Err(error) => {
                self.out.errors.push(error.into());
                return None;
            }
        };
        let place = format!("{}:{}", file.shown, line.line);
        self.out.errors.push(match is_remote(&line.text) {
            true => KustomizeError::Remote { place, text: line.text.clone() },
            false => KustomizeError::Patch { place, why: format!("there is no {}", named.shown) },
        });
        None
    }

    fn resource(&mut self, line: &Line, file: &Named) -> Vec<Built> {
        let Some(named) = self.local(line, file) else { return Vec::new() };
        if named.path.is_dir() {
            return self.folder(&named, Vec::new());
        }
        self.file(&named)
    }

    fn file(&mut self, named: &Named) -> Vec<Built> {
        self.note_used(named);
        match objects(named) {
            Ok(objects) if objects.len() > OBJECTS => {
                let why = format!("more than {OBJECTS} objects");
                self.out.errors.push(KustomizeError::Patch { place: named.shown.clone(), why });
                Vec::new()
            }
            Ok(objects) => objects,
            Err(error) => {
                self.out.errors.push(error);
                Vec::new()
            }
        }
    }

    fn patch(&mut self, wish: &PatchWish, file: &Named, objects: &mut Vec<Built>) {
        let place = format!("{}: {}", file.shown, wish.field);
        let (text, place) = match &wish.source {
            PatchSource::Inline(text) => (text.clone(), place),
            PatchSource::File(line) => {
                let Some(named) = self.local(line, file) else { return };
                self.note_used(&named);
                match named.read_text() {
                    Ok(text) => (text, named.shown),
                    Err(error) => return self.out.errors.push(error.into()),
                }
            }
        };
        let documents = yaml::documents(&text, &place).and_then(Iterator::collect::<Result<Vec<Node>, _>>);
        match documents {
            Ok(documents) => {
                for document in documents.iter().filter(|node| node.value != Value::Null) {
                    self.apply(wish, document, &place, objects);
                }
            }
            Err(error) => self.out.errors.push(error.into()),
        }
    }

    /// Applies one patch to all objects that it is about.
    fn apply(&mut self, wish: &PatchWish, patch: &Node, place: &str, objects: &mut Vec<Built>) {
        let own = Identity::of(patch);
        let is_list = matches!(patch.value, Value::List(_));
        let fits = |built: &Built| match (&wish.target, &own) {
            (Some(target), _) => target.fits(built),
            (None, Some(own)) => Identity::of(&built.node).is_some_and(|other| own.is_about(&other)),
            (None, None) => false,
        };
        let about: Vec<usize> = (0..objects.len()).filter(|at| fits(&objects[*at])).collect();
        let fail = |why: String| KustomizeError::Patch { place: place.to_owned(), why };
        if about.is_empty() && wish.target.is_some() {
            let what = "no object fits the target of this patch; it does nothing";
            self.out.findings.push(Finding::warning(FindingClass::Config, place, what));
        } else if about.is_empty() {
            let name =
                own.map_or("it has neither target nor name".to_owned(), |own| format!("{} {}", own.kind, own.name));
            self.out.errors.push(fail(format!("no object is the one that this patch is about: {name}")));
        }
        for at in about.into_iter().rev() {
            if !is_list && deletes(patch) {
                objects.remove(at);
                continue;
            }
            let node = &mut objects[at].node;
            let native = Identity::of(node).is_some_and(|identity| is_native(identity.group));
            let kept = node.get("metadata").cloned();
            let done = if is_list { jsonpatch::apply(node, patch) } else { merge(node, patch, native) };
            // With a target, the names in the patch itself mean nothing.
            if let (true, false, Some(metadata)) = (wish.target.is_some(), is_list, kept) {
                restore_name(node, &metadata);
            }
            self.out.errors.extend(done.err().map(fail));
        }
    }

    fn note_used(&mut self, file: &Named) {
        self.used.extend(file.path.canonicalize());
    }

    /// Says which files of the folder took no part.
    fn left_out(&mut self, folder: &Named) {
        let Ok(mut files) = files::walk(folder) else { return };
        files.retain(|file| file.shown.ends_with(".yaml") || file.shown.ends_with(".yml"));
        files.retain(|file| file.path.canonicalize().is_ok_and(|path| !self.used.contains(&path)));
        for file in files {
            let what = "no kustomization lists this file; it is not included";
            let hint = "add it to resources if the cluster shall have it";
            self.out.findings.push(Finding::warning(FindingClass::Config, file.shown, what).with_hint(hint));
        }
    }
}

/// Reads the objects of a file; lists of objects are opened.
pub fn objects(file: &Named) -> Result<Vec<Built>, KustomizeError> {
    let text = file.read_text()?;
    let separated = yaml::with_separators(&text);
    let mut found = Vec::new();
    for document in yaml::documents(&separated, &file.shown)? {
        let node = document?;
        let list = node.get("kind").and_then(Node::text).is_some_and(|kind| kind.ends_with("List"));
        match (&node.value, node.get("items")) {
            (Value::Null, _) => {}
            (_, Some(items)) if list => {
                let items = items.items().iter().cloned();
                found.extend(items.map(|node| Built { file: file.shown.clone(), node }));
            }
            _ => found.push(Built { file: file.shown.clone(), node }),
        }
    }
    Ok(found)
}

fn set_namespace(node: &mut Node, namespace: &str) {
    let cluster = matches!(node.get("kind").and_then(Node::text), Some("Namespace" | "CustomResourceDefinition"));
    if cluster {
        return;
    }
    if get_mut(node, "metadata").is_none() {
        let metadata = map_at(node);
        set(node, "metadata", metadata);
    }
    if let Some(metadata) = get_mut(node, "metadata") {
        let text = text_at(metadata, namespace);
        set(metadata, "namespace", text);
    }
}

fn restore_name(node: &mut Node, before: &Node) {
    for key in ["name", "namespace"] {
        if let (Some(metadata), Some(value)) = (get_mut(node, "metadata"), before.get(key)) {
            set(metadata, key, value.clone());
        }
    }
}

/// Returns whether a text is an address that Kustomize would fetch.
fn is_remote(text: &str) -> bool {
    let host = text.split(['/', ':']).next().unwrap_or_default();
    let names_host = host.contains('.') && !host.starts_with('.') && text.contains('/');
    text.contains("://") || text.contains("?ref=") || text.starts_with("git@") || names_host
}
