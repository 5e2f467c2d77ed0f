//! Names: what a request path asks for.
//!
//! Read from the end, since the name of a repository has slashes and may itself contain `blobs` or `tags`.
//! Only what passed the grammar of the OCI distribution specification ("Pulling manifests") leaves this file.

use crate::model::{Digest, Reference, Repository, Tag};
use std::fmt;

/// Name of a repository in this registry: lower-case parts joined by slashes.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Name(String);

impl Name {
    /// Takes `text` where it follows the grammar.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        // The model knows the grammar of a path; the host only completes the pair.
        Repository::new("h", text).ok().map(|_| Self(text.to_owned()))
    }

    /// Returns the text.
    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// What a path names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Target {
    /// `/v2/`: does this registry speak the protocol?
    Base,
    /// `/v2/_catalog`: names of all repositories.
    Catalog,
    /// `/token`: where bearer tokens come from.
    Token,
    /// `/v2/<name>/blobs/<digest>`.
    Blob(Name, Digest),
    /// `/v2/<name>/blobs/uploads/`.
    Uploads(Name),
    /// `/v2/<name>/blobs/uploads/<id>`.
    Upload(Name, String),
    /// `/v2/<name>/manifests/<tag or digest>`.
    Manifest(Name, Reference),
    /// `/v2/<name>/tags/list`.
    Tags(Name),
    /// `/v2/<name>/referrers/<digest>`.
    Referrers(Name, Digest),
}

impl Target {
    /// Returns the repository that this is in.
    pub(crate) const fn name(&self) -> Option<&Name> {
        match self {
            Self::Base | Self::Catalog | Self::Token => None,
            Self::Blob(name, _)
            | Self::Uploads(name)
            | Self::Upload(name, _)
            | Self::Manifest(name, _)
            | Self::Tags(name)
            | Self::Referrers(name, _) => Some(name),
        }
    }
}

/// Why a path names nothing.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum PathError {
    /// No route of the protocol has this shape.
    #[error("no such route")]
    Route,
    /// The name of the repository is outside the grammar.
    #[error("{0:?} is no name of a repository")]
    Name(String),
    /// The digest is none.
    #[error("{0}")]
    Digest(String),
    /// Neither tag nor digest.
    #[error("{0:?} is neither a tag nor a digest")]
    Reference(String),
}

/// Reads a request path, without its query.
pub(crate) fn parse(path: &str) -> Result<Target, PathError> {
    let rest = match path {
        "/v2" | "/v2/" => return Ok(Target::Base),
        "/v2/_catalog" => return Ok(Target::Catalog),
        "/token" => return Ok(Target::Token),
        _ => path.strip_prefix("/v2/").ok_or(PathError::Route)?,
    };
    let parts: Vec<&str> = rest.split('/').collect();
    match parts.as_slice() {
        [name @ .., "blobs", "uploads"] | [name @ .., "blobs", "uploads", ""] => Ok(Target::Uploads(join(name)?)),
        [name @ .., "blobs", "uploads", id] => Ok(Target::Upload(join(name)?, (*id).to_owned())),
        [name @ .., "tags", "list"] => Ok(Target::Tags(join(name)?)),
        [name @ .., "blobs", digest] => Ok(Target::Blob(join(name)?, read_digest(digest)?)),
        [name @ .., "referrers", digest] => Ok(Target::Referrers(join(name)?, read_digest(digest)?)),
        [name @ .., "manifests", reference] => Ok(Target::Manifest(join(name)?, read_reference(reference)?)),
        _ => Err(PathError::Route),
    }
}

fn join(parts: &[&str]) -> Result<Name, PathError> {
    let text = parts.join("/");
    Name::parse(&text).ok_or(PathError::Name(text))
}

fn read_digest(text: &str) -> Result<Digest, PathError> {
    let text = unescape(text).ok_or_else(|| PathError::Digest(format!("{text:?} is no digest")))?;
    text.parse().map_err(|e: crate::model::digest::DigestError| PathError::Digest(e.to_string()))
}

