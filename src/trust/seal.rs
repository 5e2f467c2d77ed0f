//! Seals: signatures over airlift's own documents (head of a bundle, receipt, lock).
//!
//! A seal is a DSSE envelope around a small statement that names the document by size and SHA-256, so its
//! length does not grow with the document and several fit into the 4096 bytes of a bundle's slot:
//!
//! ```json
//! {"payloadType":"application/vnd.airlift.bundle.v1+json",
//!  "payload":"<base64 of {\"sha256\":\"…\",\"size\":N}>",
//!  "signatures":[{"keyid":"sha256:…","sig":"<base64>"}]}
//! ```
//!
//! What is signed is DSSE's pre-authentication encoding of type and statement, so a receipt's seal is no
//! bundle's seal. `keyid` is a hint and proves nothing. Blanks behind the envelope are ignored, because the
//! slot is filled with them. See `docs/adr/0004-sealing.md` for a check without airlift.

use super::keys::{KeyError, PublicKey, SigningKey};
use crate::model::Digest;
use crate::model::json;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

/// Type of a seal over the head of a bundle.
pub const BUNDLE_STATEMENT: &str = "application/vnd.airlift.bundle.v1+json";
/// Type of a seal over a receipt.
pub const RECEIPT_STATEMENT: &str = "application/vnd.airlift.receipt.v1+json";
/// Type of a seal over a countersignature: somebody else's word about a bundle.
pub const COUNTERSIGNATURE_STATEMENT: &str = "application/vnd.airlift.countersignature.v1+json";
/// Type of a seal over a lock.
pub const LOCK_STATEMENT: &str = "application/vnd.airlift.lock.v1+json";
/// Type of a seal over the record of a trusted root.
pub const ROOT_RECORD: &str = "application/vnd.airlift.trust-root.v1+json";
/// Room for a seal in a bundle, in bytes.
pub const SLOT_BYTES: usize = 4096;
/// Signatures that are tried in one seal.
const SIGNATURES: usize = 8;

/// Why a document was not sealed, or its seal does not hold.
#[derive(Debug, thiserror::Error)]
pub enum SealError {
    /// The slot is empty.
    #[error("it is not signed")]
    Unsigned,
    /// No envelope, or one that could be read in two ways.
    #[error("the signature does not parse: {0}")]
    Form(String),
    /// More than the slot holds.
    #[error("the signature has {found} bytes, the limit is {SLOT_BYTES}")]
    TooLarge {
        /// Size in bytes.
        found: usize,
    },
    /// More signatures than are tried.
    #[error("{found} signatures, the limit is {SIGNATURES}")]
    TooMany {
        /// How many.
        found: usize,
    },
    /// The seal of another kind of document.
    #[error("the signature is for {found:?}, expected {expected:?}")]
    Type {
        /// Type in the envelope.
        found: String,
        /// Type asked for.
        expected: String,
    },
    /// A good signature, but not over these bytes.
    #[error("{signer} signed {signed}, but this is {found}")]
    OtherDocument {
        /// Key that signed.
        signer: Digest,
        /// What was signed.
        signed: String,
        /// What is here.
        found: String,
    },
    /// One key signed twice in one envelope: somebody hopes to be counted as two.
    #[error("key {0} signs it twice")]
    Twice(Digest),
    /// A signature names an accepted key, and does not hold under it.
    #[error("the signature that names key {0} does not hold: it was changed, or what it is over was")]
    Broken(Digest),
    /// No key that is accepted made any of the signatures.
    #[error("no accepted key made the signature; it says it is by {}", .0.join(", "))]
    UnknownSigner(
        /// Key ids as the envelope states them: hints, not evidence.
        Vec<String>,
    ),
    /// The library failed to sign.
    #[error(transparent)]
    Key(#[from] KeyError),
}

/// A seal that holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sealed {
    /// Accepted keys that made it, by the SHA-256 of their public half; one at least, each once, sorted.
    pub keys: Vec<Digest>,
}

