//! Strategic merge patches: what a patch says replaces or joins what an object says.
//!
//! Kubernetes' own kinds join their lists of containers, volumes, variables and so on by a key; other kinds
//! replace lists as a whole, as Kustomize does without a schema.

use super::tree::{entries_mut, items_mut, same, set};
use crate::document::yaml::{Entry, Node, Value};

const DIRECTIVE: &str = "$patch";

/// Puts `patch` into `base`. `native` says whether the kind is one of Kubernetes' own. Fails for directives that
/// are not known; then `base` is not whole.
pub(super) fn merge(base: &mut Node, patch: &Node, native: bool) -> Result<(), String> {
    match &patch.value {
        Value::Map(entries) => match directive(patch)? {
            Some("replace") => *base = without_directive(patch),
            Some("delete") => base.value = Value::Null,
            _ => merge_map(base, entries, native)?,
        },
        _ => *base = patch.clone(),
    }
    Ok(())
}

fn merge_map(base: &mut Node, entries: &[Entry], native: bool) -> Result<(), String> {
    if !matches!(base.value, Value::Map(_)) {
        base.value = Value::Map(Vec::new());
    }
    for entry in entries.iter().filter(|entry| entry.key != DIRECTIVE) {
        if entry.key.starts_with("$setElementOrder/") {
            continue;
        }
        if entry.key.starts_with('$') {
            return Err(format!("the directive {} is not supported", entry.key));
        }
        merge_entry(base, entry, native)?;
    }
    Ok(())
}

fn merge_entry(base: &mut Node, entry: &Entry, native: bool) -> Result<(), String> {
    let Some(own) = entries_mut(base) else { return Ok(()) };
    let at = own.iter().position(|own| own.key == entry.key);
    let deletes = entry.value.value == Value::Null || directive(&entry.value)? == Some("delete");
    match (at, &entry.value.value) {
        (Some(at), _) if deletes => drop(own.remove(at)),
        (None, _) if deletes => {}
        (Some(at), Value::List(items)) => match native.then(|| merge_key(&entry.key, items)).flatten() {
            Some(key) => merge_list(&mut own[at].value, items, key)?,
            None => own[at].value = entry.value.clone(),
        },
        (Some(at), _) => merge(&mut own[at].value, &entry.value, native)?,
        (None, Value::Map(_)) => {
            // Directives inside of what is new must not stay in it.
            let mut fresh = Node { value: Value::Map(Vec::new()), ..entry.value };
            merge(&mut fresh, &entry.value, native)?;
            set(base, &entry.key, fresh);
        }
        (None, _) => set(base, &entry.key, entry.value.clone()),
    }
    Ok(())
}

/// Returns the key by which a list of Kubernetes' own kinds is joined.
fn merge_key(field: &str, items: &[Node]) -> Option<&'static str> {
    match field {
        "containers"
        | "initContainers"
        | "ephemeralContainers"
        | "volumes"
        | "env"
        | "imagePullSecrets"
        | "secrets" => Some("name"),
        "volumeMounts" => Some("mountPath"),
        "volumeDevices" => Some("devicePath"),
        "hostAliases" => Some("ip"),
        "topologySpreadConstraints" => Some("topologyKey"),
        "ports" if items.iter().any(|item| item.get("containerPort").is_some()) => Some("containerPort"),
        "ports" => Some("port"),
        _ => None,
    }
}

fn merge_list(base: &mut Node, patch: &[Node], key: &str) -> Result<(), String> {
    if patch.iter().any(|item| directive(item) == Ok(Some("replace")) && item.entries().len() == 1) {
        let kept = patch.iter().filter(|item| item.get(DIRECTIVE).is_none());
        base.value = Value::List(kept.cloned().collect());
        return Ok(());
    }
    let Some(items) = items_mut(base) else {
        base.value = Value::List(patch.to_vec());
        return Ok(());
    };
    for item in patch {
        let Some(name) = item.get(key) else {
            return Err(format!("an item of a list that is joined by {key:?} has no {key}"));
        };
        let at = items.iter().position(|own| own.get(key).is_some_and(|own| same(own, name)));
        match (at, directive(item)?) {
            (Some(at), Some("delete")) => drop(items.remove(at)),
            (None, Some("delete")) => {}
            (Some(at), _) => merge(&mut items[at], item, true)?,
            (None, _) => items.push(without_directive(item)),
        }
    }
    Ok(())
}

