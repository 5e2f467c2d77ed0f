//! Flux Kustomizations: folders that objects of a folder lead to, with what is done to them on the way.

use crate::discover::{folder, names, told, try_mirror};
use airlift::discover::Discovery;

fn kustomization(name: &str, path: &str, more: &str) -> String {
    let more: String = more.lines().map(|line| format!("  {line}\n")).collect();
    format!(
        "apiVersion: kustomize.toolkit.fluxcd.io/v1\nkind: Kustomization\nmetadata: {{name: {name}, namespace: flux-system}}\nspec:\n  \
         path: {path}\n  sourceRef: {{kind: GitRepository, name: fleet}}\n{more}"
    )
}

fn pod(image: &str) -> String {
    format!("apiVersion: v1\nkind: Pod\nmetadata: {{name: p}}\nspec: {{containers: [{{name: a, image: '{image}'}}]}}\n")
}

fn release(version: &str) -> String {
    format!(
        "apiVersion: source.toolkit.fluxcd.io/v1\nkind: HelmRepository\nmetadata: {{name: r, namespace: apps}}\nspec: {{type: oci, url: \
         'oci://h.example/c'}}\n---\napiVersion: helm.toolkit.fluxcd.io/v2\nkind: HelmRelease\nmetadata: {{name: kiosk, namespace: apps}}\n\
         spec:\n  chart: {{spec: {{chart: kiosk, version: '{version}', sourceRef: {{kind: HelmRepository, name: r}}}}}}\n"
    )
}

const ENTRY: &str = "flux: [{path: fleet/site, sources: [{name: fleet, path: fleet}], objects: [beside.yaml]}]\n";

fn read(files: &[(&str, &str)], body: &str) -> Result<Discovery, String> {
    let mut all = vec![("beside.yaml", "")];
    all.retain(|(name, _)| !files.iter().any(|(other, _)| other == name));
    all.extend(files);
    try_mirror(folder(&all).path(), body)
}

fn good(files: &[(&str, &str)]) -> Discovery {
    read(files, ENTRY).unwrap_or_else(|e| panic!("{e}"))
}

fn bad(files: &[(&str, &str)]) -> String {
    read(files, ENTRY).err().unwrap_or_else(|| panic!("nothing stands in the way"))
}

#[test]
fn its_folder_is_read_with_or_without_a_kustomization_of_its_own() {
    let apps = kustomization("apps", "./apps", "prune: true\ninterval: 10m");
    let files = [
        ("fleet/site/apps.yaml", &*apps),
        ("fleet/apps/web.yaml", &*pod("h.example/web:1")),
        (
            "fleet/apps/deep/kustomization.yaml",
            "resources: [a.yaml]\nimages: [{name: h.example/old, newName: h.example/new}]\n",
        ),
        ("fleet/apps/deep/a.yaml", &*pod("h.example/old:2")),
        ("fleet/apps/deep/not-listed.yaml", &*pod("h.example/none:1")),
    ];
    let found = good(&files);
    assert_eq!(names(&found), ["h.example/new:2", "h.example/web:1"]);
    let said = told(&found);
    assert!(said.contains("Kustomization flux-system/apps leads to fleet/apps, which is read too"), "{said}");
    assert!(!said.contains("not resolved"), "{said}");
}

#[test]
fn what_it_does_on_the_way_is_done() {
    let more = "targetNamespace: shop\nimages: [{name: h.example/web, newTag: '7'}]\npatches:\n- target: {kind: Pod}\n  patch: |\n    - \
                {op: add, path: /spec/initContainers, value: [{name: i, image: 'h.example/init:1'}]}\npostBuild:\n  substitute: {TAG: '3'}\n  \
                substituteFrom:\n  - {kind: ConfigMap, name: vars}\n  - {kind: Secret, name: none, optional: true}";
    let apps = kustomization("apps", "apps", more);
    let web =
        format!("{}---\n{}", pod("h.example/web:1"), pod("h.example/${NAME}:${TAG}").replace("name: p", "name: q"));
    let vars = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: vars, namespace: flux-system}\ndata: {NAME: kiosk, TAG: '1'}\n";
    let files = [("fleet/site/apps.yaml", &*apps), ("fleet/apps/web.yaml", &*web), ("beside.yaml", vars)];
    let found = good(&files);
    let mut images = names(&found);
    images.sort();
    images.dedup();
    assert_eq!(images, ["h.example/init:1", "h.example/kiosk:3", "h.example/web:7"]);
    assert!(told(&found).contains("Secret flux-system/none is optional and not in the folder"));
    let error = bad(&[files[0], files[1]]);
    assert!(
        error.contains("spec.postBuild.substituteFrom[0]: ConfigMap flux-system/vars is not in the folder"),
        "{error}"
    );
}

