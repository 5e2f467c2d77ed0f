//! Floor 1: values and ports. What everything else is about: digests, descriptors, references,
//! image documents, evidence, events and the ports that adapters implement.
//!
//! This room does no input or output, keeps no state and may name no other room.

pub mod checked;
pub mod descriptor;
pub mod digest;
pub mod event;
pub mod evidence;
pub mod fault;
pub mod file_url;
pub mod image;
pub mod json;
pub mod limits;
pub mod medium;
pub mod port;
pub mod reference;
pub mod running;
pub mod spoken;

pub use checked::Checked;
pub use descriptor::{Descriptor, MediaType, Platform};
pub use digest::{Algorithm, Content, Digest, Digester};
pub use event::{Event, EventSink};
pub use evidence::{Evidence, Finding, Verdict};
pub use fault::{Fault, FaultKind};
pub use file_url::FileUrl;
pub use image::{ImageDocument, ImageIndex, ImageManifest};
pub use reference::{ImageRef, Reference, Repository, Tag};
