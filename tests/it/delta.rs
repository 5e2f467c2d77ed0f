//! Deltas: bundles that leave out what the far side has. What they carry, by whose word they leave something out, and what
//! becomes of them where it is not there any more.

use crate::stage::{Ran, Stage, assert_arrived, files, multi, small};
use airlift::bundle::{BundleReader, Input, InventoryRecord};
use airlift::document::base::{BaseKind, BundleBase};
use airlift::document::receipt::{Outcome, Receipt};
use airlift::document::request::Request;
use airlift::flow::{Authors, shelve_bundle};
use airlift::model::port::ImageSource;
use airlift::model::{Descriptor, Digest, Reference, Repository};
use airlift::serve::{EmbeddedRegistry, Options, Running};
use airlift::testkit::harbor::{HarborDouble, HarborOptions, IMPORT_RIGHTS};
use airlift::testkit::image::{Sample, SampleImage};
use std::path::Path;

/// Accepts receipts of the stage's own key.
const BY_RECEIPT: [&str; 4] = ["--base", "r.json", "--base-key", "author.pub"];

fn tag(text: &str) -> Reference {
    Reference::Tag(text.parse().unwrap())
}

/// An image of two layers that all versions share, and one of its own.
fn version(number: u64) -> Sample {
    SampleImage::new(number).shared_layer(70, 400_000).shared_layer(71, 250_000).layer(120_000).build()
}

/// The `n`th layer of a sample.
fn layer(sample: &Sample, n: usize) -> Descriptor {
    let layers: Vec<&Descriptor> =
        sample.blobs().iter().map(|blob| &blob.descriptor).filter(|d| d.media_type.is_compressed()).collect();
    layers[n].clone()
}

/// A version under its number as the tag, signed, in the upstream.
fn release(stage: &Stage, number: u64) -> (Sample, String) {
    let image = version(number);
    let reference = stage.publish("team/app", &number.to_string(), &image);
    stage.sign("team/app", image.digest());
    (image, reference)
}

/// A stage to which version 1 was brought as a whole, with a signed receipt `r.json`.
fn brought() -> (Stage, Sample) {
    let stage = Stage::new();
    let (first, reference) = release(&stage, 1);
    stage.pack(&[&reference], "b", &[]).expect(0);
    stage.import("b.airlift", &["--receipt", "r.json", "--sign-key", "author.key"]).expect(0);
    (stage, first)
}

/// Packs version `number` as a delta `d.delta.airlift`, leaving out what `base` says.
fn delta(stage: &Stage, number: u64, base: &[&str]) -> Sample {
    let (image, reference) = release(stage, number);
    stage.pack(&[&reference], "d", base).expect(0).says(&["left out"]);
    image
}

fn inventory(stage: &Stage, file: &str) -> Vec<InventoryRecord> {
    let mut reader = BundleReader::open(Input::Files(vec![stage.path(file)])).unwrap();
    reader.papers().unwrap();
    reader.inventory().to_vec()
}

fn omitted(stage: &Stage, file: &str) -> Vec<Digest> {
    inventory(stage, file).into_iter().filter(|record| record.omitted).map(|record| record.digest).collect()
}

fn base(stage: &Stage, file: &str) -> BundleBase {
    let mut reader = BundleReader::open(Input::Files(vec![stage.path(file)])).unwrap();
    BundleBase::read(&reader.papers().unwrap().base.unwrap(), file).unwrap()
}

/// Writes the lock that a bundle carries.
fn write_lock(stage: &Stage, file: &str, lock: &str) {
    let mut reader = BundleReader::open(Input::Files(vec![stage.path(file)])).unwrap();
    std::fs::write(stage.path(lock), reader.papers().unwrap().lock).unwrap();
}

/// Takes a blob away from all repositories of a registry, as its garbage collection would.
fn collect(root: &Path, digest: &Digest) {
    let gone: Vec<_> = files(root).into_iter().filter(|path| path.ends_with(digest.hex())).collect();
    assert!(!gone.is_empty(), "{digest} is not there");
    gone.iter().for_each(|path| std::fs::remove_file(path).unwrap());
}

