//! `airlift seed` and `airlift unpack`: what machines load out of a bundle, and what they must never see.

use crate::stage::{Ran, Stage, files, multi, small};
use airlift::model::{Descriptor, Digest, ImageDocument, MediaType};
use airlift::testkit::image::{Sample, SampleImage};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::io::Read;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Stdio;

const REF_NAME: &str = "org.opencontainers.image.ref.name";
const IMAGE_NAME: &str = "io.containerd.image.name";

/// A bundle with an image of two platforms, a plain one and a chart, all of them signed.
struct World {
    stage: Stage,
    plain: Sample,
    many: Sample,
    chart: Sample,
}

impl World {
    fn new() -> Self {
        let world = Self::unpacked();
        let references: Vec<String> = [("team/app", "1.0"), ("team/many", "2"), ("charts/press", "3.0.0")]
            .map(|(path, tag)| format!("{}/{path}:{tag}", world.stage.upstream.host()))
            .into();
        let references: Vec<&str> = references.iter().map(String::as_str).collect();
        world.stage.pack(&references, "b", &["--volume-size", "400KiB"]).expect(0);
        world
    }

    fn unpacked() -> Self {
        let stage = Stage::new();
        let chart = SampleImage::new(9).chart("press", "3.0.0", vec![7; 900]).build();
        let (plain, many) = (small(1), multi(7));
        for (path, tag, sample) in
            [("team/app", "1.0", &plain), ("team/many", "2", &many), ("charts/press", "3.0.0", &chart)]
        {
            stage.publish(path, tag, sample);
            stage.sign(path, sample.digest());
        }
        Self { stage, plain, many, chart }
    }

    fn host(&self) -> String {
        self.stage.upstream.host()
    }

    /// Names that containerd must have, with what each stands for.
    fn names(&self) -> BTreeMap<String, String> {
        let host = self.host();
        let both = |path: &str, tag: &str, sample: &Sample| {
            let digest = sample.digest().to_string();
            [(format!("{host}/{path}:{tag}"), digest.clone()), (format!("{host}/{path}@{digest}"), digest)]
        };
        both("team/app", "1.0", &self.plain).into_iter().chain(both("team/many", "2", &self.many)).collect()
    }

    /// Content that a node of the first platform must have.
    fn content(&self) -> BTreeSet<String> {
        let ImageDocument::Index(index) = parsed(&self.many) else { panic!("an index") };
        let amd64 = self.many.documents().iter().find(|d| d.descriptor.digest == index.manifests[0].digest).unwrap();
        let manifest = ImageDocument::parse(&amd64.bytes, &amd64.descriptor.media_type).unwrap();
        let mut all: BTreeSet<String> = manifest.children().iter().map(|child| child.digest.to_string()).collect();
        all.extend([
            self.many.digest().to_string(),
            amd64.descriptor.digest.to_string(),
            self.plain.digest().to_string(),
        ]);
        all.extend(self.plain.blobs().iter().map(|blob| blob.descriptor.digest.to_string()));
        all
    }

    fn seed(&self, more: &[&str]) -> Ran {
        let mut arguments = vec!["seed", "b.*.airlift", "--bundle-key", "author.pub", "--platform", "linux/amd64"];
        arguments.extend(more);
        let mut command = self.stage.command(&arguments);
        command.env("AIRLIFT_CTR", self.stage.path("ctr"));
        self.stage.run(command)
    }

    fn unpack(&self, to: &str, more: &[&str]) -> Ran {
        let mut arguments = vec!["unpack", "b.*.airlift", "--bundle-key", "author.pub", "--to", to];
        arguments.extend(more);
        self.stage.airlift(&arguments)
    }
}

fn parsed(sample: &Sample) -> ImageDocument {
    ImageDocument::parse(&sample.root().bytes, &sample.root().descriptor.media_type).unwrap()
}

/// Stands for containerd's `ctr`: notes how it is called, keeps what it is given, and says what a test laid out. Like the
/// real one it names nothing where an archive has no index.
struct FakeCtr<'w> {
    world: &'w World,
}

