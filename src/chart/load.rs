//! A chart as Helm sees it: what each of its files is, with the charts below `charts/`.

use super::archive::{self, Files, Room};
use super::metadata::{ChartKind, Dependency, Metadata};
use super::values::{self, ValuesError};
use super::version::in_range;
use super::{enabled, folder};
use crate::document::yaml;
use crate::model::limits;
use serde_json::{Map, Value};
use std::collections::BTreeMap;
use std::io::Read;
use std::path::Path;
use std::sync::Arc;

/// Why a chart cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum ChartError {
    /// A file or folder cannot be read.
    #[error("cannot read {place}: {cause}")]
    Read {
        /// Path as the person called it.
        place: String,
        /// What the system said.
        cause: std::io::Error,
    },
    /// The bytes are no gzipped tar archive.
    #[error("{place} is no archive of a chart: {why}")]
    Archive {
        /// Archive as the person called it.
        place: String,
        /// Reason in words.
        why: String,
    },
    /// A member is not taken.
    #[error("{place}: {member} {why}")]
    Member {
        /// Archive or folder as the person called it.
        place: String,
        /// Path in the chart.
        member: String,
        /// Reason in words.
        why: String,
    },
    /// It has no `Chart.yaml`.
    #[error("{place} has no Chart.yaml, so it is no chart")]
    NoChart {
        /// Archive or folder as the person called it.
        place: String,
    },
    /// `Chart.yaml` or `requirements.yaml` cannot be used.
    #[error("{place}: {file} {why}")]
    Metadata {
        /// Archive or folder as the person called it.
        place: String,
        /// Which file.
        file: &'static str,
        /// Reason in words.
        why: String,
    },
    /// A YAML file does not parse.
    #[error(transparent)]
    Values(#[from] ValuesError),
    /// Charts within charts end nowhere.
    #[error("{place}: charts within charts are more than {} deep", limits::CHART_NESTING)]
    TooDeep {
        /// Archive or folder as the person called it.
        place: String,
    },
}

/// A Helm chart with the charts below it.
#[derive(Debug, Clone)]
pub struct Chart {
    /// What `Chart.yaml` says.
    pub metadata: Metadata,
    /// The charts under `charts/`, whether they are switched on or not, in the order of their file names.
    pub dependencies: Vec<Chart>,
    place: String,
    values: Value,
    files: Arc<Files>,
}

impl Chart {
    /// Reads an archive (`.tgz`), as it stands in a layer of an OCI artifact or in an HTTP repository. `place` is
    /// what errors call it. Entries, sizes and depth are bounded; links and paths that lead outside are errors.
    pub fn from_archive(bytes: impl Read, place: &str) -> Result<Self, ChartError> {
        let mut room = Room::default();
        Self::from_files(archive::read(bytes, place, &mut room)?, place, Inside { depth: 0, room: &mut room })
    }

    /// Reads the chart in `folder`, with its `.helmignore`, and what is under `charts/`: archives, folders, nested.
    pub fn from_folder(folder: &Path) -> Result<Self, ChartError> {
        let place = folder.display().to_string();
        let mut room = Room::default();
        Self::from_files(folder::read(folder, &mut room)?, &place, Inside { depth: 0, room: &mut room })
    }

    /// Takes a chart's files as they are, for the fuzz targets.
    pub(super) fn of_files(files: Files) -> Result<Self, ChartError> {
        let mut room = Room::default();
        Self::from_files(files, "memory", Inside { depth: 0, room: &mut room })
    }

    fn from_files(mut files: Files, place: &str, inside: Inside<'_>) -> Result<Self, ChartError> {
        if inside.depth > limits::CHART_NESTING {
            return Err(ChartError::TooDeep { place: place.to_owned() });
        }
        let below = take_charts(&mut files);
        let metadata = read_metadata(&files, place)?;
        let values = match files.get("values.yaml") {
            Some(bytes) => values::load_values(&String::from_utf8_lossy(bytes), &format!("{place}/values.yaml"))?,
            None => Value::Object(Map::new()),
        };
        let mut dependencies = Vec::new();
        for (name, content) in below {
            let inside = Inside { depth: inside.depth + 1, room: &mut *inside.room };
            dependencies.push(subchart(&name, content, &format!("{place}/charts/{name}"), inside)?);
        }
        Ok(Self { metadata, dependencies, place: place.to_owned(), values, files: Arc::new(files) })
    }

    /// Returns what errors call this chart: the archive or folder that it was read from.
    pub fn place(&self) -> &str {
        &self.place
    }

    /// Returns the chart's own values (`values.yaml`), an object.
    pub const fn values(&self) -> &Value {
        &self.values
    }

    /// Returns every file of the chart by its path, in the order of the paths, for a scan; those of the charts below
    /// `charts/` belong to [`Chart::dependencies`].
    pub fn files(&self) -> impl Iterator<Item = (&str, &[u8])> {
        self.files.iter().map(|(path, content)| (path.as_str(), content.as_slice()))
    }

