//! Names in archives and the rules for them give whole names or none: the first line is a name, the second a rule.

#![no_main]

use airlift::store::archive::fuzzing;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &str| {
    let (text, rule) = data.split_once('\n').unwrap_or((data, ""));
    for name in fuzzing::name(text, rule) {
        assert!(name.parse::<airlift::model::ImageRef>().is_ok(), "{name:?}");
    }
});
