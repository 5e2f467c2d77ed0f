//! Bad input of every kind, row by row: the exit number, the words that lead to the mistake, and that nothing
//! half done is visible afterwards. What holds after every run is checked by the stage itself.

use crate::stage::{Ran, Stage, small, volumes};
use airlift::bundle::{Body, BundlePlan, BundleWriter, Class, Item, OpenBundle, Options as Cut, Papers};
use airlift::model::{Digest, MediaType, Reference};
use airlift::serve::{Answer, Auth, EmbeddedRegistry, Faults, Options, Rule, Running};
use airlift::testkit::harbor::{HarborDouble, HarborOptions};
use airlift::testkit::image::{Sample, SampleImage};
use airlift::trust::{BUNDLE_STATEMENT, seal};
use std::io::Cursor;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

/// Judges one row, named in the output of a failing test.
#[track_caller]
fn judge(row: &str, ran: Ran, code: i32, parts: &[&str]) {
    eprintln!("{row}: exit {}\n{}{}", ran.code, ran.stdout, ran.stderr);
    ran.expect(code).says(parts);
}

/// Checks that no volume, not even a partial first one, has the name of a finished bundle, and no tag is visible.
#[track_caller]
fn nothing_visible(stage: &Stage, out: &str) {
    assert!(volumes(stage.folder.path(), out).is_empty(), "a volume has its final name");
    for path in ["team/app", "team/other"] {
        assert_eq!(stage.tags_there(path), Vec::<String>::new());
    }
}

fn tag(text: &str) -> Reference {
    Reference::Tag(text.parse().unwrap())
}

/// An address at which nobody answers.
fn nobody() -> String {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap().to_string()
}

// ---- papers that a person or a machine wrote ----

const MIRROR: &str = "apiVersion: airlift/v1alpha1\nkind: Mirror\n";
const POLICY: &str = "apiVersion: airlift/v1alpha1\nkind: Policy\n";

#[test]
fn a_mirror_file_with_a_mistake_is_named_with_its_place() {
    let stage = Stage::new();
    let rows: &[(&str, String, &[&str])] = &[
        ("a list that does not end", format!("{MIRROR}images: [\n"), &["m.yaml:"]),
        ("a wrong indentation", format!("{MIRROR}images:\n  - a.example/x:1\n - b\n"), &["m.yaml:5:"]),
        ("a tab", format!("{MIRROR}images:\n\t- a.example/x:1\n"), &["m.yaml:4:", "tab"]),
        ("a field that is unknown", format!("{MIRROR}imagse: []\n"), &["m.yaml:3:1", "imagse", "images"]),
        ("a field twice", format!("{MIRROR}images: []\nimages: []\n"), &["m.yaml:", "images", "line 4"]),
        ("another kind", MIRROR.replace("Mirror", "Policy"), &["m.yaml", "\"Policy\"", "\"Mirror\""]),
        ("a later version", MIRROR.replace("v1alpha1", "v7"), &["m.yaml", "airlift/v7", "airlift/v1alpha1"]),
        ("no kind", "apiVersion: airlift/v1alpha1\n".to_owned(), &["m.yaml", "\"Mirror\""]),
        ("nothing", String::new(), &["m.yaml"]),
        ("a text where a list belongs", format!("{MIRROR}images: all\n"), &["m.yaml:3:"]),
        ("a reference in capitals", format!("{MIRROR}images:\n  - a.example/Bad:1\n"), &["m.yaml:4:", "lower case"]),
        ("a short digest", format!("{MIRROR}images: [\"a.example/x@sha256:12\"]\n"), &["m.yaml:3:", "sha256"]),
        (
            "an unknown platform",
            format!("{MIRROR}images: [{{ref: a.example/x:1, platforms: {{only: amd64}}}}]\n"),
            &["m.yaml:3:"],
        ),
        ("aliases that multiply", bomb(), &["m.yaml"]),
        ("a folder that is not there", format!("{MIRROR}manifests: [absent/]\n"), &["m.yaml"]),
    ];
    for (row, text, parts) in rows {
        std::fs::write(stage.path("m.yaml"), text).unwrap();
        judge(row, stage.airlift(&["resolve", "-f", "m.yaml", "--lock", "m.lock", "--plain-http"]), 2, parts);
        assert!(!stage.path("m.lock").exists(), "{row}: a lock is there");
    }
    std::fs::write(stage.path("m.yaml"), b"\xff\xfe\x00").unwrap();
    judge("no UTF-8", stage.airlift(&["resolve", "-f", "m.yaml", "--plain-http"]), 2, &["m.yaml"]);
    std::fs::create_dir(stage.path("folder.yaml")).unwrap();
    judge("a folder", stage.airlift(&["resolve", "-f", "folder.yaml", "--plain-http"]), 2, &["folder.yaml"]);
}