/// Checks that a run sent nothing to the destination.
#[track_caller]
fn sends_nothing(stage: &Stage, run: impl FnOnce() -> Ran) -> Ran {
    let sent = || {
        let counters = stage.enclave.counters();
        (counters.upload_post, counters.upload_put, counters.mount, counters.manifest_put)
    };
    let before = sent();
    let ran = run();
    assert_eq!(sent(), before, "something was sent");
    ran
}

#[test]
fn a_delta_after_a_change_of_one_layer_carries_that_layer_and_hardly_more() {
    let stage = Stage::new();
    let image =
        |own: u64| SampleImage::new(own).shared_layer(70, 3 << 20).shared_layer(71, 1 << 20).layer(5 << 20).build();
    let mut references = Vec::new();
    for number in 0..8 {
        let path = format!("team/same{number}");
        references.push(stage.publish(&path, "1", &small(number)));
        stage.sign(&path, small(number).digest());
    }
    let (first, second) = (image(1), image(2));
    references.push(stage.publish("team/app", "stable", &first));
    stage.sign("team/app", first.digest());
    let references: Vec<&str> = references.iter().map(String::as_str).collect();
    stage.pack(&references, "b", &[]).expect(0);
    stage.import("b.airlift", &["--receipt", "r.json", "--sign-key", "author.key"]).expect(0);

    stage.publish("team/app", "stable", &second);
    stage.sign("team/app", second.digest());
    stage.pack(&references, "d", &BY_RECEIPT).expect(0).says(&["left out", "d.delta.airlift"]);
    let changed = layer(&second, 2);
    assert_eq!(changed.size, 5 << 20);
    let carried = std::fs::metadata(stage.path("d.delta.airlift")).unwrap().len();
    eprintln!("a layer of {} bytes changed among 9 artifacts: the delta has {carried}", changed.size);
    assert!(carried as f64 <= 1.02 * changed.size as f64, "{carried} bytes for a layer of {}", changed.size);
    let payload = |record: &&InventoryRecord| !record.omitted && record.size > 100_000;
    let listed = inventory(&stage, "d.delta.airlift");
    let large: Vec<&Digest> = listed.iter().filter(payload).map(|record| &record.digest).collect();
    assert_eq!(large, [&changed.digest], "nothing else of weight travels");
    assert!(listed.iter().any(|record| record.digest == layer(&small(3), 0).digest), "the whole closure is listed");

    stage.airlift(&["verify", "d.delta.airlift", "--bundle-key", "author.pub", "--key", "cosign.pub"]).expect(0);
    let sent = stage.enclave.counters().bytes_in;
    stage.import("d.delta.airlift", &[]).expect(0).says(&["complete: 9 of 9"]);
    assert!(stage.enclave.counters().bytes_in - sent < changed.size + (64 << 10));
    stage.assert_arrived("team/app", &tag("stable"), second.digest());
    stage.assert_arrived("team/same3", &tag("1"), small(3).digest());
}

#[test]
fn every_kind_of_base_leaves_out_the_same_and_is_named_in_the_bundle() {
    let (stage, first) = brought();
    write_lock(&stage, "b.airlift", "old.lock");
    let place = format!("oci://{}", stage.enclave.host());
    let (second, reference) = release(&stage, 2);
    let shared = [layer(&first, 0).digest, layer(&first, 1).digest];
    let kinds: [(BaseKind, &str, &[&str]); 4] = [
        (BaseKind::Receipt, "receipt", &BY_RECEIPT),
        (BaseKind::Lock, "lock", &["--base", "old.lock", "--allow-unsigned-base"]),
        (BaseKind::Bundle, "bundle", &["--base", "b.airlift", "--base-key", "author.pub"]),
        (BaseKind::Registry, "registry", &["--base", &place]),
    ];
    for (kind, name, arguments) in kinds {
        stage.pack(&[&reference], name, arguments).expect(0);
        let file = format!("{name}.delta.airlift");
        let left = omitted(&stage, &file);
        assert!(shared.iter().all(|digest| left.contains(digest)), "{name}: {left:?}");
        assert!(!left.contains(&layer(&second, 2).digest), "{name}");
        let stated = base(&stage, &file);
        let paper = stated.papers().next().unwrap();
        assert_eq!((paper.kind, stated.papers().count()), (kind, 1));
        assert_eq!(paper.keys.len(), usize::from(kind == BaseKind::Receipt || kind == BaseKind::Bundle), "{name}");
        assert_eq!(paper.bundle.is_some(), kind == BaseKind::Receipt || kind == BaseKind::Bundle, "{name}");
        let destination = Some(stage.enclave.host()).filter(|_| matches!(kind, BaseKind::Receipt | BaseKind::Registry));
        assert_eq!(paper.destination, destination, "{name}");
        stage.import(&file, &["--dry-run"]).expect(0).says(&["would import 1 artifact"]);
    }
    stage.import("lock.delta.airlift", &[]).expect(0);
    stage.assert_arrived("team/app", &tag("2"), second.digest());
    stage.import("receipt.delta.airlift", &[]).expect(0).says(&["already there"]);
}

