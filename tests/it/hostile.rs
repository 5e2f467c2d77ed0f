//! Hostile and damaged input that no other file has: frames that nobody writes, folders with links and pipes in them, media
//! that give errors, layers that are bombs. `docs/hostile.md` lists every row with its tests; that they exist is checked here.

use crate::bad_input::SmallDisk;
use crate::bundle_golden::{World, noise, small_chunks, stream_of};
use crate::stage::{Ran, Stage, files, small};
use airlift::bundle::{BundleReader, Input, OpenBundle, ReadClass, check, fuzzing};
use airlift::model::port::{BlobSource, ImageSource};
use airlift::model::{Descriptor, Digest, MediaType, Reference, Repository, limits};
use airlift::store::{LayoutFolder, OpenError};
use airlift::testkit::image::{Sample, SampleImage};
use proptest::prelude::*;
use std::collections::BTreeSet;
use std::fs;
use std::io::{Cursor, Read, Write};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;

const TABLE: &str = include_str!("../../docs/hostile.md");

// ---- the table of rows ----

/// Rows that touch a bundle or an OCI layout.
fn rows() -> Vec<String> {
    let range = |kind: char, from: u32, to: u32| (from..=to).map(move |n| format!("{kind}{n}"));
    range('B', 1, 28).chain(range('B', 66, 76)).chain(range('F', 10, 19)).collect()
}

/// Returns whether a test of this path is there: `file::name` under `tests/it`, `room::file::name` under `src`.
fn exists(path: &str) -> bool {
    let Some((place, name)) = path.rsplit_once("::") else { return false };
    let place = place.replace("::", "/");
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let candidates = [format!("tests/it/{place}.rs"), format!("src/{place}.rs"), format!("src/{place}/mod.rs")];
    let named = format!("fn {name}(");
    candidates.iter().filter_map(|file| fs::read_to_string(root.join(file)).ok()).any(|text| text.contains(&named))
}

#[test]
fn every_row_has_its_line_and_every_test_that_a_line_names_exists() {
    let lines: Vec<&str> = TABLE.lines().filter(|line| line.starts_with("| B") || line.starts_with("| F")).collect();
    let mut told = BTreeSet::new();
    let mut wrong = Vec::new();
    for line in lines {
        let cells: Vec<&str> = line.split('|').map(str::trim).collect();
        let [_, numbers, _, _, tests, _] = cells[..] else { panic!("{line}") };
        told.extend(numbers.split(", ").map(str::to_owned));
        let named: Vec<&str> = tests.split('`').skip(1).step_by(2).collect();
        if named.is_empty() && !tests.starts_with("none: ") {
            wrong.push(format!("{numbers}: names no test and does not say why"));
        }
        wrong.extend(
            named.iter().filter(|test| !exists(test)).map(|test| format!("{numbers}: no test is called {test}")),
        );
    }
    wrong.extend(rows().into_iter().filter(|row| !told.contains(row)).map(|row| format!("{row} has no line")));
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(exists("hostile::every_row_has_its_line_and_every_test_that_a_line_names_exists"));
    assert!(!exists("hostile::no_such_test"));
}

// ---- frames ----

/// Every descriptor of a frame but the three that are written: windows up to 2^41, dictionaries, frames without a size or
/// without a checksum, reserved bits.
#[test]
fn frames_with_windows_dictionaries_or_without_sizes_are_refused_before_memory_is_taken() {
    let folder = tempfile::tempdir().unwrap();
    let written = World::small(&[300, 5000]).write(&folder.path().join("b"), small_chunks(None));
    let good = stream_of(&written.volumes);
    let frames: Vec<usize> =
        (257..good.len()).filter(|at| good[*at..].starts_with(&[0x28, 0xB5, 0x2F, 0xFD])).collect();
    assert!(frames.len() > 10);
    for at in frames {
        for descriptor in (0..=255).filter(|descriptor| *descriptor != good[at + 4]) {
            // What follows is an opening with a window of 2 GiB, or of 2 TiB, wherever such a byte is read as one.
            for window in [good[at + 5], 0xA8, 0xF8] {
                let mut bad = good.clone();
                bad[at + 4] = descriptor;
                bad[at + 5] = window;
                let read = BundleReader::open(Input::Stream(Box::new(Cursor::new(bad)))).and_then(BundleReader::finish);
                let error = read.err().unwrap_or_else(|| panic!("frame at {at}, descriptor {descriptor:#x}"));
                assert_eq!(error.class(), ReadClass::Integrity, "{error}");
            }
        }
    }
}

