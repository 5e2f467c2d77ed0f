//! The wire of the OCI distribution specification: paths, and the few headers that carry meaning.
//!
//! Everything that becomes part of a path is a checked value ([`Repository`], [`Reference`], [`Digest`]).

use super::guard;
use super::settings::PlainHttp;
use crate::model::MediaType;
use crate::model::digest::Digest;
use crate::model::reference::{Reference, Repository};
use url::Url;

/// Types that a manifest may have; without all four some servers say "not found".
pub(super) const ACCEPT: &str = "application/vnd.oci.image.index.v1+json, application/vnd.oci.image.manifest.v1+json, \
     application/vnd.docker.distribution.manifest.list.v2+json, application/vnd.docker.distribution.manifest.v2+json";

/// Tags asked for at once.
const PAGE: u32 = 1_000;

/// Hosts whose registry answers under another name.
const ALIASES: [(&str, &str); 2] = [("docker.io", "registry-1.docker.io"), ("index.docker.io", "registry-1.docker.io")];

/// Returns the root of the registry of `host` (`name[:port]`), or `None` where that is no host.
pub(super) fn base(host: &str, plain: &PlainHttp) -> Option<Url> {
    crate::model::reference::check_host(host).ok()?;
    let scheme = if plain.covers(host) { "http" } else { "https" };
    let real = ALIASES.iter().find(|(alias, _)| *alias == host).map_or(host, |(_, real)| real);
    Url::parse(&format!("{scheme}://{real}/")).ok()
}

/// Builds the paths of one repository.
pub(super) struct Paths<'a> {
    base: &'a Url,
    name: &'a str,
}

impl<'a> Paths<'a> {
    /// Takes the root of a registry and a repository in it.
    pub(super) fn new(base: &'a Url, at: &'a Repository) -> Self {
        Self { base, name: at.path() }
    }

    fn at(&self, rest: &str, query: Option<&str>) -> Url {
        let mut url = self.base.clone();
        url.set_path(&format!("/v2/{}/{rest}", self.name));
        url.set_query(query);
        url
    }

    pub(super) fn manifest(&self, reference: &Reference) -> Url {
        self.at(&format!("manifests/{reference}"), None)
    }

    /// The tag under which the referrers of `subject` stand where there is no referrers API.
    pub(super) fn fallback(&self, subject: &Digest) -> Url {
        self.at(&format!("manifests/{}", fallback_tag(subject)), None)
    }

    pub(super) fn blob(&self, digest: &Digest) -> Url {
        self.at(&format!("blobs/{digest}"), None)
    }

    pub(super) fn uploads(&self) -> Url {
        self.at("blobs/uploads/", None)
    }

    pub(super) fn mount(&self, digest: &Digest, from: &Repository) -> Url {
        self.at("blobs/uploads/", Some(&format!("mount={}&from={}", escaped(digest), from.path().replace('/', "%2F"))))
    }

    pub(super) fn tags(&self) -> Url {
        self.at("tags/list", Some(&format!("n={PAGE}")))
    }

    pub(super) fn referrers(&self, subject: &Digest) -> Url {
        self.at(&format!("referrers/{subject}"), None)
    }
}

/// Returns the referrers tag of `subject` (distribution specification, "Referrers Tag Schema").
pub(super) fn fallback_tag(subject: &Digest) -> String {
    let hex = subject.hex();
    format!("{}-{}", subject.algorithm().name(), &hex[..hex.len().min(64)])
}

/// Returns a digest as it stands in a query.
pub(super) fn escaped(digest: &Digest) -> String {
    digest.to_string().replace(':', "%3A")
}

/// Appends the digest that closes an upload, leaving every byte of the query as the server sent it.
pub(super) fn closing(location: &Url, digest: &Digest) -> Url {
    let mut url = location.clone();
    let query = match location.query() {
        Some(query) if !query.is_empty() => format!("{query}&digest={}", escaped(digest)),
        _ => format!("digest={}", escaped(digest)),
    };
    url.set_query(Some(&query));
    url
}

/// Resolves the `Location` of an upload against the request that brought it.
///
/// A host that differs from ours in front of the registry's own upload path is a mistaken idea that the server
/// has of its address: path and query are kept, scheme, host and port become ours. Any other host is a store
/// behind the registry and is used as it is; it never sees credentials. None may carry some of its own.
pub(super) fn upload_location(base: &Url, asked: &Url, location: &str) -> Result<Url, guard::GuardError> {
    let mut next =
        asked.join(location).map_err(|_| guard::GuardError::Syntax(crate::model::fault::printable(location)))?;
    next.set_fragment(None);
    let own = guard::Origin::of(&next) == guard::Origin::of(base);
    if !own && matches!(next.scheme(), "http" | "https") && is_upload_path(next.path()) {
        let mut rebased = base.clone();
        rebased.set_path(next.path());
        rebased.set_query(next.query());
        return Ok(rebased);
    }
    guard::may_follow(base, &next)?;
    Ok(next)
}

fn is_upload_path(path: &str) -> bool {
    path.starts_with("/v2/") && path.contains("/blobs/uploads/")
}

