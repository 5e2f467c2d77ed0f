//! Floor 4: the verbs, one file each, as functions over ports: plan, then run.
//!
//! Names every room below and no other crate's types but those behind its doors. Reads files that a person
//! named; asks for no environment and no clock, both are handed in. What happens on the way is an event.

mod attachments;
mod bill;
mod checked;
mod context;
mod countersign;
mod deliver;
mod error;
mod gather;
mod guard;
mod import;
mod judge_again;
mod notices;
mod opened;
mod pack;
mod plan_delivery;
mod policy_check;
mod policy_lint;
mod policy_table;
pub mod pool;
mod preflight;
mod publish;
mod receipt;
mod remember;
mod resolve;
mod shelve;
mod shipment;
mod signed_paper;
mod subset;
mod sync;
mod verify;
mod wanted;

pub use crate::trust::Authors;
pub use attachments::Discovery;
pub use bill::{Inspected, bill_of_lading, checksum, inspect};
pub use context::Context;
pub use countersign::{Countersigned, Request as CountersignRequest, countersign};
pub use error::{FlowError, ItemFault, Refusal};
pub use guard::{Guard, take as take_guard};
pub use import::{Imported, Medium, Request as ImportRequest, import};
pub use opened::{Opened, open as open_bundle};
pub use pack::{Packed, Request as PackRequest, pack, pack_stream};
pub use plan_delivery::{ArtifactPlan, BlobPlan, DeliveryPlan, DocumentStep, Prefix};
pub use policy_check::{Checked, CheckedArtifact, FoundEvidence, check_bundle, check_policy};
pub use policy_lint::lint_policy;
pub use policy_table::{CaseOutcome, test_policy};
pub use preflight::Mode;
pub use publish::{check_publishable, publish};
pub use remember::Remembering;
pub use resolve::{Resolved, Update};
pub use shelve::{Shelved, shelve_bundle, shelve_layout};
pub use shipment::{NeededBlob, Shipment};
pub use signed_paper::{
    AcceptedReceipt, ReceiptDemand, accept_receipt, is_time, publish_signed, read_signed, signature_path,
};
pub use sync::{Request as SyncRequest, sync};
pub use verify::{AUTHORS_HINT, Request as VerifyRequest, Verified, verify};
pub use wanted::{Lookup, Wanted, look_up, read_paper};
