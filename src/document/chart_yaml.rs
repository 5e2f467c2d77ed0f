//! `Chart.yaml` of a Helm chart, as far as a registry shows it: found in a chart archive, read, and written as the
//! configuration and the annotations that `helm push` would write.
//!
//! Bounded on the way: an archive is unpacked in memory piece by piece, at most [`limits::CHART_BYTES`] of it, and
//! nothing of it is written anywhere.

use super::PaperError;
use super::form::Clerk;
use super::yaml::{self, Node, Value};
use crate::model::{Fault, FaultKind, limits};
use serde::Serialize;
use std::collections::BTreeMap;
use std::io::{self, Read};

/// Why an archive gives no chart.
#[derive(Debug, thiserror::Error)]
pub enum ChartError {
    /// Its bytes are no gzipped tar, or cannot be had.
    #[error("{place} is no chart archive: {why}")]
    Archive {
        /// Archive as named by the person.
        place: String,
        /// Reason in words.
        why: String,
    },
    /// The bytes stopped coming.
    #[error(transparent)]
    Source(#[from] Fault),
    /// `Chart.yaml` cannot be used.
    #[error(transparent)]
    Paper(#[from] PaperError),
}

/// What a chart says of itself, in the order and under the names that Helm gives the fields.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ChartYaml {
    /// Name.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub name: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    home: String,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    sources: Vec<String>,
    /// Version as written.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub version: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    description: String,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    keywords: Vec<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    maintainers: Vec<Maintainer>,
    #[serde(skip_serializing_if = "String::is_empty")]
    icon: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    api_version: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    condition: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    tags: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    app_version: String,
    #[serde(skip_serializing_if = "is_false")]
    deprecated: bool,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    annotations: BTreeMap<String, String>,
    #[serde(skip_serializing_if = "String::is_empty")]
    kube_version: String,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    dependencies: Vec<Dependency>,
    #[serde(skip_serializing_if = "String::is_empty")]
    r#type: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
struct Maintainer {
    #[serde(skip_serializing_if = "String::is_empty")]
    name: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    email: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    url: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
struct Dependency {
    name: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    version: String,
    repository: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    condition: String,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    tags: Vec<String>,
    #[serde(skip_serializing_if = "is_false")]
    enabled: bool,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    import_values: Vec<serde_json::Value>,
    #[serde(skip_serializing_if = "String::is_empty")]
    alias: String,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "the form that serde asks for")]
const fn is_false(value: &bool) -> bool {
    !*value
}

impl ChartYaml {
    /// Reads the text of a `Chart.yaml` that a person calls `place`.
    pub fn read(text: &str, place: &str) -> Result<Self, PaperError> {
        let node = yaml::document(text, place)?;
        let clerk = Clerk::new(place).reading(text);
        for name in ["name", "version"] {
            if node.get(name).and_then(Node::text).is_none_or(|text| text.trim().is_empty()) {
                clerk.note(&node, format!("the field {name:?} is missing"));
            }
        }
        clerk.finish(chart(&node))
    }

    /// Finds the `Chart.yaml` of the gzipped tar `archive` and reads it; what stands behind it is not read.
    pub fn unpack(archive: impl Read, place: &str) -> Result<Self, ChartError> {
        let broken = |error: io::Error| match error.downcast::<Fault>() {
            Ok(fault) => ChartError::Source(fault),
            Err(error) => ChartError::Archive { place: place.to_owned(), why: error.to_string() },
        };
        let unpacked = flate2::read::MultiGzDecoder::new(archive).take(limits::CHART_BYTES);
        let mut tar = tar::Archive::new(unpacked);
        for entry in tar.entries().map_err(broken)? {
            let mut entry = entry.map_err(broken)?;
            if !is_chart_yaml(&entry.path_bytes()) {
                continue;
            }
            let mut bytes = Vec::new();
            entry.by_ref().take(limits::CHART_YAML_BYTES + 1).read_to_end(&mut bytes).map_err(broken)?;
            let place = format!("{place}: Chart.yaml");
            if bytes.len() as u64 > limits::CHART_YAML_BYTES {
                let (size, limit) = (entry.size(), limits::CHART_YAML_BYTES);
                return Err(PaperError::TooLarge { place, size, limit }.into());
            }
            return Ok(Self::read(yaml::decode(&bytes, &place)?, &place)?);
        }
        let why = "there is no NAME/Chart.yaml in it".to_owned();
        Err(ChartError::Archive { place: place.to_owned(), why })
    }

    /// Returns the version as a tag can hold it: `_` for `+`.
    pub fn tag(&self) -> String {
        self.version.replace('+', "_")
    }

    /// Returns the configuration of the chart's artifact: the bytes that `helm push` writes.
    pub fn config(&self) -> Vec<u8> {
        let text = String::from_utf8(crate::model::json::canonical(self)).unwrap_or_default();
        // Go writes these characters of texts as escapes.
        let mut out = String::with_capacity(text.len());
        for c in text.chars() {
            match c {
                '<' | '>' | '&' | '\u{2028}' | '\u{2029}' => out.push_str(&format!("\\u{:04x}", u32::from(c))),
                other => out.push(other),
            }
        }
        out.into_bytes()
    }

    /// Returns the annotations of the chart's artifact: those that `helm push` writes, without the time of the push.
    pub fn oci_annotations(&self) -> BTreeMap<String, String> {
        const TITLE: &str = "org.opencontainers.image.title";
        const VERSION: &str = "org.opencontainers.image.version";
        let own = [
            ("org.opencontainers.image.description", self.description.clone()),
            (TITLE, self.name.clone()),
            (VERSION, self.version.clone()),
            ("org.opencontainers.image.url", self.home.clone()),
            ("org.opencontainers.image.source", self.sources.first().cloned().unwrap_or_default()),
            ("org.opencontainers.image.authors", self.authors()),
        ];
        let own = own.into_iter().filter(|(_, value)| !value.trim().is_empty());
        let mut all: BTreeMap<String, String> = own.map(|(key, value)| (key.to_owned(), value)).collect();
        let more = self.annotations.iter().filter(|(key, _)| ![TITLE, VERSION].contains(&key.as_str()));
        all.extend(more.map(|(key, value)| (key.clone(), value.clone())));
        all
    }

    fn authors(&self) -> String {
        let one = |maintainer: &Maintainer| match maintainer.email.as_str() {
            "" => maintainer.name.clone(),
            email => format!("{} ({email})", maintainer.name),
        };
        self.maintainers.iter().map(one).collect::<Vec<_>>().join(", ")
    }
}

/// Returns whether a path of an archive is that of the chart itself: one folder deep, whatever the folder is called.
fn is_chart_yaml(path: &[u8]) -> bool {
    let mut parts = path.split(|b| *b == b'/');
    matches!((parts.next(), parts.next(), parts.next()), (Some(folder), Some(b"Chart.yaml"), None) if !folder.is_empty() && folder != b".")
}

fn chart(node: &Node) -> ChartYaml {
    let line = |key: &str| text(node, key);
    ChartYaml {
        name: line("name"),
        home: line("home"),
        sources: texts(node, "sources"),
        version: raw(node, "version"),
        description: line("description"),
        keywords: texts(node, "keywords"),
        maintainers: items(node, "maintainers").iter().map(maintainer).collect(),
        icon: line("icon"),
        api_version: Some(raw(node, "apiVersion")).filter(|text| !text.is_empty()).unwrap_or_else(|| "v1".to_owned()),
        condition: line("condition"),
        tags: line("tags"),
        app_version: line("appVersion"),
        deprecated: truth(node, "deprecated"),
        annotations: annotations(node.get("annotations")),
        kube_version: line("kubeVersion"),
        dependencies: items(node, "dependencies").iter().map(dependency).collect(),
        r#type: raw(node, "type"),
    }
}

fn maintainer(node: &Node) -> Maintainer {
    Maintainer { name: text(node, "name"), email: text(node, "email"), url: text(node, "url") }
}

fn dependency(node: &Node) -> Dependency {
    Dependency {
        name: text(node, "name"),
        version: text(node, "version"),
        repository: text(node, "repository"),
        condition: text(node, "condition"),
        tags: texts(node, "tags"),
        enabled: truth(node, "enabled"),
        import_values: items(node, "import-values").iter().map(value).collect(),
        alias: raw(node, "alias"),
    }
}

fn annotations(node: Option<&Node>) -> BTreeMap<String, String> {
    let entries = node.into_iter().flat_map(Node::entries);
    entries.filter_map(|entry| Some((entry.key.clone(), entry.value.text()?.to_owned()))).collect()
}

fn items<'n>(node: &'n Node, key: &str) -> &'n [Node] {
    node.get(key).map_or(&[], Node::items)
}

