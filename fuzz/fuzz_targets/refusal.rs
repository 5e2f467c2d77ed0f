//! Bodies of refusals: what is kept of them is short, fit for a terminal, and without the secret that was shown.
#![no_main]

use airlift::model::limits;
use airlift::registry::fuzzing;
use libfuzzer_sys::fuzz_target;

const SECRET: &str = "pa&s<w>rd";

fuzz_target!(|bytes: &[u8]| {
    let Some((status, body)) = bytes.split_first() else { return };
    let fault = fuzzing::refusal(400 + u16::from(*status), body, SECRET);
    assert!(fault.words.len() <= limits::ERROR_WORDS_BYTES + '…'.len_utf8());
    assert!(!fault.words.chars().any(char::is_control), "{:?}", fault.words);
    assert!(!fault.to_string().contains(SECRET), "{fault}");
});
