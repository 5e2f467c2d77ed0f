//! Several trusted roots as one file, where they do not contradict each other.
//!
//! The same key stands once. Where one root has ended it and another has not, it is ended: the end is news. Anything
//! else that two roots say differently about one key is a contradiction, and no merge decides who is right.

use super::root_keys::{Anchor, AnchorKind, anchors};
use super::roots::{Root, RootError, RootText};
use serde_json::{Map, Value};

/// Why roots cannot be merged.
#[derive(Debug, thiserror::Error)]
pub enum MergeError {
    /// One of them cannot be used.
    #[error(transparent)]
    Root(#[from] RootError),
    /// Nothing to merge.
    #[error("a merge needs two roots at least")]
    TooFew,
    /// They are of different types.
    #[error("{first} has the mediaType {expected:?}, {other} has {found:?}")]
    Type {
        /// Root that came first.
        first: String,
        /// Its type.
        expected: String,
        /// Another root.
        other: String,
        /// Its type.
        found: String,
    },
    /// They say different things about one key.
    #[error("{first} and {other} contradict each other about the {} {name} ({id}): {what} differs", kind.words())]
    Contradiction {
        /// What it is.
        kind: AnchorKind,
        /// What it calls itself.
        name: String,
        /// Its id, in hex.
        id: String,
        /// Root that came first.
        first: String,
        /// The root that says something else.
        other: String,
        /// Field.
        what: String,
    },
}

/// One entry of a list, with who said it.
struct Entry {
    anchor: Anchor,
    value: Value,
    from: String,
}

/// Merges `roots` into one, in their order; the result is read back before it is returned.
pub fn merge_roots(roots: &[RootText]) -> Result<RootText, MergeError> {
    let [first, rest @ ..] = roots else { return Err(MergeError::TooFew) };
    if rest.is_empty() {
        return Err(MergeError::TooFew);
    }
    let expected = Root::of(first)?.trusted.media_type;
    let mut merged: Vec<Entry> = Vec::new();
    for root in roots {
        let found = Root::of(root)?.trusted.media_type;
        if found != expected {
            let (first, other) = (first.name.clone(), root.name.clone());
            return Err(MergeError::Type { first, expected, other, found });
        }
        for entry in entries(root)? {
            match merged.iter_mut().find(|m| (m.anchor.kind, &m.anchor.id) == (entry.anchor.kind, &entry.anchor.id)) {
                Some(known) => known.join(entry)?,
                None => merged.push(entry),
            }
        }
    }
    let root = RootText { name: "the merged root".to_owned(), bytes: written(&expected, merged) };
    Root::of(&root)?;
    Ok(root)
}

/// Returns the entries of all lists as they stand in the file, each with what it is.
fn entries(root: &RootText) -> Result<Vec<Entry>, RootError> {
    let parsed = Root::of(root)?;
    let raw: Value = serde_json::from_slice(&root.bytes)
        .map_err(|error| RootError::Form { file: root.name.clone(), why: error.to_string() })?;
    let mut seen = std::collections::BTreeMap::new();
    let entry = |anchor: Anchor| {
        let at = seen.entry(anchor.kind).or_insert(0_usize);
        let value = raw.get(anchor.kind.list()).and_then(|list| list.get(*at)).cloned().unwrap_or_default();
        *at += 1;
        Entry { anchor, value, from: root.name.clone() }
    };
    Ok(anchors(&parsed.trusted, 0).into_iter().map(entry).collect())
}

impl Entry {
    /// Takes in what another root says about the same key.
    fn join(&mut self, other: Self) -> Result<(), MergeError> {
        let (mut mine, mut theirs) = (self.value.clone(), other.value.clone());
        let ends = (take_end(&mut mine), take_end(&mut theirs));
        let differs = match (mine == theirs, &ends) {
            (true, (Some(one), Some(two))) if one != two => Some("the end of its window".to_owned()),
            (true, _) => None,
            (false, _) => Some(first_difference(&mine, &theirs)),
        };
        if let Some(what) = differs {
            let Anchor { kind, name, id, .. } = self.anchor.clone();
            let (first, other) = (self.from.clone(), other.from);
            return Err(MergeError::Contradiction { kind, name, id, first, other, what });
        }
        if ends.0.is_none() && ends.1.is_some() {
            *self = other;
        }
        Ok(())
    }
}

/// Takes the end out of an entry's window, wherever that stands.
fn take_end(entry: &mut Value) -> Option<Value> {
    let window = match entry.get("publicKey").is_some() {
        true => entry.pointer_mut("/publicKey/validFor"),
        false => entry.get_mut("validFor"),
    };
    window.and_then(Value::as_object_mut).and_then(|window| window.remove("end")).filter(|end| !end.is_null())
}

fn first_difference(one: &Value, two: &Value) -> String {
    let (Some(one), Some(two)) = (one.as_object(), two.as_object()) else { return "its form".to_owned() };
    let keys = one.keys().chain(two.keys());
    keys.into_iter().find(|key| one.get(*key) != two.get(*key)).map_or_else(String::new, Clone::clone)
}

fn written(media_type: &str, merged: Vec<Entry>) -> Vec<u8> {
    let mut root = Map::new();
    root.insert("mediaType".to_owned(), media_type.into());
    for kind in [
        AnchorKind::TransparencyLog,
        AnchorKind::CertificateAuthority,
        AnchorKind::CertificateLog,
        AnchorKind::TimestampAuthority,
    ] {
        let list = merged.iter().filter(|entry| entry.anchor.kind == kind).map(|entry| entry.value.clone());
        root.insert(kind.list().to_owned(), list.collect());
    }
    let mut bytes = serde_json::to_vec_pretty(&root).unwrap_or_default();
    bytes.push(b'\n');
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testkit::sigstore::{World, rfc3339};

    const T0: i64 = 1_700_000_000;

    fn text(name: &str, root: &Value) -> RootText {
        RootText { name: name.into(), bytes: root.to_string().into_bytes() }
    }

    #[test]
    fn two_instances_become_one_file_and_an_end_is_taken_over() {
        let (one, two) = (World::new(T0).root(), World::new(T0).root());
        let merged = merge_roots(&[text("a", &one), text("b", &two), text("c", &one)]).unwrap();
        let value: Value = serde_json::from_slice(&merged.bytes).unwrap();
        for kind in ["tlogs", "ctlogs", "certificateAuthorities", "timestampAuthorities"] {
            assert_eq!(value[kind], serde_json::json!([one[kind][0], two[kind][0]]));
        }
        let mut ended = one.clone();
        ended["tlogs"][0]["publicKey"]["validFor"]["end"] = rfc3339(T0 + 5).into();
        ended["certificateAuthorities"][0]["validFor"]["end"] = rfc3339(T0 + 5).into();
        for order in [[text("a", &one), text("b", &ended)], [text("b", &ended), text("a", &one)]] {
            let merged: Value = serde_json::from_slice(&merge_roots(&order).unwrap().bytes).unwrap();
            assert_eq!(
                (&merged["tlogs"], &merged["certificateAuthorities"]),
                (&ended["tlogs"], &ended["certificateAuthorities"])
            );
        }
    }

    #[test]
    fn contradictions_are_refused_by_name() {
        let one = World::new(T0).root();
        let against = |edit: &dyn Fn(&mut Value)| {
            let mut other = one.clone();
            edit(&mut other);
            merge_roots(&[text("a", &one), text("b", &other)]).unwrap_err().to_string()
        };
        let error = against(&|root| root["tlogs"][0]["publicKey"]["validFor"]["start"] = rfc3339(T0 + 1).into());
        assert!(
            error.contains("a and b contradict each other about the transparency log https://log.example"),
            "{error}"
        );
        let error = against(&|root| root["ctlogs"][0]["baseUrl"] = "https://x.example".into());
        assert!(error.contains("certificate log") && error.contains("baseUrl differs"), "{error}");
        let error = against(&|root| root["mediaType"] = "application/vnd.dev.sigstore.trustedroot.v0.2+json".into());
        assert!(error.contains("mediaType"), "{error}");
        let end = |seconds: i64| {
            let mut root = one.clone();
            root["tlogs"][0]["publicKey"]["validFor"]["end"] = rfc3339(T0 + seconds).into();
            root
        };
        let error = merge_roots(&[text("a", &end(5)), text("b", &end(6))]).unwrap_err().to_string();
        assert!(error.contains("the end of its window differs"), "{error}");
        assert!(merge_roots(&[text("a", &one)]).is_err() && merge_roots(&[]).is_err());
        assert!(merge_roots(&[text("a", &one), text("b", &serde_json::json!({}))]).is_err());
    }
}
