//! Image documents by tag or digest, written and read; tags.
//!
//! Bytes are kept verbatim. What was asked for by digest is checked against it; `Docker-Content-Digest` is a hint
//! at most. A server that hides a document behind a policy (412) is asked through Harbor's REST interface.

use super::Shared;
use super::counters::Kind;
use super::exchange::{Call, Failure, Host, Reply, Scope, failed};
use super::guard;
use super::http::Verb;
use super::refusal::Refusal;
use super::wire::{self, Paths};
use crate::model::descriptor::{Descriptor, MediaType};
use crate::model::digest::{Content, Digest};
use crate::model::fault::{Fault, FaultKind};
use crate::model::port::ManifestBytes;
use crate::model::reference::{Reference, Repository, Tag};
use crate::model::{json, limits};
use bytes::Bytes;
use serde::Deserialize;
use std::collections::BTreeSet;
use url::Url;

/// Tries of a document whose parts the registry does not see yet: some lag behind their own uploads.
const LAG_TRIES: u32 = 3;

/// A whole answer.
pub(super) struct Whole {
    pub(super) url: Url,
    pub(super) media_type: Option<String>,
    pub(super) next: Option<String>,
    pub(super) bytes: Vec<u8>,
}

/// A whole answer, or why there is none.
pub(super) enum Fetched {
    Whole(Whole),
    Refused(Refusal),
}

#[derive(Deserialize)]
struct TagsForm {
    #[serde(default)]
    tags: Option<Vec<String>>,
}

impl Shared {
    /// Returns what `reference` stands for now. Behind Harbor's policies the size is 0: its REST interface does not tell it.
    pub(super) fn head(&self, at: &Repository, reference: &Reference) -> Result<Option<Descriptor>, Fault> {
        let host = self.core.host(at.host())?;
        let call = manifest_call(&host, at, Kind::ManifestHead, Verb::Head, reference);
        let reply = self.block_on(self.core.call(&host, &call))?;
        match reply.status() {
            200 => match descriptor(&reply, reference) {
                Some(found) => Ok(Some(found)),
                None => self.head_by_get(&host, at, reference),
            },
            404 => Ok(None),
            405 | 501 => self.head_by_get(&host, at, reference),
            412 => self.behind_policy(&host, at, reference, reply),
            _ => {
                let refusal = self.block_on(reply.refusal());
                // A project that is missing holds no image.
                if refusal.empty_challenge { Ok(None) } else { Err(refusal.fault(call.what)) }
            }
        }
    }

    fn head_by_get(&self, host: &Host, at: &Repository, reference: &Reference) -> Result<Option<Descriptor>, Fault> {
        match self.get_manifest(host, at, reference)? {
            Ok(document) => Ok(Some(document.descriptor)),
            Err(refusal) if refusal.status == 404 || refusal.empty_challenge => Ok(None),
            Err(refusal) => Err(refusal.fault(READ)),
        }
    }

    fn behind_policy(
        &self,
        host: &Host,
        at: &Repository,
        reference: &Reference,
        reply: Reply,
    ) -> Result<Option<Descriptor>, Fault> {
        let refusal = self.block_on(reply.refusal());
        match self.block_on(self.core.artifact(host, at, reference))? {
            Some(found) => Ok(found),
            None => Err(refusal.fault(READ)),
        }
    }

    /// Returns the document.
    pub(super) fn manifest(&self, at: &Repository, reference: &Reference) -> Result<ManifestBytes, Fault> {
        let host = self.core.host(at.host())?;
        self.get_manifest(&host, at, reference)?.map_err(|refusal| refusal.fault(READ))
    }

    fn get_manifest(
        &self,
        host: &Host,
        at: &Repository,
        reference: &Reference,
    ) -> Result<Result<ManifestBytes, Refusal>, Fault> {
        let call = manifest_call(host, at, Kind::ManifestGet, Verb::Get, reference);
        match self.fetch(host, &call, limits::MANIFEST_BYTES)? {
            Fetched::Whole(whole) => document(whole, reference).map(Ok),
            Fetched::Refused(refusal) => Ok(Err(refusal)),
        }
    }

