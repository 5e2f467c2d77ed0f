//! Why a bundle is not read, always with the place. Every variant belongs to one [`ReadClass`].

use super::header::{HeaderFlaw, LENGTH as HEADER};
use crate::model::digest::hex;
use crate::model::evidence::FindingClass;
use crate::model::fault::printable;
use crate::model::{Digest, Finding};
use std::fmt;
use std::io;

/// What a caller does differently.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ReadClass {
    /// It is no bundle, or one of a later version.
    Format,
    /// A volume is missing, foreign, doubled or out of order.
    Media,
    /// Bytes are not what they were when the bundle was written.
    Integrity,
    /// A size is above its limit.
    Limit,
    /// A file or stream could not be read.
    Io,
}

/// A range of bytes in a volume.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct Spot {
    /// Number of the volume; 0 where it is not known.
    pub volume: u32,
    /// File, or `stream`.
    pub file: String,
    /// Offset in the file.
    pub offset: u64,
    /// Bytes from there.
    pub length: u64,
    /// Blob or document that is hit.
    pub hit: Option<String>,
}

impl fmt::Display for Spot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let end = self.offset.saturating_add(self.length);
        match self.volume {
            0 => write!(f, "{}, bytes {}..{end}", self.file, self.offset)?,
            number => write!(f, "volume {number} ({}), bytes {}..{end}", self.file, self.offset)?,
        }
        match &self.hit {
            Some(hit) => write!(f, ", {hit}"),
            None => Ok(()),
        }
    }
}

/// Why a bundle is not read.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// Nothing that could be a volume is there.
    #[error("{place} holds no volume of a bundle")]
    NoVolumes {
        /// Where was looked.
        place: String,
    },
    /// The file or stream is something else.
    #[error("{place} is no volume of a bundle")]
    NoBundle {
        /// Which.
        place: String,
    },
    /// A parity volume stands where a volume of the bundle should.
    #[error("{place} is a parity volume, where a volume of the bundle is expected")]
    Parity {
        /// Which.
        place: String,
    },
    /// It was written by a later program.
    #[error("{place} {needs}")]
    Later {
        /// Which.
        place: String,
        /// What it needs, as the rest of a sentence.
        needs: String,
    },
    /// Volumes are missing.
    #[error("{}", missing(numbers, *more, place))]
    Missing {
        /// Their numbers.
        numbers: Vec<u32>,
        /// Whether others behind the last known one are missing too.
        more: bool,
        /// Where was looked.
        place: String,
    },
    /// A volume belongs to another bundle or to another cut of this one.
    #[error("{place} is a foreign volume: it belongs to {found}, the others to {expected}")]
    Foreign {
        /// Which.
        place: String,
        /// Bundle and cut that were expected.
        expected: Box<SetName>,
        /// Bundle and cut that it belongs to.
        found: Box<SetName>,
    },
    /// A countersignature is about another bundle.
    #[error("{place} countersigns bundle {}, and this is bundle {}", found.short(), expected.short())]
    OtherBundle {
        /// Which.
        place: String,
        /// Bundle that is read.
        expected: Box<Digest>,
        /// Bundle that it is about.
        found: Box<Digest>,
    },
    /// More countersignatures than are read.
    #[error("{place}: {found} countersignatures, the limit is {limit}")]
    Many {
        /// The first of them.
        place: String,
        /// How many.
        found: usize,
        /// Limit.
        limit: usize,
    },
    /// Two files are the same volume.
    #[error("volume {number} is there twice: {first} and {second}")]
    Duplicate {
        /// Its number.
        number: u32,
        /// One file.
        first: String,
        /// The other.
        second: String,
    },
    /// Volumes of a stream follow in the wrong order.
    #[error("volume {expected} should follow in {place}, and volume {found} does")]
    Order {
        /// Which stream.
        place: String,
        /// Number that was expected.
        expected: u32,
        /// Number that came.
        found: u32,
    },
    /// Bytes are not as they were written.
    #[error("{spot}: {what}")]
    Damaged {
        /// Where.
        spot: Box<Spot>,
        /// What is wrong, as a lower-case fragment.
        what: String,
    },
    /// A size is above its limit.
    #[error("{place}: {what} has {size} bytes, the limit is {limit}")]
    TooLarge {
        /// Where.
        place: String,
        /// What is too large.
        what: String,
        /// Its stated size.
        size: u64,
        /// Limit.
        limit: u64,
    },
    /// A file or stream could not be read.
    #[error("cannot read {place} at byte {offset}")]
    Io {
        /// Which.
        place: String,
        /// From where.
        offset: u64,
        /// Cause.
        source: io::Error,
    },
}

