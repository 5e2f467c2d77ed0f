//! Policies of other tools: imported or refused, and what is made of them is a policy that reads back.
//!
//! The first byte names the kind; any other lets the file show it.
#![no_main]

use airlift::document::policy::Policy;
use airlift::document::policy::import::{ImportKind, Imported};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    let from = match text.as_bytes().first() {
        Some(b'1') => Some(ImportKind::ClusterImagePolicy),
        Some(b'2') => Some(ImportKind::Kyverno),
        Some(b'3') => Some(ImportKind::Containers),
        Some(b'4') => Some(ImportKind::Notation),
        _ => None,
    };
    let text = if from.is_some() { &text[1..] } else { text };
    let Ok(imported) = Imported::read(text, "fuzz", from) else { return };
    let written = imported.to_text();
    let read = Policy::parse(&written, "policy.yaml").expect("what was made is a policy");
    assert_eq!(read.rules.len(), imported.policy.rules.len());
});
