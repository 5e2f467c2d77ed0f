//! Generated ConfigMaps and Secrets: files and literals become their data.

use super::tree::{map_at, remove, set, text_at};
use super::{Built, KustomizeError, beside};
use crate::discover::files::{FileError, Named};
use crate::document::form::Clerk;
use crate::document::yaml::Node;

/// Fields of an entry.
const GENERATOR: &[&str] =
    &["name", "namespace", "behavior", "files", "literals", "env", "envs", "options", "type", "immutable"];

/// One entry of `configMapGenerator` or `secretGenerator`.
#[derive(Debug, Clone)]
pub(super) struct Generator {
    name: String,
    namespace: Option<String>,
    behavior: Behavior,
    files: Vec<String>,
    literals: Vec<String>,
    envs: Vec<String>,
    /// Where the entry stands.
    node: Node,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Behavior {
    Create,
    Replace,
    Merge,
}

/// Reads one entry.
pub(super) fn read(clerk: &Clerk<'_>, node: &Node) -> Option<Generator> {
    let form = clerk.form(node, GENERATOR)?;
    let words = [
        ("unspecified", Behavior::Create),
        ("create", Behavior::Create),
        ("replace", Behavior::Replace),
        ("merge", Behavior::Merge),
    ];
    let behavior = form.get("behavior").map_or(Some(Behavior::Create), |node| clerk.word(node, &words));
    let mut envs = clerk.texts(form.get("envs"));
    envs.extend(form.text("env"));
    Some(Generator {
        name: form.need_text("name")?,
        namespace: form.text("namespace"),
        behavior: behavior?,
        files: clerk.texts(form.get("files")),
        literals: clerk.texts(form.get("literals")),
        envs,
        node: node.clone(),
    })
}

impl Generator {
    /// Makes the object, of `kind` with its data under `field`, beside the kustomization `file`; one that is there
    /// already is replaced or joined where the entry says so.
    pub(super) fn make(
        &self,
        (kind, field): (&str, &str),
        file: &Named,
        objects: &mut Vec<Built>,
    ) -> Result<(), KustomizeError> {
        let mut data = map_at(&self.node);
        for (key, value) in self.data(&file.parent())? {
            set(&mut data, &key, text_at(&self.node, value));
        }
        let there = objects.iter_mut().find(|built| self.is(kind, &built.node));
        match (self.behavior, there) {
            (Behavior::Create, None) => {
                objects.push(Built { file: file.shown.clone(), node: self.object(kind, field, data) })
            }
            (Behavior::Replace, Some(built)) => set(&mut built.node, field, data),
            (Behavior::Merge, Some(built)) => {
                let mut own = remove(&mut built.node, field).unwrap_or_else(|| map_at(&self.node));
                for entry in data.entries() {
                    set(&mut own, &entry.key, entry.value.clone());
                }
                set(&mut built.node, field, own);
            }
            (Behavior::Create, Some(_)) => {
                return Err(self.wrong(file, kind, "is there already; behavior: merge or replace changes it"));
            }
            (_, None) => return Err(self.wrong(file, kind, "is not there to be changed")),
        }
        Ok(())
    }

    fn wrong(&self, file: &Named, kind: &str, why: &str) -> KustomizeError {
        let place = format!("{}:{}", file.shown, self.node.line);
        KustomizeError::Patch { place, why: format!("{kind} {} {why}", self.name) }
    }

    fn is(&self, kind: &str, node: &Node) -> bool {
        let meta = |key| node.at(&["metadata", key]).and_then(Node::text);
        let place = self.namespace.is_none() || self.namespace.as_deref() == meta("namespace");
        node.get("kind").and_then(Node::text) == Some(kind) && meta("name") == Some(&self.name) && place
    }

    fn object(&self, kind: &str, field: &str, data: Node) -> Node {
        let text = |text: &str| text_at(&self.node, text);
        let mut metadata = map_at(&self.node);
        set(&mut metadata, "name", text(&self.name));
        if let Some(namespace) = &self.namespace {
            set(&mut metadata, "namespace", text(namespace));
        }
        let mut object = map_at(&self.node);
        for (key, value) in [("apiVersion", text("v1")), ("kind", text(kind)), ("metadata", metadata), (field, data)] {
            set(&mut object, key, value);
        }
        object
    }

    fn data(&self, folder: &Named) -> Result<Vec<(String, String)>, FileError> {
        let mut data = Vec::new();
        for entry in &self.files {
            let (key, path) = match entry.split_once('=') {
                Some((key, path)) => (key, path),
                None => (entry.rsplit('/').next().unwrap_or(entry), entry.as_str()),
            };
            data.push((key.to_owned(), beside(folder, path)?.read_text()?));
        }
        for path in &self.envs {
            let text = beside(folder, path)?.read_text()?;
            let lines = text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'));
            data.extend(lines.filter_map(pair));
        }
        data.extend(self.literals.iter().filter_map(|text| pair(text)));
        Ok(data)
    }
}

/// Parts `KEY=VALUE`; quotes around the value are taken off.
fn pair(text: &str) -> Option<(String, String)> {
    let (key, value) = text.split_once('=')?;
    let bare = ['"', '\''].into_iter().find_map(|quote| value.strip_prefix(quote)?.strip_suffix(quote));
    Some((key.to_owned(), bare.unwrap_or(value).to_owned()))
}