#[test]
fn layers_are_carried_as_they_are_whatever_they_claim_and_whatever_is_in_them() {
    let gzip = |bytes: &[u8]| {
        let mut out = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
        out.write_all(bytes).unwrap();
        out.finish().unwrap()
    };
    let bomb = gzip(&vec![0; 32 << 20]);
    let nested = gzip(&gzip(&gzip(&bomb)));
    let image = SampleImage::new(1)
        .blob(MediaType::OCI_LAYER_GZIP, bomb)
        .blob("application/vnd.oci.image.layer.v1.tar+zstd", nested)
        .blob(MediaType::OCI_LAYER_GZIP, b"neither gzip nor a tar".to_vec())
        .blob(MediaType::OCI_LAYER_TAR, gzip(b"a tar by name only"))
        .build();
    let stage = Stage::new();
    let reference = stage.publish("team/app", "1", &image);
    stage.pack(&[&reference], "b", &["--allow-unsigned", "**"]).expect(0);
    stage.import("b.airlift", &[]).expect(0);
    stage.assert_arrived("team/app", &Reference::Tag("1".parse().unwrap()), image.digest());
}

// ---- folders ----

/// A layout with one image, as an import makes it.
fn layout() -> (tempfile::TempDir, PathBuf, Sample) {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().join("layout");
    let image = small(1);
    let layout = LayoutFolder::open(&root).unwrap();
    image.push(&layout, &at(), Some(&"1".parse().unwrap())).unwrap();
    drop(layout);
    (folder, root, image)
}

fn at() -> Repository {
    Repository::new("layout", "team/app").unwrap()
}

#[test]
fn links_pipes_and_folders_in_the_place_of_a_layouts_files_are_refused_and_not_followed() {
    type Spoil = dyn Fn(&Path, &Path);
    let spoils: [(&str, &Spoil); 4] = [
        ("link", &|place, canary| symlink(canary, place).unwrap()),
        ("dangling link", &|place, _| symlink("/nowhere/at/all", place).unwrap()),
        ("folder", &|place, _| fs::create_dir(place).unwrap()),
        ("pipe", &|place, _| assert!(Command::new("mkfifo").arg(place).status().unwrap().success())),
    ];
    for (what, spoil) in spoils {
        let (folder, root, image) = layout();
        let blob = &image.blobs()[1].descriptor;
        let place = root.join("blobs/sha256").join(blob.digest.hex());
        // The very bytes, somewhere else: what is outside is no part of the layout.
        let canary = folder.path().join("canary");
        fs::rename(&place, &canary).unwrap();
        spoil(&place, &canary);
        let open = LayoutFolder::open_for_reading(&root).unwrap();
        assert!(open.open(&at(), blob, 0).is_err(), "{what} as a blob");
        drop(open);
        for name in ["index.json", "oci-layout"] {
            let (folder, root, _) = layout();
            let canary = folder.path().join("canary");
            fs::rename(root.join(name), &canary).unwrap();
            spoil(&root.join(name), &canary);
            assert!(LayoutFolder::open_for_reading(&root).is_err(), "{what} as {name}");
        }
    }
    for name in ["blobs", "blobs/sha256"] {
        let (folder, root, _) = layout();
        let elsewhere = folder.path().join("elsewhere");
        fs::rename(root.join(name), &elsewhere).unwrap();
        symlink(&elsewhere, root.join(name)).unwrap();
        for opened in [LayoutFolder::open_for_reading(&root), LayoutFolder::open(&root)] {
            assert!(matches!(opened, Err(OpenError::Foreign(_, why)) if why.contains(name)), "{name} is a link");
        }
    }
    // A hard link is a file like any other: its bytes decide.
    let (folder, root, image) = layout();
    let place = root.join("blobs/sha256").join(image.digest().hex());
    fs::hard_link(&place, folder.path().join("canary")).unwrap();
    let reference = Reference::Digest(image.digest().clone());
    let open = LayoutFolder::open_for_reading(&root).unwrap();
    assert!(open.manifest(&at(), &reference).is_ok());
    fs::write(folder.path().join("canary"), "{}").unwrap();
    assert!(open.manifest(&at(), &reference).is_err(), "changed through the other name");
}

