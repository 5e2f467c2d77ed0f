//! The store: content that is kept between runs, for those who mirror again and again. Never needed for a run.
//!
//! A store is an OCI image layout without names: `oci-layout`, an empty `index.json`, and `blobs/ALGORITHM/HEX`, which
//! plain tools can read. What is airlift's own stands under `airlift/`:
//!
//! | name | what |
//! |---|---|
//! | `store.json` | opening of the store: `apiVersion`, `kind: Store`; a later version is refused |
//! | `roots/NAME.json` | what one job keeps: digests and sizes (`kind: StoreRoot`) |
//! | `lock` | kernel lock: shared by whoever reserves for a moment, exclusive while content is freed |
//! | `runs/NAME` | a run that is at work: holds a kernel lock on it, and lists in it what must not be freed |
//! | `incoming/RUN.N.partial` | content that is being written and has no name yet |
//! | `aside/ALGORITHM-HEX` | what stood under a blob's name and was not that blob |
//!
//! Promises: a blob gets its name after its bytes matched and were synced, at one stroke, so any number of runs may share
//! a store and all see whole blobs only; what is read is checked against its digest every time; what is found to be bad
//! is set aside and fetched again; links, pipes and devices are not followed; what a live run has reserved is not freed.
//! A disk that is full or fails makes the store useless, never the run.

mod check;
mod dir;
mod documents;
mod folder;
mod free;
mod incoming;
#[cfg(test)]
mod promises;
mod reading;
mod root;
mod run;
mod show;
mod stock;
mod stocked;
mod sweep;
mod tee;

pub use check::{BadBlob, Found, Slice};
pub use folder::{StoreError, StoreFolder, StoredBlob};
pub use free::{FreePlan, Freeing, Keeping};
pub use root::{KeptBlob, RootName, StoreRoot};
pub use run::StoreRun;
pub use show::{RootShown, StoreShown};
pub use stock::StockedTally;
pub use stocked::Stocked;
