//! The ways to read a bundle agree: a check that finds nothing, a reader of a pipe, access by the tables, and a check of the
//! volume alone.
#![no_main]

use airlift::bundle::{BundleReader, Input, OpenBundle, check, check_volume};
use libfuzzer_sys::fuzz_target;
use std::io::{Cursor, Read};
use std::path::{Path, PathBuf};
use std::sync::LazyLock;

static FILE: LazyLock<PathBuf> =
    LazyLock::new(|| std::env::temp_dir().join(format!("airlift-fuzz-{}.airlift", std::process::id())));

fuzz_target!(|bytes: &[u8]| {
    let piped = check(stream(bytes), 1, &|_| {});
    let read = BundleReader::open(stream(bytes)).and_then(BundleReader::finish);
    assert_eq!(piped.findings.is_empty(), read.is_ok(), "{:?}\n{read:?}", piped.findings);
    assert_eq!(piped.summary.filter(|_| read.is_ok()), read.ok());

    std::fs::write(&*FILE, bytes).expect("a folder for temporary files");
    let filed = check(Input::Files(vec![FILE.clone()]), 1, &|_| {});
    let alone = check_volume(&FILE, &|_| {});
    if filed.findings.is_empty() {
        assert!(alone.findings.is_empty(), "a volume that is whole, but not alone: {:?}", alone.findings);
        assert!(piped.findings.is_empty(), "a file that is whole, but not as a stream: {:?}", piped.findings);
        assert!(every_blob(&FILE), "a file that is whole, but not by its tables");
    } else {
        every_blob(&FILE);
    }
});

fn stream(bytes: &[u8]) -> Input {
    Input::Stream(Box::new(Cursor::new(bytes.to_vec())))
}

/// Reads each blob by the tables; returns whether all of them could be.
fn every_blob(file: &Path) -> bool {
    let Ok(bundle) = OpenBundle::open(&[file.to_owned()]) else { return false };
    let mut buffer = [0; 4096];
    let (left, here): (Vec<_>, Vec<_>) = bundle.inventory().iter().partition(|record| record.omitted);
    assert!(left.iter().all(|record| matches!(bundle.blob(&record.digest, 0), Ok(None))), "left out, and here");
    here.iter().all(|record| {
        let Ok(Some(mut blob)) = bundle.blob(&record.digest, 0) else { return false };
        let mut size = 0;
        loop {
            match blob.read(&mut buffer) {
                Ok(0) => return size == record.size,
                Ok(n) => size += n as u64,
                Err(_) => return false,
            }
        }
    })
}
