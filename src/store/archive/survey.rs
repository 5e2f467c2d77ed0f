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
use crate::store::kernel_lock::{Hold, lock};
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
            Body::Archives(archives) => archives
                .iter()
                .filter(|(_, packing, _)| *packing != Packing::Plain)
                .map(|(bytes, ..)| bytes.length())
                .sum(),
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
    match lock(&guard, Hold::SharedNow) {
        Ok(true) => Ok(guard),
        Ok(false) => Err(Fault::new(FaultKind::Busy, place(), "it is being filled by another run")),
        Err(error) => Err(Fault::local(place(), "cannot be locked", error)),
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
        Some(path) => {
            Err(Fault::new(FaultKind::Missing, path.display().to_string(), "this part of the archive is not there"))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::name::Naming;
    use super::super::trove::Trove;
    use super::*;
    use crate::testkit::archives::{Files, Saved, called, distribution, docker_save, imgpkg, layout, tar, write, zarf};
    use crate::testkit::image::{Sample, SampleImage};
    use serde_json::json;

    struct Bench(tempfile::TempDir);

    impl Bench {
        fn new() -> Self {
            Self(tempfile::tempdir().unwrap())
        }

        fn put(&self, name: &str, bytes: &[u8]) -> String {
            let path = self.0.path().join(name);
            fs::write(&path, bytes).unwrap();
            path.display().to_string()
        }

        fn read(&self, source: &str) -> Result<Trove, Fault> {
            let stop = AtomicBool::new(false);
            let surveyed = survey(&SourceName::parse(source))?;
            let naming = Naming::parse(&["h.example/p"]).unwrap();
            Trove::read(vec![surveyed], &naming, Unpacking { folder: self.0.path(), stop: &stop })
        }

        fn form(&self, source: &str) -> Form {
            self.read(source).unwrap().sources()[0].form
        }
    }

    fn image() -> Sample {
        SampleImage::new(1).layer(1000).build()
    }

    fn gzip(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        std::io::Write::write_all(&mut encoder, bytes).unwrap();
        encoder.finish().unwrap()
    }

    fn forms() -> Vec<(Form, Files)> {
        let image = image();
        let oci = layout(&[(called("ghcr.io/a/b:1"), &image)]);
        let hauled = json!({ "kind": "dev.hauler/image", "io.containerd.image.name": "ghcr.io/a/b:1" });
        vec![
            (Form::OciArchive, oci.clone()),
            (Form::Hauler, layout(&[(hauled, &image)])),
            (Form::Zarf, zarf(&oci)),
            (Form::DockerArchive, docker_save(&[Saved::plain(&["a/b:1"], &[b"layer"])])),
            (Form::Imgpkg, imgpkg(&[("ghcr.io/a/b", "", "1", &image)])),
            (Form::OcMirror, distribution(&[("a/b", "1", &image)])),
        ]
    }

    #[test]
    fn each_form_is_recognised_by_its_content_and_demanded_by_its_word() {
        let bench = Bench::new();
        for (form, files) in forms() {
            let plain = bench.put("some.bin", &tar(&files));
            assert_eq!(bench.form(&plain), form);
            assert_eq!(bench.read(&plain).unwrap().offers().len(), 1, "{form}");
            let packed = bench.put("some.tgz", &gzip(&tar(&files)));
            assert_eq!(bench.form(&packed), form);
            assert_eq!(bench.form(&format!("{}:{plain}", form.word())), form);
            let other = if form == Form::Imgpkg { Form::DockerArchive } else { Form::Imgpkg };
            let fault = bench.read(&format!("{}:{plain}", other.word())).unwrap_err();
            assert!(fault.what.contains("it is not"), "{form}: {fault}");
        }
    }

    #[test]
    fn folders_are_recognised_as_well() {
        let bench = Bench::new();
        for (at, (form, files)) in forms().into_iter().enumerate() {
            let folder = bench.0.path().join(at.to_string());
            write(&files, &folder).unwrap();
            let found = bench.read(&folder.display().to_string()).map(|trove| trove.sources()[0].form);
            match form {
                Form::DockerArchive | Form::Imgpkg => assert!(found.is_err()),
                Form::OciArchive => assert_eq!(found.unwrap(), Form::Oci),
                Form::OcMirror => assert_eq!(found.unwrap(), Form::Distribution),
                form => assert_eq!(found.unwrap(), form),
            }
        }
        for word in ["docker-archive", "oci-archive", "imgpkg"] {
            let fault = bench.read(&format!("{word}:{}", bench.0.path().join("0").display())).unwrap_err();
            assert!(fault.what.contains("it is a folder"), "{fault}");
        }
        let inside = bench.0.path().join("5/docker/registry/v2").display().to_string();
        assert_eq!(bench.form(&inside), Form::Distribution);
    }

    #[test]
    fn what_is_none_of_them_is_said_to_be_none() {
        let bench = Bench::new();
        let other = bench.put("x.tar", &tar(&Files::from([("readme".to_owned(), b"x".to_vec())])));
        assert!(bench.read(&other).unwrap_err().what.contains("none of the forms"));
        let text = bench.put("x.txt", &[b'x'; 2000]);
        assert!(bench.read(&text).unwrap_err().what.contains("it is no tar"));
        assert!(bench.read(&bench.put("empty", b"")).unwrap_err().what.contains("ends early"));
        assert!(bench.read(&format!("oci:{other}")).unwrap_err().what.contains("no folder"));
        assert_eq!(bench.read("/nowhere/x").unwrap_err().kind, FaultKind::Missing);
        let bundle = bench.put("site.001.airlift", b"x");
        assert!(bench.read(&bundle).unwrap_err().hint.contains("airlift import"));
        let inside = Files::from([("airlift/head.json".to_owned(), b"{}".to_vec())]);
        assert!(bench.read(&bench.put("renamed.tar", &tar(&inside))).unwrap_err().what.contains("bundle of airlift"));
    }

    #[test]
    fn a_folder_that_is_being_filled_is_left_alone() {
        let bench = Bench::new();
        let folder = bench.0.path().join("layout");
        write(&layout(&[(called("ghcr.io/a/b:1"), &image())]), &folder).unwrap();
        let other = crate::store::LayoutFolder::open(&folder).unwrap();
        assert_eq!(bench.read(&folder.display().to_string()).unwrap_err().kind, FaultKind::Busy);
        drop(other);
        let trove = bench.read(&folder.display().to_string()).unwrap();
        assert!(crate::store::LayoutFolder::open(&folder).is_err(), "and nobody fills it while it is read");
        drop(trove);
        assert!(crate::store::LayoutFolder::open(&folder).is_ok());
    }

    /// Cuts `bytes` into pieces of `size`.
    fn pieces(bytes: &[u8], size: usize) -> Vec<&[u8]> {
        bytes.chunks(size).collect()
    }

    #[test]
    fn parts_of_zarf_are_joined_and_counted() {
        let bench = Bench::new();
        let package = gzip(&tar(&zarf(&layout(&[(called("ghcr.io/a/b:1"), &image())]))));
        let parts = pieces(&package, 700);
        let head = json!({ "Sha256Sum": "x", "Bytes": package.len(), "Count": parts.len() });
        let first = bench.put("p.tar.zst.part000", head.to_string().as_bytes());
        let files: Vec<String> = parts
            .iter()
            .enumerate()
            .map(|(at, part)| bench.put(&format!("p.tar.zst.part{:03}", at + 1), part))
            .collect();
        assert_eq!(bench.form(&first), Form::Zarf);
        assert_eq!(bench.form(&files[1]), Form::Zarf, "any part will do");
        fs::write(&files[1], b"short").unwrap();
        assert!(bench.read(&first).unwrap_err().what.contains("and should have"));
        fs::remove_file(&files[1]).unwrap();
        let fault = bench.read(&first).unwrap_err();
        assert!(fault.kind == FaultKind::Missing && fault.place.ends_with("part002"), "{fault}");
        for bad in [r#"{"Bytes":1,"Count":1001}"#, "{}", "no"] {
            fs::write(&first, bad).unwrap();
            assert!(bench.read(&first).is_err(), "{bad}");
        }
    }

    #[test]
    fn parts_of_hauler_are_joined_without_a_gap() {
        let bench = Bench::new();
        let haul = gzip(&tar(&forms().remove(1).1));
        let parts = pieces(&haul, haul.len() / 3);
        let files: Vec<String> = parts
            .iter()
            .enumerate()
            .map(|(at, part)| bench.put(&format!("haul.tar.zst.{:03}", at + 1), part))
            .collect();
        bench.put("haul.tar.zst.old.001", b"of another set");
        assert_eq!(bench.form(&files[2]), Form::Hauler);
        let last = files.last().unwrap();
        let kept = fs::read(last).unwrap();
        fs::remove_file(last).unwrap();
        assert_eq!(bench.read(&files[0]).unwrap_err().kind, FaultKind::Malformed, "the last part is missed by its end");
        fs::write(last, kept).unwrap();
        fs::remove_file(&files[1]).unwrap();
        assert!(bench.read(&files[0]).unwrap_err().place.ends_with(".002"));
        fs::remove_file(&files[0]).unwrap();
        assert!(bench.read(&files[2]).unwrap_err().what.contains("haul.tar.zst.001"));
    }

    #[test]
    fn archives_of_a_set_are_one_source_and_their_number_ends() {
        let bench = Bench::new();
        let all = distribution(&[("a/b", "1", &image())]);
        let (blobs, rest): (Files, Files) = all.into_iter().partition(|(name, _)| name.contains("/blobs/"));
        let first = bench.put("mirror_000001.tar", &tar(&rest));
        bench.put("mirror_000002.tar", &tar(&blobs));
        bench.put("mirror_x.tar", b"no archive");
        for source in [first, bench.0.path().display().to_string()] {
            let trove = bench.read(&source).unwrap();
            assert_eq!((trove.sources()[0].form, trove.offers().len()), (Form::OcMirror, 1));
            assert!(trove.lacks(image().digest()).is_empty());
        }
        bench.put("mirror_000003.tar", &tar(&blobs));
        let twice = bench.read(&format!("oc-mirror:{}", bench.0.path().display())).unwrap_err();
        assert!(twice.what.contains("in an earlier one too"), "{twice}");
        assert!(check_parts(limits::ARCHIVE_PARTS, "x").is_ok());
        assert_eq!(check_parts(limits::ARCHIVE_PARTS + 1, "x").unwrap_err().kind, FaultKind::TooLarge);
        assert!(survey(&SourceName::parse("oc-mirror:/proc")).unwrap_err().kind == FaultKind::Missing);
    }

    #[test]
    fn a_layout_may_lie_in_one_folder_of_its_archive() {
        let bench = Bench::new();
        let files = layout(&[(called("ghcr.io/a/b:1"), &image())]);
        let inside: Files = files.into_iter().map(|(name, bytes)| (format!("saved/{name}"), bytes)).collect();
        assert_eq!(bench.form(&bench.put("x.tar", &tar(&inside))), Form::OciArchive);
    }
}
