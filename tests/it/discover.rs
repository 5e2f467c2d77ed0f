//! From mirror files to wanted artifacts: a small world of our own with every trap, and the platform's
//! catalogue where it lies beside the checkout.
//!
//! What only a rendered chart shows is tested in `chart_images`. Dependencies between the releases of a bootstrap kit are another graph and are reported as not followed.

use airlift::discover::{Discovery, Found, PlatformRule, Want, destination, discover};
use airlift::document::lock::Role;
use airlift::document::mirror::MirrorManifest;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn world() -> PathBuf {
    root().join("testdata/world")
}

pub fn try_mirror(base: &Path, body: &str) -> Result<Discovery, String> {
    let text = format!("apiVersion: airlift/v1alpha1\nkind: Mirror\n{body}");
    let mirror = MirrorManifest::read(text.as_bytes(), "mirror.yaml").map_err(|e| e.to_string())?;
    discover(&mirror, "mirror.yaml", base).map_err(|e| e.to_string())
}

fn mirror(body: &str) -> Discovery {
    try_mirror(&world(), body).unwrap_or_else(|e| panic!("{e}"))
}

fn fails(body: &str) -> String {
    match try_mirror(&world(), body) {
        Ok(discovery) => panic!("{:?}", names(&discovery)),
        Err(error) => error,
    }
}

pub fn name(found: &Found) -> String {
    match &found.want {
        Want::Reference(reference) => reference.to_string(),
        Want::Tags { repository, selection } => format!("{repository} [{selection}]"),
        Want::Chart(chart) => chart.place.to_string(),
        Want::Made { source, made } => format!("{source} <- {}", made.url),
    }
}

pub fn names(discovery: &Discovery) -> Vec<String> {
    discovery.found.iter().map(name).collect()
}

/// A folder of files that lives as long as the test.
pub fn folder(files: &[(&str, &str)]) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    for (name, text) in files {
        let path = folder.path().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }
    folder
}

/// Manifest of a Blueprint with a chart name, so that no chart folder is needed.
fn blueprint(name: &str, version: &str, depends: &str) -> String {
    format!(
        "apiVersion: catalyst.openova.io/v1\nkind: Blueprint\nmetadata: {{name: {name}}}\nspec:\n  version: {version}\n  \
         manifests: {{chart: bp-{name}}}\n  depends: {depends}\n"
    )
}

/// Resolves `roots` in a catalogue of `files`.
fn resolve(files: &[(&str, &str)], roots: &str) -> Result<Discovery, String> {
    let folder = folder(files);
    try_mirror(folder.path(), &catalogue(".", &format!("roots: {roots}")))
}

fn refuses(files: &[(&str, &str)], roots: &str) -> String {
    match resolve(files, roots) {
        Ok(discovery) => panic!("{:?}", names(&discovery)),
        Err(error) => error,
    }
}

/// Returns why a mirror file over the files of `folder` is refused.
pub fn fails_in(folder: &tempfile::TempDir, body: &str) -> String {
    match try_mirror(folder.path(), body) {
        Ok(discovery) => panic!("{:?}", names(&discovery)),
        Err(error) => error,
    }
}

pub fn told(discovery: &Discovery) -> String {
    discovery.findings.iter().map(|f| format!("{}: {} ({})\n", f.place, f.what, f.hint)).collect()
}

fn catalogue(folder: &str, rest: &str) -> String {
    format!("blueprints:\n- catalogue: {folder}\n  artifact: 'ghcr.io/press/{{chart}}:{{version}}'\n  {rest}\n")
}

/// Folder of the platform's data, where it is at hand.
pub fn openova() -> Option<PathBuf> {
    let beside = root().join("../shared/openova");
    let folder = std::env::var_os("AIRLIFT_OPENOVA").map_or(beside, PathBuf::from);
    if folder.join("expected/expected-closure.json").is_file() {
        return Some(folder);
    }
    eprintln!("SKIPPED: no catalogue of the platform in {}; set AIRLIFT_OPENOVA", folder.display());
    None
}

