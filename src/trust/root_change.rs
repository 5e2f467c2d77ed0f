//! The difference of two trusted roots: what a person looks at before accepting a new one.
//!
//! An honest new root adds keys and ends old ones; it keeps every key that ever counted, because old signatures
//! need them. A root that lacks keys or puts ended ones in force again is older, of another instance, or forged:
//! that is a loss, and is told apart.

use super::root_keys::{Anchor, RootView};
use super::roots::{RootError, RootText};
use serde::Serialize;

/// Difference of two roots.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct RootChange {
    /// New keys and authorities.
    pub added: Vec<Anchor>,
    /// Those whose window was given an end, or an earlier one.
    pub ended: Vec<Anchor>,
    /// A loss: those that the new root does not have.
    pub removed: Vec<Anchor>,
    /// A loss: those whose end was taken away or moved later.
    pub reopened: Vec<Anchor>,
    /// Those that start at another time or call themselves differently, as they are now.
    pub changed: Vec<Anchor>,
}

impl RootChange {
    /// Compares two roots; `now`, in seconds since 1970, is for the standing of what is listed.
    pub fn between(old: &RootText, new: &RootText, now: i64) -> Result<Self, RootError> {
        let (old, new) = (RootView::read(old, now)?, RootView::read(new, now)?);
        Ok(Self::of(&old.anchors, new.anchors))
    }

    fn of(old: &[Anchor], new: Vec<Anchor>) -> Self {
        let mut change = Self::default();
        let same = |a: &Anchor, b: &Anchor| (a.kind, &a.id) == (b.kind, &b.id);
        change.removed.extend(old.iter().filter(|o| !new.iter().any(|n| same(o, n))).cloned());
        for anchor in new {
            let Some(before) = old.iter().find(|o| same(o, &anchor)) else {
                change.added.push(anchor);
                continue;
            };
            // An open end is later than every other.
            let end = |anchor: &Anchor| if anchor.until.is_empty() { "~".to_owned() } else { anchor.until.clone() };
            match end(&anchor).cmp(&end(before)) {
                std::cmp::Ordering::Less => change.ended.push(anchor),
                std::cmp::Ordering::Greater => change.reopened.push(anchor),
                std::cmp::Ordering::Equal if (&anchor.from, &anchor.name) != (&before.from, &before.name) => {
                    change.changed.push(anchor);
                }
                std::cmp::Ordering::Equal => {}
            }
        }
        change
    }

    /// Returns whether the roots trust the same, for the same times.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// Returns whether something that was trusted is gone, or something that had ended counts again.
    pub fn has_losses(&self) -> bool {
        !self.removed.is_empty() || !self.reopened.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testkit::sigstore::{World, log, rfc3339};
    use serde_json::Value;

    const T0: i64 = 1_700_000_000;

    fn text(root: &Value) -> RootText {
        RootText { name: "root.json".into(), bytes: root.to_string().into_bytes() }
    }

    fn change(old: &Value, new: &Value) -> RootChange {
        RootChange::between(&text(old), &text(new), T0).unwrap()
    }

    #[test]
    fn what_is_new_what_has_ended_and_what_is_lost_are_told_apart() {
        let world = World::new(T0);
        let old = world.root();
        assert!(change(&old, &old).is_empty());
        let mut new = old.clone();
        let second = log::Log::new("second.example");
        new["tlogs"].as_array_mut().unwrap().push(log::trusted(&second.key, "second.example", T0 + 9));
        new["tlogs"][0]["publicKey"]["validFor"]["end"] = rfc3339(T0 + 8).into();
        let forward = change(&old, &new);
        let names = |list: &[Anchor]| list.iter().map(|anchor| anchor.name.clone()).collect::<Vec<_>>();
        assert_eq!(names(&forward.added), ["https://second.example"]);
        assert_eq!(names(&forward.ended), ["https://log.example"]);
        assert!(!forward.has_losses() && !forward.is_empty());
        let back = change(&new, &old);
        assert_eq!(names(&back.removed), ["https://second.example"]);
        assert_eq!(names(&back.reopened), ["https://log.example"]);
        assert!(back.has_losses());
        let mut later = new.clone();
        later["tlogs"][0]["publicKey"]["validFor"]["end"] = rfc3339(T0 + 80).into();
        assert_eq!(names(&change(&new, &later).reopened), ["https://log.example"]);
        let mut moved = old.clone();
        moved["ctlogs"][0]["baseUrl"] = "https://elsewhere.example".into();
        assert_eq!(names(&change(&old, &moved).changed), ["https://elsewhere.example"]);
        assert!(!change(&old, &moved).has_losses());
    }
}
