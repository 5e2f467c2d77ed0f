//! The program is killed at random points; the same command, run again, ends as if nothing had happened.

use crate::stage::{Stage, files, volumes};
use airlift::model::Reference;
use airlift::serve::{Faults, Rule};
use airlift::testkit::image::{Sample, SampleImage};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// Kills of each verb; together at least 200.
const KILLS: u32 = 110;
/// Kills before a run is let to its end and compared.
const ROUND: u32 = 11;

/// A pseudo-random sequence: a failure names its seed.
pub struct Dice(pub u64);

impl Dice {
    pub fn roll(&mut self, below: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % below.max(1)
    }
}

fn images() -> Vec<Sample> {
    let image =
        |seed: u64| SampleImage::new(seed).shared_layer(1, 2 << 20).layer(6 << 20).plain_layer(seed, 5 << 20).build();
    (1..=3).map(image).collect()
}

/// Starts `command`, kills it after a random part of `whole`, and returns whether it was still at work.
pub fn kill(mut command: Command, dice: &mut Dice, whole: Duration) -> bool {
    let mut child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    let micros = dice.roll(u64::try_from(whole.as_micros()).unwrap());
    let until = Instant::now() + Duration::from_micros(micros);
    while Instant::now() < until {
        if child.try_wait().unwrap().is_some() {
            return false;
        }
        std::thread::yield_now();
    }
    let running = child.try_wait().unwrap().is_none();
    child.kill().unwrap();
    child.wait().unwrap();
    running
}

#[test]
fn a_killed_pack_ends_in_the_same_bytes() {
    let stage = Stage::new();
    let references: Vec<String> =
        images().iter().enumerate().map(|(n, image)| stage.publish(&format!("team/i{n}"), "1", image)).collect();
    // A source that pauses makes a run long enough to be hit in the middle.
    stage.upstream.set_faults(&Faults::none().with(Rule::on("GET", "/v2/*/blobs/*").stall(Duration::from_millis(4))));
    let command = |out: &str| {
        let mut arguments = vec!["pack"];
        arguments.extend(references.iter().map(String::as_str));
        arguments.extend(["-o", out, "--allow-unsigned", "**", "--plain-http", "--volume-size", "16MiB"]);
        stage.command(&arguments)
    };
    let whole = stage.run(command("good")).expect(0).took;
    let good = volumes(stage.folder.path(), "good");
    assert!(good.len() > 1);
    let mut dice = Dice(0x9e37_79b9_7f4a_7c15);
    let mut hit = 0;
    for round in 0..KILLS / ROUND {
        for n in 0..ROUND {
            hit += u32::from(kill(command("bad"), &mut dice, whole));
            // A final name is never given to half a set: volume 1 comes last.
            let now = volumes(stage.folder.path(), "bad");
            if now.keys().any(|name| name.contains(".001.")) {
                assert!(now == good, "round {round}, kill {n}: a set that looks finished differs");
                // A finished set leaves nothing to kill: begin anew.
                now.keys().for_each(|name| std::fs::remove_file(stage.path(&format!("bad{name}"))).unwrap());
            }
        }
        stage.run(command("bad")).expect(0);
        assert!(volumes(stage.folder.path(), "bad") == good, "round {round}: the resumed bundle differs");
        for file in files(stage.folder.path()) {
            let name = file.file_name().unwrap().to_string_lossy().into_owned();
            assert!(!name.starts_with("bad.") || name.ends_with(".airlift"), "{name} is left");
            if name.starts_with("bad.") {
                std::fs::remove_file(file).unwrap();
            }
        }
    }
    assert!(hit > KILLS / 2, "only {hit} of {KILLS} kills hit a running program");
}

#[test]
fn a_killed_import_shows_only_whole_artifacts_and_is_finished_by_the_next() {
    let mut stage = Stage::new();
    let images = images();
    let references: Vec<String> =
        images.iter().enumerate().map(|(n, image)| stage.publish(&format!("team/i{n}"), "1", image)).collect();
    let mut arguments = references.iter().map(String::as_str).collect::<Vec<_>>();
    arguments.sort_unstable();
    stage.pack(&arguments, "b", &["--allow-unsigned", "**"]).expect(0);
    let mut dice = Dice(0x2545_f491_4f6c_dd1d);
    let mut hit = 0;
    let mut whole = Duration::from_millis(400);
    for round in 0..KILLS / ROUND {
        let fresh = airlift::serve::Options::new(stage.folder.path().join(format!("enclave{round}")));
        stage.enclave = airlift::serve::EmbeddedRegistry::start(fresh).unwrap();
        stage.enclave.set_faults(&Faults::none().with(Rule::on("*", "/v2/*").stall(Duration::from_millis(2))));
        let to = stage.enclave.host();
        let import =
            || stage.command(&["import", "b.airlift", "--to", &to, "--bundle-key", "author.pub", "--plain-http"]);
        for _ in 0..ROUND {
            hit += u32::from(kill(import(), &mut dice, whole));
            for (n, image) in images.iter().enumerate() {
                let path = format!("team/i{n}");
                if stage.tags_there(&path).contains(&"1".to_owned()) {
                    stage.assert_arrived(&path, &Reference::Tag("1".parse().unwrap()), image.digest());
                }
            }
        }
        whole = whole.max(stage.run(import()).expect(0).took);
        for (n, image) in images.iter().enumerate() {
            stage.assert_arrived(&format!("team/i{n}"), &Reference::Tag("1".parse().unwrap()), image.digest());
        }
    }
    assert!(hit > KILLS / 3, "only {hit} of {KILLS} kills hit a running program");
}
