//! Catalogues of Blueprints in every shape they come in, and the two graphs by which Blueprints need each other.

use crate::discover::{folder, names, openova, told, try_mirror};
use crate::stage::Stage;
use airlift::discover::{Discovery, Fetched, Narrowing, begin_with};
use airlift::document::mirror::MirrorManifest;
use std::path::Path;
use std::process::Command;

fn blueprint(name: &str, version: &str, depends: &str) -> String {
    format!(
        "apiVersion: catalyst.openova.io/v1\nkind: Blueprint\nmetadata: {{name: {name}}}\nspec:\n  version: {version}\n  \
         visibility: listed\n  manifests: {{chart: bp-{name}}}\n  depends: {depends}\n"
    )
}

fn entry(rest: &str) -> String {
    format!("blueprints:\n- catalogue: ./platform\n  artifact: 'ghcr.io/press/{{chart}}:{{version}}'\n  {rest}\n")
}

/// Three Blueprints: kiosk needs press, ink stands alone.
fn platform() -> Vec<(&'static str, String)> {
    vec![
        ("platform/kiosk/blueprint.yaml", blueprint("kiosk", "1.1.0", "[{blueprint: press, version: ^1}]")),
        ("platform/press/blueprint.yaml", blueprint("press", "1.0.0", "[]")),
        ("platform/ink/blueprint.yaml", blueprint("ink", "2.0.0", "[]")),
    ]
}

fn release(name: &str, version: &str, depends: &str) -> String {
    format!(
        "apiVersion: helm.toolkit.fluxcd.io/v2\nkind: HelmRelease\nmetadata: {{name: bp-{name}, namespace: flux-system}}\nspec:\n  \
         dependsOn: {depends}\n  chart: {{spec: {{chart: bp-{name}, version: {version}, sourceRef: {{kind: HelmRepository, name: r}}}}}}\n"
    )
}

const REPOSITORY: &str = "apiVersion: source.toolkit.fluxcd.io/v1\nkind: HelmRepository\nmetadata: {name: r, namespace: flux-system}\n\
                          spec: {type: oci, url: 'oci://ghcr.io/press'}\n";

/// The platform beside a kit in which kiosk waits for ink and not for press.
fn with_kit(press: &str, body: &str) -> Result<Discovery, String> {
    with_kit_narrowed(press, body, Narrowing::default())
}

fn with_kit_narrowed(press: &str, body: &str, narrowing: Narrowing) -> Result<Discovery, String> {
    let mut files = platform();
    files.push(("kit/r.yaml", REPOSITORY.to_owned()));
    files.push(("kit/kiosk.yaml", release("kiosk", "1.1.0", "[{name: bp-ink}]")));
    files.push(("kit/press.yaml", release("press", press, "[]")));
    files.push(("kit/ink.yaml", release("ink", "2.0.0", "[]")));
    let files: Vec<(&str, &str)> = files.iter().map(|(name, text)| (*name, text.as_str())).collect();
    let folder = folder(&files);
    let text = format!("apiVersion: airlift/v1alpha1\nkind: Mirror\n{body}");
    let mirror = MirrorManifest::read(text.as_bytes(), "mirror.yaml").map_err(|e| e.to_string())?;
    let begun = begin_with(&mirror, "mirror.yaml", folder.path(), Fetched::new(), narrowing);
    begun.and_then(|begun| begun.finish()).map_err(|e| e.to_string())
}

fn distinct(discovery: &Discovery) -> Vec<String> {
    let mut all: Vec<String> = names(discovery).iter().map(|name| name.replace("ghcr.io/press/bp-", "")).collect();
    all.sort();
    all.dedup();
    all
}

