//! Takes a catalogue out of an archive: tar, gzipped or not.

use super::{Checkout, Room, is_wanted};
use crate::model::{Fault, FaultKind, limits};
use flate2::read::MultiGzDecoder;
use std::fs::File;
use std::io::Read;
use std::path::Path;

/// Returns whether a path is that of an archive.
pub fn is_archive(path: &str) -> bool {
    [".tar.gz", ".tgz", ".tar"].iter().any(|ending| path.ends_with(ending))
}

/// Takes the catalogue out of the archive at `path`, which a person calls `shown`.
pub fn unpack(path: &Path, shown: &str) -> Result<Checkout, Fault> {
    let file = File::open(path).map_err(|error| Fault::local(shown, "cannot be read", error))?;
    match shown.ends_with(".tar") {
        true => entries(file, shown),
        false => entries(MultiGzDecoder::new(file), shown),
    }
}

fn entries(bytes: impl Read, shown: &str) -> Result<Checkout, Fault> {
    let damaged = |error: std::io::Error| Fault::new(FaultKind::Malformed, shown, format!("is no archive: {error}"));
    let checkout = Checkout::new(shown.to_owned())?;
    let mut room = Room::default();
    let mut archive = tar::Archive::new(bytes.take(limits::CATALOGUE_ARCHIVE_BYTES));
    for entry in archive.entries().map_err(damaged)? {
        let mut entry = entry.map_err(damaged)?;
        let name = String::from_utf8_lossy(&entry.path_bytes()).into_owned();
        if !entry.header().entry_type().is_file() || !is_wanted(&name) {
            continue;
        }
        room.take(shown, entry.size())?;
        let mut content = Vec::new();
        entry.read_to_end(&mut content).map_err(damaged)?;
        checkout.put(name.strip_prefix("./").unwrap_or(&name), &content)?;
    }
    Ok(checkout)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    fn archive(files: &[(&str, &[u8])], gzip: bool) -> Vec<u8> {
        let mut builder = tar::Builder::new(Vec::new());
        for (name, bytes) in files {
            let mut header = tar::Header::new_gnu();
            header.as_gnu_mut().unwrap().name[..name.len()].copy_from_slice(name.as_bytes());
            header.set_size(bytes.len() as u64);
            header.set_mode(0o644);
            header.set_cksum();
            builder.append(&header, *bytes).unwrap();
        }
        let tar = builder.into_inner().unwrap();
        if !gzip {
            return tar;
        }
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        encoder.write_all(&tar).unwrap();
        encoder.finish().unwrap()
    }

    fn unpacked(bytes: &[u8], name: &str) -> Result<Checkout, Fault> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(name);
        std::fs::write(&path, bytes).unwrap();
        unpack(&path, name)
    }

    #[test]
    fn only_the_files_of_a_catalogue_are_taken_out() {
        let files: &[(&str, &[u8])] =
            &[("o/platform/x/blueprint.yaml", b"a"), ("o/platform/x/chart/Chart.yaml", b"b"), ("o/main.go", b"c")];
        for (name, gzip) in [("o.tar.gz", true), ("o.tgz", true), ("o.tar", false)] {
            let checkout = unpacked(&archive(files, gzip), name).unwrap();
            assert_eq!(std::fs::read(checkout.path().join("o/platform/x/blueprint.yaml")).unwrap(), b"a");
            assert!(checkout.path().join("o/platform/x/chart/Chart.yaml").exists());
            assert!(!checkout.path().join("o/main.go").exists());
            let path = checkout.path().to_owned();
            drop(checkout);
            assert!(!path.exists());
        }
    }

    #[test]
    fn paths_that_lead_elsewhere_and_broken_archives_are_refused() {
        for name in ["../blueprint.yaml", "/abs/blueprint.yaml", "a/../../Chart.yaml"] {
            let fault = unpacked(&archive(&[(name, b"x")], false), "o.tar").unwrap_err();
            assert!(fault.what.contains("leads elsewhere"), "{name}: {fault}");
        }
        assert!(unpacked(b"no archive", "o.tgz").unwrap_err().what.contains("is no archive"));
        assert!(unpack(Path::new("/nowhere/o.tar"), "o.tar").unwrap_err().what.contains("cannot be read"));
    }

    #[test]
    fn an_archive_ends_at_the_number_of_files() {
        let names: Vec<String> = (0..=limits::CATALOGUE_FILES).map(|n| format!("{n}/Chart.yaml")).collect();
        let files: Vec<(&str, &[u8])> = names.iter().map(|name| (name.as_str(), &b""[..])).collect();
        assert!(unpacked(&archive(&files[1..], true), "o.tgz").is_ok());
        assert_eq!(unpacked(&archive(&files, true), "o.tgz").unwrap_err().kind, FaultKind::TooLarge);
    }
}