#[test]
fn a_lock_whose_old_artifact_is_gone_at_its_source_leaves_nothing_out_and_says_so() {
    let (stage, first) = brought();
    write_lock(&stage, "b.airlift", "old.lock");
    for path in files(&stage.path("upstream")) {
        if path.ends_with(first.digest().hex()) {
            std::fs::remove_file(path).unwrap();
        }
    }
    let (_, reference) = release(&stage, 2);
    let arguments = ["--base", "old.lock", "--allow-unsigned-base"];
    stage.pack(&[&reference], "d", &arguments).expect(0).says(&["its source no longer has it", "left out 0 blobs"]);
    assert!(omitted(&stage, "d.delta.airlift").is_empty());
    stage.pack(&[&reference], "e", &BY_RECEIPT).expect(0);
    assert!(!omitted(&stage, "e.delta.airlift").is_empty(), "a receipt says by itself what arrived");
}

#[test]
fn a_base_by_nobody_s_word_by_another_key_or_changed_afterwards_is_refused() {
    let (stage, _) = brought();
    let (_, reference) = release(&stage, 2);
    write_lock(&stage, "b.airlift", "old.lock");
    stage.airlift(&["keygen", "-o", "other"]).expect(0);
    let other = files(stage.folder.path()).into_iter().find(|path| path.ends_with("other.pub")).unwrap();
    let other = other.display().to_string();
    let refuse = |code: i32, arguments: &[&str], words: &[&str]| {
        stage.pack(&[&reference], "d", arguments).expect(code).says(words);
        assert!(!stage.path("d.delta.airlift").exists());
    };
    refuse(30, &["--base", "r.json"], &["--base-key", "--allow-unsigned-base"]);
    refuse(30, &["--base", "b.airlift"], &["--base-key"]);
    refuse(30, &["--base", "r.json", "--base-key", &other], &["r.json"]);
    refuse(30, &["--base", "r.json", "--base-key", &other, "--allow-unsigned-base"], &["r.json"]);
    refuse(30, &["--base", "b.airlift", "--base-key", &other], &["signature"]);
    refuse(30, &["--base", "old.lock", "--base-key", "author.pub"], &["old.lock", "not signed"]);
    let good = std::fs::read_to_string(stage.path("r.json")).unwrap();
    std::fs::write(stage.path("r.json"), good.replace("alreadyThere", "imported") + " ").unwrap();
    refuse(30, &BY_RECEIPT, &["r.json"]);
    std::fs::write(stage.path("q.json"), "{\"apiVersion\":\"airlift/v1alpha1\",\"kind\":\"BundleEvidence\"}").unwrap();
    refuse(2, &["--base", "q.json", "--allow-unsigned-base"], &["Receipt or Lock"]);
    refuse(2, &["--base", "none.json", "--allow-unsigned-base"], &["no such base"]);
    refuse(2, &["--base", "r.json", "--request", "q.json"], &["cannot be used with"]);
}

#[test]
fn a_base_that_was_never_signed_is_taken_where_that_is_said() {
    let (stage, _) = brought();
    std::fs::remove_file(stage.path("r.json.sig")).unwrap();
    let arguments = ["--base", "r.json", "--base-key", "author.pub", "--allow-unsigned-base"];
    let second = delta(&stage, 2, &arguments);
    assert!(base(&stage, "d.delta.airlift").papers().all(|paper| paper.keys.is_empty()));
    stage.import("d.delta.airlift", &[]).expect(0);
    stage.assert_arrived("team/app", &tag("2"), second.digest());
}

