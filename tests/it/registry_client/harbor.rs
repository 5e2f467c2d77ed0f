//! Harbor's REST interface in a preflight, and its ways to refuse.

use super::scripted::{Reply, Request, Server};
use super::{blob, remote, repository, settings};
use airlift::model::descriptor::{Descriptor, MediaType};
use airlift::model::digest::Digest;
use airlift::model::fault::FaultKind;
use airlift::model::port::{BlobSink, ImageSink, ImageSource, ManifestBytes, Projects};
use airlift::model::reference::{Reference, Repository};
use airlift::registry::{Credentials, Kind, Remote, Settings};
use std::sync::{Arc, OnceLock};

/// `me:secret`.
const BASIC: &str = "Basic bWU6c2VjcmV0";

const INFO: &str = r#"{"auth_mode":"db_auth","harbor_version":"v2.14.3-1a2b3c","external_url":"https://harbor.example","read_only":false}"#;

fn error(status: u16, code: &str, message: &str) -> Reply {
    Reply::new(status).json(&format!("{{\"errors\":[{{\"code\":\"{code}\",\"message\":\"{message}\"}}]}}\n"))
}

/// A Harbor: asks for a token, takes Basic; what is not about the door is answered by `answer`.
fn harbor(answer: impl Fn(&Request) -> Reply + Send + Sync + 'static) -> (Server, Remote) {
    let own = Arc::new(OnceLock::<String>::new());
    let realm = own.clone();
    let server = Server::new(move |r| {
        let challenge = format!(r#"Bearer realm="{}",service="harbor-registry""#, realm.get().unwrap());
        match (r.path(), r.header("authorization")) {
            ("/v2/", Some(BASIC)) => Reply::new(200),
            ("/v2/", Some(_)) => {
                error(401, "UNAUTHORIZED", "unauthorized").with("WWW-Authenticate", "Basic realm=\"harbor\"")
            }
            ("/v2/", None) => error(401, "UNAUTHORIZED", "unauthorized").with("WWW-Authenticate", challenge),
            ("/api/v2.0/systeminfo", _) => Reply::new(200).json(INFO),
            _ => answer(r),
        }
    });
    own.set(server.url("/service/token")).unwrap();
    let remote = Remote::new(with_credentials(&server)).unwrap();
    (server, remote)
}

fn with_credentials(server: &Server) -> Settings {
    let credentials = Credentials::default().with_basic(&server.host(), "me", "secret".to_owned());
    Settings { credentials, ..settings() }
}

#[test]
fn a_harbor_is_recognised_with_its_version_and_its_mistaken_address() {
    let (server, remote) = harbor(|_| Reply::new(404));
    let place = remote.place(&server.host()).unwrap();
    assert_eq!((place.product.as_str(), place.read_only, place.manifest_limit), ("Harbor 2.14.3", false, 4 << 20));
    assert!(place.notes.len() == 1 && place.notes[0].contains("https://harbor.example"), "{:?}", place.notes);
    assert!(
        server.seen().iter().filter(|r| r.path().starts_with("/api")).all(|r| r.header("authorization") == Some(BASIC))
    );
}

#[test]
fn what_only_looks_like_a_harbor_is_a_plain_registry() {
    for reply in [
        Reply::new(200).with("Content-Type", "text/html").body("<html>"),
        Reply::new(200).json("{}"),
        Reply::new(404),
        Reply::new(401),
        Reply::new(302).with("Location", "/login"),
    ] {
        let server = Server::new(move |r| if r.path() == "/v2/" { Reply::new(200) } else { reply.clone() });
        assert_eq!(remote().place(&server.host()).unwrap().product, "OCI registry");
        let state = remote().project(&repository(&server)).unwrap().unwrap();
        assert_eq!((state.quota, state.used, state.proxy), (None, 0, false));
        remote().create(&repository(&server)).unwrap();
    }
}

#[test]
fn a_project_tells_its_quota_and_its_gates() {
    let (server, remote) = harbor(|r| match (r.method.as_str(), r.target.as_str()) {
        ("HEAD", "/api/v2.0/projects?project_name=apps") => Reply::new(200),
        ("GET", "/api/v2.0/projects/apps") => {
            Reply::new(200).json(r#"{"project_id":7,"name":"apps","metadata":{"prevent_vul":"true"}}"#)
        }
        ("GET", "/api/v2.0/projects/apps/summary") => {
            Reply::new(200).json(r#"{"repo_count":1,"quota":{"hard":{"storage":1000},"used":{"storage":300}}}"#)
        }
        _ => Reply::new(404),
    });
    let state = remote.project(&repository(&server)).unwrap().unwrap();
    assert_eq!((state.quota, state.used, state.proxy), (Some(1000), 300, false));
    assert!(state.notes[0].contains("set severity"));
    assert!(
        server
            .seen()
            .iter()
            .filter(|r| r.path().contains("projects"))
            .all(|r| r.header("x-is-resource-name") == Some("true"))
    );
    assert_eq!(remote.project(&Repository::new(&server.host(), "none/x").unwrap()).unwrap(), None);
}

#[test]
fn unlimited_proxied_and_hidden_projects_are_told_apart() {
    let (server, remote) = harbor(|r| match (r.method.as_str(), r.path()) {
        ("HEAD", _) => Reply::new(200),
        (_, "/api/v2.0/projects/apps") => Reply::new(200).json(r#"{"project_id":7,"registry_id":3,"metadata":{}}"#),
        (_, "/api/v2.0/projects/apps/summary") => {
            Reply::new(200).json(r#"{"quota":{"hard":{"storage":-1},"used":{"storage":5}}}"#)
        }
        _ => error(403, "FORBIDDEN", "forbidden"),
    });
    let state = remote.project(&repository(&server)).unwrap().unwrap();
    assert_eq!((state.quota, state.used, state.proxy), (None, 5, true));
    let hidden = remote.project(&Repository::new(&server.host(), "hidden/x").unwrap()).unwrap().unwrap();
    assert_eq!((hidden.quota, hidden.notes.len()), (None, 2));
}

#[test]
fn a_project_is_created_private_and_one_that_exists_is_fine() {
    let (server, remote) = harbor(|r| match r.before {
        0 => Reply::new(201),
        1 => error(409, "CONFLICT", "The project named apps already exists"),
        _ => error(403, "FORBIDDEN", "forbidden"),
    });
    let at = repository(&server);
    remote.create(&at).unwrap();
    remote.create(&at).unwrap();
    let fault = remote.create(&at).unwrap_err();
    assert_eq!(fault.kind, FaultKind::Unauthorized);
    assert!(fault.hint.contains("robot of one project"), "{}", fault.hint);
    let asked = server.seen().into_iter().find(|r| r.method == "POST").unwrap();
    let body: serde_json::Value = serde_json::from_slice(&asked.body).unwrap();
    assert_eq!(body, serde_json::json!({"project_name": "apps", "metadata": {"public": "false"}}));
}

#[test]
fn the_right_to_push_is_read_from_the_rights() {
    let rights = |list: &'static str| {
        let (server, remote) = harbor(move |r| match r.target.as_str() {
            "/api/v2.0/projects/apps" => Reply::new(200).json(r#"{"project_id":7}"#),
            "/api/v2.0/users/current/permissions?scope=%2Fproject%2F7&relative=true" => Reply::new(200).json(list),
            _ => Reply::new(500),
        });
        (remote.may_push(&repository(&server)), server)
    };
    let (good, server) =
        rights(r#"[{"resource":"repository","action":"pull"},{"resource":"repository","action":"push"}]"#);
    good.unwrap();
    assert_eq!(server.count("POST", "/"), 0);
    let fault = rights(r#"[{"resource":"repository","action":"pull"}]"#).0.unwrap_err();
    assert_eq!(fault.kind, FaultKind::Unauthorized);
    assert!(fault.what.contains("repository:push"), "{fault}");
}

#[test]
fn without_the_right_to_read_rights_a_push_is_tried() {
    let (server, remote) = harbor(|r| match r.method.as_str() {
        "POST" => Reply::new(202).with("Location", "/v2/apps/web/blobs/uploads/1?_state=x"),
        "DELETE" => error(401, "UNAUTHORIZED", "unauthorized to access repository: apps/web, action: delete"),
        _ => error(403, "FORBIDDEN", "forbidden"),
    });
    remote.may_push(&repository(&server)).unwrap();
    assert_eq!(remote.counters().of(Kind::UploadCancel), 1);
}

#[test]
fn a_missing_project_is_said_so_and_holds_nothing() {
    let (server, remote) =
        harbor(|_| error(401, "UNAUTHORIZED", "project apps not found").with("WWW-Authenticate", ""));
    let at = repository(&server);
    let fault = remote.put(&at, &blob(b"x"), &mut &b"x"[..]).unwrap_err();
    assert_eq!(fault.kind, FaultKind::Missing);
    assert!(fault.what.contains("the project does not exist") && fault.hint.contains("--create-projects"), "{fault:?}");
    assert!(fault.words.contains("project apps not found"));
    assert!(!remote.has(&at, &blob(b"x")).unwrap());
    assert_eq!(remote.head(&at, &Reference::Tag("v1".parse().unwrap())).unwrap(), None);
}

#[test]
fn denials_keep_harbors_words() {
    for (message, expected) in [
        (
            "adding 10.0 MiB of storage resource, which when updated to current usage of 15.0 MiB will exceed the configured upper limit of 12.0 MiB.",
            "quota",
        ),
        ("The system is in read only mode. Any modification is prohibited.", "read-only"),
        ("can not push artifact to a proxy project", "proxy cache"),
    ] {
        let (server, remote) = harbor(move |_| error(403, "DENIED", message));
        let fault = remote.put(&repository(&server), &blob(b"x"), &mut &b"x"[..]).unwrap_err();
        assert_eq!(fault.kind, FaultKind::Refused, "{fault}");
        assert!(fault.what.contains(expected) && fault.words.contains(message), "{fault}");
        assert_eq!(server.count("POST", "/"), 1, "a denial was tried again");
    }
}

#[test]
fn an_image_behind_a_policy_is_found_through_rest() {
    let digest = Digest::of(b"document");
    let shown = digest.clone();
    let (server, remote) = harbor(move |r| match r.path() {
        "/v2/apps/team/web/manifests/v1" | "/v2/apps/team/web/manifests/v2" => {
            error(412, "PROJECTPOLICYVIOLATION", "current image without vulnerability scanning cannot be pulled")
        }
        "/api/v2.0/projects/apps/repositories/team%252Fweb/artifacts/v1" => Reply::new(200)
            .json(&format!(r#"{{"digest":"{shown}","manifest_media_type":"{}","size":9999}}"#, MediaType::OCI_INDEX)),
        "/api/v2.0/projects/apps/repositories/team%252Fweb/artifacts/v2" => {
            error(404, "NOT_FOUND", "artifact not found")
        }
        _ => Reply::new(500),
    });
    let at = Repository::new(&server.host(), "apps/team/web").unwrap();
    let v1 = Reference::Tag("v1".parse().unwrap());
    let found = remote.head(&at, &v1).unwrap().unwrap();
    assert_eq!((found.digest, found.media_type.as_str(), found.size), (digest, MediaType::OCI_INDEX, 0));
    assert_eq!(remote.head(&at, &Reference::Tag("v2".parse().unwrap())).unwrap(), None);
    let fault = remote.manifest(&at, &v1).unwrap_err();
    assert!(fault.kind == FaultKind::Refused && fault.words.contains("vulnerability scanning"), "{fault}");
}

#[test]
fn an_immutable_tag_is_compared_through_rest() {
    let document = ManifestBytes { descriptor: Descriptor::of(MediaType::OCI_MANIFEST, b"{}"), bytes: b"{}".to_vec() };
    let put = |standing: Digest| {
        let (server, remote) = harbor(move |r| match (r.method.as_str(), r.path()) {
            ("PUT", _) => {
                error(412, "PRECONDITION", "Failed to process request due to 'web:v1' configured as immutable.")
            }
            (_, "/api/v2.0/projects/apps/repositories/web/artifacts/v1") => {
                Reply::new(200).json(&format!(r#"{{"digest":"{standing}"}}"#))
            }
            _ => error(412, "PROJECTPOLICYVIOLATION", "not scanned"),
        });
        remote.put_manifest(&repository(&server), &document, Some(&"v1".parse().unwrap()))
    };
    put(document.descriptor.digest.clone()).unwrap();
    let other = Digest::of(b"other");
    let fault = put(other.clone()).unwrap_err();
    assert_eq!(fault.kind, FaultKind::Refused);
    assert!(fault.what.contains(&other.to_string()) && fault.words.contains("immutable"), "{fault}");
}

#[test]
fn a_harbor_that_restarts_is_waited_for() {
    let (server, remote) = harbor(|r| match r.before {
        0 => Reply::new(502).with("Content-Type", "text/html").body("<html>bad gateway</html>"),
        1 => Reply::new(503),
        _ => Reply::new(200).with("Content-Length", 1),
    });
    assert!(remote.has(&repository(&server), &blob(b"x")).unwrap());
}

#[test]
fn garbage_collection_is_no_missing_blob() {
    let (server, _) = harbor(|r| match r.method.as_str() {
        "POST" => Reply::new(202).with("Location", "/v2/apps/web/blobs/uploads/1?_state=x"),
        "PUT" => error(404, "NOT_FOUND", "the asking blob is in GC, mark it as non existing"),
        _ => Reply::new(404),
    });
    let remote = Remote::new(Settings { retries: 0, ..with_credentials(&server) }).unwrap();
    let fault = remote.put(&repository(&server), &blob(b"x"), &mut &b"x"[..]).unwrap_err();
    assert_eq!(fault.kind, FaultKind::Unavailable, "{fault}");
    assert!(fault.what.contains("collecting garbage"), "{fault}");
}
