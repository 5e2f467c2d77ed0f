//! Addresses of files: what is read is what was written, and names that are derived from it are references.
#![no_main]

use airlift::document::mirror::{derived_chart, derived_file};
use airlift::model::{Digest, FileUrl};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    let Ok(url) = text.parse::<FileUrl>() else { return };
    assert_eq!(url.as_str(), text);
    for name in [derived_file(&url, &Digest::of(b"x")), derived_chart(&url)].into_iter().flatten() {
        assert_eq!(name.repository.host(), url.host());
        assert!(name.tag.is_some() && !url.file_name().is_empty());
    }
});
