//! A stage for whole runs: an upstream, a destination, keys, the program itself; and the checks that every
//! run must pass, whatever happened to it.

use airlift::bundle::{Input, check};
use airlift::model::port::{BlobSink, BlobSource, ImageSink, ImageSource, ManifestBytes};
use airlift::model::{Descriptor, Digest, ImageDocument, MediaType, Reference, Repository, Tag};
use airlift::registry::{PlainHttp, Remote, Settings};
use airlift::serve::{EmbeddedRegistry, Options, Running};
use airlift::testkit::image::{Sample, SampleImage};
use airlift::trust::{SigningKey, sign_simple};
use std::collections::BTreeMap;
use std::io::Read;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::Mutex;
use std::time::{Duration, Instant, SystemTime};

/// A password that must appear nowhere.
pub const CANARY: &str = "canary-secret-7f3a";
/// Exit numbers of the contract.
const EXITS: [i32; 8] = [0, 1, 2, 10, 20, 30, 40, 50];
/// Longest run: whatever the other side does, no run waits for ever.
const LONGEST: Duration = Duration::from_secs(120);
/// Largest file that is searched for secrets; larger ones are volumes and blobs.
const SEARCHED: u64 = 2 << 20;

pub struct Stage {
    pub folder: tempfile::TempDir,
    /// Holds the stage's folder, and beside it a folder that no run may touch.
    outer: tempfile::TempDir,
    untouched: Vec<String>,
    secrets: Mutex<Vec<String>>,
    pub upstream: Running,
    pub enclave: Running,
    pub remote: Remote,
    pub key: SigningKey,
}

impl Stage {
    pub fn new() -> Self {
        let outer = tempfile::tempdir().unwrap();
        let beside = outer.path().join("beside");
        std::fs::create_dir(&beside).unwrap();
        std::fs::write(beside.join("b.airlift"), "not ours").unwrap();
        let folder = tempfile::Builder::new().prefix("stage").tempdir_in(&outer).unwrap();
        let start = |name: &str| EmbeddedRegistry::start(Options::new(folder.path().join(name))).unwrap();
        let (upstream, enclave) = (start("upstream"), start("enclave"));
        let remote = Remote::new(Settings { plain_http: PlainHttp::All, ..Settings::default() }).unwrap();
        let key = SigningKey::generate().unwrap();
        std::fs::write(folder.path().join("cosign.pub"), key.public().to_pem()).unwrap();
        std::fs::write(folder.path().join("author.key"), key.to_pkcs8_pem()).unwrap();
        std::fs::write(folder.path().join("author.pub"), key.public().to_pem()).unwrap();
        let untouched = portrait(&beside);
        let secrets = Mutex::new(vec![CANARY.to_owned()]);
        Self { folder, outer, untouched, secrets, upstream, enclave, remote, key }
    }

