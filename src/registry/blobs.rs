//! Blobs: whether they are there, mounts, and their downloads.

use super::Shared;
use super::counters::Kind;
use super::download::{Download, Errand};
use super::exchange::{Call, Host, Reply, Scope};
use super::http::Verb;
use super::wire::{self, Paths};
use crate::model::descriptor::Descriptor;
use crate::model::fault::{Fault, FaultKind};
use crate::model::reference::Repository;
use std::sync::{Arc, PoisonError};

impl Shared {
    /// Opens the bytes of `want` from `from` on.
    pub(super) fn open(self: &Arc<Self>, at: &Repository, want: &Descriptor, from: u64) -> Result<Download, Fault> {
        let host = self.core.host(at.host())?;
        let url = Paths::new(&host.base, at).blob(&want.digest);
        let mut call = Call::new(Kind::BlobGet, Verb::Get, url, Scope::pull(at.path()), "the blob was not read");
        call.download = true;
        Download::begin(
            self,
            host,
            Errand { call, name: want.to_string(), size: Some(want.size), encoded: false },
            from,
        )
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
