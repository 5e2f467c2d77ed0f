//! Redirects, retries, time limits, TLS and proxies.

use super::scripted::{Reply, Request, Server};
use super::{blob, noise, remote, repository, settings};
use airlift::model::descriptor::MediaType;
use airlift::model::fault::{Fault, FaultKind};
use airlift::model::port::{BlobSource, ImageSource};
use airlift::model::reference::{Reference, Repository};
use airlift::registry::{Credentials, Kind, PlainHttp, Proxies, Remote, Settings, Timeouts};
use std::collections::BTreeSet;
use std::io::Read;
use std::net::TcpListener;
use std::sync::Arc;
use std::time::{Duration, Instant};

fn manifest() -> Reply {
    Reply::new(200).with("Content-Type", MediaType::OCI_MANIFEST).body("{}")
}

fn read(remote: &Remote, at: &Repository) -> Result<(), Fault> {
    remote.manifest(at, &Reference::Tag("v1".parse().unwrap())).map(drop)
}

/// Redirects everything but the ping to what `target` gives.
fn redirecting(target: impl Fn(&Request) -> String + Send + Sync + 'static) -> Server {
    Server::new(move |r| match r.path() {
        "/v2/" => Reply::new(200),
        _ => Reply::new(307).with("Location", target(r)),
    })
}

#[test]
fn a_redirect_to_another_origin_is_followed_without_credentials() {
    let store = Server::new(|_| Reply::new(200).body("x"));
    let address = store.url("/bucket/x?sig=1");
    let server = Server::new(move |r| match (r.path(), r.header("authorization")) {
        (_, None) => Reply::new(401).with("WWW-Authenticate", "Basic realm=x"),
        ("/v2/", _) => Reply::new(200),
        _ => Reply::new(307).with("Location", &address),
    });
    let credentials = Credentials::default().with_basic(&server.host(), "me", "hunter2".to_owned());
    let remote = Remote::new(Settings { credentials, ..settings() }).unwrap();
    let mut got = Vec::new();
    remote.open(&repository(&server), &blob(b"x"), 0).unwrap().read_to_end(&mut got).unwrap();
    assert_eq!(got, b"x");
    let [asked] = store.seen().try_into().unwrap();
    assert_eq!((asked.header("authorization"), asked.header("cookie"), asked.query()), (None, None, "sig=1"));
}

#[test]
fn a_redirect_within_the_origin_keeps_the_credentials() {
    let server = Server::new(|r| match (r.path(), r.header("authorization")) {
        (_, None) => Reply::new(401).with("WWW-Authenticate", "Basic realm=x"),
        ("/v2/apps/web/manifests/v1", _) => Reply::new(302).with("Location", "/elsewhere"),
        _ => manifest(),
    });
    let credentials = Credentials::default().with_basic(&server.host(), "me", "hunter2".to_owned());
    read(&Remote::new(Settings { credentials, ..settings() }).unwrap(), &repository(&server)).unwrap();
    assert!(server.seen().pop().unwrap().header("authorization").is_some());
}

#[test]
fn redirects_are_counted_and_judged() {
    let server = Server::new(|r| match r.path() {
        "/v2/" => Reply::new(200),
        "/hop/5" => manifest(),
        path => {
            let next = path.strip_prefix("/hop/").map_or(1, |n| n.parse::<usize>().unwrap() + 1);
            Reply::new(307).with("Location", format!("/hop/{next}"))
        }
    });
    read(&remote(), &repository(&server)).unwrap();

    let round = redirecting(|r| r.target.clone());
    let fault = read(&remote(), &repository(&round)).unwrap_err();
    assert!(fault.what.contains("more than 5 redirects"), "{fault}");
    assert_eq!(round.count("GET", "/v2/apps"), 6);

    for target in [
        "file:///etc/passwd",
        "ftp://127.0.0.1/x",
        "data:text/plain,x",
        "http://169.254.169.254/latest/meta-data",
        "http://[::ffff:169.254.169.254]/latest",
        "http://[fe80::1]/x",
        "http://2852039166/x",
        "http://u:p@127.0.0.1/x",
    ] {
        let server = redirecting(move |_| target.to_owned());
        let fault = read(&remote(), &repository(&server)).unwrap_err();
        assert_eq!(fault.kind, FaultKind::Refused, "{target}: {fault}");
        assert!(fault.what.contains("a redirect was not followed"), "{fault}");
        assert_eq!(server.count("GET", "/v2/apps"), 1, "{target} was tried again");
    }
}

