//! Countersignatures: added beside a bundle that verified, read with it in every way, and refused where anything of
//! them is not as it was signed.

use crate::seals::{key, stage, verify_under};
use crate::stage::{Ran, Stage, files, small, volumes};
use airlift::bundle::{BundleReader, Countersigning, Input, OpenBundle, carried_report, check};
use airlift::document::countersignature::CountersignatureStatement;
use airlift::model::Digest;
use airlift::testkit::image::SampleImage;
use airlift::trust::{BUNDLE_STATEMENT, COUNTERSIGNATURE_STATEMENT, SigningKey, seal};
use serde_json::Value;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};

const DEMAND: &str = "bundle: {keys: [{name: alice, file: alice.pub}], countersigners: [{name: dmz, file: dmz.pub}]}";
const REPORT: &str =
    "bundle: {keys: [{name: alice, file: alice.pub}], countersigners: [{name: dmz, file: dmz.pub, report: required}]}";

fn countersign(stage: &Stage, by: &str, more: &[&str]) -> Ran {
    let key = format!("{by}.key");
    stage.airlift(&[&["countersign", "b.airlift", "--bundle-key", "alice.pub", "--sign-key", &key], more].concat())
}

/// Returns the file of a countersignature by this key beside `b.airlift`.
fn file(stage: &Stage, by: &str) -> String {
    let public = std::fs::read(stage.path(&format!("{by}.pub"))).unwrap();
    let id = airlift::trust::PublicKey::from_pem(&public).unwrap().id().hex();
    format!("b.000.countersigned-{}.airlift", &id[..8])
}

fn load(stage: &Stage, by: &str) -> SigningKey {
    SigningKey::from_pem(&std::fs::read(stage.path(&format!("{by}.key"))).unwrap(), None).unwrap()
}

fn read(path: PathBuf, stage: &Stage) -> airlift::bundle::Countersignature {
    let reader = BundleReader::open(Input::Files(vec![stage.path("b.airlift"), path])).unwrap();
    reader.countersignatures()[0].clone()
}

#[test]
fn a_transfer_zone_signs_what_it_verified_and_the_far_side_demands_it_by_name() {
    let stage = stage(&["alice"]);
    let before = Digest::of(&std::fs::read(stage.path("b.airlift")).unwrap());
    std::fs::write(stage.path("scan.json"), "{\"vulnerabilities\": 0}").unwrap();
    verify_under(&stage, DEMAND, &[]).expect(30).says(&["dmz must have countersigned"]);
    countersign(&stage, "dmz", &["--report", "scan.json", "--statement", "scanned, ticket 17"]).expect(0);
    assert_eq!(Digest::of(&std::fs::read(stage.path("b.airlift")).unwrap()), before, "the bundle was changed");

    let found = file(&stage, "dmz");
    verify_under(&stage, DEMAND, &[]).expect(30).says(&["name the countersignature's file beside the volumes"]);
    verify_under(&stage, DEMAND, &[&found]).expect(0).says(&["countersigned by dmz at", "(claimed)"]);
    verify_under(&stage, REPORT, &["b.0*.airlift"]).expect(0);
    let json: Value = serde_json::from_str(&verify_under(&stage, DEMAND, &[&found, "-o", "json"]).stdout).unwrap();
    assert_eq!((json["result"].as_str(), json["policy"]["name"].as_str()), (Some("good"), Some("policy.yaml")));
    assert!(json["checkedAt"].is_string() && json["tool"].is_string());
    let mark = &json["signatures"][1];
    assert_eq!((mark["role"].as_str(), mark["name"].as_str()), (Some("countersigner"), Some("dmz")));
    assert_eq!(mark["verdict"], "good");
    assert_eq!(mark["says"]["statement"], "scanned, ticket 17");
    assert_eq!(mark["says"]["report"]["name"], "scan.json");
    assert_eq!(mark["says"]["report"]["digest"], Digest::of(b"{\"vulnerabilities\": 0}").to_string());
    assert_eq!(mark["says"]["checked"]["artifacts"], 1);
    assert_eq!((json["volumes"].as_u64(), json["signatures"].as_array().unwrap().len()), (Some(1), 2));

    let to = stage.enclave.host();
    let import = ["import", "b.airlift", "--to", &to, "--plain-http", "--policy", "policy.yaml"];
    stage.airlift(&import).expect(30).says(&["dmz must have countersigned"]);
    assert_eq!(stage.enclave.counters().upload_put, 0);
    let receipt = stage.airlift(&[&import[..], &[&found, "-o", "json"]].concat()).expect(0);
    let receipt: Value = serde_json::from_str(&receipt.stdout).unwrap();
    assert_eq!(receipt["signatures"][1]["says"]["claimedTime"], mark["says"]["claimedTime"]);
}