#[test]
fn all_of_a_catalogue_may_be_narrowed_by_patterns() {
    let files = platform();
    let files: Vec<(&str, &str)> = files.iter().map(|(name, text)| (*name, text.as_str())).collect();
    let folder = folder(&files);
    let of = |rest: &str| distinct(&try_mirror(folder.path(), &entry(rest)).unwrap_or_else(|e| panic!("{e}")));
    assert_eq!(of("all: true"), ["ink:2.0.0", "kiosk:1.1.0", "press:1.0.0"]);
    assert_eq!(of("all: true\n  include: ['bp-k*', ink]"), ["ink:2.0.0", "kiosk:1.1.0", "press:1.0.0"]);
    assert_eq!(of("all: true\n  include: bp-i*"), ["ink:2.0.0"]);
    assert_eq!(of("all: listed\n  exclude: [press, ink]"), ["kiosk:1.1.0", "press:1.0.0"]);
    assert_eq!(of("roots: [press]"), ["press:1.0.0"]);
    let discovery = try_mirror(folder.path(), &entry("all: true\n  exclude: [ink]")).unwrap();
    assert!(told(&discovery).contains("1 Blueprints are left out by include and exclude"), "{}", told(&discovery));
    let error = try_mirror(folder.path(), &entry("roots: [ink]\n  include: [x]")).unwrap_err();
    assert!(error.contains("include and exclude choose among all"), "{error}");
}

#[test]
fn an_exported_list_of_objects_is_a_catalogue() {
    let items: String =
        platform().iter().map(|(_, text)| format!("- {}\n", text.trim_end().replace('\n', "\n  "))).collect();
    let list = format!("apiVersion: v1\nkind: List\nitems:\n{items}");
    let folder = folder(&[("platform", &list)]);
    assert_eq!(distinct(&try_mirror(folder.path(), &entry("roots: [kiosk]")).unwrap()), ["kiosk:1.1.0", "press:1.0.0"]);
}

#[test]
fn the_graph_is_a_choice_and_stands_in_the_lock() {
    let kit = "flux: [{path: ./kit, releases: [bp-kiosk]}]\n";
    let only = |graph: &str| {
        with_kit("1.0.0", &format!("{}{kit}", entry(&format!("roots: [kiosk]\n  graph: {graph}")))).unwrap()
    };
    let whole = "flux: [{path: ./kit, include: [none]}]\n";
    let of = |graph: &str| {
        with_kit("1.0.0", &format!("{}{whole}", entry(&format!("roots: [kiosk]\n  graph: {graph}")))).unwrap()
    };
    assert_eq!(distinct(&of("depends")), ["kiosk:1.1.0", "press:1.0.0"]);
    assert_eq!(distinct(&of("kit")), ["ink:2.0.0", "kiosk:1.1.0"]);
    assert_eq!(distinct(&of("both")), ["ink:2.0.0", "kiosk:1.1.0", "press:1.0.0"]);
    assert_eq!(of("kit").found[0].why[0], "mirror.yaml: blueprints[0] (graph: kit)");
    assert_eq!(of("depends").found[0].why[0], "mirror.yaml: blueprints[0] (graph: depends)");
    assert!(only("depends").found.iter().any(|found| found.why[0] == "mirror.yaml: flux[0] (graph: kit)"));
    let silent = with_kit("1.0.0", &format!("{}{whole}", entry("roots: [kiosk]"))).unwrap();
    assert!(told(&silent).contains("the kit beside them has other edges"), "{}", told(&silent));
    let alone = with_kit("1.0.0", &entry("roots: [kiosk]\n  graph: both")).unwrap_err();
    assert!(alone.contains("mirror.yaml:4: graph: both follows the edges of a kit"), "{alone}");
    let absent = with_kit("1.0.0", &format!("{}{whole}", entry("roots: [gone]\n  graph: kit"))).unwrap_err();
    assert!(absent.contains("no release of a kit installs bp-gone"), "{absent}");
}

#[test]
fn the_version_of_the_kit_counts_and_must_be_in_every_range() {
    let body = format!("{}flux: [./kit]\n", entry("roots: [kiosk]\n  graph: depends"));
    let discovery = with_kit("1.2.0", &body).unwrap();
    assert_eq!(distinct(&discovery), ["ink:2.0.0", "kiosk:1.1.0", "press:1.2.0"]);
    let said = told(&discovery);
    assert!(
        said.contains(
            "bp-press: kit/press.yaml:1 HelmRelease flux-system/bp-press installs ghcr.io/press/bp-press:1.2.0"
        ),
        "{said}"
    );
    assert!(said.contains("platform/press/blueprint.yaml has version 1.0.0; the kit's counts"), "{said}");
    let error = with_kit("2.0.0", &body).unwrap_err();
    assert!(
        error.contains("kit/press.yaml:1 HelmRelease flux-system/bp-press installs version 2.0.0, and ^1 is wanted by"),
        "{error}"
    );
    assert!(error.contains("→ bp-kiosk → bp-press ^1 (needed by bp-kiosk 1.1.0)"), "{error}");
    let exact = format!("{}flux: [./kit]\n", entry("roots: [{blueprint: press, version: 1.0.0}]\n  graph: depends"));
    assert!(with_kit("1.2.0", &exact).unwrap_err().contains("installs version 1.2.0, and 1.0.0 is wanted by"));
}

