//! What operators name under keys of their own: an example for the kinds of the table, and what a mirror file adds.

use crate::discover::{fails_in, folder, names, told, try_mirror};
use airlift::discover::Discovery;
use airlift::document::lock::Role;

/// Kind with its group and version, spec, and what it names; references without their tag are in `n.example`.
const EXAMPLES: &[(&str, &str, &str, &[&str])] = &[
    ("postgresql.cnpg.io/v1", "Cluster", "{imageName: 'n.example/pg:16.3'}", &["n.example/pg:16.3"]),
    (
        "postgresql.cnpg.io/v1",
        "ImageCatalog",
        "{images: [{major: 16, image: 'n.example/pg:16'}, {major: 17, image: 'n.example/pg:17'}]}",
        &["n.example/pg:16", "n.example/pg:17"],
    ),
    (
        "acid.zalan.do/v1",
        "postgresql",
        "{dockerImage: 'n.example/spilo:3', sidecars: [{name: s, image: 'n.example/side:1'}]}",
        &["n.example/side:1", "n.example/spilo:3"],
    ),
    (
        "postgres-operator.crunchydata.com/v1beta1",
        "PostgresCluster",
        "{image: 'n.example/pg:1', backups: {pgbackrest: {image: 'n.example/back:1'}}, proxy: {pgBouncer: {image: 'n.example/bounce:1'}}}",
        &["n.example/back:1", "n.example/bounce:1", "n.example/pg:1"],
    ),
    (
        "psmdb.percona.com/v1",
        "PerconaServerMongoDB",
        "{image: 'n.example/mongo:7', backup: {image: 'n.example/back:2'}}",
        &["n.example/back:2", "n.example/mongo:7"],
    ),
    ("k8s.mariadb.com/v1alpha1", "MariaDB", "{image: 'n.example/maria:11'}", &["n.example/maria:11"]),
    (
        "redis.redis.opstreelabs.in/v1beta2",
        "Redis",
        "{kubernetesConfig: {image: 'n.example/redis:7'}, redisExporter: {image: 'n.example/exp:1'}}",
        &["n.example/exp:1", "n.example/redis:7"],
    ),
    (
        "databases.spotahome.com/v1",
        "RedisFailover",
        "{redis: {image: 'n.example/redis:6'}, sentinel: {image: 'n.example/sent:6'}}",
        &["n.example/redis:6", "n.example/sent:6"],
    ),
    (
        "scylla.scylladb.com/v1",
        "ScyllaCluster",
        "{repository: n.example/scylla, version: 6.0.0, agentRepository: n.example/agent, agentVersion: 3.2.0}",
        &["n.example/agent:3.2.0", "n.example/scylla:6.0.0"],
    ),
    (
        "cassandra.datastax.com/v1beta1",
        "CassandraDatacenter",
        "{serverImage: 'n.example/cass:4'}",
        &["n.example/cass:4"],
    ),
    (
        "pingcap.com/v1alpha1",
        "TidbCluster",
        "{pd: {baseImage: n.example/pd, version: v8}, tikv: {baseImage: n.example/kv, version: v8}}",
        &["n.example/kv:v8", "n.example/pd:v8"],
    ),
    ("rabbitmq.com/v1beta1", "RabbitmqCluster", "{image: 'n.example/rabbit:4'}", &["n.example/rabbit:4"]),
    (
        "kafka.strimzi.io/v1beta2",
        "Kafka",
        "{kafka: {image: 'n.example/kafka:3'}, entityOperator: {topicOperator: {image: 'n.example/topic:1'}}}",
        &["n.example/kafka:3", "n.example/topic:1"],
    ),
    ("kafka.strimzi.io/v1beta2", "KafkaConnect", "{image: 'n.example/connect:3'}", &["n.example/connect:3"]),
    (
        "elasticsearch.k8s.elastic.co/v1",
        "Elasticsearch",
        "{version: 8.15.0}",
        &["docker.elastic.co/elasticsearch/elasticsearch:8.15.0"],
    ),
    (
        "beat.k8s.elastic.co/v1beta1",
        "Beat",
        "{type: filebeat, version: 8.15.0}",
        &["docker.elastic.co/beats/filebeat:8.15.0"],
    ),
    (
        "logstash.k8s.elastic.co/v1alpha1",
        "Logstash",
        "{version: 8.15.0, image: 'n.example/stash:1'}",
        &["n.example/stash:1"],
    ),
    (
        "opensearch.opster.io/v1",
        "OpenSearchCluster",
        "{general: {image: 'n.example/os:2'}, dashboards: {image: 'n.example/dash:2'}}",
        &["n.example/dash:2", "n.example/os:2"],
    ),
    ("minio.min.io/v2", "Tenant", "{image: 'n.example/minio:2025'}", &["n.example/minio:2025"]),
    ("ceph.rook.io/v1", "CephCluster", "{cephVersion: {image: 'n.example/ceph:v19'}}", &["n.example/ceph:v19"]),
    (
        "monitoring.coreos.com/v1",
        "Prometheus",
        "{image: 'n.example/prom:v3', thanos: {image: 'n.example/thanos:1'}}",
        &["n.example/prom:v3", "n.example/thanos:1"],
    ),
    ("monitoring.coreos.com/v1", "Alertmanager", "{image: 'n.example/am:1'}", &["n.example/am:1"]),
    ("monitoring.coreos.com/v1", "ThanosRuler", "{image: 'n.example/ruler:1'}", &["n.example/ruler:1"]),
    (
        "opentelemetry.io/v1beta1",
        "OpenTelemetryCollector",
        "{image: 'n.example/otel:1', targetAllocator: {image: 'n.example/ta:1'}}",
        &["n.example/otel:1", "n.example/ta:1"],
    ),
    (
        "opentelemetry.io/v1alpha1",
        "Instrumentation",
        "{java: {image: 'n.example/java:1'}, python: {image: 'n.example/py:1'}}",
        &["n.example/java:1", "n.example/py:1"],
    ),
    (
        "tempo.grafana.com/v1alpha1",
        "TempoStack",
        "{images: {tempo: 'n.example/tempo:2', tempoQuery: 'n.example/query:2'}}",
        &["n.example/query:2", "n.example/tempo:2"],
    ),
    ("jaegertracing.io/v1", "Jaeger", "{allInOne: {image: 'n.example/jaeger:1'}}", &["n.example/jaeger:1"]),
    (
        "operator.victoriametrics.com/v1beta1",
        "VMSingle",
        "{image: {repository: n.example/vm, tag: v1}}",
        &["n.example/vm:v1"],
    ),
    (
        "operator.victoriametrics.com/v1beta1",
        "VMCluster",
        "{vmselect: {image: {repository: n.example/sel, tag: v1}}, vmstorage: {image: {repository: n.example/sto, tag: v1}}}",
        &["n.example/sel:v1", "n.example/sto:v1"],
    ),
    ("fluentbit.fluent.io/v1alpha2", "FluentBit", "{image: 'n.example/bit:3'}", &["n.example/bit:3"]),
    ("k8s.keycloak.org/v2alpha1", "Keycloak", "{image: 'n.example/kc:26'}", &["n.example/kc:26"]),
    (
        "vault.banzaicloud.com/v1alpha1",
        "Vault",
        "{image: 'n.example/vault:1', bankVaultsImage: 'n.example/bank:1'}",
        &["n.example/bank:1", "n.example/vault:1"],
    ),
    (
        "operator.knative.dev/v1beta1",
        "KnativeServing",
        "{registry: {override: {activator: 'n.example/act:1', queue-proxy: 'n.example/queue:1'}}}",
        &["n.example/act:1", "n.example/queue:1"],
    ),
    ("caching.internal.knative.dev/v1alpha1", "Image", "{image: 'n.example/queue:2'}", &["n.example/queue:2"]),
    (
        "serving.kserve.io/v1alpha1",
        "ClusterStorageContainer",
        "{container: {name: c, image: 'n.example/init:1'}}",
        &["n.example/init:1"],
    ),
    (
        "serving.kserve.io/v1beta1",
        "InferenceService",
        "{predictor: {model: {storageUri: 'oci://n.example/model:1'}}}",
        &["n.example/model:1"],
    ),
    (
        "sparkoperator.k8s.io/v1beta2",
        "SparkApplication",
        "{image: 'n.example/spark:3', driver: {image: 'n.example/drv:3'}}",
        &["n.example/drv:3", "n.example/spark:3"],
    ),
    ("flink.apache.org/v1beta1", "FlinkDeployment", "{image: 'n.example/flink:1'}", &["n.example/flink:1"]),
    (
        "argoproj.io/v1beta1",
        "ArgoCD",
        "{image: n.example/cd, version: v2, redis: {image: n.example/redis, version: '7'}}",
        &["n.example/cd:v2", "n.example/redis:7"],
    ),
    (
        "gateway.envoyproxy.io/v1alpha1",
        "EnvoyProxy",
        "{provider: {kubernetes: {envoyDeployment: {container: {image: 'n.example/envoy:1'}}}}}",
        &["n.example/envoy:1"],
    ),
    ("nfd.k8s-sigs.io/v1", "NodeFeatureDiscovery", "{operand: {image: 'n.example/nfd:1'}}", &["n.example/nfd:1"]),
    (
        "nvidia.com/v1",
        "ClusterPolicy",
        "{driver: {repository: n.example/nvidia, image: driver, version: '550'}}",
        &["n.example/nvidia/driver:550"],
    ),
    (
        "kubevirt.io/v1",
        "VirtualMachine",
        "{template: {spec: {volumes: [{name: d, containerDisk: {image: 'n.example/disk:1'}}]}}}",
        &["n.example/disk:1"],
    ),
    ("operators.coreos.com/v1alpha1", "CatalogSource", "{image: 'n.example/catalog:1'}", &["n.example/catalog:1"]),
    (
        "upgrade.cattle.io/v1",
        "Plan",
        "{version: v1.31.4-k3s1, upgrade: {image: n.example/k3s-upgrade}}",
        &["n.example/k3s-upgrade:v1.31.4-k3s1"],
    ),
    ("policies.kubewarden.io/v1", "PolicyServer", "{image: 'n.example/server:1'}", &["n.example/server:1"]),
];

