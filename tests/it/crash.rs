//! Runs that end early: no room, a wish to stop, a lost volume, a pipe that breaks. Each says why in its own way, shows
//! nothing that is not whole, and the same command goes on from there.
//!
//! Every system call as a place to be killed at, power cuts and disks that fail are tried by `scripts/crash`.

use crate::stage::{Ran, Stage, files, small, volumes};
use airlift::bundle::{Input, check};
use airlift::model::Reference;
use airlift::serve::{Answer, Faults, Rule};
use airlift::testkit::image::{Sample, SampleImage};
use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

const ANYONE: [&str; 2] = ["--allow-unsigned", "**"];

/// A small disk of its own, where this process may mount one.
struct SmallDisk(PathBuf);

impl SmallDisk {
    fn new(at: PathBuf, options: &str) -> Option<Self> {
        std::fs::create_dir_all(&at).unwrap();
        let disk = Self(at);
        let mounted = disk.mount(options);
        if !mounted {
            eprintln!("skipped: this process may not mount a small disk");
        }
        mounted.then_some(disk)
    }

    fn mount(&self, options: &str) -> bool {
        let mut mount = Command::new("mount");
        mount.args(["-t", "tmpfs", "-o", options, "tmpfs"]).arg(&self.0).stderr(Stdio::null());
        mount.status().is_ok_and(|status| status.success())
    }

    fn resize(&self, options: &str) {
        assert!(self.mount(&format!("remount,{options}")));
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        drop(Command::new("umount").arg("--lazy").arg(&self.0).stderr(Stdio::null()).status());
    }
}

fn signal(child: &Child, name: &str) {
    assert!(Command::new("kill").args([name, &child.id().to_string()]).status().unwrap().success());
}

fn start(mut command: Command) -> Child {
    command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
}

fn end(stage: &Stage, child: Child) -> Ran {
    let ran = Ran::new(child.wait_with_output().unwrap());
    stage.check_always(&ran);
    ran
}

/// Waits until something is so.
#[track_caller]
fn until(what: &str, mut so: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !so() {
        assert!(begun.elapsed() < Duration::from_secs(60), "never: {what}");
        std::thread::yield_now();
    }
}

fn tag(text: &str) -> Reference {
    Reference::Tag(text.parse().unwrap())
}

fn names(folder: &Path) -> Vec<String> {
    files(folder).iter().map(|file| file.file_name().unwrap().to_string_lossy().into_owned()).collect()
}

fn assert_whole(folder: &Path, out: &str) {
    let set: Vec<PathBuf> = volumes(folder, out).keys().map(|name| folder.join(format!("{out}{name}"))).collect();
    assert!(!set.is_empty());
    let findings = check(Input::Files(set), 2, &|_| {}).findings;
    assert!(findings.is_empty(), "{findings:?}");
}

/// An image with one layer that is stored as it is.
fn stored(size: usize) -> Sample {
    SampleImage::new(size as u64).layer(size).build()
}

/// An image with one layer that is compressed while it is packed, and does not get smaller.
fn noisy(size: usize) -> Sample {
    let noise = airlift::testkit::image::noise(99, size);
    SampleImage::new(2).layer(50_000).blob("application/vnd.oci.image.layer.v1.tar", noise).build()
}

// --- room --------------------------------------------------------------------------------------------------------

#[test]
fn a_disk_without_room_is_told_before_the_first_byte() {
    let stage = Stage::new();
    let Some(disk) = SmallDisk::new(stage.path("disk"), "size=4m") else { return };
    let reference = stage.publish("team/app", "1", &stored(9 << 20));
    let before = stage.upstream.counters().bytes_out;
    let pack = || stage.pack(&[&reference], "disk/b", &ANYONE);
    let ran = pack().expect(10).says(&["disk has no room: 94", "bytes are needed, 4194304 are available", "make room"]);
    assert!(ran.stdout.is_empty(), "{}", ran.stdout);
    assert!(stage.upstream.counters().bytes_out - before < 1 << 20, "payload was fetched");
    assert!(names(&disk.0).is_empty(), "{:?}", names(&disk.0));
    let mut dry = vec!["pack", &reference, "-o", "disk/b", "--plain-http", "--dry-run"];
    dry.extend(ANYONE);
    stage.airlift(&dry).expect(10).says(&["disk has no room: 94"]);
    disk.resize("size=20m");
    stage.airlift(&dry).expect(0);
    pack().expect(0);
    assert_whole(&disk.0, "b");
}

