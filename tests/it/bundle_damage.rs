//! Damage to bundles: every byte, every length, every row of the damage table. All of it is refused, by the reader
//! of a stream as by the check of files, and nothing panics.

use super::bundle_golden::{World, noise, small_chunks, stream_of};
use airlift::bundle::{
    Body, BundleReader, BundleWriter, Checked, Class, FillError, Input, Item, Options, ReadClass, ReadError, Resumed,
    WriteError, check, find_volumes,
};
use airlift::model::digest::Algorithm;
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
    let mut world = World::small(&[300, 5000, 0]);
    world.add(MediaType::OCI_LAYER_TAR, Class::Payload, noise(9, 4500), false);
    let sha512 = (noise(10, 200), false);
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
    for volume_size in [None, Some(17_000)] {
        let folder = tempfile::tempdir().unwrap();
        let written = tiny().write(&folder.path().join("b"), small_chunks(volume_size));
        let good = stream_of(&written.volumes);
        assert!(read_all(good.clone()).is_ok());
        for at in 0..good.len() {
            let mut bad = good.clone();
            bad[at] ^= 1 << (at % 8);
            let Err(error) = read_all(bad) else { panic!("byte {at} of {}", good.len()) };
            let class = error.class();
            let first = at < 257 && matches!(class, ReadClass::Format);
            assert!(first || matches!(class, ReadClass::Integrity), "byte {at}: {class:?} {error}");
        }
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
            if !path.extension().is_some_and(|e| e == "partial") || bytes.len() < 2000 {
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
    let plan = world.plan(Options { chunk_size: 16 << 20, volume_size: Some(1 << 40), ..Options::default() });
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
