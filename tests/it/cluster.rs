//! A live cluster, played by a server with TLS that knows tokens and certificates: what runs is read page by page, and
//! every refusal says what to do.

use crate::registry_client::paths::{Authority, authority, tls_config};
use crate::registry_client::scripted::{Reply, Request, Server};
use crate::stage::{Stage, base64_of, small};
use airlift::cluster::{Chosen, Cluster, KubeconfigError, Kubeconfigs};
use airlift::document::lock::Lock;
use airlift::model::running::{RunningDigest, RunningImage, RunningImages};
use airlift::model::{Fault, FaultKind, limits};
use serde_json::{Value, json};
use std::path::Path;

const TOKEN: &str = "token-canary-91bd";

/// A pod with one container, whose runtime says `id`.
fn pod(name: &str, image: &str, id: &str) -> Value {
    json!({
        "metadata": {"name": name, "namespace": "shop", "labels": {"pod-template-hash": "6d4f"},
                     "ownerReferences": [{"kind": "ReplicaSet", "name": format!("{name}-6d4f"), "controller": true}]},
        "spec": {"containers": [{"name": "web", "image": image}]},
        "status": {"phase": "Running", "containerStatuses": [{"name": "web", "image": image, "imageID": id}]},
    })
}

fn list(pods: &[Value], more: &str) -> Reply {
    Reply::new(200).json(
        &json!({"kind": "PodList", "apiVersion": "v1", "metadata": {"continue": more}, "items": pods}).to_string(),
    )
}

fn status(code: u16, message: &str) -> Reply {
    Reply::new(code).json(&json!({"kind": "Status", "status": "Failure", "message": message, "code": code}).to_string())
}

/// A server of the cluster that accepts one token.
fn api(authority: &Authority, answer: impl Fn(&Request) -> Reply + Send + Sync + 'static) -> Server {
    let (certificate, key) = authority.issue("127.0.0.1", |_| ());
    Server::with_tls(tls_config(&certificate, &key, None), move |request| {
        match request.header("authorization") == Some(&format!("Bearer {TOKEN}")) {
            true => answer(request),
            false => status(401, "Unauthorized"),
        }
    })
}

fn kubeconfig(server: &Server, authority: &Authority, user: &str) -> String {
    let ca = base64_of(&authority.pem());
    format!(
        "apiVersion: v1\nkind: Config\ncurrent-context: site\nclusters:\n- name: c\n  cluster: {{server: 'https://{}', \
         certificate-authority-data: {ca}}}\ncontexts:\n- name: site\n  context: {{cluster: c, user: u}}\nusers:\n- name: u\n  user: {user}\n",
        server.host()
    )
}

fn with_token() -> String {
    format!("{{token: {TOKEN}}}")
}

fn cluster(text: &str) -> Cluster {
    let files = Kubeconfigs::of_bytes(text.as_bytes(), Path::new("kube/config")).unwrap_or_else(|e| panic!("{e}"));
    Cluster::new(files.access(&Chosen::default()).unwrap_or_else(|e| panic!("{e}")), Vec::new()).unwrap()
}

fn running(server: &Server, authority: &Authority) -> Result<Vec<RunningImage>, Fault> {
    cluster(&kubeconfig(server, authority, &with_token())).running()
}

#[test]
fn pods_are_read_page_by_page_and_put_together() {
    let known = authority("kube");
    let sum = |c: &str| format!("sha256:{}", c.repeat(64));
    let (web, other) = (sum("a"), sum("b"));
    let server = api(&known, move |request| {
        assert_eq!((request.method.as_str(), request.path()), ("GET", "/api/v1/pods"));
        match request.query() {
            "limit=2" => list(
                &[
                    pod("a", "kiosk:1", &format!("docker.io/library/kiosk@{web}")),
                    pod("b", "kiosk:1", &format!("docker.io/library/kiosk@{web}")),
                ],
                "next=&1",
            ),
            "limit=2&continue=next%3D%261" => list(&[pod("c", "press:2", &other)], ""),
            other => panic!("{other}"),
        }
    });
    let found = cluster(&kubeconfig(&server, &known, &with_token())).with_page(2).running().unwrap();
    let shown: Vec<_> = found.iter().map(|image| (image.image.as_str(), image.places.len())).collect();
    assert_eq!(shown, [("kiosk:1", 2), ("press:2", 1)]);
    assert_eq!(found[0].digest, RunningDigest::Document(sum("a").parse().unwrap()));
    assert_eq!(found[1].digest, RunningDigest::Configuration(sum("b").parse().unwrap()));
    let place = &found[0].places[0];
    assert_eq!(
        (place.namespace.as_str(), place.workload.as_str(), place.container.as_str()),
        ("shop", "Deployment/a", "container web")
    );
}

