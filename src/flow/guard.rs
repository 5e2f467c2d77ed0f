//! Keeps two runs of one job apart: a kernel lock on a file, which dies with the process that holds it.

use super::error::FlowError;
use std::fs::File;
use std::io::{Read, Seek, Write};
use std::path::Path;

/// Held as long as the run lasts.
pub struct Guard {
    _file: File,
}

/// Takes the lock file at `path`, or fails with who holds it. `who` says it for the next one.
pub fn take(path: &Path, who: &str) -> Result<Guard, FlowError> {
    let fail = |source| FlowError::file(path, "cannot be used as a lock file", source);
    let mut file = File::options().read(true).write(true).create(true).truncate(false).open(path).map_err(fail)?;
    if let Err(error) = rustix::fs::flock(&file, rustix::fs::FlockOperation::NonBlockingLockExclusive) {
        if error != rustix::io::Errno::WOULDBLOCK {
            return Err(fail(error.into()));
        }
        let mut holder = String::new();
        Read::by_ref(&mut file).take(1024).read_to_string(&mut holder).map_err(fail)?;
        return Err(FlowError::Busy(format!("another run holds {}: {}", path.display(), holder.trim())));
    }
    let write = |file: &mut File| {
        file.set_len(0)?;
        file.rewind()?;
        writeln!(file, "{who}")
    };
    write(&mut file).map_err(fail)?;
    Ok(Guard { _file: file })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_run_is_told_who_holds_the_lock() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("job.lock");
        let first = take(&path, "process 7").unwrap();
        let error = take(&path, "process 8").err().unwrap().to_string();
        assert!(error.contains("process 7"), "{error}");
        drop(first);
        assert!(take(&path, "process 9").is_ok());
    }
}
