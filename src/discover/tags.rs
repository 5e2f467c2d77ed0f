//! Which tags of a repository are meant: by pattern, regular expression, range of versions, date, the newest few.

use super::select::{Pattern, SelectError, Version, VersionRange};
use crate::document::date::Moment;
use crate::document::mirror::{Newest, Per, TagWish};
use crate::model::Tag;
use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

/// Versions that are named where a selection takes none.
const NAMED: usize = 8;

/// Tags of a repository that are wanted.
#[derive(Debug, Clone)]
pub struct TagSelection {
    patterns: Vec<(String, Pattern)>,
    regex: Option<(String, regex::Regex)>,
    range: Option<VersionRange>,
    newest: Option<Newest>,
    since: Option<Moment>,
    except: Vec<(String, Pattern)>,
    left_out: BTreeSet<Tag>,
}

impl TagSelection {
    /// Takes what `wish` says of choosing; its names are no selection, they are wanted as they are.
    pub fn new(wish: &TagWish) -> Result<Self, SelectError> {
        let pattern = |text: &String| Ok((text.clone(), text.parse()?));
        let patterns = |texts: &[String]| texts.iter().map(pattern).collect::<Result<_, SelectError>>();
        Ok(Self {
            patterns: patterns(&wish.patterns)?,
            regex: wish.regex.as_deref().map(whole).transpose()?,
            range: wish.semver.as_deref().map(str::parse).transpose()?,
            newest: wish.newest,
            since: wish.since.clone(),
            except: patterns(&wish.except)?,
            left_out: BTreeSet::new(),
        })
    }

    /// Leaves out some tags, whatever else is said.
    #[must_use]
    pub fn without(mut self, tags: impl IntoIterator<Item = Tag>) -> Self {
        self.left_out.extend(tags);
        self
    }

    /// Returns whether nothing is selected: the wish has names only.
    pub const fn is_empty(&self) -> bool {
        self.patterns.is_empty()
            && self.regex.is_none()
            && self.range.is_none()
            && self.newest.is_none()
            && self.since.is_none()
    }

    /// Returns the moment since which a tag must have been made, where one is set. Whoever selects finds out when that was.
    pub const fn since(&self) -> Option<&Moment> {
        self.since.as_ref()
    }

    /// Returns the tags that are wanted, versions first and descending, then the others by name.
    ///
    /// The order of `tags` does not matter. Tags that registries and signing tools derive from a digest never
    /// count. With a range or a number only versions count. Pre-releases count where the range names one, and
    /// with a number alone where a pattern or expression that they fit has a dash. Dates are not looked at.
    pub fn select(&self, tags: &[Tag]) -> Vec<Tag> {
        self.select_where(tags, |_| true)
    }

    /// Returns what [`TagSelection::select`] would, were it not for the number: all that may be among the newest.
    pub fn candidates(&self, tags: &[Tag]) -> Vec<Tag> {
        Self { newest: self.newest.map(|newest| Newest { count: usize::MAX, ..newest }), ..self.clone() }.select(tags)
    }

    /// Returns what [`TagSelection::select`] does, as if the tags that `keep` refuses were not there when it counts.
    pub fn select_where(&self, tags: &[Tag], keep: impl Fn(&Tag) -> bool) -> Vec<Tag> {
        let tags: BTreeSet<&Tag> = tags.iter().filter(|tag| !is_derived(tag) && !self.leaves_out(tag)).collect();
        let versions = versions(&tags);
        let mut chosen: Vec<&Tag> =
            tags.into_iter().filter(|tag| self.wants(tag, versions.get(tag)) && keep(tag)).collect();
        chosen.sort_by_key(|tag| (Reverse(versions.get(tag).map(|version| &version.number)), *tag));
        if let Some(newest) = self.newest {
            keep_newest(&mut chosen, &versions, newest);
        }
        chosen.into_iter().cloned().collect()
    }

    /// Says which versions there are, for somebody whose selection takes none of them.
    pub fn offer(&self, tags: &[Tag]) -> String {
        let tags: BTreeSet<&Tag> = tags.iter().filter(|tag| !is_derived(tag)).collect();
        if tags.is_empty() {
            return "it has no tags".to_owned();
        }
        let versions = versions(&tags);
        let mut order: Vec<&Tag> = tags.iter().copied().collect();
        order.sort_by_key(|tag| (Reverse(versions.get(tag).map(|version| &version.number)), *tag));
        let first: Vec<&str> = order.iter().take(NAMED).map(|tag| tag.as_str()).collect();
        let more = match order.len().saturating_sub(NAMED) {
            0 => String::new(),
            more => format!(" and {more} more"),
        };
        format!("it has {}{more}", first.join(", "))
    }

