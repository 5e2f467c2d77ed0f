//! `values.schema.json`: what a chart's authors say that values have to be. Follows JSON Schema, draft 7 and later, as far
//! as charts use it; what is not understood asks for nothing, and [`not_checked`] names it.

use super::coalesce::Table;
use super::load::Chart;
use regex::Regex;
use serde_json::{Map, Value};
use std::collections::BTreeSet;

const FILE: &str = "values.schema.json";
/// Faults that an error names.
const NAMED: usize = 8;
/// Schemas within schemas that are followed; a reference that leads to itself ends here.
const DEPTH: usize = 64;
/// Comparisons of a value with a schema in one chart.
const STEPS: usize = 500_000;

/// Keywords that are understood, and those that ask for nothing.
const UNDERSTOOD: &[&str] = &[
    "type",
    "enum",
    "const",
    "properties",
    "patternProperties",
    "additionalProperties",
    "required",
    "propertyNames",
    "minProperties",
    "maxProperties",
    "dependencies",
    "dependentRequired",
    "dependentSchemas",
    "items",
    "prefixItems",
    "additionalItems",
    "minItems",
    "maxItems",
    "uniqueItems",
    "contains",
    "minLength",
    "maxLength",
    "pattern",
    "minimum",
    "maximum",
    "exclusiveMinimum",
    "exclusiveMaximum",
    "multipleOf",
    "allOf",
    "anyOf",
    "oneOf",
    "not",
    "if",
    "then",
    "else",
    "$ref",
];
/// Keywords that would ask for something and are not understood.
const ASKING: &[&str] = &[
    "$dynamicRef",
    "$recursiveRef",
    "unevaluatedProperties",
    "unevaluatedItems",
    "minContains",
    "maxContains",
    "format",
];

/// Checks the values of a chart and of those below it; says in words what does not fit.
pub(super) fn check(chart: &Chart, values: &Table) -> Result<(), String> {
    below(chart, values, &chart.metadata.name)
}

fn below(chart: &Chart, values: &Table, place: &str) -> Result<(), String> {
    if let Some(schema) = read(chart, place)? {
        let mut checker = Checker { root: &schema, steps: 0, alone: refers_alone(&schema) };
        let faults = checker.faults(&schema, &Value::Object(values.clone()), At { path: "", depth: 0 });
        if !faults.is_empty() {
            let more = if faults.len() > NAMED { format!(" and {} more", faults.len() - NAMED) } else { String::new() };
            let few: Vec<String> = faults.into_iter().take(NAMED).collect();
            return Err(format!("the values do not meet {place}/{FILE}: {}{more}", few.join("; ")));
        }
    }
    for part in &chart.dependencies {
        let name = &part.metadata.name;
        if let Some(Value::Object(values)) = values.get(name) {
            below(part, values, &format!("{place}/charts/{name}"))?;
        }
    }
    Ok(())
}

fn read(chart: &Chart, place: &str) -> Result<Option<Value>, String> {
    let Some(bytes) = chart.file(FILE) else { return Ok(None) };
    serde_json::from_slice(bytes).map(Some).map_err(|error| format!("{place}/{FILE} is no JSON: {error}"))
}

/// Returns what the schemas of a chart and of those below it ask for that is not checked: keywords and references.
pub fn not_checked(chart: &Chart) -> BTreeSet<String> {
    let mut found: BTreeSet<String> = chart.dependencies.iter().flat_map(not_checked).collect();
    if let Ok(Some(schema)) = read(chart, "") {
        asked(&schema, &schema, &mut found, 0);
    }
    found
}

fn asked(schema: &Value, root: &Value, into: &mut BTreeSet<String>, depth: usize) {
    let Value::Object(map) = schema else { return };
    if depth > DEPTH {
        return;
    }
    for (key, value) in map {
        match (key.as_str(), value) {
            ("$ref", Value::String(to)) if resolve(root, to).is_none() => {
                into.insert(format!("$ref {to}"));
            }
            ("pattern", Value::String(text)) if Regex::new(text).is_err() => {
                into.insert(format!("pattern {text}"));
            }
            (key, _) if ASKING.contains(&key) => {
                into.insert(key.to_owned());
            }
            (
                "properties" | "patternProperties" | "definitions" | "$defs" | "dependentSchemas",
                Value::Object(named),
            ) => {
                named.values().for_each(|schema| asked(schema, root, into, depth + 1));
            }
            ("enum" | "const" | "default" | "examples", _) => {}
            (key, Value::Object(_)) if UNDERSTOOD.contains(&key) => asked(value, root, into, depth + 1),
            (key, Value::Array(items)) if UNDERSTOOD.contains(&key) => {
                items.iter().for_each(|schema| asked(schema, root, into, depth + 1));
            }
            _ => {}
        }
    }
}

