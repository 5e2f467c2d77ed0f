//! What runs in a cluster: images with the digests that the nodes state, and where.

use super::digest::Digest;
use super::fault::Fault;
use super::reference::ImageRef;
use std::collections::BTreeMap;

/// Places of one image that are kept; more are counted only.
pub const PLACES: usize = 8;

/// Which content runs.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum RunningDigest {
    /// Digest of the document that a registry serves.
    Document(Digest),
    /// Digest of an image's configuration, which no registry answers to.
    Configuration(Digest),
    /// Nothing is known: the container has not started, or the node does not say.
    Unknown,
}

/// Where an image runs.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RunningPlace {
    /// Namespace.
    pub namespace: String,
    /// `Kind/name` of what keeps the pod.
    pub workload: String,
    /// Kind and name of the container.
    pub container: String,
}

/// An image that runs.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct RunningImage {
    /// Image as the pod states it.
    pub image: String,
    /// Content.
    pub digest: RunningDigest,
    /// Where, sorted; the first of them.
    pub places: Vec<RunningPlace>,
    /// Places beyond those.
    pub more: usize,
}

impl RunningImage {
    /// Returns the image's name, where the text is one. An image's own id is none, although it reads like one.
    pub fn reference(&self) -> Option<ImageRef> {
        let is_id = self.image.starts_with("sha256:");
        self.image.parse().ok().filter(|_| !is_id)
    }
}

/// Puts what many pods run together.
#[derive(Debug, Default)]
pub struct Merged(BTreeMap<(String, RunningDigest), std::collections::BTreeSet<RunningPlace>>);

impl Merged {
    /// Adds an image at a place.
    pub fn add(&mut self, image: &str, digest: &RunningDigest, place: RunningPlace) {
        self.0.entry((image.to_owned(), digest.clone())).or_default().insert(place);
    }

    /// Adds everything of another one.
    pub fn extend(&mut self, other: Self) {
        for (key, places) in other.0 {
            self.0.entry(key).or_default().extend(places);
        }
    }

    /// Returns the images, sorted by name.
    pub fn finish(self) -> Vec<RunningImage> {
        let image = |((image, digest), places): (_, std::collections::BTreeSet<RunningPlace>)| {
            let more = places.len().saturating_sub(PLACES);
            RunningImage { image, digest, places: places.into_iter().take(PLACES).collect(), more }
        };
        self.0.into_iter().map(image).collect()
    }
}

/// Says what runs.
pub trait RunningImages {
    /// Returns every image that runs, sorted by name.
    fn running(&self) -> Result<Vec<RunningImage>, Fault>;
}
