//! Manifests, tags and referrers: what is believed, and what is not.

use super::scripted::{Reply, Request, Server};
use super::{remote, repository, settings};
use airlift::model::descriptor::{Descriptor, MediaType};
use airlift::model::digest::Digest;
use airlift::model::fault::FaultKind;
use airlift::model::limits;
use airlift::model::port::{ImageSink, ImageSource, ManifestBytes};
use airlift::model::reference::{Reference, Tag};
use airlift::registry::{Kind, Remote, Settings};

const DOCUMENT: &[u8] = br#"{ "schemaVersion": 2, "config": {}, "layers": [] }"#;

fn tag(text: &str) -> Reference {
    Reference::Tag(text.parse().unwrap())
}

fn by_digest(bytes: &[u8]) -> Reference {
    Reference::Digest(Digest::of(bytes))
}

/// Answers `GET /v2/`, and everything else by `answer`.
fn open(answer: impl Fn(&Request) -> Reply + Send + Sync + 'static) -> Server {
    Server::new(move |r| if r.path() == "/v2/" { Reply::new(200) } else { answer(r) })
}

fn manifest_reply(bytes: &[u8]) -> Reply {
    Reply::new(200).with("Content-Type", MediaType::OCI_MANIFEST).body(bytes)
}

#[test]
fn a_manifest_comes_verbatim_and_all_four_types_are_asked_for() {
    let server = open(|_| manifest_reply(DOCUMENT).with("Docker-Content-Digest", Digest::of(b"a lie")));
    let found = remote().manifest(&repository(&server), &tag("v1")).unwrap();
    assert_eq!(
        found,
        ManifestBytes { descriptor: Descriptor::of(MediaType::OCI_MANIFEST, DOCUMENT), bytes: DOCUMENT.to_vec() }
    );
    let asked = server.seen().pop().unwrap();
    assert_eq!(asked.target, "/v2/apps/web/manifests/v1");
    for media_type in
        [MediaType::OCI_INDEX, MediaType::OCI_MANIFEST, MediaType::DOCKER_LIST, MediaType::DOCKER_MANIFEST]
    {
        assert!(asked.header("accept").unwrap().contains(media_type));
    }
    assert_eq!(asked.header("accept-encoding"), Some("identity"));
}

#[test]
fn bytes_that_do_not_match_the_digest_asked_for_are_damaged() {
    let server = open(|_| manifest_reply(b"{}").with("Docker-Content-Digest", Digest::of(DOCUMENT)));
    let fault = remote().manifest(&repository(&server), &by_digest(DOCUMENT)).unwrap_err();
    assert_eq!(fault.kind, FaultKind::Damaged);
    assert!(
        fault.what.contains(&Digest::of(DOCUMENT).to_string()) && fault.what.contains(&Digest::of(b"{}").to_string())
    );
}

#[test]
fn a_login_page_is_no_manifest() {
    let page = "<html>log in</html>";
    let server = open(move |_| Reply::new(200).with("Content-Type", "text/html").body(page));
    assert_eq!(remote().manifest(&repository(&server), &tag("v1")).unwrap_err().kind, FaultKind::Malformed);
    let server = open(move |_| Reply::new(200).body(page));
    assert_eq!(remote().manifest(&repository(&server), &tag("v1")).unwrap_err().kind, FaultKind::Malformed);
}

#[test]
fn an_encoded_manifest_is_refused() {
    let server = open(|_| manifest_reply(DOCUMENT).with("Content-Encoding", "gzip"));
    assert_eq!(remote().manifest(&repository(&server), &tag("v1")).unwrap_err().kind, FaultKind::Malformed);
}