/// Up to draft 7, nothing beside a reference counts.
fn refers_alone(schema: &Value) -> bool {
    let draft = schema.get("$schema").and_then(Value::as_str).unwrap_or_default();
    ["draft-04", "draft-06", "draft-07"].iter().any(|old| draft.contains(old))
}

/// Returns the schema that a reference within the document leads to.
fn resolve<'s>(root: &'s Value, to: &str) -> Option<&'s Value> {
    let pointer = to.strip_prefix('#')?.replace("%25", "%").replace("%24", "$");
    if pointer.is_empty() { Some(root) } else { root.pointer(&pointer) }
}

/// Place of a value, and how deep its schema is.
#[derive(Clone, Copy)]
struct At<'p> {
    path: &'p str,
    depth: usize,
}

impl At<'_> {
    fn says(self, why: impl std::fmt::Display) -> String {
        if self.path.is_empty() { why.to_string() } else { format!("{}: {why}", self.path) }
    }
}

struct Checker<'s> {
    root: &'s Value,
    steps: usize,
    /// Whether a reference stands alone.
    alone: bool,
}

impl Checker<'_> {
    /// Returns what does not fit; empty where all does.
    fn faults(&mut self, schema: &Value, value: &Value, at: At<'_>) -> Vec<String> {
        self.steps += 1;
        let map = match schema {
            Value::Object(map) => map,
            Value::Bool(false) => return vec![at.says("nothing may stand here")],
            _ => return Vec::new(),
        };
        if at.depth > DEPTH || self.steps > STEPS {
            return Vec::new();
        }
        let at = At { depth: at.depth + 1, ..at };
        let mut faults = Vec::new();
        if let Some(to) = map.get("$ref").and_then(Value::as_str) {
            let root = self.root;
            faults.extend(resolve(root, to).map_or_else(Vec::new, |schema| self.faults(schema, value, at)));
            if self.alone {
                return faults;
            }
        }
        faults.extend(kind(map, value, at));
        match value {
            Value::Object(fields) => faults.extend(self.object(map, fields, at)),
            Value::Array(items) => faults.extend(self.array(map, items, at)),
            Value::String(text) => faults.extend(text_faults(map, text, at)),
            Value::Number(_) => faults.extend(number_faults(map, value, at)),
            _ => {}
        }
        faults.extend(self.combined(map, value, at));
        faults
    }

    fn fits(&mut self, schema: &Value, value: &Value, at: At<'_>) -> bool {
        self.faults(schema, value, at).is_empty()
    }

    fn combined(&mut self, map: &Map<String, Value>, value: &Value, at: At<'_>) -> Vec<String> {
        let list = |key: &str| map.get(key).and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
        let mut faults: Vec<String> = list("allOf").iter().flat_map(|schema| self.faults(schema, value, at)).collect();
        let any = list("anyOf");
        if !any.is_empty() && !any.iter().any(|schema| self.fits(schema, value, at)) {
            faults.push(at.says("it fits none of the forms that may stand here"));
        }
        let one = list("oneOf");
        let fitting = one.iter().filter(|schema| self.fits(schema, value, at)).count();
        if !one.is_empty() && fitting != 1 {
            faults.push(at.says(format!("it fits {fitting} of the forms of which one may stand here")));
        }
        if map.get("not").is_some_and(|schema| self.fits(schema, value, at)) {
            faults.push(at.says("it fits a form that may not stand here"));
        }
        if let Some(condition) = map.get("if") {
            let branch = if self.fits(condition, value, at) { "then" } else { "else" };
            faults.extend(map.get(branch).map_or_else(Vec::new, |schema| self.faults(schema, value, at)));
        }
        faults
    }

    fn object(&mut self, map: &Map<String, Value>, fields: &Map<String, Value>, at: At<'_>) -> Vec<String> {
        let mut faults = missing(map.get("required"), fields, at);
        let named = map.get("properties").and_then(Value::as_object);
        let patterns: Vec<(Regex, &Value)> =
            map.get("patternProperties").and_then(Value::as_object).map_or_else(Vec::new, |all| {
                all.iter().filter_map(|(text, schema)| Some((Regex::new(text).ok()?, schema))).collect()
            });
        for (key, value) in fields {
            let path = if at.path.is_empty() { key.clone() } else { format!("{}.{key}", at.path) };
            let inner = At { path: &path, ..at };
            let mut known = false;
            for schema in named.and_then(|named| named.get(key)).into_iter() {
                known = true;
                faults.extend(self.faults(schema, value, inner));
            }
            for (_, schema) in patterns.iter().filter(|(pattern, _)| pattern.is_match(key)) {
                known = true;
                faults.extend(self.faults(schema, value, inner));
            }
            match map.get("additionalProperties").filter(|_| !known) {
                Some(Value::Bool(false)) => faults.push(at.says(format!("{key:?} is none of its fields"))),
                Some(schema) => faults.extend(self.faults(schema, value, inner)),
                None => {}
            }
            if map.get("propertyNames").is_some_and(|schema| !self.fits(schema, &Value::String(key.clone()), inner)) {
                faults.push(at.says(format!("{key:?} is no name that a field may have")));
            }
        }
        faults.extend(counted(map, ("minProperties", "maxProperties", "fields"), fields.len(), at));
        faults.extend(self.depending(map, fields, at));
        faults
    }

    /// What has to stand beside a field that is there.
    fn depending(&mut self, map: &Map<String, Value>, fields: &Map<String, Value>, at: At<'_>) -> Vec<String> {
        let mut faults = Vec::new();
        for key in ["dependencies", "dependentRequired", "dependentSchemas"] {
            let all = map.get(key).and_then(Value::as_object).into_iter().flatten();
            for (_, needed) in all.filter(|(name, _)| fields.contains_key(*name)) {
                faults.extend(match needed {
                    Value::Array(_) => missing(Some(needed), fields, at),
                    schema => self.faults(schema, &Value::Object(fields.clone()), at),
                });
            }
        }
        faults
    }

    fn array(&mut self, map: &Map<String, Value>, items: &[Value], at: At<'_>) -> Vec<String> {
        let first = map.get("prefixItems").or_else(|| map.get("items").filter(|items| items.is_array()));
        let first = first.and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
        let rest = match map.get("items") {
            Some(Value::Array(_)) => map.get("additionalItems"),
            other => other,
        };
        let mut faults = Vec::new();
        for (number, item) in items.iter().enumerate() {
            let path = format!("{}[{number}]", at.path);
            if let Some(schema) = first.get(number).or(rest) {
                faults.extend(self.faults(schema, item, At { path: &path, ..at }));
            }
        }
        faults.extend(counted(map, ("minItems", "maxItems", "items"), items.len(), at));
        let twice =
            || items.iter().enumerate().any(|(number, item)| items[..number].iter().any(|other| same(other, item)));
        if map.get("uniqueItems") == Some(&Value::Bool(true)) && twice() {
            faults.push(at.says("an item stands in it twice"));
        }
        if map.get("contains").is_some_and(|schema| !items.iter().any(|item| self.fits(schema, item, at))) {
            faults.push(at.says("it lacks an item of the form that is wanted"));
        }
        faults
    }
}