#[test]
fn what_garbage_collection_took_is_listed_asked_for_and_brought_by_a_supplement() {
    let (stage, first) = brought();
    let second = delta(&stage, 2, &BY_RECEIPT);
    let gone = layer(&first, 1);
    collect(&stage.path("enclave"), &gone.digest);
    let size = format!("{} bytes", gone.size);
    let what = format!("team/app:2@{}", second.digest());
    let digest = gone.digest.to_string();
    let refused = |more: &[&str]| {
        let ran = sends_nothing(&stage, || stage.import("d.delta.airlift", more)).expect(40);
        ran.says(&["1 blob", "leaves out is not at", &digest, &size, &what, "nothing was sent", "pack --request"])
    };
    refused(&["--request-file", "q.json"]);
    let request = Request::read(&std::fs::read(stage.path("q.json")).unwrap(), "q.json").unwrap();
    assert_eq!(request.blobs().into_iter().collect::<Vec<_>>(), [(&gone.digest, gone.size)]);
    assert_eq!((request.artifacts.len(), &request.artifacts[0].digest), (1, second.digest()));
    let by_itself = format!("request-{}.json", &request.bundle.hex()[..12]);
    sends_nothing(&stage, || stage.import("d.delta.airlift", &["--dry-run"])).expect(40).says(&["--request-file"]);
    assert!(!stage.path(&by_itself).exists(), "a dry run writes nothing that was not asked for");
    refused(&[]).says(&[&by_itself]);
    assert!(stage.path(&by_itself).exists());

    let reference = format!("{}/team/app:2", stage.upstream.host());
    stage.pack(&[&reference], "s", &["--request", "q.json"]).expect(0).says(&["s.delta.airlift"]);
    let payload = inventory(&stage, "s.delta.airlift").into_iter().filter(|record| !record.omitted);
    let large: Vec<Digest> = payload.filter(|record| record.size > 50_000).map(|record| record.digest).collect();
    assert_eq!(large, std::slice::from_ref(&gone.digest), "exactly what was asked for");
    let words = ["a supplement: it completes bundle", &request.bundle.to_string()];
    stage.airlift(&["inspect", "s.delta.airlift"]).expect(0).says(&words);

    let ran = stage.import("s.delta.airlift", &["--receipt", "s.json"]).expect(0);
    ran.says(&["waits", "NOT complete: 0 of 1", "import it now"]);
    assert!(!stage.tags_there("team/app").contains(&"2".to_owned()), "nothing half is shown");
    let receipt = Receipt::read(&std::fs::read(stage.path("s.json")).unwrap(), "s.json").unwrap();
    assert!(!receipt.complete && receipt.artifacts[0].outcome == Outcome::Waiting);
    assert!(receipt.artifacts[0].blobs.is_empty(), "what waits is no base");
    stage.import("d.delta.airlift", &[]).expect(0).says(&["complete: 1 of 1"]);
    stage.assert_arrived("team/app", &tag("2"), second.digest());
    stage.import("s.delta.airlift", &[]).expect(0).says(&["complete: 1 of 1"]);

    let arguments = ["--base", "s.delta.airlift", "--base-key", "author.pub"];
    stage.pack(&[&reference], "t", &arguments).expect(2).says(&["name that one as the base"]);
    let other = stage.publish("team/other", "1", &small(9));
    let arguments = ["--request", "q.json", "--allow-unsigned", "**"];
    stage.airlift(&[&["pack", &other, "-o", "u", "--plain-http"][..], &arguments].concat()).expect(2).says(&["--lock"]);
}

#[test]
fn a_supplement_brings_small_blobs_too_and_a_request_that_lies_is_refused() {
    let (stage, first) = brought();
    let reference = format!("{}/team/app:1", stage.upstream.host());
    stage.pack(&[&reference], "d", &BY_RECEIPT).expect(0);
    let config = first.blobs().iter().map(|b| b.descriptor.clone()).find(|d| !d.media_type.is_compressed()).unwrap();
    collect(&stage.path("enclave"), &config.digest);
    stage.import("d.delta.airlift", &["--request-file", "q.json"]).expect(40).says(&[&config.digest.to_string()]);
    stage.pack(&[&reference], "s", &["--request", "q.json"]).expect(0);
    stage.import("s.delta.airlift", &[]).expect(0).says(&["complete: 1 of 1"]);
    stage.import("d.delta.airlift", &[]).expect(0);
    stage.assert_arrived("team/app", &tag("1"), first.digest());

    let text = std::fs::read_to_string(stage.path("q.json")).unwrap();
    let lie = text.replace(&format!("\"size\":{}", config.size), "\"size\":7");
    std::fs::write(stage.path("lie.json"), lie).unwrap();
    let ran = stage.pack(&[&reference], "t", &["--request", "lie.json"]).expect(40);
    ran.says(&["none of its artifacts needs"]);
    std::fs::write(stage.path("more.json"), text.replace("\"tool\"", "\"run\":\"rm\",\"tool\"")).unwrap();
    stage.pack(&[&reference], "t", &["--request", "more.json"]).expect(2).says(&["more.json"]);
}

