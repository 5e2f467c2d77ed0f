//! Choosing among the tags of a repository, against registries that list, refuse to list, and hold artifacts of any type.

use crate::stage::{Ran, Stage};
use airlift::document::lock::Lock;
use airlift::model::{MediaType, Reference, limits};
use airlift::serve::{Answer, Faults, Rule};
use airlift::testkit::image::{Sample, SampleBlob, SampleImage};

const CREATED: &str = "org.opencontainers.image.created";

/// Resolves one repository with the fields given.
fn resolve(stage: &Stage, fields: &str) -> Ran {
    let repository = stage.at("team/app");
    let text = format!(
        "apiVersion: airlift/v1alpha1\nkind: Mirror\nimages:\n- repository: \"{repository}\"\n  {}\n",
        fields.replace("; ", "\n  ")
    );
    std::fs::write(stage.path("mirror.yaml"), text).unwrap();
    drop(std::fs::remove_file(stage.path("airlift.lock")));
    stage.airlift(&["resolve", "-f", "mirror.yaml", "--plain-http", "--retries", "0"])
}

fn tags(stage: &Stage) -> String {
    let lock = Lock::read(&std::fs::read(stage.path("airlift.lock")).unwrap(), "airlift.lock").unwrap();
    let tags = lock.artifacts.iter().filter_map(|artifact| artifact.source.tag.as_ref().map(ToString::to_string));
    tags.collect::<Vec<_>>().join(" ")
}

/// Returns how many requests the upstream has had.
fn requests(stage: &Stage) -> usize {
    stage.upstream.exchanges().len()
}

fn publish(stage: &Stage, versions: &str) {
    for (seed, tag) in versions.split(' ').enumerate() {
        stage.publish("team/app", tag, &SampleImage::new(seed as u64).layer(100).build());
    }
}

#[test]
fn tags_are_chosen_by_everything_that_is_said() {
    let stage = Stage::new();
    publish(&stage, "2.1.0 2.0.3 2.0.2 1.9.9 1.9.8 1.9.9-debug v1.8.0 latest nightly-7");
    for (fields, chosen) in [
        ("semver: ^1", "1.9.9 1.9.8 v1.8.0"),
        ("newest: {count: 1, per: minor}", "2.1.0 2.0.3 1.9.9 v1.8.0"),
        ("newest: {count: 2, per: major}", "2.1.0 2.0.3 1.9.9 1.9.8"),
        ("regex: 'v?1\\.[89]\\.\\d+(-debug)?'; except: '*-debug'", "1.9.9 1.9.8 v1.8.0"),
        ("regex: '(latest|nightly-\\d)'", "latest nightly-7"),
        ("tags: ['2.*', latest]; newest: 2", "latest 2.1.0 2.0.3"),
        ("newest: 1; except: ['2.1.0']", "2.0.3"),
    ] {
        resolve(&stage, fields).expect(0);
        assert_eq!(tags(&stage), chosen, "{fields}");
    }
}

#[test]
fn what_nothing_satisfies_is_told_with_the_versions_that_exist() {
    let stage = Stage::new();
    publish(&stage, "1.9.0 1.10.0 1.2.0 latest");
    resolve(&stage, "semver: ^3").expect(20).says(&["no tag matches semver ^3; it has 1.10.0, 1.9.0, 1.2.0, latest"]);
    resolve(&stage, "regex: 'x('").expect(2).says(&["mirror.yaml:4: \"x(\" is no pattern", "unclosed group"]);
}

#[test]
fn a_registry_that_does_not_list_is_told_with_what_to_do() {
    let stage = Stage::new();
    publish(&stage, "1.0.0");
    stage.upstream.set_faults(&Faults::none().with(Rule::on("GET", "/v2/*/tags/list*").answer(Answer::new(403))));
    resolve(&stage, "semver: ^1").expect(20).says(&["HTTP 403", "name the tags one by one"]);
    resolve(&stage, "tags: [1.0.0]").expect(0);
}

