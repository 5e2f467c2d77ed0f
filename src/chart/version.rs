//! Versions and ranges as Helm reads them: the rules of its Go library (`Masterminds/semver`), which differ from
//! those of Cargo: a version may lack parts and begin with `v`, a range may hold `||`, blanks, wildcards and hyphens.

use std::cmp::Ordering;
use std::fmt;

/// A version.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Version {
    /// First number.
    pub major: u64,
    /// Second number; 0 where it is not there.
    pub minor: u64,
    /// Third number; 0 where it is not there.
    pub patch: u64,
    /// What follows `-`; empty where nothing does.
    pub pre: String,
    /// What follows `+`; empty where nothing does.
    pub build: String,
    /// As typed.
    pub original: String,
}

impl Version {
    /// Reads a version: up to three numbers, a `v` in front allowed.
    pub fn parse(text: &str) -> Option<Self> {
        let partial = Partial::parse(text)?;
        let major = partial.major?;
        if partial.wild {
            return None;
        }
        let (minor, patch) = (partial.minor.unwrap_or(0), partial.patch.unwrap_or(0));
        Some(Self { major, minor, patch, pre: partial.pre, build: partial.build, original: text.to_owned() })
    }

    /// Compares two versions; what follows `+` does not count.
    pub fn compare(&self, other: &Self) -> Ordering {
        let numbers = |v: &Self| (v.major, v.minor, v.patch);
        numbers(self).cmp(&numbers(other)).then_with(|| compare_pre(&self.pre, &other.pre))
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}.{}", self.major, self.minor, self.patch)?;
        if !self.pre.is_empty() {
            write!(f, "-{}", self.pre)?;
        }
        if !self.build.is_empty() {
            write!(f, "+{}", self.build)?;
        }
        Ok(())
    }
}

fn compare_pre(a: &str, b: &str) -> Ordering {
    match (a.is_empty(), b.is_empty()) {
        (true, true) => return Ordering::Equal,
        (true, false) => return Ordering::Greater,
        (false, true) => return Ordering::Less,
        (false, false) => {}
    }
    let (mut left, mut right) = (a.split('.'), b.split('.'));
    loop {
        let order = match (left.next(), right.next()) {
            (None, None) => return Ordering::Equal,
            (None, Some(_)) => return Ordering::Less,
            (Some(_), None) => return Ordering::Greater,
            (Some(x), Some(y)) => match (x.parse::<u64>(), y.parse::<u64>()) {
                (Ok(x), Ok(y)) => x.cmp(&y),
                (Ok(_), Err(_)) => Ordering::Less,
                (Err(_), Ok(_)) => Ordering::Greater,
                (Err(_), Err(_)) => x.cmp(y),
            },
        };
        if order != Ordering::Equal {
            return order;
        }
    }
}

/// A version in a range: parts may be missing or a wildcard.
#[derive(Debug, Clone, Default)]
struct Partial {
    major: Option<u64>,
    minor: Option<u64>,
    patch: Option<u64>,
    wild: bool,
    pre: String,
    build: String,
}

impl Partial {
    fn parse(text: &str) -> Option<Self> {
        let text = text.strip_prefix('v').unwrap_or(text);
        let (text, build) = text.split_once('+').map_or((text, ""), |(text, build)| (text, build));
        let (numbers, pre) = text.split_once('-').map_or((text, ""), |(numbers, pre)| (numbers, pre));
        let identifier = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '.');
        if !pre.chars().all(identifier) || !build.chars().all(identifier) || text.ends_with('-') {
            return None;
        }
        let mut read = Self { pre: pre.to_owned(), build: build.to_owned(), ..Self::default() };
        let parts: Vec<&str> = numbers.split('.').collect();
        if parts.len() > 3 {
            return None;
        }
        for (at, part) in parts.iter().enumerate() {
            let number = match *part {
                "x" | "X" | "*" => {
                    read.wild = true;
                    None
                }
                digits if digits.bytes().all(|b| b.is_ascii_digit()) => Some(digits.parse().ok()?),
                _ => return None,
            };
            let place = [&mut read.major, &mut read.minor, &mut read.patch];
            if !read.wild {
                *place.into_iter().nth(at)? = number;
            }
        }
        Some(read)
    }

    fn floor(&self) -> Version {
        let (major, minor, patch) = (self.major.unwrap_or(0), self.minor.unwrap_or(0), self.patch.unwrap_or(0));
        Version { major, minor, patch, pre: self.pre.clone(), build: String::new(), original: String::new() }
    }

    fn matches_numbers(&self, version: &Version) -> bool {
        self.major.is_none_or(|n| n == version.major)
            && self.minor.is_none_or(|n| n == version.minor)
            && self.patch.is_none_or(|n| n == version.patch)
    }

    const fn is_partial(&self) -> bool {
        self.patch.is_none()
    }
}

