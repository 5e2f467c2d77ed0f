//! Which versions and tags are meant: ranges, patterns, the newest few. The door of the crates for both.
//!
//! Ranges: caret, tilde, exact, lists of comparisons joined by blanks or commas, `x` and `*`. A caret of a
//! partial version means what it means in npm and Cargo: `^1.1` is at least 1.1.0 and below 2.0.0. A
//! pre-release fits only a range that names one. Everything else is refused with its text.

use crate::document::mirror::TagWish;
use crate::model::Tag;
use globset::{GlobBuilder, GlobMatcher};
use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};
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
    number: semver::Version,
    text: String,
}

impl Version {
    /// Returns the version as written.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    fn is_pre_release(&self) -> bool {
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
}

impl FromStr for Pattern {
    type Err = SelectError;

    fn from_str(text: &str) -> Result<Self, SelectError> {
        let glob = GlobBuilder::new(text).literal_separator(true).backslash_escape(false).build();
        let why = |e: globset::Error| SelectError::Pattern { text: text.to_owned(), why: e.kind().to_string() };
        Ok(Self(glob.map_err(why)?.compile_matcher()))
    }
}

/// Tags of a repository that are wanted.
#[derive(Debug, Clone)]
pub struct TagSelection {
    patterns: Vec<(String, Pattern)>,
    range: Option<VersionRange>,
    newest: Option<usize>,
    except: BTreeSet<Tag>,
}

impl TagSelection {
    /// Takes the patterns, range and number of `wish`; its names are no selection, they are wanted as they are.
    pub fn new(wish: &TagWish) -> Result<Self, SelectError> {
        let pattern = |text: &String| Ok((text.clone(), text.parse()?));
        Ok(Self {
            patterns: wish.patterns.iter().map(pattern).collect::<Result<_, SelectError>>()?,
            range: wish.semver.as_deref().map(str::parse).transpose()?,
            newest: wish.newest,
            except: BTreeSet::new(),
        })
    }

    /// Leaves out some tags, whatever else is said.
    #[must_use]
    pub fn without(mut self, tags: impl IntoIterator<Item = Tag>) -> Self {
        self.except.extend(tags);
        self
    }

    /// Returns whether nothing is selected: the wish has names only.
    pub const fn is_empty(&self) -> bool {
        self.patterns.is_empty() && self.range.is_none() && self.newest.is_none()
    }

    /// Returns the tags that are wanted, versions first and descending, then the others by name.
    ///
    /// The order of `tags` does not matter. Tags that registries and signing tools derive from a digest never
    /// count. With a range or a number only versions count. Pre-releases count where the range names one, and
    /// with a number alone where a pattern that they fit has a dash.
    pub fn select(&self, tags: &[Tag]) -> Vec<Tag> {
        let tags: BTreeSet<&Tag> = tags.iter().filter(|tag| !is_derived(tag) && !self.except.contains(tag)).collect();
        let versions = versions(&tags);
        let mut chosen: Vec<&Tag> = tags.into_iter().filter(|tag| self.wants(tag, versions.get(tag))).collect();
        chosen.sort_by_key(|tag| (Reverse(versions.get(tag).map(|version| &version.number)), *tag));
        if let Some(newest) = self.newest {
            let numbers: BTreeSet<_> = chosen.iter().filter_map(|tag| versions.get(tag)).map(|v| &v.number).collect();
            let lowest = numbers.iter().rev().nth(newest - 1).copied();
            chosen.retain(|tag| versions.get(tag).is_some_and(|v| lowest.is_none_or(|low| v.number >= *low)));
        }
        chosen.into_iter().cloned().collect()
    }

    fn wants(&self, tag: &Tag, version: Option<&Version>) -> bool {
        let fitting: Vec<&String> =
            self.patterns.iter().filter(|(_, pattern)| pattern.fits(tag.as_str())).map(|(text, _)| text).collect();
        if fitting.is_empty() && !self.patterns.is_empty() {
            return false;
        }
        match (&self.range, self.newest, version) {
            (Some(range), _, Some(version)) => range.holds(version),
            (None, Some(_), Some(version)) => {
                !version.is_pre_release() || fitting.iter().any(|text| text.contains('-'))
            }
            (None, None, _) => true,
            (_, _, None) => false,
        }
    }
}