#[test]
fn every_blueprint_of_the_platform_gives_its_expected_closure() {
    let Some(folder) = openova() else { return };
    let text = std::fs::read_to_string(folder.join("expected/expected-closure.json")).unwrap();
    let expected: serde_json::Value = serde_json::from_str(&text).unwrap();
    let blueprints = expected["blueprints"].as_object().unwrap();
    assert_eq!(blueprints.len(), 36);
    for (root, closure) in blueprints {
        let body = format!(
            "blueprints:\n- catalogue: platform\n  artifact: 'oci://ghcr.io/openova-io/{{chart}}:{{version}}'\n  \
             roots: [{root}]\n"
        );
        let discovery = try_mirror(&folder, &body).unwrap_or_else(|e| panic!("{root}: {e}"));
        let order = closure["order"].as_array().unwrap();
        let artifact = |item: &serde_json::Value| item["artifact"].as_str().unwrap().replace("oci://", "");
        let wanted: Vec<String> = order.iter().map(artifact).collect();
        let mut found = names(&discovery);
        found.dedup();
        assert_eq!(found, wanted, "{root}");
        check_order(root, order, &wanted);
        check_reasons(root, order, &discovery);
    }
}

/// Every requirer of an item stands behind it.
fn check_order(root: &str, order: &[serde_json::Value], found: &[String]) {
    let place = |name: &str| found.iter().position(|reference| reference.contains(&format!("/{name}:"))).unwrap();
    for item in order {
        for requirer in item["requiredBy"].as_array().unwrap() {
            let (item, by) = (item["name"].as_str().unwrap(), requirer["by"].as_str().unwrap());
            assert!(place(item) < place(by), "{root}: {item} stands behind {by}");
        }
    }
}

/// Every edge of the expected answer is a reason, and nothing else is.
fn check_reasons(root: &str, order: &[serde_json::Value], discovery: &Discovery) {
    let mut wanted = BTreeSet::from([root.to_owned()]);
    for item in order {
        for requirer in item["requiredBy"].as_array().unwrap() {
            let range = requirer["range"].as_str().map(|range| format!(" {range}")).unwrap_or_default();
            wanted.insert(format!("{}{range} ({}", item["name"].as_str().unwrap(), requirer["by"].as_str().unwrap()));
        }
    }
    let reason = |found: &Found| {
        let last = found.why.last().unwrap();
        match last.split_once(" (needed by ") {
            Some((name, by)) => format!("{name} ({}", by.split(' ').next().unwrap()),
            None => last.clone(),
        }
    };
    let found: BTreeSet<String> = discovery.found.iter().map(reason).collect();
    assert_eq!(found, wanted, "{root}");
}

#[test]
fn the_whole_catalogue_of_the_platform_is_read_and_its_version_traps_are_told() {
    let Some(folder) = openova() else { return };
    let body = "blueprints:\n- {catalogue: platform, artifact: 'ghcr.io/x/{chart}:{version}', all: true}\n";
    let discovery = try_mirror(&folder, body).unwrap();
    assert_eq!(names(&discovery).into_iter().collect::<BTreeSet<_>>().len(), 36);
    let told: Vec<&str> = discovery.findings.iter().map(|finding| finding.what.as_str()).collect();
    for name in ["bp-external-secrets", "bp-seaweedfs"] {
        assert!(told.iter().any(|what| what.starts_with(name) && what.contains("1.0.1") && what.contains("1.0.0")));
    }
}

#[test]
fn the_clusters_of_the_platform_say_what_is_not_followed() {
    let Some(folder) = openova() else { return };
    let discovery = try_mirror(&folder, "kubernetes: [clusters/_template]\n").unwrap();
    assert_eq!(names(&discovery), ["xpkg.upbound.io/crossplane-contrib/provider-hcloud:v0.4.0"]);
    assert_eq!(discovery.found[0].role, Role::Artifact);
    let releases = discovery.findings.iter().filter(|f| f.what.contains("HelmRelease/")).count();
    assert_eq!(releases, 35);
}

#[test]
fn the_compositions_of_the_platform_hold_one_image_and_names_of_operating_systems() {
    let Some(folder) = openova() else { return };
    let discovery =
        try_mirror(&folder, "kubernetes: [platform/crossplane-claims/chart, platform/crossplane/compositions]\n")
            .unwrap();
    assert_eq!(names(&discovery), ["docker.io/bitnami/kubectl:1.31"]);
    let systems = discovery.findings.iter().filter(|f| f.what.contains("ubuntu-")).count();
    assert_eq!(systems, 2);
    let waiting: Vec<&str> = discovery.undecided.iter().map(|seen| seen.sighting.text.as_str()).collect();
    assert_eq!(waiting, ["ubuntu-24.04"], "a claim is no managed resource: a person says what its image is");
}

