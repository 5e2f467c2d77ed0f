//! Artifacts that airlift makes out of files: resolved, packed, verified, imported and mirrored like any other.

use crate::stage::{Ran, Stage, small};
use airlift::document::lock::Lock;
use airlift::document::made::{FILE_TYPE, MadeForm, MadeWish};
use airlift::flow::make;
use airlift::model::port::{BlobSource, FileSource, ImageSource};
use airlift::model::{Digest, FaultKind, ImageDocument, ImageRef, Reference, limits};
use airlift::registry::{Kind, PlainHttp, Remote, Settings, Timeouts};
use airlift::testkit::files::{FileServer, Mischief};
use std::io::{Read, Write};
use std::time::Duration;

/// Arguments that accept unsigned artifacts and bundles.
const UNSIGNED: [&str; 3] = ["--allow-unsigned", "**", "--plain-http"];

fn noise(size: usize) -> Vec<u8> {
    let mut state = 0x9e37_79b9_u32;
    let next = |_| {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 24) as u8
    };
    (0..size).map(next).collect()
}

/// Returns a chart archive; its large file comes behind `Chart.yaml`, as in archives that Helm packs.
fn chart(name: &str, version: &str) -> Vec<u8> {
    let yaml = format!("apiVersion: v2\nname: {name}\nversion: {version}\nappVersion: \"1.10\"\ndescription: Prints\n");
    let mut tar = tar::Builder::new(flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast()));
    for (path, bytes) in [("Chart.yaml", yaml.into_bytes()), ("files/x.bin", noise(200_000))] {
        let mut header = tar::Header::new_ustar();
        header.set_size(bytes.len() as u64);
        header.set_mode(0o644);
        tar.append_data(&mut header, format!("{name}/{path}"), &bytes[..]).unwrap();
    }
    let mut gzip = tar.into_inner().unwrap();
    gzip.flush().unwrap();
    gzip.finish().unwrap()
}

struct World {
    stage: Stage,
    files: FileServer,
    tool: Vec<u8>,
    chart: Vec<u8>,
}

const TOOL: &str = "/tool/v1.2.3/tool.bin";
const CHART: &str = "/charts/press-2.0.1.tgz";

impl World {
    fn new() -> Self {
        let (stage, files) = (Stage::new(), FileServer::start());
        let (tool, chart) = (noise(3_000_000), chart("press", "2.0.1"));
        files.put(TOOL, &tool);
        files.put(CHART, &chart);
        let world = Self { stage, files, tool, chart };
        world.mirror(&Digest::of(&world.tool), &Digest::of(&world.chart));
        world
    }

    fn mirror(&self, tool: &Digest, chart: &Digest) {
        let text = format!(
            "apiVersion: airlift/v1alpha1\nkind: Mirror\n\
             artifacts: [{{file: \"{}\", sha256: {}}}]\ncharts: [{{file: \"{}\", sha256: {}}}]\n",
            self.files.url(TOOL),
            tool.hex(),
            self.files.url(CHART),
            chart.hex()
        );
        std::fs::write(self.stage.path("mirror.yaml"), text).unwrap();
    }

    fn resolve(&self) -> Ran {
        self.stage.airlift(&["resolve", "-f", "mirror.yaml", "--plain-http", "--retries", "2"])
    }

    fn lock(&self) -> Lock {
        Lock::read(&std::fs::read(self.stage.path("airlift.lock")).unwrap(), "airlift.lock").unwrap()
    }

    fn pack(&self, out: &str) -> Ran {
        let arguments = ["pack", "--lock", "airlift.lock", "-o", out, "--sign-key", "author.key", "--retries", "2"];
        self.stage.airlift(&[&arguments[..], &UNSIGNED].concat())
    }

    /// Requests for files so far.
    fn asked(&self) -> usize {
        self.files.seen().len()
    }

    fn assert_arrived(&self) {
        for artifact in &self.lock().artifacts {
            let tag = Reference::Tag(artifact.destination.tag.clone().unwrap());
            self.stage.assert_arrived(&artifact.destination.repository, &tag, &artifact.digest);
        }
    }
}

