//! Damage to bundles: every byte, every length, every row of the damage table. All of it is refused, by the reader
//! of a stream as by the check of files, and nothing panics.

use super::bundle_golden::{World, noise, small_chunks, stream_of};
use airlift::bundle::{
    Body, BundleReader, BundleWriter, Checked, Class, FillError, Input, Item, Options, ReadClass, ReadError, Resumed,
    WriteError, check, find_volumes,
};
use airlift::model::digest::Algorithm;
use airlift::model::evidence::{FindingClass, Severity};
use airlift::model::{Descriptor, Finding, MediaType};
use std::io::{self, Cursor, Read};
use std::path::{Path, PathBuf};

fn read_all(bytes: Vec<u8>) -> Result<(), ReadError> {
    let mut reader = BundleReader::open(Input::Stream(Box::new(Cursor::new(bytes))))?;
    reader.papers()?;
    while reader.next()?.is_some() {
        while reader.chunk()?.is_some() {}
    }
    reader.finish().map(drop)
}

fn checked(volumes: &[PathBuf]) -> Checked {
    check(Input::Files(volumes.to_vec()), 2, &|_| {})
}

fn checked_stream(bytes: Vec<u8>) -> Checked {
    check(Input::Stream(Box::new(Cursor::new(bytes))), 2, &|_| {})
}

/// Everything that a bundle can hold, as small as it goes.
fn tiny() -> World {
    let mut world = World::small(&[300, 4100, 0]);
    world.add(MediaType::OCI_LAYER_TAR, Class::Payload, b"0123456789".repeat(450), false);
    let sha512 = (noise(10, 50), false);
    world.add_with(Algorithm::Sha512, MediaType::OCI_LAYER_GZIP, Class::Payload, sha512);
    world
}

#[test]
fn a_whole_bundle_has_no_findings() {
    for volume_size in [None, Some(16_000)] {
        let folder = tempfile::tempdir().unwrap();
        let world = tiny();
        let written = world.write(&folder.path().join("b"), small_chunks(volume_size));
        for found in [checked(&written.volumes), checked_stream(stream_of(&written.volumes))] {
            assert_eq!(found.findings, []);
            assert_eq!(found.papers, Some(world.papers.clone()));
            let summary = found.summary.unwrap();
            assert_eq!((summary.bytes, summary.volumes), (written.bytes, written.volumes.len() as u32));
        }
    }
}

#[test]
fn every_byte_that_changes_is_refused() {
    for (world, volume_size) in [(tiny(), None), (World::small(&[300, 4100]), Some(12_000))] {
        let folder = tempfile::tempdir().unwrap();
        let written = world.write(&folder.path().join("b"), small_chunks(volume_size));
        let good = stream_of(&written.volumes);
        assert!(read_all(good.clone()).is_ok());
        let flip = |at: usize| {
            let mut bad = good.clone();
            bad[at] ^= 1 << (at % 8);
            let Err(error) = read_all(bad) else { panic!("byte {at} of {}", good.len()) };
            let class = error.class();
            let first = at < 257 && matches!(class, ReadClass::Format);
            assert!(first || matches!(class, ReadClass::Integrity), "byte {at}: {class:?} {error}");
        };
        std::thread::scope(|scope| {
            for half in 0..2 {
                let (flip, length) = (&flip, good.len());
                scope.spawn(move || (half..length).step_by(2).for_each(flip));
            }
        });
    }
}

// ---- interruption ----

fn copy_folder(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let path = entry.unwrap().path();
        std::fs::copy(&path, to.join(path.file_name().unwrap())).unwrap();
    }
}

/// Gives `n` bytes, then an error.
struct Breaks<R>(R, u64);

impl<R: Read> Read for Breaks<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.1 == 0 {
            return Err(io::Error::other("the line broke"));
        }
        let n = buffer.len().min(self.1 as usize).min(700);
        let n = self.0.read(&mut buffer[..n])?;
        self.1 -= n as u64;
        Ok(n)
    }
}

