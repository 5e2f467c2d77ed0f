//! A Sigstore instance in memory: certificate authority, certificate log, transparency log, timestamp authority.
//!
//! It mints what a verifier accepts, offline and fast, in all forms that registries hold: bundles of version 0.3
//! and cosign's older layers, keyless and with keys. Forgeries are made by minting with a wrong part, or by
//! editing the JSON afterwards. Nothing here is a fixture: keys are new in every run.

pub mod der;
pub mod files;
pub mod log;

use crate::model::port::ManifestBytes;
use crate::model::{Descriptor, Digest, MediaType, Tag};
use crate::trust::Candidate;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use der::{Tbs, certificate, extension, key_usage, oid, sct, sct_list, seq, tlv, utf8};
use log::Log;
use serde_json::{Value, json};
use sigstore_crypto::KeyPair;
use std::collections::BTreeMap;

/// Standard base64.
pub fn b64(bytes: &[u8]) -> String {
    STANDARD.encode(bytes)
}

/// RFC 3339.
pub fn rfc3339(time: i64) -> String {
    jiff::Timestamp::from_second(time).unwrap().to_string()
}

/// A P-256 key.
pub struct Key {
    pair: KeyPair,
    spki: Vec<u8>,
}

impl Key {
    /// Makes a new one.
    #[expect(clippy::new_without_default, reason = "a new key differs from every other, so it is no default")]
    pub fn new() -> Self {
        let pair = KeyPair::generate_ecdsa_p256().unwrap();
        let spki = pair.public_key_der().unwrap().into_bytes();
        Self { pair, spki }
    }

    /// SubjectPublicKeyInfo.
    pub fn spki(&self) -> &[u8] {
        &self.spki
    }

    /// PEM of the public half.
    pub fn pem(&self) -> String {
        sigstore_types::DerPublicKey::from_bytes(&self.spki).to_pem()
    }

    /// SHA-256 of the SubjectPublicKeyInfo.
    pub fn id(&self) -> Vec<u8> {
        Digest::of(&self.spki).value().to_vec()
    }

    /// ECDSA over SHA-256, ASN.1 form.
    pub fn sign(&self, bytes: &[u8]) -> Vec<u8> {
        self.pair.sign(bytes).unwrap().into_bytes()
    }
}

/// Kind of the subject alternative name.
#[derive(Debug, Clone, Copy)]
pub enum San {
    /// URI, as for workflows.
    Uri,
    /// E-mail address, as for people.
    Email,
}

/// What becomes of the signed certificate timestamp.
#[derive(Debug, Clone, Copy)]
pub enum Sct {
    /// One, good.
    Good,
    /// None.
    None,
    /// One with a flipped bit.
    Tampered,
    /// One by a log that nobody knows.
    OtherLog,
    /// Two.
    Two,
}

/// What a certificate says.
#[derive(Debug, Clone)]
pub struct Leaf {
    /// Identity.
    pub identity: String,
    /// Kind of the identity.
    pub san: San,
    /// Issuer.
    pub issuer: String,
    /// Further claims by the number of their extension, from 9 on.
    pub claims: Vec<(u8, String)>,
    /// Start; it ends ten minutes later.
    pub from: i64,
    /// Certificate log.
    pub sct: Sct,
    /// Whether it is for code signing; else it is for TLS clients.
    pub code_signing: bool,
}

impl Leaf {
    /// The certificate of `identity` by `issuer`, good from `from` on.
    pub fn new(identity: &str, issuer: &str, from: i64) -> Self {
        let (identity, issuer) = (identity.to_owned(), issuer.to_owned());
        Self { identity, san: San::Uri, issuer, claims: Vec::new(), from, sct: Sct::Good, code_signing: true }
    }
}

/// One layer of cosign's older form: bytes and annotations.
#[derive(Debug, Clone)]
pub struct Layer {
    /// Content.
    pub bytes: Vec<u8>,
    /// Media type.
    pub media_type: &'static str,
    /// Annotations of the descriptor.
    pub annotations: BTreeMap<String, String>,
}

/// The instance. All that it signs lies shortly after `start`.
pub struct World {
    /// Certificate authority.
    pub ca: Key,
    /// Certificate log.
    pub ct: Key,
    /// Transparency log.
    pub log: Log,
    /// Timestamp authority.
    pub tsa: Key,
    /// Start of everything, in seconds.
    pub start: i64,
    tsa_ca: Key,
}

const YEAR: i64 = 365 * 86_400;

impl World {
    /// Makes an instance that exists since `start`.
    pub fn new(start: i64) -> Self {
        let log = Log::new("log.example");
        Self { ca: Key::new(), ct: Key::new(), log, tsa: Key::new(), start, tsa_ca: Key::new() }
    }

