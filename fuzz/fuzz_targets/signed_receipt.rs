//! Signed receipts: a receipt and its seal, apart at the first NUL. A good seal proves its own bytes and nothing else.
#![no_main]

use airlift::document::receipt::Receipt;
use airlift::trust::{BUNDLE_STATEMENT, PublicKey, RECEIPT_STATEMENT, unseal};
use libfuzzer_sys::fuzz_target;
use std::sync::LazyLock;

static KEY: LazyLock<PublicKey> =
    LazyLock::new(|| PublicKey::from_pem(include_bytes!("../material/countersignature.pub")).expect("a public key"));

fuzz_target!(|bytes: &[u8]| {
    let at = bytes.iter().position(|byte| *byte == 0).unwrap_or(bytes.len());
    let (receipt, seal) = (&bytes[..at], bytes.get(at + 1..).unwrap_or_default());
    let accepted = std::slice::from_ref(&*KEY);
    if unseal(RECEIPT_STATEMENT, receipt, seal, accepted).is_ok() {
        assert!(unseal(BUNDLE_STATEMENT, receipt, seal, accepted).is_err());
        assert!(unseal(RECEIPT_STATEMENT, &[receipt, b" "].concat(), seal, accepted).is_err());
    }
    if let Ok(read) = Receipt::read(receipt, "receipt") {
        assert_eq!(Receipt::read(&read.to_bytes(), "receipt").ok(), Some(read));
    }
});