fn finish_run(world: &World, options: Options, out: &Path) -> (Resumed, Vec<u8>) {
    let (writer, resumed) = BundleWriter::open(world.plan(options), out).unwrap();
    for pending in writer.pending() {
        writer.fill(&pending, &mut world.bytes(&pending), &|_| {}).unwrap();
    }
    let written = writer.finish(None).unwrap();
    let left: Vec<_> = std::fs::read_dir(out.parent().unwrap()).unwrap().map(|e| e.unwrap().path()).collect();
    assert_eq!(left.len(), written.volumes.len(), "only volumes are left: {left:?}");
    (resumed, stream_of(&written.volumes))
}

/// What may happen to the journal of a run that was killed.
const JOURNALS: [fn(&Path); 4] = [
    |_| {},
    |journal| std::fs::remove_file(journal).unwrap(),
    |journal| {
        let bytes = std::fs::read(journal).unwrap();
        std::fs::write(journal, &bytes[..bytes.len() - bytes.len().min(7)]).unwrap();
    },
    |journal| {
        // The journal of another set: its first record names other bytes.
        let mut bytes = std::fs::read(journal).unwrap();
        bytes[40] ^= 1;
        std::fs::write(journal, bytes).unwrap();
    },
];

#[test]
fn killed_at_any_moment_the_same_command_ends_in_the_same_bytes() {
    let options = || small_chunks(Some(20_000));
    let world = tiny_payload();
    let root = tempfile::tempdir().unwrap();
    let clean = root.path().join("clean");
    std::fs::create_dir(&clean).unwrap();
    let (_, expected) = finish_run(&world, options(), &clean.join("b"));
    let run = root.path().join("run");
    std::fs::create_dir(&run).unwrap();
    let mut moment = 0;
    let mut resume_copies = |kept: u64| {
        for (number, journal) in JOURNALS.iter().enumerate() {
            moment += 1;
            let copy = root.path().join(format!("copy{moment}"));
            copy_folder(&run, &copy);
            journal(&copy.join("b.airlift.journal"));
            let (resumed, bytes) = finish_run(&world, options(), &copy.join("b"));
            assert_eq!(resumed.bytes, kept, "moment {moment}, journal {number}");
            assert!(bytes == expected, "moment {moment}, journal {number}");
            std::fs::remove_dir_all(copy).unwrap();
        }
    };
    let (writer, resumed) = BundleWriter::open(world.plan(options()), &run.join("b")).unwrap();
    assert_eq!(resumed, Resumed::default());
    resume_copies(0);
    let mut done = 0;
    while let Some(pending) = writer.pending().first().cloned() {
        let size = pending.descriptor.size;
        if size - pending.from > 3000 {
            let mut source = Breaks(world.bytes(&pending), 4700.min(size - pending.from - 1));
            let error = writer.fill(&pending, &mut source, &|_| {}).unwrap_err();
            let kept = (pending.from + 4700.min(size - pending.from - 1)) / 4096 * 4096;
            assert!(matches!(&error, FillError::Source { kept: k, .. } if *k == kept), "{error}");
            resume_copies(done + kept);
            if kept > pending.from {
                continue;
            }
        }
        let pending = writer.pending()[0].clone();
        writer.fill(&pending, &mut world.bytes(&pending), &|_| {}).unwrap();
        done += size;
        resume_copies(done);
    }
    drop(writer);
    resume_copies(done);
    // Killed between the renames: some volumes have their final names, the first one has not.
    let whole = root.path().join("whole");
    copy_folder(&run, &whole);
    finish_run(&world, options(), &whole.join("b"));
    let count = std::fs::read_dir(&whole).unwrap().count();
    for named in 1..=count {
        let copy = root.path().join(format!("named{named}"));
        copy_folder(&whole, &copy);
        for number in (1..=count).filter(|number| *number == 1 || *number > named) {
            let last = copy.join(format!("b.{number:03}.airlift"));
            std::fs::rename(&last, format!("{}.partial", last.display())).unwrap();
        }
        let (resumed, bytes) = finish_run(&world, options(), &copy.join("b"));
        assert_eq!((resumed.bytes, bytes == expected), (done, true));
    }
}

