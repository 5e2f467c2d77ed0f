//! Which versions and names are meant: ranges and patterns. The door of the crates for both.
//!
//! Ranges: caret, tilde, exact, lists of comparisons joined by blanks or commas, `x` and `*`. A caret of a
//! partial version means what it means in npm and Cargo: `^1.1` is at least 1.1.0 and below 2.0.0. A
//! pre-release fits only a range that names one. Everything else is refused with its text.

use globset::{GlobBuilder, GlobMatcher};
use std::fmt;
use std::str::FromStr;

/// Why a version, range or pattern cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SelectError {
    /// Not three numbers with an optional pre-release.
    #[error("{0:?} is no version: expected three numbers, as in 1.4.2")]
    Version(String),
    /// No range that is understood.
    #[error("{text:?} is no version range: {why}")]
    Range {
        /// Range as typed.
        text: String,
        /// Reason in words.
        why: String,
    },
    /// No pattern.
    #[error("{text:?} is no pattern: {why}")]
    Pattern {
        /// Pattern as typed.
        text: String,
        /// Reason in words.
        why: String,
    },
}

/// Version with the text it was written as. Ordered as semantic versioning does it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Version {
    pub(super) number: semver::Version,
    text: String,
}

impl Version {
    /// Returns the version as written.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Returns whether both are the same version, however they are spelled.
    pub fn is_same(&self, other: &Self) -> bool {
        self.number == other.number
    }

    pub(super) fn is_pre_release(&self) -> bool {
        !self.number.pre.is_empty()
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl FromStr for Version {
    type Err = SelectError;

    fn from_str(text: &str) -> Result<Self, SelectError> {
        let number = semver::Version::parse(text.strip_prefix('v').unwrap_or(text));
        let number = number.map_err(|_| SelectError::Version(text.to_owned()))?;
        Ok(Self { number, text: text.to_owned() })
    }
}

/// Range of versions, with the text it was written as.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VersionRange {
    text: String,
    range: semver::VersionReq,
}

impl VersionRange {
    /// Returns whether `version` is in the range.
    pub fn holds(&self, version: &Version) -> bool {
        self.range.matches(&version.number)
    }

    /// Returns the one version that it means, where it states one in full.
    pub fn exact(&self) -> Option<Version> {
        let [only] = &self.range.comparators[..] else { return None };
        let whole = only.op == semver::Op::Exact && only.minor.is_some() && only.patch.is_some();
        self.text.trim().trim_start_matches('=').trim().parse().ok().filter(|_| whole)
    }
}

impl fmt::Display for VersionRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl FromStr for VersionRange {
    type Err = SelectError;

    fn from_str(text: &str) -> Result<Self, SelectError> {
        let error = |why: &str| SelectError::Range { text: text.to_owned(), why: why.to_owned() };
        let mut comparators = Vec::new();
        let mut operator = String::new();
        for word in text.split([' ', '\t', ',']).filter(|word| !word.is_empty()) {
            operator.push_str(word);
            // `>= 1.2` is one comparison in two words.
            if operator.ends_with(['<', '>', '=', '^', '~']) {
                continue;
            }
            comparators.push(comparator(&std::mem::take(&mut operator)).map_err(error)?);
        }
        if !operator.is_empty() {
            return Err(error("a comparison has no version"));
        }
        if comparators.is_empty() {
            return Err(error("it is empty; * means any version"));
        }
        let range = semver::VersionReq::parse(&comparators.join(", ")).map_err(|e| error(&e.to_string()))?;
        Ok(Self { text: text.to_owned(), range })
    }
}

/// Puts one comparison into the crate's spelling, in which a bare version would be a caret.
fn comparator(word: &str) -> Result<String, &'static str> {
    let version = word.trim_start_matches(['<', '>', '=', '^', '~']);
    let operator = &word[..word.len() - version.len()];
    let core = version.split(['-', '+']).next().unwrap_or_default();
    let parts: Vec<&str> = core.split('.').collect();
    let wild = |part: &&str| matches!(*part, "x" | "X" | "*");
    let number = |part: &&str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit());
    if parts.len() > 3 || !parts.iter().all(|part| wild(part) || number(part)) {
        return Err("expected ^1.2, ~1.2, 1.2.3, 1.x, * or comparisons like >=1.2 <2; no ||, no hyphen ranges");
    }
    let open = parts.iter().any(wild);
    match operator {
        "" | "=" if open => Ok(version.replace('X', "x")),
        "" if parts.len() == 3 => Ok(format!("={version}")),
        "" => Err("a version of one or two numbers can mean several things; write ^, ~, .x or all three numbers"),
        _ if open => Err("a wildcard stands alone, without an operator"),
        "=" | "^" | "~" | ">" | ">=" | "<" | "<=" => Ok(word.to_owned()),
        _ => Err("the operator is none of ^ ~ = > >= < <="),
    }
}

/// Pattern over texts whose parts are divided by `/`: `*` stays inside one part, `**` crosses parts.
#[derive(Debug, Clone)]
pub struct Pattern(GlobMatcher);