#[test]
fn a_metadata_address_is_refused_even_where_a_reference_names_it() {
    let fault = read(&remote(), &Repository::new("169.254.169.254", "a/b").unwrap()).unwrap_err();
    assert_eq!(fault.kind, FaultKind::Refused, "{fault}");
    assert!(fault.what.contains("guarded address"), "{fault}");
}

#[test]
fn what_passes_by_itself_is_tried_again_and_what_does_not_is_not() {
    for status in [408, 425, 429, 500, 502, 503, 504] {
        let server = Server::new(move |r| match r.path() {
            "/v2/" => Reply::new(200),
            _ if r.before < 3 => Reply::new(status),
            _ => manifest(),
        });
        read(&remote(), &repository(&server)).unwrap();
        assert_eq!(server.count("GET", "/v2/apps"), 4, "{status}");
    }
    for status in [400, 401, 403, 404, 405, 406, 409, 410, 412, 416, 501] {
        let server = Server::new(move |r| Reply::new(if r.path() == "/v2/" { 200 } else { status }));
        read(&remote(), &repository(&server)).unwrap_err();
        assert_eq!(server.count("GET", "/v2/apps"), 1, "{status}");
    }
}

#[test]
fn patience_ends_and_the_fault_says_so() {
    let server = Server::new(|r| match r.path() {
        "/v2/" => Reply::new(200),
        _ => Reply::new(500)
            .with("X-Request-Id", "abc-1")
            .json(r#"{"errors":[{"code":"UNKNOWN","message":"internal server error"}]}"#),
    });
    let remote = Remote::new(Settings { retries: 2, ..settings() }).unwrap();
    let fault = read(&remote, &repository(&server)).unwrap_err();
    assert_eq!(fault.kind, FaultKind::Unavailable);
    assert!(fault.what.contains("HTTP 500") && fault.what.contains("tried 3 times"), "{fault}");
    assert!(fault.words.contains("internal server error") && fault.words.contains("abc-1"), "{fault}");
    assert_eq!(fault.place, server.url("/v2/apps/web/manifests/v1"));
    assert_eq!(remote.counters().repeated, 2);
}

#[test]
fn a_server_that_asks_for_too_much_patience_is_left_at_once() {
    let server = Server::new(|r| match r.path() {
        "/v2/" => Reply::new(200),
        _ => Reply::new(429).with("Retry-After", 86_400),
    });
    let fault = read(&remote(), &repository(&server)).unwrap_err();
    assert_eq!(fault.kind, FaultKind::Unavailable);
    assert!(fault.hint.contains("86400 s"), "{fault:?}");
    assert_eq!(server.count("GET", "/v2/apps"), 1);
}

#[test]
fn a_wait_that_is_asked_for_is_kept_for_all_calls_to_that_host_only() {
    let server = Server::new(|r| match r.path() {
        "/v2/" => Reply::new(200),
        "/v2/apps/web/manifests/v1" if r.before == 0 => Reply::new(429).with("Retry-After", 1),
        _ => manifest(),
    });
    let other = Server::new(|_| manifest());
    let remote = remote();
    let start = Instant::now();
    read(&remote, &repository(&server)).unwrap();
    assert!(start.elapsed() >= Duration::from_secs(1));
    let start = Instant::now();
    read(&remote, &repository(&other)).unwrap();
    assert!(start.elapsed() < Duration::from_secs(1));
}

#[test]
fn a_silent_server_is_left_in_bounded_time() {
    let server = Server::new(|r| if r.path() == "/v2/" { Reply::new(200) } else { Reply::raw(b"").stall() });
    let timeouts = Timeouts { first_byte: Duration::from_millis(50), ..settings().timeouts };
    let remote = Remote::new(Settings { timeouts, retries: 1, ..settings() }).unwrap();
    let fault = read(&remote, &repository(&server)).unwrap_err();
    assert_eq!(fault.kind, FaultKind::Unavailable);
    assert!(fault.what.contains("no answer for 50ms"), "{fault}");
}

#[test]
fn no_connection_and_no_name_are_told_apart() {
    let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let fault = read(&remote(), &Repository::new(&free.to_string(), "a/b").unwrap()).unwrap_err();
    assert!(fault.kind == FaultKind::Unavailable && fault.what.contains("refused"), "{fault}");
    let fault = read(&remote(), &Repository::new("nowhere.invalid", "a/b").unwrap()).unwrap_err();
    assert!(fault.kind == FaultKind::Unavailable && fault.what.contains("dns: "), "{fault}");
}

#[test]
fn odd_framing_does_no_harm() {
    let head = "Content-Type: application/vnd.oci.image.manifest.v1+json\r\n";
    for good in [
        format!(
            "HTTP/1.1 200 OK\r\n{head}Transfer-Encoding: chunked\r\n\r\n1\r\n{{\r\n1\r\n}}\r\n0\r\nX-Trailer: y\r\n\r\n"
        ),
        format!("HTTP/1.0 200 OK\r\n{head}\r\n{{}}"),
        format!("HTTP/1.1 103 Early\r\n\r\nHTTP/1.1 200 OK\r\n{head}Content-Length: 2\r\n\r\n{{}}trailing garbage"),
    ] {
        let server =
            Server::new(move |r| if r.path() == "/v2/" { Reply::new(200) } else { Reply::raw(good.as_bytes()) });
        read(&remote(), &repository(&server)).unwrap();
    }
    let many = (0..10_000).map(|n| format!("X-{n}: y\r\n")).collect::<String>();
    for bad in [
        format!("HTTP/1.1 200 OK\r\n{head}Content-Length: 5\r\n\r\n{{}}"),
        format!("HTTP/1.1 200 OK\r\n{head}Content-Length: 2\r\nContent-Length: 5\r\n\r\n{{}}"),
        format!("HTTP/1.1 200 OK\r\n{head}{many}Content-Length: 2\r\n\r\n{{}}"),
        format!("HTTP/1.1 200 OK\r\nX: {}\r\n\r\n", "y".repeat(1 << 20)),
        "nonsense\r\n\r\n".to_owned(),
        String::new(),
    ] {
        let server =
            Server::new(move |r| if r.path() == "/v2/" { Reply::new(200) } else { Reply::raw(bad.as_bytes()) });
        let remote = Remote::new(Settings { retries: 1, ..settings() }).unwrap();
        let fault = read(&remote, &repository(&server)).unwrap_err();
        assert_eq!(fault.kind, FaultKind::Unavailable, "{fault}");
    }
}

#[test]
fn a_connection_closed_between_two_requests_is_replaced() {
    let server = Server::new(|_| manifest().close());
    let remote = remote();
    for _ in 0..5 {
        read(&remote, &repository(&server)).unwrap();
    }
}

pub struct Authority {
    certificate: rcgen::Certificate,
    issuer: rcgen::Issuer<'static, rcgen::KeyPair>,
}

pub fn authority(name: &str) -> Authority {
    let key = rcgen::KeyPair::generate().unwrap();
    let mut parameters = rcgen::CertificateParams::new(Vec::new()).unwrap();
    parameters.distinguished_name.push(rcgen::DnType::CommonName, name);
    parameters.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    let certificate = parameters.self_signed(&key).unwrap();
    Authority { certificate, issuer: rcgen::Issuer::new(parameters, key) }
}

impl Authority {
    pub fn issue(
        &self,
        name: &str,
        change: impl FnOnce(&mut rcgen::CertificateParams),
    ) -> (rcgen::Certificate, rcgen::KeyPair) {
        let key = rcgen::KeyPair::generate().unwrap();
        let mut parameters = rcgen::CertificateParams::new(vec![name.to_owned()]).unwrap();
        change(&mut parameters);
        (parameters.signed_by(&key, &self.issuer).unwrap(), key)
    }

    pub fn pem(&self) -> Vec<u8> {
        self.certificate.pem().into_bytes()
    }
}

pub fn tls_config(
    certificate: &rcgen::Certificate,
    key: &rcgen::KeyPair,
    clients: Option<&Authority>,
) -> rustls::ServerConfig {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let builder =
        rustls::ServerConfig::builder_with_provider(provider.clone()).with_safe_default_protocol_versions().unwrap();
    let builder = match clients {
        None => builder.with_no_client_auth(),
        Some(authority) => {
            let mut roots = rustls::RootCertStore::empty();
            roots.add(authority.certificate.der().clone()).unwrap();
            let verifier = rustls::server::WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider);
            builder.with_client_cert_verifier(verifier.build().unwrap())
        }
    };
    let key = rustls::pki_types::PrivateKeyDer::try_from(key.serialize_der()).unwrap();
    builder.with_single_cert(vec![certificate.der().clone()], key).unwrap()
}