/// A range of versions.
#[derive(Debug, Clone)]
pub struct Constraint {
    /// One of these lists must hold; a list holds where all of it does.
    any: Vec<Vec<Condition>>,
}

#[derive(Debug, Clone)]
struct Condition {
    operator: Operator,
    against: Partial,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Operator {
    Equal,
    NotEqual,
    Greater,
    Less,
    AtLeast,
    AtMost,
    Tilde,
    Caret,
}

/// Operators by their spelling, longer ones first.
const OPERATORS: [(&str, Operator); 12] = [
    ("!=", Operator::NotEqual),
    (">=", Operator::AtLeast),
    ("=>", Operator::AtLeast),
    ("<=", Operator::AtMost),
    ("=<", Operator::AtMost),
    ("~>", Operator::Tilde),
    ("=", Operator::Equal),
    (">", Operator::Greater),
    ("<", Operator::Less),
    ("~", Operator::Tilde),
    ("^", Operator::Caret),
    ("", Operator::Equal),
];

impl Constraint {
    /// Reads a range.
    pub fn parse(text: &str) -> Option<Self> {
        let any = text.split("||").map(conditions).collect::<Option<Vec<_>>>()?;
        Some(Self { any })
    }

    /// Returns whether `version` is in the range.
    pub fn holds(&self, version: &Version) -> bool {
        self.any.iter().any(|all| {
            // A pre-release counts only where the range names one.
            let open = all.iter().any(|condition| !condition.against.pre.is_empty());
            all.iter().all(|condition| condition.holds(version, open))
        })
    }
}

fn conditions(text: &str) -> Option<Vec<Condition>> {
    let text = hyphens(text);
    let mut rest = text.trim();
    let mut found = Vec::new();
    while !rest.is_empty() {
        let (spelling, operator) = OPERATORS.into_iter().find(|(spelling, _)| rest.starts_with(spelling))?;
        rest = rest[spelling.len()..].trim_start();
        let end = rest.find(|c: char| c.is_whitespace() || matches!(c, ',' | '<' | '>' | '=' | '!' | '~' | '^'));
        let (version, after) = rest.split_at(end.unwrap_or(rest.len()));
        found.push(Condition { operator, against: Partial::parse(version)? });
        rest = after.trim_start_matches(|c: char| c.is_whitespace() || c == ',');
    }
    if found.is_empty() { None } else { Some(found) }
}

/// Writes `1.2 - 1.4` as `>= 1.2 <= 1.4`.
fn hyphens(text: &str) -> String {
    let words: Vec<&str> = text.split_whitespace().collect();
    let mut out = Vec::new();
    let mut at = 0;
    while at < words.len() {
        if words.get(at + 1) == Some(&"-") && at + 2 < words.len() {
            out.push(format!(">={} <={}", words[at], words[at + 2]));
            at += 3;
        } else {
            out.push(words[at].to_owned());
            at += 1;
        }
    }
    out.join(" ")
}

impl Condition {
    fn holds(&self, version: &Version, pre_releases: bool) -> bool {
        if !version.pre.is_empty() && !pre_releases {
            return false;
        }
        let floor = self.against.floor();
        let order = version.compare(&floor);
        match self.operator {
            Operator::Equal if self.against.is_partial() => self.tilde(version, &floor),
            Operator::Equal => order == Ordering::Equal,
            Operator::NotEqual if self.against.is_partial() => !self.against.matches_numbers(version),
            Operator::NotEqual => order != Ordering::Equal,
            Operator::Greater if self.against.is_partial() => {
                order == Ordering::Greater && !self.against.matches_numbers(version)
            }
            Operator::Greater => order == Ordering::Greater,
            Operator::Less => order == Ordering::Less,
            Operator::AtLeast => order != Ordering::Less,
            Operator::AtMost if self.against.is_partial() => {
                order != Ordering::Greater || self.against.matches_numbers(version)
            }
            Operator::AtMost => order != Ordering::Greater,
            Operator::Tilde => self.tilde(version, &floor),
            Operator::Caret => self.caret(version, &floor),
        }
    }

