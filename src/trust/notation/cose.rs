//! Envelopes in CBOR (COSE_Sign1, tagged): what stands in the layer, read strictly. The door of the CBOR crate.

use super::algorithm::Algorithm;
use super::envelope::{AUTHENTIC_TIME, EXPIRY, Envelope, PLUGIN, SCHEME, SIGNING_TIME, Scheme, TIMESTAMP};
use crate::trust::outcome::Refusal;
use coset::cbor::value::Value;
use coset::iana::{self, EnumI64};
use coset::{ContentType, CoseSign1, Header, Label, RegisteredLabelWithPrivate, TaggedCborSerializable};

/// Tag of a time in seconds.
const EPOCH: u64 = 1;

/// Reads an envelope.
pub(super) fn read(bytes: &[u8]) -> Result<Envelope, Refusal> {
    let message =
        CoseSign1::from_tagged_slice(bytes).map_err(|e| Refusal::form(format!("the envelope does not parse: {e}")))?;
    let signed = message.tbs_data(&[]);
    let header = &message.protected.header;
    let scheme = text(header, SCHEME)?.unwrap_or_default();
    Ok(Envelope {
        algorithm: algorithm(header)?,
        content_type: match &header.content_type {
            Some(ContentType::Text(text)) => text.clone(),
            _ => String::new(),
        },
        critical: header.crit.iter().map(critical).collect(),
        others: others(header),
        plugin: find(header, PLUGIN).map(|value| value.as_text().unwrap_or("?").to_owned()),
        scheme: Scheme::read(scheme)?,
        expiry: time(header, EXPIRY)?,
        signing_time: time(header, SIGNING_TIME)?,
        authentic_time: time(header, AUTHENTIC_TIME)?,
        certificates: certificates(&message.unprotected)?,
        timestamp: find(&message.unprotected, TIMESTAMP).map(|value| bytes_of(value, "the timestamp")).transpose()?,
        payload: message.payload.ok_or_else(|| Refusal::form("it holds no payload"))?,
        signed,
        signature: message.signature,
    })
}

fn algorithm(header: &Header) -> Result<Algorithm, Refusal> {
    let number = match &header.alg {
        Some(RegisteredLabelWithPrivate::Assigned(known)) => known.to_i64(),
        Some(RegisteredLabelWithPrivate::PrivateUse(number)) => *number,
        Some(RegisteredLabelWithPrivate::Text(_)) | None => 0,
    };
    Algorithm::numbered(number).ok_or_else(|| Refusal::bad(format!("the algorithm {number} signs no envelope")))
}

fn critical(label: &RegisteredLabelWithPrivate<iana::HeaderParameter>) -> String {
    match label {
        RegisteredLabelWithPrivate::Assigned(known) => known.to_i64().to_string(),
        RegisteredLabelWithPrivate::PrivateUse(number) => number.to_string(),
        RegisteredLabelWithPrivate::Text(text) => text.clone(),
    }
}

/// Returns the names of what is not read.
fn others(header: &Header) -> Vec<String> {
    let read = [SCHEME, EXPIRY, SIGNING_TIME, AUTHENTIC_TIME];
    let name = |label: &Label| match label {
        Label::Int(number) => number.to_string(),
        Label::Text(text) => text.clone(),
    };
    header.rest.iter().map(|(label, _)| name(label)).filter(|name| !read.contains(&name.as_str())).collect()
}

fn find<'a>(header: &'a Header, name: &str) -> Option<&'a Value> {
    let is = |label: &Label| matches!(label, Label::Text(text) if text == name);
    header.rest.iter().find(|(label, _)| is(label)).map(|(_, value)| value)
}

fn text<'a>(header: &'a Header, name: &str) -> Result<Option<&'a str>, Refusal> {
    let text = |value: &'a Value| value.as_text().ok_or_else(|| Refusal::form(format!("the header {name} is no text")));
    find(header, name).map(text).transpose()
}

/// Reads a time: a whole number of seconds under tag 1.
fn time(header: &Header, name: &str) -> Result<Option<i64>, Refusal> {
    let seconds = |value: &Value| match value {
        Value::Tag(EPOCH, inner) => inner.as_integer().and_then(|number| i64::try_from(number).ok()),
        _ => None,
    };
    let read = |value| seconds(value).ok_or_else(|| Refusal::form(format!("the header {name} is no time")));
    find(header, name).map(read).transpose()
}

/// Reads the chain: a list, or one certificate by itself.
fn certificates(header: &Header) -> Result<Vec<Vec<u8>>, Refusal> {
    let label = Label::Int(iana::HeaderParameter::X5Chain.to_i64());
    let chain = header.rest.iter().find(|(found, _)| *found == label).map(|(_, value)| value);
    match chain {
        Some(Value::Array(all)) => all.iter().map(|value| bytes_of(value, "a certificate")).collect(),
        Some(Value::Bytes(one)) => Ok(vec![one.clone()]),
        _ => Err(Refusal::form("it holds no certificate")),
    }
}

fn bytes_of(value: &Value, what: &str) -> Result<Vec<u8>, Refusal> {
    value.as_bytes().cloned().ok_or_else(|| Refusal::form(format!("{what} is no byte string")))
}
