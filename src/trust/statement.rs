//! in-toto statements inside verified envelopes: what they are about and what they say.

use super::outcome::{Meaning, Refusal};
use crate::model::{Digest, json, limits};
use serde::Deserialize;
use std::collections::BTreeMap;

/// Payload type of an in-toto statement in a DSSE envelope.
pub(super) const PAYLOAD_TYPE: &str = "application/vnd.in-toto+json";
/// Types of statement; later versions would be read differently.
const TYPES: [&str; 2] = ["https://in-toto.io/Statement/v1", "https://in-toto.io/Statement/v0.1"];
/// Predicate type by which cosign says "I signed this image".
pub(super) const COSIGN_SIGN: &str = "https://sigstore.dev/cosign/sign/v1";

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Statement {
    #[serde(rename = "_type")]
    kind: String,
    subject: Vec<Subject>,
    predicate_type: String,
}

#[derive(Deserialize)]
struct Subject {
    digest: BTreeMap<String, String>,
}

/// Reads what the verified `payload` says about `subject`.
pub(super) fn meaning(payload: &[u8], subject: &Digest) -> Result<Meaning, Refusal> {
    let statement: Statement =
        json::parse(payload).map_err(|e| Refusal::bad(format!("the signed statement does not parse: {e}")))?;
    if !TYPES.contains(&statement.kind.as_str()) {
        return Err(Refusal::unknown(format!(
            "the signed payload is a {:?}, not an in-toto statement",
            statement.kind
        )));
    }
    let named = |s: &Subject| s.digest.get(subject.algorithm().name()).is_some_and(|hex| *hex == subject.hex());
    if !statement.subject.iter().any(named) {
        return Err(Refusal::bad(format!("the signed statement is not about {subject}")));
    }
    Ok(if statement.predicate_type == COSIGN_SIGN {
        Meaning::Signature
    } else {
        Meaning::Attestation(statement.predicate_type)
    })
}

/// Takes the predicate out of a `payload` that [`meaning`] accepted.
pub(super) fn predicate(payload: &[u8]) -> Result<serde_json::Value, Refusal> {
    #[derive(Deserialize)]
    struct Whole {
        #[serde(default)]
        predicate: serde_json::Value,
    }
    if payload.len() > limits::PREDICATE_BYTES {
        let (size, limit) = (payload.len(), limits::PREDICATE_BYTES);
        return Err(Refusal::unknown(format!(
            "its statement has {size} bytes, more than the {limit} that are looked into"
        )));
    }
    let whole: Whole =
        json::parse(payload).map_err(|e| Refusal::bad(format!("the signed statement does not parse: {e}")))?;
    Ok(whole.predicate)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Meaning, String> {
        meaning(text.as_bytes(), &Digest::of(b"")).map_err(|refusal| refusal.reason)
    }

    #[test]
    fn a_predicate_is_looked_into_up_to_the_limit() {
        let of = |size: usize| {
            let text = format!(r#"{{"predicate":"{}"}}"#, "a".repeat(size));
            predicate(text.as_bytes()).map(|_| ()).map_err(|refusal| refusal.reason)
        };
        assert_eq!(of(limits::PREDICATE_BYTES - 16), Ok(()));
        assert!(of(limits::PREDICATE_BYTES - 15).unwrap_err().contains("more than"));
        assert_eq!(predicate(b"{}").unwrap(), serde_json::Value::Null);
    }

    #[test]
    fn only_a_statement_about_the_subject_says_something_about_it() {
        let hex = Digest::of(b"").hex();
        let good = format!(
            r#"{{"_type":"https://in-toto.io/Statement/v1","subject":[{{"digest":{{"sha1":"00"}}}},{{"name":"x","digest":{{"sha256":"{hex}"}}}}],"predicateType":"t","predicate":{{}}}}"#
        );
        assert_eq!(read(&good), Ok(Meaning::Attestation("t".into())));
        assert_eq!(read(&good.replace(r#""t""#, &format!("{COSIGN_SIGN:?}"))), Ok(Meaning::Signature));
        assert!(read(&good.replace(&hex, &hex.to_uppercase())).unwrap_err().contains("not about"));
        assert!(read(&good.replace("sha256", "sha512")).unwrap_err().contains("not about"));
        assert!(read(&good.replace("Statement/v1", "Statement/v2")).unwrap_err().contains("not an in-toto"));
        assert!(read(&good.replace(r#""_type""#, r#""_type":"x","_type""#)).unwrap_err().contains("twice"));
        assert!(read("{}").is_err());
    }
}
