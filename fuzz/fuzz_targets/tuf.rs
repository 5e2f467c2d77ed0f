//! Metadata of a mirror: nothing that it shows makes a client panic, or take a target that was not signed.
//!
//! Zeros part the files: timestamp, snapshot, targets, the target, a second root.
#![no_main]

use airlift::model::port::FileTree;
use airlift::model::{Fault, FaultKind};
use airlift::trust::{TRUSTED_ROOT, TufRequest, TufState, fetch_by_tuf};
use libfuzzer_sys::fuzz_target;
use std::sync::Arc;

const INITIAL: &[u8] = include_bytes!("../material/tuf_root.json");
const SIGNED: &[u8] = b"{\"root\": 1}";

struct Mirror(Vec<Vec<u8>>);

impl FileTree for Mirror {
    fn place(&self) -> String {
        "fuzz".to_owned()
    }

    fn file(&self, path: &str, limit: u64) -> Result<Option<Vec<u8>>, Fault> {
        let part = match path {
            "timestamp.json" => 0,
            "1.snapshot.json" => 1,
            "1.targets.json" => 2,
            "2.root.json" => 4,
            _ if path.starts_with("targets/") => 3,
            _ => return Ok(None),
        };
        match self.0.get(part).filter(|bytes| !bytes.is_empty()) {
            Some(bytes) if bytes.len() as u64 > limit => Err(Fault::new(FaultKind::TooLarge, path, "too large")),
            found => Ok(found.cloned()),
        }
    }
}

fuzz_target!(|bytes: &[u8]| {
    let mirror = Mirror(bytes.split(|byte| *byte == 0).map(<[u8]>::to_vec).collect());
    let request = TufRequest {
        initial_root: INITIAL.to_vec(),
        state: TufState::new(),
        target: TRUSTED_ROOT.to_owned(),
        now: 1_700_086_400,
    };
    if let Ok(fetched) = fetch_by_tuf(request, Arc::new(mirror)) {
        assert_eq!(fetched.bytes, SIGNED, "a target that nobody signed");
    }
});
