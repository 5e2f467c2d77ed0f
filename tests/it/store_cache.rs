//! The store through the program: what is not asked for again, what happens to damage, to a full disk, to a kill, and to
//! many runs at once.

use crate::bad_input::SmallDisk;
use crate::chart_images::{about, address, archive, deployment};
use crate::kill::{Dice, kill};
use crate::stage::{Ran, Stage, files, small, volumes};
use airlift::model::Digest;
use airlift::serve::{Faults, Rule};
use airlift::testkit::files::FileServer;
use airlift::testkit::image::{Sample, SampleImage};
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

fn pack(stage: &Stage, references: &[&str], out: &str, store: &str) -> Ran {
    plain(stage, references, out, &["--store", store])
}

/// Packs without a signature, which would be another one each time.
fn plain(stage: &Stage, references: &[&str], out: &str, more: &[&str]) -> Ran {
    let fixed = ["-o", out, "--allow-unsigned", "**", "--plain-http"];
    stage.airlift(&[&["pack"], references, &fixed, more].concat())
}

fn requests(stage: &Stage) -> (u64, u64) {
    let counters = stage.upstream.counters();
    (counters.blob_get, counters.manifest_get)
}

/// Checks that every blob of a store is what its name says, and that nothing is on its way.
fn assert_whole(store: &Path) {
    for file in files(&store.join("blobs")) {
        let name = file.file_name().unwrap().to_str().unwrap().to_owned();
        assert_eq!(Digest::of(&std::fs::read(&file).unwrap()).hex(), name);
    }
}

#[test]
fn a_second_pack_asks_only_for_tags_and_for_what_the_store_lacks() {
    let stage = Stage::new();
    let one = stage.publish("team/one", "1", &small(1));
    let index = Sample::index(&[small(2), SampleImage::new(3).layer(70_000).build()]);
    let two = stage.publish("team/two", "1", &index);
    pack(&stage, &[&one], "cold", "store").expect(0).says(&["store: 0 blobs", "put into it"]);
    let before = requests(&stage);
    pack(&stage, &[&one], "warm", "store").expect(0).says(&["0 blobs (0 B) put into it"]);
    let after = requests(&stage);
    assert_eq!((after.0 - before.0, after.1 - before.1), (0, 1), "no blob, and one request for the tag");
    assert!(volumes(stage.folder.path(), "warm") == volumes(stage.folder.path(), "cold"));
    // Another job shares what it has in common: the small images have a layer in common.
    let distinct: std::collections::BTreeSet<Digest> =
        index.blobs().into_iter().map(|blob| blob.descriptor.digest.clone()).collect();
    pack(&stage, &[&two], "two", "store").expect(0);
    assert_eq!(requests(&stage).0 - after.0, distinct.len() as u64 - 1);
    // Without a store nothing of one is made, and the bundle is the same.
    plain(&stage, &[&one], "none", &[]).expect(0);
    assert!(volumes(stage.folder.path(), "none") == volumes(stage.folder.path(), "cold"));
    let mut named = stage.command(&["pack", &one, "-o", "-", "--allow-unsigned", "**", "--plain-http"]);
    named.env("AIRLIFT_STORE", stage.path("store")).stdout(Stdio::null());
    let before = requests(&stage);
    stage.run(named).expect(0);
    assert_eq!(requests(&stage).0, before.0, "the variable names a store too");
    assert_whole(&stage.path("store"));
}

#[test]
fn a_mirror_without_a_bundle_uses_the_store_too() {
    let stage = Stage::new();
    let image = small(1);
    let one = stage.publish("team/one", "1", &image);
    pack(&stage, &[&one], "b", "store").expect(0);
    let before = requests(&stage);
    let to = stage.enclave.host();
    let sync = ["sync", &one, "--to", &to, "--plain-http", "--allow-unsigned", "**", "--store", "store"];
    stage.airlift(&sync).expect(0);
    assert_eq!(requests(&stage).0, before.0);
    stage.assert_arrived("team/one", &airlift::model::Reference::Tag("1".parse().unwrap()), image.digest());
    let shown = stage.airlift(&["store", "show", "store", "-o", "json"]).expect(0).stdout;
    let shown: serde_json::Value = serde_json::from_str(&shown).unwrap();
    let roots: Vec<&str> =
        shown["roots"].as_array().unwrap().iter().map(|root| root["name"].as_str().unwrap()).collect();
    assert!(roots.len() == 2 && roots[0].starts_with("pack.references-") && roots[1].starts_with("sync."), "{roots:?}");
}

