//! Messages and exit numbers of the commands: what a person sees who made a mistake.

use crate::stage::{Stage, small};

#[test]
fn mistakes_on_the_command_line_exit_with_2() {
    let stage = Stage::new();
    stage.airlift(&["pack"]).expect(2);
    stage.airlift(&["pack", "-o", "b"]).expect(2).says(&["nothing is wanted"]);
    stage.airlift(&["pack", "Bad/Ref", "-o", "b"]).expect(2).says(&["lower case", "character"]);
    stage.airlift(&["pack", "x:1", "-o", "b", "--volume-size", "12 parsecs"]).expect(2);
    stage.airlift(&["pack", "-f", "absent.yaml", "-o", "b"]).expect(2).says(&["absent.yaml"]);
    stage.airlift(&["verify", "absent.airlift"]).expect(2).says(&["absent.airlift"]);
    stage.airlift(&["import", "absent.airlift", "--to", "host/UPPER"]).expect(2);
    stage.airlift(&["frobnicate"]).expect(2);
}

#[test]
fn help_and_version_exit_with_0() {
    let stage = Stage::new();
    stage.airlift(&["--version"]).expect(0).says(&["airlift 0."]);
    for command in [
        "resolve",
        "why",
        "estimate",
        "pack",
        "inspect",
        "verify",
        "countersign",
        "import",
        "sync",
        "serve",
        "receipt",
        "lock",
        "diff",
        "generate",
        "trust",
        "policy",
        "keygen",
        "demo",
    ] {
        stage.airlift(&[command, "--help"]).expect(0).says(&["Usage: airlift"]);
    }
}

#[test]
fn a_mirror_file_that_does_not_parse_is_named_with_line_and_column() {
    let stage = Stage::new();
    let resolve = |text: &str| {
        std::fs::write(stage.path("mirror.yaml"), text).unwrap();
        stage.airlift(&["resolve", "-f", "mirror.yaml", "--plain-http"])
    };
    let head = "apiVersion: airlift/v1alpha1\nkind: Mirror\n";
    resolve(&format!("{head}imagse: []\n")).expect(2).says(&["mirror.yaml:3:", "images"]);
    resolve(&format!("{head}images: [\n")).expect(2).says(&["mirror.yaml:"]);
    resolve(&head.replace("Mirror", "Policy")).expect(2).says(&["Policy", "Mirror"]);
    resolve(&head.replace("v1alpha1", "v9")).expect(2).says(&["airlift/v9"]);
    resolve(&format!("{head}images: [\"h.example/x@sha256:12\"]\n")).expect(2).says(&["mirror.yaml:3"]);
}

#[test]
fn a_source_that_is_not_there_exits_with_20_and_names_all_that_are_missing() {
    let stage = Stage::new();
    let good = stage.publish("team/app", "1", &small(1));
    let absent = good.replace("team/app", "team/absent");
    stage
        .airlift(&[
            "pack",
            &good,
            &format!("{}/team/app:9", stage.upstream.host()),
            &absent,
            "-o",
            "b",
            "--allow-unsigned",
            "**",
            "--plain-http",
        ])
        .expect(20)
        .says(&["2 things could not be had", "team/app:9", "team/absent"]);
    stage
        .airlift(&["pack", "127.0.0.1:1/x:1", "-o", "b", "--allow-unsigned", "**", "--plain-http", "--retries", "0"])
        .expect(20)
        .says(&["127.0.0.1:1"]);
}

#[test]
fn a_key_pair_is_made_once_and_its_private_half_is_private() {
    use std::os::unix::fs::PermissionsExt;
    let stage = Stage::new();
    stage.airlift(&["keygen", "-o", "mine"]).expect(0).says(&["mine.key", "mine.pub"]);
    let mode = std::fs::metadata(stage.path("mine.key")).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    stage.airlift(&["keygen", "-o", "mine"]).expect(2).says(&["not replaced"]);
}

#[test]
fn a_dry_run_says_what_a_run_would_do_and_writes_nothing() {
    let stage = Stage::new();
    let reference = stage.publish("team/app", "1", &small(1));
    stage.pack(&[&reference], "b", &["--allow-unsigned", "**"]).expect(0);
    let dry = stage.import("b.airlift", &["--dry-run", "-o", "json"]).expect(0);
    let plan: serde_json::Value = serde_json::from_str(&dry.stdout).unwrap();
    let planned: u64 =
        plan["blobs"].as_array().unwrap().iter().map(|blob| blob["descriptor"]["size"].as_u64().unwrap()).sum();
    assert!(stage.tags_there("team/app").is_empty());
    let ran = stage.import("b.airlift", &["-o", "json"]).expect(0);
    let receipt: serde_json::Value = serde_json::from_str(&ran.stdout).unwrap();
    assert_eq!(receipt["moved"]["bytesSent"].as_u64().unwrap(), planned, "dry run and run agree");
}

#[test]
fn the_demo_runs_the_whole_job_without_a_network() {
    let stage = Stage::new();
    stage.airlift(&["demo"]).expect(0).says(&[
        "refuses 1 artifact",
        "pinned",
        "refused: ",
        "0 blobs sent, 0 documents written",
    ]);
    stage.airlift(&["demo", "--dir", "kept"]).expect(0);
    for name in ["mirror.yaml", "policy.yaml", "airlift.lock", "receipt.json", "author.pub", "bundle.001.airlift"] {
        assert!(stage.path("kept").join(name).exists(), "{name}");
    }
}

#[test]
fn two_syncs_of_one_job_exclude_each_other() {
    let stage = Stage::new();
    let reference = stage.publish("team/app", "1", &small(1));
    let held = std::fs::File::create(stage.path("job.lock")).unwrap();
    held.lock().unwrap();
    let to = stage.enclave.host();
    let arguments =
        ["sync", &reference, "--to", &to, "--allow-unsigned", "**", "--plain-http", "--lock-file", "job.lock"];
    stage.airlift(&arguments).expect(10).says(&["another run holds"]);
    held.unlock().unwrap();
    stage.airlift(&arguments).expect(0);
}
