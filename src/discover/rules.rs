//! What the mirror file says about names wherever they come from: left out, replaced, which platforms.

use super::select::{Pattern, SelectError};
use crate::document::mirror::{Ignored, MirrorManifest, PlatformRule};
use crate::model::{ImageRef, Repository, Tag};
use std::cell::Cell;

/// Why a rule cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RuleError {
    /// Its pattern is none.
    #[error("line {line}: {source}")]
    Pattern {
        /// Line of the mirror file.
        line: usize,
        /// Pattern and reason.
        source: SelectError,
    },
    /// The new name is no name.
    #[error("line {line}: {from} replaced by the rule becomes {became:?}, which is no reference")]
    Substitute {
        /// Line of the mirror file.
        line: usize,
        /// Name before.
        from: String,
        /// Text after.
        became: String,
    },
}

struct Ignore {
    line: usize,
    text: Option<String>,
    pattern: Option<Pattern>,
    reason: String,
    used: Cell<bool>,
}

/// Rules of a mirror file, ready to use.
pub struct Rules<'m> {
    mirror: &'m MirrorManifest,
    ignore: Vec<Ignore>,
    platforms: Vec<(Pattern, &'m PlatformRule)>,
    substituted: Vec<Cell<bool>>,
}

impl<'m> Rules<'m> {
    /// Takes the rules of `mirror`.
    pub fn new(mirror: &'m MirrorManifest) -> Result<Self, RuleError> {
        let pattern = |line: usize, text: &str| text.parse().map_err(|source| RuleError::Pattern { line, source });
        let mut ignore = Vec::new();
        for rule in &mirror.ignore {
            let (text, glob) = match &rule.what {
                Ignored::Text(text) => (Some(normal(text)), None),
                Ignored::Pattern(text) => (None, Some(pattern(rule.line, text)?)),
            };
            let reason = rule.reason.clone();
            ignore.push(Ignore { line: rule.line, text, pattern: glob, reason, used: Cell::new(false) });
        }
        let exceptions = mirror.platforms.exceptions.iter();
        let platforms = exceptions
            .map(|exception| Ok((pattern(exception.line, &exception.pattern)?, &exception.rule)))
            .collect::<Result<_, RuleError>>()?;
        let substituted = mirror.substitute.iter().map(|_| Cell::new(false)).collect();
        Ok(Self { mirror, ignore, platforms, substituted })
    }

    /// Returns why a text that was found is left out, where a rule says so.
    pub fn ignored_text(&self, text: &str) -> Option<&str> {
        let repository = text.parse::<ImageRef>().ok().map(|reference| reference.repository);
        self.ignored(&normal(text), repository.as_ref())
    }

    /// Returns why a repository is left out as a whole, where a rule says so.
    pub fn ignored_repository(&self, repository: &Repository) -> Option<&str> {
        self.ignored(&repository.to_string(), Some(repository))
    }

    /// Returns the tags of a repository that rules leave out by name, each with the reason.
    pub fn ignored_tags(&self, repository: &Repository) -> Vec<(Tag, &str)> {
        let tag = |rule: &Ignore| {
            let reference: ImageRef = rule.text.as_ref()?.parse().ok()?;
            reference.tag.filter(|_| reference.digest.is_none() && reference.repository == *repository)
        };
        let rules = self.ignore.iter().filter_map(|rule| Some((rule, tag(rule)?)));
        rules
            .map(|(rule, tag)| {
                rule.used.set(true);
                (tag, rule.reason.as_str())
            })
            .collect()
    }

    fn ignored(&self, text: &str, repository: Option<&Repository>) -> Option<&str> {
        let fits = |rule: &&Ignore| match (&rule.text, &rule.pattern, repository) {
            (Some(own), _, _) => own == text,
            (None, Some(pattern), Some(repository)) => pattern.fits(&repository.to_string()),
            _ => false,
        };
        let rule = self.ignore.iter().find(fits)?;
        rule.used.set(true);
        Some(&rule.reason)
    }

    /// Returns the lines of the `ignore` and `substitute` rules that nothing met.
    pub fn unused(&self) -> Vec<usize> {
        let ignore = self.ignore.iter().filter(|rule| !rule.used.get()).map(|rule| rule.line);
        let substitute = self.mirror.substitute.iter().zip(&self.substituted);
        ignore.chain(substitute.filter(|(_, used)| !used.get()).map(|(rule, _)| rule.line)).collect()
    }

