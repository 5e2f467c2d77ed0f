//! The statement (`airlift/head.json`): what is inside, as small canonical JSON. This is what an author signs.
//!
//! It holds no clock time and nothing physical: cutting the same content into other volumes gives the same
//! statement, so a signature survives it.

use super::inventory::{self, InventoryRecord};
use crate::model::json::{self, JsonError};
use crate::model::{Content, Digest, limits};
use serde::{Deserialize, Serialize};

const API_VERSION: &str = "airlift/v1alpha1";
const KIND: &str = "BundleStatement";
/// Name of the document that states the bases of a delta.
pub(super) const BASE: &str = "airlift/base.json";

/// Statement of a bundle.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct Statement {
    api_version: String,
    kind: String,
    /// Documents of the head, in their order.
    pub documents: Vec<Named>,
    /// Number of blobs.
    pub blobs: u64,
    /// Their bytes.
    pub bytes: u64,
    /// What of them is left out; absent in a bundle that is no delta.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub omitted: Option<Omitted>,
}

/// What a delta leaves out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Omitted {
    /// Number of blobs.
    pub blobs: u64,
    /// Their bytes.
    pub bytes: u64,
}

/// One document of the head.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Named {
    /// Name in the tar stream.
    pub name: String,
    /// Digest of its bytes, SHA-256.
    pub digest: Digest,
    /// Its size in bytes.
    pub size: u64,
}

/// Why a statement cannot be used.
#[derive(Debug, thiserror::Error)]
pub(super) enum StatementError {
    #[error("it does not parse: {0}")]
    Json(#[from] JsonError),
    #[error("its apiVersion is {0:?}, this program reads {API_VERSION:?}")]
    Later(String),
    #[error("it is no canonical statement of a bundle")]
    Shape,
}

impl Statement {
    /// States what the head and the inventory hold. The sum of all sizes must fit 63 bits. It is that of a delta where one
    /// of the documents states bases.
    pub(super) fn new(documents: &[(&str, &[u8])], inventory: &[InventoryRecord]) -> Self {
        let named = |(name, bytes): &(&str, &[u8])| Named {
            name: (*name).to_owned(),
            digest: Digest::of(bytes),
            size: bytes.len() as u64,
        };
        let omitted = || Omitted {
            blobs: inventory.iter().filter(|record| record.omitted).count() as u64,
            bytes: inventory::total(inventory) - inventory::carried(inventory),
        };
        Self {
            omitted: documents.iter().any(|(name, _)| *name == BASE).then(omitted),
            api_version: API_VERSION.to_owned(),
            kind: KIND.to_owned(),
            documents: documents.iter().map(named).collect(),
            blobs: inventory.len() as u64,
            bytes: inventory::total(inventory),
        }
    }

    /// Returns the bytes that are signed.
    pub(super) fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = json::canonical(self);
        bytes.push(b'\n');
        bytes
    }

    /// Reads a statement; what is not spelled exactly as [`Self::to_bytes`] spells it is refused.
    pub(super) fn parse(bytes: &[u8]) -> Result<Self, StatementError> {
        #[derive(Deserialize)]
        #[serde(rename_all = "camelCase")]
        struct Opening {
            api_version: String,
            kind: String,
        }
        json::check(bytes)?;
        let opening: Opening = serde_json::from_slice(bytes).map_err(JsonError::from)?;
        if opening.kind != KIND {
            return Err(StatementError::Shape);
        }
        if opening.api_version != API_VERSION {
            return Err(StatementError::Later(opening.api_version));
        }
        let statement: Self = serde_json::from_slice(bytes).map_err(JsonError::from)?;
        let small = statement.documents.iter().all(|document| document.size <= limits::HEAD_DOCUMENT_BYTES);
        if small && statement.to_bytes() == bytes { Ok(statement) } else { Err(StatementError::Shape) }
    }

    /// Returns whether `content` is what the statement says about the document `name`.
    pub(super) fn names(&self, name: &str, content: &Content) -> bool {
        let mut found = self.documents.iter().filter(|document| document.name == name);
        found.next().is_some_and(|named| named.digest == content.digest && named.size == content.size)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bundle::Class;

    fn statement() -> Statement {
        let blob = InventoryRecord { digest: Digest::of(b"x"), size: 7, class: Class::Payload, omitted: false };
        Statement::new(&[("oci-layout", b"{}"), ("index.json", b"[]")], &[blob])
    }

    #[test]
    fn a_statement_is_read_as_it_was_written_and_in_no_other_spelling() {
        let bytes = statement().to_bytes();
        assert_eq!(Statement::parse(&bytes).unwrap(), statement());
        let text = String::from_utf8(bytes).unwrap();
        for other in [
            text.replace(",\"bytes\"", ", \"bytes\""),
            text.trim_end().to_owned(),
            text.replace("\"blobs\":1", "\"blobs\":1.0"),
            text.replace("BundleStatement", "Lock"),
            text.replace("\"blobs\":1", "\"blobs\":1,\"more\":2"),
            text.replace("\"blobs\":1", "\"blobs\":1,\"blobs\":1"),
        ] {
            assert!(Statement::parse(other.as_bytes()).is_err(), "{other}");
        }
        let later = text.replace("v1alpha1", "v9");
        assert!(matches!(Statement::parse(later.as_bytes()), Err(StatementError::Later(v)) if v == "airlift/v9"));
    }

    #[test]
    fn the_statement_of_a_delta_says_what_is_left_out() {
        let blob = |text: &[u8], size, omitted| InventoryRecord {
            digest: Digest::of(text),
            size,
            class: Class::Payload,
            omitted,
        };
        let inventory = [blob(b"x", 7, false), blob(b"y", 100, true)];
        let bytes = Statement::new(&[("oci-layout", b"{}"), (BASE, b"{}")], &inventory).to_bytes();
        let text = String::from_utf8(bytes.clone()).unwrap();
        let ending = "\"blobs\":2,\"bytes\":107,\"omitted\":{\"blobs\":1,\"bytes\":100}}\n";
        assert!(text.ends_with(ending), "{text}");
        assert_eq!(Statement::parse(&bytes).unwrap().to_bytes(), bytes);
        assert!(Statement::parse(text.replace("\"blobs\":1,", "").as_bytes()).is_err());
    }

    #[test]
    fn a_document_is_known_by_name_digest_and_size() {
        let of = |bytes: &[u8]| Content { digest: Digest::of(bytes), size: bytes.len() as u64 };
        assert!(statement().names("oci-layout", &of(b"{}")));
        assert!(!statement().names("oci-layout", &of(b"[]")));
        assert!(!statement().names("airlift/lock.json", &of(b"{}")));
    }
}