    /// Returns the trusted root as JSON, to be edited or written.
    pub fn root(&self) -> Value {
        let valid = (self.start, self.start + 10 * YEAR);
        let ca = der::root(&self.ca, "ca.example", valid);
        let tsa_ca = der::root(&self.tsa_ca, "tsa-root.example", valid);
        let window = json!({"start": rfc3339(self.start)});
        json!({
            "mediaType": "application/vnd.dev.sigstore.trustedroot+json;version=0.1",
            "tlogs": [log::trusted(&self.log.key, &self.log.origin, self.start)],
            "certificateAuthorities": [{
                "subject": {"organization": "ca.example", "commonName": "ca"},
                "uri": "https://ca.example",
                "certChain": {"certificates": [{"rawBytes": b64(&ca)}]},
                "validFor": window,
            }],
            "ctlogs": [log::trusted(&self.ct, "ct.example", self.start)],
            "timestampAuthorities": [{
                "subject": {"organization": "tsa.example", "commonName": "tsa"},
                "uri": "https://tsa.example",
                "certChain": {"certificates": [{"rawBytes": b64(&self.tsa_leaf(valid))}, {"rawBytes": b64(&tsa_ca)}]},
                "validFor": window,
            }],
        })
    }

    fn tsa_leaf(&self, valid: (i64, i64)) -> Vec<u8> {
        let tbs = Tbs { serial: 9, issuer: "tsa-root.example", subject: "tsa.example", valid, spki: self.tsa.spki() };
        let usage = extension("2.5.29.37", true, &seq(&[&oid("1.3.6.1.5.5.7.3.8")]));
        certificate(&tbs.with(&[key_usage(0b1000_0000, 7), usage]), &self.tsa_ca)
    }

    /// Stamps `signature` at `at`.
    pub fn stamp(&self, signature: &[u8], at: i64) -> Vec<u8> {
        der::timestamp(&self.tsa, "tsa-root.example", 9, signature, at)
    }

    /// Issues a certificate for `key`.
    pub fn leaf(&self, key: &Key, leaf: &Leaf) -> Vec<u8> {
        let usage = if leaf.code_signing { "1.3.6.1.5.5.7.3.3" } else { "1.3.6.1.5.5.7.3.2" };
        let tag = match leaf.san {
            San::Uri => 0x86,
            San::Email => 0x81,
        };
        let mut extensions = vec![
            key_usage(0b1000_0000, 7),
            extension("2.5.29.37", false, &seq(&[&oid(usage)])),
            extension("2.5.29.17", true, &seq(&[&tlv(tag, &[leaf.identity.as_bytes()])])),
            extension("1.3.6.1.4.1.57264.1.8", false, &utf8(&leaf.issuer)),
        ];
        for (number, value) in &leaf.claims {
            extensions.push(extension(&format!("1.3.6.1.4.1.57264.1.{number}"), false, &utf8(value)));
        }
        let valid = (leaf.from, leaf.from + 600);
        let tbs = Tbs { serial: 5, issuer: "ca.example", subject: "", valid, spki: key.spki() };
        let precert = tbs.with(&extensions);
        let mut timestamps = match leaf.sct {
            Sct::None => Vec::new(),
            Sct::OtherLog => vec![sct(&Key::new(), &self.ca, &precert, leaf.from)],
            Sct::Good | Sct::Tampered => vec![sct(&self.ct, &self.ca, &precert, leaf.from)],
            Sct::Two => {
                vec![sct(&self.ct, &self.ca, &precert, leaf.from), sct(&self.ct, &self.ca, &precert, leaf.from)]
            }
        };
        if matches!(leaf.sct, Sct::Tampered) {
            *timestamps[0].last_mut().unwrap() ^= 1;
        }
        if !timestamps.is_empty() {
            extensions.push(sct_list(&timestamps));
        }
        certificate(&tbs.with(&extensions), &self.ca)
    }

    /// Mints a bundle of version 0.3: `statement` signed under `leaf`, logged a minute later (Rekor's first kind).
    pub fn bundle(&self, leaf: &Leaf, statement: &str) -> Value {
        let key = Key::new();
        let certificate = self.leaf(&key, leaf);
        let (envelope, signature) = envelope(&key, statement);
        let body = dsse_body(statement, &signature, &pem("CERTIFICATE", &certificate));
        let entry = self.log.entry("dsse", "0.0.1", &body, Some(leaf.from + 60));
        bundle(json!({"certificate": {"rawBytes": b64(&certificate)}, "tlogEntries": [entry]}), &envelope)
    }

