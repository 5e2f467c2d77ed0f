//! Files below a web address, by the same rules as everything else that is fetched: bounded, redirects judged, tried
//! again where that helps. No credentials are shown: what is read here is public, or behind a client certificate.

use super::Remote;
use super::counters::Kind;
use super::exchange::{Call, Failure, Host, Reply, Scope, failed};
use super::guard;
use super::http::Verb;
use crate::model::fault::{Fault, FaultKind, printable};
use crate::model::port::FileTree;
use std::sync::Arc;
use url::Url;

/// A folder on a web server.
pub struct WebFiles {
    shared: Arc<super::Shared>,
    host: Arc<Host>,
    base: Url,
}

impl Remote {
    /// Returns the folder at `address` (`https://host/path`). Plain HTTP only where the settings allow it for the host.
    pub fn files(&self, address: &str) -> Result<WebFiles, Fault> {
        let wrong = |why: &str| Fault::new(FaultKind::Malformed, printable(address), why.to_owned());
        let mut base = Url::parse(address).map_err(|_| wrong("this is no address of a web server"))?;
        if !base.username().is_empty() || base.password().is_some() || base.query().is_some() {
            return Err(wrong("the address of a mirror has neither credentials nor a query"));
        }
        let name = base.host_str().ok_or_else(|| wrong("the address names no host"))?;
        let name = base.port().map_or_else(|| name.to_owned(), |port| format!("{name}:{port}"));
        match base.scheme() {
            "https" => {}
            "http" if self.shared.core.settings.plain_http.covers(&name) => {}
            "http" => return Err(wrong("plain HTTP is not allowed").with_hint("add --plain-http if that is meant")),
            _ => return Err(wrong("the address begins neither with https:// nor with http://")),
        }
        if !base.path().ends_with('/') {
            base.set_path(&format!("{}/", base.path()));
        }
        base.set_fragment(None);
        let host = self.shared.core.host(&name)?;
        Ok(WebFiles { shared: self.shared.clone(), host, base })
    }
}

impl WebFiles {
    async fn ask(&self, call: &Call, limit: u64) -> Result<Option<Vec<u8>>, Failure> {
        let core = &self.shared.core;
        let reply = core.follow(&self.host, call, None).await?;
        let mut reply: Reply = core.final_or_again(reply, call.what).await?;
        let place = guard::place(reply.answer.url());
        match reply.status() {
            200 => {}
            // Object stores answer 403 for what is not there, to whoever may not list.
            403 | 404 | 410 => return Ok(None),
            _ => return Err(Failure::last(reply.refusal().await.fault(call.what))),
        }
        let bytes = reply.answer.read(limit).await.map_err(|error| failed(error, &place, call.what))?;
        if bytes.len() as u64 > limit {
            let what = format!("it has more than {limit} bytes");
            return Err(Failure::last(Fault::new(FaultKind::TooLarge, place, what)));
        }
        Ok(Some(bytes))
    }
}

impl FileTree for WebFiles {
    fn place(&self) -> String {
        guard::place(&self.base)
    }

    fn file(&self, path: &str, limit: u64) -> Result<Option<Vec<u8>>, Fault> {
        let mut url = self.base.clone();
        {
            let cannot = || Fault::new(FaultKind::Malformed, path, "no path below a web address");
            let mut parts = url.path_segments_mut().map_err(|()| cannot())?;
            parts.pop_if_empty().extend(path.split('/'));
        }
        let call = Call::new(Kind::File, Verb::Get, url, Scope::default(), "the file was not read");
        let core = &self.shared.core;
        self.shared.block_on(core.insist(&self.host, true, async || self.ask(&call, limit).await))
    }
}