fn object(api: &str, kind: &str, spec: &str) -> String {
    format!("apiVersion: {api}\nkind: {kind}\nmetadata: {{name: x}}\nspec: {spec}\n")
}

fn look(text: &str, more: &str) -> Discovery {
    let folder = folder(&[("o.yaml", text)]);
    try_mirror(folder.path(), &format!("kubernetes: [o.yaml]\n{more}")).unwrap_or_else(|e| panic!("{text}: {e}"))
}

#[test]
fn every_kind_of_the_table_gives_what_its_operator_starts() {
    for (api, kind, spec, wanted) in EXAMPLES {
        let discovery = look(&object(api, kind, spec), "");
        let mut found = names(&discovery);
        found.sort();
        found.dedup();
        assert_eq!(found, *wanted, "{kind}");
        assert!(discovery.undecided.is_empty(), "{kind}: {:?}", discovery.undecided);
        assert!(!told(&discovery).contains("its operator chooses"), "{kind}: {}", told(&discovery));
    }
}

#[test]
fn artifacts_of_operators_are_no_images() {
    for (api, kind, spec, wanted) in [
        ("extensions.istio.io/v1alpha1", "WasmPlugin", "{url: 'oci://n.example/waf:1'}", "n.example/waf:1"),
        (
            "policies.kubewarden.io/v1",
            "ClusterAdmissionPolicy",
            "{module: 'registry://n.example/policy:1'}",
            "n.example/policy:1",
        ),
        (
            "source.toolkit.fluxcd.io/v1",
            "OCIRepository",
            "{url: 'oci://n.example/manifests', ref: {tag: v1}}",
            "n.example/manifests:v1",
        ),
    ] {
        let discovery = look(&object(api, kind, spec), "");
        assert_eq!(names(&discovery), [wanted]);
        assert_eq!(discovery.found[0].role, Role::Artifact, "{kind}");
    }
    let web = look(&object("extensions.istio.io/v1alpha1", "WasmPlugin", "{url: 'https://n.example/waf.wasm'}"), "");
    assert!(names(&web).is_empty());
    assert!(
        told(&web).contains("https://n.example/waf.wasm is fetched by the operator and is NOT included"),
        "{}",
        told(&web)
    );
}

