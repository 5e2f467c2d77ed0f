//! Puts a bundle or an OCI image layout on a shelf, so that a registry can show it without unpacking anything.
//!
//! Everything from a bundle stands under the name that an import would give it, and once more under the name at the
//! host that it came from, for clients that ask a mirror of that host.

use super::checked::Checked;
use super::error::FlowError;
use super::judge_again::judge_again;
use super::opened::{Opened, open};
use super::shipment::Shipment;
use crate::bundle::{Input, OpenBundle};
use crate::document::lock::LockedArtifact;
use crate::model::evidence::FindingClass;
use crate::model::port::{BlobSource, ImageSource};
use crate::model::{
    Descriptor, Digest, Fault, FaultKind, Finding, ImageDocument, ImageRef, Reference, Repository, Tag, limits,
};
use crate::serve::{Shelf, Spot};
use crate::store::LayoutFolder;
use crate::trust::{Authors, Judge};
use std::collections::{BTreeMap, BTreeSet};
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// A shelf, and what a person should know of it.
pub struct Shelved {
    /// The shelf.
    pub shelf: Shelf,
    /// Artifacts on it.
    pub artifacts: usize,
    /// Who signed the bundle, or why it is shown without; `None` for a layout.
    pub authenticity: Option<String>,
    /// Names that could not be given, and whatever else is worth knowing.
    pub findings: Vec<Finding>,
}

/// Shelves the bundle in `volumes`: its author is checked first, then every artifact under the policy where one is
/// given. Payload is checked when it is read.
pub fn shelve_bundle(volumes: &[PathBuf], authors: &Authors, judge: Option<&Judge>) -> Result<Shelved, FlowError> {
    let opened = open(Input::Files(volumes.to_vec()), authors)?;
    if let Some(judge) = judge {
        judge_again(&opened.shipment, judge)?;
    }
    let bundle = OpenBundle::open(volumes)?;
    if *bundle.bundle_id() != opened.bundle_id {
        let why = "it was replaced while it was opened".to_owned();
        return Err(FlowError::Content { item: "the bundle".to_owned(), why });
    }
    let mut assembly = Assembly::new(Arc::new(Volumes(bundle)))?;
    let all = opened.shipment.lock.artifacts.len();
    let whole: Vec<usize> = (0..all).filter(|at| is_whole(&opened, *at)).collect();
    if whole.is_empty() && all > 0 {
        let why =
            "the bundle is a delta and holds no artifact whole; import it where its base is, and serve from there";
        return Err(FlowError::Usage(why.to_owned()));
    }
    for at in &whole {
        assembly.artifact(&opened.shipment, *at)?;
    }
    if whole.len() < all {
        let what = format!("is a delta: {} of its {all} artifacts are not whole and not shown", all - whole.len());
        assembly.findings.push(Finding::warning(FindingClass::Config, "the bundle", what));
    }
    Ok(Shelved {
        shelf: assembly.shelf,
        artifacts: whole.len(),
        authenticity: Some(opened.authenticity),
        findings: assembly.findings,
    })
}

/// Returns whether a bundle leaves out nothing of artifact `at`. A registry with holes must not look whole.
fn is_whole(opened: &Opened, at: usize) -> bool {
    opened.omitted.is_empty()
        || opened.shipment.blobs_of_artifact(at).iter().all(|blob| !opened.omitted.contains(&blob.descriptor.digest))
}

/// Shelves the OCI image layout in `folder`. Entries without a name stand under that of the folder.
pub fn shelve_layout(layout: LayoutFolder, folder: &Path) -> Result<Shelved, FlowError> {
    let entries = layout.entries();
    let layout = Arc::new(Layout(layout));
    let mut assembly = Assembly::new(Arc::clone(&layout) as Arc<dyn BlobSource>)?;
    let stem = folder.file_name().map(|name| name.to_string_lossy().to_lowercase()).unwrap_or_default();
    let stem = if Repository::new("layout", &stem).is_ok() { stem } else { "layout".to_owned() };
    let mut trees = Vec::new();
    for (name, entry) in &entries {
        let tree = layout.tree(entry)?;
        let (spots, tag) = named(name.as_deref(), &stem, entry);
        for spot in &spots {
            assembly.tree(spot, &tree)?;
            assembly.tag(spot, tag.as_ref(), &entry.digest)?;
        }
        trees.push((spots, tree));
    }
    beside_their_subjects(&mut assembly, &trees)?;
    Ok(Shelved { shelf: assembly.shelf, artifacts: entries.len(), authenticity: None, findings: assembly.findings })
}

/// Documents with what each is, what is pointed to first.
type Tree = Vec<(Descriptor, ImageDocument)>;

