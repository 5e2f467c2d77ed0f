//! Tables of cases for policies: read or refused without a panic.
#![no_main]

use airlift::document::policy_table::PolicyTable;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    let Ok(table) = PolicyTable::read(text, "fuzz") else { return };
    assert!(!table.cases.is_empty());
});
