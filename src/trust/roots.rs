//! Roots of Sigstore instances: which logs, certificate and timestamp authorities count, and when they did.

use crate::document::policy::{EmbeddedRoot, TrustRootSource};
use crate::model::evidence::RootUsed;
use crate::model::{Digest, json, limits};
use sigstore_trust_root::{SigstoreInstance, TransparencyLog, TrustedRoot};
use sigstore_types::LogId;
use sigstore_verify::Verifier;
use std::io;

/// Media types of a trusted root, as the Sigstore specification spells them and spelled them before.
const MEDIA_TYPES: [&str; 3] = [
    "application/vnd.dev.sigstore.trustedroot+json;version=0.1",
    "application/vnd.dev.sigstore.trustedroot+json;version=0.2",
    "application/vnd.dev.sigstore.trustedroot.v0.2+json",
];

/// Why a root cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum RootError {
    /// The file cannot be read.
    #[error("cannot read {file}: {source}")]
    Read {
        /// Path as the policy names it.
        file: String,
        /// Cause.
        source: io::Error,
    },
    /// The file is not the one that the policy pins.
    #[error("{file} is {found}, the policy pins {expected}")]
    OtherFile {
        /// Path as the policy names it.
        file: String,
        /// What it is.
        found: Digest,
        /// What it must be.
        expected: Digest,
    },
    /// It is no trusted root, or one that cannot be used.
    #[error("{file} is no usable trusted root: {why}")]
    Form {
        /// Path as the policy names it.
        file: String,
        /// Reason in words.
        why: String,
    },
}

/// A root, parsed once and checked.
pub(super) struct Root {
    /// Name and digest, for records.
    pub used: RootUsed,
    /// What the file says.
    pub trusted: TrustedRoot,
    /// The verifier over it.
    pub verifier: Verifier,
}

impl Root {
    /// Loads the root that the policy calls `name`.
    pub(super) fn load(
        name: &str,
        source: &TrustRootSource,
        load: &mut dyn FnMut(&str) -> io::Result<Vec<u8>>,
    ) -> Result<Self, RootError> {
        match source {
            TrustRootSource::File { file, sha256, .. } => {
                let read = |source| RootError::Read { file: file.clone(), source };
                let bytes = load(file).map_err(read)?;
                let found = Digest::of(&bytes);
                match sha256 {
                    Some(expected) if *expected != found => {
                        Err(RootError::OtherFile { file: file.clone(), found, expected: expected.clone() })
                    }
                    _ => Self::parse(name, file, &bytes),
                }
            }
            TrustRootSource::Embedded(root) => {
                let instance = match root {
                    EmbeddedRoot::PublicGood => SigstoreInstance::PublicGood,
                    EmbeddedRoot::Github => SigstoreInstance::GitHub,
                };
                Self::parse(name, "the embedded root", instance.embedded_trusted_root_json().as_bytes())
            }
        }
    }

    fn parse(name: &str, file: &str, bytes: &[u8]) -> Result<Self, RootError> {
        let form = |why: String| RootError::Form { file: file.to_owned(), why };
        if bytes.len() as u64 > limits::SIGNATURE_BUNDLE_BYTES {
            return Err(form(format!("it has {} bytes, the limit is {}", bytes.len(), limits::SIGNATURE_BUNDLE_BYTES)));
        }
        let trusted: TrustedRoot = json::parse(bytes).map_err(|e| form(e.to_string()))?;
        // The library does not look at the type.
        if !MEDIA_TYPES.contains(&trusted.media_type.as_str()) {
            return Err(form(format!("its mediaType is {:?}, expected {:?}", trusted.media_type, MEDIA_TYPES[0])));
        }
        let verifier = Verifier::new(&trusted).map_err(|e| form(e.to_string()))?;
        let used = RootUsed { name: name.to_owned(), sha256: Digest::of(bytes) };
        Ok(Self { used, trusted, verifier })
    }

    /// Returns the log that an entry names, where the root knows it.
    pub(super) fn log(&self, id: &LogId) -> Option<&TransparencyLog> {
        self.trusted.tlogs.iter().find(|log| log.log_id == *id)
    }
}
