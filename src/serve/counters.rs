//! What a registry was asked: numbers for tests, demonstrations and metrics.

use super::names::Target;
use crate::model::{Digest, Reference};
use axum::http::Method;
use std::collections::BTreeMap;

/// Most names that are counted one by one, so that a client that asks for ever new ones costs no memory.
const NAMES: usize = 1 << 20;

/// Number of requests by kind, and bytes of bodies, since the start. Requests count as they arrive, refused ones too.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Counters {
    /// All requests.
    pub requests: u64,
    /// `GET /v2/`.
    pub base: u64,
    /// `GET` of a blob.
    pub blob_get: u64,
    /// `HEAD` of a blob.
    pub blob_head: u64,
    /// `DELETE` of a blob.
    pub blob_delete: u64,
    /// `GET` of a manifest or index.
    pub manifest_get: u64,
    /// `HEAD` of a manifest or index.
    pub manifest_head: u64,
    /// `PUT` of a manifest or index.
    pub manifest_put: u64,
    /// `DELETE` of a manifest, index or tag.
    pub manifest_delete: u64,
    /// `POST` that begins an upload, mounts excluded.
    pub upload_post: u64,
    /// `POST` that asks for a mount.
    pub mount: u64,
    /// Mounts that were granted.
    pub mounted: u64,
    /// `PATCH` of an upload.
    pub upload_patch: u64,
    /// `PUT` that ends an upload.
    pub upload_put: u64,
    /// `GET` of the state of an upload.
    pub upload_get: u64,
    /// `DELETE` of an upload.
    pub upload_delete: u64,
    /// Lists of referrers.
    pub referrers: u64,
    /// Lists of tags.
    pub tags: u64,
    /// Lists of repositories.
    pub catalog: u64,
    /// Calls of the token endpoint.
    pub token: u64,
    /// Everything else.
    pub other: u64,
    /// Bytes of request bodies that arrived.
    pub bytes_in: u64,
    /// Bytes of response bodies that were handed to the network.
    pub bytes_out: u64,
    /// `GET`s of each blob, by digest.
    pub blob_gets: BTreeMap<Digest, u64>,
    /// `GET`s of each document, by repository and reference as asked: `a/b:tag`, `a/b@sha256:…`.
    pub manifest_gets: BTreeMap<String, u64>,
    /// Answers by status. A connection that was cut before an answer counts as 0.
    pub answers: BTreeMap<u16, u64>,
    /// Blobs and documents that were stored.
    pub stored: u64,
}

impl Counters {
    /// Returns the blobs that were asked for more than once.
    pub fn asked_twice(&self) -> Vec<Digest> {
        self.blob_gets.iter().filter(|(_, n)| **n > 1).map(|(digest, _)| digest.clone()).collect()
    }

    /// Counts a request.
    pub(super) fn arrived(&mut self, method: &Method, target: Option<&Target>, mount: bool) {
        self.requests += 1;
        match (target, method) {
            (Some(Target::Blob(_, digest)), &Method::GET) => count(&mut self.blob_gets, digest.clone()),
            (Some(Target::Manifest(name, Reference::Tag(tag))), &Method::GET) => {
                count(&mut self.manifest_gets, format!("{name}:{tag}"));
            }
            (Some(Target::Manifest(name, Reference::Digest(digest))), &Method::GET) => {
                count(&mut self.manifest_gets, format!("{name}@{digest}"));
            }
            _ => {}
        }
        *self.kind(method, target, mount) += 1;
    }

    fn kind(&mut self, method: &Method, target: Option<&Target>, mount: bool) -> &mut u64 {
        match (target, method) {
            (Some(Target::Base), _) => &mut self.base,
            (Some(Target::Blob(..)), &Method::GET) => &mut self.blob_get,
            (Some(Target::Blob(..)), &Method::HEAD) => &mut self.blob_head,
            (Some(Target::Blob(..)), &Method::DELETE) => &mut self.blob_delete,
            (Some(Target::Manifest(..)), &Method::GET) => &mut self.manifest_get,
            (Some(Target::Manifest(..)), &Method::HEAD) => &mut self.manifest_head,
            (Some(Target::Manifest(..)), &Method::PUT) => &mut self.manifest_put,
            (Some(Target::Manifest(..)), &Method::DELETE) => &mut self.manifest_delete,
            (Some(Target::Uploads(_)), &Method::POST) if mount => &mut self.mount,
            (Some(Target::Uploads(_)), &Method::POST) => &mut self.upload_post,
            (Some(Target::Upload(..)), &Method::PATCH) => &mut self.upload_patch,
            (Some(Target::Upload(..)), &Method::PUT) => &mut self.upload_put,
            (Some(Target::Upload(..)), &Method::GET) => &mut self.upload_get,
            (Some(Target::Upload(..)), &Method::DELETE) => &mut self.upload_delete,
            (Some(Target::Referrers(..)), _) => &mut self.referrers,
            (Some(Target::Tags(_)), _) => &mut self.tags,
            (Some(Target::Catalog), _) => &mut self.catalog,
            (Some(Target::Token), _) => &mut self.token,
            _ => &mut self.other,
        }
    }

    /// Counts an answer.
    pub(super) fn answered(&mut self, status: u16, method: &Method, target: Option<&Target>, mount: bool) {
        *self.answers.entry(status).or_default() += 1;
        if status != 201 {
            return;
        }
        match target {
            Some(Target::Uploads(_)) if mount => self.mounted += 1,
            Some(Target::Uploads(_) | Target::Upload(..) | Target::Manifest(..)) if *method != Method::GET => {
                self.stored += 1;
            }
            _ => {}
        }
    }
}

fn count<K: Ord>(counts: &mut BTreeMap<K, u64>, name: K) {
    if counts.len() < NAMES || counts.contains_key(&name) {
        *counts.entry(name).or_default() += 1;
    }
}

/// One request and its answer, in the order of the answers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Exchange {
    /// Method.
    pub method: String,
    /// Path with its query.
    pub path: String,
    /// Status; 0 where the connection was cut before an answer.
    pub status: u16,
}
