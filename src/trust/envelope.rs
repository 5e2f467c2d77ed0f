//! Shapes that are shared by both forms of evidence, read strictly: every field known, none twice.

use super::outcome::Refusal;
use serde::Deserialize;

/// DSSE envelope as it stands in a bundle or a layer.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct Envelope {
    pub payload_type: String,
    pub payload: String,
    pub signatures: Vec<EnvelopeSignature>,
}

/// Signature in an envelope; `keyid` is a hint.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct EnvelopeSignature {
    #[serde(default, rename = "keyid")]
    pub _keyid: Option<String>,
    pub sig: String,
}

/// Kind of a log entry.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct EntryKind {
    pub kind: String,
    pub version: String,
}

/// Kinds of entries whose body can be compared with the signature.
const KNOWN: [(&str, &str); 4] =
    [("hashedrekord", "0.0.1"), ("hashedrekord", "0.0.2"), ("dsse", "0.0.1"), ("intoto", "0.0.2")];

impl EntryKind {
    /// Refuses what cannot be compared, as something unsupported and not as something damaged.
    pub(super) fn check(&self) -> Result<(), Refusal> {
        let (kind, version) = (self.kind.as_str(), self.version.as_str());
        if KNOWN.contains(&(kind, version)) {
            return Ok(());
        }
        let kind = crate::model::fault::printable(&format!("{kind}/{version}"));
        Err(Refusal::unknown(format!("unsupported log entry {kind}")).hint("sign it again with a current cosign"))
    }
}

impl Envelope {
    /// Takes the one signature; several would leave open which one the log and the certificate speak of.
    pub(super) fn only_signature(&self) -> Result<&EnvelopeSignature, Refusal> {
        match self.signatures.as_slice() {
            [one] => Ok(one),
            several => Err(Refusal::form(format!("the envelope has {} signatures, expected one", several.len()))),
        }
    }
}
