//! Blobs in: mounts, uploads in one piece and in chunks (OCI distribution specification, "Pushing blobs").
//!
//! An upload keeps what arrived, even of a request that broke off, and says so when asked; a client goes on there.
//! Uploads live as long as the server: after a restart they are unknown, and begun anew.

use super::blobs::with_digest;
use super::errors::Refusal;
use super::folder::{Folder, Part, unguessable};
use super::names::Name;
use super::route::{Asked, drain, on_disk};
use super::server::{Registry, lock};
use crate::model::{Algorithm, Digest};
use axum::body::{Body, BodyDataStream};
use axum::extract::Request;
use axum::http::StatusCode;
use axum::http::header::{CONTENT_LENGTH, CONTENT_RANGE, HeaderName, HeaderValue, LOCATION, RANGE};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use futures_util::StreamExt;
use std::collections::HashMap;
use std::io;
use std::sync::{Arc, Mutex};
use tokio::sync::OwnedMutexGuard;
use tokio::task::spawn_blocking;

/// Bytes that are gathered from the network before they are hashed and written in one go.
const BATCH_BYTES: usize = 1 << 20;
const UPLOAD_UUID: HeaderName = HeaderName::from_static("docker-upload-uuid");

/// What has arrived of a blob; nothing once the upload has ended.
type Progress = Option<Part>;

/// An upload that was begun and has not ended.
struct Upload {
    name: Name,
    algorithm: Algorithm,
    progress: Arc<tokio::sync::Mutex<Progress>>,
}

/// An upload in the hands of one request: what has arrived, and how much that is.
struct Claim {
    guard: OwnedMutexGuard<Progress>,
    at: u64,
    algorithm: Algorithm,
}

/// All uploads of a server.
#[derive(Default)]
pub(crate) struct Uploads {
    open: Mutex<HashMap<String, Arc<Upload>>>,
}

impl Uploads {
    fn find(&self, name: &Name, id: &str) -> Result<Arc<Upload>, Refusal> {
        let found = lock(&self.open).get(id).filter(|upload| upload.name == *name).cloned();
        found.ok_or_else(|| Refusal::upload_unknown(id))
    }

    /// Takes an upload for one request. Others wait for the guard.
    async fn claim(&self, name: &Name, id: &str) -> Result<Claim, Refusal> {
        let upload = self.find(name, id)?;
        let guard = Arc::clone(&upload.progress).lock_owned().await;
        let at = guard.as_ref().map(Part::size).ok_or_else(|| Refusal::upload_unknown(id))?;
        Ok(Claim { guard, at, algorithm: upload.algorithm })
    }

    /// Begins an upload and returns its id.
    fn begin(&self, name: Name, algorithm: Algorithm, part: Part) -> String {
        let id = unguessable();
        let progress = Arc::new(tokio::sync::Mutex::new(Some(part)));
        lock(&self.open).insert(id.clone(), Arc::new(Upload { name, algorithm, progress }));
        id
    }

    /// Ends an upload, whatever came of it; `false` where there was none.
    pub(crate) fn end(&self, name: &Name, id: &str) -> bool {
        let mut open = lock(&self.open);
        let known = open.get(id).is_some_and(|upload| upload.name == *name);
        known && open.remove(id).is_some()
    }

    /// Returns how many bytes of an upload have arrived, after work under way on it has ended.
    pub(crate) async fn size(&self, name: &Name, id: &str) -> Option<u64> {
        let upload = self.find(name, id).ok()?;
        let progress = upload.progress.lock().await;
        progress.as_ref().map(Part::size)
    }
}

/// `POST`: begins an upload, takes a whole blob, or mounts one.
pub(super) async fn begin(asked: Asked, name: Name) -> Result<Response, Refusal> {
    if let Some(mount) = asked.value("mount") {
        let digest = read_digest(mount)?;
        let from = asked.value("from").map(|text| Name::parse(text).ok_or_else(|| name_invalid(text))).transpose()?;
        let (folder, to, key) = (asked.registry.stock.folder()?, name.clone(), digest.clone());
        if on_disk(move || folder.mount(from.as_ref(), &to, &key)).await? {
            drain(asked.request).await;
            return Ok(created(&name, &digest));
        }
    } else if let Some(digest) = asked.value("digest") {
        let digest = read_digest(digest)?;
        return whole(asked, name, digest).await;
    }
    let algorithm = match asked.value("digest-algorithm") {
        None | Some("sha256") => Algorithm::Sha256,
        Some("sha512") => Algorithm::Sha512,
        Some(other) => return Err(Refusal::digest_invalid(format!("unsupported digest algorithm {other:?}"))),
    };
    let folder = asked.registry.stock.folder()?;
    let part = on_disk(move || folder.begin()).await?;
    let id = asked.registry.uploads.begin(name.clone(), algorithm, part);
    Ok(progressed(StatusCode::ACCEPTED, &name, &id, 0))
}

