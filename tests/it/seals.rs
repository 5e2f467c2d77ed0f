//! Seals end to end: several authors, keys that change, encrypted keys, signed receipts and locks.

use crate::stage::{Ran, Stage, small};
use airlift::bundle::{BundleReader, Input};
use airlift::flow::{ReceiptDemand, accept_receipt, read_signed};
use airlift::trust::{BUNDLE_STATEMENT, LOCK_STATEMENT, PublicKey, RECEIPT_STATEMENT, SigningKey, seal};
use std::path::Path;

/// A stage with a packed bundle `b.airlift`, and keys `alice`, `bob`, `carol`, `dmz` in files.
pub fn stage(signers: &[&str]) -> Stage {
    let stage = Stage::new();
    for name in ["alice", "bob", "carol", "dmz"] {
        key(&stage, name);
    }
    let reference = stage.publish("team/app", "1", &small(1));
    let mut arguments = vec!["pack", reference.as_str(), "-o", "b", "--allow-unsigned", "**", "--plain-http"];
    let files: Vec<String> = signers.iter().map(|name| format!("{name}.key")).collect();
    files.iter().for_each(|file| arguments.extend(["--sign-key", file]));
    stage.airlift(&arguments).expect(0);
    stage
}

pub fn key(stage: &Stage, name: &str) -> SigningKey {
    let key = SigningKey::generate().unwrap();
    std::fs::write(stage.path(&format!("{name}.key")), key.to_pkcs8_pem()).unwrap();
    std::fs::write(stage.path(&format!("{name}.pub")), key.public().to_pem()).unwrap();
    key
}

fn load(path: &Path) -> SigningKey {
    SigningKey::from_pem(&std::fs::read(path).unwrap(), None).unwrap()
}

/// Writes a policy with this section and verifies the bundle under it.
pub fn verify_under(stage: &Stage, section: &str, more: &[&str]) -> Ran {
    let text = format!(
        "apiVersion: airlift/v1alpha1\nkind: Policy\n{section}\nrules:\n  - {{match: ['**'], exempt: {{reason: a test, until: never}}}}\n"
    );
    std::fs::write(stage.path("policy.yaml"), text).unwrap();
    stage.airlift(&[&["verify", "b.airlift", "--policy", "policy.yaml"], more].concat())
}

fn keys(list: &str, rest: &str) -> String {
    let entry = |name: &str| format!("{{name: {name}, file: {name}.pub}}");
    let entries: Vec<String> = list.split(' ').map(entry).collect();
    format!("bundle: {{keys: [{}]{rest}}}", entries.join(", "))
}

/// Replaces the signature in the slot of `b.airlift` by `envelope`, with a frame that is right in every other way.
fn reseal(stage: &Stage, envelope: &[u8]) {
    let path = stage.path("b.airlift");
    let mut bytes = std::fs::read(&path).unwrap();
    let reader = BundleReader::open(Input::Files(vec![path.clone()])).unwrap();
    let old = reader.envelope().unwrap();
    let at = bytes.windows(old.len()).position(|window| window == old).unwrap();
    let mut slot = vec![b' '; 4096];
    slot[..envelope.len()].copy_from_slice(envelope);
    slot[4095] = b'\n';
    bytes[at..at + 4096].copy_from_slice(&slot);
    bytes[at + 4096..at + 4100].copy_from_slice(&(xxh64(&slot) as u32).to_le_bytes());
    std::fs::write(path, bytes).unwrap();
}

