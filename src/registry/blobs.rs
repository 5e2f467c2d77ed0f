//! Blobs: whether they are there, mounts, and downloads that go on where they broke off.

use super::Shared;
use super::counters::Kind;
use super::exchange::{Call, Failure, Host, Reply, Scope};
use super::guard;
use super::http::Verb;
use super::retry::Trouble;
use super::wire::{self, Paths};
use crate::model::descriptor::Descriptor;
use crate::model::fault::{Fault, FaultKind};
use crate::model::reference::Repository;
use bytes::{Buf, Bytes};
use std::io::{self, Read};
use std::sync::{Arc, PoisonError};
use std::time::Duration;
use tokio::time::Instant;

/// Progress after which earlier breaks of a download are forgotten, in bytes.
const FORGIVEN: u64 = 4 << 20;
/// Slowest download that goes on, in bytes a second, measured over [`PACE_WINDOW`].
const SLOWEST: u64 = 1 << 10;
/// Span over which the pace is measured.
const PACE_WINDOW: Duration = Duration::from_secs(5 * 60);

impl Shared {
    /// Opens the bytes of `want` from `from` on.
    pub(super) fn open(self: &Arc<Self>, at: &Repository, want: &Descriptor, from: u64) -> Result<Download, Fault> {
        let mut download = Download {
            host: self.core.host(at.host())?,
            shared: self.clone(),
            at: at.clone(),
            want: want.clone(),
            position: from,
            reply: None,
            piece: Bytes::new(),
            skip: 0,
            tag: None,
            ranges: true,
            breaks: 0,
            forgiven_at: from,
            pace: Pace::new(from, Instant::now()),
            ended: from > 0 && from >= want.size,
        };
        if !download.ended {
            let core = &self.core;
            let first = self.block_on(core.insist(&download.host, true, async || download.ask().await))?;
            download.accept_answer(first)?;
        }
        Ok(download)
    }

    /// Returns whether the blob is there with the size promised.
    pub(super) fn has(&self, at: &Repository, want: &Descriptor) -> Result<bool, Fault> {
        let host = self.core.host(at.host())?;
        self.block_on(self.blob_stands(&host, at, want))
    }

    async fn blob_stands(&self, host: &Host, at: &Repository, want: &Descriptor) -> Result<bool, Fault> {
        let url = Paths::new(&host.base, at).blob(&want.digest);
        let what = "the registry did not say whether it has the blob";
        let mut call = Call::new(Kind::BlobHead, Verb::Head, url, Scope::pull(at.path()), what);
        call.follow = false;
        let reply = self.core.call(host, &call).await?;
        match reply.status() {
            404 => Ok(false),
            // The blob stands in a store behind the registry. Its address is signed for GET, so it is not followed.
            // One that leads to another registry proves nothing.
            301 | 302 | 303 | 307 | 308 if !leads_to_a_registry(&reply) => Ok(true),
            301 | 302 | 303 | 307 | 308 => {
                call.follow = true;
                let reply = self.core.call(host, &call).await?;
                stands(reply, want, call.what).await
            }
            _ => stands(reply, want, call.what).await,
        }
    }

    /// Makes a blob of `from` appear in `at`; `false` where the registry does not do it.
    pub(super) fn mount(&self, at: &Repository, want: &Descriptor, from: &Repository) -> Result<bool, Fault> {
        if at.host() != from.host() {
            return Ok(false);
        }
        let host = self.core.host(at.host())?;
        let url = Paths::new(&host.base, at).mount(&want.digest, from);
        let scope = Scope::mount(at.path(), from.path());
        let mut call = Call::new(Kind::Mount, Verb::Post, url, scope, "the blob was not mounted");
        call.tentative = true;
        let reply = self.block_on(self.core.call(&host, &call))?;
        match reply.status() {
            // The word of the registry is checked: some say yes although the caller may not read the source.
            201 => self.has(at, want),
            202 => {
                self.keep_open(&host, at, &reply)?;
                Ok(false)
            }
            400 | 401 | 404 | 405 => Ok(false),
            _ => {
                let refusal = self.block_on(reply.refusal());
                let fault = refusal.fault(call.what);
                match fault.kind {
                    // The right to read the source may be what is missing; an upload shows whether it is more.
                    FaultKind::Unauthorized | FaultKind::Missing => Ok(false),
                    _ => Err(fault),
                }
            }
        }
    }

