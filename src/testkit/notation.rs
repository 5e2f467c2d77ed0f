//! The Notary Project in memory: authorities, signers, timestamp authorities, and envelopes in both forms.
//!
//! It mints what a verifier accepts, offline, with keys that are new in every run. Forgeries are made by minting with a
//! wrong part: every header and every extension is the caller's to change. Nothing here is a fixture.

pub mod key;
pub mod stamp;

use super::sigstore::der::{extension, integer, oid, seq, tlv, utc, utf8};
use super::sigstore::{self, Layer, b64, rfc3339};
use crate::model::{Descriptor, MediaType};
use crate::trust::Candidate;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use coset::cbor::value::Value as Cbor;
use coset::{AsCborValue as _, TaggedCborSerializable as _};
use key::{Kind, Pair};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::sync::Arc;

/// Type of the payload.
pub const PAYLOAD: &str = "application/vnd.cncf.notary.payload.v1+json";
/// Media type of an envelope in JSON.
pub const JWS: &str = "application/jose+json";
/// Media type of an envelope in CBOR.
pub const COSE: &str = "application/cose";
const YEAR: i64 = 365 * 86_400;

/// Key usage of a signer: digital signature.
pub const SIGNS: (u8, u8) = (0b1000_0000, 7);
/// Key usage of an authority: certificates and lists.
pub const ISSUES: (u8, u8) = (0b0000_0110, 1);

/// A name of short attributes: `C=US, ST=WA, O=acme, CN=x`. Commas in values are not known here.
pub fn name(text: &str) -> Vec<u8> {
    let one = |part: &str| {
        let (short, value) = part.split_once('=').unwrap();
        let id = match short.trim() {
            "C" => "2.5.4.6",
            "ST" => "2.5.4.8",
            "O" => "2.5.4.10",
            "OU" => "2.5.4.11",
            "CN" => "2.5.4.3",
            other => other,
        };
        tlv(0x31, &[&seq(&[&oid(id), &utf8(value)])])
    };
    seq(&[&text.split(", ").map(one).collect::<Vec<_>>().concat()])
}

/// Key usage, critical or not.
pub fn key_usage(critical: bool, (bits, unused): (u8, u8)) -> Vec<u8> {
    extension("2.5.29.15", critical, &tlv(3, &[&[unused, bits]]))
}

/// Extended key usage.
pub fn purposes(critical: bool, purposes: &[&str]) -> Vec<u8> {
    let all: Vec<Vec<u8>> = purposes.iter().map(|purpose| oid(purpose)).collect();
    extension("2.5.29.37", critical, &seq(&[&all.concat()]))
}

/// Basic constraints of an authority, with the number of authorities that may stand below it.
pub fn authority(below: Option<u8>) -> Vec<u8> {
    let below = below.map(|n| integer(&[n])).unwrap_or_default();
    extension("2.5.29.19", true, &seq(&[&[1, 1, 0xff], &below]))
}

/// Names a list of revoked certificates.
pub fn revocation_list() -> Vec<u8> {
    let uri = tlv(0xa0, &[&tlv(0xa0, &[&tlv(0x86, &[b"http://crl.example/ca.crl"])])]);
    extension("2.5.29.31", false, &seq(&[&seq(&[&uri])]))
}

/// Names a responder.
pub fn responder() -> Vec<u8> {
    let one = seq(&[&oid("1.3.6.1.5.5.7.48.1"), &tlv(0x86, &[b"http://ocsp.example"])]);
    extension("1.3.6.1.5.5.7.1.1", false, &seq(&[&one]))
}

/// Purpose of signers.
pub const CODE_SIGNING: &str = "1.3.6.1.5.5.7.3.3";
/// Purpose of timestamp authorities.
pub const TIME_STAMPING: &str = "1.3.6.1.5.5.7.3.8";

/// What a certificate says.
#[derive(Debug, Clone)]
pub struct Shape {
    /// Holder.
    pub subject: String,
    /// Validity, in seconds.
    pub valid: (i64, i64),
    /// Extensions.
    pub extensions: Vec<Vec<u8>>,
    /// Serial number.
    pub serial: u8,
    /// Whether the signature over it is spoiled.
    pub spoiled: bool,
}

impl Shape {
    /// An authority, valid for ten years from `start` on.
    pub fn authority(subject: &str, start: i64) -> Self {
        Self {
            subject: subject.to_owned(),
            valid: (start, start + 10 * YEAR),
            extensions: vec![authority(None), key_usage(true, ISSUES)],
            serial: 1,
            spoiled: false,
        }
    }

    /// A signer, valid for a year from `start` on.
    pub fn signer(subject: &str, start: i64) -> Self {
        let extensions = vec![key_usage(true, SIGNS), purposes(false, &[CODE_SIGNING])];
        Self { valid: (start, start + YEAR), extensions, serial: 2, ..Self::authority(subject, start) }
    }
}

