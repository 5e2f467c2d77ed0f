//! Manifests and indexes as Harbor takes and gives them: rules before and after the engine, and the lists that
//! it makes from its tables.

use super::registry::Visit;
use super::state::{Artifact, Repo, immutable_sentence, rank};
use super::{Harbor, HarborVersion, answers};
use crate::model::{Content, Descriptor, Digest, ImageDocument, MediaType, Reference, Tag};
use crate::serve::{Document, Name, lock, query_of, read_body};
use axum::extract::Request;
use axum::http::header::{ACCEPT, CONTENT_TYPE, IF_NONE_MATCH, LINK, LOCATION};
use axum::http::{HeaderName, Method};
use axum::response::Response;
use serde_json::json;
use std::collections::BTreeSet;
use std::sync::Arc;

/// Largest document that the engine takes.
const DOCUMENT_BYTES: u64 = 4 << 20;
const DIGEST: HeaderName = HeaderName::from_static("docker-content-digest");

impl Visit {
    /// `PUT`: proxy, immutability, form, quota, engine, rows, in this order.
    pub(super) async fn put_document(self, reference: Reference) -> Response {
        if let Some(refusal) = self.is_proxy() {
            return self.refuse(refusal).await;
        }
        if let Reference::Tag(tag) = &reference {
            let immutable = lock(&self.harbor.state).projects[self.project()].is_immutable(self.repository(), tag);
            if immutable {
                let why = immutable_sentence(self.repository(), tag);
                return self.refuse(answers::core(412, "PRECONDITION", why)).await;
            }
        }
        let media_type = MediaType::new(self.header(CONTENT_TYPE).unwrap_or_default());
        let (harbor, name, base) = (Arc::clone(&self.harbor), self.name.clone(), self.base());
        let (project, repository) = (self.project().to_owned(), self.repository().to_owned());
        let Ok(bytes) = read_body(Request::from_parts(self.parts, self.body), DOCUMENT_BYTES).await else {
            return answers::engine(400, "MANIFEST_INVALID", "http: request body too large");
        };
        let taken = harbor.take_document(&name, (&project, &repository), bytes, media_type, &reference);
        taken.map_or_else(
            |refusal| *refusal,
            |document| {
                let mut response = answers::empty(201);
                let digest = document.descriptor.digest.to_string();
                answers::set(&mut response, LOCATION, &format!("{base}/v2/{name}/manifests/{digest}"));
                answers::set(&mut response, DIGEST, &digest);
                if let Some(subject) = document.parsed.subject() {
                    let header = HeaderName::from_static("oci-subject");
                    answers::set(&mut response, header, &subject.digest.to_string());
                }
                response
            },
        )
    }

    /// `GET` and `HEAD`: content trust, vulnerabilities, rows, engine, in this order.
    pub(super) async fn get_document(self, reference: Reference) -> Response {
        let found = {
            let state = lock(&self.harbor.state);
            let repo = state.repo(self.project(), self.repository());
            let artifact = repo.and_then(|repo| Some((repo, repo.find(&reference)?)));
            match artifact {
                None => Err(answers::no_artifact(self.name.as_str(), &reference.to_string())),
                Some((repo, artifact)) => match self.gated(&state, repo, artifact) {
                    Some(refusal) => Err(refusal),
                    None => Ok(artifact.descriptor.clone()),
                },
            }
        };
        let descriptor = match found {
            Ok(descriptor) => descriptor,
            Err(refusal) => return refusal,
        };
        let digest = &descriptor.digest;
        if self.header(IF_NONE_MATCH).is_some_and(|tag| tag.trim_matches('"') == digest.to_string()) {
            return answers::empty(304);
        }
        if !self.accepts(&descriptor.media_type) {
            let why = "OCI manifest found, but accept header does not support OCI manifests";
            return answers::engine(404, "MANIFEST_UNKNOWN", why);
        }
        let path = format!("/v2/{}/manifests/{digest}", self.name);
        self.engine(&path).await
    }

    /// Returns whether the client can read a document; Docker's own are given to everybody.
    fn accepts(&self, media_type: &MediaType) -> bool {
        let stated = self.parts.headers.get_all(ACCEPT).iter().filter_map(|value| value.to_str().ok());
        let mut types = stated.flat_map(|value| value.split(',')).map(MediaType::new);
        !media_type.as_str().contains("vnd.oci") || types.any(|accepted| accepted == *media_type)
    }

