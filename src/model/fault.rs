//! What went wrong at a port: the one error type that adapters of stores and registries return.
//!
//! A caller treats faults by their [`FaultKind`]; the words are for the person who reads them.

use std::error::Error;
use std::fmt;

/// What a caller does differently.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum FaultKind {
    /// The thing asked for is not there, and the other side says so.
    Missing,
    /// Credentials are missing, wrong, or do not suffice.
    Unauthorized,
    /// The other side refuses content that is intact: quota, immutable tag, policy, read-only mode.
    Refused,
    /// Network, DNS, TLS, time limit, 5xx, or 429 until patience ended. Another run may succeed.
    Unavailable,
    /// Bytes do not match what they were promised to be.
    Damaged,
    /// Bytes that cannot be parsed, or in two ways.
    Malformed,
    /// A size, count or depth above its limit.
    TooLarge,
    /// No room left on the disk.
    Full,
    /// The local file system failed in another way.
    Local,
    /// Somebody else holds the place.
    Busy,
    /// The run was asked to stop.
    Interrupted,
}

/// A failed call of a port: what, where, and the other side's own words.
#[derive(Debug)]
pub struct Fault {
    /// How a caller treats it.
    pub kind: FaultKind,
    /// Where: a URL without credentials and query, or a path.
    pub place: String,
    /// What happened, as a lower-case fragment.
    pub what: String,
    /// The other side's own words, cut and escaped; empty where it said nothing.
    pub words: String,
    /// What the person who reads it can do; empty where nothing better than the obvious is known.
    pub hint: String,
    /// Cause.
    pub source: Option<Box<dyn Error + Send + Sync>>,
}

impl Fault {
    /// States a fault without words of the other side.
    pub fn new(kind: FaultKind, place: impl Into<String>, what: impl Into<String>) -> Self {
        Self { kind, place: place.into(), what: what.into(), words: String::new(), hint: String::new(), source: None }
    }

    /// Adds the other side's own words, made printable and cut to the limit.
    #[must_use]
    pub fn with_words(mut self, words: &str) -> Self {
        self.words = printable(words);
        self
    }

    /// Adds advice.
    #[must_use]
    pub fn with_hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = hint.into();
        self
    }

    /// Adds the cause.
    #[must_use]
    pub fn because(mut self, source: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        self.source = Some(source.into());
        self
    }

    /// Classifies an error of the local file system at `place`.
    pub fn local(place: impl Into<String>, what: impl Into<String>, error: std::io::Error) -> Self {
        let kind = match error.kind() {
            std::io::ErrorKind::StorageFull | std::io::ErrorKind::QuotaExceeded | std::io::ErrorKind::FileTooLarge => {
                FaultKind::Full
            }
            _ => FaultKind::Local,
        };
        Self::new(kind, place, what).because(error)
    }

    /// Carries a fault through an interface that knows only [`std::io::Error`]; [`Fault::from_io`] takes it out again.
    pub fn into_io(self) -> std::io::Error {
        std::io::Error::other(self)
    }

    /// Takes a fault out of an I/O error, or makes one of it.
    pub fn from_io(error: std::io::Error, place: &str, what: &str) -> Self {
        match error.downcast::<Self>() {
            Ok(fault) => fault,
            Err(error) => Self::local(place, what, error),
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.place, self.what)?;
        if self.words.is_empty() { Ok(()) } else { write!(f, "; it said: {}", self.words) }
    }
}

impl Error for Fault {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.source.as_deref().map(|source| source as &(dyn Error + 'static))
    }
}

/// Returns foreign text fit for a terminal: one line, no control characters, no direction marks, cut to the limit.
pub fn printable(text: &str) -> String {
    let hidden =
        |c: char| matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}');
    let mut out = String::new();
    let mut blank = false;
    for c in text.trim().chars() {
        if c.is_whitespace() {
            blank = true;
            continue;
        }
        if c.is_control() || hidden(c) {
            continue;
        }
        if std::mem::take(&mut blank) {
            out.push(' ');
        }
        if out.len() + c.len_utf8() > super::limits::ERROR_WORDS_BYTES {
            out.push('…');
            break;
        }
        out.push(c);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn foreign_words_are_one_printable_line_of_bounded_length() {
        assert_eq!(printable("a\u{1b}[31mred\u{202e}\r\n  b"), "a[31mred b");
        assert!(printable(&"x".repeat(5000)).len() <= super::super::limits::ERROR_WORDS_BYTES + 4);
    }

    #[test]
    fn a_fault_survives_the_way_through_an_io_error() {
        let fault = Fault::new(FaultKind::Refused, "h", "quota").into_io();
        assert_eq!(Fault::from_io(fault, "x", "y").kind, FaultKind::Refused);
    }
}