    fn tilde(&self, version: &Version, floor: &Version) -> bool {
        let Some(major) = self.against.major else { return true };
        version.compare(floor) != Ordering::Less
            && version.major == major
            && self.against.minor.is_none_or(|minor| version.minor == minor)
    }

    fn caret(&self, version: &Version, floor: &Version) -> bool {
        let Some(major) = self.against.major else { return true };
        if version.compare(floor) == Ordering::Less || version.major != major {
            return false;
        }
        match (major, self.against.minor, self.against.patch) {
            (1.., ..) | (0, None, _) => true,
            (0, Some(minor), None) | (0, Some(minor @ 1..), _) => version.minor == minor,
            (0, Some(0), Some(patch)) => version.minor == 0 && version.patch == patch,
        }
    }
}

/// Returns whether `version` is in `range`; an unreadable range or version is not.
pub fn in_range(range: &str, version: &str) -> bool {
    match (Constraint::parse(range), Version::parse(version)) {
        (Some(range), Some(version)) => range.holds(&version),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_hold_as_in_helms_library() {
        let holds = [
            (">=1.19-0", "1.31.4"),
            (">=1.19-0", "1.31.4-gke.5"),
            (">= 1.19.0 < 2", "1.31.0"),
            ("^1.2", "1.9.0"),
            ("~1.2", "1.2.9"),
            ("1.x.x", "1.4.2"),
            ("2", "2.9.1"),
            ("*", "0.0.1"),
            ("<1.14-0 || >=1.20", "1.20.1"),
            ("1.2 - 1.4", "1.4.9"),
            ("<=1.2", "1.2.7"),
            ("v1.16.2", "1.16.2"),
            (">=1.4.0, <2", "1.9.0"),
            ("^0.2.3", "0.2.9"),
        ];
        for (range, version) in holds {
            assert!(in_range(range, version), "{range} {version}");
        }
        let not = [
            (">=1.19", "1.31.4-gke.5"),
            ("^1", "1.0.0-rc1"),
            ("^1", "2.0.0"),
            ("~1.2.3", "1.3.0"),
            ("!=1.2", "1.2.5"),
            (">1.2", "1.2.5"),
            ("^0.2.3", "0.3.0"),
            ("nonsense", "1.0.0"),
            ("", "1.0.0"),
        ];
        for (range, version) in not {
            assert!(!in_range(range, version), "{range} {version}");
        }
    }

    #[test]
    fn versions_are_ordered_with_their_pre_releases() {
        let order = ["1.0.0-alpha.1", "1.0.0-alpha.2", "1.0.0-beta.9", "1.0.0-beta.10", "1.0.0", "1.0.1", "v1.2"];
        for pair in order.windows(2) {
            let (a, b) = (Version::parse(pair[0]).unwrap(), Version::parse(pair[1]).unwrap());
            assert_eq!(a.compare(&b), Ordering::Less, "{pair:?}");
        }
        assert!(Version::parse("1.2.3.4").is_none());
        assert!(Version::parse("x").is_none());
    }
}
