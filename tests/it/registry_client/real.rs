//! Against Debian's `docker-registry`, the blob engine inside Harbor. Skipped, and said so, where it is not installed.

use super::{blob, noise, settings};
use airlift::model::descriptor::{Descriptor, MediaType};
use airlift::model::fault::FaultKind;
use airlift::model::port::{BlobSink, BlobSource, ImageSink, ImageSource, ManifestBytes, Projects};
use airlift::model::reference::{Reference, Repository};
use airlift::registry::{Credentials, Kind, Remote, Settings};
use std::io::Read;
use std::net::TcpListener;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

const PROGRAM: &str = "/usr/bin/docker-registry";

struct Registry {
    child: Child,
    host: String,
    _folder: tempfile::TempDir,
}

impl Drop for Registry {
    fn drop(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

/// Starts a registry; `None` where the program is missing. With `htpasswd` it asks for an account.
fn start(htpasswd: Option<&str>) -> Option<Registry> {
    if !std::path::Path::new(PROGRAM).exists() {
        eprintln!("skipped: {PROGRAM} is not installed");
        return None;
    }
    let folder = tempfile::tempdir().unwrap();
    let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let root = folder.path().display();
    let auth = htpasswd.map_or_else(String::new, |line| {
        std::fs::write(folder.path().join("htpasswd"), line).unwrap();
        format!("auth:\n  htpasswd:\n    realm: x\n    path: {root}/htpasswd\n")
    });
    let config = format!(
        "version: 0.1\nlog:\n  level: error\nstorage:\n  filesystem:\n    rootdirectory: {root}/data\n  delete:\n    enabled: true\nhttp:\n  addr: {address}\n{auth}"
    );
    std::fs::write(folder.path().join("config.yml"), config).unwrap();
    let child = Command::new(PROGRAM)
        .arg("serve")
        .arg(folder.path().join("config.yml"))
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let registry = Registry { child, host: address.to_string(), _folder: folder };
    let deadline = Instant::now() + Duration::from_secs(30);
    while std::net::TcpStream::connect(address).is_err() {
        assert!(Instant::now() < deadline, "the registry did not start");
        std::thread::yield_now();
    }
    Some(registry)
}

fn image(layer: &Descriptor, config: &Descriptor, subject: Option<&Descriptor>) -> ManifestBytes {
    let mut document = serde_json::json!({
        "schemaVersion": 2, "mediaType": MediaType::OCI_MANIFEST, "config": config, "layers": [layer],
    });
    if let Some(subject) = subject {
        document["subject"] = serde_json::to_value(subject).unwrap();
    }
    let bytes = serde_json::to_vec(&document).unwrap();
    ManifestBytes { descriptor: Descriptor::of(MediaType::OCI_MANIFEST, &bytes), bytes }
}

/// Pushes, looks, mounts, pulls, and links a referrer.
fn whole_journey(remote: &Remote, host: &str) {
    let at = Repository::new(host, "apps/web").unwrap();
    let other = Repository::new(host, "apps/other").unwrap();
    let layer_bytes = noise(3 << 20);
    let config_bytes = b"{}".to_vec();
    let (layer, config) = (blob(&layer_bytes), Descriptor::of(MediaType::OCI_CONFIG, &config_bytes));
    assert!(!remote.has(&at, &layer).unwrap());
    let early = remote.put_manifest(&at, &image(&layer, &config, None), None).unwrap_err();
    assert_eq!(early.kind, FaultKind::Missing, "{early}");
    assert!(early.words.contains(&layer.digest.to_string()), "{early}");
    remote.put(&at, &layer, &mut layer_bytes.as_slice()).unwrap();
    remote.put(&at, &config, &mut config_bytes.as_slice()).unwrap();
    remote.put(&at, &blob(b""), &mut std::io::empty()).unwrap();
    assert!(remote.has(&at, &layer).unwrap() && remote.has(&at, &blob(b"")).unwrap());
    assert!(remote.mount(&other, &layer, &at).unwrap());
    assert!(!remote.mount(&other, &blob(b"nowhere"), &at).unwrap());

    let document = image(&layer, &config, None);
    let tag = "v1".parse().unwrap();
    remote.put_manifest(&at, &document, Some(&tag)).unwrap();
    let head = remote.head(&at, &Reference::Tag(tag.clone())).unwrap().unwrap();
    assert_eq!(head, document.descriptor);
    assert_eq!(remote.manifest(&at, &Reference::Digest(head.digest.clone())).unwrap(), document);
    assert_eq!(remote.tags(&at).unwrap(), [tag]);
    assert!(remote.head(&at, &Reference::Tag("none".parse().unwrap())).unwrap().is_none());
    assert_eq!(remote.tags(&Repository::new(host, "no/where").unwrap()).unwrap_err().kind, FaultKind::Missing);

    assert_eq!(remote.referrers(&at, &head.digest).unwrap(), []);
    let signature = image(&config, &config, Some(&head));
    remote.put_manifest(&at, &signature, None).unwrap();
    let found = remote.referrers(&at, &head.digest).unwrap();
    assert_eq!(found.iter().map(|d| &d.digest).collect::<Vec<_>>(), [&signature.descriptor.digest]);

    for from in [0, 1, 1 << 20, layer.size - 1, layer.size] {
        let mut got = Vec::new();
        remote.open(&at, &layer, from).unwrap().read_to_end(&mut got).unwrap();
        assert!(got == layer_bytes[usize::try_from(from).unwrap()..], "from {from}");
    }
    remote.may_push(&at).unwrap();
    assert_eq!(remote.place(host).unwrap().product, "OCI registry");
    assert_eq!(remote.project(&at).unwrap().unwrap().quota, None);
}

#[test]
fn a_real_registry_takes_and_gives_everything() {
    let Some(registry) = start(None) else { return };
    let remote = Remote::new(settings()).unwrap();
    whole_journey(&remote, &registry.host);
    assert_eq!(remote.counters().of(Kind::Ping), 1);
}

#[test]
fn a_real_registry_takes_pieces() {
    let Some(registry) = start(None) else { return };
    let remote = Remote::new(Settings { chunk: Some(1_000_000), ..settings() }).unwrap();
    whole_journey(&remote, &registry.host);
    assert_eq!(remote.counters().of(Kind::UploadPatch), 4);
}

/// `me` with the password `secret`.
const HTPASSWD: &str = "me:$2b$04$2hH5ndBe3CeGtoHpe.4NQuVlzrFY3BBj/TIOJ6q9.Y79G8YvVA4Pm\n";

#[test]
fn a_real_registry_with_accounts_is_asked_with_user_and_password() {
    let Some(registry) = start(Some(HTPASSWD)) else { return };
    let known = Credentials::default().with_basic(&registry.host, "me", "secret".to_owned());
    let remote = Remote::new(Settings { credentials: known, ..settings() }).unwrap();
    whole_journey(&remote, &registry.host);
    assert_eq!(remote.counters().of(Kind::Ping), 2);

    let wrong = Credentials::default().with_basic(&registry.host, "me", "wrong-canary".to_owned());
    let remote = Remote::new(Settings { credentials: wrong, ..settings() }).unwrap();
    for _ in 0..4 {
        let fault = remote.place(&registry.host).unwrap_err();
        assert_eq!(fault.kind, FaultKind::Unauthorized, "{fault}");
        assert!(!format!("{fault:?}").contains("wrong-canary"));
    }
    // One ping without, and two tries with the credentials: no more, so that no account gets locked.
    assert_eq!(remote.counters().of(Kind::Ping), 3);
}
