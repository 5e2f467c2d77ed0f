//! Harbor's two dialects of refusal: its core's, and its blob engine's, which is that of the embedded registry.

use crate::serve::Refusal;
use axum::http::header::{CONTENT_TYPE, HeaderValue, LINK, WWW_AUTHENTICATE};
use axum::http::{HeaderName, StatusCode};
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};

/// Refuses as Harbor's core does: no `detail`, a newline behind the body.
pub(super) fn core(status: u16, code: &str, message: impl Into<String>) -> Response {
    let body = json!({ "errors": [{ "code": code, "message": message.into() }] });
    let mut response = (status_of(status), format!("{body}\n")).into_response();
    set(&mut response, CONTENT_TYPE, "application/json; charset=utf-8");
    response
}

/// Refuses as the blob engine does.
pub(super) fn engine(status: u16, code: &'static str, message: &str) -> Response {
    Refusal::new(status_of(status), code, message).into_response()
}

/// Refuses a document because of things that are not there: one entry each, with the bare digest as detail.
pub(super) fn blobs_unknown(missing: impl IntoIterator<Item = String>) -> Response {
    let details = missing.into_iter().map(Value::from);
    Refusal::many(StatusCode::BAD_REQUEST, "MANIFEST_BLOB_UNKNOWN", "blob unknown to registry", details).into_response()
}

/// Refuses with 401 and the given challenge, which Harbor sometimes leaves empty.
pub(super) fn unauthorized(message: &str, challenge: &str) -> Response {
    let mut response = core(401, "UNAUTHORIZED", message);
    set(&mut response, WWW_AUTHENTICATE, challenge);
    set(&mut response, HeaderName::from_static("docker-distribution-api-version"), "registry/2.0");
    response
}

/// Refuses an artifact that has no row.
pub(super) fn no_artifact(name: &str, reference: &str) -> Response {
    let separator = if reference.contains(':') { '@' } else { ':' };
    core(404, "NOT_FOUND", format!("artifact {name}{separator}{reference} not found"))
}

/// Answers with JSON.
pub(super) fn json_of(status: u16, body: &Value) -> Response {
    let mut response = (status_of(status), body.to_string()).into_response();
    set(&mut response, CONTENT_TYPE, "application/json");
    response
}

/// Answers without a body.
pub(super) fn empty(status: u16) -> Response {
    status_of(status).into_response()
}

/// Answers with one page of a list, as the REST API does.
pub(super) fn page(entries: Vec<Value>, query: &[(String, String)], path: &str) -> Response {
    let number = |key: &str, default: usize| {
        let text = query.iter().find(|(k, _)| k == key).map(|(_, value)| value.as_str());
        text.map_or(Some(default), |text| text.parse::<usize>().ok())
    };
    let (Some(page), Some(size)) = (number("page", 1), number("page_size", 10)) else {
        return core(422, "UNPROCESSABLE_ENTITY", "validation failure list:\npage or page_size is no number");
    };
    if page < 1 || !(1..=100).contains(&size) {
        return core(
            422,
            "UNPROCESSABLE_ENTITY",
            "validation failure list:\npage_size in query should be less than or equal to 100",
        );
    }
    let total = entries.len();
    let shown: Vec<Value> = entries.into_iter().skip((page - 1) * size).take(size).collect();
    let mut response = json_of(200, &Value::from(shown));
    set(&mut response, HeaderName::from_static("x-total-count"), &total.to_string());
    let mut links = Vec::new();
    if page > 1 {
        links.push(format!("<{path}?page={}&page_size={size}>; rel=\"prev\"", page - 1));
    }
    if page * size < total {
        links.push(format!("<{path}?page={}&page_size={size}>; rel=\"next\"", page + 1));
    }
    if !links.is_empty() {
        set(&mut response, LINK, &links.join(" , "));
    }
    response
}

/// Sets a header.
pub(super) fn set(response: &mut Response, name: HeaderName, value: &str) {
    response.headers_mut().insert(name, HeaderValue::from_str(value).unwrap());
}

fn status_of(status: u16) -> StatusCode {
    StatusCode::from_u16(status).unwrap()
}
