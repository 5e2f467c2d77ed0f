//! Tokens of timestamp authorities: read without a panic; the seconds between which one stands have an order.
#![no_main]

use airlift::trust::fuzzing;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    if let Some((first, last)) = fuzzing::timestamp(bytes) {
        assert!(first <= last);
    }
});
