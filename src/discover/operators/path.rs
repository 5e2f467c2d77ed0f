//! Paths into an object: keys parted by dots, `[*]` for each item, `*` for each value, `**` for any depth.

use crate::document::yaml::{Node, Value};
use crate::model::fault::printable;
use std::fmt;
use std::str::FromStr;

/// One step of a path.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Step {
    Key(String),
    Items,
    Values,
    Anywhere,
}

/// Path into an object.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct FieldPath(Vec<Step>);

/// A node with the place where it stands: `spec.images[0].image`.
pub type Placed<'n> = (&'n Node, String);

impl FieldPath {
    /// Returns what stands at the path below `node`, which itself stands at `place`; null counts as absent.
    pub fn find<'n>(&self, node: &'n Node, place: &str) -> Vec<Placed<'n>> {
        let mut found = Vec::new();
        follow(node, place, &self.0, &mut found);
        found
    }
}

fn follow<'n>(node: &'n Node, place: &str, steps: &[Step], found: &mut Vec<Placed<'n>>) {
    let Some((step, rest)) = steps.split_first() else {
        if node.value != Value::Null {
            found.push((node, place.to_owned()));
        }
        return;
    };
    match step {
        Step::Key(key) => {
            if let Some(next) = node.get(key) {
                follow(next, &below(place, key), rest, found);
            }
        }
        Step::Items => items(node, place, |item, place| follow(item, &place, rest, found)),
        Step::Values => entries(node, place, |value, place| follow(value, &place, rest, found)),
        Step::Anywhere => {
            follow(node, place, rest, found);
            items(node, place, |item, place| follow(item, &place, steps, found));
            entries(node, place, |value, place| follow(value, &place, steps, found));
        }
    }
}

fn items<'n>(node: &'n Node, place: &str, mut each: impl FnMut(&'n Node, String)) {
    for (at, item) in node.items().iter().enumerate() {
        each(item, format!("{place}[{at}]"));
    }
}

fn entries<'n>(node: &'n Node, place: &str, mut each: impl FnMut(&'n Node, String)) {
    for entry in node.entries() {
        each(&entry.value, below(place, &entry.key));
    }
}

fn below(place: &str, key: &str) -> String {
    let key = printable(key);
    if place.is_empty() { key } else { format!("{place}.{key}") }
}

impl FromStr for FieldPath {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let mut steps = Vec::new();
        for part in parts(text) {
            let (key, items) = match part.find("[*]") {
                Some(at) => (&part[..at], &part[at..]),
                None => (&part[..], ""),
            };
            match key {
                "" if items.is_empty() => return Err(format!("{text:?} has an empty part between its dots")),
                "" => {}
                "*" => steps.push(Step::Values),
                "**" => steps.push(Step::Anywhere),
                key if key.contains(['[', ']', '*', '$', '{']) => {
                    return Err(format!(
                        "{text:?}: {key:?} is no key; [*] means each item, * each value, ** any depth"
                    ));
                }
                key => steps.push(Step::Key(key.to_owned())),
            }
            if items.replace("[*]", "").is_empty() {
                steps.extend(items.matches("[*]").map(|_| Step::Items));
            } else {
                return Err(format!("{text:?}: only [*] follows a key, not {items:?}"));
            }
        }
        match steps.last() {
            Some(Step::Anywhere) | None => Err(format!("{text:?} does not end at a field")),
            Some(_) => Ok(Self(steps)),
        }
    }
}

/// Cuts at dots; `\.` is a dot inside of a key.
fn parts(text: &str) -> Vec<String> {
    let mut parts = vec![String::new()];
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            '\\' if chars.peek() == Some(&'.') => parts.last_mut().map_or((), |part| part.extend(chars.next())),
            '.' => parts.push(String::new()),
            other => parts.last_mut().map_or((), |part| part.push(other)),
        }
    }
    parts
}

impl fmt::Display for FieldPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, step) in self.0.iter().enumerate() {
            let dot = if at == 0 { "" } else { "." };
            match step {
                Step::Key(key) => write!(f, "{dot}{}", key.replace('.', "\\."))?,
                Step::Items => f.write_str("[*]")?,
                Step::Values => write!(f, "{dot}*")?,
                Step::Anywhere => write!(f, "{dot}**")?,
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::document::yaml;
    use proptest::prelude::*;

    fn found(path: &str, text: &str) -> Vec<String> {
        let node = yaml::document(text, "x").unwrap();
        let path: FieldPath = path.parse().unwrap();
        let shown = |(node, place): Placed<'_>| format!("{place}={}", node.text().unwrap_or("?"));
        path.find(&node, "").into_iter().map(shown).collect()
    }

    #[test]
    fn paths_lead_where_they_say() {
        let text = "a: {b: 1, c.d: 2, l: [{x: 3}, {x: 4}, {y: 5}], m: {p: {x: 6}, q: {x: ~}}}";
        assert_eq!(found("a.b", text), ["a.b=1"]);
        assert_eq!(found("a.c\\.d", text), ["a.c.d=2"]);
        assert_eq!(found("a.l[*].x", text), ["a.l[0].x=3", "a.l[1].x=4"]);
        assert_eq!(found("a.m.*.x", text), ["a.m.p.x=6"]);
        assert_eq!(found("a.**.x", text), ["a.l[0].x=3", "a.l[1].x=4", "a.m.p.x=6"]);
        assert!(found("a.nothing.x", text).is_empty());
    }

    #[test]
    fn paths_that_lead_nowhere_are_refused() {
        for text in ["", "a..b", "a.", ".a", "**", "a[0]", "a[*", "{.a}", "$.a", "a[*]b"] {
            assert!(text.parse::<FieldPath>().is_err(), "{text}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_a_path_or_refused_and_prints_as_it_reads(text in "[a-c.*\\[\\]\\\\]{0,12}") {
            if let Ok(path) = text.parse::<FieldPath>() {
                prop_assert_eq!(path.to_string().parse::<FieldPath>().unwrap(), path);
            }
        }
    }
}