#[test]
fn what_is_large_and_bad_in_the_store_is_fetched_while_it_is_packed_or_mirrored() {
    let stage = Stage::new();
    let image = SampleImage::new(1).layer(33 << 20).build();
    let one = stage.publish("team/one", "1", &image);
    pack(&stage, &[&one], "good", "store").expect(0);
    let layer = &image.blobs()[1].descriptor.digest;
    let place = stage.path("store/blobs/sha256").join(layer.hex());
    let spoil = || {
        let mut bytes = std::fs::read(&place).unwrap();
        bytes[1 << 20] ^= 1;
        std::fs::remove_file(&place).unwrap();
        std::fs::write(&place, bytes).unwrap();
    };
    spoil();
    pack(&stage, &[&one], "again", "store").expect(0).says(&["the store's copy is bad", &layer.to_string()]);
    assert!(volumes(stage.folder.path(), "again") == volumes(stage.folder.path(), "good"));
    spoil();
    let to = stage.enclave.host();
    let sync = ["sync", &one, "--to", &to, "--plain-http", "--allow-unsigned", "**", "--store", "store"];
    stage.airlift(&sync).expect(0).says(&["the store's copy is bad"]);
    spoil();
    let mut piped =
        stage.command(&["pack", &one, "-o", "-", "--allow-unsigned", "**", "--plain-http", "--store", "store"]);
    piped.stdout(std::fs::File::create(stage.path("piped")).unwrap());
    stage.run(piped).expect(0).says(&["the store's copy is bad"]);
    assert_whole(&stage.path("store"));
}

#[test]
fn charts_are_resolved_out_of_the_store() {
    let (stage, files) = (Stage::new(), FileServer::start());
    for version in ["1.0.0", "1.1.0"] {
        let about = about("press", version, "");
        let template = deployment(&format!("image: {}/team/app:{version}", stage.upstream.host()));
        let packed = archive("press", &[("Chart.yaml", &about), ("templates/x.yaml", &template)]);
        stage.publish("charts/press", version, &SampleImage::new(1).chart("press", version, packed).build());
        stage.publish("team/app", version, &small(7));
    }
    let leaf = archive("leaf", &[("Chart.yaml", &about("leaf", "1.4.0", ""))]);
    files.put("/charts/leaf-1.4.0.tgz", &leaf);
    let index = format!(
        "apiVersion: v1\nentries:\n  leaf:\n  - version: 1.4.0\n    digest: {}\n    urls: [leaf-1.4.0.tgz]\n",
        Digest::of(&leaf).hex()
    );
    files.put("/charts/index.yaml", index.as_bytes());
    let mirror = format!(
        "apiVersion: airlift/v1alpha1\nkind: Mirror\ncharts:\n- {{repo: 'oci://{}/charts', chart: press, version: ^1}}\n- {{repo: '{}', chart: leaf, version: ^1}}\n",
        stage.upstream.host(),
        address(&files)
    );
    std::fs::write(stage.path("mirror.yaml"), mirror).unwrap();
    let resolve = |lock: &str| {
        stage.airlift(&["resolve", "-f", "mirror.yaml", "--lock", lock, "--plain-http", "--store", "store"]).expect(0)
    };
    resolve("cold.lock");
    let (before, seen) = (stage.upstream.counters(), files.seen().len());
    resolve("warm.lock");
    let after = stage.upstream.counters();
    assert_eq!(after.blob_get, before.blob_get, "the chart comes from the store");
    for (name, asked) in &after.manifest_gets {
        let again = asked - before.manifest_gets.get(name).copied().unwrap_or_default();
        assert!(again <= u64::from(!name.contains('@')), "{name} was asked for {again} times");
    }
    let paths: Vec<String> = files.seen()[seen..].iter().map(|seen| seen.path.clone()).collect();
    assert_eq!(paths, ["/charts/index.yaml"], "the archive has a digest in the index");
    let lock = |name: &str| std::fs::read(stage.path(name)).unwrap();
    assert!(lock("warm.lock") == lock("cold.lock"));
}

