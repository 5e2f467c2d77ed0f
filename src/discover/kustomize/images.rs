//! The images transformer: new names, tags and digests for the images of containers.

use super::tree::{entries_mut, items_mut};
use crate::document::form::Clerk;
use crate::document::yaml::{Node, Value};

/// Fields of an entry.
const IMAGE: &[&str] = &["name", "newName", "newTag", "tagSuffix", "digest"];

/// One entry of `images`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct ImageChange {
    name: String,
    new_name: Option<String>,
    new_tag: Option<String>,
    tag_suffix: Option<String>,
    digest: Option<String>,
    /// Line of the kustomization.
    pub(super) line: usize,
}

/// Reads one entry.
pub(super) fn read(clerk: &Clerk<'_>, node: &Node) -> Option<ImageChange> {
    let form = clerk.form(node, IMAGE)?;
    Some(ImageChange {
        name: form.need_text("name")?,
        new_name: form.text("newName"),
        new_tag: form.text("newTag"),
        tag_suffix: form.text("tagSuffix"),
        digest: form.text("digest"),
        line: node.line,
    })
}

impl ImageChange {
    /// Changes every container of `object` whose image has this name; returns how many.
    pub(super) fn apply(&self, object: &mut Node) -> usize {
        if object.get("kind").and_then(Node::text) == Some("CustomResourceDefinition") {
            return 0;
        }
        self.within(object)
    }

    fn within(&self, node: &mut Node) -> usize {
        let mut count = 0;
        if let Some(items) = items_mut(node) {
            return items.iter_mut().map(|item| self.within(item)).sum();
        }
        for entry in entries_mut(node).into_iter().flatten() {
            let lists = matches!(entry.key.as_str(), "containers" | "initContainers");
            if let (true, Value::List(items)) = (lists, &mut entry.value.value) {
                count += items.iter_mut().filter_map(|item| self.container(item)).count();
            }
            count += self.within(&mut entry.value);
        }
        count
    }

    fn container(&self, container: &mut Node) -> Option<()> {
        let image = entries_mut(container)?.iter_mut().find(|entry| entry.key == "image")?;
        let new = self.changed(image.value.text()?)?;
        image.value.value = Value::Text { text: new, plain: false };
        Some(())
    }

    /// Returns what becomes of an image, where it has this name.
    fn changed(&self, image: &str) -> Option<String> {
        let (name, tag, digest) = split(image);
        if name != self.name {
            return None;
        }
        let (tag, digest) = match (&self.new_tag, &self.digest, &self.tag_suffix) {
            (Some(tag), digest, _) => (Some(tag.clone()), digest.as_deref()),
            (None, Some(digest), _) => (None, Some(digest.as_str())),
            (None, None, Some(suffix)) => (Some(format!("{}{suffix}", tag.unwrap_or_default())), None),
            (None, None, None) => (tag.map(str::to_owned), digest),
        };
        let mut text = self.new_name.clone().unwrap_or_else(|| name.to_owned());
        text.extend(tag.iter().flat_map(|tag| [":", tag]));
        text.extend(digest.iter().flat_map(|digest| ["@", digest]));
        Some(text)
    }
}

/// Parts an image into name, tag and digest.
fn split(image: &str) -> (&str, Option<&str>, Option<&str>) {
    let (rest, digest) = image.split_once('@').map_or((image, None), |(rest, digest)| (rest, Some(digest)));
    match rest.rsplit_once(':') {
        Some((name, tag)) if !tag.contains('/') => (name, Some(tag), digest),
        _ => (rest, None, digest),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::document::yaml;

    fn change(text: &str) -> ImageChange {
        let node = yaml::document(text, "k").unwrap();
        let clerk = Clerk::new("k");
        let change = read(&clerk, &node);
        clerk.finish(()).unwrap();
        change.unwrap()
    }

    #[test]
    fn names_tags_and_digests_change_as_kustomize_changes_them() {
        for (entry, image, wanted) in [
            ("{name: kiosk, newTag: '2'}", "kiosk:1", Some("kiosk:2")),
            ("{name: kiosk, newTag: 1.10}", "kiosk:1", Some("kiosk:1.10")),
            ("{name: kiosk, newTag: '2'}", "kiosk", Some("kiosk:2")),
            ("{name: kiosk, newTag: '2'}", "kiosk@sha256:ab", Some("kiosk:2")),
            ("{name: kiosk, newName: h.example:5000/k}", "kiosk:1", Some("h.example:5000/k:1")),
            ("{name: kiosk, newName: h.example/k}", "kiosk:1@sha256:ab", Some("h.example/k:1@sha256:ab")),
            ("{name: kiosk, digest: 'sha256:cd'}", "kiosk:1", Some("kiosk@sha256:cd")),
            ("{name: kiosk, newTag: '2', digest: 'sha256:cd'}", "kiosk:1", Some("kiosk:2@sha256:cd")),
            ("{name: kiosk, tagSuffix: -slim}", "kiosk:1", Some("kiosk:1-slim")),
            ("{name: h.example:5000/kiosk, newTag: '2'}", "h.example:5000/kiosk", Some("h.example:5000/kiosk:2")),
            ("{name: kiosk, newTag: '2'}", "org/kiosk:1", None),
            ("{name: kiosk, newTag: '2'}", "kiosks:1", None),
        ] {
            assert_eq!(change(entry).changed(image).as_deref(), wanted, "{entry} {image}");
        }
    }

    #[test]
    fn containers_are_found_anywhere_and_definitions_are_left_alone() {
        let text = "kind: KIND\nspec: {x: [{podTemplate: {containers: [{image: 'a:1'}], initContainers: [{image: 'a:1'}]}}], image: 'a:1'}";
        let count = |kind| {
            change("{name: a, newTag: '2'}").apply(&mut yaml::document(&text.replace("KIND", kind), "x").unwrap())
        };
        assert_eq!((count("Thing"), count("CustomResourceDefinition")), (2, 0));
    }
}