    /// Mints a bundle of version 0.3 with an entry of Rekor's second kind, stamped a minute later.
    pub fn bundle_v2(&self, leaf: &Leaf, statement: &str) -> Value {
        let key = Key::new();
        let certificate = self.leaf(&key, leaf);
        let (envelope, signature) = envelope(&key, statement);
        let signed = sigstore_types::pae(IN_TOTO, statement.as_bytes());
        let verifier = json!({
            "keyDetails": "PKIX_ECDSA_P256_SHA_256",
            "x509Certificate": {"rawBytes": b64(&certificate)},
        });
        let body = json!({"apiVersion": "0.0.2", "kind": "hashedrekord", "spec": {"hashedRekordV002": {
            "data": {"algorithm": "SHA2_256", "digest": b64(Digest::of(&signed).value())},
            "signature": {"content": b64(&signature), "verifier": verifier},
        }}});
        let entry = self.log.entry("hashedrekord", "0.0.2", body.to_string().as_bytes(), None);
        let mut material = json!({"certificate": {"rawBytes": b64(&certificate)}, "tlogEntries": [entry]});
        let token = b64(&self.stamp(&signature, leaf.from + 60));
        material["timestampVerificationData"] = json!({"rfc3161Timestamps": [{"signedTimestamp": token}]});
        bundle(material, &envelope)
    }

    /// Mints a bundle of version 0.3 by `key`, logged at `at` where that is given.
    pub fn bundle_by_key(&self, key: &Key, statement: &str, at: Option<i64>) -> Value {
        let (envelope, signature) = envelope(key, statement);
        let entry = |at| self.log.entry("dsse", "0.0.1", &dsse_body(statement, &signature, &key.pem()), Some(at));
        let entries: Vec<Value> = at.map(entry).into_iter().collect();
        bundle(json!({"publicKey": {"hint": b64(&key.id())}, "tlogEntries": entries}), &envelope)
    }

    /// Mints a layer of cosign's older form: `payload` signed under `leaf` and promised a minute later.
    pub fn simple(&self, leaf: &Leaf, payload: &[u8]) -> Layer {
        let key = Key::new();
        let certificate = pem("CERTIFICATE", &self.leaf(&key, leaf));
        let mut layer = simple_by_key(&key, payload);
        let bundle = self.promise(payload, &layer.annotations[SIGNATURE], &certificate, leaf.from + 60);
        layer.annotations.insert("dev.sigstore.cosign/certificate".into(), certificate);
        layer.annotations.insert(BUNDLE.into(), bundle);
        layer
    }

    /// Adds the log's promise at `at` to a layer that `key` signed.
    pub fn promised(&self, mut layer: Layer, key: &Key, at: i64) -> Layer {
        let bundle = self.promise(&layer.bytes, &layer.annotations[SIGNATURE], &key.pem(), at);
        layer.annotations.insert(BUNDLE.into(), bundle);
        layer
    }

    fn promise(&self, payload: &[u8], signature: &str, verifier: &str, at: i64) -> String {
        let body = json!({"apiVersion": "0.0.1", "kind": "hashedrekord", "spec": {
            "data": {"hash": {"algorithm": "sha256", "value": Digest::of(payload).hex()}},
            "signature": {"content": signature, "publicKey": {"content": b64(verifier.as_bytes())}},
        }});
        self.rekor_bundle(body.to_string().as_bytes(), at)
    }

    fn rekor_bundle(&self, body: &[u8], at: i64) -> String {
        let payload = json!({
            "body": b64(body),
            "integratedTime": at,
            "logIndex": 42,
            "logID": crate::model::digest::hex(&self.log.key.id()),
        });
        json!({"SignedEntryTimestamp": b64(&self.log.promise(body, at, 42)), "Payload": payload}).to_string()
    }

    /// Mints an attestation of cosign's older form: `statement` signed under `leaf` and promised a minute later.
    pub fn attestation(&self, leaf: &Leaf, statement: &str) -> Layer {
        let key = Key::new();
        let certificate = pem("CERTIFICATE", &self.leaf(&key, leaf));
        let (envelope, signature) = envelope(&key, statement);
        let body = dsse_body(statement, &signature, &certificate);
        let annotations = BTreeMap::from([
            (SIGNATURE.to_owned(), String::new()),
            ("dev.sigstore.cosign/certificate".to_owned(), certificate),
            (BUNDLE.to_owned(), self.rekor_bundle(&body, leaf.from + 60)),
        ]);
        Layer { bytes: envelope.to_string().into_bytes(), media_type: MediaType::DSSE_ENVELOPE, annotations }
    }
}