#[test]
fn damage_in_a_store_is_named_set_aside_and_fetched_again() {
    let stage = Stage::new();
    let one = stage.publish("team/one", "1", &small(1));
    pack(&stage, &[&one], "good", "store").expect(0);
    stage.airlift(&["store", "check", "store"]).expect(0).says(&["good", "0 of them read"]);
    stage.airlift(&["store", "check", "store", "--all"]).expect(0).says(&["good"]);
    let mut blobs = files(&stage.path("store/blobs"));
    let (flipped, short, gone) = (blobs.remove(0), blobs.remove(0), blobs.remove(0));
    let name = |path: &Path| path.file_name().unwrap().to_str().unwrap().to_owned();
    let mut bytes = std::fs::read(&flipped).unwrap();
    bytes[0] ^= 1;
    let replace = |path: &Path, bytes: &[u8]| {
        std::fs::remove_file(path).unwrap();
        std::fs::write(path, bytes).unwrap();
    };
    replace(&flipped, &bytes);
    replace(&short, b"short");
    std::fs::remove_file(&gone).unwrap();
    let found = format!("found {}", Digest::of(&bytes));
    stage.airlift(&["store", "check", "store"]).expect(40).says(&[
        &name(&short),
        "found 5 bytes",
        &name(&gone),
        "missing",
    ]);
    stage.airlift(&["store", "check", "store", "--all"]).expect(40).says(&[&name(&flipped), &found, "NOT good"]);
    // The parts of a sample find between them what the whole finds.
    let codes = ["1/3", "2/3", "3/3"].map(|part| {
        let ran = stage.airlift(&["store", "check", "store", "--sample", part]);
        assert_eq!(ran.code, 40, "sizes are looked at in every part");
        ran.stdout.contains(&name(&flipped))
    });
    assert_eq!(codes.iter().filter(|found| **found).count(), 1);
    let timed = stage.airlift(&["store", "check", "store", "--max-duration", "10m", "-o", "json"]).expect(40).stdout;
    let timed: serde_json::Value = serde_json::from_str(&timed).unwrap();
    assert_eq!((timed["stopped"].as_bool(), timed["bad"].as_array().map(Vec::len)), (Some(false), Some(2)));
    assert_eq!(timed["missing"].as_array().map(Vec::len), Some(1));
    stage.airlift(&["store", "check", "store", "--max-duration", "0s"]).expect(40).says(&["not all was read"]);
    stage.airlift(&["store", "check", "store", "--all", "--repair"]).expect(0).says(&["set aside"]);
    pack(&stage, &[&one], "again", "store").expect(0);
    assert!(volumes(stage.folder.path(), "again") == volumes(stage.folder.path(), "good"));
    stage.airlift(&["store", "check", "store", "--all"]).expect(0);
    stage.airlift(&["store", "show", "store"]).expect(0).says(&["set aside as bad: 2 files"]);
    assert_whole(&stage.path("store"));
}

#[test]
fn what_no_root_keeps_is_freed_and_what_would_be_is_told_before() {
    let stage = Stage::new();
    let one = stage.publish("team/one", "1", &small(1));
    let two = stage.publish("team/two", "1", &small(2));
    for (reference, root) in [(&one, "first"), (&two, "second")] {
        let more = ["--allow-unsigned", "**", "--store", "store", "--store-root", root];
        stage.pack(&[reference], root, &more).expect(0).says(&[&format!("kept as {root}")]);
    }
    stage.airlift(&["store", "show", "store"]).expect(0).says(&["first", "second", "of them alone"]);
    stage.airlift(&["store", "gc", "store"]).expect(0).says(&["freed 0 B in 0 blobs"]);
    let count = || files(&stage.path("store/blobs")).len();
    let before = count();
    let gc = |more: &[&str]| stage.airlift(&[&["store", "gc", "store", "--keep", "second"], more].concat());
    gc(&[]).expect(0).says(&["root first goes", "put too short a time ago"]);
    assert_eq!(count(), before, "what is young stays, whatever keeps it");
    gc(&["--keep", "first"]).expect(2).says(&["no root first"]);
    let dry = gc(&["--older-than", "0s", "--dry-run", "-o", "json"]).expect(0).stdout;
    assert_eq!(count(), before);
    let real = gc(&["--older-than", "0s", "-o", "json"]).expect(0).stdout;
    assert_eq!(real, dry, "what is told is what is done");
    // The two share one layer, which stays.
    assert_eq!(before - count(), small(1).blobs().len() - 1 + 1);
    let asked = requests(&stage);
    pack(&stage, &[&two], "again", "store").expect(0);
    assert_eq!(requests(&stage).0, asked.0);
}

