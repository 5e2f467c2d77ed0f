//! Headers that say where to go on: the next page, the next piece of an upload, and which bytes stand.
#![no_main]

use airlift::registry::fuzzing;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    if let Some(next) = fuzzing::next_link(text) {
        assert!(text.contains(&format!("<{next}>")));
    }
    if let Some(url) = fuzzing::upload_location(text) {
        assert!(url.starts_with("https://") && !url.contains('#'), "{url}");
        let authority = url["https://".len()..].split(['/', '?']).next().unwrap_or_default();
        assert!(!authority.contains('@'), "credentials by a server: {url}");
    }
    if let (Some((first, last)), _) = fuzzing::ranges(text) {
        assert!(first <= last);
    }
});
