//! Passwords, keys and certificates that a chart makes up. Placeholders here, each different from the one before and
//! the same in every run: none is a secret, and none can be part of an image's name.

use super::function;
use crate::chart::template::{Arguments, Engine, Function, Trouble, Value};
use crate::model::digest::Digest;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

/// Longest text that is made up.
const LONGEST: i64 = 1 << 20;

/// The group.
pub(super) const FUNCTIONS: &[Function] = &[
    function("randAlphaNum", |engine, given| letters(engine, given, b"abcdefghijklmnopqrstuvwxyz0123456789ABCDEFGH")),
    function("randAlpha", |engine, given| letters(engine, given, b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRST")),
    function("randAscii", |engine, given| letters(engine, given, b"abcdefghijklmnopqrstuvwxyz0123456789ABCDEFGH")),
    function("randNumeric", |engine, given| letters(engine, given, b"0123456789")),
    function("randBytes", |engine, given| {
        let text = letters(engine, given, b"abcdefghijklmnopqrstuvwxyz")?;
        match text {
            Value::Text(text) => Ok(STANDARD.encode(text.as_bytes()).into()),
            other => Ok(other),
        }
    }),
    function("randInt", |_, given| Ok(Value::Int(given.int(0)?))),
    function("shuffle", |_, given| Ok(Value::text(given.text(0)?))),
    function("uuidv4", |engine, _| {
        let hex = next(engine);
        Ok(format!("{}-{}-4{}-a{}-{}", &hex[..8], &hex[8..12], &hex[13..16], &hex[17..20], &hex[20..32]).into())
    }),
    function("bcrypt", |engine, _| Ok(format!("$2a$10${}", &next(engine)[..53]).into())),
    function("htpasswd", |engine, given| Ok(format!("{}:$2a$10${}", given.text(0)?, &next(engine)[..53]).into())),
    function("derivePassword", |engine, _| Ok(Value::text(&next(engine)[..16]))),
    function("encryptAES", |engine, _| Ok(STANDARD.encode(next(engine)).into())),
    function("decryptAES", |engine, _| Ok(Value::text(&next(engine)[..16]))),
    function("genPrivateKey", |engine, _| Ok(pem(engine, "PRIVATE KEY").into())),
    function("genCA", certificate),
    function("genCAWithKey", certificate),
    function("genSelfSignedCert", certificate),
    function("genSelfSignedCertWithKey", certificate),
    function("genSignedCert", certificate),
    function("genSignedCertWithKey", certificate),
    function("buildCustomCert", |_, given| {
        let plain = |at: usize| {
            let decoded = STANDARD.decode(given.text(at)?).map_err(|_| Trouble::from("takes base64"))?;
            Ok::<Value, Trouble>(String::from_utf8_lossy(&decoded).into_owned().into())
        };
        Ok(Value::record("sprig.certificate", vec![("Cert", "Cert", plain(0)?), ("Key", "Key", plain(1)?)]))
    }),
];

/// Returns 64 hexadecimal digits that were not there before.
fn next(engine: &mut Engine) -> String {
    engine.made_up += 1;
    Digest::of(format!("made up {}", engine.made_up).as_bytes()).hex()
}

fn letters(engine: &mut Engine, given: &Arguments, of: &[u8]) -> Result<Value, Trouble> {
    let count = given.int(0)?.max(0);
    if count > LONGEST {
        return Err(Trouble::Limit(format!("a made-up text longer than {LONGEST}")));
    }
    let count = usize::try_from(count).unwrap_or_default();
    let mut out = String::new();
    while out.len() < count {
        out.extend(next(engine).bytes().map(|byte| char::from(of[usize::from(byte) % of.len()])));
    }
    out.truncate(count);
    Ok(out.into())
}

fn pem(engine: &mut Engine, what: &str) -> String {
    format!("-----BEGIN {what}-----\n{}\n-----END {what}-----\n", STANDARD.encode(next(engine)))
}

fn certificate(engine: &mut Engine, _: &Arguments) -> Result<Value, Trouble> {
    let (cert, key) = (pem(engine, "CERTIFICATE"), pem(engine, "RSA PRIVATE KEY"));
    Ok(Value::record("sprig.certificate", vec![("Cert", "Cert", cert.into()), ("Key", "Key", key.into())]))
}