fn tiny_payload() -> World {
    let mut world = World::small(&[300, 13_000, 0, 9000]);
    world.add(MediaType::OCI_LAYER_TAR, Class::Payload, noise(9, 9500), false);
    world.add(MediaType::OCI_LAYER_TAR, Class::Payload, [noise(10, 3000), vec![1; 9000]].concat(), false);
    world
}

#[test]
fn what_a_power_cut_took_from_the_disk_is_fetched_again() {
    let world = tiny_payload();
    let root = tempfile::tempdir().unwrap();
    let run = root.path().join("run");
    std::fs::create_dir(&run).unwrap();
    let (writer, _) = BundleWriter::open(world.plan(small_chunks(Some(30_000))), &run.join("b")).unwrap();
    for pending in writer.pending() {
        writer.fill(&pending, &mut world.bytes(&pending), &|_| {}).unwrap();
    }
    // Copied before anything was synced or noted.
    for seed in 0..40u64 {
        let copy = root.path().join(format!("copy{seed}"));
        copy_folder(&run, &copy);
        let random = noise(seed + 1, 64);
        for entry in std::fs::read_dir(&copy).unwrap() {
            let path = entry.unwrap().path();
            let mut bytes = std::fs::read(&path).unwrap();
            if path.extension().is_none_or(|e| e != "partial") || bytes.len() < 2000 {
                continue;
            }
            for lost in 0..=usize::from(random[0] % 4) {
                let at = 257
                    + (usize::from(random[2 * lost + 1]) << 8 | usize::from(random[2 * lost + 2]))
                        % (bytes.len() - 257);
                let end = bytes.len().min(at + 4096);
                bytes[at..end].fill(0);
            }
            std::fs::write(&path, bytes).unwrap();
        }
        let (_, bytes) = finish_run(&world, small_chunks(Some(30_000)), &copy.join("b"));
        assert!(read_all(bytes).is_ok());
    }
}

#[test]
fn a_source_that_lies_leaves_no_blob_and_no_beginning_of_one() {
    let world = tiny_payload();
    let wrong: [fn(&mut Vec<u8>); 3] =
        [|bytes| *bytes.last_mut().unwrap() ^= 1, |bytes| bytes.truncate(bytes.len() - 1), |bytes| bytes.push(0)];
    let root = tempfile::tempdir().unwrap();
    let out = root.path().join("b");
    for wrong in wrong {
        let (writer, resumed) = BundleWriter::open(world.plan(small_chunks(None)), &out).unwrap();
        assert_eq!(resumed.bytes, 0);
        for pending in writer.pending() {
            let mut bytes = world.bytes(&pending).into_inner().to_vec();
            wrong(&mut bytes);
            let error = writer.fill(&pending, &mut Cursor::new(bytes), &|_| {}).unwrap_err();
            if !pending.ordered || matches!(error, FillError::Turn { .. }) {
                assert!(!matches!(error, FillError::Source { .. } | FillError::Write(_)), "{error}");
            }
            let again = writer.pending().into_iter().find(|p| p.ordinal == pending.ordinal).unwrap();
            assert_eq!(again.from, 0);
        }
        assert!(matches!(writer.finish(None), Err(WriteError::Incomplete { .. })));
    }
    let (_, bytes) = finish_run(&world, small_chunks(None), &out);
    assert!(read_all(bytes).is_ok());
}

