//! Values of a release: from ConfigMaps and Secrets in the files, then its own.

use super::FluxError;
use super::kit::{Known, ReleaseNode};
use crate::discover::ValueLayer;
use crate::discover::files::FileError;
use crate::document::yaml::{self, Node, Value as Yaml};
use crate::document::yaml_value::to_json;
use crate::model::Finding;
use serde_json::Value;

const STAND_IN: &str = "its values may decide what runs: put those that matter into a file (a ConfigMap, or a Secret with \
                        stringData; an empty one will do where none matters) and name it under objects of this entry";

/// Returns the layers, lowest first.
pub(super) fn layers(
    release: &ReleaseNode<'_>,
    known: &Known<'_>,
    findings: &mut Vec<Finding>,
) -> Result<Vec<ValueLayer>, Vec<FluxError>> {
    let (mut layers, mut errors) = (Vec::new(), Vec::new());
    for (at, item) in release.spec(&["valuesFrom"]).map(Node::items).unwrap_or_default().iter().enumerate() {
        let place = release.at(item.line, &format!("spec.valuesFrom[{at}]"));
        match from(release, item, &place, known) {
            Ok(layer) => layers.extend(layer),
            Err(FluxError::Absent { place, what, .. }) if item.get("optional").and_then(Node::text) == Some("true") => {
                findings.push(crate::discover::note(place, format!("{what} is optional and not in the folder")));
            }
            Err(error) => errors.push(error),
        }
    }
    if let Some(values) = release.spec(&["values"]) {
        let place = release.at(values.line, "spec.values");
        match &values.value {
            Yaml::Map(_) => layers.push(ValueLayer { place, values: to_json(values) }),
            _ => errors.push(FluxError::Field { place, why: format!("expected a mapping, found {}", values.kind()) }),
        }
    }
    if errors.is_empty() { Ok(layers) } else { Err(errors) }
}

fn from(
    release: &ReleaseNode<'_>,
    item: &Node,
    place: &str,
    known: &Known<'_>,
) -> Result<Option<ValueLayer>, FluxError> {
    let wrong = |why: String| FluxError::Field { place: place.to_owned(), why };
    let text = |key: &str| item.get(key).and_then(Node::text);
    let kind = match text("kind") {
        Some(kind @ ("ConfigMap" | "Secret")) => kind,
        other => return Err(wrong(format!("kind {:?} is none of ConfigMap, Secret", other.unwrap_or_default()))),
    };
    // Values come from the release's own namespace, whatever else the entry says.
    let id = super::ObjectName {
        namespace: release.id.namespace.clone(),
        name: text("name").ok_or_else(|| wrong("name is missing".to_owned()))?.to_owned(),
    };
    let absent = |what: String| FluxError::Absent { place: place.to_owned(), what, advice: STAND_IN };
    let found = known.iter().find(|((other, name), _)| *other == kind && *name == id).map(|(_, built)| *built);
    let built = found.ok_or_else(|| absent(format!("{kind} {id}")))?;
    let field = if kind == "Secret" { "stringData" } else { "data" };
    let key = text("valuesKey").unwrap_or("values.yaml");
    let data = built.node.get(field);
    let Some(node) = data.and_then(|data| data.get(key)) else {
        // A stand-in without data says that nothing in it matters.
        let sealed = built.node.get("data").filter(|_| kind == "Secret");
        return match (data.map(Node::entries).unwrap_or_default(), sealed) {
            ([], None) => Ok(None),
            _ => Err(absent(format!("the key {key:?} of {kind} {id}"))),
        };
    };
    let source = format!("{}:{} {kind}/{id} {field}.{key}", built.file, node.line);
    let values = node.text().ok_or_else(|| wrong(format!("{source}: expected a text, found {}", node.kind())))?;
    let values = match text("targetPath") {
        Some(path) => at_path(path, values).ok_or_else(|| {
            let (what, advice) = ("a targetPath with lists or escapes", "give the value under spec.values");
            FluxError::Unsupported { place: place.to_owned(), what, advice }
        })?,
        None => parsed(values, &source, kind)?,
    };
    Ok(Some(ValueLayer { place: source, values }))
}

/// Reads a file of values that stands in an object. What a Secret says is shown to nobody.
fn parsed(text: &str, source: &str, kind: &str) -> Result<Value, FluxError> {
    let node = match yaml::document(text, source) {
        Ok(node) => node,
        Err(_) if kind == "Secret" => {
            let why = "the text does not parse as YAML; it is not shown, because it is secret".to_owned();
            return Err(FluxError::Field { place: source.to_owned(), why });
        }
        Err(error) => return Err(FileError::from(error).into()),
    };
    match node.value {
        Yaml::Map(_) => Ok(to_json(&node)),
        Yaml::Null => Ok(Value::Object(serde_json::Map::new())),
        _ => Err(FluxError::Field {
            place: source.to_owned(),
            why: format!("values are a mapping, not {}", node.kind()),
        }),
    }
}

/// Puts one value at a path of plain keys.
fn at_path(path: &str, value: &str) -> Option<Value> {
    let plain = path.split('.').all(|key| !key.is_empty() && !key.contains(['[', ']', '\\', ',', '=', '{', '}']));
    let single = to_json(&Node { line: 1, column: 1, value: Yaml::Text { text: value.to_owned(), plain: true } });
    let nest = |inner: Value, key: &str| Value::Object([(key.to_owned(), inner)].into_iter().collect());
    plain.then(|| path.rsplit('.').fold(single, nest))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_value_is_put_at_a_path_of_plain_keys() {
        assert_eq!(at_path("a.b", "1.2.3"), Some(json!({"a": {"b": "1.2.3"}})));
        assert_eq!(at_path("a", "true"), Some(json!({"a": true})));
        for path in ["", "a..b", "a[0].b", "a\\.b"] {
            assert!(at_path(path, "x").is_none(), "{path}");
        }
    }
}
