//! The list of traps in `docs/traps.md`: every test that it names is there; and traps that no other file has.

use crate::discover::{folder, told, try_mirror};
use crate::stage::{Stage, multi, small};
use airlift::document::lock::Lock;
use std::path::Path;

#[test]
fn every_trap_has_a_test_of_the_name_that_the_list_gives() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let list = std::fs::read_to_string(root.join("docs/traps.md")).unwrap();
    let rows: Vec<&str> = list.lines().filter(|line| line.starts_with("| ") && line.contains("::")).collect();
    for row in &rows {
        let name = row.rsplit('`').nth(1).unwrap();
        let (file, test) = name.split_once("::").unwrap_or_else(|| panic!("{row}"));
        let path = if file.contains('/') { format!("src/{file}.rs") } else { format!("tests/it/{file}.rs") };
        let text = std::fs::read_to_string(root.join(path)).unwrap_or_else(|e| panic!("{name}: {e}"));
        let at = text.find(&format!("fn {test}()")).unwrap_or_else(|| panic!("no test {name}"));
        assert!(text[..at].trim_end().ends_with("#[test]"), "{name} is no test");
    }
    for number in 1..=24 {
        assert!(rows.iter().any(|row| row.starts_with(&format!("| T{number} |"))), "T{number} has no row");
    }
}

fn write(stage: &Stage, name: &str, text: &str) {
    let path = stage.path(name);
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(path, text).unwrap();
}

fn pods(images: &[&str]) -> String {
    let pod = |image: &&str| {
        format!(
            "apiVersion: v1\nkind: Pod\nmetadata: {{name: p}}\nspec: {{containers: [{{name: a, image: '{image}'}}]}}\n"
        )
    };
    images.iter().map(pod).collect::<Vec<_>>().join("---\n")
}

#[test]
fn a_host_that_stands_twice_is_told() {
    let folder = folder(&[("k/p.yaml", &pods(&["h.example/h.example/kiosk:1"]))]);
    let found = try_mirror(folder.path(), "kubernetes: [k]\n").unwrap();
    assert!(told(&found).contains("h.example/h.example/kiosk:1 repeats its host"), "{}", told(&found));
}

#[test]
fn an_image_of_several_charts_is_one_entry_with_all_its_reasons() {
    let stage = Stage::new();
    let (one, two) = (stage.publish("press/db", "16.3", &small(1)), stage.publish("press/db", "17.6", &small(2)));
    for (chart, images) in [("ink", &[&*one][..]), ("press", &[&*one, &*two])] {
        write(&stage, &format!("{chart}/Chart.yaml"), &format!("apiVersion: v2\nname: {chart}\nversion: 1.0.0\n"));
        write(&stage, &format!("{chart}/templates/x.yaml"), &pods(images));
    }
    write(&stage, "mirror.yaml", "apiVersion: airlift/v1alpha1\nkind: Mirror\ncharts: [{path: ink}, {path: press}]\n");
    stage.airlift(&["resolve", "-f", "mirror.yaml", "--plain-http"]).expect(0);
    let lock = Lock::read(&std::fs::read(stage.path("airlift.lock")).unwrap(), "airlift.lock").unwrap();
    let names: Vec<String> = lock.artifacts.iter().map(|artifact| artifact.source.to_string()).collect();
    assert_eq!(names, [one, two]);
    let why: Vec<&str> = lock.artifacts[0].why.iter().filter_map(|path| path.get(1)).map(String::as_str).collect();
    assert_eq!(why, ["ink 1.0.0", "press 1.0.0"]);
}

#[test]
fn what_a_container_fetches_from_elsewhere_is_told() {
    let text = "apiVersion: v1\nkind: Pod\nmetadata: {name: p}\nspec: {containers: [{name: a, image: 'h.example/a:1', args: ['--model', \
                'https://models.example/m.gguf'], env: [{name: RULES, value: 'https://rules.example/index.yaml'}]}]}\n---\napiVersion: \
                serving.kserve.io/v1beta1\nkind: InferenceService\nmetadata: {name: m}\nspec: {predictor: {model: {storageUri: 'hf://org/model'}}}\n";
    let folder = folder(&[("k/p.yaml", text)]);
    let found = try_mirror(folder.path(), "kubernetes: [k]\n").unwrap();
    let said = told(&found);
    assert!(said.contains("hf://org/model is fetched by the operator and is NOT included"), "{said}");
    for address in ["https://models.example/m.gguf", "https://rules.example/index.yaml"] {
        assert!(said.contains(&format!("{address} is fetched by what runs here; it stands in no registry")), "{said}");
    }
}

#[test]
fn an_index_that_is_pinned_by_digest_is_not_cut() {
    let stage = Stage::new();
    let sample = multi(1);
    let name = stage.publish("press/kiosk", "1", &sample);
    let pinned = format!("{}@{}", name.trim_end_matches(":1"), sample.digest());
    write(
        &stage,
        "mirror.yaml",
        &format!(
            "apiVersion: airlift/v1alpha1\nkind: Mirror\nimages: ['{pinned}']\nplatforms: {{only: linux/amd64, digest: single}}\n"
        ),
    );
    let ran = stage.airlift(&["resolve", "-f", "mirror.yaml", "--plain-http"]).expect(2);
    assert!(ran.stderr.contains("is pinned by the digest of an index"), "{}", ran.stderr);
}
