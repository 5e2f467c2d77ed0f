//! Methods of Helm's own values: `.Files.Get`, `.Capabilities.APIVersions.Has`, those of versions and times.

use super::paths::base;
use super::time;
use super::yaml;
use crate::chart::template::{Arguments, Engine, ListKind, Table, TableKind, Trouble, Value};
use crate::chart::version::Version;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use regex::Regex;
use std::cmp::Ordering;
use std::collections::BTreeMap;
use std::rc::Rc;

type Called = Option<Result<Value, Trouble>>;

/// Calls the method `name` of `value`; nothing where it has none of that name.
pub(crate) fn call(engine: &mut Engine, value: &Value, name: &str, given: &Arguments) -> Called {
    match value {
        Value::Map(table) => match table.kind {
            TableKind::Files => files(engine, table, name, given),
            TableKind::Texts => None,
            // Values of a chart and of the charts below it are plain dictionaries here.
            TableKind::Any | TableKind::Values => values(engine, table, value, name),
        },
        Value::List(list) if list.kind == ListKind::Versions && name == "Has" => {
            let has = |asked: &str| list.items.iter().any(|item| matches!(item, Value::Text(text) if &**text == asked));
            Some(given.text(0).map(|asked| has(asked).into()))
        }
        Value::Record(record) if record.name == "chartutil.KubeVersion" && matches!(name, "GitVersion" | "String") => {
            Some(Ok(record.get("Version").cloned().unwrap_or(Value::Nil)))
        }
        Value::Version(version) => of_version(version, name, given),
        Value::Time(seconds) => of_time(*seconds, name, given),
        _ => None,
    }
}

fn values(engine: &mut Engine, table: &Table, value: &Value, name: &str) -> Called {
    match name {
        "AsMap" | "YAML" if table.entries.borrow().contains_key(name) => None,
        "AsMap" => Some(Ok(value.clone())),
        "YAML" => Some(yaml::write(engine, value).map(|text| format!("{text}\n").into())),
        _ => None,
    }
}

fn files(engine: &mut Engine, table: &Rc<Table>, name: &str, given: &Arguments) -> Called {
    let content = |path: &str| match table.entries.borrow().get(path) {
        Some(Value::Bytes(bytes)) => bytes.clone(),
        _ => [].into(),
    };
    let text = |path: &str| String::from_utf8_lossy(&content(path)).into_owned();
    Some(match name {
        "Get" => given.text(0).map(|path| text(path).into()),
        "GetBytes" => given.text(0).map(|path| Value::Bytes(content(path))),
        "Lines" => given.text(0).map(|path| lines(&text(path))),
        "Glob" => given.text(0).map(|pattern| glob(table, pattern)),
        "AsConfig" => flat(engine, table, |bytes| String::from_utf8_lossy(bytes).into_owned()),
        "AsSecrets" => flat(engine, table, |bytes| STANDARD.encode(bytes)),
        _ => return None,
    })
}

fn lines(text: &str) -> Value {
    if text.is_empty() {
        return Value::texts(Vec::<String>::new());
    }
    Value::texts(text.strip_suffix('\n').unwrap_or(text).split('\n'))
}

/// Writes files as the `data` of a ConfigMap or Secret, under the last part of their paths.
fn flat(engine: &mut Engine, table: &Table, with: fn(&[u8]) -> String) -> Result<Value, Trouble> {
    let mut entries: BTreeMap<Rc<str>, Value> = BTreeMap::new();
    for (path, content) in table.entries.borrow().iter() {
        if let Value::Bytes(bytes) = content {
            entries.insert(base(path).into(), with(bytes).into());
        }
    }
    Ok(yaml::write(engine, &Value::map(entries))?.into())
}

fn glob(table: &Table, pattern: &str) -> Value {
    // A pattern that is none matches everything, as in Helm.
    let pattern = expression(pattern);
    let fits = |path: &str| pattern.as_ref().is_none_or(|pattern| pattern.is_match(path));
    let entries = table.entries.borrow();
    let found = entries.iter().filter(|(path, _)| fits(path)).map(|(path, content)| (path.clone(), content.clone()));
    Value::table(found.collect(), TableKind::Files)
}

