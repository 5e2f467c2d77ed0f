//! Blobs out: whole, in ranges, or only their headers (OCI distribution specification, "Pulling blobs").

use super::errors::Refusal;
use super::names::Name;
use super::outgoing::body_of;
use super::route::{Asked, on_disk};
use crate::model::Digest;
use axum::body::Body;
use axum::http::header::{
    ACCEPT_RANGES, CONTENT_LENGTH, CONTENT_RANGE, CONTENT_TYPE, ETAG, HeaderName, HeaderValue, IF_NONE_MATCH, RANGE,
};
use axum::http::{Method, StatusCode};
use axum::response::{IntoResponse, Response};

const CONTENT_DIGEST: HeaderName = HeaderName::from_static("docker-content-digest");

/// What a `Range` header asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Wanted {
    Whole,
    /// First byte and number of bytes; never empty.
    Range(u64, u64),
    Unsatisfiable,
}

/// Gives a blob, or its headers for `HEAD`.
pub(super) async fn get(asked: Asked, name: Name, digest: Digest) -> Result<Response, Refusal> {
    let stock = asked.stock();
    let key = digest.clone();
    let found = on_disk(move || stock.blob(&name, &key));
    let Some(size) = found.await? else { return Err(Refusal::blob_unknown(&digest)) };
    if asked.header(IF_NONE_MATCH).is_some_and(|tag| tag.trim_matches('"') == digest.to_string()) {
        return Ok(with_digest(StatusCode::NOT_MODIFIED.into_response(), &digest));
    }
    let wanted = asked.header(RANGE).map_or(Wanted::Whole, |text| read_range(text, size));
    let (status, start, len) = match wanted {
        Wanted::Whole => (StatusCode::OK, 0, size),
        Wanted::Range(start, len) => (StatusCode::PARTIAL_CONTENT, start, len),
        Wanted::Unsatisfiable => {
            return Err(Refusal::new(
                StatusCode::RANGE_NOT_SATISFIABLE,
                "SIZE_INVALID",
                "the range lies outside the blob",
            )
            .header(CONTENT_RANGE, &format!("bytes */{size}")));
        }
    };
    let body = match *asked.request.method() {
        Method::HEAD => Body::empty(),
        _ => {
            let (stock, key) = (asked.stock(), digest.clone());
            body_of(on_disk(move || stock.open(&key, size, start)).await?, len)
        }
    };
    let mut response = (status, body).into_response();
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/octet-stream"));
    headers.insert(CONTENT_LENGTH, HeaderValue::from(len));
    headers.insert(ACCEPT_RANGES, HeaderValue::from_static("bytes"));
    if status == StatusCode::PARTIAL_CONTENT {
        let range = format!("bytes {start}-{}/{size}", start + len - 1);
        headers.extend(HeaderValue::try_from(range).ok().map(|value| (CONTENT_RANGE, value)));
    }
    Ok(with_digest(response, &digest))
}

/// Forgets a blob of one repository.
pub(super) async fn delete(asked: Asked, name: Name, digest: Digest) -> Result<Response, Refusal> {
    let folder = asked.registry.stock.folder()?;
    let key = digest.clone();
    match on_disk(move || folder.delete_blob(&name, &key)).await? {
        true => Ok(StatusCode::ACCEPTED.into_response()),
        false => Err(Refusal::blob_unknown(&digest)),
    }
}

/// Adds the headers that name the content.
pub(super) fn with_digest(mut response: Response, digest: &Digest) -> Response {
    let headers = response.headers_mut();
    headers.extend(HeaderValue::try_from(digest.to_string()).ok().map(|value| (CONTENT_DIGEST, value)));
    headers.extend(HeaderValue::try_from(format!("\"{digest}\"")).ok().map(|value| (ETAG, value)));
    response
}

/// Reads a `Range` header (RFC 9110, section 14). What is no single range of bytes asks for the whole.
fn read_range(text: &str, size: u64) -> Wanted {
    let Some((first, last)) = text.trim().strip_prefix("bytes=").and_then(|r| r.split_once('-')) else {
        return Wanted::Whole;
    };
    let number = |text: &str| match text.is_empty() || !text.bytes().all(|b| b.is_ascii_digit()) {
        true => None,
        false => Some(text.parse::<u64>().unwrap_or(u64::MAX)),
    };
    let (start, end) = match (number(first), number(last)) {
        (Some(start), Some(end)) if start > end => return Wanted::Whole,
        (Some(start), Some(end)) => (start, end.min(size.saturating_sub(1))),
        (Some(start), None) if last.is_empty() => (start, size.saturating_sub(1)),
        (None, Some(suffix)) if first.is_empty() => match suffix {
            0 => return Wanted::Unsatisfiable,
            n => (size.saturating_sub(n), size.saturating_sub(1)),
        },
        _ => return Wanted::Whole,
    };
    if start >= size { Wanted::Unsatisfiable } else { Wanted::Range(start, end - start + 1) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_are_read_as_rfc_9110_says() {
        for (text, wanted) in [
            ("bytes=0-0", Wanted::Range(0, 1)),
            ("bytes=0-9", Wanted::Range(0, 10)),
            ("bytes=4-", Wanted::Range(4, 6)),
            ("bytes=-3", Wanted::Range(7, 3)),
            ("bytes=-30", Wanted::Range(0, 10)),
            ("bytes=9-99999999999999999999999", Wanted::Range(9, 1)),
            ("bytes=10-", Wanted::Unsatisfiable),
            ("bytes=10-12", Wanted::Unsatisfiable),
            ("bytes=-0", Wanted::Unsatisfiable),
            ("bytes=5-4", Wanted::Whole),
            ("bytes=0-1,3-4", Wanted::Whole),
            ("bytes=a-b", Wanted::Whole),
            ("bytes=-", Wanted::Whole),
            ("items=0-1", Wanted::Whole),
        ] {
            assert_eq!(read_range(text, 10), wanted, "{text}");
        }
        assert_eq!(read_range("bytes=0-", 0), Wanted::Unsatisfiable);
        assert_eq!(read_range("bytes=-1", 0), Wanted::Unsatisfiable);
    }
}
