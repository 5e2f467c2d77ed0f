//! The inventory (FORMAT.md, "Inventory"): digest, size and class of every blob, in the order of the payload.
//!
//! In a delta, records of blobs that are left out say so: they are part of what is signed, and have no bytes here.
//! The statement names its digest, so the signature over the statement covers every byte of every blob.

use super::fields::{Fields, FieldsMut};
use crate::model::digest::Algorithm;
use crate::model::{Digest, limits};

const MAGIC: &[u8; 8] = b"AIRLINV\0";
const HEADER: usize = 32;
const TAIL: usize = 16;
/// Flag of a blob that is left out.
const OMITTED: u8 = 4;

/// What a blob is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Class {
    /// Image manifest or index.
    Manifest,
    /// Image configuration.
    Config,
    /// Layer, chart or other content.
    Payload,
    /// Content of a signature, attestation or SBOM.
    Evidence,
}

impl Class {
    const fn code(self) -> u8 {
        match self {
            Self::Manifest => 1,
            Self::Config => 2,
            Self::Payload => 3,
            Self::Evidence => 4,
        }
    }

    const fn of(code: u8) -> Option<Self> {
        match code {
            1 => Some(Self::Manifest),
            2 => Some(Self::Config),
            3 => Some(Self::Payload),
            4 => Some(Self::Evidence),
            _ => None,
        }
    }
}

/// One blob of a bundle.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InventoryRecord {
    /// Digest of the content.
    pub digest: Digest,
    /// Its size in bytes.
    pub size: u64,
    /// What it is for.
    pub class: Class,
    /// Whether it is left out because the far side has it (a delta).
    pub omitted: bool,
}

/// Why bytes are no inventory.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum InventoryError {
    #[error("it does not open with the magic of an inventory")]
    Magic,
    #[error("it has {found} bytes, its counts ask for {expected}")]
    Length { found: u64, expected: u64 },
    #[error("record {0} is not as any writer writes it")]
    Record(usize),
    #[error("record {0} states a size above the limit")]
    Size(usize),
}

/// Returns the bytes of the inventory of `records`, in which SHA-256 stands before SHA-512.
pub(super) fn bytes(records: &[InventoryRecord]) -> Vec<u8> {
    let short = records.iter().filter(|record| record.digest.algorithm() == Algorithm::Sha256).count();
    let mut all = vec![0; HEADER];
    let mut header = FieldsMut(&mut all);
    header.put(0, MAGIC);
    header.put_u64(8, short as u64);
    header.put_u64(16, (records.len() - short) as u64);
    for record in records {
        all.extend(record.digest.value());
        all.extend(record.size.to_le_bytes());
        all.extend([record.class.code(), if record.omitted { OMITTED } else { 0 }, 0, 0, 0, 0, 0, 0]);
    }
    all
}

/// Returns the bytes of all blobs together.
pub(super) fn total(records: &[InventoryRecord]) -> u64 {
    records.iter().fold(0, |sum, record| sum.saturating_add(record.size))
}

/// Returns the bytes of the blobs that are not left out.
pub(super) fn carried(records: &[InventoryRecord]) -> u64 {
    records.iter().filter(|record| !record.omitted).fold(0, |sum, record| sum.saturating_add(record.size))
}

/// Reads an inventory.
pub(super) fn parse(bytes: &[u8]) -> Result<Vec<InventoryRecord>, InventoryError> {
    let header = Fields(bytes.get(..HEADER).ok_or(InventoryError::Magic)?);
    if header.array::<8>(0) != *MAGIC || header.u64(24) != 0 {
        return Err(InventoryError::Magic);
    }
    let (short, long) = (header.u64(8), header.u64(16));
    let expected = short
        .checked_mul((32 + TAIL) as u64)
        .and_then(|n| n.checked_add(long.checked_mul((64 + TAIL) as u64)?))
        .and_then(|n| n.checked_add(HEADER as u64))
        .unwrap_or(u64::MAX);
    if expected != bytes.len() as u64 {
        return Err(InventoryError::Length { found: bytes.len() as u64, expected });
    }
    let (first, second) = bytes[HEADER..].split_at(short as usize * (32 + TAIL));
    let first = first.chunks_exact(32 + TAIL).map(|bytes| (Digest::Sha256(Fields(bytes).array(0)), &bytes[32..]));
    let second =
        second.chunks_exact(64 + TAIL).map(|bytes| (Digest::Sha512(Box::new(Fields(bytes).array(0))), &bytes[64..]));
    first.chain(second).enumerate().map(|(number, (digest, rest))| record(number, digest, rest)).collect()
}

fn record(number: usize, digest: Digest, rest: &[u8]) -> Result<InventoryRecord, InventoryError> {
    let size = Fields(rest).u64(0);
    if size > limits::DESCRIPTOR_SIZE {
        return Err(InventoryError::Size(number));
    }
    match (Class::of(rest[8]), &rest[9..]) {
        (Some(class), [flags @ (0 | OMITTED), 0, 0, 0, 0, 0, 0]) => {
            Ok(InventoryRecord { digest, size, class, omitted: *flags == OMITTED })
        }
        _ => Err(InventoryError::Record(number)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn records() -> Vec<InventoryRecord> {
        let record = |algorithm, text: &str, class| InventoryRecord {
            digest: Digest::of_with(algorithm, text.as_bytes()),
            size: text.len() as u64,
            class,
            omitted: class == Class::Payload,
        };
        vec![
            record(Algorithm::Sha256, "a", Class::Manifest),
            record(Algorithm::Sha256, "bb", Class::Payload),
            record(Algorithm::Sha512, "ccc", Class::Evidence),
        ]
    }

    #[test]
    fn an_inventory_is_read_as_it_was_written() {
        let written = bytes(&records());
        assert_eq!(written.len(), 32 + 2 * 48 + 80);
        assert_eq!(parse(&written), Ok(records()));
        assert_eq!(parse(&bytes(&[])), Ok(Vec::new()));
        assert_eq!((total(&records()), carried(&records())), (6, 4), "what is left out is listed and not carried");
    }

    #[test]
    fn counts_that_lie_cost_nothing() {
        for (at, count) in [(8, u64::MAX), (8, 1), (16, u64::MAX / 80), (16, 0)] {
            let mut bad = bytes(&records());
            bad[at..at + 8].copy_from_slice(&count.to_le_bytes());
            assert!(matches!(parse(&bad), Err(InventoryError::Length { .. })), "{at} {count}");
        }
    }

    #[test]
    fn unknown_classes_flags_and_sizes_are_refused() {
        for (at, byte) in [(40, 0), (40, 9), (41, 1), (41, 8), (41, 5), (42, 4), (47, 1)] {
            let mut bad = bytes(&records());
            bad[32 + at] = byte;
            assert_eq!(parse(&bad), Err(InventoryError::Record(0)));
        }
        let mut bad = bytes(&records());
        bad[32 + 39] = 0xff;
        assert_eq!(parse(&bad), Err(InventoryError::Size(0)));
    }

    proptest! {
        #[test]
        fn foreign_bytes_never_panic(mut bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = parse(&bytes);
            if bytes.len() > 8 {
                bytes[..8].copy_from_slice(MAGIC);
                let _ = parse(&bytes);
            }
        }
    }
}
