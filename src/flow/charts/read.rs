//! From a pinned chart to its files: the archive is fetched within limits, checked, and read; dependencies that are not
//! in it are fetched from where they are declared.

use super::repositories::{Exact, Repositories};
use crate::chart::{Chart, Dependency, Version, in_range, load_values};
use crate::discover::ChartPlace;
use crate::model::port::Source;
use crate::model::{
    Descriptor, Digest, Fault, FaultKind, FileUrl, ImageDocument, ImageRef, MediaType, Reference, limits,
};
use std::io::Read;
use std::path::Path;

/// Rounds of fetching what is missing: dependencies of dependencies.
const ROUNDS: usize = limits::CHART_NESTING;

/// What a chart's archive is, once it is known.
pub enum Archive<'p> {
    /// Layer of an artifact in a registry.
    Artifact {
        /// Name of the artifact.
        source: &'p ImageRef,
        /// Its digest.
        digest: &'p Digest,
    },
    /// File by its address.
    File {
        /// Address.
        url: &'p FileUrl,
        /// Digest, where it is known.
        digest: Option<&'p Digest>,
    },
    /// Folder or archive on this machine.
    Path {
        /// What a person calls it.
        shown: &'p str,
        /// Where it is.
        path: &'p Path,
    },
}

/// Why a chart cannot be read.
#[derive(Debug)]
pub enum Unread {
    /// It cannot be had.
    Fault(Fault),
    /// It is none, or something of it is not there.
    Chart(String),
}

impl From<Fault> for Unread {
    fn from(fault: Fault) -> Self {
        Self::Fault(fault)
    }
}

/// Reads a chart.
pub fn chart(archive: &Archive<'_>, source: &dyn Source) -> Result<Chart, Unread> {
    let parse = |bytes: Vec<u8>, place: &str| {
        Chart::from_archive(bytes.as_slice(), place).map_err(|error| Unread::Chart(error.to_string()))
    };
    match archive {
        Archive::Artifact { source: name, digest } => {
            parse(layer(name, &Reference::Digest((*digest).clone()), source)?, &name.to_string())
        }
        Archive::File { url, digest } => parse(file(url, *digest, source)?, url.as_str()),
        Archive::Path { path, .. } if path.is_dir() => {
            Chart::from_folder(path).map_err(|error| Unread::Chart(error.to_string()))
        }
        Archive::Path { shown, path } => {
            let failed = |error| Unread::Chart(format!("cannot read {shown}: {error}"));
            let file = std::fs::File::open(path).map_err(failed)?;
            parse(bounded(file, shown)?, shown)
        }
    }
}

/// Fetches the layer that holds a chart's archive.
fn layer(name: &ImageRef, reference: &Reference, source: &dyn Source) -> Result<Vec<u8>, Unread> {
    let at = &name.repository;
    let document = source.manifest(at, reference)?;
    let parsed = ImageDocument::parse(&document.bytes, &document.descriptor.media_type);
    let parsed = parsed.map_err(|error| Unread::Chart(error.to_string()))?;
    let layer = match &parsed {
        ImageDocument::Image(manifest) => {
            manifest.layers.iter().find(|l| l.media_type.as_str() == MediaType::HELM_CHART)
        }
        ImageDocument::Index(_) => None,
    };
    let Some(layer) = layer else {
        return Err(Unread::Chart("it is no Helm chart: it has no layer with a chart's archive".to_owned()));
    };
    Ok(blob(name, layer, source)?)
}

fn blob(name: &ImageRef, layer: &Descriptor, source: &dyn Source) -> Result<Vec<u8>, Fault> {
    let place = format!("{}@{}", name.repository, layer.digest);
    let bytes = bounded(source.open(&name.repository, layer, 0)?, &place)?;
    checked(bytes, Some(&layer.digest), &place)
}

fn file(url: &FileUrl, digest: Option<&Digest>, source: &dyn Source) -> Result<Vec<u8>, Fault> {
    let opened = match digest {
        Some(digest) => source.pinned(url, digest, None, 0)?,
        None => source.file(url, None, 0)?,
    };
    let bytes = bounded(opened.content, url.as_str())?;
    checked(bytes, digest, url.as_str())
}

fn bounded(content: impl Read, place: &str) -> Result<Vec<u8>, Fault> {
    let mut bytes = Vec::new();
    let read = content.take(limits::CHART_ARCHIVE_BYTES + 1).read_to_end(&mut bytes);
    read.map_err(|error| Fault::from_io(error, place, "ended early"))?;
    if bytes.len() as u64 > limits::CHART_ARCHIVE_BYTES {
        let what = format!("the archive of a chart has more than {} bytes", limits::CHART_ARCHIVE_BYTES);
        return Err(Fault::new(FaultKind::TooLarge, place, what));
    }
    Ok(bytes)
}

fn checked(bytes: Vec<u8>, digest: Option<&Digest>, place: &str) -> Result<Vec<u8>, Fault> {
    match digest {
        Some(digest) if Digest::of_with(digest.algorithm(), &bytes) != *digest => {
            let what = format!("expected {digest}, received {} bytes of something else", bytes.len());
            Err(Fault::new(FaultKind::Damaged, place, what))
        }
        _ => Ok(bytes),
    }
}