/// XXH64 with seed 0 (the frame's checksum), for whole stripes of 32 bytes as a slot has them.
fn xxh64(bytes: &[u8]) -> u64 {
    const P: [u64; 5] = [
        0x9e37_79b1_85eb_ca87,
        0xc2b2_ae3d_27d4_eb4f,
        0x1656_67b1_9e37_79f9,
        0x85eb_ca77_c2b2_ae63,
        0x27d4_eb2f_1656_67c5,
    ];
    assert_eq!(bytes.len() % 32, 0);
    let round = |acc: u64, lane: u64| acc.wrapping_add(lane.wrapping_mul(P[1])).rotate_left(31).wrapping_mul(P[0]);
    let mut v = [P[0].wrapping_add(P[1]), P[1], 0, 0_u64.wrapping_sub(P[0])];
    for stripe in bytes.chunks(32) {
        for (v, lane) in v.iter_mut().zip(stripe.chunks(8)) {
            *v = round(*v, u64::from_le_bytes(lane.try_into().unwrap()));
        }
    }
    let mut h = [1, 7, 12, 18].iter().zip(v).fold(0_u64, |h, (turn, v)| h.wrapping_add(v.rotate_left(*turn)));
    for v in v {
        h = (h ^ round(0, v)).wrapping_mul(P[0]).wrapping_add(P[3]);
    }
    h = h.wrapping_add(bytes.len() as u64);
    h = (h ^ h >> 33).wrapping_mul(P[1]);
    h = (h ^ h >> 29).wrapping_mul(P[2]);
    h ^ h >> 32
}

#[test]
fn m_of_n_authors_must_have_signed_and_each_person_counts_once() {
    let stage = stage(&["alice", "bob"]);
    verify_under(&stage, &keys("alice bob carol", ", threshold: 2"), &[]).expect(0).says(&["(alice)", "(bob)"]);
    let short = verify_under(&stage, &keys("alice bob carol", ", threshold: 3"), &[]);
    short.expect(30).says(&["3 persons must have signed, 2 did: alice and bob; not signed by carol"]);
    // Two keys of one name are one person.
    let both = "bundle: {keys: [{name: a, file: alice.pub}, {name: a, file: bob.pub}, {name: c, file: carol.pub}], threshold: 2}";
    verify_under(&stage, both, &[]).expect(30).says(&["2 persons must have signed, 1 did: a; not signed by c"]);
    // One key under two names would be one person counted twice.
    let twice = "bundle: {keys: [{name: a, file: alice.pub}, {name: b, file: alice.pub}], threshold: 2}";
    verify_under(&stage, twice, &[]).expect(2).says(&["\"a\" and \"b\" have the same key"]);

    let flags = |more: &[&str]| {
        stage
            .airlift(&[&["verify", "b.airlift", "--bundle-key", "alice.pub", "--bundle-key", "bob.pub"], more].concat())
    };
    flags(&["--bundle-threshold", "2"]).expect(0);
    flags(&["--bundle-threshold", "3"]).expect(2).says(&["can never be met by 2"]);
    flags(&["--bundle-threshold", "0"]).expect(2);
    flags(&["--bundle-key", "carol.pub", "--bundle-threshold", "3"]).expect(30).says(&["not signed by carol.pub"]);
}

#[test]
fn the_policy_and_the_flags_do_not_both_say_whose_signatures_count() {
    let stage = stage(&["alice"]);
    let both = verify_under(&stage, &keys("alice", ""), &["--bundle-key", "bob.pub"]);
    both.expect(2).says(&["policy.yaml says in its section bundle whose signatures count"]);
    verify_under(&stage, "", &["--bundle-key", "alice.pub"]).expect(0);
    verify_under(&stage, "", &[]).expect(30).says(&["no key was given"]);
}

#[test]
fn a_bundle_without_enough_signatures_is_taken_only_where_somebody_says_so() {
    let stage = stage(&[]);
    verify_under(&stage, &keys("alice", ""), &[]).expect(30).says(&["the bundle is not signed"]);
    let allowed = verify_under(&stage, &keys("alice", ", unsigned: allow"), &[]).expect(0);
    allowed.says(&["not authentic, accepted by policy.yaml: the bundle is not signed"]);
    let flagged = verify_under(&stage, &keys("alice", ""), &["--allow-unsigned-bundle"]).expect(0);
    flagged.says(&["not authentic, accepted by --allow-unsigned-bundle"]);
    // A countersigner is demanded all the same.
    let section = keys("alice", ", unsigned: allow, countersigners: [{name: dmz, file: dmz.pub}]");
    verify_under(&stage, &section, &[]).expect(30).says(&["dmz must have countersigned the bundle and has not"]);
}

