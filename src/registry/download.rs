//! Downloads: bytes that come in pieces and go on where they broke off, of blobs and of files.

use super::Shared;
use super::counters::Kind;
use super::exchange::{Call, Failure, Host, Reply, Scope};
use super::guard;
use super::http::Verb;
use super::retry::Trouble;
use super::wire;
use crate::model::fault::{Fault, FaultKind};
use crate::model::file_url::FileUrl;
use crate::model::port::OpenFile;
use bytes::{Buf, Bytes};
use std::io::{self, Read};
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;
use url::Url;

/// Progress after which earlier breaks of a download are forgotten, in bytes.
const FORGIVEN: u64 = 4 << 20;
/// Slowest download that goes on, in bytes a second, measured over [`PACE_WINDOW`].
const SLOWEST: u64 = 1 << 10;
/// Span over which the pace is measured.
const PACE_WINDOW: Duration = Duration::from_secs(5 * 60);

/// What is fetched, and how.
pub(super) struct Errand {
    /// The request for all of it.
    pub(super) call: Call,
    /// What it is called in messages.
    pub(super) name: String,
    /// Its whole size, where that is known.
    pub(super) size: Option<u64>,
    /// Whether it may come with an encoding: some servers of files take the `.gz` of a name for one, and send it as it is.
    pub(super) encoded: bool,
}

impl Shared {
    /// Opens a file from `from` on, showing nothing of ours.
    pub(super) fn open_file(self: &Arc<Self>, url: &FileUrl, size: Option<u64>, from: u64) -> Result<OpenFile, Fault> {
        let malformed = |what: &str| Fault::new(FaultKind::Malformed, url.as_str(), what);
        let at = Url::parse(url.as_str()).map_err(|_| malformed("this is no address"))?;
        if at.scheme() == "http" && !self.core.settings.plain_http.covers(url.host()) {
            let fault = Fault::new(FaultKind::Refused, url.as_str(), "plain http is spoken only where it is asked for");
            return Err(fault.with_hint("write https:// in the mirror file, or allow it with --plain-http"));
        }
        let base = at.join("/").map_err(|_| malformed("its host is none"))?;
        let host = self.core.file_host(url.host(), base);
        let mut call = Call::new(Kind::FileGet, Verb::Get, at, Scope::default(), "the file was not read");
        call.download = true;
        let errand = Errand { call, name: url.file_name().to_owned(), size, encoded: true };
        let download = Download::begin(self, host, errand, from)?;
        Ok(OpenFile { size: download.size, content: Box::new(download) })
    }
}

/// Bytes on their way: reads block until bytes come; a break is mended by another request from where it stands.
///
/// Never gives more than one byte beyond the promised size. Whether the bytes are the right ones is for the reader to check.
pub(super) struct Download {
    shared: Arc<Shared>,
    host: Arc<Host>,
    call: Call,
    name: String,
    /// Whole size as promised, or as the first answer stated it.
    size: Option<u64>,
    encoded: bool,
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
    /// Asks for the first bytes from `from` on.
    pub(super) fn begin(shared: &Arc<Shared>, host: Arc<Host>, errand: Errand, from: u64) -> Result<Self, Fault> {
        let Errand { call, name, size, encoded } = errand;
        let mut download = Self {
            host,
            shared: shared.clone(),
            call,
            name,
            size,
            encoded,
            position: from,
            reply: None,
            piece: Bytes::new(),
            skip: 0,
            tag: None,
            ranges: true,
            breaks: 0,
            forgiven_at: from,
            pace: Pace::new(from, Instant::now()),
            ended: from > 0 && size.is_some_and(|size| from >= size),
        };
        if !download.ended {
            let core = &shared.core;
            let first = shared.block_on(core.insist(&download.host, true, async || download.ask().await))?;
            download.accept_answer(first)?;
        }
        Ok(download)
    }

    /// Asks for the rest once.
    async fn ask(&self) -> Result<Reply, Failure> {
        let mut call = self.call.clone();
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

    /// Returns whether so many bytes are more than were promised.
    fn is_past_the_end(&self, position: u64) -> bool {
        self.size.is_some_and(|size| position > size)
    }

    /// Returns whether everything that was promised has come; true at any place where nothing was promised.
    fn may_end(&self) -> bool {
        self.size.is_none_or(|size| self.position >= size)
    }

    /// Takes an answer for the rest, or says why it is none.
    fn accept_answer(&mut self, reply: Reply) -> Result<(), Fault> {
        let place = guard::place(reply.answer.url());
        let damaged = |what: String| Fault::new(FaultKind::Damaged, place.clone(), what);
        let encoding = reply.header("content-encoding");
        if !self.encoded && encoding.is_some_and(|encoding| !encoding.eq_ignore_ascii_case("identity")) {
            return Err(damaged("the blob came encoded, although it was asked for as it is".into()));
        }
        let length = reply.header("content-length").and_then(wire::digits);
        if reply.status() == 206 {
            let range = reply.header("content-range").and_then(wire::content_range);
            let promised = |whole: Option<u64>| whole.is_none() || self.size.is_none() || whole == self.size;
            let good = range.as_ref().is_some_and(|r| r.first == self.position && promised(r.whole));
            if !good {
                self.ranges = false;
                let got = reply.header("content-range").unwrap_or("nothing");
                let got = crate::model::fault::printable(got);
                return Err(damaged(format!("asked for bytes from {} on, the answer is {got}", self.position)));
            }
            self.skip = 0;
            self.size = self.size.or(range.and_then(|range| range.whole));
        } else {
            if let (Some(length), Some(size)) = (length, self.size)
                && length != size
            {
                return Err(damaged(format!("{} has {length} bytes there, expected {size}", self.name)));
            }
            self.size = self.size.or(length);
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
            if self.is_past_the_end(self.position) {
                self.end();
                break;
            }
            let Some(reply) = &mut self.reply else {
                self.mend()?;
                continue;
            };
            match self.shared.block_on(reply.answer.piece()) {
                Ok(Some(piece)) => self.accept(piece)?,
                Ok(None) if self.may_end() => self.end(),
                Ok(None) => self.broke("the connection ended early")?,
                // Everything was there: how the connection ends says nothing more.
                Err(_) if self.size == Some(self.position) => self.end(),
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
        let room = self.size.map_or(u64::MAX, |size| (size + 1).saturating_sub(self.position));
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
        let place = guard::place(&self.call.url);
        let what = format!("{} broke off {} times, now at byte {}: {why}", self.name, self.breaks, self.position);
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
