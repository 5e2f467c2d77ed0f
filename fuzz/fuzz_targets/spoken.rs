//! Whatever is typed of a checksum that was read aloud: what is understood prints as what is understood again.
#![no_main]

use airlift::model::spoken::Spoken;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    if let Ok(spoken) = text.parse::<Spoken>() {
        assert_eq!(spoken.to_string().parse(), Ok(spoken));
        assert!(spoken.differing_groups(&spoken).is_empty());
    }
});
