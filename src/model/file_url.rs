//! Address of a file that is fetched over HTTP and carried as an artifact.
//!
//! Such an address is written into locks and reports, so it has no place for a secret: no user, no password, no
//! query and no fragment.

use super::limits;
use super::reference::check_host;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::fmt;
use std::str::FromStr;

/// Why a text is no address of a file.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{input:?} is no address of a file: {why}")]
pub struct FileUrlError {
    /// Text as it came, cut to a printable length; what stands where a secret could is left out.
    pub input: String,
    /// Reason in words.
    pub why: &'static str,
}

/// `http://` or `https://`, a host with an optional port, and a path that ends with a file's name.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FileUrl {
    text: String,
    host: usize,
    path: usize,
}

impl FileUrl {
    /// Returns the address as text.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Returns the host with its port, as typed.
    pub fn host(&self) -> &str {
        &self.text[self.host..self.path]
    }

    /// Returns the path without its first slash.
    pub fn path(&self) -> &str {
        &self.text[self.path + 1..]
    }

    /// Returns the last part of the path: the file's name.
    pub fn file_name(&self) -> &str {
        self.path().rsplit('/').next().unwrap_or_default()
    }
}

impl fmt::Display for FileUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl FromStr for FileUrl {
    type Err = FileUrlError;

    fn from_str(text: &str) -> Result<Self, FileUrlError> {
        let error = |why| FileUrlError { input: shown(text), why };
        if text.len() > limits::REFERENCE_BYTES {
            return Err(error("it has more than 4096 bytes"));
        }
        let rest = text.strip_prefix("https://").or_else(|| text.strip_prefix("http://"));
        let rest = rest.ok_or_else(|| error("it begins with neither https:// nor http://"))?;
        let (host, path) = rest.split_once('/').ok_or_else(|| error("it has no path"))?;
        if host.contains('@') {
            return Err(error("it carries a user name; credentials do not belong into an address"));
        }
        if path.contains(['?', '#']) || host.contains(['?', '#']) {
            return Err(error("a query or fragment may hold a secret, and the address is written into the lock"));
        }
        check_host(host).map_err(|(_, why)| error(why))?;
        if !path.bytes().all(|b| b.is_ascii_graphic() && !matches!(b, b'\\' | b'"' | b'<' | b'>' | b'`')) {
            return Err(error("it has a character that an address does not have; write it with %"));
        }
        if path.split('/').any(|part| matches!(part, "" | "." | "..")) {
            return Err(error("a part of its path is empty or made of dots; it ends with the name of a file"));
        }
        let start = text.len() - rest.len();
        Ok(Self { text: text.to_owned(), host: start, path: start + host.len() })
    }
}

impl Serialize for FileUrl {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.text)
    }
}

impl<'de> Deserialize<'de> for FileUrl {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

/// Returns what may be shown of a text that is no address: nothing in front of `@`, nothing behind `?`.
fn shown(text: &str) -> String {
    let bare = text.split(['?', '#']).next().unwrap_or_default();
    let (scheme, rest) = bare.split_once("://").unwrap_or(("", bare));
    let rest = rest.rsplit_once('@').map_or(rest, |(_, rest)| rest);
    let whole = if scheme.is_empty() { rest.to_owned() } else { format!("{scheme}://{rest}") };
    whole.chars().take(120).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn an_address_has_a_host_a_path_and_a_name() {
        let url: FileUrl = "https://get.example:8443/tool/v1.2.3/tool%20x.tar.gz".parse().unwrap();
        assert_eq!(
            (url.host(), url.path(), url.file_name()),
            ("get.example:8443", "tool/v1.2.3/tool%20x.tar.gz", "tool%20x.tar.gz")
        );
        assert_eq!(url.to_string(), url.as_str());
    }

    #[test]
    fn an_address_has_no_place_for_a_secret_and_an_error_shows_none() {
        for text in [
            "https://user:secret@h.example/x",
            "https://h.example/x?token=secret",
            "https://h.example/x#secret",
            "ftp://user:secret@h.example/x",
        ] {
            let error = text.parse::<FileUrl>().unwrap_err();
            assert!(
                !error.to_string().contains("secret") || error.to_string().contains("may hold a secret"),
                "{error}"
            );
            assert!(!error.input.contains("secret"), "{error}");
        }
        for text in ["", "h.example/x", "https://h.example", "https://h.example/", "https:///x", "https://h.example/a/"]
        {
            assert!(text.parse::<FileUrl>().is_err(), "{text}");
        }
        for text in ["https://h.example/a/../b", "https://h.example//b", "https://h.example/a b", "https://h.example/ä"]
        {
            assert!(text.parse::<FileUrl>().is_err(), "{text}");
        }
    }

    proptest! {
        #[test]
        fn any_text_parses_to_itself_or_errs_without_a_panic(text in "(https?://)?[a-z0-9.:/@?#%-]{0,40}\\PC{0,5}") {
            if let Ok(url) = text.parse::<FileUrl>() {
                prop_assert_eq!(url.as_str(), &text);
                prop_assert!(!url.host().is_empty() && !url.file_name().is_empty());
            }
        }
    }
}