#[test]
fn containers_of_every_kind_and_image_volumes_count() {
    let known = authority("kube");
    let all = json!({
        "metadata": {"name": "p", "namespace": "shop"},
        "spec": {
            "initContainers": [{"name": "i", "image": "init:1"}], "containers": [{"name": "c", "image": "main:1"}],
            "ephemeralContainers": [{"name": "e", "image": "debug:1"}], "volumes": [{"name": "v", "image": {"reference": "data:1"}}, {"name": "w", "emptyDir": {}}],
        },
        "status": {},
    });
    let server = api(&known, move |_| list(std::slice::from_ref(&all), ""));
    let found = running(&server, &known).unwrap();
    let shown: Vec<_> = found.iter().map(|image| (image.image.as_str(), image.places[0].container.as_str())).collect();
    let wanted = [
        ("data:1", "volume v"),
        ("debug:1", "ephemeral container e"),
        ("init:1", "init container i"),
        ("main:1", "container c"),
    ];
    assert_eq!(shown, wanted);
    assert_eq!(found[0].places[0].workload, "Pod/p");
}

#[test]
fn a_list_that_grew_too_old_is_begun_anew_and_a_busy_server_is_asked_again() {
    let known = authority("kube");
    let server = api(&known, |request| match (request.query().contains("continue"), request.before) {
        (false, 0) => Reply::new(429).with("Retry-After", 0),
        (false, _) => list(&[pod("a", "kiosk:1", "")], "x"),
        (true, 0) => status(410, "The provided continue parameter is too old"),
        (true, _) => list(&[], ""),
    });
    assert_eq!(running(&server, &known).unwrap().len(), 1);
    let always = api(&known, |request| match request.query().contains("continue") {
        false => list(&[], "x"),
        true => status(410, "too old"),
    });
    assert!(running(&always, &known).unwrap_err().what.contains("grew too old 3 times"));
    let endless = api(&known, |_| list(&[], "same"));
    assert!(running(&endless, &known).unwrap_err().what.contains("does not end"));
}

#[test]
fn refusals_say_who_may_not_and_what_would_help() {
    let known = authority("kube");
    let server = api(&known, |_| status(403, "pods is forbidden: User \"u\" cannot list resource \"pods\""));
    let fault = running(&server, &known).unwrap_err();
    assert_eq!(fault.kind, FaultKind::Unauthorized);
    assert!(fault.to_string().contains("user \"u\" may not list pods; it said: pods is forbidden"), "{fault}");
    assert!(fault.hint.contains("ClusterRole with the verb list on pods"), "{}", fault.hint);
    let wrong = cluster(&kubeconfig(&server, &known, "{token: wrong}")).running().unwrap_err();
    assert!(wrong.what.contains("credentials of user \"u\" are not accepted") && wrong.hint.contains("--token-file"));
    for (reply, said) in [
        (Reply::new(404).body("nope"), "is this the address of an API server"),
        (Reply::new(302).with("Location", "https://elsewhere.example/"), "sends us elsewhere"),
        (Reply::new(200).json("{\"kind\":\"NodeList\",\"items\":[]}"), "NodeList"),
        (Reply::new(200).body("<html>"), "no list of pods"),
        (Reply::new(418), "answers 418"),
    ] {
        let server = api(&known, move |_| reply.clone());
        let fault = running(&server, &known).unwrap_err();
        assert!(fault.what.contains(said), "{said}: {fault}");
    }
}

