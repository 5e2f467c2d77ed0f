//! Challenges and tokens: a token service is reached by TLS where the registry is, and trusted by rule only.
#![no_main]

use airlift::registry::fuzzing;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    if let Some((realm, trusted)) = fuzzing::challenge(text) {
        assert!(realm.starts_with("https://"), "{realm}");
        let host = realm["https://".len()..].split(['/', ':', '?', '#']).next().unwrap_or_default();
        assert!(!trusted || host == "registry.example", "{realm}");
    }
    let _ = fuzzing::token(text.as_bytes());
});