fn read_reference(text: &str) -> Result<Reference, PathError> {
    let plain = unescape(text).ok_or_else(|| PathError::Reference(text.to_owned()))?;
    if plain.contains(':') {
        return read_digest(text).map(Reference::Digest);
    }
    plain.parse::<Tag>().map(Reference::Tag).map_err(|_| PathError::Reference(plain))
}

/// Undoes percent escapes, which some clients apply to the colon of a digest.
pub(crate) fn unescape(text: &str) -> Option<String> {
    let mut out = Vec::with_capacity(text.len());
    let mut bytes = text.bytes();
    while let Some(byte) = bytes.next() {
        if byte == b'%' {
            let pair = [bytes.next()?, bytes.next()?];
            let pair = std::str::from_utf8(&pair).ok().filter(|p| p.bytes().all(|b| b.is_ascii_hexdigit()))?;
            out.push(u8::from_str_radix(pair, 16).ok()?);
        } else {
            out.push(byte);
        }
    }
    String::from_utf8(out).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn name(text: &str) -> Name {
        Name::parse(text).unwrap()
    }

    #[test]
    fn a_path_is_read_from_its_end() {
        let digest = Digest::of(b"x");
        assert_eq!(parse("/v2/").unwrap(), Target::Base);
        assert_eq!(parse("/v2/a/b/tags/list").unwrap(), Target::Tags(name("a/b")));
        assert_eq!(parse("/v2/a/blobs/uploads/").unwrap(), Target::Uploads(name("a")));
        assert_eq!(parse("/v2/a/blobs/uploads").unwrap(), Target::Uploads(name("a")));
        assert_eq!(parse("/v2/a/blobs/uploads/42").unwrap(), Target::Upload(name("a"), "42".into()));
        assert_eq!(
            parse(&format!("/v2/blobs/tags/blobs/{digest}")).unwrap(),
            Target::Blob(name("blobs/tags"), digest.clone())
        );
        let tagged = parse("/v2/tags/manifests/list").unwrap();
        assert_eq!(tagged, Target::Manifest(name("tags"), Reference::Tag("list".parse().unwrap())));
        let escaped = format!("/v2/a/manifests/{}", digest.to_string().replace(':', "%3A"));
        assert_eq!(parse(&escaped).unwrap(), Target::Manifest(name("a"), Reference::Digest(digest.clone())));
        assert_eq!(parse(&format!("/v2/a/referrers/{digest}")).unwrap(), Target::Referrers(name("a"), digest));
    }

    #[test]
    fn what_is_outside_the_grammar_never_becomes_a_path() {
        for path in
            ["/v2/../blobs/uploads/", "/v2/A/tags/list", "/v2//tags/list", "/v2/a%2Fb/tags/list", "/v2/tags/list"]
        {
            assert!(matches!(parse(path), Err(PathError::Name(_))), "{path}");
        }
        assert!(matches!(parse("/v2/a/blobs/sha256:00"), Err(PathError::Digest(_))));
        assert!(matches!(parse("/v2/a/blobs/sha256:%2e%2e"), Err(PathError::Digest(_))));
        assert!(matches!(parse("/v2/a/manifests/.x"), Err(PathError::Reference(_))));
        assert!(matches!(parse("/v2/a/manifests/%2e%2e"), Err(PathError::Reference(_))));
        assert!(matches!(parse("/v2/a/manifests/%zz"), Err(PathError::Reference(_))));
        assert_eq!(parse("/v2/a"), Err(PathError::Route));
        assert_eq!(parse("/etc/passwd"), Err(PathError::Route));
    }

    proptest! {
        #[test]
        fn any_path_is_read_without_a_panic_and_no_name_escapes(path in "(/v2)?(/[a-z.%:A-Z0-9-]{0,6}){0,5}(/(blobs|tags|manifests|referrers|uploads|list)){0,3}(/.{0,10})?") {
            if let Ok(target) = parse(&path) {
                let parts = target.name().map(|n| n.as_str().to_owned()).unwrap_or_default();
                prop_assert!(!parts.split('/').any(|p| p.starts_with('.') || p.starts_with('_')));
            }
        }
    }
}
