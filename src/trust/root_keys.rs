//! What a trusted root says, for people and programs: every key and authority with its window.
//!
//! A root is read here exactly as the verifier reads it, so what is shown is what counts.

use super::roots::{Root, RootError, RootText};
use super::time::{self, Timestamp};
use crate::model::Digest;
use crate::model::fault::printable;
use serde::Serialize;
use sigstore_crypto::KeyAlgorithm;
use sigstore_trust_root::TrustedRoot;
use sigstore_trust_root::trusted_root::{CertChain, CertificateSubject, PublicKey};
use sigstore_types::{DerPublicKey, TimeRange};

/// Kinds of things that a root trusts, in the order in which they are shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum AnchorKind {
    /// Authority that issues signing certificates (Fulcio).
    CertificateAuthority,
    /// Log of those certificates.
    CertificateLog,
    /// Log of signatures (Rekor).
    TransparencyLog,
    /// Authority that stamps times (RFC 3161).
    TimestampAuthority,
}

impl AnchorKind {
    /// Returns the name of the list in a root's JSON.
    pub(super) const fn list(self) -> &'static str {
        match self {
            Self::CertificateAuthority => "certificateAuthorities",
            Self::CertificateLog => "ctlogs",
            Self::TransparencyLog => "tlogs",
            Self::TimestampAuthority => "timestampAuthorities",
        }
    }

    /// Names it for a person.
    pub const fn words(self) -> &'static str {
        match self {
            Self::CertificateAuthority => "certificate authority",
            Self::CertificateLog => "certificate log",
            Self::TransparencyLog => "transparency log",
            Self::TimestampAuthority => "timestamp authority",
        }
    }
}

/// Whether something counts at a time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Standing {
    /// Its window has not begun.
    NotYet,
    /// It is in its window.
    InForce,
    /// Its window has ended: what was signed within it still verifies, nothing newer does.
    Ended,
}

/// One key or authority of a root.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Anchor {
    /// What it is.
    pub kind: AnchorKind,
    /// Where it says it lives, and for an authority what it calls itself.
    pub name: String,
    /// SHA-256 in hex of the public key, or of an authority's certificates one behind the other.
    pub id: String,
    /// Algorithm of the key, or of the authority's issuing key.
    pub algorithm: String,
    /// Start of its window, RFC 3339; empty where it is open.
    pub from: String,
    /// End of its window, RFC 3339; empty where it is open.
    pub until: String,
    /// First end of a certificate in an authority's chain, RFC 3339; empty for keys.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub certificate_until: String,
    /// Whether it counts now.
    pub standing: Standing,
}

/// What a root says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct RootView {
    /// Name: in a policy, or the file's.
    pub name: String,
    /// Digest by which a policy pins it.
    pub sha256: Digest,
    /// Type, as it states.
    pub media_type: String,
    /// The newest start of a window, RFC 3339: the root is at least as young as this.
    pub newest_start: String,
    /// Every key and authority, by kind, then by start.
    pub anchors: Vec<Anchor>,
}

impl RootView {
    /// Reads `root` and says what counts at `now`, in seconds since 1970.
    pub fn read(root: &RootText, now: i64) -> Result<Self, RootError> {
        let parsed = Root::of(root)?;
        let mut anchors = anchors(&parsed.trusted, now);
        anchors.sort_by(|a, b| (a.kind, &a.from, &a.id).cmp(&(b.kind, &b.from, &b.id)));
        let newest_start = anchors.iter().map(|anchor| anchor.from.clone()).max().unwrap_or_default();
        Ok(Self {
            name: root.name.clone(),
            sha256: root.digest(),
            media_type: parsed.trusted.media_type.clone(),
            newest_start,
            anchors,
        })
    }
}

