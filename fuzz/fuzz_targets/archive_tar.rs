//! A tar is read or refused; what is found in it lies within it, and its names stay within it.

#![no_main]

use airlift::store::archive::fuzzing;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    fuzzing::extended_header(data);
    for (name, at, size) in fuzzing::tar(data).unwrap_or_default() {
        assert!(at + size <= data.len() as u64, "{name:?}");
        assert!(!name.starts_with('/') && !name.split('/').any(|part| matches!(part, "" | "." | "..")), "{name:?}");
    }
});
