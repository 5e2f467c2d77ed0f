//! Pieces of evidence in what was found beside an artifact: sorted by kind, before anything is judged.
//!
//! What a document says of itself, its tag and its annotations are hints. They decide how a piece is read, never
//! what it is worth.

use super::notation::Form;
use crate::model::evidence::EvidenceKind;
use crate::model::port::ManifestBytes;
use crate::model::{Descriptor, Digest, Evidence, ImageDocument, ImageManifest, MediaType, Tag, Verdict, limits};

/// A document that was found beside an artifact: a referrer, or behind one of cosign's tags.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Candidate {
    /// Tag behind which it was found; absent for a referrer.
    pub tag: Option<Tag>,
    /// The document.
    pub document: ManifestBytes,
    /// Layers that were read, where [`wants_layers`] said so.
    pub layers: Vec<(Descriptor, Vec<u8>)>,
}

/// Returns the tags under which cosign's older form keeps what is about `subject`, and what is behind each.
///
/// Empty for a subject under SHA-512: such a tag would be longer than a tag may be.
pub fn legacy_tags(subject: &Digest) -> Vec<(Tag, EvidenceKind)> {
    let kinds = [
        ("sig", EvidenceKind::CosignSignature),
        ("att", EvidenceKind::CosignAttestation),
        ("sbom", EvidenceKind::Sbom),
    ];
    let tag = |suffix| format!("{}-{}.{suffix}", subject.algorithm().name(), subject.hex()).parse().ok();
    kinds.into_iter().filter_map(|(suffix, kind)| Some((tag(suffix)?, kind))).collect()
}

/// Returns whether the layers of `document` hold something to judge, all of it within the limits.
pub fn wants_layers(document: &ImageDocument) -> bool {
    let ImageDocument::Image(image) = document else { return false };
    let total = image.layers.iter().try_fold(0_u64, |sum, layer| sum.checked_add(layer.size));
    image.layers.iter().any(|layer| sort(image, layer).is_some())
        && image.layers.len() <= limits::SIGNATURES_PER_SUBJECT
        && image.layers.iter().all(|layer| layer.size <= layer_limit(sort(image, layer)))
        && total.is_some_and(|total| total <= limits::EVIDENCE_BYTES)
}

/// How a layer is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Sort {
    /// cosign's signed payload.
    Simple,
    /// DSSE envelope with cosign's annotations.
    Envelope,
    /// Sigstore bundle.
    Bundle,
    /// Envelope of the Notary Project.
    Notation(Form),
}

fn sort(image: &ImageManifest, layer: &Descriptor) -> Option<Sort> {
    if is_notation(image) {
        return Form::of(layer.media_type.as_str()).map(Sort::Notation);
    }
    match layer.media_type.as_str() {
        MediaType::COSIGN_SIMPLE_SIGNING => Some(Sort::Simple),
        MediaType::DSSE_ENVELOPE => Some(Sort::Envelope),
        MediaType::SIGSTORE_BUNDLE => Some(Sort::Bundle),
        // Older versions have a parameter where 0.3 has a name; the parameter is not kept.
        "application/vnd.dev.sigstore.bundle+json" => Some(Sort::Bundle),
        _ => None,
    }
}

fn layer_limit(sort: Option<Sort>) -> u64 {
    match sort {
        Some(Sort::Envelope) => limits::ATTESTATION_BYTES,
        Some(Sort::Bundle) => limits::SIGNATURE_BUNDLE_BYTES,
        Some(Sort::Simple | Sort::Notation(_)) | None => limits::SIGNATURE_BYTES,
    }
}

/// One piece of evidence.
pub(super) struct Piece<'a> {
    /// Record, with the verdict Unknown and a reason until it is judged.
    pub record: Evidence,
    /// What there is to judge.
    pub material: Option<Layer<'a>>,
    /// Whether its bytes are not what points to them says: that is damage, whatever the policy.
    pub damaged: bool,
}

/// Content of a piece.
pub(super) struct Layer<'a> {
    pub sort: Sort,
    pub descriptor: Descriptor,
    pub bytes: &'a [u8],
}

/// Takes the pieces out of what was found beside `subject`. At most as many as the limit have something to judge.
pub(super) fn collect<'a>(subject: &Digest, candidates: &'a [Candidate]) -> Vec<Piece<'a>> {
    let mut pieces: Vec<Piece<'a>> = candidates.iter().flat_map(|candidate| sorted(subject, candidate)).collect();
    let judged = pieces.iter_mut().filter(|piece| piece.material.is_some());
    for piece in judged.skip(limits::SIGNATURES_PER_SUBJECT) {
        piece.material = None;
        piece.record.reason =
            format!("not judged: more than {} signatures for one artifact", limits::SIGNATURES_PER_SUBJECT);
    }
    pieces
}

