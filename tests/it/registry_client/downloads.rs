//! Downloads: they go on where they broke off, and give up in bounded time.

use super::scripted::{Reply, Request, Server};
use super::{blob, noise, remote, repository, settings};
use airlift::model::descriptor::Descriptor;
use airlift::model::fault::{Fault, FaultKind};
use airlift::model::port::{BlobSink, BlobSource};
use airlift::registry::{Kind, Remote, Settings, Timeouts};
use std::io::Read;
use std::time::Duration;

fn open(answer: impl Fn(&Request) -> Reply + Send + Sync + 'static) -> Server {
    Server::new(move |r| if r.path() == "/v2/" { Reply::new(200) } else { answer(r) })
}

fn read(remote: &Remote, server: &Server, want: &Descriptor, from: u64) -> Result<Vec<u8>, Fault> {
    let mut got = Vec::new();
    let mut reader = remote.open(&repository(server), want, from)?;
    reader.read_to_end(&mut got).map_err(|e| Fault::from_io(e, "", ""))?;
    Ok(got)
}

/// Returns the start of a range request.
fn start(request: &Request) -> Option<usize> {
    request.header("range")?.strip_prefix("bytes=")?.strip_suffix('-')?.parse().ok()
}

/// Answers as an honest server does.
fn honest(request: &Request, content: &[u8]) -> Reply {
    match start(request) {
        None => Reply::new(200).body(content).with("ETag", "\"x\""),
        Some(from) => {
            let range = format!("bytes {from}-{}/{}", content.len() - 1, content.len());
            Reply::new(206).with("Content-Range", range).body(&content[from..])
        }
    }
}

#[test]
fn a_download_that_breaks_goes_on_where_it_stood() {
    let content = noise(100_000);
    let served = content.clone();
    let server = open(move |r| match start(r) {
        None => honest(r, &served).cut(30_000),
        Some(30_000) => honest(r, &served).cut(20_000),
        Some(_) => honest(r, &served),
    });
    let remote = remote();
    assert!(read(&remote, &server, &blob(&content), 0).unwrap() == content);
    let ranges: Vec<_> = server.seen().iter().filter(|r| r.path() != "/v2/").map(start).collect();
    assert_eq!(ranges, [None, Some(30_000), Some(50_000)]);
    let resumed = server.seen().pop().unwrap();
    assert_eq!(resumed.header("if-range"), Some("\"x\""));
    assert_eq!(remote.counters().of(Kind::BlobGet), 3);
    assert_eq!(remote.counters().received, 100_000);
}

#[test]
fn a_download_breaks_at_any_byte_without_harm() {
    let content = noise(64);
    for cut in 0..=content.len() {
        let served = content.clone();
        let server = open(move |r| {
            if r.header("range").is_none() && r.before == 0 { honest(r, &served).cut(cut) } else { honest(r, &served) }
        });
        assert_eq!(read(&remote(), &server, &blob(&content), 0).unwrap(), content, "cut at {cut}");
    }
}

#[test]
fn a_server_without_ranges_gives_everything_again() {
    let content = noise(5_000);
    let served = content.clone();
    let server = open(move |r| {
        let whole = Reply::new(200).body(served.as_slice());
        if r.before == 0 { whole.cut(2_000) } else { whole }
    });
    assert_eq!(read(&remote(), &server, &blob(&content), 0).unwrap(), content);
    assert_eq!(read(&remote(), &server, &blob(&content), 4_000).unwrap(), content[4_000..]);
}

#[test]
fn a_wrong_range_is_not_taken() {
    let content = noise(5_000);
    for wrong in ["bytes 1-4999/5000", "bytes 2000-4999/6000", "nonsense", "bytes */5000"] {
        let served = content.clone();
        let server = open(move |r| match start(r) {
            None if r.before == 0 => honest(r, &served).cut(2_000),
            None => honest(r, &served),
            Some(from) => Reply::new(206).with("Content-Range", wrong).body(&served[from..]),
        });
        assert_eq!(read(&remote(), &server, &blob(&content), 0).unwrap(), content, "{wrong}");
        let ranges: Vec<_> = server.seen().iter().filter(|r| r.path() != "/v2/").map(start).collect();
        assert_eq!(ranges, [None, Some(2_000), None], "{wrong}");
    }
}

#[test]
fn a_blob_of_another_length_is_damaged_before_it_is_read() {
    let content = noise(5_000);
    for served in [noise(4_999), noise(5_001)] {
        let server = open(move |_| Reply::new(200).body(served.as_slice()));
        assert_eq!(read(&remote(), &server, &blob(&content), 0).unwrap_err().kind, FaultKind::Damaged);
    }
}

