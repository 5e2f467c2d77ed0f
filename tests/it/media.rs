//! Volumes for real media: unequal sizes, one medium after the other on both sides, one volume checked alone, and
//! checksums that are read over the phone.

use super::bundle_golden::{World, noise, small_chunks, stream_of};
use crate::stage::{Ran, Stage, files, small};
use airlift::bundle::{
    Class, Input, MediaFolders, Options, Sources, Target, VolumeSizes, WriteError, WrittenInTurn, check, check_volume,
    find_volumes, volume_name, write_in_turn,
};
use airlift::model::medium::{ChangeMedium, WantedVolume};
use airlift::model::spoken::Spoken;
use airlift::model::{Descriptor, Fault, FaultKind, MediaType, Reference};
use airlift::testkit::image::SampleImage;
use std::cell::{Cell, RefCell};
use std::io::{self, Cursor, Read};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Arc, Mutex};

fn sizes(list: &[u64]) -> Options {
    Options { volume_size: VolumeSizes::new(list), ..small_chunks(None) }
}

/// Payload that is stored as it is, with a blob that is larger than any volume.
fn closed() -> World {
    World::small(&[300, 70_000, 0, 9000])
}

/// Payload that is packed while it is written stands at the end.
fn open() -> World {
    let mut world = World::small(&[300, 13_000, 9000]);
    world.add(MediaType::OCI_LAYER_TAR, Class::Payload, noise(9, 60_000), false);
    world.add(MediaType::OCI_LAYER_TAR, Class::Payload, [noise(10, 3000), vec![1; 9000]].concat(), false);
    world
}

fn lengths(volumes: &[PathBuf]) -> Vec<u64> {
    volumes.iter().map(|path| std::fs::metadata(path).unwrap().len()).collect()
}

// ---- sizes ----

#[test]
fn unequal_disks_get_volumes_that_fit_them_and_everybody_reads_them() {
    for world in [closed(), open()] {
        for list in [&[16_000, 40_000, 20_000][..], &[40_000, 15_000], &[15_000, 60_000]] {
            let folder = tempfile::tempdir().unwrap();
            let written = world.write(&folder.path().join("b"), sizes(list));
            let given = VolumeSizes::new(list).unwrap();
            let found = lengths(&written.volumes);
            assert!(found.len() > 2, "{found:?}");
            for (number, length) in (1..).zip(&found) {
                assert!(*length <= given.of(number), "volume {number} of {list:?}: {length}");
            }
            world.assert_read(Input::Files(written.volumes.iter().rev().cloned().collect()));
            world.assert_read(Input::Stream(Box::new(Cursor::new(stream_of(&written.volumes)))));
            assert_eq!(check(Input::Files(written.volumes.clone()), 2, &|_| {}).findings, []);
            for volume in &written.volumes {
                assert_eq!(check_volume(volume, &|_| {}).findings, [], "{}", volume.display());
            }
        }
    }
}

#[test]
fn a_list_of_equal_sizes_and_one_that_is_longer_than_the_set_change_no_byte() {
    let folder = tempfile::tempdir().unwrap();
    for world in [closed(), open()] {
        let one = world.write(&folder.path().join("one"), small_chunks(Some(20_000)));
        let same = world.write(&folder.path().join("same"), sizes(&[20_000, 20_000, 20_000]));
        assert!(stream_of(&one.volumes) == stream_of(&same.volumes));
        assert_eq!(one.set_id, same.set_id);
        files(folder.path()).iter().for_each(|file| std::fs::remove_file(file).unwrap());
    }
    let world = closed();
    let longer: Vec<u64> = [vec![20_000; 40], vec![99_000]].concat();
    let one = world.write(&folder.path().join("one"), small_chunks(Some(20_000)));
    let long = world.write(&folder.path().join("long"), sizes(&longer));
    assert!(stream_of(&one.volumes) == stream_of(&long.volumes), "sizes of volumes that do not exist leave no trace");
}

#[test]
fn a_limit_that_is_met_exactly_or_leaves_a_few_bytes_is_filled_as_far_as_it_goes() {
    let folder = tempfile::tempdir().unwrap();
    let world = closed();
    let first = lengths(&world.write(&folder.path().join("b"), small_chunks(Some(30_000))).volumes);
    // What a volume keeps free is a tail and its record, in case that it is the last one.
    let tail = 8 + 88 + 4096 + 32 + 64;
    for spare in 0..9 {
        let limit = first[0] + tail + spare;
        let out = folder.path().join(format!("b{spare}"));
        let written = world.write(&out, small_chunks(Some(limit)));
        let found = lengths(&written.volumes);
        assert_eq!(found[0], first[0], "{spare}");
        assert!(found.iter().all(|length| *length <= limit));
        world.assert_read(Input::Files(written.volumes));
    }
    let smaller = world.write(&folder.path().join("less"), small_chunks(Some(first[0] + tail - 1)));
    assert!(lengths(&smaller.volumes)[0] < first[0]);
}

