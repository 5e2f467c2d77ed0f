//! The embedded registry, asked as a client asks it: over HTTP, and byte by byte where a client would not.

use airlift::model::{Algorithm, Digest, MediaType};
use airlift::serve::{Answer, Auth, Counters, EmbeddedRegistry, Faults, Options, Rule, Running};
use airlift::testkit::image::{Sample, SampleImage, noise};
use reqwest::{Client, Method, RequestBuilder, Response};
use serde_json::{Value, json};
use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;
use tempfile::TempDir;

struct Site {
    running: Running,
    root: TempDir,
    http: Client,
}

impl Site {
    fn with(change: impl FnOnce(&mut Options)) -> Self {
        let root = tempfile::tempdir().unwrap();
        let mut options = Options::new(root.path());
        change(&mut options);
        let running = EmbeddedRegistry::start(options).unwrap();
        Self { running, root, http: Client::builder().no_proxy().build().unwrap() }
    }

    fn new() -> Self {
        Self::with(|_| {})
    }

    fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.running.host())
    }

    fn ask(&self, method: Method, path: &str) -> RequestBuilder {
        self.http.request(method, self.url(path))
    }

    async fn get(&self, path: &str) -> Response {
        self.ask(Method::GET, path).send().await.unwrap()
    }

    async fn status(&self, method: Method, path: &str) -> u16 {
        self.ask(method, path).send().await.unwrap().status().as_u16()
    }

    async fn push_blob(&self, name: &str, bytes: &[u8]) -> Digest {
        let digest = Digest::of(bytes);
        let path = format!("/v2/{name}/blobs/uploads/?digest={digest}");
        let answer = self.ask(Method::POST, &path).body(bytes.to_vec()).send().await.unwrap();
        assert_eq!(answer.status(), 201);
        digest
    }

    async fn begin(&self, name: &str) -> String {
        let answer = self.ask(Method::POST, &format!("/v2/{name}/blobs/uploads/")).send().await.unwrap();
        assert_eq!(answer.status(), 202);
        header(&answer, "location")
    }

    async fn put_manifest(&self, name: &str, reference: &str, media_type: &str, bytes: &[u8]) -> Response {
        let request = self.ask(Method::PUT, &format!("/v2/{name}/manifests/{reference}"));
        request.header("content-type", media_type).body(bytes.to_vec()).send().await.unwrap()
    }

    async fn push(&self, name: &str, sample: &Sample, tag: &str) -> Response {
        for blob in sample.blobs() {
            self.push_blob(name, &blob.bytes).await;
        }
        let (root, children) = sample.documents().split_last().unwrap();
        for child in children {
            let digest = child.descriptor.digest.to_string();
            let answer = self.put_manifest(name, &digest, child.descriptor.media_type.as_str(), &child.bytes).await;
            assert_eq!(answer.status(), 201);
        }
        let answer = self.put_manifest(name, tag, root.descriptor.media_type.as_str(), &root.bytes).await;
        assert_eq!(answer.status(), 201);
        answer
    }

    fn counters(&self) -> Counters {
        self.running.counters()
    }
}

fn header(answer: &Response, name: &str) -> String {
    answer.headers().get(name).map(|v| v.to_str().unwrap().to_owned()).unwrap_or_default()
}

async fn code(answer: Response) -> String {
    let body: Value = answer.json().await.unwrap();
    body["errors"][0]["code"].as_str().unwrap().to_owned()
}

/// Sends bytes as they are and returns everything that comes back until the end.
fn raw(site: &Site, request: &str) -> String {
    let mut stream = TcpStream::connect(site.running.address()).unwrap();
    stream.write_all(request.as_bytes()).unwrap();
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer);
    String::from_utf8_lossy(&answer).into_owned()
}

#[tokio::test]
async fn a_blob_comes_back_byte_for_byte_whichever_way_it_was_pushed() {
    let site = Site::new();
    let bytes = noise(1, 3_000_000);
    let (whole, parts) = (Digest::of(&bytes), Digest::of_with(Algorithm::Sha512, &bytes));
    site.push_blob("a/one", &bytes).await;
    let location = site.begin("a/two").await;
    let put = site.ask(Method::PUT, &format!("{location}?digest={whole}")).body(bytes.clone()).send().await.unwrap();
    assert_eq!((put.status().as_u16(), header(&put, "docker-content-digest")), (201, whole.to_string()));
    assert_eq!(header(&put, "location"), format!("/v2/a/two/blobs/{whole}"));
    let location = site.begin("a/three").await;
    for (start, end) in [(0, 999_999), (1_000_000, 2_999_998)] {
        let patch = site.ask(Method::PATCH, &location).header("content-range", format!("{start}-{end}"));
        let patch = patch.body(bytes[start..=end].to_vec()).send().await.unwrap();
        assert_eq!((patch.status().as_u16(), header(&patch, "range")), (202, format!("0-{end}")));
    }
    let last = site.ask(Method::PUT, &format!("{location}?digest={parts}")).body(bytes[2_999_999..].to_vec());
    assert_eq!(last.send().await.unwrap().status(), 201);
    for (name, digest) in [("a/one", &whole), ("a/two", &whole), ("a/three", &parts)] {
        let answer = site.get(&format!("/v2/{name}/blobs/{digest}")).await;
        assert_eq!(answer.content_length(), Some(3_000_000));
        assert_eq!(answer.bytes().await.unwrap(), bytes, "{name}");
        let head = site.ask(Method::HEAD, &format!("/v2/{name}/blobs/{digest}")).send().await.unwrap();
        assert_eq!((head.status().as_u16(), header(&head, "content-length")), (200, "3000000".to_owned()));
    }
    assert_eq!(site.status(Method::GET, &format!("/v2/a/four/blobs/{whole}")).await, 404);
}