    /// Remembers the upload that a registry began instead of a mount, for the `put` that follows.
    fn keep_open(&self, host: &Host, at: &Repository, reply: &Reply) -> Result<(), Fault> {
        if let Some(location) = reply.header("location") {
            let url = super::upload::location(host, reply.answer.url(), location)?;
            host.left_open.lock().unwrap_or_else(PoisonError::into_inner).insert(at.path().to_owned(), url);
        }
        Ok(())
    }

    /// Looks for a blob whose upload ended without an answer: the registry may still be putting it in its place.
    pub(super) fn arrived(&self, host: &Host, at: &Repository, want: &Descriptor, looks: u32) -> Result<bool, Fault> {
        for look in 0..looks.max(1) {
            if look > 0 {
                self.wait(look);
            }
            if self.block_on(self.blob_stands(host, at, want))? {
                return Ok(true);
            }
        }
        Ok(false)
    }
}

fn leads_to_a_registry(reply: &Reply) -> bool {
    let target = reply.header("location").and_then(|location| reply.answer.url().join(location).ok());
    target.is_none_or(|url| url.path().starts_with("/v2/"))
}

async fn stands(reply: Reply, want: &Descriptor, what: &str) -> Result<bool, Fault> {
    if reply.status() == 404 {
        return Ok(false);
    }
    if !reply.good() {
        let refusal = reply.refusal().await;
        // A project that is missing holds no blob.
        return if refusal.empty_challenge { Ok(false) } else { Err(refusal.fault(what)) };
    }
    let size = reply.header("content-length").and_then(wire::digits);
    Ok(size.is_none_or(|size| size == want.size))
}

/// A blob on its way: reads block until bytes come; a break is mended by another request from where it stands.
///
/// Never gives more than one byte beyond the promised size. Whether the bytes are the right ones is for the reader to check.
pub(super) struct Download {
    shared: Arc<Shared>,
    host: Arc<Host>,
    at: Repository,
    want: Descriptor,
    /// Offset of the next byte that is given out.
    position: u64,
    reply: Option<Reply>,
    piece: Bytes,
    /// Bytes of the current answer that were given out before.
    skip: u64,
    /// Strong `ETag` of the content, so that a range of something else is not taken.
    tag: Option<String>,
    /// Whether ranges are worth asking for.
    ranges: bool,
    breaks: u32,
    forgiven_at: u64,
    pace: Pace,
    ended: bool,
}

impl Download {
    /// Asks for the rest once.
    async fn ask(&self) -> Result<Reply, Failure> {
        let url = Paths::new(&self.host.base, &self.at).blob(&self.want.digest);
        let mut call = Call::new(Kind::BlobGet, Verb::Get, url, Scope::pull(self.at.path()), "the blob was not read");
        call.download = true;
        if self.position > 0 && self.ranges {
            call = call.with("range", format!("bytes={}-", self.position));
            if let Some(tag) = &self.tag {
                call = call.with("if-range", tag.clone());
            }
        }
        let reply = self.shared.core.attempt(&self.host, &call).await?;
        match reply.status() {
            200 | 206 => Ok(reply),
            _ => {
                let foreign = reply.foreign;
                let fault = reply.refusal().await.fault(call.what);
                // A store behind the registry may have lost what the registry still lists.
                let again = foreign && fault.kind == FaultKind::Missing && self.breaks > 0;
                Err(if again { Failure::again(fault, Trouble::Expired) } else { Failure::last(fault) })
            }
        }
    }

    /// Takes an answer for the rest, or says why it is none.
    fn accept_answer(&mut self, reply: Reply) -> Result<(), Fault> {
        let place = guard::place(reply.answer.url());
        let damaged = |what: String| Fault::new(FaultKind::Damaged, place.clone(), what);
        if reply.header("content-encoding").is_some_and(|e| !e.eq_ignore_ascii_case("identity")) {
            return Err(damaged("the blob came encoded, although it was asked for as it is".into()));
        }
        let length = reply.header("content-length").and_then(wire::digits);
        if reply.status() == 206 {
            let range = reply.header("content-range").and_then(wire::content_range);
            let good =
                range.is_some_and(|r| r.first == self.position && r.whole.is_none_or(|whole| whole == self.want.size));
            if !good {
                self.ranges = false;
                let got = reply.header("content-range").unwrap_or("nothing");
                let got = crate::model::fault::printable(got);
                return Err(damaged(format!("asked for bytes from {} on, the answer is {got}", self.position)));
            }
            self.skip = 0;
        } else {
            if let Some(length) = length.filter(|length| *length != self.want.size) {
                return Err(damaged(format!("{} has {length} bytes there", self.want)));
            }
            self.skip = self.position;
        }
        if self.tag.is_none() {
            self.tag = reply.header("etag").filter(|tag| tag.starts_with('"')).map(str::to_owned);
        }
        self.reply = Some(reply);
        Ok(())
    }

