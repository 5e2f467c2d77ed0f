//! Reads the table of known fields, and what a mirror file adds to it.

use super::{Field, FieldPath, Known, Shape, Told};
use crate::document::form::{Clerk, Form};
use crate::document::lock::Role;
use crate::document::mirror::ImageField;
use crate::document::yaml::{self, Node};
use std::collections::BTreeMap;
use std::sync::OnceLock;

/// The table that comes with the program.
const BUILTIN: &str = include_str!("table.yaml");
/// Fields of an entry.
const ENTRY: &[&str] = &["group", "kind", "fields", "unless", "chosen"];
/// Fields of a field.
const FIELD: &[&str] = &["path", "absent", "at", "registry", "repository", "tag", "digest", "role", "strip"];

/// Why an addition of a mirror file cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{why}")]
pub struct TableError {
    /// Line of the mirror file.
    pub line: usize,
    /// Reason in words.
    pub why: String,
}

/// Known fields, by group and kind.
#[derive(Debug, Clone, Default)]
pub struct Table {
    known: BTreeMap<(String, String), Vec<Known>>,
    added: BTreeMap<(String, String), Vec<Known>>,
}

impl Table {
    /// Returns the table that comes with the program.
    pub fn builtin() -> &'static Self {
        static TABLE: OnceLock<Table> = OnceLock::new();
        // A test reads the table and refuses every mistake in it.
        TABLE.get_or_init(|| Self { known: read(BUILTIN).unwrap_or_default(), added: BTreeMap::new() })
    }

    /// Returns the table with what a mirror file adds. What is added comes beside what is known.
    pub fn with(fields: &[ImageField]) -> Result<Self, TableError> {
        let mut table = Self::builtin().clone();
        for field in fields {
            let known = added(field).map_err(|why| TableError { line: field.line, why })?;
            table.added.entry((known.group.clone(), known.kind.clone())).or_default().push(known);
        }
        Ok(table)
    }

    /// Says what `object`, whose `apiVersion` and `kind` are given, names. Sees the object itself, not what is nested.
    pub fn look<'n>(&self, api_version: &str, kind: &str, object: &'n Node) -> Told<'n> {
        let (group, version) = api_version.split_once('/').unwrap_or(("", api_version));
        let key = (group.to_owned(), kind.to_owned());
        let mut told = Told::default();
        let entries = [&self.known, &self.added].into_iter().filter_map(|entries| entries.get(&key)).flatten();
        for known in entries.filter(|known| known.version.as_deref().is_none_or(|only| only == version)) {
            known.look(object, &mut told);
        }
        if !told.named.is_empty() {
            told.chosen = None;
        }
        told
    }

    /// Returns whether the table names fields of such objects.
    pub fn knows(&self, group: &str, kind: &str) -> bool {
        let key = (group.to_owned(), kind.to_owned());
        self.known.contains_key(&key) || self.added.contains_key(&key)
    }
}

type Entries = BTreeMap<(String, String), Vec<Known>>;

fn read(text: &str) -> Result<Entries, crate::document::PaperError> {
    let node = yaml::document(text, "table.yaml")?;
    let clerk = Clerk::new("table.yaml");
    let mut entries = Entries::new();
    for known in clerk.list(Some(&node), |node| entry(&clerk, node)) {
        entries.entry((known.group.clone(), known.kind.clone())).or_default().push(known);
    }
    clerk.finish(entries)
}

fn entry(clerk: &Clerk<'_>, node: &Node) -> Option<Known> {
    let form = clerk.form(node, ENTRY)?;
    let (group, kind) = (form.need_text("group")?, form.need_text("kind")?);
    let fields = clerk.list(form.get("fields"), |node| field(clerk, node));
    let unless = form.get("unless").and_then(|node| clerk.parsed(node));
    Some(Known { group, version: None, kind, fields, unless, chosen: form.text("chosen") })
}

fn field(clerk: &Clerk<'_>, node: &Node) -> Option<Field> {
    let form = clerk.form(node, FIELD)?;
    let path = |name: &str, form: &Form<'_>| form.get(name).and_then(|node| clerk.parsed::<FieldPath>(node));
    let shape = match (path("path", &form), path("repository", &form)) {
        (Some(path), None) => Shape::Whole { path, absent: form.text("absent") },
        (None, Some(repository)) => Shape::Parts {
            at: path("at", &form),
            registry: path("registry", &form),
            repository,
            tag: path("tag", &form),
            digest: path("digest", &form),
        },
        _ => {
            clerk.note(node, "exactly one of path and repository is expected");
            return None;
        }
    };
    let roles = [("image", Role::Image), ("artifact", Role::Artifact)];
    let role = form.get("role").map_or(Some(Role::Image), |node| clerk.word(node, &roles))?;
    Some(Field { shape, role, strip: form.text("strip") })
}

