//! Images that a chart's authors list: annotations of `Chart.yaml`, and files such as `images.lock`.
//!
//! A list says what belongs to a chart in all its variants, so it does not say what one installation runs. What it
//! adds to a rendered chart are the images that only a program knows.

use super::looks;
use super::sighting::{Certainty, How, Need, Sighting, Spot};
use crate::document::lock::Role;
use crate::document::yaml::{self, Node, Reading, Value};

/// Annotations that hold a list of images, as YAML in a text.
const ANNOTATIONS: [&str; 3] = ["artifacthub.io/images", "images", "helm.sh/images"];
/// Files of a chart that hold one.
const FILES: [&str; 6] = ["images.lock", "Images.lock", "images.yaml", "images.yml", "images.txt", "image-list.txt"];

/// Returns whether a file of a chart, by its path below the chart's folder, lists images.
pub fn is_list(path: &str) -> bool {
    FILES.contains(&path)
}

/// Reads what the annotations of `Chart.yaml` list; `file` is what a person calls it.
pub fn annotations<'a>(annotations: impl IntoIterator<Item = (&'a str, &'a str)>, file: &str) -> Vec<Sighting> {
    let mut found = Vec::new();
    for (key, text) in annotations.into_iter().filter(|(key, _)| ANNOTATIONS.contains(key)) {
        found.extend(listed(text, file, &format!("annotations.{key}")));
    }
    found
}

/// Reads a file that lists images: YAML or JSON with fields called `image`, or one reference a line.
pub fn list(text: &str, file: &str) -> Vec<Sighting> {
    listed(text, file, "")
}

fn listed(text: &str, file: &str, path: &str) -> Vec<Sighting> {
    let Some(documents) = documents(text) else {
        let lines = text.lines().map(|line| line.split('#').next().unwrap_or_default().trim());
        let spot = |at: usize| Spot { path: path.to_owned(), line: Some(at + 1), ..spot(file, path) };
        return lines.enumerate().filter_map(|(at, line)| sighting(line, spot(at))).collect();
    };
    let mut found = Vec::new();
    for node in &documents {
        walk(node, path, &mut |text, path| found.extend(sighting(text, spot(file, path))));
    }
    found
}

fn documents(text: &str) -> Option<Vec<Node>> {
    let documents = yaml::documents_as(Reading::Lenient, text, "list").ok()?;
    let documents: Vec<Node> = documents.collect::<Result<_, _>>().ok()?;
    documents.iter().all(|node| matches!(node.value, Value::Map(_) | Value::List(_))).then_some(documents)
}

/// Goes to every field called `image`, and to every text of a list.
fn walk(node: &Node, path: &str, take: &mut dyn FnMut(&str, &str)) {
    let below = |key: &str| if path.is_empty() { key.to_owned() } else { format!("{path}.{key}") };
    for (at, item) in node.items().iter().enumerate() {
        let path = format!("{path}[{at}]");
        match item.text() {
            Some(text) => take(text, &path),
            None => walk(item, &path, take),
        }
    }
    for entry in node.entries() {
        match entry.value.text() {
            Some(text) if entry.key == "image" => take(text, &below("image")),
            Some(_) => {}
            None => walk(&entry.value, &below(&entry.key), take),
        }
    }
}

fn spot(file: &str, path: &str) -> Spot {
    Spot { file: file.to_owned(), line: None, object: String::new(), path: path.to_owned() }
}

fn sighting(text: &str, spot: Spot) -> Option<Sighting> {
    let reference = looks::complete(text)?;
    Some(Sighting {
        text: text.to_owned(),
        reference: Some(reference),
        role: Role::Image,
        spot,
        how: How::Declared,
        certainty: Certainty::Certain,
        need: Need::ByController,
        remark: String::new(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn names(found: &[Sighting]) -> Vec<String> {
        found.iter().filter_map(|seen| seen.reference.as_ref()).map(ToString::to_string).collect()
    }

    #[test]
    fn annotations_list_images_as_yaml_in_a_text() {
        let text = "- name: kiosk\n  image: ghcr.io/press/kiosk:1.0\n  platforms: [linux/amd64]\n- name: db\n  image: org/db:2\n";
        let found =
            annotations([("artifacthub.io/images", text), ("artifacthub.io/license", text)], "kiosk/Chart.yaml");
        assert_eq!(names(&found), ["ghcr.io/press/kiosk:1.0", "docker.io/org/db:2"]);
        assert_eq!(found[1].spot.to_string(), "kiosk/Chart.yaml annotations.artifacthub.io/images[1].image");
    }

    #[test]
    fn files_list_images_in_several_forms() {
        let lock =
            "apiVersion: v0\nkind: ImagesLock\nimages:\n- name: a\n  image: h.example/a:1\n  digests: [{digest: x}]\n";
        assert_eq!(names(&list(lock, "c/images.lock")), ["h.example/a:1"]);
        assert_eq!(
            names(&list("# all\nh.example/a:1\n\norg/b:2  # b\nword\n", "c/images.txt")),
            ["h.example/a:1", "docker.io/org/b:2"]
        );
        assert_eq!(names(&list("[\"h.example/a:1\", {\"image\": \"org/b:2\"}]", "c/images.yaml")).len(), 2);
        assert!(is_list("images.lock") && !is_list("templates/images.yaml"));
    }

    proptest! {
        #[test]
        fn any_list_is_read_without_a_panic(text in "[-{}\\[\\]:,a-c image/\\n#]{0,60}") {
            let _ = list(&text, "x");
        }
    }
}
