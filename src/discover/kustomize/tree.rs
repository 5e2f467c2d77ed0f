//! Small changes of a tree of YAML nodes.

use crate::document::yaml::{Entry, Node, Value};

/// Returns the value under `key`, for a change.
pub(super) fn get_mut<'n>(node: &'n mut Node, key: &str) -> Option<&'n mut Node> {
    entries_mut(node)?.iter_mut().find(|entry| entry.key == key).map(|entry| &mut entry.value)
}

/// Returns the entries of a mapping, for a change.
pub(super) fn entries_mut(node: &mut Node) -> Option<&mut Vec<Entry>> {
    match &mut node.value {
        Value::Map(entries) => Some(entries),
        _ => None,
    }
}

/// Returns the items of a list, for a change.
pub(super) fn items_mut(node: &mut Node) -> Option<&mut Vec<Node>> {
    match &mut node.value {
        Value::List(items) => Some(items),
        _ => None,
    }
}

/// Puts `value` under `key`, in place of what is there.
pub(super) fn set(node: &mut Node, key: &str, value: Node) {
    if !matches!(node.value, Value::Map(_)) {
        node.value = Value::Map(Vec::new());
    }
    let Some(entries) = entries_mut(node) else { return };
    match entries.iter_mut().find(|entry| entry.key == key) {
        Some(entry) => entry.value = value,
        None => {
            entries.push(Entry { key: key.to_owned(), plain: false, line: value.line, column: value.column, value })
        }
    }
}

/// Takes out what is under `key`.
pub(super) fn remove(node: &mut Node, key: &str) -> Option<Node> {
    let entries = entries_mut(node)?;
    let at = entries.iter().position(|entry| entry.key == key)?;
    Some(entries.remove(at).value)
}

/// Makes a text that stands where `at` does.
pub(super) fn text_at(at: &Node, text: impl Into<String>) -> Node {
    Node { line: at.line, column: at.column, value: Value::Text { text: text.into(), plain: false } }
}

/// Makes an empty mapping that stands where `at` does.
pub(super) const fn map_at(at: &Node) -> Node {
    Node { line: at.line, column: at.column, value: Value::Map(Vec::new()) }
}

/// Returns whether a tree says the same as another, wherever it stands.
pub(super) fn same(one: &Node, other: &Node) -> bool {
    match (&one.value, &other.value) {
        (Value::Null, Value::Null) => true,
        (Value::Text { text: a, .. }, Value::Text { text: b, .. }) => a == b,
        (Value::List(a), Value::List(b)) => a.len() == b.len() && a.iter().zip(b).all(|(a, b)| same(a, b)),
        (Value::Map(a), Value::Map(b)) => {
            let in_b = |key: &str| b.iter().find(|entry| entry.key == key);
            a.len() == b.len() && a.iter().all(|a| in_b(&a.key).is_some_and(|b| same(&a.value, &b.value)))
        }
        _ => false,
    }
}