    /// Makes a call and reads its whole answer, up to `cap` bytes.
    pub(super) fn fetch(&self, host: &Host, call: &Call, cap: u64) -> Result<Fetched, Fault> {
        self.block_on(self.core.insist(host, true, async || {
            let mut reply = self.core.attempt(host, call).await?;
            if reply.status() != 200 {
                return Ok(Fetched::Refused(reply.refusal().await));
            }
            let place = guard::place(reply.answer.url());
            let final_fault = |kind, what: String| Err(Failure::last(Fault::new(kind, place.clone(), what)));
            if let Some(encoding) = reply.header("content-encoding").filter(|e| !e.eq_ignore_ascii_case("identity")) {
                let encoding = crate::model::fault::printable(encoding);
                return final_fault(FaultKind::Malformed, format!("{}: it came encoded as {encoding}", call.what));
            }
            let bytes = reply.answer.read(cap).await.map_err(|e| failed(e, &place, call.what))?;
            if bytes.len() as u64 > cap {
                return final_fault(FaultKind::TooLarge, format!("{}: it has more than {cap} bytes", call.what));
            }
            Ok(Fetched::Whole(Whole {
                url: reply.answer.url().clone(),
                media_type: reply.header("content-type").map(str::to_owned),
                next: wire::next_link(reply.answer.headers("link")),
                bytes,
            }))
        }))
    }

    /// Stores a document under its digest and, where given, a tag.
    pub(super) fn put_manifest(
        &self,
        at: &Repository,
        document: &ManifestBytes,
        tag: Option<&Tag>,
    ) -> Result<(), Fault> {
        let host = self.core.host(at.host())?;
        let digest = &document.descriptor.digest;
        let reference = tag.map_or_else(|| Reference::Digest(digest.clone()), |tag| Reference::Tag(tag.clone()));
        let url = Paths::new(&host.base, at).manifest(&reference);
        let mut call = Call::new(Kind::ManifestPut, Verb::Put, url, Scope::push(at.path()), WRITTEN)
            .with("content-type", document.descriptor.media_type.as_str());
        call.body = Some(Bytes::from(document.bytes.clone()));
        for lag in 1.. {
            let reply = self.block_on(self.core.call(&host, &call))?;
            if reply.good() {
                reply.agrees(digest)?;
                return self.link_to_subject(&host, at, document, &reply);
            }
            let refusal = self.block_on(reply.refusal());
            if refusal.states("MANIFEST_BLOB_UNKNOWN") && lag < LAG_TRIES {
                self.wait(lag);
                continue;
            }
            return match tag.filter(|_| refusal.status == 412) {
                Some(tag) => self.immutable(&host, at, tag, digest, &refusal),
                None => Err(refusal.fault(WRITTEN)),
            };
        }
        Ok(())
    }

    /// A tag that may not be written: harmless where it stands for the same document already.
    fn immutable(
        &self,
        host: &Host,
        at: &Repository,
        tag: &Tag,
        digest: &Digest,
        refusal: &Refusal,
    ) -> Result<(), Fault> {
        let reference = Reference::Tag(tag.clone());
        let there = match self.block_on(self.core.artifact(host, at, &reference))? {
            Some(found) => found,
            None => self.head(at, &reference)?,
        };
        match there {
            Some(there) if there.digest == *digest => Ok(()),
            Some(there) => {
                let fault = refusal.fault(WRITTEN);
                let what = format!("{}: the tag {tag} may not be moved from {} to {digest}", fault.what, there.digest);
                Err(Fault { what, ..fault }
                    .with_hint("change the rule that makes the tag immutable, or take another tag"))
            }
            None => Err(refusal.fault(WRITTEN)),
        }
    }

    /// Returns all tags, sorted.
    pub(super) fn tags(&self, at: &Repository) -> Result<Vec<Tag>, Fault> {
        let host = self.core.host(at.host())?;
        let what = "the tags were not listed";
        let mut all = BTreeSet::new();
        let first = Paths::new(&host.base, at).tags();
        let call = Call::new(Kind::Tags, Verb::Get, first, Scope::pull(at.path()), what);
        self.pages(&host, call, |whole| {
            let malformed =
                |why: String| Fault::new(FaultKind::Malformed, guard::place(&whole.url), format!("{what}: {why}"));
            let form: TagsForm = json::parse(&whole.bytes).map_err(|e| malformed(e.to_string()))?;
            let tags = form.tags.unwrap_or_default();
            let count = tags.len();
            for text in tags {
                // A tag that is none cannot be asked for; leaving it out would hide an image.
                all.insert(text.parse::<Tag>().map_err(|e| malformed(e.to_string()))?);
            }
            Ok(count)
        })?;
        Ok(all.into_iter().collect())
    }