#[test]
fn a_report_is_demanded_named_by_digest_alone_or_carried() {
    let stage = stage(&["alice"]);
    let found = file(&stage, "dmz");
    countersign(&stage, "dmz", &[]).expect(0);
    verify_under(&stage, REPORT, &[&found]).expect(30).says(&["dmz countersigned the bundle and named no report"]);
    std::fs::remove_file(stage.path(&found)).unwrap();
    let digest = Digest::of(b"elsewhere").to_string();
    countersign(&stage, "dmz", &["--report-digest", &digest, "--report-uri", "https://scan.example/7.sarif"]).expect(0);
    let json = verify_under(&stage, REPORT, &[&found, "-o", "json"]).expect(0).stdout;
    let json: Value = serde_json::from_str(&json).unwrap();
    let report = &json["signatures"][1]["says"]["report"];
    assert_eq!(
        (report["mediaType"].as_str(), report["carried"].as_bool()),
        (Some("application/sarif+json"), Some(false))
    );
    std::fs::remove_file(stage.path(&found)).unwrap();

    std::fs::write(stage.path("scan.txt"), "all is well").unwrap();
    countersign(&stage, "dmz", &["--report", "scan.txt", "--carry-report"]).expect(0);
    verify_under(&stage, REPORT, &[&found]).expect(0);
    assert_eq!(carried_report(&stage.path(&found)).unwrap().unwrap(), b"all is well");
    assert_eq!(carried_report(&stage.path("b.airlift")).unwrap(), None);
    std::fs::write(stage.path("empty"), "").unwrap();
    countersign(&stage, "bob", &["--report", "empty", "--carry-report"]).expect(2).says(&["0 bytes"]);
    countersign(&stage, "bob", &["--report-uri", "https://x.example"]).expect(2).says(&["--report-digest"]);
}

#[test]
fn a_second_author_signs_later_and_counts_as_the_first_does() {
    let stage = stage(&["alice"]);
    let two = "bundle: {keys: [{name: alice, file: alice.pub}, {name: bob, file: bob.pub}], threshold: 2}";
    let short = "2 persons must have signed, 1 did: alice; not signed by bob";
    verify_under(&stage, two, &[]).expect(30).says(&[short]);
    // Alice herself, once more, is still one person.
    countersign(&stage, "alice", &[]).expect(0);
    verify_under(&stage, two, &[&file(&stage, "alice")]).expect(30).says(&[short]);
    countersign(&stage, "bob", &[]).expect(0);
    let all = [file(&stage, "alice"), file(&stage, "bob")];
    verify_under(&stage, two, &[&all[0], &all[1]]).expect(0).says(&["(alice)", "(bob)"]);
    // Both are missing, and both are told.
    let three = "bundle: {keys: [{name: alice, file: alice.pub}, {name: bob, file: bob.pub}], threshold: 2, \
                 countersigners: [{name: dmz, file: dmz.pub}]}";
    let both = ["not signed by bob", "dmz must have countersigned the bundle and has not", "named beside the volumes"];
    verify_under(&stage, three, &[]).expect(30).says(&both);
    let unknown = "bundle: {keys: [{name: alice, file: alice.pub}]}";
    let json = verify_under(&stage, unknown, &[&all[1], "-o", "json"]).expect(0).stdout;
    let json: Value = serde_json::from_str(&json).unwrap();
    assert_eq!(json["signatures"][1]["verdict"], "unknown");
}

