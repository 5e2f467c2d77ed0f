//! Whole runs of the program between two embedded registries.

use crate::stage::{CANARY, Stage, base64_of, files, multi, small, volumes};
use airlift::document::lock::Lock;
use airlift::document::receipt::{Outcome, Receipt};
use airlift::model::port::ImageSource;
use airlift::model::{Digest, Reference};
use airlift::serve::{Answer, Auth, EmbeddedRegistry, Faults, Options, Rule};
use airlift::testkit::image::{Sample, SampleImage};
use std::io::Write;
use std::process::Stdio;
use std::time::Duration;

fn tag(text: &str) -> Reference {
    Reference::Tag(text.parse().unwrap())
}

/// A signed index with an SBOM, a signed plain image, both in the upstream.
fn catalogue(stage: &Stage) -> (Sample, Sample, Vec<String>) {
    let (app, tool) = (multi(10), small(20));
    let references = vec![stage.publish("team/app", "1.0", &app), stage.publish("team/tool", "2.0", &tool)];
    stage.sign("team/app", app.digest());
    stage.sign("team/tool", tool.digest());
    let sbom = Sample::referrer(&app, "application/spdx+json", b"{\"spdxVersion\":\"SPDX-2.3\"}");
    sbom.push(&stage.remote, &stage.at("team/app"), None).unwrap();
    (app, tool, references)
}

fn as_strs(texts: &[String]) -> Vec<&str> {
    texts.iter().map(String::as_str).collect()
}

#[test]
fn what_was_packed_arrives_with_its_signatures_and_sboms_tag_last() {
    let stage = Stage::new();
    let (app, tool, references) = catalogue(&stage);
    stage.pack(&as_strs(&references), "b", &[]).expect(0).says(&["packed 2 artifacts", "bundle sha256:"]);
    stage
        .airlift(&["verify", "b.airlift", "--bundle-key", "author.pub", "--key", "cosign.pub"])
        .expect(0)
        .says(&["good: 2 artifacts"]);
    stage.enclave.record();
    stage.import("b.airlift", &["--receipt", "r.json"]).expect(0).says(&["complete: 2 of 2 artifacts"]);

    stage.assert_arrived("team/app", &tag("1.0"), app.digest());
    stage.assert_arrived("team/tool", &tag("2.0"), tool.digest());
    let signature = format!("sha256-{}.sig", app.digest().hex());
    assert!(stage.tags_there("team/app").contains(&signature), "the signature's tag arrived");
    let referrers = stage.remote.referrers(&stage.there("team/app"), app.digest()).unwrap();
    assert_eq!(referrers.len(), 1, "the SBOM refers to the image at the destination as well");

    let puts: Vec<String> = stage
        .enclave
        .exchanges()
        .into_iter()
        .filter(|e| e.method == "PUT" && e.path.contains("/team/app/manifests/"))
        .map(|e| e.path)
        .collect();
    assert!(puts.last().unwrap().ends_with("/manifests/1.0"), "the tag comes last: {puts:?}");
    let receipt = Receipt::read(&std::fs::read(stage.path("r.json")).unwrap(), "r.json").unwrap();
    assert!(receipt.complete && receipt.artifacts.iter().all(|a| a.outcome == Outcome::Imported));
    assert!(receipt.authenticity.contains("signed by key"));
}

#[test]
fn nothing_is_fetched_twice_and_a_second_import_only_asks() {
    let stage = Stage::new();
    let (_, _, references) = catalogue(&stage);
    let before = stage.upstream.counters();
    stage.pack(&as_strs(&references), "b", &[]).expect(0);
    let after = stage.upstream.counters();
    assert!(after.asked_twice().is_empty(), "{:?}", after.asked_twice());
    assert!(after.manifest_gets.values().all(|n| *n <= 1), "{:?}", after.manifest_gets);
    assert_eq!(before.upload_post, after.upload_post);

    stage.import("b.airlift", &[]).expect(0);
    let before = stage.enclave.counters();
    stage.import("b.airlift", &[]).expect(0).says(&["already there", "sent 0 B in 0 blobs"]);
    let after = stage.enclave.counters();
    assert_eq!(before.upload_post, after.upload_post);
    assert_eq!(before.manifest_put, after.manifest_put);
    assert_eq!(before.blob_head, after.blob_head);
}

