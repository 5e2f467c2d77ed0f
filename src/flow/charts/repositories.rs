//! Which chart is meant: the highest version that a range holds, in a registry or a Helm repository.
//!
//! Each list of tags and each index is asked for once in a run, however many charts and dependencies come from it.

use crate::chart::{Constraint, Version};
use crate::discover::ChartPlace;
use crate::discover::files::Named;
use crate::discover::helm_index::{self, IndexEntry};
use crate::document::made::{MadeForm, MadeWish};
use crate::document::mirror::derived_chart;
use crate::model::port::Source;
use crate::model::{Fault, FaultKind, FileUrl, ImageRef, Repository, Tag, limits};
use std::collections::BTreeMap;
use std::io::Read;
use std::sync::{Arc, Mutex, PoisonError};

/// Versions that an error names.
const NAMED: usize = 8;

/// One chart, where it can be had.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Exact {
    /// An artifact in a registry.
    Artifact(ImageRef),
    /// An archive, which becomes an artifact.
    File {
        /// Name of the artifact.
        source: ImageRef,
        /// What it is made of.
        made: MadeWish,
    },
    /// Folder or archive on this machine.
    Path(Named),
}

/// What is known of one place; asked for by the first who needs it, while others wait.
type Once<T> = Arc<Mutex<Option<Arc<T>>>>;

/// Registries and Helm repositories, each asked once.
pub struct Repositories<'a> {
    source: &'a dyn Source,
    tags: Mutex<BTreeMap<Repository, Once<Vec<Tag>>>>,
    indexes: Mutex<BTreeMap<String, Once<String>>>,
}

impl<'a> Repositories<'a> {
    /// Asks `source`.
    pub fn new(source: &'a dyn Source) -> Self {
        Self { source, tags: Mutex::default(), indexes: Mutex::default() }
    }

    /// Returns the chart that `place` means; nothing where it means tags, among which [`super::super::choose`] chooses.
    pub fn exact(&self, place: &ChartPlace) -> Result<Option<Exact>, Fault> {
        match place {
            ChartPlace::Artifact(reference) => Ok(Some(Exact::Artifact(reference.clone()))),
            ChartPlace::Path(named) => Ok(Some(Exact::Path(named.clone()))),
            ChartPlace::File { source, made } => Ok(Some(Exact::File { source: source.clone(), made: made.clone() })),
            ChartPlace::Oci { repository, version } => self.in_registry(repository, version.as_deref()).map(Some),
            ChartPlace::Http { repository, name, version } => {
                self.in_index(repository, name, version.as_deref().unwrap_or_default()).map(Some)
            }
            ChartPlace::Tags { .. } => Ok(None),
        }
    }

    /// Returns the highest version in a registry that `range` holds. An exact version is taken at its word.
    fn in_registry(&self, repository: &Repository, range: Option<&str>) -> Result<Exact, Fault> {
        let named = |version: &str| {
            let tag = version.replace('+', "_").parse().map_err(|error| {
                Fault::new(FaultKind::Malformed, repository.to_string(), format!("{version:?} is no tag: {error}"))
            })?;
            Ok(Exact::Artifact(ImageRef { repository: repository.clone(), tag: Some(tag), digest: None }))
        };
        let range = range.unwrap_or_default();
        if is_exact(range) {
            return named(range);
        }
        let tags = self.tags(repository)?;
        let versions: Vec<String> = tags.iter().map(|tag| tag.as_str().replace('_', "+")).collect();
        let highest = highest(versions.iter().map(String::as_str), range, &repository.to_string())?;
        named(highest)
    }

    /// Returns the highest version of a chart in a Helm repository that `range` holds.
    fn in_index(&self, repository: &str, chart: &str, range: &str) -> Result<Exact, Fault> {
        let place = format!("{repository}/index.yaml");
        let text = self.index(repository, &place)?;
        let malformed = |why: String| Fault::new(FaultKind::Malformed, &place, why);
        let entries = helm_index::versions(&text, chart, &place).map_err(malformed)?;
        if entries.is_empty() {
            return Err(Fault::new(FaultKind::Missing, &place, format!("it lists no chart {chart:?}")));
        }
        let versions = entries.iter().map(|entry| entry.version.as_str());
        let version = highest(versions, range, &format!("{repository} {chart}"))?;
        let entry = entries.iter().find(|entry| entry.version == version);
        let Some(entry) = entry else { return Err(malformed(format!("{version} is gone"))) };
        located(repository, chart, entry).map_err(malformed)
    }

