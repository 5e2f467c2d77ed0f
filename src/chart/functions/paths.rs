//! Paths and addresses.

use super::compare::shared;
use super::function;
use crate::chart::template::{Arguments, Engine, Function, Trouble, Value};
use std::collections::BTreeMap;

/// The group.
pub(super) const FUNCTIONS: &[Function] = &[
    function("base", |_, given| Ok(Value::text(base(given.text(0)?)))),
    function("osBase", |_, given| Ok(Value::text(base(given.text(0)?)))),
    function("dir", |_, given| Ok(dir(given.text(0)?).into())),
    function("osDir", |_, given| Ok(dir(given.text(0)?).into())),
    function("clean", |_, given| Ok(clean(given.text(0)?).into())),
    function("osClean", |_, given| Ok(clean(given.text(0)?).into())),
    function("ext", |_, given| Ok(Value::text(ext(given.text(0)?)))),
    function("osExt", |_, given| Ok(Value::text(ext(given.text(0)?)))),
    function("isAbs", |_, given| Ok(given.text(0)?.starts_with('/').into())),
    function("osIsAbs", |_, given| Ok(given.text(0)?.starts_with('/').into())),
    function("urlParse", url_parse),
    function("urlJoin", url_join),
    // Names are not looked up: helm does not either unless told.
    function("getHostByName", |_, _| Ok(Value::text(""))),
];

/// Returns the last part of a path.
pub(super) fn base(path: &str) -> &str {
    if path.is_empty() {
        return ".";
    }
    let path = path.trim_end_matches('/');
    if path.is_empty() { "/" } else { path.rsplit('/').next().unwrap_or(path) }
}

fn dir(path: &str) -> String {
    clean(path.rfind('/').map_or("", |at| &path[..=at]))
}

fn ext(path: &str) -> &str {
    let name = path.rsplit('/').next().unwrap_or(path);
    name.rfind('.').map_or("", |at| &name[at..])
}

fn clean(path: &str) -> String {
    let rooted = path.starts_with('/');
    let mut parts: Vec<&str> = Vec::new();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." if parts.last().is_some_and(|last| *last != "..") => {
                parts.pop();
            }
            ".." if rooted => {}
            part => parts.push(part),
        }
    }
    let joined = parts.join("/");
    match (rooted, joined.is_empty()) {
        (true, _) => format!("/{joined}"),
        (false, true) => ".".to_owned(),
        (false, false) => joined,
    }
}

fn url_parse(_: &mut Engine, given: &Arguments) -> Result<Value, Trouble> {
    let text = given.text(0)?;
    let (rest, fragment) = text.split_once('#').unwrap_or((text, ""));
    let (rest, query) = rest.split_once('?').unwrap_or((rest, ""));
    let is_scheme = |scheme: &str| {
        scheme.starts_with(|c: char| c.is_ascii_alphabetic())
            && scheme.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '+' | '-' | '.'))
    };
    let (scheme, rest) = rest.split_once(':').filter(|(scheme, _)| is_scheme(scheme)).unwrap_or(("", rest));
    let (mut userinfo, mut host, mut path, mut opaque) = ("", "", rest, "");
    if let Some(after) = rest.strip_prefix("//") {
        let end = after.find('/').unwrap_or(after.len());
        let (authority, behind) = after.split_at(end);
        (userinfo, host) = authority.rsplit_once('@').unwrap_or(("", authority));
        path = behind;
    } else if !scheme.is_empty() && !rest.starts_with('/') {
        (path, opaque) = ("", rest);
    }
    let hostname = match host.strip_prefix('[') {
        Some(inner) => inner.split(']').next().unwrap_or(inner),
        None => host.rsplit_once(':').map_or(host, |(name, _)| name),
    };
    let scheme = scheme.to_ascii_lowercase();
    let parts = [
        ("scheme", scheme.as_str()),
        ("host", host),
        ("hostname", hostname),
        ("path", path),
        ("query", query),
        ("opaque", opaque),
        ("fragment", fragment),
        ("userinfo", userinfo),
    ];
    Ok(Value::map(parts.iter().map(|(key, value)| (shared(key), Value::text(value))).collect::<BTreeMap<_, _>>()))
}

fn url_join(_: &mut Engine, given: &Arguments) -> Result<Value, Trouble> {
    let table = given.map(0)?;
    let part = |key: &str| match table.entries.borrow().get(key) {
        Some(Value::Text(text)) => text.to_string(),
        _ => String::new(),
    };
    let mut url = String::new();
    let (scheme, host, user, path) = (part("scheme"), part("host"), part("userinfo"), part("path"));
    if !scheme.is_empty() {
        url.push_str(&format!("{scheme}:"));
    }
    if !part("opaque").is_empty() {
        url.push_str(&part("opaque"));
    } else {
        if !scheme.is_empty() || !host.is_empty() || !user.is_empty() {
            url.push_str("//");
        }
        if !user.is_empty() {
            url.push_str(&format!("{user}@"));
        }
        url.push_str(&host);
        if !path.is_empty() && !path.starts_with('/') && !host.is_empty() {
            url.push('/');
        }
        url.push_str(&path);
    }
    for (mark, part) in [('?', part("query")), ('#', part("fragment"))] {
        if !part.is_empty() {
            url.push(mark);
            url.push_str(&part);
        }
    }
    Ok(url.into())
}
