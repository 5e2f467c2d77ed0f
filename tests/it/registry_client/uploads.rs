//! Uploads: nothing is committed unless it matched, and what broke is told truly.

use super::scripted::{Reply, Request, Server};
use super::{blob, noise, remote, repository, settings};
use airlift::model::descriptor::Descriptor;
use airlift::model::digest::Digest;
use airlift::model::fault::{Fault, FaultKind};
use airlift::model::port::{BlobSink, Projects};
use airlift::model::reference::Repository;
use airlift::registry::{Kind, Remote, Settings};
use std::io::Read;
use std::sync::atomic::{AtomicBool, Ordering};

const UPLOADS: &str = "/v2/apps/web/blobs/uploads/";

/// Begins uploads at `…/1?_state=a%2Fb==`; everything else is answered by `answer`.
fn open(answer: impl Fn(&Request) -> Reply + Send + Sync + 'static) -> Server {
    Server::new(move |r| match r.method.as_str() {
        "GET" if r.path() == "/v2/" => Reply::new(200),
        "POST" if r.target == UPLOADS => Reply::new(202).with("Location", format!("{UPLOADS}1?_state=a%2Fb==")),
        "DELETE" => Reply::new(204),
        _ => answer(r),
    })
}

fn created(request: &Request) -> Reply {
    let digest = request.query().rsplit_once("digest=").unwrap().1.replace("%3A", ":");
    Reply::new(201).with("Docker-Content-Digest", digest)
}

/// The registry's own check of what it got.
fn checked(request: &Request) -> Reply {
    let digest = request.query().rsplit_once("digest=").unwrap().1.replace("%3A", ":");
    if Digest::of(&request.body).to_string() == digest { created(request) } else { Reply::new(400) }
}

fn put(remote: &Remote, server: &Server, want: &Descriptor, content: &[u8]) -> Result<(), Fault> {
    remote.put(&repository(server), want, &mut &*content)
}

fn puts(server: &Server) -> Vec<Request> {
    server.seen().into_iter().filter(|r| r.method.ends_with("PUT")).collect()
}

#[test]
fn blobs_of_every_size_go_in_one_request_with_their_exact_length() {
    for size in [0, 1, 1000, 256 << 10, (256 << 10) + 1, 3_000_001] {
        let server = open(checked);
        let (remote, content) = (remote(), noise(size));
        put(&remote, &server, &blob(&content), &content).unwrap();
        let [only] = puts(&server).try_into().unwrap();
        let digest = blob(&content).digest.hex();
        assert_eq!(only.target, format!("{UPLOADS}1?_state=a%2Fb==&digest=sha256%3A{digest}"));
        assert_eq!(only.header("content-length").unwrap(), size.to_string());
        assert_eq!(only.header("content-type").unwrap(), "application/octet-stream");
        assert_eq!(only.header("transfer-encoding"), None);
        assert!(only.body == content);
        assert_eq!(remote.counters().sent, size as u64);
    }
}

#[test]
fn a_source_that_is_wrong_leaves_nothing() {
    for size in [1000, 1_000_000] {
        let good = noise(size);
        let mut flipped = good.clone();
        *flipped.last_mut().unwrap() ^= 1;
        let (short, long) = (good[..size - 1].to_vec(), [good.as_slice(), b"x"].concat());
        for (name, content) in [("flipped", flipped), ("short", short), ("long", long), ("empty", Vec::new())] {
            let server = open(created);
            let remote = remote();
            let fault = put(&remote, &server, &blob(&good), &content).unwrap_err();
            assert_eq!(fault.kind, FaultKind::Damaged, "{name} {fault}");
            assert!(puts(&server).iter().all(|r| r.method == "BROKEN PUT"), "{name}: a whole PUT was sent");
            assert!(remote.counters().sent < size as u64, "{name}: the last piece was sent");
        }
    }
}

struct Failing(usize);

impl Read for Failing {
    fn read(&mut self, into: &mut [u8]) -> std::io::Result<usize> {
        if self.0 == 0 {
            return Err(Fault::new(FaultKind::Unavailable, "upstream", "gone").into_io());
        }
        let n = into.len().min(self.0);
        into[..n].fill(7);
        self.0 -= n;
        Ok(n)
    }
}

#[test]
fn a_source_that_fails_gives_its_own_fault_and_cancels_the_upload() {
    for size in [10, 900_000] {
        let server = open(created);
        let fault = remote().put(&repository(&server), &blob(&vec![7; 1_000_000]), &mut Failing(size)).unwrap_err();
        assert_eq!((fault.kind, fault.place.as_str()), (FaultKind::Unavailable, "upstream"));
        assert_eq!(server.count("DELETE", UPLOADS), 1);
    }
}

