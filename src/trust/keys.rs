//! Keys: of those who sign images, and airlift's own. The door of key generation.
//!
//! Private keys are ECDSA P-256 in PKCS#8. Public keys are ECDSA P-256 and P-384, Ed25519 and RSA from 2048
//! bits on; the scheme of a signature comes from the key, never from what accompanies the signature.

use super::keyfile::{self, KeyFileError};
use super::pem;
use crate::model::Digest;
use aws_lc_rs::rand::{SecureRandom as _, SystemRandom};
use aws_lc_rs::signature::{ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair};
use secrecy::{ExposeSecret as _, SecretSlice};
use sigstore_crypto::{KeyAlgorithm, KeyPair, VerificationKey};
use sigstore_types::{DerPublicKey, HashAlgorithm, SignatureBytes};
use std::fmt;

/// Why a key cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    /// Not the text of a key.
    #[error("{0}")]
    Pem(&'static str),
    /// A PEM block of another kind.
    #[error("the PEM block is a {found}, expected {expected}")]
    Label {
        /// Label in the file.
        found: String,
        /// What was asked for.
        expected: &'static str,
    },
    /// A key of a kind that is not supported.
    #[error("{0}; supported are {1}")]
    Algorithm(String, &'static str),
    /// cosign's encrypted form does not open.
    #[error(transparent)]
    File(#[from] KeyFileError),
    /// The generator of random numbers gave nothing, or the library refused to sign.
    #[error("the cryptographic library failed: {0}")]
    Library(String),
}

const SIGNING: &str = "ECDSA P-256 keys in PKCS#8";
const VERIFYING: &str = "ECDSA P-256 and P-384, Ed25519, and RSA of 2048 bits and more";

/// Private key. Prints nothing of itself; its memory is cleared when it goes.
pub struct SigningKey {
    pkcs8: SecretSlice<u8>,
    pair: KeyPair,
    public: PublicKey,
}

impl SigningKey {
    /// Makes a new key.
    pub fn generate() -> Result<Self, KeyError> {
        let made = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_ASN1_SIGNING, &SystemRandom::new());
        let made = made.map_err(|e| KeyError::Library(e.to_string()))?;
        Self::from_pkcs8(SecretSlice::from(made.as_ref().to_vec()))
    }

    /// Reads a PKCS#8 PEM, or a key file of cosign, which `password` opens.
    pub fn from_pem(text: &[u8], password: Option<&[u8]>) -> Result<Self, KeyError> {
        let text = std::str::from_utf8(text).map_err(|_| KeyError::Pem("the key is no text"))?;
        let block = pem::parse(text).map_err(KeyError::Pem)?;
        match block.label.as_str() {
            "PRIVATE KEY" => Self::from_pkcs8(SecretSlice::from(block.bytes)),
            "ENCRYPTED SIGSTORE PRIVATE KEY" | "ENCRYPTED COSIGN PRIVATE KEY" => {
                Self::from_pkcs8(keyfile::open(&block.bytes, password)?)
            }
            "EC PRIVATE KEY" => Err(KeyError::Algorithm("this is a SEC1 key".to_owned(), SIGNING)),
            _ => Err(KeyError::Label { found: block.label, expected: "PRIVATE KEY or a key file of cosign" }),
        }
    }

    fn from_pkcs8(pkcs8: SecretSlice<u8>) -> Result<Self, KeyError> {
        let pair = KeyPair::from_pkcs8_der(pkcs8.expose_secret())
            .map_err(|_| KeyError::Algorithm(format!("this is {}", kind(pkcs8.expose_secret())), SIGNING))?;
        let public = PublicKey::from_der(pair.public_key_der().map_err(|e| KeyError::Library(e.to_string()))?)?;
        Ok(Self { pkcs8, pair, public })
    }

    /// Returns the key as PKCS#8 PEM, unencrypted.
    pub fn to_pkcs8_pem(&self) -> String {
        pem::write("PRIVATE KEY", self.pkcs8.expose_secret())
    }

    /// Returns the key encrypted with `password`, in the form of cosign's key files.
    pub fn to_encrypted_pem(&self, password: &[u8]) -> Result<String, KeyError> {
        let mut random = [0; 56];
        SystemRandom::new().fill(&mut random).map_err(|e| KeyError::Library(e.to_string()))?;
        let sealed = keyfile::seal(self.pkcs8.expose_secret(), password, &random)?;
        Ok(pem::write("ENCRYPTED SIGSTORE PRIVATE KEY", &sealed))
    }

    /// Returns the public half.
    pub const fn public(&self) -> &PublicKey {
        &self.public
    }

    /// Signs `bytes` (ECDSA over their SHA-256, ASN.1 form). Signatures differ in each run.
    pub fn sign(&self, bytes: &[u8]) -> Result<Vec<u8>, KeyError> {
        self.pair.sign(bytes).map(SignatureBytes::into_bytes).map_err(|e| KeyError::Library(e.to_string()))
    }
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SigningKey({})", self.public.id)
    }
}

/// Names a private key that is none of ours by the object identifiers in it.
fn kind(pkcs8: &[u8]) -> &'static str {
    let has = |oid: &[u8]| pkcs8.windows(oid.len()).take(64).any(|window| window == oid);
    if has(&[6, 3, 0x2b, 0x65, 0x70]) {
        "an Ed25519 key"
    } else if has(&[6, 5, 0x2b, 0x81, 4, 0, 0x22]) {
        "an ECDSA P-384 key"
    } else if has(&[6, 5, 0x2b, 0x81, 4, 0, 0x23]) {
        "an ECDSA P-521 key"
    } else if has(&[6, 9, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 1, 1]) {
        "an RSA key"
    } else {
        "no key that is known here"
    }
}