/// A certificate and its key.
#[derive(Clone)]
pub struct Holder {
    /// The certificate.
    pub der: Vec<u8>,
    /// The key.
    pub key: Arc<Pair>,
    /// The holder's name, encoded.
    pub name: Vec<u8>,
    /// Name of the issuer, encoded.
    pub issuer: Vec<u8>,
    /// Serial number.
    pub serial: u8,
}

impl Holder {
    /// Issues a certificate under its own key.
    pub fn root(shape: &Shape, key: Arc<Pair>) -> Self {
        let own = name(&shape.subject);
        Self::made(shape, key.clone(), &own, &key)
    }

    /// Issues a certificate for `key`.
    pub fn issue(&self, shape: &Shape, key: Arc<Pair>) -> Self {
        Self::made(shape, key, &self.name, &self.key)
    }

    fn made(shape: &Shape, key: Arc<Pair>, issuer: &[u8], by: &Pair) -> Self {
        let own = name(&shape.subject);
        let body = seq(&[
            &tlv(0xa0, &[&integer(&[2])]),
            &integer(&[shape.serial]),
            &by.algorithm(),
            issuer,
            &seq(&[&utc(shape.valid.0), &utc(shape.valid.1)]),
            &own,
            key.spki(),
            &tlv(0xa3, &[&seq(&[&shape.extensions.concat()])]),
        ]);
        let mut signature = by.sign_in_asn1(&body);
        if shape.spoiled {
            signature = by.sign_in_asn1(b"another body");
        }
        let der = seq(&[&body, &by.algorithm(), &tlv(3, &[&[0], &signature])]);
        Self { der, key, name: own, issuer: issuer.to_vec(), serial: shape.serial }
    }

    /// The certificate in PEM.
    pub fn pem(&self) -> String {
        pem(&self.der)
    }
}

/// A certificate in PEM.
pub fn pem(der: &[u8]) -> String {
    format!("-----BEGIN CERTIFICATE-----\n{}\n-----END CERTIFICATE-----\n", b64(der))
}

/// A signer with the certificates that go into an envelope.
#[derive(Clone)]
pub struct Signer {
    /// Key that signs.
    pub key: Arc<Pair>,
    /// Certificates, leaf first.
    pub chain: Vec<Vec<u8>>,
}

impl Signer {
    /// The signer that `leaf` names, under `above`.
    pub fn new(leaf: &Holder, above: &[&Holder]) -> Self {
        let chain = std::iter::once(leaf).chain(above.iter().copied()).map(|one| one.der.clone()).collect();
        Self { key: leaf.key.clone(), chain }
    }
}

/// An authority with one signer, the usual case.
pub struct World {
    /// Authority.
    pub ca: Holder,
    /// Certificate of the signer.
    pub leaf: Holder,
}

/// The signer's name in a [`World`].
pub const SUBJECT: &str = "C=US, ST=WA, O=acme, CN=release";

impl World {
    /// Makes one with keys of `kind`, from `start` on.
    pub fn new(kind: Kind, start: i64) -> Self {
        let ca = Holder::root(&Shape::authority("C=US, ST=WA, O=acme, CN=authority", start), Pair::new(Kind::P256));
        let leaf = ca.issue(&Shape::signer(SUBJECT, start), Pair::new(kind));
        Self { ca, leaf }
    }

    /// The signer.
    pub fn signer(&self) -> Signer {
        Signer::new(&self.leaf, &[&self.ca])
    }
}

/// An envelope to be: what it says, each part to be changed before it is signed.
#[derive(Debug, Clone)]
pub struct Draft {
    /// Algorithm; the key's own where none is named.
    pub algorithm: Option<String>,
    /// Type of the payload.
    pub content_type: String,
    /// Signing scheme.
    pub scheme: String,
    /// Critical headers; the right ones where none are named.
    pub critical: Option<Vec<String>>,
    /// Times by header, in seconds.
    pub times: BTreeMap<String, i64>,
    /// Further signed headers.
    pub more: BTreeMap<String, String>,
    /// The payload's text.
    pub payload: String,
}

/// Header with the end of a signature.
pub const EXPIRY: &str = "io.cncf.notary.expiry";
/// Header with the time that the signer claims.
pub const SIGNING_TIME: &str = "io.cncf.notary.signingTime";
/// Header with the time that an authority vouches for.
pub const AUTHENTIC_TIME: &str = "io.cncf.notary.authenticSigningTime";
/// Header with the signing scheme.
pub const SCHEME: &str = "io.cncf.notary.signingScheme";
const TIMESTAMP: &str = "io.cncf.notary.timestampSignature";

/// Makes the token over a signature.
pub type Stamping<'a> = Option<&'a dyn Fn(&[u8]) -> Vec<u8>>;

impl Draft {
    /// An envelope about `subject`, signed at `time`.
    pub fn new(subject: &Descriptor, time: i64) -> Self {
        Self {
            algorithm: None,
            content_type: PAYLOAD.to_owned(),
            scheme: "notary.x509".to_owned(),
            critical: None,
            times: [(SIGNING_TIME.to_owned(), time)].into(),
            more: BTreeMap::new(),
            payload: json!({"targetArtifact": subject.bare()}).to_string(),
        }
    }

