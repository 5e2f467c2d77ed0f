//! Sizes of volumes as people say them: numbers with units, names of media, lists of both.

use super::human;
use crate::bundle::VolumeSizes;
use crate::model::limits;

/// A kind of medium by its name.
struct Medium {
    name: &'static str,
    /// Bytes that it holds, as the specification of the medium has it.
    capacity: u64,
    /// Bytes that are left to the file system on it.
    reserve: u64,
}

/// What ISO 9660 or UDF takes of an optical disc beside one large file: far less than this.
const OPTICAL: u64 = 8 << 20;

/// Media that have one size wherever they are bought.
///
/// | name | capacity from |
/// |---|---|
/// | `cd` | ECMA-130: 80 minutes × 60 × 75 sectors of 2,048 bytes |
/// | `dvd` | ECMA-349 (DVD+R), 2,295,104 sectors; a DVD-R (ECMA-359) has 2,298,496, the smaller one is meant |
/// | `dvd-dl` | ECMA-382 (DVD-R for dual layer), 4,171,712 sectors; a DVD+R DL (ECMA-364) has 4,173,824 |
/// | `bd` … `bd-xl-128` | Blu-ray Disc Association, BD-R part 1: 12,219,392, 24,438,784, 48,878,592 and 62,500,864 sectors, formatted without spare areas |
/// | `fat32` | largest file of FAT32: 2^32 − 1 bytes |
/// | `lto-5` … `lto-9` | LTO Program, native capacity of a cartridge in 10^12 bytes |
///
/// Of a tape one twentieth is left: LTFS keeps a partition for its index, and what is written again beside a bad spot
/// takes tape.
const MEDIA: [Medium; 13] = [
    Medium { name: "cd", capacity: 360_000 * 2048, reserve: OPTICAL },
    Medium { name: "dvd", capacity: 2_295_104 * 2048, reserve: OPTICAL },
    Medium { name: "dvd-dl", capacity: 4_171_712 * 2048, reserve: OPTICAL },
    Medium { name: "bd", capacity: 12_219_392 * 2048, reserve: OPTICAL },
    Medium { name: "bd-dl", capacity: 24_438_784 * 2048, reserve: OPTICAL },
    Medium { name: "bd-xl-100", capacity: 48_878_592 * 2048, reserve: OPTICAL },
    Medium { name: "bd-xl-128", capacity: 62_500_864 * 2048, reserve: OPTICAL },
    Medium { name: "fat32", capacity: (1 << 32) - 1, reserve: 0 },
    tape("lto-5", 1_500_000_000_000),
    tape("lto-6", 2_500_000_000_000),
    tape("lto-7", 6_000_000_000_000),
    tape("lto-8", 12_000_000_000_000),
    tape("lto-9", 18_000_000_000_000),
];

const fn tape(name: &'static str, capacity: u64) -> Medium {
    Medium { name, capacity, reserve: capacity / 20 }
}

/// Parses `4GB,32GB,bd`: the largest size of each volume, of which the last one repeats.
pub fn parse(text: &str) -> Result<VolumeSizes, String> {
    let sizes: Vec<u64> = text.split(',').map(|part| one(part.trim())).collect::<Result<_, String>>()?;
    if sizes.len() > limits::VOLUMES as usize {
        return Err(format!("{} sizes are given, a bundle has at most {} volumes", sizes.len(), limits::VOLUMES));
    }
    VolumeSizes::new(&sizes).ok_or_else(|| "no size is given".to_owned())
}

fn one(text: &str) -> Result<u64, String> {
    if let Some(medium) = MEDIA.iter().find(|medium| medium.name == text.to_ascii_lowercase()) {
        return Ok(medium.capacity - medium.reserve);
    }
    match human::parse_bytes(text) {
        Ok(0) => Err("a volume of no bytes holds nothing".to_owned()),
        Err(_) if text.starts_with(|c: char| c.is_ascii_alphabetic()) => {
            let names: Vec<&str> = MEDIA.iter().map(|medium| medium.name).collect();
            Err(format!("{text:?} is no medium that is known here; these are: {}", names.join(", ")))
        }
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_numbers_and_lists_are_sizes() {
        assert_eq!(parse("64MiB"), Ok((64 << 20).into()));
        assert_eq!(parse("fat32"), Ok(4_294_967_295.into()));
        assert_eq!(
            parse("4GB, 32GB ,BD"),
            Ok(VolumeSizes::new(&[4_000_000_000, 32_000_000_000, 25_016_926_208]).unwrap())
        );
        assert_eq!(parse("dvd"), Ok((4_700_372_992 - 8_388_608).into()));
    }

    #[test]
    fn what_is_no_size_is_told_with_what_would_be_one() {
        for (text, words) in [
            ("", "whole number"),
            ("4GB,", "whole number"),
            ("0", "no bytes"),
            ("4GB,0", "no bytes"),
            ("12 parsecs", "no unit"),
        ] {
            let error = parse(text).unwrap_err();
            assert!(error.contains(words), "{text:?}: {error}");
        }
        let error = parse("dvd,vhs").unwrap_err();
        assert!(error.contains("\"vhs\"") && error.contains("bd-dl, ") && error.contains("lto-9"), "{error}");
        assert!(parse(&"1,".repeat(10_001)[..20_001]).unwrap_err().contains("10000 volumes"));
    }

    #[test]
    fn volumes_leave_room_for_a_file_system_and_no_more_than_a_twentieth() {
        for medium in &MEDIA {
            assert!(medium.reserve <= medium.capacity / 20, "{}", medium.name);
            assert_eq!(medium.reserve == 0, medium.name == "fat32", "{}", medium.name);
        }
    }
}
