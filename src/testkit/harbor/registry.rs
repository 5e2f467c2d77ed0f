//! Harbor before its blob engine: who may, what fits, which upload location still counts.

use super::accounts::{Who, host};
use super::{Harbor, Locations, answers, rest};
use crate::model::Digest;
use crate::serve::{Name, PathError, Target, drain, lock, parse, query_of};
use axum::body::Body;
use axum::extract::Request;
use axum::http::header::{AUTHORIZATION, CONTENT_LENGTH, CONTENT_RANGE, CONTENT_TYPE, LOCATION};
use axum::http::request::Parts;
use axum::http::{HeaderName, HeaderValue, Method, Uri};
use axum::middleware::Next;
use axum::response::Response;
use serde_json::json;
use std::hash::BuildHasher;
use std::sync::Arc;

/// A request in a repository, let in.
pub(super) struct Visit {
    pub(super) harbor: Arc<Harbor>,
    pub(super) parts: Parts,
    pub(super) body: Body,
    pub(super) next: Next,
    pub(super) name: Name,
}

impl Visit {
    pub(super) fn project(&self) -> &str {
        self.name.as_str().split_once('/').map_or("", |(project, _)| project)
    }

    pub(super) fn repository(&self) -> &str {
        self.name.as_str().split_once('/').map_or("", |(_, repository)| repository)
    }

    pub(super) fn value(&self, key: &str) -> Option<String> {
        query_of(&self.parts.uri).into_iter().find(|(k, _)| k == key).map(|(_, value)| value)
    }

    pub(super) fn header(&self, name: HeaderName) -> Option<&str> {
        self.parts.headers.get(name)?.to_str().ok()
    }

    /// Returns what stands before `/v2` in a location.
    pub(super) fn base(&self) -> String {
        match &self.harbor.options.locations {
            Locations::Host => format!("http://{}", host(&self.parts.headers)),
            Locations::External(url) => url.clone(),
            Locations::Relative => String::new(),
        }
    }

    /// Lets the engine answer, under another path.
    pub(super) async fn engine(mut self, path: &str) -> Response {
        self.parts.uri = path.parse().unwrap();
        self.next.run(Request::from_parts(self.parts, self.body)).await
    }

    /// Refuses; reads what the client still sends, so that it can read why.
    pub(super) async fn refuse(self, response: Response) -> Response {
        drain(Request::from_parts(self.parts, self.body)).await;
        response
    }
}

/// Sends a request to the part that it is for.
pub(super) async fn dispatch(harbor: Arc<Harbor>, request: Request, next: Next) -> Response {
    let (mut parts, body) = request.into_parts();
    parts.uri = without_double_slashes(&parts.uri);
    let path = parts.uri.path().to_owned();
    if let Some(object) = path.strip_prefix("/storage/") {
        return storage(object, parts, body, next).await;
    }
    let writes = !matches!(parts.method, Method::GET | Method::HEAD | Method::OPTIONS);
    if writes && lock(&harbor.state).read_only && path != "/api/v2.0/configurations" {
        drain(Request::from_parts(parts, body)).await;
        let why = "The system is in read only mode. Any modification is prohibited.";
        return answers::core(403, "DENIED", why);
    }
    if path.starts_with("/api/v2.0/") {
        return rest::answer(&harbor, parts, body).await;
    }
    if path == "/service/token" {
        return harbor.token(&parts.headers, &parts.uri);
    }
    match admitted(&harbor, &parts) {
        Ok(target) => in_registry(harbor, target, parts, body, next).await,
        Err(response) => {
            drain(Request::from_parts(parts, body)).await;
            *response
        }
    }
}

fn without_double_slashes(uri: &Uri) -> Uri {
    let mut path = uri.path().to_owned();
    while path.contains("//") {
        path = path.replace("//", "/");
    }
    let query = uri.query().map(|query| format!("?{query}")).unwrap_or_default();
    format!("{path}{query}").parse().unwrap_or_else(|_| uri.clone())
}

/// Gives a blob as an object storage does behind a redirect: whoever sends credentials here is sent away.
async fn storage(object: &str, mut parts: Parts, body: Body, next: Next) -> Response {
    if parts.headers.contains_key(AUTHORIZATION) {
        let mut response = answers::empty(400);
        *response.body_mut() = Body::from("<Error><Code>InvalidArgument</Code></Error>");
        return response;
    }
    parts.uri = format!("/v2/{object}").parse().unwrap();
    next.run(Request::from_parts(parts, body)).await
}