    /// Writes an auth file for one registry. The password must appear nowhere from now on.
    pub fn write_auth(&self, file: &str, host: &str, user: &str, password: &str) {
        self.secrets.lock().unwrap().push(password.to_owned());
        let encoded = base64_of(format!("{user}:{password}").as_bytes());
        self.secrets.lock().unwrap().push(encoded.clone());
        let text = format!(r#"{{"auths":{{"{host}":{{"auth":"{encoded}"}}}}}}"#);
        std::fs::write(self.path(file), text).unwrap();
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub fn at(&self, path: &str) -> Repository {
        Repository::new(&self.upstream.host(), path).unwrap()
    }

    pub fn there(&self, path: &str) -> Repository {
        Repository::new(&self.enclave.host(), path).unwrap()
    }

    /// Puts a sample into the upstream and returns its reference.
    pub fn publish(&self, path: &str, tag: &str, sample: &Sample) -> String {
        sample.push(&self.remote, &self.at(path), Some(&tag.parse().unwrap())).unwrap();
        format!("{}/{path}:{tag}", self.upstream.host())
    }

    /// Attaches a signature under cosign's tag.
    pub fn sign(&self, path: &str, subject: &Digest) -> Digest {
        self.sign_as(path, subject, subject, &self.key)
    }

    /// Attaches, under the tag of `tagged`, a signature about `subject`.
    pub fn sign_as(&self, path: &str, subject: &Digest, tagged: &Digest, key: &SigningKey) -> Digest {
        let at = self.at(path);
        let signed = sign_simple(&at.to_string(), subject, key).unwrap();
        let config = Descriptor::of(MediaType::OCI_CONFIG, b"{}");
        self.remote.put(&at, &config, &mut &b"{}"[..]).unwrap();
        let mut layer = Descriptor::of(MediaType::COSIGN_SIMPLE_SIGNING, &signed.payload);
        self.remote.put(&at, &layer, &mut &signed.payload[..]).unwrap();
        layer.annotations = signed.annotations;
        let document = serde_json::json!({
            "schemaVersion": 2, "mediaType": MediaType::OCI_MANIFEST, "config": config, "layers": [layer],
        });
        let bytes = serde_json::to_vec(&document).unwrap();
        let descriptor = Descriptor::of(MediaType::OCI_MANIFEST, &bytes);
        let digest = descriptor.digest.clone();
        let tag: Tag = format!("sha256-{}.sig", tagged.hex()).parse().unwrap();
        self.remote.put_manifest(&at, &ManifestBytes { descriptor, bytes }, Some(&tag)).unwrap();
        digest
    }

    /// Runs the program in the stage's folder, with no environment of ours.
    pub fn airlift(&self, arguments: &[&str]) -> Ran {
        self.run(self.command(arguments))
    }

    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_airlift"));
        command.args(arguments).current_dir(self.folder.path()).env_clear();
        command.env("HOME", self.folder.path().join("home")).stdin(Stdio::null());
        command
    }

    pub fn run(&self, mut command: Command) -> Ran {
        let (before, begun) = (self.bundles(), Instant::now());
        let output = command.output().unwrap();
        let ran = Ran { took: begun.elapsed(), ..Ran::new(output) };
        assert!(ran.took < LONGEST, "it took {:?}", ran.took);
        self.check_always(&ran);
        self.check_final_names(&before);
        ran
    }

    /// What holds after every run, whatever happened: an exit number of the contract and a line that says what, no
    /// panic, no secret in any word or file, no stray temporary file, nothing touched beside the stage's own folder.
    pub fn check_always(&self, ran: &Ran) {
        let said = format!("{}{}", ran.stdout, ran.stderr);
        assert!(!said.contains("panicked"), "{said}");
        assert!(EXITS.contains(&ran.code), "exit {}:\n{said}", ran.code);
        let secrets = self.secrets.lock().unwrap();
        for secret in &*secrets {
            assert!(!said.contains(secret), "a secret was printed:\n{said}");
        }
        if ran.code != 0 {
            assert!(
                ran.stderr.contains("error: ") || ran.stdout.contains("NOT good") || ran.stderr.contains("failed"),
                "{said}"
            );
        }
        for file in files(self.folder.path()) {
            let name = file.file_name().unwrap().to_string_lossy().into_owned();
            assert!(!name.starts_with(".airlift-"), "a temporary file is left: {}", file.display());
            let small = std::fs::metadata(&file).is_ok_and(|known| known.len() <= SEARCHED);
            if small && !name.starts_with("auth") {
                let text = String::from_utf8_lossy(&std::fs::read(&file).unwrap()).into_owned();
                let found = secrets.iter().any(|secret| text.contains(secret.as_str()));
                assert!(!found, "a secret is in {}", file.display());
            }
        }
        assert_eq!(portrait(&self.outer.path().join("beside")), self.untouched);
        assert_eq!(std::fs::read_dir(self.outer.path()).unwrap().count(), 2, "something appeared beside the folder");
    }

    /// Returns all files that have a bundle's final name.
    fn bundles(&self) -> BTreeMap<PathBuf, (u64, SystemTime)> {
        let all = files(self.folder.path()).into_iter();
        let named = all.filter(|file| file.to_string_lossy().ends_with(".airlift"));
        named.filter_map(|file| Some((file.clone(), std::fs::metadata(file).ok()?))).map(stamp).collect()
    }

    /// What had a bundle's final name before a run is as it was; what got one is whole.
    fn check_final_names(&self, before: &BTreeMap<PathBuf, (u64, SystemTime)>) {
        let after = self.bundles();
        for (file, stamp) in before {
            assert_eq!(after.get(file), Some(stamp), "{} was changed", file.display());
        }
        let mut sets: BTreeMap<String, Vec<PathBuf>> = BTreeMap::new();
        for file in after.keys().filter(|file| !before.contains_key(*file)) {
            let name = file.to_string_lossy().trim_end_matches(".airlift").to_owned();
            if name.contains(".countersigned-") {
                continue; // says nothing by itself; the volumes beside it may be elsewhere
            }
            let digits = |number: &str| number.bytes().all(|b| b.is_ascii_digit());
            let set = name.rsplit_once('.').filter(|(_, number)| digits(number.strip_prefix('p').unwrap_or(number)));
            sets.entry(set.map_or(name.clone(), |(set, _)| set.to_owned())).or_default().push(file.clone());
        }
        for (set, mut volumes) in sets {
            // Parity that is added later says nothing by itself either: the volumes were there before.
            if volumes.iter().all(|file| file.to_string_lossy().contains(".p0")) {
                volumes.extend(before.keys().filter(|file| file.to_string_lossy().starts_with(&set)).cloned());
            }
            let findings = check(Input::Files(volumes), 1, &|_| {}).findings;
            assert!(findings.is_empty(), "{set} has its final name and is not whole: {findings:?}");
        }
    }

    /// Packs under the stage's own key, with the author's signature.
    pub fn pack(&self, references: &[&str], out: &str, more: &[&str]) -> Ran {
        let mut arguments = vec!["pack"];
        arguments.extend(references);
        arguments.extend(["-o", out, "--key", "cosign.pub", "--sign-key", "author.key", "--plain-http"]);
        arguments.extend(more);
        self.airlift(&arguments)
    }

    pub fn import(&self, bundle: &str, more: &[&str]) -> Ran {
        let to = self.enclave.host();
        let mut arguments = vec!["import", bundle, "--to", &to, "--bundle-key", "author.pub", "--plain-http"];
        arguments.extend(more);
        self.airlift(&arguments)
    }

    /// Checks that an artifact and everything below it stands in the destination, to the byte.
    pub fn assert_arrived(&self, path: &str, reference: &Reference, digest: &Digest) {
        assert_arrived(&self.remote, &self.there(path), reference, digest);
    }

    /// Returns the tags of a repository of the destination; none where it does not exist.
    pub fn tags_there(&self, path: &str) -> Vec<String> {
        self.remote
            .tags(&self.there(path))
            .map(|tags| tags.iter().map(ToString::to_string).collect())
            .unwrap_or_default()
    }
}

pub struct Ran {
    pub code: i32,
    pub stdout: String,
    pub stderr: String,
    /// Time that the program ran, where the stage started it.
    pub took: Duration,
}

impl Ran {
    pub fn new(output: Output) -> Self {
        Self {
            code: output.status.code().unwrap_or(-1),
            stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
            took: Duration::ZERO,
        }
    }

