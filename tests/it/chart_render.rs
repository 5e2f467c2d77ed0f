//! Charts are read and rendered as Helm reads and renders them. Here stand the traps, each with a chart of its own;
//! `testdata/charts` has larger ones, for which the `helm` program is the referee (`scripts/real/charts.sh`).

use airlift::chart::{Chart, HelmProgram, OwnRenderer, RenderError, Rendered, Renderer, Request, load_values};
use airlift::document::yaml::{self, Node, Value as Yaml};
use proptest::prelude::*;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

/// A chart of these files, read from a folder.
pub fn chart(files: &[(&str, &str)]) -> Chart {
    let folder = tempfile::tempdir().unwrap();
    for (path, text) in files {
        let path = folder.path().join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }
    Chart::from_folder(folder.path()).unwrap_or_else(|e| panic!("{e}"))
}

pub const PRESS: (&str, &str) = ("Chart.yaml", "apiVersion: v2\nname: press\nversion: 1.2.3\nappVersion: \"4.5\"\n");

pub fn request(values: &[Value]) -> Request<'_> {
    let kubernetes = "v1.31.4+k3s1".parse().unwrap();
    Request { release: "rel", namespace: "ns1", values, kubernetes, api_versions: &[], is_upgrade: false }
}

/// What the one template of a chart gives.
pub fn rendered(chart: &Chart) -> String {
    rendered_with(chart, &[])
}

fn rendered_with(chart: &Chart, values: &[Value]) -> String {
    let rendered = OwnRenderer.render(chart, &request(values)).unwrap_or_else(|e| panic!("{e}"));
    rendered.files.into_iter().map(|file| file.text).collect()
}

/// What one template gives in a chart of its own.
fn gives(template: &str) -> String {
    rendered(&chart(&[PRESS, ("templates/a.yaml", template)]))
}

fn fails(template: &str) -> RenderError {
    let chart = chart(&[PRESS, ("templates/a.yaml", template)]);
    OwnRenderer.render(&chart, &request(&[])).unwrap_err()
}

#[test]
fn helmignore_keeps_files_out_of_the_chart() {
    let read = chart(&[
        PRESS,
        (".helmignore", "templates/extra/\n*.bak\n"),
        ("templates/extra/plain.yaml", "image: a"),
        ("templates/web.yaml", "image: b"),
        ("old.bak", "x"),
    ]);
    let paths: Vec<&str> = read.files().map(|(path, _)| path).collect();
    assert_eq!(paths, [".helmignore", "Chart.yaml", "templates/web.yaml"]);
}

#[test]
fn a_chart_that_refuses_does_so_in_its_own_words_with_the_place() {
    let error = fails("a: 1\nb: {{ required \"set the address of the press\" .Values.address }}");
    let RenderError::Refused { template, line, words, .. } = &error else { panic!("{error}") };
    assert_eq!(
        (template.as_str(), *line, words.as_str()),
        ("press/templates/a.yaml", 2, "set the address of the press")
    );
    let helper = ("templates/_h.tpl", "{{ define \"h\" }}\n{{ fail (printf \"no %s\" .what) }}{{ end }}");
    let read = chart(&[PRESS, helper, ("templates/a.yaml", "{{ include \"h\" (dict \"what\" \"ink\") }}")]);
    let error = OwnRenderer.render(&read, &request(&[])).unwrap_err().to_string();
    assert_eq!(error, "chart press refuses at press/templates/_h.tpl:2: no ink");
}

#[test]
fn a_mistake_in_a_template_names_file_and_line() {
    for (template, line, words) in [
        ("a\n{{ .Values.a.b }}", 2, "nil pointer evaluating interface {}.b"),
        ("\n\n{{ nonsense 1 }}", 3, "no function \"nonsense\""),
        ("{{ if true }}", 1, "no {{end}}"),
        ("{{ include \"none\" . }}", 1, "no template \"none\""),
        ("{{ upper 1 }}", 1, "argument 1 is a text, found int"),
        ("{{ eq 1 \"a\" }}", 1, "incompatible types"),
        ("{{ $x }}", 1, "no variable $x"),
        ("{{ .Chart.Nothing }}", 1, "no field Nothing"),
        ("{{ index (list 1) 4 }}", 1, "out of range"),
        ("{{ div 1 0 }}", 1, "divide by 0"),
        ("{{ semverCompare \">a\" \"1\" }}", 1, "no range of versions"),
    ] {
        let error = fails(template);
        let RenderError::Template { template: file, line: found, why, .. } = &error else { panic!("{error}") };
        assert_eq!((file.as_str(), *found), ("press/templates/a.yaml", line), "{template}: {why}");
        assert!(why.contains(words), "{template}: {why}");
    }
}

