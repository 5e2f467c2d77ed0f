//! The double of Harbor, rule by rule.

use airlift::model::{Descriptor, Digest, MediaType, Reference};
use airlift::serve::{Faults, Rule};
use airlift::testkit::harbor::{HarborDouble, HarborOptions, HarborVersion, IMPORT_RIGHTS, Locations, RunningHarbor};
use airlift::testkit::image::{Sample, SampleImage, noise};
use reqwest::{Client, Method, RequestBuilder, Response};
use serde_json::{Value, json};

struct Site {
    harbor: RunningHarbor,
    http: Client,
    user: String,
    password: String,
}

impl Site {
    fn with(change: impl FnOnce(&mut HarborOptions)) -> Self {
        let mut options = HarborOptions::default();
        change(&mut options);
        let harbor = HarborDouble::start(options);
        harbor.create_project("apps");
        let redirects = reqwest::redirect::Policy::none();
        let http = Client::builder().no_proxy().redirect(redirects).build().unwrap();
        let (user, password) = (harbor.user().to_owned(), harbor.password().to_owned());
        Self { harbor, http, user, password }
    }

    fn new() -> Self {
        Self::with(|_| {})
    }

    fn version(version: HarborVersion) -> Self {
        Self::with(|options| options.version = version)
    }

    /// Speaks as a robot of `apps` with these rights from now on.
    fn robot(mut self, rights: &[&str]) -> Self {
        (self.user, self.password) = self.harbor.add_robot("apps", "airlift", rights);
        self
    }

    fn bare(&self, method: Method, path: &str) -> RequestBuilder {
        let url =
            if path.starts_with("http") { path.to_owned() } else { format!("http://{}{path}", self.harbor.host()) };
        self.http.request(method, url)
    }

    fn ask(&self, method: Method, path: &str) -> RequestBuilder {
        self.bare(method, path).basic_auth(&self.user, Some(&self.password))
    }

    async fn send(&self, method: Method, path: &str) -> Response {
        self.ask(method, path).send().await.unwrap()
    }

    async fn status(&self, method: Method, path: &str) -> u16 {
        self.send(method, path).await.status().as_u16()
    }

    async fn json(&self, path: &str) -> Value {
        let answer = self.send(Method::GET, path).await;
        assert_eq!(answer.status(), 200, "{path}");
        answer.json().await.unwrap()
    }

    async fn manifest(&self, method: Method, path: &str) -> Response {
        let types = [MediaType::OCI_MANIFEST, MediaType::OCI_INDEX, MediaType::DOCKER_MANIFEST, MediaType::DOCKER_LIST];
        self.ask(method, path).header("accept", types.join(", ")).send().await.unwrap()
    }

    async fn begin(&self, name: &str) -> String {
        let answer = self.send(Method::POST, &format!("/v2/{name}/blobs/uploads/")).await;
        assert_eq!(answer.status(), 202);
        header(&answer, "location")
    }

    async fn put(&self, location: &str, bytes: &[u8]) -> Response {
        let url = format!("{location}&digest={}", Digest::of(bytes));
        self.ask(Method::PUT, &url).body(bytes.to_vec()).send().await.unwrap()
    }

    async fn push_blob(&self, name: &str, bytes: &[u8]) -> Digest {
        let location = self.begin(name).await;
        assert_eq!(self.put(&location, bytes).await.status(), 201);
        Digest::of(bytes)
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
        self.put_manifest(name, tag, root.descriptor.media_type.as_str(), &root.bytes).await
    }
}

fn header(answer: &Response, name: &str) -> String {
    answer.headers().get(name).map(|v| v.to_str().unwrap().to_owned()).unwrap_or_default()
}

/// Status, code and message of a refusal.
async fn refusal(answer: Response) -> (u16, String, String) {
    let status = answer.status().as_u16();
    let body: Value = answer.json().await.unwrap();
    let first = &body["errors"][0];
    (status, first["code"].as_str().unwrap().to_owned(), first["message"].as_str().unwrap().to_owned())
}

async fn refused(answer: Response, status: u16, code: &str) {
    let (got, with, message) = refusal(answer).await;
    assert_eq!((got, with.as_str()), (status, code), "{message}");
}

fn digest_ref(sample: &Sample) -> Reference {
    sample.reference()
}

#[tokio::test]
async fn credentials_decide_and_the_challenge_follows_the_header() {
    let site = Site::new();
    let anonymous = site.bare(Method::GET, "/v2/").send().await.unwrap();
    let realm = format!("Bearer realm=\"http://{}/service/token\",service=\"harbor-registry\"", site.harbor.host());
    assert_eq!((anonymous.status().as_u16(), header(&anonymous, "www-authenticate")), (401, realm.clone()));
    let wrong = site.bare(Method::GET, "/v2/").basic_auth("admin", Some("x")).send().await.unwrap();
    assert_eq!((wrong.status().as_u16(), header(&wrong, "www-authenticate")), (401, "Basic realm=\"harbor\"".into()));
    assert_eq!(site.status(Method::GET, "/v2/").await, 200);
    let pull = site.bare(Method::GET, "/v2/library/x/manifests/1").send().await.unwrap();
    assert_eq!(
        header(&pull, "www-authenticate"),
        format!("{realm},scope=\"repository:library/x:pull\""),
        "public, too"
    );
    let public =
        site.bare(Method::GET, "/v2/library/x/manifests/1").basic_auth("admin", Some("x")).send().await.unwrap();
    refused(public, 404, "NOT_FOUND").await;
    let (login, secret) = site.harbor.add_robot("apps", "r", &IMPORT_RIGHTS);
    site.harbor.disable_account(&login, true);
    let disabled = site.bare(Method::GET, "/v2/").basic_auth(login, Some(secret)).send().await.unwrap();
    assert_eq!(disabled.status(), 401);
}