#[test]
fn a_page_is_read_up_to_the_limit() {
    let known = authority("kube");
    for (over, good) in [(0, true), (1, false)] {
        let server = api(&known, move |_| {
            let mut body = b"{\"kind\":\"PodList\",\"items\":[]}".to_vec();
            body.resize(limits::CLUSTER_PAGE_BYTES + over, b' ');
            Reply::new(200).body(body)
        });
        assert_eq!(running(&server, &known).is_ok(), good);
    }
}

#[test]
fn a_server_is_trusted_by_the_authority_of_the_kubeconfig_alone() {
    let (known, other) = (authority("kube"), authority("other"));
    let server = api(&known, |_| list(&[], ""));
    running(&server, &known).unwrap();
    let fault = running(&server, &other).unwrap_err();
    assert!(fault.what.contains("certificate is not trusted"), "{fault}");
    assert!(server.seen().iter().all(|request| request.header("authorization").is_some()));
    let text = kubeconfig(&server, &other, &with_token())
        .replace("cluster: {server", "cluster: {insecure-skip-tls-verify: true, server");
    let text = text.replace("certificate-authority-data", "x-data");
    cluster(&text).running().unwrap();
}

#[test]
fn the_certificate_may_be_for_another_name() {
    let known = authority("kube");
    let (certificate, key) = known.issue("kubernetes.example", |_| ());
    let server = Server::with_tls(tls_config(&certificate, &key, None), |_| list(&[], ""));
    assert!(running(&server, &known).is_err());
    let text = kubeconfig(&server, &known, &with_token());
    cluster(&text.replace("cluster: {server", "cluster: {tls-server-name: kubernetes.example, server"))
        .running()
        .unwrap();
}

#[test]
fn certificates_token_files_and_passwords_log_in() {
    let known = authority("kube");
    let (certificate, key) = known.issue("127.0.0.1", |_| ());
    let strict = Server::with_tls(tls_config(&certificate, &key, Some(&known)), |_| list(&[], ""));
    let (own, own_key) =
        known.issue("me", |p| p.extended_key_usages = vec![rcgen::ExtendedKeyUsagePurpose::ClientAuth]);
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("me.crt"), own.pem()).unwrap();
    std::fs::write(folder.path().join("me.key"), own_key.serialize_pem()).unwrap();
    std::fs::write(folder.path().join("token"), format!("{TOKEN}\n")).unwrap();
    let at = |server: &Server, user: &str| {
        let path = folder.path().join("config");
        std::fs::write(&path, kubeconfig(server, &known, user)).unwrap();
        Cluster::new(Kubeconfigs::read(&[path]).unwrap().access(&Chosen::default()).unwrap(), Vec::new())
            .unwrap()
            .running()
    };
    at(&strict, "{client-certificate: me.crt, client-key: me.key}").unwrap();
    let data = format!(
        "{{client-certificate-data: {}, client-key-data: {}}}",
        base64_of(own.pem().as_bytes()),
        base64_of(own_key.serialize_pem().as_bytes())
    );
    at(&strict, &data).unwrap();
    assert!(at(&strict, "{}").is_err());
    let server = api(&known, |_| list(&[], ""));
    at(&server, "{tokenFile: token}").unwrap();
    let basic =
        Server::with_tls(tls_config(&certificate, &key, None), |request| match request.header("authorization") {
            Some("Basic bWU6cHc=") => list(&[], ""),
            _ => status(401, ""),
        });
    at(&basic, "{username: me, password: pw}").unwrap();
    let acting =
        Server::with_tls(tls_config(&certificate, &key, None), |request| match request.header("impersonate-user") {
            Some("auditor") => list(&[], ""),
            _ => status(401, ""),
        });
    at(&acting, "{as: auditor, as-groups: [readers]}").unwrap();
}

