//! cosign's older form: layers under `sha256-….sig` and `sha256-….att`, with all that vouches for them in
//! annotations. With a log entry they are rewritten as bundles of version 0.1, which nobody else may hand in:
//! its label lets the log's promise count. Without one the label is 0.3, which demands nothing less.
//!
//! Only the leaf certificate is taken: intermediates come from the trusted root. A promise of the log is all
//! that this form can carry; an inclusion proof it has not.

use super::envelope::{EntryKind, Envelope};
use super::outcome::Refusal;
use super::pem;
use super::simple::SIGNATURE;
use crate::model::{Digest, json};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;
use serde_json::{Value, json as value};
use sigstore_types::Bundle;
use std::collections::BTreeMap;

const CERTIFICATE: &str = "dev.sigstore.cosign/certificate";
const BUNDLE: &str = "dev.sigstore.cosign/bundle";
const TIMESTAMP: &str = "dev.sigstore.cosign/rfc3161timestamp";
const VERSION_01: &str = "application/vnd.dev.sigstore.bundle+json;version=0.1";
const VERSION_03: &str = "application/vnd.dev.sigstore.bundle.v0.3+json";

/// One layer of the older form, parsed.
pub(super) struct Legacy<'a> {
    content: Content<'a>,
    certificate: Option<Vec<u8>>,
    /// What vouches for it, as it stands: read only where a signer asks for it.
    entry: Option<String>,
    timestamp: Option<String>,
}

