//! The parts that a bundle is made of, one parser at a time: what is accepted has one spelling, and no more is believed.
#![no_main]

use airlift::bundle::fuzzing;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let Some((which, bytes)) = bytes.split_first() else { return };
    let good = match which % 4 {
        0 => fuzzing::head(bytes),
        1 => fuzzing::frames(bytes),
        2 => fuzzing::tar(bytes, u64::from(*which) * 100),
        _ => fuzzing::volume(bytes),
    };
    assert!(good, "what was accepted is not what is written");
});
