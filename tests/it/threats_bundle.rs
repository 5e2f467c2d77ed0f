//! Bundles whose author is the attacker: his root, his policy, his seal. The far side's own decide.

use crate::stage::{Ran, Stage, small};
use airlift::model::port::{BlobSink, ImageSink};
use airlift::model::{Descriptor, MediaType};
use airlift::testkit::sigstore::{self as kit, Leaf, World};
use airlift::trust::{RECEIPT_STATEMENT, seal, simple};
use serde_json::Value;

const T0: i64 = 1_700_000_000;
const WHO: &str = "https://code.example/team/app/.github/workflows/release.yaml@refs/heads/main";
const ISSUER: &str = "https://token.example";

fn leaf() -> Leaf {
    Leaf::new(WHO, ISSUER, T0 + 1000)
}

/// An image that a workflow of `world` signed, packed by an author who judges by `author.json` under `author.yaml`.
fn packed(world: &World, author_root: &Value, author_policy: &str) -> Stage {
    let stage = Stage::new();
    let image = small(7);
    let reference = stage.publish("team/app", "1", &image);
    let layer = world.simple(&leaf(), &simple::payload("x", image.digest()));
    let candidate = kit::tagged(image.digest(), "sig", &[layer]);
    let at = stage.at("team/app");
    let config = (Descriptor::of(MediaType::OCI_CONFIG, b"{}"), b"{}".to_vec());
    for (layer, bytes) in candidate.layers.iter().cloned().chain([config]) {
        stage.remote.put(&at, &layer, &mut bytes.as_slice()).unwrap();
    }
    stage.remote.put_manifest(&at, &candidate.document, candidate.tag.as_ref()).unwrap();
    std::fs::write(stage.path("trusted_root.json"), author_root.to_string()).unwrap();
    std::fs::write(stage.path("author.yaml"), author_policy).unwrap();
    let pack = ["pack", &reference, "-o", "b", "--policy", "author.yaml", "--sign-key", "author.key", "--plain-http"];
    stage.airlift(&pack).expect(0);
    stage
}

fn keyless_rule(root: &str) -> String {
    format!(
        "apiVersion: airlift/v1alpha1\nkind: Policy\ntrustRoots: {{corporate: {{file: {root}}}}}\nrules:\n  - match: [\"**\"]\n    signatures:\n      - keyless: {{trustRoot: corporate, issuer: \"{ISSUER}\", identity: \"{WHO}\"}}\n"
    )
}

fn far(stage: &Stage, arguments: &[&str]) -> Ran {
    stage.airlift(&[&["verify", "b.airlift", "--policy", "far.yaml"], arguments].concat())
}

#[test]
fn neither_root_nor_policy_of_a_bundle_count_on_the_far_side() {
    // The author is the attacker: his own authority and logs under the good names, his root and policy in the bundle.
    let (attacker, good) = (World::new(T0), World::new(T0));
    let stage = packed(&attacker, &attacker.root(), &keyless_rule("trusted_root.json"));
    std::fs::create_dir(stage.path("far")).unwrap();
    std::fs::write(stage.path("far/trusted_root.json"), good.root().to_string()).unwrap();
    std::fs::write(stage.path("far.yaml"), keyless_rule("far/trusted_root.json")).unwrap();
    far(&stage, &["--bundle-key", "author.pub"]).expect(30).says(&["does not know"]);
    let to = stage.enclave.host();
    let import =
        ["import", "b.airlift", "--to", &to, "--plain-http", "--bundle-key", "author.pub", "--policy", "far.yaml"];
    stage.airlift(&import).expect(30).says(&["does not know"]);
    assert!(stage.tags_there("team/app").is_empty(), "45: nothing is visible");

    let exempt = "apiVersion: airlift/v1alpha1\nkind: Policy\nrules:\n  - match: [\"**\"]\n    exempt: {reason: trust me, until: never}\n";
    let stage = packed(&attacker, &attacker.root(), exempt);
    std::fs::write(stage.path("far.json"), good.root().to_string()).unwrap();
    std::fs::write(stage.path("far.yaml"), keyless_rule("far.json")).unwrap();
    far(&stage, &["--bundle-key", "author.pub"]).expect(30).says(&["does not know"]);
}

#[test]
fn an_author_that_nobody_named_is_refused_whatever_he_sealed() {
    let world = World::new(T0);
    let stage = packed(&world, &world.root(), &keyless_rule("trusted_root.json"));
    std::fs::write(stage.path("far.yaml"), keyless_rule("trusted_root.json")).unwrap();
    far(&stage, &["--bundle-key", "author.pub"]).expect(0);
    stage.airlift(&["keygen", "-o", "stranger"]).expect(0);
    far(&stage, &["--bundle-key", "stranger.pub"]).expect(30).says(&["no accepted key made the signature"]);
    // The seal of a receipt by the right key in the place of the seal of the head.
    let path = stage.path("b.airlift");
    let mut bytes = std::fs::read(&path).unwrap();
    let at = find(&bytes, b"{\"payloadType\":\"application/vnd.airlift.bundle.v1+json\"");
    let forged = seal(RECEIPT_STATEMENT, b"a receipt", &stage.key).unwrap();
    bytes[at..at + forged.len()].copy_from_slice(&forged);
    std::fs::remove_file(&path).unwrap();
    std::fs::write(stage.path("forged.airlift"), bytes).unwrap();
    let said = stage.airlift(&["inspect", "forged.airlift"]);
    assert!(!said.stdout.contains("signed by"), "47: {}", said.stdout);
    let verify = ["verify", "forged.airlift", "--policy", "far.yaml", "--bundle-key", "author.pub"];
    let ran = stage.airlift(&verify);
    assert!(matches!(ran.code, 30 | 40), "47: {}{}", ran.stdout, ran.stderr);
}

fn find(bytes: &[u8], wanted: &[u8]) -> usize {
    bytes.windows(wanted.len()).position(|window| window == wanted).expect("the seal stands in the file as text")
}