#[test]
fn the_two_graphs_of_the_platform_differ_as_its_facts_say() {
    let Some(shared) = openova() else { return };
    let of = |graph: &str| {
        let body = format!(
            "blueprints:\n- catalogue: platform\n  artifact: 'oci://ghcr.io/openova-io/{{chart}}:{{version}}'\n  roots: [bp-harbor]\n  graph: {graph}\n\
             flux: [{{path: clusters/_template/bootstrap-kit, include: [none]}}]\n"
        );
        let discovery = try_mirror(&shared, &body).unwrap_or_else(|e| panic!("{e}"));
        let mut found = names(&discovery);
        found.sort();
        found.dedup();
        found.len()
    };
    assert_eq!((of("depends"), of("kit"), of("both")), (5, 6, 6));
}

/// A stage whose upstream has the charts of the platform, and a mirror file.
fn stage(catalogue: &str, roots: &str) -> Stage {
    let stage = Stage::new();
    for (name, version) in [("kiosk", "1.1.0"), ("press", "1.0.0"), ("ink", "2.0.0")] {
        stage.publish(&format!("press/bp-{name}"), version, &crate::stage::small(version.len() as u64));
    }
    let body = format!(
        "apiVersion: airlift/v1alpha1\nkind: Mirror\nblueprints:\n- catalogue: {catalogue}\n  artifact: '{}/press/{{chart}}:{{version}}'\n  \
         roots: {roots}\n  images: false\n",
        stage.upstream.host()
    );
    std::fs::write(stage.path("mirror.yaml"), body).unwrap();
    stage
}

fn git(folder: &Path, arguments: &[&str]) -> String {
    let who = [
        "-c",
        "user.name=a",
        "-c",
        "user.email=a@example.org",
        "-c",
        "init.defaultBranch=main",
        "-c",
        "commit.gpgsign=false",
    ];
    let output = Command::new("git").args(who).args(arguments).current_dir(folder).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).trim().to_owned()
}

/// A repository with the platform in it; returns its commit. Nothing where git is not installed.
fn repository(folder: &Path) -> Option<String> {
    if Command::new("git").arg("--version").output().is_err() {
        eprintln!("SKIPPED: git is not installed");
        return None;
    }
    std::fs::create_dir_all(folder).unwrap();
    git(folder, &["init", "--quiet"]);
    for (name, text) in platform() {
        let path = folder.join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }
    // A link, and attributes that would hide files from an archive, have no say.
    std::os::unix::fs::symlink("/etc/hostname", folder.join("platform/Chart.yaml")).unwrap();
    std::fs::write(folder.join(".gitattributes"), "blueprint.yaml export-ignore\n").unwrap();
    git(folder, &["add", "-A"]);
    git(folder, &["commit", "--quiet", "-m", "one"]);
    git(folder, &["tag", "v1"]);
    Some(git(folder, &["rev-parse", "HEAD"]))
}

