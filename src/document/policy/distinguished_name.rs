//! Distinguished names as trust policies write them (RFC 4514, the subset of the Notary Project's specification):
//! `C=US, ST=WA, O=acme`. Read strictly, because what two readers take apart in two ways decides whom is trusted.
//!
//! Each attribute at most once, no attributes joined by `+`, no values in hex (`#…`), only attributes that have a
//! name here. Blanks around names and values don't count, unless escaped.

use crate::model::limits::NAME_BYTES;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fmt;

/// Names of attributes with their object identifiers: those that certificates are shown with.
const ATTRIBUTES: [(&str, &str); 9] = [
    ("C", "2.5.4.6"),
    ("CN", "2.5.4.3"),
    ("L", "2.5.4.7"),
    ("O", "2.5.4.10"),
    ("OU", "2.5.4.11"),
    ("POSTALCODE", "2.5.4.17"),
    ("SERIALNUMBER", "2.5.4.5"),
    ("ST", "2.5.4.8"),
    ("STREET", "2.5.4.9"),
];
/// Attributes without which an identity would be too wide to mean anybody.
const MANDATORY: [&str; 3] = ["C", "ST", "O"];

/// Attributes of a name, each once; the order in which they were written is no part of it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct DistinguishedName(BTreeMap<&'static str, String>);

/// Why a text is no name of this form.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NameError {
    /// Longer than any name.
    #[error("the name has {0} bytes, the limit is {NAME_BYTES}")]
    Long(usize),
    /// A part without `=`, an unescaped special character, an escape of nothing, or an empty value.
    #[error("{0:?} is no part like O=acme: {1}")]
    Part(String, &'static str),
    /// A name of an attribute that certificates are not shown with.
    #[error(
        "{0:?} is no attribute that can be compared; known are C, ST, O, OU, CN, L, STREET, POSTALCODE, SERIALNUMBER"
    )]
    Attribute(String),
    /// An attribute twice.
    #[error("{0} stands there twice")]
    Twice(&'static str),
    /// An attribute missing that every identity names.
    #[error("{0} is missing: an identity names C, ST and O at least")]
    Missing(&'static str),
}

impl DistinguishedName {
    /// Makes a name of a certificate's attributes: object identifier and text of each, in any order.
    ///
    /// Attributes without a name here are left out, since no policy can ask for them. `None` where one that has a
    /// name stands there twice: which of the two would count is anybody's guess.
    pub fn from_attributes(attributes: impl IntoIterator<Item = (String, String)>) -> Option<Self> {
        let mut own = BTreeMap::new();
        for (id, text) in attributes {
            let Some((name, _)) = ATTRIBUTES.iter().find(|(_, known)| *known == id) else { continue };
            if own.insert(*name, text).is_some() {
                return None;
            }
        }
        Some(Self(own))
    }

    /// Returns whether every attribute of this name stands in `other` with exactly the same text.
    pub fn covers(&self, other: &Self) -> bool {
        self.0.iter().all(|(name, text)| other.0.get(name) == Some(text))
    }

    /// Returns the text of an attribute.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str)
    }

    fn take(&mut self, part: &str) -> Result<(), NameError> {
        let wrong = |why| NameError::Part(part.trim().to_owned(), why);
        let (name, value) = part.split_once('=').ok_or_else(|| wrong("it has no ="))?;
        let name = match name.trim() {
            "S" => "ST",
            name => name,
        };
        let (known, _) =
            ATTRIBUTES.iter().find(|(known, _)| *known == name).ok_or_else(|| NameError::Attribute(name.to_owned()))?;
        let text = unescape(value).map_err(wrong)?;
        if self.0.insert(known, text).is_some() {
            return Err(NameError::Twice(known));
        }
        Ok(())
    }
}

impl std::str::FromStr for DistinguishedName {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, NameError> {
        if text.len() > NAME_BYTES {
            return Err(NameError::Long(text.len()));
        }
        let mut name = Self(BTreeMap::new());
        for part in split(text) {
            name.take(part)?;
        }
        match MANDATORY.iter().find(|wanted| !name.0.contains_key(*wanted)) {
            Some(missing) => Err(NameError::Missing(missing)),
            None => Ok(name),
        }
    }
}