    fn tags(&self, at: &Repository) -> Result<Arc<Vec<Tag>>, Fault> {
        once(&self.tags, at, || self.source.tags(at))
    }

    fn index(&self, repository: &str, place: &str) -> Result<Arc<String>, Fault> {
        once(&self.indexes, &repository.to_owned(), || {
            let url: FileUrl =
                place.parse().map_err(|e| Fault::new(FaultKind::Malformed, repository, format!("{e}")))?;
            let content = self.source.file(&url, None, 0)?.content;
            let mut text = String::new();
            let read = content.take(limits::PAPER_BYTES + 1).read_to_string(&mut text);
            read.map_err(|error| Fault::from_io(error, place, "ended early"))?;
            if text.len() as u64 > limits::PAPER_BYTES {
                let what = format!("it has more than {} bytes", limits::PAPER_BYTES);
                return Err(Fault::new(FaultKind::TooLarge, place, what));
            }
            Ok(text)
        })
    }
}

/// Returns what is known under `key`, or asks for it; others who need the same wait, others do not.
fn once<K: Ord + Clone, T>(
    known: &Mutex<BTreeMap<K, Once<T>>>,
    key: &K,
    ask: impl FnOnce() -> Result<T, Fault>,
) -> Result<Arc<T>, Fault> {
    let slot = Arc::clone(known.lock().unwrap_or_else(PoisonError::into_inner).entry(key.clone()).or_default());
    let mut slot = slot.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(found) = &*slot {
        return Ok(Arc::clone(found));
    }
    let found = Arc::new(ask()?);
    *slot = Some(Arc::clone(&found));
    Ok(found)
}

/// Returns whether a range is one version in full.
fn is_exact(range: &str) -> bool {
    let numbers = range.strip_prefix('v').unwrap_or(range).split(['-', '+']).next().unwrap_or_default();
    numbers.split('.').count() == 3
        && numbers.split('.').all(|part| !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit()))
}

/// Returns the highest of `versions` that `range` holds; an empty range holds all that are no pre-release.
fn highest<'v>(versions: impl Iterator<Item = &'v str>, range: &str, place: &str) -> Result<&'v str, Fault> {
    let wanted = if range.is_empty() { "*" } else { range };
    let constraint = Constraint::parse(wanted)
        .ok_or_else(|| Fault::new(FaultKind::Malformed, place, format!("{range:?} is no range of versions")))?;
    let mut known: Vec<(Version, &str)> = versions.filter_map(|text| Some((Version::parse(text)?, text))).collect();
    known.sort_by(|a, b| b.0.compare(&a.0).then_with(|| a.1.cmp(b.1)));
    let exact = is_exact(range).then(|| known.iter().find(|(_, text)| *text == range)).flatten();
    let found = exact.or_else(|| known.iter().find(|(version, _)| constraint.holds(version)));
    let names: Vec<&str> = known.iter().map(|(_, text)| *text).collect();
    found.map(|(_, text)| *text).ok_or_else(|| none(place, &format!("version {wanted}"), &names))
}

fn none(place: &str, wanted: &str, there: &[&str]) -> Fault {
    let what = match there.len() {
        0 => format!("nothing fits {wanted}: there is no version at all"),
        n if n <= NAMED => format!("nothing fits {wanted}; there are {}", there.join(", ")),
        n => format!("nothing fits {wanted}; there are {n} versions, among them {}", there[..NAMED].join(", ")),
    };
    Fault::new(FaultKind::Missing, place, what)
}