/// What a layer holds.
pub(super) enum Content<'a> {
    /// A simple signing payload, and the signature over it.
    Simple {
        /// The layer's bytes.
        payload: &'a [u8],
        /// Signature over them.
        signature: Vec<u8>,
    },
    /// A DSSE envelope: its payload's type, the payload, and the signature over both.
    Envelope {
        /// Type of the payload.
        payload_type: String,
        /// Payload, decoded.
        payload: Vec<u8>,
        /// Signature over the pre-authentication encoding.
        signature: Vec<u8>,
    },
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RekorBundle {
    #[serde(rename = "SignedEntryTimestamp")]
    promise: String,
    #[serde(rename = "Payload")]
    payload: RekorPayload,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct RekorPayload {
    body: String,
    integrated_time: i64,
    log_index: i64,
    #[serde(rename = "logID")]
    log_id: String,
}

#[derive(Deserialize)]
struct RekorBody {
    kind: String,
    #[serde(rename = "apiVersion")]
    version: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct TimestampBundle {
    #[serde(rename = "SignedRFC3161Timestamp")]
    token: String,
}

type Annotations = BTreeMap<String, String>;

impl<'a> Legacy<'a> {
    /// Reads a layer of simple signing.
    pub(super) fn simple(payload: &'a [u8], annotations: &Annotations) -> Result<Self, Refusal> {
        let signature = annotations.get(SIGNATURE).map(|text| base64("the signature", text)).transpose()?;
        let signature = signature.filter(|s| !s.is_empty());
        let signature = signature.ok_or_else(|| Refusal::form("the layer has no signature annotation"))?;
        Self::around(Content::Simple { payload, signature }, annotations)
    }

    /// Reads a layer that is a DSSE envelope.
    pub(super) fn envelope(bytes: &[u8], annotations: &Annotations) -> Result<Self, Refusal> {
        let envelope: Envelope =
            json::parse(bytes).map_err(|e| Refusal::form(format!("the envelope does not parse: {e}")))?;
        let signature = base64("the signature", &envelope.only_signature()?.sig)?;
        let payload = base64("the payload", &envelope.payload)?;
        Self::around(Content::Envelope { payload_type: envelope.payload_type, payload, signature }, annotations)
    }

    fn around(content: Content<'a>, annotations: &Annotations) -> Result<Self, Refusal> {
        let text = |key: &str| annotations.get(key).map(String::as_str).filter(|text| !text.is_empty());
        Ok(Self {
            content,
            certificate: text(CERTIFICATE).map(certificate).transpose()?,
            entry: text(BUNDLE).map(str::to_owned),
            timestamp: text(TIMESTAMP).map(str::to_owned),
        })
    }

    /// Returns what was signed.
    pub(super) const fn content(&self) -> &Content<'a> {
        &self.content
    }

    /// Returns whether it was signed under a certificate.
    pub(super) const fn has_certificate(&self) -> bool {
        self.certificate.is_some()
    }

    /// Returns whether a log or a timestamp authority vouches for it.
    pub(super) const fn is_witnessed(&self) -> bool {
        self.entry.is_some() || self.timestamp.is_some()
    }

    /// Returns the bundle that says the same.
    pub(super) fn bundle(&self) -> Result<Bundle, Refusal> {
        let leaf = self.certificate.as_ref().map(|leaf| value!({"rawBytes": STANDARD.encode(leaf)}));
        let mut material = match (leaf, &self.entry) {
            (Some(leaf), Some(_)) => value!({"x509CertificateChain": {"certificates": [leaf]}}),
            (Some(leaf), None) => value!({"certificate": leaf}),
            (None, _) => value!({"publicKey": {"hint": ""}}),
        };
        material["tlogEntries"] = Value::Array(self.entry.iter().map(|text| entry(text)).collect::<Result<_, _>>()?);
        if let Some(text) = &self.timestamp {
            let token = timestamp(text)?;
            material["timestampVerificationData"] = value!({"rfc3161Timestamps": [{"signedTimestamp": token}]});
        }
        let mut bundle = value!({
            "mediaType": if self.entry.is_some() { VERSION_01 } else { VERSION_03 },
            "verificationMaterial": material,
        });
        match &self.content {
            Content::Simple { payload, signature } => {
                let digest = STANDARD.encode(Digest::of(payload).value());
                bundle["messageSignature"] = value!({
                    "messageDigest": {"algorithm": "SHA2_256", "digest": digest},
                    "signature": STANDARD.encode(signature),
                });
            }
            Content::Envelope { payload_type, payload, signature } => {
                bundle["dsseEnvelope"] = value!({
                    "payloadType": payload_type,
                    "payload": STANDARD.encode(payload),
                    "signatures": [{"sig": STANDARD.encode(signature)}],
                });
            }
        }
        serde_json::from_value(bundle).map_err(|e| Refusal::form(format!("the annotations do not parse: {e}")))
    }
}

fn certificate(text: &str) -> Result<Vec<u8>, Refusal> {
    let block = pem::parse(text).map_err(|why| Refusal::form(format!("the certificate annotation: {why}")))?;
    if block.label != "CERTIFICATE" {
        return Err(Refusal::form(format!("the certificate annotation is a {:?}", block.label)));
    }
    Ok(block.bytes)
}

fn entry(text: &str) -> Result<Value, Refusal> {
    let form =
        |what: &str, e: json::JsonError| Refusal::form(format!("the {what} of the log entry does not parse: {e}"));
    let RekorBundle { promise, payload } = json::parse(text.as_bytes()).map_err(|e| form("annotation", e))?;
    let body: RekorBody =
        json::parse(&base64("the body of the log entry", &payload.body)?).map_err(|e| form("body", e))?;
    let kind = EntryKind { kind: body.kind, version: body.version };
    kind.check()?;
    let id: Digest = format!("sha256:{}", payload.log_id)
        .parse()
        .map_err(|_| Refusal::form("the log id of the log entry is no SHA-256 in hex"))?;
    Ok(value!({
        "logIndex": payload.log_index.to_string(),
        "logId": {"keyId": STANDARD.encode(id.value())},
        "kindVersion": {"kind": kind.kind, "version": kind.version},
        "integratedTime": payload.integrated_time.to_string(),
        "inclusionPromise": {"signedEntryTimestamp": promise},
        "canonicalizedBody": payload.body,
    }))
}

fn timestamp(text: &str) -> Result<String, Refusal> {
    let read: TimestampBundle = json::parse(text.as_bytes())
        .map_err(|e| Refusal::form(format!("the timestamp annotation does not parse: {e}")))?;
    Ok(read.token)
}

fn base64(what: &str, text: &str) -> Result<Vec<u8>, Refusal> {
    STANDARD.decode(text).map_err(|e| Refusal::form(format!("{what} is no base64: {e}")))
}
