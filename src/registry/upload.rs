//! Uploads: one request with the whole blob, or pieces where told. Nothing is committed before our own digest matched.
//!
//! The content is read on the calling thread and hashed while it is sent. In one request its last piece is held back
//! until the digest is known, so a wrong source leaves the request short of its announced length and the registry
//! keeps nothing. In pieces it is the closing request that is not sent. A source cannot be read twice: where a
//! request broke, the blob may still have arrived, which is looked up; else the fault is
//! [`FaultKind::Unavailable`] and the caller sends the blob again.

use super::Shared;
use super::counters::Kind;
use super::exchange::{Call, Failure, Host, Reply, Scope};
use super::guard;
use super::http::{Payload, Verb};
use super::retry::Trouble;
use super::wire::{self, Paths};
use crate::model::descriptor::Descriptor;
use crate::model::digest::Digester;
use crate::model::fault::{Fault, FaultKind};
use crate::model::reference::Repository;
use bytes::Bytes;
use std::io::{self, Read};
use std::sync::atomic::Ordering;
use std::sync::{Arc, PoisonError};
use tokio::sync::mpsc;
use url::Url;

/// Bytes handed to the network at once; also the largest blob that is sent as one piece that can be repeated.
const PIECE: usize = 256 << 10;
/// Pieces between the source and the network: with the one held back and the one in hand, at most 1 MiB.
const PIECES_IN_FLIGHT: usize = 2;
/// Pieces after a proxy refused a body as too large: below the limit that is common there.
const SMALL_PIECE: u64 = 1 << 20;
/// Largest piece of a chunked upload; one is kept in memory so that it can be sent again.
const LARGEST_PIECE: u64 = 64 << 20;
/// How often a blob is looked for whose upload may still be settling behind a proxy that gave up: for about a minute.
const MANY_LOOKS: u32 = 7;
/// How often one is looked for whose upload ended in an error of the server.
const FEW_LOOKS: u32 = 2;

const WHAT: &str = "the blob was not taken";

/// Where one blob goes.
struct Target<'a> {
    host: Arc<Host>,
    at: &'a Repository,
    want: &'a Descriptor,
}

impl Shared {
    /// Takes the bytes of `want`.
    pub(super) fn put(
        &self,
        at: &Repository,
        want: &Descriptor,
        content: &mut (dyn Read + Send),
        checks: Checks,
    ) -> Result<(), Fault> {
        let target = Target { host: self.core.host(at.host())?, at, want };
        let mut source = Source::new(want, content, checks);
        if want.size <= PIECE as u64 {
            let bytes = source.piece(PIECE)?.unwrap_or_default();
            source.finish()?;
            return self.put_small(&target, bytes);
        }
        match self.piece_size(&target.host) {
            None => self.put_whole(&target, source),
            Some(size) => self.put_pieces(&target, source, size),
        }
    }

    /// Begins an upload and gives it up: shows whether the credentials may push.
    pub(super) fn try_upload(&self, at: &Repository) -> Result<(), Fault> {
        let host = self.core.host(at.host())?;
        let (location, _) = self.begin_new(&host, at, "a push is not allowed")?;
        self.cancel(&host, at, &location);
        Ok(())
    }

    /// Returns the size of pieces for this host, `None` for one request.
    fn piece_size(&self, host: &Host) -> Option<u64> {
        match host.piece.load(Ordering::Relaxed) {
            0 => self.core.settings.chunk.map(|size| size.clamp(1, LARGEST_PIECE)),
            learnt => Some(self.core.settings.chunk.map_or(learnt, |size| size.clamp(1, learnt))),
        }
    }

    /// Sends verified bytes that are at hand, as often as it takes.
    fn put_small(&self, target: &Target<'_>, bytes: Bytes) -> Result<(), Fault> {
        let mut tries = 0;
        loop {
            tries += 1;
            let location = self.begin(target)?;
            let mut call = closing(target, &location);
            call.body = Some(bytes.clone());
            let outcome = self.block_on(self.core.attempt(&target.host, &call));
            let Err(fault) = self.conclude(target, &location, outcome, true) else { return Ok(()) };
            if fault.kind != FaultKind::Unavailable || tries > self.core.settings.retries {
                return Err(fault);
            }
            self.wait(tries - 1);
        }
    }

