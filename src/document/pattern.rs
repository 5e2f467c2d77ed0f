//! Patterns of references, as policies and flags use them: `registry.example/team/**`. The door of globset.
//!
//! `*` stands for any characters within one part, `**` for any number of whole parts; nothing else is special.
//! A pattern is compared with the normalised source reference `host/path[:tag]`. Without a tag it is about
//! every tag and every digest; with one, only about references that carry such a tag. As in a reference, a
//! pattern whose first part is no host means `docker.io`, and a single plain part `docker.io/library`.

use crate::model::ImageRef;
use crate::model::limits;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::fmt;
use std::str::FromStr;

/// Why a text is no pattern.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{input:?} is no pattern: {why}")]
pub struct PatternError {
    /// Text as it came, cut to a printable length.
    pub input: String,
    /// Reason in words.
    pub why: &'static str,
}

/// Glob over text in parts: `*` within a part, `**` over parts.
#[derive(Clone)]
pub struct Glob {
    matcher: globset::GlobMatcher,
    literal: usize,
}

impl Glob {
    /// Reads a glob of at most 4096 bytes.
    pub fn parse(text: &str) -> Result<Self, PatternError> {
        let error = |why| PatternError { input: text.chars().take(120).collect(), why };
        if text.is_empty() {
            return Err(error("it is empty"));
        }
        if text.len() > limits::REFERENCE_BYTES {
            return Err(error("it has more than 4096 bytes"));
        }
        let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-' | '/' | ':' | '*' | '[' | ']');
        if !text.chars().all(plain) {
            return Err(error("it has a character that cannot stand in a reference; wildcards are * and **"));
        }
        if text.split('/').any(|part| part.contains("**") && part != "**") {
            return Err(error("** stands for whole parts: it needs a slash or an end on both sides"));
        }
        // Brackets stand around IPv6 addresses and are no character classes here.
        let escaped = text.replace('[', "\\[").replace(']', "\\]");
        let mut builder = globset::GlobBuilder::new(&escaped);
        let built = builder.literal_separator(true).backslash_escape(true).build();
        let matcher = built.map_err(|_| error("it does not compile"))?.compile_matcher();
        Ok(Self { matcher, literal: text.chars().filter(|c| *c != '*').count() })
    }

    /// Returns whether `text` as a whole fits.
    pub fn matches(&self, text: &str) -> bool {
        self.matcher.is_match(text)
    }
}

/// Pattern of references.
#[derive(Clone)]
pub struct Pattern {
    text: String,
    repository: Glob,
    tag: Option<Glob>,
}

impl Pattern {
    /// Returns the text as it was written.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Returns whether the pattern is about `name`. A reference without a tag fits patterns without a tag only.
    pub fn matches(&self, name: &ImageRef) -> bool {
        let tag = match (&self.tag, &name.tag) {
            (None, _) => true,
            (Some(glob), Some(tag)) => glob.matches(tag.as_str()),
            (Some(_), None) => false,
        };
        tag && self.repository.matches(&name.repository.to_string())
    }

    /// Returns the number of characters that are no wildcard: the more, the more specific.
    pub fn specificity(&self) -> usize {
        self.repository.literal + self.tag.as_ref().map_or(0, |tag| tag.literal + 1)
    }
}

impl FromStr for Pattern {
    type Err = PatternError;

    fn from_str(text: &str) -> Result<Self, PatternError> {
        let error = |why| PatternError { input: text.chars().take(120).collect(), why };
        if text.contains('@') {
            return Err(error("a pattern is about names; a digest does not belong into it"));
        }
        if text.contains("://") {
            return Err(error("a scheme does not belong into it"));
        }
        let (name, tag) = match text.rsplit_once(':') {
            Some((name, tag)) if !tag.contains(['/', ']']) => (name, Some(tag)),
            _ => (text, None),
        };
        let repository = Glob::parse(&normal(name)).map_err(|e| error(e.why))?;
        let tag = tag.map(Glob::parse).transpose().map_err(|e| error(e.why))?;
        Ok(Self { text: text.to_owned(), repository, tag })
    }
}

