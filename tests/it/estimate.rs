//! What is said before the first byte agrees with what happens then: sizes of bundles, bytes that an import sends.

use crate::stage::{Ran, Stage, multi, small, volumes};
use airlift::model::port::BlobSink;
use airlift::testkit::image::{Sample, SampleImage};
use serde_json::Value;

const ANYONE: [&str; 2] = ["--allow-unsigned", "**"];

fn json(ran: &Ran) -> Value {
    serde_json::from_str(&ran.stdout).unwrap_or_else(|error| panic!("{error}: {}", ran.stdout))
}

fn number(value: &Value) -> u64 {
    value.as_u64().unwrap_or_else(|| panic!("no number: {value}"))
}

/// Estimates, with the same words as a pack.
fn estimate(stage: &Stage, references: &[&str], more: &[&str]) -> Ran {
    let mut arguments = vec!["estimate"];
    arguments.extend(references);
    arguments.extend(["--plain-http", "-o", "json"]);
    arguments.extend(more);
    stage.airlift(&arguments)
}

fn pack(stage: &Stage, references: &[&str], out: &str, more: &[&str]) {
    let mut arguments = vec!["pack", "-o", out, "--plain-http", "--sign-key", "author.key"];
    arguments.extend(references);
    arguments.extend(more);
    stage.airlift(&arguments).expect(0);
}

/// Returns number and bytes of the volumes that were packed.
fn packed(stage: &Stage, out: &str) -> (u64, u64) {
    let volumes = volumes(stage.folder.path(), out);
    (volumes.len() as u64, volumes.values().map(|bytes| bytes.len() as u64).sum())
}

fn three(stage: &Stage) -> Vec<String> {
    let app = multi(10);
    let sbom = Sample::referrer(&app, "application/spdx+json", b"{\"spdxVersion\":\"SPDX-2.3\"}");
    let large = SampleImage::new(3).shared_layer(1, 300_000).layer(9 << 20).build();
    let references = vec![
        stage.publish("team/app", "1.0", &app),
        stage.publish("team/tool", "2.0", &small(20)),
        stage.publish("team/large", "1", &large),
    ];
    sbom.push(&stage.remote, &stage.at("team/app"), None).unwrap();
    for (path, image) in [("team/app", &app), ("team/tool", &small(20)), ("team/large", &large)] {
        stage.sign(path, image.digest());
    }
    references
}

#[test]
fn a_bundle_has_the_size_that_was_estimated_to_the_byte() {
    let stage = Stage::new();
    let references = three(&stage);
    let references: Vec<&str> = references.iter().map(String::as_str).collect();
    for (out, cut) in [("whole", &[][..]), ("cut", &["--volume-size", "5MiB"][..])] {
        for (name, judging) in [("k", &["--key", "cosign.pub"][..]), ("a", &ANYONE)] {
            let more = [cut, judging].concat();
            let said = json(&estimate(&stage, &references, &more).expect(0));
            let out = format!("{out}-{name}");
            let mut dry = vec!["pack", "-o", &out, "--plain-http", "--dry-run"];
            dry.extend(&references);
            dry.extend(&more);
            let dry = stage.airlift(&dry).expect(0);
            assert!(volumes(stage.folder.path(), &out).is_empty(), "a dry run wrote something");
            pack(&stage, &references, &out, &more);
            let (count, bytes) = packed(&stage, &out);
            for end in ["least", "most"] {
                assert_eq!(number(&said["bundleBytes"][end]), bytes, "{out}");
                assert_eq!(number(&said["volumes"][end]), count, "{out}");
            }
            assert!(dry.stdout.contains(&format!("({bytes} bytes)")), "{}", dry.stdout);
            assert_eq!(number(&said["artifacts"]), 3);
        }
    }
}

#[test]
fn parity_has_the_size_that_was_estimated_to_the_byte() {
    let stage = Stage::new();
    let references = [stage.publish("team/app", "1", &small(20)), stage.publish("team/two", "1", &multi(10))];
    let references: Vec<&str> = references.iter().map(String::as_str).collect();
    for (out, cut) in [("one", &["--parity", "5%"][..]), ("cut", &["--parity", "2", "--volume-size", "300KiB"])] {
        let more = [cut, &ANYONE].concat();
        let said = json(&estimate(&stage, &references, &more).expect(0));
        pack(&stage, &references, out, &more);
        let (parity, data): (Vec<_>, Vec<_>) =
            volumes(stage.folder.path(), out).into_iter().partition(|(name, _)| name.starts_with(".p"));
        let bytes = |of: &[(String, Vec<u8>)]| of.iter().map(|(_, bytes)| bytes.len() as u64).sum::<u64>();
        assert_eq!(number(&said["bundleBytes"]["least"]), bytes(&data), "{out}");
        let stated = (number(&said["parity"]["volumes"]), number(&said["parity"]["bytes"]));
        assert_eq!(stated, (parity.len() as u64, bytes(&parity)), "{out}");
    }
}

#[test]
fn payload_is_not_fetched_for_an_estimate() {
    let stage = Stage::new();
    let references = three(&stage);
    let references: Vec<&str> = references.iter().map(String::as_str).collect();
    let before = stage.upstream.counters();
    let said = json(&estimate(&stage, &references, &ANYONE).expect(0));
    let after = stage.upstream.counters();
    let (payload, moved) = (number(&said["payloadBytes"]), after.bytes_out - before.bytes_out);
    assert!(payload > 9 << 20, "{payload}");
    assert!(moved < 1 << 20, "{moved} bytes for an estimate");
}