#[test]
fn a_volume_that_cannot_hold_one_frame_is_named_with_the_size_that_would_do() {
    let world = closed();
    for (list, volume) in [(&[8000][..], "volume 2"), (&[30_000, 8000], "volume 2"), (&[4500, 90_000], "volume 1")] {
        let plan = airlift::bundle::BundlePlan::new(world.papers.clone(), world.items.clone(), sizes(list));
        let error = plan.err().unwrap().to_string();
        assert!(error.contains(volume) && error.contains("must have at least"), "{list:?}: {error}");
    }
}

// ---- written in turn ----

/// Takes the step that was written down for each call, and fails behind the last one.
type Steps = Vec<Box<dyn FnMut(&WantedVolume) + Send>>;

struct Script(Steps, Arc<Mutex<Vec<String>>>);

impl ChangeMedium for Script {
    fn change(&mut self, wanted: &WantedVolume, why: &str) -> Result<(), Fault> {
        self.1.lock().unwrap().push(format!("{}: {why}", wanted.shown()));
        if self.0.is_empty() {
            return Err(Fault::new(FaultKind::Interrupted, "", "nobody came"));
        }
        self.0.remove(0)(wanted);
        Ok(())
    }
}

/// Gives `n` bytes of all sources together, then an error; remembers what was opened.
struct Line<'a> {
    world: &'a World,
    left: Cell<u64>,
    opened: RefCell<Vec<(Descriptor, u64)>>,
    /// A blob of which other bytes come.
    lies: Option<Descriptor>,
}

impl<'a> Line<'a> {
    fn new(world: &'a World, bytes: u64) -> Self {
        Self { world, left: Cell::new(bytes), opened: RefCell::default(), lies: None }
    }

    fn open(&self, want: &Descriptor, from: u64) -> io::Result<Box<dyn Read + Send>> {
        self.opened.borrow_mut().push((want.clone(), from));
        let mut bytes = self.world.blobs[&want.digest][from as usize..].to_vec();
        if self.lies.as_ref() == Some(want) {
            *bytes.last_mut().unwrap() ^= 1;
        }
        let whole = bytes.len() as u64;
        let given = whole.min(self.left.get());
        self.left.set(self.left.get() - given);
        bytes.truncate(given as usize);
        let broken = given < whole;
        Ok(Box::new(Cursor::new(bytes).chain(Breaks(broken))))
    }

    fn write(&self, out: &Path, media: MediaFolders, options: Options) -> Result<WrittenInTurn, WriteError> {
        let plan = self.world.plan(options);
        let mut open = |want: &Descriptor, from: u64| self.open(want, from);
        let sources = Sources { open: &mut open, moved: &|_| {} };
        write_in_turn(&plan, None, sources, Target { out, media, read_back: true })
    }
}

struct Breaks(bool);

impl Read for Breaks {
    fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
        if self.0 { Err(io::Error::other("the line broke")) } else { Ok(0) }
    }
}

fn folders(root: &Path, names: &[&str]) -> MediaFolders {
    let make = |name: &&str| {
        let folder = root.join(name);
        std::fs::create_dir_all(&folder).unwrap();
        folder
    };
    MediaFolders { folders: names.iter().map(make).collect(), change: None }
}

#[test]
fn what_is_written_in_turn_has_the_bytes_of_what_is_written_all_at_once() {
    for world in [closed(), open(), World::small(&[])] {
        for options in [small_chunks(None), small_chunks(Some(20_000)), sizes(&[15_000, 30_000])] {
            let root = tempfile::tempdir().unwrap();
            let beside = world.write(&root.path().join("beside"), options.clone());
            let line = Line::new(&world, u64::MAX);
            let out = root.path().join("work");
            std::fs::create_dir(&out).unwrap();
            let done = line.write(&out.join("b"), folders(root.path(), &["medium"]), options.clone()).unwrap();
            assert!(stream_of(&beside.volumes) == stream_of(&done.written.volumes));
            assert_eq!(done.written.marks.len(), beside.marks.len());
            let digests =
                |marks: &[airlift::bundle::VolumeMark]| marks.iter().map(|mark| mark.digest).collect::<Vec<_>>();
            assert_eq!(digests(&done.written.marks), digests(&beside.marks));
            assert!(files(&out).is_empty(), "no journal is left");
            assert!(line.opened.borrow().iter().all(|(_, from)| *from == 0));
            // The same command again finds it all there.
            let again = Line::new(&world, 0);
            let found = again.write(&out.join("b"), folders(root.path(), &["medium"]), options).unwrap();
            assert_eq!((found.written, found.resumed), (done.written, beside.marks.len() as u32));
            assert!(files(&out).is_empty() && again.opened.borrow().is_empty());
        }
    }
}

