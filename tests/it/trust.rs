//! Tests of trust: minted Sigstore instances, good evidence, and every forgery that must be refused.
//!
//! The numbers in the tables are those of the threat list in `docs/adr/0005-unknown-is-not-good.md`.

use airlift::document::evidence::ExemptionUsed;
use airlift::document::policy::{Flags, KeylessFlags, Policy};
use airlift::model::evidence::{EvidenceKind, Signer, TimeSource, VerifiedTime};
use airlift::model::{Descriptor, Digest, ImageRef, MediaType, Verdict};
use airlift::testkit::sigstore::{self as kit, Key, Layer, Leaf, San, Sct, World};
use airlift::trust::{Candidate, Judge, Judgement, legacy_tags, sign_simple, simple, wants_layers};
use serde_json::{Value, json};

/// Start of the minted instances; all of it lies in the past of every clock.
const T0: i64 = 1_700_000_000;
const NOW: i64 = T0 + 86_400;
const WORKFLOW: &str = "https://code.example/team/app/.github/workflows/release.yaml@refs/heads/main";
const ISSUER: &str = "https://token.example";
const SIGN: &str = "https://sigstore.dev/cosign/sign/v1";
const SPDX: &str = "https://spdx.dev/Document";

fn subject() -> Descriptor {
    Descriptor::of(MediaType::OCI_MANIFEST, b"the image")
}

fn other() -> Digest {
    Digest::of(b"another image")
}

fn name() -> ImageRef {
    "registry.example/team/app:1.0".parse().unwrap()
}

fn leaf() -> Leaf {
    Leaf::new(WORKFLOW, ISSUER, T0 + 1000)
}

fn signs() -> String {
    kit::statement(&subject().digest, SIGN)
}

/// A policy of one keyless signer; `more` stands behind the signer's fields, `tail` behind the signatures.
fn keyless_policy(more: &str, tail: &str) -> String {
    format!(
        "apiVersion: airlift/v1alpha1\nkind: Policy\ntrustRoots: {{corporate: {{file: root.json}}}}\n\
         keys: {{release: {{file: release.pub}}}}\nrules:\n  - match: [\"registry.example/team/**\"]\n    signatures:\n\
         \x20     - keyless: {{trustRoot: corporate, issuer: \"{ISSUER}\", identity: \"{WORKFLOW}\"{more}}}\n{tail}"
    )
}

fn key_policy(signer: &str) -> String {
    format!(
        "apiVersion: airlift/v1alpha1\nkind: Policy\ntrustRoots: {{corporate: {{file: root.json}}}}\n\
         keys: {{release: {{file: release.pub}}}}\nrules:\n  - match: [\"registry.example/team/**\"]\n    signatures: [{{key: {signer}}}]\n"
    )
}

/// One minted instance, with what a judge is made of.
struct Bench {
    world: World,
    root: Value,
    key: Key,
    policy: String,
    now: i64,
}

impl Bench {
    fn new() -> Self {
        let world = World::new(T0);
        let root = world.root();
        Self { world, root, key: Key::new(), policy: keyless_policy("", ""), now: NOW }
    }

    fn under(policy: String) -> Self {
        Self { policy, ..Self::new() }
    }

    fn judge(&self) -> Judge {
        let policy = Policy::parse(&self.policy, "policy.yaml").unwrap_or_else(|e| panic!("{e}\n{}", self.policy));
        let mut load = |file: &str| match file {
            "root.json" => Ok(self.root.to_string().into_bytes()),
            "release.pub" => Ok(self.key.pem().into_bytes()),
            _ => Err(std::io::ErrorKind::NotFound.into()),
        };
        Judge::new(&policy, &mut load, self.now).unwrap_or_else(|e| panic!("{e}"))
    }

    fn judgement(&self, candidates: &[Candidate]) -> Judgement {
        self.judge().judge(&name(), &subject(), candidates)
    }

    fn bundle(&self, bundle: &Value) -> Judgement {
        self.judgement(&[kit::referrer(&subject(), &bundle.to_string())])
    }

    fn sig(&self, layers: &[Layer]) -> Judgement {
        self.judgement(&[kit::tagged(&subject().digest, "sig", layers)])
    }

    fn payload(&self) -> Vec<u8> {
        simple::payload("registry.example/team/app", &subject().digest)
    }

    fn simple(&self) -> Layer {
        self.world.simple(&leaf(), &self.payload())
    }
}

fn accepted(judgement: &Judgement) {
    assert!(judgement.accepted, "{judgement:#?}");
    assert!(judgement.evidence.iter().any(|e| e.verdict == Verdict::Good), "{judgement:#?}");
}

fn refused(row: &str, judgement: &Judgement, words: &str) {
    assert!(!judgement.accepted, "{row} was accepted: {judgement:#?}");
    assert!(judgement.evidence.iter().all(|e| e.verdict != Verdict::Good), "{row}: {judgement:#?}");
    assert!(judgement.reason.contains(words), "{row} gives {:?}, expected {words:?}", judgement.reason);
}

#[test]
fn a_keyless_bundle_is_accepted_with_a_complete_record() {
    let bench = Bench::new();
    let judgement = bench.bundle(&bench.world.bundle(&leaf(), &signs()));
    accepted(&judgement);
    assert_eq!(judgement.rule, "policy.yaml rule 1 (registry.example/team/**)");
    let [evidence] = judgement.evidence.as_slice() else { panic!("{judgement:#?}") };
    assert_eq!(evidence.kind, EvidenceKind::SigstoreBundle);
    assert_eq!(evidence.log.as_deref(), Some("proof"));
    assert_eq!(evidence.times, [VerifiedTime { at: "2023-11-14T22:31:00Z".into(), by: TimeSource::Log }]);
    assert_eq!(evidence.not_checked, ["revocation"]);
    assert_eq!(evidence.log_entry.as_ref().unwrap().index, 3);
    let root = evidence.trust_root.as_ref().unwrap();
    assert_eq!((root.name.as_str(), &root.sha256), ("corporate", &Digest::of(bench.root.to_string().as_bytes())));
    assert!(
        matches!(&evidence.signer, Some(Signer::Certificate { identity, issuer, .. }) if identity == WORKFLOW && issuer == ISSUER)
    );
    assert!(evidence.layer.is_some() && evidence.predicate_type.is_none());
}

#[test]
fn a_bundle_of_the_second_log_kind_is_judged_at_its_stamped_time() {
    let bench = Bench::new();
    let judgement = bench.bundle(&bench.world.bundle_v2(&leaf(), &signs()));
    accepted(&judgement);
    assert_eq!(judgement.evidence[0].log.as_deref(), Some("proof"));
    let time = VerifiedTime { at: "2023-11-14T22:31:00Z".into(), by: TimeSource::TimestampAuthority };
    assert_eq!(judgement.evidence[0].times, [time]);
}

