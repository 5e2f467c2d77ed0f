//! YAML, JSON and TOML in and out.

use super::function;
use super::{toml, yaml};
use crate::chart::template::{Arguments, Engine, Function, Table, Trouble, Value, WALK_DEPTH, signed_exponent};
use crate::chart::values;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value as Json;
use std::collections::BTreeMap;
use std::rc::Rc;

/// The group.
pub(super) const FUNCTIONS: &[Function] = &[
    function("toYaml", |engine, given| Ok(yaml::write(engine, given.any(0)?)?.into())),
    function("mustToYaml", |engine, given| Ok(yaml::write(engine, given.any(0)?)?.into())),
    function("toYamlPretty", |engine, given| Ok(yaml::write_pretty(engine, given.any(0)?)?.into())),
    function("fromYaml", |_, given| {
        let read = values::any(given.text(0)?, "fromYaml");
        Ok(mapping(read.map_err(|why| why.to_string())))
    }),
    function("fromYamlArray", |_, given| {
        let read = values::any(given.text(0)?, "fromYamlArray");
        Ok(sequence(read.map_err(|why| why.to_string())))
    }),
    function("toJson", |engine, given| Ok(json(engine, given, Style { escapes: true, indents: false })?.into())),
    function("mustToJson", |engine, given| Ok(json(engine, given, Style { escapes: true, indents: false })?.into())),
    function("toRawJson", |engine, given| Ok(json(engine, given, Style { escapes: false, indents: false })?.into())),
    function(
        "mustToRawJson",
        |engine, given| Ok(json(engine, given, Style { escapes: false, indents: false })?.into()),
    ),
    function("toPrettyJson", |engine, given| Ok(json(engine, given, Style { escapes: true, indents: true })?.into())),
    function("mustToPrettyJson", |engine, given| {
        Ok(json(engine, given, Style { escapes: true, indents: true })?.into())
    }),
    function("fromJson", |_, given| Ok(mapping(read_json(given.text(0)?)))),
    function("mustFromJson", |_, given| Ok(Value::from_json(&read_json(given.text(0)?)?))),
    function("fromJsonArray", |_, given| Ok(sequence(read_json(given.text(0)?)))),
    function("toToml", |engine, given| Ok(toml::write(engine, given.any(0)?)?.into())),
    // Reading TOML is not worth a parser: no chart that was looked at does it.
    function("fromToml", |_, _| Err("is not known to this renderer".into())),
];

fn read_json(text: &str) -> Result<Json, String> {
    serde_json::from_str(text).map_err(|why| why.to_string())
}

fn wrong_kind(read: &Json) -> String {
    let kind = match read {
        Json::Array(_) => "array",
        Json::Object(_) => "object",
        Json::String(_) => "string",
        Json::Number(_) => "number",
        _ => "bool",
    };
    format!("error unmarshaling JSON: while decoding JSON: json: cannot unmarshal {kind} into Go value")
}

/// Returns a dictionary; what is none becomes one with the words of the error, as Helm does.
fn mapping(read: Result<Json, String>) -> Value {
    let why = match read {
        Ok(Json::Null) => return Value::map(BTreeMap::new()),
        Ok(map @ Json::Object(_)) => return Value::from_json(&map),
        Ok(other) => wrong_kind(&other),
        Err(why) => why,
    };
    Value::map([(Rc::from("Error"), why.into())].into())
}

fn sequence(read: Result<Json, String>) -> Value {
    match read {
        Ok(Json::Null) => Value::list(Vec::new()),
        Ok(list @ Json::Array(_)) => Value::from_json(&list),
        Ok(other) => Value::list(vec![wrong_kind(&other).into()]),
        Err(why) => Value::list(vec![why.into()]),
    }
}

/// How JSON is written.
#[derive(Clone, Copy)]
struct Style {
    /// Whether `<`, `>` and `&` are escaped.
    escapes: bool,
    /// Whether it stands in lines.
    indents: bool,
}

fn json(engine: &mut Engine, given: &Arguments, style: Style) -> Result<String, Trouble> {
    let mut out = String::new();
    write_json(engine, &mut out, given.any(0)?, (style, 0))?;
    Ok(out)
}