/// Makes a regular expression of a pattern of paths: `*` and `?` stop at a slash, `**` does not.
fn expression(pattern: &str) -> Option<Regex> {
    let mut out = String::from(r"\A(?s:");
    let mut signs = pattern.chars().peekable();
    let mut open = 0;
    while let Some(sign) = signs.next() {
        match sign {
            '*' if signs.next_if_eq(&'*').is_some() => out.push_str(".*"),
            '*' => out.push_str("[^/]*"),
            '?' => out.push_str("[^/]"),
            '{' => {
                open += 1;
                out.push_str("(?:");
            }
            '}' if open > 0 => {
                open -= 1;
                out.push(')');
            }
            ',' if open > 0 => out.push('|'),
            '[' => {
                out.push('[');
                if signs.next_if_eq(&'!').is_some() {
                    out.push('^');
                }
                for sign in signs.by_ref() {
                    match sign {
                        ']' => break,
                        '-' => out.push('-'),
                        other => out.push_str(&regex::escape(&other.to_string())),
                    }
                }
                out.push(']');
            }
            '\\' => out.push_str(&regex::escape(&signs.next()?.to_string())),
            other => out.push_str(&regex::escape(&other.to_string())),
        }
    }
    out.push_str(r")\z");
    Regex::new(&out).ok()
}

fn of_version(version: &Version, name: &str, given: &Arguments) -> Called {
    let number = |number: u64| Value::Int64(i64::try_from(number).unwrap_or(i64::MAX));
    let compared = || match given.any(0) {
        Ok(Value::Version(other)) => Ok(version.compare(other)),
        Ok(other) => Err(Trouble::Wrong(format!("takes a version, found {}", other.type_name()))),
        Err(trouble) => Err(trouble),
    };
    Some(match name {
        "Major" => Ok(number(version.major)),
        "Minor" => Ok(number(version.minor)),
        "Patch" => Ok(number(version.patch)),
        "Prerelease" => Ok(Value::text(&version.pre)),
        "Metadata" => Ok(Value::text(&version.build)),
        "Original" => Ok(Value::text(&version.original)),
        "String" => Ok(version.to_string().into()),
        "Compare" => compared().map(|order| Value::Int(order as i64)),
        "Equal" => compared().map(|order| (order == Ordering::Equal).into()),
        "GreaterThan" => compared().map(|order| (order == Ordering::Greater).into()),
        "LessThan" => compared().map(|order| (order == Ordering::Less).into()),
        _ => return None,
    })
}

fn of_time(seconds: i64, name: &str, given: &Arguments) -> Called {
    let number = |layout: &str| Ok(Value::Int(time::format(seconds, layout).parse().unwrap_or_default()));
    Some(match name {
        "Format" => given.text(0).map(|layout| time::format(seconds, layout).into()),
        "Unix" => Ok(Value::Int64(seconds)),
        "UTC" | "Local" => Ok(Value::Time(seconds)),
        "String" => Ok(time::format(seconds, "2006-01-02 15:04:05 -0700 MST").into()),
        "Year" => number("2006"),
        "Month" => number("1"),
        "Day" => number("2"),
        "Hour" => number("15"),
        "Minute" => number("4"),
        "Second" => number("5"),
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_of_files_are_those_of_helm() {
        let fits = |pattern: &str, path: &str| expression(pattern).unwrap().is_match(path);
        for (pattern, path) in [
            ("conf/*", "conf/a.ini"),
            ("conf/**", "conf/a/b.ini"),
            ("**.yaml", "a/b.yaml"),
            ("{a,b}/*.[ij]ni", "b/x.ini"),
            ("conf/[!b].ini", "conf/a.ini"),
        ] {
            assert!(fits(pattern, path), "{pattern} {path}");
        }
        for (pattern, path) in [("conf/*", "conf/a/b.ini"), ("conf/?", "conf/ab"), ("a.b", "axb")] {
            assert!(!fits(pattern, path), "{pattern} {path}");
        }
    }
}
