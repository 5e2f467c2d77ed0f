//! Lists of images: each reference once, with lines that are in the file.
#![no_main]

use airlift::discover::list;
use libfuzzer_sys::fuzz_target;
use std::collections::BTreeSet;

fuzz_target!(|bytes: &[u8]| {
    match list::parse(bytes, "fuzz") {
        Ok(listed) => {
            let lines = bytes.split(|byte| *byte == b'\n').count();
            assert!(listed.iter().all(|one| (1..=lines).contains(&one.line)));
            let different: BTreeSet<_> = listed.iter().map(|one| &one.reference).collect();
            assert_eq!(different.len(), listed.len());
        }
        Err(error) => assert!(error.to_string().len() < 200_000, "an error of unbounded length"),
    }
});