#[test]
fn never_more_than_one_byte_too_many_is_given() {
    let content = noise(5_000);
    let server = open(|_| Reply::new(200).body(noise(100_000)).length(None));
    assert_eq!(read(&remote(), &server, &blob(&content), 0).unwrap().len(), 5_001);
    let server = open(|r| match start(r) {
        Some(_) => Reply::new(206).with("Content-Range", "bytes 4000-4999/5000").body(noise(100_000)).length(None),
        None => Reply::new(404),
    });
    assert_eq!(read(&remote(), &server, &blob(&content), 4_000).unwrap().len(), 1_001);
}

#[test]
fn a_server_that_always_breaks_is_given_up() {
    let content = noise(5_000);
    let served = content.clone();
    let server = open(move |r| honest(r, &served).cut(10));
    let remote = Remote::new(Settings { retries: 3, ..settings() }).unwrap();
    let fault = read(&remote, &server, &blob(&content), 0).unwrap_err();
    assert_eq!(fault.kind, FaultKind::Unavailable);
    assert!(fault.what.contains("at byte 40"), "{fault}");
    assert_eq!(remote.counters().of(Kind::BlobGet), 4);
}

#[test]
fn a_server_that_falls_silent_is_asked_again() {
    let content = noise(5_000);
    let served = content.clone();
    let server = open(move |r| match start(r) {
        None => honest(r, &served).cut(1_000).stall(),
        Some(_) => honest(r, &served),
    });
    let timeouts = Timeouts { idle: Duration::from_millis(50), ..settings().timeouts };
    let remote = Remote::new(Settings { timeouts, ..settings() }).unwrap();
    assert_eq!(read(&remote, &server, &blob(&content), 0).unwrap(), content);
}

#[test]
fn a_blob_that_is_gone_is_missing_and_an_encoded_one_is_refused() {
    let content = noise(50);
    let server = open(|_| Reply::new(404));
    assert_eq!(read(&remote(), &server, &blob(&content), 0).unwrap_err().kind, FaultKind::Missing);
    let server = open(|_| Reply::new(200).with("Content-Encoding", "gzip").body(noise(50)));
    assert_eq!(read(&remote(), &server, &blob(&content), 0).unwrap_err().kind, FaultKind::Damaged);
    let server = open(|_| Reply::new(416));
    assert_eq!(read(&remote(), &server, &blob(&content), 10).unwrap_err().kind, FaultKind::Refused);
}

#[test]
fn a_signed_address_that_ran_out_is_fetched_anew_from_the_registry() {
    let content = noise(5_000);
    let served = content.clone();
    let store = Server::new(move |r| match (r.query(), start(r)) {
        ("signed=0", None) => honest(r, &served).cut(1_000),
        ("signed=0", Some(_)) | ("signed=1", _) => Reply::new(403).body("<Error><Code>AccessDenied</Code></Error>"),
        _ => honest(r, &served),
    });
    let address = store.url("/bucket/x");
    let server = open(move |r| Reply::new(307).with("Location", format!("{address}?signed={}", r.before)));
    assert_eq!(read(&remote(), &server, &blob(&content), 0).unwrap(), content);
    assert_eq!(server.count("GET", "/v2/apps/web/blobs"), 3);
}

#[test]
fn whether_a_blob_is_there_follows_no_signed_address() {
    let store = Server::new(|_| Reply::new(403));
    let address = store.url("/bucket/x?sig=1");
    let server = open(move |_| Reply::new(307).with("Location", &address));
    assert!(remote().has(&repository(&server), &blob(b"x")).unwrap());
    assert_eq!(store.seen().len(), 0);
}

#[test]
fn another_registry_behind_a_redirect_is_asked_itself() {
    let other = Server::new(|_| Reply::new(404));
    let address = other.url("/v2/x/y/blobs/z");
    let server = open(move |_| Reply::new(307).with("Location", &address));
    assert!(!remote().has(&repository(&server), &blob(b"x")).unwrap());
}

#[test]
fn a_blob_of_another_size_is_not_the_one_promised() {
    let server = open(|_| Reply::new(200).with("Content-Length", 7));
    assert!(!remote().has(&repository(&server), &blob(b"x")).unwrap());
    let server = open(|_| Reply::new(200).with("Content-Length", 1));
    assert!(remote().has(&repository(&server), &blob(b"x")).unwrap());
}

#[test]
fn an_open_download_outlives_its_remote() {
    let content = noise(3 << 20);
    let served = content.clone();
    let server = open(move |r| honest(r, &served));
    let remote = remote();
    let mut reader = remote.open(&repository(&server), &blob(&content), 0).unwrap();
    drop(remote);
    let mut got = Vec::new();
    reader.read_to_end(&mut got).unwrap();
    assert!(got == content);
}