#[test]
fn a_key_is_changed_by_listing_old_and_new_and_ending_the_old() {
    let stage = stage(&["alice"]);
    let section = |until: &str| {
        format!("bundle: {{keys: [{{name: team, file: alice.pub, notAfter: {until}}}, {{name: team, file: bob.pub}}]}}")
    };
    verify_under(&stage, &section("2999-12-31"), &[]).expect(0);
    let ended = verify_under(&stage, &section("2024-12-31"), &[]).expect(30);
    ended.says(&["the key of team counted until 2024-12-31 and counts no more"]);
}

/// Makes another envelope from the statement and the good one.
type Change<'a> = &'a dyn Fn(&Stage, &[u8], &str) -> Vec<u8>;

#[test]
fn what_is_wrong_with_a_signature_is_said_and_nothing_is_imported() {
    let statement = |stage: &Stage| {
        let reader = BundleReader::open(Input::Files(vec![stage.path("b.airlift")])).unwrap();
        (reader.statement().to_vec(), String::from_utf8(reader.envelope().unwrap().to_vec()).unwrap())
    };
    let refused = |words: &str, change: Change<'_>| {
        let stage = stage(&["alice"]);
        let (head, envelope) = statement(&stage);
        reseal(&stage, &change(&stage, &head, &envelope));
        verify_under(&stage, &keys("alice bob", ""), &[]).expect(30).says(&[words]);
        let to = stage.enclave.host();
        let import = ["import", "b.airlift", "--to", &to, "--plain-http", "--policy", "policy.yaml"];
        stage.airlift(&import).expect(30).says(&[words]);
        assert_eq!(stage.enclave.counters().upload_put + stage.enclave.counters().manifest_put, 0);
    };
    // The frame itself is right: the same signature again is accepted.
    let whole = stage(&["alice"]);
    let (_, envelope) = statement(&whole);
    reseal(&whole, envelope.as_bytes());
    verify_under(&whole, &keys("alice bob", ""), &[]).expect(0);

    refused("no accepted key made the signature", &|stage, head, _| {
        seal(BUNDLE_STATEMENT, head, &load(&stage.path("carol.key"))).unwrap()
    });
    refused("does not hold: it was changed", &|stage, head, envelope| {
        let other = seal(BUNDLE_STATEMENT, head, &load(&stage.path("carol.key"))).unwrap();
        let sig = |text: &str| text.split("\"sig\":\"").nth(1).unwrap().split('"').next().unwrap().to_owned();
        envelope.replace(&sig(envelope), &sig(&String::from_utf8(other).unwrap())).into_bytes()
    });
    refused("signed sha256:", &|stage, _, _| {
        seal(BUNDLE_STATEMENT, b"another head", &load(&stage.path("alice.key"))).unwrap()
    });
    refused("the signature is for", &|stage, head, _| {
        seal(RECEIPT_STATEMENT, head, &load(&stage.path("alice.key"))).unwrap()
    });
    refused("signs it twice", &|stage, head, envelope| {
        let again = seal(BUNDLE_STATEMENT, head, &load(&stage.path("alice.key"))).unwrap();
        let again = String::from_utf8(again).unwrap();
        let second = again.split("\"signatures\":[").nth(1).unwrap();
        format!("{},{second}", envelope.trim_end_matches("]}")).into_bytes()
    });
    refused("9 signatures, the limit is 8", &|_, _, envelope| {
        let (before, one) = envelope.split_once("\"signatures\":[").unwrap();
        let one = one.trim_end_matches("]}");
        format!("{before}\"signatures\":[{}]}}", [one; 9].join(",")).into_bytes()
    });
}

