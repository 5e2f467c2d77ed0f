//! Compressed frames: one call of libzstd for each chunk. Door of the zstd crate.
//!
//! Parameters are fixed by level and chunk size, so one version of libzstd gives one encoding. The window covers
//! the whole chunk: the frame is one segment, and its header can be told from the content size alone.

use super::frame;
use std::io;
use zstd::zstd_safe::{self, CParameter};

/// Compresses chunks; one for each thread.
pub(super) struct Packer(zstd::bulk::Compressor<'static>);

impl Packer {
    /// Returns a packer for chunks of at most `chunk_size` bytes, a power of two.
    pub(super) fn new(level: i32, chunk_size: u32) -> io::Result<Self> {
        let mut packer = zstd::bulk::Compressor::new(level)?;
        packer.set_parameter(CParameter::ChecksumFlag(true))?;
        packer.set_parameter(CParameter::ContentSizeFlag(true))?;
        packer.set_parameter(CParameter::WindowLog(chunk_size.ilog2().max(10)))?;
        Ok(Self(packer))
    }

    /// Returns `content` as one frame.
    pub(super) fn pack(&mut self, content: &[u8]) -> io::Result<Vec<u8>> {
        let frame = self.0.compress(content)?;
        let head = frame::packed_head(content.len() as u64);
        if frame.starts_with(&head) { Ok(frame) } else { Err(io::Error::other("libzstd wrote another frame header")) }
    }
}

/// Decompresses frames; one for each thread.
pub(super) struct Unpacker(zstd::bulk::Decompressor<'static>);

impl Unpacker {
    /// Returns an unpacker.
    pub(super) fn new() -> io::Result<Self> {
        Ok(Self(zstd::bulk::Decompressor::new()?))
    }

    /// Returns the content of one whole frame, whose header promises `content` bytes; its checksum is checked.
    pub(super) fn unpack(&mut self, bytes: &[u8], content: usize) -> Result<Vec<u8>, frame::Flaw> {
        let mut out = Vec::with_capacity(content);
        match self.0.decompress_to_buffer(bytes, &mut out) {
            Ok(n) if n == content => Ok(out),
            Ok(_) => Err(frame::Flaw::Content),
            Err(error) if error.to_string().contains("checksum") => Err(frame::Flaw::Checksum),
            Err(_) => Err(frame::Flaw::Content),
        }
    }
}

/// Returns the longest frame that [`Packer::pack`] makes of `content` bytes. A longer one is refused unread.
pub(super) fn bound(content: u64) -> u64 {
    zstd_safe::compress_bound(usize::try_from(content).unwrap_or(usize::MAX)) as u64
}

/// Returns what the volume header says about the encoder: version of libzstd and level.
pub(super) fn encoder(level: i32) -> String {
    format!("zstd {} l{level}", zstd_safe::version_string())
}

/// Returns the levels that libzstd takes.
pub(super) fn levels() -> std::ops::RangeInclusive<i32> {
    zstd::compression_level_range()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bundle::frame::{Coding, Flaw, Head};

    fn noise(n: usize) -> Vec<u8> {
        let mut state = 1u64;
        let mut next = || {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (state >> 33) as u8
        };
        (0..n).map(|_| next()).collect()
    }

    #[test]
    fn frames_have_the_header_that_their_size_gives_and_stay_below_the_bound() {
        for chunk in [4096, 4 << 20] {
            let mut packer = Packer::new(3, chunk).unwrap();
            for n in [1, 255, 256, 1000, 4096, 65_791, 65_792, 131_073, 4 << 20] {
                for content in [vec![1; n.min(chunk as usize)], noise(n.min(chunk as usize))] {
                    let packed = packer.pack(&content).unwrap();
                    let head = frame::packed_head(content.len() as u64);
                    let found = Head::parse(&packed[..head.len()]).unwrap();
                    assert_eq!((found.coding, found.content), (Coding::Packed, content.len() as u64));
                    assert!(packed.len() as u64 <= bound(content.len() as u64));
                    assert_eq!(Unpacker::new().unwrap().unpack(&packed, content.len()), Ok(content));
                }
            }
        }
    }

    #[test]
    fn a_flipped_checksum_and_a_lying_size_are_refused() {
        let content = noise(5000);
        let mut packed = Packer::new(3, 1 << 20).unwrap().pack(&content).unwrap();
        let mut unpacker = Unpacker::new().unwrap();
        assert_eq!(unpacker.unpack(&packed, 4999), Err(Flaw::Content));
        assert_eq!(unpacker.unpack(&packed, 5001), Err(Flaw::Content));
        *packed.last_mut().unwrap() ^= 1;
        assert_eq!(unpacker.unpack(&packed, 5000), Err(Flaw::Checksum));
        packed.pop();
        assert!(unpacker.unpack(&packed, 5000).is_err());
    }
}
