//! Which tags a selection takes, once a registry has listed what there is; and when a tag was made, where that matters.

use super::context::Context;
use super::error::{FlowError, ItemFault};
use super::pool;
use crate::discover::{Found, TagSelection, Want};
use crate::document::date::Moment;
use crate::model::port::Source;
use crate::model::{Fault, FaultKind, ImageDocument, Reference, Repository, Tag, limits};
use serde::Deserialize;
use std::collections::{BTreeMap, BTreeSet};
use std::io::Read;

/// Says when an artifact was made (OCI image specification, "Pre-Defined Annotation Keys").
const CREATED: &str = "org.opencontainers.image.created";
/// Largest configuration that is read for its date, in bytes.
const CONFIG_BYTES: u64 = 1 << 20;

/// Returns every wish with the tag that was chosen for it, where it chooses among tags. Lists each repository once.
pub fn choose<'f>(
    found: &'f [Found],
    source: &dyn Source,
    context: &Context<'_>,
) -> Result<Vec<(&'f Found, Option<Tag>)>, FlowError> {
    let lists = list(found, source, context)?;
    let (mut wishes, mut faults) = (Vec::new(), Vec::new());
    for found in found {
        let Want::Tags { repository, selection } = &found.want else {
            wishes.push((found, None));
            continue;
        };
        let Some(list) = lists.get(repository) else { continue };
        match chosen(repository, selection, list, source, context) {
            Ok(chosen) => wishes.extend(chosen.into_iter().map(|tag| (found, Some(tag)))),
            Err(FlowError::Source(items)) => faults.extend(items),
            Err(other) => return Err(other),
        }
    }
    if faults.is_empty() { Ok(wishes) } else { Err(FlowError::Source(faults)) }
}

type Lists<'f> = BTreeMap<&'f Repository, Vec<Tag>>;

fn list<'f>(found: &'f [Found], source: &dyn Source, context: &Context<'_>) -> Result<Lists<'f>, FlowError> {
    let repositories: BTreeSet<&Repository> = found
        .iter()
        .filter_map(|found| match &found.want {
            Want::Tags { repository, .. } => Some(repository),
            Want::Reference(_) | Want::Chart(_) | Want::Made { .. } => None,
        })
        .collect();
    let repositories: Vec<&Repository> = repositories.into_iter().collect();
    let lists = pool::all(&repositories, context.threads, |at| {
        context.go_on()?;
        source.tags(at).map_err(|fault| FlowError::source(format!("tags of {at}"), not_listed(fault)))
    });
    let (mut tags, mut faults) = (BTreeMap::new(), Vec::new());
    for (at, list) in repositories.into_iter().zip(lists) {
        match list {
            Ok(list) => drop(tags.insert(at, list)),
            Err(FlowError::Source(items)) => faults.extend(items),
            Err(other) => return Err(other),
        }
    }
    if faults.is_empty() { Ok(tags) } else { Err(FlowError::Source(faults)) }
}

/// Adds what can be done where a registry gives artifacts but no list of them.
fn not_listed(fault: Fault) -> Fault {
    match fault.kind {
        FaultKind::Unauthorized | FaultKind::Refused | FaultKind::Missing => {
            let more = if fault.hint.is_empty() { String::new() } else { format!("{}; or ", fault.hint) };
            let hint = format!(
                "{more}name the tags one by one (ref: host/path:tag, or tags: [1.2.3] without patterns, semver and newest): \
                 many registries let anybody pull and nobody list"
            );
            fault.with_hint(hint)
        }
        _ => fault,
    }
}

fn chosen(
    at: &Repository,
    selection: &TagSelection,
    tags: &[Tag],
    source: &dyn Source,
    context: &Context<'_>,
) -> Result<Vec<Tag>, FlowError> {
    let chosen = match selection.since() {
        None => selection.select(tags),
        Some(since) => {
            let recent = recent(at, &selection.candidates(tags), since, source, context)?;
            selection.select_where(tags, |tag| recent.contains(tag))
        }
    };
    if !chosen.is_empty() {
        return Ok(chosen);
    }
    let what = format!("no tag matches {selection}; {}", selection.offer(tags));
    Err(FlowError::source(at.to_string(), Fault::new(FaultKind::Missing, at.to_string(), what)))
}

