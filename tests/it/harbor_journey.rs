//! Whole runs of the program into the double of Harbor: what a far side meets there, version by version.

use crate::stage::{Ran, Stage, assert_arrived, multi, small};
use airlift::document::receipt::{Outcome, Receipt};
use airlift::model::port::ImageSource;
use airlift::model::{Digest, Reference, Repository};
use airlift::registry::{Credentials, PlainHttp, Remote, Settings};
use airlift::serve::{Answer, Counters, Faults, Rule};
use airlift::testkit::harbor::{HarborDouble, HarborOptions, HarborVersion, IMPORT_RIGHTS, Locations, RunningHarbor};
use airlift::testkit::image::{Sample, SampleImage};
use std::time::{Duration, Instant};

const VERSIONS: [HarborVersion; 4] =
    [HarborVersion::V2_12_4, HarborVersion::V2_13_5, HarborVersion::V2_14_3, HarborVersion::V2_15_2];

/// An upstream, a Harbor with the project `apps`, and a robot of that project.
struct Site {
    stage: Stage,
    harbor: RunningHarbor,
    remote: Remote,
}

impl Site {
    fn with(change: impl FnOnce(&mut HarborOptions)) -> Self {
        let mut options = HarborOptions::default();
        change(&mut options);
        let (stage, harbor) = (Stage::new(), HarborDouble::start(options));
        harbor.create_project("apps");
        stage.write_auth("auth-admin.json", &harbor.host(), harbor.user(), harbor.password());
        let credentials = std::fs::read(stage.path("auth-admin.json")).unwrap();
        let credentials = Credentials::default().with_file(&credentials).unwrap();
        let settings = Settings { plain_http: PlainHttp::All, credentials, ..Settings::default() };
        let site = Self { remote: Remote::new(settings).unwrap(), stage, harbor };
        site.robot(&IMPORT_RIGHTS);
        site
    }

    fn version(version: HarborVersion) -> Self {
        Self::with(|options| options.version = version)
    }

    fn new() -> Self {
        Self::with(|_| {})
    }

    fn login(&self, (user, password): &(String, String)) {
        self.stage.write_auth("auth.json", &self.harbor.host(), user, password);
    }

    /// Speaks as a new robot of `apps` with these rights from now on.
    fn robot(&self, rights: &[&str]) -> (String, String) {
        let name = format!("r{}", rights.len());
        let account = self.harbor.add_robot("apps", &name, rights);
        self.login(&account);
        account
    }

    /// Packs a signed index with an SBOM and a signed image into `b`.
    fn catalogue(&self) -> (Sample, Sample) {
        let (app, tool) = (multi(10), small(20));
        let references = [self.stage.publish("team/app", "1.0", &app), self.stage.publish("team/tool", "2.0", &tool)];
        self.stage.sign("team/app", app.digest());
        self.stage.sign("team/tool", tool.digest());
        let sbom = Sample::referrer(&app, "application/spdx+json", b"{\"spdxVersion\":\"SPDX-2.3\"}");
        sbom.push(&self.stage.remote, &self.stage.at("team/app"), None).unwrap();
        self.stage.pack(&[&references[0], &references[1]], "b", &[]).expect(0);
        (app, tool)
    }

    /// Packs one unsigned image into `b`.
    fn single(&self, image: &Sample) {
        let reference = self.stage.publish("team/app", "1.0", image);
        self.stage.pack(&[&reference], "b", &["--allow-unsigned", "**"]).expect(0);
    }

    fn import(&self, more: &[&str]) -> Ran {
        self.import_to("apps", more)
    }

    fn import_to(&self, project: &str, more: &[&str]) -> Ran {
        let to = format!("{}/{project}", self.harbor.host());
        let mut arguments = vec!["import", "b.airlift", "--to", &to, "--bundle-key", "author.pub", "--plain-http"];
        arguments.extend(["--authfile", "auth.json", "--receipt", "r.json"]);
        arguments.extend(more);
        self.stage.airlift(&arguments)
    }

    fn receipt(&self) -> Receipt {
        Receipt::read(&std::fs::read(self.stage.path("r.json")).unwrap(), "r.json").unwrap()
    }