#[test]
fn a_catalogue_in_a_git_repository_is_read_at_a_commit_that_the_lock_names() {
    let outside = tempfile::tempdir().unwrap();
    let place = outside.path().join("openova.git");
    let Some(commit) = repository(&place) else { return };
    std::fs::write(place.join("platform/press/blueprint.yaml"), blueprint("press", "3.0.0", "[]")).unwrap();
    git(&place, &["commit", "--quiet", "-am", "two"]);
    let url = format!("file://{}", place.display());
    for reference in ["ref: v1, path: platform", &format!("ref: {commit}")] {
        let stage = stage(&format!("{{ git: '{url}', {reference} }}"), "[kiosk]");
        stage.airlift(&["resolve", "-f", "mirror.yaml", "--plain-http"]).expect(0).says(&["pinned 2 artifacts"]);
        let lock = std::fs::read_to_string(stage.path("airlift.lock")).unwrap();
        assert!(lock.contains(&format!("mirror.yaml: blueprints[0] (catalogue {url}@{commit})")), "{lock}");
        assert!(!lock.contains("airlift-catalogue"), "{lock}");
    }
    // The head of the repository has a version that kiosk does not take.
    let later = stage(&format!("{{ git: '{url}' }}"), "[kiosk]");
    later
        .airlift(&["resolve", "-f", "mirror.yaml", "--plain-http"])
        .expect(2)
        .says(&["bp-press ^1 is wanted, version 3.0.0 is there"]);
    let none = stage(&format!("{{ git: '{url}', ref: v9 }}"), "[kiosk]");
    none.airlift(&["resolve", "-f", "mirror.yaml", "--plain-http"])
        .expect(20)
        .says(&["git cannot fetch from it", "name of a branch or a tag"]);
    let gone = stage("{ git: 'file:///nowhere/x.git' }", "[kiosk]");
    gone.airlift(&["resolve", "-f", "mirror.yaml", "--plain-http"])
        .expect(20)
        .says(&["file:///nowhere/x.git: git cannot fetch"]);
}

#[test]
fn a_catalogue_in_an_archive_is_read_without_unpacking_anything_else() {
    let stage = stage("./openova-1.tar.gz", "[kiosk]");
    let mut builder = tar::Builder::new(flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast()));
    for (name, text) in platform() {
        let mut header = tar::Header::new_gnu();
        header.set_size(text.len() as u64);
        header.set_mode(0o644);
        builder.append_data(&mut header, format!("openova-1/{name}"), text.as_bytes()).unwrap();
    }
    std::fs::write(stage.path("openova-1.tar.gz"), builder.into_inner().unwrap().finish().unwrap()).unwrap();
    stage.airlift(&["resolve", "-f", "mirror.yaml", "--plain-http"]).expect(0).says(&["pinned 2 artifacts"]);
    std::fs::write(stage.path("openova-1.tar.gz"), "no archive").unwrap();
    stage
        .airlift(&["resolve", "-f", "mirror.yaml", "--plain-http"])
        .expect(40)
        .says(&["openova-1.tar.gz: is no archive"]);
}

/// What the command line takes of the platform beside its kit.
fn narrowed(body: &str, include: &[&str], exclude: &[&str]) -> Result<Discovery, String> {
    let owned = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect::<Vec<_>>();
    let narrowing = Narrowing::new(&owned(include), &owned(exclude)).map_err(|e| e.to_string())?;
    with_kit_narrowed("1.0.0", body, narrowing)
}

#[test]
fn the_command_line_narrows_roots_and_whole_catalogues_and_what_they_need_stays() {
    for rest in ["all: true", "roots: [kiosk, press, ink]"] {
        let of = |include: &[&str], exclude: &[&str]| {
            distinct(&narrowed(&entry(rest), include, exclude).unwrap_or_else(|e| panic!("{e}")))
        };
        assert_eq!(of(&[], &[]), ["ink:2.0.0", "kiosk:1.1.0", "press:1.0.0"]);
        assert_eq!(of(&["kiosk"], &[]), ["kiosk:1.1.0", "press:1.0.0"]);
        assert_eq!(of(&["bp-i*", "press"], &[]), ["ink:2.0.0", "press:1.0.0"]);
        assert_eq!(of(&[], &["ink"]), ["kiosk:1.1.0", "press:1.0.0"]);
        assert_eq!(of(&["*"], &["kiosk", "press"]), ["ink:2.0.0"]);
    }
    let said = told(&narrowed(&entry("all: true"), &["ink"], &[]).unwrap());
    assert!(said.contains("2 are left out by --include and --exclude"), "{said}");
}

#[test]
fn excluding_what_a_kept_one_needs_names_the_chain() {
    let error = narrowed(&entry("all: true"), &[], &["press"]).unwrap_err();
    let chain = "--exclude press leaves out bp-press, which is needed: mirror.yaml: blueprints[0] → bp-kiosk → \
                 bp-press ^1 (needed by bp-kiosk 1.1.0)";
    assert!(error.contains(chain), "{error}");
    let kit = narrowed("flux: [./kit]\n", &["kiosk"], &["ink"]).unwrap_err();
    assert!(
        kit.contains("--exclude ink leaves out bp-ink, which is needed: mirror.yaml: flux[0] (graph: kit) → "),
        "{kit}"
    );
    assert!(kit.contains("HelmRelease flux-system/bp-ink (dependsOn of flux-system/bp-kiosk)"), "{kit}");
    // By the edges of the kit, a Blueprint needs what its release waits for.
    let graph = format!("{}flux: [./kit]\n", entry("roots: [kiosk]\n  graph: kit"));
    let by_kit = narrowed(&graph, &["kiosk"], &["ink"]).unwrap_err();
    assert!(by_kit.contains("mirror.yaml: blueprints[0] (graph: kit) → "), "{by_kit}");
}

