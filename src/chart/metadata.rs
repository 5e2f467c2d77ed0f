//! `Chart.yaml`: who a chart is and what it depends on. Read as Helm does: unknown fields are passed over, and a
//! number where a text is meant becomes one.

use super::version::Version;
use serde_json::{Map, Value};
use std::collections::BTreeMap;

/// What `Chart.yaml` says, the older `requirements.yaml` taken in.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Metadata {
    /// Version of the form: `v1` (Helm 2) or `v2`.
    pub api_version: String,
    /// Name of the chart; the alias, where a dependency gives it one and the chart is being rendered.
    pub name: String,
    /// Version of the chart, spelled as it stands.
    pub version: String,
    /// Version of what the chart installs; empty where nothing is said.
    pub app_version: String,
    /// What kind of chart it is.
    pub kind: ChartKind,
    /// One sentence.
    pub description: String,
    /// Range of Kubernetes versions that the chart asks for; empty where nothing is said.
    pub kube_version: String,
    /// Home page.
    pub home: String,
    /// Address of a picture.
    pub icon: String,
    /// Addresses of sources.
    pub sources: Vec<String>,
    /// Words to find it by.
    pub keywords: Vec<String>,
    /// People: name, email, url.
    pub maintainers: Vec<BTreeMap<String, String>>,
    /// Whether its authors gave it up.
    pub deprecated: bool,
    /// Free annotations, such as `artifacthub.io/images`.
    pub annotations: BTreeMap<String, String>,
    /// Charts that it needs, in the order of the file.
    pub dependencies: Vec<Dependency>,
}

/// Kind of a chart.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum ChartKind {
    /// Installs something.
    #[default]
    Application,
    /// Only lends named templates to others; gives no documents.
    Library,
}

/// A chart that another needs.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Dependency {
    /// Name of the chart.
    pub name: String,
    /// Exact version or range, spelled as it stands; empty takes any.
    pub version: String,
    /// Address of the repository: `https://…`, `oci://…`, `file://…`, `@name`; empty where the chart is under `charts/`.
    pub repository: String,
    /// Name under which the values of the parent speak to it; empty where its own name is used.
    pub alias: String,
    /// Paths in the values, parted by commas: the first that holds a truth value decides whether the chart counts.
    pub condition: String,
    /// Tags that switch it on or off where no condition decides.
    pub tags: Vec<String>,
    /// Values of it that its parent takes over.
    pub import_values: Vec<ImportValues>,
}

/// Values of a dependency that its parent takes over.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ImportValues {
    /// Path in the values of the dependency.
    pub child: String,
    /// Path in the values of the parent; `.` is the top.
    pub parent: String,
}

impl Dependency {
    /// Returns the name under which the parent's values speak to this dependency.
    pub fn key(&self) -> &str {
        if self.alias.is_empty() { &self.name } else { &self.alias }
    }
}

impl Metadata {
    /// Reads `Chart.yaml` from the values that stand in it; says why it cannot be one.
    pub(super) fn read(value: &Value) -> Result<Self, String> {
        let Value::Object(map) = value else { return Err("is no mapping".to_owned()) };
        let text = |key: &str| sanitized(map, key);
        let kind = match text("type").as_str() {
            "" | "application" => ChartKind::Application,
            "library" => ChartKind::Library,
            other => return Err(format!("type is {other:?}, expected application or library")),
        };
        let version = text("version");
        let api_version = Some(text("apiVersion")).filter(|text| !text.is_empty()).unwrap_or_else(|| "v1".to_owned());
        let metadata = Self {
            api_version,
            name: text("name"),
            version,
            app_version: text("appVersion"),
            kind,
            description: text("description"),
            kube_version: text("kubeVersion"),
            home: text("home"),
            icon: text("icon"),
            sources: texts(map, "sources"),
            keywords: texts(map, "keywords"),
            maintainers: items(map, "maintainers").iter().map(string_map).collect(),
            deprecated: map.get("deprecated").and_then(Value::as_bool).unwrap_or_default(),
            annotations: map.get("annotations").map(string_map).unwrap_or_default(),
            dependencies: dependencies(map)?,
        };
        metadata.check()?;
        Ok(metadata)
    }

    /// Takes in the dependencies of a `requirements.yaml`, which Helm 2 used.
    pub(super) fn take_requirements(&mut self, value: &Value) -> Result<(), String> {
        if let Value::Object(map) = value
            && map.contains_key("dependencies")
        {
            self.dependencies = dependencies(map)?;
        }
        Ok(())
    }

