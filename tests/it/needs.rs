//! What people meet when they say what a cluster needs: errors at the right place, what would move, what is left out.

use crate::discover::{folder, told, try_mirror};
use crate::stage::{Ran, Stage, small};
use airlift::document::lock::Lock;
use serde_json::Value;

fn write(stage: &Stage, name: &str, text: &str) {
    let path = stage.path(name);
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(path, text).unwrap();
}

fn mirror(stage: &Stage, body: &str) {
    write(stage, "mirror.yaml", &format!("apiVersion: airlift/v1alpha1\nkind: Mirror\n{body}\n"));
}

fn chart(stage: &Stage, name: &str, template: &str) {
    write(stage, &format!("{name}/Chart.yaml"), &format!("apiVersion: v2\nname: {name}\nversion: 1.0.0\n"));
    write(stage, &format!("{name}/templates/x.yaml"), template);
}

fn pod(image: &str) -> String {
    format!("apiVersion: v1\nkind: Pod\nmetadata: {{name: p}}\nspec: {{containers: [{{name: a, image: '{image}'}}]}}\n")
}

fn resolve(stage: &Stage, more: &[&str]) -> Ran {
    let fixed = ["resolve", "-f", "mirror.yaml", "--plain-http", "--retries", "0", "--renderer", "own"];
    stage.airlift(&[&fixed[..], more].concat())
}

fn lock(stage: &Stage) -> Lock {
    Lock::read(&std::fs::read(stage.path("airlift.lock")).unwrap(), "airlift.lock").unwrap()
}

/// A pod whose argument names an image: probable.
fn argument(text: &str) -> String {
    format!(
        "apiVersion: v1\nkind: Pod\nmetadata: {{name: p}}\nspec: {{containers: [{{name: a, image: 'h.example/a:1', args: ['{text}']}}]}}\n"
    )
}

fn in_pod(text: &str, rest: &str) -> (Vec<String>, String) {
    let folder = folder(&[("k/p.yaml", &argument(text))]);
    let found = try_mirror(folder.path(), &format!("kubernetes: [k]\n{rest}")).unwrap_or_else(|e| panic!("{e}"));
    (crate::discover::names(&found), told(&found))
}

#[test]
fn a_decision_rejects_and_accepts_what_is_wanted_as_probable() {
    let argument = "--runner=h.example/runner:1.0";
    assert_eq!(in_pod(argument, "").0, ["h.example/a:1", "h.example/runner:1.0"]);
    let (names, told) = in_pod(argument, "decisions: [{reject: 'h.example/runner:1.0', reason: never started}]\n");
    assert_eq!(names, ["h.example/a:1"]);
    assert!(told.contains("is rejected: never started") && !told.contains("nothing met"), "{told}");
    let (names, told) = in_pod(argument, "decisions: [{accept: 'h.example/runner:1.0'}]\n");
    assert_eq!(names, ["h.example/a:1", "h.example/runner:1.0"]);
    assert!(!told.contains("nothing met"), "{told}");
    let (names, told) = in_pod(argument, "decisions: [{reject: 'h.example/a:1', reason: no}]\n");
    assert_eq!(names.len(), 2, "what certainly runs is no matter of decisions");
    assert!(told.contains("this decision is about what certainly runs; it stays (ignore leaves out"), "{told}");
}

#[test]
fn what_is_accepted_has_to_be_a_reference() {
    let folder = folder(&[("k/p.yaml", &pod("h.example/a:1"))]);
    let body = "kubernetes: [k]\ndecisions:\n- {accept: 'press//kiosk:1'}\n";
    let error = try_mirror(folder.path(), body).unwrap_err();
    assert!(error.contains("mirror.yaml:5:12: what is accepted has to be a reference"), "{error}");
}

