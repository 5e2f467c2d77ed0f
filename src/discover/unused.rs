//! Images that a chart's values and templates name and that nothing it renders to runs: told, not wanted.
//!
//! What a chart renders to is all that reaches a cluster. So what only the values name belongs to a part that is
//! switched off, or to a key that no template reads. A person may still know better, and says so by a decision.

use super::looks;
use super::parts::{Parts, is_image_key};
use super::sighting::{Certainty, How, Need, Sighting, Spot};
use crate::document::lock::Role;
use crate::model::fault::printable;
use serde_json::{Map, Value};

/// Blocks of values that describe a chart and are read by no template.
const DESCRIPTIONS: [&str; 1] = ["catalystBlueprint"];
const IN_VALUES: &str = "the values name it, and nothing that the chart renders to runs it";
const IN_TEMPLATE: &str = "a template names it, and the chart does not render it with these values";
/// Mappings within mappings that are looked into.
const DEPTH: usize = 64;

/// Returns the images that `values` name; `file` is what a person calls them.
pub fn in_values(values: &Value, file: &str) -> Vec<Sighting> {
    let mut scan = Scan { file, found: Vec::new() };
    scan.walk(values, "", 0);
    scan.found
}

/// Returns the images that a template names as they are, without a placeholder.
pub fn in_template(text: &str, file: &str) -> Vec<Sighting> {
    let mut found = Vec::new();
    for (at, line) in text.lines().enumerate() {
        let line = line.trim().trim_start_matches("- ");
        let Some(value) = line.strip_prefix("image:") else { continue };
        let value = value.split(" #").next().unwrap_or_default().trim().trim_matches(['"', '\'']);
        let Some(reference) = looks::complete(value) else { continue };
        let spot = Spot { file: file.to_owned(), line: Some(at + 1), object: String::new(), path: "image".to_owned() };
        found.push(sighting(value, Some(reference), spot, (How::Template, IN_TEMPLATE)));
    }
    found
}

struct Scan<'a> {
    file: &'a str,
    found: Vec<Sighting>,
}

impl Scan<'_> {
    fn walk(&mut self, value: &Value, path: &str, depth: usize) {
        if depth > DEPTH {
            return;
        }
        match value {
            Value::Array(items) => {
                for (at, item) in items.iter().enumerate() {
                    self.walk(item, &format!("{path}[{at}]"), depth + 1);
                }
            }
            Value::Object(map) => self.map(map, path, depth),
            _ => {}
        }
    }

    fn map(&mut self, map: &Map<String, Value>, path: &str, depth: usize) {
        if let Some(text) = split(map) {
            self.see(&text, path);
        }
        for (key, value) in map.iter().filter(|(key, _)| !DESCRIPTIONS.contains(&key.as_str())) {
            let key = printable(key);
            let below = if path.is_empty() { key.clone() } else { format!("{path}.{key}") };
            match value {
                Value::String(text) if is_image_key(&key) && looks::complete(text).is_some() => {
                    let tag = map.get("tag").and_then(Value::as_str).filter(|tag| !tag.is_empty());
                    let parts = Parts { repository: text, tag, ..Parts::default() };
                    self.see(&parts.join(), &below);
                }
                _ => self.walk(value, &below, depth + 1),
            }
        }
    }

    fn see(&mut self, text: &str, path: &str) {
        let Ok(reference) = text.parse() else { return };
        let spot = Spot { file: self.file.to_owned(), line: None, object: String::new(), path: path.to_owned() };
        self.found.push(sighting(text, Some(reference), spot, (How::Values, IN_VALUES)));
    }
}

/// Returns the image that a mapping with a repository names.
fn split(map: &Map<String, Value>) -> Option<String> {
    let text = |key: &str| map.get(key).and_then(Value::as_str).filter(|text| !text.is_empty());
    let repository = text("repository").filter(|name| !name.contains("://"))?;
    let tag = map.get("tag").map(|tag| tag.as_str().map_or_else(|| tag.to_string(), str::to_owned));
    let tag = tag.filter(|tag| !tag.is_empty() && tag != "null");
    // A repository of something else, such as of Git, has neither a tag beside it nor a path like an image.
    if tag.is_none() && text("registry").is_none() && !map.contains_key("pullPolicy") && !map.contains_key("digest") {
        return None;
    }
    let parts = Parts { registry: text("registry"), repository, tag: tag.as_deref(), digest: text("digest") };
    Some(parts.join())
}

fn sighting(text: &str, reference: Option<crate::model::ImageRef>, spot: Spot, (how, remark): (How, &str)) -> Sighting {
    Sighting {
        text: text.to_owned(),
        reference,
        role: Role::Image,
        spot,
        how,
        certainty: Certainty::Out,
        need: Need::ByController,
        remark: remark.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn seen(values: &Value) -> Vec<String> {
        in_values(values, "kiosk/values.yaml").iter().map(|seen| format!("{} {}", seen.spot.path, seen.text)).collect()
    }

    #[test]
    fn values_name_images_whole_and_in_parts() {
        let values = json!({
            "image": {"registry": "h.example", "repository": "org/a", "tag": "1"},
            "side": {"image": "h.example/b:2"},
            "job": {"image": {"repository": "org/c", "tag": 3, "pullPolicy": "Always"}},
            "list": [{"image": "org/d:4"}],
            "git": {"repository": "org/repo"},
            "imagePullPolicy": "Always",
        });
        assert_eq!(
            seen(&values),
            ["image h.example/org/a:1", "job.image org/c:3", "list[0].image org/d:4", "side.image h.example/b:2"]
        );
    }

    #[test]
    fn what_describes_a_chart_names_no_image() {
        let values = json!({"catalystBlueprint": {"upstream": {"images": {"kiosk": "ghcr.io/example/kiosk"}, "image": "x/y:1"}}});
        assert!(seen(&values).is_empty());
    }

    #[test]
    fn templates_name_images_where_no_placeholder_stands() {
        let text = "spec:\n  containers:\n  - image: \"h.example/a:1\" # why\n  - image: {{ .Values.image }}:1\n    image: busybox\n";
        let found = in_template(text, "kiosk/templates/x.yaml");
        assert_eq!(found.len(), 1);
        assert_eq!((found[0].text.as_str(), found[0].spot.line), ("h.example/a:1", Some(3)));
    }
}