#[tokio::test]
async fn a_chunk_out_of_order_is_refused_with_the_place_to_go_on() {
    let site = Site::new();
    let location = site.begin("a").await;
    let chunk = |range: &'static str, bytes: &'static str| {
        site.ask(Method::PATCH, &location).header("content-range", range).body(bytes).send()
    };
    assert_eq!(chunk("0-3", "0123").await.unwrap().status(), 202);
    for range in ["0-3", "5-8", "3-6"] {
        let refused = chunk(range, "0123").await.unwrap();
        assert_eq!((refused.status().as_u16(), header(&refused, "range")), (416, "0-3".to_owned()), "{range}");
        assert_eq!(header(&refused, "location"), location);
    }
    for malformed in ["4-6", "bytes 4-7/*", "4", "-", "4-3"] {
        assert_eq!(chunk(malformed, "4567").await.unwrap().status(), 400, "{malformed}");
    }
    let state = site.get(&location).await;
    assert_eq!((state.status().as_u16(), header(&state, "range")), (204, "0-3".to_owned()));
    let digest = Digest::of(b"01234567");
    let wrong =
        site.ask(Method::PUT, &format!("{location}?digest={digest}")).header("content-range", "0-3").body("0123");
    assert_eq!(wrong.send().await.unwrap().status(), 416);
    assert_eq!(chunk("4-7", "4567").await.unwrap().status(), 202);
    assert_eq!(site.status(Method::PUT, &format!("{location}?digest={digest}")).await, 201);
}

#[tokio::test]
async fn what_arrived_before_a_break_is_kept_and_the_upload_goes_on_there() {
    let site = Site::new();
    let bytes = noise(2, 5_000_000);
    let digest = Digest::of(&bytes);
    let location = site.begin("a").await;
    site.running.set_faults(&Faults::none().with(Rule::on("PATCH", "*").first(1).reset_upload(2_345_678)));
    assert!(site.ask(Method::PATCH, &location).body(bytes.clone()).send().await.is_err());
    let state = site.get(&location).await;
    assert_eq!(header(&state, "range"), "0-2345677");
    let rest =
        site.ask(Method::PATCH, &location).header("content-range", "2345678-4999999").body(bytes[2_345_678..].to_vec());
    assert_eq!(rest.send().await.unwrap().status(), 202);
    assert_eq!(site.status(Method::PUT, &format!("{location}?digest={digest}")).await, 201);
    assert_eq!(site.get(&format!("/v2/a/blobs/{digest}")).await.bytes().await.unwrap(), bytes);
}

#[tokio::test]
async fn content_that_is_not_what_its_digest_says_leaves_nothing_behind() {
    let site = Site::new();
    let digest = Digest::of(b"right");
    let location = site.begin("a").await;
    let put = site.ask(Method::PUT, &format!("{location}?digest={digest}")).body("wrong").send().await.unwrap();
    assert_eq!(put.status(), 400);
    assert_eq!(code(put).await, "DIGEST_INVALID");
    assert_eq!(site.status(Method::GET, &location).await, 404);
    let post = site.ask(Method::POST, &format!("/v2/a/blobs/uploads/?digest={digest}")).body("wrong");
    assert_eq!(post.send().await.unwrap().status(), 400);
    assert_eq!(site.status(Method::HEAD, &format!("/v2/a/blobs/{digest}")).await, 404);
    let manifest = SampleImage::new(1).build();
    let root = manifest.root();
    let put = site.put_manifest("a", &digest.to_string(), MediaType::OCI_MANIFEST, &root.bytes).await;
    assert_eq!(code(put).await, "DIGEST_INVALID");
    for bad in ["sha256:00", "md5:d41d8cd98f00b204e9800998ecf8427e", "nothing", ""] {
        let location = site.begin("a").await;
        let put = site.ask(Method::PUT, &format!("{location}?digest={bad}")).body("x").send().await.unwrap();
        assert_eq!(put.status(), 400, "{bad}");
        assert_eq!(site.status(Method::GET, &location).await, 204, "the upload is kept");
    }
    assert_eq!(site.counters().stored, 0);
}