const IN_TOTO: &str = "application/vnd.in-toto+json";
/// Annotation with the signature.
pub const SIGNATURE: &str = "dev.cosignproject.cosign/signature";
/// Annotation with the log's promise.
pub const BUNDLE: &str = "dev.sigstore.cosign/bundle";

/// PEM of `bytes`.
pub fn pem(label: &str, bytes: &[u8]) -> String {
    let body = b64(bytes);
    let lines: Vec<&str> = (0..body.len()).step_by(64).map(|at| &body[at..body.len().min(at + 64)]).collect();
    format!("-----BEGIN {label}-----\n{}\n-----END {label}-----\n", lines.join("\n"))
}

/// An in-toto statement of `predicate_type` about `subject`.
pub fn statement(subject: &Digest, predicate_type: &str) -> String {
    let digest = json!({subject.algorithm().name(): subject.hex()});
    let statement = json!({
        "_type": "https://in-toto.io/Statement/v1",
        "subject": [{"name": "", "digest": digest}],
        "predicateType": predicate_type,
        "predicate": {},
    });
    statement.to_string()
}

/// Signs `statement` into an envelope.
pub fn envelope(key: &Key, statement: &str) -> (Value, Vec<u8>) {
    let signature = key.sign(&sigstore_types::pae(IN_TOTO, statement.as_bytes()));
    let envelope = json!({
        "payloadType": IN_TOTO,
        "payload": b64(statement.as_bytes()),
        "signatures": [{"keyid": "", "sig": b64(&signature)}],
    });
    (envelope, signature)
}

/// Body of a `dsse/0.0.1` entry.
pub fn dsse_body(statement: &str, signature: &[u8], verifier: &str) -> Vec<u8> {
    let hash = |bytes: &[u8]| json!({"algorithm": "sha256", "value": Digest::of(bytes).hex()});
    let body = json!({"apiVersion": "0.0.1", "kind": "dsse", "spec": {
        "envelopeHash": hash(b"cannot be recomputed"),
        "payloadHash": hash(statement.as_bytes()),
        "signatures": [{"signature": b64(signature), "verifier": b64(verifier.as_bytes())}],
    }});
    body.to_string().into_bytes()
}

fn bundle(material: Value, envelope: &Value) -> Value {
    json!({"mediaType": MediaType::SIGSTORE_BUNDLE, "verificationMaterial": material, "dsseEnvelope": envelope})
}

/// A layer of simple signing that `key` signed, without a log.
pub fn simple_by_key(key: &Key, payload: &[u8]) -> Layer {
    let annotations = BTreeMap::from([(SIGNATURE.to_owned(), b64(&key.sign(payload)))]);
    Layer { bytes: payload.to_vec(), media_type: MediaType::COSIGN_SIMPLE_SIGNING, annotations }
}

/// What cosign's tag `sha256-….SUFFIX` holds: an image manifest over `layers`.
pub fn tagged(subject: &Digest, suffix: &str, layers: &[Layer]) -> Candidate {
    let tag: Tag = format!("sha256-{}.{suffix}", subject.hex()).parse().unwrap();
    let mut candidate = manifest(json!({}), MediaType::OCI_CONFIG, layers);
    candidate.tag = Some(tag);
    candidate
}

/// A referrer of `subject` that holds one bundle.
pub fn referrer(subject: &Descriptor, bundle: &str) -> Candidate {
    let layer = Layer {
        bytes: bundle.as_bytes().to_vec(),
        media_type: MediaType::SIGSTORE_BUNDLE,
        annotations: BTreeMap::new(),
    };
    let extra = json!({"artifactType": MediaType::SIGSTORE_BUNDLE, "subject": subject.bare()});
    manifest(extra, MediaType::OCI_EMPTY, &[layer])
}

/// An image manifest over `layers`, with further fields, as it was read.
pub fn manifest(extra: Value, config: &str, layers: &[Layer]) -> Candidate {
    let mut read = Vec::new();
    for layer in layers {
        let mut descriptor = Descriptor::of(layer.media_type, &layer.bytes);
        descriptor.annotations = layer.annotations.clone();
        read.push((descriptor, layer.bytes.clone()));
    }
    let mut document = json!({
        "schemaVersion": 2,
        "mediaType": MediaType::OCI_MANIFEST,
        "config": Descriptor::of(config, b"{}"),
        "layers": read.iter().map(|(descriptor, _)| descriptor).collect::<Vec<_>>(),
    });
    document.as_object_mut().unwrap().extend(extra.as_object().unwrap().clone());
    let bytes = document.to_string().into_bytes();
    let document = ManifestBytes { descriptor: Descriptor::of(MediaType::OCI_MANIFEST, &bytes), bytes };
    Candidate { tag: None, document, layers: read }
}
