//! Signatures of the Notary Project: from the envelope in a layer to what a policy makes of it.
//!
//! Two steps. *Integrity* needs no policy and happens once for each signature ([`Verified::read`]): the envelope
//! parses, its algorithm is the one that goes with its certificate's key, the signature holds, and the certificates
//! form a chain as the specification wants it. What a signer of the policy adds is judged after that
//! ([`Verified::attempt`]), in the order of the specification: whether it is about the artifact, authenticity, expiry,
//! time, revocation. Whether a check that does not hold refuses the signature is for the signer's level to say.
//!
//! It follows the Notary Project's specifications of signatures (envelopes, payload, certificate requirements) and of
//! trust stores and trust policies. There are no plugins: a signature that demands one is refused.

mod algorithm;
mod certificate;
mod chain;
mod cose;
mod envelope;
mod judged;
mod jws;
mod payload;
mod revocation;
mod store;
mod timestamp;
mod token;

pub(super) use store::Store;
pub use store::StoreError;

use super::outcome::{Proof, Refusal};
use crate::document::policy::NotationSigner;
use crate::model::Descriptor;
use certificate::Certificate;
use envelope::Envelope;
use payload::Target;
use std::sync::Arc;

/// Form of an envelope, by the media type of its layer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    /// `application/jose+json`.
    Jws,
    /// `application/cose`.
    Cose,
}

impl Form {
    /// Returns the form that a layer of this media type has.
    pub(super) fn of(media_type: &str) -> Option<Self> {
        match media_type {
            "application/jose+json" => Some(Self::Jws),
            "application/cose" => Some(Self::Cose),
            _ => None,
        }
    }
}

/// A signer of the policy, ready.
pub(super) struct Trusted {
    /// What the policy says.
    pub signer: NotationSigner,
    /// The stores that it names, in its order.
    pub stores: Vec<Arc<Store>>,
}

impl Trusted {
    /// Names the signer for a person.
    pub(super) fn words(&self) -> String {
        let identities = Vec::<String>::from(self.signer.identities.clone()).join(" or ");
        let stores: Vec<String> = self.signer.trust_stores.iter().map(ToString::to_string).collect();
        format!("notation, {identities} under {}", stores.join(", "))
    }
}

/// A signature whose integrity was verified: the certificate's key signed the payload.
pub(super) struct Verified {
    envelope: Envelope,
    /// Certificate of the signer.
    leaf: Certificate,
    /// All certificates: the signer's first, root last; each is signed by the next.
    chain: Vec<Certificate>,
    target: Target,
}

impl Verified {
    /// Reads the envelope in a layer, and verifies what needs no policy.
    pub(super) fn read(form: Form, bytes: &[u8]) -> Result<Self, Refusal> {
        let envelope = match form {
            Form::Jws => jws::read(bytes)?,
            Form::Cose => cose::read(bytes)?,
        };
        envelope.check_headers()?;
        let chain = chain::read(&envelope.certificates)?;
        let leaf = chain.first().cloned().ok_or_else(|| Refusal::form("it holds no certificate"))?;
        let wanted = leaf.algorithm()?;
        if wanted != envelope.algorithm {
            return Err(Refusal::bad(format!(
                "it says that it is signed with {}, but the key of its certificate signs with {}",
                envelope.algorithm.name(),
                wanted.name()
            )));
        }
        if !wanted.verifies(&leaf, &envelope.signed, &envelope.signature) {
            return Err(Refusal::bad(
                "the key of its certificate did not make this signature: another key did, or it was altered",
            ));
        }
        chain::check(&chain)?;
        let target = payload::read(&envelope.content_type, &envelope.payload)?;
        Ok(Self { envelope, leaf, chain, target })
    }

    /// Judges it as one by `trusted` about `subject`, at `now` in seconds.
    pub(super) fn attempt(&self, subject: &Descriptor, trusted: &Trusted, now: i64) -> Result<Proof, Refusal> {
        self.target.check(subject)?;
        judged::Judged::new(self, trusted, now).map(|judged| judged.proof())
    }
}

/// Reads a token and returns the seconds between which it says that it was made. Nothing is verified.
pub(super) fn stated_time(token: &[u8]) -> Option<(i64, i64)> {
    token::read(token).ok().map(|token| token.stated.between)
}
