//! How much parity is wanted: a number of volumes, or a share of the bundle.

use super::scheme::{Covered, Numbers, Scheme};
use crate::model::limits;
use std::fmt;
use std::str::FromStr;

/// Shards that a bundle of few volumes is cut into where whole volumes would be too coarse.
const PIECES: u64 = 100;
/// Pieces start at multiples of a page, as sectors do.
const PAGE: u64 = 4096;
/// Whole volumes end at this multiple: the width of the code.
const WIDTH: u64 = 64;

/// How much parity is wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ParityAmount {
    /// So many parity volumes.
    Volumes(u32),
    /// At most so many hundredths of the bundle.
    Percent(u32),
}

/// Why an amount of parity cannot be meant.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no amount of parity; a number of volumes from 1 to {max} is one, or a share from 1% to 100%", max = limits::PARITY_VOLUMES)]
pub struct AmountError(String);

/// How shards are cut, and how many are added to them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Cut {
    /// Bytes of one shard.
    pub piece: u64,
    /// Shards that are added.
    pub parity: u32,
}

impl FromStr for ParityAmount {
    type Err = AmountError;

    fn from_str(text: &str) -> Result<Self, AmountError> {
        let bad = || AmountError(text.to_owned());
        let number = |digits: &str| digits.parse::<u32>().ok().filter(|n| *n > 0);
        match text.strip_suffix('%') {
            Some(share) => number(share).filter(|n| *n <= 100).map(Self::Percent).ok_or_else(bad),
            None => number(text).filter(|n| *n <= limits::PARITY_VOLUMES).map(Self::Volumes).ok_or_else(bad),
        }
    }
}

impl fmt::Display for ParityAmount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Volumes(n) => write!(f, "{n}"),
            Self::Percent(n) => write!(f, "{n}%"),
        }
    }
}

impl ParityAmount {
    /// Returns how volumes of these lengths are cut.
    ///
    /// Shards are whole volumes where that is what was asked for: a number of volumes, of several; or a share that
    /// allows for at least one. Otherwise the bundle is cut finer, into about a hundred shards.
    pub(super) fn cut(self, lengths: &[u64]) -> Cut {
        let volumes = lengths.len() as u64;
        let whole = lengths.iter().max().copied().unwrap_or(0).next_multiple_of(WIDTH).max(WIDTH);
        let total: u64 = lengths.iter().sum();
        let fine = total.div_ceil(PIECES).next_multiple_of(PAGE).max(PAGE);
        match self {
            Self::Volumes(parity) if volumes > 1 => Cut { piece: whole, parity },
            Self::Volumes(parity) => Cut { piece: fine, parity },
            Self::Percent(share) => match volumes * u64::from(share) / 100 {
                0 => Cut { piece: fine, parity: share },
                parity if volumes > 1 => Cut { piece: whole, parity: (parity as u32).min(limits::PARITY_VOLUMES) },
                _ => Cut { piece: fine, parity: share },
            },
        }
    }

    /// Returns number and bytes of all parity volumes over data volumes of these lengths; `None` where there can be none.
    pub(in crate::bundle) fn measured(self, lengths: &[u64]) -> Option<(u64, u64)> {
        let Cut { piece, parity } = self.cut(lengths);
        let covered = lengths.iter().map(|length| Covered { length: *length, digest: [0; 32] }).collect();
        let scheme = Scheme::new(Numbers { set_id: [0; 32], piece, parity, digits: 0 }, covered).ok()?;
        Some((u64::from(parity), scheme.file_length() * u64::from(parity)))
    }

    /// Returns how large data volumes may be so that parity volumes, which also hold the lists, fit into
    /// `volume_size` with a bundle of about `content` bytes.
    ///
    /// Where the lists would take half of it or more, data volumes keep the whole size.
    pub fn data_limit(self, volume_size: u64, content: u64) -> u64 {
        let volumes = content.saturating_add(content / 50) / volume_size.max(1) + 3;
        let parity = match self {
            Self::Volumes(n) => u64::from(n),
            Self::Percent(share) => volumes * u64::from(share) / 100 + 1,
        };
        let most = super::scheme::overhead(volumes, parity, volume_size);
        if most >= volume_size / 2 { volume_size } else { volume_size - most }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_are_numbers_of_volumes_or_shares() {
        for (text, amount) in [
            ("2", Some(ParityAmount::Volumes(2))),
            ("5%", Some(ParityAmount::Percent(5))),
            ("100%", Some(ParityAmount::Percent(100))),
            ("256", Some(ParityAmount::Volumes(256))),
            ("257", None),
            ("0", None),
            ("0%", None),
            ("101%", None),
            ("-1", None),
            ("five", None),
            ("", None),
            ("%", None),
        ] {
            let found: Result<ParityAmount, _> = text.parse();
            assert_eq!(found.ok(), amount, "{text}");
            assert!(amount.is_none_or(|amount| amount.to_string() == text));
        }
    }

    #[test]
    fn several_volumes_are_shards_and_one_is_cut() {
        let ten = [1_000_000; 10];
        assert_eq!(ParityAmount::Volumes(2).cut(&ten), Cut { piece: 1_000_000, parity: 2 });
        assert_eq!(ParityAmount::Volumes(2).cut(&[1_000_001, 5]), Cut { piece: 1_000_064, parity: 2 });
        assert_eq!(ParityAmount::Volumes(3).cut(&[1 << 30]), Cut { piece: 10_739_712, parity: 3 });
        assert_eq!(ParityAmount::Volumes(3).cut(&[9000]), Cut { piece: 4096, parity: 3 });
        // A share never costs more than it says, where it can: a tenth of ten volumes is one, a twentieth is none.
        assert_eq!(ParityAmount::Percent(10).cut(&ten), Cut { piece: 1_000_000, parity: 1 });
        assert_eq!(ParityAmount::Percent(19).cut(&ten).parity, 1);
        assert_eq!(ParityAmount::Percent(5).cut(&ten), Cut { piece: 102_400, parity: 5 });
        assert_eq!(ParityAmount::Percent(100).cut(&[1 << 30]).parity, 100);
    }
}
