//! The list of volumes: to be printed, laid into the parcel, written on the media, and read to the other side over the
//! phone. Plain text of at most 100 columns where file names are short.

use crate::model::spoken::Spoken;
use crate::model::{Digest, fault::printable};
use std::fmt::Write;

/// What the list is about.
#[derive(Debug, Clone)]
pub struct VolumeList<'a> {
    /// What the bundle is.
    pub bundle: &'a Digest,
    /// Which physical cut: its first hex digits.
    pub cut: String,
    /// Checksum over all volumes.
    pub checksum: Option<Spoken>,
    /// Volumes, in order.
    pub volumes: Vec<ListedVolume>,
}

/// One volume.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListedVolume {
    /// Number from 1.
    pub number: u32,
    /// Name of the file.
    pub file: String,
    /// Its size in bytes.
    pub bytes: u64,
    /// Its checksum, where its table is intact.
    pub checksum: Option<Spoken>,
}

/// Writes the list. The same volumes give the same text.
pub fn text(list: &VolumeList<'_>) -> String {
    let mut out = String::from("airlift list of volumes\n\n");
    let bytes: u64 = list.volumes.iter().map(|volume| volume.bytes).sum();
    let facts = [
        ("bundle", list.bundle.to_string()),
        ("bundle, to read aloud", Spoken::of_digest(list.bundle).to_string()),
        ("cut", list.cut.clone()),
        ("volumes", format!("{}, {bytes} bytes", list.volumes.len())),
        ("all volumes, to read aloud", spoken(list.checksum)),
    ];
    for (what, value) in facts {
        line(&mut out, &format!("{what:28}{value}"));
    }
    out.push('\n');
    let total = list.volumes.len();
    let mut rows = vec![["NO", "FILE", "BYTES", "CHECKSUM TO READ ALOUD", "WRITE ON THE MEDIUM"].map(str::to_owned)];
    rows.extend(list.volumes.iter().map(|volume| {
        let number = volume.number.to_string();
        let label = label(&volume.file, (volume.number, total), list.bundle);
        [number, printable(&volume.file), volume.bytes.to_string(), spoken(volume.checksum), label]
    }));
    table(&mut out, &rows);
    out.push_str(
        "\nOn the other side:\n  airlift verify FILE                          one volume, as soon as it is there\n  \
         airlift verify FILE --checksum 'CHECKSUM'    and it is the one of this list\n  \
         airlift verify FOLDER --checksum 'CHECKSUM'  all volumes, with the checksum of all of them\n\
         A checksum is no signature: who made the bundle is told by its author's key, with --bundle-key.\n",
    );
    out
}

/// Returns what is written on the medium of a volume: name, number and the start of the bundle's id.
pub fn label(file: &str, (number, total): (u32, usize), bundle: &Digest) -> String {
    let stem = file.trim_end_matches(".airlift");
    let name = stem.rsplit_once('.').filter(|(_, digits)| digits.bytes().all(|b| b.is_ascii_digit()));
    format!("{} {number}/{total} {}", printable(name.map_or(stem, |(name, _)| name)), bundle.short())
}

fn spoken(checksum: Option<Spoken>) -> String {
    checksum.map_or_else(|| "not readable".to_owned(), |checksum| checksum.to_string())
}

/// Writes rows with aligned columns; numbers to the right.
fn table(out: &mut String, rows: &[[String; 5]]) {
    let width = |column: usize| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or_default();
    let widths: Vec<usize> = (0..5).map(width).collect();
    for row in rows {
        let cell = |column: usize| {
            let (text, width) = (&row[column], widths[column]);
            if matches!(column, 0 | 2) { format!("{text:>width$}") } else { format!("{text:width$}") }
        };
        line(out, (0..5).map(cell).collect::<Vec<_>>().join("  ").trim_end());
    }
}

fn line(out: &mut String, text: &str) {
    // Writing to a string cannot fail.
    let _ = writeln!(out, "{text}");
}

#[cfg(test)]
mod tests {
    use super::*;

    const EXPECTED: &str = "\
airlift list of volumes

bundle                      sha256:1e6ed65d77d6364eeaed5a745ba5c4985ae2b700dd85d7cf7f027bdf294a33fc
bundle, to read aloud       3SQD-CQBQ-TRV4-XTQD-B9TZ
cut                         0123456789ab
volumes                     3, 4294967313 bytes
all volumes, to read aloud  144G-J289-144G-J289-144Y

NO  FILE                     BYTES  CHECKSUM TO READ ALOUD    WRITE ON THE MEDIUM
 1  site-a.001.airlift  4294967295  040G-2081-040G-2081-040Q  site-a 1/3 1e6ed65d77d6
 2  site-a.002.airlift          17  0810-40G2-0810-40G2-081B  site-a 2/3 1e6ed65d77d6
 3  b[2J.airlift                 1  not readable              b[2J 3/3 1e6ed65d77d6

On the other side:
  airlift verify FILE                          one volume, as soon as it is there
  airlift verify FILE --checksum 'CHECKSUM'    and it is the one of this list
  airlift verify FOLDER --checksum 'CHECKSUM'  all volumes, with the checksum of all of them
A checksum is no signature: who made the bundle is told by its author's key, with --bundle-key.
";

    fn volume(number: u32, bytes: u64) -> ListedVolume {
        let checksum = Some(Spoken::of(&[number as u8; 32]));
        ListedVolume { number, file: format!("site-a.{number:03}.airlift"), bytes, checksum }
    }

    #[test]
    fn the_list_is_as_it_was_looked_at() {
        let bundle = Digest::of(b"bundle");
        let mut broken = volume(3, 1);
        (broken.checksum, broken.file) = (None, "b\u{1b}[2J.airlift".to_owned());
        let volumes = vec![volume(1, 4_294_967_295), volume(2, 17), broken];
        let list = VolumeList {
            bundle: &bundle,
            cut: "0123456789ab".to_owned(),
            checksum: Some(Spoken::of(&[9; 32])),
            volumes,
        };
        let text = text(&list);
        assert_eq!(text, EXPECTED);
        assert!(text.lines().all(|line| !line.ends_with(' ') && !line.contains('\u{1b}')));
    }

    #[test]
    fn a_label_says_name_number_and_bundle() {
        let bundle = Digest::of(b"bundle");
        let short = bundle.short();
        for (file, label_of) in [("site-a.002.airlift", "site-a"), ("b.airlift", "b"), ("v1.x.airlift", "v1.x")] {
            assert_eq!(label(file, (2, 7), &bundle), format!("{label_of} 2/7 {short}"));
        }
    }
}
