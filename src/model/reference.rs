//! Names of artifacts: as typed, normalised; and the places they stand for.
//!
//! Follows the grammar of the OCI distribution specification ("Pulling manifests") and the
//! normalisation that container tools share: no host means `docker.io`, a single path part there
//! means `library/…`.

use super::digest::{Digest, DigestError};
use super::limits;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::fmt;
use std::str::FromStr;

/// Why a text is no reference, with the place.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{input:?} is no image reference: {why} (character {at})")]
pub struct ReferenceError {
    /// Text as it came, cut to a printable length, with control characters escaped by `Debug`.
    pub input: String,
    /// Character from 1 where it went wrong.
    pub at: usize,
    /// Reason in words.
    pub why: String,
}

/// Tag: at most 128 characters of `[A-Za-z0-9_.-]`, the first one no dot and no dash.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Tag(String);

impl Tag {
    /// Returns the text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Tag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for Tag {
    type Err = ReferenceError;

    fn from_str(text: &str) -> Result<Self, ReferenceError> {
        let error = |at, why: &str| ReferenceError { input: shown(text), at, why: why.to_owned() };
        let mut bytes = text.bytes();
        match bytes.next() {
            None => return Err(error(1, "the tag is empty")),
            Some(b) if b.is_ascii_alphanumeric() || b == b'_' => {}
            Some(_) => return Err(error(1, "a tag begins with a letter, a digit or an underscore")),
        }
        if let Some(at) = bytes.position(|b| !(b.is_ascii_alphanumeric() || matches!(b, b'_' | b'.' | b'-'))) {
            return Err(error(at + 2, "this character cannot stand in a tag"));
        }
        if text.len() > limits::TAG_CHARS {
            return Err(error(limits::TAG_CHARS + 1, "a tag has at most 128 characters"));
        }
        Ok(Self(text.to_owned()))
    }
}

/// What a registry calls `<reference>`: a tag or a digest.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Reference {
    /// By tag.
    Tag(Tag),
    /// By digest.
    Digest(Digest),
}

impl fmt::Display for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tag(tag) => tag.fmt(f),
            Self::Digest(digest) => digest.fmt(f),
        }
    }
}

/// Place in a registry: a host with an optional port, and a path.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Repository {
    host: String,
    path: String,
}

impl Repository {
    /// Takes a host (`name[:port]`) and a path of lower-case parts.
    pub fn new(host: &str, path: &str) -> Result<Self, ReferenceError> {
        let whole = format!("{host}/{path}");
        let error = |at, why: &str| ReferenceError { input: shown(&whole), at, why: why.to_owned() };
        check_host(host).map_err(|(at, why)| error(at, why))?;
        check_path(path).map_err(|(at, why)| error(host.chars().count() + 1 + at, why))?;
        if whole.len() > limits::REPOSITORY_CHARS {
            return Err(error(limits::REPOSITORY_CHARS + 1, "host and path have more than 255 characters"));
        }
        Ok(Self { host: host.to_owned(), path: path.to_owned() })
    }

    /// Returns the host with its port, as typed: `docker.io`, `[::1]:5000`.
    pub fn host(&self) -> &str {
        &self.host
    }

    /// Returns the path: what a registry calls `<name>`.
    pub fn path(&self) -> &str {
        &self.path
    }

    /// Returns the first part of the path: in Harbor, the project.
    pub fn project(&self) -> &str {
        self.path.split('/').next().unwrap_or_default()
    }

    /// Returns the path behind the project, where there is one.
    pub fn below_project(&self) -> Option<&str> {
        self.path.split_once('/').map(|(_, rest)| rest)
    }
}

impl fmt::Display for Repository {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.host, self.path)
    }
}

/// Name of an artifact as somebody typed it, normalised: repository, and a tag, a digest, or both.
///
/// A reference with neither means the tag `latest`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ImageRef {
    /// Where it lives.
    pub repository: Repository,
    /// Tag: the name; information only where a digest stands beside it.
    pub tag: Option<Tag>,
    /// Digest: decides where it is given.
    pub digest: Option<Digest>,
}

impl ImageRef {
    /// Returns what to ask the registry for: the digest where there is one, else the tag.
    pub fn reference(&self) -> Reference {
        match (&self.digest, &self.tag) {
            (Some(digest), _) => Reference::Digest(digest.clone()),
            (None, Some(tag)) => Reference::Tag(tag.clone()),
            (None, None) => Reference::Tag(Tag("latest".to_owned())),
        }
    }

    /// Returns the tag, or `latest` where neither a tag nor a digest says another.
    pub fn implied_tag(&self) -> Option<Tag> {
        match self.reference() {
            Reference::Tag(tag) => Some(tag),
            Reference::Digest(_) => self.tag.clone(),
        }
    }

    /// Returns the reference with `digest` in place of its own.
    pub fn at(&self, digest: &Digest) -> Self {
        Self { digest: Some(digest.clone()), ..self.clone() }
    }
}