fn tls_settings(authority: &Authority) -> Settings {
    Settings { plain_http: PlainHttp::Never, ca_files: vec![authority.pem()], retries: 1, ..settings() }
}

#[test]
fn tls_is_checked_and_what_is_wrong_with_it_is_named() {
    let (known, unknown) = (authority("one"), authority("two"));
    let past = rcgen::date_time_ymd(2001, 1, 1);
    let cases = [
        ("good", known.issue("127.0.0.1", |_| ())),
        ("certificate expired", known.issue("127.0.0.1", |p| p.not_after = past)),
        ("not valid yet", known.issue("127.0.0.1", |p| p.not_before = rcgen::date_time_ymd(3000, 1, 1))),
        ("not valid for", known.issue("other.example", |_| ())),
        ("UnknownIssuer", unknown.issue("127.0.0.1", |_| ())),
    ];
    for (expected, (certificate, key)) in cases {
        let server = Server::with_tls(tls_config(&certificate, &key, None), |_| manifest());
        let outcome = read(&Remote::new(tls_settings(&known)).unwrap(), &repository(&server));
        if expected == "good" {
            outcome.unwrap();
            continue;
        }
        let fault = outcome.unwrap_err();
        assert_eq!(fault.kind, FaultKind::Unavailable);
        assert!(fault.what.contains("tls: "), "{expected}: {fault}");
        assert!(fault.what.contains(expected), "{expected}: {fault}");
        assert_eq!(server.seen().len(), 0, "{expected}: something was sent");
    }
}