/// Returns where an entry of an index leads: to an archive, or into a registry.
fn located(repository: &str, chart: &str, entry: &IndexEntry) -> Result<Exact, String> {
    if let Some(name) = entry.url.strip_prefix("oci://") {
        let named = if name.rsplit('/').next().is_some_and(|last| last.contains([':', '@'])) {
            name.to_owned()
        } else {
            format!("{name}:{}", entry.version.replace('+', "_"))
        };
        return named.parse().map(Exact::Artifact).map_err(|error| error.to_string());
    }
    let url: FileUrl = absolute(repository, &entry.url).parse().map_err(|error| format!("{error}"))?;
    let archive = format!("{repository}/{chart}-{}.tgz", entry.version);
    let name = archive.parse().ok().and_then(|url| derived_chart(&url)).filter(|name| is_named(name, chart));
    let Some(source) = name else {
        return Err(format!("no name of an artifact can be made of {chart} {}", entry.version));
    };
    Ok(Exact::File { source, made: MadeWish { form: MadeForm::Chart, url, digest: entry.digest.clone() } })
}

fn is_named(name: &ImageRef, chart: &str) -> bool {
    name.repository.path().rsplit('/').next() == Some(chart.to_ascii_lowercase().as_str())
}

/// Returns the address of an archive, which may be relative to the folder of the index.
fn absolute(repository: &str, url: &str) -> String {
    if url.contains("://") {
        return url.to_owned();
    }
    match url.strip_prefix('/') {
        Some(path) => {
            let host = repository.splitn(4, '/').take(3).collect::<Vec<_>>().join("/");
            format!("{host}/{path}")
        }
        None => format!("{repository}/{}", url.strip_prefix("./").unwrap_or(url)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn best<'v>(versions: &[&'v str], range: &str) -> Result<&'v str, String> {
        highest(versions.iter().copied(), range, "press").map_err(|fault| fault.what)
    }

    #[test]
    fn the_highest_version_that_fits_is_taken_as_it_is_spelled() {
        let versions = ["1.0.0", "v1.16.2", "1.9.0", "2.0.0-rc.1", "latest"];
        assert_eq!(best(&versions, "^1").unwrap(), "v1.16.2");
        assert_eq!(best(&versions, "").unwrap(), "v1.16.2");
        assert_eq!(best(&versions, "1.9.x").unwrap(), "1.9.0");
        assert_eq!(best(&versions, "2.0.0-rc.1").unwrap(), "2.0.0-rc.1");
        assert_eq!(
            best(&versions, "^3").unwrap_err(),
            "nothing fits version ^3; there are 2.0.0-rc.1, v1.16.2, 1.9.0, 1.0.0"
        );
        assert!(best(&versions, "newest").unwrap_err().contains("no range"));
        assert!(best(&[], "").unwrap_err().contains("no version at all"));
    }

    #[test]
    fn addresses_in_an_index_may_be_relative() {
        let at = |url| absolute("https://h.example/charts", url);
        assert_eq!(at("x.tgz"), "https://h.example/charts/x.tgz");
        assert_eq!(at("./a/x.tgz"), "https://h.example/charts/a/x.tgz");
        assert_eq!(at("/x.tgz"), "https://h.example/x.tgz");
        assert_eq!(at("https://o.example/x.tgz"), "https://o.example/x.tgz");
    }

    #[test]
    fn an_entry_leads_to_an_archive_or_into_a_registry() {
        let entry = |url: &str| IndexEntry { version: "2.0.1+b".into(), url: url.into(), digest: None };
        let Ok(Exact::File { source, made }) = located("https://h.example/c", "press", &entry("press-2.0.1+b.tgz"))
        else {
            panic!()
        };
        assert_eq!(source.to_string(), "h.example/c/press:2.0.1_b");
        assert_eq!(made.url.as_str(), "https://h.example/c/press-2.0.1+b.tgz");
        for (url, name) in [
            ("oci://r.example/c/press", "r.example/c/press:2.0.1_b"),
            ("oci://r.example:5000/c/press:2", "r.example:5000/c/press:2"),
        ] {
            assert_eq!(located("https://h.example", "press", &entry(url)), Ok(Exact::Artifact(name.parse().unwrap())));
        }
    }
}