#[tokio::test]
async fn a_document_waits_for_everything_it_points_to() {
    let site = Site::new();
    let one = SampleImage::new(1).layer(10).layer(20).build();
    let root = one.root();
    let refused = site.put_manifest("a", "1", MediaType::OCI_MANIFEST, &root.bytes).await;
    assert_eq!(refused.status(), 400);
    let body: Value = refused.json().await.unwrap();
    let named: Vec<&str> =
        body["errors"].as_array().unwrap().iter().map(|e| e["detail"]["digest"].as_str().unwrap()).collect();
    let wanted: Vec<String> = one.blobs().iter().map(|b| b.descriptor.digest.to_string()).collect();
    assert_eq!(named, wanted);
    assert!(body["errors"].as_array().unwrap().iter().all(|e| e["code"] == "MANIFEST_BLOB_UNKNOWN"));
    assert_eq!(site.status(Method::GET, "/v2/a/manifests/1").await, 404);
    assert_eq!(site.status(Method::GET, "/v2/a/tags/list").await, 404, "not even the repository");
    let index = Sample::index(std::slice::from_ref(&one));
    let sparse = site.put_manifest("a", "1", MediaType::OCI_INDEX, &index.root().bytes).await;
    assert_eq!(code(sparse).await, "MANIFEST_BLOB_UNKNOWN");
    let elsewhere =
        SampleImage::new(3).blob("application/vnd.docker.image.rootfs.foreign.diff.tar.gzip", vec![1]).build();
    site.push_blob("a", &elsewhere.blobs()[0].bytes).await;
    let foreign = site.put_manifest("a", "foreign", MediaType::OCI_MANIFEST, &elsewhere.root().bytes).await;
    assert_eq!(foreign.status(), 201, "a layer that may not be distributed is not asked for");
    site.push("a", &index, "1").await;
    let answer = site.get("/v2/a/manifests/1").await;
    assert_eq!(header(&answer, "content-type"), MediaType::OCI_INDEX);
    assert_eq!(header(&answer, "docker-content-digest"), index.digest().to_string());
    assert_eq!(answer.bytes().await.unwrap(), index.root().bytes);
}

#[tokio::test]
async fn documents_that_two_readers_read_differently_are_refused() {
    let site = Site::new();
    let sample = SampleImage::new(1).build();
    site.push("a", &sample, "good").await;
    let bytes = &sample.root().bytes;
    for media_type in [MediaType::OCI_INDEX, MediaType::DOCKER_MANIFEST, "text/html", MediaType::DOCKER_SCHEMA1_SIGNED]
    {
        let refused = site.put_manifest("a", "bad", media_type, bytes).await;
        assert_eq!(
            (refused.status().as_u16(), code(refused).await),
            (400, "MANIFEST_INVALID".to_owned()),
            "{media_type}"
        );
    }
    let typed = site.put_manifest("a", "typed", &format!("{}; charset=utf-8", MediaType::OCI_MANIFEST), bytes).await;
    assert_eq!(typed.status(), 201);
    assert_eq!(header(&site.get("/v2/a/manifests/typed").await, "content-type"), MediaType::OCI_MANIFEST);
    assert_eq!(code(site.put_manifest("a", ".x", MediaType::OCI_MANIFEST, bytes).await).await, "TAG_INVALID");
    assert_eq!(code(site.put_manifest("A", "x", MediaType::OCI_MANIFEST, bytes).await).await, "NAME_INVALID");
}

#[tokio::test]
async fn a_document_at_the_limit_is_taken_and_one_byte_more_is_not() {
    let mut sample = SampleImage::new(1).annotation("pad", "").build();
    let limit = sample.root().bytes.len() as u64 + 10;
    let site = Site::with(|options| options.manifest_limit = limit);
    for (pad, status) in [(10, 201), (11, 413)] {
        sample = SampleImage::new(1).annotation("pad", &"x".repeat(pad)).build();
        site.push_blob("a", &sample.blobs()[0].bytes).await;
        let answer = site.put_manifest("a", "1", MediaType::OCI_MANIFEST, &sample.root().bytes).await;
        assert_eq!(answer.status(), status, "{pad}");
    }
}

#[tokio::test]
async fn a_tag_moves_and_what_it_named_stays_under_its_digest() {
    let site = Site::new();
    let (one, two) = (SampleImage::new(1).layer(5).build(), SampleImage::new(2).layer(5).build());
    site.push("a/b", &one, "latest").await;
    site.push("a/b", &two, "latest").await;
    let digest = |answer: &Response| header(answer, "docker-content-digest");
    assert_eq!(digest(&site.get("/v2/a/b/manifests/latest").await), two.digest().to_string());
    assert_eq!(site.status(Method::HEAD, &format!("/v2/a/b/manifests/{}", one.digest())).await, 200);
    site.push("a/b", &two, "second").await;
    assert_eq!(site.status(Method::DELETE, "/v2/a/b/manifests/second").await, 202);
    assert_eq!(site.status(Method::DELETE, "/v2/a/b/manifests/second").await, 404);
    assert_eq!(site.status(Method::HEAD, "/v2/a/b/manifests/latest").await, 200);
    assert_eq!(site.status(Method::DELETE, &format!("/v2/a/b/manifests/{}", two.digest())).await, 202);
    assert_eq!(site.status(Method::HEAD, "/v2/a/b/manifests/latest").await, 404, "the tag went with its document");
    let blob = &one.blobs()[1].descriptor.digest;
    assert_eq!(site.status(Method::DELETE, &format!("/v2/a/b/blobs/{blob}")).await, 202);
    assert_eq!(site.status(Method::DELETE, &format!("/v2/a/b/blobs/{blob}")).await, 404);
    assert_eq!(site.status(Method::GET, &format!("/v2/a/b/blobs/{blob}")).await, 404);
}

