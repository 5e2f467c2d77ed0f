//! Credentials: shown to whom they are for, as often as it takes, and never printed.

use super::scripted::{Reply, Request, Server};
use super::{blob, remote, repository, settings};
use airlift::model::descriptor::MediaType;
use airlift::model::digest::Digest;
use airlift::model::fault::{Fault, FaultKind};
use airlift::model::port::{BlobSink, ImageSource, Projects};
use airlift::model::reference::{Reference, Repository};
use airlift::registry::{Credentials, Kind, Remote, Settings};
use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};

/// `me:hunter2-canary`.
const BASIC: &str = "Basic bWU6aHVudGVyMi1jYW5hcnk=";

fn known(server: &Server) -> Credentials {
    Credentials::default().with_basic(&server.host(), "me", "hunter2-canary".to_owned())
}

fn remote_with(credentials: Credentials) -> Remote {
    Remote::new(Settings { credentials, ..settings() }).unwrap()
}

fn look(remote: &Remote, at: &Repository) -> Result<(), Fault> {
    remote.head(at, &Reference::Tag("v1".parse().unwrap())).map(drop)
}

fn manifest() -> Reply {
    let digest = Digest::of(b"{}");
    Reply::new(200).with("Content-Type", MediaType::OCI_MANIFEST).with("Docker-Content-Digest", digest).body("{}")
}