/// Cuts at commas that no backslash stands before.
fn split(text: &str) -> Vec<&str> {
    let mut parts = Vec::new();
    let (mut start, mut escaped) = (0, false);
    for (at, c) in text.char_indices() {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            ',' => {
                parts.push(&text[start..at]);
                start = at + 1;
            }
            _ => {}
        }
    }
    parts.push(&text[start..]);
    parts
}

/// Reads a value: blanks around it go, escapes are resolved, special characters are refused.
fn unescape(written: &str) -> Result<String, &'static str> {
    let written = trim(written);
    if written.starts_with('#') {
        return Err("a value in hex is not compared");
    }
    let mut bytes = Vec::with_capacity(written.len());
    let mut chars = written.chars();
    while let Some(c) = chars.next() {
        match c {
            '\\' => bytes.push(escape(&mut chars)?),
            '+' => return Err("attributes joined by + are not compared"),
            '"' | ';' | '<' | '>' | '\0' => return Err("a special character needs a backslash before it"),
            c => bytes.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes()),
        }
    }
    match String::from_utf8(bytes) {
        Ok(text) if text.is_empty() => Err("the value is empty"),
        Ok(text) => Ok(text),
        Err(_) => Err("the escapes give no UTF-8"),
    }
}

/// Takes blanks away at both ends; one that is escaped stays.
fn trim(written: &str) -> &str {
    let written = written.trim_start_matches(' ');
    let trimmed = written.trim_end_matches(' ');
    let backslashes = trimmed.len() - trimmed.trim_end_matches('\\').len();
    if backslashes % 2 == 1 && trimmed.len() < written.len() { &written[..=trimmed.len()] } else { trimmed }
}

/// Reads what stands behind a backslash: a special character, or two digits in hex.
fn escape(chars: &mut std::str::Chars<'_>) -> Result<u8, &'static str> {
    const NOTHING: &str = "the backslash escapes nothing";
    let first = chars.next().ok_or(NOTHING)?;
    if let Ok(byte @ (b' ' | b'"' | b'#' | b'+' | b',' | b';' | b'<' | b'=' | b'>' | b'\\')) = u8::try_from(first) {
        return Ok(byte);
    }
    let second = chars.next().and_then(|c| c.to_digit(16)).ok_or(NOTHING)?;
    let value = first.to_digit(16).ok_or(NOTHING)? * 16 + second;
    u8::try_from(value).map_err(|_| NOTHING)
}

impl fmt::Display for DistinguishedName {
    /// Writes the attributes in the order of their names, so equal names are equal texts.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, (name, text)) in self.0.iter().enumerate() {
            let comma = if at == 0 { "" } else { ", " };
            write!(f, "{comma}{name}={}", escaped(text))?;
        }
        Ok(())
    }
}

fn escaped(text: &str) -> String {
    let last = text.chars().count().saturating_sub(1);
    let mut out = String::with_capacity(text.len());
    for (at, c) in text.chars().enumerate() {
        match c {
            '"' | '+' | ',' | ';' | '<' | '>' | '\\' | '=' => out.extend(['\\', c]),
            ' ' | '#' if at == 0 => out.extend(['\\', c]),
            ' ' if at == last => out.extend(['\\', c]),
            c if c.is_ascii_control() => out.push_str(&format!("\\{:02x}", u32::from(c))),
            c => out.push(c),
        }
    }
    out
}

impl TryFrom<String> for DistinguishedName {
    type Error = NameError;

    fn try_from(text: String) -> Result<Self, NameError> {
        text.parse()
    }
}

