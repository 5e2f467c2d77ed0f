//! Manifests and indexes from a registry: accepted whole or refused, under every type that could be announced.
#![no_main]

use airlift::model::{ImageDocument, MediaType};
use libfuzzer_sys::fuzz_target;

const ANNOUNCED: [&str; 5] = [
    "application/vnd.oci.image.manifest.v1+json",
    "application/vnd.oci.image.index.v1+json",
    "application/vnd.docker.distribution.manifest.v2+json",
    "application/vnd.docker.distribution.manifest.list.v2+json",
    "text/plain",
];

fuzz_target!(|bytes: &[u8]| {
    let mut accepted = 0;
    for announced in ANNOUNCED {
        if let Ok(document) = ImageDocument::parse(bytes, &MediaType::new(announced)) {
            accepted += 1;
            let _ = document.artifact_type();
            assert!(document.children().len() <= bytes.len());
        }
    }
    // Bytes that two clients could take for two kinds of document are the attack that the type check is for.
    assert!(accepted <= 1, "accepted under {accepted} types");
});