impl fmt::Display for TagSelection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut words: Vec<String> = Vec::new();
        if !self.patterns.is_empty() {
            words.push(format!("tags {}", self.patterns.iter().map(|(t, _)| t.as_str()).collect::<Vec<_>>().join(" ")));
        }
        words.extend(self.range.iter().map(|range| format!("semver {range}")));
        words.extend(self.newest.iter().map(|newest| format!("newest {newest}")));
        f.write_str(&words.join(", "))
    }
}

/// Reads the versions among `tags`. `_` stands for `+`, which tags cannot hold.
///
/// Two numbers make a version where the repository has no third one for them: then they are releases
/// (`16.3`), otherwise names that move from release to release (`1.27`).
fn versions<'t>(tags: &BTreeSet<&'t Tag>) -> BTreeMap<&'t Tag, Version> {
    let mut found: BTreeMap<&Tag, Version> = BTreeMap::new();
    for tag in tags {
        if let Ok(version) = tag.as_str().replacen('_', "+", 1).parse::<Version>() {
            found.insert(tag, version);
        }
    }
    let longer: BTreeSet<(u64, u64)> = found.values().map(|v| (v.number.major, v.number.minor)).collect();
    for tag in tags {
        let short = format!("{}.0", tag.as_str()).parse::<Version>().ok();
        let short = short.filter(|v| !v.is_pre_release() && v.number.build.is_empty());
        if let Some(version) = short.filter(|v| !longer.contains(&(v.number.major, v.number.minor))) {
            found.insert(tag, version);
        }
    }
    found
}

/// Returns whether a tag was derived from a digest: `sha256-….sig`, `.att`, `.sbom`, or a list of referrers.
fn is_derived(tag: &Tag) -> bool {
    let rest = ["sha256-", "sha512-"].iter().find_map(|prefix| tag.as_str().strip_prefix(prefix));
    rest.is_some_and(|rest| {
        let hex = rest.split('.').next().unwrap_or_default();
        hex.len() >= 32 && hex.bytes().all(|b| b.is_ascii_hexdigit())
    })
}

