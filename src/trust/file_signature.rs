//! Signatures over files: one Sigstore bundle, one signer, one root.
//!
//! Images are judged by [`Judge`](super::Judge) under a policy; this is the same verifier for a file or its digest,
//! for whoever wants to try it with material of others (`airlift trust conformance`). The guard in front of the
//! library is the same. Bundles of versions 0.1 and 0.2 are read here, but their label weakens nothing: every log
//! entry needs an inclusion proof and a checkpoint by its own log, as in version 0.3.

use super::check::{self, Demands};
use super::identity::{self, Wanted};
use super::keys::PublicKey;
use super::outcome::{Log, Refusal};
use super::roots::Root;
use super::{RootError, RootText, bundle03, statement, time};
use crate::document::policy::{LogDemand, SctDemand, TextMatch};
use crate::model::evidence::{LogEntry, RootUsed, Signer};
use crate::model::{Digest, Verdict};
use serde::Serialize;
use sigstore_types::{Artifact, ArtifactDigest, Bundle, HashAlgorithm, SignatureContent};
use std::collections::BTreeMap;

/// What a signature must be about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SignedFile {
    /// The file itself. Keys that sign the message and not its digest (Ed25519) need it.
    Bytes(Vec<u8>),
    /// Its digest.
    Digest(Digest),
}

impl SignedFile {
    fn digest(&self) -> Digest {
        match self {
            Self::Bytes(bytes) => Digest::of(bytes),
            Self::Digest(digest) => digest.clone(),
        }
    }

    fn artifact(&self) -> Result<Artifact<'_>, Refusal> {
        let digest = match self {
            Self::Bytes(bytes) => return Ok(Artifact::from_blob(bytes)),
            Self::Digest(digest) => digest,
        };
        let algorithm = match digest {
            Digest::Sha256(_) => HashAlgorithm::Sha2256,
            Digest::Sha512(_) => HashAlgorithm::Sha2512,
        };
        let named = ArtifactDigest::new(algorithm, digest.value()).map_err(|e| Refusal::unknown(e.to_string()))?;
        Ok(Artifact::from_digest(named))
    }
}

/// Who must have signed.
#[derive(Debug, Clone, Copy)]
pub enum FileSigner<'a> {
    /// The holder of a certificate with exactly this identity, vouched for by exactly this issuer.
    Certificate {
        /// Subject alternative name.
        identity: &'a str,
        /// OIDC issuer.
        issuer: &'a str,
    },
    /// The holder of this key.
    Key(&'a PublicKey),
}

/// What was verified.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct FileProof {
    /// What was signed.
    pub file: Digest,
    /// Who signed.
    pub signer: Signer,
    /// `proof`: every log entry was shown to be in its log.
    pub log: String,
    /// The first entry.
    pub log_entry: Option<LogEntry>,
    /// Verified times, RFC 3339.
    pub times: Vec<String>,
    /// Root by which it was judged.
    pub trust_root: RootUsed,
    /// Predicate type, where a statement about the file was signed and not the file itself.
    pub predicate_type: Option<String>,
    /// What an offline verifier did not check.
    pub not_checked: Vec<String>,
}

/// Why a signature over a file does not count.
#[derive(Debug, thiserror::Error)]
pub enum FileSignatureError {
    /// The root cannot be used.
    #[error(transparent)]
    Root(#[from] RootError),
    /// The verifier refuses.
    #[error("{reason}")]
    Refused {
        /// Unknown where it cannot be judged, Bad where it does not hold.
        verdict: Verdict,
        /// Reason, as a lower-case fragment.
        reason: String,
        /// What a person can do; may be empty.
        hint: &'static str,
    },
}

impl From<Refusal> for FileSignatureError {
    fn from(refusal: Refusal) -> Self {
        Self::Refused { verdict: refusal.verdict, reason: refusal.reason, hint: refusal.hint }
    }
}

/// Verifies that `signer` signed `file`, by the text of a bundle and one root, at `now` in seconds since 1970.
pub fn verify_file(
    bundle: &[u8],
    file: &SignedFile,
    signer: FileSigner<'_>,
    root: &RootText,
    now: i64,
) -> Result<FileProof, FileSignatureError> {
    let root = Root::of(root)?;
    let bundle = bundle03::read_any(bundle)?;
    bundle03::admit(&bundle, &root)?;
    Ok(verify(&bundle, file, signer, &root, now)?)
}

fn verify(
    bundle: &Bundle,
    file: &SignedFile,
    signer: FileSigner<'_>,
    root: &Root,
    now: i64,
) -> Result<FileProof, Refusal> {
    let demands = Demands { log: LogDemand::Proof, sct: SctDemand::Required, now };
    let (checked, signer) = match signer {
        FileSigner::Key(_) if bundle.signing_certificate().is_some() => {
            return Err(Refusal::other_way("signed under a certificate, but a key is wanted"));
        }
        FileSigner::Certificate { .. } if bundle.signing_certificate().is_none() => {
            return Err(Refusal::other_way("made with a key, but a certificate is wanted"));
        }
        FileSigner::Key(key) => {
            let checked = check::keyed(root, bundle, file.artifact()?, key, demands)?;
            (checked, Signer::Key { name: key.id().short(), sha256: key.id().clone() })
        }
        FileSigner::Certificate { identity, issuer } => {
            let (checked, certificate) = check::keyless(root, bundle, file.artifact()?, demands)?;
            let named = identity::named(&certificate).map_err(Refusal::bad)?;
            let exact = |text: &str| TextMatch::Exact(text.to_owned());
            let wanted = Wanted { identity: exact(identity), issuer: exact(issuer), claims: BTreeMap::new() };
            let claims = wanted.check(&named, &certificate.ci_claims).map_err(Refusal::bad)?;
            (checked, Signer::Certificate { identity: named.identity, issuer: named.issuer, claims })
        }
    };
    Ok(FileProof {
        file: file.digest(),
        signer,
        log: Log::name(checked.log).to_owned(),
        log_entry: checked.entry,
        times: checked.times.iter().map(|moment| time::rfc3339(moment.second)).collect(),
        trust_root: root.used.clone(),
        predicate_type: predicate_type(bundle, &file.digest())?,
        not_checked: vec!["revocation".to_owned()],
    })
}

/// Reads what the verified statement says, where one was signed.
fn predicate_type(bundle: &Bundle, file: &Digest) -> Result<Option<String>, Refusal> {
    let SignatureContent::DsseEnvelope(envelope) = &bundle.content else { return Ok(None) };
    Ok(Some(match statement::meaning(envelope.payload.as_bytes(), file)? {
        super::outcome::Meaning::Signature => statement::COSIGN_SIGN.to_owned(),
        super::outcome::Meaning::Attestation(kind) => kind,
    }))
}
