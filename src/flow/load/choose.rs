//! Chooses what is loaded out of what a bundle carries. Decided by the documents, not by what anybody calls them.

use super::names::{Named, names};
use super::plan::{Choice, LeftOut, LoadItem, LoadPlan, Reason, Shape};
use crate::document::lock::LockedArtifact;
use crate::flow::error::FlowError;
use crate::flow::shipment::Shipment;
use crate::model::evidence::{FindingClass, Severity};
use crate::model::{Descriptor, Digest, Finding, ImageDocument, ImageManifest, MediaType, Platform, limits};
use serde::Deserialize;
use std::collections::{BTreeMap, BTreeSet};

/// Plans what is loaded. Fails where something that was asked for cannot be, and nobody said that it may be left out.
pub fn choose(shipment: &Shipment, choice: &Choice, shape: Shape) -> Result<LoadPlan, FlowError> {
    let mut plan = LoadPlan { items: Vec::new(), left_out: Vec::new(), findings: Vec::new() };
    for (at, artifact) in shipment.lock.artifacts.iter().enumerate() {
        match item(shipment, at, artifact, choice, shape)? {
            Ok((item, finding)) => {
                plan.items.push(item);
                plan.findings.extend(finding);
            }
            Err((reason, why)) => {
                let (source, digest) = (artifact.source.clone(), artifact.digest.clone());
                plan.left_out.push(LeftOut { source, digest, reason, why });
            }
        }
    }
    check(&plan, choice, shape)?;
    plan.findings.extend(stays_behind(shipment, &plan, choice, shape));
    Ok(plan)
}

/// Says that evidence is not in an archive that holds images only. A node looks at none, so nothing is said there.
fn stays_behind(shipment: &Shipment, plan: &LoadPlan, choice: &Choice, shape: Shape) -> Option<Finding> {
    let sources: BTreeSet<_> = plan.items.iter().map(|item| &item.source).collect();
    let artifacts = shipment.lock.artifacts.iter().zip(&shipment.evidence.artifacts);
    let attached: usize = artifacts
        .filter(|(artifact, _)| sources.contains(&artifact.source))
        .map(|(_, found)| found.attached.len())
        .sum();
    let images_only = choice.images_only || shape == Shape::Docker;
    (images_only && attached > 0).then(|| {
        let what = format!("{attached} signatures, attestations and other attached documents are not in it");
        Finding { severity: Severity::Note, ..Finding::error(FindingClass::Config, "the archive", what) }
    })
}

type Chosen = Result<(LoadItem, Option<Finding>), (Reason, String)>;

fn item(
    shipment: &Shipment,
    at: usize,
    artifact: &LockedArtifact,
    choice: &Choice,
    shape: Shape,
) -> Result<Chosen, FlowError> {
    let any = |patterns: &[crate::document::pattern::Pattern]| patterns.iter().any(|p| p.matches(&artifact.source));
    if (!choice.include.is_empty() && !any(&choice.include)) || any(&choice.exclude) {
        return Ok(Err((Reason::NotChosen, "was not asked for".to_owned())));
    }
    let images = images(shipment, &artifact.digest);
    let runnable = !images.is_empty();
    let images_only = choice.images_only || shape != Shape::Whole;
    if images_only && !runnable {
        return Ok(Err((Reason::NoImage, "is no container image".to_owned())));
    }
    let parts = match (&choice.platform, runnable) {
        (Some(wanted), true) => match of_platform(shipment, artifact, &images, wanted) {
            Ok(parts) => parts,
            Err(why) => return Ok(Err((Reason::OtherPlatform, why))),
        },
        _ => Parts::whole(shipment, artifact, &images),
    };
    let partial = parts.documents.iter().find_map(|digest| not_carried(shipment, digest));
    if let Some(layer) = partial.filter(|_| images_only) {
        return Ok(Err((Reason::NotCarried, format!("its layer {layer} may not be distributed, and is not carried"))));
    }
    assemble(shipment, at, artifact, parts, (choice, shape, runnable, images_only)).map(Ok)
}

/// Documents of an artifact that are loaded.
struct Parts {
    documents: Vec<Digest>,
    images: Vec<Digest>,
}

impl Parts {
    fn whole(shipment: &Shipment, artifact: &LockedArtifact, images: &[Image]) -> Self {
        let documents = shipment.tree(&artifact.digest);
        Self { documents, images: images.iter().map(|image| image.digest.clone()).collect() }
    }
}

/// One image below an artifact, with its platform where it says one.
struct Image {
    digest: Digest,
    platform: Option<Platform>,
}