#[test]
fn a_store_that_is_none_or_later_ends_the_run_before_anything_is_asked() {
    let stage = Stage::new();
    let one = stage.publish("team/one", "1", &small(1));
    pack(&stage, &[&one], "b", "store").expect(0);
    let before = stage.upstream.counters().requests;
    std::fs::write(stage.path("store/airlift/store.json"), r#"{"apiVersion":"airlift/v9","kind":"Store"}"#).unwrap();
    pack(&stage, &[&one], "c", "store").expect(2).says(&["airlift/v9"]);
    pack(&stage, &[&one], "c", "home-of-others").expect(0);
    std::fs::create_dir(stage.path("others")).unwrap();
    std::fs::write(stage.path("others/letters.txt"), "mine").unwrap();
    pack(&stage, &[&one], "d", "others").expect(2).says(&["other things"]);
    for verb in ["show", "check", "gc"] {
        stage.airlift(&["store", verb, "absent"]).expect(2).says(&["absent", "no store"]);
        stage.airlift(&["store", verb, "store"]).expect(2).says(&["airlift/v9"]);
    }
    assert!(!stage.path("absent").exists());
    assert!(stage.upstream.counters().requests > before);
}

#[test]
fn a_full_disk_under_the_store_does_not_fail_the_run() {
    let stage = Stage::new();
    let one = stage.publish("team/one", "1", &SampleImage::new(1).layer(3 << 20).layer(100_000).build());
    plain(&stage, &[&one], "good", &[]).expect(0);
    let Some(_disk) = SmallDisk::mount(stage.path("disk"), "size=1m") else { return };
    for out in ["first", "second"] {
        let ran = pack(&stage, &[&one], out, "disk/store").expect(0);
        assert_eq!(ran.stderr.matches("the store cannot be written").count(), 1, "{}", ran.stderr);
        assert!(volumes(stage.folder.path(), out) == volumes(stage.folder.path(), "good"));
    }
    assert_whole(&stage.path("disk/store"));
    assert!(std::fs::read_dir(stage.path("disk/store/airlift/incoming")).unwrap().next().is_none());
}

#[test]
fn runs_that_are_killed_leave_whole_blobs_and_nothing_that_a_person_must_clear() {
    let stage = Stage::new();
    let image =
        |seed: u64| SampleImage::new(seed).shared_layer(1, 2 << 20).layer(3 << 20).plain_layer(seed, 1 << 20).build();
    let references: Vec<String> =
        (1..=3).map(|seed| stage.publish(&format!("team/i{seed}"), "1", &image(seed))).collect();
    stage.upstream.set_faults(&Faults::none().with(Rule::on("GET", "/v2/*/blobs/*").stall(Duration::from_millis(3))));
    let command = |out: &str| {
        let mut arguments = vec!["pack"];
        arguments.extend(references.iter().map(String::as_str));
        arguments.extend(["-o", out, "--allow-unsigned", "**", "--plain-http", "--store", "store"]);
        stage.command(&arguments)
    };
    let whole = stage.run(command("good")).expect(0).took;
    let good = volumes(stage.folder.path(), "good");
    let mut dice = Dice(0x5851_f42d_4c95_7f2d);
    let mut hit = 0;
    for round in 0..4 {
        std::fs::remove_dir_all(stage.path("store")).unwrap();
        for _ in 0..10 {
            hit += u32::from(kill(command("bad"), &mut dice, whole));
            if stage.path("store/blobs").exists() {
                assert_whole(&stage.path("store"));
            }
            drop(std::fs::remove_file(stage.path("bad.airlift")));
        }
        stage.run(command("bad")).expect(0);
        assert!(volumes(stage.folder.path(), "bad") == good, "round {round}");
        std::fs::remove_file(stage.path("bad.airlift")).unwrap();
        for place in ["incoming", "runs", "aside"] {
            let left = std::fs::read_dir(stage.path("store/airlift").join(place)).unwrap().count();
            assert_eq!(left, 0, "{place}");
        }
        stage.airlift(&["store", "check", "store", "--all"]).expect(0);
    }
    assert!(hit > 10, "only {hit} of 40 kills hit a running program");
}

#[test]
fn eight_runs_share_a_store_while_it_is_freed() {
    let stage = Stage::new();
    let references: Vec<String> =
        (1..=4).map(|seed| stage.publish(&format!("team/i{seed}"), "1", &small(seed))).collect();
    let good: Vec<_> = (0..4)
        .map(|n| {
            plain(&stage, &[&references[n]], &format!("good{n}"), &[]).expect(0);
            volumes(stage.folder.path(), &format!("good{n}"))
        })
        .collect();
    for round in 0..3 {
        let spawn = |arguments: &[&str]| {
            stage.command(arguments).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
        };
        let children: Vec<_> = (0..8_usize)
            .map(|n| {
                let out = format!("out{round}-{n}");
                let arguments = ["pack", &references[n % 4], "-o", &out, "--allow-unsigned", "**", "--plain-http"];
                spawn(&[&arguments[..], &["--store", "store"]].concat())
            })
            .collect();
        let collectors: Vec<_> = (0..3).map(|_| spawn(&["store", "gc", "store", "--older-than", "0s"])).collect();
        for (n, child) in children.into_iter().enumerate() {
            Ran::new(child.wait_with_output().unwrap()).expect(0);
            assert!(volumes(stage.folder.path(), &format!("out{round}-{n}")) == good[n % 4]);
        }
        for collector in collectors {
            // The first may be there before the store is.
            let ran = Ran::new(collector.wait_with_output().unwrap());
            assert!(ran.code == 0 || round == 0 && ran.code == 2, "{}", ran.stderr);
        }
        assert_whole(&stage.path("store"));
    }
    let asked = requests(&stage).0;
    for (n, reference) in references.iter().enumerate() {
        pack(&stage, &[reference], &format!("last{n}"), "store").expect(0);
    }
    assert_eq!(requests(&stage).0, asked, "what the runs needed last is kept");
}
