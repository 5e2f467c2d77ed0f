//! Countersignatures: whether a trusted authority saw the signature, and when (RFC 3161).

use super::algorithm;
use super::certificate::Certificate;
use super::chain;
use super::token;
use crate::trust::outcome::Refusal;
use crate::trust::time;

/// A countersignature that holds.
pub(super) struct Stamp {
    /// Second that the authority names.
    pub at: i64,
    /// First and last second at which it may have been.
    pub between: (i64, i64),
    /// Certificates from the authority's own to the trusted root.
    pub path: Vec<Certificate>,
}

/// Verifies `token` over `signature`: by an authority that one of `roots` vouches for, not after `now`.
pub(super) fn verify(token: &[u8], signature: &[u8], roots: &[&Certificate], now: i64) -> Result<Stamp, Refusal> {
    let token = token::read(token)?;
    let (hash, imprint) = &token.stated.imprint;
    if hash.of(signature) != *imprint {
        return Err(Refusal::bad("its timestamp is over another signature"));
    }
    if token.hash.of(&token.content) != token.content_hash {
        return Err(Refusal::bad("its timestamp was altered: what it states is not what was signed"));
    }
    let (hash, wanted) = &token.signer_hash;
    let leaf = token.certificates.iter().find(|one| hash.of(&one.der) == *wanted);
    let leaf = leaf.ok_or_else(|| Refusal::bad("the certificate of its timestamp is not in it"))?;
    if (&leaf.issuer, &leaf.serial) != (&token.signer.0, &token.signer.1) {
        return Err(Refusal::bad("its timestamp names its signer in two ways that do not agree"));
    }
    if algorithm::Algorithm::of(leaf.key).is_none() {
        return Err(Refusal::bad("its timestamp is signed with a key of a kind or size that does not count"));
    }
    if !algorithm::stamps(token.hash, leaf, &token.attributes, &token.signature) {
        return Err(Refusal::bad("its timestamp was altered: its authority did not sign it"));
    }
    let at = token.stated.at;
    let path = chain::stamping(leaf, &token.certificates, roots, at)?;
    if at > now.saturating_add(time::SKEW) {
        let (at, now) = (time::rfc3339(at), time::rfc3339(now));
        return Err(Refusal::bad(format!("its timestamp is of the future, {at}; it is {now} here"))
            .hint("is the clock of this machine right?"));
    }
    Ok(Stamp { at, between: token.stated.between, path })
}