#[test]
fn ended_anywhere_it_goes_on_with_the_volume_under_way_though_the_others_were_taken_away() {
    for (world, options) in [(closed(), sizes(&[17_000, 14_000, 25_000])), (open(), small_chunks(Some(16_000)))] {
        let root = tempfile::tempdir().unwrap();
        let expected = stream_of(&world.write(&root.path().join("beside"), options.clone()).volumes);
        let mut ranges = 0;
        for bytes in (1_000..60_000).step_by(4_700) {
            let run = root.path().join(format!("run{bytes}"));
            let (work, away) = (run.join("work"), run.join("away"));
            std::fs::create_dir_all(&work).unwrap();
            std::fs::create_dir_all(&away).unwrap();
            let mut taken = Vec::new();
            // The first run ends anywhere; each further one may finish at least one volume.
            for allowed in std::iter::once(bytes).chain(std::iter::repeat(26_000)) {
                let line = Line::new(&world, allowed);
                let result = line.write(&work.join("b"), folders(&run, &["medium"]), options.clone());
                ranges += line.opened.borrow().iter().filter(|(_, from)| *from > 0).count();
                let here = files(&run.join("medium"));
                assert!(here.iter().all(|file| file.extension().is_some_and(|e| e == "airlift")), "{here:?}");
                for file in here {
                    let to = away.join(file.file_name().unwrap());
                    assert!(!to.exists(), "{} was written twice", to.display());
                    std::fs::rename(&file, &to).unwrap();
                    taken.push(to);
                }
                match result {
                    Ok(_) => break,
                    Err(WriteError::Source { .. }) => {}
                    // A program that another test starts holds all locks of this process until it begins.
                    Err(WriteError::Busy(_)) => std::thread::yield_now(),
                    Err(error) => panic!("{bytes}: {error}"),
                }
            }
            assert!(files(&work).is_empty(), "no journal is left");
            assert!(stream_of(&taken) == expected, "{bytes}");
        }
        assert!(ranges > 3, "blobs that go over a border are asked for from there on: {ranges}");
    }
}

#[test]
fn a_source_that_lied_over_a_border_costs_the_volumes_that_hold_its_beginning_and_no_others() {
    let world = closed();
    let root = tempfile::tempdir().unwrap();
    let (work, options) = (root.path().join("b"), small_chunks(Some(20_000)));
    let expected = stream_of(&world.write(&root.path().join("beside"), options.clone()).volumes);
    let large = world.items.iter().find(|item| item.descriptor.size == 70_000).unwrap().descriptor.clone();
    let liar = Line { lies: Some(large), ..Line::new(&world, u64::MAX) };
    let error = liar.write(&work, folders(root.path(), &["medium"]), options.clone()).unwrap_err();
    let WriteError::Rewrite { from, to, source } = &error else { panic!("{error}") };
    assert!(*from >= 1 && to > from && matches!(**source, WriteError::Mismatch { .. }), "{error}");
    let before = files(&root.path().join("medium")).len();
    let honest = Line::new(&world, u64::MAX);
    let done = honest.write(&work, folders(root.path(), &["medium"]), options).unwrap();
    assert_eq!((done.resumed, before as u32), (from - 1, *to));
    assert!(stream_of(&done.written.volumes) == expected);
}