#[test]
fn a_bundle_without_its_authors_signature_can_be_signed_by_others_alone() {
    let stage = stage(&[]);
    for name in ["alice", "bob"] {
        let key = format!("{name}.key");
        stage.airlift(&["countersign", "b.airlift", "--sign-key", &key, "--allow-unsigned-bundle"]).expect(0);
    }
    let two = "bundle: {keys: [{name: alice, file: alice.pub}, {name: bob, file: bob.pub}], threshold: 2}";
    verify_under(&stage, two, &[&file(&stage, "alice"), &file(&stage, "bob")]).expect(0).says(&["(alice)", "(bob)"]);
    verify_under(&stage, two, &[&file(&stage, "alice")]).expect(30);
}

#[test]
fn who_countersigns_under_a_policy_that_waits_for_them_is_not_waited_for() {
    let stage = stage(&["alice"]);
    let sign = |key: &str, countersigners: &str| {
        let keys = "[{name: alice, file: alice.pub}, {name: bob, file: bob.pub}]";
        let demand = format!("bundle: {{keys: {keys}, threshold: 2, countersigners: [{countersigners}]}}");
        let rules = "rules: [{match: ['**'], exempt: {reason: t, until: 2999-01-01}}]";
        let policy = format!("apiVersion: airlift/v1alpha1\nkind: Policy\n{demand}\n{rules}\n");
        std::fs::write(stage.path("waits.yaml"), policy).unwrap();
        let key = format!("{key}.key");
        stage.airlift(&["countersign", "b.airlift", "--policy", "waits.yaml", "--sign-key", &key])
    };
    let (dmz, board) = ("{name: dmz, file: dmz.pub}", "{name: board, file: carol.pub}");
    let refused = sign("dmz", &format!("{dmz}, {board}")).expect(30);
    assert!(!refused.stderr.contains("dmz must have"), "{}", refused.stderr);
    refused.says(&["not signed by bob", "board must have countersigned"]);
    sign("bob", dmz).expect(30).says(&["dmz must have countersigned"]);
    sign("bob", "").expect(0);
}

#[test]
fn nothing_is_signed_that_does_not_verify() {
    let stage = stage(&["alice"]);
    let nothing = |ran: Ran, words: &str| {
        ran.says(&[words]);
        assert!(!files(stage.folder.path()).iter().any(|file| file.to_string_lossy().contains("countersigned")));
    };
    let arguments = ["countersign", "b.airlift", "--sign-key", "dmz.key"];
    nothing(stage.airlift(&arguments).expect(30), "NOT good");
    let stranger = [&arguments[..], &["--bundle-key", "bob.pub"]].concat();
    nothing(stage.airlift(&stranger).expect(30), "no accepted key made the signature");
    std::fs::write(
        stage.path("deny.yaml"),
        "apiVersion: airlift/v1alpha1\nkind: Policy\nrules: [{match: ['**'], deny: true}]\n",
    )
    .unwrap();
    nothing(countersign(&stage, "dmz", &["--policy", "deny.yaml"]).expect(30), "denies");
    nothing(stage.airlift(&["countersign", "b.airlift", "--bundle-key", "alice.pub"]).expect(2), "nobody signs");
    let mut bytes = std::fs::read(stage.path("b.airlift")).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    std::fs::write(stage.path("b.airlift"), bytes).unwrap();
    nothing(countersign(&stage, "dmz", &[]).expect(40), "nothing was signed");
}