    fn leaves_out(&self, tag: &Tag) -> bool {
        self.left_out.contains(tag) || self.except.iter().any(|(_, pattern)| pattern.fits(tag.as_str()))
    }

    fn wants(&self, tag: &Tag, version: Option<&Version>) -> bool {
        let fitting: Vec<&String> =
            self.patterns.iter().filter(|(_, pattern)| pattern.fits(tag.as_str())).map(|(text, _)| text).collect();
        if fitting.is_empty() && !self.patterns.is_empty() {
            return false;
        }
        if self.regex.as_ref().is_some_and(|(_, regex)| !regex.is_match(tag.as_str())) {
            return false;
        }
        let named = || fitting.iter().copied().chain(self.regex.iter().map(|(text, _)| text)).any(|t| t.contains('-'));
        match (&self.range, self.newest, version) {
            (Some(range), _, Some(version)) => range.holds(version),
            (None, Some(_), Some(version)) => !version.is_pre_release() || named(),
            (None, None, _) => true,
            (_, _, None) => false,
        }
    }
}

/// Keeps the highest versions: of all, or of each major or minor release. Equal versions count as one.
fn keep_newest(chosen: &mut Vec<&Tag>, versions: &BTreeMap<&Tag, Version>, newest: Newest) {
    let line = |version: &Version| match newest.per {
        Per::All => (0, 0),
        Per::Major => (version.number.major, 0),
        Per::Minor => (version.number.major, version.number.minor),
    };
    let mut lines: BTreeMap<(u64, u64), BTreeSet<&Version>> = BTreeMap::new();
    for version in chosen.iter().filter_map(|tag| versions.get(tag)) {
        let known = lines.entry(line(version)).or_default();
        if known.iter().all(|other| other.number != version.number) {
            known.insert(version);
        }
    }
    let lowest =
        |version: &Version| lines.get(&line(version))?.iter().rev().nth(newest.count.saturating_sub(1)).copied();
    chosen.retain(|tag| {
        let version = versions.get(tag);
        version.is_some_and(|version| lowest(version).is_none_or(|lowest| version.number >= lowest.number))
    });
}

/// Reads a regular expression over a whole tag.
fn whole(text: &str) -> Result<(String, regex::Regex), SelectError> {
    let built = regex::RegexBuilder::new(&format!("^(?:{text})$")).size_limit(1 << 20).build();
    let why = |error: regex::Error| {
        let words = error.to_string();
        let last = words.lines().last().unwrap_or_default().trim_start_matches("error: ").to_owned();
        SelectError::Pattern { text: text.to_owned(), why: last }
    };
    Ok((text.to_owned(), built.map_err(why)?))
}