#[tokio::test]
async fn a_missing_project_is_401_with_an_empty_challenge() {
    let site = Site::new();
    let answer = site.send(Method::POST, "/v2/nowhere/x/blobs/uploads/").await;
    assert_eq!(answer.headers()["www-authenticate"], "");
    let (status, code, message) = refusal(answer).await;
    assert_eq!((status, code.as_str(), message.as_str()), (401, "UNAUTHORIZED", "project nowhere not found"));
    let digest = Digest::of(b"");
    let mount = format!("/v2/apps/x/blobs/uploads/?mount={digest}&from=nowhere/x");
    refused(site.send(Method::POST, &mount).await, 401, "UNAUTHORIZED").await;
    let short = format!("/v2/apps/x/blobs/uploads/?mount={digest}&from=short");
    refused(site.send(Method::POST, &short).await, 400, "BAD_REQUEST").await;
    refused(site.send(Method::GET, "/v2/short/manifests/1").await, 400, "BAD_REQUEST").await;
    refused(site.send(Method::GET, "/v2/apps/x/manifests/.x").await, 404, "NOT_FOUND").await;
    refused(site.send(Method::GET, "/v2/apps/x/nothing").await, 401, "UNAUTHORIZED").await;
    refused(site.send(Method::GET, "/v2/apps/x/referrers/latest").await, 400, "BAD_REQUEST").await;
    assert_eq!(site.status(Method::GET, "//v2//").await, 200, "slashes collapse");
}

#[tokio::test]
async fn a_robot_does_what_its_rights_say_in_its_project() {
    let site = Site::new().robot(&["repository:pull"]);
    assert_eq!(site.status(Method::HEAD, "/v2/apps/x/manifests/1").await, 404);
    let (status, _, message) = refusal(site.send(Method::POST, "/v2/apps/x/blobs/uploads/").await).await;
    assert_eq!((status, message.as_str()), (401, "unauthorized to access repository: apps/x, action: push"));
    let site = Site::new().robot(&["repository:push"]);
    assert_eq!(site.status(Method::HEAD, "/v2/apps/x/manifests/1").await, 404, "push brings pull in a project robot");
    let location = site.begin("apps/x").await;
    assert_eq!(site.status(Method::DELETE, &location).await, 401, "cancelling an upload needs the right to delete");
    site.harbor.create_project("other");
    assert_eq!(site.status(Method::POST, "/v2/other/x/blobs/uploads/").await, 401);
    let (login, secret) = site.harbor.add_system_robot("sys", &["repository:push"], &["project:create"]);
    let head = site.bare(Method::HEAD, "/v2/apps/x/manifests/1").basic_auth(login, Some(secret)).send().await.unwrap();
    assert_eq!(head.status(), 401, "but not in a system robot");
}

#[tokio::test]
async fn tokens_carry_what_the_account_holds_and_age_with_the_project() {
    for (version, status) in [(HarborVersion::V2_12_4, 202), (HarborVersion::V2_13_5, 401)] {
        let site = Site::version(version).robot(&["repository:push"]);
        let path = "/service/token?service=harbor-registry&scope=repository:apps/x:pull";
        let body = site.json(path).await;
        assert_eq!(body["access_token"], "");
        let token = body["token"].as_str().unwrap().to_owned();
        let begin = || site.bare(Method::POST, "/v2/apps/x/blobs/uploads/").bearer_auth(&token).send();
        assert_eq!(begin().await.unwrap().status(), 202, "push was not asked for and is there");
        site.harbor.delete_project("apps");
        site.harbor.advance(61);
        site.harbor.create_project("apps");
        assert_eq!(begin().await.unwrap().status(), status, "{version:?}");
    }
    let site = Site::new();
    assert_eq!(site.status(Method::GET, "/service/token?service=other").await, 400);
    let anonymous = site.bare(Method::GET, "/service/token?service=harbor-registry").send().await.unwrap();
    assert_eq!(anonymous.status(), 401);
}

#[tokio::test]
async fn an_image_goes_in_and_comes_out() {
    let site = Site::new().robot(&IMPORT_RIGHTS);
    let index =
        Sample::index(&[SampleImage::new(1).layer(1000).build(), SampleImage::new(2).docker().layer(10).build()]);
    let answer = site.push("apps/team/app", &index, "1.0").await;
    assert_eq!((answer.status().as_u16(), header(&answer, "docker-content-digest")), (201, index.digest().to_string()));
    let back = site.manifest(Method::GET, "/v2/apps/team/app/manifests/1.0").await;
    assert_eq!(back.bytes().await.unwrap(), index.root().bytes);
    let layer = index.blobs()[1];
    let blob = site.send(Method::GET, &format!("/v2/apps/team/app/blobs/{}", layer.descriptor.digest)).await;
    assert_eq!(blob.bytes().await.unwrap(), layer.bytes);
    assert_eq!(site.harbor.used("apps"), index.size());
    let artifacts = site.harbor.artifacts("apps");
    assert_eq!(artifacts.len(), 3);
    let root = artifacts.iter().find(|artifact| artifact.digest == *index.digest()).unwrap();
    assert_eq!((root.repository.as_str(), root.tags.as_slice()), ("apps/team/app", ["1.0".to_owned()].as_slice()));
    let path = "/api/v2.0/projects/apps/repositories/team%252Fapp/artifacts/1.0";
    let object = site.json(path).await;
    assert_eq!(object["digest"], index.digest().to_string());
    assert_eq!(object["repository_name"], "apps/team/app");
    assert_eq!(object["references"].as_array().unwrap().len(), 2);
    assert_eq!(site.status(Method::GET, &path.replace("%252F", "%2F")).await, 404, "a single encoding is not routed");
    let listed = site.json("/api/v2.0/projects/apps/repositories/team%252Fapp/artifacts").await;
    assert_eq!(listed.as_array().unwrap().len(), 1, "children of an index are hidden");
}

