//! Policies of other tools, turned into one of ours: never weaker than they were, and nothing dropped in silence.
//!
//! What has no equivalent becomes a rule that denies, and is listed with its place; what cannot even be matched is an
//! error, because another rule would decide in its stead. Files are YAML or JSON.
//!
//! Two kinds of source differ in how rules meet. For containers' `policy.json` and Notation's trust policy the most
//! specific scope decides, as with us. Of `ClusterImagePolicy` and Kyverno's `verifyImages` every one that matches
//! must be satisfied, so the duties of wider patterns are written into the rules of narrower ones.

mod containers;
mod duty;
mod image_policy;
mod kyverno;
mod kyverno_attestors;
mod notation;
mod together;

use super::{KeySource, Policy, TrustRootSource};
use crate::document::PaperError;
use crate::document::yaml::{self, Node};
use std::cell::RefCell;
use std::collections::BTreeMap;

/// Kind of a policy that can be imported.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ImportKind {
    /// `ClusterImagePolicy` of sigstore's policy-controller; several documents may stand in one file.
    ClusterImagePolicy,
    /// `ClusterPolicy` or `Policy` of Kyverno with `verifyImages`; several documents may stand in one file.
    Kyverno,
    /// `policy.json` of containers/image (podman, skopeo, CRI-O).
    Containers,
    /// `trustpolicy.json` of the Notary Project.
    Notation,
}

/// A policy that was made from another.
#[derive(Debug, Clone)]
pub struct Imported {
    /// The policy.
    pub policy: Policy,
    /// What it was made from.
    pub kind: ImportKind,
    /// What has no equivalent, in the order of the file.
    pub notes: Vec<ImportNote>,
}

/// Something that has no equivalent.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct ImportNote {
    /// Line of the source from 1.
    pub line: usize,
    /// What stands there, and what became of it.
    pub what: String,
}

impl ImportKind {
    /// Every kind with its name on the command line.
    pub const ALL: [(&'static str, Self); 4] = [
        ("cluster-image-policy", Self::ClusterImagePolicy),
        ("kyverno", Self::Kyverno),
        ("containers", Self::Containers),
        ("notation", Self::Notation),
    ];

    /// Returns its name on the command line.
    pub fn name(self) -> &'static str {
        Self::ALL.iter().find(|(_, kind)| *kind == self).map_or("", |(name, _)| name)
    }

    /// Tells the kind of a document by its fields; `None` where it is none that is known.
    fn of(node: &Node) -> Option<Self> {
        match node.get("kind").and_then(Node::text) {
            Some("ClusterImagePolicy") => Some(Self::ClusterImagePolicy),
            Some("ClusterPolicy" | "Policy") => Some(Self::Kyverno),
            Some(_) => None,
            None if node.get("default").is_some() => Some(Self::Containers),
            None if node.get("trustPolicies").is_some() => Some(Self::Notation),
            None => None,
        }
    }
}

impl Imported {
    /// Reads the policy in `text`, which a person calls `place`, as one of the kind `from`, or of the kind that it shows.
    pub fn read(text: &str, place: &str, from: Option<ImportKind>) -> Result<Self, PaperError> {
        let documents: Vec<Node> = yaml::documents(text, place)?.collect::<Result<_, _>>()?;
        let documents: Vec<Node> = documents.into_iter().filter(|node| node.value != yaml::Value::Null).collect();
        let first = documents.first().ok_or_else(|| meaning(place, "it is empty"))?;
        let shown = ImportKind::of(first);
        let kind = from.or(shown).ok_or_else(|| {
            meaning(place, "it is no policy that is known here: ClusterImagePolicy, Kyverno's ClusterPolicy, policy.json, trustpolicy.json")
        })?;
        if let Some(other) = documents.iter().find(|node| ImportKind::of(node).is_none_or(|shown| shown != kind)) {
            let why = format!("expected a policy of the kind {}, but this is none", kind.name());
            return Err(syntax(place, other, why));
        }
        let workshop =
            Workshop { place, notes: RefCell::default(), keys: RefCell::default(), roots: RefCell::default() };
        let mut policy = match kind {
            ImportKind::ClusterImagePolicy => image_policy::read(&workshop, &documents)?,
            ImportKind::Kyverno => kyverno::read(&workshop, &documents)?,
            ImportKind::Containers => containers::read(&workshop, first)?,
            ImportKind::Notation => notation::read(&workshop, first)?,
        };
        place.clone_into(&mut policy.place);
        policy.keys = workshop.keys.into_inner();
        policy.trust_roots = workshop.roots.into_inner();
        let mut notes = workshop.notes.into_inner();
        notes.sort();
        notes.dedup();
        Ok(Self { policy, kind, notes })
    }

