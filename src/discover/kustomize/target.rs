//! Which objects a patch is about.

use super::Built;
use crate::document::form::Clerk;
use crate::document::yaml::Node;
use regex::Regex;

/// Fields of a target.
const TARGET: &[&str] = &["group", "version", "kind", "name", "namespace", "labelSelector", "annotationSelector"];

/// Names of an object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Identity<'n> {
    pub(super) group: &'n str,
    pub(super) version: &'n str,
    pub(super) kind: &'n str,
    pub(super) name: &'n str,
    pub(super) namespace: Option<&'n str>,
}

impl<'n> Identity<'n> {
    /// Returns the names of an object; nothing where it is none.
    pub(super) fn of(node: &'n Node) -> Option<Self> {
        let (api, kind) = (node.get("apiVersion")?.text()?, node.get("kind")?.text()?);
        let (group, version) = api.split_once('/').unwrap_or(("", api));
        let meta = |key| node.at(&["metadata", key]).and_then(Node::text);
        Some(Self { group, version, kind, name: meta("name").unwrap_or_default(), namespace: meta("namespace") })
    }

    /// Returns whether a patch that carries these names is about `other`.
    pub(super) fn is_about(&self, other: &Self) -> bool {
        let place = self.namespace.is_none_or(|own| other.namespace.unwrap_or("default") == own);
        (self.group, self.kind, self.name) == (other.group, other.kind, other.name) && place
    }
}

/// What the objects must be like: expressions that hold for a whole text.
#[derive(Debug, Clone)]
pub(super) struct Target {
    group: Option<Regex>,
    version: Option<Regex>,
    kind: Option<Regex>,
    name: Option<Regex>,
    namespace: Option<Regex>,
    labels: Vec<Demand>,
    annotations: Vec<Demand>,
}

/// Part of a selector.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Demand {
    Has(String),
    Lacks(String),
    Is(String, String),
    IsNot(String, String),
}

/// Reads a target.
pub(super) fn read(clerk: &Clerk<'_>, node: &Node) -> Option<Target> {
    let form = clerk.form(node, TARGET)?;
    let whole = |name: &str| {
        let text = form.text(name)?;
        let found = Regex::new(&format!("^(?:{text})$"));
        found.map_err(|_| clerk.note(node, format!("{name}: {text:?} is no regular expression"))).ok()
    };
    let selector = |name: &str| {
        let text = form.text(name).unwrap_or_default();
        demands(&text).unwrap_or_else(|| {
            clerk.note(node, format!("{name}: {text:?} is not read here; key=value, key!=value, key and !key are"));
            Vec::new()
        })
    };
    Some(Target {
        group: whole("group"),
        version: whole("version"),
        kind: whole("kind"),
        name: whole("name"),
        namespace: whole("namespace"),
        labels: selector("labelSelector"),
        annotations: selector("annotationSelector"),
    })
}

fn demands(text: &str) -> Option<Vec<Demand>> {
    let parts = text.split(',').map(str::trim).filter(|part| !part.is_empty());
    parts.map(demand).collect()
}

fn demand(text: &str) -> Option<Demand> {
    let word = |text: &str| (!text.is_empty() && !text.contains([' ', '(', ')', '!', '='])).then(|| text.to_owned());
    if let Some((key, value)) = text.split_once("!=") {
        return Some(Demand::IsNot(word(key.trim())?, value.trim().to_owned()));
    }
    if let Some((key, value)) = text.split_once('=') {
        return Some(Demand::Is(word(key.trim())?, value.trim_start_matches('=').trim().to_owned()));
    }
    match text.strip_prefix('!') {
        Some(key) => word(key.trim()).map(Demand::Lacks),
        None => word(text).map(Demand::Has),
    }
}

impl Target {
    /// Returns whether the object is meant.
    pub(super) fn fits(&self, built: &Built) -> bool {
        let Some(identity) = Identity::of(&built.node) else { return false };
        let fits = |wanted: &Option<Regex>, text: &str| wanted.as_ref().is_none_or(|wanted| wanted.is_match(text));
        let holds = |field: &str, demands: &[Demand]| {
            demands.iter().all(|demand| demand.holds(built.node.at(&["metadata", field])))
        };
        fits(&self.group, identity.group)
            && fits(&self.version, identity.version)
            && fits(&self.kind, identity.kind)
            && fits(&self.name, identity.name)
            && fits(&self.namespace, identity.namespace.unwrap_or("default"))
            && holds("labels", &self.labels)
            && holds("annotations", &self.annotations)
    }
}

impl Demand {
    fn holds(&self, words: Option<&Node>) -> bool {
        let value = |key: &str| words.and_then(|words| words.get(key)).and_then(Node::text);
        match self {
            Self::Has(key) => value(key).is_some(),
            Self::Lacks(key) => value(key).is_none(),
            Self::Is(key, wanted) => value(key) == Some(wanted),
            Self::IsNot(key, other) => value(key) != Some(other),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::document::yaml;

    fn fits(target: &str) -> bool {
        let text = "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: kiosk, labels: {app: k, tier: web}}";
        let built = Built { file: "x".to_owned(), node: yaml::document(text, "x").unwrap() };
        let clerk = Clerk::new("k");
        let found = read(&clerk, &yaml::document(target, "k").unwrap());
        clerk.finish(()).unwrap();
        found.unwrap().fits(&built)
    }

    #[test]
    fn a_target_is_about_whole_names_and_labels() {
        for target in [
            "{}",
            "{kind: Deployment}",
            "{kind: Deploy.*, name: k.*}",
            "{group: apps, version: v1}",
            "{namespace: default}",
            "{labelSelector: 'app=k, tier!=db'}",
            "{labelSelector: 'app,!gone'}",
        ] {
            assert!(fits(target), "{target}");
        }
        for target in [
            "{kind: Deploy}",
            "{name: kios}",
            "{group: batch}",
            "{labelSelector: app=x}",
            "{labelSelector: '!app'}",
            "{annotationSelector: a}",
            "{namespace: other}",
        ] {
            assert!(!fits(target), "{target}");
        }
    }

    #[test]
    fn a_target_that_is_not_understood_is_refused() {
        for target in ["{name: '('}", "{labelSelector: 'app in (a, b)'}", "{labels: x}"] {
            let clerk = Clerk::new("k");
            drop(read(&clerk, &yaml::document(target, "k").unwrap()));
            assert!(clerk.finish(()).is_err(), "{target}");
        }
    }
}
