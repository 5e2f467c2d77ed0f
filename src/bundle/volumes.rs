//! Finds the volumes of a bundle: by what their headers say, never by their names or order.

use super::countersign::{self, Countersignature};
use super::header::{LENGTH as HEADER, VolumeHeader};
use super::parity;
use super::read_error::{ReadError, SetName, refused};
use super::strangers::is_shadow;
use super::tables::Volume;
use super::trailer::{FOOTER, Footer};
use crate::model::limits;
use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, ErrorKind, Read};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

/// Returns the files that `args` name: volumes, folders with volumes, or patterns with `*` in the last part.
///
/// They are sorted by the number in their header, then by path; a file without a readable header comes last.
pub fn find_volumes(args: &[PathBuf]) -> Result<Vec<PathBuf>, ReadError> {
    let mut found = Vec::new();
    for arg in args {
        let before = found.len();
        let fail = |source| ReadError::Io { place: arg.display().to_string(), offset: 0, source };
        match fs::metadata(arg) {
            Ok(meta) if meta.is_dir() => {
                listed(arg, |name| name.ends_with(".airlift") && !is_shadow(name), &mut found).map_err(fail)?
            }
            Ok(_) => found.push(arg.clone()),
            Err(error) if error.kind() == ErrorKind::NotFound => {
                let pattern = arg.file_name().and_then(|name| name.to_str()).filter(|name| name.contains('*'));
                let Some(pattern) = pattern else { return Err(fail(error)) };
                listed(&super::disk::folder(arg), |name| matches(pattern, name), &mut found).map_err(fail)?;
            }
            Err(error) => return Err(fail(error)),
        }
        if found.len() == before {
            return Err(ReadError::NoVolumes { place: arg.display().to_string() });
        }
    }
    let number = |path: &PathBuf| header_of(path).map_or(u32::MAX, |header| header.number);
    let mut numbered: Vec<(u32, PathBuf)> = found.into_iter().map(|path| (number(&path), path)).collect();
    numbered.sort();
    numbered.dedup();
    Ok(numbered.into_iter().map(|(_, path)| path).collect())
}

fn listed(folder: &Path, wanted: impl Fn(&str) -> bool, into: &mut Vec<PathBuf>) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        let name = path.file_name().and_then(|name| name.to_str());
        if name.is_some_and(&wanted) && path.is_file() {
            into.push(path);
        }
    }
    Ok(())
}

/// Returns whether `name` fits a pattern in which `*` stands for any characters.
fn matches(pattern: &str, name: &str) -> bool {
    let Some((start, rest)) = pattern.split_once('*') else { return pattern == name };
    let Some(behind) = name.strip_prefix(start) else { return false };
    (0..=behind.len()).filter(|at| behind.is_char_boundary(*at)).any(|at| matches(rest, &behind[at..]))
}

/// A volume as it names itself at its end. Its content was not looked at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VolumeMark {
    /// Number from 1.
    pub number: u32,
    /// File.
    pub path: PathBuf,
    /// Bytes of the file.
    pub bytes: u64,
    /// Digest of header, table and footer, where these are intact; the table has a digest of every frame.
    pub digest: Option<[u8; 32]>,
}

/// Returns how the volumes among `files` name themselves, by their numbers.
pub fn volume_marks(files: &[PathBuf]) -> Vec<VolumeMark> {
    let mark = |(number, path): (&u32, &PathBuf)| VolumeMark {
        number: *number,
        path: path.clone(),
        bytes: fs::metadata(path).map_or(0, |meta| meta.len()),
        digest: Volume::open(path).ok().map(|volume| volume.digest),
    };
    survey(files).volumes.iter().map(mark).collect()
}