    fn at(&self, path: &str) -> Repository {
        Repository::new(&self.harbor.host(), path).unwrap()
    }

    fn arrived(&self, path: &str, tag: &str, image: &Sample) {
        assert_arrived(&self.remote, &self.at(path), &reference(tag), image.digest());
    }

    fn tags(&self, project: &str) -> Vec<String> {
        self.harbor.artifacts(project).into_iter().flat_map(|artifact| artifact.tags).collect()
    }

    /// Checks that nothing was sent since `before`: no upload, no mount, no document.
    #[track_caller]
    fn sent_nothing(&self, before: &Counters) {
        let after = self.harbor.counters();
        let sent = |c: &Counters| (c.upload_post, c.upload_put, c.mount, c.manifest_put);
        assert_eq!(sent(before), sent(&after));
    }
}

fn reference(tag: &str) -> Reference {
    Reference::Tag(tag.parse().unwrap())
}

#[test]
fn every_version_shows_what_arrived_with_its_signatures_and_sbom() {
    for version in VERSIONS {
        let site = Site::version(version);
        let (app, tool) = site.catalogue();
        site.harbor.record();
        site.import(&[]).expect(0).says(&["complete: 2 of 2 artifacts", &format!("Harbor {}", &version.text()[1..7])]);
        site.arrived("apps/team/app", "1.0", &app);
        site.arrived("apps/team/tool", "2.0", &tool);
        let shown: Vec<(String, Digest, String)> =
            site.harbor.accessories("apps").into_iter().map(|a| (a.repository, a.subject, a.kind)).collect();
        let expected = |image: &Sample, repository: &str, kind: &str| {
            (format!("apps/team/{repository}"), image.digest().clone(), kind.to_owned())
        };
        for accessory in [
            expected(&app, "app", "signature.cosign"),
            expected(&app, "app", "subject.accessory"),
            expected(&tool, "tool", "signature.cosign"),
        ] {
            assert!(shown.contains(&accessory), "{version:?}: {accessory:?} is not in {shown:?}");
        }
        assert_eq!(shown.len(), 3);
        let exchanges = site.harbor.exchanges();
        let puts: Vec<&str> = exchanges
            .iter()
            .filter(|e| e.method == "PUT" && e.path.contains("/apps/team/app/manifests/"))
            .map(|e| e.path.as_str())
            .collect();
        let place = |end: &str| puts.iter().position(|path| path.ends_with(end)).unwrap();
        assert_eq!(place("/1.0"), puts.len() - 1, "the tag comes last: {puts:?}");
        assert!(place(&format!("/sha256-{}.sig", app.digest().hex())) < place("/1.0"));
        let receipt = site.receipt();
        assert!(receipt.complete && receipt.artifacts.iter().all(|a| a.outcome == Outcome::Imported));
    }
}

#[test]
fn a_second_import_sends_nothing_and_asks_once_for_each_tag() {
    let mut asked = Vec::new();
    for count in [4, 24] {
        let site = Site::new();
        let names: Vec<String> = (0..count).map(|n| format!("team/i{n}")).collect();
        let publish = |(n, name): (usize, &String)| site.stage.publish(name, "1", &small(n as u64));
        let references: Vec<String> = names.iter().enumerate().map(publish).collect();
        let references: Vec<&str> = references.iter().map(String::as_str).collect();
        site.stage.pack(&references, "b", &["--allow-unsigned", "**"]).expect(0);
        site.import(&[]).expect(0);
        let before = site.harbor.counters();
        site.import(&[]).expect(0).says(&["already there", "sent 0 B in 0 blobs"]);
        site.sent_nothing(&before);
        let after = site.harbor.counters();
        assert_eq!(before.blob_head, after.blob_head, "what is there is known by its tag");
        asked.push(after.requests - before.requests);
        assert!(site.receipt().artifacts.iter().all(|a| a.outcome == Outcome::AlreadyThere));
    }
    assert!(asked[1] - asked[0] <= 22, "20 tags more cost {} requests", asked[1] - asked[0]);
    assert!(asked[0] <= 4 + 8, "{} requests for 4 tags", asked[0]);
}