#[test]
fn the_date_is_that_of_the_annotation_or_of_the_configuration() {
    let stage = Stage::new();
    let config = |created: &str| {
        let text = format!(r#"{{"architecture":"amd64","os":"linux","created":"{created}"}}"#);
        SampleImage::new(9).config(MediaType::OCI_CONFIG, text.into_bytes())
    };
    let old = config("2025-12-31T23:59:59Z").build();
    let new = config("2026-01-01T00:00:00Z").build();
    stage.publish("team/app", "1.0.0", &old);
    stage.publish("team/app", "1.1.0", &new);
    stage.publish("team/app", "1.2.0", &SampleImage::new(3).annotation(CREATED, "2026-05-05T10:00:00Z").build());
    stage.publish("team/app", "1.3.0", &Sample::index(&[config("2026-02-02T00:00:00Z").build()]));
    stage.publish("team/app", "1.4.0", &SampleImage::new(4).annotation(CREATED, "2020-01-01T00:00:00Z").build());
    resolve(&stage, "since: 2026-01-01").expect(0);
    assert_eq!(tags(&stage), "1.3.0 1.2.0 1.1.0");
    resolve(&stage, "since: 2026-01-01; newest: 1").expect(0);
    assert_eq!(tags(&stage), "1.3.0", "what is too old does not count as the newest");
    stage.publish("team/app", "0.1.0", &config("1970-01-01T00:00:00Z").build());
    resolve(&stage, "since: 2026-01-01").expect(20).says(&[
        "team/app:0.1.0",
        "says nowhere when it was made",
        "except",
    ]);
    resolve(&stage, "since: 2026-01-01; except: 0.1.0").expect(0);
}

#[test]
fn dates_are_looked_up_for_so_many_tags_and_no_more() {
    let stage = Stage::new();
    let image = SampleImage::new(1).annotation(CREATED, "2026-05-05T10:00:00Z").build();
    for n in 0..=limits::DATED_TAGS {
        image.push(&stage.remote, &stage.at("team/app"), Some(&format!("1.0.{n}").parse().unwrap())).unwrap();
    }
    resolve(&stage, "since: 2026-01-01").expect(40).says(&["501 tags", "the limit is 500", "choose fewer"]);
    resolve(&stage, "since: 2026-01-01; except: 1.0.0").expect(0);
    assert_eq!(tags(&stage).split(' ').count(), limits::DATED_TAGS);
}

#[test]
fn a_date_costs_three_requests_for_a_tag_at_most() {
    let stage = Stage::new();
    let config = br#"{"created":"2026-02-02T00:00:00Z"}"#.to_vec();
    let child = SampleImage::new(1).config(MediaType::OCI_CONFIG, config).build();
    stage.publish("team/app", "1.0.0", &Sample::index(&[child]));
    stage.upstream.record();
    let before = requests(&stage);
    resolve(&stage, "since: 2026-01-01").expect(0);
    let asked = requests(&stage) - before;
    // One for the list, three for the date, one for the pin; one to knock at the door.
    assert!(asked <= 6, "{asked}");
}

#[test]
fn artifacts_of_any_type_are_carried_to_the_byte() {
    let stage = Stage::new();
    let empty = SampleBlob::new(MediaType::OCI_EMPTY, b"{}".to_vec());
    let odd = |seed: u64, kind: &str, layer: &str| {
        SampleImage::new(seed)
            .artifact(kind)
            .config(MediaType::OCI_EMPTY, empty.bytes.clone())
            .blob(layer, vec![7; 1000])
    };
    let trivy =
        odd(1, "application/vnd.aquasec.trivy.config.v1+json", "application/vnd.aquasec.trivy.db.layer.v1.tar+gzip");
    let wasm = odd(2, "application/vnd.wasm.config.v0+json", "application/wasm");
    let mut model = odd(3, "application/vnd.example.model; v=1", "application/x.gguf");
    for seed in 0..200 {
        model = model.shared_layer(seed, 50);
    }
    let samples = [("db", trivy.build()), ("wasm", wasm.build()), ("model", model.build())];
    let references: Vec<String> =
        samples.iter().map(|(name, sample)| stage.publish("odd/things", name, sample)).collect();
    let text = format!("apiVersion: airlift/v1alpha1\nkind: Mirror\nartifacts: [\"{}\"]\n", references.join("\", \""));
    std::fs::write(stage.path("mirror.yaml"), text).unwrap();
    let arguments =
        ["pack", "-f", "mirror.yaml", "-o", "b", "--allow-unsigned", "**", "--plain-http", "--sign-key", "author.key"];
    stage.airlift(&arguments).expect(0);
    stage.import("b.airlift", &[]).expect(0);
    for (name, sample) in &samples {
        let tag = Reference::Tag(name.parse().unwrap());
        stage.assert_arrived("odd/things", &tag, &sample.descriptor().digest);
    }
}
