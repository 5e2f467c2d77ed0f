//! How large each volume may be: one size for all, or a list for unequal media whose last size repeats.

use std::sync::Arc;

/// Largest size of each volume, in bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VolumeSizes {
    /// Never empty; the last two differ.
    list: Arc<[u64]>,
}

impl VolumeSizes {
    /// Returns the sizes of volumes 1, 2, …, of which the last repeats; `None` for an empty list.
    pub fn new(sizes: &[u64]) -> Option<Self> {
        let last = sizes.last()?;
        let repeated = sizes.iter().rev().take_while(|size| *size == last).count();
        Some(Self { list: sizes[..=sizes.len() - repeated].into() })
    }

    /// Returns the largest size of volume `number`, from 1.
    pub fn of(&self, number: u32) -> u64 {
        let at = (number as usize).clamp(1, self.list.len()) - 1;
        self.list[at]
    }

    /// Returns the list with each size replaced by what `each` makes of it.
    #[must_use]
    pub fn each(&self, each: impl Fn(u64) -> u64) -> Self {
        let sizes: Vec<u64> = self.list.iter().map(|size| each(*size)).collect();
        Self::new(&sizes).unwrap_or_else(|| self.clone())
    }

    /// Returns the bytes of `total` volumes that are as large as they may be.
    pub(super) fn sum(&self, total: u32) -> u64 {
        (1..=total).fold(0, |sum, number| sum.saturating_add(self.of(number)))
    }

    /// Returns the sizes up to the one that repeats.
    pub(super) fn list(&self) -> &[u64] {
        &self.list
    }

    /// Returns the sizes of the first `total` volumes: what can be told from their headers.
    pub(super) fn up_to(&self, total: u32) -> Self {
        let total = (total as usize).clamp(1, self.list.len());
        Self::new(&self.list[..total]).unwrap_or_else(|| self.clone())
    }
}

impl From<u64> for VolumeSizes {
    /// One size for all volumes.
    fn from(size: u64) -> Self {
        Self { list: Arc::new([size]) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_size_repeats_and_says_nothing_twice() {
        let sizes = VolumeSizes::new(&[4, 32, 25]).unwrap();
        assert_eq!([1, 2, 3, 4, 10_000].map(|number| sizes.of(number)), [4, 32, 25, 25, 25]);
        assert_eq!(VolumeSizes::new(&[4, 25, 25, 25]), VolumeSizes::new(&[4, 25]));
        assert_eq!(VolumeSizes::new(&[7, 7]), Some(7.into()));
        assert_eq!(VolumeSizes::new(&[4, 7, 4, 4]).unwrap().list(), [4, 7, 4]);
        assert_eq!(VolumeSizes::new(&[]), None);
    }

    #[test]
    fn a_list_that_is_longer_than_the_set_counts_only_as_far_as_the_set_goes() {
        let sizes = VolumeSizes::new(&[4, 32, 32, 25]).unwrap();
        assert_eq!(sizes.up_to(1), 4.into());
        assert_eq!(sizes.up_to(3), VolumeSizes::new(&[4, 32]).unwrap());
        assert_eq!(sizes.up_to(9), sizes);
    }
}