/// Returns what a `/v2` request is about, if the one who asks may ask it.
fn admitted(harbor: &Harbor, parts: &Parts) -> Result<Target, Box<Response>> {
    let who = harbor.who(&parts.headers);
    let target = parse(parts.uri.path()).map_err(|e| Box::new(refuse_path(parts, &e)))?;
    let Some(name) = target.name() else {
        let known = !matches!(who, Who::Nobody);
        let may_list = who.account().is_some_and(|a| a.may_system("catalog", "read"));
        return match target {
            Target::Base if known => Ok(target),
            Target::Catalog if may_list => Ok(target),
            Target::Base | Target::Catalog => Err(Box::new(answers::unauthorized(
                "unauthorized: unauthorized",
                &harbor.challenge(&parts.headers, None),
            ))),
            _ => Err(Box::new(unrecognized(parts))),
        };
    };
    let (project, repository) = split(name.as_str()).ok_or_else(|| Box::new(one_component(name.as_str())))?;
    let action = match parts.method {
        Method::GET | Method::HEAD => "pull",
        Method::DELETE => "delete",
        _ => "push",
    };
    let scope = format!("repository:{name}:{}", if action == "push" { "pull,push" } else { action });
    if action == "pull" && !parts.headers.contains_key(AUTHORIZATION) {
        return Err(Box::new(answers::unauthorized("unauthorized", &harbor.challenge(&parts.headers, Some(&scope)))));
    }
    allowed(harbor, parts, &who, (project, repository, action))?;
    let query = query_of(&parts.uri);
    let value = |key: &str| query.iter().find(|(k, _)| k == key).map(|(_, value)| value.as_str());
    if let (Target::Uploads(_), Some(_), Some(from)) = (&target, value("mount"), value("from")) {
        let (project, repository) = split(from).ok_or_else(|| Box::new(one_component(from)))?;
        allowed(harbor, parts, &who, (project, repository, "pull"))?;
    }
    Ok(target)
}

fn allowed(
    harbor: &Harbor,
    parts: &Parts,
    who: &Who,
    (project, repository, action): (&str, &str, &str),
) -> Result<(), Box<Response>> {
    let state = lock(&harbor.state);
    if !state.projects.contains_key(project) {
        let why = format!("project {project} not found");
        return Err(Box::new(answers::unauthorized(&why, "")));
    }
    if who.may(&state, project, repository, action) {
        return Ok(());
    }
    let why = format!("unauthorized to access repository: {project}/{repository}, action: {action}");
    let scope = format!("repository:{project}/{repository}:{action}");
    Err(Box::new(answers::unauthorized(&why, &harbor.challenge(&parts.headers, Some(&scope)))))
}

fn split(name: &str) -> Option<(&str, &str)> {
    name.split_once('/')
}

fn one_component(name: &str) -> Response {
    answers::core(400, "BAD_REQUEST", format!("invalid repository name: {name}"))
}

fn unrecognized(parts: &Parts) -> Response {
    answers::unauthorized(&format!("un-recognized request: {} {}", parts.method, parts.uri.path()), "")
}

fn refuse_path(parts: &Parts, error: &PathError) -> Response {
    match error {
        PathError::Digest(_) if parts.uri.path().contains("/referrers/") => {
            answers::core(400, "BAD_REQUEST", "the reference of a referrers call must be a digest")
        }
        PathError::Reference(_) => answers::core(404, "NOT_FOUND", "invalid reference format"),
        PathError::Digest(_) if parts.uri.path().contains("/manifests/") => {
            answers::core(404, "NOT_FOUND", "invalid reference format")
        }
        _ => unrecognized(parts),
    }
}

async fn in_registry(harbor: Arc<Harbor>, target: Target, parts: Parts, body: Body, next: Next) -> Response {
    let method = parts.method.clone();
    let Some(name) = target.name().cloned() else {
        let catalog: Vec<String> = harbor.repositories();
        return match target {
            Target::Catalog => answers::json_of(200, &json!({ "repositories": catalog })),
            _ => next.run(Request::from_parts(parts, body)).await,
        };
    };
    let visit = Visit { harbor, parts, body, next, name };
    match (target, method) {
        (Target::Blob(_, digest), Method::HEAD | Method::GET) => blob(visit, digest).await,
        (Target::Blob(_, digest), Method::DELETE) => {
            let path = format!("/v2/{}/blobs/{digest}", visit.name);
            visit.engine(&path).await
        }
        (Target::Uploads(_), Method::POST) => begin(visit).await,
        (Target::Upload(_, id), Method::GET | Method::PATCH | Method::PUT | Method::DELETE) => upload(visit, id).await,
        (Target::Manifest(_, reference), Method::PUT) => visit.put_document(reference).await,
        (Target::Manifest(_, reference), Method::GET | Method::HEAD) => visit.get_document(reference).await,
        (Target::Manifest(_, reference), Method::DELETE) => visit.delete_document(reference).await,
        (Target::Tags(_), Method::GET) => visit.list_tags(),
        (Target::Referrers(_, subject), Method::GET) => visit.list_referrers(&subject),
        _ => answers::core(405, "METHOD_NOT_ALLOWED", "method not allowed"),
    }
}