#[test]
fn an_upload_location_with_another_host_is_put_right() {
    for location in [
        "http://core:8080/v2/apps/web/blobs/uploads/1?_state=a%2Fb==",
        "https://127.0.0.1:1/v2/apps/web/blobs/uploads/1?_state=a%2Fb==",
    ] {
        let server = Server::new(move |r| match r.method.as_str() {
            "GET" => Reply::new(200),
            "POST" => Reply::new(202).with("Location", location),
            _ => checked(r),
        });
        put(&remote(), &server, &blob(b"x"), b"x").unwrap();
        assert!(puts(&server)[0].target.starts_with("/v2/apps/web/blobs/uploads/1?_state=a%2Fb==&digest="));
    }
}

#[test]
fn a_store_behind_the_registry_takes_the_blob_without_credentials() {
    let store = Server::new(|r| if r.method == "PUT" { created(r) } else { Reply::new(200) });
    let address = store.url("/bucket/1?sig=x%2By");
    let server = Server::new(move |r| match (r.method.as_str(), r.header("authorization")) {
        (_, None) => Reply::new(401).with("WWW-Authenticate", "Basic realm=x"),
        ("POST", _) => Reply::new(202).with("Location", &address),
        _ => Reply::new(200),
    });
    let credentials = airlift::registry::Credentials::default().with_basic(&server.host(), "me", "hunter2".to_owned());
    let remote = Remote::new(Settings { credentials, ..settings() }).unwrap();
    put(&remote, &server, &blob(b"x"), b"x").unwrap();
    let [only] = store.seen().try_into().unwrap();
    assert_eq!(only.header("authorization"), None);
    assert!(only.target.starts_with("/bucket/1?sig=x%2By&digest="));
}

#[test]
fn pieces_follow_the_locations_and_end_with_an_empty_request() {
    let server = open(|r| match r.method.as_str() {
        "PATCH" => {
            let end = r.header("content-range").unwrap().split_once('-').unwrap().1.to_owned();
            Reply::new(202).with("Location", format!("{UPLOADS}1?_state={end}")).with("Range", format!("0-{end}"))
        }
        _ => created(r),
    });
    let content = noise(1_000_000);
    let remote = Remote::new(Settings { chunk: Some(400_000), ..settings() }).unwrap();
    put(&remote, &server, &blob(&content), &content).unwrap();
    let patches: Vec<_> = server.seen().into_iter().filter(|r| r.method == "PATCH").collect();
    let ranges: Vec<_> = patches.iter().map(|r| r.header("content-range").unwrap()).collect();
    assert_eq!(ranges, ["0-399999", "400000-799999", "800000-999999"]);
    assert!(patches[1].target.ends_with("?_state=399999"));
    assert!(patches.iter().flat_map(|r| r.body.clone()).collect::<Vec<_>>() == content);
    let [closing] = puts(&server).try_into().unwrap();
    assert_eq!(closing.body, b"");
    assert!(closing.target.contains("?_state=999999&digest=sha256%3A"));
}

#[test]
fn the_least_size_of_pieces_is_heeded_and_a_wrong_source_is_not_closed() {
    let server = Server::new(|r| match r.method.as_str() {
        "GET" => Reply::new(200),
        "POST" => Reply::new(202).with("Location", format!("{UPLOADS}1")).with("OCI-Chunk-Min-Length", 600_000),
        "PATCH" => Reply::new(202).with("Location", format!("{UPLOADS}2")),
        "DELETE" => Reply::new(204),
        _ => created(r),
    });
    let remote = Remote::new(Settings { chunk: Some(10), ..settings() }).unwrap();
    let content = noise(1_000_000);
    let fault = put(&remote, &server, &blob(&noise(1_000_001)), &[&content[..], b"x"].concat()).unwrap_err();
    assert_eq!(fault.kind, FaultKind::Damaged);
    assert_eq!((server.count("PATCH", UPLOADS), puts(&server).len(), server.count("DELETE", UPLOADS)), (2, 0, 1));
}

