//! Tests of trust: minted Sigstore instances, good evidence, and every forgery that must be refused.
//!
//! The numbers in the tables are those of the threat list in `docs/adr/0005-unknown-is-not-good.md`.

use airlift::document::policy::{Flags, KeylessFlags, Policy};
use airlift::model::evidence::{EvidenceKind, Signer};
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
    assert_eq!(evidence.times, ["2023-11-14T22:31:00Z"]);
    assert_eq!(evidence.not_checked, ["revocation"]);
    assert_eq!(evidence.log_entry.as_ref().unwrap().index, 3);
    let root = evidence.trust_root.as_ref().unwrap();
    assert_eq!((root.name.as_str(), &root.sha256), ("corporate", &Digest::of(bench.root.to_string().as_bytes())));
    assert!(matches!(&evidence.signer, Some(Signer::Certificate { identity, issuer, .. }) if identity == WORKFLOW && issuer == ISSUER));
    assert!(evidence.layer.is_some() && evidence.predicate_type.is_none());
}

#[test]
fn a_bundle_of_the_second_log_kind_is_judged_at_its_stamped_time() {
    let bench = Bench::new();
    let judgement = bench.bundle(&bench.world.bundle_v2(&leaf(), &signs()));
    accepted(&judgement);
    assert_eq!(judgement.evidence[0].log.as_deref(), Some("proof"));
    assert_eq!(judgement.evidence[0].times, ["2023-11-14T22:31:00Z"]);
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
        refused("no entry", &bench.sig(&[plain.clone()]), "has no log entry");
        let foreign = World::new(T0).promised(plain, &bench.key, T0 + 60);
        refused("foreign log", &bench.sig(&[foreign]), "does not know");
        let judgement = bench.sig(&[promised]);
        if words.is_empty() {
            accepted(&judgement);
            assert_eq!(judgement.evidence[0].log.as_deref(), Some("promise"));
            assert_eq!(judgement.evidence[0].times, ["2023-11-14T22:14:20Z"]);
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
    let exemption = ("allowed by --allow-unsigned registry.example/team/*".to_owned(), "never".to_owned());
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