#[test]
fn a_volume_goes_to_the_next_medium_when_the_first_does_not_take_it_and_then_somebody_is_asked() {
    let world = closed();
    let root = tempfile::tempdir().unwrap();
    let options = small_chunks(Some(20_000));
    let expected = world.write(&root.path().join("beside"), options.clone()).volumes;
    let mut media = folders(root.path(), &["a", "b"]);
    media.folders.insert(0, root.path().join("not-there"));
    // What stands in the way on a medium is never overwritten: that medium does not take the volume.
    std::fs::write(root.path().join("a/x.002.airlift"), "something else").unwrap();
    std::fs::write(root.path().join("b/x.003.airlift"), "something else").unwrap();
    let (b, said) = (root.path().join("b"), Arc::new(Mutex::new(Vec::new())));
    let step = move |wanted: &WantedVolume| {
        assert_eq!((wanted.number, wanted.file.as_deref()), (3, Some("x.003.airlift")));
        std::fs::remove_file(b.join("x.003.airlift")).unwrap();
        std::fs::write(b.parent().unwrap().join("a/x.003.airlift"), "something else").unwrap();
    };
    media.change = Some(Box::new(Script(vec![Box::new(step)], Arc::clone(&said))));
    let line = Line::new(&world, u64::MAX);
    let done = line.write(&root.path().join("x"), media, options).unwrap();
    let folder = |path: &PathBuf| path.parent().unwrap().file_name().unwrap().to_string_lossy().into_owned();
    let places: Vec<String> = done.written.volumes.iter().map(folder).collect();
    assert_eq!(&places[..3], ["a", "b", "b"]);
    assert!(stream_of(&done.written.volumes) == stream_of(&expected));
    let said = said.lock().unwrap();
    assert_eq!(said.len(), 1);
    assert!(
        said[0].starts_with("volume 3 of ") && said[0].contains("x.003.airlift exists and is not this volume"),
        "{said:?}"
    );
}

#[test]
fn without_another_medium_the_run_ends_with_what_is_finished_and_goes_on_when_there_is_one() {
    let world = closed();
    let root = tempfile::tempdir().unwrap();
    let options = small_chunks(Some(20_000));
    let media = folders(root.path(), &["a"]);
    std::fs::write(root.path().join("a/x.003.airlift"), "something else").unwrap();
    let line = Line::new(&world, u64::MAX);
    let error = line.write(&root.path().join("x"), media, options.clone()).unwrap_err();
    assert!(matches!(error, WriteError::NoMedium { finished: 2, .. }), "{error}");
    assert!(error.to_string().contains("volumes 1 to 2 are finished and stay"), "{error}");
    let done =
        Line::new(&world, u64::MAX).write(&root.path().join("x"), folders(root.path(), &["c"]), options).unwrap();
    assert_eq!(done.resumed, 2);
    world.assert_read(Input::Files(done.written.volumes));
}

// ---- the program ----

/// Runs the program without the stage's look at final names: here volumes of one set stand in several folders.
fn run(stage: &Stage, command: &mut Command) -> Ran {
    let ran = Ran::new(command.output().unwrap());
    stage.check_always(&ran);
    ran
}

fn airlift(stage: &Stage, arguments: &[&str]) -> Ran {
    run(stage, &mut stage.command(arguments))
}

/// A signed bundle `b` of three volumes and more, and its image.
fn packed(stage: &Stage, more: &[&str]) -> (airlift::model::Digest, Ran) {
    let image = SampleImage::new(7).layer(9 << 20).layer(2 << 20).build();
    let reference = stage.publish("team/app", "1", &image);
    let mut arguments =
        vec!["pack", &reference, "-o", "b", "--allow-unsigned", "**", "--sign-key", "author.key", "--plain-http"];
    arguments.extend(more);
    (image.digest().clone(), airlift(stage, &arguments))
}

fn volumes_in(folder: &Path) -> Vec<PathBuf> {
    find_volumes(&[folder.to_owned()]).unwrap_or_default()
}

const EQUAL: [&str; 2] = ["--volume-size", "5MB"];