#[test]
fn a_document_says_what_it_is_where_the_header_does_not() {
    let index = format!(r#"{{"mediaType":"{}","manifests":[]}}"#, MediaType::DOCKER_LIST);
    let server = open(move |_| Reply::new(200).json(&index));
    let found = remote().manifest(&repository(&server), &tag("v1")).unwrap();
    assert_eq!(found.descriptor.media_type.as_str(), MediaType::DOCKER_LIST);
}

#[test]
fn a_manifest_is_read_up_to_the_limit_and_not_a_byte_further() {
    let limit = usize::try_from(limits::MANIFEST_BYTES).unwrap();
    let server = open(move |r| manifest_reply(&vec![b' '; if r.target.ends_with("fits") { limit } else { limit + 1 }]));
    let remote = remote();
    let at = repository(&server);
    assert_eq!(remote.manifest(&at, &tag("fits")).unwrap().descriptor.size, limits::MANIFEST_BYTES);
    assert_eq!(remote.manifest(&at, &tag("too-large")).unwrap_err().kind, FaultKind::TooLarge);
}

#[test]
fn a_manifest_cut_short_is_read_again() {
    let server = open(|r| if r.before == 0 { manifest_reply(DOCUMENT).cut(10) } else { manifest_reply(DOCUMENT) });
    let remote = remote();
    assert_eq!(remote.manifest(&repository(&server), &tag("v1")).unwrap().bytes, DOCUMENT);
    assert_eq!((remote.counters().of(Kind::ManifestGet), remote.counters().repeated), (2, 1));
}

#[test]
fn what_is_not_there_is_none_to_a_look_and_missing_to_a_read() {
    let server = open(|_| Reply::new(404));
    let (remote, at) = (remote(), repository(&server));
    assert_eq!(remote.head(&at, &tag("v1")).unwrap(), None);
    assert_eq!(remote.manifest(&at, &tag("v1")).unwrap_err().kind, FaultKind::Missing);
}

#[test]
fn a_look_that_says_too_little_or_two_things_becomes_a_read() {
    let other = Digest::of(b"other");
    let own = Digest::of(DOCUMENT);
    let (a, b) = (own.clone(), other.clone());
    let server = open(move |r| {
        let whole = manifest_reply(DOCUMENT).with("Content-Length", DOCUMENT.len());
        match r.path().rsplit('/').next().unwrap() {
            "plain" => whole.with("Docker-Content-Digest", &a),
            "twice" => whole.with("Docker-Content-Digest", &a).with("Docker-Content-Digest", &b),
            "upper" => whole.with("Docker-Content-Digest", a.to_string().to_uppercase()),
            "odd" => whole.with("Docker-Content-Digest", "md5:00"),
            "405" if r.method == "HEAD" => Reply::new(405),
            _ => whole,
        }
    });
    let (remote, at) = (remote(), repository(&server));
    for (name, reads) in [("plain", 0), ("twice", 1), ("upper", 1), ("odd", 1), ("none", 1), ("405", 1)] {
        let found = remote.head(&at, &tag(name)).unwrap().unwrap();
        assert_eq!(found, Descriptor::of(MediaType::OCI_MANIFEST, DOCUMENT), "{name}");
        assert_eq!(server.count("GET", &format!("/v2/apps/web/manifests/{name}")), reads, "{name}");
    }
}

#[test]
fn a_look_by_digest_does_not_believe_another_digest() {
    let server =
        open(|_| manifest_reply(b"{}").with("Content-Length", 2).with("Docker-Content-Digest", Digest::of(b"{}")));
    let fault = remote().head(&repository(&server), &by_digest(DOCUMENT)).unwrap_err();
    assert_eq!(fault.kind, FaultKind::Damaged);
}

#[test]
fn tags_come_from_all_pages_sorted_and_once() {
    let server = open(|r| match r.query() {
        "n=1000" => Reply::new(200)
            .with("Link", r#"</v2/apps/web/tags/list?last=b&n=1000>; rel="next""#)
            .json(r#"{"name":"apps/web","tags":["v2","b"]}"#),
        "last=b&n=1000" => Reply::new(200)
            .with("Link", r#"<http://core:8080/v2/apps/web/tags/list?last=c>; rel="next""#)
            .json(r#"{"tags":["b","a"]}"#),
        "last=c" => Reply::new(200).json(r#"{"tags":null}"#),
        other => panic!("{other}"),
    });
    let tags = remote().tags(&repository(&server)).unwrap();
    assert_eq!(tags.iter().map(Tag::as_str).collect::<Vec<_>>(), ["a", "b", "v2"]);
}

#[test]
fn pages_that_go_astray_are_errors() {
    let astray = |link: &'static str| {
        let server =
            open(move |_| Reply::new(200).with("Link", format!("<{link}>; rel=next")).json(r#"{"tags":["a"]}"#));
        let fault = remote().tags(&repository(&server)).unwrap_err();
        (fault.kind, server.count("GET", "/v2/apps/web/tags"))
    };
    assert_eq!(astray("/v2/apps/web/tags/list?n=1000"), (FaultKind::TooLarge, 1));
    assert_eq!(astray("/v2/apps/web/tags/list?n=0"), (FaultKind::TooLarge, 2));
    assert_eq!(astray("http://other.example/list"), (FaultKind::Malformed, 1));
    assert_eq!(astray("http://169.254.169.254/latest"), (FaultKind::Malformed, 1));
}

#[test]
fn a_tag_that_is_none_is_an_error_and_not_left_out() {
    let server = open(|_| Reply::new(200).json(r#"{"tags":["v1","../x"]}"#));
    assert_eq!(remote().tags(&repository(&server)).unwrap_err().kind, FaultKind::Malformed);
    let server = open(|_| Reply::new(200).with("Content-Type", "text/html").body("<html></html>"));
    assert_eq!(remote().tags(&repository(&server)).unwrap_err().kind, FaultKind::Malformed);
    let server = open(|_| Reply::new(404));
    assert_eq!(remote().tags(&repository(&server)).unwrap_err().kind, FaultKind::Missing);
}

fn list(entries: &[&Descriptor]) -> String {
    serde_json::json!({"schemaVersion": 2, "mediaType": MediaType::OCI_INDEX, "manifests": entries}).to_string()
}

fn index_reply(body: &str) -> Reply {
    Reply::new(200).with("Content-Type", MediaType::OCI_INDEX).body(body)
}

#[test]
fn referrers_come_from_all_pages_of_the_api_sorted_by_digest() {
    let (a, b) = (Descriptor::of(MediaType::OCI_MANIFEST, b"a"), Descriptor::of(MediaType::OCI_MANIFEST, b"b"));
    let subject = Digest::of(DOCUMENT);
    let (first, second) = (list(&[&a, &b]), list(&[&b]));
    let server = open(move |r| match r.query() {
        "" => index_reply(&first).with("Link", r#"<?page=2>; rel="next""#),
        _ => index_reply(&second),
    });
    let found = remote().referrers(&repository(&server), &subject).unwrap();
    let mut expected = vec![a, b];
    expected.sort_by(|x, y| x.digest.cmp(&y.digest));
    assert_eq!(found, expected);
}

#[test]
fn only_a_404_of_the_api_leads_to_the_fallback_tag() {
    let subject = Digest::of(DOCUMENT);
    let entry = Descriptor::of(MediaType::OCI_MANIFEST, b"a");
    let listed = list(&[&entry]);
    let fallback = format!("/v2/apps/web/manifests/sha256-{}", subject.hex());
    let path = fallback.clone();
    let server = open(move |r| if r.path() == path { index_reply(&listed) } else { Reply::new(404) });
    assert_eq!(remote().referrers(&repository(&server), &subject).unwrap(), [entry]);

    for (status, kind) in [
        (401, FaultKind::Unauthorized),
        (403, FaultKind::Unauthorized),
        (405, FaultKind::Refused),
        (429, FaultKind::Unavailable),
        (500, FaultKind::Unavailable),
    ] {
        let server = open(move |_| Reply::new(status));
        let fault = remote().referrers(&repository(&server), &subject).unwrap_err();
        assert_eq!(fault.kind, kind, "{status}: {fault}");
        assert_eq!(server.count("GET", &fallback), 0, "{status}");
    }
}

#[test]
fn neither_api_nor_fallback_tag_means_none() {
    let server = open(|_| Reply::new(404));
    assert_eq!(remote().referrers(&repository(&server), &Digest::of(b"x")).unwrap(), []);
}

#[test]
fn an_answer_that_is_no_list_of_referrers_is_an_error() {
    let subject = Digest::of(DOCUMENT);
    for (media_type, body) in [
        ("text/html", "<html></html>"),
        (MediaType::OCI_MANIFEST, r#"{"manifests":[]}"#),
        (MediaType::OCI_INDEX, "{}"),
        (MediaType::OCI_INDEX, r#"{"mediaType":"application/vnd.oci.image.manifest.v1+json","manifests":[]}"#),
        (MediaType::OCI_INDEX, r#"{"manifests":[],"manifests":[]}"#),
        (MediaType::OCI_INDEX, ""),
    ] {
        let server = open(move |_| Reply::new(200).with("Content-Type", media_type).body(body));
        let fault = remote().referrers(&repository(&server), &subject).unwrap_err();
        assert_eq!(fault.kind, FaultKind::Malformed, "{body}");
    }
    let image = r#"{"config":{"mediaType":"x/y","digest":"sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855","size":0},"layers":[]}"#;
    let server =
        open(move |r| if r.path().contains("referrers") { Reply::new(404) } else { manifest_reply(image.as_bytes()) });
    assert_eq!(remote().referrers(&repository(&server), &subject).unwrap_err().kind, FaultKind::Malformed);
    let server = open(|r| if r.path().contains("referrers") { Reply::new(404) } else { Reply::new(403) });
    assert_eq!(remote().referrers(&repository(&server), &subject).unwrap_err().kind, FaultKind::Unauthorized);
}

fn document() -> ManifestBytes {
    ManifestBytes { descriptor: Descriptor::of(MediaType::OCI_MANIFEST, DOCUMENT), bytes: DOCUMENT.to_vec() }
}

#[test]
fn a_document_is_put_under_its_tag_or_its_digest_with_its_own_type() {
    let server = open(|_| Reply::new(201).with("Docker-Content-Digest", Digest::of(DOCUMENT)));
    let (remote, at) = (remote(), repository(&server));
    remote.put_manifest(&at, &document(), Some(&"v1".parse().unwrap())).unwrap();
    remote.put_manifest(&at, &document(), None).unwrap();
    let puts: Vec<_> = server.seen().into_iter().filter(|r| r.method == "PUT").collect();
    assert_eq!(puts[0].target, "/v2/apps/web/manifests/v1");
    assert_eq!(puts[1].target, format!("/v2/apps/web/manifests/{}", Digest::of(DOCUMENT)));
    assert_eq!((puts[0].header("content-type"), puts[0].body.as_slice()), (Some(MediaType::OCI_MANIFEST), DOCUMENT));
}

#[test]
fn a_registry_that_stored_something_else_is_not_believed() {
    let server = open(|_| Reply::new(201).with("Docker-Content-Digest", Digest::of(b"other")));
    let fault = remote().put_manifest(&repository(&server), &document(), None).unwrap_err();
    assert_eq!(fault.kind, FaultKind::Damaged);
}

#[test]
fn missing_content_is_named_after_a_short_patience() {
    let missing = r#"{"errors":[{"code":"MANIFEST_BLOB_UNKNOWN","message":"m","detail":"sha256:aa"}]}"#;
    let server = open(move |_| Reply::new(400).json(missing));
    let fault = remote().put_manifest(&repository(&server), &document(), None).unwrap_err();
    assert_eq!((fault.kind, fault.words.as_str()), (FaultKind::Missing, "MANIFEST_BLOB_UNKNOWN: sha256:aa"));
    assert_eq!(server.count("PUT", "/"), 3);
    let server = open(move |r| if r.before < 2 { Reply::new(400).json(missing) } else { Reply::new(201) });
    remote().put_manifest(&repository(&server), &document(), None).unwrap();
}

#[test]
fn an_immutable_tag_is_fine_where_it_names_the_same_document() {
    let precondition = r#"{"errors":[{"code":"PRECONDITION","message":"configured as immutable"}]}"#;
    let standing = |digest: Digest| {
        open(move |r| match r.method.as_str() {
            "PUT" => Reply::new(412).json(precondition),
            "HEAD" => manifest_reply(b"").with("Content-Length", DOCUMENT.len()).with("Docker-Content-Digest", &digest),
            _ => Reply::new(404),
        })
    };
    let (v1, same) = ("v1".parse().unwrap(), standing(Digest::of(DOCUMENT)));
    remote().put_manifest(&repository(&same), &document(), Some(&v1)).unwrap();
    let other = standing(Digest::of(b"other"));
    let fault = remote().put_manifest(&repository(&other), &document(), Some(&v1)).unwrap_err();
    assert_eq!(fault.kind, FaultKind::Refused);
    for digest in [Digest::of(DOCUMENT), Digest::of(b"other")] {
        assert!(fault.what.contains(&digest.to_string()), "{fault}");
    }
    assert!(fault.words.contains("immutable"));
}

#[test]
fn a_referrer_is_linked_by_tag_only_where_nothing_else_links_it() {
    let subject = Descriptor::of(MediaType::OCI_MANIFEST, b"subject");
    let config = Descriptor::of(MediaType::NOTATION_SIGNATURE, b"{}");
    let bytes = serde_json::json!({"schemaVersion": 2, "config": config, "layers": [], "subject": subject})
        .to_string()
        .into_bytes();
    let signature = ManifestBytes { descriptor: Descriptor::of(MediaType::OCI_MANIFEST, &bytes), bytes };

    let linking = open(|_| Reply::new(201).with("OCI-Subject", "x"));
    remote().put_manifest(&repository(&linking), &signature, None).unwrap();
    assert_eq!(linking.seen().len(), 2, "ping and one PUT");

    let empty = list(&[]);
    let with_api = open(move |r| if r.method == "PUT" { Reply::new(201) } else { index_reply(&empty) });
    remote().put_manifest(&repository(&with_api), &signature, None).unwrap();
    assert_eq!(with_api.count("PUT", "/"), 1);

    let without = open(|r| if r.method == "PUT" { Reply::new(201) } else { Reply::new(404) });
    let remote = Remote::new(Settings { retries: 0, ..settings() }).unwrap();
    remote.put_manifest(&repository(&without), &signature, None).unwrap();
    let put = without.seen().pop().unwrap();
    assert_eq!(put.target, format!("/v2/apps/web/manifests/sha256-{}", subject.digest.hex()));
    let index: serde_json::Value = serde_json::from_slice(&put.body).unwrap();
    assert_eq!(index["manifests"][0]["digest"], signature.descriptor.digest.to_string());
    assert_eq!(index["manifests"][0]["artifactType"], MediaType::NOTATION_SIGNATURE);
}
