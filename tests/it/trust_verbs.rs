//! `airlift trust` as a person runs it: fetched, shown, compared, accepted, pinned, merged, carried; and the far side's own root decides.

use crate::stage::{Ran, Stage, small};
use airlift::document::root_record::{RootOrigin, RootRecord};
use airlift::model::port::{BlobSink, ImageSink};
use airlift::model::{Descriptor, Digest};
use airlift::testkit::sigstore::{self as kit, Leaf, World, log};
use airlift::testkit::tuf::TufRepository;
use airlift::testkit::web::{Answer, WebServer};
use airlift::trust::{Candidate, TRUSTED_ROOT};
use serde_json::Value;

const T0: i64 = 1_700_000_000;
const WEEK: i64 = 7 * 86_400;
const WHO: &str = "https://code.example/team/app/.github/workflows/release.yaml@refs/heads/main";
const ISSUER: &str = "https://token.example";

fn now() -> i64 {
    i64::try_from(std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs()).unwrap()
}

fn write(stage: &Stage, name: &str, root: &Value) {
    std::fs::write(stage.path(name), root.to_string()).unwrap();
}

fn record(stage: &Stage, name: &str) -> RootRecord {
    RootRecord::read(&std::fs::read(stage.path(name)).unwrap(), name).unwrap()
}

fn json(ran: &Ran) -> Value {
    serde_json::from_str(&ran.stdout).unwrap_or_else(|e| panic!("{e}:\n{}", ran.stdout))
}

/// A root with a second log, and the first one ended: what an operator publishes when he turns a log over.
fn turned_over(root: &Value) -> Value {
    let mut next = root.clone();
    let second = log::Log::new("second.example");
    next["tlogs"].as_array_mut().unwrap().push(log::trusted(&second.key, "second.example", T0 + 9));
    next["tlogs"][0]["publicKey"]["validFor"]["end"] = kit::rfc3339(T0 + WEEK).into();
    next
}

/// A mirror on loopback, with a root that its operator renews.
struct Mirror {
    stage: Stage,
    repository: TufRepository,
    server: WebServer,
}

impl Mirror {
    fn new(root: &Value) -> Self {
        let stage = Stage::new();
        let repository = TufRepository::new(now() - 3600, TRUSTED_ROOT, root.to_string().as_bytes());
        std::fs::write(stage.path("tuf-root.json"), repository.initial()).unwrap();
        let server = WebServer::start(repository.files.clone());
        Self { stage, repository, server }
    }

    fn fetch(&self, more: &[&str]) -> Ran {
        let (address, head) = (self.server.address(), ["trust", "fetch", "--root", "tuf-root.json", "--mirror"]);
        self.stage.airlift(&[&head[..], &[&address, "--plain-http", "--retries", "0"], more].concat())
    }

    fn show(&self) {
        self.server.show(self.repository.files.clone());
    }
}

#[test]
fn a_root_is_fetched_from_a_mirror_and_numbered() {
    let root = World::new(T0).root();
    let mut mirror = Mirror::new(&root);
    mirror.fetch(&["--name", "corporate"]).expect(0).says(&["trusted_root.json is number 1 of \"corporate\""]);
    let stage = &mirror.stage;
    assert_eq!(std::fs::read(stage.path("trusted_root.json")).unwrap(), root.to_string().into_bytes());
    let first = record(stage, "trusted_root.json.record");
    assert!(matches!(&first.origin, RootOrigin::Tuf { root: 1, targets: 1, .. }), "{first:?}");
    assert!(mirror.server.asked().iter().all(|path| path != "v2/"), "no registry is looked for");

    // Nothing new keeps the number; keys of the repository may change meanwhile.
    mirror.repository.rotate();
    mirror.repository.publish(TRUSTED_ROOT, root.to_string().as_bytes());
    mirror.show();
    mirror.fetch(&["--name", "corporate"]).expect(0).says(&["no difference", "number 1"]);
    let again = record(&mirror.stage, "trusted_root.json.record");
    assert!(matches!(&again.origin, RootOrigin::Tuf { root: 2, targets: 2, .. }), "{again:?}");

    mirror.repository.publish(TRUSTED_ROOT, turned_over(&root).to_string().as_bytes());
    mirror.show();
    let ran = mirror.fetch(&["--name", "corporate"]).expect(0);
    ran.says(&["added", "https://second.example", "ended", "https://log.example", "number 2"]);
    let second = record(&mirror.stage, "trusted_root.json.record");
    assert_eq!((second.sequence, second.history.len()), (2, 1));
    let shown = mirror.stage.airlift(&["trust", "show", "trusted_root.json"]).expect(0);
    shown.says(&["number 2 of \"corporate\"", "TUF versions root 2, timestamp 3", "ended", "in force", "log.example"]);
}

