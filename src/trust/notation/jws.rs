//! Envelopes in JSON (JWS, flattened form): what stands in the layer, read strictly.
//!
//! Signed is the text of header and payload as it stands, so nothing is encoded anew.

use super::algorithm::Algorithm;
use super::envelope::{AUTHENTIC_TIME, EXPIRY, Envelope, PLUGIN, SCHEME, SIGNING_TIME, Scheme};
use crate::model::fault::printable;
use crate::model::json;
use crate::trust::outcome::Refusal;
use crate::trust::time;
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use serde::Deserialize;
use serde_json::{Map, Value};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    payload: String,
    protected: String,
    header: Unprotected,
    signature: String,
}

/// The part that is not signed: certificates and timestamp speak for themselves, the rest is not read.
#[derive(Deserialize)]
struct Unprotected {
    x5c: Vec<String>,
    #[serde(default, rename = "io.cncf.notary.timestampSignature")]
    timestamp: Option<String>,
}

/// Reads an envelope.
pub(super) fn read(bytes: &[u8]) -> Result<Envelope, Refusal> {
    let written: Written =
        json::parse(bytes).map_err(|e| Refusal::form(format!("the envelope does not parse: {e}")))?;
    let protected = url_safe("the protected header", &written.protected)?;
    let header: Map<String, Value> =
        json::parse(&protected).map_err(|e| Refusal::form(format!("the protected header does not parse: {e}")))?;
    let header = Header(header);
    let certificates =
        written.header.x5c.iter().map(|text| standard("a certificate", text)).collect::<Result<_, _>>()?;
    let timestamp = written.header.timestamp.as_deref().map(|text| standard("the timestamp", text)).transpose()?;
    Ok(Envelope {
        algorithm: algorithm(header.text("alg")?.unwrap_or("none"))?,
        content_type: header.text("cty")?.unwrap_or_default().to_owned(),
        critical: header.critical()?,
        others: header.others(),
        plugin: header.0.get(PLUGIN).map(|value| value.as_str().map_or_else(|| value.to_string(), str::to_owned)),
        scheme: Scheme::read(header.text(SCHEME)?.unwrap_or_default())?,
        expiry: header.time(EXPIRY)?,
        signing_time: header.time(SIGNING_TIME)?,
        authentic_time: header.time(AUTHENTIC_TIME)?,
        payload: url_safe("the payload", &written.payload)?,
        signed: [written.protected.as_bytes(), b".", written.payload.as_bytes()].concat(),
        signature: url_safe("the signature", &written.signature)?,
        certificates,
        timestamp,
    })
}

struct Header(Map<String, Value>);

impl Header {
    fn text(&self, name: &str) -> Result<Option<&str>, Refusal> {
        match self.0.get(name) {
            None => Ok(None),
            Some(Value::String(text)) => Ok(Some(text)),
            Some(_) => Err(Refusal::form(format!("the header {name} is no text"))),
        }
    }

    fn time(&self, name: &str) -> Result<Option<i64>, Refusal> {
        let read = |text| time::parse(text).ok_or_else(|| Refusal::form(format!("the header {name} is no time")));
        self.text(name)?.map(read).transpose()
    }

    fn critical(&self) -> Result<Vec<String>, Refusal> {
        let Some(names) = self.0.get("crit") else { return Ok(Vec::new()) };
        let text = |name: &Value| name.as_str().map(str::to_owned);
        let names = names.as_array().and_then(|names| names.iter().map(text).collect());
        names.ok_or_else(|| Refusal::form("the header crit is no list of names"))
    }

    /// Returns the names of what is not read above.
    fn others(&self) -> Vec<String> {
        let read = ["alg", "cty", "crit", SCHEME, EXPIRY, SIGNING_TIME, AUTHENTIC_TIME];
        self.0.keys().filter(|name| !read.contains(&name.as_str())).cloned().collect()
    }
}

fn algorithm(name: &str) -> Result<Algorithm, Refusal> {
    Algorithm::named(name).ok_or_else(|| Refusal::bad(format!("the algorithm {:?} signs no envelope", printable(name))))
}

fn url_safe(what: &str, text: &str) -> Result<Vec<u8>, Refusal> {
    URL_SAFE_NO_PAD.decode(text).map_err(|e| Refusal::form(format!("{what} is no base64url: {e}")))
}

fn standard(what: &str, text: &str) -> Result<Vec<u8>, Refusal> {
    STANDARD.decode(text).map_err(|e| Refusal::form(format!("{what} is no base64: {e}")))
}
