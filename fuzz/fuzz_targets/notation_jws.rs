//! Envelopes of the Notary Project in JSON: read without a panic, and none counts that was changed after it was signed.
#![no_main]

use airlift::trust::fuzzing;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    if fuzzing::jws(bytes) {
        // A JSON reader takes the same text with a key more, and must not.
        let twice = [b"{\"payload\":\"\",", bytes.get(1..).unwrap_or_default()].concat();
        assert!(!fuzzing::jws(&twice), "a key stands there twice");
    }
});