#[test]
fn a_disk_that_fills_up_on_the_way_is_told_and_the_run_goes_on_after_room_was_made() {
    let stage = Stage::new();
    let Some(disk) = SmallDisk::new(stage.path("disk"), "size=6m") else { return };
    let reference = stage.publish("team/app", "1", &noisy(12 << 20));
    let pack = || stage.pack(&[&reference], "disk/b", &ANYONE);
    pack().expect(10).says(&["disk takes no more: the disk is full", "0 are available", "make room"]);
    assert!(volumes(&disk.0, "b").is_empty());
    disk.resize("size=20m");
    let before = stage.upstream.counters().bytes_out;
    pack().expect(0).says(&["from an earlier run"]);
    let fetched = stage.upstream.counters().bytes_out - before;
    assert!(fetched < 9 << 20, "{fetched} bytes were fetched again");
    assert_whole(&disk.0, "b");
}

#[test]
fn a_disk_without_names_for_more_files_is_told_apart_from_a_full_one() {
    let stage = Stage::new();
    let Some(disk) = SmallDisk::new(stage.path("disk"), "size=40m,nr_inodes=3") else { return };
    let reference = stage.publish("team/app", "1", &stored(9 << 20));
    let pack = || stage.pack(&[&reference], "disk/b", &[&ANYONE[..], &["--volume-size", "5MiB"]].concat());
    pack().expect(10).says(&["no names for more files are left", "(inodes)"]);
    assert!(volumes(&disk.0, "b").is_empty());
    disk.resize("nr_inodes=100");
    pack().expect(0);
    assert_whole(&disk.0, "b");
}

#[test]
fn a_layout_on_a_disk_without_room_is_refused_before_anything_is_written() {
    let stage = Stage::new();
    let Some(disk) = SmallDisk::new(stage.path("disk"), "size=4m") else { return };
    let image = stored(9 << 20);
    let reference = stage.publish("team/app", "1", &image);
    stage.pack(&[&reference], "b", &ANYONE).expect(0);
    let import = ["import", "b.airlift", "--to", "oci:disk/out", "--bundle-key", "author.pub"];
    let dry = [&import[..], &["--dry-run"]].concat();
    let words = ["disk", "has no room: 94", "bytes are needed, 4", "are available", "make room there"];
    stage.airlift(&dry).expect(50).says(&words);
    assert!(!disk.0.join("out").exists());
    stage.airlift(&import).expect(50).says(&words);
    assert!(volumes(&disk.0, "out").is_empty() && !disk.0.join("out/index.json").exists());
    stage.airlift(&["estimate", &reference, "--plain-http", "--to", "oci:disk/out"]).expect(50).says(&words);
    disk.resize("size=20m");
    stage.airlift(&import).expect(0).says(&["complete: 1 of 1"]);
}