#[test]
fn cosigns_older_form_is_accepted_as_a_promise_and_says_what_was_not_checked() {
    let bench = Bench::new();
    let judgement = bench.sig(&[bench.simple()]);
    accepted(&judgement);
    let evidence = &judgement.evidence[0];
    assert_eq!(evidence.kind, EvidenceKind::CosignSignature);
    assert_eq!(evidence.log.as_deref(), Some("promise"));
    assert_eq!(evidence.not_checked, ["inclusion", "revocation"]);
    let strict = Bench { policy: keyless_policy(", log: proof", ""), ..bench };
    refused("proof wanted", &strict.sig(&[strict.simple()]), "only the log's promise");
}

#[test]
fn an_attestation_is_demanded_beside_the_signature_and_found_in_both_forms() {
    let tail = format!("    attestations: [{{predicateType: \"{SPDX}\", signedBy: same}}]\n");
    let bench = Bench::under(keyless_policy("", &tail));
    let statement = kit::statement(&subject().digest, SPDX);
    let signature = kit::tagged(&subject().digest, "sig", &[bench.simple()]);
    let older = kit::tagged(&subject().digest, "att", &[bench.world.attestation(&leaf(), &statement)]);
    let newer = kit::referrer(&subject(), &bench.world.bundle(&leaf(), &statement).to_string());
    for attestation in [&older, &newer] {
        let judgement = bench.judgement(&[signature.clone(), attestation.clone()]);
        accepted(&judgement);
        assert_eq!(judgement.evidence[1].predicate_type.as_deref(), Some(SPDX));
        assert_eq!(judgement.evidence[1].verdict, Verdict::Good);
        assert!(!bench.judgement(std::slice::from_ref(attestation)).accepted);
    }
    let judgement = bench.judgement(&[signature]);
    assert!(!judgement.accepted);
    assert!(judgement.reason.contains("no attestation of type https://spdx.dev/Document"), "{}", judgement.reason);
}

#[test]
fn a_signature_by_key_is_accepted_in_every_form() {
    let bench = Bench::under(key_policy("release"));
    let plain = kit::simple_by_key(&bench.key, &bench.payload());
    for layer in [plain.clone(), bench.world.promised(plain, &bench.key, T0 + 60)] {
        let judgement = bench.sig(&[layer]);
        accepted(&judgement);
        assert_eq!(judgement.evidence[0].log.as_deref(), Some("none"));
        let Some(Signer::Key { name, sha256 }) = &judgement.evidence[0].signer else { panic!() };
        assert_eq!((name.as_str(), sha256), ("release", &Digest::of(bench.key.spki())));
    }
    for at in [None, Some(T0 + 60)] {
        accepted(&bench.bundle(&bench.world.bundle_by_key(&bench.key, &signs(), at)));
    }
    let layers = [kit::simple_by_key(&bench.key, &bench.payload())];
    let kind = "application/vnd.dev.cosign.artifact.sig.v1+json";
    accepted(&bench.judgement(&[kit::manifest(json!({"subject": subject().bare()}), kind, &layers)]));
}

#[test]
fn a_key_with_a_root_has_its_log_checked() {
    for (log, words) in [("promise", ""), ("proof", "only the log's promise")] {
        let bench = Bench::under(key_policy(&format!("{{name: release, log: {log}, trustRoot: corporate}}")));
        let plain = kit::simple_by_key(&bench.key, &bench.payload());
        let promised = bench.world.promised(plain.clone(), &bench.key, T0 + 60);
        refused("no entry", &bench.sig(std::slice::from_ref(&plain)), "has no log entry");
        let foreign = World::new(T0).promised(plain, &bench.key, T0 + 60);
        refused("foreign log", &bench.sig(&[foreign]), "does not know");
        let judgement = bench.sig(&[promised]);
        if words.is_empty() {
            accepted(&judgement);
            assert_eq!(judgement.evidence[0].log.as_deref(), Some("promise"));
            let time = VerifiedTime { at: "2023-11-14T22:14:20Z".into(), by: TimeSource::Log };
            assert_eq!(judgement.evidence[0].times, [time]);
        } else {
            refused("promise only", &judgement, words);
        }
        let judgement = bench.bundle(&bench.world.bundle_by_key(&bench.key, &signs(), Some(T0 + 60)));
        accepted(&judgement);
        assert_eq!(judgement.evidence[0].log.as_deref(), Some("proof"));
        refused("no entry", &bench.bundle(&bench.world.bundle_by_key(&bench.key, &signs(), None)), "has no log entry");
    }
}

#[test]
fn what_this_program_signs_is_accepted_under_its_key_flag() {
    let key = airlift::trust::SigningKey::generate().unwrap();
    let signed = sign_simple("registry.example/team/app", &subject().digest, &key).unwrap();
    let layer =
        Layer { bytes: signed.payload, media_type: MediaType::COSIGN_SIMPLE_SIGNING, annotations: signed.annotations };
    let candidates = [kit::tagged(&subject().digest, "sig", &[layer])];
    let flags = Flags { keys: vec![("cosign.pub".into(), key.public().to_pem())], ..Flags::default() };
    let judge = |flags: &Flags| {
        let mut load = |_: &str| Err(std::io::ErrorKind::NotFound.into());
        Judge::new(&Policy::from_flags(flags).unwrap(), &mut load, NOW).unwrap()
    };
    let judgement = judge(&flags).judge(&name(), &subject(), &candidates);
    accepted(&judgement);
    assert_eq!(judgement.rule, "--key cosign.pub");
    let another = airlift::trust::SigningKey::generate().unwrap();
    let flags = Flags { keys: vec![("other.pub".into(), another.public().to_pem())], ..Flags::default() };
    refused("other key", &judge(&flags).judge(&name(), &subject(), &candidates), "the key other.pub did not make");
    let none = judge(&Flags::default()).judge(&name(), &subject(), &candidates);
    refused("no flag", &none, "no rule of the command line is about it");
    assert!(none.hint.contains("--allow-unsigned"), "{}", none.hint);
}

#[test]
fn an_exemption_by_flag_wins_over_the_key_for_what_it_names() {
    let key = Key::new();
    let flags = Flags {
        keys: vec![("cosign.pub".into(), key.pem())],
        allow_unsigned: vec!["registry.example/team/*".into()],
        ..Flags::default()
    };
    let mut load = |_: &str| Err(std::io::ErrorKind::NotFound.into());
    let judge = Judge::new(&Policy::from_flags(&flags).unwrap(), &mut load, NOW).unwrap();
    let judgement = judge.judge(&name(), &subject(), &[]);
    assert!(judgement.accepted);
    assert_eq!(judgement.rule, "--allow-unsigned registry.example/team/*");
    let reason = "allowed by --allow-unsigned registry.example/team/*".to_owned();
    let exemption = ExemptionUsed { reason, until: "never".to_owned() };
    assert_eq!(judgement.exemption, Some(exemption));
    let elsewhere = "registry.example/other/app:1.0".parse().unwrap();
    assert!(judge.judge(&elsewhere, &subject(), &[]).reason.contains("nothing was found beside it"));
}

