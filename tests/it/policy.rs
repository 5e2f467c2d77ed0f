//! The policy language decided over minted evidence, the commands around it, and the examples of its page.

use crate::stage::{Stage, multi, small};
use airlift::document::policy::Policy;
use airlift::document::receipt::Receipt;
use airlift::model::evidence::TimeSource;
use airlift::model::{Descriptor, ImageRef, MediaType, Verdict};
use airlift::testkit::image::Sample;
use airlift::testkit::sigstore::{self as kit, Key, Layer, Leaf, World};
use airlift::trust::{Candidate, Explanation, Judge, Judgement, simple};
use serde_json::{Value, json};
use std::collections::BTreeMap;

const T0: i64 = 1_700_000_000; // 2023-11-14T22:13:20Z
const DAY: i64 = 86_400;
const GITHUB: &str = "https://token.actions.githubusercontent.com";
const SIGN: &str = "https://sigstore.dev/cosign/sign/v1";
const SPDX: &str = "https://spdx.dev/Document";
const VULN: &str = "https://cosign.sigstore.dev/attestation/vuln/v1";

fn subject() -> Descriptor {
    Descriptor::of(MediaType::OCI_MANIFEST, b"the image")
}

/// A minted instance, keys by the name of their file, and a clock.
struct Court {
    world: World,
    keys: BTreeMap<String, Key>,
    now: i64,
}

impl Court {
    fn new(keys: &[&str]) -> Self {
        let keys = keys.iter().map(|name| (format!("{name}.pub"), Key::new())).collect();
        Self { world: World::new(T0), keys, now: T0 + DAY }
    }

    fn key(&self, name: &str) -> &Key {
        &self.keys[&format!("{name}.pub")]
    }

    fn judge(&self, policy: &str) -> Judge {
        let policy = Policy::parse(policy, "policy.yaml").unwrap_or_else(|e| panic!("{e}\n{policy}"));
        let root = self.world.root().to_string();
        let mut load = |file: &str| match self.keys.get(file) {
            Some(key) => Ok(key.pem().into_bytes()),
            None if file.ends_with(".json") => Ok(root.clone().into_bytes()),
            None => Err(std::io::ErrorKind::NotFound.into()),
        };
        Judge::new(&policy, &mut load, self.now).unwrap_or_else(|e| panic!("{e}"))
    }

    fn explain(&self, policy: &str, name: &str, found: &[Candidate]) -> Explanation {
        self.judge(policy).explain(&name.parse().unwrap(), &subject(), found)
    }

    fn judgement(&self, policy: &str, found: &[Candidate]) -> Judgement {
        self.explain(policy, "registry.example/team/app:1.0", found).judgement
    }

    fn by_key(&self, name: &str) -> Layer {
        signed_as("registry.example/team/app", self.key(name))
    }

    /// A bundle of a statement with `predicate`, signed by a key and logged at `at` where that is given.
    fn attested(&self, key: &str, kind: &str, predicate: &Value, at: Option<i64>) -> Candidate {
        let bundle = self.world.bundle_by_key(self.key(key), &statement(kind, predicate), at);
        kit::referrer(&subject(), &bundle.to_string())
    }
}

fn signed_as(reference: &str, key: &Key) -> Layer {
    kit::simple_by_key(key, &simple::payload(reference, &subject().digest))
}

fn sig(layers: &[Layer]) -> Candidate {
    kit::tagged(&subject().digest, "sig", layers)
}

fn statement(kind: &str, predicate: &Value) -> String {
    let digest = subject().digest.hex();
    json!({
        "_type": "https://in-toto.io/Statement/v1", "subject": [{"name": "", "digest": {"sha256": digest}}],
        "predicateType": kind, "predicate": predicate,
    })
    .to_string()
}

/// A policy of one rule about the team, with these keys.
fn policy(head: &str, rule: &str) -> String {
    let keys: String = ["a", "b", "c"].iter().map(|key| format!("  {key}: {{file: {key}.pub}}\n")).collect();
    format!(
        "apiVersion: airlift/v1alpha1\nkind: Policy\n{head}trustRoots:\n  root: {{file: root.json}}\nkeys:\n{keys}rules:\n  - match: [\"registry.example/team/**\"]\n{rule}"
    )
}

#[track_caller]
fn accepted(judgement: &Judgement) {
    assert!(judgement.accepted && judgement.would_refuse.is_none(), "{judgement:#?}");
}

#[track_caller]
fn refused(judgement: &Judgement, words: &str) {
    assert!(!judgement.accepted, "{judgement:#?}");
    assert!(judgement.reason.contains(words), "{:?}, expected {words:?}", judgement.reason);
}