/// Takes a blob that came with the first request.
async fn whole(asked: Asked, name: Name, digest: Digest) -> Result<Response, Refusal> {
    let folder = asked.registry.stock.folder()?;
    let part = on_disk(move || folder.begin()).await?;
    let progress = Arc::new(tokio::sync::Mutex::new(Some(part)));
    let guard = Arc::clone(&progress).lock_owned().await;
    let mut guard = receive(guard, asked.request, digest.algorithm()).await?;
    let part = guard.take().ok_or_else(|| Refusal::upload_unknown(""))?;
    keep(&asked.registry.stock.folder()?, &name, part, &digest).await
}

/// `GET`: says how far an upload has come.
pub(super) async fn state(registry: &Registry, name: &Name, id: &str) -> Result<Response, Refusal> {
    let size = registry.uploads.size(name, id).await.ok_or_else(|| Refusal::upload_unknown(id))?;
    Ok(progressed(StatusCode::NO_CONTENT, name, id, size))
}

/// `PATCH`: takes a chunk.
pub(super) async fn append(asked: Asked, name: Name, id: String) -> Result<Response, Refusal> {
    let claim = asked.registry.uploads.claim(&name, &id).await;
    match claim.and_then(|claim| check_chunk(&asked, &name, &id, claim.at).map(|()| claim)) {
        Ok(claim) => {
            let guard = receive(claim.guard, asked.request, claim.algorithm).await?;
            Ok(progressed(StatusCode::ACCEPTED, &name, &id, guard.as_ref().map_or(0, Part::size)))
        }
        Err(refusal) => refuse(asked, refusal).await,
    }
}

/// `PUT`: takes the last chunk, if any, and makes a blob of the upload.
pub(super) async fn finish(asked: Asked, name: Name, id: String) -> Result<Response, Refusal> {
    let claim = asked.registry.uploads.claim(&name, &id).await;
    let digest =
        asked.value("digest").ok_or_else(|| Refusal::digest_invalid("the digest is missing")).and_then(read_digest);
    let checked = claim.and_then(|claim| check_chunk(&asked, &name, &id, claim.at).map(|()| claim));
    let (claim, digest) = match checked.and_then(|claim| Ok((claim, digest?))) {
        Ok(checked) => checked,
        Err(refusal) => return refuse(asked, refusal).await,
    };
    let algorithm = if claim.at == 0 { digest.algorithm() } else { claim.algorithm };
    let mut guard = receive(claim.guard, asked.request, algorithm).await?;
    let part = guard.take().ok_or_else(|| Refusal::upload_unknown(&id))?;
    asked.registry.uploads.end(&name, &id);
    keep(&asked.registry.stock.folder()?, &name, part, &digest).await
}

/// Refuses a request whose body nobody wants.
async fn refuse(asked: Asked, refusal: Refusal) -> Result<Response, Refusal> {
    drain(asked.request).await;
    Err(refusal)
}

/// `DELETE`: forgets an upload.
pub(super) fn cancel(registry: &Registry, name: &Name, id: &str) -> Result<Response, Refusal> {
    match registry.uploads.end(name, id) {
        true => Ok(StatusCode::NO_CONTENT.into_response()),
        false => Err(Refusal::upload_unknown(id)),
    }
}

/// Checks that a chunk begins where the upload has come to, and is as long as it says.
fn check_chunk(asked: &Asked, name: &Name, id: &str, at: u64) -> Result<(), Refusal> {
    let Some(text) = asked.header(CONTENT_RANGE) else { return Ok(()) };
    let invalid = |why: &str| Refusal::new(StatusCode::BAD_REQUEST, "BLOB_UPLOAD_INVALID", format!("{why}: {text:?}"));
    let number = |text: &str| text.bytes().all(|b| b.is_ascii_digit()).then(|| text.parse::<u64>().ok()).flatten();
    let range = text.split_once('-').and_then(|(start, end)| Some((number(start)?, number(end)?)));
    let (start, end) = range.ok_or_else(|| invalid("Content-Range is not <start>-<end>"))?;
    if start != at {
        let why = format!("the upload goes on at {at}, the chunk begins at {start}");
        return Err(Refusal::new(StatusCode::RANGE_NOT_SATISFIABLE, "BLOB_UPLOAD_INVALID", why)
            .header(RANGE, &range_of(at))
            .header(LOCATION, &location(name, id))
            .header(UPLOAD_UUID, id));
    }
    let length = asked.header(CONTENT_LENGTH).and_then(|text| text.parse::<u64>().ok());
    if end < start || length.is_some_and(|length| length != end - start + 1) {
        return Err(invalid("Content-Range and Content-Length disagree").header(RANGE, &range_of(at)));
    }
    Ok(())
}

