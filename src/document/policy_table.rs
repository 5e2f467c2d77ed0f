//! Cases by which a policy is tested (`kind: PolicyTest`): what it is asked, and what it must say.
//!
//! A person writes it beside the policy. Paths are relative to the file. Everything is judged offline.
//!
//! ```yaml
//! apiVersion: airlift/v1alpha1
//! kind: PolicyTest
//! policy: policy.yaml
//! at: 2026-11-25T12:00:00Z
//! cases:
//!   - name: what nobody signed is refused
//!     reference: registry.example/team/app:1.0
//!     expect: refuse
//!     reason: nothing was found beside it
//!   - name: the last release is taken
//!     reference: registry.example/team/app:1.1
//!     bundle: testdata/release.airlift
//!     expect: accept
//!     rule: rule 1
//! ```

use super::form::{Clerk, Form};
use super::policy::{Instant, Regexp};
use super::yaml::{self, Node};
use super::{Envelope, PaperError};
use crate::model::{Digest, ImageRef};
use std::path::PathBuf;

/// Kind of the paper.
pub const KIND: &str = "PolicyTest";

/// Table of cases: `kind: PolicyTest`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PolicyTable {
    /// Policy that is tested, where the table names one.
    pub policy: Option<PathBuf>,
    /// Time at which all is judged; now where the table names none.
    pub at: Option<Instant>,
    /// Cases, in written order.
    pub cases: Vec<Case>,
}

/// One case.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Case {
    /// Line of the table.
    pub line: usize,
    /// Name for a person.
    pub name: String,
    /// Source reference of the artifact.
    pub reference: ImageRef,
    /// What there is to judge.
    pub material: Material,
    /// Whether it must be accepted.
    pub accept: bool,
    /// What the reason must be.
    pub reason: Option<Expected>,
    /// What the rule's name must be.
    pub rule: Option<Expected>,
}

/// What there is to judge.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Material {
    /// Nothing but the name, and a digest where one is given.
    Nothing(Option<Digest>),
    /// An OCI layout that holds the artifact under `path:tag`, and what belongs to it.
    Layout(PathBuf),
    /// A bundle that carries the artifact.
    Bundle(PathBuf),
}

/// Words that must stand in a text, or an expression (`^…$`) that the whole of it must meet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Expected {
    /// Anywhere in it.
    Words(String),
    /// The whole of it.
    Whole(Regexp),
}

impl Expected {
    /// Returns whether `text` is as expected.
    pub fn holds(&self, text: &str) -> bool {
        match self {
            Self::Words(words) => text.contains(words),
            Self::Whole(regexp) => regexp.matches(text),
        }
    }

    /// Returns it as it was written.
    pub fn as_str(&self) -> &str {
        match self {
            Self::Words(words) => words,
            Self::Whole(regexp) => regexp.as_str(),
        }
    }
}

const FIELDS: &[&str] = &["apiVersion", "kind", "policy", "at", "cases"];
const CASE: &[&str] = &["name", "reference", "digest", "layout", "bundle", "expect", "reason", "rule"];
const EXPECTATIONS: &[(&str, bool)] = &[("accept", true), ("refuse", false)];

impl PolicyTable {
    /// Reads the table that a person calls `place`. All mistakes are named, with their places.
    pub fn read(text: &str, place: &str) -> Result<Self, PaperError> {
        let node = yaml::document(text, place)?;
        let opening = |key| node.get(key).and_then(Node::text).unwrap_or_default().to_owned();
        Envelope { api_version: opening("apiVersion"), kind: opening("kind") }.expect(place, KIND)?;
        let clerk = Clerk::new(place);
        let table = clerk.form(&node, FIELDS).map(|form| Self {
            policy: form.text("policy").map(PathBuf::from),
            at: form.get("at").and_then(|node| clerk.parsed(node)),
            cases: clerk.list(form.need("cases"), |node| case(&clerk, node)),
        });
        if clerk.is_content() && table.as_ref().is_some_and(|table| table.cases.is_empty()) {
            clerk.note(&node, "a table without cases tests nothing");
        }
        clerk.finish(table.unwrap_or(Self { policy: None, at: None, cases: Vec::new() }))
    }
}

