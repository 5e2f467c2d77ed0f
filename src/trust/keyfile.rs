//! cosign's encrypted key files: scrypt, then XSalsa20-Poly1305, around a PKCS#8 key. The door of both crates.

use crate::model::json;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use crypto_secretbox::XSalsa20Poly1305;
use crypto_secretbox::aead::{Aead as _, KeyInit as _};
use secrecy::{ExposeSecret as _, SecretBox, SecretSlice};
use serde::{Deserialize, Serialize};

/// Why a key file does not open.
#[derive(Debug, thiserror::Error)]
pub enum KeyFileError {
    /// Not the form that cosign writes.
    #[error("the encrypted key does not parse: {0}")]
    Form(String),
    /// Another way to derive the key, or parameters out of bounds: too weak, or too costly to try.
    #[error("the encrypted key uses {0}, which is not supported")]
    Unsupported(String),
    /// No password was given.
    #[error("the key is encrypted and no password is given")]
    NoPassword,
    /// The password does not open it, or the file is damaged.
    #[error("the password does not open the key")]
    Password,
}

#[derive(Serialize, Deserialize)]
struct KeyFile {
    kdf: Kdf,
    cipher: Cipher,
    ciphertext: String,
}

#[derive(Serialize, Deserialize)]
struct Kdf {
    name: String,
    params: Params,
    salt: String,
}

#[derive(Serialize, Deserialize)]
struct Params {
    #[serde(rename = "N")]
    n: u64,
    r: u32,
    p: u32,
}

#[derive(Serialize, Deserialize)]
struct Cipher {
    name: String,
    nonce: String,
}

impl Params {
    /// Refuses what would be weaker than cosign ever wrote, or cost more than about 2 GiB or some seconds.
    fn bounded(&self) -> Result<scrypt::Params, KeyFileError> {
        let good = self.n.is_power_of_two() && (1 << 14..=1 << 20).contains(&self.n);
        if !good || !(1..=16).contains(&self.r) || !(1..=4).contains(&self.p) {
            return Err(KeyFileError::Unsupported(format!("scrypt with N={}, r={}, p={}", self.n, self.r, self.p)));
        }
        let log = u8::try_from(self.n.trailing_zeros()).unwrap_or(u8::MAX);
        scrypt::Params::new(log, self.r, self.p, 32).map_err(|e| KeyFileError::Unsupported(format!("scrypt: {e}")))
    }
}

/// Cost of the key derivation that is written: what cosign writes since 2.0, about 64 MiB and a tenth of a second.
const WRITTEN: Params = Params { n: 1 << 16, r: 8, p: 1 };

/// Encrypts a PKCS#8 key with `password`, in the form that cosign writes. `random` must be fresh.
pub(super) fn seal(pkcs8: &[u8], password: &[u8], random: &[u8; 56]) -> Result<Vec<u8>, KeyFileError> {
    let (salt, nonce) = random.split_at(32);
    let nonce: [u8; 24] = nonce.try_into().unwrap_or_default();
    let key = derive(password, salt, &WRITTEN.bounded()?)?;
    let cipher = XSalsa20Poly1305::new(key.expose_secret().into());
    let sealed =
        cipher.encrypt(&nonce.into(), pkcs8).map_err(|_| KeyFileError::Unsupported("this length".to_owned()))?;
    let file = KeyFile {
        kdf: Kdf { name: "scrypt".to_owned(), params: WRITTEN, salt: STANDARD.encode(salt) },
        cipher: Cipher { name: "nacl/secretbox".to_owned(), nonce: STANDARD.encode(nonce) },
        ciphertext: STANDARD.encode(sealed),
    };
    Ok(json::canonical(&file))
}

fn derive(password: &[u8], salt: &[u8], params: &scrypt::Params) -> Result<SecretBox<[u8; 32]>, KeyFileError> {
    let mut failed = None;
    let key = SecretBox::<[u8; 32]>::init_with_mut(|key| failed = scrypt::scrypt(password, salt, params, key).err());
    failed.map_or(Ok(key), |error| Err(KeyFileError::Unsupported(format!("scrypt: {error}"))))
}

