//! How sure a text is to be an image, by the place that it stands in.

use super::{KubeError, Step, Walk};
use crate::discover::looks;
use crate::discover::parts::{self, Parts};
use crate::discover::sighting::{Certainty, How, Need, Sighting, Spot};
use crate::document::yaml::{Entry, Node, Value};
use crate::model::evidence::FindingClass;
use crate::model::{Finding, ImageRef};

const OUTSIDE: &str = "it belongs to a resource outside of the cluster";
const BARE: &str = "it has neither host nor tag";
const NO_TAG: &str = "it has no tag; only the program that reads this field knows which one it takes";
const NO_IMAGE: &str = "it says no image";
const PATTERN: &str = "it is a pattern, not an image";
/// Keys beside `image` that hold its tag or digest.
const TAG_KEYS: [&str; 6] = ["tag", "imageTag", "image_tag", "imageVersion", "defaultImageVersion", "image-tag"];

impl<'n> Walk<'_, 'n> {
    /// Something that a container runs.
    pub(super) fn certain(&mut self, node: &Node, text: &str) {
        if self.is_outside() {
            return self.outside(node, text);
        }
        let how = if self.how == How::Field { How::Container } else { self.how };
        self.as_(how, |walk| {
            if text.is_empty() {
                walk.sight(node, text, None, Certainty::Out, "it is empty: something fills it in later");
            } else if looks::is_pattern(text) && !walk.object.is_native() {
                walk.sight(node, text, None, Certainty::Out, PATTERN);
            } else if text == "auto" {
                walk.sight(node, text, text.parse().ok(), Certainty::Out, "a controller puts the image in");
            } else if let Some(reference) = walk.reference(node, text) {
                walk.doubled_host(node, &reference);
                walk.sight(node, text, Some(reference), Certainty::Certain, "");
            }
        });
    }

    /// A field that says that it is an image.
    pub(super) fn field(&mut self, node: &Node, text: &str) {
        let meant = looks::placeholder(text).is_some() || looks::broken(text);
        if self.is_outside() {
            self.outside(node, text);
        } else if text.is_empty() {
            // Nothing is said, so the program that reads the field decides; charts do this everywhere.
        } else if looks::is_pattern(text) {
            self.sight(node, text, None, Certainty::Out, PATTERN);
        } else if meant && self.how == How::Field {
            self.reference(node, text);
        } else if let Some(reference) = looks::complete(text) {
            self.doubled_host(node, &reference);
            self.sight(node, text, Some(reference), Certainty::Certain, "");
        } else if meant {
            self.sight(node, text, None, Certainty::Uncertain, &none_yet(text));
        } else {
            self.bare(node, text);
        }
    }

    /// A text in a field for images that says little by itself.
    fn bare(&mut self, node: &Node, text: &str) {
        match text.parse::<ImageRef>() {
            Ok(reference) if !is_word(text) => self.sight(node, text, Some(reference), Certainty::Uncertain, BARE),
            // In arguments and configurations keys about images have words as often as names.
            _ if self.how == How::Field => self.sight(node, text, None, Certainty::Out, NO_IMAGE),
            _ => {}
        }
    }

    fn outside(&mut self, node: &Node, text: &str) {
        match looks::complete(text) {
            Some(reference) => self.sight(node, text, Some(reference), Certainty::Uncertain, OUTSIDE),
            None => self.sight(node, text, text.parse().ok(), Certainty::Out, OUTSIDE),
        }
    }

    /// `image` and its tag as neighbours.
    pub(super) fn sibling_tag(&mut self, entry: &'n Entry, entries: &'n [Entry]) {
        let text = entry.value.text().unwrap_or_default();
        let bare = text.parse::<ImageRef>().is_ok_and(|r| r.tag.is_none() && r.digest.is_none());
        let beside = |key: &&str| entries.iter().find(|other| other.key == **key)?.value.text();
        let tag = TAG_KEYS.iter().find_map(beside).filter(|tag| bare && !tag.is_empty());
        let digest = ["digest", "imageDigest"].iter().find_map(beside).filter(|sum| bare && !sum.is_empty());
        if tag.is_none() && digest.is_none() {
            return self.entry(entry);
        }
        let whole = Parts { registry: None, repository: text, tag, digest }.join();
        self.within(Step::Key("image"), |walk| walk.field(&entry.value, &whole));
    }

    /// An image in parts under one key: registry, repository or name, tag, digest or version.
    pub(super) fn parts(&mut self, node: &'n Node, entries: &'n [Entry]) {
        if entries.iter().any(|entry| self.is_settled(&entry.value)) {
            return;
        }
        let part = |key: &str| node.get(key).and_then(Node::text).filter(|text| !text.is_empty());
        let name = part("repository").or_else(|| part("name")).or_else(|| part("image"));
        let Some(repository) = name.filter(|_| part("containers").is_none()) else { return self.entries(entries) };
        let version = part("version").filter(|text| text.starts_with("sha256:"));
        let digest = part("digest").or_else(|| part("sha")).or(version);
        let parts = Parts { registry: part("registry"), repository, tag: part("tag"), digest };
        let text = parts.join();
        if !parts.is_pinned() && looks::complete(repository).is_some_and(|r| r.tag.is_some() || r.digest.is_some()) {
            self.field(node, &text);
        } else if !parts.is_pinned() {
            self.sight(node, &text, text.parse().ok(), Certainty::Uncertain, NO_TAG);
        } else if part("suffix").is_some() {
            let why = "a suffix belongs to it, and only the program that reads it knows to which part";
            self.sight(node, &text, text.parse().ok(), Certainty::Uncertain, why);
        } else {
            self.field(node, &text);
        }
    }

    /// Sees images that neighbouring keys name together; returns the places of their repositories.
    pub(super) fn joined(&mut self, entries: &'n [Entry]) -> Vec<usize> {
        let texts = entries.iter().map(|entry| (entry.key.as_str(), entry.value.text().unwrap_or_default()));
        let neighbours: Vec<(&str, &str)> = texts.collect();
        let mut places = Vec::new();
        for found in parts::among(&neighbours) {
            let (entry, text) = (&entries[found.at], found.parts.join());
            // A repository of something else may stand beside a tag of something else: a path says more.
            let Some(reference) = looks::complete(&text).filter(|_| text.contains('/')) else { continue };
            let certainty = if self.how == How::Field { Certainty::Probable } else { Certainty::Certain };
            let why = if certainty == Certainty::Certain { "" } else { "repository and tag stand beside each other" };
            places.push(found.at);
            self.within(Step::Key(&entry.key), |walk| walk.sight(&entry.value, &text, Some(reference), certainty, why));
        }
        places
    }

    /// Parses a text that must be an image; notes why it is none.
    pub(super) fn reference(&mut self, node: &Node, text: &str) -> Option<ImageRef> {
        let spot = self.spot(node);
        self.reference_at(&spot, text)
    }

    /// Parses a text at `spot` that must be an image.
    pub(super) fn reference_at(&mut self, spot: &Spot, text: &str) -> Option<ImageRef> {
        let place = spot.to_string();
        if let Some(reason) = (self.looking.ignored)(text) {
            self.scan.findings.push(crate::discover::note(place, format!("{text:?} is ignored: {reason}")));
            return None;
        }
        if let Some(found) = looks::placeholder(text) {
            let (text, found) = (text.to_owned(), found.to_owned());
            self.scan.errors.push(KubeError::Placeholder { place, text, found });
            return None;
        }
        match text.parse() {
            Ok(reference) => Some(reference),
            Err(error) => {
                let meaning = looks::probable_meaning(text);
                self.scan.errors.push(KubeError::Image { place, text: error.input, why: error.why, meaning });
                None
            }
        }
    }

    fn doubled_host(&mut self, node: &Node, reference: &ImageRef) {
        if looks::doubled_host(reference) {
            let what = format!("{reference} repeats its host: a registry was joined twice, and nothing may be there");
            let place = self.spot(node).to_string();
            self.scan.findings.push(Finding::warning(FindingClass::Config, place, what));
        }
    }

    /// Notes something that is, may be or is not an image.
    pub(super) fn sight(
        &mut self,
        node: &Node,
        text: &str,
        reference: Option<ImageRef>,
        certainty: Certainty,
        remark: &str,
    ) {
        if let Some(reason) = (self.looking.ignored)(text) {
            return self.note_ignored(node, text, &reason);
        }
        let need = match self.how {
            How::Container => self.object.need,
            // What a test or a removal hands on runs with it; all else is started by whom it is handed to.
            _ => self.object.need.max(Need::ByController),
        };
        self.scan.sightings.push(Sighting {
            text: text.to_owned(),
            reference,
            role: crate::document::lock::Role::Image,
            spot: self.spot(node),
            how: self.how,
            certainty,
            need,
            remark: remark.to_owned(),
        });
    }

    fn note_ignored(&mut self, node: &Node, text: &str, reason: &str) {
        let place = self.spot(node).to_string();
        self.scan.findings.push(crate::discover::note(place, format!("{text:?} is ignored: {reason}")));
    }

    /// Returns whether the list is one of mappings, as an environment is.
    pub(super) fn is_mapping(node: &Node) -> bool {
        matches!(node.value, Value::Map(_))
    }
}

/// Says why a text that is meant as an image is none as it stands.
fn none_yet(text: &str) -> String {
    match (looks::placeholder(text), text.parse::<ImageRef>()) {
        (None, Err(error)) => format!("it is meant as an image and is no reference: {}", error.why),
        _ => "something fills it in later".to_owned(),
    }
}

/// Returns whether a text is a word that is no name of an image: a number, a truth value, a file.
fn is_word(text: &str) -> bool {
    const ENDINGS: [&str; 10] = [".png", ".svg", ".jpg", ".jpeg", ".gif", ".ico", ".webp", ".iso", ".qcow2", ".img"];
    let number = text.bytes().all(|b| b.is_ascii_digit() || b == b'.');
    number || matches!(text, "true" | "false" | "none" | "auto") || ENDINGS.iter().any(|end| text.ends_with(end))
}
