//! Users by a file of names and bcrypt hashes, as `htpasswd -B` writes it and the distribution registry reads it.

use crate::model::Digest;
use crate::model::limits;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::{Mutex, PoisonError};

/// Hash of a word that nobody has: who asks under an unknown name waits as long as under a known one.
const NOBODY: &str = "$2b$05$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW";

/// Why a file names no users.
#[derive(Debug, thiserror::Error)]
pub enum UsersError {
    /// A line is none of `name:$2y$…`.
    #[error("{place}:{line}: {why}")]
    Line {
        /// File.
        place: String,
        /// Its line.
        line: usize,
        /// Reason in words; never the line itself, which may hold a password.
        why: &'static str,
    },
    /// It is empty, or too large.
    #[error("{place}: {why}")]
    File {
        /// File.
        place: String,
        /// Reason in words.
        why: String,
    },
}

/// Names with their hashes.
pub struct Users {
    hashes: BTreeMap<String, String>,
    /// Pairs that were right before, under a key of this run: the hash is slow on purpose, and clients ask often.
    known: Mutex<BTreeSet<Digest>>,
    key: String,
}

impl fmt::Debug for Users {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.hashes.keys()).finish()
    }
}

impl Users {
    /// Reads the text of a file that a person calls `place`: `name:$2y$…` lines, `#` begins a comment.
    ///
    /// Hashes of other kinds are refused, as the distribution registry does: they are too weak, or no hashes at all.
    pub fn parse(text: &str, place: &str) -> Result<Self, UsersError> {
        let file = |why: String| UsersError::File { place: place.to_owned(), why };
        if text.len() as u64 > limits::PAPER_BYTES {
            return Err(file(format!("it has more than {} bytes", limits::PAPER_BYTES)));
        }
        let mut hashes = BTreeMap::new();
        for (at, line) in text.lines().enumerate().map(|(at, line)| (at + 1, line.trim())) {
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            let wrong = |why| UsersError::Line { place: place.to_owned(), line: at, why };
            let (name, hash) = line.split_once(':').ok_or_else(|| wrong("no colon between name and hash"))?;
            if name.is_empty() {
                return Err(wrong("the name is empty"));
            }
            if hash.parse::<bcrypt::HashParts>().is_err() {
                return Err(wrong("the hash is no bcrypt hash; `htpasswd -B` writes those"));
            }
            if hashes.insert(name.to_owned(), hash.to_owned()).is_some() {
                return Err(wrong("the name stands in an earlier line already"));
            }
        }
        if hashes.is_empty() {
            return Err(file("it names nobody, so nobody could come in".to_owned()));
        }
        Ok(Self { hashes, known: Mutex::default(), key: super::folder::unguessable() })
    }

    /// Returns whether `password` is that of `name`. Slow for a pair that was not right before.
    pub(super) fn admit(&self, name: &str, password: &str) -> bool {
        let pair = Digest::of(format!("{}\0{name}\0{password}", self.key).as_bytes());
        if self.known.lock().unwrap_or_else(PoisonError::into_inner).contains(&pair) {
            return true;
        }
        let hash = self.hashes.get(name);
        let right = bcrypt::verify(password, hash.map_or(NOBODY, String::as_str)).unwrap_or(false) && hash.is_some();
        if right {
            self.known.lock().unwrap_or_else(PoisonError::into_inner).insert(pair);
        }
        right
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hash(password: &str) -> String {
        bcrypt::hash(password, 4).unwrap()
    }

    #[test]
    fn a_right_pair_comes_in_twice_and_a_wrong_one_never() {
        let text = format!("# people\nann:{}\nbob:{}\n\n", hash("word"), hash("other"));
        let users = Users::parse(&text, "users").unwrap();
        for _ in 0..2 {
            assert!(users.admit("ann", "word"));
            assert!(users.admit("bob", "other"));
            for (name, password) in [("ann", "other"), ("ann", ""), ("carl", "word"), ("", ""), ("ann\0word", "")] {
                assert!(!users.admit(name, password), "{name}:{password}");
            }
        }
        assert!(!format!("{users:?}").contains("$2"));
    }

    #[test]
    fn the_word_of_nobody_is_a_hash_and_lets_nobody_in() {
        assert!(NOBODY.parse::<bcrypt::HashParts>().is_ok());
    }

    #[test]
    fn what_is_no_list_of_bcrypt_hashes_is_refused_with_its_line() {
        let good = format!("ann:{}", hash("x"));
        for (text, said) in [
            (String::new(), "names nobody"),
            ("# nobody\n".to_owned(), "names nobody"),
            ("ann".to_owned(), "users:1: no colon"),
            (format!("{good}\n:x"), "users:2: the name is empty"),
            ("ann:{SHA}0DPiKuNIrrVmD8IUCuw1hQxNqZc=".to_owned(), "users:1: the hash is no bcrypt hash"),
            ("ann:$apr1$x$y".to_owned(), "no bcrypt hash"),
            ("ann:secret-canary".to_owned(), "no bcrypt hash"),
            (format!("{good}\n{good}"), "users:2: the name stands"),
        ] {
            let error = Users::parse(&text, "users").unwrap_err().to_string();
            assert!(error.contains(said) && !error.contains("canary"), "{text:?}: {error}");
        }
    }
}