#[test]
fn a_hostile_or_broken_mirror_changes_nothing() {
    let root = World::new(T0).root();
    let mut mirror = Mirror::new(&root);
    let old = mirror.repository.files.clone();
    mirror.repository.publish(TRUSTED_ROOT, turned_over(&root).to_string().as_bytes());
    mirror.show();
    mirror.fetch(&[]).expect(0);
    let kept = |stage: &Stage| {
        ["trusted_root.json", "trusted_root.json.record"].map(|f| std::fs::read(stage.path(f)).unwrap())
    };
    let before = kept(&mirror.stage);

    mirror.server.show(old);
    mirror.fetch(&[]).expect(30).says(&["version 1 of timestamp, but version 2 was seen", "ask another mirror"]);
    let foreign = TufRepository::new(now() - 3600, TRUSTED_ROOT, b"{}");
    mirror.server.show(foreign.files.clone());
    mirror.fetch(&[]).expect(30).says(&["threshold not met for role timestamp", "nothing was written"]);
    mirror.show();
    mirror.server.set("timestamp.json", Answer::Status(500));
    mirror.fetch(&[]).expect(20).says(&["HTTP 500"]);
    mirror.server.set("timestamp.json", Answer::Redirect("http://169.254.169.254/x".into()));
    mirror.fetch(&[]).expect(20).says(&["redirect"]);
    mirror.server.set("timestamp.json", Answer::File(vec![b' '; 17_000]));
    mirror.fetch(&[]).expect(40).says(&["more than 16384 bytes"]);
    mirror.server.set("timestamp.json", Answer::Status(404));
    mirror.fetch(&[]).expect(20).says(&["has no timestamp.json"]);
    // Signed by whom it should be, and still no trusted root.
    mirror.repository.publish(TRUSTED_ROOT, b"{}");
    mirror.show();
    mirror.fetch(&[]).expect(2).says(&["no usable trusted root"]);
    // A root that goes back is refused although its signatures are good.
    mirror.repository.publish(TRUSTED_ROOT, root.to_string().as_bytes());
    mirror.show();
    mirror.fetch(&[]).expect(30).says(&["lacks what the accepted root has", "second.example", "in force again"]);
    assert_eq!(kept(&mirror.stage), before);
    mirror.fetch(&["--allow-losses"]).expect(0).says(&["REMOVED", "IN FORCE AGAIN", "number 2"]);
}

#[test]
fn expired_metadata_is_refused_and_the_clock_is_asked_about() {
    let root = World::new(T0).root();
    let stage = Stage::new();
    let repository = TufRepository::new(now() - 2 * WEEK, TRUSTED_ROOT, root.to_string().as_bytes());
    std::fs::write(stage.path("tuf-root.json"), repository.initial()).unwrap();
    for (path, bytes) in &repository.files {
        let path = stage.path("mirror").join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, bytes).unwrap();
    }
    let fetch = ["trust", "fetch", "--root", "tuf-root.json", "--mirror", "mirror"];
    stage
        .airlift(&fetch)
        .expect(30)
        .says(&["timestamp metadata of mirror expired at", "is the clock of this machine right?"]);
    assert!(!stage.path("trusted_root.json").exists() && !stage.path("trusted_root.json.tuf").exists());
    stage.airlift(&[&fetch[..4], &["--mirror", "absent"]].concat()).expect(20).says(&["absent has no timestamp.json"]);
    stage.airlift(&[&fetch[..4], &["--mirror", "http://127.0.0.1:1"]].concat()).expect(2).says(&["--plain-http"]);
    stage.airlift(&[&fetch[..4], &["--mirror", "https://user:pw@m.example"]].concat()).expect(2);
    stage.airlift(&["trust", "fetch", "--root", "tuf-root.json"]).expect(2).says(&["--mirror"]);
}