#[test]
fn a_host_is_insecure_only_where_it_is_named_so() {
    let (nobody, other) = (authority("one"), authority("two"));
    let (certificate, key) = other.issue("127.0.0.1", |_| ());
    let server = Server::with_tls(tls_config(&certificate, &key, None), |_| manifest());
    let insecure = |host: &str| Settings { insecure_tls: BTreeSet::from([host.to_owned()]), ..tls_settings(&nobody) };
    read(&Remote::new(insecure(&server.host())).unwrap(), &repository(&server)).unwrap();
    assert!(read(&Remote::new(insecure("127.0.0.1")).unwrap(), &repository(&server)).is_err());
}

#[test]
fn our_certificate_is_shown_to_the_registry_and_not_behind_a_redirect() {
    let known = authority("one");
    let (certificate, key) = known.issue("127.0.0.1", |_| ());
    let (own, own_key) =
        known.issue("me", |p| p.extended_key_usages = vec![rcgen::ExtendedKeyUsagePurpose::ClientAuth]);
    let pem = format!("{}{}", own.pem(), own_key.serialize_pem()).into_bytes();
    let with = |server: &Server| {
        let settings = Settings { client_certificate: Some(pem.clone().into()), ..tls_settings(&known) };
        read(&Remote::new(settings).unwrap(), &repository(server))
    };
    let strict = Server::with_tls(tls_config(&certificate, &key, Some(&known)), |_| manifest());
    with(&strict).unwrap();
    assert!(read(&Remote::new(tls_settings(&known)).unwrap(), &repository(&strict)).is_err());

    let address = format!("https://{}/x", strict.host());
    let before = strict.seen().len();
    let sending = Server::with_tls(tls_config(&certificate, &key, None), move |r| match r.path() {
        "/v2/" => Reply::new(200),
        _ => Reply::new(307).with("Location", &address),
    });
    assert_eq!(with(&sending).unwrap_err().kind, FaultKind::Unavailable);
    assert_eq!(strict.seen().len(), before);
}