#[test]
fn a_layout_whose_disk_fills_up_on_the_way_keeps_what_is_whole() {
    let stage = Stage::new();
    let Some(disk) = SmallDisk::new(stage.path("disk"), "size=16m") else { return };
    let images = [stored(3 << 20), stored(6 << 20)];
    let references = [stage.publish("team/one", "1", &images[0]), stage.publish("team/two", "1", &images[1])];
    stage.pack(&[&references[0], &references[1]], "b", &ANYONE).expect(0);
    let bundle = std::fs::read(stage.path("b.airlift")).unwrap();
    let mut command = stage.command(&["import", "-", "--to", "oci:disk/out", "--bundle-key", "author.pub"]);
    let mut import = start({
        command.stdin(Stdio::piped());
        command
    });
    let mut pipe = import.stdin.take().unwrap();
    // The second image is under way when somebody else takes the room.
    pipe.write_all(&bundle[..5 << 20]).unwrap();
    until("the first image is in", || disk.0.join("out/index.json").exists());
    let mut filler = File::create(disk.0.join("filler")).unwrap();
    while filler.write_all(&[0; 65536]).is_ok() {}
    drop(pipe.write_all(&bundle[5 << 20..]));
    drop(pipe);
    end(&stage, import).expect(50).says(&["takes no more", "bytes are available", "make room there"]);
    let there = airlift::store::LayoutFolder::open_for_reading(&disk.0.join("out")).unwrap().entries();
    assert_eq!(there.len(), 1, "{there:?}");
    assert_eq!(there[0].1.digest, *images[0].digest());
    drop(filler);
    std::fs::remove_file(disk.0.join("filler")).unwrap();
    let again = ["import", "b.airlift", "--to", "oci:disk/out", "--bundle-key", "author.pub"];
    stage.airlift(&again).expect(0).says(&["complete: 2 of 2", "already there"]);
}

#[test]
fn a_result_that_cannot_be_written_is_no_success() {
    let stage = Stage::new();
    let reference = stage.publish("team/app", "1", &small(1));
    let mirror = format!("apiVersion: airlift/v1alpha1\nkind: Mirror\nimages: [{reference:?}]\n");
    std::fs::write(stage.path("mirror.yaml"), mirror).unwrap();
    let full = || Stdio::from(File::options().write(true).open("/dev/full").unwrap());
    let arguments = ["resolve", "-f", "mirror.yaml", "--plain-http", "-o", "json"];
    let mut command = stage.command(&arguments);
    let child = command.stdout(full()).stderr(Stdio::piped()).spawn().unwrap();
    end(&stage, child).expect(10).says(&["could not be written to standard output", "No space left"]);
    let mut pack = vec!["pack", &reference, "-o", "-", "--plain-http"];
    pack.extend(ANYONE);
    let child = stage.command(&pack).stdout(full()).stderr(Stdio::piped()).spawn().unwrap();
    end(&stage, child).expect(10).says(&["the output takes no more"]);
    // Words on the way may be lost; the work is not.
    let log = ["pack", &reference, "-o", "b", "--plain-http", "-v", "--allow-unsigned", "**"];
    let child = stage.command(&log).stdout(Stdio::piped()).stderr(full()).spawn().unwrap();
    end(&stage, child).expect(0);
    assert_whole(stage.folder.path(), "b");
}

#[test]
fn a_receipt_that_finds_no_room_is_written_by_the_next_run() {
    let stage = Stage::new();
    let Some(disk) = SmallDisk::new(stage.path("disk"), "size=64k") else { return };
    let reference = stage.publish("team/app", "1", &small(1));
    stage.pack(&[&reference], "b", &ANYONE).expect(0);
    let mut filler = File::create(disk.0.join("filler")).unwrap();
    while filler.write_all(&[0; 512]).is_ok() {}
    stage.import("b.airlift", &["--receipt", "disk/r.json"]).expect(10).says(&[
        "r.json",
        "cannot be written",
        "make room",
    ]);
    assert_eq!(names(&disk.0), ["filler"]);
    stage.assert_arrived("team/app", &tag("1"), small(1).digest());
    drop(filler);
    std::fs::remove_file(disk.0.join("filler")).unwrap();
    stage.import("b.airlift", &["--receipt", "disk/r.json"]).expect(0).says(&["already there"]);
    assert_eq!(names(&disk.0), ["r.json"]);
}

// --- resume ------------------------------------------------------------------------------------------------------