#[test]
fn a_missing_project_is_told_before_the_first_byte_and_created_on_request() {
    for version in VERSIONS {
        let site = Site::version(version);
        let image = small(1);
        site.single(&image);
        let before = site.harbor.counters();
        let ran = site.import_to("newcomer", &[]).expect(50);
        ran.says(&["project newcomer", "does not exist", "--create-projects", "nothing was sent"]);
        site.sent_nothing(&before);
        assert!(!site.stage.path("r.json").exists(), "nothing happened, so there is no receipt");
        let ran = site.import_to("newcomer", &["--create-projects"]).expect(50);
        ran.says(&["newcomer", "403", "system robot"]);
        site.sent_nothing(&before);
        site.login(&site.harbor.add_system_robot("maker", &IMPORT_RIGHTS, &["project:create"]));
        site.import_to("newcomer", &["--create-projects", "--dry-run"]).expect(0).says(&["would be created"]);
        assert!(!site.harbor.projects().contains(&"newcomer".to_owned()), "a dry run creates nothing");
        site.import_to("newcomer", &["--create-projects"]).expect(0);
        site.arrived("newcomer/team/app", "1.0", &image);
    }
}

#[test]
fn a_quota_that_does_not_suffice_is_told_with_its_numbers_before_the_first_byte() {
    let site = Site::new();
    let image = small(1);
    site.single(&image);
    site.harbor.set_quota("apps", Some(100_000));
    let before = site.harbor.counters();
    site.import(&[]).expect(50).says(&["project apps", "quota 100000 bytes", "used 0", "needed ", "nothing was sent"]);
    site.sent_nothing(&before);
    site.harbor.set_quota("apps", Some(image.size() + 1000));
    site.import(&[]).expect(0);
    site.arrived("apps/team/app", "1.0", &image);
}

#[test]
fn a_quota_for_the_documents_is_counted_too() {
    let site = Site::new();
    let image = small(1);
    site.single(&image);
    let documents: u64 = image.documents().iter().map(|d| d.bytes.len() as u64).sum();
    site.harbor.set_quota("apps", Some(image.size() - documents));
    let before = site.harbor.counters();
    site.import(&[]).expect(50).says(&["quota"]);
    site.sent_nothing(&before);
}

#[test]
fn a_quota_that_cannot_be_read_stops_the_run_in_its_middle_and_shows_no_tag() {
    let site = Site::new();
    let rights: Vec<&str> = IMPORT_RIGHTS.into_iter().filter(|right| *right != "quota:read").collect();
    site.robot(&rights);
    let image = small(1);
    site.single(&image);
    site.harbor.set_quota("apps", Some(350_000));
    let ran = site.import(&["-j", "1"]).expect(50);
    ran.says(&["quota", "will exceed the configured upper limit", "run the same command again"]);
    assert!(site.tags("apps").is_empty());
    let receipt = site.receipt();
    assert!(!receipt.complete && matches!(receipt.artifacts[0].outcome, Outcome::Failed { .. }));
    site.harbor.set_quota("apps", None);
    let sent = site.harbor.counters().upload_put;
    site.import(&[]).expect(0);
    site.arrived("apps/team/app", "1.0", &image);
    let again = site.harbor.counters().upload_put - sent;
    assert!(again < image.blobs().len() as u64, "what had arrived is not sent again");
}

#[test]
fn a_robot_that_may_not_push_is_told_so_before_the_first_byte() {
    for version in VERSIONS {
        let site = Site::version(version);
        site.single(&small(1));
        let before = site.harbor.counters();
        // With and without the right to look at the project.
        for rights in [&["repository:pull", "repository:read", "project:read", "quota:read"][..], &["repository:pull"]]
        {
            site.robot(rights);
            let ran = site.import(&[]).expect(50).says(&["push", "apps"]);
            assert!(ran.stderr.contains("hint"), "{}", ran.stderr);
            let after = site.harbor.counters();
            assert_eq!((before.upload_put, before.manifest_put), (after.upload_put, after.manifest_put));
        }
        assert_eq!(site.harbor.used("apps"), 0);
    }
}

