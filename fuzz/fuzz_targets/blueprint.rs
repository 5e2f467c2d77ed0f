//! Blueprints of a catalogue: read or refused, and their closure ends, whatever depends on what.
#![no_main]

use airlift::discover::blueprint;
use airlift::discover::closure::Closure;
use airlift::discover::files::Named;
use libfuzzer_sys::fuzz_target;
use std::path::PathBuf;
use std::sync::LazyLock;

static FOLDER: LazyLock<PathBuf> = LazyLock::new(|| {
    let folder = std::env::temp_dir().join(format!("airlift-fuzz-{}", std::process::id()));
    std::fs::create_dir_all(&folder).expect("a folder for temporary files");
    folder
});

fuzz_target!(|bytes: &[u8]| {
    std::fs::write(FOLDER.join("blueprints.yaml"), bytes).expect("a folder for temporary files");
    let Ok((catalogue, _)) = blueprint::read(&Named::new(&FOLDER, "blueprints.yaml")) else { return };
    for exclude_conditional in [false, true] {
        let mut closure = Closure::new(&catalogue, "fuzz", exclude_conditional);
        catalogue.keys().for_each(|name| closure.add(name, None, "fuzz"));
        assert!(closure.close().order.len() <= catalogue.len());
    }
});