    /// Returns the refusal of the project's policies, if any.
    fn gated(&self, state: &super::State, repo: &Repo, artifact: &Artifact) -> Option<Response> {
        let project = &state.projects[self.project()];
        let digest = &artifact.descriptor.digest;
        if repo.is_signature(digest) {
            return None;
        }
        let policy = |why: String| Some(answers::core(412, "PROJECTPOLICYVIOLATION", why));
        for (key, kind, tool) in [
            ("enable_content_trust_cosign", "signature.cosign", "cosign"),
            ("enable_content_trust", "signature.notation", "notation"),
        ] {
            let signed = repo.accessories.iter().any(|a| a.subject == *digest && a.kind == kind);
            if project.is_set(key) && !signed {
                return policy(format!("The image is not signed by {tool}."));
            }
        }
        if !project.is_set("prevent_vul") {
            return None;
        }
        let scannable = state.scanner && artifact.kind() == "IMAGE";
        let Some(scan) = artifact.scan.as_ref().filter(|_| scannable || state.version >= HarborVersion::V2_14_3) else {
            let why = "current image without vulnerability scanning cannot be pulled due to configured policy";
            return if scannable { policy(why.to_owned()) } else { None };
        };
        if scan.status != "Success" {
            return policy(format!("current image with scan status {:?} cannot be pulled", scan.status));
        }
        let threshold = project.metadata.get("severity").map_or("", String::as_str);
        let is_index = matches!(artifact.document, ImageDocument::Index(_));
        if !is_index && rank(&scan.severity) >= rank(threshold) {
            let why = format!(
                "current image with 1 vulnerabilities cannot be pulled due to configured policy in 'Prevent images with vulnerability severity of {threshold:?} or higher from running.'"
            );
            return policy(why);
        }
        None
    }

    /// `DELETE`: by digest only.
    pub(super) async fn delete_document(self, reference: Reference) -> Response {
        let Reference::Digest(digest) = &reference else {
            return answers::core(400, "UNSUPPORTED", "only support to delete manifest by digest");
        };
        let known = lock(&self.harbor.state)
            .repo(self.project(), self.repository())
            .is_some_and(|repo| repo.artifacts.contains_key(digest));
        if !known {
            return answers::no_artifact(self.name.as_str(), &digest.to_string());
        }
        match self.harbor.delete_artifact(self.project(), self.repository(), digest) {
            Ok(()) => answers::empty(202),
            Err(refusal) => *refusal,
        }
    }

    /// Lists tags from the tables.
    pub(super) fn list_tags(&self) -> Response {
        let state = lock(&self.harbor.state);
        let Some(repo) = state.repo(self.project(), self.repository()) else {
            return answers::core(404, "NOT_FOUND", format!("repository {} not found", self.name));
        };
        let query = query_of(&self.parts.uri);
        let value = |key: &str| query.iter().find(|(k, _)| k == key).map(|(_, value)| value.as_str());
        let limit = match value("n").map(str::parse::<usize>) {
            None => usize::MAX,
            Some(Ok(n)) => n,
            Some(Err(_)) => return answers::core(400, "BAD_REQUEST", "the value of n is not a number"),
        };
        let last = value("last").unwrap_or_default();
        let mut rest = repo.tags.keys().map(Tag::as_str).filter(|tag| last.is_empty() || *tag > last);
        let shown: Vec<&str> = rest.by_ref().take(limit).collect();
        let mut response = answers::json_of(200, &json!({ "name": self.name.as_str(), "tags": shown }));
        if let (Some(last), Some(_)) = (shown.last(), rest.next()) {
            let link = format!("</v2/{}/tags/list?last={last}&n={limit}>; rel=\"next\"", self.name);
            answers::set(&mut response, LINK, &link);
        }
        response
    }

    /// Lists referrers from the table of accessories; a tag of the tag schema is not looked at.
    pub(super) fn list_referrers(&self, subject: &Digest) -> Response {
        let state = lock(&self.harbor.state);
        let wanted = self.value("artifactType").filter(|wanted| !wanted.is_empty());
        let mut shown: Vec<&Descriptor> = Vec::new();
        if let Some(repo) = state.repo(self.project(), self.repository()) {
            for accessory in repo.accessories.iter().filter(|accessory| accessory.subject == *subject) {
                if !repo.artifacts.contains_key(&accessory.shown.digest) {
                    return answers::no_artifact(self.name.as_str(), &accessory.shown.digest.to_string());
                }
                shown.push(&accessory.shown);
            }
        }
        let fits = |d: &&Descriptor| {
            wanted.as_deref().is_none_or(|w| d.artifact_type.as_ref().is_some_and(|t| t.as_str() == w))
        };
        shown.retain(fits);
        let total = shown.len().to_string();
        let index = json!({ "schemaVersion": 2, "mediaType": MediaType::OCI_INDEX, "manifests": shown });
        let mut response = answers::json_of(200, &index);
        answers::set(&mut response, CONTENT_TYPE, MediaType::OCI_INDEX);
        answers::set(&mut response, HeaderName::from_static("x-total-count"), &total);
        if wanted.is_some() {
            answers::set(&mut response, HeaderName::from_static("oci-filters-applied"), "artifactType");
        }
        if self.parts.method == Method::HEAD { answers::empty(200) } else { response }
    }
}

