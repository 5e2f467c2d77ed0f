//! Keys of all kinds that sign envelopes, and of some that must not.

use crate::testkit::sigstore::der::{oid, seq, tlv};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::{KeyPair as RsaKeyPair, KeySize};
use aws_lc_rs::signature::{
    self as lc, EcdsaKeyPair, EcdsaSigningAlgorithm, Ed25519KeyPair, KeyPair as _, RsaEncoding,
};
use std::sync::{Arc, LazyLock};

/// Kind and size of a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// RSA of 2048 bits.
    Rsa2048,
    /// RSA of 3072 bits.
    Rsa3072,
    /// RSA of 4096 bits.
    Rsa4096,
    /// ECDSA on P-256.
    P256,
    /// ECDSA on P-384.
    P384,
    /// ECDSA on P-521.
    P521,
    /// Ed25519, which signs no envelope.
    Ed25519,
}

enum Secret {
    Rsa(RsaKeyPair),
    /// The same key, for signatures of two numbers and for those in ASN.1.
    Elliptic(EcdsaKeyPair, EcdsaKeyPair),
    Edwards(Ed25519KeyPair),
}

/// A key pair.
pub struct Pair {
    kind: Kind,
    secret: Secret,
    spki: Vec<u8>,
}

// Finding large primes takes a second; one key of each size is enough for a run.
static RSA: [LazyLock<Arc<Pair>>; 3] = [
    LazyLock::new(|| Arc::new(Pair::rsa(Kind::Rsa2048, KeySize::Rsa2048))),
    LazyLock::new(|| Arc::new(Pair::rsa(Kind::Rsa3072, KeySize::Rsa3072))),
    LazyLock::new(|| Arc::new(Pair::rsa(Kind::Rsa4096, KeySize::Rsa4096))),
];

impl Pair {
    /// Makes a key; RSA keys are made once for each size.
    #[expect(clippy::new_ret_no_self, reason = "a key is always shared: certificates and signers hold it")]
    pub fn new(kind: Kind) -> Arc<Self> {
        let curve = |curve, fixed, asn1| Arc::new(Self::elliptic(kind, curve, fixed, asn1));
        match kind {
            Kind::Rsa2048 => RSA[0].clone(),
            Kind::Rsa3072 => RSA[1].clone(),
            Kind::Rsa4096 => RSA[2].clone(),
            Kind::P256 => {
                curve("1.2.840.10045.3.1.7", &lc::ECDSA_P256_SHA256_FIXED_SIGNING, &lc::ECDSA_P256_SHA256_ASN1_SIGNING)
            }
            Kind::P384 => {
                curve("1.3.132.0.34", &lc::ECDSA_P384_SHA384_FIXED_SIGNING, &lc::ECDSA_P384_SHA384_ASN1_SIGNING)
            }
            Kind::P521 => {
                curve("1.3.132.0.35", &lc::ECDSA_P521_SHA512_FIXED_SIGNING, &lc::ECDSA_P521_SHA512_ASN1_SIGNING)
            }
            Kind::Ed25519 => {
                let pair = Ed25519KeyPair::generate().unwrap();
                let spki = spki(&[oid("1.3.101.112")], pair.public_key().as_ref());
                Arc::new(Self { kind, secret: Secret::Edwards(pair), spki })
            }
        }
    }

    fn rsa(kind: Kind, size: KeySize) -> Self {
        let pair = RsaKeyPair::generate(size).unwrap();
        let spki = spki(&[oid("1.2.840.113549.1.1.1"), vec![5, 0]], pair.public_key().as_ref());
        Self { kind, secret: Secret::Rsa(pair), spki }
    }