fn bearer(realm: &str) -> Reply {
    let challenge = format!(r#"Bearer realm="{realm}",service="registry",scope="repository:everything:*""#);
    Reply::new(401).with("WWW-Authenticate", challenge)
}

/// A registry with its token service on one host; `token` answers token requests.
fn with_tokens(token: impl Fn(&Request) -> Reply + Send + Sync + 'static) -> Server {
    let own = Arc::new(OnceLock::<String>::new());
    let realm = own.clone();
    let server = Server::new(move |r| match (r.path(), r.header("authorization")) {
        ("/token", _) => token(r),
        (_, Some(shown)) if shown.starts_with("Bearer good") => manifest(),
        _ => bearer(realm.get().unwrap()),
    });
    own.set(server.url("/token")).unwrap();
    server
}

#[test]
fn user_and_password_are_confirmed_once_and_then_sent_with_every_request() {
    let server = Server::new(|r| match r.header("authorization") {
        Some(BASIC) => manifest(),
        _ => Reply::new(401).with("WWW-Authenticate", "Basic realm=\"x\""),
    });
    let remote = remote_with(known(&server));
    for _ in 0..3 {
        look(&remote, &repository(&server)).unwrap();
    }
    let shown: Vec<_> =
        server.seen().iter().map(|r| (r.path().to_owned(), r.header("authorization").is_some())).collect();
    assert_eq!(shown[..2], [("/v2/".to_owned(), false), ("/v2/".to_owned(), true)]);
    assert!(shown[2..].iter().all(|(path, with)| path != "/v2/" && *with));
}

#[test]
fn harbor_gets_user_and_password_although_it_asks_for_a_token_first() {
    let own = Arc::new(OnceLock::<String>::new());
    let realm = own.clone();
    let server = Server::new(move |r| match (r.path(), r.header("authorization")) {
        ("/service/token", _) => Reply::new(500),
        (_, Some(BASIC)) => manifest(),
        _ => Reply::new(401)
            .with("WWW-Authenticate", format!(r#"Bearer realm="{}",service="harbor-registry""#, realm.get().unwrap())),
    });
    own.set(server.url("/service/token")).unwrap();
    look(&remote_with(known(&server)), &repository(&server)).unwrap();
    assert_eq!(server.count("GET", "/service/token"), 0);
}

#[test]
fn a_token_is_fetched_once_for_each_scope_and_asks_for_no_more_than_needed() {
    let server = with_tokens(|_| Reply::new(200).json(r#"{"token":"good","access_token":"","expires_in":1800}"#));
    let remote = remote_with(known(&server));
    let at = repository(&server);
    for _ in 0..3 {
        look(&remote, &at).unwrap();
    }
    remote.has(&at, &blob(b"x")).unwrap();
    drop(remote.put(&at, &blob(b"x"), &mut &b"x"[..]));
    drop(remote.mount(&at, &blob(b"x"), &Repository::new(&server.host(), "base/os").unwrap()));
    let tokens: Vec<_> = server.seen().into_iter().filter(|r| r.path() == "/token").collect();
    let queries: Vec<_> = tokens.iter().map(Request::query).collect();
    assert_eq!(
        queries,
        [
            "service=registry&scope=repository%3Aapps%2Fweb%3Apull",
            "service=registry&scope=repository%3Aapps%2Fweb%3Apull%2Cpush",
            "service=registry&scope=repository%3Aapps%2Fweb%3Apull%2Cpush&scope=repository%3Abase%2Fos%3Apull",
        ]
    );
    assert!(tokens.iter().all(|r| r.header("authorization") == Some(BASIC)));
}

#[test]
fn without_credentials_an_anonymous_token_is_asked_for() {
    let server = with_tokens(|_| Reply::new(200).json(r#"{"access_token":"good"}"#));
    look(&remote(), &repository(&server)).unwrap();
    let asked = server.seen().into_iter().find(|r| r.path() == "/token").unwrap();
    assert_eq!(asked.header("authorization"), None);
}

#[test]
fn an_identity_token_is_exchanged_by_post() {
    let server = with_tokens(|_| Reply::new(200).json(r#"{"access_token":"good"}"#));
    let file = format!(r#"{{"auths":{{"{}":{{"identitytoken":"id-canary"}}}}}}"#, server.host());
    let remote = remote_with(Credentials::default().with_file(file.as_bytes()).unwrap());
    look(&remote, &repository(&server)).unwrap();
    let asked = server.seen().into_iter().find(|r| r.path() == "/token").unwrap();
    assert_eq!((asked.method.as_str(), asked.query()), ("POST", ""));
    let form = String::from_utf8(asked.body).unwrap();
    assert!(form.contains("grant_type=refresh_token") && form.contains("refresh_token=id-canary"), "{form}");
    assert!(form.contains("scope=repository%3Aapps%2Fweb%3Apull"), "{form}");
}

#[test]
fn a_token_that_ends_is_renewed_before_and_after() {
    // Ends on arrival: used for the one call that it was fetched for, then fetched anew.
    let server = with_tokens(|_| Reply::new(200).json(r#"{"token":"good","expires_in":0}"#));
    let remote = remote();
    for _ in 0..3 {
        look(&remote, &repository(&server)).unwrap();
    }
    assert_eq!(remote.counters().of(Kind::Token), 3);

    // Refused although it should last: one renewal, one repetition.
    let revoked = Arc::new(AtomicBool::new(false));
    let (seen, own) = (revoked.clone(), Arc::new(OnceLock::<String>::new()));
    let realm = own.clone();
    let server = Server::new(move |r| match (r.path(), r.header("authorization")) {
        ("/token", _) => Reply::new(200).json(&format!(r#"{{"token":"good{}","expires_in":3600}}"#, r.before)),
        (_, Some("Bearer good0")) if !seen.load(Ordering::SeqCst) => manifest(),
        (_, Some("Bearer good1")) => manifest(),
        _ => bearer(realm.get().unwrap()),
    });
    own.set(server.url("/token")).unwrap();
    let remote = remote_with(known(&server));
    look(&remote, &repository(&server)).unwrap();
    revoked.store(true, Ordering::SeqCst);
    look(&remote, &repository(&server)).unwrap();
    assert_eq!(remote.counters().of(Kind::Token), 2);
}

#[test]
fn a_token_that_is_never_enough_ends_at_once() {
    let server = with_tokens(|_| Reply::new(200).json(r#"{"token":"bad","expires_in":3600}"#));
    let remote = remote_with(known(&server));
    let at = repository(&server);
    assert_eq!(look(&remote, &at).unwrap_err().kind, FaultKind::Unauthorized);
    assert_eq!(remote.counters().of(Kind::Token), 1);
    assert_eq!(look(&remote, &at).unwrap_err().kind, FaultKind::Unauthorized);
    assert_eq!(remote.counters().of(Kind::Token), 2, "the kept one, renewed once");
}

#[test]
fn odd_answers_of_a_token_service_are_no_tokens() {
    for body in ["<html>log in</html>", "{}", r#"{"token":""}"#, "", "[]"] {
        let server = with_tokens(move |_| Reply::new(200).body(body));
        let remote = remote();
        assert_eq!(look(&remote, &repository(&server)).unwrap_err().kind, FaultKind::Unauthorized, "{body}");
        assert_eq!(remote.counters().of(Kind::Token), 1);
    }
    let server = with_tokens(|_| Reply::new(200).json(&format!(r#"{{"token":"good","x":"{}"}}"#, "x".repeat(2 << 20))));
    assert_eq!(look(&remote(), &repository(&server)).unwrap_err().kind, FaultKind::Unauthorized);
    let server =
        with_tokens(|r| if r.before < 2 { Reply::new(503) } else { Reply::new(200).json(r#"{"token":"good"}"#) });
    look(&remote(), &repository(&server)).unwrap();
}

#[test]
fn credentials_that_are_refused_are_shown_twice_and_no_more() {
    let basic =
        || Server::new(|_| Reply::new(401).with("WWW-Authenticate", "Basic realm=x").body("hunter2-canary wrong"));
    let tokens = || {
        with_tokens(|_| Reply::new(401).json(r#"{"errors":[{"code":"UNAUTHORIZED","message":"no hunter2-canary"}]}"#))
    };
    for server in [basic(), tokens()] {
        let remote = remote_with(known(&server));
        for _ in 0..5 {
            let fault = look(&remote, &repository(&server)).unwrap_err();
            assert_eq!(fault.kind, FaultKind::Unauthorized);
            assert!(!format!("{fault:?}").contains("hunter2"), "{fault:?}");
        }
        let shown = server.seen().iter().filter(|r| r.header("authorization").is_some()).count();
        assert_eq!(shown, 2);
    }
}

#[test]
fn an_account_that_is_locked_midway_is_noticed_without_a_storm() {
    let valid = Arc::new(AtomicBool::new(true));
    let seen = valid.clone();
    let server = Server::new(move |r| match r.header("authorization") {
        Some(BASIC) if seen.load(Ordering::SeqCst) => manifest(),
        _ => Reply::new(401).with("WWW-Authenticate", "Basic realm=x"),
    });
    let remote = remote_with(known(&server));
    look(&remote, &repository(&server)).unwrap();
    valid.store(false, Ordering::SeqCst);
    // A confirmation of this very minute still counts: the answer is about this repository.
    assert_eq!(look(&remote, &repository(&server)).unwrap_err().kind, FaultKind::Unauthorized);
}

#[test]
fn a_missing_right_is_no_wrong_password() {
    let words =
        r#"{"errors":[{"code":"UNAUTHORIZED","message":"unauthorized to access repository: apps/web, action: push"}]}"#;
    let server = Server::new(move |r| match (r.method.as_str(), r.header("authorization")) {
        ("POST", _) => Reply::new(401).with("WWW-Authenticate", "Basic realm=x").json(words),
        (_, Some(BASIC)) => manifest(),
        _ => Reply::new(401).with("WWW-Authenticate", "Basic realm=x"),
    });
    let remote = remote_with(known(&server));
    let at = repository(&server);
    for _ in 0..4 {
        let fault = remote.put(&at, &blob(b"x"), &mut &b"x"[..]).unwrap_err();
        assert_eq!(fault.kind, FaultKind::Unauthorized);
        assert!(fault.words.contains("action: push"));
    }
    look(&remote, &at).unwrap();
    assert_eq!(remote.counters().of(Kind::Ping), 2);
}

#[test]
fn a_foreign_token_service_gets_no_credentials_unless_allowed() {
    let canary = Server::new(|_| Reply::new(200).json(r#"{"token":"good"}"#));
    // Another name for the same machine: another host as far as credentials go.
    let realm = format!("http://localhost:{}/token", canary.address.port());
    let server = Server::new(move |r| match r.header("authorization") {
        Some("Bearer good") => manifest(),
        _ => bearer(&realm),
    });
    look(&remote_with(known(&server)), &repository(&server)).unwrap();
    assert!(canary.seen().iter().all(|r| r.header("authorization").is_none()));

    let token_hosts = BTreeSet::from([(server.host(), "localhost".to_owned())]);
    let remote = Remote::new(Settings { credentials: known(&server), token_hosts, ..settings() }).unwrap();
    look(&remote, &repository(&server)).unwrap();
    assert_eq!(canary.seen().pop().unwrap().header("authorization"), Some(BASIC));
}

#[test]
fn a_refused_anonymous_token_says_that_the_credentials_were_held_back() {
    let canary = Server::new(|_| Reply::new(401));
    let realm = format!("http://localhost:{}/token", canary.address.port());
    let server = Server::new(move |_| bearer(&realm));
    let fault = look(&remote_with(known(&server)), &repository(&server)).unwrap_err();
    assert_eq!(fault.kind, FaultKind::Unauthorized);
    assert!(fault.hint.contains("not shown to localhost"), "{fault:?}");
}

#[test]
fn bad_challenges_are_told_as_such() {
    for challenge in [
        "Bearer realm=\"ftp://x/\"".to_owned(),
        "Bearer realm=\"http://u:p@127.0.0.1/\"".to_owned(),
        "Bearer realm=\"http://169.254.169.254/token\"".to_owned(),
        "Bearer realm=\"/token\"".to_owned(),
        "Bearer realm=\"http://127.0.0.1/token".to_owned(),
        "Bearer service=x".to_owned(),
        format!("Bearer realm=\"http://127.0.0.1/{}\"", "x".repeat(64 << 10)),
    ] {
        let answer = challenge.clone();
        let server = Server::new(move |_| Reply::new(401).with("WWW-Authenticate", &answer));
        let fault = look(&remote(), &repository(&server)).unwrap_err();
        assert_eq!(fault.kind, FaultKind::Unauthorized, "{fault}");
        assert!(fault.what.contains("bad challenge"), "{fault}");
        assert_eq!(server.seen().len(), 1);
    }
}

#[test]
fn credentials_of_one_host_are_not_shown_to_another() {
    let one = Server::new(|_| manifest());
    let other = Server::new(|r| match r.header("authorization") {
        None => Reply::new(401).with("WWW-Authenticate", "Basic realm=x"),
        Some(_) => manifest(),
    });
    let remote = remote_with(known(&one));
    assert_eq!(look(&remote, &repository(&other)).unwrap_err().kind, FaultKind::Unauthorized);
    assert!(other.seen().iter().all(|r| r.header("authorization").is_none()));
}

#[test]
fn a_door_that_opens_without_asking_may_still_ask_for_a_repository() {
    let server = Server::new(|r| match (r.path(), r.header("authorization")) {
        ("/v2/", _) | (_, Some(BASIC)) => manifest(),
        _ => Reply::new(401).with("WWW-Authenticate", "Basic realm=x"),
    });
    let remote = remote_with(known(&server));
    look(&remote, &repository(&server)).unwrap();
    look(&remote, &repository(&server)).unwrap();
    let anonymous = server.seen().iter().filter(|r| r.path() != "/v2/" && r.header("authorization").is_none()).count();
    assert_eq!(anonymous, 1);
}

#[test]
fn many_threads_fetch_one_token() {
    let server = with_tokens(|_| Reply::new(200).json(r#"{"token":"good","expires_in":3600}"#));
    let (remote, at) = (remote(), repository(&server));
    let done = AtomicUsize::new(0);
    std::thread::scope(|scope| {
        for _ in 0..16 {
            scope.spawn(|| {
                look(&remote, &at).unwrap();
                done.fetch_add(1, Ordering::SeqCst);
            });
        }
    });
    assert_eq!(done.into_inner(), 16);
    assert_eq!((remote.counters().of(Kind::Token), remote.counters().of(Kind::Ping)), (1, 1));
}

#[test]
fn a_place_that_refuses_the_credentials_fails_the_preflight() {
    let server = Server::new(|_| Reply::new(401).with("WWW-Authenticate", "Basic realm=x"));
    let fault = remote_with(known(&server)).place(&server.host()).unwrap_err();
    assert_eq!(fault.kind, FaultKind::Unauthorized);
    assert!(fault.what.contains("\"me\""), "{fault}");
}