/// Volumes of one set, and what is wrong with the rest.
#[derive(Debug)]
pub(super) struct Survey {
    /// Volumes by number.
    pub volumes: BTreeMap<u32, PathBuf>,
    /// Countersignatures, in the order of the files.
    pub countersignatures: Vec<Countersignature>,
    /// Parity volumes of the set, and those that do not say of which they are, in the order of the files.
    pub parity: Vec<PathBuf>,
    /// Parity volumes of other sets. Like damaged ones they are no problem of the content.
    pub foreign_parity: Vec<ReadError>,
    /// The set.
    pub set: Option<SetName>,
    /// What is wrong; what says most comes first.
    pub problems: Vec<ReadError>,
}

/// Reads all headers and tells which files make a set.
pub(super) fn survey(files: &[PathBuf]) -> Survey {
    let mut problems = Vec::new();
    let mut good: Vec<(&PathBuf, VolumeHeader)> = Vec::new();
    let mut countersignatures = Vec::new();
    let mut parities = Vec::new();
    for path in files {
        if let Some(found) = parity::is_parity(path) {
            parities.push((path, found));
            continue;
        }
        match countersign::read(path) {
            Ok(Some(found)) => countersignatures.push(found),
            Ok(None) => match header_of(path) {
                Ok(header) => good.push((path, header)),
                Err(error) => problems.push(error),
            },
            Err(error) => problems.push(error),
        }
    }
    let most = most_of(&good).or_else(|| parities.iter().find_map(|(_, set)| *set));
    let (parity, foreign_parity) = of_set(parities, most);
    let mut volumes: BTreeMap<u32, PathBuf> = BTreeMap::new();
    let mut total = None;
    for (path, header) in good {
        let (found, place) = (name(&header), path.display().to_string());
        if let Some(expected) = most.filter(|set| *set != found) {
            problems.push(ReadError::Foreign { place, expected: Box::new(expected), found: Box::new(found) });
            continue;
        }
        let last = ends_set(path).then_some(header.number);
        total = total.or(last).or((header.total > 0).then_some(header.total));
        let Some(first) = volumes.get_mut(&header.number) else {
            volumes.insert(header.number, path.clone());
            continue;
        };
        problems.push(ReadError::Duplicate {
            number: header.number,
            first: first.display().to_string(),
            second: place,
        });
        // A copy whose own table holds is worth more than one that was cut off.
        if let Err(error) = Volume::open(first) {
            problems.push(error);
            first.clone_from(path);
        }
    }
    match most {
        Some(set) => {
            let total = total.or_else(|| parity::stated_total(&parity));
            problems.extend(absent(&volumes, total, files));
            problems.extend(countersign::belong(&countersignatures, &set.bundle));
            countersignatures.retain(|found| *found.bundle.value() == set.bundle);
            countersignatures.truncate(limits::COUNTERSIGNATURES);
        }
        None if problems.is_empty() => problems.push(ReadError::NoVolumes { place: listing(files) }),
        None => {}
    }
    // A file that cannot be used is often the very volume that is missing then, and says more.
    problems.sort_by_key(|problem| matches!(problem, ReadError::Missing { .. }));
    Survey { volumes, countersignatures, parity, foreign_parity, set: most, problems }
}

/// Returns the set that most volumes belong to; the first of equals.
fn most_of(good: &[(&PathBuf, VolumeHeader)]) -> Option<SetName> {
    let mut sets: BTreeMap<SetName, usize> = BTreeMap::new();
    good.iter().for_each(|(_, header)| *sets.entry(name(header)).or_default() += 1);
    good.iter().map(|(_, header)| name(header)).rev().max_by_key(|set| sets[set])
}

/// Tells parity volumes of the set from those of others.
fn of_set(found: Vec<(&PathBuf, Option<SetName>)>, set: Option<SetName>) -> (Vec<PathBuf>, Vec<ReadError>) {
    let (mut ours, mut foreign) = (Vec::new(), Vec::new());
    for (path, name) in found {
        match (name, set) {
            (Some(found), Some(expected)) if found != expected => {
                let place = path.display().to_string();
                foreign.push(ReadError::Foreign { place, expected: Box::new(expected), found: Box::new(found) });
            }
            _ => ours.push(path.clone()),
        }
    }
    (ours, foreign)
}