#[test]
fn two_of_three_means_two_different_signers() {
    let court = Court::new(&["a", "b", "c"]);
    let two = policy("", "    signatures: {threshold: 2, of: [{key: a}, {key: b}, {key: c}]}\n");
    let layers = |names: &[&str]| vec![sig(&names.iter().map(|name| court.by_key(name)).collect::<Vec<_>>())];
    accepted(&court.judgement(&two, &layers(&["a", "c"])));
    accepted(&court.judgement(&two, &layers(&["a", "b", "c"])));
    refused(&court.judgement(&two, &layers(&["b"])), "1 of 2 different signers");
    refused(&court.judgement(&two, &layers(&["b", "b"])), "1 of 2 different signers");
    // The same key under two names is one signer.
    let mut doubled = Court::new(&["a", "c"]);
    let text = doubled.key("a").pem();
    doubled.keys.insert("b.pub".into(), Key::new());
    let by_name = two
        .replace("a: {file: a.pub}", &format!("a: {{pem: {text:?}}}"))
        .replace("b: {file: b.pub}", &format!("b: {{pem: {text:?}}}"));
    let once = [sig(&[doubled.by_key("a")])];
    refused(&doubled.judgement(&by_name, &once), "1 of 2 different signers");
}

#[test]
fn all_of_and_authorities_are_asked_as_they_are_written() {
    let court = Court::new(&["a", "b", "c"]);
    let head = "authorities:\n  security: {anyOf: [{key: b}, {key: c}]}\n";
    let both = policy(head, "    signatures: {allOf: [{key: a}, {authority: security}]}\n");
    accepted(&court.judgement(&both, &[sig(&[court.by_key("a"), court.by_key("c")])]));
    let half = court.judgement(&both, &[sig(&[court.by_key("a")])]);
    refused(&half, "key a and the authority security (key b or key c)");
    refused(
        &court.judgement(&both, &[sig(&[court.by_key("b"), court.by_key("c")])]),
        "no signature that the rule wants",
    );
}

#[test]
fn an_age_needs_a_time_that_somebody_vouches_for() {
    let mut court = Court::new(&["a", "b", "c"]);
    let aged = policy("", "    maxAge: 30d\n    signatures: [{key: {name: a, log: promise, trustRoot: root}}]\n");
    let logged = court.world.promised(court.by_key("a"), court.key("a"), T0 + 60);
    accepted(&court.judgement(&aged, &[sig(std::slice::from_ref(&logged))]));
    court.now = T0 + 31 * DAY;
    let late = court.judgement(&aged, &[sig(std::slice::from_ref(&logged))]);
    refused(&late, "signed by key a at 2023-11-14T22:14:20Z, 30 days ago, but the rule takes at most 30d");
    assert_eq!(late.evidence[0].verdict, Verdict::Bad);
    assert_eq!(late.evidence[0].times[0].by, TimeSource::Log);
    // Without a log nobody knows when it was signed, however old it is.
    court.now = T0 + DAY;
    let timeless = aged.replace("log: promise, ", "");
    refused(&court.judgement(&timeless, &[sig(&[court.by_key("a")])]), "no log and no timestamp authority says when");
    accepted(&court.judgement(&timeless.replace("    maxAge: 30d\n", ""), &[sig(&[court.by_key("a")])]));
}

#[test]
fn a_root_of_which_nobody_knows_the_age_judges_nothing_where_an_age_is_asked() {
    let mut court = Court::new(&["a", "b", "c"]);
    let rule = "    signatures: [{key: {name: a, log: promise, trustRoot: root}}]\n";
    let aged = policy("maxRootAge: 90d\n", rule).replace("root.json", "root.json, fetched: 2023-11-01");
    let logged = [sig(&[court.world.promised(court.by_key("a"), court.key("a"), T0 + 60)])];
    accepted(&court.judgement(&aged, &logged));
    court.now = T0 + 100 * DAY;
    let old = court.judgement(&aged, &logged);
    refused(&old, "the trust root \"root\" is fetched on 2023-11-01, 113 days ago; the policy takes at most 90d");
    assert_eq!(old.evidence[0].verdict, Verdict::Unknown);
    refused(&court.judgement(&aged.replace(", fetched: 2023-11-01", ""), &logged), "of unknown age");
}

#[test]
fn audit_turns_a_refusal_into_a_warning_and_never_damage() {
    let court = Court::new(&["a", "b", "c"]);
    let watched = policy("mode: audit\n", "    signatures: [{key: a}]\n");
    let other = court.judgement(&watched, &[sig(&[court.by_key("b")])]);
    assert!(other.accepted && other.would_refuse.as_ref().unwrap().contains("another key did"), "{other:#?}");
    assert_eq!(other.evidence[0].verdict, Verdict::Bad);
    accepted(&court.judgement(&watched, &[sig(&[court.by_key("a")])]));
    // What no rule is about, and what a rule denies, is watched as well.
    let elsewhere = court.explain(&watched, "other.example/x:1", &[]).judgement;
    assert!(elsewhere.accepted && elsewhere.would_refuse.unwrap().contains("no rule of policy.yaml is about it"));
    let mut torn = sig(&[court.by_key("b")]);
    torn.layers[0].1.push(b' ');
    refused(&court.judgement(&watched, &[torn]), "its content is not");
    // A rule may be stricter than its policy, and laxer.
    let strict = watched.replace("    signatures", "    mode: enforce\n    signatures");
    refused(&court.judgement(&strict, &[sig(&[court.by_key("b")])]), "another key did");
}