#[tokio::test]
async fn the_engine_gives_oci_documents_only_to_those_who_accept_them() {
    let site = Site::new();
    let oci = SampleImage::new(1).build();
    site.push("apps/x", &oci, "1").await;
    refused(site.send(Method::GET, "/v2/apps/x/manifests/1").await, 404, "MANIFEST_UNKNOWN").await;
    site.push("apps/x", &SampleImage::new(2).docker().build(), "2").await;
    assert_eq!(site.status(Method::GET, "/v2/apps/x/manifests/2").await, 200);
    let fresh =
        site.ask(Method::GET, "/v2/apps/x/manifests/1").header("if-none-match", format!("\"{}\"", oci.digest()));
    assert_eq!(fresh.send().await.unwrap().status(), 304);
    refused(site.send(Method::GET, "/v2/apps/x/manifests/3").await, 404, "NOT_FOUND").await;
}

#[tokio::test]
async fn an_upload_that_broke_cannot_be_resumed() {
    let site = Site::new();
    let bytes = noise(1, 100_000);
    let location = site.begin("apps/x").await;
    assert!(location.contains("?_state="), "{location}");
    site.harbor.set_faults(&Faults::none().with(Rule::on("PUT", "*").first(1).reset_upload(50_000)));
    let url = format!("{location}&digest={}", Digest::of(&bytes));
    assert!(site.ask(Method::PUT, &url).body(bytes.clone()).send().await.is_err());
    refused(site.send(Method::GET, &location).await, 404, "BLOB_UPLOAD_INVALID").await;
    refused(site.send(Method::GET, &location).await, 404, "BLOB_UPLOAD_UNKNOWN").await;
    assert_eq!(site.harbor.used("apps"), 0, "what was reserved is given back");
    site.push_blob("apps/x", &bytes).await;
}

#[tokio::test]
async fn each_location_is_valid_once() {
    let site = Site::new();
    let first = site.begin("apps/x").await;
    let patch = |location: String, bytes: &'static str| {
        site.ask(Method::PATCH, &location).header("content-type", "application/octet-stream").body(bytes).send()
    };
    let answer = patch(first.clone(), "0123").await.unwrap();
    assert_eq!((answer.status().as_u16(), header(&answer, "range")), (202, "0-3".to_owned()));
    let second = header(&answer, "location");
    assert_ne!(first, second);
    let state = site.send(Method::GET, &second).await;
    assert_eq!((state.status().as_u16(), header(&state, "range")), (204, "0-3".to_owned()));
    let (_, forged) = second.split_once("_state=").unwrap();
    let elsewhere = second.replace("/apps/x/", "/library/x/");
    for bad in [second.replace(forged, "4-0"), second.split('?').next().unwrap().to_owned(), elsewhere] {
        refused(site.send(Method::GET, &bad).await, 404, "BLOB_UPLOAD_INVALID").await;
    }
    let last = site.ask(Method::PUT, &format!("{second}&digest={}", Digest::of(b"0123"))).send().await.unwrap();
    assert_eq!(last.status(), 201);
    let third = site.begin("apps/x").await;
    assert_eq!(patch(third.clone(), "4567").await.unwrap().status(), 202);
    refused(patch(third, "89").await.unwrap(), 404, "BLOB_UPLOAD_INVALID").await;
    let typed = site.ask(Method::PATCH, &site.begin("apps/x").await).header("content-type", "text/plain").body("x");
    refused(typed.send().await.unwrap(), 500, "UNKNOWN").await;
}

#[tokio::test]
async fn a_wrong_digest_ends_the_upload_and_a_missing_one_does_not() {
    let site = Site::new();
    let location = site.begin("apps/x").await;
    refused(site.ask(Method::PUT, &location).body("x").send().await.unwrap(), 400, "DIGEST_INVALID").await;
    assert_eq!(site.status(Method::GET, &location).await, 204);
    let wrong =
        site.ask(Method::PUT, &format!("{location}&digest={}", Digest::of(b"y"))).body("x").send().await.unwrap();
    refused(wrong, 400, "DIGEST_INVALID").await;
    refused(site.send(Method::GET, &location).await, 404, "BLOB_UPLOAD_UNKNOWN").await;
    assert_eq!(site.harbor.used("apps"), 0);
}

#[tokio::test]
async fn locations_name_the_address_that_harbor_believes_to_have() {
    let external = Locations::External("https://harbor.example".into());
    let site = Site::with(|options| options.locations = external);
    let location = site.begin("apps/x").await;
    assert!(location.starts_with("https://harbor.example/v2/apps/x/blobs/uploads/"), "{location}");
    let rebased = location.replace("https://harbor.example", "");
    let done = site.put(&rebased, b"x").await;
    assert!(header(&done, "location").starts_with("https://harbor.example/v2/apps/x/blobs/sha256:"));
    assert_eq!(site.json("/api/v2.0/systeminfo").await["external_url"], "https://harbor.example");
    let site = Site::with(|options| options.locations = Locations::Relative);
    assert!(site.begin("apps/x").await.starts_with("/v2/apps/x/blobs/uploads/"));
}

#[tokio::test]
async fn blobs_are_redirected_to_a_storage_that_refuses_credentials() {
    let site = Site::with(|options| options.redirect = true);
    let path = format!("/v2/apps/x/blobs/{}", site.push_blob("apps/x", b"blob").await);
    let head = site.send(Method::HEAD, &path).await;
    assert_eq!(head.status(), 307);
    let target = header(&head, "location");
    assert_eq!(site.bare(Method::GET, &target).send().await.unwrap().text().await.unwrap(), "blob");
    assert_eq!(site.status(Method::GET, &target).await, 400);
}