#[test]
fn a_piece_whose_answer_was_lost_is_not_sent_twice() {
    for arrived in [true, false] {
        let server = open(move |r| match r.method.as_str() {
            "PATCH" if r.target.ends_with("==") => Reply::new(502).body("<html>bad gateway</html>"),
            "GET" if arrived => Reply::new(204).with("Range", "0-399999").with("Location", format!("{UPLOADS}2")),
            "GET" => Reply::new(204).with("Range", "0-0").with("Location", format!("{UPLOADS}3")),
            "PATCH" => Reply::new(202).with("Location", format!("{UPLOADS}2")),
            _ => created(r),
        });
        let content = noise(800_000);
        let remote = Remote::new(Settings { chunk: Some(400_000), ..settings() }).unwrap();
        put(&remote, &server, &blob(&content), &content).unwrap();
        assert_eq!(server.count("PATCH", UPLOADS), if arrived { 2 } else { 3 });
    }
}

#[test]
fn an_upload_whose_answer_was_lost_is_looked_up() {
    for size in [10, 1_000_000] {
        let server = open(move |r| match r.method.as_str() {
            "PUT" => Reply::new(504).with("Content-Type", "text/html").body("<html>gateway timeout</html>"),
            "HEAD" if r.before < 2 => Reply::new(404),
            "HEAD" => Reply::new(200).with("Content-Length", size),
            _ => Reply::new(500),
        });
        let content = noise(size);
        put(&remote(), &server, &blob(&content), &content).unwrap();
        // A small one is at hand and is sent again sooner than it is waited for.
        let sent = if size == 10 { 2 } else { 1 };
        assert_eq!((puts(&server).len(), server.count("HEAD", "/")), (sent, 3));
    }
}

#[test]
fn an_upload_that_the_registry_forgot_may_have_arrived_or_begins_anew() {
    let unknown = r#"{"errors":[{"code":"BLOB_UPLOAD_UNKNOWN","message":"blob upload unknown to registry"}]}"#;
    let content = noise(1_000_000);
    for there in [true, false] {
        let server = open(move |r| match r.method.as_str() {
            "PUT" => Reply::new(404).json(unknown),
            "HEAD" if there => Reply::new(200).with("Content-Length", 1_000_000),
            _ => Reply::new(404),
        });
        let outcome = put(&remote(), &server, &blob(&content), &content);
        match there {
            true => outcome.unwrap(),
            false => {
                let fault = outcome.unwrap_err();
                assert_eq!(fault.kind, FaultKind::Unavailable, "{fault}");
                assert!(fault.hint.contains("anew") && fault.words.contains("BLOB_UPLOAD_UNKNOWN"));
            }
        }
    }
    // A blob at hand is sent again without the caller.
    let server = open(move |r| match r.method.as_str() {
        "PUT" if puts_before(r) => created(r),
        _ => Reply::new(404).json(unknown),
    });
    put(&remote(), &server, &blob(b"small"), b"small").unwrap();
    assert_eq!(server.count("POST", UPLOADS), 2);
}

fn puts_before(request: &Request) -> bool {
    request.before > 0
}

#[test]
fn a_connection_lost_in_the_middle_is_worth_another_upload() {
    let first = AtomicBool::new(true);
    let server = Server::with_early(
        move |r| (r.method == "PUT" && first.swap(false, Ordering::SeqCst)).then(|| Reply::raw(b"")),
        |r| match r.method.as_str() {
            "POST" => Reply::new(202).with("Location", format!("{UPLOADS}1")),
            "PUT" => checked(r),
            "HEAD" => Reply::new(404),
            _ => Reply::new(200),
        },
    );
    let (remote, content) = (remote(), noise(20_000_000));
    let fault = put(&remote, &server, &blob(&content), &content).unwrap_err();
    assert_eq!(fault.kind, FaultKind::Unavailable, "{fault}");
    put(&remote, &server, &blob(&content), &content).unwrap();
}

#[test]
fn an_early_refusal_is_heard_while_the_body_is_still_going() {
    let quota = r#"{"errors":[{"code":"DENIED","message":"adding 19.1 MiB of storage resource, which when updated to current usage of 5 MiB will exceed the configured upper limit of 12.0 MiB."}]}"#;
    let server = Server::with_early(
        move |r| (r.method == "PUT").then(|| Reply::new(403).json(quota)),
        |r| match r.method.as_str() {
            "POST" => Reply::new(202).with("Location", format!("{UPLOADS}1")),
            _ => Reply::new(200),
        },
    );
    let content = noise(20_000_000);
    let fault = put(&remote(), &server, &blob(&content), &content).unwrap_err();
    assert_eq!(fault.kind, FaultKind::Refused, "{fault}");
    assert!(fault.what.contains("quota") && fault.words.contains("12.0 MiB"), "{fault}");
}