#[test]
fn an_environment_value_that_is_no_reference_is_told_as_such() {
    let text = "apiVersion: v1\nkind: Pod\nmetadata: {name: p}\nspec: {containers: [{name: a, image: 'h.example/a:1', env: [{name: \
                RUNNER_IMAGE, value: 'press//kiosk:1'}, {name: OTHER_IMAGE, value: '${X}/kiosk:1'}]}]}\n";
    let folder = folder(&[("k/p.yaml", text)]);
    let found = try_mirror(folder.path(), "kubernetes: [k]\n").unwrap_or_else(|e| panic!("{e}"));
    let remarks: Vec<&str> = found.undecided.iter().map(|seen| seen.sighting.remark.as_str()).collect();
    assert!(remarks[0].starts_with("it is meant as an image and is no reference: "), "{remarks:?}");
    assert_eq!(remarks[1], "something fills it in later");
}

#[test]
fn a_lock_in_which_two_artifacts_meet_is_refused_with_both() {
    let stage = Stage::new();
    let (one, two) = (stage.publish("a/x", "1", &small(1)), stage.publish("b/x", "1", &small(2)));
    mirror(&stage, &format!("images: ['{one}', '{two}']"));
    resolve(&stage, &[]).expect(0);
    let text = std::fs::read_to_string(stage.path("airlift.lock")).unwrap();
    std::fs::write(stage.path("airlift.lock"), text.replace("\"repository\": \"b/x\"", "\"repository\": \"A/x\""))
        .unwrap();
    for command in
        [&["lock", "destinations"][..], &["lock", "check", "--plain-http"], &["generate", "--to", "h.example", "k3s"]]
    {
        let ran = stage.airlift(command).expect(2);
        assert!(ran.stderr.contains("airlift.lock: several artifacts have the same destination"), "{}", ran.stderr);
        assert!(ran.stderr.contains(&one) && ran.stderr.contains(&two), "{}", ran.stderr);
    }
}

#[test]
fn a_source_that_does_not_answer_leaves_the_rest_of_the_list_and_is_one_line() {
    let stage = Stage::new();
    chart(&stage, "press", &pod("h.example/press:1"));
    let gone = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    mirror(
        &stage,
        &format!(
            "images: ['h.example/plain:1']\ncharts:\n- {{repo: 'oci://{gone}/c', chart: ink, version: ^1}}\n- '{gone}/c/far:1.0.0'\n- \
             {{repo: 'http://{gone}', chart: web, version: 1.0.0}}\n- {{path: press}}"
        ),
    );
    let ran = resolve(&stage, &["--list"]).expect(20);
    assert!(ran.stdout.contains("h.example/plain:1") && ran.stdout.contains("h.example/press:1"), "{}", ran.stdout);
    let errors: Vec<&str> = ran.stderr.lines().filter(|line| line.contains("wanted from it")).collect();
    assert!(errors.iter().all(|line| line.contains(&gone.to_string())), "{}", ran.stderr);
    assert!(
        ran.stderr.matches("connection").count() <= 3 && ran.stderr.matches("c/far:1.0.0").count() == 1,
        "{}",
        ran.stderr
    );
    let json: Value = serde_json::from_str(&resolve(&stage, &["--list", "-o", "json"]).expect(20).stdout).unwrap();
    assert_eq!((&json["complete"], json["wanted"].as_array().unwrap().len()), (&Value::Bool(false), 5));
    resolve(&stage, &[]).expect(20);
    assert!(!stage.path("airlift.lock").exists(), "a short list is never pinned");
}

#[test]
fn what_was_noticed_is_told_also_where_it_fails() {
    let stage = Stage::new();
    chart(&stage, "press", &pod("h.example/press:1"));
    chart(&stage, "broken", "{{ fail \"no licence\" }}");
    mirror(&stage, "charts: [{path: press}, {path: broken}]\nignore: [{ref: 'h.example/press:1', reason: by hand}]");
    let ran = resolve(&stage, &[]).expect(2);
    assert!(ran.stderr.contains("no licence") && ran.stderr.contains("is ignored: by hand"), "{}", ran.stderr);
    let list = resolve(&stage, &["--list"]).expect(2);
    assert!(list.stderr.contains("no licence"), "{}", list.stderr);
}