#[test]
fn what_an_operator_chooses_by_itself_is_told_until_somebody_names_it() {
    let cluster = object("postgresql.cnpg.io/v1", "Cluster", "{instances: 3}");
    let said = told(&look(&cluster, ""));
    assert!(
        said.contains("o.yaml:1 Cluster/x: its operator chooses the default image of PostgreSQL: NOT included"),
        "{said}"
    );
    assert!(said.contains("set spec.imageName, or name the images under extraImages with for: Cluster/x"), "{said}");
    let settled = look(&cluster, "extraImages: [{ref: 'n.example/pg:17', for: Cluster/x}]\n");
    assert!(!told(&settled).contains("its operator chooses"), "{}", told(&settled));
    let catalogue = object("postgresql.cnpg.io/v1", "Cluster", "{imageCatalogRef: {name: c, major: 16}}");
    assert!(!told(&look(&catalogue, "")).contains("its operator chooses"));
    let grafana = object(
        "grafana.integreatly.org/v1beta1",
        "Grafana",
        "{deployment: {spec: {template: {spec: {containers: [{image: 'n.example/g:1'}]}}}}}",
    );
    assert!(!told(&look(&grafana, "")).contains("its operator chooses"));
}

#[test]
fn a_mirror_file_adds_fields_without_code() {
    let thing = object(
        "press.example/v1",
        "Kiosk",
        "{stands: [{picture: kiosk}, {picture: 'n.example/b:2'}], plate: {host: n.example, name: org/press, edition: '3'}, rules: 'oci://n.example/rules:4'}",
    );
    let fields = "imageFields:\n- {group: press.example, kind: Kiosk, path: 'spec.stands[*].picture'}\n\
                  - {apiVersion: press.example/v1, kind: Kiosk, at: spec.plate, registryPath: host, repositoryPath: name, tagPath: edition}\n\
                  - {group: press.example, kind: Kiosk, path: spec.rules, role: artifact, strip: 'oci://'}\n\
                  - {apiVersion: press.example/v2, kind: Kiosk, path: spec.plate.name}\n";
    let discovery = look(&thing, fields);
    assert_eq!(
        names(&discovery),
        ["docker.io/library/kiosk", "n.example/b:2", "n.example/org/press:3", "n.example/rules:4"]
    );
    assert_eq!(discovery.found[3].role, Role::Artifact);
    assert_eq!(discovery.found[0].why[1], "o.yaml:4 Kiosk/x spec.stands[0].picture");
}

