//! Floor 3: an embedded OCI registry, to push to and to pull from.
//!
//! Follows the OCI distribution specification 1.1 in all four categories: pull, push, content discovery and
//! content management. It keeps what it has in a folder, survives a restart, and lets two runs share one folder.
//! Nothing becomes visible before its digest was checked, and memory does not grow with the size of a blob.
//! Demonstrations, tests and clusters without a registry of their own use it; so it counts what it is asked
//! ([`Counters`]) and misbehaves on demand ([`Faults`]).
//!
//! This room knows the protocol and the folder. It knows nothing of bundles, clients or trust.

mod around;
mod auth;
mod blobs;
mod counters;
mod errors;
mod faults;
mod folder;
mod line;
mod listing;
mod manifests;
mod names;
mod outgoing;
mod records;
mod route;
mod server;
mod uploads;

pub use auth::Auth;
pub use counters::{Counters, Exchange};
pub use faults::{Answer, Faults, Rule, RuleStart};
pub use server::{EmbeddedRegistry, Options, Running, ServeError};

// What the doubles of the testkit are built from.
#[cfg(any(test, feature = "testkit"))]
pub(crate) use {
    auth::basic,
    errors::Refusal,
    folder::{Folder, unguessable},
    manifests::read_body,
    names::{Name, PathError, Target, parse, unescape},
    records::Document,
    route::{drain, query_of},
    server::{Registry, lock},
};