#[test]
fn a_signature_may_have_to_name_the_repository() {
    let court = Court::new(&["a", "b", "c"]);
    let named = |how: &str| policy("", &format!("    signedReference: {how}\n    signatures: [{{key: a}}]\n"));
    let elsewhere = [sig(&[signed_as("registry.example/other/app", court.key("a"))])];
    accepted(&court.judgement(&named("any"), &elsewhere));
    refused(
        &court.judgement(&named("repository"), &elsewhere),
        "as registry.example/other/app, and the rule wants one signed as registry.example/team/app",
    );
    accepted(&court.judgement(&named("repository"), &[sig(&[court.by_key("a")])]));
    refused(&court.judgement(&named("exact"), &[sig(&[court.by_key("a")])]), "registry.example/team/app:1.0");
    accepted(&court.judgement(&named("exact"), &[sig(&[signed_as("registry.example/team/app:1.0", court.key("a"))])]));
    let bundle = court.world.bundle_by_key(court.key("a"), &kit::statement(&subject().digest, SIGN), None);
    let nameless = [kit::referrer(&subject(), &bundle.to_string())];
    accepted(&court.judgement(&named("any"), &nameless));
    refused(&court.judgement(&named("repository"), &nameless), "says no name");
}

#[test]
fn an_attestation_has_to_say_what_the_rule_wants_in_its_own_signed_words() {
    let court = Court::new(&["a", "b", "c"]);
    let rule = "    attestations:\n      - predicateType: https://team.example/review/v1\n        signedBy: [{key: a}]\n        where: [{field: decision, equals: approved}]\n";
    let review = policy("", rule);
    let says = |key: &str, decision: &str| {
        court.attested(key, "https://team.example/review/v1", &json!({"decision": decision}), None)
    };
    accepted(&court.judgement(&review, &[says("a", "approved")]));
    let rejected = court.judgement(&review, &[says("a", "rejected")]);
    refused(&rejected, "its decision is \"rejected\", the rule wants \"approved\"");
    assert_eq!(rejected.evidence[0].predicate_type.as_deref(), Some("https://team.example/review/v1"));
    refused(&court.judgement(&review, &[says("b", "approved")]), "another key did");
    // Two good attestations of which only one says it, by the right signer: that is enough, and no mixture is.
    accepted(&court.judgement(&review, &[says("a", "rejected"), says("a", "approved")]));
    refused(&court.judgement(&review, &[says("a", "rejected"), says("b", "approved")]), "attestation of type");
    let other = court.attested("a", SPDX, &json!({"decision": "approved"}), None);
    refused(&court.judgement(&review, &[other]), "no attestation of type https://team.example/review/v1");
}

#[test]
fn an_attestation_has_an_age_of_its_own() {
    let mut court = Court::new(&["a", "b", "c"]);
    let rule = "    signatures: [{key: a}]\n    attestations: [{type: vulnerabilities, maxAge: 2d, signedBy: [{key: {name: a, log: proof, trustRoot: root}}]}]\n";
    let scanned = policy("", rule);
    let found = [sig(&[court.by_key("a")]), court.attested("a", VULN, &json!({}), Some(T0 + 60))];
    accepted(&court.judgement(&scanned, &found));
    court.now = T0 + 3 * DAY;
    refused(
        &court.judgement(&scanned, &found),
        "attestation of type https://cosign.sigstore.dev/attestation/vuln/v1, signed by key a at",
    );
}

#[test]
fn an_explanation_tells_every_step() {
    let court = Court::new(&["a", "b", "c"]);
    let text = policy(
        "",
        "    signatures: [{key: a}, {key: b}]\n  - match: [\"registry.example/**\"]\n    deny: not from there\n",
    );
    let found = [sig(&[court.by_key("b"), court.by_key("c")])];
    let explanation = court.explain(&text, "registry.example/team/app:1.0", &found);
    accepted(&explanation.judgement);
    let rules: Vec<(&str, usize)> =
        explanation.rules.iter().map(|rule| (rule.pattern.as_str(), rule.specificity)).collect();
    assert_eq!(rules, [("registry.example/team/**", 22), ("registry.example/**", 17)]);
    let held = |piece: usize| explanation.attempts[piece].iter().map(|one| one.holds).collect::<Vec<_>>();
    assert_eq!((held(0), held(1)), (vec![false, true], vec![false, false]));
    let [step] = explanation.demands.as_slice() else { panic!("{explanation:#?}") };
    assert_eq!((step.what.as_str(), step.by.as_str(), step.met), ("signature", "key a or key b", true));
    let denied = court.explain(&text, "registry.example/other:1", &found).judgement;
    refused(&denied, "the rule denies it: not from there");
    assert!(denied.evidence.iter().all(|evidence| evidence.reason.contains("the rule denies the artifact")));
}

