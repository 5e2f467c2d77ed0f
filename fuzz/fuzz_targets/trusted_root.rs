//! Trusted roots: any bytes are read, compared and merged without a panic, and what a merge gives reads back with all that was in it.
#![no_main]

use airlift::trust::{RootChange, RootText, RootView, merge_roots};
use libfuzzer_sys::fuzz_target;
use std::sync::LazyLock;

const NOW: i64 = 1_700_086_400;

static KNOWN: LazyLock<RootText> =
    LazyLock::new(|| RootText { name: "known".to_owned(), bytes: include_bytes!("../material/root.json").to_vec() });

fuzz_target!(|bytes: &[u8]| {
    let root = RootText { name: "fuzz".to_owned(), bytes: bytes.to_vec() };
    let Ok(view) = RootView::read(&root, NOW) else { return };
    assert!(RootChange::between(&root, &root, NOW).expect("a root that reads").is_empty());
    let forward = RootChange::between(&KNOWN, &root, NOW).expect("two roots that read");
    let back = RootChange::between(&root, &KNOWN, NOW).expect("two roots that read");
    assert_eq!((forward.added.len(), forward.removed.len()), (back.removed.len(), back.added.len()));
    if let Ok(merged) = merge_roots(&[KNOWN.clone(), root]) {
        let merged = RootView::read(&merged, NOW).expect("a merged root");
        for anchor in &view.anchors {
            assert!(merged.anchors.iter().any(|other| (other.kind, &other.id) == (anchor.kind, &anchor.id)));
        }
    }
});
