//! Content that another tool packed: OCI layouts, archives of docker save, hauler, Zarf, oc-mirror, imgpkg, and the
//! storage of a registry, read in place.
//!
//! Nothing is ever unpacked to a name on a disk. A file of a tar is a stretch of bytes in it; a link is a name in a
//! table, followed once and only where a form needs it. A compressed archive becomes one temporary file without a name.

mod contents;
mod distribution;
mod docker;
mod folder;
mod form;
#[doc(hidden)]
pub mod fuzzing;
mod imgpkg;
mod joined;
mod layout;
mod name;
mod pax;
mod survey;
mod table;
mod tar_index;
mod trove;
mod unpack;

pub use form::{Form, SourceName};
pub use name::{Naming, NamingError};
pub use survey::{Surveyed, Unpacking, survey};
pub use trove::{Found, Offer, Trove};