#[test]
fn two_runs_exclude_each_other_and_a_finished_set_is_never_overwritten() {
    let world = tiny_payload();
    let root = tempfile::tempdir().unwrap();
    let out = root.path().join("b");
    let open = |world: &World, options| BundleWriter::open(world.plan(options), &out);
    let (first, _) = open(&world, small_chunks(None)).unwrap();
    let second = open(&world, small_chunks(None)).err();
    assert!(matches!(second, Some(WriteError::Busy(path)) if path == root.path().join("b.airlift.journal")));
    drop(first);
    let (_, bytes) = finish_run(&world, small_chunks(None), &out);
    let (again, resumed) = open(&world, small_chunks(None)).unwrap();
    assert!(resumed.complete && again.pending().is_empty());
    assert_eq!(again.finish(None).unwrap().bytes, bytes.len() as u64);
    let (again, _) = open(&world, small_chunks(None)).unwrap();
    assert!(matches!(again.finish(Some(b"{}")), Err(WriteError::Exists { .. })));
    let other = open(&World::small(&[5]), small_chunks(None)).err();
    assert!(matches!(other, Some(WriteError::Exists { .. })), "{other:?}");
    let recut = open(&world, Options { level: 1, ..small_chunks(None) }).err();
    assert!(matches!(recut, Some(WriteError::Exists { .. })), "{recut:?}");
    assert!(std::fs::read(root.path().join("b.airlift")).unwrap() == bytes);
    let mut names: Vec<_> = std::fs::read_dir(root.path()).unwrap().map(|e| e.unwrap().file_name()).collect();
    names.retain(|name| name != "b.airlift");
    assert!(names.is_empty(), "{names:?}");
}

#[test]
fn what_another_plan_left_unfinished_gives_way() {
    let root = tempfile::tempdir().unwrap();
    let out = root.path().join("b");
    let (writer, _) = BundleWriter::open(tiny_payload().plan(small_chunks(Some(20_000))), &out).unwrap();
    for pending in writer.pending() {
        writer.fill(&pending, &mut tiny_payload().bytes(&pending), &|_| {}).unwrap();
    }
    drop(writer);
    let (resumed, bytes) = finish_run(&World::small(&[5]), small_chunks(Some(20_000)), &out);
    assert_eq!(resumed, Resumed::default());
    assert!(read_all(bytes).is_ok());
}

#[test]
fn a_disk_that_is_too_small_is_told_before_anything_is_fetched() {
    let root = tempfile::tempdir().unwrap();
    let mut world = World::small(&[]);
    let size = 1 << 44;
    let descriptor = Descriptor { size, ..Descriptor::of(MediaType::OCI_LAYER_GZIP, b"far too large") };
    world.items.push(Item { descriptor, class: Class::Payload, body: Body::Payload });
    let plan = world.plan(Options { chunk_size: 16 << 20, volume_size: Some((1 << 40).into()), ..Options::default() });
    let error = BundleWriter::open(plan, &root.path().join("b")).err();
    let Some(WriteError::Full { needed, available, .. }) = error else { panic!("{error:?}") };
    assert!(needed > size && available < size);
    assert!(!root.path().join("b.001.airlift.partial").exists());
}

#[test]
fn the_envelope_fits_its_slot_or_is_refused() {
    let world = World::small(&[5]);
    let root = tempfile::tempdir().unwrap();
    let finish = |name: &str, envelope: &[u8]| {
        let (writer, _) = BundleWriter::open(world.plan(small_chunks(None)), &root.path().join(name)).unwrap();
        for pending in writer.pending() {
            writer.fill(&pending, &mut world.bytes(&pending), &|_| {}).unwrap();
        }
        writer.finish(Some(envelope))
    };
    let fits = format!("\"{}\"", "1".repeat(4093)).into_bytes();
    let written = finish("a", &fits).unwrap();
    let reader = BundleReader::open(Input::Files(written.volumes)).unwrap();
    assert_eq!(reader.envelope(), Some(&fits[..]));
    let long = format!("\"{}\"", "1".repeat(4094)).into_bytes();
    for bad in [&long[..], b"no json", b"", b"{} {}"] {
        assert!(matches!(finish("b", bad), Err(WriteError::Envelope(_))), "{}", bad.len());
    }
}

// ---- volumes ----

/// A bundle of several volumes in a folder of its own.
fn cut_bundle(root: &Path) -> Vec<PathBuf> {
    let world = World::small(&[9000, 12_000, 7000]);
    let volumes = world.write(&root.join("b"), small_chunks(Some(18_000))).volumes;
    assert!(volumes.len() >= 3);
    volumes
}

fn open_files(volumes: &[PathBuf]) -> ReadError {
    BundleReader::open(Input::Files(volumes.to_vec())).err().expect("the volumes are no whole set")
}