    #[track_caller]
    pub fn expect(self, code: i32) -> Self {
        assert_eq!(self.code, code, "stdout:\n{}\nstderr:\n{}", self.stdout, self.stderr);
        self
    }

    #[track_caller]
    pub fn says(self, words: &[&str]) -> Self {
        let said = format!("{}{}", self.stdout, self.stderr);
        for word in words {
            assert!(said.contains(word), "{word:?} is not in:\n{said}");
        }
        self
    }
}

/// Checks that an artifact and everything below it stands in `at`, to the byte.
pub fn assert_arrived(remote: &Remote, at: &Repository, reference: &Reference, digest: &Digest) {
    let root = remote.manifest(at, reference).unwrap_or_else(|fault| panic!("{at}:{reference}: {fault}"));
    assert_eq!(root.descriptor.digest, *digest);
    assert_whole(remote, at, &root);
}

fn assert_whole(remote: &Remote, at: &Repository, document: &ManifestBytes) {
    let parsed = ImageDocument::parse(&document.bytes, &document.descriptor.media_type).unwrap();
    for child in parsed.children() {
        if child.media_type.is_document() {
            let below = remote.manifest(at, &Reference::Digest(child.digest.clone())).unwrap();
            assert_whole(remote, at, &below);
            continue;
        }
        let mut bytes = Vec::new();
        remote.open(at, child, 0).unwrap().read_to_end(&mut bytes).unwrap();
        assert!(child.names_bytes(&bytes), "{child} in {at}");
    }
}

fn stamp((file, known): (PathBuf, std::fs::Metadata)) -> (PathBuf, (u64, SystemTime)) {
    (file, (known.len(), known.modified().unwrap()))
}

/// Returns a line for each file below `folder` that changes with anything about it.
fn portrait(folder: &Path) -> Vec<String> {
    let line = |file: PathBuf| {
        let known = std::fs::symlink_metadata(&file).unwrap();
        let content = Digest::of(&std::fs::read(&file).unwrap());
        format!("{} {:o} {} {} {content}", file.display(), known.mode(), known.mtime_nsec(), known.ino())
    };
    files(folder).into_iter().map(line).collect()
}

pub fn base64_of(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let group = |piece: &[u8]| {
        let n = piece.iter().fold(0_u32, |n, b| n << 8 | u32::from(*b)) << (8 * (3 - piece.len()));
        let digit =
            |at: usize| if at <= piece.len() { char::from(DIGITS[(n >> (18 - 6 * at)) as usize & 63]) } else { '=' };
        [digit(0), digit(1), digit(2), digit(3)]
    };
    bytes.chunks(3).flat_map(group).collect()
}

/// Returns all files below `folder`, sorted.
pub fn files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut open = vec![folder.to_owned()];
    while let Some(folder) = open.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let entry = entry.unwrap();
            // What a link leads to is not below this folder.
            let is_folder = entry.file_type().unwrap().is_dir();
            if is_folder { open.push(entry.path()) } else { found.push(entry.path()) }
        }
    }
    found.sort();
    found
}

/// Returns the contents of the volumes under the path prefix `out`, by file name.
pub fn volumes(folder: &Path, out: &str) -> BTreeMap<String, Vec<u8>> {
    let names = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let ours = names.filter(|name| name.starts_with(&format!("{out}.")) && name.ends_with(".airlift"));
    ours.map(|name| (name.trim_start_matches(out).to_owned(), std::fs::read(folder.join(&name)).unwrap())).collect()
}

/// A small image that every run of a test agrees on.
pub fn small(seed: u64) -> Sample {
    SampleImage::new(seed).shared_layer(1, 300_000).layer(100_000).build()
}

/// A multi-platform image whose children share a layer.
pub fn multi(seed: u64) -> Sample {
    let child = |n: u64, platform: &str| {
        SampleImage::new(seed + n).platform(platform).shared_layer(1, 300_000).layer(60_000).build()
    };
    Sample::index(&[child(1, "linux/amd64"), child(2, "linux/arm64")])
}