#[test]
fn a_dry_update_says_what_would_move() {
    let stage = Stage::new();
    let name = stage.publish("a/x", "1", &small(1));
    mirror(&stage, &format!("images: ['{name}']"));
    resolve(&stage, &[]).expect(0);
    let before = lock(&stage);
    let old = before.artifacts[0].digest.clone();
    stage.publish("a/x", "1", &small(2));
    let ran = resolve(&stage, &["--update", "--dry-run"]).expect(0);
    assert!(ran.stdout.contains(&format!("would move {name}: {} → ", old.short())), "{}", ran.stdout);
    let json: Value =
        serde_json::from_str(&resolve(&stage, &["--update", "--dry-run", "-o", "json"]).expect(0).stdout).unwrap();
    assert_eq!(json[0]["was"], old.to_string());
    assert_eq!(lock(&stage), before);
}

#[test]
fn the_list_says_how_sure_an_image_is_and_when_it_runs() {
    let stage = Stage::new();
    let hook = pod("h.example/hook:1").replace("{name: p}", "{name: h, annotations: {helm.sh/hook: pre-install}}");
    chart(&stage, "press", &format!("{}---\n{hook}", argument("--runner=h.example/runner:1.0")));
    mirror(&stage, "charts: [{path: press}]\nimages: ['h.example/named:1']");
    let table = resolve(&stage, &["--list"]).expect(0).stdout;
    let mark = |name: &str| {
        let line = table.lines().find(|line| line.starts_with(name)).unwrap_or_else(|| panic!("{name}: {table}"));
        line.split("  ").map(str::trim).filter(|cell| !cell.is_empty()).nth(1).unwrap().to_owned()
    };
    assert_eq!(mark("h.example/named:1"), "image");
    assert_eq!(mark("h.example/a:1"), "image");
    assert_eq!(mark("h.example/runner:1.0"), "image, probable, by controller");
    assert_eq!(mark("h.example/hook:1"), "image, hook");
}

#[test]
fn of_several_value_sets_the_errors_and_the_lists_name_theirs() {
    let stage = Stage::new();
    let template = "{{ if .Values.bad }}{{ fail \"bad value\" }}{{ end }}\n";
    chart(&stage, "press", &format!("{template}{}", pod("h.example/{{ .Values.name | default \"press\" }}:1")));
    let sets = |west: &str| {
        format!(
            "charts: [{{path: press, valueSets: [{{name: east, set: {{a: 1}}}}, {{name: west, set: {{{west}}}}}]}}]"
        )
    };
    mirror(&stage, &sets("bad: true"));
    let ran = resolve(&stage, &["--list"]).expect(2);
    assert!(ran.stderr.contains("with the values west:") && ran.stderr.contains("bad value"), "{}", ran.stderr);
    mirror(&stage, &sets("a: 2"));
    let json = resolve(&stage, &["--list", "-o", "json"]).expect(0).stdout;
    assert!(json.contains("(values east, west)"), "{json}");
}

#[test]
fn a_file_that_is_not_there_is_named_with_the_line_that_names_it() {
    let folder = folder(&[("press/Chart.yaml", "apiVersion: v2\nname: press\nversion: 1.0.0\n")]);
    for (body, line) in [
        ("images: [x]\nkubernetes:\n- nope.yaml\n", 5),
        ("images:\n- list: nope.yaml\n", 4),
        ("charts:\n- {path: press, values: [nope.yaml]}\n", 4),
        ("blueprints:\n- {catalogue: ./nope.yaml, artifact: 'h.example/{chart}:{version}', roots: [x]}\n", 4),
    ] {
        let error = try_mirror(folder.path(), body).unwrap_err();
        let said = match body.contains("blueprints") {
            true => error.contains("nope.yaml"),
            false => error.contains(&format!("mirror.yaml:{line}: cannot read nope.yaml")),
        };
        assert!(said, "{error}");
    }
}

#[test]
fn patterns_beside_named_releases_are_refused() {
    let folder = folder(&[("k/x.yaml", "a: 1\n")]);
    let error = try_mirror(folder.path(), "flux: [{path: k, releases: [a], exclude: [b]}]\n").unwrap_err();
    assert!(error.contains("include and exclude choose among all releases"), "{error}");
}

