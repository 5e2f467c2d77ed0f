//! Cuts an index down to some platforms, by an explicit rule that says what becomes of its digest.
//!
//! The only place where a document is not carried verbatim: `rewrite` makes a new index, and the lock
//! says so. What it keeps it keeps as it stands, attestations of kept platforms included.

use super::error::FlowError;
use crate::document::lock::{LockedArtifact, SubsetDigest};
use crate::model::port::ManifestBytes;
use crate::model::{Descriptor, ImageDocument, ImageIndex, Platform};
use std::collections::BTreeSet;

/// Annotation by which an attestation inside an index names the image that it is about.
const ATTESTED: &str = "vnd.docker.reference.digest";

/// Returns whether the artifact is an index that was written anew.
pub fn is_rewritten(artifact: &LockedArtifact) -> bool {
    artifact.subset.as_ref().is_some_and(|rule| rule.digest == SubsetDigest::Rewrite)
}

/// Returns the children of `index` for `platforms`, attestations about them included, in their order.
///
/// Fails where a platform has no child, naming those that exist.
pub fn choose<'a>(name: &str, index: &'a ImageIndex, platforms: &[Platform]) -> Result<Vec<&'a Descriptor>, FlowError> {
    let for_platform = |wanted: &Platform| {
        index.manifests.iter().filter(|d| d.platform.as_ref().is_some_and(|p| p.serves(wanted))).collect::<Vec<_>>()
    };
    let mut kept = BTreeSet::new();
    for wanted in platforms {
        let serving = for_platform(wanted);
        if serving.is_empty() {
            let there: BTreeSet<String> = index
                .manifests
                .iter()
                .filter_map(|d| d.platform.as_ref())
                .filter(|p| !p.is_unknown())
                .map(ToString::to_string)
                .collect();
            let there: Vec<String> = there.into_iter().collect();
            let why = format!("has no image for {wanted}; it has {}", there.join(", "));
            return Err(FlowError::Content { item: name.to_owned(), why });
        }
        kept.extend(serving.into_iter().map(|d| d.digest.to_string()));
    }
    let about_kept = |d: &Descriptor| d.annotations.get(ATTESTED).is_some_and(|about| kept.contains(about));
    Ok(index.manifests.iter().filter(|d| kept.contains(&d.digest.to_string()) || about_kept(d)).collect())
}

/// Returns a new index with the children of `whole` for `platforms` only; everything else stays as it stands.
pub fn rewrite(whole: &ManifestBytes, platforms: &[Platform]) -> Result<ManifestBytes, FlowError> {
    let name = whole.descriptor.digest.to_string();
    let broken = |why: String| FlowError::Content { item: name.clone(), why };
    let parsed = ImageDocument::parse(&whole.bytes, &whole.descriptor.media_type).map_err(|e| broken(e.to_string()))?;
    let ImageDocument::Index(index) = &parsed else { return Err(broken("is no index".to_owned())) };
    let kept: BTreeSet<String> = choose(&name, index, platforms)?.into_iter().map(|d| d.digest.to_string()).collect();
    let mut value: serde_json::Value = serde_json::from_slice(&whole.bytes).map_err(|e| broken(e.to_string()))?;
    if let Some(children) = value.get_mut("manifests").and_then(serde_json::Value::as_array_mut) {
        children
            .retain(|child| child.get("digest").and_then(serde_json::Value::as_str).is_some_and(|d| kept.contains(d)));
    }
    let bytes = crate::model::json::canonical(&value);
    Ok(ManifestBytes { descriptor: Descriptor::of(whole.descriptor.media_type.clone(), &bytes), bytes })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::MediaType;

    fn index() -> ManifestBytes {
        let child = |n: u8, os: &str, arch: &str, about: Option<&Descriptor>| {
            let mut d = Descriptor::of(MediaType::OCI_MANIFEST, &[n]);
            d.platform = Some(Platform { os: os.into(), architecture: arch.into(), ..Platform::default() });
            if let Some(about) = about {
                d.annotations.insert(ATTESTED.into(), about.digest.to_string());
            }
            d
        };
        let amd = child(1, "linux", "amd64", None);
        let arm = child(2, "linux", "arm64", None);
        let list = [
            amd.clone(),
            arm.clone(),
            child(3, "unknown", "unknown", Some(&amd)),
            child(4, "unknown", "unknown", Some(&arm)),
        ];
        let text = format!(
            r#"{{"schemaVersion":2,"extra":{{"b":1,"a":2}},"manifests":{}}}"#,
            serde_json::to_string(&list).unwrap()
        );
        ManifestBytes { descriptor: Descriptor::of(MediaType::OCI_INDEX, text.as_bytes()), bytes: text.into_bytes() }
    }

    #[test]
    fn an_attestation_stays_with_the_image_it_is_about() {
        let cut = rewrite(&index(), &[Platform::parse("linux/arm64").unwrap()]).unwrap();
        let ImageDocument::Index(kept) = ImageDocument::parse(&cut.bytes, &cut.descriptor.media_type).unwrap() else {
            panic!()
        };
        assert_eq!(kept.manifests.len(), 2);
        assert!(String::from_utf8(cut.bytes).unwrap().contains("extra"));
    }

    #[test]
    fn a_platform_that_is_not_there_is_an_error_that_names_those_that_are() {
        let error = rewrite(&index(), &[Platform::parse("linux/s390x").unwrap()]).unwrap_err().to_string();
        assert!(error.contains("linux/s390x") && error.contains("linux/amd64, linux/arm64"), "{error}");
    }
}