/// Returns whether a tag is one that publishers move: a word such as `latest`, a branch, a version cut short.
pub fn is_moving(tag: &Tag) -> bool {
    const WORDS: [&str; 18] = [
        "latest", "nightly", "main", "master", "dev", "develop", "edge", "stable", "canary", "lts", "rolling", "head",
        "snapshot", "mainline", "current", "trunk", "unstable", "testing",
    ];
    let text = tag.as_str().to_ascii_lowercase();
    let mut words = text.split(['-', '_', '.']);
    if words.clone().any(|word| WORDS.contains(&word)) || !text.bytes().any(|b| b.is_ascii_digit()) {
        return true;
    }
    let numbers = text.strip_prefix('v').unwrap_or(&text).split(['-', '_']).next().unwrap_or_default();
    let short =
        numbers.split('.').all(|part| part.bytes().all(|b| b.is_ascii_digit()) && (1..=4).contains(&part.len()));
    // A suffix that is a commit or a date makes any name unique.
    let unique = words.any(|word| word.len() >= 7 && word.bytes().all(|b| b.is_ascii_hexdigit()));
    short && numbers.split('.').count() < 3 && !unique
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn range(text: &str) -> VersionRange {
        text.parse().unwrap_or_else(|e| panic!("{e}"))
    }

    fn tags(text: &str) -> Vec<Tag> {
        text.split_whitespace().map(|tag| tag.parse().unwrap()).collect()
    }

    fn select(patterns: &[&str], semver: Option<&str>, newest: Option<usize>, from: &str) -> String {
        let patterns = patterns.iter().map(|p| (*p).to_owned()).collect();
        let wish = TagWish { names: vec![], patterns, semver: semver.map(str::to_owned), newest };
        let chosen = TagSelection::new(&wish).unwrap().select(&tags(from));
        chosen.iter().map(Tag::as_str).collect::<Vec<_>>().join(" ")
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
    fn a_pattern_takes_what_it_says_and_never_what_tools_derive() {
        let derived = format!("sha256-{0}.sig sha256-{0}.att sha256-{0}", "a".repeat(64));
        let from = format!("latest 1.2.0 1.10.0 1.2.0-alpine {derived}");
        assert_eq!(select(&["*"], None, None, &from), "1.10.0 1.2.0 1.2.0-alpine latest");
        assert_eq!(select(&["*-alpine"], None, None, &from), "1.2.0-alpine");
        assert_eq!(select(&["1.2.*", "latest*"], None, None, &from), "1.2.0 1.2.0-alpine latest");
        assert_eq!(select(&["sha256-*"], None, None, &from), "");
    }

    #[test]
    fn newest_counts_versions_and_leaves_pre_releases_unless_named() {
        let from = "latest 2.0.0-rc.1 1.10.0 v1.10.0 1.9.0 1.8.0 edge";
        assert_eq!(select(&[], None, Some(1), from), "1.10.0 v1.10.0");
        assert_eq!(select(&["*"], None, Some(2), from), "1.10.0 v1.10.0 1.9.0");
        assert_eq!(select(&["*-rc*"], None, Some(1), from), "2.0.0-rc.1");
        assert_eq!(select(&[], Some(">=1.8 <1.10"), Some(9), from), "1.9.0 1.8.0");
        assert_eq!(select(&["v*"], Some("^1"), None, from), "v1.10.0");
        assert_eq!(select(&[], Some("^2.0.0-rc.0"), None, from), "2.0.0-rc.1");
    }

    #[test]
    fn tags_that_are_left_out_do_not_count_towards_the_newest() {
        let wish = TagWish { newest: Some(1), ..TagWish::default() };
        let selection = TagSelection::new(&wish).unwrap().without(tags("1.10.0"));
        assert_eq!(selection.select(&tags("1.10.0 1.9.0 1.8.0")), tags("1.9.0"));
    }

    #[test]
    fn two_numbers_are_a_release_only_where_no_third_exists() {
        assert_eq!(select(&[], Some("^16"), None, "16 16.3 16.4 17.0"), "16.4 16.3");
        assert_eq!(select(&[], Some("^1"), None, "1 1.27 1.27.3 1.28"), "1.28 1.27.3");
    }

    #[test]
    fn moving_tags_are_told_from_fixed_ones() {
        for text in [
            "latest",
            "latest-dev",
            "nightly",
            "main-latest",
            "main-1a2b3c4",
            "1",
            "v1",
            "16.3",
            "1.27-alpine",
            "bookworm",
            "stable",
            "8-jre",
        ] {
            assert!(is_moving(&text.parse().unwrap()), "{text}");
        }
        for text in [
            "1.2.3",
            "v1.16.2",
            "1.0.0-beta.213",
            "1.27.3-alpine",
            "b8d7a8b",
            "20240102",
            "2024.01.02",
            "RELEASE.2024-01-02T03-04-05Z",
            "1.2-20240102",
        ] {
            assert!(!is_moving(&text.parse().unwrap()), "{text}");
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
        fn selection_does_not_depend_on_the_order_of_the_tags(
            mut names in proptest::collection::vec("(v?[0-3](\\.[0-3]){0,2}(-[a-c]{1,2})?|[a-z]{1,4})", 0..20),
            newest in proptest::option::of(1usize..4),
        ) {
            let wish = TagWish { patterns: vec!["*".to_owned()], newest, ..TagWish::default() };
            let selection = TagSelection::new(&wish).unwrap();
            let first = selection.select(&tags(&names.join(" ")));
            names.reverse();
            prop_assert_eq!(&first, &selection.select(&tags(&names.join(" "))));
            let again = selection.select(&first);
            prop_assert!(again.iter().all(|tag| first.contains(tag)));
        }

        #[test]
        fn any_range_parses_or_errs_without_a_panic(text in "[0-9.xX*^~<>=, |v-]{0,16}|\\PC{0,12}") {
            let _ = text.parse::<VersionRange>();
            let _ = text.parse::<Version>();
            let _ = text.parse::<Pattern>();
        }
    }
}