    /// Returns the file at `path` below the chart's folder.
    pub fn file(&self, path: &str) -> Option<&[u8]> {
        self.files.get(path).map(Vec::as_slice)
    }

    /// Returns the dependencies that `Chart.yaml` declares, that are switched on by the chart's own values, and that
    /// are not under `charts/`: without them a render gives too little. Charts further down are asked as well.
    pub fn missing_dependencies(&self) -> Vec<Dependency> {
        self.missing_dependencies_with(&[])
    }

    /// As [`Chart::missing_dependencies`], with `values` laid over the chart's own.
    pub fn missing_dependencies_with(&self, values: &[Value]) -> Vec<Dependency> {
        enabled::missing(self, &values::together(values))
    }

    /// Returns whether a dependency is under `charts/`.
    pub(super) fn holds(&self, dependency: &Dependency) -> bool {
        self.dependencies.iter().any(|chart| chart.answers(dependency))
    }

    /// Returns whether this chart is what `dependency` asks for.
    pub(super) fn answers(&self, dependency: &Dependency) -> bool {
        self.metadata.name == dependency.name && in_range(&dependency.version, &self.metadata.version)
    }

    /// Returns whether the chart only lends templates.
    pub(super) fn is_library(&self) -> bool {
        self.metadata.kind == ChartKind::Library
    }

    /// Replaces the chart's own values.
    pub(super) fn set_values(&mut self, values: Map<String, Value>) {
        self.values = Value::Object(values);
    }

    /// Returns the templates by their path.
    pub(super) fn templates(&self) -> impl Iterator<Item = (&str, &[u8])> {
        self.files().filter(|(path, _)| path.starts_with("templates/"))
    }

    /// Returns the files of `crds/` that are Kubernetes documents.
    pub(super) fn crds(&self) -> impl Iterator<Item = (&str, &[u8])> {
        let document = |path: &str| {
            let ending = path.rsplit_once('.').map_or("", |(_, ending)| ending);
            ["yaml", "yml", "json"].iter().any(|known| ending.eq_ignore_ascii_case(known))
        };
        self.files().filter(move |(path, _)| path.starts_with("crds/") && document(path))
    }

    /// Returns the files that a template can ask for.
    pub(super) fn free_files(&self) -> impl Iterator<Item = (&str, &[u8])> {
        let older = self.metadata.api_version == "v1";
        self.files().filter(move |(path, _)| match *path {
            "Chart.yaml" | "Chart.lock" | "values.yaml" | "values.schema.json" => false,
            "requirements.yaml" | "requirements.lock" => older,
            path => !path.starts_with("templates/"),
        })
    }
}

/// Takes what is under `charts/` out of the files: archives and folders by their name.
fn take_charts(files: &mut Files) -> BTreeMap<String, Files> {
    let mut below: BTreeMap<String, Files> = BTreeMap::new();
    let taken: Vec<String> = files.keys().filter(|path| path.starts_with("charts/")).cloned().collect();
    for path in taken {
        let Some(content) = files.remove(&path) else { continue };
        let inner = path.trim_start_matches("charts/");
        let name = inner.split('/').next().unwrap_or(inner);
        // What Helm takes for no chart: signatures, hidden files and folders.
        if !path.ends_with(".prov") && !name.starts_with(['_', '.']) {
            below.entry(name.to_owned()).or_default().insert(inner.to_owned(), content);
        }
    }
    below
}

/// Where a chart stands among the charts around it.
struct Inside<'r> {
    depth: usize,
    room: &'r mut Room,
}

fn subchart(name: &str, content: Files, place: &str, inside: Inside<'_>) -> Result<Chart, ChartError> {
    if name.ends_with(".tgz") {
        let Some(archive) = content.get(name) else {
            return Err(archive::refused(place, name, "is a folder, and named like an archive"));
        };
        let files = archive::read(archive.as_slice(), place, inside.room)?;
        return Chart::from_files(files, place, inside);
    }
    let below = |(path, content): (String, Vec<u8>)| Some((path.split_once('/')?.1.to_owned(), content));
    let files: Files = content.into_iter().filter_map(below).collect();
    Chart::from_files(files, place, inside)
}

fn read_metadata(files: &Files, place: &str) -> Result<Metadata, ChartError> {
    let read = |file: &'static str| -> Result<Option<Value>, ChartError> {
        let Some(bytes) = files.get(file) else { return Ok(None) };
        let shown = format!("{place}/{file}");
        let text = yaml::decode(bytes, &shown).map_err(ValuesError::from)?;
        Ok(Some(values::any(text, &shown)?))
    };
    let wrong = |file: &'static str, why: String| ChartError::Metadata { place: place.to_owned(), file, why };
    let chart = read("Chart.yaml")?.ok_or_else(|| ChartError::NoChart { place: place.to_owned() })?;
    let mut metadata = Metadata::read(&chart).map_err(|why| wrong("Chart.yaml", why))?;
    if let Some(older) = read("requirements.yaml")? {
        metadata.take_requirements(&older).map_err(|why| wrong("requirements.yaml", why))?;
    }
    Ok(metadata)
}
