//! Kustomize folders: what is followed gives the images that the cluster will run; everything else is refused.

use crate::discover::{fails_in, folder, name, names, told, try_mirror};
use airlift::discover::{Discovery, Want};

const WEB: &str = "\
apiVersion: apps/v1
kind: Deployment
metadata: { name: web, labels: { tier: front } }
spec:
  template:
    spec:
      initContainers: [{ name: setup, image: 'press/setup:1' }]
      containers: [{ name: web, image: 'kiosk:1.0' }, { name: proxy, image: 'h.example/proxy:2@sha256:SUM' }]
";

fn web() -> String {
    WEB.replace("SUM", &"0".repeat(64))
}

fn build(files: &[(&str, &str)]) -> Result<Discovery, String> {
    let folder = folder(files);
    try_mirror(folder.path(), "kustomize: [./site]\n")
}

fn refuses(files: &[(&str, &str)]) -> String {
    fails_in(&folder(files), "kustomize: [site]\n")
}

/// Builds the Deployment under a kustomization, and returns its images without their hosts.
fn images(kustomization: &str) -> Vec<String> {
    let text = format!("resources: [web.yaml]\n{kustomization}\n");
    let discovery =
        build(&[("site/web.yaml", &web()), ("site/kustomization.yaml", &text)]).unwrap_or_else(|e| panic!("{e}"));
    names(&discovery).iter().map(|name| name.replace("docker.io/library/", "").replace("docker.io/", "")).collect()
}

#[test]
fn bases_are_followed_and_places_name_the_file_that_an_object_is_from() {
    let discovery = build(&[
        ("base/web.yaml", &web()),
        ("base/kustomization.yaml", "resources: [./web.yaml]\n"),
        ("site/job.yaml", "apiVersion: batch/v1\nkind: Job\nmetadata: {name: j}\nspec: {template: {spec: {containers: [{image: 'job:1'}]}}}\n"),
        ("site/kustomization.yaml", "kind: Kustomization\nresources: [../base, job.yaml]\nnamePrefix: x-\ncommonLabels: {a: b}\nreplicas: [{name: web, count: 3}]\n"),
    ])
    .unwrap();
    assert_eq!(names(&discovery).len(), 4);
    assert_eq!(discovery.found[0].why[0], "mirror.yaml: kustomize[0]");
    assert!(
        discovery.found[0].why[1].starts_with("site/../base/web.yaml:7 Deployment/web"),
        "{:?}",
        discovery.found[0].why
    );
}

#[test]
fn the_images_transformer_changes_names_tags_and_digests() {
    let sum = "1".repeat(64);
    let changed = images(&format!(
        "images:\n- {{name: kiosk, newName: h.example/k, newTag: 1.10}}\n- {{name: h.example/proxy, digest: 'sha256:{sum}'}}\n- {{name: absent, newTag: x}}"
    ));
    assert_eq!(
        changed,
        ["press/setup:1".to_owned(), "h.example/k:1.10".to_owned(), format!("h.example/proxy@sha256:{sum}")]
    );
    let discovery = build(&[
        ("site/web.yaml", &web()),
        ("site/kustomization.yaml", "resources: [web.yaml]\nimages: [{name: absent, newTag: x}]\n"),
    ]);
    assert!(told(&discovery.unwrap()).contains("no container has an image of this name"));
}

#[test]
fn patches_of_both_kinds_change_images() {
    let strategic = "patches:\n- patch: |-\n    apiVersion: apps/v1\n    kind: Deployment\n    metadata: {name: web}\n    spec: {template: {spec: {containers: [{name: web, image: 'kiosk:2'}, {name: more, image: 'more:1'}]}}}";
    assert_eq!(images(strategic)[1], "kiosk:2");
    assert_eq!(images(strategic).len(), 4);
    let json = "patches:\n- target: {kind: Deployment, name: w.*}\n  patch: |-\n    - {op: replace, path: /spec/template/spec/containers/0/image, value: 'kiosk:3'}\n    - {op: remove, path: /spec/template/spec/initContainers}";
    assert_eq!(images(json)[0], "kiosk:3");
    let selected = "patches:\n- target: {labelSelector: tier=front}\n  patch: |-\n    kind: Any\n    metadata: {name: any}\n    spec: {template: {spec: {containers: [{name: proxy, $patch: delete}]}}}";
    assert_eq!(images(selected), ["press/setup:1", "kiosk:1.0"]);
    let whole = "patchesStrategicMerge:\n- |-\n  apiVersion: apps/v1\n  kind: Deployment\n  metadata: {name: web}\n  $patch: delete\n";
    let text = format!("resources: [web.yaml]\n{whole}");
    assert!(names(&build(&[("site/web.yaml", &web()), ("site/kustomization.yaml", &text)]).unwrap()).is_empty());
}