impl<'w> FakeCtr<'w> {
    fn new(world: &'w World) -> Self {
        let fake = Self { world };
        let state = world.stage.path("node");
        std::fs::create_dir(&state).unwrap();
        for empty in ["calls", "images", "content", "pinned"] {
            fake.write(empty, "");
        }
        fake.write("version", "Client:\n  Version:  1.6.20\n\nServer:\n  Version:  1.7.24\n");
        let rows =
            world.names().into_iter().map(|(name, digest)| format!("{name} application/x {digest} 1.0 MiB - -\n"));
        fake.write("images.after", &rows.collect::<String>());
        let content = world.content().into_iter();
        fake.write("content.after", &content.map(|digest| format!("{digest}\n")).collect::<String>());
        let script = SCRIPT.replace("STATE", &state.display().to_string());
        std::fs::write(world.stage.path("ctr"), script).unwrap();
        std::fs::set_permissions(world.stage.path("ctr"), std::fs::Permissions::from_mode(0o755)).unwrap();
        fake
    }

    fn write(&self, name: &str, text: &str) {
        std::fs::write(self.world.stage.path("node").join(name), text).unwrap();
    }

    fn read(&self, name: &str) -> String {
        std::fs::read_to_string(self.world.stage.path("node").join(name)).unwrap_or_default()
    }

    /// Returns the calls since the last time.
    fn calls(&self) -> Vec<String> {
        let calls = self.read("calls").lines().map(str::to_owned).collect();
        self.write("calls", "");
        calls
    }

    fn archive(&self) -> Vec<(String, Vec<u8>)> {
        entries(&std::fs::read(self.world.stage.path("node/archive")).unwrap())
    }
}

const SCRIPT: &str = r#"#!/bin/sh
printf '%s\n' "$*" >>STATE/calls
while :; do case $1 in --address=* | --namespace=*) shift ;; *) break ;; esac; done
[ -z "$HOME" ] || { echo 'ctr: it sees the surroundings' >&2; exit 1; }
if [ -f "STATE/fail-$1-$2" ]; then cat "STATE/fail-$1-$2" >&2; exit 1; fi
case "$1 $2 $3" in
  'version  ') cat STATE/version ;;
  'images ls -q') cat STATE/pinned ;;
  'images ls ') echo 'REF TYPE DIGEST SIZE PLATFORMS LABELS'; cat STATE/images ;;
  'content ls -q') cat STATE/content ;;
  images\ import\ *)
    cat >STATE/archive
    tail -c 16384 STATE/archive | grep -aq '"schemaVersion":2,"mediaType":"application/vnd.oci.image.index' ||
      { echo 'ctr: missing index.json in OCI layout 1.0.0' >&2; exit 1; }
    cp STATE/images.after STATE/images
    cp STATE/content.after STATE/content ;;
  'images label --') echo "$4" >>STATE/pinned ;;
  *) echo "ctr: it does not know $*" >&2; exit 9 ;;
esac
"#;

fn entries(archive: &[u8]) -> Vec<(String, Vec<u8>)> {
    let mut archive = tar::Archive::new(archive);
    let one = |entry: std::io::Result<tar::Entry<'_, &[u8]>>| {
        let mut entry = entry.unwrap();
        let mut content = Vec::new();
        entry.read_to_end(&mut content).unwrap();
        (entry.path().unwrap().to_string_lossy().into_owned(), content)
    };
    archive.entries().unwrap().map(one).collect()
}

/// Checks every blob against its name, and returns the digests.
fn digests(entries: &[(String, Vec<u8>)]) -> BTreeSet<String> {
    let blobs = entries.iter().filter_map(|(name, bytes)| Some((name.strip_prefix("blobs/sha256/")?, bytes)));
    let checked = blobs.map(|(hex, bytes)| {
        assert_eq!(Digest::of(bytes).hex(), hex);
        format!("sha256:{hex}")
    });
    let list: Vec<String> = checked.collect();
    let set: BTreeSet<String> = list.iter().cloned().collect();
    assert_eq!(set.len(), list.len(), "a blob stands twice in the archive");
    set
}

/// Returns the names in `index.json`, which must be the last entry, with what each stands for.
fn index(entries: &[(String, Vec<u8>)], annotation: &str) -> BTreeMap<String, String> {
    let (name, bytes) = entries.last().unwrap();
    assert_eq!(name, "index.json");
    let index: Value = serde_json::from_slice(bytes).unwrap();
    let named = |entry: &Value| {
        let name = entry["annotations"][annotation].as_str()?.to_owned();
        Some((name, entry["digest"].as_str().unwrap().to_owned()))
    };
    index["manifests"].as_array().unwrap().iter().filter_map(named).collect()
}