async fn blob(visit: Visit, digest: Digest) -> Response {
    let head = visit.parts.method == Method::HEAD;
    if head {
        let mut state = lock(&visit.harbor.state);
        let (now, deleting) = (state.now, state.is_deleting(&digest));
        match state.blobs.get_mut(&digest) {
            Some(row) if !deleting => row.touched = now,
            _ => return answers::core(404, "NOT_FOUND", format!("blob {digest} not found")),
        }
    }
    let path = format!("/v2/{}/blobs/{digest}", visit.name);
    if visit.harbor.options.redirect {
        let target = format!("http://{}/storage/{}/blobs/{digest}?signature=0", host(&visit.parts.headers), visit.name);
        let there = visit.harbor.engine.stock.folder().unwrap().blob(&visit.name, &digest).unwrap().is_some();
        if there {
            let mut response = answers::empty(307);
            answers::set(&mut response, LOCATION, &target);
            return response;
        }
    }
    visit.engine(&path).await
}

/// Quota that was taken for something under way; given back unless it is kept.
struct Reservation {
    harbor: Arc<Harbor>,
    project: String,
    bytes: u64,
}

impl Reservation {
    fn keep(mut self) {
        self.bytes = 0;
    }
}

impl Drop for Reservation {
    fn drop(&mut self) {
        if let Some(project) = lock(&self.harbor.state).projects.get_mut(&self.project) {
            project.used = project.used.saturating_sub(self.bytes);
        }
    }
}

impl Visit {
    /// Takes quota for a blob, or gives the refusal.
    fn reserve(&self, digest: &Digest, size: u64) -> Result<Reservation, Box<Response>> {
        let taken = lock(&self.harbor.state).reserve(self.project(), digest, size);
        let bytes = taken.map_err(|sentence| Box::new(answers::core(403, "DENIED", sentence)))?;
        Ok(Reservation { harbor: Arc::clone(&self.harbor), project: self.project().to_owned(), bytes })
    }

    pub(super) fn is_proxy(&self) -> Option<Response> {
        let proxy = lock(&self.harbor.state).projects[self.project()].proxy;
        let why = || format!("can not push artifact to a proxy project: {}", self.project());
        proxy.then(|| answers::core(403, "DENIED", why()))
    }
}

/// `POST`: begins an upload or mounts. A digest in the query does not make it a whole upload here.
async fn begin(visit: Visit) -> Response {
    if let Some(refusal) = visit.is_proxy() {
        return visit.refuse(refusal).await;
    }
    let full = lock(&visit.harbor.state).projects[visit.project()].refuses(0);
    if let Some(sentence) = full {
        return visit.refuse(answers::core(403, "DENIED", sentence)).await;
    }
    let digest = visit.value("mount").and_then(|text| text.parse::<Digest>().ok());
    let Some(digest) = digest else { return begin_upload(visit).await };
    let known = lock(&visit.harbor.state).blobs.get(&digest).map(|row| row.size);
    let reservation = match visit.reserve(&digest, known.unwrap_or(0)) {
        Ok(reservation) => reservation,
        Err(refusal) => return visit.refuse(*refusal).await,
    };
    let source = visit.value("from").and_then(|from| Name::parse(&from));
    let linked = source.and_then(|from| {
        visit.harbor.engine.stock.folder().unwrap().blob(&from, &digest).unwrap().map(|size| (from, size))
    });
    // What was taken is not given back, mounted or not: Harbor forgets it, too.
    reservation.keep();
    let Some((from, size)) = linked else { return begin_upload(visit).await };
    let (harbor, project, base) = (Arc::clone(&visit.harbor), visit.project().to_owned(), visit.base());
    let path = format!("/v2/{}/blobs/uploads/?mount={digest}&from={from}", visit.name);
    let response = visit.engine(&path).await;
    lock(&harbor.state).note_blob(&project, &digest, size);
    with_base(response, &base)
}

async fn begin_upload(visit: Visit) -> Response {
    let (harbor, name, base) = (Arc::clone(&visit.harbor), visit.name.clone(), visit.base());
    let path = format!("/v2/{name}/blobs/uploads/");
    let mut response = visit.engine(&path).await;
    let id = response.headers().get("docker-upload-uuid").and_then(|id| id.to_str().ok()).map(str::to_owned);
    if let Some(id) = id {
        answers::set(&mut response, LOCATION, &harbor.location(&base, &name, &id, 0));
    }
    response
}