/// Public key, checked to be of a supported kind.
#[derive(Clone, PartialEq, Eq)]
pub struct PublicKey {
    der: DerPublicKey,
    algorithm: KeyAlgorithm,
    id: Digest,
}

impl PublicKey {
    /// Reads a PEM block `PUBLIC KEY` (SubjectPublicKeyInfo).
    pub fn from_pem(text: &[u8]) -> Result<Self, KeyError> {
        let text = std::str::from_utf8(text).map_err(|_| KeyError::Pem("the key is no text"))?;
        let block = pem::parse(text).map_err(KeyError::Pem)?;
        if block.label != "PUBLIC KEY" {
            return Err(KeyError::Label { found: block.label, expected: "PUBLIC KEY" });
        }
        Self::from_der(DerPublicKey::new(block.bytes))
    }

    fn from_der(der: DerPublicKey) -> Result<Self, KeyError> {
        let algorithm = KeyAlgorithm::from_spki(&der).map_err(|e| KeyError::Algorithm(e.to_string(), VERIFYING))?;
        let key = VerificationKey::from_spki(&der).map_err(|e| KeyError::Algorithm(e.to_string(), VERIFYING))?;
        sigstore_crypto::validate_raw_public_key(key.scheme(), key.as_bytes())
            .map_err(|e| KeyError::Algorithm(e.to_string(), VERIFYING))?;
        let id = Digest::of(der.as_bytes());
        Ok(Self { der, algorithm, id })
    }

    /// Returns the key as PEM.
    pub fn to_pem(&self) -> String {
        pem::write("PUBLIC KEY", self.der.as_bytes())
    }

    /// Returns the SHA-256 of the SubjectPublicKeyInfo.
    pub const fn id(&self) -> &Digest {
        &self.id
    }

    pub(super) const fn der(&self) -> &DerPublicKey {
        &self.der
    }

    /// Returns whether `signature` over `bytes` is by this key, hashed as the key's kind has it.
    pub fn verifies(&self, bytes: &[u8], signature: &[u8]) -> bool {
        let scheme = self.algorithm.default_signing_scheme();
        sigstore_crypto::verify_signature(&self.der, bytes, &SignatureBytes::from_bytes(signature), scheme).is_ok()
    }

    /// Returns whether `signature` over `bytes` is by this key, hashed with SHA-256 as cosign does it for blobs.
    pub(super) fn verifies_sha256(&self, bytes: &[u8], signature: &[u8]) -> bool {
        let Ok(scheme) = self.algorithm.resolve_signing_scheme(HashAlgorithm::Sha2256) else { return false };
        sigstore_crypto::verify_signature(&self.der, bytes, &SignatureBytes::from_bytes(signature), scheme).is_ok()
    }
}

impl fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PublicKey({})", self.id)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_reads_back_and_signs_what_its_public_half_verifies() {
        let key = SigningKey::generate().unwrap();
        let again = SigningKey::from_pem(key.to_pkcs8_pem().as_bytes(), None).unwrap();
        assert_eq!(again.public(), key.public());
        let public = PublicKey::from_pem(key.public().to_pem().as_bytes()).unwrap();
        assert_eq!(public.id(), key.public().id());
        let signature = again.sign(b"text").unwrap();
        assert!(public.verifies(b"text", &signature) && public.verifies_sha256(b"text", &signature));
        assert!(!public.verifies(b"texts", &signature));
        assert!(!SigningKey::generate().unwrap().public().verifies(b"text", &signature));
    }

    #[test]
    fn a_private_key_does_not_print() {
        let key = SigningKey::generate().unwrap();
        assert_eq!(format!("{key:?}"), format!("SigningKey({})", key.public().id()));
    }

    #[test]
    fn keys_of_other_kinds_are_refused_by_name() {
        let ed25519 = "-----BEGIN PRIVATE KEY-----\nMC4CAQAwBQYDK2VwBCIEIJ1hsZ3v/VpguoRK9JLsLMREScVpezJpGXA7rAMcrn9g\n-----END PRIVATE KEY-----\n";
        let error = SigningKey::from_pem(ed25519.as_bytes(), None).unwrap_err().to_string();
        assert!(error.contains("Ed25519"), "{error}");
        for (label, words) in [
            ("EC PRIVATE KEY", "SEC1"),
            ("ENCRYPTED PRIVATE KEY", "ENCRYPTED PRIVATE KEY"),
            ("PUBLIC KEY", "PUBLIC KEY"),
        ] {
            let error = SigningKey::from_pem(pem::write(label, b"x").as_bytes(), None).unwrap_err().to_string();
            assert!(error.contains(words), "{error}");
        }
        let error = PublicKey::from_pem(pem::write("CERTIFICATE", b"x").as_bytes()).unwrap_err().to_string();
        assert!(error.contains("CERTIFICATE"), "{error}");
        assert!(PublicKey::from_pem(pem::write("PUBLIC KEY", b"x").as_bytes()).is_err());
        assert!(PublicKey::from_pem(b"\xff").is_err());
    }
}