fn only(findings: &[Finding], what: &str) {
    assert!(findings.iter().any(|finding| finding.what.contains(what)), "{what}: {findings:#?}");
    assert!(findings.iter().all(|finding| finding.severity == Severity::Error));
}

#[test]
fn missing_volumes_are_all_named_before_anything_is_read() {
    let root = tempfile::tempdir().unwrap();
    let volumes = cut_bundle(root.path());
    let last = volumes.len() as u32;
    for gone in [vec![1], vec![2], vec![last], vec![1, last], (2..=last).collect()] {
        let rest: Vec<PathBuf> =
            (1..).zip(&volumes).filter(|(number, _)| !gone.contains(number)).map(|(_, path)| path.clone()).collect();
        let error = open_files(&rest);
        assert!(matches!(&error, ReadError::Missing { numbers, more: false, .. } if *numbers == gone), "{error}");
        let found = checked(&rest);
        assert_eq!(found.findings.len(), 1, "{:#?}", found.findings);
        assert_eq!(found.findings[0].class, FindingClass::Media);
        let stream = checked_stream(stream_of(&rest));
        assert!(!stream.findings.is_empty() && stream.summary.is_none());
    }
    // An open layout does not know its number of volumes before its last one.
    let world = tiny_payload();
    let open = world.write(&root.path().join("open"), small_chunks(Some(18_000))).volumes;
    let error = open_files(&open[..open.len() - 1]);
    assert!(matches!(&error, ReadError::Missing { more: true, .. }), "{error}");
    assert!(error.to_string().contains("and all behind"), "{error}");
}

#[test]
fn a_volume_alone_is_checked_and_names_the_others() {
    let root = tempfile::tempdir().unwrap();
    let volumes = cut_bundle(root.path());
    for (number, path) in volumes.iter().enumerate() {
        let alone = std::slice::from_ref(path);
        assert_eq!(checked(alone).findings.len(), 1);
        let good = std::fs::read(path).unwrap();
        for at in (0..good.len()).step_by(101) {
            let mut bad = good.clone();
            bad[at] ^= 4;
            std::fs::write(path, &bad).unwrap();
            let found = checked(alone).findings;
            let integrity = found.iter().any(|finding| finding.class == FindingClass::Integrity);
            assert!(integrity, "volume {number}, byte {at}: {found:#?}");
        }
        std::fs::write(path, good).unwrap();
    }
}

#[test]
fn volumes_are_known_by_their_headers_not_by_name_or_order() {
    let root = tempfile::tempdir().unwrap();
    let volumes = cut_bundle(root.path());
    std::fs::create_dir(root.path().join("far")).unwrap();
    let mut moved = Vec::new();
    for (number, path) in volumes.iter().enumerate() {
        let folder = root.path().join(if number % 2 == 0 { "far" } else { "." });
        let name = folder.join(format!("{}.airlift", 9 - number));
        std::fs::rename(path, &name).unwrap();
        moved.push(name);
    }
    let found = find_volumes(&[root.path().join("far"), root.path().join("*.airlift")]).unwrap();
    assert_eq!(found.len(), moved.len());
    assert_eq!(checked(&found).findings, []);
    let twice = find_volumes(&[root.path().join("far"), root.path().join("far"), root.path().join("*")]).unwrap();
    assert_eq!(twice, found);
}

#[test]
fn a_volume_that_is_there_twice_is_named_and_the_good_copy_is_read() {
    let root = tempfile::tempdir().unwrap();
    let mut volumes = cut_bundle(root.path());
    let copy = root.path().join("a-copy.airlift");
    let mut bytes = std::fs::read(&volumes[1]).unwrap();
    let end = bytes.len();
    bytes.truncate(end - 3);
    std::fs::write(&copy, &bytes).unwrap();
    volumes.insert(0, copy);
    let error = open_files(&volumes);
    assert!(matches!(&error, ReadError::Duplicate { number: 2, .. }), "{error}");
    let found = checked(&volumes);
    only(&found.findings, "there twice");
    assert!(found.findings.iter().any(|finding| finding.place.contains("a-copy")), "{:#?}", found.findings);
    assert!(found.findings.len() == 2 && found.summary.is_some());
}