#[test]
fn volumes_a_stream_and_a_single_volume_are_read_with_any_number_of_countersignatures() {
    let stage = Stage::new();
    ["alice", "dmz", "bob"].iter().for_each(|name| drop(key(&stage, name)));
    let image = SampleImage::new(1).layer(20 << 20).layer(20 << 20).build();
    let reference = stage.publish("team/app", "1", &image);
    let pack = ["pack", &reference, "-o", "v/site", "--volume-size", "16MiB", "--allow-unsigned", "**", "--plain-http"];
    stage.airlift(&[&pack[..], &["--sign-key", "alice.key"]].concat()).expect(0);
    let at = |arguments: &[&str]| stage.airlift(&[arguments, &["--bundle-key", "alice.pub"]].concat());
    at(&["countersign", "v", "--sign-key", "dmz.key"]).expect(0).says(&["v/site.000.countersigned-"]);
    at(&["countersign", "v", "--sign-key", "bob.key"]).expect(0);
    at(&["verify", "v", "--countersigner", "dmz.pub", "--countersigner", "bob.pub"]).expect(0);

    // In the order of their names, as a shell gives them, they can be piped.
    let set = volumes(&stage.path("v"), "site");
    assert!(set.len() > 4, "{:?}", set.keys());
    let piped: Vec<u8> = set.values().flatten().copied().collect();
    std::fs::write(stage.path("piped"), &piped).unwrap();
    let pipe = |arguments: &[&str]| {
        let mut command =
            stage.command(&[arguments, &["--bundle-key", "alice.pub", "--countersigner", "dmz.pub"]].concat());
        command.stdin(Stdio::from(std::fs::File::open(stage.path("piped")).unwrap()));
        stage.run(command)
    };
    pipe(&["verify", "-"]).expect(0).says(&["countersigned by dmz.pub at"]);
    let to = stage.enclave.host();
    pipe(&["import", "-", "--to", &to, "--plain-http"]).expect(0);
    pipe(&["countersign", "-", "--sign-key", "alice.key"]).expect(2).says(&["--output-file"]);
    pipe(&["countersign", "-", "--sign-key", "alice.key", "--output-file", "third"]).expect(0);
    at(&["verify", "v", "third"]).expect(0);

    // Behind the volumes they come too late for an import that reads its medium once.
    let (beside, rest): (Vec<_>, Vec<_>) = set.into_iter().partition(|(name, _)| name.contains("countersigned"));
    let late: Vec<u8> = rest.iter().chain(&beside).flat_map(|(_, bytes)| bytes).copied().collect();
    std::fs::write(stage.path("piped"), &late).unwrap();
    pipe(&["verify", "-"]).expect(30).says(&["must have countersigned"]);

    // One volume alone is checked as before.
    let second = format!("v/site{}", rest[1].0);
    let lonely =
        check(Input::Files(vec![stage.path(&second), stage.path(&format!("v/site{}", beside[0].0))]), 1, &|_| {});
    let words: Vec<&str> = lonely.findings.iter().map(|finding| finding.what.as_str()).collect();
    assert!(words.len() == 1 && words[0].contains("missing"), "{words:?}");
    assert_eq!(lonely.countersignatures.len(), 1);
    let all: Vec<PathBuf> = files(&stage.path("v"));
    assert_eq!(OpenBundle::open(&all).unwrap().inventory().len(), 4);
}

#[test]
fn plain_tools_pass_over_a_countersignature() {
    let stage = stage(&["alice"]);
    countersign(&stage, "dmz", &[]).expect(0);
    let run = |script: &str| {
        let out =
            std::process::Command::new("sh").args(["-c", script]).current_dir(stage.folder.path()).output().unwrap();
        assert!(out.status.success(), "{script}: {}", String::from_utf8_lossy(&out.stderr));
        String::from_utf8_lossy(&out.stdout).into_owned()
    };
    if std::process::Command::new("zstd").arg("--version").output().is_err() {
        return;
    }
    assert_eq!(run("cat b.0*.airlift b.airlift | zstd -dc | sha256sum"), run("zstd -dc b.airlift | sha256sum"));
    assert!(run("cat b.0*.airlift b.airlift | zstd -dc | tar t").contains("airlift/head.json"));
}

