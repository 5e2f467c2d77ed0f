//! Where things go: the source's path as it is, or as the first destination rule that fits says.

use super::select::{Pattern, SelectError};
use crate::document::lock::Target;
use crate::document::mirror::{DestinationRule, MirrorManifest, Scope};
use crate::model::{ImageRef, Reference, Repository};
use std::collections::BTreeMap;

/// Destination rules, ready to use.
#[derive(Debug, Clone)]
pub struct Mapping(Vec<(Option<Pattern>, DestinationRule)>);

impl Mapping {
    /// Takes the rules of `mirror`.
    pub fn new(mirror: &MirrorManifest) -> Result<Self, (usize, SelectError)> {
        let ready = |rule: &DestinationRule| {
            let pattern = match &rule.scope {
                Scope::Host(_) => None,
                Scope::Pattern(text) => Some(text.parse().map_err(|error| (rule.line, error))?),
            };
            Ok((pattern, rule.clone()))
        };
        Ok(Self(mirror.destinations.iter().map(ready).collect::<Result<_, _>>()?))
    }

    /// Returns where `source` goes, relative to what an import names.
    ///
    /// The tag stays. A source without tag and digest means `latest`; one with a digest only gets no tag.
    pub fn destination(&self, source: &ImageRef) -> Target {
        let repository = &source.repository;
        let rule = self.0.iter().find(|(pattern, rule)| match (&rule.scope, pattern) {
            (Scope::Host(host), _) => host == repository.host(),
            (Scope::Pattern(_), pattern) => pattern.as_ref().is_some_and(|p| p.fits(&repository.to_string())),
        });
        let path = rule.map_or_else(|| repository.path().to_owned(), |(_, rule)| place(rule, repository));
        let tag = match source.reference() {
            Reference::Tag(tag) => Some(tag),
            Reference::Digest(_) => source.tag.clone(),
        };
        Target { repository: path, tag }
    }
}

/// Returns where `source` goes under the rules of `mirror`; without a rule, the path stays as it is.
///
/// A pattern that does not parse fits nothing here; [`super::discover`] refuses it. For many sources
/// [`Mapping`] is quicker.
pub fn destination(mirror: &MirrorManifest, source: &ImageRef) -> Target {
    Mapping::new(mirror).unwrap_or_else(|_| Mapping(Vec::new())).destination(source)
}

fn place(rule: &DestinationRule, source: &Repository) -> String {
    let path = source.path();
    let stripped = rule.strip.as_deref().and_then(|strip| path.strip_prefix(strip)?.strip_prefix('/'));
    let parts = [rule.project.as_deref(), rule.prefix.as_deref(), Some(stripped.unwrap_or(path))];
    parts.into_iter().flatten().collect::<Vec<_>>().join("/")
}

/// Returns the targets that different artifacts would share, with the sources that meet there.
///
/// Two sources that differ in their digest or repository only may be the same content; who knows the digests
/// decides. Targets without a tag are left out: digests keep them apart.
pub fn collisions<'s>(placed: impl IntoIterator<Item = (&'s ImageRef, &'s Target)>) -> Vec<(Target, Vec<ImageRef>)> {
    let mut meeting: BTreeMap<&Target, Vec<&ImageRef>> = BTreeMap::new();
    for (source, target) in placed.into_iter().filter(|(_, target)| target.tag.is_some()) {
        let sources = meeting.entry(target).or_default();
        if !sources.contains(&source) {
            sources.push(source);
        }
    }
    let several = meeting.into_iter().filter(|(_, sources)| sources.len() > 1);
    several.map(|(target, sources)| (target.clone(), sources.into_iter().cloned().collect())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Digest;

    fn mirror(rules: &str) -> MirrorManifest {
        let text = format!("apiVersion: airlift/v1alpha1\nkind: Mirror\nimages: [x]\ndestinations:\n{rules}");
        MirrorManifest::read(text.as_bytes(), "m.yaml").unwrap_or_else(|e| panic!("{e}"))
    }

    fn goes(mirror: &MirrorManifest, source: &str) -> String {
        let target = destination(mirror, &source.parse().unwrap());
        match target.tag {
            Some(tag) => format!("{}:{tag}", target.repository),
            None => target.repository,
        }
    }

    #[test]
    fn without_a_rule_the_path_and_the_tag_stay() {
        let plain = MirrorManifest::default();
        assert_eq!(goes(&plain, "nginx:1.27"), "library/nginx:1.27");
        assert_eq!(goes(&plain, "nginx"), "library/nginx:latest");
        assert_eq!(goes(&plain, "h.example:5000/a/b/c/d:1"), "a/b/c/d:1");
        let digest = Digest::of(b"x");
        assert_eq!(goes(&plain, &format!("h.example/a@{digest}")), "a");
        assert_eq!(goes(&plain, &format!("h.example/a:1@{digest}")), "a:1");
    }

    #[test]
    fn the_first_rule_that_fits_decides() {
        let mirror = mirror(
            "  - { match: 'ghcr.io/openova-io/**', project: openova-io, strip: openova-io }\n\
             \x20 - { host: ghcr.io, project: proxy-ghcr }\n\
             \x20 - { match: 'quay.io/*/press', project: press, prefix: a/b, strip: quay }\n\
             \x20 - { host: docker.io, strip: library }\n",
        );
        assert_eq!(goes(&mirror, "ghcr.io/openova-io/bp-kiosk:1.0.0"), "openova-io/bp-kiosk:1.0.0");
        assert_eq!(goes(&mirror, "ghcr.io/openova-io-x/y:1"), "proxy-ghcr/openova-io-x/y:1");
        assert_eq!(goes(&mirror, "quay.io/org/press:1"), "press/a/b/org/press:1");
        assert_eq!(goes(&mirror, "docker.io/library/nginx:1"), "nginx:1");
        assert_eq!(goes(&mirror, "docker.io/libraryx/nginx:1"), "libraryx/nginx:1");
        assert_eq!(goes(&mirror, "gcr.io/a/b:1"), "a/b:1");
    }

    #[test]
    fn stripping_everything_leaves_the_path() {
        let mirror = mirror("  - { host: h.example, strip: a/b }\n");
        assert_eq!(goes(&mirror, "h.example/a/b:1"), "a/b:1");
        assert_eq!(goes(&mirror, "h.example/a/b/c:1"), "c:1");
    }

    #[test]
    fn two_sources_that_meet_are_found() {
        let mirror = MirrorManifest::default();
        let sources: Vec<ImageRef> =
            ["quay.io/a/b:1", "ghcr.io/a/b:1", "ghcr.io/a/b:2", "quay.io/a/b:1"].map(|s| s.parse().unwrap()).into();
        let targets: Vec<Target> = sources.iter().map(|source| destination(&mirror, source)).collect();
        let met = collisions(sources.iter().zip(&targets));
        assert_eq!(met.len(), 1);
        assert_eq!((met[0].0.repository.as_str(), met[0].1.len()), ("a/b", 2));
    }
}