/// A document of few bytes that stands for very many.
fn bomb() -> String {
    let mut text = format!("{MIRROR}x0: &x0 [a]\n");
    for n in 1..30 {
        text.push_str(&format!("x{n}: &x{n} [*x{0}, *x{0}, *x{0}, *x{0}]\n", n - 1));
    }
    text
}

#[test]
fn a_policy_with_a_mistake_is_named_with_its_place() {
    let stage = Stage::new();
    let reference = stage.publish("team/app", "1", &small(1));
    let keys = "keys: {k: {file: absent.pub}}\n";
    let rule = "rules:\n  - match: [\"**\"]\n    signed: {keys: [k]}\n";
    let rows: &[(&str, String, &[&str])] = &[
        ("a map that does not end", format!("{POLICY}rules: {{\n"), &["p.yaml:"]),
        ("a field that is unknown", format!("{POLICY}ruels: []\n"), &["p.yaml:", "ruels"]),
        ("another kind", MIRROR.to_owned(), &["p.yaml", "Mirror", "Policy"]),
        ("a later version", POLICY.replace("v1alpha1", "v2"), &["p.yaml", "airlift/v2"]),
        ("a mode that is none", format!("{POLICY}mode: warn\nrules: []\n"), &["p.yaml:3:"]),
        ("a key file that is not there", format!("{POLICY}{keys}{rule}"), &["p.yaml:", ""]),
    ];
    for (row, text, parts) in rows {
        std::fs::write(stage.path("p.yaml"), text).unwrap();
        let arguments = ["pack", &reference, "-o", "out", "--policy", "p.yaml", "--plain-http"];
        judge(row, stage.airlift(&arguments), 2, parts);
        nothing_visible(&stage, "out");
    }
}

#[test]
fn a_lock_with_a_mistake_is_named_with_its_place() {
    let stage = Stage::new();
    let reference = stage.publish("team/app", "1", &small(1));
    std::fs::write(stage.path("m.yaml"), format!("{MIRROR}images: [{reference:?}]\n")).unwrap();
    stage.airlift(&["resolve", "-f", "m.yaml", "--lock", "good.lock", "--plain-http"]).expect(0);
    let good = std::fs::read_to_string(stage.path("good.lock")).unwrap();
    let rows: &[(&str, String, &[&str])] = &[
        ("its end is missing", good[..good.len() / 2].to_owned(), &["x.lock:"]),
        ("nothing", String::new(), &["x.lock:"]),
        ("a later version", good.replace("airlift/v1alpha1", "airlift/v2"), &["x.lock", "\"airlift/v2\"", "v1alpha1"]),
        ("another kind", good.replace("\"Lock\"", "\"Receipt\""), &["x.lock", "Receipt", "Lock"]),
        ("a key twice", good.replacen('{', "{\"kind\":\"Lock\",", 1), &["x.lock:3:", "kind"]),
        ("a digest that is none", good.replace("sha256:", "sha256:0"), &["x.lock:"]),
        ("a size that is none", good.replace("\"size\": ", "\"size\": -"), &["x.lock:"]),
        ("no artifacts", good.replace("artifacts", "artefacts"), &["x.lock:", "artifacts"]),
    ];
    for (row, text, parts) in rows {
        std::fs::write(stage.path("x.lock"), text).unwrap();
        let arguments = ["pack", "--lock", "x.lock", "-o", "out", "--allow-unsigned", "**", "--plain-http"];
        judge(row, stage.airlift(&arguments), 2, parts);
        nothing_visible(&stage, "out");
        let before = std::fs::read(stage.path("x.lock")).unwrap();
        judge(row, stage.airlift(&["resolve", "-f", "m.yaml", "--lock", "x.lock", "--plain-http"]), 2, parts);
        assert_eq!(
            std::fs::read(stage.path("x.lock")).unwrap(),
            before,
            "a lock that is not understood is not replaced"
        );
    }
}

