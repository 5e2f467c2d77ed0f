//! Digests, and what bytes turned out to be. The door of the hash crate.
//!
//! Follows the OCI image specification, "Digests": an algorithm, a colon, lower-case hex of fixed length.
//! Nothing but a [`Digest`] may become part of a URL or a path.

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use sha2::Digest as _;
use sha2::digest::common::hazmat::SerializableState as _;
use std::fmt;
use std::str::FromStr;

/// Hash algorithms of content digests: the two that the OCI image specification registers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Algorithm {
    /// SHA-256, 32 bytes.
    Sha256,
    /// SHA-512, 64 bytes.
    Sha512,
}

impl Algorithm {
    /// Returns the name as it stands before the colon.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Sha256 => "sha256",
            Self::Sha512 => "sha512",
        }
    }
}

/// Digest of some bytes. Ordered by algorithm, then by value.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Digest {
    /// SHA-256 value.
    Sha256([u8; 32]),
    /// SHA-512 value.
    Sha512(Box<[u8; 64]>),
}

/// Why a text is no digest.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DigestError {
    /// No colon stands in the text.
    #[error("{0:?} is no digest: expected sha256:<64 hex>")]
    Shape(String),
    /// The algorithm is none that we know.
    #[error("unsupported digest algorithm {0:?}; sha256 and sha512 are supported")]
    Algorithm(String),
    /// The part behind the colon is not lower-case hex of the right length.
    #[error("{0:?} is no {algorithm} digest: expected {expected} lower-case hex digits", algorithm = .1.name(), expected = .2)]
    Value(String, Algorithm, usize),
}

impl Digest {
    /// Returns the SHA-256 digest of `bytes`.
    pub fn of(bytes: &[u8]) -> Self {
        Self::Sha256(sha2::Sha256::digest(bytes).into())
    }

    /// Returns the digest of `bytes` under `algorithm`.
    pub fn of_with(algorithm: Algorithm, bytes: &[u8]) -> Self {
        let mut digester = Digester::new(algorithm);
        digester.update(bytes);
        digester.finish().digest
    }

    /// Returns the algorithm.
    pub const fn algorithm(&self) -> Algorithm {
        match self {
            Self::Sha256(_) => Algorithm::Sha256,
            Self::Sha512(_) => Algorithm::Sha512,
        }
    }

    /// Returns the raw value: 32 or 64 bytes.
    pub fn value(&self) -> &[u8] {
        match self {
            Self::Sha256(value) => value,
            Self::Sha512(value) => &value[..],
        }
    }

    /// Returns the value in lower-case hex, without the algorithm.
    pub fn hex(&self) -> String {
        hex(self.value())
    }

    /// Returns the first twelve hex digits: enough for a person, never for a machine.
    pub fn short(&self) -> String {
        self.hex()[..12].to_owned()
    }
}

/// Returns `bytes` in lower-case hex.
pub fn hex(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let mut out = String::with_capacity(bytes.len() * 2);
    for byte in bytes {
        out.push(char::from(DIGITS[usize::from(byte >> 4)]));
        out.push(char::from(DIGITS[usize::from(byte & 15)]));
    }
    out
}

fn unhex<const N: usize>(text: &str) -> Option<[u8; N]> {
    let bytes = text.as_bytes();
    if bytes.len() != N * 2 {
        return None;
    }
    let nibble = |byte: u8| match byte {
        b'0'..=b'9' => Some(byte - b'0'),
        b'a'..=b'f' => Some(byte - b'a' + 10),
        _ => None,
    };
    let mut out = [0; N];
    for (slot, pair) in out.iter_mut().zip(bytes.chunks_exact(2)) {
        *slot = nibble(pair[0])? << 4 | nibble(pair[1])?;
    }
    Some(out)
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.algorithm().name(), self.hex())
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for Digest {
    type Err = DigestError;

    fn from_str(text: &str) -> Result<Self, DigestError> {
        let (name, value) = text.split_once(':').ok_or_else(|| DigestError::Shape(text.to_owned()))?;
        match name {
            "sha256" => {
                unhex(value).map(Self::Sha256).ok_or_else(|| DigestError::Value(text.to_owned(), Algorithm::Sha256, 64))
            }
            "sha512" => unhex(value)
                .map(|value| Self::Sha512(Box::new(value)))
                .ok_or_else(|| DigestError::Value(text.to_owned(), Algorithm::Sha512, 128)),
            other => Err(DigestError::Algorithm(other.to_owned())),
        }
    }
}

impl Serialize for Digest {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Digest {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

/// What some bytes turned out to be: the only honest source of a digest and a size.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Content {
    /// Digest of the bytes.
    pub digest: Digest,
    /// Their number.
    pub size: u64,
}

impl fmt::Display for Content {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({} bytes)", self.digest, self.size)
    }
}