#[test]
fn a_keyless_flag_searches_as_cosigns_does_and_uses_the_named_root() {
    let bench = Bench::new();
    let keyless = |regexp: &str| {
        let keyless = KeylessFlags {
            identity_regexp: Some(regexp.into()),
            issuer: Some(ISSUER.into()),
            trusted_root: Some("root.json".into()),
            ..KeylessFlags::default()
        };
        let flags = Flags { keyless: Some(keyless), ..Flags::default() };
        let mut load = |_: &str| Ok(bench.root.to_string().into_bytes());
        let judge = Judge::new(&Policy::from_flags(&flags).unwrap(), &mut load, NOW).unwrap();
        judge.judge(&name(), &subject(), &[kit::tagged(&subject().digest, "sig", &[bench.simple()])])
    };
    accepted(&keyless("code.example/team/"));
    refused("other", &keyless("^code.example"), "the rule wants");
}

#[test]
fn the_embedded_roots_are_usable() {
    for root in ["public-good", "github"] {
        let text = keyless_policy("", "").replace("{file: root.json}", &format!("{{embedded: {root}}}"));
        let bench = Bench::under(text);
        refused(root, &bench.sig(&[bench.simple()]), "does not know");
    }
}

#[test]
fn the_rule_with_the_most_specific_pattern_decides() {
    let rules = "  - match: [\"**\"]\n    deny: true\n  - match: [\"registry.example/team/app:1.*\"]\n    exempt: {reason: moving, until: 2023-11-15}\n";
    let mut bench = Bench::under(keyless_policy("", rules));
    let judgement = bench.judgement(&[]);
    assert!(judgement.accepted);
    assert_eq!(judgement.rule, "policy.yaml rule 3 (registry.example/team/app:1.*)");
    let elsewhere = bench.judge().judge(&"docker.io/library/x".parse().unwrap(), &subject(), &[]);
    assert_eq!((elsewhere.accepted, elsewhere.rule.as_str()), (false, "policy.yaml rule 2 (**)"));
    // Row 54: the exemption is over.
    bench.now = T0 + 2 * 86_400;
    refused("54", &bench.judgement(&[]), "the exemption (moving) ended on 2023-11-15");
}

/// Mints a bundle under a changed leaf, and judges it.
fn minted(bench: &Bench, change: impl Fn(&mut Leaf)) -> Judgement {
    let mut leaf = leaf();
    change(&mut leaf);
    bench.bundle(&bench.world.bundle(&leaf, &signs()))
}

/// Mints a good bundle, edits its JSON, and judges it.
fn edited(bench: &Bench, edit: impl Fn(&mut Value)) -> Judgement {
    let mut bundle = bench.world.bundle(&leaf(), &signs());
    edit(&mut bundle);
    bench.bundle(&bundle)
}

fn entry(bundle: &mut Value) -> &mut Value {
    &mut bundle["verificationMaterial"]["tlogEntries"][0]
}

/// Flips a bit of the bytes behind base64.
fn flip(value: &mut Value) {
    let text = value.as_str().unwrap();
    let first = if text.starts_with('A') { "B" } else { "A" };
    *value = format!("{first}{}", &text[1..]).into();
}

/// A bundle of which every part is made by hand: the entry's kind, body, time and checkpoint signer.
fn assembled(bench: &Bench, leaf: &Leaf, time: i64, signer: Option<&Key>) -> Value {
    let key = Key::new();
    let certificate = bench.world.leaf(&key, leaf);
    let (envelope, signature) = kit::envelope(&key, &signs());
    let body = kit::dsse_body(&signs(), &signature, &kit::pem("CERTIFICATE", &certificate));
    let log = &bench.world.log;
    let entry = log.entry_by(signer.unwrap_or(&log.key), "dsse", "0.0.1", &body, Some(time));
    json!({
        "mediaType": MediaType::SIGSTORE_BUNDLE,
        "verificationMaterial": {"certificate": {"rawBytes": kit::b64(&certificate)}, "tlogEntries": [entry]},
        "dsseEnvelope": envelope,
    })
}

#[test]
fn other_signers_are_refused_whatever_they_look_like() {
    let bench = Bench::new();
    let identity = |identity: &str| minted(&bench, |leaf| leaf.identity = identity.into());
    let branch = WORKFLOW.replace("heads/main", "heads/evil");
    let merge = WORKFLOW.replace("heads/main", "pull/1/merge");
    refused(
        "1",
        &identity("https://code.example/evil/app"),
        "signed by https://code.example/evil/app, but the rule wants",
    );
    refused(
        "2",
        &minted(&bench, |leaf| leaf.issuer = "https://evil.example".into()),
        "of the issuer https://evil.example",
    );
    refused("5 branch", &identity(&branch), "refs/heads/evil, but the rule wants");
    refused("5 merge", &identity(&merge), "refs/pull/1/merge, but the rule wants");
    refused("4", &minted(&bench, |leaf| leaf.san = San::Email), "which reads like a URI");
    let mail = keyless_policy("", "").replace(WORKFLOW, "release@team.example");
    let mail = Bench::under(mail);
    let uri = minted(&mail, |leaf| leaf.identity = "release@team.example".into());
    refused("4 reversed", &uri, "which has no scheme");
    let good = |leaf: &mut Leaf| (leaf.identity, leaf.san) = ("release@team.example".into(), San::Email);
    accepted(&minted(&mail, good));
    // A refused signer stands in the record all the same.
    let record = &identity(&branch).evidence[0];
    assert!(matches!(&record.signer, Some(Signer::Certificate { identity, .. }) if *identity == branch));
    assert_eq!(record.verdict, Verdict::Bad);
}

#[test]
fn an_expression_does_not_match_inside_another_identity() {
    let expression = keyless_policy("", "")
        .replace(&format!("identity: \"{WORKFLOW}\""), "identityRegexp: '^https://code\\.example/team/.*$'");
    let bench = Bench::under(expression);
    accepted(&minted(&bench, |_| {}));
    let inside = format!("https://evil.example/?{WORKFLOW}");
    refused("3", &minted(&bench, |leaf| leaf.identity = inside.clone()), "the rule wants one that matches");
}

#[test]
fn a_demanded_claim_must_be_there_and_right() {
    let bench = Bench::under(keyless_policy(", claims: {sourceRepositoryId: \"42\", trigger: push}", ""));
    let claims = |claims: &[(u8, &str)]| {
        minted(&bench, |leaf| leaf.claims = claims.iter().map(|(n, value)| (*n, (*value).to_owned())).collect())
    };
    let good = claims(&[(15, "42"), (20, "push")]);
    accepted(&good);
    let Some(Signer::Certificate { claims: used, .. }) = &good.evidence[0].signer else { panic!() };
    assert_eq!(used["sourceRepositoryId"], "42");
    refused("6 other", &claims(&[(15, "43"), (20, "push")]), "sourceRepositoryId \"43\", but the rule wants \"42\"");
    refused("6 trigger", &claims(&[(15, "42"), (20, "pull_request")]), "trigger \"pull_request\"");
    refused("6 missing", &claims(&[(20, "push")]), "has no sourceRepositoryId");
}