#[test]
fn an_unsigned_image_and_one_signed_by_another_are_refused_and_nothing_is_written() {
    let stage = Stage::new();
    let (unsigned, foreign, stolen) = (small(1), small(2), small(3));
    let other = airlift::trust::SigningKey::generate().unwrap();
    let references = [
        stage.publish("team/unsigned", "1", &unsigned),
        stage.publish("team/foreign", "1", &foreign),
        stage.publish("team/stolen", "1", &stolen),
    ];
    stage.sign_as("team/foreign", foreign.digest(), foreign.digest(), &other);
    stage.sign_as("team/stolen", unsigned.digest(), stolen.digest(), &stage.key);
    stage.pack(&as_strs(&references), "b", &[]).expect(30).says(&[
        "refuses 3 artifacts",
        "team/unsigned:1@sha256:",
        "team/foreign",
        "team/stolen",
    ]);
    assert!(volumes(stage.folder.path(), "b").is_empty());
    assert!(
        files(stage.folder.path())
            .iter()
            .all(|file| !file.to_string_lossy().contains("b.") || !file.to_string_lossy().ends_with(".partial"))
    );
    let pattern = format!("{}/team/**", stage.upstream.host());
    stage.pack(&as_strs(&references), "b", &["--allow-unsigned", &pattern]).expect(0);
}

#[test]
fn a_bundle_without_an_acceptable_signature_is_not_imported() {
    let stage = Stage::new();
    let (_, _, references) = catalogue(&stage);
    stage.pack(&as_strs(&references), "b", &[]).expect(0);
    let to = stage.enclave.host();
    let other = airlift::trust::SigningKey::generate().unwrap();
    std::fs::write(stage.path("other.pub"), other.public().to_pem()).unwrap();
    let import = |more: &[&str]| {
        let mut arguments = vec!["import", "b.airlift", "--to", &to, "--plain-http"];
        arguments.extend(more);
        stage.airlift(&arguments)
    };
    import(&[]).expect(30).says(&["no key was given"]);
    import(&["--bundle-key", "other.pub"]).expect(30).says(&["not accepted"]);
    assert_eq!(stage.enclave.counters().upload_post, 0);
    import(&["--bundle-key", "other.pub", "--bundle-key", "author.pub"]).expect(0);
}

#[test]
fn the_far_side_judges_under_its_own_policy() {
    let stage = Stage::new();
    let image = small(1);
    let reference = stage.publish("team/unsigned", "1", &image);
    stage.pack(&[&reference], "b", &["--allow-unsigned", "**"]).expect(0);
    stage.import("b.airlift", &["--key", "cosign.pub"]).expect(30).says(&["team/unsigned"]);
    assert!(stage.tags_there("team/unsigned").is_empty());
    stage.airlift(&["verify", "b.airlift", "--bundle-key", "author.pub", "--key", "cosign.pub"]).expect(30);
    stage.airlift(&["verify", "b.airlift", "--bundle-key", "author.pub"]).expect(0).says(&["no policy was given"]);
}

