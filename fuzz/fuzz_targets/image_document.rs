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
    let (mut images, mut indexes) = (0, 0);
    for announced in ANNOUNCED {
        let Ok(document) = ImageDocument::parse(bytes, &MediaType::new(announced)) else { continue };
        assert!(document.children().len() <= bytes.len());
        match document {
            ImageDocument::Image(_) => images += 1,
            ImageDocument::Index(_) => indexes += 1,
        }
    }
    // Bytes that one client takes for an image and another for an index are an attack (CVE-2021-41190).
    assert!(images == 0 || indexes == 0, "accepted as {images} images and as {indexes} indexes");
});
