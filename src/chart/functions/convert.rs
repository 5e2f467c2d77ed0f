//! Conversions, defaults and questions about types.

use super::function;
use crate::chart::template::{Arguments, Function, Trouble, Value, show, whole_number};

/// The group.
pub(super) const FUNCTIONS: &[Function] = &[
    function("toString", |_, given| Ok(text_of(given.any(0)?)?.into())),
    function("toStrings", |_, given| Ok(Value::texts(texts_of(given.any(0)?)?))),
    function("int", |_, given| Ok(Value::Int(int_of(given.any(0)?)))),
    function("int64", |_, given| Ok(Value::Int64(int_of(given.any(0)?)))),
    function("float64", |_, given| Ok(Value::Float(float_of(given.any(0)?)))),
    function("atoi", |_, given| Ok(Value::Int(given.text(0)?.parse().unwrap_or_default()))),
    function("toDecimal", |_, given| {
        Ok(Value::Int64(i64::from_str_radix(&show(given.any(0)?)?, 8).unwrap_or_default()))
    }),
    function("default", |_, given| match given.rest(1).first() {
        Some(value) if value.is_true() => Ok(value.clone()),
        _ => Ok(given.any(0)?.clone()),
    }),
    function("empty", |_, given| Ok((!given.any(0)?.is_true()).into())),
    function("coalesce", |_, given| Ok(given.0.iter().find(|value| value.is_true()).cloned().unwrap_or(Value::Nil))),
    function("all", |_, given| Ok(given.0.iter().all(Value::is_true).into())),
    function("any", |_, given| Ok(given.0.iter().any(Value::is_true).into())),
    function("ternary", |_, given| match given.any(2)? {
        Value::Bool(true) => Ok(given.any(0)?.clone()),
        Value::Bool(false) => Ok(given.any(1)?.clone()),
        other => Err(Trouble::Wrong(format!("the last argument is a truth value, found {}", other.type_name()))),
    }),
    function("typeOf", |_, given| Ok(Value::text(given.any(0)?.type_name()))),
    function("typeIs", |_, given| Ok((given.text(0)? == given.any(1)?.type_name()).into())),
    function("typeIsLike", |_, given| {
        let (asked, found) = (given.text(0)?, given.any(1)?.type_name());
        Ok((asked == found || found.strip_prefix('*') == Some(asked)).into())
    }),
    function("kindOf", |_, given| Ok(Value::text(given.any(0)?.kind()))),
    function("kindIs", |_, given| Ok((given.text(0)? == given.any(1)?.kind()).into())),
    function("deepEqual", |_, given| Ok(given.any(0)?.same(given.any(1)?, 0).into())),
];

/// Returns what `toString` makes of a value.
pub(super) fn text_of(value: &Value) -> Result<String, Trouble> {
    match value {
        Value::Text(text) => Ok(text.to_string()),
        Value::Bytes(bytes) => Ok(String::from_utf8_lossy(bytes).into_owned()),
        other => show(other),
    }
}

/// Returns the items of a list as texts; anything else is a list of one.
pub(super) fn texts_of(value: &Value) -> Result<Vec<String>, Trouble> {
    match value {
        Value::Nil => Ok(Vec::new()),
        Value::List(list) => list.items.iter().filter(|item| !matches!(item, Value::Nil)).map(text_of).collect(),
        other => Ok(vec![text_of(other)?]),
    }
}

/// Returns what `int` makes of a value: 0 where it is no number.
pub(super) fn int_of(value: &Value) -> i64 {
    match value {
        Value::Int(number) | Value::Int64(number) => *number,
        #[expect(clippy::cast_possible_truncation, reason = "as Go cuts it")]
        Value::Float(number) => *number as i64,
        Value::Bool(truth) => i64::from(*truth),
        Value::Text(text) => int_of_text(text),
        _ => 0,
    }
}

/// Reads a whole number with Go's prefixes; zeros behind a point do not count.
fn int_of_text(text: &str) -> i64 {
    let text = match text.split_once('.') {
        Some((whole, zeros)) if !zeros.is_empty() && zeros.bytes().all(|b| b == b'0') => whole,
        _ => text,
    };
    whole_number(&text.replace('_', "")).unwrap_or_default()
}

/// Returns what `float64` makes of a value: 0 where it is no number.
pub(super) fn float_of(value: &Value) -> f64 {
    match value {
        #[expect(clippy::cast_precision_loss, reason = "as Go rounds it")]
        Value::Int(number) | Value::Int64(number) => *number as f64,
        Value::Float(number) => *number,
        Value::Bool(truth) => f64::from(u8::from(*truth)),
        Value::Text(text) => text.parse().unwrap_or_default(),
        _ => 0.0,
    }
}

/// Returns the texts that all arguments from `from` on are.
pub(super) fn texts(given: &Arguments, from: usize) -> Result<Vec<&str>, Trouble> {
    (from..given.0.len()).map(|at| given.text(at)).collect()
}