#[test]
fn volumes_are_found_in_any_order_and_every_damage_is_refused_with_its_place() {
    let stage = Stage::new();
    let image = SampleImage::new(5).layer(40 << 20).build();
    let reference = stage.publish("team/big", "1", &image);
    stage.sign("team/big", image.digest());
    stage.pack(&[&reference], "b", &["--volume-size", "20MiB"]).expect(0).says(&["3 volumes"]);
    stage.import("b.003.airlift", &["--dry-run"]).expect(40).says(&["missing"]);
    let to = stage.enclave.host();
    let all = ["b.003.airlift", "b.001.airlift", "b.002.airlift"];
    let mut arguments = vec!["import"];
    arguments.extend(all);
    arguments.extend(["--to", &to, "--bundle-key", "author.pub", "--plain-http"]);

    let second = stage.path("b.002.airlift");
    let good = std::fs::read(&second).unwrap();
    let mut bad = good.clone();
    bad[8 << 20] ^= 1;
    std::fs::write(&second, &bad).unwrap();
    stage.airlift(&arguments).expect(40).says(&["b.002.airlift"]);
    assert!(stage.tags_there("team/big").is_empty(), "no tag of a damaged bundle is visible");
    stage
        .airlift(&["verify", "b.001.airlift", "b.002.airlift", "b.003.airlift", "--bundle-key", "author.pub"])
        .expect(40)
        .says(&["b.002.airlift", "NOT good"]);
    std::fs::write(&second, &good).unwrap();
    stage.airlift(&arguments).expect(0);
    stage.assert_arrived("team/big", &tag("1"), image.digest());
}

#[test]
fn a_bundle_passes_through_a_pipe() {
    let stage = Stage::new();
    let (app, _, references) = catalogue(&stage);
    let mut arguments = vec!["pack"];
    arguments.extend(as_strs(&references));
    arguments.extend(["-o", "-", "--key", "cosign.pub", "--sign-key", "author.key", "--plain-http"]);
    let mut pack = stage.command(&arguments).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
    let to = stage.enclave.host();
    let mut import = stage.command(&["import", "-", "--to", &to, "--bundle-key", "author.pub", "--plain-http"]);
    import.stdin(pack.stdout.take().unwrap());
    stage.run(import).expect(0);
    assert!(pack.wait().unwrap().success());
    stage.assert_arrived("team/app", &tag("1.0"), app.digest());
}

#[test]
fn a_pipe_that_breaks_leaves_nothing_visible_that_is_not_whole() {
    let stage = Stage::new();
    let image = SampleImage::new(7).layer(3 << 20).build();
    let reference = stage.publish("team/app", "1", &image);
    stage.sign("team/app", image.digest());
    stage.pack(&[&reference], "b", &[]).expect(0);
    let whole = std::fs::read(stage.path("b.airlift")).unwrap();
    let to = stage.enclave.host();
    let mut import = stage.command(&["import", "-", "--to", &to, "--bundle-key", "author.pub", "--plain-http"]);
    let mut child = import.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    stdin.write_all(&whole[..whole.len() / 2]).unwrap();
    drop(stdin);
    let ran = crate::stage::Ran::new(child.wait_with_output().unwrap());
    stage.check_always(&ran);
    ran.expect(40);
    assert!(stage.tags_there("team/app").is_empty());
}

#[test]
fn a_layout_folder_is_filled_and_a_second_run_finds_all_there() {
    let stage = Stage::new();
    let (app, _, references) = catalogue(&stage);
    stage.pack(&as_strs(&references), "b", &[]).expect(0);
    let arguments = ["import", "b.airlift", "--to", "oci:out", "--bundle-key", "author.pub"];
    stage.airlift(&[&arguments[..], &["--dry-run"]].concat()).expect(0).says(&["would import 2 artifacts"]);
    assert!(!stage.path("out").exists(), "a dry run makes no folder");
    stage.airlift(&arguments).expect(0).says(&["complete: 2 of 2", "OCI layout"]);
    let blob = stage.path("out/blobs/sha256").join(app.digest().hex());
    assert_eq!(Digest::of(&std::fs::read(blob).unwrap()), *app.digest());
    stage.airlift(&arguments).expect(0).says(&["already there"]);
}