#[tokio::test]
async fn tags_are_listed_in_order_and_in_pages() {
    let site = &Site::new();
    let sample = SampleImage::new(1).build();
    for tag in ["b", "a", "_x", "Z", "c.1"] {
        site.push("r", &sample, tag).await;
    }
    let list = |path: String| async move { site.get(&path).await };
    let all: Value = list("/v2/r/tags/list".into()).await.json().await.unwrap();
    assert_eq!(all, json!({ "name": "r", "tags": ["Z", "_x", "a", "b", "c.1"] }));
    let page = list("/v2/r/tags/list?n=2".into()).await;
    assert_eq!(header(&page, "link"), "</v2/r/tags/list?n=2&last=_x>; rel=\"next\"");
    let page = list("/v2/r/tags/list?n=3&last=_x".into()).await;
    assert_eq!(header(&page, "link"), "", "the last page has no next one");
    assert_eq!(page.json::<Value>().await.unwrap()["tags"], json!(["a", "b", "c.1"]));
    let none = list("/v2/r/tags/list?n=0".into()).await;
    assert_eq!(header(&none, "link"), "");
    assert_eq!(none.json::<Value>().await.unwrap()["tags"], json!([]));
    assert_eq!(list("/v2/r/tags/list?n=x".into()).await.status(), 400);
    assert_eq!(list("/v2/none/tags/list".into()).await.status(), 404);
    site.running.set_page(4);
    let page = list("/v2/r/tags/list?n=100".into()).await;
    assert_eq!(header(&page, "link"), "</v2/r/tags/list?n=4&last=b>; rel=\"next\"");
    site.push("r/nested", &sample, "1").await;
    let names: Value = list("/v2/_catalog".into()).await.json().await.unwrap();
    assert_eq!(names, json!({ "repositories": ["r", "r/nested"] }));
}

#[tokio::test]
async fn referrers_are_listed_filtered_and_forgotten_with_their_document() {
    let site = Site::new();
    let image = SampleImage::new(1).layer(5).build();
    let (sbom, signature) = (Sample::referrer(&image, "x/sbom", b"1"), Sample::referrer(&image, "x/signature", b"2"));
    let answer = site.push("r", &sbom, &sbom.digest().to_string()).await;
    assert_eq!(header(&answer, "oci-subject"), image.digest().to_string(), "a subject may come later");
    site.push("r", &signature, &signature.digest().to_string()).await;
    let path = format!("/v2/r/referrers/{}", image.digest());
    let answer = site.get(&path).await;
    assert_eq!(header(&answer, "content-type"), MediaType::OCI_INDEX);
    let body: Value = answer.json().await.unwrap();
    let mut digests = [sbom.digest(), signature.digest()];
    digests.sort();
    let listed: Vec<&str> =
        body["manifests"].as_array().unwrap().iter().map(|d| d["digest"].as_str().unwrap()).collect();
    assert_eq!(listed, digests.map(ToString::to_string));
    let answer = site.get(&format!("{path}?artifactType=x/sbom")).await;
    assert_eq!(header(&answer, "oci-filters-applied"), "artifactType");
    let body: Value = answer.json().await.unwrap();
    assert_eq!(body["manifests"].as_array().unwrap().len(), 1);
    assert_eq!(body["manifests"][0]["artifactType"], "x/sbom");
    site.running.set_page(1);
    let first = site.get(&path).await;
    let link = header(&first, "link");
    let next = link.trim_start_matches('<').split('>').next().unwrap();
    let body: Value = site.get(next).await.json().await.unwrap();
    assert_eq!(body["manifests"][0]["digest"], digests[1].to_string());
    assert_eq!(site.status(Method::DELETE, &format!("/v2/r/manifests/{}", sbom.digest())).await, 202);
    let body: Value = site.get(&format!("{path}?artifactType=x/sbom")).await.json().await.unwrap();
    assert_eq!(body["manifests"], json!([]));
    let unknown = site.get(&format!("/v2/none/referrers/{}", image.digest())).await;
    assert_eq!(unknown.json::<Value>().await.unwrap()["manifests"], json!([]));
    assert_eq!(site.status(Method::GET, "/v2/r/referrers/latest").await, 400);
}

#[tokio::test]
async fn without_the_referrers_api_clients_are_sent_to_the_tag_schema() {
    let site = Site::with(|options| options.referrers_api = false);
    let image = SampleImage::new(1).build();
    let answer = site.push("r", &Sample::referrer(&image, "x/sbom", b"1"), "sbom").await;
    assert_eq!(header(&answer, "oci-subject"), "");
    assert_eq!(site.status(Method::GET, &format!("/v2/r/referrers/{}", image.digest())).await, 404);
}