#[test]
fn an_artifact_is_not_taken_to_be_whole_because_its_manifest_is_there() {
    let (stage, first) = brought();
    let reference = format!("{}/team/app:1", stage.upstream.host());
    stage.pack(&[&reference], "d", &BY_RECEIPT).expect(0);
    stage.import("d.delta.airlift", &[]).expect(0).says(&["already there"]);
    let gone = layer(&first, 2);
    collect(&stage.path("enclave"), &gone.digest);
    assert!(stage.tags_there("team/app").contains(&"1".to_owned()));
    let run = || stage.import("d.delta.airlift", &["--request-file", "q.json"]);
    sends_nothing(&stage, run).expect(40).says(&[&gone.digest.to_string()]);
    stage.pack(&[&reference], "s", &["--request", "q.json"]).expect(0);
    stage.import("s.delta.airlift", &[]).expect(0).says(&["complete: 1 of 1"]);
    stage.assert_arrived("team/app", &tag("1"), first.digest());
}

#[test]
fn a_chain_that_skips_or_swaps_a_delta_is_refused_until_the_one_between_arrives() {
    let (stage, _) = brought();
    let (second, two) = release(&stage, 2);
    stage.pack(&[&two], "two", &BY_RECEIPT).expect(0);
    let third = SampleImage::new(3).shared_layer(70, 400_000).blob(
        "application/vnd.oci.image.layer.v1.tar+gzip",
        second.blobs().iter().find(|b| b.descriptor == layer(&second, 2)).unwrap().bytes.clone(),
    );
    let third = third.layer(90_000).build();
    let three = stage.publish("team/app", "3", &third);
    stage.sign("team/app", third.digest());
    let base_two = ["--base", "two.delta.airlift", "--base-key", "author.pub"];
    stage.pack(&[&three], "three", &base_two).expect(0);
    assert!(
        omitted(&stage, "three.delta.airlift").contains(&layer(&second, 2).digest),
        "what a delta carried is known"
    );

    let between = layer(&second, 2).digest.to_string();
    let run = || stage.import("three.delta.airlift", &[]);
    sends_nothing(&stage, run).expect(40).says(&[&between, "missing between"]);
    assert!(!stage.tags_there("team/app").contains(&"3".to_owned()));
    stage.import("two.delta.airlift", &["--receipt", "r2.json", "--sign-key", "author.key"]).expect(0);
    stage.import("three.delta.airlift", &[]).expect(0);
    stage.assert_arrived("team/app", &tag("3"), third.digest());
    stage.import("two.delta.airlift", &[]).expect(0).says(&["already there"]);

    // A receipt of a delta's import is a base as any other, and one that skipped a delta arrives all the same where nothing
    // of it is needed.
    let four = SampleImage::new(4).shared_layer(70, 400_000).layer(50_000).build();
    let reference = stage.publish("team/app", "4", &four);
    stage.sign("team/app", four.digest());
    stage.pack(&[&reference], "four", &["--base", "r2.json", "--base-key", "author.pub"]).expect(0);
    let stated = base(&stage, "four.delta.airlift");
    assert_eq!(
        stated.papers().next().unwrap().bundle,
        base(&stage, "three.delta.airlift").papers().next().unwrap().bundle
    );
    stage.import("four.delta.airlift", &[]).expect(0);
    stage.assert_arrived("team/app", &tag("4"), four.digest());
}

/// A second destination beside the stage's own.
fn second_site(stage: &Stage) -> Running {
    EmbeddedRegistry::start(Options::new(stage.path("south"))).unwrap()
}

fn import_to(stage: &Stage, bundle: &str, to: &str, more: &[&str]) -> Ran {
    let arguments = ["import", bundle, "--to", to, "--bundle-key", "author.pub", "--plain-http"];
    stage.airlift(&[&arguments[..], more].concat())
}

