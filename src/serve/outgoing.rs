//! Bodies on their way out: content in large pieces, counted, and spoiled where a fault asks for it.

use super::faults::Act;
use super::line::Scissors;
use axum::body::{Body, BodyDataStream, HttpBody};
use axum::http::header::CONTENT_LENGTH;
use axum::http::{HeaderValue, Method};
use axum::response::Response;
use bytes::Bytes;
use futures_util::{Stream, stream};
use std::io::{self, Read};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::task::{JoinHandle, spawn_blocking};
use tokio::time::Sleep;

/// One read from the disk. Two of them are in memory for a body: one that is sent and one that is read ahead.
const READ_BYTES: u64 = 512 << 10;

type Reading = Box<dyn Read + Send>;
type Piece = io::Result<(Reading, Vec<u8>)>;

/// Returns a body of the next `len` bytes of `content`. No thread waits while a slow client reads.
///
/// Content that fails on its way ends the body short of its length, so that no client takes it for whole.
pub(super) fn body_of(content: Reading, len: u64) -> Body {
    let first = (len > 0).then(|| read_ahead(content, len));
    let pieces = stream::unfold((first, len), |(next, left)| async move {
        let (content, bytes) = match next?.await {
            Ok(Ok(piece)) => piece,
            Ok(Err(e)) => return Some((Err(e), (None, 0))),
            Err(e) => return Some((Err(io::Error::other(e)), (None, 0))),
        };
        let left = left - bytes.len() as u64;
        let next = (left > 0).then(|| read_ahead(content, left));
        Some((Ok(Bytes::from(bytes)), (next, left)))
    });
    Body::from_stream(pieces)
}

fn read_ahead(mut content: Reading, left: u64) -> JoinHandle<Piece> {
    spawn_blocking(move || {
        let want = left.min(READ_BYTES) as usize;
        let mut bytes = vec![0; want];
        content.read_exact(&mut bytes)?;
        Ok((content, bytes))
    })
}

/// Where and how a body is spoiled.
enum Spoil {
    Nothing,
    Stop(u64, Stop),
    Flip(u64),
    Lengthen(u64),
}

enum Stop {
    Stall(Pin<Box<Sleep>>),
    Close,
    Reset,
    End,
}

/// A body that is counted and, where asked, spoiled.
struct Outgoing {
    inner: BodyDataStream,
    /// What lies behind a stop and was read already.
    held: Bytes,
    at: u64,
    spoil: Spoil,
    scissors: Scissors,
    counter: Arc<AtomicU64>,
}

/// Counts the body of `response`, and spoils it as `act` says.
pub(super) fn count_and_spoil(
    response: Response,
    method: &Method,
    act: Option<Act>,
    scissors: Scissors,
    counter: Arc<AtomicU64>,
) -> Response {
    let (mut parts, body) = response.into_parts();
    let exact = body.size_hint().exact();
    let stated = parts.headers.get(CONTENT_LENGTH).and_then(|v| v.to_str().ok()).and_then(|v| v.parse().ok());
    let length = stated.or(exact);
    if method == Method::HEAD || (act.is_none() && exact == Some(0)) {
        return Response::from_parts(parts, body);
    }
    let (spoil, new_length) = spoil_of(act, length);
    if let Some(length) = new_length {
        parts.headers.insert(CONTENT_LENGTH, HeaderValue::from(length));
    }
    let stream = Outgoing { inner: body.into_data_stream(), held: Bytes::new(), at: 0, spoil, scissors, counter };
    Response::from_parts(parts, Body::from_stream(stream))
}

fn spoil_of(act: Option<Act>, length: Option<u64>) -> (Spoil, Option<u64>) {
    let sleep = |time: Duration| Stop::Stall(Box::pin(tokio::time::sleep(time)));
    match act {
        Some(Act::StallBody(at, time)) => (Spoil::Stop(at, sleep(time)), length),
        Some(Act::Cut(at)) => (Spoil::Stop(at, Stop::Close), length),
        Some(Act::Reset(at)) => (Spoil::Stop(at, Stop::Reset), length),
        Some(Act::Flip(at)) => (Spoil::Flip(at), length),
        Some(Act::Shorten(by)) => {
            let end = length.unwrap_or_default().saturating_sub(by);
            (Spoil::Stop(end, Stop::End), Some(end))
        }
        Some(Act::Lengthen(by)) => (Spoil::Lengthen(by), length.map(|l| l + by)),
        _ => (Spoil::Nothing, length),
    }
}

impl Outgoing {
    /// Acts where the body has come to its stop. `None` where it goes on.
    fn poll_stop(&mut self, cx: &mut Context<'_>) -> Option<Poll<Option<io::Result<Bytes>>>> {
        let Spoil::Stop(at, stop) = &mut self.spoil else { return None };
        if self.at < *at {
            return None;
        }
        match stop {
            Stop::End => Some(Poll::Ready(None)),
            Stop::Close => {
                self.scissors.close();
                Some(Poll::Pending)
            }
            Stop::Reset => {
                self.scissors.reset();
                Some(Poll::Pending)
            }
            Stop::Stall(sleep) => match sleep.as_mut().poll(cx) {
                Poll::Pending => Some(Poll::Pending),
                Poll::Ready(()) => {
                    self.spoil = Spoil::Nothing;
                    None
                }
            },
        }
    }

    /// Returns how many bytes may go before the stop.
    const fn room(&self) -> Option<u64> {
        match &self.spoil {
            Spoil::Stop(at, _) => Some(*at - self.at),
            _ => None,
        }
    }

    fn pass(&mut self, piece: Bytes) -> Bytes {
        let start = self.at;
        self.at += piece.len() as u64;
        self.counter.fetch_add(piece.len() as u64, Ordering::Relaxed);
        match self.spoil {
            Spoil::Flip(at) if (start..self.at).contains(&at) => {
                let mut spoiled = piece.to_vec();
                spoiled[(at - start) as usize] ^= 0x5a;
                Bytes::from(spoiled)
            }
            _ => piece,
        }
    }
}

impl Stream for Outgoing {
    type Item = io::Result<Bytes>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        if let Some(stopped) = self.poll_stop(cx) {
            return stopped;
        }
        let next = match std::mem::take(&mut self.held) {
            held if held.is_empty() => Pin::new(&mut self.inner).poll_next(cx),
            held => Poll::Ready(Some(Ok(held))),
        };
        match next {
            Poll::Pending => Poll::Pending,
            Poll::Ready(Some(Err(e))) => Poll::Ready(Some(Err(io::Error::other(e)))),
            Poll::Ready(Some(Ok(mut piece))) => {
                if let Some(room) = self.room().filter(|room| *room < piece.len() as u64) {
                    self.held = piece.split_off(room as usize);
                }
                Poll::Ready(Some(Ok(self.pass(piece))))
            }
            Poll::Ready(None) => match std::mem::replace(&mut self.spoil, Spoil::Nothing) {
                Spoil::Lengthen(by) => Poll::Ready(Some(Ok(self.pass(Bytes::from(vec![0; by as usize]))))),
                _ => Poll::Ready(None),
            },
        }
    }
}