#[test]
fn times_outside_what_was_in_force_are_refused() {
    let bench = Bench::new();
    let at = |time| bench.bundle(&assembled(&bench, &leaf(), time, None));
    accepted(&at(T0 + 1000));
    accepted(&at(T0 + 1600));
    refused("7", &at(T0 + 1601), "certificate had expired");
    refused("8", &at(T0 + 999), "certificate had not begun");
    refused(
        "9",
        &edited(&bench, |b| entry(b)["integratedTime"] = (T0 + 1001).to_string().into()),
        "SET verification failed",
    );
    let late = Leaf { from: NOW + 301 - 60, ..leaf() };
    refused("34", &bench.bundle(&bench.world.bundle(&late, &signs())), "signed in the future");
    refused("34 G9", &bench.bundle(&bench.world.bundle_v2(&late, &signs())), "signed in the future");
    let skewed = Leaf { from: NOW + 300 - 60, ..leaf() };
    accepted(&bench.bundle(&bench.world.bundle_v2(&skewed, &signs())));
    let ended = |pointer: &str, v2: bool| {
        let mut bench = Bench::new();
        let window = bench.root.pointer_mut(pointer).unwrap();
        window["end"] = kit::rfc3339(T0 + 1050).into();
        let world = &bench.world;
        bench.bundle(&if v2 { world.bundle_v2(&leaf(), &signs()) } else { world.bundle(&leaf(), &signs()) })
    };
    refused("33 log", &ended("/tlogs/0/publicKey/validFor", false), "log key valid at integrated time");
    refused("33 G8", &ended("/tlogs/0/publicKey/validFor", true), "the key of its log was not in force");
    refused(
        "33 authority",
        &ended("/certificateAuthorities/0/validFor", false),
        "no trusted certificate authority is valid",
    );
    refused("35 authority", &ended("/timestampAuthorities/0/validFor", true), "outside the validity period");
    let mut bench = Bench::new();
    bench.root["ctlogs"][0]["publicKey"]["validFor"]["end"] = kit::rfc3339(T0 + 999).into();
    refused("33 certificate log", &minted(&bench, |_| {}), "timestamp");
}

#[test]
fn log_entries_must_be_proven_by_the_log_that_they_name() {
    let bench = Bench::new();
    let proof = |b: &mut Value, field: &str| entry(b)["inclusionProof"].as_object_mut().unwrap().remove(field);
    refused(
        "10 changed",
        &edited(&bench, |b| flip(&mut entry(b)["inclusionPromise"]["signedEntryTimestamp"])),
        "SET verification failed",
    );
    let other = bench.world.bundle(&leaf(), &signs());
    let swapped = |b: &mut Value| entry(b)["inclusionPromise"] = entry(&mut other.clone())["inclusionPromise"].clone();
    refused("10 swapped", &edited(&bench, swapped), "SET verification failed");
    refused(
        "11",
        &edited(&bench, |b| drop(entry(b).as_object_mut().unwrap().remove("inclusionPromise"))),
        "time without a promise",
    );
    let bare =
        |b: &mut Value| ["inclusionPromise", "integratedTime"].map(|key| entry(b).as_object_mut().unwrap().remove(key));
    refused("11 bare", &edited(&bench, |b| drop(bare(b))), "nothing that can be checked says when");
    refused(
        "12 hash",
        &edited(&bench, |b| flip(&mut entry(b)["inclusionProof"]["hashes"][0])),
        "inclusion proof verification failed",
    );
    refused(
        "12 missing",
        &edited(&bench, |b| drop(entry(b).as_object_mut().unwrap().remove("inclusionProof"))),
        "has no inclusion proof",
    );
    refused(
        "12 no checkpoint",
        &edited(&bench, |b| drop(proof(b, "checkpoint"))),
        "proof of a log entry has no checkpoint",
    );
    refused(
        "12 size",
        &edited(&bench, |b| entry(b)["inclusionProof"]["treeSize"] = "6".into()),
        "trees of different sizes",
    );
    let swapped = |b: &mut Value| entry(b)["inclusionProof"] = entry(&mut other.clone())["inclusionProof"].clone();
    refused("12 another leaf", &edited(&bench, swapped), "inclusion proof verification failed");
    let by = |signer: &Key| bench.bundle(&assembled(&bench, &leaf(), T0 + 1060, Some(signer)));
    refused("13", &by(&Key::new()), "checkpoint is not signed by the log");
    refused("13 root hash", &edited(&bench, |b| flip(&mut entry(b)["inclusionProof"]["rootHash"])), "root hash");
    refused("21", &edited(&bench, |b| b["verificationMaterial"]["tlogEntries"] = json!([])), "has no log entry");
    let foreign = World::new(T0);
    refused("16", &bench.bundle(&foreign.bundle(&leaf(), &signs())), "does not know");
    refused("17", &edited(&bench, |b| *entry(b) = entry(&mut other.clone()).clone()), "does not match");
}

#[test]
fn another_log_of_the_same_root_cannot_vouch() {
    let mut bench = Bench::new();
    let second = kit::log::Log::new("second.example");
    let trusted = kit::log::trusted(&second.key, &second.origin, T0);
    bench.root["tlogs"].as_array_mut().unwrap().push(trusted);
    accepted(&bench.bundle(&bench.world.bundle(&leaf(), &signs())));
    let foreign = assembled(&bench, &leaf(), T0 + 1060, Some(&second.key));
    refused("14 G3", &bench.bundle(&foreign), "checkpoint is not signed by the log");
    let mut v2 = bench.world.bundle_v2(&leaf(), &signs());
    entry(&mut v2)["logId"]["keyId"] = kit::b64(&Key::new().id()).into();
    let judgement = bench.bundle(&v2);
    refused("15 G4", &judgement, "does not know");
    assert!(judgement.hint.contains("is the trusted root older than the signature?"), "{}", judgement.hint);
    assert_eq!(judgement.evidence[0].verdict, Verdict::Unknown);
    entry(&mut v2)["logId"]["keyId"] = kit::b64(&second.key.id()).into();
    refused("15 other log", &bench.bundle(&v2), "checkpoint is not signed by the log");
}

#[test]
fn a_second_log_entry_weakens_nothing() {
    let bench = Bench::new();
    let more = |edit: &dyn Fn(&mut Value)| {
        let mut bundle = bench.world.bundle(&leaf(), &signs());
        let mut second = entry(&mut bundle).clone();
        edit(&mut second);
        bundle["verificationMaterial"]["tlogEntries"].as_array_mut().unwrap().push(second);
        bench.bundle(&bundle)
    };
    let without = |value: &mut Value, key: &str| drop(value.as_object_mut().unwrap().remove(key));
    let respelt = |value: &mut Value| {
        // The same body with a blank behind it: another leaf, and no longer the same bytes.
        let body = value["canonicalizedBody"].as_str().unwrap().to_owned();
        assert!(!body.is_empty());
        value["canonicalizedBody"] = kit::b64(b"{}").into();
    };
    refused("18 twice", &more(&|_| {}), "the same log entry twice");
    refused(
        "18 G5",
        &more(&|e| {
            respelt(e);
            without(e, "inclusionProof");
        }),
        "has no inclusion proof",
    );
    refused(
        "18 G6",
        &more(&|e| {
            respelt(e);
            for key in ["inclusionProof", "inclusionPromise", "integratedTime"] {
                without(e, key);
            }
        }),
        "has no inclusion proof",
    );
}