/// Turns what is wrong with a header into an error; `number` is that of the volume, where it is known.
pub(super) fn refused(flaw: HeaderFlaw, place: String, number: u32) -> ReadError {
    match flaw {
        HeaderFlaw::Foreign => ReadError::NoBundle { place },
        HeaderFlaw::Parity => ReadError::Parity { place },
        HeaderFlaw::Later(needs) => ReadError::Later { place, needs },
        HeaderFlaw::Damaged => {
            let spot = Spot { volume: number, file: place, offset: 0, length: HEADER as u64, hit: None };
            ReadError::Damaged { spot: Box::new(spot), what: "the volume header is damaged".to_owned() }
        }
    }
}

/// Identity of a set for people: content and cut, shortened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct SetName {
    /// Bundle id.
    pub bundle: [u8; 32],
    /// Set id.
    pub set: [u8; 32],
}

impl fmt::Display for SetName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "bundle {} cut {}", &hex(&self.bundle)[..12], &hex(&self.set)[..12])
    }
}

fn missing(numbers: &[u32], more: bool, place: &str) -> String {
    let list: Vec<String> = ranges(numbers).collect();
    let noun = if numbers.len() == 1 && !more { "volume" } else { "volumes" };
    let verb = if numbers.len() == 1 && !more { "is" } else { "are" };
    let rest = if more { " and all behind" } else { "" };
    format!("{noun} {}{rest} {verb} missing; looked in {place}", list.join(", "))
}

fn ranges(numbers: &[u32]) -> impl Iterator<Item = String> {
    let starts = numbers.iter().enumerate().filter(|(i, n)| *i == 0 || numbers[*i - 1] + 1 != **n);
    let mut bounds: Vec<usize> = starts.map(|(i, _)| i).collect();
    bounds.push(numbers.len());
    let pairs: Vec<(u32, u32)> = bounds.windows(2).map(|pair| (numbers[pair[0]], numbers[pair[1] - 1])).collect();
    pairs.into_iter().map(|(a, b)| if a == b { a.to_string() } else { format!("{a}-{b}") })
}

impl ReadError {
    /// Returns how a caller treats the error.
    pub fn class(&self) -> ReadClass {
        match self {
            Self::NoVolumes { .. } | Self::NoBundle { .. } | Self::Later { .. } => ReadClass::Format,
            Self::Parity { .. }
            | Self::Missing { .. }
            | Self::Foreign { .. }
            | Self::OtherBundle { .. }
            | Self::Duplicate { .. }
            | Self::Order { .. } => ReadClass::Media,
            Self::Damaged { .. } => ReadClass::Integrity,
            Self::TooLarge { .. } | Self::Many { .. } => ReadClass::Limit,
            Self::Io { .. } => ReadClass::Io,
        }
    }

    /// Returns the error as a finding.
    pub fn finding(&self) -> Finding {
        let class = match self.class() {
            ReadClass::Media | ReadClass::Io => FindingClass::Media,
            ReadClass::Format | ReadClass::Integrity | ReadClass::Limit => FindingClass::Integrity,
        };
        let (place, what) = match self {
            Self::Damaged { spot, what } => (spot.to_string(), what.clone()),
            Self::Later { place, needs } => (place.clone(), needs.clone()),
            Self::Missing { numbers, more, place } => (place.clone(), missing(numbers, *more, place)),
            Self::Io { place, source, .. } => (place.clone(), format!("{self}: {source}")),
            Self::NoVolumes { place }
            | Self::NoBundle { place }
            | Self::Parity { place }
            | Self::Foreign { place, .. }
            | Self::OtherBundle { place, .. }
            | Self::Many { place, .. }
            | Self::Order { place, .. }
            | Self::TooLarge { place, .. } => (place.clone(), self.to_string()),
            Self::Duplicate { second, .. } => (second.clone(), self.to_string()),
        };
        Finding::error(class, printable(&place), printable(&what)).with_hint(self.hint())
    }

    fn hint(&self) -> &'static str {
        match self {
            Self::Missing { .. } => "bring the missing volumes to the others, or name their folder too",
            Self::Foreign { .. } => "take the volume away, or name only the volumes of one bundle",
            Self::OtherBundle { .. } => "take the file away; it belongs beside the bundle that it is about",
            Self::Many { .. } => "take away those that nobody asks for",
            Self::Duplicate { .. } => "take one of the two away",
            Self::Parity { .. } => "give the volumes first; parity volumes may follow the last of them",
            Self::Order { .. } => "give the volumes in the order of their numbers",
            Self::Damaged { .. } => "copy this volume again from where it was written; the others need not be copied",
            Self::Later { .. } => "use a later airlift on this side",
            Self::Io { .. } => "check the medium and try again",
            Self::NoVolumes { .. } | Self::NoBundle { .. } | Self::TooLarge { .. } => "",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn missing_volumes_are_listed_as_ranges() {
        assert_eq!(missing(&[2, 3, 4, 7], false, "x"), "volumes 2-4, 7 are missing; looked in x");
        assert_eq!(missing(&[7], false, "x"), "volume 7 is missing; looked in x");
        assert_eq!(missing(&[7], true, "x"), "volumes 7 and all behind are missing; looked in x");
    }
}