#[test]
fn a_robot_with_push_and_pull_alone_suffices() {
    for version in VERSIONS {
        let site = Site::version(version);
        let (app, tool) = site.catalogue();
        site.robot(&["repository:pull", "repository:push"]);
        site.import(&[]).expect(0);
        site.arrived("apps/team/app", "1.0", &app);
        site.arrived("apps/team/tool", "2.0", &tool);
        let before = site.harbor.counters();
        site.import(&[]).expect(0).says(&["already there"]);
        site.sent_nothing(&before);
    }
}

#[test]
fn a_wrong_password_is_told_with_the_host() {
    let site = Site::new();
    site.single(&small(1));
    let (user, _) = site.harbor.add_robot("apps", "wrong", &IMPORT_RIGHTS);
    site.login(&(user.clone(), "not-the-secret-31".to_owned()));
    let before = site.harbor.counters();
    site.import(&[]).expect(50).says(&[&site.harbor.host(), "401"]);
    let account = site.robot(&IMPORT_RIGHTS[1..]);
    site.harbor.disable_account(&account.0, true);
    site.import(&[]).expect(50).says(&["401"]);
    site.sent_nothing(&before);
}

#[test]
fn read_only_mode_and_a_proxy_cache_are_told_before_the_first_byte() {
    let site = Site::new();
    site.single(&small(1));
    site.harbor.set_read_only(true);
    let before = site.harbor.counters();
    site.import(&[]).expect(50).says(&["read-only mode", "nothing was sent"]);
    site.harbor.set_read_only(false);
    site.harbor.create_proxy_project("cache");
    site.login(&(site.harbor.user().to_owned(), site.harbor.password().to_owned()));
    site.import_to("cache", &[]).expect(50).says(&["project cache", "proxy cache"]);
    site.sent_nothing(&before);
    site.import(&[]).expect(0);
    site.harbor.set_read_only(true);
    site.import(&[]).expect(0).says(&["already there"]);
}

#[test]
fn an_immutable_tag_is_fine_with_the_same_digest_and_refused_with_another() {
    for version in VERSIONS {
        let site = Site::version(version);
        let (old, new) = (small(1), small(2));
        site.single(&old);
        site.harbor.add_immutable_rule("apps", "**", "**");
        site.import(&[]).expect(0);
        let before = site.harbor.counters();
        site.import(&[]).expect(0).says(&["already there"]);
        site.sent_nothing(&before);
        std::fs::remove_file(site.stage.path("b.airlift")).unwrap();
        site.single(&new);
        let ran = site.import(&[]).expect(50);
        ran.says(&["immutable", "1.0", &old.digest().to_string(), &new.digest().to_string()]);
        site.arrived("apps/team/app", "1.0", &old);
    }
}

#[test]
fn what_lies_behind_a_pull_policy_is_still_known_to_be_there() {
    for version in VERSIONS {
        for gate in ["prevent_vul", "enable_content_trust", "enable_content_trust_cosign"] {
            let site = Site::version(version);
            site.single(&small(1));
            site.import(&[]).expect(0);
            site.harbor.set_metadata("apps", gate, "true");
            let head = site.remote.head(&site.at("apps/team/app"), &reference("1.0")).unwrap();
            assert!(head.is_some());
            let before = site.harbor.counters();
            site.import(&[]).expect(0).says(&["already there", "sent 0 B in 0 blobs"]);
            site.sent_nothing(&before);
            let refused = site.harbor.counters().answers.get(&412).copied().unwrap_or(0);
            assert!(refused > 0, "{version:?} {gate}: the gate was shut");
        }
    }
}

#[test]
fn gates_that_will_block_pulls_are_told_before_the_import_and_do_not_stop_it() {
    let site = Site::new();
    let (app, _) = site.catalogue();
    site.harbor.set_metadata("apps", "prevent_vul", "true");
    site.harbor.set_metadata("apps", "enable_content_trust_cosign", "true");
    site.import(&[]).expect(0).says(&["project apps", "without saying from which severity", "cosign"]);
    for gate in ["prevent_vul", "enable_content_trust_cosign"] {
        site.harbor.set_metadata("apps", gate, "false");
    }
    site.arrived("apps/team/app", "1.0", &app);
}

