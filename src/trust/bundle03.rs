//! Sigstore bundles, version 0.3: the guard in front of the verifier.
//!
//! The verifying library accepts some bundles that must not count: a label of an older version that weakens the
//! log's part, two contents of which it judges one, a checkpoint by another log of the same root, a second log
//! entry without proof. What it does not ask is asked here, on the text as it came, before it sees the bundle.

use super::envelope::{EntryKind, Envelope};
use super::outcome::Refusal;
use super::roots::Root;
use crate::model::json;
use serde::Deserialize;
use serde::de::IgnoredAny;
use sigstore_crypto::VerificationKey;
use sigstore_types::bundle::TransparencyLogEntry;
use sigstore_types::{Bundle, KindVersion};

/// Spellings of version 0.3. Older versions are refused: their label switches the demand for a proof off.
const MEDIA_TYPES: [&str; 2] =
    ["application/vnd.dev.sigstore.bundle.v0.3+json", "application/vnd.dev.sigstore.bundle+json;version=0.3"];
/// Older versions, for files only.
const OLDER_MEDIA_TYPES: [&str; 2] =
    ["application/vnd.dev.sigstore.bundle+json;version=0.1", "application/vnd.dev.sigstore.bundle+json;version=0.2"];
const OLDER: &str = "application/vnd.dev.sigstore.bundle+json;version=0.";

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Shape {
    #[serde(rename = "mediaType")]
    _media_type: String,
    verification_material: Material,
    message_signature: Option<MessageSignature>,
    dsse_envelope: Option<Envelope>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Material {
    certificate: Option<IgnoredAny>,
    public_key: Option<IgnoredAny>,
    x509_certificate_chain: Option<IgnoredAny>,
    tlog_entries: Option<Vec<Entry>>,
    #[serde(rename = "timestampVerificationData")]
    _timestamps: Option<Timestamps>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Timestamps {
    #[serde(rename = "rfc3161Timestamps")]
    _tokens: Option<Vec<Timestamp>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Timestamp {
    #[serde(rename = "signedTimestamp")]
    _token: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Entry {
    #[serde(rename = "logIndex")]
    _log_index: Option<IgnoredAny>,
    #[serde(rename = "logId")]
    _log_id: IgnoredAny,
    kind_version: EntryKind,
    #[serde(rename = "integratedTime")]
    _integrated_time: Option<IgnoredAny>,
    #[serde(rename = "inclusionPromise")]
    _promise: Option<IgnoredAny>,
    #[serde(rename = "inclusionProof")]
    _proof: Option<Proof>,
    #[serde(rename = "canonicalizedBody")]
    _body: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Proof {
    #[serde(rename = "logIndex")]
    _log_index: Option<IgnoredAny>,
    #[serde(rename = "rootHash")]
    _root_hash: IgnoredAny,
    #[serde(rename = "treeSize")]
    _tree_size: IgnoredAny,
    #[serde(rename = "hashes")]
    _hashes: Option<IgnoredAny>,
    #[serde(rename = "checkpoint")]
    _checkpoint: Option<Checkpoint>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Checkpoint {
    #[serde(rename = "envelope")]
    _envelope: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct MessageSignature {
    #[serde(rename = "messageDigest")]
    _digest: Option<IgnoredAny>,
    #[serde(rename = "signature")]
    _signature: String,
}

/// Reads a bundle from `raw`: one reading only, of the one version that counts, with one content.
pub(super) fn read(raw: &[u8]) -> Result<Bundle, Refusal> {
    read_versions(raw, &MEDIA_TYPES)
}

/// Reads a bundle of version 0.1, 0.2 or 0.3 over a file. [`admit`] asks the same of all three.
pub(super) fn read_any(raw: &[u8]) -> Result<Bundle, Refusal> {
    let older = OLDER_MEDIA_TYPES.into_iter().chain(MEDIA_TYPES);
    read_versions(raw, &older.collect::<Vec<_>>())
}

fn read_versions(raw: &[u8], known: &[&str]) -> Result<Bundle, Refusal> {
    let broken = |e: json::JsonError| Refusal::form(format!("the bundle does not parse: {e}"));
    json::check(raw).map_err(broken)?;
    let label: Label = serde_json::from_slice(raw).map_err(|e| broken(e.into()))?;
    let label = label.check(known)?;
    let shape: Shape = serde_json::from_slice(raw).map_err(|e| broken(e.into()))?;
    shape.check(OLDER_MEDIA_TYPES.contains(&label.as_str()))?;
    serde_json::from_slice(raw).map_err(|e| broken(e.into()))
}

/// Checks what the verifier does not: every log entry is of a log of this root, proven, and proven by that log.
pub(super) fn admit(bundle: &Bundle, root: &Root) -> Result<(), Refusal> {
    let entries = &bundle.verification_material.tlog_entries;
    for (at, entry) in entries.iter().enumerate() {
        if entries[..at].iter().any(|other| other.canonicalized_body == entry.canonicalized_body) {
            return Err(Refusal::bad("the bundle has the same log entry twice"));
        }
        admit_entry(entry, root)?;
    }
    Ok(())
}

/// Why a log entry of an unknown log is no scandal: it is the commonest honest failure.
pub(super) fn unknown_log(id: &str, root: &Root) -> Refusal {
    let name = &root.used.name;
    Refusal::unknown(format!("log entry of a log that the trust root {name:?} does not know ({id})"))
        .hint("is the trusted root older than the signature? Fetch the current one and pin it again")
}

fn admit_entry(entry: &TransparencyLogEntry, root: &Root) -> Result<(), Refusal> {
    let id = entry.log_id.key_id.to_string();
    let log = root.log(&entry.log_id).ok_or_else(|| unknown_log(&id, root))?;
    let proof = entry.inclusion_proof.as_ref();
    let proof = proof.ok_or_else(|| Refusal::bad("a log entry has no inclusion proof"))?;
    let note = proof.checkpoint.checkpoint();
    let note = note.ok_or_else(|| Refusal::bad("the inclusion proof of a log entry has no checkpoint"))?;
    if entry.kind_version != KindVersion::HashedRekordV002 {
        if entry.integrated_time.is_some() != entry.inclusion_promise.is_some() {
            return Err(Refusal::bad("a log entry has a time without a promise that vouches for it, or the reverse"));
        }
        if note.tree_size() != proof.tree_size {
            return Err(Refusal::bad("the inclusion proof and its checkpoint are about trees of different sizes"));
        }
    }
    let key = VerificationKey::from_spki(&log.public_key.raw_bytes)
        .map_err(|e| Refusal::unknown(format!("the key of log {id} cannot be used: {e}")))?;
    let hint = entry.log_id.key_id.as_bytes().get(..4).unwrap_or_default();
    let by_this_log = note
        .signatures()
        .iter()
        .any(|s| s.key_id.as_bytes()[..] == *hint && key.verify(note.signed_data(), &s.signature).is_ok());
    if by_this_log {
        Ok(())
    } else {
        Err(Refusal::bad(format!("the checkpoint is not signed by the log that the entry names ({id})")))
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Label {
    media_type: Option<String>,
}

impl Label {
    /// Returns the version's spelling, where it is one of `known`.
    fn check(self, known: &[&str]) -> Result<String, Refusal> {
        match self.media_type.as_deref() {
            None => Err(Refusal::form("the bundle does not say which version it is (no mediaType)")),
            Some(label) if known.contains(&label) => Ok(label.to_owned()),
            Some(old) if old.starts_with(OLDER) => {
                Err(Refusal::unknown("bundle version too old: 0.3 is the first that counts in a registry")
                    .hint("sign it again with a current cosign"))
            }
            Some(other) => Err(Refusal::unknown(format!("unsupported bundle type {other:?}"))),
        }
    }
}

impl Shape {
    fn check(&self, older: bool) -> Result<(), Refusal> {
        match (&self.message_signature, &self.dsse_envelope) {
            (Some(_), Some(_)) => return Err(Refusal::form("the bundle has two contents")),
            (None, None) => return Err(Refusal::form("the bundle has no content")),
            (None, Some(envelope)) => envelope.only_signature().map(|_| ())?,
            (Some(_), None) => {}
        }
        let material = &self.verification_material;
        if material.x509_certificate_chain.is_some() && !older {
            return Err(Refusal::unknown("the bundle carries a certificate chain, which version 0.3 does not have"));
        }
        let certificates = [&material.certificate, &material.x509_certificate_chain].into_iter().flatten().count();
        if certificates + usize::from(material.public_key.is_some()) != 1 {
            return Err(Refusal::form("the bundle needs either a certificate or a public key"));
        }
        material.tlog_entries.iter().flatten().try_for_each(|entry| entry.kind_version.check())
    }
}
