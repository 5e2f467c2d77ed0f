//! What is done with locks: partial updates, drift, merging, places, differences.

use crate::stage::{Ran, Stage, multi, small};
use airlift::document::lock::Lock;
use airlift::model::Digest;
use airlift::serve::{Answer, Faults, Rule};
use airlift::testkit::files::FileServer;
use airlift::testkit::image::{Sample, SampleImage};

const HEAD: &str = "apiVersion: airlift/v1alpha1\nkind: Mirror\n";

fn mirror(stage: &Stage, body: &str) {
    std::fs::write(stage.path("mirror.yaml"), format!("{HEAD}{body}\n")).unwrap();
}

fn resolve(stage: &Stage, more: &[&str]) -> Ran {
    let arguments = ["resolve", "-f", "mirror.yaml", "--plain-http", "--retries", "0"];
    stage.airlift(&[&arguments[..], more].concat())
}

fn check(stage: &Stage, more: &[&str]) -> Ran {
    stage.airlift(&[&["lock", "check", "--plain-http", "--retries", "0"], more].concat())
}

fn lock(stage: &Stage, name: &str) -> Lock {
    Lock::read(&std::fs::read(stage.path(name)).unwrap(), name).unwrap()
}

fn digests(stage: &Stage) -> Vec<Digest> {
    lock(stage, "airlift.lock").artifacts.into_iter().map(|artifact| artifact.digest).collect()
}

/// A world with two images, resolved and with its evidence noted.
fn two() -> (Stage, [String; 2]) {
    let stage = Stage::new();
    let one = stage.publish("team/one", "1", &small(1));
    let two = stage.publish("team/two", "1", &multi(10));
    stage.sign("team/one", small(1).digest());
    mirror(&stage, &format!("images: [\"{one}\", \"{two}\"]"));
    resolve(&stage, &["--evidence"]).expect(0);
    (stage, [one, two])
}

#[test]
fn only_what_is_called_so_moves() {
    let (stage, _) = two();
    let before = digests(&stage);
    stage.publish("team/one", "1", &small(5));
    stage.publish("team/two", "1", &small(6));
    resolve(&stage, &[]).expect(0);
    assert_eq!(digests(&stage), before, "without --update nothing moves");
    resolve(&stage, &["--update", "**/one"]).expect(0).says(&["moved ", "team/one:1"]);
    assert_eq!((digests(&stage)[0] == before[0], digests(&stage)[1] == before[1]), (false, true));
    resolve(&stage, &["--update", "team/tow"]).expect(2).says(&["nothing that is wanted is called \"team/tow\""]);
}

#[test]
fn what_came_in_because_of_a_name_moves_with_it() {
    let stage = Stage::new();
    let (one, two) = (stage.publish("team/one", "1", &small(1)), stage.publish("team/two", "1", &small(2)));
    let pods = |name: &str, image: &str| {
        format!(
            "apiVersion: v1\nkind: Pod\nmetadata: {{name: {name}}}\nspec: {{containers: [{{name: c, image: \"{image}\"}}]}}\n"
        )
    };
    std::fs::write(stage.path("kiosk.yaml"), pods("kiosk", &one)).unwrap();
    std::fs::write(stage.path("press.yaml"), pods("press", &two)).unwrap();
    mirror(&stage, "kubernetes: [kiosk.yaml, press.yaml]");
    resolve(&stage, &[]).expect(0);
    let before = digests(&stage);
    stage.publish("team/one", "1", &small(5));
    stage.publish("team/two", "1", &small(6));
    resolve(&stage, &["--update", "kiosk"]).expect(0);
    assert_eq!((digests(&stage)[0] == before[0], digests(&stage)[1] == before[1]), (false, true));
}

#[test]
fn a_lock_that_nothing_moved_away_from_is_good_and_costs_two_requests_for_an_artifact() {
    let (stage, _) = two();
    check(&stage, &["-f", "mirror.yaml"]).expect(0).says(&["nothing moved: 2 artifacts as in the lock"]);
    stage.upstream.record();
    check(&stage, &[]).expect(0);
    let asked = stage.upstream.exchanges().len();
    // One list of tags for each repository, one knock at the door, and two for each artifact.
    assert!(asked <= 2 * 2 + 2 + 1, "{asked}");
}

