//! Images in arguments, environment values and texts that an object carries: what a program starts later.

use super::{Step, Walk};
use crate::discover::looks;
use crate::discover::note;
use crate::discover::parts;
use crate::discover::sighting::{Certainty, How};
use crate::document::yaml::{self, Node, Reading, Value};
use crate::model::ImageRef;
use crate::model::fault::printable;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;

const ALONE: &str = "a complete reference that no key calls an image";
const IN_TEXT: &str = "a line of a text names it";
/// Texts within texts that are followed.
const DEPTH: usize = 2;

impl<'n> Walk<'_, 'n> {
    /// Arguments: `--x-image=REF`, `--x-image REF`, `key=REF`, and scripts.
    pub(super) fn arguments(&mut self, items: &'n [Node]) {
        let texts: Vec<&str> = items.iter().map(|item| item.text().unwrap_or_default()).collect();
        let flags: Vec<(&str, &str)> = texts.iter().map(|text| text.split_once('=').unwrap_or(("", ""))).collect();
        let joined = parts::among(&flags);
        let mut flag = "";
        for (at, (item, text)) in items.iter().zip(&texts).enumerate() {
            let whole = joined.iter().find(|found| found.at == at).map(|found| found.parts.join());
            self.within(Step::Item(at), |walk| {
                walk.fetched(item, text);
                walk.as_(How::Argument, |walk| match (whole, text.split_once('=')) {
                    (Some(whole), _) => walk.said(item, &whole, true),
                    _ if text.contains(char::is_whitespace) => walk.script(item, text),
                    (None, Some((name, value))) => walk.said(item, value, parts::is_image_key(name)),
                    (None, None) => walk.said(item, text, parts::is_image_key(flag)),
                });
            });
            flag = if text.starts_with('-') && !text.contains('=') { text } else { "" };
        }
        for (at, item) in items.iter().enumerate().filter(|(_, item)| Self::is_mapping(item)) {
            self.within(Step::Item(at), |walk| walk.walk(item));
        }
    }

    /// Environment values.
    pub(super) fn environment(&mut self, items: &'n [Node]) {
        let field = |node: &'n Node, key: &str| node.get(key).and_then(Node::text).unwrap_or_default();
        let pairs: Vec<(&str, &str)> = items.iter().map(|item| (field(item, "name"), field(item, "value"))).collect();
        let joined = parts::among(&pairs);
        for (at, item) in items.iter().enumerate() {
            let (name, value) = pairs[at];
            let whole = joined.iter().find(|found| found.at == at).map(|found| found.parts.join());
            self.within(Step::Item(at), |walk| {
                walk.within(Step::Key("value"), |walk| {
                    walk.fetched(item, value);
                    walk.as_(How::Environment, |walk| match whole {
                        Some(whole) => walk.said(item, &whole, true),
                        None if value.contains('\n') => walk.document(item, value),
                        None => walk.said(item, value, parts::is_image_key(name)),
                    });
                });
            });
        }
    }

    /// Tells of files that what runs here would fetch from outside of every registry.
    pub(super) fn fetched(&mut self, node: &Node, text: &str) {
        for address in looks::downloads(text) {
            let place = self.spot(node).to_string();
            let what = format!(
                "{} is fetched by what runs here; it stands in no registry and is not carried",
                printable(address)
            );
            let hint =
                "carry it under artifacts (file: …, sha256: …), and let what runs here read it from the registry";
            self.scan.findings.push(note(place, what).with_hint(hint));
        }
    }

    /// A value; `image` is whether its key says that it is an image.
    fn said(&mut self, node: &Node, text: &str, image: bool) {
        let text = ["oci://", "docker://"].iter().find_map(|scheme| text.strip_prefix(scheme)).unwrap_or(text);
        let text = text.trim_matches(['"', '\'']);
        if text.starts_with(['{', '[']) && looks::placeholder(text).is_none() {
            return self.document(node, text);
        }
        let pieces = looks::pieces(text);
        if image && pieces.len() > 1 {
            pieces.iter().for_each(|piece| self.field(node, piece));
        } else if image {
            // Flags and variables hold words as often as names, so a name says more than one.
            let says = text.contains(['/', ':']) || looks::placeholder(text).is_some();
            if says || text.parse::<ImageRef>().is_ok() {
                self.field(node, text);
            }
        } else if let Some(reference) = looks::unmistakable(text) {
            self.sight(node, text, Some(reference), Certainty::Probable, ALONE);
        } else {
            self.lines(node, text);
        }
    }

    /// A script: every word of it is looked at.
    fn script(&mut self, node: &Node, text: &str) {
        for (word, reference) in looks::words(text) {
            self.sight(node, word, Some(reference), Certainty::Probable, IN_TEXT);
        }
    }

    /// Data of a ConfigMap or Secret.
    pub(super) fn data(&mut self, node: &'n Node) {
        let encoded = self.object.kind == "Secret" && matches!(self.path.last(), Some(Step::Key("data")));
        self.as_(How::Configuration, |walk| {
            let joined = walk.joined(node.entries());
            for (at, entry) in node.entries().iter().enumerate() {
                // Documentation in the place of configuration names moving tags that nothing runs.
                if joined.contains(&at) || entry.key.starts_with("_example") {
                    continue;
                }
                let Some(text) = entry.value.text() else { continue };
                let decoded = if encoded { decoded(text) } else { Some(text.to_owned()) };
                let Some(text) = decoded else { continue };
                walk.within(Step::Key(&entry.key), |walk| walk.config(&entry.value, &entry.key, &text));
            }
        });
    }

    fn config(&mut self, node: &Node, key: &str, text: &str) {
        if text.contains('\n') || text.contains(": ") || text.trim_start().starts_with(['{', '[']) {
            self.document(node, text);
        } else {
            self.said(node, text, parts::is_image_key(key));
        }
    }

    /// A text that may be a document of its own: JSON, YAML, or else lines.
    fn document(&mut self, node: &Node, text: &str) {
        let depth = self.outer.as_ref().map_or(0, |(_, path)| path.matches("<text>").count());
        let documents = (depth < DEPTH).then(|| documents(text)).flatten();
        let Some(documents) = documents else { return self.lines(node, text) };
        let mut path = self.shown_path();
        path.push_str(".<text>");
        let outer = Some((self.line(node), path));
        for document in &documents {
            let mut inner = Walk {
                looking: self.looking,
                scan: &mut *self.scan,
                object: self.object.clone(),
                path: Vec::new(),
                how: self.how,
                outer: outer.clone(),
                settled: Vec::new(),
            };
            inner.walk(document);
        }
    }

    /// A text in a form of its own: whole words, and what stands behind `image`.
    fn lines(&mut self, node: &Node, text: &str) {
        let mut seen: Vec<ImageRef> = Vec::new();
        for (word, reference) in looks::words(text) {
            if !seen.contains(&reference) {
                seen.push(reference.clone());
                self.sight(node, word, Some(reference), Certainty::Probable, IN_TEXT);
            }
        }
        for reference in looks::inside(text).into_iter().filter(|found| !seen.contains(found)) {
            let shown = reference.to_string();
            self.sight(node, &shown, Some(reference), Certainty::Uncertain, IN_TEXT);
        }
    }

    /// Text of any field: seen where it can hardly be anything but an image.
    pub(super) fn text(&mut self, node: &Node, text: &str) {
        if self.how == How::Configuration && text.contains('\n') {
            return self.document(node, text);
        }
        let bare = ["oci://", "docker://"].iter().find_map(|scheme| text.strip_prefix(scheme)).unwrap_or(text);
        let certainty = if self.how == How::Configuration { Certainty::Probable } else { Certainty::Uncertain };
        if let Some(reference) = looks::unmistakable(bare) {
            self.sight(node, bare, Some(reference), certainty, ALONE);
        } else if text.contains('\n') {
            self.lines(node, text);
        } else {
            for reference in looks::inside(text) {
                let shown = reference.to_string();
                self.sight(node, &shown, Some(reference), Certainty::Uncertain, IN_TEXT);
            }
        }
    }
}

/// Reads a text as documents, where all of it is some and says more than one text would.
fn documents(text: &str) -> Option<Vec<Node>> {
    let documents: Vec<Node> =
        yaml::documents_as(Reading::Lenient, text, "text").ok()?.collect::<Result<_, _>>().ok()?;
    let structured = |node: &Node| matches!(node.value, Value::Map(_) | Value::List(_) | Value::Null);
    (!documents.is_empty() && documents.iter().all(structured)).then_some(documents)
}

fn decoded(text: &str) -> Option<String> {
    String::from_utf8(STANDARD.decode(text.trim()).ok()?).ok()
}
