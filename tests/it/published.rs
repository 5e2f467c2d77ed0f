//! Published charts of Blueprints as a catalogue: versions from the registry's tags, needs from the charts themselves.

use crate::chart_images::archive;
use crate::stage::{Ran, Stage, small};
use airlift::document::lock::Lock;
use airlift::serve::{Answer, Faults, Rule};
use airlift::testkit::image::SampleImage;

struct Registry(Stage);

impl Registry {
    fn new() -> Self {
        let stage = Stage::new();
        stage.publish("press/runs", "1", &small(3));
        Self(stage)
    }

    /// Publishes a chart that runs one image; `depends` stands in its `blueprint.yaml`.
    fn blueprint(&self, name: &str, version: &str, depends: &str) {
        let manifest = format!(
            "apiVersion: catalyst.openova.io/v1\nkind: Blueprint\nmetadata: {{name: {name}}}\nspec:\n  version: {version}\n  \
             depends: [{depends}]\n"
        );
        self.chart(name, version, &[("blueprint.yaml", manifest)]);
    }

    fn chart(&self, name: &str, version: &str, more: &[(&str, String)]) {
        let image = format!("{}/press/runs:1", self.0.upstream.host());
        let pod = format!(
            "apiVersion: v1\nkind: Pod\nmetadata: {{name: p}}\nspec: {{containers: [{{name: a, image: '{image}'}}]}}\n"
        );
        let mut files = vec![
            ("Chart.yaml", format!("apiVersion: v2\nname: bp-{name}\nversion: {version}\n")),
            ("templates/x.yaml", pod),
        ];
        for (path, text) in more {
            files.retain(|(known, _)| known != path);
            files.push((path, text.clone()));
        }
        let name = format!("bp-{name}");
        let sample = SampleImage::new(1).chart(&name, version, archive(&name, &files)).build();
        self.0.publish(&format!("charts/{name}"), version, &sample);
    }

    fn place(&self) -> String {
        format!("oci://{}/charts/bp-*", self.0.upstream.host())
    }

    fn resolve(&self, entry: &str, more: &[&str]) -> Ran {
        let body = format!(
            "apiVersion: airlift/v1alpha1\nkind: Mirror\nblueprints:\n- catalogue: '{}'\n  {entry}\n",
            self.place()
        );
        std::fs::write(self.0.path("mirror.yaml"), body).unwrap();
        let fixed = ["resolve", "-f", "mirror.yaml", "--plain-http", "--retries", "0"];
        self.0.airlift(&[&fixed[..], more].concat())
    }

    fn lock(&self) -> Lock {
        Lock::read(&std::fs::read(self.0.path("airlift.lock")).unwrap(), "airlift.lock").unwrap()
    }

    /// Returns the sources of the lock without their host.
    fn locked(&self) -> Vec<String> {
        let host = format!("{}/", self.0.upstream.host());
        self.lock().artifacts.iter().map(|artifact| artifact.source.to_string().replace(&host, "")).collect()
    }
}

fn platform() -> Registry {
    let registry = Registry::new();
    registry.blueprint("kiosk", "1.0.0", "{blueprint: press, version: ^1}");
    registry.blueprint(
        "kiosk",
        "1.2.0",
        "{blueprint: press, version: ^1}, {blueprint: ink, version: ^1, alias: colour}",
    );
    registry.blueprint("kiosk", "2.0.0", "");
    registry.blueprint("press", "1.1.0", "{blueprint: ink, version: '>=1 <1.5'}");
    registry.blueprint("ink", "1.4.0", "");
    registry.blueprint("ink", "1.6.0", "");
    registry
}

#[test]
fn a_root_with_a_range_brings_the_highest_version_and_what_its_chart_says_it_needs() {
    let registry = platform();
    registry.resolve("roots: [{blueprint: kiosk, version: ^1}]", &[]).expect(0);
    assert_eq!(
        registry.locked(),
        ["press/runs:1", "charts/bp-ink:1.4.0", "charts/bp-press:1.1.0", "charts/bp-kiosk:1.2.0"]
    );
    let lock = registry.lock();
    let why = lock.artifacts[1].why.iter().map(|path| path.join(" → ")).collect::<Vec<_>>().join("\n");
    assert!(why.contains(&format!("mirror.yaml: blueprints[0] (catalogue {})", registry.place())), "{why}");
    assert!(
        why.contains("→ bp-kiosk ^1 → bp-press ^1 (needed by bp-kiosk 1.2.0) → bp-ink >=1 <1.5 (needed by bp-press"),
        "{why}"
    );
    assert!(lock.artifacts[1].notes.contains(&"alias: colour".to_owned()));
    registry.resolve("roots: [kiosk]", &["--list"]).expect(0).says(&[]);
    assert!(registry.resolve("roots: [kiosk]", &["--list"]).stdout.contains("bp-kiosk:2.0.0"));
}

