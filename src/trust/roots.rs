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

/// Sigstore instances whose root, as it was when this program was built, is inside it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Instance {
    /// Sigstore's public instance.
    PublicGood,
    /// Its rehearsal stage.
    Staging,
    /// GitHub's instance for private repositories.
    Github,
}

impl Instance {
    const fn library(self) -> SigstoreInstance {
        match self {
            Self::PublicGood => SigstoreInstance::PublicGood,
            Self::Staging => SigstoreInstance::Staging,
            Self::Github => SigstoreInstance::GitHub,
        }
    }

    /// Returns the name in a policy: `public-good`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::PublicGood => "public-good",
            Self::Staging => "staging",
            Self::Github => "github",
        }
    }

    /// Returns where its TUF repository stands.
    pub const fn mirror(self) -> &'static str {
        match self {
            Self::PublicGood => "https://tuf-repo-cdn.sigstore.dev",
            Self::Staging => "https://tuf-repo-cdn.sigstage.dev",
            Self::Github => "https://tuf-repo.github.com",
        }
    }
}

/// The text of a trusted root with the name that people know it by.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RootText {
    /// Name: in a policy, or the file's.
    pub name: String,
    /// The file, verbatim.
    pub bytes: Vec<u8>,
}

impl RootText {
    /// Returns the snapshot of `instance` inside this program. It ages with the program.
    pub fn embedded(instance: Instance) -> Self {
        let text = instance.library().embedded_trusted_root_json();
        Self { name: instance.name().to_owned(), bytes: text.as_bytes().to_vec() }
    }

    /// Returns the digest by which a policy pins it.
    pub fn digest(&self) -> Digest {
        Digest::of(&self.bytes)
    }
}

/// A root, parsed once and checked.
pub(super) struct Root {
    /// Name and digest, for records.
    pub used: RootUsed,
    /// What the file says.
    pub trusted: TrustedRoot,
    /// The verifier over it.
    pub verifier: Verifier,
    /// The file, where it was one and is text.
    pub text: Option<String>,
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
                    _ => Ok(Self { text: String::from_utf8(bytes.clone()).ok(), ..Self::parse(name, file, &bytes)? }),
                }
            }
            TrustRootSource::Embedded(root) => {
                let instance = match root {
                    EmbeddedRoot::PublicGood => Instance::PublicGood,
                    EmbeddedRoot::Github => Instance::Github,
                };
                Self::parse(name, "the embedded root", &RootText::embedded(instance).bytes)
            }
        }
    }

    /// Makes a root of its text.
    pub(super) fn of(text: &RootText) -> Result<Self, RootError> {
        Self::parse(&text.name, &text.name, &text.bytes)
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
        Ok(Self { used, trusted, verifier, text: None })
    }

    /// Returns the log that an entry names, where the root knows it.
    pub(super) fn log(&self, id: &LogId) -> Option<&TransparencyLog> {
        self.trusted.tlogs.iter().find(|log| log.log_id == *id)
    }
}