#[test]
fn patches_in_files_and_the_old_fields_are_read() {
    let patch = "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: web}\nspec: {template: {spec: {containers: [{name: web, image: 'kiosk:2'}]}}}\n";
    let ops = "- op: replace\n  path: /spec/template/spec/containers/1/image\n  value: proxy:9\n";
    let kustomization = "bases: [../base]\npatchesStrategicMerge: [patch.yaml]\npatchesJson6902: [{target: {group: apps, version: v1, kind: Deployment, name: web}, path: ops.yaml}]\n";
    let discovery = build(&[
        ("base/web.yaml", &web()),
        ("base/kustomization.yml", "resources: [web.yaml]\n"),
        ("site/patch.yaml", patch),
        ("site/ops.yaml", ops),
        ("site/kustomization.yaml", kustomization),
    ])
    .unwrap();
    assert_eq!(names(&discovery)[1..], ["docker.io/library/kiosk:2", "docker.io/library/proxy:9"]);
    assert!(told(&discovery).is_empty(), "{}", told(&discovery));
}

#[test]
fn components_work_on_what_the_folder_has() {
    let files = [
        (
            "parts/pin/kustomization.yaml",
            "apiVersion: kustomize.config.k8s.io/v1alpha1\nkind: Component\nresources: [job.yaml]\nimages: [{name: kiosk, newTag: '7'}]\n",
        ),
        (
            "parts/pin/job.yaml",
            "apiVersion: v1\nkind: Pod\nmetadata: {name: p}\nspec: {containers: [{image: 'kiosk:0'}]}\n",
        ),
        ("site/web.yaml", &web()),
        ("site/kustomization.yaml", "resources: [web.yaml]\ncomponents: [../parts/pin]\n"),
    ];
    let found = names(&build(&files).unwrap());
    assert_eq!(found.iter().filter(|name| name.ends_with("kiosk:7")).count(), 2, "{found:?}");
    assert!(fails_in(&folder(&files), "kustomize: [parts/pin]\n").contains("a component on its own"));
}

#[test]
fn generated_config_maps_are_looked_into() {
    let files = [
        ("site/operator.json", "{\"image\": \"ghcr.io/press/runner:3\"}"),
        ("site/more.env", "# c\nHELPER=ghcr.io/press/helper:1\n"),
        (
            "site/kustomization.yaml",
            "configMapGenerator:\n- {name: c, files: [operator.json], envs: [more.env], literals: [SIDE=ghcr.io/press/side:2]}\nsecretGenerator:\n- {name: s, literals: [password=hunter2]}\n",
        ),
    ];
    let discovery = build(&files).unwrap();
    let all = format!("{:?}{}", names(&discovery), told(&discovery));
    for image in ["ghcr.io/press/runner:3", "ghcr.io/press/helper:1", "ghcr.io/press/side:2"] {
        assert!(all.contains(image), "{image}: {all}");
    }
    assert!(!all.contains("hunter2"));
    let gone = "configMapGenerator:\n- {name: c, behavior: merge, literals: [a=b]}\n";
    assert!(refuses(&[("site/kustomization.yaml", gone)]).contains("ConfigMap c is not there to be changed"));
}