#[tokio::test]
async fn a_quota_counts_each_blob_once_and_stops_before_it_is_passed() {
    let site = Site::new();
    let blob = noise(1, 1000);
    site.harbor.set_quota("apps", Some(1500));
    site.push_blob("apps/x", &blob).await;
    site.push_blob("apps/y", &blob).await;
    assert_eq!(site.harbor.used("apps"), 1000);
    let location = site.begin("apps/x").await;
    let (status, code, message) = refusal(site.put(&location, &noise(2, 501)).await).await;
    assert_eq!((status, code.as_str()), (403, "DENIED"));
    assert_eq!(
        message,
        "adding 501.0 B of storage resource, which when updated to current usage of 1.5 KiB will exceed the configured upper limit of 1.5 KiB."
    );
    assert_eq!(site.status(Method::GET, &location).await, 204, "the upload survives");
    assert_eq!(site.put(&location, &noise(2, 500)).await.status(), 201);
    site.harbor.set_quota("apps", Some(1499));
    refused(site.send(Method::POST, "/v2/apps/x/blobs/uploads/").await, 403, "DENIED").await;
}

#[tokio::test]
async fn a_document_is_charged_with_itself() {
    let site = Site::new();
    let image = SampleImage::new(1).layer(1000).build();
    for blob in image.blobs() {
        site.push_blob("apps/x", &blob.bytes).await;
    }
    site.harbor.set_quota("apps", Some(image.size() - 1));
    let root = image.root();
    refused(site.put_manifest("apps/x", "1", MediaType::OCI_MANIFEST, &root.bytes).await, 403, "DENIED").await;
    site.harbor.set_quota("apps", Some(image.size()));
    assert_eq!(site.put_manifest("apps/x", "1", MediaType::OCI_MANIFEST, &root.bytes).await.status(), 201);
    assert_eq!(site.put_manifest("apps/x", "2", MediaType::OCI_MANIFEST, &root.bytes).await.status(), 201, "free");
    assert_eq!(site.harbor.used("apps"), image.size());
    assert_eq!(site.status(Method::DELETE, &format!("/v2/apps/x/manifests/{}", image.digest())).await, 202);
    assert_eq!(site.harbor.used("apps"), 0);
}

#[tokio::test]
async fn a_mount_across_projects_needs_both_rights_and_leaks_quota_where_it_fails() {
    let site = Site::new();
    site.harbor.create_project("base");
    let digest = site.push_blob("base/x", &noise(1, 1000)).await;
    let mount = |to: &str, from: &str| format!("/v2/{to}/blobs/uploads/?mount={digest}&from={from}");
    let answer = site.send(Method::POST, &mount("apps/x", "base/x")).await;
    assert_eq!((answer.status().as_u16(), header(&answer, "docker-content-digest")), (201, digest.to_string()));
    assert_eq!(site.harbor.used("apps"), 1000);
    assert_eq!(site.status(Method::HEAD, &format!("/v2/apps/x/blobs/{digest}")).await, 200);
    site.harbor.create_project("third");
    assert_eq!(site.status(Method::POST, &mount("third/x", "base/other")).await, 202);
    assert_eq!(site.harbor.used("third"), 1000, "taken, and not given back");
    site.harbor.set_quota("library", Some(999));
    refused(site.send(Method::POST, &mount("library/x", "base/x")).await, 403, "DENIED").await;
    let anonymous = format!("/v2/apps/y/blobs/uploads/?mount={digest}");
    assert_eq!(site.status(Method::POST, &anonymous).await, 202, "without from there is no mount");
    let site = site.robot(&IMPORT_RIGHTS);
    refused(site.send(Method::POST, &mount("apps/z", "base/x")).await, 401, "UNAUTHORIZED").await;
}

#[tokio::test]
async fn a_document_waits_for_blobs_and_rows() {
    let site = Site::new();
    let image = SampleImage::new(1).layer(10).build();
    let refused_put = site.put_manifest("apps/x", "1", MediaType::OCI_MANIFEST, &image.root().bytes).await;
    assert_eq!(refused_put.status(), 400);
    let body: Value = refused_put.json().await.unwrap();
    let named: Vec<&str> = body["errors"].as_array().unwrap().iter().map(|e| e["detail"].as_str().unwrap()).collect();
    assert_eq!(named, image.blobs().iter().map(|b| b.descriptor.digest.to_string()).collect::<Vec<_>>());
    let index = Sample::index(std::slice::from_ref(&image));
    let sparse = site.put_manifest("apps/x", "1", MediaType::OCI_INDEX, &index.root().bytes).await;
    refused(sparse, 400, "MANIFEST_BLOB_UNKNOWN").await;
    site.push("apps/x", &image, &image.digest().to_string()).await;
    site.harbor.collect_garbage(true);
    let orphan = site.put_manifest("apps/x", "1", MediaType::OCI_INDEX, &index.root().bytes).await;
    refused(orphan, 404, "NOT_FOUND").await;
    assert_eq!(site.push("apps/x", &index, "1").await.status(), 201, "pushing the children again helps");
}

#[tokio::test]
async fn documents_of_the_wrong_form_are_refused_by_the_right_part() {
    let site = Site::new();
    let image = SampleImage::new(1).build();
    site.push("apps/x", &image, "1").await;
    let bytes = &image.root().bytes;
    let (status, code, message) = refusal(site.put_manifest("apps/x", "2", "text/html", bytes).await).await;
    assert_eq!((status, code.as_str()), (400, "MANIFEST_INVALID"));
    assert!(message.starts_with("unmarshal manifest failed: "), "{message}");
    let other = Digest::of(b"other").to_string();
    refused(site.put_manifest("apps/x", &other, MediaType::OCI_MANIFEST, bytes).await, 400, "DIGEST_INVALID").await;
    let large = SampleImage::new(1).annotation("pad", &"x".repeat(4 << 20)).build();
    let large = site.put_manifest("apps/x", "2", MediaType::OCI_MANIFEST, &large.root().bytes).await;
    refused(large, 400, "MANIFEST_INVALID").await;
}

