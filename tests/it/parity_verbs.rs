//! Parity at the command line: packed with it, checked, repaired, imported; and killed on the way.

use crate::kill::{Dice, kill};
use crate::stage::{Ran, Stage, small, volumes};
use airlift::model::Reference;
use airlift::testkit::image::{Sample, SampleImage};
use std::fs;
use std::time::{Duration, Instant};

const UNSIGNED: [&str; 2] = ["--allow-unsigned", "**"];

/// Runs a verb that replaces files of a set or adds to it; what else holds after every run is checked.
fn quietly(stage: &Stage, arguments: &[&str]) -> Ran {
    let begun = Instant::now();
    let ran = Ran { took: Duration::ZERO, ..Ran::new(stage.command(arguments).output().unwrap()) };
    stage.check_always(&ran);
    Ran { took: begun.elapsed(), ..ran }
}

/// A stage with a bundle `b` of several volumes and two parity volumes.
fn packed() -> (Stage, Sample) {
    let stage = Stage::new();
    let image = SampleImage::new(3).shared_layer(1, 40 << 10).layer(50 << 10).layer(30 << 10).build();
    let reference = stage.publish("team/app", "1", &image);
    let more = ["--volume-size", "64KiB", "--parity", "2", UNSIGNED[0], UNSIGNED[1]];
    stage.pack(&[&reference], "b", &more).expect(0).says(&["b.p01.airlift", "b.p02.airlift"]);
    (stage, image)
}

#[test]
fn a_bundle_with_parity_says_what_it_survives_and_a_lost_volume_is_repaired_and_imported() {
    let (stage, image) = packed();
    let good = volumes(stage.folder.path(), "b");
    let count = good.len() - 2;
    assert!(count >= 3, "{count} volumes");
    assert!(good.values().all(|bytes| bytes.len() <= 64 << 10), "a parity volume does not fit where volumes do");
    let verify = |code: i32| stage.airlift(&["verify", "b.*.airlift", "--bundle-key", "author.pub"]).expect(code);
    let survives = format!("survives: any 2 of {} volumes", count + 2);
    verify(0).says(&[&survives, &format!("in {count} volumes")]);
    stage.airlift(&["inspect", "b.*.airlift"]).expect(0).says(&[&survives]);
    let json = stage.airlift(&["inspect", "b.*.airlift", "-o", "json"]).expect(0);
    let json: serde_json::Value = serde_json::from_str(&json.stdout).unwrap();
    assert_eq!(json["parity"]["usable"], 2);

    fs::remove_file(stage.path("b.001.airlift")).unwrap();
    let mut damaged = good[".002.airlift"].clone();
    damaged[30_000] ^= 1;
    fs::write(stage.path("b.002.airlift"), &damaged).unwrap();
    verify(40).says(&["volume 1 is missing", "airlift repair"]);
    stage.import("b.*.airlift", &[]).expect(40).says(&["airlift repair"]);
    quietly(&stage, &["repair", "b.*.airlift", "--dry-run"])
        .expect(0)
        .says(&["volume 1 is lost", "can be repaired: 2 volumes"]);
    quietly(&stage, &["repair", "b.*.airlift"]).expect(0).says(&["repaired: 2 volumes", "b.002.airlift.damaged"]);
    assert!(volumes(stage.folder.path(), "b") == good);
    assert!(fs::read(stage.path("b.002.airlift.damaged")).unwrap() == damaged);
    verify(0);
    quietly(&stage, &["repair", "b.*.airlift"]).expect(0).says(&["whole: "]);
    stage.import("b.*.airlift", &[]).expect(0);
    stage.assert_arrived("team/app", &Reference::Tag("1".parse().unwrap()), image.digest());
}

#[test]
fn too_much_damage_ends_with_40_and_says_how_much_too_much() {
    let (stage, _) = packed();
    let first = fs::read(stage.path("b.001.airlift")).unwrap();
    for name in ["b.001.airlift", "b.002.airlift", "b.003.airlift"] {
        fs::remove_file(stage.path(name)).unwrap();
    }
    let ran = quietly(&stage, &["repair", "b.*.airlift"]).expect(40);
    ran.says(&["3 blocks damaged, 2 can be made again: 1 too many (in volumes 1, 2, 3)", "too much is damaged"]);
    let json = quietly(&stage, &["repair", "b.*.airlift", "--format", "json"]).expect(40);
    let json: serde_json::Value = serde_json::from_str(&json.stdout).unwrap();
    assert_eq!((&json["whole"], &json["hopeless"]), (&false.into(), &serde_json::json!([1, 2, 3])));
    for name in ["b.p01.airlift", "b.p02.airlift"] {
        fs::remove_file(stage.path(name)).unwrap();
    }
    fs::write(stage.path("b.001.airlift"), first).unwrap();
    quietly(&stage, &["repair", "b.*.airlift"]).expect(40).says(&["no parity volume"]);
}

#[test]
fn a_single_file_gets_parity_beside_it_and_is_repaired_by_its_name() {
    let stage = Stage::new();
    let reference = stage.publish("team/app", "1", &small(4));
    let more = ["--parity", "3%", UNSIGNED[0], UNSIGNED[1]];
    stage.pack(&[&reference], "b", &more).expect(0);
    let good = volumes(stage.folder.path(), "b");
    assert_eq!(good.keys().collect::<Vec<_>>(), [".airlift", ".p01.airlift", ".p02.airlift", ".p03.airlift"]);
    stage.airlift(&["inspect", "b.airlift"]).expect(0).says(&["survives: up to", "in one stretch"]);
    let mut bad = good[".airlift"].clone();
    bad[..9000].fill(0);
    fs::write(stage.path("b.airlift"), bad).unwrap();
    let verified = stage.airlift(&["verify", "b.airlift", "--allow-unsigned-bundle"]);
    verified.expect(40).says(&["airlift repair"]);
    quietly(&stage, &["repair", "b.airlift", "-o", "made"]).expect(0);
    assert!(fs::read(stage.path("made/b.airlift")).unwrap() == good[".airlift"]);
    quietly(&stage, &["repair", "b.airlift"]).expect(0);
    assert!(volumes(stage.folder.path(), "b") == good);
}

