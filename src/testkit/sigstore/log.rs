//! A transparency log: entries with inclusion proofs, checkpoints and promises; of Rekor's first and second kind.

use super::{Key, b64};
use crate::model::digest::hex;
use serde_json::{Value, json};
use sigstore_merkle::{hash_children, hash_leaf};
use sigstore_types::Sha256Hash;

/// A log with a key of its own. Each entry is minted into a small tree of its own.
pub struct Log {
    /// Key of the log.
    pub key: Key,
    /// Origin line of its checkpoints.
    pub origin: String,
}

impl Log {
    /// Starts a log called `origin`.
    pub fn new(origin: &str) -> Self {
        Self { key: Key::new(), origin: origin.to_owned() }
    }

    /// Mints an entry. With a time it carries a promise (first kind), without one it does not (second kind).
    pub fn entry(&self, kind: &str, version: &str, body: &[u8], time: Option<i64>) -> Value {
        self.entry_by(&self.key, kind, version, body, time)
    }

    /// Mints an entry whose checkpoint another key signs.
    pub fn entry_by(&self, signer: &Key, kind: &str, version: &str, body: &[u8], time: Option<i64>) -> Value {
        let mut leaves: Vec<Sha256Hash> = (0_u8..5).map(|filler| hash_leaf(&[filler])).collect();
        let index = 3;
        leaves[index] = hash_leaf(body);
        let mut hashes = Vec::new();
        path(&leaves, index, &mut hashes);
        let top = root(&leaves);
        let mut entry = json!({
            "logIndex": index.to_string(),
            "logId": {"keyId": b64(&self.key.id())},
            "kindVersion": {"kind": kind, "version": version},
            "canonicalizedBody": b64(body),
            "inclusionProof": {
                "logIndex": index.to_string(),
                "treeSize": leaves.len().to_string(),
                "rootHash": b64(top.as_bytes()),
                "hashes": hashes.iter().map(|hash| b64(hash.as_bytes())).collect::<Vec<_>>(),
                "checkpoint": {"envelope": self.checkpoint(signer, leaves.len(), top.as_bytes())},
            },
        });
        if let Some(time) = time {
            entry["integratedTime"] = time.to_string().into();
            entry["inclusionPromise"] = json!({"signedEntryTimestamp": b64(&self.promise(body, time, index))});
        }
        entry
    }

    fn checkpoint(&self, signer: &Key, size: usize, top: &[u8]) -> String {
        let note = format!("{}\n{size}\n{}\n", self.origin, b64(top));
        let blob = [&signer.id()[..4], &signer.sign(note.as_bytes())].concat();
        format!("{note}\n\u{2014} {} {}\n", self.origin.split(' ').next().unwrap(), b64(&blob))
    }

    /// Signs the promise to take `body` at `time` under `index`.
    pub fn promise(&self, body: &[u8], time: i64, index: usize) -> Vec<u8> {
        let (body, id) = (b64(body), hex(&self.key.id()));
        let signed = format!(r#"{{"body":"{body}","integratedTime":{time},"logID":"{id}","logIndex":{index}}}"#);
        self.key.sign(signed.as_bytes())
    }
}

/// Returns a log as a trusted root names it, in force from `start` on.
pub fn trusted(key: &Key, origin: &str, start: i64) -> Value {
    json!({
        "baseUrl": format!("https://{origin}"),
        "hashAlgorithm": "SHA2_256",
        "publicKey": {
            "rawBytes": b64(key.spki()),
            "keyDetails": "PKIX_ECDSA_P256_SHA_256",
            "validFor": {"start": super::rfc3339(start)},
        },
        "logId": {"keyId": b64(&key.id())},
    })
}

fn root(leaves: &[Sha256Hash]) -> Sha256Hash {
    if leaves.len() == 1 {
        return leaves[0];
    }
    let half = leaves.len().next_power_of_two() / 2;
    hash_children(&root(&leaves[..half]), &root(&leaves[half..]))
}

fn path(leaves: &[Sha256Hash], index: usize, out: &mut Vec<Sha256Hash>) {
    if leaves.len() == 1 {
        return;
    }
    let half = leaves.len().next_power_of_two() / 2;
    if index < half {
        path(&leaves[..half], index, out);
        out.push(root(&leaves[half..]));
    } else {
        path(&leaves[half..], index - half, out);
        out.push(root(&leaves[..half]));
    }
}