#[test]
fn a_node_gets_what_its_platform_needs_under_the_names_that_pods_ask_for() {
    let world = World::new();
    let fake = FakeCtr::new(&world);
    let seeded = world.seed(&["--containerd", "--address", "/run/c d.sock"]).expect(0);
    let left_out = format!("left out  {}/charts/press:3.0.0  is no container image", world.host());
    let seeded = seeded.says(&["seeded", &left_out, "2 images for linux/amd64 at containerd 1.7.24, namespace k8s.io"]);
    let archive = fake.archive();
    assert_eq!(digests(&archive), world.content());
    assert_eq!(index(&archive, IMAGE_NAME), world.names());
    assert_eq!(index(&archive, REF_NAME), world.names());
    let length: u64 = std::fs::metadata(world.stage.path("node/archive")).unwrap().len();
    assert!(seeded.stdout.contains(&format!("sent {:.1} KiB", length as f64 / 1024.0)), "{}", seeded.stdout);
    let pinned: BTreeSet<String> = fake.read("pinned").lines().map(str::to_owned).collect();
    assert_eq!(pinned, world.names().into_keys().collect());
    let calls = fake.calls();
    assert!(calls.iter().all(|call| call.starts_with("--address=/run/c d.sock --namespace=k8s.io ")), "{calls:?}");
    let imports: Vec<&String> = calls.iter().filter(|call| call.contains("images import")).collect();
    assert_eq!(imports.len(), 1);
    assert!(imports[0].ends_with("images import --no-unpack --platform=linux/amd64 -"), "{imports:?}");

    let again = world.seed(&["--containerd", "-o", "json"]).expect(0);
    let calls = fake.calls();
    assert!(!calls.iter().any(|call| call.contains("import") || call.contains("images label ")), "{calls:?}");
    let again: Value = serde_json::from_str(&again.stdout).unwrap();
    assert_eq!((&again["bytesSent"], &again["platform"]), (&Value::from(0), &Value::from("linux/amd64")));
    assert!(again["images"].as_array().unwrap().iter().all(|image| image["outcome"] == "alreadyThere"), "{again}");
    assert_eq!(again["leftOut"][0]["reason"], "noImage");
}

#[test]
fn a_node_is_seeded_from_a_stream_with_the_same_bytes_and_a_stream_is_read_to_its_end() {
    let world = World::new();
    let fake = FakeCtr::new(&world);
    world.seed(&["--containerd"]).expect(0);
    let from_files = std::fs::read(world.stage.path("node/archive")).unwrap();
    for empty in ["images", "content", "pinned"] {
        fake.write(empty, "");
    }
    let volumes: Vec<u8> = crate::stage::volumes(world.stage.folder.path(), "b").into_values().flatten().collect();
    let piped = |bytes: &[u8]| {
        std::fs::write(world.stage.path("stream"), bytes).unwrap();
        let arguments = ["seed", "-", "--bundle-key", "author.pub", "--platform", "linux/amd64", "--containerd"];
        let mut command = world.stage.command(&arguments);
        command.env("AIRLIFT_CTR", world.stage.path("ctr"));
        command.stdin(Stdio::from(std::fs::File::open(world.stage.path("stream")).unwrap()));
        world.stage.run(command)
    };
    // A stream that is cut at its end has given all payload, and is none that was read to its end.
    piped(&volumes[..volumes.len() - 1000]).expect(40);
    assert_eq!(fake.read("images"), "");
    piped(&volumes).expect(0).says(&["seeded"]);
    assert!(std::fs::read(world.stage.path("node/archive")).unwrap() == from_files);
    piped(&volumes).expect(0).says(&["already there", "sent 0 B"]);
    piped(&volumes[..volumes.len() - 1000]).expect(40);
}

