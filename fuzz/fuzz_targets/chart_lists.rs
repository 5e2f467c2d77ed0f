//! What a chart's files and its repository say without being rendered: indexes, lists, values, templates, words.
#![no_main]

use airlift::discover::{declared, helm_index, looks, unused};
use airlift::document::yaml;
use airlift::document::yaml_value::to_json;
use airlift::model::ImageRef;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    if let Ok(found) = helm_index::versions(text, "press", "index.yaml") {
        assert!(found.iter().all(|entry| !entry.version.is_empty() || text.contains("version")));
    }
    let mut seen = declared::list(text, "press/images.lock");
    seen.extend(declared::annotations([("artifacthub.io/images", text)], "press/Chart.yaml"));
    seen.extend(unused::in_template(text, "press/templates/x.yaml"));
    if let Ok(node) = yaml::document(text, "values.yaml") {
        seen.extend(unused::in_values(&to_json(&node), "press/values.yaml"));
    }
    let references = seen.iter().filter_map(|seen| seen.reference.clone());
    for reference in references.chain(looks::words(text).into_iter().map(|(_, reference)| reference)) {
        assert_eq!(reference.to_string().parse::<ImageRef>().as_ref(), Ok(&reference));
    }
});
