//! From wishes to a lock: tags are chosen and pinned over the network, one entry for each artifact.

use super::choose::choose;
use super::collisions::refuse_collisions;
use super::context::Context;
use super::error::{FlowError, ItemFault};
use super::making::make;
use super::pool;
use super::subset;
use super::update::Update;
use crate::discover::{Found, PlatformRule, Want, is_moving};
use crate::document::lock::{Lock, LockedArtifact, Role, Subset, SubsetDigest, Target};
use crate::document::made::{Made, MadeWish};
use crate::model::event::Stage;
use crate::model::port::{ManifestBytes, Source};
use crate::model::{Descriptor, Digest, Event, Fault, ImageDocument, ImageRef, Reference, Repository, Tag};
use std::collections::BTreeMap;

/// Says why something is wanted that no file names.
pub(super) const TYPED: &str = "named on the command line";

/// What a lock is made from.
pub struct Wishes<'a> {
    /// What was found, in order.
    pub found: Vec<Found>,
    /// Where an artifact goes.
    pub destination: &'a (dyn Fn(&ImageRef) -> Target + Sync),
    /// Lock of an earlier run.
    pub earlier: Option<Lock>,
    /// What of it moves.
    pub update: Update,
    /// Pins that were made in this run, and that stay.
    pub pinned: Vec<LockedArtifact>,
}

/// A lock with what was noticed on the way.
pub struct Resolved {
    /// The lock.
    pub lock: Lock,
    /// Pins that moved: source, old digest, new digest.
    pub moved: Vec<(ImageRef, Digest, Digest)>,
}

/// One wish for one reference.
#[derive(Clone)]
struct Wish {
    source: ImageRef,
    role: Role,
    why: Vec<Vec<String>>,
    notes: Vec<String>,
    platforms: PlatformRule,
    /// What it is made of, where it is made.
    made: Option<MadeWish>,
}

/// Pins every wish. All that cannot be had are listed before it fails.
pub fn resolve(wishes: Wishes<'_>, source: &dyn Source, context: &Context<'_>) -> Result<Resolved, FlowError> {
    let chosen = choose(&wishes.found, source, context)?;
    let single = merge(chosen.into_iter().filter_map(wished).collect())?;
    let earlier = Earlier::new(wishes.earlier, wishes.update, wishes.pinned);
    let (artifacts, faults) = pin_each(&single, &earlier, wishes.destination, (source, context))?;
    if !faults.is_empty() {
        return Err(FlowError::Source(faults));
    }
    refuse_collisions(&artifacts, "")?;
    context.tell(Event::Finished { stage: Stage::Resolve });
    let moved = earlier.moved(&artifacts);
    Ok(Resolved { lock: Lock::new(artifacts), moved })
}

/// Pins what can be had of wishes that name their artifacts; returns what cannot beside it.
pub fn pin_known(
    wishes: Wishes<'_>,
    source: &dyn Source,
    context: &Context<'_>,
) -> Result<(Vec<LockedArtifact>, Vec<ItemFault>), FlowError> {
    let single = merge(wishes.found.iter().filter_map(|found| wished((found, None))).collect())?;
    let earlier = Earlier::new(wishes.earlier, wishes.update, wishes.pinned);
    pin_each(&single, &earlier, wishes.destination, (source, context))
}