#[test]
fn one_bundle_serves_several_sites_and_leaves_out_only_what_all_of_them_have() {
    let (stage, first) = brought();
    let south = second_site(&stage);
    let partly = SampleImage::new(5).shared_layer(70, 400_000).build();
    let reference = stage.publish("team/app", "0", &partly);
    stage.sign("team/app", partly.digest());
    stage.pack(&[&reference], "s", &[]).expect(0);
    import_to(&stage, "s.airlift", &south.host(), &["--receipt", "s.json", "--sign-key", "author.key"]).expect(0);

    let key = ["--base-key", "author.pub"];
    let second = delta(&stage, 2, &[&["--base", "r.json", "--base", "s.json"][..], &key].concat());
    let left = omitted(&stage, "d.delta.airlift");
    assert!(left.contains(&layer(&first, 0).digest) && !left.contains(&layer(&first, 1).digest), "{left:?}");
    let sites: Vec<String> = base(&stage, "d.delta.airlift").sites.into_iter().map(|site| site.name).collect();
    assert_eq!(sites, [stage.enclave.host(), south.host()]);
    for to in [stage.enclave.host(), south.host()] {
        import_to(&stage, "d.delta.airlift", &to, &[]).expect(0);
        let at = Repository::new(&to, "team/app").unwrap();
        assert_arrived(&stage.remote, &at, &tag("2"), second.digest());
    }

    // Both papers are said to be of one site: now each may lack what the other has, and is asked.
    let joined = [&["--base", "all=r.json", "--base", "all=s.json"][..], &key].concat();
    let third = format!("{}/team/app:3", stage.upstream.host());
    release(&stage, 3);
    stage.pack(&[&third], "j", &joined).expect(0);
    let left = omitted(&stage, "j.delta.airlift");
    assert!(left.contains(&layer(&first, 1).digest));
    let stated = base(&stage, "j.delta.airlift");
    assert_eq!((stated.sites.len(), stated.sites[0].papers.len()), (1, 2));
}

#[test]
fn a_delta_for_another_place_is_refused_for_what_is_missing_there() {
    let (stage, first) = brought();
    let south = second_site(&stage);
    delta(&stage, 2, &BY_RECEIPT);
    let ran = import_to(&stage, "d.delta.airlift", &south.host(), &[]).expect(40);
    ran.says(&[&layer(&first, 0).digest.to_string(), &layer(&first, 1).digest.to_string(), &south.host()]);
    assert_eq!(south.counters().upload_post + south.counters().manifest_put, 0);
    import_to(&stage, "b.airlift", &south.host(), &[]).expect(0);
    import_to(&stage, "d.delta.airlift", &south.host(), &[]).expect(0).says(&["was packed for", "here all the same"]);
}

#[test]
fn a_blob_of_an_artifact_that_is_no_longer_wanted_is_mounted_from_where_it_stands() {
    let stage = Stage::new();
    let (old, new) = (version(1), version(2));
    let reference = stage.publish("team/old", "1", &old);
    stage.sign("team/old", old.digest());
    stage.pack(&[&reference], "b", &[]).expect(0);
    stage.import("b.airlift", &["--receipt", "r.json", "--sign-key", "author.key"]).expect(0);
    let reference = stage.publish("team/new", "2", &new);
    stage.sign("team/new", new.digest());
    stage.pack(&[&reference], "d", &BY_RECEIPT).expect(0);
    let elsewhere = base(&stage, "d.delta.airlift").elsewhere;
    let shared = elsewhere.iter().find(|one| one.digest == layer(&old, 0).digest).unwrap();
    assert_eq!(shared.repositories, ["team/old"]);
    let before = stage.enclave.counters();
    stage.import("d.delta.airlift", &[]).expect(0);
    assert!(stage.enclave.counters().mounted >= before.mounted + 2, "both shared layers");
    stage.assert_arrived("team/new", &tag("2"), new.digest());
}