#[test]
fn a_bundle_has_one_version_one_content_and_one_reading() {
    let bench = Bench::new();
    let old = "application/vnd.dev.sigstore.bundle+json;version=0.1";
    let relabelled = |b: &mut Value| {
        b["mediaType"] = old.into();
        entry(b).as_object_mut().unwrap().remove("inclusionProof");
    };
    refused("19 G1", &edited(&bench, relabelled), "bundle version too old");
    refused(
        "19 version 0.2",
        &edited(&bench, |b| b["mediaType"] = old.replace("0.1", "0.2").into()),
        "bundle version too old",
    );
    refused("20 G2", &edited(&bench, |b| drop(b.as_object_mut().unwrap().remove("mediaType"))), "no mediaType");
    refused("20 null", &edited(&bench, |b| b["mediaType"] = Value::Null), "no mediaType");
    let message = json!({"signature": "AA=="});
    refused("31 G7", &edited(&bench, |b| b["messageSignature"] = message.clone()), "two contents");
    refused("31 none", &edited(&bench, |b| drop(b.as_object_mut().unwrap().remove("dsseEnvelope"))), "no content");
    let only = |b: &mut Value| {
        b.as_object_mut().unwrap().remove("dsseEnvelope");
        b["messageSignature"] = message.clone();
    };
    refused("message", &edited(&bench, only), "for files and not for images");
    refused(
        "two materials",
        &edited(&bench, |b| b["verificationMaterial"]["publicKey"] = json!({"hint": ""})),
        "either a certificate or a public key",
    );
    refused(
        "chain",
        &edited(&bench, |b| b["verificationMaterial"]["x509CertificateChain"] = json!({"certificates": []})),
        "certificate chain",
    );
    refused("unknown field", &edited(&bench, |b| b["extra"] = json!(1)), "unknown field `extra`");
    refused("other spelling", &edited(&bench, |b| b["media_type"] = old.into()), "unknown field `media_type`");
    let text = bench.world.bundle(&leaf(), &signs()).to_string();
    let raw = |text: &str| bench.judgement(&[kit::referrer(&subject(), text)]);
    accepted(&raw(&text));
    let doubled = text.replacen("\"mediaType\":", &format!("\"mediaType\":{old:?},\"mediaType\":"), 1);
    refused("32 label", &raw(&doubled), "stands twice");
    let doubled =
        text.replacen("\"dsseEnvelope\":", "\"messageSignature\":{},\"messageSignature\":{},\"dsseEnvelope\":", 1);
    refused("32 G7", &raw(&doubled), "stands twice");
    let escaped = text.replacen("\"payload\":", "\"p\\u0061yload\":\"\",\"payload\":", 1);
    refused("32 escaped", &raw(&escaped), "stands twice");
    refused("44 deep", &raw(&format!("{}{}", "[".repeat(50_000), "]".repeat(50_000))), "recursion limit");
    refused("trailing", &raw(&format!("{text} {{}}")), "trailing characters");
}

#[test]
fn certificates_must_be_logged_and_made_for_signing() {
    let bench = Bench::new();
    for (row, sct, words) in [
        ("22 none", Sct::None, "timestamp"),
        ("22 tampered", Sct::Tampered, "timestamp"),
        ("22 other log", Sct::OtherLog, "timestamp"),
        ("22 two", Sct::Two, "timestamp"),
    ] {
        refused(row, &minted(&bench, |leaf| leaf.sct = sct), words);
    }
    refused("23", &minted(&bench, |leaf| leaf.code_signing = false), "not for code signing");
    // Row 24: the authority's own certificate as a signer.
    let ca = bench.root["certificateAuthorities"][0]["certChain"]["certificates"][0]["rawBytes"].clone();
    let pem = kit::pem("CERTIFICATE", &base64(&ca));
    let (envelope, signature) = kit::envelope(&bench.world.ca, &signs());
    let body = kit::dsse_body(&signs(), &signature, &pem);
    let entry = bench.world.log.entry("dsse", "0.0.1", &body, Some(T0 + 60));
    let material = json!({"certificate": {"rawBytes": ca}, "tlogEntries": [entry]});
    let bundle =
        json!({"mediaType": MediaType::SIGSTORE_BUNDLE, "verificationMaterial": material, "dsseEnvelope": envelope});
    refused("24", &bench.bundle(&bundle), "certificate is that of an authority");
    let mut foreign = Bench::new();
    foreign.root["certificateAuthorities"] = World::new(T0).root()["certificateAuthorities"].clone();
    refused("16 same name", &minted(&foreign, |_| {}), "not by the authority that it names");
    let stamps = foreign.root["timestampAuthorities"][0]["certChain"]["certificates"][1].clone();
    foreign.root["certificateAuthorities"][0]["certChain"]["certificates"] = json!([stamps]);
    refused("16 authority", &minted(&foreign, |_| {}), "an authority that the trusted root does not know");
    let unlogged = Bench::under(keyless_policy(", sct: none", ""));
    let judgement = minted(&unlogged, |leaf| leaf.sct = Sct::None);
    accepted(&judgement);
    assert_eq!(judgement.evidence[0].not_checked, ["revocation", "sct"]);
}

fn base64(value: &Value) -> Vec<u8> {
    use base64::Engine as _;
    base64::engine::general_purpose::STANDARD.decode(value.as_str().unwrap()).unwrap()
}

#[test]
fn evidence_of_one_artifact_or_kind_is_none_for_another() {
    let bench = Bench::new();
    let of_other = bench.world.simple(&leaf(), &simple::payload("registry.example/team/app", &other()));
    refused("25", &bench.sig(&[of_other]), "not about sha256:");
    let stated = kit::statement(&other(), SIGN);
    refused("26", &bench.bundle(&bench.world.bundle(&leaf(), &stated)), "does not match any subject");
    let elsewhere = kit::referrer(
        &Descriptor::of(MediaType::OCI_MANIFEST, b"x"),
        &bench.world.bundle(&leaf(), &signs()).to_string(),
    );
    refused("26 referrer of another", &bench.judgement(&[elsewhere]), "not to this artifact");
    let spdx = kit::statement(&subject().digest, SPDX);
    let judgement = bench.bundle(&bench.world.bundle(&leaf(), &spdx));
    assert!(
        !judgement.accepted && judgement.reason.contains("attestation of type https://spdx.dev/Document"),
        "27: {judgement:#?}"
    );
    // Row 27 and 28: an annotation that says otherwise changes nothing.
    let bundle = bench.world.bundle(&leaf(), &spdx).to_string();
    let layer = Layer {
        bytes: bundle.into_bytes(),
        media_type: MediaType::SIGSTORE_BUNDLE,
        annotations: [("dev.sigstore.bundle.predicateType".to_owned(), SIGN.to_owned())].into(),
    };
    let extra = json!({"artifactType": MediaType::SIGSTORE_BUNDLE, "subject": subject().bare(), "annotations": {"dev.sigstore.bundle.predicateType": SIGN}});
    assert!(!bench.judgement(&[kit::manifest(extra, MediaType::OCI_EMPTY, &[layer])]).accepted, "28");
    // A legacy attestation of cosign's own predicate type is no signature either.
    let att = kit::tagged(&subject().digest, "att", &[bench.world.attestation(&leaf(), &signs())]);
    assert!(!bench.judgement(&[att]).accepted, "27 legacy");
    let tail = format!("    attestations: [{{predicateType: \"{SPDX}\"}}]\n");
    let wants = Bench::under(keyless_policy("", &tail));
    let judgement = wants.sig(&[wants.simple()]);
    assert!(!judgement.accepted, "a signature is no attestation");
    let other_kind = signs().replace("Statement/v1", "Statement/v9");
    refused("29", &bench.bundle(&bench.world.bundle(&leaf(), &other_kind)), "not an in-toto statement");
}