/// Checks the keywords that hold for every kind of value.
fn kind(map: &Map<String, Value>, value: &Value, at: At<'_>) -> Vec<String> {
    let mut faults = Vec::new();
    let types: Vec<&str> = match map.get("type") {
        Some(Value::String(one)) => vec![one],
        Some(Value::Array(several)) => several.iter().filter_map(Value::as_str).collect(),
        _ => Vec::new(),
    };
    if !types.is_empty() && !types.iter().any(|name| is(name, value)) {
        faults.push(at.says(format!("expected {}, found {}", types.join(" or "), name(value))));
    }
    if let Some(Value::Array(allowed)) = map.get("enum")
        && !allowed.iter().any(|other| same(other, value))
    {
        let allowed: Vec<String> = allowed.iter().take(NAMED).map(ToString::to_string).collect();
        faults.push(at.says(format!("expected one of {}", allowed.join(", "))));
    }
    if map.get("const").is_some_and(|only| !same(only, value)) {
        faults.push(at.says(format!("expected {}", map.get("const").map(ToString::to_string).unwrap_or_default())));
    }
    faults
}

fn is(name: &str, value: &Value) -> bool {
    match name {
        "null" => value.is_null(),
        "boolean" => value.is_boolean(),
        "string" => value.is_string(),
        "array" => value.is_array(),
        "object" => value.is_object(),
        "number" => value.is_number(),
        "integer" => value.is_i64() || value.is_u64() || value.as_f64().is_some_and(|number| number.fract() == 0.0),
        _ => true,
    }
}