#[test]
fn signatures_travel_with_a_delta_and_other_evidence_that_is_there_does_not() {
    let stage = Stage::new();
    let app = multi(10);
    let reference = stage.publish("team/app", "1.0", &app);
    stage.sign("team/app", app.digest());
    let content = format!("{{\"spdxVersion\":\"SPDX-2.3\",\"x\":\"{}\"}}", "y".repeat(5000));
    let sbom = Sample::referrer(&app, "application/spdx+json", content.as_bytes());
    sbom.push(&stage.remote, &stage.at("team/app"), None).unwrap();
    stage.pack(&[&reference], "b", &[]).expect(0);
    stage.import("b.airlift", &["--receipt", "r.json", "--sign-key", "author.key"]).expect(0);
    stage.pack(&[&reference], "d", &BY_RECEIPT).expect(0);
    assert!(omitted(&stage, "d.delta.airlift").contains(&Digest::of(content.as_bytes())));
    let judged = ["verify", "d.delta.airlift", "--bundle-key", "author.pub", "--key", "cosign.pub"];
    stage.airlift(&judged).expect(0).says(&["every artifact is accepted"]);
    stage.import("d.delta.airlift", &["--key", "cosign.pub"]).expect(0).says(&["already there"]);
    let referrers = stage.remote.referrers(&stage.there("team/app"), app.digest()).unwrap();
    assert_eq!(referrers.len(), 1);
}

#[test]
fn a_delta_alone_says_what_it_is_wherever_it_is_looked_at() {
    let (stage, _) = brought();
    delta(&stage, 2, &BY_RECEIPT);
    let left = omitted(&stage, "d.delta.airlift").len();
    let place = stage.enclave.host();
    let words = ["a delta", &format!("left out: {left} blobs"), &place, "a receipt of", "only the destination can say"];
    stage.airlift(&["verify", "d.delta.airlift", "--bundle-key", "author.pub"]).expect(0).says(&words).says(&["good:"]);
    stage.airlift(&["inspect", "d.delta.airlift", "--html", "d.html"]).expect(0).says(&words);
    let page = std::fs::read_to_string(stage.path("d.html")).unwrap();
    assert!(page.contains("Delta") && page.contains("must be at the destination"));
    for command in ["verify", "inspect"] {
        let arguments = [command, "d.delta.airlift", "--bundle-key", "author.pub", "-o", "json"];
        let ran = stage.airlift(&arguments).expect(0);
        let value: serde_json::Value = serde_json::from_str(&ran.stdout).unwrap();
        assert_eq!(value["delta"]["omittedBlobs"], left, "{command}");
        assert_eq!(value["delta"]["sites"][0]["papers"][0]["kind"], "receipt", "{command}");
    }
    let piped = std::fs::File::open(stage.path("d.delta.airlift")).unwrap();
    let mut command = stage.command(&["verify", "-", "--bundle-key", "author.pub"]);
    command.stdin(piped);
    stage.run(command).expect(0).says(&words);
    stage.airlift(&["diff", "b.airlift", "d.delta.airlift"]).expect(0).says(&["1 added, 0 changed, 1 removed"]);
    let countersign = ["countersign", "d.delta.airlift", "--bundle-key", "author.pub", "--sign-key", "author.key"];
    stage.airlift(&countersign).expect(0);
    stage.import("d.delta.airlift", &[]).expect(0);
    let whole = stage.airlift(&["verify", "b.airlift", "--bundle-key", "author.pub", "-o", "json"]).expect(0);
    assert!(!whole.stdout.contains("\"delta\""));
}

#[test]
fn a_registry_with_holes_is_not_shown() {
    let (stage, _) = brought();
    let (_, two) = release(&stage, 2);
    stage.pack(&[&two], "d", &BY_RECEIPT).expect(0);
    let arguments = ["serve", "d.delta.airlift", "--bundle-key", "author.pub"];
    stage.airlift(&arguments).expect(2).says(&["is a delta and holds no artifact whole"]);

    let whole = SampleImage::new(33).layer(1000).build();
    let other = stage.publish("team/other", "1", &whole);
    stage.sign("team/other", whole.digest());
    stage.pack(&[&two, &other], "e", &BY_RECEIPT).expect(0);
    let shelved = shelve_bundle(&[stage.path("e.delta.airlift")], &Authors::anyone(), None).unwrap();
    assert_eq!(shelved.artifacts, 1);
    assert!(
        shelved.findings.iter().any(|f| f.what.contains("1 of its 2 artifacts are not whole")),
        "{:?}",
        shelved.findings
    );
}