#[test]
fn foreign_volumes_are_named_with_both_identities() {
    let root = tempfile::tempdir().unwrap();
    let volumes = cut_bundle(root.path());
    let others = [
        World::small(&[9000, 12_000, 7001]).write(&root.path().join("other"), small_chunks(Some(18_000))),
        World::small(&[9000, 12_000, 7000]).write(&root.path().join("recut"), small_chunks(Some(18_001))),
    ];
    for other in others {
        let mut mixed = volumes.clone();
        mixed.push(other.volumes[1].clone());
        let error = open_files(&mixed);
        assert!(matches!(&error, ReadError::Foreign { .. }), "{error}");
        mixed.swap_remove(1);
        // The foreign volume is the cause, the missing one what follows from it.
        assert!(matches!(open_files(&mixed), ReadError::Foreign { .. }));
        only(&checked(&mixed).findings, "is a foreign volume");
        let stream = [std::fs::read(&volumes[0]).unwrap(), std::fs::read(&other.volumes[1]).unwrap()].concat();
        let error = read_all(stream).unwrap_err();
        assert!(matches!(error, ReadError::Foreign { .. }), "{error}");
    }
}

#[test]
fn a_stream_of_swapped_doubled_or_missing_volumes_is_refused() {
    let root = tempfile::tempdir().unwrap();
    let volumes = cut_bundle(root.path());
    let of = |order: &[usize]| order.iter().flat_map(|n| std::fs::read(&volumes[*n]).unwrap()).collect::<Vec<u8>>();
    let all: Vec<usize> = (0..volumes.len()).collect();
    for order in [vec![0, 2, 1], vec![0, 0, 1], vec![0, 1, 1, 2], vec![0, 2]] {
        let error = read_all(of(&order)).unwrap_err();
        assert!(matches!(error, ReadError::Order { .. }), "{order:?}: {error}");
    }
    let error = read_all(of(&[1, 2])).unwrap_err();
    assert!(matches!(&error, ReadError::Missing { numbers, .. } if *numbers == [1]), "{error}");
    let error = read_all(of(&all[..all.len() - 1])).unwrap_err();
    assert!(matches!(&error, ReadError::Missing { numbers, .. } if *numbers == [all.len() as u32]), "{error}");
    let mut more = of(&all);
    more.extend(std::fs::read(&volumes[0]).unwrap());
    assert_eq!(read_all(more).unwrap_err().class(), ReadClass::Integrity);
    assert!(matches!(read_all(Vec::new()).unwrap_err(), ReadError::NoVolumes { .. }));
}

#[test]
fn a_bundle_cut_or_extended_anywhere_is_refused() {
    let root = tempfile::tempdir().unwrap();
    let written = World::small(&[300, 5000]).write(&root.path().join("b"), small_chunks(None));
    let good = stream_of(&written.volumes);
    for length in 0..good.len() {
        let error = read_all(good[..length].to_vec()).unwrap_err();
        let class = if length < 257 { ReadClass::Format } else { ReadClass::Integrity };
        assert_eq!(error.class(), class, "cut to {length}: {error}");
    }
    for more in [&[0][..], &[0; 512], b"junk", &good[..20]] {
        let longer = [&good, more].concat();
        assert_eq!(read_all(longer.clone()).unwrap_err().class(), ReadClass::Integrity);
        assert!(!checked_stream(longer.clone()).findings.is_empty());
        std::fs::write(&written.volumes[0], longer).unwrap();
        assert!(!checked(&written.volumes).findings.is_empty());
    }
    for length in (0..good.len()).step_by(97) {
        std::fs::write(&written.volumes[0], &good[..length]).unwrap();
        assert!(!checked(&written.volumes).findings.is_empty(), "cut to {length}");
        assert!(!checked_stream(good[..length].to_vec()).findings.is_empty(), "cut to {length}");
    }
}