#[test]
fn an_envelope_that_was_edited_is_refused() {
    let bench = Bench::new();
    let envelope = |edit: &dyn Fn(&mut Value)| edited(&bench, |b| edit(&mut b["dsseEnvelope"]));
    let payload = kit::b64(kit::statement(&subject().digest, SIGN).replace("{}", "{\"x\":1}").as_bytes());
    refused("30 payload", &envelope(&|e| e["payload"] = payload.clone().into()), "signature verification failed");
    refused("30 type", &envelope(&|e| e["payloadType"] = "text/plain".into()), "unsupported DSSE payload type");
    let twice = |e: &mut Value| {
        let one = e["signatures"][0].clone();
        e["signatures"].as_array_mut().unwrap().push(one);
    };
    refused("30 two signatures", &envelope(&twice), "2 signatures");
    refused("30 no signature", &envelope(&|e| e["signatures"] = json!([])), "0 signatures");
}

#[test]
fn timestamps_must_be_over_this_signature_by_a_trusted_authority() {
    let bench = Bench::new();
    let stamped = |token: &dyn Fn(&Value) -> Value| {
        let mut bundle = bench.world.bundle_v2(&leaf(), &signs());
        let stamps = token(&bundle);
        bundle["verificationMaterial"]["timestampVerificationData"] = stamps;
        bench.bundle(&bundle)
    };
    let over = |world: &World, signature: &[u8]| json!({"rfc3161Timestamps": [{"signedTimestamp": kit::b64(&world.stamp(signature, T0 + 1060))}]});
    let signature = |bundle: &Value| base64(&bundle["dsseEnvelope"]["signatures"][0]["sig"]);
    accepted(&stamped(&|bundle| over(&bench.world, &signature(bundle))));
    refused("35 other signature", &stamped(&|_| over(&bench.world, b"another signature")), "timestamp");
    let foreign = World::new(T0);
    refused("35 untrusted", &stamped(&|bundle| over(&foreign, &signature(bundle))), "timestamp");
    refused("36", &stamped(&|_| json!({})), "nothing that can be checked says when");
    refused("36 null", &stamped(&|_| Value::Null), "nothing that can be checked says when");
}

#[test]
fn a_key_is_known_by_itself_and_not_by_its_hint() {
    let bench = Bench::under(key_policy("release"));
    let mut forged = bench.world.bundle_by_key(&Key::new(), &signs(), None);
    forged["verificationMaterial"]["publicKey"]["hint"] = kit::b64(&bench.key.id()).into();
    refused("37", &bench.bundle(&forged), "the key release did not make this signature");
    let other = kit::simple_by_key(&Key::new(), &bench.payload());
    refused("37 legacy", &bench.sig(&[other]), "the key release did not make this signature");
    refused("38", &bench.bundle(&bench.world.bundle(&leaf(), &signs())), "the rule wants the key release");
    refused("38 legacy", &bench.sig(&[bench.simple()]), "the rule wants the key release");
    let keyless = Bench::new();
    let by_key = keyless.world.bundle_by_key(&keyless.key, &signs(), Some(T0 + 60));
    refused("38 reversed", &keyless.bundle(&by_key), "made with a key, but the rule wants a certificate");
    let plain = kit::simple_by_key(&keyless.key, &keyless.payload());
    refused("38 reversed legacy", &keyless.sig(&[plain]), "made with a key, but the rule wants a certificate");
}

#[test]
fn annotations_of_the_older_form_must_belong_together() {
    let bench = Bench::new();
    let edited = |edit: &dyn Fn(&mut Layer)| {
        let mut layer = bench.simple();
        edit(&mut layer);
        bench.sig(&[layer])
    };
    let other = bench.simple();
    let certificate = "dev.sigstore.cosign/certificate";
    let rekor = |edit: &dyn Fn(&mut Value)| {
        edited(&|layer| {
            let mut bundle: Value = serde_json::from_str(&layer.annotations[kit::BUNDLE]).unwrap();
            edit(&mut bundle);
            layer.annotations.insert(kit::BUNDLE.into(), bundle.to_string());
        })
    };
    accepted(&edited(&|_| {}));
    refused(
        "39",
        &edited(&|l| drop(l.annotations.insert(kit::BUNDLE.into(), other.annotations[kit::BUNDLE].clone()))),
        "match",
    );
    refused("39 log", &rekor(&|b| b["Payload"]["logID"] = "00".repeat(32).into()), "does not know");
    refused("39 time", &rekor(&|b| b["Payload"]["integratedTime"] = (T0 + 1001).into()), "SET verification failed");
    refused("39 index", &rekor(&|b| b["Payload"]["logIndex"] = 7.into()), "SET verification failed");
    refused("39 unknown field", &rekor(&|b| b["extra"] = 1.into()), "unknown field");
    let better = kit::pem("CERTIFICATE", &bench.world.leaf(&Key::new(), &leaf()));
    refused("40", &edited(&|l| drop(l.annotations.insert(certificate.into(), better.clone()))), "");
    refused("41", &edited(&|l| drop(l.annotations.remove(kit::BUNDLE))), "has no log entry");
    refused("no signature", &edited(&|l| drop(l.annotations.remove(kit::SIGNATURE))), "no signature annotation");
    refused(
        "other signature",
        &edited(&|l| drop(l.annotations.insert(kit::SIGNATURE.into(), other.annotations[kit::SIGNATURE].clone()))),
        "",
    );
    refused("other payload", &edited(&|l| l.bytes.push(b' ')), "");
    let other_type = String::from_utf8(bench.payload()).unwrap().replace("cosign container image", "some other");
    let typed = bench.world.simple(&leaf(), other_type.as_bytes());
    refused("other type", &bench.sig(&[typed]), "expected \"cosign container image signature\"");
}

