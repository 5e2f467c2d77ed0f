//! Strict JSON: what two readers could read in two ways is refused before anything acts on it.
//!
//! Refused beyond RFC 8259: a key that stands twice in one object, bytes behind the document, a
//! byte order mark, invalid UTF-8, and nesting deeper than [`limits::NESTING`](super::limits::NESTING).

use serde::de::{DeserializeOwned, DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};
use std::collections::BTreeSet;
use std::fmt;

/// Why a document was refused, with the place.
#[derive(Debug, thiserror::Error)]
#[error("line {line}, column {column}: {why}")]
pub struct JsonError {
    /// Line from 1.
    pub line: usize,
    /// Column from 1.
    pub column: usize,
    /// Reason in words.
    pub why: String,
}

impl From<serde_json::Error> for JsonError {
    fn from(error: serde_json::Error) -> Self {
        let text = error.to_string();
        let why = text.rsplit_once(" at line ").map_or(text.as_str(), |(why, _)| why).to_owned();
        Self { line: error.line(), column: error.column(), why }
    }
}

/// Checks that `bytes` are one strict JSON document, without keeping anything of it.
pub fn check(bytes: &[u8]) -> Result<(), JsonError> {
    let mut reader = serde_json::Deserializer::from_slice(bytes);
    Strict.deserialize(&mut reader)?;
    reader.end()?;
    Ok(())
}

/// Reads a value from one strict JSON document.
pub fn parse<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, JsonError> {
    check(bytes)?;
    Ok(serde_json::from_slice(bytes)?)
}

/// Returns `value` as canonical JSON: no blanks, fields in declared order, maps sorted by key.
///
/// Every paper that a machine writes goes through here, so equal values are equal bytes.
pub fn canonical<T: serde::Serialize>(value: &T) -> Vec<u8> {
    // Serialising our own values to memory fails only for maps with keys that are no strings, and no paper has one.
    serde_json::to_vec(value).unwrap_or_default()
}

/// Returns `value` as JSON for people who compare: one field a line, fields in declared order, maps sorted by key.
///
/// As canonical as [`canonical`]: equal values are equal bytes.
pub fn readable<T: serde::Serialize>(value: &T) -> Vec<u8> {
    serde_json::to_vec_pretty(value).unwrap_or_default()
}

struct Strict;

impl<'de> DeserializeSeed<'de> for Strict {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Strict {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_bool<E>(self, _: bool) -> Result<(), E> {
        Ok(())
    }

    fn visit_i64<E>(self, _: i64) -> Result<(), E> {
        Ok(())
    }

    fn visit_u64<E>(self, _: u64) -> Result<(), E> {
        Ok(())
    }

    fn visit_f64<E>(self, _: f64) -> Result<(), E> {
        Ok(())
    }

    fn visit_str<E>(self, _: &str) -> Result<(), E> {
        Ok(())
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<(), A::Error> {
        while seq.next_element_seed(Strict)?.is_some() {}
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let mut seen = BTreeSet::new();
        while let Some(key) = map.next_key::<String>()? {
            if seen.contains(&key) {
                return Err(serde::de::Error::custom(format_args!("the key {key:?} stands twice")));
            }
            map.next_value_seed(Strict)?;
            seen.insert(key);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_two_readers_could_read_differently_is_refused() {
        for text in [
            r#"{"a":1,"a":2}"#,
            r#"{"digest":1,"di\u0067est":2}"#,
            r#"[{"x":{"y":1,"y":1}}]"#,
            "{} {}",
            "\u{feff}{}",
            "{\"a\":NaN}",
            "{/*c*/}",
            "",
            "{\"a\":\"\u{0}\"}",
        ] {
            assert!(check(text.as_bytes()).is_err(), "{text:?}");
        }
        assert!(check(b"{\"a\":\"\xff\"}").is_err());
        assert!(check(br#"{"a":[1,2.5,"x",null,true,{"b":{}}]}"#).is_ok());
    }

    #[test]
    fn deep_nesting_is_refused_and_does_not_overflow() {
        let deep = |n: usize| format!("{}{}", "[".repeat(n), "]".repeat(n));
        assert!(check(deep(100).as_bytes()).is_ok());
        assert!(check(deep(100_000).as_bytes()).is_err());
    }

    #[test]
    fn an_error_names_line_and_column() {
        let error = check(b"{\n  \"a\": 1,\n  \"a\": 2\n}").unwrap_err();
        assert_eq!(error.line, 3, "{error}");
        assert!(error.to_string().contains("\"a\" stands twice"), "{error}");
    }
}