#[test]
fn a_record_keeps_the_certificate_and_who_vouches_for_its_time() {
    let court = Court::new(&[]);
    let identity = "https://code.example/team/app/.github/workflows/release.yaml@refs/heads/main";
    let rule = format!(
        "    signatures: [{{keyless: {{trustRoot: root, issuer: \"https://token.example\", identity: \"{identity}\"}}}}]\n"
    );
    let text = policy("", &rule)
        .lines()
        .filter(|line| !line.contains(".pub") && *line != "keys:")
        .collect::<Vec<_>>()
        .join("\n");
    let mut leaf = Leaf::new(identity, "https://token.example", T0 + 1000);
    leaf.claims = vec![(15, "42".into()), (20, "push".into())];
    let bundle = court.world.bundle(&leaf, &kit::statement(&subject().digest, SIGN));
    let judgement = court.judgement(&text, &[kit::referrer(&subject(), &bundle.to_string())]);
    accepted(&judgement);
    let certificate = judgement.evidence[0].certificate.as_ref().unwrap();
    assert_eq!(
        (certificate.not_before.as_str(), certificate.not_after.as_str()),
        ("2023-11-14T22:30:00Z", "2023-11-14T22:40:00Z")
    );
    let claims: Vec<(&str, &str)> =
        certificate.claims.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    assert_eq!(claims, [("sourceRepositoryId", "42"), ("trigger", "push")]);
    assert!(certificate.sha256.is_some());
}

// --- the page ------------------------------------------------------------------------------------------------------

/// Examples of the page by name.
fn examples() -> BTreeMap<String, String> {
    let page = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/policy.md")).unwrap();
    let mut parts = page.split("<!-- example: ");
    parts.next();
    let example = |part: &str| {
        let (name, rest) = part.split_once(" -->").unwrap();
        let text = rest.split_once("```yaml\n").unwrap().1.split_once("```").unwrap().0;
        (name.to_owned(), text.to_owned())
    };
    parts.map(example).collect()
}