fn added(field: &ImageField) -> Result<Known, String> {
    let path = |text: &Option<String>| text.as_deref().map(str::parse::<FieldPath>).transpose();
    let shape = match (path(&field.path)?, path(&field.repository_path)?) {
        (Some(path), None) => Shape::Whole { path, absent: None },
        (None, Some(repository)) => Shape::Parts {
            at: path(&field.at)?,
            registry: path(&field.registry_path)?,
            repository,
            tag: path(&field.tag_path)?,
            digest: path(&field.digest_path)?,
        },
        _ => return Err("exactly one of path and repositoryPath is expected".to_owned()),
    };
    let role = if field.artifact { Role::Artifact } else { Role::Image };
    let fields = vec![Field { shape, role, strip: field.strip.clone() }];
    let (group, version, kind) = (field.group.clone(), field.version.clone(), field.kind.clone());
    Ok(Known { group, version, kind, fields, unless: None, chosen: None })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(api_version: &str, kind: &str, spec: &str) -> (Vec<String>, Option<String>) {
        let node = yaml::document(&format!("spec: {spec}"), "x").unwrap();
        let told = Table::builtin().look(api_version, kind, &node);
        (told.named.iter().map(|named| format!("{} {}", named.path, named.text)).collect(), told.chosen)
    }

    #[test]
    fn the_table_that_comes_with_the_program_is_without_a_mistake() {
        let entries = read(BUILTIN).unwrap_or_else(|e| panic!("{e}"));
        assert!(entries.len() > 80, "{}", entries.len());
        for ((group, kind), known) in &entries {
            assert_eq!(known.len(), 1, "{group} {kind} stands twice");
            let says = !known[0].fields.is_empty() || known[0].chosen.is_some();
            assert!(says, "{group} {kind} says nothing");
        }
    }

    #[test]
    fn fields_are_read_whole_in_parts_and_by_their_default() {
        let kibana = told("kibana.k8s.elastic.co/v1", "Kibana", "{version: 8.15.0}");
        assert_eq!(kibana.0, ["spec docker.elastic.co/kibana/kibana:8.15.0"]);
        let own = told("kibana.k8s.elastic.co/v1", "Kibana", "{version: 8.15.0, image: 'h.example/k:1'}");
        assert_eq!(own.0, ["spec.image h.example/k:1"]);
        assert!(told("kibana.k8s.elastic.co/v1", "Kibana", "{}").0.is_empty());
        let agent = told("operator.victoriametrics.com/v1beta1", "VMAgent", "{image: {repository: a/b, tag: v1.2}}");
        assert_eq!(agent.0, ["spec.image.repository a/b:v1.2"]);
        let cd = told("argoproj.io/v1beta1", "ArgoCD", "{image: h.example/cd, version: v2, redis: {image: 'r:7'}}");
        assert_eq!(cd.0, ["spec.image h.example/cd:v2", "spec.redis.image r:7"]);
        let plugin = told("extensions.istio.io/v1alpha1", "WasmPlugin", "{url: 'oci://h.example/waf:1'}");
        assert_eq!(plugin.0, ["spec.url h.example/waf:1"]);
    }

    #[test]
    fn what_an_operator_chooses_is_told_unless_a_field_names_it() {
        let (named, chosen) = told("postgresql.cnpg.io/v1", "Cluster", "{instances: 3}");
        assert!(named.is_empty() && chosen.unwrap().contains("PostgreSQL"));
        let (named, chosen) = told("postgresql.cnpg.io/v1", "Cluster", "{imageName: 'h.example/pg:16.3'}");
        assert_eq!((named.len(), chosen), (1, None));
        assert_eq!(told("postgresql.example/v1", "Cluster", "{imageName: x}"), (vec![], None));
    }

    #[test]
    fn an_entry_may_leave_objects_alone() {
        let spec = "{url: 'oci://h.example/m', ref: {REF}}";
        let exact = spec.replace("REF", "tag: '1.0'");
        assert_eq!(told("source.toolkit.fluxcd.io/v1", "OCIRepository", &exact).0, ["spec.url h.example/m:1.0"]);
        let range = spec.replace("REF", "semver: ^1");
        assert!(told("source.toolkit.fluxcd.io/v1", "OCIRepository", &range).0.is_empty());
    }
}