#[test]
fn a_key_that_is_named_twice_signs_nothing() {
    let stage = stage(&["alice"]);
    let reference = format!("{}/team/app:1", stage.upstream.host());
    let arguments = ["pack", &reference, "-o", "c", "--allow-unsigned", "**", "--plain-http"];
    let twice = [&arguments[..], &["--sign-key", "alice.key", "--sign-key", "alice.key"]].concat();
    stage.airlift(&twice).expect(2).says(&["signs it twice"]);
    assert!(!stage.path("c.airlift").exists());
}

#[test]
fn an_encrypted_key_opens_with_a_password_from_a_file_or_the_environment_and_never_from_an_argument() {
    let stage = Stage::new();
    std::fs::write(stage.path("auth-password"), format!("{}\nsecond line", crate::stage::CANARY)).unwrap();
    stage.airlift(&["keygen", "-o", "locked", "--password-file", "auth-password"]).expect(0).says(&["(encrypted)"]);
    let pem = std::fs::read_to_string(stage.path("locked.key")).unwrap();
    assert!(pem.starts_with("-----BEGIN ENCRYPTED SIGSTORE PRIVATE KEY-----"), "{pem}");
    let reference = stage.publish("team/app", "1", &small(1));
    let arguments =
        ["pack", &reference, "-o", "b", "--allow-unsigned", "**", "--plain-http", "--sign-key", "locked.key"];
    stage.airlift(&arguments).expect(2).says(&["no password is given", "--sign-key-password-file"]);
    let mut wrong = stage.command(&arguments);
    wrong.env("AIRLIFT_KEY_PASSWORD", "wrong");
    stage.run(wrong).expect(2).says(&["the password does not open the key"]);
    assert!(!stage.path("b.airlift").exists());
    let mut right = stage.command(&arguments);
    right.env("COSIGN_PASSWORD", crate::stage::CANARY);
    stage.run(right).expect(0);
    stage.airlift(&["verify", "b.airlift", "--bundle-key", "locked.pub"]).expect(0);
    std::fs::remove_file(stage.path("b.airlift")).unwrap();
    stage.airlift(&[&arguments[..], &["--sign-key-password-file", "auth-password"]].concat()).expect(0);
    let mut made = stage.command(&["keygen", "-o", "other"]);
    made.env("AIRLIFT_KEY_PASSWORD", crate::stage::CANARY);
    stage.run(made).expect(0).says(&["(encrypted)"]);
    std::fs::write(stage.path("empty"), "\n").unwrap();
    stage.airlift(&["keygen", "-o", "third", "--password-file", "empty"]).expect(2).says(&["holds no password"]);
    assert!(!stage.path("third.key").exists());
}

/// Imports with a signed receipt, and returns its path.
fn receipt(stage: &Stage, file: &str) {
    let to = stage.enclave.host();
    let arguments = ["import", "b.airlift", "--to", &to, "--bundle-key", "alice.pub", "--plain-http"];
    stage.airlift(&[&arguments[..], &["--receipt", file, "--sign-key", "dmz.key"]].concat()).expect(0);
}

