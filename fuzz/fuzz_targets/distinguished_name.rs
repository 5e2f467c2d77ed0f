//! Distinguished names of policies: what is read prints back to the same name, and covers itself.
#![no_main]

use airlift::document::policy::DistinguishedName;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    if let Ok(name) = text.parse::<DistinguishedName>() {
        assert_eq!(name.to_string().parse().as_ref(), Ok(&name));
        assert!(name.covers(&name));
    }
});