fn case(clerk: &Clerk<'_>, node: &Node) -> Option<Case> {
    let form = clerk.form(node, CASE)?;
    let reference: Option<ImageRef> = form.need("reference").and_then(|node| clerk.parsed(node));
    let accept = form.need("expect").and_then(|node| clerk.word(node, EXPECTATIONS));
    let material = material(clerk, &form, node);
    let [reason, rule] = ["reason", "rule"].map(|name| form.get(name).and_then(|node| expected(clerk, node)));
    let reference = reference?;
    let name = form.text("name").unwrap_or_else(|| reference.to_string());
    Some(Case { line: node.line, name, reference, material: material?, accept: accept?, reason, rule })
}

fn material(clerk: &Clerk<'_>, form: &Form<'_>, node: &Node) -> Option<Material> {
    match (form.get("digest"), form.text("layout"), form.text("bundle")) {
        (None, None, None) => Some(Material::Nothing(None)),
        (Some(node), None, None) => clerk.parsed(node).map(|digest| Material::Nothing(Some(digest))),
        (None, Some(folder), None) => Some(Material::Layout(PathBuf::from(folder))),
        (None, None, Some(bundle)) => Some(Material::Bundle(PathBuf::from(bundle))),
        _ => {
            clerk.note(node, "a case has at most one of: digest, layout, bundle");
            None
        }
    }
}

fn expected(clerk: &Clerk<'_>, node: &Node) -> Option<Expected> {
    let text = clerk.text(node)?;
    if !text.starts_with('^') {
        return Some(Expected::Words(text));
    }
    Regexp::new(&text).map(Expected::Whole).map_err(|why| clerk.note(node, why)).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const TEXT: &str = "
apiVersion: airlift/v1alpha1
kind: PolicyTest
policy: policy.yaml
at: 2026-11-25T12:00:00Z
cases:
  - {name: one, reference: \"h.example/a:1\", expect: refuse, reason: ^nothing.*$, rule: none}
  - {reference: \"h.example/b:1\", bundle: b.airlift, expect: accept}
  - {reference: h.example/c, layout: folder, expect: accept}
";

    #[test]
    fn a_table_is_read_in_full() {
        let table = PolicyTable::read(TEXT, "table.yaml").unwrap();
        assert_eq!(table.at.as_ref().unwrap().second(), 1_795_608_000);
        assert_eq!(table.cases.len(), 3);
        let [one, two, three] = &table.cases[..] else { panic!() };
        assert_eq!((one.line, one.name.as_str(), one.accept), (7, "one", false));
        assert!(
            one.reason.as_ref().unwrap().holds("nothing was found") && !one.reason.as_ref().unwrap().holds("x nothing")
        );
        assert!(one.rule.as_ref().unwrap().holds("none at all"));
        assert_eq!((two.name.as_str(), &two.material), ("h.example/b:1", &Material::Bundle("b.airlift".into())));
        assert_eq!(three.material, Material::Layout("folder".into()));
    }

    #[test]
    fn what_cannot_be_meant_is_refused_with_its_line() {
        for (from, to, words) in [
            ("expect: refuse", "expect: deny", "table.yaml:7:53: \"deny\" is none of: accept, refuse"),
            ("bundle: b.airlift", "bundle: b, layout: c", "table.yaml:8:5: a case has at most one of"),
            ("^nothing.*$", "^nothing", "end it with $"),
            ("kind: PolicyTest", "kind: Policy", "Policy"),
            ("layout: folder", "layouts: folder", "did you mean \"layout\""),
            (", expect: refuse", "", "the field \"expect\" is missing"),
        ] {
            let text = TEXT.replacen(from, to, 1);
            assert_ne!(text, TEXT);
            let error = PolicyTable::read(&text, "table.yaml").unwrap_err().to_string();
            assert!(error.contains(words), "{error}, expected {words}");
        }
        let none = TEXT.split("  - {").next().unwrap().replace("cases:", "cases: []");
        assert!(PolicyTable::read(&none, "t").unwrap_err().to_string().contains("tests nothing"));
    }

    proptest! {
        #[test]
        fn any_text_is_read_or_refused_without_a_panic(text in "\\PC{0,200}") {
            let _ = PolicyTable::read(&text, "table.yaml");
        }
    }
}