#[test]
fn dependencies_come_before_dependents_with_a_reason_for_each_requirer() {
    let discovery = mirror(&catalogue("platform", "roots: [bp-paperboy]"));
    assert_eq!(
        names(&discovery),
        [
            "ghcr.io/press/bp-press:1.0.1",
            "ghcr.io/press/bp-press:1.0.1",
            "ghcr.io/press/bp-kiosk:1.1.4",
            "ghcr.io/press/bp-newsprint:1.0.0",
            "ghcr.io/press/courier-wrapper:2.3.0_build.7",
            "ghcr.io/press/bp-paperboy:1.2.0",
        ]
    );
    assert!(discovery.found.iter().all(|found| found.role == Role::Blueprint));
    assert_eq!(
        discovery.found[0].why,
        [
            "mirror.yaml: blueprints[0]",
            "bp-paperboy",
            "bp-kiosk ^1.1 (needed by bp-paperboy 1.2.0)",
            "bp-press ^1 (needed by bp-kiosk 1.1.4)",
        ]
    );
    assert_eq!(discovery.found[1].why[3], "bp-press (needed by bp-newsprint 1.0.0)");
    assert_eq!(discovery.found[4].notes, ["optional, when: {{ .Values.courier.enabled }}"]);
    assert_eq!(discovery.found[2].notes, ["alias: shop"]);
    assert!(
        told(&discovery)
            .contains("platform/press/blueprint.yaml: bp-press: the chart has version 1.0.1, its Blueprint says 1.0.0")
    );
}

#[test]
fn a_conditional_dependency_can_be_left_out_and_is_reported() {
    let discovery = mirror(&catalogue("platform", "roots: [paperboy]\n  conditional: exclude"));
    assert!(!names(&discovery).iter().any(|name| name.contains("courier")));
    assert!(told(&discovery).contains("bp-courier is left out"), "{}", told(&discovery));
}

#[test]
fn whole_catalogues_mean_every_blueprint_or_the_listed_ones() {
    let count = |rest| names(&mirror(&catalogue("platform", rest))).into_iter().collect::<BTreeSet<_>>().len();
    assert_eq!(count("all: true"), 8);
    // bp-paperboy and courier are listed; three more come in because paperboy needs them.
    assert_eq!(count("all: listed"), 5);
    let discovery = mirror(&catalogue("platform", "all: listed"));
    assert!(told(&discovery).contains("6 Blueprints are not listed"), "{}", told(&discovery));
}

#[test]
fn a_catalogue_may_be_one_file_of_objects_whose_charts_are_names() {
    let discovery = try_mirror(&world(), &catalogue("platform/gazette/blueprint.yaml", "all: true")).unwrap_err();
    assert!(discovery.contains("bp-ink is not in the catalogue platform/gazette/blueprint.yaml"), "{discovery}");
    let discovery = mirror(&catalogue("platform", "roots: [bp-gazette-extra]"));
    assert_eq!(names(&discovery).last().unwrap(), "ghcr.io/press/bp-gazette-extra:3.1.0");
    assert!(told(&discovery).contains("spec.source.version is 3.0.9, spec.version is 3.1.0"));
}

#[test]
fn a_version_that_yaml_reads_as_a_number_is_refused_by_file_and_field() {
    let error = refuses(&[("a/blueprint.yaml", &blueprint("a", "1.10", "[]"))], "[a]");
    assert!(error.contains("a/blueprint.yaml:5:12: spec.version: 1.10 is a number in YAML"), "{error}");
    let text = blueprint("a", "1.0.0", "[{blueprint: b, version: 1.1}]");
    let error = refuses(&[("a/blueprint.yaml", &text)], "[a]");
    assert!(error.contains("spec.depends[0].version: 1.1 is a number"), "{error}");
    let chart = "name: a\nversion: 1.10\n";
    let files = [("a/blueprint.yaml", &*blueprint("a", "1.0.0", "[]")), ("a/chart/Chart.yaml", chart)];
    let error = refuses(&files, "[a]");
    assert!(error.contains("a/chart/Chart.yaml:2:10: version: 1.10"), "{error}");
    assert!(resolve(&[("a/blueprint.yaml", &blueprint("a", "'1.10.0'", "[]"))], "[a]").is_ok());
}