#[tokio::test]
async fn an_immutable_tag_is_refused_even_for_the_same_digest() {
    let site = Site::new();
    let image = SampleImage::new(1).build();
    site.harbor.add_immutable_rule("apps", "**", "v*");
    assert_eq!(site.push("apps/a/b", &image, "v1").await.status(), 201, "the first time");
    let (status, code, message) = refusal(site.push("apps/a/b", &image, "v1").await).await;
    assert_eq!((status, code.as_str()), (412, "PRECONDITION"));
    assert_eq!(message, "Failed to process request due to 'a/b:v1' configured as immutable.");
    assert_eq!(site.push("apps/a/b", &image, "latest").await.status(), 201);
    assert_eq!(site.push("apps/a/b", &image, &image.digest().to_string()).await.status(), 201, "by digest");
    let delete = site.send(Method::DELETE, &format!("/v2/apps/a/b/manifests/{}", image.digest())).await;
    refused(delete, 412, "PRECONDITION").await;
    let tags = "/api/v2.0/projects/apps/repositories/a%252Fb/artifacts/v1/tags";
    let listed = site.json(&format!("{tags}?with_immutable_status=true")).await;
    let immutable = |name: &str| listed.as_array().unwrap().iter().any(|t| t["name"] == name && t["immutable"] == true);
    assert!(immutable("v1") && !immutable("latest"));
}

#[tokio::test]
async fn the_vulnerability_gate_hides_an_image_that_exists() {
    let site = Site::new();
    let image = SampleImage::new(1).layer(10).build();
    let chart = SampleImage::new(2).chart("c", "1.0.0", vec![1]).build();
    site.push("apps/x", &image, "1").await;
    site.push("apps/chart", &chart, "1").await;
    site.harbor.set_metadata("apps", "prevent_vul", "true");
    let pull = || site.manifest(Method::GET, "/v2/apps/x/manifests/1");
    refused(pull().await, 412, "PROJECTPOLICYVIOLATION").await;
    assert_eq!(site.manifest(Method::HEAD, "/v2/apps/x/manifests/1").await.status(), 412);
    assert_eq!(site.manifest(Method::GET, "/v2/apps/chart/manifests/1").await.status(), 200, "nothing scans a chart");
    let rest = "/api/v2.0/projects/apps/repositories/x/artifacts/1";
    assert_eq!(site.status(Method::GET, rest).await, 200, "the API is not gated");
    for (status, severity, threshold, wanted) in [
        ("Running", "None", Some("critical"), 412),
        ("Success", "None", None, 412),
        ("Success", "High", Some("critical"), 200),
        ("Success", "Critical", Some("critical"), 412),
    ] {
        site.harbor.set_scan("apps/x", &digest_ref(&image), status, severity);
        site.harbor.set_metadata("apps", "severity", threshold.unwrap_or_default());
        assert_eq!(pull().await.status(), wanted, "{status} {severity} {threshold:?}");
    }
    let object = site.json(&format!("{rest}?with_scan_overview=true")).await;
    let overview = &object["scan_overview"]["application/vnd.security.vulnerability.report; version=1.1"];
    assert_eq!(overview["scan_status"], "Success");
}

#[tokio::test]
async fn a_disconnected_scanner_opens_the_gate_only_in_old_versions() {
    for (version, wanted) in [(HarborVersion::V2_13_5, 200), (HarborVersion::V2_14_3, 412)] {
        let site = Site::version(version);
        let image = SampleImage::new(1).layer(10).build();
        site.push("apps/x", &image, "1").await;
        site.harbor.set_metadata("apps", "prevent_vul", "true");
        site.harbor.set_scan("apps/x", &digest_ref(&image), "Success", "Critical");
        site.harbor.set_scanner(false);
        assert_eq!(site.manifest(Method::GET, "/v2/apps/x/manifests/1").await.status(), wanted, "{version:?}");
    }
}

/// An image of a signature under cosign's old tag.
fn legacy_signature(subject: &Sample) -> (Sample, String) {
    let signature = SampleImage::new(9).blob(MediaType::COSIGN_SIMPLE_SIGNING, b"{}".to_vec()).build();
    (signature, format!("sha256-{}.sig", subject.digest().hex()))
}

#[tokio::test]
async fn content_trust_asks_for_an_accessory_of_the_right_kind() {
    let site = Site::new();
    let image = SampleImage::new(1).layer(10).build();
    let (signature, tag) = legacy_signature(&image);
    site.harbor.set_metadata("apps", "enable_content_trust_cosign", "true");
    site.push("apps/x", &image, "1").await;
    let pull = || site.manifest(Method::GET, "/v2/apps/x/manifests/1");
    let (status, code, message) = refusal(pull().await).await;
    assert_eq!(
        (status, code.as_str(), message.as_str()),
        (412, "PROJECTPOLICYVIOLATION", "The image is not signed by cosign.")
    );
    refused(site.manifest(Method::GET, "/v2/apps/x/manifests/none").await, 404, "NOT_FOUND").await;
    site.push("apps/x", &signature, &signature.digest().to_string()).await;
    assert_eq!(pull().await.status(), 412, "pushed by digest it is no accessory");
    site.push("apps/x", &signature, &tag).await;
    assert_eq!(pull().await.status(), 200);
    assert_eq!(site.manifest(Method::GET, &format!("/v2/apps/x/manifests/{tag}")).await.status(), 200, "exempt");
    site.harbor.set_metadata("apps", "enable_content_trust", "true");
    refused(pull().await, 412, "PROJECTPOLICYVIOLATION").await;
    site.push("apps/x", &Sample::referrer(&image, MediaType::NOTATION_SIGNATURE, b"s"), "n").await;
    assert_eq!(pull().await.status(), 200);
}