#[test]
fn papers_of_a_layout_that_are_missing_later_broken_or_endless_are_refused() {
    let with = |name: &str, bytes: Option<&[u8]>| {
        let (_folder, root, _) = layout();
        match bytes {
            Some(bytes) => fs::write(root.join(name), bytes).unwrap(),
            None => fs::remove_file(root.join(name)).unwrap(),
        }
        LayoutFolder::open_for_reading(&root).err().map(|error| error.to_string())
    };
    for (bytes, part) in [
        (None, "missing"),
        (Some(&br#"{"imageLayoutVersion":"9.9.9"}"#[..]), "9.9.9"),
        (Some(b"1.0.0"), "oci-layout"),
        (Some(br#"{"imageLayoutVersion":"1.0.0","imageLayoutVersion":"1.0.0"}"#), "oci-layout"),
        (Some(&[b' '; 1 << 20]), "oci-layout"),
        (Some(b""), "oci-layout"),
    ] {
        assert!(with("oci-layout", bytes).unwrap().contains(part), "{part}");
    }
    let index = |inside: &str| format!(r#"{{"schemaVersion":2,"manifests":[{inside}]}}"#);
    let entry = format!(r#"{{"mediaType":"a/b","digest":"{}","size":1}}"#, Digest::of(b"x"));
    assert_eq!(with("index.json", Some(index(&entry).as_bytes())), None);
    let endless = vec![b' '; usize::try_from(limits::PAPER_BYTES).unwrap() + 1];
    for (bytes, part) in [
        (entry.replace("sha256:", "sha256:../../../").into_bytes(), "index.json"),
        (index(&entry.replace("\"size\":1", "\"size\":-1")).into_bytes(), "index.json"),
        (index(&entry.replace("sha256:", "SHA256:")).into_bytes(), "index.json"),
        (index(&entry).as_bytes()[..20].to_vec(), "index.json"),
        (endless, "above the limit"),
    ] {
        let said =
            with("index.json", Some(&bytes)).unwrap_or_else(|| panic!("{}", String::from_utf8_lossy(&bytes[..80])));
        assert!(said.contains(part), "{said}");
    }
    // A blob that is longer or shorter than its name says is not there, or not it.
    let (_folder, root, image) = layout();
    let place = root.join("blobs/sha256").join(image.digest().hex());
    for bytes in [&image.root().bytes[1..], &[&image.root().bytes[..], b" "].concat(), b""] {
        fs::write(&place, bytes).unwrap();
        let open = LayoutFolder::open_for_reading(&root).unwrap();
        assert!(open.manifest(&at(), &Reference::Digest(image.digest().clone())).is_err());
    }
}

// ---- media ----

/// A stage with a signed bundle of three volumes in the folder `medium`.
fn medium() -> (Stage, Sample) {
    let stage = Stage::new();
    let image = SampleImage::new(1).layer(600_000).layer(700_000).build();
    let reference = stage.publish("team/app", "1", &image);
    fs::create_dir(stage.path("medium")).unwrap();
    let more = ["--allow-unsigned", "**", "--volume-size", "710kB"];
    stage.pack(&[&reference], "medium/b", &more).expect(0);
    (stage, image)
}

fn verify(stage: &Stage, place: &str) -> Ran {
    stage.airlift(&["verify", place, "--bundle-key", "author.pub"])
}

#[test]
fn what_else_lies_on_a_medium_is_left_alone_and_modes_are_not_taken_over() {
    let (stage, image) = medium();
    let place = stage.path("medium");
    for folder in ["lost+found", "System Volume Information", ".Trashes"] {
        fs::create_dir(place.join(folder)).unwrap();
    }
    for file in [".DS_Store", "b.001.airlift~", "README.TXT", "b.002.airlift.md5"] {
        fs::write(place.join(file), noise(1, 1000)).unwrap();
    }
    for volume in files(&place).iter().filter(|file| file.extension().is_some_and(|end| end == "airlift")) {
        fs::set_permissions(volume, fs::Permissions::from_mode(0o6777)).unwrap();
    }
    symlink(stage.path("nowhere"), place.join("link")).unwrap();
    fs::set_permissions(&place, fs::Permissions::from_mode(0o2777)).unwrap();
    verify(&stage, "medium").expect(0);
    stage.import("medium", &[]).expect(0);
    stage.assert_arrived("team/app", &Reference::Tag("1".parse().unwrap()), image.digest());
    stage.airlift(&["import", "medium", "--to", "oci:layout", "--bundle-key", "author.pub"]).expect(0);
    for file in files(&stage.path("layout")) {
        let mode = fs::metadata(&file).unwrap().permissions().mode();
        assert_eq!(mode & 0o6022, 0, "{}: {mode:o}", file.display());
    }
}

#[test]
fn a_medium_that_is_read_only_and_for_data_only_is_enough() {
    let (stage, image) = medium();
    let Some(disk) = SmallDisk::mount(stage.path("disk"), "size=8m") else { return };
    for volume in files(&stage.path("medium")) {
        fs::copy(&volume, stage.path("disk").join(volume.file_name().unwrap())).unwrap();
    }
    disk.remount("ro,noexec,nosuid,nodev,noatime");
    let before: Vec<PathBuf> = files(&stage.path("disk"));
    verify(&stage, "disk").expect(0);
    stage.airlift(&["inspect", "disk"]).expect(0);
    stage.import("disk", &[]).expect(0);
    stage.assert_arrived("team/app", &Reference::Tag("1".parse().unwrap()), image.digest());
    assert_eq!(files(&stage.path("disk")), before, "nothing was written there");
}

/// Runs airlift where the calls named fail as told. Nothing where this machine cannot do that.
fn failing(stage: &Stage, inject: &str, path: &str, arguments: &[&str]) -> Option<Ran> {
    if !Command::new("strace").arg("-V").output().is_ok_and(|ran| ran.status.success()) {
        eprintln!("SKIPPED: strace is not here, so no disk fails");
        return None;
    }
    let mut command = Command::new("strace");
    let trace = inject.split(':').next().unwrap_or_default();
    command.args(["-f", "-qq", "-o", "/dev/null", "-e", &format!("trace={trace}"), "-e", &format!("inject={inject}")]);
    if !path.is_empty() {
        command.arg("-P").arg(stage.path(path));
    }
    command.arg(env!("CARGO_BIN_EXE_airlift")).args(arguments).current_dir(stage.folder.path());
    command.env("HOME", stage.path("home"));
    Some(stage.run(command))
}

#[test]
fn a_medium_that_gives_errors_is_named_with_its_volume_and_shows_nothing_half() {
    let (stage, image) = medium();
    let to = stage.enclave.host();
    let import = ["import", "medium", "--to", &to, "--bundle-key", "author.pub", "--plain-http"];
    let check = ["verify", "medium", "--bundle-key", "author.pub"];
    for error in ["EIO", "ENODEV", "ENXIO"] {
        let inject = format!("read,pread64:error={error}:when=4+");
        for arguments in [&import[..], &check] {
            let Some(ran) = failing(&stage, &inject, "medium/b.002.airlift", arguments) else { return };
            let ran = ran.expect(40);
            assert!(ran.stderr.contains("b.002.airlift") || ran.stdout.contains("b.002.airlift"), "{}", ran.stderr);
        }
        assert!(stage.tags_there("team/app").is_empty(), "{error}: a tag is visible");
    }
    // The medium is back.
    verify(&stage, "medium").expect(0);
    stage.import("medium", &[]).expect(0);
    stage.assert_arrived("team/app", &Reference::Tag("1".parse().unwrap()), image.digest());
}

#[test]
fn a_disk_that_fails_while_it_is_written_never_has_a_finished_bundle() {
    let stage = Stage::new();
    let reference = stage.publish("team/app", "1", &SampleImage::new(1).layer(300_000).build());
    let pack = ["pack", &reference, "-o", "b", "--allow-unsigned", "**", "--plain-http"];
    stage.airlift(&[&pack[..3], &["good"], &pack[4..]].concat()).expect(0);
    let good = fs::read(stage.path("good.airlift")).unwrap();
    for inject in [
        "fsync:error=EIO:when=1",
        "fdatasync:error=EIO:when=1",
        "pwrite64:error=EIO:when=3",
        "renameat2:error=EIO:when=1",
    ] {
        let Some(ran) = failing(&stage, inject, "", &pack) else { return };
        let named = stage.path("b.airlift").exists();
        assert!(
            ran.code != 0 && !named || ran.code == 0 && fs::read(stage.path("b.airlift")).unwrap() == good,
            "{inject}: {}",
            ran.stderr
        );
        // The same command without the fault ends in the same bytes.
        stage.airlift(&pack).expect(0);
        assert!(fs::read(stage.path("b.airlift")).unwrap() == good, "{inject}");
        fs::remove_file(stage.path("b.airlift")).unwrap();
    }
}

#[test]
fn a_reader_of_a_medium_that_stalls_waits_and_takes_no_memory_ahead() {
    let folder = tempfile::tempdir().unwrap();
    let written = World::small(&[400_000, 400_000]).write(&folder.path().join("b"), small_chunks(None));
    /// Gives a piece at a time and counts how far it is ahead of who takes it.
    struct Slow(Cursor<Vec<u8>>, std::sync::Arc<std::sync::atomic::AtomicU64>);
    impl std::io::Read for Slow {
        fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
            let n = buffer.len().min(4096);
            let n = self.0.read(&mut buffer[..n])?;
            self.1.fetch_add(n as u64, std::sync::atomic::Ordering::Relaxed);
            Ok(n)
        }
    }
    let given = std::sync::Arc::default();
    let slow = Slow(Cursor::new(stream_of(&written.volumes)), std::sync::Arc::clone(&given));
    let mut reader = BundleReader::open(Input::Stream(Box::new(slow))).unwrap();
    reader.papers().unwrap();
    let mut taken = given.load(std::sync::atomic::Ordering::Relaxed);
    while let Some(_entry) = reader.next().unwrap() {
        while let Some(chunk) = reader.chunk().unwrap() {
            let now = given.load(std::sync::atomic::Ordering::Relaxed);
            assert!(now - taken <= chunk.len() as u64 + (256 << 10), "{} bytes ahead", now - taken);
            taken = now;
        }
    }
    assert!(check(Input::Files(written.volumes), 1, &|_| {}).findings.is_empty());
}

/// A whole descriptor in the index of a layout decides nothing about the bytes: they are read and hashed.
#[test]
fn a_layout_whose_blob_is_another_is_not_served_as_whole() {
    let (folder, root, image) = layout();
    let blob: &Descriptor = &image.blobs()[1].descriptor;
    fs::write(root.join("blobs/sha256").join(blob.digest.hex()), noise(5, usize::try_from(blob.size).unwrap()))
        .unwrap();
    let open = LayoutFolder::open_for_reading(&root).unwrap();
    let to = LayoutFolder::open(&folder.path().join("other")).unwrap();
    let mut content = open.open(&at(), blob, 0).unwrap();
    let error = airlift::model::port::BlobSink::put(&to, &at(), blob, &mut *content).unwrap_err();
    assert_eq!(error.kind, airlift::model::FaultKind::Damaged);
    assert!(files(&folder.path().join("other/blobs")).is_empty());
}

// ---- tables and papers that somebody edited ----

/// One bundle of one volume, whole.
const WHOLE: &[u8] = include_bytes!("../../fuzz/seeds/bundle_check/one");
const RECORD: usize = 64;

fn own_table() -> Vec<u8> {
    let end = WHOLE.len() - 96;
    let length = u64::from_le_bytes(WHOLE[end + 72..end + 80].try_into().unwrap());
    WHOLE[end - usize::try_from(length).unwrap()..end].to_vec()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, ..ProptestConfig::default() })]
    /// What somebody can do who writes tables and cannot sign: digests fit, records lie. As the fuzz target `bundle_table`.
    #[test]
    fn a_table_that_lies_under_digests_that_fit_never_gives_other_content(
        edits in proptest::collection::vec((any::<prop::sample::Index>(), 0usize..RECORD, any::<u8>()), 0..6),
        swapped in proptest::option::of((any::<prop::sample::Index>(), any::<prop::sample::Index>())),
        dropped in proptest::option::of(any::<prop::sample::Index>()),
    ) {
        let mut records: Vec<Vec<u8>> = own_table().chunks(RECORD).map(<[u8]>::to_vec).collect();
        for (at, offset, byte) in edits {
            let at = at.index(records.len());
            records[at][offset] = byte;
        }
        if let Some((one, other)) = swapped {
            let (one, other) = (one.index(records.len()), other.index(records.len()));
            records.swap(one, other);
        }
        if let Some(at) = dropped {
            records.remove(at.index(records.len()));
        }
        let bytes = fuzzing::with_table(WHOLE, &records.concat()).unwrap();
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("b.airlift");
        fs::write(&path, &bytes).unwrap();
        let found = check(Input::Files(vec![path.clone()]), 1, &|_| {}).findings;
        prop_assert_eq!(found.is_empty(), bytes == WHOLE);
        let Ok(bundle) = OpenBundle::open(&[path]) else { return Ok(()) };
        for record in bundle.inventory() {
            let mut content = Vec::new();
            let read = bundle.blob(&record.digest, 0).ok().flatten().map(|mut blob| blob.read_to_end(&mut content));
            if let Some(Ok(_)) = read {
                prop_assert_eq!(Digest::of_with(record.digest.algorithm(), &content), record.digest.clone());
            }
        }
    }

    #[test]
    fn papers_of_a_layout_that_somebody_edited_are_read_or_refused(
        edits in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..8),
        cut in any::<prop::sample::Index>(),
        which in 0usize..3,
    ) {
        let (_folder, root, _) = layout();
        let place = root.join(["index.json", "oci-layout", "index.json"][which]);
        let mut bytes = fs::read(&place).unwrap();
        for (at, byte) in edits {
            let at = at.index(bytes.len());
            bytes[at] = byte;
        }
        if which == 2 {
            bytes.truncate(cut.index(bytes.len()));
        }
        fs::write(&place, bytes).unwrap();
        if let Ok(open) = LayoutFolder::open_for_reading(&root) {
            for (_, entry) in open.entries() {
                let found = open.manifest(&at(), &Reference::Digest(entry.digest.clone()));
                prop_assert!(found.is_err() || found.unwrap().descriptor.digest == entry.digest);
            }
        }
    }
}