#[test]
fn absent_null_and_empty_depends_mean_none() {
    for depends in ["", "null", "[]", "~"] {
        let discovery = resolve(&[("a/blueprint.yaml", &blueprint("a", "1.0.0", depends))], "[bp-a]").unwrap();
        assert_eq!(names(&discovery), ["ghcr.io/press/bp-a:1.0.0"]);
    }
}

#[test]
fn two_folders_with_one_name_are_an_error_that_lists_both() {
    let files = [
        ("x/blueprint.yaml", &*blueprint("x", "1.0.0", "[]")),
        ("y/blueprint.yaml", &*blueprint("bp-x", "1.0.0", "[]")),
        ("z/blueprint.yaml", &*blueprint("z", "1.0.0", "[]")),
    ];
    let error = refuses(&files, "[x]");
    assert!(error.contains("bp-x stands in 2 files: x/blueprint.yaml, y/blueprint.yaml"), "{error}");
    let discovery = resolve(&files, "[z]").unwrap();
    assert!(told(&discovery).contains("no Blueprint that is wanted needs it"));
}

#[test]
fn an_unknown_api_version_is_refused_not_guessed() {
    for version in ["catalyst.openova.io/v2", "other.example/v1", "v1"] {
        let text = blueprint("a", "1.0.0", "[]").replace("catalyst.openova.io/v1", version);
        let error = refuses(&[("a/blueprint.yaml", &text)], "[a]");
        assert!(error.contains(&format!("a/blueprint.yaml:1:13: apiVersion {version:?}")), "{error}");
    }
}

#[test]
fn a_circle_is_shown_from_end_to_end() {
    let files = [
        ("a/blueprint.yaml", &*blueprint("a", "1.0.0", "[b]")),
        ("b/blueprint.yaml", &*blueprint("b", "1.0.0", "[c]")),
        ("c/blueprint.yaml", &*blueprint("c", "1.0.0", "[b]")),
    ];
    let error = refuses(&files, "[a]");
    assert!(error.contains("circle: bp-b → bp-c → bp-b"), "{error}");
    let own = refuses(&[("a/blueprint.yaml", &blueprint("a", "1.0.0", "[bp-a]"))], "[a]");
    assert!(own.contains("bp-a → bp-a"), "{own}");
}

#[test]
fn ranges_that_do_not_hold_and_missing_blueprints_are_all_told_with_their_chains() {
    let files = [
        (
            "a/blueprint.yaml",
            &*blueprint("a", "1.0.0", "[{blueprint: b, version: ^1}, {blueprint: gone, version: ^1}]"),
        ),
        ("b/blueprint.yaml", &*blueprint("b", "1.2.0", "[{blueprint: c, version: ^2}]")),
        ("c/blueprint.yaml", &*blueprint("c", "1.5.0", "[]")),
    ];
    let error = refuses(&files, "[{blueprint: a, version: ^3}]");
    assert!(error.starts_with("3 things stand in the way"), "{error}");
    let chain =
        "mirror.yaml: blueprints[0] → bp-a ^3 → bp-b ^1 (needed by bp-a 1.0.0) → bp-c ^2 (needed by bp-b 1.2.0)";
    assert!(
        error.contains(&format!("bp-c ^2 is wanted, version 1.5.0 is there (c/blueprint.yaml); wanted by {chain}"))
    );
    assert!(error.contains("bp-a ^3 is wanted, version 1.0.0 is there"), "{error}");
    assert!(
        error.contains("bp-gone is not in the catalogue .; wanted by mirror.yaml: blueprints[0] → bp-a ^3 → bp-gone")
    );
}

