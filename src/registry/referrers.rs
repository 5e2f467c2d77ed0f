//! What refers to a document: by the referrers API, or by the tag that stands in for it on older registries.
//!
//! Only a 404 of the API means that there is no API. Everything else that is no list is an error, never "none".

use super::Shared;
use super::counters::Kind;
use super::exchange::{Call, Host, Reply, Scope};
use super::guard;
use super::http::Verb;
use super::images::{Fetched, Whole};
use super::wire::{self, Paths};
use crate::model::descriptor::{Descriptor, MediaType};
use crate::model::digest::Digest;
use crate::model::fault::{Fault, FaultKind};
use crate::model::image::{ImageDocument, ImageIndex};
use crate::model::port::ManifestBytes;
use crate::model::reference::{Repository, Tag};
use crate::model::{json, limits};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::sync::atomic::Ordering;

const WHAT: &str = "what refers to the manifest was not listed";

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ListForm {
    media_type: Option<MediaType>,
    #[serde(default)]
    manifests: Option<Vec<Descriptor>>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct IndexForm<'a> {
    schema_version: u8,
    media_type: &'a str,
    manifests: Vec<Descriptor>,
}

impl Shared {
    /// Returns what refers to `subject`, sorted by digest.
    pub(super) fn referrers(&self, at: &Repository, subject: &Digest) -> Result<Vec<Descriptor>, Fault> {
        let host = self.core.host(at.host())?;
        let found = match self.api(&host, at, subject)? {
            Some(found) => found,
            None => self.fallback(&host, at, subject)?.map_or_else(Vec::new, |index| index.manifests),
        };
        let by_digest: BTreeMap<Digest, Descriptor> = found.into_iter().map(|d| (d.digest.clone(), d)).collect();
        Ok(by_digest.into_values().collect())
    }

    /// Asks the API; `None` where the registry has none.
    fn api(&self, host: &Host, at: &Repository, subject: &Digest) -> Result<Option<Vec<Descriptor>>, Fault> {
        if host.without_referrers.load(Ordering::Relaxed) {
            return Ok(None);
        }
        let first = Paths::new(&host.base, at).referrers(subject);
        let call = Call::new(Kind::Referrers, Verb::Get, first, Scope::pull(at.path()), WHAT);
        let mut found = Vec::new();
        let pages = self.pages(host, call.with("accept", MediaType::OCI_INDEX), |whole| {
            let page = page(whole)?;
            let entries = page.len();
            found.extend(page);
            Ok(entries)
        });
        match pages {
            Ok(()) => Ok(Some(found)),
            Err(fault) if fault.kind == FaultKind::Missing && found.is_empty() && fault.what.contains("(HTTP 404)") => {
                Ok(None)
            }
            Err(fault) => Err(fault),
        }
    }

    /// Reads the index under the fallback tag; `None` where there is none.
    fn fallback(&self, host: &Host, at: &Repository, subject: &Digest) -> Result<Option<ImageIndex>, Fault> {
        let url = Paths::new(&host.base, at).fallback(subject);
        let call =
            Call::new(Kind::ManifestGet, Verb::Get, url, Scope::pull(at.path()), WHAT).with("accept", wire::ACCEPT);
        let whole = match self.fetch(host, &call, limits::MANIFEST_BYTES)? {
            Fetched::Whole(whole) => whole,
            Fetched::Refused(refusal) if refusal.status == 404 => return Ok(None),
            Fetched::Refused(refusal) => return Err(refusal.fault(WHAT)),
        };
        let malformed =
            |why: String| Fault::new(FaultKind::Malformed, guard::place(&whole.url), format!("{WHAT}: {why}"));
        let media_type = wire::document_type(whole.media_type.as_deref(), &whole.bytes)
            .ok_or_else(|| malformed("the tag that stands for it is no index".into()))?;
        match ImageDocument::parse(&whole.bytes, &media_type).map_err(|e| malformed(e.to_string()))? {
            ImageDocument::Index(index) => Ok(Some(index)),
            ImageDocument::Image(_) => Err(malformed("the tag that stands for it is no index".into())),
        }
    }

    /// Makes a document with a subject findable: where the registry did not say that it links it, and has no API, the
    /// index under the fallback tag gets one more entry (distribution specification, "Pushing Manifests with Subject").
    pub(super) fn link_to_subject(
        &self,
        host: &Host,
        at: &Repository,
        document: &ManifestBytes,
        reply: &Reply,
    ) -> Result<(), Fault> {
        if reply.header("oci-subject").is_some() {
            return Ok(());
        }
        // What does not parse here was taken by the registry as it is, and is not ours to judge.
        let Ok(parsed) = ImageDocument::parse(&document.bytes, &document.descriptor.media_type) else { return Ok(()) };
        let Some(subject) = parsed.subject() else { return Ok(()) };
        if self.api(host, at, &subject.digest)?.is_some() {
            return Ok(());
        }
        host.without_referrers.store(true, Ordering::Relaxed);
        let _one_at_a_time = self.linking.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let mut entries = self.fallback(host, at, &subject.digest)?.map_or_else(Vec::new, |index| index.manifests);
        if entries.iter().any(|entry| entry.digest == document.descriptor.digest) {
            return Ok(());
        }
        let mut entry = document.descriptor.bare();
        entry.artifact_type = parsed.artifact_type().cloned();
        entry.annotations = parsed.annotations().clone();
        entries.push(entry);
        self.write_fallback(at, &subject.digest, entries)
    }

    fn write_fallback(&self, at: &Repository, subject: &Digest, mut entries: Vec<Descriptor>) -> Result<(), Fault> {
        entries.sort_by(|a, b| a.digest.cmp(&b.digest));
        let form = IndexForm { schema_version: 2, media_type: MediaType::OCI_INDEX, manifests: entries };
        let bytes = json::canonical(&form);
        let tag: Tag = wire::fallback_tag(subject).parse().map_err(|e: crate::model::reference::ReferenceError| {
            Fault::new(FaultKind::Malformed, at.to_string(), e.to_string())
        })?;
        let index = ManifestBytes { descriptor: Descriptor::of(MediaType::OCI_INDEX, &bytes), bytes };
        self.put_manifest(at, &index, Some(&tag))
    }
}

/// Reads one page of the API.
fn page(whole: &Whole) -> Result<Vec<Descriptor>, Fault> {
    let malformed = |why: String| Fault::new(FaultKind::Malformed, guard::place(&whole.url), format!("{WHAT}: {why}"));
    let announced = whole.media_type.as_deref().map(MediaType::new);
    if announced.as_ref().map(MediaType::as_str) != Some(MediaType::OCI_INDEX) {
        let got = announced.map_or_else(|| "no type".to_owned(), |t| crate::model::fault::printable(t.as_str()));
        return Err(malformed(format!("expected {}, the answer has {got}", MediaType::OCI_INDEX)));
    }
    let form: ListForm = json::parse(&whole.bytes).map_err(|e| malformed(e.to_string()))?;
    if let Some(own) = form.media_type.filter(|own| own.as_str() != MediaType::OCI_INDEX) {
        return Err(malformed(format!("the answer says of itself {own}")));
    }
    form.manifests.ok_or_else(|| malformed("the answer lists no manifests, not even none".into()))
}