#[test]
fn values_lie_over_one_another_and_a_null_removes() {
    let read = chart(&[
        PRESS,
        ("values.yaml", "image: {tag: 1, pull: always}\nlist: [1]\ngone: x\n"),
        ("templates/a.yaml", "{{ toJson .Values }}"),
    ]);
    let sets =
        [json!({"image": {"tag": "2"}, "gone": 1}), json!({"image": {"tag": "3"}, "list": [2, 3], "gone": null})];
    let found: Value = serde_json::from_str(&rendered_with(&read, &sets)).unwrap();
    assert_eq!(found, json!({"image": {"tag": "3", "pull": "always"}, "list": [2, 3]}));
}

#[test]
fn a_subchart_that_is_switched_off_gives_nothing_and_may_be_missing() {
    let about = "apiVersion: v2\nname: press\nversion: 1.0.0\ndependencies:\n  - {name: db, version: 1.x, repository: \"\", \
                 condition: db.enabled}\n";
    let db = ("charts/db/Chart.yaml", "apiVersion: v2\nname: db\nversion: 1.0.0\n");
    let template = ("charts/db/templates/db.yaml", "image: db");
    let values = ("values.yaml", "db: {enabled: false}\n");
    let whole = chart(&[("Chart.yaml", about), values, db, template]);
    assert_eq!(rendered(&whole), "");
    assert_eq!(rendered_with(&whole, &[json!({"db": {"enabled": true}})]), "image: db");
    let lacking = chart(&[("Chart.yaml", about), values]);
    assert!(lacking.missing_dependencies().is_empty());
    assert_eq!(rendered(&lacking), "");
    let on = [json!({"db": {"enabled": true}})];
    assert_eq!(lacking.missing_dependencies_with(&on)[0].name, "db");
    let error = OwnRenderer.render(&lacking, &request(&on)).unwrap_err();
    assert!(matches!(&error, RenderError::Missing { missing, .. } if missing == "db 1.x"), "{error}");
}

#[test]
fn a_library_gives_no_documents() {
    let library = ("Chart.yaml", "apiVersion: v2\nname: press\nversion: 1.0.0\ntype: library\n");
    let read = chart(&[library, ("templates/a.yaml", "image: a"), ("templates/_h.tpl", "{{ define \"x\" }}{{ end }}")]);
    assert!(OwnRenderer.render(&read, &request(&[])).unwrap().files.is_empty());
}

#[test]
fn the_version_of_kubernetes_and_its_interfaces_are_what_was_asked_for() {
    let template = "{{ .Capabilities.KubeVersion.Version }} {{ .Capabilities.APIVersions.Has \"a.b/v1\" }} {{ \
                    .Capabilities.APIVersions.Has \"apps/v1\" }}";
    let read = chart(&[PRESS, ("templates/a.yaml", template)]);
    assert_eq!(rendered(&read), "v1.31.4 false true");
    let (known, request) = (["a.b/v1".to_owned()], request(&[]));
    let request = Request { api_versions: &known, ..request };
    assert_eq!(OwnRenderer.render(&read, &request).unwrap().files[0].text, "v1.31.4 true true");
    let newer = ("Chart.yaml", "apiVersion: v2\nname: press\nversion: 1.0.0\nkubeVersion: \">=1.32\"\n");
    let error = OwnRenderer.render(&chart(&[newer]), &request).unwrap_err();
    assert!(matches!(error, RenderError::Kubernetes { .. }), "{error}");
}

