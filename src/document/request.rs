//! The request: what an import found missing at its destination, for `pack --request` to carry afterwards.
//!
//! Canonical JSON. It travels back from the far side and is a wish, no proof: whoever packs by it takes every artifact from
//! a lock of his own and judges it under his own policy.

use super::lock::Target;
use super::{API_VERSION, PaperError};
use crate::model::{Digest, ImageRef};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Kind of the paper.
pub const KIND: &str = "Request";

/// Request: `kind: Request`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Request {
    api_version: String,
    kind: String,
    /// Program and version.
    pub tool: String,
    /// Delta that could not be imported.
    pub bundle: Digest,
    /// Host and prefix, or folder, that lacks something.
    pub destination: String,
    /// Artifacts that lack something, in the order of the delta's lock; one at least.
    pub artifacts: Vec<RequestedFor>,
}

/// One artifact with what it lacks.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct RequestedFor {
    /// Source as the lock names it.
    pub source: ImageRef,
    /// Digest of the artifact.
    pub digest: Digest,
    /// Where it goes, behind the host and prefix.
    pub destination: Target,
    /// Blobs that are missing, in the order in which the artifact needs them; one at least.
    pub blobs: Vec<RequestedBlob>,
}

/// One blob that is missing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RequestedBlob {
    /// Which.
    pub digest: Digest,
    /// Its size in bytes.
    pub size: u64,
}

impl Request {
    /// Makes a request for what `artifacts` lack to complete `bundle` at `destination`.
    pub fn new(bundle: Digest, destination: String, artifacts: Vec<RequestedFor>) -> Self {
        Self {
            api_version: API_VERSION.to_owned(),
            kind: KIND.to_owned(),
            tool: format!("airlift {}", env!("CARGO_PKG_VERSION")),
            bundle,
            destination,
            artifacts,
        }
    }

    /// Reads a request from the file that a person calls `place`. Unknown fields are refused.
    pub fn read(bytes: &[u8], place: &str) -> Result<Self, PaperError> {
        let request: Self = super::read_json(bytes, place, KIND)?;
        request.objection().map_or(Ok(()), |why| Err(PaperError::Meaning { place: place.to_owned(), why }))?;
        Ok(request)
    }

    /// Returns the request as canonical JSON with a newline at its end.
    pub fn to_bytes(&self) -> Vec<u8> {
        super::write_json(self)
    }

    /// Returns each blob that is missing once, with its size.
    pub fn blobs(&self) -> BTreeMap<&Digest, u64> {
        self.artifacts.iter().flat_map(|artifact| &artifact.blobs).map(|blob| (&blob.digest, blob.size)).collect()
    }

    fn objection(&self) -> Option<String> {
        if self.artifacts.is_empty() {
            return Some("it asks for nothing".to_owned());
        }
        let mut sizes = BTreeMap::new();
        for artifact in &self.artifacts {
            if artifact.blobs.is_empty() {
                return Some(format!("{} lacks nothing", artifact.source));
            }
            for blob in &artifact.blobs {
                if *sizes.entry(&blob.digest).or_insert(blob.size) != blob.size {
                    return Some(format!("{} has two sizes", blob.digest));
                }
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn request() -> Request {
        let blob = |text: &str| RequestedBlob { digest: Digest::of(text.as_bytes()), size: text.len() as u64 };
        let artifact = |name: &str, blobs| RequestedFor {
            source: format!("h.example/{name}:1").parse().unwrap(),
            digest: Digest::of(name.as_bytes()),
            destination: Target { repository: name.to_owned(), tag: Some("1".parse().unwrap()) },
            blobs,
        };
        let artifacts =
            vec![artifact("a/b", vec![blob("base"), blob("x")]), artifact("a/c", vec![blob("base"), blob("yyy")])];
        Request::new(Digest::of(b"delta"), "harbor.site.example/mirror".to_owned(), artifacts)
    }

    #[test]
    fn a_request_reads_back_as_it_was_written_and_counts_each_blob_once() {
        let bytes = request().to_bytes();
        assert_eq!(Request::read(&bytes, "x").unwrap(), request());
        assert_eq!((request().blobs().len(), request().blobs().values().sum::<u64>()), (3, 8));
    }

    #[test]
    fn unknown_fields_other_papers_and_later_versions_are_refused() {
        let text = String::from_utf8(request().to_bytes()).unwrap();
        for (from, to) in [
            ("\"tool\"", "\"more\":1,\"tool\""),
            ("\"size\":4", "\"size\":4,\"from\":0"),
            ("\"size\":4", "\"size\":-4"),
            ("\"Request\"", "\"Receipt\""),
            ("airlift/v1alpha1", "airlift/v2"),
            ("\"bundle\"", "\"bundle\":\"x\",\"bundle\""),
        ] {
            assert!(text.contains(from), "{from}");
            assert!(Request::read(text.replacen(from, to, 1).as_bytes(), "x").is_err(), "{to}");
        }
    }

    #[test]
    fn what_cannot_be_meant_is_refused() {
        let refused = |change: &dyn Fn(&mut Request)| {
            let mut request = request();
            change(&mut request);
            Request::read(&request.to_bytes(), "x").unwrap_err().to_string()
        };
        assert!(refused(&|request| request.artifacts.clear()).contains("asks for nothing"));
        assert!(refused(&|request| request.artifacts[0].blobs.clear()).contains("lacks nothing"));
        assert!(refused(&|request| request.artifacts[1].blobs[0].size += 1).contains("two sizes"));
    }

    proptest! {
        #[test]
        fn what_reads_is_written_back_the_same(at in 0usize..2000, byte in any::<u8>()) {
            let mut bytes = request().to_bytes();
            let at = at % bytes.len();
            bytes[at] = byte;
            if let Ok(read) = Request::read(&bytes, "x") {
                prop_assert_eq!(Request::read(&read.to_bytes(), "y").unwrap(), read);
            }
        }
    }
}
