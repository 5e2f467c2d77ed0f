//! Floor 3: judges bytes against a policy; asks nobody.
//!
//! It is given a policy, an artifact's name and digest, and what was found beside it, and says whether the
//! artifact may be carried, by which rule and why ([`Judge`]). It also makes and checks the seals over airlift's
//! own documents ([`seal()`], [`unseal`]). It opens no file, knows no network and reads no clock: files come
//! through a function that is handed in, and so does the time.
//!
//! What it holds to:
//!
//! - Default deny. Evidence that cannot be judged is [`Unknown`](crate::model::Verdict::Unknown), and unknown is not good.
//! - A name decides which rule applies; only bytes decide whether it is met. Media types, tags and annotations
//!   are hints on how to read, never evidence.
//! - A signature is judged against one named root or key, never against the union of all.
//! - An attestation is no signature, and a signature no attestation, whoever made them.
//! - The verifying library stands behind a guard (`bundle03`), because it accepts some bundles that must not count.

mod attempt;
mod authors;
mod bundle03;
mod check;
mod consent;
mod decision;
mod envelope;
mod explain;
#[doc(hidden)]
pub mod fuzzing;
mod identity;
mod judge;
mod judged;
pub mod keyfile;
pub mod keys;
mod legacy;
mod marks;
mod notation;
mod outcome;
mod pem;
mod pieces;
mod policy_files;
mod predicate;
mod roots;
mod rules;
pub mod seal;
mod signers;
pub mod simple;
mod statement;
mod time;
mod vulnerabilities;

pub use authors::{Approval, Authors};
pub use explain::{Attempted, DemandStep, Explanation, RuleAbout};
pub use judge::{Judge, Judgement};
pub use keys::{KeyError, PublicKey, SigningKey};
pub use marks::{BundleSeals, Countersigned};
pub use notation::StoreError;
pub use pieces::{Candidate, legacy_tags, wants_layers};
pub use policy_files::PolicyFiles;
pub use roots::RootError;
pub use seal::{
    BUNDLE_STATEMENT, COUNTERSIGNATURE_STATEMENT, LOCK_STATEMENT, RECEIPT_STATEMENT, SealError, SealSignature, Sealed,
    seal, seal_by, unseal,
};
pub use signers::TrustError;
pub use simple::{SignedPayload, sign_simple};