/// Waits until the double holds `count` blobs of `apps`, or fails.
fn wait_for_blobs(harbor: &RunningHarbor, count: usize) {
    let until = Instant::now() + Duration::from_secs(30);
    while harbor.blobs("apps").len() < count {
        assert!(Instant::now() < until, "the blobs never came");
        std::thread::sleep(Duration::from_millis(5));
    }
}

#[test]
fn blobs_that_garbage_collection_took_before_their_manifest_are_sent_again() {
    let site = Site::new();
    let image = small(1);
    site.single(&image);
    let stall = Rule::on("PUT", "/v2/*/manifests/*").nth(1).stall(Duration::from_secs(2));
    site.harbor.set_faults(&Faults::none().with(stall));
    let gone = std::thread::scope(|scope| {
        let collect = scope.spawn(|| {
            wait_for_blobs(&site.harbor, image.blobs().len());
            // More than the two hours that a blob without a manifest is left alone.
            site.harbor.advance(7201);
            site.harbor.collect_garbage(false)
        });
        site.import(&[]).expect(0).says(&["complete: 1 of 1"]);
        collect.join().unwrap()
    });
    assert_eq!(gone.len(), image.blobs().len(), "all were gone in the middle of the run");
    site.arrived("apps/team/app", "1.0", &image);
}

#[test]
fn a_blob_that_is_being_collected_is_named_and_the_next_run_sends_it() {
    let site = Site::new();
    let image = small(1);
    site.single(&image);
    let stall = Faults::none().with(Rule::on("PUT", "/v2/*/manifests/*").answer(Answer::new(400)));
    site.harbor.set_faults(&stall);
    site.import(&[]).expect(50);
    site.harbor.set_faults(&Faults::none());
    let layer = &image.blobs().last().unwrap().descriptor.digest;
    site.harbor.mark_deleting(layer);
    let ran = site.import(&["--retries", "0"]).expect(50);
    ran.says(&[&layer.to_string(), "collecting garbage", "run again when that is over"]);
    assert!(site.tags("apps").is_empty());
    site.harbor.advance(7201);
    site.harbor.collect_garbage(false);
    site.import(&[]).expect(0);
    site.arrived("apps/team/app", "1.0", &image);
}

#[test]
fn an_upload_that_breaks_in_its_middle_begins_anew_and_completes() {
    for version in VERSIONS {
        let site = Site::version(version);
        let image = SampleImage::new(3).layer(3 << 20).build();
        site.single(&image);
        let breaks = Rule::on("PUT", "/v2/*/blobs/uploads/*").first(2).reset_upload(1 << 20);
        site.harbor.set_faults(&Faults::none().with(breaks));
        site.import(&["-j", "1"]).expect(0);
        assert!(site.harbor.faults_fired()[0] > 0);
        site.arrived("apps/team/app", "1.0", &image);
        assert_eq!(site.harbor.used("apps"), image.size(), "nothing is counted twice");
    }
}

#[test]
fn an_upload_goes_on_at_the_address_that_is_used_whatever_harbor_believes_to_have() {
    for locations in [Locations::External("https://harbor.example".to_owned()), Locations::Relative] {
        let external = matches!(locations, Locations::External(_));
        let site = Site::with(|options| options.locations = locations);
        let (app, _) = site.catalogue();
        let ran = site.import(&[]).expect(0);
        if external {
            ran.says(&["harbor.example", &site.harbor.host()]);
        }
        site.arrived("apps/team/app", "1.0", &app);
    }
}

#[test]
fn a_harbor_that_sends_blobs_to_a_storage_is_filled_and_asked_for_layers_that_are_there() {
    let site = Site::with(|options| options.redirect = true);
    site.single(&small(1));
    site.import(&[]).expect(0);
    std::fs::remove_file(site.stage.path("b.airlift")).unwrap();
    // It shares a layer with the first.
    let next = small(2);
    site.single(&next);
    let before = site.harbor.counters().upload_put;
    site.import(&[]).expect(0);
    assert_eq!(site.harbor.counters().upload_put - before, next.blobs().len() as u64 - 1);
    assert!(site.harbor.artifacts("apps").iter().any(|a| a.digest == *next.digest() && a.tags == ["1.0"]));
}