    /// Brings the next piece, mending breaks; leaves it empty at the end.
    fn advance(&mut self) -> Result<(), Fault> {
        while self.piece.is_empty() && !self.ended {
            if self.position > self.want.size {
                self.end();
                break;
            }
            let Some(reply) = &mut self.reply else {
                self.mend()?;
                continue;
            };
            match self.shared.block_on(reply.answer.piece()) {
                Ok(Some(piece)) => self.accept(piece)?,
                Ok(None) if self.position >= self.want.size => self.end(),
                Ok(None) => self.broke("the connection ended early")?,
                // Everything was there: how the connection ends says nothing more.
                Err(_) if self.position == self.want.size => self.end(),
                Err(error) => self.broke(&error.to_string())?,
            }
        }
        Ok(())
    }

    fn accept(&mut self, mut piece: Bytes) -> Result<(), Fault> {
        let known = usize::try_from(self.skip).unwrap_or(usize::MAX).min(piece.len());
        piece.advance(known);
        self.skip -= known as u64;
        // One byte past the promised size is enough for the reader to see that it is too long.
        let room = (self.want.size + 1).saturating_sub(self.position);
        piece.truncate(usize::try_from(room).unwrap_or(usize::MAX));
        self.piece = piece;
        if self.pace.is_too_slow(self.position, Instant::now()) {
            self.broke("it came too slowly")?;
        }
        Ok(())
    }

    fn end(&mut self) {
        self.ended = true;
        self.reply = None;
    }

    /// Notes a break; fails where there were too many.
    fn broke(&mut self, why: &str) -> Result<(), Fault> {
        self.reply = None;
        if self.position.saturating_sub(self.forgiven_at) >= FORGIVEN {
            self.breaks = 0;
        }
        self.forgiven_at = self.position;
        self.breaks += 1;
        if self.breaks <= self.shared.core.settings.retries {
            return Ok(());
        }
        let place = guard::place(&Paths::new(&self.host.base, &self.at).blob(&self.want.digest));
        let what = format!("{} broke off {} times, now at byte {}: {why}", self.want, self.breaks, self.position);
        Err(Fault::new(FaultKind::Unavailable, place, what))
    }

    /// Asks for the rest after a break.
    fn mend(&mut self) -> Result<(), Fault> {
        if self.breaks > 1 {
            self.shared.wait(self.breaks - 1);
        }
        self.shared.core.http.tally.repeated();
        let shared = self.shared.clone();
        let reply = shared.block_on(shared.core.insist(&self.host, true, async || self.ask().await))?;
        let asked_for_range = self.ranges;
        match self.accept_answer(reply) {
            // A wrong range is answered by asking for the whole, once.
            Err(_) if asked_for_range && !self.ranges => {
                self.broke("it answered with another range than was asked for")
            }
            other => other,
        }
    }
}

impl Read for Download {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        if into.is_empty() {
            return Ok(0);
        }
        self.advance().map_err(Fault::into_io)?;
        let n = self.piece.len().min(into.len());
        into[..n].copy_from_slice(&self.piece[..n]);
        self.piece.advance(n);
        self.position += n as u64;
        Ok(n)
    }
}

/// Watches that a download does not crawl.
struct Pace {
    position: u64,
    since: Instant,
}

impl Pace {
    const fn new(position: u64, since: Instant) -> Self {
        Self { position, since }
    }

    /// Returns whether the last full window brought less than the slowest pace.
    fn is_too_slow(&mut self, position: u64, now: Instant) -> bool {
        if now.duration_since(self.since) < PACE_WINDOW {
            return false;
        }
        let came = position.saturating_sub(self.position);
        *self = Self::new(position, now);
        came < SLOWEST * PACE_WINDOW.as_secs()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_download_that_crawls_is_noticed_and_one_that_moves_is_not() {
        let start = Instant::now();
        let mut pace = Pace::new(0, start);
        assert!(!pace.is_too_slow(10, start + PACE_WINDOW / 2));
        assert!(pace.is_too_slow(300, start + PACE_WINDOW));
        assert!(!pace.is_too_slow(300 + SLOWEST * 300, start + PACE_WINDOW * 2));
    }
}
