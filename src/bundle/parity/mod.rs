//! Parity volumes: any N lost or damaged volumes, and bad sectors within volumes, are made again (FORMAT.md,
//! "Parity volumes").
//!
//! Data volumes are cut into *shards*, and shards into blocks of 64 KiB; block n of all shards is stripe n. To each
//! stripe of K data blocks the erasure code adds M parity blocks, one to each parity volume, and any M of the K + M
//! can be made from the others. Which blocks are bad is told by lists of hashes that every parity volume repeats.
//!
//! Parity is outside the signature. It is believed in nothing: a volume that was made again must pass the checks of
//! one that never broke, so forged parity can only fail.

mod amount;
mod at_hand;
mod bits;
mod code;
mod damage;
mod error;
mod make;
mod naming;
mod pass;
mod rebuild;
mod scheme;
mod segment;
mod sources;
mod stripes;
mod volume;

pub use amount::{AmountError, ParityAmount};
pub use at_hand::{Protection, parity_at_hand};
pub use damage::{Condition, Damage, TooMuch, look_for_damage};
pub use error::ParityError;
pub use make::{ParityRequest, add_parity};
pub use rebuild::{Rebuilt, Repaired, repair};

pub(super) use at_hand::{protection, stated_total};
pub(super) use pass::{check_file, pass};
pub(super) use volume::is_parity;

/// Company of long work: how wide it is, who hears of bytes, and whether it was asked to stop.
#[derive(Clone, Copy)]
pub struct Watch<'a> {
    /// Things done at once.
    pub threads: usize,
    /// Is told of bytes that were read, from any thread.
    pub moved: &'a (dyn Fn(u64) + Sync),
    /// Returns whether the work was asked to stop.
    pub stopped: &'a (dyn Fn() -> bool + Sync),
}

impl Watch<'_> {
    /// Fails once the work was asked to stop.
    fn go_on(&self) -> Result<(), ParityError> {
        if (self.stopped)() { Err(ParityError::Stopped) } else { Ok(()) }
    }
}
