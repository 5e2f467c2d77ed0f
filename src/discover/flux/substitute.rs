//! Placeholders: `${NAME}`, `${NAME:=default}` and `${NAME:-default}`, filled in as Flux fills them.
//!
//! `$${NAME}` is the text `${NAME}`. A placeholder without a value stays as it is here: who needs the text decides
//! whether that matters. Other forms (`${NAME#...}`, `${NAME/a/b}`) stay as well.

use super::super::kustomize::Built;
use crate::document::yaml::{self, Node, Value};
use std::collections::{BTreeMap, BTreeSet};

/// Values of placeholders; remembers which had none.
pub(super) struct Substitution<'v> {
    values: &'v BTreeMap<String, String>,
    /// Placeholders that have no value, by name.
    pub(super) open: BTreeSet<String>,
    /// Values that were used, by name.
    pub(super) used: BTreeSet<String>,
}

impl<'v> Substitution<'v> {
    /// Takes the values.
    pub(super) const fn new(values: &'v BTreeMap<String, String>) -> Self {
        Self { values, open: BTreeSet::new(), used: BTreeSet::new() }
    }

    /// Fills in the placeholders of an object, unless it says that Flux shall leave it alone.
    pub(super) fn object(&mut self, built: &mut Built) {
        let field = |part: &str| built.node.at(&["metadata", part, "kustomize.toolkit.fluxcd.io/substitute"]);
        let disabled =
            ["labels", "annotations"].into_iter().filter_map(field).any(|node| node.text() == Some("disabled"));
        if !disabled {
            self.node(&mut built.node);
        }
    }

    fn node(&mut self, node: &mut Node) {
        match &mut node.value {
            Value::Null => {}
            Value::List(items) => items.iter_mut().for_each(|item| self.node(item)),
            Value::Map(entries) => {
                for entry in entries {
                    if let Some(key) = self.text(&entry.key) {
                        entry.key = key;
                    }
                    self.node(&mut entry.value);
                }
            }
            Value::Text { text, plain } => {
                let Some(filled) = self.text(text) else { return };
                // Flux fills in before it reads YAML, so a list may come out of a text without quotes.
                let opens = *plain && filled.starts_with(['[', '{']) && !text.starts_with(['[', '{']);
                match opens.then(|| yaml::document(&filled, "")).and_then(Result::ok) {
                    Some(read) => node.value = read.value,
                    None => *text = filled,
                }
            }
        }
    }

    /// Returns the text with its placeholders filled in; nothing where it has none.
    fn text(&mut self, text: &str) -> Option<String> {
        if !text.contains("${") {
            return None;
        }
        let mut out = String::new();
        let mut rest = text;
        while let Some(at) = rest.find("${") {
            let escaped = rest[..at].ends_with('$');
            out.push_str(&rest[..at - usize::from(escaped)]);
            let end = rest[at..].find('}').map_or(rest.len(), |end| at + end + 1);
            let whole = &rest[at..end];
            match self.value(whole).filter(|_| !escaped) {
                Some(value) => out.push_str(&value),
                None => out.push_str(whole),
            }
            rest = &rest[end..];
        }
        Some(out + rest)
    }

    fn value(&mut self, whole: &str) -> Option<String> {
        let inside = whole.strip_prefix("${")?.strip_suffix('}')?;
        let name_ends = inside.find(|c: char| !(c.is_ascii_alphanumeric() || c == '_')).unwrap_or(inside.len());
        let (name, form) = inside.split_at(name_ends);
        if name.is_empty() || name.starts_with(|c: char| c.is_ascii_digit()) {
            return None;
        }
        let default = form.strip_prefix(":=").or_else(|| form.strip_prefix(":-"));
        let given = self.values.get(name).filter(|value| default.is_none() || !value.is_empty());
        match (given, default) {
            (Some(value), _) if form.is_empty() || default.is_some() => {
                self.used.insert(name.to_owned());
                Some(value.clone())
            }
            (None, Some(default)) => Some(default.to_owned()),
            _ => {
                self.open.insert(name.to_owned());
                None
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn filled(text: &str) -> (String, Vec<String>) {
        let values =
            BTreeMap::from([("A", "x"), ("EMPTY", ""), ("LIST", "[1, 2]")].map(|(k, v)| (k.to_owned(), v.to_owned())));
        let mut substitution = Substitution::new(&values);
        let text = substitution.text(text).unwrap_or_else(|| text.to_owned());
        (text, substitution.open.into_iter().collect())
    }

    #[test]
    fn placeholders_are_filled_in_as_flux_does_it() {
        for (text, wanted) in [
            ("a.${A}.b", "a.x.b"),
            ("${A}${A}", "xx"),
            ("${B:=d}-${B:-e}-${A:=d}", "d-e-x"),
            ("${EMPTY}|${EMPTY:=d}", "|d"),
            ("$${A} $A ${A", "${A} $A ${A"),
            ("none", "none"),
            ("${B:=}", ""),
        ] {
            assert_eq!(filled(text).0, wanted, "{text}");
        }
        assert_eq!(filled("${B}/${A#x}"), ("${B}/${A#x}".to_owned(), vec!["A".to_owned(), "B".to_owned()]));
    }

    #[test]
    fn a_list_may_come_out_of_a_text_without_quotes() {
        let values = BTreeMap::from([("L".to_owned(), "[a, b]".to_owned())]);
        let mut built = Built { file: "x".to_owned(), node: yaml::document("p: ${L}\nq: \"${L}\"", "x").unwrap() };
        Substitution::new(&values).object(&mut built);
        assert_eq!(built.node.get("p").unwrap().items().len(), 2);
        assert_eq!(built.node.get("q").unwrap().text(), Some("[a, b]"));
    }

    #[test]
    fn an_object_may_be_left_alone() {
        let values = BTreeMap::from([("A".to_owned(), "x".to_owned())]);
        let text = "metadata: {annotations: {kustomize.toolkit.fluxcd.io/substitute: disabled}}\ndata: {k: '${A}'}";
        let mut built = Built { file: "x".to_owned(), node: yaml::document(text, "x").unwrap() };
        Substitution::new(&values).object(&mut built);
        assert_eq!(built.node.at(&["data", "k"]).unwrap().text(), Some("${A}"));
    }

    proptest! {
        #[test]
        fn any_text_is_filled_in_without_a_panic(text in "[$ab{}:=A-]{0,24}|\\PC{0,16}") {
            let _ = filled(&text);
        }
    }
}