#[test]
fn one_volume_is_checked_as_soon_as_it_arrives() {
    let stage = Stage::new();
    packed(&stage, &EQUAL).1.expect(0);
    let count = volumes_in(stage.folder.path()).len();
    let of = format!("volume 2 of {count}");
    let ran = airlift(&stage, &["verify", "b.002.airlift"]).expect(0);
    ran.says(&[
        "intact: ",
        &of,
        "of bundle sha256:",
        "checksum ",
        "who signed the bundle: the signature is at the start of volume 1",
    ]);
    airlift(&stage, &["verify", "b.001.airlift"]).expect(0).says(&["no key was given"]);
    let ran = airlift(&stage, &["verify", "b.001.airlift", "--bundle-key", "author.pub"]).expect(0);
    ran.says(&["intact: volume 1", "signed by key"]);
    let other = airlift::trust::SigningKey::generate().unwrap();
    std::fs::write(stage.path("other.pub"), other.public().to_pem()).unwrap();
    airlift(&stage, &["verify", "b.001.airlift", "--bundle-key", "other.pub"]).expect(30).says(&["not accepted"]);

    let ran = airlift(&stage, &["verify", "b.002.airlift", "-o", "json"]).expect(0);
    let json: serde_json::Value = serde_json::from_str(&ran.stdout).unwrap();
    let volume = &json["volumes"][0];
    assert_eq!((volume["number"].as_u64(), volume["total"].as_u64()), (Some(2), Some(count as u64)));
    assert_eq!((volume["intact"].as_bool(), volume["findings"].as_array().unwrap().len()), (Some(true), 0));

    // A folder, a pattern or several files are a set: what is missing there is an error, unless it is said otherwise.
    std::fs::create_dir(stage.path("some")).unwrap();
    for name in ["b.001.airlift", "b.003.airlift"] {
        std::fs::copy(stage.path(name), stage.path("some").join(name)).unwrap();
    }
    airlift(&stage, &["verify", "some", "--bundle-key", "author.pub"]).expect(40).says(&["volume 2 is missing"]);
    airlift(&stage, &["verify", "some", "--volume"]).expect(0).says(&["intact: volume 1", "intact: volume 3"]);
    airlift(&stage, &["verify", "b.*.airlift", "--bundle-key", "author.pub"]).expect(0).says(&["good: 1 artifact"]);

    let mut bytes = std::fs::read(stage.path("some/b.003.airlift")).unwrap();
    bytes[3 << 20] ^= 1;
    std::fs::write(stage.path("some/b.003.airlift"), &bytes).unwrap();
    let ran = airlift(&stage, &["verify", "some/b.003.airlift"]).expect(40);
    ran.says(&["NOT good: volume 3", "b.003.airlift), bytes"]);
    airlift(&stage, &["verify", "some", "--volume"]).expect(40).says(&["intact: volume 1", "NOT good: volume 3"]);
    bytes.truncate(2 << 20);
    std::fs::write(stage.path("some/b.003.airlift"), &bytes).unwrap();
    airlift(&stage, &["verify", "some/b.003.airlift"]).expect(40).says(&["cut off"]);
}

#[test]
fn every_byte_of_a_volume_is_covered_when_it_is_checked_alone() {
    for world in [World::small(&[300, 9000]), open()] {
        let folder = tempfile::tempdir().unwrap();
        let written = world.write(&folder.path().join("b"), small_chunks(Some(14_000)));
        for (at, volume) in written.volumes.iter().enumerate() {
            let good = std::fs::read(volume).unwrap();
            let copy = folder.path().join("copy");
            // A sample of all, closer at the ends.
            let ends = (0..300).step_by(7).chain((good.len() - 300..good.len()).step_by(7));
            for byte in ends.chain((300..good.len()).step_by(211)) {
                let mut bad = good.clone();
                bad[byte] ^= 1 << (byte % 8);
                std::fs::write(&copy, &bad).unwrap();
                assert!(!check_volume(&copy, &|_| {}).findings.is_empty(), "volume {}, byte {byte}", at + 1);
            }
            assert_eq!(check_volume(volume, &|_| {}).findings, []);
        }
    }
}

#[test]
fn the_list_of_volumes_is_what_one_side_prints_and_the_other_compares() {
    let stage = Stage::new();
    packed(&stage, &["--volume-size", "6MB,5MB", "--volume-list", "list.txt"]).1.expect(0);
    let list = std::fs::read_to_string(stage.path("list.txt")).unwrap();
    let shown = airlift(&stage, &["inspect", "b.*.airlift", "--volumes"]).expect(0);
    assert_eq!(shown.stdout, list);
    let json = airlift(&stage, &["inspect", "b.*.airlift", "-o", "json"]).expect(0);
    let json: serde_json::Value = serde_json::from_str(&json.stdout).unwrap();
    let second = json["volumes"][1]["checksum"].as_str().unwrap();
    let all = json["setChecksum"].as_str().unwrap();
    for part in [second, all, "b.002.airlift", "b 2/3 "] {
        assert!(list.contains(part), "{part}:\n{list}");
    }
    let spoken = second.replace('-', " ").to_lowercase();
    let ran = airlift(&stage, &["verify", "b.002.airlift", "--checksum", &spoken]).expect(0);
    ran.says(&[&format!("{second} is the checksum of volume 2")]);
    let known = ["verify", "b.*.airlift", "--bundle-key", "author.pub", "--checksum"];
    airlift(&stage, &[&known[..], &[all]].concat()).expect(0).says(&[&format!("{all} is the checksum of all volumes")]);

    // Another volume's checksum, a misread one, and one of a volume that was exchanged for a sound one of another bundle.
    let first = json["volumes"][0]["checksum"].as_str().unwrap();
    airlift(&stage, &["verify", "b.002.airlift", "--checksum", first]).expect(40).says(&["is none of what is here"]);
    let last = if second.ends_with('7') { "8" } else { "7" };
    let misread = format!("{}{last}", &second[..second.len() - 1]);
    airlift(&stage, &["verify", "b.002.airlift", "--checksum", &misread]).expect(2).says(&["was misread"]);
    airlift(&stage, &["verify", "b.002.airlift", "--checksum", "ABCD"]).expect(2).says(&["has 20 letters and digits"]);
    assert!(second.parse::<Spoken>().is_ok());
}