#[tokio::test]
async fn a_mount_moves_no_bytes() {
    let site = Site::new();
    let digest = site.push_blob("from/here", b"blob").await;
    let before = site.counters().bytes_in;
    let mount = |to: &str, rest: &str| format!("/v2/{to}/blobs/uploads/?mount={digest}{rest}");
    let mounted = site.ask(Method::POST, &mount("to", "&from=from/here")).send().await.unwrap();
    assert_eq!((mounted.status().as_u16(), header(&mounted, "location")), (201, format!("/v2/to/blobs/{digest}")));
    assert_eq!(site.status(Method::POST, &mount("anonymous", "")).await, 201);
    let missing = site.ask(Method::POST, &mount("other", "&from=not/here")).send().await.unwrap();
    assert_eq!(missing.status(), 202);
    assert!(header(&missing, "location").starts_with("/v2/other/blobs/uploads/"));
    assert_eq!(site.status(Method::POST, &mount("other", "&from=../x")).await, 400);
    let counters = site.counters();
    assert_eq!((counters.mount, counters.mounted, counters.bytes_in), (4, 2, before));
    assert_eq!(site.get(&format!("/v2/to/blobs/{digest}")).await.text().await.unwrap(), "blob");
}

#[tokio::test]
async fn a_range_is_answered_with_exactly_that_range() {
    let site = Site::new();
    let bytes = noise(3, 2_000_000);
    let path = format!("/v2/a/blobs/{}", site.push_blob("a", &bytes).await);
    for (range, start, end) in [("0-0", 0, 0), ("1000000-", 1_000_000, 1_999_999), ("-5", 1_999_995, 1_999_999)] {
        let answer = site.ask(Method::GET, &path).header("range", format!("bytes={range}")).send().await.unwrap();
        assert_eq!(
            (answer.status().as_u16(), header(&answer, "content-range")),
            (206, format!("bytes {start}-{end}/2000000"))
        );
        assert_eq!(answer.bytes().await.unwrap(), bytes[start..=end]);
    }
    let outside = site.ask(Method::GET, &path).header("range", "bytes=2000000-").send().await.unwrap();
    assert_eq!((outside.status().as_u16(), header(&outside, "content-range")), (416, "bytes */2000000".to_owned()));
    let fresh = site.ask(Method::GET, &path).header("if-none-match", format!("\"{}\"", Digest::of(&bytes)));
    assert_eq!(fresh.send().await.unwrap().status(), 304);
}

#[tokio::test]
async fn what_was_stored_survives_a_restart_and_a_second_run_sees_it() {
    let site = Site::new();
    let sample = SampleImage::new(1).layer(1000).build();
    site.push("a", &sample, "1").await;
    let upload = site.begin("a").await;
    let second = EmbeddedRegistry::start(Options::new(site.root.path())).unwrap();
    let url = |host: String, path: &str| format!("http://{host}{path}");
    let seen = site.http.get(url(second.host(), "/v2/a/manifests/1")).send().await.unwrap();
    assert_eq!(seen.bytes().await.unwrap(), sample.root().bytes);
    assert_eq!(site.status(Method::GET, &upload).await, 204, "the second run spares the first one's uploads");
    second.stop();
    let Site { running, root, http } = site;
    running.stop();
    let again = EmbeddedRegistry::start(Options::new(root.path())).unwrap();
    for path in ["/v2/a/manifests/1".to_owned(), format!("/v2/a/blobs/{}", sample.blobs()[1].descriptor.digest)] {
        assert_eq!(http.get(url(again.host(), &path)).send().await.unwrap().status(), 200);
    }
    assert_eq!(http.get(url(again.host(), &upload)).send().await.unwrap().status(), 404);
    let left: Vec<_> =
        std::fs::read_dir(root.path().join("uploads")).unwrap().flatten().filter(|e| e.path().is_dir()).collect();
    assert_eq!(left.len(), 1, "only the running one has a place for uploads");
}

#[tokio::test]
async fn samples_written_into_the_folder_are_served() {
    let site = Site::new();
    let index = Sample::index(&[SampleImage::new(1).layer(10).build(), SampleImage::new(2).docker().layer(10).build()]);
    index.write(site.root.path(), "team/app", Some("1.0")).unwrap();
    let answer = site.get("/v2/team/app/manifests/1.0").await;
    assert_eq!(answer.bytes().await.unwrap(), index.root().bytes);
}

#[tokio::test]
async fn many_clients_at_once_store_each_blob_once() {
    let site = Site::new();
    let bytes = noise(4, 300_000);
    let digest = Digest::of(&bytes);
    let push = |n: usize| {
        let path = format!("/v2/r{}/blobs/uploads/?digest={digest}", n % 3);
        site.ask(Method::POST, &path).body(bytes.clone()).send()
    };
    let answers = futures_util::future::join_all((0..24).map(push)).await;
    assert!(answers.into_iter().all(|answer| answer.unwrap().status() == 201));
    let blobs = std::fs::read_dir(site.root.path().join("blobs/sha256")).unwrap();
    assert_eq!(blobs.count(), 1);
}

