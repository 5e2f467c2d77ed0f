//! Trust stores: certificates that a policy trusts, by kind and name.

use super::certificate::Certificate;
use crate::document::policy::{CertificateSource, StoreKind, StoreName, TrustStoreSource};
use crate::model::limits;
use crate::trust::pem;
use crate::trust::policy_files::PolicyFiles;
use std::io;

/// Why a trust store cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// A file or folder cannot be read.
    #[error("cannot read {path}: {source}")]
    Read {
        /// Path as the policy names it.
        path: String,
        /// Cause.
        source: io::Error,
    },
    /// Nothing is in it.
    #[error("it is empty")]
    Empty,
    /// More than anybody meant to trust.
    #[error("it has more than {} certificates", limits::STORE_CERTIFICATES)]
    Full,
    /// A file that holds no certificates, or one that cannot be read.
    #[error("{place}: {why}")]
    Content {
        /// Path as the policy names it, or `pem` for text in the policy.
        place: String,
        /// Reason in words.
        why: String,
    },
    /// A certificate that cannot vouch for anybody.
    #[error("{place}: the certificate of {subject} {why}")]
    Certificate {
        /// Path as the policy names it, or `pem` for text in the policy.
        place: String,
        /// Holder.
        subject: String,
        /// Reason in words.
        why: &'static str,
    },
}

/// A trust store, loaded.
#[derive(Debug)]
pub struct Store {
    /// Kind and name.
    pub(super) name: StoreName,
    /// Certificates, at least one.
    pub(super) certificates: Vec<Certificate>,
}

impl Store {
    /// Loads the store that the policy calls `name`.
    pub(in crate::trust) fn load(
        name: &str,
        source: &TrustStoreSource,
        files: &mut dyn PolicyFiles,
    ) -> Result<Self, StoreError> {
        let read = |path: &String| StoreError::read(path, files.read(path)).map(|bytes| (path.clone(), bytes));
        let parts = match &source.certificates {
            CertificateSource::Pem(text) => vec![("pem".to_owned(), text.clone().into_bytes())],
            CertificateSource::Files(paths) => paths.iter().map(read).collect::<Result<_, _>>()?,
            CertificateSource::Folder(folder) => {
                let paths = StoreError::read(folder, files.list(folder))?;
                let read = |path: &String| StoreError::read(path, files.read(path)).map(|bytes| (path.clone(), bytes));
                paths.iter().map(read).collect::<Result<_, _>>()?
            }
        };
        let mut store = Self { name: StoreName { kind: source.kind, name: name.to_owned() }, certificates: Vec::new() };
        for (place, bytes) in parts {
            for der in encoded(&place, &bytes)? {
                store.add(&place, &der)?;
            }
        }
        if store.certificates.is_empty() { Err(StoreError::Empty) } else { Ok(store) }
    }

    fn add(&mut self, place: &str, der: &[u8]) -> Result<(), StoreError> {
        let content = |why| StoreError::Content { place: place.to_owned(), why };
        let certificate = Certificate::read(der, "a certificate").map_err(content)?;
        let authority = certificate.extensions.authority;
        let why = match self.name.kind {
            StoreKind::Tsa if !authority || !certificate.is_self_signed() => {
                "is no self-signed root, and only roots vouch for timestamps"
            }
            StoreKind::Ca | StoreKind::SigningAuthority if !authority && !certificate.is_self_signed() => {
                "is neither an authority's nor self-signed, so it vouches for nobody"
            }
            _ if self.certificates.len() == limits::STORE_CERTIFICATES => return Err(StoreError::Full),
            _ => {
                self.certificates.push(certificate);
                return Ok(());
            }
        };
        Err(StoreError::Certificate { place: place.to_owned(), subject: certificate.subject_text(), why })
    }

    /// Returns whether it is the store that signers call `name`.
    pub(in crate::trust) fn is(&self, name: &StoreName) -> bool {
        self.name == *name
    }

    /// Returns the first of its certificates that stands in `chain`.
    pub(super) fn vouches(&self, chain: &[Certificate]) -> Option<&Certificate> {
        self.certificates.iter().find(|own| chain.iter().any(|one| one.der == own.der))
    }
}

/// Takes the certificates out of a file: PEM, or one in DER.
fn encoded(place: &str, bytes: &[u8]) -> Result<Vec<Vec<u8>>, StoreError> {
    let content = |why: String| StoreError::Content { place: place.to_owned(), why };
    let text = match std::str::from_utf8(bytes) {
        Ok(text) if text.contains("-----BEGIN") => text,
        Ok(text) if text.trim().is_empty() => return Ok(Vec::new()),
        _ => return Ok(vec![bytes.to_vec()]),
    };
    let blocks = pem::parse_all(text).map_err(|why| content(why.to_owned()))?;
    if let Some(other) = blocks.iter().find(|block| block.label != "CERTIFICATE") {
        return Err(content(format!("a PEM block is a {:?}, expected CERTIFICATE", other.label)));
    }
    Ok(blocks.into_iter().map(|block| block.bytes).collect())
}

impl StoreError {
    fn read<T>(path: &str, result: io::Result<T>) -> Result<T, Self> {
        result.map_err(|source| Self::Read { path: path.to_owned(), source })
    }
}