#[test]
fn a_bundle_is_read_one_medium_after_the_other_and_a_wrong_one_is_refused() {
    let stage = Stage::new();
    let (digest, ran) = packed(&stage, &EQUAL);
    ran.expect(0);
    std::fs::create_dir(stage.path("store")).unwrap();
    for volume in volumes_in(stage.folder.path()) {
        std::fs::rename(&volume, stage.path("store").join(volume.file_name().unwrap())).unwrap();
    }
    let count = volumes_in(&stage.path("store")).len();
    // Puts in what is asked for; before the second one, the third by mistake.
    let script = "#!/bin/sh\n\
        echo \"$AIRLIFT_ACTION $AIRLIFT_VOLUME of $AIRLIFT_VOLUMES: $AIRLIFT_WHY\" >> asked\n\
        number=$AIRLIFT_VOLUME\n\
        if [ $number = 2 ] && [ ! -e mistaken ]; then touch mistaken; number=3; fi\n\
        rm -rf slot; mkdir slot; cp store/b.00$number.airlift slot/any-name.airlift\n";
    std::fs::write(stage.path("next.sh"), script).unwrap();
    let hook = ["--change-medium", "sh next.sh"];
    let to = stage.enclave.host();
    let import = ["import", "slot", "--to", &to, "--bundle-key", "author.pub", "--plain-http"];
    airlift(&stage, &[&import[..], &hook].concat()).expect(0).says(&["complete: 1 of 1 artifact"]);
    stage.assert_arrived("team/app", &Reference::Tag("1".parse().unwrap()), &digest);
    let asked = std::fs::read_to_string(stage.path("asked")).unwrap();
    let lines: Vec<&str> = asked.lines().collect();
    assert_eq!(lines.len(), count + 1, "each is asked for once, the mistaken one twice:\n{asked}");
    assert!(lines[0].starts_with("read 1 of : no volume is there"), "{asked}");
    assert!(lines[2].contains("read 2 of") && lines[2].contains("it is not there, but volume 3 of bundle"), "{asked}");

    std::fs::remove_dir_all(stage.path("slot")).unwrap();
    let verify = ["verify", "slot", "--bundle-key", "author.pub"];
    airlift(&stage, &[&verify[..], &hook].concat()).expect(0).says(&["good: 1 artifact"]);
    // Nobody comes: the run ends so that it can go on later, and says what it waits for.
    let never = ["--change-medium", "exit 3"];
    let ran = airlift(&stage, &[&verify[..], &never].concat()).expect(10);
    ran.says(&["volume 1 was not put in", "ended with exit status: 3"]);
    let useless = ["--change-medium", "rm -rf slot; mkdir slot; cp store/b.001.airlift slot/"];
    airlift(&stage, &[&verify[..], &useless].concat()).expect(10).says(&["volume 2 of", "did not help"]);
    // Without anybody to ask, all that is missing is named beforehand, and nothing is imported.
    let before = stage.enclave.counters().upload_post;
    let missing = format!("volumes 2-{count} are missing");
    airlift(&stage, &["import", "slot", "--to", &to, "--bundle-key", "author.pub", "--plain-http"])
        .expect(40)
        .says(&[&missing]);
    assert_eq!(stage.enclave.counters().upload_post, before);
    airlift(&stage, &["verify", "-", "--change-medium", "true"]).expect(2);
    airlift(&stage, &["verify", "slot", "--change-medium", "ask"]).expect(2).says(&["no terminal"]);
}

#[test]
fn each_volume_is_asked_for_by_its_number_whatever_its_file_is_called() {
    let world = closed();
    let root = tempfile::tempdir().unwrap();
    let written = world.write(&root.path().join("b"), small_chunks(Some(20_000)));
    let slot = root.path().join("slot");
    std::fs::create_dir(&slot).unwrap();
    std::fs::copy(&written.volumes[0], slot.join("1.airlift")).unwrap();
    let (to, volumes) = (slot.clone(), written.volumes.clone());
    let said = Arc::new(Mutex::new(Vec::new()));
    let put = move |wanted: &WantedVolume| {
        for entry in std::fs::read_dir(&to).unwrap() {
            std::fs::remove_file(entry.unwrap().path()).unwrap();
        }
        std::fs::copy(&volumes[wanted.number as usize - 1], to.join("x.airlift")).unwrap();
    };
    let steps: Steps =
        (1..written.volumes.len()).map(|_| Box::new(put.clone()) as Box<dyn FnMut(&WantedVolume) + Send>).collect();
    let change: Box<dyn ChangeMedium> = Box::new(Script(steps, Arc::clone(&said)));
    let media = MediaFolders { folders: vec![slot], change: Some(change) };
    world.assert_read(Input::Stream(Box::new(airlift::bundle::MediaStream::new(media))));
    assert_eq!(said.lock().unwrap().len(), written.volumes.len() - 1);
}