const fn name(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
        Value::Number(_) => "number",
    }
}

/// Returns whether two values are the same; 1 and 1.0 are.
fn same(a: &Value, b: &Value) -> bool {
    match (a, b) {
        (Value::Number(a), Value::Number(b)) => a == b || a.as_f64() == b.as_f64(),
        (Value::Array(a), Value::Array(b)) => a.len() == b.len() && a.iter().zip(b).all(|(a, b)| same(a, b)),
        (Value::Object(a), Value::Object(b)) => {
            a.len() == b.len() && a.iter().all(|(key, value)| b.get(key).is_some_and(|other| same(value, other)))
        }
        _ => a == b,
    }
}

fn missing(names: Option<&Value>, fields: &Map<String, Value>, at: At<'_>) -> Vec<String> {
    let names = names.and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str);
    names.filter(|name| !fields.contains_key(*name)).map(|name| at.says(format!("{name:?} is missing"))).collect()
}

fn counted(map: &Map<String, Value>, (least, most, what): (&str, &str, &str), count: usize, at: At<'_>) -> Vec<String> {
    let bound = |key: &str| map.get(key).and_then(Value::as_f64);
    let count = u32::try_from(count).map_or(f64::INFINITY, f64::from);
    let few = bound(least).filter(|least| count < *least).map(|least| format!("at least {least} {what} are expected"));
    let many = bound(most).filter(|most| count > *most).map(|most| format!("at most {most} {what} are expected"));
    few.into_iter().chain(many).map(|why| at.says(why)).collect()
}

fn text_faults(map: &Map<String, Value>, text: &str, at: At<'_>) -> Vec<String> {
    let mut faults = counted(map, ("minLength", "maxLength", "letters"), text.chars().count(), at);
    let pattern = map.get("pattern").and_then(Value::as_str);
    if let Some(pattern) = pattern.filter(|pattern| Regex::new(pattern).is_ok_and(|pattern| !pattern.is_match(text))) {
        faults.push(at.says(format!("it does not fit {pattern:?}")));
    }
    faults
}