#[test]
fn the_command_line_narrows_releases_of_a_kit_with_what_they_wait_for() {
    let of = |more: &str, include: &[&str], exclude: &[&str]| {
        let body = format!("flux: [{{path: ./kit{more}}}]\n");
        distinct(&narrowed(&body, include, exclude).unwrap_or_else(|e| panic!("{e}")))
    };
    assert_eq!(of("", &["kiosk"], &[]), ["ink:2.0.0", "kiosk:1.1.0"]);
    assert_eq!(of("", &["bp-press"], &[]), ["press:1.0.0"]);
    assert_eq!(of("", &[], &["kiosk"]), ["ink:2.0.0", "press:1.0.0"]);
    assert_eq!(of(", releases: [bp-kiosk, bp-press]", &[], &["kiosk"]), ["press:1.0.0"]);
    // The fields of the file know names without bp- too.
    assert_eq!(of(", exclude: [kiosk]", &[], &[]), ["ink:2.0.0", "press:1.0.0"]);
    // One pattern narrows every source.
    let both = format!("{}flux: [./kit]\n", entry("all: true\n  graph: depends"));
    assert_eq!(distinct(&narrowed(&both, &["ink"], &[]).unwrap()), ["ink:2.0.0"]);
}

#[test]
fn a_pattern_that_fits_nothing_is_an_error() {
    let body = format!("{}flux: [./kit]\n", entry("roots: [kiosk]\n  graph: depends"));
    let error = narrowed(&body, &["kiosk", "kisok"], &["velero"]).unwrap_err();
    assert!(error.contains("--include kisok: mirror.yaml wants no Blueprint or release"), "{error}");
    assert!(error.contains("--exclude velero: mirror.yaml has no Blueprint or release"), "{error}");
    let dependency = narrowed(&entry("roots: [kiosk]"), &["press"], &[]).unwrap_err();
    assert!(dependency.contains("--include press: mirror.yaml wants no Blueprint"), "{dependency}");
    assert!(narrowed("images: [x:1]\n", &[], &["press"]).unwrap_err().contains("--exclude press"), "");
    assert!(narrowed(&body, &["["], &[]).is_err());
}

#[test]
fn a_lock_of_a_narrowed_run_holds_exactly_what_it_wants() {
    let stage = stage("./platform", "[kiosk, ink]");
    for (name, text) in platform() {
        let path = stage.path(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }
    let resolve = |more: &[&str]| {
        let given = ["resolve", "-f", "mirror.yaml", "--plain-http"];
        stage.airlift(&given.into_iter().chain(more.iter().copied()).collect::<Vec<_>>())
    };
    resolve(&[]).expect(0).says(&["pinned 3 artifacts"]);
    let listed = resolve(&["--list", "--include", "ink"]).expect(0).stdout;
    assert!(listed.contains("bp-ink:2.0.0") && !listed.contains("kiosk"), "{listed}");
    resolve(&["--exclude", "kiosk"]).expect(0).says(&["pinned 1 artifact"]);
    let lock = std::fs::read_to_string(stage.path("airlift.lock")).unwrap();
    assert!(lock.contains("bp-ink") && !lock.contains("bp-kiosk"), "{lock}");
    resolve(&["--exclude", "press"]).expect(2).says(&["--exclude press leaves out bp-press, which is needed"]);
    resolve(&["--include", "ink", "--exclude", "kisok"]).expect(2).says(&["--exclude kisok: mirror.yaml has no"]);
    resolve(&["--include", "["]).expect(2);
    assert_eq!(std::fs::read_to_string(stage.path("airlift.lock")).unwrap(), lock);
    stage.airlift(&["resolve", "--from-kubeconfig", "--include", "ink"]).expect(2).says(&["--file"]);
}