    /// The same of the scheme with a signing authority, which vouches for the time.
    #[must_use]
    pub fn by_authority(mut self) -> Self {
        let time = self.times.remove(SIGNING_TIME).unwrap();
        self.times.insert(AUTHENTIC_TIME.to_owned(), time);
        self.scheme = "notary.x509.signingAuthority".to_owned();
        self
    }

    fn critical(&self) -> Vec<String> {
        let right = || {
            let times = [EXPIRY, AUTHENTIC_TIME].into_iter().filter(|name| self.times.contains_key(*name));
            std::iter::once(SCHEME).chain(times).map(str::to_owned).collect()
        };
        self.critical.clone().unwrap_or_else(right)
    }

    /// The protected header of the JSON form.
    pub fn header(&self, signer: &Signer) -> Value {
        let algorithm = self.algorithm.clone().unwrap_or_else(|| signer.key.jws().to_owned());
        let mut header =
            json!({"alg": algorithm, "cty": self.content_type, "crit": self.critical(), SCHEME: self.scheme});
        for (name, time) in &self.times {
            header[name] = json!(rfc3339(*time));
        }
        for (name, text) in &self.more {
            header[name] = json!(text);
        }
        header
    }

    /// The envelope in JSON.
    pub fn jws(&self, signer: &Signer, stamping: Stamping<'_>) -> Vec<u8> {
        jws(&self.header(signer).to_string(), &self.payload, signer, stamping).to_string().into_bytes()
    }

    /// The envelope in CBOR.
    pub fn cose(&self, signer: &Signer, stamping: Stamping<'_>) -> Vec<u8> {
        let protected = coset::ProtectedHeader { original_data: None, header: self.cbor_header(signer) };
        cose(protected, self.payload.clone().into_bytes(), signer, stamping)
    }

    /// The protected header of the CBOR form.
    pub fn cbor_header(&self, signer: &Signer) -> coset::Header {
        let mut header = coset::HeaderBuilder::new().content_type(self.content_type.clone());
        for name in self.critical() {
            header = header.add_critical_label(coset::RegisteredLabelWithPrivate::Text(name));
        }
        header = header.text_value(SCHEME.to_owned(), Cbor::Text(self.scheme.clone()));
        for (name, time) in &self.times {
            header = header.text_value(name.clone(), Cbor::Tag(1, Box::new(Cbor::Integer((*time).into()))));
        }
        for (name, text) in &self.more {
            header = header.text_value(name.clone(), Cbor::Text(text.clone()));
        }
        let mut header = header.build();
        let number: i64 = self.algorithm.as_ref().map_or(signer.key.cose(), |text| text.parse().unwrap());
        header.alg = Some(coset::Algorithm::from_cbor_value(Cbor::Integer(number.into())).unwrap());
        header
    }
}

/// The JSON form of a header's text and a payload's text.
pub fn jws(header: &str, payload: &str, signer: &Signer, stamping: Stamping<'_>) -> Value {
    let (header, payload) = (URL_SAFE_NO_PAD.encode(header), URL_SAFE_NO_PAD.encode(payload));
    let signature = signer.key.sign_envelope(format!("{header}.{payload}").as_bytes());
    let chain: Vec<String> = signer.chain.iter().map(|der| b64(der)).collect();
    let mut beside = json!({"x5c": chain, "io.cncf.notary.signingAgent": "testkit"});
    if let Some(stamping) = stamping {
        beside[TIMESTAMP] = json!(b64(&stamping(&signature)));
    }
    json!({"payload": payload, "protected": header, "header": beside, "signature": URL_SAFE_NO_PAD.encode(signature)})
}

/// The CBOR form. A protected header that is given as bytes is written and signed as it stands.
pub fn cose(protected: coset::ProtectedHeader, payload: Vec<u8>, signer: &Signer, stamping: Stamping<'_>) -> Vec<u8> {
    let mut message = coset::CoseSign1 { protected, payload: Some(payload), ..coset::CoseSign1::default() };
    message.signature = signer.key.sign_envelope(&message.tbs_data(&[]));
    let chain = Cbor::Array(signer.chain.iter().cloned().map(Cbor::Bytes).collect());
    let mut beside = coset::HeaderBuilder::new().value(33, chain);
    if let Some(stamping) = stamping {
        beside = beside.text_value(TIMESTAMP.to_owned(), Cbor::Bytes(stamping(&message.signature)));
    }
    message.unprotected = beside.build();
    message.to_tagged_vec().unwrap()
}

/// A referrer of `subject` that holds one envelope, as notation stores it.
pub fn referrer(subject: &Descriptor, media_type: &'static str, envelope: &[u8]) -> Candidate {
    let layer = Layer { bytes: envelope.to_vec(), media_type, annotations: BTreeMap::new() };
    let extra = json!({"artifactType": MediaType::NOTATION_SIGNATURE, "subject": subject.bare()});
    sigstore::manifest(extra, MediaType::OCI_EMPTY, &[layer])
}
