//! Fields of custom objects that name images: a table that comes with the program, and what a mirror file adds.
//!
//! An operator starts what a field of its objects names, under keys of its own. What the table knows counts for
//! certain; what an operator chooses by itself when a field is absent is said, because nothing here can know it.

mod path;
mod table;

pub use path::{FieldPath, Placed};
pub use table::{Table, TableError};

use crate::document::lock::Role;
use crate::document::yaml::Node;

/// Which objects an entry of the table is about, and where they name what.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Known {
    group: String,
    /// Version of the group; absent: any.
    version: Option<String>,
    kind: String,
    fields: Vec<Field>,
    /// Says nothing about an object that has this field.
    unless: Option<FieldPath>,
    /// What the operator takes by itself.
    chosen: Option<String>,
}

/// One field, or fields that make a reference together.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Field {
    shape: Shape,
    role: Role,
    strip: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Shape {
    Whole {
        path: FieldPath,
        /// Reference that is taken when the field is absent, with `{path}` for the text of another field.
        absent: Option<String>,
    },
    Parts {
        at: Option<FieldPath>,
        registry: Option<FieldPath>,
        repository: FieldPath,
        tag: Option<FieldPath>,
        digest: Option<FieldPath>,
    },
}

/// Something that an object names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NamedField<'n> {
    /// Where it stands.
    pub node: &'n Node,
    /// Key path of it.
    pub path: String,
    /// Reference as text, put together of its parts.
    pub text: String,
    /// What it names.
    pub role: Role,
}

/// What the table says about an object.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Told<'n> {
    /// What the object names.
    pub named: Vec<NamedField<'n>>,
    /// What the operator chooses by itself, because nothing names it.
    pub chosen: Option<String>,
    /// Fields that would name it.
    pub instead: Vec<String>,
}

impl Known {
    fn look<'n>(&self, object: &'n Node, told: &mut Told<'n>) {
        if self.unless.as_ref().is_some_and(|unless| !unless.find(object, "").is_empty()) {
            return;
        }
        let before = told.named.len();
        for field in &self.fields {
            field.look(object, &mut told.named);
        }
        if told.named.len() == before
            && let Some(chosen) = &self.chosen
        {
            told.chosen = Some(chosen.clone());
            told.instead = self.fields.iter().map(Field::shown).collect();
        }
    }
}

impl Field {
    fn look<'n>(&self, object: &'n Node, named: &mut Vec<NamedField<'n>>) {
        match &self.shape {
            Shape::Whole { path, absent } => {
                let found = path.find(object, "");
                if let (true, Some(template)) = (found.is_empty(), absent) {
                    named.extend(filled(template, object).map(|text| self.name(object, "spec".to_owned(), text)));
                }
                let texts = found.into_iter().filter_map(|(node, path)| Some((node, path, node.text()?)));
                let full = texts.filter(|(_, _, text)| !text.is_empty());
                named.extend(full.map(|(node, path, text)| self.name(node, path, text.to_owned())));
            }
            Shape::Parts { at: None, .. } => named.extend(self.joined(object, "")),
            Shape::Parts { at: Some(at), .. } => {
                named.extend(at.find(object, "").into_iter().filter_map(|(node, place)| self.joined(node, &place)));
            }
        }
    }

    fn name<'n>(&self, node: &'n Node, path: String, text: String) -> NamedField<'n> {
        let bare = self.strip.as_deref().and_then(|front| text.strip_prefix(front));
        NamedField { node, path, text: bare.map_or(text.clone(), str::to_owned), role: self.role }
    }

    /// Puts a reference together of the parts below `node`, where its repository is given.
    fn joined<'n>(&self, node: &'n Node, place: &str) -> Option<NamedField<'n>> {
        let Shape::Parts { registry, repository, tag, digest, .. } = &self.shape else { return None };
        let part = |path: &FieldPath| {
            let (node, place) = path.find(node, place).into_iter().next()?;
            Some((node, place, node.text().filter(|text| !text.is_empty())?))
        };
        let optional = |path: &Option<FieldPath>| path.as_ref().and_then(part).map(|(_, _, text)| text);
        let (at, place, repository) = part(repository)?;
        let mut named = self.name(at, place, repository.to_owned());
        if let Some(registry) = optional(registry) {
            named.text = format!("{}/{}", registry.trim_end_matches('/'), named.text);
        }
        // A whole reference may stand where a repository is expected; then the other fields say nothing.
        let last = named.text.rsplit('/').next().unwrap_or_default();
        if !last.contains([':', '@']) {
            named.text.extend(optional(tag).iter().flat_map(|tag| [":", tag]));
            named.text.extend(optional(digest).iter().flat_map(|digest| ["@", digest]));
        }
        Some(named)
    }

    fn shown(&self) -> String {
        match &self.shape {
            Shape::Whole { path, .. } => path.to_string(),
            Shape::Parts { at: Some(at), repository, .. } => format!("{at}.{repository}"),
            Shape::Parts { at: None, repository, .. } => repository.to_string(),
        }
    }
}

/// Puts the texts of fields into `{path}`; nothing where one of them is absent.
fn filled(template: &str, object: &Node) -> Option<String> {
    let mut text = String::new();
    let mut rest = template;
    while let Some((front, behind)) = rest.split_once('{') {
        let (path, after) = behind.split_once('}')?;
        let path: FieldPath = path.parse().ok()?;
        let (node, _) = path.find(object, "").into_iter().next()?;
        text.extend([front, node.text()?]);
        rest = after;
    }
    Some(text + rest)
}
