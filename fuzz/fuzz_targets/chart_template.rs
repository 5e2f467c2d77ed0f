//! A template ends: with a text or an error, the same both times, and within the limits. The first line is the values.

#![no_main]

use airlift::chart::fuzzing::render;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &str| {
    let (values, template) = data.split_once('\n').unwrap_or(("", data));
    assert_eq!(render(template, values), render(template, values));
});
