//! What a cluster is told about a mirror, as the program writes it, and that nodes would find there what they ask for.

use crate::stage::{Stage, small};
use airlift::document::yaml;
use airlift::model::port::ImageSource;
use airlift::model::{Reference, Repository};
use airlift::testkit::files::FileServer;

/// A stage with a lock of three images and a chart of a file, imported under a prefix.
fn imported() -> (Stage, FileServer) {
    let (stage, files) = (Stage::new(), FileServer::start());
    let names = [("team/one", 1), ("team/two", 2), ("base", 3)];
    let images: Vec<String> = names.iter().map(|(path, seed)| stage.publish(path, "1", &small(*seed))).collect();
    files.put("/x.bin", b"content");
    let text = format!(
        "apiVersion: airlift/v1alpha1\nkind: Mirror\nimages: [\"{}\"]\nartifacts: [{{file: \"{}\", sha256: {}}}]\n\
         destinations: [{{match: '**/team/two', project: other, strip: team}}]\n",
        images.join("\", \""),
        files.url("/x.bin"),
        airlift::model::Digest::of(b"content").hex()
    );
    std::fs::write(stage.path("mirror.yaml"), text).unwrap();
    stage.airlift(&["resolve", "-f", "mirror.yaml", "--plain-http"]).expect(0);
    let to = format!("{}/site", stage.enclave.host());
    let arguments = ["sync", "--lock", "airlift.lock", "--to", &to, "--allow-unsigned", "**", "--plain-http"];
    stage.airlift(&arguments).expect(0);
    (stage, files)
}

fn to(stage: &Stage) -> String {
    format!("{}/site", stage.enclave.host())
}

/// Returns whether a node that asks `root` for `path` finds it: `root` is an address with what stands in front of paths.
fn finds(stage: &Stage, root: &str, path: &str) -> bool {
    let rest = root.strip_prefix("http://").unwrap();
    let (host, front) = rest.split_once("/v2/").unwrap_or((rest, ""));
    let path = if front.is_empty() { path.to_owned() } else { format!("{front}/{path}") };
    let at = Repository::new(host, &path).unwrap();
    stage.remote.head(&at, &Reference::Tag("1".parse().unwrap())).unwrap().is_some()
}

#[test]
fn containerd_finds_in_the_mirror_what_is_expressed_and_the_rest_is_told() {
    let (stage, _files) = imported();
    let ran =
        stage.airlift(&["generate", "--to", &to(&stage), "--plain-http", "--dir", "node", "containerd"]).expect(0);
    ran.says(&["need rewritten references", "team/two is "]);
    let host = stage.upstream.host().replace(':', "_");
    let text = std::fs::read_to_string(stage.path(&format!("node/certs.d/{host}_/hosts.toml"))).unwrap();
    let server = text.lines().find_map(|line| line.strip_prefix("server = \"")?.strip_suffix('"')).unwrap();
    assert!(finds(&stage, server, "team/one") && finds(&stage, server, "base"), "{text}");
    assert!(!finds(&stage, server, "team/two"), "what is told not to work does not");
    assert!(text.contains("override_path = true"));
    assert_eq!(
        std::fs::read_dir(stage.path("node/certs.d")).unwrap().count(),
        1,
        "nobody pulls from a server of files"
    );
}

#[test]
fn k3s_rewrites_every_path_to_where_it_stands() {
    let (stage, _files) = imported();
    let ran = stage.airlift(&["generate", "k3s", "--to", &to(&stage), "--plain-http"]);
    assert_eq!(ran.code, 2, "what belongs to all kinds stands in front of the kind");
    let ran = stage.airlift(&["generate", "--to", &to(&stage), "k3s", "--plain-http"]).expect(0);
    let node = yaml::document(&ran.stdout, "registries.yaml").unwrap();
    let mirror = node.at(&["mirrors", &stage.upstream.host()]).unwrap();
    let endpoint = mirror.get("endpoint").unwrap().items()[0].text().unwrap().to_owned();
    let rewrites = mirror.get("rewrite").unwrap().entries();
    for path in ["team/one", "team/two", "base"] {
        let fits: Vec<&str> =
            rewrites.iter().filter(|entry| entry.key == format!("^{path}$")).filter_map(|e| e.value.text()).collect();
        assert_eq!(fits.len(), 1, "{path}");
        assert!(finds(&stage, &endpoint, fits[0]), "{path}");
    }
}

#[test]
fn references_lead_to_what_was_imported() {
    let (stage, files) = imported();
    stage
        .airlift(&["generate", "--to", &to(&stage), "references", "--dir", "out"])
        .expect(0)
        .says(&["references.json"]);
    let text = std::fs::read_to_string(stage.path("out/references.json")).unwrap();
    let table: serde_json::Value = serde_json::from_str(&text).unwrap();
    let rows = table["references"].as_array().unwrap();
    assert_eq!(rows.len(), 4);
    assert!(rows.iter().any(|row| row["source"] == files.url("/x.bin").as_str()));
    for row in rows {
        let new: airlift::model::ImageRef = row["destination"].as_str().unwrap().parse().unwrap();
        assert!(stage.remote.head(&new.repository, &new.reference()).unwrap().is_some(), "{new}");
        let tag = Reference::Tag(new.tag.unwrap());
        assert!(stage.remote.head(&new.repository, &tag).unwrap().is_some());
    }
    let yaml = yaml::document(&std::fs::read_to_string(stage.path("out/references.yaml")).unwrap(), "x").unwrap();
    assert_eq!(yaml.get("references").unwrap().items().len(), 4);
}

#[test]
fn kustomize_and_flux_say_what_there_is_none_of() {
    let (stage, _files) = imported();
    let ran = stage.airlift(&["generate", "--to", &to(&stage), "kustomize"]).expect(0);
    let node = yaml::document(&ran.stdout, "kustomization.yaml").unwrap();
    assert_eq!(node.get("kind").unwrap().text(), Some("Component"));
    assert_eq!(node.get("images").unwrap().items().len(), 3);
    stage.airlift(&["generate", "--to", &to(&stage), "flux"]).expect(0).says(&["there is no chart in the lock"]);
    stage.airlift(&["generate", "--to", "host/UPPER", "flux"]).expect(2);
    stage.airlift(&["generate", "--to", "h.example", "--lock", "none.lock", "flux"]).expect(2).says(&["none.lock"]);
}
