//! Signers of a policy, loaded and ready to judge with.

use super::identity::Wanted;
use super::keys::{KeyError, PublicKey};
use super::notation::{Store, StoreError, Trusted};
use super::policy_files::PolicyFiles;
use super::roots::{Root, RootError};
use crate::document::policy::{AcceptedSigner, KeySource, LogDemand, Policy, SctDemand, StoreName};
use std::collections::BTreeMap;
use std::io;
use std::sync::Arc;

/// Why a policy cannot be judged with.
#[derive(Debug, thiserror::Error)]
pub enum TrustError {
    /// The library was built without cryptography; nothing could be verified.
    #[error("this program was built without a cryptographic provider")]
    NoProvider,
    /// A key file cannot be read.
    #[error("cannot read {file}, the key {name:?} of the policy: {source}")]
    KeyFile {
        /// Name in the policy.
        name: String,
        /// Path as the policy names it.
        file: String,
        /// Cause.
        source: io::Error,
    },
    /// A key cannot be used.
    #[error("the key {name:?} of the policy cannot be used: {source}")]
    Key {
        /// Name in the policy.
        name: String,
        /// Cause.
        source: KeyError,
    },
    /// One key stands under two names, so one person would count as two.
    #[error("{first:?} and {second:?} have the same key, so one person would count as two")]
    SameKey {
        /// One name.
        first: String,
        /// The other.
        second: String,
    },
    /// A root cannot be used.
    #[error("the trust root {name:?} of the policy cannot be used: {source}")]
    Root {
        /// Name in the policy.
        name: String,
        /// Cause.
        source: Box<RootError>,
    },
    /// A trust store cannot be used.
    #[error("the trust store {name:?} of the policy cannot be used: {source}")]
    Store {
        /// Name in the policy.
        name: String,
        /// Cause.
        source: Box<StoreError>,
    },
    /// A rule names a key or a root that the policy does not have.
    #[error("{place} rule {rule} names {name:?}, which the policy does not have")]
    Missing {
        /// Policy.
        place: String,
        /// Number of the rule from 1.
        rule: usize,
        /// Name of a key or root.
        name: String,
    },
}

/// One signer, ready.
pub(super) enum Ready {
    /// A key.
    Key { name: String, key: PublicKey, log: LogDemand, root: Option<Arc<Root>> },
    /// A holder of a certificate.
    Keyless { root: Arc<Root>, wanted: Wanted, log: LogDemand, sct: SctDemand },
    /// A holder of a certificate of a trust store.
    Notation(Box<Trusted>),
}

impl Ready {
    /// Names the signer for a person.
    pub(super) fn words(&self) -> String {
        match self {
            Self::Key { name, .. } => format!("key {name}"),
            Self::Keyless { wanted, .. } => wanted.words(),
            Self::Notation(trusted) => trusted.words(),
        }
    }
}

/// Keys and roots of a policy, each loaded once.
pub(super) struct Material {
    keys: BTreeMap<String, PublicKey>,
    roots: BTreeMap<String, Arc<Root>>,
    stores: BTreeMap<String, Arc<Store>>,
}

impl Material {
    /// Loads what the policy names; `load` reads a file by the path in the policy.
    pub(super) fn load(policy: &Policy, load: &mut dyn PolicyFiles) -> Result<Self, TrustError> {
        let mut material = Self { keys: BTreeMap::new(), roots: BTreeMap::new(), stores: BTreeMap::new() };
        for (name, source) in &policy.keys {
            let text = match source {
                KeySource::Pem(text) => text.as_bytes().to_vec(),
                KeySource::File(file) => load.read(file).map_err(|source| TrustError::KeyFile {
                    name: name.clone(),
                    file: file.clone(),
                    source,
                })?,
            };
            let key = PublicKey::from_pem(&text).map_err(|source| TrustError::Key { name: name.clone(), source })?;
            material.keys.insert(name.clone(), key);
        }
        for (name, source) in &policy.trust_roots {
            let root = Root::load(name, source, &mut |file| load.read(file))
                .map_err(|source| TrustError::Root { name: name.clone(), source: Box::new(source) })?;
            material.roots.insert(name.clone(), Arc::new(root));
        }
        for (name, source) in &policy.trust_stores {
            let store = Store::load(name, source, load)
                .map_err(|source| TrustError::Store { name: name.clone(), source: Box::new(source) })?;
            material.stores.insert(name.clone(), Arc::new(store));
        }
        Ok(material)
    }

    /// Makes a signer of rule number `rule` ready.
    pub(super) fn ready(&self, place: &str, rule: usize, signer: &AcceptedSigner) -> Result<Ready, TrustError> {
        let missing = |name: &str| TrustError::Missing { place: place.to_owned(), rule, name: name.to_owned() };
        let root = |name: &str| self.roots.get(name).cloned().ok_or_else(|| missing(name));
        match signer {
            AcceptedSigner::Key(signer) => {
                let key = self.keys.get(&signer.name).cloned().ok_or_else(|| missing(&signer.name))?;
                let root = signer.trust_root.as_deref().map(root).transpose()?;
                Ok(Ready::Key { name: signer.name.clone(), key, log: signer.log, root })
            }
            AcceptedSigner::Notation(signer) => {
                let store = |wanted: &StoreName| {
                    let found = self.stores.get(&wanted.name).filter(|store| store.is(wanted)).cloned();
                    found.ok_or_else(|| missing(&wanted.to_string()))
                };
                let stores = signer.trust_stores.iter().map(store).collect::<Result<_, _>>()?;
                Ok(Ready::Notation(Box::new(Trusted { signer: signer.clone(), stores })))
            }
            AcceptedSigner::Keyless(signer) => {
                let wanted = Wanted {
                    issuer: signer.issuer.clone(),
                    identity: signer.identity.clone(),
                    claims: signer.claims.clone(),
                };
                Ok(Ready::Keyless { root: root(&signer.trust_root)?, wanted, log: signer.log, sct: signer.sct })
            }
        }
    }
}