#[test]
fn sync_mirrors_directly_and_a_run_with_nothing_new_writes_nothing() {
    let stage = Stage::new();
    let (app, tool, references) = catalogue(&stage);
    let to = format!("{}/mirror", stage.enclave.host());
    let mut arguments = vec!["sync"];
    arguments.extend(as_strs(&references));
    arguments.extend([
        "--to",
        &to,
        "--key",
        "cosign.pub",
        "--plain-http",
        "--lock-file",
        "job.lock",
        "--receipt",
        "r.json",
    ]);
    stage.airlift(&arguments).expect(0).says(&["complete: 2 of 2"]);
    stage.assert_arrived("mirror/team/app", &tag("1.0"), app.digest());
    stage.assert_arrived("mirror/team/tool", &tag("2.0"), tool.digest());
    let before = stage.enclave.counters();
    stage.airlift(&arguments).expect(0).says(&["already there"]);
    let after = stage.enclave.counters();
    assert_eq!(
        (before.upload_post, before.manifest_put, before.mount),
        (after.upload_post, after.manifest_put, after.mount)
    );
}

#[test]
fn a_shared_layer_is_sent_once_and_mounted_where_it_is_needed_again() {
    let stage = Stage::new();
    let (one, two) = (small(1), small(2));
    let references = [stage.publish("team/one", "1", &one), stage.publish("team/two", "1", &two)];
    stage.pack(&as_strs(&references), "b", &["--allow-unsigned", "**"]).expect(0);
    stage.import("b.airlift", &[]).expect(0);
    let counters = stage.enclave.counters();
    assert_eq!(counters.mounted, 1, "the shared layer");
    stage.assert_arrived("team/one", &tag("1"), one.digest());
    stage.assert_arrived("team/two", &tag("1"), two.digest());
}

#[test]
fn a_destination_that_goes_away_in_the_middle_leaves_no_tag_and_the_next_run_goes_on() {
    let stage = Stage::new();
    let (app, tool, references) = catalogue(&stage);
    stage.pack(&as_strs(&references), "b", &[]).expect(0);
    stage.enclave.set_faults(
        &Faults::none().with(Rule::on("PUT", "/v2/*/blobs/uploads/*").from(3).answer(Answer::new(503).html("gone"))),
    );
    let ran = stage.import("b.airlift", &["--retries", "1", "--receipt", "r.json"]).expect(50);
    assert!(ran.stderr.contains("503") || ran.stderr.contains("gone"), "the server's own words: {}", ran.stderr);
    let receipt = Receipt::read(&std::fs::read(stage.path("r.json")).unwrap(), "r.json").unwrap();
    assert!(!receipt.complete);
    for arrival in &receipt.artifacts {
        let there = stage.tags_there(&arrival.source.repository.path().replace("mirror/", ""));
        let tag = arrival.source.tag.as_ref().unwrap().to_string();
        assert_eq!(there.contains(&tag), !matches!(arrival.outcome, Outcome::Failed { .. }), "{arrival:?}");
    }
    stage.enclave.set_faults(&Faults::none());
    stage.import("b.airlift", &[]).expect(0);
    stage.assert_arrived("team/app", &tag("1.0"), app.digest());
    stage.assert_arrived("team/tool", &tag("2.0"), tool.digest());
}

#[test]
fn a_source_that_lies_fails_as_damage_and_one_that_stumbles_is_resumed() {
    let stage = Stage::new();
    let image = SampleImage::new(9).layer(5 << 20).build();
    let reference = stage.publish("team/app", "1", &image);
    stage.sign("team/app", image.digest());
    let layer = format!("/v2/team/app/blobs/{}", image.blobs().last().unwrap().descriptor.digest);
    stage.upstream.set_faults(&Faults::none().with(Rule::on("GET", &layer).flip(1_000_000)));
    stage.pack(&[&reference], "b", &[]).expect(40).says(&["sha256:"]);
    assert!(volumes(stage.folder.path(), "b").is_empty());
    stage.upstream.set_faults(&Faults::none().with(Rule::on("GET", &layer).first(2).cut(2_000_000)));
    stage.pack(&[&reference], "b", &[]).expect(0);
    stage.airlift(&["verify", "b.airlift", "--bundle-key", "author.pub"]).expect(0);
}