fn number_faults(map: &Map<String, Value>, value: &Value, at: At<'_>) -> Vec<String> {
    let Some(number) = value.as_f64() else { return Vec::new() };
    let bound = |key: &str| map.get(key).and_then(Value::as_f64);
    // In draft 4 the exclusive bounds were marks of the others.
    let strict = |key: &str| map.get(key) == Some(&Value::Bool(true));
    let low = bound("minimum").is_some_and(|least| number < least || (strict("exclusiveMinimum") && number <= least))
        || bound("exclusiveMinimum").is_some_and(|least| number <= least);
    let high = bound("maximum").is_some_and(|most| number > most || (strict("exclusiveMaximum") && number >= most))
        || bound("exclusiveMaximum").is_some_and(|most| number >= most);
    let odd = bound("multipleOf").is_some_and(|step| step > 0.0 && (number / step).fract() != 0.0);
    let said =
        [(low, "it is too small"), (high, "it is too large"), (odd, "it is no multiple of the step that is wanted")];
    said.into_iter().filter(|(wrong, _)| *wrong).map(|(_, why)| at.says(why)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::json;

    fn faults(schema: &Value, value: &Value) -> Vec<String> {
        let mut checker = Checker { root: schema, steps: 0, alone: refers_alone(schema) };
        checker.faults(schema, value, At { path: "", depth: 0 })
    }

    #[test]
    fn each_keyword_asks_for_what_it_says() {
        for (schema, good, bad) in [
            (json!({"type": "integer"}), json!(1.0), json!(1.5)),
            (json!({"type": ["string", "null"]}), json!(null), json!(1)),
            (json!({"enum": [1, "a"]}), json!(1.0), json!("b")),
            (json!({"const": {"a": 1}}), json!({"a": 1.0}), json!({"a": 2})),
            (json!({"required": ["a"]}), json!({"a": null}), json!({"b": 1})),
            (json!({"properties": {"a": {"type": "string"}}}), json!({"b": 1}), json!({"a": 1})),
            (json!({"properties": {"a": {}}, "additionalProperties": false}), json!({"a": 1}), json!({"b": 1})),
            (json!({"additionalProperties": {"type": "string"}}), json!({"x": "y"}), json!({"x": 1})),
            (
                json!({"patternProperties": {"^x-": {"type": "number"}}, "additionalProperties": false}),
                json!({"x-a": 1}),
                json!({"y": 1}),
            ),
            (json!({"propertyNames": {"maxLength": 2}}), json!({"ab": 1}), json!({"abc": 1})),
            (json!({"minProperties": 1, "maxProperties": 2}), json!({"a": 1}), json!({})),
            (json!({"dependentRequired": {"a": ["b"]}}), json!({"c": 1}), json!({"a": 1})),
            (json!({"dependencies": {"a": {"required": ["b"]}}}), json!({"a": 1, "b": 1}), json!({"a": 1})),
            (json!({"items": {"type": "string"}}), json!(["a"]), json!(["a", 1])),
            (json!({"items": [{"type": "string"}], "additionalItems": false}), json!(["a"]), json!(["a", 1])),
            (
                json!({"prefixItems": [{"type": "string"}], "items": {"type": "number"}}),
                json!(["a", 1]),
                json!(["a", "b"]),
            ),
            (json!({"minItems": 1, "maxItems": 2, "uniqueItems": true}), json!([1, 2]), json!([1, 1.0])),
            (json!({"contains": {"const": 1}}), json!([2, 1]), json!([2])),
            (json!({"minLength": 2, "maxLength": 3}), json!("äöü"), json!("ä")),
            (json!({"pattern": "^a+$"}), json!("aa"), json!("ab")),
            (json!({"minimum": 1, "exclusiveMaximum": 3}), json!(2.9), json!(3)),
            (json!({"minimum": 1, "exclusiveMinimum": true}), json!(1.1), json!(1)),
            (json!({"multipleOf": 5}), json!(10), json!(11)),
            (json!({"allOf": [{"type": "string"}, {"minLength": 2}]}), json!("ab"), json!("a")),
            (json!({"anyOf": [{"type": "string"}, {"type": "null"}]}), json!(null), json!(1)),
            (json!({"oneOf": [{"type": "integer"}, {"minimum": 2}]}), json!(1), json!(3)),
            (json!({"not": {"type": "string"}}), json!(1), json!("a")),
            (
                json!({"if": {"required": ["a"]}, "then": {"required": ["b"]}, "else": {"required": ["c"]}}),
                json!({"c": 1}),
                json!({"a": 1}),
            ),
            (
                json!({"$defs": {"t": {"type": "string"}}, "properties": {"a": {"$ref": "#/$defs/t"}}}),
                json!({"a": "b"}),
                json!({"a": 1}),
            ),
            (json!(true), json!(1), json!("no such thing")),
        ] {
            assert_eq!(faults(&schema, &good), Vec::<String>::new(), "{schema} {good}");
            assert!(schema == json!(true) || !faults(&schema, &bad).is_empty(), "{schema} {bad}");
        }
    }

    #[test]
    fn a_fault_has_its_path_and_words() {
        let schema = json!({"properties": {"web": {"properties": {"ports": {"items": {"type": "integer"}}}}}});
        assert_eq!(
            faults(&schema, &json!({"web": {"ports": [80, "x"]}})),
            ["web.ports[1]: expected integer, found string"]
        );
    }

    #[test]
    fn up_to_draft_seven_a_reference_stands_alone() {
        let both = json!({"$defs": {"any": {}}, "$ref": "#/$defs/any", "type": "string"});
        assert_eq!(faults(&both, &json!(1)).len(), 1);
        let mut old = both;
        old["$schema"] = json!("http://json-schema.org/draft-07/schema#");
        assert!(faults(&old, &json!(1)).is_empty());
    }

    #[test]
    fn a_circle_of_references_ends_and_what_is_not_understood_is_named() {
        let schema = json!({"$ref": "#"});
        assert!(faults(&schema, &json!(1)).is_empty());
        let mut found = BTreeSet::new();
        let schema = json!({"properties": {"a": {"$ref": "https://x.example/s"}, "format": {"format": "email", "pattern": "(?=x)"}}});
        asked(&schema, &schema, &mut found, 0);
        assert_eq!(found.into_iter().collect::<Vec<_>>(), ["$ref https://x.example/s", "format", "pattern (?=x)"]);
    }

    proptest! {
        #[test]
        fn any_schema_and_value_are_compared_without_a_panic(text in r##"(\{"(type|items|properties|\$ref|anyOf|enum|required|minimum)":|"#?[a-z/]*"|[0-9]{1,3}|\[|\]|\}|,|true|null){0,16}"##) {
            if let Ok(schema) = serde_json::from_str::<Value>(&text) {
                drop(faults(&schema, &schema));
                asked(&schema, &schema, &mut BTreeSet::new(), 0);
            }
        }
    }
}