    fn check(&self) -> Result<(), String> {
        if self.name.is_empty() {
            return Err("has no name".to_owned());
        }
        if matches!(self.name.as_str(), "." | "..") || self.name.contains(['/', '\\']) {
            return Err(format!("the name {:?} is none for a chart", self.name));
        }
        if self.version.is_empty() {
            return Err("has no version".to_owned());
        }
        if Version::parse(&self.version).is_none() {
            return Err(format!("the version {:?} is no semantic version", self.version));
        }
        Ok(())
    }
}

fn dependencies(map: &Map<String, Value>) -> Result<Vec<Dependency>, String> {
    let read = items(map, "dependencies").iter().map(dependency).collect::<Result<Vec<_>, _>>()?;
    for (at, dependency) in read.iter().enumerate() {
        if read[..at].iter().any(|other| other.key() == dependency.key()) {
            return Err(format!("more than one dependency with name or alias {:?}", dependency.key()));
        }
    }
    Ok(read)
}

fn dependency(value: &Value) -> Result<Dependency, String> {
    let Value::Object(map) = value else { return Err("a dependency is no mapping".to_owned()) };
    let text = |key: &str| sanitized(map, key);
    let alias = text("alias");
    if !alias.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '-')) {
        return Err(format!("the alias {alias:?} has other signs than letters, digits, _ and -"));
    }
    Ok(Dependency {
        name: text("name"),
        version: text("version"),
        repository: text("repository"),
        alias,
        condition: text("condition"),
        tags: texts(map, "tags"),
        import_values: items(map, "import-values").iter().filter_map(import).collect(),
    })
}

fn import(value: &Value) -> Option<ImportValues> {
    match value {
        Value::String(name) => Some(ImportValues { child: format!("exports.{name}"), parent: ".".to_owned() }),
        Value::Object(map) => Some(ImportValues { child: sanitized(map, "child"), parent: sanitized(map, "parent") }),
        _ => None,
    }
}

fn items<'v>(map: &'v Map<String, Value>, key: &str) -> &'v [Value] {
    map.get(key).and_then(Value::as_array).map_or(&[], Vec::as_slice)
}

fn texts(map: &Map<String, Value>, key: &str) -> Vec<String> {
    items(map, key).iter().map(text_of).collect()
}

fn string_map(value: &Value) -> BTreeMap<String, String> {
    let entries = value.as_object().into_iter().flatten();
    entries.map(|(key, value)| (key.clone(), text_of(value))).collect()
}

/// Returns a field as text on one line, without signs that cannot be shown.
fn sanitized(map: &Map<String, Value>, key: &str) -> String {
    let text = map.get(key).map(text_of).unwrap_or_default();
    let blank = text.chars().map(|c| if c.is_whitespace() { ' ' } else { c });
    blank.filter(|c| !c.is_control()).collect()
}

/// Returns a scalar as Helm's reader turns it into a text.
fn text_of(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Bool(truth) => truth.to_string(),
        Value::Number(number) => number.to_string(),
        _ => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn numbers_where_texts_are_meant_become_texts() {
        let read =
            Metadata::read(&json!({"name": "x", "version": "1.0.0", "appVersion": 1.1, "annotations": {"a": true}}));
        let read = read.unwrap();
        assert_eq!((read.app_version.as_str(), read.annotations["a"].as_str()), ("1.1", "true"));
    }

    #[test]
    fn what_cannot_be_a_chart_is_said_in_words() {
        let wrong = [
            (json!({"version": "1.0.0"}), "has no name"),
            (json!({"name": "a/b", "version": "1.0.0"}), "a/b"),
            (json!({"name": "a"}), "has no version"),
            (json!({"name": "a", "version": "one"}), "one"),
            (json!({"name": "a", "version": "1.0.0", "type": "plugin"}), "plugin"),
            (json!({"name": "a", "version": "1.0.0", "dependencies": [{"name": "b"}, {"name": "b"}]}), "more than one"),
            (json!({"name": "a", "version": "1.0.0", "dependencies": [{"name": "b", "alias": "../x"}]}), "alias"),
        ];
        for (value, words) in wrong {
            assert!(Metadata::read(&value).unwrap_err().contains(words), "{value}");
        }
    }
}