#[test]
fn a_root_is_compared_accepted_and_never_goes_back() {
    let stage = Stage::new();
    let first = World::new(T0).root();
    let next = turned_over(&first);
    write(&stage, "first.json", &first);
    write(&stage, "next.json", &next);
    let accept = |file: &str, more: &[&str]| {
        stage.airlift(&[&["trust", "accept", file, "--into", "in-use.json", "--name", "corporate"], more].concat())
    };
    accept("first.json", &["--sign-key", "author.key"]).expect(0).says(&["in-use.json is number 1 of \"corporate\""]);
    stage.airlift(&["trust", "diff", "in-use.json", "next.json"]).expect(0).says(&["added", "second.example", "ended"]);
    let back = stage.airlift(&["trust", "diff", "next.json", "first.json", "-o", "json"]).expect(0);
    assert_eq!(json(&back)["removed"][0]["name"], "https://second.example");
    stage.airlift(&["trust", "diff", "first.json", "first.json"]).expect(0).says(&["no difference"]);

    accept("next.json", &[]).expect(0).says(&["ended", "number 2"]);
    accept("next.json", &[]).expect(0).says(&["no difference", "number 2"]);
    accept("first.json", &[]).expect(30).says(&["lacks what the accepted root has", "--allow-losses"]);
    accept("first.json", &["--allow-losses"]).expect(30).says(&["accepted as number 1 and has been replaced since"]);
    let renamed = ["trust", "accept", "next.json", "--into", "in-use.json", "--name", "other"];
    stage.airlift(&renamed).expect(30).says(&["the accepted root is called \"corporate\""]);
    // Somebody puts the old file back by hand.
    std::fs::copy(stage.path("first.json"), stage.path("in-use.json")).unwrap();
    accept("next.json", &[]).expect(0).says(&["number 2"]);
    std::fs::copy(stage.path("first.json"), stage.path("in-use.json")).unwrap();
    accept("first.json", &["--allow-losses"]).expect(30).says(&["its record says that", "find out who"]);
    stage.airlift(&["trust", "pin", "in-use.json"]).expect(30).says(&["was accepted as number 2"]);
}

#[test]
fn a_number_travels_with_its_record_and_its_seal() {
    let near = Stage::new();
    let first = World::new(T0).root();
    write(&near, "first.json", &first);
    write(&near, "next.json", &turned_over(&first));
    let accept = |file: &str, more: &[&str]| near.airlift(&[&["trust", "accept", file], more].concat());
    accept("first.json", &["--into", "near/root.json", "--sign-key", "author.key"]).expect(2);
    std::fs::create_dir(near.path("near")).unwrap();
    std::fs::create_dir(near.path("far")).unwrap();
    accept("first.json", &["--into", "near/root.json", "--sign-key", "author.key"]).expect(0);
    accept("next.json", &["--into", "near/root.json", "--sign-key", "author.key"]).expect(0);
    // The far side is first given number 2.
    let far = |file: &str, record: &str, more: &[&str]| {
        accept(file, &[&["--into", "far/root.json", "--record", record, "--signed-by", "author.pub"], more].concat())
    };
    far("near/root.json", "near/root.json.record", &[]).expect(0).says(&["number 2 of \"root\""]);
    far("first.json", "near/root.json.record", &[]).expect(30).says(&["the record is about"]);
    // A record of the same number about another root, signed by the same hand.
    accept("first.json", &["--into", "again.json", "--sign-key", "author.key"]).expect(0);
    far("first.json", "again.json.record", &["--allow-losses"])
        .expect(30)
        .says(&["comes with the number 1, but number 2"]);
    near.airlift(&["keygen", "-o", "other"]).expect(0);
    accept("first.json", &["--into", "forged.json", "--sign-key", "other.key"]).expect(0);
    far("first.json", "forged.json.record", &[]).expect(30).says(&["no accepted key made the signature"]);
    accept("first.json", &["--into", "unsigned.json"]).expect(0);
    far("first.json", "unsigned.json.record", &[]).expect(30).says(&["the record is not signed"]);
}