    /// Returns the policy file, with what has no equivalent as comments at its top.
    pub fn to_text(&self) -> String {
        let place = &self.policy.place;
        let mut text = format!("# Made from {place} ({}). Look at every line before you use it.\n", self.kind.name());
        for ImportNote { line, what } in &self.notes {
            text.push_str(&format!("#   {place}:{line}: {}\n", crate::model::fault::printable(what)));
        }
        text.push_str(&self.policy.to_text());
        text
    }
}

fn meaning(place: &str, why: &str) -> PaperError {
    PaperError::Meaning { place: place.to_owned(), why: why.to_owned() }
}

fn syntax(place: &str, node: &Node, why: String) -> PaperError {
    PaperError::Syntax { place: place.to_owned(), line: node.line, column: node.column, why: why.into() }
}

/// What all importers share: the notes, and the keys and roots that rules name.
struct Workshop<'p> {
    place: &'p str,
    notes: RefCell<Vec<ImportNote>>,
    keys: RefCell<BTreeMap<String, KeySource>>,
    roots: RefCell<BTreeMap<String, TrustRootSource>>,
}

impl Workshop<'_> {
    /// Notes that something has no equivalent.
    fn note(&self, node: &Node, what: impl Into<String>) {
        self.notes.borrow_mut().push(ImportNote { line: node.line, what: what.into() });
    }

    /// Makes an error of something without which other rules would decide.
    fn error(&self, node: &Node, why: impl Into<String>) -> PaperError {
        syntax(self.place, node, why.into())
    }

    /// Notes every field of `node` that is not `known`, with what becomes of it.
    fn others(&self, node: &Node, known: &[&str], becomes: &str) -> bool {
        let others = node.entries().iter().filter(|entry| !known.contains(&entry.key.as_str()));
        let mut any = false;
        for entry in others {
            any = true;
            self.notes
                .borrow_mut()
                .push(ImportNote { line: entry.line, what: format!("{:?} has no equivalent; {becomes}", entry.key) });
        }
        any
    }

    /// Gives a key a name: that of `wish`, with a number behind it where another key has it.
    fn key(&self, wish: &str, source: KeySource) -> String {
        let mut keys = self.keys.borrow_mut();
        if let Some((name, _)) = keys.iter().find(|(_, known)| **known == source) {
            return name.clone();
        }
        let name = free(wish, |name| keys.contains_key(name));
        keys.insert(name.clone(), source);
        name
    }

    /// Gives a trust root a name in the same way.
    fn root(&self, wish: &str, source: TrustRootSource) -> String {
        let mut roots = self.roots.borrow_mut();
        if let Some((name, _)) = roots.iter().find(|(_, known)| **known == source) {
            return name.clone();
        }
        let name = free(wish, |name| roots.contains_key(name));
        roots.insert(name.clone(), source);
        name
    }

    /// Names a trusted root that a person has to put beside the policy, because the source describes it in its own way.
    fn root_to_be_made(&self, node: &Node, wish: &str, what: &str) -> String {
        let file = format!("{wish}.trusted_root.json");
        self.note(
            node,
            format!("{what}: put a Sigstore trusted root that describes it at {file}; without it nothing is judged"),
        );
        self.root(wish, TrustRootSource::File { file, sha256: None, fetched: None })
    }
}

fn free(wish: &str, taken: impl Fn(&str) -> bool) -> String {
    let wish = if wish.is_empty() { "key" } else { wish };
    if !taken(wish) {
        return wish.to_owned();
    }
    (2_u32..).map(|number| format!("{wish}-{number}")).find(|name| !taken(name)).unwrap_or_default()
}