    /// Sends a blob in one request.
    fn put_whole(&self, target: &Target<'_>, mut source: Source<'_>) -> Result<(), Fault> {
        let location = self.begin(target)?;
        let (sender, pieces) = mpsc::channel(PIECES_IN_FLIGHT);
        let payload = Payload::Stream { length: target.want.size, pieces };
        let call = closing(target, &location);
        let task = self.spawn(self.core.clone().attempt_once(target.host.clone(), call, payload));
        let fed = feed(&mut source, &sender);
        if fed.is_err() {
            // The request must end short of its length, not as if this were all.
            task.abort();
        }
        drop(sender);
        let outcome = self.block_on(task);
        let complete = match fed {
            Ok(complete) => complete,
            Err(fault) => {
                self.cancel(&target.host, target.at, &location);
                return Err(fault);
            }
        };
        let outcome = outcome
            .map_err(|e| Failure::last(Fault::new(FaultKind::Unavailable, guard::place(&location), WHAT).because(e)));
        self.conclude(target, &location, outcome.and_then(|inner| inner), complete)
    }

    /// Sends a blob in pieces of `size`, then closes the upload with an empty request.
    fn put_pieces(&self, target: &Target<'_>, mut source: Source<'_>, size: u64) -> Result<(), Fault> {
        let (mut location, least) = self.begin_new(&target.host, target.at, WHAT)?;
        let size = usize::try_from(size.max(least).min(LARGEST_PIECE)).unwrap_or(PIECE);
        let mut sent = 0;
        let result = loop {
            match source.piece(size) {
                Ok(Some(piece)) => match self.send_piece(target, &location, sent, &piece) {
                    Ok(next) => {
                        sent += piece.len() as u64;
                        location = next;
                    }
                    Err(fault) => break Err(fault),
                },
                Ok(None) => break source.finish(),
                Err(fault) => break Err(fault),
            }
        };
        if let Err(fault) = result {
            self.cancel(&target.host, target.at, &location);
            return Err(fault);
        }
        let outcome = self.block_on(self.core.attempt(&target.host, &closing(target, &location)));
        self.conclude(target, &location, outcome, true)
    }

    /// Sends one piece and returns where the next one goes; after a break, asks what arrived and goes on from there.
    fn send_piece(&self, target: &Target<'_>, location: &Url, sent: u64, piece: &Bytes) -> Result<Url, Fault> {
        let mut location = location.clone();
        let mut tries = 0;
        let end = sent + piece.len() as u64;
        loop {
            let scope = Scope::push(target.at.path());
            let mut call = Call::new(Kind::UploadPatch, Verb::Patch, location.clone(), scope, WHAT)
                .with("content-type", "application/octet-stream")
                .with("content-range", format!("{sent}-{}", end - 1));
            call.body = Some(piece.clone());
            let fault = match self.block_on(self.core.attempt(&target.host, &call)) {
                Ok(reply) if reply.good() => return after_piece(target, &reply, end),
                Ok(reply) if reply.status() == 416 => self.block_on(reply.refusal()).fault(WHAT),
                Ok(reply) => return Err(self.refused(target, reply)),
                Err(Failure { fault, trouble: None }) => return Err(*fault),
                Err(Failure { fault, .. }) => *fault,
            };
            tries += 1;
            if tries > self.core.settings.retries {
                return Err(fault);
            }
            match self.stands_at(target, &location)? {
                (stands, next) if stands == end => return Ok(next),
                (stands, next) if stands == sent => location = next,
                _ => return Err(Fault { kind: FaultKind::Unavailable, ..fault }.with_hint(AGAIN)),
            }
        }
    }

    /// Asks how many bytes of an upload arrived, and where it goes on.
    fn stands_at(&self, target: &Target<'_>, location: &Url) -> Result<(u64, Url), Fault> {
        let scope = Scope::push(target.at.path());
        let call = Call::new(Kind::UploadPatch, Verb::Get, location.clone(), scope, WHAT);
        let reply = self.block_on(self.core.call(&target.host, &call))?;
        if !reply.good() {
            return Err(self.refused(target, reply));
        }
        let last = reply.header("range").and_then(wire::upload_end);
        let next = match reply.header("location") {
            Some(next) => self::location(&target.host, reply.answer.url(), next)?,
            None => location.clone(),
        };
        // `0-0` stands for nothing or for one byte; no piece of ours ends at one unless the blob is that small.
        Ok((last.map_or(0, |last| if last == 0 { 0 } else { last + 1 }), next))
    }

