//! What a YAML node means to Helm: the JSON value that its own reader makes of it.
//!
//! Helm reads YAML the way Kubernetes tools do, which is YAML 1.1: `yes` and `on` without quotes are true, `0755` is
//! a number in base 8. A node keeps its spelling; this is the one place where it loses it.

use super::yaml::{Node, Value as Yaml};
use serde_json::{Map, Number, Value};

/// Returns the value that `node` stands for.
pub fn to_json(node: &Node) -> Value {
    match &node.value {
        Yaml::Null => Value::Null,
        Yaml::Text { text, plain: false } => Value::String(text.clone()),
        Yaml::Text { text, plain: true } => plain(text),
        Yaml::List(items) => Value::Array(items.iter().map(to_json).collect()),
        Yaml::Map(entries) => {
            let pairs = entries.iter().map(|entry| (entry.key.clone(), to_json(&entry.value)));
            Value::Object(pairs.collect::<Map<_, _>>())
        }
    }
}

/// Returns what a text without quotes stands for.
fn plain(text: &str) -> Value {
    match text {
        "y" | "Y" | "yes" | "Yes" | "YES" | "true" | "True" | "TRUE" | "on" | "On" | "ON" => Value::Bool(true),
        "n" | "N" | "no" | "No" | "NO" | "false" | "False" | "FALSE" | "off" | "Off" | "OFF" => Value::Bool(false),
        _ => number(text).map_or_else(|| Value::String(text.to_owned()), Value::Number),
    }
}

fn number(text: &str) -> Option<Number> {
    if !text.starts_with(|c: char| c.is_ascii_digit() || matches!(c, '.' | '+' | '-')) {
        return None;
    }
    let digits = text.replace('_', "");
    integer(&digits).or_else(|| float(&digits))
}

fn integer(digits: &str) -> Option<Number> {
    let (negative, rest) = match digits.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, digits.strip_prefix('+').unwrap_or(digits)),
    };
    let (base, rest) = match rest.get(..2).map(str::to_ascii_lowercase).as_deref() {
        Some("0x") => (16, &rest[2..]),
        Some("0o") => (8, &rest[2..]),
        Some("0b") => (2, &rest[2..]),
        _ if rest.len() > 1 && rest.starts_with('0') => (8, &rest[1..]),
        _ => (10, rest),
    };
    // A second sign would be taken by the parser of numbers, and is none here.
    if !rest.starts_with(|c: char| c.is_ascii_alphanumeric()) {
        return None;
    }
    match negative {
        true => i64::from_str_radix(&format!("-{rest}"), base).ok().map(Number::from),
        false => u64::from_str_radix(rest, base).ok().map(Number::from),
    }
}

fn float(digits: &str) -> Option<Number> {
    let shaped = digits.bytes().all(|b| b.is_ascii_digit() || matches!(b, b'.' | b'+' | b'-' | b'e' | b'E'));
    let has_digit = digits.bytes().any(|b| b.is_ascii_digit());
    if shaped && has_digit { Number::from_f64(digits.parse().ok()?) } else { None }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::document::yaml;
    use proptest::prelude::*;
    use serde_json::json;

    fn value(text: &str) -> Value {
        to_json(&yaml::document(text, "x").unwrap())
    }

    #[test]
    fn plain_texts_mean_what_they_mean_to_helm() {
        for (text, meant) in [
            ("yes", json!(true)),
            ("off", json!(false)),
            ("'yes'", json!("yes")),
            ("1.10", json!(1.1)),
            ("\"1.10\"", json!("1.10")),
            ("1.2.3", json!("1.2.3")),
            ("0755", json!(493)),
            ("0x1F", json!(31)),
            ("0o17", json!(15)),
            ("0b101", json!(5)),
            ("1_000", json!(1000)),
            ("-7", json!(-7)),
            ("+7", json!(7)),
            ("18446744073709551615", json!(18_446_744_073_709_551_615_u64)),
            ("1e3", json!(1000.0)),
            ("08", json!(8.0)),
            ("-", json!("-")),
            ("--7", json!("--7")),
            ("+-7", json!("+-7")),
            ("2031-04-01", json!("2031-04-01")),
            (".inf", json!(".inf")),
            ("~", json!(null)),
            ("v1", json!("v1")),
        ] {
            let text = if text == "-" { "'-'" } else { text };
            assert_eq!(value(&format!("a: {text}")), json!({ "a": meant }), "{text}");
        }
    }

    #[test]
    fn collections_keep_their_shape() {
        let text = "a: &x [1, {b: two}]\nc: *x\nd: {}\n";
        assert_eq!(value(text), json!({"a": [1, {"b": "two"}], "c": [1, {"b": "two"}], "d": {}}));
    }

    proptest! {
        #[test]
        fn any_plain_text_has_a_value(text in "[-+0-9a-fxob_.eE]{1,12}") {
            let _ = plain(&text);
        }
    }
}
