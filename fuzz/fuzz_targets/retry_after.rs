//! Waits that a server asks for: never beyond our patience and what is added to spread the tries.
#![no_main]

use airlift::registry::fuzzing;
use libfuzzer_sys::fuzz_target;
use std::time::Duration;

const PATIENCE: Duration = Duration::from_secs(900);

fuzz_target!(|text: &str| {
    let (value, date) = text.split_once('\n').map_or((text, None), |(value, date)| (value, Some(date)));
    if let Some(wait) = fuzzing::retry_after(value, date, PATIENCE) {
        assert!(wait <= PATIENCE + Duration::from_secs(60), "{wait:?}");
    }
    let _ = fuzzing::retry_after(value, date, Duration::MAX);
});