#[test]
fn an_unsupported_log_entry_is_unknown_and_says_so() {
    let bench = Bench::new();
    for (kind, version) in [("intoto", "0.0.1"), ("rekord", "0.0.1"), ("dsse", "0.0.2")] {
        let mut layer = bench.simple();
        let mut bundle: Value = serde_json::from_str(&layer.annotations[kit::BUNDLE]).unwrap();
        let body = json!({"kind": kind, "apiVersion": version, "spec": {}}).to_string();
        bundle["Payload"]["body"] = kit::b64(body.as_bytes()).into();
        layer.annotations.insert(kit::BUNDLE.into(), bundle.to_string());
        let words = format!("unsupported log entry {kind}/{version}");
        let judgement = bench.sig(&[layer]);
        refused("42", &judgement, &words);
        assert_eq!(judgement.evidence[0].verdict, Verdict::Unknown);
        let newer = edited(&bench, |b| entry(b)["kindVersion"] = json!({"kind": kind, "version": version}));
        refused("42 bundle", &newer, &words);
        assert_eq!(newer.evidence[0].verdict, Verdict::Unknown);
    }
}

#[test]
fn a_key_that_needs_no_log_is_not_hindered_by_an_entry_that_cannot_be_read() {
    let bench = Bench::under(key_policy("release"));
    let mut layer = kit::simple_by_key(&bench.key, &bench.payload());
    layer.annotations.insert(kit::BUNDLE.into(), "{}".into());
    let judgement = bench.sig(std::slice::from_ref(&layer));
    accepted(&judgement);
    assert_eq!(judgement.evidence[0].not_checked, ["log", "revocation"]);
    let logged = Bench { policy: key_policy("{name: release, log: promise, trustRoot: corporate}"), ..bench };
    refused("entry", &logged.sig(&[layer]), "log entry does not parse");
}

#[test]
fn no_evidence_is_a_refusal_with_advice() {
    let judgement = Bench::new().judgement(&[]);
    refused("43", &judgement, "nothing was found beside it; the rule wants a signature by");
    assert!(judgement.hint.contains("exempts"), "{}", judgement.hint);
}

#[test]
fn a_bad_signature_does_not_spoil_a_good_one_and_is_reported() {
    let bench = Bench::new();
    let stranger = bench.world.simple(&Leaf::new("https://code.example/x", ISSUER, T0 + 1000), &bench.payload());
    let mut broken = bench.simple();
    broken.annotations.insert(kit::SIGNATURE.into(), "!".into());
    let judgement = bench.sig(&[broken, stranger, bench.simple()]);
    accepted(&judgement);
    let verdicts: Vec<Verdict> = judgement.evidence.iter().map(|e| e.verdict).collect();
    assert_eq!(verdicts, [Verdict::Bad, Verdict::Bad, Verdict::Good]);
    assert!(judgement.evidence[0].reason.contains("no base64"), "{}", judgement.evidence[0].reason);
    let source = &judgement.evidence[0].source;
    assert!(
        judgement
            .evidence
            .iter()
            .all(|e| e.source == *source && e.tag.as_deref() == Some(legacy_tags(&subject().digest)[0].0.as_str()))
    );
}

#[test]
fn more_signatures_than_the_limit_are_not_judged_and_said_so() {
    let bench = Bench::under(key_policy("release"));
    let stranger = kit::simple_by_key(&Key::new(), &bench.payload());
    let good = kit::simple_by_key(&bench.key, &bench.payload());
    let with = |strangers: usize| {
        let mut candidates: Vec<Candidate> =
            (0..strangers).map(|_| kit::tagged(&subject().digest, "sig", std::slice::from_ref(&stranger))).collect();
        candidates.push(kit::tagged(&subject().digest, "sig", std::slice::from_ref(&good)));
        bench.judgement(&candidates)
    };
    accepted(&with(63));
    let judgement = with(64);
    refused("44", &judgement, "the key release did not make");
    assert!(judgement.evidence[64].reason.contains("more than 64 signatures"), "{}", judgement.evidence[64].reason);
}

#[test]
fn layers_are_wanted_only_where_they_can_be_judged_within_the_limits() {
    let layer =
        |kind: &str, size: u64| json!({"mediaType": kind, "digest": Digest::of(&size.to_be_bytes()), "size": size});
    let wants = |layers: Vec<Value>, config: &str| {
        let text = json!({"schemaVersion": 2, "config": layer(config, 2), "layers": layers}).to_string();
        let kind = MediaType::new(MediaType::OCI_MANIFEST);
        wants_layers(&airlift::model::ImageDocument::parse(text.as_bytes(), &kind).unwrap())
    };
    let mib = 1 << 20;
    for (kind, limit) in [
        (MediaType::COSIGN_SIMPLE_SIGNING, mib),
        (MediaType::DSSE_ENVELOPE, 64 * mib),
        (MediaType::SIGSTORE_BUNDLE, 8 * mib),
    ] {
        assert!(wants(vec![layer(kind, limit)], MediaType::OCI_CONFIG));
        assert!(!wants(vec![layer(kind, limit + 1)], MediaType::OCI_CONFIG), "{kind}");
    }
    let small = layer(MediaType::COSIGN_SIMPLE_SIGNING, 1);
    assert!(wants(vec![small.clone(); 64], MediaType::OCI_CONFIG));
    assert!(!wants(vec![small.clone(); 65], MediaType::OCI_CONFIG));
    let big = layer(MediaType::DSSE_ENVELOPE, 64 * mib);
    assert!(wants(vec![big.clone(); 2], MediaType::OCI_CONFIG));
    assert!(!wants(vec![big; 3], MediaType::OCI_CONFIG));
    assert!(!wants(vec![layer(MediaType::OCI_LAYER_GZIP, 1)], MediaType::OCI_CONFIG));
    assert!(!wants(vec![small], MediaType::NOTATION_SIGNATURE));
}

#[test]
fn what_is_not_judged_is_unknown_with_its_type_and_counts_for_nothing() {
    let bench = Bench::new();
    let foreign = |kind: &'static str, bytes: &[u8]| Layer {
        bytes: bytes.to_vec(),
        media_type: kind,
        annotations: Default::default(),
    };
    let refers = || json!({"subject": subject().bare()});
    let notation = kit::manifest(refers(), MediaType::NOTATION_SIGNATURE, &[foreign("application/x-later", b"{}")]);
    let judgement = bench.judgement(&[notation]);
    refused("notation", &judgement, "an envelope of type application/x-later is not known here");
    assert_eq!((judgement.evidence[0].kind, judgement.evidence[0].verdict), (EvidenceKind::Notation, Verdict::Unknown));
    let sbom = kit::tagged(&subject().digest, "sbom", &[foreign("text/spdx+json", b"{}")]);
    let judgement = bench.judgement(&[sbom]);
    refused("sbom", &judgement, "attached without a signature");
    assert_eq!(judgement.evidence[0].kind, EvidenceKind::Sbom);
    let other = kit::manifest(
        json!({"subject": subject().bare(), "artifactType": "application/x"}),
        MediaType::OCI_EMPTY,
        &[foreign("a/b", b"")],
    );
    refused("other", &bench.judgement(&[other]), "nothing that is judged (application/x)");
    let mut unread = kit::tagged(&subject().digest, "sig", &[bench.simple()]);
    unread.layers.clear();
    refused("not read", &bench.judgement(&[unread]), "its content was not read");
    let mut swapped = kit::tagged(&subject().digest, "sig", &[bench.simple()]);
    swapped.layers[0].1.push(b' ');
    let judgement = bench.judgement(&[swapped]);
    refused("other bytes", &judgement, "its content is not sha256:");
    assert_eq!(judgement.evidence[0].verdict, Verdict::Bad);
    let mut torn = kit::tagged(&subject().digest, "sig", &[bench.simple()]);
    torn.document.bytes.push(b' ');
    refused("other document", &bench.judgement(&[torn]), "its bytes are not sha256:");
    let unrelated = kit::manifest(json!({}), MediaType::OCI_EMPTY, &[bench.simple()]);
    refused("no subject", &bench.judgement(&[unrelated]), "names no subject");
}

