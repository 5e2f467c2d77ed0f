//! The client of the Sigstore conformance suite, as the suite runs it.

use crate::stage::{Ran, Stage};
use airlift::testkit::sigstore::{Key, Leaf, World};

const T0: i64 = 1_700_000_000;
const WHO: &str = "https://code.example/team/app/.github/workflows/release.yaml@refs/heads/main";
const ISSUER: &str = "https://token.example";
const FILE: &[u8] = b"a file\n";

fn leaf() -> Leaf {
    Leaf::new(WHO, ISSUER, T0 + 1000)
}

/// Runs the client as the suite does: every option in the order of its protocol.
fn client(stage: &Stage, options: &[&str], file: &str) -> Ran {
    let head = ["trust", "conformance", "verify-bundle", "--bundle", "bundle.json"];
    stage.airlift(&[&head, options, &[file]].concat())
}

#[test]
fn the_client_of_the_conformance_suite_speaks_its_protocol() {
    let stage = Stage::new();
    let (world, key) = (World::new(T0), Key::new());
    let write = |name: &str, text: &[u8]| std::fs::write(stage.path(name), text).unwrap();
    write("root.json", world.root().to_string().as_bytes());
    write("a.txt", FILE);
    write("key.pub", key.pem().as_bytes());
    write("bundle.json", world.file_bundle(&leaf(), FILE, "0.3").to_string().as_bytes());
    let digest = airlift::model::Digest::of(FILE).to_string();
    let who = ["--certificate-identity", WHO, "--certificate-oidc-issuer", ISSUER, "--trusted-root", "root.json"];
    for file in ["a.txt", digest.as_str()] {
        client(&stage, &who, file).expect(0).says(&["\"log\": \"proof\"", WHO, "2023-11-14T22:31:00Z"]);
    }
    let stranger =
        ["--certificate-identity", "https://x", "--certificate-oidc-issuer", ISSUER, "--trusted-root", "root.json"];
    client(&stage, &stranger, "a.txt").expect(30).says(&["the rule wants https://x"]);
    client(&stage, &who[..4], "a.txt").expect(30).says(&["does not know", "hint: is the trusted root older"]);
    client(&stage, &[&["--staging"], &who[..4]].concat(), "a.txt").expect(30).says(&["\"staging\" does not know"]);
    client(&stage, &["--key", "key.pub", "--trusted-root", "root.json"], "a.txt").expect(30).says(&["a key is wanted"]);
    client(&stage, &who, "absent.txt").expect(2).says(&["absent.txt"]);
    // A file with the name of a digest is the file.
    write(&digest, b"another file");
    client(&stage, &who, &digest).expect(30).says(&["does not match"]);
    write("bundle.json", world.file_bundle_by_key(&key, FILE, T0 + 60).to_string().as_bytes());
    client(&stage, &["--key", "key.pub", "--trusted-root", "root.json"], "a.txt").expect(0);
    let sign = ["trust", "conformance", "sign-bundle", "--identity-token", "t", "--bundle", "b.json", "a.txt"];
    stage.airlift(&sign).expect(2).says(&["does not sign with an identity token", "hint: sign with cosign"]);
    assert!(!stage.path("b.json").exists());
}
