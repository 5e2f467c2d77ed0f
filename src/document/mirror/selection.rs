//! How an entry chooses among the tags of a repository:
//!
//! ```yaml
//! - repository: quay.io/example/press
//!   tags: ["2.*", "1.9.4"]             # names are wanted as they are; a pattern chooses
//!   regex: 'v?2\.\d+\.\d+'             # about the whole tag
//!   semver: ">=2.1"                    # ^1.2, ~1.2, 1.x and comparisons
//!   newest: { count: 2, per: minor }   # or a number: of all; per: major | minor
//!   since: 2026-01-01                  # made on this day or later
//!   except: ["2.1.3", "*-debug"]       # never these
//! ```
//!
//! Everything that chooses must agree. `since` looks at the annotation `org.opencontainers.image.created`, and without it at
//! `created` in the configuration of the image (of the first one of an index). That costs up to three requests for each tag
//! that the rest leaves over, at most [`crate::model::limits::DATED_TAGS`] tags for one repository; an artifact that states no time
//! is an error, because nobody knows whether it is meant.

use crate::document::date::Moment;
use crate::document::form::{Clerk, Form};
use crate::document::yaml::Node;
use crate::model::Tag;
use std::fmt;

/// Fields that choose among the tags of a repository.
pub(super) const CHOOSING: [&str; 6] = ["tags", "regex", "semver", "newest", "since", "except"];
pub(super) const NEWEST: &[&str] = &["count", "per"];

/// Tags that are wanted: names as they are; everything else chooses together among the others.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct TagWish {
    /// Names.
    pub names: Vec<Tag>,
    /// Patterns; a tag must fit one of them, where there are any.
    pub patterns: Vec<String>,
    /// Regular expression that the whole tag must fit.
    pub regex: Option<String>,
    /// Range of versions, as typed.
    pub semver: Option<String>,
    /// How many of the highest versions.
    pub newest: Option<Newest>,
    /// When it must have been made at the earliest.
    pub since: Option<Moment>,
    /// Patterns of tags that are left out.
    pub except: Vec<String>,
}

/// How many of the highest versions are wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Newest {
    /// How many; at least one.
    pub count: usize,
    /// Of what.
    pub per: Per,
}

/// Among which versions the highest are counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Per {
    /// All.
    All,
    /// Those with the same first number.
    Major,
    /// Those with the same first two numbers.
    Minor,
}

impl fmt::Display for Newest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.per {
            Per::All => write!(f, "{}", self.count),
            Per::Major => write!(f, "{} per major", self.count),
            Per::Minor => write!(f, "{} per minor", self.count),
        }
    }
}

/// Reads the fields that choose.
pub(super) fn tag_wish(clerk: &Clerk<'_>, node: &Node, form: &Form<'_>) -> Option<TagWish> {
    let mut wish = TagWish {
        regex: form.text("regex"),
        semver: form.text("semver"),
        newest: form.get("newest").and_then(|node| newest(clerk, node)),
        since: form.get("since").and_then(|node| clerk.parsed(node)),
        except: clerk.texts(form.get("except")),
        ..TagWish::default()
    };
    for text in clerk.texts(form.get("tags")) {
        if text.contains(['*', '?', '[', '{']) {
            wish.patterns.push(text);
        } else {
            match text.parse() {
                Ok(tag) => wish.names.push(tag),
                Err(error) => clerk.note(node, format!("tags: {error}")),
            }
        }
    }
    if wish == (TagWish { except: wish.except.clone(), ..TagWish::default() }) && clerk.is_content() {
        let why = "a repository needs tags, regex, semver, newest or since; tags: \"*\" means all";
        clerk.note(node, why);
        return None;
    }
    Some(wish)
}

/// Reads a number, or a number with what it is counted in.
fn newest(clerk: &Clerk<'_>, node: &Node) -> Option<Newest> {
    let at_least_one = |node: &Node| {
        let count = clerk.parsed(node)?;
        if count == 0 {
            clerk.note(node, "newest is at least 1");
        }
        (count > 0).then_some(count)
    };
    if node.text().is_some() {
        return at_least_one(node).map(|count| Newest { count, per: Per::All });
    }
    let form = clerk.form(node, NEWEST)?;
    let count = form.need("count").and_then(at_least_one);
    let words = [("major", Per::Major), ("minor", Per::Minor)];
    let per = form.need("per").and_then(|node| clerk.word(node, &words));
    Some(Newest { count: count?, per: per? })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::document::mirror::{MirrorManifest, Wish};

    fn read(fields: &str) -> Result<TagWish, String> {
        let text = format!("apiVersion: airlift/v1alpha1\nkind: Mirror\nimages:\n- {{repository: x, {fields}}}\n");
        let mirror = MirrorManifest::read(text.as_bytes(), "m.yaml").map_err(|error| error.to_string())?;
        match &mirror.images[0].wish {
            Wish::Tags { tags, .. } => Ok(tags.clone()),
            other => Err(format!("{other:?}")),
        }
    }

    #[test]
    fn every_way_to_choose_is_read() {
        let wish = read("tags: ['2.*', 1.10], regex: 'v?2.*', semver: ^2, newest: {count: 2, per: minor}, since: 2026-01-31, except: '*-rc*'").unwrap();
        assert_eq!((wish.names[0].as_str(), wish.patterns[0].as_str()), ("1.10", "2.*"));
        assert_eq!((wish.regex.as_deref(), wish.semver.as_deref()), (Some("v?2.*"), Some("^2")));
        assert_eq!(wish.newest, Some(Newest { count: 2, per: Per::Minor }));
        assert_eq!(
            (wish.since.unwrap().to_string().as_str(), &wish.except[..]),
            ("2026-01-31", &["*-rc*".to_owned()][..])
        );
        assert_eq!(read("newest: 3").unwrap().newest, Some(Newest { count: 3, per: Per::All }));
    }

    #[test]
    fn what_cannot_be_meant_is_refused() {
        for (fields, said) in [
            ("newest: {count: 2}", "\"per\" is missing"),
            ("newest: {per: minor}", "\"count\" is missing"),
            ("newest: {count: 0, per: minor}", "at least 1"),
            ("newest: {count: 1, per: patch}", "none of: major, minor"),
            ("newest: {cuont: 1, per: minor}", "did you mean \"count\"?"),
            ("since: soon", "no date"),
            ("except: x", "needs tags, regex, semver, newest or since"),
        ] {
            let error = read(fields).expect_err(fields);
            assert!(error.contains(said), "{fields}: {error}");
        }
    }
}
