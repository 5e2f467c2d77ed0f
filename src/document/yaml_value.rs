//! What a YAML node means to Helm: the JSON value that its own reader makes of it.
//!
//! Helm reads YAML the way Kubernetes tools do, which is YAML 1.1: `yes` and `on` without quotes are true, `0755` is
//! a number in base 8. A node keeps its spelling; its scalars lose it here, for charts' own values as well.

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

/// Returns what a text without quotes stands for; itself where JSON has no form for the number.
fn plain(text: &str) -> Value {
    scalar(text).unwrap_or_else(|| Value::String(text.to_owned()))
}

/// Says what a text without quotes is to Go's `sigs.k8s.io/yaml`; nothing where it is a number that JSON has no form for.
pub fn scalar(text: &str) -> Option<Value> {
    Some(match text {
        "" | "~" | "null" | "Null" | "NULL" => Value::Null,
        "y" | "Y" | "yes" | "Yes" | "YES" | "true" | "True" | "TRUE" | "on" | "On" | "ON" => Value::Bool(true),
        "n" | "N" | "no" | "No" | "NO" | "false" | "False" | "FALSE" | "off" | "Off" | "OFF" => Value::Bool(false),
        _ if is_not_finite(text) => return None,
        _ => match number(text) {
            Some(number) => Value::Number(number),
            None => Value::String(text.to_owned()),
        },
    })
}

fn is_not_finite(text: &str) -> bool {
    let unsigned = text.strip_prefix(['+', '-']).unwrap_or(text);
    matches!(unsigned, ".inf" | ".Inf" | ".INF") || matches!(text, ".nan" | ".NaN" | ".NAN")
}

fn number(text: &str) -> Option<Number> {
    match text.as_bytes().first()? {
        b'.' => float(text),
        b'0'..=b'9' | b'+' | b'-' => {
            if looks_like_a_date(text) {
                return None;
            }
            let plain = text.replace('_', "");
            integer(&plain).or_else(|| float(&plain))
        }
        _ => None,
    }
}

fn looks_like_a_date(text: &str) -> bool {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    digits == 4 && text.as_bytes().get(4) == Some(&b'-')
}

/// Reads an integer with Go's prefixes; a leading 0 means octal.
fn integer(text: &str) -> Option<Number> {
    let (negative, digits) = match text.as_bytes().first()? {
        b'-' => (true, &text[1..]),
        b'+' => (false, &text[1..]),
        _ => (false, text),
    };
    let lower = digits.to_ascii_lowercase();
    let (radix, digits) = if let Some(rest) = lower.strip_prefix("0x") {
        (16, rest)
    } else if let Some(rest) = lower.strip_prefix("0b") {
        (2, rest)
    } else if let Some(rest) = lower.strip_prefix("0o") {
        (8, rest)
    } else if lower.len() > 1 && lower.starts_with('0') {
        (8, &lower[1..])
    } else {
        (10, lower.as_str())
    };
    if digits.is_empty() || !digits.bytes().all(|b| b.is_ascii_alphanumeric()) {
        return None;
    }
    let size = u64::from_str_radix(digits, radix).ok()?;
    if negative { i64::try_from(-i128::from(size)).ok().map(Number::from) } else { Some(Number::from(size)) }
}

/// Reads a float of the form `12.5e3`.
fn float(text: &str) -> Option<Number> {
    let unsigned = text.strip_prefix(['+', '-']).unwrap_or(text);
    let (mantissa, exponent) = match unsigned.find(['e', 'E']) {
        Some(at) => (&unsigned[..at], Some(&unsigned[at + 1..])),
        None => (unsigned, None),
    };
    let digits = |text: &str| text.bytes().all(|b| b.is_ascii_digit());
    let (whole, part) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let exponent_good = exponent.is_none_or(|text| {
        let text = text.strip_prefix(['+', '-']).unwrap_or(text);
        !text.is_empty() && digits(text)
    });
    if !digits(whole) || !digits(part) || (whole.is_empty() && part.is_empty()) || !exponent_good {
        return None;
    }
    Number::from_f64(text.parse().ok()?)
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