#[test]
fn a_range_must_hold_for_the_chart_too() {
    let files = [
        ("a/blueprint.yaml", &*blueprint("a", "1.0.0", "[]").replace("bp-a", "./deploy")),
        ("a/deploy/Chart.yaml", "name: bp-a\nversion: 2.0.0\n"),
    ];
    let error = refuses(&files, "[{blueprint: a, version: ^1}]");
    assert!(error.contains("chart version 2.0.0 is there (a/deploy/Chart.yaml)"), "{error}");
}

#[test]
fn blueprints_without_a_usable_chart_are_told() {
    let none = blueprint("a", "1.0.0", "[]").replace("bp-a", "./chart");
    let error = refuses(&[("a/blueprint.yaml", &none)], "[a]");
    assert!(error.contains("bp-a has no chart: there is no a/chart/Chart.yaml"), "{error}");
    let out = blueprint("a", "1.0.0", "[]").replace("bp-a", "./../../chart");
    assert!(refuses(&[("a/blueprint.yaml", &out)], "[a]").contains("leads out of the Blueprint's folder"));
    let other = blueprint("a", "1.0.0", "[]").replace("{chart: bp-a}", "{source: {kind: Kustomize, ref: x}}");
    assert!(refuses(&[("a/blueprint.yaml", &other)], "[a]").contains("spec.manifests.source.kind \"Kustomize\""));
    let upper = blueprint("a", "1.0.0", "[]").replace("bp-a", "Upper");
    assert!(refuses(&[("a/blueprint.yaml", &upper)], "[a]").contains("the artifact of bp-a would be"));
}

#[test]
fn a_broken_file_hurts_only_who_needs_it() {
    let files = [("a/blueprint.yaml", &*blueprint("a", "1.0.0", "[]")), ("b/blueprint.yaml", "a: [\n")];
    assert!(told(&resolve(&files, "[a]").unwrap()).contains("b/blueprint.yaml:"));
    let error = refuses(&files, "[b]");
    assert!(error.contains("bp-b cannot be used: b/blueprint.yaml:"), "{error}");
    assert!(refuses(&[("x/readme.md", "")], "[a]").contains("blueprint.yaml"));
}

#[test]
fn a_chain_of_ten_thousand_blueprints_is_followed() {
    let mut text = String::new();
    for i in 0..10_000 {
        let depends = if i == 9_999 { "[]".to_owned() } else { format!("[bp-n{}]", i + 1) };
        text += &format!("---\n{}", blueprint(&format!("n{i}"), "1.0.0", &depends));
    }
    let folder = folder(&[("all.yaml", &text)]);
    let text = catalogue("all.yaml", "roots: [n9900]");
    assert_eq!(try_mirror(folder.path(), &text).unwrap().found.len(), 100);
}

#[test]
fn one_blueprint_in_two_versions_from_two_catalogues_is_refused() {
    let (one, two) = (blueprint("a", "1.0.0", "[]"), blueprint("a", "1.1.0", "[]"));
    let folder = folder(&[("1/a/blueprint.yaml", &one), ("2/a/blueprint.yaml", &two)]);
    let entry = |n| catalogue(n, "roots: [a]").replace("blueprints:\n", "");
    let error = try_mirror(folder.path(), &format!("blueprints:\n{}{}", entry("1"), entry("2"))).unwrap_err();
    assert!(error.contains("ghcr.io/press/bp-a is wanted in two versions"), "{error}");
}

#[test]
fn kubernetes_yaml_gives_images_with_file_line_and_path() {
    let discovery = mirror("kubernetes: [kubernetes]\n");
    let sum = "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
    assert_eq!(
        names(&discovery),
        [
            "docker.io/press/setup:1.31.0".to_owned(),
            "docker.io/library/busybox:1.36.1".to_owned(),
            "ghcr.io/press/kiosk:1.1.4".to_owned(),
            "ghcr.io/press/helper:0.3".to_owned(),
            format!("ghcr.io/press/proxy:2.0@{sum}"),
            "docker.io/press/sweep".to_owned(),
            "ghcr.io/press/stand-db:16.3".to_owned(),
            "ghcr.io/press/stand:1.10".to_owned(),
        ]
    );
    assert_eq!(
        discovery.found[2].why,
        [
            "mirror.yaml: kubernetes[0]",
            "kubernetes/kiosk.yaml:13 Deployment/kiosk spec.template.spec.containers[0].image"
        ]
    );
    assert_eq!(discovery.found[5].notes, ["no tag given: latest, a moving tag"]);
    assert_eq!(discovery.found[3].notes, ["started by a controller"]);
    let told = told(&discovery);
    for said in [
        "kubernetes/composition.yaml:10 Server/(no name) spec.resources[0].base.spec.forProvider.image",
        "HelmRelease/almanac is not resolved by this version: its chart and images are NOT included",
    ] {
        assert!(told.contains(said), "{said}\n{told}");
    }
}