#[test]
fn a_harbor_that_restarts_is_waited_for() {
    let busy = || Answer::new(503).header("Retry-After", "0").html("Service Unavailable");
    for path in ["/v2/", "/api/v2.0/systeminfo", "/v2/*/manifests/*", "/v2/*/blobs/uploads/*", "/service/token"] {
        let site = Site::new();
        let (app, _) = site.catalogue();
        site.harbor.set_faults(&Faults::none().with(Rule::on("*", path).first(3).answer(busy())));
        site.import(&[]).expect(0);
        site.arrived("apps/team/app", "1.0", &app);
    }
    let site = Site::new();
    site.single(&small(1));
    site.harbor.set_faults(&Faults::none().with(Rule::on("*", "*").answer(busy())));
    site.import(&["--retries", "1"]).expect(50).says(&[&site.harbor.host(), "503"]);
}

#[test]
fn a_harbor_that_restarts_in_the_middle_is_waited_for_and_nothing_is_sent_twice() {
    let image = SampleImage::new(5).layer(2 << 20).layer(3 << 20).layer(1 << 20).build();
    for first in [12, 16, 20] {
        let site = Site::new();
        site.single(&image);
        let challenge =
            format!("Bearer realm=\"http://{}/service/token\",service=\"harbor-registry\"", site.harbor.host());
        // As a Harbor comes up again: nothing listens, then its proxy answers, then its core knows no token, then it works.
        let phase = |n: u64| match n % 4 {
            0 => Rule::on("*", "*").nth(n).drop_connection(),
            1 => Rule::on("*", "*").nth(n).answer(Answer::new(502).html("Bad Gateway")),
            2 => Rule::on("*", "*").nth(n).answer(Answer::new(503).html("Service Unavailable")),
            _ => Rule::on("*", "*").nth(n).answer(Answer::new(401).header("WWW-Authenticate", &challenge)),
        };
        site.harbor.set_faults(&(first..first + 4).fold(Faults::none(), |faults, n| faults.with(phase(n))));
        site.import(&["-j", "1", "--retries", "8"]).expect(0);
        site.arrived("apps/team/app", "1.0", &image);
        let sent = site.harbor.counters().bytes_in;
        assert!(sent < image.size() + (4 << 20), "{first}: {sent} bytes for {}", image.size());
    }
}

#[test]
fn an_index_that_lists_a_child_twice_is_told_before_it_is_sent() {
    let site = Site::new();
    let child = small(1);
    let twice = Sample::index(&[child.clone(), child]);
    site.single(&twice);
    site.import(&["--dry-run"]).expect(0).says(&["warning", "team/app:1.0", "more than once", "--platform"]);
}

#[test]
fn sync_fills_a_harbor_and_a_second_one_writes_nothing() {
    let site = Site::new();
    let (app, tool) = site.catalogue();
    let references = [
        format!("{}/team/app:1.0", site.stage.upstream.host()),
        format!("{}/team/tool:2.0", site.stage.upstream.host()),
    ];
    let to = format!("{}/apps", site.harbor.host());
    let arguments = [
        "sync",
        &references[0],
        &references[1],
        "--to",
        &to,
        "--key",
        "cosign.pub",
        "--plain-http",
        "--authfile",
        "auth.json",
        "--receipt",
        "r.json",
    ];
    site.stage.airlift(&arguments).expect(0).says(&["complete: 2 of 2"]);
    site.arrived("apps/team/app", "1.0", &app);
    site.arrived("apps/team/tool", "2.0", &tool);
    assert_eq!(site.harbor.accessories("apps").len(), 3);
    let before = site.harbor.counters();
    site.stage.airlift(&arguments).expect(0).says(&["already there"]);
    site.sent_nothing(&before);
}