fn raw(node: &Node, key: &str) -> String {
    node.get(key).and_then(Node::text).unwrap_or_default().to_owned()
}

/// Returns a text as Helm keeps it: one line, blanks for other white space, nothing that does not print.
fn text(node: &Node, key: &str) -> String {
    printed(&raw(node, key))
}

fn texts(node: &Node, key: &str) -> Vec<String> {
    items(node, key).iter().filter_map(Node::text).map(printed).collect()
}

fn printed(text: &str) -> String {
    let shown = text.chars().map(|c| if c.is_whitespace() { ' ' } else { c });
    shown.filter(|c| !c.is_control()).collect()
}

fn truth(node: &Node, key: &str) -> bool {
    node.get(key).and_then(Node::text) == Some("true")
}

fn value(node: &Node) -> serde_json::Value {
    match &node.value {
        Value::Null => serde_json::Value::Null,
        Value::Text { text, .. } => text.clone().into(),
        Value::List(items) => items.iter().map(value).collect(),
        Value::Map(entries) => {
            serde_json::Value::Object(entries.iter().map(|entry| (entry.key.clone(), value(&entry.value))).collect())
        }
    }
}

impl From<ChartError> for Fault {
    fn from(error: ChartError) -> Self {
        match error {
            ChartError::Source(fault) => fault,
            ChartError::Archive { place, why } => {
                Self::new(FaultKind::Malformed, place, format!("this is no chart archive: {why}"))
            }
            ChartError::Paper(error) => Self::new(FaultKind::Malformed, "Chart.yaml", error.to_string()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    const PRESS: &str = "apiVersion: v2\nname: press\nversion: 2.0.1+build.7\nappVersion: \"1.10\"\ndescription: |\n  Prints <papers> &\n  more\n\
        home: https://press.example\nsources: [https://press.example/src, b]\nkeywords: [ink]\ndeprecated: true\n\
        maintainers:\n- {name: Ada, email: ada@press.example}\n- name: Bob\n\
        annotations: {artifacthub.io/license: Apache-2.0, org.opencontainers.image.title: other}\n\
        dependencies:\n- {name: ink, version: 1.x.x, repository: 'oci://h.example/charts', condition: ink.enabled, tags: [a], import-values: [data]}\ntype: application\n";

    fn packed(files: &[(&str, &[u8])]) -> Vec<u8> {
        let mut tar = tar::Builder::new(flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast()));
        for (name, bytes) in files {
            let mut header = tar::Header::new_ustar();
            header.set_size(bytes.len() as u64);
            tar.append_data(&mut header, name, *bytes).unwrap();
        }
        let mut gzip = tar.into_inner().unwrap();
        gzip.flush().unwrap();
        gzip.finish().unwrap()
    }

    #[test]
    fn the_configuration_is_what_helm_writes() {
        let chart = ChartYaml::read(PRESS, "x").unwrap();
        let config = String::from_utf8(chart.config()).unwrap();
        assert_eq!(
            config,
            concat!(
                r#"{"name":"press","home":"https://press.example","sources":["https://press.example/src","b"],"#,
                r#""version":"2.0.1+build.7","description":"Prints \u003cpapers\u003e \u0026 more ","keywords":["ink"],"#,
                r#""maintainers":[{"name":"Ada","email":"ada@press.example"},{"name":"Bob"}],"apiVersion":"v2","#,
                r#""appVersion":"1.10","deprecated":true,"annotations":{"artifacthub.io/license":"Apache-2.0","#,
                r#""org.opencontainers.image.title":"other"},"dependencies":[{"name":"ink","version":"1.x.x","#,
                r#""repository":"oci://h.example/charts","condition":"ink.enabled","tags":["a"],"import-values":["data"]}],"#,
                r#""type":"application"}"#
            )
        );
        assert_eq!(chart.tag(), "2.0.1_build.7");
    }

    #[test]
    fn annotations_hold_no_time_and_name_and_version_are_the_charts_own() {
        let annotations = ChartYaml::read(PRESS, "x").unwrap().oci_annotations();
        let of = |key: &str| annotations[&format!("org.opencontainers.image.{key}")].as_str();
        assert_eq!((of("title"), of("version")), ("press", "2.0.1+build.7"));
        assert_eq!((of("source"), of("authors")), ("https://press.example/src", "Ada (ada@press.example), Bob"));
        assert_eq!(annotations["artifacthub.io/license"], "Apache-2.0");
        assert!(!annotations.contains_key("org.opencontainers.image.created"));
    }

    #[test]
    fn a_chart_yaml_is_found_one_folder_deep_and_nowhere_else() {
        let inner = packed(&[
            ("press/charts/ink/Chart.yaml", b"name: ink\nversion: 1.0.0\n"),
            ("press/Chart.yaml", PRESS.as_bytes()),
        ]);
        assert_eq!(ChartYaml::unpack(&inner[..], "x").unwrap().name, "press");
        let none =
            packed(&[("Chart.yaml", PRESS.as_bytes()), ("./press/x", b""), ("a/b/Chart.yaml", PRESS.as_bytes())]);
        let error = ChartYaml::unpack(&none[..], "press.tgz").unwrap_err();
        assert!(error.to_string().contains("no NAME/Chart.yaml"), "{error}");
        assert!(ChartYaml::unpack(&b"<html>not found</html>"[..], "press.tgz").is_err());
    }

    #[test]
    fn a_chart_yaml_is_read_up_to_the_limit_and_not_a_byte_further() {
        let padded = |size: u64| {
            let head = "name: press\nversion: 1.0.0\n#";
            format!("{head}{}", "x".repeat(usize::try_from(size).unwrap() - head.len()))
        };
        let read = |size| ChartYaml::unpack(&packed(&[("p/Chart.yaml", padded(size).as_bytes())])[..], "p.tgz");
        assert!(read(limits::CHART_YAML_BYTES).is_ok());
        assert!(matches!(read(limits::CHART_YAML_BYTES + 1), Err(ChartError::Paper(PaperError::TooLarge { .. }))));
    }

    #[test]
    fn an_archive_is_unpacked_up_to_the_limit_and_no_further() {
        let room = usize::try_from(limits::CHART_BYTES).unwrap();
        let chart = b"name: press\nversion: 1.0.0\n";
        // A header of 512 bytes for each file; content fills whole blocks.
        let good = vec![0; room - 512 - 512 - 512];
        assert!(ChartYaml::unpack(&packed(&[("p/a", &good), ("p/Chart.yaml", chart)])[..], "p.tgz").is_ok());
        let long = vec![0; room - 512];
        assert!(ChartYaml::unpack(&packed(&[("p/a", &long), ("p/Chart.yaml", chart)])[..], "p.tgz").is_err());
    }

    #[test]
    fn a_chart_without_name_or_version_is_none() {
        let error = ChartYaml::read("apiVersion: v2\n", "Chart.yaml").unwrap_err().to_string();
        assert!(error.contains("\"name\" is missing") && error.contains("\"version\" is missing"), "{error}");
    }
}