#[test]
fn roots_are_shown_pinned_and_merged() {
    let stage = Stage::new();
    let (one, two) = (World::new(T0).root(), World::new(T0).root());
    write(&stage, "one.json", &one);
    write(&stage, "two.json", &two);
    let shown = stage.airlift(&["trust", "show", "one.json", "-o", "json"]).expect(0);
    let view = json(&shown);
    assert_eq!(view["sha256"], Digest::of(one.to_string().as_bytes()).to_string());
    assert_eq!(view["anchors"].as_array().unwrap().len(), 4);
    assert_eq!(view["newestStart"], "2023-11-14T22:13:20Z");
    stage.airlift(&["trust", "show", "--embedded", "public-good"]).expect(0).says(&[
        "fulcio.sigstore.dev",
        "ended",
        "newest start 202",
    ]);
    let pinned = stage.airlift(&["trust", "pin", "one.json", "--name", "corporate"]).expect(0);
    let hex = Digest::of(one.to_string().as_bytes()).hex();
    assert!(
        pinned.stdout.contains("trustRoots:") && pinned.stdout.contains("corporate:") && pinned.stdout.contains(&hex)
    );
    let policy = format!(
        "apiVersion: airlift/v1alpha1\nkind: Policy\n{}rules:\n  - match: [\"**\"]\n    deny: true\n",
        pinned.stdout
    );
    airlift::document::policy::Policy::parse(&policy, "policy.yaml").unwrap_or_else(|e| panic!("{e}\n{policy}"));
    stage
        .airlift(&["trust", "merge", "one.json", "two.json", "-o", "both.json"])
        .expect(0)
        .says(&["both.json", "sha256:"]);
    let both = json(&stage.airlift(&["trust", "show", "both.json", "-o", "json"]).expect(0));
    assert_eq!(both["anchors"].as_array().unwrap().len(), 8);
    let mut other = one.clone();
    other["tlogs"][0]["publicKey"]["validFor"]["start"] = kit::rfc3339(T0 + 1).into();
    write(&stage, "other.json", &other);
    stage
        .airlift(&["trust", "merge", "one.json", "other.json", "-o", "x.json"])
        .expect(2)
        .says(&["contradict each other"]);
    assert!(!stage.path("x.json").exists());
    stage.airlift(&["trust", "show", "cosign.pub"]).expect(2).says(&["no usable trusted root"]);
    stage.airlift(&["trust", "show"]).expect(2);
}

/// Puts what a signer left beside an image into the upstream.
fn attach(stage: &Stage, path: &str, candidate: &Candidate) {
    let at = stage.at(path);
    for (layer, bytes) in candidate.layers.iter().map(|(layer, bytes)| (layer.clone(), bytes.clone())).chain([config()])
    {
        stage.remote.put(&at, &layer, &mut bytes.as_slice()).unwrap();
    }
    stage.remote.put_manifest(&at, &candidate.document, candidate.tag.as_ref()).unwrap();
}

fn config() -> (Descriptor, Vec<u8>) {
    (Descriptor::of(airlift::model::MediaType::OCI_CONFIG, b"{}"), b"{}".to_vec())
}

/// An image that was signed by a workflow, packed under a policy that names `author.json` as its root.
fn packed(world: &World) -> Stage {
    let stage = Stage::new();
    let image = small(7);
    let reference = stage.publish("team/app", "1", &image);
    let payload = airlift::trust::simple::payload("x", image.digest());
    let layer = world.simple(&Leaf::new(WHO, ISSUER, T0 + 1000), &payload);
    attach(&stage, "team/app", &kit::tagged(image.digest(), "sig", &[layer]));
    write(&stage, "author.json", &world.root());
    policy(&stage, "author.yaml", "author.json");
    let pack = ["pack", &reference, "-o", "b", "--policy", "author.yaml", "--sign-key", "author.key", "--plain-http"];
    stage.airlift(&pack).expect(0);
    stage
}

fn policy(stage: &Stage, name: &str, root: &str) {
    let text = format!(
        "apiVersion: airlift/v1alpha1\nkind: Policy\ntrustRoots: {{corporate: {{file: {root}}}}}\nrules:\n  - match: [\"**\"]\n    signatures:\n      - keyless: {{trustRoot: corporate, issuer: \"{ISSUER}\", identity: \"{WHO}\"}}\n"
    );
    std::fs::write(stage.path(name), text).unwrap();
}

fn verify(stage: &Stage, policy: &str) -> Ran {
    stage.airlift(&["verify", "b.airlift", "--bundle-key", "author.pub", "--policy", policy])
}

