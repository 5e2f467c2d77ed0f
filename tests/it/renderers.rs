//! The two renderers: charts of the older form, and that a lock does not tell which of them was at work. The referee is
//! asked where the environment names it: `AIRLIFT_HELM`.

use crate::stage::{Stage, small};
use airlift::chart::{Chart, HelmProgram, OwnRenderer, Rendered, Renderer, Request};
use airlift::document::lock::Lock;
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

fn write(folder: &Path, files: &[(&str, &str)]) {
    for (name, text) in files {
        let path = folder.join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }
}

fn helm() -> Option<PathBuf> {
    std::env::var_os("AIRLIFT_HELM").map(PathBuf::from)
}

fn images(rendered: &Rendered) -> BTreeSet<String> {
    let lines = rendered.files.iter().flat_map(|file| file.text.lines());
    lines.filter_map(|line| line.trim().strip_prefix("image: ")).map(str::to_owned).collect()
}

/// Renders with the own renderer, and with helm where it is there; both must say the same.
fn rendered(chart: &Path, values: Value) -> Result<BTreeSet<String>, String> {
    let chart = Chart::from_folder(chart).map_err(|e| e.to_string())?;
    let values = [values];
    let kubernetes = "1.31.4".parse().unwrap();
    let request =
        Request { release: "r", namespace: "n", values: &values, kubernetes, api_versions: &[], is_upgrade: false };
    let own = OwnRenderer.render(&chart, &request).map(|rendered| images(&rendered)).map_err(|e| e.to_string());
    if let Some(program) = helm() {
        let theirs = HelmProgram::at(&program).unwrap().render(&chart, &request).map(|rendered| images(&rendered));
        assert_eq!(own.as_ref().ok(), theirs.as_ref().ok(), "{own:?} {theirs:?}");
    }
    own
}

#[test]
fn a_chart_of_the_older_form_has_its_requirements_in_a_file_of_their_own() {
    let folder = tempfile::tempdir().unwrap();
    let requirements = "dependencies:\n- {name: leaf, version: 1.x.x, alias: first, condition: first.enabled}\n- {name: leaf, version: 1.x.x, \
                        alias: second, tags: [extra, more]}\n- {name: twig, version: '>0', condition: 'none.at.all,twig.wanted'}\n";
    let pod = |name: &str| {
        format!(
            "apiVersion: v1\nkind: Pod\nmetadata: {{name: {name}-{{{{ .Chart.Name }}}}}}\nspec:\n  containers:\n  - name: a\n    image: \
             h.example/{name}:{{{{ .Values.tag | default \"0\" }}}}\n"
        )
    };
    write(
        folder.path(),
        &[
            ("Chart.yaml", "apiVersion: v1\nname: old\nversion: 0.3.0\n"),
            ("requirements.yaml", requirements),
            ("requirements.lock", "dependencies: []\ndigest: x\n"),
            (
                "values.yaml",
                "first: {enabled: true, tag: '1'}\nsecond: {tag: '2'}\ntags: {extra: false}\ntwig: {wanted: false}\n",
            ),
            ("templates/x.yaml", &pod("old")),
            ("charts/leaf/Chart.yaml", "apiVersion: v1\nname: leaf\nversion: 1.4.0\n"),
            ("charts/leaf/templates/x.yaml", &pod("leaf")),
            ("charts/twig/Chart.yaml", "apiVersion: v1\nname: twig\nversion: 2.0.0\n"),
            ("charts/twig/templates/x.yaml", &pod("twig")),
        ],
    );
    let of = |values: Value| {
        let found = rendered(folder.path(), values).unwrap_or_else(|e| panic!("{e}"));
        found.into_iter().collect::<Vec<_>>().join(" ")
    };
    assert_eq!(of(json!({})), "h.example/leaf:1 h.example/old:0");
    assert_eq!(of(json!({"tags": {"extra": true}})), "h.example/leaf:1 h.example/leaf:2 h.example/old:0");
    assert_eq!(of(json!({"first": {"enabled": false}, "twig": {"wanted": true}})), "h.example/old:0 h.example/twig:0");
    write(folder.path(), &[("requirements.yaml", "dependencies:\n- {name: absent, version: 2.x.x}\n")]);
    let error = rendered(folder.path(), json!({})).unwrap_err();
    assert!(error.contains("absent 2.x.x"), "{error}");
}

