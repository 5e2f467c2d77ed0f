//! A stage for whole runs: an upstream, a destination, keys, the program itself; and the checks that every
//! run must pass, whatever happened to it.

use airlift::model::port::{BlobSink, BlobSource, ImageSink, ImageSource, ManifestBytes};
use airlift::model::{Descriptor, Digest, ImageDocument, MediaType, Reference, Repository, Tag};
use airlift::registry::{PlainHttp, Remote, Settings};
use airlift::serve::{EmbeddedRegistry, Options, Running};
use airlift::testkit::image::{Sample, SampleImage};
use airlift::trust::{SigningKey, sign_simple};
use std::collections::BTreeMap;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

/// A password that must appear nowhere.
pub const CANARY: &str = "canary-secret-7f3a";

pub struct Stage {
    pub folder: tempfile::TempDir,
    pub upstream: Running,
    pub enclave: Running,
    pub remote: Remote,
    pub key: SigningKey,
}

impl Stage {
    pub fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let start = |name: &str| EmbeddedRegistry::start(Options::new(folder.path().join(name))).unwrap();
        let (upstream, enclave) = (start("upstream"), start("enclave"));
        let remote = Remote::new(Settings { plain_http: PlainHttp::All, ..Settings::default() }).unwrap();
        let key = SigningKey::generate().unwrap();
        std::fs::write(folder.path().join("cosign.pub"), key.public().to_pem()).unwrap();
        std::fs::write(folder.path().join("author.key"), key.to_pkcs8_pem()).unwrap();
        std::fs::write(folder.path().join("author.pub"), key.public().to_pem()).unwrap();
        Self { folder, upstream, enclave, remote, key }
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
        let ran = Ran::new(command.output().unwrap());
        self.check_always(&ran);
        ran
    }

    /// What holds after every run, whatever happened: no panic, no secret, one line that says what, no stray
    /// temporary file, and every bundle file that has its final name is whole.
    pub fn check_always(&self, ran: &Ran) {
        let said = format!("{}{}", ran.stdout, ran.stderr);
        assert!(!said.contains("panicked"), "{said}");
        assert!(!said.contains(CANARY), "a secret was printed:\n{said}");
        if ran.code != 0 {
            assert!(
                ran.stderr.contains("error: ") || ran.stdout.contains("NOT good") || ran.stderr.contains("Failed"),
                "{said}"
            );
        }
        for file in files(self.folder.path()) {
            let name = file.file_name().unwrap().to_string_lossy().into_owned();
            assert!(!name.starts_with(".airlift-"), "a temporary file is left: {}", file.display());
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
        let at = self.there(path);
        let root = self.remote.manifest(&at, reference).unwrap_or_else(|fault| panic!("{path}:{reference}: {fault}"));
        assert_eq!(root.descriptor.digest, *digest);
        self.assert_whole(&at, &root);
    }

    fn assert_whole(&self, at: &Repository, document: &ManifestBytes) {
        let parsed = ImageDocument::parse(&document.bytes, &document.descriptor.media_type).unwrap();
        for child in parsed.children() {
            if child.media_type.is_document() {
                let below = self.remote.manifest(at, &Reference::Digest(child.digest.clone())).unwrap();
                self.assert_whole(at, &below);
                continue;
            }
            let mut bytes = Vec::new();
            self.remote.open(at, child, 0).unwrap().read_to_end(&mut bytes).unwrap();
            assert!(child.names_bytes(&bytes), "{child} in {at}");
        }
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
}

impl Ran {
    pub fn new(output: Output) -> Self {
        Self {
            code: output.status.code().unwrap_or(-1),
            stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
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

/// Returns all files below `folder`, sorted.
pub fn files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut open = vec![folder.to_owned()];
    while let Some(folder) = open.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() { open.push(path) } else { found.push(path) }
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
