//! Values as Helm reads them from YAML, and as one set lies over another.
//!
//! YAML as Go's `sigs.k8s.io/yaml` takes it: truth values and numbers of YAML 1.1 (`yes`, `on`, `0x1f`, `010`,
//! `1_000`), the last of two equal keys, texts for what looks like a date.

use crate::document::PaperError;
use crate::document::yaml::{self, Node, Reading};
use crate::document::yaml_value::scalar;
use serde_json::{Map, Value};

/// Why values cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ValuesError {
    /// They do not parse.
    #[error(transparent)]
    Paper(#[from] PaperError),
    /// They are a list or a text.
    #[error("{place}: values are a mapping, found {found}")]
    NoMapping {
        /// File as the person called it.
        place: String,
        /// What stands there.
        found: &'static str,
    },
    /// A number that JSON cannot hold.
    #[error("{place}:{line}:{column}: {text} is no number that a chart can be given")]
    Number {
        /// File as the person called it.
        place: String,
        /// Line from 1.
        line: usize,
        /// Column from 1.
        column: usize,
        /// As it stands.
        text: String,
    },
}

/// Reads the values that `text`, called `place`, holds. An empty text holds none.
pub fn load_values(text: &str, place: &str) -> Result<Value, ValuesError> {
    match any(text, place)? {
        Value::Null => Ok(Value::Object(Map::new())),
        map @ Value::Object(_) => Ok(map),
        other => Err(ValuesError::NoMapping { place: place.to_owned(), found: kind(&other) }),
    }
}

/// Reads the first document of `text`, whatever it is, as Helm does.
pub(super) fn any(text: &str, place: &str) -> Result<Value, ValuesError> {
    match yaml::documents_as(Reading::Lenient, text, place)?.next() {
        Some(document) => resolve(&document?, place),
        None => Ok(Value::Null),
    }
}

const fn kind(value: &Value) -> &'static str {
    match value {
        Value::Array(_) => "a list",
        Value::Object(_) => "a mapping",
        Value::Null => "nothing",
        _ => "a text",
    }
}

fn resolve(node: &Node, place: &str) -> Result<Value, ValuesError> {
    match &node.value {
        yaml::Value::Null => Ok(Value::Null),
        yaml::Value::Text { text, plain: false } => Ok(Value::String(text.clone())),
        yaml::Value::Text { text, plain: true } => scalar(text).ok_or_else(|| ValuesError::Number {
            place: place.to_owned(),
            line: node.line,
            column: node.column,
            text: text.clone(),
        }),
        yaml::Value::List(items) => items.iter().map(|item| resolve(item, place)).collect(),
        yaml::Value::Map(entries) => {
            let read = |entry: &yaml::Entry| Ok((key_of(entry), resolve(&entry.value, place)?));
            Ok(Value::Object(entries.iter().map(read).collect::<Result<_, ValuesError>>()?))
        }
    }
}

/// Returns a key as Helm has it: `on` without quotes is a truth value, and so the key is `true`.
fn key_of(entry: &yaml::Entry) -> String {
    match scalar(&entry.key).filter(|_| entry.plain) {
        Some(Value::Bool(truth)) => truth.to_string(),
        Some(Value::Number(number)) if number.is_f64() => number.as_f64().unwrap_or_default().to_string(),
        Some(Value::Number(number)) => number.to_string(),
        _ => entry.key.clone(),
    }
}

/// Lays `over` on `under`: mappings are merged, all else is replaced; a null stays, to remove a value of the chart.
pub(super) fn lay_over(under: &mut Map<String, Value>, over: &Map<String, Value>) {
    for (key, value) in over {
        match (under.get_mut(key), value) {
            (Some(Value::Object(below)), Value::Object(above)) => lay_over(below, above),
            _ => {
                under.insert(key.clone(), value.clone());
            }
        }
    }
}

/// Returns what several sets of values say together, later ones over earlier ones.
pub(super) fn together(sets: &[Value]) -> Map<String, Value> {
    let mut all = Map::new();
    for set in sets {
        if let Value::Object(set) = set {
            lay_over(&mut all, set);
        }
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn scalars_are_what_helm_takes_them_for() {
        let text = "a: yes\nb: 'yes'\nc: 010\nd: 0x1F\ne: 1_000\nf: 1e3\ng: 2024-01-02\nh: 1.2.3\ni: ~\nj: 08\nk: +5\nl: \
                    0.50\nm: off\nq: 1e\no: 12345678901234567890123\n";
        let read = load_values(text, "v.yaml").unwrap();
        let want = json!({"a": true, "b": "yes", "c": 8, "d": 31, "e": 1000, "f": 1000.0, "g": "2024-01-02", "h": "1.2.3",
            "i": null, "j": 8.0, "k": 5, "l": 0.5, "m": false, "q": "1e", "o": 12345678901234567890123.0});
        assert_eq!(read, want);
    }

    #[test]
    fn the_last_of_two_equal_keys_counts_and_anchors_are_followed() {
        let read = load_values("a: 1\nb: &x {c: 2}\na: 3\nd:\n  <<: *x\n  e: 4\n", "v.yaml").unwrap();
        assert_eq!(read, json!({"a": 3, "b": {"c": 2}, "d": {"c": 2, "e": 4}}));
    }

    #[test]
    fn a_key_that_yaml_takes_for_something_else_is_what_helm_makes_of_it() {
        let read = load_values("on: 1\n'off': 2\n010: 3\n1.50: 4\ny: {n: 5}\n", "v.yaml").unwrap();
        assert_eq!(read, json!({"true": {"false": 5}, "off": 2, "8": 3, "1.5": 4}));
    }

    #[test]
    fn what_is_no_mapping_is_refused_with_its_place() {
        assert!(
            load_values("- a\n", "v.yaml")
                .unwrap_err()
                .to_string()
                .contains("v.yaml: values are a mapping, found a list")
        );
        assert!(load_values("a: [\n", "v.yaml").is_err());
        assert!(load_values("a:\n  b: .inf\n", "v.yaml").unwrap_err().to_string().contains("v.yaml:2:6: .inf"));
        assert_eq!(load_values("# nothing\n", "v.yaml").unwrap(), json!({}));
    }

    #[test]
    fn later_sets_lie_over_earlier_ones_and_keep_nulls() {
        let sets = [json!({"a": {"b": 1, "c": 2}, "d": 3}), json!({"a": {"b": null}, "d": {"e": 4}})];
        assert_eq!(Value::Object(together(&sets)), json!({"a": {"b": null, "c": 2}, "d": {"e": 4}}));
    }
}
