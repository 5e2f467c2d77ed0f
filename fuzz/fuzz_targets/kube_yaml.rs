//! Kubernetes YAML: whatever it holds, images, doubts and errors come out, and every image prints as it reads.
#![no_main]

use airlift::discover::kube;
use airlift::model::ImageRef;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    for place in ["fuzz.yaml", "kustomization.yaml"] {
        let scan = kube::parse(text, place, &|text| text.starts_with('!').then(|| "a reason".to_owned()));
        for hit in &scan.hits {
            assert_eq!(hit.reference.to_string().parse::<ImageRef>().as_ref(), Ok(&hit.reference));
        }
    }
});