#[test]
fn what_lacks_only_its_label_gets_it_and_what_lacks_content_is_sent_again() {
    let world = World::new();
    let fake = FakeCtr::new(&world);
    world.seed(&["--containerd"]).expect(0);
    fake.calls();
    fake.write("pinned", "");
    world.seed(&["--containerd"]).expect(0).says(&["pinned", "sent 0 B"]);
    assert!(!fake.calls().iter().any(|call| call.contains("import")));
    let layer = world.plain.blobs()[1].descriptor.digest.to_string();
    fake.write("content", &fake.read("content").replace(&layer, ""));
    world.seed(&["--containerd"]).expect(0).says(&["seeded"]);
    assert!(fake.calls().iter().any(|call| call.contains("import")));
    // A name that stands for something else until now is said to move.
    fake.write(
        "images",
        &fake.read("images").replace(&world.plain.digest().to_string(), &Digest::of(b"x").to_string()),
    );
    let moved = world.seed(&["--containerd", "--dry-run"]).expect(0);
    moved.says(&["to seed", "moves from", "sent 0 B"]);
    assert!(!fake.calls().iter().any(|call| call.contains("import")));
}

#[test]
fn a_runtime_that_fails_is_quoted_and_what_it_says_is_not_believed() {
    let world = World::new();
    let fake = FakeCtr::new(&world);
    fake.write("fail-images-import", "ctr: failed to ingest: no space left on device\n");
    let failed = world.seed(&["--containerd"]).expect(50);
    failed.says(&[
        "ctr images import failed with exit number 1: ctr: failed to ingest: no space left on device",
        "again",
    ]);
    std::fs::remove_file(world.stage.path("node/fail-images-import")).unwrap();
    fake.write("fail-version-", "ctr: failed to dial \"/run/containerd/containerd.sock\"\n");
    world.seed(&["--containerd"]).expect(50).says(&["failed to dial", "--address"]);
    std::fs::remove_file(world.stage.path("node/fail-version-")).unwrap();
    // It says that all went well, and a layer is not there.
    let layer = world.plain.blobs()[1].descriptor.digest.to_string();
    fake.write("content.after", &fake.read("content.after").replace(&layer, ""));
    world.seed(&["--containerd"]).expect(40).says(&["team/app:1.0", "is not whole there"]);
    assert_eq!(fake.read("pinned"), "");
}

#[test]
fn what_cannot_be_meant_is_refused_before_anything_is_called() {
    let world = World::new();
    let fake = FakeCtr::new(&world);
    for (arguments, word) in [
        (&["--containerd=-n"][..], "no namespace"),
        (&["--containerd=../x"], "no namespace"),
        (&["--containerd", "--k3s"], "cannot be used with"),
        (&[], "--containerd"),
        (&["--k3s", "--address", "/x"], "cannot be used with"),
        (&["--containerd", "--images-folder", "x"], "cannot be used with"),
        (&["--k3s", "--include", "h.example/nothing/**"], "nothing in the bundle matches h.example/nothing/**"),
        (&["--k3s", "--exclude", "**"], "nothing in the bundle is left"),
        (&["--k3s", "--mapped", "h.example/../x"], "no image reference"),
        (&["--k3s", "--include", "x y"], "no pattern"),
    ] {
        let folder = ["--images-folder", "images"];
        let arguments: Vec<&str> =
            arguments.iter().chain(folder.iter().filter(|_| arguments.contains(&"--k3s"))).copied().collect();
        world.seed(&arguments).expect(2).says(&[word]);
    }
    assert!(fake.calls().is_empty());
    assert!(!world.stage.path("images").exists());
    let arguments = ["seed", "b.*.airlift", "--bundle-key", "author.pub", "--containerd"];
    world.stage.airlift(&arguments).expect(2).says(&["no ctr program", "AIRLIFT_CTR", "containerd"]);
    let mut command = world.stage.command(&arguments);
    command.env("AIRLIFT_CTR", "/nowhere/ctr");
    world.stage.run(command).expect(2).says(&["/nowhere/ctr cannot be run"]);
}

#[test]
fn a_bundle_that_nobody_vouches_for_reaches_no_node() {
    let world = World::new();
    let fake = FakeCtr::new(&world);
    let other = airlift::trust::SigningKey::generate().unwrap();
    std::fs::write(world.stage.path("other.pub"), other.public().to_pem()).unwrap();
    let places = [&["--containerd"][..], &["--k3s", "--images-folder", "images"]];
    for place in places {
        for word in [&["--bundle-key", "other.pub"][..], &[], &["--bundle-key", "author.pub", "--key", "other.pub"]] {
            let mut command = world.stage.command(&["seed", "b.*.airlift"]);
            command.args(place).args(word).env("AIRLIFT_CTR", world.stage.path("ctr"));
            world.stage.run(command).expect(30);
        }
    }
    world
        .stage
        .airlift(&["unpack", "b.*.airlift", "--bundle-key", "other.pub", "--to", "oci-archive:x.tar"])
        .expect(30);
    assert!(!fake.calls().iter().any(|call| call.contains("import")));
    assert!(!world.stage.path("images").exists() && !world.stage.path("x.tar").exists());
}