#[test]
fn dictionaries_are_changed_in_place_for_all_who_hold_them() {
    assert_eq!(gives(r#"{{ $a := dict "x" 1 }}{{ $b := $a }}{{ $_ := set $b "x" 2 }}{{ $a.x }}"#), "2");
    assert_eq!(gives(r#"{{ define "s" }}{{ $_ := set . "mode" "ha" }}{{ end }}{{ template "s" . }}{{ .mode }}"#), "ha");
    assert_eq!(gives(r#"{{ $a := dict "x" 1 }}{{ $b := deepCopy $a }}{{ $_ := set $b "x" 2 }}{{ $a.x }}"#), "1");
}

#[test]
fn what_is_made_up_is_the_same_every_time_and_now_stands_still() {
    let template = r#"{{ randAlphaNum 12 }} {{ randAlphaNum 12 }} {{ (genCA "a" 1).Cert | sha256sum }} {{ uuidv4 }} {{ now | date "2006-01-02" }}"#;
    let first = gives(template);
    assert_eq!(first, gives(template));
    let words: Vec<&str> = first.split(' ').collect();
    assert_ne!(words[0], words[1]);
    assert_eq!((words[0].len(), words[3].len(), words[4]), (12, 36, "2024-01-01"));
}

fn charts() -> Vec<(String, PathBuf)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata/charts");
    let mut found: Vec<(String, PathBuf)> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.is_dir())
        .map(|path| (path.file_name().unwrap().to_string_lossy().into_owned(), path))
        .collect();
    found.sort();
    found
}

/// Documents by their template, in no order.
fn documents(rendered: &Rendered) -> BTreeMap<String, Vec<String>> {
    let mut found: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for file in &rendered.files {
        for document in yaml::documents(&file.text, &file.template).unwrap() {
            let document = document.unwrap_or_else(|e| panic!("{e}\n{}", file.text));
            if document.value != Yaml::Null {
                found.entry(file.template.clone()).or_default().push(plain(&document).to_string());
            }
        }
    }
    found.values_mut().for_each(|documents| documents.sort());
    found
}

/// A document without places and the order of its keys.
fn plain(node: &Node) -> Value {
    match &node.value {
        Yaml::Null => Value::Null,
        Yaml::Text { text, plain } => json!([text, plain]),
        Yaml::List(items) => items.iter().map(plain).collect(),
        Yaml::Map(entries) => entries.iter().map(|entry| (entry.key.clone(), plain(&entry.value))).collect(),
    }
}

fn images(node: &Node, into: &mut BTreeSet<String>) {
    if let Some(image) = node.get("image").and_then(Node::text) {
        into.insert(image.to_owned());
    }
    node.entries().iter().for_each(|entry| images(&entry.value, into));
    node.items().iter().for_each(|item| images(item, into));
}

#[test]
fn each_chart_of_the_test_data_gives_the_images_that_helm_finds() {
    let expected = include_str!("../../testdata/charts/images.txt");
    let mut found = String::new();
    for (name, folder) in charts() {
        let read = Chart::from_folder(&folder).unwrap();
        let mut here = BTreeSet::new();
        match OwnRenderer.render(&read, &request(&[])) {
            Ok(rendered) => {
                for file in &rendered.files {
                    yaml::documents(&file.text, &file.template)
                        .unwrap()
                        .for_each(|node| images(&node.unwrap(), &mut here));
                }
            }
            Err(error) => drop(here.insert(error.to_string())),
        }
        here.iter().for_each(|image| found.push_str(&format!("{name} {image}\n")));
    }
    assert_eq!(found, expected);
}

/// The referee, where the environment names it: `AIRLIFT_HELM`. `scripts/real/charts.sh` sets it.
#[test]
fn the_helm_program_gives_the_same_documents_where_it_is_there() {
    let Some(program) = std::env::var_os("AIRLIFT_HELM") else { return };
    let helm = HelmProgram::at(Path::new(&program)).unwrap();
    for (name, folder) in charts() {
        let read = Chart::from_folder(&folder).unwrap();
        for kubernetes in ["1.24.0", "1.31.4"] {
            let known = ["example.org/v1".to_owned()];
            let request = Request { kubernetes: kubernetes.parse().unwrap(), api_versions: &known, ..request(&[]) };
            match (OwnRenderer.render(&read, &request), helm.render(&read, &request)) {
                (Ok(own), Ok(helm)) => assert_eq!(documents(&own), documents(&helm), "{name} for {kubernetes}"),
                (Err(_), Err(_)) => {}
                (own, helm) => panic!("{name} for {kubernetes}:\nown {own:?}\nhelm {helm:?}"),
            }
        }
    }
    println!("{} charts, the same documents from {} and {}", charts().len(), OwnRenderer.name(), helm.name());
}

#[test]
fn values_of_a_person_are_read_as_helm_reads_them() {
    let read = load_values("a: yes\nb: 1\n", "v.yaml").unwrap();
    assert_eq!(read, json!({"a": true, "b": 1}));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn no_template_makes_the_renderer_fall_over(
        template in r#"(\{\{-? ?(if|with|range|end|else|define "x"|include "x" \.|\.a\.b|\$x := 1|printf "%[a-z0-9*.]{0,4}" 1 "a" nil|index (list 1) 0|\(|\)|\||toYaml \.|tpl "\{\{" \.) ?-?\}\}|[a-z \n]{0,4}){0,12}"#
    ) {
        drop(airlift::chart::fuzzing::render(&template, "a: {b: 1}"));
    }

    #[test]
    fn texts_come_back_out_of_yaml_as_they_went_in(text in "[ -~\u{e9}\t\n]{0,40}") {
        let template = "x: {{ toYaml (dict \"k\" (index .Values.t 0) \"l\" .Values.t) | b64enc }}";
        let values = json!({"t": [text.clone()]}).to_string();
        let out = airlift::chart::fuzzing::render(template, &values).unwrap();
        let encoded = out.strip_prefix("x: ").unwrap();
        let decode = format!("{{{{ (b64dec {encoded:?} | fromYaml).k | toJson }}}}");
        let back = airlift::chart::fuzzing::render(&decode, "").unwrap_or_default();
        prop_assert_eq!(serde_json::from_str::<String>(&back).ok(), Some(text));
    }
}