#[tokio::test]
async fn a_registry_for_reading_changes_nothing() {
    let site = Site::with(|options| options.read_only = true);
    SampleImage::new(1).build().write(site.root.path(), "a", Some("1")).unwrap();
    assert_eq!(site.status(Method::GET, "/v2/a/manifests/1").await, 200);
    for (method, path) in [
        (Method::POST, "/v2/a/blobs/uploads/"),
        (Method::PUT, "/v2/a/manifests/2"),
        (Method::DELETE, "/v2/a/manifests/1"),
        (Method::PATCH, "/v2/a/blobs/uploads/x"),
    ] {
        let answer = site.ask(method, path).body("x").send().await.unwrap();
        assert_eq!((answer.status().as_u16(), code(answer).await), (405, "UNSUPPORTED".to_owned()), "{path}");
    }
}

#[tokio::test]
async fn basic_credentials_are_asked_for_and_checked() {
    let auth = Auth::Basic { user: "u".into(), password: "p:w".into() };
    let site = Site::with(|options| options.auth = auth);
    let refused = site.get("/v2/").await;
    assert_eq!(
        (refused.status().as_u16(), header(&refused, "www-authenticate")),
        (401, "Basic realm=\"airlift\"".into())
    );
    let with =
        |user: &'static str, word: &'static str| site.ask(Method::GET, "/v2/").basic_auth(user, Some(word)).send();
    assert_eq!(with("u", "p:w").await.unwrap().status(), 200);
    for (user, word) in [("u", "p"), ("x", "p:w"), ("u", ""), ("", "")] {
        assert_eq!(with(user, word).await.unwrap().status(), 401);
    }
}

#[tokio::test]
async fn a_token_opens_what_it_was_bought_for_and_only_until_it_ends() {
    let auth = Auth::Bearer { user: "u".into(), password: "p".into(), expires_in: Duration::from_secs(300) };
    let site = &Site::with(|options| options.auth = auth);
    let refused = site.ask(Method::POST, "/v2/a/blobs/uploads/").send().await.unwrap();
    let realm = site.url("/token");
    let wanted = format!("Bearer realm=\"{realm}\",service=\"airlift\",scope=\"repository:a:pull,push\"");
    assert_eq!((refused.status().as_u16(), header(&refused, "www-authenticate")), (401, wanted));
    assert_eq!(site.status(Method::GET, "/token").await, 401);
    let buy = |scope: &'static str| async move {
        let path = format!("/token?service=airlift&scope={scope}");
        let answer = site.ask(Method::GET, &path).basic_auth("u", Some("p")).send().await.unwrap();
        let body: Value = answer.json().await.unwrap();
        assert_eq!(body["expires_in"], 300);
        body["token"].as_str().unwrap().to_owned()
    };
    let begin = |token: String| async {
        site.ask(Method::POST, "/v2/a/blobs/uploads/").bearer_auth(token).send().await.unwrap()
    };
    let good = buy("repository:a:pull,push").await;
    assert_eq!(begin(good.clone()).await.status(), 202);
    let narrow = begin(buy("repository:a:pull").await).await;
    assert_eq!(narrow.status(), 401);
    assert!(header(&narrow, "www-authenticate").ends_with("error=\"insufficient_scope\""));
    assert_eq!(begin(buy("repository:b:pull,push").await).await.status(), 401);
    site.running.revoke_tokens();
    let ended = begin(good).await;
    assert_eq!(ended.status(), 401);
    assert!(header(&ended, "www-authenticate").ends_with("error=\"invalid_token\""));
}

#[tokio::test]
async fn a_token_that_lives_no_time_is_refused() {
    let auth = Auth::Bearer { user: "u".into(), password: "p".into(), expires_in: Duration::ZERO };
    let site = Site::with(|options| options.auth = auth);
    let answer = site.ask(Method::GET, "/token").basic_auth("u", Some("p")).send().await.unwrap();
    let body: Value = answer.json().await.unwrap();
    let token = body["token"].as_str().unwrap().to_owned();
    assert_eq!(site.ask(Method::GET, "/v2/").bearer_auth(token).send().await.unwrap().status(), 401);
}

#[test]
fn paths_that_climb_out_are_no_paths() {
    let site = Site::new();
    for path in [
        "/v2/../../etc/passwd",
        "/v2/a/../b/tags/list",
        "/v2/a/manifests/../../../x",
        "/v2/a/blobs/../../x",
        "/v2/a/manifests/%2e%2e%2fx",
    ] {
        let answer = raw(&site, &format!("GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"));
        assert!(answer.starts_with("HTTP/1.1 40"), "{path}: {answer}");
    }
    let digest = Digest::of(b"");
    let answer = raw(
        &site,
        &format!(
            "POST /v2/../x/blobs/uploads/?digest={digest} HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
        ),
    );
    assert!(answer.contains("NAME_INVALID"), "{answer}");
}

