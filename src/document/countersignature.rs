//! The countersignature: somebody's signed word about a bundle, and the record of every signature over one.
//!
//! `airlift countersign` writes it, canonical JSON: which bundle, under which signature of its author, what was
//! checked before it was signed, and, where there is one, the report of a scan by digest. Its time is claimed by who
//! signed; nobody else vouches for it. [`Mark`] is what a reader found of each signature; it stands in results,
//! receipts and the bill of lading.

use super::{Envelope, PaperError};
use crate::model::{Digest, MediaType, Verdict};
use serde::{Deserialize, Serialize};

/// Kind of the paper.
pub const KIND: &str = "Countersignature";

/// Countersignature: `kind: Countersignature`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct CountersignatureStatement {
    /// Opening.
    #[serde(flatten)]
    pub envelope: Envelope,
    /// Bundle: digest of its `airlift/head.json`.
    pub bundle: Digest,
    /// Digest of the author's envelope as it stood in the bundle; absent where it was not signed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub signature: Option<Digest>,
    /// Keys that were accepted for the bundle when it was checked, sorted.
    pub accepted: Vec<Digest>,
    /// What was checked before it was signed.
    pub checked: CheckedBefore,
    /// Report about the content, where there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub report: Option<ReportReference>,
    /// Words of who signs, where there are any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub statement: Option<String>,
    /// Time, RFC 3339, as the clock of who signs had it.
    pub claimed_time: String,
    /// Program and version.
    pub tool: String,
}

/// What whoever countersigns had checked before.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct CheckedBefore {
    /// Who had signed the bundle, or why it was accepted without.
    pub authenticity: String,
    /// Artifacts in it.
    pub artifacts: u64,
    /// Volumes that were read.
    pub volumes: u64,
    /// Bytes that were read.
    pub bytes: u64,
    /// Policy by which every artifact was accepted; absent where only bytes and signatures were checked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub policy: Option<PolicyReference>,
}

/// A policy, by the name of its file and its content.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PolicyReference {
    /// Name of the file, or of the flags that made it.
    pub name: String,
    /// Digest of its text.
    pub digest: Digest,
}

/// A report that somebody made elsewhere: a scan, a review.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ReportReference {
    /// Name of the file.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Type, as who signs named it.
    pub media_type: MediaType,
    /// Digest of its bytes.
    pub digest: Digest,
    /// Its size in bytes, where who signs had it at hand.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub size: Option<u64>,
    /// Where it is kept.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub uri: Option<String>,
    /// Whether the countersignature's file carries its bytes.
    pub carried: bool,
}

impl CountersignatureStatement {
    /// Reads a statement; what is not spelled exactly as [`Self::to_bytes`] spells it is refused.
    pub fn read(bytes: &[u8], place: &str) -> Result<Self, PaperError> {
        let read: Self = super::read_json(bytes, place, KIND)?;
        if read.to_bytes() == bytes {
            return Ok(read);
        }
        Err(PaperError::Meaning { place: place.to_owned(), why: "it is not spelled as airlift spells it".to_owned() })
    }

    /// Returns the statement as canonical JSON with a newline at its end.
    pub fn to_bytes(&self) -> Vec<u8> {
        super::write_json(self)
    }
}

/// What whoever made a signature is to the bundle.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum MarkRole {
    /// It stands in the bundle itself.
    Author,
    /// It stands in a file beside the bundle.
    Countersigner,
}

/// One signature over a bundle, as it was found and judged.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Mark {
    /// Where it stands.
    pub role: MarkRole,
    /// File, or `airlift/head.sig`.
    pub place: String,
    /// Name of who signed, where one was given to the key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Key: the one that made it where that was verified, otherwise as it states it.
    pub key: String,
    /// Judgement.
    pub verdict: Verdict,
    /// Reason in words.
    pub reason: String,
    /// What was signed, of a countersignature that is about this bundle. Believe it as far as `verdict` goes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub says: Option<Box<CountersignatureStatement>>,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn statement() -> CountersignatureStatement {
        CountersignatureStatement {
            envelope: Envelope::new(KIND),
            bundle: Digest::of(b"head"),
            signature: Some(Digest::of(b"envelope")),
            accepted: vec![Digest::of(b"key")],
            checked: CheckedBefore {
                authenticity: "signed by alice".into(),
                artifacts: 3,
                volumes: 2,
                bytes: 9,
                policy: Some(PolicyReference { name: "policy.yaml".into(), digest: Digest::of(b"policy") }),
            },
            report: None,
            statement: Some("scanned \"twice\"\n".into()),
            claimed_time: "2031-01-02T03:04:05Z".into(),
            tool: "airlift 0".into(),
        }
    }

    #[test]
    fn a_statement_is_read_as_it_was_written_and_in_no_other_spelling() {
        let bytes = statement().to_bytes();
        assert_eq!(CountersignatureStatement::read(&bytes, "x").unwrap(), statement());
        let text = String::from_utf8(bytes).unwrap();
        for other in [
            text.replace(",\"accepted\"", ", \"accepted\""),
            text.trim_end().to_owned(),
            text.replace("\"tool\"", "\"more\":1,\"tool\""),
            text.replace("\"tool\"", "\"tool\":\"x\",\"tool\""),
            text.replace("\"artifacts\":3", "\"artifacts\":3.0"),
            text.replace("Countersignature", "Receipt"),
            text.replace("v1alpha1", "v9"),
        ] {
            assert_ne!(other, text);
            assert!(CountersignatureStatement::read(other.as_bytes(), "x").is_err(), "{other}");
        }
    }
}
