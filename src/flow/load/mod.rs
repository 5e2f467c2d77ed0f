//! What a machine loads out of a bundle: chosen, named, and written as one archive.
//!
//! | file | what it does |
//! |---|---|
//! | `plan` | says what is loaded under which names, and what is left out and why; data only |
//! | `choose` | makes that of a bundle's head |
//! | `names` | how the cluster will ask for an artifact |
//! | `archive` | lays out the archive and writes it |
//! | `supply` | gives the payload, from volumes in any order or from a stream in its own |

mod archive;
mod choose;
mod names;
mod plan;
mod supply;

pub use archive::{Archive, LoadError};
pub use choose::choose;
pub use plan::{Choice, LeftOut, LoadItem, LoadPlan, Reason, Shape};
pub use supply::Supply;
