//! Tar headers and padding (FORMAT.md, "Tar entries"): the one spelling that is ever written or accepted.
//!
//! No general tar parser reads a bundle. A header is taken apart only to learn name and size; then it is built
//! again from the two and compared.

/// Bytes of a tar block.
pub(super) const BLOCK: u64 = 512;

/// Returns what stands before the content of an entry: padding of the entry before, which had `before` bytes,
/// and the header of this one.
pub(super) fn opening(before: u64, name: &str, size: u64) -> Vec<u8> {
    let mut bytes = vec![0; padding(before)];
    if name.len() > 100 {
        let record = pax_path(name);
        bytes.extend(block("airlift/pax", record.len() as u64, b'x'));
        bytes.extend(&record);
        bytes.resize(bytes.len() + padding(record.len() as u64), 0);
    }
    bytes.extend(block(name, size, b'0'));
    bytes
}

/// Returns what ends the tar stream after an entry of `before` bytes: its padding and two blocks of zeros.
pub(super) fn ending(before: u64) -> Vec<u8> {
    vec![0; padding(before) + 1024]
}

/// Returns name and size that an opening states, `None` unless it is exactly the one built from the two.
pub(super) fn read(opening_bytes: &[u8], before: u64) -> Option<(String, u64)> {
    let groups = opening_bytes.get(padding(before)..)?;
    let header = groups.get(groups.len().checked_sub(512)?..)?;
    let name = match groups.len() {
        512 => std::str::from_utf8(header[..100].split(|byte| *byte == 0).next()?).ok()?.to_owned(),
        1536 => {
            let record = groups[512..1024].split(|byte| *byte == b'\n').next()?;
            std::str::from_utf8(record).ok()?.split_once(" path=")?.1.to_owned()
        }
        _ => return None,
    };
    let size = read_number(&header[124..136])?;
    (opening(before, &name, size) == opening_bytes).then_some((name, size))
}

/// Returns the zeros that follow content of `size` bytes up to the next block.
pub(super) const fn padding(size: u64) -> usize {
    (size.next_multiple_of(BLOCK) - size) as usize
}

/// Returns the record `<length> path=<name>\n`, whose length counts its own digits.
fn pax_path(name: &str) -> Vec<u8> {
    let bare = " path=\n".len() + name.len();
    let mut length = bare + 1;
    while length != bare + length.to_string().len() {
        length = bare + length.to_string().len();
    }
    format!("{length} path={name}\n").into_bytes()
}

fn block(name: &str, size: u64, kind: u8) -> [u8; 512] {
    let mut header = [0; 512];
    let mut put = |at: usize, bytes: &[u8]| header[at..at + bytes.len()].copy_from_slice(bytes);
    put(0, &name.as_bytes()[..name.len().min(100)]);
    put(100, b"0000644\0");
    put(108, b"0000000\0");
    put(116, b"0000000\0");
    put(124, &number(size));
    put(136, b"00000000001\0");
    put(148, b"        ");
    put(156, &[kind]);
    put(257, b"ustar\x0000");
    let sum: u32 = header.iter().map(|byte| u32::from(*byte)).sum();
    header[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
    header
}

/// Returns a size as eleven octal digits, from 2^33 on in base 256.
///
/// A pax size record would do as well, but one reader in the field ignores it and loses the rest of the archive.
fn number(size: u64) -> [u8; 12] {
    let mut field = [0; 12];
    if size < 1 << 33 {
        field[..11].copy_from_slice(format!("{size:011o}").as_bytes());
    } else {
        field[0] = 0x80;
        field[4..].copy_from_slice(&size.to_be_bytes());
    }
    field
}

fn read_number(field: &[u8]) -> Option<u64> {
    if field[0] == 0x80 {
        return Some(u64::from_be_bytes(field[4..].try_into().ok()?));
    }
    u64::from_str_radix(std::str::from_utf8(&field[..11]).ok()?, 8).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bundle::frame;
    use proptest::prelude::*;

    fn blob(hex: usize) -> String {
        format!("blobs/sha{}/{}", hex * 4, "a1".repeat(hex / 2))
    }

    #[test]
    fn frames_of_headers_have_the_documented_lengths() {
        assert_eq!(frame::glue(&opening(0, &blob(64), 1_234_567)).len(), 167);
        assert_eq!(frame::glue(&opening(100, &blob(64), 1_234_567)).len(), 171);
        assert_eq!(frame::glue(&ending(0)).len(), 11);
        assert_eq!(frame::glue(&ending(511)).len(), 11);
    }

    #[test]
    fn sizes_change_their_spelling_at_two_to_the_33() {
        for size in [0, 1, (1 << 33) - 1, 1 << 33, (8 << 30) + 12_345, u64::MAX >> 1] {
            let bytes = opening(511, "oci-layout", size);
            assert_eq!(read(&bytes, 511), Some(("oci-layout".to_owned(), size)));
            assert_eq!(bytes[1 + 124] == 0x80, size >= 1 << 33, "{size}");
        }
    }

    #[test]
    fn a_sha512_name_travels_in_a_pax_header() {
        let bytes = opening(1, &blob(128), 5);
        assert_eq!(bytes.len(), 511 + 1536);
        assert!(bytes[511 + 512..].starts_with(b"151 path=blobs/sha512/"));
        assert_eq!(read(&bytes, 1), Some((blob(128), 5)));
    }

    #[test]
    fn any_other_spelling_is_refused() {
        let good = opening(3, &blob(64), 77);
        for at in 0..good.len() {
            let mut bad = good.clone();
            bad[at] ^= 1;
            let found = read(&bad, 3);
            assert!(found.as_ref() != Some(&(blob(64), 77)), "byte {at}: {found:?}");
        }
        assert_eq!(read(&good, 4), None);
        assert_eq!(read(&good[..good.len() - 1], 3), None);
    }

    proptest! {
        #[test]
        fn reading_is_the_inverse_of_writing(before: u64, size: u64, hex in "[0-9a-f]{64}") {
            let (before, name) = (before >> 1, format!("blobs/sha256/{hex}"));
            prop_assert_eq!(read(&opening(before, &name, size), before), Some((name, size)));
        }

        #[test]
        fn foreign_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..2100), before: u16) {
            let _ = read(&bytes, u64::from(before));
        }
    }
}