#[test]
fn a_tag_that_moved_and_an_artifact_that_is_gone_are_told_apart() {
    let (stage, [one, _]) = two();
    stage.publish("team/one", "1", &small(5));
    let ran = check(&stage, &["-o", "json"]).expect(10);
    let report: serde_json::Value = serde_json::from_str(&ran.stdout).unwrap();
    assert_eq!(report["drift"][0]["kind"], "tag-moved");
    assert_eq!(report["drift"][0]["source"], one);
    assert_eq!(report["artifacts"], 2);
    let gone = format!("/v2/team/two/manifests/{}", digests(&stage)[1]);
    stage.upstream.set_faults(&Faults::none().with(Rule::on("*", &gone).answer(Answer::new(404))));
    check(&stage, &[]).expect(10);
    stage.publish("team/two", "1", &small(6));
    check(&stage, &[]).expect(20).says(&["tag moved", "gone", "team/two:1", "of the lock is gone"]);
}

#[test]
fn signatures_that_came_or_went_are_told() {
    let (stage, _) = two();
    let sbom = Sample::referrer(&multi(10), "application/spdx+json", b"{}");
    sbom.push(&stage.remote, &stage.at("team/two"), None).unwrap();
    check(&stage, &[]).expect(10).says(&["evidence new", "team/two:1"]);
    resolve(&stage, &["--evidence"]).expect(0);
    check(&stage, &[]).expect(0);
    let hidden = format!("/v2/team/two/referrers/{}", digests(&stage)[1]);
    let empty = r#"{"schemaVersion":2,"mediaType":"application/vnd.oci.image.index.v1+json","manifests":[]}"#;
    let answer = Answer::new(200).header("Content-Type", "application/vnd.oci.image.index.v1+json").body(empty);
    stage.upstream.set_faults(&Faults::none().with(Rule::on("GET", &hidden).answer(answer)));
    check(&stage, &[]).expect(30).says(&["evidence lost", "no longer there: "]);
}

#[test]
fn a_lock_without_evidence_says_that_signatures_are_not_compared() {
    let stage = Stage::new();
    let one = stage.publish("team/one", "1", &small(1));
    mirror(&stage, &format!("images: [\"{one}\"]"));
    resolve(&stage, &[]).expect(0);
    check(&stage, &[]).expect(0).says(&["signatures of 1 artifact are not compared", "--evidence"]);
    resolve(&stage, &["--evidence"]).expect(0);
    let noted = lock(&stage, "airlift.lock").artifacts[0].beside.clone();
    assert_eq!(noted, Some(vec![]));
    resolve(&stage, &[]).expect(0);
    assert_eq!(
        lock(&stage, "airlift.lock").artifacts[0].beside,
        noted,
        "what is noted stays until it is looked up again"
    );
}

#[test]
fn a_mirror_file_that_wants_other_things_is_told() {
    let (stage, [one, _]) = two();
    let three = stage.publish("team/three", "1", &small(3));
    mirror(&stage, &format!("images: [\"{one}\", \"{three}\"]\ndestinations: [{{match: '**/one', project: other}}]"));
    let ran = check(&stage, &["-f", "mirror.yaml"]).expect(10);
    ran.says(&["not pinned", "team/three:1", "not wanted", "team/two:1", "other rules", "goes to other/team/one:1"]);
    assert_eq!(lock(&stage, "airlift.lock").artifacts.len(), 2, "a check writes nothing");
}

#[test]
fn a_source_that_does_not_answer_does_not_hide_the_others() {
    let (stage, _) = two();
    stage.publish("team/one", "1", &small(5));
    stage.upstream.set_faults(&Faults::none().with(Rule::on("*", "/v2/team/two/*").answer(Answer::new(503))));
    check(&stage, &[]).expect(20).says(&["unreachable", "team/two", "tag moved", "team/one"]);
}

#[test]
fn a_file_that_is_gone_or_of_another_size_is_told() {
    let (stage, files) = (Stage::new(), FileServer::start());
    files.put("/x.bin", b"content");
    let sha = Digest::of(b"content").hex();
    mirror(&stage, &format!("artifacts: [{{file: \"{}\", sha256: {sha}}}]", files.url("/x.bin")));
    resolve(&stage, &[]).expect(0);
    check(&stage, &[]).expect(0);
    files.put("/x.bin", b"other content");
    check(&stage, &[]).expect(20).says(&["file changed", "has 13 bytes, the lock has 7"]);
    mirror(&stage, &format!("artifacts: [{{file: \"{}\", sha256: {sha}}}]", files.url("/y.bin")));
    check(&stage, &["-f", "mirror.yaml"]).expect(20).says(&["y.bin"]);
}