#[derive(Clone)]
enum State {
    Sha256(sha2::Sha256),
    Sha512(Box<sha2::Sha512>),
}

/// Hashes and counts bytes as they pass. A copy goes on from where the original stood.
#[derive(Clone)]
pub struct Digester {
    state: State,
    size: u64,
}

impl Digester {
    /// Starts with nothing seen.
    pub fn new(algorithm: Algorithm) -> Self {
        let state = match algorithm {
            Algorithm::Sha256 => State::Sha256(sha2::Sha256::new()),
            Algorithm::Sha512 => State::Sha512(Box::new(sha2::Sha512::new())),
        };
        Self { state, size: 0 }
    }

    /// Takes in the next bytes.
    pub fn update(&mut self, bytes: &[u8]) {
        self.size += bytes.len() as u64;
        match &mut self.state {
            State::Sha256(state) => state.update(bytes),
            State::Sha512(state) => state.update(bytes),
        }
    }

    /// Returns the number of bytes seen so far.
    pub const fn size(&self) -> u64 {
        self.size
    }

    /// Returns its state, so that another run can go on from here. It says nothing about bytes that were seen before.
    pub fn state(&self) -> Vec<u8> {
        let mut bytes = self.size.to_le_bytes().to_vec();
        match &self.state {
            State::Sha256(state) => bytes.extend_from_slice(&state.serialize()),
            State::Sha512(state) => bytes.extend_from_slice(&state.serialize()),
        }
        bytes
    }

    /// Goes on from what [`Self::state`] returned; `None` where these bytes are no such state.
    pub fn from_state(algorithm: Algorithm, bytes: &[u8]) -> Option<Self> {
        let (size, state) = bytes.split_first_chunk::<8>()?;
        let state = match algorithm {
            Algorithm::Sha256 => State::Sha256(sha2::Sha256::deserialize(&state.try_into().ok()?).ok()?),
            Algorithm::Sha512 => State::Sha512(Box::new(sha2::Sha512::deserialize(&state.try_into().ok()?).ok()?)),
        };
        Some(Self { state, size: u64::from_le_bytes(*size) })
    }

    /// Returns what was seen.
    pub fn finish(self) -> Content {
        let digest = match self.state {
            State::Sha256(state) => Digest::Sha256(state.finalize().into()),
            State::Sha512(state) => Digest::Sha512(Box::new(state.finalize().into())),
        };
        Content { digest, size: self.size }
    }
}

impl Default for Digester {
    /// Starts a SHA-256.
    fn default() -> Self {
        Self::new(Algorithm::Sha256)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const EMPTY: &str = "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

    #[test]
    fn a_digest_goes_on_from_its_state_wherever_it_was_taken() {
        let bytes: Vec<u8> = (0..5000_u32).map(|n| (n * 7 % 251) as u8).collect();
        for algorithm in [Algorithm::Sha256, Algorithm::Sha512] {
            for at in [0, 1, 63, 64, 100, 128, 4096, 5000] {
                let mut first = Digester::new(algorithm);
                first.update(&bytes[..at]);
                let mut second = Digester::from_state(algorithm, &first.state()).unwrap();
                assert_eq!(second.size(), at as u64);
                second.update(&bytes[at..]);
                assert_eq!(second.finish().digest, Digest::of_with(algorithm, &bytes), "{algorithm:?} {at}");
            }
            let state = Digester::new(algorithm).state();
            assert!(Digester::from_state(algorithm, &state[1..]).is_none());
            assert!(Digester::from_state(algorithm, &[]).is_none());
        }
    }

    #[test]
    fn a_digest_prints_as_it_was_parsed() {
        let digest: Digest = EMPTY.parse().unwrap();
        assert_eq!(digest.to_string(), EMPTY);
        assert_eq!(digest, Digest::of(b""));
        let long = Digest::of_with(Algorithm::Sha512, b"x");
        assert_eq!(long.to_string().parse::<Digest>().unwrap(), long);
    }

    #[test]
    fn everything_but_the_one_spelling_is_refused() {
        let upper = EMPTY.to_uppercase().replace("SHA256", "sha256");
        let short = &EMPTY[..EMPTY.len() - 1];
        let long = format!("{EMPTY}0");
        let sha512_short = EMPTY.replace("sha256", "sha512");
        for text in [&upper, short, &long, &sha512_short, "sha256:../../x", "", "sha256", ":", " sha256:00"] {
            assert!(text.parse::<Digest>().is_err(), "{text}");
        }
        assert_eq!("md5:00".parse::<Digest>(), Err(DigestError::Algorithm("md5".into())));
        assert_eq!("SHA256:00".parse::<Digest>(), Err(DigestError::Algorithm("SHA256".into())));
    }
}
