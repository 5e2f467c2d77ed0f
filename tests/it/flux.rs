//! Flux folders: a kit of our own with every trap, and the platform's bootstrap kits where they lie at hand.

use crate::discover::{fails_in, folder, name, names, openova, told, try_mirror};
use airlift::discover::{ChartPlace, ChartWant, Discovery, Found, Want};
use airlift::document::lock::Role;

const REPOSITORIES: &str = "\
apiVersion: source.toolkit.fluxcd.io/v1beta2
kind: HelmRepository
metadata: { name: press, namespace: flux-system }
spec: { type: oci, url: oci://ghcr.io/press, secretRef: { name: ghcr-pull } }
---
apiVersion: source.toolkit.fluxcd.io/v1
kind: HelmRepository
metadata: { name: web, namespace: flux-system }
spec: { url: https://charts.example.org/ }
";

/// A release of `chart` in `version`, with more lines of its spec.
fn release(name: &str, chart: &str, version: &str, more: &str) -> String {
    let more: String = more.lines().map(|line| format!("  {line}\n")).collect();
    format!(
        "apiVersion: helm.toolkit.fluxcd.io/v2\nkind: HelmRelease\nmetadata: {{ name: {name}, namespace: flux-system }}\n\
         spec:\n  interval: 15m\n  releaseName: {name}\n  targetNamespace: {name}-space\n  chart:\n    spec:\n      \
         chart: {chart}\n      version: {version}\n      sourceRef: {{ kind: HelmRepository, name: press }}\n{more}"
    )
}

fn depends(on: &[&str]) -> String {
    let items: String = on.iter().map(|name| format!("\n- name: {name}")).collect();
    format!("dependsOn:{items}")
}

/// Reads a kit of `files` under the entry's further fields.
fn kit(files: &[(&str, &str)], more: &str) -> Result<Discovery, String> {
    let mut all = vec![("kit/00-repositories.yaml", REPOSITORIES)];
    all.extend(files);
    let folder = folder(&all);
    try_mirror(folder.path(), &format!("flux: [{{ path: ./kit{more} }}]\n"))
}

fn refuses(files: &[(&str, &str)], more: &str) -> String {
    match kit(files, more) {
        Ok(discovery) => panic!("{:?}", names(&discovery)),
        Err(error) => error,
    }
}

fn chart(found: &Found) -> &ChartWant {
    match &found.want {
        Want::Chart(want) => want,
        other => panic!("{other:?}"),
    }
}

fn places(discovery: &Discovery) -> Vec<String> {
    discovery.found.iter().filter(|found| matches!(found.want, Want::Chart(_))).map(name).collect()
}

#[test]
fn releases_lead_to_their_charts_behind_what_they_depend_on() {
    let kiosk = release("kiosk", "bp-kiosk", "1.1.4+build.7", &depends(&["db", "press"]));
    let (press, db) =
        (release("press", "bp-press", "v1.0.1", &depends(&["db"])), release("db", "stand-db", "2.0.0", ""));
    let files = [("kit/10-kiosk.yaml", &*kiosk), ("kit/20-press.yaml", &*press), ("kit/30-db.yaml", &*db)];
    let discovery = kit(&files, "").unwrap();
    let mut order = places(&discovery);
    order.dedup();
    let wanted =
        ["ghcr.io/press/stand-db:2.0.0", "ghcr.io/press/bp-press:v1.0.1", "ghcr.io/press/bp-kiosk:1.1.4_build.7"];
    assert_eq!(order, wanted);
    let kiosk = discovery.found.iter().rev().find(|found| name(found).contains("kiosk")).unwrap();
    assert_eq!(kiosk.role, Role::Blueprint);
    assert_eq!(kiosk.why, ["mirror.yaml: flux[0] (graph: kit)", "kit/10-kiosk.yaml:1 HelmRelease flux-system/kiosk"]);
    assert_eq!((chart(kiosk).release.as_deref(), chart(kiosk).namespace.as_str()), (Some("kiosk"), "kiosk-space"));
    let db = &discovery.found[0];
    assert_eq!(db.role, Role::Chart);
    assert_eq!(db.why[2], "kit/30-db.yaml:1 HelmRelease flux-system/db (dependsOn of flux-system/kiosk)");
}

#[test]
fn some_releases_bring_what_they_depend_on_and_nothing_else() {
    let files = [
        ("kit/a.yaml", &*release("a", "bp-a", "1.0.0", &depends(&["b"]))),
        ("kit/b.yaml", &*release("b", "bp-b", "1.0.0", "")),
        ("kit/c.yaml", &*release("c", "bp-c", "1.0.0", "")),
    ];
    let last = |more| {
        let found = places(&kit(&files, more).unwrap());
        let mut names: Vec<String> = found.iter().map(|p| p[p.len() - 7..p.len() - 6].to_owned()).collect();
        names.dedup();
        names.concat()
    };
    assert_eq!(last(""), "bac");
    assert_eq!(last(", releases: [a]"), "ba");
    assert_eq!(last(", releases: [flux-system/c]"), "c");
    assert_eq!(last(", include: ['[ac]']"), "bac");
    assert_eq!(last(", exclude: [a]"), "bc");
    assert_eq!(last(", exclude: [b]"), "bac");
    assert!(refuses(&files, ", releases: [aa]").contains("no HelmRelease of ./kit is called \"aa\""));
}

#[test]
fn a_kustomization_decides_which_files_count() {
    let files = [
        ("kit/kustomization.yaml", "resources: [00-repositories.yaml, a.yaml]\n"),
        ("kit/a.yaml", &*release("a", "bp-a", "1.0.0", "")),
        ("kit/99-x.yaml", &*release("x", "bp-x", "1.0.0", "")),
    ];
    let discovery = kit(&files, "").unwrap();
    assert_eq!(places(&discovery), ["ghcr.io/press/bp-a:1.0.0"]);
    assert!(told(&discovery).contains("kit/99-x.yaml: no kustomization lists this file; it is not included"));
}

#[test]
fn repositories_are_looked_up_in_the_right_namespace() {
    let other = REPOSITORIES.replace("flux-system", "other").replace("ghcr.io/press", "quay.io/other");
    let asks = release("a", "bp-a", "1.0.0", "").replace("name: press }", "name: press, namespace: other }");
    let files =
        [("kit/a.yaml", &*asks), ("kit/other.yaml", &other), ("kit/b.yaml", &*release("b", "bp-b", "1.0.0", ""))];
    assert_eq!(places(&kit(&files, "").unwrap()), ["quay.io/other/bp-a:1.0.0", "ghcr.io/press/bp-b:1.0.0"]);
    let gone = asks.replace("namespace: other", "namespace: elsewhere");
    let error = refuses(&[("kit/a.yaml", &gone)], "");
    assert!(error.contains("kit/a.yaml:12 HelmRelease/flux-system/a spec.chart.spec.sourceRef"), "{error}");
    assert!(error.contains("HelmRepository elsewhere/press is not in the folder"), "{error}");
}

#[test]
fn http_repositories_and_artifacts_by_reference_lead_to_charts_too() {
    let web = release("w", "web-kiosk", "1.0.0", "").replace("name: press }", "name: web }");
    let by_ref = "apiVersion: helm.toolkit.fluxcd.io/v2\nkind: HelmRelease\nmetadata: { name: r, namespace: flux-system }\n\
                  spec: { chartRef: { kind: OCIRepository, name: r } }\n";
    let source = |reference: &str| {
        format!(
            "apiVersion: source.toolkit.fluxcd.io/v1\nkind: OCIRepository\nmetadata: {{ name: r, namespace: flux-system }}\n\
             spec: {{ url: 'oci://ghcr.io/press/r', ref: {{ {reference} }} }}\n"
        )
    };
    let sum = format!("sha256:{}", "0".repeat(64));
    for (reference, wanted) in [
        ("tag: 1.2.3", "ghcr.io/press/r:1.2.3".to_owned()),
        (&*format!("tag: 1.2.3, digest: '{sum}'"), format!("ghcr.io/press/r@{sum}")),
        ("semver: '>=1.2 <2', tag: x", "ghcr.io/press/r >=1.2 <2".to_owned()),
        ("", "ghcr.io/press/r:latest".to_owned()),
    ] {
        let discovery =
            kit(&[("kit/w.yaml", &*web), ("kit/x.yaml", by_ref), ("kit/y.yaml", &source(reference))], "").unwrap();
        assert_eq!(names(&discovery), ["https://charts.example.org/web-kiosk 1.0.0".to_owned(), wanted]);
    }
    let chart = "apiVersion: source.toolkit.fluxcd.io/v1\nkind: HelmChart\nmetadata: { name: r, namespace: flux-system }\n\
                 spec: { chart: c, version: 2.0.0, sourceRef: { kind: HelmRepository, name: press } }\n";
    let files = [("kit/x.yaml", &*by_ref.replace("OCIRepository", "HelmChart")), ("kit/y.yaml", chart)];
    assert_eq!(places(&kit(&files, "").unwrap()), ["ghcr.io/press/c:2.0.0"]);
}

#[test]
fn a_placeholder_that_decides_what_is_fetched_needs_a_value() {
    let files = |version: &str| release("a", "bp-a", version, "").replace("a-space", "${SPACE}");
    let open = files("${A_VERSION}");
    let error = refuses(&[("kit/a.yaml", &open)], "");
    assert!(error.contains("kit/a.yaml:11 HelmRelease/flux-system/a spec.chart.spec.version"), "{error}");
    assert!(error.contains("${A_VERSION}") && error.contains("give it one under substitute"), "{error}");
    let discovery = kit(&[("kit/a.yaml", &open)], ", substitute: { A_VERSION: 1.2.0, A_VERSON: x }").unwrap();
    assert_eq!(places(&discovery), ["ghcr.io/press/bp-a:1.2.0"]);
    let said = told(&discovery);
    assert!(said.contains("no value is given for SPACE"), "{said}");
    assert!(said.contains("no placeholder takes the value of A_VERSON"), "{said}");
    let defaulted = files("${A_VERSION:=1.3.0}");
    assert_eq!(places(&kit(&[("kit/a.yaml", &defaulted)], "").unwrap()), ["ghcr.io/press/bp-a:1.3.0"]);
    let literal = files("A_VERSION_PLACEHOLDER");
    assert!(refuses(&[("kit/a.yaml", &literal)], "").contains("A_VERSION_PLACEHOLDER"));
}

#[test]
fn a_placeholder_in_a_label_is_nobodys_business() {
    let labelled = "apiVersion: v1\nkind: Namespace\nmetadata: { name: a, labels: { domain: '${DOMAIN}', x: DOMAIN_PLACEHOLDER } }\n";
    let discovery = kit(&[("kit/n.yaml", labelled), ("kit/a.yaml", &release("a", "bp-a", "1.0.0", ""))], "").unwrap();
    assert_eq!(places(&discovery).len(), 1);
}

#[test]
fn a_range_is_kept_for_the_registry_and_warned_about() {
    let discovery = kit(&[("kit/a.yaml", &release("a", "bp-a", "'>=1.0.0'", ""))], "").unwrap();
    assert!(matches!(&chart(&discovery.found[0]).place, ChartPlace::Oci { version: Some(v), .. } if v == ">=1.0.0"));
    assert!(told(&discovery).contains("\">=1.0.0\" is a range of versions"), "{}", told(&discovery));
    let error = refuses(&[("kit/a.yaml", &release("a", "bp-a", "'^1 || ^2'", ""))], "");
    assert!(error.contains("spec.chart.spec.version: \"^1 || ^2\" is no version range"), "{error}");
    let number = refuses(&[("kit/a.yaml", &release("a", "bp-a", "1.10", ""))], "");
    assert!(number.contains("1.10 is a number in YAML"), "{number}");
}

#[test]
fn what_is_waited_for_must_be_there_and_not_in_a_circle() {
    let error = refuses(&[("kit/a.yaml", &release("a", "bp-a", "1.0.0", &depends(&["gone"])))], "");
    assert!(
        error.contains("kit/a.yaml:14: flux-system/a depends on flux-system/gone, which is not in this folder"),
        "{error}"
    );
    let files = [
        ("kit/a.yaml", &*release("a", "bp-a", "1.0.0", &depends(&["b"]))),
        ("kit/b.yaml", &*release("b", "bp-b", "1.0.0", &depends(&["a"]))),
    ];
    let error = refuses(&files, "");
    assert!(error.contains("circle: flux-system/a → flux-system/b → flux-system/a"), "{error}");
    let twice = [("kit/a.yaml", files[0].1), ("kit/b.yaml", files[0].1)];
    assert!(refuses(&twice, "").contains("stands twice: kit/a.yaml:1 and kit/b.yaml:1"));
}

#[test]
fn values_come_from_config_maps_and_the_release_itself() {
    let map = "apiVersion: v1\nkind: ConfigMap\nmetadata: { name: common, namespace: flux-system }\ndata:\n  \
               values.yaml: |\n    db: { enabled: true }\n    tag: \"1.10\"\n  one: \"2\"\n";
    let more = "valuesFrom:\n- { kind: ConfigMap, name: common }\n- { kind: ConfigMap, name: common, valuesKey: one, targetPath: db.copies }\n\
                - { kind: ConfigMap, name: absent, optional: true }\nvalues: { host: 'a.${DOMAIN}', db: { size: 1 } }";
    let files = [("kit/a.yaml", &*release("a", "bp-a", "1.0.0", more)), ("kit/m.yaml", map)];
    let discovery = kit(&files, ", substitute: { DOMAIN: example.org }").unwrap();
    let set = &chart(&discovery.found[0]).sets[0];
    assert_eq!(set.name, "flux-system/a");
    let values: Vec<String> = set.layers.iter().map(|layer| layer.values.to_string()).collect();
    assert_eq!(
        values,
        [
            r#"{"db":{"enabled":true},"tag":"1.10"}"#,
            r#"{"db":{"copies":2}}"#,
            r#"{"db":{"size":1},"host":"a.example.org"}"#,
        ]
    );
    assert!(set.layers[0].place.contains("kit/m.yaml:6 ConfigMap/flux-system/common data.values.yaml"), "{set:?}");
    assert!(told(&discovery).contains("ConfigMap flux-system/absent is optional and not in the folder"));
}

#[test]
fn values_that_are_not_in_the_files_need_a_stand_in() {
    let more = "valuesFrom:\n- { kind: Secret, name: passwords }";
    let a = release("a", "bp-a", "1.0.0", more);
    let error = refuses(&[("kit/a.yaml", &a)], "");
    assert!(error.contains("spec.valuesFrom[0]: Secret flux-system/passwords is not in the folder"), "{error}");
    assert!(error.contains("name it under objects"), "{error}");
    let secret = "apiVersion: v1\nkind: Secret\nmetadata: { name: passwords, namespace: flux-system }\n";
    let sealed = format!("{secret}data: {{ values.yaml: QUJD }}\n");
    assert!(refuses(&[("kit/a.yaml", &a), ("kit/s.yaml", &sealed)], "").contains("the key \"values.yaml\" of Secret"));
    let discovery = kit(&[("kit/a.yaml", &a), ("stand-in.yaml", secret)], ", objects: [stand-in.yaml]").unwrap();
    assert!(chart(&discovery.found[0]).sets.is_empty());
    let open = format!("{secret}stringData: {{ values.yaml: 'db: {{image: x}}' }}\n");
    let discovery = kit(&[("kit/a.yaml", &a), ("stand-in.yaml", &open)], ", objects: [stand-in.yaml]").unwrap();
    assert_eq!(chart(&discovery.found[0]).sets[0].layers[0].values.to_string(), r#"{"db":{"image":"x"}}"#);
    let broken = format!("{secret}stringData: {{ values.yaml: 'password: [hunter2' }}\n");
    let error = match kit(&[("kit/a.yaml", &a), ("s.yaml", &broken)], ", objects: [s.yaml]") {
        Ok(_) => panic!(),
        Err(error) => error,
    };
    assert!(!error.contains("hunter2"), "{error}");
}

#[test]
fn a_release_that_the_cluster_has_elsewhere_is_no_mistake() {
    let a = release("a", "bp-a", "1.0.0", &depends(&["cni"]));
    let cni = release("cni", "cni", "1.0.0", "");
    let discovery = kit(&[("kit/a.yaml", &a), ("there.yaml", &cni)], ", objects: [there.yaml]").unwrap();
    assert_eq!(places(&discovery), ["ghcr.io/press/bp-a:1.0.0"]);
}

#[test]
fn a_suspended_release_counts_and_says_so() {
    let discovery = kit(&[("kit/a.yaml", &release("a", "bp-a", "1.0.0", "suspend: true"))], "").unwrap();
    assert_eq!(discovery.found[0].notes, ["suspended: Flux installs it when it is resumed"]);
}

#[test]
fn what_changes_a_rendered_chart_is_refused() {
    let image = "postRenderers:\n- kustomize: { images: [{ name: a, newTag: '2' }] }";
    let error = refuses(&[("kit/a.yaml", &release("a", "bp-a", "1.0.0", image))], "");
    assert!(
        error.contains("spec.postRenderers[0].kustomize.images: a change of the rendered chart is not supported"),
        "{error}"
    );
    let harmless = "postRenderers:\n- kustomize: { patches: [{ patch: 'metadata: {labels: {a: b}}' }] }";
    assert!(kit(&[("kit/a.yaml", &release("a", "bp-a", "1.0.0", harmless))], "").is_ok());
    let git = release("a", "./charts/a", "1.0.0", "").replace("kind: HelmRepository", "kind: GitRepository");
    assert!(refuses(&[("kit/a.yaml", &git)], "").contains("a chart from a GitRepository or Bucket is not supported"));
}

#[test]
fn packages_and_plain_workloads_beside_releases_are_found() {
    let package = "apiVersion: pkg.crossplane.io/v1\nkind: Provider\nmetadata: { name: p }\nspec: { package: 'xpkg.example.org/org/p:v1' }\n---\n\
                   apiVersion: pkg.crossplane.io/v1beta1\nkind: Function\nmetadata: { name: f }\nspec: { package: 'xpkg.example.org/org/f:v2' }\n";
    let workload = "apiVersion: apps/v1\nkind: Deployment\nmetadata: { name: d }\nspec: { template: { spec: { containers: [{ image: 'kiosk:1.2' }] } } }\n";
    let discovery = kit(&[("kit/p.yaml", package), ("kit/w.yaml", workload)], "").unwrap();
    assert_eq!(
        names(&discovery),
        ["xpkg.example.org/org/p:v1", "xpkg.example.org/org/f:v2", "docker.io/library/kiosk:1.2"]
    );
    assert_eq!(discovery.found[0].role, Role::Artifact);
}

#[test]
fn everything_that_is_wrong_in_a_kit_is_told_at_once_with_lines() {
    let files = [
        ("kit/a.yaml", &*release("a", "bp-a", "${V}", &depends(&["gone"]))),
        ("kit/b.yaml", "apiVersion: v1\nkind: [\n"),
        ("kit/c.yaml", &*release("c", "bp-c", "^1 ||", "")),
    ];
    let error = refuses(&files, "");
    assert!(error.contains("kit/b.yaml:2:7: unclosed bracket"), "{error}");
    let error = refuses(&[files[0], files[2]], "");
    assert!(error.contains("${V}") && error.contains("\"^1 ||\""), "{error}");
    assert!(fails_in(&folder(&[]), "flux: [./nowhere]\n").contains("nowhere"));
}

#[test]
fn the_bootstrap_kits_of_the_platform_give_exactly_the_expected_charts() {
    let Some(shared) = openova() else { return };
    let text = std::fs::read_to_string(shared.join("expected/expected-closure.json")).unwrap();
    let expected: serde_json::Value = serde_json::from_str(&text).unwrap();
    let kit = expected["bootstrapKit"].as_object().unwrap();
    assert_eq!(kit.len(), 35);
    let artifact = |item: &serde_json::Value| {
        let text = |key: &str| item[key].as_str().unwrap();
        format!("ghcr.io/openova-io/{}:{}", text("chart"), text("version"))
    };
    for cluster in ["_template", "omantel.omani.works"] {
        for (release, closure) in kit {
            let body = format!("flux: [{{path: clusters/{cluster}/bootstrap-kit, releases: [{release}]}}]\n");
            let discovery = try_mirror(&shared, &body).unwrap_or_else(|e| panic!("{release}: {e}"));
            let mut found = places(&discovery);
            found.sort();
            found.dedup();
            let mut wanted: Vec<String> = closure.as_array().unwrap().iter().map(artifact).collect();
            wanted.sort();
            assert_eq!(found, wanted, "{cluster} {release}");
        }
        let whole = try_mirror(&shared, &format!("flux: [clusters/{cluster}/bootstrap-kit]\n")).unwrap();
        let mut found = places(&whole);
        found.sort();
        found.dedup();
        let mut wanted: Vec<String> = kit
            .iter()
            .map(|(name, all)| artifact(all.as_array().unwrap().iter().find(|i| i["name"] == **name).unwrap()))
            .collect();
        wanted.sort();
        assert_eq!(found, wanted);
        assert_eq!(found.len(), 35);
        assert!(
            whole
                .findings
                .iter()
                .all(|finding| finding.what.contains("SOVEREIGN_FQDN") || finding.what.contains("NOT included")),
            "{}",
            told(&whole)
        );
    }
}

#[test]
fn the_whole_cluster_folder_of_the_platform_is_followed_through_its_kustomizations() {
    let Some(shared) = openova() else { return };
    let body = "flux: [{path: clusters/_template, substitute: {SOVEREIGN_FQDN: sov.example.org}}]\n";
    let discovery = try_mirror(&shared, body).unwrap();
    let all = names(&discovery);
    assert!(all.contains(&"xpkg.upbound.io/crossplane-contrib/provider-hcloud:v0.4.0".to_owned()));
    assert!(!told(&discovery).contains("SOVEREIGN_FQDN"), "{}", told(&discovery));
    let sets = discovery.found.iter().filter(|found| matches!(&found.want, Want::Chart(want) if !want.sets.is_empty()));
    let charts: std::collections::BTreeSet<String> = sets.map(name).collect();
    assert_eq!(charts.len(), 5, "{charts:?}");
}

#[test]
fn the_fields_of_a_kit_are_checked_with_their_lines() {
    let files = folder(&[("kit/r.yaml", REPOSITORIES)]);
    for (entry, said) in [
        ("[{pth: ./kit}]", "unknown field \"pth\"; did you mean \"path\"?"),
        ("[{substitute: {A: b}}]", "the field \"path\" is missing"),
        ("[{path: ./kit, substitute: [a]}]", "expected a mapping of names to texts, found a list"),
        ("[{path: ./kit, substitute: {'A-B': c}}]", "\"A-B\" is no name of a variable"),
        ("[{path: ./kit, substitute: {A: [b]}}]", "A: expected a text, found a list"),
        ("./kit", "expected a list, found a text"),
    ] {
        let error = fails_in(&files, &format!("flux: {entry}\n"));
        assert!(error.contains("mirror.yaml:3") && error.contains(said), "{entry}: {error}");
    }
    let wrong = fails_in(&files, "flux: [{path: ./kit, include: ['a[']}]\n");
    assert!(wrong.contains("\"a[\" is no pattern"), "{wrong}");
}

#[test]
fn what_a_release_lacks_is_told_by_its_field() {
    let base = release("a", "bp-a", "1.0.0", "");
    for (from, to, said) in [
        ("      chart: bp-a\n", "", "spec.chart.spec: chart is missing"),
        ("      sourceRef: { kind: HelmRepository, name: press }\n", "", "spec.chart.spec: sourceRef is missing"),
        ("kind: HelmRepository, name: press", "kind: HelmRepository", "spec.chart.spec.sourceRef: name is missing"),
        (
            "kind: HelmRepository",
            "kind: Cupboard",
            "kind \"Cupboard\" is none of HelmRepository, GitRepository, Bucket",
        ),
        ("chart: bp-a", "chart: [bp-a]", "spec.chart.spec.chart: expected a text, found a list"),
        ("chart: bp-a", "chart: Bp-A", "spec.chart.spec.chart: "),
        (
            "name: press }",
            "name: pres }",
            "HelmRepository flux-system/pres; did you mean flux-system/press? is not in the folder",
        ),
    ] {
        let error = refuses(&[("kit/a.yaml", &base.replacen(from, to, 1))], "");
        assert!(error.contains(said), "{said}: {error}");
        assert!(error.contains("kit/a.yaml:") && error.contains("HelmRelease/flux-system/a"), "{error}");
    }
    let neither =
        "apiVersion: helm.toolkit.fluxcd.io/v2\nkind: HelmRelease\nmetadata: { name: n }\nspec: { interval: 5m }\n";
    assert!(
        refuses(&[("kit/n.yaml", neither)], "")
            .contains("neither spec.chart.spec nor spec.chartRef says which chart it is")
    );
}

#[test]
fn values_that_cannot_be_read_are_told_by_their_place() {
    for (more, said) in [
        ("values: [a]", "spec.values: expected a mapping, found a list"),
        (
            "valuesFrom:\n- { kind: Cupboard, name: c }",
            "spec.valuesFrom[0]: kind \"Cupboard\" is none of ConfigMap, Secret",
        ),
        ("valuesFrom:\n- { kind: ConfigMap }", "spec.valuesFrom[0]: name is missing"),
        (
            "valuesFrom:\n- { kind: ConfigMap, name: m, valuesKey: gone }",
            "the key \"gone\" of ConfigMap flux-system/m is not in the folder",
        ),
        ("valuesFrom:\n- { kind: ConfigMap, name: m, valuesKey: list }", "values are a mapping, not a list"),
        (
            "valuesFrom:\n- { kind: ConfigMap, name: m, valuesKey: one, targetPath: 'a[0]' }",
            "a targetPath with lists or escapes is not supported",
        ),
        ("dependsOn:\n- { namespace: x }", "spec.dependsOn[0]: name is missing"),
    ] {
        let map = "apiVersion: v1\nkind: ConfigMap\nmetadata: { name: m, namespace: flux-system }\ndata: { list: '[a]', one: '1' }\n";
        let error = refuses(&[("kit/a.yaml", &release("a", "bp-a", "1.0.0", more)), ("kit/m.yaml", map)], "");
        assert!(error.contains(said), "{said}: {error}");
    }
}
