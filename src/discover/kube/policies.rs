//! Policies of Kyverno: what they make and add runs, what they only judge does not.
//!
//! `generate` makes an object whose kind stands beside its content; `mutate` adds containers, as a mapping or as a text
//! of patches. `validate`, `verifyImages` and conditions name images that are compared with. A text with `{{ }}` is
//! filled in when the policy acts, so nobody knows it before.

use super::{Certainty, How, KubeError, Need, Object, Step, Walk};
use crate::discover::note;
use crate::document::yaml::{Entry, Node, Value};

const JUDGED: &str = "the policy compares with it, and nothing runs it";

impl<'n> Walk<'_, 'n> {
    /// Returns whether the object at hand is a policy.
    pub(super) fn is_policy(&self) -> bool {
        let kinds =
            matches!(self.object.kind.as_str(), "ClusterPolicy" | "Policy" | "ClusterCleanupPolicy" | "CleanupPolicy");
        (self.object.group == "kyverno.io" && kinds) || self.object.group == "policies.kyverno.io"
    }

    /// Looks through the `spec` of a policy.
    pub(super) fn policy(&mut self, spec: &'n Node) {
        for entry in spec.entries() {
            match entry.key.as_str() {
                "rules" => self.within(Step::Key("rules"), |walk| {
                    for (at, rule) in entry.value.items().iter().enumerate() {
                        walk.within(Step::Item(at), |walk| rule.entries().iter().for_each(|entry| walk.rule(entry)));
                    }
                }),
                _ => self.judged(entry),
            }
        }
    }

    fn rule(&mut self, entry: &'n Entry) {
        match entry.key.as_str() {
            "generate" => self.acting(|walk| walk.within(Step::Key("generate"), |walk| walk.generated(&entry.value))),
            "mutate" => self.acting(|walk| {
                walk.as_(How::Configuration, |walk| {
                    walk.within(Step::Key("mutate"), |walk| walk.mutated(&entry.value))
                });
            }),
            _ => self.judged(entry),
        }
    }

    /// What `generate` makes: the kind stands beside the content, or in front of each of several.
    fn generated(&mut self, generate: &'n Node) {
        for entry in generate.entries() {
            match (entry.key.as_str(), &entry.value.value) {
                ("foreach", Value::List(items)) => {
                    for (at, item) in items.iter().enumerate() {
                        self.within(Step::Key("foreach"), |walk| {
                            walk.within(Step::Item(at), |walk| walk.generated(item));
                        });
                    }
                }
                ("data", Value::Map(entries)) => {
                    let made = self.made(generate);
                    let outer = std::mem::replace(&mut self.object, made);
                    self.within(Step::Key("data"), |walk| walk.body(entries));
                    self.object = outer;
                }
                _ => {}
            }
        }
    }

    fn made(&self, generate: &Node) -> Object {
        let text = |key: &str| generate.get(key).and_then(Node::text).unwrap_or_default();
        let version = text("apiVersion").to_owned();
        let group = version.split_once('/').map_or("", |(group, _)| group).to_owned();
        // The name stays the policy's: that is where a person looks.
        let (kind, name) = (text("kind").to_owned(), self.object.name.clone());
        let kind = if kind.is_empty() { self.object.kind.clone() } else { kind };
        Object { version, group, kind, name, need: Need::ByController }
    }

    /// The body of an object without the fields that say what it is.
    fn body(&mut self, entries: &'n [Entry]) {
        for entry in entries {
            match entry.key.as_str() {
                "metadata" => self.within(Step::Key("metadata"), |walk| walk.annotations(&entry.value)),
                "data" | "stringData" if matches!(self.object.kind.as_str(), "ConfigMap" | "Secret") => {
                    self.within(Step::Key(&entry.key), |walk| walk.data(&entry.value));
                }
                _ => self.entry(entry),
            }
        }
    }

    /// What `mutate` adds: an overlay, patches as a text, or several of them. Keys may stand in anchors: `+(image)`.
    fn mutated(&mut self, node: &'n Node) {
        for entry in node.entries() {
            match (entry.key.as_str(), &entry.value.value) {
                ("targets" | "context" | "preconditions" | "list", _) => self.judged(entry),
                ("foreach", Value::List(items)) => {
                    for (at, item) in items.iter().enumerate() {
                        self.within(Step::Key("foreach"), |walk| {
                            walk.within(Step::Item(at), |walk| walk.mutated(item));
                        });
                    }
                }
                ("patchStrategicMerge", _) => {
                    self.within(Step::Key("patchStrategicMerge"), |walk| walk.overlay(&entry.value));
                }
                _ => self.entry(entry),
            }
        }
    }

    /// An overlay: what stands in a conditional anchor, `(image)`, is compared with; the rest is added.
    fn overlay(&mut self, node: &'n Node) {
        match &node.value {
            Value::Map(entries) => {
                for entry in entries {
                    let key = entry.key.as_str();
                    let bare =
                        key.trim_start_matches(['+', '<', '=', '^', 'X']).trim_start_matches('(').trim_end_matches(')');
                    let compared = key.starts_with('(') || key.starts_with("<(") || key.starts_with("X(");
                    self.within(Step::Key(key), |walk| match (&entry.value.value, compared) {
                        (_, true) => {}
                        (Value::Text { text, .. }, _) if bare == "image" => walk.certain(&entry.value, text),
                        (Value::Text { .. }, _) => walk.walk(&entry.value),
                        (Value::List(items), _) if matches!(bare, "args" | "command") => walk.arguments(items),
                        (Value::List(items), _) if bare == "env" => walk.environment(items),
                        _ => walk.overlay(&entry.value),
                    });
                }
            }
            Value::List(items) => {
                for (at, item) in items.iter().enumerate() {
                    self.within(Step::Item(at), |walk| walk.overlay(item));
                }
            }
            _ => self.walk(node),
        }
    }

    /// Looks at what a policy only compares with: told, and never wanted without a decision.
    fn judged(&mut self, entry: &'n Entry) {
        let (seen, errors) = (self.scan.sightings.len(), self.scan.errors.len());
        self.entry(entry);
        self.scan.errors.truncate(errors);
        for sighting in &mut self.scan.sightings[seen..] {
            (sighting.certainty, sighting.remark) = (Certainty::Out, JUDGED.to_owned());
        }
    }

    /// Looks at what a policy makes or adds; what it fills in when it acts is told, and no error.
    fn acting(&mut self, look: impl FnOnce(&mut Self)) {
        let before = self.scan.errors.len();
        look(self);
        for error in self.scan.errors.split_off(before) {
            match error {
                KubeError::Placeholder { place, text, found } if found.starts_with("{{") => {
                    let what = format!("{text:?} is filled in when the policy acts; nothing of it is included");
                    let hint = "name what it may become under extraImages, where that is not wanted for itself";
                    self.scan.findings.push(note(place, what).with_hint(hint));
                }
                other => self.scan.errors.push(other),
            }
        }
    }
}
