//! Manifests and indexes, in and out (OCI distribution specification, "Pulling manifests", "Pushing Manifests").

use super::blobs::with_digest;
use super::errors::Refusal;
use super::names::Name;
use super::records::Document;
use super::route::{Asked, on_disk};
use crate::model::{Algorithm, Content, Descriptor, Digest, ImageDocument, MediaType, Reference, Tag};
use axum::body::Body;
use axum::extract::Request;
use axum::http::header::{CONTENT_LENGTH, CONTENT_TYPE, HeaderName, HeaderValue, IF_NONE_MATCH, LOCATION};
use axum::http::{Method, StatusCode};
use axum::response::{IntoResponse, Response};
use futures_util::StreamExt;
use serde_json::{Value, json};
use std::sync::Arc;

const SUBJECT: HeaderName = HeaderName::from_static("oci-subject");
const TAG: HeaderName = HeaderName::from_static("oci-tag");

/// Gives a document, or its headers for `HEAD`.
pub(super) async fn get(asked: Asked, name: Name, reference: Reference) -> Result<Response, Refusal> {
    let stock = asked.stock();
    let head = *asked.request.method() == Method::HEAD;
    let key = reference.clone();
    let found = on_disk(move || match stock.document(&name, &key)? {
        Some(descriptor) if head => Ok(Some((descriptor, Vec::new()))),
        Some(descriptor) => stock.document_bytes(&descriptor).map(|bytes| Some((descriptor, bytes))),
        None => Ok(None),
    });
    let Some((descriptor, bytes)) = found.await? else { return Err(Refusal::manifest_unknown(&reference)) };
    if asked.header(IF_NONE_MATCH).is_some_and(|tag| tag.trim_matches('"') == descriptor.digest.to_string()) {
        return Ok(with_digest(StatusCode::NOT_MODIFIED.into_response(), &descriptor.digest));
    }
    let mut response = Body::from(bytes).into_response();
    let headers = response.headers_mut();
    headers.extend(HeaderValue::from_str(descriptor.media_type.as_str()).ok().map(|value| (CONTENT_TYPE, value)));
    headers.insert(CONTENT_LENGTH, HeaderValue::from(descriptor.size));
    Ok(with_digest(response, &descriptor.digest))
}

/// Takes a document, under its digest and under a tag.
pub(super) async fn put(asked: Asked, name: Name, reference: Reference) -> Result<Response, Refusal> {
    let tags = tags_of(&asked, &reference)?;
    let announced = asked.header(CONTENT_TYPE).map(MediaType::new);
    let (registry, query) = (Arc::clone(&asked.registry), asked.query.len());
    let bytes = read_body(asked.request, registry.manifest_limit).await?;
    let document = Arc::new(read_document(bytes, announced, &reference)?);
    let (folder, at, kept, moved) = (registry.stock.folder()?, name.clone(), Arc::clone(&document), tags.clone());
    let missing = on_disk(move || folder.keep_document(&at, &kept, &moved)).await?;
    if !missing.is_empty() {
        let details = missing.iter().map(|digest| json!({ "digest": digest.to_string() }));
        let message = "blob unknown to registry";
        return Err(Refusal::many(StatusCode::BAD_REQUEST, "MANIFEST_BLOB_UNKNOWN", message, details));
    }
    let mut response = StatusCode::CREATED.into_response();
    let digest = &document.descriptor.digest;
    set(&mut response, LOCATION, &format!("/v2/{name}/manifests/{digest}"));
    if let Some(subject) = document.parsed.subject().filter(|_| registry.referrers_api) {
        set(&mut response, SUBJECT, &subject.digest.to_string());
    }
    if query > 0 && matches!(reference, Reference::Digest(_)) {
        for tag in &tags {
            set(&mut response, TAG, tag.as_str());
        }
    }
    Ok(with_digest(response, digest))
}

/// Returns the tags that a `PUT` moves: the one in its path, or those in its query where the path has a digest.
fn tags_of(asked: &Asked, reference: &Reference) -> Result<Vec<Tag>, Refusal> {
    match reference {
        Reference::Tag(tag) => Ok(vec![tag.clone()]),
        Reference::Digest(_) => {
            let stated = asked.query.iter().filter(|(key, _)| key == "tag");
            let invalid =
                |text: &str| Refusal::new(StatusCode::BAD_REQUEST, "TAG_INVALID", format!("{text:?} is no tag"));
            stated.map(|(_, text)| text.parse().map_err(|_| invalid(text))).collect()
        }
    }
}

/// Forgets a tag, or a document with all its tags.
pub(super) async fn delete(asked: Asked, name: Name, reference: Reference) -> Result<Response, Refusal> {
    let folder = asked.registry.stock.folder()?;
    let key = reference.clone();
    let done = on_disk(move || match &key {
        Reference::Tag(tag) => folder.delete_tag(&name, tag),
        Reference::Digest(digest) => folder.delete_document(&name, digest),
    });
    match done.await? {
        true => Ok(StatusCode::ACCEPTED.into_response()),
        false => Err(Refusal::manifest_unknown(&reference)),
    }
}

/// Returns a body of at most `limit` bytes.
pub(crate) async fn read_body(request: Request, limit: u64) -> Result<Vec<u8>, Refusal> {
    let mut body = request.into_body().into_data_stream();
    let mut bytes = Vec::new();
    let mut size = 0;
    while let Some(piece) = body.next().await {
        let broken = |_| Refusal::new(StatusCode::BAD_REQUEST, "MANIFEST_INVALID", "the body broke off");
        let piece = piece.map_err(broken)?;
        size += piece.len() as u64;
        // What is too large is read to its end, so that the client reads the refusal, and not kept.
        if size <= limit {
            bytes.extend_from_slice(&piece);
        } else if size > limit.saturating_mul(16) {
            break;
        }
    }
    if size > limit {
        let why = format!("the document is larger than {limit} bytes");
        return Err(Refusal::new(StatusCode::PAYLOAD_TOO_LARGE, "SIZE_INVALID", why));
    }
    Ok(bytes)
}

/// Checks a document against its announcement and the digest in the path.
pub(crate) fn read_document(
    bytes: Vec<u8>,
    announced: Option<MediaType>,
    reference: &Reference,
) -> Result<Document, Refusal> {
    let invalid = |why: String| Refusal::new(StatusCode::BAD_REQUEST, "MANIFEST_INVALID", why);
    let own = || serde_json::from_slice::<Value>(&bytes).ok()?.get("mediaType")?.as_str().map(MediaType::new);
    let Some(media_type) = announced.or_else(own) else {
        return Err(invalid("neither Content-Type nor mediaType says what this is".to_owned()));
    };
    let algorithm = match reference {
        Reference::Digest(digest) => digest.algorithm(),
        Reference::Tag(_) => Algorithm::Sha256,
    };
    let digest = Digest::of_with(algorithm, &bytes);
    if let Reference::Digest(want) = reference
        && *want != digest
    {
        return Err(Refusal::digest_invalid(format!("expected {want}, received {digest}")));
    }
    let parsed = ImageDocument::parse(&bytes, &media_type).map_err(|e| invalid(e.to_string()))?;
    let descriptor = Descriptor::new(media_type, Content { digest, size: bytes.len() as u64 });
    Ok(Document { bytes, descriptor, parsed })
}

fn set(response: &mut Response, name: HeaderName, value: &str) {
    if let Ok(value) = HeaderValue::from_str(value) {
        response.headers_mut().append(name, value);
    }
}