fn listing(files: &[PathBuf]) -> String {
    let names: Vec<String> = files.iter().map(|path| path.display().to_string()).collect();
    if names.is_empty() { "an empty list of files".to_owned() } else { names.join(", ") }
}

fn absent(volumes: &BTreeMap<u32, PathBuf>, total: Option<u32>, files: &[PathBuf]) -> Option<ReadError> {
    let highest = volumes.keys().next_back().copied().unwrap_or(0);
    let end = total.unwrap_or(highest + 1).max(highest);
    let numbers: Vec<u32> = (1..=end).filter(|number| !volumes.contains_key(number)).collect();
    let mut folders: Vec<String> = files.iter().map(|path| super::disk::folder(path).display().to_string()).collect();
    folders.sort();
    folders.dedup();
    let missing = ReadError::Missing { numbers, more: total.is_none(), place: folders.join(", ") };
    matches!(&missing, ReadError::Missing { numbers, .. } if !numbers.is_empty()).then_some(missing)
}

fn name(header: &VolumeHeader) -> SetName {
    SetName { bundle: header.bundle_id, set: header.set_id }
}

/// Reads the header of a file.
pub(super) fn header_of(path: &Path) -> Result<VolumeHeader, ReadError> {
    let place = path.display().to_string();
    let fail = |source| ReadError::Io { place: place.clone(), offset: 0, source };
    let file = File::open(path).map_err(fail)?;
    if !file.metadata().map_err(fail)?.is_file() {
        return Err(ReadError::NoBundle { place });
    }
    let mut bytes = Vec::new();
    file.take(HEADER as u64).read_to_end(&mut bytes).map_err(fail)?;
    let Ok(bytes) = <&[u8; HEADER]>::try_from(bytes.as_slice()) else {
        return Err(ReadError::NoBundle { place });
    };
    VolumeHeader::parse(bytes).map_err(|flaw| refused(flaw, place, 0))
}

/// Returns whether the footer of a file says that it is the last volume. Nothing is decided by this but a list.
pub(super) fn ends_set(path: &Path) -> bool {
    footer(path).is_some_and(|footer| footer.is_last())
}

/// Returns the footer of a file; `None` where it cannot be read or is none.
pub(super) fn footer(path: &Path) -> Option<Footer> {
    let read = || {
        let file = File::open(path)?;
        let mut bytes = [0; FOOTER];
        let at = file.metadata()?.len().checked_sub(FOOTER as u64).ok_or(ErrorKind::UnexpectedEof)?;
        file.read_exact_at(&mut bytes, at)?;
        Ok::<_, io::Error>(Footer::parse(&bytes))
    };
    read().ok().flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_match_as_a_shell_would() {
        for (pattern, name, fits) in [
            ("b.*.airlift", "b.001.airlift", true),
            ("*", "x", true),
            ("b*", "ab", false),
            ("*a*b", "xaxbxb", true),
            ("*a*b", "xaxbxc", false),
            ("b.airlift", "b.airlift", true),
            ("b.*t", "b.t", true),
        ] {
            assert_eq!(matches(pattern, name), fits, "{pattern} {name}");
        }
    }

    #[test]
    fn what_holds_no_volume_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let error = find_volumes(&[folder.path().to_owned()]).unwrap_err();
        assert!(matches!(error, ReadError::NoVolumes { .. }), "{error}");
        let error = find_volumes(&[folder.path().join("none")]).unwrap_err();
        assert!(matches!(error, ReadError::Io { .. }), "{error}");
        let error = find_volumes(&[folder.path().join("none*")]).unwrap_err();
        assert!(matches!(error, ReadError::NoVolumes { .. }), "{error}");
    }
}
