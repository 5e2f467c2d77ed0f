//! A chart's archive: gzipped tar, as it stands in an OCI layer or in an HTTP repository.
//!
//! Every member is below one folder, whose name does not count. What leads outside, links, devices and more content
//! than the limits allow are errors; nothing is written to a disk.

use super::load::ChartError;
use crate::model::fault::printable;
use crate::model::limits;
use flate2::read::MultiGzDecoder;
use std::collections::BTreeMap;
use std::io::Read;
use tar::EntryType;

/// Files of a chart by their path below its folder.
pub(super) type Files = BTreeMap<String, Vec<u8>>;

/// Reads the files of an archive that a person calls `place`.
pub(super) fn read(bytes: impl Read, place: &str, room: &mut Room) -> Result<Files, ChartError> {
    let damaged = |cause: std::io::Error| ChartError::Archive { place: place.to_owned(), why: cause.to_string() };
    // One byte past the limit tells that there is more; headers and padding have room of their own.
    let content = MultiGzDecoder::new(bytes).take(2 * limits::CHART_BYTES);
    let mut archive = tar::Archive::new(content);
    let mut files = Files::new();
    for entry in archive.entries().map_err(damaged)? {
        let mut entry = entry.map_err(damaged)?;
        let raw = entry.path_bytes().into_owned();
        let name = String::from_utf8_lossy(&raw).into_owned();
        room.take_entry(place, &name)?;
        match entry.header().entry_type() {
            EntryType::Directory | EntryType::XGlobalHeader | EntryType::XHeader => continue,
            EntryType::Regular | EntryType::Continuous => {}
            other => return Err(refused(place, &name, &format!("is no file but of type {other:?}"))),
        }
        let path = below_the_folder(&name).map_err(|why| refused(place, &name, why))?;
        room.take_bytes(place, &name, entry.size())?;
        let mut content = Vec::new();
        entry.read_to_end(&mut content).map_err(damaged)?;
        if files.insert(path, without_mark(content)).is_some() {
            return Err(refused(place, &name, "stands in it twice"));
        }
    }
    Ok(files)
}

/// What a chart holds so far, the archives below it counted in.
#[derive(Debug, Default)]
pub(super) struct Room {
    entries: usize,
    bytes: u64,
}

impl Room {
    /// Counts one more entry called `name` of the chart at `place`.
    pub(super) fn take_entry(&mut self, place: &str, name: &str) -> Result<(), ChartError> {
        self.entries += 1;
        if self.entries > limits::CHART_ENTRIES {
            return Err(refused(place, name, &format!("is past the limit of {} entries", limits::CHART_ENTRIES)));
        }
        Ok(())
    }

    /// Counts `size` more bytes in the file called `name`.
    pub(super) fn take_bytes(&mut self, place: &str, name: &str, size: u64) -> Result<(), ChartError> {
        if size > limits::CHART_FILE_BYTES {
            let why = format!("has {size} bytes, the limit is {}", limits::CHART_FILE_BYTES);
            return Err(refused(place, name, &why));
        }
        self.bytes += size;
        if self.bytes > limits::CHART_BYTES {
            let why = format!("goes past the limit of {} bytes for a whole chart", limits::CHART_BYTES);
            return Err(refused(place, name, &why));
        }
        Ok(())
    }
}

/// Says why a member of a chart is refused.
pub(super) fn refused(place: &str, name: &str, why: &str) -> ChartError {
    ChartError::Member { place: place.to_owned(), member: printable(name), why: why.to_owned() }
}

/// Returns the content without a byte order mark.
pub(super) fn without_mark(content: Vec<u8>) -> Vec<u8> {
    content.strip_prefix(b"\xef\xbb\xbf").map(<[u8]>::to_vec).unwrap_or(content)
}

/// Returns the path of a member below the one folder of the archive.
fn below_the_folder(name: &str) -> Result<String, &'static str> {
    // Archives packed on Windows have the other slash.
    let name = name.replace('\\', "/");
    if name.starts_with('/') || name.contains('\0') {
        return Err("has an absolute path");
    }
    let parts: Vec<&str> = name.split('/').filter(|part| !matches!(*part, "" | ".")).collect();
    if parts.contains(&"..") {
        return Err("leads outside of the chart");
    }
    match parts.as_slice() {
        [] => Err("has no name"),
        ["Chart.yaml"] => Err("is not in a folder"),
        [_] => Err("is outside of the chart's folder"),
        [_, first, ..] if first.len() == 2 && first.ends_with(':') => Err("has a drive in its path"),
        [_, rest @ ..] if rest.len() > limits::CHART_DEPTH => Err("is nested too deep"),
        [_, rest @ ..] => Ok(rest.join("/")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_member_stays_below_the_folder() {
        assert_eq!(below_the_folder("press/templates/a.yaml").as_deref(), Ok("templates/a.yaml"));
        assert_eq!(below_the_folder("./press/Chart.yaml").as_deref(), Ok("Chart.yaml"));
        assert_eq!(below_the_folder("press\\templates\\a.yaml").as_deref(), Ok("templates/a.yaml"));
        for bad in ["/press/a", "press/../a", "..", "Chart.yaml", "a", "", "press/c:/a", "press/x\0y"] {
            assert!(below_the_folder(bad).is_err(), "{bad:?}");
        }
    }
}
