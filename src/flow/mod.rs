//! Floor 4: the verbs, one file each, as functions over ports: plan, then run.
//!
//! Names every room below and no other crate's types but those behind its doors. Reads files that a person
//! named; asks for no environment and no clock, both are handed in. What happens on the way is an event.

mod audit;
mod beside;
mod catalogues;
mod charts;
mod checked;
mod choose;
mod context;
mod deliver;
mod difference;
mod drift;
mod error;
mod gather;
mod guard;
mod import;
mod judge_again;
mod making;
mod moves;
mod opened;
mod pack;
mod plan_delivery;
pub mod pool;
mod preflight;
mod publish;
mod receipt;
mod remember;
mod resolve;
mod running;
mod shelve;
mod shipment;
mod subset;
mod sync;
mod update;
mod verify;
mod wanted;

pub use audit::{Audit, AuditedImage, DifferingImage, audit};
pub use beside::note_beside;
pub use charts::{ChartReading, RendererChoice};
pub use context::Context;
pub use difference::{Changed, Difference, Held, Holding, OneSided, compare};
pub use drift::{Drift, DriftKind, Drifted, against as drift_against, look as look_for_drift};
pub use error::{FlowError, ItemFault, Refusal};
pub use guard::{Guard, take as take_guard};
pub use import::{Imported, Medium, Request as ImportRequest, import};
pub use making::{Making, make};
pub use moves::moves;
pub use opened::{Authors, Opened, open as open_bundle};
pub use pack::{Packed, Request as PackRequest, pack, pack_stream};
pub use plan_delivery::{ArtifactPlan, BlobPlan, DeliveryPlan, DocumentStep, Prefix};
pub use preflight::Mode;
pub use publish::{check_publishable, publish};
pub use remember::Remembering;
pub use resolve::Resolved;
pub use running::{WantedByCluster, wanted_by};
pub use shelve::{Shelved, shelve_bundle, shelve_layout};
pub use shipment::{NeededBlob, Shipment};
pub use sync::{Request as SyncRequest, sync};
pub use update::Update;
pub use verify::{Request as VerifyRequest, Verified, verify};
pub use wanted::{Listing, Lookup, Pins, Wanted, list, look_up, read_paper};