#[tokio::test]
async fn kinds_of_accessories_depend_on_the_version() {
    for (version, kind) in [
        (HarborVersion::V2_12_4, "subject.accessory"),
        (HarborVersion::V2_14_3, "subject.accessory"),
        (HarborVersion::V2_15_2, "signature.cosign"),
    ] {
        let site = Site::version(version);
        let image = SampleImage::new(1).build();
        let bundle = Sample::referrer(&image, MediaType::SIGSTORE_BUNDLE, b"b");
        let answer = site.push("apps/x", &bundle, &bundle.digest().to_string()).await;
        assert_eq!(header(&answer, "oci-subject"), image.digest().to_string());
        assert_eq!(site.harbor.accessories("apps")[0].kind, kind, "{version:?}");
    }
}

#[tokio::test]
async fn referrers_come_from_the_table_of_accessories_only() {
    let site = Site::new();
    let image = SampleImage::new(1).build();
    site.push("apps/x", &image, "1").await;
    let sbom = Sample::referrer(&image, "application/spdx+json", b"1");
    let (signature, tag) = legacy_signature(&image);
    site.push("apps/x", &sbom, &sbom.digest().to_string()).await;
    site.push("apps/x", &signature, &tag).await;
    let fallback = Sample::index(&[SampleImage::new(5).build()]);
    site.push("apps/x", &fallback, &image.digest().to_string().replace(':', "-")).await;
    let path = format!("/v2/apps/x/referrers/{}", image.digest());
    let answer = site.send(Method::GET, &path).await;
    assert_eq!(
        (header(&answer, "x-total-count"), header(&answer, "content-type")),
        ("2".into(), MediaType::OCI_INDEX.into())
    );
    let filtered = site.send(Method::GET, &format!("{path}?artifactType=application/spdx%2Bjson")).await;
    assert_eq!(header(&filtered, "oci-filters-applied"), "artifactType");
    let body: Value = filtered.json().await.unwrap();
    let shown: Vec<Descriptor> = serde_json::from_value(body["manifests"].clone()).unwrap();
    assert_eq!(shown.iter().map(|d| &d.digest).collect::<Vec<_>>(), [sbom.digest()]);
    let unknown = site.json(&format!("/v2/apps/none/referrers/{}", image.digest())).await;
    assert_eq!(unknown["manifests"], json!([]));
    let rest = format!("/api/v2.0/projects/apps/repositories/x/artifacts/{}/accessories", image.digest());
    let kinds: Vec<Value> = site.json(&rest).await.as_array().unwrap().iter().map(|a| a["type"].clone()).collect();
    assert_eq!(kinds, [json!("subject.accessory"), json!("signature.cosign")]);
    let listed = site.json("/api/v2.0/projects/apps/repositories/x/artifacts?page_size=100").await;
    let shown: Vec<&str> = listed.as_array().unwrap().iter().map(|a| a["digest"].as_str().unwrap()).collect();
    assert!(!shown.contains(&sbom.digest().to_string().as_str()), "accessories are hidden");
    site.send(Method::DELETE, &format!("/v2/apps/x/manifests/{}", image.digest())).await;
    assert!(site.harbor.accessories("apps").is_empty(), "they go with their subject");
}

#[tokio::test]
async fn deleting_knows_indexes_and_tags() {
    let site = Site::new();
    let child = SampleImage::new(1).layer(10).build();
    let index = Sample::index(std::slice::from_ref(&child));
    site.push("apps/x", &index, "1").await;
    refused(site.send(Method::DELETE, "/v2/apps/x/manifests/1").await, 400, "UNSUPPORTED").await;
    let delete = |sample: &Sample| format!("/v2/apps/x/manifests/{}", sample.digest());
    let other = SampleImage::new(2).build();
    refused(site.send(Method::DELETE, &delete(&other)).await, 404, "NOT_FOUND").await;
    refused(site.send(Method::DELETE, &delete(&child)).await, 412, "VIOLATE_FOREIGN_KEY_CONSTRAINT").await;
    assert_eq!(site.status(Method::DELETE, &delete(&index)).await, 202);
    assert_eq!(site.status(Method::DELETE, &delete(&child)).await, 202);
}

#[tokio::test]
async fn garbage_is_what_nothing_needs_and_nobody_touched_for_two_hours() {
    let site = Site::new();
    let image = SampleImage::new(1).layer(10).build();
    site.push("apps/x", &image, "1").await;
    let loose = site.push_blob("apps/x", b"loose").await;
    let touched = site.push_blob("apps/x", b"touched").await;
    site.harbor.advance(7201);
    assert_eq!(site.status(Method::HEAD, &format!("/v2/apps/x/blobs/{touched}")).await, 200);
    assert_eq!(site.harbor.collect_garbage(false), std::slice::from_ref(&loose));
    assert_eq!(site.status(Method::HEAD, &format!("/v2/apps/x/blobs/{loose}")).await, 404);
    let orphan = SampleImage::new(2).layer(10).build();
    site.push("apps/x", &orphan, &orphan.digest().to_string()).await;
    let before = site.harbor.artifacts("apps").len();
    site.harbor.collect_garbage(false);
    assert_eq!(site.harbor.artifacts("apps").len(), before);
    site.harbor.collect_garbage(true);
    assert_eq!(site.harbor.artifacts("apps").len(), before - 1, "an untagged artifact has no window");
    site.harbor.mark_deleting(&touched);
    assert_eq!(site.status(Method::HEAD, &format!("/v2/apps/x/blobs/{touched}")).await, 404);
    let location = site.begin("apps/x").await;
    refused(site.put(&location, b"touched").await, 404, "NOT_FOUND").await;
}