#[test]
fn why_of_an_unknown_name_offers_the_nearest() {
    let stage = Stage::new();
    let name = stage.publish("press/kiosk", "1", &small(1));
    mirror(&stage, &format!("images: ['{name}']"));
    resolve(&stage, &[]).expect(0);
    let ran = stage.airlift(&["why", "h.example/kiosc:2"]).expect(2);
    assert!(ran.stderr.contains("h.example/kiosc:2 is not in airlift.lock"), "{}", ran.stderr);
    assert!(ran.stderr.contains(&format!("did you mean {name}?")), "{}", ran.stderr);
    let ran = stage.airlift(&["why", "something-else-entirely"]).expect(2);
    assert!(ran.stderr.contains("airlift lock destinations"), "{}", ran.stderr);
    let ran = stage.airlift(&["generate", "--to", "https://h.example/x", "k3s"]).expect(2);
    assert!(ran.stderr.contains("a destination has no scheme: write h.example/x"), "{}", ran.stderr);
}

#[test]
fn what_is_typed_is_not_said_to_be_wanted_by_itself() {
    let stage = Stage::new();
    let host = stage.upstream.host();
    let ran = stage.pack(&[&format!("{host}/no/such:1")], "out", &["--retries", "0"]).expect(20);
    assert!(ran.stderr.contains("/no/such:1 (named on the command line)"), "{}", ran.stderr);
}

#[test]
fn a_chart_for_other_versions_of_kubernetes_gets_a_hint_about_them() {
    let stage = Stage::new();
    chart(&stage, "press", &pod("h.example/press:1"));
    write(&stage, "press/Chart.yaml", "apiVersion: v2\nname: press\nversion: 1.0.0\nkubeVersion: '<1.20'\n");
    mirror(&stage, "charts: [{path: press}]");
    let ran = resolve(&stage, &["--list"]).expect(2);
    assert!(ran.stderr.contains("rendering: { kubernetes: vX.Y.Z }"), "{}", ran.stderr);
    assert!(!ran.stderr.contains("where a value is missing"), "{}", ran.stderr);
}

#[test]
fn a_registry_without_tls_is_told_in_one_line_and_one_try() {
    let stage = Stage::new();
    let name = stage.publish("a/x", "1", &small(1));
    mirror(&stage, &format!("images: ['{name}']"));
    let host = stage.upstream.host();
    let ran = stage.airlift(&["resolve", "-f", "mirror.yaml"]).expect(20);
    assert!(ran.stderr.contains("it does not speak TLS"), "{}", ran.stderr);
    assert!(ran.stderr.contains(&format!("--plain-http={host}")) && !ran.stderr.contains("tried"), "{}", ran.stderr);
    let other = stage.airlift(&["resolve", "-f", "mirror.yaml", "--plain-http=h.example"]).expect(20);
    assert!(other.stderr.contains("it does not speak TLS"), "{}", other.stderr);
    let here = format!("--plain-http={host}");
    stage.airlift(&["resolve", "-f", "mirror.yaml", "--plain-http=h.example", &here]).expect(0);
    let wrong = stage.airlift(&["resolve", "-f", "mirror.yaml", "--plain-http=http://x"]).expect(2);
    assert!(wrong.stderr.contains("--plain-http=http://x names no host"), "{}", wrong.stderr);
}

#[test]
fn pack_and_sync_take_less_of_a_mirror_file_too() {
    let stage = Stage::new();
    chart(&stage, "press", &pod("h.example/press:1"));
    mirror(&stage, "flux: [./k]");
    write(&stage, "k/x.yaml", "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: c}\n");
    let to = stage.enclave.host();
    for command in [&["pack", "-o", "out"][..], &["sync", "--to", &to]] {
        let ran =
            stage.airlift(&[command, &["-f", "mirror.yaml", "--exclude", "none", "--allow-unsigned", "**"]].concat());
        assert!(
            ran.expect(2).stderr.contains("--exclude none: mirror.yaml has no Blueprint or release of such a name")
        );
        stage.airlift(&[command, &["h.example/x:1", "--include", "x"]].concat()).expect(2);
    }
}
