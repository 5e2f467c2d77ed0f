//! Sets of block numbers, one bit each.

/// A set of numbers below a fixed bound, filled from many threads.
#[derive(Debug, Default)]
pub(super) struct Bits {
    words: Vec<std::sync::atomic::AtomicU64>,
}

use std::sync::atomic::{AtomicU64, Ordering};

impl Bits {
    /// Returns an empty set of numbers below `count`.
    pub(super) fn new(count: u64) -> Self {
        Self { words: (0..count.div_ceil(64)).map(|_| AtomicU64::new(0)).collect() }
    }

    /// Takes a number in.
    pub(super) fn set(&self, number: u64) {
        if let Some(word) = self.words.get((number / 64) as usize) {
            word.fetch_or(1 << (number % 64), Ordering::Relaxed);
        }
    }

    /// Returns whether a number is in.
    pub(super) fn has(&self, number: u64) -> bool {
        self.words
            .get((number / 64) as usize)
            .is_some_and(|word| word.load(Ordering::Relaxed) >> (number % 64) & 1 == 1)
    }

    /// Returns how many numbers are in.
    pub(super) fn count(&self) -> u64 {
        self.words.iter().map(|word| u64::from(word.load(Ordering::Relaxed).count_ones())).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_taken_in_is_in() {
        let bits = Bits::new(130);
        [0, 63, 64, 129, 129].iter().for_each(|n| bits.set(*n));
        let found: Vec<u64> = (0..200).filter(|n| bits.has(*n)).collect();
        assert_eq!((found, bits.count()), (vec![0, 63, 64, 129], 4));
    }
}