#[test]
fn tls_is_never_left_for_plain_http() {
    let known = authority("one");
    let (certificate, key) = known.issue("127.0.0.1", |_| ());
    let plain = Server::new(|_| manifest());
    let address = plain.url("/x");
    let server = Server::with_tls(tls_config(&certificate, &key, None), move |r| match r.path() {
        "/v2/" => Reply::new(200),
        _ => Reply::new(307).with("Location", &address),
    });
    let fault = read(&Remote::new(tls_settings(&known)).unwrap(), &repository(&server)).unwrap_err();
    assert!(fault.kind == FaultKind::Refused && fault.what.contains("from https to http"), "{fault}");
    assert_eq!(plain.seen().len(), 0);
    // A server without TLS is no reason either.
    assert!(read(&Remote::new(tls_settings(&known)).unwrap(), &repository(&plain)).is_err());
    assert!(plain.seen().iter().all(|r| !r.target.contains("manifests")));
}

#[test]
fn broken_settings_are_refused_without_showing_them() {
    let refused = |settings: Settings| Remote::new(settings).err().unwrap();
    assert!(refused(Settings { ca_files: vec![b"nonsense".to_vec()], ..settings() }).what.contains("CA file 1"));
    let fault = refused(Settings { client_certificate: Some(b"hunter2".to_vec().into()), ..settings() });
    assert!(fault.what.contains("client certificate") && !format!("{fault:?}").contains("hunter2"));
    let proxies = Proxies { https: Some("::hunter2::".into()), ..Proxies::default() };
    let fault = refused(Settings { proxies, ..settings() });
    assert!(fault.what.contains("proxy for https") && !format!("{fault:?}").contains("hunter2"));
}

#[test]
fn a_proxy_is_used_with_its_own_password_and_failures_are_its() {
    let proxy = Server::new(|r| {
        assert_eq!(r.header("proxy-authorization"), Some("Basic dTpodW50ZXIy"));
        assert!(r.target.starts_with("http://registry.example/v2/"), "{}", r.target);
        manifest()
    });
    let at = Repository::new("registry.example", "a/b").unwrap();
    let through = |http: String| {
        let proxies = Proxies { http: Some(http.into()), ..Proxies::default() };
        read(&Remote::new(Settings { proxies, retries: 1, ..settings() }).unwrap(), &at)
    };
    through(format!("http://u:hunter2@{}", proxy.host())).unwrap();
    assert_eq!(proxy.seen().len(), 2);

    let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let fault = through(format!("http://u:hunter2@{free}")).unwrap_err();
    assert!(fault.what.contains("proxy: ") && !format!("{fault:?}").contains("hunter2"), "{fault:?}");

    let refusing = Server::new(|_| Reply::new(407).body("<html>who are you</html>"));
    let fault = through(refusing.url("")).unwrap_err();
    assert!(fault.kind == FaultKind::Unavailable && fault.what.contains("proxy"), "{fault}");

    let secure = Server::new(|r| {
        assert_eq!((r.method.as_str(), r.target.as_str()), ("CONNECT", "registry.example:443"));
        Reply::new(407)
    });
    let proxies = Proxies { https: Some(secure.url("").into()), ..Proxies::default() };
    let settings = Settings { proxies, plain_http: PlainHttp::Never, ..settings() };
    let fault = read(&Remote::new(settings).unwrap(), &at).unwrap_err();
    assert!(fault.kind == FaultKind::Unavailable && fault.what.contains("proxy: "), "{fault}");
    assert_eq!(secure.seen().len(), 1, "a proxy that wants a password is not asked again");
}

