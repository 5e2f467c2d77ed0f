//! Kubernetes YAML: whatever it holds, sightings and errors come out, and every reference prints as it reads.
#![no_main]

use airlift::discover::kube::{self, Looking};
use airlift::discover::operators::Table;
use airlift::model::ImageRef;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    let ignored = |text: &str| text.starts_with('!').then(|| "a reason".to_owned());
    for (place, rendered) in [("fuzz.yaml", false), ("fuzz.yaml", true), ("kustomization.yaml", false)] {
        let scan = kube::parse(text, &Looking { place, rendered, ignored: &ignored, fields: Table::builtin() });
        for reference in scan.sightings.iter().filter_map(|seen| seen.reference.as_ref()) {
            assert_eq!(reference.to_string().parse::<ImageRef>().as_ref(), Ok(reference));
        }
    }
});