#[test]
fn every_changed_byte_of_a_countersignature_is_refused() {
    let stage = stage(&["alice"]);
    std::fs::write(stage.path("scan.txt"), "all is well").unwrap();
    countersign(&stage, "dmz", &["--report", "scan.txt", "--carry-report"]).expect(0);
    let path = stage.path(&file(&stage, "dmz"));
    let good = std::fs::read(&path).unwrap();
    let whole = || BundleReader::open(Input::Files(vec![stage.path("b.airlift"), path.clone()])).map(drop);
    assert!(whole().is_ok());
    for at in 0..good.len() {
        let mut bad = good.clone();
        bad[at] ^= 1 << (at % 8);
        std::fs::write(&path, bad).unwrap();
        assert!(whole().is_err(), "byte {at}");
    }
    // Through the program it is damage, with its exit number, and the rest is checked all the same.
    let ran = verify_under(&stage, DEMAND, &[&file(&stage, "dmz")]).expect(40);
    ran.says(&["does not match the digest at its end", "NOT good"]);
    let to = stage.enclave.host();
    stage
        .airlift(&[
            "import",
            "b.airlift",
            &file(&stage, "dmz"),
            "--to",
            &to,
            "--plain-http",
            "--bundle-key",
            "alice.pub",
        ])
        .expect(40);
    assert_eq!(stage.enclave.counters().upload_put, 0);
}

/// Writes a countersignature by `by` whose statement was changed, with a digest that fits.
fn forge(stage: &Stage, path: &Path, seal_as: &str, by: &SigningKey, change: &dyn Fn(&mut CountersignatureStatement)) {
    let found = read(path.to_owned(), stage);
    let mut statement = CountersignatureStatement::read(&found.statement, "x").unwrap();
    change(&mut statement);
    let statement = statement.to_bytes();
    let envelope = seal(seal_as, &statement, by).unwrap();
    let parts = Countersigning { bundle: &found.bundle, statement: &statement, envelope: &envelope, report: b"" };
    std::fs::write(path, parts.to_bytes().unwrap()).unwrap();
}

#[test]
fn what_is_wrong_with_a_countersignature_is_said() {
    let stage = stage(&["alice"]);
    countersign(&stage, "dmz", &[]).expect(0);
    let name = file(&stage, "dmz");
    let path = stage.path(&name);
    let (good, dmz) = (std::fs::read(&path).unwrap(), load(&stage, "dmz"));
    let refused = |kind: &str, by: &SigningKey, words: &str, change: &dyn Fn(&mut CountersignatureStatement)| {
        std::fs::write(&path, &good).unwrap();
        forge(&stage, &path, kind, by, change);
        verify_under(&stage, DEMAND, &[&name]).expect(30).says(&[words]);
    };
    let own = COUNTERSIGNATURE_STATEMENT;
    std::fs::write(&path, &good).unwrap();
    forge(&stage, &path, own, &dmz, &|_| {});
    verify_under(&stage, DEMAND, &[&name]).expect(0);
    refused(own, &dmz, "it is about bundle", &|s| s.bundle = Digest::of(b"another"));
    refused(own, &dmz, "over another signature of the author", &|s| s.signature = Some(Digest::of(b"another")));
    refused(own, &dmz, "over another signature of the author", &|s| s.signature = None);
    refused(BUNDLE_STATEMENT, &dmz, "the signature is for", &|_| {});
    refused(own, &load(&stage, "bob"), "dmz must have countersigned", &|_| {});
    refused(own, &dmz, "the report that it carries is not the one that it names", &|s| {
        s.report = Some(airlift::document::countersignature::ReportReference {
            name: None,
            media_type: "text/plain".into(),
            digest: Digest::of(b"x"),
            size: Some(1),
            uri: None,
            carried: true,
        });
    });

    // A statement that was changed after it was signed.
    std::fs::write(&path, &good).unwrap();
    let found = read(path.clone(), &stage);
    let statement = String::from_utf8(found.statement.clone()).unwrap().replace("\"artifacts\":1", "\"artifacts\":9");
    let parts = |statement: &[u8], envelope: &[u8], bundle: &Digest| {
        Countersigning { bundle, statement, envelope, report: b"" }.to_bytes().unwrap()
    };
    std::fs::write(&path, parts(statement.as_bytes(), &found.envelope, &found.bundle)).unwrap();
    verify_under(&stage, DEMAND, &[&name]).expect(30).says(&["signed sha256:", "but this is"]);
    std::fs::write(&path, parts(b"{}", &found.envelope, &found.bundle)).unwrap();
    verify_under(&stage, DEMAND, &[&name]).expect(30).says(&["is not accepted"]);
    std::fs::write(&path, parts(&found.statement, b"", &found.bundle)).unwrap();
    verify_under(&stage, DEMAND, &[&name]).expect(30).says(&["it is not signed"]);
    std::fs::write(&path, parts(&found.statement, &found.envelope, &Digest::of(b"another"))).unwrap();
    verify_under(&stage, DEMAND, &[&name]).expect(40).says(&["countersigns bundle", "take the file away"]);
}

