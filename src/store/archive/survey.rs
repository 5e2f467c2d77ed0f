//! Which files belong to a source, and how they are opened: one archive, one cut into parts, several of one set, or a
//! folder.

use super::contents::Contents;
use super::form::{Form, SourceName};
use super::joined::{Joined, Stretch};
use super::table::FileTable;
use super::tar_index::{Room, index};
use super::unpack::{Packing, Spooling};
use super::{distribution, docker, folder, imgpkg, layout};
use crate::model::{Fault, FaultKind, json, limits};
use rustix::fs::FlockOperation;
use serde::Deserialize;
use std::fs::{self, File};
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

/// A source whose files are known and not yet read.
#[derive(Debug)]
pub struct Surveyed {
    name: SourceName,
    body: Body,
}

#[derive(Debug)]
enum Body {
    Folder {
        path: PathBuf,
        /// Kept for its kernel lock: a run that fills the folder is kept out.
        _guard: File,
    },
    /// Archives whose files belong together.
    Archives(Vec<Archive>),
}

/// Where a compressed archive is unpacked to, and whether to go on.
#[derive(Clone, Copy)]
pub struct Unpacking<'a> {
    /// Folder of the temporary file.
    pub folder: &'a Path,
    /// Set from outside to end the run in order.
    pub stop: &'a AtomicBool,
}

/// Says which files a source is made of. Nothing is read but the first bytes of each.
pub fn survey(name: &SourceName) -> Result<Surveyed, Fault> {
    let place = name.to_string();
    let meta = fs::metadata(&name.path).map_err(|error| match error.kind() {
        std::io::ErrorKind::NotFound => Fault::new(FaultKind::Missing, place.clone(), "it is not there"),
        _ => Fault::local(place.clone(), "cannot be read", error),
    })?;
    let body = match (meta.is_dir(), name.form) {
        (true, Some(Form::OcMirror)) => set_of_archives(&name.path)?,
        (true, None) if mirrors(&name.path).is_ok_and(|found| !found.is_empty()) => set_of_archives(&name.path)?,
        (true, Some(form @ (Form::OciArchive | Form::DockerArchive | Form::Imgpkg))) => {
            return Err(Fault::new(FaultKind::Malformed, place, format!("it is a folder, and not {form}")));
        }
        (true, _) => Body::Folder { path: name.path.clone(), _guard: guard(&name.path)? },
        (false, Some(Form::Oci | Form::Distribution)) => {
            return Err(Fault::new(FaultKind::Malformed, place, "it is no folder"));
        }
        (false, _) if name.label().ends_with(".airlift") => return Err(bundle(&place)),
        (false, _) if is_mirror(&name.label()) => set_of_archives(name.path.parent().unwrap_or(Path::new(".")))?,
        (false, _) => Body::Archives(vec![one_archive(&parts(&name.path)?)?]),
    };
    Ok(Surveyed { name: name.clone(), body })
}

impl Surveyed {
    /// Returns how many bytes are compressed and have to be unpacked into a temporary file; 0 where all is read in place.
    pub fn to_unpack(&self) -> u64 {
        match &self.body {
            Body::Folder { .. } => 0,
            Body::Archives(archives) => {
                archives.iter().filter(|(_, packing, _)| *packing != Packing::Plain).map(|(bytes, ..)| bytes.length()).sum()
            }
        }
    }

    /// Returns what a person calls it.
    pub const fn name(&self) -> &SourceName {
        &self.name
    }

    /// Reads what it holds. Archives are read once, from the front; payload stays where it is.
    pub(super) fn read(&self, unpacking: Unpacking<'_>) -> Result<Contents, Fault> {
        match &self.body {
            Body::Folder { path, .. } => read_table(&self.name, &folder::walk(path, Room::default())?, true),
            Body::Archives(archives) => read_archive(&self.name, archives, unpacking),
        }
    }
}

/// An archive: its bytes, how they are compressed, and what a person calls it.
type Archive = (Arc<Joined>, Packing, String);

/// Reads what archives of one set hold.
pub(super) fn read_archive(
    name: &SourceName,
    archives: &[Archive],
    unpacking: Unpacking<'_>,
) -> Result<Contents, Fault> {
    let table = tables(archives, unpacking)?;
    if table.has("airlift/head.json") {
        return Err(bundle(table.place()));
    }
    read_table(name, &table, false)
}

