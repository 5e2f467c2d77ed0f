//! `airlift serve`: a bundle or a layout as a read-only registry, asked by the program's own client and by hand.

use crate::stage::{Stage, assert_arrived, multi, small};
use airlift::model::port::{BlobSource, ImageSource};
use airlift::model::{Descriptor, FaultKind, ImageDocument, Reference, Repository};
use airlift::registry::{Credentials, PlainHttp, Remote, Settings};
use airlift::testkit::image::Sample;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, Command, Stdio};

/// A run of `airlift serve` that ends with this.
struct Served {
    child: Child,
    host: String,
    stdout: BufReader<std::process::ChildStdout>,
}

impl Served {
    fn start(stage: &Stage, arguments: &[&str]) -> Self {
        let mut command = stage.command(&["serve"]);
        command.args(arguments).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let stdout = BufReader::new(child.stdout.take().unwrap());
        let mut served = Self { child, host: String::new(), stdout };
        served.host = served.announced();
        served
    }

    /// Reads where it listens.
    fn announced(&mut self) -> String {
        loop {
            let mut line = String::new();
            if self.stdout.read_line(&mut line).unwrap() == 0 {
                let mut said = String::new();
                self.child.stderr.take().unwrap().read_to_string(&mut said).unwrap();
                panic!("it serves nothing:\n{said}");
            }
            if let Some((_, host)) = line.trim().rsplit_once("://") {
                return host.to_owned();
            }
        }
    }

    fn at(&self, path: &str) -> Repository {
        Repository::new(&self.host, path).unwrap()
    }

    /// Asks it to stop as a service manager does, and returns its exit number and what it said.
    fn stop(mut self) -> (i32, String) {
        let id = self.child.id().to_string();
        assert!(Command::new("kill").args(["-TERM", &id]).status().unwrap().success());
        let code = self.child.wait().unwrap().code().unwrap_or(-1);
        let mut said = String::new();
        self.stdout.read_to_string(&mut said).unwrap();
        self.child.stderr.take().unwrap().read_to_string(&mut said).unwrap();
        (code, said)
    }