/// What each example accepts, and what it refuses with which words.
#[expect(clippy::too_many_lines, reason = "one arm for each example of the page")]
fn decided(name: &str, text: &str) -> (Judgement, Judgement, &'static str) {
    let mut court =
        Court::new(&["release", "release-next", "anna", "bela", "cleo", "security", "security-night", "scanner"]);
    let workflow = "https://github.com/openova-io/openova/.github/workflows/blueprint-release.yaml@refs/heads/main";
    let leaf = |identity: &str| Leaf::new(identity, GITHUB, T0 + 1000);
    let release = || sig(&[court.by_key("release")]);
    match name {
        "keys" => {
            let next = court.judgement(text, &[sig(&[court.by_key("release-next")])]);
            (next, court.judgement(text, &[sig(&[court.by_key("anna")])]), "another key did")
        }
        "openova" => {
            let blueprint = "registry.example/openova-io/bp-press:1.2.3";
            let payload = simple::payload("registry.example/openova-io/bp-press", &subject().digest);
            let signature = sig(&[court.world.simple(&leaf(workflow), &payload)]);
            let bill = |leaf: &Leaf| {
                kit::tagged(
                    &subject().digest,
                    "att",
                    &[court.world.attestation(leaf, &kit::statement(&subject().digest, SPDX))],
                )
            };
            let good = court.explain(text, blueprint, &[signature.clone(), bill(&leaf(workflow))]).judgement;
            let fork = leaf("https://github.com/evil/openova/.github/workflows/blueprint-release.yaml@refs/heads/main");
            (
                good,
                court.explain(text, blueprint, &[signature, bill(&fork)]).judgement,
                "no attestation of type https://spdx.dev/Document",
            )
        }
        "threshold" => {
            let payment = "registry.example/payments/api:1";
            let by = |names: &[&str]| [sig(&names.iter().map(|name| court.by_key(name)).collect::<Vec<_>>())];
            let two = court.explain(text, payment, &by(&["anna", "cleo"])).judgement;
            (two, court.explain(text, payment, &by(&["anna"])).judgement, "1 of 2 different signers")
        }
        "authorities" => {
            let mut built = leaf("https://github.com/team/app/.github/workflows/release.yaml@refs/tags/v1.2");
            built.claims = vec![(17, "12345".into())];
            let bundle = court.world.bundle(&built, &kit::statement(&subject().digest, SIGN));
            let build = kit::referrer(&subject(), &bundle.to_string());
            let both = court.judgement(text, &[build.clone(), sig(&[court.by_key("security-night")])]);
            (both, court.judgement(text, &[build]), "the authority security")
        }
        "provenance" => {
            let from = |repository: &str| {
                let predicate = json!({
                    "buildDefinition": {"externalParameters": {"workflow": {"repository": repository}}},
                    "runDetails": {"builder": {"id": "https://builder.example/v2"}},
                });
                [release(), court.attested("release", "https://slsa.dev/provenance/v1", &predicate, None)]
            };
            let good = court.judgement(text, &from("https://code.example/team/app"));
            (good, court.judgement(text, &from("https://code.example/fork/app")), "its source is")
        }
        "vulnerabilities" => {
            let scan = |id: &str, day: &str| {
                let result = json!({"SchemaVersion": 2, "Results": [{"Vulnerabilities": [{"VulnerabilityID": id, "Severity": "CRITICAL"}]}]});
                let predicate =
                    json!({"scanner": {"result": result}, "metadata": {"scanFinishedOn": format!("{day}T00:00:00Z")}});
                [release(), court.attested("scanner", VULN, &predicate, None)]
            };
            accepted(&court.judgement(text, &scan("CVE-2023-0001", "2023-11-14")));
            refused(&court.judgement(text, &scan("CVE-2023-0001", "2023-11-01")), "at most 7d");
            let good = court.judgement(text, &scan("CVE-2023-0001", "2023-11-13"));
            (good, court.judgement(text, &scan("CVE-2023-9999", "2023-11-14")), "1 vulnerability worse than high")
        }
        "fresh" => {
            let identity = "https://github.com/team/app/.github/workflows/release.yaml@refs/heads/main";
            let bundle = court.world.bundle(&leaf(identity), &kit::statement(&subject().digest, SIGN));
            let found = [kit::referrer(&subject(), &bundle.to_string())];
            let good = court.judgement(text, &found);
            court.now = T0 + 91 * DAY;
            (good, court.judgement(text, &found), "but the rule takes at most 90d")
        }
        "exempt" => {
            let exempt = court.explain(text, "docker.io/library/busybox:1.36", &[]).judgement;
            (exempt, court.explain(text, "docker.io/library/busybox:2", &[]).judgement, "nothing else comes from there")
        }
        "audit" => {
            let watched = court.judgement(text, &[]);
            assert!(watched.accepted && watched.would_refuse.is_some(), "{watched:#?}");
            let good = court.judgement(text, &[release()]);
            (good, court.explain(text, "registry.example/other:1", &[]).judgement, "no rule of policy.yaml is about it")
        }
        "constraints" => {
            let review = |team: &str, findings: Value| {
                let predicate = json!({
                    "decision": "approved", "reviewers": [{"team": "platform"}, {"team": team}], "findings": findings,
                    "reviewedOn": "2023-11-01T12:00:00Z",
                });
                [court.attested("release", "https://team.example/review/v1", &predicate, None)]
            };
            refused(
                &court.judgement(text, &review("platform", json!(["one"]))),
                "findings 1 times, the rule takes at most 0",
            );
            let good = court.judgement(text, &review("security", json!([])));
            (good, court.judgement(text, &review("sales", json!([]))), "its reviewers[*].team is \"sales\"")
        }
        other => panic!("no test decides the example {other:?}"),
    }
}

#[test]
fn every_example_of_the_page_is_read_and_decided() {
    let examples = examples();
    assert!(examples.len() >= 10, "{:?}", examples.keys());
    for (name, text) in examples {
        let (good, bad, words) = decided(&name, &text);
        assert!(good.accepted && good.would_refuse.is_none(), "{name}: {good:#?}");
        assert!(!bad.accepted && bad.reason.contains(words), "{name}: {:?}, expected {words:?}", bad.reason);
    }
}

// --- the commands --------------------------------------------------------------------------------------------------

fn write(stage: &Stage, file: &str, text: &str) {
    std::fs::write(stage.path(file), text).unwrap();
}

/// A policy of the stage's key for everything upstream.
fn stage_policy(stage: &Stage, head: &str, rules: &str) {
    let (host, keys) = (stage.upstream.host(), "keys: {release: {file: cosign.pub}}\n");
    write(
        stage,
        "policy.yaml",
        &format!("apiVersion: airlift/v1alpha1\nkind: Policy\n{head}{keys}rules:\n{}", rules.replace("HOST", &host)),
    );
}

