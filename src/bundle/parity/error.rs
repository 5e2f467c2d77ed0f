//! Why parity is not made, or a bundle is not repaired. Whatever the reason, no source was changed.

use super::code::CodeError;
use crate::bundle::read_error::ReadError;
use crate::bundle::write_error::WriteError;
use std::path::PathBuf;

/// Why parity work ended early.
#[derive(Debug, thiserror::Error)]
pub enum ParityError {
    /// The bundle cannot be read.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// A file cannot be written.
    #[error(transparent)]
    Write(#[from] WriteError),
    /// The code refused what it was given.
    #[error("the erasure code failed")]
    Code(#[from] CodeError),
    /// No parity volume of the bundle is there.
    #[error("no parity volume that can be used is in {place}")]
    Absent {
        /// Where was looked.
        place: String,
    },
    /// More of something than parity covers.
    #[error("{found} {what}: one parity set covers at most {limit}")]
    TooMany {
        /// Of what.
        what: &'static str,
        /// How many.
        found: u64,
        /// Limit.
        limit: u64,
    },
    /// Parity volumes of another amount, or of another bundle, have the names.
    #[error("{} exists: {why}; nothing was changed", .path.display())]
    Exists {
        /// The file in the way.
        path: PathBuf,
        /// How it differs.
        why: &'static str,
    },
    /// What was made again is not what was lost: parity does not tell the truth.
    #[error("volume {number} was made again and does not pass its own checks: {why}")]
    Refuted {
        /// Number of the volume.
        number: u32,
        /// What does not match.
        why: String,
    },
    /// The work was asked to stop.
    #[error("stopped on request; nothing was changed, the same command begins again")]
    Stopped,
}
