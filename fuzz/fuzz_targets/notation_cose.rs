//! Envelopes of the Notary Project in CBOR: read without a panic, and none counts with something behind it.
#![no_main]

use airlift::trust::fuzzing;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    if fuzzing::cose(bytes) {
        assert!(!fuzzing::cose(&[bytes, b"\0"].concat()), "something stands behind the envelope");
    }
});