/// Gives the host that a name without one means.
fn normal(name: &str) -> String {
    let (first, rest) = name.split_once('/').map_or((name, None), |(first, rest)| (first, Some(rest)));
    let host = first.contains(['.', ':', '[', '*']) || first == "localhost";
    match rest {
        Some(_) if host => name.to_owned(),
        Some(_) => format!("docker.io/{name}"),
        None if name.contains("**") || name.is_empty() => name.to_owned(),
        None => format!("docker.io/library/{name}"),
    }
}

impl PartialEq for Pattern {
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text
    }
}

impl Eq for Pattern {}

impl fmt::Display for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl fmt::Debug for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.text)
    }
}

impl fmt::Debug for Glob {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.matcher.glob().glob())
    }
}

impl Serialize for Pattern {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.text)
    }
}

impl<'de> Deserialize<'de> for Pattern {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn fits(pattern: &str, name: &str) -> bool {
        pattern.parse::<Pattern>().unwrap().matches(&name.parse().unwrap())
    }

    #[test]
    fn one_star_stays_within_a_part_and_two_cross_them() {
        for (pattern, name, expected) in [
            ("**", "h.example/a/b:1", true),
            ("h.example/**", "h.example/a/b:1", true),
            ("h.example/**", "h.example.evil.example/a", false),
            ("h.example/*", "h.example/a:1", true),
            ("h.example/*", "h.example/a/b:1", false),
            ("h.example/a/**", "h.example/a", false),
            ("h.example/a/**", "h.example/ab/c", false),
            ("h.example/a-*", "h.example/a-b", true),
            ("*/a/b", "h.example/a/b", true),
            ("**/b", "h.example/a/b", true),
            ("h.example/a", "h.example/a:1", true),
            ("h.example/a:1.*", "h.example/a:1.2", true),
            ("h.example/a:1.*", "h.example/a:2.1", false),
            ("h.example/a:*", "h.example/a", false),
            ("hxexample/a", "h.example/a", false),
            ("[::1]:5000/a", "[::1]:5000/a:2", true),
            ("localhost:5000/**", "localhost:5000/x/y", true),
            ("nginx", "docker.io/library/nginx:1", true),
            ("nginx:1", "nginx:1", true),
            ("grafana/*", "grafana/grafana", true),
            ("nginx", "h.example/library/nginx", false),
        ] {
            assert_eq!(fits(pattern, name), expected, "{pattern} on {name}");
        }
    }

    #[test]
    fn what_could_be_read_in_two_ways_is_refused() {
        for text in
            ["", "a**b/c", "h.example/{a,b}", "h.example/a?", "x@sha256:00", "https://h.example/a", "h/a b", "a!"]
        {
            assert!(text.parse::<Pattern>().is_err(), "{text}");
        }
    }

    #[test]
    fn more_literal_characters_are_more_specific() {
        let of = |text: &str| text.parse::<Pattern>().unwrap().specificity();
        assert!(of("**") < of("h.example/**"));
        assert!(of("h.example/**") < of("h.example/a/*"));
        assert!(of("h.example/a") < of("h.example/a:*"));
        assert!(of("h.example/a:*") < of("h.example/a:1*"));
    }

    proptest! {
        #[test]
        fn any_text_parses_or_errs_without_a_panic(text in "\\PC{0,80}") {
            let _ = text.parse::<Pattern>();
        }

        #[test]
        fn a_reference_fits_itself_as_a_pattern(path in "[a-z0-9]{1,8}(/[a-z0-9]{1,8}){0,3}", tag in "[a-z0-9]{1,8}") {
            let name = format!("h.example/{path}:{tag}");
            prop_assert!(fits(&name, &name));
            let other = format!("{}x", name);
            prop_assert!(!fits(&other, &name));
        }
    }
}