#[test]
fn check_explains_what_it_found_at_a_registry_and_in_a_bundle() {
    let stage = Stage::new();
    let (signed, unsigned) = (small(1), small(2));
    let references = [stage.publish("team/app", "1.0", &signed), stage.publish("team/raw", "1.0", &unsigned)];
    stage.sign("team/app", signed.digest());
    Sample::referrer(&signed, "application/spdx+json", b"{}").push(&stage.remote, &stage.at("team/app"), None).unwrap();
    stage_policy(
        &stage,
        "",
        "  - match: [\"HOST/team/**\"]\n    signatures: [{key: release}]\n  - match: [\"HOST/**\"]\n    deny: true\n",
    );
    let check = |more: &[&str]| {
        stage.airlift(&[&["policy", "check", "--policy", "policy.yaml", "--plain-http"], more].concat())
    };
    check(&[&references[0]]).expect(0).says(&[
        "team/app:1.0: accepted",
        "its pattern says most",
        "also about it, and not asked: policy.yaml rule 2",
        "1. SBOM, referrer",
        "an SBOM that is attached without a signature",
        "2. cosign signature, tag sha256-",
        "as key release: holds, signed by key release",
        "met: signature by key release",
        "1 of 1 artifact accepted",
    ]);
    check(&[&references[0], &references[1]]).expect(30).says(&[
        "team/raw:1.0: REFUSED",
        "nothing was found beside it",
        "MISSING: signature by key release: none by key release",
        "hint: sign it",
        "error: the policy refuses 1 of 2 artifacts",
    ]);
    let told = check(&[&references[0], "-o", "json"]).expect(0);
    let told: Value = serde_json::from_str(&told.stdout).unwrap();
    let artifact = &told["artifacts"][0];
    assert_eq!((&artifact["accepted"], &artifact["demands"][0]["met"]), (&json!(true), &json!(true)), "{told:#}");
    assert_eq!(artifact["evidence"][1]["attempts"][0]["holds"], json!(true), "{told:#}");
    assert_eq!((&told["discovery"]["artifacts"], &told["discovery"]["forArtifacts"]), (&json!(1), &json!(2)));
    stage.pack(&[&references[0]], "b", &[]).expect(0);
    stage
        .airlift(&["policy", "check", "--policy", "policy.yaml", "--bundle", "b.airlift"])
        .expect(0)
        .says(&["as key release: holds", "1 of 1 artifact accepted"]);
    let stranger = airlift::trust::SigningKey::generate().unwrap().public().to_pem();
    write(&stage, "cosign.pub", &stranger);
    stage
        .airlift(&["policy", "check", "--policy", "policy.yaml", "--bundle", "b.airlift"])
        .expect(30)
        .says(&["as key release: no, the key release did not make this signature"]);
}

#[test]
fn evidence_is_found_with_two_requests_for_each_artifact_and_they_are_counted() {
    let stage = Stage::new();
    let references: Vec<String> = (0..5).map(|n| stage.publish(&format!("team/a{n}"), "1", &small(n))).collect();
    stage_policy(&stage, "", "  - match: [\"**\"]\n    exempt: {reason: a test, until: never}\n");
    stage.upstream.record();
    let mut arguments = vec!["policy", "check", "--policy", "policy.yaml", "--plain-http"];
    arguments.extend(references.iter().map(String::as_str));
    stage.airlift(&arguments).expect(0).says(&["10 questions about 5 artifacts, 0 about their images"]);
    let asked = |part: &str| stage.upstream.exchanges().iter().filter(|e| e.path.contains(part)).count();
    assert_eq!((asked("/referrers/"), asked("/tags/list")), (5, 5));
    assert!(asked(".sig") + asked(".att") + asked(".sbom") == 0, "tags that are not in the list are not asked for");
}

#[test]
fn what_is_exempt_or_only_watched_is_said_in_every_run_and_in_the_receipt() {
    let stage = Stage::new();
    let (one, two) = (small(1), multi(2));
    let references = [stage.publish("team/exempt", "1", &one), stage.publish("team/watched", "1", &two)];
    stage_policy(
        &stage,
        "",
        "  - match: [\"HOST/team/exempt\"]\n    exempt: {reason: made by others, until: 2099-12-31}\n  - match: [\"HOST/**\"]\n    mode: audit\n    signatures: [{key: release}]\n",
    );
    let pack = [
        "pack",
        &references[0],
        &references[1],
        "-o",
        "b",
        "--policy",
        "policy.yaml",
        "--sign-key",
        "author.key",
        "--plain-http",
    ];
    stage.airlift(&pack).expect(0).says(&[
        "carried without evidence by an exemption until 2099-12-31: made by others",
        "carried, but the policy would refuse it (mode audit",
        "nothing was found beside it",
    ]);
    let inspected: Value =
        serde_json::from_str(&stage.airlift(&["inspect", "b.airlift", "-o", "json"]).expect(0).stdout).unwrap();
    assert_eq!(
        inspected["artifacts"][0]["evidence"]["exemption"],
        json!({"reason": "made by others", "until": "2099-12-31"})
    );
    assert!(inspected["artifacts"][1]["evidence"]["wouldRefuse"].as_str().unwrap().contains("nothing was found"));
    stage.import("b.airlift", &["--receipt", "r.json"]).expect(0).says(&["mode audit", "made by others"]);
    let receipt = Receipt::read(&std::fs::read(stage.path("r.json")).unwrap(), "r.json").unwrap();
    assert_eq!(receipt.artifacts[0].exemption.as_ref().unwrap().reason, "made by others");
    assert!(receipt.artifacts[1].would_refuse.is_some());
    stage
        .airlift(&["verify", "b.airlift", "--bundle-key", "author.pub", "--policy", "policy.yaml"])
        .expect(0)
        .says(&["mode audit"]);
}

