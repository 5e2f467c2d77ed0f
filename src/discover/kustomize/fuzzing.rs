//! A door to the parsers for the fuzz targets.

use super::{form, jsonpatch, merge};
use crate::discover::files::Named;
use crate::document::yaml::{self, Value};
use std::path::Path;

/// Reads `text` as a kustomization that stands in no folder.
pub fn kustomization(text: &str) {
    drop(form::parse(text, &Named::new(Path::new("/nowhere"), "kustomization.yaml"), &mut Vec::new()));
}

/// Applies `patch` to `object` in both ways that its form allows.
pub fn patch(object: &str, patch: &str) {
    let (Ok(object), Ok(patch)) = (yaml::document(object, "object"), yaml::document(patch, "patch")) else { return };
    for native in [false, true] {
        let mut object = object.clone();
        match patch.value {
            Value::List(_) => drop(jsonpatch::apply(&mut object, &patch)),
            _ => drop(merge::merge(&mut object, &patch, native)),
        }
    }
}
