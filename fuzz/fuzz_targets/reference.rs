//! A reference that parses prints as something that parses to the same value.
#![no_main]

use airlift::model::ImageRef;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    if let Ok(reference) = text.parse::<ImageRef>() {
        let printed = reference.to_string();
        assert_eq!(printed.parse::<ImageRef>().as_ref(), Ok(&reference), "{text:?} printed as {printed:?}");
    }
});