/// Returns the target of the first `Link` with `rel="next"` (RFC 8288), unresolved.
pub(super) fn next_link<'a>(headers: impl IntoIterator<Item = &'a str>) -> Option<String> {
    headers.into_iter().find_map(next_in)
}

fn next_in(header: &str) -> Option<String> {
    let mut rest = header;
    loop {
        let (_, after) = rest.split_once('<')?;
        let (target, after) = after.split_once('>')?;
        let (parameters, following) = match after.find('<') {
            Some(at) => after.split_at(at),
            None => (after, ""),
        };
        let next = parameters.split([';', ',']).any(|parameter| {
            let (name, value) = parameter.split_once('=').unwrap_or((parameter, ""));
            let value = value.trim().trim_matches('"');
            name.trim().eq_ignore_ascii_case("rel")
                && value.split_ascii_whitespace().any(|rel| rel.eq_ignore_ascii_case("next"))
        });
        if next {
            return Some(target.to_owned());
        }
        rest = following;
    }
}

/// What a `Content-Range: bytes A-B/N` says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct ContentRange {
    /// First byte.
    pub(super) first: u64,
    /// Last byte, inclusive.
    pub(super) last: u64,
    /// Size of the whole, where it is stated.
    pub(super) whole: Option<u64>,
}

/// Reads a `Content-Range` of a 206.
pub(super) fn content_range(value: &str) -> Option<ContentRange> {
    let (range, whole) = value.trim().strip_prefix("bytes ")?.split_once('/')?;
    let (first, last) = range.trim().split_once('-')?;
    let whole = match whole.trim() {
        "*" => None,
        number => Some(digits(number)?),
    };
    let (first, last) = (digits(first)?, digits(last)?);
    (first <= last && whole.is_none_or(|whole| last < whole)).then_some(ContentRange { first, last, whole })
}

/// Reads the `Range` header of an upload's answer: how many bytes stand. `0-0` may mean none or one.
pub(super) fn upload_end(value: &str) -> Option<u64> {
    let value = value.trim();
    let (first, last) = value.strip_prefix("bytes=").unwrap_or(value).split_once('-')?;
    if digits(first)? != 0 { None } else { digits(last) }
}

/// Reads a number that is nothing but digits.
pub(super) fn digits(text: &str) -> Option<u64> {
    if text.is_empty() || !text.bytes().all(|b| b.is_ascii_digit()) { None } else { text.parse().ok() }
}

/// Returns the type of a document: as announced, or, where the announcement says nothing, as it says itself.
pub(super) fn document_type(announced: Option<&str>, bytes: &[u8]) -> Option<MediaType> {
    let announced = announced.map(MediaType::new);
    let says_nothing = |t: &MediaType| {
        matches!(
            t.as_str(),
            "" | "application/json" | "application/octet-stream" | "binary/octet-stream" | "text/plain"
        )
    };
    match announced.filter(|t| !says_nothing(t)) {
        Some(announced) => Some(announced),
        None => own_type(bytes),
    }
}