/// Says what waits for a decision in a custom object with these fields.
fn undecided(spec: &str, rest: &str) -> (Vec<String>, Discovery) {
    let text = format!("apiVersion: x.example/v1\nkind: Thing\nmetadata: {{name: t}}\nspec: {spec}\n");
    let folder = folder(&[("k/t.yaml", &text)]);
    let discovery = try_mirror(folder.path(), &format!("kubernetes: [k]\n{rest}")).unwrap_or_else(|e| panic!("{e}"));
    (discovery.undecided.iter().map(|seen| seen.sighting.text.clone()).collect(), discovery)
}

#[test]
fn what_may_be_an_image_waits_for_a_decision() {
    let spec = "{image: press/old, source: 'h.example/x:1'}";
    assert_eq!(undecided(spec, "").0, ["press/old", "h.example/x:1"]);
    let accept = "decisions: [{accept: press/old}, {accept: 'h.example/**', as: artifact}]\n";
    let (open, discovery) = undecided(spec, accept);
    assert!(open.is_empty() && discovery.findings.is_empty(), "{}", told(&discovery));
    let roles: Vec<Role> = discovery.found.iter().map(|found| found.role).collect();
    assert_eq!(
        (names(&discovery), roles),
        (vec!["docker.io/press/old".to_owned(), "h.example/x:1".to_owned()], vec![Role::Image, Role::Artifact])
    );
    assert!(discovery.found[0].notes.contains(&"accepted by a decision".to_owned()));
    let reject =
        "decisions: [{reject: 'docker.io/press/old', reason: a label}, {reject: 'h.example/x:1', reason: a page}]\n";
    let (open, discovery) = undecided(spec, reject);
    assert!(open.is_empty() && discovery.found.is_empty());
    assert!(told(&discovery).contains("is rejected: a page"), "{}", told(&discovery));
}

#[test]
fn another_source_or_a_rule_settles_what_waits_and_decisions_without_effect_are_told() {
    let spec = "{image: press/old, source: 'h.example/x:1'}";
    let rest = "images: ['press/old:7']\nextraImages: [{ref: 'h.example/x:1', for: kiosk}]\n";
    assert!(undecided(spec, rest).0.is_empty());
    assert!(
        undecided(spec, "ignore: [{ref: press/old, reason: no}, {match: 'h.example/*', reason: no}]\n").0.is_empty()
    );
    let (open, discovery) =
        undecided(spec, "decisions: [{accept: 'h.example/y:1'}, {accept: press/old, chart: kiosk}]\n");
    assert_eq!((open.len(), told(&discovery).matches("nothing met this rule").count()), (2, 2));
}

#[test]
fn lists_give_references_with_their_lines() {
    let discovery = mirror("images: [{list: lists/images.txt}, {list: ./lists/windows.txt}]\n");
    assert_eq!(discovery.found.len(), 5);
    assert_eq!(discovery.found[1].why, ["mirror.yaml: images[0]", "lists/images.txt:4"]);
    assert_eq!(name(&discovery.found[4]), "registry.example.org/press/desk:2");
    assert!(told(&discovery).contains("lists/images.txt:6: docker.io/library/nginx:1.27.3 stands in line 2 already"));
}

#[test]
fn a_registry_of_its_own_is_told_and_the_mirror_file_decides() {
    let text = blueprint("a", "1.0.0", "[]") + "  source: {url: 'oci://other.example/press/', chart: bp-a}\n";
    let discovery = resolve(&[("a/blueprint.yaml", &text)], "[a]").unwrap();
    assert_eq!(names(&discovery), ["ghcr.io/press/bp-a:1.0.0"]);
    assert!(told(&discovery).contains("spec.source.url is \"oci://other.example/press/\""));
}