#[test]
fn a_chart_that_is_inflated_becomes_a_wish_with_its_values() {
    let kustomization = "helmCharts:\n- {name: kiosk, repo: 'https://charts.example.org', version: 1.2.0, releaseName: k, namespace: shop, valuesFile: v.yaml, valuesInline: {db: {enabled: true}}, kubeVersion: 1.31.4}\n\
                         - {name: press, repo: 'oci://ghcr.io/press/charts', version: 2.0.0}\n- {name: local}\n";
    let discovery = build(&[
        ("site/v.yaml", "tag: '1.10'\n"),
        ("site/charts/local/Chart.yaml", "name: local\n"),
        ("site/kustomization.yaml", kustomization),
    ])
    .unwrap();
    let found: Vec<String> = discovery.found.iter().map(name).collect();
    assert_eq!(
        found,
        ["https://charts.example.org/kiosk 1.2.0", "ghcr.io/press/charts/press 2.0.0", "site/charts/local"]
    );
    let Want::Chart(want) = &discovery.found[0].want else { panic!() };
    let values: Vec<String> = want.sets[0].layers.iter().map(|layer| layer.values.to_string()).collect();
    assert_eq!(values, [r#"{"tag":"1.10"}"#, r#"{"db":{"enabled":true}}"#]);
    assert_eq!((want.setting.kubernetes.as_deref(), want.namespace.as_str()), (Some("1.31.4"), "shop"));
    let changed = format!("{kustomization}images: [{{name: kiosk, newTag: '2'}}]\n");
    let files = [
        ("site/v.yaml", "{}\n"),
        ("site/charts/local/Chart.yaml", "name: local\n"),
        ("site/kustomization.yaml", &*changed),
    ];
    assert!(refuses(&files).contains("images beside helmCharts is not supported"));
}

#[test]
fn what_could_change_images_and_is_not_followed_is_refused() {
    for (field, said) in [
        ("resources: ['https://github.com/org/repo//deploy?ref=v1']", "is not on this machine"),
        ("resources: [github.com/org/repo]", "is not on this machine"),
        ("bases: ['git@git.example:org/repo.git']", "is not on this machine"),
        ("transformers: [t.yaml]", "transformers of a kustomization is not supported"),
        ("generators: [g.yaml]", "generators of a kustomization is not supported"),
        ("replacements: [{path: r.yaml}]", "replacements of a kustomization is not supported"),
        ("openapi: {path: o.json}", "openapi of a kustomization is not supported"),
        ("resources: [/etc/hostname]", "cannot read /etc/hostname: a path that begins with / leads out"),
        ("resources: [gone.yaml]", "there is no site/gone.yaml"),
        ("resurces: [a.yaml]", "site/kustomization.yaml:1:1: unknown field \"resurces\"; did you mean \"resources\"?"),
        ("resources: x", "expected a list, found a text"),
        ("kind: Deployment", "neither Kustomization nor Component"),
        ("images: [{nam: x, newTag: y}]", "did you mean \"name\"?"),
        ("patches: [{path: a, patch: b}]", "exactly one of path and patch"),
        ("patches: [{patch: 'kind: X'}]", "it has neither target nor name"),
        ("patches: [{target: {kind: X}, patch: '['}]", "site/kustomization.yaml: patches[0]:1:"),
        ("resources: [../site]", "circle: site → site/../site"),
        ("helmCharts: [{name: none}]", "the chart none has no repo"),
    ] {
        let error = refuses(&[("site/kustomization.yaml", &format!("{field}\n"))]);
        assert!(error.contains(said), "{field}: {error}");
    }
    assert!(refuses(&[("site/web.yaml", &web())]).contains("there is no kustomization.yaml in it"));
}

#[test]
fn generated_objects_are_created_replaced_and_joined_as_their_entries_say() {
    let base = "configMapGenerator:\n- {name: c, literals: ['A=ghcr.io/press/a:1', 'B=ghcr.io/press/b:1']}\n";
    let build_on = |behavior: &str| {
        let site = format!(
            "resources: [../base]\nconfigMapGenerator:\n- {{name: c, behavior: {behavior}, literals: ['A=ghcr.io/press/a:2']}}\n"
        );
        let files = [("base/kustomization.yaml", base), ("site/kustomization.yaml", &*site)];
        let discovery = build(&files)?;
        Ok::<String, String>(format!("{:?}{:?}{}", names(&discovery), discovery.undecided, told(&discovery)))
    };
    let joined = build_on("merge").unwrap();
    assert!(
        joined.contains("ghcr.io/press/a:2")
            && joined.contains("ghcr.io/press/b:1")
            && !joined.contains("ghcr.io/press/a:1"),
        "{joined}"
    );
    let replaced = build_on("replace").unwrap();
    assert!(replaced.contains("ghcr.io/press/a:2") && !replaced.contains("ghcr.io/press/b:1"), "{replaced}");
    assert!(build_on("create").unwrap_err().contains("ConfigMap c is there already"));
    assert!(build_on("invent").unwrap_err().contains("none of: unspecified, create, replace, merge"));
}

#[test]
fn a_patch_may_change_many_objects_and_keeps_their_names() {
    let pods: String = ["a", "b", "c"]
        .iter()
        .map(|name| format!("apiVersion: v1\nkind: Pod\nmetadata: {{name: {name}}}\nspec: {{containers: [{{name: m, image: '{name}:1'}}]}}\n---\n"))
        .collect();
    let kustomization = "resources: [pods.yaml]\npatches:\n- target: {kind: Pod, name: '[ab]'}\n  patch: |-\n    metadata: {name: other}\n    spec: {containers: [{name: m, image: 'patched:1'}]}\n\
                         - target: {kind: Service}\n  patch: '[{op: remove, path: /spec}]'\n";
    let discovery = build(&[("site/pods.yaml", &pods), ("site/kustomization.yaml", kustomization)]).unwrap();
    let found = names(&discovery);
    assert_eq!(found, ["docker.io/library/patched:1", "docker.io/library/patched:1", "docker.io/library/c:1"]);
    assert!(discovery.found[0].why[1].contains("Pod/a") && discovery.found[1].why[1].contains("Pod/b"));
    assert!(
        told(&discovery).contains("no object fits the target of this patch; it does nothing"),
        "{}",
        told(&discovery)
    );
}

#[test]
fn a_patch_that_cannot_be_applied_names_its_place_and_reason() {
    for (patch, said) in [
        ("[{op: replace, path: /spec/nothing, value: 1}]", "operation 0: the object has nothing at /spec/nothing"),
        ("[{op: add, path: /spec/template/spec/containers/9, value: {}}]", "has nothing at"),
        (
            "{spec: {template: {spec: {containers: [{image: 'x:1'}]}}}}",
            "an item of a list that is joined by \"name\" has no name",
        ),
        ("{spec: {$retainKeys: [x]}}", "the directive $retainKeys is not supported"),
    ] {
        let kustomization =
            format!("resources: [web.yaml]\npatches: [{{target: {{kind: Deployment}}, patch: \"{patch}\"}}]\n");
        let error = refuses(&[("site/web.yaml", &web()), ("site/kustomization.yaml", &kustomization)]);
        assert!(error.contains("site/kustomization.yaml: patches[0]: ") && error.contains(said), "{patch}: {error}");
    }
}