/// Opens the JSON `file` with `password` and returns the PKCS#8 key in it.
pub(super) fn open(file: &[u8], password: Option<&[u8]>) -> Result<SecretSlice<u8>, KeyFileError> {
    let file: KeyFile = json::parse(file).map_err(|e| KeyFileError::Form(e.to_string()))?;
    for (found, known) in [(&file.kdf.name, "scrypt"), (&file.cipher.name, "nacl/secretbox")] {
        if found != known {
            return Err(KeyFileError::Unsupported(format!("{found:?}")));
        }
    }
    let params = file.kdf.params.bounded()?;
    let decode = |text: &str| STANDARD.decode(text).map_err(|e| KeyFileError::Form(e.to_string()));
    let (salt, nonce, sealed) = (decode(&file.kdf.salt)?, decode(&file.cipher.nonce)?, decode(&file.ciphertext)?);
    let nonce: [u8; 24] = nonce.try_into().map_err(|_| KeyFileError::Form("the nonce has not 24 bytes".to_owned()))?;
    let password = password.ok_or(KeyFileError::NoPassword)?;
    let key = derive(password, &salt, &params)?;
    let cipher = XSalsa20Poly1305::new(key.expose_secret().into());
    cipher.decrypt(&nonce.into(), sealed.as_slice()).map(SecretSlice::from).map_err(|_| KeyFileError::Password)
}

#[cfg(test)]
mod tests {
    use super::super::keys::{KeyError, SigningKey};
    use super::super::pem;
    use super::*;

    fn file(key: &SigningKey, password: &[u8], n: u64) -> serde_json::Value {
        let mut derived = [0; 32];
        let params = scrypt::Params::new(u8::try_from(n.trailing_zeros()).unwrap(), 8, 1, 32).unwrap();
        scrypt::scrypt(password, b"salt", &params, &mut derived).unwrap();
        let plain = pem::parse(&key.to_pkcs8_pem()).unwrap().bytes;
        let sealed = XSalsa20Poly1305::new(&derived.into()).encrypt(&[7; 24].into(), plain.as_slice()).unwrap();
        serde_json::json!({
            "kdf": {"name": "scrypt", "params": {"N": n, "r": 8, "p": 1}, "salt": STANDARD.encode(b"salt")},
            "cipher": {"name": "nacl/secretbox", "nonce": STANDARD.encode([7; 24])},
            "ciphertext": STANDARD.encode(sealed),
        })
    }

    fn read(file: &serde_json::Value, password: Option<&[u8]>) -> Result<SigningKey, KeyError> {
        SigningKey::from_pem(
            pem::write("ENCRYPTED SIGSTORE PRIVATE KEY", file.to_string().as_bytes()).as_bytes(),
            password,
        )
    }

    #[test]
    fn a_key_file_opens_with_its_password_only() {
        let key = SigningKey::generate().unwrap();
        let good = file(&key, b"secret", 1 << 14);
        assert_eq!(read(&good, Some(b"secret")).unwrap().public(), key.public());
        assert!(matches!(read(&good, Some(b"other")), Err(KeyError::File(KeyFileError::Password))));
        assert!(matches!(read(&good, None), Err(KeyError::File(KeyFileError::NoPassword))));
    }

    #[test]
    fn what_is_written_opens_again_and_differs_each_time() {
        let key = SigningKey::generate().unwrap();
        let (one, two) = (key.to_encrypted_pem(b"secret").unwrap(), key.to_encrypted_pem(b"secret").unwrap());
        assert_ne!(one, two);
        assert!(one.starts_with("-----BEGIN ENCRYPTED SIGSTORE PRIVATE KEY-----"));
        assert_eq!(SigningKey::from_pem(one.as_bytes(), Some(b"secret")).unwrap().public(), key.public());
        let error = SigningKey::from_pem(one.as_bytes(), Some(b"other")).unwrap_err();
        assert!(matches!(error, KeyError::File(KeyFileError::Password)));
    }

    #[test]
    fn parameters_out_of_bounds_are_refused_before_anything_is_computed() {
        let good = file(&SigningKey::generate().unwrap(), b"x", 1 << 14);
        for (pointer, value) in [
            ("/kdf/params/N", serde_json::json!(1_u64 << 40)),
            ("/kdf/params/N", serde_json::json!(20_000)),
            ("/kdf/params/N", serde_json::json!(2)),
            ("/kdf/params/r", serde_json::json!(1_000_000)),
            ("/kdf/params/p", serde_json::json!(0)),
            ("/kdf/name", serde_json::json!("argon2")),
            ("/cipher/name", serde_json::json!("none")),
        ] {
            let mut bad = good.clone();
            *bad.pointer_mut(pointer).unwrap() = value;
            assert!(matches!(read(&bad, Some(b"x")), Err(KeyError::File(KeyFileError::Unsupported(_)))), "{bad}");
        }
    }
}