#[test]
fn a_file_and_a_chart_go_the_whole_way() {
    let world = World::new();
    world.resolve().expect(0).says(&["pinned 2 artifacts"]);
    let lock = world.lock();
    let names: Vec<String> = lock.artifacts.iter().map(|artifact| artifact.source.to_string()).collect();
    let host = world.files.host();
    assert_eq!(names, [format!("{host}/charts/press:2.0.1"), format!("{host}/tool/tool.bin:v1.2.3")]);
    assert_eq!(lock.artifacts[1].destination.repository, "tool/tool.bin");
    world.pack("b").expect(0).says(&["packed 2 artifacts"]);
    world.stage.airlift(&["verify", "b.airlift", "--bundle-key", "author.pub"]).expect(0);
    world.stage.import("b.airlift", &[]).expect(0);
    world.assert_arrived();
    let there = world.stage.there("tool/tool.bin");
    let document = world.stage.remote.manifest(&there, &Reference::Tag("v1.2.3".parse().unwrap())).unwrap();
    let parsed = ImageDocument::parse(&document.bytes, &document.descriptor.media_type).unwrap();
    assert_eq!(parsed.artifact_type().unwrap().as_str(), FILE_TYPE);
    let mut content = Vec::new();
    world.stage.remote.open(&there, parsed.children()[1], 0).unwrap().read_to_end(&mut content).unwrap();
    assert!(content == world.tool);
}

#[test]
fn a_second_resolve_reads_the_chart_for_its_images_and_a_pack_reads_each_file_once() {
    let world = World::new();
    world.resolve().expect(0);
    // Each once to be pinned, and the chart once more to be looked into.
    assert_eq!(world.asked(), 3);
    let before = std::fs::read(world.stage.path("airlift.lock")).unwrap();
    world.resolve().expect(0);
    assert_eq!(world.asked(), 4, "what is pinned stays; the chart is looked into, the file is not asked for");
    assert_eq!(std::fs::read(world.stage.path("airlift.lock")).unwrap(), before);
    world.pack("b").expect(0);
    // The chart's beginning once more, for its Chart.yaml.
    assert_eq!(world.asked(), 7);
    assert!(world.files.seen().iter().all(|seen| seen.authorization.is_none()));
}

#[test]
fn a_mirror_run_makes_them_with_no_bundle_between() {
    let world = World::new();
    let to = world.stage.enclave.host();
    let arguments = ["sync", "-f", "mirror.yaml", "--to", &to];
    world.stage.airlift(&[&arguments[..], &UNSIGNED].concat()).expect(0);
    world.resolve().expect(0);
    world.assert_arrived();
}

#[test]
fn the_same_file_is_the_same_artifact_wherever_it_is_made() {
    let (one, two) = (World::new(), World::new());
    one.resolve().expect(0);
    two.resolve().expect(0);
    let digests = |world: &World| world.lock().artifacts.into_iter().map(|a| a.digest).collect::<Vec<_>>();
    assert_eq!(digests(&one), digests(&two));
}

#[test]
fn a_file_that_is_another_one_is_refused_when_it_is_pinned_and_when_it_is_packed() {
    let world = World::new();
    world.mirror(&Digest::of(b"other"), &Digest::of(&world.chart));
    world.resolve().expect(40).says(&["expected sha256:", "received sha256:", "tool.bin"]);
    assert!(!world.stage.path("airlift.lock").exists());
    world.mirror(&Digest::of(&world.tool), &Digest::of(&world.chart));
    world.resolve().expect(0);
    world.files.misbehave(TOOL, &[Mischief::Wrong, Mischief::Wrong]);
    world.pack("b").expect(40).says(&["tool.bin"]);
    assert!(!world.stage.path("b.airlift").exists());
    world.pack("b").expect(0);
}

#[test]
fn a_chart_that_changed_behind_its_lock_is_refused() {
    let world = World::new();
    world.resolve().expect(0);
    world.files.put(CHART, &chart("press", "2.0.2"));
    let ran = world.pack("b");
    assert!(ran.code != 0);
    ran.says(&["press-2.0.1.tgz"]);
    assert!(!world.stage.path("b.airlift").exists());
}

#[test]
fn a_chart_must_be_called_as_its_own_yaml_says() {
    let world = World::new();
    let other = chart("press", "2.0.2");
    world.files.put(CHART, &other);
    world.mirror(&Digest::of(&world.tool), &Digest::of(&other));
    world.resolve().expect(40).says(&["its Chart.yaml says press 2.0.2", "press:2.0.1", "name: "]);
}