/// Returns the images below `root` in their order: manifests of which containers can be made.
fn images(shipment: &Shipment, root: &Digest) -> Vec<Image> {
    let mut search = Search { shipment, seen: BTreeSet::new(), found: Vec::new() };
    search.visit(root, None, 0);
    search.found
}

struct Search<'s> {
    shipment: &'s Shipment,
    seen: BTreeSet<Digest>,
    found: Vec<Image>,
}

impl Search<'_> {
    fn visit(&mut self, digest: &Digest, stated: Option<&Platform>, depth: usize) {
        let attestation = stated.is_some_and(Platform::is_unknown);
        if depth > limits::INDEX_DEPTH || attestation || !self.seen.insert(digest.clone()) {
            return;
        }
        match self.shipment.document(digest) {
            Some(ImageDocument::Image(image)) if is_runnable(image) => {
                let platform = stated.cloned().or_else(|| configured(self.shipment, image));
                self.found.push(Image { digest: digest.clone(), platform });
            }
            Some(ImageDocument::Index(index)) => {
                let children = index.manifests.iter();
                children.for_each(|child| self.visit(&child.digest, child.platform.as_ref(), depth + 1));
            }
            _ => {}
        }
    }
}

/// Returns whether a runtime can make containers of it: by the types of its configuration and of its layers.
fn is_runnable(image: &ImageManifest) -> bool {
    let layer = |layer: &Descriptor| {
        let kind = layer.media_type.as_str();
        kind.starts_with("application/vnd.oci.image.layer.") || kind.starts_with("application/vnd.docker.image.rootfs.")
    };
    let config = matches!(image.config.media_type.as_str(), MediaType::OCI_CONFIG | MediaType::DOCKER_CONFIG);
    config && image.artifact_type.is_none() && image.layers.iter().all(layer)
}

/// Returns the platform that the configuration of an image states.
fn configured(shipment: &Shipment, image: &ImageManifest) -> Option<Platform> {
    #[derive(Deserialize)]
    struct Configured {
        os: String,
        architecture: String,
        variant: Option<String>,
    }
    let found: Configured = serde_json::from_slice(shipment.small(&image.config.digest)?).ok()?;
    let Configured { os, architecture, variant } = found;
    Some(Platform { os, architecture, variant: variant.filter(|variant| !variant.is_empty()), ..Platform::default() })
}

/// Returns what serves `wanted`: its images, and the indexes above them; or why there is nothing.
fn of_platform(
    shipment: &Shipment,
    artifact: &LockedArtifact,
    images: &[Image],
    wanted: &Platform,
) -> Result<Parts, String> {
    let serves = |image: &&Image| image.platform.as_ref().is_some_and(|platform| platform.serves(wanted));
    let chosen: Vec<&Image> = images.iter().filter(serves).collect();
    if chosen.is_empty() {
        let platforms: BTreeSet<String> =
            images.iter().filter_map(|image| image.platform.as_ref()).map(ToString::to_string).collect();
        let there = platforms.into_iter().collect::<Vec<_>>().join(", ");
        let there = if there.is_empty() { "says no platform".to_owned() } else { format!("is for {there}") };
        return Err(format!("has no image for {wanted}; it {there}"));
    }
    let images: Vec<Digest> = chosen.iter().map(|image| image.digest.clone()).collect();
    let needed = |digest: &Digest| images.contains(digest) || leads_to(shipment, digest, &images);
    Ok(Parts { documents: shipment.tree(&artifact.digest).into_iter().filter(needed).collect(), images })
}

fn leads_to(shipment: &Shipment, digest: &Digest, images: &[Digest]) -> bool {
    let Some(ImageDocument::Index(_)) = shipment.document(digest) else { return false };
    shipment.tree(digest).iter().any(|below| images.contains(below))
}

fn not_carried<'s>(shipment: &'s Shipment, digest: &Digest) -> Option<&'s Digest> {
    let Some(ImageDocument::Image(image)) = shipment.document(digest) else { return None };
    image.layers.iter().find(|layer| layer.media_type.is_non_distributable()).map(|layer| &layer.digest)
}