#[tokio::test]
async fn in_read_only_mode_nothing_is_written() {
    let site = Site::new();
    site.push("apps/x", &SampleImage::new(1).build(), "1").await;
    site.harbor.set_read_only(true);
    let (status, code, message) = refusal(site.send(Method::POST, "/v2/apps/x/blobs/uploads/").await).await;
    assert_eq!((status, code.as_str()), (403, "DENIED"));
    assert!(message.contains("read only mode"), "{message}");
    refused(site.send(Method::POST, "/api/v2.0/projects").await, 403, "DENIED").await;
    assert_eq!(site.manifest(Method::GET, "/v2/apps/x/manifests/1").await.status(), 200);
    assert_eq!(site.json("/api/v2.0/systeminfo").await["read_only"], true);
    let open = site.ask(Method::PUT, "/api/v2.0/configurations").body(r#"{"read_only":false}"#);
    assert_eq!(open.send().await.unwrap().status(), 200);
    site.begin("apps/x").await;
}

#[tokio::test]
async fn nothing_is_pushed_into_a_proxy_project() {
    let site = Site::new();
    site.harbor.create_proxy_project("cache");
    refused(site.send(Method::POST, "/v2/cache/x/blobs/uploads/").await, 403, "DENIED").await;
    let put = site.put_manifest("cache/x", "1", MediaType::OCI_MANIFEST, b"{}").await;
    let (_, _, message) = refusal(put).await;
    assert_eq!(message, "can not push artifact to a proxy project: cache");
    assert_eq!(site.json("/api/v2.0/projects/cache").await["registry_id"], 1);
}

#[tokio::test]
async fn tags_are_listed_from_the_tables() {
    let site = Site::new();
    let image = SampleImage::new(1).build();
    for tag in ["b", "a", "c"] {
        site.push("apps/x", &image, tag).await;
    }
    let page = site.send(Method::GET, "/v2/apps/x/tags/list?n=2").await;
    assert_eq!(header(&page, "link"), "</v2/apps/x/tags/list?last=b&n=2>; rel=\"next\"");
    assert_eq!(page.json::<Value>().await.unwrap(), json!({ "name": "apps/x", "tags": ["a", "b"] }));
    refused(site.send(Method::GET, "/v2/apps/none/tags/list").await, 404, "NOT_FOUND").await;
    refused(site.send(Method::GET, "/v2/apps/x/tags/list?n=-1").await, 400, "BAD_REQUEST").await;
    assert_eq!(site.json("/v2/_catalog").await["repositories"], json!(["apps/x"]));
    let rest = "/api/v2.0/projects/apps/repositories/x/artifacts/a/tags";
    let create = |name: &'static str| site.ask(Method::POST, rest).body(json!({ "name": name }).to_string()).send();
    assert_eq!(create("d").await.unwrap().status(), 201);
    refused(create("d").await.unwrap(), 409, "CONFLICT").await;
    refused(create("-x").await.unwrap(), 400, "BAD_REQUEST").await;
    assert_eq!(site.status(Method::DELETE, &format!("{rest}/d")).await, 200);
    refused(site.send(Method::DELETE, &format!("{rest}/d")).await, 404, "NOT_FOUND").await;
}

mod preflight {
    use super::*;

    #[tokio::test]
    async fn who_asks_learns_what_it_may() {
        let site = Site::new().robot(&IMPORT_RIGHTS);
        let info = site.json("/api/v2.0/systeminfo").await;
        assert_eq!(info["harbor_version"], HarborVersion::V2_14_3.text());
        let anonymous = site.bare(Method::GET, "/api/v2.0/systeminfo").send().await.unwrap();
        assert!(anonymous.json::<Value>().await.unwrap().get("harbor_version").is_none());
        refused(site.send(Method::GET, "/api/v2.0/users/current").await, 412, "PRECONDITION").await;
        let project = site.json("/api/v2.0/projects/apps").await;
        let path =
            format!("/api/v2.0/users/current/permissions?scope=/project/{}&relative=true", project["project_id"]);
        let rights = site.json(&path).await;
        assert!(rights.as_array().unwrap().contains(&json!({ "resource": "repository", "action": "push" })));
        assert!(!rights.as_array().unwrap().contains(&json!({ "resource": "tag", "action": "delete" })));
        assert_eq!(site.json("/api/v2.0/users/current/permissions?scope=/project/999").await, json!([]));
        let refused_call = site.bare(Method::GET, "/api/v2.0/users/current/permissions").send().await.unwrap();
        refused(refused_call, 401, "UNAUTHORIZED").await;
        let ping = site.bare(Method::GET, "/api/v2.0/ping").header("x-request-id", "me").send().await.unwrap();
        assert_eq!((header(&ping, "x-request-id"), ping.text().await.unwrap()), ("me".to_owned(), "Pong".to_owned()));
    }

    #[tokio::test]
    async fn projects_are_asked_for_by_name_and_created_by_those_who_may() {
        let site = Site::new();
        let head = |name: &str| format!("/api/v2.0/projects?project_name={name}");
        assert_eq!(site.status(Method::HEAD, &head("apps")).await, 200);
        assert_eq!(site.status(Method::HEAD, &head("none")).await, 404);
        assert_eq!(site.bare(Method::HEAD, &head("apps")).send().await.unwrap().status(), 401);
        let create = |site: &Site, name: &str| {
            let body = json!({ "project_name": name, "metadata": { "public": "false" }, "storage_limit": 5000 });
            site.ask(Method::POST, "/api/v2.0/projects").body(body.to_string()).send()
        };
        let made = create(&site, "new").await.unwrap();
        assert_eq!(made.status(), 201);
        assert!(header(&made, "location").starts_with("/api/v2.0/projects/"));
        refused(create(&site, "new").await.unwrap(), 409, "CONFLICT").await;
        for bad in ["Upper", "a__b", "-a", "", "a/b"] {
            refused(create(&site, bad).await.unwrap(), 400, "BAD_REQUEST").await;
        }
        assert_eq!(site.json("/api/v2.0/projects/new/summary").await["quota"]["hard"]["storage"], 5000);
        assert_eq!(site.status(Method::GET, "/api/v2.0/projects/none").await, 404, "an administrator learns that");
        let site = site.robot(&IMPORT_RIGHTS);
        refused(create(&site, "more").await.unwrap(), 403, "FORBIDDEN").await;
        assert_eq!(site.status(Method::GET, "/api/v2.0/projects/none").await, 403, "others do not");
        assert_eq!(site.status(Method::HEAD, &head("new")).await, 200, "that it exists is no secret");
        let Site { harbor, .. } = &site;
        let (login, secret) = harbor.add_system_robot("maker", &IMPORT_RIGHTS, &["project:create"]);
        let maker = Site { user: login, password: secret, ..site };
        assert_eq!(create(&maker, "made").await.unwrap().status(), 201);
        assert_eq!(maker.harbor.projects(), ["apps", "library", "made", "new"]);
    }

    #[tokio::test]
    async fn a_project_of_digits_is_an_id_unless_said_otherwise() {
        let site = Site::new();
        site.harbor.create_project("77");
        assert_eq!(site.status(Method::GET, "/api/v2.0/projects/77").await, 404);
        let named = site.ask(Method::GET, "/api/v2.0/projects/77").header("x-is-resource-name", "true");
        assert_eq!(named.send().await.unwrap().json::<Value>().await.unwrap()["name"], "77");
    }

    #[tokio::test]
    async fn free_quota_is_read_from_the_summary_and_set_through_quotas() {
        let site = Site::new();
        site.push_blob("apps/x", &noise(1, 1000)).await;
        let id = site.json("/api/v2.0/projects/apps").await["project_id"].clone();
        let quotas = site.json(&format!("/api/v2.0/quotas?reference=project&reference_id={id}")).await;
        assert_eq!((&quotas[0]["hard"]["storage"], &quotas[0]["used"]["storage"]), (&json!(-1), &json!(1000)));
        let put = |hard: i64| {
            let body = json!({ "hard": { "storage": hard } }).to_string();
            site.ask(Method::PUT, &format!("/api/v2.0/quotas/{id}")).body(body).send()
        };
        assert_eq!(put(2000).await.unwrap().status(), 200);
        refused(put(0).await.unwrap(), 400, "BAD_REQUEST").await;
        let summary = site.json("/api/v2.0/projects/apps/summary").await;
        assert_eq!(summary["quota"], json!({ "hard": { "storage": 2000 }, "used": { "storage": 1000 } }));
        let site = site.robot(&["project:read"]);
        assert!(site.json("/api/v2.0/projects/apps/summary").await.get("quota").is_none(), "without quota:read");
        assert_eq!(site.status(Method::GET, "/api/v2.0/quotas").await, 403);
    }

    #[tokio::test]
    async fn metadata_behaves_as_oddly_as_harbors() {
        let site = Site::new();
        let path = "/api/v2.0/projects/apps/metadatas";
        let send = |method: Method, path: String, body: Value| site.ask(method, &path).body(body.to_string()).send();
        let put = send(Method::PUT, format!("{path}/severity"), json!({ "severity": "critical" })).await.unwrap();
        assert_eq!(put.status(), 200);
        assert_eq!(site.status(Method::GET, &format!("{path}/severity")).await, 404, "it answered 200 and did nothing");
        assert_eq!(send(Method::POST, path.into(), json!({ "severity": "high" })).await.unwrap().status(), 200);
        refused(send(Method::POST, path.into(), json!({ "severity": "low" })).await.unwrap(), 409, "CONFLICT").await;
        refused(send(Method::POST, path.into(), json!({ "auto_scan": "yes" })).await.unwrap(), 400, "BAD_REQUEST")
            .await;
        let both = json!({ "metadata": { "prevent_vul": "true", "severity": "critical" } });
        assert_eq!(send(Method::PUT, "/api/v2.0/projects/apps".into(), both).await.unwrap().status(), 200);
        let all = site.json(path).await;
        assert_eq!(
            (&all["severity"], &all["prevent_vul"], &all["public"]),
            (&json!("critical"), &json!("true"), &json!("false"))
        );
    }

    #[tokio::test]
    async fn lists_come_in_pages_of_at_most_a_hundred() {
        let site = Site::new();
        for n in 0..12 {
            site.harbor.create_project(&format!("p{n:02}"));
        }
        let first = site.send(Method::GET, "/api/v2.0/projects?name=p").await;
        assert_eq!(header(&first, "x-total-count"), "13");
        assert!(header(&first, "link").ends_with("rel=\"next\""));
        assert_eq!(first.json::<Value>().await.unwrap().as_array().unwrap().len(), 10);
        let second = site.json("/api/v2.0/projects?name=p&page=2").await;
        assert_eq!(second.as_array().unwrap().len(), 3);
        refused(site.send(Method::GET, "/api/v2.0/projects?page_size=101").await, 422, "UNPROCESSABLE_ENTITY").await;
        assert_eq!(site.json("/api/v2.0/projects/apps/repositories/none/artifacts").await, json!([]));
    }
}