    /// Returns the name that stands for `repository`, where a rule replaces it; the longest that fits.
    pub fn substitute(&self, repository: &Repository) -> Result<Option<Repository>, RuleError> {
        let text = repository.to_string();
        let rest = |from: &str| text.strip_prefix(from).filter(|rest| rest.is_empty() || rest.starts_with('/'));
        let all = self.mirror.substitute.iter().zip(&self.substituted);
        let fitting = all.filter_map(|(rule, used)| Some((rule, used, rest(&rule.from)?)));
        let Some((rule, used, rest)) = fitting.max_by_key(|(rule, ..)| rule.from.len()) else { return Ok(None) };
        used.set(true);
        let became = format!("{}{rest}", rule.to);
        let (host, path) = became.split_once('/').unwrap_or((&became, ""));
        let failed = |_| RuleError::Substitute { line: rule.line, from: text.clone(), became: became.clone() };
        Repository::new(host, path).map(Some).map_err(failed)
    }

    /// Returns what is kept of the images of `repository`.
    pub fn platforms(&self, repository: &Repository) -> PlatformRule {
        let text = repository.to_string();
        let exception = self.platforms.iter().find(|(pattern, _)| pattern.fits(&text));
        exception.map_or(&self.mirror.platforms.default, |(_, rule)| *rule).clone()
    }
}

/// Returns a reference in its normal form, and any other text as it is.
fn normal(text: &str) -> String {
    text.parse::<ImageRef>().map_or_else(|_| text.to_owned(), |reference| reference.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mirror(rules: &str) -> MirrorManifest {
        let text = format!("apiVersion: airlift/v1alpha1\nkind: Mirror\nimages: [x]\n{rules}");
        MirrorManifest::read(text.as_bytes(), "m.yaml").unwrap_or_else(|e| panic!("{e}"))
    }

    fn repository(text: &str) -> Repository {
        text.parse::<ImageRef>().unwrap().repository
    }

    #[test]
    fn a_name_is_ignored_as_written_or_normalised_and_rules_without_effect_are_known() {
        let mirror = mirror(
            "ignore:\n- {ref: ubuntu-99.04, reason: VM}\n- {match: 'gcr.io/x/**', reason: no}\n- {ref: never, reason: n}\n",
        );
        let rules = Rules::new(&mirror).unwrap();
        assert_eq!(rules.ignored_text("ubuntu-99.04"), Some("VM"));
        assert_eq!(rules.ignored_text("docker.io/library/ubuntu-99.04"), Some("VM"));
        assert_eq!(rules.ignored_text("ubuntu-99.04:1"), None);
        assert_eq!(rules.ignored_repository(&repository("gcr.io/x/y/z")), Some("no"));
        assert_eq!(rules.unused(), [7]);
    }

    #[test]
    fn the_longest_substitution_replaces_whole_parts() {
        let mirror = mirror(
            "substitute:\n- {from: docker.io/press, to: docker.io/presslegacy}\n- {from: docker.io/press/old, to: h.example/new}\n\
             - {from: k8s.gcr.io, to: registry.k8s.io}\n",
        );
        let rules = Rules::new(&mirror).unwrap();
        let became = |text| rules.substitute(&repository(text)).unwrap().map(|r| r.to_string());
        assert_eq!(became("press/kiosk").unwrap(), "docker.io/presslegacy/kiosk");
        assert_eq!(became("press/old").unwrap(), "h.example/new");
        assert_eq!(became("pressx/kiosk"), None);
        assert_eq!(rules.unused(), [7]);
        assert_eq!(became("k8s.gcr.io/pause").unwrap(), "registry.k8s.io/pause");
    }

    #[test]
    fn exceptions_come_before_the_default_platforms() {
        let mirror = mirror(
            "platforms:\n  only: [linux/arm64, linux/amd64]\n  digest: rewrite\n  exceptions:\n\
             \x20 - {match: 'h.example/all/**'}\n  - {match: 'h.example/*', only: linux/amd64, digest: single}\n",
        );
        let rules = Rules::new(&mirror).unwrap();
        assert_eq!(rules.platforms(&repository("h.example/all/x")), PlatformRule::All);
        let count = |text| match rules.platforms(&repository(text)) {
            PlatformRule::Only { platforms, .. } => platforms.len(),
            PlatformRule::All => 0,
        };
        assert_eq!((count("h.example/x"), count("x")), (1, 2));
    }
}
