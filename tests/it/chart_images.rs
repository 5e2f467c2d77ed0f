//! What charts run: every shape of a reference, every trap, values, decisions, repositories; through the program, with
//! charts of our own that it renders itself.

use crate::stage::{Ran, Stage, small};
use airlift::document::lock::{Lock, Role};
use airlift::model::Digest;
use airlift::testkit::files::FileServer;
use airlift::testkit::image::SampleImage;
use serde_json::Value;
use std::collections::BTreeSet;
use std::io::Write;

/// Packs files below a folder of the chart's name, as Helm does.
pub fn archive<T: AsRef<str>>(name: &str, files: &[(&str, T)]) -> Vec<u8> {
    let mut tar = tar::Builder::new(flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast()));
    for (path, text) in files {
        let text = text.as_ref();
        let mut header = tar::Header::new_ustar();
        header.set_size(text.len() as u64);
        header.set_mode(0o644);
        tar.append_data(&mut header, format!("{name}/{path}"), text.as_bytes()).unwrap();
    }
    let mut gzip = tar.into_inner().unwrap();
    gzip.flush().unwrap();
    gzip.finish().unwrap()
}

pub fn about(name: &str, version: &str, more: &str) -> String {
    format!("apiVersion: v2\nname: {name}\nversion: {version}\nappVersion: \"9.1\"\n{more}")
}

/// A Deployment whose container has these lines.
pub fn deployment(container: &str) -> String {
    format!(
        "apiVersion: apps/v1\nkind: Deployment\nmetadata: {{name: d}}\nspec:\n  template:\n    spec:\n      containers:\n      \
         - name: a\n        {}\n",
        container.replace('\n', "\n        ")
    )
}

/// A custom object with these lines in its spec.
fn thing(spec: &str) -> String {
    format!("apiVersion: x.example/v1\nkind: Thing\nmetadata: {{name: t}}\nspec:\n  {}\n", spec.replace('\n', "\n  "))
}

fn config(data: &str) -> String {
    format!("apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: c}}\ndata:\n  {}\n", data.replace('\n', "\n  "))
}

struct World(Stage);

impl World {
    fn new() -> Self {
        Self(Stage::new())
    }

    /// Writes a chart as a folder.
    fn folder(&self, name: &str, files: &[(&str, &str)]) {
        for (path, text) in files {
            let file = self.0.path(name).join(path);
            std::fs::create_dir_all(file.parent().unwrap()).unwrap();
            std::fs::write(file, text).unwrap();
        }
    }

    /// Writes a chart with one template.
    fn chart(&self, name: &str, values: &str, template: &str) {
        let yaml = about(name, "1.0.0", "");
        self.folder(name, &[("Chart.yaml", &yaml), ("values.yaml", values), ("templates/x.yaml", template)]);
    }

    /// Puts a chart into the upstream.
    fn publish(&self, name: &str, version: &str, files: &[(&str, &str)]) -> String {
        let sample = SampleImage::new(1).chart(name, version, archive(name, files)).build();
        self.0.publish(&format!("charts/{name}"), version, &sample)
    }

    fn image(&self, path: &str, tag: &str) -> String {
        self.0.publish(path, tag, &small(7))
    }

    fn mirror(&self, body: &str) {
        let text = format!("apiVersion: airlift/v1alpha1\nkind: Mirror\n{body}\n");
        std::fs::write(self.0.path("mirror.yaml"), text).unwrap();
    }

    fn run(&self, more: &[&str]) -> Ran {
        let fixed = ["resolve", "-f", "mirror.yaml", "--plain-http", "--retries", "0"];
        self.0.airlift(&[&fixed[..], more].concat())
    }

    /// Says what the mirror file wants.
    #[track_caller]
    fn list(&self, body: &str) -> Listed {
        self.mirror(body);
        let ran = self.run(&["--list", "-o", "json"]);
        assert!(ran.code == 0 || ran.code == 2, "{}", ran.stderr);
        Listed {
            json: serde_json::from_str(&ran.stdout).unwrap_or_else(|e| panic!("{e}: {}", ran.stderr)),
            told: ran.stderr,
        }
    }