fn read_table(name: &SourceName, table: &FileTable, is_folder: bool) -> Result<Contents, Fault> {
    let form = match name.form {
        Some(form) => form,
        None => Form::recognise(table, is_folder)?.ok_or_else(|| unknown(table))?,
    };
    let root = form.root(table)?.ok_or_else(|| table.malformed(format!("it is not {form}")))?;
    let label = name.label();
    match form {
        Form::Zarf => {
            layout::check_zarf(table, &root)?;
            layout::read(table, &format!("{root}images/"), form, &label)
        }
        Form::DockerArchive if table.has("oci-layout") => layout::read(table, &root, form, &label),
        Form::DockerArchive => docker::read(table, &label),
        Form::Imgpkg => imgpkg::read(table, &label),
        Form::OcMirror | Form::Distribution => distribution::read(table, &root, form, &label),
        Form::Oci | Form::OciArchive | Form::Hauler => layout::read(table, &root, form, &label),
    }
}

fn unknown(table: &FileTable) -> Fault {
    let hint = "say what it is in front of its path: oci:, oci-archive:, docker-archive:, hauler:, zarf:, oc-mirror:, \
                imgpkg:, distribution:";
    table.malformed("it has none of the forms that are known").with_hint(hint)
}

/// Refuses a bundle of our own: what its author signed would be left unread.
fn bundle(place: &str) -> Fault {
    Fault::new(FaultKind::Malformed, place, "it is a bundle of airlift, whose signature would not be asked for here")
        .with_hint("`airlift import` takes it; `airlift import --to oci:FOLDER` makes a layout of it")
}

/// Keeps runs that fill `folder` out while it is read.
fn guard(folder: &Path) -> Result<File, Fault> {
    let place = || folder.display().to_string();
    let guard = File::open(folder).map_err(|error| Fault::local(place(), "cannot be read", error))?;
    match rustix::fs::flock(&guard, FlockOperation::NonBlockingLockShared) {
        Ok(()) => Ok(guard),
        Err(error) if error == rustix::io::Errno::WOULDBLOCK => {
            Err(Fault::new(FaultKind::Busy, place(), "it is being filled by another run"))
        }
        Err(error) => Err(Fault::local(place(), "cannot be locked", error.into())),
    }
}

/// Opens an archive that consists of `paths`.
fn one_archive(paths: &[PathBuf]) -> Result<Archive, Fault> {
    let joined = Arc::new(Joined::open(paths)?);
    let place = paths.first().map(|path| path.display().to_string()).unwrap_or_default();
    let mut first = Vec::new();
    let read = Stretch::whole(&joined).take(512).read_to_end(&mut first);
    read.map_err(|error| Fault::from_io(error, &place, "cannot be read"))?;
    Ok((joined, Packing::of(&first), place))
}

fn tables(archives: &[Archive], unpacking: Unpacking<'_>) -> Result<FileTable, Fault> {
    let mut all: Option<FileTable> = None;
    for (bytes, packing, place) in archives {
        let table = table((bytes, *packing), place, unpacking)?;
        match &mut all {
            None => all = Some(table),
            Some(all) => all.join(table)?,
        }
    }
    all.ok_or_else(|| Fault::new(FaultKind::Missing, "", "it has no archive"))
}

fn table((bytes, packing): (&Arc<Joined>, Packing), place: &str, unpacking: Unpacking<'_>) -> Result<FileTable, Fault> {
    if packing == Packing::Plain {
        let items = index(&mut Stretch::whole(bytes), place, Room::default())?;
        return Ok(FileTable::of_tar(items, bytes, place));
    }
    let mut spooling = Spooling::begin((bytes, packing), place, unpacking.folder, unpacking.stop)?;
    let items = index(&mut spooling, place, Room::default())?;
    Ok(FileTable::of_tar(items, &Arc::new(spooling.finish()?), place))
}

/// Returns whether a file is called as oc-mirror calls its archives: `mirror_000001.tar`.
fn is_mirror(name: &str) -> bool {
    let number = name.strip_prefix("mirror_").and_then(|rest| rest.strip_suffix(".tar"));
    number.is_some_and(|digits| digits.len() == 6 && digits.bytes().all(|b| b.is_ascii_digit()))
}

fn mirrors(folder: &Path) -> Result<Vec<PathBuf>, Fault> {
    let fail = |error| Fault::local(folder.display().to_string(), "cannot be read", error);
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).map_err(fail)? {
        let entry = entry.map_err(fail)?;
        if entry.file_name().to_str().is_some_and(is_mirror) {
            found.push(entry.path());
        }
    }
    found.sort();
    Ok(found)
}

