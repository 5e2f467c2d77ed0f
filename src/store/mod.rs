//! Floor 3: OCI image layouts on a disk, as a place that can be filled and read.
//!
//! Knows files and the layout's form (OCI image specification, "Image Layout"); knows no network, no
//! signature and no bundle. A blob gets its name only after its bytes matched; `index.json` is replaced
//! as a whole, after everything that it names is there. One run at a time fills a folder; any number share a store (`cache`).
//! The same layout leaves as a tar: to a file that gets its name at its end, or to another program.
//!
//! [`archive`] reads what other tools packed.

pub mod archive;
pub mod cache;
mod folder_files;
mod kernel_lock;
mod layout;
mod outgoing_archive;
mod outgoing_file;
mod put;

pub use folder_files::FolderFiles;
pub use layout::{LayoutFolder, OpenError};
pub use outgoing_archive::{ArchiveError, ArchiveWriter, closing, entry_length};
pub use outgoing_file::{OutgoingError, OutgoingFile, ends_with};
pub use put::{PutError, put};