/// Shows what refers to something in every repository that has that something.
fn beside_their_subjects(assembly: &mut Assembly, trees: &[(Vec<Spot>, Tree)]) -> Result<(), FlowError> {
    let mut homes: BTreeMap<&Digest, BTreeSet<&Spot>> = BTreeMap::new();
    for (spots, tree) in trees {
        for (document, _) in tree {
            homes.entry(&document.digest).or_default().extend(spots);
        }
    }
    // What is about something that is itself about something needs as many rounds as that chain is long.
    for _ in 0..limits::INDEX_DEPTH {
        let mut moved = false;
        for (_, tree) in trees {
            let Some((top, parsed)) = tree.last() else { continue };
            let Some(subject) = parsed.subject() else { continue };
            let wanted = homes.get(&subject.digest).cloned().unwrap_or_default();
            let known = homes.entry(&top.digest).or_default();
            let new: Vec<&Spot> = wanted.into_iter().filter(|spot| known.insert(spot)).collect();
            for spot in new {
                assembly.tree(spot, tree)?;
                moved = true;
            }
        }
        if !moved {
            break;
        }
    }
    Ok(())
}

/// Returns where an entry of a layout stands, and its tag. Tools write a full reference, `path:tag`, or a tag alone.
fn named(name: Option<&str>, stem: &str, entry: &Descriptor) -> (Vec<Spot>, Option<Tag>) {
    let own = |repository: &str| Spot { host: None, repository: repository.to_owned() };
    let by_digest = || (vec![own(stem)], None);
    let Some(name) = name else { return by_digest() };
    let name = name.strip_suffix(&format!("@{}", entry.digest)).unwrap_or(name);
    if let Ok(tag) = name.parse::<Tag>() {
        return (vec![own(stem)], Some(tag));
    }
    let (path, tag) = match name.rsplit_once(':') {
        Some((path, tag)) if !tag.contains('/') => (path, tag.parse().ok()),
        _ => (name, None),
    };
    let (first, rest) = path.split_once('/').unwrap_or(("", path));
    let has_host = first.contains(['.', ':']) || first == "localhost";
    let spots =
        if has_host { vec![own(rest), Spot { host: Some(first.to_owned()), ..own(rest) }] } else { vec![own(path)] };
    let good = spots.iter().all(|spot| Repository::new("h", &spot.repository).is_ok());
    if good { (spots, tag) } else { by_digest() }
}

/// A shelf in the making.
struct Assembly {
    shelf: Shelf,
    findings: Vec<Finding>,
}

impl Assembly {
    fn new(bytes: Arc<dyn BlobSource>) -> Result<Self, FlowError> {
        let place = Repository::new("localhost", "shelf").map_err(|error| FlowError::Usage(error.to_string()))?;
        Ok(Self { shelf: Shelf::new(bytes, place), findings: Vec::new() })
    }

    /// Shelves artifact `at` with all that is attached to it.
    fn artifact(&mut self, shipment: &Shipment, at: usize) -> Result<(), FlowError> {
        let Some((locked, evidence)) = shipment.artifact(at) else { return Ok(()) };
        let attached: Vec<_> = evidence.attached.iter().filter(|a| shipment.document(&a.digest).is_some()).collect();
        let tops = std::iter::once(&locked.digest).chain(attached.iter().map(|a| &a.digest));
        let trees: Vec<Tree> = tops.map(|top| carried(shipment, top)).collect();
        for (spot, tag) in spots(locked) {
            for tree in &trees {
                self.tree(&spot, tree)?;
            }
            for blob in shipment.blobs_of_artifact(at) {
                self.shelf.put_blob(&spot, &blob.descriptor).map_err(unusable)?;
            }
            self.tag(&spot, tag.as_ref(), &locked.digest)?;
            for attached in &attached {
                self.tag(&spot, attached.tag.as_ref(), &attached.digest)?;
            }
        }
        Ok(())
    }

    /// Shelves documents with the blobs that they point to.
    fn tree(&mut self, spot: &Spot, tree: &Tree) -> Result<(), FlowError> {
        for (descriptor, parsed) in tree {
            self.shelf.put_document(spot, descriptor, parsed).map_err(unusable)?;
            let blobs = parsed.children().into_iter().filter(|child| !child.media_type.is_non_distributable());
            for blob in blobs.filter(|_| matches!(parsed, ImageDocument::Image(_))) {
                self.shelf.put_blob(spot, blob).map_err(unusable)?;
            }
        }
        Ok(())
    }

    /// Gives a tag; where it names something else already, says so.
    fn tag(&mut self, spot: &Spot, tag: Option<&Tag>, digest: &Digest) -> Result<(), FlowError> {
        let Some(tag) = tag else { return Ok(()) };
        if let Some(conflict) = self.shelf.tag(spot, tag, digest).map_err(unusable)? {
            let place = format!("{}:{}", conflict.repository, conflict.tag);
            let what = format!("names {}; {} is there by its digest only", conflict.first, conflict.second);
            self.findings.push(Finding::warning(FindingClass::Config, place, what));
        }
        Ok(())
    }
}

fn unusable(error: crate::serve::NameError) -> FlowError {
    FlowError::Content { item: "the index".to_owned(), why: error.to_string() }
}

