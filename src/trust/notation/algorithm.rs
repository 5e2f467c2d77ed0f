//! Algorithms of signatures: which one goes with a key, and whether a signature holds. One of the two doors of the
//! cryptographic library.
//!
//! The specification leaves no choice: kind and size of the key say the algorithm, and the envelope has to agree.

use super::certificate::{Certificate, Key};
use aws_lc_rs::signature as lc;
use aws_lc_rs::signature::{UnparsedPublicKey, VerificationAlgorithm};

/// An algorithm that may sign an envelope.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Algorithm {
    /// RSA-PSS with SHA-256, by a key of 2048 bits.
    Ps256,
    /// RSA-PSS with SHA-384, by a key of 3072 bits.
    Ps384,
    /// RSA-PSS with SHA-512, by a key of 4096 bits.
    Ps512,
    /// ECDSA on P-256 with SHA-256.
    Es256,
    /// ECDSA on P-384 with SHA-384.
    Es384,
    /// ECDSA on P-521 with SHA-512.
    Es512,
}

/// Every algorithm with its name in JWS and its number in COSE.
const ALL: [(Algorithm, &str, i64); 6] = [
    (Algorithm::Ps256, "PS256", -37),
    (Algorithm::Ps384, "PS384", -38),
    (Algorithm::Ps512, "PS512", -39),
    (Algorithm::Es256, "ES256", -7),
    (Algorithm::Es384, "ES384", -35),
    (Algorithm::Es512, "ES512", -36),
];

impl Algorithm {
    /// Returns the algorithm that JWS calls `name`.
    pub(super) fn named(name: &str) -> Option<Self> {
        ALL.into_iter().find(|(_, known, _)| *known == name).map(|(algorithm, ..)| algorithm)
    }

    /// Returns the algorithm that COSE gives the number `number`.
    pub(super) fn numbered(number: i64) -> Option<Self> {
        ALL.into_iter().find(|(.., known)| *known == number).map(|(algorithm, ..)| algorithm)
    }

    /// Returns the algorithm that goes with a key; `None` for a key that must not sign.
    pub(super) const fn of(key: Key) -> Option<Self> {
        match key {
            Key::Rsa(2048) => Some(Self::Ps256),
            Key::Rsa(3072) => Some(Self::Ps384),
            Key::Rsa(4096) => Some(Self::Ps512),
            Key::P256 => Some(Self::Es256),
            Key::P384 => Some(Self::Es384),
            Key::P521 => Some(Self::Es512),
            Key::Rsa(_) | Key::Other => None,
        }
    }

    /// Returns its name in JWS.
    pub(super) fn name(self) -> &'static str {
        ALL.into_iter().find(|(known, ..)| *known == self).map_or("none", |(_, name, _)| name)
    }

    /// Returns whether the key of `certificate` signed `signed`. ECDSA signatures are the two numbers, one behind the
    /// other.
    pub(super) fn verifies(self, certificate: &Certificate, signed: &[u8], signature: &[u8]) -> bool {
        let by: &dyn VerificationAlgorithm = match self {
            Self::Ps256 => &lc::RSA_PSS_2048_8192_SHA256,
            Self::Ps384 => &lc::RSA_PSS_2048_8192_SHA384,
            Self::Ps512 => &lc::RSA_PSS_2048_8192_SHA512,
            Self::Es256 => &lc::ECDSA_P256_SHA256_FIXED,
            Self::Es384 => &lc::ECDSA_P384_SHA384_FIXED,
            Self::Es512 => &lc::ECDSA_P521_SHA512_FIXED,
        };
        holds(by, certificate, signed, signature)
    }
}

/// Hash that a timestamp authority signs with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Hash {
    /// SHA-256.
    Sha256,
    /// SHA-384.
    Sha384,
    /// SHA-512.
    Sha512,
}

impl Hash {
    /// Returns the hash of `bytes`.
    pub(super) fn of(self, bytes: &[u8]) -> Vec<u8> {
        use aws_lc_rs::digest;
        let by = match self {
            Self::Sha256 => &digest::SHA256,
            Self::Sha384 => &digest::SHA384,
            Self::Sha512 => &digest::SHA512,
        };
        digest::digest(by, bytes).as_ref().to_vec()
    }
}

/// Returns whether the key of a timestamp authority signed `signed` under `hash`: RSA with PKCS#1 padding, or ECDSA
/// in ASN.1.
pub(super) fn stamps(hash: Hash, certificate: &Certificate, signed: &[u8], signature: &[u8]) -> bool {
    let by: &dyn VerificationAlgorithm = match (certificate.key, hash) {
        (Key::Rsa(_), Hash::Sha256) => &lc::RSA_PKCS1_2048_8192_SHA256,
        (Key::Rsa(_), Hash::Sha384) => &lc::RSA_PKCS1_2048_8192_SHA384,
        (Key::Rsa(_), Hash::Sha512) => &lc::RSA_PKCS1_2048_8192_SHA512,
        (Key::P256, Hash::Sha256) => &lc::ECDSA_P256_SHA256_ASN1,
        (Key::P256, Hash::Sha384) => &lc::ECDSA_P256_SHA384_ASN1,
        (Key::P256, Hash::Sha512) => &lc::ECDSA_P256_SHA512_ASN1,
        (Key::P384, Hash::Sha256) => &lc::ECDSA_P384_SHA256_ASN1,
        (Key::P384, Hash::Sha384) => &lc::ECDSA_P384_SHA384_ASN1,
        (Key::P384, Hash::Sha512) => &lc::ECDSA_P384_SHA512_ASN1,
        (Key::P521, Hash::Sha256) => &lc::ECDSA_P521_SHA256_ASN1,
        (Key::P521, Hash::Sha384) => &lc::ECDSA_P521_SHA384_ASN1,
        (Key::P521, Hash::Sha512) => &lc::ECDSA_P521_SHA512_ASN1,
        (Key::Other, _) => return false,
    };
    holds(by, certificate, signed, signature)
}

/// Returns whether the key of `issuer` signed a certificate's body, under the algorithm with this identifier. What is
/// not listed (SHA-1 among it) signs nothing.
pub(super) fn issues(identifier: &str, issuer: &Certificate, body: &[u8], signature: &[u8]) -> bool {
    let rsa = matches!(issuer.key, Key::Rsa(_));
    let plain = |hash| stamps(hash, issuer, body, signature);
    match (identifier, rsa) {
        ("1.2.840.113549.1.1.11", true) | ("1.2.840.10045.4.3.2", false) => plain(Hash::Sha256),
        ("1.2.840.113549.1.1.12", true) | ("1.2.840.10045.4.3.3", false) => plain(Hash::Sha384),
        ("1.2.840.113549.1.1.13", true) | ("1.2.840.10045.4.3.4", false) => plain(Hash::Sha512),
        ("1.2.840.113549.1.1.10", true) => [Algorithm::Ps256, Algorithm::Ps384, Algorithm::Ps512]
            .into_iter()
            .any(|padded| padded.verifies(issuer, body, signature)),
        _ => false,
    }
}

fn holds(by: &'static dyn VerificationAlgorithm, certificate: &Certificate, signed: &[u8], signature: &[u8]) -> bool {
    UnparsedPublicKey::new(by, &certificate.public).verify(signed, signature).is_ok()
}