/// Lists what `root` trusts, kind by kind, each kind in the order of the file.
pub(super) fn anchors(root: &TrustedRoot, now: i64) -> Vec<Anchor> {
    let keyed = |kind, url: &str, key: &PublicKey| Anchor {
        kind,
        name: printable(url),
        id: Digest::of(key.raw_bytes.as_bytes()).hex(),
        algorithm: algorithm(&key.raw_bytes),
        certificate_until: String::new(),
        ..windowed(kind, key.valid_for.as_ref(), now)
    };
    let authority = |kind, uri: &str, subject: String, chain: &CertChain, window: Option<&TimeRange>| Anchor {
        name: printable(format!("{uri} {subject}").trim()),
        ..chained(windowed(kind, window, now), chain)
    };
    let subject = |of: &CertificateSubject| {
        let parts = [of.organization.as_deref(), of.common_name.as_deref()];
        let parts: Vec<&str> = parts.into_iter().flatten().filter(|part| !part.is_empty()).collect();
        if parts.is_empty() { String::new() } else { format!("({})", parts.join(", ")) }
    };
    let authorities = root.certificate_authorities.iter().map(|ca| {
        let window = ca.valid_for.as_ref();
        authority(AnchorKind::CertificateAuthority, &ca.uri, subject(&ca.subject), &ca.cert_chain, window)
    });
    let ctlogs = root.ctlogs.iter().map(|log| keyed(AnchorKind::CertificateLog, &log.base_url, &log.public_key));
    let tlogs = root.tlogs.iter().map(|log| keyed(AnchorKind::TransparencyLog, &log.base_url, &log.public_key));
    let stamps = root.timestamp_authorities.iter().map(|tsa| {
        let (uri, window) = (tsa.uri.as_deref().unwrap_or_default(), tsa.valid_for.as_ref());
        authority(AnchorKind::TimestampAuthority, uri, subject(&tsa.subject), &tsa.cert_chain, window)
    });
    authorities.chain(ctlogs).chain(tlogs).chain(stamps).collect()
}

fn windowed(kind: AnchorKind, window: Option<&TimeRange>, now: i64) -> Anchor {
    let written = |time: Timestamp| time::rfc3339(time.as_second());
    let (from, until) = (window.map(|w| w.start), window.and_then(|w| w.end));
    let standing = match (from, until) {
        (Some(from), _) if now < from.as_second() => Standing::NotYet,
        (_, Some(until)) if now > until.as_second() => Standing::Ended,
        _ => Standing::InForce,
    };
    let (from, until) = (from.map(written).unwrap_or_default(), until.map(written).unwrap_or_default());
    let empty = String::new;
    Anchor { kind, name: empty(), id: empty(), algorithm: empty(), from, until, certificate_until: empty(), standing }
}

fn chained(anchor: Anchor, chain: &CertChain) -> Anchor {
    let mut all = Vec::new();
    let mut ends = Vec::new();
    let mut first = None;
    for entry in &chain.certificates {
        all.extend_from_slice(entry.raw_bytes.as_bytes());
        // A certificate that does not parse is no reason to hide the rest; the verifier refused it already.
        let Ok(info) = sigstore_crypto::parse_certificate_info(&entry.raw_bytes) else { continue };
        ends.push(info.not_after.as_second());
        first.get_or_insert_with(|| algorithm(&info.public_key));
    }
    let certificate_until = ends.into_iter().min().map(time::rfc3339).unwrap_or_default();
    Anchor { id: Digest::of(&all).hex(), algorithm: first.unwrap_or_default(), certificate_until, ..anchor }
}

fn algorithm(key: &DerPublicKey) -> String {
    KeyAlgorithm::from_spki(key).map_or_else(|_| "unknown".to_owned(), |kind| format!("{kind:?}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::trust::Instance;

    #[test]
    fn the_snapshots_inside_are_shown_with_what_has_ended() {
        let view = RootView::read(&RootText::embedded(Instance::PublicGood), 1_790_000_000).unwrap();
        let count = |kind, standing| view.anchors.iter().filter(|a| a.kind == kind && a.standing == standing).count();
        assert!(count(AnchorKind::CertificateAuthority, Standing::Ended) >= 1);
        assert!(count(AnchorKind::CertificateAuthority, Standing::InForce) >= 1);
        assert!(count(AnchorKind::TransparencyLog, Standing::InForce) >= 1);
        assert!(view.newest_start.starts_with("20") && view.anchors.iter().all(|a| a.algorithm != "unknown"));
        assert!(view.anchors.iter().all(|a| a.id.len() == 64 && !a.name.is_empty()), "{view:#?}");
        for instance in [Instance::Staging, Instance::Github] {
            assert!(!RootView::read(&RootText::embedded(instance), 0).unwrap().anchors.is_empty());
        }
    }

    #[test]
    fn a_window_is_closed_on_both_sides() {
        let at = |text: &str| text.parse::<Timestamp>().unwrap();
        let window = TimeRange::new(at("2023-01-01T00:00:00Z"), Some(at("2023-01-02T00:00:00Z")));
        let standing = |now: &str| windowed(AnchorKind::CertificateLog, Some(&window), at(now).as_second()).standing;
        assert_eq!(standing("2022-12-31T23:59:59Z"), Standing::NotYet);
        assert_eq!(standing("2023-01-01T00:00:00Z"), Standing::InForce);
        assert_eq!(standing("2023-01-02T00:00:00Z"), Standing::InForce);
        assert_eq!(standing("2023-01-02T00:00:01Z"), Standing::Ended);
        assert_eq!(windowed(AnchorKind::CertificateLog, None, 0).standing, Standing::InForce);
    }
}