    /// Makes a call for page after page; each is given to `take`, which returns its number of entries.
    pub(super) fn pages(
        &self,
        host: &Host,
        mut call: Call,
        mut take: impl FnMut(&Whole) -> Result<usize, Fault>,
    ) -> Result<(), Fault> {
        let (mut entries, mut seen) = (0, BTreeSet::new());
        for _ in 0..limits::LIST_PAGES {
            let (url, what) = (call.url.clone(), call.what);
            let fault = |kind, why: String| Fault::new(kind, guard::place(&url), format!("{what}: {why}"));
            if !seen.insert(url.to_string()) {
                return Err(fault(FaultKind::TooLarge, "its pages go round in a circle".into()));
            }
            let whole = match self.fetch(host, &call, limits::LIST_PAGE_BYTES as u64)? {
                Fetched::Whole(whole) => whole,
                Fetched::Refused(refusal) => return Err(refusal.fault(what)),
            };
            entries += take(&whole)?;
            if entries > limits::LIST_ENTRIES {
                return Err(fault(FaultKind::TooLarge, format!("it has more than {} entries", limits::LIST_ENTRIES)));
            }
            let Some(next) = &whole.next else { return Ok(()) };
            let next = url.join(next).map_err(|_| fault(FaultKind::Malformed, "its next page is no URL".into()))?;
            call.url = next_page(host, &url, next).map_err(|why| fault(FaultKind::Malformed, why))?;
        }
        let why = format!("{}: it has more than {} pages", call.what, limits::LIST_PAGES);
        Err(Fault::new(FaultKind::TooLarge, guard::place(&call.url), why))
    }
}

const READ: &str = "the manifest was not read";
const WRITTEN: &str = "the manifest was not taken";

fn manifest_call(host: &Host, at: &Repository, kind: Kind, verb: Verb, reference: &Reference) -> Call {
    let url = Paths::new(&host.base, at).manifest(reference);
    Call::new(kind, verb, url, Scope::pull(at.path()), READ).with("accept", wire::ACCEPT)
}

/// Returns what a HEAD says, where it says everything and does not contradict the question.
fn descriptor(reply: &Reply, reference: &Reference) -> Option<Descriptor> {
    let digest: Digest = reply.header("docker-content-digest")?.parse().ok()?;
    if let Reference::Digest(asked) = reference
        && *asked != digest
    {
        return None;
    }
    let size = wire::digits(reply.header("content-length")?)?;
    let media_type = MediaType::new(reply.header("content-type")?);
    media_type.is_document().then(|| Descriptor::new(media_type, Content { digest, size }))
}

/// Makes a document of an answer.
fn document(whole: Whole, reference: &Reference) -> Result<ManifestBytes, Fault> {
    let fault = |kind, what: String| Fault::new(kind, guard::place(&whole.url), what);
    let digest = match reference {
        Reference::Digest(asked) => {
            let got = Digest::of_with(asked.algorithm(), &whole.bytes);
            if got != *asked {
                return Err(fault(FaultKind::Damaged, format!("asked for {asked}, the answer is {got}")));
            }
            got
        }
        Reference::Tag(_) => Digest::of(&whole.bytes),
    };
    let media_type = wire::document_type(whole.media_type.as_deref(), &whole.bytes).ok_or_else(|| {
        fault(FaultKind::Malformed, "the answer is no manifest, and does not say what it is".to_owned())
    })?;
    if media_type.as_str().contains("html") {
        return Err(fault(FaultKind::Malformed, format!("the answer is no manifest, but {media_type}")));
    }
    let size = whole.bytes.len() as u64;
    Ok(ManifestBytes { descriptor: Descriptor::new(media_type, Content { digest, size }), bytes: whole.bytes })
}

/// Returns where the next page is. It is on the host that was asked; a registry that is mistaken about its own
/// address, but names the same list, is put right.
fn next_page(host: &Host, current: &Url, mut next: Url) -> Result<Url, String> {
    let origin = guard::Origin::of(&next);
    if origin == guard::Origin::of(&host.base) || origin == guard::Origin::of(current) {
        return Ok(next);
    }
    if next.path() == current.path() {
        let query = next.query().map(str::to_owned);
        next = current.clone();
        next.set_query(query.as_deref());
        return Ok(next);
    }
    Err(format!("its next page is on another host, {}", guard::place(&next)))
}