fn refused(text: &str, chosen: &Chosen) -> String {
    let files = Kubeconfigs::of_bytes(text.as_bytes(), Path::new("kube/config"));
    match files.and_then(|files| files.access(chosen)) {
        Ok(access) => panic!("{}", access.context),
        Err(error) => error.to_string(),
    }
}

#[test]
fn a_kubeconfig_that_cannot_be_used_says_why_and_never_what_it_holds() {
    let base = "current-context: a\nclusters: [{name: c, cluster: {server: 'https://h.example:6443'}}]\ncontexts: [{name: a, context: {cluster: c, user: u}}]\nusers: [{name: u, user: {token: hunter2}}]\n";
    let other = Chosen { context: Some("b".to_owned()), ..Chosen::default() };
    assert!(refused(base, &other).contains("kube/config has no context \"b\"; it has a"));
    for (from, to, said) in [
        ("current-context: a\n", "", "no context is current in kube/config; choose one with --context: a"),
        ("cluster: c,", "cluster: d,", "has no cluster \"d\"; it has c"),
        ("user: u}", "user: v}", "has no user \"v\"; it has u"),
        ("https://h", "ftp://h", "kube/config:2: server of cluster \"c\": an address that begins with https://"),
        ("https://h", "http://h", "credentials are sent over https only"),
        (
            "server: 'https://h.example:6443'",
            "certificate-authority-data: '!'",
            "server of cluster \"c\": it is missing",
        ),
        (
            "6443'",
            "6443', certificate-authority-data: '!'",
            "certificate-authority-data of cluster \"c\": it is no base64",
        ),
        ("6443'", "6443', certificate-authority: gone.pem", "cannot read kube/gone.pem"),
        (
            "token: hunter2",
            "exec: {command: aws, args: [hunter2]}",
            "logs in through the program \"aws\", which is not run here",
        ),
        ("token: hunter2", "auth-provider: {name: oidc}", "logs in through the program \"oidc\""),
        ("token: hunter2", "client-certificate-data: aHVudGVyMg==", "client-key is missing beside it"),
        ("token: hunter2", "token: [hunter2", "kube/config:4:33: "),
        (base, "a: b\n", "kube/config is no kubeconfig"),
        (base, "", "kube/config is no kubeconfig"),
    ] {
        let error = refused(&base.replace(from, to), &Chosen::default());
        assert!(error.contains(said), "{said}: {error}");
        assert!(!error.contains("hunter2"), "{error}");
    }
    let missing = Kubeconfigs::read(&[Path::new("/nowhere/config").to_owned()]).err().unwrap();
    assert!(matches!(missing, KubeconfigError::Read { .. }));
}

#[test]
fn a_kubeconfig_and_a_token_file_end_at_the_limit() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("config");
    let base = "clusters: []\ncontexts: []\n#";
    for (over, good) in [(0, true), (1, false)] {
        let length = usize::try_from(limits::KUBECONFIG_BYTES).unwrap() + over;
        std::fs::write(&path, format!("{base}{}", "x".repeat(length - base.len()))).unwrap();
        assert_eq!(Kubeconfigs::read(std::slice::from_ref(&path)).is_ok(), good);
    }
}

#[test]
fn several_kubeconfigs_count_as_one() {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| {
        let path = folder.path().join(name);
        std::fs::write(&path, text).unwrap();
        path
    };
    let one =
        write("one", "current-context: x\ncontexts: [{name: x, context: {cluster: c, user: u, namespace: shop}}]\n");
    let two = write(
        "two",
        "current-context: y\nclusters: [{name: c, cluster: {server: 'https://h.example'}}]\nusers: [{name: u, user: {token: t}}]\n",
    );
    let gone = folder.path().join("gone");
    let access = Kubeconfigs::read(&[gone, one, two]).unwrap().access(&Chosen::default()).unwrap();
    assert_eq!((access.context.as_str(), access.namespace.as_deref()), ("x", Some("shop")));
}