#[test]
fn what_was_fetched_is_fetched_again_by_less_than_a_chunk_a_stream() {
    const CHUNK: u64 = 4 << 20;
    let stage = Stage::new();
    let images = [stored(18 << 20), noisy(18 << 20)];
    for (n, image) in images.iter().enumerate() {
        let reference = stage.publish(&format!("team/i{n}"), "1", image);
        let size = image.size();
        let out = format!("b{n}");
        let pack = |retries| {
            let before = stage.upstream.counters().bytes_out;
            let ran = stage.pack(&[&reference], &out, &[&ANYONE[..], &["--retries", retries]].concat());
            (ran, stage.upstream.counters().bytes_out - before)
        };
        let layer = format!("/v2/team/i{n}/blobs/{}", image.blobs().last().unwrap().descriptor.digest);
        // The connection breaks behind the second chunk, in the third.
        let cut = 2 * CHUNK + CHUNK / 2;
        stage.upstream.set_faults(&Faults::none().with(Rule::on("GET", &layer).cut(cut)));
        let (ran, first) = pack("0");
        ran.expect(20).says(&["broke off"]);
        stage.upstream.set_faults(&Faults::none());
        let (ran, second) = pack("0");
        ran.expect(0).says(&["8.0 MiB of it were there from an earlier run"]);
        let again = (first + second).saturating_sub(size);
        assert!(again < CHUNK, "image {n}: {again} bytes were fetched twice");
        assert_whole(stage.folder.path(), &out);
    }
}

#[test]
fn what_the_journal_says_of_a_volume_that_is_gone_is_not_believed() {
    let stage = Stage::new();
    let image = SampleImage::new(1).layer(9 << 20).layer(9 << 20).layer(1 << 20).build();
    let reference = stage.publish("team/app", "1", &image);
    let pack =
        |out: &str| stage.pack(&[&reference], out, &[&ANYONE[..], &["--volume-size", "10MiB", "-j", "1"]].concat());
    pack("good").expect(0);
    let last = image.blobs().into_iter().min_by_key(|b| b.descriptor.size.abs_diff(1 << 20)).unwrap();
    let path = format!("/v2/*/blobs/{}", last.descriptor.digest);
    for lost in ["bad.001.airlift.partial", "bad.002.airlift.partial"] {
        stage.upstream.set_faults(&Faults::none().with(Rule::on("GET", &path).answer(Answer::new(404))));
        pack("bad").expect(20);
        stage.upstream.set_faults(&Faults::none());
        assert!(stage.path("bad.airlift.journal").exists());
        std::fs::remove_file(stage.path(lost)).unwrap();
        pack("bad").expect(0);
        let same = |out: &str| {
            volumes(stage.folder.path(), out).into_iter().map(|(name, b)| (name, b.len())).collect::<Vec<_>>()
        };
        assert_eq!(same("bad"), same("good"));
        assert_whole(stage.folder.path(), "bad");
        volumes(stage.folder.path(), "bad")
            .keys()
            .for_each(|n| std::fs::remove_file(stage.path(&format!("bad{n}"))).unwrap());
    }
}

#[test]
fn two_runs_on_one_output_do_not_meet() {
    let stage = Stage::new();
    let reference = stage.publish("team/app", "1", &stored(6 << 20));
    let slow = Rule::on("GET", "/v2/*/blobs/*").from(3).stall_body(4096, Duration::from_secs(2));
    stage.upstream.set_faults(&Faults::none().with(slow));
    let arguments = ["pack", &reference, "-o", "b", "--plain-http", "--allow-unsigned", "**"];
    let first = start(stage.command(&arguments));
    until("the first one is at work", || stage.path("b.airlift.partial").exists());
    let second = stage.airlift(&arguments);
    let first = end(&stage, first);
    // Whoever came second is told, or finds the finished bundle; neither harms the other.
    assert_eq!(first.code, 0, "{}", first.stderr);
    assert!(second.code == 10 && second.stderr.contains("another run holds"), "{}: {}", second.code, second.stderr);
    assert_whole(stage.folder.path(), "b");
    let import = ["import", "b.airlift", "--to", "oci:out", "--bundle-key", "author.pub", "--allow-unsigned-bundle"];
    let runs: Vec<Child> = (0..4).map(|_| start(stage.command(&import))).collect();
    let codes: Vec<i32> = runs.into_iter().map(|run| end(&stage, run).code).collect();
    assert!(codes.contains(&0) && codes.iter().all(|code| matches!(code, 0 | 10)), "{codes:?}");
    stage.airlift(&import).expect(0).says(&["already there"]);
}

// --- a wish to stop ----------------------------------------------------------------------------------------------