#[test]
fn releases_behind_further_kustomizations_come_in_the_order_in_which_they_wait() {
    let site = format!(
        "{}---\n{}",
        kustomization("apps", "apps", "dependsOn: [{name: base}]"),
        kustomization("infra", "infra", "")
    );
    let base = kustomization("base", "base", "postBuild: {substitute: {VERSION: 1.2.3}}");
    let files = [
        ("fleet/site/all.yaml", &*site),
        ("fleet/apps/web.yaml", &*pod("h.example/web:1")),
        ("fleet/infra/base.yaml", &*base),
        ("fleet/base/kiosk.yaml", &*release("${VERSION}")),
        ("fleet/base/db.yaml", &*pod("h.example/db:1")),
    ];
    let found = good(&files);
    assert_eq!(names(&found), ["h.example/c/kiosk:1.2.3", "h.example/db:1", "h.example/web:1"]);
    assert!(
        found.found[0].why[1].starts_with("fleet/base/kiosk.yaml:6 HelmRelease apps/kiosk"),
        "{:?}",
        found.found[0].why
    );
}

#[test]
fn what_cannot_be_followed_is_an_error_unless_it_is_left_out_on_purpose() {
    let apps = kustomization("apps", "./apps", "");
    let files = [("fleet/site/apps.yaml", &*apps), ("fleet/apps/web.yaml", &*pod("h.example/web:1"))];
    let error = read(&files, "flux: [fleet/site]\n").unwrap_err();
    assert!(
        error.contains("what GitRepository flux-system/fleet brings is not in the folder; say what it stands for"),
        "{error}"
    );
    let out = "flux: [{path: fleet/site, sources: [{name: fleet, ignore: another team}]}]\n";
    let found = read(&files, out).unwrap();
    assert!(
        names(&found).is_empty() && told(&found).contains("Kustomization flux-system/apps is left out: another team")
    );
    for (more, said) in [
        ("dependsOn: [{name: gone}]", "flux-system/apps depends on flux-system/gone, which is no"),
        ("dependsOn: [{name: apps}]", "in a circle"),
        ("components: [nowhere]", "there is no"),
    ] {
        let apps = kustomization("apps", "./apps", more);
        let error = bad(&[("fleet/site/apps.yaml", &*apps), files[1]]);
        assert!(error.contains(said), "{more}: {error}");
    }
    for (path, said) in
        [("../other", "leads out of its source"), ("nowhere", "nowhere (fleet/site/apps.yaml:1 Kustomization")]
    {
        let apps = kustomization("apps", path, "");
        let error = bad(&[("fleet/site/apps.yaml", &*apps)]);
        assert!(error.contains(said), "{path}: {error}");
    }
}

#[test]
fn the_folder_that_reads_itself_is_read_once_and_encrypted_objects_are_told() {
    let own = kustomization("flux-system", "./site", "decryption: {provider: sops}");
    let apps = kustomization("apps", "./apps", "decryption: {provider: sops}");
    let sealed = "apiVersion: v1\nkind: Secret\nmetadata: {name: s}\nstringData: {image: 'ENC[AES256_GCM,data:x]'}\nsops: {mac: x}\n";
    let files = [
        ("fleet/site/own.yaml", &*own),
        ("fleet/site/apps.yaml", &*apps),
        ("fleet/site/web.yaml", &*pod("h.example/web:1")),
        ("fleet/apps/sealed.yaml", sealed),
    ];
    let found = good(&files);
    assert_eq!(names(&found), ["h.example/web:1"]);
    assert!(told(&found).contains("this object is encrypted and not read"), "{}", told(&found));
}

#[test]
fn a_source_says_either_its_folder_or_why_it_is_left_out() {
    for (source, said) in [
        ("{name: x}", "exactly one of path and ignore"),
        ("{name: x, path: a, ignore: b}", "exactly one of path and ignore"),
        ("{kind: HelmRepository, name: x, path: a}", "is none of: GitRepository, OCIRepository, Bucket"),
        ("{path: a}", "\"name\" is missing"),
    ] {
        let error = read(&[("k/x.yaml", "")], &format!("flux: [{{path: k, sources: [{source}]}}]\n")).unwrap_err();
        assert!(error.contains(said), "{source}: {error}");
    }
}