/// What a schema says of `v`, and values for it: the first fits, the others do not.
fn schemas() -> Vec<(Value, Vec<Value>)> {
    let old = json!({"$schema": "http://json-schema.org/draft-07/schema#", "$ref": "#/definitions/x", "definitions": {"x": {}}});
    vec![
        (json!({"type": "integer", "minimum": 1}), vec![json!(2), json!(0), json!("2")]),
        (json!({"type": ["string", "boolean"]}), vec![json!(true), json!(1)]),
        (json!({"enum": ["a", "b"]}), vec![json!("a"), json!("c")]),
        (
            json!({"type": "object", "required": ["a"], "additionalProperties": false, "properties": {"a": {"type": "string"}}}),
            vec![json!({"a": "x"}), json!({}), json!({"a": "x", "b": 1}), json!({"a": 1})],
        ),
        (
            json!({"type": "array", "items": {"type": "string", "minLength": 2}, "uniqueItems": true}),
            vec![json!(["aa", "bb"]), json!(["a"]), json!(["aa", "aa"]), json!([1])],
        ),
        (
            json!({"patternProperties": {"^x-[a-z]+$": {"type": "number"}}, "additionalProperties": {"type": "boolean"}}),
            vec![json!({"x-a": 1.5, "other": true}), json!({"x-a": "no"}), json!({"other": 1})],
        ),
        (
            json!({"oneOf": [{"type": "integer"}, {"required": ["n"], "type": "object"}]}),
            vec![json!({"n": 1}), json!({"m": 1})],
        ),
        (json!({"anyOf": [{"pattern": "^a"}, {"pattern": "z$"}]}), vec![json!("az"), json!("b")]),
        (json!({"not": {"const": "none"}}), vec![json!("some"), json!("none")]),
        (
            json!({"if": {"properties": {"tls": {"const": true}}, "required": ["tls"]}, "then": {"required": ["cert"]}}),
            vec![json!({"tls": false}), json!({"tls": true})],
        ),
        (json!({"$ref": "#/$defs/port"}), vec![json!(80), json!(70000)]),
        (json!({"multipleOf": 4, "exclusiveMaximum": 12}), vec![json!(8), json!(12), json!(9)]),
        (old, vec![json!(1)]),
    ]
}

#[test]
fn values_that_do_not_meet_the_schema_of_a_chart_are_refused_as_helm_refuses_them() {
    let folder = tempfile::tempdir().unwrap();
    let pod =
        "apiVersion: v1\nkind: Pod\nmetadata: {name: p}\nspec:\n  containers:\n  - name: a\n    image: h.example/a:1\n";
    for below in [false, true] {
        for (schema, values) in schemas() {
            let mut whole =
                json!({"$defs": {"port": {"type": "integer", "maximum": 65535}}, "properties": {"v": schema}});
            if schema.get("$schema").is_some() {
                whole = json!({"$schema": schema["$schema"], "properties": {"v": schema}, "definitions": schema["definitions"]});
            }
            let (place, text) = (if below { "charts/leaf/" } else { "" }, whole.to_string());
            let _ = std::fs::remove_dir_all(folder.path().join("charts"));
            let _ = std::fs::remove_file(folder.path().join("values.schema.json"));
            write(
                folder.path(),
                &[
                    (
                        "Chart.yaml",
                        "apiVersion: v2\nname: press\nversion: 1.0.0\ndependencies: [{name: leaf, version: 1.0.0}]\n",
                    ),
                    ("templates/x.yaml", pod),
                    ("charts/leaf/Chart.yaml", "apiVersion: v2\nname: leaf\nversion: 1.0.0\n"),
                    (&format!("{place}values.schema.json"), &text),
                ],
            );
            for (number, value) in values.into_iter().enumerate() {
                let given = if below { json!({"leaf": {"v": value}}) } else { json!({"v": value}) };
                let found = rendered(folder.path(), given);
                assert_eq!(found.is_ok(), number == 0, "{schema} {value}: {found:?}");
                if let Err(error) = found {
                    assert!(error.contains(&format!("do not meet press/{place}values.schema.json: v")), "{error}");
                }
            }
        }
    }
}