impl fmt::Display for ImageRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.repository.fmt(f)?;
        if let Some(tag) = &self.tag {
            write!(f, ":{tag}")?;
        }
        if let Some(digest) = &self.digest {
            write!(f, "@{digest}")?;
        }
        Ok(())
    }
}

impl FromStr for ImageRef {
    type Err = ReferenceError;

    fn from_str(text: &str) -> Result<Self, ReferenceError> {
        let error = |at: usize, why: &str| ReferenceError { input: shown(text), at, why: why.to_owned() };
        if text.len() > limits::REFERENCE_BYTES {
            return Err(error(limits::REFERENCE_BYTES + 1, "it has more than 4096 bytes"));
        }
        if let Some(at) = text.find("://") {
            return Err(error(at + 1, "a scheme does not belong into a reference"));
        }
        let (name, digest) = match text.split_once('@') {
            Some((name, digest)) => {
                let why = |e: DigestError| error(name.chars().count() + 2, &e.to_string());
                (name, Some(digest.parse::<Digest>().map_err(why)?))
            }
            None => (text, None),
        };
        let (name, tag) = match name.rsplit_once(':') {
            Some((name, tag)) if !tag.contains('/') && !(tag.ends_with(']')) => {
                let shift = name.chars().count() + 1;
                let tag = tag.parse::<Tag>().map_err(|e| error(shift + e.at, &e.why))?;
                (name, Some(tag))
            }
            _ => (name, None),
        };
        let (host, path) = split_host(name);
        let shift = if host.is_some() { 0 } else { "docker.io/".len() };
        let host = host.unwrap_or("docker.io");
        let path = if host == "docker.io" && !path.contains('/') { format!("library/{path}") } else { path.to_owned() };
        let library = if name.contains('/') { 0 } else { "library/".len() };
        let repository =
            Repository::new(host, &path).map_err(|e| error(e.at.saturating_sub(shift + library).max(1), &e.why))?;
        Ok(Self { repository, tag, digest })
    }
}