#[test]
fn a_table_of_cases_is_run_offline_and_a_miss_is_an_error() {
    let stage = Stage::new();
    let signed = small(1);
    let reference = stage.publish("team/app", "1.0", &signed);
    stage.sign("team/app", signed.digest());
    stage_policy(
        &stage,
        "",
        "  - match: [\"HOST/team/**\"]\n    signatures: [{key: release}]\n  - match: [\"HOST/old/**\"]\n    exempt: {reason: old, until: 2026-12-31}\n",
    );
    stage.pack(&[&reference], "b", &[]).expect(0);
    stage.airlift(&["import", "b.airlift", "--to", "oci:layout", "--bundle-key", "author.pub"]).expect(0);
    let host = stage.upstream.host();
    let table = |expect: &str| {
        format!(
            "apiVersion: airlift/v1alpha1\nkind: PolicyTest\npolicy: policy.yaml\nat: 2026-12-31T23:00:00Z\ncases:\n\
             \x20 - {{name: unsigned, reference: \"{host}/team/x:1\", expect: refuse, reason: nothing was found beside it}}\n\
             \x20 - {{name: bundled, reference: \"{reference}\", bundle: b.airlift, expect: {expect}, rule: rule 1}}\n\
             \x20 - {{name: in a layout, reference: \"{reference}\", layout: layout, expect: accept, reason: ^signed by key release$}}\n\
             \x20 - {{name: last day, reference: \"{host}/old/x:1\", expect: accept, reason: old}}\n\
             \x20 - {{name: nowhere, reference: \"elsewhere.example/x\", expect: refuse, rule: none}}\n"
        )
    };
    write(&stage, "table.yaml", &table("accept"));
    stage.airlift(&["policy", "test", "table.yaml"]).expect(0).says(&["ok      bundled", "5 of 5 cases hold"]);
    write(&stage, "table.yaml", &table("refuse"));
    stage.airlift(&["policy", "test", "table.yaml"]).expect(30).says(&[
        "MISSED  bundled:",
        "line 7: it is accepted (signed by key release), expected refused",
        "decided by policy.yaml rule 1",
        "4 of 5 cases hold",
        "error: the policy misses 1 of 5 cases",
    ]);
    // What is not in the material is told like any other case that does not hold, and ends nothing.
    for (there, absent) in [("bundle: b.airlift", "bundled"), ("layout: layout", "in a layout")] {
        let other = format!("reference: \"{host}/not/there:1\", {there}");
        write(&stage, "table.yaml", &table("accept").replace(&format!("reference: \"{reference}\", {there}"), &other));
        let said =
            [&*format!("MISSED  {absent}:"), "/not/there:1 is not in the material of the case", "4 of 5 cases hold"];
        stage.airlift(&["policy", "test", "table.yaml"]).expect(30).says(&said);
    }
    // A day later the exemption is over.
    write(&stage, "table.yaml", &table("accept").replace("2026-12-31T23", "2027-01-01T00"));
    stage.airlift(&["policy", "test", "table.yaml"]).expect(30).says(&["the exemption (old) ended on 2026-12-31"]);
    write(&stage, "table.yaml", &table("accept").replace("layout: layout", "layout: absent"));
    stage.airlift(&["policy", "test", "table.yaml"]).expect(2).says(&["absent", "is not there"]);
}