impl Harbor {
    /// Checks a document, lets the engine keep it, and makes rows for it.
    fn take_document(
        &self,
        name: &Name,
        (project, repository): (&str, &str),
        bytes: Vec<u8>,
        media_type: MediaType,
        reference: &Reference,
    ) -> Result<Document, Box<Response>> {
        let invalid =
            |why: String| Box::new(answers::core(400, "MANIFEST_INVALID", format!("unmarshal manifest failed: {why}")));
        let parsed = ImageDocument::parse(&bytes, &media_type).map_err(|e| invalid(e.to_string()))?;
        let untyped =
            media_type.as_str() == MediaType::DOCKER_LIST && !String::from_utf8_lossy(&bytes).contains("\"mediaType\"");
        if untyped {
            return Err(invalid("a list must carry its mediaType".to_owned()));
        }
        let digest = Digest::of(&bytes);
        let descriptor = Descriptor::new(media_type, Content { digest, size: bytes.len() as u64 });
        let document = Document { bytes, descriptor, parsed };
        let cost = {
            let state = lock(&self.state);
            let cost = state.cost(project, &document.descriptor, &document.parsed);
            let refusal = state.projects.get(project).filter(|_| cost > 0).and_then(|row| row.refuses(cost));
            match refusal {
                Some(sentence) => return Err(Box::new(answers::core(403, "DENIED", sentence))),
                None => cost,
            }
        };
        let tag = match reference {
            Reference::Tag(tag) => Some(tag),
            Reference::Digest(want) if *want != document.descriptor.digest => {
                let why = "provided digest did not match uploaded content";
                return Err(Box::new(answers::engine(400, "DIGEST_INVALID", why)));
            }
            Reference::Digest(_) => None,
        };
        let tags: Vec<Tag> = tag.into_iter().cloned().collect();
        let missing = self.engine.stock.folder().unwrap().keep_document(name, &document, &tags).unwrap();
        if !missing.is_empty() {
            return Err(Box::new(answers::blobs_unknown(missing.iter().map(ToString::to_string))));
        }
        let mut state = lock(&self.state);
        let rows = state.repo(project, repository);
        let has_row = |child: &Digest| rows.is_some_and(|repo| repo.artifacts.contains_key(child));
        if let ImageDocument::Index(index) = &document.parsed {
            // A parent and a child make one row; the second is refused, and all that was written is taken back.
            let mut pairs = BTreeSet::new();
            if !index.manifests.iter().all(|child| pairs.insert(&child.digest)) {
                return Err(Box::new(answers::no_artifact(name.as_str(), &document.descriptor.digest.to_string())));
            }
        }
        if let ImageDocument::Index(index) = &document.parsed
            && let Some(child) = index.manifests.iter().find(|child| !has_row(&child.digest))
        {
            return Err(Box::new(answers::no_artifact(name.as_str(), &child.digest.to_string())));
        }
        if let Some(row) = state.projects.get_mut(project) {
            row.used += cost;
        }
        state.note_document((project, repository), &document.descriptor, &document.parsed, tag);
        Ok(document)
    }

    /// Deletes an artifact from the tables. The engine keeps its bytes until garbage is collected.
    pub(super) fn delete_artifact(
        &self,
        project: &str,
        repository: &str,
        digest: &Digest,
    ) -> Result<(), Box<Response>> {
        let mut state = lock(&self.state);
        if let Some((status, code, why)) = state.forbids_deletion(project, repository, digest) {
            return Err(Box::new(answers::core(status, code, why)));
        }
        state.delete_artifact(project, repository, digest);
        Ok(())
    }

    /// Collects garbage in tables and engine.
    pub(super) fn collect_garbage(&self, untagged: bool) -> Vec<Digest> {
        let mut state = lock(&self.state);
        let blobs = state.collect(untagged);
        for name in self.engine.stock.folder().unwrap().repositories().unwrap() {
            for digest in &blobs {
                self.engine.stock.folder().unwrap().delete_document(&name, digest).unwrap();
                self.engine.stock.folder().unwrap().delete_blob(&name, digest).unwrap();
            }
        }
        blobs
    }

    /// Returns the names of all repositories, sorted.
    pub(super) fn repositories(&self) -> Vec<String> {
        let state = lock(&self.state);
        let of = |(project, row): (&String, &super::state::Project)| {
            row.repositories.keys().map(|repository| format!("{project}/{repository}")).collect::<Vec<_>>()
        };
        let mut names: Vec<String> = state.projects.iter().flat_map(of).collect();
        names.sort();
        names
    }
}
