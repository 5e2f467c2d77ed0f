//! Papers that machines write: what reads is written back as something that reads to the same value.
#![no_main]

use airlift::document::base::BundleBase;
use airlift::document::evidence::BundleEvidence;
use airlift::document::lock::Lock;
use airlift::document::receipt::Receipt;
use airlift::document::request::Request;
use airlift::document::root_record::RootRecord;
use airlift::document::tuf_state::TufStatePaper;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    if let Ok(lock) = Lock::read(bytes, "fuzz") {
        assert_eq!(Lock::read(&lock.to_bytes(), "again").expect("a lock reads back"), lock);
    }
    if let Ok(receipt) = Receipt::read(bytes, "fuzz") {
        assert_eq!(Receipt::read(&receipt.to_bytes(), "again").expect("a receipt reads back"), receipt);
    }
    if let Ok(evidence) = BundleEvidence::read(bytes, "fuzz") {
        assert_eq!(BundleEvidence::read(&evidence.to_bytes(), "again").expect("evidence reads back"), evidence);
    }
    if let Ok(base) = BundleBase::read(bytes, "fuzz") {
        assert_eq!(BundleBase::read(&base.to_bytes(), "again").expect("bases read back"), base);
    }
    if let Ok(request) = Request::read(bytes, "fuzz") {
        assert_eq!(Request::read(&request.to_bytes(), "again").expect("a request reads back"), request);
        assert!(!request.blobs().is_empty(), "a request asks for something");
    }
    if let Ok(record) = RootRecord::read(bytes, "fuzz") {
        assert_eq!(RootRecord::read(&record.to_bytes(), "again").expect("a record reads back"), record);
    }
    if let Ok(state) = TufStatePaper::read(bytes, "fuzz") {
        assert_eq!(TufStatePaper::read(&state.to_bytes(), "again").expect("a state reads back"), state);
    }
});
