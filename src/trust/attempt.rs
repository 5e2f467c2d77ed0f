//! One signature under one signer: from the bytes of a layer to a proof, or to the reason why not.

use super::bundle03;
use super::check::{self, Checked, Demands};
use super::identity::{self, Wanted};
use super::keys::PublicKey;
use super::legacy::{Content, Legacy};
use super::notation::Verified;
use super::outcome::{Log, Meaning, Proof, Refusal};
use super::pieces::{Layer, Sort};
use super::roots::Root;
use super::signers::Ready;
use super::{simple, statement};
use crate::document::policy::{LogDemand, SctDemand};
use crate::model::evidence::{CertificateFacts, Signer};
use crate::model::{Descriptor, Digest};
use sigstore_crypto::CertificateInfo;
use sigstore_types::{Artifact, ArtifactDigest, Bundle, HashAlgorithm, SignatureContent, pae};

/// A signature, read and not yet judged.
pub(super) enum Signature<'a> {
    /// cosign's older form.
    Legacy(Legacy<'a>),
    /// Sigstore bundle.
    Bundle(Box<Bundle>),
    /// Signature of the Notary Project, its integrity verified.
    Notation(Box<Verified>),
}

impl<'a> Signature<'a> {
    /// Reads what a layer holds.
    pub(super) fn read(layer: &'a Layer<'_>) -> Result<Self, Refusal> {
        let annotations = &layer.descriptor.annotations;
        match layer.sort {
            Sort::Simple => Legacy::simple(layer.bytes, annotations).map(Self::Legacy),
            Sort::Envelope => Legacy::envelope(layer.bytes, annotations).map(Self::Legacy),
            Sort::Notation(form) => Verified::read(form, layer.bytes).map(|read| Self::Notation(Box::new(read))),
            Sort::Bundle => {
                let bundle = bundle03::read(layer.bytes)?;
                match &bundle.content {
                    SignatureContent::DsseEnvelope(_) => Ok(Self::Bundle(Box::new(bundle))),
                    _ => Err(Refusal::unknown("it holds a message signature, which is for files and not for images")),
                }
            }
        }
    }

    fn has_certificate(&self) -> bool {
        match self {
            Self::Legacy(legacy) => legacy.has_certificate(),
            Self::Bundle(bundle) => bundle.signing_certificate().is_some(),
            Self::Notation(_) => true,
        }
    }

    /// Returns whether a log or a timestamp authority vouches for it.
    fn is_witnessed(&self) -> bool {
        match self {
            Self::Legacy(legacy) => legacy.is_witnessed(),
            Self::Bundle(bundle) => {
                let material = &bundle.verification_material;
                let tokens = &material.timestamp_verification_data.rfc3161_timestamps;
                !material.tlog_entries.is_empty() || !tokens.is_empty()
            }
            Self::Notation(_) => false,
        }
    }

    /// Judges it as one by `signer` about `subject`, at `now` in seconds.
    pub(super) fn attempt(&self, artifact: &Descriptor, signer: &Ready, now: i64) -> Result<Proof, Refusal> {
        let subject = &artifact.digest;
        match signer {
            Ready::Notation(trusted) => match self {
                Self::Notation(verified) => verified.attempt(artifact, trusted, now),
                _ => Err(Refusal::other_way("not made by notation, as the rule wants")),
            },
            signer if matches!(self, Self::Notation(_)) => {
                Err(Refusal::other_way(format!("made by notation, but the rule wants {}", signer.words())))
            }
            Ready::Key { name, .. } if self.has_certificate() => {
                Err(Refusal::other_way(format!("signed under a certificate, but the rule wants the key {name}")))
            }
            Ready::Key { name, key, log, root } => {
                let demands = Demands { log: *log, sct: SctDemand::None, now };
                self.keyed(subject, Holder { name, key }, root.as_deref(), demands)
            }
            Ready::Keyless { wanted, .. } if !self.has_certificate() => Err(Refusal::other_way(format!(
                "made with a key, but the rule wants a certificate of {}",
                wanted.words()
            ))),
            Ready::Keyless { root, wanted, log, sct } => {
                self.keyless(subject, wanted, root, Demands { log: *log, sct: *sct, now })
            }
        }
    }