    /// Returns an upload to fill: one that a refused mount left open, or a new one.
    fn begin(&self, target: &Target<'_>) -> Result<Url, Fault> {
        let open = &target.host.left_open;
        if let Some(url) = open.lock().unwrap_or_else(PoisonError::into_inner).remove(target.at.path()) {
            return Ok(url);
        }
        self.begin_new(&target.host, target.at, WHAT).map(|(url, _)| url)
    }

    /// Begins an upload; returns where it goes on and the least size of a piece.
    fn begin_new(&self, host: &Host, at: &Repository, what: &'static str) -> Result<(Url, u64), Fault> {
        let url = Paths::new(&host.base, at).uploads();
        let call = Call::new(Kind::UploadStart, Verb::Post, url, Scope::push(at.path()), what);
        let reply = self.block_on(self.core.call(host, &call))?;
        if reply.status() != 202 {
            return Err(self.block_on(reply.refusal()).fault(what));
        }
        let least = reply.header("oci-chunk-min-length").and_then(wire::digits).unwrap_or(0);
        let next = reply.header("location").ok_or_else(|| {
            let what = format!("{what}: the answer does not say where the upload goes on");
            Fault::new(FaultKind::Malformed, guard::place(reply.answer.url()), what)
        })?;
        Ok((location(host, reply.answer.url(), next)?, least))
    }

    /// Gives an upload up. Registries sweep abandoned ones, so a refusal does no harm.
    fn cancel(&self, host: &Host, at: &Repository, location: &Url) {
        let scope = Scope::push(at.path());
        let mut call =
            Call::new(Kind::UploadCancel, Verb::Delete, location.clone(), scope, "the upload was not given up");
        call.tentative = true;
        drop(self.block_on(self.core.attempt(host, &call)));
    }

    /// Says how an upload ended; with `complete` everything was sent, so it may have arrived whatever the answer says.
    fn conclude(
        &self,
        target: &Target<'_>,
        location: &Url,
        outcome: Result<Reply, Failure>,
        complete: bool,
    ) -> Result<(), Fault> {
        let (fault, looks) = match outcome {
            Ok(reply) if reply.good() && complete => return reply.agrees(&target.want.digest),
            Ok(reply) => {
                let status = reply.status();
                let fault = self.refused(target, reply);
                (fault, if status == 404 { 1 } else { 0 })
            }
            Err(Failure { fault, trouble: None }) => (*fault, 0),
            Err(Failure { fault, trouble: Some(trouble) }) => {
                self.core.heed(&target.host, trouble);
                let slow = matches!(trouble, Trouble::Network | Trouble::Status(504, _));
                let large = target.want.size > PIECE as u64;
                (*fault, if slow && large { MANY_LOOKS } else { FEW_LOOKS })
            }
        };
        // Where not even that can be told, the upload's own fault says more.
        let arrived =
            complete && looks > 0 && self.arrived(&target.host, target.at, target.want, looks).unwrap_or(false);
        if arrived {
            return Ok(());
        }
        if fault.kind == FaultKind::Unavailable {
            self.cancel(&target.host, target.at, location);
        }
        Err(fault)
    }

    /// Reads a refusal, and learns from one that says "too large".
    fn refused(&self, target: &Target<'_>, reply: Reply) -> Fault {
        let refusal = self.block_on(reply.refusal());
        let fault = refusal.fault(WHAT);
        let gone =
            refusal.status == 404 && (refusal.states("BLOB_UPLOAD_INVALID") || refusal.states("BLOB_UPLOAD_UNKNOWN"));
        if gone {
            return Fault { kind: FaultKind::Unavailable, ..fault }.with_hint(AGAIN);
        }
        if refusal.status == 416 {
            return Fault { kind: FaultKind::Unavailable, ..fault }.with_hint(AGAIN);
        }
        if refusal.status != 413 {
            return fault;
        }
        let size = target.want.size;
        let tried = target.host.piece.swap(SMALL_PIECE, Ordering::Relaxed);
        let what = format!("{}; the blob has {size} bytes", fault.what);
        if tried == 0 && size > SMALL_PIECE {
            let what = format!("{what}; the next try goes in pieces of {SMALL_PIECE} bytes");
            return Fault { kind: FaultKind::Unavailable, what, ..fault };
        }
        Fault { what, ..fault }
    }
}

const AGAIN: &str = "the upload has to begin anew";

/// Resolves where an upload goes on.
pub(super) fn location(host: &Host, asked: &Url, location: &str) -> Result<Url, Fault> {
    wire::upload_location(&host.base, asked, location).map_err(|why| {
        let what = format!("the registry sends the upload where it may not go: {why}");
        Fault::new(FaultKind::Refused, guard::place(asked), what)
    })
}

