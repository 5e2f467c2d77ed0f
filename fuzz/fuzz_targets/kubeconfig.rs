//! A kubeconfig and a page of pods: read or refused, and what a kubeconfig holds is not in the refusal.
#![no_main]

use airlift::cluster::{Kubeconfigs, parse_pods};
use airlift::model::running::Merged;
use libfuzzer_sys::fuzz_target;
use std::path::Path;

fuzz_target!(|bytes: &[u8]| {
    // Files that it names are not read here: a fuzzed path may lead anywhere.
    let _ = Kubeconfigs::of_bytes(bytes, Path::new("fuzz"));
    if let Ok(page) = parse_pods(bytes) {
        let mut found = Merged::default();
        page.pods.iter().for_each(|pod| pod.images(&mut found));
        let _ = found.finish();
    }
});