#[test]
fn what_systems_leave_on_media_is_ignored_with_a_note_and_modes_do_not_matter() {
    let stage = Stage::new();
    packed(&stage, &EQUAL).1.expect(0);
    let medium = stage.path("medium");
    std::fs::create_dir(&medium).unwrap();
    for volume in volumes_in(stage.folder.path()) {
        let to = medium.join(volume.file_name().unwrap());
        std::fs::rename(&volume, &to).unwrap();
        use std::os::unix::fs::PermissionsExt;
        std::fs::set_permissions(&to, std::fs::Permissions::from_mode(0o6777)).unwrap();
    }
    for folder in ["System Volume Information", ".Trashes", "lost+found", ".Trash-1000"] {
        std::fs::create_dir(medium.join(folder)).unwrap();
    }
    for file in ["._b.001.airlift", ".DS_Store", "b.009.airlift.partial", "readme.txt"] {
        std::fs::write(medium.join(file), "shadow").unwrap();
    }
    let before = portrait(&medium);
    let ran = airlift(&stage, &["verify", "medium", "--bundle-key", "author.pub"]).expect(0);
    ran.says(&[
        "note: medium/System Volume Information: is no volume",
        "note: medium/._b.001.airlift",
        "never finished",
        "good: 1 artifact",
    ]);
    let to = stage.enclave.host();
    airlift(&stage, &["import", "medium", "--to", &to, "--bundle-key", "author.pub", "--plain-http"]).expect(0);
    airlift(&stage, &["inspect", "medium", "--volumes"]).expect(0);
    airlift(&stage, &["verify", "medium/b.001.airlift"]).expect(0);
    assert_eq!(portrait(&medium), before, "reading writes nothing to a medium");
}

fn portrait(folder: &Path) -> Vec<String> {
    let line = |path: PathBuf| {
        let known = std::fs::symlink_metadata(&path).unwrap();
        format!("{} {} {:?}", path.display(), known.len(), known.modified().unwrap())
    };
    let mut all: Vec<String> = files(folder).into_iter().map(line).collect();
    all.push(line(folder.to_owned()));
    all
}

/// A small disk of its own, where this may be mounted.
struct Disk(PathBuf);

impl Disk {
    fn mount(folder: PathBuf, size: &str) -> Option<Self> {
        std::fs::create_dir_all(&folder).unwrap();
        let size = format!("size={size}");
        let ran = Command::new("mount").args(["-t", "tmpfs", "-o", &size, "tmpfs"]).arg(&folder).output();
        let mounted = ran.is_ok_and(|ran| ran.status.success());
        if !mounted {
            eprintln!("SKIPPED: a small disk cannot be mounted here");
        }
        mounted.then_some(Self(folder))
    }

    fn remount(&self, options: &str) -> bool {
        Command::new("mount").args(["-o", &format!("remount,{options}")]).arg(&self.0).status().unwrap().success()
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        drop(Command::new("umount").arg("-l").arg(&self.0).status());
    }
}