#[test]
fn blocks_zeroed_repeated_or_exchanged_are_refused() {
    let root = tempfile::tempdir().unwrap();
    let written = World::small(&[9000, 9000]).write(&root.path().join("b"), small_chunks(None));
    let good = stream_of(&written.volumes);
    for size in [512, 4096] {
        let blocks = good.len() / size;
        for block in 0..blocks {
            let range = block * size..(block + 1) * size;
            let other = (block + 1) % blocks;
            let mut zeroed = good.clone();
            zeroed[range.clone()].fill(0);
            let mut exchanged = good.clone();
            exchanged[range.clone()].copy_from_slice(&good[other * size..(other + 1) * size]);
            exchanged[other * size..(other + 1) * size].copy_from_slice(&good[range.clone()]);
            let mut repeated = good.clone();
            repeated.splice(range.start..range.start, good[range].iter().copied());
            for bad in [zeroed, exchanged, repeated].into_iter().filter(|bad| *bad != good) {
                assert!(read_all(bad).is_err(), "block {block} of {size}");
            }
        }
    }
}

#[test]
fn damage_names_volume_offset_and_blob_and_the_rest_is_still_checked() {
    let root = tempfile::tempdir().unwrap();
    let world = World::small(&[9000, 12_000, 7000]);
    let written = world.write(&root.path().join("b"), small_chunks(None));
    let mut bytes = stream_of(&written.volumes);
    let mut hit = Vec::new();
    for item in world.items.iter().filter(|item| item.class == Class::Payload).take(2) {
        let content = &world.blobs[&item.descriptor.digest];
        let at = bytes.windows(100).position(|window| *window == content[5000..5100]).unwrap();
        bytes[at] ^= 1;
        hit.push((at, item.descriptor.digest.to_string()));
    }
    std::fs::write(&written.volumes[0], &bytes).unwrap();
    for found in [checked(&written.volumes), checked_stream(bytes)] {
        assert_eq!(found.findings.len(), 2, "{:#?}", found.findings);
        assert!(found.summary.is_some());
        for (finding, (at, digest)) in found.findings.iter().zip(&hit) {
            assert!(finding.place.contains(digest) && finding.place.contains("volume 1"), "{}", finding.place);
            let range = finding.place.split("bytes ").nth(1).unwrap().split(',').next().unwrap();
            let (from, to) = range.split_once("..").unwrap();
            assert!((from.parse().unwrap()..to.parse().unwrap()).contains(at), "{at} {range}");
        }
    }
}

#[test]
fn damage_to_the_structure_of_a_volume_does_not_hide_damage_behind_it() {
    let root = tempfile::tempdir().unwrap();
    let world = World::small(&[9000, 12_000, 7000]);
    let volumes = world.write(&root.path().join("b"), small_chunks(Some(18_000))).volumes;
    let break_at = |volume: usize, at: usize| {
        let mut bytes = std::fs::read(&volumes[volume]).unwrap();
        bytes[at] ^= 1;
        std::fs::write(&volumes[volume], bytes).unwrap();
    };
    break_at(0, 257 + 4); // descriptor of the first frame
    break_at(1, 9000);
    break_at(2, 300);
    let found = checked(&volumes).findings;
    for volume in ["volume 1", "volume 2", "volume 3"] {
        assert!(found.iter().any(|finding| finding.place.contains(volume)), "{volume}: {found:#?}");
    }
}

#[test]
fn every_byte_that_changes_is_found_by_a_check_of_files() {
    let root = tempfile::tempdir().unwrap();
    let written = World::small(&[300]).write(&root.path().join("b"), small_chunks(None));
    let good = stream_of(&written.volumes);
    for at in (0..good.len()).filter(|at| *at < 3500 || at % 7 == 0 || good.len() - at < 1500) {
        let mut bad = good.clone();
        bad[at] ^= 1 << (at % 8);
        std::fs::write(&written.volumes[0], &bad).unwrap();
        let found = checked(&written.volumes).findings;
        assert!(found.iter().any(|finding| finding.class == FindingClass::Integrity), "byte {at}: {found:#?}");
    }
}

// ---- kept damage ----

/// Damaged copies of golden bundles: name, golden volumes, what was done to them.
type Damage = (&'static str, &'static str, fn(usize, Vec<u8>) -> Option<Vec<u8>>);