impl Serialize for ImageRef {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for ImageRef {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

impl Serialize for Tag {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Tag {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

/// Splits a name into the host, where it has one, and the path.
///
/// The first part is a host when it has a dot or a colon, or is `localhost`.
fn split_host(name: &str) -> (Option<&str>, &str) {
    match name.split_once('/') {
        Some((host, path)) if host.contains(['.', ':', '[']) || host == "localhost" => (Some(host), path),
        _ => (None, name),
    }
}

/// Checks `name[:port]`, a bracketed IPv6 address included.
pub fn check_host(host: &str) -> Result<(), (usize, &'static str)> {
    let (name, port) = match host.strip_prefix('[') {
        Some(rest) => {
            let (address, after) = rest.split_once(']').ok_or((1, "the address is not closed by ]"))?;
            address.parse::<std::net::Ipv6Addr>().map_err(|_| (2, "this is no IPv6 address"))?;
            (
                None,
                if after.is_empty() {
                    None
                } else {
                    Some(after.strip_prefix(':').ok_or((1, "a port follows the address"))?)
                },
            )
        }
        None => match host.split_once(':') {
            Some((name, port)) => (Some(name), Some(port)),
            None => (Some(host), None),
        },
    };
    if let Some(name) = name {
        check_domain(name)?;
    }
    match port {
        None => Ok(()),
        Some(port) if !port.is_empty() && port.bytes().all(|b| b.is_ascii_digit()) && port.parse::<u16>().is_ok() => {
            Ok(())
        }
        Some(port) => Err((host.chars().count() - port.chars().count() + 1, "the port is no number up to 65535")),
    }
}

fn check_domain(name: &str) -> Result<(), (usize, &'static str)> {
    if name.is_empty() {
        return Err((1, "the host is empty"));
    }
    let mut at = 1;
    for label in name.split('.') {
        if label.is_empty() {
            return Err((at, "a part of the host is empty"));
        }
        if label.starts_with('-') || label.ends_with('-') {
            return Err((at, "a part of the host begins or ends with a dash"));
        }
        if let Some(bad) = label.chars().position(|c| !(c.is_ascii_alphanumeric() || c == '-')) {
            return Err((
                at + bad,
                "this character cannot stand in a host; international names are written in their xn-- form",
            ));
        }
        at += label.len() + 1;
    }
    Ok(())
}

fn check_path(path: &str) -> Result<(), (usize, &'static str)> {
    if path.is_empty() {
        return Err((1, "the repository is empty"));
    }
    let mut at = 1;
    for part in path.split('/') {
        check_part(part).map_err(|(bad, why)| (at + bad, why))?;
        at += part.chars().count() + 1;
    }
    Ok(())
}

/// One part: runs of lower-case letters and digits, joined by `.`, `_`, `__` or dashes.
fn check_part(part: &str) -> Result<(), (usize, &'static str)> {
    if part.is_empty() {
        return Err((0, "a part of the repository is empty"));
    }
    if let Some(bad) = part.chars().position(|c| c.is_ascii_uppercase()) {
        return Err((bad, "a repository is in lower case"));
    }
    let alnum = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
    if let Some(bad) = part.chars().position(|c| !(alnum(c) || matches!(c, '.' | '_' | '-'))) {
        return Err((bad, "this character cannot stand in a repository"));
    }
    let mut separator = 0;
    for run in part.split(alnum) {
        let good = matches!(run, "" | "." | "_" | "__") || run.bytes().all(|b| b == b'-');
        if !good {
            return Err((separator, "these separators cannot stand beside each other"));
        }
        separator += run.len() + 1;
    }
    let edges = [part.chars().next(), part.chars().last()];
    if edges.into_iter().flatten().any(|c| !alnum(c)) {
        return Err((0, "a part of the repository begins and ends with a letter or a digit"));
    }
    Ok(())
}

fn shown(text: &str) -> String {
    let mut cut: String = text.chars().take(120).collect();
    if cut.len() < text.len() {
        cut.push('…');
    }
    cut
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn parse(text: &str) -> ImageRef {
        text.parse().unwrap_or_else(|e| panic!("{e}"))
    }

    #[test]
    fn names_are_normalised_as_container_tools_do_it() {
        for (typed, normal) in [
            ("nginx", "docker.io/library/nginx"),
            ("nginx:1.27", "docker.io/library/nginx:1.27"),
            ("grafana/grafana", "docker.io/grafana/grafana"),
            ("docker.io/nginx", "docker.io/library/nginx"),
            ("localhost/x:1", "localhost/x:1"),
            ("localhost:5000/x", "localhost:5000/x"),
            ("[::1]:5000/x/y:t", "[::1]:5000/x/y:t"),
            ("h.example/a/b/c/d:T_1.x-y", "h.example/a/b/c/d:T_1.x-y"),
            ("h.example/a__b/c--d/e.f", "h.example/a__b/c--d/e.f"),
        ] {
            assert_eq!(parse(typed).to_string(), normal);
        }
    }

    #[test]
    fn a_digest_decides_and_the_tag_stays() {
        let digest = Digest::of(b"x");
        let both = parse(&format!("h.example/x:1@{digest}"));
        assert_eq!(both.reference(), Reference::Digest(digest));
        assert_eq!(both.tag.unwrap().as_str(), "1");
    }

    #[test]
    fn attacks_on_the_grammar_are_refused_with_their_place() {
        let long_tag = format!("x:{}", "a".repeat(129));
        let long_name = format!("h.example/{}", "a".repeat(250));
        for text in [
            "",
            ":",
            "@",
            "host.example/../x",
            "host.example//x",
            "host.example:99999/x",
            "host.example:/x",
            "user:pw@host.example/x",
            "-x",
            "host.example/-x",
            "host.example/X",
            "a/%2e%2e/b",
            "x\r\ny",
            "x y",
            "https://host.example/x",
            "oci://x/y",
            "x@sha256:00",
            "bücher.example/x",
            "host.example/x/",
            "[::1/x",
            "a/b:",
            "a/b:-x",
            "..",
            "./x",
            "a._b/c",
            "a___b",
            &long_tag,
            &long_name,
        ] {
            let error = text.parse::<ImageRef>().expect_err(text);
            assert!(error.at >= 1, "{error}");
        }
        let twice = format!("x@{0}@{0}", Digest::of(b""));
        assert!(twice.parse::<ImageRef>().is_err());
        assert_eq!("h.example/ab/cD".parse::<ImageRef>().unwrap_err().at, 15);
        assert_eq!("Nginx".parse::<ImageRef>().unwrap_err().at, 1);
    }

    #[test]
    fn a_tag_of_128_characters_is_the_longest() {
        assert!("a".repeat(128).parse::<Tag>().is_ok());
        assert!("a".repeat(129).parse::<Tag>().is_err());
    }

    proptest! {
        #[test]
        fn any_text_parses_or_errs_without_a_panic(text in "\\PC{0,80}") {
            if let Ok(reference) = text.parse::<ImageRef>() {
                prop_assert_eq!(parse(&reference.to_string()), reference);
            }
        }

        #[test]
        fn printing_then_parsing_is_the_identity(
            host in "[a-z][a-z0-9]{0,8}\\.[a-z]{2,5}(:[1-9][0-9]{0,3})?",
            path in "[a-z0-9]{1,8}((\\.|_|__|-{1,3})[a-z0-9]{1,8}){0,2}(/[a-z0-9]{1,8}){0,3}",
            tag in "[A-Za-z0-9_][A-Za-z0-9_.-]{0,20}",
        ) {
            let reference = parse(&format!("{host}/{path}:{tag}"));
            prop_assert_eq!(parse(&reference.to_string()), reference);
        }
    }
}