/// A stage with a cluster that runs what `pods` says.
fn staged(pods: Vec<Value>) -> (Stage, Server) {
    let (stage, known) = (Stage::new(), authority("kube"));
    let server = api(&known, move |request| match request.path() {
        "/api/v1/pods" | "/api/v1/namespaces/shop/pods" => list(&pods, ""),
        _ => status(403, "no"),
    });
    std::fs::write(stage.path("auth-token"), TOKEN).unwrap();
    let text = kubeconfig(&server, &known, "{tokenFile: auth-token}");
    std::fs::write(stage.path("config"), text).unwrap();
    (stage, server)
}

#[test]
fn what_runs_becomes_a_lock_and_an_audit_finds_what_is_not_in_it() {
    let upstream = Stage::new();
    let (web, old) = (small(1), small(2));
    let reference = upstream.publish("press/web", "1", &web);
    let (digest, other) = (web.root().descriptor.digest.clone(), old.root().descriptor.digest.clone());
    let id = format!("{}@{digest}", reference.rsplit_once(':').unwrap().0);
    let (stage, _server) = staged(vec![pod("web", &reference, &id)]);
    let ran = stage.airlift(&["resolve", "--from-kubeconfig", "config", "--plain-http"]).expect(0);
    ran.says(&["pinned 1 artifact in airlift.lock"]);
    let lock = Lock::read(&std::fs::read(stage.path("airlift.lock")).unwrap(), "airlift.lock").unwrap();
    assert_eq!(lock.artifacts[0].digest, digest);
    assert_eq!(lock.artifacts[0].why, [["runs in the cluster of site", "shop/Deployment/web container web"]]);
    assert_eq!(lock.artifacts[0].destination.tag.as_ref().unwrap().as_str(), "1");
    stage
        .airlift(&["audit", "--from-kubeconfig", "config"])
        .expect(0)
        .says(&["everything that runs is in the lock: 1 of 1"]);

    let moved = format!("{}@{other}", reference.rsplit_once(':').unwrap().0);
    let pods = vec![pod("web", &reference, &moved), pod("new", "h.example/new:1", ""), pod("db", "h.example/db:1", "")];
    let (later, _server) = staged(pods);
    std::fs::copy(stage.path("airlift.lock"), later.path("airlift.lock")).unwrap();
    let ran = later.airlift(&["audit", "--from-kubeconfig", "config", "--namespace", "shop"]).expect(40);
    ran.says(&[
        "2 images run and are not in airlift.lock",
        "h.example/db:1",
        "1 image run with other content",
        "NOT good: 0 of 3",
    ]);
    let ran = later.airlift(&["audit", "--from-kubeconfig", "config", "-o", "json"]).expect(40);
    let found: Value = serde_json::from_str(&ran.stdout).unwrap();
    assert_eq!(found["missing"][0]["image"], "h.example/db:1");
    assert_eq!(found["differing"][0]["digest"], other.to_string());
    assert_eq!(found["differing"][0]["lockedDigest"], digest.to_string());
    assert_eq!(found["unused"], json!([]));
}

#[test]
fn a_cluster_that_cannot_be_asked_ends_with_the_number_of_its_reason() {
    let (stage, _server) = staged(Vec::new());
    std::fs::write(stage.path("airlift.lock"), Lock::new(Vec::new()).to_bytes()).unwrap();
    stage
        .airlift(&["audit", "--from-kubeconfig", "config", "--namespace", "other"])
        .expect(20)
        .says(&["may not list pods"]);
    stage.airlift(&["audit"]).expect(2).says(&["no cluster is named", "--from-kubeconfig"]);
    stage.airlift(&["audit", "--from-kubeconfig", "gone"]).expect(2).says(&["cannot read gone"]);
    stage
        .airlift(&["audit", "--from-kubeconfig", "config", "--context", "x"])
        .expect(2)
        .says(&["has no context \"x\"; it has site"]);
    stage
        .airlift(&["audit", "--from-kubeconfig", "config", "--namespace", "../x"])
        .expect(2)
        .says(&["is no name of a namespace"]);
    stage
        .airlift(&["resolve", "--from-kubeconfig", "config", "-f", "m.yaml"])
        .expect(2)
        .says(&["do not make one lock"]);
    stage.airlift(&["resolve"]).expect(2);
}