impl fmt::Display for TagSelection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut words: Vec<String> = Vec::new();
        let joined = |patterns: &[(String, Pattern)]| {
            patterns.iter().map(|(text, _)| text.as_str()).collect::<Vec<_>>().join(" ")
        };
        if !self.patterns.is_empty() {
            words.push(format!("tags {}", joined(&self.patterns)));
        }
        words.extend(self.regex.iter().map(|(text, _)| format!("regex {text}")));
        words.extend(self.range.iter().map(|range| format!("semver {range}")));
        words.extend(self.newest.iter().map(|newest| format!("newest {newest}")));
        words.extend(self.since.iter().map(|since| format!("since {since}")));
        if !self.except.is_empty() {
            words.push(format!("except {}", joined(&self.except)));
        }
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

    fn newest(count: usize) -> Option<Newest> {
        Some(Newest { count, per: Per::All })
    }

    fn tags(text: &str) -> Vec<Tag> {
        text.split_whitespace().map(|tag| tag.parse().unwrap()).collect()
    }

    fn select(patterns: &[&str], semver: Option<&str>, newest: Option<usize>, from: &str) -> String {
        let patterns = patterns.iter().map(|p| (*p).to_owned()).collect();
        let newest = newest.map(|count| Newest { count, per: Per::All });
        taken(&TagWish { patterns, semver: semver.map(str::to_owned), newest, ..TagWish::default() }, from)
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
        let wish = TagWish { newest: newest(1), ..TagWish::default() };
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

    fn taken(wish: &TagWish, from: &str) -> String {
        let chosen = TagSelection::new(wish).unwrap().select(&tags(from));
        chosen.iter().map(Tag::as_str).collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn the_newest_of_each_minor_or_major_release_are_kept() {
        let from = "2.1.0 2.0.3 2.0.2 v2.0.3 2.0.1 1.9.9 1.9.8 1.8.0 1.8.0-rc.1 latest";
        let of = |count, per| TagWish { newest: Some(Newest { count, per }), ..TagWish::default() };
        assert_eq!(taken(&of(1, Per::Minor), from), "2.1.0 2.0.3 v2.0.3 1.9.9 1.8.0");
        assert_eq!(taken(&of(2, Per::Minor), from), "2.1.0 2.0.3 v2.0.3 2.0.2 1.9.9 1.9.8 1.8.0");
        assert_eq!(taken(&of(2, Per::Major), from), "2.1.0 2.0.3 v2.0.3 1.9.9 1.9.8");
        assert_eq!(taken(&TagWish { semver: Some("^1".into()), ..of(1, Per::Minor) }, from), "1.9.9 1.8.0");
    }

    #[test]
    fn a_regular_expression_is_about_the_whole_tag() {
        let of = |regex: &str| TagWish { regex: Some(regex.into()), ..TagWish::default() };
        let from = "1.2.3 v1.2.3 1.2.3-alpine 11.2.3 latest";
        assert_eq!(taken(&of(r"v?1\.\d+\.\d+"), from), "1.2.3 v1.2.3");
        assert_eq!(taken(&of("latest|1.*alpine"), from), "1.2.3-alpine latest");
        assert_eq!(taken(&TagWish { newest: newest(1), ..of(".*-alpine") }, from), "1.2.3-alpine");
        let error = TagSelection::new(&of("a(")).unwrap_err().to_string();
        assert!(error.contains("\"a(\"") && error.contains("unclosed group"), "{error}");
        assert!(TagSelection::new(&of(r"(\w{50}){50}{50}")).is_err(), "an expression has a size");
    }

    #[test]
    fn what_is_excepted_is_not_there_when_the_newest_are_counted() {
        let wish = TagWish { newest: newest(2), except: vec!["1.9.*".into(), "1.7.0".into()], ..TagWish::default() };
        assert_eq!(taken(&wish, "1.9.1 1.9.0 1.8.0 1.7.0 1.6.0"), "1.8.0 1.6.0");
    }

    #[test]
    fn candidates_are_all_that_may_be_among_the_newest() {
        let wish = TagWish { newest: newest(1), ..TagWish::default() };
        let selection = TagSelection::new(&wish).unwrap();
        let all = tags("1.2.0 1.1.0 1.0.0 latest");
        assert_eq!(selection.candidates(&all), tags("1.2.0 1.1.0 1.0.0"));
        assert_eq!(selection.select_where(&all, |tag| tag.as_str() != "1.2.0"), tags("1.1.0"));
    }

    #[test]
    fn what_there_is_is_offered_highest_first() {
        let selection = TagSelection::new(&TagWish { semver: Some("^9".into()), ..TagWish::default() }).unwrap();
        assert_eq!(selection.offer(&tags("1.9.0 1.10.0 latest")), "it has 1.10.0, 1.9.0, latest");
        assert_eq!(selection.offer(&tags("9 8 7 6 5 4 3 2 1")), "it has 1, 2, 3, 4, 5, 6, 7, 8 and 1 more");
        assert_eq!(selection.offer(&[]), "it has no tags");
    }

    proptest! {
        #[test]
        fn selection_does_not_depend_on_the_order_of_the_tags(
            mut names in proptest::collection::vec("(v?[0-3](\\.[0-3]){0,2}(-[a-c]{1,2})?|[a-z]{1,4})", 0..20),
            newest in proptest::option::of(1usize..4),
            per in prop_oneof![Just(Per::All), Just(Per::Major), Just(Per::Minor)],
        ) {
            let wish = TagWish { patterns: vec!["*".to_owned()], newest: newest.map(|count| Newest { count, per }), ..TagWish::default() };
            let selection = TagSelection::new(&wish).unwrap();
            let first = selection.select(&tags(&names.join(" ")));
            names.reverse();
            prop_assert_eq!(&first, &selection.select(&tags(&names.join(" "))));
            let again = selection.select(&first);
            prop_assert!(again.iter().all(|tag| first.contains(tag)));
        }

    }
}