#[test]
fn a_countersignature_of_another_bundle_and_too_many_are_refused() {
    let stage = stage(&["alice"]);
    countersign(&stage, "dmz", &[]).expect(0);
    let name = file(&stage, "dmz");
    let reference = stage.publish("team/other", "1", &small(2));
    let pack = ["pack", &reference, "-o", "other", "--allow-unsigned", "**", "--plain-http", "--sign-key", "alice.key"];
    stage.airlift(&pack).expect(0);
    let verify = stage.airlift(&["verify", "other.airlift", &name, "--bundle-key", "alice.pub"]).expect(40);
    verify.says(&["countersigns bundle", "it belongs beside the bundle that it is about"]);
    let many: Vec<String> = (0..17).map(|n| format!("copy{n}")).collect();
    for copy in &many {
        std::fs::copy(stage.path(&name), stage.path(copy)).unwrap();
    }
    let verify = |count: usize| {
        let mut arguments = vec!["verify", "b.airlift", "--bundle-key", "alice.pub"];
        arguments.extend(many[..count].iter().map(String::as_str));
        stage.airlift(&arguments)
    };
    verify(16).expect(0);
    verify(17).expect(40).says(&["17 countersignatures, the limit is 16"]);
}

#[test]
fn the_end_of_a_key_ends_its_countersignatures() {
    let stage = stage(&["alice"]);
    countersign(&stage, "dmz", &[]).expect(0);
    let section = |until: &str| DEMAND.replace("file: dmz.pub", &format!("file: dmz.pub, notAfter: {until}"));
    verify_under(&stage, &section("2999-01-01"), &[&file(&stage, "dmz")]).expect(0);
    let ended = verify_under(&stage, &section("2024-01-01"), &[&file(&stage, "dmz")]).expect(30);
    ended.says(&["dmz countersigned the bundle, but the key of dmz counted until 2024-01-01"]);
}

#[test]
fn a_medium_that_cannot_be_written_gets_its_countersignature_elsewhere() {
    let stage = stage(&["alice"]);
    let medium = stage.path("medium");
    std::fs::create_dir(&medium).unwrap();
    std::fs::rename(stage.path("b.airlift"), medium.join("b.airlift")).unwrap();
    let arguments = ["countersign", "medium", "--bundle-key", "alice.pub", "--sign-key", "dmz.key"];
    // Root writes wherever it likes, so a file that stands in the way makes the folder unwritable for this test.
    std::fs::set_permissions(&medium, std::fs::Permissions::from_mode(0o555)).unwrap();
    if std::fs::write(medium.join("probe"), "").is_err() {
        stage.airlift(&arguments).expect(2).says(&["--output-file"]);
    }
    std::fs::create_dir(stage.path("local")).unwrap();
    stage
        .airlift(&[&arguments[..], &["--output-file", "local"]].concat())
        .expect(0)
        .says(&["local/b.000.countersigned-"]);
    let verify = ["verify", "medium/b.airlift", "local", "--bundle-key", "alice.pub", "--countersigner", "dmz.pub"];
    stage.airlift(&verify).expect(0);
    let again = stage.airlift(&[&arguments[..], &["--output-file", "local"]].concat()).expect(2);
    again.says(&["exists and is not replaced"]);
    std::fs::set_permissions(&medium, std::fs::Permissions::from_mode(0o755)).unwrap();
}

