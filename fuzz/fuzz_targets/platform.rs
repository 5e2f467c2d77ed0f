//! A platform that parses prints as something that parses to the same value.
#![no_main]

use airlift::model::Platform;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    if let Some(platform) = Platform::parse(text) {
        assert_eq!(Platform::parse(&platform.to_string()).as_ref(), Some(&platform), "{text:?}");
        assert!(platform.serves(&platform));
    }
});
