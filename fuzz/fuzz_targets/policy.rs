//! Policies that a person wrote: read or refused, and a judge is made of what was read without a panic.
#![no_main]

use airlift::document::policy::Policy;
use airlift::trust::Judge;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    let Ok(policy) = Policy::parse(text, "fuzz") else { return };
    assert_eq!(policy.to_text(), text);
    let _ = Judge::new(&policy, &mut |file: &str| Ok(file.as_bytes().to_vec()), 1_700_000_000);
});