#[test]
fn a_bundle_proposes_its_authors_root_and_the_far_sides_own_root_decides() {
    let world = World::new(T0);
    let stage = packed(&world);
    let export = ["trust", "export", "b.airlift", "--bundle-key", "author.pub", "-o", "proposed.json"];
    stage.airlift(&export).expect(0).says(&["(corporate)", "a proposal of the bundle's author"]);
    let carried = std::fs::read(stage.path("proposed.json")).unwrap();
    assert_eq!(carried, std::fs::read(stage.path("author.json")).unwrap());
    stage
        .airlift(&[&export[..3], &["--allow-unsigned-bundle", "--name", "other", "-o", "x.json"]].concat())
        .expect(2)
        .says(&["no trusted root called \"other\", but corporate"]);
    stage.airlift(&[&export[..3], &["-o", "x.json"]].concat()).expect(30);

    // The far side pins a root of its own, which does not know the signer's instance: what the bundle carries changes nothing.
    write(&stage, "own.json", &World::new(T0).root());
    policy(&stage, "far.yaml", "own.json");
    verify(&stage, "far.yaml").expect(30).says(&["does not know", "is the trusted root older than the signature?"]);
    let given = |root: &str| {
        let head = ["verify", "b.airlift", "--bundle-key", "author.pub", "--policy", "far.yaml", "--trusted-root"];
        stage.airlift(&[&head[..], &[root]].concat())
    };
    given("proposed.json").expect(0).says(&["good: 1 artifact"]);
    given("corporate=proposed.json").expect(0);
    given("other=proposed.json").expect(2).says(&["other=proposed.json"]);
    stage.airlift(&["verify", "b.airlift", "--key", "cosign.pub", "--trusted-root", "own.json"]).expect(2);
    let flags = [
        "verify",
        "b.airlift",
        "--bundle-key",
        "author.pub",
        "--certificate-identity",
        WHO,
        "--certificate-oidc-issuer",
        ISSUER,
    ];
    stage.airlift(&[&flags[..], &["--trusted-root", "own.json"]].concat()).expect(30);
    stage.airlift(&[&flags[..], &["--trusted-root", "proposed.json"]].concat()).expect(0);
    // A person compares and accepts; then the same bundle is good.
    stage.airlift(&["trust", "accept", "proposed.json", "--into", "accepted.json"]).expect(0);
    policy(&stage, "far.yaml", "accepted.json");
    verify(&stage, "far.yaml").expect(0).says(&["good: 1 artifact"]);
    // And one who swaps the accepted file for another is noticed before anything is judged.
    std::fs::copy(stage.path("own.json"), stage.path("accepted.json")).unwrap();
    verify(&stage, "far.yaml").expect(2).says(&["was accepted as number 1"]);
}

#[test]
fn a_verdict_says_what_it_cannot_know() {
    let stage = packed(&World::new(T0));
    let said = verify(&stage, "author.yaml").expect(0);
    said.says(&[
        "not known without a network:",
        "revoked after it signed",
        "whether the trusted root \"corporate\" is current: its newest key counts from 2023-11-14",
        "whether the logs still show the entries",
    ]);
    let arguments = ["verify", "b.airlift", "--bundle-key", "author.pub", "--policy", "author.yaml", "-o", "json"];
    let json = json(&stage.airlift(&arguments).expect(0));
    assert_eq!(json["notKnown"].as_array().unwrap().len(), 4);
    let silent = stage.airlift(&["verify", "b.airlift", "--bundle-key", "author.pub"]).expect(0);
    assert!(!silent.stdout.contains("not known"), "{}", silent.stdout);
}

#[test]
fn a_bundle_without_file_roots_proposes_none() {
    let stage = Stage::new();
    let image = small(1);
    let reference = stage.publish("team/app", "1", &image);
    stage.sign("team/app", image.digest());
    stage.pack(&[&reference], "b", &[]).expect(0);
    let export = ["trust", "export", "b.airlift", "--bundle-key", "author.pub", "-o", "x.json"];
    stage.airlift(&export).expect(2).says(&["carries no trusted root"]);
    stage.airlift(&["trust", "export", "--embedded", "github", "-o", "github.json"]).expect(0);
    stage.airlift(&["trust", "show", "github.json"]).expect(0).says(&["fulcio.githubapp.com"]);
}