    /// Fails, and returns what is said.
    #[track_caller]
    fn refuses(&self, body: &str, code: i32) -> String {
        self.mirror(body);
        self.run(&["--list"]).expect(code).stderr
    }

    fn lock(&self) -> Lock {
        Lock::read(&std::fs::read(self.0.path("airlift.lock")).unwrap(), "airlift.lock").unwrap()
    }
}

struct Listed {
    json: Value,
    told: String,
}

impl Listed {
    /// Names of what is wanted, of the chart where one is named.
    fn of(&self, chart: &str) -> Vec<String> {
        let from = |line: &&Value| line["why"].to_string().contains(&format!("{chart} 1.0.0"));
        self.json["wanted"].as_array().unwrap().iter().filter(from).map(|line| text(&line["name"])).collect()
    }

    fn all(&self) -> BTreeSet<String> {
        self.json["wanted"].as_array().unwrap().iter().map(|line| text(&line["name"])).collect()
    }

    fn texts(&self, key: &str) -> Vec<String> {
        self.json[key].as_array().unwrap().iter().map(|seen| text(&seen["text"])).collect()
    }
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

const SUM: &str = "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

/// Template, values, and what is wanted, for each shape of a reference.
fn shapes() -> Vec<(&'static str, String, String, Vec<String>)> {
    let hub = |name: &str| format!("docker.io/library/{name}");
    let run = |image: &str| deployment(&format!("image: {image}"));
    let whole = format!("h.example/x:1@{SUM}");
    vec![
        ("s1", String::new(), run("kiosk:1.2"), vec![hub("kiosk:1.2")]),
        ("s2", String::new(), run("h.example/a/b/c/d:t"), vec!["h.example/a/b/c/d:t".into()]),
        ("s3", String::new(), run(&whole), vec![whole.clone()]),
        ("s4", String::new(), run(&format!("h.example/x@{SUM}")), vec![format!("h.example/x@{SUM}")]),
        ("s5", "i: {r: org/x, t: 1.10}".into(), run("\"{{ .Values.i.r }}:{{ .Values.i.t }}\""), vec!["docker.io/org/x:1.1".into()]),
        ("s6", "i: {reg: '', r: org/x}".into(), run("{{ with .Values.i.reg }}{{ . }}/{{ end }}{{ .Values.i.r }}:1"), vec!["docker.io/org/x:1".into()]),
        ("s7", "tag: ''".into(), run("org/x:{{ .Values.tag | default (printf \"main-v%s\" .Chart.AppVersion) }}"), vec!["docker.io/org/x:main-v9.1".into()]),
        ("s8", "rootless: true".into(), run("org/x:1{{ if .Values.rootless }}-rootless{{ end }}"), vec!["docker.io/org/x:1-rootless".into()]),
        ("s9", format!("suffix: -generic\ndigests: {{-generic: '{SUM}'}}"), run("h.example/op{{ .Values.suffix }}:1@{{ index .Values.digests .Values.suffix }}"), vec![format!("h.example/op-generic:1@{SUM}")]),
        ("s10", String::new(), thing(&format!("image: {{repository: h.example/x, version: '{SUM}'}}")), vec![format!("h.example/x@{SUM}")]),
        ("s11", String::new(), thing("imageName: ghcr.io/org/pg:16.3"), vec!["ghcr.io/org/pg:16.3".into()]),
        ("s12", String::new(), thing("image: h.example/x\ntag: v3"), vec!["h.example/x:v3".into()]),
        ("s13", String::new(), deployment("image: a:1\nargs: [--solver-image=h.example/s:1]"), vec![hub("a:1"), "h.example/s:1".into()]),
        ("s14", String::new(), deployment("image: a:1\nenv: [{name: HELPER_IMAGE, value: 'org/h:1'}, {name: X, value: 'h.example/y:2'}]"), vec![hub("a:1"), "docker.io/org/h:1".into(), "h.example/y:2".into()]),
        ("s15", String::new(), config("a: |-\n  {\"image\": \"org/x:1\", \"defaultJobImage\": \"org/j:2\"}\n_example: '{\"image\": \"org/no:latest\"}'"), vec!["docker.io/org/x:1".into(), "docker.io/org/j:2".into()]),
        ("s16", String::new(), config("x.repository: h.example/org/x\nx.tag: 0.70.0"), vec!["h.example/org/x:0.70.0".into()]),
        ("s17", String::new(), thing("container: {image: 'h.example/r:1'}\nruntimes: [{image: 'h.example/q:1'}]"), vec!["h.example/r:1".into(), "h.example/q:1".into()]),
        ("s18", String::new(), thing("base: {apiVersion: batch/v1, kind: Job, spec: {template: {spec: {containers: [{image: 'org/tool:1'}]}}}}"), vec!["docker.io/org/tool:1".into()]),
        ("s19", String::new(), config("c.yaml: |-\n  install: {refs: ['h.example/plugin/c:0.6']}"), vec!["h.example/plugin/c:0.6".into()]),
        ("s20", "init: [{name: i, image: 'org/i:1'}]".into(), "apiVersion: v1\nkind: Pod\nmetadata: {name: p}\nspec:\n  initContainers: {{ toYaml .Values.init | nindent 4 }}\n  containers: [{image: 'a:1'}]\n".into(), vec!["docker.io/org/i:1".into(), hub("a:1")]),
    ]
}

#[test]
fn every_shape_of_a_reference_is_found_in_what_a_chart_renders_to() {
    let world = World::new();
    let shapes = shapes();
    let mut body = "charts:\n".to_owned();
    for (name, values, template, _) in &shapes {
        world.chart(name, values, template);
        body.push_str(&format!("- path: {name}\n"));
    }
    let listed = world.list(&body);
    assert!(listed.texts("undecided").is_empty(), "{:?}", listed.json["undecided"]);
    for (name, _, _, wanted) in &shapes {
        // What several charts run stands where the first of them has it.
        let sorted = |names: &[String]| names.iter().cloned().collect::<BTreeSet<_>>();
        assert_eq!(sorted(&listed.of(name)), sorted(wanted), "{name}");
    }
}

#[test]
fn hooks_and_tests_have_their_class_and_tests_wait_until_they_are_wanted() {
    let world = World::new();
    let job = |hook: &str| {
        format!(
            "apiVersion: batch/v1\nkind: Job\nmetadata: {{name: {hook}, annotations: {{helm.sh/hook: {hook}}}}}\nspec: \
             {{template: {{spec: {{containers: [{{image: 'h.example/{hook}:1'}}]}}}}}}\n"
        )
    };
    let jobs = ["pre-install", "post-delete", "test"].map(job).join("---\n");
    world.chart("hooks", "", &jobs);
    let listed = world.list("charts: [{path: hooks}]");
    assert_eq!(listed.of("hooks"), ["h.example/post-delete:1", "h.example/pre-install:1"]);
    let notes: Vec<String> =
        listed.json["wanted"].as_array().unwrap().iter().map(|line| line["notes"].to_string()).collect();
    assert!(notes[1].contains("runs in a hook") && notes[0].contains("when the release is removed"), "{notes:?}");
    assert_eq!(listed.texts("ruledOut"), ["h.example/test:1"]);
    let listed = world.list("charts: [{path: hooks}]\nrendering: {tests: true, deleteHooks: false}");
    assert_eq!(listed.of("hooks"), ["h.example/pre-install:1", "h.example/test:1"]);
}

#[test]
fn what_is_not_run_is_told_and_not_wanted() {
    let world = World::new();
    let yaml = about("press", "1.0.0", "dependencies: [{name: db, version: 1.x, condition: db.enabled}]\n");
    let values = "db: {enabled: false}\nside: {enabled: false, image: {repository: org/side, tag: '1'}}\n\
                  catalystBlueprint: {upstream: {images: {press: ghcr.io/example/press}}}\nvm: {image: ubuntu-99.04}\n";
    let side = "{{ if .Values.side.enabled }}\n{{ .Values.side.image.repository }}\n{{ end }}";
    world.folder(
        "press",
        &[
            ("Chart.yaml", &yaml),
            ("values.yaml", values),
            ("templates/a.yaml", &deployment("image: org/a:1")),
            ("templates/side.yaml", side),
            ("templates/README.md", "image: org/readme:1\n"),
            ("templates/NOTES.txt", "image: org/notes:1\n"),
            ("templates/vm.yaml", &thing("forProvider: {image: ubuntu-99.04}")),
            ("templates/crd.yaml", "apiVersion: apiextensions.k8s.io/v1\nkind: CustomResourceDefinition\nmetadata: {name: d}\nspec: {image: 'org/crd:1'}\n"),
            (".helmignore", "templates/extra/\n"),
            ("templates/extra/x.yaml", &deployment("image: org/ignored:1")),
            ("charts/db/Chart.yaml", &about("db", "1.2.0", "")),
            ("charts/db/values.yaml", "image: {repository: org/db, tag: '2'}\n"),
            ("charts/db/templates/x.yaml", &deployment("image: org/db:2")),
        ],
    );
    world.mirror("charts: [{path: press, set: {press: {image: 'quay.io/dead/x:1'}}}]");
    let listed = world.list("charts: [{path: press, set: {kiosk: {image: 'quay.io/dead/x:1'}}}]");
    assert_eq!(listed.of("press"), ["docker.io/org/a:1"]);
    assert!(listed.texts("undecided").is_empty(), "{}", listed.json["undecided"]);
    let out: BTreeSet<String> = listed.texts("ruledOut").into_iter().collect();
    for text in ["ubuntu-99.04", "org/side:1", "org/db:2", "quay.io/dead/x:1"] {
        assert!(out.contains(text), "{text} {out:?}");
    }
    assert!(!out.iter().any(|text| text.contains("example/press") || text.contains("ignored")), "{out:?}");
    assert!(listed.told.contains("images that its files name are not run with these values"), "{}", listed.told);
    let on = world.list("charts: [{path: press, set: {db: {enabled: true}}}]");
    assert_eq!(on.of("press"), ["docker.io/org/db:2", "docker.io/org/a:1"]);
}

#[test]
fn rendered_yaml_is_read_as_kubernetes_tools_read_it() {
    let world = World::new();
    let tabs = format!("{}---# next\n# nothing\n---\n{}", deployment("image: a:1\t"), deployment("image: b:1"));
    let list = format!("apiVersion: v1\nkind: List\nitems:\n- {}", deployment("image: c:1").replace('\n', "\n  "));
    world.chart("tabs", "", &format!("{tabs}---\n{list}\n"));
    let names = ["c:1", "a:1", "b:1"].map(|name| format!("docker.io/library/{name}"));
    assert_eq!(world.list("charts: [{path: tabs}]").of("tabs"), names);
}

#[test]
fn broken_references_and_charts_that_do_not_render_are_errors_with_their_place() {
    let world = World::new();
    world.chart("slash", "r: press/", &deployment("image: '{{ .Values.r }}/kiosk:1.2'"));
    let said = world.refuses("charts: [{path: slash}]", 2);
    for word in [
        "slash/templates/x.yaml Deployment/d spec.template",
        "press//kiosk:1.2",
        "a registry that ends in /",
        "slash 1.0.0",
    ] {
        assert!(said.contains(word), "{word}: {said}");
    }
    world.chart("need", "host: ''", &deployment("image: '{{ required \"host must be set\" .Values.host }}/x:1'"));
    let said = world.refuses("charts: [{path: need}, {path: slash}]", 2);
    for word in ["need (wanted by mirror.yaml: charts[0])", "host must be set", "templates/x.yaml", "set: {…}"] {
        assert!(said.contains(word), "{word}: {said}");
    }
    assert_eq!(world.list("charts: [{path: need, set: {host: h.example}}]").of("need"), ["h.example/x:1"]);
    world.chart("broken", "", "kind: [\n");
    assert!(world.refuses("charts: [{path: broken}]", 2).contains("broken/templates/x.yaml"));
    std::fs::write(world.0.path("values.yaml"), "- a\n").unwrap();
    let said = world.refuses("charts: [{path: need, values: values.yaml}, {path: need, values: none.yaml}]", 2);
    assert!(said.contains("values.yaml: values are a mapping, found a list") && said.contains("none.yaml"), "{said}");
}

#[test]
fn what_depends_on_the_cluster_is_asked_for() {
    let world = World::new();
    world.chart("kube", "", &deployment("image: h.example/kubectl:{{ .Capabilities.KubeVersion.Version }}"));
    let said = world.refuses("charts: [{path: kube}]", 2);
    assert!(
        said.contains("depend on the version of Kubernetes") && said.contains("rendering: { kubernetes:"),
        "{said}"
    );
    let body = "charts: [{path: kube}]\nrendering: {kubernetes: v1.31.4+k3s1}";
    assert_eq!(world.list(body).of("kube"), ["h.example/kubectl:v1.31.4"]);
    world.chart(
        "apis",
        "",
        &format!(
            "{{{{ if .Capabilities.APIVersions.Has \"m.example/v1\" }}}}\n{}{{{{ end }}}}",
            deployment("image: a:1")
        ),
    );
    let listed = world.list("charts: [{path: apis}]");
    assert_eq!((listed.of("apis").len(), listed.texts("undecided")), (0, vec!["a:1".to_owned()]));
    assert!(listed.json["undecided"][0]["remark"].as_str().unwrap().contains("m.example/v1"));
    let listed = world.list("charts: [{path: apis}]\nrendering: {apiVersions: [m.example/v1]}");
    assert_eq!(listed.of("apis"), ["docker.io/library/a:1"]);
}

#[test]
fn lists_of_the_authors_add_what_only_a_program_knows() {
    let world = World::new();
    let list = "annotations:\n  artifacthub.io/images: |\n    - {name: a, image: 'org/a:1'}\n    - {name: b, image: 'h.example/hidden:2'}\n    - {name: c, image: 'org/off:1'}\n";
    world.folder(
        "listed",
        &[
            ("Chart.yaml", &about("listed", "1.0.0", list)),
            ("values.yaml", "off: {image: {repository: org/off, tag: '1'}}\n"),
            ("images.lock", "images:\n- {name: d, image: 'h.example/locked:3'}\n"),
            ("templates/x.yaml", &deployment("image: org/a:1")),
        ],
    );
    let listed = world.list("charts: [{path: listed}]");
    assert_eq!(listed.of("listed"), ["docker.io/org/a:1", "h.example/locked:3", "h.example/hidden:2"]);
    assert!(listed.texts("ruledOut").contains(&"org/off:1".to_owned()));
}

#[test]
fn several_sets_of_values_give_the_images_of_all() {
    let world = World::new();
    world.chart(
        "sets",
        "i: a, n: 1".replace(", ", "\n").as_str(),
        &deployment("image: h.example/{{ .Values.i }}:{{ .Values.n }}"),
    );
    std::fs::write(world.0.path("east.yaml"), "i: b\nn: 7\n").unwrap();
    let body =
        "charts: [{path: sets, values: east.yaml, valueSets: [{name: east, set: {n: 2}}, {name: west, set: {i: w}}]}]";
    let listed = world.list(body);
    assert_eq!(listed.of("sets"), ["h.example/b:2", "h.example/w:7"]);
    assert!(listed.json["wanted"][1]["why"].to_string().contains("(values west)"));
}

#[test]
fn what_may_be_an_image_stops_resolve_until_it_is_decided() {
    let world = World::new();
    let (image, old) = (world.image("press/kiosk", "1"), world.image("press/old", "2"));
    world.chart(
        "doubt",
        "",
        &format!("{}---\n{}", deployment(&format!("image: {image}")), thing(&format!("image: some/vm\nsource: {old}"))),
    );
    world.mirror("charts: [{path: doubt}]");
    let said = world.run(&[]).expect(2).says(&[
        "2 texts may be images",
        "some/vm",
        "decisions:",
        "chart: doubt",
        "{ accept: \"",
    ]);
    assert!(!world.0.path("airlift.lock").exists(), "{}", said.stderr);
    let json: Value = serde_json::from_str(&world.run(&["-o", "json"]).expect(2).stdout).unwrap();
    assert_eq!(json["undecided"][0]["spot"]["path"], "spec.image");
    world.run(&["--leave-undecided"]).expect(0).says(&["is left out", "pinned 1 artifact"]);
    world.mirror(&format!(
        "charts: [{{path: doubt}}]\ndecisions: [{{accept: '{old}', chart: doubt}}, {{reject: some/vm, reason: a VM}}]"
    ));
    world.run(&[]).expect(0).says(&["is rejected: a VM", "pinned 2 artifacts"]);
    assert!(world.lock().artifacts[1].notes.contains(&"accepted by a decision".to_owned()));
}

#[test]
fn images_stand_in_front_of_their_chart_and_a_second_run_gives_the_same_bytes() {
    let world = World::new();
    let image = world.image("press/kiosk", "latest");
    let files =
        [("Chart.yaml", about("kiosk", "1.2.0", "")), ("templates/x.yaml", deployment(&format!("image: {image}")))];
    let files: Vec<(&str, &str)> = files.iter().map(|(path, text)| (*path, text.as_str())).collect();
    let chart = world.publish("kiosk", "1.2.0", &files);
    world.publish("kiosk", "1.1.0", &files);
    let host = world.0.upstream.host();
    world.mirror(&format!("charts: [{{repo: 'oci://{host}/charts', chart: kiosk, version: ^1, namespace: shop, set: {{a: 1}}}}, '{chart}']"));
    world.0.upstream.record();
    world.run(&[]).expect(0).says(&["pinned 2 artifacts"]);
    let asked = |what: &str| world.0.upstream.exchanges().iter().filter(|e| e.path.contains(what)).count();
    assert_eq!((asked("/manifests/1.2.0"), asked("/manifests/latest"), asked("/tags/list")), (1, 1, 1));
    let lock = world.lock();
    let names: Vec<String> = lock.artifacts.iter().map(|artifact| artifact.source.to_string()).collect();
    assert_eq!(names, [image.clone(), chart.clone()]);
    assert_eq!((lock.artifacts[0].role, lock.artifacts[1].role), (Role::Image, Role::Chart));
    assert!(lock.artifacts[0].notes.contains(&"moving tag".to_owned()));
    assert!(lock.artifacts[0].why[0].contains(&chart));
    assert_eq!(lock.artifacts[1].rendered.len(), 2, "it is used in two ways");
    let rendered = &lock.artifacts[1].rendered[0];
    assert_eq!((rendered.namespace.as_str(), rendered.release.as_str(), rendered.values.len()), ("shop", "kiosk", 1));
    assert_eq!(rendered.values[0].digest, Digest::of(br#"[{"a":1}]"#));
    let bytes = lock.to_bytes();
    world.run(&[]).expect(0);
    assert_eq!(world.lock().to_bytes(), bytes);
    world.mirror(&format!("charts: [{{ref: '{chart}', images: false}}]"));
    world.run(&["--lock", "alone.lock"]).expect(0).says(&["pinned 1 artifact"]);
}

#[test]
fn a_withdrawn_image_is_an_error_with_its_path_and_a_substitution_mends_it() {
    let world = World::new();
    let host = world.0.upstream.host();
    world.image("presslegacy/db", "1");
    world.chart("old", "", &deployment(&format!("image: {host}/press/db:1")));
    world.mirror("charts: [{path: old}]");
    world.run(&[]).expect(20).says(&[&format!("{host}/press/db:1"), "old/templates/x.yaml", "charts[0]"]);
    world.mirror(&format!("charts: [{{path: old}}]\nsubstitute: [{{from: '{host}/press', to: '{host}/presslegacy'}}]"));
    world.run(&[]).expect(0);
    assert!(world.lock().artifacts[0].notes.contains(&format!("replaces {host}/press/db")));
}

#[test]
fn two_versions_of_a_chart_embedded_and_alone_both_count() {
    let world = World::new();
    let inner = |version: &str| {
        archive(
            "leaf",
            &[
                ("Chart.yaml", &about("leaf", version, "")),
                ("templates/x.yaml", &deployment(&format!("image: h.example/leaf:{version}"))),
            ],
        )
    };
    let umbrella = about("umbrella", "1.0.0", "dependencies: [{name: leaf, version: 1.0.1}]\n");
    world.folder("umbrella", &[("Chart.yaml", &umbrella)]);
    std::fs::create_dir(world.0.path("umbrella/charts")).unwrap();
    std::fs::write(world.0.path("umbrella/charts/leaf-1.0.1.tgz"), inner("1.0.1")).unwrap();
    std::fs::write(world.0.path("leaf.tgz"), inner("1.0.3")).unwrap();
    let listed = world.list("charts: [{path: umbrella}, {path: leaf.tgz}]");
    assert_eq!(listed.all(), BTreeSet::from(["h.example/leaf:1.0.1".to_owned(), "h.example/leaf:1.0.3".to_owned()]));
}

#[test]
fn a_library_gives_no_image_and_no_error() {
    let world = World::new();
    let library = about("lib", "1.0.0", "type: library\n");
    world.folder(
        "app",
        &[
            ("Chart.yaml", &about("app", "1.0.0", "dependencies: [{name: lib, version: 1.0.0}]\n")),
            ("charts/lib/Chart.yaml", &library),
            ("charts/lib/templates/_x.tpl", "{{ define \"lib.image\" }}org/x:1{{ end }}"),
            ("templates/x.yaml", &deployment("image: '{{ include \"lib.image\" . }}'")),
        ],
    );
    assert_eq!(world.list("charts: [{path: app}]").of("app"), ["docker.io/org/x:1"]);
}

/// A Helm repository with a leaf chart in two versions.
pub fn repository(files: &FileServer) -> Vec<u8> {
    let leaf = archive(
        "leaf",
        &[
            ("Chart.yaml", &about("leaf", "1.4.0", "")),
            ("templates/x.yaml", &deployment("image: h.example/leaf:1.4.0")),
        ],
    );
    files.put("/charts/leaf-1.4.0.tgz", &leaf);
    let index = format!(
        "apiVersion: v1\nentries:\n  leaf:\n  - version: 1.4.0\n    digest: {}\n    urls: [leaf-1.4.0.tgz]\n  - version: 1.3.0\n    \
         urls: [leaf-1.3.0.tgz]\n  - version: 2.0.0-rc.1\n    urls: [none.tgz]\n",
        Digest::of(&leaf).hex()
    );
    files.put("/charts/index.yaml", index.as_bytes());
    leaf
}

pub fn address(files: &FileServer) -> String {
    files.url("/charts/index.yaml").to_string().trim_end_matches("/index.yaml").to_owned()
}

#[test]
fn a_helm_repository_gives_the_highest_version_that_fits_as_an_artifact() {
    let (world, files) = (World::new(), FileServer::start());
    let leaf = repository(&files);
    let body = format!("charts: [{{repo: '{}', chart: leaf, version: ^1}}]", address(&files));
    let listed = world.list(&body);
    assert_eq!(
        listed.all(),
        BTreeSet::from(["h.example/leaf:1.4.0".to_owned(), format!("{}/charts/leaf:1.4.0", files.host())])
    );
    let said = world.refuses(&body.replace("^1", "^3"), 20);
    assert!(said.contains("nothing fits version ^3; there are 2.0.0-rc.1, 1.4.0, 1.3.0"), "{said}");
    let said = world.refuses(&body.replace("chart: leaf", "chart: twig"), 20);
    assert!(said.contains("it lists no chart \"twig\""), "{said}");
    files.put("/charts/leaf-1.4.0.tgz", &[&leaf[..], b"x"].concat());
    let said = world.refuses(&body, 40);
    assert!(said.contains(&Digest::of(&leaf).to_string()), "{said}");
}

#[test]
fn dependencies_that_are_not_in_a_chart_are_fetched_or_named() {
    let (world, files) = (World::new(), FileServer::start());
    repository(&files);
    let with = |repository: &str| {
        about("wrap", "1.0.0", &format!("dependencies: [{{name: leaf, version: ^1, repository: '{repository}'}}]\n"))
    };
    world.folder("wrap", &[("Chart.yaml", &with(&address(&files))), ("templates/x.yaml", &deployment("image: a:1"))]);
    assert_eq!(world.list("charts: [{path: wrap}]").of("wrap"), ["h.example/leaf:1.4.0", "docker.io/library/a:1"]);
    for (place, said) in [
        ("", "it belongs under charts/"),
        ("file://../leaf", "on the author's machine only"),
        ("http://127.0.0.1:1/x", "leaf ^1, which is not in its archive"),
    ] {
        world.folder("wrap", &[("Chart.yaml", &with(place))]);
        world.mirror("charts: [{path: wrap}]");
        let ran = world.run(&["--list"]);
        assert!(
            ran.code != 0 && ran.stderr.contains(said) && !ran.stdout.contains("library/a:1"),
            "{place}: {}",
            ran.stderr
        );
    }
}

#[test]
fn an_artifact_that_is_no_chart_is_refused() {
    let world = World::new();
    let image = world.image("press/kiosk", "1");
    let said = world.refuses(&format!("charts: ['{image}']"), 2);
    assert!(said.contains("it is no Helm chart"), "{said}");
}

#[test]
fn blueprints_are_looked_into_with_their_values() {
    let world = World::new();
    let host = world.0.upstream.host();
    let files = [
        ("Chart.yaml", about("bp-kiosk", "1.0.1", "")),
        ("templates/x.yaml", deployment("image: 'h.example/x:{{ required \"tag is empty\" .Values.tag }}'")),
    ];
    let files: Vec<(&str, &str)> = files.iter().map(|(path, text)| (*path, text.as_str())).collect();
    world.publish("bp-kiosk", "1.0.1", &files);
    let blueprint = "apiVersion: catalyst.openova.io/v1\nkind: Blueprint\nmetadata: {name: kiosk}\nspec: {version: 1.0.1, manifests: {chart: bp-kiosk}}\n";
    world.folder("catalogue", &[("kiosk/blueprint.yaml", blueprint)]);
    let body = |more: &str| {
        format!(
            "blueprints: [{{catalogue: catalogue, artifact: '{host}/charts/{{chart}}:{{version}}', roots: [kiosk]{more}}}]"
        )
    };
    let said = world.refuses(&body(""), 2);
    assert!(said.contains("tag is empty") && said.contains("blueprints[].values: [{ blueprint: bp-kiosk"), "{said}");
    let listed = world.list(&body(", values: [{blueprint: kiosk, set: {tag: '7'}}]"));
    assert_eq!(listed.all(), BTreeSet::from(["h.example/x:7".to_owned(), format!("{host}/charts/bp-kiosk:1.0.1")]));
    let alone = world.list(&body(", images: false"));
    assert_eq!(alone.all().len(), 1);
}
