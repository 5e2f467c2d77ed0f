//! An archive of any form is read or refused, and a document that it gives out is the one that was asked for.

#![no_main]

use airlift::model::port::ImageSource;
use airlift::model::{Digest, Reference};
use airlift::store::archive::fuzzing;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let Ok(trove) = fuzzing::archive(data, "registry.example/x") else { return };
    for offer in trove.offers() {
        let Ok(document) = trove.manifest(&offer.name.repository, &offer.name.reference()) else { continue };
        assert_eq!(
            document.descriptor.digest,
            Digest::of_with(document.descriptor.digest.algorithm(), &document.bytes)
        );
        if let Reference::Digest(digest) = offer.name.reference() {
            assert_eq!(document.descriptor.digest, digest);
        }
        let _ = trove.lacks(&document.descriptor.digest);
        let _ = trove.referrers(&offer.name.repository, &document.descriptor.digest);
    }
});