/// Returns those of `tags` that were made since then; fails where one states no time.
fn recent(
    at: &Repository,
    tags: &[Tag],
    since: &Moment,
    source: &dyn Source,
    context: &Context<'_>,
) -> Result<BTreeSet<Tag>, FlowError> {
    let fail = |fault| FlowError::source(at.to_string(), fault);
    if tags.len() > limits::DATED_TAGS {
        let what = format!("{} tags would be asked for their date, the limit is {}", tags.len(), limits::DATED_TAGS);
        let hint = "choose fewer before the date is looked at: tags, regex or semver";
        return Err(fail(Fault::new(FaultKind::TooLarge, at.to_string(), what).with_hint(hint)));
    }
    let dates = pool::all(tags, context.threads, |tag| {
        context.go_on()?;
        created(at, tag, source).map_err(|fault| FlowError::source(format!("{at}:{tag}"), fault))
    });
    let (mut recent, mut undated) = (BTreeSet::new(), Vec::new());
    for (tag, date) in tags.iter().zip(dates) {
        match date?.and_then(|date| since.is_reached(&date)) {
            Some(true) => drop(recent.insert(tag.clone())),
            Some(false) => {}
            None => undated.push(undated_tag(at, tag)),
        }
    }
    if undated.is_empty() { Ok(recent) } else { Err(FlowError::Source(undated)) }
}

fn undated_tag(at: &Repository, tag: &Tag) -> ItemFault {
    let item = format!("{at}:{tag}");
    let what = format!("says nowhere when it was made: neither in {CREATED} nor in its configuration");
    let hint = "leave it out with except, or choose without since";
    ItemFault { fault: Fault::new(FaultKind::Missing, item.clone(), what).with_hint(hint), item }
}

/// Returns when an artifact says it was made: its annotation, or the configuration of the image or of an index's first image.
fn created(at: &Repository, tag: &Tag, source: &dyn Source) -> Result<Option<String>, Fault> {
    let mut reference = Reference::Tag(tag.clone());
    for _ in 0..limits::INDEX_DEPTH {
        let document = source.manifest(at, &reference)?;
        let parsed = ImageDocument::parse(&document.bytes, &document.descriptor.media_type)
            .map_err(|error| Fault::new(FaultKind::Malformed, format!("{at}:{tag}"), error.to_string()))?;
        if let Some(created) = parsed.annotations().get(CREATED) {
            return Ok(Some(created.clone()));
        }
        let image = match &parsed {
            ImageDocument::Image(image) => image,
            ImageDocument::Index(index) => {
                let real = index.manifests.iter().find(|child| child.platform.as_ref().is_none_or(|p| !p.is_unknown()));
                let Some(child) = real.filter(|child| child.media_type.is_document()) else { return Ok(None) };
                reference = Reference::Digest(child.digest.clone());
                continue;
            }
        };
        if image.config.size > CONFIG_BYTES {
            return Ok(None);
        }
        let mut bytes = Vec::new();
        let read = source.open(at, &image.config, 0)?.take(CONFIG_BYTES + 1).read_to_end(&mut bytes);
        read.map_err(|error| Fault::from_io(error, &format!("{at}:{tag}"), "ended early"))?;
        if !image.config.names_bytes(&bytes) {
            let what = format!("the configuration is not {}", image.config);
            return Err(Fault::new(FaultKind::Damaged, format!("{at}:{tag}"), what));
        }
        return Ok(serde_json::from_slice::<Dated>(&bytes).ok().and_then(|dated| dated.created));
    }
    Ok(None)
}

#[derive(Deserialize)]
struct Dated {
    created: Option<String>,
}
