//! A timestamp authority: tokens over signatures (RFC 3161), each part to be changed before it is signed.

use super::key::{Kind, Pair};
use super::{Holder, SIGNS, Shape, TIME_STAMPING, key_usage, purposes};
use crate::model::Digest;
use crate::testkit::sigstore::der::{generalized, integer, octets, oid, seq, tlv};
use aws_lc_rs::digest;

/// The authority: a root, and the certificate that stamps.
pub struct Tsa {
    /// Root.
    pub root: Holder,
    /// Certificate that stamps.
    pub leaf: Holder,
}

/// A token to be.
#[derive(Debug, Clone)]
pub struct Token {
    /// Second that it states.
    pub at: i64,
    /// How far it may be off, in seconds.
    pub accuracy: Option<u8>,
    /// Whether it carries its certificates.
    pub certificates: bool,
    /// Whether what it states is changed after it was signed.
    pub altered: bool,
    /// Type of what was signed.
    pub content_type: String,
    /// Whether it says which certificate signed.
    pub names_certificate: bool,
}

impl Token {
    /// A good one, stating `at`.
    pub fn at(at: i64) -> Self {
        Self {
            at,
            accuracy: None,
            certificates: true,
            altered: false,
            content_type: "1.2.840.113549.1.9.16.1.4".to_owned(),
            names_certificate: true,
        }
    }
}

impl Tsa {
    /// Makes one with a stamping key of `kind`, from `start` on.
    pub fn new(kind: Kind, start: i64) -> Self {
        Self::shaped(kind, start, vec![key_usage(true, SIGNS), purposes(true, &[TIME_STAMPING])])
    }

    /// Makes one whose stamping certificate has these extensions.
    pub fn shaped(kind: Kind, start: i64, extensions: Vec<Vec<u8>>) -> Self {
        let root = Holder::root(&Shape::authority("C=US, ST=WA, O=stamps, CN=root", start), Pair::new(Kind::P256));
        let shape = Shape { extensions, serial: 9, ..Shape::authority("C=US, ST=WA, O=stamps, CN=clock", start) };
        let leaf = root.issue(&shape, Pair::new(kind));
        Self { root, leaf }
    }

    /// Stamps `signature`.
    pub fn stamp(&self, signature: &[u8], token: &Token) -> Vec<u8> {
        let (name, hash) = self.hash();
        let hashed = |bytes: &[u8]| digest::digest(hash, bytes).as_ref().to_vec();
        let accuracy = token.accuracy.map(|seconds| seq(&[&integer(&[seconds])])).unwrap_or_default();
        let info = |at| {
            seq(&[
                &integer(&[1]),
                &oid("1.3.6.1.4.1.57264.2"),
                &seq(&[&name, &octets(&hashed(signature))]),
                &integer(&[7]),
                &generalized(at),
                &accuracy,
            ])
        };
        let kind = oid(&token.content_type);
        let signed = info(token.at);
        let attribute = |id: &str, value: &[u8]| seq(&[&oid(id), &tlv(0x31, &[value])]);
        let certificate = seq(&[&seq(&[&seq(&[&octets(&Digest::of(&self.leaf.der).value())])])]);
        let mut attributes = vec![
            attribute("1.2.840.113549.1.9.3", &kind),
            attribute("1.2.840.113549.1.9.4", &octets(&hashed(&signed))),
        ];
        if token.names_certificate {
            attributes.push(attribute("1.2.840.113549.1.9.16.2.47", &certificate));
        }
        attributes.sort();
        let attributes = attributes.concat();
        let signer = seq(&[
            &integer(&[1]),
            &seq(&[&self.leaf.issuer, &integer(&[self.leaf.serial])]),
            &name,
            &tlv(0xa0, &[&attributes]),
            &self.leaf.key.algorithm(),
            &octets(&self.leaf.key.sign_in_asn1(&tlv(0x31, &[&attributes]))),
        ]);
        let stated = if token.altered { info(token.at - 1) } else { signed };
        let content = seq(&[&kind, &tlv(0xa0, &[&octets(&stated)])]);
        let certificates = if token.certificates { tlv(0xa0, &[&self.leaf.der]) } else { Vec::new() };
        let data = seq(&[&integer(&[3]), &tlv(0x31, &[&name]), &content, &certificates, &tlv(0x31, &[&signer])]);
        seq(&[&oid("1.2.840.113549.1.7.2"), &tlv(0xa0, &[&data])])
    }

    /// The hash that goes with the stamping key.
    fn hash(&self) -> (Vec<u8>, &'static digest::Algorithm) {
        let id = |last: &str| seq(&[&oid(&format!("2.16.840.1.101.3.4.2.{last}"))]);
        match self.leaf.key.jws() {
            "ES384" => (id("2"), &digest::SHA384),
            "ES512" => (id("3"), &digest::SHA512),
            _ => (id("1"), &digest::SHA256),
        }
    }
}