#[test]
fn where_payload_is_compressed_while_packing_a_range_is_told_and_kept() {
    let stage = Stage::new();
    // One layer that compresses well, and one that does not compress at all.
    let noise = airlift::testkit::image::noise(7, 6 << 20);
    let image = SampleImage::new(1)
        .plain_layer(5, 9 << 20)
        .blob("application/vnd.oci.image.layer.v1.tar", noise)
        .layer(100_000)
        .build();
    let reference = stage.publish("team/open", "1", &image);
    for (out, cut) in [("whole", &[][..]), ("cut", &["--volume-size", "5MiB"][..])] {
        let more = [cut, &ANYONE].concat();
        let said = json(&estimate(&stage, &[&reference], &more).expect(0));
        pack(&stage, &[&reference], out, &more);
        let (count, bytes) = packed(&stage, out);
        let (least, most) = (number(&said["bundleBytes"]["least"]), number(&said["bundleBytes"]["most"]));
        assert!(least < bytes && bytes < most, "{least} < {bytes} < {most}");
        assert!(most < (15 << 20) + (1 << 20), "{most} is far above what could come");
        let (fewest, greatest) = (number(&said["volumes"]["least"]), number(&said["volumes"]["most"]));
        assert!(fewest <= count && count <= greatest, "{fewest} <= {count} <= {greatest}");
    }
}

#[test]
fn an_import_sends_what_its_dry_run_and_the_estimate_said() {
    let stage = Stage::new();
    let references = three(&stage);
    let references: Vec<&str> = references.iter().map(String::as_str).collect();
    pack(&stage, &references, "b", &["--key", "cosign.pub"]);
    // A part of it is there already: an image, and one blob of another.
    let (tool, large) = (small(20), SampleImage::new(3).shared_layer(1, 300_000).layer(9 << 20).build());
    tool.push(&stage.remote, &stage.there("team/tool"), Some(&"2.0".parse().unwrap())).unwrap();
    let there = large.blobs().into_iter().max_by_key(|blob| blob.descriptor.size).unwrap();
    stage.remote.put(&stage.there("team/large"), &there.descriptor, &mut &there.bytes[..]).unwrap();
    for to in [stage.enclave.host(), "oci:out".to_owned()] {
        let said = json(&estimate(&stage, &references, &["--to", &to, "--key", "cosign.pub"]).expect(0));
        let import = ["import", "b.airlift", "--to", &to, "--bundle-key", "author.pub", "--plain-http", "-o", "json"];
        let plan = json(&stage.airlift(&[&import[..], &["--dry-run"]].concat()).expect(0));
        let blobs = plan["blobs"].as_array().unwrap().iter();
        let bytes = |blob: &Value| {
            let places = match (blob["atHand"] == true, blob["presentIn"].is_null()) {
                (true, _) => blob["missingIn"].as_array().unwrap().len() as u64,
                (false, absent) => u64::from(absent),
            };
            number(&blob["descriptor"]["size"]) * places
        };
        let planned: u64 = blobs.map(bytes).sum();
        assert_eq!(number(&said["import"]["bytesToSend"]), planned, "{to}");
        let receipt = json(&stage.airlift(&import).expect(0));
        assert_eq!(number(&receipt["moved"]["bytesSent"]), planned, "{to}");
        assert!(planned > 0);
        let again = json(&estimate(&stage, &references, &["--to", &to, "--key", "cosign.pub"]).expect(0));
        assert_eq!((number(&again["import"]["bytesToSend"]), number(&again["import"]["artifacts"])), (0, 0), "{to}");
    }
}

#[test]
fn times_at_a_rate_follow_from_the_bytes() {
    let stage = Stage::new();
    let reference = stage.publish("team/app", "1", &SampleImage::new(4).layer(3_000_000).build());
    let said = json(&estimate(&stage, &[&reference], &["--rate", "100kB/s"]).expect(0));
    assert_eq!(number(&said["seconds"]["fetch"]["least"]), 30);
    assert_eq!(said["seconds"]["carry"]["most"], number(&said["bundleBytes"]["most"]).div_ceil(100_000));
    let table = stage.airlift(&["estimate", &reference, "--plain-http", "--rate", "100kB/s"]).expect(0);
    table.says(&["time to fetch  30 s", "everything is counted and nothing is judged"]);
    stage.airlift(&["estimate", &reference, "--plain-http", "--rate", "fast"]).expect(2);
}

#[test]
fn what_a_policy_refuses_is_refused_by_the_estimate_too() {
    let stage = Stage::new();
    let reference = stage.publish("team/app", "1", &small(1));
    estimate(&stage, &[&reference], &["--key", "cosign.pub"]).expect(30);
    estimate(&stage, &["127.0.0.1:1/team/absent:1"], &["--retries", "0"]).expect(20);
}

#[test]
fn a_destination_that_is_not_ready_is_told_with_its_reasons() {
    let stage = Stage::new();
    let reference = stage.publish("team/app", "1", &small(1));
    stage.airlift(&["estimate", &reference, "--plain-http", "--to", "127.0.0.1:1", "--retries", "0"]).expect(50);
}
