//! Evidence beside an artifact, in every form in which it comes: judged without a panic, and nothing that differs
//! from what was signed counts.
//!
//! The first byte chooses the form, zeros part the rest: what the older forms keep in annotations, then the content.
#![no_main]

use airlift::document::policy::Policy;
use airlift::model::port::ManifestBytes;
use airlift::model::{Descriptor, ImageRef, MediaType, Tag};
use airlift::trust::{Candidate, Judge, legacy_tags};
use libfuzzer_sys::fuzz_target;
use serde_json::{Value, json};
use std::sync::LazyLock;

/// Annotations of the older forms, in the order in which an input has them.
const ANNOTATIONS: [&str; 5] = [
    "dev.cosignproject.cosign/signature",
    "dev.sigstore.cosign/certificate",
    "dev.sigstore.cosign/chain",
    "dev.sigstore.cosign/bundle",
    "dev.sigstore.cosign/rfc3161timestamp",
];

static JUDGE: LazyLock<Judge> = LazyLock::new(|| {
    let policy = Policy::parse(include_str!("../material/policy.yaml"), "policy.yaml").expect("a policy");
    let mut load = |file: &str| match file {
        "root.json" => Ok(include_bytes!("../material/root.json").to_vec()),
        _ => Ok(include_bytes!("../material/release.pub").to_vec()),
    };
    Judge::new(&policy, &mut load, 1_700_086_400).expect("a judge")
});

fuzz_target!(|bytes: &[u8]| {
    let Some((form, rest)) = bytes.split_first() else { return };
    let subject = Descriptor::of(MediaType::OCI_MANIFEST, b"the image");
    let candidate = match form {
        b's' => by_tag(&subject, MediaType::COSIGN_SIMPLE_SIGNING, rest),
        b'd' => by_tag(&subject, MediaType::DSSE_ENVELOPE, rest),
        b'm' => document(rest.to_vec(), None, Vec::new()),
        _ => referrer(&subject, rest),
    };
    let name: ImageRef = "registry.example/team/app:1.0".parse().expect("a reference");
    let candidates = [candidate];
    let judgement = JUDGE.judge(&name, &subject, &candidates);
    if judgement.accepted {
        let other = Descriptor::of(MediaType::OCI_MANIFEST, b"another image");
        assert!(!JUDGE.judge(&name, &other, &candidates).accepted, "one signature for two artifacts");
    }
});

fn by_tag(subject: &Descriptor, kind: &str, bytes: &[u8]) -> Candidate {
    let mut parts = bytes.splitn(ANNOTATIONS.len() + 1, |byte| *byte == 0);
    let mut texts: Vec<String> = parts.by_ref().map(|part| String::from_utf8_lossy(part).into_owned()).collect();
    let content = texts.pop().unwrap_or_default();
    let mut layer = Descriptor::of(kind, content.as_bytes());
    let given = ANNOTATIONS.into_iter().zip(texts).filter(|(_, text)| !text.is_empty());
    layer.annotations = given.map(|(key, text)| (key.to_owned(), text)).collect();
    let tag = legacy_tags(&subject.digest).into_iter().next().map(|(tag, _)| tag);
    image(json!({}), tag, layer, content.into_bytes())
}

fn referrer(subject: &Descriptor, bytes: &[u8]) -> Candidate {
    let extra = json!({"artifactType": MediaType::SIGSTORE_BUNDLE, "subject": subject});
    image(extra, None, Descriptor::of(MediaType::SIGSTORE_BUNDLE, bytes), bytes.to_vec())
}

fn image(extra: Value, tag: Option<Tag>, layer: Descriptor, bytes: Vec<u8>) -> Candidate {
    let mut image = json!({
        "schemaVersion": 2,
        "mediaType": MediaType::OCI_MANIFEST,
        "config": Descriptor::of(MediaType::OCI_EMPTY, b"{}"),
        "layers": [&layer],
    });
    for (key, value) in extra.as_object().into_iter().flatten() {
        image[key] = value.clone();
    }
    document(image.to_string().into_bytes(), tag, vec![(layer, bytes)])
}

fn document(bytes: Vec<u8>, tag: Option<Tag>, layers: Vec<(Descriptor, Vec<u8>)>) -> Candidate {
    let descriptor = Descriptor::of(MediaType::OCI_MANIFEST, &bytes);
    Candidate { tag, document: ManifestBytes { descriptor, bytes }, layers }
}
