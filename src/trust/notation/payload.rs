//! The payload: which artifact was signed.

use crate::model::fault::printable;
use crate::model::{Descriptor, json};
use crate::trust::outcome::Refusal;
use serde::Deserialize;

/// Type of every payload.
const PAYLOAD: &str = "application/vnd.cncf.notary.payload.v1+json";

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Payload {
    target_artifact: Target,
}

/// The artifact that was signed.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Target {
    media_type: String,
    digest: String,
    size: u64,
}

/// Reads a payload that stands in an envelope as `content_type`.
pub(super) fn read(content_type: &str, payload: &[u8]) -> Result<Target, Refusal> {
    if content_type != PAYLOAD {
        let found = printable(content_type);
        return Err(Refusal::bad(format!("the envelope holds a {found:?}, not a payload of the Notary Project")));
    }
    let payload: Payload =
        json::parse(payload).map_err(|e| Refusal::form(format!("the payload does not parse: {e}")))?;
    Ok(payload.target_artifact)
}

impl Target {
    /// Checks that it is `subject`, to the byte and by type. A size of zero in `subject` is one that nobody knows: that
    /// of an index of which only some platforms are carried. Its digest says as much.
    pub(super) fn check(&self, subject: &Descriptor) -> Result<(), Refusal> {
        let other = |what: &str, found: &str, wanted: &str| {
            Refusal::bad(format!("it is about {what} {:?}, and this artifact is {wanted:?}", printable(found)))
        };
        let digest = subject.digest.to_string();
        if self.digest != digest {
            return Err(other("the artifact", &self.digest, &digest)
                .hint("was the signature copied from another artifact, or does the tag point elsewhere since?"));
        }
        if self.media_type != subject.media_type.as_str() {
            return Err(other("an artifact of type", &self.media_type, subject.media_type.as_str()));
        }
        if subject.size != 0 && self.size != subject.size {
            return Err(other("an artifact of size", &self.size.to_string(), &subject.size.to_string()));
        }
        Ok(())
    }
}
