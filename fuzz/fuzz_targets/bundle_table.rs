//! A table of a volume that somebody else wrote, under digests that fit: every blob that is read by it is the right one or an error.
#![no_main]

use airlift::bundle::{Input, OpenBundle, check, fuzzing};
use airlift::model::Digest;
use libfuzzer_sys::fuzz_target;
use std::io::Read;
use std::path::PathBuf;
use std::sync::LazyLock;

const WHOLE: &[u8] = include_bytes!("../seeds/bundle_check/one");
static FILE: LazyLock<PathBuf> =
    LazyLock::new(|| std::env::temp_dir().join(format!("airlift-fuzz-table-{}.airlift", std::process::id())));

fuzz_target!(|table: &[u8]| {
    let bytes = fuzzing::with_table(WHOLE, table).expect("the seed is a bundle");
    std::fs::write(&*FILE, &bytes).expect("a folder for temporary files");
    let found = check(Input::Files(vec![FILE.clone()]), 1, &|_| {}).findings;
    assert!(!found.is_empty() || bytes == WHOLE, "another table is accepted as whole");
    let Ok(bundle) = OpenBundle::open(&[FILE.clone()]) else { return };
    for record in bundle.inventory() {
        for from in [0, record.size / 2, record.size, u64::MAX] {
            let Ok(Some(blob)) = bundle.blob(&record.digest, from) else { continue };
            let mut content = Vec::new();
            // A table cannot make more of a blob than the inventory gives it.
            let read = blob.take(record.size + 1).read_to_end(&mut content);
            if from == 0 && read.is_ok() {
                assert_eq!(Digest::of_with(record.digest.algorithm(), &content), record.digest);
            }
            assert!(content.len() as u64 <= record.size.saturating_sub(from));
        }
    }
});
