//! Checksums that a person reads to another over the phone: five groups of four letters and digits.
//!
//! Nineteen characters are the first 95 bits of a digest, the twentieth is a check: one character that was misread, or two
//! neighbours that changed places, are always noticed. The characters are those of Crockford's base 32: `I`, `L`, `O` and
//! `U` are not among them; who hears or types an `O` means 0, and `I` or `L` mean 1.

use super::Digest;
use serde::{Serialize, Serializer};
use std::fmt;
use std::str::FromStr;

const ALPHABET: &[u8; 32] = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ";
/// Characters in all, the check included.
const LENGTH: usize = 20;
const GROUP: usize = 4;

/// A digest, shortened to be read aloud.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Spoken([u8; LENGTH]);

/// Why what was heard or typed is no such checksum.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SpokenError {
    /// Characters are missing, or there are too many.
    #[error("a checksum has {LENGTH} letters and digits, these are {0}")]
    Length(usize),
    /// A character that no checksum has.
    #[error("{0:?} stands in no checksum")]
    Letter(char),
    /// The check does not hold.
    #[error("a letter or digit was misread: the check character {0:?} does not fit the others")]
    Misread(char),
}

impl Spoken {
    /// Shortens a digest.
    pub fn of(digest: &[u8; 32]) -> Self {
        let bit = |at: usize| digest[at / 8] >> (7 - at % 8) & 1;
        let mut letters = [0; LENGTH];
        for (at, letter) in letters.iter_mut().take(LENGTH - 1).enumerate() {
            *letter = (0..5).fold(0, |value, n| value << 1 | bit(at * 5 + n));
        }
        letters[LENGTH - 1] = check(&letters);
        Self(letters)
    }

    /// Shortens a digest of either algorithm.
    pub fn of_digest(digest: &Digest) -> Self {
        let mut bytes = [0; 32];
        bytes.iter_mut().zip(digest.value()).for_each(|(slot, byte)| *slot = *byte);
        Self::of(&bytes)
    }

    /// Returns the numbers, from 1, of the groups in which two checksums differ.
    pub fn differing_groups(&self, other: &Self) -> Vec<usize> {
        let groups = self.0.chunks(GROUP).zip(other.0.chunks(GROUP));
        (1..).zip(groups).filter(|(_, (own, others))| own != others).map(|(number, _)| number).collect()
    }
}

/// Returns the check of the first nineteen characters: their sum in the field of 32 elements, each with another weight.
fn check(letters: &[u8; LENGTH]) -> u8 {
    let mut weight = 1;
    letters.iter().take(LENGTH - 1).fold(0, |sum, letter| {
        weight = times(weight, 2);
        sum ^ times(*letter, weight)
    })
}

/// Multiplies in the field of 32 elements, whose polynomial is x^5 + x^2 + 1.
fn times(a: u8, b: u8) -> u8 {
    let mut product = 0;
    for bit in (0..5).rev() {
        product <<= 1;
        product ^= if product & 32 != 0 { 0b10_0101 } else { 0 };
        product ^= if b >> bit & 1 != 0 { a } else { 0 };
    }
    product
}

impl FromStr for Spoken {
    type Err = SpokenError;

    fn from_str(text: &str) -> Result<Self, SpokenError> {
        let mut letters = Vec::with_capacity(LENGTH);
        for letter in text.chars().filter(|c| !c.is_whitespace() && *c != '-') {
            let meant = match letter.to_ascii_uppercase() {
                'O' => '0',
                'I' | 'L' => '1',
                other => other,
            };
            let value = ALPHABET.iter().position(|known| char::from(*known) == meant);
            letters.push(value.ok_or(SpokenError::Letter(letter))? as u8);
        }
        let letters: [u8; LENGTH] = letters.try_into().map_err(|all: Vec<u8>| SpokenError::Length(all.len()))?;
        let last = letters[LENGTH - 1];
        let right = check(&letters) == last;
        if right { Ok(Self(letters)) } else { Err(SpokenError::Misread(char::from(ALPHABET[usize::from(last)]))) }
    }
}

impl fmt::Display for Spoken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, letter) in self.0.iter().enumerate() {
            let dash = if at > 0 && at % GROUP == 0 { "-" } else { "" };
            write!(f, "{dash}{}", char::from(ALPHABET[usize::from(*letter)]))?;
        }
        Ok(())
    }
}

impl fmt::Debug for Spoken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl Serialize for Spoken {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn digest(text: &str) -> [u8; 32] {
        Digest::of(text.as_bytes()).value().try_into().unwrap()
    }

    #[test]
    fn a_known_digest_has_these_letters_for_ever() {
        assert_eq!(Spoken::of(&[0; 32]).to_string(), "0000-0000-0000-0000-0000");
        assert_eq!(
            Spoken::of(&[0xff; 32]).to_string().replace('Z', ""),
            format!("----{}", &Spoken::of(&[0xff; 32]).to_string()[23..])
        );
        let known = digest("abc");
        assert!(Spoken::of(&known).to_string().starts_with("Q9W1-"), "{}", Spoken::of(&known));
    }

    #[test]
    fn what_looks_or_sounds_alike_is_read_as_it_is_meant() {
        let spoken = Spoken::of(&digest("x"));
        let text = spoken.to_string();
        for spelled in [
            text.to_lowercase(),
            text.replace('-', " "),
            text.replace('-', ""),
            text.replace('0', "o"),
            text.replace('1', "l"),
        ] {
            assert_eq!(spelled.parse(), Ok(spoken), "{spelled}");
        }
        assert_eq!("ABC".parse::<Spoken>(), Err(SpokenError::Length(3)));
        assert_eq!(format!("{text}0").parse::<Spoken>(), Err(SpokenError::Length(21)));
        assert_eq!("U".parse::<Spoken>(), Err(SpokenError::Letter('U')));
        assert_eq!("".parse::<Spoken>(), Err(SpokenError::Length(0)));
    }

    #[test]
    fn every_single_misreading_and_every_exchange_of_neighbours_is_noticed() {
        for seed in 0..40 {
            let spoken = Spoken::of(&digest(&seed.to_string()));
            for at in 0..LENGTH {
                for other in (0..32).filter(|other| *other != spoken.0[at]) {
                    let mut wrong = spoken;
                    wrong.0[at] = other;
                    assert!(matches!(wrong.to_string().parse::<Spoken>(), Err(SpokenError::Misread(_))), "{wrong}");
                }
                let mut swapped = spoken;
                swapped.0.swap(at, (at + 1).min(LENGTH - 1));
                assert_eq!(swapped.to_string().parse::<Spoken>().is_ok(), swapped == spoken, "{swapped}");
            }
        }
    }

    #[test]
    fn the_groups_that_differ_are_counted_from_one() {
        let spoken = Spoken::of(&digest("x"));
        let mut other = spoken;
        (other.0[0], other.0[9]) = (other.0[0] ^ 1, other.0[9] ^ 1);
        assert_eq!(spoken.differing_groups(&other), [1, 3]);
        assert!(spoken.differing_groups(&spoken).is_empty());
    }

    proptest! {
        #[test]
        fn what_is_read_aloud_is_understood(digest: [u8; 32]) {
            let spoken = Spoken::of(&digest);
            prop_assert_eq!(spoken.to_string().parse::<Spoken>(), Ok(spoken));
        }

        #[test]
        fn no_text_makes_it_panic(text in "\\PC{0,60}") {
            let _ = text.parse::<Spoken>();
        }
    }
}