#[test]
fn a_run_that_is_asked_to_stop_ends_within_ten_seconds_and_goes_on_later() {
    let stage = Stage::new();
    let reference = stage.publish("team/app", "1", &stored(30 << 20));
    let layer = "/v2/*/blobs/*";
    let pack = ["pack", &reference, "-o", "b", "--plain-http", "--allow-unsigned", "**"];
    // One that gives its bytes slowly, and one that has fallen silent.
    let silent = Rule::on("GET", layer).from(2).stall_body(9 << 20, Duration::from_secs(300));
    stage.upstream.set_faults(&Faults::none().with(silent));
    for name in ["-TERM", "-INT"] {
        let before = stage.upstream.counters().bytes_out;
        let run = start(stage.command(&pack));
        until("payload comes", || stage.upstream.counters().bytes_out > before + (5 << 20));
        let asked = Instant::now();
        signal(&run, name);
        let ran = end(&stage, run).expect(10).says(&["stopped on request"]);
        assert!(asked.elapsed() < Duration::from_secs(10), "{:?}: {}", asked.elapsed(), ran.stderr);
        assert!(volumes(stage.folder.path(), "b").is_empty());
    }
    let silent = Rule::on("GET", layer).from(2).stall_body(1 << 20, Duration::from_secs(300));
    stage.upstream.set_faults(&Faults::none().with(silent));
    let before = stage.upstream.counters().bytes_out;
    let run = start(stage.command(&pack));
    until("payload comes", || stage.upstream.counters().bytes_out > before + (1 << 20));
    std::thread::sleep(Duration::from_millis(500)); // while bytes come, the first signal is enough
    signal(&run, "-TERM");
    std::thread::sleep(Duration::from_millis(100)); // two signals at one instant count as one
    signal(&run, "-TERM");
    let asked = Instant::now();
    assert_eq!(run.wait_with_output().unwrap().status.code(), Some(130));
    assert!(asked.elapsed() < Duration::from_secs(3), "{:?}", asked.elapsed());
    stage.upstream.set_faults(&Faults::none());
    stage.airlift(&pack).expect(0);
    assert_whole(stage.folder.path(), "b");
}

#[test]
fn an_import_that_is_asked_to_stop_writes_its_receipt_and_goes_on_later() {
    let stage = Stage::new();
    let images = [stored(1 << 20), stored(20 << 20)];
    let references = [stage.publish("team/one", "1", &images[0]), stage.publish("team/two", "1", &images[1])];
    stage.pack(&[&references[0], &references[1]], "b", &ANYONE).expect(0);
    let bundle = std::fs::read(stage.path("b.airlift")).unwrap();
    let to = stage.enclave.host();
    let import = ["import", "-", "--to", &to, "--bundle-key", "author.pub", "--plain-http", "--receipt", "r.json"];
    let mut command = stage.command(&import);
    command.stdin(Stdio::piped());
    let mut run = start(command);
    let mut pipe = run.stdin.take().unwrap();
    pipe.write_all(&bundle[..6 << 20]).unwrap();
    until("the first image is in", || stage.tags_there("team/one") == ["1"]);
    signal(&run, "-TERM");
    std::thread::sleep(Duration::from_millis(50)); // the wish is heard by another thread
    drop(pipe.write_all(&bundle[6 << 20..12 << 20]));
    let asked = Instant::now();
    end(&stage, run).expect(10).says(&["stopped on request"]);
    assert!(asked.elapsed() < Duration::from_secs(10), "{:?}", asked.elapsed());
    drop(pipe);
    let receipt: serde_json::Value = serde_json::from_slice(&std::fs::read(stage.path("r.json")).unwrap()).unwrap();
    assert_eq!(receipt["complete"], false);
    assert!(stage.tags_there("team/two").is_empty());
    stage.import("b.airlift", &[]).expect(0).says(&["already there", "complete: 2 of 2"]);
    stage.assert_arrived("team/two", &tag("1"), images[1].digest());
}

// --- through a pipe ----------------------------------------------------------------------------------------------