#[test]
fn fields_that_cannot_be_meant_are_refused_with_their_line() {
    let files = folder(&[("o.yaml", &object("v1", "ConfigMap", "{}"))]);
    for (field, said) in [
        ("{group: x.example, path: spec.a}", "the field \"kind\" is missing"),
        ("{kind: X, path: spec.a}", "exactly one of group and apiVersion is expected"),
        ("{group: x.example, apiVersion: x.example/v1, kind: X, path: spec.a}", "exactly one of group and apiVersion"),
        ("{group: x.example, kind: X}", "exactly one of path and repositoryPath is expected"),
        (
            "{group: x.example, kind: X, path: spec.a, tagPath: spec.b}",
            "tagPath belongs to repositoryPath, not to path",
        ),
        ("{group: x.example, kind: X, path: spec.a, role: chart}", "none of: image, artifact"),
        ("{group: x.example, kind: X, pth: spec.a}", "unknown field \"pth\"; did you mean \"path\"?"),
        ("{group: x.example, kind: X, path: 'spec..a'}", "imageFields: \"spec..a\" has an empty part"),
        ("{group: x.example, kind: X, path: '{.spec.a}'}", "is no key"),
    ] {
        let error = fails_in(&files, &format!("kubernetes: [o.yaml]\nimageFields: [{field}]\n"));
        assert!(error.contains("mirror.yaml:4") && error.contains(said), "{field}: {error}");
    }
}

#[test]
fn a_broken_reference_in_a_known_field_is_an_error_with_its_place() {
    let files = folder(&[("o.yaml", &object("postgresql.cnpg.io/v1", "Cluster", "{imageName: 'press//pg:1'}"))]);
    let error = fails_in(&files, "kubernetes: [o.yaml]\n");
    assert!(error.contains("o.yaml:4 Cluster/x spec.imageName: \"press//pg:1\" is no image reference"), "{error}");
    let open = folder(&[("o.yaml", &object("postgresql.cnpg.io/v1", "Cluster", "{imageName: '${REGISTRY}/pg:1'}"))]);
    assert!(fails_in(&open, "kubernetes: [o.yaml]\n").contains("has the placeholder ${REGISTRY}"));
}
