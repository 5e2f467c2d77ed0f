//! Seals: an envelope that this program did not make proves nothing, and a good one only its own document.
#![no_main]

use airlift::trust::{BUNDLE_STATEMENT, PublicKey, unseal};
use libfuzzer_sys::fuzz_target;
use std::sync::LazyLock;

/// What the seed's envelope is about.
const DOCUMENT: &[u8] = b"a head";

static KEY: LazyLock<PublicKey> =
    LazyLock::new(|| PublicKey::from_pem(include_bytes!("../material/seal.pub")).expect("a public key"));

fuzz_target!(|envelope: &[u8]| {
    let accepted = std::slice::from_ref(&*KEY);
    if unseal(BUNDLE_STATEMENT, DOCUMENT, envelope, accepted).is_ok() {
        assert!(unseal(BUNDLE_STATEMENT, b"another head", envelope, accepted).is_err());
        assert!(unseal(BUNDLE_STATEMENT, DOCUMENT, envelope, &[]).is_err());
    }
});
