//! Values that templates work with: what Go's reflection would show them.
//!
//! Dictionaries are shared and can be changed in place; lists, texts and records cannot. A dictionary may hold
//! itself, so whoever walks values counts how deep it is ([`WALK_DEPTH`]).

use crate::chart::version::Version;
use serde_json::Value as Json;
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::mem;
use std::rc::Rc;

/// How deep values may nest where they are walked: printed, compared, copied, written.
pub(crate) const WALK_DEPTH: usize = 200;

/// A value.
#[derive(Debug, Clone)]
pub(crate) enum Value {
    /// Nothing: a key that is not there, or a null.
    Nil,
    /// Truth value.
    Bool(bool),
    /// Go's `int`.
    Int(i64),
    /// Go's `int64`.
    Int64(i64),
    /// Go's `float64`; every number of a chart's values is one.
    Float(f64),
    /// Text.
    Text(Rc<str>),
    /// Bytes of a file.
    Bytes(Rc<[u8]>),
    /// List.
    List(Rc<List>),
    /// Dictionary.
    Map(Rc<Table>),
    /// One of Helm's own values with fields and methods.
    Record(Rc<Record>),
    /// Version with its methods.
    Version(Rc<Version>),
    /// Time in seconds since 1970.
    Time(i64),
}

/// A list.
#[derive(Debug, Default)]
pub(crate) struct List {
    /// Items.
    pub items: Vec<Value>,
    /// What it is beyond a list.
    pub kind: ListKind,
}

/// What a list is beyond a list.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) enum ListKind {
    /// Nothing.
    #[default]
    Any,
    /// Texts only.
    Texts,
    /// Versions of interfaces, which can be asked whether they hold one.
    Versions,
}

/// A dictionary.
#[derive(Debug, Default)]
pub(crate) struct Table {
    /// Entries by key.
    pub entries: RefCell<BTreeMap<Rc<str>, Value>>,
    /// What it is beyond a dictionary.
    pub kind: TableKind,
}

/// What a dictionary is beyond a dictionary.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) enum TableKind {
    /// Nothing.
    #[default]
    Any,
    /// Values of a chart.
    Values,
    /// Texts only: a key that is not there is an empty text.
    Texts,
    /// Files of a chart, with methods.
    Files,
}

/// One of Helm's own values.
#[derive(Debug)]
pub(crate) struct Record {
    /// Go's name of its type.
    pub name: &'static str,
    /// Fields: name for templates, name in JSON, value.
    pub fields: Vec<(&'static str, &'static str, Value)>,
}

impl Record {
    /// Returns a field.
    pub fn get(&self, name: &str) -> Option<&Value> {
        self.fields.iter().find(|(field, ..)| *field == name).map(|(.., value)| value)
    }
}

impl Value {
    /// Makes a text.
    pub fn text(text: impl AsRef<str>) -> Self {
        Self::Text(text.as_ref().into())
    }

    /// Makes a list of anything.
    pub fn list(items: Vec<Self>) -> Self {
        Self::List(Rc::new(List { items, kind: ListKind::Any }))
    }

    /// Makes a list of texts.
    pub fn texts(items: impl IntoIterator<Item = impl AsRef<str>>) -> Self {
        let items = items.into_iter().map(Self::text).collect();
        Self::List(Rc::new(List { items, kind: ListKind::Texts }))
    }

    /// Makes a dictionary.
    pub fn map(entries: BTreeMap<Rc<str>, Self>) -> Self {
        Self::Map(Rc::new(Table { entries: RefCell::new(entries), kind: TableKind::Any }))
    }

    /// Makes a dictionary of a kind.
    pub fn table(entries: BTreeMap<Rc<str>, Self>, kind: TableKind) -> Self {
        Self::Map(Rc::new(Table { entries: RefCell::new(entries), kind }))
    }

    /// Makes a record.
    pub fn record(name: &'static str, fields: Vec<(&'static str, &'static str, Self)>) -> Self {
        Self::Record(Rc::new(Record { name, fields }))
    }

    /// Takes what JSON or YAML holds; every number becomes a float, as in Helm.
    pub fn from_json(json: &Json) -> Self {
        match json {
            Json::Null => Self::Nil,
            Json::Bool(truth) => Self::Bool(*truth),
            Json::Number(number) => Self::Float(number.as_f64().unwrap_or_default()),
            Json::String(text) => Self::text(text),
            Json::Array(items) => Self::list(items.iter().map(Self::from_json).collect()),
            Json::Object(map) => {
                Self::map(map.iter().map(|(key, value)| (key.as_str().into(), Self::from_json(value))).collect())
            }
        }
    }

    /// Returns whether a condition takes this for true.
    pub fn is_true(&self) -> bool {
        match self {
            Self::Nil => false,
            Self::Bool(truth) => *truth,
            Self::Int(number) | Self::Int64(number) => *number != 0,
            Self::Float(number) => *number != 0.0,
            Self::Text(text) => !text.is_empty(),
            Self::Bytes(bytes) => !bytes.is_empty(),
            Self::List(list) => !list.items.is_empty(),
            Self::Map(table) => !table.entries.borrow().is_empty(),
            Self::Record(_) | Self::Version(_) | Self::Time(_) => true,
        }
    }

