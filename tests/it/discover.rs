//! From mirror files to wanted artifacts: a small world of our own with every trap, and the platform's
//! catalogue where it lies beside the checkout.

use airlift::discover::{Discovery, Found, PlatformRule, Want, discover};
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

fn try_mirror(base: &Path, body: &str) -> Result<Discovery, String> {
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

fn name(found: &Found) -> String {
    match &found.want {
        Want::Reference(reference) => reference.to_string(),
        Want::Tags { repository, selection } => format!("{repository} [{selection}]"),
    }
}

fn names(discovery: &Discovery) -> Vec<String> {
    discovery.found.iter().map(name).collect()
}

fn catalogue(folder: &str, rest: &str) -> String {
    format!("blueprints:\n- catalogue: {folder}\n  artifact: 'ghcr.io/press/{{chart}}:{{version}}'\n  {rest}\n")
}

/// Folder of the platform's data, where it is at hand.
fn openova() -> Option<PathBuf> {
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
        try_mirror(&folder, "kubernetes: [platform/crossplane-claims/chart, platform/crossplane/compositions]\n").unwrap();
    assert_eq!(names(&discovery), ["docker.io/bitnami/kubectl:1.31"]);
    let systems = discovery.findings.iter().filter(|f| f.what.contains("ubuntu-")).count();
    assert_eq!(systems, 3);
    let _ = PlatformRule::All;
}