    fn elliptic(
        kind: Kind,
        curve: &str,
        fixed: &'static EcdsaSigningAlgorithm,
        asn1: &'static EcdsaSigningAlgorithm,
    ) -> Self {
        let made = EcdsaKeyPair::generate_pkcs8(fixed, &SystemRandom::new()).unwrap();
        let fixed = EcdsaKeyPair::from_pkcs8(fixed, made.as_ref()).unwrap();
        let asn1 = EcdsaKeyPair::from_pkcs8(asn1, made.as_ref()).unwrap();
        let spki = spki(&[oid("1.2.840.10045.2.1"), oid(curve)], fixed.public_key().as_ref());
        Self { kind, secret: Secret::Elliptic(fixed, asn1), spki }
    }

    /// SubjectPublicKeyInfo.
    pub fn spki(&self) -> &[u8] {
        &self.spki
    }

    /// Name of the algorithm that goes with it in JSON.
    pub fn jws(&self) -> &'static str {
        match self.kind {
            Kind::Rsa2048 => "PS256",
            Kind::Rsa3072 => "PS384",
            Kind::Rsa4096 => "PS512",
            Kind::P256 => "ES256",
            Kind::P384 => "ES384",
            Kind::P521 => "ES512",
            Kind::Ed25519 => "EdDSA",
        }
    }

    /// Number of the algorithm that goes with it in CBOR.
    pub fn cose(&self) -> i64 {
        match self.kind {
            Kind::Rsa2048 => -37,
            Kind::Rsa3072 => -38,
            Kind::Rsa4096 => -39,
            Kind::P256 => -7,
            Kind::P384 => -35,
            Kind::P521 => -36,
            Kind::Ed25519 => -8,
        }
    }

    /// Signs an envelope: RSA-PSS, or ECDSA as two numbers.
    pub fn sign_envelope(&self, bytes: &[u8]) -> Vec<u8> {
        match &self.secret {
            Secret::Rsa(pair) => match self.kind {
                Kind::Rsa2048 => rsa(pair, &lc::RSA_PSS_SHA256, bytes),
                Kind::Rsa3072 => rsa(pair, &lc::RSA_PSS_SHA384, bytes),
                _ => rsa(pair, &lc::RSA_PSS_SHA512, bytes),
            },
            Secret::Elliptic(fixed, _) => fixed.sign(&SystemRandom::new(), bytes).unwrap().as_ref().to_vec(),
            Secret::Edwards(pair) => pair.sign(bytes).as_ref().to_vec(),
        }
    }

    /// Signs a certificate or a timestamp: RSA with PKCS#1 padding over SHA-256, or ECDSA in ASN.1.
    pub fn sign_in_asn1(&self, bytes: &[u8]) -> Vec<u8> {
        match &self.secret {
            Secret::Rsa(pair) => rsa(pair, &lc::RSA_PKCS1_SHA256, bytes),
            Secret::Elliptic(_, asn1) => asn1.sign(&SystemRandom::new(), bytes).unwrap().as_ref().to_vec(),
            Secret::Edwards(pair) => pair.sign(bytes).as_ref().to_vec(),
        }
    }

    /// AlgorithmIdentifier of [`Self::sign_in_asn1`].
    pub fn algorithm(&self) -> Vec<u8> {
        match self.kind {
            Kind::P256 => seq(&[&oid("1.2.840.10045.4.3.2")]),
            Kind::P384 => seq(&[&oid("1.2.840.10045.4.3.3")]),
            Kind::P521 => seq(&[&oid("1.2.840.10045.4.3.4")]),
            Kind::Ed25519 => seq(&[&oid("1.3.101.112")]),
            _ => seq(&[&oid("1.2.840.113549.1.1.11"), &[5, 0]]),
        }
    }
}

fn rsa(pair: &RsaKeyPair, padding: &'static dyn RsaEncoding, bytes: &[u8]) -> Vec<u8> {
    let mut signature = vec![0; pair.public_modulus_len()];
    pair.sign(padding, &SystemRandom::new(), bytes, &mut signature).unwrap();
    signature
}

fn spki(algorithm: &[Vec<u8>], key: &[u8]) -> Vec<u8> {
    seq(&[&seq(&[&algorithm.concat()]), &tlv(3, &[&[0], key])])
}
