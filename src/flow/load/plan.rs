//! What is loaded, and what is not: data that can be printed before anything happens.

use crate::document::pattern::Pattern;
use crate::flow::plan_delivery::Prefix;
use crate::model::{Descriptor, Digest, Finding, ImageRef, Platform};
use serde::Serialize;

/// What is wanted of a bundle.
#[derive(Debug, Clone, Default)]
pub struct Choice {
    /// Artifacts that are wanted, by their source; all of them where there is no pattern.
    pub include: Vec<Pattern>,
    /// Artifacts that are not wanted after all.
    pub exclude: Vec<Pattern>,
    /// Platform of the machine; all that the bundle has where it is not said.
    pub platform: Option<Platform>,
    /// Leave out what is no image, and what is attached to images.
    pub images_only: bool,
    /// Leave out images that are for other platforms only, instead of failing.
    pub skip_other_platforms: bool,
    /// Names are given that an import to this place would give, beside those of the source.
    pub mapped: Option<Prefix>,
}

/// For whom it is loaded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shape {
    /// For other tools: everything, as it stands.
    Whole,
    /// For the runtime of a node: images as a pull would leave them.
    Node,
    /// For the folder of k3s: the same, with names that k3s reads.
    Folder,
    /// For Docker: images of one platform, each without an index above it.
    Docker,
}

/// What is loaded, in the order of the lock.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct LoadPlan {
    /// Artifacts.
    pub items: Vec<LoadItem>,
    /// Artifacts of the bundle that are not loaded.
    pub left_out: Vec<LeftOut>,
    /// What a person should know beforehand.
    pub findings: Vec<Finding>,
}

/// One artifact that is loaded.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct LoadItem {
    /// Artifact as the lock names it.
    pub source: ImageRef,
    /// What the names will stand for.
    pub digest: Digest,
    /// Names that it gets.
    pub names: Vec<String>,
    /// Bytes of everything under the names.
    pub bytes: u64,
    /// The document itself.
    #[serde(skip)]
    pub top: Descriptor,
    /// Whether containers can be made of it.
    #[serde(skip)]
    pub runnable: bool,
    /// Documents, what is pointed to first, the top last.
    #[serde(skip)]
    pub documents: Vec<Digest>,
    /// Configurations, layers and other content, in the order of need.
    #[serde(skip)]
    pub blobs: Vec<Descriptor>,
    /// The one image that a machine runs, where it is one.
    #[serde(skip)]
    pub image: Option<Digest>,
    /// What is attached, with the name of each that has one.
    #[serde(skip)]
    pub attached: Vec<(Descriptor, Option<String>)>,
}

/// One artifact that is not loaded.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct LeftOut {
    /// Artifact as the lock names it.
    pub source: ImageRef,
    /// Its digest.
    pub digest: Digest,
    /// Why not.
    pub reason: Reason,
    /// The same in words.
    pub why: String,
}

/// Why an artifact is not loaded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Reason {
    /// Nobody asked for it.
    NotChosen,
    /// No container can be made of it.
    NoImage,
    /// It is for other platforms.
    OtherPlatform,
    /// A part of it may not be carried, so no copy of it is whole.
    NotCarried,
}