impl Pattern {
    /// Returns whether `text` fits as a whole.
    pub fn fits(&self, text: &str) -> bool {
        self.0.is_match(text)
    }

    /// Returns whether a Blueprint or a release called `name` fits, as it is or without its `bp-`.
    pub fn names(&self, name: &str) -> bool {
        self.fits(name) || name.strip_prefix("bp-").is_some_and(|bare| self.fits(bare))
    }
}

impl FromStr for Pattern {
    type Err = SelectError;

    fn from_str(text: &str) -> Result<Self, SelectError> {
        let glob = GlobBuilder::new(text).literal_separator(true).backslash_escape(false).build();
        let why = |e: globset::Error| SelectError::Pattern { text: text.to_owned(), why: e.kind().to_string() };
        Ok(Self(glob.map_err(why)?.compile_matcher()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn range(text: &str) -> VersionRange {
        text.parse().unwrap_or_else(|e| panic!("{e}"))
    }

    #[test]
    fn ranges_hold_for_what_they_say() {
        for (text, inside, outside) in [
            ("^1", "1.0.0 1.1.4 1.99.0", "2.0.0 1.0.0-rc1 0.9.9"),
            ("^1.1", "1.1.0 1.9.0", "1.0.9 2.0.0"),
            ("^0.2", "0.2.0 0.2.9", "0.3.0 0.1.9"),
            ("^0.0.3", "0.0.3", "0.0.4"),
            ("~1.2", "1.2.0 1.2.9", "1.3.0"),
            ("~1.2.3", "1.2.3 1.2.9", "1.2.2 1.3.0"),
            ("1.2.3", "1.2.3 v1.2.3", "1.2.4 1.3.0"),
            ("=1.2.3", "1.2.3", "1.2.4"),
            (">=1.2 <2", "1.2.0 1.9.9", "2.0.0 1.1.9"),
            (">= 1.2, < 2.0.0", "1.2.0", "2.0.0"),
            (">1.2", "1.3.0", "1.2.5 1.2.0"),
            ("1.x", "1.0.0 1.9.0", "2.0.0 0.1.0"),
            ("1.2.X", "1.2.7", "1.3.0"),
            ("*", "0.0.1 9.9.9", "1.0.0-rc.1"),
            ("x", "1.0.0", "1.0.0-rc.1"),
            ("^1.0.0-rc.1", "1.0.0-rc.2 1.0.0 1.5.0", "1.1.0-rc.1 2.0.0"),
            ("1.0.0-beta.213", "1.0.0-beta.213", "1.0.0-beta.214 1.0.0"),
        ] {
            for version in inside.split(' ') {
                assert!(range(text).holds(&version.parse().unwrap()), "{text} {version}");
            }
            for version in outside.split(' ') {
                assert!(!range(text).holds(&version.parse().unwrap()), "{text} {version}");
            }
        }
    }

    #[test]
    fn a_range_of_one_version_in_full_is_exact() {
        let exact = |text: &str| range(text).exact().map(|version| version.to_string());
        assert_eq!(exact("1.2.3"), Some("1.2.3".to_owned()));
        assert_eq!(exact("= 1.0.0-rc.1"), Some("1.0.0-rc.1".to_owned()));
        for open in ["^1.2.3", "1.x", "=1.2", ">=1.2.3", "*", "=1.2.3 <2"] {
            assert_eq!(exact(open), None, "{open}");
        }
    }

    #[test]
    fn other_ranges_are_refused_with_their_text() {
        let others = [
            "",
            " ",
            "1.2",
            "1",
            "^1 || ^2",
            "1.0.0 - 2.0.0",
            "latest",
            "~>1.2",
            "^1.x",
            "^",
            ">=",
            "==1.0.0",
            "1.2.3.4",
            "=>1.0.0",
            "^v1",
            "1..2",
            "!=1.0.0",
        ];
        for text in others {
            let error = text.parse::<VersionRange>().expect_err(text).to_string();
            assert!(error.contains(&format!("{text:?}")), "{error}");
        }
    }

    #[test]
    fn patterns_know_parts() {
        let fits = |pattern: &str, text: &str| pattern.parse::<Pattern>().unwrap().fits(text);
        assert!(fits("ghcr.io/openova-io/**", "ghcr.io/openova-io/a/b"));
        assert!(!fits("ghcr.io/openova-io/*", "ghcr.io/openova-io/a/b"));
        assert!(fits("ghcr.io/openova-io/bp-*", "ghcr.io/openova-io/bp-x"));
        assert!(fits("**", "a/b"));
        assert!("a[".parse::<Pattern>().unwrap_err().to_string().contains("a["));
    }

    proptest! {
        #[test]
        fn any_range_parses_or_errs_without_a_panic(text in "[0-9.xX*^~<>=, |v-]{0,16}|\\PC{0,12}") {
            let _ = text.parse::<VersionRange>();
            let _ = text.parse::<Version>();
            let _ = text.parse::<Pattern>();
        }
    }
}