#[test]
fn lint_names_what_can_never_work_and_what_is_too_wide() {
    let stage = Stage::new();
    let reference = stage.publish("team/app", "1.0", &small(1));
    write(&stage, "m.yaml", &format!("apiVersion: airlift/v1alpha1\nkind: Mirror\nimages: [\"{reference}\"]\n"));
    stage.airlift(&["resolve", "-f", "m.yaml", "--lock", "airlift.lock", "--plain-http"]).expect(0);
    let text = "apiVersion: airlift/v1alpha1
kind: Policy
maxRootAge: 30d
trustRoots: {public: {embedded: public-good}}
keys: {release: {file: cosign.pub}, again: {file: cosign.pub}, unused: {file: cosign.pub}}
rules:
  - match: [\"registry.example/a/*\"]
    signatures: {threshold: 2, of: [{key: release}, {key: again}]}
  - match: [\"registry.example/a/**\", \"nginx\"]
    exempt: {reason: over, until: 2020-01-01}
  - match: [\"docker.io/library/nginx\"]
    maxAge: 3d
    signatures: [{key: release}]
  - match: [\"registry.example/c\"]
    signatures: {threshold: 3, of: [{key: release}, {key: unused}]}
  - match: [\"**\"]
    signatures:
      - keyless: {trustRoot: public, issuer: x, identityRegexp: ^https://github.com/team/.*$, log: none, sct: none}
";
    write(&stage, "policy.yaml", text);
    let ran = stage.airlift(&["policy", "lint", "policy.yaml", "--lock", "airlift.lock"]).expect(2);
    for words in [
        "policy.yaml:7 (rule 1): one key stands in a threshold of 2 more than once, and counts once, so it can never be met",
        "policy.yaml:9 (rule 2): the exemption ended on 2020-01-01",
        "policy.yaml:11 (rule 3): the pattern docker.io/library/nginx never decides: nginx of rule 2 is as specific",
        "policy.yaml:11 (rule 3): maxAge can never be met",
        "policy.yaml:14 (rule 4): a threshold of 3 of 2 can never be met",
        "trustRoots.public is embedded, and maxRootAge is given",
        "the pattern nginx matches nothing in the lock",
        "identityRegexp ^https://github.com/team/.*$ has a dot in its host",
        "log: none: nobody can see afterwards",
        "sct: none",
    ] {
        assert!(ran.stdout.contains(words), "{words:?} is not in:\n{}", ran.stdout);
    }
    let good = "apiVersion: airlift/v1alpha1\nkind: Policy\nkeys: {release: {file: cosign.pub}}\nrules:\n  - match: [\"**\"]\n    signatures: [{key: release}]\n";
    write(&stage, "policy.yaml", good);
    stage
        .airlift(&["policy", "lint", "policy.yaml", "--lock", "airlift.lock"])
        .expect(0)
        .says(&["0 errors, 0 warnings"]);
    write(&stage, "policy.yaml", &good.replace("{file: cosign.pub}}", "{file: cosign.pub}, more: {file: absent.pub}}"));
    stage
        .airlift(&["policy", "lint", "policy.yaml"])
        .expect(2)
        .says(&["cannot read absent.pub", "keys.more is used by no rule"]);
    stage.airlift(&["policy", "lint", "policy.yaml", "--no-files"]).expect(0);
    let bundle = "bundle:
  keys: [{name: a, file: cosign.pub, notAfter: 2020-01-01}, {name: b, file: cosign.pub}]
  threshold: 2
  countersigners: [{name: dmz, file: cosign.pub, notAfter: 2020-01-01}]
  unsigned: allow
";
    write(&stage, "policy.yaml", &format!("{good}{bundle}"));
    stage.airlift(&["policy", "lint", "policy.yaml"]).expect(2).says(&[
        "policy.yaml: bundle: 2 authors must have signed, and the keys of 1 still count: nothing is accepted",
        "every key of a in keys has ended: they count no more",
        "every key of dmz in countersigners has ended: no bundle is accepted",
        "unsigned: allow: a bundle is taken without any signature",
    ]);
}

/// Figures are printed and not asserted: what a clock says depends on the machine, and other tests run beside this one.
#[test]
fn a_thousand_artifacts_are_judged_and_what_it_costs_is_printed() {
    let court = Court::new(&["a", "b", "c"]);
    let rule = "    signatures: [{key: {name: a, log: proof, trustRoot: root}}]\n    attestations: [{type: spdx, signedBy: same, where: [{field: spdxVersion, equals: SPDX-2.3}]}]\n";
    let judge = court.judge(&policy("", rule));
    let name: ImageRef = "registry.example/team/app:1.0".parse().unwrap();
    let signature = court.world.bundle_by_key(court.key("a"), &kit::statement(&subject().digest, SIGN), Some(T0 + 60));
    let packages: Vec<Value> =
        (0..500).map(|n| json!({"name": format!("package-{n}"), "versionInfo": "1.0"})).collect();
    let bill = court.attested("a", SPDX, &json!({"spdxVersion": "SPDX-2.3", "packages": packages}), Some(T0 + 90));
    let found = [kit::referrer(&subject(), &signature.to_string()), bill];
    let judge_some = |count: usize| (0..count).for_each(|_| accepted(&judge.judge(&name, &subject(), &found)));
    judge_some(50);
    let (before, begun) = (resident(), on_cpu());
    judge_some(1000);
    let (after, ended) = (resident(), on_cpu());
    eprintln!(
        "judged 1000 artifacts with a logged signature and a logged SBOM of 500 packages: {:.2} ms of CPU each, memory {} KiB before and {} KiB after",
        (ended - begun) as f64 / 1e9,
        before,
        after
    );
}

/// Nanoseconds that this thread has had of a processor.
fn on_cpu() -> u64 {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap_or_default();
    text.split_whitespace().next().and_then(|first| first.parse().ok()).unwrap_or_default()
}

/// Resident memory of this process, in KiB.
fn resident() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap_or_default();
    line.trim().trim_end_matches(" kB").parse().unwrap_or_default()
}