#[test]
fn locks_are_merged_and_contradictions_refused_with_their_files() {
    let (stage, [one, two]) = two();
    std::fs::rename(stage.path("airlift.lock"), stage.path("a.lock")).unwrap();
    let three = stage.publish("team/three", "1", &small(3));
    mirror(&stage, &format!("images: [\"{two}\", \"{three}\"]"));
    resolve(&stage, &[]).expect(0);
    stage
        .airlift(&["lock", "merge", "a.lock", "airlift.lock", "-o", "m.lock"])
        .expect(0)
        .says(&["3 artifacts of 2 locks"]);
    let merged = lock(&stage, "m.lock");
    assert_eq!(merged.artifacts.len(), 3);
    assert_eq!(merged.artifacts[1].why.len(), 1 + usize::from(merged.artifacts[1].why.len() > 1));
    stage.publish("team/one", "1", &small(5));
    mirror(&stage, &format!("images: [\"{one}\"]"));
    std::fs::remove_file(stage.path("airlift.lock")).unwrap();
    resolve(&stage, &[]).expect(0);
    let ran = stage.airlift(&["lock", "merge", "a.lock", "airlift.lock", "-o", "n.lock"]).expect(2);
    ran.says(&["the locks contradict each other", "team/one:1 is ", "in a.lock and ", "in airlift.lock"]);
    assert!(!stage.path("n.lock").exists());
}

#[test]
fn two_sources_for_one_place_are_refused_with_both() {
    let stage = Stage::new();
    let (one, two) = (stage.publish("team/one", "1", &small(1)), stage.publish("team/two", "1", &small(2)));
    mirror(
        &stage,
        &format!(
            "images: [\"{one}\", \"{two}\"]\ndestinations: [{{match: '**/one', project: p, prefix: x, strip: team/one}}, {{match: '**/two', project: p, prefix: x, strip: team}}]"
        ),
    );
    resolve(&stage, &["--dry-run"]).expect(0).says(&["p/x", "PROJECT"].map(|word| word.split('/').next().unwrap()));
    let third = stage.publish("other/one", "1", &small(3));
    mirror(
        &stage,
        &format!(
            "images: [\"{one}\", \"{third}\"]\ndestinations: [{{match: '**', project: p, strip: team}}, {{match: '**', strip: other}}]"
        ),
    );
    resolve(&stage, &["--dry-run"]).expect(0);
    mirror(
        &stage,
        &format!(
            "images: [\"{one}\", \"{third}\"]\ndestinations: [{{match: '**/team/one', project: p, strip: team}}, {{match: '**/other/one', project: p, strip: other}}]"
        ),
    );
    let ran = resolve(&stage, &["--dry-run"]).expect(2);
    ran.says(&["several artifacts have the same destination", "p/one:1: ", "team/one:1 and ", "other/one:1"]);
    assert!(!stage.path("airlift.lock").exists());
}

#[test]
fn places_are_shown_with_what_harbor_says_of_them() {
    let stage = Stage::new();
    let (one, top) = (stage.publish("team/one", "1", &small(1)), stage.publish("top", "2", &small(2)));
    mirror(&stage, &format!("images: [\"{one}\", \"{top}\"]"));
    let ran = resolve(&stage, &["--dry-run"]).expect(0);
    ran.says(&["SOURCE", "PROJECT", "REPOSITORY", "TAG", "top would stand where a project is"]);
    assert!(!stage.path("airlift.lock").exists());
    resolve(&stage, &[]).expect(0);
    let ran = stage.airlift(&["lock", "destinations", "--to", "harbor.example/mirror", "-o", "json"]).expect(0);
    let rows: serde_json::Value = serde_json::from_str(&ran.stdout).unwrap();
    assert_eq!(
        (&rows[0]["project"], &rows[0]["repository"], &rows[0]["tag"]),
        (&"mirror".into(), &"team/one".into(), &"1".into())
    );
    assert!(!ran.stderr.contains("where a project is"));
    stage
        .airlift(&["lock", "destinations", "--to", "harbor.example/a__b"])
        .expect(0)
        .says(&["no name of a project in Harbor"]);
}

