//! Refusals: what the registry answers when it does not do what was asked.
//!
//! Follows the OCI distribution specification 1.1, "Error Codes": a JSON body with one entry for each reason.

use axum::http::header::{CONTENT_TYPE, HeaderName, HeaderValue};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};

/// One reason.
#[derive(Debug)]
struct Reason {
    code: &'static str,
    message: String,
    detail: Value,
}

/// An answer that is no success: status, reasons, and headers that belong to it.
#[derive(Debug)]
pub(crate) struct Refusal(Box<Answer>);

#[derive(Debug)]
struct Answer {
    status: StatusCode,
    reasons: Vec<Reason>,
    headers: HeaderMap,
}

impl Refusal {
    /// Refuses with one reason.
    pub(crate) fn new(status: StatusCode, code: &'static str, message: impl Into<String>) -> Self {
        Self::many(status, code, message, [Value::Null])
    }

    /// Refuses with one reason for each of `details`.
    pub(crate) fn many(
        status: StatusCode,
        code: &'static str,
        message: impl Into<String>,
        details: impl IntoIterator<Item = Value>,
    ) -> Self {
        let message = message.into();
        let reason = |detail| Reason { code, message: message.clone(), detail };
        let reasons = details.into_iter().map(reason).collect();
        Self(Box::new(Answer { status, reasons, headers: HeaderMap::new() }))
    }

    /// Gives the reasons a detail.
    #[must_use]
    pub(crate) fn detail(mut self, detail: impl Into<Value>) -> Self {
        let detail = detail.into();
        for reason in &mut self.0.reasons {
            reason.detail = detail.clone();
        }
        self
    }

    /// Adds a header; one whose value cannot stand in a header is left out.
    #[must_use]
    pub(crate) fn header(mut self, name: HeaderName, value: &str) -> Self {
        if let Ok(value) = HeaderValue::from_str(value) {
            self.0.headers.append(name, value);
        }
        self
    }

    /// A blob that this repository does not have.
    pub(crate) fn blob_unknown(digest: &impl ToString) -> Self {
        Self::new(StatusCode::NOT_FOUND, "BLOB_UNKNOWN", "blob unknown to registry")
            .detail(json!({ "digest": digest.to_string() }))
    }

    /// A manifest or tag that this repository does not have.
    pub(crate) fn manifest_unknown(reference: &impl ToString) -> Self {
        Self::new(StatusCode::NOT_FOUND, "MANIFEST_UNKNOWN", "manifest unknown to registry")
            .detail(json!({ "reference": reference.to_string() }))
    }

    /// An upload that was never begun, is finished, or was cancelled.
    pub(crate) fn upload_unknown(id: &str) -> Self {
        Self::new(StatusCode::NOT_FOUND, "BLOB_UPLOAD_UNKNOWN", "blob upload unknown to registry")
            .detail(json!({ "upload": id }))
    }

    /// A digest that is none, or that the content does not have.
    pub(crate) fn digest_invalid(why: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "DIGEST_INVALID", why)
    }

    /// A request that this registry, or its mode, does not know.
    pub(crate) fn unsupported(message: impl Into<String>) -> Self {
        Self::new(StatusCode::METHOD_NOT_ALLOWED, "UNSUPPORTED", message)
    }
}

impl From<std::io::Error> for Refusal {
    /// The folder failed: nothing that the client can change. Paths stay inside.
    fn from(error: std::io::Error) -> Self {
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, "UNKNOWN", format!("the storage failed: {}", error.kind()))
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let entry = |reason: &Reason| match &reason.detail {
            Value::Null => json!({ "code": reason.code, "message": reason.message }),
            detail => json!({ "code": reason.code, "message": reason.message, "detail": detail }),
        };
        let body = json!({ "errors": self.0.reasons.iter().map(entry).collect::<Vec<_>>() });
        let mut response = (self.0.status, body.to_string()).into_response();
        response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        response.headers_mut().extend(self.0.headers);
        response
    }
}