fn assemble(
    shipment: &Shipment,
    at: usize,
    artifact: &LockedArtifact,
    parts: Parts,
    (choice, shape, runnable, images_only): (&Choice, Shape, bool, bool),
) -> Result<(LoadItem, Option<Finding>), FlowError> {
    let Parts { mut documents, images } = parts;
    let one = match &images[..] {
        [one] => Some(one.clone()),
        many if shape == Shape::Docker => return Err(FlowError::Usage(ambiguous(artifact, many.len(), choice))),
        _ => None,
    };
    let digest = match (&one, shape) {
        (Some(one), Shape::Docker) => one.clone(),
        _ => artifact.digest.clone(),
    };
    documents.retain(|document| shape != Shape::Docker || *document == digest);
    let top = shipment.verbatim(&digest).map(|document| document.descriptor);
    let top = top.ok_or_else(|| FlowError::Incomplete { what: artifact.source.to_string(), digest: digest.clone() })?;
    let attached = if images_only { Vec::new() } else { attached(shipment, at, artifact) };
    for (descriptor, _) in &attached {
        documents.extend(shipment.tree(&descriptor.digest));
    }
    let blobs = blobs(shipment, &documents);
    let size = |digest: &Digest| shipment.verbatim(digest).map_or(0, |document| document.descriptor.size);
    let bytes = documents.iter().map(size).sum::<u64>() + blobs.iter().map(|blob| blob.size).sum::<u64>();
    let Named { names, finding } = names(artifact, &digest, choice, shape)?;
    let source = artifact.source.clone();
    let item = LoadItem { source, digest, names, bytes, top, runnable, documents, blobs, image: one, attached };
    Ok((item, finding))
}

fn ambiguous(artifact: &LockedArtifact, count: usize, choice: &Choice) -> String {
    let platform = choice.platform.as_ref().map(ToString::to_string).unwrap_or_default();
    format!("{} has {count} images for {platform}; name one with --platform, with its variant", artifact.source)
}

/// Returns what is attached to the artifact and at hand, with the names that signatures of the older kind have.
fn attached(shipment: &Shipment, at: usize, artifact: &LockedArtifact) -> Vec<(Descriptor, Option<String>)> {
    let Some((_, evidence)) = shipment.artifact(at) else { return Vec::new() };
    let one = |attached: &crate::document::evidence::Attached| {
        let name = attached.tag.as_ref().map(|tag| format!("{}:{tag}", artifact.source.repository));
        Some((shipment.verbatim(&attached.digest)?.descriptor, name))
    };
    evidence.attached.iter().filter_map(one).collect()
}

/// Returns the blobs that `documents` point to, each once, in the order of need.
fn blobs(shipment: &Shipment, documents: &[Digest]) -> Vec<Descriptor> {
    let mut seen = BTreeSet::new();
    let images = documents.iter().filter_map(|digest| match shipment.document(digest) {
        Some(document @ ImageDocument::Image(_)) => Some(document.children()),
        _ => None,
    });
    let carried = images.flatten().filter(|child| !child.media_type.is_non_distributable());
    carried.filter(|child| seen.insert(child.digest.clone())).map(Descriptor::bare).collect()
}

/// Refuses a plan that lacks something silently, is empty, or gives one name to two things.
fn check(plan: &LoadPlan, choice: &Choice, shape: Shape) -> Result<(), FlowError> {
    let of = |reason: Reason| plan.left_out.iter().filter(move |left| left.reason == reason).collect::<Vec<_>>();
    for pattern in &choice.include {
        let there = plan.items.iter().map(|item| &item.source).chain(plan.left_out.iter().map(|left| &left.source));
        if !there.into_iter().any(|source| pattern.matches(source)) {
            return Err(FlowError::Usage(format!("nothing in the bundle matches {pattern}")));
        }
    }
    let charts = of(Reason::NoImage);
    if shape == Shape::Docker && !choice.images_only && !charts.is_empty() {
        let why = "a docker archive holds container images only; --images-only leaves out the rest";
        return Err(FlowError::Usage(format!("{}\n{why}", lines(&charts))));
    }
    let foreign = of(Reason::OtherPlatform);
    if !choice.skip_other_platforms && !foreign.is_empty() {
        let why = "--skip-other-platforms leaves them out, --exclude leaves out some, --platform asks for another";
        return Err(FlowError::Usage(format!("{}\n{why}", lines(&foreign))));
    }
    let partial = of(Reason::NotCarried);
    if !partial.is_empty() {
        return Err(FlowError::Usage(format!("{}\n--exclude leaves them out", lines(&partial))));
    }
    if plan.items.is_empty() {
        return Err(FlowError::Usage("nothing in the bundle is left to load".to_owned()));
    }
    distinct(plan)
}

fn lines(left: &[&LeftOut]) -> String {
    let lines: Vec<String> = left.iter().map(|left| format!("{} {}", left.source, left.why)).collect();
    lines.join("\n")
}

fn distinct(plan: &LoadPlan) -> Result<(), FlowError> {
    let mut owners: BTreeMap<&str, &Digest> = BTreeMap::new();
    for item in &plan.items {
        for name in &item.names {
            let owner = *owners.entry(name).or_insert(&item.digest);
            if *owner != item.digest {
                return Err(FlowError::Usage(format!("{name} would name both {owner} and {}", item.digest)));
            }
        }
    }
    Ok(())
}