#[test]
fn a_bundle_is_written_to_one_disk_after_the_other() {
    let stage = Stage::new();
    let (_, ran) = packed(&stage, &["--volume-size", "6MB,5MB"]);
    ran.expect(0);
    let whole = volumes_in(stage.folder.path());
    let expected = lengths(&whole);
    whole.iter().for_each(|volume| std::fs::remove_file(volume).unwrap());
    let Some(first) = Disk::mount(stage.path("first"), "7m") else { return };
    let second = Disk::mount(stage.path("second"), "5m").unwrap();
    let media = ["--volume-size", "6MB,5MB", "--media", "first,second", "--verify-after-write"];

    // Room for two volumes, none for a third: what is finished stays, and the run can go on.
    let (_, ran) = packed(&stage, &media);
    ran.expect(10).says(&[
        "no medium takes volume 3 of 3",
        "second has room for",
        "volumes 1 to 2 are finished and stay",
        "run the same command again",
    ]);
    let here: Vec<PathBuf> = [volumes_in(&first.0), volumes_in(&second.0)].concat();
    assert_eq!(lengths(&here), &expected[..2]);
    assert_eq!(files(&first.0).len() + files(&second.0).len(), 2, "nothing half-written is left on the media");
    airlift(&stage, &["verify", "first/b.001.airlift", "--bundle-key", "author.pub"]).expect(0);

    // The first two disks go their way; a third one comes where a command brings it.
    std::fs::create_dir(stage.path("away")).unwrap();
    for volume in here {
        std::fs::copy(&volume, stage.path("away").join(volume.file_name().unwrap())).unwrap();
        std::fs::remove_file(volume).unwrap();
    }
    let requests = stage.upstream.counters();
    let hook = "mkdir -p third; echo \"$AIRLIFT_ACTION $AIRLIFT_VOLUME $AIRLIFT_BYTES $AIRLIFT_FILE\" >> asked";
    let (_, ran) = packed(
        &stage,
        &["--volume-size", "6MB,5MB", "--media", "third", "--change-medium", hook, "--volume-list", "list.txt"],
    );
    ran.expect(0).says(&["third/b.003.airlift", "were there from an earlier run"]);
    let asked = std::fs::read_to_string(stage.path("asked")).unwrap();
    assert_eq!(asked, format!("write 3 {} third/b.003.airlift\n", expected[2]));
    assert!(stage.upstream.counters().bytes_out - requests.bytes_out < 6 << 20, "only what is missing is fetched");
    assert!(!stage.path("b.airlift.journal").exists());
    std::fs::rename(stage.path("third/b.003.airlift"), stage.path("away/b.003.airlift")).unwrap();
    airlift(&stage, &["verify", "away", "--bundle-key", "author.pub"]).expect(0).says(&["good: 1 artifact"]);
    let shown = airlift(&stage, &["inspect", "away", "--volumes"]).expect(0);
    assert_eq!(shown.stdout, std::fs::read_to_string(stage.path("list.txt")).unwrap());

    // A medium that may not be written is told like a full one, and reading from it is no matter.
    assert!(second.remount("ro"));
    let (_, ran) = packed(&stage, &["--volume-size", "6MB,5MB", "--media", "second"]);
    ran.expect(10).says(&["cannot be written"]);
    if Command::new("mount")
        .args(["--bind", "-o", "ro"])
        .arg(stage.path("away"))
        .arg(stage.path("second"))
        .status()
        .unwrap()
        .success()
    {
        let _unmount = Disk(stage.path("second"));
        let ran = airlift(&stage, &["verify", "second", "--bundle-key", "author.pub"]);
        ran.expect(0);
    }
}

#[test]
fn a_file_that_may_not_grow_is_told_with_the_size_of_volumes_that_would_do() {
    let stage = Stage::new();
    let image = SampleImage::new(1).layer(6 << 20).build();
    let reference = stage.publish("team/app", "1", &image);
    let program = env!("CARGO_BIN_EXE_airlift");
    for more in ["-o cut", "-o turn/cut --media medium"] {
        std::fs::create_dir_all(stage.path("medium")).unwrap();
        // The signal of the limit is not ignored by whoever starts the program.
        let script = format!(
            "ulimit -f 4096; exec {program} pack {reference} {more} --allow-unsigned '**' --plain-http --sign-key author.key"
        );
        let ran = run(&stage, Command::new("sh").args(["-c", &script]).current_dir(stage.folder.path()));
        ran.expect(10).says(&["takes no more", "--volume-size"]);
    }
    assert!(volumes_in(stage.folder.path()).is_empty() && volumes_in(&stage.path("medium")).is_empty());
}

#[test]
fn media_and_lists_that_cannot_be_meant_are_refused_before_anything_is_fetched() {
    let stage = Stage::new();
    let image = small(1);
    let reference = stage.publish("team/app", "1", &image);
    let before = stage.upstream.counters().blob_get;
    let pack = |more: &[&str]| {
        airlift(&stage, &[&["pack", &reference, "--allow-unsigned", "**", "--plain-http"], more].concat())
    };
    for (more, words) in [
        (&["-o", "-", "--media", "x"][..], "standard output"),
        (&["-o", "b", "--change-medium", "ask"], "--media"),
        (&["-o", "b", "--media", "x", "--change-medium", "ask"], "no terminal"),
        (&["-o", "b", "--volume-size", "vhs"], "no medium that is known"),
        (&["-o", "b", "--volume-size", "4GB,,2GB"], "whole number"),
        (&["-o", "b", "--volume-list", "none/list.txt"], "none"),
    ] {
        pack(more).expect(2).says(&[words]);
    }
    assert_eq!(stage.upstream.counters().blob_get, before);
    assert!(volume_name(&stage.path("author.pub")).is_err());
}