/// Takes a body in. Of one that breaks off, what arrived is kept.
///
/// The work goes on as a task of its own where the client has gone and nobody waits for it any more; the guard is
/// with it, so nobody sees the upload between two states.
async fn receive(
    guard: OwnedMutexGuard<Progress>,
    request: Request,
    algorithm: Algorithm,
) -> Result<OwnedMutexGuard<Progress>, Refusal> {
    tokio::spawn(write_down(guard, request, algorithm)).await.map_err(io::Error::other)?
}

/// Hashes and writes a body batch by batch while the next batch comes from the network.
async fn write_down(
    mut guard: OwnedMutexGuard<Progress>,
    request: Request,
    algorithm: Algorithm,
) -> Result<OwnedMutexGuard<Progress>, Refusal> {
    let mut body = Body::into_data_stream(request.into_body());
    let mut batch = gather(&mut body).await;
    loop {
        let (pieces, last, broken) = (batch.pieces, batch.last, batch.broken);
        let written = spawn_blocking(move || -> io::Result<OwnedMutexGuard<Progress>> {
            if let Some(part) = guard.as_mut() {
                pieces.iter().try_for_each(|piece| part.append(piece, algorithm))?;
            }
            Ok(guard)
        });
        if last {
            guard = written.await.map_err(io::Error::other).and_then(|result| result)?;
            return if broken {
                Err(Refusal::new(StatusCode::BAD_REQUEST, "BLOB_UPLOAD_INVALID", "the body broke off"))
            } else {
                Ok(guard)
            };
        }
        let (written, next) = tokio::join!(written, gather(&mut body));
        guard = written.map_err(io::Error::other).and_then(|result| result)?;
        batch = next;
    }
}

struct Batch {
    pieces: Vec<Bytes>,
    last: bool,
    broken: bool,
}

async fn gather(body: &mut BodyDataStream) -> Batch {
    let mut batch = Batch { pieces: Vec::new(), last: false, broken: false };
    let mut size = 0;
    while size < BATCH_BYTES {
        match body.next().await {
            Some(Ok(piece)) => {
                size += piece.len();
                batch.pieces.push(piece);
            }
            Some(Err(_)) => return Batch { last: true, broken: true, ..batch },
            None => return Batch { last: true, ..batch },
        }
    }
    batch
}

async fn keep(folder: &Arc<Folder>, name: &Name, part: Part, digest: &Digest) -> Result<Response, Refusal> {
    let (folder, at, want) = (Arc::clone(folder), name.clone(), digest.clone());
    match on_disk(move || folder.keep(&at, part, &want)).await? {
        Ok(_) => Ok(created(name, digest)),
        Err(content) => Err(Refusal::digest_invalid(format!("expected {digest}, received {content}"))),
    }
}

fn created(name: &Name, digest: &Digest) -> Response {
    let mut response = StatusCode::CREATED.into_response();
    set(&mut response, LOCATION, &format!("/v2/{name}/blobs/{digest}"));
    with_digest(response, digest)
}

fn progressed(status: StatusCode, name: &Name, id: &str, size: u64) -> Response {
    let mut response = status.into_response();
    set(&mut response, LOCATION, &location(name, id));
    set(&mut response, RANGE, &range_of(size));
    set(&mut response, UPLOAD_UUID, id);
    response
}

fn set(response: &mut Response, name: HeaderName, value: &str) {
    response.headers_mut().extend(HeaderValue::from_str(value).ok().map(|value| (name, value)));
}

fn location(name: &Name, id: &str) -> String {
    format!("/v2/{name}/blobs/uploads/{id}")
}

/// Returns the range of what has arrived. Nothing is `0-0` as well: the specification has no word for it.
fn range_of(size: u64) -> String {
    format!("0-{}", size.saturating_sub(1))
}

fn read_digest(text: &str) -> Result<Digest, Refusal> {
    text.parse().map_err(|e: crate::model::digest::DigestError| Refusal::digest_invalid(e.to_string()))
}

fn name_invalid(text: &str) -> Refusal {
    Refusal::new(StatusCode::BAD_REQUEST, "NAME_INVALID", format!("{text:?} is no name of a repository"))
}