#[test]
fn a_receipt_is_signed_and_accepted_only_as_what_it_is() {
    let stage = stage(&["alice"]);
    receipt(&stage, "r.json");
    let check =
        |file: &str, more: &[&str]| stage.airlift(&[&["receipt", "verify", file, "--key", "dmz.pub"], more].concat());
    let host = stage.enclave.host();
    check("r.json", &["--destination", &host]).expect(0).says(&["good: signed by key", &host, "complete: 1 of 1"]);
    let json: serde_json::Value = serde_json::from_str(&check("r.json", &["-o", "json"]).expect(0).stdout).unwrap();
    assert_eq!((json["complete"].as_bool(), json["arrived"].as_u64()), (Some(true), Some(1)));
    let bundle = json["bundle"].as_str().unwrap().to_owned();
    check("r.json", &["--bundle", &bundle]).expect(0);

    check("r.json", &["--key", "bob.pub"]).expect(0);
    stage.airlift(&["receipt", "verify", "r.json", "--key", "bob.pub"]).expect(30).says(&["no accepted key"]);
    check("r.json", &["--destination", "other.example/x"])
        .expect(30)
        .says(&["it is about", "not about other.example/x"]);
    check("r.json", &["--bundle", &format!("sha256:{}", "0".repeat(64))]).expect(30).says(&["not about bundle 0000"]);
    check("r.json", &["--not-before", "2999-01-01T00:00:00Z"]).expect(30).says(&["an old one is offered again"]);
    check("r.json", &["--not-before", "yesterday"]).expect(2).says(&["is no time"]);

    let text = std::fs::read_to_string(stage.path("r.json")).unwrap();
    let sig = std::fs::read(stage.path("r.json.sig")).unwrap();
    let write = |name: &str, text: &str, sig: Option<&[u8]>| {
        std::fs::write(stage.path(name), text).unwrap();
        if let Some(sig) = sig {
            std::fs::write(stage.path(&format!("{name}.sig")), sig).unwrap();
        }
    };
    write("changed.json", &text.replace("\"complete\":true", "\"complete\":false"), Some(&sig));
    check("changed.json", &[]).expect(30).says(&["signed sha256:", "but this is"]);
    write("bare.json", &text, None);
    check("bare.json", &[]).expect(30).says(&["it is not signed", "bare.json.sig"]);
    write("long.json", &text, Some(&[b' '; 5000]));
    check("long.json", &[]).expect(30).says(&["4097 bytes, the limit is 4096"]);
    // The seal of a bundle or a lock over the same bytes is no receipt's seal.
    let dmz = load(&stage.path("dmz.key"));
    for kind in [BUNDLE_STATEMENT, LOCK_STATEMENT] {
        write("kind.json", &text, Some(&seal(kind, text.as_bytes(), &dmz).unwrap()));
        check("kind.json", &[]).expect(30).says(&["the signature is for"]);
    }
    // A signed document of another kind is no receipt.
    write("lock.json", "{\"apiVersion\":\"airlift/v1alpha1\",\"kind\":\"Lock\"}", None);
    let lock = std::fs::read(stage.path("lock.json")).unwrap();
    std::fs::write(stage.path("lock.json.sig"), seal(RECEIPT_STATEMENT, &lock, &dmz).unwrap()).unwrap();
    check("lock.json", &[]).expect(2).says(&["\"Lock\", expected \"Receipt\""]);
}

#[test]
fn a_receipt_from_the_future_and_one_of_no_time_are_refused() {
    let stage = stage(&["alice"]);
    receipt(&stage, "r.json");
    let keys = [PublicKey::from_pem(&std::fs::read(stage.path("dmz.pub")).unwrap()).unwrap()];
    let path = stage.path("r.json");
    let now = |now| ReceiptDemand { keys: &keys, now, ..ReceiptDemand::default() };
    let finished = accept_receipt(&path, &now("")).unwrap().receipt.finished;
    assert!(accept_receipt(&path, &now(&finished)).is_ok());
    let error = accept_receipt(&path, &now("2001-01-01T00:00:00Z")).unwrap_err().to_string();
    assert!(error.contains("later than now"), "{error}");
    let again = ReceiptDemand { not_before: Some(&finished), ..now("") };
    assert!(accept_receipt(&path, &again).is_ok(), "the newest one may be used again");
    let text = std::fs::read_to_string(&path).unwrap().replace(&finished, "soon");
    std::fs::write(&path, &text).unwrap();
    let dmz = load(&stage.path("dmz.key"));
    std::fs::write(stage.path("r.json.sig"), seal(RECEIPT_STATEMENT, text.as_bytes(), &dmz).unwrap()).unwrap();
    let error = accept_receipt(&path, &now("")).unwrap_err().to_string();
    assert!(error.contains("\"soon\" is no time"), "{error}");
}