#[test]
fn a_policy_whose_keys_or_roots_are_unusable_makes_no_judge() {
    let judge = |policy: &str, root: &[u8], key: &str| {
        let policy = Policy::parse(policy, "policy.yaml").unwrap();
        let mut load = |file: &str| match file {
            "root.json" => Ok(root.to_vec()),
            _ if key.is_empty() => Err(std::io::ErrorKind::NotFound.into()),
            _ => Ok(key.as_bytes().to_vec()),
        };
        Judge::new(&policy, &mut load, NOW).map(|_| ()).map_err(|e| e.to_string())
    };
    let world = World::new(T0);
    let (good, pem) = (world.root(), Key::new().pem());
    let policy = keyless_policy("", "");
    assert_eq!(judge(&policy, good.to_string().as_bytes(), &pem), Ok(()));
    let error = |policy: &str, root: &[u8], key: &str, words: &str| {
        let error = judge(policy, root, key).unwrap_err();
        assert!(error.contains(words), "{error:?}, expected {words:?}");
    };
    let text = good.to_string();
    let edited = |pointer: &str, value: Value| {
        let mut root = good.clone();
        *root.pointer_mut(pointer).unwrap() = value;
        root.to_string()
    };
    error(&policy, text.as_bytes(), "", "cannot read release.pub");
    error(&policy, text.as_bytes(), "x", "the key \"release\" of the policy cannot be used");
    error(&policy, edited("/mediaType", "application/json".into()).as_bytes(), &pem, "its mediaType is");
    error(&policy, text.replacen("\"tlogs\":", "\"tlogs\":[],\"tlogs\":", 1).as_bytes(), &pem, "stands twice");
    error(&policy, edited("/tlogs/0/publicKey/rawBytes", "AAAA".into()).as_bytes(), &pem, "no usable trusted root");
    error(&policy, b"{}", &pem, "no usable trusted root");
    let pinned =
        policy.replace("{file: root.json}", &format!("{{file: root.json, sha256: {}}}", Digest::of(b"x").hex()));
    error(&pinned, text.as_bytes(), &pem, "the policy pins");
    let regexp = policy.replace("identity:", "identityRegexp:").replace(WORKFLOW, "^a(?=b)$");
    let unread = Policy::parse(&regexp, "policy.yaml").unwrap_err().to_string();
    assert!(unread.starts_with("policy.yaml:8:") && unread.contains("\"^a(?=b)$\" does not compile"), "{unread}");
}

#[test]
fn a_private_instance_without_a_log_needs_a_timestamp() {
    let bench = Bench::under(keyless_policy(", log: none, sct: none", ""));
    let mut bundle = bench.world.bundle_v2(&Leaf { sct: Sct::None, ..leaf() }, &signs());
    bundle["verificationMaterial"]["tlogEntries"] = json!([]);
    let judgement = bench.bundle(&bundle);
    accepted(&judgement);
    assert_eq!(judgement.evidence[0].log.as_deref(), Some("none"));
    bundle["verificationMaterial"]["timestampVerificationData"] = Value::Null;
    refused("no time", &bench.bundle(&bundle), "");
}

#[test]
fn every_policy_that_we_ship_is_read() {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("manifests/policies");
    let mut read = 0;
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let text = std::fs::read_to_string(&path).unwrap();
        let policy = Policy::parse(&text, &path.to_string_lossy()).unwrap_or_else(|e| panic!("{e}"));
        let (world, key) = (World::new(T0), Key::new());
        let mut load = |file: &str| match file.ends_with(".json") {
            true => Ok(world.root().to_string().into_bytes()),
            false => Ok(key.pem().into_bytes()),
        };
        Judge::new(&policy, &mut load, NOW).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
        read += 1;
    }
    assert!(read >= 3);
}

/// A bundle, its judge and the text of the bundle, minted once for the property tests.
fn minted_text() -> (Bench, String) {
    let bench = Bench::new();
    let text = bench.world.bundle(&leaf(), &signs()).to_string();
    (bench, text)
}

proptest::proptest! {
    #![proptest_config(proptest::prelude::ProptestConfig::with_cases(64))]

    #[test]
    fn any_bytes_in_a_layer_are_judged_without_a_panic_and_never_good(
        bytes in proptest::collection::vec(proptest::prelude::any::<u8>(), 0..200),
        annotation in "\\PC{0,60}",
    ) {
        let bench = Bench::under(key_policy("release"));
        for media_type in [MediaType::COSIGN_SIMPLE_SIGNING, MediaType::DSSE_ENVELOPE, MediaType::SIGSTORE_BUNDLE] {
            let keys = [kit::SIGNATURE, kit::BUNDLE, "dev.sigstore.cosign/certificate", "dev.sigstore.cosign/rfc3161timestamp"];
            let annotations = keys.map(|key| (key.to_owned(), annotation.clone())).into();
            let layer = Layer { bytes: bytes.clone(), media_type, annotations };
            refused("any bytes", &bench.sig(&[layer]), "");
        }
    }

    #[test]
    fn a_bundle_with_one_changed_byte_is_judged_without_a_panic(at in 0_usize..10_000, byte in 0x20_u8..0x7f) {
        let (bench, text) = minted_text();
        let mut bytes = text.into_bytes();
        let at = at % bytes.len();
        bytes[at] = byte;
        // A checkpoint has a dash of three bytes; what is no text is no bundle.
        let Ok(changed) = String::from_utf8(bytes) else { return Ok(()) };
        let judgement = bench.judgement(&[kit::referrer(&subject(), &changed)]);
        // What still counts was signed by the same workflow: the change touched nothing that is signed.
        if let Some(Signer::Certificate { identity, .. }) = &judgement.evidence[0].signer {
            proptest::prop_assert_eq!(identity.as_str(), WORKFLOW);
        }
    }
}

#[test]
fn a_judge_and_keys_may_be_shared_between_threads() {
    fn shared<T: Send + Sync>() {}
    shared::<Judge>();
    shared::<airlift::trust::SigningKey>();
    shared::<airlift::trust::PublicKey>();
}