/// Puts scheme and host before a location of the engine.
fn with_base(mut response: Response, base: &str) -> Response {
    if let Some(path) = response.headers().get(LOCATION).and_then(|l| l.to_str().ok()).map(str::to_owned) {
        answers::set(&mut response, LOCATION, &format!("{base}{path}"));
    }
    response
}

impl Harbor {
    /// Returns the location of an upload that has come to `offset`, with that offset sealed in it.
    fn location(&self, base: &str, name: &Name, id: &str, offset: u64) -> String {
        let seal = self.key.hash_one((name.as_str(), id, offset));
        format!("{base}/v2/{name}/blobs/uploads/{id}?_state={offset:x}-{seal:016x}")
    }

    /// Returns the offset that is sealed in a location.
    fn sealed_offset(&self, state: &str, name: &Name, id: &str) -> Option<u64> {
        let (offset, seal) = state.split_once('-')?;
        let offset = u64::from_str_radix(offset, 16).ok()?;
        (u64::from_str_radix(seal, 16).ok()? == self.key.hash_one((name.as_str(), id, offset))).then_some(offset)
    }
}

/// `GET`, `PATCH`, `PUT`, `DELETE` of an upload: the location must be the last one given.
async fn upload(mut visit: Visit, id: String) -> Response {
    let state = visit.value("_state").unwrap_or_default();
    let Some(offset) = visit.harbor.sealed_offset(&state, &visit.name, &id) else {
        return visit.refuse(answers::engine(404, "BLOB_UPLOAD_INVALID", "blob upload invalid")).await;
    };
    let Some(stored) = visit.harbor.engine.uploads.size(&visit.name, &id).await else {
        return visit.refuse(answers::engine(404, "BLOB_UPLOAD_UNKNOWN", "blob upload unknown to registry")).await;
    };
    if stored != offset {
        visit.harbor.engine.uploads.end(&visit.name, &id);
        return visit.refuse(answers::engine(404, "BLOB_UPLOAD_INVALID", "blob upload invalid")).await;
    }
    // The engine does not look at it.
    visit.parts.headers.remove(CONTENT_RANGE);
    match visit.parts.method {
        Method::PUT => finish(visit, id, offset).await,
        Method::PATCH => append(visit, id).await,
        _ => {
            let (harbor, name, base) = (Arc::clone(&visit.harbor), visit.name.clone(), visit.base());
            let path = format!("/v2/{name}/blobs/uploads/{id}");
            let mut response = visit.engine(&path).await;
            if response.headers().contains_key(LOCATION) {
                answers::set(&mut response, LOCATION, &harbor.location(&base, &name, &id, offset));
            }
            response
        }
    }
}

async fn append(visit: Visit, id: String) -> Response {
    let typed = visit.header(CONTENT_TYPE).unwrap_or_default();
    if !matches!(typed, "" | "application/octet-stream") {
        return visit.refuse(answers::core(500, "UNKNOWN", "internal server error")).await;
    }
    let (harbor, name, base) = (Arc::clone(&visit.harbor), visit.name.clone(), visit.base());
    let mut response = visit.engine(&format!("/v2/{name}/blobs/uploads/{id}")).await;
    if response.status() == 202 {
        let offset = harbor.engine.uploads.size(&name, &id).await.unwrap_or_default();
        answers::set(&mut response, LOCATION, &harbor.location(&base, &name, &id, offset));
    }
    response
}

async fn finish(mut visit: Visit, id: String, offset: u64) -> Response {
    let Some(digest) = visit.value("digest").and_then(|text| text.parse::<Digest>().ok()) else {
        let why = "provided digest did not match uploaded content";
        return visit.refuse(answers::engine(400, "DIGEST_INVALID", why)).await;
    };
    if lock(&visit.harbor.state).is_deleting(&digest) {
        let why = format!("the asking blob is in GC, digest: {digest}");
        return visit.refuse(answers::core(404, "NOT_FOUND", why)).await;
    }
    let announced = visit.header(CONTENT_LENGTH).and_then(|text| text.parse::<u64>().ok()).unwrap_or(0);
    // A last chunk in the PUT makes Harbor believe that the blob has the size of that chunk.
    let size = if announced > 0 { announced } else { offset };
    let reservation = match visit.reserve(&digest, size) {
        Ok(reservation) => reservation,
        Err(refusal) => return visit.refuse(*refusal).await,
    };
    visit.parts.headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/octet-stream"));
    let (harbor, project, base) = (Arc::clone(&visit.harbor), visit.project().to_owned(), visit.base());
    let path = format!("/v2/{}/blobs/uploads/{id}?digest={digest}", visit.name);
    let response = visit.engine(&path).await;
    if response.status() == 201 {
        reservation.keep();
        lock(&harbor.state).note_blob(&project, &digest, size);
    }
    with_base(response, &base)
}