    /// Go's kind of the value.
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::Nil => "invalid",
            Self::Bool(_) => "bool",
            Self::Int(_) => "int",
            Self::Int64(_) => "int64",
            Self::Float(_) => "float64",
            Self::Text(_) => "string",
            Self::Bytes(_) | Self::List(_) => "slice",
            Self::Map(_) => "map",
            Self::Record(_) | Self::Time(_) => "struct",
            Self::Version(_) => "ptr",
        }
    }

    /// Go's type of the value.
    pub fn type_name(&self) -> &'static str {
        match self {
            Self::Nil => "<nil>",
            Self::Bytes(_) => "[]uint8",
            Self::List(list) => match list.kind {
                ListKind::Any => "[]interface {}",
                ListKind::Texts => "[]string",
                ListKind::Versions => "chartutil.VersionSet",
            },
            Self::Map(table) => match table.kind {
                TableKind::Any => "map[string]interface {}",
                TableKind::Values => "chartutil.Values",
                TableKind::Texts => "map[string]string",
                TableKind::Files => "engine.files",
            },
            Self::Record(record) => record.name,
            Self::Version(_) => "*semver.Version",
            Self::Time(_) => "time.Time",
            other => other.kind(),
        }
    }

    /// Returns what a key of this dictionary holds; a key that is not there gives the zero value of the kind.
    pub fn lookup(table: &Table, key: &str) -> Self {
        match table.entries.borrow().get(key) {
            Some(value) => value.clone(),
            None if table.kind == TableKind::Texts => Self::text(""),
            None => Self::Nil,
        }
    }

    /// Returns whether two values are deeply equal; an `int` is no `int64`, as for Go.
    pub fn same(&self, other: &Self, depth: usize) -> bool {
        if depth > WALK_DEPTH {
            return false;
        }
        match (self, other) {
            (Self::Nil, Self::Nil) => true,
            (Self::Bool(a), Self::Bool(b)) => a == b,
            (Self::Int(a), Self::Int(b)) | (Self::Int64(a), Self::Int64(b)) | (Self::Time(a), Self::Time(b)) => a == b,
            (Self::Float(a), Self::Float(b)) => a == b,
            (Self::Text(a), Self::Text(b)) => a == b,
            (Self::Bytes(a), Self::Bytes(b)) => a == b,
            (Self::Version(a), Self::Version(b)) => a == b,
            (Self::List(a), Self::List(b)) => {
                a.items.len() == b.items.len() && a.items.iter().zip(&b.items).all(|(a, b)| a.same(b, depth + 1))
            }
            (Self::Map(a), Self::Map(b)) if Rc::ptr_eq(a, b) => true,
            (Self::Map(a), Self::Map(b)) => {
                let (a, b) = (a.entries.borrow(), b.entries.borrow());
                a.len() == b.len() && a.iter().zip(b.iter()).all(|((k, a), (l, b))| k == l && a.same(b, depth + 1))
            }
            (Self::Record(a), Self::Record(b)) => Rc::ptr_eq(a, b),
            _ => false,
        }
    }
}

impl From<bool> for Value {
    fn from(truth: bool) -> Self {
        Self::Bool(truth)
    }
}

impl From<String> for Value {
    fn from(text: String) -> Self {
        Self::Text(text.into())
    }
}

// Values that nest deeply are taken apart one by one: the stack does not grow with what a chart builds.

impl Drop for Table {
    fn drop(&mut self) {
        take_apart(mem::take(self.entries.get_mut()).into_values().collect());
    }
}

impl Drop for List {
    fn drop(&mut self) {
        take_apart(mem::take(&mut self.items));
    }
}

fn take_apart(mut values: Vec<Value>) {
    while let Some(value) = values.pop() {
        match value {
            Value::List(list) => {
                if let Some(mut list) = Rc::into_inner(list) {
                    values.append(&mut list.items);
                }
            }
            Value::Map(table) => {
                if let Some(mut table) = Rc::into_inner(table) {
                    values.extend(mem::take(table.entries.get_mut()).into_values());
                }
            }
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_that_nest_a_million_deep_are_given_up_without_a_deep_stack() {
        let deep = (0..1_000_000).fold(Value::Nil, |inner, _| Value::list(vec![inner]));
        drop(deep);
        let deep = (0..1_000_000).fold(Value::Nil, |inner, _| Value::map([("a".into(), inner)].into()));
        drop(deep);
    }

    #[test]
    fn equality_is_that_of_go() {
        assert!(!Value::Int(1).same(&Value::Int64(1), 0));
        assert!(!Value::Int(1).same(&Value::Float(1.0), 0));
        let map = || Value::map([("a".into(), Value::list(vec![Value::Int(1), Value::text("x")]))].into());
        assert!(map().same(&map(), 0));
    }
}