fn carried(shipment: &Shipment, top: &Digest) -> Tree {
    let document = |digest: Digest| Some((shipment.verbatim(&digest)?.descriptor, shipment.document(&digest)?.clone()));
    shipment.tree(top).into_iter().filter_map(document).collect()
}

/// Returns the names of an artifact: as an import would name it, and as its source does.
fn spots(locked: &LockedArtifact) -> [(Spot, Option<Tag>); 2] {
    let own = Spot { host: None, repository: locked.destination.repository.clone() };
    let source: &ImageRef = &locked.source;
    let there =
        Spot { host: Some(source.repository.host().to_owned()), repository: source.repository.path().to_owned() };
    let tag = match source.reference() {
        Reference::Tag(tag) => Some(tag),
        Reference::Digest(_) => source.tag.clone(),
    };
    [(own, locked.destination.tag.clone()), (there, tag)]
}

/// The volumes of a bundle as a source of bytes; its reader checks them.
struct Volumes(OpenBundle);

impl BlobSource for Volumes {
    fn open(&self, _: &Repository, want: &Descriptor, from: u64) -> Result<Box<dyn Read + Send>, Fault> {
        let absent = || Fault::new(FaultKind::Missing, "the bundle", format!("{} is not in it", want.digest));
        let found = self.0.blob(&want.digest, from);
        found.map_err(|error| Fault::new(FaultKind::Damaged, "the bundle", error.to_string()))?.ok_or_else(absent)
    }
}

/// The folder of a layout as a source of bytes, checked while they are read from their beginning.
struct Layout(LayoutFolder);

impl BlobSource for Layout {
    fn open(&self, at: &Repository, want: &Descriptor, from: u64) -> Result<Box<dyn Read + Send>, Fault> {
        let content = self.0.open(at, want, from)?;
        Ok(if from == 0 { Box::new(Checked::new(content, want)) } else { content })
    }
}

impl Layout {
    /// Returns the documents below an entry of the index, what is pointed to first, the entry last.
    fn tree(&self, top: &Descriptor) -> Result<Tree, FlowError> {
        let mut tree = Vec::new();
        self.visit(top, 0, &mut BTreeSet::new(), &mut tree)?;
        Ok(tree)
    }

    fn visit(
        &self,
        want: &Descriptor,
        depth: usize,
        seen: &mut BTreeSet<Digest>,
        tree: &mut Tree,
    ) -> Result<(), FlowError> {
        let item = || want.digest.to_string();
        if depth >= limits::INDEX_DEPTH {
            let why = format!("indexes lie within each other more than {} deep", limits::INDEX_DEPTH);
            return Err(FlowError::Content { item: item(), why });
        }
        if !want.media_type.is_document() || !seen.insert(want.digest.clone()) {
            return Ok(());
        }
        let place = Repository::new("localhost", "shelf").map_err(|error| FlowError::Usage(error.to_string()))?;
        let document = self.0.manifest(&place, &Reference::Digest(want.digest.clone()));
        let document = document.map_err(|fault| FlowError::source(item(), fault))?;
        let parsed = ImageDocument::parse(&document.bytes, &want.media_type)
            .map_err(|error| FlowError::Content { item: item(), why: error.to_string() })?;
        if let ImageDocument::Index(index) = &parsed {
            index.manifests.iter().try_for_each(|child| self.visit(child, depth + 1, seen, tree))?;
        }
        let descriptor = Descriptor { size: document.descriptor.size, ..want.bare() };
        tree.push((descriptor, parsed));
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Content, MediaType};

    #[test]
    fn names_of_a_layout_are_read_as_tools_write_them() {
        let content = Content { digest: Digest::of(b"x"), size: 1 };
        let entry = Descriptor::new(MediaType::new(MediaType::OCI_MANIFEST), content);
        let digest = entry.digest.clone();
        let pinned = format!("docker.io/library/nginx:1@{digest}");
        for (name, own, host, tag) in [
            (None, "folder", None, None),
            (Some("1.2"), "folder", None, Some("1.2")),
            (Some("team/app:1"), "team/app", None, Some("1")),
            (Some("app"), "folder", None, Some("app")),
            (Some("docker.io/library/nginx:1"), "library/nginx", Some("docker.io"), Some("1")),
            (Some("localhost:5000/a/b:2"), "a/b", Some("localhost:5000"), Some("2")),
            (Some("localhost:5000/a/b"), "a/b", Some("localhost:5000"), None),
            (Some(pinned.as_str()), "library/nginx", Some("docker.io"), Some("1")),
            (Some("../../etc:1"), "folder", None, None),
            (Some("A B:1"), "folder", None, None),
        ] {
            let (spots, found) = named(name, "folder", &entry);
            assert_eq!(spots[0], Spot { host: None, repository: own.to_owned() }, "{name:?}");
            assert_eq!(spots.get(1).and_then(|spot| spot.host.as_deref()), host, "{name:?}");
            assert_eq!(found.as_ref().map(Tag::as_str), tag, "{name:?}");
        }
    }
}