/// Opens all archives of oc-mirror in `folder`; together they are one source.
fn set_of_archives(folder: &Path) -> Result<Body, Fault> {
    let folder = if folder.as_os_str().is_empty() { Path::new(".") } else { folder };
    let found = mirrors(folder)?;
    let place = || folder.display().to_string();
    if found.is_empty() {
        return Err(Fault::new(FaultKind::Missing, place(), "it has no mirror_000001.tar or one like it"));
    }
    check_parts(found.len(), &place())?;
    let open = |path: &PathBuf| one_archive(std::slice::from_ref(path));
    Ok(Body::Archives(found.iter().map(open).collect::<Result<_, _>>()?))
}

fn check_parts(count: usize, place: &str) -> Result<(), Fault> {
    if count <= limits::ARCHIVE_PARTS {
        return Ok(());
    }
    Err(Fault::new(FaultKind::TooLarge, place, format!("it has {count} parts, the limit is {}", limits::ARCHIVE_PARTS)))
}

/// Returns the files that the archive at `path` was cut into, in order: itself where it was not.
fn parts(path: &Path) -> Result<Vec<PathBuf>, Fault> {
    let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    if let Some((base, _)) = numbered(name, ".part") {
        return zarf_parts(&path.with_file_name(format!("{base}.part")));
    }
    match numbered(name, ".") {
        Some((base, _)) => hauler_parts(path, base),
        None => Ok(vec![path.to_owned()]),
    }
}

/// Splits `BASE` and three or more digits behind `mark`.
fn numbered<'a>(name: &'a str, mark: &str) -> Option<(&'a str, usize)> {
    let (base, digits) = name.rsplit_once(mark)?;
    let good = digits.len() >= 3 && digits.bytes().all(|b| b.is_ascii_digit());
    good.then(|| Some((base, digits.parse().ok()?))).flatten()
}

/// Zarf's parts: the first says how many there are and how many bytes they have.
fn zarf_parts(base: &Path) -> Result<Vec<PathBuf>, Fault> {
    #[derive(Deserialize)]
    #[serde(rename_all = "PascalCase")]
    struct Head {
        bytes: u64,
        count: usize,
    }
    let at = |number: usize| PathBuf::from(format!("{}{number:03}", base.display()));
    let place = at(0).display().to_string();
    let mut text = Vec::new();
    let read = File::open(at(0)).and_then(|file| file.take(64 << 10).read_to_end(&mut text));
    read.map_err(|error| Fault::local(place.clone(), "the first part cannot be read", error))?;
    let malformed = |what: String| Fault::new(FaultKind::Malformed, place.clone(), what);
    let head: Head = json::parse(&text).map_err(|error| malformed(format!("it does not say its parts: {error}")))?;
    check_parts(head.count, &place)?;
    let paths: Vec<PathBuf> = (1..=head.count).map(at).collect();
    present(&paths)?;
    let found: u64 = paths.iter().filter_map(|path| fs::metadata(path).ok()).map(|meta| meta.len()).sum();
    match found == head.bytes {
        true => Ok(paths),
        false => Err(malformed(format!("its parts have {found} bytes and should have {}", head.bytes))),
    }
}

/// hauler's parts: `NAME.001` and so on, without a word on how many there are; the end of the archive tells.
fn hauler_parts(path: &Path, base: &str) -> Result<Vec<PathBuf>, Fault> {
    let place = path.display().to_string();
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let fail = |error| Fault::local(folder.display().to_string(), "cannot be read", error);
    let mut numbers = Vec::new();
    for entry in fs::read_dir(folder).map_err(fail)? {
        let name = entry.map_err(fail)?.file_name();
        let number = name.to_str().and_then(|name| numbered(name, ".")).filter(|(other, _)| *other == base);
        numbers.extend(number.map(|(_, number)| number));
    }
    check_parts(numbers.len(), &place)?;
    let (first, last) = (numbers.iter().min().copied().unwrap_or(0), numbers.iter().max().copied().unwrap_or(0));
    if first > 1 || last - first >= limits::ARCHIVE_PARTS {
        return Err(Fault::new(FaultKind::Missing, place, format!("its first part, {base}.001, is not there")));
    }
    let paths: Vec<PathBuf> = (first..=last).map(|number| path.with_file_name(format!("{base}.{number:03}"))).collect();
    present(&paths)?;
    Ok(paths)
}

fn present(paths: &[PathBuf]) -> Result<(), Fault> {
    match paths.iter().find(|path| !path.is_file()) {
        None => Ok(()),
        Some(path) => Err(Fault::new(FaultKind::Missing, path.display().to_string(), "this part of the archive is not there")),
    }
}
