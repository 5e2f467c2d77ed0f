//! Revocation, as far as somebody offline can say: unknown where a certificate names who would know.

use super::certificate::Certificate;
use crate::trust::outcome::Refusal;

/// What to do where an authority would have to be asked.
const HINT: &str = "nobody is asked here; where that is accepted, write override: {revocation: log} in the policy";

/// Refuses, as unknown, a chain with a certificate that names a list of revoked ones or a responder. One that names
/// neither cannot be revoked; nor can a root, which nobody stands above.
pub(super) fn check<'a>(chain: impl IntoIterator<Item = &'a Certificate>) -> Result<(), Refusal> {
    let revocable = |one: &&Certificate| one.extensions.names_revocation && one.subject != one.issuer;
    match chain.into_iter().find(revocable) {
        None => Ok(()),
        Some(one) => Err(Refusal::unknown(format!(
            "whether the certificate of {} was revoked is unknown: it names whom to ask",
            one.subject_text()
        ))
        .hint(HINT)),
    }
}