fn own_type(bytes: &[u8]) -> Option<MediaType> {
    let document: serde_json::Value = serde_json::from_slice(bytes).ok()?;
    let document = document.as_object()?;
    if let Some(own) = document.get("mediaType") {
        return own.as_str().map(MediaType::new);
    }
    // OCI documents may leave the type out; then their shape decides.
    match (document.contains_key("manifests"), document.contains_key("config")) {
        (true, false) => Some(MediaType::new(MediaType::OCI_INDEX)),
        (false, true) => Some(MediaType::new(MediaType::OCI_MANIFEST)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn url(text: &str) -> Url {
        Url::parse(text).unwrap()
    }

    #[test]
    fn docker_io_is_reached_under_its_real_name() {
        assert_eq!(base("docker.io", &PlainHttp::Never).unwrap().as_str(), "https://registry-1.docker.io/");
        assert_eq!(base("h.example:5000", &PlainHttp::All).unwrap().as_str(), "http://h.example:5000/");
        assert_eq!(base("[::1]:5000", &PlainHttp::All).unwrap().as_str(), "http://[::1]:5000/");
        assert!(base("h.example/x", &PlainHttp::Never).is_none() && base("u@h", &PlainHttp::Never).is_none());
    }

    #[test]
    fn paths_follow_the_specification() {
        let root = url("https://h.example/");
        let (at, from) = (Repository::new("h.example", "a/b").unwrap(), Repository::new("h.example", "c/d").unwrap());
        let (paths, digest) = (Paths::new(&root, &at), Digest::of(b""));
        assert_eq!(paths.blob(&digest).as_str(), format!("https://h.example/v2/a/b/blobs/{digest}"));
        assert_eq!(paths.uploads().as_str(), "https://h.example/v2/a/b/blobs/uploads/");
        let mount = format!("https://h.example/v2/a/b/blobs/uploads/?mount=sha256%3A{}&from=c%2Fd", digest.hex());
        assert_eq!(paths.mount(&digest, &from).as_str(), mount);
        assert_eq!(paths.tags().as_str(), "https://h.example/v2/a/b/tags/list?n=1000");
        assert_eq!(fallback_tag(&digest), format!("sha256-{}", digest.hex()));
        let long = Digest::of_with(crate::model::Algorithm::Sha512, b"");
        assert_eq!(fallback_tag(&long).len(), "sha512-".len() + 64);
    }

    #[test]
    fn an_upload_location_keeps_its_query_and_loses_a_mistaken_host() {
        let (root, asked) = (url("https://h.example:8443/"), url("https://h.example:8443/v2/a/b/blobs/uploads/"));
        let resolved = |location: &str| upload_location(&root, &asked, location).map(|u| u.to_string());
        let state = "/v2/a/b/blobs/uploads/1?_state=a%2Fb+c%3D%3d&x=~!*'()";
        let kept = "https://h.example:8443/v2/a/b/blobs/uploads/1?_state=a%2Fb+c%3D%3d&x=~!*%27()";
        assert_eq!(resolved(state).unwrap(), kept);
        assert_eq!(resolved(&format!("http://core:8080{state}")).unwrap(), kept);
        assert_eq!(resolved("2?y").unwrap(), "https://h.example:8443/v2/a/b/blobs/uploads/2?y");
        assert_eq!(resolved("https://store.example/k?sig=%2B").unwrap(), "https://store.example/k?sig=%2B");
        assert_eq!(resolved("http://store.example/k"), Err(guard::GuardError::Downgrade));
        assert!(matches!(resolved("https://169.254.169.254/k"), Err(guard::GuardError::Address(..))));
        // Credentials in a URL would take the place of ours, and come to stand in messages.
        let own = "https://u:p@h.example:8443/v2/a/b/blobs/uploads/1";
        assert_eq!(resolved(own), Err(guard::GuardError::Userinfo));
        assert_eq!(resolved(&own.replace("8443", "1")).unwrap(), "https://h.example:8443/v2/a/b/blobs/uploads/1");
    }

    #[test]
    fn the_closing_digest_is_appended_and_nothing_else_changes() {
        let digest = Digest::of(b"");
        let closed = |text: &str| closing(&url(text), &digest).query().unwrap().to_owned();
        let own = format!("digest=sha256%3A{}", digest.hex());
        assert_eq!(closed("https://h.example/u"), own);
        assert_eq!(closed("https://h.example/u?"), own);
        assert_eq!(closed("https://h.example/u?_state=%2f%2F=+"), format!("_state=%2f%2F=+&{own}"));
    }

    #[test]
    fn the_next_link_is_found_among_others() {
        let next = |header: &str| next_link([header]);
        assert_eq!(next(r#"</v2/a/tags/list?n=1&last=b>; rel="next""#).unwrap(), "/v2/a/tags/list?n=1&last=b");
        assert_eq!(next(r#"</p1>; rel="prev" , </p3>; rel="next""#).unwrap(), "/p3");
        assert_eq!(next(r#"</x>; title="a"; REL=next"#).unwrap(), "/x");
        for none in ["", "<", "</x", "</x>", r#"</x>; rel="prev""#, "rel=next"] {
            assert_eq!(next(none), None, "{none}");
        }
    }

    #[test]
    fn content_ranges_that_contradict_themselves_are_none() {
        let range = |first, last, whole| Some(ContentRange { first, last, whole });
        assert_eq!(content_range("bytes 5-9/10"), range(5, 9, Some(10)));
        assert_eq!(content_range("bytes 5-9/*"), range(5, 9, None));
        for wrong in ["bytes 9-5/10", "bytes 5-10/10", "bytes */10", "5-9/10", "bytes -5/10", "bytes +5-9/10", ""] {
            assert_eq!(content_range(wrong), None, "{wrong}");
        }
        assert_eq!((upload_end("0-41"), upload_end("bytes=0-0"), upload_end("5-9")), (Some(41), Some(0), None));
    }

    #[test]
    fn a_document_speaks_for_itself_only_where_the_header_says_nothing() {
        let index = br#"{"mediaType":"application/vnd.oci.image.index.v1+json"}"#;
        let read = |header, bytes| document_type(header, bytes).map(|t| t.to_string());
        assert_eq!(read(Some("application/json; charset=utf-8"), index).unwrap(), MediaType::OCI_INDEX);
        assert_eq!(read(None, index).unwrap(), MediaType::OCI_INDEX);
        assert_eq!(read(Some("text/html; charset=utf-8"), index).unwrap(), "text/html");
        assert_eq!(read(None, br#"{"config":{},"layers":[]}"#).unwrap(), MediaType::OCI_MANIFEST);
        assert_eq!(read(None, br#"{"manifests":[]}"#).unwrap(), MediaType::OCI_INDEX);
        assert_eq!(read(None, br#"{"manifests":[],"config":{}}"#), None);
        assert_eq!(read(None, b"<html>"), None);
    }

    proptest! {
        #[test]
        fn any_header_is_read_without_a_panic(text in "\\PC{0,80}") {
            let _ = (next_link([text.as_str()]), content_range(&text), upload_end(&text));
        }
    }
}