#[test]
fn ranges_that_exclude_each_other_are_refused_with_both_paths_once() {
    let registry = platform();
    registry.blueprint("shop", "1.0.0", "{blueprint: ink, version: ^1.6}");
    let ran = registry.resolve("roots: [{blueprint: kiosk, version: ^1}, shop]", &[]).expect(2);
    let error = &ran.stderr;
    assert!(
        error.contains("fits all of ") && error.contains("^1.6 (wanted by mirror.yaml: blueprints[0] → bp-shop →"),
        "{error}"
    );
    assert!(error.contains(">=1 <1.5 (wanted by mirror.yaml: blueprints[0] → bp-kiosk ^1 → bp-press ^1"), "{error}");
    assert!(error.contains("there are 1.6.0, 1.4.0"), "{error}");
    assert_eq!(error.matches("fits all of").count(), 1, "{error}");
    assert!(!registry.0.path("airlift.lock").exists());
}

#[test]
fn what_is_not_published_is_listed_with_its_path_and_the_versions_that_are() {
    let registry = platform();
    registry.blueprint("lost", "1.0.0", "gone, {blueprint: ink, version: 9.9.9}");
    let ran = registry.resolve("roots: [lost]", &[]).expect(20);
    for said in [
        "bp-gone (wanted by mirror.yaml: blueprints[0] → bp-lost → bp-gone (needed by bp-lost 1.0.0))",
        "version 9.9.9 is not published; there are 1.6.0, 1.4.0",
        "roots: [{ blueprint: bp-gone, version: X.Y.Z }]",
    ] {
        assert!(ran.stderr.contains(said), "{said}: {}", ran.stderr);
    }
    let ran = registry.resolve("roots: [{blueprint: kiosk, version: ^7}]", &[]).expect(2);
    assert!(ran.stderr.contains("fits ^7; there are 2.0.0, 1.2.0, 1.0.0"), "{}", ran.stderr);
}

#[test]
fn a_chart_without_a_manifest_needs_what_its_own_file_declares_and_does_not_bring() {
    let registry = Registry::new();
    let place = format!("oci://{}/charts", registry.0.upstream.host());
    let about = |more: &str| format!("apiVersion: v2\nname: bp-kiosk\nversion: 1.0.0\ndependencies:\n{more}");
    registry.chart("ink", "1.3.0", &[]);
    let open = format!("- {{name: bp-ink, version: ^1, repository: '{place}'}}\n");
    registry.chart("kiosk", "1.0.0", &[("Chart.yaml", about(&open))]);
    let ran = registry.resolve("roots: [kiosk]", &[]).expect(0);
    assert_eq!(registry.locked(), ["press/runs:1", "charts/bp-ink:1.3.0", "charts/bp-kiosk:1.0.0"]);
    assert!(
        ran.stderr.contains("2 of the published charts have no blueprint.yaml (bp-ink, bp-kiosk)"),
        "{}",
        ran.stderr
    );
    let packed = ("charts/bp-ink/Chart.yaml", "apiVersion: v2\nname: bp-ink\nversion: 1.1.0\n".to_owned());
    registry.chart("kiosk", "1.0.0", &[("Chart.yaml", about(&open)), packed]);
    std::fs::remove_file(registry.0.path("airlift.lock")).unwrap();
    registry.resolve("roots: [kiosk]", &[]).expect(0);
    assert_eq!(registry.locked(), ["press/runs:1", "charts/bp-kiosk:1.0.0"], "a packed chart comes with it");
}

#[test]
fn a_tag_and_its_chart_must_say_the_same_and_a_manifest_may_differ_with_a_warning() {
    let registry = platform();
    let manifest = |version: &str| {
        format!(
            "apiVersion: catalyst.openova.io/v1alpha1\nkind: Blueprint\nmetadata: {{name: bp-odd}}\nspec: {{version: {version}}}\n"
        )
    };
    registry.chart("odd", "1.0.1", &[("blueprint.yaml", manifest("1.0.0"))]);
    let ran = registry.resolve("roots: [{blueprint: odd, version: ^1}]", &["--list"]).expect(0);
    assert!(ran.stderr.contains("the chart has version 1.0.1, its Blueprint says 1.0.0"), "{}", ran.stderr);
    registry.chart("odd", "1.0.2", &[("Chart.yaml", "apiVersion: v2\nname: bp-odd\nversion: 1.0.0\n".to_owned())]);
    let ran = registry.resolve("roots: [odd]", &["--list"]).expect(2);
    assert!(
        ran.stderr.contains("bp-odd:1.0.2 holds version 1.0.0 of its chart, which is not the tag"),
        "{}",
        ran.stderr
    );
    registry.chart("odd", "1.0.3", &[("blueprint.yaml", manifest("0.9.0"))]);
    let ran = registry.resolve("roots: [{blueprint: odd, version: ^1}]", &["--list"]).expect(2);
    assert!(ran.stderr.contains("bp-odd ^1 is wanted, version 0.9.0 is there"), "{}", ran.stderr);
}

