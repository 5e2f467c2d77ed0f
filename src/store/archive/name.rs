//! Names that things have in files of other tools: whole references, paths without a host, or a tag alone; and the rules
//! that make whole names of them.
//!
//! A name in a file is what its writer says. It decides where an artifact goes and which rule of a policy judges it; what
//! it is, the digest says.

use crate::model::{ImageRef, Repository, Tag, reference::ReferenceError};

/// What a file calls something.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Name {
    /// Host, path, and a tag where there is one.
    Whole(Repository, Option<Tag>),
    /// Path without a host.
    Path(String, Option<Tag>),
    /// Only a tag.
    Tag(Tag),
    /// Nothing.
    Nothing,
}

impl Name {
    /// Reads the name in an annotation of an OCI layout. The specification leaves its form open; a text that is no
    /// reference is no name.
    pub(super) fn annotated(text: &str) -> Self {
        let bare = text.split('@').next().unwrap_or_default();
        if let Ok(tag) = bare.parse::<Tag>() {
            // `1.0` and `app` alike: without a path, a text says no more than a tag does.
            return Self::Tag(tag);
        }
        let first = bare.split('/').next().unwrap_or_default();
        let has_host = bare.contains('/') && (first.contains(['.', ':', '[']) || first == "localhost");
        if has_host {
            return Self::whole(bare);
        }
        let (path, tag) = match bare.rsplit_once(':') {
            Some((path, tag)) => match tag.parse() {
                Ok(tag) => (path, Some(tag)),
                Err(_) => return Self::Nothing,
            },
            None => (bare, None),
        };
        // Only the form of the path is tried; the host stands in for the one that is not known.
        if Repository::new("localhost", path).is_ok() { Self::Path(path.to_owned(), tag) } else { Self::Nothing }
    }

    /// Reads a reference as Docker shows it: without a host it is one of `docker.io`.
    pub(super) fn whole(text: &str) -> Self {
        // Go libraries write the host of Docker Hub in its old form.
        let text = text.strip_prefix("index.").filter(|rest| rest.starts_with("docker.io/")).unwrap_or(text);
        match text.split('@').next().unwrap_or_default().parse::<ImageRef>() {
            Ok(ImageRef { repository, tag, .. }) => Self::Whole(repository, tag),
            Err(_) => Self::Nothing,
        }
    }

    /// Returns the same name with another tag.
    pub(super) fn with_tag(self, tag: Option<Tag>) -> Self {
        match self {
            Self::Whole(repository, _) => Self::Whole(repository, tag),
            Self::Path(path, _) => Self::Path(path, tag),
            Self::Tag(_) | Self::Nothing => tag.map_or(Self::Nothing, Self::Tag),
        }
    }

    /// Shows it to a person.
    pub(super) fn shown(&self) -> String {
        let tagged =
            |path: &str, tag: &Option<Tag>| tag.as_ref().map_or(path.to_owned(), |tag| format!("{path}:{tag}"));
        match self {
            Self::Whole(repository, tag) => tagged(&repository.to_string(), tag),
            Self::Path(path, tag) => tagged(path, tag),
            Self::Tag(tag) => format!("(no path):{tag}"),
            Self::Nothing => "(no name)".to_owned(),
        }
    }
}

/// Rules that give a host to names that have none: `[PATH=]PREFIX`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Naming(Vec<NameRule>);

#[derive(Debug, Clone, PartialEq, Eq)]
struct NameRule {
    /// Beginning of the path that `host` and `prefix` take the place of; empty for all.
    path: String,
    host: String,
    prefix: String,
}

/// Why a rule is none.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NamingError {
    /// Host or path is none.
    #[error("{rule:?} gives no name: {source}")]
    Name {
        /// Rule as it came.
        rule: String,
        /// Place and reason.
        source: ReferenceError,
    },
    /// Two rules for one path.
    #[error("two rules name what begins with {0:?}")]
    Twice(String),
}

impl Naming {
    /// Reads rules. `PREFIX` stands in front of every path, `PATH=PREFIX` in the place of `PATH` at its beginning.
    pub fn parse<T: AsRef<str>>(rules: &[T]) -> Result<Self, NamingError> {
        let mut naming = Self::default();
        for text in rules.iter().map(AsRef::as_ref) {
            let (path, place) = text.split_once('=').unwrap_or(("", text));
            let (host, prefix) = place.trim_end_matches('/').split_once('/').unwrap_or((place, ""));
            let bad = |source| NamingError::Name { rule: text.to_owned(), source };
            Repository::new(host, if prefix.is_empty() { "x" } else { prefix }).map_err(bad)?;
            let path = path.trim_matches('/').to_owned();
            if naming.0.iter().any(|rule| rule.path == path) {
                return Err(NamingError::Twice(path));
            }
            naming.0.push(NameRule { path, host: host.to_owned(), prefix: prefix.to_owned() });
        }
        // The longest beginning wins.
        naming.0.sort_by_key(|rule| std::cmp::Reverse(rule.path.len()));
        Ok(naming)
    }