#[test]
fn a_layout_folder_takes_a_delta_where_it_has_the_rest() {
    let stage = Stage::new();
    let (_, one) = release(&stage, 1);
    stage.pack(&[&one], "b", &[]).expect(0);
    let signing = ["--receipt", "r.json", "--sign-key", "author.key"];
    import_to(&stage, "b.airlift", "oci:layout", &signing).expect(0);
    let second = delta(&stage, 2, &BY_RECEIPT);
    let place = base(&stage, "d.delta.airlift").sites[0].name.clone();
    assert_eq!(place, "r.json", "the name of a folder says nothing about another");
    import_to(&stage, "d.delta.airlift", "oci:empty", &[]).expect(40).says(&["not at layout"]);
    import_to(&stage, "d.delta.airlift", "oci:layout", &[]).expect(0);
    let path = format!("layout/blobs/sha256/{}", second.digest().hex());
    assert!(stage.path(&path).exists());
}

#[test]
fn the_same_delta_goes_on_where_it_was_and_passes_through_a_pipe() {
    let (stage, _) = brought();
    let (second, two) = release(&stage, 2);
    stage.pack(&[&two], "d", &BY_RECEIPT).expect(0);
    let bytes = std::fs::read(stage.path("d.delta.airlift")).unwrap();
    stage.pack(&[&two], "d.delta.airlift", &BY_RECEIPT).expect(0);
    assert_eq!(std::fs::read(stage.path("d.delta.airlift")).unwrap(), bytes, "the set stands there already");
    let mut import =
        stage.command(&["import", "-", "--to", &stage.enclave.host(), "--bundle-key", "author.pub", "--plain-http"]);
    import.stdin(std::fs::File::open(stage.path("d.delta.airlift")).unwrap());
    stage.run(import).expect(0);
    stage.assert_arrived("team/app", &tag("2"), second.digest());
}

#[test]
fn harbor_that_lost_a_project_gets_everything_back_by_a_request() {
    let (stage, harbor) = (Stage::new(), HarborDouble::start(HarborOptions::default()));
    let login = || {
        harbor.create_project("apps");
        let (user, password) = harbor.add_robot("apps", "import", &IMPORT_RIGHTS);
        stage.write_auth("auth.json", &harbor.host(), &user, &password);
    };
    login();
    let to = format!("{}/apps", harbor.host());
    let import = |bundle: &str, more: &[&str]| {
        import_to(&stage, bundle, &to, &[&["--authfile", "auth.json"][..], more].concat())
    };
    let (first, one) = release(&stage, 1);
    stage.pack(&[&one], "b", &[]).expect(0);
    import("b.airlift", &["--receipt", "r.json", "--sign-key", "author.key"]).expect(0);
    let second = delta(&stage, 2, &BY_RECEIPT);
    assert_eq!(base(&stage, "d.delta.airlift").sites[0].name, to);
    assert!(base(&stage, "d.delta.airlift").elsewhere.is_empty(), "it stands where the import looks");

    harbor.delete_project("apps");
    login();
    harbor.advance(3 * 3600);
    harbor.collect_garbage(true);
    let before = harbor.counters();
    let ran = import("d.delta.airlift", &["--request-file", "q.json"]).expect(40);
    ran.says(&[&layer(&first, 0).digest.to_string(), &layer(&first, 1).digest.to_string(), "nothing was sent"]);
    assert_eq!(harbor.counters().upload_post, before.upload_post);
    let reference = format!("{}/team/app:2", stage.upstream.host());
    stage.pack(&[&reference], "s", &["--request", "q.json"]).expect(0);
    import("s.delta.airlift", &[]).expect(0).says(&["waits"]);
    assert!(harbor.artifacts("apps").is_empty(), "nothing half is shown");
    import("d.delta.airlift", &[]).expect(0);
    assert!(harbor.artifacts("apps").iter().any(|artifact| artifact.digest == *second.digest()));

    let place = format!("oci://{to}");
    let (third, three) = release(&stage, 3);
    stage.pack(&[&three], "e", &["--base", &place, "--authfile", "auth.json"]).expect(0);
    assert!(omitted(&stage, "e.delta.airlift").contains(&layer(&first, 0).digest));
    import("e.delta.airlift", &[]).expect(0);
    assert!(harbor.artifacts("apps").iter().any(|artifact| artifact.digest == *third.digest()));
}