#[tokio::test]
async fn a_refusal_reaches_a_client_that_is_still_sending() {
    let site = Site::with(|options| options.read_only = true);
    let post = site.ask(Method::POST, "/v2/a/blobs/uploads/?digest=x").body(noise(1, 4_000_000));
    assert_eq!(post.send().await.unwrap().status(), 405);
}

#[tokio::test]
async fn counters_tell_what_was_asked() {
    let site = Site::new();
    let sample = SampleImage::new(1).layer(1000).build();
    site.push("a", &sample, "1").await;
    let layer = &sample.blobs()[1].descriptor;
    for _ in 0..2 {
        site.get(&format!("/v2/a/blobs/{}", layer.digest)).await.bytes().await.unwrap();
    }
    site.get("/v2/a/manifests/1").await.bytes().await.unwrap();
    site.status(Method::HEAD, &format!("/v2/a/blobs/{}", layer.digest)).await;
    site.status(Method::HEAD, "/v2/a/manifests/none").await;
    let counters = site.counters();
    assert_eq!((counters.blob_get, counters.blob_head, counters.manifest_put, counters.upload_post), (2, 1, 1, 2));
    assert_eq!((counters.manifest_get, counters.manifest_head, counters.stored), (1, 1, 3));
    assert_eq!(counters.asked_twice(), std::slice::from_ref(&layer.digest));
    assert_eq!(counters.manifest_gets["a:1"], 1);
    assert_eq!(counters.bytes_in, sample.size());
    assert_eq!(counters.bytes_out, 2 * layer.size + sample.root().descriptor.size);
    assert_eq!(counters.answers[&404], 1);
}

#[tokio::test]
async fn exchanges_are_recorded_in_their_order_when_asked_for() {
    let site = Site::new();
    site.get("/v2/").await;
    site.running.record();
    site.push("a", &SampleImage::new(1).build(), "1").await;
    let seen: Vec<(String, u16)> = site.running.exchanges().into_iter().map(|e| (e.method, e.status)).collect();
    assert_eq!(seen, [("POST".to_owned(), 201), ("PUT".to_owned(), 201)]);
}

mod faults {
    use super::*;

    async fn blob_site(rule: Rule) -> (Site, String, Vec<u8>) {
        let site = Site::new();
        let bytes = noise(5, 1_500_000);
        let path = format!("/v2/a/blobs/{}", site.push_blob("a", &bytes).await);
        site.running.set_faults(&Faults::none().with(rule));
        (site, path, bytes)
    }

    async fn read(site: &Site, path: &str) -> (Vec<u8>, bool) {
        let mut answer = site.get(path).await;
        let mut got = Vec::new();
        loop {
            match answer.chunk().await {
                Ok(Some(piece)) => got.extend_from_slice(&piece),
                Ok(None) => return (got, true),
                Err(_) => return (got, false),
            }
        }
    }

    #[tokio::test]
    async fn a_cut_comes_after_exactly_so_many_bytes() {
        for after in [0, 1, 600_000, 1_499_999] {
            let (site, path, bytes) = blob_site(Rule::on("GET", "/v2/*/blobs/*").nth(1).cut(after)).await;
            assert_eq!(read(&site, &path).await, (bytes[..after as usize].to_vec(), false), "{after}");
            assert_eq!(read(&site, &path).await, (bytes, true));
            assert_eq!(site.running.faults_fired(), [1]);
        }
    }

    #[tokio::test]
    async fn a_reset_breaks_the_body() {
        let (site, path, bytes) = blob_site(Rule::on("GET", "*").reset(700_000)).await;
        let (got, whole) = read(&site, &path).await;
        assert!(!whole && bytes.starts_with(&got) && got.len() <= 700_000);
    }

    #[tokio::test]
    async fn a_flipped_byte_keeps_the_length() {
        let (site, path, mut bytes) = blob_site(Rule::on("GET", "*").flip(999_999)).await;
        bytes[999_999] ^= 0x5a;
        assert_eq!(read(&site, &path).await, (bytes, true));
    }

    #[tokio::test]
    async fn bodies_of_another_length_say_so() {
        let (site, path, bytes) = blob_site(Rule::on("GET", "*").shorten(3)).await;
        assert_eq!(read(&site, &path).await, (bytes[..bytes.len() - 3].to_vec(), true));
        let (site, path, mut bytes) = blob_site(Rule::on("GET", "*").lengthen(2)).await;
        bytes.extend_from_slice(&[0, 0]);
        assert_eq!(read(&site, &path).await, (bytes, true));
    }

    #[tokio::test]
    async fn a_stalled_body_goes_on() {
        let (site, path, bytes) = blob_site(Rule::on("GET", "*").stall_body(700_000, Duration::from_millis(1))).await;
        assert_eq!(read(&site, &path).await, (bytes.clone(), true));
        site.running.set_faults(&Faults::none().with(Rule::on("GET", "*").stall(Duration::from_millis(1))));
        assert_eq!(read(&site, &path).await, (bytes, true));
    }

