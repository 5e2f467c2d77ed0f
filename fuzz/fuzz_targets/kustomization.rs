//! What a kustomization says, and patches of both kinds on an object: read, applied or refused, never a panic.
#![no_main]

use airlift::discover::kustomize::fuzzing;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|texts: (&str, &str)| {
    let (first, second) = texts;
    fuzzing::kustomization(first);
    fuzzing::patch(first, second);
});
