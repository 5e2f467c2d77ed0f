//! The papers of a folder that somebody else filled: `oci-layout`, `index.json` and a store's root, parted by NUL.
#![no_main]

use airlift::model::port::ImageSource;
use airlift::model::{Reference, Repository};
use airlift::store::LayoutFolder;
use airlift::store::cache::StoreFolder;
use libfuzzer_sys::fuzz_target;
use std::fs;
use std::path::PathBuf;
use std::sync::LazyLock;

static FOLDERS: LazyLock<(PathBuf, PathBuf)> = LazyLock::new(|| {
    let root = std::env::temp_dir().join(format!("airlift-fuzz-layout-{}", std::process::id()));
    let (layout, store) = (root.join("layout"), root.join("store"));
    drop(LayoutFolder::open(&layout).expect("a layout"));
    drop(StoreFolder::open_or_make(&store).expect("a store"));
    (layout, store)
});

fuzz_target!(|bytes: &[u8]| {
    let (layout, store) = &*FOLDERS;
    let mut papers = bytes.splitn(3, |byte| *byte == 0);
    let mut next = || papers.next().unwrap_or_default();
    fs::write(layout.join("oci-layout"), next()).expect("a folder for temporary files");
    fs::write(layout.join("index.json"), next()).expect("a folder for temporary files");
    fs::write(store.join("airlift/roots/job.json"), next()).expect("a folder for temporary files");
    let at = Repository::new("layout", "a/b").expect("a name");
    if let Ok(folder) = LayoutFolder::open_for_reading(layout) {
        for (_, entry) in folder.entries() {
            // Nothing stands in the folder, so nothing is found, whatever the index says.
            assert!(folder.manifest(&at, &Reference::Digest(entry.digest.clone())).is_err());
            let _ = folder.referrers(&at, &entry.digest);
        }
        let _ = folder.tags(&at);
    }
    let store = StoreFolder::open(store).expect("a store");
    if let Ok(roots) = store.roots() {
        assert!(roots.iter().all(|root| root.name.as_str() == "job"));
        let _ = store.show();
    }
});