/// One signature of an envelope, as it was judged.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SealSignature {
    /// Key as the envelope states it: a hint, cut and printable.
    pub stated: String,
    /// Accepted key that made it; `None` where none did.
    pub key: Option<Digest>,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Envelope {
    payload_type: String,
    payload: String,
    signatures: Vec<Signature>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Signature {
    keyid: String,
    sig: String,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Statement {
    sha256: String,
    size: u64,
}

impl Statement {
    fn of(bytes: &[u8]) -> Self {
        Self { sha256: Digest::of(bytes).hex(), size: bytes.len() as u64 }
    }

    fn words(&self) -> String {
        format!("sha256:{} ({} bytes)", self.sha256, self.size)
    }
}

/// Seals `bytes` as `payload_type`. Returns the envelope, at most [`SLOT_BYTES`] long, no newline at its end.
pub fn seal(payload_type: &str, bytes: &[u8], key: &SigningKey) -> Result<Vec<u8>, SealError> {
    seal_by(payload_type, bytes, &[key])
}

/// Seals `bytes` as `payload_type` with up to eight keys.
pub fn seal_by(payload_type: &str, bytes: &[u8], keys: &[&SigningKey]) -> Result<Vec<u8>, SealError> {
    if keys.is_empty() {
        return Err(SealError::Unsigned);
    }
    if keys.len() > SIGNATURES {
        return Err(SealError::TooMany { found: keys.len() });
    }
    let mut once = BTreeSet::new();
    if let Some(twice) = keys.iter().map(|key| key.public().id()).find(|id| !once.insert(*id)) {
        return Err(SealError::Twice(twice.clone()));
    }
    let payload = json::canonical(&Statement::of(bytes));
    let signed = sigstore_types::pae(payload_type, &payload);
    let sign = |key: &&SigningKey| -> Result<Signature, KeyError> {
        Ok(Signature { keyid: key.public().id().to_string(), sig: STANDARD.encode(key.sign(&signed)?) })
    };
    let signatures = keys.iter().map(sign).collect::<Result<_, _>>()?;
    let payload_type = payload_type.to_owned();
    let envelope = json::canonical(&Envelope { payload_type, payload: STANDARD.encode(&payload), signatures });
    if envelope.len() > SLOT_BYTES {
        return Err(SealError::TooLarge { found: envelope.len() });
    }
    Ok(envelope)
}

/// Checks that one of the `accepted` keys sealed exactly `bytes` as `payload_type`.
///
/// `envelope` may be a whole slot: blanks behind the envelope are ignored, and only zeros mean that it is unsigned.
pub fn unseal(payload_type: &str, bytes: &[u8], envelope: &[u8], accepted: &[PublicKey]) -> Result<Sealed, SealError> {
    let signatures = signatures(payload_type, bytes, envelope, accepted)?;
    let keys: BTreeSet<Digest> = signatures.iter().filter_map(|signature| signature.key.clone()).collect();
    if keys.is_empty() {
        return Err(SealError::UnknownSigner(signatures.into_iter().map(|signature| signature.stated).collect()));
    }
    Ok(Sealed { keys: keys.into_iter().collect() })
}

/// Judges every signature of an envelope over exactly `bytes` as `payload_type`, in their order.
///
/// One by a key that is not accepted is no error; one that names an accepted key and does not hold is, and so is a
/// key that signs twice, and a signature that is good but about another document.
pub fn signatures(
    payload_type: &str,
    bytes: &[u8],
    envelope: &[u8],
    accepted: &[PublicKey],
) -> Result<Vec<SealSignature>, SealError> {
    let envelope = read(envelope)?;
    if envelope.payload_type != payload_type {
        return Err(SealError::Type { found: envelope.payload_type, expected: payload_type.to_owned() });
    }
    let payload = decode(&envelope.payload)?;
    let signed = sigstore_types::pae(payload_type, &payload);
    let judged: Vec<SealSignature> =
        envelope.signatures.iter().map(|signature| judge(signature, &signed, accepted)).collect::<Result<_, _>>()?;
    let mut seen = BTreeSet::new();
    if let Some(twice) = judged.iter().filter_map(|signature| signature.key.as_ref()).find(|key| !seen.insert(*key)) {
        return Err(SealError::Twice(twice.clone()));
    }
    if let Some(signer) = judged.iter().find_map(|signature| signature.key.clone()) {
        about(&payload, bytes, signer)?;
    }
    Ok(judged)
}

fn decode(text: &str) -> Result<Vec<u8>, SealError> {
    STANDARD.decode(text).map_err(|e| SealError::Form(e.to_string()))
}

fn judge(signature: &Signature, signed: &[u8], accepted: &[PublicKey]) -> Result<SealSignature, SealError> {
    let sig = decode(&signature.sig)?;
    let key = accepted.iter().find(|key| key.verifies(signed, &sig)).map(|key| key.id().clone());
    if key.is_none()
        && let Some(named) = accepted.iter().find(|key| key.id().to_string() == signature.keyid)
    {
        return Err(SealError::Broken(named.id().clone()));
    }
    Ok(SealSignature { stated: shown(&signature.keyid), key })
}

/// Checks that the signed payload is about `bytes`. Nothing of it is parsed before a signature over it holds.
fn about(payload: &[u8], bytes: &[u8], signer: Digest) -> Result<(), SealError> {
    let statement: Statement = json::parse(payload).map_err(|e| SealError::Form(e.to_string()))?;
    let found = Statement::of(bytes);
    if (&statement.sha256, statement.size) == (&found.sha256, found.size) {
        return Ok(());
    }
    Err(SealError::OtherDocument { signer, signed: statement.words(), found: found.words() })
}

fn read(envelope: &[u8]) -> Result<Envelope, SealError> {
    if envelope.len() > SLOT_BYTES {
        return Err(SealError::TooLarge { found: envelope.len() });
    }
    if envelope.iter().all(|byte| *byte == 0) {
        return Err(SealError::Unsigned);
    }
    let envelope: Envelope = json::parse(envelope).map_err(|e| SealError::Form(e.to_string()))?;
    match envelope.signatures.len() {
        0 => Err(SealError::Unsigned),
        found if found > SIGNATURES => Err(SealError::TooMany { found }),
        _ => Ok(envelope),
    }
}

fn shown(keyid: &str) -> String {
    if keyid.is_empty() { "an unnamed key".to_owned() } else { crate::model::fault::printable(keyid) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keys(count: usize) -> Vec<SigningKey> {
        (0..count).map(|_| SigningKey::generate().unwrap()).collect()
    }

    #[test]
    fn a_seal_holds_for_its_document_type_and_key_only() {
        let [key, other] = keys(2).try_into().unwrap();
        let envelope = seal(BUNDLE_STATEMENT, b"head", &key).unwrap();
        let accepted = [other.public().clone(), key.public().clone()];
        let sealed = unseal(BUNDLE_STATEMENT, b"head", &envelope, &accepted).unwrap();
        assert_eq!(sealed.keys, [key.public().id().clone()]);
        let check = |kind, bytes: &[u8], accepted: &[PublicKey]| unseal(kind, bytes, &envelope, accepted).unwrap_err();
        assert!(matches!(check(RECEIPT_STATEMENT, b"head", &accepted), SealError::Type { .. }));
        assert!(matches!(check(BUNDLE_STATEMENT, b"Head", &accepted), SealError::OtherDocument { .. }));
        assert!(matches!(check(BUNDLE_STATEMENT, b"head", &accepted[..1]), SealError::UnknownSigner(_)));
        assert!(matches!(check(BUNDLE_STATEMENT, b"head", &[]), SealError::UnknownSigner(_)));
    }

    #[test]
    fn relabelling_a_receipts_seal_makes_it_no_bundles_seal() {
        let key = SigningKey::generate().unwrap();
        let envelope = seal(RECEIPT_STATEMENT, b"x", &key).unwrap();
        let forged = String::from_utf8(envelope).unwrap().replace(RECEIPT_STATEMENT, BUNDLE_STATEMENT);
        let error = unseal(BUNDLE_STATEMENT, b"x", forged.as_bytes(), &[key.public().clone()]).unwrap_err();
        assert!(matches!(error, SealError::Broken(_)), "{error}");
    }

    #[test]
    fn eight_signatures_fit_into_the_slot_and_one_key_counts_once() {
        let keys = keys(8);
        let refs: Vec<&SigningKey> = keys.iter().collect();
        let head = vec![b' '; 1 << 20];
        let mut slot = seal_by(BUNDLE_STATEMENT, &head, &refs).unwrap();
        assert!(slot.len() < SLOT_BYTES, "{}", slot.len());
        slot.resize(SLOT_BYTES - 1, b' ');
        slot.push(b'\n');
        let accepted: Vec<PublicKey> = keys.iter().map(|key| key.public().clone()).collect();
        assert_eq!(unseal(BUNDLE_STATEMENT, &head, &slot, &accepted).unwrap().keys.len(), 8);
        let same = [accepted[0].clone(), accepted[0].clone()];
        let one = seal(BUNDLE_STATEMENT, b"x", refs[0]).unwrap();
        assert_eq!(unseal(BUNDLE_STATEMENT, b"x", &one, &same).unwrap().keys.len(), 1);
        assert!(matches!(seal_by(BUNDLE_STATEMENT, b"x", &[refs[0]; 9]), Err(SealError::TooMany { found: 9 })));
    }

    #[test]
    fn a_key_that_signs_twice_is_refused_by_who_signs_and_by_who_reads() {
        let [key, other] = keys(2).try_into().unwrap();
        let error = seal_by(BUNDLE_STATEMENT, b"x", &[&key, &other, &key]).unwrap_err();
        assert!(matches!(&error, SealError::Twice(id) if id == key.public().id()), "{error}");
        let envelope = |key| String::from_utf8(seal(BUNDLE_STATEMENT, b"x", key).unwrap()).unwrap();
        let signature = |text: String| text.split_once("\"signatures\":[").unwrap().1.trim_end_matches("]}").to_owned();
        // Two signatures by one key differ, because ECDSA is randomised; the second says that it is by another.
        let (one, again) = (envelope(&key), signature(envelope(&key)));
        let again = again.replace(&key.public().id().to_string(), &other.public().id().to_string());
        let both = format!("{},{again}]}}", one.trim_end_matches("]}"));
        let check = |accepted: &[PublicKey]| unseal(BUNDLE_STATEMENT, b"x", both.as_bytes(), accepted);
        let error = check(&[key.public().clone(), other.public().clone()]).unwrap_err();
        assert!(matches!(&error, SealError::Twice(id) if id == key.public().id()), "{error}");
        assert!(matches!(check(&[key.public().clone()]), Err(SealError::Twice(_))));
        assert!(matches!(check(&[other.public().clone()]), Err(SealError::Broken(_))));
    }

    #[test]
    fn a_changed_signature_is_told_from_a_strangers() {
        let [key, other] = keys(2).try_into().unwrap();
        let text = String::from_utf8(seal(BUNDLE_STATEMENT, b"x", &key).unwrap()).unwrap();
        let accepted = [key.public().clone()];
        let payload = STANDARD.encode(json::canonical(&Statement::of(b"y")));
        let (before, after) = text.split_once("\"payload\":\"").unwrap();
        let swapped = format!("{before}\"payload\":\"{payload}{}", &after[after.find('"').unwrap()..]);
        let error = unseal(BUNDLE_STATEMENT, b"y", swapped.as_bytes(), &accepted).unwrap_err();
        assert!(matches!(&error, SealError::Broken(id) if id == key.public().id()), "{error}");
        let found = signatures(BUNDLE_STATEMENT, b"x", text.as_bytes(), &[other.public().clone()]).unwrap();
        assert_eq!(found, [SealSignature { stated: key.public().id().to_string(), key: None }]);
    }

    #[test]
    fn an_empty_slot_and_a_broken_envelope_have_their_own_reasons() {
        let key = SigningKey::generate().unwrap();
        let accepted = [key.public().clone()];
        let check = |envelope: &[u8]| unseal(BUNDLE_STATEMENT, b"x", envelope, &accepted).unwrap_err();
        assert!(matches!(check(&[0; SLOT_BYTES]), SealError::Unsigned));
        assert!(matches!(check(b""), SealError::Unsigned));
        assert!(matches!(check(&[b' '; SLOT_BYTES + 1]), SealError::TooLarge { .. }));
        assert!(matches!(check(b"{}"), SealError::Form(_)));
        let good = String::from_utf8(seal(BUNDLE_STATEMENT, b"x", &key).unwrap()).unwrap();
        let doubled = good.replacen("\"payload\":", "\"payload\":\"\",\"payload\":", 1);
        assert!(matches!(check(doubled.as_bytes()), SealError::Form(_)));
        assert!(matches!(check(format!("{good}{good}").as_bytes()), SealError::Form(_)));
        let none = format!("{}\"signatures\":[]}}", good.split("\"signatures\"").next().unwrap());
        assert!(matches!(check(none.as_bytes()), SealError::Unsigned));
    }
}
