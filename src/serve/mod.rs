//! Floor 3: an embedded OCI registry, to push to and to pull from.
//!
//! Follows the OCI distribution specification 1.1 in all four categories: pull, push, content discovery and
//! content management. What it has lies in a folder that it keeps, survives a restart and may be shared by two runs;
//! or on a [`Shelf`]: an index over bytes that lie elsewhere, which can only be read.
//! Nothing becomes visible before its digest was checked, and memory does not grow with the size of a blob.
//! Demonstrations, tests and clusters without a registry of their own use it; so it counts what it is asked
//! ([`Counters`]) and misbehaves on demand ([`Faults`]).
//!
//! This room knows the protocol, the folder and the shelf. It knows nothing of bundles, clients or trust.

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
mod shelf;
mod stock;
mod tls;
mod uploads;
mod users;

pub use auth::Auth;
pub use counters::{Counters, Exchange};
pub use faults::{Answer, Faults, Rule, RuleStart};
pub use server::{Content, EmbeddedRegistry, Options, Running, ServeError};
pub use shelf::{NameError, Shelf, Spot, TagConflict};
pub use tls::{Identity, TlsError};
pub use users::{Users, UsersError};

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