fn closing(target: &Target<'_>, location: &Url) -> Call {
    let url = wire::closing(location, &target.want.digest);
    Call::new(Kind::UploadPut, Verb::Put, url, Scope::push(target.at.path()), WHAT)
        .with("content-type", "application/octet-stream")
}

fn after_piece(target: &Target<'_>, reply: &Reply, end: u64) -> Result<Url, Fault> {
    let asked = reply.answer.url();
    let unclear = |what: String| Fault::new(FaultKind::Unavailable, guard::place(asked), what).with_hint(AGAIN);
    if let Some(last) = reply.header("range").and_then(wire::upload_end)
        && last + 1 != end
    {
        return Err(unclear(format!("{end} bytes were sent, the registry has {}", last + 1)));
    }
    let next = reply.header("location");
    location(
        &target.host,
        asked,
        next.ok_or_else(|| unclear("the answer does not say where the upload goes on".into()))?,
    )
}

/// Sends everything but keeps the last piece back until the digest is known.
///
/// Returns whether all was handed over; not all is where the request ended before its body did.
fn feed(source: &mut Source<'_>, sender: &mpsc::Sender<io::Result<Bytes>>) -> Result<bool, Fault> {
    let mut held: Option<Bytes> = None;
    while let Some(piece) = source.piece(PIECE)? {
        if let Some(ready) = held.replace(piece)
            && sender.blocking_send(Ok(ready)).is_err()
        {
            return Ok(false);
        }
    }
    source.finish()?;
    match held {
        Some(last) => Ok(sender.blocking_send(Ok(last)).is_ok()),
        None => Ok(true),
    }
}

/// Who checks that content matches its digest before its last piece goes out.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Checks {
    /// We do, as it is read.
    Here,
    /// Its giver, who fails the reading where it does not match.
    Giver,
}

/// Content to be sent, counted and, where nobody else does it, hashed as it is read.
struct Source<'a> {
    want: &'a Descriptor,
    content: &'a mut (dyn Read + Send),
    seen: u64,
    digester: Option<Digester>,
}

impl<'a> Source<'a> {
    fn new(want: &'a Descriptor, content: &'a mut (dyn Read + Send), checks: Checks) -> Self {
        let digester = (checks == Checks::Here).then(|| Digester::new(want.digest.algorithm()));
        Self { want, content, seen: 0, digester }
    }

    fn damaged(&self, what: String) -> Fault {
        Fault::new(FaultKind::Damaged, self.want.digest.to_string(), what)
    }

    /// Reads up to `size` bytes, filling the piece; `None` at the promised end.
    fn piece(&mut self, size: usize) -> Result<Option<Bytes>, Fault> {
        let left = self.want.size - self.seen;
        if left == 0 {
            return Ok(None);
        }
        let length = left.min(size as u64);
        let mut piece = Vec::with_capacity(usize::try_from(length).unwrap_or(size));
        let read = Read::take(&mut *self.content, length).read_to_end(&mut piece);
        read.map_err(|e| Fault::from_io(e, &self.want.digest.to_string(), "the source of the blob failed"))?;
        self.seen += piece.len() as u64;
        if let Some(digester) = &mut self.digester {
            digester.update(&piece);
        }
        if (piece.len() as u64) < length {
            let got = self.seen;
            return Err(self.damaged(format!(
                "expected {} bytes, the source ended after {got}; nothing was stored",
                self.want.size
            )));
        }
        Ok(Some(Bytes::from(piece)))
    }

    /// Checks that the content was exactly what was promised.
    fn finish(&mut self) -> Result<(), Fault> {
        let mut extra = [0];
        let more = read_some(self.content, &mut extra)
            .map_err(|e| Fault::from_io(e, &self.want.digest.to_string(), "the source of the blob failed"))?;
        if more > 0 {
            let size = self.want.size;
            return Err(self.damaged(format!("expected {size} bytes, the source gives more; nothing was stored")));
        }
        let Some(digester) = self.digester.take() else { return Ok(()) };
        let got = digester.finish();
        if self.want.names(&got) {
            return Ok(());
        }
        Err(self.damaged(format!("expected {}, the source gave {got}; nothing was stored", self.want)))
    }
}

fn read_some(content: &mut (dyn Read + Send), into: &mut [u8]) -> io::Result<usize> {
    loop {
        match content.read(into) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            other => return other,
        }
    }
}
