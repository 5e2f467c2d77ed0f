//! The kernel's lock on an open file, which dies with the process that holds it.

use rustix::fs::FlockOperation;
use rustix::io::Errno;
use std::fs::File;
use std::io;

/// How a lock is held.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Hold {
    /// With others; waits while somebody holds it alone.
    Shared,
    /// With others, or not at all.
    SharedNow,
    /// Alone; waits for all others.
    Alone,
    /// Alone, or not at all.
    AloneNow,
}

/// Takes the kernel lock of `file`, which is held until the file is closed; `false` where it is not to be had now.
pub(super) fn lock(file: &File, hold: Hold) -> io::Result<bool> {
    let operation = match hold {
        Hold::Shared => FlockOperation::LockShared,
        Hold::SharedNow => FlockOperation::NonBlockingLockShared,
        Hold::Alone => FlockOperation::LockExclusive,
        Hold::AloneNow => FlockOperation::NonBlockingLockExclusive,
    };
    loop {
        match rustix::fs::flock(file, operation) {
            Ok(()) => return Ok(true),
            Err(Errno::INTR) => {}
            Err(Errno::WOULDBLOCK) => return Ok(false),
            Err(error) => return Err(error.into()),
        }
    }
}