const DAMAGE: [Damage; 6] = [
    ("bit-in-payload", "bundle-1.0-one", |_, mut bytes| {
        bytes[9000] ^= 8;
        Some(bytes)
    }),
    ("cut-inside-a-frame", "bundle-1.0-one", |_, mut bytes| {
        bytes.truncate(8000);
        Some(bytes)
    }),
    ("header-damaged", "bundle-1.0-cut", |number, mut bytes| {
        bytes[120] ^= u8::from(number == 1);
        Some(bytes)
    }),
    ("footer-damaged", "bundle-1.0-cut", |number, mut bytes| {
        let at = bytes.len() - 20;
        bytes[at] ^= u8::from(number == 0);
        Some(bytes)
    }),
    ("tar-header-changed", "bundle-1.0-one", |_, mut bytes| {
        let at = bytes.windows(10).position(|window| window == b"index.json").unwrap();
        bytes[at] = b'I';
        Some(bytes)
    }),
    ("volume-missing", "bundle-1.0-cut", |number, bytes| (number == 0).then_some(bytes)),
];

fn testdata(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata").join(path)
}

/// Findings as lines, with files by their bare names.
fn lines(folder: &Path, findings: &[Finding]) -> String {
    let line = |finding: &Finding| format!("{:?} | {} | {}\n", finding.class, finding.place, finding.what);
    let text: String = findings.iter().map(line).collect();
    text.replace(&format!("{}/", folder.display()), "").replace(&folder.display().to_string(), "FOLDER")
}

/// Makes the folders from the golden bundles anew; only when a new version of the format is released.
fn make_damaged_bundles() {
    for (name, golden, damage) in DAMAGE {
        let folder = testdata("damaged").join(name);
        std::fs::create_dir_all(&folder).unwrap();
        let volumes = find_volumes(&[testdata(&format!("golden/{golden}*"))]).unwrap();
        for (number, path) in volumes.iter().enumerate() {
            if let Some(bytes) = damage(number, std::fs::read(path).unwrap()) {
                std::fs::write(folder.join(path.file_name().unwrap()), bytes).unwrap();
            }
        }
        let found = checked(&find_volumes(std::slice::from_ref(&folder)).unwrap());
        std::fs::write(folder.join("findings.txt"), lines(&folder, &found.findings)).unwrap();
    }
}

#[test]
fn damaged_bundles_yield_exactly_their_findings() {
    if std::env::var_os("AIRLIFT_WRITE_GOLDEN").is_some() {
        make_damaged_bundles();
    }
    for (name, _, _) in DAMAGE {
        let folder = testdata("damaged").join(name);
        let found = checked(&find_volumes(std::slice::from_ref(&folder)).unwrap());
        let expected = std::fs::read_to_string(folder.join("findings.txt")).unwrap();
        assert!(!expected.is_empty());
        assert_eq!(lines(&folder, &found.findings), expected, "{name}");
    }
}

#[test]
fn a_pipe_may_give_single_bytes_and_a_pipe_that_breaks_is_no_damage() {
    struct Drops(Cursor<Vec<u8>>);
    impl Read for Drops {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            let n = buffer.len().min(1);
            self.0.read(&mut buffer[..n])
        }
    }
    let root = tempfile::tempdir().unwrap();
    let world = tiny();
    let bytes = stream_of(&world.write(&root.path().join("b"), small_chunks(Some(16_000))).volumes);
    world.assert_read(Input::Stream(Box::new(Drops(Cursor::new(bytes.clone())))));
    for at in (0..bytes.len() as u64).step_by(997) {
        let broken = Input::Stream(Box::new(Breaks(Cursor::new(bytes.clone()), at)));
        let found = check(broken, 2, &|_| {});
        assert!(found.summary.is_none() && found.findings.len() == 1, "{at}: {:#?}", found.findings);
        assert_eq!(found.findings[0].class, FindingClass::Media);
        assert!(found.findings[0].what.contains("the line broke"), "{:?}", found.findings);
    }
}
