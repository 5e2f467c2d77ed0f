//! Takes what is wanted from files that another tool wrote, in the place of registries.

use super::context::Context;
use super::error::{FlowError, ItemFault};
use super::subset;
use super::wanted::Wanted;
use crate::discover::PlatformRule;
use crate::document::lock::{Lock, LockedArtifact};
use crate::model::port::ImageSource;
use crate::model::{Fault, FaultKind, ImageDocument, Reference};
use crate::store::archive::{Naming, SourceName, Surveyed, Trove, Unpacking, survey};
use std::path::Path;

/// Looks which files each source is made of, without reading them.
pub fn survey_sources(names: &[SourceName]) -> Result<Vec<Surveyed>, FlowError> {
    names.iter().map(|name| survey(name).map_err(|fault| unreadable(fault, &name.to_string()))).collect()
}

/// Reads the sources. What is compressed is unpacked into a temporary file in `spool`.
pub fn open_trove(
    sources: Vec<Surveyed>,
    naming: &Naming,
    spool: &Path,
    context: &Context<'_>,
) -> Result<Trove, FlowError> {
    let unpacking = Unpacking { folder: spool, stop: context.stop };
    Trove::read(sources, naming, unpacking).map_err(|fault| unreadable(fault, "--from"))
}

fn unreadable(fault: Fault, item: &str) -> FlowError {
    match fault.kind {
        FaultKind::Interrupted => FlowError::Interrupted,
        FaultKind::Busy => FlowError::Busy(fault.to_string()),
        _ => FlowError::source(item, fault),
    }
}

/// Wants everything that the sources offer. What has no whole name cannot be wanted: all of it is listed.
pub fn everything(trove: &Trove, platforms: PlatformRule) -> Result<Wanted, FlowError> {
    let unnamed: Vec<&str> = trove.unnamed().collect();
    if !unnamed.is_empty() {
        let list: Vec<String> = unnamed.iter().map(|name| format!("\n  {name}")).collect();
        let count = unnamed.len();
        let (noun, verb) = if count == 1 { ("artifact", "has") } else { ("artifacts", "have") };
        return Err(FlowError::Usage(format!(
            "{count} {noun} {verb} no whole name; give one with --name [PATH=]HOST[/PATH], or name what is wanted:{}",
            list.concat()
        )));
    }
    if trove.offers().is_empty() {
        return Err(FlowError::Usage("there is nothing in it that could be packed".to_owned()));
    }
    Ok(Wanted::Offered(trove.offers().to_vec(), platforms))
}

/// Checks that everything below what `lock` names is there, before anything is moved. Lists all that is missing.
pub fn check_whole(lock: &Lock, trove: &Trove) -> Result<(), FlowError> {
    let mut items = Vec::new();
    for artifact in lock.artifacts.iter().filter(|artifact| artifact.made.is_none()) {
        let faults = match subset::is_rewritten(artifact) {
            true => lacks_of_subset(artifact, trove)?,
            false => trove.lacks(&artifact.digest),
        };
        let item = artifact.source.to_string();
        items.extend(faults.into_iter().map(|fault| ItemFault { item: item.clone(), fault }));
    }
    if items.is_empty() { Ok(()) } else { Err(FlowError::Source(items)) }
}

/// Checks what an index that is cut down to some platforms names.
fn lacks_of_subset(artifact: &LockedArtifact, trove: &Trove) -> Result<Vec<Fault>, FlowError> {
    let Some(rule) = &artifact.subset else { return Ok(Vec::new()) };
    let whole = Reference::Digest(rule.original.clone());
    let whole = match trove.manifest(&artifact.source.repository, &whole) {
        Ok(whole) => whole,
        Err(fault) => return Ok(vec![fault]),
    };
    let kept = subset::rewrite(&whole, &rule.platforms)?;
    let parsed = ImageDocument::parse(&kept.bytes, &kept.descriptor.media_type)
        .map_err(|error| FlowError::Content { item: artifact.source.to_string(), why: error.to_string() })?;
    Ok(parsed.children().into_iter().flat_map(|child| trove.lacks(&child.digest)).collect())
}
