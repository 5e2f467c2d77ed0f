//! Which type a document has that is kept without one.
//!
//! A store keeps bytes only. A document that says its type has it; one that says none has the type that the OCI image
//! specification gives to its shape. A document that was announced as something else is not kept.

use crate::model::MediaType;
use serde::Deserialize;
use serde::de::IgnoredAny;

/// Returns the type that a document's own bytes give it; nothing where they give none.
pub(super) fn type_of(bytes: &[u8]) -> Option<MediaType> {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Shape {
        media_type: Option<MediaType>,
        manifests: Option<IgnoredAny>,
        config: Option<IgnoredAny>,
        layers: Option<IgnoredAny>,
    }
    let shape: Shape = serde_json::from_slice(bytes).ok()?;
    match (shape.media_type, shape.manifests.is_some(), shape.config.is_some() && shape.layers.is_some()) {
        (Some(own), _, _) => Some(own),
        (None, true, false) => Some(MediaType::OCI_INDEX.into()),
        (None, false, true) => Some(MediaType::OCI_MANIFEST.into()),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_document_has_its_own_type_or_that_of_its_shape() {
        let of = |text: &str| type_of(text.as_bytes()).map(|found| found.as_str().to_owned());
        assert_eq!(of(r#"{"mediaType":"a/b","config":{},"layers":[]}"#).unwrap(), "a/b");
        assert_eq!(of(r#"{"config":{},"layers":[]}"#).unwrap(), MediaType::OCI_MANIFEST);
        assert_eq!(of(r#"{"manifests":[]}"#).unwrap(), MediaType::OCI_INDEX);
        assert_eq!(of(r#"{"manifests":[],"config":{},"layers":[]}"#), None);
        assert_eq!(of("{}"), None);
        assert_eq!(of("{"), None);
    }
}
