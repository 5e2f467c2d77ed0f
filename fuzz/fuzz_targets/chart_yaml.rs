//! Chart archives and their `Chart.yaml`: read or refused, and what is made of them is JSON that reads back.
#![no_main]

use airlift::document::chart_yaml::ChartYaml;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let _ = ChartYaml::unpack(bytes, "fuzz");
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let Ok(chart) = ChartYaml::read(text, "fuzz") else { return };
    let config: serde_json::Value = serde_json::from_slice(&chart.config()).expect("a configuration is JSON");
    assert_eq!(config["version"].as_str(), Some(chart.version.as_str()));
    let _ = (chart.oci_annotations(), chart.tag());
});
