//! Routes: from a request to the handler that answers it.

use super::errors::Refusal;
use super::names::{Name, PathError, Target, parse};
use super::server::Registry;
use super::stock::Stock;
use super::{blobs, listing, manifests, uploads};
use axum::extract::{Query, Request, State};
use axum::http::{HeaderName, HeaderValue, Method, StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use futures_util::StreamExt;
use std::io;
use std::sync::Arc;

/// Most of a request body that is read although the request is refused, so that the client reads the refusal.
const DRAINED_BYTES: u64 = 8 << 20;

/// Reads what is left of a refused request, within bounds: a client that is cut off while it sends cannot read why.
pub(crate) async fn drain(request: Request) {
    let waits = request.headers().contains_key(axum::http::header::EXPECT);
    let mut body = request.into_body().into_data_stream();
    let mut left = if waits { 0 } else { DRAINED_BYTES };
    while left > 0 {
        match body.next().await {
            Some(Ok(piece)) => left = left.saturating_sub(piece.len() as u64),
            Some(Err(_)) | None => return,
        }
    }
}

/// A request, taken apart.
pub(crate) struct Asked {
    pub(crate) registry: Arc<Registry>,
    pub(crate) query: Vec<(String, String)>,
    pub(crate) request: Request,
}

impl Asked {
    /// Returns the first value of a key of the query.
    pub(crate) fn value(&self, key: &str) -> Option<&str> {
        self.query.iter().find(|(k, _)| k == key).map(|(_, value)| value.as_str())
    }

    /// Returns what the registry has, under the names that the request means.
    pub(super) fn stock(&self) -> Stock {
        self.registry.stock.under(self.value("ns"))
    }

    /// Returns a header, where it is text.
    pub(crate) fn header(&self, name: HeaderName) -> Option<&str> {
        self.request.headers().get(name)?.to_str().ok()
    }
}

/// Returns the pairs of a query; nothing where it does not parse.
pub(crate) fn query_of(uri: &Uri) -> Vec<(String, String)> {
    Query::try_from_uri(uri).map(|Query(pairs)| pairs).unwrap_or_default()
}

/// Answers a request.
pub(super) async fn answer(State(registry): State<Arc<Registry>>, request: Request) -> Response {
    let asked = Asked { registry, query: query_of(request.uri()), request };
    let mut response = match admitted(&asked) {
        Ok(target) => route(target, asked).await.unwrap_or_else(IntoResponse::into_response),
        Err(refusal) => {
            drain(asked.request).await;
            refusal.into_response()
        }
    };
    let headers = response.headers_mut();
    headers.insert("docker-distribution-api-version", HeaderValue::from_static("registry/2.0"));
    response
}

/// Returns what the request is about, if it may be asked.
fn admitted(asked: &Asked) -> Result<Target, Refusal> {
    let method = asked.request.method();
    let target = parse(asked.request.uri().path()).map_err(|e| refuse_path(method, &e))?;
    let from = asked.value("from").filter(|_| asked.value("mount").is_some()).and_then(Name::parse);
    asked.registry.gate.admit(method, asked.request.headers(), &target, from.as_ref())?;
    if asked.registry.read_only && !matches!(*method, Method::GET | Method::HEAD) {
        return Err(Refusal::unsupported("this registry can only be read"));
    }
    Ok(target)
}

fn refuse_path(method: &Method, error: &PathError) -> Refusal {
    let reads = matches!(*method, Method::GET | Method::HEAD | Method::DELETE);
    match error {
        PathError::Route => Refusal::new(StatusCode::NOT_FOUND, "UNSUPPORTED", error.to_string()),
        PathError::Name(_) => Refusal::new(StatusCode::BAD_REQUEST, "NAME_INVALID", error.to_string()),
        PathError::Digest(why) => Refusal::digest_invalid(why),
        // A document under such a name cannot be there.
        PathError::Reference(reference) if reads => Refusal::manifest_unknown(reference),
        PathError::Reference(_) => Refusal::new(StatusCode::BAD_REQUEST, "TAG_INVALID", error.to_string()),
    }
}

async fn route(target: Target, asked: Asked) -> Result<Response, Refusal> {
    let method = asked.request.method().clone();
    match (target, method) {
        (Target::Base, Method::GET | Method::HEAD) => {
            Ok(listing::answer(&serde_json::json!({}), "application/json", None))
        }
        (Target::Token, Method::GET) => {
            let token = asked.registry.gate.token(asked.request.headers(), &asked.query)?;
            Ok(listing::answer(&token, "application/json", None))
        }
        (Target::Catalog, Method::GET | Method::HEAD) => listing::catalog(asked).await,
        (Target::Tags(name), Method::GET | Method::HEAD) => listing::tags(asked, name).await,
        (Target::Referrers(name, subject), Method::GET | Method::HEAD) => {
            listing::referrers(asked, name, subject).await
        }
        (Target::Blob(name, digest), Method::GET | Method::HEAD) => blobs::get(asked, name, digest).await,
        (Target::Blob(name, digest), Method::DELETE) => blobs::delete(asked, name, digest).await,
        (Target::Manifest(name, reference), Method::GET | Method::HEAD) => manifests::get(asked, name, reference).await,
        (Target::Manifest(name, reference), Method::PUT) => manifests::put(asked, name, reference).await,
        (Target::Manifest(name, reference), Method::DELETE) => manifests::delete(asked, name, reference).await,
        (Target::Uploads(name), Method::POST) => uploads::begin(asked, name).await,
        (Target::Upload(name, id), Method::GET | Method::HEAD) => uploads::state(&asked.registry, &name, &id).await,
        (Target::Upload(name, id), Method::PATCH) => uploads::append(asked, name, id).await,
        (Target::Upload(name, id), Method::PUT) => uploads::finish(asked, name, id).await,
        (Target::Upload(name, id), Method::DELETE) => uploads::cancel(&asked.registry, &name, &id),
        (_, method) => Err(Refusal::unsupported(format!("{method} is not supported here"))),
    }
}

/// Does work on the disk without holding up other requests.
pub(super) async fn on_disk<T: Send + 'static>(
    work: impl FnOnce() -> io::Result<T> + Send + 'static,
) -> Result<T, Refusal> {
    let done = tokio::task::spawn_blocking(work).await;
    Ok(done.map_err(io::Error::other).and_then(|result| result)?)
}