fn pin_each(
    single: &[Wish],
    earlier: &Earlier,
    destination: &(dyn Fn(&ImageRef) -> Target + Sync),
    (source, context): (&dyn Source, &Context<'_>),
) -> Result<(Vec<LockedArtifact>, Vec<ItemFault>), FlowError> {
    context.tell(Event::Started { stage: Stage::Resolve, items: single.len() as u64, bytes: 0 });
    let results = pool::all(single, context.threads, |wish| pin(wish, source, earlier, destination, context));
    let (mut artifacts, mut faults) = (Vec::new(), Vec::new());
    for result in results {
        match result {
            Ok(artifact) => artifacts.push(artifact),
            Err(FlowError::Source(items)) => faults.extend(items),
            Err(other) => return Err(other),
        }
    }
    Ok((artifacts, faults))
}

/// Makes a wish of what was found, and of the tag that was chosen where it chooses.
fn wished((found, tag): (&Found, Option<Tag>)) -> Option<Wish> {
    match (&found.want, tag) {
        (Want::Reference(image), _) => Some(wish(found, image.clone(), None)),
        (Want::Made { source, made }, _) => {
            Some(Wish { made: Some(made.clone()), ..wish(found, source.clone(), None) })
        }
        (Want::Tags { repository, .. }, tag) => Some(tag_wish(found, repository, tag?)),
        // Charts were chosen and looked into before: each is a reference by now.
        (Want::Chart(_), _) => None,
    }
}

fn wish(found: &Found, source: ImageRef, tag: Option<&Tag>) -> Wish {
    let mut why = found.why.clone();
    why.extend(tag.map(|tag| format!("tag {tag}")));
    let (notes, platforms) = (found.notes.clone(), found.platforms.clone());
    Wish { source, role: found.role, why: vec![why], notes, platforms, made: None }
}

fn tag_wish(found: &Found, repository: &Repository, tag: Tag) -> Wish {
    let source = ImageRef { repository: repository.clone(), tag: Some(tag.clone()), digest: None };
    wish(found, source, Some(&tag))
}

/// Makes one wish of equal ones, with all their reasons, at the place of the first.
fn merge(wishes: Vec<Wish>) -> Result<Vec<Wish>, FlowError> {
    let mut merged: Vec<Wish> = Vec::new();
    let mut places: BTreeMap<ImageRef, usize> = BTreeMap::new();
    for mut wish in wishes {
        if wish.source.tag.is_none() && wish.source.digest.is_none() {
            wish.source.tag = match wish.source.reference() {
                Reference::Tag(tag) => Some(tag),
                Reference::Digest(_) => None,
            };
        }
        let Some(&at) = places.get(&wish.source) else {
            places.insert(wish.source.clone(), merged.len());
            merged.push(wish);
            continue;
        };
        let known = &mut merged[at];
        if known.platforms != wish.platforms {
            return Err(FlowError::Usage(format!("{} is wanted with two different platform rules", wish.source)));
        }
        if known.made != wish.made {
            let why = "is wanted twice, out of two files or out of a file and from its registry; give one of them another name";
            return Err(FlowError::Usage(format!("{} {why}", wish.source)));
        }
        known.why.extend(wish.why.into_iter().filter(|why| !known.why.contains(why)).collect::<Vec<_>>());
        known.notes.extend(wish.notes.into_iter().filter(|note| !known.notes.contains(note)).collect::<Vec<_>>());
        if known.role == Role::Image {
            known.role = wish.role;
        }
    }
    Ok(merged)
}

struct Earlier {
    artifacts: BTreeMap<ImageRef, LockedArtifact>,
    update: Update,
    pinned: BTreeMap<ImageRef, LockedArtifact>,
}

impl Earlier {
    fn new(lock: Option<Lock>, update: Update, pinned: Vec<LockedArtifact>) -> Self {
        let pinned = pinned.into_iter().map(|artifact| (artifact.source.clone(), artifact)).collect();
        let artifacts = lock.map(|lock| lock.artifacts).unwrap_or_default();
        Self { artifacts: artifacts.into_iter().map(|a| (a.source.clone(), a)).collect(), update, pinned }
    }

    /// Returns the pin that stays, where one stays.
    fn kept(&self, wish: &Wish) -> Option<&LockedArtifact> {
        if let Some(pinned) = self.pinned.get(&wish.source) {
            return Some(pinned);
        }
        let known = self.artifacts.get(&wish.source)?;
        let moves = self.update.moves(&wish.source, &wish.why);
        let same_rule = match (&wish.platforms, &known.subset) {
            (PlatformRule::All, None) => true,
            (PlatformRule::Only { platforms, digest }, Some(subset)) => {
                *platforms == subset.platforms && *digest == subset.digest
            }
            // A rule leaves an image for one platform as it is, so the lock may say nothing of it.
            (PlatformRule::Only { .. }, None) => !known.media_type.is_index(),
            (PlatformRule::All, Some(_)) => false,
        };
        let same_file = match (&wish.made, &known.made) {
            (Some(wish), Some(made)) => made.fulfils(wish),
            (None, None) => true,
            _ => false,
        };
        (!moves && same_rule && same_file).then_some(known)
    }

    fn moved(&self, now: &[LockedArtifact]) -> Vec<(ImageRef, Digest, Digest)> {
        let changed = now.iter().filter_map(|artifact| {
            let before = self.artifacts.get(&artifact.source).filter(|before| before.digest != artifact.digest)?;
            Some((artifact.source.clone(), before.digest.clone(), artifact.digest.clone()))
        });
        changed.collect()
    }
}

/// Pins one wish: reads the document itself, because a header alone is only a hint.
fn pin(
    wish: &Wish,
    source: &dyn Source,
    earlier: &Earlier,
    destination: &(dyn Fn(&ImageRef) -> Target + Sync),
    context: &Context<'_>,
) -> Result<LockedArtifact, FlowError> {
    context.go_on()?;
    let item = wish.source.to_string();
    if let Some(kept) = earlier.kept(wish) {
        let mut kept = kept.clone();
        (kept.why, kept.role, kept.destination) = (wish.why.clone(), wish.role, destination(&wish.source));
        kept.notes = notes(wish);
        context.tell(Event::Done { stage: Stage::Resolve, item, outcome: "kept".to_owned() });
        return Ok(kept);
    }
    let (descriptor, subset, made) = match &wish.made {
        Some(file) => {
            let (made, descriptor) = make(&wish.source, file, source).map_err(|fault| refused(wish, fault))?;
            (descriptor, None, Some(made))
        }
        None => {
            let document = source
                .manifest(&wish.source.repository, &wish.source.reference())
                .map_err(|fault| refused(wish, fault))?;
            let parsed = parse(&item, &document)?;
            let (document, subset) = narrow(wish, source, document, &parsed)?;
            (document.descriptor, subset, None)
        }
    };
    context.tell(Event::Done { stage: Stage::Resolve, item, outcome: descriptor.digest.short() });
    Ok(locked(wish, descriptor, (subset, made), destination(&wish.source)))
}

fn locked(
    wish: &Wish,
    descriptor: Descriptor,
    (subset, made): (Option<Subset>, Option<Made>),
    destination: Target,
) -> LockedArtifact {
    LockedArtifact {
        source: wish.source.clone(),
        role: wish.role,
        media_type: descriptor.media_type,
        digest: descriptor.digest,
        size: descriptor.size,
        subset,
        made,
        rendered: Vec::new(),
        destination,
        why: wish.why.clone(),
        notes: notes(wish),
        beside: None,
    }
}

fn refused(wish: &Wish, fault: Fault) -> FlowError {
    FlowError::Source(vec![ItemFault { item: because(wish), fault }])
}

/// Names the wish with the path that asked for it, for an error.
fn because(wish: &Wish) -> String {
    let why: Vec<String> = wish.why.iter().map(|path| path.join(" → ")).collect();
    match &why[..] {
        [only] if only == TYPED => format!("{} ({TYPED})", wish.source),
        _ => format!("{} (wanted by {})", wish.source, why.join("; ")),
    }
}

fn notes(wish: &Wish) -> Vec<String> {
    let mut notes = wish.notes.clone();
    if wish.source.digest.is_none() && wish.source.tag.as_ref().is_some_and(is_moving) {
        notes.push("moving tag".to_owned());
    }
    notes
}

fn parse(item: &str, document: &ManifestBytes) -> Result<ImageDocument, FlowError> {
    ImageDocument::parse(&document.bytes, &document.descriptor.media_type)
        .map_err(|error| FlowError::Content { item: item.to_owned(), why: error.to_string() })
}

/// Applies the platform rule; an image that is no index stays as it is.
fn narrow(
    wish: &Wish,
    source: &dyn Source,
    document: ManifestBytes,
    parsed: &ImageDocument,
) -> Result<(ManifestBytes, Option<Subset>), FlowError> {
    let (PlatformRule::Only { platforms, digest }, ImageDocument::Index(index)) = (&wish.platforms, parsed) else {
        return Ok((document, None));
    };
    if wish.source.digest.is_some() {
        let why =
            "is pinned by the digest of an index, and a platform rule would give it another digest; who runs it asks \
                   for the pinned one. Leave it whole, or pin it by tag"
                .to_owned();
        return Err(FlowError::Usage(format!("{} {why}", wish.source)));
    }
    let rule = Subset {
        platforms: platforms.clone(),
        digest: *digest,
        original: document.descriptor.digest.clone(),
        original_type: document.descriptor.media_type.clone(),
    };
    let item = wish.source.to_string();
    let narrowed = match digest {
        SubsetDigest::Rewrite => subset::rewrite(&document, platforms)?,
        SubsetDigest::Single => {
            let kept = subset::choose(&item, index, platforms)?;
            let images: Vec<_> = kept.iter().filter(|d| d.platform.as_ref().is_none_or(|p| !p.is_unknown())).collect();
            let [only] = images[..] else {
                let why =
                    format!("{} images match the platform rule; `digest: single` needs exactly one", images.len());
                return Err(FlowError::Content { item, why });
            };
            source
                .manifest(&wish.source.repository, &Reference::Digest(only.digest.clone()))
                .map_err(|fault| FlowError::source(item, fault))?
        }
    };
    Ok((narrowed, Some(rule)))
}