    #[tokio::test]
    async fn answers_come_from_the_script() {
        let site = Site::new();
        let faults = Faults::none()
            .with(Rule::on("*", "/v2/").nth(1).answer(Answer::new(429).header("Retry-After", "7")))
            .with(Rule::on("*", "/v2/").nth(2).answer(Answer::new(503).html("Service Unavailable")))
            .with(Rule::on("*", "/v2/").nth(3).set_header("docker-distribution-api-version", "x"))
            .with(Rule::on("*", "/v2/").nth(4).remove_header("docker-distribution-api-version"));
        site.running.set_faults(&faults);
        let first = site.get("/v2/").await;
        assert_eq!((first.status().as_u16(), header(&first, "retry-after")), (429, "7".to_owned()));
        let second = site.get("/v2/").await;
        assert_eq!((second.status().as_u16(), header(&second, "content-type")), (503, "text/html".to_owned()));
        assert!(second.text().await.unwrap().contains("<h1>Service Unavailable"));
        assert_eq!(header(&site.get("/v2/").await, "docker-distribution-api-version"), "x");
        assert_eq!(header(&site.get("/v2/").await, "docker-distribution-api-version"), "");
        assert_eq!(header(&site.get("/v2/").await, "docker-distribution-api-version"), "registry/2.0");
        assert_eq!(site.running.faults_fired(), [1, 1, 1, 1]);
    }

    #[tokio::test]
    async fn a_gateway_that_gives_up_does_not_undo_the_work() {
        let site = Site::new();
        let digest = Digest::of(b"x");
        site.running.set_faults(&Faults::none().with(Rule::on("POST", "*").answer_afterwards(Answer::new(504))));
        let post = site.ask(Method::POST, &format!("/v2/a/blobs/uploads/?digest={digest}")).body("x");
        assert_eq!(post.send().await.unwrap().status(), 504);
        assert_eq!(site.status(Method::HEAD, &format!("/v2/a/blobs/{digest}")).await, 200);
    }

    #[tokio::test]
    async fn a_dropped_connection_gives_no_answer_and_counts_as_zero() {
        let site = Site::new();
        site.running.set_faults(&Faults::none().with(Rule::on("GET", "/v2/").first(1).drop_connection()));
        let answer = raw(&site, "GET /v2/ HTTP/1.1\r\nHost: x\r\n\r\n");
        assert_eq!(answer, "");
        assert_eq!(site.get("/v2/").await.status(), 200);
        assert_eq!(site.counters().answers[&0], 1);
    }
}

mod peers {
    use super::*;
    use oci_client::client::{ClientConfig, ClientProtocol, Config, ImageLayer};
    use oci_client::secrets::RegistryAuth;
    use std::process::Command;

    #[tokio::test]
    async fn an_independent_client_pushes_and_pulls() {
        let auth = Auth::Bearer { user: "u".into(), password: "p".into(), expires_in: Duration::from_secs(300) };
        let site = Site::with(|options| options.auth = auth);
        let config = ClientConfig { protocol: ClientProtocol::Http, ..ClientConfig::default() };
        let client = oci_client::Client::new(config);
        let reference: oci_client::Reference = format!("{}/team/app:1", site.running.host()).parse().unwrap();
        let credentials = RegistryAuth::Basic("u".into(), "p".into());
        let layer = ImageLayer::oci_v1_gzip(noise(6, 6_000_000), None);
        let config = Config::oci_v1(b"{}".to_vec(), None);
        client.push(&reference, std::slice::from_ref(&layer), config, &credentials, None).await.unwrap();
        let pulled = client.pull(&reference, &credentials, vec![MediaType::OCI_LAYER_GZIP]).await.unwrap();
        assert_eq!(pulled.layers[0].data, layer.data);
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn skopeo_copies_in_and_out_where_it_is_installed() {
        if Command::new("skopeo").arg("--version").output().is_err() {
            eprintln!("skipped: skopeo is not installed");
            return;
        }
        let site = Site::new();
        let index = Sample::index(&[
            SampleImage::new(1).layer(100_000).build(),
            SampleImage::new(2).platform("linux/arm64").layer(10).build(),
        ]);
        site.push("team/app", &index, "1").await;
        let layout = tempfile::tempdir().unwrap();
        let from = format!("docker://{}/team/app:1", site.running.host());
        let to = format!("docker://{}/team/copy:2", site.running.host());
        let oci = format!("oci:{}:1", layout.path().display());
        let copy = |arguments: &[&str]| {
            let done = Command::new("skopeo")
                .args(["copy", "--all", "-q", "--preserve-digests"])
                .args(arguments)
                .output()
                .unwrap();
            assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
        };
        copy(&["--src-tls-verify=false", &from, &oci]);
        copy(&["--dest-tls-verify=false", &oci, &to]);
        let answer = site.get("/v2/team/copy/manifests/2").await;
        assert_eq!(header(&answer, "docker-content-digest"), index.digest().to_string());
    }
}