    /// Returns status line, headers and body of a plain request.
    fn ask(&self, request: &str) -> (String, Vec<u8>) {
        let mut line = TcpStream::connect(&self.host).unwrap();
        let request = format!("{request}\r\nHost: {}\r\nConnection: close\r\n\r\n", self.host);
        let mut answer = Vec::new();
        // A connection that is broken off, before all was asked or after, has said what it had to say.
        let _ = line.write_all(request.as_bytes());
        let _ = line.read_to_end(&mut answer);
        let end = answer.windows(4).position(|four| four == b"\r\n\r\n").unwrap_or(answer.len());
        (String::from_utf8_lossy(&answer[..end]).into_owned(), answer.get(end + 4..).unwrap_or_default().to_vec())
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn largest_layer(remote: &Remote, at: &Repository, tag: &str) -> Descriptor {
    let document = remote.manifest(at, &Reference::Tag(tag.parse().unwrap())).unwrap();
    let parsed = ImageDocument::parse(&document.bytes, &document.descriptor.media_type).unwrap();
    parsed.children().into_iter().max_by_key(|child| child.size).unwrap().clone()
}

#[test]
fn a_bundle_in_volumes_is_pulled_like_a_registry_with_its_signatures() {
    let stage = Stage::new();
    let (one, many) = (small(1), multi(7));
    let references = [stage.publish("team/app", "1.0", &one), stage.publish("team/many", "2", &many)];
    let signature = stage.sign("team/app", one.digest());
    stage.sign("team/many", many.digest());
    stage.pack(&[&references[0], &references[1]], "b", &["--volume-size", "400KiB"]).expect(0);
    let served = Served::start(&stage, &["b.*.airlift", "--bundle-key", "author.pub"]);
    for (path, tag, sample) in [("team/app", "1.0", &one), ("team/many", "2", &many)] {
        let tag = Reference::Tag(tag.parse().unwrap());
        assert_arrived(&stage.remote, &served.at(path), &tag, sample.digest());
    }
    let tags = stage.remote.tags(&served.at("team/app")).unwrap();
    let tags: Vec<&str> = tags.iter().map(|tag| tag.as_str()).collect();
    assert_eq!(tags, ["1.0", &format!("sha256-{}.sig", one.digest().hex())]);
    assert_arrived(&stage.remote, &served.at("team/app"), &Reference::Digest(signature.clone()), &signature);
    let (code, said) = served.stop();
    assert_eq!(code, 0, "{said}");
    assert!(said.contains("stopped after "), "{said}");
}

#[test]
fn a_mirror_of_a_host_finds_things_under_the_names_of_that_host_only() {
    let stage = Stage::new();
    let one = small(1);
    let reference = stage.publish("team/app", "1.0", &one);
    let mirror = format!(
        "apiVersion: airlift/v1alpha1\nkind: Mirror\nimages: [\"{reference}\"]\n\
         destinations: [{{match: \"**\", project: mirrored}}]\n"
    );
    std::fs::write(stage.path("mirror.yaml"), mirror).unwrap();
    stage.airlift(&["pack", "-f", "mirror.yaml", "-o", "b", "--allow-unsigned", "**", "--plain-http"]).expect(0);
    let served = Served::start(&stage, &["b.airlift"]);
    let upstream = stage.upstream.host();
    for (path, found) in [
        ("/v2/mirrored/team/app/manifests/1.0".to_owned(), true),
        ("/v2/team/app/manifests/1.0".to_owned(), false),
        (format!("/v2/team/app/manifests/1.0?ns={upstream}"), true),
        (format!("/v2/mirrored/team/app/manifests/1.0?ns={upstream}"), false),
        ("/v2/mirrored/team/app/manifests/1.0?ns=harbor.site.example".to_owned(), true),
        ("/v2/team/app/manifests/1.0?ns=harbor.site.example".to_owned(), false),
    ] {
        let (head, _) = served.ask(&format!("GET {path} HTTP/1.1"));
        assert_eq!(head.starts_with("HTTP/1.1 200"), found, "{path}: {head}");
    }
}

#[test]
fn ranges_are_exact_and_writing_is_refused() {
    let stage = Stage::new();
    let reference = stage.publish("team/app", "1.0", &small(1));
    stage.sign("team/app", small(1).digest());
    stage.pack(&[&reference], "b", &["--volume-size", "320KiB"]).expect(0);
    let served = Served::start(&stage, &["b.*.airlift"]);
    let layer = largest_layer(&stage.remote, &served.at("team/app"), "1.0");
    let mut whole = Vec::new();
    stage.remote.open(&served.at("team/app"), &layer, 0).unwrap().read_to_end(&mut whole).unwrap();
    assert!(layer.names_bytes(&whole));
    let end = whole.len() - 1;
    for (from, to) in [(0, 0), (1, 70_000), (99_999, 200_001), (end, end)] {
        let path = format!("/v2/team/app/blobs/{}", layer.digest);
        let (head, body) = served.ask(&format!("GET {path} HTTP/1.1\r\nRange: bytes={from}-{to}"));
        assert!(head.starts_with("HTTP/1.1 206"), "{head}");
        assert!(head.contains(&format!("bytes {from}-{to}/{}", whole.len())), "{head}");
        assert_eq!(body, whole[from..=to]);
    }
    for request in ["POST /v2/team/app/blobs/uploads/ HTTP/1.1", "DELETE /v2/team/app/manifests/1.0 HTTP/1.1"] {
        assert!(served.ask(request).0.starts_with("HTTP/1.1 405"), "{request}");
    }
}

#[test]
fn a_damaged_volume_never_gives_a_whole_answer() {
    let stage = Stage::new();
    let sample = small(1);
    let reference = stage.publish("team/app", "1.0", &sample);
    stage.sign("team/app", sample.digest());
    stage.pack(&[&reference], "b", &[]).expect(0);
    let layer = largest_layer(&stage.remote, &stage.at("team/app"), "1.0");
    let mut content = Vec::new();
    stage.remote.open(&stage.at("team/app"), &layer, 0).unwrap().read_to_end(&mut content).unwrap();
    let file = stage.path("b.airlift");
    let mut bytes = std::fs::read(&file).unwrap();
    let middle = &content[content.len() / 2..content.len() / 2 + 64];
    let at = bytes.windows(64).position(|window| window == middle).unwrap();
    bytes[at] ^= 1;
    std::fs::write(&file, bytes).unwrap();
    let served = Served::start(&stage, &["b.airlift", "--bundle-key", "author.pub"]);
    let (head, body) = served.ask(&format!("GET /v2/team/app/blobs/{} HTTP/1.1", layer.digest));
    assert!((body.len() as u64) < layer.size, "{} of {} bytes after {head}", body.len(), layer.size);
}

#[test]
fn what_is_not_whole_or_not_accepted_is_not_served() {
    let stage = Stage::new();
    let sample = small(1);
    let reference = stage.publish("team/app", "1.0", &sample);
    stage.sign("team/app", sample.digest());
    stage.pack(&[&reference], "b", &["--volume-size", "320KiB"]).expect(0);
    let other = airlift::trust::SigningKey::generate().unwrap();
    std::fs::write(stage.path("other.pub"), other.public().to_pem()).unwrap();
    stage.airlift(&["serve", "b.*.airlift", "--bundle-key", "other.pub"]).expect(30).says(&["--bundle-key"]);
    let refused = ["serve", "b.*.airlift", "--bundle-key", "author.pub", "--key", "other.pub"];
    stage.airlift(&refused).expect(30).says(&["team/app"]);
    std::fs::remove_file(stage.path("b.002.airlift")).unwrap();
    stage.airlift(&["serve", "b.*.airlift", "--bundle-key", "author.pub"]).expect(40).says(&["2"]);
    stage.airlift(&["serve", "-"]).expect(2).says(&["read once and in order"]);
    stage.airlift(&["serve", "nothing"]).expect(2);
}

#[test]
fn a_layout_that_an_import_made_is_served_under_the_same_names() {
    let stage = Stage::new();
    let (one, many) = (small(1), multi(7));
    let references = [stage.publish("team/app", "1.0", &one), stage.publish("team/many", "2", &many)];
    stage.sign("team/app", one.digest());
    stage.sign("team/many", many.digest());
    stage.pack(&[&references[0], &references[1]], "b", &[]).expect(0);
    stage.airlift(&["import", "b.airlift", "--to", "oci:layout", "--bundle-key", "author.pub"]).expect(0);
    let (first, second) = (Served::start(&stage, &["layout"]), Served::start(&stage, &["layout"]));
    for served in [&first, &second] {
        assert_arrived(&stage.remote, &served.at("team/app"), &Reference::Tag("1.0".parse().unwrap()), one.digest());
        assert_arrived(&stage.remote, &served.at("team/many"), &Reference::Tag("2".parse().unwrap()), many.digest());
    }
    let blob = largest_layer(&stage.remote, &first.at("team/app"), "1.0");
    let file = stage.path("layout/blobs/sha256").join(blob.digest.hex());
    let mut bytes = std::fs::read(&file).unwrap();
    let last = bytes.len() - 1;
    bytes[last] ^= 1;
    std::fs::remove_file(&file).unwrap();
    std::fs::write(&file, bytes).unwrap();
    let (_, body) = first.ask(&format!("GET /v2/team/app/blobs/{} HTTP/1.1", blob.digest));
    assert!((body.len() as u64) < blob.size, "damage is cut off before the end");
}

#[test]
fn referrers_of_a_layout_stand_beside_what_they_are_about() {
    let stage = Stage::new();
    let sample = small(1);
    let reference = stage.publish("team/app", "1.0", &sample);
    let about = Sample::referrer(&sample, "application/x.test", b"said");
    about.push(&stage.remote, &stage.at("team/app"), None).unwrap();
    stage.airlift(&["pack", &reference, "-o", "b", "--allow-unsigned", "**", "--plain-http"]).expect(0);
    stage.airlift(&["import", "b.airlift", "--to", "oci:layout", "--allow-unsigned-bundle"]).expect(0);
    for from in ["b.airlift", "layout"] {
        let served = Served::start(&stage, &[from]);
        let found = stage.remote.referrers(&served.at("team/app"), sample.digest()).unwrap();
        assert_eq!(found.iter().map(|d| &d.digest).collect::<Vec<_>>(), [about.digest()], "{from}");
        assert_eq!(found[0].artifact_type.as_ref().unwrap().as_str(), "application/x.test");
    }
}

fn settings(ca: &[u8]) -> Settings {
    Settings { plain_http: PlainHttp::Never, ca_files: vec![ca.to_vec()], retries: 0, ..Settings::default() }
}

fn write_identity(folder: &Path) -> Vec<u8> {
    let key = rcgen::KeyPair::generate().unwrap();
    let parameters = rcgen::CertificateParams::new(vec!["127.0.0.1".to_owned()]).unwrap();
    let certificate = parameters.self_signed(&key).unwrap().pem();
    std::fs::write(folder.join("tls.crt"), &certificate).unwrap();
    std::fs::write(folder.join("tls.key"), key.serialize_pem()).unwrap();
    certificate.into_bytes()
}

#[test]
fn under_tls_only_the_users_of_the_file_may_pull() {
    let stage = Stage::new();
    let sample = small(1);
    let reference = stage.publish("team/app", "1.0", &sample);
    stage.airlift(&["pack", &reference, "-o", "b", "--allow-unsigned", "**", "--plain-http"]).expect(0);
    let certificate = write_identity(stage.folder.path());
    let word = "a word of some length";
    std::fs::write(stage.path("users"), format!("# who may\nnode:{}\n", bcrypt::hash(word, 4).unwrap())).unwrap();
    let tls = ["--tls-cert", "tls.crt", "--tls-key", "tls.key", "--htpasswd", "users"];
    let served = Served::start(&stage, &[&["b.airlift"][..], &tls].concat());
    let pull = |user: Option<(&str, &str)>| {
        let mut settings = settings(&certificate);
        if let Some((user, password)) = user {
            settings.credentials = Credentials::default().with_basic(&served.host, user, password);
        }
        let reference = Reference::Tag("1.0".parse().unwrap());
        Remote::new(settings).unwrap().manifest(&served.at("team/app"), &reference)
    };
    assert_eq!(pull(Some(("node", word))).unwrap().descriptor.digest, *sample.digest());
    for wrong in [None, Some(("node", "another word")), Some(("nobody", word))] {
        assert_eq!(pull(wrong).unwrap_err().kind, FaultKind::Unauthorized, "{wrong:?}");
    }
    // Somebody who says nothing, or no TLS, keeps nobody else waiting.
    let _silent = TcpStream::connect(&served.host).unwrap();
    assert!(!served.ask("GET /v2/ HTTP/1.1").0.contains("200"));
    assert!(pull(Some(("node", word))).is_ok());
}

#[test]
fn settings_that_let_nobody_in_are_refused_before_anything_is_served() {
    let stage = Stage::new();
    let reference = stage.publish("team/app", "1.0", &small(1));
    stage.airlift(&["pack", &reference, "-o", "b", "--allow-unsigned", "**", "--plain-http"]).expect(0);
    write_identity(stage.folder.path());
    std::fs::write(stage.path("plain"), "ann:canary-secret-7f3a\n").unwrap();
    std::fs::rename(stage.path("plain"), stage.path("auth-plain")).unwrap();
    let other = rcgen::KeyPair::generate().unwrap();
    std::fs::write(stage.path("other.key"), other.serialize_pem()).unwrap();
    for (arguments, said) in [
        (vec!["--htpasswd", "auth-plain"], "auth-plain:1: the hash is no bcrypt hash"),
        (vec!["--htpasswd", "missing"], "missing"),
        (vec!["--tls-cert", "tls.crt"], "--tls-key"),
        (vec!["--tls-cert", "tls.crt", "--tls-key", "tls.crt"], "no PEM private key"),
        (vec!["--tls-cert", "tls.key", "--tls-key", "tls.key"], "no PEM certificate"),
        (vec!["--tls-cert", "tls.crt", "--tls-key", "other.key"], "cannot be used together"),
        (vec!["--listen", "127.0.0.1"], "--listen"),
        (vec!["--listen", "192.0.2.1:1"], "cannot listen at 192.0.2.1:1"),
    ] {
        stage.airlift(&[&["serve", "b.airlift"][..], &arguments].concat()).expect(2).says(&[said]);
    }
}