#[test]
fn referrers_that_cannot_be_listed_are_an_error_and_never_none() {
    let stage = Stage::new();
    let (_, _, references) = catalogue(&stage);
    for status in [403, 500] {
        stage
            .upstream
            .set_faults(&Faults::none().with(Rule::on("GET", "/v2/*/referrers/*").answer(Answer::new(status))));
        stage.pack(&as_strs(&references), "b", &["--retries", "0"]).expect(20).says(&["what refers to"]);
    }
}

#[test]
fn a_registry_without_a_referrers_api_gives_them_by_the_tag_schema() {
    let folder = tempfile::tempdir().unwrap();
    let stage = Stage::new();
    let old = EmbeddedRegistry::start(Options { referrers_api: false, ..Options::new(folder.path()) }).unwrap();
    let (app, _, references) = catalogue(&stage);
    stage.pack(&as_strs(&references), "b", &[]).expect(0);
    let to = old.host();
    stage.airlift(&["import", "b.airlift", "--to", &to, "--bundle-key", "author.pub", "--plain-http"]).expect(0);
    let at = airlift::model::Repository::new(&to, "team/app").unwrap();
    assert_eq!(
        stage.remote.referrers(&at, app.digest()).unwrap().len(),
        1,
        "the SBOM is found at a registry without the API"
    );
    let reference = format!("{to}/team/app:1.0");
    stage.pack(&[&reference], "c", &[]).expect(0);
    stage.airlift(&["inspect", "c.airlift"]).expect(0).says(&["2 carried, 1 good"]);
}

