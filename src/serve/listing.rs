//! Lists: tags, referrers, repositories (OCI distribution specification, "Content Discovery").

use super::errors::Refusal;
use super::names::Name;
use super::route::{Asked, on_disk};
use crate::model::{Descriptor, Digest, MediaType};
use axum::http::StatusCode;
use axum::http::header::{CONTENT_TYPE, HeaderName, HeaderValue, LINK};
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};
use std::sync::atomic::Ordering;

const FILTERS: HeaderName = HeaderName::from_static("oci-filters-applied");

/// Gives the tags of a repository, sorted by bytes; `n` and `last` choose a page.
pub(super) async fn tags(asked: Asked, name: Name) -> Result<Response, Refusal> {
    let stock = asked.stock();
    let at = name.clone();
    let Some(tags) = on_disk(move || stock.tags(&at)).await? else {
        return Err(Refusal::new(StatusCode::NOT_FOUND, "NAME_UNKNOWN", "repository name not known to registry")
            .detail(json!({ "name": name.as_str() })));
    };
    let tags = tags.iter().map(ToString::to_string).collect();
    let page = Page::of(&asked, tags)?;
    let link = page.link(&format!("/v2/{name}/tags/list"), &[]);
    Ok(answer(&json!({ "name": name.as_str(), "tags": page.entries }), "application/json", link))
}

/// Gives the names of all repositories, sorted; `n` and `last` choose a page.
pub(super) async fn catalog(asked: Asked) -> Result<Response, Refusal> {
    let stock = asked.stock();
    let names = on_disk(move || stock.repositories()).await?;
    let page = Page::of(&asked, names.iter().map(ToString::to_string).collect())?;
    let link = page.link("/v2/_catalog", &[]);
    Ok(answer(&json!({ "repositories": page.entries }), "application/json", link))
}

/// Gives what refers to a document, filtered by `artifactType` where asked.
pub(super) async fn referrers(asked: Asked, name: Name, subject: Digest) -> Result<Response, Refusal> {
    if !asked.registry.referrers_api {
        return Err(Refusal::new(StatusCode::NOT_FOUND, "UNSUPPORTED", "the referrers API is not supported here"));
    }
    let stock = asked.stock();
    let (at, about) = (name.clone(), subject.clone());
    let found = on_disk(move || stock.referrers(&at, &about)).await?;
    let wanted = asked.value("artifactType").filter(|wanted| !wanted.is_empty());
    let fits = |d: &Descriptor| wanted.is_none_or(|w| d.artifact_type.as_ref().is_some_and(|t| t.as_str() == w));
    let found: Vec<Descriptor> = found.into_iter().filter(fits).collect();
    let keys = found.iter().map(|d| d.digest.to_string()).collect();
    let page = Page::of(&asked, keys)?;
    let shown: Vec<&Descriptor> = found.iter().filter(|d| page.entries.contains(&d.digest.to_string())).collect();
    let filter: Vec<(&str, &str)> = wanted.iter().map(|wanted| ("artifactType", *wanted)).collect();
    let link = page.link(&format!("/v2/{name}/referrers/{subject}"), &filter);
    let index = json!({ "schemaVersion": 2, "mediaType": MediaType::OCI_INDEX, "manifests": shown });
    let mut response = answer(&index, MediaType::OCI_INDEX, link);
    if wanted.is_some() {
        response.headers_mut().insert(FILTERS, HeaderValue::from_static("artifactType"));
    }
    Ok(response)
}

/// One page of a sorted list.
struct Page {
    entries: Vec<String>,
    limit: usize,
    more: bool,
}

impl Page {
    /// Takes the page that `n` and `last` ask for out of `all`, which is sorted.
    fn of(asked: &Asked, all: Vec<String>) -> Result<Self, Refusal> {
        let number = |text: &str| text.parse::<usize>().ok();
        let invalid =
            |text: &str| Refusal::new(StatusCode::BAD_REQUEST, "UNSUPPORTED", format!("n={text:?} is no number"));
        let wanted = asked.value("n").map(|text| number(text).ok_or_else(|| invalid(text))).transpose()?;
        let limit = wanted.unwrap_or(usize::MAX).min(asked.registry.page.load(Ordering::Relaxed));
        let last = asked.value("last").unwrap_or_default();
        let mut rest = all.into_iter().filter(|entry| last.is_empty() || entry.as_str() > last);
        let entries: Vec<String> = rest.by_ref().take(limit).collect();
        let more = limit > 0 && rest.next().is_some();
        Ok(Self { entries, limit, more })
    }

    /// Returns the header that points to the next page, where there is one.
    fn link(&self, path: &str, more: &[(&str, &str)]) -> Option<String> {
        let last = self.entries.last().filter(|_| self.more)?;
        let mut query = format!("n={}&last={}", self.limit, escape(last));
        for (key, value) in more {
            query.push_str(&format!("&{key}={}", escape(value)));
        }
        Some(format!("<{path}?{query}>; rel=\"next\""))
    }
}

/// Answers with JSON, and with a `Link` where there is one.
pub(super) fn answer(body: &Value, media_type: &'static str, link: Option<String>) -> Response {
    let mut response = body.to_string().into_response();
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(media_type));
    headers.extend(link.and_then(|link| HeaderValue::from_str(&link).ok()).map(|value| (LINK, value)));
    response
}

/// Escapes what cannot stand in a query.
fn escape(text: &str) -> String {
    let mut out = String::new();
    for byte in text.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' | b'/' => out.push(char::from(byte)),
            _ => out.push_str(&format!("%{byte:02X}")),
        }
    }
    out
}
