//! Simple signing: the payload that cosign's older form signs, read and written in cosign's shape.
//!
//! The layer's bytes are what is signed. `critical.image.docker-manifest-digest` names the subject;
//! `critical.identity.docker-reference` says where it was signed; it is compared only where a rule asks for it
//! (`signedReference`), and then with the name at the source.

use super::keys::{KeyError, SigningKey};
use crate::model::Digest;
use crate::model::json;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;
use std::collections::BTreeMap;

/// Annotation of a layer that holds the signature in base64.
pub const SIGNATURE: &str = "dev.cosignproject.cosign/signature";
const KIND: &str = "cosign container image signature";

/// A signed payload: the bytes of the layer, and the annotations that go with it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignedPayload {
    /// Content of the layer, of type `application/vnd.dev.cosign.simplesigning.v1+json`.
    pub payload: Vec<u8>,
    /// Annotations of the layer's descriptor.
    pub annotations: BTreeMap<String, String>,
}

/// Signs that `subject` is the image called `reference`, as `cosign sign --key` without a log does it.
pub fn sign_simple(reference: &str, subject: &Digest, key: &SigningKey) -> Result<SignedPayload, KeyError> {
    let payload = payload(reference, subject);
    let signature = STANDARD.encode(key.sign(&payload)?);
    Ok(SignedPayload { payload, annotations: BTreeMap::from([(SIGNATURE.to_owned(), signature)]) })
}

/// Returns the payload to the byte as cosign writes it.
pub fn payload(reference: &str, subject: &Digest) -> Vec<u8> {
    let reference = serde_json::Value::from(reference);
    let image = format!(r#"{{"docker-manifest-digest":"{subject}"}}"#);
    format!(
        r#"{{"critical":{{"identity":{{"docker-reference":{reference}}},"image":{image},"type":"{KIND}"}},"optional":null}}"#
    )
    .into_bytes()
}

#[derive(Deserialize)]
struct Payload {
    critical: Critical,
}

#[derive(Deserialize)]
struct Critical {
    image: Image,
    #[serde(rename = "type")]
    kind: String,
}

#[derive(Deserialize)]
struct Image {
    #[serde(rename = "docker-manifest-digest")]
    digest: String,
}

/// Checks that `payload`, whose signature was verified, says that `subject` was signed as a container image.
pub(super) fn check(payload: &[u8], subject: &Digest) -> Result<(), String> {
    let payload: Payload = json::parse(payload).map_err(|e| format!("the signed payload does not parse: {e}"))?;
    let kind = &payload.critical.kind;
    if kind != KIND {
        return Err(format!("the signed payload is a {kind:?}, expected {KIND:?}"));
    }
    let named = &payload.critical.image.digest;
    if *named != subject.to_string() {
        return Err(format!("the signature is about {named}, not about {subject}"));
    }
    Ok(())
}

/// Returns the name under which a `payload` that [`check`] accepted was signed.
pub(super) fn reference(payload: &[u8]) -> Option<String> {
    #[derive(Deserialize)]
    struct Named {
        critical: Identified,
    }
    #[derive(Deserialize)]
    struct Identified {
        identity: Identity,
    }
    #[derive(Deserialize)]
    struct Identity {
        #[serde(rename = "docker-reference")]
        reference: String,
    }
    json::parse::<Named>(payload).ok().map(|named| named.critical.identity.reference)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_payload_is_cosigns_to_the_byte() {
        let digest = Digest::of(b"");
        let text = String::from_utf8(payload("registry.example/app", &digest)).unwrap();
        assert_eq!(
            text,
            r#"{"critical":{"identity":{"docker-reference":"registry.example/app"},"image":{"docker-manifest-digest":"sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"},"type":"cosign container image signature"},"optional":null}"#
        );
        assert!(check(text.as_bytes(), &digest).is_ok());
    }

    #[test]
    fn another_image_another_type_and_a_doubled_key_are_refused() {
        let digest = Digest::of(b"");
        let text = String::from_utf8(payload("x", &digest)).unwrap();
        assert!(check(text.as_bytes(), &Digest::of(b"x")).unwrap_err().contains("not about"));
        let other = text.replace("cosign container image signature", "atomic container signature");
        assert!(check(other.as_bytes(), &digest).unwrap_err().contains("atomic"));
        let upper = text.replace("e3b0", "E3B0");
        assert!(check(upper.as_bytes(), &digest).unwrap_err().contains("not about"));
        let doubled = text.replace(r#""type":"#, r#""type":"x","type":"#);
        assert!(check(doubled.as_bytes(), &digest).unwrap_err().contains("twice"));
    }
}
