//! YAML that a person wrote: limits hold, whatever the anchors, and nothing panics.
#![no_main]

use airlift::document::yaml;
use libfuzzer_sys::fuzz_target;
use serde_json::Value;

fuzz_target!(|text: &str| {
    let _ = yaml::parse::<Value>(text, "fuzz");
});
