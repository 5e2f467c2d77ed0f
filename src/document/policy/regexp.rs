//! Regular expressions of policies: checked where they are read, and always about the whole text. With `trust`, the
//! door of regex.

use regex::Regex;
use std::fmt;

/// Memory that one compiled expression may take, in bytes.
const BYTES: usize = 1 << 20;

/// Regular expression about the whole of a text, compiled: `^…$`, without look-around and back references.
#[derive(Clone)]
pub struct Regexp {
    text: String,
    whole: Regex,
}

impl Regexp {
    /// Compiles `text`, which a policy must begin with `^` and end with `$`, so that nobody reads it as a search.
    pub fn new(text: &str) -> Result<Self, String> {
        if !(text.starts_with('^') && text.ends_with('$')) {
            return Err(format!("{text:?} must be about the whole text: begin it with ^ and end it with $"));
        }
        let compile = |pattern: &str| {
            let built = regex::RegexBuilder::new(pattern).size_limit(BYTES).build();
            built.map_err(|error| format!("{text:?} does not compile: {}", last_line(&error.to_string())))
        };
        // By itself first, so that no parenthesis of it can close the group around it. The group keeps
        // `^a|b$` from meaning "begins with a, or ends with b".
        compile(text)?;
        Ok(Self { text: text.to_owned(), whole: compile(&format!("^(?:{text})$"))? })
    }

    /// Returns whether `text` as a whole fits.
    pub fn matches(&self, text: &str) -> bool {
        self.whole.is_match(text)
    }

    /// Returns the expression as it was written.
    pub fn as_str(&self) -> &str {
        &self.text
    }
}

fn last_line(text: &str) -> &str {
    text.lines().last().unwrap_or_default().trim().trim_start_matches("error: ")
}

impl PartialEq for Regexp {
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text
    }
}

impl Eq for Regexp {}

impl fmt::Debug for Regexp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.text)
    }
}

/// Text that must be met: exactly, or by a regular expression that is about the whole of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TextMatch {
    /// Equal, to the byte.
    Exact(String),
    /// By an expression.
    Regexp(Regexp),
}

impl TextMatch {
    /// Returns whether `text` is met.
    pub fn matches(&self, text: &str) -> bool {
        match self {
            Self::Exact(wanted) => wanted == text,
            Self::Regexp(regexp) => regexp.matches(text),
        }
    }
}

impl fmt::Display for TextMatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Exact(text) => f.write_str(text),
            Self::Regexp(regexp) => write!(f, "one that matches {}", regexp.as_str()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_expression_is_about_the_whole_text_whatever_it_says() {
        let whole = |text: &str| Regexp::new(text).unwrap();
        let alternatives = whole("^https://good.example/a|https://good.example/b$");
        assert!(alternatives.matches("https://good.example/b"));
        assert!(!alternatives.matches("https://good.example/a/../evil"));
        assert!(!alternatives.matches("https://evil.example/?https://good.example/b"));
        assert!(!whole("^https://good\\.example/.*$").matches("https://goodxexample/x"));
        assert!(!whole("^a$").matches("a\n"));
    }

    #[test]
    fn what_cannot_be_compiled_in_bounds_is_refused_in_words() {
        for (text, words) in [
            ("a$", "begin it with ^"),
            ("^a", "end it with $"),
            ("^(a{1000}){1000}$", "does not compile"),
            ("^(?=a)$", "look-around"),
            ("^a)|(?:b$", "does not compile"),
        ] {
            let error = Regexp::new(text).unwrap_err();
            assert!(error.contains(words) && !error.contains('\n'), "{text}: {error}");
        }
    }
}