/// Flips a bit in the layer of the plain image, in whichever volume it lies.
fn damage(world: &World) {
    let layer = &world.plain.blobs()[2].bytes;
    let middle = &layer[layer.len() / 2..layer.len() / 2 + 64];
    for file in files(world.stage.folder.path()).into_iter().filter(|file| file.to_string_lossy().ends_with(".airlift"))
    {
        let mut bytes = std::fs::read(&file).unwrap();
        if let Some(at) = bytes.windows(64).position(|window| window == middle) {
            bytes[at] ^= 1;
            return std::fs::write(&file, bytes).unwrap();
        }
    }
    panic!("the layer is in no volume");
}

#[test]
fn damaged_content_is_never_named_anywhere() {
    let world = World::new();
    let fake = FakeCtr::new(&world);
    damage(&world);
    world.seed(&["--containerd"]).expect(40);
    let archive = std::fs::read(world.stage.path("node/archive")).unwrap();
    assert!(!archive.is_empty() && !archive.windows(10).any(|window| window == b"index.json"));
    assert_eq!((fake.read("images"), fake.read("pinned")), (String::new(), String::new()));
    world.seed(&["--k3s", "--images-folder", "images"]).expect(40);
    assert_eq!(files(&world.stage.path("images")), Vec::<std::path::PathBuf>::new());
    for to in ["oci-archive:x.tar", "docker-archive:x.tar"] {
        world.unpack(to, &["--images-only", "--platform", "linux/amd64"]).expect(40);
        assert!(!world.stage.path("x.tar").exists() && !world.stage.path("x.tar.partial").exists());
    }
    // What does not need the damaged part is seeded all the same.
    world.seed(&["--k3s", "--images-folder", "images", "--include", "**/many"]).expect(0);
}

fn tars(folder: &Path) -> Vec<String> {
    files(folder).iter().map(|file| file.file_name().unwrap().to_string_lossy().into_owned()).collect()
}