#[test]
fn a_download_that_breaks_goes_on_where_it_stood() {
    let world = World::new();
    world.files.misbehave(TOOL, &[Mischief::Cut(1_000_000), Mischief::Cut(500_000)]);
    world.resolve().expect(0);
    let from: Vec<_> = world.files.seen().iter().filter(|seen| seen.path == TOOL).map(|seen| seen.from).collect();
    assert_eq!(from, [None, Some(1_000_000), Some(1_500_000)]);
    let (digest, made) = (world.lock().artifacts[1].digest.clone(), world.lock().artifacts[1].made.clone().unwrap());
    assert_eq!((made.digest, made.size), (Digest::of(&world.tool), 3_000_000));
    assert!(digest != Digest::of(&world.tool));
}

#[test]
fn a_pack_that_was_cut_goes_on_behind_what_is_written() {
    let world = World::new();
    world.resolve().expect(0);
    let asked = world.asked();
    world.files.misbehave(TOOL, &[Mischief::Cut(2_500_000), Mischief::Status(404)]);
    world.pack("b").expect(20).says(&["tool.bin"]);
    world.pack("b").expect(0).says(&["were there from an earlier run"]);
    let seen = world.files.seen();
    let from: Vec<_> = seen[asked..].iter().filter(|seen| seen.path == TOOL).filter_map(|seen| seen.from).collect();
    assert!(from.last().is_some_and(|from| *from > 0), "{from:?}");
    world.stage.import("b.airlift", &[]).expect(0);
    world.assert_arrived();
}

#[test]
fn a_server_without_ranges_or_lengths_serves_as_well() {
    let world = World::new();
    world.files.misbehave(TOOL, &[Mischief::NoLength]);
    world.files.misbehave(CHART, &[Mischief::Redirect(world.files.url("/moved.tgz"))]);
    world.files.put("/moved.tgz", &world.chart);
    world.resolve().expect(0);
    world.files.misbehave(TOOL, &[Mischief::Cut(100_000), Mischief::NoRanges]);
    world.pack("b").expect(0);
    world.stage.airlift(&["verify", "b.airlift", "--bundle-key", "author.pub"]).expect(0);
}

#[test]
fn nothing_is_followed_out_of_bounds() {
    let world = World::new();
    for (to, words) in [
        ("http://169.254.169.254/latest", "guarded address"),
        ("ftp://x/y", "scheme"),
        ("http://u:p@h.example/x", "user name"),
    ] {
        world.files.misbehave(TOOL, &[Mischief::Redirect(to.to_owned())]);
        world.resolve().expect(20).says(&["a redirect was not followed", words]);
    }
    let text = std::fs::read_to_string(world.stage.path("mirror.yaml")).unwrap();
    let ran = world.stage.airlift(&["resolve", "-f", "mirror.yaml"]).expect(20);
    ran.says(&["plain http is spoken only where it is asked for", "--plain-http"]);
    assert!(text.contains("http://127.0.0.1"));
}

#[test]
fn credentials_for_a_registry_of_the_same_name_are_not_shown() {
    let world = World::new();
    world.stage.write_auth("auth.json", &world.files.host(), "robot", "file-canary-5512");
    let arguments = ["resolve", "-f", "mirror.yaml", "--plain-http", "--authfile", "auth.json"];
    world.stage.airlift(&arguments).expect(0);
    world.files.misbehave(TOOL, &[Mischief::Status(401)]);
    std::fs::remove_file(world.stage.path("airlift.lock")).unwrap();
    world.stage.airlift(&arguments).expect(20).says(&["HTTP 401"]);
    assert!(world.files.seen().iter().all(|seen| seen.authorization.is_none()));
    assert!(world.files.seen().iter().all(|seen| seen.path != "/v2/"), "no registry is looked for");
}

#[test]
fn the_policy_decides_about_files_as_about_everything() {
    let world = World::new();
    world.resolve().expect(0);
    let refused = ["pack", "--lock", "airlift.lock", "-o", "b", "--key", "cosign.pub", "--plain-http"];
    world.stage.airlift(&refused).expect(30).says(&["the policy refuses 2 artifacts", "tool/tool.bin"]);
    let by_name = format!("{}/charts/**", world.files.host());
    world.stage.airlift(&[&refused[..], &["--allow-unsigned", &by_name]].concat()).expect(30).says(&["1 artifact"]);
}

