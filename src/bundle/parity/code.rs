//! The erasure code over one stripe. Door of `reed_solomon_simd`.
//!
//! Always its high rate, so that one description holds for all numbers of shards (FORMAT.md, "Parity volumes").

use reed_solomon_simd::Error;
use reed_solomon_simd::engine::DefaultEngine;
use reed_solomon_simd::rate::{HighRateDecoder, HighRateEncoder, RateDecoder, RateEncoder};

/// The code refused what it was given: a number or length that no scheme of ours has.
#[derive(Debug, Clone, Copy, PartialEq, thiserror::Error)]
#[error(transparent)]
pub struct CodeError(#[from] Error);

/// Makes the parity blocks of stripes.
pub(super) struct Encoder {
    inner: HighRateEncoder<DefaultEngine>,
    shape: (usize, usize),
}

impl Encoder {
    /// Starts an encoder for `data` blocks and `parity` blocks.
    pub(super) fn new(data: usize, parity: usize, block: usize) -> Result<Self, CodeError> {
        let inner = HighRateEncoder::new(data, parity, block, DefaultEngine::new(), None)?;
        Ok(Self { inner, shape: (data, parity) })
    }

    /// Begins a stripe of blocks of `block` bytes.
    pub(super) fn begin(&mut self, block: usize) -> Result<(), CodeError> {
        Ok(self.inner.reset(self.shape.0, self.shape.1, block)?)
    }

    /// Adds the next data block.
    pub(super) fn add(&mut self, block: &[u8]) -> Result<(), CodeError> {
        Ok(self.inner.add_original_shard(block)?)
    }

    /// Makes the parity blocks and hands each to `each` with its number, from 0.
    pub(super) fn encode<E: From<CodeError>>(
        &mut self,
        mut each: impl FnMut(usize, &[u8]) -> Result<(), E>,
    ) -> Result<(), E> {
        let made = self.inner.encode().map_err(CodeError)?;
        made.recovery_iter().enumerate().try_for_each(|(number, block)| each(number, block))
    }
}

/// Makes lost data blocks of stripes again.
pub(super) struct Decoder {
    inner: HighRateDecoder<DefaultEngine>,
    shape: (usize, usize),
}

impl Decoder {
    /// Starts a decoder for `data` blocks and `parity` blocks.
    pub(super) fn new(data: usize, parity: usize, block: usize) -> Result<Self, CodeError> {
        let inner = HighRateDecoder::new(data, parity, block, DefaultEngine::new(), None)?;
        Ok(Self { inner, shape: (data, parity) })
    }

    /// Begins a stripe of blocks of `block` bytes.
    pub(super) fn begin(&mut self, block: usize) -> Result<(), CodeError> {
        Ok(self.inner.reset(self.shape.0, self.shape.1, block)?)
    }

    /// Adds a good data block.
    pub(super) fn add_data(&mut self, number: usize, block: &[u8]) -> Result<(), CodeError> {
        Ok(self.inner.add_original_shard(number, block)?)
    }

    /// Adds a good parity block.
    pub(super) fn add_parity(&mut self, number: usize, block: &[u8]) -> Result<(), CodeError> {
        Ok(self.inner.add_recovery_shard(number, block)?)
    }

    /// Makes the data blocks that were not added and hands each to `each` with its number.
    pub(super) fn decode<E: From<CodeError>>(
        &mut self,
        mut each: impl FnMut(usize, &[u8]) -> Result<(), E>,
    ) -> Result<(), E> {
        let made = self.inner.decode().map_err(CodeError)?;
        made.restored_original_iter().try_for_each(|(number, block)| each(number, block))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn blocks(data: usize, size: usize) -> Vec<Vec<u8>> {
        (0..data).map(|n| (0..size).map(|i| (n * 31 + i * 7 + i / 64) as u8).collect()).collect()
    }

    fn encoded(data: &[Vec<u8>], parity: usize) -> Vec<Vec<u8>> {
        let mut encoder = Encoder::new(data.len(), parity, 64).unwrap();
        encoder.begin(data[0].len()).unwrap();
        data.iter().for_each(|block| encoder.add(block).unwrap());
        let mut made = Vec::new();
        encoder
            .encode(|number, block| {
                assert_eq!(number, made.len());
                made.push(block.to_vec());
                Ok::<_, CodeError>(())
            })
            .unwrap();
        made
    }

    /// Every choice of as many lost blocks as there are parity blocks, for small numbers of both.
    #[test]
    fn any_lost_blocks_up_to_the_number_of_parity_blocks_are_made_again() {
        for (data, parity) in [(1, 1), (1, 3), (2, 2), (3, 1), (4, 3), (5, 4), (7, 2), (3, 5)] {
            let original = blocks(data, 192);
            let made = encoded(&original, parity);
            let mut decoder = Decoder::new(data, parity, 64).unwrap();
            for lost in (0..1u32 << (data + parity)).filter(|lost| lost.count_ones() as usize <= parity) {
                decoder.begin(192).unwrap();
                let is_lost = |number: usize| lost >> number & 1 == 1;
                (0..data).filter(|n| !is_lost(*n)).for_each(|n| decoder.add_data(n, &original[n]).unwrap());
                (0..parity).filter(|n| !is_lost(data + n)).for_each(|n| decoder.add_parity(n, &made[n]).unwrap());
                let mut again = 0;
                let found = decoder.decode(|number, block| {
                    assert_eq!(block, &original[number]);
                    again += 1;
                    Ok::<_, CodeError>(())
                });
                found.unwrap();
                assert_eq!(again, (0..data).filter(|n| is_lost(*n)).count(), "{data}+{parity} without {lost:b}");
            }
        }
    }

    /// Prints how fast stripes are encoded; `scripts/bench.sh parity` runs it in a release build.
    #[test]
    #[expect(clippy::print_stdout, reason = "a figure that the bench shows")]
    fn stripes_are_encoded_at_the_speed_that_the_bench_prints() {
        for (data, parity) in [(20, 2), (100, 5), (250, 10)] {
            let block = vec![0xA5; 64 << 10];
            let mut encoder = Encoder::new(data, parity, 64 << 10).unwrap();
            let (mut rounds, mut sum, begun) = (0u64, 0u64, std::time::Instant::now());
            while rounds < 4 || (!cfg!(debug_assertions) && begun.elapsed().as_millis() < 1000) {
                encoder.begin(64 << 10).unwrap();
                (0..data).for_each(|_| encoder.add(&block).unwrap());
                let each = |_, made: &[u8]| {
                    sum += u64::from(made[0]);
                    Ok::<_, CodeError>(())
                };
                encoder.encode(each).unwrap();
                rounds += 1;
            }
            let bytes = (rounds * data as u64) << 16;
            #[expect(clippy::cast_precision_loss, reason = "a figure for people")]
            let rate = bytes as f64 / begun.elapsed().as_secs_f64() / 1e9;
            println!("encoded {data}+{parity}: {rate:.2} GB/s of data (target 2) {sum}");
        }
    }

    #[test]
    fn one_lost_block_too_many_is_refused() {
        let original = blocks(4, 64);
        let made = encoded(&original, 2);
        let mut decoder = Decoder::new(4, 2, 64).unwrap();
        decoder.begin(64).unwrap();
        decoder.add_data(0, &original[0]).unwrap();
        decoder.add_parity(1, &made[1]).unwrap();
        decoder.add_data(2, &original[2]).unwrap();
        assert!(decoder.decode(|_, _| Ok::<_, CodeError>(())).is_err());
    }
}