#[test]
fn locks_bundles_receipts_and_places_are_compared() {
    let (stage, [one, _]) = two();
    let unsigned = ["--allow-unsigned", "**", "--plain-http"];
    let pack = |out: &str| {
        stage
            .airlift(
                &[&["pack", "--lock", "airlift.lock", "-o", out, "--sign-key", "author.key"][..], &unsigned].concat(),
            )
            .expect(0)
    };
    pack("old");
    stage.import("old.airlift", &["--receipt", "old.json"]).expect(0);
    std::fs::copy(stage.path("airlift.lock"), stage.path("old.lock")).unwrap();
    stage.publish("team/one", "1", &SampleImage::new(5).shared_layer(1, 300_000).layer(50_000).build());
    let three = stage.publish("team/three", "1", &small(3));
    mirror(&stage, &format!("images: [\"{one}\", \"{three}\"]"));
    resolve(&stage, &["--update"]).expect(0);
    pack("new");
    let diff = |old: &str, new: &str| {
        let ran = stage.airlift(&["diff", old, new, "-o", "json", "--plain-http"]).expect(0);
        serde_json::from_str::<serde_json::Value>(&ran.stdout).unwrap()
    };
    let count = |found: &serde_json::Value, what: &str| found[what].as_array().unwrap().len();
    for (old, new) in [
        ("old.lock", "airlift.lock"),
        ("old.airlift", "new.airlift"),
        ("old.json", "new.airlift"),
        ("old.json", "airlift.lock"),
    ] {
        let found = diff(old, new);
        assert_eq!(
            (count(&found, "added"), count(&found, "changed"), count(&found, "removed")),
            (1, 1, 1),
            "{old} {new}: {found}"
        );
        assert_eq!(found["unchanged"], 0);
        let bytes = found["newBytes"].as_u64();
        match (old, new) {
            ("old.airlift", _) => assert!(bytes.is_some_and(|bytes| (150_000..160_000).contains(&bytes)), "{bytes:?}"),
            (_, "airlift.lock") => assert_eq!(bytes, None),
            _ => assert!(bytes.is_some_and(|bytes| bytes > 450_000), "{bytes:?}"),
        }
    }
    let place = format!("oci://{}", stage.enclave.host());
    let found = diff(&place, "airlift.lock");
    assert_eq!((count(&found, "added"), count(&found, "changed"), count(&found, "removed")), (1, 1, 0), "{found}");
    assert_eq!(count(&diff("old.lock", &place), "removed"), 0);
    stage
        .airlift(&["diff", "old.lock", "old.airlift", "--exit-code"])
        .expect(0)
        .says(&["0 added, 0 changed, 0 removed, 2 unchanged"]);
    stage
        .airlift(&["diff", "old.lock", "airlift.lock", "--exit-code"])
        .expect(10)
        .says(&["added", "changed", "→", "removed"]);
    stage.airlift(&["diff", "old.lock", "nothing.lock"]).expect(2);
    stage.airlift(&["diff", &place, &place]).expect(2).says(&["two places cannot be compared"]);
    stage.airlift(&["diff", &place, "old.json", "--plain-http"]).expect(2).says(&["a lock or a bundle"]);
    let policy = "{\"apiVersion\":\"airlift/v1alpha1\",\"kind\":\"Policy\"}";
    std::fs::write(stage.path("policy.json"), policy).unwrap();
    stage.airlift(&["diff", "old.lock", "policy.json"]).expect(2).says(&["Policy", "Lock or Receipt"]);
}

#[test]
fn a_mistake_in_a_mirror_file_is_shown_in_its_line_to_people_and_in_one_line_to_programs() {
    let stage = Stage::new();
    mirror(&stage, "images: [x]\nimagse: []");
    let ran = resolve(&stage, &[]).expect(2);
    let picture = "error: mirror.yaml:4:1: unknown field \"imagse\"; did you mean \"images\"?\n    |\n  4 | imagse: []\n    | ^^^^^^\n";
    assert!(ran.stderr.contains(picture), "{}", ran.stderr);
    let ran = resolve(&stage, &["--log-format", "json"]).expect(2);
    let event: serde_json::Value = serde_json::from_str(ran.stderr.lines().last().unwrap()).unwrap();
    assert_eq!(event["message"], "mirror.yaml:4:1: unknown field \"imagse\"; did you mean \"images\"?");
    mirror(&stage, "images: [x, {rfe: y}, {ref: z, tgas: 1}]");
    resolve(&stage, &[]).expect(2).says(&["3 mistakes", "  3 | images: [x, {rfe: y}, {ref: z, tgas: 1}]", "^^^^"]);
    std::fs::write(
        stage.path("airlift.lock"),
        "{\n  \"apiVersion\": \"airlift/v1alpha1\",\n  \"kind\": \"Lock\",\n  \"artifacts\": 7\n}\n",
    )
    .unwrap();
    stage.airlift(&["why", "x"]).expect(2).says(&["airlift.lock:4:", "  4 |   \"artifacts\": 7", "^"]);
}