#[test]
fn credentials_come_from_the_auth_file_and_are_never_printed() {
    let folder = tempfile::tempdir().unwrap();
    let stage = Stage::new();
    let (app, _, references) = catalogue(&stage);
    stage.pack(&as_strs(&references), "b", &[]).expect(0);
    for bearer in [false, true] {
        let (user, password) = ("robot".to_owned(), CANARY.to_owned());
        let expires_in = Duration::from_secs(60);
        let auth = if bearer { Auth::Bearer { user, password, expires_in } } else { Auth::Basic { user, password } };
        let root = folder.path().join(format!("r{bearer}"));
        let closed = EmbeddedRegistry::start(Options { auth, ..Options::new(root) }).unwrap();
        let to = closed.host();
        let file = |password: &str| {
            let pair = format!("robot:{password}");
            let encoded = base64_of(pair.as_bytes());
            std::fs::write(stage.path("auth.json"), format!(r#"{{"auths":{{"{to}":{{"auth":"{encoded}"}}}}}}"#))
                .unwrap();
        };
        let arguments = [
            "-v",
            "import",
            "b.airlift",
            "--to",
            &to,
            "--bundle-key",
            "author.pub",
            "--plain-http",
            "--authfile",
            "auth.json",
            "--receipt",
            "r.json",
        ];
        file("wrong");
        stage.airlift(&arguments).expect(50);
        file(CANARY);
        stage.airlift(&arguments).expect(0);
        assert!(!std::fs::read_to_string(stage.path("r.json")).unwrap().contains(CANARY));
        let at = airlift::model::Repository::new(&to, "team/app").unwrap();
        assert!(stage.remote.head(&at, &tag("1.0")).is_err(), "the registry is closed to others");
    }
    let _ = app;
}

#[test]
fn a_platform_rule_says_what_becomes_of_the_digest() {
    let stage = Stage::new();
    let app = multi(30);
    let reference = stage.publish("team/app", "1.0", &app);
    let anyone = ["--allow-unsigned", "**"];
    let single = ["--platform", "linux/arm64"];
    stage.pack(&[&reference], "one", &[&anyone[..], &single].concat()).expect(0);
    stage.import("one.airlift", &[]).expect(0);
    let arrived = stage.remote.manifest(&stage.there("team/app"), &tag("1.0")).unwrap();
    assert!(arrived.descriptor.media_type.is_image_manifest());
    stage
        .pack(&[&reference], "none", &[&anyone[..], &["--platform", "linux/s390x"]].concat())
        .expect(40)
        .says(&["linux/amd64"]);
    let both = ["--platform", "linux/arm64", "--platform", "linux/amd64"];
    stage.pack(&[&reference], "two", &[&anyone[..], &both].concat()).expect(0);
    let listed = stage.airlift(&["inspect", "two.airlift", "-o", "json"]).expect(0).stdout;
    let contents: serde_json::Value = serde_json::from_str(&listed).unwrap();
    assert_eq!(contents["artifacts"][0]["subset"]["original"], app.digest().to_string());
}

#[test]
fn the_same_input_and_registry_give_the_same_lock_and_the_same_bundle() {
    let stage = Stage::new();
    let (_, _, references) = catalogue(&stage);
    let mirror =
        format!("apiVersion: airlift/v1alpha1\nkind: Mirror\nimages:\n  - {}\n  - {}\n", references[0], references[1]);
    std::fs::write(stage.path("mirror.yaml"), mirror).unwrap();
    for lock in ["one.lock", "two.lock"] {
        stage
            .airlift(&["resolve", "-f", "mirror.yaml", "--lock", lock, "--plain-http"])
            .expect(0)
            .says(&["pinned 2 artifacts"]);
    }
    let read = |name: &str| std::fs::read(stage.path(name)).unwrap();
    assert_eq!(read("one.lock"), read("two.lock"));
    let from_afar = stage.path("mirror.yaml");
    let from_afar = from_afar.to_str().unwrap();
    stage.airlift(&["resolve", "-f", from_afar, "--lock", "three.lock", "--plain-http"]).expect(0);
    assert_eq!(read("one.lock"), read("three.lock"), "the lock does not say where the mirror file lies");
    for (out, threads) in [("one", "1"), ("two", "8")] {
        let arguments = ["pack", "--lock", "one.lock", "-o", out, "--key", "cosign.pub", "--plain-http", "-j", threads];
        stage.airlift(&arguments).expect(0);
    }
    assert_eq!(read("one.airlift"), read("two.airlift"));
    stage.airlift(&["why", "team/app", "--lock", "one.lock"]).expect(0).says(&["mirror.yaml", "images[0]"]);
    stage.airlift(&["why", "team/absent", "--lock", "one.lock"]).expect(2).says(&["not in one.lock"]);
}

#[test]
fn a_tag_that_moved_is_followed_only_on_request() {
    let stage = Stage::new();
    let reference = stage.publish("team/app", "1.0", &small(1));
    let mirror = format!("apiVersion: airlift/v1alpha1\nkind: Mirror\nimages: [{reference:?}]\n");
    std::fs::write(stage.path("mirror.yaml"), mirror).unwrap();
    let resolve = |more: &[&str]| {
        let mut arguments = vec!["resolve", "-f", "mirror.yaml", "--plain-http"];
        arguments.extend(more);
        stage.airlift(&arguments).expect(0)
    };
    let pinned =
        || Lock::read(&std::fs::read(stage.path("airlift.lock")).unwrap(), "x").unwrap().artifacts[0].digest.clone();
    resolve(&[]);
    assert_eq!(pinned(), *small(1).digest());
    stage.publish("team/app", "1.0", &small(2));
    resolve(&[]);
    assert_eq!(pinned(), *small(1).digest());
    resolve(&["--update"]).says(&["moved"]);
    assert_eq!(pinned(), *small(2).digest());
}

#[test]
fn a_stalled_source_is_waited_for() {
    let stage = Stage::new();
    let (_, _, references) = catalogue(&stage);
    let slow = Rule::on("GET", "/v2/*/blobs/*").stall(Duration::from_millis(20));
    let busy = Rule::on("GET", "/v2/*/manifests/*").nth(2).answer(Answer::new(429).header("Retry-After", "0"));
    stage.upstream.set_faults(&Faults::none().with(busy).with(slow));
    stage.pack(&as_strs(&references), "b", &[]).expect(0);
}