    fn keyless(&self, subject: &Digest, wanted: &Wanted, root: &Root, demands: Demands) -> Result<Proof, Refusal> {
        let bundle = self.bundle(root)?;
        let (checked, certificate) = check::keyless(root, &bundle, self.artifact(subject)?, demands)?;
        let meaning = self.meaning(subject)?;
        let named = identity::named(&certificate).map_err(Refusal::bad)?;
        let signer = |claims| {
            let (identity, issuer) = (named.identity.clone(), named.issuer.clone());
            Signer::Certificate { identity, issuer, claims }
        };
        let mut not_checked = not_checked(checked.log);
        if demands.sct == SctDemand::None {
            not_checked.push("sct");
        }
        let facts = facts(&bundle, &certificate);
        let proof = |claims| Proof {
            certificate: Some(facts),
            ..proof(signer(claims), meaning, checked, Some(root), not_checked)
        };
        match wanted.check(&named, &certificate.ci_claims) {
            Ok(claims) => Ok(proof(claims)),
            Err(reason) => Err(Refusal::signer(reason, proof(Default::default()))
                .hint("is this who should have signed it? Then the rule must name it")),
        }
    }

    fn keyed(&self, subject: &Digest, by: Holder<'_>, root: Option<&Root>, demands: Demands) -> Result<Proof, Refusal> {
        let wants_log = demands.log != LogDemand::None;
        let (checked, not_checked) = match root.filter(|_| wants_log || self.is_witnessed()) {
            Some(root) => {
                let bundle = self.bundle(root)?;
                // The signature first: that another key made it says more than what is wrong with the log.
                self.verify(by)?;
                let checked = check::keyed(root, &bundle, self.artifact(subject)?, by.key, demands)?;
                let not_checked = not_checked(checked.log);
                (checked, not_checked)
            }
            None => {
                self.verify(by)?;
                let log = if self.is_witnessed() { Some("log") } else { None };
                (
                    Checked { log: Log::None, entry: None, times: Vec::new() },
                    log.into_iter().chain(["revocation"]).collect(),
                )
            }
        };
        let meaning = self.meaning(subject)?;
        let signer = Signer::Key { name: by.name.to_owned(), sha256: by.key.id().clone() };
        Ok(proof(signer, meaning, checked, root, not_checked))
    }

    /// Checks the signature alone.
    fn verify(&self, by: Holder<'_>) -> Result<(), Refusal> {
        let enveloped = |kind: &str, payload: &[u8], signature: &[u8]| {
            let signed = pae(kind, payload);
            // cosign hashes with SHA-256 whatever the key; others as the key's kind has it.
            by.key.verifies(&signed, signature) || by.key.verifies_sha256(&signed, signature)
        };
        let holds = match self {
            Self::Legacy(legacy) => match legacy.content() {
                Content::Simple { payload, signature } => by.key.verifies_sha256(payload, signature),
                Content::Envelope { payload_type, payload, signature } => enveloped(payload_type, payload, signature),
            },
            Self::Bundle(bundle) => match &bundle.content {
                SignatureContent::DsseEnvelope(envelope) => {
                    enveloped(&envelope.payload_type, envelope.payload.as_bytes(), envelope.signature.sig.as_bytes())
                }
                _ => false,
            },
            Self::Notation(_) => false,
        };
        if holds {
            return Ok(());
        }
        Err(Refusal::bad(format!(
            "the key {} did not make this signature: another key did, or it was altered",
            by.name
        )))
    }

    /// Returns what it is for the verifier: rewritten, or admitted by the guard.
    fn bundle(&self, root: &Root) -> Result<Bundle, Refusal> {
        match self {
            Self::Legacy(legacy) => legacy.bundle(),
            Self::Bundle(bundle) => {
                bundle03::admit(bundle, root)?;
                Ok((**bundle).clone())
            }
            Self::Notation(_) => Err(Refusal::unknown("it is no bundle")),
        }
    }