#[test]
fn a_body_limit_on_the_way_is_tried_once_in_pieces() {
    let page = "<html><head><title>413 Request Entity Too Large</title></head></html>";
    let limit = |r: &Request| r.header("content-length").is_some_and(|n| n.parse::<usize>().unwrap() > 1 << 20);
    let server = Server::with_early(
        move |r| limit(r).then(|| Reply::new(413).with("Content-Type", "text/html").body(page)),
        |r| match r.method.as_str() {
            "POST" | "PATCH" => Reply::new(202).with("Location", format!("{UPLOADS}1")),
            "PUT" => created(r),
            _ => Reply::new(200),
        },
    );
    let (remote, content) = (remote(), noise(3_000_000));
    let fault = put(&remote, &server, &blob(&content), &content).unwrap_err();
    assert_eq!(fault.kind, FaultKind::Unavailable);
    assert!(fault.what.contains("pieces") && fault.hint.contains("proxy in front"), "{fault}");
    put(&remote, &server, &blob(&content), &content).unwrap();
    assert_eq!(remote.counters().of(Kind::UploadPatch), 3);

    let strict = Server::with_early(
        move |r| r.header("content-length").is_some_and(|n| n != "0").then(|| Reply::new(413).body(page)),
        |r| if r.method == "POST" { Reply::new(202).with("Location", format!("{UPLOADS}1")) } else { Reply::new(200) },
    );
    let faults: Vec<_> = (0..2).map(|_| put(&remote, &strict, &blob(&content), &content).unwrap_err().kind).collect();
    assert_eq!(faults, [FaultKind::Unavailable, FaultKind::Refused]);
}

#[test]
fn a_mount_is_believed_only_after_a_look() {
    let from = |server: &Server| Repository::new(&server.host(), "base/os").unwrap();
    let mounted = |post: u16, head: u16| {
        let server = open(move |r| match r.method.as_str() {
            "POST" => Reply::new(post).with("Location", format!("{UPLOADS}9?_state=m")),
            "HEAD" => Reply::new(head).with("Content-Length", 1),
            _ => checked(r),
        });
        let remote = remote();
        let outcome = remote.mount(&repository(&server), &blob(b"x"), &from(&server));
        (outcome.map_err(|f| f.kind), server, remote)
    };
    assert_eq!(mounted(201, 200).0, Ok(true));
    assert_eq!(mounted(201, 404).0, Ok(false));
    for status in [400, 401, 403, 404, 405] {
        assert_eq!(mounted(status, 404).0, Ok(false), "{status}");
    }
    assert_eq!(mounted(500, 404).0, Err(FaultKind::Unavailable));

    let (outcome, server, remote) = mounted(202, 404);
    assert_eq!(outcome, Ok(false));
    let asked = server.seen().into_iter().find(|r| r.method == "POST").unwrap();
    let digest = blob(b"x").digest.hex();
    assert_eq!(asked.target, format!("{UPLOADS}?mount=sha256%3A{digest}&from=base%2Fos"));
    // The upload that the registry began instead is used, not left behind.
    put(&remote, &server, &blob(b"x"), b"x").unwrap();
    assert_eq!(server.count("POST", UPLOADS), 1);
    assert!(puts(&server)[0].target.starts_with(&format!("{UPLOADS}9?_state=m&digest=")));
    assert!(
        !remote.mount(&repository(&server), &blob(b"x"), &Repository::new("other.example", "a/b").unwrap()).unwrap()
    );
}

#[test]
fn whether_a_push_is_allowed_is_tried_and_leaves_nothing() {
    let server = open(|_| Reply::new(404));
    remote().may_push(&repository(&server)).unwrap();
    assert_eq!((server.count("POST", UPLOADS), server.count("DELETE", UPLOADS)), (1, 1));
    let server = Server::new(|r| match r.method.as_str() {
        "POST" => Reply::new(403).json(r#"{"errors":[{"code":"DENIED","message":"not you"}]}"#),
        "GET" if r.path() == "/v2/" => Reply::new(200),
        _ => Reply::new(404),
    });
    let fault = remote().may_push(&repository(&server)).unwrap_err();
    assert_eq!((fault.kind, fault.words.as_str()), (FaultKind::Unauthorized, "DENIED: not you"));
}

#[test]
fn a_registry_that_stored_another_blob_is_not_believed() {
    let server = open(|_| Reply::new(201).with("Docker-Content-Digest", Digest::of(b"other")));
    assert_eq!(put(&remote(), &server, &blob(b"x"), b"x").unwrap_err().kind, FaultKind::Damaged);
}
