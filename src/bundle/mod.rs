//! Floor 3: the container that survives a journey. `FORMAT.md` beside this file has the bytes.
//!
//! A bundle is an OCI image layout in a tar stream in zstd frames, cut into volumes that describe themselves. The
//! head comes first: index, lock, policy, evidence, an inventory of every blob, and the author's envelope over the
//! statement that names them all. So authenticity is decided before payload is read.
//!
//! This room knows `model` only. It opens and writes bundle files; it asks no network, judges no signature and reads
//! none of the papers that it carries.

mod access;
mod alone;
mod arrange;
mod assembly;
mod blob_check;
mod bounds;
mod check;
mod compress;
mod countersign;
mod crew;
mod disk;
mod feed;
mod fetch;
mod fields;
mod frame;
mod frames;
#[doc(hidden)]
pub mod fuzzing;
mod head;
mod header;
#[cfg(test)]
mod hostile;
mod in_turn;
mod inventory;
mod journal;
mod layout;
mod media;
mod media_stream;
mod parity;
mod payload;
mod plan;
mod read_error;
mod reader;
mod region_b;
mod rescan;
mod sequence;
mod sizes;
mod statement;
mod strangers;
mod stream;
mod tables;
mod tarhead;
mod trailer;
mod volume_check;
mod volume_files;
mod volume_set;
mod volume_walk;
mod volumes;
mod walk;
mod write_error;
mod writer;

pub use access::OpenBundle;
pub use bounds::{Bounds, Range};
pub use check::{Checked, check};
pub use countersign::{Countersignature, Countersigning, carried_report, name_beside, write_countersignature};
pub use disk::{free_at, nearest_folder};
pub use feed::Input;
pub use in_turn::{Sources, Target, WrittenInTurn, write_in_turn};
pub use inventory::{Class, InventoryRecord};
pub use layout::LayoutError;
pub use media::MediaFolders;
pub use media_stream::MediaStream;
pub use parity::{
    AmountError, Condition, Damage, ParityAmount, ParityError, ParityRequest, Protection, Rebuilt, Repaired, TooMuch,
    Watch, add_parity, look_for_damage, parity_at_hand, repair,
};
pub use plan::{Body, BundlePlan, Item, Options, Papers, PlanError};
pub use read_error::{ReadClass, ReadError, SetName, Spot};
pub use reader::{BundleReader, Entry, Summary};
pub use sizes::VolumeSizes;
pub use strangers::strangers;
pub use stream::write_stream;
pub use volume_check::{CheckedVolume, VolumeName, check_volume, volume_name};
pub use volume_set::VolumeSet;
pub use volumes::{VolumeMark, find_volumes, volume_marks};
pub use write_error::{FillError, Lack, WriteError};
pub use writer::{BundleWriter, Pending, Resumed, Written};