fn write_json(engine: &mut Engine, out: &mut String, value: &Value, how: (Style, usize)) -> Result<(), Trouble> {
    let (style, depth) = how;
    if depth > WALK_DEPTH {
        return Err(Trouble::Limit("a value that holds itself, or nests too deep, is no JSON".to_owned()));
    }
    engine.take_bytes(8)?;
    match value {
        Value::Nil => out.push_str("null"),
        Value::Bool(truth) => out.push_str(if *truth { "true" } else { "false" }),
        Value::Int(number) | Value::Int64(number) => out.push_str(&number.to_string()),
        Value::Float(number) => out.push_str(&float(*number)),
        Value::Text(text) => write_text(out, text, style),
        Value::Bytes(bytes) => write_text(out, &STANDARD.encode(bytes), style),
        Value::Version(version) => write_text(out, &version.to_string(), style),
        Value::Time(seconds) => write_text(out, &super::time::format(*seconds, "2006-01-02T15:04:05Z07:00"), style),
        Value::List(list) => {
            let items = list.items.iter().map(|item| (None, item));
            write_items(engine, out, ('[', ']'), items, how)?;
        }
        Value::Map(table) => {
            let entries = table.entries.borrow();
            let items = entries.iter().map(|(key, item)| (Some(&**key), item));
            write_items(engine, out, ('{', '}'), items, how)?;
        }
        Value::Record(record) => {
            let items = record.fields.iter().map(|(_, name, item)| (Some(*name), item));
            write_items(engine, out, ('{', '}'), items.filter(|(_, item)| item.is_true()), how)?;
        }
    }
    Ok(())
}

fn write_items<'v>(
    engine: &mut Engine,
    out: &mut String,
    signs: (char, char),
    items: impl Iterator<Item = (Option<&'v str>, &'v Value)>,
    how: (Style, usize),
) -> Result<(), Trouble> {
    let (style, depth) = how;
    let line = |out: &mut String, depth: usize| {
        if style.indents {
            out.push('\n');
            out.extend(std::iter::repeat_n("  ", depth));
        }
    };
    out.push(signs.0);
    let mut any = false;
    for (key, item) in items {
        if any {
            out.push(',');
        }
        any = true;
        line(out, depth + 1);
        if let Some(key) = key {
            write_text(out, key, style);
            out.push_str(if style.indents { ": " } else { ":" });
        }
        write_json(engine, out, item, (style, depth + 1))?;
    }
    if any {
        line(out, depth);
    }
    out.push(signs.1);
    Ok(())
}

fn write_text(out: &mut String, text: &str, style: Style) {
    out.push('"');
    for sign in text.chars() {
        match sign {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            '\u{8}' => out.push_str("\\b"),
            '\u{c}' => out.push_str("\\f"),
            '<' | '>' | '&' if style.escapes => out.push_str(&format!("\\u{:04x}", u32::from(sign))),
            '\u{2028}' | '\u{2029}' => out.push_str(&format!("\\u{:04x}", u32::from(sign))),
            other if u32::from(other) < 0x20 => out.push_str(&format!("\\u{:04x}", u32::from(other))),
            other => out.push(other),
        }
    }
    out.push('"');
}

/// Returns a number as Go's JSON has it: an exponent only where it is very small or very large.
pub(super) fn float(number: f64) -> String {
    let size = number.abs();
    if size != 0.0 && !(1e-6..1e21).contains(&size) {
        let text = format!("{number:e}");
        let (mantissa, exponent) = text.split_once('e').unwrap_or((&text, "0"));
        let exponent: i32 = exponent.parse().unwrap_or_default();
        let written = signed_exponent(exponent);
        // Go writes e-07 as e-7 here.
        return format!("{mantissa}e{}", written.replacen("-0", "-", 1));
    }
    number.to_string()
}

/// Returns a table's entries in the order in which they are written.
pub(super) fn entries(table: &Table) -> Vec<(Rc<str>, Value)> {
    table.entries.borrow().iter().map(|(key, value)| (key.clone(), value.clone())).collect()
}