    /// Returns what the signature is over, as the verifier wants it.
    fn artifact(&self, subject: &Digest) -> Result<Artifact<'_>, Refusal> {
        if let Self::Legacy(legacy) = self
            && let Content::Simple { payload, .. } = legacy.content()
        {
            return Ok(Artifact::from_blob(payload));
        }
        let algorithm = match subject {
            Digest::Sha256(_) => HashAlgorithm::Sha2256,
            Digest::Sha512(_) => HashAlgorithm::Sha2512,
        };
        ArtifactDigest::new(algorithm, subject.value())
            .map(Artifact::from_digest)
            .map_err(|e| Refusal::unknown(e.to_string()))
    }

    /// Returns the name under which it was signed, where its form says one. Called only when the signature was verified.
    pub(super) fn reference(&self) -> Option<String> {
        match self {
            Self::Legacy(legacy) => match legacy.content() {
                Content::Simple { payload, .. } => simple::reference(payload),
                Content::Envelope { .. } => None,
            },
            Self::Bundle(_) | Self::Notation(_) => None,
        }
    }

    /// Returns the predicate of a statement. Called only when the signature and the subject were verified.
    pub(super) fn predicate(&self) -> Result<serde_json::Value, Refusal> {
        match self {
            Self::Legacy(legacy) => match legacy.content() {
                Content::Simple { .. } => Err(Refusal::unknown("it holds no statement")),
                Content::Envelope { payload, .. } => statement::predicate(payload),
            },
            Self::Bundle(bundle) => match &bundle.content {
                SignatureContent::DsseEnvelope(envelope) => statement::predicate(envelope.payload.as_bytes()),
                _ => Err(Refusal::unknown("it holds no statement")),
            },
            Self::Notation(_) => Err(Refusal::unknown("it holds no statement")),
        }
    }

    /// Returns what it says about `subject`. Called only when the signature was verified.
    fn meaning(&self, subject: &Digest) -> Result<Meaning, Refusal> {
        let (kind, payload) = match self {
            Self::Legacy(legacy) => match legacy.content() {
                Content::Simple { payload, .. } => {
                    return simple::check(payload, subject).map(|()| Meaning::Signature).map_err(Refusal::bad);
                }
                Content::Envelope { payload_type, payload, .. } => (payload_type.as_str(), payload.as_slice()),
            },
            Self::Bundle(bundle) => match &bundle.content {
                SignatureContent::DsseEnvelope(envelope) => {
                    (envelope.payload_type.as_str(), envelope.payload.as_bytes())
                }
                _ => return Err(Refusal::unknown("it holds no envelope")),
            },
            Self::Notation(_) => return Ok(Meaning::Signature),
        };
        if kind != statement::PAYLOAD_TYPE {
            return Err(Refusal::unknown(format!("the envelope holds a {kind:?}, not an in-toto statement")));
        }
        match (statement::meaning(payload, subject)?, self) {
            // cosign's older form says "signed" by simple signing only.
            (Meaning::Signature, Self::Legacy(_)) => Ok(Meaning::Attestation(statement::COSIGN_SIGN.to_owned())),
            (meaning, _) => Ok(meaning),
        }
    }
}

#[derive(Clone, Copy)]
struct Holder<'a> {
    name: &'a str,
    key: &'a PublicKey,
}

fn not_checked(log: Log) -> Vec<&'static str> {
    let inclusion = (log == Log::Promise).then_some("inclusion");
    inclusion.into_iter().chain(["revocation"]).collect()
}

fn proof(
    signer: Signer,
    meaning: Meaning,
    checked: Checked,
    root: Option<&Root>,
    not_checked: Vec<&'static str>,
) -> Proof {
    let root = root.map(|root| root.used.clone());
    let Checked { log, entry, times } = checked;
    Proof {
        signer,
        meaning,
        log,
        entry,
        root,
        certificate: None,
        times,
        time_source: None,
        not_checked,
        notes: Vec::new(),
    }
}

/// What a record keeps of a verified certificate.
fn facts(bundle: &Bundle, certificate: &CertificateInfo) -> CertificateFacts {
    CertificateFacts {
        sha256: bundle.signing_certificate().map(|der| Digest::of(der.as_bytes())),
        not_before: certificate.not_before.to_string(),
        not_after: certificate.not_after.to_string(),
        claims: identity::claims(&certificate.ci_claims),
    }
}