#[test]
fn the_folder_of_k3s_gets_one_whole_archive_for_what_was_chosen() {
    let world = World::new();
    let place = ["--k3s", "--images-folder", "agent/images"];
    let with = |more: &[&'static str]| [&place[..], more].concat();
    world.seed(&with(&["--dry-run"])).expect(0).says(&["to seed"]);
    assert!(!world.stage.path("agent").exists());
    world.seed(&place).expect(0).says(&["seeded", "agent/images/airlift-"]);
    let folder = world.stage.path("agent/images");
    let first = tars(&folder);
    assert!(first.len() == 1 && first[0].starts_with("airlift-") && first[0].ends_with(".tar"), "{first:?}");
    let path = folder.join(&first[0]);
    let bytes = std::fs::read(&path).unwrap();
    let archive = entries(&bytes);
    assert_eq!(digests(&archive), world.content());
    // k3s cannot read a name without a tag, so there are none unless somebody asks by digest.
    let tagged: BTreeMap<String, String> = world.names().into_iter().filter(|(name, _)| !name.contains('@')).collect();
    assert_eq!(index(&archive, IMAGE_NAME), tagged);
    let (_, list) = archive.iter().find(|(name, _)| name == "manifest.json").unwrap();
    let list: Value = serde_json::from_slice(list).unwrap();
    assert_eq!(list[1]["RepoTags"][0], format!("{}/team/many:2", world.host()));

    let stamp = std::fs::metadata(&path).unwrap().modified().unwrap();
    world.seed(&place).expect(0).says(&["already there", "sent 0 B"]);
    assert_eq!(std::fs::metadata(&path).unwrap().modified().unwrap(), stamp);
    // A killed run leaves a file that k3s does not look at, and the next run begins it anew.
    std::fs::remove_file(&path).unwrap();
    std::fs::write(folder.join(format!("{}.partial", first[0])), vec![1; 5_000_000]).unwrap();
    world.seed(&place).expect(0).says(&["seeded"]);
    assert_eq!(tars(&folder), first);
    assert_eq!(std::fs::read(&path).unwrap(), bytes);
    // Another choice is another file, and the first one is named.
    let other = world.seed(&with(&["--include", "**/app", "--mapped", "harbor.site.example/mirror"])).expect(0);
    other.says(&[&first[0], "imported at every start", "harbor.site.example/mirror/team/app:1.0"]);
    assert_eq!(tars(&folder).len(), 2);
}

#[test]
fn a_file_in_the_place_of_the_archive_that_is_not_it_is_not_touched() {
    let world = World::new();
    let place = ["--k3s", "--images-folder", "images"];
    world.seed(&place).expect(0);
    let path = files(&world.stage.path("images")).remove(0);
    std::fs::write(&path, "cut").unwrap();
    world.seed(&place).expect(2).says(&["exists and is not replaced"]);
    assert_eq!(std::fs::read(&path).unwrap(), b"cut");
}

#[test]
fn a_bundle_becomes_an_oci_archive_with_everything_the_same_from_files_and_from_a_stream() {
    let world = World::new();
    let planned = world.unpack("oci-archive:dry.tar", &["--dry-run", "-o", "json"]).expect(0);
    world.unpack("oci-archive:x.tar", &[]).expect(0).says(&["written: 3 artifacts in x.tar"]);
    let bytes = std::fs::read(world.stage.path("x.tar")).unwrap();
    let planned: Value = serde_json::from_str(&planned.stdout).unwrap();
    assert_eq!(planned["bytes"], bytes.len());
    assert_eq!(planned["outcome"], "planned");
    assert!(!world.stage.path("dry.tar").exists());
    let archive = entries(&bytes);
    let found = digests(&archive);
    for sample in [&world.plain, &world.many, &world.chart] {
        let blobs = sample.blobs().into_iter().map(|blob| &blob.descriptor.digest);
        let documents = sample.documents().iter().map(|document| &document.descriptor.digest);
        blobs.chain(documents).for_each(|digest| assert!(found.contains(&digest.to_string()), "{digest}"));
    }
    let host = world.host();
    let names = index(&archive, REF_NAME);
    let signature = format!("{host}/team/app:sha256-{}.sig", world.plain.digest().hex());
    assert!(names.contains_key(&signature), "{names:?}");
    assert_eq!(names[&format!("{host}/charts/press:3.0.0")], world.chart.digest().to_string());
    // Runtimes are told of nothing that they could not run.
    let runnable: Vec<String> = index(&archive, IMAGE_NAME).into_keys().collect();
    assert_eq!(runnable, [format!("{host}/team/app:1.0"), format!("{host}/team/many:2")]);

    let volumes: Vec<u8> = crate::stage::volumes(world.stage.folder.path(), "b").into_values().flatten().collect();
    std::fs::write(world.stage.path("stream"), volumes).unwrap();
    let mut command = world.stage.command(&["unpack", "-", "--bundle-key", "author.pub", "--to", "oci-archive:y.tar"]);
    command.stdin(Stdio::from(std::fs::File::open(world.stage.path("stream")).unwrap()));
    world.stage.run(command).expect(0);
    assert_eq!(std::fs::read(world.stage.path("y.tar")).unwrap(), bytes);

    world.unpack("oci-archive:x.tar", &[]).expect(0).says(&["already there: 3 artifacts"]);
    world.unpack("oci-archive:x.tar", &["--images-only"]).expect(2).says(&["exists and is not replaced"]);
    assert_eq!(std::fs::read(world.stage.path("x.tar")).unwrap(), bytes);
    let narrow = world.unpack("oci-archive:n.tar", &["--images-only", "--platform", "linux/amd64"]).expect(0);
    narrow.says(&["left out", "charts/press:3.0.0", "attached documents are not in it"]);
    let narrow = entries(&std::fs::read(world.stage.path("n.tar")).unwrap());
    assert_eq!(digests(&narrow), world.content());
}

#[test]
fn an_import_to_an_archive_says_which_verb_writes_one() {
    let world = World::new();
    for to in ["oci-archive:x.tar", "docker-archive:x.tar"] {
        let arguments = ["import", "b.*.airlift", "--bundle-key", "author.pub", "--to", to];
        world.stage.airlift(&arguments).expect(2).says(&[&format!("airlift unpack BUNDLE --to {to}")]);
    }
    for to in ["x.tar", "docker:x", "oci-archive:", "docker-archive:..", "oci-archive:/"] {
        world.unpack(to, &[]).expect(2);
    }
    world.unpack("oci-archive:no/such/folder/x.tar", &[]).expect(2).says(&["no/such/folder"]);
}

#[test]
fn a_docker_archive_holds_images_of_one_platform_and_keeps_their_ids() {
    let world = World::new();
    let refused = world.unpack("docker-archive:x.tar", &["--platform", "linux/arm64"]).expect(2);
    refused.says(&["charts/press:3.0.0 is no container image", "--images-only"]);
    let foreign = world.unpack("docker-archive:x.tar", &["--platform", "linux/arm64", "--images-only"]).expect(2);
    foreign.says(&["team/app:1.0 has no image for linux/arm64; it is for linux/amd64", "--skip-other-platforms"]);
    assert!(!world.stage.path("x.tar").exists());
    let arguments = ["--platform", "linux/arm64", "--images-only", "--skip-other-platforms"];
    let written = world.unpack("docker-archive:x.tar", &arguments).expect(0);
    written.says(&["written: 1 artifact", "attached documents are not in it", "has no image for linux/arm64"]);
    let archive = entries(&std::fs::read(world.stage.path("x.tar")).unwrap());
    let found = digests(&archive);
    let ImageDocument::Index(list) = parsed(&world.many) else { panic!("an index") };
    let arm64 = world.many.documents().iter().find(|d| d.descriptor.digest == list.manifests[1].digest).unwrap();
    let ImageDocument::Image(image) = ImageDocument::parse(&arm64.bytes, &MediaType::OCI_MANIFEST.into()).unwrap()
    else {
        panic!("a manifest")
    };
    let of = |descriptor: &Descriptor| format!("blobs/sha256/{}", descriptor.digest.hex());
    let (_, bytes) = archive.iter().find(|(name, _)| name == "manifest.json").unwrap();
    let list: Value = serde_json::from_slice(bytes).unwrap();
    // The id of an image in Docker is the digest of its configuration.
    assert_eq!(list[0]["Config"], of(&image.config));
    assert_eq!(list[0]["Layers"], Value::from(image.layers.iter().map(of).collect::<Vec<_>>()));
    assert_eq!(list[0]["RepoTags"], Value::from(vec![format!("{}/team/many:2", world.host())]));
    assert_eq!(list.as_array().unwrap().len(), 1);
    assert!(!found.contains(&world.many.digest().to_string()), "no index, half of which would be missing");
    assert_eq!(found.len(), 1 + 1 + image.layers.len());
    assert_eq!(index(&archive, IMAGE_NAME).into_values().collect::<Vec<_>>(), [arm64.descriptor.digest.to_string()]);
}

#[test]
fn what_is_asked_for_by_digest_is_found_by_digest_and_a_cut_index_is_said_not_to_be() {
    let world = World::unpacked();
    let host = world.host();
    let pinned = format!("{host}/team/many:2@{}", world.many.digest());
    world.stage.pack(&[&pinned], "b", &["--volume-size", "400KiB"]).expect(0);
    world.seed(&["--k3s", "--images-folder", "images"]).expect(0);
    let archive = entries(&std::fs::read(files(&world.stage.path("images")).remove(0)).unwrap());
    let names: Vec<String> = index(&archive, IMAGE_NAME).into_keys().collect();
    assert_eq!(names, [format!("{host}/team/many:2"), format!("{host}/team/many@{}", world.many.digest())]);
}

#[test]
fn a_layer_that_may_not_be_distributed_keeps_its_image_off_a_node() {
    let world = World::unpacked();
    let foreign = "application/vnd.oci.image.layer.nondistributable.v1.tar+gzip";
    let image = SampleImage::new(5).blob(foreign, vec![5; 50]).layer(1000).build();
    let reference = world.stage.publish("team/win", "1", &image);
    world.stage.sign("team/win", image.digest());
    let app = format!("{}/team/app:1.0", world.host());
    world.stage.pack(&[&app, &reference], "b", &["--volume-size", "400KiB"]).expect(0);
    let place = ["--k3s", "--images-folder", "images"];
    world.seed(&place).expect(2).says(&["team/win:1 its layer", "may not be distributed", "--exclude"]);
    world.seed(&[&place[..], &["--exclude", "**/win"]].concat()).expect(0);
}