/// Returns what a mapping says about itself.
fn directive(node: &Node) -> Result<Option<&str>, String> {
    match node.get(DIRECTIVE).map(Node::text) {
        None => Ok(None),
        Some(Some(known @ ("replace" | "delete" | "merge"))) => Ok(Some(known)),
        Some(other) => Err(format!("$patch: {} is none of replace, delete, merge", other.unwrap_or("(no text)"))),
    }
}

fn without_directive(node: &Node) -> Node {
    let mut copy = node.clone();
    if let Some(entries) = entries_mut(&mut copy) {
        entries.retain(|entry| entry.key != DIRECTIVE);
    }
    copy
}

/// Returns whether the patch takes away the object as a whole.
pub(super) fn deletes(patch: &Node) -> bool {
    patch.get(DIRECTIVE).and_then(Node::text) == Some("delete")
}

/// Returns whether Kubernetes itself knows objects of this group, and so how their lists are joined.
pub(super) fn is_native(group: &str) -> bool {
    !group.contains('.') || group.ends_with(".k8s.io")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::document::yaml;

    fn merged(base: &str, patch: &str, native: bool) -> Result<Node, String> {
        let mut base = yaml::document(base, "base").unwrap();
        let patch = yaml::document(patch, "patch").unwrap();
        merge(&mut base, &patch, native).map(|()| base)
    }

    fn becomes(base: &str, patch: &str, native: bool, wanted: &str) {
        let found = merged(base, patch, native).unwrap();
        assert!(same(&found, &yaml::document(wanted, "wanted").unwrap()), "{base} + {patch}: {found:?}");
    }

    #[test]
    fn lists_of_own_kinds_are_joined_by_their_key_and_others_are_replaced() {
        let base = "containers: [{name: a, image: 'a:1', env: [{name: X, value: '1'}]}, {name: b, image: 'b:1'}]";
        let patch = "containers: [{name: a, image: 'a:2', env: [{name: Y, value: '2'}]}, {name: c, image: 'c:1'}]";
        let joined = "containers: [{name: a, image: 'a:2', env: [{name: X, value: '1'}, {name: Y, value: '2'}]}, \
                      {name: b, image: 'b:1'}, {name: c, image: 'c:1'}]";
        becomes(base, patch, true, joined);
        becomes(base, patch, false, patch);
        becomes("args: [a, b]", "args: [c]", true, "args: [c]");
    }

    #[test]
    fn directives_delete_and_replace() {
        let base = "containers: [{name: a, image: 'a:1'}, {name: b, image: 'b:1'}]\nx: {y: 1, z: 2}";
        becomes(base, "containers: [{name: a, $patch: delete}]\nx: ~", true, "containers: [{name: b, image: 'b:1'}]");
        becomes(
            base,
            "containers: [{$patch: replace}, {name: c, image: 'c:1'}]\nx: {$patch: replace, q: 3}",
            true,
            "containers: [{name: c, image: 'c:1'}]\nx: {q: 3}",
        );
        becomes("x: {}", "x: {y: {$patch: merge, z: 1}}", true, "x: {y: {z: 1}}");
        assert!(merged("x: {}", "x: {$patch: explode}", true).unwrap_err().contains("explode"));
        assert!(merged("x: {}", "x: {$retainKeys: [a]}", true).unwrap_err().contains("$retainKeys"));
        assert!(merged("containers: []", "containers: [{image: x}]", true).unwrap_err().contains("no name"));
    }
}
