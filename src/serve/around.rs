//! Around the handlers: what was asked is counted, and what is due to go wrong goes wrong.

use super::counters::{Counters, Exchange};
use super::faults::{Act, Faults, Script, set_header};
use super::line::Scissors;
use super::names::{Target, parse};
use super::outgoing::count_and_spoil;
use super::route::{drain, query_of};
use super::server::lock;
use axum::body::Body;
use axum::extract::{ConnectInfo, Request, State};
use axum::http::Method;
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use futures_util::StreamExt;
use std::io;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

/// What is around the handlers: counters and faults.
pub(super) struct Around {
    pub(super) script: Mutex<Arc<Script>>,
    pub(super) counters: Mutex<Counters>,
    pub(super) bytes_in: Arc<AtomicU64>,
    pub(super) bytes_out: Arc<AtomicU64>,
    pub(super) recording: AtomicBool,
    pub(super) exchanges: Mutex<Vec<Exchange>>,
}

impl Around {
    pub(super) fn new(faults: &Faults) -> Self {
        Self {
            script: Mutex::new(Arc::new(Script::new(faults))),
            counters: Mutex::default(),
            bytes_in: Arc::default(),
            bytes_out: Arc::default(),
            recording: AtomicBool::new(false),
            exchanges: Mutex::default(),
        }
    }
}

/// Counts a request even where its connection is cut and its future dropped before an answer.
struct Visit<'a> {
    around: &'a Around,
    method: Method,
    path: String,
    target: Option<Target>,
    mount: bool,
    status: u16,
}

impl Drop for Visit<'_> {
    fn drop(&mut self) {
        lock(&self.around.counters).answered(self.status, &self.method, self.target.as_ref(), self.mount);
        if self.around.recording.load(Ordering::Relaxed) {
            let (method, path) = (self.method.to_string(), std::mem::take(&mut self.path));
            lock(&self.around.exchanges).push(Exchange { method, path, status: self.status });
        }
    }
}

/// Counts requests and answers, and lets go wrong what is due.
pub(super) async fn observe(
    State(around): State<Arc<Around>>,
    ConnectInfo(scissors): ConnectInfo<Scissors>,
    request: Request,
    next: Next,
) -> Response {
    let path = request.uri().path_and_query().map_or("", |p| p.as_str()).to_owned();
    let method = request.method().clone();
    let target = parse(request.uri().path()).ok();
    let mount = query_of(request.uri()).iter().any(|(key, _)| key == "mount");
    lock(&around.counters).arrived(&method, target.as_ref(), mount);
    let script = Arc::clone(&lock(&around.script));
    let act = script.due(method.as_str(), &path);
    let mut visit = Visit { around: &around, method: method.clone(), path, target, mount, status: 0 };
    let request = count_body(request, &around, act.as_ref(), &scissors);
    let (response, act) = respond(request, next, act, &scissors).await;
    visit.status = response.status().as_u16();
    drop(visit);
    count_and_spoil(response, &method, act, scissors, Arc::clone(&around.bytes_out))
}

/// Gets an answer, from the handlers or from the fault. Returns the fault where it is about the answer's body.
async fn respond(request: Request, next: Next, act: Option<Act>, scissors: &Scissors) -> (Response, Option<Act>) {
    match act {
        Some(Act::Answer(answer)) => {
            drain(request).await;
            (answer.into_response(), None)
        }
        Some(Act::AnswerAfterwards(answer)) => {
            next.run(request).await;
            (answer.into_response(), None)
        }
        Some(Act::Stall(time)) => {
            tokio::time::sleep(time).await;
            (next.run(request).await, None)
        }
        Some(Act::Hang) => std::future::pending().await,
        Some(Act::DropConnection) => {
            scissors.close();
            std::future::pending().await
        }
        Some(Act::Header(name, value)) => {
            let mut response = next.run(request).await;
            set_header(&mut response, &name, value.as_deref());
            (response, None)
        }
        act => (next.run(request).await, act),
    }
}

/// Counts the request's body, and resets the connection in its middle where that is due.
fn count_body(request: Request, around: &Around, act: Option<&Act>, scissors: &Scissors) -> Request {
    let (parts, body) = request.into_parts();
    let counter = Arc::clone(&around.bytes_in);
    let scissors = scissors.clone();
    let mut left = match act {
        Some(Act::ResetUpload(after)) => Some(*after),
        _ => None,
    };
    let pieces = body.into_data_stream().map(move |piece| {
        let mut piece: Bytes = piece.map_err(io::Error::other)?;
        if let Some(room) = &mut left {
            if *room == 0 {
                scissors.reset();
                return Err(io::ErrorKind::ConnectionReset.into());
            }
            piece.truncate(usize::try_from(*room).unwrap_or(usize::MAX));
            *room -= piece.len() as u64;
        }
        counter.fetch_add(piece.len() as u64, Ordering::Relaxed);
        Ok::<_, io::Error>(piece)
    });
    Request::from_parts(parts, Body::from_stream(pieces))
}