#[test]
fn a_wrong_password_ends_an_import_before_anything_is_sent() {
    let stage = stage(&["alice"]);
    let mut keygen = stage.command(&["keygen", "-o", "locked"]);
    keygen.env("AIRLIFT_KEY_PASSWORD", "right");
    stage.run(keygen).expect(0);
    let to = stage.enclave.host();
    let arguments = ["import", "b.airlift", "--to", &to, "--bundle-key", "alice.pub", "--plain-http", "--receipt", "r"];
    let mut import = stage.command(&[&arguments[..], &["--sign-key", "locked.key"]].concat());
    import.env("AIRLIFT_KEY_PASSWORD", "wrong");
    stage.run(import).expect(2);
    assert_eq!(stage.enclave.counters().upload_put + stage.enclave.counters().manifest_put, 0);
}

#[test]
fn a_lock_is_signed_and_a_pack_takes_it_only_as_it_was_signed() {
    let stage = stage(&["alice"]);
    let reference = format!("{}/team/app:1", stage.upstream.host());
    let mirror = format!("apiVersion: airlift/v1alpha1\nkind: Mirror\nimages:\n  - {reference}\n");
    std::fs::write(stage.path("mirror.yaml"), mirror).unwrap();
    stage.airlift(&["resolve", "-f", "mirror.yaml", "--plain-http", "--sign-key", "bob.key"]).expect(0);
    let bob = PublicKey::from_pem(&std::fs::read(stage.path("bob.pub")).unwrap()).unwrap();
    assert!(read_signed(&stage.path("airlift.lock"), LOCK_STATEMENT, &[bob]).is_ok());
    let pack = |key: &str, out: &str| {
        let arguments = ["pack", "--lock", "airlift.lock", "--lock-key", key, "-o", out, "--allow-unsigned", "**"];
        stage.airlift(&[&arguments[..], &["--plain-http"]].concat())
    };
    pack("bob.pub", "c").expect(0);
    pack("alice.pub", "d").expect(30).says(&["airlift.lock is not accepted: no accepted key"]);
    let text = std::fs::read_to_string(stage.path("airlift.lock")).unwrap();
    std::fs::write(
        stage.path("airlift.lock"),
        text.replace("named on", "named  on").replace("\"size\":", "\"size\": "),
    )
    .unwrap();
    pack("bob.pub", "e").expect(30).says(&["airlift.lock is not accepted", "but this is"]);
    assert!(!stage.path("d.airlift").exists() && !stage.path("e.airlift").exists());
}

/// Runs cosign, where it is installed; nothing where it is not.
fn cosign(stage: &Stage, arguments: &[&str]) -> Option<std::process::Output> {
    let mut command = std::process::Command::new("cosign");
    command.args(arguments).current_dir(stage.folder.path()).env("COSIGN_PASSWORD", crate::stage::CANARY);
    command.env("HOME", stage.path("home")).output().ok()
}

fn cosign_must(stage: &Stage, arguments: &[&str]) {
    let out = cosign(stage, arguments).unwrap();
    assert!(out.status.success(), "cosign {arguments:?}: {}", String::from_utf8_lossy(&out.stderr));
}

