//! A door for the fuzz targets: the parsers inside of a bundle, which nobody else may call.
//!
//! Each function gives what it is handed to one parser and checks the promise that the parser makes. It is hidden, and no
//! part of the interface.

use super::frame::{self, Head};
use super::header::{LENGTH as HEADER, VolumeHeader};
use super::statement::Statement;
use super::trailer::{FOOTER, Footer, RECORD, Record, SKIP_HEAD};
use super::{inventory, tarhead};

/// Reads a statement and an inventory; whether what was accepted is written again as it was read.
pub fn head(bytes: &[u8]) -> bool {
    let statement = Statement::parse(bytes).map_or(true, |statement| statement.to_bytes() == bytes);
    statement && inventory::parse(bytes).map_or(true, |records| inventory::bytes(&records) == bytes)
}

/// Reads the opening of a frame, and the frame as glue; whether what was accepted has one spelling.
pub fn frames(bytes: &[u8]) -> bool {
    let head = Head::parse(bytes).is_none_or(|head| {
        let (raw, packed) = (frame::raw_head(head.content), frame::packed_head(head.content));
        bytes.starts_with(&raw) || bytes.starts_with(&packed)
    });
    let whole = |length: Option<usize>| length.is_none_or(|length| length <= bytes.len());
    let glue = frame::unglue(bytes).is_none_or(|content| frame::glue(&content) == bytes);
    head && glue && whole(frame::packed_length(bytes)) && whole(frame::glue_length(bytes))
}

/// Reads a tar header behind an entry of `before` bytes; whether what was accepted has one spelling.
pub fn tar(bytes: &[u8], before: u64) -> bool {
    tarhead::read(bytes, before).is_none_or(|(name, size)| tarhead::opening(before, &name, size) == bytes)
}

/// Reads header, record and footer of a volume; whether what was accepted is written again as it was read.
pub fn volume(bytes: &[u8]) -> bool {
    let header = first::<HEADER>(bytes).is_none_or(|bytes| {
        // Bits that may be ignored are, and so are not written again.
        VolumeHeader::parse(&bytes).is_ok_and(|header| VolumeHeader::parse(&header.bytes()).is_ok_and(|h| h == header))
            || VolumeHeader::parse(&bytes).is_err()
    });
    let record = first::<RECORD>(bytes).is_none_or(|b| Record::parse(&b).is_none_or(|record| record.bytes() == b));
    let footer = first::<FOOTER>(bytes).is_none_or(|b| Footer::parse(&b).is_none_or(|footer| footer.bytes() == b));
    header && record && footer
}

/// Returns the one-volume bundle `whole` with the records of `table` in the place of its own, under digests that fit: what
/// somebody makes who can write tables and cannot sign. Nothing where `whole` is no bundle of one volume.
pub fn with_table(whole: &[u8], table: &[u8]) -> Option<Vec<u8>> {
    let header = first::<HEADER>(whole)?;
    let end = whole.len().checked_sub(FOOTER)?;
    let footer = Footer::parse(&first::<FOOTER>(whole.get(end..)?)?)?;
    let start = end.checked_sub(usize::try_from(footer.table_length).ok()?)?;
    let table = &table[..table.len() - table.len() % RECORD];
    let mut bytes = whole.get(..start.checked_sub(SKIP_HEAD)?)?.to_vec();
    let mut footer = footer;
    footer.table_length = table.len() as u64;
    footer.file_length = (bytes.len() + SKIP_HEAD + table.len() + FOOTER) as u64;
    let footer = footer.sealed(&header, table);
    bytes.extend(super::trailer::skippable(super::trailer::TRAILER, &[table, &footer.bytes()]));
    Some(bytes)
}

fn first<const N: usize>(bytes: &[u8]) -> Option<[u8; N]> {
    bytes.get(..N)?.try_into().ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn promises_hold_for_any_bytes(bytes in proptest::collection::vec(any::<u8>(), 0..600), before in 0_u64..3000) {
            prop_assert!(head(&bytes) && frames(&bytes) && tar(&bytes, before) && volume(&bytes));
        }
    }

    #[test]
    fn a_table_can_be_put_into_a_good_bundle() {
        let whole = std::fs::read("fuzz/seeds/bundle_check/one").unwrap();
        let end = whole.len() - FOOTER;
        let length = Footer::parse(&first::<FOOTER>(&whole[end..]).unwrap()).unwrap().table_length as usize;
        assert!(with_table(&whole, &whole[end - length..end]).unwrap() == whole);
        assert!(with_table(&whole[..300], &[]).is_none());
    }
}