#[test]
fn keys_certificates_and_auth_files_with_a_mistake_are_named() {
    let stage = Stage::new();
    let reference = stage.publish("team/app", "1", &small(1));
    std::fs::write(stage.path("garbage"), "-----BEGIN NOTHING-----\nxyz\n").unwrap();
    std::fs::write(stage.path("auth-bad.json"), "{\n\"auths\": [}").unwrap();
    std::fs::write(stage.path("auth-pair.json"), r#"{"auths":{"h.example":{"auth":"!!"}}}"#).unwrap();
    let rows: &[(&str, &[&str], &[&str])] = &[
        ("no key", &["--key", "garbage"], &["garbage"]),
        ("no signing key", &["--sign-key", "garbage", "--key", "cosign.pub"], &["garbage"]),
        ("a public key to sign with", &["--sign-key", "author.pub", "--key", "cosign.pub"], &["author.pub"]),
        ("no auth file", &["--authfile", "auth-bad.json", "--key", "cosign.pub"], &["auth-bad.json"]),
        ("no pair", &["--authfile", "auth-pair.json", "--key", "cosign.pub"], &["auth-pair.json", "h.example"]),
        ("no auth file at all", &["--authfile", "absent.json", "--key", "cosign.pub"], &["absent.json"]),
        ("no certificate", &["--ca-file", "garbage", "--key", "cosign.pub"], &["certificate"]),
        ("no reference", &["not a reference", "--key", "cosign.pub"], &["not a reference"]),
        ("no digest", &["h.example/x@sha256:xyz", "--key", "cosign.pub"], &["h.example/x@sha256:xyz"]),
        ("no platform", &["--platform", "amd64", "--key", "cosign.pub"], &["amd64", "linux/amd64"]),
    ];
    for (row, more, parts) in rows {
        let mut arguments = vec!["pack", &reference, "-o", "out", "--plain-http"];
        arguments.extend(*more);
        judge(row, stage.airlift(&arguments), 2, parts);
        nothing_visible(&stage, "out");
    }
}

// ---- sources ----

struct Source {
    stage: Stage,
    image: Sample,
    reference: String,
}

impl Source {
    fn of(image: Sample) -> Self {
        let stage = Stage::new();
        let reference = stage.publish("team/app", "1", &image);
        Self { stage, image, reference }
    }

    fn path(&self, kind: &str, digest: &Digest) -> String {
        format!("/v2/team/app/{kind}/{digest}")
    }

    fn fault(&self, rule: Rule) {
        self.stage.upstream.set_faults(&Faults::none().with(rule));
    }

    fn pack(&self, reference: &str, row: &str, code: i32, parts: &[&str]) {
        let more = ["--allow-unsigned", "**", "--retries", "0"];
        judge(row, self.stage.pack(&[reference], "out", &more), code, parts);
        nothing_visible(&self.stage, "out");
    }
}

#[test]
fn a_source_that_lacks_or_refuses_something_is_named() {
    let source = Source::of(Sample::index(&[small(1), small(2)]));
    let host = source.stage.upstream.host();
    let gone = format!("{host}/team/app:9");
    source.pack(&gone, "a tag that is gone", 20, &[&gone, "not there"]);
    let absent = format!("{host}/team/absent:1");
    source.pack(&absent, "a repository that is not there", 20, &[&absent]);
    let other = format!("{host}/team/app@{}", Digest::of(b"other"));
    source.pack(&other, "a digest that is not there", 20, &[&other]);
    let down = format!("{}/team/app:1", nobody());
    source.pack(&down, "a source that is down", 20, &[&down]);
    let unknown = "no-such-host.invalid/team/app:1";
    source.pack(unknown, "a host that is not known", 20, &[unknown]);
    for (status, code) in [(401, 20), (403, 20), (429, 20), (500, 20), (503, 20)] {
        source.fault(Rule::on("*", "/v2/*").answer(Answer::new(status).body("the word of the server")));
        source.pack(&source.reference, "a status", code, &[&source.reference, &status.to_string()]);
    }
    source.fault(Rule::on("*", "/v2/*").drop_connection());
    source.pack(&source.reference, "a line that is cut", 20, &[&source.reference]);
    let child = &source.image.documents()[0].descriptor.digest;
    source.fault(Rule::on("GET", &source.path("manifests", child)).answer(Answer::new(404)));
    source.pack(&source.reference, "a child that is gone", 20, &[&child.to_string()]);
    let layer = &source.image.blobs()[1].descriptor.digest;
    source.fault(Rule::on("GET", &source.path("blobs", layer)).answer(Answer::new(404)));
    source.pack(&source.reference, "a layer that is gone", 20, &[&layer.to_string()]);
    source.fault(Rule::on("GET", &source.path("blobs", layer)).cut(1000));
    source.pack(&source.reference, "a layer that always breaks off", 20, &[&layer.to_string()]);
}

#[test]
fn a_source_that_gives_other_bytes_than_promised_is_refused() {
    let source = Source::of(small(1));
    let pinned = format!("{}@{}", source.reference, source.image.digest());
    let manifest = source.path("manifests", source.image.digest());
    let blobs = source.image.blobs();
    let (config, layer) = (&blobs[0].descriptor.digest, &blobs[1].descriptor.digest);
    let root = source.image.digest().to_string();
    source.fault(Rule::on("GET", &manifest).flip(60));
    source.pack(&pinned, "a manifest that was changed", 40, &[&root, "the answer is"]);
    source.fault(Rule::on("GET", &source.path("blobs", config)).flip(5));
    source.pack(&pinned, "a configuration that was changed", 40, &[&config.to_string()]);
    for (row, rule) in [
        ("a layer that was changed", Rule::on("GET", &source.path("blobs", layer)).flip(1000)),
        ("a layer that is shorter", Rule::on("GET", &source.path("blobs", layer)).shorten(1)),
        ("a layer that is longer", Rule::on("GET", &source.path("blobs", layer)).lengthen(1)),
    ] {
        source.fault(rule);
        source.pack(&pinned, row, 40, &[&layer.to_string()]);
    }
    source.fault(Rule::on("GET", "/v2/team/app/manifests/*").set_header("Content-Type", MediaType::OCI_INDEX));
    source.pack(&source.reference, "a type that contradicts the content", 40, &["team/app", "index"]);
    source.fault(Rule::on("*", "/v2/team/app/manifests/*").answer(Answer::new(200).html("Please sign in")));
    source.pack(&source.reference, "a page of a portal", 40, &["team/app", "text/html"]);
    let page = |media_type: &str, body: &str| {
        Rule::on("*", "/v2/team/app/manifests/*").answer(Answer::new(200).header("Content-Type", media_type).body(body))
    };
    let large = format!("{{\"x\":\"{}\"}}", "x".repeat(8 << 20));
    source.fault(page(MediaType::OCI_MANIFEST, &large));
    source.pack(&source.reference, "a manifest above the cap", 40, &["team/app", "more than 8388608 bytes"]);
    let old = r#"{"schemaVersion":1,"name":"x","tag":"1","fsLayers":[]}"#;
    source.fault(page(MediaType::DOCKER_SCHEMA1_SIGNED, old));
    source.pack(&source.reference, "an image of the old form", 40, &["team/app", "schema"]);
}

#[test]
fn documents_that_cannot_be_are_refused_by_name() {
    let deep = (0..5).fold(small(1), |below, _| Sample::index(&[below]));
    let source = Source::of(deep);
    source.pack(&source.reference, "indexes within indexes", 40, &["more than 4 deep"]);
    let child = |size: u64| {
        let digest = Digest::of(b"x");
        serde_json::json!({ "mediaType": MediaType::OCI_MANIFEST, "digest": digest, "size": size })
    };
    let index = |manifests: Vec<serde_json::Value>| {
        serde_json::json!({ "schemaVersion": 2, "mediaType": MediaType::OCI_INDEX, "manifests": manifests }).to_string()
    };
    let both = r#"{"schemaVersion":2,"manifests":[],"layers":[],"config":{}}"#.to_owned();
    let rows: [(&str, String, &str); 6] = [
        ("one child with two sizes", index(vec![child(1), child(2)]), "two sizes"),
        ("too many children", index((0..1001).map(|_| child(1)).collect()), "1001"),
        ("an index that is an image too", both, "layers"),
        ("a size that is no number", index(vec![child(1)]).replace(":1}", ":\"1\"}"), "team/app"),
        ("a key twice", index(vec![]).replacen('{', "{\"manifests\":[],", 1), "manifests"),
        ("half of it", index(vec![child(1)])[..50].to_owned(), "team/app"),
    ];
    for (row, body, part) in rows {
        let answer = Answer::new(200).header("Content-Type", MediaType::OCI_INDEX).body(&body);
        source.fault(Rule::on("*", "/v2/team/app/manifests/*").answer(answer));
        source.pack(&source.reference, row, 40, &["team/app", part]);
    }
}

// ---- the place where a bundle is written ----

/// A small file system of its own, where this may be mounted.
pub struct SmallDisk(PathBuf);

impl SmallDisk {
    pub fn mount(folder: PathBuf, options: &str) -> Option<Self> {
        std::fs::create_dir_all(&folder).unwrap();
        let mount = Command::new("mount").args(["-t", "tmpfs", "-o", options, "tmpfs"]).arg(&folder).output();
        let mounted = mount.is_ok_and(|ran| ran.status.success());
        if !mounted {
            eprintln!("SKIPPED: a small disk cannot be mounted here");
        }
        mounted.then_some(Self(folder))
    }

    pub fn remount(&self, options: &str) {
        let how = format!("remount,{options}");
        assert!(Command::new("mount").args(["-o", &how]).arg(&self.0).status().unwrap().success());
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        drop(Command::new("umount").arg("-l").arg(&self.0).status());
    }
}

#[test]
fn a_place_that_cannot_be_written_is_named_before_payload_is_fetched() {
    let source = Source::of(small(1));
    let stage = &source.stage;
    std::fs::write(stage.path("file"), "x").unwrap();
    let layers = |stage: &Stage| stage.upstream.counters().bytes_out;
    let before = layers(stage);
    let pack = |out: &str| stage.pack(&[&source.reference], out, &["--allow-unsigned", "**"]);
    for (row, out) in [("a file as a folder", "file/out"), ("not for files", "/proc/out")] {
        judge(row, pack(out), 2, &[out.split_once("/out").unwrap().0]);
    }
    if let Some(disk) = SmallDisk::mount(stage.path("disk"), "size=1m") {
        disk.remount("ro");
        judge("a disk that is read only", pack("disk/out"), 2, &["disk"]);
    }
    assert!(layers(stage) - before < 4 * 300_000, "payload was fetched");
}

#[test]
fn a_full_disk_is_told_with_numbers_and_the_run_goes_on_when_there_is_room() {
    let source = Source::of(SampleImage::new(1).layer(6 << 20).build());
    let stage = &source.stage;
    let pack = |out: &str| stage.pack(&[&source.reference], out, &["--allow-unsigned", "**"]);
    if let Some(disk) = SmallDisk::mount(stage.path("disk"), "size=4m") {
        judge("too small from the start", pack("disk/out"), 10, &["disk", "no room", "are needed", "are available"]);
        assert!(!stage.path("disk/out.airlift").exists());
        disk.remount("size=64m");
        judge("room was made", pack("disk/out"), 0, &[]);
        stage.airlift(&["verify", "disk/out.airlift", "--bundle-key", "author.pub"]).expect(0);
        let import =
            |to: &str| stage.airlift(&["import", "disk/out.airlift", "--to", to, "--bundle-key", "author.pub"]);
        let other = SmallDisk::mount(stage.path("other"), "size=4m").unwrap();
        let ran = import("oci:other/layout");
        judge("a layout on a full disk", ran, 50, &["other/layout"]);
        other.remount("size=64m");
        judge("room was made for the layout", import("oci:other/layout"), 0, &["complete"]);
    }
    // A limit of the file's size acts in the middle of a run: what a disk does that others fill meanwhile.
    let program = env!("CARGO_BIN_EXE_airlift");
    let script = format!(
        "trap '' XFSZ; ulimit -f 4096; exec {program} pack {} -o cut --allow-unsigned '**' --plain-http --sign-key author.key",
        source.reference
    );
    let mut limited = Command::new("sh");
    limited.args(["-c", &script]).current_dir(stage.folder.path());
    let ran = stage.run(limited);
    judge("a limit on the size of files", ran, 10, &["takes no more"]);
    nothing_visible(stage, "cut");
    judge("without the limit", pack("cut"), 0, &[]);
}

#[test]
fn a_receipt_that_cannot_be_written_is_told_before_anything_is_sent() {
    let source = Source::of(small(1));
    let stage = &source.stage;
    stage.pack(&[&source.reference], "b", &["--allow-unsigned", "**"]).expect(0);
    judge("no folder", stage.import("b.airlift", &["--receipt", "absent/r.json"]), 2, &["absent/r.json"]);
    assert_eq!(stage.enclave.counters().requests, 0);
    let to = stage.enclave.host();
    let sync = [
        "sync",
        &source.reference,
        "--to",
        &to,
        "--allow-unsigned",
        "**",
        "--plain-http",
        "--receipt",
        "absent/r.json",
    ];
    judge("no folder", stage.airlift(&sync), 2, &["absent/r.json"]);
    assert!(stage.tags_there("team/app").is_empty());
}

// ---- media ----

/// A signed bundle in three volumes, and another bundle.
struct Media {
    stage: Stage,
    image: Sample,
}

impl Media {
    fn new() -> Self {
        let stage = Stage::new();
        let image = SampleImage::new(5).layer(40 << 20).build();
        let big = stage.publish("team/app", "1", &image);
        let other = stage.publish("team/other", "1", &SampleImage::new(6).layer(18 << 20).build());
        for (name, reference) in [("b", &big), ("c", &other)] {
            let more = ["--allow-unsigned", "**", "--volume-size", "20MiB"];
            stage.pack(&[reference], name, &more).expect(0);
        }
        Self { stage, image }
    }

    /// Copies the bundle into a folder, spoils it there, and offers the folder to `verify` and `import`.
    fn row(&self, row: &str, spoil: impl FnOnce(&Path), parts: &[&str]) {
        let name = row.replace(' ', "-");
        let folder = self.stage.path(&name);
        std::fs::create_dir(&folder).unwrap();
        for number in 1..=3 {
            let volume = format!("b.{number:03}.airlift");
            std::fs::copy(self.stage.path(&volume), folder.join(&volume)).unwrap();
        }
        spoil(&folder);
        let verify = self.stage.airlift(&["verify", &name, "--bundle-key", "author.pub"]);
        judge(row, verify, 40, parts);
        judge(row, self.stage.import(&name, &[]), 40, parts);
        // Damage behind the last blob is found when everything before it was verified and is there, whole.
        if self.stage.tags_there("team/app").contains(&"1".to_owned()) {
            assert!(row.ends_with("behind the end"), "{row}: the tag is visible");
            self.stage.assert_arrived("team/app", &tag("1"), self.image.digest());
        }
        std::fs::remove_dir_all(folder).unwrap();
    }
}

fn change(folder: &Path, name: &str, change: impl FnOnce(&mut Vec<u8>)) {
    let mut bytes = std::fs::read(folder.join(name)).unwrap();
    change(&mut bytes);
    std::fs::write(folder.join(name), bytes).unwrap();
}

/// Makes a volume look as if a later program had written it: its header says so and is intact.
fn of_a_later_version(bytes: &mut [u8]) {
    const VERSION: usize = 25;
    const SEALED: usize = 225;
    bytes[VERSION] = 2;
    let digest = Digest::of(&bytes[..SEALED]);
    bytes[SEALED..SEALED + 32].copy_from_slice(digest.value());
}

#[test]
fn every_damage_to_a_medium_is_named_with_its_volume() {
    let media = Media::new();
    let original = |name: &str| std::fs::read(media.stage.path(name)).unwrap();
    media.row("a bit that flipped", |f| change(f, "b.002.airlift", |b| b[9 << 20] ^= 4), &["b.002.airlift", "bytes"]);
    media.row("a head that flipped", |f| change(f, "b.001.airlift", |b| b[700] ^= 4), &["b.001.airlift"]);
    media.row(
        "an end that is missing",
        |f| change(f, "b.002.airlift", |b| b.truncate(b.len() - 1)),
        &["b.002.airlift"],
    );
    media.row("half a volume", |f| change(f, "b.003.airlift", |b| b.truncate(b.len() / 2)), &["b.003.airlift"]);
    media.row("an empty volume", |f| change(f, "b.002.airlift", Vec::clear), &["b.002.airlift", "no volume"]);
    media.row("zeros", |f| change(f, "b.002.airlift", |b| b[1 << 20..2 << 20].fill(0)), &["b.002.airlift", "bytes"]);
    media.row(
        "a volume that is missing",
        |f| std::fs::remove_file(f.join("b.002.airlift")).unwrap(),
        &["volume 2", "missing"],
    );
    media.row("the last one missing", |f| std::fs::remove_file(f.join("b.003.airlift")).unwrap(), &["missing"]);
    media.row(
        "the first one missing",
        |f| std::fs::remove_file(f.join("b.001.airlift")).unwrap(),
        &["volume 1", "missing"],
    );
    let foreign = original("c.001.airlift");
    media.row(
        "a foreign volume",
        |f| std::fs::write(f.join("b.002.airlift"), foreign).unwrap(),
        &["b.002.airlift", "foreign"],
    );
    let twice = original("b.002.airlift");
    media.row(
        "a volume twice",
        |f| std::fs::write(f.join("b.copy.airlift"), twice).unwrap(),
        &["volume 2", "twice", "b.copy.airlift"],
    );
    media.row(
        "a later version",
        |f| change(f, "b.001.airlift", |b| of_a_later_version(b)),
        &["b.001.airlift", "format 2.0"],
    );
    let stranger = |f: &Path| std::fs::write(f.join("b.002.airlift"), "no volume at all").unwrap();
    media.row("another file", stranger, &["b.002.airlift"]);

    media.row("bytes behind the end", |f| change(f, "b.003.airlift", |b| b.push(0)), &["b.003.airlift"]);

    // Swapped names do no harm: a volume says itself which one it is.
    let folder = media.stage.path("swapped");
    std::fs::create_dir(&folder).unwrap();
    for (from, to) in
        [("b.001.airlift", "b.001.airlift"), ("b.002.airlift", "b.003.airlift"), ("b.003.airlift", "b.002.airlift")]
    {
        std::fs::copy(media.stage.path(from), folder.join(to)).unwrap();
    }
    media.stage.airlift(&["verify", "swapped", "--bundle-key", "author.pub"]).expect(0);
    media.stage.import("swapped", &[]).expect(0);
    media.stage.assert_arrived("team/app", &tag("1"), media.image.digest());
}

#[test]
fn what_is_no_bundle_is_said_to_be_none() {
    let stage = Stage::new();
    std::fs::create_dir(stage.path("empty")).unwrap();
    std::fs::write(stage.path("text.airlift"), "hello").unwrap();
    std::fs::write(stage.path("zero.airlift"), "").unwrap();
    for (row, bundle, code) in [
        ("no file", "absent.airlift", 2),
        ("an empty folder", "empty", 2),
        ("a text", "text.airlift", 40),
        ("nothing", "zero.airlift", 40),
    ] {
        judge(row, stage.airlift(&["verify", bundle, "--bundle-key", "author.pub"]), code, &[bundle]);
        judge(row, stage.import(bundle, &[]), code, &[bundle]);
    }
    assert_eq!(stage.enclave.counters().manifest_put, 0);
}

// ---- papers inside a bundle that contradict its content ----

/// Makes a bundle of `image` with papers of our own making, signed by the author.
fn forge(stage: &Stage, name: &str, image: &Sample, papers: Papers) {
    let documents = image.documents().iter().map(|document| Item {
        descriptor: document.descriptor.clone(),
        class: Class::Manifest,
        body: Body::Document(document.bytes.clone()),
    });
    let blobs = image.blobs().into_iter().enumerate().map(|(at, blob)| Item {
        descriptor: blob.descriptor.clone(),
        class: if at == 0 { Class::Config } else { Class::Payload },
        body: if at == 0 { Body::Document(blob.bytes.clone()) } else { Body::Payload },
    });
    let plan = BundlePlan::new(papers, documents.chain(blobs).collect(), Cut::default()).unwrap();
    let envelope = seal(BUNDLE_STATEMENT, plan.statement(), &stage.key).unwrap();
    let (writer, _) = BundleWriter::open(plan, &stage.path(name)).unwrap();
    for pending in writer.pending() {
        let blob = image.blobs().into_iter().find(|b| b.descriptor.digest == pending.descriptor.digest).unwrap();
        writer.fill(&pending, &mut Cursor::new(&blob.bytes), &|_| {}).unwrap();
    }
    writer.finish(Some(&envelope)).unwrap();
}

type Forgery = (&'static str, Papers, i32, Vec<String>);

fn edit(bytes: &[u8], from: &str, to: &str) -> Vec<u8> {
    let text = String::from_utf8(bytes.to_vec()).unwrap();
    assert!(text.contains(from), "{from} is not in {text}");
    text.replace(from, to).into_bytes()
}

/// Papers that contradict the bundle of `image` in one way each, with the words that say so.
fn forgeries(papers: &Papers, image: &Sample) -> Vec<Forgery> {
    let (root, other) = (image.digest().to_string(), Digest::of(b"other").to_string());
    let lock = |from: &str, to: &str| Papers { lock: edit(&papers.lock, from, to), ..papers.clone() };
    let evidence = |from: &str, to: &str| Papers { evidence: edit(&papers.evidence, from, to), ..papers.clone() };
    let says = |parts: &[&str]| parts.iter().map(ToString::to_string).collect::<Vec<_>>();
    let later = ("airlift/v1alpha1", "airlift/v2");
    let size = format!("\"size\": {}", image.root().bytes.len());
    let attached = format!(
        "\"attached\":[{{\"digest\":\"{other}\",\"mediaType\":\"{}\",\"size\":3,\"subject\":\"{root}\"}}],\"rule\"",
        MediaType::OCI_MANIFEST
    );
    let elsewhere = Papers { evidence: edit(&papers.evidence, &root, &other), ..lock(&root, &other) };
    let nothing = b"{\"apiVersion\":\"airlift/v1alpha1\",\"artifacts\":[],\"kind\":\"BundleEvidence\"}\n";
    let nothing = Papers { evidence: nothing.to_vec(), ..papers.clone() };
    let docker = lock(MediaType::OCI_MANIFEST, MediaType::DOCKER_MANIFEST);
    let (lock_file, evidence_file) = ("airlift/lock.json", "airlift/evidence.json");
    vec![
        ("the papers as they were", papers.clone(), 0, says(&[])),
        ("a lock of a later version", lock(later.0, later.1), 40, says(&[lock_file, later.1])),
        ("a lock that does not parse", lock("}", ""), 40, says(&[lock_file])),
        ("a lock of what is not there", elsewhere, 40, says(&[&other, "not in the bundle"])),
        ("a lock with another size", lock(&size, "\"size\": 7"), 40, says(&[&root, "7"])),
        ("a lock with another type", docker, 40, says(&[&root])),
        ("evidence of a later version", evidence(later.0, later.1), 40, says(&[evidence_file, later.1])),
        ("evidence that names what is not there", evidence("\"rule\"", &attached), 40, says(&[&other])),
        ("evidence about something else", evidence(&root, &other), 40, says(&[evidence_file, &other])),
        ("evidence for nothing", nothing, 40, says(&[evidence_file, "0 entries for 1"])),
    ]
}

#[test]
fn a_bundle_whose_papers_contradict_its_content_is_refused_although_it_is_signed() {
    let source = Source::of(small(1));
    let stage = &source.stage;
    stage.pack(&[&source.reference], "good", &["--allow-unsigned", "**"]).expect(0);
    let papers = OpenBundle::open(&[stage.path("good.airlift")]).unwrap().papers().clone();
    for (at, (row, papers, code, parts)) in forgeries(&papers, &source.image).into_iter().enumerate() {
        let parts: Vec<&str> = parts.iter().map(String::as_str).collect();
        let name = format!("forged{at}");
        forge(stage, &name, &source.image, papers);
        let bundle = format!("{name}.airlift");
        judge(row, stage.airlift(&["verify", &bundle, "--bundle-key", "cosign.pub"]), code, &parts);
        let to = format!("{}/m{at}", stage.enclave.host());
        let import = ["import", &bundle, "--to", &to, "--bundle-key", "cosign.pub", "--plain-http"];
        judge(row, stage.airlift(&import), code, &parts);
        if code != 0 {
            assert!(stage.tags_there(&format!("m{at}/team/app")).is_empty(), "{row}");
        }
    }
}

// ---- destinations ----

#[test]
fn a_destination_that_cannot_be_used_is_named_and_shows_nothing() {
    let source = Source::of(small(1));
    let stage = &source.stage;
    stage.pack(&[&source.reference], "b", &["--allow-unsigned", "**"]).expect(0);
    let to = |to: &str, more: &[&str], row: &str, code: i32, parts: &[&str]| {
        let mut arguments = vec!["import", "b.airlift", "--to", to, "--bundle-key", "author.pub", "--plain-http"];
        arguments.extend(["--retries", "0"]);
        arguments.extend(more);
        judge(row, stage.airlift(&arguments), code, parts);
    };
    let down = nobody();
    to(&down, &[], "a destination that is down", 50, &[&down]);
    to("no-such-host.invalid", &[], "a host that is not known", 50, &["no-such-host.invalid"]);
    to("Host/UPPER", &[], "no destination", 2, &["UPPER"]);
    std::fs::write(stage.path("file"), "x").unwrap();
    to("oci:file", &[], "a file as a layout", 50, &["file"]);
    std::fs::create_dir(stage.path("strange")).unwrap();
    std::fs::write(stage.path("strange/oci-layout"), "{\"imageLayoutVersion\":\"9.0.0\"}").unwrap();
    to("oci:strange", &[], "a layout of a later version", 50, &["strange", "9.0.0"]);
    let closed = closed(&stage.path("closed"));
    stage.write_auth("auth.json", &closed.host(), "robot", "wrong-word-77");
    to(&closed.host(), &["--authfile", "auth.json"], "a wrong password", 50, &[&closed.host(), "401"]);
    to(&closed.host(), &[], "no password", 50, &[&closed.host(), "401"]);
    assert_eq!(closed.counters().manifest_put, 0);
    let harbor = HarborDouble::start(HarborOptions::default());
    stage.write_auth("auth.json", &harbor.host(), harbor.user(), harbor.password());
    let place = format!("{}/absent", harbor.host());
    to(
        &place,
        &["--authfile", "auth.json"],
        "a project that is not there",
        50,
        &["project absent", "--create-projects"],
    );
    assert_eq!(harbor.counters().upload_post, 0);
    let enclave = stage.enclave.host();
    for (row, rule) in [
        ("a door that is shut", Rule::on("*", "*").answer(Answer::new(403).html("Forbidden by the firewall"))),
        ("uploads that are refused", Rule::on("POST", "/v2/*").answer(Answer::new(405))),
        ("a destination that goes away", Rule::on("PUT", "/v2/*/blobs/*").from(2).drop_connection()),
        ("documents that are refused", Rule::on("PUT", "/v2/*/manifests/*").answer(Answer::new(400).body("no"))),
        ("a destination without room", Rule::on("PUT", "/v2/*/blobs/*").answer(Answer::new(507).body("no space left"))),
        ("a limit of a proxy", Rule::on("PUT", "/v2/*/blobs/*").answer(Answer::new(413).html("Too Large"))),
    ] {
        stage.enclave.set_faults(&Faults::none().with(rule));
        let prefix = format!("{enclave}/{}", row.replace(' ', "-"));
        to(&prefix, &[], row, 50, &[&enclave]);
        stage.enclave.set_faults(&Faults::none());
        assert_eq!(stage.tags_there(&format!("{}/team/app", row.replace(' ', "-"))), Vec::<String>::new(), "{row}");
    }
    to(&enclave, &[], "all is well", 0, &["complete"]);
}

fn closed(root: &Path) -> Running {
    let auth = Auth::Bearer { user: "robot".into(), password: "right".into(), expires_in: Duration::from_secs(60) };
    EmbeddedRegistry::start(Options { auth, ..Options::new(root) }).unwrap()
}

#[test]
fn a_moved_tag_stays_what_it_was_while_an_import_fails() {
    let source = Source::of(small(1));
    let stage = &source.stage;
    stage.pack(&[&source.reference], "b", &["--allow-unsigned", "**"]).expect(0);
    stage.import("b.airlift", &[]).expect(0);
    let next = small(2);
    let reference = stage.publish("team/app", "1", &next);
    stage.pack(&[&reference], "c", &["--allow-unsigned", "**"]).expect(0);
    let tag = tag("1");
    stage.enclave.set_faults(&Faults::none().with(Rule::on("PUT", "/v2/*/manifests/*").answer(Answer::new(500))));
    stage.import("c.airlift", &["--retries", "0"]).expect(50);
    stage.assert_arrived("team/app", &tag, source.image.digest());
    stage.enclave.set_faults(&Faults::none());
    let ran = stage.import("c.airlift", &[]).expect(0);
    ran.says(&["moves from", &source.image.digest().to_string(), &next.digest().to_string()]);
    stage.assert_arrived("team/app", &tag, next.digest());
}