#[test]
fn a_killed_countersign_leaves_nothing_or_all_of_it() {
    let stage = stage(&["alice"]);
    std::fs::write(stage.path("scan"), vec![b'x'; 3 << 20]).unwrap();
    let (name, before) = (file(&stage, "dmz"), Digest::of(&std::fs::read(stage.path("b.airlift")).unwrap()));
    let arguments = ["countersign", "b.airlift", "--bundle-key", "alice.pub", "--sign-key", "dmz.key"];
    let command = || stage.command(&[&arguments[..], &["--report", "scan", "--carry-report"]].concat());
    let whole = stage.run(command()).expect(0).took;
    let mut seen = [0_u32; 2];
    for step in 0..70_i32 {
        // On a machine that has got slower since, the last kills wait longer and longer.
        let share = if step < 60 { f64::from(step) / 50.0 } else { f64::from(step - 58).exp2() };
        if step >= 60 && seen[1] > 0 {
            break;
        }
        drop(std::fs::remove_file(stage.path(&name)));
        let mut child = command().stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        let until = Instant::now() + whole.mul_f64(share);
        while Instant::now() < until && child.try_wait().unwrap().is_none() {
            std::thread::yield_now();
        }
        child.kill().unwrap();
        child.wait().unwrap();
        let there = stage.path(&name).exists();
        seen[usize::from(there)] += 1;
        let mut verify = vec!["verify", "b.airlift", "--bundle-key", "alice.pub"];
        if there {
            verify.extend([&name, "--countersigner", "dmz.pub"]);
        }
        assert!(stage.command(&verify).output().unwrap().status.success(), "step {step}");
    }
    assert!(seen[0] > 5 && seen[1] > 0, "{seen:?} of kills left nothing and all");
    drop(std::fs::remove_file(stage.path(&name)));
    stage.run(command()).expect(0);
    assert!(!stage.path(&format!("{name}.partial")).exists());
    assert_eq!(Digest::of(&std::fs::read(stage.path("b.airlift")).unwrap()), before);
    assert!(whole < Duration::from_secs(60));
}

#[test]
fn a_verification_asks_no_network() {
    let stage = stage(&["alice"]);
    countersign(&stage, "dmz", &[]).expect(0);
    // Whatever would be asked would come by here, or by the registries.
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    listener.set_nonblocking(true).unwrap();
    let proxy = format!("http://{}", listener.local_addr().unwrap());
    let requests = || stage.upstream.counters().requests + stage.enclave.counters().requests;
    let before = requests();
    let text = format!(
        "apiVersion: airlift/v1alpha1\nkind: Policy\n{DEMAND}\nrules:\n  - {{match: ['**'], exempt: {{reason: a test, until: never}}}}\n"
    );
    std::fs::write(stage.path("policy.yaml"), text).unwrap();
    let found = file(&stage, "dmz");
    for arguments in [
        vec!["verify", "b.airlift", &found, "--policy", "policy.yaml"],
        vec!["inspect", "b.airlift", &found],
        vec!["countersign", "b.airlift", &found, "--policy", "policy.yaml", "--sign-key", "bob.key"],
    ] {
        let mut command = stage.command(&arguments);
        for name in ["HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "https_proxy"] {
            command.env(name, &proxy);
        }
        stage.run(command).expect(0);
    }
    assert_eq!(requests(), before);
    assert!(listener.accept().is_err(), "somebody connected to the proxy");
}