fn sorted<'a>(subject: &Digest, candidate: &'a Candidate) -> Vec<Piece<'a>> {
    let announced = &candidate.document.descriptor;
    let mut record = blank(subject, candidate);
    if !announced.names_bytes(&candidate.document.bytes) {
        return vec![Piece::damaged(record, format!("its bytes are not {announced}"))];
    }
    let document = match ImageDocument::parse(&candidate.document.bytes, &announced.media_type) {
        Ok(document) => document,
        Err(error) => return vec![Piece::only(record, Verdict::Bad, error.to_string())],
    };
    record.artifact_type = document.artifact_type().cloned();
    let named = document.subject().map(|named| &named.digest);
    if named.is_some_and(|named| named != subject) || (named.is_none() && candidate.tag.is_none()) {
        let words = named.map_or("names no subject".to_owned(), |named| format!("refers to {named}"));
        return vec![Piece::only(record, Verdict::Bad, format!("it {words}, not to this artifact"))];
    }
    let ImageDocument::Image(image) = document else {
        return vec![Piece::only(record, Verdict::Unknown, "an index is no evidence")];
    };
    if is_notation(&image) {
        record.kind = EvidenceKind::Notation;
        return vec![notation(record, &image, candidate)];
    }
    if !image.layers.iter().any(|layer| sort(&image, layer).is_some()) {
        return vec![unsigned(record, &image)];
    }
    if image.layers.len() > 1 && image.layers.iter().any(|layer| sort(&image, layer) == Some(Sort::Bundle)) {
        record.kind = EvidenceKind::SigstoreBundle;
        return vec![Piece::only(record, Verdict::Bad, "a signature bundle stands alone, but here are several layers")];
    }
    image.layers.iter().map(|layer| piece(&record, sort(&image, layer), layer, candidate)).collect()
}

/// Takes the envelope out of a signature of the Notary Project, which is its only layer.
fn notation<'a>(record: Evidence, image: &ImageManifest, candidate: &'a Candidate) -> Piece<'a> {
    let [layer] = image.layers.as_slice() else {
        let why = format!("a notation signature has one layer, and here are {}", image.layers.len());
        return Piece::only(record, Verdict::Bad, why);
    };
    match sort(image, layer) {
        Some(sort) => piece(&record, Some(sort), layer, candidate),
        None => {
            let why = format!("an envelope of type {} is not known here", layer.media_type);
            Piece::only(record, Verdict::Unknown, why)
        }
    }
}

fn is_notation(image: &ImageManifest) -> bool {
    let types = [image.artifact_type.as_ref(), Some(&image.config.media_type)];
    types.into_iter().flatten().any(|kind| kind.as_str() == MediaType::NOTATION_SIGNATURE)
}

fn unsigned<'a>(mut record: Evidence, image: &ImageManifest) -> Piece<'a> {
    let by_tag = record.tag.as_deref().is_some_and(|tag| tag.ends_with(".sbom"));
    let bills = ["text/spdx", "application/vnd.cyclonedx", "application/spdx"];
    let by_type = image.layers.iter().any(|layer| bills.iter().any(|kind| layer.media_type.as_str().starts_with(kind)));
    if by_tag || by_type {
        record.kind = EvidenceKind::Sbom;
        return Piece::only(record, Verdict::Unknown, "an SBOM that is attached without a signature");
    }
    let kind = record.artifact_type.as_ref().map_or("no type", MediaType::as_str).to_owned();
    Piece::only(record, Verdict::Unknown, format!("nothing that is judged ({kind})"))
}

fn piece<'a>(record: &Evidence, sort: Option<Sort>, layer: &Descriptor, candidate: &'a Candidate) -> Piece<'a> {
    let mut record = record.clone();
    record.layer = Some(layer.digest.clone());
    let Some(sort) = sort else {
        return Piece::only(record, Verdict::Unknown, format!("nothing that is judged ({})", layer.media_type));
    };
    record.kind = match sort {
        Sort::Simple => EvidenceKind::CosignSignature,
        Sort::Envelope => EvidenceKind::CosignAttestation,
        Sort::Bundle => EvidenceKind::SigstoreBundle,
        Sort::Notation(_) => EvidenceKind::Notation,
    };
    let limit = layer_limit(Some(sort));
    if layer.size > limit {
        let why = format!("not judged: it has {} bytes, the limit is {limit}", layer.size);
        return Piece::only(record, Verdict::Unknown, why);
    }
    let Some((_, bytes)) = candidate.layers.iter().find(|(read, _)| read.digest == layer.digest) else {
        return Piece::only(record, Verdict::Unknown, "not judged: its content was not read");
    };
    if !layer.names_bytes(bytes) {
        return Piece::damaged(record, format!("its content is not {layer}"));
    }
    Piece { record, material: Some(Layer { sort, descriptor: layer.clone(), bytes }), damaged: false }
}

impl Piece<'_> {
    fn only(mut record: Evidence, verdict: Verdict, reason: impl Into<String>) -> Self {
        record.verdict = verdict;
        record.reason = reason.into();
        Self { record, material: None, damaged: false }
    }

    fn damaged(record: Evidence, reason: String) -> Self {
        Self { damaged: true, ..Self::only(record, Verdict::Bad, reason) }
    }
}

fn blank(subject: &Digest, candidate: &Candidate) -> Evidence {
    Evidence {
        subject: subject.clone(),
        kind: EvidenceKind::Other,
        source: candidate.document.descriptor.digest.clone(),
        layer: None,
        tag: candidate.tag.as_ref().map(ToString::to_string),
        artifact_type: None,
        verdict: Verdict::Unknown,
        reason: "not judged".to_owned(),
        signer: None,
        certificate: None,
        log: None,
        log_entry: None,
        trust_root: None,
        times: Vec::new(),
        time_source: None,
        predicate_type: None,
        not_checked: Vec::new(),
    }
}