/// Runs a pack and an import with a pipe between them.
fn through_a_pipe(stage: &Stage, pack: &[&str], import: &[&str]) -> (Ran, Ran) {
    let to = stage.enclave.host();
    let pack = [&["pack", "-o", "-", "--plain-http", "--sign-key", "author.key"][..], pack].concat();
    let import = [&["import", "-", "--to", &to, "--plain-http"][..], import].concat();
    let mut pack = start(stage.command(&pack));
    let mut command = stage.command(&import);
    command.stdin(pack.stdout.take().unwrap());
    let import = start(command);
    let import = end(stage, import);
    (end(stage, pack), import)
}

#[test]
fn a_reader_that_refuses_is_told_to_the_one_that_packs() {
    let stage = Stage::new();
    let reference = stage.publish("team/app", "1", &stored(20 << 20));
    std::fs::write(stage.path("other.pub"), airlift::trust::SigningKey::generate().unwrap().public().to_pem()).unwrap();
    let pack = [&reference[..], "--allow-unsigned", "**"];
    let (pack_end, import_end) = through_a_pipe(&stage, &pack, &["--bundle-key", "other.pub"]);
    import_end.expect(30);
    pack_end.expect(10).says(&["the reader of the bundle went away"]);
    assert!(stage.tags_there("team/app").is_empty());
    let (pack_end, import_end) = through_a_pipe(&stage, &pack, &["--bundle-key", "author.pub"]);
    pack_end.expect(0);
    import_end.expect(0);
    stage.assert_arrived("team/app", &tag("1"), stored(20 << 20).digest());
}

#[test]
fn a_pack_that_fails_on_the_way_shows_nothing_that_is_not_whole_at_the_other_end() {
    let stage = Stage::new();
    let images = [stored(1 << 20), stored(12 << 20)];
    let references = [stage.publish("team/one", "1", &images[0]), stage.publish("team/two", "1", &images[1])];
    let pack = [&references[0][..], &references[1], "--allow-unsigned", "**", "--retries", "0"];
    let layer = images[1].blobs().last().unwrap().descriptor.digest.clone();
    let path = format!("/v2/team/two/blobs/{layer}");
    for (rule, code) in [(Rule::on("GET", &path).cut(9 << 20), 20), (Rule::on("GET", &path).flip(9 << 20), 40)] {
        stage.upstream.set_faults(&Faults::none().with(rule));
        let (pack_end, import_end) = through_a_pipe(&stage, &pack, &["--bundle-key", "author.pub"]);
        pack_end.expect(code);
        import_end.expect(40).says(&["stream"]);
        assert_eq!(stage.tags_there("team/one"), ["1"]);
        assert!(stage.tags_there("team/two").is_empty());
    }
    stage.upstream.set_faults(&Faults::none());
    let (pack_end, import_end) = through_a_pipe(&stage, &pack, &["--bundle-key", "author.pub"]);
    pack_end.expect(0);
    import_end.expect(0).says(&["already there", "complete: 2 of 2"]);
}

#[test]
fn a_pipe_whose_writer_is_killed_shows_nothing_that_is_not_whole() {
    let stage = Stage::new();
    let image = stored(20 << 20);
    let reference = stage.publish("team/app", "1", &image);
    let silent = Rule::on("GET", "/v2/*/blobs/*").from(2).stall_body(9 << 20, Duration::from_secs(300));
    stage.upstream.set_faults(&Faults::none().with(silent));
    let to = stage.enclave.host();
    let pack = ["pack", &reference, "-o", "-", "--plain-http", "--sign-key", "author.key", "--allow-unsigned", "**"];
    let mut pack = start(stage.command(&pack));
    let mut command = stage.command(&["import", "-", "--to", &to, "--bundle-key", "author.pub", "--plain-http"]);
    command.stdin(pack.stdout.take().unwrap());
    let import = start(command);
    until("bytes arrive", || stage.enclave.counters().bytes_in > 1 << 20);
    pack.kill().unwrap();
    pack.wait().unwrap();
    end(&stage, import).expect(40);
    assert!(stage.tags_there("team/app").is_empty());
}
