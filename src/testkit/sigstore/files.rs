//! Bundles over files: message signatures in the three versions of the format, keyless and with a key.

use super::{Key, Leaf, World, b64, pem};
use crate::model::{Digest, MediaType};
use serde_json::{Value, json};

impl World {
    /// Mints a bundle over `file`, signed under `leaf` and logged a minute later, labelled `version` (`0.1` to `0.3`).
    ///
    /// Versions before 0.3 hold a chain of certificates, of which the leaf is the only one.
    pub fn file_bundle(&self, leaf: &Leaf, file: &[u8], version: &str) -> Value {
        let key = Key::new();
        let certificate = self.leaf(&key, leaf);
        let entry = self.file_entry(&key, file, &pem("CERTIFICATE", &certificate), leaf.from + 60);
        let raw = json!({"rawBytes": b64(&certificate)});
        let mut material = json!({"tlogEntries": [entry.0]});
        match version {
            "0.3" => material["certificate"] = raw,
            _ => material["x509CertificateChain"] = json!({"certificates": [raw]}),
        }
        labelled(version, &material, file, &entry.1)
    }

    /// Mints a bundle of version 0.3 over `file` by `key`, logged at `at`.
    pub fn file_bundle_by_key(&self, key: &Key, file: &[u8], at: i64) -> Value {
        let entry = self.file_entry(key, file, &key.pem(), at);
        let material = json!({"publicKey": {"hint": b64(&key.id())}, "tlogEntries": [entry.0]});
        labelled("0.3", &material, file, &entry.1)
    }

    fn file_entry(&self, key: &Key, file: &[u8], verifier: &str, at: i64) -> (Value, Vec<u8>) {
        let signature = key.sign(file);
        let body = json!({"apiVersion": "0.0.1", "kind": "hashedrekord", "spec": {
            "data": {"hash": {"algorithm": "sha256", "value": Digest::of(file).hex()}},
            "signature": {"content": b64(&signature), "publicKey": {"content": b64(verifier.as_bytes())}},
        }});
        (self.log.entry("hashedrekord", "0.0.1", body.to_string().as_bytes(), Some(at)), signature)
    }
}

fn labelled(version: &str, material: &Value, file: &[u8], signature: &[u8]) -> Value {
    let older = format!("application/vnd.dev.sigstore.bundle+json;version={version}");
    json!({
        "mediaType": if version == "0.3" { MediaType::SIGSTORE_BUNDLE } else { older.as_str() },
        "verificationMaterial": material,
        "messageSignature": {
            "messageDigest": {"algorithm": "SHA2_256", "digest": b64(Digest::of(file).value())},
            "signature": b64(signature),
        },
    })
}