impl From<DistinguishedName> for String {
    fn from(name: DistinguishedName) -> Self {
        name.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn name(text: &str) -> DistinguishedName {
        text.parse().unwrap_or_else(|e| panic!("{text:?}: {e}"))
    }

    #[test]
    fn order_blanks_and_the_other_name_of_the_state_do_not_count() {
        let one = name("C=US, ST=WA, O=acme rockets");
        assert_eq!(one, name("O=acme rockets,S=WA ,  C = US"));
        assert_eq!(one.to_string(), "C=US, O=acme rockets, ST=WA");
        assert_eq!(name(r"C=US,ST=WA,O=acme\, Inc.").get("O"), Some("acme, Inc."));
        assert_eq!(name(r"C=US,ST=WA,O=M\c3\bcller\ ").get("O"), Some("Müller "));
    }

    #[test]
    fn what_can_be_read_in_two_ways_is_refused_in_words() {
        for (text, words) in [
            ("", "has no ="),
            ("C=US, ST=WA", "O is missing"),
            ("ST=WA, O=acme", "C is missing"),
            ("C=US, O=acme", "ST is missing"),
            ("C=US, ST=WA, O=acme, O=evil", "O stands there twice"),
            ("C=US, ST=WA, S=NY, O=acme", "ST stands there twice"),
            ("C=US, ST=WA, O=acme+OU=evil", "joined by +"),
            ("C=US, ST=WA, O=#0c0461636d65", "in hex"),
            ("C=US, ST=WA, O=", "is empty"),
            ("C=US, ST=WA, O= ", "is empty"),
            ("C=US, ST=WA, O=acme, ", "has no ="),
            ("C=US, ST=WA; O=acme", "backslash before it"),
            ("C=US, ST=WA, O=\"acme\"", "backslash before it"),
            ("C=US, ST=WA, O=acme\\", "escapes nothing"),
            ("C=US, ST=WA, O=acme\\zz", "escapes nothing"),
            ("C=US, ST=WA, O=acme\\ff", "no UTF-8"),
            ("c=US, ST=WA, O=acme", "\"c\" is no attribute"),
            ("C=US, ST=WA, O=acme, DC=example", "\"DC\" is no attribute"),
        ] {
            let error = text.parse::<DistinguishedName>().unwrap_err().to_string();
            assert!(error.contains(words), "{text:?} gives {error:?}, expected {words:?}");
        }
        let long =
            |more: usize| format!("C=US, ST=WA, O={}", "a".repeat(NAME_BYTES - 15 + more)).parse::<DistinguishedName>();
        assert!(long(0).is_ok());
        assert_eq!(long(1), Err(NameError::Long(NAME_BYTES + 1)));
    }

    #[test]
    fn a_name_covers_only_names_with_exactly_its_texts() {
        let wanted = name("C=US, ST=WA, O=acme");
        let cert = |o: &str, ou: &str| {
            let own = |id: &str, text: &str| (id.to_owned(), text.to_owned());
            let all = [own("2.5.4.6", "US"), own("2.5.4.8", "WA"), own("2.5.4.10", o), own("2.5.4.11", ou)];
            DistinguishedName::from_attributes(all).unwrap()
        };
        assert!(wanted.covers(&cert("acme", "build")));
        for other in ["acme-evil", "acm", "Acme", "acme ", "acme, Inc."] {
            assert!(!wanted.covers(&cert(other, "acme")), "{other}");
        }
        assert!(!name("C=US, ST=WA, O=acme, OU=release").covers(&cert("acme", "build")));
        let twice = [("2.5.4.10".to_owned(), "acme".to_owned()), ("2.5.4.10".to_owned(), "evil".to_owned())];
        assert_eq!(DistinguishedName::from_attributes(twice), None);
    }

    proptest! {
        #[test]
        fn any_text_is_read_or_refused_and_what_is_read_prints_back(text in "\\PC{0,80}") {
            if let Ok(read) = text.parse::<DistinguishedName>() {
                prop_assert_eq!(&read.to_string().parse::<DistinguishedName>().unwrap(), &read);
            }
        }

        #[test]
        fn any_values_survive_being_written(c in ".{1,20}", st in ".{1,20}", o in ".{1,20}", cn in "[ #+,;=\\\\\"<>a\u{1}é]{1,12}") {
            let own = |id: &str, text: &str| (id.to_owned(), text.to_owned());
            let all = [own("2.5.4.6", &c), own("2.5.4.8", &st), own("2.5.4.10", &o), own("2.5.4.3", &cn)];
            let made = DistinguishedName::from_attributes(all).unwrap();
            prop_assert_eq!(&name(&made.to_string()), &made);
        }
    }
}
