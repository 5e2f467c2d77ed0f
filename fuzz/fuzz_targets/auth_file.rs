//! Files with credentials: read or refused, and neither a debug print nor an error shows what is secret in them.
#![no_main]

use airlift::registry::{Credentials, HelperOutput};
use libfuzzer_sys::fuzz_target;
use std::sync::Arc;

fuzz_target!(|bytes: &[u8]| {
    let Ok(credentials) = Credentials::default().with_file(bytes) else { return };
    let answer = bytes.to_vec();
    // The same bytes once more as what a helper says.
    let helper = move |program: &str, _: &str| {
        assert!(!program.contains('/'), "a helper by its path: {program}");
        Ok(HelperOutput { success: true, stdout: answer.clone() })
    };
    let credentials = credentials.with_runner(Arc::new(helper));
    for host in ["docker.io", "registry.example", "registry.example:5000"] {
        let _ = credentials.find(host, "team/app");
    }
});