#[test]
fn cosign_verifies_at_a_registry_with_a_referrers_api_what_was_signed_before_and_imported() {
    let stage = stage(&["alice"]);
    if cosign(&stage, &["version"]).is_none() {
        eprintln!("SKIPPED: cosign is not installed");
        return;
    }
    cosign_must(&stage, &["generate-key-pair", "--output-key-prefix", "signer"]);
    let offline =
        ["--key", "signer.key", "--tlog-upload=false", "--use-signing-config=false", "--allow-http-registry", "-y"];
    let sign = |verb: &str, more: &[&str]| cosign_must(&stage, &[&[verb], &offline[..], more].concat());
    let references: Vec<String> = (2..4_u64).map(|n| stage.publish(&format!("team/i{n}"), "1", &small(n))).collect();
    std::fs::write(stage.path("predicate.json"), "{\"builder\": \"tests\"}").unwrap();
    sign("sign", &["--new-bundle-format=false", &references[0]]);
    sign("sign", &["--new-bundle-format=true", &references[1]]);
    let attest = ["--type", "https://example.com/built", "--predicate", "predicate.json", &references[1]];
    sign("attest", &attest);

    // cosign's own encrypted key signs the bundle too.
    let mut pack = stage.command(&[
        "pack",
        &references[0],
        &references[1],
        "-o",
        "c",
        "--key",
        "signer.pub",
        "--plain-http",
        "--sign-key",
        "signer.key",
    ]);
    pack.env("COSIGN_PASSWORD", crate::stage::CANARY);
    stage.run(pack).expect(0);
    let to = stage.enclave.host();
    let import = ["import", "c.airlift", "--to", &to, "--bundle-key", "signer.pub", "--plain-http"];
    stage.airlift(&[&import[..], &["--receipt", "r.json", "--sign-key", "dmz.key"]].concat()).expect(0);
    let verify = |verb: &str, more: &[&str]| {
        cosign_must(
            &stage,
            &[&[verb, "--key", "signer.pub", "--insecure-ignore-tlog", "--allow-http-registry"], more].concat(),
        );
    };
    let there: Vec<String> = references.iter().map(|name| name.replace(&stage.upstream.host(), &to)).collect();
    there.iter().for_each(|name| verify("verify", &[name]));
    verify("verify-attestation", &["--type", "https://example.com/built", &there[1]]);
    let other =
        cosign(&stage, &["verify", "--key", "bob.pub", "--insecure-ignore-tlog", "--allow-http-registry", &there[0]]);
    assert!(!other.unwrap().status.success(), "a stranger's key must not do");

    cosign_checks_a_seal(&stage);
    cosign_signs_with_a_key_of_ours(&stage);
}

/// The signature of a seal is over DSSE's encoding of type and statement, so cosign can check it as a blob's.
fn cosign_checks_a_seal(stage: &Stage) {
    let sealed: serde_json::Value = serde_json::from_slice(&std::fs::read(stage.path("r.json.sig")).unwrap()).unwrap();
    std::fs::write(stage.path("r.b64"), sealed["signatures"][0]["sig"].as_str().unwrap()).unwrap();
    let receipt = std::fs::read(stage.path("r.json")).unwrap();
    let statement =
        format!("{{\"sha256\":\"{}\",\"size\":{}}}", airlift::model::Digest::of(&receipt).hex(), receipt.len());
    let signed = format!("DSSEv1 {} {RECEIPT_STATEMENT} {} {statement}", RECEIPT_STATEMENT.len(), statement.len());
    std::fs::write(stage.path("r.pae"), signed).unwrap();
    let blob = ["--signature", "r.b64", "--insecure-ignore-tlog=true", "r.pae"];
    cosign_must(stage, &[&["verify-blob", "--key", "dmz.pub"], &blob[..]].concat());
}

/// A key that airlift made and encrypted signs in cosign's hands.
fn cosign_signs_with_a_key_of_ours(stage: &Stage) {
    let mut keygen = stage.command(&["keygen", "-o", "locked"]);
    keygen.env("AIRLIFT_KEY_PASSWORD", crate::stage::CANARY);
    stage.run(keygen).expect(0);
    let out = [
        "--tlog-upload=false",
        "--use-signing-config=false",
        "--new-bundle-format=false",
        "--output-signature",
        "p.sig",
        "-y",
        "predicate.json",
    ];
    cosign_must(stage, &[&["sign-blob", "--key", "locked.key"], &out[..]].concat());
    let blob = ["--signature", "p.sig", "--insecure-ignore-tlog=true", "predicate.json"];
    cosign_must(stage, &[&["verify-blob", "--key", "locked.pub"], &blob[..]].concat());
}