#[test]
fn parity_is_added_to_a_finished_bundle_and_not_to_a_damaged_one_or_a_stream() {
    let (stage, _) = packed();
    let good = volumes(stage.folder.path(), "b");
    let forget = || ["b.p01.airlift", "b.p02.airlift"].iter().for_each(|name| drop(fs::remove_file(stage.path(name))));
    forget();
    quietly(&stage, &["parity", "b.*.airlift", "--parity", "2"]).expect(0).says(&["b.p02.airlift"]);
    assert!(volumes(stage.folder.path(), "b") == good);
    quietly(&stage, &["parity", "b.*.airlift", "--parity", "3"]).expect(2).says(&["exists", "nothing was changed"]);
    // A pack that was killed in its last pass adds what lacks when it is run again.
    fs::remove_file(stage.path("b.p02.airlift")).unwrap();
    let reference = format!("{}/team/app:1", stage.upstream.host());
    let more = ["--volume-size", "64KiB", "--parity", "2", UNSIGNED[0], UNSIGNED[1]];
    stage.pack(&[&reference], "b", &more).expect(0);
    assert!(volumes(stage.folder.path(), "b") == good);
    forget();
    let mut bad = good[".002.airlift"].clone();
    bad[20_000] ^= 1;
    fs::write(stage.path("b.002.airlift"), bad).unwrap();
    quietly(&stage, &["parity", "b.*.airlift", "--parity", "2"]).expect(40);
    assert!(!stage.path("b.p01.airlift").exists());
    let ran = stage.pack(&[&reference], "-", &["--parity", "2", UNSIGNED[0], UNSIGNED[1]]);
    ran.expect(2).says(&["parity over a stream"]);
    quietly(&stage, &["parity", "b.*.airlift", "--parity", "0"]).expect(2);
}

#[test]
fn parity_behind_the_volumes_of_a_stream_is_imported_over() {
    let (stage, image) = packed();
    let stream: Vec<u8> = volumes(stage.folder.path(), "b").into_values().flatten().collect();
    fs::write(stage.path("stream"), stream).unwrap();
    let to = stage.enclave.host();
    let mut command = stage.command(&["import", "-", "--to", &to, "--bundle-key", "author.pub", "--plain-http"]);
    command.stdin(fs::File::open(stage.path("stream")).unwrap());
    stage.run(command).expect(0);
    stage.assert_arrived("team/app", &Reference::Tag("1".parse().unwrap()), image.digest());
}

#[test]
fn killed_while_parity_is_made_or_a_volume_repaired_the_same_command_ends_in_the_same_bytes() {
    let stage = Stage::new();
    let image = SampleImage::new(9).layer(9 << 20).layer(7 << 20).build();
    let reference = stage.publish("team/app", "1", &image);
    stage.pack(&[&reference], "b", &["--volume-size", "6MiB", "--parity", "1", UNSIGNED[0], UNSIGNED[1]]).expect(0);
    let good = volumes(stage.folder.path(), "b");
    let put = || good.iter().for_each(|(name, bytes)| fs::write(stage.path(&format!("b{name}")), bytes).unwrap());
    let clear = || {
        for entry in fs::read_dir(stage.folder.path()).unwrap() {
            let path = entry.unwrap().path();
            if path.is_file() && path.file_name().unwrap().to_string_lossy().starts_with("b.") {
                fs::remove_file(path).unwrap();
            }
        }
    };
    let mut dice = Dice(0x1234_5678_9abc_def1);
    let mut hit = 0;
    let mut rounds = |arguments: &[&str], damage: &dyn Fn()| {
        damage();
        let whole = quietly(&stage, arguments).expect(0).took;
        for round in 0..12 {
            clear();
            put();
            damage();
            for _ in 0..3 {
                hit += u32::from(kill(stage.command(arguments), &mut dice, whole));
                // What has a final name is whole, or what it was before.
                for (name, bytes) in volumes(stage.folder.path(), "b") {
                    let as_before =
                        [".001.airlift", ".002.airlift"].contains(&name.as_str()) && arguments[0] == "repair";
                    assert!(bytes == good[&name] || as_before, "{round}: {name}");
                }
            }
            quietly(&stage, arguments).expect(0);
            assert!(volumes(stage.folder.path(), "b") == good, "round {round}");
            let partial = fs::read_dir(stage.folder.path()).unwrap();
            let partial = partial.filter(|e| e.as_ref().unwrap().path().extension().is_some_and(|e| e == "partial"));
            assert_eq!(partial.count(), 0, "round {round}: something is left");
        }
    };
    rounds(&["parity", "b.00*.airlift", "--parity", "1"], &|| {
        fs::remove_file(stage.path("b.p01.airlift")).unwrap();
    });
    // Two volumes are damaged in different stripes: were one of them lost, the other could not be made again.
    rounds(&["repair", "b.*.airlift"], &|| {
        for (name, first) in [(".001.airlift", 0), (".002.airlift", 65_536)] {
            let mut bad = good[name].clone();
            bad.iter_mut().skip(first).step_by(2 * 65_536).for_each(|byte| *byte ^= 1);
            fs::write(stage.path(&format!("b{name}")), bad).unwrap();
        }
    });
    assert!(hit > 20, "only {hit} of 72 kills hit a running program");
}