#[test]
fn names_that_would_upset_a_terminal_are_refused() {
    let text = blueprint("a", "1.0.0", "[\"bp-\\e[31mred\"]");
    let error = refuses(&[("a/blueprint.yaml", &text)], "[a]");
    assert!(error.contains("spec.depends[0]") && !error.contains('\u{1b}'), "{error}");
}

#[test]
fn rules_reach_every_source() {
    let discovery = mirror(
        "images: [{list: lists/images.txt}, {repository: quay.io/press/desk, tags: ['1.*', '7', no], newest: 2}]\n\
         kubernetes: [kubernetes/kiosk.yaml]\n\
         substitute: [{from: quay.io/press, to: quay.io/presslegacy}]\n\
         ignore: [{match: 'ghcr.io/press/**', reason: built there}, {ref: 'quay.io/press/desk:1.3', reason: broken}, {ref: x, reason: y}]\n\
         platforms: {only: linux/amd64, digest: single, exceptions: [{match: '**/busybox'}]}\n",
    );
    assert_eq!(
        names(&discovery),
        [
            "docker.io/library/nginx:1.27.3",
            "quay.io/presslegacy/kiosk:2.0",
            "quay.io/presslegacy/desk:7",
            "quay.io/presslegacy/desk:no",
            "quay.io/presslegacy/desk [tags 1.*, newest 2]",
            "docker.io/library/busybox:1.36.1",
            "docker.io/press/sweep",
        ]
    );
    assert!(discovery.found[1].notes.contains(&"replaces quay.io/press/kiosk".to_owned()));
    assert!(matches!(discovery.found[0].platforms, PlatformRule::Only { .. }));
    assert_eq!(discovery.found[5].platforms, PlatformRule::All);
    let told = told(&discovery);
    assert_eq!(told.matches("built there").count(), 4, "{told}");
    assert!(told.contains("quay.io/press/desk:1.3 is ignored: broken"), "{told}");
    assert!(told.contains("mirror.yaml:6: nothing met this rule"), "{told}");
}

#[test]
fn everything_that_stands_in_the_way_is_told_at_once() {
    let error = fails(
        "images: [{list: lists/none.txt}, {repository: a.example/b, semver: latest}]\ncharts: [{repository: a.example/c, tags: 'x[*'}]\n\
         kubernetes: [nowhere.yaml, 'kubernetes/*.toml']\n",
    );
    for said in [
        "lists/none.txt",
        "mirror.yaml:3: \"latest\" is no version range",
        "\"x[*\"",
        "nowhere.yaml",
        "kubernetes/*.toml",
    ] {
        assert!(error.contains(said), "{said}\n{error}");
    }
    assert!(error.starts_with("5 things stand in the way"), "{error}");
    assert!(fails("images: [x]\nignore: [{match: 'a[', reason: b}]\n").contains("line 4: \"a[\" is no pattern"));
    assert!(fails("images: [x]\ndestinations: [{match: 'a[', project: b}]\n").contains("mirror.yaml:4: \"a[\""));
}

#[test]
fn the_same_files_give_the_same_discovery() {
    let text = format!(
        "{}kubernetes: [kubernetes]\nimages: [{{list: lists/images.txt}}]\n",
        catalogue("platform", "all: true")
    );
    let (one, two) = (mirror(&text), mirror(&text));
    assert_eq!(format!("{one:?}"), format!("{two:?}"));
}

#[test]
fn the_mirror_files_that_are_shipped_are_read() {
    let folder = root().join("manifests/mirror");
    let mut count = 0;
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let bytes = std::fs::read(&path).unwrap();
        let mirror = MirrorManifest::read(&bytes, &path.to_string_lossy()).unwrap_or_else(|e| panic!("{e}"));
        airlift::discover::Mapping::new(&mirror).unwrap();
        count += 1;
    }
    assert_eq!(count, 5);
    let bytes = std::fs::read(root().join("manifests/mirror/releases.yaml")).unwrap();
    let mirror = MirrorManifest::read(&bytes, "x").unwrap();
    assert_eq!(
        destination(&mirror, &"ghcr.io/aquasecurity/trivy-db:2".parse().unwrap()).repository,
        "security/trivy-db"
    );
    assert!(discover(&mirror, "x", root()).is_ok());
}
