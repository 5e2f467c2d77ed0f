//! Bundles over files, in all versions: judged without a panic, and one signature is never good for two files.
#![no_main]

use airlift::trust::{FileSigner, RootText, SignedFile, verify_file};
use libfuzzer_sys::fuzz_target;
use std::sync::LazyLock;

const NOW: i64 = 1_700_086_400;
const WHO: FileSigner<'static> = FileSigner::Certificate {
    identity: "https://code.example/team/app/.github/workflows/release.yaml@refs/heads/main",
    issuer: "https://token.example",
};

static ROOT: LazyLock<RootText> = LazyLock::new(|| RootText {
    name: "root".to_owned(),
    bytes: include_bytes!("../material/file_root.json").to_vec(),
});

fuzz_target!(|bundle: &[u8]| {
    let file = SignedFile::Bytes(b"a file\n".to_vec());
    if verify_file(bundle, &file, WHO, &ROOT, NOW).is_ok() {
        let other = SignedFile::Bytes(b"another file\n".to_vec());
        assert!(verify_file(bundle, &other, WHO, &ROOT, NOW).is_err(), "one signature for two files");
    }
});