#[test]
fn what_a_schema_asks_and_nobody_checks_is_told() {
    let stage = Stage::new();
    let schema = r#"{"properties": {"mail": {"type": "string", "format": "email"}, "other": {"$ref": "https://x.example/s.json"}}}"#;
    let files = [
        ("press/Chart.yaml", "apiVersion: v2\nname: press\nversion: 1.0.0\n"),
        ("press/values.schema.json", schema),
        (
            "press/templates/x.yaml",
            "apiVersion: v1\nkind: Pod\nmetadata: {name: p}\nspec: {containers: [{name: a, image: 'h.example/a:1'}]}\n",
        ),
        ("mirror.yaml", "apiVersion: airlift/v1alpha1\nkind: Mirror\ncharts: [{path: press, set: {mail: x}}]\n"),
    ];
    write(stage.folder.path(), &files);
    let said = stage.airlift(&["resolve", "-f", "mirror.yaml", "--list"]).expect(0).stderr;
    assert!(
        said.contains("what values.schema.json asks by $ref https://x.example/s.json, format is not checked here"),
        "{said}"
    );
    let none = stage.airlift(&["resolve", "-f", "mirror.yaml", "--list", "--renderer", "both"]).expect(2).stderr;
    assert!(none.contains("there is no helm program"), "{none}");
}

#[test]
fn a_lock_does_not_tell_the_order_of_the_renderer() {
    let Some(program) = helm() else { return };
    let stage = Stage::new();
    let names: Vec<String> = (1..=4).map(|n| stage.publish(&format!("press/i{n}"), "1", &small(n))).collect();
    let kind = |kind: &str, image: &str| {
        format!(
            "apiVersion: v1\nkind: {kind}\nmetadata: {{name: x}}\nspec: {{containers: [{{name: a, image: '{image}'}}]}}\n"
        )
    };
    // Helm installs a Job behind a Pod and a Pod behind a ReplicaSet, whatever the template says.
    let job = kind("Job", &names[0]).replace("apiVersion: v1", "apiVersion: batch/v1");
    let first = format!("{job}---\n{}---\n{}", kind("Pod", &names[1]), kind("ConfigMap", &names[2]));
    let hook = kind("Pod", &names[3]).replace("{name: x}", "{name: h, annotations: {helm.sh/hook: pre-install}}");
    write(
        stage.folder.path(),
        &[
            ("press/Chart.yaml", "apiVersion: v2\nname: press\nversion: 1.0.0\n"),
            ("press/templates/b.yaml", &first),
            ("press/templates/a.yaml", &hook),
            ("mirror.yaml", "apiVersion: airlift/v1alpha1\nkind: Mirror\ncharts: [{path: press}]\n"),
        ],
    );
    let lock = |renderer: &str| {
        let mut command = stage.command(&[
            "resolve",
            "-f",
            "mirror.yaml",
            "--plain-http",
            "--lock",
            renderer,
            "--renderer",
            renderer,
        ]);
        command.env("AIRLIFT_HELM", &program);
        stage.run(command).expect(0);
        let mut lock = Lock::read(&std::fs::read(stage.path(renderer)).unwrap(), renderer).unwrap();
        lock.artifacts.iter_mut().flat_map(|artifact| &mut artifact.rendered).for_each(|with| with.renderer.clear());
        String::from_utf8(lock.to_bytes()).unwrap()
    };
    let own = lock("own");
    assert_eq!(own, lock("helm"));
    assert_eq!(own, lock("both"));
}