    /// Returns the whole name of `name`; `None` where no rule gives one.
    pub(super) fn apply(&self, name: &Name) -> Option<(Repository, Option<Tag>)> {
        match name {
            Name::Whole(repository, tag) => Some((repository.clone(), tag.clone())),
            Name::Path(path, tag) => {
                let named = self.0.iter().find_map(|rule| rule.give(path))?;
                Some((named, tag.clone()))
            }
            Name::Tag(tag) => Some((self.0.iter().find_map(NameRule::alone)?, Some(tag.clone()))),
            Name::Nothing => Some((self.0.iter().find_map(NameRule::alone)?, None)),
        }
    }
}

impl NameRule {
    fn give(&self, path: &str) -> Option<Repository> {
        let rest = match self.path.as_str() {
            "" => path,
            beginning => path.strip_prefix(beginning).filter(|rest| rest.is_empty() || rest.starts_with('/'))?,
        };
        let parts: Vec<&str> =
            [self.prefix.as_str(), rest.trim_start_matches('/')].into_iter().filter(|p| !p.is_empty()).collect();
        Repository::new(&self.host, &parts.join("/")).ok()
    }

    /// Returns the name of what has no path: the prefix itself.
    fn alone(&self) -> Option<Repository> {
        if self.path.is_empty() { Repository::new(&self.host, &self.prefix).ok() } else { None }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn named(rules: &[&str], text: &str) -> Option<String> {
        let (repository, tag) = Naming::parse(rules).unwrap().apply(&Name::annotated(text))?;
        Some(Name::Whole(repository, tag).shown())
    }

    #[test]
    fn a_name_with_a_host_needs_no_rule() {
        for text in ["ghcr.io/a/b:1", "localhost/a:1", "localhost:5000/a:1", "[::1]:5000/a:1", "docker.io/library/a"] {
            assert_eq!(named(&[], text).as_deref(), Some(text));
            assert_eq!(named(&["other.example/x"], text).as_deref(), Some(text));
        }
        assert_eq!(named(&[], "index.docker.io/library/a:1").as_deref(), Some("docker.io/library/a:1"));
        assert_eq!(Name::whole("index.docker.io/library/a:1"), Name::whole("a:1"));
        let digest = crate::model::Digest::of(b"");
        assert_eq!(named(&[], &format!("ghcr.io/a@{digest}")).as_deref(), Some("ghcr.io/a"));
    }

    #[test]
    fn a_path_or_a_tag_gets_its_host_from_a_rule_the_longest_first() {
        assert_eq!(named(&[], "team/app:1.0"), None);
        assert_eq!(named(&["h.example"], "team/app:1.0").as_deref(), Some("h.example/team/app:1.0"));
        assert_eq!(named(&["h.example/p/q"], "team/app:1.0").as_deref(), Some("h.example/p/q/team/app:1.0"));
        let rules = ["h.example", "team=ghcr.io/crew", "team/app=quay.io/one"];
        assert_eq!(named(&rules, "team/app:1").as_deref(), Some("quay.io/one:1"));
        assert_eq!(named(&rules, "team/other:1").as_deref(), Some("ghcr.io/crew/other:1"));
        assert_eq!(named(&rules, "teams/other:1").as_deref(), Some("h.example/teams/other:1"));
        assert_eq!(named(&["ghcr.io/me/app"], "1.0").as_deref(), Some("ghcr.io/me/app:1.0"));
        assert_eq!(named(&["ghcr.io"], "1.0"), None, "a tag alone needs a path");
        assert_eq!(named(&["x=ghcr.io/me"], "1.0"), None);
        assert_eq!(named(&["ghcr.io/me/app"], "Not A Name").as_deref(), Some("ghcr.io/me/app"));
    }

    #[test]
    fn a_rule_that_gives_no_name_is_refused() {
        for rule in ["", "a b", "h.example/Upper", "a=", "h.example//x", "https://h.example"] {
            assert!(Naming::parse(&[rule]).is_err(), "{rule:?}");
        }
        assert!(matches!(Naming::parse(&["a", "b"]), Err(NamingError::Twice(_))));
    }
}
