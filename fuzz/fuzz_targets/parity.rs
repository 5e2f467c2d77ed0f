//! Any bytes as a parity volume: they make a lost volume again to the byte, or fail; in files and behind a stream alike.
#![no_main]

use airlift::bundle::{BundleReader, Input, Watch, check, look_for_damage, repair};
use libfuzzer_sys::fuzz_target;
use std::fs;
use std::io::Cursor;
use std::path::PathBuf;
use std::sync::LazyLock;

/// A bundle in two volumes.
const VOLUMES: [&[u8]; 2] = [
    include_bytes!("../../testdata/golden/bundle-1.0-cut.001.airlift"),
    include_bytes!("../../testdata/golden/bundle-1.0-cut.002.airlift"),
];

static FOLDER: LazyLock<PathBuf> = LazyLock::new(|| {
    let folder = std::env::temp_dir().join(format!("airlift-fuzz-parity-{}", std::process::id()));
    fs::create_dir_all(&folder).expect("a folder for temporary files");
    folder
});

fuzz_target!(|bytes: &[u8]| {
    let stream = [VOLUMES[0], VOLUMES[1], bytes].concat();
    let piped = check(Input::Stream(Box::new(Cursor::new(stream.clone()))), 1, &|_| {});
    let read = BundleReader::open(Input::Stream(Box::new(Cursor::new(stream)))).and_then(BundleReader::finish);
    assert_eq!(piped.findings.is_empty(), read.is_ok(), "{:?}\n{read:?}", piped.findings);

    for entry in fs::read_dir(&*FOLDER).expect("a folder for temporary files") {
        fs::remove_file(entry.expect("its files").path()).expect("files of ours");
    }
    let [first, second, parity] = ["b.001", "b.002", "b.p01"].map(|name| FOLDER.join(format!("{name}.airlift")));
    fs::write(&second, VOLUMES[1]).expect("a folder for temporary files");
    fs::write(&parity, bytes).expect("a folder for temporary files");
    let watch = Watch { threads: 1, moved: &|_| {}, stopped: &|| false };
    if let Ok(damage) = look_for_damage(&[second.clone(), parity], None, watch) {
        let repaired = repair(&damage, None, watch);
        assert!(fs::read(&second).expect("a volume that is there") == VOLUMES[1] || repaired.is_ok());
    }
    if let Ok(made) = fs::read(&first) {
        assert!(made == VOLUMES[0], "a volume was made that is not the one that was lost");
    }
});
