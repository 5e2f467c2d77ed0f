//! A TUF repository in memory: minted, rotated, aged and forged. Keys are new in every run.

use super::sigstore::{Key, rfc3339};
use crate::model::digest::hex;
use crate::model::port::FileTree;
use crate::model::{Digest, Fault};
use serde_json::{Value, json};
use sigstore_tuf::canonical_json::to_canonical_bytes;
use std::collections::BTreeMap;

const WEEK: i64 = 7 * 86_400;

/// A repository. What stands in [`files`](Self::files) is what a mirror shows.
pub struct TufRepository {
    /// Files by path.
    pub files: BTreeMap<String, Vec<u8>>,
    /// Keys of the root role; two must sign where there are two.
    pub root_keys: Vec<Key>,
    /// Key of the other roles.
    pub online: Key,
    /// Start, in seconds; metadata ends a week later, the root a year.
    pub start: i64,
    /// Version of the root.
    pub root_version: u64,
    /// Version of everything else.
    pub version: u64,
}

fn key(key: &Key) -> (String, Value) {
    let value = json!({"keytype": "ecdsa", "scheme": "ecdsa-sha2-nistp256", "keyval": {"public": key.pem()}});
    (hex(&key.id()), value)
}

/// Signs `signed` with each of `keys`.
pub fn sign(signed: &Value, keys: &[&Key]) -> Vec<u8> {
    let bytes = to_canonical_bytes(signed).unwrap();
    let signature = |key: &&Key| json!({"keyid": hex(&key.id()), "sig": hex(&key.sign(&bytes))});
    json!({"signed": signed, "signatures": keys.iter().map(signature).collect::<Vec<_>>()}).to_string().into_bytes()
}

impl TufRepository {
    /// Makes a repository that holds `target` under `name`.
    pub fn new(start: i64, name: &str, target: &[u8]) -> Self {
        let mut repository = Self {
            files: BTreeMap::new(),
            root_keys: vec![Key::new(), Key::new()],
            online: Key::new(),
            start,
            root_version: 1,
            version: 0,
        };
        repository.write_root(&[]);
        repository.publish(name, target);
        repository
    }

    /// Returns the first root: what a client brings along.
    pub fn initial(&self) -> Vec<u8> {
        self.files["1.root.json"].clone()
    }

    /// Puts a new version of everything but the root over `target`.
    pub fn publish(&mut self, name: &str, target: &[u8]) {
        self.version += 1;
        let (version, expires) = (self.version, rfc3339(self.start + WEEK));
        let digest = Digest::of(target).hex();
        let folder = name.rsplit_once('/').map(|(folder, _)| format!("{folder}/")).unwrap_or_default();
        let last = name.rsplit('/').next().unwrap();
        self.files.insert(format!("targets/{folder}{digest}.{last}"), target.to_vec());
        let common =
            |kind: &str| json!({"_type": kind, "spec_version": "1.0.31", "version": version, "expires": expires});
        let with = |kind: &str, more: Value| {
            let mut signed = common(kind);
            signed.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
            sign(&signed, &[&self.online])
        };
        let targets =
            with("targets", json!({"targets": {name: {"length": target.len(), "hashes": {"sha256": digest}}}}));
        let meta = |bytes: &[u8]| json!({"version": version, "length": bytes.len(), "hashes": {"sha256": Digest::of(bytes).hex()}});
        let snapshot = with("snapshot", json!({"meta": {"targets.json": meta(&targets)}}));
        let timestamp = with("timestamp", json!({"meta": {"snapshot.json": meta(&snapshot)}}));
        self.files.insert(format!("{version}.targets.json"), targets);
        self.files.insert(format!("{version}.snapshot.json"), snapshot);
        self.files.insert("timestamp.json".into(), timestamp);
    }

    /// Puts new keys in the place of those of the root role and of the others, under a new version of the root that the
    /// old ones have signed too. What was published before has to be published again.
    pub fn rotate(&mut self) {
        let old = std::mem::replace(&mut self.root_keys, vec![Key::new(), Key::new()]);
        self.online = Key::new();
        self.root_version += 1;
        self.write_root(&old.iter().collect::<Vec<_>>());
    }

    fn write_root(&mut self, also: &[&Key]) {
        let signed = self.root(self.root_version, self.start + 52 * WEEK);
        let keys: Vec<&Key> = self.root_keys.iter().chain(also.iter().copied()).collect();
        self.files.insert(format!("{}.root.json", self.root_version), sign(&signed, &keys));
    }

    /// Returns the root's content in `version`, unsigned.
    pub fn root(&self, version: u64, expires: i64) -> Value {
        let keys: serde_json::Map<String, Value> = self.root_keys.iter().chain([&self.online]).map(key).collect();
        let ids = |keys: &[&Key]| keys.iter().map(|key| hex(&key.id())).collect::<Vec<_>>();
        let online = json!({"keyids": ids(&[&self.online]), "threshold": 1});
        let own = ids(&self.root_keys.iter().collect::<Vec<_>>());
        json!({
            "_type": "root", "spec_version": "1.0.31", "version": version, "expires": rfc3339(expires),
            "consistent_snapshot": true, "keys": keys,
            "roles": {
                "root": {"keyids": own, "threshold": self.root_keys.len()},
                "timestamp": online, "snapshot": online, "targets": online,
            },
        })
    }
}

/// Files in memory as a place that they are read from.
pub struct FilesInMemory(pub BTreeMap<String, Vec<u8>>);

impl FileTree for FilesInMemory {
    fn place(&self) -> String {
        "memory".to_owned()
    }

    fn file(&self, path: &str, limit: u64) -> Result<Option<Vec<u8>>, Fault> {
        let found = self.0.get(path).cloned();
        match &found {
            Some(bytes) if bytes.len() as u64 > limit => {
                Err(Fault::new(crate::model::FaultKind::TooLarge, path, format!("it has more than {limit} bytes")))
            }
            _ => Ok(found),
        }
    }
}