/// Fetches what is switched on with `values` and not in the archive, until nothing is missing. Returns what was fetched.
pub fn complete(
    chart: &mut Chart,
    values: &[serde_json::Value],
    repositories: &Repositories<'_>,
    source: &dyn Source,
) -> Result<Vec<String>, Unread> {
    let mut fetched = Vec::new();
    for _ in 0..ROUNDS {
        let missing = chart.missing_dependencies_with(values);
        if missing.is_empty() {
            break;
        }
        for dependency in missing {
            let below = fetch(chart, &dependency, repositories, source).map_err(|why| lacking(&dependency, why))?;
            fetched.push(format!("{} {}", below.metadata.name, below.metadata.version));
            put(chart, &dependency, &below);
        }
    }
    Ok(fetched)
}

fn lacking(dependency: &Dependency, why: Unread) -> Unread {
    let named = format!("{} {}", dependency.name, dependency.version);
    match why {
        Unread::Fault(fault) => {
            let what = format!("the chart needs {named}, which is not in its archive: {}", fault.what);
            Unread::Fault(Fault { what, ..fault })
        }
        Unread::Chart(why) => Unread::Chart(format!("it needs {named}, which is not in its archive: {why}")),
    }
}

fn fetch(
    chart: &Chart,
    dependency: &Dependency,
    repositories: &Repositories<'_>,
    source: &dyn Source,
) -> Result<Chart, Unread> {
    let place = declared(chart, dependency).map_err(Unread::Chart)?;
    match repositories.exact(&place)? {
        Some(Exact::Artifact(name)) => {
            let bytes = layer(&name, &name.reference(), source)?;
            Chart::from_archive(bytes.as_slice(), &name.to_string()).map_err(|error| Unread::Chart(error.to_string()))
        }
        Some(Exact::File { made, .. }) => {
            self::chart(&Archive::File { url: &made.url, digest: made.digest.as_ref() }, source)
        }
        _ => Err(Unread::Chart("its place is none that can be asked".to_owned())),
    }
}

/// Returns where a dependency is declared to be; the version is that of the chart's lock, where it has one.
fn declared(chart: &Chart, dependency: &Dependency) -> Result<ChartPlace, String> {
    let version = Some(locked(chart, dependency).unwrap_or_else(|| dependency.version.clone()));
    let repository = dependency.repository.trim_end_matches('/');
    if let Some(host) = repository.strip_prefix("oci://") {
        let text = format!("{host}/{}", dependency.name);
        let reference: ImageRef = text.parse().map_err(|error| format!("{error}"))?;
        return Ok(ChartPlace::Oci { repository: reference.repository, version });
    }
    if repository.starts_with("https://") || repository.starts_with("http://") {
        let (repository, name) = (repository.to_owned(), dependency.name.clone());
        return Ok(ChartPlace::Http { repository, name, version });
    }
    Err(match repository {
        "" => "its place is not declared; it belongs under charts/".to_owned(),
        other => format!("its place {other:?} means something on the author's machine only; put it under charts/"),
    })
}

/// Returns the version that `Chart.lock` pins.
fn locked(chart: &Chart, dependency: &Dependency) -> Option<String> {
    let text = ["Chart.lock", "requirements.lock"].iter().find_map(|name| chart.file(name))?;
    let lock = load_values(std::str::from_utf8(text).ok()?, "Chart.lock").ok()?;
    let entries = lock.get("dependencies")?.as_array()?;
    let version = |entry: &serde_json::Value| entry.get("version")?.as_str().map(str::to_owned);
    let own = entries.iter().find(|entry| entry.get("name").and_then(|name| name.as_str()) == Some(&dependency.name));
    own.and_then(version).filter(|version| Version::parse(version).is_some() && in_range(&dependency.version, version))
}

/// Puts a chart under every chart that declares it and lacks it.
fn put(chart: &mut Chart, dependency: &Dependency, below: &Chart) {
    let has = chart.dependencies.iter().any(|child| {
        child.metadata.name == below.metadata.name && in_range(&dependency.version, &child.metadata.version)
    });
    if !has && chart.metadata.dependencies.contains(dependency) {
        chart.dependencies.push(below.clone());
    }
    for child in &mut chart.dependencies {
        put(child, dependency, below);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_archive_is_read_up_to_the_limit_and_checked() {
        let room = limits::CHART_ARCHIVE_BYTES;
        assert_eq!(bounded(std::io::repeat(7).take(room), "x").unwrap().len() as u64, room);
        let fault = bounded(std::io::repeat(7).take(room + 1), "x").unwrap_err();
        assert_eq!(fault.kind, FaultKind::TooLarge);
        let digest = Digest::of(b"chart");
        assert!(checked(b"chart".to_vec(), Some(&digest), "x").is_ok());
        assert_eq!(checked(b"other".to_vec(), Some(&digest), "x").unwrap_err().kind, FaultKind::Damaged);
    }
}