#[test]
fn what_a_mirror_file_cannot_mean_of_a_registry_is_refused() {
    let registry = platform();
    let ran = registry.resolve("all: listed", &[]).expect(2);
    assert!(ran.stderr.contains("a registry does not say which Blueprints it has"), "{}", ran.stderr);
    let ran = registry.resolve("artifact: 'h.example/{chart}:{version}'\n  roots: [kiosk]", &[]).expect(2);
    assert!(ran.stderr.contains("the charts stand where the catalogue is"), "{}", ran.stderr);
}

#[test]
fn an_existing_lock_keeps_the_content_whose_needs_count() {
    let registry = platform();
    registry.resolve("roots: [{blueprint: press, version: 1.1.0}]", &[]).expect(0);
    let before = registry.lock();
    registry.blueprint("press", "1.1.0", "kiosk");
    registry.resolve("roots: [{blueprint: press, version: 1.1.0}]", &[]).expect(0);
    assert_eq!(registry.lock(), before, "a tag that moved is not followed");
    registry.resolve("roots: [{blueprint: press, version: 1.1.0}]", &["--update"]).expect(0);
    assert!(registry.locked().contains(&"charts/bp-kiosk:2.0.0".to_owned()), "{:?}", registry.locked());
}

#[test]
fn include_narrows_the_roots_before_anything_is_asked_for() {
    let registry = platform();
    registry.resolve("roots: [kiosk, nowhere]", &["--include", "kiosk"]).expect(0);
    assert_eq!(registry.locked(), ["press/runs:1", "charts/bp-kiosk:2.0.0"]);
}

#[test]
fn a_registry_that_lists_no_tags_is_no_obstacle_where_the_version_is_stated() {
    let registry = platform();
    let refuse = Rule::on("GET", "/v2/*/tags/list*").answer(Answer::new(403));
    registry.0.upstream.set_faults(&Faults::none().with(refuse));
    let ran = registry.resolve("roots: [{blueprint: kiosk, version: ^1}]", &[]).expect(20);
    assert!(ran.stderr.contains("bp-kiosk (wanted by mirror.yaml: blueprints[0] → bp-kiosk ^1)"), "{}", ran.stderr);
    assert!(ran.stderr.contains("roots: [{ blueprint: bp-kiosk, version: X.Y.Z }]"), "{}", ran.stderr);
    let stated = "roots: [{blueprint: kiosk, version: 1.0.0}, {blueprint: press, version: 1.1.0}, {blueprint: ink, version: 1.4.0}]";
    registry.resolve(stated, &[]).expect(0);
    assert_eq!(registry.locked().len(), 4);
}

#[test]
fn the_version_of_a_kit_counts_and_its_needs_are_those_that_are_followed() {
    let registry = platform();
    let host = registry.0.upstream.host();
    let kit = format!(
        "apiVersion: source.toolkit.fluxcd.io/v1\nkind: HelmRepository\nmetadata: {{name: r, namespace: f}}\nspec: {{type: oci, url: \
         'oci://{host}/charts'}}\n---\napiVersion: helm.toolkit.fluxcd.io/v2\nkind: HelmRelease\nmetadata: {{name: bp-kiosk, namespace: \
         f}}\nspec: {{chart: {{spec: {{chart: bp-kiosk, version: 1.0.0, sourceRef: {{kind: HelmRepository, name: r}}}}}}}}\n"
    );
    std::fs::write(registry.0.path("kit.yaml"), kit).unwrap();
    registry.resolve("roots: [kiosk]\n  graph: depends\nflux: [kit.yaml]", &[]).expect(0);
    assert!(registry.locked().contains(&"charts/bp-kiosk:1.0.0".to_owned()), "{:?}", registry.locked());
    assert!(registry.locked().contains(&"charts/bp-ink:1.4.0".to_owned()), "press needs it: {:?}", registry.locked());
    let ran =
        registry.resolve("roots: [{blueprint: kiosk, version: ^2}]\n  graph: depends\nflux: [kit.yaml]", &[]).expect(2);
    assert!(
        ran.stderr.contains("bp-kiosk ^2 is wanted, chart version 1.0.0 is there")
            || ran.stderr.contains("version 1.0.0"),
        "{}",
        ran.stderr
    );
}

#[test]
fn a_chart_is_fetched_once_to_be_read_and_rendered() {
    let registry = platform();
    registry.0.upstream.record();
    registry.resolve("roots: [{blueprint: kiosk, version: ^1}]", &[]).expect(0);
    let asked: Vec<String> = registry.0.upstream.exchanges().iter().map(|exchange| exchange.path.clone()).collect();
    for chart in ["bp-kiosk", "bp-press", "bp-ink"] {
        let of = |what: &str| asked.iter().filter(|path| path.contains(&format!("/charts/{chart}/{what}"))).count();
        assert_eq!(of("tags/"), 1, "{chart}: {asked:?}");
        assert!(of("blobs/") <= 2, "its archive in one or two versions: {asked:?}");
    }
}
