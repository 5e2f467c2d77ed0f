//! The strict reader accepts nothing that the plain one refuses, and canonical form is stable.
#![no_main]

use airlift::model::json;
use libfuzzer_sys::fuzz_target;
use serde_json::Value;

fuzz_target!(|bytes: &[u8]| {
    if let Ok(value) = json::parse::<Value>(bytes) {
        let canonical = json::canonical(&value);
        let again: Value = json::parse(&canonical).expect("canonical JSON is strict JSON");
        assert_eq!(json::canonical(&again), canonical);
    }
});