#[test]
fn a_repository_may_hold_files_and_artifacts_of_a_registry() {
    let stage = Stage::new();
    let files = FileServer::start();
    files.put("/x.bin", b"content");
    let image = stage.publish("team/app", "1", &small(1));
    let text = format!(
        "apiVersion: airlift/v1alpha1\nkind: Mirror\nimages: [\"{image}\"]\n\
         artifacts: [{{file: \"{}\", sha256: {}, name: \"{}/team/app:file\"}}]\n",
        files.url("/x.bin"),
        Digest::of(b"content").hex(),
        stage.upstream.host()
    );
    std::fs::write(stage.path("mirror.yaml"), text).unwrap();
    let arguments = ["pack", "-f", "mirror.yaml", "-o", "b", "--sign-key", "author.key"];
    stage.airlift(&[&arguments[..], &UNSIGNED].concat()).expect(0).says(&["packed 2 artifacts"]);
    stage.import("b.airlift", &[]).expect(0);
    assert_eq!(stage.tags_there("team/app"), ["1", "file"]);
}

#[test]
fn two_files_cannot_have_one_name() {
    let world = World::new();
    let (digest, host) = (Digest::of(&world.tool).hex(), world.files.host());
    let entry = |sha: &str| format!("{{file: \"{}\", sha256: {sha}, name: \"{host}/x:1\"}}", world.files.url(TOOL));
    let text = format!(
        "apiVersion: airlift/v1alpha1\nkind: Mirror\nartifacts: [{}, {}]\n",
        entry(&digest),
        entry(&Digest::of(b"x").hex())
    );
    std::fs::write(world.stage.path("mirror.yaml"), text).unwrap();
    world.resolve().expect(2).says(&["/x:1 is wanted twice"]);
}

fn remote() -> Remote {
    let timeouts = Timeouts { backoff: Duration::from_millis(1), ..Timeouts::default() };
    Remote::new(Settings { plain_http: PlainHttp::All, retries: 1, timeouts, ..Settings::default() }).unwrap()
}

#[test]
fn a_large_file_is_pinned_by_its_stated_size_and_refused_without_one() {
    let files = FileServer::start();
    let limit = usize::try_from(limits::FILE_PROBE_BYTES).unwrap();
    let content = vec![7; limit + 1];
    files.put("/model", &content);
    let remote = remote();
    let name: ImageRef = "h.example/model:1".parse().unwrap();
    let form = MadeForm::File { artifact_type: FILE_TYPE.into(), layer_type: "a/b".into() };
    let wish = |digest| MadeWish { form: form.clone(), url: files.url("/model").parse().unwrap(), digest };
    let digest = Digest::of(&content);
    let (made, _) = make(&name, &wish(Some(digest.clone())), &remote).unwrap();
    assert_eq!((made.size, made.digest), (limit as u64 + 1, digest.clone()));
    files.misbehave("/model", &[Mischief::NoLength]);
    assert_eq!(make(&name, &wish(Some(digest)), &remote).unwrap_err().kind, FaultKind::TooLarge);
    files.put("/model", &content[..limit]);
    files.misbehave("/model", &[Mischief::NoLength]);
    assert_eq!(make(&name, &wish(None), &remote).unwrap().0.size, limit as u64);
}

#[test]
fn a_file_is_given_from_any_place_on_and_never_more_than_was_promised() {
    let files = FileServer::start();
    let content = noise(1_000);
    files.put("/x", &content);
    let remote = remote();
    let url = files.url("/x").parse().unwrap();
    let read = |size, from| {
        let mut got = Vec::new();
        let opened = remote.file(&url, size, from)?;
        opened
            .content
            .take(5_000)
            .read_to_end(&mut got)
            .map_err(|error| airlift::model::Fault::from_io(error, "", ""))?;
        Ok::<_, airlift::model::Fault>((opened.size, got))
    };
    for from in [0, 1, 999] {
        assert_eq!(read(Some(1_000), from).unwrap(), (Some(1_000), content[usize::try_from(from).unwrap()..].to_vec()));
        assert_eq!(read(None, from).unwrap().1, content[usize::try_from(from).unwrap()..]);
    }
    files.misbehave("/x", &[Mischief::NoLength]);
    assert_eq!(read(Some(10), 0).unwrap().1.len(), 11, "one byte more shows that it is too long");
    assert_eq!(read(Some(10), 0).unwrap_err().kind, FaultKind::Damaged);
    files.misbehave("/x", &[Mischief::Cut(10), Mischief::Cut(10), Mischief::Cut(10)]);
    assert_eq!(read(None, 0).unwrap_err().kind, FaultKind::Unavailable);
    files.misbehave("/x", &[Mischief::Status(503)]);
    assert_eq!(read(None, 0).unwrap().1, content);
    assert!(remote.counters().of(Kind::FileGet) > 10);
    assert_eq!(remote.counters().of(Kind::Ping), 0);
}