#[test]
fn no_more_than_so_many_requests_run_at_one_host() {
    let running = Arc::new(std::sync::atomic::AtomicUsize::new(0));
    let most = Arc::new(std::sync::atomic::AtomicUsize::new(0));
    let (now, top) = (running.clone(), most.clone());
    let server = Server::new(move |_| {
        let count = now.fetch_add(1, std::sync::atomic::Ordering::SeqCst) + 1;
        top.fetch_max(count, std::sync::atomic::Ordering::SeqCst);
        for _ in 0..200 {
            std::thread::yield_now();
        }
        now.fetch_sub(1, std::sync::atomic::Ordering::SeqCst);
        manifest()
    });
    let remote = Remote::new(Settings { per_host: 3, ..settings() }).unwrap();
    let at = repository(&server);
    std::thread::scope(|scope| {
        for _ in 0..20 {
            scope.spawn(|| read(&remote, &at).unwrap());
        }
    });
    assert!(most.load(std::sync::atomic::Ordering::SeqCst) <= 3);
}

#[test]
fn copying_within_one_host_does_not_lock_up() {
    use airlift::model::port::BlobSink;
    let content = noise(600_000);
    let served = content.clone();
    let server = Server::new(move |r| match r.method.as_str() {
        "POST" => Reply::new(202).with("Location", "/v2/apps/web/blobs/uploads/1"),
        "PUT" => Reply::new(201),
        _ => Reply::new(200).body(served.as_slice()),
    });
    let remote = Remote::new(Settings { per_host: 1, ..settings() }).unwrap();
    let at = repository(&server);
    let mut reader = remote.open(&at, &blob(&content), 0).unwrap();
    remote.put(&at, &blob(&content), &mut reader).unwrap();
    assert_eq!(remote.counters().of(Kind::UploadPut), 1);
}

#[test]
fn a_run_in_which_every_tenth_request_fails_ends_complete() {
    use airlift::model::port::BlobSink;
    use std::sync::atomic::{AtomicU64, Ordering};
    let content = noise(10_000);
    let (served, dice) = (content.clone(), AtomicU64::new(7));
    let server = Server::new(move |r| {
        let roll = dice.fetch_add(1, Ordering::SeqCst).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 32;
        let bad = roll % 10 == 0;
        match (r.method.as_str(), roll % 3) {
            (_, 0) if bad => Reply::new(503),
            (_, 1) if bad => Reply::raw(b""),
            ("GET", _) if bad => Reply::new(200).body(served.as_slice()).cut(5_000),
            _ if bad => Reply::new(500),
            ("POST", _) => Reply::new(202).with("Location", "/v2/apps/web/blobs/uploads/1"),
            ("PUT", _) => Reply::new(201),
            ("HEAD", _) => Reply::new(404),
            ("DELETE", _) => Reply::new(204),
            _ if r.path().contains("blobs") => Reply::new(200).body(served.as_slice()),
            _ => manifest(),
        }
    });
    let (remote, at) = (remote(), repository(&server));
    for _ in 0..100 {
        read(&remote, &at).unwrap();
        assert!(!remote.has(&at, &blob(&content)).unwrap());
        let mut got = Vec::new();
        remote.open(&at, &blob(&content), 0).unwrap().read_to_end(&mut got).unwrap();
        assert!(got == content);
        remote.put(&at, &blob(&content), &mut content.as_slice()).unwrap();
    }
    // A manifest, a look and a download are one request each, an upload two.
    let counters = remote.counters();
    assert!(counters.total() < 500 * 130 / 100, "{counters:?}");
}

#[test]
fn one_client_is_everything_that_a_flow_asks_for() {
    fn destination(_: &dyn airlift::model::port::Destination) {}
    destination(&remote());
}
