//! JSON patches (RFC 6902) on a tree of YAML nodes.

use super::tree::{entries_mut, items_mut, remove, same, set};
use crate::document::yaml::{Node, Value};

/// Applies the operations of `patch`, a list, to `object`. Fails as a whole: then `object` is not whole.
pub(super) fn apply(object: &mut Node, patch: &Node) -> Result<(), String> {
    for (at, operation) in patch.items().iter().enumerate() {
        one(object, operation).map_err(|why| format!("operation {at}: {why}"))?;
    }
    Ok(())
}

fn one(object: &mut Node, operation: &Node) -> Result<(), String> {
    let text = |key: &str| operation.get(key).and_then(Node::text).ok_or_else(|| format!("{key} is missing"));
    // A value that is null is a value, unlike one that is absent.
    let value = || {
        let found = operation.entries().iter().find(|entry| entry.key == "value");
        found.map(|entry| entry.value.clone()).ok_or_else(|| "value is missing".to_owned())
    };
    let path = text("path")?;
    match text("op")? {
        "add" => add(object, path, value()?),
        "remove" => take(object, path).map(drop),
        "replace" => {
            let place = find_mut(object, path).ok_or_else(|| missing(path))?;
            *place = value()?;
            Ok(())
        }
        "copy" => {
            let from = text("from")?;
            let found = find_mut(object, from).ok_or_else(|| missing(from))?.clone();
            add(object, path, found)
        }
        "move" => {
            let found = take(object, text("from")?)?;
            add(object, path, found)
        }
        "test" => match find_mut(object, path) {
            Some(found) if same(found, &value()?) => Ok(()),
            _ => Err(format!("the test of {path} does not hold")),
        },
        other => Err(format!("op {other:?} is none of add, remove, replace, copy, move, test")),
    }
}

fn missing(path: &str) -> String {
    format!("the object has nothing at {path}")
}

fn steps(path: &str) -> Option<Vec<String>> {
    if path.is_empty() {
        return Some(Vec::new());
    }
    let path = path.strip_prefix('/')?;
    Some(path.split('/').map(|step| step.replace("~1", "/").replace("~0", "~")).collect())
}

fn find_mut<'n>(object: &'n mut Node, path: &str) -> Option<&'n mut Node> {
    let mut node = object;
    for step in steps(path)? {
        node = match &mut node.value {
            Value::Map(entries) => &mut entries.iter_mut().find(|entry| entry.key == step)?.value,
            Value::List(items) => items.get_mut(index(&step)?)?,
            _ => return None,
        };
    }
    Some(node)
}

fn index(step: &str) -> Option<usize> {
    step.bytes().all(|b| b.is_ascii_digit()).then(|| step.parse().ok())?
}

/// Parts a path into the one above and its last step.
fn parted(path: &str) -> Result<(&str, String), String> {
    let (above, last) = path.rsplit_once('/').ok_or_else(|| format!("{path:?} is no JSON pointer"))?;
    Ok((above, last.replace("~1", "/").replace("~0", "~")))
}

fn add(object: &mut Node, path: &str, value: Node) -> Result<(), String> {
    if path.is_empty() {
        *object = value;
        return Ok(());
    }
    let (above, last) = parted(path)?;
    let place = find_mut(object, above).ok_or_else(|| missing(above))?;
    if entries_mut(place).is_some() {
        set(place, &last, value);
        return Ok(());
    }
    let items = items_mut(place).ok_or_else(|| format!("{above} is no collection"))?;
    let at = if last == "-" { Some(items.len()) } else { index(&last) };
    match at.filter(|at| *at <= items.len()) {
        Some(at) => items.insert(at, value),
        None => return Err(missing(path)),
    }
    Ok(())
}

fn take(object: &mut Node, path: &str) -> Result<Node, String> {
    let (above, last) = parted(path)?;
    let place = find_mut(object, above).ok_or_else(|| missing(above))?;
    if entries_mut(place).is_some() {
        return remove(place, &last).ok_or_else(|| missing(path));
    }
    let items = items_mut(place).ok_or_else(|| missing(path))?;
    let at = index(&last).filter(|at| *at < items.len()).ok_or_else(|| missing(path))?;
    Ok(items.remove(at))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::document::yaml;

    fn patched(base: &str, patch: &str) -> Result<Node, String> {
        let mut base = yaml::document(base, "base").unwrap();
        apply(&mut base, &yaml::document(patch, "patch").unwrap()).map(|()| base)
    }

    #[test]
    fn every_operation_does_what_the_standard_says() {
        for (base, patch, wanted) in [
            ("a: {b: [1, 3]}", "[{op: add, path: /a/b/1, value: 2}]", "a: {b: [1, 2, 3]}"),
            ("a: {b: [1]}", "[{op: add, path: /a/b/-, value: 2}]", "a: {b: [1, 2]}"),
            ("a: {}", "[{op: add, path: /a/x~1y, value: 1}]", "a: {x/y: 1}"),
            ("a: {b: 1, c: 2}", "[{op: remove, path: /a/b}]", "a: {c: 2}"),
            ("a: [1, 2]", "[{op: remove, path: /a/0}]", "a: [2]"),
            ("a: [{image: x}]", "[{op: replace, path: /a/0/image, value: y}]", "a: [{image: y}]"),
            ("a: 1", "[{op: copy, from: /a, path: /b}]", "{a: 1, b: 1}"),
            ("a: 1", "[{op: move, from: /a, path: /b}]", "b: 1"),
            ("a: 1", "[{op: test, path: /a, value: 1}]", "a: 1"),
            ("a: 1", "[{op: replace, path: /a, value: ~}]", "a: ~"),
        ] {
            let found = patched(base, patch).unwrap_or_else(|e| panic!("{patch}: {e}"));
            assert!(same(&found, &yaml::document(wanted, "wanted").unwrap()), "{patch}: {found:?}");
        }
    }

    #[test]
    fn what_cannot_be_done_is_told_with_its_number() {
        for (patch, said) in [
            ("[{op: replace, path: /b, value: 1}]", "operation 0: the object has nothing at /b"),
            ("[{op: test, path: /a, value: 1}, {op: remove, path: /a/9}]", "operation 1"),
            ("[{op: explode, path: /a}]", "none of add"),
            ("[{op: add, path: /a}]", "value is missing"),
            ("[{op: add, path: a, value: 1}]", "no JSON pointer"),
            ("[{op: test, path: /a, value: 2}]", "does not hold"),
            ("[{path: /a}]", "op is missing"),
        ] {
            let error = patched("a: 1", patch).expect_err(patch);
            assert!(error.contains(said), "{patch}: {error}");
        }
        assert!(patched("a: [1]", "[{op: add, path: /a/5, value: 1}]").unwrap_err().contains("/a/5"));
    }
}
