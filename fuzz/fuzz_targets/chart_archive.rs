//! An archive of a chart is read within its limits, and what was read keeps its promises.

#![no_main]

use airlift::chart::Chart;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let Ok(chart) = Chart::from_archive(data, "fuzz.tgz") else { return };
    assert!(!chart.metadata.name.contains('/'));
    for (path, _) in chart.files() {
        assert!(!path.starts_with('/') && !path.split('/').any(|part| part == ".."), "{path:?}");
    }
    let _ = chart.missing_dependencies();
});
